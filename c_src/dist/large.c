/* SPDX-License-Identifier: Apache-2.0 */
/* Large frames in: the bounded scan of one of 64 MiB takes half a second, in
 * which the loop would serve nobody. A worker does it, while its connection
 * alone waits; what follows on that connection stays in order. */
#include <stdlib.h>

#include "base/error.h"
#include "dist/conn_impl.h"

struct tn_large {
    tn_conn *conn;          /* kept until the worker is done */
    struct tn_block *block; /* kept; the frame lies in it */
    struct tn_frame frame;
    struct tn_signal signal;
    enum tenon_err rc; /* of reading it */
    tenon_error err;
    bool is_done; /* guarded by conn->lock; until then the worker's */
};

/* The connection may have been closed meanwhile; nothing else of it is
 * touched. */
static void read_frame(void *arg)
{
    struct tn_large *large = arg;
    tn_conn *conn = large->conn;

    large->rc = tn_signal_parse(large->frame.body, large->frame.len,
                                &large->signal, &large->err);
    uv_mutex_lock(&conn->lock);
    large->is_done = true;
    tn_dist_want(conn);
    uv_mutex_unlock(&conn->lock);
    tn_conn_unref(conn);
}

static bool is_large(const struct tn_frame *frame)
{
    return frame->len >= TN_LARGE_BYTES &&
           !tn_signal_is_short(frame->body, frame->len, TN_LARGE_TERMS);
}

bool tn_large_begin(tn_conn *conn, const struct tn_frame *frame)
{
    const struct tn_dist_config *config = &conn->dist->config;

    if (config->run_on_worker == NULL || !is_large(frame)) {
        return false;
    }
    struct tn_large *large = calloc(1, sizeof *large);

    if (large == NULL) {
        return false;
    }
    large->conn = tn_conn_ref(conn);
    large->block = tn_block_ref(conn->block);
    large->frame = *frame;
    conn->large = large;
    if (!config->run_on_worker(config->user, read_frame, large)) {
        tn_conn_unref(conn);
        tn_large_free(conn);
        return false;
    }
    tn_conn_poll(conn, conn->poll_wanted);
    return true;
}

void tn_large_free(tn_conn *conn)
{
    struct tn_large *large = conn->large;

    conn->large = NULL;
    if (large != NULL) {
        tn_block_release(large->block);
        free(large);
    }
}

void tn_large_attend(tn_conn *conn)
{
    struct tn_large *large = conn->large;

    uv_mutex_lock(&conn->lock);
    bool is_done = large != NULL && large->is_done;

    uv_mutex_unlock(&conn->lock);
    if (!is_done || conn->state != TN_CONN_UP) {
        return;
    }
    /* The block stays until the signal has been delivered. */
    conn->large = NULL;
    tn_in_go_on(conn, &large->frame, &large->signal, large->rc, &large->err);
    conn->large = large;
    tn_large_free(conn);
    if (conn->state == TN_CONN_UP) {
        tn_conn_poll(conn, conn->poll_wanted);
    }
}
