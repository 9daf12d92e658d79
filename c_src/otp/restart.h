/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of supervisors of both kinds: which ends are orderly, and how often
 * children may be started again. Starts nothing. */
#ifndef TN_OTP_RESTART_H
#define TN_OTP_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/term.h>

/* The restarts of late; embedded by the supervisor. */
struct tn_restarts {
    uint32_t max;
    uint64_t span_ms;
    uint32_t count;
    uint64_t *at_ms; /* room for max + 1, tn_now_ms; oldest first */
};

/* Notes one more. False: within the span there were more than `max`. */
bool tn_restarts_note(struct tn_restarts *restarts);

/* Whether a transient child that ends so is left alone: normal, shutdown,
 * {shutdown, term}. */
bool tn_is_orderly_end(tenon_term reason);

#endif
