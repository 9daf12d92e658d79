/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang's plain terms, as files of options and rules hold them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "term/plain.h"

static void reads_as(const char *text, const char *printed)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_error err = { 0 };
    tenon_term term;
    char buf[256];

    if (tn_plain_read(text, strlen(text), true, builder, &err) != TENON_OK) {
        fail_msg("\"%s\": %s", text, err.text);
    }
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    tenon_term_print(term, buf, sizeof buf);
    assert_string_equal(buf, printed);
    tenon_builder_free(builder);
}

static void terms_are_read_as_a_beam_node_reads_them(void **state)
{
    (void)state;
    reads_as("a.", ":a");
    reads_as(" 'tlsv1.2' . % end", ":\"tlsv1.2\"");
    reads_as("[].", "[]");
    reads_as("{}.", "{}");
    reads_as("[1, -20,\n {a,[b]}].", "[1, -20, {:a, [:b]}]");
    reads_as("\"\".", "\"\"");
    reads_as("\"a\\\"b\\n\".", "\"a\\\"b\\n\"");
    reads_as("<<\"x\">>.", "\"x\"");
    reads_as("<<>>.", "\"\"");
    reads_as("#{}.", "%{}");
    reads_as("[#{ certfile => \"/c\", 'x' => {1} }].",
             "[%{certfile: \"/c\", x: {1}}]");
    reads_as("\"\\t\\s\\\\\\q\".", "\"\\t \\\\q\"");
    reads_as("% first\n{server, % inner\n \"x%y\"}.", "{:server, \"x%y\"}");
}

static void refused(const char *text, const char *expected)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_error err = { 0 };

    assert_true(tn_plain_read(text, strlen(text), true, builder, &err) < 0);
    if (strstr(err.text, expected) == NULL) {
        fail_msg("\"%s\": expected \"%s\" in \"%s\"", text, expected, err.text);
    }
    tenon_builder_free(builder);
}

static void what_is_no_term_is_told_by_its_line(void **state)
{
    char deep[300];

    (void)state;
    refused("", "line 1: expected an atom");
    refused("[a,\n b", "line 2: expected ], got the end");
    refused("{a;b}.", "line 1: expected }, got \";\"");
    refused("a", "expected a full stop");
    refused("a. b.", "expected nothing more, got \"b\"");
    refused("\"abc", "expected the closing quote");
    refused("#{a => b", "expected }, got the end");
    refused("#{a, b}.", "expected =>, got \",\"");
    refused("\"\\x41\".", "expected a character itself, not its number,");
    refused("\"\\101\".", "expected a character itself, not its number,");
    refused("1234567890123456789.", "at most 18 digits");
    refused("12x.", "an integer");
    refused("Variable.", "got \"V\"");
    memset(deep, '[', sizeof deep);
    deep[sizeof deep - 1] = '\0';
    refused(deep, "nesting of at most 16");
    memset(deep, 'a', sizeof deep);
    deep[256] = '.';
    deep[257] = '\0';
    refused(deep, "line 1: atom is too long");
}

static void several_terms_are_read_each_with_its_line(void **state)
{
    static const char text[] = "\n% first\na.\n\n{b,\n c}. % and\n\n[d";
    struct tn_plain plain = tn_plain_begin(text, sizeof text - 1);
    tenon_builder *builder = tenon_builder_new();
    tenon_error err = { 0 };

    (void)state;
    assert_int_equal(plain.line, 3);
    assert_int_equal(tn_plain_next(&plain, builder, &err), TENON_OK);
    assert_int_equal(plain.line, 5);
    assert_int_equal(tn_plain_next(&plain, builder, &err), TENON_OK);
    assert_int_equal(plain.line, 8);
    assert_true(tn_plain_next(&plain, builder, &err) < 0);
    assert_string_equal(err.text, "line 8: expected ], got the end");
    tenon_builder_free(builder);
}

static void a_text_without_a_term_has_none(void **state)
{
    static const char text[] = " \n% nothing\n";
    struct tn_plain plain = tn_plain_begin(text, sizeof text - 1);

    (void)state;
    assert_ptr_equal(plain.at, plain.end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_read_as_a_beam_node_reads_them),
        cmocka_unit_test(what_is_no_term_is_told_by_its_line),
        cmocka_unit_test(several_terms_are_read_each_with_its_line),
        cmocka_unit_test(a_text_without_a_term_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
