/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that task supervisors start: each waits for its order, runs
 * one registered function, and sends what it gave. */
#include "otp/task.h"

#include <stdlib.h>

#include "base/error.h"
#include "node/atoms.h"
#include "node/node.h"
#include "otp/erpc.h"
#include "otp/gen.h"

/* Up to READY a task runs inline; then where its function does. */
enum task_state {
    TASK_NEW,             /* the first message, whatever it is, begins it */
    TASK_WAITS_FOR_ORDER, /* {owner, ref, reply_to, callers, mfa} */
    TASK_WAITS_FOR_REF,   /* {owner, ref} */
    TASK_READY,           /* the next message, whatever it is, starts it */
    TASK_RUNS,
};

/* The state of the process; its own callbacks alone touch it. */
struct task {
    enum task_state state;
    bool waits_for_ref; /* what it will wait for, if anything */
    bool monitors;      /* the owner, while it waits */
    tenon_ref monitor;
    tenon_process *self; /* borrowed; NULL before the first message */
    struct tn_timer timer;
    tenon_value *owner;  /* a pid */
    tenon_value *answer; /* {ref, reply_to}; NULL: nobody waits for one */
    tenon_value *mfa;    /* {module, name, args}; NULL: not known yet */
    tn_access *origin;   /* kept; what the peer may use that gave mfa */
};

/* ---- running ----------------------------------------------------------- */

/* {ref, value} to who waits; an alias of a node that is gone, or that has no
 * aliases, is nobody. */
static enum tenon_err
send_answer(tenon_call *call, tenon_term ref, tenon_term to, tenon_term value)
{
    struct tn_pair answer;
    tenon_term self = tn_process_pid(call->self);
    enum tenon_err rc = tn_pair_init(&answer, ref, value);
    if (rc < 0) {
        return rc;
    }
    if (tenon_term_type(to) == TENON_TYPE_REF) {
        rc = tn_send_alias(call->node, self, to, answer.term);
        rc = rc == TENON_E_NOTSUP ? TENON_OK : rc;
    } else {
        rc = tn_send_answer(call->node, self, to, answer.term);
    }
    tn_pair_fini(&answer);
    return rc;
}

/* Whoever awaits an answer hears of the end only after it; what cannot be sent
 * must not look like a task that is done. */
static enum tenon_err
answer_awaited(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    tenon_term part[2];
    if (outcome != TN_OUT_RETURN) {
        return tn_spawn_ops.answer(call, outcome, value);
    }
    if (!tn_tuple_views(call->tag, part, 2) ||
        !tn_process_begin_end(call->self)) {
        return TENON_E_NOPROC;
    }
    enum tenon_err rc = send_answer(call, part[0], part[1], value);
    enum tenon_err ended =
        tn_process_end(call->self, rc < 0 ? tn_atom_killed : tn_atom_normal);
    return rc < 0 ? rc : ended;
}

static const struct tn_call_ops awaited_ops = {
    .answer = answer_awaited,
    .unanswered = tn_spawn_unanswered,
};

static void execute(struct task *task, const struct tn_run *run)
{
    tenon_call call;
    tn_call_init(&call, run->ops, task->self);
    call.module = run->module;
    call.name = run->name;
    call.request = run->args;
    call.from = tenon_value_term(task->owner);
    call.tag = tenon_value_term(task->answer);
    call.origin = task->origin;
    if (run->target.fn == NULL) {
        (void)tn_call_answer(&call, TN_OUT_ERROR, tn_atom_undef);
    } else {
        run->target.fn(&call, run->target.user);
    }
    tn_call_finish(&call);
}

/* A function that may take time goes to a worker first, with the process. */
static void run_or_move(struct task *task)
{
    tenon_process *self = task->self;
    tenon_term part[3];
    if (!tn_tuple_views(tenon_value_term(task->mfa), part, 3)) {
        return;
    }
    struct tn_run run = {
        .module = part[0],
        .name = part[1],
        .args = part[2],
        .ops = task->answer != NULL ? &awaited_ops : &tn_spawn_ops,
        .origin = task->origin,
    };
    tn_run_resolve(self->node, &run);
    if (self->run_inline && !tn_run_is_short(&run)) {
        if (tn_process_go_on_worker(self) < 0) {
            (void)tn_process_end(self, tn_atom_killed);
        }
        return;
    }
    task->state = TASK_RUNS;
    execute(task, &run);
}

/* ---- waiting for the order --------------------------------------------- */

/* The timer that is armed keeps its process, which may end at the same time. */
static void on_timeout(struct tn_timer *timer, void *user)
{
    tenon_process *self = user;
    (void)timer;
    (void)tn_process_exit_value(self, tenon_value_format(":timeout"));
    tenon_process_release(self);
}

static enum tenon_err start_timer(struct task *task)
{
    tenon_process *kept = tenon_process_keep(task->self);
    enum tenon_err rc = tn_timer_start(kept->node, &task->timer,
                                       TN_TASK_ORDER_MS, on_timeout, kept);
    if (rc < 0) {
        tenon_process_release(kept);
    }
    return rc;
}

static void stop_timer(tenon_process *self, struct task *task)
{
    if (tn_timer_stop(self->node, &task->timer)) {
        tenon_process_release(self);
    }
}

static void stop_waiting(struct task *task)
{
    stop_timer(task->self, task);
    if (task->monitors) {
        task->monitors = false;
        tenon_demonitor(task->self, &task->monitor);
    }
}

/* A failed monitor is no harm: the time that a task waits is bounded. */
static void wait_for(struct task *task, enum task_state state)
{
    tenon_pid owner;
    task->state = state;
    if (tenon_term_pid(tenon_value_term(task->owner), &owner) == TENON_OK) {
        const tenon_dest to = { .pid = &owner };
        task->monitors =
            tenon_monitor(task->self, &to, &task->monitor) == TENON_OK;
    }
    if (start_timer(task) < 0) {
        (void)tn_process_end(task->self, tn_atom_killed);
    }
}

static bool is_mfa(tenon_term term)
{
    return tenon_term_type(term) == TENON_TYPE_TUPLE &&
           tenon_term_count(term) == 3;
}

static bool can_answer(tenon_term to)
{
    return tenon_term_type(to) == TENON_TYPE_PID ||
           tenon_term_type(to) == TENON_TYPE_REF;
}

/* True when the message is the order, which is taken; one for which there is
 * no memory ends the task. */
static bool take_order(struct task *task, tenon_term message)
{
    tenon_term part[5];
    tenon_term owner = tenon_value_term(task->owner);
    tn_access *origin = tn_process_origin(task->self);
    if (task->state == TASK_WAITS_FOR_REF) {
        if (!tn_tuple_views(message, part, 2) ||
            !tenon_term_equal(part[0], owner)) {
            return false;
        }
        task->answer = tenon_value_format("{~t, ~t}", part[1], owner);
    } else {
        if (!tn_tuple_views(message, part, 5) ||
            !tenon_term_equal(part[0], owner) || !can_answer(part[2]) ||
            !is_mfa(part[4]) ||
            !tn_may_answer(task->self->node, origin, part[2], false)) {
            return false;
        }
        task->answer = tenon_value_format("{~t, ~t}", part[1], part[2]);
        task->mfa = tenon_value_new(part[4]);
        tn_access_unref(task->origin);
        task->origin = tn_access_ref(origin);
    }
    stop_waiting(task);
    if (task->answer == NULL || task->mfa == NULL) {
        (void)tn_process_end(task->self, tn_atom_killed);
        return false;
    }
    task->state = TASK_READY;
    return true;
}

/* The owner is gone before it has said what to do. */
static void on_down(struct task *task, tenon_term message)
{
    tenon_term part[5];
    tenon_ref ref;
    if (task->monitors && tn_tuple_views(message, part, 5) &&
        tenon_term_is_atom(part[0], "DOWN") &&
        tenon_term_ref(part[1], &ref) == TENON_OK &&
        tenon_ref_equal(&ref, &task->monitor)) {
        (void)tn_process_exit_value(
            task->self, tenon_value_format("{:shutdown, ~t}", part[4]));
    }
}

/* ---- the process ------------------------------------------------------- */

static bool waits(const struct task *task)
{
    return task->waits_for_ref || task->mfa == NULL;
}

static void begin(struct task *task)
{
    if (waits(task)) {
        wait_for(task, task->waits_for_ref ? TASK_WAITS_FOR_REF
                                           : TASK_WAITS_FOR_ORDER);
    } else {
        task->state = TASK_READY;
        run_or_move(task);
    }
}

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    struct task *task = state;
    task->self = self;
    switch (task->state) {
    case TASK_NEW:
        begin(task);
        return;
    case TASK_WAITS_FOR_ORDER:
    case TASK_WAITS_FOR_REF:
        if (!take_order(task, message)) {
            on_down(task, message);
            return;
        }
        run_or_move(task);
        return;
    case TASK_READY:
        run_or_move(task);
        return;
    case TASK_RUNS: /* the function has kept its call */
        return;
    }
}

static void task_free(struct task *task)
{
    tenon_value_free(task->owner);
    tenon_value_free(task->answer);
    tenon_value_free(task->mfa);
    tn_access_unref(task->origin);
    free(task);
}

static void on_end(tenon_process *self, void *state, tenon_term reason)
{
    struct task *task = state;
    (void)reason;
    stop_timer(self, task);
    task_free(task);
}

static const struct tn_process_class task_class = {
    .on_message = on_message,
    .on_exit = on_end,
    .large_on_worker = true,
};

/* ---- start ------------------------------------------------------------- */

/* Takes the arguments apart: owner and mfa are copied. NOT_FOUND, INVAL or
 * NOMEM; `task` may then be half filled. */
static enum tenon_err read_args(struct task *task, tenon_term args)
{
    tenon_term part[4], owner[3];
    size_t count = tenon_term_count(args);
    if (count < 2 || count > 4 || !tn_list_views(args, part, count)) {
        return TENON_E_NOT_FOUND;
    }
    if (!tn_tuple_views(part[0], owner, 3) ||
        tenon_term_type(owner[2]) != TENON_TYPE_PID ||
        (count > 2 && !is_mfa(part[count - 1]))) {
        return TENON_E_INVAL;
    }
    task->owner = tenon_value_new(owner[2]);
    task->mfa = count > 2 ? tenon_value_new(part[count - 1]) : NULL;
    task->waits_for_ref = count == 4;
    return task->owner == NULL || (count > 2 && task->mfa == NULL)
               ? TENON_E_NOMEM
               : TENON_OK;
}

static size_t bytes_of(const struct task *task)
{
    return sizeof *task + tenon_value_term(task->owner).len +
           tenon_value_term(task->mfa).len;
}

/* It may have ended meanwhile, and its state with it. */
static void give_first(tenon_process *self)
{
    if (tn_process_give(self, tn_atom_ok) < 0) {
        (void)tn_process_end(self, tn_atom_killed);
    }
}

/* task: taken on success. */
static tenon_process *start(tenon_node *node,
                            struct task *task,
                            tn_account *account,
                            enum tenon_err *rc)
{
    tenon_error err = { 0 };
    bool waits_at_once = waits(task);
    tenon_process *self = tn_process_start(node,
                                           &(struct tn_process_spec){
                                               .class = &task_class,
                                               .state = task,
                                               .run_inline = true,
                                               .account = account,
                                               .state_bytes = bytes_of(task),
                                           },
                                           &err);
    *rc = err.code;
    /* What it waits for may come as soon as its pid is known. */
    if (self != NULL && waits_at_once) {
        give_first(self);
    }
    return self;
}

tenon_process *tn_task_new(tenon_node *node,
                           tn_access *origin,
                           tn_account *account,
                           tenon_term args,
                           enum tenon_err *rc)
{
    struct task *task = calloc(1, sizeof *task);
    tenon_process *self = NULL;
    if (task == NULL) {
        *rc = TENON_E_NOMEM;
        return NULL;
    }
    task->origin = tn_access_ref(origin);
    *rc = read_args(task, args);
    if (*rc == TENON_OK &&
        !tn_may_answer(node, origin, tenon_value_term(task->owner), false)) {
        *rc = TENON_E_INVAL;
    }
    if (*rc == TENON_OK) {
        self = start(node, task, account, rc);
    }
    if (self == NULL) {
        task_free(task);
    }
    return self;
}

void tn_task_begin(tenon_process *self)
{
    give_first(self);
}
