/* SPDX-License-Identifier: Apache-2.0 */
/* Whether many talk at once: processes of a peer to this node, or callers here
 * that a peer answers. A BEAM node writes each signal by itself, and a reader
 * that is woken for each of them takes from the two sides more than it gives:
 * 64 callers then get more calls per second from a reader that rests a moment
 * and takes many signals at once. A single caller would only wait for it. */
#ifndef TN_DIST_CROWD_H
#define TN_DIST_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/term.h>

/* As many senders are remembered, the latest ones. */
#define TN_CROWD_SLOTS 32u
/* So many of them within TN_CROWD_NS are a crowd. */
#define TN_CROWD_SENDERS 12u
#define TN_CROWD_NS UINT64_C(1000000)

/* All zero: nobody. */
struct tn_crowd {
    uint32_t ids[TN_CROWD_SLOTS];
    uint64_t seen_ns[TN_CROWD_SLOTS]; /* 0: the slot is free */
    unsigned next;                    /* slot that a new sender takes */
};

/* One of those talks whom `id` tells apart. now_ns: as tn_now_ns. */
void tn_crowd_note_id(struct tn_crowd *crowd, uint32_t id, uint64_t now_ns);
/* A signal came from `sender`; a term that is no pid counts for nobody. */
void tn_crowd_note(struct tn_crowd *crowd, tenon_term sender, uint64_t now_ns);
bool tn_crowd_is_there(const struct tn_crowd *crowd, uint64_t now_ns);

#endif
