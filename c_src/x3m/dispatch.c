/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatching a message: who offers the service, one provider after the other
 * as long as they ask for another node, and the response that tells how it
 * went. A single try is in attempt.c. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/x3m.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/node.h"
#include "node/request.h"
#include "node/worker.h"
#include "term/build.h"
#include "term/scan.h"
#include "x3m/attempt.h"
#include "x3m/message.h"
#include "x3m/message_new.h"
#include "x3m/providers.h"
#include "x3m/telemetry.h"
#include "x3m/x3m.h"

/* As the library. */
#define DISPATCH_TIMEOUT_MS 5000u

/* One dispatch. Owned by whoever is at work for it: the starter, then the
 * attempt under way, then the callback or the waiter. */
struct dispatch {
    struct tn_job job; /* first: found again by its address */
    struct tn_x3m *x3m;
    tenon_message *message; /* as it is sent to the next provider */
    uint32_t timeout_ms;
    bool answered; /* came halted: nobody is called */
    struct tn_providers providers;
    size_t next;           /* node to try after the one under way */
    tenon_value *refusals; /* [{node, reason}], latest first; NULL: none */
    /* what is counted and told of it */
    struct tn_dispatch_metrics *metrics; /* of the service; NULL: none */
    enum tn_dispatched ended;
    uint64_t start_ns;
    uint64_t invoked_ns; /* the try under way; 0: nobody was asked */
    /* the end */
    tenon_dispatch_fn fn; /* NULL: a thread waits */
    void *user;
    struct tn_wait *wait;
    enum tenon_err code;
    tenon_message *reply;
};

static void free_dispatch(struct dispatch *dispatch)
{
    tn_providers_fini(&dispatch->providers);
    tenon_value_free(dispatch->refusals);
    tenon_message_free(dispatch->message);
    tenon_message_free(dispatch->reply);
    free(dispatch);
}

/* ---- the end ---------------------------------------------------------- */

static void run_callback(struct tn_job *job)
{
    struct dispatch *dispatch = (struct dispatch *)job;
    tenon_message *reply = dispatch->reply;

    dispatch->reply = NULL;
    dispatch->fn(dispatch->user, dispatch->code, reply);
    free_dispatch(dispatch);
}

/* reply: taken; NULL with an error. */
static void
end(struct dispatch *dispatch, enum tenon_err code, tenon_message *reply)
{
    dispatch->code = code;
    dispatch->reply = reply;
    if (dispatch->fn != NULL) {
        dispatch->job.fn = run_callback;
        tn_node_push_job(dispatch->x3m->node, &dispatch->job);
    } else {
        tn_wait_end(dispatch->wait, TN_END_REPLY, NULL);
    }
}

/* The caller is whom the reply came to. reply: taken; NULL with an error. */
static void
finish(struct dispatch *dispatch, enum tenon_err code, tenon_message *reply)
{
    const tenon_process *caller = dispatch->x3m->node->client;

    if (reply != NULL &&
        tn_message_set(reply, TN_FIELD_REPLY_TO, tn_process_pid(caller)) < 0) {
        tenon_message_free(reply);
        reply = NULL;
        code = TENON_E_NOMEM;
    }
    tn_dispatch_metrics_end(dispatch->metrics,
                            code < 0 ? TN_DISPATCHED_FAILED : dispatch->ended,
                            dispatch->start_ns);
    end(dispatch, code, reply);
}

/* A halted message has its response already: it goes back as it is. */
static void finish_untouched(struct dispatch *dispatch)
{
    tenon_message *message = dispatch->message;

    dispatch->message = NULL;
    end(dispatch, TENON_OK, message);
}

/* Who has been asked last. */
static const char *asked_node(const struct dispatch *dispatch)
{
    return dispatch->providers.local != NULL
               ? "local"
               : dispatch->providers.nodes[dispatch->next - 1].node;
}

/* A try of a provider has ended with this result. */
static void tell_responded(struct dispatch *dispatch,
                           const tenon_message *result)
{
    tn_telemetry_caller(dispatch->x3m, TN_EVENT_SERVICE_RESPONDED,
                        TN_MEASURED_END, dispatch->invoked_ns, result,
                        asked_node(dispatch));
}

/* Ends with a response made here, on the message as it was sent. response:
 * holds the term; ended here. */
static void finish_with(struct dispatch *dispatch, tenon_builder *response)
{
    tenon_message *reply = dispatch->message;
    tenon_term term;
    enum tenon_err rc = tenon_builder_term(response, &term);

    dispatch->message = NULL;
    if (rc == TENON_OK) {
        rc = tn_message_respond(reply, term);
    }
    tn_builder_fini(response);
    if (rc < 0) {
        tenon_message_free(reply);
        finish(dispatch, rc, NULL);
        return;
    }
    if (dispatch->invoked_ns != 0) {
        tell_responded(dispatch, reply);
    }
    finish(dispatch, TENON_OK, reply);
}

static void finish_unavailable(struct dispatch *dispatch)
{
    tenon_builder response;

    dispatch->ended = TN_DISPATCHED_UNAVAILABLE;
    tn_telemetry_caller(dispatch->x3m, TN_EVENT_SERVICE_NOT_FOUND,
                        TN_MEASURED_END, dispatch->start_ns, dispatch->message,
                        NULL);

    tn_builder_init(&response, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&response, 2);
    tenon_build_atom(&response, "service_unavailable");
    tenon_build_term(
        &response, tn_message_field(dispatch->message, TN_FIELD_SERVICE_NAME));
    finish_with(dispatch, &response);
}

static void finish_timeout(struct dispatch *dispatch)
{
    tenon_builder response;

    dispatch->ended = TN_DISPATCHED_TIMEOUT;

    tn_builder_init(&response, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&response, 4);
    tenon_build_atom(&response, "service_timeout");
    tenon_build_term(
        &response, tn_message_field(dispatch->message, TN_FIELD_SERVICE_NAME));
    tenon_build_term(&response,
                     tn_message_field(dispatch->message, TN_FIELD_ID));
    tenon_build_uint(&response, dispatch->timeout_ms);
    finish_with(dispatch, &response);
}

/* {error, {badrpc, Reason}} */
static void finish_badrpc(struct dispatch *dispatch, tenon_term reason)
{
    tenon_builder response;

    dispatch->ended = TN_DISPATCHED_FAILED;

    tn_builder_init(&response, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&response, 2);
    tenon_build_atom(&response, "error");
    tenon_build_tuple(&response, 2);
    tenon_build_atom(&response, "badrpc");
    tenon_build_term(&response, reason);
    finish_with(dispatch, &response);
}

/* A later provider could not even be called: as a BEAM that refuses a spawn. */
static void finish_limit(struct dispatch *dispatch)
{
    tenon_value *reason = tenon_value_format("{:EXIT, :system_limit}");

    if (reason == NULL) {
        finish(dispatch, TENON_E_NOMEM, NULL);
        return;
    }
    finish_badrpc(dispatch, tenon_value_term(reason));
    tenon_value_free(reason);
}

/* ---- one provider after the other ------------------------------------- */

static enum tenon_err try_next(struct dispatch *dispatch, tenon_error *err);

/* Puts {node, reason} in front of the refusals. */
static enum tenon_err add_refusal(struct dispatch *dispatch, tenon_term reason)
{
    tenon_term old = tenon_value_term(dispatch->refusals);
    tenon_builder list;
    tenon_term element;
    tenon_cursor at;
    tenon_value *refusals = NULL;

    tn_builder_init(&list, TENON_TERM_MAX_BYTES);
    tenon_build_list(&list, 1 + tenon_term_count(old));
    tenon_build_tuple(&list, 2);
    tenon_build_atom(&list, asked_node(dispatch));
    /* In {error, {no_nodes_available, list}} of a message. */
    if (!tn_fits_below(reason, 5)) {
        tn_builder_fail(&list, TENON_E_TERM_DEEP);
    }
    tenon_build_term(&list, reason);
    tenon_cursor_init(&at, old);
    while (tenon_cursor_next(&at, &element)) {
        tenon_build_term(&list, element);
    }
    tenon_build_nil(&list);
    enum tenon_err rc = tenon_builder_term(&list, &element);

    if (rc == TENON_OK) {
        refusals = tenon_value_new(element);
        rc = refusals == NULL ? TENON_E_NOMEM : TENON_OK;
    }
    tn_builder_fini(&list);
    if (rc < 0) {
        return rc;
    }
    tenon_value_free(dispatch->refusals);
    dispatch->refusals = refusals;
    return TENON_OK;
}

/* True for {error, {try_another_node, Reason}}. */
static bool asks_for_another(const tenon_message *reply, tenon_term *reason)
{
    return tenon_match(tn_message_field(reply, TN_FIELD_RESPONSE),
                       "{:error, {:try_another_node, ~t}}", reason);
}

/* All have refused. Only the response is another: the reply is halted. */
static void finish_refused(struct dispatch *dispatch, tenon_message *reply)
{
    tenon_value *response =
        tenon_value_format("{:error, {:no_nodes_available, ~t}}",
                           tenon_value_term(dispatch->refusals));
    enum tenon_err rc = response == NULL
                            ? TENON_E_NOMEM
                            : tn_message_set(reply, TN_FIELD_RESPONSE,
                                             tenon_value_term(response));

    dispatch->ended = TN_DISPATCHED_REFUSED;
    tenon_value_free(response);
    if (rc < 0) {
        tenon_message_free(reply);
        finish(dispatch, TENON_E_NOMEM, NULL);
    } else {
        finish(dispatch, TENON_OK, reply);
    }
}

/* One that has gone since it replied may have been. */
static bool was_limited_asked(const struct dispatch *dispatch)
{
    return dispatch->providers.local == NULL &&
           !tn_peer_is_unlimited(dispatch->x3m->node, asked_node(dispatch));
}

/* The next one gets the reply as a new message: an aggregate-backed provider
 * takes a halted one as done. What a limited peer has made of the message is
 * not sent on in this node's name. reply: taken. */
static void move_on(struct dispatch *dispatch, tenon_message *reply)
{
    if (was_limited_asked(dispatch)) {
        tenon_message_free(reply);
    } else {
        tn_message_set_const(reply, TN_FIELD_HALTED, tn_const_bool(false));
        tn_message_set_const(reply, TN_FIELD_RESPONSE, tn_const_nil());
        tenon_message_free(dispatch->message);
        dispatch->message = reply;
    }
    enum tenon_err rc = try_next(dispatch, NULL);

    if (rc == TENON_E_STOPPED || rc == TENON_E_NOMEM ||
        rc == TENON_E_TERM_DEEP) {
        finish(dispatch, rc, NULL);
    } else if (rc < 0) {
        finish_limit(dispatch);
    }
}

/* reply: taken. */
static void on_reply(struct dispatch *dispatch, tenon_message *reply)
{
    tenon_term reason;

    tell_responded(dispatch, reply);
    if (!asks_for_another(reply, &reason)) {
        finish(dispatch, TENON_OK, reply);
        return;
    }
    enum tenon_err rc = add_refusal(dispatch, reason);

    if (rc < 0) {
        tenon_message_free(reply);
        finish(dispatch, rc, NULL);
    } else if (dispatch->next < dispatch->providers.count) {
        move_on(dispatch, reply);
    } else {
        finish_refused(dispatch, reply);
    }
}

static void on_attempt_end(void *user, const struct tn_attempt_end *end)
{
    struct dispatch *dispatch = user;

    switch (end->how) {
    case TN_ATTEMPT_REPLY:
        on_reply(dispatch, end->reply);
        break;
    case TN_ATTEMPT_BADRPC:
        finish_badrpc(dispatch, end->term);
        break;
    case TN_ATTEMPT_TIMEOUT:
        finish_timeout(dispatch);
        break;
    case TN_ATTEMPT_STOPPED:
        finish(dispatch, TENON_E_STOPPED, NULL);
        break;
    case TN_ATTEMPT_NOMEM:
    case TN_ATTEMPT_ANSWER: /* only to questions */
        finish(dispatch, TENON_E_NOMEM, NULL);
        break;
    }
}

static void tell_invoking(struct dispatch *dispatch)
{
    const char *node = asked_node(dispatch);

    dispatch->invoked_ns = tn_now_ns();
    tn_telemetry_caller(dispatch->x3m, TN_EVENT_SERVICE_FOUND, TN_MEASURED_END,
                        dispatch->start_ns, dispatch->message, node);
    tn_telemetry_caller(dispatch->x3m, TN_EVENT_INVOKING_SERVICE,
                        TN_MEASURED_START, dispatch->invoked_ns,
                        dispatch->message, node);
}

/* After success the dispatch may be gone. */
static enum tenon_err try_next(struct dispatch *dispatch, tenon_error *err)
{
    struct tn_attempt_spec spec = {
        .message = dispatch->message,
        .service = dispatch->providers.local,
        .timeout_ms = dispatch->timeout_ms,
        .fn = on_attempt_end,
        .user = dispatch,
    };

    if (spec.service == NULL) {
        const struct tn_provider *provider =
            &dispatch->providers.nodes[dispatch->next++];

        spec.node = provider->node;
        spec.module = provider->module;
    }
    tell_invoking(dispatch);
    return tn_attempt_start(dispatch->x3m, &spec, err);
}

/* ---- the start -------------------------------------------------------- */

/* What the caller wants. */
struct order {
    const tenon_message *message;
    uint32_t timeout_ms;
    bool validate; /* as a dry run */
};

/* As Dispatcher.dispatch/1, which is the one without a timeout. */
static bool is_answered(const struct order *order)
{
    return order->timeout_ms == 0 &&
           tenon_term_is_atom(tn_message_field(order->message, TN_FIELD_HALTED),
                              "true");
}

static void make_dry(tenon_message *message)
{
    if (tenon_term_is_atom(tn_message_field(message, TN_FIELD_DRY_RUN),
                           "false")) {
        tn_message_set_const(message, TN_FIELD_DRY_RUN, tn_const_bool(true));
    }
}

/* Gives the dispatch its message, and finds its providers. */
static enum tenon_err prepare(struct dispatch *dispatch,
                              const struct order *order)
{
    dispatch->message = tn_message_copy(order->message);
    if (dispatch->message == NULL) {
        return TENON_E_NOMEM;
    }
    if (order->validate) {
        make_dry(dispatch->message);
    }
    if (dispatch->answered) {
        return TENON_OK;
    }
    enum tenon_err rc = tn_message_set_invoked_at(dispatch->message);

    if (rc == TENON_OK) {
        tn_telemetry_caller(dispatch->x3m, TN_EVENT_DISCOVERING_SERVICE,
                            TN_MEASURED_START, dispatch->start_ns,
                            dispatch->message, NULL);
        dispatch->metrics = tn_dispatch_metrics_of(
            dispatch->x3m,
            tn_message_field(dispatch->message, TN_FIELD_SERVICE_NAME));
        rc = tn_providers_find(
            dispatch->x3m,
            tn_message_field(dispatch->message, TN_FIELD_SERVICE_NAME),
            &dispatch->providers);
    }
    return rc < 0 ? rc : tn_providers_shuffle(&dispatch->providers);
}

static struct dispatch *
new_dispatch(tenon_node *node, const struct order *order, tenon_error *err)
{
    const tenon_message *message = order->message;

    if (node == NULL || message == NULL) {
        tn_error(err, TENON_E_INVAL, "dispatch: no node, or no message");
        return NULL;
    }
    struct tn_x3m *x3m = tn_x3m_start(node, err);

    if (x3m == NULL) {
        return NULL;
    }
    struct dispatch *dispatch = calloc(1, sizeof *dispatch);

    if (dispatch == NULL) {
        tn_error(err, TENON_E_NOMEM, "dispatch: out of memory");
        return NULL;
    }
    dispatch->x3m = x3m;
    dispatch->start_ns = tn_now_ns();
    dispatch->timeout_ms =
        order->timeout_ms == 0 ? DISPATCH_TIMEOUT_MS : order->timeout_ms;
    dispatch->answered = is_answered(order);
    enum tenon_err rc = prepare(dispatch, order);

    if (rc < 0) {
        tn_error(err, rc, "dispatch: %s", tenon_err_text(rc));
        free_dispatch(dispatch);
        return NULL;
    }
    return dispatch;
}

/* On success the end tells; on failure the dispatch is still the caller's. */
static enum tenon_err start(struct dispatch *dispatch, tenon_error *err)
{
    if (dispatch->answered) {
        finish_untouched(dispatch);
        return TENON_OK;
    }
    if (tn_providers_none(&dispatch->providers)) {
        finish_unavailable(dispatch);
        return TENON_OK;
    }
    enum tenon_err rc = try_next(dispatch, err);

    if (rc < 0) {
        tn_dispatch_metrics_end(dispatch->metrics, TN_DISPATCHED_FAILED,
                                dispatch->start_ns);
    }
    return rc;
}

static enum tenon_err run(tenon_node *node,
                          const struct order *order,
                          tenon_message **reply,
                          tenon_error *err)
{
    tenon_error why = { .code = TENON_E_INVAL };
    struct tn_wait wait;

    if (reply == NULL || node == NULL) {
        return tn_error(err, TENON_E_INVAL, "dispatch: no node, or no reply");
    }
    enum tenon_err rc = tn_wait_init(&wait, node, err);

    if (rc < 0) {
        return rc;
    }
    struct dispatch *dispatch = new_dispatch(node, order, &why);

    if (dispatch == NULL) {
        rc = tn_error(err, why.code, "%s", why.text);
        goto end_wait;
    }
    dispatch->wait = &wait;
    rc = start(dispatch, err);
    if (rc == TENON_OK) {
        tn_wait_for(&wait);
        rc = dispatch->code;
        *reply = dispatch->reply;
        dispatch->reply = NULL;
        if (rc < 0) {
            tn_error(err, rc, "dispatch: %s", tenon_err_text(rc));
        }
    }
    free_dispatch(dispatch);

end_wait:
    tn_wait_fini(&wait);
    return rc;
}

static enum tenon_err run_async(tenon_node *node,
                                const struct order *order,
                                tenon_dispatch_fn fn,
                                void *user)
{
    tenon_error why = { .code = TENON_E_INVAL };

    if (fn == NULL) {
        return TENON_E_INVAL;
    }
    struct dispatch *dispatch = new_dispatch(node, order, &why);

    if (dispatch == NULL) {
        return why.code;
    }
    dispatch->fn = fn;
    dispatch->user = user;
    enum tenon_err rc = start(dispatch, NULL);

    if (rc < 0) {
        free_dispatch(dispatch);
    }
    return rc;
}

/* ---- the public face -------------------------------------------------- */

enum tenon_err tenon_dispatch(tenon_node *node,
                              const tenon_message *message,
                              uint32_t timeout_ms,
                              tenon_message **reply,
                              tenon_error *err)
{
    const struct order order = { message, timeout_ms, .validate = false };

    return run(node, &order, reply, err);
}

enum tenon_err tenon_dispatch_async(tenon_node *node,
                                    const tenon_message *message,
                                    uint32_t timeout_ms,
                                    tenon_dispatch_fn fn,
                                    void *user)
{
    const struct order order = { message, timeout_ms, .validate = false };

    return run_async(node, &order, fn, user);
}

enum tenon_err tenon_validate(tenon_node *node,
                              const tenon_message *message,
                              uint32_t timeout_ms,
                              tenon_message **reply,
                              tenon_error *err)
{
    const struct order order = { message, timeout_ms, .validate = true };

    return run(node, &order, reply, err);
}

enum tenon_err tenon_validate_async(tenon_node *node,
                                    const tenon_message *message,
                                    uint32_t timeout_ms,
                                    tenon_dispatch_fn fn,
                                    void *user)
{
    const struct order order = { message, timeout_ms, .validate = true };

    return run_async(node, &order, fn, user);
}
