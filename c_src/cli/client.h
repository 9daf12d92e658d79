/* SPDX-License-Identifier: Apache-2.0 */
/* The short-lived hidden node from which ping, call, dispatch and services
 * ask, and how terms are read from the command line and printed. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "cli/options.h"

/* The part of a node's configuration that options give. */
void cli_fill_config(const struct cli_settings *settings,
                     tenon_node_config *config);

/* Starts a hidden node to ask `peer`: under a name of its own, long when the
 * peer's is long, unless the settings name it. owned: tenon_node_stop. NULL on
 * failure, which has been said on stderr. */
TENON_CHECK tenon_node *cli_start_client(const struct cli_settings *settings,
                                         const char *peer);

/* Connects to every --connect; says on stderr which could not be reached.
 * reached: filled with those that could. */
void cli_connect_all(tenon_node *node,
                     const struct cli_settings *settings,
                     struct cli_list *reached);

/* Reads an atom as Elixir writes it (":lists", "Enum"), or plainly ("lists").
 * is_alias: a capital first letter makes it a module's name.
 * Returns false when it is none, said on stderr. */
bool cli_read_atom(const char *argument,
                   const char *text,
                   bool is_alias,
                   tenon_atom *atom);

/* Reads a term in Elixir syntax. owned: tenon_builder_free. NULL when it is
 * none, said on stderr. */
TENON_CHECK tenon_builder *
cli_read_term(const char *argument, const char *text, tenon_term *term);

/* The term as Elixir's inspect prints it. owned: free. NULL: out of memory. */
TENON_CHECK char *cli_term_text(tenon_term term);

/* Prints a term and a line end. Returns false, said on stderr, when out of
 * memory. */
bool cli_print_term(tenon_term term);

/* One line on stderr: "tenon: " and the text. */
void cli_complain(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
