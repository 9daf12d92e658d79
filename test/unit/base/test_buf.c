/* SPDX-License-Identifier: Apache-2.0 */
/* The growing buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"

static void bytes_are_appended_and_consumed_in_order(void **state)
{
    struct tn_buf buf;

    (void)state;
    tn_buf_init(&buf, 100);
    assert_int_equal(tn_buf_append(&buf, "abc", 3), TENON_OK);
    assert_int_equal(tn_buf_append(&buf, "def", 3), TENON_OK);
    tn_buf_consume(&buf, 2);
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.bytes, "cdef", 4);
    assert_int_equal(tn_buf_append(&buf, "g", 1), TENON_OK);
    assert_memory_equal(buf.bytes, "cdefg", 5);
    tn_buf_consume(&buf, 50);
    assert_int_equal(buf.len, 0);
    assert_int_equal(tn_buf_append(&buf, NULL, 0), TENON_OK);
    tn_buf_fini(&buf);
}

static void the_ceiling_is_an_error_and_changes_nothing(void **state)
{
    struct tn_buf buf;
    uint8_t *at;

    (void)state;
    tn_buf_init(&buf, 5);
    assert_int_equal(tn_buf_append(&buf, "abcd", 4), TENON_OK);
    assert_int_equal(tn_buf_append(&buf, "ef", 2), TENON_E_LIMIT);
    assert_int_equal(tn_buf_reserve(&buf, SIZE_MAX, &at), TENON_E_LIMIT);
    assert_int_equal(tn_buf_reserve(&buf, (tn_extent)1 << 32, &at),
                     TENON_E_LIMIT);
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.bytes, "abcd", 4);
    assert_int_equal(tn_buf_append(&buf, "e", 1), TENON_OK);
    /* What was consumed makes room again. */
    tn_buf_consume(&buf, 3);
    assert_int_equal(tn_buf_append(&buf, "fgh", 3), TENON_OK);
    assert_memory_equal(buf.bytes, "defgh", 5);
    assert_int_equal(tn_buf_append(&buf, "i", 1), TENON_E_LIMIT);
    tn_buf_fini(&buf);
}

static void reserved_room_counts_when_the_length_says_so(void **state)
{
    struct tn_buf buf;
    uint8_t *at = NULL;

    (void)state;
    tn_buf_init(&buf, 10000);
    assert_int_equal(tn_buf_reserve(&buf, 5000, &at), TENON_OK);
    assert_int_equal(buf.len, 0);
    memset(at, 'x', 5000);
    buf.len += 3;
    assert_memory_equal(buf.bytes, "xxx", 3);
    assert_int_equal(tn_buf_reserve(&buf, 2, &at), TENON_OK);
    assert_ptr_equal(at, buf.bytes + 3);
    tn_buf_fini(&buf);
}

/* A window that slides over far more bytes than the buffer may hold. */
static void a_sliding_window_needs_no_more_than_its_ceiling(void **state)
{
    struct tn_buf buf;
    uint8_t next_in = 0;
    uint8_t next_out = 0;

    (void)state;
    tn_buf_init(&buf, 1000);
    for (int round = 0; round < 5000; round++) {
        uint8_t chunk[97];
        size_t in = (size_t)(round * 31 % 97 + 1);

        for (size_t i = 0; i < in; i++) {
            chunk[i] = next_in++;
        }
        assert_int_equal(tn_buf_append(&buf, chunk, in), TENON_OK);
        while (buf.len > 800) {
            for (size_t i = 0; i < 50; i++) {
                assert_int_equal(buf.bytes[i], next_out++);
            }
            tn_buf_consume(&buf, 50);
        }
        assert_true(buf.cap + buf.skipped <= 2048);
    }
    tn_buf_fini(&buf);
}

/* A nearly full buffer of which little is consumed at a time: it grows, rather
 * than to move all its bytes for each append. */
static void small_steps_do_not_move_a_full_buffer_each_time(void **state)
{
    struct tn_buf buf;
    char block[1000] = { 0 };
    size_t moves = 0;

    (void)state;
    tn_buf_init(&buf, 1u << 20);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(tn_buf_append(&buf, block, sizeof block), TENON_OK);
    }
    for (int i = 0; i < 100000; i++) {
        const uint8_t *before = buf.bytes + 1;

        tn_buf_consume(&buf, 1);
        assert_int_equal(tn_buf_append(&buf, "x", 1), TENON_OK);
        moves += buf.bytes != before;
    }
#ifndef TN_HOSTILE
    assert_true(moves < 10);
#endif
    tn_buf_fini(&buf);
}

static void memory_is_given_back_when_empty(void **state)
{
    struct tn_buf buf;
    char block[4000] = { 0 };

    (void)state;
    tn_buf_init(&buf, 10000);
    assert_int_equal(tn_buf_append(&buf, block, sizeof block), TENON_OK);
    tn_buf_trim(&buf, 1000);
    assert_int_equal(buf.len, sizeof block);
    tn_buf_reset(&buf);
    assert_true(buf.cap >= sizeof block);
    tn_buf_trim(&buf, 8192);
    assert_true(buf.cap >= sizeof block);
    tn_buf_trim(&buf, 1000);
    assert_int_equal(buf.cap, 0);
    assert_int_equal(buf.max, 10000);
    assert_int_equal(tn_buf_append(&buf, "a", 1), TENON_OK);
    tn_buf_fini(&buf);
}

static void an_empty_buffer_may_be_used_in_every_way(void **state)
{
    struct tn_buf buf;
    uint8_t *at = NULL;

    (void)state;
    tn_buf_init(&buf, 0);
    tn_buf_consume(&buf, 1);
    tn_buf_reset(&buf);
    tn_buf_trim(&buf, 0);
    assert_int_equal(tn_buf_append(&buf, "a", 1), TENON_E_LIMIT);
    assert_int_equal(tn_buf_reserve(&buf, 0, &at), TENON_OK);
    tn_buf_fini(&buf);
    tn_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_appended_and_consumed_in_order),
        cmocka_unit_test(the_ceiling_is_an_error_and_changes_nothing),
        cmocka_unit_test(reserved_room_counts_when_the_length_says_so),
        cmocka_unit_test(a_sliding_window_needs_no_more_than_its_ceiling),
        cmocka_unit_test(small_steps_do_not_move_a_full_buffer_each_time),
        cmocka_unit_test(memory_is_given_back_when_empty),
        cmocka_unit_test(an_empty_buffer_may_be_used_in_every_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
