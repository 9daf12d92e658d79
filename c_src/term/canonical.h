/* SPDX-License-Identifier: Apache-2.0 */
/* Terms in one form each, so that tables can find them by their bytes. */
#ifndef TN_TERM_CANONICAL_H
#define TN_TERM_CANONICAL_H

#include <stdbool.h>

#include <tenon/term.h>

/* Appends a term in the form in which this library writes it: what is equal
 * (=:=) then has the same bytes, whichever release encoded it. Except for funs,
 * ports and bitstrings, which are copied as they stand, so that equal ones may
 * be taken for different ones. Takes n log n in the term's bytes.
 *
 * out   borrowed.
 * term  borrowed; not in the builder's own memory. The null view is INVAL.
 * Errors: those of the builder. Threads: one. Blocks: no. */
enum tenon_err tn_build_canonical(tenon_builder *out, tenon_term term);

/* Levels of other terms in which a term that a node keeps may be told on. */
#define TN_LEVELS_AROUND_KEPT 16u

/* Whether a term leaves those levels free. One that does not, and is kept all
 * the same, makes every message that tells of it fail. */
bool tn_leaves_levels(tenon_term term);

#endif
