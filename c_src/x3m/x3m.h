/* SPDX-License-Identifier: Apache-2.0 */
/* What X3m.System's parts share in one node: the routers, the registry, the
 * dispatches under way. */
#ifndef TN_X3M_X3M_H
#define TN_X3M_X3M_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <tenon/x3m.h>

#include "node/timer.h"
#include "x3m/services.h"
#include "x3m/telemetry.h"

struct tn_attempt;
struct tn_gone;
LIST_HEAD(tn_attempt_list, tn_attempt);
SLIST_HEAD(tn_router_list, tenon_router);

/* Attached to the node; lives as long as it. */
struct tn_x3m {
    tenon_node *node;
    const struct tn_sip_key *hash_key; /* the node's */
    struct tn_telemetry telemetry;     /* has a lock of its own */

    pthread_mutex_t start_lock; /* guards the start; taken before lock */
    bool started;

    /* Guards all below. Nothing is called under it but the functions of
     * services.h and builders. */
    pthread_mutex_t lock;
    struct tn_router_list routers;
    struct tn_service *local; /* uthash by name: registered, of all routers */
    struct tn_remotes remotes;
    struct tn_attempt_list attempts;
    unsigned attempt_count;
    struct tn_dispatch_metrics *dispatched; /* uthash by service name */

    STAILQ_HEAD(, tn_gone) gone; /* nodes, one for each poke of the registry */

    tenon_process *registry; /* kept; set by the start */
    struct tn_timer exchange;
};

/* The node's X3m part, made when there is none; starts nothing.
 * NULL: NOMEM, STOPPED. Threads: any. Blocks: no. */
TENON_CHECK struct tn_x3m *tn_x3m_get(tenon_node *node);

/* The same, with the registry running and services found by peers.
 * err: borrowed, may be NULL. Threads: any, without locks. Blocks: no. */
TENON_CHECK struct tn_x3m *tn_x3m_start(tenon_node *node, tenon_error *err);

static inline void tn_x3m_lock(struct tn_x3m *x3m)
{
    pthread_mutex_lock(&x3m->lock);
}

static inline void tn_x3m_unlock(struct tn_x3m *x3m)
{
    pthread_mutex_unlock(&x3m->lock);
}

#endif
