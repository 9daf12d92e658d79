/* SPDX-License-Identifier: Apache-2.0 */
/* The process registered as net_kernel: answers pings, and the spawns of nodes
 * that do not use spawn requests. */
#ifndef TN_OTP_NET_KERNEL_H
#define TN_OTP_NET_KERNEL_H

#include <tenon/node.h>

/* Serves {is_auth, Node}, and {spawn, ...}, {spawn_link, ...}, {spawn_opt,
 * ...}. All else is dropped, as net_kernel.erl does with what it does not know.
 * Errors: those of tn_process_start. */
TENON_CHECK enum tenon_err tn_net_kernel_start(tenon_node *node,
                                               tenon_error *err);

#endif
