/* SPDX-License-Identifier: Apache-2.0 */
/* Serving one service call: a tenon_call of the service's own inside the call
 * of the function that a peer runs. */
#include "x3m/serve.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/atoms.h"
#include "node/call.h"
#include "node/node.h"
#include "term/build.h"
#include "x3m/forward.h"
#include "x3m/message.h"
#include "x3m/router.h"

/* The `extra` of a service's call; the message's bytes are those of the call's
 * `tag`, which a kept call has copied. */
struct service_call {
    tenon_message message;
    struct tn_service *service;
    uint64_t start_ns; /* of the handler */
    /* The service's, because a kept call may be released when that is gone. */
    tenon_settle_fn on_rollback;
    void *user;
    /* The call as it was given to the handler, and the function's call around
     * it. Both are on the stack of the serving thread: to be used by that very
     * call alone, not by one that was kept. */
    const tenon_call *on_stack;
    tenon_call *around;
    bool has_response; /* the reply is the message as the handler made it */
};

static enum tenon_err return_atom(tenon_call *call, const char *atom)
{
    tenon_builder builder;
    tenon_term term;

    tn_builder_init(&builder, 64);
    tenon_build_atom(&builder, atom);
    enum tenon_err rc = tenon_builder_term(&builder, &term);

    if (rc == TENON_OK) {
        rc = tn_call_answer(call, TN_OUT_RETURN, term);
    }
    tn_builder_fini(&builder);
    return rc;
}

/* ---- replying --------------------------------------------------------- */

enum tenon_err tn_serve_send(const tenon_message *message, tenon_term from)
{
    tenon_builder builder;
    tenon_term term;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tn_message_build(message, &builder);
    enum tenon_err rc = tenon_builder_term(&builder, &term);

    if (rc == TENON_OK) {
        rc = tn_send_answer(message->node, from,
                            tn_message_field(message, TN_FIELD_REPLY_TO), term);
    }
    tn_builder_fini(&builder);
    return rc;
}

static enum tenon_err send_message(const tenon_call *call,
                                   const tenon_message *message)
{
    return tn_serve_send(message, tn_process_pid(call->self));
}

static void log_failure(const tenon_call *call,
                        const struct tn_service *service,
                        const char *what,
                        enum tenon_err rc)
{
    tn_log(&call->node->log, TN_WARN, "x3m_service", "router",
           service->router->module, "service", service->name, "failed", what,
           "error", rc < 0 ? tenon_err_text(rc) : NULL, NULL);
}

/* Tells a handler with effects how its call has ended; once for each. */
static void settle(struct service_call *served, bool commits)
{
    tenon_settle_fn fn =
        commits ? served->service->on_commit : served->on_rollback;

    if (fn != NULL) {
        fn(&served->message, served->user);
    }
}

/* :ok, {:ok, ...} or {:created, ...} */
static bool is_success(tenon_term response)
{
    tenon_term tag = response;

    if (tenon_term_type(response) == TENON_TYPE_TUPLE &&
        tenon_tuple_get(response, 0, &tag) < 0) {
        return false;
    }
    return tenon_term_is_atom(tag, "ok") || tenon_term_is_atom(tag, "created");
}

static bool commits(const tenon_message *message)
{
    return tenon_term_is_atom(tn_message_field(message, TN_FIELD_DRY_RUN),
                              "false") &&
           is_success(tn_message_field(message, TN_FIELD_RESPONSE));
}

static enum tenon_err
reply(tenon_call *call, struct service_call *served, tenon_term response)
{
    tenon_message *message = &served->message;
    enum tenon_err rc =
        served->has_response ? TENON_OK : tn_message_respond(message, response);

    settle(served, rc == TENON_OK && commits(message));
    if (rc < 0) {
        return rc;
    }
    tn_message_set_const(message, TN_FIELD_REQUEST, tn_const_nil());
    if (!tenon_term_is_atom(tn_message_field(message, TN_FIELD_DRY_RUN),
                            "verbose")) {
        tn_message_set_const(message, TN_FIELD_EVENTS, tn_const_empty_list());
    }
    return send_message(call, message);
}

/* ---- the service's call ----------------------------------------------- */

static const struct tn_call_ops service_ops;

static struct service_call *served_by(tenon_call *call)
{
    if (call == NULL || call->ops != &service_ops || call->extra == NULL) {
        return NULL;
    }
    struct service_call *served = call->extra;

    tn_message_rebase(&served->message, call->tag);
    return served;
}

/* A kept call has returned ok long ago: nobody can be told any more, and the
 * caller's timeout runs, as when a BEAM process dies that was to reply. */
static enum tenon_err fail(tenon_call *call,
                           const struct service_call *served,
                           enum tn_outcome outcome,
                           tenon_term reason)
{
    if (call == served->on_stack) {
        return tn_call_answer(served->around, outcome, reason);
    }
    log_failure(call, served->service, "after it was kept", TENON_OK);
    return TENON_OK;
}

static void
count_reply(tenon_call *call, struct service_call *served, enum tenon_err rc)
{
    struct tn_service *service = served->service;

    if (rc < 0) {
        log_failure(call, service, "reply", rc);
        tn_count(&service->metrics.failed);
        return;
    }
    tn_histogram_add(&service->metrics.latency, tn_now_ns() - served->start_ns);
    if (call == served->on_stack) {
        tn_telemetry_finished(service->router->x3m, served->start_ns,
                              &served->message);
    }
}

static enum tenon_err
answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    struct service_call *served = served_by(call);

    if (outcome != TN_OUT_RETURN) {
        settle(served, false);
        tn_count(&served->service->metrics.failed);
        return fail(call, served, outcome, value);
    }
    enum tenon_err rc = reply(call, served, value);

    count_reply(call, served, rc);
    if (call == served->on_stack) {
        return_atom(served->around, "ok");
    }
    return rc;
}

static void unanswered(tenon_call *call)
{
    settle(served_by(call), false);
}

static void free_served(void *extra)
{
    struct service_call *served = extra;

    tn_message_fini(&served->message);
    free(served);
}

static const struct tn_call_ops service_ops = {
    .answer = answer,
    .unanswered = unanswered,
    .free_extra = free_served,
};

const struct tn_service *tn_serve_service_of(tenon_call *call)
{
    const struct service_call *served = served_by(call);

    return served == NULL ? NULL : served->service;
}

tenon_message *tenon_call_message(tenon_call *call)
{
    struct service_call *served = served_by(call);

    return served == NULL ? NULL : &served->message;
}

enum tenon_err tenon_reply_created(tenon_call *call, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    enum tenon_err rc =
        tn_call_answer_va(call, TN_OUT_RETURN, "created", pattern, args);

    va_end(args);
    return rc;
}

enum tenon_err tenon_reply_message(tenon_call *call)
{
    struct service_call *served = served_by(call);

    if (served == NULL) {
        return TENON_E_INVAL;
    }
    served->has_response = true;
    return tn_call_answer(
        call, TN_OUT_RETURN,
        tn_message_field(&served->message, TN_FIELD_RESPONSE));
}

/* Runs the handler. served: taken. */
static void run_handler(tenon_call *around, struct service_call *served)
{
    const struct tn_service *service = served->service;
    tenon_call call;

    tn_call_init(&call, &service_ops, around->self);
    call.request = tn_message_field(&served->message, TN_FIELD_RAW_REQUEST);
    call.from = tn_message_field(&served->message, TN_FIELD_REPLY_TO);
    call.group_leader = around->group_leader;
    call.origin = around->origin;
    call.account = around->account;
    call.tag = served->message.base;
    call.extra = served;
    served->on_stack = &call;
    served->around = around;
    served->on_rollback = service->on_rollback;
    served->user = service->user;
    served->start_ns = tn_now_ns();
    tn_telemetry_executing(service->router->x3m, served->start_ns,
                           &served->message);
    service->fn(&call, service->user);
    tn_call_finish(&call);
    /* Refused when the handler has answered. */
    return_atom(around, "ok");
}

/* ---- arguments -------------------------------------------------------- */

/* What a router's function without a fitting clause gives. */
static void no_clause(tenon_call *call, const char *why)
{
    tn_log(&call->node->log, TN_WARN, "x3m_bad_call", "why", why, NULL);
    tenon_raise(call, ":function_clause");
}

/* Takes the message out of an argument; NULL: the call has failed, as a
 * router's function would. */
static struct service_call *take_message(tenon_call *call, tenon_term argument)
{
    tenon_error err;
    struct service_call *served = calloc(1, sizeof *served);

    if (served == NULL) {
        tenon_raise(call, ":system_limit");
        return NULL;
    }
    if (tn_message_init(&served->message, call->node, argument, &err) < 0) {
        free(served);
        no_clause(call, err.text);
        return NULL;
    }
    if (!tn_may_answer(call->node, call->origin,
                       tn_message_field(&served->message, TN_FIELD_REPLY_TO),
                       true)) {
        free_served(served);
        tenon_raise(call, ":not_allowed");
        return NULL;
    }
    return served;
}

/* By the rules of the node, which come before the router's own. */
static bool is_allowed(const tenon_call *call, const struct tn_service *service)
{
    return tn_may_serve(call->node, call->origin, service->router->module,
                        service->name);
}

/* ---- authorizing ------------------------------------------------------ */

/* Appends the router's verdict to `verdict`: nothing, or one term. */
static void
ask(tenon_router *router, const tenon_message *message, tenon_builder *verdict)
{
    tn_x3m_lock(router->x3m);
    tenon_authorize_fn authorize = router->authorize;
    void *user = router->authorize_user;

    tn_x3m_unlock(router->x3m);
    if (authorize != NULL) {
        authorize(message, verdict, user);
    }
}

enum verdict { ALLOWED, REFUSED, BROKEN };

/* refusal: set when REFUSED; borrowed from the builder. */
static enum verdict read_verdict(const tenon_builder *built,
                                 tenon_term *refusal)
{
    const uint8_t *bytes;
    size_t len;

    if (tn_builder_bytes(built, &bytes, &len) == TENON_OK && len == 0) {
        return ALLOWED;
    }
    if (tenon_builder_term(built, refusal) < 0) {
        return BROKEN;
    }
    return tenon_term_is_atom(*refusal, "ok") ? ALLOWED : REFUSED;
}

/* request and events go back as they are. */
static void
refuse(tenon_call *call, struct service_call *served, tenon_term refusal)
{
    tenon_builder builder;
    tenon_term response;

    tn_count(&served->service->metrics.refused);
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&builder, 2);
    tenon_build_atom(&builder, "error");
    tenon_build_term(&builder, refusal);
    enum tenon_err rc = tenon_builder_term(&builder, &response);

    if (rc == TENON_OK) {
        rc = tn_message_respond(&served->message, response);
    }
    if (rc == TENON_OK) {
        rc = send_message(call, &served->message);
    }
    if (rc < 0) {
        log_failure(call, served->service, "refusal", rc);
    }
    tn_builder_fini(&builder);
    return_atom(call, "ok");
}

/* An allowed call goes where the router sends it. served: taken. */
static void place(tenon_call *call, struct service_call *served)
{
    tenon_atom node;

    switch (tn_choose_node(served->service, &served->message, &node)) {
    case TN_PLACE_HERE:
        run_handler(call, served);
        return;
    case TN_PLACE_THERE:
        tn_count(&served->service->metrics.forwarded);
        tn_forward(served->service, &served->message, node.text, call->account);
        return_atom(call, "ok");
        break;
    case TN_PLACE_NONE:
        log_failure(call, served->service, "choose_node", TENON_OK);
        tn_count(&served->service->metrics.failed);
        tenon_raise(call, ":badarg");
        break;
    }
    free_served(served);
}

/* As a router without an authorize clause for the message does. served:
 * taken. */
static void forbid(tenon_call *call, struct service_call *served)
{
    refuse(call, served, tn_atom_forbidden);
    free_served(served);
}

static void decide(tenon_call *call, struct service_call *served)
{
    tenon_builder builder;
    tenon_term refusal;

    if (!is_allowed(call, served->service)) {
        forbid(call, served);
        return;
    }
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    ask(served->service->router, &served->message, &builder);
    switch (read_verdict(&builder, &refusal)) {
    case ALLOWED:
        place(call, served);
        break;
    case REFUSED:
        refuse(call, served, refusal);
        free_served(served);
        break;
    case BROKEN:
        /* Nobody has said yes. */
        log_failure(call, served->service, "authorize",
                    tenon_builder_error(&builder));
        tn_count(&served->service->metrics.failed);
        tenon_raise(call, ":badarg");
        free_served(served);
        break;
    }
    tn_builder_fini(&builder);
}

/* ---- the functions ---------------------------------------------------- */

void tn_serve_service(tenon_call *call, void *user)
{
    struct tn_service *service = user;
    struct service_call *served = take_message(call, tenon_call_arg(call, 0));

    if (served == NULL) {
        return;
    }
    served->service = service;
    if (!tenon_term_is_atom(
            tn_message_field(&served->message, TN_FIELD_SERVICE_NAME),
            service->name)) {
        free_served(served);
        no_clause(call, "message is for another service");
        return;
    }
    tn_count(&service->metrics.calls);
    tn_telemetry_received(service->router->x3m, service, &served->message);
    decide(call, served);
}

static bool is_forbidden(const tenon_call *call,
                         const tenon_router *router,
                         const tenon_message *message)
{
    tenon_atom name;

    return tenon_term_atom(tn_message_field(message, TN_FIELD_SERVICE_NAME),
                           &name) == TENON_OK &&
           !tn_may_serve(call->node, call->origin, router->module, name.text);
}

void tn_serve_authorized(tenon_call *call, void *user)
{
    tenon_router *router = user;
    struct service_call *served = take_message(call, tenon_call_arg(call, 0));
    tenon_builder builder;
    tenon_term refusal;

    if (served == NULL) {
        return;
    }
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    if (is_forbidden(call, router, &served->message)) {
        tenon_build_atom(&builder, "forbidden");
    } else {
        ask(router, &served->message, &builder);
    }
    switch (read_verdict(&builder, &refusal)) {
    case ALLOWED:
        return_atom(call, "true");
        break;
    case REFUSED:
        return_atom(call, "false");
        break;
    case BROKEN:
        tenon_raise(call, ":badarg");
        break;
    }
    tn_builder_fini(&builder);
    free_served(served);
}

/* all: when no argument says which. False: it is none of the three. */
static bool read_visibility(tenon_term argument, enum tenon_visibility *which)
{
    static const char *const words[] = {
        [TENON_SERVICES_ALL] = "all",
        [TENON_SERVICES_PUBLIC] = "public",
        [TENON_SERVICES_PRIVATE] = "private",
    };
    unsigned word = 0;

    while (argument.bytes != NULL && word < sizeof words / sizeof *words &&
           !tenon_term_is_atom(argument, words[word])) {
        word++;
    }
    *which = (enum tenon_visibility)word;
    return word < sizeof words / sizeof *words;
}

void tn_serve_registered(tenon_call *call, void *user)
{
    enum tenon_visibility which;
    tenon_builder builder;
    tenon_term services;

    if (!read_visibility(tenon_call_arg(call, 0), &which)) {
        no_clause(call, "registered_services: expected public, private or all");
        return;
    }
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tenon_registered_services(user, which, &builder);
    if (tenon_builder_term(&builder, &services) == TENON_OK) {
        tenon_reply_term(call, services);
    } else {
        tenon_raise(call, ":system_limit");
    }
    tn_builder_fini(&builder);
}

/* The service whose function `_invoke` names. */
static struct tn_service *
find_invoked(struct tn_x3m *x3m, const tenon_call *call, const char *function)
{
    tenon_atom module = { .text = "" }, service = { .text = "" };
    tenon_term name;

    /* What is no message is refused later. */
    if (tenon_term_atom(call->module, &module) < 0 ||
        tenon_map_get_atom(tenon_call_arg(call, 3), "service_name", &name) <
            0 ||
        tenon_term_atom(name, &service) < 0) {
        service.text[0] = '\0';
    }
    return tn_router_find_forwarded(x3m, module.text, function, service.text);
}

/* The service that `_invoke` is for; NULL: the call has failed. */
static struct tn_service *invoked_service(struct tn_x3m *x3m, tenon_call *call)
{
    tenon_atom function;

    if (!tenon_term_is_atom(tenon_call_arg(call, 0), "local") ||
        tenon_term_type(tenon_call_arg(call, 1)) != TENON_TYPE_ATOM ||
        tenon_term_atom(tenon_call_arg(call, 2), &function) < 0) {
        no_clause(call, "_invoke: expected local, handler, function, message");
        return NULL;
    }
    struct tn_service *service = find_invoked(x3m, call, function.text);

    if (service == NULL) {
        tn_log(&x3m->node->log, TN_WARN, "x3m_bad_call", "why",
               "forwarded to a function that no router here has", "function",
               function.text, NULL);
        tenon_raise(call, ":undef");
    }
    return service;
}

void tn_serve_invoke(tenon_call *call, void *user)
{
    struct tn_service *service = invoked_service(user, call);

    if (service == NULL) {
        return;
    }
    struct service_call *served = take_message(call, tenon_call_arg(call, 3));

    if (served == NULL) {
        return;
    }
    served->service = service;
    tn_count(&service->metrics.calls);
    if (is_allowed(call, service)) {
        run_handler(call, served);
    } else {
        forbid(call, served);
    }
}
