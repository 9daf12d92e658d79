/* SPDX-License-Identifier: Apache-2.0 */
/* Whose reply counts for a dispatch: the provider's that was called, and that of
 * any node which no rule limits, for a provider may pass a message on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/otp/adversary.h"
#include "x3m/attempt.h"
#include "x3m/message.h"

#define OTHER "other@127.0.0.1"
#define OWNER "owner@127.0.0.1"

/* The call that a provider by hand has got. */
struct provider {
    struct adversary peer;
    tenon_value *ref; /* of the spawn request */
    tenon_ref res;
    tenon_value *message;
    tenon_value *reply_to;
};

static struct provider other;
static struct adversary evil, owner;

static struct ended {
    atomic_uint count;
    enum tn_attempt_ended how;
    bool on_loop;
    char response[100];
} ended;

static void note_end(void *user, const struct tn_attempt_end *end)
{
    (void)user;
    ended.how = end->how;
    ended.on_loop = tn_on_loop(ruled);
    if (end->reply != NULL) {
        tenon_term_print(tenon_message_get(end->reply, "response"),
                         ended.response, sizeof ended.response);
    }
    tenon_message_free(end->reply);
    atomic_fetch_add(&ended.count, 1);
}

static void
take_call(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct provider *provider = end->user; /* begins with the adversary */
    tenon_term message, reply_to;
    record(end, conn, signal);
    if (signal->kind == TN_SIG_SPAWN_REQUEST &&
        tenon_match(signal->payload, "[~r, _, _, [~t]]", &provider->res,
                    &message)) {
        assert_int_equal(tenon_map_get_atom(message, "reply_to", &reply_to),
                         TENON_OK);
        provider->ref = tenon_value_new(signal->ref);
        provider->message = tenon_value_new(message);
        provider->reply_to = tenon_value_new(reply_to);
    }
}

static int start(void **state)
{
    (void)state;
    memset(&other, 0, sizeof other);
    memset(&ended, 0, sizeof ended);
    start_nodes("{peer, 'evil@*', []}. {peer, 'o*', all}.");
    join_as(&other.peer, OTHER);
    join_as(&owner, OWNER);
    join_as(&evil, EVIL);
    other.peer.end.on_signal = take_call;
    other.peer.end.user = &other;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tenon_value_free(other.ref);
    tenon_value_free(other.message);
    tenon_value_free(other.reply_to);
    end_close(&other.peer.end);
    end_close(&evil.end);
    end_close(&owner.end);
    forget_question(&evil);
    forget_question(&owner);
    forget_question(&other.peer);
    stop_nodes();
    return 0;
}

static void dispatch_to(const char *node)
{
    tenon_error err = { 0 };
    tenon_message *message = tenon_message_new(ruled, "s", NULL);
    assert_non_null(message);
    const struct tn_attempt_spec spec = { .message = message,
                                          .node = node,
                                          .module = "Elixir.R",
                                          .timeout_ms = TENON_NO_TIMEOUT,
                                          .fn = note_end };
    if (tn_attempt_start(tn_x3m_get(ruled), &spec, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tenon_message_free(message);
    RUN_UNTIL(&loop, other.message != NULL);
}

/* The message itself, with a response. */
static void reply(struct adversary *by, const char *response)
{
    tenon_error err = { 0 };
    tenon_message *message =
        tenon_message_from_term(ruled, tenon_value_term(other.message), &err);
    tenon_value *value = tenon_value_format("~s", response);
    tenon_builder *out = tenon_builder_new();
    tenon_term term;
    assert_non_null(message);
    OK(tn_message_set(message, TN_FIELD_RESPONSE, tenon_value_term(value)));
    tn_message_build(message, out);
    OK(tenon_builder_term(out, &term));
    send_signal(by, (struct tn_signal){ .kind = TN_SIG_SEND,
                                        .from = by->pid,
                                        .to = tenon_value_term(other.reply_to),
                                        .payload = term });
    tenon_builder_free(out);
    tenon_value_free(value);
    tenon_message_free(message);
}

/* The call returns :ok; the reply is still to come. */
static void return_ok(void)
{
    struct tn_signal signal = { .kind = TN_SIG_SPAWN_REPLY,
                                .to = tn_process_pid(ruled->client),
                                .ref = tenon_value_term(other.ref),
                                .flags = TN_SPAWN_MONITOR,
                                .payload = other.peer.pid };
    tenon_value *value = tenon_value_format("{~r, :return, :ok}", &other.res);
    send_signal(&other.peer, signal);
    signal.kind = TN_SIG_DOWN;
    signal.from = other.peer.pid;
    signal.payload = tenon_value_term(value);
    send_signal(&other.peer, signal);
    settle(&other.peer);
    tenon_value_free(value);
}

static void a_limited_peer_replies_for_nobody_else(void **state)
{
    (void)state;
    dispatch_to(OTHER);
    reply(&evil, "forged");
    settle(&evil);
    return_ok();
    reply(&evil, "forged");
    settle(&evil);
    assert_int_equal(atomic_load(&ended.count), 0);
    assert_int_equal(claims(), 2);
    reply(&owner, "owned");
    WAIT_FOR(atomic_load(&ended.count) == 1);
    assert_int_equal(ended.how, TN_ATTEMPT_REPLY);
    assert_string_equal(ended.response, "\"owned\"");
}

static void nobody_ends_the_wait_for_a_reply(void **state)
{
    (void)state;
    dispatch_to(OTHER);
    send_signal(&evil,
                (struct tn_signal){ .kind = TN_SIG_EXIT2,
                                    .from = evil.pid,
                                    .to = tenon_value_term(other.reply_to),
                                    .payload = tn_atom_kill });
    settle(&evil);
    assert_int_equal(atomic_load(&ended.count), 0);
    reply(&owner, "owned");
    return_ok();
    WAIT_FOR(atomic_load(&ended.count) == 1);
    assert_int_equal(ended.how, TN_ATTEMPT_REPLY);
    assert_string_equal(ended.response, "\"owned\"");
}

static void a_large_reply_is_read_by_a_worker(void **state)
{
    size_t len = TN_LARGE_MESSAGE_BYTES;
    char *response = malloc(len + 1);
    (void)state;
    assert_non_null(response);
    memset(response, 'a', len);
    response[len] = '\0';
    dispatch_to(OTHER);
    return_ok();
    reply(&other.peer, response);
    RUN_UNTIL(&loop, atomic_load(&ended.count) == 1);
    assert_int_equal(ended.how, TN_ATTEMPT_REPLY);
    assert_false(ended.on_loop);
    free(response);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_limited_peer_replies_for_nobody_else),
        TEST(nobody_ends_the_wait_for_a_reply),
        TEST(a_large_reply_is_read_by_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
