/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: bytes it writes, limits, errors that stick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <ei.h>

#include <tenon/term.h>

#include "term/build.h"
#include "term/tags.h"
#include "unit/support/terms.h"

static tenon_builder *builder;

static int begin(void **state)
{
    (void)state;
    builder = tenon_builder_new();
    return builder == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    tenon_builder_free(builder);
    return 0;
}

static const char *built(void)
{
    tenon_term term;
    enum tenon_err rc = tenon_builder_term(builder, &term);

    return rc < 0 ? tenon_err_name(rc) : text_of(term);
}

/* What ei writes, where it writes what BEAM writes. */
static void scalars_are_the_bytes_of_ei(void **state)
{
    ei_x_buff x;
    tenon_term term;
    erlang_pid ei_pid = { "a@b", 1, 2, 3 };
    erlang_ref ei_ref = { "a@b", 3, { 7, 8, 9 }, 4 };
    tenon_pid pid = { 1, 2, 3, "a@b" };
    tenon_ref ref = { 4, 3, { 7, 8, 9 }, "a@b" };

    (void)state;
    ei_x_new(&x);
    ei_x_encode_list_header(&x, 9);
    ei_x_encode_atom_len_as(&x, "ok", 2, ERLANG_UTF8, ERLANG_UTF8);
    ei_x_encode_long(&x, 255);
    ei_x_encode_long(&x, 256);
    ei_x_encode_longlong(&x, INT64_MIN);
    ei_x_encode_double(&x, -1.5);
    ei_x_encode_binary(&x, "abc", 3);
    ei_x_encode_pid(&x, &ei_pid);
    ei_x_encode_ref(&x, &ei_ref);
    ei_x_encode_map_header(&x, 1);
    ei_x_encode_tuple_header(&x, 0);
    ei_x_encode_tuple_header(&x, 300);
    for (int i = 0; i < 301; i++) {
        ei_x_encode_empty_list(&x);
    }

    tenon_build_list(builder, 9);
    tenon_build_atom(builder, "ok");
    tenon_build_int(builder, 255);
    tenon_build_int(builder, 256);
    tenon_build_int(builder, INT64_MIN);
    tenon_build_double(builder, -1.5);
    tenon_build_string(builder, "abc");
    tenon_build_pid(builder, &pid);
    tenon_build_ref(builder, &ref);
    tenon_build_map(builder, 1);
    tenon_build_tuple(builder, 0);
    tenon_build_tuple(builder, 300);
    for (int i = 0; i < 301; i++) {
        tenon_build_nil(builder);
    }
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    assert_int_equal(term.len, x.index);
    assert_memory_equal(term.bytes, x.buff, term.len);
    ei_x_free(&x);
}

static void integers_take_the_shortest_form(void **state)
{
    static const struct {
        int64_t value;
        const char *hex;
    } cases[] = {
        { 0, "6100" },
        { 255, "61ff" },
        { 256, "6200000100" },
        { -1, "62ffffffff" },
        { INT32_MAX, "627fffffff" },
        { INT32_MIN, "6280000000" },
        { (int64_t)INT32_MAX + 1, "6e040000000080" },
        { (int64_t)INT32_MIN - 1, "6e040101000080" },
        { INT64_MAX, "6e0800ffffffffffffff7f" },
    };
    tenon_term term;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tenon_term expected = term_of_hex(cases[i].hex);

        tenon_builder_reset(builder);
        tenon_build_int(builder, cases[i].value);
        assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
        assert_int_equal(term.len, expected.len);
        assert_memory_equal(term.bytes, expected.bytes, term.len);
    }
    tenon_builder_reset(builder);
    tenon_build_integer(builder, true, (const uint8_t *)"\7\0\0\0\0\0\0\0\0",
                        9);
    assert_string_equal(built(), "-7");
    tenon_builder_reset(builder);
    tenon_build_integer(builder, true, NULL, 0);
    assert_string_equal(built(), "0");
}

static void long_atoms_take_the_long_form(void **state)
{
    char text[1022];
    tenon_term term;

    (void)state;
    for (size_t i = 0; i < 1020; i += 4) {
        memcpy(text + i, "\xF0\x9F\x98\x80", 5);
    }
    tenon_build_atom(builder, text);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    assert_int_equal(term.bytes[0], TN_ATOM_UTF8);
    assert_int_equal(term.len, 3 + 1020);
    tenon_builder_reset(builder);
    memcpy(text + 1020, "a", 2);
    assert_int_equal(tenon_build_atom(builder, text), TENON_E_TERM_ATOM);
    tenon_builder_reset(builder);
    assert_int_equal(tenon_build_atom(builder, "\xff"), TENON_E_TERM_ATOM);
}

static void an_unfinished_container_is_no_term(void **state)
{
    (void)state;
    assert_string_equal(built(), "TERM_SHAPE");
    tenon_build_tuple(builder, 2);
    tenon_build_int(builder, 1);
    assert_string_equal(built(), "TERM_SHAPE");
    tenon_build_int(builder, 2);
    assert_string_equal(built(), "{1, 2}");
    tenon_build_int(builder, 3);
    assert_string_equal(built(), "TERM_SHAPE");
}

static void several_terms_lie_one_behind_the_other(void **state)
{
    const uint8_t *bytes;
    size_t len;

    (void)state;
    tenon_build_int(builder, 1);
    tenon_build_nil(builder);
    assert_int_equal(tn_builder_bytes(builder, &bytes, &len), TENON_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "\x61\1\x6a", 3);
    tenon_build_map(builder, 1);
    assert_int_equal(tn_builder_bytes(builder, &bytes, &len),
                     TENON_E_TERM_SHAPE);
}

static void a_list_without_elements_is_its_tail(void **state)
{
    (void)state;
    tenon_build_list(builder, 0);
    tenon_build_nil(builder);
    assert_string_equal(built(), "[]");
    tenon_builder_reset(builder);
    tenon_build_list(builder, 1);
    tenon_build_int(builder, 1);
    tenon_build_int(builder, 2);
    assert_string_equal(built(), "[1 | 2]");
}

/* When the length is not known before. */
static void a_list_may_be_built_cell_by_cell(void **state)
{
    tenon_term term;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        tenon_build_list(builder, 1);
        tenon_build_int(builder, i % 7);
    }
    tenon_build_nil(builder);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    assert_int_equal(tenon_term_count(term), 5000);
    tenon_term scanned;

    assert_int_equal(tenon_term_scan(term.bytes, term.len, &scanned, NULL), 0);
}

static void nesting_above_the_limit_is_refused(void **state)
{
    tenon_term term;

    (void)state;
    for (int i = 0; i < TENON_TERM_MAX_DEPTH; i++) {
        assert_int_equal(tenon_build_tuple(builder, 1), TENON_OK);
    }
    tenon_build_nil(builder);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    tenon_value *deepest = tenon_value_new(term);

    /* One level more around it, in both ways that there are. */
    tenon_builder_reset(builder);
    tenon_build_tuple(builder, 1);
    assert_int_equal(tenon_build_term(builder, tenon_value_term(deepest)),
                     TENON_E_TERM_DEEP);
    tenon_builder_reset(builder);
    for (int i = 0; i < TENON_TERM_MAX_DEPTH; i++) {
        tenon_build_tuple(builder, 1);
    }
    assert_int_equal(tenon_build_tuple(builder, 1), TENON_E_TERM_DEEP);
    tenon_value_free(deepest);
}

static void the_first_error_sticks(void **state)
{
    (void)state;
    tenon_build_int(builder, 1);
    assert_int_equal(tenon_build_double(builder, NAN), TENON_E_INVAL);
    assert_int_equal(tenon_build_atom(builder, "\xff"), TENON_E_INVAL);
    assert_int_equal(tenon_build_int(builder, 1), TENON_E_INVAL);
    assert_int_equal(tenon_build_list(builder, 0), TENON_E_INVAL);
    assert_int_equal(tenon_format(builder, "1"), TENON_E_INVAL);
    assert_int_equal(tenon_builder_error(builder), TENON_E_INVAL);
    assert_string_equal(built(), "INVAL");
    tenon_builder_reset(builder);
    tenon_build_int(builder, 2);
    assert_string_equal(built(), "2");
}

static void what_is_not_given_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(tenon_build_int(NULL, 1), TENON_E_INVAL);
    assert_int_equal(tenon_build_tuple(NULL, 1), TENON_E_INVAL);
    assert_int_equal(tenon_build_atom(NULL, "a"), TENON_E_INVAL);
    assert_int_equal(tenon_build_term(NULL, term_of("1")), TENON_E_INVAL);
    assert_int_equal(tenon_format(NULL, "1"), TENON_E_INVAL);
    assert_int_equal(tenon_builder_error(NULL), TENON_E_INVAL);
    tenon_builder_free(NULL);
    tenon_builder_reset(NULL);
#define REFUSED(call)                                                          \
    tenon_builder_reset(builder);                                              \
    assert_int_equal(call, TENON_E_INVAL)
    REFUSED(tenon_build_atom(builder, NULL));
    REFUSED(tenon_build_string(builder, NULL));
    REFUSED(tenon_build_binary(builder, NULL, 1));
    REFUSED(tenon_build_pid(builder, NULL));
    REFUSED(tenon_build_ref(builder, NULL));
    REFUSED(tenon_build_ref(builder, &(tenon_ref){ .word_count = 6 }));
    REFUSED(tenon_build_integer(builder, false, NULL, 1));
    REFUSED(tenon_build_term(builder, (tenon_term){ NULL, 0 }));
    REFUSED(tenon_build_double(builder, HUGE_VAL));
}

static void terms_above_the_size_limit_are_refused(void **state)
{
    (void)state;
    assert_int_equal(
        tenon_build_binary(builder, "", (size_t)TENON_TERM_MAX_BYTES + 1),
        TENON_E_TERM_BIG);
    tenon_builder_reset(builder);
    assert_int_equal(tenon_build_tuple(builder, SIZE_MAX), TENON_E_TERM_BIG);
    tenon_builder_reset(builder);
    assert_int_equal(tenon_build_list(builder, SIZE_MAX), TENON_E_TERM_BIG);
    tenon_builder_reset(builder);
    assert_int_equal(tenon_build_map(builder, SIZE_MAX), TENON_E_TERM_BIG);
    tenon_builder_reset(builder);
    assert_int_equal(tenon_build_integer(builder, false, (const uint8_t *)"\1",
                                         (size_t)1 << 0),
                     TENON_OK);
}

static void a_ceiling_below_the_limit_holds(void **state)
{
    tenon_builder small;

    (void)state;
    tn_builder_init(&small, 300);
    assert_int_equal(tenon_build_binary(&small, NULL, 0), TENON_OK);
    tenon_builder_reset(&small);
    char bytes[296] = { 0 };

    assert_int_equal(tenon_build_binary(&small, bytes, 295), TENON_OK);
    tenon_builder_reset(&small);
    assert_int_equal(tenon_build_binary(&small, bytes, 296), TENON_E_TERM_BIG);
    tn_builder_fini(&small);
}

static void a_builder_over_a_buffer_appends_to_it(void **state)
{
    struct tn_buf out;
    tenon_builder over;
    tenon_term term;

    (void)state;
    tn_buf_init(&out, 64);
    assert_int_equal(tn_buf_append(&out, "head", 4), TENON_OK);
    tn_builder_init_over(&over, &out);
    tenon_format(&over, "{:a, 1}");
    assert_int_equal(tenon_builder_term(&over, &term), TENON_OK);
    assert_string_equal(text_of(term), "{:a, 1}");
    assert_int_equal(out.len, 4 + term.len);
    tenon_builder_reset(&over);
    assert_int_equal(out.len, 4);
    /* The buffer's own ceiling is an error of its own. */
    tenon_build_binary(&over, "0123456789012345678901234567890123456789", 40);
    assert_int_equal(tenon_build_binary(&over, "01234567890123456", 17),
                     TENON_E_LIMIT);
    tenon_builder_reset(&over);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.bytes, "head", 4);
    tn_builder_fini(&over);
    assert_int_equal(out.len, 4);
    tn_buf_fini(&out);
}

static void bits_behind_the_last_are_written_as_zeroes(void **state)
{
    tenon_term term;

    (void)state;
    tn_build_bits(builder, (const uint8_t *)"\xff\xff", 2, 3);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    assert_int_equal(term.bytes[term.len - 1], 0xE0);
    assert_string_equal(built(), "<<255, 7::size(3)>>");
}

static void containers_of_unknown_size_are_closed_with_their_count(void **state)
{
    struct tn_unsized tuple;

    (void)state;
    tuple = tn_build_open_tuple(builder);
    for (int i = 0; i < 300; i++) {
        tenon_build_int(builder, i);
    }
    assert_string_equal(built(), "TERM_SHAPE");
    tn_build_close(builder, tuple, 300);
    tenon_term term;

    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    assert_int_equal(tenon_term_count(term), 300);
    tenon_term last;

    assert_int_equal(tenon_tuple_get(term, 299, &last), TENON_OK);
    assert_string_equal(text_of(last), "299");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scalars_are_the_bytes_of_ei),
        TEST(integers_take_the_shortest_form),
        TEST(long_atoms_take_the_long_form),
        TEST(an_unfinished_container_is_no_term),
        TEST(several_terms_lie_one_behind_the_other),
        TEST(a_list_without_elements_is_its_tail),
        TEST(a_list_may_be_built_cell_by_cell),
        TEST(nesting_above_the_limit_is_refused),
        TEST(the_first_error_sticks),
        TEST(what_is_not_given_is_an_error),
        TEST(terms_above_the_size_limit_are_refused),
        TEST(a_ceiling_below_the_limit_holds),
        TEST(a_builder_over_a_buffer_appends_to_it),
        TEST(bits_behind_the_last_are_written_as_zeroes),
        TEST(containers_of_unknown_size_are_closed_with_their_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
