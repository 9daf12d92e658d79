/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that peers make a node keep: it is counted where it is kept, bounded,
 * and free again when what was kept is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dist/conn_impl.h"
#include "dist/flags.h"
#include "nodes.h"
#include "term/build.h"
#include "unit/support/ends.h"

#define MEMORY_MAX (16u * 1024u * 1024u)

static uv_loop_t loop;
static tenon_node *node;
static tenon_process *box; /* on the node, registered as "box" */

/* ---- peers -------------------------------------------------------------- */

struct peer {
    struct end end;
    unsigned of[TN_SIG_KINDS];    /* signals that came */
    char said[TN_SIG_KINDS][100]; /* the last payload of each */
    uint8_t pid_bytes[80];
    tenon_term pid;
};

static void
count(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct peer *peer = end->user;
    (void)conn;
    peer->of[signal->kind]++;
    tenon_term_print(signal->payload, peer->said[signal->kind],
                     sizeof peer->said[0]);
}

static void join(struct peer *peer, const char *name)
{
    struct end to = { .port = tenon_node_port(node) };
    uint32_t before = stats_of(node).peers;
    memset(peer, 0, sizeof *peer);
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(node));
    /* A visible one would have to be a member of global. */
    end_open(&peer->end, &loop, name,
             &(struct tn_dist_config){ .flags = TN_FLAGS_OURS_HIDDEN });
    peer->end.on_signal = count;
    peer->end.user = peer;
    peer->pid = make_pid(peer->pid_bytes, name, 1, 1000);
    end_connect(&peer->end, &to);
    RUN_UNTIL(&loop, peer->end.ups == 1);
    WAIT_FOR(stats_of(node).peers > before);
}

static void leave(struct peer *peer)
{
    uint32_t before = stats_of(node).peers;
    end_close(&peer->end);
    WAIT_FOR(stats_of(node).peers < before);
}

static void send_signal(struct peer *peer, struct tn_signal signal)
{
    tenon_error err = { 0 };
    signal.from = peer->pid;
    if (tn_conn_send(peer->end.up, &signal, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tn_conn_flush(peer->end.up);
}

/* Everything that was sent before has been handled when this returns. */
static void settle(struct peer *peer)
{
    unsigned before = peer->of[TN_SIG_UNLINK_ACK];
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_UNLINK,
                                          .to = tn_process_pid(box),
                                          .id = 77 });
    RUN_UNTIL(&loop, peer->of[TN_SIG_UNLINK_ACK] > before);
}

static int start_node(void **state)
{
    tenon_error err = { 0 };
    char name[64];
    (void)state;
    new_name(name, "known");
    tenon_node_config config = config_of(name, &err);
    config.no_connect_all = true;
    config.memory_max_bytes = MEMORY_MAX;
    node = tenon_node_start(&config);
    if (node == NULL) {
        fail_msg("%s", err.text);
    }
    node->stop_workers_ms = DEADLINE_MS;
    box = new_box(node, "box");
    return uv_loop_init(&loop);
}

static int stop_node(void **state)
{
    (void)state;
    assert_int_equal(stats_of(node).memory_bytes, 0);
    end_box(box);
    tenon_node_stop(node);
    return uv_loop_close(&loop);
}

static size_t kept(void)
{
    return (size_t)stats_of(node).memory_bytes;
}

static void drop_messages(void)
{
    tenon_value *message;
    while (tenon_receive(box, 0, &message) == TENON_OK) {
        tenon_value_free(message);
    }
}

/* ---- messages ----------------------------------------------------------- */

/* A frame of a message whose control part bears a trace token, written as it
 * is: {12, '', box, token} and the message. */
static void
send_with_token(struct peer *peer, size_t token_len, size_t message_len)
{
    static const uint8_t zeros[1000000];
    struct tenon_builder control;
    struct tenon_builder message;
    tenon_term parts[2];
    uint8_t head[] = { 0, 0, 0, 0, TN_FRAME_PASS_THROUGH };
    uint8_t version = 131;
    tn_builder_init(&control, TENON_TERM_MAX_BYTES);
    tn_builder_init(&message, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&control, 4);
    tenon_build_int(&control, 12);
    tenon_build_atom(&control, "");
    tenon_build_term(&control, tn_process_pid(box));
    tenon_build_binary(&control, zeros, token_len);
    tenon_build_binary(&message, zeros, message_len);
    OK(tenon_builder_term(&control, &parts[0]));
    OK(tenon_builder_term(&message, &parts[1]));
    size_t len = 1 + 2 + parts[0].len + parts[1].len;
    for (unsigned i = 0; i < 4; i++) {
        head[i] = (uint8_t)(len >> (8 * (3 - i)));
    }
    OK(tn_out_first(peer->end.up, head, sizeof head));
    for (unsigned i = 0; i < 2; i++) {
        OK(tn_out_first(peer->end.up, &version, 1));
        OK(tn_out_first(peer->end.up, parts[i].bytes, parts[i].len));
    }
    tn_conn_flush(peer->end.up);
    tn_builder_fini(&control);
    tn_builder_fini(&message);
}

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

static tenon_value *zeros(size_t len)
{
    static const uint8_t bytes[1000000];
    tenon_value *value = tenon_value_format("~b", bytes, len);
    assert_non_null(value);
    return value;
}

static void
exit_by_hand(struct peer *peer, enum tn_signal_kind kind, size_t len)
{
    tenon_value *reason = zeros(len);
    send_signal(peer,
                (struct tn_signal){ .kind = kind,
                                    .to = tn_process_pid(box),
                                    .payload = tenon_value_term(reason) });
    tenon_value_free(reason);
    settle(peer);
}

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

/* All but one that a peer may have. */
static tn_account *use_up(struct peer *peer, enum tn_quota kind, uint32_t max)
{
    tn_account *account = tn_account_of(node->budget, peer->end.name);
    assert_non_null(account);
    while (tn_account_count(account, kind) < max - 1) {
        assert_true(tn_account_take(account, kind, max));
    }
    return account;
}

static void give_back(tn_account *account, enum tn_quota kind)
{
    while (tn_account_count(account, kind) > 0) {
        tn_account_give_back(account, kind);
    }
    tn_account_unref(account);
}

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

/* call: a pattern of the peer's pid and of its reference of that number. */
static void call_by_hand(struct peer *peer, const char *call, uint32_t number)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000, .words = { number } };
    snprintf(ref.node, sizeof ref.node, "%s", peer->end.name);
    tenon_value *message = tenon_value_format(call, peer->pid, &ref);
    assert_non_null(message);
    send_signal(peer,
                (struct tn_signal){ .kind = TN_SIG_SEND,
                                    .to = tn_process_pid(box),
                                    .payload = tenon_value_term(message) });
    settle(peer);
    tenon_value_free(message);
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

/* Asks for a lock whose id is of that size, and awaits the answer. */
static void lock_by_hand(struct peer *peer, uint32_t number, size_t len)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000, .words = { number } };
    uint8_t name[40];
    unsigned before = peer->of[TN_SIG_SEND];
    tenon_value *id = zeros(len);
    snprintf(ref.node, sizeof ref.node, "%s", peer->end.name);
    tenon_value *call = tenon_value_format(
        "{:\"$gen_call\", {~t, ~r}, {:set_lock, {{~u, ~t}, ~t}}}", peer->pid,
        &ref, (uint64_t)number, tenon_value_term(id), peer->pid);
    assert_non_null(call);
    send_signal(peer,
                (struct tn_signal){ .kind = TN_SIG_SEND_NAME,
                                    .to = make_atom(name, "global_name_server"),
                                    .payload = tenon_value_term(call) });
    RUN_UNTIL(&loop, peer->of[TN_SIG_SEND] > before);
    tenon_value_free(id);
    tenon_value_free(call);
}

static bool got_lock(const struct peer *peer)
{
    return strstr(peer->said[TN_SIG_SEND], ", true}") != NULL;
}

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

/* The head of a frame, and less than the frame. */
static void begin_frame(struct peer *peer, size_t len, size_t part)
{
    static const uint8_t rest[1u << 20];
    uint8_t head[] = { 0, 0, 0, 0, TN_FRAME_PASS_THROUGH };
    for (unsigned i = 0; i < 4; i++) {
        head[i] = (uint8_t)(len >> (8 * (3 - i)));
    }
    OK(tn_out_first(peer->end.up, head, sizeof head));
    OK(tn_out_first(peer->end.up, rest, part));
    tn_conn_flush(peer->end.up);
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
