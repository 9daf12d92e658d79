/* SPDX-License-Identifier: Apache-2.0 */
/* The service registry: the process that other registries talk to, and when
 * it talks to them. */
#ifndef TN_X3M_REGISTRY_H
#define TN_X3M_REGISTRY_H

#include "x3m/x3m.h"

/* Every node tells all others its services this often. */
#define TN_REGISTRY_EXCHANGE_MS 20000u

/* Starts the process, its timer and its watch of peers: introduces itself to
 * those that are there. With the start lock held. Errors: EXISTS, LIMIT,
 * NOMEM. */
TENON_CHECK enum tenon_err tn_registry_start(struct tn_x3m *x3m,
                                             tenon_error *err);
/* Takes the own services back from all nodes. Any thread. */
void tn_registry_stop(struct tn_x3m *x3m);

/* Tells all nodes of the public services of a router. Any thread, without
 * locks. Errors: INVAL, NOMEM. */
enum tenon_err tn_registry_announce(struct tn_x3m *x3m,
                                    const tenon_router *router);

/* Frees what it has not come to. No thread is left. */
void tn_registry_fini(struct tn_x3m *x3m);

#endif
