/* SPDX-License-Identifier: Apache-2.0 */
/* Asking whether a message would be authorized: one provider after the other,
 * until one answers. A single question is in attempt.c. */
#include <stdlib.h>
#include <string.h>

#include <tenon/x3m.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/node.h"
#include "node/request.h"
#include "node/worker.h"
#include "x3m/attempt.h"
#include "x3m/message.h"
#include "x3m/message_new.h"
#include "x3m/providers.h"
#include "x3m/telemetry.h"
#include "x3m/x3m.h"

/* As the library. */
#define AUTHORIZED_TIMEOUT_MS 5000u

/* One question. Owned as a dispatch is: by the starter, then the attempt
 * under way, then the callback or the waiter. */
struct question {
    struct tn_job job; /* first: found again by its address */
    struct tn_x3m *x3m;
    tenon_message *message;
    uint32_t timeout_ms;
    struct tn_providers providers;
    size_t next; /* node to ask after the one that is being asked */
    /* the end */
    tenon_authorized_fn fn; /* NULL: a thread waits */
    void *user;
    struct tn_wait *wait;
    enum tenon_err code;
    tenon_value *answer;
};

static void free_question(struct question *question)
{
    tn_providers_fini(&question->providers);
    tenon_message_free(question->message);
    tenon_value_free(question->answer);
    free(question);
}

/* ---- the end ---------------------------------------------------------- */

static void run_callback(struct tn_job *job)
{
    struct question *question = (struct question *)job;
    tenon_value *answer = question->answer;

    question->answer = NULL;
    question->fn(question->user, question->code, answer);
    free_question(question);
}

/* answer: taken; NULL with OK: there was no memory for it. */
static void
end(struct question *question, enum tenon_err code, tenon_value *answer)
{
    bool lacks = code == TENON_OK && answer == NULL;

    question->code = lacks ? TENON_E_NOMEM : code;
    question->answer = answer;
    if (question->fn != NULL) {
        question->job.fn = run_callback;
        tn_node_push_job(question->x3m->node, &question->job);
    } else {
        tn_wait_end(question->wait, TN_END_REPLY, NULL);
    }
}

/* ---- one provider after the other ------------------------------------- */

static enum tenon_err ask_next(struct question *question, tenon_error *err);

/* Who could not be asked is passed over; the last one's failure is told. */
static void on_failure(struct question *question, tenon_value *failure)
{
    enum tenon_err rc = TENON_OK;

    if (question->next >= question->providers.count) {
        end(question, TENON_OK, failure);
        return;
    }
    tenon_value_free(failure);
    rc = ask_next(question, NULL);
    if (rc == TENON_E_STOPPED || rc == TENON_E_NOMEM) {
        end(question, rc, NULL);
    } else if (rc < 0) {
        /* As a BEAM that refuses a spawn. */
        end(question, TENON_OK,
            tenon_value_format("{:error, {:badrpc, {:EXIT, :system_limit}}}"));
    }
}

static void on_attempt_end(void *user, const struct tn_attempt_end *ended)
{
    struct question *question = user;

    switch (ended->how) {
    case TN_ATTEMPT_ANSWER:
        end(question, TENON_OK, tenon_value_new(ended->term));
        break;
    case TN_ATTEMPT_BADRPC:
        on_failure(question,
                   tenon_value_format("{:error, {:badrpc, ~t}}", ended->term));
        break;
    case TN_ATTEMPT_TIMEOUT:
        on_failure(question,
                   tenon_value_format("{:error, {:badrpc, :timeout}}"));
        break;
    case TN_ATTEMPT_STOPPED:
        end(question, TENON_E_STOPPED, NULL);
        break;
    case TN_ATTEMPT_NOMEM:
    case TN_ATTEMPT_REPLY: /* only to calls */
        end(question, TENON_E_NOMEM, NULL);
        break;
    }
}

/* After success the question may be gone. */
static enum tenon_err ask_next(struct question *question, tenon_error *err)
{
    struct tn_attempt_spec spec = {
        .message = question->message,
        .service = question->providers.local,
        .ask = true,
        .timeout_ms = question->timeout_ms,
        .fn = on_attempt_end,
        .user = question,
    };

    if (spec.service == NULL) {
        const struct tn_provider *provider =
            &question->providers.nodes[question->next++];

        spec.node = provider->node;
        spec.module = provider->module;
    }
    return tn_attempt_start(question->x3m, &spec, err);
}

/* ---- the start -------------------------------------------------------- */

static int by_node(const void *one, const void *other)
{
    return strcmp(((const struct tn_provider *)one)->node,
                  ((const struct tn_provider *)other)->node);
}

/* Gives the question its message, and finds whom to ask, in the order of a
 * map's keys. */
static enum tenon_err prepare(struct question *question,
                              const tenon_message *message)
{
    question->message = tn_message_copy(message);
    enum tenon_err rc = question->message == NULL
                            ? TENON_E_NOMEM
                            : tn_message_set_invoked_at(question->message);

    if (rc == TENON_OK) {
        tn_telemetry_caller(question->x3m, TN_EVENT_CHECKING_AUTHORIZED,
                            TN_MEASURED_START, tn_now_ns(), question->message,
                            NULL);
        rc = tn_providers_find(
            question->x3m,
            tn_message_field(question->message, TN_FIELD_SERVICE_NAME),
            &question->providers);
    }
    if (rc == TENON_OK && question->providers.count > 1) {
        qsort(question->providers.nodes, question->providers.count,
              sizeof *question->providers.nodes, by_node);
    }
    return rc;
}

static struct question *new_question(tenon_node *node,
                                     const tenon_message *message,
                                     uint32_t timeout_ms,
                                     tenon_error *err)
{
    if (node == NULL || message == NULL) {
        tn_error(err, TENON_E_INVAL, "authorized: no node, or no message");
        return NULL;
    }
    struct tn_x3m *x3m = tn_x3m_start(node, err);

    if (x3m == NULL) {
        return NULL;
    }
    struct question *question = calloc(1, sizeof *question);

    if (question == NULL) {
        tn_error(err, TENON_E_NOMEM, "authorized: out of memory");
        return NULL;
    }
    question->x3m = x3m;
    question->timeout_ms = timeout_ms == 0 ? AUTHORIZED_TIMEOUT_MS : timeout_ms;
    enum tenon_err rc = prepare(question, message);

    if (rc < 0) {
        tn_error(err, rc, "authorized: %s", tenon_err_text(rc));
        free_question(question);
        return NULL;
    }
    return question;
}

/* On success the end tells; on failure the question is still the caller's. */
static enum tenon_err start(struct question *question, tenon_error *err)
{
    if (tn_providers_none(&question->providers)) {
        end(question, TENON_OK, tenon_value_format(":service_unavailable"));
        return TENON_OK;
    }
    return ask_next(question, err);
}

/* ---- the public face -------------------------------------------------- */

enum tenon_err tenon_authorized(tenon_node *node,
                                const tenon_message *message,
                                uint32_t timeout_ms,
                                tenon_value **answer,
                                tenon_error *err)
{
    tenon_error why = { .code = TENON_E_INVAL };
    struct tn_wait wait;

    if (answer == NULL || node == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "authorized: no node, or no answer");
    }
    enum tenon_err rc = tn_wait_init(&wait, node, err);

    if (rc < 0) {
        return rc;
    }
    struct question *question = new_question(node, message, timeout_ms, &why);

    if (question == NULL) {
        rc = tn_error(err, why.code, "%s", why.text);
        goto end_wait;
    }
    question->wait = &wait;
    rc = start(question, err);
    if (rc == TENON_OK) {
        tn_wait_for(&wait);
        rc = question->code;
        *answer = question->answer;
        question->answer = NULL;
        if (rc < 0) {
            tn_error(err, rc, "authorized: %s", tenon_err_text(rc));
        }
    }
    free_question(question);

end_wait:
    tn_wait_fini(&wait);
    return rc;
}

enum tenon_err tenon_authorized_async(tenon_node *node,
                                      const tenon_message *message,
                                      uint32_t timeout_ms,
                                      tenon_authorized_fn fn,
                                      void *user)
{
    tenon_error why = { .code = TENON_E_INVAL };

    if (fn == NULL) {
        return TENON_E_INVAL;
    }
    struct question *question = new_question(node, message, timeout_ms, &why);

    if (question == NULL) {
        return why.code;
    }
    question->fn = fn;
    question->user = user;
    enum tenon_err rc = start(question, NULL);

    if (rc < 0) {
        free_question(question);
    }
    return rc;
}
