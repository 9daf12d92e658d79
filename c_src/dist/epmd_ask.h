/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to epmd with waiting: reaching it, starting it, what it knows. For
 * the start of a node, for a thread of its own, for the command line. */
#ifndef TN_DIST_EPMD_ASK_H
#define TN_DIST_EPMD_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/error.h>

/* True when this machine's epmd answers.
 * Blocks: until `deadline_ms` of tn_now_ms. */
bool tn_epmd_is_running(uint64_t deadline_ms);

/* Starts epmd and waits until it answers.
 * Errors: EPMD. Blocks: until `deadline_ms` of tn_now_ms. */
TENON_CHECK enum tenon_err tn_epmd_start(uint64_t deadline_ms,
                                         tenon_error *err);

/* True when this machine's epmd has the name; false also when it cannot be
 * asked. Blocks: until `deadline_ms` of tn_now_ms. */
bool tn_epmd_has_name(const char *alive, uint64_t deadline_ms);

/* Milliseconds until then; 0 when it has passed. */
uint32_t tn_epmd_left_ms(uint64_t deadline_ms);

#endif
