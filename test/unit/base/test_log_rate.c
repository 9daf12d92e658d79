/* SPDX-License-Identifier: Apache-2.0 */
/* How many lines of one event one peer may cause, and all together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/log_rate.h"

static const struct tn_sip_key secret = { 1, 2 };

static int start(void **state)
{
    *state = tn_log_rate_new(&secret);
    return *state == NULL ? -1 : 0;
}

static int stop(void **state)
{
    tn_log_rate_free(*state);
    return 0;
}

/* Of `count` lines at that time, how many are written; *left_out: what they
 * say was left out before. */
static unsigned take(tn_log_rate *rate,
                     const char *event,
                     const char *peer,
                     unsigned count,
                     uint64_t now_ms,
                     uint64_t *left_out)
{
    unsigned written = 0;

    *left_out = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t more = 0;

        if (tn_log_rate_take(rate, event, peer, now_ms, &more)) {
            written++;
            *left_out += more;
        }
    }
    return written;
}

static void a_peer_has_ten_lines_and_then_one_a_second(void **state)
{
    uint64_t left_out;

    assert_int_equal(take(*state, "refused", "a@h", 100, 5000, &left_out), 10);
    assert_int_equal(left_out, 0);
    assert_int_equal(take(*state, "refused", "a@h", 5, 5999, &left_out), 0);
    assert_int_equal(take(*state, "refused", "a@h", 5, 6000, &left_out), 1);
    assert_int_equal(left_out, 95);
    assert_int_equal(take(*state, "refused", "a@h", 5, 60000, &left_out), 5);
    assert_int_equal(left_out, 4);
    assert_int_equal(tn_log_rate_left_out(*state), 99);
}

static void other_peers_and_events_have_their_own(void **state)
{
    uint64_t left_out;

    assert_int_equal(take(*state, "refused", "a@h", 11, 0, &left_out), 10);
    assert_int_equal(take(*state, "refused", "b@h", 11, 0, &left_out), 10);
    assert_int_equal(take(*state, "dropped", "a@h", 11, 0, &left_out), 10);
    assert_int_equal(take(*state, "refused", "a@fe80::1", 10, 0, &left_out),
                     10);
    assert_int_equal(take(*state, "refused", "a@fe80::2", 10, 0, &left_out),
                     10);
    assert_int_equal(take(*state, "dropped", NULL, 200, 0, &left_out), 100);
}

static void the_port_of_an_address_makes_no_other_peer(void **state)
{
    uint64_t left_out;

    assert_int_equal(take(*state, "refused", "10.0.0.1:70", 6, 0, &left_out),
                     6);
    assert_int_equal(take(*state, "refused", "10.0.0.1:71", 6, 0, &left_out),
                     4);
    assert_int_equal(take(*state, "refused", "[::1]:70", 6, 0, &left_out), 6);
    assert_int_equal(take(*state, "refused", "[::1]:71", 6, 0, &left_out), 4);
}

static unsigned take_of_many(tn_log_rate *rate,
                             const char *event,
                             unsigned peers,
                             uint64_t now_ms,
                             uint64_t *left)
{
    unsigned written = 0;

    for (unsigned i = 0; i < peers; i++) {
        char name[32];
        uint64_t more;

        snprintf(name, sizeof name, "n%u@h", i);
        written += take(rate, event, name, 1, now_ms, &more);
        *left += more;
    }
    return written;
}

static void a_cluster_is_told_whole_and_names_without_end_are_not(void **state)
{
    uint64_t left_out = 0;

    assert_int_equal(take_of_many(*state, "peer_up", 1000, 0, &left_out), 1000);
    assert_int_equal(take_of_many(*state, "peer_up", 4000, 1000, &left_out),
                     20);
    assert_int_equal(left_out, 0);
    assert_int_equal(take(*state, "peer_up", "x@h", 1, 2000, &left_out), 1);
    assert_int_equal(left_out, 3980);
    assert_int_equal(tn_log_rate_left_out(*state), 3980);
}

static void what_is_left_out_is_said_though_its_peer_is_forgotten(void **state)
{
    uint64_t left_out;

    assert_int_equal(take(*state, "peer_up", "x@h", 17, 0, &left_out), 10);
    left_out = 0;
    take_of_many(*state, "peer_up", 16 * TN_LOG_RATE_PEERS, 3600000, &left_out);
    assert_in_range(left_out, 7, UINT64_MAX);
}

static void what_other_nodes_log_has_more_lines(void **state)
{
    uint64_t left_out;

    assert_int_equal(take(*state, "remote_log", "a@h", 1000, 0, &left_out),
                     100);
    assert_int_equal(take(*state, "remote_log", "a@h", 1000, 1000, &left_out),
                     20);
    assert_int_equal(take_of_many(*state, "remote_log", 2000, 1000, &left_out),
                     980);
    assert_int_equal(take_of_many(*state, "remote_log", 2000, 2000, &left_out),
                     200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_peer_has_ten_lines_and_then_one_a_second, start, stop),
        cmocka_unit_test_setup_teardown(other_peers_and_events_have_their_own,
                                        start, stop),
        cmocka_unit_test_setup_teardown(
            the_port_of_an_address_makes_no_other_peer, start, stop),
        cmocka_unit_test_setup_teardown(
            a_cluster_is_told_whole_and_names_without_end_are_not, start, stop),
        cmocka_unit_test_setup_teardown(
            what_is_left_out_is_said_though_its_peer_is_forgotten, start, stop),
        cmocka_unit_test_setup_teardown(what_other_nodes_log_has_more_lines,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
