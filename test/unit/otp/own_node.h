/* SPDX-License-Identifier: Apache-2.0 */
/* A node with the services of otp/ that is known to no epmd and no peer: what
 * it does for its own processes can be tested without any other node. */
#ifndef TEST_OTP_OWN_NODE_H
#define TEST_OTP_OWN_NODE_H

#include <stdlib.h>
#include <string.h>

#include <tenon.h>

#include "node/loop.h"
#include "node/node.h"
#include "otp/erpc.h"
#include "otp/global.h"
#include "otp/net_kernel.h"
#include "otp/rex.h"
#include "unit/support/deadline.h"

#define OWN_NAME "unit@127.0.0.1"

static inline void must_be_ok(enum tenon_err rc, const char *what)
{
    if (rc != TENON_OK) {
        fail_msg("%s: %s", what, tenon_err_name(rc));
    }
}
#define OK(call) must_be_ok((call), #call)

static inline void
ignore_log(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    (void)line;
    (void)len;
}

static inline tenon_node *own_node_start_logging(tenon_log_fn log)
{
    tenon_error err = { 0 };
    tenon_node_config config = {
        .name = OWN_NAME,
        .cookie = "unit",
        .log = log,
        .no_global = true,
        .connect_timeout_ms = DEADLINE_MS,
        .err = &err,
    };
    tenon_node *node = tn_node_start(&config);
    if (node == NULL) {
        fail_msg("start: %s", err.text);
        return NULL;
    }
    /* A node that a slow handler outlives is never freed. */
    node->stop_workers_ms = DEADLINE_MS;
    OK(tn_erpc_add_entries(node, &err));
    OK(tn_rex_start(node, &err));
    OK(tn_local_rpc_start(node, &err));
    OK(tn_net_kernel_start(node, &err));
    OK(tn_global_start(node, &err));
    OK(tn_loop_start(node, &err));
    return node;
}

static inline tenon_node *own_node_start(void)
{
    return own_node_start_logging(ignore_log);
}

/* A teardown for tests whose state is the node. */
static inline int own_node_stop(void **state)
{
    tenon_node_stop(*state);
    return 0;
}

/* The text of a term; of limited length, one per call in a line. */
static inline const char *text_of(tenon_term term)
{
    static char text[4][600];
    static unsigned turn;
    char *room = text[turn++ % 4];
    tenon_term_print(term, room, sizeof text[0]);
    return room;
}

/* A process of the test's own. */
struct me {
    tenon_node *node;
    tenon_process *box;
    tenon_pid pid;
};

static inline struct me me_new(tenon_node *node)
{
    struct me me = { .node = node };
    me.box = tenon_mailbox_new(node, NULL, NULL);
    if (me.box == NULL) {
        fail_msg("no mailbox");
    }
    tenon_process_pid(me.box, &me.pid);
    return me;
}

static inline void me_free(struct me *me)
{
    OK(tenon_process_exit(me->box, ":normal"));
    tenon_process_release(me->box);
}

/* owned: tenon_value_free. */
static inline tenon_value *next_message(struct me *me)
{
    tenon_value *message = NULL;
    OK(tenon_receive(me->box, DEADLINE_MS, &message));
    return message;
}

static inline void assert_next(struct me *me, const char *expected)
{
    tenon_value *message = next_message(me);
    char text[600];
    tenon_term_print(tenon_value_term(message), text, sizeof text);
    tenon_value_free(message);
    assert_string_equal(text, expected);
}

static inline void assert_no_message(struct me *me)
{
    tenon_value *message = NULL;
    assert_int_equal(tenon_receive(me->box, 0, &message), TENON_E_TIMEOUT);
}

#define TO(text) (&(tenon_dest){ .name = (text) })

#endif
