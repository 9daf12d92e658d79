/* SPDX-License-Identifier: Apache-2.0 */
/* The memberships that one scope knows: which process is in which group, how
 * often, and whose word that is. Tables only; sends nothing. */
#ifndef TN_OTP_PG_GROUPS_H
#define TN_OTP_PG_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tenon/pg.h>

#include "base/account.h"
#include "base/hash.h"

/* A pid in the one form that we write: NEW_PID_EXT, the node as
 * SMALL_ATOM_UTF8_EXT. */
struct tn_pg_pid {
    size_t len;
    uint8_t bytes[15 + TENON_NODE_NAME_MAX_BYTES];
};

/* False when the term is no pid, or one of a node with too long a name. */
bool tn_pg_pid_of(struct tn_pg_pid *pid, tenon_term term);

static inline tenon_term tn_pg_pid_term(const struct tn_pg_pid *pid)
{
    return (tenon_term){ pid->bytes, pid->len };
}

struct tn_pg_entry;
LIST_HEAD(tn_pg_entry_list, tn_pg_entry);
struct tn_pg_member;
LIST_HEAD(tn_pg_member_list, tn_pg_member);

/* A process in a group, on the word of one owner. */
struct tn_pg_member {
    UT_hash_handle hh;                   /* of its entry, by pid */
    LIST_ENTRY(tn_pg_member) of_process; /* local ones: see pg_scope.h */
    struct tn_pg_entry *entry;
    uint32_t count; /* how often it has joined */
    uint32_t fresh; /* the same, in the announcement that is being read */
    size_t len;
    uint8_t pid[];
};

/* The members of a group on the word of one owner; never without one, but for
 * the time between tn_pg_entry_get and tn_pg_entry_tidy. */
struct tn_pg_entry {
    UT_hash_handle hh; /* of the owner, by the group's address */
    LIST_ENTRY(tn_pg_entry) of_group;
    struct tn_pg_group *group;
    struct tn_pg_owner *owner;
    struct tn_pg_member *members;
    uint32_t round; /* the owner's, when it last announced this group */
    /* While a message is read in which processes leave groups: how often this
     * one stands in it, and the next that does. */
    uint32_t leaving;
    struct tn_pg_entry *next_leaving;
};

/* A group; gone with its last entry. */
struct tn_pg_group {
    UT_hash_handle hh; /* by its name's canonical form */
    struct tn_pg_entry_list entries;
    size_t len;
    uint8_t name[];
};

/* Who announces members: this node, or the scope process of another. */
struct tn_pg_owner {
    UT_hash_handle hh; /* by pid */
    const struct tn_sip_key *hash_key;
    struct tn_pg_entry *entries;
    tn_account *account; /* kept, of the peer; what it announces is there */
    bool is_local;
    bool told;      /* it has our members, and so is told of each change */
    uint32_t round; /* of its announcements of everything */
    tenon_ref monitor;
    struct tn_pg_pid pid;
};

/* Most processes in groups that one peer may announce, in all scopes. */
#define TN_PG_PEER_MEMBERS_MAX (TENON_PG_MEMBERS_MAX / 4)
/* The same for the names of the groups, counted in each scope, and for the
 * processes that announce: one for a scope, unless that restarts. */
#define TN_PG_PEER_GROUPS_MAX_BYTES (TENON_PG_GROUPS_MAX_BYTES / 4)
#define TN_PG_PEER_SCOPES_MAX (2 * TENON_PG_SCOPES_MAX)

/* Empty: no more than the key and the limits. */
struct tn_pg_groups {
    const struct tn_sip_key *hash_key; /* the node's */
    struct tn_pg_group *table;
    size_t memberships;
    size_t name_bytes;
    size_t members_max; /* set by its owner */
    size_t bytes_max;
};

static inline tenon_term tn_pg_group_name(const struct tn_pg_group *group)
{
    return (tenon_term){ group->name, group->len };
}

static inline tenon_term tn_pg_member_pid(const struct tn_pg_member *member)
{
    return (tenon_term){ member->pid, member->len };
}

/* All below: names of groups in canonical form. */

/* NULL: no member is known. */
struct tn_pg_group *tn_pg_group_find(const struct tn_pg_groups *groups,
                                     tenon_term name);
struct tn_pg_entry *tn_pg_entry_find(const struct tn_pg_groups *groups,
                                     const struct tn_pg_owner *owner,
                                     tenon_term name);
/* The same, made when there is none. Errors: LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_pg_entry_get(struct tn_pg_groups *groups,
                                           struct tn_pg_owner *owner,
                                           tenon_term name,
                                           struct tn_pg_entry **entry);
/* Frees an entry without members, and a group without entries. */
void tn_pg_entry_tidy(struct tn_pg_groups *groups, struct tn_pg_entry *entry);

/* NULL: not in it. */
struct tn_pg_member *tn_pg_member_find(const struct tn_pg_entry *entry,
                                       const struct tn_pg_pid *pid);
/* The member, made with a count of zero when there is none. Errors: LIMIT (the
 * owner's account), NOMEM. */
TENON_CHECK enum tenon_err tn_pg_member_get(struct tn_pg_entry *entry,
                                            const struct tn_pg_pid *pid,
                                            struct tn_pg_member **member);
/* Sets how often it has joined. Errors: LIMIT (it was to rise); the count is
 * then as before. */
enum tenon_err tn_pg_member_set(struct tn_pg_groups *groups,
                                struct tn_pg_member *member,
                                uint32_t count);
/* Frees a member whose count is zero. */
void tn_pg_member_tidy(struct tn_pg_member *member);

#endif
