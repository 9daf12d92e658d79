/* SPDX-License-Identifier: Apache-2.0 */
/* Terms when memory runs out: nothing crashes, leaks or is half done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <tenon/term.h>

#include "unit/support/nomem.h"

static void build_and_take_apart(void *user)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;
    int64_t number = 0;

    (void)user;
    enum tenon_err rc = tenon_format(
        builder,
        "{%{\"a\" => ~i, 340282366920938463463374607431768211456 "
        "=> <<1, 2, 3::size(3)>>}, 'text', ~s}",
        (int64_t)7,
        "a string that makes the buffer grow once more, since it "
        "is longer than what the builder begins with: it takes "
        "256 bytes at first, and then doubles; this is the second "
        "line of the text, and this is its third, which should do");

    if (rc < 0) {
        assert_true(nomem_failed());
        assert_int_equal(rc, builder == NULL ? TENON_E_INVAL : TENON_E_NOMEM);
        assert_int_equal(tenon_builder_term(builder, &term), rc);
    } else {
        assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
        /* The key of a map pattern that is no text is built. */
        bool matched = tenon_match(term,
                                   "{%{\"a\" => ~i, "
                                   "340282366920938463463374607431768211456 "
                                   "=> _}, _, _}",
                                   &number);

        assert_true(matched || nomem_failed());
        assert_true(!matched || number == 7);
        tenon_value *value = tenon_value_new(term);

        assert_true(value != NULL || nomem_failed());
        assert_true(value == NULL ||
                    tenon_term_equal(tenon_value_term(value), term));
        tenon_value_free(value);
    }
    tenon_builder_free(builder);
}

static void building_reports_each_lack_of_memory(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(build_and_take_apart, NULL) >= 5);
}

static tenon_value *map_of(int64_t count, int64_t step)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_value *value = NULL;
    tenon_term term;

    tenon_build_map(builder, (size_t)count);
    for (int64_t i = 0; i < count; i++) {
        tenon_build_int(builder, i * step % count);
        tenon_build_nil(builder);
    }
    if (tenon_builder_term(builder, &term) == TENON_OK) {
        value = tenon_value_new(term);
    }
    tenon_builder_free(builder);
    return value;
}

static tenon_value *maps[2];

/* Sorting keys takes memory for more than 32 of them; without it the result
 * is the same. */
static void compare_and_print(void *user)
{
    char text[1024];

    (void)user;
    assert_true(
        tenon_term_equal(tenon_value_term(maps[0]), tenon_value_term(maps[1])));
    assert_int_equal(tenon_term_compare(tenon_value_term(maps[0]),
                                        tenon_value_term(maps[1])),
                     0);
    tenon_term_print(tenon_value_term(maps[1]), text, sizeof text);
    assert_memory_equal(text, "%{0 => [], 1 => [], 2 => [], 3 => [], ", 38);
}

static void maps_are_ordered_without_memory(void **state)
{
    (void)state;
    maps[0] = map_of(41, 1);
    maps[1] = map_of(41, 7);
    assert_true(maps[0] != NULL && maps[1] != NULL);
    assert_true(nomem_fail_each(compare_and_print, NULL) >= 3);
    tenon_value_free(maps[0]);
    tenon_value_free(maps[1]);
}

static void make_value(void *user)
{
    tenon_value *value = tenon_value_format("[~s]", "text");

    (void)user;
    assert_true(value != NULL || nomem_failed());
    tenon_value_free(value);
}

static void a_value_is_there_or_null(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(make_value, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(building_reports_each_lack_of_memory),
        cmocka_unit_test(maps_are_ordered_without_memory),
        cmocka_unit_test(a_value_is_there_or_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
