/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes in which the end of a called function travels: erpc's exit
 * reasons and rex's replies. Sends nothing. */
#ifndef TN_OTP_RESULT_H
#define TN_OTP_RESULT_H

#include <stdbool.h>

#include <tenon/term.h>

#include "node/call.h"

/* Most arguments with which a function can be applied, as on BEAM; that none
 * of so many exists is another matter. */
#define TN_ARGS_MAX 1023u

/* How a function ended, and which: what the shapes are made of. */
struct tn_ending {
    enum tn_outcome outcome;
    tenon_term value;
    tenon_term module; /* these three may be any terms */
    tenon_term name;
    tenon_term args;
};

static inline struct tn_ending
tn_ending_of(const tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    return (struct tn_ending){ outcome, value, call->module, call->name,
                               call->request };
}

/* Appends the exit reason of erpc:execute_call/4:
 *
 *   {tag, return, value}  {tag, throw, value}  {tag, exit, value}
 *   {tag, error, value, stack}
 *   {tag, error, {erpc, system_limit}}   too many arguments
 *
 * Errors: those of the builder. Threads: one. Blocks: no. */
enum tenon_err tn_build_erpc_result(tenon_builder *out,
                                    tenon_term tag,
                                    const struct tn_ending *ending);

/* Appends what rpc:call/4 returns: the value, what was thrown, {badrpc,
 * {'EXIT', value}} for an exit, {badrpc, {'EXIT', {value, stack}}} for an
 * error. As above. */
enum tenon_err tn_build_rpc_result(tenon_builder *out,
                                   const struct tn_ending *ending);

/* Appends the stack of a failed function: [{module, name, arguments, []}] for
 * the reasons with which BEAM shows the arguments, else with their number in
 * their place; when module:name(arguments) is no call at all, the stack of
 * erlang:apply/3. */
enum tenon_err tn_build_ending_stack(tenon_builder *out,
                                     const struct tn_ending *ending);

#endif
