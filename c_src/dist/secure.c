/* SPDX-License-Identifier: Apache-2.0 */
/* TLS below the handshake of the distribution: the step between a socket that
 * is connected and the handshake, and the bytes of both from then on. */
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

    if (conn->tls == NULL || !may_read || conn->state >= TN_CONN_CLOSING ||
        !tn_tls_has_buffered(conn->tls)) {
        return;
    }
    if (conn->state == TN_CONN_SHAKING_HANDS) {
        tn_setup_readable(conn);
    } else if (conn->state == TN_CONN_UP) {
        tn_in_readable(conn);
    }
}

/* ---- the handshake of TLS ------------------------------------------------ */

static void fail(tn_conn *conn, const tenon_error *why)
{
    char address[TN_ADDRESS_TEXT_BYTES];

    tn_conn_fail(conn, why->code, "connecting with node \"%s\": %s",
                 tn_conn_print(conn, address), why->text);
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
    tn_secure_ready(conn);
}
