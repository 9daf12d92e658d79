/* SPDX-License-Identifier: Apache-2.0 */
/* Counting durations. Orders nothing: each counter is right by itself. */
#include "base/histogram.h"

static const uint64_t bounds_us[TN_HISTOGRAM_BUCKETS - 1] = {
    1,      2,      5,       10,      20,      50,       100,   200,
    500,    1000,   2000,    5000,    10000,   20000,    50000, 100000,
    200000, 500000, 1000000, 2000000, 5000000, 10000000,
};

uint64_t tn_histogram_bound_us(unsigned bucket)
{
    return bucket < TN_HISTOGRAM_BUCKETS - 1 ? bounds_us[bucket] : 0;
}

static unsigned bucket_of(uint64_t ns)
{
    unsigned bucket = 0;
    while (bucket < TN_HISTOGRAM_BUCKETS - 1 && ns > bounds_us[bucket] * 1000) {
        bucket++;
    }
    return bucket;
}

void tn_histogram_add(struct tn_histogram *histogram, uint64_t ns)
{
    uint_fast64_t max =
        atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->counts[bucket_of(ns)], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, ns, memory_order_relaxed);
    while (ns > max && !atomic_compare_exchange_weak_explicit(
                           &histogram->max_ns, &max, ns, memory_order_relaxed,
                           memory_order_relaxed)) {
    }
}

void tn_histogram_read(const struct tn_histogram *histogram,
                       struct tn_histogram_view *view)
{
    view->count = 0;
    for (unsigned i = 0; i < TN_HISTOGRAM_BUCKETS; i++) {
        view->counts[i] =
            atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        view->count += view->counts[i];
    }
    view->sum_ns =
        atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
    view->max_ns =
        atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
}
