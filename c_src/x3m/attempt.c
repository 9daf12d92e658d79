/* SPDX-License-Identifier: Apache-2.0 */
/* One try of one provider. Whatever happens first ends it: the reply after
 * the return, a failure of the call, the time, the loss of the node, the
 * node's stop; what comes later finds it done. */
#include "x3m/attempt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "node/function.h"
#include "node/node.h"
#include "node/request.h"
#include "term/build.h"
#include "x3m/message.h"
#include "x3m/outcome.h"
#include "x3m/router.h"
#include "x3m/serve.h"

struct tn_attempt {
    LIST_ENTRY(tn_attempt) active; /* until done */
    /* One for the starter, the relay, the request or local run, the armed
     * timer. */
    atomic_uint refs;
    /* constants */
    struct tn_x3m *x3m;
    bool ask;             /* see tn_attempt_spec */
    tenon_process *relay; /* kept; whose pid is the reply_to; NULL: asks */
    tenon_value *id;      /* of the message */
    tenon_ref res;        /* the call's result reference */
    uint32_t timeout_ms;
    uint64_t deadline_ms;
    tn_attempt_fn fn;
    void *user;
    struct tn_timer timer;
    /* guarded by the X3m lock */
    bool done;
    bool returned;        /* the call has returned ok: only the reply lacks */
    tenon_message *reply; /* came before the return */
    char node[];          /* constant; "": this one */
};

static void hold(struct tn_attempt *attempt)
{
    atomic_fetch_add(&attempt->refs, 1);
}

static void release(struct tn_attempt *attempt)
{
    if (atomic_fetch_sub(&attempt->refs, 1) == 1) {
        tenon_process_release(attempt->relay);
        tenon_value_free(attempt->id);
        tenon_message_free(attempt->reply);
        free(attempt);
    }
}

/* ---- the end ---------------------------------------------------------- */

/* Takes the right to end the attempt; false: it has ended. */
static bool take_end(struct tn_attempt *attempt)
{
    tn_x3m_lock(attempt->x3m);
    bool taken = !attempt->done;

    if (taken) {
        attempt->done = true;
        LIST_REMOVE(attempt, active);
        attempt->x3m->attempt_count--;
    }
    tn_x3m_unlock(attempt->x3m);
    return taken;
}

static void disarm(struct tn_attempt *attempt)
{
    if (tn_timer_stop(attempt->x3m->node, &attempt->timer)) {
        release(attempt);
    }
}

static void end_relay(struct tn_attempt *attempt)
{
    /* A question has none; and the stop may be so early that there is none
     * yet. */
    if (attempt->relay != NULL) {
        tenon_process_exit(attempt->relay, ":normal");
    }
}

/* After take_end. */
static void tell(struct tn_attempt *attempt, const struct tn_attempt_end *end)
{
    disarm(attempt);
    end_relay(attempt);
    attempt->fn(attempt->user, end);
}

static void finish(struct tn_attempt *attempt, enum tn_attempt_ended how)
{
    if (take_end(attempt)) {
        tell(attempt, &(struct tn_attempt_end){ .how = how });
    }
}

/* badrpc: holds the reason; ended here. */
static void finish_badrpc(struct tn_attempt *attempt, tenon_builder *badrpc)
{
    struct tn_attempt_end end = { .how = TN_ATTEMPT_BADRPC };

    if (take_end(attempt)) {
        if (tenon_builder_term(badrpc, &end.term) < 0) {
            end = (struct tn_attempt_end){ .how = TN_ATTEMPT_NOMEM };
        }
        tell(attempt, &end);
    }
    tn_builder_fini(badrpc);
}

static void finish_nodedown(struct tn_attempt *attempt)
{
    tenon_builder badrpc;

    tn_builder_init(&badrpc, TENON_TERM_MAX_BYTES);
    tenon_build_atom(&badrpc, "nodedown");
    finish_badrpc(attempt, &badrpc);
}

/* reply: taken. */
static void finish_reply(struct tn_attempt *attempt, tenon_message *reply)
{
    if (take_end(attempt)) {
        tell(attempt, &(struct tn_attempt_end){ .how = TN_ATTEMPT_REPLY,
                                                .reply = reply });
    } else {
        tenon_message_free(reply);
    }
}

static void finish_answer(struct tn_attempt *attempt, tenon_term value)
{
    if (take_end(attempt)) {
        tell(attempt, &(struct tn_attempt_end){ .how = TN_ATTEMPT_ANSWER,
                                                .term = value });
    }
}

static void on_timer(struct tn_timer *timer, void *user)
{
    (void)timer;
    finish(user, TN_ATTEMPT_TIMEOUT);
    release(user);
}

/* Runs out at the deadline. An attempt that ends meanwhile stops it. */
static void arm(struct tn_attempt *attempt)
{
    uint64_t now_ms = tn_now_ms();
    uint64_t left_ms =
        attempt->deadline_ms > now_ms ? attempt->deadline_ms - now_ms : 0;

    if (attempt->timeout_ms == TENON_NO_TIMEOUT) {
        return;
    }
    hold(attempt);
    if (tn_timer_start(attempt->x3m->node, &attempt->timer, left_ms, on_timer,
                       attempt) < 0) {
        finish(attempt, TN_ATTEMPT_NOMEM);
        release(attempt);
        return;
    }
    tn_x3m_lock(attempt->x3m);
    bool done = attempt->done;

    tn_x3m_unlock(attempt->x3m);
    if (done) {
        disarm(attempt);
    }
}

/* ---- the return ------------------------------------------------------- */

/* The call has returned ok. True: the reply is still to come. */
static bool on_returned(struct tn_attempt *attempt)
{
    tn_x3m_lock(attempt->x3m);
    tenon_message *reply = attempt->reply;
    bool waits = !attempt->done && reply == NULL;

    attempt->reply = NULL;
    attempt->returned = true;
    tn_x3m_unlock(attempt->x3m);
    if (reply != NULL) {
        finish_reply(attempt, reply);
    }
    return waits;
}

/* The call has returned something. True: the reply is still to come. */
static bool on_value(struct tn_attempt *attempt, tenon_term value)
{
    tenon_builder badrpc;

    if (attempt->ask) {
        finish_answer(attempt, value);
        return false;
    }
    if (tenon_term_is_atom(value, "ok")) {
        return on_returned(attempt);
    }
    tn_builder_init(&badrpc, TENON_TERM_MAX_BYTES);
    tn_badrpc_returned(&badrpc, value);
    finish_badrpc(attempt, &badrpc);
    return false;
}

static void on_down(struct tn_attempt *attempt, tenon_term reason)
{
    tenon_builder badrpc;
    tenon_term value;

    tn_builder_init(&badrpc, TENON_TERM_MAX_BYTES);
    if (!tn_outcome_returned(reason, &attempt->res, &value, &badrpc)) {
        finish_badrpc(attempt, &badrpc);
        return;
    }
    tn_builder_fini(&badrpc);
    if (on_value(attempt, value)) {
        arm(attempt);
    }
}

static void on_refused(struct tn_attempt *attempt, tenon_term why)
{
    tenon_builder badrpc;

    tn_builder_init(&badrpc, TENON_TERM_MAX_BYTES);
    tn_badrpc_refused(&badrpc, why);
    finish_badrpc(attempt, &badrpc);
}

/* The end of the remote call; its deadline is the attempt's, so that until
 * the return no other timer runs. */
static void on_request_end(void *user, enum tn_request_end end, tenon_term term)
{
    struct tn_attempt *attempt = user;

    switch (end) {
    case TN_END_DOWN:
        on_down(attempt, term);
        break;
    case TN_END_REFUSED:
        on_refused(attempt, term);
        break;
    case TN_END_NODEDOWN:
        finish_nodedown(attempt);
        break;
    case TN_END_TIMEOUT:
        finish(attempt, TN_ATTEMPT_TIMEOUT);
        break;
    case TN_END_REPLY:
    case TN_END_STOPPED:
        finish(attempt, TN_ATTEMPT_STOPPED);
        break;
    }
    release(attempt);
}

/* ---- the reply -------------------------------------------------------- */

/* message: set when it is; borrows the term. */
static bool is_reply(const struct tn_attempt *attempt,
                     tenon_term term,
                     tenon_message *message)
{
    bool is =
        tn_message_init(message, attempt->x3m->node, term, NULL) == TENON_OK &&
        tenon_term_equal(tn_message_field(message, TN_FIELD_ID),
                         tenon_value_term(attempt->id));

    if (!is) {
        tn_log(&attempt->x3m->node->log, TN_DEBUG, "x3m_reply_dropped", "why",
               "not the message that was waited for", NULL);
    }
    return is;
}

/* The provider may have passed the message on, to the node that owns what it is
 * about. Others know the id too: whoever was tried before. */
static bool may_reply(const struct tn_attempt *attempt, tn_access *origin)
{
    tenon_node *node = attempt->x3m->node;
    const char *asked =
        attempt->node[0] == '\0' ? node->name.full : attempt->node;

    return tn_may_claim(node, origin, "answer", asked, strlen(asked));
}

/* A reply that comes before the return waits for it. */
static void on_relay_message(tenon_process *self, void *state, tenon_term term)
{
    struct tn_attempt *attempt = state;
    tenon_message message;

    if (!is_reply(attempt, term, &message) ||
        !may_reply(attempt, tn_process_origin(self))) {
        return;
    }
    tenon_message *reply = tn_message_copy(&message);

    if (reply == NULL) {
        finish(attempt, TN_ATTEMPT_NOMEM);
        return;
    }
    tn_x3m_lock(attempt->x3m);
    bool first = !attempt->done && attempt->reply == NULL;
    bool returned = attempt->returned;

    if (first && !returned) {
        attempt->reply = reply;
        reply = NULL;
    }
    tn_x3m_unlock(attempt->x3m);
    if (reply != NULL && first) {
        finish_reply(attempt, reply);
    } else {
        tenon_message_free(reply);
    }
}

/* Of an attempt that is not done yet only the node's stop takes the relay
 * away. */
static void on_relay_exit(tenon_process *self, void *state, tenon_term reason)
{
    (void)self;
    (void)reason;
    finish(state, TN_ATTEMPT_STOPPED);
    release(state);
}

static const struct tn_process_class relay_class = {
    .on_message = on_relay_message,
    .on_exit = on_relay_exit,
    .large_on_worker = true,
};

/* ---- calls of the own services ---------------------------------------- */

static enum tenon_err end_local(tenon_call *call)
{
    tenon_builder reason;

    tn_builder_init(&reason, 16);
    tenon_build_atom(&reason, "normal");
    enum tenon_err rc = tn_spawn_end(call, &reason);

    tn_builder_fini(&reason);
    return rc;
}

static void build_local_failure(tenon_builder *badrpc,
                                const tenon_call *call,
                                enum tn_outcome outcome,
                                tenon_term value)
{
    switch (outcome) {
    case TN_OUT_RETURN: /* is none */
    case TN_OUT_EXIT:
        tn_badrpc_exited(badrpc, value);
        break;
    case TN_OUT_THROW:
        tn_badrpc_threw(badrpc, value);
        break;
    case TN_OUT_ERROR:
        tenon_build_tuple(badrpc, 2);
        tenon_build_atom(badrpc, "EXIT");
        tenon_build_tuple(badrpc, 2);
        tenon_build_term(badrpc, tn_badrpc_told(value));
        tn_build_stack(badrpc, call, false);
        break;
    }
}

static enum tenon_err
local_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    struct tn_attempt *attempt = call->extra;
    tenon_builder badrpc;

    if (outcome == TN_OUT_RETURN) {
        (void)on_value(attempt, value);
        return end_local(call);
    }
    tn_builder_init(&badrpc, TENON_TERM_MAX_BYTES);
    build_local_failure(&badrpc, call, outcome, value);
    finish_badrpc(attempt, &badrpc);
    return end_local(call);
}

/* Without a return the process has been killed. */
static void free_local(void *extra)
{
    struct tn_attempt *attempt = extra;
    tenon_builder badrpc, reason;
    tenon_term killed;

    tn_x3m_lock(attempt->x3m);
    bool returned = attempt->returned || attempt->done;

    tn_x3m_unlock(attempt->x3m);
    if (!returned) {
        tn_builder_init(&reason, 16);
        tn_builder_init(&badrpc, 64);
        tenon_build_atom(&reason, "killed");
        if (tenon_builder_term(&reason, &killed) == TENON_OK) {
            tn_badrpc_exited(&badrpc, killed);
        }
        finish_badrpc(attempt, &badrpc);
        tn_builder_fini(&reason);
    }
    release(attempt);
}

static const struct tn_call_ops local_ops = {
    .answer = local_answer,
    .free_extra = free_local,
};

/* ---- the start -------------------------------------------------------- */

static enum tenon_err run_local(struct tn_attempt *attempt,
                                const struct tn_attempt_spec *spec,
                                tenon_term args,
                                tenon_term module)
{
    const struct tn_run run = {
        .target = spec->ask ? tn_authorized_target(spec->service->router)
                            : tn_service_target(spec->service),
        .module = module,
        .name = tn_message_field(spec->message, TN_FIELD_SERVICE_NAME),
        .args = args,
        .ops = &local_ops,
    };

    return tn_spawn_local(attempt->x3m->node, &run, (tenon_term){ NULL, 0 },
                          attempt);
}

static enum tenon_err call_local(struct tn_attempt *attempt,
                                 const struct tn_attempt_spec *spec)
{
    tenon_builder args, module;
    tenon_term args_term, module_term;

    tn_builder_init(&args, TENON_TERM_MAX_BYTES);
    tn_builder_init(&module, TENON_TERM_MAX_BYTES);
    tenon_build_list(&args, 1);
    tn_message_build(spec->message, &args);
    tenon_build_nil(&args);
    tenon_build_atom(&module, spec->service->router->module);
    enum tenon_err rc = tenon_builder_term(&args, &args_term);

    if (rc == TENON_OK) {
        rc = tenon_builder_term(&module, &module_term);
    }
    if (rc == TENON_OK) {
        hold(attempt);
        rc = run_local(attempt, spec, args_term, module_term);
        if (rc < 0) {
            release(attempt);
        } else {
            arm(attempt);
        }
    }
    tn_builder_fini(&module);
    tn_builder_fini(&args);
    return rc;
}

/* [Res, Router, Service, [Message]] */
static enum tenon_err build_remote_args(const struct tn_attempt *attempt,
                                        const struct tn_attempt_spec *spec,
                                        tenon_builder *out)
{
    tenon_build_list(out, 4);
    tenon_build_ref(out, &attempt->res);
    tenon_build_atom(out, spec->module);
    if (spec->ask) {
        tenon_build_atom(out, TN_AUTHORIZED_FUNCTION);
    } else {
        tenon_build_term(
            out, tn_message_field(spec->message, TN_FIELD_SERVICE_NAME));
    }
    tenon_build_list(out, 1);
    tn_message_build(spec->message, out);
    tenon_build_nil(out);
    return tenon_build_nil(out);
}

static enum tenon_err call_remote(struct tn_attempt *attempt,
                                  const struct tn_attempt_spec *spec,
                                  tenon_error *err)
{
    tenon_builder args;
    tenon_term term;

    tn_builder_init(&args, TENON_TERM_MAX_BYTES);
    build_remote_args(attempt, spec, &args);
    enum tenon_err rc = tenon_builder_term(&args, &term);

    if (rc == TENON_OK) {
        hold(attempt);
        rc = tn_request_spawn(attempt->x3m->node, spec->node, "erpc",
                              "execute_call", term, spec->timeout_ms,
                              on_request_end, attempt, err);
        if (rc < 0) {
            release(attempt);
        }
    }
    tn_builder_fini(&args);
    return rc;
}

static enum tenon_err enlist(struct tn_attempt *attempt)
{
    struct tn_x3m *x3m = attempt->x3m;

    tn_x3m_lock(x3m);
    bool room = x3m->attempt_count < TENON_DISPATCHES_MAX;

    if (room) {
        x3m->attempt_count++;
        LIST_INSERT_HEAD(&x3m->attempts, attempt, active);
    }
    tn_x3m_unlock(x3m);
    return room ? TENON_OK : TENON_E_LIMIT;
}

static struct tn_attempt *new_attempt(struct tn_x3m *x3m,
                                      const struct tn_attempt_spec *spec)
{
    const char *node = spec->service != NULL ? "" : spec->node;
    size_t node_bytes = strlen(node) + 1;
    struct tn_attempt *attempt = calloc(1, sizeof *attempt + node_bytes);

    if (attempt == NULL) {
        return NULL;
    }
    atomic_init(&attempt->refs, 1);
    attempt->x3m = x3m;
    attempt->ask = spec->ask;
    attempt->timeout_ms = spec->timeout_ms;
    attempt->deadline_ms = tn_now_ms() + spec->timeout_ms;
    attempt->fn = spec->fn;
    attempt->user = spec->user;
    memcpy(attempt->node, node, node_bytes);
    tn_node_make_ref(x3m->node, &attempt->res);
    attempt->id = tenon_value_new(tn_message_field(spec->message, TN_FIELD_ID));
    if (attempt->id == NULL) {
        release(attempt);
        return NULL;
    }
    return attempt;
}

static enum tenon_err start_relay(struct tn_attempt *attempt, tenon_error *err)
{
    tenon_error why = { .code = TENON_E_NOMEM };
    const struct tn_process_spec spec = {
        .class = &relay_class,
        .state = attempt,
        .run_inline = true,
        .trap_exit = true,
        .immortal = true, /* its pid is told to others, and easily guessed */
    };

    hold(attempt);
    attempt->relay = tn_process_start(attempt->x3m->node, &spec, &why);
    if (attempt->relay == NULL) {
        release(attempt);
        return tn_error(err, why.code, "dispatch: %s", why.text);
    }
    return TENON_OK;
}

static enum tenon_err call(struct tn_attempt *attempt,
                           const struct tn_attempt_spec *spec,
                           tenon_error *err)
{
    const tenon_process *replies =
        spec->ask ? attempt->x3m->node->client : attempt->relay;
    enum tenon_err rc = tn_message_set(spec->message, TN_FIELD_REPLY_TO,
                                       tn_process_pid(replies));

    if (rc == TENON_OK) {
        rc = spec->service != NULL ? call_local(attempt, spec)
                                   : call_remote(attempt, spec, err);
    }
    return rc;
}

enum tenon_err tn_attempt_start(struct tn_x3m *x3m,
                                const struct tn_attempt_spec *spec,
                                tenon_error *err)
{
    struct tn_attempt *attempt = new_attempt(x3m, spec);

    if (attempt == NULL) {
        return tn_error(err, TENON_E_NOMEM, "dispatch: out of memory");
    }
    enum tenon_err rc = enlist(attempt);

    if (rc < 0) {
        tn_error(err, rc, "dispatch: %d dispatches are under way already",
                 TENON_DISPATCHES_MAX);
        goto drop;
    }
    rc = spec->ask ? TENON_OK : start_relay(attempt, err);
    if (rc < 0) {
        take_end(attempt);
        goto drop;
    }
    rc = call(attempt, spec, err);
    if (rc < 0) {
        if (take_end(attempt)) {
            end_relay(attempt);
            tn_error(err, rc, "dispatch: %s", tenon_err_text(rc));
        } else {
            /* The stop was faster, and has told. */
            rc = TENON_OK;
        }
    }

drop:
    release(attempt);
    return rc;
}

/* ---- lost nodes ------------------------------------------------------- */

/* One that waits for a reply from that node; held. NULL: there is none. */
static struct tn_attempt *find_waiting(struct tn_x3m *x3m, const char *node)
{
    struct tn_attempt *attempt;

    tn_x3m_lock(x3m);
    LIST_FOREACH(attempt, &x3m->attempts, active)
    {
        if (attempt->returned && strcmp(attempt->node, node) == 0) {
            hold(attempt);
            break;
        }
    }
    tn_x3m_unlock(x3m);
    return attempt;
}

void tn_attempts_node_down(struct tn_x3m *x3m, const char *node)
{
    struct tn_attempt *attempt;

    while ((attempt = find_waiting(x3m, node)) != NULL) {
        finish_nodedown(attempt);
        release(attempt);
    }
}
