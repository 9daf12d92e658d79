/* SPDX-License-Identifier: Apache-2.0 */
/* A node in the foreground: runs until a signal or its user ends it, and ends
 * within a time that is known before. Its signals come to a loop of the calling
 * thread, because an inline handler that never returns keeps the node's one. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <uv.h>

#include "base/thread.h"
#include "node/node.h"
#include "node/output.h"
#include "node/rules_load.h"
#include "node/transport.h"

/* Owned by the calling thread; by the stopping one as well, once that has been
 * started, and left to it when it does not end in time. */
struct node_run {
    tenon_node *node;
    uv_loop_t loop;
    uv_async_t asked;   /* the node is to stop; any thread */
    uv_async_t stopped; /* the stopping thread is done; any thread */
    uv_signal_t sigint, sigterm, sighup;
    uv_timer_t timeout;
    pthread_t stopping;
    bool is_stopping;
    bool is_late;
    bool has_ended; /* the handlers; set before `stopped` */
};

static void signal_came(uv_signal_t *handle, int number)
{
    struct node_run *run = handle->data;
    if (!run->is_stopping) {
        tn_log(&run->node->log, TN_INFO, "signal", "number", TN_INT(number),
               NULL);
        tenon_node_request_stop(run->node);
    }
}

static bool watches_hup(const tenon_node *node)
{
    return node->transport.is_tls || node->rules_file != NULL;
}

static void reload_asked(uv_signal_t *handle, int number)
{
    const struct node_run *run = handle->data;
    (void)number;
    if (run->is_stopping) {
        return; /* the workers may be gone */
    }
    if (run->node->transport.is_tls) {
        tn_transport_reload_later(run->node);
    }
    tn_rules_reload_later(run->node);
}

/* ---- the stop ------------------------------------------------------------ */

static void *stop_node(void *arg)
{
    struct node_run *run = arg;
    run->has_ended = tn_node_end(run->node);
    uv_async_send(&run->stopped);
    return NULL;
}

static void log_late(tenon_node *node)
{
    char pid[64] = "";
    tn_lock(node);
    const tenon_process *process = node->on_loop;
    const char *kind = process != NULL ? process->class->kind : NULL;
    if (process != NULL) {
        tenon_term_print(tn_process_pid(process), pid, sizeof pid);
    }
    tn_unlock(node);
    tn_log(&node->log, TN_ERROR, "stop_timeout", "waited_ms",
           TN_UINT(node->stop_max_ms), "waiting_for",
           kind != NULL ? "inline handler" : "stop", "process",
           kind != NULL ? pid : NULL, "kind", kind, NULL);
}

static void stop_took_too_long(uv_timer_t *timer)
{
    struct node_run *run = timer->data;
    run->is_late = true;
    uv_stop(&run->loop);
}

static void stop_is_done(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void stop_asked(uv_async_t *async)
{
    struct node_run *run = async->data;
    tn_lock(run->node);
    bool asked = run->node->stop_requested;
    tn_unlock(run->node);
    if (!asked || run->is_stopping) {
        return;
    }
    run->is_stopping = true;
    if (tn_thread_start(&run->stopping, stop_node, run) != 0) {
        run->is_late = true;
        uv_stop(&run->loop);
        return;
    }
    uv_timer_start(&run->timeout, stop_took_too_long, run->node->stop_max_ms,
                   0);
}

/* ---- the run ------------------------------------------------------------- */

static bool run_init(struct node_run *run)
{
    if (uv_loop_init(&run->loop) != 0) {
        return false;
    }
    if (uv_async_init(&run->loop, &run->asked, stop_asked) != 0) {
        uv_loop_close(&run->loop);
        return false;
    }
    run->asked.data = run;
    /* The rest of what a loop needs is there by now: these cannot fail. */
    (void)uv_async_init(&run->loop, &run->stopped, stop_is_done);
    uv_timer_init(&run->loop, &run->timeout);
    run->timeout.data = run;
    uv_signal_t *const signals[] = { &run->sigint, &run->sigterm,
                                     &run->sighup };
    for (size_t i = 0; i < 3; i++) {
        uv_signal_init(&run->loop, signals[i]);
        signals[i]->data = run;
    }
    uv_signal_start(&run->sigint, signal_came, SIGINT);
    uv_signal_start(&run->sigterm, signal_came, SIGTERM);
    if (watches_hup(run->node)) {
        uv_signal_start(&run->sighup, reload_asked, SIGHUP);
    }
    return true;
}

/* A caller that has blocked them keeps those that come before the run. */
static void unblock_signals(const tenon_node *node, sigset_t *before)
{
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGTERM);
    if (watches_hup(node)) {
        sigaddset(&handled, SIGHUP);
    }
    pthread_sigmask(SIG_UNBLOCK, &handled, before);
}

static void set_wake(tenon_node *node, uv_async_t *asked)
{
    tn_lock(node);
    node->run_asked = asked;
    tn_unlock(node);
}

static void close_handle(uv_handle_t *handle, void *user)
{
    (void)user;
    uv_close(handle, NULL);
}

static int finish(struct node_run *run)
{
    pthread_join(run->stopping, NULL);
    uv_walk(&run->loop, close_handle, NULL);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    uv_loop_close(&run->loop);
    tn_node_dispose(run->node, run->has_ended);
    free(run);
    return 0;
}

/* What the stopping thread may still touch is never freed. */
static int abandon(struct node_run *run)
{
    uv_signal_stop(&run->sigint);
    uv_signal_stop(&run->sigterm);
    uv_signal_stop(&run->sighup);
    log_late(run->node);
    tn_output_stop(run->node);
    return TENON_RUN_STUCK;
}

int tenon_node_run(tenon_node *node)
{
    if (node == NULL) {
        return 1;
    }
    struct node_run *run = calloc(1, sizeof *run);
    if (run != NULL) {
        run->node = node;
    }
    if (run == NULL || !run_init(run)) {
        tn_log(&node->log, TN_ERROR, "run_failed", "reason",
               "no room for an event loop", NULL);
        free(run);
        tenon_node_stop(node);
        return 1;
    }
    sigset_t before;
    unblock_signals(node, &before);
    set_wake(node, &run->asked);
    uv_async_send(&run->asked); /* it may have been asked before */
    uv_run(&run->loop, UV_RUN_DEFAULT);
    set_wake(node, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return run->is_late ? abandon(run) : finish(run);
}

void tenon_node_request_stop(tenon_node *node)
{
    if (node == NULL) {
        return;
    }
    tn_lock(node);
    node->stop_requested = true;
    if (node->run_asked != NULL) {
        uv_async_send(node->run_asked);
    }
    tn_unlock(node);
}
