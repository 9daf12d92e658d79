/* SPDX-License-Identifier: Apache-2.0 */
/* The node's rules: from its configuration, read again, put into force; and the
 * cookies of single nodes. */
#ifndef TN_NODE_RULES_LOAD_H
#define TN_NODE_RULES_LOAD_H

#include <tenon/node.h>

/* Reads what the configuration says and puts it into force. Before the loop
 * runs; tn_rules_load_fini also after a failure.
 * Errors: INVAL, TERM_SYNTAX, COOKIE, LIMIT, SYSTEM (a file), NOMEM, in
 * config->err. */
TENON_CHECK enum tenon_err tn_rules_load(tenon_node *node,
                                         const tenon_node_config *config);
void tn_rules_load_fini(tenon_node *node);

/* Reads the file again, on a worker, and says in the log how that went. For
 * SIGHUP; nothing without a file. Threads: any. */
void tn_rules_reload_later(tenon_node *node);

#endif
