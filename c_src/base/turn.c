/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted is the thread's own CPU time, which costs a system call:
 * once a turn. What is asked is the time on the wall, which costs none; on a
 * busy machine a turn ends a little early by it. */
#include "base/turn.h"

#include <stddef.h>

#include "base/clock.h"

void tn_turn_start(struct tn_turn *turn)
{
    turn->cpu_ns = tn_thread_cpu_ns();
    turn->began_ns = 0;
}

void tn_turn_end(struct tn_turn *turn)
{
    uint64_t now_ns = tn_thread_cpu_ns();
    tn_histogram_add(&turn->taken, now_ns - turn->cpu_ns);
    turn->cpu_ns = now_ns;
    turn->began_ns = 0;
}

void tn_turn_share(struct tn_turn *turn)
{
    turn->began_ns = 0;
}

bool tn_turn_is_spent(struct tn_turn *turn)
{
    if (turn == NULL) {
        return false;
    }
    uint64_t now_ns = tn_now_ns();
    if (turn->began_ns == 0) {
        turn->began_ns = now_ns;
    }
    return now_ns - turn->began_ns >= TN_TURN_NS;
}
