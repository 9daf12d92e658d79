/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups: named groups of processes of the whole cluster, kept alike
 * on every node that runs the same scope. The pg of OTP 23 to 29.
 *
 * A scope is started on each node that takes part (here tenon_pg_start, in
 * Erlang pg:start_link/1) and knows then the members that all connected nodes
 * have in it. A process may join a group several times, and has then to leave
 * it as often; one that ends, or whose node is lost, is out of every group.
 * Which members of several nodes are listed first is not said; each stands in
 * a list as often as it has joined.
 *
 * `scope` is borrowed everywhere; NULL is the node's own default, `pg` unless
 * tenon_node_config.pg_scope says otherwise. `group` is any term, borrowed.
 * Peers ask the same by rpc: pg:get_members, get_local_members, which_groups,
 * which_local_groups, join and leave are answered once a scope was started. */
#ifndef TENON_PG_H
#define TENON_PG_H

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/process.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Scopes of one node. */
#define TENON_PG_SCOPES_MAX 64
/* Memberships that a scope knows, of all nodes; what peers announce beyond
 * these limits is left out and logged. */
#define TENON_PG_MEMBERS_MAX 1000000
/* Bytes of the term that names a group, and of those of all groups of a
 * scope. */
#define TENON_PG_GROUP_MAX_BYTES 65536
#define TENON_PG_GROUPS_MAX_BYTES (64 * 1024 * 1024)
/* Monitors of one scope. */
#define TENON_PG_MONITORS_MAX 1024

/* Starts a scope: registers its name, finds the nodes that run it, now and
 * whenever one is connected. It lives as long as the node.
 *
 * err  borrowed, may be NULL.
 * Errors: INVAL (no name for a scope), EXISTS (started, or the name is taken),
 * LIMIT, NOMEM, STOPPED.
 * Threads: any, not under a lock that a handler takes. Blocks: for a turn of
 * the loop. Source: pg:start_link/1. */
TENON_API TENON_CHECK enum tenon_err
tenon_pg_start(tenon_node *node, const char *scope, tenon_error *err);

/* A process of this node joins a group.
 * Errors: INVAL, NOPROC (no such scope here, or the process has ended), LIMIT,
 * NOMEM, TERM_BIG and TERM_DEEP (group: at most 496 levels).
 * Threads: any. Blocks: no. Source: pg:join/3. */
TENON_API TENON_CHECK enum tenon_err
tenon_pg_join(tenon_process *member, const char *scope, tenon_term group);

/* It leaves a group that it has joined, once.
 * Errors: INVAL, NOPROC (no such scope here), NOT_FOUND (not joined), NOMEM.
 * Threads: any. Blocks: no. Source: pg:leave/3. */
TENON_API enum tenon_err
tenon_pg_leave(tenon_process *member, const char *scope, tenon_term group);

/* Whose members. */
enum tenon_pg_whose {
    TENON_PG_ALL,
    TENON_PG_LOCAL, /* processes of this node */
};

/* Appends the list of the pids in a group; [] when there are none, also in a
 * scope that is not started.
 * Errors: INVAL; those of the builder. Threads: any. Blocks: no.
 * Source: pg:get_members/2, pg:get_local_members/2. */
TENON_API TENON_CHECK enum tenon_err tenon_pg_members(tenon_node *node,
                                                      const char *scope,
                                                      tenon_term group,
                                                      enum tenon_pg_whose whose,
                                                      tenon_builder *out);

/* Appends the list of the groups that have members.
 * Errors: INVAL, NOPROC (no such scope here); those of the builder.
 * Threads: any. Blocks: no. Source: pg:which_groups/1. */
TENON_API TENON_CHECK enum tenon_err tenon_pg_groups(tenon_node *node,
                                                     const char *scope,
                                                     enum tenon_pg_whose whose,
                                                     tenon_builder *out);

/* From now on `self` gets a message for each change of a group, in their
 * order, until it ends or demonitors:
 *
 *     {ref, :join, group, [pid, ...]}   {ref, :leave, group, [pid, ...]}
 *
 * A server's on_info takes them, or tenon_receive. A full mailbox drops them
 * as it drops any message.
 *
 * group  the null view: all groups of the scope.
 * ref    set on success.
 * now    may be NULL; gets what there is when it begins: the list of the pids
 *        in the group, or for all groups the map %{group => [pid, ...]}.
 * Errors: INVAL, NOPROC (no such scope here, or self has ended), LIMIT, NOMEM;
 * those of the builder.
 * Threads: any. Blocks: no. Source: pg:monitor/2, pg:monitor_scope/1. */
TENON_API TENON_CHECK enum tenon_err tenon_pg_monitor(tenon_process *self,
                                                      const char *scope,
                                                      tenon_term group,
                                                      tenon_ref *ref,
                                                      tenon_builder *now);

/* Ends a monitor; messages of it that are on their way may still come.
 * Errors: INVAL, NOPROC (no such scope here), NOT_FOUND.
 * Threads: any. Blocks: no. Source: pg:demonitor/2. */
TENON_API enum tenon_err tenon_pg_demonitor(tenon_process *self,
                                            const char *scope,
                                            const tenon_ref *ref);

#ifdef __cplusplus
}
#endif

#endif
