/* SPDX-License-Identifier: Apache-2.0 */
/* Aliases of processes of this node. Those of requests are request.c's. */
#include "node/alias.h"

#include <stdlib.h>

#include "node/node.h"

static struct tn_alias *find(tenon_node *node, const struct tn_ref_key *key)
{
    struct tn_alias *alias = NULL;
    TN_HASH_FIND(hh, node->aliases.table, &node->hash_key, key, sizeof(*key),
                 alias);
    return alias;
}

static struct tn_alias *find_ref(tenon_node *node, tenon_term ref)
{
    struct tn_ref_key key;
    return tn_ref_key(&key, ref, NULL) ? find(node, &key) : NULL;
}

static void drop(struct tn_alias *alias)
{
    HASH_DELETE(hh, alias->process->node->aliases.table, alias);
    LIST_REMOVE(alias, of_process);
    free(alias);
}

enum tenon_err tn_alias_add_locked(tenon_process *process,
                                   tenon_term ref,
                                   enum tenon_alias_mode mode)
{
    struct tn_aliases *all = &process->node->aliases;
    if (mode != TENON_ALIAS_EXPLICIT && mode != TENON_ALIAS_REPLY &&
        mode != TENON_ALIAS_DEMONITOR) {
        return TENON_E_INVAL;
    }
    if (HASH_COUNT(all->table) >= TENON_ALIASES_MAX) {
        return TENON_E_LIMIT;
    }
    struct tn_alias *alias = calloc(1, sizeof(*alias));
    if (alias == NULL) {
        return TENON_E_NOMEM;
    }
    alias->process = process;
    alias->mode = mode;
    if (!tn_ref_key(&alias->key, ref, NULL)) {
        free(alias);
        return TENON_E_INVAL;
    }
    TN_HASH_ADD(hh, all->table, &process->node->hash_key, &alias->key,
                sizeof(alias->key), alias);
    if (!TN_HASH_HAS(hh, alias)) {
        free(alias);
        return TENON_E_NOMEM;
    }
    LIST_INSERT_HEAD(&process->aliases, alias, of_process);
    return TENON_OK;
}

void tn_alias_monitor_gone_locked(tenon_node *node,
                                  const struct tn_ref_key *key)
{
    struct tn_alias *alias = find(node, key);
    if (alias != NULL && alias->mode != TENON_ALIAS_EXPLICIT) {
        drop(alias);
    }
}

void tn_alias_monitor_over_locked(tenon_process *process,
                                  tenon_term ref,
                                  bool failed)
{
    struct tn_alias *alias = find_ref(process->node, ref);
    if (alias != NULL && (failed || alias->mode != TENON_ALIAS_EXPLICIT)) {
        drop(alias);
    }
}

void tn_aliases_process_ended(tenon_process *process, unsigned *max)
{
    struct tn_alias *alias;
    for (; *max > 0 && (alias = LIST_FIRST(&process->aliases)) != NULL;
         --*max) {
        drop(alias);
    }
}

enum tenon_err tn_alias_deliver_locked(tenon_node *node,
                                       tenon_term ref,
                                       tenon_term message,
                                       tn_conn *conn,
                                       bool *wake)
{
    struct tn_alias *alias = find_ref(node, ref);
    if (alias == NULL) {
        return TENON_E_NOT_FOUND;
    }
    tenon_process *process = alias->process;
    if (alias->mode == TENON_ALIAS_REPLY) {
        drop(alias);
        (void)tn_demonitor_locked(process, ref);
    }
    return tn_process_deliver_locked(process, message, conn, false, wake);
}

void tn_alias_deliver_from(tenon_node *node,
                           tn_conn *conn,
                           const struct tn_signal *signal)
{
    bool wake = false;
    tn_lock(node);
    if (tn_alias_deliver_locked(node, signal->to, signal->payload, conn,
                                &wake) == TENON_E_NOT_FOUND) {
        node->counts.messages_to_nobody++;
    }
    tn_leave(node, wake);
}

/* ---- the public face --------------------------------------------------- */

enum tenon_err
tenon_alias(tenon_process *self, enum tenon_alias_mode mode, tenon_ref *ref)
{
    if (self == NULL || ref == NULL || mode == TENON_ALIAS_DEMONITOR) {
        return TENON_E_INVAL;
    }
    tenon_ref made;
    tn_node_make_ref(self->node, &made);
    tenon_value *term = tenon_value_format("~r", &made);
    if (term == NULL) {
        return TENON_E_NOMEM;
    }
    tn_lock(self->node);
    enum tenon_err rc =
        self->exited ? TENON_E_NOPROC
                     : tn_alias_add_locked(self, tenon_value_term(term), mode);
    tn_unlock(self->node);
    tenon_value_free(term);
    if (rc == TENON_OK) {
        *ref = made;
    }
    return rc;
}

bool tenon_unalias(tenon_process *self, const tenon_ref *ref)
{
    if (self == NULL || ref == NULL) {
        return false;
    }
    tenon_value *term = tenon_value_format("~r", ref);
    if (term == NULL) {
        return false;
    }
    tn_lock(self->node);
    struct tn_alias *alias = find_ref(self->node, tenon_value_term(term));
    bool was = alias != NULL && alias->process == self;
    if (was) {
        drop(alias);
    }
    tn_unlock(self->node);
    tenon_value_free(term);
    return was;
}
