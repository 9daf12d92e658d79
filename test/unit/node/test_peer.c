/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes in one program, and one in a program of its own that is killed:
 * connecting, messages, monitors, links, spawns, losses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "nodes.h"
#include "unit/support/functions.h"

extern char **environ;

static tenon_node *a, *b;
static const char *own_path;

/* ---- functions that b offers --------------------------------------------- */

static void wait_for_exit(tenon_call *call, void *user)
{
    atomic_store((tenon_call * _Atomic *)user, tenon_call_keep(call));
}

static tenon_call *_Atomic kept;

static int start_both(void **state)
{
    (void)state;
    a = known_node(NULL);
    b = known_node(NULL);
    OK(tenon_function(b, "m", "echo", 1, give_back, NULL, 0));
    OK(tenon_function(b, "m", "exit", 1, exit_with, NULL, TENON_INLINE));
    OK(tenon_function(b, "m", "keep", 0, wait_for_exit, &kept, TENON_INLINE));
    connect_nodes(a, b);
    return 0;
}

static int stop_both(void **state)
{
    (void)state;
    tenon_node_stop(a);
    tenon_node_stop(b);
    return 0;
}

/* Nothing may be left of what a test has set up between the nodes. */
static int nothing_is_left(void **state)
{
    (void)state;
    WAIT_FOR(stats_of(a).monitors == 0 && stats_of(b).monitors == 0);
    WAIT_FOR(stats_of(a).links == 0 && stats_of(b).links == 0);
    WAIT_FOR(stats_of(a).pending_calls == 0);
    return 0;
}

static bool is_listed(tenon_node *node, tenon_node *other)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term list;
    tenon_term name;
    tenon_cursor at;
    bool found = false;
    OK(tenon_node_list(node, TENON_PEERS_VISIBLE, out));
    OK(tenon_builder_term(out, &list));
    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &name)) {
        found = found || tenon_term_is_atom(name, tenon_node_name(other));
    }
    tenon_builder_free(out);
    return found;
}

/* ---- messages ----------------------------------------------------------- */

static void each_lists_the_other(void **state)
{
    (void)state;
    assert_true(is_listed(a, b));
    assert_true(is_listed(b, a));
    assert_false(is_listed(a, a));
}

static void messages_go_both_ways_by_pid_and_by_name(void **state)
{
    (void)state;
    tenon_process *here = new_box(a, "here");
    tenon_process *there = new_box(b, "there");
    tenon_pid pid = pid_of(there);
    tenon_pid back = pid_of(here);
    OK(tenon_send_format(a, &(tenon_dest){ .pid = &pid }, "{1, ~p}", &back));
    OK(tenon_send_format(
        a, &(tenon_dest){ .name = "there", .node = tenon_node_name(b) }, "2"));
    tenon_value_free(next_message(there));
    assert_next(there, "2");
    OK(tenon_send_format(b, &(tenon_dest){ .pid = &back }, "3"));
    OK(tenon_send_format(
        b, &(tenon_dest){ .name = "here", .node = tenon_node_name(a) }, "4"));
    assert_next(here, "3");
    assert_next(here, "4");
    end_box(here);
    end_box(there);
}

static void large_messages_arrive_whole_and_in_order(void **state)
{
    (void)state;
    static uint8_t bytes[3000000];
    tenon_process *there = new_box(b, NULL);
    tenon_pid pid = pid_of(there);
    tenon_dest to = { .pid = &pid };
    memset(bytes, 0x5a, sizeof bytes);
    for (int64_t i = 0; i < 8; i++) {
        OK(tenon_send_format(a, &to, "~i", i));
        OK(tenon_send_format(a, &to, "~b", bytes, sizeof bytes >> i));
    }
    for (int64_t i = 0; i < 8; i++) {
        tenon_value *message = next_message(there);
        assert_int_equal(number_of(tenon_value_term(message)), i);
        tenon_value_free(message);
        message = next_message(there);
        const void *got;
        size_t len;
        OK(tenon_term_binary(tenon_value_term(message), &got, &len));
        assert_int_equal(len, sizeof bytes >> i);
        assert_memory_equal(got, bytes, len);
        tenon_value_free(message);
    }
    end_box(there);
}

/* Holds the loop of node a in the midst of a turn that gathers. */
struct held_loop {
    uv_sem_t gathers, go_on;
};

static void gather_and_wait(tenon_node *node, void *user)
{
    struct held_loop *held = user;
    node->had_crowd = true;
    tn_loop_gather(node);
    uv_sem_post(&held->gathers);
    uv_sem_wait(&held->go_on);
}

/* user: a bool, whether a signal in this turn begins to gather. */
static void try_to_gather(tenon_node *node, void *user)
{
    tn_loop_gather(node);
    *(bool *)user = node->gathers;
}

static size_t unwritten_of(tenon_node *node)
{
    tn_lock(node);
    size_t count = node->dirty.count;
    tn_unlock(node);
    return count;
}

static void
what_is_sent_while_the_loop_gathers_leaves_with_its_turn(void **state)
{
    (void)state;
    struct held_loop held;
    tenon_process *there = new_box(b, NULL);
    tenon_pid pid = pid_of(there);
    assert_int_equal(uv_sem_init(&held.gathers, 0), 0);
    assert_int_equal(uv_sem_init(&held.go_on, 0), 0);
    OK(tn_node_run_on_loop(a, gather_and_wait, &held));
    uv_sem_wait(&held.gathers);
    OK(tenon_send_format(a, &(tenon_dest){ .pid = &pid }, "1"));
    size_t unwritten = unwritten_of(a);
    uv_sem_post(&held.go_on);
    assert_int_equal(unwritten, 1);
    assert_next(there, "1");
    bool gathers = true;
    OK(tn_node_call_on_loop(a, try_to_gather, &gathers));
    assert_false(gathers); /* in a turn after one without a crowd */
    end_box(there);
    uv_sem_destroy(&held.gathers);
    uv_sem_destroy(&held.go_on);
}

/* On the loop of a, where the connection to b closes with its turn. user: a
 * process of b. */
static void close_and_send(tenon_node *node, void *user)
{
    static uint8_t bytes[100000];
    const char *name = tenon_node_name(b);
    tenon_error why = { .code = TENON_E_CLOSED, .text = "test" };
    tenon_pid pid = pid_of(user);
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    tn_conn *conn = tn_conn_ref(peer->conn);
    tn_unlock(node);
    tn_conn_close(conn, &why);
    tn_conn_unref(conn);
    OK(tenon_send_format(node, &(tenon_dest){ .pid = &pid }, "1"));
    OK(tenon_send_format(node, &(tenon_dest){ .pid = &pid }, "~b", bytes,
                         sizeof bytes));
    OK(tenon_send_format(node, &(tenon_dest){ .pid = &pid }, "3"));
}

static void what_is_sent_while_a_connection_closes_is_for_the_next(void **state)
{
    (void)state;
    tenon_process *there = new_box(b, NULL);
    OK(tn_node_call_on_loop(a, close_and_send, there));
    assert_next(there, "1");
    tenon_value_free(next_message(there));
    assert_next(there, "3");
    WAIT_FOR(is_listed(a, b) && is_listed(b, a));
    end_box(there);
}

static void a_message_to_nobody_is_counted(void **state)
{
    (void)state;
    uint64_t before = stats_of(b).messages_to_nobody;
    OK(tenon_send_format(
        a, &(tenon_dest){ .name = "nobody", .node = tenon_node_name(b) }, "1"));
    WAIT_FOR(stats_of(b).messages_to_nobody == before + 1);
}

/* ---- order -------------------------------------------------------------- */

#define STREAMS 6
#define EACH 3000

struct stream {
    tenon_process *to;
    atomic_llong last;
    atomic_uint disorder;
};

static void check_next(tenon_process *self, void *state, tenon_term message)
{
    struct stream *stream = state;
    (void)self;
    long long n = number_of(message);
    atomic_fetch_add(&stream->disorder, n != stream->last + 1);
    atomic_store(&stream->last, n);
}

static void *send_stream(void *user)
{
    struct stream *stream = user;
    tenon_pid pid = pid_of(stream->to);
    for (int64_t i = 0; i < EACH; i++) {
        OK(tenon_send_format(a, &(tenon_dest){ .pid = &pid }, "~i", i));
    }
    return NULL;
}

static void each_stream_of_messages_keeps_its_order(void **state)
{
    (void)state;
    static const struct tn_process_class class = { .on_message = check_next };
    struct stream streams[STREAMS];
    pthread_t threads[STREAMS];
    for (size_t i = 0; i < STREAMS; i++) {
        streams[i] = (struct stream){ .last = -1 };
        streams[i].to = tn_process_start(
            b,
            &(struct tn_process_spec){ .class = &class,
                                       .state = &streams[i],
                                       .run_inline = i % 3 == 0 },
            NULL);
        threads[i] = start_thread(send_stream, &streams[i]);
    }
    for (size_t i = 0; i < STREAMS; i++) {
        pthread_join(threads[i], NULL);
        WAIT_FOR(streams[i].last == EACH - 1);
        assert_int_equal(streams[i].disorder, 0);
        end_box(streams[i].to);
    }
    (void)stats_of(b);
}

/* ---- monitors ----------------------------------------------------------- */

static void check_monitors(tenon_node *from, tenon_node *to)
{
    tenon_process *watcher = new_box(from, NULL);
    tenon_process *target = new_box(to, "target");
    tenon_pid pid = pid_of(target);
    tenon_dest by_name = { .name = "target", .node = tenon_node_name(to) };
    tenon_ref refs[3];
    OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &refs[0]));
    OK(tenon_monitor(watcher, &by_name, &refs[1]));
    OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &refs[2]));
    tenon_demonitor(watcher, &refs[2]);
    WAIT_FOR(stats_of(to).monitors == 2);
    OK(tenon_process_exit(target, "{:gone, 1}"));
    tenon_value *first = next_message(watcher);
    tenon_value *second = next_message(watcher);
    assert_true(tenon_match(tenon_value_term(first),
                            "{:DOWN, _, :process, _, {:gone, 1}}"));
    assert_true(tenon_match(tenon_value_term(second),
                            "{:DOWN, _, :process, _, {:gone, 1}}"));
    tenon_value_free(first);
    tenon_value_free(second);
    OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &refs[0]));
    assert_next_down(watcher, &refs[0], ":noproc");
    OK(tenon_monitor(watcher, &by_name, &refs[0]));
    assert_next_down(watcher, &refs[0], ":noproc");
    assert_no_message(watcher);
    tenon_process_release(target);
    end_box(watcher);
}

static void monitors_work_in_both_directions(void **state)
{
    (void)state;
    check_monitors(a, b);
    check_monitors(b, a);
}

static void a_watcher_that_ends_takes_its_monitors_back(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(a, NULL);
    tenon_process *target = new_box(b, NULL);
    tenon_pid pid = pid_of(target);
    tenon_ref ref;
    OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &ref));
    WAIT_FOR(stats_of(b).monitors == 1);
    end_box(watcher);
    WAIT_FOR(stats_of(b).monitors == 0);
    end_box(target);
}

static void monitors_that_come_and_go_leave_nothing(void **state)
{
    (void)state;
    unsigned long count = count_from_env("TN_TEST_MANY", 20000);
    tenon_process *watcher = new_box(a, NULL);
    tenon_process *target = new_box(b, NULL);
    tenon_pid pid = pid_of(target);
    for (unsigned long i = 0; i < count; i++) {
        tenon_ref ref;
        OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &ref));
        tenon_demonitor(watcher, &ref);
    }
    end_box(watcher);
    end_box(target);
}

/* ---- links -------------------------------------------------------------- */

static void check_links(tenon_node *from, tenon_node *to)
{
    tenon_process *here = new_box(from, NULL);
    tenon_process *there = new_box(to, NULL);
    tenon_pid here_pid = pid_of(here);
    tenon_pid there_pid = pid_of(there);
    tenon_process_trap_exit(here, true);
    OK(tenon_link(here, &there_pid));
    WAIT_FOR(stats_of(to).links == 1);
    OK(tenon_link(there, &here_pid)); /* the same link */
    OK(tenon_process_exit(there, ":broken"));
    assert_next_exit(here, &there_pid, ":broken");
    OK(tenon_link(here, &there_pid));
    assert_next_exit(here, &there_pid, ":noproc");
    tenon_process_release(there);
    there = new_box(to, NULL);
    there_pid = pid_of(there);
    OK(tenon_link(here, &there_pid));
    tenon_unlink(here, &there_pid);
    WAIT_FOR(stats_of(to).links == 0 && stats_of(from).links == 0);
    end_box(here);
    OK(send_number(there, 1));
    assert_next(there, "1");
    end_box(there);
}

static void links_work_in_both_directions(void **state)
{
    (void)state;
    check_links(a, b);
    check_links(b, a);
}

static void a_link_that_is_made_again_at_once_holds(void **state)
{
    (void)state;
    tenon_process *here = new_box(a, NULL);
    tenon_process *there = new_box(b, NULL);
    tenon_pid pid = pid_of(there);
    tenon_process_trap_exit(here, true);
    for (unsigned i = 0; i < 100; i++) {
        OK(tenon_link(here, &pid));
        tenon_unlink(here, &pid);
    }
    OK(tenon_link(here, &pid));
    /* Signals of a node keep their order: this comes after all of those. */
    OK(tenon_send_format(a, &(tenon_dest){ .pid = &pid }, "~i", (int64_t)1));
    tenon_value *last = NULL;
    OK(tenon_receive(there, DEADLINE_MS, &last));
    tenon_value_free(last);
    WAIT_FOR(stats_of(b).links == 1 && stats_of(a).links == 1);
    OK(tenon_process_exit(there, ":broken"));
    assert_next_exit(here, &pid, ":broken");
    assert_no_message(here);
    tenon_process_release(there);
    end_box(here);
}

static void exit_signals_cross(void **state)
{
    (void)state;
    tenon_process *here = new_box(a, NULL);
    tenon_process *there = new_box(b, NULL);
    tenon_pid pid = pid_of(there);
    tenon_pid from = pid_of(here);
    tenon_ref ref;
    tenon_process_trap_exit(there, true);
    OK(tenon_monitor(here, &(tenon_dest){ .pid = &pid }, &ref));
    OK(tenon_exit_signal(here, &pid, tn_atom_shutdown));
    assert_next_exit(there, &from, ":shutdown");
    OK(tenon_exit_signal(here, &pid, tn_atom_kill));
    assert_next_down(here, &ref, ":killed");
    tenon_process_release(there);
    end_box(here);
}

static void links_that_come_and_go_leave_nothing(void **state)
{
    (void)state;
    unsigned long count = count_from_env("TN_TEST_MANY", 20000);
    tenon_process *here = new_box(a, NULL);
    tenon_process *there = new_box(b, NULL);
    tenon_pid here_pid = pid_of(here);
    tenon_pid there_pid = pid_of(there);
    for (unsigned long i = 0; i < count; i++) {
        OK(tenon_link(here, &there_pid));
        tenon_unlink(here, &there_pid);
        if (i % 3 == 0) {
            OK(tenon_link(there, &here_pid));
            tenon_unlink(there, &here_pid);
        }
    }
    WAIT_FOR(stats_of(a).links == 0 && stats_of(b).links == 0);
    end_box(here);
    end_box(there);
}

/* ---- spawns ------------------------------------------------------------- */

struct ended {
    atomic_uint count;
    enum tn_request_end end;
    char term[200];
};

static void note_end(void *user, enum tn_request_end end, tenon_term term)
{
    struct ended *ended = user;
    ended->end = end;
    tenon_term_print(term, ended->term, sizeof ended->term);
    atomic_fetch_add(&ended->count, 1);
}

static void spawn_there(const char *name,
                        const char *args,
                        uint32_t timeout_ms,
                        struct ended *ended)
{
    tenon_value *list = tenon_value_format(args);
    memset(ended, 0, sizeof *ended);
    OK(tn_request_spawn(a, tenon_node_name(b), "m", name,
                        tenon_value_term(list), timeout_ms, note_end, ended,
                        NULL));
    tenon_value_free(list);
}

static void
spawn_and_wait(const char *name, const char *args, struct ended *ended)
{
    spawn_there(name, args, TENON_NO_TIMEOUT, ended);
    WAIT_FOR(atomic_load(&ended->count) == 1);
}

static void a_spawned_function_ends_with_its_reason(void **state)
{
    (void)state;
    struct ended ended;
    spawn_and_wait("echo", "[1]", &ended);
    assert_int_equal(ended.end, TN_END_DOWN);
    assert_string_equal(ended.term, ":normal");
    spawn_and_wait("exit", "[{:own, 2}]", &ended);
    assert_int_equal(ended.end, TN_END_DOWN);
    assert_string_equal(ended.term, "{:own, 2}");
    spawn_and_wait("none", "[1]", &ended);
    assert_int_equal(ended.end, TN_END_DOWN);
    assert_string_equal(ended.term, "{:undef, [{:m, :none, [1], []}]}");
}

static void a_spawn_that_takes_too_long_is_given_up(void **state)
{
    (void)state;
    struct ended ended;
    spawn_there("keep", "[]", 30, &ended);
    WAIT_FOR(atomic_load(&ended.count) == 1);
    assert_int_equal(ended.end, TN_END_TIMEOUT);
    WAIT_FOR(atomic_load(&kept) != NULL);
    WAIT_FOR(stats_of(b).monitors == 0);
    OK(tenon_reply(atomic_load(&kept), "1"));
    tenon_call_release(atomic_exchange(&kept, NULL));
    assert_int_equal(ended.count, 1);
}

static void many_spawns_are_all_answered(void **state)
{
    (void)state;
    static struct ended ended[2000];
    for (size_t i = 0; i < 2000; i++) {
        spawn_there(i % 2 == 0 ? "echo" : "exit", "[:x]", TENON_NO_TIMEOUT,
                    &ended[i]);
    }
    for (size_t i = 0; i < 2000; i++) {
        WAIT_FOR(atomic_load(&ended[i].count) == 1);
        assert_int_equal(ended[i].end, TN_END_DOWN);
        assert_string_equal(ended[i].term, i % 2 == 0 ? ":normal" : ":x");
    }
    WAIT_FOR(stats_of(b).processes < 20);
}

/* ---- calls -------------------------------------------------------------- */

static unsigned seen_in_crowd(void)
{
    tn_lock(a);
    unsigned seen = a->requests.crowd.next;
    a->requests.crowd = (struct tn_crowd){ 0 };
    tn_unlock(a);
    return seen;
}

static void ask_there(tenon_process *server, struct ended *ended)
{
    tenon_pid pid = pid_of(server);
    memset(ended, 0, sizeof *ended);
    OK(tn_request_server(a, &(tenon_dest){ .pid = &pid }, tn_atom_ok, 0,
                         note_end, ended, NULL));
}

static void answer_next(tenon_process *server)
{
    tenon_value *message = next_message(server);
    tenon_pid client;
    tenon_term tag;
    assert_true(tenon_match(tenon_value_term(message),
                            "{:\"$gen_call\", {~p, ~t}, _}", &client, &tag));
    OK(tenon_send_format(b, &(tenon_dest){ .pid = &client }, "{~t, 1}", tag));
    tenon_value_free(message);
}

static void
who_calls_again_and_again_is_one_and_at_a_time_are_many(void **state)
{
    (void)state;
    struct ended ended[TN_CROWD_SENDERS];
    tenon_process *server = new_box(b, NULL);
    (void)seen_in_crowd();
    for (unsigned i = 0; i < TN_CROWD_SENDERS; i++) {
        spawn_and_wait("echo", "[1]", &ended[0]);
    }
    assert_int_equal(seen_in_crowd(), 1);
    for (unsigned i = 0; i < TN_CROWD_SENDERS; i++) {
        ask_there(server, &ended[i]);
    }
    for (unsigned i = 0; i < TN_CROWD_SENDERS; i++) {
        answer_next(server);
    }
    for (unsigned i = 0; i < TN_CROWD_SENDERS; i++) {
        WAIT_FOR(atomic_load(&ended[i].count) == 1);
    }
    assert_int_equal(seen_in_crowd(), TN_CROWD_SENDERS);
    end_box(server);
}

/* ---- coming and going --------------------------------------------------- */

struct watch {
    atomic_uint ups, downs;
    char name[64];
};

static void note_peer(void *user, const char *name, bool up, bool visible)
{
    struct watch *watch = user;
    assert_true(visible);
    if (strcmp(name, watch->name) == 0) {
        atomic_fetch_add(up ? &watch->ups : &watch->downs, 1);
    }
}

static void a_loss_ends_everything_at_once(void **state)
{
    (void)state;
    static struct watch watch; /* told until the node stops */
    tenon_node *c = known_node(NULL);
    snprintf(watch.name, sizeof watch.name, "%s", tenon_node_name(c));
    tenon_process *here = new_box(a, NULL);
    tenon_process *there = new_box(c, "box");
    tenon_pid pid = pid_of(there);
    tenon_ref refs[2];
    struct ended ended = { 0 };
    tenon_process_trap_exit(here, true);
    OK(tenon_node_watch_peers(a, note_peer, &watch));
    connect_nodes(a, c);
    OK(tenon_monitor(here, &(tenon_dest){ .pid = &pid }, &refs[0]));
    OK(tn_request_server(a, &(tenon_dest){ .pid = &pid }, tn_atom_ok,
                         TENON_NO_TIMEOUT, note_end, &ended, NULL));
    tenon_value_free(next_message(there));
    OK(tenon_link(here, &pid));
    WAIT_FOR(stats_of(c).links == 1);
    OK(tenon_node_disconnect(a, tenon_node_name(c)));
    tenon_value *first = next_message(here);
    tenon_value *second = next_message(here);
    assert_true(
        tenon_match(tenon_value_term(first), "{:EXIT, _, :noconnection}"));
    assert_true(tenon_match(tenon_value_term(second),
                            "{:DOWN, _, :process, _, :noconnection}"));
    tenon_value_free(first);
    tenon_value_free(second);
    WAIT_FOR(atomic_load(&ended.count) == 1);
    assert_int_equal(ended.end, TN_END_NODEDOWN);
    WAIT_FOR(watch.downs == 1);
    assert_int_equal(watch.ups, 1);
    /* The link has ended `there`, which did not trap it. */
    WAIT_FOR(stats_of(c).peers == 0);
    assert_int_equal(tenon_process_exit(there, ":normal"), TENON_E_NOPROC);
    tenon_process_release(there);
    end_box(here);
    tenon_node_stop(c);
    assert_int_equal(tenon_node_disconnect(a, watch.name), TENON_E_NOT_FOUND);
}

static void a_message_connects(void **state)
{
    (void)state;
    tenon_node *c = known_node(NULL);
    tenon_process *box = new_box(c, "box");
    tenon_process *here = new_box(a, NULL);
    tenon_dest to = { .name = "box", .node = tenon_node_name(c) };
    tenon_ref ref;
    OK(tenon_send_format(a, &to, "1"));
    OK(tenon_monitor(here, &to, &ref));
    OK(tenon_send_format(a, &to, "2"));
    assert_next(box, "1");
    assert_next(box, "2");
    end_box(box);
    assert_next_down(here, &ref, ":normal");
    end_box(here);
    tenon_node_stop(c);
}

static void what_waits_for_nobody_ends_with_the_attempt(void **state)
{
    (void)state;
    char name[64];
    new_name(name, "nobody");
    tenon_process *here = new_box(a, NULL);
    tenon_dest to = { .name = "box", .node = name };
    struct ended ended = { 0 };
    tenon_ref ref;
    tenon_error err = { 0 };
    OK(tenon_send_format(a, &to, "1"));
    OK(tenon_monitor(here, &to, &ref));
    OK(tn_request_server(a, &to, tn_atom_ok, TENON_NO_TIMEOUT, note_end, &ended,
                         NULL));
    assert_next_down(here, &ref, ":noconnection");
    WAIT_FOR(atomic_load(&ended.count) == 1);
    assert_int_equal(ended.end, TN_END_NODEDOWN);
    assert_int_equal(tenon_node_connect(a, name, DEADLINE_MS, &err),
                     TENON_E_NODEDOWN);
    assert_int_equal(tenon_node_connect(a, tenon_node_name(a), 0, &err),
                     TENON_E_INVAL);
    assert_int_equal(tenon_node_connect(a, "no name", 0, &err), TENON_E_INVAL);
    end_box(here);
}

struct attempt {
    tenon_node *from, *to;
    enum tenon_err rc;
    tenon_error err;
};

static void *connect_it(void *user)
{
    struct attempt *attempt = user;
    attempt->rc =
        tenon_node_connect(attempt->from, tenon_node_name(attempt->to),
                           DEADLINE_MS, &attempt->err);
    return NULL;
}

/* Both call at the same time: of the two connections one is left, whoever has
 * the greater name, and both calls succeed. */
static void simultaneous_connects_become_one(void **state)
{
    (void)state;
    tenon_node *c = known_node(NULL);
    for (unsigned round = 0; round < 60; round++) {
        struct attempt attempts[2] = { { .from = b, .to = c },
                                       { .from = c, .to = b } };
        pthread_t threads[2];
        for (size_t i = 0; i < 2; i++) {
            threads[i] = start_thread(connect_it, &attempts[i]);
        }
        for (size_t i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
            if (attempts[i].rc != TENON_OK) {
                fail_msg("round %u: %s", round, attempts[i].err.text);
            }
        }
        WAIT_FOR(is_listed(b, c) && is_listed(c, b));
        tenon_node *hangs_up = round % 2 == 0 ? b : c;
        OK(tenon_node_disconnect(hangs_up,
                                 tenon_node_name(hangs_up == b ? c : b)));
        WAIT_FOR(!is_listed(b, c) && !is_listed(c, b));
    }
    tenon_node_stop(c);
}

/* ---- a node that is killed ---------------------------------------------- */

/* The other program: a node with a mailbox that answers what it gets. */
static int be_child(const char *name)
{
    tenon_node_config config = { .sname = name,
                                 .cookie = NODES_COOKIE,
                                 .log_level = TENON_LOG_NONE };
    tenon_node *node = tenon_node_start(&config);
    tenon_process *box = tenon_mailbox_new(node, "child", NULL);
    tenon_value *message = NULL;
    if (box == NULL || write(STDOUT_FILENO, "r", 1) != 1) {
        return 1;
    }
    while (tenon_receive(box, TENON_NO_TIMEOUT, &message) == TENON_OK) {
        tenon_pid from;
        if (tenon_match(tenon_value_term(message), "~p", &from)) {
            tenon_send_format(node, &(tenon_dest){ .pid = &from }, ":pong");
        }
        tenon_value_free(message);
    }
    return 0;
}

/* Returns when its node is ready. */
static pid_t start_child(char *name)
{
    char word[] = "child";
    char *const argv[] = { (char *)(intptr_t)own_path, word, name, NULL };
    posix_spawn_file_actions_t actions;
    int ends[2];
    char ready;
    pid_t pid;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&pid, own_path, &actions, NULL, argv, environ),
                     0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    assert_int_equal(read(ends[0], &ready, 1), 1);
    close(ends[0]);
    return pid;
}

static void kill_child(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void a_killed_node_is_lost_at_once_and_may_come_back(void **state)
{
    (void)state;
    char name[64];
    new_name(name, "child");
    tenon_process *here = new_box(a, NULL);
    tenon_pid from = pid_of(here);
    tenon_dest to = { .name = "child", .node = name };
    for (unsigned round = 0; round < 5; round++) {
        tenon_ref ref;
        pid_t pid = start_child(name);
        OK(tenon_monitor(here, &to, &ref));
        OK(tenon_send_format(a, &to, "~p", &from));
        assert_next(here, ":pong");
        kill_child(pid);
        assert_next_down(here, &ref, ":noconnection");
    }
    assert_no_message(here);
    end_box(here);
}

#define TEST(name) cmocka_unit_test_teardown(name, nothing_is_left)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(each_lists_the_other),
        TEST(messages_go_both_ways_by_pid_and_by_name),
        TEST(large_messages_arrive_whole_and_in_order),
        TEST(what_is_sent_while_the_loop_gathers_leaves_with_its_turn),
        TEST(what_is_sent_while_a_connection_closes_is_for_the_next),
        TEST(a_message_to_nobody_is_counted),
        TEST(each_stream_of_messages_keeps_its_order),
        TEST(monitors_work_in_both_directions),
        TEST(a_watcher_that_ends_takes_its_monitors_back),
        TEST(monitors_that_come_and_go_leave_nothing),
        TEST(links_work_in_both_directions),
        TEST(a_link_that_is_made_again_at_once_holds),
        TEST(exit_signals_cross),
        TEST(links_that_come_and_go_leave_nothing),
        TEST(a_spawned_function_ends_with_its_reason),
        TEST(a_spawn_that_takes_too_long_is_given_up),
        TEST(many_spawns_are_all_answered),
        TEST(who_calls_again_and_again_is_one_and_at_a_time_are_many),
        TEST(a_loss_ends_everything_at_once),
        TEST(a_message_connects),
        TEST(what_waits_for_nobody_ends_with_the_attempt),
        TEST(simultaneous_connects_become_one),
        TEST(a_killed_node_is_lost_at_once_and_may_come_back),
    };
    if (argc == 3 && strcmp(argv[1], "child") == 0) {
        return be_child(argv[2]);
    }
    own_path = argv[0];
    return cmocka_run_group_tests(tests, start_both, stop_both);
}
