/* SPDX-License-Identifier: Apache-2.0 */
/* The node's budget of memory for what peers make it keep, and what a peer's
 * quotas leave behind when they are reached: a count and a line in the log. */
#ifndef TN_NODE_QUOTA_H
#define TN_NODE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/node.h>

#include "base/account.h"

/* Default of the budget, on a machine that has twice as much. */
#define TN_MEMORY_MAX_BYTES_DEFAULT (1024u * 1024u * 1024u)

/* Of what the node has room for one peer gets at most this part. */
#define TN_QUOTA_PART 4u

/* wanted: as the user's memory_max_bytes; 0: the default. owned:
 * tn_budget_unref. NULL: out of memory. */
TENON_CHECK tn_budget *tn_quota_budget(size_t wanted);

/* One more thing that is kept for a peer, with the bytes that it takes. False,
 * counted and noted for the log, when the peer has `max` of them or there is no
 * room for the bytes.
 *
 * what  a static string: the thing's name in the log, in the plural.
 * Threads: any, as for the next three. */
bool tn_quota_take(tn_account *account,
                   enum tn_quota kind,
                   uint32_t max,
                   size_t bytes,
                   const char *what);
/* The same for things that nobody counts. */
bool tn_quota_charge(tn_account *account, size_t bytes, const char *what);
/* Whether there is room, to be charged by something else; else as above. */
bool tn_quota_has_room(tn_account *account, size_t bytes, const char *what);
/* Gives back what tn_quota_take took. */
void tn_quota_give_back(tn_account *account, enum tn_quota kind, size_t bytes);

/* Bytes on an account, beside what they are for. Zeroed: none. */
struct tn_charge {
    tn_account *account; /* kept */
    size_t bytes;
};

/* False, counted and noted: there is no room for them. Threads: any. */
TENON_CHECK bool tn_charge_take(struct tn_charge *charge,
                                tn_account *account,
                                size_t bytes,
                                const char *what);
void tn_charge_drop(struct tn_charge *charge);

/* Logs what was noted, at most once in TN_REFUSED_LOG_MS for one peer, unless
 * it is the last time. Without the lock. */
void tn_quota_report(tenon_node *node, tn_account *account, bool last);

#endif
