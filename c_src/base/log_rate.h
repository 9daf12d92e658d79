/* SPDX-License-Identifier: Apache-2.0 */
/* How many log lines of one event one peer may cause, and all peers together:
 * token buckets, in tables of a fixed size. Whoever reaches its rate leaves out
 * lines, and the next line that is written says how many. */
#ifndef TN_BASE_LOG_RATE_H
#define TN_BASE_LOG_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"

/* Peers, or addresses, that are told apart; of more than these the one that was
 * quiet for longest begins anew. */
#define TN_LOG_RATE_PEERS 1024

typedef struct tn_log_rate tn_log_rate;

/* secret: copied. NULL: out of memory, or no room for a lock. */
tn_log_rate *tn_log_rate_new(const struct tn_sip_key *secret);
void tn_log_rate_free(tn_log_rate *rate);

/* Whether a line may be written now.
 *
 * event     lives as long as the rate: a word of the program.
 * peer      who caused it: a node's name, or an address, whose port does not
 *           count; NULL: nobody in particular.
 * left_out  set when it may: lines like it that were left out before.
 * Threads: any. Blocks: no. */
bool tn_log_rate_take(tn_log_rate *rate,
                      const char *event,
                      const char *peer,
                      uint64_t now_ms,
                      uint64_t *left_out);

/* Lines that were left out so far. Threads: any. */
uint64_t tn_log_rate_left_out(tn_log_rate *rate);

#endif
