/* SPDX-License-Identifier: Apache-2.0 */
/* The service registry's process, and what it sends: introductions, the own
 * services on change and every 20 s, the farewell. */
#include "x3m/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "node/node.h"
#include "node/quota.h"
#include "term/build.h"
#include "term/print.h"
#include "x3m/attempt.h"
#include "x3m/registry_message.h"
#include "x3m/router.h"

/* Pairs of an announcement that are taken under the lock at a time, which
 * dispatches wait for. */
#define SLICE_PAIRS 256u

/* A node that has gone. */
struct tn_gone {
    STAILQ_ENTRY(tn_gone) next;
    char name[];
};

/* ---- sending ---------------------------------------------------------- */

/* What is said to one node or to all. */
struct saying {
    enum tn_registry_kind kind;
    struct tn_announced *services;
    size_t count;
};

static void send_term(struct tn_x3m *x3m, const char *to, tenon_term message)
{
    enum tenon_err rc = tn_send_name(x3m->node, tn_process_pid(x3m->registry),
                                     TN_REGISTRY_NAME, to, message);

    if (rc < 0) {
        tn_log(&x3m->node->log, TN_WARN, "x3m_registry_send", "to", to, "error",
               tenon_err_text(rc), NULL);
    }
}

static void send_to_all(struct tn_x3m *x3m, tenon_term message)
{
    tenon_builder names;
    tenon_term list, element;
    tenon_cursor at;
    tenon_atom name;

    tn_builder_init(&names, TENON_TERM_MAX_BYTES);
    if (tenon_node_list(x3m->node, TENON_PEERS_VISIBLE, &names) >= 0 &&
        tenon_builder_term(&names, &list) == TENON_OK) {
        tenon_cursor_init(&at, list);
        while (tenon_cursor_next(&at, &element)) {
            if (tenon_term_atom(element, &name) == TENON_OK) {
                send_term(x3m, name.text, message);
            }
        }
    }
    tn_builder_fini(&names);
}

/* The one place from which anything goes to a registry. to: NULL: to all
 * visible nodes. */
static enum tenon_err
say(struct tn_x3m *x3m, const char *to, const struct saying *saying)
{
    tenon_builder builder;
    tenon_term message;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    enum tenon_err rc =
        tn_registry_build(&builder, saying->kind, x3m->node->name.full,
                          saying->services, saying->count);

    if (rc == TENON_OK) {
        rc = tenon_builder_term(&builder, &message);
    }
    if (rc == TENON_OK && to != NULL) {
        send_term(x3m, to, message);
    } else if (rc == TENON_OK) {
        send_to_all(x3m, message);
    }
    tn_builder_fini(&builder);
    return rc;
}

/* Collects public services, of one router or (NULL) of all. The names stay
 * where they are until the node ends. saying->services: owned, free. */
static enum tenon_err
collect(struct tn_x3m *x3m, const tenon_router *router, struct saying *saying)
{
    struct tn_service *service, *following;
    size_t room;

    *saying = (struct saying){ .kind = TN_REGISTRY_REGISTER };
    tn_x3m_lock(x3m);
    room = HASH_CNT(of_node, x3m->local);
    saying->services = calloc(room + 1, sizeof *saying->services);
    HASH_ITER(of_node, x3m->local, service, following)
    {
        if (saying->services != NULL && service->is_public &&
            (router == NULL || service->router == router)) {
            saying->services[saying->count++] =
                (struct tn_announced){ service->name, service->router->module };
        }
    }
    tn_x3m_unlock(x3m);
    return saying->services == NULL ? TENON_E_NOMEM : TENON_OK;
}

static enum tenon_err
tell_services(struct tn_x3m *x3m, const char *to, const tenon_router *router)
{
    struct saying saying;
    enum tenon_err rc = collect(x3m, router, &saying);

    if (rc == TENON_OK) {
        rc = say(x3m, to, &saying);
        free(saying.services);
    }
    return rc;
}

enum tenon_err tn_registry_announce(struct tn_x3m *x3m,
                                    const tenon_router *router)
{
    return tell_services(x3m, NULL, router);
}

static void log_failed(struct tn_x3m *x3m, const char *what, enum tenon_err rc)
{
    if (rc < 0) {
        tn_log(&x3m->node->log, TN_ERROR, "x3m_registry", "doing", what,
               "error", tenon_err_text(rc), NULL);
    }
}

static void exchange(struct tn_timer *timer, void *user)
{
    struct tn_x3m *x3m = user;

    log_failed(x3m, "exchange", tell_services(x3m, NULL, NULL));
    log_failed(x3m, "exchange timer",
               tn_timer_start(x3m->node, timer, TN_REGISTRY_EXCHANGE_MS,
                              exchange, x3m));
}

/* ---- peers ------------------------------------------------------------ */

static void peer_up(struct tn_x3m *x3m, const char *name)
{
    const struct saying introduce = { .kind = TN_REGISTRY_INTRODUCE };

    log_failed(x3m, "introduce", say(x3m, name, &introduce));
    log_failed(x3m, "register", tell_services(x3m, name, NULL));
}

static void drop_node(struct tn_x3m *x3m, const char *name)
{
    bool left;

    do {
        tn_x3m_lock(x3m);
        left = tn_remotes_drop_some(&x3m->remotes, name, SLICE_PAIRS);
        tn_x3m_unlock(x3m);
    } while (left);
}

/* Whether it has announced anything of others, too. */
static bool has_told(struct tn_x3m *x3m, const char *name)
{
    tn_account *account = tn_account_of(x3m->node->budget, name);
    bool has = tn_account_count(account, TN_QUOTA_OFFERS) > 0;

    tn_account_unref(account);
    return has;
}

static void drop_peer(struct tn_x3m *x3m, const char *name)
{
    drop_node(x3m, name);
    if (has_told(x3m, name)) {
        tn_x3m_lock(x3m);
        tn_remotes_drop_told(&x3m->remotes, name);
        tn_x3m_unlock(x3m);
    }
}

/* In order with the messages of the registry: behind what the node has
 * announced, which would otherwise be kept for ever. Without memory at once. */
static void peer_down(struct tn_x3m *x3m, const char *name)
{
    size_t len = strlen(name) + 1;
    struct tn_gone *gone = malloc(sizeof *gone + len);

    if (gone == NULL) {
        drop_peer(x3m, name);
        return;
    }
    memcpy(gone->name, name, len);
    tn_x3m_lock(x3m);
    STAILQ_INSERT_TAIL(&x3m->gone, gone, next);
    tn_x3m_unlock(x3m);
    if (tn_process_poke(x3m->registry) < 0) {
        tn_x3m_lock(x3m);
        STAILQ_REMOVE(&x3m->gone, gone, tn_gone, next);
        tn_x3m_unlock(x3m);
        drop_peer(x3m, name);
        free(gone);
    }
}

static void take_gone(struct tn_x3m *x3m)
{
    tn_x3m_lock(x3m);
    struct tn_gone *gone = STAILQ_FIRST(&x3m->gone);

    if (gone != NULL) {
        STAILQ_REMOVE_HEAD(&x3m->gone, next);
    }
    tn_x3m_unlock(x3m);
    if (gone != NULL) {
        drop_peer(x3m, gone->name);
        free(gone);
    }
}

void tn_registry_fini(struct tn_x3m *x3m)
{
    struct tn_gone *gone;

    while ((gone = STAILQ_FIRST(&x3m->gone)) != NULL) {
        STAILQ_REMOVE_HEAD(&x3m->gone, next);
        free(gone);
    }
}

static void on_peer(void *user, const char *name, bool up, bool visible)
{
    struct tn_x3m *x3m = user;

    if (visible) {
        tn_telemetry_node(x3m, up, name);
    }
    if (up) {
        /* Hidden nodes are not spoken to unless they ask. */
        if (visible) {
            peer_up(x3m, name);
        }
        return;
    }
    peer_down(x3m, name);
    tn_attempts_node_down(x3m, name);
}

/* ---- receiving -------------------------------------------------------- */

static void log_dropped(struct tn_x3m *x3m, const char *why, tenon_term term)
{
    char text[160];

    tn_term_show(term, text, sizeof text);
    tn_log(&x3m->node->log, TN_WARN, "x3m_registry_dropped", "why", why,
           "message", text, NULL);
}

static void take_services(struct tn_x3m *x3m,
                          tn_account *account,
                          const struct tn_registry_message *message)
{
    struct tn_fold fold;
    bool done = false;
    enum tenon_err rc =
        tn_remotes_fold_begin(&fold, account, message->services);

    while (rc == TENON_OK && !done) {
        tn_x3m_lock(x3m);
        rc = tn_remotes_fold_some(&x3m->remotes, &fold, message->node.text,
                                  SLICE_PAIRS, &done);
        tn_x3m_unlock(x3m);
    }
    if (rc == TENON_E_LIMIT && account != NULL) {
        tn_account_note_refused(account, "offers of services");
    } else if (rc < 0) {
        log_dropped(x3m, tenon_err_text(rc), message->services);
    } else if (fold.left_out > 0) {
        log_dropped(x3m, "pairs that are not two atoms", message->services);
    }
}

static void handle(struct tn_x3m *x3m,
                   tn_account *account,
                   const struct tn_registry_message *message)
{
    switch (message->kind) {
    case TN_REGISTRY_INTRODUCE:
        log_failed(x3m, "introduce ourselves",
                   tell_services(x3m, message->node.text, NULL));
        break;
    case TN_REGISTRY_REGISTER:
        take_services(x3m, account, message);
        break;
    case TN_REGISTRY_UNREGISTER:
        drop_node(x3m, message->node.text);
        break;
    }
}

static void on_message(tenon_process *self, void *state, tenon_term term)
{
    struct tn_x3m *x3m = state;
    struct tn_registry_message message;

    if (tn_is_poke(term)) {
        take_gone(x3m);
        return;
    }
    if (tn_registry_read(term, &message) < 0) {
        log_dropped(x3m, "none of the registry's messages", term);
        return;
    }
    /* Of the own node nobody else knows better, and a BEAM never says it. A
     * limited peer speaks for itself alone. */
    if (strcmp(message.node.text, x3m->node->name.full) != 0 &&
        tn_may_claim(x3m->node, tn_process_origin(self), "x3m services",
                     message.node.text, strlen(message.node.text))) {
        handle(x3m, tn_process_account(self), &message);
    }
}

/* ---- life ------------------------------------------------------------- */

/* Forgetting a node takes as long as it has services. */
static bool is_long(tenon_term message)
{
    return tn_is_poke(message);
}

static const struct tn_process_class registry_class = {
    .on_message = on_message,
    .large_on_worker = true,
    .is_long = is_long,
};

enum tenon_err tn_registry_start(struct tn_x3m *x3m, tenon_error *err)
{
    tenon_error why = { .code = TENON_E_NOMEM };
    const struct tn_process_spec spec = {
        .class = &registry_class,
        .state = x3m,
        .name = TN_REGISTRY_NAME,
        .is_open = true,
        .run_inline = true,
        .trap_exit = true,
    };

    if (tn_reserve_name(x3m->node, TN_REGISTRY_NAME) < 0) {
        return tn_error(err, TENON_E_LIMIT,
                        "service registry: no name can be reserved any more");
    }
    if (x3m->registry == NULL) {
        x3m->registry = tn_process_start(x3m->node, &spec, &why);
        if (x3m->registry == NULL) {
            return tn_error(err, why.code, "service registry: %s", why.text);
        }
    }
    enum tenon_err rc = tn_timer_start(x3m->node, &x3m->exchange,
                                       TN_REGISTRY_EXCHANGE_MS, exchange, x3m);

    if (rc == TENON_OK) {
        rc = tenon_node_watch_peers(x3m->node, on_peer, x3m);
    }
    if (rc < 0) {
        return tn_error(err, rc, "service registry: %s", tenon_err_text(rc));
    }
    return TENON_OK;
}

void tn_registry_stop(struct tn_x3m *x3m)
{
    const struct saying farewell = { .kind = TN_REGISTRY_UNREGISTER };

    tn_timer_stop(x3m->node, &x3m->exchange);
    log_failed(x3m, "farewell", say(x3m, NULL, &farewell));
}
