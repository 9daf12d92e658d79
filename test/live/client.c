/* SPDX-License-Identifier: Apache-2.0 */
/* A handler library for the ExUnit suite: the module :client, by whose
 * functions a test makes a node call, cast, send, and start tasks elsewhere.
 * Each answers {code, value}; a destination is a pid or {name, node}. */
#include <pthread.h>
#include <stdlib.h>

#include "handlers.h"

#define MODULE "client"
/* Tasks that one test run starts by `start`. */
#define TASKS_MAX 64

/* ---- destinations and answers ------------------------------------------ */

struct dest {
    tenon_dest to;
    tenon_pid pid;
    tenon_atom name, node;
};

static bool read_dest(tenon_term term, struct dest *dest)
{
    dest->to = (tenon_dest){ 0 };
    if (tenon_term_pid(term, &dest->pid) == TENON_OK) {
        dest->to.pid = &dest->pid;
        return true;
    }
    dest->to.name = dest->name.text;
    dest->to.node = dest->node.text;
    return tenon_match(term, "{~a, ~a}", &dest->name, &dest->node);
}

static void answer(tenon_call *call, enum tenon_err code, tenon_term value)
{
    if (value.bytes != NULL) {
        tenon_reply(call, "{~a, ~t}", tenon_err_name(code), value);
    } else {
        tenon_reply(call, "{~a, nil}", tenon_err_name(code));
    }
}

static void
answer_value(tenon_call *call, enum tenon_err code, tenon_value *value)
{
    answer(call, code, tenon_value_term(value));
    tenon_value_free(value);
}

/* ---- messages ----------------------------------------------------------- */

/* call(to, request, timeout_ms) */
static void do_call(tenon_call *call, void *user)
{
    struct dest dest;
    uint64_t timeout_ms;
    tenon_value *value = NULL;

    (void)user;
    if (!read_dest(tenon_call_arg(call, 0), &dest) ||
        tenon_term_uint64(tenon_call_arg(call, 2), &timeout_ms) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    enum tenon_err rc = tenon_server_call(tenon_call_node(call), &dest.to,
                                          tenon_call_arg(call, 1),
                                          (uint32_t)timeout_ms, &value, NULL);

    answer_value(call, rc, value);
}

/* cast(to, request) */
static void do_cast(tenon_call *call, void *user)
{
    struct dest dest;

    (void)user;
    if (!read_dest(tenon_call_arg(call, 0), &dest)) {
        tenon_raise(call, ":badarg");
        return;
    }
    answer(call,
           tenon_server_cast(tenon_call_node(call), &dest.to,
                             tenon_call_arg(call, 1), NULL),
           (tenon_term){ 0 });
}

/* send(to, message) */
static void do_send(tenon_call *call, void *user)
{
    struct dest dest;

    (void)user;
    if (!read_dest(tenon_call_arg(call, 0), &dest)) {
        tenon_raise(call, ":badarg");
        return;
    }
    answer(call,
           tenon_send(tenon_call_node(call), &dest.to, tenon_call_arg(call, 1),
                      NULL),
           (tenon_term){ 0 });
}

/* rpc(node, module, function, args) */
static void do_rpc(tenon_call *call, void *user)
{
    tenon_atom node, module, function;
    tenon_term args;
    tenon_value *value = NULL;

    (void)user;
    if (!tenon_match(tenon_call_request(call), "[~a, ~a, ~a, ~t]", &node,
                     &module, &function, &args)) {
        tenon_raise(call, ":badarg");
        return;
    }
    enum tenon_err rc = tenon_rpc(tenon_call_node(call), node.text, module.text,
                                  function.text, args, 0, &value, NULL);

    answer_value(call, rc, value);
}

/* ---- tasks -------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    tenon_task *tasks[TASKS_MAX]; /* by id; never taken out */
    tenon_process *linked[TASKS_MAX];
    size_t count;
} started = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* [to, module, function, args, timeout_ms] */
struct order {
    struct dest dest;
    tenon_atom module, function;
    tenon_term args;
    uint64_t timeout_ms;
};

static bool read_order(tenon_call *call, struct order *order)
{
    tenon_term to;

    if (tenon_match(tenon_call_request(call), "[~t, ~a, ~a, ~t, ~u]", &to,
                    &order->module, &order->function, &order->args,
                    &order->timeout_ms) &&
        read_dest(to, &order->dest)) {
        return true;
    }
    tenon_raise(call, ":badarg");
    return false;
}

static tenon_task *
start(tenon_call *call, const struct order *order, tenon_task_options options)
{
    tenon_error err = { 0 };

    options.timeout_ms = (uint32_t)order->timeout_ms;
    tenon_task *task = tenon_task_async(
        tenon_call_node(call), &order->dest.to, order->module.text,
        order->function.text, order->args, &options, &err);

    if (task == NULL) {
        tenon_exit(call, "{:not_started, ~a}", tenon_err_name(err.code));
    }
    return task;
}

/* task(to, module, function, args, timeout_ms): its end. */
static void do_task(tenon_call *call, void *user)
{
    struct order order;
    tenon_value *value = NULL;

    (void)user;
    if (!read_order(call, &order)) {
        return;
    }
    tenon_task *task = start(call, &order, (tenon_task_options){ 0 });

    if (task != NULL) {
        enum tenon_err rc =
            tenon_task_await(task, TENON_NO_TIMEOUT, &value, NULL);

        answer_value(call, rc, value);
    }
    tenon_task_release(task);
}

static void on_end(void *user, const tenon_result *result)
{
    answer(user, result->code, result->value);
    tenon_call_release(user);
}

/* task_called_back(to, module, function, args, timeout_ms): likewise. */
static void do_task_called_back(tenon_call *call, void *user)
{
    struct order order;

    (void)user;
    if (!read_order(call, &order)) {
        return;
    }
    tenon_call *kept = tenon_call_keep(call);

    if (kept == NULL) {
        return;
    }
    /* The order lies in the call that the handler was given. */
    tenon_task *task = start(
        kept, &order, (tenon_task_options){ .on_end = on_end, .user = kept });

    if (task == NULL) {
        tenon_call_release(kept);
    }
    tenon_task_release(task);
}

static int64_t keep_started(tenon_task *task, tenon_process *linked)
{
    int64_t id = -1;

    pthread_mutex_lock(&started.lock);
    if (started.count < TASKS_MAX) {
        id = (int64_t)started.count;
        started.tasks[started.count] = task;
        started.linked[started.count++] = linked;
    }
    pthread_mutex_unlock(&started.lock);
    return id;
}

/* start(to, module, function, args, timeout_ms): {id, pid}, of the task for
 * what follows, and of the process that it is linked with. */
static void do_start(tenon_call *call, void *user)
{
    struct order order;
    tenon_pid pid;

    (void)user;
    if (!read_order(call, &order)) {
        return;
    }
    tenon_process *linked =
        tenon_mailbox_new(tenon_call_node(call), NULL, NULL);
    tenon_task *task =
        linked == NULL
            ? NULL
            : start(call, &order, (tenon_task_options){ .link = linked });

    if (task == NULL) {
        tenon_process_release(linked);
        return;
    }
    tenon_process_pid(linked, &pid);
    tenon_reply(call, "{~i, ~p}", keep_started(task, linked), &pid);
}

static tenon_task *find_started(tenon_call *call, uint64_t *ms)
{
    uint64_t id;
    tenon_task *task = NULL;

    if (tenon_match(tenon_call_request(call), "[~u, ~u]", &id, ms)) {
        pthread_mutex_lock(&started.lock);
        task = id < started.count ? started.tasks[id] : NULL;
        pthread_mutex_unlock(&started.lock);
    }
    if (task == NULL) {
        tenon_raise(call, ":badarg");
    }
    return task;
}

/* await(id, wait_ms) */
static void do_await(tenon_call *call, void *user)
{
    uint64_t ms;
    tenon_task *task = find_started(call, &ms);
    tenon_value *value = NULL;

    (void)user;
    if (task != NULL) {
        enum tenon_err rc = tenon_task_await(task, (uint32_t)ms, &value, NULL);

        answer_value(call, rc, value);
    }
}

/* shutdown(id, timeout_ms) */
static void do_shutdown(tenon_call *call, void *user)
{
    uint64_t ms;
    tenon_task *task = find_started(call, &ms);
    tenon_value *value = NULL;

    (void)user;
    if (task != NULL) {
        enum tenon_err rc =
            tenon_task_shutdown(task, (uint32_t)ms, &value, NULL);

        answer_value(call, rc, value);
    }
}

/* start_child(to, module, function, args, timeout_ms): {code, pid}. */
static void do_start_child(tenon_call *call, void *user)
{
    struct order order;
    tenon_pid pid;

    (void)user;
    if (!read_order(call, &order)) {
        return;
    }
    enum tenon_err rc = tenon_task_start_child(
        tenon_call_node(call), &order.dest.to, order.module.text,
        order.function.text, order.args, (uint32_t)order.timeout_ms, &pid,
        NULL);

    if (rc == TENON_OK) {
        tenon_reply(call, "{:OK, ~p}", &pid);
    } else {
        answer(call, rc, (tenon_term){ 0 });
    }
}

/* ---- the library -------------------------------------------------------- */

static const struct handler functions[] = {
    { "call", 3, do_call },
    { "cast", 2, do_cast },
    { "send", 2, do_send },
    { "rpc", 4, do_rpc },
    { "task", 5, do_task },
    { "task_called_back", 5, do_task_called_back },
    { "start", 5, do_start },
    { "await", 2, do_await },
    { "shutdown", 2, do_shutdown },
    { "start_child", 5, do_start_child },
};

static enum tenon_err load(tenon_node *node, void **state, tenon_error *err)
{
    (void)state;
    (void)err;
    return add_handlers(node, MODULE, functions,
                        sizeof functions / sizeof *functions);
}

static void unload(void *state)
{
    (void)state;
    for (size_t i = 0; i < started.count; i++) {
        tenon_task_release(started.tasks[i]);
        tenon_process_release(started.linked[i]);
    }
}

TENON_HANDLERS = { TENON_HANDLERS_ABI, "client", load, unload };
