/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of servers from C: tenon_server_call, tenon_server_cast, tenon_ping. */
#include <stdio.h>
#include <string.h>

#include <tenon/rpc.h>

#include "base/error.h"
#include "node/node.h"
#include "node/peer.h"
#include "otp/ask.h"
#include "otp/atoms.h"
#include "otp/gen.h"

/* The context of a call. */
struct server_question {
    const tenon_dest *to;
    tenon_term request;
};

static enum tenon_err send_call(const struct tn_ask *ask,
                                const void *context,
                                tn_request_fn fn,
                                void *user,
                                tenon_error *err)
{
    const struct server_question *question = context;
    return tn_request_server(ask->node, question->to, question->request,
                             ask->timeout_ms, fn, user, err);
}

static void describe_dest(const tenon_dest *to, char *text, size_t cap)
{
    if (to->pid != NULL) {
        snprintf(text, cap, "#PID<%.60s.%lu.%lu>", to->pid->node,
                 (unsigned long)to->pid->id, (unsigned long)to->pid->serial);
    } else if (to->node != NULL) {
        snprintf(text, cap, "\"%.60s\" on \"%.60s\"", to->name, to->node);
    } else {
        snprintf(text, cap, "\"%.60s\"", to->name);
    }
}

static void describe_call(const struct tn_ask *ask, char *text, size_t cap)
{
    const struct server_question *question = ask->context;
    char dest[150];
    describe_dest(question->to, dest, sizeof dest);
    snprintf(text, cap, "call of %s", dest);
}

static struct tn_answer
decode_call(const struct tn_ask *ask, enum tn_request_end end, tenon_term term)
{
    (void)ask;
    if (end == TN_END_REPLY) {
        return (struct tn_answer){ .code = TENON_OK, .value = term };
    }
    if (end != TN_END_DOWN) {
        return tn_answer_of_end(end);
    }
    if (tenon_term_is_atom(term, "noproc")) {
        return (struct tn_answer){ .code = TENON_E_NOPROC };
    }
    return (struct tn_answer){ .code = TENON_E_REMOTE_EXIT, .value = term };
}

/* Sets `ask` up; `question` is its context. */
static enum tenon_err prepare(struct tn_ask *ask,
                              const struct server_question *question,
                              tenon_node *node,
                              uint32_t timeout_ms,
                              tenon_error *err)
{
    const tenon_dest *to = question->to;
    if (node == NULL || to == NULL || (to->pid == NULL && to->name == NULL)) {
        return tn_error(err, TENON_E_INVAL,
                        "call of a server: a node and a destination are "
                        "expected");
    }
    if (question->request.bytes == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "call of a server: the request is no term");
    }
    *ask = (struct tn_ask){
        .node = node,
        .timeout_ms = timeout_ms,
        .start = send_call,
        .context = question,
        .decode = decode_call,
        .describe = describe_call,
    };
    return TENON_OK;
}

enum tenon_err tenon_server_call(tenon_node *node,
                                 const tenon_dest *to,
                                 tenon_term request,
                                 uint32_t timeout_ms,
                                 tenon_value **value,
                                 tenon_error *err)
{
    const struct server_question question = { to, request };
    struct tn_ask ask;
    if (value != NULL) {
        *value = NULL;
    }
    enum tenon_err rc = prepare(&ask, &question, node, timeout_ms, err);
    return rc < 0 ? rc : tn_ask_wait(&ask, value, err);
}

enum tenon_err tenon_server_call_async(tenon_node *node,
                                       const tenon_dest *to,
                                       tenon_term request,
                                       uint32_t timeout_ms,
                                       tenon_result_fn fn,
                                       void *user)
{
    const struct server_question question = { to, request };
    struct tn_ask ask;
    enum tenon_err rc = prepare(&ask, &question, node, timeout_ms, NULL);
    if (rc == TENON_OK && fn == NULL) {
        rc = TENON_E_INVAL;
    }
    return rc < 0 ? rc : tn_ask_async(&ask, fn, user);
}

enum tenon_err tenon_server_cast(tenon_node *node,
                                 const tenon_dest *to,
                                 tenon_term request,
                                 tenon_error *err)
{
    struct tn_pair cast;
    if (node == NULL || to == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "cast to a server: a node and a destination are "
                        "expected");
    }
    enum tenon_err rc = tn_pair_init(&cast, tn_atom_gen_cast, request);
    if (rc < 0) {
        return tn_error(err, rc, "cast to a server: %s", tenon_err_text(rc));
    }
    rc = tn_send_dest(node, (tenon_term){ 0 }, to, cast.term, err);
    tn_pair_fini(&cast);
    return rc;
}

/* ---- ping -------------------------------------------------------------- */

static struct tn_answer
decode_ping(const struct tn_ask *ask, enum tn_request_end end, tenon_term term)
{
    (void)ask;
    if (end == TN_END_REPLY) {
        return (struct tn_answer){
            .code =
                tenon_term_is_atom(term, "yes") ? TENON_OK : TENON_E_BADTERM,
        };
    }
    /* A node whose net_kernel is not there or ends is as good as down. */
    return tn_answer_of_end(end == TN_END_DOWN ? TN_END_NODEDOWN : end);
}

static void describe_ping(const struct tn_ask *ask, char *text, size_t cap)
{
    const struct server_question *question = ask->context;
    snprintf(text, cap, "ping of \"%.120s\"", question->to->node);
}

static enum tenon_err ping_other(tenon_node *node,
                                 const char *name,
                                 uint32_t timeout_ms,
                                 tenon_error *err)
{
    const tenon_dest to = { .name = "net_kernel", .node = name };
    tenon_value *request =
        tenon_value_format("{:is_auth, ~a}", tenon_node_name(node));
    if (request == NULL) {
        return tn_error(err, TENON_E_NOMEM, "ping of \"%.120s\"", name);
    }
    const struct server_question question = { &to, tenon_value_term(request) };
    struct tn_ask ask;
    enum tenon_err rc = prepare(&ask, &question, node, timeout_ms, err);
    if (rc == TENON_OK) {
        ask.decode = decode_ping;
        ask.describe = describe_ping;
        rc = tn_ask_wait(&ask, NULL, err);
    }
    tenon_value_free(request);
    return rc;
}

enum tenon_err tenon_ping(tenon_node *node,
                          const char *name,
                          uint32_t timeout_ms,
                          tenon_error *err)
{
    if (node == NULL || name == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "ping: a node and a name are expected");
    }
    if (strcmp(name, tenon_node_name(node)) == 0) {
        return TENON_OK;
    }
    return ping_other(node, name, timeout_ms, err);
}
