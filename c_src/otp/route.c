/* SPDX-License-Identifier: Apache-2.0 */
/* Routing by key: tables, route/4 for others, and the same for C. */
#include <tenon/route.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/task.h>

#include "base/buf.h"
#include "base/error.h"
#include "dist/identity.h"
#include "node/atoms.h"
#include "node/node.h"
#include "otp/erpc.h"
#include "otp/gen.h"

#define ARITY 4u
/* Most bytes of a key in the text of an error. */
#define KEY_TEXT_BYTES 512u
/* "{97..109, :"a name"}, " for each entry. */
#define TABLE_TEXT_MAX_BYTES                                                   \
    (TENON_ROUTE_ENTRIES_MAX * (2u * TENON_NODE_NAME_MAX_BYTES + 32u))

/* Constant after the start. */
struct tenon_routes {
    tenon_node *node;
    char *key; /* of this part of the node */
    char *module;
    char *tasks;
    char *text; /* of the table, as Elixir shows it */
    uint32_t timeout_ms;
    size_t count;
    struct entry {
        uint8_t first, last;
        bool is_here;
        char node[TENON_NODE_NAME_MAX_BYTES + 1];
    } entries[];
};

/* ---- the table --------------------------------------------------------- */

/* NULL: no entry fits. */
static const struct entry *find_entry(const tenon_routes *routes, uint8_t byte)
{
    for (size_t i = 0; i < routes->count; i++) {
        const struct entry *entry = &routes->entries[i];
        if (byte >= entry->first && byte <= entry->last) {
            return entry;
        }
    }
    return NULL;
}

static void routes_free(void *part)
{
    tenon_routes *routes = part;
    free(routes->key);
    free(routes->module);
    free(routes->tasks);
    free(routes->text);
    free(routes);
}

static enum tenon_err append(struct tn_buf *text, const char *more)
{
    return tn_buf_append(text, more, strlen(more));
}

static enum tenon_err append_entry(struct tn_buf *text,
                                   const struct entry *entry)
{
    char name[2 * TENON_NODE_NAME_MAX_BYTES + 4];
    char line[sizeof name + 16];
    tenon_value *atom = tenon_value_format("~a", entry->node);
    if (atom == NULL) {
        return TENON_E_NOMEM;
    }
    tenon_term_print(tenon_value_term(atom), name, sizeof name);
    tenon_value_free(atom);
    snprintf(line, sizeof line, "%s{%u..%u, %s}", text->len > 1 ? ", " : "",
             entry->first, entry->last, name);
    return append(text, line);
}

/* The table as inspect/1 shows it in Elixir. NULL: no memory. */
static char *table_text(const tenon_routes *routes)
{
    struct tn_buf text;
    char *copy = NULL;
    tn_buf_init(&text, TABLE_TEXT_MAX_BYTES);
    enum tenon_err rc = append(&text, "[");
    for (size_t i = 0; rc == TENON_OK && i < routes->count; i++) {
        rc = append_entry(&text, &routes->entries[i]);
    }
    if (rc == TENON_OK && tn_buf_append(&text, "]", 2) == TENON_OK) {
        copy = strdup((const char *)text.bytes);
    }
    tn_buf_fini(&text);
    return copy;
}

/* ---- route/4: here ----------------------------------------------------- */

static void raise_runtime_error(tenon_call *call, const char *message)
{
    tenon_raise(call, "%RuntimeError{__exception__: true, message: ~s}",
                message);
}

static void
raise_no_entry(tenon_call *call, const tenon_routes *routes, tenon_term key)
{
    static const char form[] = "could not find entry for %s in table %s";
    char shown[KEY_TEXT_BYTES];
    tenon_term_print(key, shown, sizeof shown);
    size_t cap = sizeof form + strlen(shown) + strlen(routes->text);
    char *message = malloc(cap);
    if (message == NULL) {
        tenon_raise(call, ":system_limit");
        return;
    }
    snprintf(message, cap, form, shown, routes->text);
    raise_runtime_error(call, message);
    free(message);
}

/* A call that goes on on the loop thread. */
struct moved {
    tenon_call *call;
    struct tn_target target;
};

static void run_moved(tenon_node *node, void *user)
{
    struct moved *moved = user;
    (void)node;
    moved->target.fn(moved->call, moved->target.user);
    tenon_call_release(moved->call);
    free(moved);
}

/* A short function runs on the loop thread, wherever it is called from. */
static void run_on_loop(tenon_call *call, const struct tn_target *target)
{
    struct moved *moved = calloc(1, sizeof *moved);
    if (moved != NULL) {
        moved->target = *target;
        moved->call = tenon_call_keep(call);
    }
    if (moved == NULL || moved->call == NULL) {
        free(moved);
        tenon_raise(call, ":system_limit");
        return;
    }
    if (tn_node_run_on_loop(tenon_call_node(call), run_moved, moved) < 0) {
        tenon_raise(moved->call, ":system_limit");
        tenon_call_release(moved->call);
        free(moved);
    }
}

/* apply(module, function, args): the call becomes that of the function.
 * part: the arguments of route/4. */
static void apply_here(tenon_call *call, const tenon_term part[ARITY])
{
    struct tn_run run = {
        .module = part[1],
        .name = part[2],
        .args = part[3],
        .origin = call->origin,
        .account = call->account,
    };
    tn_run_resolve(call->node, &run);
    call->module = run.module;
    call->name = run.name;
    call->request = run.args;
    if (run.target.fn == NULL) {
        (void)tn_call_answer(call, TN_OUT_ERROR, tn_atom_undef);
    } else if (tn_run_is_short(&run)) {
        run_on_loop(call, &run.target);
    } else {
        run.target.fn(call, run.target.user);
    }
}

/* ---- route/4: there ---------------------------------------------------- */

/* A call that waits for another node. */
struct routed {
    const tenon_routes *routes;
    const struct entry *entry;
    tenon_call *call; /* kept */
};

/* Exits with {reason, {module, route, args}}, as the calls do that Elixir's
 * route/4 makes. */
static void exit_call(const struct routed *routed, const char *pattern)
{
    tenon_value *reason = tenon_value_format(pattern, routed->entry->node);
    tenon_exit(routed->call, "{~t, {~a, :route, ~t}}", tenon_value_term(reason),
               routed->routes->module, tenon_call_request(routed->call));
    tenon_value_free(reason);
}

/* The link with the task has ended the waiting process by now when the task has
 * failed; what ends no process by a link is told here. */
static void on_routed(void *user, const tenon_result *result)
{
    struct routed *routed = user;
    tenon_call *call = routed->call;
    switch (result->code) {
    case TENON_OK:
        tenon_reply_term(call, result->value);
        break;
    case TENON_E_REMOTE_ERROR:
    case TENON_E_REMOTE_UNDEF:
        tenon_exit(call, "~t", result->value);
        break;
    case TENON_E_REMOTE_THROW:
        tenon_exit(call, "{{:nocatch, ~t}, []}", result->value);
        break;
    case TENON_E_REMOTE_EXIT:
    case TENON_E_NOTSUP:
        tenon_exit(call, "{~t, {~a, :route, ~t}}", result->value,
                   routed->routes->module, tenon_call_request(call));
        break;
    case TENON_E_LIMIT:
        raise_runtime_error(call, "reached the maximum number of tasks for "
                                  "this task supervisor");
        break;
    case TENON_E_NODEDOWN:
        exit_call(routed, "{:nodedown, ~a}");
        break;
    case TENON_E_NOPROC:
        exit_call(routed, ":noproc");
        break;
    case TENON_E_TIMEOUT:
        exit_call(routed, ":timeout");
        break;
    default:
        exit_call(routed, ":system_limit");
        break;
    }
    tenon_call_release(call);
    free(routed);
}

/* As Task.Supervisor.async({tasks, node}, module, route, args). */
static tenon_task *start_there(const tenon_routes *routes,
                               const struct entry *entry,
                               tenon_term args,
                               const tenon_task_options *options,
                               tenon_error *err)
{
    const tenon_dest to = { .name = routes->tasks, .node = entry->node };
    return tenon_task_async(routes->node, &to, routes->module, "route", args,
                            options, err);
}

static void apply_there(tenon_call *call,
                        const tenon_routes *routes,
                        const struct entry *entry)
{
    struct routed *routed = calloc(1, sizeof *routed);
    tenon_call *kept = routed != NULL ? tenon_call_keep(call) : NULL;
    if (kept == NULL) {
        free(routed);
        tenon_raise(call, ":system_limit");
        return;
    }
    *routed = (struct routed){ routes, entry, kept };
    const tenon_task_options options = {
        .link = tenon_call_self(kept),
        .timeout_ms = routes->timeout_ms,
        .on_end = on_routed,
        .user = routed,
    };
    tenon_task *task =
        start_there(routes, entry, tenon_call_request(kept), &options, NULL);
    if (task == NULL) {
        tenon_raise(kept, ":system_limit");
        tenon_call_release(kept);
        free(routed);
    }
    tenon_task_release(task);
}

/* The other node takes it for this one's own: what a peer may not have run
 * here, it may not have run there by way of this node. */
static bool may_run_there(tenon_call *call, const tenon_term part[ARITY])
{
    return tn_may_run(call->node, call->origin, part[1], part[2],
                      tenon_term_count(part[3]));
}

/* route(key, module, function, args). */
static void route_for_call(tenon_call *call, void *user)
{
    const tenon_routes *routes = user;
    tenon_term part[ARITY];
    const void *bytes;
    size_t len;
    if (!tn_list_views(tenon_call_request(call), part, ARITY) ||
        tenon_term_binary(part[0], &bytes, &len) < 0 || len == 0) {
        tenon_raise(call, ":badarg");
        return;
    }
    const struct entry *entry = find_entry(routes, *(const uint8_t *)bytes);
    if (entry == NULL) {
        raise_no_entry(call, routes, part[0]);
    } else if (entry->is_here) {
        apply_here(call, part);
    } else if (!may_run_there(call, part)) {
        tenon_raise(call, ":not_allowed");
    } else {
        apply_there(call, routes, entry);
    }
}

/* ---- routing from C ---------------------------------------------------- */

static enum tenon_err check(const tenon_routes *routes,
                            const void *key,
                            size_t key_len,
                            const char *module,
                            const char *function,
                            const struct entry **entry,
                            tenon_error *err)
{
    if (routes == NULL || key == NULL || key_len == 0 || module == NULL ||
        function == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "route: a table, a key, a module and a function are "
                        "expected");
    }
    *entry = find_entry(routes, *(const uint8_t *)key);
    if (*entry == NULL) {
        return tn_error(err, TENON_E_NOT_FOUND,
                        "route: no entry for a key that begins with byte %u in "
                        "table %.160s",
                        *(const uint8_t *)key, routes->text);
    }
    return TENON_OK;
}

/* Starts the task of a route from C; NULL: `err` says why. */
static tenon_task *start_from_c(const tenon_routes *routes,
                                const struct entry *entry,
                                tenon_value *args,
                                const tenon_task_options *options,
                                tenon_error *err)
{
    tenon_task *task = NULL;
    if (args == NULL) {
        tn_error(err, TENON_E_INVAL,
                 "route: names and arguments do not make a term");
    } else {
        task = start_there(routes, entry, tenon_value_term(args), options, err);
    }
    tenon_value_free(args);
    return task;
}

enum tenon_err tenon_route(tenon_routes *routes,
                           const void *key,
                           size_t key_len,
                           const char *module,
                           const char *function,
                           tenon_term args,
                           uint32_t timeout_ms,
                           tenon_value **value,
                           tenon_error *err)
{
    const struct entry *entry;
    tenon_error own = { 0 };
    if (value != NULL) {
        *value = NULL;
    }
    enum tenon_err rc =
        check(routes, key, key_len, module, function, &entry, err);
    if (rc < 0) {
        return rc;
    }
    if (entry->is_here) {
        return tenon_rpc(routes->node, NULL, module, function, args, timeout_ms,
                         value, err);
    }
    const tenon_task_options options = { .timeout_ms = timeout_ms };
    tenon_task *task =
        start_from_c(routes, entry,
                     tenon_value_format("[~b, ~a, ~a, ~t]", key, key_len,
                                        module, function, args),
                     &options, &own);
    if (task == NULL) {
        return tn_error(err, own.code, "%s", own.text);
    }
    rc = tenon_task_await(task, TENON_NO_TIMEOUT, value, err);
    tenon_task_release(task);
    return rc;
}

enum tenon_err tenon_route_async(tenon_routes *routes,
                                 const void *key,
                                 size_t key_len,
                                 const char *module,
                                 const char *function,
                                 tenon_term args,
                                 uint32_t timeout_ms,
                                 tenon_result_fn fn,
                                 void *user)
{
    const struct entry *entry;
    tenon_error err = { 0 };
    enum tenon_err rc =
        check(routes, key, key_len, module, function, &entry, NULL);
    if (rc < 0 || fn == NULL) {
        return rc < 0 ? rc : TENON_E_INVAL;
    }
    if (entry->is_here) {
        return tenon_rpc_async(routes->node, NULL, module, function, args,
                               timeout_ms, fn, user);
    }
    const tenon_task_options options = {
        .timeout_ms = timeout_ms,
        .on_end = fn,
        .user = user,
    };
    tenon_task *task =
        start_from_c(routes, entry,
                     tenon_value_format("[~b, ~a, ~a, ~t]", key, key_len,
                                        module, function, args),
                     &options, &err);
    tenon_task_release(task);
    return task != NULL ? TENON_OK : err.code;
}

/* ---- start ------------------------------------------------------------- */

static bool read_entry(const tenon_node *node,
                       const tenon_route_entry *from,
                       struct entry *entry)
{
    struct tn_name name;
    if (from->first > from->last || from->node == NULL ||
        tn_name_split(from->node, &name, NULL) < 0) {
        return false;
    }
    entry->first = from->first;
    entry->last = from->last;
    entry->is_here = strcmp(from->node, tenon_node_name(node)) == 0;
    memcpy(entry->node, name.full, sizeof entry->node);
    return true;
}

static enum tenon_err check_config(const tenon_node *node,
                                   const tenon_routes_config *config)
{
    if (node == NULL || config->module == NULL || config->tasks == NULL ||
        config->entries == NULL) {
        return tn_error(config->err, TENON_E_INVAL,
                        "start of a routing table: a node, a module, a task "
                        "supervisor and entries are expected");
    }
    if (config->entry_count == 0 ||
        config->entry_count > TENON_ROUTE_ENTRIES_MAX) {
        return tn_error(config->err,
                        config->entry_count == 0 ? TENON_E_INVAL
                                                 : TENON_E_LIMIT,
                        "start of a routing table: expected 1 to %d entries, "
                        "got %zu",
                        TENON_ROUTE_ENTRIES_MAX, config->entry_count);
    }
    return TENON_OK;
}

static char *key_for(const char *module)
{
    static const char prefix[] = "otp/route/";
    size_t cap = sizeof prefix + strlen(module);
    char *key = malloc(cap);
    if (key != NULL) {
        snprintf(key, cap, "%s%s", prefix, module);
    }
    return key;
}

/* NULL, with config->err: nothing is left behind. */
static tenon_routes *routes_new(tenon_node *node,
                                const tenon_routes_config *config)
{
    tenon_routes *routes =
        calloc(1, sizeof *routes + config->entry_count * sizeof(struct entry));
    if (routes == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "start of a routing table");
        return NULL;
    }
    routes->node = node;
    routes->timeout_ms = config->timeout_ms;
    for (size_t i = 0; i < config->entry_count; i++) {
        if (!read_entry(node, &config->entries[i], &routes->entries[i])) {
            tn_error(config->err, TENON_E_INVAL,
                     "start of a routing table: entry %zu: expected first <= "
                     "last and a node's full name",
                     i);
            routes_free(routes);
            return NULL;
        }
        routes->count++;
    }
    routes->key = key_for(config->module);
    routes->module = strdup(config->module);
    routes->tasks = strdup(config->tasks);
    routes->text = table_text(routes);
    if (routes->key == NULL || routes->module == NULL ||
        routes->tasks == NULL || routes->text == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "start of a routing table");
        routes_free(routes);
        return NULL;
    }
    return routes;
}

static tenon_routes *start(tenon_node *node, const tenon_routes_config *config)
{
    if (check_config(node, config) < 0) {
        return NULL;
    }
    tenon_routes *routes = routes_new(node, config);
    if (routes == NULL) {
        return NULL;
    }
    enum tenon_err rc =
        tn_node_attach(node, routes->key, routes, NULL, routes_free);
    if (rc < 0) {
        routes_free(routes);
    } else {
        /* From here on the node frees it, also when it cannot be called. */
        rc = tenon_function(node, config->module, "route", ARITY,
                            route_for_call, routes, 0);
    }
    if (rc < 0) {
        tn_error(config->err, rc, "start of routing table %.100s: %s",
                 config->module, tenon_err_text(rc));
        return NULL;
    }
    return routes;
}

tenon_routes *tenon_routes_start_sized(tenon_node *node,
                                       const tenon_routes_config *config,
                                       size_t size)
{
    tenon_routes_config own;
    if (config == NULL) {
        return NULL;
    }
    if (tn_sized_copy(&own, sizeof own, config, size) < 0) {
        tn_error(size > sizeof own ? config->err : NULL, TENON_E_INVAL,
                 "start of a routing table: the configuration sets fields "
                 "that this library does not know");
        return NULL;
    }
    return start(node, &own);
}
