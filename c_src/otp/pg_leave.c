/* SPDX-License-Identifier: Apache-2.0 */
/* Many processes that leave many groups. The processes are put into a table
 * first: with a list of each, a message of 1 MB would be looked through 100,000
 * times. */
#include <stdlib.h>

#include "otp/pg_impl.h"

struct tn_pg_leaver {
    UT_hash_handle hh; /* by pid */
    uint32_t times;
    struct tn_pg_pid pid;
};

static struct tn_pg_leaver *find_leaver(const struct tn_pg_scope *scope,
                                        const struct tn_pg_leavers *leavers,
                                        const void *pid,
                                        size_t len)
{
    struct tn_pg_leaver *leaver;

    TN_HASH_FIND(hh, leavers->table, scope->groups.hash_key, pid, len, leaver);
    return leaver;
}

enum tenon_err tn_pg_leavers_add(const struct tn_pg_scope *scope,
                                 struct tn_pg_leavers *leavers,
                                 tenon_term term)
{
    struct tn_pg_pid pid;

    if (!tn_pg_pid_of(&pid, term)) {
        return TENON_E_TERM_SHAPE;
    }
    struct tn_pg_leaver *leaver =
        find_leaver(scope, leavers, pid.bytes, pid.len);

    if (leaver == NULL) {
        leaver = malloc(sizeof *leaver);
        if (leaver == NULL) {
            return TENON_E_NOMEM;
        }
        leaver->times = 0;
        leaver->pid = pid;
        TN_HASH_ADD(hh, leavers->table, scope->groups.hash_key,
                    leaver->pid.bytes, pid.len, leaver);
        if (!TN_HASH_HAS(hh, leaver)) {
            free(leaver);
            return TENON_E_NOMEM;
        }
    }
    leaver->times += leaver->times < UINT32_MAX;
    return TENON_OK;
}

void tn_pg_leavers_fini(struct tn_pg_leavers *leavers)
{
    struct tn_pg_leaver *leaver, *next;

    HASH_ITER(hh, leavers->table, leaver, next)
    {
        HASH_DELETE(hh, leavers->table, leaver);
        free(leaver);
    }
}

static void leave_one(struct tn_pg_scope *scope,
                      struct tn_pg_change *left,
                      struct tn_pg_member *member,
                      uint64_t times)
{
    uint32_t leaves = times < member->count ? (uint32_t)times : member->count;

    tn_pg_change_add(scope, left, member, leaves);
    (void)tn_pg_member_set(&scope->groups, member, member->count - leaves);
    tn_pg_member_tidy(member);
}

/* For few members and many who leave. */
static void leave_members(struct tn_pg_scope *scope,
                          struct tn_pg_change *left,
                          struct tn_pg_entry *entry,
                          const struct tn_pg_leavers *leavers,
                          uint32_t times)
{
    struct tn_pg_member *member, *next;

    HASH_ITER(hh, entry->members, member, next)
    {
        const struct tn_pg_leaver *leaver =
            find_leaver(scope, leavers, member->pid, member->len);

        if (leaver != NULL) {
            leave_one(scope, left, member, (uint64_t)leaver->times * times);
        }
    }
}

/* For many members and few who leave. */
static void leave_leavers(struct tn_pg_scope *scope,
                          struct tn_pg_change *left,
                          struct tn_pg_entry *entry,
                          const struct tn_pg_leavers *leavers,
                          uint32_t times)
{
    for (const struct tn_pg_leaver *leaver = leavers->table; leaver != NULL;
         leaver = leaver->hh.next) {
        struct tn_pg_member *member = tn_pg_member_find(entry, &leaver->pid);

        if (member != NULL) {
            leave_one(scope, left, member, (uint64_t)leaver->times * times);
        }
    }
}

void tn_pg_leave(struct tn_pg_scope *scope,
                 struct tn_pg_entry *entry,
                 const struct tn_pg_leavers *leavers,
                 uint32_t times)
{
    struct tn_pg_change left;

    tn_pg_change_init(&left);
    if (HASH_COUNT(entry->members) < HASH_COUNT(leavers->table)) {
        leave_members(scope, &left, entry, leavers, times);
    } else {
        leave_leavers(scope, &left, entry, leavers, times);
    }
    tn_pg_change_tell(scope, &left, false, tn_pg_group_name(entry->group));
    tn_pg_change_fini(&left);
    tn_pg_entry_tidy(&scope->groups, entry);
}
