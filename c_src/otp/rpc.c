/* SPDX-License-Identifier: Apache-2.0 */
/* Running functions on nodes from C: tenon_rpc and its kin, as erpc does it. */
#include <stdio.h>
#include <string.h>

#include <tenon/rpc.h>

#include "base/error.h"
#include "node/node.h"
#include "otp/ask.h"
#include "otp/erpc.h"
#include "otp/gen.h"
#include "otp/rex.h"

/* The context of a question. */
struct rpc_question {
    const char *on; /* NULL: the own node */
    tenon_term args;
};

/* ---- asking ------------------------------------------------------------ */

/* Checks and builds [ref, module, function, args], or without a ref [module,
 * function, args]. */
static enum tenon_err build_args(const tenon_ref *ref,
                                 const char *module,
                                 const char *function,
                                 tenon_term args,
                                 tenon_builder **built,
                                 tenon_term *list)
{
    tenon_builder *out = tenon_builder_new();
    if (out == NULL) {
        return TENON_E_NOMEM;
    }
    tenon_build_list(out, ref != NULL ? 4 : 3);
    if (ref != NULL) {
        tenon_build_ref(out, ref);
    }
    tenon_build_atom(out, module);
    tenon_build_atom(out, function);
    tenon_build_term(out, args);
    tenon_build_nil(out);
    enum tenon_err rc = tenon_builder_term(out, list);
    if (rc < 0) {
        tenon_builder_free(out);
        return rc;
    }
    *built = out;
    return TENON_OK;
}

static enum tenon_err ask_here(const struct tn_ask *ask,
                               tenon_term args,
                               tn_request_fn fn,
                               void *user,
                               tenon_error *err)
{
    tenon_pid pid;
    tn_local_rpc_pid(ask->node, &pid);
    const tenon_dest to = { .pid = &pid };
    return tn_request_server(ask->node, &to, args, ask->timeout_ms, fn, user,
                             err);
}

static enum tenon_err send_rpc(const struct tn_ask *ask,
                               const void *context,
                               tn_request_fn fn,
                               void *user,
                               tenon_error *err)
{
    const struct rpc_question *question = context;
    tenon_builder *built;
    tenon_term args;
    enum tenon_err rc = build_args(&ask->ref, ask->module, ask->function,
                                   question->args, &built, &args);
    if (rc < 0) {
        return tn_error(err, rc, "rpc: %s", tenon_err_text(rc));
    }
    if (question->on == NULL) {
        rc = ask_here(ask, args, fn, user, err);
    } else {
        rc = tn_request_spawn(ask->node, question->on, "erpc", "execute_call",
                              args, ask->timeout_ms, fn, user, err);
    }
    tenon_builder_free(built);
    return rc;
}

static void describe_rpc(const struct tn_ask *ask, char *text, size_t cap)
{
    const struct rpc_question *question = ask->context;
    const char *on =
        question->on != NULL ? question->on : tenon_node_name(ask->node);
    snprintf(text, cap, "rpc to \"%.60s\": %.40s:%.40s/%zu", on, ask->module,
             ask->function, ask->arity);
}

/* ---- the result -------------------------------------------------------- */

/* True when the stack begins with the function that was called. */
static bool is_called_one(const struct tn_ask *ask, tenon_term stack)
{
    tenon_cursor at;
    tenon_term frame, part[4];
    uint64_t arity;
    tenon_cursor_init(&at, stack);
    if (tenon_term_type(stack) != TENON_TYPE_LIST ||
        !tenon_cursor_next(&at, &frame) || !tn_tuple_views(frame, part, 4) ||
        !tenon_term_is_atom(part[0], ask->module) ||
        !tenon_term_is_atom(part[1], ask->function)) {
        return false;
    }
    if (tenon_term_uint64(part[2], &arity) == TENON_OK) {
        return arity == ask->arity;
    }
    return tenon_term_is_proper_list(part[2]) &&
           tenon_term_count(part[2]) == ask->arity;
}

/* stack: the null view when there is none. */
static struct tn_answer
decode_error(const struct tn_ask *ask, tenon_term reason, tenon_term stack)
{
    struct tn_answer answer = { .code = TENON_E_REMOTE_ERROR };
    if (stack.bytes == NULL) {
        answer.made = tenon_value_format("{~t, []}", reason);
    } else {
        if (tenon_term_is_atom(reason, "undef") && is_called_one(ask, stack)) {
            answer.code = TENON_E_REMOTE_UNDEF;
        }
        answer.made = tenon_value_format("{~t, ~t}", reason, stack);
    }
    if (answer.made == NULL) {
        return (struct tn_answer){ .code = TENON_E_NOMEM };
    }
    answer.value = tenon_value_term(answer.made);
    return answer;
}

/* {tag, kind, value[, stack]}. BADTERM: it is not of that form. */
static struct tn_answer decode_result(const struct tn_ask *ask, tenon_term term)
{
    tenon_term part[4] = { { 0 } };
    if (tn_tuple_views(term, part, 4)) {
        return tenon_term_is_atom(part[1], "error")
                   ? decode_error(ask, part[2], part[3])
                   : (struct tn_answer){ .code = TENON_E_BADTERM };
    }
    struct tn_answer answer = { .code = TENON_E_BADTERM };
    if (!tn_tuple_views(term, part, 3)) {
        return answer;
    }
    answer.value = part[2];
    if (tenon_term_is_atom(part[1], "return")) {
        answer.code = TENON_OK;
    } else if (tenon_term_is_atom(part[1], "throw")) {
        answer.code = TENON_E_REMOTE_THROW;
    } else if (tenon_term_is_atom(part[1], "exit")) {
        answer.code = TENON_E_REMOTE_EXIT;
    } else if (tenon_term_is_atom(part[1], "error")) {
        return decode_error(ask, part[2], (tenon_term){ 0 });
    } else {
        answer.value = (tenon_term){ 0 };
    }
    return answer;
}

static bool has_tag(tenon_term term, const tenon_ref *ref)
{
    tenon_term first;
    tenon_ref tag;
    return tenon_tuple_get(term, 0, &first) == TENON_OK &&
           tenon_term_ref(first, &tag) == TENON_OK &&
           tenon_ref_equal(&tag, ref);
}

static struct tn_answer
decode_rpc(const struct tn_ask *ask, enum tn_request_end end, tenon_term term)
{
    switch (end) {
    case TN_END_REPLY: /* from the own node */
        return decode_result(ask, term);
    case TN_END_REFUSED:
        return (struct tn_answer){ .code = TENON_E_NOTSUP, .value = term };
    case TN_END_DOWN:
        if (has_tag(term, &ask->ref)) {
            return decode_result(ask, term);
        }
        /* Not erpc's doing: the process was killed. */
        return (struct tn_answer){ .code = TENON_E_REMOTE_EXIT, .value = term };
    case TN_END_NODEDOWN:
    case TN_END_TIMEOUT:
    case TN_END_STOPPED:
        break;
    }
    return tn_answer_of_end(end);
}

/* ---- the public functions ---------------------------------------------- */

static bool is_own(const tenon_node *node, const char *on)
{
    return on == NULL || strcmp(on, tenon_node_name(node)) == 0;
}

static enum tenon_err check(const tenon_node *node,
                            const char *module,
                            const char *function,
                            tenon_term args,
                            tenon_error *err)
{
    if (node == NULL || module == NULL || function == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "rpc: a node, a module and a function are expected");
    }
    if (!tenon_term_is_proper_list(args)) {
        return tn_error(err, TENON_E_INVAL,
                        "rpc of %.60s:%.60s: arguments that are a proper list "
                        "are expected",
                        module, function);
    }
    return TENON_OK;
}

static struct tn_ask ask_of(tenon_node *node,
                            const struct rpc_question *question,
                            const char *module,
                            const char *function,
                            uint32_t timeout_ms)
{
    struct tn_ask ask = {
        .node = node,
        .timeout_ms = timeout_ms,
        .start = send_rpc,
        .context = question,
        .decode = decode_rpc,
        .describe = describe_rpc,
        .module = module,
        .function = function,
        .arity = tenon_term_count(question->args),
    };
    tn_node_make_ref(node, &ask.ref);
    return ask;
}

enum tenon_err tenon_rpc(tenon_node *node,
                         const char *on,
                         const char *module,
                         const char *function,
                         tenon_term args,
                         uint32_t timeout_ms,
                         tenon_value **value,
                         tenon_error *err)
{
    if (value != NULL) {
        *value = NULL;
    }
    enum tenon_err rc = check(node, module, function, args, err);
    if (rc < 0) {
        return rc;
    }
    const struct rpc_question question = { is_own(node, on) ? NULL : on, args };
    struct tn_ask ask = ask_of(node, &question, module, function, timeout_ms);
    return tn_ask_wait(&ask, value, err);
}

enum tenon_err tenon_rpc_async(tenon_node *node,
                               const char *on,
                               const char *module,
                               const char *function,
                               tenon_term args,
                               uint32_t timeout_ms,
                               tenon_result_fn fn,
                               void *user)
{
    enum tenon_err rc = check(node, module, function, args, NULL);
    if (rc < 0 || fn == NULL) {
        return rc < 0 ? rc : TENON_E_INVAL;
    }
    const struct rpc_question question = { is_own(node, on) ? NULL : on, args };
    struct tn_ask ask = ask_of(node, &question, module, function, timeout_ms);
    return tn_ask_async(&ask, fn, user);
}

static enum tenon_err run_here(tenon_node *node, tenon_term mfa)
{
    tenon_term part[3];
    if (!tn_list_views(mfa, part, 3)) {
        return TENON_E_INVAL;
    }
    struct tn_run run = {
        .module = part[0],
        .name = part[1],
        .args = part[2],
        .ops = &tn_spawn_ops,
    };
    tn_run_resolve(node, &run);
    return tn_spawn_local(node, &run, (tenon_term){ 0 }, NULL);
}

enum tenon_err tenon_rpc_cast(tenon_node *node,
                              const char *on,
                              const char *module,
                              const char *function,
                              tenon_term args,
                              tenon_error *err)
{
    tenon_builder *built;
    tenon_term mfa;
    enum tenon_err rc = check(node, module, function, args, err);
    if (rc < 0) {
        return rc;
    }
    rc = build_args(NULL, module, function, args, &built, &mfa);
    if (rc < 0) {
        return tn_error(err, rc, "rpc cast: %s", tenon_err_text(rc));
    }
    if (is_own(node, on)) {
        rc = run_here(node, mfa);
        if (rc < 0) {
            tn_error(err, rc, "rpc cast: %s", tenon_err_text(rc));
        }
    } else {
        rc = tn_spawn_cast(node, on, "erpc", "execute_cast", mfa, err);
    }
    tenon_builder_free(built);
    return rc;
}
