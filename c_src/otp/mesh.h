/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the whole cluster from one of its nodes. */
#ifndef TN_OTP_MESH_H
#define TN_OTP_MESH_H

#include <tenon/node.h>

/* From now on asks each visible node that comes up for the nodes that it is
 * connected with, and connects to those; a node that is hidden or has
 * no_connect_all does nothing. What a peer that rules limit answers is
 * counted and logged, and nobody is called for it.
 * Errors: NOMEM, STOPPED. */
TENON_CHECK enum tenon_err tn_mesh_start(tenon_node *node, tenon_error *err);

#endif
