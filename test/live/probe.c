/* SPDX-License-Identifier: Apache-2.0 */
/* A handler library for the ExUnit suite: the module :probe, by whose functions
 * a test makes a node dispatch any message and register any services, and what
 * those services do is told by each request. elixir_harness has the same as a
 * BEAM module. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

#define MODULE "probe"

/* ---- the services ------------------------------------------------------ */

/* Who brings `deny` among the assigns is refused with that term. */
static void
authorize(const tenon_message *message, tenon_builder *verdict, void *user)
{
    tenon_term reason;

    (void)user;
    if (tenon_map_get_atom(tenon_message_get(message, "assigns"), "deny",
                           &reason) == TENON_OK) {
        tenon_build_term(verdict, reason);
    }
}

static void do_ok(tenon_call *call, tenon_term payload)
{
    tenon_reply_ok(call, "~t", payload);
}

static void do_error(tenon_call *call, tenon_term payload)
{
    tenon_reply_error(call, "~t", payload);
}

static void do_created(tenon_call *call, tenon_term payload)
{
    tenon_reply_created(call, "~t", payload);
}

static void do_response(tenon_call *call, tenon_term payload)
{
    tenon_reply_term(call, payload);
}

static void do_change(tenon_call *call, tenon_term payload)
{
    tenon_message *message = tenon_call_message(call);

    if (tenon_message_assign(message, "probe", payload) == TENON_OK &&
        tenon_message_add_event(message, tenon_call_request(call)) ==
            TENON_OK) {
        tenon_reply(call, ":ok");
    }
}

static void do_raise(tenon_call *call, tenon_term payload)
{
    tenon_raise(call, "~t", payload);
}

static void do_throw(tenon_call *call, tenon_term payload)
{
    tenon_throw(call, "~t", payload);
}

static void do_exit(tenon_call *call, tenon_term payload)
{
    tenon_exit(call, "~t", payload);
}

static void do_nothing(tenon_call *call, tenon_term payload)
{
    (void)call;
    (void)payload;
}

static char *text_of(tenon_term term);

/* The payload: the line's text. */
static void do_log(tenon_call *call, tenon_term payload)
{
    char *text = text_of(payload);

    tenon_log(call, TENON_LOG_WARNING, text, "deed", "log", NULL);
    free(text);
    tenon_reply(call, ":ok");
}

static const struct {
    const char *name;
    void (*fn)(tenon_call *call, tenon_term payload);
} deeds[] = {
    { "ok", do_ok },           { "error", do_error },
    { "created", do_created }, { "response", do_response },
    { "change", do_change },   { "raise", do_raise },
    { "throw", do_throw },     { "exit", do_exit },
    { "silent", do_nothing },  { "log", do_log },
};

/* The request: {refusals, deed, payload}; a node that is a key of refusals
 * asks for another one with that reason. */
static void answer(tenon_call *call, void *user)
{
    tenon_term refusals, payload, reason;
    tenon_atom deed;

    (void)user;
    if (!tenon_match(tenon_call_request(call), "{~t, ~a, ~t}", &refusals, &deed,
                     &payload)) {
        tenon_raise(call, ":badarg");
        return;
    }
    if (tenon_map_get_atom(refusals, tenon_node_name(tenon_call_node(call)),
                           &reason) == TENON_OK) {
        tenon_reply_error(call, "{:try_another_node, ~t}", reason);
        return;
    }
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
        if (strcmp(deed.text, deeds[i].name) == 0) {
            deeds[i].fn(call, payload);
            return;
        }
    }
    tenon_raise(call, ":badarg");
}

/* ---- registering ------------------------------------------------------- */

/* The routers made so far. */
struct made {
    struct made *next;
    tenon_router *router;
    char module[];
};
static struct {
    pthread_mutex_t lock;
    struct made *first;
} routers = { PTHREAD_MUTEX_INITIALIZER, NULL };

static tenon_router *make_router(tenon_node *node, const char *module)
{
    struct made *made = malloc(sizeof *made + strlen(module) + 1);

    if (made == NULL) {
        return NULL;
    }
    strcpy(made->module, module);
    made->router = tenon_router_new(node, module);
    if (made->router == NULL ||
        tenon_router_authorize(made->router, authorize, NULL) != TENON_OK) {
        free(made);
        return NULL;
    }
    made->next = routers.first;
    routers.first = made;
    return made->router;
}

static tenon_router *router_of(tenon_node *node, const char *module)
{
    tenon_router *router = NULL;

    pthread_mutex_lock(&routers.lock);
    for (struct made *made = routers.first; made != NULL; made = made->next) {
        if (strcmp(made->module, module) == 0) {
            router = made->router;
        }
    }
    if (router == NULL) {
        router = make_router(node, module);
    }
    pthread_mutex_unlock(&routers.lock);
    return router;
}

/* A binary's bytes as a C string. owned: free. NULL: it is none. */
static char *text_of(tenon_term term)
{
    const void *bytes;
    size_t len;

    if (tenon_term_binary(term, &bytes, &len) != TENON_OK) {
        return NULL;
    }
    char *text = malloc(len + 1);

    if (text != NULL) {
        memcpy(text, bytes, len);
        text[len] = '\0';
    }
    return text;
}

static enum tenon_err add_service(tenon_router *router, tenon_term pair)
{
    tenon_term name, is_public;

    if (!tenon_match(pair, "{~t, ~t}", &name, &is_public)) {
        return TENON_E_BADTERM;
    }
    char *text = text_of(name);
    enum tenon_err rc = TENON_E_BADTERM;

    if (text != NULL) {
        rc = tenon_term_is_atom(is_public, "true")
                 ? tenon_service(router, text, answer, NULL)
                 : tenon_servicep(router, text, answer, NULL);
    }
    free(text);
    return rc;
}

/* register(router, [{service, is_public}]), the names as binaries of any
 * bytes. Returns the codes: {:no_router | register's, [service's]}. */
static void probe_register(tenon_call *call, void *user)
{
    char *module = text_of(tenon_call_arg(call, 0));
    tenon_router *router =
        module == NULL ? NULL : router_of(tenon_call_node(call), module);
    tenon_builder *codes = tenon_builder_new();
    tenon_term list, pair;
    tenon_cursor at;

    (void)user;
    tenon_build_list(codes, tenon_term_count(tenon_call_arg(call, 1)));
    tenon_cursor_init(&at, tenon_call_arg(call, 1));
    while (tenon_cursor_next(&at, &pair)) {
        tenon_build_atom(codes, tenon_err_name(add_service(router, pair)));
    }
    tenon_build_nil(codes);
    if (tenon_builder_term(codes, &list) == TENON_OK) {
        tenon_reply(call, "{~a, ~t}",
                    router == NULL
                        ? "no_router"
                        : tenon_err_name(tenon_register_services(router)),
                    list);
    } else {
        tenon_raise(call, ":badarg");
    }
    tenon_builder_free(codes);
    free(module);
}

/* Appends the service and who offers it. */
static void build_offers(tenon_builder *out, tenon_term all, tenon_term service)
{
    tenon_term offers;
    tenon_atom name;

    tenon_build_term(out, service);
    if (tenon_term_atom(service, &name) == TENON_OK &&
        tenon_map_get_atom(all, name.text, &offers) == TENON_OK) {
        tenon_build_term(out, offers);
    } else {
        tenon_build_nil(out);
    }
}

/* Appends a map, of an atom or of each in a list. */
static void
build_providers(tenon_builder *out, tenon_term all, tenon_term asked)
{
    tenon_cursor at;
    tenon_term service;

    if (tenon_term_type(asked) == TENON_TYPE_ATOM) {
        tenon_build_map(out, 1);
        build_offers(out, all, asked);
        return;
    }
    tenon_build_map(out, tenon_term_count(asked));
    tenon_cursor_init(&at, asked);
    while (tenon_cursor_next(&at, &service)) {
        build_offers(out, all, service);
    }
}

/* providers(service), providers([service]): a map of each to
 * [{node, router}]. */
static void probe_providers(tenon_call *call, void *user)
{
    tenon_builder *all = tenon_builder_new(), *out = tenon_builder_new();
    tenon_term services, providers;

    (void)user;
    if (tenon_services(tenon_call_node(call), all) == TENON_OK &&
        tenon_builder_term(all, &services) == TENON_OK) {
        build_providers(out, services, tenon_call_arg(call, 0));
    }
    if (tenon_builder_term(out, &providers) == TENON_OK) {
        tenon_reply_term(call, providers);
    } else {
        tenon_raise(call, ":badarg");
    }
    tenon_builder_free(out);
    tenon_builder_free(all);
}

/* ---- calling ----------------------------------------------------------- */

/* default, infinity, or milliseconds. */
static bool read_timeout(tenon_term term, uint32_t *timeout_ms)
{
    uint64_t ms;

    if (tenon_term_is_atom(term, "default")) {
        *timeout_ms = 0;
    } else if (tenon_term_is_atom(term, "infinity")) {
        *timeout_ms = TENON_NO_TIMEOUT;
    } else if (tenon_term_uint64(term, &ms) == TENON_OK &&
               ms < TENON_NO_TIMEOUT) {
        *timeout_ms = (uint32_t)ms;
    } else {
        return false;
    }
    return true;
}

/* The two arguments of what follows: message and timeout. NULL: the call has
 * failed. */
static tenon_message *read_order(tenon_call *call, uint32_t *timeout_ms)
{
    tenon_message *message = NULL;

    if (read_timeout(tenon_call_arg(call, 1), timeout_ms)) {
        message = tenon_message_from_term(tenon_call_node(call),
                                          tenon_call_arg(call, 0), NULL);
    }
    if (message == NULL) {
        tenon_raise(call, ":badarg");
    }
    return message;
}

/* Returns the reply, or how it failed. reply: taken. */
static void
give_reply(tenon_call *call, enum tenon_err rc, tenon_message *reply)
{
    if (rc == TENON_OK) {
        tenon_reply_term(call, tenon_message_term(reply));
    } else {
        tenon_reply_error(call, "~a", tenon_err_name(rc));
    }
    tenon_message_free(reply);
}

static void probe_dispatch(tenon_call *call, void *user)
{
    uint32_t timeout_ms = 0;
    tenon_message *reply = NULL, *message = read_order(call, &timeout_ms);

    (void)user;
    if (message != NULL) {
        enum tenon_err rc = tenon_dispatch(tenon_call_node(call), message,
                                           timeout_ms, &reply, NULL);

        give_reply(call, rc, reply);
        tenon_message_free(message);
    }
}

static void probe_validate(tenon_call *call, void *user)
{
    uint32_t timeout_ms = 0;
    tenon_message *reply = NULL, *message = read_order(call, &timeout_ms);

    (void)user;
    if (message != NULL) {
        enum tenon_err rc = tenon_validate(tenon_call_node(call), message,
                                           timeout_ms, &reply, NULL);

        give_reply(call, rc, reply);
        tenon_message_free(message);
    }
}

static void on_reply(void *user, enum tenon_err code, tenon_message *reply)
{
    give_reply(user, code, reply);
    tenon_call_release(user);
}

static void probe_dispatch_async(tenon_call *call, void *user)
{
    uint32_t timeout_ms = 0;
    tenon_message *message = read_order(call, &timeout_ms);
    tenon_call *kept = message == NULL ? NULL : tenon_call_keep(call);

    (void)user;
    if (kept != NULL) {
        enum tenon_err rc = tenon_dispatch_async(tenon_call_node(call), message,
                                                 timeout_ms, on_reply, kept);

        if (rc != TENON_OK) {
            on_reply(kept, rc, NULL);
        }
    }
    tenon_message_free(message);
}

static void probe_authorized(tenon_call *call, void *user)
{
    uint32_t timeout_ms = 0;
    tenon_value *answered = NULL;
    tenon_message *message = read_order(call, &timeout_ms);

    (void)user;
    if (message == NULL) {
        return;
    }
    enum tenon_err rc = tenon_authorized(tenon_call_node(call), message,
                                         timeout_ms, &answered, NULL);

    if (rc == TENON_OK) {
        tenon_reply_term(call, tenon_value_term(answered));
    } else {
        tenon_reply_error(call, "~a", tenon_err_name(rc));
    }
    tenon_value_free(answered);
    tenon_message_free(message);
}

/* ---- telemetry and log lines -------------------------------------------- */

/* Who is told of events. */
static struct {
    pthread_mutex_t lock;
    tenon_pid pid;
} watcher = { PTHREAD_MUTEX_INITIALIZER, { 0 } };

static void tell_watcher(void *user, const tenon_telemetry_event *event)
{
    (void)user;
    pthread_mutex_lock(&watcher.lock);
    tenon_pid pid = watcher.pid;

    pthread_mutex_unlock(&watcher.lock);
    tenon_send_format(event->node, &(tenon_dest){ .pid = &pid },
                      "{:telemetry, ~a, ~t, ~t}", event->name,
                      event->measurements, event->metadata);
}

/* watch(pid): sends it {:telemetry, name, measurements, metadata} of each
 * event, and nobody else any more. */
static void probe_watch(tenon_call *call, void *user)
{
    tenon_pid pid;

    (void)user;
    if (tenon_term_pid(tenon_call_arg(call, 0), &pid) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    pthread_mutex_lock(&watcher.lock);
    watcher.pid = pid;
    pthread_mutex_unlock(&watcher.lock);
    enum tenon_err rc = tenon_telemetry_attach(tenon_call_node(call), "probe",
                                               NULL, tell_watcher, NULL);

    tenon_reply(call, "~a", rc == TENON_E_EXISTS ? "OK" : tenon_err_name(rc));
}

/* unwatch() */
static void probe_unwatch(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply(
        call, "~a",
        tenon_err_name(tenon_telemetry_detach(tenon_call_node(call), "probe")));
}

/* ensure_local_logging(router, boolean), of a router that was registered. */
static void probe_ensure_local_logging(tenon_call *call, void *user)
{
    char *module = text_of(tenon_call_arg(call, 0));
    tenon_router *router =
        module == NULL ? NULL : router_of(tenon_call_node(call), module);
    bool ensure = tenon_term_is_atom(tenon_call_arg(call, 1), "true");

    (void)user;
    tenon_reply(
        call, "~a",
        tenon_err_name(tenon_router_ensure_local_logging(router, ensure)));
    free(module);
}

/* ---- messages ---------------------------------------------------------- */

/* An operation: {name, arguments...}. arg: the null views where there is
 * none. */
typedef enum tenon_err (*change_fn)(tenon_message *message,
                                    const tenon_term arg[2]);

static enum tenon_err to_service(tenon_message *message,
                                 const tenon_term arg[2])
{
    tenon_atom service;
    enum tenon_err rc = tenon_term_atom(arg[0], &service);

    return rc < 0 ? rc : tenon_message_to_service(message, service.text);
}

static enum tenon_err assign(tenon_message *message, const tenon_term arg[2])
{
    tenon_atom key;
    enum tenon_err rc = tenon_term_atom(arg[0], &key);

    return rc < 0 ? rc : tenon_message_assign(message, key.text, arg[1]);
}

static enum tenon_err put_in_raw_request(tenon_message *message,
                                         const tenon_term arg[2])
{
    return tenon_message_put_in_raw_request(message, arg[0], arg[1]);
}

static enum tenon_err put_request(tenon_message *message,
                                  const tenon_term arg[2])
{
    return tenon_message_put_request(message, arg[0]);
}

static enum tenon_err add_event(tenon_message *message, const tenon_term arg[2])
{
    return tenon_message_add_event(message, arg[0]);
}

static enum tenon_err prepare_aggregate_id(tenon_message *message,
                                           const tenon_term arg[2])
{
    return tenon_message_prepare_aggregate_id(message, arg[0],
                                              arg[1].bytes != NULL);
}

static enum tenon_err return_response(tenon_message *message,
                                      const tenon_term arg[2])
{
    return tenon_message_return(message, "~t", arg[0]);
}

static enum tenon_err ok(tenon_message *message, const tenon_term arg[2])
{
    return arg[0].bytes == NULL ? tenon_message_ok(message, NULL)
                                : tenon_message_ok(message, "~t", arg[0]);
}

static enum tenon_err created(tenon_message *message, const tenon_term arg[2])
{
    return tenon_message_created(message, "~t", arg[0]);
}

static enum tenon_err error(tenon_message *message, const tenon_term arg[2])
{
    return tenon_message_error(message, "~t", arg[0]);
}

static const struct {
    const char *name;
    change_fn fn;
} changes[] = {
    { "to_service", to_service },
    { "assign", assign },
    { "put_in_raw_request", put_in_raw_request },
    { "put_request", put_request },
    { "add_event", add_event },
    { "prepare_aggregate_id", prepare_aggregate_id },
    { "return", return_response },
    { "ok", ok },
    { "created", created },
    { "error", error },
};

static enum tenon_err change(tenon_message *message, tenon_term operation)
{
    tenon_term name, arg[2] = { { 0 }, { 0 } };
    enum tenon_err rc = tenon_tuple_get(operation, 0, &name);

    for (size_t i = 1; rc == TENON_OK && i < tenon_term_count(operation); i++) {
        rc = i > 2 ? TENON_E_INVAL : tenon_tuple_get(operation, i, &arg[i - 1]);
    }
    for (size_t i = 0; rc == TENON_OK && i < sizeof changes / sizeof *changes;
         i++) {
        if (tenon_term_is_atom(name, changes[i].name)) {
            return changes[i].fn(message, arg);
        }
    }
    return TENON_E_INVAL;
}

/* change(message, operations): the message after them, one by one. */
static void probe_change(tenon_call *call, void *user)
{
    tenon_message *message = tenon_message_from_term(
        tenon_call_node(call), tenon_call_arg(call, 0), NULL);
    enum tenon_err rc = message == NULL ? TENON_E_INVAL : TENON_OK;
    tenon_cursor at;
    tenon_term operation;

    (void)user;
    tenon_cursor_init(&at, tenon_call_arg(call, 1));
    while (rc == TENON_OK && tenon_cursor_next(&at, &operation)) {
        rc = change(message, operation);
    }
    if (rc == TENON_OK) {
        tenon_reply_term(call, tenon_message_term(message));
    } else {
        tenon_raise(call, "~a", tenon_err_name(rc));
    }
    tenon_message_free(message);
}

/* The term under an atom; the null view when there is none. */
static tenon_term given(tenon_term options, const char *key)
{
    tenon_term value;

    return tenon_map_get_atom(options, key, &value) == TENON_OK
               ? value
               : (tenon_term){ 0 };
}

static enum tenon_dry_run dry_run_of(tenon_term term)
{
    return tenon_term_is_atom(term, "true")      ? TENON_DRY_RUN_YES
           : tenon_term_is_atom(term, "verbose") ? TENON_DRY_RUN_VERBOSE
                                                 : TENON_DRY_RUN_NO;
}

/* new(service, options): options as a map. */
static void probe_new(tenon_call *call, void *user)
{
    tenon_term options = tenon_call_arg(call, 1);
    char *id = text_of(given(options, "id"));
    char *correlation_id = text_of(given(options, "correlation_id"));
    char *causation_id = text_of(given(options, "causation_id"));
    tenon_atom service = { .text = "" };
    tenon_pid reply_to;
    bool has_reply_to =
        tenon_term_pid(given(options, "reply_to"), &reply_to) == TENON_OK;
    tenon_message *message = NULL;

    (void)user;
    if (tenon_term_atom(tenon_call_arg(call, 0), &service) == TENON_OK) {
        message = tenon_message_new(
            tenon_call_node(call), service.text,
            &(tenon_message_options){
                .raw_request = given(options, "raw_request"),
                .logger_metadata = given(options, "logger_metadata"),
                .id = id,
                .correlation_id = correlation_id,
                .causation_id = causation_id,
                .dry_run = dry_run_of(given(options, "dry_run")),
                .reply_to = has_reply_to ? &reply_to : NULL,
            });
    }
    if (message != NULL) {
        tenon_reply_term(call, tenon_message_term(message));
    } else {
        tenon_raise(call, ":badarg");
    }
    tenon_message_free(message);
    free(causation_id);
    free(correlation_id);
    free(id);
}

/* new_caused_by(service, parent, raw_request) */
static void probe_new_caused_by(tenon_call *call, void *user)
{
    tenon_node *node = tenon_call_node(call);
    tenon_message *message = NULL, *parent = tenon_message_from_term(
                                       node, tenon_call_arg(call, 1), NULL);
    tenon_atom service = { .text = "" };

    (void)user;
    if (tenon_term_atom(tenon_call_arg(call, 0), &service) == TENON_OK) {
        message = tenon_message_new_caused_by(node, service.text, parent,
                                              tenon_call_arg(call, 2));
    }
    if (message != NULL) {
        tenon_reply_term(call, tenon_message_term(message));
    } else {
        tenon_raise(call, ":badarg");
    }
    tenon_message_free(message);
    tenon_message_free(parent);
}

/* ---- many dispatches ----------------------------------------------------- */

/* One of the callers of repeat. */
struct caller {
    pthread_t thread;
    tenon_node *node;
    const tenon_message *message;
    uint64_t count;
    uint64_t answered; /* with {:ok, _} */
};

static void *dispatch_often(void *user)
{
    struct caller *caller = user;
    tenon_term value;

    for (uint64_t i = 0; i < caller->count; i++) {
        tenon_message *reply = NULL;

        if (tenon_dispatch(caller->node, caller->message, 0, &reply, NULL) ==
            TENON_OK) {
            caller->answered += tenon_match(
                tenon_message_get(reply, "response"), "{:ok, ~t}", &value);
        }
        tenon_message_free(reply);
    }
    return NULL;
}

/* repeat(message, callers, count): so many threads dispatch so often each.
 * Returns how many were answered {:ok, _}. */
static void probe_repeat(tenon_call *call, void *user)
{
    struct caller callers[64];
    uint64_t wanted = 0, started = 0, count = 0, answered = 0;
    tenon_message *message = tenon_message_from_term(
        tenon_call_node(call), tenon_call_arg(call, 0), NULL);

    (void)user;
    if (message == NULL ||
        tenon_term_uint64(tenon_call_arg(call, 1), &wanted) != TENON_OK ||
        tenon_term_uint64(tenon_call_arg(call, 2), &count) != TENON_OK ||
        wanted > sizeof callers / sizeof callers[0]) {
        tenon_message_free(message);
        tenon_raise(call, ":badarg");
        return;
    }
    while (started < wanted) {
        struct caller *caller = &callers[started];

        *caller = (struct caller){ .node = tenon_call_node(call),
                                   .message = message,
                                   .count = count };
        if (pthread_create(&caller->thread, NULL, dispatch_often, caller) !=
            0) {
            break;
        }
        started++;
    }
    while (started > 0) {
        started--;
        pthread_join(callers[started].thread, NULL);
        answered += callers[started].answered;
    }
    tenon_message_free(message);
    tenon_reply(call, "~u", answered);
}

/* ---- the library ------------------------------------------------------- */

static const struct handler functions[] = {
    { "register", 2, probe_register },
    { "providers", 1, probe_providers },
    { "dispatch", 2, probe_dispatch },
    { "dispatch_async", 2, probe_dispatch_async },
    { "validate", 2, probe_validate },
    { "authorized", 2, probe_authorized },
    { "change", 2, probe_change },
    { "new", 2, probe_new },
    { "new_caused_by", 3, probe_new_caused_by },
    { "watch", 1, probe_watch },
    { "unwatch", 0, probe_unwatch },
    { "ensure_local_logging", 2, probe_ensure_local_logging },
    { "repeat", 3, probe_repeat },
};

static enum tenon_err load(tenon_node *node, void **state, tenon_error *err)
{
    (void)state;
    (void)err;
    return add_handlers(node, MODULE, functions,
                        sizeof functions / sizeof *functions);
}

static void unload(void *state)
{
    (void)state;
    while (routers.first != NULL) {
        struct made *made = routers.first;

        routers.first = made->next;
        free(made);
    }
}

TENON_HANDLERS = { TENON_HANDLERS_ABI, "probe", load, unload };
