/* SPDX-License-Identifier: Apache-2.0 */
/* What sys asks of servers, and what else a server's handlers can ask for:
 * continues, timeouts, a parent, replies by others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_node.h"

struct counter {
    struct me *me; /* told of what comes */
    int64_t n;
};

static void tell(struct counter *counter, const char *kind, tenon_term term)
{
    tenon_send_format(counter->me->node,
                      &(tenon_dest){ .pid = &counter->me->pid }, "{~a, ~t}",
                      kind, term);
}

static void on_call(tenon_call *call, void *state)
{
    struct counter *counter = state;
    tenon_term request = tenon_call_request(call);
    if (tenon_match(request, ":get")) {
        tenon_reply(call, "~i", counter->n);
    } else if (tenon_match(request, ":continue")) {
        tenon_server_continue(tenon_call_self(call), "{:step, ~i}", (int64_t)1);
        tenon_reply(call, ":first");
    } else if (tenon_match(request, ":hand_on")) {
        tenon_builder *out = tenon_builder_new();
        tenon_term from;
        OK(tenon_call_build_from(call, out));
        OK(tenon_builder_term(out, &from));
        tell(counter, "from", from);
        tenon_builder_free(out);
    }
}

static void on_cast(tenon_process *self, tenon_term request, void *state)
{
    struct counter *counter = state;
    uint64_t ms;
    int64_t by;
    if (tenon_match(request, "{:wait, ~u}", &ms)) {
        tenon_server_timeout(self, (uint32_t)ms);
    } else if (tenon_match(request, "{:add, ~i}", &by)) {
        counter->n += by;
    }
    tell(counter, "cast", request);
}

static void on_info(tenon_process *self, tenon_term message, void *state)
{
    (void)self;
    tell(state, "info", message);
}

static void on_continue(tenon_process *self, tenon_term what, void *state)
{
    tell(state, "continue", what);
    if (tenon_match(what, "{:step, 1}")) {
        tenon_server_continue(self, "{:step, 2}");
    }
}

static void on_terminate(tenon_process *self, tenon_term reason, void *state)
{
    (void)self;
    tell(state, "terminate", reason);
}

static void on_get_state(tenon_builder *out, void *state)
{
    const struct counter *counter = state;
    tenon_build_int(out, counter->n);
}

static bool on_replace_state(tenon_term term, void *state)
{
    struct counter *counter = state;
    return tenon_term_int64(term, &counter->n) == TENON_OK;
}

static void twice(tenon_call *call, void *user)
{
    int64_t n;
    (void)user;
    OK(tenon_term_int64(tenon_call_arg(call, 0), &n));
    tenon_reply(call, "~i", 2 * n);
}

static void to_text(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply(call, "\"text\"");
}

static void fail_it(tenon_call *call, void *user)
{
    (void)user;
    tenon_throw(call, ":ball");
}

struct fixture {
    tenon_node *node;
    struct me me;
    struct counter counter;
};

static tenon_process *start_server(struct fixture *f, const tenon_pid *parent)
{
    tenon_process *server =
        tenon_server_start(f->node, &(tenon_server_config){
                                        .name = "counter",
                                        .on_call = on_call,
                                        .on_cast = on_cast,
                                        .on_info = on_info,
                                        .on_terminate = on_terminate,
                                        .on_continue = on_continue,
                                        .on_get_state = on_get_state,
                                        .on_replace_state = on_replace_state,
                                        .state = &f->counter,
                                        .trap_exit = true,
                                        .parent = parent,
                                    });
    assert_non_null(server);
    return server;
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->node = own_node_start();
    f->me = me_new(f->node);
    f->counter = (struct counter){ .me = &f->me, .n = 3 };
    OK(tenon_function(f->node, "m", "twice", 1, twice, NULL, 0));
    OK(tenon_function(f->node, "m", "to_text", 1, to_text, NULL, 0));
    OK(tenon_function(f->node, "m", "fail", 1, fail_it, NULL, 0));
    *state = f;
    return 0;
}

static int start_with_server(void **state)
{
    (void)start(state);
    tenon_process_release(start_server(*state, NULL));
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    tenon_process_release(f->me.box);
    tenon_node_stop(f->node);
    free(f);
    return 0;
}

static tenon_value *ask_sys(struct fixture *f, const char *to, const char *what)
{
    tenon_value *request = tenon_value_format(what);
    assert_non_null(request);
    OK(tenon_send_format(f->node, TO(to), "{:system, {~p, :tag}, ~t}",
                         &f->me.pid, tenon_value_term(request)));
    tenon_value_free(request);
    return next_message(&f->me);
}

static void assert_sys(struct fixture *f, const char *what, const char *answer)
{
    char expected[600];
    tenon_value *message = ask_sys(f, "counter", what);
    snprintf(expected, sizeof expected, "{:tag, %s}", answer);
    assert_string_equal(text_of(tenon_value_term(message)), expected);
    tenon_value_free(message);
}

static void cast(struct fixture *f, const char *request)
{
    tenon_value *term = tenon_value_format(request);
    OK(tenon_server_cast(f->node, TO("counter"), tenon_value_term(term), NULL));
    tenon_value_free(term);
}

static void assert_call(struct fixture *f, const char *what, const char *answer)
{
    tenon_value *request = tenon_value_format(what);
    tenon_value *value = NULL;
    OK(tenon_server_call(f->node, TO("counter"), tenon_value_term(request),
                         DEADLINE_MS, &value, NULL));
    assert_string_equal(text_of(tenon_value_term(value)), answer);
    tenon_value_free(value);
    tenon_value_free(request);
}

/* ---- sys ---------------------------------------------------------------- */

static void the_state_is_shown_and_replaced(void **state)
{
    struct fixture *f = *state;
    assert_sys(f, ":get_state", "{:ok, 3}");
    assert_sys(f, "{:replace_state, &:m.twice/1}", "{:ok, 6}");
    assert_sys(f, ":get_state", "{:ok, 6}");
}

static void a_state_that_cannot_be_replaced_stays(void **state)
{
    struct fixture *f = *state;
#define FAILED(why)                                                            \
    "{:error, {:callback_failed, {:gen_server, :system_replace_state}, " why   \
    "}}"
    assert_sys(f, "{:replace_state, &:m.fail/1}", FAILED("{:throw, :ball}"));
    assert_sys(f, "{:replace_state, &:m.none/1}", FAILED("{:error, :undef}"));
    assert_sys(f, "{:replace_state, &:m.to_text/1}",
               FAILED("{:error, :badarg}"));
    assert_sys(f, "{:replace_state, &:m.twice/2}",
               FAILED("{:error, {:badfun, &:m.twice/2}}"));
    assert_sys(f, "{:replace_state, 1}", FAILED("{:error, {:badfun, 1}}"));
    assert_sys(f, ":get_state", "{:ok, 3}");
}

static void without_callbacks_a_state_is_opaque(void **state)
{
    struct fixture *f = *state;
    tenon_process *bare =
        tenon_server_start(f->node, &(tenon_server_config){ .name = "bare" });
    tenon_value *answer = ask_sys(f, "bare", ":get_state");
    assert_string_equal(text_of(tenon_value_term(answer)),
                        "{:tag, {:ok, :opaque}}");
    tenon_value_free(answer);
    answer = ask_sys(f, "bare", "{:replace_state, &:m.twice/1}");
    assert_string_equal(text_of(tenon_value_term(answer)),
                        "{:tag, {:error, {:callback_failed, {:gen_server, "
                        ":system_replace_state}, {:error, :notsup}}}}");
    tenon_value_free(answer);
    tenon_process_release(bare);
}

static void get_status_has_the_shape_of_a_gen_server(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid, parent;
    tenon_term misc;
    tenon_process *server = tenon_whereis(f->node, "counter");
    tenon_value *message = ask_sys(f, "counter", ":get_status");
    assert_true(tenon_match(tenon_value_term(message),
                            "{:tag, {:status, ~p, {:module, :gen_server}, "
                            "[[], :running, ~p, [], ~t]}}",
                            &pid, &parent, &misc));
    tenon_pid own;
    tenon_process_pid(server, &own);
    assert_true(tenon_pid_equal(&pid, &own));
    assert_true(tenon_pid_equal(&parent, &own));
    assert_true(tenon_match(
        misc, "[{:header, ~c\"Status for generic server counter\"}, "
              "{:data, [{~c\"Status\", :running}, {~c\"Parent\", _}, "
              "{~c\"Logged events\", []}]}, {:data, [{~c\"State\", 3}]}]"));
    tenon_value_free(message);
    tenon_process_release(server);
}

static void a_suspended_server_lets_all_but_sys_wait(void **state)
{
    struct fixture *f = *state;
    assert_sys(f, ":suspend", ":ok");
    cast(f, "{:add, 1}");
    cast(f, "{:add, 2}");
    assert_sys(f, ":get_state", "{:ok, 3}");
    OK(tenon_send_format(f->node, TO("counter"), ":a_message"));
    assert_sys(f, ":suspend", ":ok");
    assert_sys(f, "{:replace_state, &:m.twice/1}", "{:ok, 6}");
    assert_sys(f, "{:change_code, :m, 1, []}",
               "{:error, {:EXIT, {:undef, [{:m, :code_change, [1, 6, []], "
               "[]}]}}}");
    assert_no_message(&f->me);
    assert_sys(f, ":resume", ":ok");
    assert_next(&f->me, "{:cast, {:add, 1}}");
    assert_next(&f->me, "{:cast, {:add, 2}}");
    assert_next(&f->me, "{:info, :a_message}");
    assert_sys(f, ":get_state", "{:ok, 9}");
}

/* What is taken out of a mailbox while a server is suspended may be what its
 * search for system messages has come to. */
static void a_message_can_be_withdrawn_while_a_server_is_suspended(void **state)
{
    struct fixture *f = *state;
    struct me other = me_new(f->node);
    tenon_process *server = tenon_whereis(f->node, "counter");
    tenon_ref ref;
    OK(tenon_monitor(server, &(tenon_dest){ .pid = &other.pid }, &ref));
    assert_sys(f, ":suspend", ":ok");
    cast(f, "{:add, 1}");
    me_free(&other); /* its :DOWN is the last that waits */
    assert_sys(f, ":get_state", "{:ok, 3}");
    tenon_demonitor(server, &ref);
    assert_sys(f, ":get_state", "{:ok, 3}");
    cast(f, "{:add, 2}");
    assert_sys(f, ":resume", ":ok");
    assert_next(&f->me, "{:cast, {:add, 1}}");
    assert_next(&f->me, "{:cast, {:add, 2}}");
    assert_no_message(&f->me);
    tenon_process_release(server);
}

static void a_suspended_server_can_be_ended(void **state)
{
    struct fixture *f = *state;
    assert_sys(f, ":suspend", ":ok");
    cast(f, "{:add, 1}");
    assert_sys(f, "{:terminate, :over}", ":ok");
    assert_next(&f->me, "{:terminate, :over}");
    assert_null(tenon_whereis(f->node, "counter"));
}

static void what_is_logged_can_be_had(void **state)
{
    struct fixture *f = *state;
    assert_sys(f, "{:debug, {:log, {true, 2}}}", ":ok");
    for (int i = 0; i < 3; i++) {
        cast(f, "{:add, 1}");
        assert_next(&f->me, "{:cast, {:add, 1}}");
    }
    OK(tenon_send_format(f->node, TO("counter"), ":last"));
    assert_next(&f->me, "{:info, :last}");
    assert_sys(f, "{:debug, {:log, :get}}",
               "{:ok, [in: {:\"$gen_cast\", {:add, 1}}, in: :last]}");
    assert_sys(f, "{:debug, {:log, :print}}", ":ok");
    assert_sys(f, "{:debug, {:log, {true, 1}}}", ":ok");
    assert_sys(f, "{:debug, {:log, :get}}", "{:ok, [in: :last]}");
    assert_sys(f, "{:debug, {:log, false}}", ":ok");
    assert_sys(f, "{:debug, {:log, :get}}", "{:ok, []}");
}

static void statistics_are_counted(void **state)
{
    struct fixture *f = *state;
    assert_sys(f, "{:debug, {:statistics, :get}}", "{:ok, :no_statistics}");
    assert_sys(f, "{:debug, {:statistics, true}}", ":ok");
    assert_call(f, ":get", "3");
    cast(f, "{:add, 1}");
    assert_next(&f->me, "{:cast, {:add, 1}}");
    tenon_value *message =
        ask_sys(f, "counter", "{:debug, {:statistics, :get}}");
    assert_true(tenon_match(
        tenon_value_term(message),
        "{:tag, {:ok, [start_time: {{_, _, _}, {_, _, _}}, current_time: "
        "{{_, _, _}, {_, _, _}}, reductions: _, messages_in: 2, "
        "messages_out: 1]}}"));
    tenon_value_free(message);
    assert_sys(f, "{:debug, :no_debug}", ":ok");
    assert_sys(f, "{:debug, {:statistics, :get}}", "{:ok, :no_statistics}");
}

static void nothing_that_sys_asks_stays_unanswered(void **state)
{
    struct fixture *f = *state;
    assert_sys(f, "{:debug, {:trace, true}}", ":ok");
    cast(f, "{:add, 1}");
    assert_next(&f->me, "{:cast, {:add, 1}}");
    assert_sys(f, "{:debug, {:trace, false}}", ":ok");
    assert_sys(f, "{:debug, {:log_to_file, ~c\"/tmp/x\"}}",
               "{:error, :open_file}");
    assert_sys(f, "{:debug, {:log_to_file, false}}", ":ok");
    assert_sys(f, "{:debug, {:install, {1, 2}}}", "{:error, :notsup}");
    assert_sys(f, "{:debug, {:remove, 1}}", ":ok");
    assert_sys(f, "{:debug, {:trace, :what}}", ":unknown_debug");
    assert_sys(f, "{:debug, 1}", ":unknown_debug");
    assert_sys(f, "{:change_code, :m, 1, []}",
               "{:error, {:unknown_system_msg, {:change_code, :m, 1, []}}}");
    assert_sys(f, ":what", "{:error, {:unknown_system_msg, :what}}");
    assert_sys(f, "[1]", "{:error, {:unknown_system_msg, [1]}}");
}

/* ---- what handlers ask for ------------------------------------------------ */

static void what_continues_comes_before_the_next_message(void **state)
{
    struct fixture *f = *state;
    /* Behind the call, while the server is suspended: they come at once. */
    assert_sys(f, ":suspend", ":ok");
    OK(tenon_send_format(f->node, TO("counter"),
                         "{:\"$gen_call\", {~p, :tag}, :continue}",
                         &f->me.pid));
    OK(tenon_send_format(f->node, TO("counter"), ":next"));
    assert_sys(f, ":resume", ":ok");
    assert_next(&f->me, "{:tag, :first}");
    assert_next(&f->me, "{:continue, {:step, 1}}");
    assert_next(&f->me, "{:continue, {:step, 2}}");
    assert_next(&f->me, "{:info, :next}");
}

static void a_server_may_be_continued_at_its_start(void **state)
{
    struct fixture *f = *state;
    tenon_value *what = tenon_value_format("{:begin, [1]}");
    tenon_process *server =
        tenon_server_start(f->node, &(tenon_server_config){
                                        .on_continue = on_continue,
                                        .state = &f->counter,
                                        .continue_with = tenon_value_term(what),
                                    });
    tenon_value_free(what);
    assert_non_null(server);
    assert_next(&f->me, "{:continue, {:begin, [1]}}");
    tenon_process_release(server);
}

static void silence_is_told_and_a_message_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    cast(f, "{:wait, 1}");
    assert_next(&f->me, "{:cast, {:wait, 1}}");
    assert_next(&f->me, "{:info, :timeout}");
    cast(f, "{:wait, 3600000}");
    assert_next(&f->me, "{:cast, {:wait, 3600000}}");
    tn_lock(f->node);
    tenon_process *server = tn_process_named_locked(f->node, "counter", 7);
    tn_unlock(f->node);
    assert_non_null(server);
    cast(f, "{:add, 1}");
    assert_next(&f->me, "{:cast, {:add, 1}}");
    assert_call(f, ":get", "4");
    tn_lock(f->node);
    for (size_t i = 1; i <= f->node->timers.count; i++) {
        assert_ptr_not_equal(f->node->timers.heap[i]->user, server);
    }
    tn_unlock(f->node);
}

static void only_handlers_can_ask(void **state)
{
    struct fixture *f = *state;
    tenon_process *server = tenon_whereis(f->node, "counter");
    assert_int_equal(tenon_server_timeout(server, 1), TENON_E_INVAL);
    assert_int_equal(tenon_server_continue(server, ":x"), TENON_E_INVAL);
    assert_int_equal(tenon_server_timeout(f->me.box, 1), TENON_E_INVAL);
    tenon_process_release(server);
}

static void anybody_can_answer_a_call_that_is_handed_on(void **state)
{
    struct fixture *f = *state;
    OK(tenon_send_format(f->node, TO("counter"),
                         "{:\"$gen_call\", {~p, {:a, :tag}}, :hand_on}",
                         &f->me.pid));
    tenon_value *message = next_message(&f->me);
    tenon_term from;
    assert_true(tenon_match(tenon_value_term(message), "{:from, ~t}", &from));
    tenon_value *value = tenon_value_format(":from_elsewhere");
    OK(tenon_server_reply(f->node, from, tenon_value_term(value)));
    assert_next(&f->me, "{{:a, :tag}, :from_elsewhere}");
    assert_int_equal(tenon_server_reply(f->node, tenon_value_term(value),
                                        tenon_value_term(value)),
                     TENON_E_INVAL);
    tenon_value_free(value);
    tenon_value_free(message);
}

/* ---- a parent, and stopping ------------------------------------------------ */

static void a_server_ends_with_its_parent_also_when_it_traps(void **state)
{
    struct fixture *f = *state;
    struct me parent = me_new(f->node);
    tenon_process *server = start_server(f, &parent.pid);
    assert_sys(f, ":suspend", ":ok");
    OK(tenon_process_exit(parent.box, "{:shutdown, 1}"));
    assert_next(&f->me, "{:terminate, {:shutdown, 1}}");
    tenon_process_release(parent.box);
    tenon_process_release(server);
}

static void a_parent_that_is_gone_ends_a_server_at_once(void **state)
{
    struct fixture *f = *state;
    struct me parent = me_new(f->node);
    tenon_pid pid = parent.pid;
    me_free(&parent);
    tenon_process *server = start_server(f, &pid);
    assert_next(&f->me, "{:terminate, :noproc}");
    tenon_process_release(server);
}

static void another_links_end_is_a_message_to_one_that_traps(void **state)
{
    struct fixture *f = *state;
    struct me other = me_new(f->node);
    tenon_process *server = tenon_whereis(f->node, "counter");
    OK(tenon_link(server, &other.pid));
    OK(tenon_process_exit(other.box, ":gone"));
    tenon_value *message = next_message(&f->me);
    assert_true(
        tenon_match(tenon_value_term(message), "{:info, {:EXIT, _, :gone}}"));
    tenon_value_free(message);
    tenon_process_release(other.box);
    tenon_process_release(server);
}

static void a_server_is_stopped_and_waited_for(void **state)
{
    struct fixture *f = *state;
    tenon_value *reason = tenon_value_format("{:shutdown, :asked}");
    tenon_error err = { 0 };
    OK(tenon_server_stop(f->node, TO("counter"), tenon_value_term(reason),
                         DEADLINE_MS, &err));
    assert_next(&f->me, "{:terminate, {:shutdown, :asked}}");
    assert_int_equal(tenon_server_stop(f->node, TO("counter"),
                                       tenon_value_term(reason), 0, &err),
                     TENON_E_NOPROC);
    assert_string_equal(err.text, "stop of a server: no such process");
    /* A mailbox takes the request and does nothing. */
    assert_int_equal(tenon_server_stop(f->node,
                                       &(tenon_dest){ .pid = &f->me.pid },
                                       tenon_value_term(reason), 1, NULL),
                     TENON_E_TIMEOUT);
    tenon_value_free(reason);
}

static void normal_ends_only_one_that_sends_it_to_itself(void **state)
{
    struct fixture *f = *state;
    struct me other = me_new(f->node);
    tenon_value *normal = tenon_value_format(":normal");
    tenon_ref ref;
    OK(tenon_monitor(f->me.box, &(tenon_dest){ .pid = &other.pid }, &ref));
    OK(tenon_exit_signal(f->me.box, &other.pid, tenon_value_term(normal)));
    assert_no_message(&f->me);
    OK(tenon_exit_signal(other.box, &other.pid, tenon_value_term(normal)));
    tenon_value *down = next_message(&f->me);
    assert_true(tenon_match(tenon_value_term(down),
                            "{:DOWN, _, :process, _, :normal}"));
    tenon_value_free(down);
    tenon_value_free(normal);
    tenon_process_release(other.box);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, start_with_server, stop)
#define BARE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_state_is_shown_and_replaced),
        TEST(a_state_that_cannot_be_replaced_stays),
        TEST(without_callbacks_a_state_is_opaque),
        TEST(get_status_has_the_shape_of_a_gen_server),
        TEST(a_suspended_server_lets_all_but_sys_wait),
        TEST(a_message_can_be_withdrawn_while_a_server_is_suspended),
        TEST(a_suspended_server_can_be_ended),
        TEST(what_is_logged_can_be_had),
        TEST(statistics_are_counted),
        TEST(nothing_that_sys_asks_stays_unanswered),
        TEST(what_continues_comes_before_the_next_message),
        TEST(a_server_may_be_continued_at_its_start),
        TEST(silence_is_told_and_a_message_ends_the_wait),
        TEST(only_handlers_can_ask),
        TEST(anybody_can_answer_a_call_that_is_handed_on),
        BARE(a_server_ends_with_its_parent_also_when_it_traps),
        BARE(a_parent_that_is_gone_ends_a_server_at_once),
        TEST(another_links_end_is_a_message_to_one_that_traps),
        TEST(a_server_is_stopped_and_waited_for),
        TEST(normal_ends_only_one_that_sends_it_to_itself),
    };
    return cmocka_run_group_tests_name("otp/sys", tests, NULL, NULL);
}
