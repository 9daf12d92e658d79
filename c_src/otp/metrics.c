/* SPDX-License-Identifier: Apache-2.0 */
/* What the node has counted, as one map. */
#include "otp/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/node.h"
#include "term/build.h"

#define PART "otp/metrics"

/* Guarded by the node's lock; only grows. */
struct metrics {
    struct {
        const char *key;
        tn_metrics_fn fn;
        void *user;
    } sections[TN_METRICS_SECTIONS_MAX];
    size_t count;
};

static bool has_section(const struct metrics *metrics, const char *key)
{
    for (size_t i = 0; i < metrics->count; i++) {
        if (strcmp(metrics->sections[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

enum tenon_err
tn_metrics_add(tenon_node *node, const char *key, tn_metrics_fn fn, void *user)
{
    struct metrics *metrics = tn_node_part(node, PART);
    enum tenon_err rc = TENON_E_LIMIT;
    if (metrics == NULL) {
        return TENON_E_NOT_FOUND;
    }
    tn_lock(node);
    if (has_section(metrics, key)) {
        rc = TENON_OK;
    } else if (metrics->count < TN_METRICS_SECTIONS_MAX) {
        metrics->sections[metrics->count].key = key;
        metrics->sections[metrics->count].fn = fn;
        metrics->sections[metrics->count].user = user;
        metrics->count++;
        rc = TENON_OK;
    }
    tn_unlock(node);
    return rc;
}

static void put_uint(tenon_builder *out, const char *key, uint64_t value)
{
    tenon_build_atom(out, key);
    tenon_build_uint(out, value);
}

void tn_metrics_build_histogram(tenon_builder *out,
                                const struct tn_histogram *histogram)
{
    struct tn_histogram_view view;
    tn_histogram_read(histogram, &view);
    tenon_build_map(out, 4);
    put_uint(out, "count", view.count);
    put_uint(out, "sum_us", view.sum_ns / 1000);
    put_uint(out, "max_us", view.max_ns / 1000);
    tenon_build_atom(out, "buckets");
    tenon_build_list(out, TN_HISTOGRAM_BUCKETS);
    for (unsigned i = 0; i < TN_HISTOGRAM_BUCKETS; i++) {
        tenon_build_tuple(out, 2);
        if (tn_histogram_bound_us(i) == 0) {
            tenon_build_atom(out, "infinity");
        } else {
            tenon_build_uint(out, tn_histogram_bound_us(i));
        }
        tenon_build_uint(out, view.counts[i]);
    }
    tenon_build_nil(out);
}

static void build_node(tenon_node *node, tenon_builder *out)
{
    tenon_node_stats stats;
    tenon_node_get_stats(node, &stats, sizeof stats);
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        { "frames_in", stats.frames_in },
        { "frames_out", stats.frames_out },
        { "bytes_in", stats.bytes_in },
        { "bytes_out", stats.bytes_out },
        { "messages_to_nobody", stats.messages_to_nobody },
        { "messages_shed", stats.messages_shed },
        { "sends_refused", stats.sends_refused },
        { "unknown_signals", stats.unknown_signals },
        { "peers", stats.peers },
        { "processes", stats.processes },
        { "workers", stats.workers },
        { "pending_calls", stats.pending_calls },
        { "monitors", stats.monitors },
        { "links", stats.links },
        { "connections_refused", stats.connections_refused },
        { "functions_refused", stats.functions_refused },
        { "services_refused", stats.services_refused },
        { "names_refused", stats.names_refused },
        { "claims_refused", stats.claims_refused },
        { "memory_bytes", stats.memory_bytes },
        { "memory_peak_bytes", stats.memory_peak_bytes },
        { "reads_paused", stats.reads_paused },
        { "quotas_reached", stats.quotas_reached },
        { "log_lines_lost", stats.log_lines_lost },
        { "prints_refused", stats.prints_refused },
        { "log_lines_suppressed", stats.log_lines_suppressed },
    };
    tenon_build_map(out, sizeof counts / sizeof counts[0]);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        put_uint(out, counts[i].key, counts[i].value);
    }
}

enum tenon_err tenon_metrics(tenon_node *node, tenon_builder *out)
{
    struct metrics seen = { .count = 0 };
    if (node == NULL) {
        return TENON_E_INVAL;
    }
    const struct metrics *metrics = tn_node_part(node, PART);
    if (metrics != NULL) {
        tn_lock(node);
        seen = *metrics;
        tn_unlock(node);
    }
    tenon_build_map(out, 2 + seen.count);
    tenon_build_atom(out, "node");
    build_node(node, out);
    tenon_build_atom(out, "loop_turns");
    tn_metrics_build_histogram(out, &node->turn.taken);
    for (size_t i = 0; i < seen.count; i++) {
        tenon_build_atom(out, seen.sections[i].key);
        seen.sections[i].fn(seen.sections[i].user, out);
    }
    return tenon_builder_error(out);
}

static void give_metrics(tenon_call *call, void *user)
{
    tenon_builder out;
    tenon_term term;
    (void)user;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (tenon_metrics(tenon_call_node(call), &out) == TENON_OK &&
        tenon_builder_term(&out, &term) == TENON_OK) {
        tenon_reply_term(call, term);
    } else {
        tenon_raise(call, ":system_limit");
    }
    tn_builder_fini(&out);
}

enum tenon_err tn_metrics_start(tenon_node *node, tenon_error *err)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    enum tenon_err rc = metrics == NULL
                            ? TENON_E_NOMEM
                            : tn_node_attach(node, PART, metrics, NULL, free);
    if (rc < 0) {
        free(metrics);
        return tn_error(err, rc, "start of the metrics");
    }
    rc = tenon_function(node, "tenon", "metrics", 0, give_metrics, NULL, 0);
    return rc < 0 ? tn_error(err, rc, "start of the metrics") : TENON_OK;
}
