/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatching beyond the plain call: messages that are halted already, dry
 * runs, and asking for authorization. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>

#include "unit/otp/own_node.h"
#include "x3m/registry_message.h"

static const tenon_term no_term = { NULL, 0 };

/* Answers with the message's dry_run and halted? as they came. */
static void seen(tenon_call *call, void *user)
{
    const tenon_message *message = tenon_call_message(call);

    (void)user;
    tenon_reply_ok(call, "{~t, ~t}", tenon_message_get(message, "dry_run"),
                   tenon_message_get(message, "halted?"));
}

static void silent(tenon_call *call, void *user)
{
    (void)call;
    (void)user;
}

/* raw_request: the verdict; `break` builds half a term. */
static void
authorize(const tenon_message *message, tenon_builder *verdict, void *user)
{
    tenon_term raw = tenon_message_get(message, "raw_request");

    (void)user;
    if (tenon_term_is_atom(raw, "break")) {
        tenon_build_tuple(verdict, 2);
    } else if (!tenon_term_is_atom(raw, "nil")) {
        tenon_build_term(verdict, raw);
    }
}

static int start(void **state)
{
    tenon_node *node = own_node_start();
    tenon_router *router = tenon_router_new(node, "Elixir.T.Router");

    OK(tenon_service(router, "seen", seen, NULL));
    OK(tenon_servicep(router, "silent", silent, NULL));
    OK(tenon_router_authorize(router, authorize, NULL));
    OK(tenon_register_services(router));
    *state = node;
    return 0;
}

/* raw: an Elixir term. owned: tenon_message_free. */
static tenon_message *
message_to(tenon_node *node, const char *service, const char *raw)
{
    tenon_value *raw_request = tenon_value_format(raw);
    tenon_message *message =
        tenon_message_new(node, service,
                          &(tenon_message_options){
                              .raw_request = tenon_value_term(raw_request) });

    assert_non_null(message);
    tenon_value_free(raw_request);
    return message;
}

static void assert_response(const tenon_message *reply, const char *expected)
{
    assert_string_equal(text_of(tenon_message_get(reply, "response")),
                        expected);
}

/* ---- callbacks --------------------------------------------------------- */

struct ended {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has;
    enum tenon_err code;
    tenon_message *reply;
    tenon_value *answer;
};
#define NOT_ENDED                                                              \
    {                                                                          \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

static void tell_end(struct ended *ended, enum tenon_err code)
{
    pthread_mutex_lock(&ended->lock);
    ended->has = true;
    ended->code = code;
    pthread_cond_signal(&ended->changed);
    pthread_mutex_unlock(&ended->lock);
}

static void on_reply(void *user, enum tenon_err code, tenon_message *reply)
{
    ((struct ended *)user)->reply = reply;
    tell_end(user, code);
}

static void on_answer(void *user, enum tenon_err code, tenon_value *answer)
{
    ((struct ended *)user)->answer = answer;
    tell_end(user, code);
}

static void await_end(struct ended *ended)
{
    pthread_mutex_lock(&ended->lock);
    while (!ended->has) {
        pthread_cond_wait(&ended->changed, &ended->lock);
    }
    pthread_mutex_unlock(&ended->lock);
    assert_int_equal(ended->code, TENON_OK);
}

/* ---- halted ------------------------------------------------------------ */

static void a_halted_message_comes_back_as_it_is(void **state)
{
    struct ended ended = NOT_ENDED;
    tenon_message *message = message_to(*state, "seen", "nil");
    tenon_message *reply = NULL;

    OK(tenon_message_error(message, ":no"));
    OK(tenon_dispatch(*state, message, 0, &reply, NULL));
    assert_true(tenon_term_equal(tenon_message_term(reply),
                                 tenon_message_term(message)));
    tenon_message_free(reply);
    OK(tenon_dispatch_async(*state, message, 0, on_reply, &ended));
    await_end(&ended);
    assert_true(tenon_term_equal(tenon_message_term(ended.reply),
                                 tenon_message_term(message)));
    tenon_message_free(ended.reply);
    tenon_message_free(message);
}

static void a_halted_message_is_sent_when_a_timeout_is_given(void **state)
{
    tenon_message *message = message_to(*state, "seen", "nil");
    tenon_message *reply = NULL;

    OK(tenon_message_error(message, ":no"));
    OK(tenon_dispatch(*state, message, DEADLINE_MS, &reply, NULL));
    assert_response(reply, "{:ok, {false, true}}");
    tenon_message_free(reply);
    tenon_message_free(message);
}

/* ---- dry runs ---------------------------------------------------------- */

static void validating_is_a_dispatch_as_a_dry_run(void **state)
{
    struct ended ended = NOT_ENDED;
    tenon_message *message = message_to(*state, "seen", "nil");
    tenon_message *reply = NULL;

    OK(tenon_validate(*state, message, 0, &reply, NULL));
    assert_response(reply, "{:ok, {true, false}}");
    tenon_message_free(reply);
    assert_string_equal(text_of(tenon_message_get(message, "dry_run")),
                        "false");
    OK(tenon_message_set_dry_run(message, TENON_DRY_RUN_VERBOSE));
    OK(tenon_validate_async(*state, message, 0, on_reply, &ended));
    await_end(&ended);
    assert_response(ended.reply, "{:ok, {:verbose, false}}");
    tenon_message_free(ended.reply);
    tenon_message_free(message);
}

/* ---- authorization ----------------------------------------------------- */

static void assert_answer(tenon_node *node,
                          const char *service,
                          const char *raw,
                          uint32_t timeout_ms,
                          const char *expected)
{
    struct ended ended = NOT_ENDED;
    tenon_message *message = message_to(node, service, raw);
    tenon_value *answer = NULL;

    OK(tenon_authorized(node, message, timeout_ms, &answer, NULL));
    assert_memory_equal(text_of(tenon_value_term(answer)), expected,
                        strlen(expected));
    tenon_value_free(answer);
    OK(tenon_authorized_async(node, message, timeout_ms, on_answer, &ended));
    await_end(&ended);
    assert_memory_equal(text_of(tenon_value_term(ended.answer)), expected,
                        strlen(expected));
    tenon_value_free(ended.answer);
    tenon_message_free(message);
}

static void authorization_is_asked_for_without_a_call(void **state)
{
    assert_answer(*state, "silent", "nil", 0, "true");
    assert_answer(*state, "silent", ":ok", 0, "true");
    assert_answer(*state, "silent", ":forbidden", TENON_NO_TIMEOUT, "false");
    assert_answer(*state, "silent", ":break", 0,
                  "{:error, {:badrpc, {:EXIT, {:badarg, [{T.Router, ");
    assert_answer(*state, "nobody", "nil", 0, ":service_unavailable");
}

static void tell_registry(tenon_node *node, const char *text)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    OK(tenon_build_text(out, text, strlen(text), NULL));
    OK(tenon_builder_term(out, &term));
    OK(tenon_send(node, TO(TN_REGISTRY_NAME), term, NULL));
    tenon_builder_free(out);
}

static bool offers(tenon_node *node, const char *service, size_t count)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term map, nodes = no_term;

    OK(tenon_services(node, out));
    OK(tenon_builder_term(out, &map));
    bool has = tenon_map_get_atom(map, service, &nodes) == TENON_OK &&
               tenon_term_count(nodes) == count;

    tenon_builder_free(out);
    return has;
}

static void of_those_that_cannot_be_asked_the_last_is_told(void **state)
{
    tell_registry(*state, "{:register_remote_services, {:\"b@127.0.0.1\", "
                          "%{far: X}}}");
    tell_registry(*state, "{:register_remote_services, {:\"a@127.0.0.1\", "
                          "%{far: X}}}");
    for (unsigned ms = 0; !offers(*state, "far", 2); ms += 2) {
        assert_true(ms < DEADLINE_MS);
        OK(tenon_sleep(*state, 2));
    }
    assert_answer(*state, "far", "nil", DEADLINE_MS,
                  "{:error, {:badrpc, :nodedown}}");
}

/* A BEAM's registry dies of what is none of its messages. */
static void nobody_else_sends_to_another_nodes_registry(void **state)
{
    static const uint8_t junk_bytes[] = { 106 };
    const tenon_term junk = { junk_bytes, sizeof junk_bytes };
    const tenon_dest registry = { .name = TN_REGISTRY_NAME,
                                  .node = "far@127.0.0.1" };
    const tenon_dest other = { .name = "Elixir.X3m.System.Other",
                               .node = "far@127.0.0.1" };
    tenon_value *reply = NULL;
    tenon_error err;

    assert_int_equal(tenon_send(*state, &registry, junk, &err), TENON_E_INVAL);
    assert_int_equal(tenon_send_format(*state, &registry, "{:a, 1}"),
                     TENON_E_INVAL);
    assert_int_equal(tenon_server_cast(*state, &registry, junk, &err),
                     TENON_E_INVAL);
    assert_int_equal(
        tenon_server_call(*state, &registry, junk, DEADLINE_MS, &reply, &err),
        TENON_E_INVAL);
    OK(tenon_send(*state, &other, junk, &err));
    OK(tenon_send(*state, TO(TN_REGISTRY_NAME), junk, &err));
}

static void wrong_arguments_are_refused(void **state)
{
    tenon_message *message = message_to(*state, "seen", "nil");
    tenon_message *reply = NULL;
    tenon_value *answer = NULL;

    assert_int_equal(tenon_authorized(NULL, message, 0, &answer, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_authorized(*state, NULL, 0, &answer, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_authorized(*state, message, 0, NULL, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_authorized_async(*state, message, 0, NULL, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_validate(*state, NULL, 0, &reply, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_validate_async(*state, message, 0, NULL, NULL),
                     TENON_E_INVAL);
    tenon_message_free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_halted_message_comes_back_as_it_is),
        cmocka_unit_test(a_halted_message_is_sent_when_a_timeout_is_given),
        cmocka_unit_test(validating_is_a_dispatch_as_a_dry_run),
        cmocka_unit_test(authorization_is_asked_for_without_a_call),
        cmocka_unit_test(of_those_that_cannot_be_asked_the_last_is_told),
        cmocka_unit_test(nobody_else_sends_to_another_nodes_registry),
        cmocka_unit_test(wrong_arguments_are_refused),
    };

    return cmocka_run_group_tests(tests, start, own_node_stop);
}
