/* SPDX-License-Identifier: Apache-2.0 */
/* A handler library for the ExUnit suite: the module :client, by whose
 * functions a test makes a node call, cast, send, and start tasks elsewhere.
 * Each answers {code, value}, but repeat, which is for benchmarks; a
 * destination is a pid or {name, node}. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "handlers.h"

#define MODULE "client"
/* Tasks that one test run starts by `start`. */
#define TASKS_MAX 64
/* Callers of one repeat, and the calls of each. */
#define CALLERS_MAX 64
#define CALLS_MAX 1000000

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

/* ---- many calls ---------------------------------------------------------- */

/* What the callers of one repeat share. */
struct repeat {
    tenon_node *node;
    struct dest dest;
    tenon_term request;
    uint64_t count; /* of each caller */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    uint64_t calling; /* callers that have not ended; guarded by lock */
};

struct caller {
    struct repeat *repeat;
    pthread_t thread; /* unless it is called back */
    uint64_t made;
    size_t answered;
    uint64_t started_ns; /* the latest call */
    uint64_t *took_ns;   /* of each call that was answered */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void note_end(struct caller *caller, enum tenon_err rc)
{
    if (rc == TENON_OK) {
        caller->took_ns[caller->answered++] = now_ns() - caller->started_ns;
    }
}

/* A thread that waits for each answer. */
static void *call_often(void *user)
{
    struct caller *caller = user;
    const struct repeat *repeat = caller->repeat;

    for (; caller->made < repeat->count; caller->made++) {
        tenon_value *value = NULL;

        caller->started_ns = now_ns();
        note_end(caller, tenon_server_call(repeat->node, &repeat->dest.to,
                                           repeat->request, 0, &value, NULL));
        tenon_value_free(value);
    }
    return NULL;
}

static void run_threads(struct caller *callers, uint64_t wanted)
{
    uint64_t running = 0;

    while (running < wanted &&
           pthread_create(&callers[running].thread, NULL, call_often,
                          &callers[running]) == 0) {
        running++;
    }
    while (running > 0) {
        pthread_join(callers[--running].thread, NULL);
    }
}

/* Each answer is followed by the next call. */
static void on_answer(void *user, const tenon_result *result);

static void call_next(struct caller *caller)
{
    struct repeat *repeat = caller->repeat;

    if (caller->made++ < repeat->count) {
        caller->started_ns = now_ns();
        if (tenon_server_call_async(repeat->node, &repeat->dest.to,
                                    repeat->request, 0, on_answer,
                                    caller) == TENON_OK) {
            return;
        }
    }
    pthread_mutex_lock(&repeat->lock);
    repeat->calling--;
    pthread_cond_signal(&repeat->ended);
    pthread_mutex_unlock(&repeat->lock);
}

static void on_answer(void *user, const tenon_result *result)
{
    note_end(user, result->code);
    call_next(user);
}

static void run_called_back(struct caller *callers, uint64_t wanted)
{
    struct repeat *repeat = callers[0].repeat;

    repeat->calling = wanted;
    for (uint64_t i = 0; i < wanted; i++) {
        call_next(&callers[i]);
    }
    pthread_mutex_lock(&repeat->lock);
    while (repeat->calling > 0) {
        pthread_cond_wait(&repeat->ended, &repeat->lock);
    }
    pthread_mutex_unlock(&repeat->lock);
}

static int compare_ns(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* The times of all callers, one after the other; how many there are. */
static size_t
gather(const struct caller *callers, uint64_t wanted, uint64_t *took_ns)
{
    size_t answered = 0;

    for (uint64_t i = 0; i < wanted; i++) {
        memmove(took_ns + answered, callers[i].took_ns,
                callers[i].answered * sizeof *took_ns);
        answered += callers[i].answered;
    }
    return answered;
}

static void repeat_and_answer(tenon_call *call,
                              struct repeat *repeat,
                              uint64_t wanted,
                              void (*run)(struct caller *callers,
                                          uint64_t wanted))
{
    struct caller callers[CALLERS_MAX];
    uint64_t most = wanted * repeat->count;
    uint64_t *took_ns =
        most >= SIZE_MAX ? NULL : calloc((size_t)most + 1, sizeof *took_ns);

    if (took_ns == NULL) {
        tenon_raise(call, ":system_limit");
        return;
    }
    for (uint64_t i = 0; i < wanted; i++) {
        callers[i] = (struct caller){ .repeat = repeat,
                                      .took_ns = took_ns + i * repeat->count };
    }
    uint64_t started_ns = now_ns();

    run(callers, wanted);
    uint64_t all_ns = now_ns() - started_ns;
    size_t answered = gather(callers, wanted, took_ns);

    qsort(took_ns, answered, sizeof *took_ns, compare_ns);
    tenon_reply(call, "{~u, ~u, ~u, ~u}", (uint64_t)answered, all_ns,
                took_ns[answered / 2], took_ns[answered * 99 / 100]);
    free(took_ns);
}

/* repeat(how, to, request, callers, count): so many callers call so often each;
 * how: `threads` that wait, or `called_back`. Returns how many calls were
 * answered, the nanoseconds that all took together, and what one took: the
 * median and the 99th percentile. */
static void do_repeat(tenon_call *call, void *user)
{
    uint64_t wanted;
    tenon_atom how;
    struct repeat repeat = { .node = tenon_call_node(call),
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .ended = PTHREAD_COND_INITIALIZER };

    (void)user;
    if (!tenon_match(tenon_call_request(call), "[~a, _, ~t, ~u, ~u]", &how,
                     &repeat.request, &wanted, &repeat.count) ||
        !read_dest(tenon_call_arg(call, 1), &repeat.dest) || wanted < 1 ||
        wanted > CALLERS_MAX || repeat.count > CALLS_MAX) {
        tenon_raise(call, ":badarg");
        return;
    }
    repeat_and_answer(call, &repeat, wanted,
                      strcmp(how.text, "threads") == 0 ? run_threads
                                                       : run_called_back);
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
    { "repeat", 5, do_repeat },
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
