/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of worker threads, which run handlers and callbacks. */
#ifndef TN_NODE_WORKER_H
#define TN_NODE_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tenon/error.h>
#include <tenon/node.h>

struct tn_job;
typedef void (*tn_job_fn)(struct tn_job *job);

/* One piece of work. Embedded by its owner; the pool does not touch it after
 * it has called fn, which may free it. */
struct tn_job {
    STAILQ_ENTRY(tn_job) next;
    tn_job_fn fn;
};
STAILQ_HEAD(tn_job_queue, tn_job);

#define TN_WORKERS_MAX_DEFAULT 256u
/* A worker without work ends after this time. */
#define TN_WORKER_IDLE_MS 10000u
/* The pool grows to this size whenever nobody is idle; beyond it only for
 * workers that are blocked in a call of ours, or when work has waited for
 * TN_WORKER_STALL_MS. */
#define TN_WORKERS_BUSY 4u
#define TN_WORKER_STALL_MS 10u

struct tn_workers {
    pthread_mutex_t lock; /* guards all below; taken last, holds nothing */
    pthread_cond_t work;
    pthread_cond_t thread_ended;
    struct tn_job_queue queue;
    uint64_t taken;   /* jobs taken out so far: progress, for stall checks */
    uint32_t waiting; /* jobs in the queue */
    uint32_t total;   /* threads */
    uint32_t idle;    /* of them waiting for work */
    uint32_t blocked; /* of them inside a blocking call of ours */
    uint32_t max;
    bool is_waking;      /* one that was idle is on its way to the queue */
    pthread_t *finished; /* threads to be joined; room for max */
    uint32_t finished_count;
    bool stopping;
    bool ended; /* all threads are gone, and none is started any more */
};

TENON_CHECK enum tenon_err
tn_workers_init(struct tn_workers *workers, uint32_t max, tenon_error *err);
/* Runs what is queued, then ends all threads. What is pushed from then on
 * waits for tn_workers_fini. False when some still run after timeout_ms: the
 * pool, and all that they may use, must then stay.
 * Blocks: up to timeout_ms. */
bool tn_workers_stop(struct tn_workers *workers, uint32_t timeout_ms);
/* After a stop that returned true, when nobody else can push any more: runs
 * what has been pushed since, on the calling thread, and frees the pool. */
void tn_workers_fini(struct tn_workers *workers);

/* Queues a job. True when nobody is there to take it at once: the caller sees
 * to it that tn_workers_check_stall is called. Threads: any. Blocks: no. */
bool tn_workers_push(struct tn_workers *workers, struct tn_job *job);

/* Around a blocking wait on a worker thread. Threads: any (on threads that are
 * no workers they do nothing). */
void tn_workers_block(struct tn_workers *workers);
void tn_workers_unblock(struct tn_workers *workers);

/* Starts another thread when work has not moved since the last call; the loop
 * thread calls this every TN_WORKER_STALL_MS while work waits.
 * seen  in and out: the caller's memory of `taken`.
 * Returns true while work waits. */
bool tn_workers_check_stall(struct tn_workers *workers, uint64_t *seen);

#endif
