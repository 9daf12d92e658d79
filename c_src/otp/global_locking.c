/* SPDX-License-Identifier: Apache-2.0 */
/* Taking locks on many nodes, and giving them back. */
#include <stdlib.h>
#include <string.h>

#include "otp/global_core.h"

#define STAGES 3u

struct tn_glocking {
    struct tn_global *global;
    tenon_value *id;
    void (*done)(struct tn_global *, void *, bool);
    void *user;
    struct tn_gnodes stages[STAGES];
    unsigned stage;
    struct tn_gnodes held; /* those that have said true */
    uint32_t waiting;      /* for answers, and for those who start calls */
    bool refused;
    bool dropped;
};

/* The question to one node; `call` first. */
struct asking {
    struct tn_gcall call;
    char node[TENON_NODE_NAME_MAX_BYTES + 1];
};

void tn_gcall_end(struct tn_gcall *call, tenon_term reply)
{
    call->ended(call->global, call, reply);
}

/* ---- giving back ------------------------------------------------------- */

static void unlock_on(struct tn_global *global, tenon_term id, const char *node)
{
    if (strcmp(node, global->own) == 0) {
        tn_glock_delete(global, id, tenon_value_term(global->holder));
        return;
    }
    tenon_value *request = tenon_value_format("{:del_lock, ~t}", id);

    if (request == NULL) {
        /* It would hold the lock for ever. */
        global->io->disconnect(global->io_user, node);
        return;
    }
    global->io->tell(global->io_user, node, tenon_value_term(request));
    tenon_value_free(request);
}

void tn_global_unlock(struct tn_global *global,
                      tenon_term id,
                      const struct tn_gnodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        unlock_on(global, id, nodes->at[i]);
    }
}

/* The boss, with whom all begin, comes last. */
void tn_global_unlock_known(struct tn_global *global,
                            tenon_term id,
                            const struct tn_gnodes *nodes)
{
    const char *boss = tn_gnodes_boss(nodes);

    for (size_t i = 0; i < nodes->count; i++) {
        if (nodes->at[i] != boss) {
            unlock_on(global, id, nodes->at[i]);
        }
    }
    if (boss != NULL) {
        unlock_on(global, id, boss);
    }
}

/* ---- taking ------------------------------------------------------------ */

struct tn_glocking *
tn_glocking_new(struct tn_global *global,
                tenon_term id,
                void (*done)(struct tn_global *, void *, bool),
                void *user)
{
    struct tn_glocking *locking = calloc(1, sizeof *locking);

    if (locking == NULL) {
        return NULL;
    }
    locking->global = global;
    locking->done = done;
    locking->user = user;
    locking->id = tenon_value_new(id);
    if (locking->id == NULL) {
        free(locking);
        return NULL;
    }
    return locking;
}

void tn_glocking_free(struct tn_glocking *locking)
{
    for (unsigned i = 0; i < STAGES; i++) {
        tn_gnodes_fini(&locking->stages[i]);
    }
    tn_gnodes_fini(&locking->held);
    tenon_value_free(locking->id);
    free(locking);
}

bool tn_glocking_add(struct tn_glocking *locking,
                     unsigned stage,
                     const char *node)
{
    for (unsigned i = 0; i < stage; i++) {
        if (tn_gnodes_has(&locking->stages[i], node)) {
            return true;
        }
    }
    return tn_gnodes_push(&locking->stages[stage], node);
}

static void note(struct tn_glocking *locking, const char *node, bool got)
{
    if (!got) {
        locking->refused = true;
    } else if (!tn_gnodes_push(&locking->held, node)) {
        locking->refused = true;
        unlock_on(locking->global, tenon_value_term(locking->id), node);
    }
}

static void ask_stage(struct tn_glocking *locking);

static void finish(struct tn_glocking *locking, bool ok)
{
    if (!ok) {
        tn_global_unlock(locking->global, tenon_value_term(locking->id),
                         &locking->held);
    }
    if (!locking->dropped) {
        locking->done(locking->global, locking->user, ok);
    }
    tn_glocking_free(locking);
}

/* One answer fewer to wait for. */
static void stage_step(struct tn_glocking *locking)
{
    if (--locking->waiting > 0) {
        return;
    }
    if (locking->refused || locking->dropped) {
        finish(locking, false);
    } else if (++locking->stage < STAGES) {
        ask_stage(locking);
    } else {
        finish(locking, true);
    }
}

/* A node that is gone does not count. */
static void
answered(struct tn_global *global, struct tn_gcall *call, tenon_term reply)
{
    struct asking *asking = (struct asking *)call;
    struct tn_glocking *locking = call->user;

    (void)global;
    if (reply.bytes != NULL) {
        note(locking, asking->node, tenon_term_is_atom(reply, "true"));
    }
    free(asking);
    stage_step(locking);
}

static void ask_node(struct tn_glocking *locking, const char *node)
{
    struct tn_global *global = locking->global;
    tenon_term id = tenon_value_term(locking->id);

    if (strcmp(node, global->own) == 0) {
        note(locking, node,
             tn_glock_set(global, id, tenon_value_term(global->holder)));
        return;
    }
    struct asking *asking = calloc(1, sizeof *asking);
    tenon_value *request = tenon_value_format("{:set_lock, ~t}", id);

    if (asking == NULL || request == NULL) {
        locking->refused = true;
        free(asking);
    } else {
        strncpy(asking->node, node, sizeof asking->node - 1);
        asking->call = (struct tn_gcall){ .global = global,
                                          .ended = answered,
                                          .user = locking,
                                          .node = asking->node };
        locking->waiting++;
        global->io->call(global->io_user, node, tenon_value_term(request),
                         &asking->call);
    }
    tenon_value_free(request);
}

/* When this node itself would say no, nobody else needs to be asked. */
static bool refused_here(struct tn_glocking *locking)
{
    struct tn_global *global = locking->global;

    return tn_gnodes_has(&locking->stages[locking->stage], global->own) &&
           !tn_glock_could_set(global, tenon_value_term(locking->id));
}

static void ask_stage(struct tn_glocking *locking)
{
    struct tn_gnodes *nodes = &locking->stages[locking->stage];

    locking->waiting = 1;
    if (refused_here(locking)) {
        locking->refused = true;
    } else {
        for (size_t i = 0; i < nodes->count; i++) {
            ask_node(locking, nodes->at[i]);
        }
    }
    stage_step(locking);
}

void tn_glocking_start(struct tn_glocking *locking)
{
    ask_stage(locking);
}

void tn_glocking_drop(struct tn_glocking *locking)
{
    locking->dropped = true;
}

enum tenon_err
tn_global_try_lock(struct tn_global *global,
                   tenon_term id,
                   const struct tn_gnodes *nodes,
                   void (*done)(struct tn_global *, void *, bool),
                   void *user)
{
    struct tn_glocking *locking = tn_glocking_new(global, id, done, user);

    if (locking == NULL) {
        return TENON_E_NOMEM;
    }
    for (size_t i = 0; i < nodes->count; i++) {
        if (!tn_glocking_add(locking, 0, nodes->at[i])) {
            tn_glocking_free(locking);
            return TENON_E_NOMEM;
        }
    }
    tn_glocking_start(locking);
    return TENON_OK;
}

/* ---- giving back, and waiting for it ----------------------------------- */

struct tn_gunlocking {
    uint32_t waiting; /* for answers, and for who starts the calls */
    void (*done)(void *, enum tenon_err); /* NULL: nobody waits */
    void *user;
};

static void unlock_step(struct tn_gunlocking *unlocking)
{
    if (--unlocking->waiting > 0) {
        return;
    }
    if (unlocking->done != NULL) {
        unlocking->done(unlocking->user, TENON_OK);
    }
    free(unlocking);
}

/* Answered or gone: it has the lock no more. */
static void
unlocked(struct tn_global *global, struct tn_gcall *call, tenon_term reply)
{
    struct tn_gunlocking *unlocking = call->user;

    (void)global;
    (void)reply;
    free(call);
    unlock_step(unlocking);
}

static void ask_unlock(struct tn_global *global,
                       struct tn_gunlocking *unlocking,
                       tenon_term id,
                       const char *node)
{
    struct asking *asking = calloc(1, sizeof *asking);
    tenon_value *request = tenon_value_format("{:del_lock, ~t}", id);

    if (strcmp(node, global->own) == 0 || asking == NULL || request == NULL) {
        unlock_on(global, id, node);
        free(asking);
    } else {
        strncpy(asking->node, node, sizeof asking->node - 1);
        asking->call = (struct tn_gcall){ .global = global,
                                          .ended = unlocked,
                                          .user = unlocking,
                                          .node = asking->node };
        unlocking->waiting++;
        global->io->call(global->io_user, node, tenon_value_term(request),
                         &asking->call);
    }
    tenon_value_free(request);
}

struct tn_gunlocking *tn_global_unlock_all(struct tn_global *global,
                                           tenon_term id,
                                           const struct tn_gnodes *nodes,
                                           void (*done)(void *, enum tenon_err),
                                           void *user)
{
    struct tn_gunlocking *unlocking = calloc(1, sizeof *unlocking);

    if (unlocking == NULL) {
        return NULL;
    }
    *unlocking =
        (struct tn_gunlocking){ .waiting = 1, .done = done, .user = user };
    for (size_t i = 0; i < nodes->count; i++) {
        ask_unlock(global, unlocking, id, nodes->at[i]);
    }
    unlock_step(unlocking);
    return unlocking;
}

void tn_global_unlock_forget(struct tn_gunlocking *unlocking)
{
    unlocking->done = NULL;
}
