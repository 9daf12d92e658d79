/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes have counted of the services that they offer. */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include <tenon.h>

/* Room for the text of one service. */
#define CLI_METRICS_TEXT_BYTES 256

/* The answers of the nodes asked so far; zeroed memory is none. */
struct cli_metrics {
    struct {
        tenon_atom node;
        tenon_value *map; /* NULL: it counts nothing */
    } * nodes;
    size_t count;
};

/* Puts " calls=3 refused=0 ..." of a service of a node into text; nothing for
 * a node that does not count, as a BEAM node. Each node is asked once.
 * service, on: atoms. */
void cli_metrics_text(struct cli_metrics *metrics,
                      tenon_node *node,
                      uint32_t timeout_ms,
                      tenon_term service,
                      tenon_term on,
                      char text[CLI_METRICS_TEXT_BYTES]);
void cli_metrics_fini(struct cli_metrics *metrics);

#endif
