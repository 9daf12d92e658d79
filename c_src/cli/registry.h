/* SPDX-License-Identifier: Apache-2.0 */
/* What the short-lived node learns of its peers' X3m services. */
#ifndef CLI_REGISTRY_H
#define CLI_REGISTRY_H

#include "cli/options.h"

/* Starts the node, its service registry, and connects it to every --connect.
 * owned: tenon_node_stop. NULL when none of them could be reached; each that
 * could not is said on stderr.
 * reached: filled with those that could. */
TENON_CHECK tenon_node *cli_start_registry(const struct cli_settings *settings,
                                           struct cli_list *reached);

/* How many providers are known of a service (NULL: of any) on a node (NULL:
 * on any). */
size_t
cli_count_providers(tenon_node *node, const char *service, const char *on);

/* Whether each of the nodes offers something, as far as is known. */
bool cli_all_have_told(tenon_node *node, const struct cli_list *peers);

/* Waits until what the registry knows is enough, or for timeout_ms. */
void cli_wait_registry(tenon_node *node,
                       int64_t timeout_ms,
                       bool (*is_enough)(tenon_node *node, const void *user),
                       const void *user);

#endif
