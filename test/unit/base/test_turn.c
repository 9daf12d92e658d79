/* SPDX-License-Identifier: Apache-2.0 */
/* Turns of a loop: their CPU time is counted, and one that has worked enough
 * says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/turn.h"

static const struct tn_turn fresh;

static void work_for(uint64_t ns)
{
    uint64_t until = tn_thread_cpu_ns() + ns;
    while (tn_thread_cpu_ns() < until) {
    }
}

static void cpu_time_is_counted_and_waiting_is_not(void **state)
{
    struct tn_turn turn = fresh;
    struct tn_histogram_view view;
    (void)state;
    tn_turn_start(&turn);
    work_for(2000000);
    tn_turn_end(&turn);
    tn_rest_ns(20000000);
    tn_turn_end(&turn);
    tn_histogram_read(&turn.taken, &view);
    assert_int_equal(view.count, 2);
    assert_true(view.max_ns >= 2000000);
    assert_true(view.sum_ns - view.max_ns < 2000000);
}

static void a_turn_that_has_worked_enough_is_spent_until_the_next(void **state)
{
    struct tn_turn turn = fresh;
    (void)state;
    tn_turn_start(&turn);
    assert_false(tn_turn_is_spent(&turn));
    work_for(TN_TURN_NS);
    assert_true(tn_turn_is_spent(&turn));
    tn_turn_end(&turn);
    assert_false(tn_turn_is_spent(&turn));
}

static void where_nothing_counts_turns_none_is_spent(void **state)
{
    (void)state;
    assert_false(tn_turn_is_spent(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_time_is_counted_and_waiting_is_not),
        cmocka_unit_test(a_turn_that_has_worked_enough_is_spent_until_the_next),
        cmocka_unit_test(where_nothing_counts_turns_none_is_spent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
