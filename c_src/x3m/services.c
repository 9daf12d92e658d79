/* SPDX-License-Identifier: Apache-2.0 */
/* What other nodes have announced: service -> node -> module. */
#include "x3m/services.h"

#include <stdlib.h>
#include <string.h>

static struct tn_remote *add_remote(struct tn_remotes *remotes,
                                    const char *service)
{
    size_t len = strlen(service);
    struct tn_remote *remote = calloc(1, sizeof *remote + len + 1);

    if (remote != NULL) {
        memcpy(remote->name, service, len + 1);
        SLIST_INIT(&remote->offers);
        TN_HASH_ADD(hh, remotes->table, remotes->hash_key, remote->name, len,
                    remote);
        if (!TN_HASH_HAS(hh, remote)) {
            free(remote);
            return NULL;
        }
    }
    return remote;
}

static void drop_remote(struct tn_remotes *remotes, struct tn_remote *remote)
{
    HASH_DEL(remotes->table, remote);
    free(remote);
}

static struct tn_remote *find_remote(const struct tn_remotes *remotes,
                                     const char *service)
{
    struct tn_remote *remote;

    TN_HASH_FIND(hh, remotes->table, remotes->hash_key, service,
                 strlen(service), remote);
    return remote;
}

const struct tn_remote *tn_remotes_find(const struct tn_remotes *remotes,
                                        const char *service)
{
    return find_remote(remotes, service);
}

static struct tn_offer *offer_of(struct tn_remote *remote, const char *node)
{
    struct tn_offer *offer;

    SLIST_FOREACH(offer, &remote->offers, next)
    {
        if (strcmp(offer->node, node) == 0) {
            return offer;
        }
    }
    return NULL;
}

static struct tn_offer *new_offer(const char *node, const char *module)
{
    size_t node_bytes = strlen(node) + 1, module_bytes = strlen(module) + 1;
    struct tn_offer *offer = malloc(sizeof *offer + node_bytes + module_bytes);

    if (offer != NULL) {
        memcpy(offer->node, node, node_bytes);
        offer->module = offer->node + node_bytes;
        memcpy(offer->module, module, module_bytes);
    }
    return offer;
}

static void drop_offer(struct tn_remotes *remotes,
                       struct tn_remote *remote,
                       struct tn_offer *offer)
{
    SLIST_REMOVE(&remote->offers, offer, tn_offer, next);
    free(offer);
    remote->count--;
    remotes->offers--;
}

enum tenon_err tn_remotes_put(struct tn_remotes *remotes,
                              const char *service,
                              const char *node,
                              const char *module)
{
    struct tn_remote *remote = find_remote(remotes, service);
    struct tn_offer *old = remote == NULL ? NULL : offer_of(remote, node);

    if (old != NULL && strcmp(old->module, module) == 0) {
        return TENON_OK;
    }
    if (old == NULL && remotes->offers >= TN_OFFERS_MAX) {
        return TENON_E_LIMIT;
    }
    struct tn_offer *offer = new_offer(node, module);

    if (offer == NULL) {
        return TENON_E_NOMEM;
    }
    if (remote == NULL) {
        remote = add_remote(remotes, service);
        if (remote == NULL) {
            free(offer);
            return TENON_E_NOMEM;
        }
    }
    if (old != NULL) {
        drop_offer(remotes, remote, old);
    }
    SLIST_INSERT_HEAD(&remote->offers, offer, next);
    remote->count++;
    remotes->offers++;
    return TENON_OK;
}

/* ---- folding an announcement ------------------------------------------ */

static enum tenon_err fold_pair(struct tn_remotes *remotes,
                                const char *node,
                                tenon_term service,
                                tenon_term module,
                                size_t *left_out)
{
    tenon_atom service_atom, module_atom;

    if (tenon_term_atom(service, &service_atom) < 0 ||
        tenon_term_atom(module, &module_atom) < 0) {
        ++*left_out;
        return TENON_OK;
    }
    return tn_remotes_put(remotes, service_atom.text, node, module_atom.text);
}

static enum tenon_err fold_map(struct tn_remotes *remotes,
                               const char *node,
                               tenon_term services,
                               size_t *left_out)
{
    tenon_cursor at;
    tenon_term service, module;
    enum tenon_err rc = TENON_OK;

    tenon_cursor_init(&at, services);
    while (rc == TENON_OK && tenon_cursor_next_pair(&at, &service, &module)) {
        rc = fold_pair(remotes, node, service, module, left_out);
    }
    return rc;
}

static enum tenon_err fold_list(struct tn_remotes *remotes,
                                const char *node,
                                tenon_term services,
                                size_t *left_out)
{
    tenon_cursor at;
    tenon_term pair, service, module;
    enum tenon_err rc = TENON_OK;

    tenon_cursor_init(&at, services);
    while (rc == TENON_OK && tenon_cursor_next(&at, &pair)) {
        if (tenon_term_count(pair) != 2 ||
            tenon_tuple_get(pair, 0, &service) < 0 ||
            tenon_tuple_get(pair, 1, &module) < 0) {
            ++*left_out;
            continue;
        }
        rc = fold_pair(remotes, node, service, module, left_out);
    }
    return rc;
}

enum tenon_err tn_remotes_fold(struct tn_remotes *remotes,
                               const char *node,
                               tenon_term services,
                               size_t *left_out)
{
    *left_out = 0;
    if (tenon_term_type(services) == TENON_TYPE_MAP) {
        return fold_map(remotes, node, services, left_out);
    }
    if (tenon_term_is_proper_list(services)) {
        return fold_list(remotes, node, services, left_out);
    }
    return TENON_E_BADTERM;
}

void tn_remotes_drop_node(struct tn_remotes *remotes, const char *node)
{
    struct tn_remote *remote, *following;

    HASH_ITER(hh, remotes->table, remote, following)
    {
        struct tn_offer *offer = offer_of(remote, node);

        if (offer != NULL) {
            drop_offer(remotes, remote, offer);
        }
        if (remote->count == 0) {
            drop_remote(remotes, remote);
        }
    }
}

void tn_remotes_fini(struct tn_remotes *remotes)
{
    struct tn_remote *remote, *following;

    HASH_ITER(hh, remotes->table, remote, following)
    {
        while (!SLIST_EMPTY(&remote->offers)) {
            drop_offer(remotes, remote, SLIST_FIRST(&remote->offers));
        }
        drop_remote(remotes, remote);
    }
}
