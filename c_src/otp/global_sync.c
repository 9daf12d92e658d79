/* SPDX-License-Identifier: Apache-2.0 */
/* Being in sync with the others: telling it, and waiting for it. */
#include <stdlib.h>
#include <string.h>

#include "otp/global_core.h"

void tn_gsync_other(struct tn_global *global, const char *node)
{
    struct tn_gpeer *peer = tn_gpeer_find(global, node);

    if (peer == NULL) {
        return;
    }
    if (peer->up) {
        tn_global_send(
            global, node,
            tenon_value_format("{:\"$gen_cast\", {:in_sync, ~a, true}}",
                               global->own));
    } else if (!peer->wanted) {
        peer->wanted = true;
        global->io->connect(global->io_user, node);
    }
}

/* ---- waiting ----------------------------------------------------------- */

static void free_sync(struct tn_gsync *sync)
{
    tn_gkept_give_back(&sync->kept);
    tn_gnodes_fini(&sync->nodes);
    tenon_value_free(sync->from);
    tenon_value_free(sync->tag);
    free(sync);
}

static void end_sync(struct tn_global *global, struct tn_gsync *sync)
{
    static const uint8_t ok[] = { 119, 2, 'o', 'k' };

    LIST_REMOVE(sync, next);
    global->sync_count--;
    if (sync->done != NULL) {
        sync->done(sync->user, TENON_OK);
    } else {
        global->io->reply(global->io_user, tenon_value_term(sync->from),
                          tenon_value_term(sync->tag),
                          (tenon_term){ ok, sizeof ok });
    }
    free_sync(sync);
}

void tn_gsync_told(struct tn_global *global, const char *node)
{
    struct tn_gsync *sync, *following;

    for (sync = LIST_FIRST(&global->syncs); sync != NULL; sync = following) {
        following = LIST_NEXT(sync, next);
        tn_gnodes_remove(&sync->nodes, node);
        if (sync->nodes.count == 0) {
            end_sync(global, sync);
        }
    }
}

static bool is_waited_for(const struct tn_gpeer *peer)
{
    return peer->up && !peer->synced;
}

static struct tn_gsync *new_sync(struct tn_global *global)
{
    return global->sync_count >= TN_GLOBAL_WAITING_MAX
               ? NULL
               : calloc(1, sizeof(struct tn_gsync));
}

static void begin_sync(struct tn_global *global, struct tn_gsync *sync)
{
    LIST_INSERT_HEAD(&global->syncs, sync, next);
    global->sync_count++;
    if (sync->nodes.count == 0) {
        end_sync(global, sync);
    }
}

enum tenon_err tn_global_sync(struct tn_global *global,
                              void (*done)(void *, enum tenon_err),
                              void *user)
{
    struct tn_gsync *sync = new_sync(global);

    if (sync == NULL) {
        return global->sync_count >= TN_GLOBAL_WAITING_MAX ? TENON_E_LIMIT
                                                           : TENON_E_NOMEM;
    }
    sync->done = done;
    sync->user = user;
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        if (is_waited_for(peer) && !tn_gnodes_push(&sync->nodes, peer->name)) {
            free_sync(sync);
            return TENON_E_NOMEM;
        }
    }
    begin_sync(global, sync);
    return TENON_OK;
}

/* {sync, Nodes}. One that cannot be kept ends at once. */
void tn_gsync_on_call(struct tn_global *global,
                      tenon_term nodes,
                      tenon_term from,
                      tenon_term tag)
{
    struct tn_gsync *sync = new_sync(global);
    tenon_cursor at;
    tenon_term element;
    tenon_atom name;

    if (sync == NULL) {
        return;
    }
    sync->from = tenon_value_new(from);
    sync->tag = tenon_value_new(tag);
    /* Each node once: a list may name one a million times. */
    global->list_round++;
    tenon_cursor_init(&at, nodes);
    while (tenon_cursor_next(&at, &element)) {
        struct tn_gpeer *peer = tenon_term_atom(element, &name) == TENON_OK
                                    ? tn_gpeer_find(global, name.text)
                                    : NULL;

        if (peer != NULL && is_waited_for(peer) &&
            peer->list_round != global->list_round) {
            peer->list_round = global->list_round;
            (void)tn_gnodes_push(&sync->nodes, peer->name);
        }
    }
    if (sync->from == NULL || sync->tag == NULL) {
        free_sync(sync);
        return;
    }
    if (!tn_gkept_take(global, &sync->kept, TN_QUOTA_WAITING,
                       TN_GLOBAL_PEER_WAITING_MAX, sizeof *sync + nodes.len)) {
        tn_gnodes_fini(&sync->nodes);
    }
    begin_sync(global, sync);
}

void tn_global_sync_forget(struct tn_global *global, void *user)
{
    struct tn_gsync *sync;

    LIST_FOREACH(sync, &global->syncs, next)
    {
        if (sync->done != NULL && sync->user == user) {
            LIST_REMOVE(sync, next);
            global->sync_count--;
            free_sync(sync);
            return;
        }
    }
}

void tn_gsyncs_fini(struct tn_global *global)
{
    struct tn_gsync *sync;

    while ((sync = LIST_FIRST(&global->syncs)) != NULL) {
        LIST_REMOVE(sync, next);
        if (sync->done != NULL) {
            sync->done(sync->user, TENON_E_STOPPED);
        }
        free_sync(sync);
    }
}

void tn_gsyncs_node_lost(struct tn_global *global, const char *node)
{
    struct tn_gsync *sync, *following;

    for (sync = LIST_FIRST(&global->syncs); sync != NULL; sync = following) {
        following = LIST_NEXT(sync, next);
        if (sync->from != NULL &&
            tn_gpid_is_of(tenon_value_term(sync->from), node)) {
            LIST_REMOVE(sync, next);
            global->sync_count--;
            free_sync(sync);
        }
    }
}
