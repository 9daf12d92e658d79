/* SPDX-License-Identifier: Apache-2.0 */
/* What a retry sends, and the retries of those who do not decide themselves. */
#include "x3m/alarm_retry.h"

#include "x3m/message.h"

/* Between two tries: doubled each time, up to the longest. */
#define FIRST_RETRY_MS 1000u
#define LONGEST_RETRY_MS 60000u

enum tenon_err tn_alarm_renew(tenon_message *message)
{
    tn_message_set_const(message, TN_FIELD_REQUEST, tn_const_nil());
    tn_message_set_const(message, TN_FIELD_VALID, tn_const_bool(true));
    tn_message_set_const(message, TN_FIELD_RESPONSE, tn_const_nil());
    tn_message_set_const(message, TN_FIELD_EVENTS, tn_const_empty_list());
    tn_message_set_const(message, TN_FIELD_HALTED, tn_const_bool(false));
    tenon_term term = tenon_message_term(message);

    if (term.bytes == NULL) {
        return TENON_E_NOMEM;
    }
    return term.len > TENON_ALARM_MAX_BYTES ? TENON_E_LIMIT : TENON_OK;
}

uint64_t tn_alarm_attempts(const tenon_message *message)
{
    uint64_t attempts = 0;
    tenon_term value;

    if (tenon_map_get_atom(tn_message_field(message, TN_FIELD_ASSIGNS),
                           "dispatch_attempts", &value) < 0 ||
        tenon_term_uint64(value, &attempts) < 0) {
        return 0;
    }
    return attempts;
}

/* True when no service has answered. */
static bool is_unanswered(tenon_term response)
{
    return tenon_match(response, "{:service_unavailable, _}") ||
           tenon_match(response, "{:service_timeout, _, _, _}") ||
           tenon_match(response, "{:error, {:badrpc, _}}") ||
           tenon_match(response, "{:error, {:no_nodes_available, _}}");
}

enum tenon_alarm_next
tn_alarm_responded(tenon_message *message, uint64_t *retry_in_ms, void *state)
{
    uint64_t wait_ms = FIRST_RETRY_MS;

    (void)state;
    if (!is_unanswered(tn_message_field(message, TN_FIELD_RESPONSE))) {
        return TENON_ALARM_DONE;
    }
    for (uint64_t left = tn_alarm_attempts(message);
         left > 1 && wait_ms < LONGEST_RETRY_MS; left--) {
        wait_ms *= 2;
    }
    *retry_in_ms = wait_ms < LONGEST_RETRY_MS ? wait_ms : LONGEST_RETRY_MS;
    return TENON_ALARM_RETRY;
}
