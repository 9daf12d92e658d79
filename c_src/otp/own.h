/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a node that serve the node itself: how they are started. */
#ifndef TN_OTP_OWN_H
#define TN_OTP_OWN_H

#include <stdbool.h>

#include <tenon/node.h>

#include "node/process.h"

/* Starts a process that runs inline and traps exits.
 *
 * class   lives as long as the node.
 * name    one of OTP's own, or NULL.
 * unseen  see tn_process_spec.
 * pid     set on success; may be NULL.
 * err     borrowed, may be NULL.
 * Errors: EXISTS, LIMIT, NOMEM, STOPPED. Threads: any, without the lock. */
TENON_CHECK enum tenon_err tn_own_start(tenon_node *node,
                                        const struct tn_process_class *class,
                                        const char *name,
                                        bool unseen,
                                        tenon_pid *pid,
                                        tenon_error *err);

/* For on_exit of such a class: a peer can kill any process whose pid it has
 * seen, so each is started anew by `start`, unless the node stops. */
void tn_own_restart(tenon_process *ended,
                    tenon_term reason,
                    const char *name,
                    enum tenon_err (*start)(tenon_node *, tenon_error *));

#endif
