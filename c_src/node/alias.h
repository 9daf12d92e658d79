/* SPDX-License-Identifier: Apache-2.0 */
/* Aliases: references by which a process of this node is reached for as long
 * as it wants to be. */
#ifndef TN_NODE_ALIAS_H
#define TN_NODE_ALIAS_H

#include <stdbool.h>

#include <tenon/process.h>

#include "dist/conn.h"
#include "node/link.h"

/* Guarded by the node's lock. */
struct tn_alias {
    UT_hash_handle hh; /* by key */
    LIST_ENTRY(tn_alias) of_process;
    struct tn_ref_key key;
    tenon_process *process; /* borrowed: it ends its aliases when it ends */
    enum tenon_alias_mode mode;
};

/* Guarded by the node's lock. */
struct tn_aliases {
    struct tn_alias *table; /* uthash by key */
};

/* All of the following with the lock held. */

/* Makes `ref`, which nobody else has, an alias. Errors: INVAL, LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_alias_add_locked(tenon_process *process,
                                               tenon_term ref,
                                               enum tenon_alias_mode mode);

/* A monitor of that key is no more: an alias that hangs on it ends. */
void tn_alias_monitor_gone_locked(tenon_node *node,
                                  const struct tn_ref_key *key);
/* The same by its reference. failed: the monitor was never there, so the alias
 * ends whatever its mode. */
void tn_alias_monitor_over_locked(tenon_process *process,
                                  tenon_term ref,
                                  bool failed);

/* At most *max of them, which is less them then. */
void tn_aliases_process_ended(tenon_process *process, unsigned *max);

/* Delivers a message to the process that the alias leads to; NOT_FOUND when it
 * leads nowhere (any more). conn: as for tn_process_deliver_locked. */
enum tenon_err tn_alias_deliver_locked(tenon_node *node,
                                       tenon_term ref,
                                       tenon_term message,
                                       tn_conn *conn,
                                       bool *wake);

/* Loop thread, without the lock: a message to an alias that arrived. */
void tn_alias_deliver_from(tenon_node *node,
                           tn_conn *conn,
                           const struct tn_signal *signal);

#endif
