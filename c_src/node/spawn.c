/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that run one registered function: spawn requests, and local runs.
 * The arguments are the process's one message, so that large ones stay in the
 * receive memory. */
#include <stdlib.h>
#include <string.h>

#include "node/atoms.h"
#include "node/function.h"
#include "node/node.h"
#include "term/build.h"
#include "term/view.h"

/* The state of such a process. */
struct spawned {
    struct tn_run run;      /* without args; its terms lie in bytes */
    tn_entry_fn entry;      /* makes the run from the arguments; or NULL */
    const uint8_t *args_at; /* where `made` found the arguments; or NULL */
    /* What entry has made of the arguments where they were received: holds as
     * long as they lie there still. */
    struct tn_run made;
    tenon_term from; /* likewise in bytes */
    bool ran;        /* what comes after the arguments is nobody's */
    size_t arity;    /* of what was spawned */
    void *extra;     /* for the call */
    size_t bytes_len;
    uint8_t bytes[];
};

/* ---- running ----------------------------------------------------------- */

static void
execute(tenon_process *self, const struct tn_run *run, struct spawned *spawned)
{
    tenon_call call;
    tn_call_init(&call, run->ops, self);
    call.request = run->args;
    call.tag = run->tag;
    call.module = run->module;
    call.name = run->name;
    call.from = spawned->from;
    call.group_leader = spawned->run.group_leader;
    call.origin = run->origin;
    call.account = run->account;
    call.extra = spawned->extra;
    spawned->extra = NULL;
    if (run->target.fn == NULL) {
        (void)tn_call_answer(&call, TN_OUT_ERROR, tn_atom_undef);
    } else {
        run->target.fn(&call, run->target.user);
    }
    tn_call_finish(&call);
}

static void
spawned_message(tenon_process *self, void *state, tenon_term message)
{
    struct spawned *spawned = state;
    struct tn_run run = spawned->run;
    if (spawned->ran) {
        return;
    }
    spawned->ran = true;
    run.args = message;
    if (spawned->entry != NULL && message.bytes == spawned->args_at) {
        run = spawned->made;
    } else if (spawned->entry != NULL && !spawned->entry(self->node, &run)) {
        run.target.fn = NULL;
    }
    execute(self, &run, spawned);
}

static void spawned_free(struct spawned *spawned)
{
    if (spawned != NULL) {
        tn_access_unref(spawned->run.origin);
        tn_account_unref(spawned->run.account);
        free(spawned);
    }
}

static void spawned_exit(tenon_process *self, void *state, tenon_term reason)
{
    (void)self;
    (void)reason;
    struct spawned *spawned = state;
    if (spawned->extra != NULL && spawned->run.ops->free_extra != NULL) {
        spawned->run.ops->free_extra(spawned->extra);
    }
    spawned_free(spawned);
}

static const struct tn_process_class spawned_class = {
    .on_message = spawned_message, .on_exit = spawned_exit
};

/* The state is freed by on_exit, which comes after `exited` is set. */
bool tn_spawned_mfa_locked(const tenon_process *process, struct tn_mfa *mfa)
{
    if (process->class != &spawned_class || process->exited) {
        return false;
    }
    const struct spawned *spawned = process->state;
    *mfa = (struct tn_mfa){ .module = spawned->run.module,
                            .name = spawned->run.name,
                            .arity = spawned->arity };
    return true;
}

/* What the function writes goes there, in this node's name: a limited peer has
 * a process of its own, or this node's. */
static tenon_term leader_of(tenon_node *node, const struct tn_run *run)
{
    bool is_ours =
        node->group_leader != NULL &&
        tenon_term_equal(run->group_leader, tn_process_pid(node->group_leader));

    return run->group_leader.bytes == NULL || is_ours ||
                   tn_may_answer(node, run->origin, run->group_leader, false)
               ? run->group_leader
               : (tenon_term){ NULL, 0 };
}

static struct spawned *spawned_new(tenon_node *node,
                                   const struct tn_run *run,
                                   tn_entry_fn entry,
                                   tenon_term from)
{
    tenon_term leader = leader_of(node, run);
    size_t bytes =
        run->module.len + run->name.len + run->tag.len + leader.len + from.len;
    struct spawned *spawned = calloc(1, sizeof(*spawned) + bytes);
    if (spawned == NULL) {
        return NULL;
    }
    uint8_t *to = spawned->bytes;
    spawned->bytes_len = bytes;
    spawned->run = *run;
    (void)tn_access_ref(run->origin);
    (void)tn_account_ref(run->account);
    spawned->run.args = (tenon_term){ NULL, 0 };
    spawned->run.module = tn_term_copy_to(&to, run->module);
    spawned->run.name = tn_term_copy_to(&to, run->name);
    spawned->run.tag = tn_term_copy_to(&to, run->tag);
    spawned->run.group_leader = tn_term_copy_to(&to, leader);
    spawned->from = tn_term_copy_to(&to, from);
    spawned->entry = entry;
    return spawned;
}

static tenon_process *start(tenon_node *node,
                            struct spawned *spawned,
                            bool run_inline,
                            tenon_error *err)
{
    return tn_process_start(
        node,
        &(struct tn_process_spec){
            .class = &spawned_class,
            .state = spawned,
            .run_inline = run_inline,
            .unborn = true,
            .account = spawned->run.account,
            .state_bytes = sizeof *spawned + spawned->bytes_len,
        },
        err);
}

/* The arguments could not be given. What was handed to the call is the caller's
 * again, unless the process has ended meanwhile and freed it, which the caller
 * takes for a run that was ended. */
static enum tenon_err
take_back(tenon_process *process, struct spawned *spawned, enum tenon_err rc)
{
    bool wake = false;
    tn_lock(process->node);
    bool has_ended = process->exited;
    if (!has_ended) {
        spawned->extra = NULL;
        (void)tn_process_end_locked(process, tn_atom_normal, &wake);
    }
    tn_leave(process->node, wake);
    return has_ended ? TENON_OK : rc;
}

enum tenon_err tn_spawn_local(tenon_node *node,
                              const struct tn_run *run,
                              tenon_term from,
                              void *extra)
{
    struct spawned *spawned = spawned_new(node, run, NULL, from);
    tenon_error err = { 0 };
    if (spawned == NULL) {
        return TENON_E_NOMEM;
    }
    spawned->arity = tenon_term_count(run->args);
    spawned->extra = extra;
    tenon_process *process = start(node, spawned, tn_run_is_short(run), &err);
    if (process == NULL) {
        spawned_free(spawned);
        return err.code;
    }
    struct tn_sender sender = { run->origin, run->account };
    enum tenon_err rc = tn_process_give_for(process, &sender, run->args);
    if (rc != TENON_OK) {
        rc = take_back(process, spawned, rc);
    }
    tenon_process_release(process);
    return rc;
}

/* ---- what the end of a function means ---------------------------------- */

void tn_build_stack(tenon_builder *out, const tenon_call *call, bool undefined)
{
    tenon_build_list(out, 1);
    tenon_build_tuple(out, 4);
    tenon_build_term(out, call->module);
    tenon_build_term(out, call->name);
    if (undefined) {
        tenon_build_term(out, call->request);
    } else {
        tenon_build_uint(out, tenon_term_count(call->request));
    }
    tenon_build_nil(out);
    tenon_build_nil(out);
}

enum tenon_err tn_spawn_end(tenon_call *call, tenon_builder *reason)
{
    tenon_term term;
    enum tenon_err rc = tenon_builder_term(reason, &term);
    if (rc != TENON_OK) {
        /* Whoever watches the process must hear of its end all the same. */
        term = tn_atom_killed;
    }
    enum tenon_err ended = tn_process_end(call->self, term);
    return rc != TENON_OK ? rc : ended;
}

/* {value, stack} */
static void
build_with_stack(tenon_builder *out, const tenon_call *call, tenon_term value)
{
    bool undefined = tenon_term_is_atom(value, "undef");
    tenon_build_term(out, value);
    tn_build_stack(out, call, undefined);
}

static enum tenon_err
end_plain(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    struct tenon_builder reason;
    tn_builder_init(&reason, TENON_TERM_MAX_BYTES);
    switch (outcome) {
    case TN_OUT_RETURN:
        tenon_build_atom(&reason, "normal");
        break;
    case TN_OUT_EXIT:
        tenon_build_term(&reason, value);
        break;
    case TN_OUT_ERROR:
        tenon_build_tuple(&reason, 2);
        build_with_stack(&reason, call, value);
        break;
    case TN_OUT_THROW:
        tenon_build_tuple(&reason, 2);
        tenon_build_tuple(&reason, 2);
        tenon_build_atom(&reason, "nocatch");
        tenon_build_term(&reason, value);
        tn_build_stack(&reason, call, false);
        break;
    }
    enum tenon_err rc = tn_spawn_end(call, &reason);
    tn_builder_fini(&reason);
    return rc;
}

/* A function that gives nothing gives nil, unless it has asked its process to
 * end with a reason of its own. */
void tn_spawn_unanswered(tenon_call *call)
{
    tn_lock(call->node);
    bool ends_by_itself = call->self->exit_at_end;
    tn_unlock(call->node);
    if (!ends_by_itself) {
        (void)tn_call_answer(call, TN_OUT_RETURN, tn_atom_nil);
    }
}

const struct tn_call_ops tn_spawn_ops = { .answer = end_plain,
                                          .unanswered = tn_spawn_unanswered };

/* ---- spawn requests ---------------------------------------------------- */

/* Reads link and monitor out of the options. What tunes a BEAM process has no
 * meaning here and is passed over. False: not a list of options. */
static bool read_options(tenon_term opts, uint32_t *flags)
{
    tenon_cursor at;
    tenon_term opt;
    *flags = 0;
    if (!tenon_term_is_proper_list(opts)) {
        return false;
    }
    tenon_cursor_init(&at, opts);
    while (tenon_cursor_next(&at, &opt)) {
        if (tenon_term_is_atom(opt, "link")) {
            *flags |= TN_SPAWN_LINK;
        } else if (tenon_term_is_atom(opt, "monitor")) {
            *flags |= TN_SPAWN_MONITOR;
        } else if (tenon_term_type(opt) != TENON_TYPE_TUPLE ||
                   tenon_term_count(opt) != 2) {
            return false;
        }
    }
    return true;
}

/* Replies with a process, or with the atom of an error. With the lock. */
static void reply_locked(tenon_node *node,
                         struct tn_peer *peer,
                         const struct tn_signal *request,
                         uint32_t flags,
                         tenon_term result)
{
    struct tn_signal reply = {
        .kind = TN_SIG_SPAWN_REPLY,
        .to = request->from,
        .ref = request->ref,
        .flags = flags,
        .payload = result,
    };
    (void)tn_peer_send_locked(node, peer, &reply);
}

static void refuse(tenon_node *node,
                   tn_conn *conn,
                   const struct tn_signal *request,
                   tenon_term why)
{
    tn_lock(node);
    reply_locked(node, tn_conn_user(conn), request, 0, why);
    tn_leave(node, false);
}

/* The link and the monitor exist before the reply is out, and the reply is out
 * before the process can say anything. */
static bool introduce_locked(tenon_process *process,
                             struct tn_peer *peer,
                             const struct tn_signal *request,
                             uint32_t flags)
{
    if ((flags & TN_SPAWN_MONITOR) != 0 &&
        tn_monitor_remote_locked(process, peer, request->from, process->pid,
                                 request->ref) != TENON_OK) {
        return false;
    }
    if ((flags & TN_SPAWN_LINK) != 0 &&
        tn_link_remote_locked(process, peer, request->from) != TENON_OK) {
        return false;
    }
    reply_locked(process->node, peer, request, flags, process->pid);
    return true;
}

static struct spawned *prepare(tenon_node *node,
                               const struct tn_peer *peer,
                               const struct tn_signal *request,
                               size_t arity,
                               bool *run_inline)
{
    struct tn_run run = {
        .args = request->payload,
        .ops = &tn_spawn_ops,
        .group_leader = request->group_leader,
        .origin = peer->access,
        .account = tn_peer_account(peer),
    };
    if (tenon_tuple_get(request->mfa, 0, &run.module) != TENON_OK ||
        tenon_tuple_get(request->mfa, 1, &run.name) != TENON_OK) {
        return NULL;
    }
    tn_entry_fn entry =
        tn_function_find_entry(node, run.module, run.name, arity);
    struct tn_run target = run;
    bool is_large = request->payload.len >= TN_LARGE_MESSAGE_BYTES;
    if (entry != NULL && is_large) {
        target.target.fn = NULL; /* a worker looks into them */
    } else if (entry == NULL) {
        run.target =
            tn_function_find(node, run.origin, run.module, run.name, arity);
        target = run;
    } else if (!entry(node, &target)) {
        target.target.fn = NULL;
    }
    *run_inline = tn_run_is_short(&target);
    struct spawned *spawned = spawned_new(node, &run, entry, request->from);
    if (spawned != NULL) {
        spawned->arity = arity;
    }
    if (spawned != NULL && entry != NULL && !is_large) {
        spawned->made = target;
        spawned->args_at = run.args.bytes;
    }
    return spawned;
}

static bool arguments_fit(const struct tn_signal *request)
{
    tenon_term told;
    int64_t count;
    return tenon_tuple_get(request->mfa, 2, &told) == TENON_OK &&
           tenon_term_int64(told, &count) == TENON_OK && count >= 0 &&
           (uint64_t)count == request->arity;
}

void tn_spawn_request(tenon_node *node,
                      tn_conn *conn,
                      const struct tn_signal *signal)
{
    uint32_t flags;
    bool run_inline = false;
    if (!read_options(signal->opts, &flags)) {
        refuse(node, conn, signal, tn_atom_badopt);
        return;
    }
    if (signal->payload.bytes == NULL) {
        refuse(node, conn, signal, tn_atom_system_limit); /* too deep */
        return;
    }
    if (!arguments_fit(signal)) {
        refuse(node, conn, signal, tn_atom_badarg);
        return;
    }
    const struct tn_peer *peer = tn_conn_user(conn);
    struct spawned *spawned =
        prepare(node, peer, signal, signal->arity, &run_inline);
    tenon_process *process =
        spawned == NULL ? NULL : start(node, spawned, run_inline, NULL);
    if (process == NULL) {
        spawned_free(spawned);
        refuse(node, conn, signal, tn_atom_system_limit);
        return;
    }
    tn_lock(node);
    bool told = introduce_locked(process, tn_conn_user(conn), signal, flags);
    tn_leave(node, false);
    if (!told ||
        tn_process_give_from(process, conn, signal->payload) != TENON_OK) {
        if (!told) {
            refuse(node, conn, signal, tn_atom_system_limit);
        }
        (void)tn_process_exit_value(process, tenon_value_format(":killed"));
    }
    tenon_process_release(process);
}
