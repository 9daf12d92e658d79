/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns with stars. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/glob.h"

static bool fits(const char *pattern, const char *text)
{
    return tn_glob_fits(pattern, text, strlen(text), false);
}

static void a_pattern_without_a_star_fits_itself_alone(void **state)
{
    (void)state;
    assert_true(fits("a@h", "a@h"));
    assert_false(fits("a@h", "a@hh"));
    assert_false(fits("a@h", "a@"));
    assert_false(fits("a@h", "A@h"));
    assert_true(fits("", ""));
    assert_false(fits("", "a"));
}

static void a_star_stands_for_any_characters(void **state)
{
    (void)state;
    assert_true(fits("*", ""));
    assert_true(fits("*", "anything"));
    assert_true(fits("shop@*", "shop@"));
    assert_true(fits("shop@*", "shop@host.example.org"));
    assert_false(fits("shop@*", "workshop@host"));
    assert_true(fits("*@host", "a@b@host"));
    assert_false(fits("*@host", "a@host2"));
    assert_true(fits("a*b*c", "a-b-b-c"));
    assert_false(fits("a*b*c", "a-c-b"));
    assert_true(fits("a**c", "abc"));
    assert_true(fits("*ab", "aab"));
}

static void a_star_in_the_text_is_a_character(void **state)
{
    (void)state;
    assert_true(fits("*.example.org", "*.example.org"));
    assert_false(fits("www.example.org", "*.example.org"));
}

static void case_is_folded_where_it_is_asked_for(void **state)
{
    (void)state;
    assert_true(tn_glob_fits("WWW.example.*", "www.Example.ORG", 15, true));
    assert_false(tn_glob_fits("[", "{", 1, true));
}

static void only_the_length_ends_the_text(void **state)
{
    (void)state;
    assert_false(tn_glob_fits("a", "a\0b", 3, false));
    assert_true(tn_glob_fits("a*", "a\0b", 3, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_without_a_star_fits_itself_alone),
        cmocka_unit_test(a_star_stands_for_any_characters),
        cmocka_unit_test(a_star_in_the_text_is_a_character),
        cmocka_unit_test(case_is_folded_where_it_is_asked_for),
        cmocka_unit_test(only_the_length_ends_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
