/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in: reading into counted blocks, splitting, delivering. A frame
 * always lies whole in one block, so that its views need no copy. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "dist/conn_impl.h"
#include "dist/signal.h"

#ifdef TN_HOSTILE
/* Reads give one byte each then, and say nothing about what is left. */
#define HOSTILE true
#else
#define HOSTILE false
#endif

/* How often a connection whose peer takes its whole part of the memory is
 * looked at. */
#define LOOK_FOR_ROOM_MS 20u
/* A frame counts as so many bytes besides its own, and after so many the turn
 * of the loop is looked at. */
#define FRAME_COST_BYTES 512u
#define LOOK_BYTES 16384u

/* ---- room ---------------------------------------------------------------- */

/* Size for a block that is to take `whole` bytes of which `there` have come.
 * The length that a peer claims is not believed before it sends the bytes:
 * room doubles with what has come. */
static size_t wanted_cap(size_t whole, size_t there)
{
    size_t half = there > TN_BLOCK_BYTES ? there : TN_BLOCK_BYTES;

    if (whole <= TN_BLOCK_BYTES) {
        return TN_BLOCK_BYTES;
    }
    return whole / 2 < half ? whole : 2 * half;
}

/* Moves what is not parsed to the front of a block with room. Held blocks
 * stay as they are, and large ones are not kept for small frames. Errors:
 * NOMEM, LIMIT. */
static enum tenon_err move_over(tn_conn *conn)
{
    size_t there = conn->end - conn->start;
    size_t cap = wanted_cap(conn->whole, there);
    struct tn_block *old = conn->block;

    if (old != NULL && tn_block_is_mine(old) && old->cap >= cap &&
        old->cap / 2 <= cap) {
        memmove(old->bytes, old->bytes + conn->start, there);
    } else if (old != NULL && conn->start == 0 && cap > old->cap &&
               tn_block_can_grow(old)) {
        return tn_block_grow(&conn->block, cap);
    } else {
        enum tenon_err rc =
            tn_block_new(conn->dist->pool, conn->account, cap, &conn->block);

        if (rc != TENON_OK) {
            return rc;
        }
        if (there > 0) {
            memcpy(conn->block->bytes, old->bytes + conn->start, there);
        }
        tn_block_release(old);
    }
    conn->start = 0;
    conn->end = there;
    return TENON_OK;
}

static enum tenon_err make_room(tn_conn *conn)
{
    const struct tn_block *block = conn->block;

    if (block != NULL && conn->end < block->cap &&
        (conn->start == 0 || block->cap - conn->start >= conn->whole)) {
        return TENON_OK;
    }
    return move_over(conn);
}

void tn_in_rest(tn_conn *conn)
{
    if (conn->block != NULL && conn->start == conn->end) {
        tn_block_release(conn->block);
        conn->block = NULL;
        conn->start = 0;
        conn->end = 0;
    }
}

/* ---- reading ------------------------------------------------------------- */

ssize_t tn_in_read(tn_conn *conn, size_t max)
{
    enum tenon_err rc = make_room(conn);

    if (rc != TENON_OK) {
        return rc == TENON_E_LIMIT ? -EDQUOT : -ENOMEM;
    }
    conn->starving_ns = 0;
    size_t room = conn->block->cap - conn->end;
    ssize_t n = tn_secure_read(conn, conn->block->bytes + conn->end,
                               room < max ? room : max);

    if (n > 0) {
        conn->end += (size_t)n;
        conn->bytes_in += (uint64_t)n;
    }
    return n;
}

static void look_for_room(uv_timer_t *timer)
{
    tn_conn *conn = timer->data;

    if (conn->state == TN_CONN_UP) {
        tn_conn_poll(conn, (conn->poll_events | UV_READABLE) & ~UV_DISCONNECT);
        tn_in_readable(conn);
    }
}

/* What the peer has sent before takes all of its part of the memory: the rest
 * stays in its socket until some of that has been handled. A frame for which
 * there never is room ends the connection, which would else hold what it has
 * got of it for ever. */
static void wait_for_room(tn_conn *conn)
{
    const struct tn_dist_config *config = &conn->dist->config;

    if (conn->starving_ns == 0) {
        conn->starving_ns = conn->read_ns;
        conn->reads_paused++;
    } else if (conn->read_ns - conn->starving_ns >
               UINT64_C(1000000) * config->room_timeout_ms) {
        tn_conn_fail(conn, TENON_E_LIMIT,
                     "reading from node \"%s\": no room for a frame of %zu "
                     "bytes in its part of the memory, of which it takes %zu",
                     conn->name, conn->whole, tn_account_bytes(conn->account));
        return;
    }
    /* Nothing is read: that it has gone must be seen otherwise. */
    tn_conn_poll(conn, (conn->poll_events & ~UV_READABLE) | UV_DISCONNECT);
    uv_timer_start(&conn->timer, look_for_room, LOOK_FOR_ROOM_MS, 0);
}

void tn_in_fail(tn_conn *conn, ssize_t result)
{
    char address[TN_ADDRESS_TEXT_BYTES];

    if (result == -EDQUOT) {
        wait_for_room(conn);
    } else if (result == 0) {
        tn_conn_fail(conn, TENON_E_CLOSED,
                     "reading from node \"%s\": it closed the connection",
                     tn_conn_print(conn, address));
    } else if (result != -EAGAIN) {
        tn_secure_fail(conn, (int)-result, "reading from");
    }
}

/* ---- delivering ---------------------------------------------------------- */

static void pass_over(tn_conn *conn, const char *event, const tenon_error *err)
{
    conn->unknown_ops++;
    tn_log(conn->dist->config.log, TN_WARN, event, "peer", conn->name, "reason",
           err->text, NULL);
}

/* Whether both ends of a signal are where they belong. */
static bool
is_between_us(tn_conn *conn, const struct tn_signal *signal, tenon_error *err)
{
    const char *own = conn->dist->config.name;

    if (!tn_signal_from_peer(signal, conn->name)) {
        tn_error(err, TENON_E_CONTROL,
                 "control message: expected the sender of a %s signal to be "
                 "of node \"%s\", got another",
                 tn_signal_name(signal->kind), conn->name);
        return false;
    }
    if (!tn_signal_for_node(signal, own)) {
        tn_error(err, TENON_E_CONTROL,
                 "control message: expected the receiver of a %s signal to be "
                 "of node \"%s\", got another",
                 tn_signal_name(signal->kind), own);
        return false;
    }
    return true;
}

/* What reading a frame has given. False when the protocol is broken, err then
 * says how. */
static bool deliver_read(tn_conn *conn,
                         const struct tn_signal *signal,
                         enum tenon_err rc,
                         tenon_error *err)
{
    const struct tn_dist_config *config = &conn->dist->config;

    conn->frames_in++;
    if (rc == TENON_E_NOTSUP || rc == TENON_E_LIMIT) {
        pass_over(conn,
                  rc == TENON_E_LIMIT ? "message_too_deep" : "control_unknown",
                  err);
        return true;
    }
    if (rc < 0 || !is_between_us(conn, signal, err)) {
        return false;
    }
    tn_crowd_note(&conn->crowd, signal->from, conn->read_ns);
    config->events->on_signal(config->user, conn, signal);
    return true;
}

static bool
deliver_frame(tn_conn *conn, const struct tn_frame *frame, tenon_error *err)
{
    struct tn_signal signal;
    enum tenon_err rc = tn_signal_parse(frame->body, frame->len, &signal, err);

    return deliver_read(conn, &signal, rc, err);
}

/* False at the end of the whole frames, and when the connection was closed. */
static bool deliver_next(tn_conn *conn)
{
    struct tn_frame frame;
    tenon_error err;

    if (conn->state != TN_CONN_UP || conn->block == NULL) {
        return false;
    }
    if (tn_frame_next(conn->block->bytes + conn->start, conn->end - conn->start,
                      conn->dist->config.max_frame_bytes, &frame, &err) < 0) {
        tn_conn_close(conn, &err);
        return false;
    }
    conn->whole = frame.whole;
    if (frame.kind == TN_FRAME_MORE) {
        return false;
    }
    if (frame.kind == TN_FRAME_BODY && tn_large_begin(conn, &frame)) {
        return false;
    }
    if (frame.kind == TN_FRAME_TICK) {
        conn->ticks_in++;
    } else if (!deliver_frame(conn, &frame, &err)) {
        tn_conn_close(conn, &err);
        return false;
    }
    conn->start += frame.whole;
    return true;
}

static void end_batch(tn_conn *conn)
{
    const struct tn_dist_config *config = &conn->dist->config;

    if (conn->state == TN_CONN_UP && config->events->on_batch_end != NULL) {
        config->events->on_batch_end(config->user, conn);
    }
}

/* Whether what was delivered last is to be the last of this turn. Small frames
 * cost what handling them costs, large ones what reading them does. */
static bool is_enough(tn_conn *conn, size_t bytes)
{
    conn->since_look += FRAME_COST_BYTES + (unsigned)bytes;
    if (conn->since_look < LOOK_BYTES) {
        return false;
    }
    conn->since_look = 0;
    return tn_conn_is_spent(conn);
}

void tn_in_deliver(tn_conn *conn)
{
    uint64_t before = conn->frames_in;
    size_t start = conn->start;

    conn->is_behind = false;
    while (!conn->is_behind && deliver_next(conn)) {
        conn->is_behind = is_enough(conn, conn->start - start);
        start = conn->start;
    }
    if (conn->is_behind && conn->state == TN_CONN_UP) {
        tn_conn_postpone(conn, UV_READABLE);
    }
    if (conn->frames_in != before) {
        end_batch(conn);
    }
}

void tn_in_go_on(tn_conn *conn,
                 const struct tn_frame *frame,
                 const struct tn_signal *signal,
                 enum tenon_err rc,
                 tenon_error *err)
{
    conn->read_ns = tn_now_ns();
    if (!deliver_read(conn, signal, rc, err)) {
        tn_conn_close(conn, err);
        return;
    }
    conn->start += frame->whole;
    end_batch(conn);
    /* What lies behind it, at the next turn. */
    if (conn->state == TN_CONN_UP) {
        conn->is_behind = true;
        tn_conn_postpone(conn, UV_READABLE);
    }
}

/* The poll is level-triggered: what is left after a burst comes back in the
 * next turn of the loop, after the other connections. */
void tn_in_readable(tn_conn *conn)
{
    size_t left = TN_READ_BURST_BYTES;

    if (conn->large != NULL) {
        return;
    }
    conn->read_ns = tn_now_ns();
    if (conn->is_behind) {
        tn_in_deliver(conn);
    }
    while (left > 0 && !conn->is_behind && conn->large == NULL &&
           conn->state == TN_CONN_UP) {
        ssize_t n = tn_in_read(conn, left);

        if (n <= 0) {
            tn_in_fail(conn, n);
            break;
        }
        left -= (size_t)n;
        /* Less than there was room for: the socket is empty. */
        bool is_drained = !HOSTILE && conn->end < conn->block->cap;

        tn_in_deliver(conn);
        if (is_drained) {
            break;
        }
    }
    if (conn->state == TN_CONN_UP) {
        tn_in_rest(conn);
    }
    if (conn->state == TN_CONN_UP && conn->starving_ns == 0) {
        tn_secure_look_again(conn);
    }
    if (conn->state == TN_CONN_UP && tn_secure_write_wants_bytes(conn)) {
        tn_out_writable(conn);
    }
    if (conn->state == TN_CONN_UP && tn_secure_read_wants_room(conn)) {
        tn_conn_poll(conn, UV_READABLE | UV_WRITABLE);
    }
}

tn_block *tn_conn_hold(tn_conn *conn, tenon_term term)
{
    const struct tn_block *block = conn->block;
    bool lies_in = block != NULL && term.bytes >= block->bytes &&
                   term.bytes < block->bytes + block->cap;

    return lies_in ? tn_block_ref(conn->block) : NULL;
}
