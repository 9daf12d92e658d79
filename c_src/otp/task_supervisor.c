/* SPDX-License-Identifier: Apache-2.0 */
/* Task supervisors in C: servers that start tasks for whoever asks as Elixir's
 * Task.Supervisor does, count them, and end them. */
#include <stdlib.h>

#include <tenon/supervisor.h>
#include <tenon/task.h>

#include "base/error.h"
#include "base/hash.h"
#include "node/atoms.h"
#include "node/node.h"
#include "node/quota.h"
#include "otp/gen.h"
#include "otp/restart.h"
#include "otp/server.h"
#include "otp/task.h"

struct child_key {
    uint32_t id, serial;
};

/* One task. */
struct child {
    UT_hash_handle hh; /* by key */
    struct child_key key;
    tenon_process *process; /* kept */
    enum tenon_restart restart;
    bool brutal;             /* terminate_child kills it */
    tenon_value *args;       /* to start it anew; NULL: never */
    tn_access *origin;       /* kept; what the peer may use that asked for it */
    struct tn_charge charge; /* on the account of that peer */
};

/* The state of the server; its own callbacks, one at a time, alone touch it. */
struct supervisor {
    const struct tn_sip_key *hash_key; /* the node's */
    struct child *children;
    uint32_t max_children;
    struct tn_restarts restarts; /* lie in `times` */
    uint64_t times[TENON_TASK_RESTARTS_MAX + 1];
};

/* ---- children ---------------------------------------------------------- */

static struct child_key key_of(const tenon_pid *pid)
{
    return (struct child_key){ .id = pid->id, .serial = pid->serial };
}

/* A pid as a term; NULL: none of the children. */
static struct child *find_child(struct supervisor *supervisor, tenon_term term)
{
    tenon_pid pid;
    struct child *child = NULL;
    if (tenon_term_pid(term, &pid) == TENON_OK) {
        struct child_key key = key_of(&pid);
        TN_HASH_FIND(hh, supervisor->children, supervisor->hash_key, &key,
                     sizeof key, child);
    }
    return child != NULL &&
                   tenon_term_equal(tn_process_pid(child->process), term)
               ? child
               : NULL;
}

static void child_free(struct child *child)
{
    tenon_process_release(child->process);
    tenon_value_free(child->args);
    tn_access_unref(child->origin);
    tn_charge_drop(&child->charge);
    free(child);
}

static void forget_child(struct supervisor *supervisor, struct child *child)
{
    HASH_DELETE(hh, supervisor->children, child);
    child_free(child);
}

/* Ends a task, which a task cannot refuse. */
static void end_child(const struct child *child)
{
    tenon_node *node = tenon_process_node(child->process);
    bool wake = false;
    tn_lock(node);
    tn_process_doom_locked(child->process,
                           child->brutal ? tn_atom_killed : tn_atom_shutdown,
                           NULL);
    tn_processes_end_doomed_locked(node, &wake);
    tn_leave(node, wake);
}

/* Starts the process of `child` and enters that. */
static enum tenon_err enter_child(tenon_process *self,
                                  struct supervisor *supervisor,
                                  struct child *child,
                                  tenon_term args)
{
    enum tenon_err rc;
    tenon_pid pid;
    child->process = tn_task_new(tenon_process_node(self), child->origin,
                                 child->charge.account, args, &rc);
    if (child->process == NULL) {
        return rc;
    }
    tenon_process_pid(child->process, &pid);
    child->key = key_of(&pid);
    rc = tenon_link(self, &pid);
    if (rc == TENON_OK) {
        TN_HASH_ADD(hh, supervisor->children, supervisor->hash_key, &child->key,
                    sizeof child->key, child);
        rc = TN_HASH_HAS(hh, child) ? TENON_OK : TENON_E_NOMEM;
    }
    if (rc < 0) {
        (void)tn_process_end(child->process, tn_atom_shutdown);
        tenon_process_release(child->process);
        child->process = NULL;
    }
    return rc;
}

/* ---- starting tasks ---------------------------------------------------- */

static enum tenon_restart read_restart(tenon_term restart)
{
    if (tenon_term_is_atom(restart, "permanent")) {
        return TENON_PERMANENT;
    }
    return tenon_term_is_atom(restart, "transient") ? TENON_TRANSIENT
                                                    : TENON_TEMPORARY;
}

/* What is kept for a task besides its process. */
static enum tenon_err
keep_args(struct child *child, tn_account *account, tenon_term args)
{
    bool keeps = child->restart != TENON_TEMPORARY;
    size_t bytes = sizeof *child + (keeps ? args.len : 0);
    if (!tn_charge_take(&child->charge, account, bytes, "tasks")) {
        return TENON_E_LIMIT;
    }
    child->args = keeps ? tenon_value_new(args) : NULL;
    return keeps && child->args == NULL ? TENON_E_NOMEM : TENON_OK;
}

/* part: {start_task, args, restart, shutdown}. */
static enum tenon_err add_child(tenon_process *self,
                                struct supervisor *supervisor,
                                const tenon_term part[4],
                                struct child **added)
{
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL) {
        return TENON_E_NOMEM;
    }
    child->origin = tn_access_ref(tn_process_origin(self));
    child->restart = read_restart(part[2]);
    child->brutal = tenon_term_is_atom(part[3], "brutal_kill");
    enum tenon_err rc = keep_args(child, tn_process_account(self), part[1]);
    if (rc == TENON_OK) {
        rc = enter_child(self, supervisor, child, part[1]);
    }
    if (rc < 0) {
        child_free(child);
        return rc;
    }
    *added = child;
    return TENON_OK;
}

/* What start_child of DynamicSupervisor gives for a start function that fails;
 * old clients tell the generation of a supervisor by this undef. */
static void
reply_not_started(tenon_call *call, enum tenon_err rc, tenon_term args)
{
    switch (rc) {
    case TENON_E_NOT_FOUND:
        tenon_reply_error(
            call, "{:undef, [{Task.Supervised, :start_link, ~t, []}]}", args);
        return;
    case TENON_E_INVAL:
        tenon_reply_error(
            call,
            "{:function_clause, [{Task.Supervised, :start_link, ~t, []}]}",
            args);
        return;
    default:
        tenon_reply_error(call, ":system_limit");
    }
}

/* The task may speak only after its client has its pid. */
static void start_task(tenon_call *call,
                       struct supervisor *supervisor,
                       const tenon_term part[4])
{
    struct child *child = NULL;
    if (HASH_COUNT(supervisor->children) >= supervisor->max_children) {
        tenon_reply_error(call, ":max_children");
        return;
    }
    enum tenon_err rc =
        add_child(tenon_call_self(call), supervisor, part, &child);
    if (rc < 0) {
        reply_not_started(call, rc, part[1]);
        return;
    }
    tenon_reply_ok(call, "~t", tn_process_pid(child->process));
    tn_task_begin(child->process);
}

/* ---- restarts ---------------------------------------------------------- */

/* child: out of the table; taken. One that cannot be started counts as one
 * that failed again. */
static void restart_child(tenon_process *self,
                          struct supervisor *supervisor,
                          struct child *child)
{
    while (tn_restarts_note(&supervisor->restarts)) {
        tenon_process_release(child->process);
        child->process = NULL;
        if (enter_child(self, supervisor, child,
                        tenon_value_term(child->args)) == TENON_OK) {
            tn_task_begin(child->process);
            return;
        }
    }
    child_free(child);
    (void)tenon_process_exit(self, ":shutdown");
}

static void on_child_end(tenon_process *self,
                         struct supervisor *supervisor,
                         struct child *child,
                         tenon_term reason)
{
    if (child->restart == TENON_PERMANENT ||
        (child->restart == TENON_TRANSIENT && !tn_is_orderly_end(reason))) {
        HASH_DELETE(hh, supervisor->children, child);
        restart_child(self, supervisor, child);
    } else {
        forget_child(supervisor, child);
    }
}

/* ---- the server -------------------------------------------------------- */

static void build_children(tenon_builder *out, struct supervisor *supervisor)
{
    struct child *child, *next;
    tenon_build_list(out, HASH_COUNT(supervisor->children));
    HASH_ITER(hh, supervisor->children, child, next)
    {
        tenon_format(out, "{:undefined, ~t, :worker, [Task.Supervised]}",
                     tn_process_pid(child->process));
    }
    tenon_build_nil(out);
}

static void which_children(tenon_call *call, struct supervisor *supervisor)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term list;
    build_children(out, supervisor);
    if (out != NULL && tenon_builder_term(out, &list) == TENON_OK) {
        tenon_reply_term(call, list);
    }
    tenon_builder_free(out);
}

static void count_children(tenon_call *call, struct supervisor *supervisor)
{
    int64_t count = HASH_COUNT(supervisor->children);
    tenon_reply(call, "[specs: ~i, active: ~i, supervisors: 0, workers: ~i]",
                count, count, count);
}

static void
terminate_child(tenon_call *call, struct supervisor *supervisor, tenon_term pid)
{
    struct child *child = find_child(supervisor, pid);
    if (child == NULL) {
        tenon_reply_error(call, ":not_found");
        return;
    }
    end_child(child);
    forget_child(supervisor, child);
    tenon_reply(call, ":ok");
}

/* What else a DynamicSupervisor is asked names code that is not here. */
static void on_call(tenon_call *call, void *state)
{
    struct supervisor *supervisor = state;
    tenon_term request = tenon_call_request(call);
    tenon_term part[4], module, name, args;
    if (tn_tuple_views(request, part, 4) &&
        tenon_term_is_atom(part[0], "start_task")) {
        start_task(call, supervisor, part);
    } else if (tenon_term_is_atom(request, "which_children")) {
        which_children(call, supervisor);
    } else if (tenon_term_is_atom(request, "count_children")) {
        count_children(call, supervisor);
    } else if (tn_tuple_views(request, part, 2) &&
               tenon_term_is_atom(part[0], "terminate_child")) {
        terminate_child(call, supervisor, part[1]);
    } else if (tenon_match(request,
                           "{:start_child, {{~t, ~t, ~t}, _, _, _, _}}",
                           &module, &name, &args)) {
        tenon_reply_error(call, "{:undef, [{~t, ~t, ~t, []}]}", module, name,
                          args);
    } else {
        tenon_reply_error(call, ":notsup");
    }
}

static void on_info(tenon_process *self, tenon_term message, void *state)
{
    struct supervisor *supervisor = state;
    tenon_term part[3];
    if (!tn_tuple_views(message, part, 3) ||
        !tenon_term_is_atom(part[0], "EXIT")) {
        return;
    }
    struct child *child = find_child(supervisor, part[1]);
    if (child != NULL) {
        on_child_end(self, supervisor, child, part[2]);
    }
}

static void on_get_state(tenon_builder *out, void *state)
{
    struct supervisor *supervisor = state;
    tenon_build_map(out, 2);
    tenon_build_atom(out, "max_children");
    tenon_build_uint(out, supervisor->max_children);
    tenon_build_atom(out, "children");
    build_children(out, supervisor);
}

/* Its parent, or who stops it, says so: the tasks end with shutdown. */
static void before_end(tenon_process *self, void *state, tenon_term reason)
{
    struct supervisor *supervisor = state;
    struct child *child, *next;
    (void)self;
    (void)reason;
    HASH_ITER(hh, supervisor->children, child, next)
    {
        end_child(child);
        forget_child(supervisor, child);
    }
}

/* However it has ended; tasks that are left have not been told by a link when
 * the reason is normal. */
static void on_terminate(tenon_process *self, tenon_term reason, void *state)
{
    before_end(self, state, reason);
    free(state);
}

static tenon_process *start(tenon_node *node,
                            const tenon_task_supervisor_config *config)
{
    static const struct tn_server_hooks hooks = { .before_end = before_end };
    if (node == NULL) {
        tn_error(config->err, TENON_E_INVAL,
                 "start of a task supervisor: no node");
        return NULL;
    }
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    if (supervisor == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "start of a task supervisor");
        return NULL;
    }
    supervisor->hash_key = &node->hash_key;
    supervisor->restarts = (struct tn_restarts){
        .max = TENON_TASK_RESTARTS_MAX,
        .span_ms = TENON_TASK_RESTART_PERIOD_MS,
        .at_ms = supervisor->times,
    };
    supervisor->max_children =
        config->max_children != 0 ? config->max_children : TENON_PROCESSES_MAX;
    tenon_process *self = tn_server_start(node,
                                          &(tenon_server_config){
                                              .name = config->name,
                                              .on_call = on_call,
                                              .on_info = on_info,
                                              .on_terminate = on_terminate,
                                              .state = supervisor,
                                              .run_inline = true,
                                              .trap_exit = true,
                                              .err = config->err,
                                              .parent = config->parent,
                                              .on_get_state = on_get_state,
                                          },
                                          &hooks);
    if (self == NULL) {
        free(supervisor);
    }
    return self;
}

tenon_process *tenon_task_supervisor_start_sized(
    tenon_node *node, const tenon_task_supervisor_config *config, size_t size)
{
    tenon_task_supervisor_config own;
    if (config == NULL) {
        return NULL;
    }
    if (tn_sized_copy(&own, sizeof own, config, size) < 0) {
        tn_error(size > sizeof own ? config->err : NULL, TENON_E_INVAL,
                 "start of a task supervisor: the configuration sets fields "
                 "that this library does not know");
        return NULL;
    }
    return start(node, &own);
}
