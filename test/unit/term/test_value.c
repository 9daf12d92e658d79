/* SPDX-License-Identifier: Apache-2.0 */
/* Owned terms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <tenon/term.h>

#include "unit/support/terms.h"

static void a_value_keeps_its_term(void **state)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;

    (void)state;
    tenon_format(builder, "{:a, [~i]}", (int64_t)1);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(builder);
    assert_string_equal(text_of(tenon_value_term(value)), "{:a, [1]}");
    tenon_value_free(value);
}

static void a_value_is_made_from_a_pattern(void **state)
{
    tenon_value *value = tenon_value_format("[~a, ~i]", "b", (int64_t)2);

    (void)state;
    assert_string_equal(text_of(tenon_value_term(value)), "[:b, 2]");
    tenon_value_free(value);
}

static void what_is_no_term_is_no_value(void **state)
{
    (void)state;
    assert_null(tenon_value_new((tenon_term){ NULL, 0 }));
    assert_null(tenon_value_format("[1"));
    assert_null(tenon_value_format("~t", ((tenon_term){ NULL, 0 })));
    assert_null(tenon_value_term(NULL).bytes);
    tenon_value_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_keeps_its_term),
        cmocka_unit_test(a_value_is_made_from_a_pattern),
        cmocka_unit_test(what_is_no_term_is_no_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
