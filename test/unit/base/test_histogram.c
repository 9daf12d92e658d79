/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and the buckets that take them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

static void assert_bucket(uint64_t ns, uint64_t bound_us)
{
    static const struct tn_histogram empty;
    struct tn_histogram histogram = empty;
    struct tn_histogram_view view;
    tn_histogram_add(&histogram, ns);
    tn_histogram_read(&histogram, &view);
    assert_int_equal(view.count, 1);
    assert_int_equal(view.sum_ns, ns);
    assert_int_equal(view.max_ns, ns);
    for (unsigned i = 0; i < TN_HISTOGRAM_BUCKETS; i++) {
        assert_int_equal(view.counts[i],
                         tn_histogram_bound_us(i) == bound_us ? 1 : 0);
    }
}

static void a_duration_falls_into_the_bucket_that_bounds_it(void **state)
{
    (void)state;
    assert_bucket(0, 1);
    assert_bucket(1000, 1);
    assert_bucket(1001, 2);
    assert_bucket(49999, 50);
    assert_bucket(10000000000, 10000000);
    assert_bucket(10000000001, 0);
    assert_bucket(UINT64_MAX, 0);
}

static void sums_and_the_longest_are_kept(void **state)
{
    struct tn_histogram histogram = { 0 };
    struct tn_histogram_view view;
    (void)state;
    tn_histogram_add(&histogram, 5000);
    tn_histogram_add(&histogram, 7000);
    tn_histogram_add(&histogram, 100);
    tn_histogram_read(&histogram, &view);
    assert_int_equal(view.count, 3);
    assert_int_equal(view.sum_ns, 12100);
    assert_int_equal(view.max_ns, 7000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_falls_into_the_bucket_that_bounds_it),
        cmocka_unit_test(sums_and_the_longest_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
