/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that peers make a node keep: it is counted where it is kept, bounded,
 * and free again when what was kept is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dist/conn_impl.h"
#include "nodes.h"
#include "term/build.h"
#include "unit/support/ends.h"

#define MEMORY_MAX (16u * 1024u * 1024u)

static uv_loop_t loop;
static tenon_node *node;
static tenon_process *box; /* on the node, registered as "box" */

/* ---- peers -------------------------------------------------------------- */

struct peer {
    struct end end;
    unsigned of[TN_SIG_KINDS]; /* signals that came */
    uint8_t pid_bytes[80];
    tenon_term pid;
};

static void
count(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct peer *peer = end->user;
    (void)conn;
    peer->of[signal->kind]++;
}

static void join(struct peer *peer, const char *name)
{
    struct end to = { .port = tenon_node_port(node) };
    uint32_t before = stats_of(node).peers;
    memset(peer, 0, sizeof *peer);
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(node));
    end_open(&peer->end, &loop, name, NULL);
    peer->end.on_signal = count;
    peer->end.user = peer;
    peer->pid = make_pid(peer->pid_bytes, name, 1, 1000);
    end_connect(&peer->end, &to);
    RUN_UNTIL(&loop, peer->end.ups == 1);
    WAIT_FOR(stats_of(node).peers > before);
}

static void leave(struct peer *peer)
{
    uint32_t before = stats_of(node).peers;
    end_close(&peer->end);
    WAIT_FOR(stats_of(node).peers < before);
}

static void send_signal(struct peer *peer, struct tn_signal signal)
{
    tenon_error err = { 0 };
    signal.from = peer->pid;
    if (tn_conn_send(peer->end.up, &signal, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tn_conn_flush(peer->end.up);
}

/* Everything that was sent before has been handled when this returns. */
static void settle(struct peer *peer)
{
    unsigned before = peer->of[TN_SIG_UNLINK_ACK];
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_UNLINK,
                                          .to = tn_process_pid(box),
                                          .id = 77 });
    RUN_UNTIL(&loop, peer->of[TN_SIG_UNLINK_ACK] > before);
}

static int start_node(void **state)
{
    tenon_error err = { 0 };
    char name[64];
    (void)state;
    new_name(name, "known");
    tenon_node_config config = config_of(name, &err);
    config.no_global = true;
    config.no_connect_all = true;
    config.memory_max_bytes = MEMORY_MAX;
    node = tenon_node_start(&config);
    if (node == NULL) {
        fail_msg("%s", err.text);
    }
    node->stop_workers_ms = DEADLINE_MS;
    box = new_box(node, "box");
    return uv_loop_init(&loop);
}

static int stop_node(void **state)
{
    (void)state;
    assert_int_equal(stats_of(node).memory_bytes, 0);
    end_box(box);
    tenon_node_stop(node);
    return uv_loop_close(&loop);
}

static size_t kept(void)
{
    return (size_t)stats_of(node).memory_bytes;
}

static void drop_messages(void)
{
    tenon_value *message;
    while (tenon_receive(box, 0, &message) == TENON_OK) {
        tenon_value_free(message);
    }
}

/* ---- messages ----------------------------------------------------------- */

/* A frame of a message whose control part bears a trace token, written as it
 * is: {12, '', box, token} and the message. */
static void
send_with_token(struct peer *peer, size_t token_len, size_t message_len)
{
    static const uint8_t zeros[1000000];
    struct tenon_builder control;
    struct tenon_builder message;
    tenon_term parts[2];
    uint8_t head[] = { 0, 0, 0, 0, TN_FRAME_PASS_THROUGH };
    uint8_t version = 131;
    tn_builder_init(&control, TENON_TERM_MAX_BYTES);
    tn_builder_init(&message, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&control, 4);
    tenon_build_int(&control, 12);
    tenon_build_atom(&control, "");
    tenon_build_term(&control, tn_process_pid(box));
    tenon_build_binary(&control, zeros, token_len);
    tenon_build_binary(&message, zeros, message_len);
    OK(tenon_builder_term(&control, &parts[0]));
    OK(tenon_builder_term(&message, &parts[1]));
    size_t len = 1 + 2 + parts[0].len + parts[1].len;
    for (unsigned i = 0; i < 4; i++) {
        head[i] = (uint8_t)(len >> (8 * (3 - i)));
    }
    OK(tn_out_first(peer->end.up, head, sizeof head));
    for (unsigned i = 0; i < 2; i++) {
        OK(tn_out_first(peer->end.up, &version, 1));
        OK(tn_out_first(peer->end.up, parts[i].bytes, parts[i].len));
    }
    tn_conn_flush(peer->end.up);
    tn_builder_fini(&control);
    tn_builder_fini(&message);
}

static void a_small_part_of_a_large_frame_does_not_keep_it(void **state)
{
    (void)state;
    struct peer peer;
    join(&peer, "p@127.0.0.1");
    for (unsigned i = 0; i < 10; i++) {
        send_with_token(&peer, 300000, 20000);
        settle(&peer);
    }
    assert_in_range(kept(), 10 * 20000, 10 * 21000 + TN_BLOCK_BYTES);
    tn_lock(node);
    assert_in_range(box->mailbox_bytes, 10 * 20000, 10 * 21000);
    tn_unlock(node);
    drop_messages();
    leave(&peer);
}

static void a_large_part_counts_with_its_frame(void **state)
{
    (void)state;
    struct peer peer;
    join(&peer, "p@127.0.0.1");
    send_with_token(&peer, 100000, 300000);
    settle(&peer);
    tn_lock(node);
    assert_in_range(box->mailbox_bytes, 400000, 600000);
    tn_unlock(node);
    assert_in_range(kept(), 400000, 600000 + TN_BLOCK_BYTES);
    drop_messages();
    leave(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_part_of_a_large_frame_does_not_keep_it),
        cmocka_unit_test(a_large_part_counts_with_its_frame),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
