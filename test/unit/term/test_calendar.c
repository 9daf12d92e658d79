/* SPDX-License-Identifier: Apache-2.0 */
/* Dates and times as sigils. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <tenon/term.h>

#include "unit/support/terms.h"

#define SAME(text) assert_string_equal(text_of(term_of(text)), text)

static void sigils_read_and_print(void **state)
{
    (void)state;
    SAME("~D[2026-01-02]");
    SAME("~D[0000-12-31]");
    SAME("~T[00:00:00]");
    SAME("~T[23:59:59.5]");
    SAME("~T[23:59:59.000001]");
    SAME("~N[2026-01-02 03:04:05]");
    SAME("~N[2026-01-02 03:04:05.000678]");
    SAME("~U[2026-01-02 03:04:05.12Z]");
    assert_string_equal(text_of(term_of("~U[2026-01-02T03:04:05Z]")),
                        "~U[2026-01-02 03:04:05Z]");
}

static void microseconds_keep_their_precision(void **state)
{
    int64_t microsecond = 0;
    int64_t precision = 0;

    (void)state;
    assert_true(tenon_match(term_of("~T[01:02:03.5]"),
                            "%Time{microsecond: {~i, ~i}}", &microsecond,
                            &precision));
    assert_int_equal(microsecond, 500000);
    assert_int_equal(precision, 1);
    assert_true(tenon_match(term_of("~T[01:02:03]"),
                            "%Time{microsecond: {0, 0}, hour: 1, minute: 2, "
                            "second: 3, calendar: Calendar.ISO}"));
}

static void what_is_out_of_range_prints_as_a_struct(void **state)
{
    (void)state;
    SAME("%Date{calendar: Calendar.ISO, day: 1, month: 13, year: 2026}");
    SAME("%Date{calendar: Other, day: 1, month: 1, year: 2026}");
    SAME("%Date{calendar: Calendar.ISO, day: 1, month: 1, year: \"x\"}");
    SAME("%Date{calendar: Calendar.ISO, day: 1, month: 1, x: 0, year: 2026}");
    SAME("%Date{calendar: Calendar.ISO, day: 1, month: 1, year: -1}");
    SAME("%Time{calendar: Calendar.ISO, hour: 1, microsecond: {1000000, 6}, "
         "minute: 1, second: 1}");
    SAME("%Time{calendar: Calendar.ISO, hour: 1, microsecond: {1, 7}, "
         "minute: 1, second: 1}");
}

static void a_time_of_another_zone_prints_as_a_struct(void **state)
{
    static const char zone[] =
        "%DateTime{calendar: Calendar.ISO, day: 2, hour: 3, microsecond: {0, "
        "0}, minute: 4, month: 1, second: 5, std_offset: 0, time_zone: "
        "\"Europe/Ljubljana\", utc_offset: 3600, year: 2026, zone_abbr: "
        "\"CET\"}";

    (void)state;
    SAME(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigils_read_and_print),
        cmocka_unit_test(microseconds_keep_their_precision),
        cmocka_unit_test(what_is_out_of_range_prints_as_a_struct),
        cmocka_unit_test(a_time_of_another_zone_prints_as_a_struct),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
