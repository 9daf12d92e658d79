/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of tenon:metrics/0 that are about services. */
#include "x3m/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "otp/metrics.h"
#include "x3m/services.h"
#include "x3m/x3m.h"

/* ---- counting ---------------------------------------------------------- */

static struct tn_dispatch_metrics *add_locked(struct tn_x3m *x3m,
                                              const char *service)
{
    size_t bytes = strlen(service) + 1;

    if (HASH_COUNT(x3m->dispatched) >= TENON_SERVICES_MAX) {
        return NULL;
    }
    struct tn_dispatch_metrics *metrics = calloc(1, sizeof *metrics + bytes);

    if (metrics == NULL) {
        return NULL;
    }
    memcpy(metrics->name, service, bytes);
    TN_HASH_ADD(hh, x3m->dispatched, x3m->hash_key, metrics->name, bytes - 1,
                metrics);
    if (!TN_HASH_HAS(hh, metrics)) {
        free(metrics);
        return NULL;
    }
    return metrics;
}

struct tn_dispatch_metrics *tn_dispatch_metrics_of(struct tn_x3m *x3m,
                                                   tenon_term service)
{
    struct tn_dispatch_metrics *metrics;
    tenon_atom name;

    if (tenon_term_atom(service, &name) < 0) {
        return NULL;
    }
    tn_x3m_lock(x3m);
    TN_HASH_FIND(hh, x3m->dispatched, x3m->hash_key, name.text,
                 strlen(name.text), metrics);
    if (metrics == NULL) {
        metrics = add_locked(x3m, name.text);
    }
    tn_x3m_unlock(x3m);
    if (metrics != NULL) {
        tn_count(&metrics->calls);
    }
    return metrics;
}

void tn_dispatch_metrics_end(struct tn_dispatch_metrics *metrics,
                             enum tn_dispatched end,
                             uint64_t start_ns)
{
    if (metrics == NULL) {
        return;
    }
    tn_count(&metrics->ends[end]);
    if (end == TN_DISPATCHED_REPLY) {
        tn_histogram_add(&metrics->latency, tn_now_ns() - start_ns);
    }
}

/* ---- telling ----------------------------------------------------------- */

static void put_count(tenon_builder *out,
                      const char *key,
                      const atomic_uint_fast64_t *count)
{
    tenon_build_atom(out, key);
    tenon_build_uint(out, atomic_load_explicit(count, memory_order_relaxed));
}

static void put_latency(tenon_builder *out,
                        const struct tn_histogram *histogram)
{
    tenon_build_atom(out, "latency");
    tn_metrics_build_histogram(out, histogram);
}

static void build_served(void *user, tenon_builder *out)
{
    struct tn_x3m *x3m = user;
    struct tn_service *service, *following;

    tn_x3m_lock(x3m);
    tenon_build_map(out, HASH_CNT(of_node, x3m->local));
    HASH_ITER(of_node, x3m->local, service, following)
    {
        const struct tn_served_metrics *metrics = &service->metrics;

        tenon_build_atom(out, service->name);
        tenon_build_map(out, 5);
        put_count(out, "calls", &metrics->calls);
        put_count(out, "refused", &metrics->refused);
        put_count(out, "forwarded", &metrics->forwarded);
        put_count(out, "failed", &metrics->failed);
        put_latency(out, &metrics->latency);
    }
    tn_x3m_unlock(x3m);
}

static void build_dispatched(void *user, tenon_builder *out)
{
    struct tn_x3m *x3m = user;
    struct tn_dispatch_metrics *metrics, *following;

    tn_x3m_lock(x3m);
    tenon_build_map(out, HASH_COUNT(x3m->dispatched));
    HASH_ITER(hh, x3m->dispatched, metrics, following)
    {
        tenon_build_atom(out, metrics->name);
        tenon_build_map(out, 6);
        put_count(out, "calls", &metrics->calls);
        put_count(out, "unavailable",
                  &metrics->ends[TN_DISPATCHED_UNAVAILABLE]);
        put_count(out, "timed_out", &metrics->ends[TN_DISPATCHED_TIMEOUT]);
        put_count(out, "failed", &metrics->ends[TN_DISPATCHED_FAILED]);
        put_count(out, "refused", &metrics->ends[TN_DISPATCHED_REFUSED]);
        put_latency(out, &metrics->latency);
    }
    tn_x3m_unlock(x3m);
}

enum tenon_err tn_x3m_metrics_start(struct tn_x3m *x3m)
{
    enum tenon_err rc =
        tn_metrics_add(x3m->node, "services", build_served, x3m);

    if (rc == TENON_OK) {
        rc = tn_metrics_add(x3m->node, "dispatches", build_dispatched, x3m);
    }
    return rc == TENON_E_NOT_FOUND ? TENON_OK : rc;
}

void tn_x3m_metrics_fini(struct tn_x3m *x3m)
{
    struct tn_dispatch_metrics *metrics, *following;

    HASH_ITER(hh, x3m->dispatched, metrics, following)
    {
        HASH_DELETE(hh, x3m->dispatched, metrics);
        free(metrics);
    }
}
