/* SPDX-License-Identifier: Apache-2.0 */
/* Each peer's view of the rules, and what a refusal leaves behind. */
#include "node/access.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "node/node.h"
#include "node/rules.h"
#include "node/text.h"

/* A name in a log line, cut. */
#define SHOWN_BYTES 300

struct tn_access {
    atomic_uint refs;
    tn_rules *rules; /* kept */
    const tn_rule *rule;
    char peer[];
};

/* ---- made and freed ------------------------------------------------------ */

static bool has_certificate(void *user, const char *pattern)
{
    return tn_conn_certificate_fits(user, pattern);
}

static tn_access *
access_new(tn_rules *rules, const tn_rule *rule, const char *peer)
{
    size_t len = strlen(peer);
    tn_access *access = calloc(1, sizeof *access + len + 1);

    if (access != NULL) {
        atomic_init(&access->refs, 1);
        access->rules = tn_rules_ref(rules);
        access->rule = rule;
        memcpy(access->peer, peer, len + 1);
    }
    return access;
}

enum tenon_err
tn_access_judge(tenon_node *node, tn_conn *conn, tn_access **access)
{
    const struct tn_rules_peer peer = { .node = tn_conn_name(conn),
                                        .has_certificate = has_certificate,
                                        .user = conn };
    const tn_rule *rule = NULL;

    if (node->rules != NULL && !tn_rules_judge(node->rules, &peer, &rule)) {
        tn_lock(node);
        node->counts.connections_refused++;
        tn_unlock(node);
        return TENON_E_REFUSED;
    }
    *access = rule == NULL ? NULL : access_new(node->rules, rule, peer.node);
    return rule != NULL && *access == NULL ? TENON_E_NOMEM : TENON_OK;
}

tn_access *tn_access_ref(tn_access *access)
{
    if (access != NULL) {
        atomic_fetch_add(&access->refs, 1);
    }
    return access;
}

void tn_access_unref(tn_access *access)
{
    if (access != NULL && atomic_fetch_sub(&access->refs, 1) == 1) {
        tn_rules_unref(access->rules);
        free(access);
    }
}

const char *tn_access_peer(const tn_access *access)
{
    return access == NULL ? NULL : access->peer;
}

/* ---- refusing ------------------------------------------------------------ */

/* what: "function", "service", "name", "answer_to" or "claim". */
static void refused(tenon_node *node,
                    tn_access *access,
                    uint64_t *counter,
                    const char *what,
                    const char *which)
{
    tn_lock(node);
    ++*counter;
    tn_unlock(node);
    tn_log(&node->log, TN_WARN, "refused", "peer", access->peer, what, which,
           NULL);
}

bool tn_may_run(tenon_node *node,
                tn_access *access,
                tenon_term module,
                tenon_term name,
                size_t arity)
{
    struct tn_text module_text, name_text;
    char which[SHOWN_BYTES];

    if (access == NULL) {
        return true;
    }
    if (!tn_text_of_atom(module, &module_text) ||
        !tn_text_of_atom(name, &name_text)) {
        return false; /* no function is named so */
    }
    if (tn_rule_has_function(access->rule, module_text.text, module_text.len,
                             name_text.text, name_text.len, arity)) {
        return true;
    }
    snprintf(which, sizeof which, "%.*s:%.*s/%zu", (int)module_text.len,
             module_text.text, (int)name_text.len, name_text.text, arity);
    refused(node, access, &node->counts.functions_refused, "function", which);
    return false;
}

bool tn_may_serve(tenon_node *node,
                  tn_access *access,
                  const char *router,
                  const char *service)
{
    char which[SHOWN_BYTES];

    if (access == NULL || tn_rule_has_service(access->rule, router, service)) {
        return true;
    }
    snprintf(which, sizeof which, "%s.%s", router, service);
    refused(node, access, &node->counts.services_refused, "service", which);
    return false;
}

/* What serves the node may have no name, as what runs its own calls. */
static bool
has_right_to(const tn_access *access, const tenon_process *process, bool ends)
{
    if (process->is_open) {
        return !ends;
    }
    return process->name == NULL ||
           tn_rule_has_name(access->rule, process->name, strlen(process->name));
}

/* With the lock. name: set when it may not. */
static bool may_reach_locked(const tn_access *access,
                             const tenon_process *process,
                             bool ends,
                             char name[SHOWN_BYTES])
{
    if (process == NULL || has_right_to(access, process, ends)) {
        return true;
    }
    snprintf(name, SHOWN_BYTES, "%s",
             process->name != NULL ? process->name : "(without a name)");
    return false;
}

bool tn_may_reach(tenon_node *node,
                  tn_access *access,
                  tenon_term target,
                  bool ends)
{
    char name[SHOWN_BYTES];

    if (access == NULL) {
        return true;
    }
    tn_lock(node);
    bool may = may_reach_locked(access, tn_process_target_locked(node, target),
                                ends, name);

    tn_unlock(node);
    if (!may) {
        refused(node, access, &node->counts.names_refused, "name", name);
    }
    return may;
}

/* False: neither a pid nor a reference. */
static bool node_of(tenon_term to, struct tn_text *node)
{
    struct tn_id_view view;

    return (tn_pid_view(to, &view) || tn_ref_view(to, &view)) &&
           tn_text_of_view(&view.node, node);
}

static bool is_named(const struct tn_text *node, const char *name)
{
    return node->len == strlen(name) &&
           memcmp(node->text, name, node->len) == 0;
}

/* An answer must not make this node call anybody. */
static bool is_other_that_is_up(tenon_node *node, const struct tn_text *name)
{
    if (is_named(name, node->name.full)) {
        return false;
    }
    tn_lock(node);
    const struct tn_peer *peer =
        tn_peer_find_locked(node, name->text, name->len);
    bool is_up = peer != NULL && peer->state == TN_PEER_UP;

    tn_unlock(node);
    return is_up;
}

bool tn_may_answer(tenon_node *node,
                   tn_access *access,
                   tenon_term to,
                   bool others)
{
    struct tn_text at;
    char which[SHOWN_BYTES];

    if (access == NULL || !node_of(to, &at) || is_named(&at, access->peer) ||
        (others && is_other_that_is_up(node, &at))) {
        return true;
    }
    tenon_term_print(to, which, sizeof which);
    refused(node, access, &node->counts.names_refused, "answer_to", which);
    return false;
}

bool tn_may_claim(tenon_node *node,
                  tn_access *access,
                  const char *what,
                  const char *about,
                  size_t len)
{
    const struct tn_text name = { .text = about, .len = len };
    char which[SHOWN_BYTES];

    if (access == NULL || is_named(&name, access->peer)) {
        return true;
    }
    snprintf(which, sizeof which, "%s of %.*s", what, (int)len, about);
    refused(node, access, &node->counts.claims_refused, "claim", which);
    return false;
}

/* {'EXIT', from, reason}, {'DOWN', ref, kind, object, reason} */
static bool tells_an_end(tenon_term message)
{
    tenon_term tag;
    size_t arity = tenon_term_count(message);

    return tenon_term_type(message) == TENON_TYPE_TUPLE &&
           (arity == 3 || arity == 5) &&
           tenon_tuple_get(message, 0, &tag) == TENON_OK &&
           tenon_term_is_atom(tag, arity == 3 ? "EXIT" : "DOWN");
}

bool tn_may_say(tenon_node *node, tn_access *access, tenon_term message)
{
    if (access == NULL || !tells_an_end(message)) {
        return true;
    }
    refused(node, access, &node->counts.claims_refused, "claim",
            "an end, by a plain message");
    return false;
}
