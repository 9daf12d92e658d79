/* SPDX-License-Identifier: Apache-2.0 */
/* Building terms from patterns, and reading them from text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "unit/support/terms.h"

/* The text as it prints after reading, or the error. */
static const char *read_text(const char *text)
{
    static char message[TENON_ERROR_TEXT_BYTES];
    tenon_builder *builder = tenon_builder_new();
    tenon_error err;
    tenon_term term;
    const char *printed;

    if (tenon_build_text(builder, text, strlen(text), &err) < 0) {
        snprintf(message, sizeof message, "%s", err.text);
        printed = message;
    } else if (tenon_builder_term(builder, &term) < 0) {
        printed = "no term";
    } else {
        printed = text_of(term);
    }
    tenon_builder_free(builder);
    return printed;
}

#define READS(text, expected) assert_string_equal(read_text(text), expected)
#define SAME(text) READS(text, text)

static void numbers_are_read(void **state)
{
    (void)state;
    SAME("0");
    SAME("-7");
    READS("1_000_000", "1000000");
    READS("0x1F", "31");
    READS("-0xff", "-255");
    READS("0b101", "5");
    READS("0o17", "15");
    READS("007", "7");
    SAME("18446744073709551616");
    READS("0x1_0000_0000_0000_0000", "18446744073709551616");
    READS("0b1111111111111111111111111111111111111111111111111111111111111111"
          "1",
          "36893488147419103231");
    SAME("-340282366920938463463374607431768211456");
    SAME("1.5");
    SAME("-0.0");
    READS("1_0.5", "10.5");
    SAME("1.0e100");
    READS("1.5E+3", "1500.0");
    SAME("1.0e-5");
}

static void atoms_and_aliases_are_read(void **state)
{
    (void)state;
    SAME(":ok");
    SAME("nil");
    READS(":nil", "nil");
    SAME("true");
    SAME(":a@b");
    SAME(":ok?");
    READS(":\"ok\"", ":ok");
    READS(":'a b'", ":\"a b\"");
    SAME(":\"\"");
    SAME(":+");
    SAME(":<<>>");
    SAME("X3m.System.Message");
    READS(":\"Elixir.Foo\"", "Foo");
    READS("Elixir.Foo", "Foo");
    SAME("Elixir");
    SAME("Elixir.Elixir");
    SAME(":ž");
    SAME(":\"Elixir.ž\"");
}

static void strings_are_read_with_their_escapes(void **state)
{
    (void)state;
    SAME("\"abc\"");
    SAME("\"\"");
    SAME("\"a\\nb\\t\\\"\\\\\\e\"");
    READS("\"\\x41\\u00e9\\u{1F600}\\x{20AC}\"", "\"Aé😀€\"");
    READS("\"\\xff\"", "<<255>>");
    READS("\"\\0\"", "<<0>>");
    READS("\"\\q\\'\"", "\"q'\"");
    SAME("\"\\#{a}\"");
    READS("'abc'", "~c\"abc\"");
    READS("~c'abc'", "~c\"abc\"");
    READS("~c\"\"", "[]");
    READS("'ž'", "[382]");
    READS("'\\xff'", "[255]");
    READS("\"two\nlines\"", "\"two\\nlines\"");
}

static void containers_are_read(void **state)
{
    (void)state;
    SAME("[]");
    SAME("{}");
    SAME("%{}");
    READS("<<>>", "\"\"");
    READS(" [ 1 ,2,\n3 ] ", "[1, 2, 3]");
    SAME("[1 | 2]");
    READS("[1 | [2, 3]]", "[1, 2, 3]");
    READS("[1, 2 | []]", "[1, 2]");
    SAME("[a: 1, b: [c: 2]]");
    READS("[1, a: 2]", "[1, {:a, 2}]");
    READS("[\"a b\": 1]", "[\"a b\": 1]");
    SAME("[nil: 1, +: 2, A: 3]");
    SAME("{1, {:a, \"b\"}, 1.5}");
    SAME("%{1 => 2, \"a\" => :b}");
    SAME("%{a: 1, b: %{}}");
    READS("%{1 => 2, a: 3}", "%{1 => 2, :a => 3}");
    SAME("%X3m.System.Message{id: \"1\"}");
    SAME("%Foo{}");
    SAME("<<0, 1, 255>>");
    SAME("<<1, 5::size(3)>>");
    READS("<<97, 98::size(8)>>", "\"ab\"");
    SAME("#PID<name@127.0.0.1.1.2>");
    SAME("&Mod.fun/2");
    SAME("&:mod.\"a b\"/0");
    SAME("~U[2026-01-02 03:04:05.000678Z]");
    SAME("~D[2026-01-02]");
}

static void a_tuple_of_any_size_is_read(void **state)
{
    char text[4096] = "{0";
    size_t len = 2;

    (void)state;
    for (int i = 1; i < 300; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, ", %d", i);
    }
    snprintf(text + len, sizeof text - len, ", {{}, [0, 256]}}");
    SAME(text);
}

static void wrong_text_is_refused_with_its_place(void **state)
{
    (void)state;
    READS("", "term text: expected a term, got the end at byte 0");
    READS("{1, 2", "term text: expected \",\" or \"}\", got the end at byte 5");
    READS("[1, ]", "term text: expected a term, got \"]\" at byte 4");
    READS("[1 2]",
          "term text: expected \",\", \"|\" or \"]\", got \"2]\" at byte 3");
    READS("1 2",
          "term text: expected the end of the text, got \"2\" at byte 2");
    READS("ok", "term text: expected a term (an atom begins with a colon), got "
                "\"ok\" at byte 0");
    READS("%{1}", "term text: expected \"=>\", got \"}\" at byte 3");
    READS("[a: 1, 2]", "term text: expected key: value, got \"2]\" at byte 7");
    READS("%{a: 1, 2 => 3}",
          "term text: expected key: value, got \"2 => 3}\" at byte 8");
    READS("{a: 1}", "term text: expected a term, got \"a: 1}\" at byte 1");
    READS("~i", "term text: expected a term without holes, got \"~i\" at byte "
                "0");
    READS("_", "term text: expected a term, got \"_\" at byte 0");
    READS("<<256>>",
          "term text: expected a byte from 0 to 255, got \"256>>\" at byte 2");
    READS("#Reference<a.1.2.3>",
          "term text: expected a term, got \"#Reference<a.1.2\" at byte 0");
}

static void text_that_no_term_has_is_refused(void **state)
{
    static const char *const texts[] = {
        "\"abc",
        "\"a#{b}\"",
        "\"\\xg\"",
        "\"\\u12\"",
        "\"\\u{110000}\"",
        "\"\xff\"",
        "'a",
        ":\"a",
        ":",
        "~",
        "~z",
        "~c",
        "#PID<1.2>",
        "#PID<a.1>",
        "#PID<a.x.1>",
        "#PID<a\n@b.1.2>",
        "#PID<a.1.4294967296>",
        "&a.b/1",
        "&M.b",
        "&M.b/256",
        "&M/1",
        "%",
        "%Foo",
        "%foo{}",
        "<<1::size(9)>>",
        "<<1::size(3), 2>>",
        "<<-1>>",
        "1.5e",
        "1.0e999",
        "0x",
        "- 1",
        "--1",
        "]",
        "[1 | 2, 3]",
        "[| 1]",
        "[a: 1 | 2]",
        "%{a: 1, a: 2}",
        "%{b: %{a: 1, a: 2}}",
        "{%{a: 1}, %{a: 1, b: 2, a: 3}}",
        "%{1 => 1, 0x1 => 2}",
        "~D[2026-13-01]",
        "~U[2026-01-01]",
        "~T[24:00:00]",
        "(1)",
        "1.",
        "?a",
        "%Foo{__struct__: 1}",
        "\x01",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tenon_builder *builder = tenon_builder_new();
        enum tenon_err rc =
            tenon_build_text(builder, texts[i], strlen(texts[i]), NULL);

        if (rc != TENON_E_TERM_SYNTAX) {
            fail_msg("%s: got %s", texts[i], tenon_err_name(rc));
        }
        tenon_builder_free(builder);
    }
}

static void text_nested_too_deep_is_refused(void **state)
{
    size_t len = 1000000;
    char *text = malloc(len + 1);
    static const char openers[] = "[{";

    (void)state;
    for (int i = 0; i < 2; i++) {
        tenon_builder *builder = tenon_builder_new();
        tenon_error err;

        memset(text, openers[i], len);
        assert_int_equal(tenon_build_text(builder, text, len, &err),
                         TENON_E_TERM_DEEP);
        assert_non_null(strstr(err.text, "nested too deep"));
        tenon_builder_free(builder);
    }
    free(text);
}

static void decimals_are_read_up_to_their_limit(void **state)
{
    size_t len = 10001;
    char *text = malloc(len);
    tenon_builder *builder = tenon_builder_new();

    (void)state;
    memset(text, '9', len);
    assert_int_equal(tenon_build_text(builder, text, 10000, NULL), TENON_OK);
    tenon_builder_reset(builder);
    assert_int_equal(tenon_build_text(builder, text, len, NULL),
                     TENON_E_TERM_SYNTAX);
    tenon_builder_free(builder);
    free(text);
}

static void holes_are_filled(void **state)
{
    tenon_pid pid = { 1, 2, 3, "a@b" };
    tenon_ref ref = { 9, 2, { 7, 8 }, "a@b" };
    uint8_t magnitude[9] = { 0, 0, 0, 0, 0, 0, 0, 0, 1 };

    (void)state;
    assert_string_equal(
        text_of(term_of("{~i, ~u, ~f, ~a, ~s, ~b, ~t, ~n, ~p, ~r}", (int64_t)-1,
                        UINT64_MAX, 0.5, "an atom", "text",
                        (const void *)"\xff\0", (size_t)2, term_of("[1]"), 1,
                        magnitude, sizeof magnitude, &pid, &ref)),
        "{-1, 18446744073709551615, 0.5, :\"an atom\", \"text\", <<255, 0>>, "
        "[1], -18446744073709551616, #PID<a@b.1.2>, #Reference<a@b.8.7>}");
    assert_string_equal(
        text_of(term_of("%{\"k\" => [~i | ~t], ~a => %M{a: ~i}}", (int64_t)1,
                        term_of("[2]"), "x", (int64_t)3)),
        "%{:x => %M{a: 3}, \"k\" => [1, 2]}");
}

static void what_holes_take_is_checked(void **state)
{
    tenon_builder *builder = tenon_builder_new();

    (void)state;
#define REFUSED(code, ...)                                                     \
    tenon_builder_reset(builder);                                              \
    assert_int_equal(tenon_format(builder, __VA_ARGS__), code)
    REFUSED(TENON_E_INVAL, "[~t]", ((tenon_term){ NULL, 0 }));
    REFUSED(TENON_E_INVAL, "~a", (const char *)NULL);
    REFUSED(TENON_E_INVAL, "~s", (const char *)NULL);
    REFUSED(TENON_E_TERM_ATOM, "~a", "\xff");
    REFUSED(TENON_E_TERM_SYNTAX, "~q");
    REFUSED(TENON_E_TERM_SYNTAX, "{~i", (int64_t)1);
    REFUSED(TENON_E_TERM_SYNTAX, "_");
    REFUSED(TENON_E_TERM_SYNTAX, "%{~a => 1, ~a => 2}", "the same", "the same");
    REFUSED(TENON_E_INVAL, NULL);
    tenon_builder_free(builder);
}

static void patterns_fill_a_larger_term(void **state)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;

    (void)state;
    tenon_build_tuple(builder, 2);
    tenon_format(builder, "%{a: ~i}", (int64_t)1);
    tenon_format(builder, "[~i]", (int64_t)2);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    assert_string_equal(text_of(term), "{%{a: 1}, [2]}");
    tenon_builder_free(builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(atoms_and_aliases_are_read),
        cmocka_unit_test(strings_are_read_with_their_escapes),
        cmocka_unit_test(containers_are_read),
        cmocka_unit_test(a_tuple_of_any_size_is_read),
        cmocka_unit_test(wrong_text_is_refused_with_its_place),
        cmocka_unit_test(text_that_no_term_has_is_refused),
        cmocka_unit_test(text_nested_too_deep_is_refused),
        cmocka_unit_test(decimals_are_read_up_to_their_limit),
        cmocka_unit_test(holes_are_filled),
        cmocka_unit_test(what_holes_take_is_checked),
        cmocka_unit_test(patterns_fill_a_larger_term),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
