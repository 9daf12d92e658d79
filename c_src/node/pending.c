/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pending.h"

#include "dist/flags.h"

/* No node has this name. */
#define ACCOUNT_NAME ""

void tn_pending_init(struct tn_pending *pending)
{
    *pending = (struct tn_pending){ .charged = 0 };
    tn_buf_init(&pending->frames, 2 * (size_t)TN_PENDING_MAX_BYTES);
}

void tn_pending_fini(struct tn_pending *pending)
{
    tn_buf_fini(&pending->frames);
    tn_account_discharge(pending->account, pending->charged);
    tn_account_unref(pending->account);
    pending->account = NULL;
    pending->charged = 0;
    pending->broken = false;
}

static bool has_room(const struct tn_pending *pending,
                     const struct tn_signal *signal,
                     size_t max)
{
    size_t waiting = pending->frames.len;
    size_t more = signal->payload.len;
    if (!tn_signal_is_awaited(signal)) {
        return waiting < max && waiting < TN_PENDING_MAX_BYTES &&
               tn_account_has_room(pending->account, more);
    }
    return (waiting < TN_PENDING_ALWAYS_BYTES &&
            more < TN_PENDING_ALWAYS_BYTES) ||
           tn_account_has_room(pending->account, more);
}

static enum tenon_err
add(struct tn_pending *pending, const struct tn_signal *signal, size_t max)
{
    if (!has_room(pending, signal, max)) {
        return TENON_E_QUEUE_FULL;
    }
    enum tenon_err rc =
        tn_signal_encode(&pending->frames, signal, TN_FLAGS_OURS, NULL);
    size_t room = pending->frames.cap;
    if (room > pending->charged) {
        tn_account_charge_always(pending->account, room - pending->charged);
        pending->charged = room;
    }
    return rc == TENON_E_LIMIT ? TENON_E_QUEUE_FULL : rc;
}

enum tenon_err tn_pending_add(struct tn_pending *pending,
                              tn_budget *budget,
                              const struct tn_signal *signal,
                              size_t max)
{
    if (pending->account == NULL) {
        pending->account = tn_account_of(budget, ACCOUNT_NAME);
    }
    enum tenon_err rc =
        pending->account == NULL ? TENON_E_NOMEM : add(pending, signal, max);
    if (tn_signal_is_awaited(signal) &&
        (rc == TENON_E_QUEUE_FULL || rc == TENON_E_NOMEM)) {
        pending->broken = true;
    }
    return rc;
}
