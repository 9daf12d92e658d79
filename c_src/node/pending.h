/* SPDX-License-Identifier: Apache-2.0 */
/* Signals to a node that is being connected: they are kept until it is up.
 * Whom the node connects is often a peer's choice (the addresses that answers
 * and exits go to), so what is kept for all such nodes is on one account
 * together, which has as much of the node's memory as one peer. */
#ifndef TN_NODE_PENDING_H
#define TN_NODE_PENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/account.h"
#include "base/buf.h"
#include "dist/signal.h"

/* Most bytes of messages that wait for one handshake; other signals may use as
 * much again. */
#define TN_PENDING_MAX_BYTES (16u * 1024u * 1024u)
/* So much of what others wait for is kept in any case. */
#define TN_PENDING_ALWAYS_BYTES (64u * 1024u)

/* Guarded by the node's lock. */
struct tn_pending {
    struct tn_buf frames; /* in full form */
    tn_account *account;  /* kept; NULL: nothing has been kept yet */
    size_t charged;       /* on it */
    bool broken;          /* what others wait for found no room */
};

void tn_pending_init(struct tn_pending *pending);
/* Frees what is kept; more may be kept again. */
void tn_pending_fini(struct tn_pending *pending);

/* Keeps a signal.
 *
 * max  bytes of messages, if that is less than TN_PENDING_MAX_BYTES.
 * Errors: QUEUE_FULL, NOMEM (either breaks it when the signal is one that
 * others wait for), those of tn_signal_encode. */
enum tenon_err tn_pending_add(struct tn_pending *pending,
                              tn_budget *budget,
                              const struct tn_signal *signal,
                              size_t max);

#endif
