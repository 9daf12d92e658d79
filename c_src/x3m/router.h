/* SPDX-License-Identifier: Apache-2.0 */
/* Routers: which services there are under which module, and how a peer's call
 * of a function finds its service. Serving itself is in serve.h. */
#ifndef TN_X3M_ROUTER_H
#define TN_X3M_ROUTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <tenon/x3m.h>

#include "node/function.h"
#include "x3m/services.h"
#include "x3m/x3m.h"

/* Never freed before the node. Guarded by the X3m lock, but for constants. */
struct tenon_router {
    SLIST_ENTRY(tenon_router) next;
    struct tn_x3m *x3m;           /* constant */
    struct tn_service *services;  /* uthash by name, in the order of adding */
    struct tn_service *functions; /* uthash by function */
    tenon_authorize_fn authorize;
    void *authorize_user;
    tenon_choose_node_fn choose_node;
    void *choose_node_user;
    atomic_bool logs_elsewhere; /* at the caller's group leader */
    char module[];              /* constant */
};

/* The tn_function_fallback_fn of an X3m part (user): services by router and
 * name, what every router has, _invoke/4 of any module. */
bool tn_router_find_function(void *user,
                             tenon_term module,
                             tenon_term name,
                             size_t arity,
                             struct tn_target *target);

/* The service whose function a forwarded call names: of the router itself (the
 * very service, when it has that function), else of any. NULL: none. Any
 * thread, without locks. */
struct tn_service *tn_router_find_forwarded(struct tn_x3m *x3m,
                                            const char *module,
                                            const char *function,
                                            const char *service);

/* The target that runs a service. */
struct tn_target tn_service_target(struct tn_service *service);

/* The target that answers authorized?. */
struct tn_target tn_authorized_target(tenon_router *router);

/* The node is at its end. */
void tn_routers_fini(struct tn_x3m *x3m);

#endif
