/* SPDX-License-Identifier: Apache-2.0 */
/* What the core of global waits for, answers and time, comes to the loop, and
 * to the core when no worker is in there. */
#include <stdlib.h>

#include "base/condition.h"
#include "node/call.h"
#include "node/node.h"
#include "otp/gen.h"
#include "otp/global.h"
#include "otp/global_impl.h"

/* A resolver on another node that hangs must not hold the names' lock for
 * ever. */
#define RESOLVE_MS 30000u

static const tenon_term null_term = { NULL, 0 };

/* ---- asking ------------------------------------------------------------ */

/* One question to another node, until the core has the answer. */
struct asked {
    struct tn_gevent event; /* first */
    struct tn_gserver *server;
    struct tn_gcall *call;
    tenon_term reply;
    tenon_value *kept; /* reply, for later */
};

static void give_answer(struct tn_gevent *event)
{
    struct asked *asked = (struct asked *)event;
    tn_gcall_end(asked->call, asked->reply);
    tenon_value_free(asked->kept);
    free(asked);
}

/* An answer for which there is no memory is none, as with a node that is
 * gone. */
static void answer(struct asked *asked, tenon_term reply)
{
    struct tn_gserial *serial = &asked->server->serial;
    asked->reply = reply;
    if (tn_gserial_try_enter(serial)) {
        give_answer(&asked->event);
        tn_gserial_leave(serial);
        return;
    }
    if (reply.bytes != NULL) {
        asked->kept = tenon_value_new(reply);
        asked->reply = tenon_value_term(asked->kept);
        if (asked->kept == NULL) {
            tn_gserver_disconnect(asked->server, asked->call->node);
        }
    }
    tn_gserial_post(serial, &asked->event);
}

static struct asked *new_asked(struct tn_gserver *server, struct tn_gcall *call)
{
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked != NULL) {
        asked->event.fn = give_answer;
        asked->server = server;
        asked->call = call;
    }
    return asked;
}

static void call_ended(void *user, enum tn_request_end end, tenon_term term)
{
    answer(user, end == TN_END_REPLY ? term : null_term);
}

void tn_gserver_call(void *io,
                     const char *node,
                     tenon_term request,
                     struct tn_gcall *call)
{
    struct tn_gserver *server = io;
    const tenon_dest to = { .name = TN_GLOBAL_NAME, .node = node };
    struct asked *asked = new_asked(server, call);
    if (asked == NULL ||
        tn_request_server(server->node, &to, request, TENON_NO_TIMEOUT,
                          call_ended, asked, NULL) < 0) {
        free(asked);
        tn_gserver_disconnect(server, node);
        tn_gcall_end(call, null_term);
    }
}

/* erpc's {Ref, return, Value}; whatever else is no result. */
static void resolve_ended(void *user, enum tn_request_end end, tenon_term term)
{
    tenon_term part[3], result = null_term;
    if (end == TN_END_DOWN && tn_tuple_views(term, part, 3) &&
        tenon_term_is_atom(part[1], "return")) {
        result = part[2];
    }
    answer(user, result);
}

void tn_gserver_resolve(void *io,
                        const char *node,
                        tenon_term args,
                        struct tn_gcall *call)
{
    struct tn_gserver *server = io;
    struct asked *asked = new_asked(server, call);
    tenon_ref ref;
    tn_node_make_ref(server->node, &ref);
    tenon_value *list =
        tenon_value_format("[~r, :global, :resolve_it, ~t]", &ref, args);
    enum tenon_err rc =
        list == NULL || asked == NULL
            ? TENON_E_NOMEM
            : tn_request_spawn(server->node, node, "erpc", "execute_call",
                               tenon_value_term(list), RESOLVE_MS,
                               resolve_ended, asked, NULL);
    tenon_value_free(list);
    if (rc < 0) {
        free(asked);
        tn_gcall_end(call, null_term);
    }
}

/* ---- timers ------------------------------------------------------------ */

/* One start of a timer: its own memory, since the core may forget a timer that
 * has just become due on the loop. */
struct tn_gtimed {
    struct tn_gevent event; /* first */
    LIST_ENTRY(tn_gtimed) next;
    struct tn_timer timer;
    struct tn_gserver *server;
    struct tn_gtimer *of_core; /* NULL: stopped */
};

static void free_timed(struct tn_gtimed *timed)
{
    LIST_REMOVE(timed, next);
    free(timed);
}

static void run_timer(struct tn_gevent *event)
{
    struct tn_gtimed *timed = (struct tn_gtimed *)event;
    struct tn_gtimer *timer = timed->of_core;
    free_timed(timed);
    if (timer != NULL) {
        timer->armed = false;
        timer->timed = NULL;
        timer->fn(timer->global, timer->user);
    }
}

static void timer_due(struct tn_timer *timer, void *user)
{
    struct tn_gtimed *timed = user;
    (void)timer;
    tn_gserial_post(&timed->server->serial, &timed->event);
}

bool tn_gserver_timer_start(void *io, struct tn_gtimer *timer, uint32_t ms)
{
    struct tn_gserver *server = io;
    struct tn_gtimed *timed = calloc(1, sizeof *timed);
    tn_gserver_timer_stop(io, timer);
    if (timed == NULL) {
        return false;
    }
    timed->event.fn = run_timer;
    timed->server = server;
    timed->of_core = timer;
    LIST_INSERT_HEAD(&server->timers, timed, next);
    if (tn_timer_start(server->node, &timed->timer, ms, timer_due, timed) < 0) {
        free_timed(timed);
        return false;
    }
    timer->timed = timed;
    timer->armed = true;
    return true;
}

/* One that is due already finds that it is not wanted any more. */
void tn_gserver_timer_stop(void *io, struct tn_gtimer *timer)
{
    struct tn_gserver *server = io;
    struct tn_gtimed *timed = timer->timed;
    if (!timer->armed) {
        return;
    }
    timer->armed = false;
    timer->timed = NULL;
    timed->of_core = NULL;
    if (tn_timer_stop(server->node, &timed->timer)) {
        free_timed(timed);
    }
}

void tn_gserver_timers_fini(struct tn_gserver *server)
{
    struct tn_gtimed *timed;
    while ((timed = LIST_FIRST(&server->timers)) != NULL) {
        (void)tn_timer_stop(server->node, &timed->timer);
        free_timed(timed);
    }
}

/* ---- being called ------------------------------------------------------ */

struct called {
    struct tn_gevent event; /* first */
    tenon_node *node;
    struct tn_gserial *serial;
    void (*fn)(tenon_node *node, void *user);
    void *user;
    bool done; /* guarded by the node's lock */
    pthread_cond_t done_cond;
};

/* It is gone once done is set. */
static void run_called(struct tn_gevent *event)
{
    struct called *called = (struct called *)event;
    tenon_node *node = called->node;
    called->fn(node, called->user);
    tn_lock(node);
    called->done = true;
    pthread_cond_signal(&called->done_cond);
    tn_unlock(node);
}

static void post_called(tenon_node *node, void *user)
{
    struct called *called = user;
    (void)node;
    tn_gserial_post(called->serial, &called->event);
}

enum tenon_err tn_global_call(tenon_node *node,
                              void (*fn)(tenon_node *node, void *user),
                              void *user)
{
    struct called called = { .event = { .fn = run_called },
                             .node = node,
                             .serial = tn_global_serial_of(node),
                             .fn = fn,
                             .user = user };
    if (!tn_condition_init(&called.done_cond)) {
        return TENON_E_SYSTEM;
    }
    enum tenon_err rc = tn_node_call_on_loop(node, post_called, &called);
    if (rc == TENON_OK) {
        tn_workers_block(&node->workers);
        tn_lock(node);
        while (!called.done) {
            tn_condition_wait(&called.done_cond, &node->lock, NULL);
        }
        tn_unlock(node);
        tn_workers_unblock(&node->workers);
    }
    pthread_cond_destroy(&called.done_cond);
    return rc;
}
