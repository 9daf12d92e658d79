/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of a node: one heap, driven by the loop thread. */
#ifndef TN_NODE_TIMER_H
#define TN_NODE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/error.h>
#include <tenon/node.h>

struct tn_timer;

/* Called on the loop thread without the node's lock; must not block. The
 * timer is no longer armed and may be armed again, or freed. */
typedef void (*tn_timer_fn)(struct tn_timer *timer, void *user);

/* Embedded by its owner, zeroed before its first use. Guarded by the node's
 * lock while armed. */
struct tn_timer {
    uint64_t deadline_ms; /* tn_now_ms */
    size_t slot;          /* place in the heap, from 1; 0: not armed */
    tn_timer_fn fn;
    void *user;
};

/* The timers that are armed; guarded by the node's lock. */
struct tn_timers {
    struct tn_timer **heap; /* heap[1] is the earliest */
    size_t count;
    size_t cap;
};

/* Arms a timer, or arms it anew.
 * Errors: NOMEM. Threads: any, without the node's lock. Blocks: no. */
TENON_CHECK enum tenon_err tn_timer_start(tenon_node *node,
                                          struct tn_timer *timer,
                                          uint64_t delay_ms,
                                          tn_timer_fn fn,
                                          void *user);
/* The same for callers that hold the lock; they call tn_node_wake after
 * unlocking when *wake was set. */
TENON_CHECK enum tenon_err tn_timer_start_locked(tenon_node *node,
                                                 struct tn_timer *timer,
                                                 uint64_t delay_ms,
                                                 tn_timer_fn fn,
                                                 void *user,
                                                 bool *wake);

/* Disarms. False when it was not armed: its function has run, is running on
 * the loop, or never will. On the loop thread false means that it is not
 * about to run. Threads: any, without the lock. */
bool tn_timer_stop(tenon_node *node, struct tn_timer *timer);
/* The same with the lock held. */
bool tn_timer_stop_locked(tenon_node *node, struct tn_timer *timer);

/* Loop thread: runs what is due; returns milliseconds until the next, or
 * UINT64_MAX when there is none. */
uint64_t tn_timers_run(tenon_node *node);
void tn_timers_fini(struct tn_timers *timers);

#endif
