/* SPDX-License-Identifier: Apache-2.0 */
/* Taking terms apart with patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <tenon/term.h>

#include "unit/support/terms.h"

#define MATCHES(text, ...) assert_true(tenon_match(term_of(text), __VA_ARGS__))
#define DIFFERS(text, ...) assert_false(tenon_match(term_of(text), __VA_ARGS__))

static void literals_match_equal_terms_only(void **state)
{
    static const char *const texts[] = {
        "0",
        "1",
        "-1",
        "255",
        "18446744073709551615",
        "-18446744073709551616",
        "1.0",
        "-0.0",
        "0.0",
        ":a",
        "\"a\"",
        "nil",
        "Foo.Bar",
        ":\"a b\"",
        "\"\"",
        "[]",
        "[1]",
        "[1, 2]",
        "[1 | 2]",
        "'ab'",
        "'a'",
        "'abc'",
        "[97, 98.0]",
        "{}",
        "{1}",
        "{1, 2}",
        "<<1>>",
        "<<1::size(7)>>",
        "<<2::size(7)>>",
        "<<1, 1::size(1)>>",
        "[a: 1]",
        "[a: 2]",
        "%{a: 1}",
        "%{a: 2}",
        "%{\"a\" => 1}",
        "%Foo{a: 1}",
        "#PID<a@b.1.2>",
        "#PID<a@b.2.2>",
        "&M.f/1",
        "&M.f/2",
        "&M.g/1",
        "~D[2026-01-02]",
        "~D[2026-01-03]",
        "~T[01:02:03]",
        "~U[2026-01-02 03:04:05Z]",
    };
    size_t count = sizeof texts / sizeof texts[0];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (tenon_match(term_of(texts[i]), texts[j]) != (i == j) &&
                /* A struct has the keys of the map pattern. */
                strcmp(texts[i], "%Foo{a: 1}") != 0) {
                fail_msg("%s against %s", texts[i], texts[j]);
            }
        }
    }
}

static void holes_take_what_fits(void **state)
{
    int64_t i = 0;
    uint64_t u = 0;
    double f = 0;
    tenon_atom a;
    const char *s = NULL;
    size_t s_len = 0;
    const void *b = NULL;
    size_t b_len = 0;
    tenon_term t;
    tenon_term n;
    tenon_pid p;
    tenon_ref r;
    tenon_ref ref = { 9, 1, { 7 }, "a@b" };

    (void)state;
    assert_true(tenon_match(
        term_of("{-1, 18446744073709551615, 0.5, :ok, \"text\", <<255>>, [1], "
                "18446744073709551616, #PID<a@b.1.2>, ~r}",
                &ref),
        "{~i, ~u, ~f, ~a, ~s, ~b, ~t, ~n, ~p, ~r}", &i, &u, &f, &a, &s, &s_len,
        &b, &b_len, &t, &n, &p, &r));
    assert_int_equal(i, -1);
    assert_true(u == UINT64_MAX);
    assert_true(f == 0.5);
    assert_string_equal(a.text, "ok");
    assert_int_equal(s_len, 4);
    assert_memory_equal(s, "text", 4);
    assert_int_equal(b_len, 1);
    assert_memory_equal(b, "\xff", 1);
    assert_string_equal(text_of(t), "[1]");
    assert_string_equal(text_of(n), "18446744073709551616");
    assert_int_equal(p.serial, 2);
    assert_int_equal(r.words[0], 7);
}

static void holes_refuse_what_does_not_fit(void **state)
{
    int64_t i;
    uint64_t u;
    double f;
    tenon_atom a;
    const char *s;
    const void *b;
    size_t len;
    tenon_term n;
    tenon_pid p;
    tenon_ref r;

    (void)state;
    DIFFERS("1.0", "~i", &i);
    DIFFERS("9223372036854775808", "~i", &i);
    DIFFERS("-1", "~u", &u);
    DIFFERS("1", "~f", &f);
    DIFFERS("\"a\"", "~a", &a);
    DIFFERS(":a", "~s", &s, &len);
    DIFFERS("<<255>>", "~s", &s, &len);
    DIFFERS("<<1::size(1)>>", "~b", &b, &len);
    DIFFERS("1.0", "~n", &n);
    DIFFERS(":a", "~p", &p);
    DIFFERS(":a", "~r", &r);
}

static void map_patterns_match_a_subset_of_keys(void **state)
{
    int64_t a = 0;
    int64_t b = 0;

    (void)state;
    MATCHES("%{a: 1, b: 2}", "%{}");
    MATCHES("%{\"b\" => 2, a: 1}", "%{\"b\" => ~i, a: ~i}", &b, &a);
    assert_int_equal(a, 1);
    assert_int_equal(b, 2);
    DIFFERS("%{a: 1}", "%{b: _}");
    DIFFERS("%{a: 1}", "%{\"a\" => _}");
    DIFFERS("%{1 => 2}", "%{1.0 => _}");
    MATCHES("%{{1, \"x\"} => 2, [3] => 4}", "%{[3] => 4, {1, \"x\"} => 2}");
    DIFFERS("[]", "%{}");
    /* Keys in Latin-1, as OTP 25 writes them to files. */
    assert_true(tenon_match(term_of_hex("7400000001640001e96101"), "%{é: 1}"));
}

static void struct_patterns_match_their_module(void **state)
{
    int64_t id = 0;

    (void)state;
    MATCHES("%Foo{id: 1, b: 2}", "%Foo{id: ~i}", &id);
    assert_int_equal(id, 1);
    MATCHES("%Foo{id: 1}", "%Foo{}");
    MATCHES("%Foo{id: 1}", "%{id: 1}");
    DIFFERS("%Foo{id: 1}", "%Bar{}");
    DIFFERS("%{id: 1}", "%Foo{}");
    DIFFERS(":a", "%Foo{}");
}

static void lists_match_whole_or_by_their_rest(void **state)
{
    int64_t head = 0;
    tenon_term rest;

    (void)state;
    MATCHES("[1, 2, 3]", "[~i | _]", &head);
    assert_int_equal(head, 1);
    MATCHES("[1, 2, 3]", "[1 | [2 | [3]]]");
    MATCHES("[1, 2, 3]", "[1 | [2 | _]]");
    MATCHES("[1]", "[1 | ~t]", &rest);
    assert_string_equal(text_of(rest), "[]");
    MATCHES("[1 | :a]", "[1 | ~t]", &rest);
    assert_string_equal(text_of(rest), ":a");
    MATCHES("[1, 2]", "_");
    DIFFERS("[1, 2]", "[1]");
    DIFFERS("[1, 2]", "[1, 2, 3]");
    DIFFERS("[1, 2]", "[1, 2 | 3]");
    DIFFERS("[1 | 2]", "[1]");
    DIFFERS("[]", "[_ | _]");
    /* The rest of a list has no bytes of its own. */
    DIFFERS("[1, 2]", "[1 | ~t]", &rest);
    /* Lists in bytes, and in the tails of lists. */
    assert_true(tenon_match(term_of_hex("6b000161"), "[97]"));
    assert_true(tenon_match(term_of_hex("6b000161"), "'a'"));
    assert_true(
        tenon_match(term_of_hex("6c0000000161016b00020203"), "[1, 2, 3]"));
}

static void keyword_patterns_match_pairs_in_order(void **state)
{
    int64_t a = 0;

    (void)state;
    MATCHES("[a: 1, b: 2]", "[a: ~i, b: 2]", &a);
    assert_int_equal(a, 1);
    MATCHES("[{:a, 1}]", "[a: 1]");
    DIFFERS("[b: 2, a: 1]", "[a: 1, b: 2]");
    DIFFERS("[a: 1, b: 2]", "[a: 1]");
    DIFFERS("[{\"a\", 1}]", "[a: 1]");
    DIFFERS("[{:a, 1, 2}]", "[a: 1]");
}

static void a_pid_matches_whatever_its_creation(void **state)
{
    tenon_pid pid = { 1, 2, 77, "a@b" };

    (void)state;
    assert_true(tenon_match(term_of("~p", &pid), "#PID<a@b.1.2>"));
    assert_false(tenon_match(term_of("~p", &pid), "#PID<a@c.1.2>"));
}

static void a_wrong_pattern_matches_nothing(void **state)
{
    static const char *const patterns[] = {
        "",       "{",          "{1",     "[1",    "%{",
        "%{a: 1", "~",          "~z",     "1 1",   "<<1",
        "\"a",    "%{~t => 1}", "[1 | ]", "[1, ]", "%{a: 1, \"b\" => 2}",
        "a",
    };

    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        DIFFERS("1", patterns[i]);
        DIFFERS("{1}", patterns[i]);
        DIFFERS("[1]", patterns[i]);
        DIFFERS("%{:a => 1, \"b\" => 2}", patterns[i]);
        DIFFERS("<<1>>", patterns[i]);
    }
    DIFFERS("1", NULL);
    assert_false(tenon_match((tenon_term){ NULL, 0 }, "_"));
}

static void patterns_nested_without_end_match_nothing(void **state)
{
    static char deep[300000];

    (void)state;
    for (size_t i = 0; i + 4 < sizeof deep; i += 4) {
        memcpy(deep + i, "[_|[", 4);
    }
    DIFFERS("[1, 2]", deep);
    memset(deep, '{', sizeof deep - 1);
    DIFFERS("{{{{1}}}}", deep);
}

static void large_integers_match_their_digits(void **state)
{
    (void)state;
    MATCHES("0xFFFFFFFFFFFFFFFFFFFF", "1208925819614629174706175");
    MATCHES("-0x1_0000_0000_0000_0000", "-18446744073709551616");
    DIFFERS("0x1_0000_0000_0000_0000", "-18446744073709551616");
    DIFFERS("1208925819614629174706175", "1208925819614629174706176");
    DIFFERS("1", "1208925819614629174706176");
    DIFFERS("1208925819614629174706175", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_match_equal_terms_only),
        cmocka_unit_test(holes_take_what_fits),
        cmocka_unit_test(holes_refuse_what_does_not_fit),
        cmocka_unit_test(map_patterns_match_a_subset_of_keys),
        cmocka_unit_test(struct_patterns_match_their_module),
        cmocka_unit_test(lists_match_whole_or_by_their_rest),
        cmocka_unit_test(keyword_patterns_match_pairs_in_order),
        cmocka_unit_test(a_pid_matches_whatever_its_creation),
        cmocka_unit_test(a_wrong_pattern_matches_nothing),
        cmocka_unit_test(patterns_nested_without_end_match_nothing),
        cmocka_unit_test(large_integers_match_their_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
