/* SPDX-License-Identifier: Apache-2.0 */
/* erpc's entry functions, and what a module, a name and arguments call. */
#include "otp/erpc.h"

#include "base/error.h"
#include "node/atoms.h"
#include "node/node.h"
#include "otp/gen.h"
#include "term/build.h"
#include "term/view.h"

/* Applications of applications; a BEAM node knows no limit, but nobody writes
 * more than one. */
#define APPLY_DEPTH_MAX 4

/* ---- what is called ---------------------------------------------------- */

static void raise_badarg(tenon_call *call, void *user)
{
    (void)user;
    tenon_raise(call, ":badarg");
}

static void raise_system_limit(tenon_call *call, void *user)
{
    (void)user;
    tenon_raise(call, ":system_limit");
}

/* The arguments are those of erlang:apply/2: a fun, and a list that does not
 * fit it. */
static void raise_badarity(tenon_call *call, void *user)
{
    (void)user;
    tenon_raise(call, "{:badarity, {~t, ~t}}", tenon_call_arg(call, 0),
                tenon_call_arg(call, 1));
}

static void set_target(struct tn_run *run, tenon_function_fn fn)
{
    run->target = (struct tn_target){ .fn = fn, .flags = TENON_INLINE };
}

/* Changes an application of an export to the call of it. False: it is final,
 * with its target set. */
static bool step_into_fun(struct tn_run *run, tenon_term fun, tenon_term args)
{
    struct tn_fun_view view;
    if (!tenon_term_is_proper_list(args)) {
        set_target(run, raise_badarg);
        return false;
    }
    if (fun.bytes == NULL || !tn_fun_view(fun.bytes, &view) ||
        !view.is_export) {
        /* A fun without a name is code that is not here: undefined. */
        return false;
    }
    if (view.arity != tenon_term_count(args)) {
        set_target(run, raise_badarity);
        return false;
    }
    /* EXPORT_EXT: a tag, then the atoms of module and name. */
    run->module = tn_term_at(fun.bytes + 1);
    run->name = tn_term_at(run->module.bytes + run->module.len);
    run->args = args;
    return true;
}

/* One step through erlang:apply. False: there is none to take. */
static bool step_into_apply(struct tn_run *run)
{
    tenon_term arg[3];
    if (!tenon_term_is_atom(run->name, "apply") ||
        !tenon_term_is_atom(run->module, "erlang")) {
        return false;
    }
    if (tn_list_views(run->args, arg, 3)) {
        run->module = arg[0];
        run->name = arg[1];
        run->args = arg[2];
        return true;
    }
    return tn_list_views(run->args, arg, 2) &&
           step_into_fun(run, arg[0], arg[1]);
}

void tn_run_resolve(tenon_node *node, struct tn_run *run)
{
    size_t arity;
    run->target = (struct tn_target){ 0 };
    for (int i = 0; i < APPLY_DEPTH_MAX && step_into_apply(run); i++) {
    }
    if (run->target.fn != NULL) {
        return;
    }
    if (tenon_term_type(run->module) != TENON_TYPE_ATOM ||
        tenon_term_type(run->name) != TENON_TYPE_ATOM ||
        !tn_list_length(run->args, &arity)) {
        set_target(run, raise_badarg);
        return;
    }
    if (arity > TN_ARGS_MAX) {
        set_target(run, raise_system_limit);
        return;
    }
    run->target =
        tn_function_find(node, run->origin, run->module, run->name, arity);
}

/* ---- how it ends ------------------------------------------------------- */

static enum tenon_err
execute_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    const struct tn_ending ending = tn_ending_of(call, outcome, value);
    struct tenon_builder out;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    (void)tn_build_erpc_result(&out, call->tag, &ending);
    enum tenon_err rc = tn_spawn_end(call, &out);
    tn_builder_fini(&out);
    return rc;
}

void tn_run_unanswered(tenon_call *call)
{
    tenon_value *asked = NULL;
    tn_lock(call->node);
    if (call->self->exit_at_end) {
        asked = tenon_value_new(tenon_value_term(call->self->exit_reason));
    }
    tn_unlock(call->node);
    if (asked != NULL) {
        /* The function has asked its own process to end. */
        (void)tn_call_answer(call, TN_OUT_EXIT, tenon_value_term(asked));
    } else {
        (void)tn_call_answer(call, TN_OUT_RETURN, tn_atom_nil);
    }
    tenon_value_free(asked);
}

void tn_run_end(const tenon_call *call,
                struct tn_ending *ending,
                tenon_value **reason)
{
    *reason = NULL;
    if (tn_process_end(call->self, tn_atom_normal) != TENON_E_NOPROC) {
        return;
    }
    tn_lock(call->node);
    *reason = tenon_value_new(tenon_value_term(call->self->exit_reason));
    tn_unlock(call->node);
    ending->outcome = TN_OUT_EXIT;
    ending->value =
        *reason != NULL ? tenon_value_term(*reason) : tn_atom_killed;
}

static const struct tn_call_ops execute_ops = {
    .answer = execute_answer,
    .unanswered = tn_spawn_unanswered,
};

/* ---- entries ----------------------------------------------------------- */

/* erpc:execute_call(ResRef, Module, Function, Args). */
static bool enter_execute_call(tenon_node *node, struct tn_run *run)
{
    tenon_term arg[4];
    if (!tn_list_views(run->args, arg, 4)) {
        return false;
    }
    run->tag = arg[0];
    run->module = arg[1];
    run->name = arg[2];
    run->args = arg[3];
    run->ops = &execute_ops;
    tn_run_resolve(node, run);
    return true;
}

/* erpc:execute_cast(Module, Function, Args). */
static bool enter_execute_cast(tenon_node *node, struct tn_run *run)
{
    tenon_term arg[3];
    if (!tn_list_views(run->args, arg, 3)) {
        return false;
    }
    run->module = arg[0];
    run->name = arg[1];
    run->args = arg[2];
    run->ops = &tn_spawn_ops;
    tn_run_resolve(node, run);
    return true;
}

/* erlang:apply(Fun, Args), erlang:apply(Module, Function, Args). */
static bool enter_apply(tenon_node *node, struct tn_run *run)
{
    run->ops = &tn_spawn_ops;
    tn_run_resolve(node, run);
    return true;
}

enum tenon_err tn_erpc_add_entries(tenon_node *node, tenon_error *err)
{
    static const struct {
        const char *module, *name;
        unsigned arity;
        tn_entry_fn enter;
    } entries[] = {
        { "erpc", "execute_call", 4, enter_execute_call },
        { "erpc", "execute_cast", 3, enter_execute_cast },
        { "erlang", "apply", 2, enter_apply },
        { "erlang", "apply", 3, enter_apply },
    };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        enum tenon_err rc =
            tn_function_add_entry(node, entries[i].module, entries[i].name,
                                  entries[i].arity, entries[i].enter);
        if (rc < 0) {
            return tn_error(err, rc, "entry %s:%s/%u: %s", entries[i].module,
                            entries[i].name, entries[i].arity,
                            tenon_err_text(rc));
        }
    }
    return TENON_OK;
}
