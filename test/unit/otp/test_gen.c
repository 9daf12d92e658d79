/* SPDX-License-Identifier: Apache-2.0 */
/* Taking gen_server's messages apart, and where their answers go. */
#include "otp/gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "otp/atoms.h"

static const tenon_pid some_pid = { 7, 0, 3, "b@h" };
static const tenon_ref some_ref = { 3, 3, { 1, 2, 3 }, "b@h" };

static tenon_value *must(tenon_value *value)
{
    assert_non_null(value);
    return value;
}

static void assert_term(tenon_term term, const char *expected)
{
    char text[400];
    tenon_term_print(term, text, sizeof text);
    assert_string_equal(text, expected);
}

static void a_call_has_from_tag_and_request(void **state)
{
    (void)state;
    tenon_value *message = must(tenon_value_format(
        "{:\"$gen_call\", {~p, :tag}, {:add, 1}}", &some_pid));
    struct tn_gen gen = tn_gen_parse(tenon_value_term(message));
    assert_int_equal(gen.kind, TN_GEN_CALL);
    assert_int_equal(tenon_term_type(gen.from), TENON_TYPE_PID);
    assert_term(gen.tag, ":tag");
    assert_term(gen.request, "{:add, 1}");
    tenon_value_free(message);
}

static void a_cast_has_a_request(void **state)
{
    (void)state;
    tenon_value *message = must(tenon_value_format("{:\"$gen_cast\", [1]}"));
    struct tn_gen gen = tn_gen_parse(tenon_value_term(message));
    assert_int_equal(gen.kind, TN_GEN_CAST);
    assert_term(gen.request, "[1]");
    tenon_value_free(message);
}

static void a_system_message_is_told_apart(void **state)
{
    (void)state;
    tenon_value *message = must(
        tenon_value_format("{:system, {~p, :tag}, :get_state}", &some_pid));
    struct tn_gen gen = tn_gen_parse(tenon_value_term(message));
    assert_int_equal(gen.kind, TN_GEN_SYSTEM);
    assert_term(gen.request, ":get_state");
    tenon_value_free(message);
}

static void what_only_looks_like_a_call_is_a_plain_message(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "{:\"$gen_call\", {:no_pid, :tag}, :request}",
        "{:\"$gen_call\", :from, :request}",
        "{:\"$gen_call\", {:a, :b, :c}, :request}",
        "{:\"$gen_call\", :request}",
        "{:\"$gen_cast\", :a, :b}",
        "{:\"$gen_cast\"}",
        "{:system, :a, :b}",
        "{}",
        "[]",
        "[:\"$gen_cast\", 1]",
        "%{}",
        ":\"$gen_cast\"",
        "\"$gen_cast\"",
        "1.5",
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        tenon_value *message = must(tenon_value_format(messages[i]));
        struct tn_gen gen = tn_gen_parse(tenon_value_term(message));
        assert_int_equal(gen.kind, TN_GEN_INFO);
        assert_ptr_equal(gen.request.bytes, tenon_value_term(message).bytes);
        tenon_value_free(message);
    }
}

static void no_term_at_all_is_a_plain_message(void **state)
{
    (void)state;
    struct tn_gen gen = tn_gen_parse((tenon_term){ 0 });
    assert_int_equal(gen.kind, TN_GEN_INFO);
    assert_null(gen.request.bytes);
}

/* True when the tag asks for an answer at an alias; checks which. */
static bool has_alias(const char *pattern)
{
    tenon_value *tag = must(tenon_value_format(pattern, &some_ref));
    tenon_term alias;
    tenon_ref ref;
    bool found = tn_gen_alias(tenon_value_term(tag), &alias);
    if (found) {
        assert_int_equal(tenon_term_ref(alias, &ref), TENON_OK);
        assert_true(tenon_ref_equal(&ref, &some_ref));
    }
    tenon_value_free(tag);
    return found;
}

static void a_tag_of_otp_24_names_an_alias(void **state)
{
    (void)state;
    assert_true(has_alias("[:alias | ~r]"));
}

static void a_multi_call_tag_of_otp_27_names_an_alias(void **state)
{
    (void)state;
    assert_true(has_alias("[[:alias | ~r] | :anything]"));
    assert_true(has_alias("[[:alias | ~r], :anything]"));
}

static void other_tags_name_no_alias(void **state)
{
    (void)state;
    assert_false(has_alias("~r"));
    assert_false(has_alias("{~r, :\"b@h\"}"));
    assert_false(has_alias("{:\"$gen_request_id\", ~r}"));
    assert_false(has_alias("[:alias, ~r]"));
    assert_false(has_alias("[:other | ~r]"));
    assert_false(has_alias("[:alias | :no_reference]"));
    assert_false(has_alias("[:alias, :alias | ~r]"));
    assert_false(has_alias("[[[:alias | ~r]]]"));
    assert_false(has_alias("[]"));
    assert_false(has_alias("'text'"));
    assert_false(has_alias("\"text\""));
    tenon_term alias;
    assert_false(tn_gen_alias((tenon_term){ 0 }, &alias));
}

static void views_of_a_list_lie_in_the_list(void **state)
{
    (void)state;
    /* Written as STRING_EXT, whose elements have no bytes of their own. */
    static const uint8_t string[] = { 107, 0, 3, 1, 2, 3 };
    tenon_term list, part[3];
    assert_int_equal(tenon_term_scan(string, sizeof string, &list, NULL),
                     TENON_OK);
    assert_false(tn_list_views(list, part, 3));
    tenon_value *mixed = must(tenon_value_format("[:a, [], 1]"));
    assert_true(tn_list_views(tenon_value_term(mixed), part, 3));
    assert_term(part[0], ":a");
    assert_term(part[2], "1");
    assert_false(tn_list_views(tenon_value_term(mixed), part, 2));
    tenon_value_free(mixed);
    tenon_value *improper = must(tenon_value_format("[:a, :b | :c]"));
    assert_false(tn_list_views(tenon_value_term(improper), part, 2));
    tenon_value_free(improper);
}

static void a_pair_holds_copies_of_any_size(void **state)
{
    (void)state;
    char *text = test_malloc(3000);
    memset(text, 'x', 2999);
    text[2999] = '\0';
    for (size_t cut = 0; cut < 3000; cut += 333) {
        struct tn_pair pair;
        const char *second;
        size_t len;
        tenon_value *value = must(tenon_value_format("~s", text + 2999 - cut));
        assert_int_equal(
            tn_pair_init(&pair, tn_atom_rex, tenon_value_term(value)),
            TENON_OK);
        tenon_value_free(value);
        assert_true(tenon_match(pair.term, "{:rex, ~s}", &second, &len));
        assert_int_equal(len, cut);
        tn_pair_fini(&pair);
    }
    test_free(text);
}

static void a_pair_of_nothing_is_refused(void **state)
{
    (void)state;
    struct tn_pair pair;
    assert_int_equal(tn_pair_init(&pair, tn_atom_rex, (tenon_term){ 0 }),
                     TENON_E_INVAL);
    tenon_term huge = { tn_atom_rex.bytes, TENON_TERM_MAX_BYTES };
    assert_int_equal(tn_pair_init(&pair, tn_atom_rex, huge), TENON_E_TERM_BIG);
}

static void constant_atoms_are_valid_terms(void **state)
{
    (void)state;
    assert_true(tenon_term_is_atom(tn_atom_gen_cast, "$gen_cast"));
    assert_true(tenon_term_is_atom(tn_atom_rex, "rex"));
    assert_true(tenon_term_is_atom(tn_atom_yes, "yes"));
    assert_true(
        tenon_term_is_atom(tn_atom_bad_return_value, "bad_return_value"));
    assert_term(tn_empty_list, "[]");
    assert_term(tn_badrpc_system_limit, "{:badrpc, {:EXIT, :system_limit}}");
    const tenon_term all[] = { tn_atom_gen_cast,
                               tn_atom_rex,
                               tn_atom_yes,
                               tn_atom_bad_return_value,
                               tn_badrpc_system_limit,
                               tn_empty_list };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        tenon_term term;
        assert_int_equal(tenon_term_scan(all[i].bytes, all[i].len, &term, NULL),
                         TENON_OK);
        assert_int_equal(term.len, all[i].len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_has_from_tag_and_request),
        cmocka_unit_test(a_cast_has_a_request),
        cmocka_unit_test(a_system_message_is_told_apart),
        cmocka_unit_test(what_only_looks_like_a_call_is_a_plain_message),
        cmocka_unit_test(no_term_at_all_is_a_plain_message),
        cmocka_unit_test(a_tag_of_otp_24_names_an_alias),
        cmocka_unit_test(a_multi_call_tag_of_otp_27_names_an_alias),
        cmocka_unit_test(other_tags_name_no_alias),
        cmocka_unit_test(views_of_a_list_lie_in_the_list),
        cmocka_unit_test(a_pair_holds_copies_of_any_size),
        cmocka_unit_test(a_pair_of_nothing_is_refused),
        cmocka_unit_test(constant_atoms_are_valid_terms),
    };
    return cmocka_run_group_tests_name("otp/gen", tests, NULL, NULL);
}
