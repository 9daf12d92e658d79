/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of the bounded scan. What it accepts and refuses tag by tag is in
 * the golden bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "term/bytes.h"
#include "term/scan.h"
#include "term/tags.h"

/* `count` times the bytes of `unit`, then those of `last`. */
static uint8_t *repeated(const char *unit,
                         size_t unit_len,
                         size_t count,
                         const char *last,
                         size_t last_len,
                         size_t *len)
{
    *len = unit_len * count + last_len;
    uint8_t *bytes = malloc(*len);

    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + i * unit_len, unit, unit_len);
    }
    memcpy(bytes + unit_len * count, last, last_len);
    return bytes;
}

static enum tenon_err
scan_nested(const char *unit, size_t unit_len, size_t depth, size_t *used)
{
    size_t len;
    /* Enough integers behind it for the elements of every level. */
    char last[2048];

    memset(last, TN_NIL, sizeof last);
    uint8_t *bytes = repeated(unit, unit_len, depth, last, sizeof last, &len);
    enum tenon_err rc = tn_scan(bytes, len, used, NULL);

    free(bytes);
    return rc;
}

#define TUPLE "\x68\x01"
#define LIST "\x6c\0\0\0\1"
#define MAP_IN_KEY "\x74\0\0\0\1"

static void nesting_is_accepted_up_to_the_limit(void **state)
{
    size_t used;

    (void)state;
    assert_int_equal(scan_nested(TUPLE, 2, 512, &used), TENON_OK);
    assert_int_equal(used, 2 * 512 + 1);
    assert_int_equal(scan_nested(TUPLE, 2, 513, &used), TENON_E_TERM_DEEP);
    assert_int_equal(scan_nested(LIST, 5, 512, &used), TENON_OK);
    assert_int_equal(scan_nested(LIST, 5, 513, &used), TENON_E_TERM_DEEP);
    assert_int_equal(scan_nested(MAP_IN_KEY, 5, 512, &used), TENON_OK);
    assert_int_equal(scan_nested(MAP_IN_KEY, 5, 513, &used), TENON_E_TERM_DEEP);
}

static void a_term_a_million_deep_is_refused_at_once(void **state)
{
    static const char *const units[] = { TUPLE, LIST, MAP_IN_KEY };
    static const size_t lengths[] = { 2, 5, 5 };
    size_t used;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t len;
        uint8_t *bytes =
            repeated(units[i], lengths[i], 1000000, "\x6a", 1, &len);
        size_t looked_at = 513 * lengths[i];
        tenon_error err;

        assert_int_equal(tn_scan(bytes, len, &used, &err), TENON_E_TERM_DEEP);
        assert_non_null(strstr(err.text, "at most 512 levels"));
        /* What comes behind is not looked at: it need be no term. */
        memset(bytes + looked_at, 0xff, len - looked_at);
        assert_int_equal(tn_scan(bytes, len, &used, NULL), TENON_E_TERM_DEEP);
        free(bytes);
    }
}

/* ei writes a list cell by cell when its length is not known. */
static void a_list_of_many_cells_is_no_nesting(void **state)
{
    size_t len;
    size_t used;
    uint8_t *bytes = repeated("\x6c\0\0\0\1\x61\7", 7, 100000, "\x6a", 1, &len);
    tenon_term list;

    (void)state;
    assert_int_equal(tn_scan(bytes, len, &used, NULL), TENON_OK);
    assert_int_equal(used, len);
    assert_int_equal(tenon_term_scan(bytes, len, &list, NULL), TENON_OK);
    assert_int_equal(tenon_term_count(list), 100000);
    assert_true(tenon_term_is_proper_list(list));
    free(bytes);
}

/* A list in a list's element, whose tail again is a list. */
static void cells_in_elements_are_nesting(void **state)
{
    size_t len;
    size_t used;
    uint8_t *bytes =
        repeated("\x6c\0\0\0\1\x6a\x6c\0\0\0\1", 11, 513, "\x6a", 1, &len);

    (void)state;
    assert_int_equal(tn_scan(bytes, len, &used, NULL), TENON_E_TERM_DEEP);
    free(bytes);
}

static void counts_that_cannot_be_right_fail_before_a_loop(void **state)
{
    static const uint8_t heads[][6] = {
        { TN_LARGE_TUPLE, 0xFF, 0xFF, 0xFF, 0xFF, TN_NIL },
        { TN_LIST, 0xFF, 0xFF, 0xFF, 0xFF, TN_NIL },
        { TN_MAP, 0xFF, 0xFF, 0xFF, 0xFF, TN_NIL },
        { TN_MAP, 0x80, 0x00, 0x00, 0x01, TN_NIL },
        { TN_LIST, 0x00, 0x00, 0x00, 0x01, TN_NIL },
    };
    size_t used;
    tenon_error err;

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        assert_int_equal(tn_scan(heads[i], sizeof heads[i], &used, &err),
                         TENON_E_TERM_SHORT);
    }
}

/* In a block of its own, so that a read past its end is seen. */
static enum tenon_err scan_alone(const uint8_t *bytes, size_t len)
{
    uint8_t *alone = malloc(len);
    size_t used = 0;

    assert_non_null(alone);
    memcpy(alone, bytes, len);
    enum tenon_err rc = tn_scan(alone, len, &used, NULL);

    free(alone);
    return rc;
}

/* Head and length together are a few bytes where size_t has 32 bits: what
 * follows would then be read beyond the end. */
static void lengths_that_wrap_at_32_bits_are_refused(void **state)
{
    /* The length of 32 bits begins at byte 1, alone and behind an element. */
    static const uint8_t tags[] = { TN_BINARY,      TN_BIT_BINARY, TN_LARGE_BIG,
                                    TN_LARGE_TUPLE, TN_LIST,       TN_MAP,
                                    TN_NEW_FUN };
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof tags; i++) {
        for (uint32_t below = 0; below < 600; below++) {
            memset(bytes, 1, sizeof bytes);
            bytes[0] = TN_SMALL_TUPLE;
            bytes[1] = 2;
            bytes[2] = tags[i];
            tn_put32(bytes + 3, below < 300 ? 0xFFFFFFFFu - below
                                            : 0x80000000u - 300 + below);
            for (size_t len = 8; len <= sizeof bytes; len += 8) {
                assert_true(scan_alone(bytes + 2, len - 2) < 0);
                assert_true(scan_alone(bytes, len) < 0);
            }
        }
    }
}

/* Cut at every byte, with the largest lengths that their heads can tell. */
static void cut_terms_are_not_read_beyond_their_end(void **state)
{
    static const char *const terms[] = {
        "m\xff\xff\xff\xfb\1",
        "M\xff\xff\xff\xfa\1",
        "n\xff\0\1",
        "o\xff\xff\xff\xfa\0",
        "k\xff\xff\1",
        "v\xff\xffm",
        "d\xff\xffm",
        "w\xffm",
        "s\xffm",
        "X"
        "w\1nabcdefghijk",
        "g"
        "w\1nabcdefgh",
        "Y"
        "w\1nabcdefg",
        "f"
        "w\1nabcd",
        "x"
        "w\1nabcdefghijk",
        "Z\0\5w\1nabcdefghijklmnopqrstuvw",
        "r\0\5w\1nabcdefghijklmnopqrst",
        "q"
        "w\1mw\1fb\0\0\0",
        "Fabcdefg",
        "c1.0000000000000000000e+00",
    };
    static const size_t lengths[] = { 6,  6,  4, 6,  4,  4,  4,  3, 3, 15,
                                      12, 11, 8, 15, 29, 26, 11, 8, 26 };

    (void)state;
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
        for (size_t len = 1; len <= lengths[i]; len++) {
            enum tenon_err rc = scan_alone((const uint8_t *)terms[i], len);

            assert_true(rc == TENON_E_TERM_SHORT ||
                        (rc == TENON_E_TERM_BIG && terms[i][0] == 'o') ||
                        (rc == TENON_E_TERM_ATOM && len > 2));
        }
    }
}

static void what_is_behind_the_term_is_left_alone(void **state)
{
    static const uint8_t bytes[] = { 131, TN_SMALL_INTEGER, 7, 255, 255 };
    tenon_term term;
    size_t used;

    (void)state;
    assert_int_equal(tenon_term_scan(bytes, sizeof bytes, &term, NULL), 0);
    assert_ptr_equal(term.bytes, bytes + 1);
    assert_int_equal(term.len, 2);
    assert_int_equal(tn_scan(bytes + 1, 4, &used, NULL), TENON_OK);
    assert_int_equal(used, 2);
}

static void no_bytes_are_no_term(void **state)
{
    tenon_term term;

    (void)state;
    assert_int_equal(tenon_term_scan(NULL, 0, &term, NULL), TENON_E_TERM_SHORT);
    assert_int_equal(tenon_term_scan("", 0, &term, NULL), TENON_E_TERM_SHORT);
    assert_int_equal(tenon_term_scan("\x83", 1, &term, NULL),
                     TENON_E_TERM_SHORT);
}

static void terms_above_the_size_limit_are_refused(void **state)
{
    size_t len = (size_t)TENON_TERM_MAX_BYTES + 16;
    uint8_t *bytes = calloc(1, len);
    size_t used;
    tenon_error err;

    (void)state;
    assert_non_null(bytes);
    bytes[0] = TN_BINARY;
    uint32_t n = TENON_TERM_MAX_BYTES - 5;

    for (int i = 0; i < 2; i++) {
        bytes[1] = (uint8_t)(n >> 24);
        bytes[2] = (uint8_t)(n >> 16);
        bytes[3] = (uint8_t)(n >> 8);
        bytes[4] = (uint8_t)n;
        assert_int_equal(tn_scan(bytes, len, &used, &err),
                         i == 0 ? TENON_OK : TENON_E_TERM_BIG);
        n++;
    }
    free(bytes);
}

static void integers_above_the_size_limit_are_refused(void **state)
{
    size_t len = (size_t)TN_INTEGER_MAX_BYTES + 16;
    uint8_t *bytes = calloc(1, len);
    size_t used;

    (void)state;
    assert_non_null(bytes);
    bytes[0] = TN_LARGE_BIG;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t n = TN_INTEGER_MAX_BYTES + i;

        bytes[1] = (uint8_t)(n >> 24);
        bytes[2] = (uint8_t)(n >> 16);
        bytes[3] = (uint8_t)(n >> 8);
        bytes[4] = (uint8_t)n;
        assert_int_equal(tn_scan(bytes, len, &used, NULL),
                         i == 0 ? TENON_OK : TENON_E_TERM_BIG);
    }
    free(bytes);
}

/* tag, size, arity, uniq, index, count, module, old index, old uniq, pid and
 * one free variable */
static void a_fun_must_end_where_its_size_says(void **state)
{
    uint8_t fun[] = { TN_NEW_FUN, 0, 0,  0, 0,  1,   0, 0,   0,   0,  0,
                      0,          0, 0,  0, 0,  0,   0, 0,   0,   0,  0,
                      0,          0, 0,  0, 0,  0,   0, 1,   119, 1,  'm',
                      97,         0, 97, 0, 88, 119, 1, 'n', 0,   0,  0,
                      1,          0, 0,  0, 2,  0,   0, 0,   3,   97, 9 };
    size_t used;

    (void)state;
    fun[4] = sizeof fun - 1;
    assert_int_equal(tn_scan(fun, sizeof fun, &used, NULL), TENON_OK);
    for (int size = 0; size < 256; size++) {
        fun[4] = (uint8_t)size;
        if ((size_t)size != sizeof fun - 1) {
            assert_true(tn_scan(fun, sizeof fun, &used, NULL) < 0);
        }
    }
}

static void errors_say_where(void **state)
{
    static const uint8_t bytes[] = { TN_SMALL_TUPLE, 2, 97, 1, 0x52, 0 };
    tenon_error err;
    size_t used;

    (void)state;
    assert_int_equal(tn_scan(bytes, sizeof bytes, &used, &err),
                     TENON_E_TERM_TAG);
    assert_string_equal(err.text,
                        "term: expected no atom cache reference, got tag 0x52 "
                        "at byte 4");
}

static void depth_is_counted(void **state)
{
    (void)state;
    assert_int_equal(tn_scan_depth((const uint8_t *)"\x61\1", 2), 0);
    assert_int_equal(tn_scan_depth((const uint8_t *)"\x68\0", 2), 1);
    assert_int_equal(tn_scan_depth((const uint8_t *)"\x68\2\x6a\x68\0", 5), 2);
    assert_int_equal(tn_scan_depth((const uint8_t *)"\x68", 1), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_is_accepted_up_to_the_limit),
        cmocka_unit_test(a_term_a_million_deep_is_refused_at_once),
        cmocka_unit_test(a_list_of_many_cells_is_no_nesting),
        cmocka_unit_test(cells_in_elements_are_nesting),
        cmocka_unit_test(counts_that_cannot_be_right_fail_before_a_loop),
        cmocka_unit_test(lengths_that_wrap_at_32_bits_are_refused),
        cmocka_unit_test(cut_terms_are_not_read_beyond_their_end),
        cmocka_unit_test(what_is_behind_the_term_is_left_alone),
        cmocka_unit_test(no_bytes_are_no_term),
        cmocka_unit_test(terms_above_the_size_limit_are_refused),
        cmocka_unit_test(integers_above_the_size_limit_are_refused),
        cmocka_unit_test(a_fun_must_end_where_its_size_says),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(depth_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
