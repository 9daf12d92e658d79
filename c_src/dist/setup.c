/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake over a socket: feeds the state machine, asks the owner, makes
 * the connection one that is up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "dist/conn_impl.h"
#include "dist/flags.h"

/* While the owner has still to end what an older connection has left. */
#define LOOK_AGAIN_MS 1u

/* ---- deadline ------------------------------------------------------------ */

static void on_deadline(uv_timer_t *timer)
{
    tn_conn *conn = timer->data;
    char address[TN_ADDRESS_TEXT_BYTES];

    tn_conn_fail(conn, TENON_E_TIMEOUT,
                 "handshake with node \"%s\": not over after %u ms",
                 tn_conn_print(conn, address),
                 conn->dist->config.setup_timeout_ms);
}

/* ---- writing ------------------------------------------------------------- */

/* Writes as much as the socket takes; false when the connection was closed. */
static bool write_out(tn_conn *conn)
{
    size_t len;
    const uint8_t *bytes = tn_handshake_out(conn->handshake, &len);

    if (len == 0) {
        return true;
    }
    ssize_t n = tn_secure_write(conn, bytes, len);

    if (n >= 0) {
        tn_handshake_sent(conn->handshake, (size_t)n);
        uv_mutex_lock(&conn->lock);
        conn->bytes_out += (uint64_t)n;
        uv_mutex_unlock(&conn->lock);
    } else if (n != -EAGAIN) {
        tn_secure_fail(conn, (int)-n, "handshake with");
        return false;
    }
    return true;
}

/* Watches for what the handshake waits for: bytes unless it waits for closing
 * connections, room when some output is left. */
static void watch(tn_conn *conn)
{
    size_t left;

    tn_handshake_out(conn->handshake, &left);
    tn_conn_poll(conn,
                 (uv_is_active((uv_handle_t *)&conn->later) ? 0 : UV_READABLE) |
                     (left > 0 ? UV_WRITABLE : 0));
}

void tn_setup_writable(tn_conn *conn)
{
    if (write_out(conn)) {
        watch(conn);
    }
}

/* ---- events -------------------------------------------------------------- */

static void end_failed(tn_conn *conn, const tenon_error *why)
{
    /* Once, and as far as it goes: the reason is ours, not the socket's. */
    size_t len;
    const uint8_t *bytes = tn_handshake_out(conn->handshake, &len);

    if (len > 0) {
        (void)tn_secure_write(conn, bytes, len);
    }
    tn_conn_close(conn, why);
}

static void keep_peer(tn_conn *conn)
{
    const struct tn_handshake *hs = conn->handshake;

    memcpy(conn->name, hs->peer_name, sizeof conn->name);
    conn->flags = hs->peer_flags;
    conn->creation = hs->peer_creation;
}

static bool open_account(tn_conn *conn)
{
    tn_budget *budget = conn->dist->config.budget;

    if (budget != NULL) {
        conn->account = tn_account_of(budget, conn->name);
    }
    if (conn->tls != NULL) {
        conn->tls_charged = TN_TLS_BYTES;
        tn_account_charge_always(conn->account, conn->tls_charged);
    }
    return budget == NULL || conn->account != NULL;
}

static void come_up(tn_conn *conn)
{
    const struct tn_dist_config *config = &conn->dist->config;
    size_t len;
    const uint8_t *left = tn_handshake_out(conn->handshake, &len);

    keep_peer(conn);
    if (!open_account(conn) || tn_out_first(conn, left, len) < 0) {
        tn_conn_fail(conn, TENON_E_NOMEM, "handshake: out of memory");
        return;
    }
    uv_timer_stop(&conn->timer);
    free(conn->handshake);
    conn->handshake = NULL;
    tn_conn_handshake_over(conn);
    conn->state = TN_CONN_UP;
    conn->bytes_in_seen = conn->bytes_in;
    atomic_store_explicit(&conn->is_up, true, memory_order_release);
    tn_conn_poll(conn, UV_READABLE);
    /* The ack goes before what the owner sends from here on. */
    tn_conn_flush(conn);
    config->events->on_up(config->user, conn);
}

static void finish_acceptor(tn_conn *conn)
{
    tenon_error err;

    if (tn_handshake_ack(conn->handshake, &err) != TN_HANDSHAKE_DONE) {
        tn_conn_close(conn, &err);
        return;
    }
    come_up(conn);
    if (conn->state == TN_CONN_UP) {
        tn_in_deliver(conn);
    }
    if (conn->state == TN_CONN_UP) {
        tn_in_rest(conn);
        tn_secure_look_again(conn);
    }
}

static bool may_come_up(tn_conn *conn)
{
    const struct tn_dist_config *config = &conn->dist->config;

    return config->events->may_come_up == NULL ||
           config->events->may_come_up(config->user, conn);
}

static void on_later(uv_timer_t *timer)
{
    tn_conn *conn = timer->data;

    if (may_come_up(conn)) {
        finish_acceptor(conn);
    } else {
        uv_timer_start(timer, on_later, LOOK_AGAIN_MS, 0);
    }
}

/* The peer may use the new connection once it has the ack, so that the owner
 * must have heard of the old one's end by then. libuv calls close callbacks at
 * the end of a turn, timers at the start of the next. */
static void authenticated(tn_conn *conn)
{
    const struct tn_dist_config *config = &conn->dist->config;

    config->events->on_authenticated(config->user, conn);
    if (conn->state != TN_CONN_SHAKING_HANDS) {
        return;
    }
    if (conn->dist->closing_count > 0 || !may_come_up(conn)) {
        uv_timer_start(&conn->later, on_later, 0, 0);
    } else {
        finish_acceptor(conn);
    }
}

static enum tn_handshake_event hello(tn_conn *conn, tenon_error *err)
{
    const struct tn_dist_config *config = &conn->dist->config;

    keep_peer(conn);
    conn->is_known = true;
    enum tn_status status =
        config->events->on_hello(config->user, conn, conn->name);

    if (conn->state != TN_CONN_SHAKING_HANDS) {
        return TN_HANDSHAKE_MORE;
    }
    return tn_handshake_status(conn->handshake, status,
                               tn_dist_cookie_of(conn->dist, conn->name), err);
}

static enum tn_handshake_event alive(tn_conn *conn, tenon_error *err)
{
    const struct tn_dist_config *config = &conn->dist->config;
    bool replace = config->events->on_alive(config->user, conn);

    if (conn->state != TN_CONN_SHAKING_HANDS) {
        return TN_HANDSHAKE_MORE;
    }
    return tn_handshake_alive(conn->handshake, replace, err);
}

static void
handle(tn_conn *conn, enum tn_handshake_event what, tenon_error *err)
{
    if (what == TN_HANDSHAKE_HELLO) {
        what = hello(conn, err);
    } else if (what == TN_HANDSHAKE_ALIVE) {
        what = alive(conn, err);
    }
    switch (what) {
    case TN_HANDSHAKE_AUTHENTICATED:
        authenticated(conn);
        return;
    case TN_HANDSHAKE_DONE:
        come_up(conn);
        return;
    case TN_HANDSHAKE_FAILED:
        end_failed(conn, err);
        return;
    case TN_HANDSHAKE_MORE:
    case TN_HANDSHAKE_HELLO:
    case TN_HANDSHAKE_ALIVE:
        return;
    }
}

/* ---- reading ------------------------------------------------------------- */

static bool goes_on(const tn_conn *conn)
{
    return conn->state == TN_CONN_SHAKING_HANDS &&
           !uv_is_active((const uv_handle_t *)&conn->later);
}

static void feed(tn_conn *conn)
{
    while (goes_on(conn) && conn->start < conn->end) {
        tenon_error err;
        size_t used;
        enum tn_handshake_event what =
            tn_handshake_feed(conn->handshake, conn->block->bytes + conn->start,
                              conn->end - conn->start, &used, &err);

        conn->start += used;
        handle(conn, what, &err);
    }
}

/* When the cookies differ a BEAM node just closes: no packet says so. */
static void end_read(tn_conn *conn, ssize_t result)
{
    if (result == 0 && conn->handshake->state == TN_HANDSHAKE_WAIT_ACK) {
        tn_conn_fail(conn, TENON_E_AUTH,
                     "handshake with node \"%s\": it closed the connection "
                     "when it got this node's digest: the cookies differ",
                     conn->name);
        return;
    }
    tn_in_fail(conn, result);
}

void tn_setup_readable(tn_conn *conn)
{
    ssize_t n = tn_in_read(conn, TN_BLOCK_BYTES);

    if (n <= 0) {
        end_read(conn, n);
        return;
    }
    feed(conn);
    if (conn->state == TN_CONN_SHAKING_HANDS && write_out(conn)) {
        watch(conn);
    }
    if (conn->state == TN_CONN_UP) {
        tn_in_deliver(conn);
    }
    if (conn->state == TN_CONN_UP || conn->state == TN_CONN_SHAKING_HANDS) {
        tn_in_rest(conn);
        tn_secure_look_again(conn);
    }
}

void tn_setup_limit(tn_conn *conn)
{
    if (!conn->is_initiator) {
        uv_timer_start(&conn->timer, on_deadline,
                       conn->dist->config.setup_timeout_ms, 0);
    }
}

/* Those of all connections that are being set up, in both directions. */
static bool is_own_challenge(void *user, uint32_t challenge)
{
    const tn_dist *dist = user;
    const tn_conn *conn;

    LIST_FOREACH(conn, &dist->conns, link)
    {
        if (conn->handshake != NULL &&
            conn->handshake->challenge == challenge) {
            return true;
        }
    }
    return false;
}

void tn_setup_begin(tn_conn *conn)
{
    const struct tn_dist_config *config = &conn->dist->config;
    struct tn_handshake_config handshake = {
        .name = config->name,
        .cookie = tn_dist_cookie_of(conn->dist, conn->name),
        .creation = config->creation,
        .flags = config->flags,
        .mandatory = TN_FLAGS_MANDATORY,
        .peer = conn->is_initiator ? conn->name : NULL,
        .wide = conn->tls != NULL,
        .is_own_challenge = is_own_challenge,
        .user = conn->dist,
    };
    tenon_error err = { 0 };

    if (conn->is_initiator && config->events->on_stream != NULL &&
        !config->events->on_stream(config->user, conn, &err)) {
        tn_conn_close(conn, &err);
        return;
    }
    conn->handshake = malloc(sizeof *conn->handshake);
    if (conn->handshake == NULL) {
        tn_conn_fail(conn, TENON_E_NOMEM, "handshake: out of memory");
        return;
    }
    if (tn_handshake_init(conn->handshake, &handshake, &err) < 0) {
        tn_conn_close(conn, &err);
        return;
    }
    conn->state = TN_CONN_SHAKING_HANDS;
    if (write_out(conn)) {
        watch(conn);
    }
}
