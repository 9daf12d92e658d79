/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the own node run through tenon_rpc: every way to end is told
 * apart, in both forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_node.h"

static void fail_so(tenon_call *call, void *user)
{
    const char *how = user;
    tenon_term value = tenon_call_arg(call, 0);
    switch (how[0]) {
    case 'e':
        tenon_raise(call, "~t", value);
        return;
    case 'x':
        tenon_exit(call, "~t", value);
        return;
    case 't':
        tenon_throw(call, "~t", value);
        return;
    case 'k':
        tenon_process_exit(tenon_call_self(call), "~t", value);
        return;
    default:
        tenon_reply(call, "{:ok, ~t}", value);
    }
}

static void take_a_while(tenon_call *call, void *user)
{
    (void)user;
    tenon_sleep(tenon_call_node(call), 60000);
}

static int start(void **state)
{
    tenon_node *node = own_node_start();
    OK(tenon_function(node, "m", "value", 1, fail_so, "v", 0));
    OK(tenon_function(node, "m", "error", 1, fail_so, "e", 0));
    OK(tenon_function(node, "m", "exit", 1, fail_so, "x", 0));
    OK(tenon_function(node, "m", "throw", 1, fail_so, "t", 0));
    OK(tenon_function(node, "m", "kill", 1, fail_so, "k", 0));
    OK(tenon_function(node, "m", "wait", 1, take_a_while, NULL, 0));
    *state = node;
    return 0;
}

static void assert_rpc(tenon_node *node,
                       const char *function,
                       enum tenon_err code,
                       const char *expected_value,
                       const char *expected_text)
{
    tenon_error err = { 0 };
    tenon_value *args = tenon_value_format("[{1, 2}]"), *value = NULL;
    enum tenon_err rc =
        tenon_rpc(node, NULL, "m", function, tenon_value_term(args),
                  DEADLINE_MS, &value, &err);
    assert_int_equal(rc, code);
    assert_string_equal(text_of(tenon_value_term(value)), expected_value);
    assert_string_equal(err.text, expected_text);
    tenon_value_free(args);
    tenon_value_free(value);
}

#define RPC "rpc to \"" OWN_NAME "\": "

static void a_value_comes_back(void **state)
{
    assert_rpc(*state, "value", TENON_OK, "{:ok, {1, 2}}", "");
}

static void every_failure_is_told_apart(void **state)
{
    assert_rpc(*state, "error", TENON_E_REMOTE_ERROR,
               "{{1, 2}, [{:m, :error, 1, []}]}",
               RPC "m:error/1: raised {{1, 2}, [{:m, :error, 1, []}]}");
    assert_rpc(*state, "exit", TENON_E_REMOTE_EXIT, "{1, 2}",
               RPC "m:exit/1: exited with {1, 2}");
    assert_rpc(*state, "throw", TENON_E_REMOTE_THROW, "{1, 2}",
               RPC "m:throw/1: threw {1, 2}");
    assert_rpc(*state, "kill", TENON_E_REMOTE_EXIT, "{1, 2}",
               RPC "m:kill/1: exited with {1, 2}");
    assert_rpc(*state, "unknown", TENON_E_REMOTE_UNDEF,
               "{:undef, [{:m, :unknown, [{1, 2}], []}]}",
               RPC "m:unknown/1: undefined function");
}

static void the_own_name_is_the_own_node(void **state)
{
    tenon_value *args = tenon_value_format("[1]"), *value = NULL;
    OK(tenon_rpc(*state, OWN_NAME, "m", "value", tenon_value_term(args), 0,
                 &value, NULL));
    assert_string_equal(text_of(tenon_value_term(value)), "{:ok, 1}");
    tenon_value_free(args);
    tenon_value_free(value);
    OK(tenon_ping(*state, OWN_NAME, 0, NULL));
}

static void an_rpc_times_out_while_the_function_runs(void **state)
{
    tenon_value *args = tenon_value_format("[1]"), *value = NULL;
    assert_int_equal(tenon_rpc(*state, NULL, "m", "wait",
                               tenon_value_term(args), 20, &value, NULL),
                     TENON_E_TIMEOUT);
    assert_null(value);
    tenon_value_free(args);
}

static void wrong_arguments_are_refused_before_anything_is_sent(void **state)
{
    tenon_error err = { 0 };
    tenon_value *value = NULL;
    tenon_value *tuple = tenon_value_format("{1}");
    tenon_value *improper = tenon_value_format("[1 | 2]");
    const tenon_term bad[] = { { 0 },
                               tenon_value_term(tuple),
                               tenon_value_term(improper) };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            tenon_rpc(*state, NULL, "m", "f", bad[i], 0, &value, &err),
            TENON_E_INVAL);
        assert_string_equal(err.text,
                            "rpc of m:f: arguments that are a proper list are "
                            "expected");
    }
    assert_int_equal(tenon_rpc(NULL, NULL, "m", "f", bad[1], 0, &value, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_ping(*state, NULL, 0, NULL), TENON_E_INVAL);
    tenon_value_free(tuple);
    tenon_value_free(improper);
}

/* ---- calling back ------------------------------------------------------ */

struct told {
    struct me *me;
};

static void tell_result(void *user, const tenon_result *result)
{
    struct told *told = user;
    tenon_dest to = { .pid = &told->me->pid };
    if (result->value.bytes == NULL) {
        tenon_send_format(told->me->node, &to, "~a",
                          tenon_err_name(result->code));
    } else {
        tenon_send_format(told->me->node, &to, "{~a, ~t}",
                          tenon_err_name(result->code), result->value);
    }
}

static void the_calling_back_form_gives_the_same(void **state)
{
    struct me me = me_new(*state);
    struct told told = { &me };
    static const struct {
        const char *function, *told;
        uint32_t timeout_ms;
    } cases[] = {
        { "value", "{:OK, {:ok, 1}}", 0 },
        { "error", "{:REMOTE_ERROR, {1, [{:m, :error, 1, []}]}}", 0 },
        { "unknown", "{:REMOTE_UNDEF, {:undef, [{:m, :unknown, [1], []}]}}",
          0 },
        { "wait", ":TIMEOUT", 20 },
    };
    tenon_value *args = tenon_value_format("[1]");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        OK(tenon_rpc_async(*state, NULL, "m", cases[i].function,
                           tenon_value_term(args), cases[i].timeout_ms,
                           tell_result, &told));
        assert_next(&me, cases[i].told);
    }
    tenon_value_free(args);
    OK(tenon_server_call_async(*state, TO("nobody"), tn_process_pid(me.box), 0,
                               tell_result, &told));
    assert_next(&me, ":NOPROC");
    me_free(&me);
}

static void tell_request(tenon_call *call, void *user)
{
    struct me *me = user;
    tenon_send_format(me->node, &(tenon_dest){ .pid = &me->pid }, "~t",
                      tenon_call_request(call));
}

static void a_cast_runs_the_function(void **state)
{
    struct me me = me_new(*state);
    OK(tenon_function(*state, "m", "tell", 2, tell_request, &me, 0));
    tenon_value *args = tenon_value_format("[1, :a]");
    OK(tenon_rpc_cast(*state, NULL, "m", "tell", tenon_value_term(args), NULL));
    assert_next(&me, "[1, :a]");
    OK(tenon_rpc_cast(*state, OWN_NAME, "m", "unknown", tenon_value_term(args),
                      NULL));
    assert_no_message(&me);
    tenon_value_free(args);
    me_free(&me);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_comes_back),
        cmocka_unit_test(every_failure_is_told_apart),
        cmocka_unit_test(the_own_name_is_the_own_node),
        cmocka_unit_test(an_rpc_times_out_while_the_function_runs),
        cmocka_unit_test(wrong_arguments_are_refused_before_anything_is_sent),
        cmocka_unit_test(the_calling_back_form_gives_the_same),
        cmocka_unit_test(a_cast_runs_the_function),
    };
    return cmocka_run_group_tests_name("otp/rpc", tests, start, own_node_stop);
}
