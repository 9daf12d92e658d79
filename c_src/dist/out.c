/* SPDX-License-Identifier: Apache-2.0 */
/* Frames out. Any thread appends to `pending`; whoever flushes takes it over
 * as `writing` and writes without the lock, so that others go on appending. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "dist/conn_impl.h"
#include "dist/signal.h"

/* Writes in one flush before the loop goes on with the rest, so that no worker
 * is caught writing for all the others. */
#define WRITES_PER_FLUSH 16u
/* Buffers that grew beyond this are given back once they are empty. */
#define KEPT_BYTES (256u * 1024u)
/* Output is charged to the peer's account in steps of this size. */
#define CHARGED_STEP_BYTES (64u * 1024u)
/* So much of what a peer waits for is kept for it whatever else it takes. */
#define AWAITED_ALWAYS_BYTES (1024u * 1024u)

/* ---- sending ------------------------------------------------------------- */

/* Called with the lock held: whatever has changed what waits. In steps, so that
 * a peer that reads what it gets costs nothing here. */
static void charge_output(tn_conn *conn)
{
    size_t waiting = conn->pending.len + conn->writing_left;
    size_t wanted = waiting - waiting % CHARGED_STEP_BYTES;

    if (wanted > conn->out_charged) {
        tn_account_charge_always(conn->account, wanted - conn->out_charged);
    } else if (wanted < conn->out_charged) {
        tn_account_discharge(conn->account, conn->out_charged - wanted);
    }
    conn->out_charged = wanted;
}

/* The peer takes its part of the memory already, also beside the first `fine`
 * bytes of what waits for it, or would with these. */
static bool is_over_its_part(const tn_conn *conn,
                             size_t waiting,
                             const struct tn_signal *signal,
                             size_t fine)
{
    size_t more = signal->payload.len;

    return (waiting > fine || more > fine) &&
           !tn_account_has_room(conn->account, more);
}

/* Called with the lock held. Messages are refused first; what others wait for
 * (exits, replies, acknowledgements) may use as much again, and then ends the
 * connection, so that nobody waits for what was lost. */
static enum tenon_err
check_room(tn_conn *conn, const struct tn_signal *signal, tenon_error *err)
{
    size_t waiting = conn->pending.len + conn->writing_left;
    size_t max = conn->dist->config.out_max_bytes;

    if (waiting < max &&
        !is_over_its_part(conn, waiting, signal, CHARGED_STEP_BYTES)) {
        return TENON_OK;
    }
    if (tn_signal_is_awaited(signal)) {
        if (waiting / 2 < max &&
            !is_over_its_part(conn, waiting, signal, AWAITED_ALWAYS_BYTES)) {
            return TENON_OK;
        }
        conn->is_overflown = true;
        tn_dist_want(conn);
    }
    return tn_error(err, TENON_E_QUEUE_FULL,
                    "sending to node \"%s\": expected at most %zu bytes "
                    "waiting, got %zu",
                    conn->name, max, waiting);
}

/* Called with the lock held. */
static enum tenon_err
append(tn_conn *conn, const struct tn_signal *signal, tenon_error *err)
{
    if (conn->is_closed ||
        !atomic_load_explicit(&conn->is_up, memory_order_relaxed)) {
        return tn_error(err, TENON_E_NODEDOWN,
                        "sending to node \"%s\": not connected", conn->name);
    }
    enum tenon_err rc = check_room(conn, signal, err);

    if (rc == TENON_OK) {
        rc = tn_signal_encode(&conn->pending, signal, conn->flags, err);
    }
    if (rc == TENON_OK) {
        conn->frames_out++;
        charge_output(conn);
    } else if (rc == TENON_E_NOMEM && tn_signal_is_awaited(signal)) {
        /* The peer waits for this one. It gets the end of the connection. */
        conn->write_errno = ENOMEM;
        tn_dist_want(conn);
    }
    return rc;
}

enum tenon_err
tn_conn_send(tn_conn *conn, const struct tn_signal *signal, tenon_error *err)
{
    if (tn_conn_is_up(conn) &&
        tn_signal_is_stale_exit(signal, conn->name, conn->creation)) {
        return tn_error(err, TENON_E_NOPROC,
                        "sending an exit to node \"%s\": the process is of an "
                        "older incarnation",
                        conn->name);
    }
    uv_mutex_lock(&conn->lock);
    enum tenon_err rc = append(conn, signal, err);

    uv_mutex_unlock(&conn->lock);
    return rc;
}

enum tenon_err tn_out_first(tn_conn *conn, const uint8_t *bytes, size_t len)
{
    uv_mutex_lock(&conn->lock);
    enum tenon_err rc = tn_buf_append(&conn->pending, bytes, len);

    uv_mutex_unlock(&conn->lock);
    return rc;
}

/* ---- writing ------------------------------------------------------------- */

/* Called with the lock held. False when there is nothing to write. */
static bool take_over(tn_conn *conn)
{
    if (conn->writing.len > 0) {
        return true;
    }
    struct tn_buf empty = conn->writing;

    tn_buf_trim(&empty, KEPT_BYTES);
    conn->writing = conn->pending;
    conn->pending = empty;
    conn->writing_left = conn->writing.len;
    return conn->writing.len > 0;
}

/* Called with the lock held, and lets go of it during the system call. */
static void write_once(tn_conn *conn)
{
    conn->is_writing = true;
    uv_mutex_unlock(&conn->lock);
    ssize_t n = tn_secure_write(conn, conn->writing.bytes, conn->writing.len);

    uv_mutex_lock(&conn->lock);
    conn->is_writing = false;
    if (n >= 0) {
        tn_buf_consume(&conn->writing, (size_t)n);
        tn_buf_trim(&conn->writing, KEPT_BYTES);
        conn->writing_left = conn->writing.len;
        conn->bytes_out += (uint64_t)n;
        charge_output(conn);
    } else if (n == -EAGAIN) {
        conn->is_blocked = true;
        tn_dist_want(conn);
    } else {
        conn->write_errno = (int)-n;
        tn_dist_want(conn);
    }
}

/* Called with the lock held. */
static void release_output(tn_conn *conn)
{
    tn_tls_free(conn->tls);
    conn->tls = NULL;
    if (conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
    }
    tn_buf_fini(&conn->writing);
    tn_buf_fini(&conn->pending);
    conn->writing_left = 0;
    charge_output(conn);
}

static bool may_write(const tn_conn *conn)
{
    return !conn->is_closed && !conn->is_writing && !conn->is_blocked &&
           conn->write_errno == 0 && conn->fd >= 0;
}

void tn_conn_flush(tn_conn *conn)
{
    unsigned writes = 0;

    if (!tn_conn_is_up(conn)) {
        return;
    }
    uv_mutex_lock(&conn->lock);
    while (may_write(conn) && take_over(conn)) {
        if (writes++ == WRITES_PER_FLUSH) {
            conn->is_blocked = true;
            tn_dist_want(conn);
            break;
        }
        write_once(conn);
        /* Whoever closed it meanwhile has left the rest to this thread. */
        if (conn->is_closed) {
            release_output(conn);
        }
    }
    uv_mutex_unlock(&conn->lock);
}

void tn_out_close(tn_conn *conn)
{
    uv_mutex_lock(&conn->lock);
    conn->is_closed = true;
    if (!conn->is_writing) {
        release_output(conn);
    }
    uv_mutex_unlock(&conn->lock);
}

/* ---- the loop's part ----------------------------------------------------- */

void tn_out_writable(tn_conn *conn)
{
    uv_mutex_lock(&conn->lock);
    conn->is_blocked = false;
    uv_mutex_unlock(&conn->lock);
    tn_conn_flush(conn);
    uv_mutex_lock(&conn->lock);
    bool is_blocked = conn->is_blocked;

    uv_mutex_unlock(&conn->lock);
    if (!is_blocked) {
        tn_conn_poll(conn, UV_READABLE);
    }
    /* It waited for this room, too. */
    if (conn->state == TN_CONN_UP && tn_secure_read_wants_room(conn)) {
        tn_in_readable(conn);
    }
}

void tn_out_attend(tn_conn *conn)
{
    uv_mutex_lock(&conn->lock);
    int write_errno = conn->write_errno;
    bool is_blocked = conn->is_blocked;
    bool is_overflown = conn->is_overflown;
    size_t waiting = conn->pending.len + conn->writing_left;

    uv_mutex_unlock(&conn->lock);
    if (conn->state != TN_CONN_UP) {
        return;
    }
    if (write_errno != 0) {
        tn_secure_fail(conn, write_errno, "writing to");
    } else if (is_overflown) {
        tn_conn_fail(conn, TENON_E_QUEUE_FULL,
                     "writing to node \"%s\": it does not read, %zu bytes wait",
                     conn->name, waiting);
    } else if (is_blocked) {
        tn_conn_poll(conn, tn_secure_write_wants_bytes(conn)
                               ? UV_READABLE
                               : UV_READABLE | UV_WRITABLE);
    }
}

void tn_out_tick(tn_conn *conn)
{
    static const uint8_t tick[TN_FRAME_HEAD_BYTES] = { 0 };

    uv_mutex_lock(&conn->lock);
    bool is_silent = conn->bytes_out == conn->bytes_out_seen &&
                     conn->pending.len == 0 && conn->writing_left == 0;

    conn->bytes_out_seen = conn->bytes_out;
    if (is_silent &&
        tn_buf_append(&conn->pending, tick, sizeof tick) == TENON_OK) {
        conn->ticks_out++;
        /* A tick is no reason to leave out the next one. */
        conn->bytes_out_seen += sizeof tick;
    }
    uv_mutex_unlock(&conn->lock);
    tn_conn_flush(conn);
}
