/* SPDX-License-Identifier: Apache-2.0 */
/* Printing: what does not depend on the term. How each kind of term prints is
 * in the golden bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tenon/term.h>

#include "term/number.h"
#include "term/print.h"
#include "term/tags.h"
#include "unit/support/growth.h"
#include "unit/support/terms.h"

static void text_is_cut_at_the_end_of_a_character(void **state)
{
    tenon_term term = term_of("[:a, \"ž日😀\", 12]");
    const char *whole = text_of(term);
    size_t len = strlen(whole);

    (void)state;
    for (size_t cap = 1; cap <= len + 1; cap++) {
        char *buf = malloc(cap);

        assert_int_equal(tenon_term_print(term, buf, cap), len);
        size_t kept = strlen(buf);

        assert_true(kept < cap && kept + 4 >= cap);
        assert_memory_equal(buf, whole, kept);
        /* What follows the cut begins a character. */
        assert_true(((unsigned char)whole[kept] & 0xC0) != 0x80);
        free(buf);
    }
    assert_int_equal(tenon_term_print(term, NULL, 0), len);
}

/* The same text, whatever it is cut in, and nothing of what follows. */
static void what_is_shown_is_the_beginning_of_what_is_printed(void **state)
{
    static const char *const texts[] = {
        "%{a: [1, 2, %{\"b\" => {3, 4.5}}], c: \"a long text, and more\"}",
        "[a: 1, b: %{{1, 2} => [x: [1, 2, 3], y: :z]}]",
        "<<1, 2, 3, 4, 5, 200, 255, 7::size(3)>>",
        "~c\"a charlist of some length\"",
        "0xA00000000000000000000000000000000000000000000000000000000000000",
        "%URI{path: \"p\", port: 1}",
        "[[[[[1], 2], 3], 4] | :tail]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tenon_term term = term_of(texts[i]);

        for (size_t cap = 1; cap < 100; cap++) {
            char printed[100];
            char shown[100];

            tenon_term_print(term, printed, cap);
            tn_term_show(term, shown, cap);
            assert_string_equal(shown, printed);
        }
    }
}

static void show(void *user, unsigned size)
{
    tenon_value **terms = user;
    char text[100];

    /* Often, since it takes microseconds. */
    for (int i = 0; i < 100; i++) {
        tn_term_show(tenon_value_term(terms[size]), text, sizeof text);
    }
    assert_int_equal(strlen(text), sizeof text - 1);
}

static void showing_does_not_depend_on_what_is_not_shown(void **state)
{
    tenon_value *terms[GROWTH_SIZES];

    (void)state;
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        terms[size] = growth_term(GROWTH_PIDS, size, 1);
    }
    assert_true(growth_of(show, terms) < 4);
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tenon_value_free(terms[size]);
    }
}

static void the_null_view_prints_as_nothing(void **state)
{
    char buf[4] = "abc";

    (void)state;
    assert_int_equal(tenon_term_print((tenon_term){ NULL, 0 }, buf, sizeof buf),
                     0);
    assert_string_equal(buf, "");
}

/* The text goes into logs and to terminals: whatever the names and strings
 * hold, it stays one line without control characters. */
static void no_text_breaks_the_line(void **state)
{
    static const char *const texts[] = {
        ":\"a\\nb\\e[2J\"", "\"a\\nb\\e\"",        "%{\"\\n\": \"\\r\"}",
        "~c\"\\n\\e\"",     "&:\"\\n\".\"\\e\"/1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = text_of(term_of(texts[i]));

        for (const char *p = text; *p != '\0'; p++) {
            assert_true((unsigned char)*p >= 0x20 && *p != 0x7F);
        }
    }
    tenon_pid pid = { 1, 2, 3, "a\n\x1b[2J@b" };

    assert_string_equal(text_of(term_of("~p", &pid)),
                        "#PID<a\\x0A\\x1B[2J@b.1.2>");
}

static void maps_print_in_the_order_of_their_keys(void **state)
{
    (void)state;
    assert_string_equal(text_of(term_of("%{c: 1, b: 2, a: 3}")),
                        "%{a: 3, b: 2, c: 1}");
    assert_string_equal(text_of(term_of("%{\"a\" => 1, :a => 2, 1.0 => 3, "
                                        "1 => 4}")),
                        "%{1 => 4, 1.0 => 3, :a => 2, \"a\" => 1}");
}

static const char *integer_text(size_t len)
{
    tenon_builder *builder = tenon_builder_new();
    uint8_t *magnitude = calloc(1, len);
    tenon_term term;

    magnitude[len - 1] = 0x0A;
    tenon_build_integer(builder, true, magnitude, len);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    const char *text = text_of(term);

    tenon_builder_free(builder);
    free(magnitude);
    return text;
}

/* Decimal digits take quadratic time. */
static void integers_above_4096_bytes_print_in_hex(void **state)
{
    (void)state;
    const char *decimal = integer_text(4096);
    const char *hex = integer_text(4097);

    assert_int_equal(strlen(decimal), 9864);
    assert_int_equal(strspn(decimal, "-0123456789"), 9864);
    assert_int_equal(strlen(hex), 4 + 2 * 4096);
    assert_memory_equal(hex, "-0xA00", 6);

    clock_t start = clock();

    integer_text(TN_INTEGER_MAX_BYTES);
    /* Milliseconds of this program's own time; in decimal it would be hours. */
    assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
}

/* 64 of 512 bytes take as long as one of 4096. */
static void many_large_integers_print_in_hex_from_some_on(void **state)
{
    enum { COUNT = 100, BYTES = 512, IN_DECIMAL = 64 };
    tenon_builder *builder = tenon_builder_new();
    uint8_t magnitude[BYTES];
    tenon_term term;
    size_t in_hex = 0;

    (void)state;
    memset(magnitude, 0xA0, sizeof magnitude);
    tenon_build_list(builder, COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        tenon_build_integer(builder, false, magnitude, sizeof magnitude);
    }
    tenon_build_integer(builder, false, magnitude, 9);
    tenon_build_nil(builder);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    const char *text = text_of(term);

    for (const char *p = text; (p = strstr(p, "0xA0")) != NULL; p++) {
        in_hex++;
    }
    assert_int_equal(in_hex, COUNT - IN_DECIMAL);
    /* Small ones are always decimal. */
    assert_non_null(strstr(text, ", 2963053479447620526240]"));
    tenon_builder_free(builder);
}

static void doubles_print_shortest_and_read_back(void **state)
{
    uint64_t seed = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[TN_DOUBLE_TEXT_BYTES];
        double value;
        double again;

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        if ((seed >> 52 & 0x7FF) == 0x7FF) {
            continue;
        }
        memcpy(&value, &seed, sizeof value);
        size_t len = tn_text_of_double(value, text);

        assert_true(len < sizeof text && strlen(text) == len);
        assert_true(tn_double_of_text(text, len, &again));
        assert_memory_equal(&value, &again, sizeof value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_cut_at_the_end_of_a_character),
        cmocka_unit_test(what_is_shown_is_the_beginning_of_what_is_printed),
        cmocka_unit_test(showing_does_not_depend_on_what_is_not_shown),
        cmocka_unit_test(the_null_view_prints_as_nothing),
        cmocka_unit_test(no_text_breaks_the_line),
        cmocka_unit_test(maps_print_in_the_order_of_their_keys),
        cmocka_unit_test(integers_above_4096_bytes_print_in_hex),
        cmocka_unit_test(many_large_integers_print_in_hex_from_some_on),
        cmocka_unit_test(doubles_print_shortest_and_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
