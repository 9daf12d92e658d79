/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that C starts under a task supervisor: each has an owner, a process of
 * this node that asks the supervisor, gives the order, and is told the end. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/task.h>

#include "base/condition.h"
#include "base/error.h"
#include "node/atoms.h"
#include "node/node.h"
#include "otp/gen.h"

struct tenon_task {
    struct tn_job job; /* first: the worker is given this */
    /* its handle, which may outlive the node; the request to the supervisor,
     * its owner, the job that calls back */
    atomic_uint holders;
    tenon_node *node;
    tenon_process *self; /* the owner; kept */
    tenon_process *link; /* kept; NULL: not linked */
    tenon_value *mfa;
    tenon_result_fn on_end;
    void *user;
    tenon_value *supervisor; /* {name or pid, node} */
    uint32_t timeout_ms;
    bool old; /* the supervisor is of Elixir 1.12 or older; of who is told its
                 answer */

    /* guarded by the node's lock */
    struct tn_timer deadline;
    pthread_cond_t ended_cond;
    bool started;   /* pid is known */
    bool has_order; /* ref is known */
    tenon_ref ref;  /* monitor, and tag of the answer */
    bool ended;
    tenon_pid pid;
    enum tenon_err code;
    tenon_value *value;
};

static const tenon_term no_term = { NULL, 0 };

static void task_free(tenon_task *task)
{
    pthread_cond_destroy(&task->ended_cond);
    tenon_process_release(task->self);
    tenon_process_release(task->link);
    tenon_value_free(task->mfa);
    tenon_value_free(task->supervisor);
    tenon_value_free(task->value);
    free(task);
}

static void hold(tenon_task *task)
{
    atomic_fetch_add(&task->holders, 1);
}

static void let_go(tenon_task *task)
{
    if (atomic_fetch_sub(&task->holders, 1) == 1) {
        task_free(task);
    }
}

/* ---- the end ----------------------------------------------------------- */

static void call_back(struct tn_job *job)
{
    tenon_task *task = (tenon_task *)job;
    task->on_end(task->user, &(tenon_result){
                                 .code = task->code,
                                 .value = tenon_value_term(task->value),
                             });
    let_go(task);
}

/* The first end counts. Any thread, without the lock. */
static void finish(tenon_task *task, enum tenon_err code, tenon_term value)
{
    tenon_node *node = task->node;
    tenon_value *copy = value.bytes != NULL ? tenon_value_new(value) : NULL;
    tn_lock(node);
    bool calls_back = false;
    if (!task->ended) {
        task->ended = true;
        task->code = value.bytes != NULL && copy == NULL ? TENON_E_NOMEM : code;
        task->value = copy;
        copy = NULL;
        calls_back = task->on_end != NULL;
        (void)tn_timer_stop_locked(node, &task->deadline);
        pthread_cond_broadcast(&task->ended_cond);
    }
    tn_unlock(node);
    tenon_value_free(copy);
    if (calls_back) {
        task->job.fn = call_back;
        hold(task);
        tn_node_push_job(node, &task->job);
    }
    (void)tn_process_end(task->self, tn_atom_normal);
}

/* The first frame, {module, name, arity or arguments, location}, of a stack, as
 * errors and throws have it behind their reason. False: it is none. */
static bool first_frame(tenon_term stack, tenon_term frame[4])
{
    tenon_cursor at;
    tenon_term first;
    tenon_cursor_init(&at, stack);
    return tenon_term_is_proper_list(stack) && tenon_cursor_next(&at, &first) &&
           tn_tuple_views(first, frame, 4) &&
           tenon_term_type(frame[0]) == TENON_TYPE_ATOM &&
           tenon_term_type(frame[1]) == TENON_TYPE_ATOM;
}

/* The function that the task was to run is not there. */
static bool
is_undef(const tenon_task *task, tenon_term reason, const tenon_term frame[4])
{
    tenon_term mfa[3];
    return tenon_term_is_atom(reason, "undef") &&
           tn_tuple_views(tenon_value_term(task->mfa), mfa, 3) &&
           tenon_term_equal(frame[0], mfa[0]) &&
           tenon_term_equal(frame[1], mfa[1]) &&
           tenon_term_equal(frame[2], mfa[2]);
}

/* A task ends with {reason, stack} for an error, {{nocatch, value}, stack} for
 * a throw, and with what it exited with. */
static enum tenon_err
read_reason(const tenon_task *task, tenon_term reason, tenon_term *value)
{
    tenon_term part[2], thrown[2], frame[4];
    *value = reason;
    if (tenon_term_is_atom(reason, "noconnection")) {
        *value = no_term;
        return TENON_E_NODEDOWN;
    }
    if (!tn_tuple_views(reason, part, 2) || !first_frame(part[1], frame)) {
        return TENON_E_REMOTE_EXIT;
    }
    if (tn_tuple_views(part[0], thrown, 2) &&
        tenon_term_is_atom(thrown[0], "nocatch")) {
        *value = thrown[1];
        return TENON_E_REMOTE_THROW;
    }
    return is_undef(task, part[0], frame) ? TENON_E_REMOTE_UNDEF
                                          : TENON_E_REMOTE_ERROR;
}

static void finish_with_reason(tenon_task *task, tenon_term reason)
{
    tenon_term value;
    enum tenon_err code = read_reason(task, reason, &value);
    finish(task, code, value);
}

/* ---- the owner --------------------------------------------------------- */

static bool is_ref_of(const tenon_task *task, tenon_term term)
{
    tenon_ref ref;
    if (tenon_term_ref(term, &ref) < 0) {
        return false;
    }
    tn_lock(task->node);
    bool is = task->has_order && tenon_ref_equal(&ref, &task->ref);
    tn_unlock(task->node);
    return is;
}

/* Who may do everything may also have been given the work by the task. */
static bool may_answer(const tenon_task *task)
{
    const char *asked = task->pid.node;
    return tn_may_claim(task->node, tn_process_origin(task->self), "answer",
                        asked, strlen(asked));
}

/* {ref, value}, or {'DOWN', ref, process, pid, reason}. */
static void
owner_on_message(tenon_process *self, void *state, tenon_term message)
{
    tenon_task *task = state;
    tenon_term part[5];
    (void)self;
    if (tn_tuple_views(message, part, 2) && is_ref_of(task, part[0])) {
        if (may_answer(task)) {
            finish(task, TENON_OK, part[1]);
        }
    } else if (tn_tuple_views(message, part, 5) &&
               tenon_term_is_atom(part[0], "DOWN") &&
               is_ref_of(task, part[1])) {
        finish_with_reason(task, part[4]);
    }
}

/* Of an owner that did not end with its task: it was killed, or the node
 * stops. */
static void owner_on_end(tenon_process *self, void *state, tenon_term reason)
{
    tenon_task *task = state;
    tn_lock(self->node);
    bool stopping = self->node->stopping;
    tn_unlock(self->node);
    if (stopping) {
        finish(task, TENON_E_STOPPED, no_term);
    } else {
        finish(task, TENON_E_REMOTE_EXIT, reason);
    }
    let_go(task);
}

static const struct tn_process_class owner_class = {
    .on_message = owner_on_message,
    .on_exit = owner_on_end,
    .large_on_worker = true,
};

/* ---- start: asking the supervisor -------------------------------------- */

/* {start_task, args, restart, nil} for a supervisor of either generation. */
static tenon_value *make_request(const char *node_name,
                                 const tenon_pid *owner,
                                 bool old,
                                 tenon_term mfa)
{
    return old ? tenon_value_format("{:start_task, [{~a, ~p, ~p}, [~p], "
                                    ":monitor, ~t], :temporary, nil}",
                                    node_name, owner, owner, owner, mfa)
               : tenon_value_format("{:start_task, [{~a, ~p, ~p}, :monitor], "
                                    ":temporary, nil}",
                                    node_name, owner, owner);
}

static void on_asked(void *user, enum tn_request_end end, tenon_term term);

static enum tenon_err
ask(tenon_task *task, const tenon_dest *supervisor, tenon_error *err)
{
    tenon_pid owner;
    tenon_process_pid(task->self, &owner);
    tenon_value *request = make_request(tenon_node_name(task->node), &owner,
                                        task->old, tenon_value_term(task->mfa));
    if (request == NULL) {
        return tn_error(err, TENON_E_NOMEM, "start of a task");
    }
    hold(task);
    enum tenon_err rc =
        tn_request_server(task->node, supervisor, tenon_value_term(request),
                          task->timeout_ms, on_asked, task, err);
    if (rc < 0) {
        let_go(task);
    }
    tenon_value_free(request);
    return rc;
}

/* Asks again, in the form of Elixir 1.12 and older. */
static void ask_old(tenon_task *task)
{
    tenon_term part[2];
    tenon_pid pid;
    tenon_atom name, node;
    tenon_dest to = { 0 };
    task->old = true;
    if (!tn_tuple_views(tenon_value_term(task->supervisor), part, 2)) {
        return;
    }
    if (tenon_term_pid(part[0], &pid) == TENON_OK) {
        to.pid = &pid;
    } else if (tenon_term_atom(part[0], &name) == TENON_OK &&
               tenon_term_atom(part[1], &node) == TENON_OK) {
        to.name = name.text;
        to.node = node.text;
    }
    enum tenon_err rc = ask(task, &to, NULL);
    if (rc < 0) {
        finish(task, rc, no_term);
    }
}

/* Watches the task, whose answer counts from now on. */
static enum tenon_err watch(tenon_task *task, const tenon_dest *to)
{
    tenon_ref ref;
    enum tenon_err rc = tenon_monitor(task->self, to, &ref);
    if (rc == TENON_OK) {
        tn_lock(task->node);
        task->ref = ref;
        task->has_order = true;
        tn_unlock(task->node);
    }
    return rc;
}

/* Gives the order to the task whose process the supervisor has started. On the
 * loop thread: what the task or its end brings back is handled after this. */
static enum tenon_err order(tenon_task *task)
{
    tenon_pid owner;
    const tenon_dest to = { .pid = &task->pid };
    tenon_term mfa = tenon_value_term(task->mfa);
    tenon_process_pid(task->self, &owner);
    enum tenon_err rc =
        task->link != NULL ? tenon_link(task->link, &task->pid) : TENON_OK;
    if (rc == TENON_OK) {
        rc = watch(task, &to);
    }
    if (rc < 0) {
        return rc;
    }
    tenon_value *message =
        task->old ? tenon_value_format("{~p, ~r}", &owner, &task->ref)
                  : tenon_value_format("{~p, ~r, ~p, [~p], ~t}", &owner,
                                       &task->ref, &owner, &owner, mfa);
    rc = message == NULL ? TENON_E_NOMEM
                         : tn_send_dest(task->node, tn_process_pid(task->self),
                                        &to, tenon_value_term(message), NULL);
    tenon_value_free(message);
    return rc;
}

static bool supervisor_node(const tenon_task *task,
                            char node[TENON_NODE_NAME_MAX_BYTES + 1])
{
    tenon_term part[2];
    tenon_pid pid;
    tenon_atom name;
    if (!tn_tuple_views(tenon_value_term(task->supervisor), part, 2)) {
        return false;
    }
    if (tenon_term_pid(part[0], &pid) == TENON_OK) {
        strcpy(node, pid.node);
        return true;
    }
    bool is = tenon_term_atom(part[1], &name) == TENON_OK;
    if (is) {
        strcpy(node, name.text);
    }
    return is;
}

/* A limited peer that is asked for a task starts one of its own: it does not
 * choose whom this node calls, or gives work to. One that has gone since it
 * answered may have been limited. */
static bool may_start(const tenon_task *task, const tenon_pid *pid)
{
    char asked[TENON_NODE_NAME_MAX_BYTES + 1];
    if (!supervisor_node(task, asked)) {
        return false;
    }
    if (strcmp(asked, pid->node) == 0 ||
        strcmp(asked, tenon_node_name(task->node)) == 0 ||
        tn_peer_is_unlimited(task->node, asked)) {
        return true;
    }
    tn_access *access = tn_peer_access(task->node, asked);
    (void)tn_may_claim(task->node, access, "task", pid->node,
                       strlen(pid->node));
    tn_access_unref(access);
    return false;
}

/* term: the pid of the task. One that nobody wants any more hears of its owner's end,
 * which is what it waits for now. */
static void on_started(tenon_task *task, tenon_term term)
{
    tenon_pid pid;
    bool is_pid =
        tenon_term_pid(term, &pid) == TENON_OK && may_start(task, &pid);
    tn_lock(task->node);
    bool wanted = !task->ended;
    if (is_pid) {
        task->pid = pid;
        task->started = true;
    }
    tn_unlock(task->node);
    if (!wanted) {
        return;
    }
    enum tenon_err rc = is_pid ? order(task) : TENON_E_BADTERM;
    if (rc < 0) {
        finish(task, rc, no_term);
    }
}

/* What a supervisor of Elixir 1.12 or older answers to the new form. */
static bool is_old(tenon_term reason)
{
    tenon_term part[2], frame[4];
    return tn_tuple_views(reason, part, 2) &&
           tenon_term_is_atom(part[0], "undef") &&
           first_frame(part[1], frame) &&
           tenon_term_is_atom(frame[0], "Elixir.Task.Supervised") &&
           tenon_term_is_atom(frame[1], "start_link");
}

static void on_refused(tenon_task *task, tenon_term reason)
{
    if (!task->old && is_old(reason)) {
        ask_old(task);
    } else if (tenon_term_is_atom(reason, "max_children")) {
        finish(task, TENON_E_LIMIT, no_term);
    } else {
        finish(task, TENON_E_NOTSUP, reason);
    }
}

static void on_reply(tenon_task *task, tenon_term reply)
{
    tenon_term part[2];
    if (!tn_tuple_views(reply, part, 2)) {
        finish(task, TENON_E_BADTERM, no_term);
    } else if (tenon_term_is_atom(part[0], "ok")) {
        on_started(task, part[1]);
    } else if (tenon_term_is_atom(part[0], "error")) {
        on_refused(task, part[1]);
    } else {
        finish(task, TENON_E_BADTERM, no_term);
    }
}

/* What the supervisor has answered, or why it has not. On a worker when it is
 * large, which the pid of a task never is. */
static void
take_answer(tenon_task *task, enum tn_request_end end, tenon_term term)
{
    switch (end) {
    case TN_END_REPLY:
        on_reply(task, term);
        break;
    case TN_END_DOWN:
        if (tenon_term_is_atom(term, "noproc")) {
            finish(task, TENON_E_NOPROC, no_term);
        } else {
            finish(task, TENON_E_REMOTE_EXIT, term);
        }
        break;
    case TN_END_NODEDOWN:
        finish(task, TENON_E_NODEDOWN, no_term);
        break;
    case TN_END_STOPPED:
        finish(task, TENON_E_STOPPED, no_term);
        break;
    case TN_END_TIMEOUT:
    case TN_END_REFUSED:
        finish(task, TENON_E_TIMEOUT, no_term);
        break;
    }
    let_go(task);
}

/* An answer that the loop is not to read. */
struct held {
    struct tn_job job; /* first: the worker is given this */
    tenon_task *task;
    tn_block *block; /* kept; term lies in it */
    enum tn_request_end end;
    tenon_term term;
};

static void take_held(struct tn_job *job)
{
    struct held *held = (struct held *)job;
    take_answer(held->task, held->end, held->term);
    tn_block_release(held->block);
    free(held);
}

/* Loop thread. */
static void on_asked(void *user, enum tn_request_end end, tenon_term term)
{
    tenon_task *task = user;
    tn_block *block = tn_request_hold(task->node, term);
    struct held *held = block != NULL ? malloc(sizeof *held) : NULL;
    if (held == NULL) {
        tn_block_release(block);
        take_answer(task, end, term);
        return;
    }
    *held = (struct held){ { .fn = take_held }, task, block, end, term };
    tn_node_push_job(task->node, &held->job);
}

/* ---- ending a task ----------------------------------------------------- */

/* Sends an exit signal to a task that runs. False: it has not been started, or
 * has ended. */
static bool signal_task(tenon_task *task, tenon_term reason)
{
    tenon_pid pid;
    tn_lock(task->node);
    bool runs = task->started && !task->ended;
    pid = task->pid;
    tn_unlock(task->node);
    if (!runs) {
        return false;
    }
    if (task->link != NULL) {
        tenon_unlink(task->link, &pid);
    }
    (void)tenon_exit_signal(task->self, &pid, reason);
    return true;
}

static void on_deadline(struct tn_timer *timer, void *user)
{
    tenon_task *task = user;
    (void)timer;
    (void)signal_task(task, tn_atom_kill);
    finish(task, TENON_E_TIMEOUT, no_term);
}

/* ---- the public face: start -------------------------------------------- */

static enum tenon_err check(const tenon_node *node,
                            const tenon_dest *supervisor,
                            const char *module,
                            const char *function,
                            tenon_term args,
                            tenon_error *err)
{
    if (node == NULL || supervisor == NULL || module == NULL ||
        function == NULL ||
        (supervisor->pid == NULL && supervisor->name == NULL)) {
        return tn_error(err, TENON_E_INVAL,
                        "start of a task: a node, a supervisor, a module and a "
                        "function are expected");
    }
    if (!tenon_term_is_proper_list(args)) {
        return tn_error(err, TENON_E_INVAL,
                        "start of task %.60s:%.60s: arguments that are a "
                        "proper list are expected",
                        module, function);
    }
    return TENON_OK;
}

static tenon_value *keep_dest(const tenon_node *node, const tenon_dest *to)
{
    return to->pid != NULL
               ? tenon_value_format("{~p, nil}", to->pid)
               : tenon_value_format("{~a, ~a}", to->name,
                                    to->node != NULL ? to->node
                                                     : tenon_node_name(node));
}

static tenon_process *start_owner(tenon_task *task, tenon_error *err)
{
    return tn_process_start(task->node,
                            &(struct tn_process_spec){
                                .class = &owner_class,
                                .state = task,
                                .run_inline = true,
                            },
                            err);
}

/* Everything that a task needs before its supervisor is asked; NULL: with
 * nothing left behind. */
static tenon_task *task_new(tenon_node *node,
                            const tenon_dest *supervisor,
                            tenon_value *mfa,
                            const tenon_task_options *options,
                            tenon_error *err)
{
    tenon_task *task = calloc(1, sizeof *task);
    if (task == NULL || !tn_condition_init(&task->ended_cond)) {
        tn_error(err, TENON_E_NOMEM, "start of a task");
        tenon_value_free(mfa);
        free(task);
        return NULL;
    }
    task->node = node;
    task->mfa = mfa;
    task->on_end = options->on_end;
    task->user = options->user;
    task->link = tenon_process_keep(options->link);
    task->timeout_ms =
        options->timeout_ms != 0 ? options->timeout_ms : TENON_CALL_TIMEOUT_MS;
    task->supervisor = keep_dest(node, supervisor);
    atomic_init(&task->holders, 2); /* the handle and the owner */
    if (mfa == NULL || task->supervisor == NULL) {
        tn_error(err, TENON_E_INVAL,
                 "start of a task: names and arguments do not make a term");
    } else {
        task->self = start_owner(task, err);
    }
    if (task->self == NULL) {
        task_free(task);
        return NULL;
    }
    return task;
}

/* A start that failed is told by the error alone: nothing is called back. */
static void abandon(tenon_task *task)
{
    tn_lock(task->node);
    task->on_end = NULL;
    tn_unlock(task->node);
    finish(task, TENON_E_STOPPED, no_term);
    let_go(task);
}

static tenon_task *start(tenon_node *node,
                         const tenon_dest *supervisor,
                         tenon_value *mfa,
                         const tenon_task_options *options,
                         tenon_error *err)
{
    tenon_task *task = task_new(node, supervisor, mfa, options, err);
    if (task == NULL) {
        return NULL;
    }
    enum tenon_err rc = TENON_OK;
    if (task->timeout_ms != TENON_NO_TIMEOUT) {
        rc = tn_timer_start(node, &task->deadline, task->timeout_ms,
                            on_deadline, task);
        if (rc < 0) {
            tn_error(err, rc, "start of a task: %s", tenon_err_text(rc));
        }
    }
    if (rc == TENON_OK) {
        rc = ask(task, supervisor, err);
    }
    if (rc < 0) {
        abandon(task);
        return NULL;
    }
    return task;
}

tenon_task *tenon_task_async_sized(tenon_node *node,
                                   const tenon_dest *supervisor,
                                   const char *module,
                                   const char *function,
                                   tenon_term args,
                                   const tenon_task_options *options,
                                   size_t size,
                                   tenon_error *err)
{
    tenon_task_options own = { 0 };
    if (check(node, supervisor, module, function, args, err) < 0) {
        return NULL;
    }
    if (options != NULL && tn_sized_copy(&own, sizeof own, options, size) < 0) {
        tn_error(err, TENON_E_INVAL,
                 "start of a task: the options set fields that this library "
                 "does not know");
        return NULL;
    }
    return start(node, supervisor,
                 tenon_value_format("{~a, ~a, ~t}", module, function, args),
                 &own, err);
}

/* ---- the public face: its end ------------------------------------------ */

/* With the lock. False: wait_ms have passed. */
static bool wait_for_end(tenon_task *task, uint32_t wait_ms)
{
    struct timespec until;
    tn_deadline(wait_ms, &until);
    while (!task->ended) {
        if (wait_ms == 0 ||
            !tn_condition_wait(&task->ended_cond, &task->node->lock,
                               wait_ms == TENON_NO_TIMEOUT ? NULL : &until)) {
            return task->ended;
        }
    }
    return true;
}

static enum tenon_err
tell(const tenon_task *task, enum tenon_err code, tenon_error *err)
{
    char what[120], text[100];
    if (code == TENON_OK) {
        return code;
    }
    tenon_term_print(tenon_value_term(task->mfa), what, sizeof what);
    tenon_term_print(tenon_value_term(task->value), text, sizeof text);
    return tn_error(err, code, "task %s: %s%s%s", what, tenon_err_text(code),
                    task->value != NULL ? ": " : "",
                    task->value != NULL ? text : "");
}

enum tenon_err tenon_task_await(tenon_task *task,
                                uint32_t wait_ms,
                                tenon_value **value,
                                tenon_error *err)
{
    if (value != NULL) {
        *value = NULL;
    }
    if (task == NULL) {
        return tn_error(err, TENON_E_INVAL, "wait for a task: no task");
    }
    if (wait_ms != 0 && tn_on_loop(task->node)) {
        return tn_error(err, TENON_E_NOT_ALLOWED,
                        "wait for a task on the loop thread");
    }
    tn_workers_block(&task->node->workers);
    tn_lock(task->node);
    bool ended = wait_for_end(task, wait_ms);
    tn_unlock(task->node);
    tn_workers_unblock(&task->node->workers);
    if (!ended) {
        return tn_error(err, TENON_E_TIMEOUT,
                        "wait for a task: it has not ended within %lu ms",
                        (unsigned long)wait_ms);
    }
    if (value != NULL && task->value != NULL) {
        *value = tenon_value_new(tenon_value_term(task->value));
        if (*value == NULL) {
            return tn_error(err, TENON_E_NOMEM, "value of a task");
        }
    }
    return tell(task, task->code, err);
}

/* One that has not been started is forgotten: its process, should it come,
 * hears that its owner has ended. */
static void end_task(tenon_task *task, uint32_t timeout_ms)
{
    if (!signal_task(task, timeout_ms == 0 ? tn_atom_kill : tn_atom_shutdown)) {
        finish(task, TENON_E_REMOTE_EXIT,
               timeout_ms == 0 ? tn_atom_killed : tn_atom_shutdown);
    } else if (timeout_ms != 0 && tenon_task_await(task, timeout_ms, NULL,
                                                   NULL) == TENON_E_TIMEOUT) {
        (void)signal_task(task, tn_atom_kill);
    }
}

enum tenon_err tenon_task_shutdown(tenon_task *task,
                                   uint32_t timeout_ms,
                                   tenon_value **value,
                                   tenon_error *err)
{
    if (task != NULL && tn_on_loop(task->node)) {
        return tn_error(err, TENON_E_NOT_ALLOWED,
                        "shutdown of a task on the loop thread");
    }
    if (task != NULL) {
        end_task(task, timeout_ms);
    }
    return tenon_task_await(task, TENON_NO_TIMEOUT, value, err);
}

void tenon_task_release(tenon_task *task)
{
    if (task != NULL) {
        let_go(task);
    }
}

/* ---- the public face: tasks that nobody awaits ------------------------- */

static enum tenon_err
read_child(const tenon_value *reply, tenon_pid *pid, tenon_error *err)
{
    tenon_term part[2] = { no_term, no_term };
    tenon_pid started;
    char text[120];
    (void)tn_tuple_views(tenon_value_term(reply), part, 2);
    tenon_term_print(part[1], text, sizeof text);
    if (tenon_term_is_atom(part[0], "ok") &&
        tenon_term_pid(part[1], pid != NULL ? pid : &started) == TENON_OK) {
        return TENON_OK;
    }
    if (!tenon_term_is_atom(part[0], "error")) {
        return tn_error(err, TENON_E_BADTERM, "start of a task: %s",
                        tenon_err_text(TENON_E_BADTERM));
    }
    return tn_error(err,
                    tenon_term_is_atom(part[1], "max_children")
                        ? TENON_E_LIMIT
                        : TENON_E_NOTSUP,
                    "start of a task: refused with %s", text);
}

enum tenon_err tenon_task_start_child(tenon_node *node,
                                      const tenon_dest *supervisor,
                                      const char *module,
                                      const char *function,
                                      tenon_term args,
                                      uint32_t timeout_ms,
                                      tenon_pid *pid,
                                      tenon_error *err)
{
    tenon_pid owner;
    tenon_value *reply = NULL;
    enum tenon_err rc = check(node, supervisor, module, function, args, err);
    if (rc < 0) {
        return rc;
    }
    tenon_process_pid(node->client, &owner);
    tenon_value *request = tenon_value_format(
        "{:start_task, [{~a, ~p, ~p}, [~p], {~a, ~a, ~t}], nil, nil}",
        tenon_node_name(node), &owner, &owner, &owner, module, function, args);
    if (request == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "start of a task: names and arguments do not make a "
                        "term");
    }
    rc = tenon_server_call(node, supervisor, tenon_value_term(request),
                           timeout_ms, &reply, err);
    if (rc == TENON_OK) {
        rc = read_child(reply, pid, err);
    }
    tenon_value_free(reply);
    tenon_value_free(request);
    return rc;
}
