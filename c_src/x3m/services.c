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

static struct tn_offerer *find_offerer(const struct tn_remotes *remotes,
                                       const char *node)
{
    struct tn_offerer *offerer = NULL;

    TN_HASH_FIND(hh, remotes->offerers, remotes->hash_key, node, strlen(node),
                 offerer);
    return offerer;
}

static struct tn_offerer *get_offerer(struct tn_remotes *remotes,
                                      const char *node)
{
    struct tn_offerer *offerer = find_offerer(remotes, node);
    size_t len = strlen(node);

    if (offerer != NULL) {
        return offerer;
    }
    offerer = calloc(1, sizeof *offerer + len + 1);
    if (offerer == NULL) {
        return NULL;
    }
    memcpy(offerer->name, node, len + 1);
    LIST_INIT(&offerer->offers);
    TN_HASH_ADD(hh, remotes->offerers, remotes->hash_key, offerer->name, len,
                offerer);
    if (!TN_HASH_HAS(hh, offerer)) {
        free(offerer);
        return NULL;
    }
    return offerer;
}

static void tidy_offerer(struct tn_remotes *remotes, struct tn_offerer *offerer)
{
    if (LIST_EMPTY(&offerer->offers)) {
        HASH_DEL(remotes->offerers, offerer);
        free(offerer);
    }
}

static void tidy_remote(struct tn_remotes *remotes, struct tn_remote *remote)
{
    if (remote->count == 0) {
        drop_remote(remotes, remote);
    }
}

static size_t size_of(const char *module)
{
    return sizeof(struct tn_offer) + strlen(module) + 1;
}

static bool pay(tn_account *account, const char *module)
{
    if (!tn_account_take(account, TN_QUOTA_OFFERS, TN_PEER_OFFERS_MAX)) {
        return false;
    }
    if (!tn_account_charge(account, size_of(module))) {
        tn_account_give_back(account, TN_QUOTA_OFFERS);
        return false;
    }
    return true;
}

static void pay_back(tn_account *account, const char *module)
{
    tn_account_give_back(account, TN_QUOTA_OFFERS);
    tn_account_discharge(account, size_of(module));
}

static struct tn_offer *new_offer(tn_account *account, const char *module)
{
    size_t module_bytes = strlen(module) + 1;
    struct tn_offer *offer = malloc(sizeof *offer + module_bytes);

    if (offer != NULL) {
        offer->account = tn_account_ref(account);
        memcpy(offer->module, module, module_bytes);
    }
    return offer;
}

static void enter_offer(struct tn_remotes *remotes,
                        struct tn_remote *remote,
                        struct tn_offerer *offerer,
                        struct tn_offer *offer)
{
    offer->remote = remote;
    offer->offerer = offerer;
    offer->node = offerer->name;
    SLIST_INSERT_HEAD(&remote->offers, offer, next);
    LIST_INSERT_HEAD(&offerer->offers, offer, of_offerer);
    remote->count++;
    remotes->offers++;
}

static void free_offer(struct tn_offer *offer)
{
    pay_back(offer->account, offer->module);
    tn_account_unref(offer->account);
    free(offer);
}

static void drop_offer(struct tn_remotes *remotes, struct tn_offer *offer)
{
    SLIST_REMOVE(&offer->remote->offers, offer, tn_offer, next);
    LIST_REMOVE(offer, of_offerer);
    offer->remote->count--;
    remotes->offers--;
    free_offer(offer);
}

enum tenon_err tn_remotes_put(struct tn_remotes *remotes,
                              tn_account *account,
                              const char *service,
                              const char *node,
                              const char *module)
{
    struct tn_remote *remote = find_remote(remotes, service);
    struct tn_offer *old = remote == NULL ? NULL : offer_of(remote, node);

    if (old != NULL && strcmp(old->module, module) == 0 &&
        old->account == account) {
        return TENON_OK;
    }
    if ((old == NULL && remotes->offers >= TN_OFFERS_MAX) ||
        !pay(account, module)) {
        return TENON_E_LIMIT;
    }
    struct tn_offer *offer = new_offer(account, module);
    if (offer == NULL) {
        pay_back(account, module);
        return TENON_E_NOMEM;
    }
    struct tn_offerer *offerer = get_offerer(remotes, node);

    if (offerer != NULL && remote == NULL) {
        remote = add_remote(remotes, service);
    }
    if (offerer == NULL || remote == NULL) {
        if (offerer != NULL) {
            tidy_offerer(remotes, offerer);
        }
        free_offer(offer);
        return TENON_E_NOMEM;
    }
    if (old != NULL) {
        drop_offer(remotes, old);
    }
    enter_offer(remotes, remote, offerer, offer);
    return TENON_OK;
}

/* ---- folding an announcement ------------------------------------------ */

static enum tenon_err fold_pair(struct tn_remotes *remotes,
                                tn_account *account,
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
    return tn_remotes_put(remotes, account, service_atom.text, node,
                          module_atom.text);
}

static bool
next_pair(struct tn_fold *fold, tenon_term *service, tenon_term *module)
{
    tenon_term pair;

    if (fold->is_map) {
        return tenon_cursor_next_pair(&fold->at, service, module);
    }
    while (tenon_cursor_next(&fold->at, &pair)) {
        if (tenon_term_count(pair) == 2 &&
            tenon_tuple_get(pair, 0, service) == TENON_OK &&
            tenon_tuple_get(pair, 1, module) == TENON_OK) {
            return true;
        }
        fold->left_out++;
    }
    return false;
}

enum tenon_err tn_remotes_fold_begin(struct tn_fold *fold,
                                     tn_account *account,
                                     tenon_term services)
{
    fold->account = account;
    fold->is_map = tenon_term_type(services) == TENON_TYPE_MAP;
    fold->left_out = 0;
    if (!fold->is_map && !tenon_term_is_proper_list(services)) {
        return TENON_E_BADTERM;
    }
    tenon_cursor_init(&fold->at, services);
    return TENON_OK;
}

enum tenon_err tn_remotes_fold_some(struct tn_remotes *remotes,
                                    struct tn_fold *fold,
                                    const char *node,
                                    size_t max,
                                    bool *done)
{
    tenon_term service, module;
    enum tenon_err rc = TENON_OK;

    *done = false;
    for (; rc == TENON_OK && max > 0; max--) {
        if (!next_pair(fold, &service, &module)) {
            *done = true;
            break;
        }
        rc = fold_pair(remotes, fold->account, node, service, module,
                       &fold->left_out);
    }
    return rc;
}

enum tenon_err tn_remotes_fold(struct tn_remotes *remotes,
                               const char *node,
                               tenon_term services,
                               size_t *left_out)
{
    struct tn_fold fold;
    bool done;
    enum tenon_err rc = tn_remotes_fold_begin(&fold, NULL, services);

    if (rc == TENON_OK) {
        rc = tn_remotes_fold_some(remotes, &fold, node, SIZE_MAX, &done);
    }
    *left_out = fold.left_out;
    return rc;
}

bool tn_remotes_drop_some(struct tn_remotes *remotes,
                          const char *node,
                          size_t max)
{
    struct tn_offerer *offerer = find_offerer(remotes, node);
    struct tn_offer *offer;

    if (offerer == NULL) {
        return false;
    }
    for (; max > 0 && (offer = LIST_FIRST(&offerer->offers)) != NULL; max--) {
        struct tn_remote *remote = offer->remote;

        drop_offer(remotes, offer);
        tidy_remote(remotes, remote);
    }
    bool left = !LIST_EMPTY(&offerer->offers);

    tidy_offerer(remotes, offerer);
    return left;
}

void tn_remotes_drop_node(struct tn_remotes *remotes, const char *node)
{
    (void)tn_remotes_drop_some(remotes, node, SIZE_MAX);
}

static void drop_told_of(struct tn_remotes *remotes,
                         struct tn_offerer *offerer,
                         const char *peer)
{
    struct tn_offer *offer = LIST_FIRST(&offerer->offers), *next;

    for (; offer != NULL; offer = next) {
        struct tn_remote *remote = offer->remote;

        next = LIST_NEXT(offer, of_offerer);
        if (strcmp(tn_account_name(offer->account), peer) == 0) {
            drop_offer(remotes, offer);
            tidy_remote(remotes, remote);
        }
    }
    tidy_offerer(remotes, offerer);
}

void tn_remotes_drop_told(struct tn_remotes *remotes, const char *peer)
{
    struct tn_offerer *offerer, *following;

    HASH_ITER(hh, remotes->offerers, offerer, following)
    {
        drop_told_of(remotes, offerer, peer);
    }
}

void tn_remotes_fini(struct tn_remotes *remotes)
{
    struct tn_offerer *offerer, *following;

    HASH_ITER(hh, remotes->offerers, offerer, following)
    {
        tn_remotes_drop_node(remotes, offerer->name);
    }
}
