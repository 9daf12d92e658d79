/* SPDX-License-Identifier: Apache-2.0 */
/* Small inputs that once had a node keep a hundred times as much: what its
 * account says now. Sizes are those of reports, divided by what makes them a
 * test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "little_memory.h"

#define LARGE 1000000u /* the largest that is sent at a time */

#ifdef TN_HOSTILE /* bytes are read one by one */
#define TIMES(n) ((n) / 10)
#else
#define TIMES(n) (n)
#endif

/* 40 messages of 16 KiB, each with a trace token of 30 MB, kept 1.1 GB. */
static void forty_messages_keep_what_they_are(void **state)
{
    (void)state;
    struct peer peer;
    size_t all = TIMES(40) * 16384;
    join(&peer, "p@127.0.0.1");
    for (unsigned i = 0; i < TIMES(40); i++) {
        send_with_token(&peer, 300000, 16384);
        settle(&peer);
    }
    assert_in_range(kept(), all, all + TIMES(40) * 1000 + TN_BLOCK_BYTES);
    drop_messages();
    leave(&peer);
}

static tenon_process *serve(void (*on_call)(tenon_call *, void *))
{
    tenon_error err = { 0 };
    tenon_process *server =
        tenon_server_start(node, &(tenon_server_config){ .name = "served",
                                                         .on_call = on_call,
                                                         .trap_exit = true,
                                                         .err = &err });
    if (server == NULL) {
        fail_msg("%s", err.text);
    }
    return server;
}

static void end_server(tenon_process *server)
{
    OK(tenon_process_exit(server, ":shutdown"));
    tenon_process_release(server);
}

static void sys_by_hand(struct peer *peer, const char *request)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000, .words = { 5 } };
    uint8_t name[40];
    unsigned before = peer->of[TN_SIG_SEND];
    snprintf(ref.node, sizeof ref.node, "%s", peer->end.name);
    tenon_value *message = tenon_value_format(request, peer->pid, &ref);
    send_signal(peer,
                (struct tn_signal){ .kind = TN_SIG_SEND_NAME,
                                    .to = make_atom(name, "served"),
                                    .payload = tenon_value_term(message) });
    RUN_UNTIL(&loop, peer->of[TN_SIG_SEND] > before);
    tenon_value_free(message);
}

/* False: there is no room for all that was sent, and so it is not read. */
static bool is_read(struct peer *peer, uint64_t paused)
{
    unsigned before = peer->of[TN_SIG_UNLINK_ACK];
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_UNLINK,
                                          .to = tn_process_pid(box),
                                          .id = 77 });
    RUN_UNTIL(&loop, peer->of[TN_SIG_UNLINK_ACK] > before ||
                         stats_of(node).reads_paused > paused);
    return peer->of[TN_SIG_UNLINK_ACK] > before;
}

/* 300 exit signals of 1 MB to a suspended server kept 300 MB. */
static void exit_signals_to_a_suspended_server_keep_its_peers_part(void **state)
{
    (void)state;
    struct peer peer;
    struct peer other;
    tenon_process *server = serve(NULL);
    tenon_value *reason = zeros(LARGE);
    const struct tn_signal exit = { .kind = TN_SIG_EXIT2,
                                    .to = tn_process_pid(server),
                                    .payload = tenon_value_term(reason) };
    uint64_t paused = stats_of(node).reads_paused;
    unsigned sent = 0;
    join(&peer, "p@127.0.0.1");
    join(&other, "other@127.0.0.1");
    sys_by_hand(&peer, "{:system, {~t, ~r}, :suspend}");
    do {
        send_signal(&peer, exit);
        sent++;
    } while (is_read(&peer, paused));
    assert_in_range(sent, 3, MEMORY_MAX / 2 / LARGE + 2);
    assert_in_range(kept(), 2 * LARGE, MEMORY_MAX / 2 + TN_BLOCK_BYTES);
    settle(&other);
    tenon_value_free(reason);
    end_server(server);
    leave(&peer);
    leave(&other);
    WAIT_FOR(kept() == 0);
}

/* 30 locks of 20 MB kept 600 MB. */
static void thirty_large_locks_keep_nothing(void **state)
{
    (void)state;
    struct peer peer;
    join(&peer, "p@127.0.0.1");
    for (uint32_t i = 0; i < TIMES(30); i++) {
        lock_by_hand(&peer, i, LARGE);
        assert_false(got_lock(&peer));
    }
    settle(&peer);
    assert_in_range(kept(), 0, TN_BLOCK_BYTES);
    leave(&peer);
}

/* 20 unfinished frames of 40 MB kept 809 MB. */
static void unfinished_frames_leave_room_for_others(void **state)
{
    (void)state;
    static struct peer peers[20];
    struct peer other;
    char name[40];
    uint64_t paused = stats_of(node).reads_paused;
    for (unsigned i = 0; i < TIMES(20); i++) {
        snprintf(name, sizeof name, "p%u@127.0.0.1", i);
        join(&peers[i], name);
    }
    join(&other, "other@127.0.0.1");
    for (unsigned i = 0; i < TIMES(20); i++) {
        begin_frame(&peers[i], 40u << 20, 1u << 20);
        settle(&other);
    }
    RUN_UNTIL(&loop, (settle(&other),
                      stats_of(node).reads_paused > paused || TIMES(20) < 20));
    /* Each connection may read a little in any case. */
    assert_in_range(stats_of(node).memory_peak_bytes, 0,
                    MEMORY_MAX + 21 * TN_BLOCK_BYTES);
    for (unsigned i = 0; i < TIMES(20); i++) {
        end_close(&peers[i].end);
    }
    WAIT_FOR(stats_of(node).peers == 1);
    leave(&other);
    WAIT_FOR(kept() == 0);
}

/* ---- calls --------------------------------------------------------------- */

#define CALLS 5

/* Calls that are answered later. Guarded by the server's turns, then, when
 * nothing comes any more, read by the test. */
static tenon_call *calls[CALLS];
static atomic_uint call_count;

static void keep_call(tenon_call *call, void *state)
{
    (void)state;
    unsigned n = atomic_load(&call_count);
    assert_true(n < CALLS);
    calls[n] = tenon_call_keep(call);
    atomic_store(&call_count, n + 1);
}

static void answer_calls(void)
{
    for (unsigned i = 0; i < atomic_load(&call_count); i++) {
        OK(tenon_reply(calls[i], ":ok"));
        tenon_call_release(calls[i]);
    }
    atomic_store(&call_count, 0);
}

static void send_large_call(struct peer *peer, uint32_t number)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000, .words = { number } };
    uint8_t name[40];
    tenon_value *large = zeros(LARGE / 2);
    snprintf(ref.node, sizeof ref.node, "%s", peer->end.name);
    tenon_value *call =
        tenon_value_format("{:\"$gen_call\", {~t, ~r}, ~t}", peer->pid, &ref,
                           tenon_value_term(large));
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_SEND_NAME,
                                          .to = make_atom(name, "served"),
                                          .payload = tenon_value_term(call) });
    tenon_value_free(call);
    tenon_value_free(large);
    settle(peer);
}

static void calls_that_are_answered_later_count_until_then(void **state)
{
    (void)state;
    struct peer peer;
    const size_t all = CALLS * (LARGE / 2);
    tenon_process *server = serve(keep_call);
    join(&peer, "p@127.0.0.1");
    for (uint32_t i = 1; i <= CALLS; i++) {
        send_large_call(&peer, i);
        WAIT_FOR(atomic_load(&call_count) == i);
    }
    WAIT_FOR(kept() <= all + CALLS * 1000 + TN_BLOCK_BYTES);
    assert_true(kept() >= all);
    /* They are the program's when the peer has gone. */
    leave(&peer);
    assert_true(kept() >= all);
    answer_calls();
    WAIT_FOR(kept() == 0);
    end_server(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forty_messages_keep_what_they_are),
        cmocka_unit_test(
            exit_signals_to_a_suspended_server_keep_its_peers_part),
        cmocka_unit_test(thirty_large_locks_keep_nothing),
        cmocka_unit_test(unfinished_frames_leave_room_for_others),
        cmocka_unit_test(calls_that_are_answered_later_count_until_then),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
