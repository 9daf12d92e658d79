/* SPDX-License-Identifier: Apache-2.0 */
/* The node: what its parts share, its loop thread, its start and stop. */
#ifndef TN_NODE_NODE_H
#define TN_NODE_NODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include <tenon/node.h>

#include "base/account.h"
#include "base/log.h"
#include "base/siphash.h"
#include "base/turn.h"
#include "base/writer.h"
#include "dist/conn.h"
#include "dist/epmd.h"
#include "dist/identity.h"
#include "node/access.h"
#include "node/alias.h"
#include "node/function.h"
#include "node/link.h"
#include "node/peer.h"
#include "node/process.h"
#include "node/request.h"
#include "node/rules.h"
#include "node/timer.h"
#include "node/transport.h"
#include "node/worker.h"

/* How long a stop waits for handlers, unless a test has more patience. */
#define TN_STOP_WORKERS_MS 1000u

/* Something that a higher part keeps with the node: found by its key, told of
 * the stop, freed with the node. */
struct tn_part {
    SLIST_ENTRY(tn_part) next;
    const char *key;
    void *part;
    void (*on_stop)(tenon_node *node, void *part);
    void (*free)(void *part);
};

/* A function to run on the loop thread. */
struct tn_loop_job {
    STAILQ_ENTRY(tn_loop_job) next;
    void (*fn)(tenon_node *node, void *user);
    void *user;
    bool on_heap; /* else on the stack of one who waits */
};

/* Lock order: node->lock, then a connection's output lock (inside dist/), then
 * workers.lock. No callback of any kind runs under node->lock. */
struct tenon_node {
    /* constant after the start */
    struct tn_name name;
    uint32_t creation;
    struct tn_sip_key hash_key;  /* of all tables; random */
    struct tn_sip_key token_key; /* of references and ids; random */
    uint16_t port;
    uint16_t port_max;
    bool no_epmd;
    struct tn_transport transport;
    char *rules_file; /* NULL: none */
    bool hidden;
    bool no_global;
    bool no_connect_all;
    uint32_t connect_timeout_ms;
    uint32_t ticktime_ms;
    uint32_t stop_workers_ms; /* the stop waits so long for handlers */
    uint32_t stop_max_ms;     /* tenon_node_run waits so long for the stop */
    size_t output_max_bytes;
    tn_budget *budget; /* of what peers make this node keep */
    struct tn_log log;
    struct tn_log program_log; /* the same for the program's lines: no rate */
    bool logs_to_stderr;
    tn_writer *log_writer;    /* has a lock of its own, as the next */
    tn_writer *stdout_writer; /* what the group leader prints */
    pthread_t loop_thread;    /* once loop_started */
    bool loop_started;
    char cookie[TN_COOKIE_MAX_BYTES + 1]; /* until the node is published */
    tenon_process *client;                /* whose pid our requests come from */
    /* Of processes that we spawn elsewhere; the client unless otp/ has set one
     * that speaks the IO protocol, before the node is published. */
    tenon_process *group_leader;

    pthread_mutex_t lock; /* guards all from here to the next remark */
    struct tn_processes processes;
    struct tn_functions functions;
    struct tn_peers peers;
    struct tn_monitors monitors;
    struct tn_aliases aliases;
    struct tn_requests requests;
    struct tn_timers timers;
    struct tn_process_queue inline_queue; /* processes the loop shall run */
    struct tn_process_queue doomed;
    struct tn_process_queue ending; /* have told some of those to be told */
    STAILQ_HEAD(, tn_loop_job) loop_jobs;
    SLIST_HEAD(, tn_part) parts;
    const char *reserved[TN_RESERVED_MAX]; /* names; the rest is NULL */
    pthread_cond_t peer_changed;           /* tenon_node_connect waits here */
    pthread_cond_t stop_cond; /* tenon_sleep and the stop wait here */
    struct tn_dirty {
        tn_conn **conns; /* kept; have output that is not written yet */
        size_t count, cap;
    } dirty;
    /* The loop writes what any thread sends, at the end of its turn. Set by
     * the loop thread alone. */
    bool gathers;
    tenon_node_stats counts; /* those that are counted here */
    bool stopping;           /* no new processes, peers, requests */
    /* Whose callbacks the loop thread is in; it keeps a reference. NULL: no
     * process's. Guarded by the lock. */
    const tenon_process *on_loop;
    bool stop_requested;   /* tenon_node_run shall return */
    uv_async_t *run_asked; /* tells it so; NULL: it does not run */
    bool dist_closed;      /* no connection is left */

    struct tn_workers workers; /* has a lock of its own */

    /* loop thread only */
    tn_rules *rules;     /* NULL: everybody may do everything */
    tn_conn *signalling; /* whose signal is handled now; NULL: none */
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    uv_timer_t stall;
    uv_prepare_t prepare;
    tn_dist *dist;
    tn_epmd *epmd;
    struct tn_turn turn;  /* its histogram is read by all */
    uint64_t timer_at_ms; /* when `timer` is due, while it is active */
    uint64_t stall_seen;
    bool has_crowd;          /* in this turn of the loop, see dist/crowd.h */
    bool had_crowd;          /* in the one before */
    unsigned inline_depth;   /* handlers that run inside another's handler */
    bool dist_freed;         /* tn_dist_free has been called */
    bool wake_stays;         /* a handler outlives the loop, and may wake it */
    uint64_t drain_until_ms; /* of the stop: output is waited for */

    atomic_uint_fast64_t last_token; /* how many; starts anywhere */
    atomic_bool stall_watch; /* the loop shall check for stalled workers */
    atomic_bool loop_closed; /* the loop takes no more jobs */
};

static inline void tn_lock(tenon_node *node)
{
    pthread_mutex_lock(&node->lock);
}

static inline void tn_unlock(tenon_node *node)
{
    pthread_mutex_unlock(&node->lock);
}

/* Threads: any, without the lock. */
/* As net_kernel:get_net_ticktime/0 has it. */
static inline uint32_t tn_ticktime_s(const tenon_node *node)
{
    return (node->ticktime_ms + 999) / 1000;
}

static inline bool tn_is_stopping(tenon_node *node)
{
    tn_lock(node);
    bool stopping = node->stopping;
    tn_unlock(node);
    return stopping;
}

static inline bool tn_on_loop(const tenon_node *node)
{
    return node->loop_started &&
           pthread_equal(pthread_self(), node->loop_thread) != 0;
}

/* Makes the loop thread look at its queues soon. Threads: any, with or without
 * the lock; on the loop itself it costs nothing. */
void tn_node_wake(tenon_node *node);

/* Releases the lock, and then writes what was sent under it and wakes the loop
 * when `wake` is set. From the loop thread itself both happen at the end of
 * the batch, and while it gathers it writes for all. */
void tn_leave(tenon_node *node, bool wake);

/* Queues a job for the workers. Threads: any, with or without the lock. */
void tn_node_push_job(tenon_node *node, struct tn_job *job);

/* Runs fn on the loop thread and waits until it has run; on the loop itself at
 * once. Allocates nothing. Errors: SYSTEM, STOPPED. Threads: any. */
enum tenon_err tn_node_call_on_loop(tenon_node *node,
                                    void (*fn)(tenon_node *, void *),
                                    void *user);

/* Runs fn on the loop thread soon. Errors: NOMEM, STOPPED. Threads: any. */
TENON_CHECK enum tenon_err tn_node_run_on_loop(tenon_node *node,
                                               void (*fn)(tenon_node *, void *),
                                               void *user);

/* Runs fn on a worker. Errors: NOMEM. Threads: any. */
TENON_CHECK enum tenon_err tn_node_run_on_worker(
    tenon_node *node, void (*fn)(tenon_node *, void *), void *user);

/* Keeps something with the node. The first of a key wins: EXISTS.
 * on_stop: may be NULL; called without the lock on the stopping thread while
 * everything still works. free: called when all threads have ended. */
TENON_CHECK enum tenon_err tn_node_attach(tenon_node *node,
                                          const char *key,
                                          void *part,
                                          void (*on_stop)(tenon_node *node,
                                                          void *part),
                                          void (*free)(void *part));
/* What was attached under the key; NULL: nothing. Threads: any. */
void *tn_node_part(tenon_node *node, const char *key);

/* Starts the runtime without the services of otp/; tenon_node_start adds
 * those. As tenon_node_start_sized. */
TENON_CHECK tenon_node *tn_node_start(const tenon_node_config *config);
/* Lets connections in and registers at epmd: last step of the start. On
 * failure the node is still there, to be stopped. */
TENON_CHECK enum tenon_err tn_node_publish(tenon_node *node, tenon_error *err);

/* The two parts of tenon_node_stop. The first one ends all threads and returns
 * whether the handlers have returned; the second one frees the node if they
 * have. Threads: as tenon_node_stop. */
bool tn_node_end(tenon_node *node);
void tn_node_dispose(tenon_node *node, bool ended);

/* 64 bits that only those can know who are told them: what a peer was asked
 * under them nobody else can answer. Threads: any; with or without the lock. */
uint64_t tn_node_make_token(tenon_node *node);

/* A reference nobody has had before, and nobody can foretell. Threads: any; with
 * or without the lock. */
void tn_node_make_ref(tenon_node *node, tenon_ref *ref);

/* Copies the fields that a caller of an older or newer version knows.
 * Errors: INVAL when the caller's unknown rest is not zero. */
TENON_CHECK enum tenon_err
tn_sized_copy(void *to, size_t to_size, const void *from, size_t from_size);

#endif
