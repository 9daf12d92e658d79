/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors: servers that start, end and restart others, by the rules of
 * supervisor and, for the dynamic ones, of Elixir's DynamicSupervisor. */
#include "otp/supervisor_impl.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "node/atoms.h"
#include "node/node.h"
#include "otp/gen.h"
#include "otp/server.h"

#define RESTARTS_DEFAULT 3u
#define SECONDS_DEFAULT 5u

static const struct tn_log *log_of(tenon_process *self)
{
    return &tenon_process_node(self)->log;
}

/* Before the supervisor itself ends. */
static void before_end(tenon_process *self, void *state, tenon_term reason)
{
    struct tn_supervisor *sup = state;
    (void)reason;
    if (tn_is_dynamic(sup)) {
        tn_children_end_all(self, sup);
    } else {
        tn_children_end_from(self, sup, TAILQ_FIRST(&sup->children));
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
    tn_child_clear_pid(child);
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
static bool start_again(tenon_process *self,
                        struct tn_supervisor *sup,
                        struct tn_child *child)
{
    tenon_value *detail;
    switch (tn_child_start(self, sup, child, &detail)) {
    case TN_CHILD_FAILED:
        try_again(self, child, detail);
        return false;
    case TN_CHILD_IGNORED:
        tn_children_lay_down(sup, child);
        break;
    case TN_CHILD_STARTED:
        break;
    }
    tenon_value_free(detail);
    return true;
}

static void start_from(tenon_process *self,
                       struct tn_supervisor *sup,
                       struct tn_child *child)
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
                         struct tn_supervisor *sup,
                         struct tn_child *first)
{
    tn_children_end_from(self, sup, first);
    start_from(self, sup, first);
}

/* The first that end_from does not forget. */
static struct tn_child *first_to_stay(struct tn_supervisor *sup)
{
    struct tn_child *child = TAILQ_FIRST(&sup->children);
    while (child != NULL && child->restart == TENON_TEMPORARY) {
        child = TAILQ_NEXT(child, next);
    }
    return child;
}

static void
restart(tenon_process *self, struct tn_supervisor *sup, struct tn_child *child)
{
    if (!tn_restarts_note(&sup->restarts)) {
        log_child(self, "max_restarts_reached", child, tn_atom_shutdown);
        tn_children_lay_down(sup, child);
        before_end(self, sup, tn_atom_shutdown);
        (void)tn_process_end(self, tn_atom_shutdown);
        return;
    }
    tn_child_clear_pid(child);
    switch (sup->strategy) {
    case TENON_ONE_FOR_ALL: {
        struct tn_child *first = first_to_stay(sup);
        tn_children_end_from(self, sup, NULL);
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
                        struct tn_supervisor *sup,
                        struct tn_child *child,
                        tenon_term reason)
{
    bool orderly = tn_is_orderly_end(reason);
    if (tn_is_stopping(tenon_process_node(self))) {
        tn_children_lay_down(sup, child); /* all end, in no order */
        return;
    }
    if (child->restart == TENON_PERMANENT || !orderly) {
        log_child(self, "child_terminated", child, reason);
    }
    if (child->restart == TENON_PERMANENT ||
        (child->restart == TENON_TRANSIENT && !orderly)) {
        restart(self, sup, child);
    } else {
        tn_children_lay_down(sup, child);
    }
}

/* ---- messages ----------------------------------------------------------------- */

static void on_cast(tenon_process *self, tenon_term request, void *state)
{
    struct tn_supervisor *sup = state;
    uint64_t number;
    struct tn_child *child =
        tenon_match(request, "{:try_again_restart, ~u}", &number)
            ? tn_children_find_number(sup, number)
            : NULL;
    if (child != NULL && child->restarting) {
        restart(self, sup, child);
    }
}

static void on_info(tenon_process *self, tenon_term message, void *state)
{
    struct tn_supervisor *sup = state;
    tenon_term part[3];
    if (!tn_tuple_views(message, part, 3) ||
        !tenon_term_is_atom(part[0], "EXIT")) {
        tn_log(log_of(self), TN_WARN, "message_dropped", "why",
               "a supervisor takes none", NULL);
        return;
    }
    struct tn_child *child = tn_children_find_pid(sup, part[1]);
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
    struct tn_supervisor *sup = state;
    tenon_build_map(out, 4);
    tenon_build_atom(out, "strategy");
    tenon_build_atom(out, words[sup->strategy]);
    tenon_build_atom(out, "max_restarts");
    tenon_build_uint(out, sup->restarts.max);
    tenon_build_atom(out, "max_seconds");
    tenon_build_uint(out, sup->restarts.span_ms / 1000);
    tenon_build_atom(out, "children");
    tn_children_build(out, sup);
}

/* The children that are left have ended, or end by their links. */
static void on_terminate(tenon_process *self, tenon_term reason, void *state)
{
    struct tn_supervisor *sup = state;
    struct tn_child *child;
    (void)self;
    (void)reason;
    while ((child = TAILQ_FIRST(&sup->children)) != NULL) {
        tn_children_forget(sup, child);
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
static struct tn_supervisor *
supervisor_new(const tenon_supervisor_config *config)
{
    uint32_t restarts = config->max_restarts == 0 ? RESTARTS_DEFAULT
                        : config->max_restarts == TENON_NO_RESTARTS
                            ? 0
                            : config->max_restarts;
    struct tn_supervisor *sup =
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
    struct tn_supervisor *sup = supervisor_new(config);
    if (sup == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "start of a supervisor");
        return NULL;
    }
    tenon_process *self = tn_server_start(node,
                                          &(tenon_server_config){
                                              .name = config->name,
                                              .on_call = tn_supervisor_on_call,
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
