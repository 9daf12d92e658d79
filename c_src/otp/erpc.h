/* SPDX-License-Identifier: Apache-2.0 */
/* Running functions for others: erpc's entry functions, and the finding of
 * what a module, a name and arguments call. */
#ifndef TN_OTP_ERPC_H
#define TN_OTP_ERPC_H

#include <stdbool.h>

#include <tenon/node.h>

#include "node/function.h"
#include "otp/result.h"

/* Adds what spawn requests may name besides registered functions:
 * erpc:execute_call/4, erpc:execute_cast/3, erlang:apply/2, erlang:apply/3.
 * Errors: EXISTS, NOMEM. */
TENON_CHECK enum tenon_err tn_erpc_add_entries(tenon_node *node,
                                               tenon_error *err);

/* Sets run->target to the function that run->module, name and args call; goes
 * through erlang:apply to what it applies, and then changes those three. What
 * is no call at all gets a target that raises as erlang:apply/3 does; what is
 * not registered keeps a target without fn; what run->origin may not run raises
 * not_allowed. Any terms are fine.
 * Threads: any, without the lock. */
void tn_run_resolve(tenon_node *node, struct tn_run *run);

/* For tn_call_ops of calls that are answered by a message: the function has
 * returned without an answer. It gave nil, or, when it has ended its process,
 * it exited. */
void tn_run_unanswered(tenon_call *call);

/* For calls that are answered by a message: ends the process that ran the
 * function. When it had ended before, by an exit signal or on its own, that is
 * how the call ended: `ending` then says so.
 *
 * reason  set to what ending->value then lies in, or to NULL. owned:
 *         tenon_value_free.
 * Threads: any, without the lock. */
void tn_run_end(const tenon_call *call,
                struct tn_ending *ending,
                tenon_value **reason);

#endif
