/* SPDX-License-Identifier: Apache-2.0 */
/* Services on one node: served to a process that calls the router's functions
 * as a peer would, and dispatched to from C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "unit/otp/own_node.h"
#include "x3m/forward.h"
#include "x3m/message.h"
#include "x3m/registry_message.h"
#include "x3m/router.h"

#define ROUTER "Elixir.T.Router"

/* ---- the services ----------------------------------------------------- */

/* A kept call, handed from a handler to the test. */
static struct box {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* More than are kept in all: one may be taken long after it was put in. */
    tenon_call *kept[64];
    unsigned count;
} box = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, { NULL }, 0 };

static void put_in_box(tenon_call *kept)
{
    pthread_mutex_lock(&box.lock);
    assert_true(box.count < sizeof box.kept / sizeof box.kept[0]);
    box.kept[box.count++] = kept;
    pthread_cond_broadcast(&box.changed);
    pthread_mutex_unlock(&box.lock);
}

/* The call that was kept as the n-th, from 0. */
static tenon_call *take_from_box(unsigned n)
{
    pthread_mutex_lock(&box.lock);
    while (box.count <= n) {
        pthread_cond_wait(&box.changed, &box.lock);
    }
    tenon_call *kept = box.kept[n];

    pthread_mutex_unlock(&box.lock);
    return kept;
}

static void echo(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_ok(call, "~t", tenon_call_request(call));
}

static void events(tenon_call *call, void *user)
{
    tenon_message *message = tenon_call_message(call);
    tenon_value *one = tenon_value_format(":one");
    tenon_value *two = tenon_value_format(":two");

    (void)user;
    tenon_message_add_event(message, tenon_value_term(one));
    tenon_message_add_event(message, tenon_value_term(two));
    tenon_message_assign(message, "seen", tenon_value_term(one));
    tenon_value_free(one);
    tenon_value_free(two);
    tenon_reply_created(call, "~s", "c-1");
}

static void keep(tenon_call *call, void *user)
{
    (void)user;
    put_in_box(tenon_call_keep(call));
}

/* Replies, and then goes on until its kept copy of another call is there. */
static void linger(tenon_call *call, void *user)
{
    unsigned n = box.count;

    (void)user;
    tenon_reply_ok(call, ":early");
    tenon_call_release(take_from_box(n));
}

static void go_wrong(tenon_call *call, void *user)
{
    tenon_term how = tenon_call_request(call);

    (void)user;
    if (tenon_term_is_atom(how, "raise")) {
        tenon_raise(call, ":raised");
    } else if (tenon_term_is_atom(how, "throw")) {
        tenon_throw(call, ":thrown");
    } else if (tenon_term_is_atom(how, "exit")) {
        tenon_exit(call, ":exited");
    } else if (tenon_term_is_atom(how, "busy")) {
        tenon_reply_error(call, "{:try_another_node, :busy}");
    } else if (tenon_term_is_atom(how, "pattern")) {
        tenon_reply_ok(call, "{");
    }
}

/* Dispatches to itself with one less, down to zero. */
static void nest(tenon_call *call, void *user)
{
    tenon_node *node = tenon_call_node(call);
    int64_t depth = 0;

    (void)user;
    if (tenon_term_int64(tenon_call_request(call), &depth) < 0 || depth == 0) {
        tenon_reply_ok(call, ":bottom");
        return;
    }
    tenon_value *less = tenon_value_format("~i", depth - 1);
    tenon_message *message = tenon_message_new_caused_by(
        node, "nest", tenon_call_message(call), tenon_value_term(less));
    tenon_message *reply = NULL;

    if (tenon_dispatch(node, message, DEADLINE_MS, &reply, NULL) < 0) {
        tenon_reply_error(call, ":dispatch");
    } else {
        tenon_reply(call, "~t", tenon_message_get(reply, "response"));
    }
    tenon_message_free(reply);
    tenon_message_free(message);
    tenon_value_free(less);
}

static void dispatch_inline(tenon_call *call, void *user)
{
    tenon_message *reply = NULL;
    enum tenon_err rc =
        tenon_dispatch(tenon_call_node(call), tenon_call_message(call),
                       DEADLINE_MS, &reply, NULL);

    (void)user;
    tenon_reply_ok(call, "~a", tenon_err_name(rc));
}

/* Does what its request says, and has effects that are settled. */
static void effects(tenon_call *call, void *user)
{
    tenon_message *message = tenon_call_message(call);
    tenon_term how = tenon_call_request(call);

    (void)user;
    if (tenon_term_is_atom(how, "message")) {
        OK(tenon_message_created(message, "1"));
        OK(tenon_reply_message(call));
        assert_int_equal(tenon_reply_message(call), TENON_E_INVAL);
    } else if (tenon_term_is_atom(how, "keep")) {
        put_in_box(tenon_call_keep(call));
    } else if (tenon_term_is_atom(how, "raise")) {
        tenon_raise(call, ":raised");
    } else if (!tenon_term_is_atom(how, "nothing")) {
        tenon_reply_term(call, how);
    }
}

/* What the last settle function that ran was, and saw. */
static struct {
    char hook[16];
    char response[64];
    unsigned count;
} settled;

static void note_settled(const char *hook, const tenon_message *message)
{
    snprintf(settled.hook, sizeof settled.hook, "%s", hook);
    tenon_term_print(tenon_message_get(message, "response"), settled.response,
                     sizeof settled.response);
    settled.count++;
}

static void on_commit(tenon_message *message, void *user)
{
    note_settled("commit", message);
    if (tenon_term_is_atom(tenon_message_get(message, "response"), "ok")) {
        OK(tenon_message_error(message, "{:not_saved, ~a}", user));
    }
}

static void on_rollback(tenon_message *message, void *user)
{
    (void)user;
    note_settled("rollback", message);
}

/* To the node or what else assigns say. */
static void
choose_node(const tenon_message *message, tenon_builder *node, void *user)
{
    tenon_term assigns = tenon_message_get(message, "assigns");
    tenon_term chosen;

    (void)user;
    if (tenon_map_get_atom(assigns, "forward_to", &chosen) == TENON_OK) {
        tenon_build_term(node, chosen);
    }
}

/* `deny` in assigns refuses, `break` builds half a term. */
static void
authorize(const tenon_message *message, tenon_builder *verdict, void *user)
{
    tenon_term assigns = tenon_message_get(message, "assigns");
    tenon_term deny;

    (void)user;
    if (tenon_map_get_atom(assigns, "deny", &deny) == TENON_OK) {
        tenon_build_term(verdict, deny);
    } else if (tenon_map_get_atom(assigns, "break", &deny) == TENON_OK) {
        tenon_build_tuple(verdict, 2);
    }
}

static const tenon_service_options run_inline = { .flags = TENON_INLINE };

static int start(void **state)
{
    tenon_node *node = own_node_start();
    tenon_router *router = tenon_router_new(node, ROUTER);

    box.count = 0;
    OK(tenon_service(router, "echo", echo, NULL));
    OK(tenon_service(router, "events", events, NULL));
    OK(tenon_service(router, "keep", keep, NULL));
    OK(tenon_service(router, "fail", go_wrong, NULL));
    OK(tenon_service(router, "nest", nest, NULL));
    OK(tenon_service(router, "linger", linger, NULL));
    OK(tenon_servicep(router, "secret", echo, NULL));
    OK(tenon_service_add(router, "quick", echo, &run_inline));
    OK(tenon_service_add(router, "on_loop", dispatch_inline, &run_inline));
    OK(tenon_service_add(
        router, "effects", effects,
        &(tenon_service_options){ .user = "user",
                                  .handler = "Elixir.T.H",
                                  .function = "run",
                                  .on_commit = on_commit,
                                  .on_rollback = on_rollback }));
    OK(tenon_router_authorize(router, authorize, NULL));
    OK(tenon_router_choose_node(router, choose_node, NULL));
    OK(tenon_register_services(router));
    *state = node;
    return 0;
}

/* ---- calling functions as a peer does --------------------------------- */

/* A message term for a service with the caller as reply_to; more: pairs in
 * place of the defaults, as a map's text, or NULL. */
static tenon_value *
message_for(struct me *me, const char *service, tenon_term raw)
{
    tenon_message *message = tenon_message_new(
        me->node, service,
        &(tenon_message_options){ .raw_request = raw, .id = "m-1" });
    tenon_builder *out = tenon_builder_new();
    tenon_term key, value;
    tenon_cursor at;

    assert_non_null(message);
    tenon_build_map(out, 18);
    tenon_cursor_init(&at, tenon_message_term(message));
    while (tenon_cursor_next_pair(&at, &key, &value)) {
        tenon_build_term(out, key);
        if (tenon_term_is_atom(key, "reply_to")) {
            tenon_build_pid(out, &me->pid);
        } else {
            tenon_build_term(out, value);
        }
    }
    OK(tenon_builder_term(out, &value));
    tenon_value *term = tenon_value_new(value);

    tenon_builder_free(out);
    tenon_message_free(message);
    return term;
}

/* The same with a field replaced. message: taken. value: an Elixir term. */
static tenon_value *
with(tenon_value *message, const char *field, const char *value)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term key, old;
    tenon_cursor at;

    tenon_build_map(out, tenon_term_count(tenon_value_term(message)));
    tenon_cursor_init(&at, tenon_value_term(message));
    while (tenon_cursor_next_pair(&at, &key, &old)) {
        tenon_build_term(out, key);
        if (tenon_term_is_atom(key, field)) {
            OK(tenon_build_text(out, value, strlen(value), NULL));
        } else {
            tenon_build_term(out, old);
        }
    }
    OK(tenon_builder_term(out, &old));
    tenon_value *changed = tenon_value_new(old);

    tenon_builder_free(out);
    tenon_value_free(message);
    return changed;
}

/* Runs Router:function(message); message: taken. */
static void assert_call(struct me *me,
                        const char *function,
                        tenon_value *message,
                        enum tenon_err code,
                        const char *expected)
{
    tenon_value *args = tenon_value_format("[~t]", tenon_value_term(message));
    tenon_value *value = NULL;
    enum tenon_err rc =
        tenon_rpc(me->node, NULL, ROUTER, function, tenon_value_term(args),
                  DEADLINE_MS, &value, NULL);

    assert_string_equal(tenon_err_name(rc), tenon_err_name(code));
    assert_memory_equal(text_of(tenon_value_term(value)), expected,
                        strlen(expected));
    tenon_value_free(value);
    tenon_value_free(args);
    tenon_value_free(message);
}

static tenon_message *next_reply(struct me *me)
{
    tenon_value *term = next_message(me);
    tenon_message *reply =
        tenon_message_from_term(me->node, tenon_value_term(term), NULL);

    assert_non_null(reply);
    tenon_value_free(term);
    return reply;
}

static void assert_field(const tenon_message *message,
                         const char *field,
                         const char *expected)
{
    assert_string_equal(text_of(tenon_message_get(message, field)), expected);
}

static const tenon_term no_term = { NULL, 0 };

static void the_reply_goes_to_reply_to_and_the_call_returns_ok(void **state)
{
    struct me me = me_new(*state);
    tenon_value *raw = tenon_value_format("%{\"a\" => 1.5}");
    tenon_value *sent = message_for(&me, "echo", tenon_value_term(raw));

    assert_call(&me, "echo",
                with(tenon_value_new(tenon_value_term(sent)), "request",
                     "%{left: :over}"),
                TENON_OK, ":ok");
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "response", "{:ok, %{\"a\" => 1.5}}");
    assert_field(reply, "halted?", "true");
    assert_field(reply, "request", "nil");
    assert_field(reply, "raw_request", "%{\"a\" => 1.5}");
    assert_field(reply, "id", "\"m-1\"");
    assert_true(tenon_term_equal(tenon_message_get(reply, "invoked_at"),
                                 tenon_message_get(reply, "invoked_at")));
    tenon_message_free(reply);
    tenon_value_free(sent);
    tenon_value_free(raw);
    me_free(&me);
}

static void inline_and_private_services_are_served_too(void **state)
{
    struct me me = me_new(*state);

    assert_call(&me, "quick", message_for(&me, "quick", no_term), TENON_OK,
                ":ok");
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "response", "{:ok, nil}");
    tenon_message_free(reply);
    assert_call(&me, "secret", message_for(&me, "secret", no_term), TENON_OK,
                ":ok");
    reply = next_reply(&me);
    assert_field(reply, "service_name", ":secret");
    tenon_message_free(reply);
    me_free(&me);
}

static void events_are_sent_only_when_asked_for(void **state)
{
    struct me me = me_new(*state);

    assert_call(&me, "events", message_for(&me, "events", no_term), TENON_OK,
                ":ok");
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "events", "[]");
    assert_field(reply, "response", "{:created, \"c-1\"}");
    assert_field(reply, "assigns", "%{seen: :one}");
    tenon_message_free(reply);
    assert_call(
        &me, "events",
        with(message_for(&me, "events", no_term), "dry_run", ":verbose"),
        TENON_OK, ":ok");
    reply = next_reply(&me);
    assert_field(reply, "events", "[:one, :two]");
    assert_field(reply, "dry_run", ":verbose");
    tenon_message_free(reply);
    me_free(&me);
}

static void a_refusal_keeps_request_and_events(void **state)
{
    struct me me = me_new(*state);
    tenon_value *message = message_for(&me, "fail", no_term);

    message = with(message, "assigns", "%{deny: {:not, \"you\"}}");
    message = with(message, "request", "%{left: :over}");
    message = with(message, "events", "[:b, :a]");
    assert_call(&me, "fail", message, TENON_OK, ":ok");
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "response", "{:error, {:not, \"you\"}}");
    assert_field(reply, "halted?", "true");
    assert_field(reply, "request", "%{left: :over}");
    assert_field(reply, "events", "[:a, :b]");
    tenon_message_free(reply);
    me_free(&me);
}

static void a_verdict_that_is_no_term_lets_nobody_in(void **state)
{
    struct me me = me_new(*state);

    assert_call(
        &me, "echo",
        with(message_for(&me, "echo", no_term), "assigns", "%{break: 1}"),
        TENON_E_REMOTE_ERROR, "{:badarg, ");
    assert_call(
        &me, "authorized?",
        with(message_for(&me, "echo", no_term), "assigns", "%{break: 1}"),
        TENON_E_REMOTE_ERROR, "{:badarg, ");
    assert_no_message(&me);
    me_free(&me);
}

static void authorization_can_be_asked_for_alone(void **state)
{
    struct me me = me_new(*state);
    tenon_value *denied =
        with(message_for(&me, "echo", no_term), "assigns", "%{deny: 1}");
    tenon_value *allowed =
        with(message_for(&me, "echo", no_term), "assigns", "%{deny: :ok}");

    assert_call(&me, "authorized?", message_for(&me, "echo", no_term), TENON_OK,
                "true");
    assert_call(&me, "authorized?", denied, TENON_OK, "false");
    assert_call(&me, "authorized?", allowed, TENON_OK, "true");
    assert_no_message(&me);
    me_free(&me);
}

static void a_failing_handler_fails_the_call(void **state)
{
    struct me me = me_new(*state);
    static const struct {
        const char *how;
        enum tenon_err code;
        const char *expected;
    } cases[] = {
        { ":raise", TENON_E_REMOTE_ERROR, "{:raised, [{T.Router, :fail, " },
        { ":throw", TENON_E_REMOTE_THROW, ":thrown" },
        { ":exit", TENON_E_REMOTE_EXIT, ":exited" },
        { ":pattern", TENON_E_REMOTE_ERROR, "{:badarg, " },
        { ":nothing", TENON_OK, ":ok" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_call(&me, "fail",
                    with(message_for(&me, "fail", no_term), "raw_request",
                         cases[i].how),
                    cases[i].code, cases[i].expected);
    }
    assert_no_message(&me);
    me_free(&me);
}

static void a_kept_call_returns_ok_at_once_and_replies_later(void **state)
{
    struct me me = me_new(*state);
    unsigned n = box.count;
    tenon_value *raw = tenon_value_format("{:kept, \"bytes\"}");
    tenon_value *one = tenon_value_format("1");
    tenon_pid from;

    assert_call(&me, "keep", message_for(&me, "keep", tenon_value_term(raw)),
                TENON_OK, ":ok");
    assert_no_message(&me);
    tenon_call *kept = take_from_box(n);

    OK(tenon_call_from(kept, &from));
    assert_true(tenon_pid_equal(&from, &me.pid));
    tenon_message *message = tenon_call_message(kept);

    OK(tenon_message_assign(message, "n", tenon_value_term(one)));
    OK(tenon_reply_ok(kept, "~t", tenon_message_get(message, "raw_request")));
    assert_int_equal(tenon_reply_ok(kept, "2"), TENON_E_INVAL);
    tenon_call_release(kept);
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "response", "{:ok, {:kept, \"bytes\"}}");
    assert_field(reply, "assigns", "%{n: 1}");
    assert_no_message(&me);
    tenon_message_free(reply);
    tenon_value_free(one);
    tenon_value_free(raw);
    me_free(&me);
}

static void
the_call_returns_when_it_is_answered_not_when_the_handler_does(void **state)
{
    struct me me = me_new(*state);

    assert_call(&me, "linger", message_for(&me, "linger", no_term), TENON_OK,
                ":ok");
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "response", "{:ok, :early}");
    tenon_message_free(reply);
    assert_call(&me, "keep", message_for(&me, "keep", no_term), TENON_OK,
                ":ok");
    me_free(&me);
}

static void a_kept_call_that_fails_or_is_dropped_sends_nothing(void **state)
{
    struct me me = me_new(*state);
    unsigned n = box.count;

    assert_call(&me, "keep", message_for(&me, "keep", no_term), TENON_OK,
                ":ok");
    tenon_call *kept = take_from_box(n);

    OK(tenon_raise(kept, ":too_late"));
    tenon_call_release(kept);
    assert_call(&me, "keep", message_for(&me, "keep", no_term), TENON_OK,
                ":ok");
    tenon_call_release(take_from_box(n + 1));
    assert_call(&me, "quick", message_for(&me, "quick", no_term), TENON_OK,
                ":ok");
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "service_name", ":quick");
    tenon_message_free(reply);
    me_free(&me);
}

static void a_bad_message_fails_its_call_and_nothing_else(void **state)
{
    struct me me = me_new(*state);
    tenon_value *no_pid =
        with(message_for(&me, "echo", no_term), "reply_to", "nil");

    assert_call(&me, "echo", tenon_value_format(":junk"), TENON_E_REMOTE_ERROR,
                "{:function_clause, [{T.Router, :echo, ");
    assert_call(&me, "echo", message_for(&me, "keep", no_term),
                TENON_E_REMOTE_ERROR, "{:function_clause, ");
    assert_call(&me, "echo", no_pid, TENON_E_REMOTE_ERROR,
                "{:function_clause, ");
    assert_call(&me, "authorized?", tenon_value_format("%{}"),
                TENON_E_REMOTE_ERROR, "{:function_clause, ");
    assert_call(&me, "nothing", message_for(&me, "nothing", no_term),
                TENON_E_REMOTE_UNDEF, "{:undef, [{T.Router, :nothing, [");
    assert_call(&me, "echo", message_for(&me, "echo", no_term), TENON_OK,
                ":ok");
    tenon_message_free(next_reply(&me));
    assert_no_message(&me);
    me_free(&me);
}

/* ---- effects ---------------------------------------------------------- */

/* Of one call of `effects`: which hook ran, with which response, and what the
 * caller got. */
static void assert_settled(struct me *me,
                           const char *how,
                           const char *dry_run,
                           const char *hook,
                           const char *response,
                           const char *replied)
{
    unsigned before = settled.count;

    assert_call(
        me, "effects",
        with(with(message_for(me, "effects", no_term), "raw_request", how),
             "dry_run", dry_run),
        TENON_OK, ":ok");
    tenon_message *reply = next_reply(me);

    assert_field(reply, "response", replied);
    assert_string_equal(settled.hook, hook);
    assert_string_equal(settled.response, response);
    assert_int_equal(settled.count, before + 1);
    tenon_message_free(reply);
}

static void effects_are_committed_or_rolled_back_before_the_reply(void **state)
{
    struct me me = me_new(*state);

    assert_settled(&me, "{:ok, 1}", "false", "commit", "{:ok, 1}", "{:ok, 1}");
    assert_settled(&me, ":message", "false", "commit", "{:created, 1}",
                   "{:created, 1}");
    assert_settled(&me, "{:ok, 1, 2}", "true", "rollback", "{:ok, 1, 2}",
                   "{:ok, 1, 2}");
    assert_settled(&me, "{:created, 1}", ":verbose", "rollback",
                   "{:created, 1}", "{:created, 1}");
    assert_settled(&me, "{:error, 1}", "false", "rollback", "{:error, 1}",
                   "{:error, 1}");
    assert_settled(&me, "{:missing_id, 1}", "false", "rollback",
                   "{:missing_id, 1}", "{:missing_id, 1}");
    /* A commit that fails says so. */
    assert_settled(&me, ":ok", "false", "commit", ":ok",
                   "{:error, {:not_saved, :user}}");
    me_free(&me);
}

static void effects_of_a_call_without_an_answer_are_rolled_back(void **state)
{
    struct me me = me_new(*state);
    unsigned n = box.count, before = settled.count;

    assert_call(
        &me, "effects",
        with(message_for(&me, "effects", no_term), "raw_request", ":raise"),
        TENON_E_REMOTE_ERROR, "{:raised, [{T.Router, :effects, ");
    assert_string_equal(settled.hook, "rollback");
    assert_string_equal(settled.response, "nil");
    assert_call(
        &me, "effects",
        with(message_for(&me, "effects", no_term), "raw_request", ":nothing"),
        TENON_OK, ":ok");
    assert_int_equal(settled.count, before + 2);
    assert_call(
        &me, "effects",
        with(message_for(&me, "effects", no_term), "raw_request", ":keep"),
        TENON_OK, ":ok");
    assert_int_equal(settled.count, before + 2);
    tenon_call_release(take_from_box(n));
    assert_int_equal(settled.count, before + 3);
    assert_no_message(&me);
    me_free(&me);
}

static void effects_of_a_kept_call_are_settled_when_it_is_answered(void **state)
{
    struct me me = me_new(*state);
    unsigned n = box.count, before = settled.count;

    assert_call(
        &me, "effects",
        with(message_for(&me, "effects", no_term), "raw_request", ":keep"),
        TENON_OK, ":ok");
    tenon_call *kept = take_from_box(n);

    OK(tenon_message_ok(tenon_call_message(kept), "7"));
    assert_int_equal(settled.count, before);
    OK(tenon_reply_message(kept));
    assert_int_equal(settled.count, before + 1);
    assert_string_equal(settled.hook, "commit");
    assert_string_equal(settled.response, "{:ok, 7}");
    tenon_call_release(kept);
    assert_int_equal(settled.count, before + 1);
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "response", "{:ok, 7}");
    tenon_message_free(reply);
    me_free(&me);
}

/* ---- choosing the node ------------------------------------------------ */

static tenon_value *forwarded(struct me *me, const char *to)
{
    char assigns[100];

    snprintf(assigns, sizeof assigns, "%%{forward_to: %s}", to);
    return with(message_for(me, "quick", no_term), "assigns", assigns);
}

static void assert_forwarded(struct me *me, const char *to, const char *replied)
{
    assert_call(me, "quick", forwarded(me, to), TENON_OK, ":ok");
    tenon_message *reply = next_reply(me);

    assert_field(reply, "response", replied);
    assert_field(reply, "halted?", "true");
    assert_field(reply, "id", "\"m-1\"");
    tenon_message_free(reply);
}

static void a_call_is_served_here_when_this_node_is_chosen(void **state)
{
    struct me me = me_new(*state);

    assert_forwarded(&me, ":local", "{:ok, nil}");
    assert_forwarded(&me, ":\"" OWN_NAME "\"", "{:ok, nil}");
    me_free(&me);
}

static void a_forward_to_a_node_that_is_gone_is_told_to_the_caller(void **state)
{
    struct me me = me_new(*state);

    assert_forwarded(&me, ":\"gone@127.0.0.1\"",
                     "{:error, {:badrpc, :nodedown}}");
    assert_forwarded(&me, ":no_node", "{:error, {:badrpc, :nodedown}}");
    assert_forwarded(&me, "nil", "{:error, {:badrpc, :nodedown}}");
    assert_no_message(&me);
    me_free(&me);
}

static void
assert_passed_on(struct me *me, tn_account *account, const char *replied)
{
    const struct tn_service *service = tn_router_find_forwarded(
        tn_x3m_start(me->node, NULL), ROUTER, "quick", "quick");
    tenon_value *term = message_for(me, "quick", no_term);
    tenon_message message;

    assert_non_null(service);
    OK(tn_message_init(&message, me->node, tenon_value_term(term), NULL));
    tn_forward(service, &message, "gone@127.0.0.1", account);
    tenon_message *reply = next_reply(me);

    assert_field(reply, "response", replied);
    tenon_message_free(reply);
    tn_message_fini(&message);
    tenon_value_free(term);
}

static void a_message_that_is_passed_on_is_its_senders(void **state)
{
    struct me me = me_new(*state);
    tn_budget *budget = tn_budget_new(100000);
    tn_account *account = tn_account_of(budget, "greedy@h");

    tn_account_charge_always(account, 50000);
    assert_passed_on(&me, account,
                     "{:error, {:badrpc, {:EXIT, :system_limit}}}");
    assert_int_equal(tn_budget_refused(budget), 1);
    tn_account_discharge(account, 50000);
    assert_passed_on(&me, account, "{:error, {:badrpc, :nodedown}}");
    /* Freed after the caller has been told. */
    uint64_t deadline = tn_now_ms() + DEADLINE_MS;

    while (tn_account_bytes(account) > 0 && tn_now_ms() < deadline) {
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(tn_account_bytes(account), 0);
    tn_account_unref(account);
    tn_budget_unref(budget);
    me_free(&me);
}

static void a_choice_that_is_no_node_fails_the_call(void **state)
{
    struct me me = me_new(*state);

    assert_call(&me, "quick", forwarded(&me, "1"), TENON_E_REMOTE_ERROR,
                "{:badarg, ");
    assert_no_message(&me);
    me_free(&me);
}

/* ---- asking for the services ------------------------------------------ */

static void assert_services(tenon_router *router,
                            enum tenon_visibility visibility,
                            const char *expected)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term services;

    OK(tenon_registered_services(router, visibility, out));
    OK(tenon_builder_term(out, &services));
    assert_string_equal(text_of(services), expected);
    tenon_builder_free(out);
}

static void a_router_tells_its_services(void **state)
{
    tenon_router *router = tenon_router_new(*state, "Elixir.Telling.Router");
    tenon_builder *out = tenon_builder_new();

    assert_services(router, TENON_SERVICES_ALL, "[]");
    OK(tenon_service(router, "b_first", echo, NULL));
    OK(tenon_servicep(router, "hidden", echo, NULL));
    OK(tenon_service(router, "a_last", echo, NULL));
    assert_services(router, TENON_SERVICES_PUBLIC, "[b_first: 1, a_last: 1]");
    assert_services(router, TENON_SERVICES_PRIVATE, "[hidden: 1]");
    assert_services(router, TENON_SERVICES_ALL,
                    "[hidden: 1, b_first: 1, a_last: 1]");
    assert_int_equal(tenon_registered_services(NULL, TENON_SERVICES_ALL, out),
                     TENON_E_INVAL);
    assert_int_equal(
        tenon_registered_services(router, (enum tenon_visibility)3, out),
        TENON_E_INVAL);
    tenon_builder_free(out);
}

static void assert_asked(tenon_node *node,
                         const char *args,
                         enum tenon_err code,
                         const char *expected)
{
    tenon_value *list = tenon_value_format(args);
    tenon_value *value = NULL;
    enum tenon_err rc =
        tenon_rpc(node, NULL, ROUTER, "registered_services",
                  tenon_value_term(list), DEADLINE_MS, &value, NULL);

    assert_string_equal(tenon_err_name(rc), tenon_err_name(code));
    assert_memory_equal(text_of(tenon_value_term(value)), expected,
                        strlen(expected));
    tenon_value_free(value);
    tenon_value_free(list);
}

static void peers_may_ask_for_a_routers_services(void **state)
{
    assert_asked(*state, "[:private]", TENON_OK, "[secret: 1]");
    assert_asked(*state, "[]", TENON_OK, "[secret: 1, echo: 1, events: 1, ");
    assert_asked(*state, "[:all]", TENON_OK, "[secret: 1, echo: 1, ");
    assert_asked(*state, "[:public]", TENON_OK, "[echo: 1, events: 1, ");
    assert_asked(*state, "[:none]", TENON_E_REMOTE_ERROR,
                 "{:function_clause, ");
    assert_asked(*state, "[:all, 1]", TENON_E_REMOTE_UNDEF, "{:undef, ");
}

/* ---- forwarded calls -------------------------------------------------- */

static enum tenon_err invoke(struct me *me,
                             const char *first,
                             const char *function,
                             tenon_value *message)
{
    tenon_value *args = tenon_value_format("[~a, A.Handler, ~a, ~t]", first,
                                           function, tenon_value_term(message));
    tenon_value *value = NULL;
    enum tenon_err rc =
        tenon_rpc(me->node, NULL, "Elixir.Any.Router", "_invoke",
                  tenon_value_term(args), DEADLINE_MS, &value, NULL);

    tenon_value_free(value);
    tenon_value_free(args);
    tenon_value_free(message);
    return rc;
}

static void
a_forwarded_call_is_served_by_function_without_authorize(void **state)
{
    struct me me = me_new(*state);
    tenon_value *message =
        with(message_for(&me, "elsewhere", no_term), "assigns", "%{deny: 1}");

    OK(invoke(&me, "local", "echo", message));
    tenon_message *reply = next_reply(&me);

    assert_field(reply, "service_name", ":elsewhere");
    assert_field(reply, "response", "{:ok, nil}");
    tenon_message_free(reply);
    /* Its function is called otherwise than the service. */
    OK(invoke(
        &me, "local", "run",
        with(message_for(&me, "effects", no_term), "raw_request", "{:ok, 5}")));
    reply = next_reply(&me);
    assert_field(reply, "response", "{:ok, 5}");
    tenon_message_free(reply);
    assert_int_equal(
        invoke(&me, "local", "effects", message_for(&me, "effects", no_term)),
        TENON_E_REMOTE_UNDEF);
    assert_int_equal(
        invoke(&me, "local", "no_such", message_for(&me, "echo", no_term)),
        TENON_E_REMOTE_UNDEF);
    assert_int_equal(
        invoke(&me, "a@h", "echo", message_for(&me, "echo", no_term)),
        TENON_E_REMOTE_ERROR);
    assert_int_equal(invoke(&me, "local", "echo", tenon_value_format(":junk")),
                     TENON_E_REMOTE_ERROR);
    assert_no_message(&me);
    me_free(&me);
}

/* ---- dispatch --------------------------------------------------------- */

/* raw: an Elixir term's pattern. owned: tenon_message_free. */
static tenon_message *dispatch(tenon_node *node,
                               const char *service,
                               const char *raw,
                               uint32_t timeout_ms)
{
    tenon_value *raw_request = tenon_value_format(raw);
    tenon_message *message = tenon_message_new(
        node, service,
        &(tenon_message_options){ .raw_request = tenon_value_term(raw_request),
                                  .id = "m-2" });
    tenon_message *reply = NULL;

    OK(tenon_dispatch(node, message, timeout_ms, &reply, NULL));
    assert_non_null(reply);
    tenon_message_free(message);
    tenon_value_free(raw_request);
    return reply;
}

static void assert_dispatch(tenon_node *node,
                            const char *service,
                            const char *raw,
                            uint32_t timeout_ms,
                            const char *expected)
{
    tenon_message *reply = dispatch(node, service, raw, timeout_ms);

    assert_memory_equal(text_of(tenon_message_get(reply, "response")), expected,
                        strlen(expected));
    assert_field(reply, "halted?", "true");
    tenon_message_free(reply);
}

static void own_services_are_dispatched_to(void **state)
{
    assert_dispatch(*state, "echo", "%{a: 1}", 0, "{:ok, %{a: 1}}");
    assert_dispatch(*state, "secret", "1", 0, "{:ok, 1}");
    assert_dispatch(*state, "quick", "1", TENON_NO_TIMEOUT, "{:ok, 1}");
    tenon_message *reply = dispatch(*state, "echo", "1", 0);
    tenon_pid pid;

    OK(tenon_term_pid(tenon_message_get(reply, "reply_to"), &pid));
    assert_string_equal(pid.node, OWN_NAME);
    tenon_message_free(reply);
}

static void a_failing_own_service_is_told_as_badrpc(void **state)
{
    assert_dispatch(*state, "fail", ":raise", 0,
                    "{:error, {:badrpc, {:EXIT, {:raised, [{T.Router, :fail,");
    assert_dispatch(*state, "fail", ":throw", 0,
                    "{:error, {:badrpc, {:throw, :thrown}}}");
    assert_dispatch(*state, "fail", ":exit", 0,
                    "{:error, {:badrpc, {:EXIT, :exited}}}");
}

static void a_service_that_nobody_offers_is_unavailable(void **state)
{
    assert_dispatch(*state, "nobody", "nil", 0,
                    "{:service_unavailable, :nobody}");
}

static void a_service_that_asks_for_another_node_has_none(void **state)
{
    assert_dispatch(*state, "fail", ":busy", 0,
                    "{:error, {:no_nodes_available, [local: :busy]}}");
}

static void a_service_that_does_not_reply_times_out(void **state)
{
    assert_dispatch(*state, "fail", ":nothing", 30,
                    "{:service_timeout, :fail, \"m-2\", 30}");
}

struct later {
    tenon_node *node;
    tenon_message *reply;
};

static void *dispatch_keep(void *user)
{
    struct later *later = user;

    later->reply = dispatch(later->node, "keep", ":second", DEADLINE_MS);
    return NULL;
}

/* Both have the same id. */
static void a_late_reply_does_not_reach_a_later_dispatch(void **state)
{
    struct later later = { *state, NULL };
    pthread_t thread;
    unsigned n = box.count;

    assert_dispatch(*state, "keep", ":first", 30,
                    "{:service_timeout, :keep, \"m-2\", 30}");
    tenon_call *first = take_from_box(n);

    assert_int_equal(pthread_create(&thread, NULL, dispatch_keep, &later), 0);
    tenon_call *second = take_from_box(n + 1);

    OK(tenon_reply_ok(first, ":too_late"));
    OK(tenon_reply_ok(second, ":in_time"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_field(later.reply, "response", "{:ok, :in_time}");
    tenon_message_free(later.reply);
    tenon_call_release(first);
    tenon_call_release(second);
}

static void only_the_message_with_the_id_is_the_reply(void **state)
{
    struct later later = { *state, NULL };
    pthread_t thread;
    unsigned n = box.count;
    tenon_pid relay;

    assert_int_equal(pthread_create(&thread, NULL, dispatch_keep, &later), 0);
    tenon_call *kept = take_from_box(n);
    tenon_message *other = tenon_message_new(
        *state, "keep", &(tenon_message_options){ .id = "m-3" });

    OK(tenon_call_from(kept, &relay));
    OK(tenon_send_format(*state, &(tenon_dest){ .pid = &relay }, ":junk"));
    OK(tenon_send(*state, &(tenon_dest){ .pid = &relay },
                  tenon_message_term(other), NULL));
    OK(tenon_reply_ok(kept, ":real"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_field(later.reply, "response", "{:ok, :real}");
    assert_field(later.reply, "id", "\"m-2\"");
    tenon_message_free(later.reply);
    tenon_message_free(other);
    tenon_call_release(kept);
}

/* Deeper than the pool grows for busy workers. */
static void nested_dispatches_do_not_run_out_of_workers(void **state)
{
    assert_dispatch(*state, "nest", "30", DEADLINE_MS, "{:ok, :bottom}");
}

static void the_loop_thread_may_not_wait_for_a_dispatch(void **state)
{
    assert_dispatch(*state, "on_loop", "nil", 0, "{:ok, :NOT_ALLOWED}");
}

struct ended {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    enum tenon_err code;
    tenon_message *reply;
};

static void on_end(void *user, enum tenon_err code, tenon_message *reply)
{
    struct ended *ended = user;

    pthread_mutex_lock(&ended->lock);
    ended->count++;
    ended->code = code;
    ended->reply = reply;
    pthread_cond_signal(&ended->changed);
    pthread_mutex_unlock(&ended->lock);
}

static void await_end(struct ended *ended)
{
    pthread_mutex_lock(&ended->lock);
    while (ended->count == 0) {
        pthread_cond_wait(&ended->changed, &ended->lock);
    }
    pthread_mutex_unlock(&ended->lock);
}

static void a_dispatch_can_call_back(void **state)
{
    struct ended ended = { .lock = PTHREAD_MUTEX_INITIALIZER,
                           .changed = PTHREAD_COND_INITIALIZER };
    tenon_message *message = tenon_message_new(*state, "echo", NULL);

    OK(tenon_dispatch_async(*state, message, 0, on_end, &ended));
    tenon_message_free(message);
    await_end(&ended);
    assert_int_equal(ended.code, TENON_OK);
    assert_field(ended.reply, "response", "{:ok, nil}");
    tenon_message_free(ended.reply);
    assert_int_equal(tenon_dispatch_async(*state, NULL, 0, on_end, &ended),
                     TENON_E_INVAL);
}

/* ---- the registry ----------------------------------------------------- */

static void tell_registry(tenon_node *node, const char *text)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    OK(tenon_build_text(out, text, strlen(text), NULL));
    OK(tenon_builder_term(out, &term));
    OK(tenon_send(node, TO(TN_REGISTRY_NAME), term, NULL));
    tenon_builder_free(out);
}

/* The offers of one service, as text; messages to the registry that were sent
 * before have been handled: it is asked to introduce itself to us. */
static const char *offers_of(tenon_node *node, const char *service)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term map, offers = no_term;

    OK(tenon_services(node, out));
    OK(tenon_builder_term(out, &map));
    (void)(tenon_map_get_atom(map, service, &offers) == TENON_OK);
    const char *text = offers.bytes == NULL ? "none" : text_of(offers);

    tenon_builder_free(out);
    return text;
}

static void
await_offers(tenon_node *node, const char *service, const char *expected)
{
    for (unsigned ms = 0; ms < DEADLINE_MS; ms += 2) {
        if (strcmp(offers_of(node, service), expected) == 0) {
            return;
        }
        OK(tenon_sleep(node, 2));
    }
    fail_msg("%s: expected %s, got %s", service, expected,
             offers_of(node, service));
}

static void announcements_are_believed_and_junk_is_dropped(void **state)
{
    static const char *const junk[] = {
        "nil",
        "{:introduce_local_services, 1}",
        "{:register_remote_services, {:\"x@127.0.0.1\", 1}}",
        "{:register_remote_services, {:\"x@127.0.0.1\", [1, {:a, 2}]}}",
        "{:register_remote_services, {:\"unit@127.0.0.1\", %{mine: X}}}",
        "{:\"$gen_call\", {1, 2}, :find}",
    };

    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        tell_registry(*state, junk[i]);
    }
    tell_registry(*state,
                  "{:register_remote_services, {:\"x@127.0.0.1\", %{far: X, "
                  "further: X}}}");
    tell_registry(*state,
                  "{:register_remote_services, {:\"x@127.0.0.1\", [far: Y]}}");
    await_offers(*state, "far", "[\"x@127.0.0.1\": Y]");
    assert_string_equal(offers_of(*state, "further"), "[\"x@127.0.0.1\": X]");
    assert_string_equal(offers_of(*state, "a"), "none");
    assert_string_equal(offers_of(*state, "mine"), "none");
    assert_string_equal(offers_of(*state, "secret"),
                        "[\"" OWN_NAME "\": T.Router]");
    tell_registry(*state, "{:unregister_node_services, :\"x@127.0.0.1\"}");
    await_offers(*state, "far", "none");
    assert_string_equal(offers_of(*state, "further"), "none");
}

static void a_provider_that_cannot_be_reached_is_down(void **state)
{
    tell_registry(*state,
                  "{:register_remote_services, {:\"gone@127.0.0.1\", %{far: "
                  "X}}}");
    await_offers(*state, "far", "[\"gone@127.0.0.1\": X]");
    assert_dispatch(*state, "far", "nil", DEADLINE_MS,
                    "{:error, {:badrpc, :nodedown}}");
    tell_registry(*state, "{:unregister_node_services, :\"gone@127.0.0.1\"}");
    await_offers(*state, "far", "none");
}

static void names_belong_to_one(void **state)
{
    tenon_router *other = tenon_router_new(*state, "Elixir.Other.Router");

    assert_non_null(other);
    assert_null(tenon_router_new(*state, "Elixir.Other.Router"));
    assert_null(tenon_router_new(*state, ""));
    assert_null(tenon_router_new(NULL, "Elixir.M"));
    OK(tenon_service(other, "own", echo, NULL));
    assert_int_equal(tenon_service(other, "own", echo, NULL), TENON_E_EXISTS);
    assert_int_equal(tenon_service(other, "_invoke", echo, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_service(other, "authorized?", echo, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_service(other, "registered_services", echo, NULL),
                     TENON_E_INVAL);
    assert_int_equal(
        tenon_service_add(other, "s", echo,
                          &(tenon_service_options){ .function = "" }),
        TENON_E_INVAL);
    assert_int_equal(
        tenon_service_add(other, "s", echo,
                          &(tenon_service_options){ .handler = "\xff" }),
        TENON_E_INVAL);
    assert_int_equal(tenon_service_add(other, "s", echo,
                                       &(tenon_service_options){ .flags = 2 }),
                     TENON_E_INVAL);
    assert_int_equal(tenon_router_choose_node(other, NULL, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_router_choose_node(NULL, choose_node, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_service(other, "\xff", echo, NULL), TENON_E_INVAL);
    assert_int_equal(tenon_service(other, "s", NULL, NULL), TENON_E_INVAL);
    assert_int_equal(tenon_service(NULL, "s", echo, NULL), TENON_E_INVAL);
    assert_int_equal(tenon_register_services(NULL), TENON_E_INVAL);
    OK(tenon_service(other, "echo", echo, NULL));
    assert_int_equal(tenon_register_services(other), TENON_E_EXISTS);
    assert_string_equal(offers_of(*state, "own"), "none");
}

/* ---- the end ---------------------------------------------------------- */

static void a_dispatch_under_way_ends_with_its_node(void **state)
{
    void *node = NULL;
    struct ended ended = { .lock = PTHREAD_MUTEX_INITIALIZER,
                           .changed = PTHREAD_COND_INITIALIZER };

    (void)state;
    start(&node);
    tenon_message *message = tenon_message_new(node, "keep", NULL);

    OK(tenon_dispatch_async(node, message, TENON_NO_TIMEOUT, on_end, &ended));
    tenon_message_free(message);
    tenon_call *kept = take_from_box(0);

    tenon_call_release(kept);
    tenon_node_stop(node);
    assert_int_equal(ended.count, 1);
    assert_int_equal(ended.code, TENON_E_STOPPED);
    assert_null(ended.reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reply_goes_to_reply_to_and_the_call_returns_ok),
        cmocka_unit_test(inline_and_private_services_are_served_too),
        cmocka_unit_test(events_are_sent_only_when_asked_for),
        cmocka_unit_test(a_refusal_keeps_request_and_events),
        cmocka_unit_test(a_verdict_that_is_no_term_lets_nobody_in),
        cmocka_unit_test(authorization_can_be_asked_for_alone),
        cmocka_unit_test(a_failing_handler_fails_the_call),
        cmocka_unit_test(a_kept_call_returns_ok_at_once_and_replies_later),
        cmocka_unit_test(
            the_call_returns_when_it_is_answered_not_when_the_handler_does),
        cmocka_unit_test(a_kept_call_that_fails_or_is_dropped_sends_nothing),
        cmocka_unit_test(a_bad_message_fails_its_call_and_nothing_else),
        cmocka_unit_test(effects_are_committed_or_rolled_back_before_the_reply),
        cmocka_unit_test(effects_of_a_call_without_an_answer_are_rolled_back),
        cmocka_unit_test(
            effects_of_a_kept_call_are_settled_when_it_is_answered),
        cmocka_unit_test(a_call_is_served_here_when_this_node_is_chosen),
        cmocka_unit_test(
            a_forward_to_a_node_that_is_gone_is_told_to_the_caller),
        cmocka_unit_test(a_message_that_is_passed_on_is_its_senders),
        cmocka_unit_test(a_choice_that_is_no_node_fails_the_call),
        cmocka_unit_test(a_router_tells_its_services),
        cmocka_unit_test(peers_may_ask_for_a_routers_services),
        cmocka_unit_test(
            a_forwarded_call_is_served_by_function_without_authorize),
        cmocka_unit_test(own_services_are_dispatched_to),
        cmocka_unit_test(a_failing_own_service_is_told_as_badrpc),
        cmocka_unit_test(a_service_that_nobody_offers_is_unavailable),
        cmocka_unit_test(a_service_that_asks_for_another_node_has_none),
        cmocka_unit_test(a_service_that_does_not_reply_times_out),
        cmocka_unit_test(a_late_reply_does_not_reach_a_later_dispatch),
        cmocka_unit_test(only_the_message_with_the_id_is_the_reply),
        cmocka_unit_test(nested_dispatches_do_not_run_out_of_workers),
        cmocka_unit_test(the_loop_thread_may_not_wait_for_a_dispatch),
        cmocka_unit_test(a_dispatch_can_call_back),
        cmocka_unit_test(announcements_are_believed_and_junk_is_dropped),
        cmocka_unit_test(a_provider_that_cannot_be_reached_is_down),
        cmocka_unit_test(names_belong_to_one),
    };
    const struct CMUnitTest ends[] = {
        cmocka_unit_test(a_dispatch_under_way_ends_with_its_node),
    };
    int failed = cmocka_run_group_tests(tests, start, own_node_stop);

    return failed + cmocka_run_group_tests(ends, NULL, NULL);
}
