/* SPDX-License-Identifier: Apache-2.0 */
#include "dist/crowd.h"

#include "term/view.h"

static unsigned slot_of(struct tn_crowd *crowd, uint32_t id)
{
    for (unsigned i = 0; i < TN_CROWD_SLOTS; i++) {
        if (crowd->ids[i] == id && crowd->seen_ns[i] != 0) {
            return i;
        }
    }
    return crowd->next++ % TN_CROWD_SLOTS;
}

void tn_crowd_note_id(struct tn_crowd *crowd, uint32_t id, uint64_t now_ns)
{
    unsigned slot = slot_of(crowd, id);

    crowd->ids[slot] = id;
    crowd->seen_ns[slot] = now_ns;
}

void tn_crowd_note(struct tn_crowd *crowd, tenon_term sender, uint64_t now_ns)
{
    struct tn_id_view pid;

    if (tn_pid_view(sender, &pid)) {
        tn_crowd_note_id(crowd, pid.words[0], now_ns);
    }
}

bool tn_crowd_is_there(const struct tn_crowd *crowd, uint64_t now_ns)
{
    unsigned senders = 0;

    for (unsigned i = 0; i < TN_CROWD_SLOTS; i++) {
        senders +=
            crowd->seen_ns[i] != 0 && now_ns - crowd->seen_ns[i] < TN_CROWD_NS;
    }
    return senders >= TN_CROWD_SENDERS;
}
