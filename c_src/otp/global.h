/* SPDX-License-Identifier: Apache-2.0 */
/* The process registered as global_name_server: a member of the mesh, or the
 * little that keeps the members content. */
#ifndef TN_OTP_GLOBAL_H
#define TN_OTP_GLOBAL_H

#include <tenon/error.h>
#include <tenon/node.h>

struct tn_global;

/* Starts what the node's configuration asks for: a member, unless it is hidden
 * or has no_global.
 * Errors: those of tn_process_start, and NOMEM. */
TENON_CHECK enum tenon_err tn_global_start(tenon_node *node, tenon_error *err);

/* Answers init_connect with in_sync, so that global:sync/0 of a peer does not
 * wait for this node. To monitors and calls the name does not exist, so that
 * global:set_lock/1 passes this node over. */
TENON_CHECK enum tenon_err tn_global_quiet_start(tenon_node *node,
                                                 tenon_error *err);

/* Runs fn where the core may be used, on the loop or on the worker that is in
 * the core, and waits for its end. Of a member. STOPPED: the loop takes no more
 * jobs; SYSTEM. Threads: any; waits for a worker nowhere but off the loop. */
TENON_CHECK enum tenon_err tn_global_call(
    tenon_node *node, void (*fn)(tenon_node *node, void *user), void *user);

/* The member's core; NULL when the node is none. For who is in tn_global_call,
 * but for what is said to be for any thread. Threads: any. */
struct tn_global *tn_global_of(tenon_node *node);

#endif
