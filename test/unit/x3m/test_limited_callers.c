/* SPDX-License-Identifier: Apache-2.0 */
/* A limited peer that asks for services: those of its rule are served, answers
 * and lines of the log go to processes of connected nodes alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/otp/adversary.h"
#include "x3m/message.h"

#define NOBODY "victim@127.0.0.9"
#define ROUTER "Elixir.R"
#define RULES "{peer, 'evil@*', [{services, [granted]}]}."

static struct adversary evil;
static tenon_router *router;
static atomic_uint runs;

static void serve(tenon_call *call, void *user)
{
    (void)user;
    tenon_log(call, TENON_LOG_INFO, "served", NULL);
    atomic_fetch_add(&runs, 1);
    tenon_reply_ok(call, "1");
}

static int start(void **state)
{
    (void)state;
    atomic_store(&runs, 0);
    start_nodes(RULES);
    router = tenon_router_new(ruled, ROUTER);
    assert_non_null(router);
    OK(tenon_service(router, "granted", serve, NULL));
    OK(tenon_service(router, "kept", serve, NULL));
    OK(tenon_router_ensure_local_logging(router, false));
    OK(tenon_register_services(router));
    join_as(&evil, EVIL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    end_close(&evil.end);
    forget_question(&evil);
    stop_nodes();
    return 0;
}

/* Has the function of the router called with a message. reply_to, leader: of
 * the message. What rpc answers, printed. */
static const char *call_with(const char *function,
                             const char *service,
                             tenon_term reply_to,
                             tenon_term leader)
{
    tenon_message *message = tenon_message_new(ruled, service, NULL);
    tenon_value *metadata = tenon_value_format("[gl: ~t]", leader);
    tenon_builder *out = tenon_builder_new();
    tenon_term term;
    assert_non_null(message);
    OK(tn_message_set(message, TN_FIELD_REPLY_TO, reply_to));
    OK(tn_message_set(message, TN_FIELD_LOGGER_METADATA,
                      tenon_value_term(metadata)));
    tn_message_build(message, out);
    OK(tenon_builder_term(out, &term));
    const char *answer =
        ask(&evil, "rex",
            tenon_value_format("{:call, ~a, ~a, [~t], ~t}", ROUTER, function,
                               term, evil.pid));
    tenon_builder_free(out);
    tenon_value_free(metadata);
    tenon_message_free(message);
    return answer;
}

static void a_service_that_is_not_granted_is_forbidden(void **state)
{
    (void)state;
    assert_string_equal(call_with("kept", "kept", evil.pid, evil.pid), ":ok");
    assert_int_equal(stats_of(ruled).services_refused, 1);
    assert_string_equal(call_with("authorized?", "kept", evil.pid, evil.pid),
                        "false");
    assert_int_equal(stats_of(ruled).services_refused, 2);
    assert_int_equal(atomic_load(&runs), 0);
    assert_string_equal(call_with("authorized?", "granted", evil.pid, evil.pid),
                        "true");
    assert_string_equal(call_with("granted", "granted", evil.pid, evil.pid),
                        ":ok");
    WAIT_FOR(atomic_load(&runs) == 1);
    assert_int_equal(stats_of(ruled).services_refused, 2);
}

static void nobody_is_called_for_an_answer_or_a_line(void **state)
{
    tenon_value *nobody = pid_at(NOBODY, 1);
    (void)state;
    assert_non_null(strstr(
        call_with("granted", "granted", tenon_value_term(nobody), evil.pid),
        ":not_allowed"));
    assert_int_equal(stats_of(ruled).names_refused, 1);
    assert_int_equal(atomic_load(&runs), 0);
    assert_string_equal(
        call_with("granted", "granted", evil.pid, tenon_value_term(nobody)),
        ":ok");
    WAIT_FOR(atomic_load(&runs) == 1);
    assert_int_equal(stats_of(ruled).names_refused, 2);
    assert_false(is_peer(ruled, NOBODY));
    tenon_value_free(nobody);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_that_is_not_granted_is_forbidden),
        TEST(nobody_is_called_for_an_answer_or_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
