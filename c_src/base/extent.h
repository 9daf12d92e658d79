/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of the lengths that a peer or a file tells. size_t is no type for them:
 * it has 32 bits on some machines, and so have the lengths, so that 5 bytes of
 * head and a length of 0xffffffff would be 4. */
#ifndef TN_BASE_EXTENT_H
#define TN_BASE_EXTENT_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t tn_extent;

_Static_assert((tn_extent)-1 / UINT32_MAX > UINT16_MAX &&
                   (tn_extent)-1 / SIZE_MAX >= 1,
               "an extent must hold every size, and the sum of thousands of "
               "lengths of 32 bits");

/* The bytes of a head and of what its length announces. */
static inline tn_extent tn_extent_of(uint32_t head_bytes, uint32_t length)
{
    return (tn_extent)head_bytes + length;
}

#endif
