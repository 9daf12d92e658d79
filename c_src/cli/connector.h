/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a node connected to one peer, for --connect of `tenon run`. */
#ifndef CLI_CONNECTOR_H
#define CLI_CONNECTOR_H

#include <tenon.h>

/* Between two attempts. */
#define CLI_CONNECT_RETRY_MS 1000

/* Embedded by the owner, who keeps it until the node has stopped. */
struct cli_connector {
    tenon_node *node;
    const char *peer;
    tenon_pid pid; /* of the process that connects */
};

/* Connects to peer in the background (the node logs why it cannot), tries again until it is there, and
 * starts over when it was lost, until the node stops.
 *
 * peer  borrowed until the node has stopped.
 * Errors: those of tenon_server_start. */
TENON_CHECK enum tenon_err cli_connector_start(struct cli_connector *connector,
                                               tenon_node *node,
                                               const char *peer,
                                               tenon_error *err);

#endif
