/* SPDX-License-Identifier: Apache-2.0 */
/* tenon:metrics/0, and the sections of its answer that other parts add. */
#ifndef TN_OTP_METRICS_H
#define TN_OTP_METRICS_H

#include <tenon/telemetry.h>

#include "base/histogram.h"

/* Most sections besides those of the node itself. */
#define TN_METRICS_SECTIONS_MAX 8u

/* Appends the section's value, one term. Any thread, without the node's lock;
 * must not block. */
typedef void (*tn_metrics_fn)(void *user, tenon_builder *out);

/* Before the node is published. Errors: EXISTS, NOMEM. */
TENON_CHECK enum tenon_err tn_metrics_start(tenon_node *node, tenon_error *err);

/* Adds a section; the first of a key stays. key: lives as long as the node.
 * Errors: LIMIT; NOT_FOUND, the
 * node has no metrics. Threads: any. */
TENON_CHECK enum tenon_err
tn_metrics_add(tenon_node *node, const char *key, tn_metrics_fn fn, void *user);

/* Appends a histogram as <tenon/telemetry.h> describes it. */
void tn_metrics_build_histogram(tenon_builder *out,
                                const struct tn_histogram *histogram);

#endif
