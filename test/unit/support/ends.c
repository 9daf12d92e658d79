/* SPDX-License-Identifier: Apache-2.0 */
/* The recording owner, and the peer by hand. */
#include "unit/support/ends.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "dist/bytes.h"
#include "dist/flags.h"
#include "dist/sock.h"
#include "unit/support/deadline.h"
#include "unit/support/hash_key.h"

/* ---- the owner ----------------------------------------------------------- */

static void note(struct end *end, char letter)
{
    size_t len = strlen(end->order);

    if (len + 1 < sizeof end->order) {
        end->order[len] = letter;
    }
}

static void forget(tn_conn **kept)
{
    tn_conn_unref(*kept);
    *kept = NULL;
}

static enum tn_status on_hello(void *user, tn_conn *conn, const char *peer)
{
    struct end *end = user;

    end->hellos++;
    note(end, 'h');
    assert_string_equal(peer, tn_conn_name(conn));
    if (end->resolve_names && end->own != NULL) {
        if (strcmp(end->name, peer) > 0) {
            return TN_STATUS_NOK;
        }
        tenon_error why = { .code = TENON_E_DUPLICATE, .text = "given up" };

        tn_conn_close(end->own, &why);
        return TN_STATUS_OK_SIMULTANEOUS;
    }
    return end->say;
}

static bool on_alive(void *user, tn_conn *conn)
{
    struct end *end = user;

    (void)conn;
    end->alives++;
    note(end, 'A');
    return end->replace;
}

static void on_authenticated(void *user, tn_conn *conn)
{
    struct end *end = user;

    (void)conn;
    end->authenticated++;
    note(end, 'a');
    if (end->up != NULL && end->say == TN_STATUS_ALIVE) {
        tenon_error why = { .code = TENON_E_DUPLICATE, .text = "replaced" };

        tn_conn_close(end->up, &why);
    }
}

static void on_up(void *user, tn_conn *conn)
{
    struct end *end = user;

    end->ups++;
    note(end, 'u');
    forget(&end->up);
    end->up = tn_conn_ref(conn);
    if (end->own == conn) {
        forget(&end->own);
    }
}

static void on_signal(void *user, tn_conn *conn, const struct tn_signal *signal)
{
    struct end *end = user;

    end->signals++;
    end->last = (struct tn_signal){ .kind = signal->kind,
                                    .id = signal->id,
                                    .flags = signal->flags };
    if (end->on_signal != NULL) {
        end->on_signal(end, conn, signal);
    }
}

static void on_batch_end(void *user, tn_conn *conn)
{
    struct end *end = user;

    end->batches++;
    tn_conn_flush(conn);
}

static void
on_down(void *user, tn_conn *conn, const tenon_error *why, bool was_up)
{
    struct end *end = user;

    end->downs++;
    note(end, 'd');
    end->why = *why;
    end->was_up = was_up;
    if (end->own == conn) {
        forget(&end->own);
    }
    if (end->up == conn) {
        forget(&end->up);
    }
}

static void on_closed(void *user)
{
    struct end *end = user;

    end->closed++;
}

static bool on_stream(void *user, tn_conn *conn, tenon_error *why)
{
    struct end *end = user;

    (void)conn;
    *why = (tenon_error){ .code = TENON_E_REFUSED, .text = "unwanted" };
    return !end->refuse_streams;
}

static const struct tn_conn_events events = {
    .on_stream = on_stream,
    .on_hello = on_hello,
    .on_alive = on_alive,
    .on_authenticated = on_authenticated,
    .on_up = on_up,
    .on_signal = on_signal,
    .on_batch_end = on_batch_end,
    .on_down = on_down,
    .on_closed = on_closed,
};

/* Written by the loop thread only. */
static void keep_line(void *user, int level, const char *line, size_t len)
{
    struct end *end = user;

    (void)level;
    if (len < sizeof end->log - end->log_len) {
        memcpy(end->log + end->log_len, line, len);
        end->log_len += len;
    }
}

/* ---- opening, closing ---------------------------------------------------- */

void end_open(struct end *end,
              uv_loop_t *loop,
              const char *name,
              const struct tn_dist_config *config)
{
    struct tn_dist_config filled = { .loop = NULL };
    tenon_error err = { .text = "" };

    memset(end, 0, sizeof *end);
    snprintf(end->name, sizeof end->name, "%s", name);
    end->loop = loop;
    end->log_to = (struct tn_log){ .write = keep_line, .user = end };
    if (config != NULL) {
        filled = *config;
    }
    filled.loop = loop;
    filled.name = name;
    filled.cookie = filled.cookie != NULL ? filled.cookie : ENDS_COOKIE;
    filled.flags = filled.flags != 0 ? filled.flags : TN_FLAGS_OURS;
    filled.setup_timeout_ms =
        filled.setup_timeout_ms != 0 ? filled.setup_timeout_ms : DEADLINE_MS;
    filled.creation = filled.creation != 0 ? filled.creation : 1000;
    filled.hash_key = &test_hash_key;
    filled.log = &end->log_to;
    filled.events = &events;
    filled.user = end;
    if (tn_dist_new(&filled, &end->dist, &err) < 0 ||
        tn_dist_listen(end->dist, 0, 0, &end->port, &err) < 0) {
        fail_msg("%s", err.text);
    }
}

void end_close(struct end *end)
{
    tn_dist_free(end->dist);
    RUN_UNTIL(end->loop, end->closed == 1);
    forget(&end->up);
    forget(&end->own);
}

void end_connect(struct end *from, const struct end *to)
{
    tenon_error err;
    tn_conn *conn;

    if (tn_conn_connect_port(from->dist, to->name, to->port, &conn, &err) < 0) {
        fail_msg("%s", err.text);
    }
    forget(&from->own);
    from->own = conn;
}

void end_join(struct end *from, struct end *to)
{
    unsigned from_ups = from->ups;
    unsigned to_ups = to->ups;

    end_connect(from, to);
    RUN_UNTIL(from->loop, from->ups > from_ups && to->ups > to_ups);
}

uint64_t end_deadline(void)
{
    return tn_now_ms() + DEADLINE_MS;
}

static void on_turn_over(uv_timer_t *timer)
{
    (void)timer;
}

static void on_turn_closed(uv_handle_t *turn)
{
    turn->data = NULL;
}

/* A timer of its own ends the turn when nothing else does: a condition may
 * hang on another thread or on a raw socket. It repeats: one that is due before
 * the loop polls would leave the loop waiting for something else. */
void end_turn(uv_loop_t *loop,
              uint64_t deadline,
              const char *waiting_for,
              const char *file,
              int line)
{
    uv_timer_t turn;

    if (tn_now_ms() > deadline) {
        fail_msg("%s:%d: waited too long for: %s", file, line, waiting_for);
    }
    uv_timer_init(loop, &turn);
    turn.data = &turn;
    uv_timer_start(&turn, on_turn_over, 5, 5);
    uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&turn, on_turn_closed);
    /* Its memory is on this stack. */
    while (turn.data != NULL) {
        uv_run(loop, UV_RUN_NOWAIT);
    }
}

/* ---- a peer by hand ------------------------------------------------------ */

int raw_connect(const struct end *to)
{
    return raw_connect_from(to, "127.0.0.1");
}

int raw_connect_from(const struct end *to, const char *source)
{
    struct tn_address address = tn_address_loopback(AF_INET);
    struct tn_address from;
    int fd = tn_sock_new(AF_INET);

    tn_address_set_port(&address, to->port);
    assert_true(fd >= 0);
    assert_true(tn_address_parse(source, AF_INET, &from));
    assert_int_equal(bind(fd, &from.at.any, tn_address_len(&from)), 0);
    assert_true(tn_sock_connect(fd, &address) >= 0);
    struct pollfd ready = { .fd = fd, .events = POLLOUT };

    assert_int_equal(poll(&ready, 1, (int)DEADLINE_MS), 1);
    assert_int_equal(tn_sock_connected(fd), 0);
    return fd;
}

void raw_write(int fd, const void *bytes, size_t len)
{
    assert_int_equal(tn_sock_write(fd, bytes, len), (ssize_t)len);
}

bool raw_is_closed(int fd)
{
    char bytes[4096];
    ssize_t n;

    while ((n = tn_sock_read(fd, bytes, sizeof bytes)) > 0) {
    }
    return n != -EAGAIN;
}

static enum tn_handshake_event step(int fd, struct tn_handshake *hs)
{
    uint8_t byte;
    size_t len, used;
    const uint8_t *out = tn_handshake_out(hs, &len);

    if (len > 0) {
        raw_write(fd, out, len);
        tn_handshake_sent(hs, len);
    }
    /* One by one, so that nothing behind the handshake is taken. */
    while (tn_sock_read(fd, &byte, 1) == 1) {
        enum tn_handshake_event event =
            tn_handshake_feed(hs, &byte, 1, &used, NULL);

        if (event != TN_HANDSHAKE_MORE) {
            return event;
        }
    }
    return TN_HANDSHAKE_MORE;
}

int raw_handshake(const struct end *to, const char *name)
{
    struct tn_handshake_config config = {
        .name = name,
        .cookie = ENDS_COOKIE,
        .creation = 2000,
        .flags = TN_FLAGS_OURS,
        .mandatory = TN_FLAGS_MANDATORY,
        .peer = to->name,
    };
    struct tn_handshake hs;
    int fd = raw_connect(to);
    enum tn_handshake_event event = TN_HANDSHAKE_MORE;

    assert_int_equal(tn_handshake_init(&hs, &config, NULL), TENON_OK);
    RUN_UNTIL(to->loop, (event = step(fd, &hs)) != TN_HANDSHAKE_MORE);
    assert_int_equal(event, TN_HANDSHAKE_DONE);
    return fd;
}

int raw_join(struct end *to, const char *name)
{
    unsigned ups = to->ups;
    int fd = raw_handshake(to, name);

    RUN_UNTIL(to->loop, to->ups > ups);
    return fd;
}

/* ---- terms --------------------------------------------------------------- */

tenon_term make_atom(uint8_t *buf, const char *text)
{
    size_t len = strlen(text);

    buf[0] = 119;
    buf[1] = (uint8_t)len;
    memcpy(buf + 2, text, len);
    return (tenon_term){ buf, len + 2 };
}

tenon_term
make_pid(uint8_t *buf, const char *node, uint32_t id, uint32_t creation)
{
    buf[0] = 88;
    uint8_t *at = buf + 1 + make_atom(buf + 1, node).len;

    at = tn_add32(at, id);
    at = tn_add32(at, 0);
    at = tn_add32(at, creation);
    return (tenon_term){ buf, (size_t)(at - buf) };
}

const struct tn_signal *make_message(struct message *message,
                                     const char *node,
                                     const char *to,
                                     int32_t n)
{
    message->payload[0] = 98;
    tn_put32(message->payload + 1, (uint32_t)n);
    message->signal = (struct tn_signal){
        .kind = TN_SIG_SEND_NAME,
        .from = make_pid(message->from, node, 1, 1000),
        .to = make_atom(message->to, to),
        .payload = { message->payload, 5 },
    };
    return &message->signal;
}

int32_t message_number(const struct tn_signal *signal)
{
    return (int32_t)tn_get32(signal->payload.bytes + 1);
}
