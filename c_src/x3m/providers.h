/* SPDX-License-Identifier: Apache-2.0 */
/* Who offers a service, as it was at one moment: the own node, or the other
 * nodes that have announced it. */
#ifndef TN_X3M_PROVIDERS_H
#define TN_X3M_PROVIDERS_H

#include <stddef.h>

#include <tenon/x3m.h>

#include "x3m/services.h"
#include "x3m/x3m.h"

/* A node to try. */
struct tn_provider {
    char *node;   /* owned; the module lies behind it in the same block */
    char *module; /* of its router */
};

struct tn_providers {
    struct tn_service *local;  /* of this node, public or private: hides all
                                  others; NULL: none */
    struct tn_provider *nodes; /* owned; `count` of them */
    size_t count;
};

/* Errors: NOMEM. On failure there is nothing to free. Threads: any, without
 * locks. */
TENON_CHECK enum tenon_err tn_providers_find(struct tn_x3m *x3m,
                                             tenon_term service,
                                             struct tn_providers *providers);
/* Puts the nodes into random order. Errors: SYSTEM. */
TENON_CHECK enum tenon_err tn_providers_shuffle(struct tn_providers *providers);
void tn_providers_fini(struct tn_providers *providers);

static inline bool tn_providers_none(const struct tn_providers *providers)
{
    return providers->local == NULL && providers->count == 0;
}

#endif
