/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang's plain terms as configuration files hold them (what file:consult/1
 * reads): atoms, integers, strings, binaries, lists, tuples, maps,
 * comments. */
#ifndef TN_TERM_PLAIN_H
#define TN_TERM_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/term.h>

/* Deepest nesting that is read. */
#define TN_PLAIN_DEPTH_MAX 16u

/* Appends the one term of a text. Strings become binaries: what both are used
 * for in such files is the same.
 *
 * text, len  borrowed; nothing but white space and comments may follow.
 * has_dot    whether the term ends with a full stop, as in files.
 * err        borrowed, may be NULL; says in which line what was expected.
 * Errors: TERM_SYNTAX, TERM_DEEP; those of the builder. */
TENON_CHECK enum tenon_err tn_plain_read(const char *text,
                                         size_t len,
                                         bool has_dot,
                                         tenon_builder *out,
                                         tenon_error *err);

/* A text of any number of terms, each with a full stop, that are read one by
 * one until `at` is `end`. */
struct tn_plain {
    const char *at; /* of the next term */
    const char *end;
    unsigned line; /* of the next term */
};

/* text, len: borrowed for as long as it is read. */
struct tn_plain tn_plain_begin(const char *text, size_t len);
/* Appends the next term; as tn_plain_read. After a failure there is no next. */
TENON_CHECK enum tenon_err
tn_plain_next(struct tn_plain *plain, tenon_builder *out, tenon_error *err);

#endif
