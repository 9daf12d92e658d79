/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a pg scope's protocol share: pg_scope.c (peers), pg_own.c
 * (own processes), pg_change.c (what changes), pg_read.c. */
#ifndef TN_OTP_PG_IMPL_H
#define TN_OTP_PG_IMPL_H

#include "base/buf.h"
#include "otp/pg_scope.h"

/* The pids that have come to a group or left it, as a list in the making. */
struct tn_pg_change {
    struct tn_buf list;
    uint32_t count;
    bool failed;
};

void tn_pg_change_init(struct tn_pg_change *change);
void tn_pg_change_fini(struct tn_pg_change *change);
void tn_pg_change_add(const struct tn_pg_scope *scope,
                      struct tn_pg_change *change,
                      const struct tn_pg_member *member,
                      uint32_t times);
/* Tells of the change, when there was one, and empties it. */
void tn_pg_change_tell(const struct tn_pg_scope *scope,
                       struct tn_pg_change *change,
                       bool joined,
                       tenon_term group);

/* One more membership. Errors: LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_pg_add_member(struct tn_pg_scope *scope,
                                            struct tn_pg_entry *entry,
                                            const struct tn_pg_pid *pid,
                                            struct tn_pg_member **member);
/* Takes a member out of its group as often as it was in; likewise all members
 * of an entry, with the entry, and tells. */
void tn_pg_drop_member(struct tn_pg_scope *scope,
                       struct tn_pg_change *left,
                       struct tn_pg_member *member);
void tn_pg_drop_entry(struct tn_pg_scope *scope,
                      struct tn_pg_change *left,
                      struct tn_pg_entry *entry);

/* Processes that leave groups, each with how often: read once, so that a
 * message takes no longer than it is long and than there are memberships. */
struct tn_pg_leaver;
struct tn_pg_leavers {
    struct tn_pg_leaver *table;
};
/* Adds one of the message's. Errors: TERM_SHAPE, NOMEM. */
TENON_CHECK enum tenon_err tn_pg_leavers_add(const struct tn_pg_scope *scope,
                                             struct tn_pg_leavers *leavers,
                                             tenon_term pid);
void tn_pg_leavers_fini(struct tn_pg_leavers *leavers);
/* Takes them out of a group, which stands `times` times in the message; tells,
 * and frees what is empty. */
void tn_pg_leave(struct tn_pg_scope *scope,
                 struct tn_pg_entry *entry,
                 const struct tn_pg_leavers *leavers,
                 uint32_t times);

/* Sends what has been built; to all who know our members. */
void tn_pg_send(struct tn_pg_scope *scope,
                tenon_term to,
                const tenon_builder *built);
void tn_pg_tell_peers(struct tn_pg_scope *scope, const tenon_builder *built);

/* How many memberships an entry has. */
size_t tn_pg_entry_size(const struct tn_pg_entry *entry);
/* Appends the pids of an entry one after the other. */
void tn_pg_build_pids(tenon_builder *out, const struct tn_pg_entry *entry);

/* A local process and what it has joined. */
struct tn_pg_local {
    UT_hash_handle hh; /* by pid */
    struct tn_pg_member_list members;
    tenon_ref monitor;
    struct tn_pg_pid pid;
};

/* NULL: it has joined nothing. */
struct tn_pg_local *tn_pg_find_process(const struct tn_pg_scope *scope,
                                       const struct tn_pg_pid *pid);
/* It is out of all its groups. */
void tn_pg_process_ended(struct tn_pg_scope *scope,
                         struct tn_pg_local *process);
void tn_pg_forget_process(struct tn_pg_scope *scope,
                          struct tn_pg_local *process);

#endif
