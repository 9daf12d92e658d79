/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to other processes, in a blocking and a calling-back form. */
#include "otp/ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/node.h"

struct tn_answer tn_answer_of_end(enum tn_request_end end)
{
    struct tn_answer answer = { .code = TENON_E_BADTERM };
    switch (end) {
    case TN_END_NODEDOWN:
        answer.code = TENON_E_NODEDOWN;
        break;
    case TN_END_TIMEOUT:
        answer.code = TENON_E_TIMEOUT;
        break;
    case TN_END_STOPPED:
        answer.code = TENON_E_STOPPED;
        break;
    case TN_END_REPLY:
    case TN_END_DOWN:
    case TN_END_REFUSED:
        break;
    }
    return answer;
}

/* ---- large answers ------------------------------------------------------ */

/* An end that is not decoded where it comes, on the loop: reading and copying
 * tens of megabytes takes longer than a turn may. */
struct held {
    tn_block *block; /* in which the term lies; NULL: nothing is held */
    enum tn_request_end end;
    tenon_term term;
};

static bool hold(struct held *held,
                 const struct tn_ask *ask,
                 enum tn_request_end end,
                 tenon_term term)
{
    *held = (struct held){ tn_request_hold(ask->node, term), end, term };
    return held->block != NULL;
}

/* Its term is borrowed from the block, unless it is made. */
static struct tn_answer decode_held(const struct held *held,
                                    const struct tn_ask *ask)
{
    return ask->decode(ask, held->end, held->term);
}

/* The answer's value, owned; NULL: it has none, or out of memory. */
static tenon_value *value_of(const struct tn_answer *answer)
{
    if (answer->made != NULL || answer->value.bytes == NULL) {
        return answer->made;
    }
    return tenon_value_new(answer->value);
}

/* ---- blocking ---------------------------------------------------------- */

struct waiting {
    const struct tn_ask *ask;
    struct tn_wait wait;
    struct held held;
    enum tenon_err code;
    bool has_value;
};

static void on_end(void *user, enum tn_request_end end, tenon_term term)
{
    struct waiting *waiting = user;
    /* The waiter may be gone as soon as it is told. */
    if (hold(&waiting->held, waiting->ask, end, term)) {
        tn_wait_end(&waiting->wait, end, NULL);
        return;
    }
    struct tn_answer answer = waiting->ask->decode(waiting->ask, end, term);
    waiting->code = answer.code;
    waiting->has_value = answer.value.bytes != NULL;
    tn_wait_end(&waiting->wait, end, value_of(&answer));
}

/* The waiter's thread, after the end: the value, which is the caller's. */
static tenon_value *take_value(struct waiting *waiting)
{
    if (waiting->held.block == NULL) {
        tenon_value *value = waiting->wait.value;
        waiting->wait.value = NULL;
        return value;
    }
    struct tn_answer answer = decode_held(&waiting->held, waiting->ask);
    tenon_value *value = value_of(&answer);
    waiting->code = answer.code;
    waiting->has_value = answer.value.bytes != NULL;
    tn_block_release(waiting->held.block);
    return value;
}

/* Fills err with what was asked and how it failed. */
static void tell(const struct tn_ask *ask,
                 enum tenon_err code,
                 tenon_term value,
                 tenon_error *err)
{
    char what[160] = "", text[120] = "";
    if (err == NULL) {
        return;
    }
    ask->describe(ask, what, sizeof what);
    tenon_term_print(value, text, sizeof text);
    switch (code) {
    case TENON_E_TIMEOUT:
        tn_error(err, code, "%s: no answer within %lu ms", what,
                 (unsigned long)ask->timeout_ms);
        return;
    case TENON_E_REMOTE_UNDEF:
        tn_error(err, code, "%s: undefined function", what);
        return;
    case TENON_E_REMOTE_ERROR:
        tn_error(err, code, "%s: raised %s", what, text);
        return;
    case TENON_E_REMOTE_EXIT:
        tn_error(err, code, "%s: exited with %s", what, text);
        return;
    case TENON_E_REMOTE_THROW:
        tn_error(err, code, "%s: threw %s", what, text);
        return;
    case TENON_E_NOTSUP:
        tn_error(err, code, "%s: refused with %s", what, text);
        return;
    default:
        tn_error(err, code, "%s: %s", what, tenon_err_text(code));
    }
}

/* 0 is the default, as in every call. */
static struct tn_ask with_timeout(const struct tn_ask *ask)
{
    struct tn_ask copy = *ask;
    if (copy.timeout_ms == 0) {
        copy.timeout_ms = TENON_CALL_TIMEOUT_MS;
    }
    return copy;
}

enum tenon_err tn_ask_wait(const struct tn_ask *question,
                           tenon_value **value,
                           tenon_error *err)
{
    const struct tn_ask ask = with_timeout(question);
    struct waiting waiting = { .ask = &ask };
    tenon_value *unwanted = NULL;
    if (value == NULL) {
        value = &unwanted;
    }
    *value = NULL;
    enum tenon_err rc = tn_wait_init(&waiting.wait, ask.node, err);
    if (rc < 0) {
        return rc;
    }
    rc = ask.start(&ask, ask.context, on_end, &waiting, err);
    if (rc == TENON_OK) {
        tn_wait_for(&waiting.wait);
        *value = take_value(&waiting);
        rc = waiting.has_value && *value == NULL ? TENON_E_NOMEM : waiting.code;
        if (rc < 0) {
            tell(&ask, rc, tenon_value_term(*value), err);
        }
    }
    tn_wait_fini(&waiting.wait);
    tenon_value_free(unwanted);
    return rc;
}

/* ---- calling back ------------------------------------------------------ */

struct async {
    struct tn_job job; /* first: the worker is given this */
    struct tn_ask ask; /* its strings lie in `strings` */
    tenon_result_fn fn;
    void *user;
    struct held held;
    enum tenon_err code;
    tenon_value *value;
    char strings[];
};

static void call_back_held(const struct async *async)
{
    struct tn_answer answer = decode_held(&async->held, &async->ask);
    async->fn(async->user, &(tenon_result){
                               .code = answer.code,
                               .value = answer.value,
                           });
    tenon_value_free(answer.made);
    tn_block_release(async->held.block);
}

static void call_back(struct tn_job *job)
{
    struct async *async = (struct async *)job;
    if (async->held.block != NULL) {
        call_back_held(async);
    } else {
        async->fn(async->user, &(tenon_result){
                                   .code = async->code,
                                   .value = tenon_value_term(async->value),
                               });
        tenon_value_free(async->value);
    }
    free(async);
}

static void on_async_end(void *user, enum tn_request_end end, tenon_term term)
{
    struct async *async = user;
    if (!hold(&async->held, &async->ask, end, term)) {
        struct tn_answer answer = async->ask.decode(&async->ask, end, term);
        async->code = answer.code;
        async->value = value_of(&answer);
        if (answer.value.bytes != NULL && async->value == NULL) {
            async->code = TENON_E_NOMEM;
        }
    }
    async->job.fn = call_back;
    tn_node_push_job(async->ask.node, &async->job);
}

static size_t size_of(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static struct async *
async_new(const struct tn_ask *ask, tenon_result_fn fn, void *user)
{
    size_t module = size_of(ask->module), function = size_of(ask->function);
    struct async *async = calloc(1, sizeof *async + module + function);
    if (async == NULL) {
        return NULL;
    }
    async->ask = with_timeout(ask);
    async->fn = fn;
    async->user = user;
    if (module > 0 && function > 0) {
        async->ask.module = memcpy(async->strings, ask->module, module);
        async->ask.function =
            memcpy(async->strings + module, ask->function, function);
    }
    return async;
}

enum tenon_err
tn_ask_async(const struct tn_ask *ask, tenon_result_fn fn, void *user)
{
    struct async *async = async_new(ask, fn, user);
    if (async == NULL) {
        return TENON_E_NOMEM;
    }
    enum tenon_err rc =
        ask->start(&async->ask, ask->context, on_async_end, async, NULL);
    if (rc < 0) {
        free(async);
    }
    return rc;
}
