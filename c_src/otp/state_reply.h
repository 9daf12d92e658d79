/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to get_state and replace_state, whose shape depends on the
 * caller's release: the state, or from stdlib 5.1 (OTP 26.1) on {ok, state}. */
#ifndef TN_OTP_STATE_REPLY_H
#define TN_OTP_STATE_REPLY_H

#include <tenon/process.h>

#include "otp/gen.h"

/* Answers a system request of `self` with a state, copied. A caller whose flags
 * do not tell its release is asked for it first, and answered when it has
 * said: so this does not block. What cannot be found out counts as new.
 * Errors: NOMEM, TERM_DEEP; those of the reply are nobody's. Threads: any. */
enum tenon_err
tn_state_reply(tenon_process *self, const struct tn_gen *gen, tenon_term state);

#endif
