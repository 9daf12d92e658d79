/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that run functions on request by message: `rex`, and a
 * nameless one for the node's own calls. */
#ifndef TN_OTP_REX_H
#define TN_OTP_REX_H

#include <tenon/node.h>
#include <tenon/process.h>

/* Starts the process registered as rex: features_request, call, block_call,
 * cast, sbcast and send, in the forms of OTP 23 to 29. Others are dropped, as
 * rpc.erl does.
 * Errors: those of tn_process_start. */
TENON_CHECK enum tenon_err tn_rex_start(tenon_node *node, tenon_error *err);

/* Starts the process that runs functions for callers on this node. A gen call
 * [_, Module, Function, Args] is answered with erpc's exit reason, tagged by
 * the call's own tag.
 * Errors: those of tn_process_start. */
TENON_CHECK enum tenon_err tn_local_rpc_start(tenon_node *node,
                                              tenon_error *err);

/* Its pid; all zero when it was never started. Threads: any, without the
 * lock. */
void tn_local_rpc_pid(tenon_node *node, tenon_pid *pid);

#endif
