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

static bool has_no_aliases(void)
{
    tn_lock(node);
    bool has_none = node->aliases.table == NULL;
    tn_unlock(node);
    return has_none;
}

static int stop_node(void **state)
{
    (void)state;
    /* What ends in slices may do so for a while. */
    WAIT_FOR(stats_of(node).links == 0);
    WAIT_FOR(stats_of(node).monitors == 0);
    assert_int_equal(stats_of(node).pending_calls, 0);
    WAIT_FOR(has_no_aliases());
    tenon_node_stop(node);
    return 0;
}

#endif
