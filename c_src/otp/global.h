/* SPDX-License-Identifier: Apache-2.0 */
/* The little that keeps the global name servers of BEAM nodes content: this
 * node is in nobody's list of known nodes, holds no names and no locks. */
#ifndef TN_OTP_GLOBAL_H
#define TN_OTP_GLOBAL_H

#include <tenon/node.h>

/* Answers init_connect with in_sync, so that global:sync/0 of a peer does not
 * wait for this node. To monitors and calls the name does not exist, so that
 * global:set_lock/1 passes this node over.
 * Errors: those of tn_process_start. */
TENON_CHECK enum tenon_err tn_global_start(tenon_node *node, tenon_error *err);

#endif
