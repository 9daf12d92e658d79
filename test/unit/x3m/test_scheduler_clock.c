/* SPDX-License-Identifier: Apache-2.0 */
/* Schedulers on a wall clock that is set while they run. The program brings
 * its own clock_gettime, which the library then uses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "unit/x3m/alarms.h"
#include "x3m/alarm_time.h"

#define DAY_S 86400

/* The call whose times have 64 bits, where long has 32. */
#ifdef SYS_clock_gettime64
#define CLOCK_CALL SYS_clock_gettime64
#else
#define CLOCK_CALL SYS_clock_gettime
#endif

static atomic_long set_by_s;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long rc = syscall(CLOCK_CALL, clock, now);

    if (clock == CLOCK_REALTIME) {
        now->tv_sec += atomic_load(&set_by_s);
    }
    return (int)rc;
}

static struct test {
    struct folder folder;
    tenon_node *node;
    tenon_scheduler *scheduler;
} test;

static int start(void **state)
{
    (void)state;
    atomic_store(&set_by_s, 0);
    notes_clear();
    folder_make(&test.folder);
    test.node = own_node_start();
    serve_notes(test.node);
    test.scheduler = tenon_scheduler_start(
        test.node, &(tenon_scheduler_config){ .file = test.folder.file });
    assert_non_null(test.scheduler);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tenon_node_stop(test.node);
    folder_remove(&test.folder);
    return 0;
}

static void a_time_that_the_clock_is_set_past_has_come(void **state)
{
    (void)state;
    OK(schedule_at(test.node, test.scheduler, "near",
                   tn_wall_us() + INT64_C(3600) * 1000000));
    atomic_store(&set_by_s, 3700);
    assert_string_equal(wait_note(0).id, "near");
}

static void a_time_beyond_the_window_comes_as_well(void **state)
{
    (void)state;
    OK(schedule_at(test.node, test.scheduler, "far",
                   tn_wall_us() + INT64_C(2) * DAY_S * 1000000));
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    atomic_store(&set_by_s, 3L * DAY_S);
    assert_string_equal(wait_note(0).id, "far");
}

/* False when the time may have come before the clock was set. */
static bool schedule_and_set_back(int64_t *at_us, uint64_t in_ms)
{
    *at_us = tn_wall_us() + (int64_t)in_ms * 1000;
    OK(schedule_at(test.node, test.scheduler, "back", *at_us));
    atomic_store(&set_by_s, -3600);
    return tn_wall_us() + INT64_C(3600) * 1000000 < *at_us - 100000;
}

static void a_time_waits_on_when_the_clock_is_set_back(void **state)
{
    int64_t at_us;
    uint64_t in_ms = 300;

    while (!schedule_and_set_back(&at_us, in_ms)) {
        in_ms *= 2;
        stop(state);
        start(state);
    }
    /* A delay that ends later, when the timer has told. */
    OK(schedule_in(test.node, test.scheduler, "delay", in_ms + 200));
    assert_string_equal(wait_note(0).id, "delay");
    assert_int_equal(notes_count(), 1);
    atomic_store(&set_by_s, 0);
    assert_string_equal(wait_note(1).id, "back");
    assert_true(tn_wall_us() >= at_us);
}

static void a_delay_does_not_mind_the_clock(void **state)
{
    (void)state;
    OK(schedule_in(test.node, test.scheduler, "soon", 100));
    OK(schedule_in(test.node, test.scheduler, "in an hour", HOUR_MS));
    atomic_store(&set_by_s, -DAY_S);
    assert_string_equal(wait_note(0).id, "soon");
    atomic_store(&set_by_s, DAY_S);
    OK(schedule_at(test.node, test.scheduler, "past", tn_wall_us()));
    assert_string_equal(wait_note(1).id, "past");
    /* The tick has seen both. */
    OK(schedule_in(test.node, test.scheduler, "tick",
                   TN_SCHEDULER_TICK_MS + 100));
    assert_string_equal(wait_note(2).id, "tick");
    WAIT_STATS(test.node, test.scheduler, in_memory == 1);
}

#define WITH_FILE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_time_that_the_clock_is_set_past_has_come),
        WITH_FILE(a_time_beyond_the_window_comes_as_well),
        WITH_FILE(a_time_waits_on_when_the_clock_is_set_back),
        WITH_FILE(a_delay_does_not_mind_the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
