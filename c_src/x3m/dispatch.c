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
#include "base/random.h"
#include "node/node.h"
#include "node/request.h"
#include "node/worker.h"
#include "term/build.h"
#include "x3m/attempt.h"
#include "x3m/message.h"
#include "x3m/message_new.h"
#include "x3m/services.h"
#include "x3m/x3m.h"

/* As the library. */
#define DISPATCH_TIMEOUT_MS 5000u

/* A node to try. */
struct candidate {
    char *node; /* owned; its module lies behind it in the same block */
    char *module;
};

/* One dispatch. Owned by whoever is at work for it: the starter, then the
 * attempt under way, then the callback or the waiter. */
struct dispatch {
    struct tn_job job; /* first: found again by its address */
    struct tn_x3m *x3m;
    tenon_message *message; /* as it is sent to the next provider */
    uint32_t timeout_ms;
    struct tn_service *local; /* provider on this node; NULL: the candidates */
    struct candidate *candidates;
    size_t candidate_count;
    size_t next;           /* candidate to try after the one under way */
    tenon_value *refusals; /* [{node, reason}], latest first; NULL: none */
    /* the end */
    tenon_dispatch_fn fn; /* NULL: a thread waits */
    void *user;
    struct tn_wait *wait;
    enum tenon_err code;
    tenon_message *reply;
};

static void free_dispatch(struct dispatch *dispatch)
{
    for (size_t i = 0; i < dispatch->candidate_count; i++) {
        free(dispatch->candidates[i].node);
    }
    free(dispatch->candidates);
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

/* The caller is whom the reply came to. reply: taken; NULL with an error. */
static void
finish(struct dispatch *dispatch, enum tenon_err code, tenon_message *reply)
{
    tenon_node *node = dispatch->x3m->node;

    if (reply != NULL && tn_message_set(reply, TN_FIELD_REPLY_TO,
                                        tn_process_pid(node->client)) < 0) {
        tenon_message_free(reply);
        reply = NULL;
        code = TENON_E_NOMEM;
    }
    dispatch->code = code;
    dispatch->reply = reply;
    if (dispatch->fn != NULL) {
        dispatch->job.fn = run_callback;
        tn_node_push_job(node, &dispatch->job);
    } else {
        tn_wait_end(dispatch->wait, TN_END_REPLY, (tenon_term){ NULL, 0 });
    }
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
        finish(dispatch, TENON_E_NOMEM, NULL);
    } else {
        finish(dispatch, TENON_OK, reply);
    }
}

static void finish_unavailable(struct dispatch *dispatch)
{
    tenon_builder response;

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

/* Who has been asked last. */
static const char *asked_node(const struct dispatch *dispatch)
{
    return dispatch->local != NULL
               ? "local"
               : dispatch->candidates[dispatch->next - 1].node;
}

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
    tenon_build_term(&list, reason);
    tenon_cursor_init(&at, old);
    while (tenon_cursor_next(&at, &element)) {
        tenon_build_term(&list, element);
    }
    tenon_build_nil(&list);
    if (tenon_builder_term(&list, &element) == TENON_OK) {
        refusals = tenon_value_new(element);
    }
    tn_builder_fini(&list);
    if (refusals == NULL) {
        return TENON_E_NOMEM;
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

    tenon_value_free(response);
    if (rc < 0) {
        tenon_message_free(reply);
        finish(dispatch, TENON_E_NOMEM, NULL);
    } else {
        finish(dispatch, TENON_OK, reply);
    }
}

/* The next one gets the reply as a new message: an aggregate-backed provider
 * takes a halted one as done. reply: taken. */
static void move_on(struct dispatch *dispatch, tenon_message *reply)
{
    tn_message_set_const(reply, TN_FIELD_HALTED, tn_const_bool(false));
    tn_message_set_const(reply, TN_FIELD_RESPONSE, tn_const_nil());
    tenon_message_free(dispatch->message);
    dispatch->message = reply;
    enum tenon_err rc = try_next(dispatch, NULL);

    if (rc == TENON_E_STOPPED || rc == TENON_E_NOMEM) {
        finish(dispatch, rc, NULL);
    } else if (rc < 0) {
        finish_limit(dispatch);
    }
}

/* reply: taken. */
static void on_reply(struct dispatch *dispatch, tenon_message *reply)
{
    tenon_term reason;

    if (!asks_for_another(reply, &reason)) {
        finish(dispatch, TENON_OK, reply);
    } else if (add_refusal(dispatch, reason) < 0) {
        tenon_message_free(reply);
        finish(dispatch, TENON_E_NOMEM, NULL);
    } else if (dispatch->next < dispatch->candidate_count) {
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
        finish_badrpc(dispatch, end->reason);
        break;
    case TN_ATTEMPT_TIMEOUT:
        finish_timeout(dispatch);
        break;
    case TN_ATTEMPT_STOPPED:
        finish(dispatch, TENON_E_STOPPED, NULL);
        break;
    case TN_ATTEMPT_NOMEM:
        finish(dispatch, TENON_E_NOMEM, NULL);
        break;
    }
}

/* After success the dispatch may be gone. */
static enum tenon_err try_next(struct dispatch *dispatch, tenon_error *err)
{
    struct tn_attempt_spec spec = {
        .message = dispatch->message,
        .service = dispatch->local,
        .timeout_ms = dispatch->timeout_ms,
        .fn = on_attempt_end,
        .user = dispatch,
    };

    if (dispatch->local == NULL) {
        const struct candidate *candidate =
            &dispatch->candidates[dispatch->next++];

        spec.node = candidate->node;
        spec.module = candidate->module;
    }
    return tn_attempt_start(dispatch->x3m, &spec, err);
}

/* ---- discovery -------------------------------------------------------- */

static enum tenon_err add_candidate(struct dispatch *dispatch,
                                    const struct tn_offer *offer)
{
    size_t node_bytes = strlen(offer->node) + 1;
    size_t module_bytes = strlen(offer->module) + 1;
    char *block = malloc(node_bytes + module_bytes);

    if (block == NULL) {
        return TENON_E_NOMEM;
    }
    memcpy(block, offer->node, node_bytes);
    memcpy(block + node_bytes, offer->module, module_bytes);
    dispatch->candidates[dispatch->candidate_count++] =
        (struct candidate){ block, block + node_bytes };
    return TENON_OK;
}

/* With the lock held. */
static enum tenon_err add_remotes(struct dispatch *dispatch,
                                  const struct tn_remote *remote)
{
    struct tn_offer *offer;
    enum tenon_err rc = TENON_OK;

    dispatch->candidates = calloc(remote->count, sizeof *dispatch->candidates);
    if (dispatch->candidates == NULL) {
        return TENON_E_NOMEM;
    }
    SLIST_FOREACH(offer, &remote->offers, next)
    {
        if (rc == TENON_OK) {
            rc = add_candidate(dispatch, offer);
        }
    }
    return rc;
}

static enum tenon_err shuffle(struct dispatch *dispatch)
{
    for (size_t left = dispatch->candidate_count; left > 1; left--) {
        uint64_t random;

        if (tn_random_bytes(&random, sizeof random) < 0) {
            return TENON_E_SYSTEM;
        }
        struct candidate *last = &dispatch->candidates[left - 1];
        struct candidate *other = &dispatch->candidates[random % left];
        struct candidate swap = *last;

        *last = *other;
        *other = swap;
    }
    return TENON_OK;
}

/* A provider of the own node, public or private, hides all others. */
static enum tenon_err discover(struct dispatch *dispatch)
{
    struct tn_x3m *x3m = dispatch->x3m;
    enum tenon_err rc = TENON_OK;
    tenon_atom service;

    if (tenon_term_atom(
            tn_message_field(dispatch->message, TN_FIELD_SERVICE_NAME),
            &service) < 0) {
        return TENON_OK; /* nobody offers a name that C cannot hold */
    }
    tn_x3m_lock(x3m);
    HASH_FIND(of_node, x3m->local, service.text, strlen(service.text),
              dispatch->local);
    if (dispatch->local == NULL) {
        const struct tn_remote *remote =
            tn_remotes_find(&x3m->remotes, service.text);

        rc = remote == NULL ? TENON_OK : add_remotes(dispatch, remote);
    }
    tn_x3m_unlock(x3m);
    return rc < 0 ? rc : shuffle(dispatch);
}

/* ---- the start -------------------------------------------------------- */

static enum tenon_err set_invoked_at(tenon_message *message)
{
    tenon_builder builder;
    tenon_term now;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tn_build_datetime(&builder, tn_wall_ns());
    enum tenon_err rc = tenon_builder_term(&builder, &now);

    if (rc == TENON_OK) {
        rc = tn_message_set(message, TN_FIELD_INVOKED_AT, now);
    }
    tn_builder_fini(&builder);
    return rc;
}

static struct dispatch *new_dispatch(tenon_node *node,
                                     const tenon_message *message,
                                     uint32_t timeout_ms,
                                     tenon_error *err)
{
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
    dispatch->timeout_ms = timeout_ms == 0 ? DISPATCH_TIMEOUT_MS : timeout_ms;
    dispatch->message = tn_message_copy(message);
    enum tenon_err rc = dispatch->message == NULL
                            ? TENON_E_NOMEM
                            : set_invoked_at(dispatch->message);

    if (rc == TENON_OK) {
        rc = discover(dispatch);
    }
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
    if (dispatch->local == NULL && dispatch->candidate_count == 0) {
        finish_unavailable(dispatch);
        return TENON_OK;
    }
    return try_next(dispatch, err);
}

enum tenon_err tenon_dispatch(tenon_node *node,
                              const tenon_message *message,
                              uint32_t timeout_ms,
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
    struct dispatch *dispatch = new_dispatch(node, message, timeout_ms, &why);

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

enum tenon_err tenon_dispatch_async(tenon_node *node,
                                    const tenon_message *message,
                                    uint32_t timeout_ms,
                                    tenon_dispatch_fn fn,
                                    void *user)
{
    tenon_error why = { .code = TENON_E_INVAL };

    if (fn == NULL) {
        return TENON_E_INVAL;
    }
    struct dispatch *dispatch = new_dispatch(node, message, timeout_ms, &why);

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
