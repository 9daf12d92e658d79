/* SPDX-License-Identifier: Apache-2.0 */
/* What ends with a peer or a process that others watch: links, monitors,
 * requests, by the hundred thousand, in slices, so that neither the loop nor
 * the node's lock is held for long. */
#ifndef TN_NODE_LOST_H
#define TN_NODE_LOST_H

#include <stdbool.h>

#include <tenon/node.h>

#include "node/peer.h"

/* Steps that are taken under the lock at a time. */
#define TN_SLICE_STEPS 128u

/* A peer that is out of the table is lost: everything over it ends, then the
 * watches of peers are told if it was up, then it is freed. What is little has
 * ended when this returns. peer: taken. Loop thread, without the lock. */
void tn_lost_add(tenon_node *node, struct tn_peer *peer, bool was_up);

/* Whether something of a former connection to that node has still to end:
 * nothing of a new one may come before. With the lock. */
bool tn_lost_has_locked(tenon_node *node, const char *name);

/* Whether tn_lost_run has something to do. With the lock. */
bool tn_lost_is_waiting_locked(const tenon_node *node);

/* Goes on with it, as far as the turn reaches. Loop thread, without the lock. */
void tn_lost_run(tenon_node *node);

#endif
