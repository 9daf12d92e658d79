/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes that connect, exchange signals and stop, with each allocation
 * failing in turn: whatever fails is told or closed, and nothing is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <uv.h>

#include "base/clock.h"
#include "dist/conn.h"
#include "dist/flags.h"
#include "unit/support/ends.h"
#include "unit/support/hash_key.h"
#include "unit/support/nomem.h"

#define MESSAGES 40

struct half {
    tn_dist *dist;
    uint16_t port;
    tn_conn *conn; /* kept, once up */
    bool has_ended;
    bool is_closed;
    int signals;
};

static uv_loop_t loop;
static struct half a, b;

static enum tn_status on_hello(void *user, tn_conn *conn, const char *peer)
{
    (void)user;
    (void)conn;
    (void)peer;
    return TN_STATUS_OK;
}

static bool on_alive(void *user, tn_conn *conn)
{
    (void)user;
    (void)conn;
    return true;
}

static void on_authenticated(void *user, tn_conn *conn)
{
    (void)user;
    (void)conn;
}

static void on_up(void *user, tn_conn *conn)
{
    struct half *half = user;

    half->conn = tn_conn_ref(conn);
}

static void on_signal(void *user, tn_conn *conn, const struct tn_signal *signal)
{
    struct half *half = user;

    half->signals++;
    tn_block_release(tn_conn_hold(conn, signal->payload));
}

static void
on_down(void *user, tn_conn *conn, const tenon_error *why, bool was_up)
{
    struct half *half = user;

    (void)conn;
    (void)was_up;
    assert_true(why->code < 0);
    half->has_ended = true;
}

static void on_closed(void *user)
{
    struct half *half = user;

    half->is_closed = true;
}

static const struct tn_conn_events events = {
    .on_hello = on_hello,
    .on_alive = on_alive,
    .on_authenticated = on_authenticated,
    .on_up = on_up,
    .on_signal = on_signal,
    .on_down = on_down,
    .on_closed = on_closed,
};

static bool open_half(struct half *half, const char *name)
{
    struct tn_dist_config config = { .loop = &loop,
                                     .name = name,
                                     .cookie = "c",
                                     .creation = 9,
                                     .hash_key = &test_hash_key,
                                     .flags = TN_FLAGS_OURS,
                                     .events = &events,
                                     .user = half };

    memset(half, 0, sizeof *half);
    if (tn_dist_new(&config, &half->dist, NULL) < 0) {
        half->is_closed = true;
        return false;
    }
    return tn_dist_listen(half->dist, 0, 0, &half->port, NULL) == TENON_OK;
}

static void close_half(struct half *half)
{
    tn_dist_free(half->dist);
    half->dist = NULL;
    RUN_UNTIL(&loop, half->is_closed);
    tn_conn_unref(half->conn);
}

/* A few small ones, and one that no block holds. */
static void exchange(void)
{
    static uint8_t large[100000 + 5] = { 109, 0, 1, 0x86, 0xa0 };
    struct message message;
    int sent = 0;

    for (int i = 0; i < MESSAGES; i++) {
        make_message(&message, "a@127.0.0.1", "sink", i);
        if (i == MESSAGES / 2) {
            message.signal.payload = (tenon_term){ large, sizeof large };
        }
        sent += tn_conn_send(a.conn, &message.signal, NULL) == TENON_OK;
    }
    tn_conn_flush(a.conn);
    RUN_UNTIL(&loop, b.signals == sent || a.has_ended || b.has_ended);
}

static void connect_and_exchange(void *user)
{
    tn_conn *conn;

    (void)user;
    assert_int_equal(uv_loop_init(&loop), 0);
    bool opened = open_half(&a, "a@127.0.0.1");

    opened = open_half(&b, "b@127.0.0.1") && opened;
    if (opened && tn_conn_connect_port(a.dist, "b@127.0.0.1", b.port, &conn,
                                       NULL) == TENON_OK) {
        RUN_UNTIL(&loop, (a.conn != NULL && b.conn != NULL) || a.has_ended);
        if (a.conn != NULL && b.conn != NULL) {
            exchange();
        }
        tn_conn_unref(conn);
    }
    if (!nomem_failed()) {
        assert_int_equal(b.signals, MESSAGES);
    }
    close_half(&a);
    close_half(&b);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(connect_and_exchange, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
