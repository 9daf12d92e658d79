/* SPDX-License-Identifier: Apache-2.0 */
/* The children of a supervisor: their list, how each is started and ended. What
 * waits for a child's end blocks the supervisor's handler, as it blocks the
 * process on BEAM. */
#include "otp/supervisor_impl.h"

#include "base/clock.h"
#include "node/atoms.h"
#include "node/node.h"
#include "otp/apply.h"
#include "otp/gen.h"

/* ---- the list of children ----------------------------------------------- */

struct tn_child *tn_children_find_pid(struct tn_supervisor *sup, tenon_term pid)
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

struct tn_child *tn_children_find_id(struct tn_supervisor *sup, tenon_term id)
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

struct tn_child *tn_children_find_number(struct tn_supervisor *sup,
                                         uint64_t number)
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

void tn_children_add(struct tn_supervisor *sup, struct tn_child *child)
{
    child->number = ++sup->last_number;
    TAILQ_INSERT_TAIL(&sup->children, child, next);
    sup->count++;
}

void tn_children_forget(struct tn_supervisor *sup, struct tn_child *child)
{
    TAILQ_REMOVE(&sup->children, child, next);
    sup->count--;
    tn_child_free(child);
}

void tn_child_clear_pid(struct tn_child *child)
{
    tenon_value_free(child->pid);
    child->pid = NULL;
    child->restarting = false;
}

void tn_children_lay_down(struct tn_supervisor *sup, struct tn_child *child)
{
    if (tn_is_dynamic(sup) || child->restart == TENON_TEMPORARY) {
        tn_children_forget(sup, child);
    } else {
        tn_child_clear_pid(child);
    }
}

void tn_children_build(tenon_builder *out, struct tn_supervisor *sup)
{
    const struct tn_child *child;
    TAILQ_FOREACH_REVERSE(child, &sup->children, tn_children, next)
    {
        tenon_build_list(out, 1);
        tn_child_build_info(out, child);
    }
    tenon_build_nil(out);
}

/* ---- starting a child ---------------------------------------------------- */

static tenon_value *failed_by(const struct tn_supervisor *sup,
                              const struct tn_applied *applied,
                              const tenon_term mfa[3])
{
    tenon_term value = tenon_value_term(applied->value);
    bool dynamic = tn_is_dynamic(sup);
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
static enum tn_child_start read_started(const struct tn_supervisor *sup,
                                        const struct tn_applied *applied,
                                        const tenon_term mfa[3],
                                        tenon_value **pid,
                                        tenon_value **detail)
{
    tenon_term part[3];
    tenon_term value = tenon_value_term(applied->value);
    if (applied->outcome == TN_OUT_RETURN) {
        if (tenon_term_is_atom(value, "ignore")) {
            return TN_CHILD_IGNORED;
        }
        bool three = tn_tuple_views(value, part, 3);
        if ((three || tn_tuple_views(value, part, 2)) &&
            tenon_term_is_atom(part[0], "ok") &&
            tenon_term_type(part[1]) == TENON_TYPE_PID) {
            *pid = tenon_value_new(part[1]);
            *detail = three ? tenon_value_new(part[2]) : NULL;
            return *pid != NULL ? TN_CHILD_STARTED : TN_CHILD_FAILED;
        }
        if (!three && tn_tuple_views(value, part, 2) &&
            tenon_term_is_atom(part[0], "error")) {
            *detail = tenon_value_new(part[1]);
            return TN_CHILD_FAILED;
        }
    }
    *detail = failed_by(sup, applied, mfa);
    return TN_CHILD_FAILED;
}

/* The start function has linked what it started, mostly. What cannot be linked
 * is ended: nobody would look after it. */
static bool take_on(tenon_process *self, const struct tn_child *child)
{
    tenon_pid pid;
    if (tenon_term_pid(tenon_value_term(child->pid), &pid) != TENON_OK) {
        return false;
    }
    /* A peer's child is that peer's process, whoever restarts it. */
    if (!tn_process_count_for(tenon_process_node(self),
                              tenon_value_term(child->pid),
                              child->charge.account) ||
        tenon_link(self, &pid) != TENON_OK) {
        (void)tenon_exit_signal(self, &pid, tn_atom_kill);
        return false;
    }
    return true;
}

static enum tn_child_start run_start(tenon_process *self,
                                     const struct tn_supervisor *sup,
                                     struct tn_child *child,
                                     tenon_value **detail)
{
    tenon_term mfa[3];
    struct tn_applied applied;
    (void)tn_tuple_views(tenon_value_term(child->start), mfa, 3);
    struct tn_target target =
        tn_function_find(tenon_process_node(self), tn_process_origin(self),
                         mfa[0], mfa[1], tenon_term_count(mfa[2]));
    if (target.fn == NULL) {
        *detail = tenon_value_format(
            tn_is_dynamic(sup) ? "{:undef, [{~t, ~t, ~t, []}]}"
                               : "{:EXIT, {:undef, [{~t, ~t, ~t, []}]}}",
            mfa[0], mfa[1], mfa[2]);
        return TN_CHILD_FAILED;
    }
    if (tn_apply(self, &target, mfa, mfa[2], &applied) != TENON_OK) {
        return TN_CHILD_FAILED;
    }
    tenon_value *pid = NULL;
    enum tn_child_start how = read_started(sup, &applied, mfa, &pid, detail);
    tn_applied_fini(&applied);
    if (how == TN_CHILD_STARTED) {
        tn_child_clear_pid(child);
        child->pid = pid;
        if (!take_on(self, child)) {
            tn_child_clear_pid(child);
            return TN_CHILD_FAILED;
        }
    }
    return how;
}

enum tn_child_start tn_child_start(tenon_process *self,
                                   const struct tn_supervisor *sup,
                                   struct tn_child *child,
                                   tenon_value **detail)
{
    *detail = NULL;
    enum tn_child_start how = run_start(self, sup, child, detail);
    if (how == TN_CHILD_FAILED && *detail == NULL) {
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
static uint32_t patience(struct tn_supervisor *sup)
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

static void kill_late(struct wake *wake, struct tn_supervisor *sup)
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
static void
note_end(struct wake *wake, struct tn_supervisor *sup, tenon_term down)
{
    tenon_term part[5];
    struct tn_child *child = tn_tuple_views(down, part, 5)
                                 ? tn_children_find_pid(sup, part[3])
                                 : NULL;
    if (child != NULL && child->is_awaited) {
        child->is_awaited = false;
        wake->awaited--;
    }
}

static void await_ends(struct wake *wake, struct tn_supervisor *sup)
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

static void end_wake(struct wake *wake, struct tn_supervisor *sup)
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
    tn_child_clear_pid(child);
}

void tn_child_end(tenon_process *self,
                  struct tn_supervisor *sup,
                  struct tn_child *child)
{
    struct wake wake;
    if (child->pid == NULL) {
        tn_child_clear_pid(child);
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

void tn_children_end_from(tenon_process *self,
                          struct tn_supervisor *sup,
                          struct tn_child *first)
{
    struct tn_child *child = TAILQ_LAST(&sup->children, tn_children);
    bool more = child != NULL;
    while (more) {
        struct tn_child *before = TAILQ_PREV(child, tn_children, next);
        more = child != first && before != NULL;
        tn_child_end(self, sup, child);
        if (child->restart == TENON_TEMPORARY) {
            tn_children_forget(sup, child);
        }
        child = before;
    }
}

void tn_children_end_all(tenon_process *self, struct tn_supervisor *sup)
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
        tn_children_forget(sup, child);
    }
}
