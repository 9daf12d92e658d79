/* SPDX-License-Identifier: Apache-2.0 */
/* The loop thread is shared by all peers: what one of them makes it do at
 * length is done in slices, between which the others are served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "nodes.h"

/* ---- what is counted ---------------------------------------------------- */

static void turns_of_the_loop_are_counted(void **state)
{
    (void)state;
    tenon_node *node = lone_node(NULL);
    WAIT_FOR(stats_of(node).loop_turns > 3);
    tenon_node_stats stats = stats_of(node);
    uint64_t count = 0;
    for (size_t i = 0; i < TENON_LOOP_TURN_BUCKETS; i++) {
        count += stats.loop_turn_counts[i];
    }
    assert_int_equal(count, stats.loop_turns);
    assert_true(stats.loop_turn_max_us <= stats.loop_cpu_us);
    tenon_node_stop(node);
}

/* ---- where it runs ------------------------------------------------------ */

static void dig_deep(tenon_node *node, void *user)
{
    volatile char deep[4 << 20];
    (void)node;
    for (size_t i = 0; i < sizeof deep; i += 4096) {
        deep[i] = (char)i;
    }
    *(bool *)user = deep[4096] == 0;
}

static void the_loop_has_a_worker_s_stack_whatever_the_limit(void **state)
{
    struct rlimit before;
    bool was_deep = false;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
    struct rlimit small = { 128 * 1024, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
    tenon_node *node = lone_node(NULL);
    assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
    OK(tn_node_call_on_loop(node, dig_deep, &was_deep));
    assert_true(was_deep);
    tenon_node_stop(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_of_the_loop_are_counted),
        cmocka_unit_test(the_loop_has_a_worker_s_stack_whatever_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
