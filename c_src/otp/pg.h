/* SPDX-License-Identifier: Apache-2.0 */
/* The process groups of a node: its scopes, and the functions of the module
 * pg that peers may run. */
#ifndef TN_OTP_PG_H
#define TN_OTP_PG_H

#include <tenon/pg.h>

/* Gives the node its part for process groups; starts no scope.
 * default_scope: copied; NULL: "pg". Errors: INVAL (no name), NOMEM. */
TENON_CHECK enum tenon_err
tn_pg_attach(tenon_node *node, const char *default_scope, tenon_error *err);

/* Registers the functions of the module pg. Errors: EXISTS, LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_pg_add_functions(tenon_node *node);

#endif
