/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang's order and equality. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tenon/term.h>

#include "unit/support/terms.h"

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

/* Every pair, both ways round: the file is in the order that OTP sorts. */
static void order_is_that_of_otp(void **state)
{
    struct goldens goldens = goldens_load("order.txt");

    (void)state;
    assert_true(goldens.count > 90);
    for (size_t i = 0; i < goldens.count; i++) {
        for (size_t j = 0; j < goldens.count; j++) {
            tenon_term a;
            tenon_term b;
            struct golden *x = &goldens.all[i];
            struct golden *y = &goldens.all[j];
            int expected = (x->line > y->line) - (x->line < y->line);

            assert_int_equal(tenon_term_scan(x->bytes, x->len, &a, NULL), 0);
            assert_int_equal(tenon_term_scan(y->bytes, y->len, &b, NULL), 0);
            if (sign(tenon_term_compare(a, b)) != expected) {
                fail_msg("%s and %s: expected %d, got %d", text_of(a),
                         text_of(b), expected, tenon_term_compare(a, b));
            }
            assert_int_equal(tenon_term_equal(a, b), i == j);
        }
    }
    goldens_free(&goldens);
}

#define SAME(a, b) assert_true(tenon_term_equal(a, b))
#define DIFFER(a, b) assert_false(tenon_term_equal(a, b))

static void equality_does_not_depend_on_the_encoding(void **state)
{
    (void)state;
    SAME(term_of_hex("730161"), term_of(":a"));
    SAME(term_of_hex("640001e9"), term_of(":é"));
    SAME(term_of_hex("6200000007"), term_of("7"));
    SAME(term_of_hex("6e0300070000"), term_of("7"));
    SAME(term_of_hex("69000000016107"), term_of("{7}"));
    SAME(term_of_hex("6b0003010203"), term_of("[1, 2, 3]"));
    SAME(term_of_hex("6c0000000161016b00020203"), term_of("[1, 2, 3]"));
    SAME(term_of_hex("6b0000"), term_of("[]"));
    SAME(term_of_hex("6c000000006a"), term_of("[]"));
    SAME(term_of_hex("4d0000000000"), term_of("\"\""));
    SAME(term_of_hex("4d000000010861"), term_of("\"a\""));
    /* Bits that are not part of the bitstring do not count. */
    SAME(term_of_hex("4d0000000103ff"), term_of("<<7::size(3)>>"));
    SAME(term_of_hex("67770161000000010000000203"),
         term_of_hex("58770161000000010000000200000003"));
}

static void equality_tells_types_and_signs_of_zero(void **state)
{
    (void)state;
    DIFFER(term_of("1"), term_of("1.0"));
    assert_int_equal(tenon_term_compare(term_of("1"), term_of("1.0")), 0);
    DIFFER(term_of("0.0"), term_of("-0.0"));
    assert_int_equal(tenon_term_compare(term_of("0.0"), term_of("-0.0")), 0);
    DIFFER(term_of("[1]"), term_of("[1.0]"));
    DIFFER(term_of("%{1 => 2}"), term_of("%{1.0 => 2}"));
    DIFFER(term_of(":a"), term_of("\"a\""));
    DIFFER(term_of("[]"), term_of("{}"));
    /* References of one and of two words, equal in Erlang's order. */
    DIFFER(term_of_hex("5a00017701610000000900000001"),
           term_of_hex("5a0002770161000000090000000100000000"));
}

static void maps_are_equal_in_any_order_of_their_keys(void **state)
{
    (void)state;
    SAME(term_of("%{\"c\" => [3], b: 2, a: 1}"),
         term_of("%{:a => 1, \"c\" => [3], :b => 2}"));
    DIFFER(term_of("%{a: 1, b: 2}"), term_of("%{b: 1, a: 2}"));
    DIFFER(term_of("%{a: 1, b: 2}"), term_of("%{a: 1, c: 2}"));
    SAME(term_of("%{%{a: 1, b: 2} => 1, %{c: 1} => 2}"),
         term_of("%{%{c: 1} => 2, %{b: 2, a: 1} => 1}"));
}

/* A map of 60 keys, forwards or backwards. */
static tenon_value *large_map(bool backwards)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;

    tenon_build_map(builder, 60);
    for (int64_t i = 0; i < 60; i++) {
        tenon_build_int(builder, backwards ? 59 - i : i);
        tenon_build_string(builder, "value");
    }
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(builder);
    return value;
}

static void large_maps_are_equal_in_any_order(void **state)
{
    tenon_value *up = large_map(false);
    tenon_value *down = large_map(true);

    (void)state;
    SAME(tenon_value_term(up), tenon_value_term(down));
    assert_int_equal(
        tenon_term_compare(tenon_value_term(up), tenon_value_term(down)), 0);
    tenon_value_free(up);
    tenon_value_free(down);
}

/* Nested maps in which only the innermost value differs: comparing twice at
 * each level would take 2^500 steps. */
static tenon_value *nested_map(int64_t innermost, bool as_key)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;

    for (int i = 0; i < 500; i++) {
        tenon_build_map(builder, 2);
        if (as_key) {
            tenon_build_int(builder, 1);
            tenon_build_nil(builder);
        } else {
            tenon_build_atom(builder, "b");
            tenon_build_nil(builder);
            tenon_build_atom(builder, "a");
        }
    }
    tenon_build_int(builder, innermost);
    for (int i = 0; i < 500 && as_key; i++) {
        tenon_build_int(builder, i);
    }
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(builder);
    return value;
}

static void deeply_nested_maps_compare_in_linear_time(void **state)
{
    (void)state;
    for (int as_key = 0; as_key < 2; as_key++) {
        tenon_value *a = nested_map(1, as_key);
        tenon_value *b = nested_map(2, as_key);

        DIFFER(tenon_value_term(a), tenon_value_term(b));
        assert_true(
            tenon_term_compare(tenon_value_term(a), tenon_value_term(b)) < 0);
        tenon_value_free(a);
        tenon_value_free(b);
    }
}

/* Maps in keys of maps, 14 levels of them, each key twice as large as its
 * inner ones: ordering the inner keys anew at every level takes minutes. */
static void build_tangle(tenon_builder *builder, int levels, int64_t innermost)
{
    if (levels == 0) {
        tenon_build_int(builder, innermost);
        return;
    }
    tenon_build_map(builder, 2);
    build_tangle(builder, levels - 1, 1);
    tenon_build_nil(builder);
    build_tangle(builder, levels - 1, innermost);
    tenon_build_nil(builder);
}

static tenon_value *tangle(int64_t innermost)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;

    build_tangle(builder, 14, innermost);
    assert_int_equal(tenon_builder_term(builder, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(builder);
    return value;
}

static void maps_in_keys_of_maps_do_not_take_hours(void **state)
{
    tenon_value *a = tangle(2);
    tenon_value *b = tangle(3);
    clock_t start = clock();

    (void)state;
    DIFFER(tenon_value_term(a), tenon_value_term(b));
    assert_true(tenon_term_compare(tenon_value_term(a), tenon_value_term(b)) <
                0);
    assert_true(tenon_term_print(tenon_value_term(a), NULL, 0) > 100000);
    /* Milliseconds of this program's own time, against a minute. */
    assert_true(clock() - start < 10 * CLOCKS_PER_SEC);
    tenon_value_free(a);
    tenon_value_free(b);
}

/* In any order of pairs, at every depth of keys. */
static void maps_in_keys_of_maps_are_compared_as_otp_does(void **state)
{
    tenon_term plain = term_of("%{%{a: 1} => 1}");
    tenon_term nested = term_of("%{%{%{} => 1} => 1}");

    (void)state;
    assert_true(tenon_term_compare(plain, nested) < 0);
    assert_true(tenon_term_compare(nested, plain) > 0);
    DIFFER(plain, nested);
    SAME(term_of("%{%{%{a: 1, b: 2} => 3, %{c: 4} => 5} => 6, 7 => 8}"),
         term_of("%{7 => 8, %{%{c: 4} => 5, %{b: 2, a: 1} => 3} => 6}"));
    DIFFER(term_of("%{%{%{a: 1, b: 2} => 3, %{c: 4} => 5} => 6, 7 => 8}"),
           term_of("%{7 => 8, %{%{c: 4} => 5, %{b: 2, a: 3} => 3} => 6}"));
    assert_string_equal(text_of(term_of("%{%{%{2 => 3, 1 => 2} => 3} => 4}")),
                        "%{%{%{1 => 2, 2 => 3} => 3} => 4}");
}

/* A map of the keys whose bits are set, forwards or backwards; what the values
 * are is in `values`, two bits for each. */
static tenon_value *some_map(unsigned keys, unsigned values, bool backwards)
{
    static const char *const key_of[] = { "1",  "1.0",       ":a",   ":b",
                                          "{}", "%{2 => 1}", "\"c\"" };
    static const char *const value_of[] = { "1", "1.0", "%{:x => 1, :y => 2}",
                                            "%{:x => 1, :y => 2.0}" };
    enum { KEYS = sizeof key_of / sizeof key_of[0] };
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    tenon_build_map(out, (size_t)__builtin_popcount(keys));
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned key = backwards ? KEYS - 1 - i : i;

        if ((keys >> key & 1) != 0) {
            tenon_format(out, key_of[key]);
            tenon_format(out, value_of[values >> 2 * key & 3]);
        }
    }
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(out);
    return value;
}

static void small_maps_compare_the_same_wherever_their_keys_stand(void **state)
{
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        tenon_term term[2][2];
        tenon_value *value[2][2];
        unsigned keys = 0;

        for (int side = 0; side < 2; side++) {
            random = random * 1664525 + 1013904223;
            /* Mostly the same keys. */
            if (side == 0 || random >> 30 == 0) {
                keys = random >> 8 & 127;
            }
            for (int turned = 0; turned < 2; turned++) {
                value[side][turned] = some_map(keys, random >> 16, turned == 1);
                term[side][turned] = tenon_value_term(value[side][turned]);
            }
        }
        int order = sign(tenon_term_compare(term[0][0], term[1][1]));
        bool equal = tenon_term_equal(term[0][0], term[1][1]);

        for (int i = 0; i < 4; i++) {
            tenon_term a = term[0][i / 2];
            tenon_term b = term[1][i % 2];

            assert_int_equal(sign(tenon_term_compare(a, b)), order);
            assert_int_equal(sign(tenon_term_compare(b, a)), -order);
            assert_int_equal(tenon_term_equal(a, b), equal);
        }
        for (int i = 0; i < 4; i++) {
            tenon_value_free(value[i / 2][i % 2]);
        }
    }
}

static void null_views_equal_nothing(void **state)
{
    tenon_term null = { NULL, 0 };

    (void)state;
    DIFFER(null, null);
    DIFFER(null, term_of("1"));
    assert_int_equal(tenon_term_compare(null, null), 0);
    assert_true(tenon_term_compare(null, term_of("1")) < 0);
    assert_true(tenon_term_compare(term_of("1"), null) > 0);
}

static void pids_and_references_compare_by_all_their_parts(void **state)
{
    tenon_pid pid = { 1, 2, 3, "a@b" };
    tenon_pid other = pid;
    tenon_ref ref = { 9, 3, { 1, 2, 3 }, "a@b" };
    tenon_ref another = ref;

    (void)state;
    assert_true(tenon_pid_equal(&pid, &other));
    other.creation = 4;
    assert_false(tenon_pid_equal(&pid, &other));
    other = pid;
    strcpy(other.node, "a@c");
    assert_false(tenon_pid_equal(&pid, &other));
    assert_true(tenon_ref_equal(&ref, &another));
    another.words[4] = 1; /* not one of the three */
    assert_true(tenon_ref_equal(&ref, &another));
    another.words[2] = 1;
    assert_false(tenon_ref_equal(&ref, &another));
    another = ref;
    another.word_count = 2;
    assert_false(tenon_ref_equal(&ref, &another));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_that_of_otp),
        cmocka_unit_test(equality_does_not_depend_on_the_encoding),
        cmocka_unit_test(equality_tells_types_and_signs_of_zero),
        cmocka_unit_test(maps_are_equal_in_any_order_of_their_keys),
        cmocka_unit_test(large_maps_are_equal_in_any_order),
        cmocka_unit_test(deeply_nested_maps_compare_in_linear_time),
        cmocka_unit_test(maps_in_keys_of_maps_do_not_take_hours),
        cmocka_unit_test(maps_in_keys_of_maps_are_compared_as_otp_does),
        cmocka_unit_test(small_maps_compare_the_same_wherever_their_keys_stand),
        cmocka_unit_test(null_views_equal_nothing),
        cmocka_unit_test(pids_and_references_compare_by_all_their_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
