/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted of each service that is served here, and of each that is
 * dispatched from here. */
#ifndef TN_X3M_METRICS_H
#define TN_X3M_METRICS_H

#include <stdatomic.h>

#include <tenon/error.h>
#include <tenon/term.h>

#include "base/hash.h"
#include "base/histogram.h"

/* Of a tn_service. Zeroed memory is ready. */
struct tn_served_metrics {
    atomic_uint_fast64_t calls, refused, forwarded, failed;
    struct tn_histogram latency; /* of those that were replied to */
};

/* How a dispatch ended. */
enum tn_dispatched {
    TN_DISPATCHED_REPLY,
    TN_DISPATCHED_UNAVAILABLE,
    TN_DISPATCHED_TIMEOUT,
    TN_DISPATCHED_FAILED,
    TN_DISPATCHED_REFUSED,
};
#define TN_DISPATCHED_ENDS 5

/* Of a service's name. Lives as long as the node. */
struct tn_dispatch_metrics {
    UT_hash_handle hh; /* by name */
    atomic_uint_fast64_t calls;
    atomic_uint_fast64_t ends[TN_DISPATCHED_ENDS];
    struct tn_histogram latency; /* of those with a reply */
    char name[];
};

struct tn_x3m;

/* Adds the sections `services` and `dispatches`. Errors: LIMIT. A node without
 * metrics goes without. */
TENON_CHECK enum tenon_err tn_x3m_metrics_start(struct tn_x3m *x3m);
void tn_x3m_metrics_fini(struct tn_x3m *x3m);

/* Those of a service's name (an atom), counted as called. NULL: there are too
 * many names, or there is no memory; no name that C can hold. Threads: any,
 * without locks. */
struct tn_dispatch_metrics *tn_dispatch_metrics_of(struct tn_x3m *x3m,
                                                   tenon_term service);
/* metrics: may be NULL. start_ns: of tn_now_ns. */
void tn_dispatch_metrics_end(struct tn_dispatch_metrics *metrics,
                             enum tn_dispatched end,
                             uint64_t start_ns);

static inline void tn_count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
