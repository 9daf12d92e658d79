/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors: servers that start, end and restart others, by the rules of
 * supervisor and, for the dynamic ones, of Elixir's DynamicSupervisor. What
 * waits for a child's end blocks the supervisor's handler, as it blocks the
 * process on BEAM. */
#include <tenon/supervisor.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "node/atoms.h"
#include "node/node.h"
#include "otp/apply.h"
#include "otp/atoms.h"
#include "otp/child.h"
#include "otp/gen.h"
#include "otp/restart.h"
#include "otp/server.h"
#include "term/build.h"

#define RESTARTS_DEFAULT 3u
#define SECONDS_DEFAULT 5u

struct supervisor {
    enum tenon_strategy strategy;
    struct tn_restarts restarts; /* lie in `times` */
    uint32_t max_children;
    struct tn_children children;
    uint32_t count;
    uint64_t last_number;
    uint64_t times[];
};

static bool is_dynamic(const struct supervisor *sup)
{
    return sup->strategy == TENON_DYNAMIC;
}

static const struct tn_log *log_of(tenon_process *self)
{
    return &tenon_process_node(self)->log;
}

/* ---- the list of children ----------------------------------------------- */

static struct tn_child *find_pid(struct supervisor *sup, tenon_term pid)
{
    struct tn_child *child;
    TAILQ_FOREACH(child, &sup->children, next)
    {
        if (child->pid != NULL &&
            tenon_term_equal(tenon_value_term(child->pid), pid)) {
            return child;
        }
    }
    return NULL;
}

static struct tn_child *find_id(struct supervisor *sup, tenon_term id)
{
    struct tn_child *child;
    TAILQ_FOREACH(child, &sup->children, next)
    {
        if (child->id != NULL &&
            tenon_term_equal(tenon_value_term(child->id), id)) {
            return child;
        }
    }
    return NULL;
}

static struct tn_child *find_number(struct supervisor *sup, uint64_t number)
{
    struct tn_child *child;
    TAILQ_FOREACH(child, &sup->children, next)
    {
        if (child->number == number) {
            return child;
        }
    }
    return NULL;
}

static void add(struct supervisor *sup, struct tn_child *child)
{
    child->number = ++sup->last_number;
    TAILQ_INSERT_TAIL(&sup->children, child, next);
    sup->count++;
}

static void forget(struct supervisor *sup, struct tn_child *child)
{
    TAILQ_REMOVE(&sup->children, child, next);
    sup->count--;
    tn_child_free(child);
}

static void clear_pid(struct tn_child *child)
{
    tenon_value_free(child->pid);
    child->pid = NULL;
    child->restarting = false;
}

/* What is left of a child that is not to be restarted. */
static void lay_down(struct supervisor *sup, struct tn_child *child)
{
    if (is_dynamic(sup) || child->restart == TENON_TEMPORARY) {
        forget(sup, child);
    } else {
        clear_pid(child);
    }
}

/* ---- starting a child ---------------------------------------------------- */

/* How a start ended. */
enum start {
    STARTED, /* the child has its pid */
    IGNORED,
    FAILED,
};

static tenon_value *failed_by(const struct supervisor *sup,
                              const struct tn_applied *applied,
                              const tenon_term mfa[3])
{
    tenon_term value = tenon_value_term(applied->value);
    bool dynamic = is_dynamic(sup);
    switch (applied->outcome) {
    case TN_OUT_ERROR:
        return tenon_value_format(dynamic ? "{~t, [{~t, ~t, ~u, []}]}"
                                          : "{:EXIT, {~t, [{~t, ~t, ~u, []}]}}",
                                  value, mfa[0], mfa[1],
                                  (uint64_t)tenon_term_count(mfa[2]));
    case TN_OUT_EXIT:
        return tenon_value_format(dynamic ? "~t" : "{:EXIT, ~t}", value);
    case TN_OUT_THROW:
        return tenon_value_format(dynamic ? "{{:nocatch, ~t}, []}" : "~t",
                                  value);
    case TN_OUT_RETURN:
        break;
    }
    return tenon_value_new(value);
}

/* {:ok, pid}, {:ok, pid, info}, :ignore, {:error, reason}, or anything. */
static enum start read_started(const struct supervisor *sup,
                               const struct tn_applied *applied,
                               const tenon_term mfa[3],
                               tenon_value **pid,
                               tenon_value **detail)
{
    tenon_term part[3];
    tenon_term value = tenon_value_term(applied->value);
    if (applied->outcome == TN_OUT_RETURN) {
        if (tenon_term_is_atom(value, "ignore")) {
            return IGNORED;
        }
        bool three = tn_tuple_views(value, part, 3);
        if ((three || tn_tuple_views(value, part, 2)) &&
            tenon_term_is_atom(part[0], "ok") &&
            tenon_term_type(part[1]) == TENON_TYPE_PID) {
            *pid = tenon_value_new(part[1]);
            *detail = three ? tenon_value_new(part[2]) : NULL;
            return *pid != NULL ? STARTED : FAILED;
        }
        if (!three && tn_tuple_views(value, part, 2) &&
            tenon_term_is_atom(part[0], "error")) {
            *detail = tenon_value_new(part[1]);
            return FAILED;
        }
    }
    *detail = failed_by(sup, applied, mfa);
    return FAILED;
}

/* The start function has linked what it started, mostly. What cannot be linked
 * is ended: nobody would look after it. */
static bool take_on(tenon_process *self, const struct tn_child *child)
{
    tenon_pid pid;
    if (tenon_term_pid(tenon_value_term(child->pid), &pid) != TENON_OK) {
        return false;
    }
    if (tenon_link(self, &pid) != TENON_OK) {
        (void)tenon_exit_signal(self, &pid, tn_atom_kill);
        return false;
    }
    return true;
}

static enum start run_start(tenon_process *self,
                            const struct supervisor *sup,
                            struct tn_child *child,
                            tenon_value **detail)
{
    tenon_term mfa[3];
    struct tn_applied applied;
    (void)tn_tuple_views(tenon_value_term(child->start), mfa, 3);
    struct tn_target target = tn_function_find(
        tenon_process_node(self), mfa[0], mfa[1], tenon_term_count(mfa[2]));
    if (target.fn == NULL) {
        *detail = tenon_value_format(
            is_dynamic(sup) ? "{:undef, [{~t, ~t, ~t, []}]}"
                            : "{:EXIT, {:undef, [{~t, ~t, ~t, []}]}}",
            mfa[0], mfa[1], mfa[2]);
        return FAILED;
    }
    if (tn_apply(self, &target, mfa, mfa[2], &applied) != TENON_OK) {
        return FAILED;
    }
    tenon_value *pid = NULL;
    enum start how = read_started(sup, &applied, mfa, &pid, detail);
    tn_applied_fini(&applied);
    if (how == STARTED) {
        clear_pid(child);
        child->pid = pid;
        if (!take_on(self, child)) {
            clear_pid(child);
            return FAILED;
        }
    }
    return how;
}

/* detail  owned; set to the info of {:ok, pid, info} or the reason of a
 *         failure, NULL when there is none. */
static enum start start_child(tenon_process *self,
                              const struct supervisor *sup,
                              struct tn_child *child,
                              tenon_value **detail)
{
    *detail = NULL;
    enum start how = run_start(self, sup, child, detail);
    if (how == FAILED && *detail == NULL) {
        *detail = tenon_value_format(":system_limit");
    }
    return how;
}

/* ---- ending children ------------------------------------------------------ */

/* Who waits for ends: a mailbox of its own, so that what others send to the
 * supervisor stays where it is. */
struct wake {
    tenon_process *self;
    tenon_process *box;
    uint32_t awaited;
};

static void signal_child(const struct wake *wake,
                         const struct tn_child *child,
                         tenon_term reason)
{
    tenon_pid pid;
    if (tenon_term_pid(tenon_value_term(child->pid), &pid) == TENON_OK) {
        (void)tenon_exit_signal(wake->self, &pid, reason);
    }
}

static void ask_to_end(struct wake *wake, struct tn_child *child)
{
    tenon_pid pid;
    tenon_ref ref;
    bool kill = child->shutdown_ms == TENON_SHUTDOWN_KILL;
    child->kill_at = kill || child->shutdown_ms == TENON_NO_TIMEOUT
                         ? UINT64_MAX
                         : tn_now_ms() + child->shutdown_ms;
    if (tenon_term_pid(tenon_value_term(child->pid), &pid) == TENON_OK &&
        tenon_monitor(wake->box, &(tenon_dest){ .pid = &pid }, &ref) ==
            TENON_OK) {
        child->is_awaited = true;
        wake->awaited++;
    } else {
        kill = true; /* one that cannot be watched is not waited for */
    }
    signal_child(wake, child, kill ? tn_atom_kill : tn_atom_shutdown);
}

/* Until the first of them is to be killed; 0: at once. */
static uint32_t patience(struct supervisor *sup)
{
    const struct tn_child *child;
    uint64_t now = tn_now_ms();
    uint64_t until = UINT64_MAX;
    TAILQ_FOREACH(child, &sup->children, next)
    {
        if (child->is_awaited && child->kill_at < until) {
            until = child->kill_at;
        }
    }
    if (until == UINT64_MAX) {
        return TENON_NO_TIMEOUT;
    }
    return until <= now ? 0 : (uint32_t)(until - now);
}

static void kill_late(struct wake *wake, struct supervisor *sup)
{
    struct tn_child *child;
    uint64_t now = tn_now_ms();
    TAILQ_FOREACH(child, &sup->children, next)
    {
        if (child->is_awaited && child->kill_at <= now) {
            child->kill_at = UINT64_MAX;
            signal_child(wake, child, tn_atom_kill);
        }
    }
}

/* {'DOWN', ref, process, pid, reason} */
static void note_end(struct wake *wake, struct supervisor *sup, tenon_term down)
{
    tenon_term part[5];
    struct tn_child *child =
        tn_tuple_views(down, part, 5) ? find_pid(sup, part[3]) : NULL;
    if (child != NULL && child->is_awaited) {
        child->is_awaited = false;
        wake->awaited--;
    }
}

static void await_ends(struct wake *wake, struct supervisor *sup)
{
    while (wake->awaited > 0) {
        tenon_value *message = NULL;
        enum tenon_err rc = tenon_receive(wake->box, patience(sup), &message);
        if (rc == TENON_OK) {
            note_end(wake, sup, tenon_value_term(message));
        } else if (rc == TENON_E_TIMEOUT) {
            kill_late(wake, sup);
        } else if (rc != TENON_E_NOMEM) {
            return; /* the node stops, or has no memory for the news */
        }
        tenon_value_free(message);
    }
}

static bool begin_wake(struct wake *wake, tenon_process *self)
{
    *wake = (struct wake){ .self = self };
    wake->box = tenon_mailbox_new(tenon_process_node(self), NULL, NULL);
    return wake->box != NULL;
}

static void end_wake(struct wake *wake, struct supervisor *sup)
{
    struct tn_child *child;
    TAILQ_FOREACH(child, &sup->children, next)
    {
        child->is_awaited = false;
    }
    (void)tn_process_end(wake->box, tn_atom_normal); /* needs no memory */
    tenon_process_release(wake->box);
}

/* What was linked is not: its end is no news to the supervisor. */
static void let_go(tenon_process *self, struct tn_child *child)
{
    tenon_pid pid;
    if (tenon_term_pid(tenon_value_term(child->pid), &pid) == TENON_OK) {
        tenon_unlink(self, &pid);
    }
    clear_pid(child);
}

static void
end_child(tenon_process *self, struct supervisor *sup, struct tn_child *child)
{
    struct wake wake;
    if (child->pid == NULL) {
        clear_pid(child);
        return;
    }
    if (begin_wake(&wake, self)) {
        ask_to_end(&wake, child);
        await_ends(&wake, sup);
        end_wake(&wake, sup);
    } else {
        wake.self = self;
        signal_child(&wake, child, tn_atom_kill);
    }
    let_go(self, child);
}

/* One after the other, the last one first, down to and with `first`. The
 * temporary ones are forgotten. */
static void
end_from(tenon_process *self, struct supervisor *sup, struct tn_child *first)
{
    struct tn_child *child = TAILQ_LAST(&sup->children, tn_children);
    bool more = child != NULL;
    while (more) {
        struct tn_child *before = TAILQ_PREV(child, tn_children, next);
        more = child != first && before != NULL;
        end_child(self, sup, child);
        if (child->restart == TENON_TEMPORARY) {
            forget(sup, child);
        }
        child = before;
    }
}

static void end_all_at_once(tenon_process *self, struct supervisor *sup)
{
    struct wake wake;
    struct tn_child *child;
    bool can_wait = begin_wake(&wake, self);
    TAILQ_FOREACH(child, &sup->children, next)
    {
        if (child->pid != NULL && can_wait) {
            ask_to_end(&wake, child);
        } else if (child->pid != NULL) {
            wake.self = self;
            signal_child(&wake, child, tn_atom_kill);
        }
    }
    if (can_wait) {
        await_ends(&wake, sup);
        end_wake(&wake, sup);
    }
    while ((child = TAILQ_FIRST(&sup->children)) != NULL) {
        if (child->pid != NULL) {
            let_go(self, child);
        }
        forget(sup, child);
    }
}

/* Before the supervisor itself ends. */
static void before_end(tenon_process *self, void *state, tenon_term reason)
{
    struct supervisor *sup = state;
    (void)reason;
    if (is_dynamic(sup)) {
        end_all_at_once(self, sup);
    } else {
        end_from(self, sup, TAILQ_FIRST(&sup->children));
    }
}

/* ---- restarting ------------------------------------------------------------ */

static void log_child(tenon_process *self,
                      const char *event,
                      const struct tn_child *child,
                      tenon_term reason)
{
    char id[128] = "undefined";
    char text[256];
    if (child->id != NULL) {
        tenon_term_print(tenon_value_term(child->id), id, sizeof id);
    }
    tenon_term_print(reason, text, sizeof text);
    tn_log(log_of(self), TN_WARN, event, "child", id, "reason", text, NULL);
}

/* Other requests get their turn before the next attempt. */
static void
try_again(tenon_process *self, struct tn_child *child, tenon_value *reason)
{
    log_child(self, "child_start_failed", child, tenon_value_term(reason));
    tenon_value_free(reason);
    clear_pid(child);
    child->restarting = true;
    tenon_value *cast = tenon_value_format(
        "{:\"$gen_cast\", {:try_again_restart, ~u}}", child->number);
    if (cast == NULL ||
        tn_process_give(self, tenon_value_term(cast)) != TENON_OK) {
        (void)tn_process_end(self, tn_atom_killed);
    }
    tenon_value_free(cast);
}

/* False: it is tried again. */
static bool
start_again(tenon_process *self, struct supervisor *sup, struct tn_child *child)
{
    tenon_value *detail;
    switch (start_child(self, sup, child, &detail)) {
    case FAILED:
        try_again(self, child, detail);
        return false;
    case IGNORED:
        lay_down(sup, child);
        break;
    case STARTED:
        break;
    }
    tenon_value_free(detail);
    return true;
}

static void
start_from(tenon_process *self, struct supervisor *sup, struct tn_child *child)
{
    while (child != NULL) {
        struct tn_child *after = TAILQ_NEXT(child, next);
        if (!start_again(self, sup, child)) {
            return;
        }
        child = after;
    }
}

/* first: the first child that is restarted, with all that follow it. It is
 * not temporary, and so still there when the others have ended. */
static void restart_from(tenon_process *self,
                         struct supervisor *sup,
                         struct tn_child *first)
{
    end_from(self, sup, first);
    start_from(self, sup, first);
}

/* The first that end_from does not forget. */
static struct tn_child *first_to_stay(struct supervisor *sup)
{
    struct tn_child *child = TAILQ_FIRST(&sup->children);
    while (child != NULL && child->restart == TENON_TEMPORARY) {
        child = TAILQ_NEXT(child, next);
    }
    return child;
}

static void
restart(tenon_process *self, struct supervisor *sup, struct tn_child *child)
{
    if (!tn_restarts_note(&sup->restarts)) {
        log_child(self, "max_restarts_reached", child, tn_atom_shutdown);
        lay_down(sup, child);
        before_end(self, sup, tn_atom_shutdown);
        (void)tn_process_end(self, tn_atom_shutdown);
        return;
    }
    clear_pid(child);
    switch (sup->strategy) {
    case TENON_ONE_FOR_ALL: {
        struct tn_child *first = first_to_stay(sup);
        end_from(self, sup, NULL);
        start_from(self, sup, first);
        break;
    }
    case TENON_REST_FOR_ONE:
        restart_from(self, sup, child);
        break;
    default:
        (void)start_again(self, sup, child);
        break;
    }
}

static void child_ended(tenon_process *self,
                        struct supervisor *sup,
                        struct tn_child *child,
                        tenon_term reason)
{
    bool orderly = tn_is_orderly_end(reason);
    if (tn_is_stopping(tenon_process_node(self))) {
        lay_down(sup, child); /* all end, in no order */
        return;
    }
    if (child->restart == TENON_PERMANENT || !orderly) {
        log_child(self, "child_terminated", child, reason);
    }
    if (child->restart == TENON_PERMANENT ||
        (child->restart == TENON_TRANSIENT && !orderly)) {
        restart(self, sup, child);
    } else {
        lay_down(sup, child);
    }
}

/* ---- calls ------------------------------------------------------------------ */

static void reply_with(tenon_call *call, tenon_builder *out)
{
    tenon_term value;
    if (tenon_builder_term(out, &value) == TENON_OK) {
        tenon_reply_term(call, value);
    } else {
        tenon_reply_error(call, ":system_limit");
    }
}

static void build_children(tenon_builder *out, struct supervisor *sup)
{
    const struct tn_child *child;
    TAILQ_FOREACH_REVERSE(child, &sup->children, tn_children, next)
    {
        tenon_build_list(out, 1);
        tn_child_build_info(out, child);
    }
    tenon_build_nil(out);
}

static void which_children(tenon_call *call, struct supervisor *sup)
{
    struct tenon_builder out;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    build_children(&out, sup);
    reply_with(call, &out);
    tn_builder_fini(&out);
}

static void count_children(tenon_call *call, struct supervisor *sup)
{
    uint64_t active = 0, supervisors = 0;
    const struct tn_child *child;
    TAILQ_FOREACH(child, &sup->children, next)
    {
        active += child->pid != NULL;
        supervisors += child->is_supervisor;
    }
    tenon_reply(call, "[specs: ~u, active: ~u, supervisors: ~u, workers: ~u]",
                (uint64_t)sup->count, active, supervisors,
                (uint64_t)sup->count - supervisors);
}

/* {:ok, pid} or {:ok, pid, info}; takes the info. */
static void
reply_started(tenon_call *call, const struct tn_child *child, tenon_value *info)
{
    tenon_term pid = tenon_value_term(child->pid);
    if (info == NULL) {
        tenon_reply(call, "{:ok, ~t}", pid);
    } else {
        tenon_reply(call, "{:ok, ~t, ~t}", pid, tenon_value_term(info));
    }
    tenon_value_free(info);
}

/* Supervisor says what it could not start; takes the reason. */
static void reply_failed(tenon_call *call,
                         const struct supervisor *sup,
                         const struct tn_child *child,
                         tenon_value *reason)
{
    struct tenon_builder out;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 2);
    tenon_build_atom(&out, "error");
    if (!is_dynamic(sup)) {
        tenon_build_tuple(&out, 2);
    }
    tenon_build_term(&out, tenon_value_term(reason));
    if (!is_dynamic(sup)) {
        tn_child_build_record(&out, child);
    }
    reply_with(call, &out);
    tn_builder_fini(&out);
    tenon_value_free(reason);
}

static void reply_ignored(tenon_call *call, const struct supervisor *sup)
{
    tenon_reply(call, is_dynamic(sup) ? ":ignore" : "{:ok, :undefined}");
}

/* Takes the child. */
static void
start_new(tenon_call *call, struct supervisor *sup, struct tn_child *child)
{
    tenon_value *detail;
    switch (start_child(tenon_call_self(call), sup, child, &detail)) {
    case STARTED:
        add(sup, child);
        reply_started(call, child, detail);
        return;
    case IGNORED:
        reply_ignored(call, sup);
        if (!is_dynamic(sup) && child->restart != TENON_TEMPORARY) {
            add(sup, child);
            return;
        }
        break;
    case FAILED:
        reply_failed(call, sup, child, detail);
        break;
    }
    tn_child_free(child);
}

/* True: the id is taken, and the caller told so. */
static bool
is_taken(tenon_call *call, struct supervisor *sup, const struct tn_child *child)
{
    const struct tn_child *other =
        child->id == NULL ? NULL : find_id(sup, tenon_value_term(child->id));
    if (other == NULL) {
        return false;
    }
    if (other->pid != NULL) {
        tenon_reply_error(call, "{:already_started, ~t}",
                          tenon_value_term(other->pid));
    } else {
        tenon_reply_error(call, ":already_present");
    }
    return true;
}

static void
on_start_child(tenon_call *call, struct supervisor *sup, tenon_term spec)
{
    tenon_value *problem = NULL;
    struct tn_child *child = is_dynamic(sup)
                                 ? tn_child_read_dynamic(spec, &problem)
                                 : tn_child_read(spec, &problem);
    if (child == NULL) {
        if (problem != NULL) {
            tenon_reply_error(call, "~t", tenon_value_term(problem));
        } else {
            tenon_reply_error(call, ":system_limit");
        }
        tenon_value_free(problem);
    } else if (is_taken(call, sup, child)) {
        tn_child_free(child);
    } else if (sup->count >= sup->max_children) {
        tenon_reply_error(call, ":max_children");
        tn_child_free(child);
    } else {
        start_new(call, sup, child);
    }
}

static void
on_terminate_child(tenon_call *call, struct supervisor *sup, tenon_term key)
{
    bool by_pid = tenon_term_type(key) == TENON_TYPE_PID;
    struct tn_child *child =
        is_dynamic(sup) ? find_pid(sup, key) : find_id(sup, key);
    if (is_dynamic(sup) && !by_pid) {
        tenon_reply_error(call, ":simple_one_for_one");
    } else if (child == NULL) {
        tenon_reply_error(call, ":not_found");
    } else {
        end_child(tenon_call_self(call), sup, child);
        lay_down(sup, child);
        tenon_reply(call, ":ok");
    }
}

/* What can be done only to a child that does not run. NULL: the caller has been
 * told why not. */
static struct tn_child *
find_idle(tenon_call *call, struct supervisor *sup, tenon_term id)
{
    struct tn_child *child = find_id(sup, id);
    if (is_dynamic(sup)) {
        tenon_reply_error(call, ":simple_one_for_one");
    } else if (child == NULL) {
        tenon_reply_error(call, ":not_found");
    } else if (child->restarting) {
        tenon_reply_error(call, ":restarting");
    } else if (child->pid != NULL) {
        tenon_reply_error(call, ":running");
    } else {
        return child;
    }
    return NULL;
}

static void
on_restart_child(tenon_call *call, struct supervisor *sup, tenon_term id)
{
    tenon_value *detail;
    struct tn_child *child = find_idle(call, sup, id);
    if (child == NULL) {
        return;
    }
    switch (start_child(tenon_call_self(call), sup, child, &detail)) {
    case STARTED:
        reply_started(call, child, detail);
        break;
    case IGNORED:
        reply_ignored(call, sup);
        break;
    case FAILED:
        tenon_reply_error(call, "~t", tenon_value_term(detail));
        tenon_value_free(detail);
        break;
    }
}

static void
on_delete_child(tenon_call *call, struct supervisor *sup, tenon_term id)
{
    struct tn_child *child = find_idle(call, sup, id);
    if (child != NULL) {
        forget(sup, child);
        tenon_reply(call, ":ok");
    }
}

static void
on_get_childspec(tenon_call *call, struct supervisor *sup, tenon_term key)
{
    struct tn_child *child = tenon_term_type(key) == TENON_TYPE_PID
                                 ? find_pid(sup, key)
                                 : find_id(sup, key);
    if (child == NULL) {
        tenon_reply_error(call, ":not_found");
        return;
    }
    struct tenon_builder out;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 2);
    tenon_build_atom(&out, "ok");
    tn_child_build_spec(&out, child);
    reply_with(call, &out);
    tn_builder_fini(&out);
}

/* What has no clause ends a supervisor, and all below it, on BEAM; here its
 * caller is told. */
static void on_call(tenon_call *call, void *state)
{
    static const struct {
        const char *name;
        void (*fn)(tenon_call *call, struct supervisor *sup, tenon_term arg);
    } verbs[] = {
        { "start_child", on_start_child },
        { "terminate_child", on_terminate_child },
        { "restart_child", on_restart_child },
        { "delete_child", on_delete_child },
        { "get_childspec", on_get_childspec },
    };
    tenon_term request = tenon_call_request(call);
    tenon_term part[2];
    if (tenon_term_is_atom(request, "which_children")) {
        which_children(call, state);
        return;
    }
    if (tenon_term_is_atom(request, "count_children")) {
        count_children(call, state);
        return;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (tn_tuple_views(request, part, 2) &&
            tenon_term_is_atom(part[0], verbs[i].name)) {
            verbs[i].fn(call, state, part[1]);
            return;
        }
    }
    tenon_reply_error(call, "{:bad_request, ~t}", request);
}

/* ---- messages ----------------------------------------------------------------- */

static void on_cast(tenon_process *self, tenon_term request, void *state)
{
    struct supervisor *sup = state;
    uint64_t number;
    struct tn_child *child =
        tenon_match(request, "{:try_again_restart, ~u}", &number)
            ? find_number(sup, number)
            : NULL;
    if (child != NULL && child->restarting) {
        restart(self, sup, child);
    }
}

static void on_info(tenon_process *self, tenon_term message, void *state)
{
    struct supervisor *sup = state;
    tenon_term part[3];
    if (!tn_tuple_views(message, part, 3) ||
        !tenon_term_is_atom(part[0], "EXIT")) {
        tn_log(log_of(self), TN_WARN, "message_dropped", "why",
               "a supervisor takes none", NULL);
        return;
    }
    struct tn_child *child = find_pid(sup, part[1]);
    if (child != NULL) {
        child_ended(self, sup, child, part[2]);
    }
}

static void on_get_state(tenon_builder *out, void *state)
{
    static const char *const words[] = {
        [TENON_ONE_FOR_ONE] = "one_for_one",
        [TENON_ONE_FOR_ALL] = "one_for_all",
        [TENON_REST_FOR_ONE] = "rest_for_one",
        [TENON_DYNAMIC] = "dynamic",
    };
    struct supervisor *sup = state;
    tenon_build_map(out, 4);
    tenon_build_atom(out, "strategy");
    tenon_build_atom(out, words[sup->strategy]);
    tenon_build_atom(out, "max_restarts");
    tenon_build_uint(out, sup->restarts.max);
    tenon_build_atom(out, "max_seconds");
    tenon_build_uint(out, sup->restarts.span_ms / 1000);
    tenon_build_atom(out, "children");
    build_children(out, sup);
}

/* The children that are left have ended, or end by their links. */
static void on_terminate(tenon_process *self, tenon_term reason, void *state)
{
    struct supervisor *sup = state;
    struct tn_child *child;
    (void)self;
    (void)reason;
    while ((child = TAILQ_FIRST(&sup->children)) != NULL) {
        forget(sup, child);
    }
    free(sup);
}

/* ---- start ---------------------------------------------------------------------- */

static bool is_sound(const tenon_supervisor_config *config)
{
    return config->strategy >= TENON_ONE_FOR_ONE &&
           config->strategy <= TENON_DYNAMIC &&
           (config->max_restarts <= TENON_RESTARTS_MAX ||
            config->max_restarts == TENON_NO_RESTARTS) &&
           config->max_children <= TENON_CHILDREN_MAX;
}

/* NULL: no memory. */
static struct supervisor *supervisor_new(const tenon_supervisor_config *config)
{
    uint32_t restarts = config->max_restarts == 0 ? RESTARTS_DEFAULT
                        : config->max_restarts == TENON_NO_RESTARTS
                            ? 0
                            : config->max_restarts;
    struct supervisor *sup =
        calloc(1, sizeof *sup + (restarts + 1) * sizeof *sup->times);
    if (sup == NULL) {
        return NULL;
    }
    sup->strategy = config->strategy;
    uint32_t seconds =
        config->max_seconds != 0 ? config->max_seconds : SECONDS_DEFAULT;
    sup->restarts = (struct tn_restarts){
        .max = restarts,
        .span_ms = (uint64_t)seconds * 1000,
        .at_ms = sup->times,
    };
    sup->max_children =
        config->max_children != 0 ? config->max_children : TENON_CHILDREN_MAX;
    TAILQ_INIT(&sup->children);
    return sup;
}

static tenon_process *start(tenon_node *node,
                            const tenon_supervisor_config *config)
{
    static const struct tn_server_hooks hooks = { .before_end = before_end };
    if (node == NULL || !is_sound(config)) {
        tn_error(config->err, TENON_E_INVAL, "start of a supervisor: %s",
                 node == NULL ? "no node" : "a number is above its limit");
        return NULL;
    }
    struct supervisor *sup = supervisor_new(config);
    if (sup == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "start of a supervisor");
        return NULL;
    }
    tenon_process *self = tn_server_start(node,
                                          &(tenon_server_config){
                                              .name = config->name,
                                              .on_call = on_call,
                                              .on_cast = on_cast,
                                              .on_info = on_info,
                                              .on_terminate = on_terminate,
                                              .on_get_state = on_get_state,
                                              .state = sup,
                                              .trap_exit = true,
                                              .parent = config->parent,
                                              .err = config->err,
                                          },
                                          &hooks);
    if (self == NULL) {
        free(sup);
    }
    return self;
}

tenon_process *tenon_supervisor_start_sized(
    tenon_node *node, const tenon_supervisor_config *config, size_t size)
{
    tenon_supervisor_config own;
    if (config == NULL) {
        return NULL;
    }
    if (tn_sized_copy(&own, sizeof own, config, size) < 0) {
        tn_error(size > sizeof own ? config->err : NULL, TENON_E_INVAL,
                 "start of a supervisor: the configuration sets fields that "
                 "this library does not know");
        return NULL;
    }
    return start(node, &own);
}
