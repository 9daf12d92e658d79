/* SPDX-License-Identifier: Apache-2.0 */
/* The pool: grows on demand up to its limit, shrinks when idle. */
#include "node/worker.h"

#include <stdlib.h>

#include "base/condition.h"
#include "base/error.h"
#include "base/thread.h"

/* Which pool the calling thread works for. */
static _Thread_local struct tn_workers *own_pool;

enum tenon_err
tn_workers_init(struct tn_workers *workers, uint32_t max, tenon_error *err)
{
    *workers = (struct tn_workers){ .max = max };
    STAILQ_INIT(&workers->queue);
    workers->finished = calloc(max, sizeof(*workers->finished));
    if (workers->finished == NULL) {
        return tn_error(err, TENON_E_NOMEM, "out of memory for %u workers",
                        max);
    }
    int rc = pthread_mutex_init(&workers->lock, NULL);
    if (rc != 0) {
        free(workers->finished);
        return tn_error_sys(err, TENON_E_SYSTEM, rc, "could not make a lock");
    }
    if (!tn_condition_init(&workers->work)) {
        goto no_work;
    }
    if (!tn_condition_init(&workers->thread_ended)) {
        goto no_ended;
    }
    return TENON_OK;
no_ended:
    pthread_cond_destroy(&workers->work);
no_work:
    pthread_mutex_destroy(&workers->lock);
    free(workers->finished);
    return tn_error(err, TENON_E_SYSTEM, "could not make a condition");
}

/* With the lock; NULL: the queue is empty. */
static struct tn_job *pop_job(struct tn_workers *workers)
{
    struct tn_job *job = STAILQ_FIRST(&workers->queue);
    if (job != NULL) {
        STAILQ_REMOVE_HEAD(&workers->queue, next);
        workers->waiting--;
        workers->taken++;
    }
    return job;
}

/* With the lock. Idle workers are woken one by one, each by the one before when
 * there is more to do: many small jobs do not wake them all. */
static void wake_one(struct tn_workers *workers)
{
    if (!workers->is_waking && workers->idle > 0 && workers->waiting > 0) {
        workers->is_waking = true;
        pthread_cond_signal(&workers->work);
    }
}

/* With the lock. NULL: the worker shall end. */
static struct tn_job *wait_for_job(struct tn_workers *workers)
{
    struct timespec until;
    tn_deadline(TN_WORKER_IDLE_MS, &until);
    while (STAILQ_EMPTY(&workers->queue)) {
        if (workers->stopping) {
            return NULL;
        }
        workers->idle++;
        bool in_time =
            tn_condition_wait(&workers->work, &workers->lock, &until);
        workers->idle--;
        workers->is_waking = false;
        if (!in_time && STAILQ_EMPTY(&workers->queue)) {
            return NULL;
        }
    }
    struct tn_job *job = pop_job(workers);
    wake_one(workers);
    return job;
}

static void *worker_main(void *arg)
{
    struct tn_workers *workers = arg;
    own_pool = workers;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct tn_job *job = wait_for_job(workers);
        if (job == NULL) {
            break;
        }
        pthread_mutex_unlock(&workers->lock);
        job->fn(job);
        pthread_mutex_lock(&workers->lock);
    }
    workers->total--;
    workers->finished[workers->finished_count++] = pthread_self();
    pthread_cond_broadcast(&workers->thread_ended);
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* With the lock: those threads need it no more. */
static void join_finished(struct tn_workers *workers)
{
    while (workers->finished_count > 0) {
        pthread_join(workers->finished[--workers->finished_count], NULL);
    }
}

/* With the lock. */
static void start_worker(struct tn_workers *workers)
{
    pthread_t thread;
    join_finished(workers);
    if (tn_thread_start(&thread, worker_main, workers) == 0) {
        workers->total++;
    }
}

/* With the lock. */
static void grow_if_short(struct tn_workers *workers)
{
    if (workers->idle < workers->waiting && workers->total < workers->max &&
        !workers->ended &&
        workers->total - workers->blocked < TN_WORKERS_BUSY) {
        start_worker(workers);
    }
}

bool tn_workers_push(struct tn_workers *workers, struct tn_job *job)
{
    pthread_mutex_lock(&workers->lock);
    STAILQ_INSERT_TAIL(&workers->queue, job, next);
    workers->waiting++;
    grow_if_short(workers);
    wake_one(workers);
    bool short_of_workers = workers->idle < workers->waiting;
    pthread_mutex_unlock(&workers->lock);
    return short_of_workers;
}

void tn_workers_block(struct tn_workers *workers)
{
    if (own_pool != workers) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->blocked++;
    grow_if_short(workers);
    pthread_mutex_unlock(&workers->lock);
}

void tn_workers_unblock(struct tn_workers *workers)
{
    if (own_pool != workers) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->blocked--;
    pthread_mutex_unlock(&workers->lock);
}

bool tn_workers_check_stall(struct tn_workers *workers, uint64_t *seen)
{
    pthread_mutex_lock(&workers->lock);
    bool waits = workers->waiting > 0;
    if (waits && workers->taken == *seen && workers->total < workers->max &&
        !workers->ended) {
        start_worker(workers);
    }
    *seen = workers->taken;
    pthread_mutex_unlock(&workers->lock);
    return waits;
}

bool tn_workers_stop(struct tn_workers *workers, uint32_t timeout_ms)
{
    struct timespec until;
    tn_deadline(timeout_ms, &until);
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->work);
    if (workers->total == 0 && workers->waiting > 0) {
        start_worker(workers);
    }
    bool in_time = true;
    while (workers->total > 0 && in_time) {
        in_time =
            tn_condition_wait(&workers->thread_ended, &workers->lock, &until);
    }
    bool all_ended = workers->total == 0;
    workers->ended = all_ended;
    join_finished(workers);
    pthread_mutex_unlock(&workers->lock);
    return all_ended;
}

static struct tn_job *next_left_over(struct tn_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    struct tn_job *job = pop_job(workers);
    pthread_mutex_unlock(&workers->lock);
    return job;
}

void tn_workers_fini(struct tn_workers *workers)
{
    struct tn_job *job;
    while ((job = next_left_over(workers)) != NULL) {
        job->fn(job);
    }
    pthread_cond_destroy(&workers->work);
    pthread_cond_destroy(&workers->thread_ended);
    pthread_mutex_destroy(&workers->lock);
    free(workers->finished);
}
