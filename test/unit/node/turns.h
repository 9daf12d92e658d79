/* SPDX-License-Identifier: Apache-2.0 */
/* How long the turns of a node's loop may last. */
#ifndef TEST_NODE_TURNS_H
#define TEST_NODE_TURNS_H

#include "nodes.h"
#include "unit/support/measured.h"

/* No turn takes longer than this. What makes code many times slower than it is
 * gets smaller inputs, and only the order of events is looked at; so where
 * registers have 32 bits, because one signature of TLS takes a turn there. */
#define TURN_MAX_US 20000u

static inline bool is_measured(void)
{
    return is_as_it_is() && sizeof(void *) > sizeof(uint32_t);
}

static inline size_t sized(size_t whole, size_t small)
{
    return is_measured() ? whole : small;
}

static inline void assert_turns_of_were_short(tenon_node *node)
{
    uint64_t max_us = stats_of(node).loop_turn_max_us;
    if (!is_measured()) {
        print_message("turns are not measured in this build; longest: %u us\n",
                      (unsigned)max_us);
    } else if (max_us > TURN_MAX_US) {
        fail_msg("a turn took %u us", (unsigned)max_us);
    }
}

#endif
