/* SPDX-License-Identifier: Apache-2.0 */
/* Elixir's calendar structs as sigils: ~D[...] ~T[...] ~N[...] ~U[...]. */
#ifndef TN_TERM_CALENDAR_H
#define TN_TERM_CALENDAR_H

#include <stddef.h>

#include <tenon/term.h>

#define TN_SIGIL_TEXT_BYTES 48

/* Writes the sigil of a Date, Time, NaiveDateTime or UTC DateTime of the ISO
 * calendar with values in range and no further keys, NUL-terminated.
 * Returns its length; 0 for any other term. */
size_t tn_calendar_sigil(tenon_term term, char out[TN_SIGIL_TEXT_BYTES]);

/* Builds the struct that a sigil stands for.
 *
 * letter  D, T, N or U.
 * text    borrowed; what stands between the brackets.
 * Errors: TERM_SYNTAX (the builder is untouched), and those of building. */
enum tenon_err tn_calendar_build(tenon_builder *builder,
                                 char letter,
                                 const char *text,
                                 size_t len);

#endif
