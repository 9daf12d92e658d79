/* SPDX-License-Identifier: Apache-2.0 */
/* The own processes of a pg scope: their joins, leaves and ends. */
#include <stdlib.h>
#include <string.h>

#include "otp/pg_impl.h"
#include "term/build.h"

/* To all who know our members. */
void tn_pg_tell_peers(struct tn_pg_scope *scope, const tenon_builder *built)
{
    struct tn_pg_owner *peer, *next;

    HASH_ITER(hh, scope->peers, peer, next)
    {
        if (peer->told) {
            tn_pg_send(scope, tn_pg_pid_term(&peer->pid), built);
        }
    }
}

struct tn_pg_local *tn_pg_find_process(const struct tn_pg_scope *scope,
                                       const struct tn_pg_pid *pid)
{
    struct tn_pg_local *process = NULL;

    TN_HASH_FIND(hh, scope->processes, scope->groups.hash_key, pid->bytes,
                 pid->len, process);
    return process;
}

void tn_pg_forget_process(struct tn_pg_scope *scope,
                          struct tn_pg_local *process)
{
    HASH_DELETE(hh, scope->processes, process);
    free(process);
}

static enum tenon_err get_process(struct tn_pg_scope *scope,
                                  const struct tn_pg_pid *pid,
                                  struct tn_pg_local **found)
{
    struct tn_pg_local *process = tn_pg_find_process(scope, pid);

    *found = process;
    if (process != NULL) {
        return TENON_OK;
    }
    process = calloc(1, sizeof *process);
    if (process == NULL) {
        return TENON_E_NOMEM;
    }
    LIST_INIT(&process->members);
    process->pid = *pid;
    TN_HASH_ADD(hh, scope->processes, scope->groups.hash_key,
                process->pid.bytes, process->pid.len, process);
    if (!TN_HASH_HAS(hh, process)) {
        free(process);
        return TENON_E_NOMEM;
    }
    enum tenon_err rc = scope->ops->monitor(scope->user, tn_pg_pid_term(pid),
                                            &process->monitor);

    if (rc != TENON_OK) {
        tn_pg_forget_process(scope, process);
        return rc;
    }
    *found = process;
    return TENON_OK;
}

static void tidy_process(struct tn_pg_scope *scope, struct tn_pg_local *process)
{
    if (LIST_EMPTY(&process->members)) {
        scope->ops->demonitor(scope->user, &process->monitor);
        tn_pg_forget_process(scope, process);
    }
}

static enum tenon_err add_local(struct tn_pg_scope *scope,
                                struct tn_pg_local *process,
                                tenon_term group,
                                struct tn_pg_member **member)
{
    struct tn_pg_entry *entry;
    enum tenon_err rc =
        tn_pg_entry_get(&scope->groups, &scope->local, group, &entry);

    if (rc == TENON_OK) {
        rc = tn_pg_add_member(scope, entry, &process->pid, member);
        tn_pg_entry_tidy(&scope->groups, entry);
    }
    if (rc == TENON_OK && (*member)->count == 1) {
        LIST_INSERT_HEAD(&process->members, *member, of_process);
    }
    return rc;
}

static void tell_own(struct tn_pg_scope *scope,
                     const struct tn_pg_member *member,
                     bool joined)
{
    tenon_term group = tn_pg_group_name(member->entry->group);
    tenon_term pid = tn_pg_member_pid(member);
    struct tn_pg_change change;
    tenon_builder out;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (joined) {
        tenon_format(&out, "{:join, ~t, ~t, ~t}", scope->self, group, pid);
    } else {
        tenon_format(&out, "{:leave, ~t, ~t, [~t]}", scope->self, pid, group);
    }
    tn_pg_tell_peers(scope, &out);
    tn_builder_fini(&out);
    tn_pg_change_init(&change);
    tn_pg_change_add(scope, &change, member, 1);
    tn_pg_change_tell(scope, &change, joined, group);
    tn_pg_change_fini(&change);
}

enum tenon_err
tn_pg_scope_join(struct tn_pg_scope *scope, tenon_term group, tenon_term who)
{
    struct tn_pg_local *process;
    struct tn_pg_member *member;
    struct tn_pg_pid pid;

    if (!tn_pg_pid_of(&pid, who)) {
        return TENON_E_INVAL;
    }
    enum tenon_err rc = get_process(scope, &pid, &process);

    if (rc != TENON_OK) {
        return rc;
    }
    rc = add_local(scope, process, group, &member);
    if (rc == TENON_OK) {
        tell_own(scope, member, true);
    } else {
        tidy_process(scope, process);
    }
    return rc;
}

/* The member of a local process in a group; NULL: it has not joined. */
static struct tn_pg_member *local_member(const struct tn_pg_scope *scope,
                                         tenon_term group,
                                         const struct tn_pg_pid *pid)
{
    struct tn_pg_entry *entry =
        tn_pg_entry_find(&scope->groups, &scope->local, group);

    return entry == NULL ? NULL : tn_pg_member_find(entry, pid);
}

enum tenon_err
tn_pg_scope_leave(struct tn_pg_scope *scope, tenon_term group, tenon_term who)
{
    struct tn_pg_pid pid;
    struct tn_pg_member *member =
        tn_pg_pid_of(&pid, who) ? local_member(scope, group, &pid) : NULL;

    if (member == NULL) {
        return TENON_E_NOT_FOUND;
    }
    struct tn_pg_entry *entry = member->entry;

    tell_own(scope, member, false);
    (void)tn_pg_member_set(&scope->groups, member, member->count - 1);
    if (member->count == 0) {
        LIST_REMOVE(member, of_process);
        tn_pg_member_tidy(member);
        tn_pg_entry_tidy(&scope->groups, entry);
        tidy_process(scope, tn_pg_find_process(scope, &pid));
    }
    return TENON_OK;
}

/* {leave, Self, Pid, Groups}, each group as often as it was joined. */
static void tell_of_end(struct tn_pg_scope *scope,
                        const struct tn_pg_local *process)
{
    struct tn_pg_member *member;
    tenon_builder out;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 4);
    tenon_build_atom(&out, "leave");
    tenon_build_term(&out, scope->self);
    tenon_build_term(&out, tn_pg_pid_term(&process->pid));
    struct tn_unsized list = tn_build_open_list(&out);
    size_t count = 0;

    LIST_FOREACH(member, &process->members, of_process)
    {
        for (uint32_t i = 0; i < member->count; i++, count++) {
            tenon_build_term(&out, tn_pg_group_name(member->entry->group));
        }
    }
    tenon_build_nil(&out);
    tn_build_close(&out, list, count);
    tn_pg_tell_peers(scope, &out);
    tn_builder_fini(&out);
}

void tn_pg_process_ended(struct tn_pg_scope *scope, struct tn_pg_local *process)
{
    struct tn_pg_member *member;
    struct tn_pg_change left;

    tell_of_end(scope, process);
    tn_pg_change_init(&left);
    while ((member = LIST_FIRST(&process->members)) != NULL) {
        struct tn_pg_entry *entry = member->entry;

        LIST_REMOVE(member, of_process);
        tn_pg_drop_member(scope, &left, member);
        tn_pg_change_tell(scope, &left, false, tn_pg_group_name(entry->group));
        tn_pg_entry_tidy(&scope->groups, entry);
    }
    tn_pg_change_fini(&left);
    tn_pg_forget_process(scope, process);
}
