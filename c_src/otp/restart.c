/* SPDX-License-Identifier: Apache-2.0 */
/* Restart intensity, and orderly ends, as supervisor has them. */
#include "otp/restart.h"

#include <string.h>

#include "base/clock.h"
#include "otp/gen.h"

bool tn_restarts_note(struct tn_restarts *restarts)
{
    uint64_t now = tn_now_ms();
    uint32_t old = 0;
    while (old < restarts->count &&
           now - restarts->at_ms[old] > restarts->span_ms) {
        old++;
    }
    restarts->count -= old;
    memmove(restarts->at_ms, restarts->at_ms + old,
            restarts->count * sizeof *restarts->at_ms);
    if (restarts->count <= restarts->max) {
        restarts->at_ms[restarts->count++] = now;
    }
    return restarts->count <= restarts->max;
}

bool tn_is_orderly_end(tenon_term reason)
{
    tenon_term part[2];
    return tenon_term_is_atom(reason, "normal") ||
           tenon_term_is_atom(reason, "shutdown") ||
           (tn_tuple_views(reason, part, 2) &&
            tenon_term_is_atom(part[0], "shutdown"));
}
