/* SPDX-License-Identifier: Apache-2.0 */
/* Delivering again: whether, when, and what. */
#ifndef TN_X3M_ALARM_RETRY_H
#define TN_X3M_ALARM_RETRY_H

#include <tenon/scheduler.h>

/* Makes what goes again of a reply: request, valid?, response, events and
 * halted? are those of a new message.
 * Errors: LIMIT (above TENON_ALARM_MAX_BYTES), NOMEM. */
TENON_CHECK enum tenon_err tn_alarm_renew(tenon_message *message);

/* How often it has been delivered; 0 when the message does not say. */
uint64_t tn_alarm_attempts(const tenon_message *message);

/* The service_responded that is used when none is given. */
enum tenon_alarm_next
tn_alarm_responded(tenon_message *message, uint64_t *retry_in_ms, void *state);

#endif
