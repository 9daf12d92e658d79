/* SPDX-License-Identifier: Apache-2.0 */
/* libuv's side of the node: one thread, one loop, what wakes it. */
#include "node/loop.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "base/thread.h"
#include "node/lost.h"
#include "node/node.h"
#include "node/rules_load.h"

/* Between looks at output that is not written yet, at the stop. */
#define DRAIN_LOOK_MS 2u
/* While a crowd of a peer's processes calls, its signals gather for so long. */
#define CROWD_REST_NS UINT64_C(60000)

/* ---- before each wait -------------------------------------------------- */

bool tn_loop_is_spent(tenon_node *node)
{
    return node->loop_started && !atomic_load(&node->loop_closed) &&
           tn_turn_is_spent(&node->turn);
}

/* One at least, as with all that follows: nothing that comes before takes its
 * place in every turn. */
static void run_jobs(tenon_node *node)
{
    do {
        tn_lock(node);
        struct tn_loop_job *job = STAILQ_FIRST(&node->loop_jobs);
        if (job != NULL) {
            STAILQ_REMOVE_HEAD(&node->loop_jobs, next);
        }
        tn_unlock(node);
        if (job == NULL) {
            return;
        }
        /* What lies on a waiter's stack is gone once its function has run. */
        bool on_heap = job->on_heap;
        job->fn(node, job->user);
        if (on_heap) {
            free(job);
        }
    } while (!tn_loop_is_spent(node));
}

/* When the loop has to look again, as tn_now_ms; 0: there is work now,
 * UINT64_MAX: when it is woken. */
static uint64_t next_look(tenon_node *node)
{
    uint64_t at = UINT64_MAX;
    tn_lock(node);
    if (!STAILQ_EMPTY(&node->loop_jobs) || !STAILQ_EMPTY(&node->inline_queue) ||
        node->dirty.count > 0 || node->peers.wanted ||
        tn_lost_is_waiting_locked(node) || !STAILQ_EMPTY(&node->doomed) ||
        !STAILQ_EMPTY(&node->ending)) {
        at = 0;
    } else if (node->timers.count > 0) {
        at = node->timers.heap[1]->deadline_ms;
        if (at <= tn_now_ms()) {
            at = 0;
        }
    }
    tn_unlock(node);
    return at;
}

static void timer_is_due(uv_timer_t *timer)
{
    (void)timer; /* what is due runs before the next wait */
}

static void stall_look(uv_timer_t *timer)
{
    tenon_node *node = timer->data;
    if (!tn_workers_check_stall(&node->workers, &node->stall_seen)) {
        uv_timer_stop(timer);
        atomic_store(&node->stall_watch, false);
        /* A job may have come between the look and the store. */
        if (tn_workers_check_stall(&node->workers, &node->stall_seen)) {
            atomic_store(&node->stall_watch, true);
            uv_timer_start(timer, stall_look, TN_WORKER_STALL_MS,
                           TN_WORKER_STALL_MS);
        }
    }
}

static void do_work(tenon_node *node)
{
    tn_turn_share(&node->turn);
    run_jobs(node);
    (void)tn_timers_run(node);
    tn_lost_run(node);
    tn_processes_go_on_ending(node);
    tn_peers_connect_wanted(node);
    tn_processes_run_inline(node);
    tn_peers_flush_dirty(node);
}

/* at: as next_look says. */
static void set_timer(tenon_node *node, uint64_t at)
{
    bool active = uv_is_active((uv_handle_t *)&node->timer);
    if (at == UINT64_MAX) {
        uv_timer_stop(&node->timer);
    } else if (!active || at == 0 || at != node->timer_at_ms) {
        uint64_t now = tn_now_ms();
        uv_update_time(&node->loop);
        uv_timer_start(&node->timer, timer_is_due, at > now ? at - now : 0, 0);
    }
    node->timer_at_ms = at;
}

/* Each of the threads that a crowd's signals wake would write a little. */
void tn_loop_gather(tenon_node *node)
{
    if (node->had_crowd && !node->gathers) {
        tn_lock(node);
        node->gathers = true;
        tn_unlock(node);
    }
}

static void end_turn(tenon_node *node)
{
    node->had_crowd = node->has_crowd;
    node->has_crowd = false;
    if (node->had_crowd) {
        tn_rest_ns(CROWD_REST_NS);
    }
    if (node->gathers) {
        tn_lock(node);
        node->gathers = false;
        tn_unlock(node);
        tn_peers_flush_dirty(node);
    }
}

/* Between two batches of frames there is mostly nothing to do. */
static void before_wait(uv_prepare_t *prepare)
{
    tenon_node *node = prepare->data;
    end_turn(node);
    uint64_t at = next_look(node);
    if (at == 0) {
        do_work(node);
        at = next_look(node);
    }
    if (node->loop_started) {
        tn_turn_end(&node->turn);
    }
    if (uv_is_closing((uv_handle_t *)&node->timer)) {
        return;
    }
    if (node->dist != NULL && tn_dist_serve_postponed(node->dist)) {
        at = 0; /* there is more, or it has left some work */
    }
    set_timer(node, at);
    if (atomic_load(&node->stall_watch) &&
        !uv_is_active((uv_handle_t *)&node->stall)) {
        uv_timer_start(&node->stall, stall_look, TN_WORKER_STALL_MS,
                       TN_WORKER_STALL_MS);
    }
}

static void woken(uv_async_t *wake)
{
    (void)wake; /* the work is done before the next wait */
}

/* ---- from other threads ------------------------------------------------ */

void tn_node_wake(tenon_node *node)
{
    if (node->loop_started && !tn_on_loop(node) &&
        !atomic_load(&node->loop_closed)) {
        uv_async_send(&node->wake);
    }
}

void tn_leave(tenon_node *node, bool wake)
{
    bool dirty = node->dirty.count > 0 && !node->gathers;
    tn_unlock(node);
    if (tn_on_loop(node)) {
        return;
    }
    if (dirty) {
        tn_peers_flush_dirty(node);
    }
    if (wake) {
        tn_node_wake(node);
    }
}

void tn_node_push_job(tenon_node *node, struct tn_job *job)
{
    if (tn_workers_push(&node->workers, job) &&
        !atomic_exchange(&node->stall_watch, true)) {
        tn_node_wake(node);
    }
}

/* False: the loop takes no more. */
static bool queue_job(tenon_node *node, struct tn_loop_job *job)
{
    tn_lock(node);
    bool open = !atomic_load(&node->loop_closed) && node->loop_started;
    if (open) {
        STAILQ_INSERT_TAIL(&node->loop_jobs, job, next);
        /* Under the lock, so that the loop cannot have been closed since. */
        tn_node_wake(node);
    }
    tn_unlock(node);
    return open;
}

enum tenon_err tn_node_run_on_loop(tenon_node *node,
                                   void (*fn)(tenon_node *, void *),
                                   void *user)
{
    struct tn_loop_job *job = malloc(sizeof(*job));
    if (job == NULL) {
        return TENON_E_NOMEM;
    }
    *job = (struct tn_loop_job){ .fn = fn, .user = user, .on_heap = true };
    if (!queue_job(node, job)) {
        free(job);
        return TENON_E_STOPPED;
    }
    return TENON_OK;
}

struct loop_call {
    struct tn_loop_job job;
    void (*fn)(tenon_node *node, void *user);
    void *user;
    pthread_cond_t done_cond;
    bool done;
};

static void run_loop_call(tenon_node *node, void *user)
{
    struct loop_call *call = user;
    call->fn(node, call->user);
    tn_lock(node);
    call->done = true;
    pthread_cond_signal(&call->done_cond);
    tn_unlock(node);
}

enum tenon_err tn_node_call_on_loop(tenon_node *node,
                                    void (*fn)(tenon_node *, void *),
                                    void *user)
{
    struct loop_call call = { .fn = fn, .user = user };
    if (tn_on_loop(node) || !node->loop_started) {
        fn(node, user);
        return TENON_OK;
    }
    if (!tn_condition_init(&call.done_cond)) {
        return TENON_E_SYSTEM;
    }
    call.job = (struct tn_loop_job){ .fn = run_loop_call, .user = &call };
    enum tenon_err rc = TENON_E_STOPPED;
    if (queue_job(node, &call.job)) {
        rc = TENON_OK;
        tn_lock(node);
        while (!call.done) {
            tn_condition_wait(&call.done_cond, &node->lock, NULL);
        }
        tn_unlock(node);
    }
    pthread_cond_destroy(&call.done_cond);
    return rc;
}

struct worker_call {
    struct tn_job job; /* first: the pool gives it back */
    tenon_node *node;
    void (*fn)(tenon_node *node, void *user);
    void *user;
};

static void run_worker_call(struct tn_job *job)
{
    struct worker_call *call = (struct worker_call *)job;
    call->fn(call->node, call->user);
    free(call);
}

enum tenon_err tn_node_run_on_worker(tenon_node *node,
                                     void (*fn)(tenon_node *, void *),
                                     void *user)
{
    struct worker_call *call = malloc(sizeof(*call));
    if (call == NULL) {
        return TENON_E_NOMEM;
    }
    *call = (struct worker_call){
        .job = { .fn = run_worker_call }, .node = node, .fn = fn, .user = user
    };
    tn_node_push_job(node, &call->job);
    return TENON_OK;
}

/* ---- start ------------------------------------------------------------- */

enum tenon_err tn_loop_init(tenon_node *node, tenon_error *err)
{
    int rc = uv_loop_init(&node->loop);
    if (rc != 0) {
        return tn_error(err, TENON_E_SYSTEM,
                        "could not make the event loop: %s", uv_strerror(rc));
    }
    rc = uv_async_init(&node->loop, &node->wake, woken);
    if (rc != 0) {
        uv_loop_close(&node->loop);
        return tn_error(err, TENON_E_SYSTEM,
                        "could not make the loop's wake-up: %s",
                        uv_strerror(rc));
    }
    /* These cannot fail. */
    uv_timer_init(&node->loop, &node->timer);
    uv_timer_init(&node->loop, &node->stall);
    uv_prepare_init(&node->loop, &node->prepare);
    node->stall.data = node;
    node->prepare.data = node;
    uv_prepare_start(&node->prepare, before_wait);
    return TENON_OK;
}

static void *loop_main(void *arg)
{
    tenon_node *node = arg;
    /* The creator fills in the thread's identity under the lock. */
    tn_lock(node);
    tn_unlock(node);
    tn_clock_rest_finely();
    tn_turn_start(&node->turn);
    uv_run(&node->loop, UV_RUN_DEFAULT);
    return NULL;
}

enum tenon_err tn_loop_start(tenon_node *node, tenon_error *err)
{
    tn_lock(node);
    int rc = tn_thread_start(&node->loop_thread, loop_main, node);
    node->loop_started = rc == 0;
    tn_unlock(node);
    if (rc != 0) {
        return tn_error_sys(err, TENON_E_SYSTEM, rc,
                            "could not start the loop thread");
    }
    return TENON_OK;
}

/* ---- stop -------------------------------------------------------------- */

static void free_dist(tenon_node *node)
{
    if (node->dist != NULL && !node->dist_freed) {
        node->dist_freed = true;
        tn_dist_free(node->dist);
    }
}

static void drain_look(uv_timer_t *timer)
{
    tenon_node *node = timer->data;
    if (tn_peers_output_waiting(node) > 0 &&
        tn_now_ms() < node->drain_until_ms) {
        return;
    }
    uv_timer_stop(timer);
    free_dist(node);
}

static void start_drain(tenon_node *node, void *user)
{
    (void)user;
    tn_peers_flush_dirty(node);
    tn_epmd_free(node->epmd);
    node->epmd = NULL;
    /* The stop has no more use for the check of stalled workers. */
    uv_timer_start(&node->stall, drain_look, 0, DRAIN_LOOK_MS);
}

void tn_loop_drain(tenon_node *node, uint32_t timeout_ms)
{
    node->drain_until_ms = tn_now_ms() + timeout_ms;
    if (!node->loop_started) {
        return;
    }
    (void)tn_node_call_on_loop(node, start_drain, NULL);
    struct timespec until;
    tn_deadline(timeout_ms, &until);
    tn_lock(node);
    while (!node->dist_closed &&
           tn_condition_wait(&node->stop_cond, &node->lock, &until)) {
    }
    tn_unlock(node);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void close_handles(tenon_node *node, void *user)
{
    (void)user;
    tn_lock(node);
    atomic_store(&node->loop_closed, true);
    tn_unlock(node);
    if (node->epmd != NULL) {
        tn_epmd_free(node->epmd);
        node->epmd = NULL;
    }
    free_dist(node);
    close_handle((uv_handle_t *)&node->timer);
    close_handle((uv_handle_t *)&node->stall);
    close_handle((uv_handle_t *)&node->prepare);
    if (node->wake_stays) {
        uv_unref((uv_handle_t *)&node->wake);
    } else {
        close_handle((uv_handle_t *)&node->wake);
    }
}

void tn_loop_close(tenon_node *node, bool handlers_ended)
{
    node->wake_stays = !handlers_ended;
    (void)tn_node_call_on_loop(node, close_handles, NULL);
    if (node->loop_started) {
        pthread_join(node->loop_thread, NULL);
    } else {
        before_wait(&node->prepare); /* the last callbacks of processes */
        uv_run(&node->loop, UV_RUN_DEFAULT);
    }
    if (handlers_ended) {
        uv_loop_close(&node->loop);
    }
}
