/* SPDX-License-Identifier: Apache-2.0 */
/* A turn of an event loop: from one wait for events to the next. Counts the
 * CPU time of turns, and says when the one that runs has done enough: what is
 * left of its work waits for the next, so that others are served between. */
#ifndef TN_BASE_TURN_H
#define TN_BASE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"

/* What a turn works before it leaves the rest to the next one. A single step
 * may take as long again: a signature with an RSA key of 4096 bits takes 5 ms.
 */
#define TN_TURN_NS (UINT64_C(5) * 1000 * 1000)

/* Zeroed memory is a loop that has not run yet. */
struct tn_turn {
    struct tn_histogram taken; /* CPU time of turns; any thread reads it */
    /* loop thread only */
    uint64_t cpu_ns;   /* of the thread, at the end of the turn before */
    uint64_t began_ns; /* when the turn was first asked about; 0: not yet */
};

/* All of: Threads: the loop's. Blocks: no. */

/* The loop's thread begins. */
void tn_turn_start(struct tn_turn *turn);
/* A turn is over, the next one begins. */
void tn_turn_end(struct tn_turn *turn);
/* Something else begins, which is to have its share of the turn whatever came
 * before it. */
void tn_turn_share(struct tn_turn *turn);
/* Whether the turn has done enough. To be asked before each step of work that
 * a peer can make long; the first answer of a turn, and of a share, is no.
 * turn: NULL: no. */
bool tn_turn_is_spent(struct tn_turn *turn);

#endif
