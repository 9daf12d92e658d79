/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a node that serve the node itself: how they are started, and
 * what sys sees of them. */
#ifndef TN_OTP_OWN_H
#define TN_OTP_OWN_H

#include <stdbool.h>

#include <tenon/node.h>

#include "node/process.h"
#include "otp/sys.h"

/* One kind of such processes; runs inline and traps exits. */
struct tn_own {
    const char *name;  /* one of OTP's own; NULL: none */
    const char *title; /* in the log */
    bool unseen;       /* see tn_process_spec */
    /* A message that is not of sys. */
    void (*on_message)(tenon_process *self, tenon_term message);
    /* Appends what sys:get_state shows, as one term. */
    void (*build_state)(tenon_node *node, tenon_builder *out);
    /* A peer can kill any process whose pid it has seen, so each is started
     * anew by this, unless the node stops. */
    enum tenon_err (*start)(tenon_node *node, tenon_error *err);
};

/* Starts a process.
 *
 * own  lives as long as the node.
 * pid  set on success; may be NULL.
 * err  borrowed, may be NULL.
 * Errors: EXISTS, LIMIT, NOMEM, STOPPED. Threads: any, without the lock. */
TENON_CHECK enum tenon_err tn_own_start(tenon_node *node,
                                        const struct tn_own *own,
                                        tenon_pid *pid,
                                        tenon_error *err);

/* What sys asks of a process that serves the node and has a state of its own.
 * sys looks: the process is not suspended and not ended by it, and its state
 * stays what it is. True: the message was of sys; all others are counted.
 *
 * state  what build_state is given. */
bool tn_own_system(tenon_process *self,
                   struct tn_sys *sys,
                   void (*build_state)(void *state, tenon_builder *out),
                   void *state,
                   tenon_term message);

#endif
