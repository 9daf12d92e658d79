/* SPDX-License-Identifier: Apache-2.0 */
/* Reading scalars and walking containers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <tenon/term.h>

#include "term/view.h"
#include "unit/support/terms.h"

static void types_are_told_by_tag(void **state)
{
    static const struct {
        const char *text;
        enum tenon_type type;
    } cases[] = {
        { "1", TENON_TYPE_INTEGER },
        { "1267650600228229401496703205376", TENON_TYPE_INTEGER },
        { "1.0", TENON_TYPE_FLOAT },
        { ":a", TENON_TYPE_ATOM },
        { "{}", TENON_TYPE_TUPLE },
        { "%{}", TENON_TYPE_MAP },
        { "[]", TENON_TYPE_LIST },
        { "'a'", TENON_TYPE_LIST },
        { "[1 | 2]", TENON_TYPE_LIST },
        { "\"\"", TENON_TYPE_BINARY },
        { "<<1::size(1)>>", TENON_TYPE_BITSTRING },
        { "&M.f/1", TENON_TYPE_FUN },
        { "#PID<a@b.1.2>", TENON_TYPE_PID },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tenon_term_type(term_of(cases[i].text)),
                         cases[i].type);
    }
    assert_int_equal(tenon_term_type((tenon_term){ NULL, 0 }), TENON_TYPE_NONE);
    /* All bits of its last byte: a binary in the form of a bitstring. */
    assert_int_equal(tenon_term_type(term_of_hex("4d000000010861")),
                     TENON_TYPE_BINARY);
    assert_int_equal(tenon_term_type(term_of_hex("597701610000000700000001")),
                     TENON_TYPE_PORT);
}

static void integers_are_read_when_they_fit(void **state)
{
    int64_t i = 0;
    uint64_t u = 0;

    (void)state;
    assert_int_equal(tenon_term_int64(term_of("255"), &i), TENON_OK);
    assert_int_equal(i, 255);
    assert_int_equal(tenon_term_int64(term_of("-2147483648"), &i), TENON_OK);
    assert_true(i == INT32_MIN);
    assert_int_equal(tenon_term_int64(term_of("9223372036854775807"), &i), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(tenon_term_int64(term_of("-9223372036854775808"), &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(tenon_term_int64(term_of("9223372036854775808"), &i),
                     TENON_E_TERM_RANGE);
    assert_int_equal(tenon_term_int64(term_of("-9223372036854775809"), &i),
                     TENON_E_TERM_RANGE);
    assert_true(i == INT64_MIN);
    assert_int_equal(tenon_term_uint64(term_of("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(tenon_term_uint64(term_of("18446744073709551616"), &u),
                     TENON_E_TERM_RANGE);
    assert_int_equal(tenon_term_uint64(term_of("-1"), &u), TENON_E_TERM_RANGE);
    assert_int_equal(tenon_term_int64(term_of("1.0"), &i), TENON_E_TERM_TYPE);
    assert_int_equal(tenon_term_uint64(term_of(":a"), &u), TENON_E_TERM_TYPE);
}

static void integers_of_any_size_are_read_as_magnitude(void **state)
{
    uint8_t bytes[16] = { 0 };
    bool negative = false;
    size_t len = 0;
    tenon_term term = term_of("-0x0102030405060708090a");

    (void)state;
    assert_int_equal(tenon_term_integer(term, &negative, NULL, 0, &len),
                     TENON_E_TERM_RANGE);
    assert_int_equal(len, 10);
    assert_false(negative);
    assert_int_equal(
        tenon_term_integer(term, &negative, bytes, sizeof bytes, &len), 0);
    assert_true(negative);
    assert_memory_equal(bytes, "\x0a\x09\x08\x07\x06\x05\x04\x03\x02\x01", 10);
    assert_int_equal(tenon_term_integer(term_of("0"), &negative, NULL, 0, &len),
                     TENON_OK);
    assert_int_equal(len, 0);
    assert_false(negative);
    /* Leading zero bytes are not part of it. */
    assert_int_equal(tenon_term_integer(term_of_hex("6e0301070000"), &negative,
                                        bytes, 1, &len),
                     TENON_OK);
    assert_int_equal(len, 1);
    assert_true(negative);
}

static void atoms_come_out_as_utf8(void **state)
{
    tenon_atom atom;

    (void)state;
    assert_int_equal(tenon_term_atom(term_of_hex("640001e9"), &atom), 0);
    assert_string_equal(atom.text, "é");
    assert_true(tenon_term_is_atom(term_of_hex("7302e961"), "éa"));
    assert_false(tenon_term_is_atom(term_of_hex("7302e961"), "é"));
    assert_false(tenon_term_is_atom(term_of_hex("7302e961"), "\xe9"
                                                             "a"));
    assert_true(tenon_term_is_atom(term_of(":ok"), "ok"));
    assert_false(tenon_term_is_atom(term_of("\"ok\""), "ok"));
    assert_false(tenon_term_is_atom(term_of(":ok"), NULL));
    /* A text with a NUL cannot be told by a C string. */
    assert_int_equal(tenon_term_atom(term_of(":\"a\\0b\""), &atom),
                     TENON_E_TERM_TYPE);
    assert_int_equal(tenon_term_atom(term_of("1"), &atom), TENON_E_TERM_TYPE);
}

static void binaries_are_borrowed(void **state)
{
    const void *bytes;
    size_t len;
    tenon_term term = term_of("\"abc\"");

    (void)state;
    assert_int_equal(tenon_term_binary(term, &bytes, &len), TENON_OK);
    assert_ptr_equal(bytes, term.bytes + 5);
    assert_int_equal(len, 3);
    assert_int_equal(tenon_term_binary(term_of("<<1::size(7)>>"), &bytes, &len),
                     TENON_E_TERM_TYPE);
    assert_int_equal(tenon_term_binary(term_of("'abc'"), &bytes, &len),
                     TENON_E_TERM_TYPE);
}

static void identifiers_are_read_in_old_and_new_forms(void **state)
{
    tenon_pid pid;
    tenon_ref ref;

    (void)state;
    assert_int_equal(
        tenon_term_pid(term_of_hex("67770161000000010000000203"), &pid), 0);
    assert_int_equal(pid.id, 1);
    assert_int_equal(pid.serial, 2);
    assert_int_equal(pid.creation, 3);
    assert_string_equal(pid.node, "a");
    assert_int_equal(
        tenon_term_ref(term_of_hex("5a000277016100000009000000010000000f"),
                       &ref),
        0);
    assert_int_equal(ref.creation, 9);
    assert_int_equal(ref.word_count, 2);
    assert_int_equal(ref.words[1], 15);
    assert_int_equal(tenon_term_pid(term_of(":a"), &pid), TENON_E_TERM_TYPE);
    assert_int_equal(tenon_term_ref(term_of("1"), &ref), TENON_E_TERM_TYPE);
}

static void a_node_name_that_is_too_long_is_no_pid_of_ours(void **state)
{
    uint8_t bytes[600] = { 88, 118, 510 >> 8, 510 & 0xFF };
    tenon_term term;
    tenon_pid pid;

    (void)state;
    for (size_t i = 0; i < 510; i += 2) {
        memcpy(bytes + 4 + i, "ž", 2);
    }
    assert_int_equal(tenon_term_scan(bytes, 4 + 510 + 12, &term, NULL), 0);
    assert_int_equal(tenon_term_type(term), TENON_TYPE_PID);
    assert_int_equal(tenon_term_pid(term, &pid), TENON_E_TERM_RANGE);
}

static void tuples_are_read_by_index(void **state)
{
    tenon_term tuple = term_of("{:a, [1, 2], \"c\"}");
    tenon_term element;

    (void)state;
    assert_int_equal(tenon_tuple_get(tuple, 2, &element), TENON_OK);
    assert_string_equal(text_of(element), "\"c\"");
    assert_int_equal(tenon_tuple_get(tuple, 3, &element), TENON_E_NOT_FOUND);
    assert_int_equal(tenon_tuple_get(term_of("[1]"), 0, &element),
                     TENON_E_TERM_TYPE);
}

static void maps_are_read_by_key(void **state)
{
    tenon_term map = term_of("%{1 => :int, 1.0 => :float, \"k\" => :text, "
                             "[1, 2] => :list, k: :atom}");
    tenon_term value;

    (void)state;
    assert_int_equal(tenon_map_get(map, term_of("1.0"), &value), TENON_OK);
    assert_string_equal(text_of(value), ":float");
    assert_int_equal(tenon_map_get(map, term_of("1"), &value), TENON_OK);
    assert_string_equal(text_of(value), ":int");
    assert_int_equal(tenon_map_get(map, term_of_hex("6b00020102"), &value),
                     TENON_OK);
    assert_string_equal(text_of(value), ":list");
    assert_int_equal(tenon_map_get_atom(map, "k", &value), TENON_OK);
    assert_string_equal(text_of(value), ":atom");
    assert_int_equal(tenon_map_get_binary(map, "k", &value), TENON_OK);
    assert_string_equal(text_of(value), ":text");
    assert_int_equal(tenon_map_get(map, term_of("2"), &value),
                     TENON_E_NOT_FOUND);
    assert_int_equal(tenon_map_get_atom(map, "x", &value), TENON_E_NOT_FOUND);
    assert_int_equal(tenon_map_get_atom(term_of("[k: 1]"), "k", &value),
                     TENON_E_TERM_TYPE);
    assert_int_equal(tenon_map_get(map, (tenon_term){ NULL, 0 }, &value),
                     TENON_E_TERM_TYPE);
}

static void of_a_key_that_stands_twice_the_first_counts(void **state)
{
    tenon_term map = term_of_hex("7400000002770161610177016"
                                 "16102");
    tenon_term value;

    (void)state;
    assert_int_equal(tenon_map_get_atom(map, "a", &value), TENON_OK);
    assert_string_equal(text_of(value), "1");
}

/* Walks with a cursor and puts the printed elements one behind the other. */
static const char *walked(tenon_term term)
{
    static char text[256];
    tenon_cursor at;
    tenon_term element;
    size_t len = 0;

    text[0] = '\0';
    tenon_cursor_init(&at, term);
    while (tenon_cursor_next(&at, &element)) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s;",
                                text_of(element));
    }
    assert_false(tenon_cursor_next(&at, &element));
    if (tenon_cursor_tail(&at, &element) == TENON_OK) {
        snprintf(text + len, sizeof text - len, "|%s", text_of(element));
    }
    return text;
}

static void cursors_walk_every_container(void **state)
{
    (void)state;
    assert_string_equal(walked(term_of("[1, :a | 2]")), "1;:a;|2");
    assert_string_equal(walked(term_of("[]")), "|[]");
    assert_string_equal(walked(term_of("{1, {2}}")), "1;{2};");
    assert_string_equal(walked(term_of("%{:a => 1}")), ":a;1;");
    assert_string_equal(walked(term_of("{}")), "");
    assert_string_equal(walked(term_of("1")), "");
    assert_string_equal(walked((tenon_term){ NULL, 0 }), "");
    /* A list in bytes, and lists that go on in the tail of a list. */
    assert_string_equal(walked(term_of_hex("6b00020102")), "1;2;|[]");
    assert_string_equal(walked(term_of_hex("6c0000000161016b00020203")),
                        "1;2;3;|[]");
    assert_string_equal(walked(term_of_hex("6c0000000161016c0000000161026103")),
                        "1;2;|3");
}

static void a_tail_is_given_at_the_end_only(void **state)
{
    tenon_cursor at;
    tenon_term element;

    (void)state;
    tenon_cursor_init(&at, term_of("[1, 2]"));
    assert_int_equal(tenon_cursor_tail(&at, &element), TENON_E_TERM_TYPE);
    tenon_cursor_next(&at, &element);
    assert_int_equal(tenon_cursor_tail(&at, &element), TENON_E_TERM_TYPE);
    tenon_cursor_next(&at, &element);
    assert_int_equal(tenon_cursor_tail(&at, &element), TENON_OK);
    /* Where a list goes on in the tail, its end is the last one. */
    tenon_cursor_init(&at, term_of_hex("6c0000000161016c0000000161026103"));
    tenon_cursor_next(&at, &element);
    assert_int_equal(tenon_cursor_tail(&at, &element), TENON_E_TERM_TYPE);
    tenon_cursor_init(&at, term_of("{}"));
    assert_int_equal(tenon_cursor_tail(&at, &element), TENON_E_TERM_TYPE);
}

static void pairs_of_a_map_are_walked(void **state)
{
    tenon_cursor at;
    tenon_term key;
    tenon_term value;

    (void)state;
    tenon_cursor_init(&at, term_of("%{:a => 1, \"b\" => 2}"));
    assert_true(tenon_cursor_next_pair(&at, &key, &value));
    assert_string_equal(text_of(key), ":a");
    assert_true(tenon_cursor_next_pair(&at, &key, &value));
    assert_string_equal(text_of(value), "2");
    assert_false(tenon_cursor_next_pair(&at, &key, &value));
    tenon_cursor_init(&at, term_of("[1, 2]"));
    assert_false(tenon_cursor_next_pair(&at, &key, &value));
}

static void elements_are_counted(void **state)
{
    (void)state;
    assert_int_equal(tenon_term_count(term_of("[1, 2 | 3]")), 2);
    assert_int_equal(tenon_term_count(term_of("{1, 2, 3}")), 3);
    assert_int_equal(tenon_term_count(term_of("%{a: 1}")), 1);
    assert_int_equal(tenon_term_count(term_of("\"abc\"")), 0);
    assert_int_equal(tenon_term_count((tenon_term){ NULL, 0 }), 0);
    assert_int_equal(tenon_term_count(term_of_hex("6c0000000161016b00020203")),
                     3);
}

static void proper_lists_are_told(void **state)
{
    (void)state;
    assert_true(tenon_term_is_proper_list(term_of("[]")));
    assert_true(tenon_term_is_proper_list(term_of("[1, [2 | 3]]")));
    assert_true(tenon_term_is_proper_list(term_of("'ab'")));
    assert_false(tenon_term_is_proper_list(term_of("[1 | 2]")));
    assert_false(tenon_term_is_proper_list(term_of("{}")));
    assert_false(tenon_term_is_proper_list((tenon_term){ NULL, 0 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_told_by_tag),
        cmocka_unit_test(integers_are_read_when_they_fit),
        cmocka_unit_test(integers_of_any_size_are_read_as_magnitude),
        cmocka_unit_test(atoms_come_out_as_utf8),
        cmocka_unit_test(binaries_are_borrowed),
        cmocka_unit_test(identifiers_are_read_in_old_and_new_forms),
        cmocka_unit_test(a_node_name_that_is_too_long_is_no_pid_of_ours),
        cmocka_unit_test(tuples_are_read_by_index),
        cmocka_unit_test(maps_are_read_by_key),
        cmocka_unit_test(of_a_key_that_stands_twice_the_first_counts),
        cmocka_unit_test(cursors_walk_every_container),
        cmocka_unit_test(a_tail_is_given_at_the_end_only),
        cmocka_unit_test(pairs_of_a_map_are_walked),
        cmocka_unit_test(elements_are_counted),
        cmocka_unit_test(proper_lists_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
