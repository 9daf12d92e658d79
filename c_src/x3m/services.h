/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of services: the own ones with their functions, and what other nodes
 * have announced. Plain data: no node, no lock. */
#ifndef TN_X3M_SERVICES_H
#define TN_X3M_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <tenon/x3m.h>

#include "base/account.h"
#include "base/hash.h"
#include "x3m/metrics.h"

/* One service of a router of this node. Never freed before the node. */
struct tn_service {
    UT_hash_handle of_router;   /* by name */
    UT_hash_handle of_function; /* by function; the first of each */
    UT_hash_handle of_node;     /* by name; once it is registered */
    tenon_router *router;
    tenon_service_fn fn;
    tenon_settle_fn on_commit;
    tenon_settle_fn on_rollback;
    void *user;
    unsigned flags;
    bool is_public;
    bool registered;
    const char *handler; /* atoms' texts; lie behind name, or the module's */
    const char *function;
    struct tn_served_metrics metrics;
    char name[]; /* an atom's text */
};

/* Most offers (a service of a node) that are kept; what is announced beyond
 * is left out and logged. */
#define TN_OFFERS_MAX 65536u
/* Of these those that one peer has announced, for whatever nodes. */
#define TN_PEER_OFFERS_MAX (TN_OFFERS_MAX / 4u)

struct tn_remote;

/* One node that offers a service. */
struct tn_offer {
    SLIST_ENTRY(tn_offer) next;      /* of the service */
    LIST_ENTRY(tn_offer) of_offerer; /* of the node */
    struct tn_remote *remote;
    struct tn_offerer *offerer;
    tn_account *account; /* kept, of the peer that has announced it */
    const char *node;    /* the offerer's name */
    char module[];
};

/* A node that offers services; gone with the last of them. */
struct tn_offerer {
    UT_hash_handle hh; /* by name */
    LIST_HEAD(, tn_offer) offers;
    char name[];
};

/* A service that other nodes offer. */
struct tn_remote {
    UT_hash_handle hh; /* by name */
    SLIST_HEAD(, tn_offer) offers;
    size_t count;
    char name[];
};

struct tn_remotes {
    const struct tn_sip_key *hash_key; /* the node's */
    struct tn_remote *table;
    struct tn_offerer *offerers;
    size_t offers; /* of all services */
};

/* Adds an offer, or replaces the one that is there.
 *
 * account  kept; of the peer that announces it.
 * Errors: LIMIT (also the peer's), NOMEM. */
TENON_CHECK enum tenon_err tn_remotes_put(struct tn_remotes *remotes,
                                          tn_account *account,
                                          const char *service,
                                          const char *node,
                                          const char *module);
/* Adds what a node has announced, a map or a list of pairs. Pairs that are
 * not two atoms are left out.
 *
 * left_out  set: how many pairs were left out.
 * Errors: BADTERM (neither map nor proper list: nothing is added), LIMIT,
 * NOMEM (what came before is added). */
TENON_CHECK enum tenon_err tn_remotes_fold(struct tn_remotes *remotes,
                                           const char *node,
                                           tenon_term services,
                                           size_t *left_out);
/* The same in slices. */
struct tn_fold {
    tenon_cursor at;
    bool is_map;
    size_t left_out;
    tn_account *account; /* borrowed; of the peer that announces */
};
/* services: borrowed until the end. Errors: BADTERM. */
TENON_CHECK enum tenon_err tn_remotes_fold_begin(struct tn_fold *fold,
                                                 tn_account *account,
                                                 tenon_term services);
/* Adds at most `max` pairs. done: set to true at the end of all. On an error,
 * too, that is all. Errors: LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_remotes_fold_some(struct tn_remotes *remotes,
                                                struct tn_fold *fold,
                                                const char *node,
                                                size_t max,
                                                bool *done);
/* Forgets what a peer has announced of other nodes, which is gone. */
void tn_remotes_drop_told(struct tn_remotes *remotes, const char *peer);
/* Forgets a node; services that nobody offers any more are gone. */
void tn_remotes_drop_node(struct tn_remotes *remotes, const char *node);
/* At most `max` of what it offers. False: nothing is left. */
bool tn_remotes_drop_some(struct tn_remotes *remotes,
                          const char *node,
                          size_t max);
/* Who offers a service; NULL: nobody. Borrowed until the next change. */
const struct tn_remote *tn_remotes_find(const struct tn_remotes *remotes,
                                        const char *service);
void tn_remotes_fini(struct tn_remotes *remotes);

#endif
