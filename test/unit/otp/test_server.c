/* SPDX-License-Identifier: Apache-2.0 */
/* Servers, as their callers on the same node see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_node.h"

/* What a test server does and has seen. */
struct seen {
    struct me *me; /* told of what comes */
    tenon_call *kept;
};

static void on_call(tenon_call *call, void *state)
{
    struct seen *seen = state;
    tenon_term request = tenon_call_request(call), value;
    if (tenon_match(request, "{:echo, ~t}", &value)) {
        tenon_reply(call, "~t", value);
    } else if (tenon_match(request, "{:raise, ~t}", &value)) {
        tenon_raise(call, "~t", value);
    } else if (tenon_match(request, "{:throw, ~t}", &value)) {
        tenon_throw(call, "~t", value);
    } else if (tenon_match(request, "{:exit, ~t}", &value)) {
        tenon_exit(call, "~t", value);
    } else if (tenon_match(request, "{:wrap, ~t}", &value)) {
        tenon_reply(call, "{{{~t}}}", value);
    } else if (tenon_match(request, "{:wrap_less, ~t}", &value)) {
        tenon_reply(call, "{{~t}}", value);
    } else if (tenon_match(request, ":keep")) {
        seen->kept = tenon_call_keep(call);
    } else if (tenon_match(request, ":stop")) {
        tenon_reply(call, ":stopping");
        tenon_process_exit(tenon_call_self(call), ":asked");
    }
}

static void on_cast(tenon_process *self, tenon_term request, void *state)
{
    struct seen *seen = state;
    (void)self;
    if (tenon_match(request, ":answer_kept")) {
        tenon_reply(seen->kept, ":late");
        tenon_call_release(seen->kept);
        return;
    }
    tenon_send_format(seen->me->node, &(tenon_dest){ .pid = &seen->me->pid },
                      "{:cast, ~t}", request);
}

static void on_info(tenon_process *self, tenon_term message, void *state)
{
    struct seen *seen = state;
    (void)self;
    tenon_send_format(seen->me->node, &(tenon_dest){ .pid = &seen->me->pid },
                      "{:info, ~t}", message);
}

static void on_terminate(tenon_process *self, tenon_term reason, void *state)
{
    struct seen *seen = state;
    (void)self;
    tenon_send_format(seen->me->node, &(tenon_dest){ .pid = &seen->me->pid },
                      "{:terminate, ~t}", reason);
}

struct fixture {
    tenon_node *node;
    struct me me;
    struct seen seen;
    tenon_process *server;
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->node = own_node_start();
    f->me = me_new(f->node);
    f->seen.me = &f->me;
    f->server = tenon_server_start(f->node, &(tenon_server_config){
                                                .name = "server",
                                                .on_call = on_call,
                                                .on_cast = on_cast,
                                                .on_info = on_info,
                                                .on_terminate = on_terminate,
                                                .state = &f->seen,
                                            });
    assert_non_null(f->server);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    tenon_process_release(f->server);
    tenon_process_release(f->me.box);
    tenon_node_stop(f->node);
    free(f);
    return 0;
}

/* Calls the server; the value is owned. */
static enum tenon_err
call(struct fixture *f, const char *request, tenon_value **value)
{
    tenon_error err = { 0 };
    tenon_value *term = tenon_value_format(request);
    assert_non_null(term);
    enum tenon_err rc =
        tenon_server_call(f->node, TO("server"), tenon_value_term(term),
                          DEADLINE_MS, value, &err);
    assert_true((rc == TENON_OK) == (err.text[0] == '\0'));
    tenon_value_free(term);
    return rc;
}

static void assert_reply(struct fixture *f, const char *request, const char *is)
{
    tenon_value *value = NULL;
    OK(call(f, request, &value));
    assert_string_equal(text_of(tenon_value_term(value)), is);
    tenon_value_free(value);
}

/* The call ends the server: its caller and on_terminate get the reason. */
static void
assert_ends(struct fixture *f, const char *request, const char *reason)
{
    char told[600];
    tenon_value *value = NULL;
    assert_int_equal(call(f, request, &value), TENON_E_REMOTE_EXIT);
    assert_string_equal(text_of(tenon_value_term(value)), reason);
    tenon_value_free(value);
    snprintf(told, sizeof told, "{:terminate, %s}", reason);
    assert_next(&f->me, told);
    assert_null(tenon_whereis(f->node, "server"));
}

static void a_call_gets_its_reply(void **state)
{
    assert_reply(*state, "{:echo, {1, \"two\"}}", "{1, \"two\"}");
}

static void casts_and_messages_arrive_in_order(void **state)
{
    struct fixture *f = *state;
    tenon_value *request = tenon_value_format("[1]");
    OK(tenon_server_cast(f->node, TO("server"), tenon_value_term(request),
                         NULL));
    OK(tenon_send_format(f->node, TO("server"), ":two"));
    OK(tenon_send_format(f->node, TO("server"), "{:\"$gen_call\", :odd, 3}"));
    tenon_value_free(request);
    assert_next(&f->me, "{:cast, [1]}");
    assert_next(&f->me, "{:info, :two}");
    assert_next(&f->me, "{:info, {:\"$gen_call\", :odd, 3}}");
}

static void a_kept_call_is_answered_later(void **state)
{
    struct fixture *f = *state;
    OK(tenon_send_format(f->node, TO("server"),
                         "{:\"$gen_call\", {~p, :tag}, :keep}", &f->me.pid));
    assert_reply(f, "{:echo, 1}", "1");
    OK(tenon_send_format(f->node, TO("server"),
                         "{:\"$gen_cast\", :answer_kept}"));
    assert_next(&f->me, "{:tag, :late}");
}

static void an_error_ends_the_server_as_a_genserver(void **state)
{
    assert_ends(*state, "{:raise, :boom}", "{:boom, []}");
}

static void a_throw_ends_the_server_as_a_genserver(void **state)
{
    assert_ends(*state, "{:throw, :ball}", "{:bad_return_value, :ball}");
}

static void an_exit_ends_the_server_with_its_reason(void **state)
{
    assert_ends(*state, "{:exit, {:shutdown, 1}}", "{:shutdown, 1}");
}

static void a_server_may_end_itself_after_its_reply(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, ":stop", ":stopping");
    assert_next(&f->me, "{:terminate, :asked}");
}

/* Tuples in tuples. */
static tenon_value *nested(int levels)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;
    for (int i = 0; i < levels; i++) {
        tenon_build_tuple(out, 1);
    }
    tenon_build_nil(out);
    OK(tenon_builder_term(out, &term));
    tenon_value *value = tenon_value_new(term);
    tenon_builder_free(out);
    assert_non_null(value);
    return value;
}

static void a_reply_too_deep_to_be_told_fails_its_call_alone(void **state)
{
    static const char *const whats[] = { "wrap", "wrap_less" };
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        tenon_value *value = NULL, *deep = nested(TENON_TERM_MAX_DEPTH - 2);
        tenon_value *request =
            tenon_value_format("{~a, ~t}", whats[i], tenon_value_term(deep));
        assert_int_equal(tenon_server_call(f->node, TO("server"),
                                           tenon_value_term(request),
                                           DEADLINE_MS, &value, NULL),
                         TENON_E_REMOTE_EXIT);
        assert_string_equal(text_of(tenon_value_term(value)), ":system_limit");
        tenon_value_free(value);
        tenon_value_free(request);
        tenon_value_free(deep);
        assert_reply(f, "{:echo, 1}", "1");
    }
}

/* {error, {unknown_system_msg, it}} to {pid, tag}. */
static void a_system_message_too_deep_to_be_told_is_answered(void **state)
{
    struct fixture *f = *state;
    for (int levels = TENON_TERM_MAX_DEPTH - 3; levels < TENON_TERM_MAX_DEPTH;
         levels++) {
        tenon_value *deep = nested(levels);
        OK(tenon_send_format(f->node, TO("server"), "{:system, {~p, :tag}, ~t}",
                             &f->me.pid, tenon_value_term(deep)));
        tenon_value *answer = next_message(&f->me);
        assert_true(tenon_match(tenon_value_term(answer),
                                levels == TENON_TERM_MAX_DEPTH - 3
                                    ? "{:tag, {:error, {_, _}}}"
                                    : "{:tag, {:error, :system_limit}}"));
        tenon_value_free(answer);
        tenon_value_free(deep);
    }
}

static void who_watches_what_ends_with_the_deepest_reason_is_told(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    tenon_ref ref;
    tenon_value *reason = nested(TENON_TERM_MAX_DEPTH);
    tenon_process_pid(f->server, &pid);
    tenon_process_trap_exit(f->me.box, true);
    OK(tenon_monitor(f->me.box, TO("server"), &ref));
    OK(tenon_link(f->me.box, &pid));
    OK(tenon_exit_signal(f->me.box, &pid, tenon_value_term(reason)));
    tenon_value_free(reason);
    tenon_value *exit = next_message(&f->me);
    tenon_value *down = next_message(&f->me);
    assert_true(
        tenon_match(tenon_value_term(exit), "{:EXIT, _, :system_limit}"));
    assert_true(tenon_match(tenon_value_term(down),
                            "{:DOWN, _, :process, _, :system_limit}"));
    tenon_value_free(exit);
    tenon_value_free(down);
}

static void gen_server_stop_is_confirmed_and_obeyed(void **state)
{
    struct fixture *f = *state;
    tenon_ref ref;
    OK(tenon_monitor(f->me.box, TO("server"), &ref));
    OK(tenon_send_format(f->node, TO("server"),
                         "{:system, {~p, :tag}, {:terminate, :done}}",
                         &f->me.pid));
    assert_next(&f->me, "{:tag, :ok}");
    tenon_value *down = next_message(&f->me);
    assert_true(
        tenon_match(tenon_value_term(down), "{:DOWN, _, :process, _, :done}"));
    tenon_value_free(down);
    assert_next(&f->me, "{:terminate, :done}");
}

static void a_call_to_nobody_fails_at_once(void **state)
{
    struct fixture *f = *state;
    tenon_error err = { 0 };
    tenon_value *value = NULL;
    assert_int_equal(tenon_server_call(f->node, TO("nobody"),
                                       tn_process_pid(f->me.box),
                                       TENON_NO_TIMEOUT, &value, &err),
                     TENON_E_NOPROC);
    assert_null(value);
    assert_string_equal(err.text, "call of \"nobody\": no such process");
}

static void an_unanswered_call_times_out(void **state)
{
    struct fixture *f = *state;
    tenon_error err = { 0 };
    tenon_value *value = NULL;
    assert_int_equal(tenon_server_call(f->node, TO("server"),
                                       tn_process_pid(f->me.box), 20, &value,
                                       &err),
                     TENON_E_TIMEOUT);
    assert_null(value);
    assert_string_equal(err.text, "call of \"server\": no answer within 20 ms");
}

static void without_on_call_a_caller_sees_elixirs_default(void **state)
{
    struct fixture *f = *state;
    tenon_value *value = NULL;
    tenon_process *bare =
        tenon_server_start(f->node, &(tenon_server_config){ .name = "bare" });
    assert_non_null(bare);
    OK(tenon_send_format(f->node, TO("bare"), ":dropped"));
    OK(tenon_send_format(f->node, TO("bare"), "{:\"$gen_cast\", :dropped}"));
    assert_int_equal(tenon_server_call(f->node, TO("bare"),
                                       tn_process_pid(f->me.box), DEADLINE_MS,
                                       &value, NULL),
                     TENON_E_REMOTE_EXIT);
    const char *text;
    size_t len;
    assert_true(tenon_match(tenon_value_term(value),
                            "{%RuntimeError{__exception__: true, "
                            "message: ~s}, []}",
                            &text, &len));
    tenon_value *expected = tenon_value_format(
        "~s",
        "attempted to call GenServer :bare but no handle_call/3 clause was "
        "provided");
    const void *bytes;
    size_t expected_len;
    OK(tenon_term_binary(tenon_value_term(expected), &bytes, &expected_len));
    assert_int_equal(len, expected_len);
    assert_memory_equal(text, bytes, len);
    tenon_value_free(expected);
    tenon_value_free(value);
    tenon_process_release(bare);
}

static void a_name_is_had_once(void **state)
{
    struct fixture *f = *state;
    tenon_error err = { 0 };
    assert_null(tenon_server_start(
        f->node, &(tenon_server_config){ .name = "server", .err = &err }));
    assert_int_equal(err.code, TENON_E_EXISTS);
    assert_null(tenon_server_start(
        f->node, &(tenon_server_config){ .name = "rex", .err = &err }));
    assert_int_equal(err.code, TENON_E_INVAL);
    assert_null(tenon_server_start(NULL, &(tenon_server_config){ 0 }));
    assert_null(tenon_server_start_sized(f->node, NULL, 0));
}

static void fields_of_a_newer_caller_must_be_zero(void **state)
{
    struct fixture *f = *state;
    struct {
        tenon_server_config known;
        int unknown;
    } config = { { .name = "newer" }, 0 };
    tenon_error err = { 0 };
    config.known.err = &err;
    tenon_process *newer =
        tenon_server_start_sized(f->node, &config.known, sizeof config);
    assert_non_null(newer);
    tenon_process_release(newer);
    config.known.name = "newest";
    config.unknown = 1;
    assert_null(
        tenon_server_start_sized(f->node, &config.known, sizeof config));
    assert_int_equal(err.code, TENON_E_INVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_gets_its_reply),
        TEST(casts_and_messages_arrive_in_order),
        TEST(a_kept_call_is_answered_later),
        TEST(an_error_ends_the_server_as_a_genserver),
        TEST(a_throw_ends_the_server_as_a_genserver),
        TEST(an_exit_ends_the_server_with_its_reason),
        TEST(a_server_may_end_itself_after_its_reply),
        TEST(a_reply_too_deep_to_be_told_fails_its_call_alone),
        TEST(a_system_message_too_deep_to_be_told_is_answered),
        TEST(who_watches_what_ends_with_the_deepest_reason_is_told),
        TEST(gen_server_stop_is_confirmed_and_obeyed),
        TEST(a_call_to_nobody_fails_at_once),
        TEST(an_unanswered_call_times_out),
        TEST(without_on_call_a_caller_sees_elixirs_default),
        TEST(a_name_is_had_once),
        TEST(fields_of_a_newer_caller_must_be_zero),
    };
    return cmocka_run_group_tests_name("otp/server", tests, NULL, NULL);
}
