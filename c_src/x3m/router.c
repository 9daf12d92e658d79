/* SPDX-License-Identifier: Apache-2.0 */
/* Routers and their services: declaring, registering, finding. */
#include "x3m/router.h"

#include <stdlib.h>
#include <string.h>

#include "node/node.h"
#include "term/build.h"
#include "x3m/message.h"
#include "x3m/registry.h"
#include "x3m/serve.h"

/* ---- finding ---------------------------------------------------------- */

static tenon_router *find_router(struct tn_x3m *x3m, const char *module)
{
    tenon_router *router;

    SLIST_FOREACH(router, &x3m->routers, next)
    {
        if (strcmp(router->module, module) == 0) {
            return router;
        }
    }
    return NULL;
}

static struct tn_service *find_service(const tenon_router *router,
                                       const char *name)
{
    struct tn_service *service;

    TN_HASH_FIND(of_router, router->services, router->x3m->hash_key, name,
                 strlen(name), service);
    return service;
}

static struct tn_service *find_by_function(const tenon_router *router,
                                           const char *function)
{
    struct tn_service *service;

    TN_HASH_FIND(of_function, router->functions, router->x3m->hash_key,
                 function, strlen(function), service);
    return service;
}

struct tn_target tn_service_target(struct tn_service *service)
{
    return (struct tn_target){ .fn = tn_serve_service,
                               .user = service,
                               .flags = service->flags,
                               .asks = true };
}

struct tn_target tn_authorized_target(tenon_router *router)
{
    return (struct tn_target){ .fn = tn_serve_authorized,
                               .user = router,
                               .asks = true };
}

/* With the lock held. */
static bool find_in_router(tenon_router *router,
                           const char *name,
                           size_t arity,
                           struct tn_target *target)
{
    struct tn_service *service = arity == 1 ? find_service(router, name) : NULL;

    if (service != NULL) {
        *target = tn_service_target(service);
        return true;
    }
    if (arity == 1 && strcmp(name, TN_AUTHORIZED_FUNCTION) == 0) {
        *target = tn_authorized_target(router);
        return true;
    }
    if (strcmp(name, TN_REGISTERED_FUNCTION) == 0) {
        *target =
            (struct tn_target){ .fn = tn_serve_registered, .user = router };
        return true;
    }
    return false;
}

bool tn_router_find_function(void *user,
                             tenon_term module,
                             tenon_term name,
                             size_t arity,
                             struct tn_target *target)
{
    struct tn_x3m *x3m = user;
    tenon_atom module_atom, name_atom;
    bool found = false;

    /* Routers of other nodes forward under their own name: any module. */
    if (arity == 4 && tenon_term_is_atom(name, TN_INVOKE_FUNCTION)) {
        *target = (struct tn_target){ .fn = tn_serve_invoke,
                                      .user = x3m,
                                      .asks = true };
        return true;
    }
    if (arity > 1 || tenon_term_atom(module, &module_atom) < 0 ||
        tenon_term_atom(name, &name_atom) < 0) {
        return false;
    }
    tn_x3m_lock(x3m);
    tenon_router *router = find_router(x3m, module_atom.text);

    if (router != NULL) {
        found = find_in_router(router, name_atom.text, arity, target);
    }
    tn_x3m_unlock(x3m);
    return found;
}

/* Two services may have one function. */
static struct tn_service *find_forwarded(const tenon_router *router,
                                         const char *function,
                                         const char *name)
{
    struct tn_service *service = find_service(router, name);

    return service != NULL && strcmp(service->function, function) == 0
               ? service
               : find_by_function(router, function);
}

struct tn_service *tn_router_find_forwarded(struct tn_x3m *x3m,
                                            const char *module,
                                            const char *function,
                                            const char *service)
{
    struct tn_service *found = NULL;

    tn_x3m_lock(x3m);
    tenon_router *router = find_router(x3m, module);

    if (router != NULL) {
        found = find_forwarded(router, function, service);
    }
    SLIST_FOREACH(router, &x3m->routers, next)
    {
        if (found == NULL) {
            found = find_forwarded(router, function, service);
        }
    }
    tn_x3m_unlock(x3m);
    return found;
}

/* ---- declaring -------------------------------------------------------- */

tenon_router *tenon_router_new(tenon_node *node, const char *module)
{
    if (node == NULL || !tn_is_atom_text(module)) {
        return NULL;
    }
    struct tn_x3m *x3m = tn_x3m_start(node, NULL);
    size_t len = strlen(module);
    tenon_router *router =
        x3m == NULL ? NULL : calloc(1, sizeof *router + len + 1);

    if (router == NULL) {
        return NULL;
    }
    router->x3m = x3m;
    memcpy(router->module, module, len + 1);
    tn_x3m_lock(x3m);
    bool exists = find_router(x3m, module) != NULL;

    if (!exists) {
        SLIST_INSERT_HEAD(&x3m->routers, router, next);
    }
    tn_x3m_unlock(x3m);
    if (exists) {
        free(router);
        return NULL;
    }
    return router;
}

/* Functions that a router has without declaring them. */
static bool is_reserved(const char *service)
{
    return strcmp(service, TN_AUTHORIZED_FUNCTION) == 0 ||
           strcmp(service, TN_REGISTERED_FUNCTION) == 0 ||
           strcmp(service, TN_INVOKE_FUNCTION) == 0;
}

/* With the lock held. */
static enum tenon_err add_locked(tenon_router *router,
                                 struct tn_service *service)
{
    TN_HASH_ADD(of_router, router->services, router->x3m->hash_key,
                service->name, strlen(service->name), service);
    if (!TN_HASH_HAS(of_router, service)) {
        return TENON_E_NOMEM;
    }
    if (find_by_function(router, service->function) != NULL) {
        return TENON_OK;
    }
    TN_HASH_ADD(of_function, router->functions, router->x3m->hash_key,
                service->function, strlen(service->function), service);
    if (!TN_HASH_HAS(of_function, service)) {
        HASH_DELETE(of_router, router->services, service);
        return TENON_E_NOMEM;
    }
    return TENON_OK;
}

static enum tenon_err add_service(tenon_router *router,
                                  struct tn_service *service)
{
    enum tenon_err rc = TENON_OK;

    tn_x3m_lock(router->x3m);
    if (find_service(router, service->name) != NULL) {
        rc = TENON_E_EXISTS;
    } else if (HASH_CNT(of_router, router->services) >= TENON_SERVICES_MAX) {
        rc = TENON_E_LIMIT;
    } else {
        rc = add_locked(router, service);
    }
    tn_x3m_unlock(router->x3m);
    return rc;
}

/* Copies a text to *to and moves that behind it; NULL: gives `otherwise`. */
static const char *
place_text(char **to, const char *text, const char *otherwise)
{
    if (text == NULL) {
        return otherwise;
    }
    size_t bytes = strlen(text) + 1;
    const char *placed = memcpy(*to, text, bytes);

    *to += bytes;
    return placed;
}

static size_t text_bytes(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static struct tn_service *new_service(tenon_router *router,
                                      const char *name,
                                      tenon_service_fn fn,
                                      const tenon_service_options *options)
{
    struct tn_service *service = calloc(1, sizeof *service + text_bytes(name) +
                                               text_bytes(options->handler) +
                                               text_bytes(options->function));

    if (service == NULL) {
        return NULL;
    }
    char *to = service->name;

    place_text(&to, name, NULL);
    service->handler = place_text(&to, options->handler, router->module);
    service->function = place_text(&to, options->function, service->name);
    service->router = router;
    service->fn = fn;
    service->on_commit = options->on_commit;
    service->on_rollback = options->on_rollback;
    service->user = options->user;
    service->flags = options->flags;
    service->is_public = !options->is_private;
    return service;
}

static bool are_options(const tenon_service_options *options)
{
    return (options->flags & ~(unsigned)TENON_INLINE) == 0 &&
           (options->handler == NULL || tn_is_atom_text(options->handler)) &&
           (options->function == NULL || tn_is_atom_text(options->function));
}

enum tenon_err tenon_service_add_sized(tenon_router *router,
                                       const char *service,
                                       tenon_service_fn fn,
                                       const tenon_service_options *options,
                                       size_t size)
{
    tenon_service_options given = { 0 };

    if (router == NULL || fn == NULL || !tn_is_atom_text(service) ||
        is_reserved(service) ||
        (options != NULL &&
         tn_sized_copy(&given, sizeof given, options, size) < 0) ||
        !are_options(&given)) {
        return TENON_E_INVAL;
    }
    struct tn_service *added = new_service(router, service, fn, &given);
    enum tenon_err rc =
        added == NULL ? TENON_E_NOMEM : add_service(router, added);

    if (rc < 0) {
        free(added);
    }
    return rc;
}

enum tenon_err tenon_service(tenon_router *router,
                             const char *service,
                             tenon_service_fn fn,
                             void *user)
{
    return tenon_service_add(router, service, fn,
                             &(tenon_service_options){ .user = user });
}

enum tenon_err tenon_servicep(tenon_router *router,
                              const char *service,
                              tenon_service_fn fn,
                              void *user)
{
    return tenon_service_add(
        router, service, fn,
        &(tenon_service_options){ .user = user, .is_private = true });
}

enum tenon_err
tenon_router_authorize(tenon_router *router, tenon_authorize_fn fn, void *user)
{
    if (router == NULL || fn == NULL) {
        return TENON_E_INVAL;
    }
    tn_x3m_lock(router->x3m);
    router->authorize = fn;
    router->authorize_user = user;
    tn_x3m_unlock(router->x3m);
    return TENON_OK;
}

enum tenon_err tenon_router_choose_node(tenon_router *router,
                                        tenon_choose_node_fn fn,
                                        void *user)
{
    if (router == NULL || fn == NULL) {
        return TENON_E_INVAL;
    }
    tn_x3m_lock(router->x3m);
    router->choose_node = fn;
    router->choose_node_user = user;
    tn_x3m_unlock(router->x3m);
    return TENON_OK;
}

/* ---- registering ------------------------------------------------------ */

/* All or none. With the lock held. */
static enum tenon_err may_register(const tenon_router *router)
{
    const struct tn_x3m *x3m = router->x3m;
    struct tn_service *service, *following, *other;
    unsigned fresh = 0;

    HASH_ITER(of_router, router->services, service, following)
    {
        TN_HASH_FIND(of_node, x3m->local, x3m->hash_key, service->name,
                     strlen(service->name), other);
        if (other != NULL && other != service) {
            return TENON_E_EXISTS;
        }
        fresh += other == NULL;
    }
    return HASH_CNT(of_node, x3m->local) + fresh > TENON_SERVICES_MAX
               ? TENON_E_LIMIT
               : TENON_OK;
}

static enum tenon_err register_all(tenon_router *router)
{
    struct tn_service *service, *following;

    HASH_ITER(of_router, router->services, service, following)
    {
        if (!service->registered) {
            TN_HASH_ADD(of_node, router->x3m->local, router->x3m->hash_key,
                        service->name, strlen(service->name), service);
            if (!TN_HASH_HAS(of_node, service)) {
                return TENON_E_NOMEM;
            }
            service->registered = true;
        }
    }
    return TENON_OK;
}

enum tenon_err tenon_register_services(tenon_router *router)
{
    if (router == NULL) {
        return TENON_E_INVAL;
    }
    tn_x3m_lock(router->x3m);
    enum tenon_err rc = may_register(router);

    if (rc == TENON_OK) {
        rc = register_all(router);
    }
    tn_x3m_unlock(router->x3m);
    if (rc < 0) {
        return rc;
    }
    tn_telemetry_registered(router->x3m, router);
    return tn_registry_announce(router->x3m, router);
}

/* ---- asking ----------------------------------------------------------- */

/* With the lock held. */
static size_t count_added(const tenon_router *router, bool is_public)
{
    struct tn_service *service, *following;
    size_t count = 0;

    HASH_ITER(of_router, router->services, service, following)
    {
        count += service->is_public == is_public;
    }
    return count;
}

/* Elements of a list, with the lock held. */
static void
build_added(const tenon_router *router, bool is_public, tenon_builder *out)
{
    struct tn_service *service, *following;

    HASH_ITER(of_router, router->services, service, following)
    {
        if (service->is_public == is_public) {
            tenon_build_tuple(out, 2);
            tenon_build_atom(out, service->name);
            tenon_build_int(out, 1);
        }
    }
}

enum tenon_err tenon_registered_services(tenon_router *router,
                                         enum tenon_visibility visibility,
                                         tenon_builder *out)
{
    bool with_private = visibility != TENON_SERVICES_PUBLIC;
    bool with_public = visibility != TENON_SERVICES_PRIVATE;

    if (router == NULL || out == NULL ||
        (unsigned)visibility > TENON_SERVICES_PRIVATE) {
        return TENON_E_INVAL;
    }
    tn_x3m_lock(router->x3m);
    size_t count = (with_private ? count_added(router, false) : 0) +
                   (with_public ? count_added(router, true) : 0);

    if (count > 0) {
        tenon_build_list(out, count);
    }
    if (with_private) {
        build_added(router, false, out);
    }
    if (with_public) {
        build_added(router, true, out);
    }
    tenon_build_nil(out);
    tn_x3m_unlock(router->x3m);
    return tenon_builder_error(out);
}

static void
build_offer(tenon_builder *out, const char *node, const char *module)
{
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, node);
    tenon_build_atom(out, module);
}

static void build_own(tenon_builder *out, const struct tn_service *service)
{
    const struct tn_x3m *x3m = service->router->x3m;
    const struct tn_remote *remote =
        tn_remotes_find(&x3m->remotes, service->name);
    struct tn_offer *offer;

    tenon_build_atom(out, service->name);
    tenon_build_list(out, 1 + (remote == NULL ? 0 : remote->count));
    build_offer(out, tenon_node_name(x3m->node), service->router->module);
    if (remote != NULL) {
        SLIST_FOREACH(offer, &remote->offers, next)
        {
            build_offer(out, offer->node, offer->module);
        }
    }
    tenon_build_nil(out);
}

static void build_remote(tenon_builder *out, const struct tn_remote *remote)
{
    struct tn_offer *offer;

    tenon_build_atom(out, remote->name);
    tenon_build_list(out, remote->count);
    SLIST_FOREACH(offer, &remote->offers, next)
    {
        build_offer(out, offer->node, offer->module);
    }
    tenon_build_nil(out);
}

static const struct tn_service *own_service(const struct tn_x3m *x3m,
                                            const char *name)
{
    struct tn_service *service;

    TN_HASH_FIND(of_node, x3m->local, x3m->hash_key, name, strlen(name),
                 service);
    return service;
}

/* With the lock held. */
static void build_services(const struct tn_x3m *x3m, tenon_builder *out)
{
    struct tn_service *service, *next_service;
    struct tn_remote *remote, *next_remote;
    size_t count = HASH_CNT(of_node, x3m->local);

    HASH_ITER(hh, x3m->remotes.table, remote, next_remote)
    {
        count += own_service(x3m, remote->name) == NULL;
    }
    tenon_build_map(out, count);
    HASH_ITER(of_node, x3m->local, service, next_service)
    {
        build_own(out, service);
    }
    HASH_ITER(hh, x3m->remotes.table, remote, next_remote)
    {
        if (own_service(x3m, remote->name) == NULL) {
            build_remote(out, remote);
        }
    }
}

enum tenon_err tenon_services(tenon_node *node, tenon_builder *out)
{
    if (node == NULL) {
        return TENON_E_INVAL;
    }
    struct tn_x3m *x3m = tn_x3m_start(node, NULL);

    if (x3m == NULL) {
        return TENON_E_NOMEM;
    }
    tn_x3m_lock(x3m);
    build_services(x3m, out);
    tn_x3m_unlock(x3m);
    return tenon_builder_error(out);
}

/* ---- end -------------------------------------------------------------- */

static void free_router(tenon_router *router)
{
    struct tn_service *service, *following;

    HASH_CLEAR(of_function, router->functions);
    HASH_ITER(of_router, router->services, service, following)
    {
        HASH_DELETE(of_router, router->services, service);
        free(service);
    }
    free(router);
}

void tn_routers_fini(struct tn_x3m *x3m)
{
    HASH_CLEAR(of_node, x3m->local);
    while (!SLIST_EMPTY(&x3m->routers)) {
        tenon_router *router = SLIST_FIRST(&x3m->routers);

        SLIST_REMOVE_HEAD(&x3m->routers, next);
        free_router(router);
    }
}
