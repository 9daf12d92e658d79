/* SPDX-License-Identifier: Apache-2.0 */
/* TLS below the handshake of the distribution: the step between a socket that
 * is connected and the handshake, and the bytes of both from then on. */
#include <errno.h>

#include "base/error.h"
#include "base/log.h"
#include "dist/conn_impl.h"

/* ---- bytes --------------------------------------------------------------- */

ssize_t tn_secure_read(tn_conn *conn, void *bytes, size_t len)
{
    return conn->tls != NULL ? tn_tls_read(conn->tls, bytes, len)
                             : tn_sock_read(conn->fd, bytes, len);
}

ssize_t tn_secure_write(tn_conn *conn, const void *bytes, size_t len)
{
    return conn->tls != NULL ? tn_tls_write(conn->tls, bytes, len)
                             : tn_sock_write(conn->fd, bytes, len);
}

void tn_secure_fail(tn_conn *conn, int sys_errno, const char *doing)
{
    char address[TN_ADDRESS_TEXT_BYTES];
    const char *peer = tn_conn_print(conn, address);
    tenon_error why = { 0 };

    if (conn->tls != NULL && sys_errno == EPROTO) {
        tn_tls_why(conn->tls, &why);
        tn_conn_fail(conn, TENON_E_TLS, "%s node \"%s\": %s", doing, peer,
                     why.text);
    } else {
        tn_conn_fail_sys(conn,
                         sys_errno == ENOMEM ? TENON_E_NOMEM : TENON_E_CLOSED,
                         sys_errno, "%s node \"%s\"", doing, peer);
    }
}

bool tn_secure_write_wants_bytes(tn_conn *conn)
{
    return conn->tls != NULL && tn_tls_write_wants_bytes(conn->tls);
}

bool tn_secure_read_wants_room(tn_conn *conn)
{
    return conn->tls != NULL && tn_tls_read_wants_room(conn->tls);
}

void tn_secure_look_again(tn_conn *conn)
{
    if (conn->tls == NULL || conn->state >= TN_CONN_CLOSING ||
        !tn_tls_has_buffered(conn->tls)) {
        return;
    }
    uv_mutex_lock(&conn->lock);
    tn_dist_want(conn);
    uv_mutex_unlock(&conn->lock);
}

void tn_secure_attend(tn_conn *conn)
{
    bool may_read = (conn->poll_events & UV_READABLE) != 0;

    if (conn->tls == NULL || !may_read || conn->large != NULL ||
        conn->state >= TN_CONN_CLOSING || !tn_tls_has_buffered(conn->tls)) {
        return;
    }
    if (tn_conn_is_spent(conn)) {
        tn_conn_postpone(conn, UV_READABLE);
    } else if (conn->state == TN_CONN_SHAKING_HANDS) {
        tn_setup_readable(conn);
    } else if (conn->state == TN_CONN_UP) {
        tn_in_readable(conn);
    }
}

/* ---- the handshake of TLS ------------------------------------------------ */

/* The peer's end, or its time is over. What it has sent meanwhile is thrown
 * away. */
static void wait_for_end(tn_conn *conn)
{
    uint8_t bytes[4096];
    size_t all = 0;
    ssize_t n;

    do {
        n = tn_sock_read(conn->fd, bytes, sizeof bytes);
        all += n > 0 ? (size_t)n : 0;
    } while (n > 0 && all < TN_READ_BURST_BYTES);
    if (n <= 0 && n != -EAGAIN) {
        tn_conn_close(conn, &conn->why);
    }
}

/* A socket that is closed with bytes unread resets the connection, and the
 * peer would perhaps not see the alert: in TLS 1.3 a client has gone on by
 * then. So one that has called gets the time to read it. */
static void fail(tn_conn *conn, const tenon_error *what)
{
    char address[TN_ADDRESS_TEXT_BYTES];
    tenon_error why;

    (void)tn_error(&why, what->code, "connecting with node \"%s\": %s",
                   tn_conn_print(conn, address), what->text);
    if (conn->is_initiator || what->code != TENON_E_TLS) {
        tn_conn_close(conn, &why);
        return;
    }
    conn->why = why;
    tn_sock_end(conn->fd);
    tn_conn_poll(conn, UV_READABLE);
    wait_for_end(conn);
}

static void log_secured(const tn_conn *conn)
{
    struct tn_tls_facts facts = tn_tls_facts(conn->tls);
    char address[TN_ADDRESS_TEXT_BYTES];

    tn_log(conn->dist->config.log, TN_DEBUG, "secured", "peer",
           tn_conn_print(conn, address), "version", facts.version, "cipher",
           facts.cipher, "resumed", facts.is_resumed ? "true" : "false", NULL);
}

void tn_secure_ready(tn_conn *conn)
{
    tenon_error err = { 0 };

    if (conn->why.code != TENON_OK) {
        wait_for_end(conn);
        return;
    }
    int done = tn_tls_handshake(conn->tls, &err);

    if (done < 0) {
        fail(conn, &err);
    } else if (done == 0) {
        tn_conn_poll(conn,
                     tn_tls_wants_room(conn->tls) ? UV_WRITABLE : UV_READABLE);
    } else {
        log_secured(conn);
        tn_setup_begin(conn);
        tn_secure_look_again(conn);
    }
}

void tn_secure_begin(tn_conn *conn)
{
    tn_dist *dist = conn->dist;

    tn_setup_limit(conn);
    tn_sock_no_delay(conn->fd);
    if (dist->tls == NULL) {
        tn_setup_begin(conn);
        return;
    }
    tn_tls *tls = tn_tls_new(dist->tls, tn_tls_socket(conn->fd),
                             conn->is_initiator ? conn->name : NULL);

    if (tls == NULL) {
        tn_conn_fail(conn, TENON_E_NOMEM, "TLS: out of memory");
        return;
    }
    uv_mutex_lock(&conn->lock);
    conn->tls = tls;
    uv_mutex_unlock(&conn->lock);
    conn->state = TN_CONN_SECURING;
    /* A signature takes milliseconds. */
    if (tn_conn_is_spent(conn)) {
        tn_conn_postpone(conn, UV_READABLE);
    } else {
        tn_secure_ready(conn);
    }
}
