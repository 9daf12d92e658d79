/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang's plain terms as files of options hold them (what file:consult/1
 * reads): atoms, integers, strings, binaries, lists, tuples, comments. */
#ifndef TN_DIST_TLS_TERMS_H
#define TN_DIST_TLS_TERMS_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/term.h>

/* Deepest nesting that is read. */
#define TN_TLS_TERMS_DEPTH 16u

/* Appends one term read from text. Strings become binaries: what both are used
 * for in options is the same.
 *
 * text, len  borrowed; nothing but white space and comments may follow.
 * has_dot    whether the term ends with a full stop, as in files.
 * err        borrowed, may be NULL; says in which line what was expected.
 * Errors: TERM_SYNTAX, TERM_DEEP; those of the builder. */
TENON_CHECK enum tenon_err tn_tls_term_read(const char *text,
                                            size_t len,
                                            bool has_dot,
                                            tenon_builder *out,
                                            tenon_error *err);

#endif
