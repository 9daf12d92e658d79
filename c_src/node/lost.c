/* SPDX-License-Identifier: Apache-2.0 */
/* The loop ends what is over a lost peer. A peer that comes back meanwhile has
 * an entry of its own, and is not up before that is done: what it sends comes
 * behind the ends of its former connection, as BEAM nodes have it. */
#include "node/lost.h"

#include <string.h>

#include "node/link.h"
#include "node/loop.h"
#include "node/node.h"

/* False: nothing is left. */
static bool end_some(tenon_node *node, struct tn_peer *peer)
{
    struct tn_request_list ended;
    bool wake = false;
    tn_lock(node);
    bool left = tn_links_peer_lost_locked(node, peer, TN_SLICE_STEPS, &wake);
    left |= tn_requests_peer_lost_locked(peer, TN_SLICE_STEPS, &ended);
    tn_leave(node, wake);
    tn_requests_end(&ended, TN_END_NODEDOWN, (tenon_term){ NULL, 0 });
    return left;
}

static void finish(tenon_node *node, struct tn_peer *peer)
{
    if (peer->was_up) {
        tn_peers_tell_watches(node, peer, false);
    }
    tn_lock(node);
    STAILQ_REMOVE(&node->peers.lost, peer, tn_peer, lost_next);
    node->peers.wanted = true; /* perhaps this one again */
    tn_unlock(node);
    tn_peer_free(peer);
}

void tn_lost_run(tenon_node *node)
{
    for (;;) {
        tn_lock(node);
        struct tn_peer *peer = STAILQ_FIRST(&node->peers.lost);
        tn_unlock(node);
        if (peer == NULL) {
            return;
        }
        if (!end_some(node, peer)) {
            finish(node, peer);
        }
        if (tn_loop_is_spent(node)) {
            return;
        }
    }
}

void tn_lost_add(tenon_node *node, struct tn_peer *peer, bool was_up)
{
    tn_lock(node);
    peer->state = TN_PEER_LOST;
    peer->was_up = was_up;
    tn_pending_fini(&peer->pending);
    STAILQ_INSERT_TAIL(&node->peers.lost, peer, lost_next);
    tn_unlock(node);
    tn_lost_run(node);
}

bool tn_lost_has_locked(tenon_node *node, const char *name)
{
    const struct tn_peer *peer;
    STAILQ_FOREACH(peer, &node->peers.lost, lost_next)
    {
        if (strcmp(peer->name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool tn_lost_is_waiting_locked(const tenon_node *node)
{
    return !STAILQ_EMPTY(&node->peers.lost);
}
