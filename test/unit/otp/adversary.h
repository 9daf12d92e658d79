/* SPDX-License-Identifier: Apache-2.0 */
/* A node with rules, a peer that may do everything, and a peer by hand that the
 * rules limit, which says what it likes. */
#ifndef TEST_OTP_ADVERSARY_H
#define TEST_OTP_ADVERSARY_H

#include "unit/node/nodes.h"
#include "unit/support/ends.h"

#define EVIL "evil@127.0.0.1"

static uv_loop_t loop;
static tenon_node *ruled, *good;

/* What the ruled node has logged; guarded by log_lock. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char logged[32768];

static inline void
keep_line(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    pthread_mutex_lock(&log_lock);
    size_t used = strlen(logged);
    if (len + 2 < sizeof logged - used) {
        memcpy(logged + used, line, len);
        memcpy(logged + used + len, "\n", 2);
    }
    pthread_mutex_unlock(&log_lock);
}

static inline bool has_logged(const char *text)
{
    pthread_mutex_lock(&log_lock);
    bool has = strstr(logged, text) != NULL;
    pthread_mutex_unlock(&log_lock);
    return has;
}

/* ---- the peer by hand ---------------------------------------------------- */

struct adversary {
    struct end end;
    uint8_t pid_bytes[80];
    tenon_term pid;
    tenon_ref asked;   /* of the last call */
    bool answered;     /* it has its answer: */
    char answer[1000]; /* as inspect prints it */
    unsigned of[TN_SIG_KINDS];
    /* The node's question for nodes(); NULL: it has not come. */
    tenon_value *spawn_ref, *spawn_from, *spawn_arg;
    tenon_value *linked; /* who links to it; NULL: nobody yet */
    tenon_value *called; /* the {pid, tag} that calls it; likewise */
};

static inline void forget_question(struct adversary *evil)
{
    tenon_value_free(evil->spawn_ref);
    tenon_value_free(evil->spawn_from);
    tenon_value_free(evil->spawn_arg);
    tenon_value_free(evil->linked);
    tenon_value_free(evil->called);
    evil->linked = evil->called = NULL;
    evil->spawn_ref = evil->spawn_from = evil->spawn_arg = NULL;
}

static inline void
record(struct end *end, tn_conn *conn, const struct tn_signal *signal)
{
    struct adversary *evil = end->user;
    tenon_term value;
    tenon_ref ref;
    (void)conn;
    evil->of[signal->kind]++;
    if (signal->kind == TN_SIG_SPAWN_REQUEST) {
        forget_question(evil);
        assert_true(tenon_match(signal->payload, "[~t | _]", &value));
        evil->spawn_ref = tenon_value_new(signal->ref);
        evil->spawn_from = tenon_value_new(signal->from);
        evil->spawn_arg = tenon_value_new(value);
    }
    if (signal->kind == TN_SIG_LINK && evil->linked == NULL) {
        evil->linked = tenon_value_new(signal->from);
    }
    if (signal->kind == TN_SIG_SEND_NAME && evil->called == NULL &&
        tenon_match(signal->payload, "{:\"$gen_call\", ~t, _}", &value)) {
        evil->called = tenon_value_new(value);
    }
    if (signal->kind == TN_SIG_SEND &&
        tenon_match(signal->payload, "{~r, ~t}", &ref, &value) &&
        tenon_ref_equal(&ref, &evil->asked)) {
        tenon_term_print(value, evil->answer, sizeof evil->answer);
        evil->answered = true;
    }
}

static inline bool is_up(tenon_node *node, const char *name)
{
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    bool up = peer != NULL && peer->state == TN_PEER_UP;
    tn_unlock(node);
    return up;
}

/* Connected, or being called. */
static inline bool is_peer(tenon_node *node, const char *name)
{
    tn_lock(node);
    bool is = tn_peer_find_locked(node, name, strlen(name)) != NULL;
    tn_unlock(node);
    return is;
}

/* config: as of end_open. */
static inline void join_with(struct adversary *evil,
                             const char *name,
                             const struct tn_dist_config *config)
{
    struct end to = { .port = tenon_node_port(ruled) };
    memset(evil, 0, sizeof *evil);
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(ruled));
    end_open(&evil->end, &loop, name, config);
    evil->end.on_signal = record;
    evil->end.user = evil;
    evil->pid = make_pid(evil->pid_bytes, name, 1, 1000);
    end_connect(&evil->end, &to);
    RUN_UNTIL(&loop, evil->end.ups == 1);
    WAIT_FOR(is_up(ruled, name));
}

static inline void join_as(struct adversary *evil, const char *name)
{
    join_with(evil, name, NULL);
}

static inline void send_signal(struct adversary *evil, struct tn_signal signal)
{
    tenon_error err = { 0 };
    if (tn_conn_send(evil->end.up, &signal, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tn_conn_flush(evil->end.up);
}

/* What was sent before has been handled, and what the loop was told to do then,
 * when this returns. */
static inline void settle(struct adversary *evil)
{
    for (int i = 0; i < 2; i++) {
        unsigned before = evil->of[TN_SIG_UNLINK_ACK];
        send_signal(evil,
                    (struct tn_signal){ .kind = TN_SIG_UNLINK,
                                        .from = evil->pid,
                                        .to = tn_process_pid(ruled->client),
                                        .id = 77 });
        RUN_UNTIL(&loop, evil->of[TN_SIG_UNLINK_ACK] > before);
    }
}

/* message: taken. */
static inline void
tell(struct adversary *evil, const char *name, tenon_value *message)
{
    uint8_t to[80];
    assert_non_null(message);
    send_signal(evil,
                (struct tn_signal){ .kind = TN_SIG_SEND_NAME,
                                    .from = evil->pid,
                                    .to = make_atom(to, name),
                                    .payload = tenon_value_term(message) });
    tenon_value_free(message);
}

/* request: taken. The call's reference is one of its own. */
static inline void
send_call(struct adversary *evil, const char *name, tenon_value *request)
{
    uint32_t number = evil->asked.words[0] + 1;
    assert_non_null(request);
    evil->asked = (tenon_ref){ .creation = 1000, .word_count = 3 };
    evil->asked.words[0] = number;
    snprintf(evil->asked.node, sizeof evil->asked.node, "%s", evil->end.name);
    evil->answered = false;
    tell(evil, name,
         tenon_value_format("{:\"$gen_call\", {~t, ~r}, ~t}", evil->pid,
                            &evil->asked, tenon_value_term(request)));
    tenon_value_free(request);
}

/* The answer, printed. */
static inline const char *
ask(struct adversary *evil, const char *name, tenon_value *request)
{
    send_call(evil, name, request);
    RUN_UNTIL(&loop, evil->answered);
    return evil->answer;
}

/* Answers the node's question for nodes() with one name. */
static inline void answer_nodes(struct adversary *peer, const char *name)
{
    RUN_UNTIL(&loop, peer->spawn_ref != NULL);
    tenon_value *answer = tenon_value_format("{~t, :return, [~a, ~a]}",
                                             tenon_value_term(peer->spawn_arg),
                                             tenon_node_name(ruled), name);
    assert_non_null(answer);
    send_signal(peer,
                (struct tn_signal){ .kind = TN_SIG_SPAWN_REPLY,
                                    .to = tenon_value_term(peer->spawn_from),
                                    .ref = tenon_value_term(peer->spawn_ref),
                                    .flags = TN_SPAWN_MONITOR,
                                    .payload = peer->pid });
    send_signal(peer,
                (struct tn_signal){ .kind = TN_SIG_DOWN,
                                    .from = peer->pid,
                                    .to = tenon_value_term(peer->spawn_from),
                                    .ref = tenon_value_term(peer->spawn_ref),
                                    .payload = tenon_value_term(answer) });
    tenon_value_free(answer);
}

/* A process of the adversary's; freed by tenon_value_free. */
static inline tenon_value *pid_at(const char *node, uint32_t id)
{
    tenon_pid pid = { .id = id, .creation = 1000 };
    snprintf(pid.node, sizeof pid.node, "%s", node);
    return must_format_pid(&pid);
}

/* ---- the nodes ----------------------------------------------------------- */

static inline void write_rules(char path[], const char *rules)
{
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    assert_non_null(file);
    fprintf(file, "{peer, '%s', all}. %s", tenon_node_name(good), rules);
    assert_int_equal(fclose(file), 0);
}

static inline tenon_node *start_member(const char *prefix, const char *rules)
{
    tenon_error err = { 0 };
    char name[64];
    new_name(name, prefix);
    tenon_node_config config = config_of(name, &err);
    config.rules_file = rules;
    if (rules != NULL) {
        config.log = keep_line;
    }
    tenon_node *node = tenon_node_start(&config);
    if (node == NULL) {
        fail_msg("%s", err.text);
    }
    node->stop_workers_ms = DEADLINE_MS;
    return node;
}

/* rules: of all peers but the one that may do everything. */
static inline void start_nodes(const char *rules)
{
    char path[] = "/tmp/tn-adversary-XXXXXX";
    logged[0] = '\0';
    good = start_member("good", NULL);
    write_rules(path, rules);
    ruled = start_member("ruled", path);
    assert_int_equal(unlink(path), 0);
    connect_nodes(good, ruled);
    assert_int_equal(uv_loop_init(&loop), 0);
}

static inline void stop_nodes(void)
{
    tenon_node_stop(good);
    tenon_node_stop(ruled);
    good = ruled = NULL;
    assert_int_equal(uv_loop_close(&loop), 0);
}

static inline uint64_t claims(void)
{
    return stats_of(ruled).claims_refused;
}

#endif
