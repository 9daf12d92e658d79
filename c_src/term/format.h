/* SPDX-License-Identifier: Apache-2.0 */
/* tenon_format and tenon_match for callers that have a va_list. */
#ifndef TN_TERM_FORMAT_H
#define TN_TERM_FORMAT_H

#include <stdarg.h>
#include <stdbool.h>

#include <tenon/term.h>

/* As tenon_format.
 *
 * args  borrowed, by pointer since holes are taken from it at any depth; what
 *       the holes took is gone from it afterwards. va_end is the caller's. */
enum tenon_err
tn_format_va(tenon_builder *builder, const char *pattern, va_list *args);

/* As tenon_match. args: as above. */
bool tn_match_va(tenon_term term, const char *pattern, va_list *args);

struct tn_lexer;

/* Builds the term that begins with the lexer's token, without holes, and
 * reads the token after it. */
enum tenon_err tn_format_next(tenon_builder *builder, struct tn_lexer *lexer);

#endif
