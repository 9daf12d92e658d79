/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, registries and dispatches with every allocation failing in turn:
 * each ends with a code or a response, and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "otp/metrics.h"
#include "unit/otp/own_node.h"
#include "unit/support/hash_key.h"
#include "unit/support/nomem.h"
#include "x3m/message.h"
#include "x3m/services.h"

/* A reply that could not be made is waited for this long. */
#define SHORT_MS 30u
#define LONG_MS 20000u

static void echo(tenon_call *call, void *user)
{
    (void)user;
    tenon_log(call, TENON_LOG_ERROR, "echoed", "key", "value", NULL);
    tenon_reply_ok(call, "~t", tenon_call_request(call));
}

static void
choose_gone(const tenon_message *message, tenon_builder *node, void *user)
{
    (void)user;
    if (!tenon_term_is_atom(tenon_message_get(message, "dry_run"), "false")) {
        tenon_build_atom(node, "gone@127.0.0.1");
    }
}

static tenon_router *router;

static int start(void **state)
{
    tenon_node *node = own_node_start();

    OK(tn_metrics_start(node, NULL));
    router = tenon_router_new(node, "Elixir.T.Router");

    OK(tenon_router_choose_node(router, choose_gone, NULL));

    OK(tenon_service_add(router, "echo", echo,
                         &(tenon_service_options){ .flags = TENON_INLINE }));
    OK(tenon_register_services(router));
    *state = node;
    return 0;
}

static const uint8_t one_bytes[] = { 97, 1 };
static const tenon_term one = { one_bytes, sizeof one_bytes };

static void is_expected(enum tenon_err code)
{
    if (code != TENON_OK) {
        assert_int_equal(code, TENON_E_NOMEM);
        assert_true(nomem_failed());
    }
}

static void change_message(void *user)
{
    tenon_message *message = tenon_message_new(
        user, "s",
        &(tenon_message_options){ .correlation_id = "c", .raw_request = one });

    if (message == NULL) {
        assert_true(nomem_failed());
        return;
    }
    is_expected(tenon_message_assign(message, "a", one));
    is_expected(tenon_message_add_event(message, one));
    is_expected(tenon_message_add_event(message, one));
    is_expected(tenon_message_put_aggregate_meta(message, "version", one));
    is_expected(tenon_message_to_service(message, "other"));
    is_expected(tenon_message_set_dry_run(message, TENON_DRY_RUN_YES));
    is_expected(tenon_message_ok(message, "{~s, ~t}", "text", one));
    tenon_message *copy = tn_message_copy(message);

    assert_true(copy != NULL || nomem_failed());
    tenon_message_free(copy);
    tenon_message_free(message);
}

static void a_message_that_cannot_be_changed_is_as_before(void **state)
{
    assert_true(nomem_fail_each(change_message, *state) >= 10);
}

static void prepare_id(void *user)
{
    tenon_message *message = tenon_message_new(user, "s", NULL);

    if (message == NULL) {
        assert_true(nomem_failed());
        return;
    }
    enum tenon_err rc = tenon_message_prepare_aggregate_id(message, one, true);

    /* The generator of random bytes allocates as well. */
    assert_true(rc == TENON_OK || nomem_failed());
    tenon_message_free(message);
}

static void an_aggregates_id_is_generated_or_not(void **state)
{
    assert_true(nomem_fail_each(prepare_id, *state) >= 5);
}

static void fold_announcements(void *user)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };

    (void)user;
    is_expected(tn_remotes_put(&remotes, NULL, "one", "a@h", "M"));
    is_expected(tn_remotes_put(&remotes, NULL, "one", "b@h", "M"));
    is_expected(tn_remotes_put(&remotes, NULL, "two", "a@h", "M"));
    is_expected(tn_remotes_put(&remotes, NULL, "one", "a@h", "N"));
    tn_remotes_drop_node(&remotes, "b@h");
    if (!nomem_failed()) {
        assert_int_equal(remotes.offers, 2);
    }
    tn_remotes_fini(&remotes);
}

static void an_offer_that_cannot_be_kept_is_told(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(fold_announcements, NULL) >= 6);
}

static bool is_timeout(const tenon_message *reply)
{
    return tenon_match(tenon_message_get(reply, "response"),
                       "{:service_timeout, _, _, _}");
}

/* Of the messages that are dispatched. */
static tenon_term metadata;

/* Without memory a reply may be lost: that is a timeout. */
static void
dispatch_to(tenon_node *node, enum tenon_dry_run dry_run, const char *expected)
{
    tenon_message *message = tenon_message_new(
        node, "echo",
        &(tenon_message_options){ .dry_run = dry_run,
                                  .logger_metadata = metadata });
    tenon_message *reply = NULL;

    if (message == NULL) {
        assert_true(nomem_failed());
        return;
    }
    enum tenon_err rc = tenon_dispatch(node, message, SHORT_MS, &reply, NULL);

    if (rc == TENON_OK && !nomem_failed() && is_timeout(reply)) {
        /* Only slow: the machine gets all the time there is. */
        tenon_message_free(reply);
        reply = NULL;
        rc = tenon_dispatch(node, message, LONG_MS, &reply, NULL);
    }
    if (rc == TENON_OK && !nomem_failed()) {
        assert_true(
            tenon_match(tenon_message_get(reply, "response"), expected));
    }
    assert_true(rc == TENON_OK || nomem_failed());
    tenon_message_free(reply);
    tenon_message_free(message);
}

static void dispatch_once(void *user)
{
    dispatch_to(user, TENON_DRY_RUN_NO, "{:ok, nil}");
}

static void dispatch_forwarded(void *user)
{
    dispatch_to(user, TENON_DRY_RUN_YES, "{:error, {:badrpc, :nodedown}}");
}

/* Lines of messages with this metadata go to a process that is not here. */
static const char elsewhere[] =
    "[gl: ~p, request_id: \"r-1\", \"odd key\": {1, [2]}]";

static void look_at(void *user, const tenon_telemetry_event *event)
{
    (void)user;
    assert_int_equal(tenon_term_type(event->measurements), TENON_TYPE_MAP);
    assert_int_equal(tenon_term_type(event->metadata), TENON_TYPE_MAP);
}

/* Events that cannot be built are dropped, lines that cannot be sent as well. */
static void dispatch_watched(void *user)
{
    tenon_node *node = user;
    tenon_builder *metrics = tenon_builder_new();
    enum tenon_err rc =
        tenon_telemetry_attach(node, "watch", NULL, look_at, NULL);

    is_expected(rc);
    dispatch_once(node);
    if (rc == TENON_OK) {
        OK(tenon_telemetry_detach(node, "watch"));
    }
    rc = tenon_metrics(node, metrics);
    assert_true(rc == TENON_OK || nomem_failed());
    tenon_builder_free(metrics);
}

static void a_watched_dispatch_ends_whatever_cannot_be_allocated(void **state)
{
    const tenon_pid nobody = { .id = 999, .node = OWN_NAME };
    tenon_value *value = tenon_value_format(elsewhere, &nobody);

    metadata = tenon_value_term(value);
    OK(tenon_router_ensure_local_logging(router, false));
    assert_true(nomem_fail_each(dispatch_watched, *state) >= 35);
    OK(tenon_router_ensure_local_logging(router, true));
    dispatch_watched(*state);
    metadata = (tenon_term){ NULL, 0 };
    tenon_value_free(value);
}

static void a_dispatch_ends_whatever_cannot_be_allocated(void **state)
{
    assert_true(nomem_fail_each(dispatch_once, *state) >= 20);
    dispatch_once(*state);
}

static void a_forward_ends_whatever_cannot_be_allocated(void **state)
{
    assert_true(nomem_fail_each(dispatch_forwarded, *state) >= 20);
    dispatch_forwarded(*state);
}

static void ask_once(void *user)
{
    tenon_message *message = tenon_message_new(user, "echo", NULL);
    tenon_value *answer = NULL;

    if (message == NULL) {
        assert_true(nomem_failed());
        return;
    }
    enum tenon_err rc = tenon_authorized(user, message, LONG_MS, &answer, NULL);

    assert_true(rc == TENON_OK || nomem_failed());
    if (rc == TENON_OK && !nomem_failed()) {
        assert_true(tenon_term_is_atom(tenon_value_term(answer), "true"));
    }
    tenon_value_free(answer);
    tenon_message_free(message);
}

static void a_question_ends_whatever_cannot_be_allocated(void **state)
{
    assert_true(nomem_fail_each(ask_once, *state) >= 10);
    ask_once(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_cannot_be_changed_is_as_before),
        cmocka_unit_test(an_aggregates_id_is_generated_or_not),
        cmocka_unit_test(an_offer_that_cannot_be_kept_is_told),
        cmocka_unit_test(a_dispatch_ends_whatever_cannot_be_allocated),
        cmocka_unit_test(a_watched_dispatch_ends_whatever_cannot_be_allocated),
        cmocka_unit_test(a_forward_ends_whatever_cannot_be_allocated),
        cmocka_unit_test(a_question_ends_whatever_cannot_be_allocated),
    };

    return cmocka_run_group_tests(tests, start, own_node_stop);
}
