/* SPDX-License-Identifier: Apache-2.0 */
/* Asking nodes for their metrics, and a service's part of them as text. */
#include "cli/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- asking ------------------------------------------------------------ */

static tenon_value *ask(tenon_node *node, const char *on, uint32_t timeout_ms)
{
    tenon_value *none = tenon_value_format("[]");
    tenon_value *map = NULL;

    if (none == NULL ||
        tenon_rpc(node, on, "tenon", "metrics", tenon_value_term(none),
                  timeout_ms, &map, NULL) != TENON_OK) {
        tenon_value_free(map);
        map = NULL;
    }
    tenon_value_free(none);
    return map;
}

/* The null view: it counts nothing. */
static tenon_term map_of(struct cli_metrics *metrics,
                         tenon_node *node,
                         uint32_t timeout_ms,
                         const tenon_atom *on)
{
    for (size_t i = 0; i < metrics->count; i++) {
        if (strcmp(metrics->nodes[i].node.text, on->text) == 0) {
            return tenon_value_term(metrics->nodes[i].map);
        }
    }
    void *nodes =
        realloc(metrics->nodes, (metrics->count + 1) * sizeof *metrics->nodes);

    if (nodes == NULL) {
        return (tenon_term){ NULL, 0 };
    }
    metrics->nodes = nodes;
    metrics->nodes[metrics->count].node = *on;
    metrics->nodes[metrics->count].map = ask(node, on->text, timeout_ms);
    return tenon_value_term(metrics->nodes[metrics->count++].map);
}

void cli_metrics_fini(struct cli_metrics *metrics)
{
    for (size_t i = 0; i < metrics->count; i++) {
        tenon_value_free(metrics->nodes[i].map);
    }
    free(metrics->nodes);
}

/* ---- telling ----------------------------------------------------------- */

/* 0 when there is none. */
static uint64_t number(tenon_term map, const char *key)
{
    tenon_term value;
    uint64_t n = 0;

    if (tenon_map_get_atom(map, key, &value) != TENON_OK ||
        tenon_term_uint64(value, &n) != TENON_OK) {
        return 0;
    }
    return n;
}

/* A time that 99 of 100 replies have not taken longer than: the bound of their
 * bucket, or the longest time. */
static uint64_t percentile_99_us(tenon_term latency)
{
    uint64_t count = number(latency, "count"), max = number(latency, "max_us");
    uint64_t seen = 0, bound, n;
    tenon_term buckets, bucket;
    tenon_cursor at;

    if (tenon_map_get_atom(latency, "buckets", &buckets) != TENON_OK) {
        return max;
    }
    tenon_cursor_init(&at, buckets);
    while (tenon_cursor_next(&at, &bucket)) {
        if (!tenon_match(bucket, "{~u, ~u}", &bound, &n)) {
            break;
        }
        seen += n;
        if (seen >= count - count / 100) {
            return bound < max ? bound : max;
        }
    }
    return max;
}

void cli_metrics_text(struct cli_metrics *metrics,
                      tenon_node *node,
                      uint32_t timeout_ms,
                      tenon_term service,
                      tenon_term on,
                      char text[CLI_METRICS_TEXT_BYTES])
{
    tenon_atom name, provider;
    tenon_term at, latency;

    text[0] = '\0';
    if (tenon_term_atom(service, &name) != TENON_OK ||
        tenon_term_atom(on, &provider) != TENON_OK) {
        return;
    }
    at = map_of(metrics, node, timeout_ms, &provider);
    if (at.bytes == NULL ||
        tenon_map_get_atom(at, "services", &at) != TENON_OK ||
        tenon_map_get_atom(at, name.text, &at) != TENON_OK ||
        tenon_map_get_atom(at, "latency", &latency) != TENON_OK) {
        return;
    }
    uint64_t count = number(latency, "count");
    uint64_t mean_us = count == 0 ? 0 : number(latency, "sum_us") / count;

    snprintf(text, CLI_METRICS_TEXT_BYTES,
             " calls=%llu refused=%llu forwarded=%llu failed=%llu "
             "replied=%llu mean_us=%llu p99_us=%llu max_us=%llu",
             (unsigned long long)number(at, "calls"),
             (unsigned long long)number(at, "refused"),
             (unsigned long long)number(at, "forwarded"),
             (unsigned long long)number(at, "failed"),
             (unsigned long long)count, (unsigned long long)mean_us,
             (unsigned long long)percentile_99_us(latency),
             (unsigned long long)number(latency, "max_us"));
}
