/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded scan: the only way from raw bytes to a term. Nothing else in
 * the library reads a peer's term before it passed here. */
#ifndef TN_TERM_SCAN_H
#define TN_TERM_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/error.h>
#include <tenon/term.h>

/* Validates one term at the start of `bytes` (no version byte).
 *
 * bytes  borrowed.
 * len    bytes that are there; the term may be shorter.
 * used   set on success: length of the term.
 * err    borrowed, may be NULL; filled on failure only.
 *
 * What passed: every tag is known, every length lies inside, containers are
 * nested at most TENON_TERM_MAX_DEPTH deep (a list in the tail of a list goes
 * on with that list and is no level), the term has at most
 * TENON_TERM_MAX_BYTES, floats are finite, atoms are valid UTF-8 (or Latin-1)
 * of at most 255 characters, bignums have at most TN_INTEGER_MAX_BYTES,
 * references 1 to 5 words, a fun's size field agrees with its content.
 * Refused besides unknown tags: compressed terms, atom cache references, and
 * the forms that no supported OTP sends (old references, old funs). Keys of a
 * map are not compared: see tenon_map_get.
 *
 * Time is linear in the term's length; about 6 KiB of stack; no allocation.
 * Errors: TERM_SHORT, TERM_TAG, TERM_DEEP, TERM_BIG, TERM_ATOM, TERM_SHAPE.
 * Threads: any. Blocks: no. */
TENON_CHECK enum tenon_err
tn_scan(const uint8_t *bytes, size_t len, size_t *used, tenon_error *err);

/* Whether at most *terms terms are at `bytes`, which are taken off *terms;
 * `used` is set to their length then. What is no term is few, of length len. */
bool tn_scan_few(const uint8_t *bytes, size_t len, size_t *terms, size_t *used);

/* How deep the term at `bytes` is nested: 0 for one that holds no other;
 * UINT32_MAX when it is not valid. Linear. */
uint32_t tn_scan_depth(const uint8_t *bytes, size_t len);

/* Whether a validated term may stand inside `levels` others and be accepted
 * still. Looks at no more than the length of one that is short. */
bool tn_fits_below(tenon_term term, uint32_t levels);

#endif
