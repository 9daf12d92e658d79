/* SPDX-License-Identifier: Apache-2.0 */
/* The process registered as logger_proxy: what processes of BEAM nodes log
 * whose group leader is of this node goes on this node's log too. */
#ifndef TN_OTP_LOGGER_H
#define TN_OTP_LOGGER_H

#include <tenon/node.h>

/* Starts it, before the node is published. Errors: LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_logger_start(tenon_node *node, tenon_error *err);

#endif
