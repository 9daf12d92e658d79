/* SPDX-License-Identifier: Apache-2.0 */
/* A node whose peers break the rules, or stretch them: signals by hand over
 * real connections. Everybody who waits is answered, once; nobody else
 * notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dist/flags.h"
#include "nodes.h"
#include "unit/support/ends.h"

/* Less than a node keeps for a peer by itself, before and after it is up. */
#define OUTPUT_MAX (4u << 20)

static uv_loop_t loop;
static tenon_node *node;
static tenon_process *box; /* on the node, registered as "box" */

/* ---- peers -------------------------------------------------------------- */

/* What a peer got, the last of each kind. Numbers count. */
struct got {
    unsigned of[TN_SIG_KINDS];
    char reason[TN_SIG_KINDS][100];
    uint32_t flags;
    uint64_t id;
    tenon_value *spawned; /* pid of the last spawn reply */
    tenon_value *asked;   /* reference of the last spawn request */
};

struct peer {
    struct end end;
    struct got got;
    uint8_t pid_bytes[80];
    tenon_term pid;
};

static void
record(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct got *got = end->user;
    (void)conn;
    got->of[signal->kind]++;
    if (signal->payload.len < 1000) {
        tenon_term_print(signal->payload, got->reason[signal->kind],
                         sizeof got->reason[0]);
    }
    got->flags = signal->flags;
    got->id = signal->id;
    if (signal->kind == TN_SIG_SPAWN_REPLY) {
        tenon_value_free(got->spawned);
        got->spawned = tenon_value_new(signal->payload);
    } else if (signal->kind == TN_SIG_SPAWN_REQUEST) {
        tenon_value_free(got->asked);
        got->asked = tenon_value_new(signal->ref);
    }
}

static bool is_up(const char *name)
{
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    bool up = peer != NULL && peer->state == TN_PEER_UP;
    tn_unlock(node);
    return up;
}

static void join(struct peer *peer, const char *name)
{
    struct end to = { .port = tenon_node_port(node) };
    memset(peer, 0, sizeof *peer);
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(node));
    end_open(&peer->end, &loop, name, NULL);
    peer->end.replace = true;
    peer->end.on_signal = record;
    peer->end.user = &peer->got;
    peer->pid = make_pid(peer->pid_bytes, name, 1, 1000);
    end_connect(&peer->end, &to);
    RUN_UNTIL(&loop, peer->end.ups == 1);
    /* The peer may know before the node that it is up. */
    WAIT_FOR(is_up(name));
}

static void leave(struct peer *peer)
{
    end_close(&peer->end);
    tenon_value_free(peer->got.spawned);
    tenon_value_free(peer->got.asked);
}

static void send_signal(struct peer *peer, struct tn_signal signal)
{
    tenon_error err = { 0 };
    if (tn_conn_send(peer->end.up, &signal, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tn_conn_flush(peer->end.up);
}

/* Everything that was sent before has been handled when this returns: frames
 * of one connection are handled in order. */
static void settle(struct peer *peer)
{
    unsigned before = peer->got.of[TN_SIG_UNLINK_ACK];
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_UNLINK,
                                          .from = peer->pid,
                                          .to = tn_process_pid(box),
                                          .id = 77 });
    RUN_UNTIL(&loop, peer->got.of[TN_SIG_UNLINK_ACK] > before);
}

static tenon_value *ref_of(const char *name, uint32_t number)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000 };
    ref.words[0] = number;
    snprintf(ref.node, sizeof ref.node, "%s", name);
    tenon_value *value = tenon_value_format("~r", &ref);
    assert_non_null(value);
    return value;
}

static int start_node(void **state)
{
    (void)state;
    node = known_node_with(NULL, OUTPUT_MAX);
    box = new_box(node, "box");
    return uv_loop_init(&loop);
}

static int stop_node(void **state)
{
    (void)state;
    end_box(box);
    tenon_node_stop(node);
    return uv_loop_close(&loop);
}

static int nothing_is_left(void **state)
{
    (void)state;
    WAIT_FOR(stats_of(node).peers == 0);
    assert_int_equal(stats_of(node).monitors, 0);
    assert_int_equal(stats_of(node).links, 0);
    assert_int_equal(stats_of(node).pending_calls, 0);
    return 0;
}

/* ---- monitors ----------------------------------------------------------- */

static void monitor_by_hand(struct peer *peer, tenon_term to, tenon_value *ref)
{
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_MONITOR,
                                          .from = peer->pid,
                                          .to = to,
                                          .ref = tenon_value_term(ref) });
}

static void a_reference_that_is_used_twice_is_answered_once(void **state)
{
    (void)state;
    struct peer peer;
    join(&peer, "p@127.0.0.1");
    tenon_process *target = new_box(node, NULL);
    tenon_value *ref = ref_of("p@127.0.0.1", 1);
    monitor_by_hand(&peer, tn_process_pid(target), ref);
    monitor_by_hand(&peer, tn_process_pid(target), ref);
    monitor_by_hand(&peer, tn_process_pid(box), ref);
    settle(&peer);
    assert_int_equal(stats_of(node).monitors, 1);
    end_box(target);
    RUN_UNTIL(&loop, peer.got.of[TN_SIG_DOWN] == 1);
    assert_string_equal(peer.got.reason[TN_SIG_DOWN], ":normal");
    settle(&peer);
    assert_int_equal(peer.got.of[TN_SIG_DOWN], 1);
    tenon_value_free(ref);
    leave(&peer);
}

static void what_does_not_exist_is_answered_at_once(void **state)
{
    (void)state;
    struct peer peer;
    uint8_t name[20];
    uint8_t pid[80];
    join(&peer, "p@127.0.0.1");
    tenon_value *ref = ref_of("p@127.0.0.1", 1);
    monitor_by_hand(&peer, make_atom(name, "nobody"), ref);
    settle(&peer);
    assert_int_equal(peer.got.of[TN_SIG_DOWN], 1);
    monitor_by_hand(&peer, make_pid(pid, tenon_node_name(node), 9999, 1), ref);
    settle(&peer);
    assert_int_equal(peer.got.of[TN_SIG_DOWN], 2);
    assert_string_equal(peer.got.reason[TN_SIG_DOWN], ":noproc");
    send_signal(&peer,
                (struct tn_signal){
                    .kind = TN_SIG_LINK,
                    .from = peer.pid,
                    .to = make_pid(pid, tenon_node_name(node), 9999, 1) });
    settle(&peer);
    assert_int_equal(peer.got.of[TN_SIG_EXIT], 1);
    assert_string_equal(peer.got.reason[TN_SIG_EXIT], ":noproc");
    tenon_value_free(ref);
    leave(&peer);
}

/* The answer would have to come from a process of that node, for which a BEAM
 * node ends the connection. */
/* By the node: an answer in another's name would make the peer close it. */
static void must_be_closed(struct peer *peer)
{
    RUN_UNTIL(&loop, peer->end.downs == 1);
    assert_int_equal(peer->end.why.code, TENON_E_CLOSED);
    for (unsigned kind = 0; kind < TN_SIG_KINDS; kind++) {
        assert_int_equal(peer->got.of[kind], 0);
    }
}

static void
a_link_to_a_process_of_another_node_ends_the_connection(void **state)
{
    (void)state;
    struct peer peer;
    uint8_t pid[80];
    join(&peer, "p@127.0.0.1");
    send_signal(&peer, (struct tn_signal){
                           .kind = TN_SIG_LINK,
                           .from = peer.pid,
                           .to = make_pid(pid, "q@127.0.0.1", 1, 1000) });
    must_be_closed(&peer);
    leave(&peer);
}

/* Processes that trap exits would take them for signals of that node. */
static void signals_in_the_name_of_another_node_end_the_connection(void **state)
{
    static const enum tn_signal_kind kinds[] = {
        TN_SIG_LINK,  TN_SIG_UNLINK,  TN_SIG_UNLINK_ACK, TN_SIG_EXIT,
        TN_SIG_EXIT2, TN_SIG_MONITOR, TN_SIG_DEMONITOR,  TN_SIG_SPAWN_REQUEST,
    };
    (void)state;
    tenon_value *ref = ref_of("p@127.0.0.1", 1);
    tenon_value *mfa = tenon_value_format("{:m, :f, 0}");
    tenon_value *empty = tenon_value_format("[]");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct peer peer;
        uint8_t pid[80];
        bool spawns = kinds[i] == TN_SIG_SPAWN_REQUEST;
        join(&peer, "p@127.0.0.1");
        send_signal(&peer, (struct tn_signal){
                               .kind = kinds[i],
                               .from = make_pid(pid, "q@127.0.0.1", 1, 1000),
                               .to = tn_process_pid(box),
                               .ref = tenon_value_term(ref),
                               .id = 1,
                               .group_leader = peer.pid,
                               .mfa = tenon_value_term(mfa),
                               .opts = tenon_value_term(empty),
                               .payload = spawns ? tenon_value_term(empty)
                                                 : tn_atom_killed,
                           });
        must_be_closed(&peer);
        leave(&peer);
        WAIT_FOR(stats_of(node).peers == 0);
    }
    assert_no_message(box);
    tenon_value_free(empty);
    tenon_value_free(mfa);
    tenon_value_free(ref);
}

static void a_peer_cannot_end_the_monitor_of_another_peer(void **state)
{
    (void)state;
    struct peer owner;
    struct peer thief;
    join(&owner, "owner@127.0.0.1");
    join(&thief, "thief@127.0.0.1");
    tenon_process *target = new_box(node, NULL);
    tenon_value *ref = ref_of("owner@127.0.0.1", 5);
    monitor_by_hand(&owner, tn_process_pid(target), ref);
    settle(&owner);
    send_signal(&thief, (struct tn_signal){ .kind = TN_SIG_DEMONITOR,
                                            .from = thief.pid,
                                            .to = tn_process_pid(target),
                                            .ref = tenon_value_term(ref) });
    settle(&thief);
    assert_int_equal(stats_of(node).monitors, 1);
    end_box(target);
    RUN_UNTIL(&loop, owner.got.of[TN_SIG_DOWN] == 1);
    tenon_value_free(ref);
    leave(&owner);
    leave(&thief);
}

static void a_peer_ends_only_monitors_of_its_own_processes(void **state)
{
    (void)state;
    struct peer owner;
    struct peer liar;
    tenon_pid pid = { .id = 1, .creation = 1000, .node = "owner@127.0.0.1" };
    tenon_ref ref;
    join(&owner, "owner@127.0.0.1");
    join(&liar, "liar@127.0.0.1");
    OK(tenon_monitor(box, &(tenon_dest){ .pid = &pid }, &ref));
    tenon_value *ref_term = tenon_value_format("~r", &ref);
    struct tn_signal down = { .kind = TN_SIG_DOWN,
                              .from = liar.pid,
                              .to = tn_process_pid(box),
                              .ref = tenon_value_term(ref_term),
                              .payload = tn_atom_killed };
    send_signal(&liar, down);
    settle(&liar);
    assert_no_message(box);
    down.from = owner.pid;
    down.payload = tn_atom_normal;
    send_signal(&owner, down);
    send_signal(&owner, down);
    settle(&owner);
    assert_next_down(box, &ref, ":normal");
    assert_no_message(box);
    tenon_value_free(ref_term);
    leave(&owner);
    leave(&liar);
}

/* ---- links -------------------------------------------------------------- */

static void link_signals_about_no_link_change_nothing(void **state)
{
    (void)state;
    struct peer peer;
    join(&peer, "p@127.0.0.1");
    struct tn_signal signal = { .kind = TN_SIG_EXIT,
                                .from = peer.pid,
                                .to = tn_process_pid(box),
                                .payload = tn_atom_killed };
    send_signal(&peer, signal); /* not linked: must not end it */
    signal = (struct tn_signal){ .kind = TN_SIG_UNLINK_ACK,
                                 .from = peer.pid,
                                 .to = tn_process_pid(box),
                                 .id = 12345 };
    send_signal(&peer, signal);
    signal.kind = TN_SIG_UNLINK;
    signal.id = 4711;
    send_signal(&peer, signal); /* acknowledged all the same */
    RUN_UNTIL(&loop, peer.got.of[TN_SIG_UNLINK_ACK] == 1);
    assert_int_equal(peer.got.id, 4711);
    settle(&peer);
    tn_lock(node);
    assert_false(box->exited);
    tn_unlock(node);
    leave(&peer);
}

static void a_wrong_acknowledgement_leaves_the_link_waiting(void **state)
{
    (void)state;
    struct peer peer;
    tenon_pid pid = { .id = 1, .creation = 1000, .node = "p@127.0.0.1" };
    join(&peer, "p@127.0.0.1");
    OK(tenon_link(box, &pid));
    RUN_UNTIL(&loop, peer.got.of[TN_SIG_LINK] == 1);
    tenon_unlink(box, &pid);
    RUN_UNTIL(&loop, peer.got.of[TN_SIG_UNLINK] == 1);
    uint64_t id = peer.got.id;
    struct tn_signal ack = { .kind = TN_SIG_UNLINK_ACK,
                             .from = peer.pid,
                             .to = tn_process_pid(box),
                             .id = id + 1 };
    send_signal(&peer, ack);
    settle(&peer);
    assert_int_equal(stats_of(node).links, 1);
    /* An exit that crossed the unlink is of a link no more. */
    send_signal(&peer, (struct tn_signal){ .kind = TN_SIG_EXIT,
                                           .from = peer.pid,
                                           .to = tn_process_pid(box),
                                           .payload = tn_atom_killed });
    ack.id = id;
    send_signal(&peer, ack);
    send_signal(&peer, ack);
    settle(&peer);
    assert_int_equal(stats_of(node).links, 0);
    assert_no_message(box);
    leave(&peer);
}

#ifdef TN_HOSTILE /* each byte is read by itself */
#define MANY_LINKS 2000u
#else
#define MANY_LINKS 50000u
#endif

static void many_links_to_one_process_cost_no_search(void **state)
{
    (void)state;
    struct peer peer;
    uint8_t bytes[80];
    join(&peer, "p@127.0.0.1");
    tenon_process *hub = new_box(node, NULL);
    struct tn_signal link = { .kind = TN_SIG_LINK, .to = tn_process_pid(hub) };
    for (uint32_t i = 1; i <= MANY_LINKS; i++) {
        link.from = make_pid(bytes, "p@127.0.0.1", i, 1000);
        send_signal(&peer, link);
        if (i % 1000 == 0) {
            settle(&peer);
        }
    }
    assert_int_equal(stats_of(node).links, MANY_LINKS);
    OK(tenon_process_exit(hub, ":done"));
    RUN_UNTIL(&loop, peer.got.of[TN_SIG_EXIT] == MANY_LINKS);
    tenon_process_release(hub);
    leave(&peer);
}

/* ---- spawns ------------------------------------------------------------- */

static void spawn_by_hand(struct peer *peer,
                          const char *mfa,
                          const char *opts,
                          const char *args,
                          uint32_t number)
{
    tenon_value *ref = ref_of(peer->end.name, number);
    tenon_value *values[] = { tenon_value_format(mfa), tenon_value_format(opts),
                              tenon_value_format(args) };
    send_signal(peer, (struct tn_signal){
                          .kind = TN_SIG_SPAWN_REQUEST,
                          .from = peer->pid,
                          .ref = tenon_value_term(ref),
                          .group_leader = peer->pid,
                          .mfa = tenon_value_term(values[0]),
                          .opts = tenon_value_term(values[1]),
                          .payload = tenon_value_term(values[2]),
                      });
    settle(peer);
    for (size_t i = 0; i < 3; i++) {
        tenon_value_free(values[i]);
    }
    tenon_value_free(ref);
}

static void each_spawn_request_is_answered(void **state)
{
    (void)state;
    struct peer peer;
    struct got *got = &peer.got;
    join(&peer, "p@127.0.0.1");
    spawn_by_hand(&peer, "{:m, :f, 0}", "[:odd]", "[]", 1);
    assert_string_equal(got->reason[TN_SIG_SPAWN_REPLY], ":badopt");
    spawn_by_hand(&peer, "{:m, :f, 0}", "[:link | :x]", "[]", 2);
    assert_string_equal(got->reason[TN_SIG_SPAWN_REPLY], ":badopt");
    spawn_by_hand(&peer, "{:m, :f, 1}", "[]", "[]", 3);
    assert_string_equal(got->reason[TN_SIG_SPAWN_REPLY], ":badarg");
    spawn_by_hand(&peer, "{:m, :f, 1}", "[]", "[1 | 2]", 4);
    assert_string_equal(got->reason[TN_SIG_SPAWN_REPLY], ":badarg");
    assert_int_equal(got->of[TN_SIG_SPAWN_REPLY], 4);
    spawn_by_hand(&peer, "{:m, :f, 0}", "[:link, :monitor, {:priority, :high}]",
                  "[]", 5);
    assert_int_equal(tenon_term_type(tenon_value_term(got->spawned)),
                     TENON_TYPE_PID);
    assert_int_equal(got->of[TN_SIG_SPAWN_REPLY], 5);
    assert_int_equal(got->of[TN_SIG_EXIT], 1);
    assert_int_equal(got->of[TN_SIG_DOWN], 1);
    assert_string_equal(got->reason[TN_SIG_DOWN],
                        "{:undef, [{:m, :f, [], []}]}");
    spawn_by_hand(&peer, "{:m, :f, 0}", "[]", "[]", 6);
    assert_int_equal(got->of[TN_SIG_SPAWN_REPLY], 6);
    assert_int_equal(got->of[TN_SIG_DOWN], 1);
    leave(&peer);
}

/* ---- limits -------------------------------------------------------------- */

static void set_counts(uint32_t monitors, uint32_t links)
{
    tn_lock(node);
    node->monitors.monitor_count = monitors;
    node->monitors.link_count = links;
    tn_unlock(node);
}

static void at_the_limit_everybody_is_answered(void **state)
{
    (void)state;
    struct peer peer;
    struct got *got = &peer.got;
    tenon_pid pid = pid_of(box);
    tenon_pid theirs = { .id = 1, .creation = 1000, .node = "p@127.0.0.1" };
    tenon_ref ref;
    join(&peer, "p@127.0.0.1");
    tenon_value *number = ref_of("p@127.0.0.1", 1);
    set_counts(TN_MONITORS_MAX, TN_LINKS_MAX);
    monitor_by_hand(&peer, tn_process_pid(box), number);
    settle(&peer);
    assert_int_equal(got->of[TN_SIG_DOWN], 1);
    assert_string_equal(got->reason[TN_SIG_DOWN], ":system_limit");
    send_signal(&peer, (struct tn_signal){ .kind = TN_SIG_LINK,
                                           .from = peer.pid,
                                           .to = tn_process_pid(box) });
    settle(&peer);
    assert_int_equal(got->of[TN_SIG_EXIT], 1);
    assert_string_equal(got->reason[TN_SIG_EXIT], ":system_limit");
    spawn_by_hand(&peer, "{:m, :f, 0}", "[:monitor]", "[]", 2);
    spawn_by_hand(&peer, "{:m, :f, 0}", "[:link]", "[]", 3);
    assert_int_equal(got->of[TN_SIG_SPAWN_REPLY], 2);
    assert_string_equal(got->reason[TN_SIG_SPAWN_REPLY], ":system_limit");
    assert_int_equal(tenon_monitor(box, &(tenon_dest){ .pid = &pid }, &ref),
                     TENON_E_LIMIT);
    assert_int_equal(tenon_monitor(box, &(tenon_dest){ .pid = &theirs }, &ref),
                     TENON_E_LIMIT);
    assert_int_equal(tenon_link(box, &theirs), TENON_E_LIMIT);
    set_counts(0, 0);
    tenon_value_free(number);
    leave(&peer);
}

static void a_spawn_beyond_the_last_process_is_refused(void **state)
{
    (void)state;
    static tenon_process *all[TENON_PROCESSES_MAX];
    struct peer peer;
    size_t count = 0;
    join(&peer, "p@127.0.0.1");
    while ((all[count] = tenon_mailbox_new(node, NULL, NULL)) != NULL) {
        count++;
    }
    spawn_by_hand(&peer, "{:m, :f, 0}", "[:monitor]", "[]", 1);
    assert_string_equal(peer.got.reason[TN_SIG_SPAWN_REPLY], ":system_limit");
    assert_int_equal(peer.got.of[TN_SIG_DOWN], 0);
    while (count > 0) {
        end_box(all[--count]);
    }
    spawn_by_hand(&peer, "{:m, :f, 0}", "[:monitor]", "[]", 2);
    assert_int_equal(peer.got.of[TN_SIG_DOWN], 1);
    leave(&peer);
}

/* ---- requests of ours --------------------------------------------------- */

struct ended {
    atomic_uint count;
    enum tn_request_end end;
    char term[100];
};

static void note_end(void *user, enum tn_request_end end, tenon_term term)
{
    struct ended *ended = user;
    ended->end = end;
    tenon_term_print(term, ended->term, sizeof ended->term);
    atomic_fetch_add(&ended->count, 1);
}

/* The reference of the only request that is pending, as an owned value. */
static tenon_value *pending_ref(void)
{
    tn_lock(node);
    assert_non_null(node->requests.table);
    tenon_value *ref = tenon_value_new(node->requests.table->ref);
    tn_unlock(node);
    return ref;
}

static void a_spawn_reply_counts_from_its_own_peer_and_once(void **state)
{
    (void)state;
    struct peer asked;
    struct peer liar;
    struct ended ended = { 0 };
    join(&asked, "asked@127.0.0.1");
    join(&liar, "liar@127.0.0.1");
    tenon_value *args = tenon_value_format("[]");
    OK(tn_request_spawn(node, "asked@127.0.0.1", "m", "f",
                        tenon_value_term(args), TENON_NO_TIMEOUT, note_end,
                        &ended, NULL));
    tenon_value *ref = pending_ref();
    struct tn_signal reply = { .kind = TN_SIG_SPAWN_REPLY,
                               .to = tn_process_pid(node->client),
                               .ref = tenon_value_term(ref),
                               .payload = tn_atom_badopt };
    send_signal(&liar, reply);
    settle(&liar);
    assert_int_equal(ended.count, 0);
    reply.flags = TN_SPAWN_MONITOR;
    reply.payload = asked.pid;
    send_signal(&asked, reply);
    send_signal(&asked, reply);
    reply.payload = liar.pid;
    send_signal(&asked, reply);
    settle(&asked);
    assert_int_equal(ended.count, 0);
    struct tn_signal down = { .kind = TN_SIG_DOWN,
                              .from = asked.pid,
                              .to = tn_process_pid(node->client),
                              .ref = tenon_value_term(ref),
                              .payload = tn_atom_normal };
    send_signal(&liar, (struct tn_signal){ .kind = TN_SIG_DOWN,
                                           .from = liar.pid,
                                           .to = down.to,
                                           .ref = down.ref,
                                           .payload = tn_atom_killed });
    settle(&liar);
    assert_int_equal(ended.count, 0);
    send_signal(&asked, down);
    send_signal(&asked, down);
    settle(&asked);
    assert_int_equal(ended.count, 1);
    assert_int_equal(ended.end, TN_END_DOWN);
    assert_string_equal(ended.term, ":normal");
    tenon_value_free(ref);
    tenon_value_free(args);
    leave(&asked);
    leave(&liar);
}

/* The request has been given up before its reply came: the peer is not left
 * watching the process that it has spawned. */
static void what_is_spawned_too_late_is_not_watched(void **state)
{
    (void)state;
    struct peer asked;
    struct ended ended = { 0 };
    join(&asked, "asked@127.0.0.1");
    tenon_value *args = tenon_value_format("[]");
    OK(tn_request_spawn(node, "asked@127.0.0.1", "m", "f",
                        tenon_value_term(args), 1, note_end, &ended, NULL));
    RUN_UNTIL(&loop, asked.got.of[TN_SIG_SPAWN_REQUEST] == 1 &&
                         atomic_load(&ended.count) == 1);
    assert_int_equal(ended.end, TN_END_TIMEOUT);
    struct tn_signal reply = { .kind = TN_SIG_SPAWN_REPLY,
                               .to = tn_process_pid(node->client),
                               .ref = tenon_value_term(asked.got.asked),
                               .payload = tn_atom_badopt };
    send_signal(&asked, reply);
    reply.payload = asked.pid;
    send_signal(&asked, reply);
    settle(&asked);
    assert_int_equal(asked.got.of[TN_SIG_DEMONITOR], 0);
    reply.flags = TN_SPAWN_MONITOR;
    send_signal(&asked, reply);
    settle(&asked);
    assert_int_equal(asked.got.of[TN_SIG_DEMONITOR], 1);
    assert_int_equal(ended.count, 1);
    tenon_value_free(args);
    leave(&asked);
}

/* A server may leave the reply to a process of another node. */
static void an_alias_reply_may_come_from_any_node(void **state)
{
    (void)state;
    struct peer asked;
    struct peer helper;
    struct ended ended = { 0 };
    join(&asked, "asked@127.0.0.1");
    join(&helper, "helper@127.0.0.1");
    OK(tn_request_server(
        node, &(tenon_dest){ .name = "s", .node = "asked@127.0.0.1" },
        tn_atom_ok, TENON_NO_TIMEOUT, note_end, &ended, NULL));
    RUN_UNTIL(&loop, asked.got.of[TN_SIG_SEND_NAME] == 1);
    assert_int_equal(asked.got.of[TN_SIG_MONITOR], 1);
    tenon_value *ref = pending_ref();
    tenon_value *odd = tenon_value_format("{1, 2, 3}");
    tenon_value *reply =
        tenon_value_format("{[:alias | ~t], :done}", tenon_value_term(ref));
    struct tn_signal signal = { .kind = TN_SIG_SEND_ALIAS,
                                .from = helper.pid,
                                .to = tenon_value_term(ref),
                                .payload = tenon_value_term(odd) };
    send_signal(&helper, signal);
    settle(&helper);
    assert_int_equal(ended.count, 0);
    signal.payload = tenon_value_term(reply);
    send_signal(&helper, signal);
    send_signal(&helper, signal);
    settle(&helper);
    assert_int_equal(ended.count, 1);
    assert_int_equal(ended.end, TN_END_REPLY);
    assert_string_equal(ended.term, ":done");
    RUN_UNTIL(&loop, asked.got.of[TN_SIG_DEMONITOR] == 1);
    tenon_value_free(ref);
    tenon_value_free(odd);
    tenon_value_free(reply);
    leave(&asked);
    leave(&helper);
}

/* ---- messages ----------------------------------------------------------- */

#ifndef TN_HOSTILE /* megabytes that are read byte by byte take minutes */
static void a_flood_of_one_name_leaves_the_others_alone(void **state)
{
    (void)state;
    static uint8_t bytes[20000];
    struct peer peer;
    uint8_t name[20];
    uint64_t shed = stats_of(node).messages_shed;
    join(&peer, "p@127.0.0.1");
    tenon_process *flooded = new_box(node, "flooded");
    tenon_value *big = tenon_value_format("~b", bytes, sizeof bytes);
    struct tn_signal message = { .kind = TN_SIG_SEND_NAME,
                                 .from = peer.pid,
                                 .to = make_atom(name, "flooded"),
                                 .payload = tenon_value_term(big) };
    /* More than the 64 MiB that one mailbox takes. */
    for (unsigned i = 0; i < 4000; i++) {
        send_signal(&peer, message);
        if (i % 100 == 0) {
            settle(&peer);
        }
    }
    settle(&peer);
    assert_true(stats_of(node).messages_shed > shed);
    tn_lock(node);
    assert_true(flooded->mailbox_bytes <= 64u * 1024u * 1024u);
    tn_unlock(node);
    message.to = make_atom(name, "box");
    message.payload = tn_atom_ok;
    send_signal(&peer, message);
    assert_next(box, ":ok");
    end_box(flooded);
    tenon_value_free(big);
    leave(&peer);
}
#endif

static void messages_to_nothing_are_counted(void **state)
{
    (void)state;
    struct peer peer;
    uint8_t name[20];
    uint8_t pid[80];
    uint64_t before = stats_of(node).messages_to_nobody;
    join(&peer, "p@127.0.0.1");
    struct tn_signal message = { .kind = TN_SIG_SEND_NAME,
                                 .from = peer.pid,
                                 .to = make_atom(name, "nobody"),
                                 .payload = tn_atom_ok };
    send_signal(&peer, message);
    message.kind = TN_SIG_SEND;
    message.to = make_pid(pid, tenon_node_name(node), 31000, 1);
    send_signal(&peer, message);
    message.to = make_pid(pid, "other@127.0.0.1", 1, 1);
    send_signal(&peer, message);
    settle(&peer);
    assert_int_equal(stats_of(node).messages_to_nobody, before + 3);
    leave(&peer);
}

/* ---- connections -------------------------------------------------------- */

static void a_peer_that_comes_again_replaces_itself(void **state)
{
    (void)state;
    struct peer old;
    struct peer new;
    tenon_pid pid = { .id = 1, .creation = 1000, .node = "again@127.0.0.1" };
    tenon_ref ref;
    join(&old, "again@127.0.0.1");
    OK(tenon_monitor(box, &(tenon_dest){ .pid = &pid }, &ref));
    OK(tenon_link(box, &pid));
    tenon_process_trap_exit(box, true);
    RUN_UNTIL(&loop, old.got.of[TN_SIG_LINK] == 1);
    join(&new, "again@127.0.0.1");
    assert_int_equal(new.end.alives, 1);
    assert_next_exit(box, &pid, ":noconnection");
    assert_next_down(box, &ref, ":noconnection");
    RUN_UNTIL(&loop, old.end.downs == 1);
    assert_int_equal(stats_of(node).peers, 1);
    settle(&new);
    tenon_process_trap_exit(box, false);
    leave(&old);
    leave(&new);
}

/* A socket that accepts and says nothing, known to epmd under a name. */
struct silent {
    int fd;
    int accepted;
    tn_epmd *epmd;
    char name[64];
};

static void silent_open(struct silent *silent, const char *prefix)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof at;
    struct tn_name name;
    tenon_error err = { 0 };
    silent->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(silent->fd >= 0);
    assert_int_equal(bind(silent->fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(silent->fd, 4), 0);
    assert_int_equal(getsockname(silent->fd, (struct sockaddr *)&at, &len), 0);
    new_name(silent->name, prefix);
    OK(tn_name_make(silent->name, false, &name, &err));
    OK(tn_epmd_register(&loop, &name, NODES_COOKIE, 1000, ntohs(at.sin_port),
                        DEADLINE_MS, NULL, &silent->epmd, &err));
}

/* Waits until the node has called, and leaves it waiting for an answer. */
static void silent_is_called(struct silent *silent)
{
    OK(tenon_send_format(
        node, &(tenon_dest){ .name = "x", .node = silent->name }, "1"));
    silent->accepted = accept(silent->fd, NULL, NULL);
    assert_true(silent->accepted >= 0);
}

static void silent_close(struct silent *silent)
{
    tn_epmd_free(silent->epmd);
    close(silent->accepted);
    close(silent->fd);
    while (uv_run(&loop, UV_RUN_NOWAIT) != 0) {
    }
}

/* A peer that epmd knows, without some flags; the node calls it. */
static void open_known(struct peer *peer, uint64_t lacking, tn_epmd **epmd)
{
    struct tn_dist_config config = { .flags = TN_FLAGS_OURS & ~lacking };
    struct tn_name name;
    char text[64];
    memset(peer, 0, sizeof *peer);
    new_name(text, "able");
    OK(tn_name_make(text, false, &name, NULL));
    end_open(&peer->end, &loop, text, &config);
    peer->end.on_signal = record;
    peer->end.user = &peer->got;
    peer->pid = make_pid(peer->pid_bytes, text, 1, 1000);
    OK(tn_epmd_register(&loop, &name, NODES_COOKIE, 1000, peer->end.port,
                        DEADLINE_MS, NULL, epmd, NULL));
}

static void close_known(struct peer *peer, tn_epmd *epmd)
{
    tn_epmd_free(epmd);
    leave(peer);
}

static void a_spawn_is_refused_for_a_node_that_cannot(void **state)
{
    (void)state;
    struct peer peer;
    tn_epmd *epmd;
    struct ended ended = { 0 };
    open_known(&peer, TN_FLAG(SPAWN), &epmd);
    tenon_value *args = tenon_value_format("[]");
    /* Before the node knows what the peer can do, and after. */
    OK(tn_request_spawn(node, peer.end.name, "m", "f", tenon_value_term(args),
                        TENON_NO_TIMEOUT, note_end, &ended, NULL));
    RUN_UNTIL(&loop, atomic_load(&ended.count) == 1);
    assert_int_equal(ended.end, TN_END_REFUSED);
    assert_string_equal(ended.term, ":notsup");
    assert_int_equal(tn_request_spawn(node, peer.end.name, "m", "f",
                                      tenon_value_term(args), 0, note_end,
                                      &ended, NULL),
                     TENON_E_NOTSUP);
    assert_int_equal(ended.count, 1);
    assert_int_equal(peer.got.of[TN_SIG_SPAWN_REQUEST], 0);
    tenon_value_free(args);
    close_known(&peer, epmd);
}

static void
a_node_without_monitors_is_called_and_watched_as_a_whole(void **state)
{
    (void)state;
    struct peer peer;
    tn_epmd *epmd;
    struct ended ended[2] = { { 0 }, { 0 } };
    tenon_ref refs[2];
    open_known(&peer, TN_FLAG(DIST_MONITOR), &epmd);
    tenon_dest to = { .name = "x", .node = peer.end.name };
    for (size_t i = 0; i < 2; i++) {
        OK(tenon_monitor(box, &to, &refs[i]));
        OK(tn_request_server(node, &to, tn_atom_ok, TENON_NO_TIMEOUT, note_end,
                             &ended[i], NULL));
        RUN_UNTIL(&loop, peer.got.of[TN_SIG_SEND_NAME] == i + 1);
    }
    assert_int_equal(peer.got.of[TN_SIG_MONITOR], 0);
    OK(tenon_node_disconnect(node, peer.end.name));
    for (size_t i = 0; i < 2; i++) {
        tenon_value *message = next_message(box);
        assert_true(tenon_match(tenon_value_term(message),
                                "{:DOWN, _, :process, _, :noconnection}"));
        tenon_value_free(message);
        WAIT_FOR(atomic_load(&ended[i].count) == 1);
        assert_int_equal(ended[i].end, TN_END_NODEDOWN);
    }
    close_known(&peer, epmd);
}

static void only_so_much_waits_for_a_handshake(void **state)
{
    (void)state;
    static uint8_t bytes[1u << 20];
    struct silent silent;
    tenon_ref ref;
    silent_open(&silent, "zz");
    silent_is_called(&silent);
    tenon_dest to = { .name = "x", .node = silent.name };
    unsigned sent = 0;
    while (tenon_send_format(node, &to, "~b", bytes, sizeof bytes) ==
           TENON_OK) {
        sent++;
    }
    assert_int_equal(sent, OUTPUT_MAX / sizeof bytes);
    assert_int_equal(tenon_send_format(node, &to, "~b", bytes, sizeof bytes),
                     TENON_E_QUEUE_FULL);
    /* What somebody waits for has room of its own. */
    OK(tenon_monitor(box, &to, &ref));
    OK(tenon_node_disconnect(node, silent.name));
    assert_next_down(box, &ref, ":noconnection");
    silent_close(&silent);
}

#ifndef TN_HOSTILE /* megabytes that are read byte by byte take minutes */
static void a_peer_that_does_not_read_is_sent_no_more(void **state)
{
    (void)state;
    static uint8_t bytes[1u << 20];
    struct peer peer;
    tenon_dest to = { .name = "x", .node = "p@127.0.0.1" };
    uint64_t refused = stats_of(node).sends_refused;
    unsigned sent = 0;
    join(&peer, "p@127.0.0.1");
    while (tenon_send_format(node, &to, "~b", bytes, sizeof bytes) ==
           TENON_OK) {
        sent++;
        assert_true(sent < 200);
    }
    assert_true(stats_of(node).sends_refused > refused);
    /* It reads again, and nothing of what was taken is missing. The node may
     * hear later than the peer that its last write is done. */
    RUN_UNTIL(&loop, peer.got.of[TN_SIG_SEND_NAME] == sent &&
                         tn_peers_output_waiting(node) == 0);
    OK(tenon_send_format(node, &to, ":again"));
    RUN_UNTIL(&loop, peer.got.of[TN_SIG_SEND_NAME] == sent + 1);
    assert_string_equal(peer.got.reason[TN_SIG_SEND_NAME], ":again");
    leave(&peer);
}
#endif

static void of_simultaneous_attempts_that_of_the_greater_name_wins(void **state)
{
    (void)state;
    struct silent silent;
    struct peer peer;
    silent_open(&silent, "zz"); /* greater than the node's own */
    silent_is_called(&silent);
    join(&peer, silent.name);
    RUN_UNTIL(&loop, peer.got.of[TN_SIG_SEND_NAME] == 1);
    leave(&peer);
    silent_close(&silent);
}

static void an_attempt_of_a_lesser_name_has_to_wait(void **state)
{
    (void)state;
    struct silent silent;
    struct end lesser;
    struct end to = { .port = tenon_node_port(node) };
    silent_open(&silent, "aa");
    silent_is_called(&silent);
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(node));
    end_open(&lesser, &loop, silent.name, NULL);
    end_connect(&lesser, &to);
    RUN_UNTIL(&loop, lesser.downs == 1);
    assert_int_equal(lesser.ups, 0);
    assert_int_equal(lesser.why.code, TENON_E_DUPLICATE);
    end_close(&lesser);
    silent_close(&silent);
}

static void a_peer_with_our_own_name_is_refused(void **state)
{
    (void)state;
    struct end twin;
    struct end to = { .port = tenon_node_port(node) };
    /* No node calls its own name, so it is told another. */
    snprintf(to.name, sizeof to.name, "other@127.0.0.1");
    end_open(&twin, &loop, tenon_node_name(node), NULL);
    end_connect(&twin, &to);
    RUN_UNTIL(&loop, twin.downs == 1);
    assert_int_equal(twin.ups, 0);
    assert_int_equal(twin.why.code, TENON_E_REFUSED);
    end_close(&twin);
}

static void one_with_another_cookie_is_lost_before_it_is_seen(void **state)
{
    (void)state;
    struct end stranger;
    struct end to = { .port = tenon_node_port(node) };
    struct tn_dist_config config = { .cookie = "wrong" };
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(node));
    end_open(&stranger, &loop, "stranger@127.0.0.1", &config);
    end_connect(&stranger, &to);
    RUN_UNTIL(&loop, stranger.downs == 1);
    assert_int_equal(stranger.ups, 0);
    assert_int_equal(stats_of(node).peers, 0);
    end_close(&stranger);
}

#define TEST(name) cmocka_unit_test_teardown(name, nothing_is_left)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reference_that_is_used_twice_is_answered_once),
        TEST(what_does_not_exist_is_answered_at_once),
        TEST(a_link_to_a_process_of_another_node_ends_the_connection),
        TEST(signals_in_the_name_of_another_node_end_the_connection),
        TEST(a_peer_cannot_end_the_monitor_of_another_peer),
        TEST(a_peer_ends_only_monitors_of_its_own_processes),
        TEST(link_signals_about_no_link_change_nothing),
        TEST(a_wrong_acknowledgement_leaves_the_link_waiting),
        TEST(many_links_to_one_process_cost_no_search),
        TEST(each_spawn_request_is_answered),
        TEST(at_the_limit_everybody_is_answered),
        TEST(a_spawn_beyond_the_last_process_is_refused),
        TEST(a_spawn_reply_counts_from_its_own_peer_and_once),
        TEST(what_is_spawned_too_late_is_not_watched),
        TEST(an_alias_reply_may_come_from_any_node),
#ifndef TN_HOSTILE
        TEST(a_flood_of_one_name_leaves_the_others_alone),
#endif
        TEST(messages_to_nothing_are_counted),
        TEST(a_peer_that_comes_again_replaces_itself),
        TEST(a_spawn_is_refused_for_a_node_that_cannot),
        TEST(a_node_without_monitors_is_called_and_watched_as_a_whole),
        TEST(only_so_much_waits_for_a_handshake),
#ifndef TN_HOSTILE
        TEST(a_peer_that_does_not_read_is_sent_no_more),
#endif
        TEST(of_simultaneous_attempts_that_of_the_greater_name_wins),
        TEST(an_attempt_of_a_lesser_name_has_to_wait),
        TEST(a_peer_with_our_own_name_is_refused),
        TEST(one_with_another_cookie_is_lost_before_it_is_seen),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
