/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of one pg scope, version 0, which OTP 23 to 29 all speak: is
 * fed what the scope process gets, and says what it has to do. No I/O, no
 * lock. */
#ifndef TN_OTP_PG_SCOPE_H
#define TN_OTP_PG_SCOPE_H

#include <stdbool.h>

#include <tenon/pg.h>

#include "otp/pg_groups.h"

/* Most peers of one scope. */
#define TN_PG_PEERS_MAX 4096u

/* What the scope asks for. None may call back into the scope. */
struct tn_pg_ops {
    /* Sends a message to the scope process of a peer. It must arrive, or the
     * connection end: a peer that misses one of them dies of a later one. */
    void (*send)(void *user, tenon_term to, tenon_term message);
    /* Monitors a process. On failure nothing of it is taken. */
    enum tenon_err (*monitor)(void *user, tenon_term pid, tenon_ref *ref);
    void (*demonitor)(void *user, const tenon_ref *ref);
    /* Members have come or gone. pids: the null view when there was no memory
     * for it. Not called while `watched` is false. */
    void (*changed)(void *user, bool joined, tenon_term group, tenon_term pids);
    /* Something long is under way: others may use the scope now, but for what
     * is fed to it. NULL: nobody waits. */
    void (*let_others)(void *user);
    /* Whether what the sender of the message that is being fed says of a
     * process counts. NULL: always. */
    bool (*may_claim)(void *user, tenon_term pid);
    /* Whose message is being handled; NULL: nobody's, or no such function. */
    tn_account *(*account)(void *user);
};

/* Embedded. */
struct tn_pg_scope {
    const struct tn_pg_ops *ops;
    void *user;
    tenon_term self; /* our scope process; borrowed */
    bool watched;    /* `changed` is wanted */
    struct tn_pg_groups groups;
    struct tn_pg_owner local;
    struct tn_pg_owner *peers;     /* by the pid of their scope process */
    struct tn_pg_local *processes; /* local processes that have joined */
};

void tn_pg_scope_init(struct tn_pg_scope *scope,
                      const struct tn_pg_ops *ops,
                      void *user,
                      const struct tn_sip_key *hash_key,
                      tenon_term self);
void tn_pg_scope_fini(struct tn_pg_scope *scope);

/* One message of the scope process. Errors: TERM_SHAPE (none of the protocol's,
 * dropped), NOT_FOUND (from a scope that we do not know, dropped), NOT_ALLOWED
 * (of a process that its sender may not speak for: left out), LIMIT and NOMEM
 * (part of it was left out). */
enum tenon_err tn_pg_scope_feed(struct tn_pg_scope *scope, tenon_term message);

/* Forgets the peers on a node, which is lost. */
void tn_pg_scope_node_down(struct tn_pg_scope *scope, const char *name);

/* A process of this node joins or leaves a group, in canonical form and not too
 * deep to be told of (tn_leaves_levels). Errors:
 * LIMIT, NOMEM, NOPROC (it cannot be monitored); NOT_FOUND. */
TENON_CHECK enum tenon_err
tn_pg_scope_join(struct tn_pg_scope *scope, tenon_term group, tenon_term pid);
enum tenon_err
tn_pg_scope_leave(struct tn_pg_scope *scope, tenon_term group, tenon_term pid);

/* Appends the list of members, of groups; the map of both. Errors: those of
 * the builder. */
enum tenon_err tn_pg_scope_members(const struct tn_pg_scope *scope,
                                   tenon_term group,
                                   enum tenon_pg_whose whose,
                                   tenon_builder *out);
enum tenon_err tn_pg_scope_groups(const struct tn_pg_scope *scope,
                                  enum tenon_pg_whose whose,
                                  tenon_builder *out);
enum tenon_err tn_pg_scope_all(const struct tn_pg_scope *scope,
                               tenon_builder *out);

#endif
