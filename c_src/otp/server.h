/* SPDX-License-Identifier: Apache-2.0 */
/* What servers of our own have beyond tenon_server_config. */
#ifndef TN_OTP_SERVER_H
#define TN_OTP_SERVER_H

#include <tenon/process.h>

struct tn_server_hooks {
    /* The server is about to end because sys or its parent says so: others
     * still find it. On the thread of its handlers, and it may block. */
    void (*before_end)(tenon_process *self, void *state, tenon_term reason);
};

/* As tenon_server_start. hooks: live as long as the node. */
TENON_CHECK tenon_process *tn_server_start(tenon_node *node,
                                           const tenon_server_config *config,
                                           const struct tn_server_hooks *hooks);

#endif
