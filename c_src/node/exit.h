/* SPDX-License-Identifier: Apache-2.0 */
/* What an exit signal does to the process that it reaches. */
#ifndef TN_NODE_EXIT_H
#define TN_NODE_EXIT_H

#include <stdbool.h>

#include "node/process.h"

/* A link broke: a trapping process gets {'EXIT', from, reason}, `normal` is
 * passed over, any other reason ends the process (noted as doomed: the caller
 * ends those before it leaves the lock). A large reason for which a mailbox has
 * no room is told as system_limit. With the lock held.
 *
 * account  of the peer that sends it; NULL: this node. */
void tn_exit_from_link_locked(tenon_process *process,
                              tenon_term from,
                              tenon_term reason,
                              tn_account *account,
                              bool *wake);

/* exit(pid, reason): as above, but `kill` cannot be trapped and ends with
 * `killed`, and `normal` ends a process that sends it to itself. What a peer
 * sends so to a trapping process is shed like a message where there is no room
 * for it: nothing limits how many it sends. */
void tn_exit_signal_locked(tenon_process *process,
                           tenon_term from,
                           tenon_term reason,
                           tn_account *account,
                           bool *wake);

#endif
