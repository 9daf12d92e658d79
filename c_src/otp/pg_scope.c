/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of a pg scope: discover and sync, join and leave, ends.
 *
 *   {discover, Scope} | {discover, Scope, Version}     tell me, I am here
 *   {'$gen_cast', {sync, Scope, [{Group, [Pid]}]}}      all that I have
 *   {join, Scope, Group, Pid | [Pid]}
 *   {leave, Scope, Pid | [Pid], [Group]}
 *
 * A scope of OTP 23 to 28 dies of a message that is none of these, and of a
 * leave from a peer for a group that this peer had not announced: so only the
 * two-element discover is sent, and changes only to who has had our sync. */
#include "otp/pg_scope.h"

#include <stdlib.h>
#include <string.h>

#include "node/quota.h"
#include "otp/gen.h"
#include "otp/pg_impl.h"
#include "term/build.h"
#include "term/canonical.h"

/* A group's name in canonical form. */
struct name {
    tenon_builder built;
    tenon_term term;
};

static enum tenon_err name_init(struct name *name, tenon_term group)
{
    if (!tn_leaves_levels(group)) {
        return TENON_E_LIMIT;
    }
    tn_builder_init(&name->built, TENON_PG_GROUP_MAX_BYTES);
    (void)tn_build_canonical(&name->built, group);
    enum tenon_err rc = tenon_builder_term(&name->built, &name->term);

    if (rc != TENON_OK) {
        tn_builder_fini(&name->built);
    }
    return rc == TENON_E_TERM_BIG ? TENON_E_LIMIT : rc;
}

static void name_fini(struct name *name)
{
    tn_builder_fini(&name->built);
}

/* The worse of two outcomes of the parts of one message. */
static void note(enum tenon_err *all, enum tenon_err rc)
{
    if (rc != TENON_OK && *all != TENON_E_NOMEM) {
        *all = rc;
    }
}

/* ---- sending ----------------------------------------------------------- */

void tn_pg_send(struct tn_pg_scope *scope,
                tenon_term to,
                const tenon_builder *built)
{
    tenon_term message = { NULL, 0 };

    /* Without memory for it the null view goes out, which no send takes. */
    if (tenon_builder_term(built, &message) != TENON_OK) {
        message = (tenon_term){ NULL, 0 };
    }
    scope->ops->send(scope->user, to, message);
}

static void send_sync(struct tn_pg_scope *scope, struct tn_pg_owner *peer)
{
    struct tn_pg_entry *entry, *next;
    tenon_builder out;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 2);
    tenon_build_atom(&out, "$gen_cast");
    tenon_build_tuple(&out, 3);
    tenon_build_atom(&out, "sync");
    tenon_build_term(&out, scope->self);
    tenon_build_list(&out, HASH_COUNT(scope->local.entries));
    HASH_ITER(hh, scope->local.entries, entry, next)
    {
        tenon_build_tuple(&out, 2);
        tenon_build_term(&out, tn_pg_group_name(entry->group));
        tenon_build_list(&out, tn_pg_entry_size(entry));
        tn_pg_build_pids(&out, entry);
        tenon_build_nil(&out);
    }
    tenon_build_nil(&out);
    peer->told = true;
    tn_pg_send(scope, tn_pg_pid_term(&peer->pid), &out);
    tn_builder_fini(&out);
}

static void send_discover(struct tn_pg_scope *scope, tenon_term to)
{
    tenon_builder out;

    tn_builder_init(&out, 1024);
    tenon_format(&out, "{:discover, ~t}", scope->self);
    tn_pg_send(scope, to, &out);
    tn_builder_fini(&out);
}

/* ---- peers ------------------------------------------------------------- */

static struct tn_pg_owner *find_peer(const struct tn_pg_scope *scope,
                                     const struct tn_pg_pid *pid)
{
    struct tn_pg_owner *peer = NULL;

    TN_HASH_FIND(hh, scope->peers, scope->groups.hash_key, pid->bytes, pid->len,
                 peer);
    return peer;
}

/* A scope of our own node is no peer, whatever a message says. */
static bool is_ours(const struct tn_pg_scope *scope,
                    const struct tn_pg_pid *pid)
{
    return pid->len == scope->self.len &&
           memcmp(pid->bytes, scope->self.bytes, pid->len - 12) == 0;
}

static void free_peer(struct tn_pg_owner *peer)
{
    tn_quota_give_back(peer->account, TN_QUOTA_SCOPES, sizeof *peer);
    tn_account_unref(peer->account);
    free(peer);
}

static enum tenon_err new_peer(const struct tn_pg_scope *scope,
                               const struct tn_pg_pid *pid,
                               struct tn_pg_owner **made)
{
    tn_account *account =
        scope->ops->account == NULL ? NULL : scope->ops->account(scope->user);
    struct tn_pg_owner *peer;

    if (!tn_quota_take(account, TN_QUOTA_SCOPES, TN_PG_PEER_SCOPES_MAX,
                       sizeof *peer, "scopes of process groups")) {
        return TENON_E_LIMIT;
    }
    peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        tn_quota_give_back(account, TN_QUOTA_SCOPES, sizeof *peer);
        return TENON_E_NOMEM;
    }
    peer->account = tn_account_ref(account);
    peer->pid = *pid;
    peer->hash_key = scope->groups.hash_key;
    *made = peer;
    return TENON_OK;
}

static enum tenon_err add_peer(struct tn_pg_scope *scope,
                               const struct tn_pg_pid *pid,
                               struct tn_pg_owner **added)
{
    if (is_ours(scope, pid)) {
        return TENON_E_NOT_FOUND;
    }
    if (HASH_COUNT(scope->peers) >= TN_PG_PEERS_MAX) {
        return TENON_E_LIMIT;
    }
    struct tn_pg_owner *peer;
    enum tenon_err rc = new_peer(scope, pid, &peer);

    if (rc != TENON_OK) {
        return rc;
    }
    TN_HASH_ADD(hh, scope->peers, scope->groups.hash_key, peer->pid.bytes,
                peer->pid.len, peer);
    if (!TN_HASH_HAS(hh, peer)) {
        free_peer(peer);
        return TENON_E_NOMEM;
    }
    rc = scope->ops->monitor(scope->user, tn_pg_pid_term(pid), &peer->monitor);
    if (rc != TENON_OK) {
        HASH_DELETE(hh, scope->peers, peer);
        free_peer(peer);
        return rc;
    }
    *added = peer;
    return TENON_OK;
}

static void drop_peer(struct tn_pg_scope *scope, struct tn_pg_owner *peer)
{
    struct tn_pg_entry *entry, *next;
    struct tn_pg_change left;

    tn_pg_change_init(&left);
    HASH_DELETE(hh, scope->peers, peer);
    HASH_ITER(hh, peer->entries, entry, next)
    {
        tn_pg_drop_entry(scope, &left, entry);
    }
    tn_pg_change_fini(&left);
    free_peer(peer);
}

static bool is_on_node(const struct tn_pg_owner *peer, const char *name)
{
    size_t len = strlen(name);

    return peer->pid.len == 15 + len &&
           memcmp(peer->pid.bytes + 3, name, len) == 0;
}

void tn_pg_scope_node_down(struct tn_pg_scope *scope, const char *name)
{
    struct tn_pg_owner *peer, *next;

    HASH_ITER(hh, scope->peers, peer, next)
    {
        if (is_on_node(peer, name)) {
            scope->ops->demonitor(scope->user, &peer->monitor);
            drop_peer(scope, peer);
        }
    }
}

/* ---- what peers say ---------------------------------------------------- */

static enum tenon_err on_discover(struct tn_pg_scope *scope,
                                  const struct tn_pg_pid *pid)
{
    struct tn_pg_owner *peer = find_peer(scope, pid);
    enum tenon_err rc = TENON_OK;
    bool known = peer != NULL;

    if (!known) {
        rc = add_peer(scope, pid, &peer);
    }
    if (rc != TENON_OK) {
        return rc;
    }
    send_sync(scope, peer);
    if (!known) {
        send_discover(scope, tn_pg_pid_term(pid));
    }
    return TENON_OK;
}

static bool may_claim(const struct tn_pg_scope *scope, tenon_term pid)
{
    return scope->ops->may_claim == NULL ||
           scope->ops->may_claim(scope->user, pid);
}

/* Pids after which others have the scope for a moment. */
#define PIDS_AT_A_TIME 256u

static void let_others(const struct tn_pg_scope *scope)
{
    if (scope->ops->let_others != NULL) {
        scope->ops->let_others(scope->user);
    }
}

/* Counts how often each pid stands in the list. Nobody else sees that. */
static enum tenon_err count_fresh(const struct tn_pg_scope *scope,
                                  struct tn_pg_entry *entry,
                                  tenon_term pids)
{
    enum tenon_err all = TENON_OK;
    struct tn_pg_member *member;
    struct tn_pg_pid pid;
    tenon_cursor at;
    tenon_term element;
    size_t seen = 0;

    tenon_cursor_init(&at, pids);
    while (tenon_cursor_next(&at, &element)) {
        if (++seen % PIDS_AT_A_TIME == 0) {
            let_others(scope);
        }
        if (!tn_pg_pid_of(&pid, element)) {
            note(&all, TENON_E_TERM_SHAPE);
            continue;
        }
        enum tenon_err rc = may_claim(scope, element)
                                ? tn_pg_member_get(entry, &pid, &member)
                                : TENON_E_NOT_ALLOWED;

        note(&all, rc);
        if (rc == TENON_OK && member->fresh < UINT32_MAX) {
            member->fresh++;
        }
    }
    return all;
}

/* Makes what has been counted the truth, and tells of the difference. */
static enum tenon_err apply_fresh(struct tn_pg_scope *scope,
                                  struct tn_pg_entry *entry,
                                  struct tn_pg_change *left,
                                  struct tn_pg_change *joined)
{
    enum tenon_err all = TENON_OK;
    struct tn_pg_member *member, *next;

    HASH_ITER(hh, entry->members, member, next)
    {
        uint32_t before = member->count;

        note(&all, tn_pg_member_set(&scope->groups, member, member->fresh));
        member->fresh = 0;
        if (member->count < before) {
            tn_pg_change_add(scope, left, member, before - member->count);
        } else {
            tn_pg_change_add(scope, joined, member, member->count - before);
        }
        tn_pg_member_tidy(member);
    }
    tn_pg_change_tell(scope, left, false, tn_pg_group_name(entry->group));
    tn_pg_change_tell(scope, joined, true, tn_pg_group_name(entry->group));
    return all;
}

static enum tenon_err sync_group(struct tn_pg_scope *scope,
                                 struct tn_pg_owner *peer,
                                 tenon_term pair,
                                 struct tn_pg_change *left,
                                 struct tn_pg_change *joined)
{
    tenon_term part[2];
    struct tn_pg_entry *entry;
    struct name name;

    if (!tn_tuple_views(pair, part, 2) || !tenon_term_is_proper_list(part[1])) {
        return TENON_E_TERM_SHAPE;
    }
    enum tenon_err rc = name_init(&name, part[0]);

    if (rc != TENON_OK) {
        return rc;
    }
    rc = tn_pg_entry_get(&scope->groups, peer, name.term, &entry);
    if (rc == TENON_OK) {
        rc = count_fresh(scope, entry, part[1]);
        note(&rc, apply_fresh(scope, entry, left, joined));
        entry->round = peer->round;
        tn_pg_entry_tidy(&scope->groups, entry);
    }
    name_fini(&name);
    return rc;
}

/* What the announcement did not mention is no more. */
static void drop_unmentioned(struct tn_pg_scope *scope,
                             struct tn_pg_owner *peer,
                             struct tn_pg_change *left)
{
    struct tn_pg_entry *entry, *next;

    HASH_ITER(hh, peer->entries, entry, next)
    {
        if (entry->round != peer->round) {
            tn_pg_drop_entry(scope, left, entry);
        }
    }
}

static enum tenon_err on_sync(struct tn_pg_scope *scope,
                              const struct tn_pg_pid *pid,
                              tenon_term groups)
{
    struct tn_pg_owner *peer = find_peer(scope, pid);
    enum tenon_err rc = TENON_OK;
    struct tn_pg_change left, joined;
    tenon_cursor at;
    tenon_term pair;

    if (!tenon_term_is_proper_list(groups)) {
        return TENON_E_TERM_SHAPE;
    }
    if (peer == NULL) {
        rc = add_peer(scope, pid, &peer);
    }
    if (rc != TENON_OK) {
        return rc;
    }
    tn_pg_change_init(&left);
    tn_pg_change_init(&joined);
    peer->round++;
    tenon_cursor_init(&at, groups);
    while (tenon_cursor_next(&at, &pair)) {
        note(&rc, sync_group(scope, peer, pair, &left, &joined));
        let_others(scope);
    }
    drop_unmentioned(scope, peer, &left);
    tn_pg_change_fini(&left);
    tn_pg_change_fini(&joined);
    return rc;
}

/* One pid, or each of a list. */
struct pids {
    tenon_term one;
    tenon_cursor at;
};

static bool pids_init(struct pids *pids, tenon_term one_or_list)
{
    bool is_pid = tenon_term_type(one_or_list) == TENON_TYPE_PID;

    *pids = (struct pids){ 0 };
    if (is_pid) {
        pids->one = one_or_list;
    } else {
        tenon_cursor_init(&pids->at, one_or_list);
    }
    return is_pid || tenon_term_is_proper_list(one_or_list);
}

static bool pids_next(struct pids *pids, tenon_term *pid)
{
    if (pids->one.bytes != NULL) {
        *pid = pids->one;
        pids->one = (tenon_term){ NULL, 0 };
        return true;
    }
    return tenon_cursor_next(&pids->at, pid);
}

static enum tenon_err join_each(struct tn_pg_scope *scope,
                                struct tn_pg_entry *entry,
                                struct pids *pids)
{
    enum tenon_err all = TENON_OK;
    struct tn_pg_member *member;
    struct tn_pg_pid pid;
    struct tn_pg_change joined;
    tenon_term element;

    tn_pg_change_init(&joined);
    while (pids_next(pids, &element)) {
        enum tenon_err rc = TENON_E_TERM_SHAPE;

        if (tn_pg_pid_of(&pid, element)) {
            rc = may_claim(scope, element)
                     ? tn_pg_add_member(scope, entry, &pid, &member)
                     : TENON_E_NOT_ALLOWED;
        }
        note(&all, rc);
        if (rc == TENON_OK) {
            tn_pg_change_add(scope, &joined, member, 1);
        }
    }
    tn_pg_change_tell(scope, &joined, true, tn_pg_group_name(entry->group));
    tn_pg_change_fini(&joined);
    return all;
}

static enum tenon_err on_join(struct tn_pg_scope *scope,
                              const struct tn_pg_pid *pid,
                              tenon_term group,
                              tenon_term joining)
{
    struct tn_pg_owner *peer = find_peer(scope, pid);
    struct tn_pg_entry *entry;
    struct pids pids;
    struct name name;

    if (peer == NULL) {
        return TENON_E_NOT_FOUND;
    }
    if (!pids_init(&pids, joining)) {
        return TENON_E_TERM_SHAPE;
    }
    enum tenon_err rc = name_init(&name, group);

    if (rc != TENON_OK) {
        return rc;
    }
    rc = tn_pg_entry_get(&scope->groups, peer, name.term, &entry);
    if (rc == TENON_OK) {
        rc = join_each(scope, entry, &pids);
        tn_pg_entry_tidy(&scope->groups, entry);
    }
    name_fini(&name);
    return rc;
}

/* Marks the entry of a group, and puts it before `*first`. */
static enum tenon_err mark_leaving(struct tn_pg_scope *scope,
                                   struct tn_pg_owner *peer,
                                   tenon_term group,
                                   struct tn_pg_entry **first)
{
    struct name name;
    enum tenon_err rc = name_init(&name, group);

    if (rc != TENON_OK) {
        return rc;
    }
    struct tn_pg_entry *entry =
        tn_pg_entry_find(&scope->groups, peer, name.term);

    if (entry != NULL && entry->leaving == 0) {
        entry->next_leaving = *first;
        *first = entry;
    }
    if (entry != NULL && entry->leaving < UINT32_MAX) {
        entry->leaving++;
    }
    name_fini(&name);
    return TENON_OK;
}

static enum tenon_err leave_groups(struct tn_pg_scope *scope,
                                   struct pids *pids,
                                   struct tn_pg_entry *first)
{
    struct tn_pg_leavers leavers = { 0 };
    enum tenon_err rc = TENON_OK;
    tenon_term pid;

    while (first != NULL && pids_next(pids, &pid)) {
        enum tenon_err added = tn_pg_leavers_add(scope, &leavers, pid);

        note(&rc, added == TENON_E_TERM_SHAPE ? TENON_OK : added);
    }
    while (first != NULL) {
        struct tn_pg_entry *entry = first;
        uint32_t times = entry->leaving;

        first = entry->next_leaving;
        entry->leaving = 0;
        tn_pg_leave(scope, entry, &leavers, times);
    }
    tn_pg_leavers_fini(&leavers);
    return rc;
}

static enum tenon_err on_leave(struct tn_pg_scope *scope,
                               const struct tn_pg_pid *pid,
                               tenon_term leaving,
                               tenon_term groups)
{
    struct tn_pg_owner *peer = find_peer(scope, pid);
    enum tenon_err rc = TENON_OK;
    struct tn_pg_entry *first = NULL;
    struct pids pids;
    tenon_cursor at;
    tenon_term group;

    if (peer == NULL) {
        return TENON_E_NOT_FOUND;
    }
    if (!pids_init(&pids, leaving) || !tenon_term_is_proper_list(groups)) {
        return TENON_E_TERM_SHAPE;
    }
    tenon_cursor_init(&at, groups);
    while (tenon_cursor_next(&at, &group)) {
        note(&rc, mark_leaving(scope, peer, group, &first));
    }
    note(&rc, leave_groups(scope, &pids, first));
    return rc;
}

/* ---- messages ---------------------------------------------------------- */

/* {'DOWN', Ref, process, Pid, _}; of an older monitor of the same process it
 * says nothing. */
static enum tenon_err on_down(struct tn_pg_scope *scope,
                              const tenon_term part[5])
{
    struct tn_pg_pid pid;
    tenon_ref ref;

    if (tenon_term_ref(part[1], &ref) != TENON_OK ||
        !tn_pg_pid_of(&pid, part[3])) {
        return TENON_E_TERM_SHAPE;
    }
    struct tn_pg_local *process = tn_pg_find_process(scope, &pid);
    struct tn_pg_owner *peer = find_peer(scope, &pid);

    if (process != NULL && tenon_ref_equal(&process->monitor, &ref)) {
        tn_pg_process_ended(scope, process);
    } else if (peer != NULL && tenon_ref_equal(&peer->monitor, &ref)) {
        drop_peer(scope, peer);
    } else {
        return TENON_E_NOT_FOUND;
    }
    return TENON_OK;
}

static enum tenon_err feed_cast(struct tn_pg_scope *scope, tenon_term request)
{
    tenon_term part[3];
    struct tn_pg_pid from;

    if (tn_tuple_views(request, part, 3) &&
        tenon_term_is_atom(part[0], "sync") && tn_pg_pid_of(&from, part[1])) {
        return may_claim(scope, part[1]) ? on_sync(scope, &from, part[2])
                                         : TENON_E_NOT_ALLOWED;
    }
    return TENON_E_TERM_SHAPE;
}

static enum tenon_err feed_info(struct tn_pg_scope *scope, tenon_term message)
{
    tenon_term part[5];
    struct tn_pg_pid from;
    size_t count = tenon_term_count(message);

    if (count < 2 || count > 5 || !tn_tuple_views(message, part, count)) {
        return TENON_E_TERM_SHAPE;
    }
    if (count == 5 && tenon_term_is_atom(part[0], "DOWN")) {
        return on_down(scope, part);
    }
    if (count == 5 || !tn_pg_pid_of(&from, part[1])) {
        return TENON_E_TERM_SHAPE;
    }
    if (!may_claim(scope, part[1])) {
        return TENON_E_NOT_ALLOWED;
    }
    if (count <= 3 && tenon_term_is_atom(part[0], "discover")) {
        return on_discover(scope, &from);
    }
    if (count == 4 && tenon_term_is_atom(part[0], "join")) {
        return on_join(scope, &from, part[2], part[3]);
    }
    if (count == 4 && tenon_term_is_atom(part[0], "leave")) {
        return on_leave(scope, &from, part[2], part[3]);
    }
    return TENON_E_TERM_SHAPE;
}

enum tenon_err tn_pg_scope_feed(struct tn_pg_scope *scope, tenon_term message)
{
    struct tn_gen gen = tn_gen_parse(message);

    switch (gen.kind) {
    case TN_GEN_CAST:
        return feed_cast(scope, gen.request);
    case TN_GEN_INFO:
        return feed_info(scope, message);
    case TN_GEN_CALL:
    case TN_GEN_SYSTEM:
        break;
    }
    return TENON_E_TERM_SHAPE;
}

/* ---- life -------------------------------------------------------------- */

void tn_pg_scope_init(struct tn_pg_scope *scope,
                      const struct tn_pg_ops *ops,
                      void *user,
                      const struct tn_sip_key *hash_key,
                      tenon_term self)
{
    *scope = (struct tn_pg_scope){
        .ops = ops,
        .user = user,
        .self = self,
        .groups = { .hash_key = hash_key,
                    .members_max = TENON_PG_MEMBERS_MAX,
                    .bytes_max = TENON_PG_GROUPS_MAX_BYTES },
        .local = { .hash_key = hash_key, .is_local = true },
    };
}

void tn_pg_scope_fini(struct tn_pg_scope *scope)
{
    struct tn_pg_owner *peer, *next_peer;
    struct tn_pg_entry *entry, *next_entry;
    struct tn_pg_local *process, *next_process;
    struct tn_pg_change left;

    scope->watched = false;
    tn_pg_change_init(&left);
    HASH_ITER(hh, scope->peers, peer, next_peer)
    {
        drop_peer(scope, peer);
    }
    HASH_ITER(hh, scope->local.entries, entry, next_entry)
    {
        tn_pg_drop_entry(scope, &left, entry);
    }
    HASH_ITER(hh, scope->processes, process, next_process)
    {
        tn_pg_forget_process(scope, process);
    }
    tn_pg_change_fini(&left);
}
