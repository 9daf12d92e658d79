/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and text, whatever the locale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "term/number.h"

static bool reads(const char *text, double expected)
{
    double value = 0;

    return tn_double_of_text(text, strlen(text), &value) && value == expected;
}

static bool is_refused(const char *text)
{
    double value;

    return !tn_double_of_text(text, strlen(text), &value);
}

static void floats_are_read_in_one_form_only(void **state)
{
    (void)state;
    assert_true(reads("1.5", 1.5));
    assert_true(reads("+1.5", 1.5));
    assert_true(reads("-1.50e+02", -150.0));
    assert_true(reads("0.1E-3", 0.0001));
    assert_true(is_refused(""));
    assert_true(is_refused("1"));
    assert_true(is_refused("1."));
    assert_true(is_refused(".5"));
    assert_true(is_refused(" 1.5"));
    assert_true(is_refused("1.5 "));
    assert_true(is_refused("1.5e"));
    assert_true(is_refused("1.5e+"));
    assert_true(is_refused("0x1.8p1"));
    assert_true(is_refused("nan"));
    assert_true(is_refused("inf"));
    assert_true(is_refused("1.0e309"));
}

static void the_point_is_a_point_in_every_locale(void **state)
{
    static const char *const with_comma[] = {
        "de_DE.UTF-8",
        "sl_SI.UTF-8",
        "fr_FR.UTF-8",
        "hr_HR.UTF-8",
    };
    char text[TN_DOUBLE_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof with_comma / sizeof with_comma[0]; i++) {
        if (setlocale(LC_ALL, with_comma[i]) == NULL) {
            continue;
        }
        assert_true(reads("1.5", 1.5));
        tn_text_of_double(-1234.5, text);
        assert_string_equal(text, "-1234.5");
        setlocale(LC_ALL, "C");
    }
    tn_text_of_double(-1234.5, text);
    assert_string_equal(text, "-1234.5");
}

static void magnitudes_are_multiplied_and_printed(void **state)
{
    uint8_t bytes[64] = { 0 };
    char text[TN_DECIMAL_TEXT_BYTES];
    size_t len = 0;

    (void)state;
    len = tn_magnitude_mul_add(bytes, len, sizeof bytes, 10, 0);
    assert_int_equal(len, 0);
    for (int i = 0; i < 30; i++) {
        len = tn_magnitude_mul_add(bytes, len, sizeof bytes, 10,
                                   (uint32_t)(1 + i % 9));
    }
    size_t n = tn_decimal_of_magnitude(bytes, len, text);

    assert_int_equal(n, 30);
    assert_string_equal(text, "123456789123456789123456789123");
}

static void zeroes_inside_a_decimal_are_kept(void **state)
{
    /* 10^18 and 2 * 10^9 */
    static const uint8_t large[] = { 0, 0, 0x64, 0xA7, 0xB3, 0xB6, 0xE0, 0x0D };
    static const uint8_t small[] = { 0, 0x94, 0x35, 0x77 };
    char text[TN_DECIMAL_TEXT_BYTES];

    (void)state;
    tn_decimal_of_magnitude(large, sizeof large, text);
    assert_string_equal(text, "1000000000000000000");
    tn_decimal_of_magnitude(small, sizeof small, text);
    assert_string_equal(text, "2000000000");
}

static void the_largest_decimal_fits_its_room(void **state)
{
    uint8_t bytes[TN_DECIMAL_MAX_BYTES];
    char text[TN_DECIMAL_TEXT_BYTES];

    (void)state;
    memset(bytes, 0xFF, sizeof bytes);
    size_t n = tn_decimal_of_magnitude(bytes, sizeof bytes, text);

    assert_true(n < sizeof text);
    assert_int_equal(strlen(text), n);
}

static void hex_digits_become_bytes(void **state)
{
    static const char digits[] = "00_1aB_cd";
    uint8_t bytes[8];
    size_t len =
        tn_magnitude_of_hex((const uint8_t *)digits,
                            (const uint8_t *)digits + 9, bytes, sizeof bytes);

    (void)state;
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "\xcd\xab\x01", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_read_in_one_form_only),
        cmocka_unit_test(the_point_is_a_point_in_every_locale),
        cmocka_unit_test(magnitudes_are_multiplied_and_printed),
        cmocka_unit_test(zeroes_inside_a_decimal_are_kept),
        cmocka_unit_test(the_largest_decimal_fits_its_room),
        cmocka_unit_test(hex_digits_become_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
