/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a node's X3m part: made on first use, started with the first
 * router or dispatch, ended with the node. */
#include "x3m/x3m.h"

#include <stdlib.h>

#include "base/error.h"
#include "node/node.h"
#include "x3m/registry.h"
#include "x3m/router.h"

#define PART_KEY "x3m"

static void free_x3m(void *part)
{
    struct tn_x3m *x3m = part;

    tn_routers_fini(x3m);
    tn_x3m_metrics_fini(x3m);
    tn_telemetry_fini(&x3m->telemetry);
    tn_registry_fini(x3m);
    tn_remotes_fini(&x3m->remotes);
    tenon_process_release(x3m->registry);
    pthread_mutex_destroy(&x3m->lock);
    pthread_mutex_destroy(&x3m->start_lock);
    free(x3m);
}

static void stop_x3m(tenon_node *node, void *part)
{
    struct tn_x3m *x3m = part;

    (void)node;
    pthread_mutex_lock(&x3m->start_lock);
    if (x3m->started) {
        tn_registry_stop(x3m);
    }
    pthread_mutex_unlock(&x3m->start_lock);
}

static struct tn_x3m *new_x3m(tenon_node *node)
{
    struct tn_x3m *x3m = calloc(1, sizeof *x3m);

    if (x3m != NULL) {
        x3m->node = node;
        x3m->hash_key = &node->hash_key;
        x3m->remotes.hash_key = x3m->hash_key;
        pthread_mutex_init(&x3m->start_lock, NULL);
        pthread_mutex_init(&x3m->lock, NULL);
        SLIST_INIT(&x3m->routers);
        LIST_INIT(&x3m->attempts);
        STAILQ_INIT(&x3m->gone);
        tn_telemetry_init(&x3m->telemetry);
    }
    return x3m;
}

struct tn_x3m *tn_x3m_get(tenon_node *node)
{
    struct tn_x3m *x3m = tn_node_part(node, PART_KEY);

    if (x3m != NULL) {
        return x3m;
    }
    x3m = new_x3m(node);
    if (x3m == NULL) {
        return NULL;
    }
    if (tn_node_attach(node, PART_KEY, x3m, stop_x3m, free_x3m) < 0) {
        /* Another thread was first, or there is no memory: then NULL. */
        free_x3m(x3m);
        return tn_node_part(node, PART_KEY);
    }
    return x3m;
}

static enum tenon_err start_locked(struct tn_x3m *x3m, tenon_error *err)
{
    if (x3m->started) {
        return TENON_OK;
    }
    enum tenon_err rc =
        tn_function_add_fallback(x3m->node, tn_router_find_function, x3m);

    if (rc < 0) {
        return tn_error(err, rc, "x3m: %s", tenon_err_text(rc));
    }
    rc = tn_x3m_metrics_start(x3m);
    if (rc < 0) {
        return tn_error(err, rc, "x3m: metrics: %s", tenon_err_text(rc));
    }
    rc = tn_registry_start(x3m, err);
    x3m->started = rc == TENON_OK;
    return rc;
}

struct tn_x3m *tn_x3m_start(tenon_node *node, tenon_error *err)
{
    struct tn_x3m *x3m = tn_x3m_get(node);

    if (x3m == NULL) {
        tn_error(err, TENON_E_NOMEM, "x3m: out of memory");
        return NULL;
    }
    pthread_mutex_lock(&x3m->start_lock);
    enum tenon_err rc = start_locked(x3m, err);

    pthread_mutex_unlock(&x3m->start_lock);
    return rc < 0 ? NULL : x3m;
}
