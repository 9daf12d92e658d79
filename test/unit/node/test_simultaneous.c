/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts to connect that cross, those of a stranger who only knows a name
 * among them: handshakes by hand, halted between any two packets. What the node
 * has sent meanwhile arrives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "dist/flags.h"
#include "dist/handshake.h"
#include "dist/sock.h"
#include "nodes.h"
#include "unit/support/ends.h"

/* Names on both sides of the node's own, "m...". */
#define LESSER "a@127.0.0.1"
#define GREATER "z@127.0.0.1"
#define MARK "what was sent meanwhile"

static tenon_node *node;
static int listener;

/* ---- handshakes by hand --------------------------------------------------- */

/* One connection of a peer's. */
struct hand {
    int fd;
    struct tn_handshake hs;
};

static void begin(struct hand *hand, const char *name, const char *cookie)
{
    struct tn_handshake_config config = {
        .name = name,
        .cookie = cookie,
        .creation = 2000,
        .flags = TN_FLAGS_OURS,
        .mandatory = TN_FLAGS_MANDATORY,
        .peer = tenon_node_name(node),
    };
    OK(tn_handshake_init(&hand->hs, &config, NULL));
}

static void flush(struct hand *hand)
{
    size_t len;
    const uint8_t *out = tn_handshake_out(&hand->hs, &len);
    assert_int_equal(send(hand->fd, out, len, MSG_NOSIGNAL), len);
    tn_handshake_sent(&hand->hs, len);
}

static void wait_for_bytes(int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&ready, 1, (int)DEADLINE_MS), 1);
}

/* Reads up to that state, and says nothing; false: the node has closed or
 * refuses, or asks whether the connection is to replace another. */
static bool read_until(struct hand *hand, enum tn_handshake_state state)
{
    uint8_t byte;
    size_t used;
    while (hand->hs.state != state) {
        wait_for_bytes(hand->fd);
        if (recv(hand->fd, &byte, 1, 0) != 1) {
            return false;
        }
        enum tn_handshake_event event =
            tn_handshake_feed(&hand->hs, &byte, 1, &used, NULL);
        if (event == TN_HANDSHAKE_FAILED || event == TN_HANDSHAKE_ALIVE) {
            return false;
        }
    }
    return true;
}

/* Calls the node, up to where the digest would be said. */
static void call_with(struct hand *hand, const char *name, const char *cookie)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(tenon_node_port(node)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    hand->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(hand->fd >= 0);
    assert_int_equal(connect(hand->fd, (struct sockaddr *)&to, sizeof to), 0);
    begin(hand, name, cookie);
    flush(hand);
    if (!read_until(hand, TN_HANDSHAKE_WAIT_ACK)) {
        assert_int_equal(hand->hs.status, TN_STATUS_ALIVE);
        (void)tn_handshake_alive(&hand->hs, true, NULL);
        flush(hand);
        assert_true(read_until(hand, TN_HANDSHAKE_WAIT_ACK));
    }
}

static void call(struct hand *hand, const char *name)
{
    call_with(hand, name, NODES_COOKIE);
}

/* Proves the cookie, and is up. */
static void finish_call(struct hand *hand)
{
    flush(hand);
    assert_true(read_until(hand, TN_HANDSHAKE_ENDED));
}

/* One who does not know the cookie: says the name, or a wrong digest too. */
static void call_as_stranger(struct hand *hand, const char *name)
{
    call_with(hand, name, "unknown");
}

static void finish_as_stranger(struct hand *hand)
{
    flush(hand);
    assert_false(read_until(hand, TN_HANDSHAKE_ENDED));
    close(hand->fd);
}

/* Takes the node's own attempt to that name, up to its first packet. */
static void take_call(struct hand *hand, const char *name)
{
    struct tn_handshake_config config = {
        .name = name,
        .cookie = NODES_COOKIE,
        .creation = 2000,
        .flags = TN_FLAGS_OURS,
        .mandatory = TN_FLAGS_MANDATORY,
    };
    wait_for_bytes(listener);
    hand->fd = accept(listener, NULL, NULL);
    assert_true(hand->fd >= 0);
    OK(tn_handshake_init(&hand->hs, &config, NULL));
    assert_true(read_until(hand, TN_HANDSHAKE_WAIT_OWNER));
    assert_string_equal(hand->hs.peer_name, tenon_node_name(node));
}

static void answer(struct hand *hand, enum tn_status status)
{
    (void)tn_handshake_status(&hand->hs, status, NODES_COOKIE, NULL);
    flush(hand);
}

static void finish_taken(struct hand *hand)
{
    assert_true(read_until(hand, TN_HANDSHAKE_WAIT_OWNER));
    assert_int_equal(tn_handshake_ack(&hand->hs, NULL), TN_HANDSHAKE_DONE);
    flush(hand);
}

static bool is_closed(const struct hand *hand)
{
    char bytes[256];
    ssize_t n;
    do {
        wait_for_bytes(hand->fd);
        n = recv(hand->fd, bytes, sizeof bytes, 0);
    } while (n > 0);
    return true;
}

/* Whether the node has said nothing there so far, and has not closed it. */
static bool is_held(const struct hand *hand)
{
    char byte;
    return recv(hand->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

/* ---- messages ------------------------------------------------------------- */

static void say_to(const char *name)
{
    OK(tenon_send_format(node, &(tenon_dest){ .name = "box", .node = name },
                         "~b", MARK, sizeof MARK - 1));
}

static void assert_mark_comes(const struct hand *hand)
{
    char bytes[2048];
    size_t len = 0;
    do {
        wait_for_bytes(hand->fd);
        ssize_t n = recv(hand->fd, bytes + len, sizeof bytes - len, 0);
        assert_true(n > 0);
        len += (size_t)n;
    } while (memmem(bytes, len, MARK, sizeof MARK - 1) == NULL);
}

/* Returns the port. */
static uint16_t open_listener(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin_port);
}

/* peer_port: 0: the port is asked for at epmd. */
static int start_with(uint16_t peer_port)
{
    tenon_error err = { 0 };
    char name[64];
    new_name(name, "m");
    tenon_node_config config = config_of(name, &err);
    config.no_global = true;
    config.no_connect_all = true;
    config.no_epmd = true;
    config.peer_port = peer_port;
    node = tenon_node_start(&config);
    if (node == NULL) {
        fail_msg("%s", err.text);
    }
    return 0;
}

static int start_node(void **state)
{
    (void)state;
    return start_with(open_listener());
}

/* The listener is the epmd, and is silent. */
static int start_with_silent_epmd(void **state)
{
    char port[8];
    (void)state;
    snprintf(port, sizeof port, "%u", open_listener());
    assert_int_equal(setenv("ERL_EPMD_PORT", port, 1), 0);
    return start_with(0);
}

static int stop_node(void **state)
{
    (void)state;
    tenon_node_stop(node);
    return close(listener);
}

/* ---- names without their cookie ------------------------------------------- */

static void a_name_alone_does_not_end_our_own_attempt(void **state)
{
    (void)state;
    struct hand ours;
    struct hand silent;
    say_to(GREATER);
    take_call(&ours, GREATER);
    call_as_stranger(&silent, GREATER);
    assert_int_equal(silent.hs.status, TN_STATUS_OK_SIMULTANEOUS);
    for (unsigned i = 0; i < 3; i++) {
        struct hand stranger;
        call_as_stranger(&stranger, GREATER);
        finish_as_stranger(&stranger);
    }
    answer(&ours, TN_STATUS_OK);
    finish_taken(&ours);
    assert_mark_comes(&ours);
    assert_true(is_closed(&silent));
    close(silent.fd);
    close(ours.fd);
}

static void check_that_a_name_alone_is_called(const char *name)
{
    struct hand ours;
    struct hand silent;
    call_as_stranger(&silent, name);
    assert_int_equal(silent.hs.status, TN_STATUS_OK);
    say_to(name);
    take_call(&ours, name);
    answer(&ours, TN_STATUS_OK);
    finish_taken(&ours);
    assert_mark_comes(&ours);
    assert_true(is_closed(&silent));
    close(silent.fd);
    close(ours.fd);
}

static void a_name_alone_does_not_stand_for_its_node(void **state)
{
    (void)state;
    check_that_a_name_alone_is_called(LESSER);
    check_that_a_name_alone_is_called(GREATER);
}

/* The time after which a peer that is awaited would be given up runs on. */
static bool is_awaited_still(const char *name)
{
    tn_lock(node);
    const struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    assert_non_null(peer);
    bool is = peer->deadline.slot != 0;
    tn_unlock(node);
    return is;
}

static void a_name_alone_is_not_who_is_awaited(void **state)
{
    (void)state;
    struct hand ours;
    struct hand stranger;
    struct hand theirs;
    say_to(GREATER);
    take_call(&ours, GREATER);
    answer(&ours, TN_STATUS_NOK);
    assert_true(is_closed(&ours));
    call_as_stranger(&stranger, GREATER);
    assert_int_equal(stranger.hs.status, TN_STATUS_OK);
    finish_as_stranger(&stranger);
    call(&theirs, GREATER);
    finish_call(&theirs);
    assert_mark_comes(&theirs);
    assert_false(is_awaited_still(GREATER));
    close(theirs.fd);
    close(ours.fd);
}

static void a_name_alone_ends_no_handshake_under_it(void **state)
{
    (void)state;
    struct hand first;
    struct hand again;
    struct hand stranger;
    struct hand another;
    call(&another, GREATER);
    call(&first, LESSER);
    call_as_stranger(&stranger, LESSER);
    finish_as_stranger(&stranger);
    call_as_stranger(&stranger, LESSER);
    finish_call(&first);
    assert_true(is_closed(&stranger));
    close(stranger.fd);

    /* Nor while the node holds a connection to the peer's predecessor. */
    call(&again, LESSER);
    assert_int_equal(again.hs.status, TN_STATUS_ALIVE);
    call_as_stranger(&stranger, LESSER);
    finish_as_stranger(&stranger);
    finish_call(&again);
    assert_true(is_closed(&first));
    say_to(LESSER);
    assert_mark_comes(&again);
    finish_call(&another);
    close(first.fd);
    close(again.fd);
    close(another.fd);
}

/* ---- attempts of both sides ----------------------------------------------- */

static void the_greater_peers_attempt_replaces_ours_when_it_is_proved(void **s)
{
    (void)s;
    struct hand ours;
    struct hand theirs;
    say_to(GREATER);
    take_call(&ours, GREATER);
    call(&theirs, GREATER);
    assert_int_equal(theirs.hs.status, TN_STATUS_OK_SIMULTANEOUS);
    assert_true(is_held(&ours));
    finish_call(&theirs);
    assert_true(is_closed(&ours));
    assert_mark_comes(&theirs);
    close(ours.fd);
    close(theirs.fd);
}

static void the_lesser_peer_is_told_that_ours_remains(void **state)
{
    (void)state;
    struct hand ours;
    struct hand theirs;
    say_to(LESSER);
    take_call(&ours, LESSER);
    theirs.fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(tenon_node_port(node)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(connect(theirs.fd, (struct sockaddr *)&to, sizeof to), 0);
    begin(&theirs, LESSER, NODES_COOKIE);
    flush(&theirs);
    uint8_t nok[6];
    assert_int_equal(recv(theirs.fd, nok, 6, MSG_WAITALL), 6);
    assert_memory_equal(nok, "\0\4snok", 6);
    answer(&ours, TN_STATUS_OK_SIMULTANEOUS);
    finish_taken(&ours);
    assert_mark_comes(&ours);
    close(ours.fd);
    close(theirs.fd);
}

/* The peer ended its own when it heard of ours: its proof was under way. */
static void begin_both_with_the_lesser(struct hand *theirs, struct hand *ours)
{
    call(theirs, LESSER);
    assert_int_equal(theirs->hs.status, TN_STATUS_OK);
    say_to(LESSER);
    take_call(ours, LESSER);
    flush(theirs);
}

static void our_attempt_at_the_lesser_peer_is_waited_for(void **state)
{
    (void)state;
    struct hand ours;
    struct hand theirs;
    begin_both_with_the_lesser(&theirs, &ours);
    answer(&ours, TN_STATUS_OK_SIMULTANEOUS);
    assert_true(read_until(&ours, TN_HANDSHAKE_WAIT_OWNER));
    assert_true(is_held(&theirs));
    finish_taken(&ours);
    assert_mark_comes(&ours);
    assert_false(read_until(&theirs, TN_HANDSHAKE_ENDED));
    close(ours.fd);
    close(theirs.fd);
}

static void the_lesser_peers_attempt_comes_up_when_ours_fails(void **state)
{
    (void)state;
    struct hand ours;
    struct hand theirs;
    begin_both_with_the_lesser(&theirs, &ours);
    close(ours.fd);
    assert_true(read_until(&theirs, TN_HANDSHAKE_ENDED));
    assert_mark_comes(&theirs);
    close(theirs.fd);
}

/* Of one that has not come so far the peer has not heard: none of its attempts
 * ends for it. */
static void our_attempt_is_not_waited_for_before_it_is_heard_of(void **state)
{
    (void)state;
    struct hand theirs;
    call(&theirs, LESSER);
    say_to(LESSER);
    wait_for_bytes(listener);
    int asked = accept(listener, NULL, NULL);
    finish_call(&theirs);
    assert_mark_comes(&theirs);
    close(asked);
    close(theirs.fd);
}

/* ---- a peer that has been restarted --------------------------------------- */

#ifndef TN_HOSTILE /* which reads by single bytes: one connection is not served
                      whole before the next */

static void block(tenon_node *of, void *user)
{
    uv_sem_t *sems = user;
    (void)of;
    uv_sem_post(&sems[0]);
    uv_sem_wait(&sems[1]);
}

static void send_mark(tenon_process *self, void *state, tenon_term message)
{
    (void)self;
    (void)message;
    (void)state;
    say_to(LESSER);
}

static void send_to_server(const struct hand *hand)
{
    struct message message;
    struct tn_buf frame;
    tn_buf_init(&frame, 4096);
    OK(tn_signal_encode(&frame, make_message(&message, GREATER, "server", 1),
                        TN_FLAGS_OURS, NULL));
    assert_int_equal(send(hand->fd, frame.bytes, frame.len, MSG_NOSIGNAL),
                     frame.len);
    tn_buf_fini(&frame);
}

/* The loop hears of the proof, closes the old connection, and in the same turn
 * sends to the peer. */
static void what_is_sent_while_it_is_replaced_is_for_the_new_one(void **state)
{
    struct hand first, again, third;
    uv_sem_t sems[2];
    (void)state;
    static const struct tn_process_class class = { .on_message = send_mark };
    tenon_process *server = tn_process_start(
        node,
        &(struct tn_process_spec){
            .class = &class, .name = "server", .run_inline = true },
        NULL);
    assert_non_null(server);
    call(&third, GREATER);
    finish_call(&third);
    call(&first, LESSER);
    finish_call(&first);
    call(&again, LESSER);
    assert_int_equal(again.hs.status, TN_STATUS_ALIVE);
    assert_int_equal(uv_sem_init(&sems[0], 0), 0);
    assert_int_equal(uv_sem_init(&sems[1], 0), 0);
    OK(tn_node_run_on_loop(node, block, sems));
    uv_sem_wait(&sems[0]);
    flush(&again);
    send_to_server(&third);
    uv_sem_post(&sems[1]);
    assert_true(read_until(&again, TN_HANDSHAKE_ENDED));
    assert_mark_comes(&again);
    uv_sem_destroy(&sems[0]);
    uv_sem_destroy(&sems[1]);
    end_box(server);
    close(first.fd);
    close(again.fd);
    close(third.fd);
}
#endif

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_node, stop_node)
    const struct CMUnitTest tests[] = {
        TEST(a_name_alone_does_not_end_our_own_attempt),
        TEST(a_name_alone_does_not_stand_for_its_node),
        TEST(a_name_alone_is_not_who_is_awaited),
        TEST(a_name_alone_ends_no_handshake_under_it),
        TEST(the_greater_peers_attempt_replaces_ours_when_it_is_proved),
        TEST(the_lesser_peer_is_told_that_ours_remains),
        TEST(our_attempt_at_the_lesser_peer_is_waited_for),
        TEST(the_lesser_peers_attempt_comes_up_when_ours_fails),
#ifndef TN_HOSTILE
        TEST(what_is_sent_while_it_is_replaced_is_for_the_new_one),
#endif
        cmocka_unit_test_setup_teardown(
            our_attempt_is_not_waited_for_before_it_is_heard_of,
            start_with_silent_epmd, stop_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
