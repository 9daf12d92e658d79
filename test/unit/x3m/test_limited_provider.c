/* SPDX-License-Identifier: Apache-2.0 */
/* A limited peer that offers a service asks for another node: that one gets the
 * caller's message, not what the peer has made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/otp/adversary.h"
#include "x3m/message.h"
#include "x3m/registry_message.h"

#define OTHER "other@127.0.0.1"
/* Providers are asked in any order: how often until it is the wanted one. */
#define TRIES 200

/* A provider by hand, and the call that it has got. */
struct provider {
    struct adversary peer;
    tenon_value *ref; /* of the spawn request; NULL: none */
    tenon_ref res;
    tenon_value *message;
};

static struct provider evil, other;
static atomic_uint ended;

static void forget_call(struct provider *provider)
{
    tenon_value_free(provider->ref);
    tenon_value_free(provider->message);
    provider->ref = provider->message = NULL;
}

static void
take_call(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct provider *provider = end->user; /* begins with the adversary */
    tenon_term message;
    record(end, conn, signal);
    if (signal->kind == TN_SIG_SPAWN_REQUEST &&
        tenon_match(signal->payload, "[~r, _, _, [~t]]", &provider->res,
                    &message)) {
        forget_call(provider);
        provider->ref = tenon_value_new(signal->ref);
        provider->message = tenon_value_new(message);
    }
}

static void offer(struct provider *provider, const char *name)
{
    join_as(&provider->peer, name);
    provider->peer.end.on_signal = take_call;
    provider->peer.end.user = provider;
    tell(&provider->peer, TN_REGISTRY_NAME,
         tenon_value_format("{:register_remote_services, {~a, [{:s, "
                            ":\"Elixir.R\"}]}}",
                            name));
    settle(&provider->peer);
}

static int start(void **state)
{
    tenon_builder *out = tenon_builder_new();
    (void)state;
    memset(&evil, 0, sizeof evil);
    memset(&other, 0, sizeof other);
    start_nodes("{peer, 'evil@*', []}. {peer, 'other@*', all}.");
    OK(tenon_services(ruled, out)); /* starts the registry */
    tenon_builder_free(out);
    offer(&evil, EVIL);
    offer(&other, OTHER);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    forget_call(&evil);
    forget_call(&other);
    end_close(&evil.peer.end);
    end_close(&other.peer.end);
    forget_question(&evil.peer);
    forget_question(&other.peer);
    stop_nodes();
    return 0;
}

/* The message with another request, and this response. */
static void reply(struct provider *by, const char *response)
{
    tenon_error err = { 0 };
    tenon_message *message =
        tenon_message_from_term(ruled, tenon_value_term(by->message), &err);
    tenon_value *changed = tenon_value_format(":changed");
    tenon_value *value = tenon_value_format(response);
    tenon_builder *out = tenon_builder_new();
    tenon_term term, to;
    assert_non_null(message);
    OK(tn_message_set(message, TN_FIELD_RAW_REQUEST,
                      tenon_value_term(changed)));
    OK(tn_message_set(message, TN_FIELD_RESPONSE, tenon_value_term(value)));
    tn_message_build(message, out);
    OK(tenon_builder_term(out, &term));
    OK(tenon_map_get_atom(tenon_value_term(by->message), "reply_to", &to));
    send_signal(&by->peer, (struct tn_signal){ .kind = TN_SIG_SEND,
                                               .from = by->peer.pid,
                                               .to = to,
                                               .payload = term });
    tenon_builder_free(out);
    tenon_value_free(value);
    tenon_value_free(changed);
    tenon_message_free(message);
}

/* The call has been taken: the reply is a message. */
static void answer(struct provider *by, const char *response)
{
    struct tn_signal signal = { .kind = TN_SIG_SPAWN_REPLY,
                                .to = tn_process_pid(ruled->client),
                                .ref = tenon_value_term(by->ref),
                                .flags = TN_SPAWN_MONITOR,
                                .payload = by->peer.pid };
    tenon_value *value = tenon_value_format("{~r, :return, :ok}", &by->res);
    send_signal(&by->peer, signal);
    signal.kind = TN_SIG_DOWN;
    signal.from = by->peer.pid;
    signal.payload = tenon_value_term(value);
    send_signal(&by->peer, signal);
    tenon_value_free(value);
    reply(by, response);
}

static void note_end(void *user, enum tenon_err code, tenon_message *reply)
{
    (void)user;
    (void)code;
    tenon_message_free(reply);
    atomic_fetch_add(&ended, 1);
}

/* The first that is asked; both are without a call before. */
static struct provider *dispatch(void)
{
    tenon_message *message = tenon_message_new(ruled, "s", NULL);
    forget_call(&evil);
    forget_call(&other);
    atomic_store(&ended, 0);
    OK(tenon_dispatch_async(ruled, message, TENON_NO_TIMEOUT, note_end, NULL));
    tenon_message_free(message);
    RUN_UNTIL(&loop, evil.message != NULL || other.message != NULL);
    return evil.message != NULL ? &evil : &other;
}

/* What the second gets when the first asks for another node. */
static void assert_request_is(struct provider *first,
                              struct provider *second,
                              const char *expected)
{
    char text[100];
    tenon_term request;
    unsigned tries = 0;
    while (dispatch() != first) {
        assert_true(++tries < TRIES);
        answer(second, "{:ok, 1}");
        WAIT_FOR(atomic_load(&ended) == 1);
    }
    answer(first, "{:error, {:try_another_node, :busy}}");
    RUN_UNTIL(&loop, second->message != NULL);
    OK(tenon_map_get_atom(tenon_value_term(second->message), "raw_request",
                          &request));
    tenon_term_print(request, text, sizeof text);
    assert_string_equal(text, expected);
    answer(second, "{:ok, 1}");
    WAIT_FOR(atomic_load(&ended) == 1);
}

static void the_next_node_gets_the_callers_message(void **state)
{
    (void)state;
    assert_request_is(&evil, &other, "nil");
    assert_request_is(&other, &evil, ":changed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_next_node_gets_the_callers_message,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
