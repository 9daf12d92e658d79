/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, every code point both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/utf8.h"

static void every_character_is_written_and_read(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110400; c++) {
        uint8_t bytes[4];
        uint32_t again = 0;
        size_t n = tn_utf8_put(c, bytes);
        size_t expected = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

        if ((c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) {
            assert_int_equal(n, 0);
            continue;
        }
        assert_int_equal(n, expected);
        assert_int_equal(tn_utf8_get(bytes, n, &again), n);
        assert_int_equal(again, c);
        for (size_t cut = 0; cut < n; cut++) {
            assert_int_equal(tn_utf8_get(bytes, cut, &again), 0);
        }
    }
}

/* Whatever two bytes more: only what can be written is read. */
static void what_is_not_valid_is_refused(void **state)
{
    (void)state;
    for (uint32_t word = 0; word < 0x1000000; word += 0x101) {
        uint8_t bytes[4] = { (uint8_t)(word >> 16), (uint8_t)(word >> 8),
                             (uint8_t)word, 0x80 };
        uint8_t again[4];
        uint32_t c = 0;
        size_t n = tn_utf8_get(bytes, 4, &c);

        if (n > 0) {
            assert_int_equal(tn_utf8_put(c, again), n);
            assert_memory_equal(bytes, again, n);
        }
    }
}

static bool valid(const char *text, size_t expected)
{
    size_t count = 0;
    bool ok = tn_utf8_valid((const uint8_t *)text, strlen(text), &count);

    assert_true(!ok || count == expected);
    return ok;
}

static void whole_texts_are_checked_and_counted(void **state)
{
    (void)state;
    assert_true(valid("", 0));
    assert_true(valid("abcdefgh12345678x", 17));
    assert_true(valid("abcdefghž日😀z", 12));
    assert_false(valid("abcdefgh\xff", 0));
    assert_false(valid("abcdefghijkl\xc5", 0));
    assert_false(valid("\xc0\x80", 0));
    assert_false(valid("\xed\xa0\x80", 0));
    assert_false(valid("\xf4\x90\x80\x80", 0));
    assert_false(valid("\x80", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_is_written_and_read),
        cmocka_unit_test(what_is_not_valid_is_refused),
        cmocka_unit_test(whole_texts_are_checked_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
