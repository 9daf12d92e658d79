/* SPDX-License-Identifier: Apache-2.0 */
/* Writing big-endian numbers one after the other: each returns the byte behind
 * what it wrote. */
#ifndef TN_DIST_BYTES_H
#define TN_DIST_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "term/bytes.h"

static inline uint8_t *tn_add16(uint8_t *p, size_t v)
{
    tn_put16(p, (uint16_t)v);
    return p + 2;
}

static inline uint8_t *tn_add32(uint8_t *p, uint32_t v)
{
    tn_put32(p, v);
    return p + 4;
}

static inline uint8_t *tn_add64(uint8_t *p, uint64_t v)
{
    tn_put64(p, v);
    return p + 8;
}

#endif
