/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life: made, watched, closed, told about, released. Reading,
 * writing and setting up are in files of their own. */
#include "dist/conn.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "dist/conn_impl.h"

/* ---- made ---------------------------------------------------------------- */

tn_conn *tn_conn_new(tn_dist *dist, bool is_initiator)
{
    tn_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL) {
        return NULL;
    }
    if (uv_mutex_init(&conn->lock) != 0) {
        free(conn);
        return NULL;
    }
    atomic_init(&conn->refs, 1);
    conn->dist = dist;
    conn->is_initiator = is_initiator;
    conn->fd = -1;
    conn->whole = TN_FRAME_HEAD_BYTES;
    tn_buf_init(&conn->pending, SIZE_MAX);
    tn_buf_init(&conn->writing, SIZE_MAX);
    uv_timer_init(dist->config.loop, &conn->timer);
    uv_timer_init(dist->config.loop, &conn->later);
    conn->timer.data = conn;
    conn->later.data = conn;
    conn->open_handles = 2;
    LIST_INSERT_HEAD(&dist->conns, conn, link);
    dist->conn_count++;
    if (!is_initiator) {
        LIST_INSERT_HEAD(&dist->handshakes, conn, handshake_link);
        dist->handshake_count++;
    }
    return conn;
}

void tn_conn_handshake_over(tn_conn *conn)
{
    if (!conn->is_initiator) {
        LIST_REMOVE(conn, handshake_link);
        conn->dist->handshake_count--;
    }
}

tn_conn *tn_conn_ref(tn_conn *conn)
{
    atomic_fetch_add_explicit(&conn->refs, 1, memory_order_relaxed);
    return conn;
}

void tn_conn_unref(tn_conn *conn)
{
    if (conn == NULL ||
        atomic_fetch_sub_explicit(&conn->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    free(conn->resolving);
    tn_account_discharge(conn->account, conn->tls_charged);
    tn_account_unref(conn->account);
    tn_large_free(conn);
    tn_buf_fini(&conn->pending);
    tn_buf_fini(&conn->writing);
    uv_mutex_destroy(&conn->lock);
    free(conn);
}

/* ---- asked --------------------------------------------------------------- */

const char *tn_conn_name(const tn_conn *conn)
{
    return conn->name;
}

uint64_t tn_conn_flags(const tn_conn *conn)
{
    return conn->flags;
}

uint32_t tn_conn_creation(const tn_conn *conn)
{
    return conn->creation;
}

bool tn_conn_is_initiator(const tn_conn *conn)
{
    return conn->is_initiator;
}

bool tn_conn_is_shaking_hands(const tn_conn *conn)
{
    return conn->state == TN_CONN_SHAKING_HANDS;
}

bool tn_conn_is_up(const tn_conn *conn)
{
    return atomic_load_explicit(&conn->is_up, memory_order_acquire);
}

tn_account *tn_conn_account(const tn_conn *conn)
{
    return conn->account;
}

bool tn_conn_is_crowded(const tn_conn *conn)
{
    return tn_crowd_is_there(&conn->crowd, conn->read_ns);
}

void tn_conn_set_user(tn_conn *conn, void *user)
{
    conn->user = user;
}

void *tn_conn_user(const tn_conn *conn)
{
    return conn->user;
}

void tn_conn_counters(tn_conn *conn, struct tn_conn_counters *counters)
{
    *counters = (struct tn_conn_counters){
        .frames_in = conn->frames_in,
        .bytes_in = conn->bytes_in,
        .ticks_in = conn->ticks_in,
        .unknown_ops = conn->unknown_ops,
        .reads_paused = conn->reads_paused,
    };
    uv_mutex_lock(&conn->lock);
    counters->frames_out = conn->frames_out;
    counters->bytes_out = conn->bytes_out;
    counters->ticks_out = conn->ticks_out;
    counters->out_waiting = conn->pending.len + conn->writing_left;
    uv_mutex_unlock(&conn->lock);
}

bool tn_conn_certificate_fits(tn_conn *conn, const char *pattern)
{
    return conn->tls != NULL && tn_tls_certificate_fits(conn->tls, pattern);
}

const char *tn_conn_print(const tn_conn *conn, char buf[TN_ADDRESS_TEXT_BYTES])
{
    return conn->name[0] != '\0' ? conn->name
                                 : tn_address_print(&conn->address, buf);
}

/* ---- watched ------------------------------------------------------------- */

static void serve(tn_conn *conn, int events)
{
    if (conn->state == TN_CONN_CONNECTING) {
        tn_connect_writable(conn);
        return;
    }
    if (conn->state == TN_CONN_SECURING) {
        tn_secure_ready(conn);
        return;
    }
    if (events & UV_WRITABLE) {
        if (conn->state == TN_CONN_SHAKING_HANDS) {
            tn_setup_writable(conn);
        } else if (conn->state == TN_CONN_UP) {
            tn_out_writable(conn);
        }
    }
    if ((events & UV_DISCONNECT) != 0 && conn->state == TN_CONN_UP) {
        tn_in_fail(conn, 0);
        return;
    }
    if (events & UV_READABLE) {
        if (conn->state == TN_CONN_SHAKING_HANDS) {
            tn_setup_readable(conn);
        } else if (conn->state == TN_CONN_UP) {
            tn_in_readable(conn);
        }
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    tn_conn *conn = poll->data;

    /* An error on the descriptor is found by the call that it concerns. */
    if (status < 0) {
        events = UV_READABLE | UV_WRITABLE;
    }
    if (tn_conn_is_spent(conn)) {
        tn_conn_postpone(conn, events);
    } else {
        serve(conn, events);
    }
}

/* ---- postponed ----------------------------------------------------------- */

bool tn_conn_is_spent(const tn_conn *conn)
{
    return tn_turn_is_spent(conn->dist->config.turn);
}

void tn_conn_postpone(tn_conn *conn, int events)
{
    if (conn->postponed_events == 0) {
        TAILQ_INSERT_TAIL(&conn->dist->postponed, conn, postponed_link);
    }
    conn->postponed_events |= events;
}

/* Returns what it was to be served with. */
static int take_from_postponed(tn_conn *conn)
{
    int events = conn->postponed_events;

    if (events != 0) {
        TAILQ_REMOVE(&conn->dist->postponed, conn, postponed_link);
        conn->postponed_events = 0;
    }
    return events;
}

bool tn_dist_serve_postponed(tn_dist *dist)
{
    bool are_there = !TAILQ_EMPTY(&dist->postponed);
    tn_conn *conn;

    while ((conn = TAILQ_FIRST(&dist->postponed)) != NULL &&
           !tn_conn_is_spent(conn)) {
        serve(conn, take_from_postponed(conn));
    }
    return are_there;
}

void tn_conn_poll(tn_conn *conn, int events)
{
    conn->poll_wanted = events;
    if (conn->large != NULL) {
        events &= ~UV_READABLE;
    }
    if (events == conn->poll_events) {
        return;
    }
    conn->poll_events = events;
    if (events == 0) {
        uv_poll_stop(&conn->poll);
    } else {
        uv_poll_start(&conn->poll, events, on_ready);
    }
}

bool tn_conn_watch(tn_conn *conn, int fd, int events)
{
    uv_mutex_lock(&conn->lock);
    conn->fd = fd;
    uv_mutex_unlock(&conn->lock);
    int rc = uv_poll_init(conn->dist->config.loop, &conn->poll, fd);

    if (rc < 0) {
        tn_conn_fail_sys(conn, TENON_E_SYSTEM, -rc, "watching a socket");
        return false;
    }
    conn->poll.data = conn;
    conn->has_poll = true;
    conn->open_handles++;
    tn_conn_poll(conn, events);
    return true;
}

/* ---- closed -------------------------------------------------------------- */

/* A peer's end is logged by whoever has it as a peer (peer_down). */
static void log_end(const tn_conn *conn, const tenon_error *why)
{
    char peer[TN_ADDRESS_TEXT_BYTES], address[TN_ADDRESS_TEXT_BYTES];
    bool was_up = conn->state == TN_CONN_UP;
    const char *event = was_up               ? "connection_closed"
                        : conn->is_initiator ? "connect_failed"
                                             : "handshake_refused";
    /* Of two simultaneous attempts one is to give way: nothing is wrong. */
    enum tn_level level = was_up                           ? TN_DEBUG
                          : why->code == TENON_E_DUPLICATE ? TN_INFO
                                                           : TN_WARN;

    tn_log(conn->dist->config.log, level, event, "peer",
           tn_conn_print(conn, peer), "address",
           conn->is_initiator ? NULL
                              : tn_address_print(&conn->address, address),
           "error", tenon_err_name(why->code), "reason", why->text, NULL);
}

static void finish(tn_conn *conn)
{
    tn_dist *dist = conn->dist;

    conn->state = TN_CONN_DOWN;
    LIST_REMOVE(conn, link);
    dist->conn_count--;
    dist->closing_count--;
    tn_block_release(conn->block);
    conn->block = NULL;
    free(conn->way);
    conn->way = NULL;
    free(conn->handshake);
    conn->handshake = NULL;
    if (conn->is_known) {
        dist->config.events->on_down(dist->config.user, conn, &conn->why,
                                     conn->was_up);
    }
    tn_conn_unref(conn);
    tn_dist_settle(dist);
}

void tn_conn_handle_closed(tn_conn *conn)
{
    if (conn->open_handles == 0) {
        finish(conn);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    tn_conn *conn = handle->data;

    conn->open_handles--;
    tn_conn_handle_closed(conn);
}

static void close_handles(tn_conn *conn)
{
    uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
    uv_close((uv_handle_t *)&conn->later, on_handle_closed);
    if (conn->has_poll) {
        uv_close((uv_handle_t *)&conn->poll, on_handle_closed);
    }
    tn_connect_stop(conn);
}

void tn_conn_close(tn_conn *conn, const tenon_error *why)
{
    if (conn->state >= TN_CONN_CLOSING) {
        return;
    }
    /* Whatever ends the wait of one that is refused. */
    if (conn->why.code == TENON_OK) {
        conn->why = *why;
    }
    log_end(conn, &conn->why);
    conn->was_up = conn->state == TN_CONN_UP;
    if (conn->was_up) {
        tn_conn_flush(conn);
    } else {
        tn_conn_handshake_over(conn);
    }
    (void)take_from_postponed(conn);
    conn->state = TN_CONN_CLOSING;
    conn->dist->closing_count++;
    atomic_store_explicit(&conn->is_up, false, memory_order_release);
    /* The watcher goes first: the descriptor may be closed at once then. */
    close_handles(conn);
    tn_out_close(conn);
}

void tn_conn_fail(tn_conn *conn, enum tenon_err code, const char *fmt, ...)
{
    tenon_error why;
    va_list args;

    va_start(args, fmt);
    tn_error_va(&why, code, fmt, args);
    va_end(args);
    tn_conn_close(conn, &why);
}

void tn_conn_fail_sys(
    tn_conn *conn, enum tenon_err code, int sys_errno, const char *fmt, ...)
{
    tenon_error what, why;
    va_list args;

    va_start(args, fmt);
    tn_error_va(&what, code, fmt, args);
    va_end(args);
    tn_error_sys(&why, code, sys_errno, "%s", what.text);
    tn_conn_close(conn, &why);
}

void tn_dist_close_handshakes(tn_dist *dist,
                              const char *name,
                              const tenon_error *why)
{
    tn_conn *conn, *next;

    for (conn = LIST_FIRST(&dist->handshakes); conn != NULL; conn = next) {
        next = LIST_NEXT(conn, handshake_link);
        if (conn->is_known && strcmp(conn->name, name) == 0) {
            tn_conn_close(conn, why);
        }
    }
}
