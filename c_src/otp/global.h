/* SPDX-License-Identifier: Apache-2.0 */
/* The process registered as global_name_server: a member of the mesh, or the
 * little that keeps the members content. */
#ifndef TN_OTP_GLOBAL_H
#define TN_OTP_GLOBAL_H

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

/* The member's core; NULL when the node is none. For the loop thread, but for
 * what is said to be for any. Threads: any. */
struct tn_global *tn_global_of(tenon_node *node);

#endif
