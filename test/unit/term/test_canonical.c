/* SPDX-License-Identifier: Apache-2.0 */
/* One form for each term: what is equal gets the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <tenon/term.h>

#include "term/canonical.h"
#include "unit/support/terms.h"

static tenon_builder *canonical_of(tenon_term term, tenon_term *form)
{
    tenon_builder *out = tenon_builder_new();

    assert_int_equal(tn_build_canonical(out, term), TENON_OK);
    assert_int_equal(tenon_builder_term(out, form), TENON_OK);
    return out;
}

static bool same_form(tenon_term a, tenon_term b)
{
    tenon_term form_a, form_b;
    tenon_builder *out_a = canonical_of(a, &form_a);
    tenon_builder *out_b = canonical_of(b, &form_b);
    bool same = form_a.len == form_b.len &&
                memcmp(form_a.bytes, form_b.bytes, form_a.len) == 0;

    assert_true(tenon_term_equal(a, form_a));
    tenon_builder_free(out_a);
    tenon_builder_free(out_b);
    return same;
}

static void equal_terms_of_any_encoding_have_one_form(void **state)
{
    static const struct {
        const char *text;
        const char *hex;
    } cases[] = {
        { ":demo", "64000464656d6f" }, /* ATOM_EXT */
        { ":demo", "7600046465"
                   "6d6f" },           /* ATOM_UTF8_EXT */
        { ":\"\xc3\xa9\"", "7301e9" }, /* SMALL_ATOM_EXT, Latin-1 */
        { "7", "6200000007" },         /* INTEGER_EXT */
        { "7", "6e010007" },           /* SMALL_BIG_EXT */
        { "[97, 98]", "6b00026162" },  /* STRING_EXT */
        { "{1}", "69000000016101" },   /* LARGE_TUPLE_EXT */
        { "[1, 2]", "6c0000000161016c0000000161026a" }, /* list in its tail */
        { "%{1 => 2, 3 => 4}", "74000000026103610461016102" },
        { "<<1>>", "4d000000010801" }, /* a binary as BIT_BINARY_EXT */
        { "#PID<a@b.1.2>", "6764000361406200000001000000020"
                           "0" }, /* PID_EXT */
        { "[1 | 2]", "6c0000000161016200000002" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (!same_form(term_of("~t", term_of(cases[i].text)),
                       term_of_hex(cases[i].hex))) {
            fail_msg("%s and %s", cases[i].text, cases[i].hex);
        }
    }
}

static void different_terms_have_different_forms(void **state)
{
    (void)state;
    assert_false(same_form(term_of("1"), term_of("1.0")));
    assert_false(same_form(term_of("0.0"), term_of("-0.0")));
    assert_false(same_form(term_of(":a"), term_of("\"a\"")));
    assert_false(same_form(term_of("[1, 2]"), term_of("[1 | 2]")));
    assert_false(same_form(term_of("%{1 => 2}"), term_of("%{1 => 3}")));
}

/* Equal by =:= is equal by form for every term that BEAM nodes wrote. */
static void what_beam_nodes_wrote_is_told_apart_as_it_is_compared(void **state)
{
    struct goldens goldens = goldens_load("order.txt");

    (void)state;
    assert_true(goldens.count > 20);
    for (size_t i = 0; i < goldens.count; i++) {
        for (size_t j = 0; j < goldens.count; j++) {
            tenon_term a, b;

            assert_int_equal(tenon_term_scan(goldens.all[i].bytes,
                                             goldens.all[i].len, &a, NULL),
                             TENON_OK);
            assert_int_equal(tenon_term_scan(goldens.all[j].bytes,
                                             goldens.all[j].len, &b, NULL),
                             TENON_OK);
            if (same_form(a, b) != tenon_term_equal(a, b)) {
                fail_msg("%s and %s", text_of(a), text_of(b));
            }
        }
    }
    goldens_free(&goldens);
}

static void the_null_view_has_no_form(void **state)
{
    tenon_builder *out = tenon_builder_new();

    (void)state;
    assert_int_equal(tn_build_canonical(out, (tenon_term){ 0 }), TENON_E_INVAL);
    tenon_builder_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_terms_of_any_encoding_have_one_form),
        cmocka_unit_test(different_terms_have_different_forms),
        cmocka_unit_test(what_beam_nodes_wrote_is_told_apart_as_it_is_compared),
        cmocka_unit_test(the_null_view_has_no_form),
    };
    return cmocka_run_group_tests_name("term/canonical", tests, NULL, NULL);
}
