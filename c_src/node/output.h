/* SPDX-License-Identifier: Apache-2.0 */
/* Where the node's log and what its group leader prints go: two bounded queues
 * with a thread each, so that a reader who does not read stops neither the node
 * nor the other one. */
#ifndef TN_NODE_OUTPUT_H
#define TN_NODE_OUTPUT_H

#include <tenon/node.h>

/* At the stop what waits is written for so long; then two looks of the writer
 * (TN_WRITER_LOOK_MS) are left of the second that README grants. */
#define TN_OUTPUT_DRAIN_MS 800u

/* Who prints waits so long for a reader of standard output. */
#define TN_PRINT_WAIT_MS 5000u

/* Makes both, before anything is logged. What the node logs has a rate for each
 * event and peer (base/log_rate.h); what the program logs through it has none.
 * Errors: NOMEM. */
TENON_CHECK enum tenon_err tn_output_start(tenon_node *node,
                                           const tenon_node_config *config);

/* Writes out what waits. Lines that a handler without end logs afterwards go
 * to standard error directly, or nowhere when the log is a function of the
 * user's. */
void tn_output_stop(tenon_node *node);

/* Frees both. */
void tn_output_free(tenon_node *node);

#endif
