/* SPDX-License-Identifier: Apache-2.0 */
/* What peers say to the service registry, of themselves and of others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/otp/adversary.h"
#include "x3m/registry_message.h"

#define OTHER "other@127.0.0.1"
#define NOBODY "victim@127.0.0.9"

static struct adversary evil, other;

static int start(void **state)
{
    tenon_builder *out = tenon_builder_new();
    (void)state;
    start_nodes("{peer, 'evil@*', []}. {peer, 'other@*', all}.");
    OK(tenon_services(ruled, out)); /* starts the registry */
    tenon_builder_free(out);
    join_as(&evil, EVIL);
    join_as(&other, OTHER);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    end_close(&evil.end);
    end_close(&other.end);
    forget_question(&evil);
    forget_question(&other);
    stop_nodes();
    return 0;
}

static void offer(struct adversary *peer, const char *node, const char *service)
{
    tell(peer, TN_REGISTRY_NAME,
         tenon_value_format("{:register_remote_services, {~a, [{~a, :R}]}}",
                            node, service));
    settle(peer);
}

static void withdraw(struct adversary *peer, const char *node)
{
    tell(peer, TN_REGISTRY_NAME,
         tenon_value_format("{:unregister_node_services, ~a}", node));
    settle(peer);
}

/* The nodes that offer the service, printed. */
static void assert_offered(const char *service, const char *expected)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term map, nodes;
    char text[300] = "";

    OK(tenon_services(ruled, out));
    OK(tenon_builder_term(out, &map));
    if (tenon_map_get_atom(map, service, &nodes) == TENON_OK) {
        tenon_term_print(nodes, text, sizeof text);
    }
    tenon_builder_free(out);
    if (expected[0] == '\0') {
        assert_string_equal(text, expected);
    } else if (strstr(text, expected) == NULL) {
        fail_msg("%s is offered by %s", service, text);
    }
}

static void a_limited_peer_offers_for_itself_alone(void **state)
{
    (void)state;
    offer(&evil, EVIL, "mine");
    assert_offered("mine", EVIL);
    offer(&evil, OTHER, "theirs");
    offer(&evil, NOBODY, "theirs");
    assert_offered("theirs", "");
    assert_int_equal(claims(), 2);
    WAIT_FOR(has_logged("event=refused peer=" EVIL
                        " claim=\"x3m services of " OTHER "\""));
    assert_false(is_peer(ruled, NOBODY));
}

static void a_limited_peer_withdraws_its_own_offers_alone(void **state)
{
    (void)state;
    offer(&other, OTHER, "theirs");
    offer(&evil, EVIL, "mine");
    withdraw(&evil, OTHER);
    assert_offered("theirs", OTHER);
    withdraw(&evil, EVIL);
    assert_offered("mine", "");
    assert_int_equal(claims(), 1);
}

static void a_limited_peer_has_services_told_to_itself_alone(void **state)
{
    (void)state;
    settle(&other);
    unsigned before = other.of[TN_SIG_SEND_NAME];

    tell(&evil, TN_REGISTRY_NAME,
         tenon_value_format("{:introduce_local_services, ~a}", OTHER));
    settle(&evil);
    settle(&other);
    assert_int_equal(other.of[TN_SIG_SEND_NAME], before);
    assert_int_equal(claims(), 1);
}

static void a_peer_that_may_do_everything_speaks_for_others(void **state)
{
    (void)state;
    offer(&other, NOBODY, "theirs");
    assert_offered("theirs", NOBODY);
    withdraw(&other, NOBODY);
    assert_offered("theirs", "");
    assert_int_equal(claims(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_limited_peer_offers_for_itself_alone),
        TEST(a_limited_peer_withdraws_its_own_offers_alone),
        TEST(a_limited_peer_has_services_told_to_itself_alone),
        TEST(a_peer_that_may_do_everything_speaks_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
