/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes in which results travel: those of erpc and of rpc. */
#include "otp/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* An ending of m:f([1, :x]) with the value that `text` writes. */
struct made {
    struct tn_ending ending;
    tenon_value *value, *module, *name, *args;
};

static tenon_value *read_text(const char *text)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;
    assert_int_equal(tenon_build_text(out, text, strlen(text), NULL), TENON_OK);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);
    tenon_builder_free(out);
    assert_non_null(value);
    return value;
}

static struct made make(enum tn_outcome outcome,
                        const char *value,
                        const char *module,
                        const char *args)
{
    struct made made = { .value = read_text(value),
                         .module = read_text(module),
                         .name = read_text(":f"),
                         .args = read_text(args) };
    made.ending = (struct tn_ending){ outcome, tenon_value_term(made.value),
                                      tenon_value_term(made.module),
                                      tenon_value_term(made.name),
                                      tenon_value_term(made.args) };
    return made;
}

static void unmake(struct made *made)
{
    tenon_value_free(made->value);
    tenon_value_free(made->module);
    tenon_value_free(made->name);
    tenon_value_free(made->args);
}

static void assert_built(tenon_builder *out, const char *expected)
{
    char text[500];
    tenon_term term;
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_term_print(term, text, sizeof text);
    assert_string_equal(text, expected);
    tenon_builder_free(out);
}

static void assert_erpc(struct made made, const char *expected)
{
    tenon_value *tag = read_text(":tag");
    tenon_builder *out = tenon_builder_new();
    tn_build_erpc_result(out, tenon_value_term(tag), &made.ending);
    assert_built(out, expected);
    tenon_value_free(tag);
    unmake(&made);
}

static void assert_rpc(struct made made, const char *expected)
{
    tenon_builder *out = tenon_builder_new();
    tn_build_rpc_result(out, &made.ending);
    assert_built(out, expected);
    unmake(&made);
}

static void erpc_tags_a_value(void **state)
{
    (void)state;
    assert_erpc(make(TN_OUT_RETURN, "{1, 2}", ":m", "[1, :x]"),
                "{:tag, :return, {1, 2}}");
}

static void erpc_tells_throws_and_exits_apart(void **state)
{
    (void)state;
    assert_erpc(make(TN_OUT_THROW, ":t", ":m", "[]"), "{:tag, :throw, :t}");
    assert_erpc(make(TN_OUT_EXIT, ":e", ":m", "[]"), "{:tag, :exit, :e}");
}

static void erpc_gives_an_error_with_its_stack(void **state)
{
    (void)state;
    assert_erpc(make(TN_OUT_ERROR, ":boom", ":m", "[1, :x]"),
                "{:tag, :error, :boom, [{:m, :f, 2, []}]}");
}

static void undef_shows_the_arguments(void **state)
{
    (void)state;
    assert_erpc(make(TN_OUT_ERROR, ":undef", ":m", "[1, :x]"),
                "{:tag, :error, :undef, [{:m, :f, [1, :x], []}]}");
    assert_rpc(make(TN_OUT_ERROR, ":undef", ":m", "[1, :x]"),
               "{:badrpc, {:EXIT, {:undef, [{:m, :f, [1, :x], []}]}}}");
}

static void what_is_no_call_fails_in_apply(void **state)
{
    (void)state;
    assert_erpc(make(TN_OUT_ERROR, ":badarg", "\"m\"", "[]"),
                "{:tag, :error, :badarg, "
                "[{:erlang, :apply, [\"m\", :f, []], []}]}");
    assert_erpc(make(TN_OUT_ERROR, ":badarg", ":m", "[1 | 2]"),
                "{:tag, :error, :badarg, "
                "[{:erlang, :apply, [:m, :f, [1 | 2]], []}]}");
}

static void too_many_arguments_are_erpcs_own_error(void **state)
{
    (void)state;
    char args[4000] = "[";
    for (int i = 0; i < 1024; i++) {
        strcat(args, i == 0 ? ":a" : ",:a");
    }
    strcat(args, "]");
    assert_erpc(make(TN_OUT_ERROR, ":system_limit", ":m", args),
                "{:tag, :error, {:erpc, :system_limit}}");
    assert_rpc(make(TN_OUT_ERROR, ":system_limit", ":m", args),
               "{:badrpc, {:EXIT, :system_limit}}");
    assert_erpc(make(TN_OUT_ERROR, ":system_limit", ":m", "[]"),
                "{:tag, :error, :system_limit, [{:m, :f, 0, []}]}");
}

static void rpc_gives_values_and_throws_as_they_are(void **state)
{
    (void)state;
    assert_rpc(make(TN_OUT_RETURN, "{1, 2}", ":m", "[]"), "{1, 2}");
    assert_rpc(make(TN_OUT_THROW, ":t", ":m", "[]"), ":t");
}

static void rpc_wraps_exits_and_errors(void **state)
{
    (void)state;
    assert_rpc(make(TN_OUT_EXIT, ":e", ":m", "[]"), "{:badrpc, {:EXIT, :e}}");
    assert_rpc(make(TN_OUT_ERROR, ":e", ":m", "[1]"),
               "{:badrpc, {:EXIT, {:e, [{:m, :f, 1, []}]}}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(erpc_tags_a_value),
        cmocka_unit_test(erpc_tells_throws_and_exits_apart),
        cmocka_unit_test(erpc_gives_an_error_with_its_stack),
        cmocka_unit_test(undef_shows_the_arguments),
        cmocka_unit_test(what_is_no_call_fails_in_apply),
        cmocka_unit_test(too_many_arguments_are_erpcs_own_error),
        cmocka_unit_test(rpc_gives_values_and_throws_as_they_are),
        cmocka_unit_test(rpc_wraps_exits_and_errors),
    };
    return cmocka_run_group_tests_name("otp/result", tests, NULL, NULL);
}
