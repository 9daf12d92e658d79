/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing keys of maps, for what puts them in order. */
#ifndef TN_TERM_COMPARE_H
#define TN_TERM_COMPARE_H

#include <stdint.h>

#include <tenon/term.h>

struct tn_index;

/* The order of two keys that lie in an indexed term; the maps in both are in
 * order already. Linear in the shorter one. */
int tn_compare_keys(struct tn_index *index, const uint8_t *a, const uint8_t *b);

/* The smallest key of a map above `last`, or of all when that is NULL: for
 * when there is no memory for an index. Slow, and never out of memory. */
const uint8_t *tn_search_key(const uint8_t *map, const uint8_t *last);

/* Whether every map in the validated term at `p` has each of its keys once.
 * Errors: TERM_SHAPE when not; NOMEM. */
TENON_CHECK enum tenon_err tn_check_keys(const uint8_t *p);

#endif
