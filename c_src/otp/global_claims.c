/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer that rules limit says about others, which does not count: a node
 * speaks for itself, a name belongs to the node of its process. */
#include <string.h>

#include "base/buf.h"
#include "otp/gen.h"
#include "otp/global_core.h"
#include "term/build.h"
#include "term/view.h"

const char *tn_gclaim_limit(struct tn_global *global, const char *node)
{
    return global->io->is_limited != NULL &&
                   global->io->is_limited(global->io_user, node)
               ? node
               : NULL;
}

bool tn_gclaim_about(struct tn_global *global,
                     const char *by,
                     const char *what,
                     const char *node)
{
    if (by == NULL || strcmp(by, node) == 0) {
        return true;
    }
    global->io->ignored(global->io_user, by, what, node);
    return false;
}

bool tn_gclaim_pid(struct tn_global *global,
                   const char *by,
                   const char *what,
                   tenon_term term)
{
    tenon_pid pid;

    return by == NULL || (tenon_term_pid(term, &pid) == TENON_OK &&
                          tn_gclaim_about(global, by, what, pid.node));
}

/* Whether the peer may change what the name stands for now. */
bool tn_gclaim_name(struct tn_global *global, const char *by, tenon_term name)
{
    if (by == NULL) {
        return true;
    }
    const struct tn_gname *held = tn_gname_find(global, name);

    return held == NULL ||
           tn_gclaim_about(global, by, "global name", held->pid.node);
}

bool tn_gclaim_entry(struct tn_global *global,
                     const char *by,
                     tenon_term name,
                     tenon_term pid)
{
    return tn_gclaim_pid(global, by, "global name", pid) &&
           tn_gclaim_name(global, by, name);
}

/* ---- messages ---------------------------------------------------------- */

/* Where each message says of which node it is. */
static const struct {
    const char *verb;
    size_t count;
    size_t at;
} subjects[] = {
    { "init_connect", 4, 2 },      { "exchange", 5, 1 },
    { "resolved", 7, 1 },          { "new_nodes", 6, 1 },
    { "in_sync", 3, 1 },           { "init_connect_ack", 4, 1 },
    { "cancel_connect", 3, 1 },    { "lost_connection", 5, 1 },
    { "remove_connection", 2, 1 }, { "lock_set", 4, 1 },
    { "lock_set", 5, 1 },
};

static bool counts_about(struct tn_global *global,
                         const char *by,
                         const char *what,
                         tenon_term node)
{
    tenon_atom name;

    if (tenon_term_type(node) == TENON_TYPE_PID) {
        return tn_gclaim_pid(global, by, what, node);
    }
    return tenon_term_atom(node, &name) == TENON_OK &&
           tn_gclaim_about(global, by, what, name.text);
}

/* The process that locks for the peer is one of its own. */
static bool
has_own_locker(struct tn_global *global, const char *by, tenon_term init)
{
    tenon_term locker;

    return tenon_tuple_get(init, 3, &locker) == TENON_OK &&
           tn_gclaim_pid(global, by, "init_connect", locker);
}

/* All members give up a node that one of them has lost: only that it has lost
 * this node is the peer's own affair. */
static bool
is_own_loss(struct tn_global *global, const char *by, tenon_term lost)
{
    return tenon_term_is_atom(lost, global->own) ||
           counts_about(global, by, "lost_connection", lost);
}

bool tn_gclaim_message(struct tn_global *global,
                       const char *by,
                       const tenon_term *part,
                       size_t count)
{
    if (by == NULL) {
        return true;
    }
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        if (count == subjects[i].count &&
            tenon_term_is_atom(part[0], subjects[i].verb) &&
            !counts_about(global, by, subjects[i].verb, part[subjects[i].at])) {
            return false;
        }
    }
    if (count == 4 && tenon_term_is_atom(part[0], "init_connect")) {
        return has_own_locker(global, by, part[3]);
    }
    return count != 5 || !tenon_term_is_atom(part[0], "lost_connection") ||
           is_own_loss(global, by, part[4]);
}

/* ---- locks ------------------------------------------------------------- */

/* A requester is a pid, or a list of them, that the nodes agree on; or any
 * other term, which says nothing of whose it is. */
static bool names_own_process(const char *by, tenon_term requester)
{
    tenon_cursor at;
    tenon_term element = requester;
    tenon_pid pid;

    if (tenon_term_type(requester) == TENON_TYPE_PID) {
        return tenon_term_pid(requester, &pid) == TENON_OK &&
               strcmp(pid.node, by) == 0;
    }
    if (!tenon_term_is_proper_list(requester)) {
        return false;
    }
    tenon_cursor_init(&at, requester);
    while (tenon_cursor_next(&at, &element)) {
        if (tenon_term_pid(element, &pid) == TENON_OK &&
            strcmp(pid.node, by) == 0) {
            return true;
        }
    }
    return false;
}

/* A lock of others would last as long as the peer holds it too. */
bool tn_gclaim_lock(struct tn_global *global, const char *by, tenon_term id)
{
    tenon_term part[2];

    if (by == NULL || !tn_tuple_views(id, part, 2) ||
        names_own_process(by, part[1])) {
        return true;
    }
    const char *other = tn_glock_other_holder(global, id, by);

    return other == NULL || tn_gclaim_about(global, by, "global lock", other);
}

/* ---- changes ----------------------------------------------------------- */

static bool counts_op(struct tn_global *global, const char *by, tenon_term op)
{
    tenon_term part[2], entry[3];

    if (!tn_tuple_views(op, part, 2)) {
        return false;
    }
    if (tenon_term_is_atom(part[0], "insert")) {
        return tn_tuple_views(part[1], entry, 3) &&
               tn_gclaim_entry(global, by, entry[0], entry[1]);
    }
    return tn_gclaim_name(global, by, part[1]);
}

/* terms: whole ones, one behind the other. */
static tenon_value *list_of(const struct tn_buf *terms, size_t count)
{
    struct tenon_builder out;
    const uint8_t *at = terms->bytes;
    tenon_value *value = NULL;
    tenon_term list;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_list(&out, count);
    for (size_t i = 0; i < count; i++) {
        tenon_term term = tn_term_at(at);

        tenon_build_term(&out, term);
        at += term.len;
    }
    tenon_build_nil(&out);
    if (tenon_builder_term(&out, &list) == TENON_OK) {
        value = tenon_value_new(list);
    }
    tn_builder_fini(&out);
    return value;
}

tenon_value *
tn_gclaim_ops(struct tn_global *global, const char *by, tenon_term ops)
{
    struct tn_buf kept;
    tenon_term op;
    tenon_cursor at;
    size_t count = 0;
    enum tenon_err rc = TENON_OK;

    if (by == NULL) {
        return tenon_value_new(ops);
    }
    tn_buf_init(&kept, TENON_TERM_MAX_BYTES);
    tenon_cursor_init(&at, ops);
    while (rc == TENON_OK && tenon_cursor_next(&at, &op)) {
        if (counts_op(global, by, op)) {
            rc = tn_buf_append(&kept, op.bytes, op.len);
            count++;
        }
    }
    tenon_value *list = rc == TENON_OK ? list_of(&kept, count) : NULL;

    tn_buf_fini(&kept);
    return list;
}
