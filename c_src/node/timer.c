/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of armed timers; heap[1] is due first. */
#include "node/timer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "node/loop.h"
#include "node/node.h"

/* With the deadlines of all pending calls and the node's own. */
#define FIRST_CAP 64u

static void place(struct tn_timers *timers, size_t slot, struct tn_timer *timer)
{
    timers->heap[slot] = timer;
    timer->slot = slot;
}

static void sift_up(struct tn_timers *timers, size_t slot)
{
    struct tn_timer *timer = timers->heap[slot];
    while (slot > 1 &&
           timers->heap[slot / 2]->deadline_ms > timer->deadline_ms) {
        place(timers, slot, timers->heap[slot / 2]);
        slot /= 2;
    }
    place(timers, slot, timer);
}

static void sift_down(struct tn_timers *timers, size_t slot)
{
    struct tn_timer *timer = timers->heap[slot];
    for (;;) {
        size_t child = slot * 2;
        if (child > timers->count) {
            break;
        }
        if (child < timers->count && timers->heap[child + 1]->deadline_ms <
                                         timers->heap[child]->deadline_ms) {
            child++;
        }
        if (timers->heap[child]->deadline_ms >= timer->deadline_ms) {
            break;
        }
        place(timers, slot, timers->heap[child]);
        slot = child;
    }
    place(timers, slot, timer);
}

static enum tenon_err make_room(struct tn_timers *timers)
{
    if (timers->count + 1 < timers->cap) {
        return TENON_OK;
    }
    size_t cap = timers->cap == 0 ? FIRST_CAP : timers->cap * 2;
    struct tn_timer **heap = realloc(timers->heap, cap * sizeof(*heap));
    if (heap == NULL) {
        return TENON_E_NOMEM;
    }
    timers->heap = heap;
    timers->cap = cap;
    return TENON_OK;
}

static void take_out(struct tn_timers *timers, struct tn_timer *timer)
{
    size_t slot = timer->slot;
    struct tn_timer *last = timers->heap[timers->count--];
    timer->slot = 0;
    if (last == timer) {
        return;
    }
    place(timers, slot, last);
    sift_up(timers, slot);
    sift_down(timers, last->slot);
}

enum tenon_err tn_timer_start_locked(tenon_node *node,
                                     struct tn_timer *timer,
                                     uint64_t delay_ms,
                                     tn_timer_fn fn,
                                     void *user,
                                     bool *wake)
{
    struct tn_timers *timers = &node->timers;
    if (timer->slot != 0) {
        take_out(timers, timer);
    }
    if (make_room(timers) != TENON_OK) {
        return TENON_E_NOMEM;
    }
    timer->deadline_ms = tn_now_ms() + delay_ms;
    timer->fn = fn;
    timer->user = user;
    timers->count++;
    timers->heap[timers->count] = timer;
    sift_up(timers, timers->count);
    if (timer->slot == 1) {
        *wake = true;
    }
    return TENON_OK;
}

enum tenon_err tn_timer_start(tenon_node *node,
                              struct tn_timer *timer,
                              uint64_t delay_ms,
                              tn_timer_fn fn,
                              void *user)
{
    bool wake = false;
    tn_lock(node);
    enum tenon_err rc =
        tn_timer_start_locked(node, timer, delay_ms, fn, user, &wake);
    tn_unlock(node);
    if (wake) {
        tn_node_wake(node);
    }
    return rc;
}

bool tn_timer_stop_locked(tenon_node *node, struct tn_timer *timer)
{
    if (timer->slot == 0) {
        return false;
    }
    take_out(&node->timers, timer);
    return true;
}

bool tn_timer_stop(tenon_node *node, struct tn_timer *timer)
{
    tn_lock(node);
    bool stopped = tn_timer_stop_locked(node, timer);
    tn_unlock(node);
    return stopped;
}

uint64_t tn_timers_run(tenon_node *node)
{
    struct tn_timers *timers = &node->timers;
    uint64_t now = tn_now_ms();
    uint64_t next = UINT64_MAX;
    tn_lock(node);
    while (timers->count > 0) {
        struct tn_timer *timer = timers->heap[1];
        if (timer->deadline_ms > now) {
            next = timer->deadline_ms - now;
            break;
        }
        take_out(timers, timer);
        tn_timer_fn fn = timer->fn;
        void *user = timer->user;
        tn_unlock(node);
        fn(timer, user);
        bool spent = tn_loop_is_spent(node);
        tn_lock(node);
        if (spent) {
            next = 0;
            break;
        }
    }
    tn_unlock(node);
    return next;
}

void tn_timers_fini(struct tn_timers *timers)
{
    free(timers->heap);
    *timers = (struct tn_timers){ 0 };
}
