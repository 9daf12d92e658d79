/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of timers, without a loop: the test runs what is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nodes.h"

#define MANY 2000

/* Just enough of a node for its timers. */
static tenon_node *timers_new(void)
{
    tenon_node *node = calloc(1, sizeof *node);
    assert_non_null(node);
    assert_int_equal(pthread_mutex_init(&node->lock, NULL), 0);
    return node;
}

static void timers_free(tenon_node *node)
{
    tn_timers_fini(&node->timers);
    pthread_mutex_destroy(&node->lock);
    free(node);
}

struct fired {
    unsigned count;
    uint64_t last_ms;
    unsigned early, disorder;
};

static void note(struct tn_timer *timer, void *user)
{
    struct fired *fired = user;
    fired->count++;
    fired->early += tn_now_ms() < timer->deadline_ms;
    fired->disorder += timer->deadline_ms < fired->last_ms;
    fired->last_ms = timer->deadline_ms;
    assert_int_equal(timer->slot, 0);
}

static void run_until(tenon_node *node, struct fired *fired, unsigned count)
{
    uint64_t until = tn_now_ms() + DEADLINE_MS;
    while (fired->count < count && tn_now_ms() < until) {
        uint64_t next = tn_timers_run(node);
        assert_true(fired->count == count || next != UINT64_MAX);
    }
    assert_int_equal(fired->count, count);
}

static void timers_fire_in_order_and_not_early(void **state)
{
    (void)state;
    static struct tn_timer timers[MANY];
    tenon_node *node = timers_new();
    struct fired fired = { 0 };
    memset(timers, 0, sizeof timers);
    for (unsigned i = 0; i < MANY; i++) {
        OK(tn_timer_start(node, &timers[i], i * 7919u % 30u, note, &fired));
    }
    run_until(node, &fired, MANY);
    assert_int_equal(fired.early, 0);
    assert_int_equal(fired.disorder, 0);
    assert_true(tn_timers_run(node) == UINT64_MAX);
    timers_free(node);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    (void)state;
    static struct tn_timer timers[MANY];
    tenon_node *node = timers_new();
    struct fired fired = { 0 };
    memset(timers, 0, sizeof timers);
    for (unsigned i = 0; i < MANY; i++) {
        OK(tn_timer_start(node, &timers[i], i * 7919u % 20u, note, &fired));
    }
    for (unsigned i = 0; i < MANY; i += 2) {
        assert_true(tn_timer_stop(node, &timers[i]));
        assert_false(tn_timer_stop(node, &timers[i]));
    }
    run_until(node, &fired, MANY / 2);
    assert_int_equal(fired.disorder, 0);
    assert_int_equal(node->timers.count, 0);
    timers_free(node);
}

static void a_timer_armed_anew_has_one_deadline(void **state)
{
    (void)state;
    tenon_node *node = timers_new();
    struct tn_timer timer = { 0 };
    struct fired fired = { 0 };
    OK(tn_timer_start(node, &timer, 60000, note, &fired));
    OK(tn_timer_start(node, &timer, 0, note, &fired));
    assert_int_equal(node->timers.count, 1);
    run_until(node, &fired, 1);
    assert_true(tn_timers_run(node) == UINT64_MAX);
    timers_free(node);
}

static void only_the_earliest_wakes_the_loop(void **state)
{
    (void)state;
    tenon_node *node = timers_new();
    struct tn_timer early = { 0 };
    struct tn_timer late = { 0 };
    struct fired fired = { 0 };
    bool wake = false;
    tn_lock(node);
    OK(tn_timer_start_locked(node, &early, 10000, note, &fired, &wake));
    assert_true(wake);
    wake = false;
    OK(tn_timer_start_locked(node, &late, 20000, note, &fired, &wake));
    assert_false(wake);
    OK(tn_timer_start_locked(node, &late, 5000, note, &fired, &wake));
    assert_true(wake);
    tn_unlock(node);
    timers_free(node);
}

struct again {
    tenon_node *node;
    unsigned count;
};

static void arm_again(struct tn_timer *timer, void *user)
{
    struct again *again = user;
    if (++again->count < 5) {
        OK(tn_timer_start(again->node, timer, 1, arm_again, again));
    }
}

static void a_timer_can_arm_itself_again(void **state)
{
    (void)state;
    tenon_node *node = timers_new();
    struct tn_timer timer = { 0 };
    struct again again = { .node = node };
    OK(tn_timer_start(node, &timer, 0, arm_again, &again));
    uint64_t until = tn_now_ms() + DEADLINE_MS;
    while (tn_timers_run(node) != UINT64_MAX && tn_now_ms() < until) {
    }
    assert_int_equal(again.count, 5);
    timers_free(node);
}

static void free_timer(struct tn_timer *timer, void *user)
{
    struct fired *fired = user;
    fired->count++;
    free(timer);
}

static void a_timer_can_free_itself(void **state)
{
    (void)state;
    tenon_node *node = timers_new();
    struct fired fired = { 0 };
    for (unsigned i = 0; i < 10; i++) {
        struct tn_timer *timer = calloc(1, sizeof *timer);
        assert_non_null(timer);
        OK(tn_timer_start(node, timer, 0, free_timer, &fired));
    }
    run_until(node, &fired, 10);
    timers_free(node);
}

static void count_up(struct tn_timer *timer, void *user)
{
    (void)timer;
    atomic_fetch_add((atomic_uint *)user, 1);
}

static void the_loop_runs_timers_of_any_thread(void **state)
{
    (void)state;
    tenon_node *node = lone_node(NULL);
    struct tn_timer late = { 0 };
    struct tn_timer soon = { 0 };
    atomic_uint count = 0;
    OK(tn_timer_start(node, &late, 60000, count_up, &count));
    OK(tn_timer_start(node, &soon, 1, count_up, &count));
    WAIT_FOR(atomic_load(&count) == 1);
    assert_true(tn_timer_stop(node, &late));
    tenon_node_stop(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_and_not_early),
        cmocka_unit_test(a_stopped_timer_does_not_fire),
        cmocka_unit_test(a_timer_armed_anew_has_one_deadline),
        cmocka_unit_test(only_the_earliest_wakes_the_loop),
        cmocka_unit_test(a_timer_can_arm_itself_again),
        cmocka_unit_test(a_timer_can_free_itself),
        cmocka_unit_test(the_loop_runs_timers_of_any_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
