/* SPDX-License-Identifier: Apache-2.0 */
/* How long something took, counted by magnitude: fixed buckets that any thread
 * adds to without a lock. */
#ifndef TN_BASE_HISTOGRAM_H
#define TN_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

/* 1, 2, 5, 10, ... 10000000 microseconds, and one for all that took longer. */
#define TN_HISTOGRAM_BUCKETS 23u

/* Zeroed memory is an empty one. */
struct tn_histogram {
    atomic_uint_fast64_t counts[TN_HISTOGRAM_BUCKETS];
    atomic_uint_fast64_t sum_ns;
    atomic_uint_fast64_t max_ns;
};

/* What it held; the parts are read one after the other. */
struct tn_histogram_view {
    uint64_t counts[TN_HISTOGRAM_BUCKETS];
    uint64_t count; /* of all buckets */
    uint64_t sum_ns;
    uint64_t max_ns;
};

/* The longest time that a bucket takes, in microseconds; 0 for the last, which
 * takes them all. */
uint64_t tn_histogram_bound_us(unsigned bucket);

/* Threads: any. Blocks: no. */
void tn_histogram_add(struct tn_histogram *histogram, uint64_t ns);
void tn_histogram_read(const struct tn_histogram *histogram,
                       struct tn_histogram_view *view);

#endif
