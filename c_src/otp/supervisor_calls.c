/* SPDX-License-Identifier: Apache-2.0 */
/* What supervisors are asked: the calls of supervisor and DynamicSupervisor. */
#include "otp/supervisor_impl.h"

#include "node/process.h"
#include "otp/gen.h"
#include "term/build.h"

static void reply_with(tenon_call *call, tenon_builder *out)
{
    tenon_term value;
    if (tenon_builder_term(out, &value) == TENON_OK) {
        tenon_reply_term(call, value);
    } else {
        tenon_reply_error(call, ":system_limit");
    }
}

static void which_children(tenon_call *call, struct tn_supervisor *sup)
{
    struct tenon_builder out;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tn_children_build(&out, sup);
    reply_with(call, &out);
    tn_builder_fini(&out);
}

static void count_children(tenon_call *call, struct tn_supervisor *sup)
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
                         const struct tn_supervisor *sup,
                         const struct tn_child *child,
                         tenon_value *reason)
{
    struct tenon_builder out;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 2);
    tenon_build_atom(&out, "error");
    if (!tn_is_dynamic(sup)) {
        tenon_build_tuple(&out, 2);
    }
    tenon_build_term(&out, tenon_value_term(reason));
    if (!tn_is_dynamic(sup)) {
        tn_child_build_record(&out, child);
    }
    reply_with(call, &out);
    tn_builder_fini(&out);
    tenon_value_free(reason);
}

static void reply_ignored(tenon_call *call, const struct tn_supervisor *sup)
{
    tenon_reply(call, tn_is_dynamic(sup) ? ":ignore" : "{:ok, :undefined}");
}

/* Takes the child. */
static void
start_new(tenon_call *call, struct tn_supervisor *sup, struct tn_child *child)
{
    tenon_value *detail;
    switch (tn_child_start(tenon_call_self(call), sup, child, &detail)) {
    case TN_CHILD_STARTED:
        tn_children_add(sup, child);
        reply_started(call, child, detail);
        return;
    case TN_CHILD_IGNORED:
        reply_ignored(call, sup);
        if (!tn_is_dynamic(sup) && child->restart != TENON_TEMPORARY) {
            tn_children_add(sup, child);
            return;
        }
        break;
    case TN_CHILD_FAILED:
        reply_failed(call, sup, child, detail);
        break;
    }
    tn_child_free(child);
}

/* True: the id is taken, and the caller told so. */
static bool is_taken(tenon_call *call,
                     struct tn_supervisor *sup,
                     const struct tn_child *child)
{
    const struct tn_child *other =
        child->id == NULL
            ? NULL
            : tn_children_find_id(sup, tenon_value_term(child->id));
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
on_start_child(tenon_call *call, struct tn_supervisor *sup, tenon_term spec)
{
    tenon_value *problem = NULL;
    struct tn_child *child = tn_is_dynamic(sup)
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
    } else if (!tn_child_count_for(child,
                                   tn_process_account(tenon_call_self(call)))) {
        tenon_reply_error(call, ":system_limit");
        tn_child_free(child);
    } else {
        start_new(call, sup, child);
    }
}

static void
on_terminate_child(tenon_call *call, struct tn_supervisor *sup, tenon_term key)
{
    bool by_pid = tenon_term_type(key) == TENON_TYPE_PID;
    struct tn_child *child = tn_is_dynamic(sup) ? tn_children_find_pid(sup, key)
                                                : tn_children_find_id(sup, key);
    if (tn_is_dynamic(sup) && !by_pid) {
        tenon_reply_error(call, ":simple_one_for_one");
    } else if (child == NULL) {
        tenon_reply_error(call, ":not_found");
    } else {
        tn_child_end(tenon_call_self(call), sup, child);
        tn_children_lay_down(sup, child);
        tenon_reply(call, ":ok");
    }
}

/* What can be done only to a child that does not run. NULL: the caller has been
 * told why not. */
static struct tn_child *
find_idle(tenon_call *call, struct tn_supervisor *sup, tenon_term id)
{
    struct tn_child *child = tn_children_find_id(sup, id);
    if (tn_is_dynamic(sup)) {
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
on_restart_child(tenon_call *call, struct tn_supervisor *sup, tenon_term id)
{
    tenon_value *detail;
    struct tn_child *child = find_idle(call, sup, id);
    if (child == NULL) {
        return;
    }
    switch (tn_child_start(tenon_call_self(call), sup, child, &detail)) {
    case TN_CHILD_STARTED:
        reply_started(call, child, detail);
        break;
    case TN_CHILD_IGNORED:
        reply_ignored(call, sup);
        break;
    case TN_CHILD_FAILED:
        tenon_reply_error(call, "~t", tenon_value_term(detail));
        tenon_value_free(detail);
        break;
    }
}

static void
on_delete_child(tenon_call *call, struct tn_supervisor *sup, tenon_term id)
{
    struct tn_child *child = find_idle(call, sup, id);
    if (child != NULL) {
        tn_children_forget(sup, child);
        tenon_reply(call, ":ok");
    }
}

static void
on_get_childspec(tenon_call *call, struct tn_supervisor *sup, tenon_term key)
{
    struct tn_child *child = tenon_term_type(key) == TENON_TYPE_PID
                                 ? tn_children_find_pid(sup, key)
                                 : tn_children_find_id(sup, key);
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
void tn_supervisor_on_call(tenon_call *call, void *state)
{
    static const struct {
        const char *name;
        void (*fn)(tenon_call *call, struct tn_supervisor *sup, tenon_term arg);
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
