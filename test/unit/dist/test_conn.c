/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over loopback sockets on a real loop: set-up and its races,
 * signals, limits, ticks, and peers that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tenon/node.h>

#include "dist/bytes.h"
#include "dist/conn_impl.h"
#include "dist/flags.h"
#include "dist/sock.h"
#include "unit/support/ends.h"

/* More than a block, and no multiple of anything. */
#ifdef TN_HOSTILE
#define LARGE_BYTES (200u * 1024u + 17u) /* one read for each byte */
#else
#define LARGE_BYTES (3u * 1024u * 1024u + 17u)
#endif

/* What one read of so many bytes gives. */
#ifdef TN_HOSTILE
#define RAW_BURST(len) 1
#else
#define RAW_BURST(len) (len)
#endif

static uv_loop_t loop;
static struct end a, b;

static int open_loop(void **state)
{
    (void)state;
    return uv_loop_init(&loop);
}

/* Nothing may be left in the loop. */
static int close_loop(void **state)
{
    (void)state;
    return uv_loop_close(&loop);
}

static void open_two(const struct tn_dist_config *config)
{
    end_open(&a, &loop, "a@127.0.0.1", config);
    end_open(&b, &loop, "b@127.0.0.1", config);
}

static void close_two(void)
{
    end_close(&a);
    end_close(&b);
}

static void send_number(tn_conn *conn, const char *from, int32_t n)
{
    struct message message;

    assert_int_equal(
        tn_conn_send(conn, make_message(&message, from, "sink", n), NULL),
        TENON_OK);
}

/* ---- set-up -------------------------------------------------------------- */

static void both_ends_learn_who_the_other_is(void **state)
{
    (void)state;
    end_open(&a, &loop, "a@127.0.0.1",
             &(struct tn_dist_config){ .creation = 11 });
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .creation = 12,
                                       .flags = TN_FLAGS_OURS_HIDDEN });
    end_join(&a, &b);
    assert_string_equal(tn_conn_name(a.up), "b@127.0.0.1");
    assert_string_equal(tn_conn_name(b.up), "a@127.0.0.1");
    assert_int_equal(tn_conn_creation(a.up), 12);
    assert_int_equal(tn_conn_creation(b.up), 11);
    assert_true(tn_conn_flags(a.up) == TN_FLAGS_OURS_HIDDEN);
    assert_true(tn_conn_is_initiator(a.up));
    assert_false(tn_conn_is_initiator(b.up));
    assert_string_equal(a.order, "u");
    assert_string_equal(b.order, "hau");
    close_two();
    assert_int_equal(a.downs, 1);
    assert_int_equal(a.why.code, TENON_E_STOPPED);
    assert_int_equal(b.downs, 1);
    assert_int_equal(b.why.code, TENON_E_CLOSED);
    assert_true(b.was_up);
}

static void another_cookie_is_refused_and_named_at_both_ends(void **state)
{
    (void)state;
    end_open(&a, &loop, "a@127.0.0.1",
             &(struct tn_dist_config){ .cookie = "another" });
    end_open(&b, &loop, "b@127.0.0.1", NULL);
    end_connect(&a, &b);
    RUN_UNTIL(&loop, a.downs == 1 && b.downs == 1);
    assert_int_equal(a.why.code, TENON_E_AUTH);
    assert_int_equal(b.why.code, TENON_E_AUTH);
    assert_false(a.was_up);
    assert_non_null(strstr(a.log, "event=connect_failed peer=b@127.0.0.1"));
    assert_non_null(strstr(b.log, "event=handshake_refused peer=a@127.0.0.1"));
    assert_non_null(strstr(b.log, "cookie"));
    close_two();
}

static void an_initiator_may_give_up_before_it_says_anything(void **state)
{
    (void)state;
    open_two(NULL);
    a.refuse_streams = true;
    end_connect(&a, &b);
    RUN_UNTIL(&loop, a.downs == 1);
    assert_int_equal(a.why.code, TENON_E_REFUSED);
    assert_string_equal(a.why.text, "unwanted");
    assert_int_equal(b.hellos, 0);
    a.refuse_streams = false;
    end_join(&a, &b);
    close_two();
}

static void a_cookie_of_one_node_is_for_both_directions(void **state)
{
    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .cookie = "of b" });
    assert_int_equal(tn_dist_set_cookie(a.dist, "b@127.0.0.1", "of b"),
                     TENON_OK);
    end_join(&a, &b);
    tn_conn_close(a.up, &(tenon_error){ .code = TENON_E_CLOSED });
    RUN_UNTIL(&loop, a.downs == 1 && b.downs == 1);
    end_join(&b, &a);
    close_two();
}

static void a_cookie_of_another_node_is_not_looked_at(void **state)
{
    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    end_open(&b, &loop, "b@127.0.0.1", NULL);
    assert_int_equal(tn_dist_set_cookie(a.dist, "c@127.0.0.1", "of c"),
                     TENON_OK);
    end_join(&a, &b);
    close_two();
}

static void a_cookie_is_changed_and_taken_back(void **state)
{
    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    end_open(&b, &loop, "b@127.0.0.1", NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            tn_dist_set_cookie(a.dist, "b@127.0.0.1", i == 0 ? "one" : "two"),
            TENON_OK);
        unsigned downs = b.downs;

        end_connect(&b, &a);
        RUN_UNTIL(&loop, b.downs == downs + 1);
        assert_int_equal(b.why.code, TENON_E_AUTH);
    }
    assert_int_equal(tn_dist_set_cookie(a.dist, "b@127.0.0.1", NULL), TENON_OK);
    end_join(&b, &a);
    close_two();
}

static void cookies_of_nodes_are_limited(void **state)
{
    char name[32];

    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    for (unsigned i = 0; i < TENON_COOKIES_MAX; i++) {
        snprintf(name, sizeof name, "n%u@h", i);
        assert_int_equal(tn_dist_set_cookie(a.dist, name, "c"), TENON_OK);
    }
    assert_int_equal(tn_dist_set_cookie(a.dist, "more@h", "c"), TENON_E_LIMIT);
    assert_int_equal(tn_dist_set_cookie(a.dist, name, "d"), TENON_OK);
    assert_int_equal(tn_dist_set_cookie(a.dist, name, NULL), TENON_OK);
    assert_int_equal(tn_dist_set_cookie(a.dist, "more@h", "c"), TENON_OK);
    end_close(&a);
}

static void missing_flags_are_refused_and_named(void **state)
{
    uint64_t all = TN_FLAGS_OURS & ~TN_FLAG(MANDATORY_25_DIGEST);

    (void)state;
    end_open(&a, &loop, "a@127.0.0.1",
             &(struct tn_dist_config){ .flags = all & ~TN_FLAG(MAP_TAG) });
    end_open(&b, &loop, "b@127.0.0.1", NULL);
    end_connect(&a, &b);
    RUN_UNTIL(&loop, a.downs == 1);
    assert_int_equal(a.why.code, TENON_E_REFUSED);
    /* The owner of b never heard of a peer that cannot be one. */
    assert_int_equal(b.hellos, 0);
    assert_non_null(strstr(b.log, "lacks MAP_TAG"));
    close_two();
    assert_int_equal(b.downs, 0);
}

static void each_refusing_status_ends_the_attempt(void **state)
{
    static const struct {
        enum tn_status say;
        enum tenon_err code;
    } cases[] = {
        { TN_STATUS_NOK, TENON_E_DUPLICATE },
        { TN_STATUS_NOT_ALLOWED, TENON_E_REFUSED },
        { TN_STATUS_CLOSE, TENON_E_CLOSED },
    };

    (void)state;
    open_two(NULL);
    for (unsigned i = 0; i < 3; i++) {
        b.say = cases[i].say;
        end_connect(&a, &b);
        RUN_UNTIL(&loop, a.downs == i + 1 && b.downs == i + 1);
        assert_int_equal(a.why.code, cases[i].code);
        assert_false(b.was_up);
    }
    close_two();
}

static void simultaneous_connects_leave_one_connection(void **state)
{
    (void)state;
    open_two(NULL);
    a.resolve_names = true;
    b.resolve_names = true;
    end_connect(&a, &b);
    end_connect(&b, &a);
    RUN_UNTIL(&loop, a.ups == 1 && b.ups == 1 && a.downs == 1 && b.downs == 1);
    /* The attempt of the greater name survives. */
    assert_true(tn_conn_is_initiator(b.up));
    assert_false(tn_conn_is_initiator(a.up));
    send_number(a.up, a.name, 1);
    tn_conn_flush(a.up);
    RUN_UNTIL(&loop, b.signals == 1);
    assert_non_null(strstr(a.log, "error=DUPLICATE"));
    assert_null(strstr(a.log, "level=warn"));
    assert_null(strstr(b.log, "level=warn"));
    close_two();
}

static void a_restarted_peer_takes_the_place_of_its_former_self(void **state)
{
    struct end again;

    (void)state;
    open_two(NULL);
    end_join(&a, &b);
    end_open(&again, &loop, "a@127.0.0.1",
             &(struct tn_dist_config){ .creation = 77 });
    again.replace = true;
    b.say = TN_STATUS_ALIVE;
    end_connect(&again, &b);
    RUN_UNTIL(&loop, again.ups == 1 && b.ups == 2 && a.downs == 1);
    assert_string_equal(again.order, "Au");
    /* The end of the old one is told before the new one is up. */
    assert_string_equal(b.order, "hauhadu");
    assert_int_equal(tn_conn_creation(b.up), 77);
    close_two();
    end_close(&again);
}

static void a_peer_that_keeps_its_connection_gives_the_new_one_up(void **state)
{
    (void)state;
    open_two(NULL);
    end_join(&a, &b);
    a.replace = false;
    b.say = TN_STATUS_ALIVE;
    end_connect(&a, &b);
    RUN_UNTIL(&loop, a.downs == 1 && b.downs == 1);
    assert_int_equal(a.why.code, TENON_E_DUPLICATE);
    assert_int_equal(b.why.code, TENON_E_DUPLICATE);
    send_number(a.up, a.name, 1);
    tn_conn_flush(a.up);
    RUN_UNTIL(&loop, b.signals == 1);
    close_two();
}

static void a_silent_acceptor_is_given_up(void **state)
{
    struct end mute = { .name = "mute@127.0.0.1" };
    struct tn_address at = tn_address_all(AF_INET);
    int fd = tn_sock_listen(&at);

    mute.port = tn_address_port(&at);

    (void)state;
    assert_true(fd >= 0);
    end_open(&a, &loop, "a@127.0.0.1",
             &(struct tn_dist_config){ .setup_timeout_ms = 30 });
    end_connect(&a, &mute);
    RUN_UNTIL(&loop, a.downs == 1);
    assert_int_equal(a.why.code, TENON_E_TIMEOUT);
    assert_non_null(strstr(a.why.text, "the handshake was not over after 30"));
    close(fd);
    end_close(&a);
}

/* Reads until `len` bytes are there. */
static void read_raw(int fd, uint8_t *bytes, size_t len)
{
    size_t there = 0;

    while (there < len) {
        ssize_t n = 0;

        RUN_UNTIL(&loop,
                  (n = tn_sock_read(fd, bytes + there, len - there)) > 0);
        there += (size_t)n;
    }
}

/* The peer that a calls has got a challenge from a on another connection, and
 * gives it to a: the answer would be that of the other connection. */
static void a_challenge_of_its_own_is_not_answered(void **state)
{
    static const uint8_t hello[] = "\0\x1aN\0\0\0\x0d\x07\xdf\x7f\xbd"
                                   "\0\0\0\1\0\x0b"
                                   "c@127.0.0.1";
    struct end mirror = { .name = "d@127.0.0.1" };
    struct tn_address at = tn_address_all(AF_INET);
    int listener = tn_sock_listen(&at);
    uint8_t in[64], name[2 + 15 + 11], out[5 + 2 + 19 + 11];
    int called = -1;

    (void)state;
    mirror.port = tn_address_port(&at);
    assert_true(listener >= 0);
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    int fd = raw_connect(&a);

    raw_write(fd, hello, sizeof hello - 1);
    read_raw(fd, in, 5 + 2 + 19 + 11);
    end_connect(&a, &mirror);
    RUN_UNTIL(&loop, (called = accept(listener, NULL, NULL)) >= 0);
    read_raw(called, name, sizeof name);
    memcpy(out, in, sizeof out); /* "ok", flags, the challenge */
    memcpy(out + sizeof out - 11, mirror.name, 11);
    raw_write(called, out, sizeof out);
    RUN_UNTIL(&loop, a.downs == 1);
    assert_int_equal(a.why.code, TENON_E_AUTH);
    assert_non_null(strstr(a.why.text, "its challenge is one that this node"));
    assert_true(raw_is_closed(called));
    close(called);
    close(listener);
    close(fd);
    end_close(&a);
}

static void a_silent_initiator_is_dropped_and_logged(void **state)
{
    (void)state;
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .setup_timeout_ms = 30 });
    int fd = raw_connect(&b);

    RUN_UNTIL(&loop, raw_is_closed(fd));
    assert_non_null(strstr(b.log, "event=handshake_refused peer=127.0.0.1:"));
    assert_non_null(strstr(b.log, "not over after 30 ms"));
    assert_int_equal(b.downs, 0);
    close(fd);
    end_close(&b);
}

static void unfinished_handshakes_are_limited(void **state)
{
    int fds[3];

    (void)state;
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .max_handshakes = 2 });
    for (int i = 0; i < 3; i++) {
        fds[i] = raw_connect(&b);
    }
    /* One of the others makes way for the newest. */
    RUN_UNTIL(&loop, raw_is_closed(fds[0]) || raw_is_closed(fds[1]));
    assert_true(raw_is_closed(fds[0]) != raw_is_closed(fds[1]));
    assert_false(raw_is_closed(fds[2]));
    assert_non_null(strstr(b.log, "too many unfinished handshakes"));
    close(fds[0]);
    close(fds[1]);
    RUN_UNTIL(&loop, strstr(b.log, "closed the connection") != NULL);
    close(fds[2]);
    close(raw_join(&b, "c@127.0.0.1"));
    end_close(&b);
}

static unsigned count_in(const char *log, const char *words)
{
    unsigned count = 0;

    while ((log = strstr(log, words)) != NULL) {
        log += strlen(words);
        count++;
    }
    return count;
}

static void an_address_takes_no_handshakes_of_another(void **state)
{
    int flood[12];

    (void)state;
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .max_handshakes = 4 });
    int slow = raw_connect_from(&b, "127.0.0.2");

    for (int i = 0; i < 12; i++) {
        flood[i] = raw_connect(&b);
        RUN_UNTIL(&loop, i < 3 || count_in(b.log, "unfinished handshakes") ==
                                      (unsigned)i - 2);
    }
    assert_false(raw_is_closed(slow));
    for (int i = 0; i < 12; i++) {
        close(flood[i]);
    }
    close(slow);
    end_close(&b);
}

static void a_handshake_that_goes_on_stays_before_silent_ones(void **state)
{
    static const uint8_t name[] = "\0\x1eN\0\0\0\x0d\x07\xdf\x7f\xbd\0\0\0\1\0"
                                  "\x0f"
                                  "slow0@127.0.0.1";
    int flood[12];

    (void)state;
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .max_handshakes = 4 });
    int slow = raw_connect(&b);

    raw_write(slow, name, sizeof name - 1);
    RUN_UNTIL(&loop, b.hellos == 1);
    for (int i = 0; i < 12; i++) {
        flood[i] = raw_connect(&b);
        RUN_UNTIL(&loop, i < 3 || count_in(b.log, "unfinished handshakes") ==
                                      (unsigned)i - 2);
    }
    assert_int_equal(b.downs, 0);
    for (int i = 0; i < 12; i++) {
        close(flood[i]);
    }
    close(slow);
    end_close(&b);
}

static void one_address_takes_half_of_the_connections(void **state)
{
    (void)state;
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .max_conns = 4 });
    int one = raw_join(&b, "one@127.0.0.1");
    int two = raw_join(&b, "two@127.0.0.1");
    int three = raw_connect(&b);

    RUN_UNTIL(&loop, raw_is_closed(three));
    assert_non_null(strstr(b.log, "too many connections from this address"));
    int other = raw_connect_from(&b, "127.0.0.2");
    int last = raw_connect_from(&b, "127.0.0.2");

    RUN_UNTIL(&loop, b.dist->conn_count == 4);
    close(one);
    close(two);
    close(three);
    close(other);
    close(last);
    end_close(&b);
}

static enum tenon_err attempt(const char *name)
{
    tenon_error err;
    tn_conn *conn = NULL;
    enum tenon_err rc = tn_conn_connect_port(a.dist, name, 1, &conn, &err);

    tn_conn_unref(conn);
    return rc;
}

static void names_at_silent_hosts_take_part_of_the_connections(void **state)
{
    (void)state;
    end_open(&a, &loop, "a@127.0.0.1",
             &(struct tn_dist_config){ .max_conns = 16 });
    assert_int_equal(attempt("b1@127.0.0.3"), TENON_OK);
    assert_int_equal(attempt("b2@127.0.0.3"), TENON_OK);
    assert_int_equal(attempt("b3@127.0.0.3"), TENON_E_LIMIT);
    assert_int_equal(attempt("b3@127.0.0.4"), TENON_OK);
    assert_int_equal(attempt("b4@127.0.0.4"), TENON_OK);
    assert_int_equal(attempt("b5@127.0.0.5"), TENON_OK);
    assert_int_equal(attempt("b6@127.0.0.5"), TENON_OK);
    assert_int_equal(attempt("b7@127.0.0.6"), TENON_OK);
    assert_int_equal(attempt("b8@127.0.0.6"), TENON_OK);
    assert_int_equal(attempt("b9@127.0.0.7"), TENON_E_LIMIT);
    end_close(&a);
}

static void connections_are_limited(void **state)
{
    tenon_error err;
    tn_conn *conn;

    (void)state;
    open_two(&(struct tn_dist_config){ .max_conns = 1 });
    end_join(&a, &b);
    assert_int_equal(
        tn_conn_connect_port(a.dist, "c@127.0.0.1", 1, &conn, &err),
        TENON_E_LIMIT);
    int fd = raw_connect(&b);

    RUN_UNTIL(&loop, raw_is_closed(fd));
    assert_non_null(strstr(b.log, "too many connections"));
    close(fd);
    close_two();
}

/* A port where nobody listens, nor anybody else can: it is taken. */
static int bind_only(uint16_t *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof at;
    int fd = tn_sock_new(AF_INET);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void a_closed_port_says_connection_refused(void **state)
{
    struct end gone = { .name = "gone@127.0.0.1" };
    int fd = bind_only(&gone.port);

    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    end_connect(&a, &gone);
    RUN_UNTIL(&loop, a.downs == 1);
    assert_int_equal(a.why.code, TENON_E_NODEDOWN);
    assert_non_null(strstr(a.why.text, "could not connect to node "
                                       "\"gone@127.0.0.1\" at 127.0.0.1:"));
    assert_non_null(strstr(a.why.text, "Connection refused"));
    end_close(&a);
    close(fd);
}

static void names_that_are_none_are_refused_at_once(void **state)
{
    static const char *const names[] = { "nohost", "@h",    "n@",
                                         "n@h@i",  "a b@h", "a@127.0.0.1" };
    tenon_error err;
    tn_conn *conn;

    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(tn_conn_connect(a.dist, names[i], &conn, &err),
                         TENON_E_NAME);
    }
    end_close(&a);
}

static void stopping_ends_attempts_in_every_step(void **state)
{
    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        open_two(NULL);
        end_connect(&a, &b);
        for (int i = 0; i < turns; i++) {
            uv_run(&loop, UV_RUN_NOWAIT);
        }
        close_two();
        assert_int_equal(a.downs, 1);
        assert_int_equal(b.hellos, b.downs);
    }
}

static void a_host_that_is_unknown_is_named(void **state)
{
    tenon_error err;

    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    /* No host is called so: no name server is asked, there may be none. */
    assert_int_equal(
        tn_conn_connect_port(a.dist, "x@no..such", 1, &a.own, &err), TENON_OK);
    RUN_UNTIL(&loop, a.downs == 1);
    assert_int_equal(a.why.code, TENON_E_NODEDOWN);
    assert_non_null(strstr(a.why.text, "no..such"));
    end_close(&a);
}

static void a_host_name_is_resolved(void **state)
{
    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    end_open(&b, &loop, "b@localhost", NULL);
    end_join(&a, &b);
    close_two();
}

static void stopping_does_not_wait_for_a_name_server(void **state)
{
    tenon_error err;

    (void)state;
    end_open(&a, &loop, "a@127.0.0.1", NULL);
    assert_int_equal(
        tn_conn_connect_port(a.dist, "x@no-such-host.invalid", 1, &a.own, &err),
        TENON_OK);
    /* The thread is started in the first turn. */
    uv_run(&loop, UV_RUN_NOWAIT);
    end_close(&a);
    assert_int_equal(a.downs, 1);
    assert_int_equal(uv_loop_alive(&loop), 0);
}

/* ---- signals ------------------------------------------------------------- */

struct sequence {
    int32_t next[4];
    uint64_t wrong;
};

static void
check_sequence(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct sequence *sequence = end->user;
    int32_t number = message_number(signal);
    int32_t *next = &sequence->next[number >> 24];

    (void)conn;
    sequence->wrong += *next != (number & 0xffffff);
    (*next)++;
}

static void signals_arrive_in_order_both_ways(void **state)
{
    struct sequence at_a = { { 0 }, 0 }, at_b = { { 0 }, 0 };
    const int32_t count = 20000;

    (void)state;
    open_two(NULL);
    end_join(&a, &b);
    a.on_signal = check_sequence;
    a.user = &at_a;
    b.on_signal = check_sequence;
    b.user = &at_b;
    for (int32_t i = 0; i < count; i++) {
        send_number(a.up, a.name, i);
        send_number(b.up, b.name, i);
        if (i % 64 == 0) {
            tn_conn_flush(a.up);
        }
    }
    tn_conn_flush(a.up);
    tn_conn_flush(b.up);
    RUN_UNTIL(&loop,
              a.signals == (uint64_t)count && b.signals == (uint64_t)count);
    assert_int_equal(at_a.wrong, 0);
    assert_int_equal(at_b.wrong, 0);

    struct tn_conn_counters counters;

    tn_conn_counters(a.up, &counters);
    assert_int_equal(counters.frames_in, count);
    assert_int_equal(counters.frames_out, count);
    assert_int_equal(counters.out_waiting, 0);
    assert_true(b.batches > 0 && b.batches <= (unsigned)count);
    close_two();
}

struct sender {
    uv_thread_t thread;
    tn_conn *conn;
    int32_t id;
    int32_t count;
};

static void send_many(void *arg)
{
    struct sender *sender = arg;

    for (int32_t i = 0; i < sender->count; i++) {
        struct message message;

        make_message(&message, "a@127.0.0.1", "sink", sender->id << 24 | i);
        while (tn_conn_send(sender->conn, &message.signal, NULL) ==
               TENON_E_QUEUE_FULL) {
            tn_conn_flush(sender->conn);
            /* The loop's thread is the one that makes room. */
            (void)poll(NULL, 0, 1);
        }
        tn_conn_flush(sender->conn);
    }
}

static void each_threads_signals_keep_their_order(void **state)
{
    struct sequence at_b = { { 0 }, 0 };
    struct sender senders[4];

    (void)state;
    open_two(&(struct tn_dist_config){ .out_max_bytes = 64 * 1024 });
    end_join(&a, &b);
    b.on_signal = check_sequence;
    b.user = &at_b;
    for (int32_t i = 0; i < 4; i++) {
        senders[i] = (struct sender){ .conn = a.up, .id = i, .count = 3000 };
        uv_thread_create(&senders[i].thread, send_many, &senders[i]);
    }
    RUN_UNTIL(&loop, b.signals == 12000);
    for (int i = 0; i < 4; i++) {
        uv_thread_join(&senders[i].thread);
        assert_int_equal(at_b.next[i], 3000);
    }
    assert_int_equal(at_b.wrong, 0);
    close_two();
}

static tenon_term make_binary(uint8_t *bytes, uint32_t len)
{
    bytes[0] = 109;
    tn_put32(bytes + 1, len);
    for (uint32_t i = 0; i < len; i++) {
        bytes[5 + i] = (uint8_t)(i * 7);
    }
    return (tenon_term){ bytes, 5 + len };
}

static void
compare_payload(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    const tenon_term *expected = end->user;

    (void)conn;
    if (signal->payload.len > 5) {
        assert_int_equal(signal->payload.len, expected->len);
        assert_memory_equal(signal->payload.bytes, expected->bytes,
                            expected->len);
    }
}

static void large_messages_arrive_whole_among_small_ones(void **state)
{
    const uint32_t len = LARGE_BYTES;
    uint8_t *bytes = malloc(len + 5);
    struct message message;

    (void)state;
    assert_non_null(bytes);
    tenon_term large = make_binary(bytes, len);

    open_two(NULL);
    end_join(&a, &b);
    b.on_signal = compare_payload;
    b.user = &large;
    make_message(&message, a.name, "sink", 0);
    for (int i = 0; i < 30; i++) {
        message.signal.payload =
            i % 10 == 5 ? large : (tenon_term){ message.payload, 5 };
        assert_int_equal(tn_conn_send(a.up, &message.signal, NULL), TENON_OK);
    }
    tn_conn_flush(a.up);
    RUN_UNTIL(&loop, b.signals == 30);
    close_two();
    free(bytes);
}

#define HELD 500

struct held {
    tn_block *blocks[HELD];
    tenon_term payloads[HELD];
    uint8_t first[HELD];
    int count;
};

static void
hold_payload(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct held *held = end->user;
    const tenon_term own = { (const uint8_t *)"", 0 };

    held->blocks[held->count] = tn_conn_hold(conn, signal->payload);
    assert_non_null(held->blocks[held->count]);
    assert_null(tn_conn_hold(conn, own));
    held->payloads[held->count] = signal->payload;
    held->count++;
}

static void release_all(void *arg)
{
    struct held *held = arg;

    for (int i = 0; i < held->count; i++) {
        tn_block_release(held->blocks[i]);
    }
}

static void held_messages_stay_where_they_are(void **state)
{
    static struct held held;
    uint8_t bytes[1000 + 5];
    struct message message;
    uv_thread_t thread;

    (void)state;
    held.count = 0;
    open_two(NULL);
    end_join(&a, &b);
    b.on_signal = hold_payload;
    b.user = &held;
    make_message(&message, a.name, "sink", 0);
    message.signal.payload = make_binary(bytes, 1000);
    for (int i = 0; i < HELD; i++) {
        bytes[5] = (uint8_t)i;
        assert_int_equal(tn_conn_send(a.up, &message.signal, NULL), TENON_OK);
        /* More at once than a block holds, and then little at a time. */
        if (i >= HELD / 2 && i % 7 == 0) {
            tn_conn_flush(a.up);
            uv_run(&loop, UV_RUN_NOWAIT);
        }
    }
    tn_conn_flush(a.up);
    RUN_UNTIL(&loop, held.count == HELD);
    close_two();
    /* Also after the connection and all of its node are gone. */
    for (int i = 0; i < HELD; i++) {
        bytes[5] = (uint8_t)i;
        assert_memory_equal(held.payloads[i].bytes, bytes, sizeof bytes);
    }
    uv_thread_create(&thread, release_all, &held);
    uv_thread_join(&thread);
}

static void
close_at_once(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    tenon_error why = { .code = TENON_E_DUPLICATE, .text = "enough" };

    (void)signal;
    tn_conn_close(conn, &why);
    tn_conn_close(conn, &why);
    /* Not from inside this callback. */
    assert_int_equal(end->downs, 0);
}

static void nothing_is_delivered_after_a_close(void **state)
{
    (void)state;
    open_two(NULL);
    end_join(&a, &b);
    b.on_signal = close_at_once;
    for (int32_t i = 0; i < 10; i++) {
        send_number(a.up, a.name, i);
    }
    tn_conn_flush(a.up);
    RUN_UNTIL(&loop, b.downs == 1);
    assert_int_equal(b.signals, 1);
    assert_int_equal(b.why.code, TENON_E_DUPLICATE);
    assert_string_equal(b.why.text, "enough");
    RUN_UNTIL(&loop, a.downs == 1);
    close_two();
    assert_int_equal(b.downs, 1);
}

static void sends_after_the_end_fail(void **state)
{
    struct message message;
    tenon_error err;

    (void)state;
    open_two(NULL);
    end_join(&a, &b);
    tn_conn *conn = tn_conn_ref(a.up);

    end_close(&b);
    RUN_UNTIL(&loop, a.downs == 1);
    assert_false(tn_conn_is_up(conn));
    assert_int_equal(
        tn_conn_send(conn, make_message(&message, a.name, "x", 1), &err),
        TENON_E_NODEDOWN);
    tn_conn_flush(conn);
    end_close(&a);
    tn_conn_unref(conn);
}

static void what_was_sent_before_a_close_is_written(void **state)
{
    (void)state;
    open_two(NULL);
    end_join(&a, &b);
    send_number(a.up, a.name, 1);
    end_close(&a);
    RUN_UNTIL(&loop, b.downs == 1);
    assert_int_equal(b.signals, 1);
    end_close(&b);
}

static void exits_to_an_older_incarnation_are_not_sent(void **state)
{
    uint8_t from[80], to[80], reason[20];
    struct tn_signal exit = {
        .kind = TN_SIG_EXIT,
        .from = make_pid(from, "a@127.0.0.1", 1, 1000),
        .to = make_pid(to, "b@127.0.0.1", 1, 999),
        .payload = make_atom(reason, "normal"),
    };

    (void)state;
    open_two(NULL);
    end_join(&a, &b);
    assert_int_equal(tn_conn_send(a.up, &exit, NULL), TENON_E_NOPROC);
    exit.kind = TN_SIG_EXIT2;
    assert_int_equal(tn_conn_send(a.up, &exit, NULL), TENON_OK);
    exit.kind = TN_SIG_EXIT;
    exit.to = make_pid(to, "b@127.0.0.1", 1, 1000);
    assert_int_equal(tn_conn_send(a.up, &exit, NULL), TENON_OK);
    tn_conn_flush(a.up);
    RUN_UNTIL(&loop, b.signals == 2);
    close_two();
}

/* ---- limits -------------------------------------------------------------- */

static void a_peer_that_does_not_read_is_shed_then_closed(void **state)
{
    uint8_t bytes[16 * 1024 + 5], from[80], to[80];
    struct message message;
    tenon_error err;
    enum tenon_err rc;

    (void)state;
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .out_max_bytes = 256 * 1024 });
    int fd = raw_join(&b, "c@127.0.0.1");

    make_message(&message, b.name, "sink", 0);
    message.signal.payload = make_binary(bytes, 16 * 1024);
    do {
        rc = tn_conn_send(b.up, &message.signal, &err);
        tn_conn_flush(b.up);
    } while (rc == TENON_OK);
    assert_int_equal(rc, TENON_E_QUEUE_FULL);
    assert_non_null(strstr(err.text, "expected at most 262144 bytes waiting"));

    /* The reserve, for what the peer waits for. */
    struct tn_signal exit = { .kind = TN_SIG_EXIT2,
                              .from = make_pid(from, b.name, 1, 1000),
                              .to = make_pid(to, "c@127.0.0.1", 1, 2000),
                              .payload = message.signal.payload };
    unsigned taken = 0;

    while ((rc = tn_conn_send(b.up, &exit, &err)) == TENON_OK) {
        taken++;
    }
    assert_int_equal(rc, TENON_E_QUEUE_FULL);
    assert_in_range(taken, 12, 20);
    RUN_UNTIL(&loop, b.downs == 1);
    assert_int_equal(b.why.code, TENON_E_QUEUE_FULL);
    assert_non_null(strstr(b.why.text, "it does not read"));
    close(fd);
    end_close(&b);
}

/* Sends those bytes as a frame and says how the connection ended. */
static enum tenon_err end_of(const void *body, size_t len)
{
    uint8_t head[4];
    unsigned downs = b.downs;
    int fd = raw_join(&b, "c@127.0.0.1");

    tn_put32(head, (uint32_t)len);
    raw_write(fd, head, 4);
    raw_write(fd, body, len);
    RUN_UNTIL(&loop, b.downs > downs);
    assert_true(raw_is_closed(fd));
    close(fd);
    return b.why.code;
}

static void broken_frames_end_only_their_own_connection(void **state)
{
    static const uint8_t link[] = "\x70\x83\x68\x03\x61\x01"
                                  "\x58\x77\x03x@y\0\0\0\1\0\0\0\0\0\0\0\1"
                                  "\x58\x77\x03x@y\0\0\0\2\0\0\0\0\0\0\0\1";

    (void)state;
    open_two(NULL);
    end_join(&a, &b);
    tn_conn *bystander = tn_conn_ref(b.up);

    assert_int_equal(end_of("\x83\x44\0", 3), TENON_E_FRAME_FORM);
    assert_int_equal(end_of("GET / HTTP", 10), TENON_E_FRAME_FORM);
    assert_int_equal(end_of("\x70\x83\x68", 3), TENON_E_TERM_SHORT);
    assert_int_equal(end_of("\x70\x83\x61\x01", 4), TENON_E_CONTROL);
    assert_int_equal(end_of("\x70\x83\x68\x01\x61\x05", 6), TENON_E_CONTROL);
    /* A link from a process of a third node. */
    assert_int_equal(end_of(link, sizeof link - 1), TENON_E_CONTROL);

    assert_true(tn_conn_is_up(bystander));
    send_number(a.up, a.name, 1);
    tn_conn_flush(a.up);
    RUN_UNTIL(&loop, b.signals == 1);
    close_two();
    tn_conn_unref(bystander);
}

static void a_frame_above_the_limit_is_refused_by_its_length(void **state)
{
    (void)state;
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .max_frame_bytes = 1000 });
    int fd = raw_join(&b, "c@127.0.0.1");

    raw_write(fd, "\0\0\x03\xe9", 4);
    RUN_UNTIL(&loop, b.downs == 1);
    assert_int_equal(b.why.code, TENON_E_FRAME_BIG);
    assert_non_null(strstr(b.log, "at most 1000 bytes, got a length of 1001"));
    close(fd);
    end_close(&b);
}

static void unknown_operations_are_counted_and_ignored(void **state)
{
    static const uint8_t frames[] = "\0\0\0\x07\x70\x83\x68\x02\x61\x63\x6a"
                                    "\0\0\0\x08\x70\x83\x68\x01\x61\x63\x83\x6a"
                                    "\0\0\0\0";
    struct tn_conn_counters counters;

    (void)state;
    end_open(&b, &loop, "b@127.0.0.1", NULL);
    int fd = raw_join(&b, "c@127.0.0.1");

    raw_write(fd, frames, sizeof frames - 1);
    RUN_UNTIL(&loop,
              (tn_conn_counters(b.up, &counters), counters.ticks_in == 1));
    assert_int_equal(counters.unknown_ops, 2);
    assert_int_equal(b.signals, 0);
    assert_non_null(strstr(b.log, "event=control_unknown peer=c@127.0.0.1"));
    close(fd);
    end_close(&b);
}

static void frames_behind_the_handshake_are_not_lost(void **state)
{
    struct tn_handshake_config config = { .name = "c@127.0.0.1",
                                          .cookie = ENDS_COOKIE,
                                          .flags = TN_FLAGS_OURS,
                                          .peer = "b@127.0.0.1" };
    struct tn_handshake hs;
    struct tn_buf frame;
    struct message message;
    uint8_t in[512];
    size_t len, used, there = 0;
    ssize_t n;

    (void)state;
    end_open(&b, &loop, "b@127.0.0.1", NULL);
    int fd = raw_connect(&b);

    assert_int_equal(tn_handshake_init(&hs, &config, NULL), TENON_OK);
    const uint8_t *out = tn_handshake_out(&hs, &len);

    raw_write(fd, out, len);
    tn_handshake_sent(&hs, len);
    /* "ok" and the challenge. */
    RUN_UNTIL(&loop, ((n = tn_sock_read(fd, in + there, sizeof in - there)) > 0
                          ? (there += (size_t)n)
                          : 0,
                      there >= 5 + 21 + 11));
    assert_int_equal(tn_handshake_feed(&hs, in, there, &used, NULL),
                     TN_HANDSHAKE_MORE);
    out = tn_handshake_out(&hs, &len);
    tn_buf_init(&frame, 4096);
    assert_int_equal(tn_buf_append(&frame, out, len), TENON_OK);
    assert_int_equal(
        tn_signal_encode(&frame, make_message(&message, "c@127.0.0.1", "s", 1),
                         TN_FLAGS_OURS, NULL),
        TENON_OK);
    raw_write(fd, frame.bytes, frame.len);
    RUN_UNTIL(&loop, b.signals == 1);
    tn_buf_fini(&frame);
    close(fd);
    end_close(&b);
}

/* ---- ticks --------------------------------------------------------------- */

static void idle_connections_live_by_ticks(void **state)
{
    struct tn_conn_counters at_a, at_b;

    (void)state;
    open_two(&(struct tn_dist_config){ .ticktime_ms = 200 });
    end_join(&a, &b);
    RUN_UNTIL(&loop,
              (tn_conn_counters(a.up, &at_a), tn_conn_counters(b.up, &at_b),
               at_a.ticks_in >= 8 && at_b.ticks_in >= 8));
    assert_int_equal(a.downs, 0);
    assert_int_equal(b.downs, 0);
    assert_true(at_a.ticks_out >= 8);
    close_two();
}

static void a_peer_that_is_silent_is_dropped(void **state)
{
    (void)state;
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .ticktime_ms = 40 });
    int fd = raw_join(&b, "c@127.0.0.1");
    uint8_t ticks[64];

    RUN_UNTIL(&loop, b.downs == 1);
    assert_int_equal(b.why.code, TENON_E_TICK);
    assert_non_null(strstr(b.log, "nothing was heard for 50 ms"));
    /* Five looks: none at the first, because the handshake was written since;
     * none at the last. */
    assert_int_equal(tn_sock_read(fd, ticks, sizeof ticks), RAW_BURST(12));
    close(fd);
    end_close(&b);
}

int main(void)
{
#define LOOP_TEST(test)                                                        \
    cmocka_unit_test_setup_teardown(test, open_loop, close_loop)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(both_ends_learn_who_the_other_is),
        LOOP_TEST(another_cookie_is_refused_and_named_at_both_ends),
        LOOP_TEST(an_initiator_may_give_up_before_it_says_anything),
        LOOP_TEST(a_cookie_of_one_node_is_for_both_directions),
        LOOP_TEST(a_cookie_of_another_node_is_not_looked_at),
        LOOP_TEST(a_cookie_is_changed_and_taken_back),
        LOOP_TEST(cookies_of_nodes_are_limited),
        LOOP_TEST(missing_flags_are_refused_and_named),
        LOOP_TEST(each_refusing_status_ends_the_attempt),
        LOOP_TEST(simultaneous_connects_leave_one_connection),
        LOOP_TEST(a_restarted_peer_takes_the_place_of_its_former_self),
        LOOP_TEST(a_peer_that_keeps_its_connection_gives_the_new_one_up),
        LOOP_TEST(a_silent_acceptor_is_given_up),
        LOOP_TEST(a_challenge_of_its_own_is_not_answered),
        LOOP_TEST(a_silent_initiator_is_dropped_and_logged),
        LOOP_TEST(unfinished_handshakes_are_limited),
        LOOP_TEST(an_address_takes_no_handshakes_of_another),
        LOOP_TEST(a_handshake_that_goes_on_stays_before_silent_ones),
        LOOP_TEST(one_address_takes_half_of_the_connections),
        LOOP_TEST(names_at_silent_hosts_take_part_of_the_connections),
        LOOP_TEST(connections_are_limited),
        LOOP_TEST(a_closed_port_says_connection_refused),
        LOOP_TEST(names_that_are_none_are_refused_at_once),
        LOOP_TEST(stopping_ends_attempts_in_every_step),
        LOOP_TEST(a_host_that_is_unknown_is_named),
        LOOP_TEST(a_host_name_is_resolved),
        LOOP_TEST(stopping_does_not_wait_for_a_name_server),
        LOOP_TEST(signals_arrive_in_order_both_ways),
        LOOP_TEST(each_threads_signals_keep_their_order),
        LOOP_TEST(large_messages_arrive_whole_among_small_ones),
        LOOP_TEST(held_messages_stay_where_they_are),
        LOOP_TEST(nothing_is_delivered_after_a_close),
        LOOP_TEST(sends_after_the_end_fail),
        LOOP_TEST(what_was_sent_before_a_close_is_written),
        LOOP_TEST(exits_to_an_older_incarnation_are_not_sent),
        LOOP_TEST(a_peer_that_does_not_read_is_shed_then_closed),
        LOOP_TEST(broken_frames_end_only_their_own_connection),
        LOOP_TEST(a_frame_above_the_limit_is_refused_by_its_length),
        LOOP_TEST(unknown_operations_are_counted_and_ignored),
        LOOP_TEST(frames_behind_the_handshake_are_not_lost),
        LOOP_TEST(idle_connections_live_by_ticks),
        LOOP_TEST(a_peer_that_is_silent_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
