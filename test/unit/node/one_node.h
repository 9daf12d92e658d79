/* SPDX-License-Identifier: Apache-2.0 */
/* One node that is known to nobody, for a program's tests: when it stops, nobody
 * waits for anybody any more. */
#ifndef TEST_NODE_ONE_NODE_H
#define TEST_NODE_ONE_NODE_H

#include "nodes.h"

static tenon_node *node;

static int start_node(void **state)
{
    (void)state;
    node = lone_node(NULL);
    return 0;
}

static int stop_node(void **state)
{
    (void)state;
    tenon_node_stats stats = stats_of(node);
    assert_int_equal(stats.links, 0);
    assert_int_equal(stats.monitors, 0);
    assert_int_equal(stats.pending_calls, 0);
    tn_lock(node);
    assert_null(node->aliases.table);
    tn_unlock(node);
    tenon_node_stop(node);
    return 0;
}

#endif
