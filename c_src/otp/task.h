/* SPDX-License-Identifier: Apache-2.0 */
/* A task: the process that a task supervisor starts for its client, as
 * Elixir's Task.Supervised. Knows no supervisor. */
#ifndef TN_OTP_TASK_H
#define TN_OTP_TASK_H

#include <stdbool.h>

#include <tenon/process.h>

#include "node/access.h"

/* How long a task waits to be told what to run, as Elixir's. */
#define TN_TASK_ORDER_MS 5000u

/* Makes the process of a task. One that is to wait does so from now on; another
 * does nothing before tn_task_begin.
 *
 * args  the arguments of Task.Supervised.start_link, by their number:
 *
 *   [owner, monitor]                waits for {owner, ref, reply_to, callers,
 *                                   mfa}; the answer goes to reply_to
 *   [owner, callers, mfa]           runs at once, answers nobody
 *   [owner, callers, monitor, mfa]  waits for {owner, ref}; the answer goes to
 *                                   the owner
 *
 *       owner is {node, name or pid, pid}, mfa is {module, name, args}.
 *
 * origin  what the peer may use that asks for it; NULL: everything. An order
 *         that comes later counts by who sends it.
 *
 * account  of that peer; NULL: none.
 *
 * Returns it, owned: tenon_process_release. NULL on failure: NOT_FOUND (no
 * such list), INVAL (its elements do not fit), LIMIT, NOMEM, STOPPED in *rc.
 * Threads: any, without the lock. */
TENON_CHECK tenon_process *tn_task_new(tenon_node *node,
                                       tn_access *origin,
                                       tn_account *account,
                                       tenon_term args,
                                       enum tenon_err *rc);

/* Lets it run, unless it waits. Threads: any, without the lock. */
void tn_task_begin(tenon_process *task);

#endif
