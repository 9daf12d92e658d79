/* SPDX-License-Identifier: Apache-2.0 */
/* How a node is reached and reaches others: address family, listening address,
 * TLS, all from the words of its configuration. */
#ifndef TN_NODE_TRANSPORT_H
#define TN_NODE_TRANSPORT_H

#include <stdbool.h>

#include <tenon/node.h>

#include "dist/conn.h"
#include "dist/tls_options.h"

struct tn_transport {
    bool is_tls;
    struct tn_tls_options tls; /* constant after the start */
};

/* Checks the configuration and fills in what it says: listen_at, peer_port,
 * and tls, which the caller gives back by tn_tls_context_unref.
 *
 * transport  zero before; tn_transport_fini also after a failure.
 * Errors: INVAL, SYSTEM (a file), TERM_SYNTAX, LIMIT, NOMEM, in config->err. */
TENON_CHECK enum tenon_err tn_transport_read(struct tn_transport *transport,
                                             const tenon_node_config *config,
                                             struct tn_dist_config *dist);
void tn_transport_fini(struct tn_transport *transport);

/* Reads certificates and keys again, on a worker, and says in the log how that
 * went. For SIGHUP. Threads: any. */
void tn_transport_reload_later(tenon_node *node);

#endif
