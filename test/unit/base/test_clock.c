/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"

static void the_waiting_clock_does_not_go_back(void **state)
{
    uint64_t before = tn_now_ns();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = tn_now_ns();

        assert_true(now >= before);
        before = now;
    }
    uint64_t ms = tn_now_ms();

    assert_true(ms >= before / 1000000 && ms <= tn_now_ns() / 1000000);
}

static void the_wall_clock_is_that_of_the_system(void **state)
{
    int64_t before = (int64_t)time(NULL);
    int64_t now = tn_wall_ns() / 1000000000;

    (void)state;
    assert_true(now >= before - 1 && now <= (int64_t)time(NULL) + 1);
}

static void random_bytes_differ_and_fill_all(void **state)
{
    uint8_t a[64] = { 0 };
    uint8_t b[64] = { 0 };
    int zeroes = 0;

    (void)state;
    assert_int_equal(tn_random_bytes(a, sizeof a), TENON_OK);
    assert_int_equal(tn_random_bytes(b, sizeof b), TENON_OK);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = 0; i < sizeof a; i++) {
        zeroes += a[i] == 0;
    }
    assert_true(zeroes < 16);
    assert_int_equal(tn_random_bytes(a, SIZE_MAX), TENON_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_waiting_clock_does_not_go_back),
        cmocka_unit_test(the_wall_clock_is_that_of_the_system),
        cmocka_unit_test(random_bytes_differ_and_fill_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
