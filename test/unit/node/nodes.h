/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes for tests, under names that nobody else has: one that no epmd and no
 * peer knows, and one that others can reach. Waiting, always with a deadline. */
#ifndef TEST_NODE_NODES_H
#define TEST_NODE_NODES_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon.h>

#include "base/clock.h"
#include "base/random.h"
#include "node/atoms.h"
#include "node/loop.h"
#include "node/node.h"
#include "unit/support/deadline.h"

#define NODES_COOKIE "ends"

static inline void must_be_ok(enum tenon_err rc, const char *what)
{
    if (rc != TENON_OK) {
        fail_msg("%s: %s", what, tenon_err_name(rc));
    }
}
#define OK(call) must_be_ok((call), #call)

/* Looks again and again; what it looks at is done by other threads. */
#define WAIT_FOR(condition)                                                    \
    do {                                                                       \
        uint64_t wait_until = tn_now_ms() + DEADLINE_MS;                       \
        while (!(condition)) {                                                 \
            if (tn_now_ms() > wait_until) {                                    \
                fail_msg("waited too long for: %s", #condition);               \
            }                                                                  \
            (void)poll(NULL, 0, 1);                                            \
        }                                                                      \
    } while (0)

static inline void
drop_line(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    (void)line;
    (void)len;
}

/* A name for one node of one run. */
static inline void new_name(char name[64], const char *prefix)
{
    uint64_t number = 0;
    OK(tn_random_bytes(&number, sizeof number));
    snprintf(name, 64, "%s%016llx@localhost", prefix,
             (unsigned long long)number);
}

static inline tenon_node_config config_of(const char *name, tenon_error *err)
{
    tenon_node_config config = {
        .sname = name, .cookie = NODES_COOKIE, .log = drop_line, .err = err
    };
    /* A handshake that is slow is no failure. */
    config.connect_timeout_ms = DEADLINE_MS;
    if (getenv("TN_TEST_LOG") != NULL) {
        config.log = NULL;
    }
    return config;
}

/* A node with a running loop that is known to nobody; `limits` may be NULL. */
static inline tenon_node *lone_node(const tenon_node_config *limits)
{
    tenon_error err = { 0 };
    char name[64];
    new_name(name, "lone");
    tenon_node_config config = config_of(name, &err);
    if (limits != NULL) {
        config.worker_max = limits->worker_max;
        config.mailbox_max_messages = limits->mailbox_max_messages;
        config.mailbox_max_bytes = limits->mailbox_max_bytes;
    }
    tenon_node *node = tn_node_start(&config);
    if (node == NULL || tn_loop_start(node, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    /* A node that a slow handler outlives is never freed. */
    node->stop_workers_ms = DEADLINE_MS;
    return node;
}

/* A whole node, registered at epmd. name: NULL for a new one; out_max: most
 * bytes that wait for one peer, 0 for the default. */
static inline tenon_node *known_node_with(const char *name, size_t out_max)
{
    tenon_error err = { 0 };
    char fresh[64];
    new_name(fresh, "known");
    tenon_node_config config = config_of(name != NULL ? name : fresh, &err);
    /* What it says is what the test makes it say. */
    config.no_global = true;
    config.no_connect_all = true;
    config.output_max_bytes = out_max;
    tenon_node *node = tenon_node_start(&config);
    if (node == NULL) {
        fail_msg("%s", err.text);
    }
    node->stop_workers_ms = DEADLINE_MS;
    return node;
}

static inline tenon_node *known_node(const char *name)
{
    return known_node_with(name, 0);
}

static inline tenon_node_stats stats_of(tenon_node *node)
{
    tenon_node_stats stats;
    tenon_node_get_stats(node, &stats, sizeof stats);
    return stats;
}

static inline void connect_nodes(tenon_node *from, tenon_node *to)
{
    tenon_error err = { 0 };
    if (tenon_node_connect(from, tenon_node_name(to), DEADLINE_MS, &err) !=
        TENON_OK) {
        fail_msg("%s", err.text);
    }
    WAIT_FOR(stats_of(to).peers > 0);
}

/* The number that an environment variable gives, for long runs. */
static inline unsigned long count_from_env(const char *name,
                                           unsigned long otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

static inline tenon_process *new_box(tenon_node *node, const char *name)
{
    tenon_error err = { 0 };
    tenon_process *box = tenon_mailbox_new(node, name, &err);
    if (box == NULL) {
        fail_msg("%s", err.text);
    }
    return box;
}

static inline void end_box(tenon_process *box)
{
    (void)tenon_process_exit(box, ":normal");
    tenon_process_release(box);
}

static inline tenon_pid pid_of(const tenon_process *process)
{
    tenon_pid pid;
    tenon_process_pid(process, &pid);
    return pid;
}

/* owned: tenon_value_free. */
static inline tenon_value *next_message(tenon_process *box)
{
    tenon_value *message = NULL;
    OK(tenon_receive(box, DEADLINE_MS, &message));
    return message;
}

/* The next message, printed; it must be this one. */
static inline void assert_next(tenon_process *box, const char *expected)
{
    tenon_value *message = next_message(box);
    char text[600];
    tenon_term_print(tenon_value_term(message), text, sizeof text);
    tenon_value_free(message);
    assert_string_equal(text, expected);
}

/* The next message is {:DOWN, ref, :process, target, reason} with this printed
 * reason. */
static inline void
assert_next_down(tenon_process *box, const tenon_ref *ref, const char *reason)
{
    tenon_value *message = next_message(box);
    tenon_value *expected_ref = tenon_value_format("~r", ref);
    tenon_term got_ref;
    tenon_term target;
    tenon_term why;
    char text[600];
    if (!tenon_match(tenon_value_term(message), "{:DOWN, ~t, :process, ~t, ~t}",
                     &got_ref, &target, &why)) {
        tenon_term_print(tenon_value_term(message), text, sizeof text);
        fail_msg("expected a :DOWN, got %s", text);
    }
    assert_true(tenon_term_equal(got_ref, tenon_value_term(expected_ref)));
    tenon_term_print(why, text, sizeof text);
    assert_string_equal(text, reason);
    tenon_value_free(expected_ref);
    tenon_value_free(message);
}

/* The next message is {:EXIT, from, reason}. */
static inline void
assert_next_exit(tenon_process *box, const tenon_pid *from, const char *reason)
{
    tenon_value *message = next_message(box);
    tenon_pid pid;
    tenon_term why;
    char text[600];
    if (!tenon_match(tenon_value_term(message), "{:EXIT, ~p, ~t}", &pid,
                     &why)) {
        tenon_term_print(tenon_value_term(message), text, sizeof text);
        fail_msg("expected an :EXIT, got %s", text);
    }
    assert_int_equal(pid.id, from->id);
    assert_int_equal(pid.serial, from->serial);
    tenon_term_print(why, text, sizeof text);
    assert_string_equal(text, reason);
    tenon_value_free(message);
}

static inline void assert_no_message(tenon_process *box)
{
    tenon_value *message = NULL;
    enum tenon_err rc = tenon_receive(box, 0, &message);
    if (rc == TENON_OK) {
        char text[600];
        tenon_term_print(tenon_value_term(message), text, sizeof text);
        fail_msg("expected no message, got %s", text);
    }
    assert_int_equal(rc, TENON_E_TIMEOUT);
}

/* Sends an integer. */
static inline enum tenon_err send_number(tenon_process *to, int64_t n)
{
    tenon_pid pid = pid_of(to);
    return tenon_send_format(to->node, &(tenon_dest){ .pid = &pid }, "~i", n);
}

static inline int64_t number_of(tenon_term term)
{
    int64_t n = -1;
    OK(tenon_term_int64(term, &n));
    return n;
}

static inline tenon_value *must_format_pid(const tenon_pid *pid)
{
    tenon_value *value = tenon_value_format("~p", pid);
    assert_non_null(value);
    return value;
}

/* Runs fn(user) on a thread of its own. */
static inline pthread_t start_thread(void *(*fn)(void *), void *user)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, user), 0);
    return thread;
}

#endif
