/* SPDX-License-Identifier: Apache-2.0 */
/* How a call of a service's function ended, read from the exit reason of the
 * process that ran it, as the library's dispatcher reads it. */
#ifndef TN_X3M_OUTCOME_H
#define TN_X3M_OUTCOME_H

#include <stdbool.h>

#include <tenon/x3m.h>

/* True when the function returned. Otherwise appends the Reason of {badrpc,
 * Reason} to `badrpc`.
 *
 * reason  of an erpc process: {Res, return, Value}, {Res, error, Reason,
 *         Stack}, {Res, exit, Reason}, {Res, throw, Value}, or any other.
 * res     the reference the call was made with.
 * value   set when it returned: what; lies in reason. */
bool tn_outcome_returned(tenon_term reason,
                         const tenon_ref *res,
                         tenon_term *value,
                         tenon_builder *badrpc);

/* What is told of a value that somebody else chose: itself, or the atom
 * system_limit when it is nested too deeply for {error, {badrpc, {Tag, Value}}}
 * in a message. Who waits for that must be told. */
tenon_term tn_badrpc_told(tenon_term value);

/* Each appends one Reason; stack may be the null view. */
void tn_badrpc_returned(tenon_builder *badrpc, tenon_term value);
void tn_badrpc_raised(tenon_builder *badrpc,
                      tenon_term reason,
                      tenon_term stack);
void tn_badrpc_exited(tenon_builder *badrpc, tenon_term reason);
void tn_badrpc_threw(tenon_builder *badrpc, tenon_term value);
/* The atom of a refused spawn. */
void tn_badrpc_refused(tenon_builder *badrpc, tenon_term why);

#endif
