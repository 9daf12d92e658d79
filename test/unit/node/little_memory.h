/* SPDX-License-Identifier: Apache-2.0 */
/* One node with little memory, and peers by hand that have it keep things. */
#ifndef TEST_NODE_LITTLE_MEMORY_H
#define TEST_NODE_LITTLE_MEMORY_H

#include "dist/conn_impl.h"
#include "dist/flags.h"
#include "term/build.h"
#include "unit/node/nodes.h"
#include "unit/support/ends.h"

#define MEMORY_MAX (16u * 1024u * 1024u)

static uv_loop_t loop;
static tenon_node *node;
static tenon_process *box; /* on the node, registered as "box" */

/* ---- peers -------------------------------------------------------------- */

struct peer {
    struct end end;
    unsigned of[TN_SIG_KINDS];    /* signals that came */
    char said[TN_SIG_KINDS][100]; /* the last payload of each */
    uint8_t pid_bytes[80];
    tenon_term pid;
};

static inline void
count(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct peer *peer = end->user;
    (void)conn;
    peer->of[signal->kind]++;
    tenon_term_print(signal->payload, peer->said[signal->kind],
                     sizeof peer->said[0]);
}

static inline void join(struct peer *peer, const char *name)
{
    struct end to = { .port = tenon_node_port(node) };
    uint32_t before = stats_of(node).peers;
    memset(peer, 0, sizeof *peer);
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(node));
    /* A visible one would have to be a member of global. */
    end_open(&peer->end, &loop, name,
             &(struct tn_dist_config){ .flags = TN_FLAGS_OURS_HIDDEN });
    peer->end.on_signal = count;
    peer->end.user = peer;
    peer->pid = make_pid(peer->pid_bytes, name, 1, 1000);
    end_connect(&peer->end, &to);
    RUN_UNTIL(&loop, peer->end.ups == 1);
    WAIT_FOR(stats_of(node).peers > before);
}

static inline void leave(struct peer *peer)
{
    uint32_t before = stats_of(node).peers;
    end_close(&peer->end);
    WAIT_FOR(stats_of(node).peers < before);
}

static inline void send_signal(struct peer *peer, struct tn_signal signal)
{
    tenon_error err = { 0 };
    signal.from = peer->pid;
    if (tn_conn_send(peer->end.up, &signal, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tn_conn_flush(peer->end.up);
}

/* Everything that was sent before has been handled when this returns. */
static inline void settle(struct peer *peer)
{
    unsigned before = peer->of[TN_SIG_UNLINK_ACK];
    send_signal(peer, (struct tn_signal){ .kind = TN_SIG_UNLINK,
                                          .to = tn_process_pid(box),
                                          .id = 77 });
    RUN_UNTIL(&loop, peer->of[TN_SIG_UNLINK_ACK] > before);
}

static inline int start_node(void **state)
{
    tenon_error err = { 0 };
    char name[64];
    (void)state;
    new_name(name, "known");
    tenon_node_config config = config_of(name, &err);
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

static inline int stop_node(void **state)
{
    (void)state;
    assert_int_equal(stats_of(node).memory_bytes, 0);
    end_box(box);
    tenon_node_stop(node);
    return uv_loop_close(&loop);
}

static inline size_t kept(void)
{
    return (size_t)stats_of(node).memory_bytes;
}

static inline void drop_messages(void)
{
    tenon_value *message;
    while (tenon_receive(box, 0, &message) == TENON_OK) {
        tenon_value_free(message);
    }
}

/* ---- what they send ------------------------------------------------------ */

static inline tenon_value *zeros(size_t len)
{
    static const uint8_t bytes[1000000];
    tenon_value *value = tenon_value_format("~b", bytes, len);
    assert_non_null(value);
    return value;
}

static inline void
exit_by_hand(struct peer *peer, enum tn_signal_kind kind, size_t len)
{
    tenon_value *reason = zeros(len);
    send_signal(peer,
                (struct tn_signal){ .kind = kind,
                                    .to = tn_process_pid(box),
                                    .payload = tenon_value_term(reason) });
    tenon_value_free(reason);
    settle(peer);
}

/* A frame of a message whose control part bears a trace token, written as it
 * is: {12, '', box, token} and the message. */
static inline void
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

/* call: a pattern of the peer's pid and of its reference of that number. */
static inline void
call_by_hand(struct peer *peer, const char *call, uint32_t number)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000, .words = { number } };
    snprintf(ref.node, sizeof ref.node, "%s", peer->end.name);
    tenon_value *message = tenon_value_format(call, peer->pid, &ref);
    assert_non_null(message);
    send_signal(peer,
                (struct tn_signal){ .kind = TN_SIG_SEND,
                                    .to = tn_process_pid(box),
                                    .payload = tenon_value_term(message) });
    settle(peer);
    tenon_value_free(message);
}

/* Asks for a lock whose id is of that size, and awaits the answer. */
static inline void lock_by_hand(struct peer *peer, uint32_t number, size_t len)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000, .words = { number } };
    uint8_t name[40];
    unsigned before = peer->of[TN_SIG_SEND];
    tenon_value *id = zeros(len);
    snprintf(ref.node, sizeof ref.node, "%s", peer->end.name);
    tenon_value *call = tenon_value_format(
        "{:\"$gen_call\", {~t, ~r}, {:set_lock, {{~u, ~t}, ~t}}}", peer->pid,
        &ref, (uint64_t)number, tenon_value_term(id), peer->pid);
    assert_non_null(call);
    send_signal(peer,
                (struct tn_signal){ .kind = TN_SIG_SEND_NAME,
                                    .to = make_atom(name, "global_name_server"),
                                    .payload = tenon_value_term(call) });
    RUN_UNTIL(&loop, peer->of[TN_SIG_SEND] > before);
    tenon_value_free(id);
    tenon_value_free(call);
}

static inline bool got_lock(const struct peer *peer)
{
    return strstr(peer->said[TN_SIG_SEND], ", true}") != NULL;
}

/* The head of a frame, and less than the frame. */
static inline void begin_frame(struct peer *peer, size_t len, size_t part)
{
    static const uint8_t rest[1u << 20];
    uint8_t head[] = { 0, 0, 0, 0, TN_FRAME_PASS_THROUGH };
    for (unsigned i = 0; i < 4; i++) {
        head[i] = (uint8_t)(len >> (8 * (3 - i)));
    }
    OK(tn_out_first(peer->end.up, head, sizeof head));
    OK(tn_out_first(peer->end.up, rest, part));
    tn_conn_flush(peer->end.up);
}

/* ---- quotas --------------------------------------------------------------- */

/* All but one that a peer may have. */
static inline tn_account *
use_up(struct peer *peer, enum tn_quota kind, uint32_t max)
{
    tn_account *account = tn_account_of(node->budget, peer->end.name);
    assert_non_null(account);
    while (tn_account_count(account, kind) < max - 1) {
        assert_true(tn_account_take(account, kind, max));
    }
    return account;
}

static inline void give_back(tn_account *account, enum tn_quota kind)
{
    while (tn_account_count(account, kind) > 0) {
        tn_account_give_back(account, kind);
    }
    tn_account_unref(account);
}

#endif
