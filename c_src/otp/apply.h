/* SPDX-License-Identifier: Apache-2.0 */
/* Running a registered function right here, for its result: what replaces a
 * server's state, what starts a supervisor's child. Starts no process. */
#ifndef TN_OTP_APPLY_H
#define TN_OTP_APPLY_H

#include <stdbool.h>

#include <tenon/process.h>

#include "node/call.h"
#include "node/function.h"

/* What a function has made of its call; to be released by tn_applied_fini. */
struct tn_applied {
    enum tn_outcome outcome;
    tenon_value *value;
};

/* Runs a function in the calling thread, as `self`.
 *
 * target   what runs; its flags are not looked at.
 * name     module and name, for stacks; may be null views.
 * args     the argument list.
 * applied  how it ended. One that gives no answer gives nil, also when it has
 *          kept its call: an answer that comes later is dropped.
 * Errors: NOMEM. Threads: a handler of `self`. Blocks: as the function does. */
TENON_CHECK enum tenon_err tn_apply(tenon_process *self,
                                    const struct tn_target *target,
                                    const tenon_term name[2],
                                    tenon_term args,
                                    struct tn_applied *applied);
void tn_applied_fini(struct tn_applied *applied);

#endif
