/* SPDX-License-Identifier: Apache-2.0 */
/* Unpredictable bytes: challenges, ids. Not a seedable generator. */
#ifndef TN_BASE_RANDOM_H
#define TN_BASE_RANDOM_H

#include <stddef.h>

#include <tenon/error.h>

/* Fills `n` bytes from OpenSSL's generator.
 *
 * p    borrowed; unspecified on failure, and then not to be used.
 * Errors: SYSTEM when the generator cannot be seeded; INVAL above INT_MAX.
 * Threads: any. Blocks: no (early in a machine's boot it may). */
TENON_CHECK enum tenon_err tn_random_bytes(void *p, size_t n);

#endif
