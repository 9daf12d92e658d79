/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up providers. */
#include "x3m/providers.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

static enum tenon_err add_node(struct tn_providers *providers,
                               const struct tn_offer *offer)
{
    size_t node_bytes = strlen(offer->node) + 1;
    size_t module_bytes = strlen(offer->module) + 1;
    char *block = malloc(node_bytes + module_bytes);

    if (block == NULL) {
        return TENON_E_NOMEM;
    }
    memcpy(block, offer->node, node_bytes);
    memcpy(block + node_bytes, offer->module, module_bytes);
    providers->nodes[providers->count++] =
        (struct tn_provider){ block, block + node_bytes };
    return TENON_OK;
}

/* With the lock held. */
static enum tenon_err add_nodes(struct tn_providers *providers,
                                const struct tn_remote *remote)
{
    struct tn_offer *offer;
    enum tenon_err rc = TENON_OK;

    providers->nodes = calloc(remote->count, sizeof *providers->nodes);
    if (providers->nodes == NULL) {
        return TENON_E_NOMEM;
    }
    SLIST_FOREACH(offer, &remote->offers, next)
    {
        if (rc == TENON_OK) {
            rc = add_node(providers, offer);
        }
    }
    return rc;
}

enum tenon_err tn_providers_find(struct tn_x3m *x3m,
                                 tenon_term service,
                                 struct tn_providers *providers)
{
    enum tenon_err rc = TENON_OK;
    tenon_atom name;

    *providers = (struct tn_providers){ 0 };
    if (tenon_term_atom(service, &name) < 0) {
        return TENON_OK; /* nobody offers a name that C cannot hold */
    }
    tn_x3m_lock(x3m);
    TN_HASH_FIND(of_node, x3m->local, x3m->hash_key, name.text,
                 strlen(name.text), providers->local);
    if (providers->local == NULL) {
        const struct tn_remote *remote =
            tn_remotes_find(&x3m->remotes, name.text);

        rc = remote == NULL ? TENON_OK : add_nodes(providers, remote);
    }
    tn_x3m_unlock(x3m);
    if (rc < 0) {
        tn_providers_fini(providers);
    }
    return rc;
}

enum tenon_err tn_providers_shuffle(struct tn_providers *providers)
{
    for (size_t left = providers->count; left > 1; left--) {
        uint64_t random;

        if (tn_random_bytes(&random, sizeof random) < 0) {
            return TENON_E_SYSTEM;
        }
        struct tn_provider *last = &providers->nodes[left - 1];
        struct tn_provider *other = &providers->nodes[random % left];
        struct tn_provider swap = *last;

        *last = *other;
        *other = swap;
    }
    return TENON_OK;
}

void tn_providers_fini(struct tn_providers *providers)
{
    for (size_t i = 0; i < providers->count; i++) {
        free(providers->nodes[i].node);
    }
    free(providers->nodes);
    *providers = (struct tn_providers){ 0 };
}
