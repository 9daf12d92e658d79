/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that peers make a node keep: it is counted where it is kept, bounded,
 * and free again when what was kept is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "little_memory.h"

/* ---- messages ----------------------------------------------------------- */

static void a_small_part_of_a_large_frame_does_not_keep_it(void **state)
{
    (void)state;
    struct peer peer;
    join(&peer, "p@127.0.0.1");
    for (unsigned i = 0; i < 10; i++) {
        send_with_token(&peer, 300000, 20000);
        settle(&peer);
    }
    assert_in_range(kept(), 10 * 20000, 10 * 21000 + TN_BLOCK_BYTES);
    tn_lock(node);
    assert_in_range(box->mailbox_bytes, 10 * 20000, 10 * 21000);
    tn_unlock(node);
    drop_messages();
    leave(&peer);
}

static void a_large_part_counts_with_its_frame(void **state)
{
    (void)state;
    struct peer peer;
    join(&peer, "p@127.0.0.1");
    send_with_token(&peer, 100000, 300000);
    settle(&peer);
    tn_lock(node);
    assert_in_range(box->mailbox_bytes, 400000, 600000);
    tn_unlock(node);
    assert_in_range(kept(), 400000, 600000 + TN_BLOCK_BYTES);
    drop_messages();
    leave(&peer);
}

/* ---- exit signals ------------------------------------------------------- */

/* The last message is {:EXIT, pid, reason}. */
static void assert_last_exit(const char *reason)
{
    tenon_value *message = NULL;
    tenon_value *last = NULL;
    tenon_pid from;
    tenon_term why;
    char text[100];
    while (tenon_receive(box, 0, &message) == TENON_OK) {
        tenon_value_free(last);
        last = message;
    }
    assert_non_null(last);
    assert_true(
        tenon_match(tenon_value_term(last), "{:EXIT, ~p, ~t}", &from, &why));
    tenon_term_print(why, text, sizeof text);
    assert_string_equal(text, reason);
    tenon_value_free(last);
}

static void exit_signals_find_room_or_are_shed(void **state)
{
    (void)state;
    struct peer peer;
    uint64_t shed = stats_of(node).messages_shed;
    join(&peer, "p@127.0.0.1");
    tenon_process_trap_exit(box, true);
    for (unsigned i = 0; i < 30; i++) {
        exit_by_hand(&peer, TN_SIG_EXIT2, 500000);
    }
    assert_in_range(kept(), MEMORY_MAX / 2 - 1000000, MEMORY_MAX / 2 + 200000);
    assert_in_range(stats_of(node).messages_shed - shed, 13, 16);
    /* The end of a link is told all the same, with what there is room for. */
    send_signal(&peer, (struct tn_signal){ .kind = TN_SIG_LINK,
                                           .to = tn_process_pid(box) });
    exit_by_hand(&peer, TN_SIG_EXIT, 500000);
    assert_last_exit(":system_limit");
    assert_in_range(kept(), 0, 100000);
    exit_by_hand(&peer, TN_SIG_EXIT2, 10);
    assert_last_exit("<<0, 0, 0, 0, 0, 0, 0, 0, 0, 0>>");
    tenon_process_trap_exit(box, false);
    leave(&peer);
}

/* ---- quotas ------------------------------------------------------------- */

static void monitor_by_hand(struct peer *peer, uint32_t number)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000, .words = { number } };
    snprintf(ref.node, sizeof ref.node, "%s", peer->end.name);
    tenon_value *value = tenon_value_format("~r", &ref);
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_MONITOR,
                                          .to = tn_process_pid(box),
                                          .ref = tenon_value_term(value) });
    settle(peer);
    tenon_value_free(value);
}

static void monitors_have_a_quota_for_each_peer(void **state)
{
    (void)state;
    struct peer greedy;
    struct peer other;
    uint64_t refused = stats_of(node).quotas_reached;
    join(&greedy, "greedy@127.0.0.1");
    join(&other, "other@127.0.0.1");
    tn_account *account =
        use_up(&greedy, TN_QUOTA_MONITORS, TN_PEER_MONITORS_MAX);
    monitor_by_hand(&greedy, 1);
    assert_int_equal(greedy.of[TN_SIG_DOWN], 0);
    monitor_by_hand(&greedy, 2);
    assert_int_equal(greedy.of[TN_SIG_DOWN], 1);
    assert_string_equal(greedy.said[TN_SIG_DOWN], ":system_limit");
    monitor_by_hand(&other, 1);
    assert_int_equal(other.of[TN_SIG_DOWN], 0);
    assert_int_equal(stats_of(node).quotas_reached, refused + 1);
    leave(&greedy);
    /* What it had set is given back by its end. */
    assert_int_equal(tn_account_count(account, TN_QUOTA_MONITORS),
                     TN_PEER_MONITORS_MAX - 1);
    assert_int_equal(stats_of(node).monitors, 1);
    give_back(account, TN_QUOTA_MONITORS);
    leave(&other);
}

static uint32_t set_message_max(uint32_t max)
{
    tn_lock(node);
    uint32_t before = node->processes.message_max;
    node->processes.message_max = max;
    tn_unlock(node);
    return before;
}

static void a_call_that_is_shed_is_answered_at_once(void **state)
{
    (void)state;
    static const char call[] = "{:\"$gen_call\", {~t, ~r}, :q}";
    struct peer peer;
    struct peer other;
    join(&peer, "p@127.0.0.1");
    join(&other, "other@127.0.0.1");
    uint32_t max = set_message_max(0);
    for (uint32_t number = 1; number <= 3; number++) {
        monitor_by_hand(&peer, number);
    }
    call_by_hand(&peer, "{:\"$gen_cast\", {~t, ~r}, :q}", 1);
    call_by_hand(&peer, call, 9);
    call_by_hand(&other, call, 3);
    assert_int_equal(peer.of[TN_SIG_DOWN], 0);
    /* Of OTP 23, and later. */
    call_by_hand(&peer, call, 1);
    assert_int_equal(peer.of[TN_SIG_DOWN], 1);
    assert_string_equal(peer.said[TN_SIG_DOWN], ":system_limit");
    call_by_hand(&peer, "{:\"$gen_call\", {~t, [:alias | ~r]}, :q}", 2);
    assert_int_equal(peer.of[TN_SIG_DOWN], 2);
    assert_int_equal(other.of[TN_SIG_DOWN], 0);
    assert_int_equal(stats_of(node).monitors, 1);
    set_message_max(max);
    leave(&other);
    leave(&peer);
}

static void link_by_hand(struct peer *peer, uint32_t id)
{
    uint8_t pid[80];
    tenon_error err;
    const struct tn_signal signal = { .kind = TN_SIG_LINK,
                                      .from = make_pid(pid, peer->end.name, id,
                                                       1000),
                                      .to = tn_process_pid(box) };
    OK(tn_conn_send(peer->end.up, &signal, &err));
    settle(peer);
}

static void links_have_a_quota_for_each_peer(void **state)
{
    (void)state;
    struct peer greedy;
    struct peer other;
    join(&greedy, "greedy@127.0.0.1");
    join(&other, "other@127.0.0.1");
    tenon_process_trap_exit(box, true);
    tn_account *account = use_up(&greedy, TN_QUOTA_LINKS, TN_PEER_LINKS_MAX);
    link_by_hand(&greedy, 11);
    assert_int_equal(greedy.of[TN_SIG_EXIT], 0);
    link_by_hand(&greedy, 12);
    assert_int_equal(greedy.of[TN_SIG_EXIT], 1);
    assert_string_equal(greedy.said[TN_SIG_EXIT], ":system_limit");
    link_by_hand(&other, 11);
    assert_int_equal(other.of[TN_SIG_EXIT], 0);
    leave(&greedy);
    assert_int_equal(tn_account_count(account, TN_QUOTA_LINKS),
                     TN_PEER_LINKS_MAX - 1);
    give_back(account, TN_QUOTA_LINKS);
    leave(&other);
    drop_messages();
    tenon_process_trap_exit(box, false);
}

static void sleep_until_told(tenon_call *call, void *user)
{
    tenon_call **kept = user;
    *kept = tenon_call_keep(call);
}

static void spawn_by_hand(struct peer *peer, uint32_t number)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000, .words = { number } };
    snprintf(ref.node, sizeof ref.node, "%s", peer->end.name);
    unsigned before = peer->of[TN_SIG_SPAWN_REPLY];
    tenon_value *value = tenon_value_format("~r", &ref);
    tenon_value *mfa = tenon_value_format("{:quota, :sleep, 0}");
    tenon_value *none = tenon_value_format("[]");
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_SPAWN_REQUEST,
                                          .group_leader = peer->pid,
                                          .ref = tenon_value_term(value),
                                          .mfa = tenon_value_term(mfa),
                                          .opts = tenon_value_term(none),
                                          .payload = tenon_value_term(none) });
    RUN_UNTIL(&loop, peer->of[TN_SIG_SPAWN_REPLY] > before);
    tenon_value_free(value);
    tenon_value_free(mfa);
    tenon_value_free(none);
}

static void processes_have_a_quota_for_each_peer(void **state)
{
    (void)state;
    static tenon_call *kept;
    struct peer greedy;
    struct peer other;
    OK(tenon_function(node, "quota", "sleep", 0, sleep_until_told, &kept,
                      TENON_INLINE));
    join(&greedy, "greedy@127.0.0.1");
    join(&other, "other@127.0.0.1");
    tn_account *account =
        use_up(&greedy, TN_QUOTA_PROCESSES, TN_PEER_PROCESSES_MAX);
    spawn_by_hand(&greedy, 1);
    assert_string_not_equal(greedy.said[TN_SIG_SPAWN_REPLY], ":system_limit");
    WAIT_FOR(kept != NULL);
    tenon_call *first = kept;
    spawn_by_hand(&greedy, 2);
    assert_string_equal(greedy.said[TN_SIG_SPAWN_REPLY], ":system_limit");
    spawn_by_hand(&other, 1);
    assert_string_not_equal(other.said[TN_SIG_SPAWN_REPLY], ":system_limit");
    WAIT_FOR(kept != first);
    OK(tenon_reply(kept, ":ok"));
    tenon_call_release(kept);
    OK(tenon_reply(first, ":ok"));
    tenon_call_release(first);
    settle(&greedy);
    assert_int_equal(tn_account_count(account, TN_QUOTA_PROCESSES),
                     TN_PEER_PROCESSES_MAX - 1);
    give_back(account, TN_QUOTA_PROCESSES);
    leave(&greedy);
    leave(&other);
}

/* ---- global ------------------------------------------------------------- */

static void locks_count_and_go_with_their_peer(void **state)
{
    (void)state;
    struct peer peer;
    join(&peer, "p@127.0.0.1");
    for (uint32_t i = 1; i <= 3; i++) {
        lock_by_hand(&peer, i, 50000);
        assert_true(got_lock(&peer));
    }
    assert_in_range(kept(), 150000, 160000 + TN_BLOCK_BYTES);
    lock_by_hand(&peer, 4, TENON_GLOBAL_KEY_MAX_BYTES);
    assert_false(got_lock(&peer));
    tn_account *account =
        use_up(&peer, TN_QUOTA_LOCKS, TENON_GLOBAL_LOCKS_MAX / 4);
    lock_by_hand(&peer, 5, 10);
    assert_true(got_lock(&peer));
    lock_by_hand(&peer, 6, 10);
    assert_false(got_lock(&peer));
    leave(&peer);
    WAIT_FOR(kept() == 0);
    assert_int_equal(tn_account_count(account, TN_QUOTA_LOCKS),
                     TENON_GLOBAL_LOCKS_MAX / 4 - 4);
    give_back(account, TN_QUOTA_LOCKS);
}

/* ---- everything at once ------------------------------------------------- */

#ifndef TN_HOSTILE /* megabytes that are read byte by byte take minutes */
static void flood_box(struct peer *peer, unsigned times)
{
    tenon_value *small = zeros(500);
    const struct tn_signal message = { .kind = TN_SIG_SEND,
                                       .from = peer->pid,
                                       .to = tn_process_pid(box),
                                       .payload = tenon_value_term(small) };
    for (unsigned i = 0; i < times; i++) {
        OK(tn_conn_send(peer->end.up, &message, NULL));
    }
    settle(peer);
    tenon_value_free(small);
}

/* Sends to a peer that does not read, until no more is taken. */
static size_t send_until_full(struct peer *deaf)
{
    tenon_pid pid;
    tenon_value *part = zeros(100000);
    size_t sent = 0;
    OK(tenon_term_pid(deaf->pid, &pid));
    while (tenon_send(node, &(tenon_dest){ .pid = &pid },
                      tenon_value_term(part), NULL) == TENON_OK) {
        sent += 100000;
    }
    tenon_value_free(part);
    return sent;
}

/* What one peer takes the others do not miss, whatever it takes it for. */
static void all_kinds_together_stay_below_the_limit(void **state)
{
    (void)state;
    struct peer greedy;
    struct peer deaf;
    struct peer other;
    uint64_t shed = stats_of(node).messages_shed;
    uint64_t paused = stats_of(node).reads_paused;
    join(&greedy, "greedy@127.0.0.1");
    join(&deaf, "deaf@127.0.0.1");
    join(&other, "other@127.0.0.1");
    tenon_process_trap_exit(box, true);
    tn_conn_poll(deaf.end.up, 0);
    for (uint32_t i = 1; i <= 20; i++) {
        lock_by_hand(&greedy, i, 50000);
        exit_by_hand(&greedy, TN_SIG_EXIT2, 50000);
        settle(&other);
    }
    size_t before = kept();
    assert_in_range(before, 40 * 50000, 40 * 52000 + TN_BLOCK_BYTES);
    assert_true(send_until_full(&deaf) > 0);
    flood_box(&greedy, 14000);
    assert_true(stats_of(node).messages_shed > shed);
    assert_true(kept() > MEMORY_MAX / 2);
    begin_frame(&greedy, 1u << 20, 900000);
    RUN_UNTIL(&loop, (settle(&other), stats_of(node).reads_paused > paused));
    /* A third one still has room for what is not small. */
    send_with_token(&other, 100000, 300000);
    settle(&other);
    lock_by_hand(&other, 100, 50000);
    assert_true(got_lock(&other));
    assert_int_equal(other.end.downs, 0);
    assert_in_range(stats_of(node).memory_peak_bytes, MEMORY_MAX / 2,
                    MEMORY_MAX);
    /* With the messages gone the rest is read, and so the end seen. */
    drop_messages();
    leave(&deaf);
    leave(&greedy);
    drop_messages();
    tenon_process_trap_exit(box, false);
    leave(&other);
    WAIT_FOR(kept() == 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_part_of_a_large_frame_does_not_keep_it),
        cmocka_unit_test(a_large_part_counts_with_its_frame),
        cmocka_unit_test(exit_signals_find_room_or_are_shed),
        cmocka_unit_test(monitors_have_a_quota_for_each_peer),
        cmocka_unit_test(a_call_that_is_shed_is_answered_at_once),
        cmocka_unit_test(links_have_a_quota_for_each_peer),
        cmocka_unit_test(processes_have_a_quota_for_each_peer),
        cmocka_unit_test(locks_count_and_go_with_their_peer),
#ifndef TN_HOSTILE
        cmocka_unit_test(all_kinds_together_stay_below_the_limit),
#endif
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
