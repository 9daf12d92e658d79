/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a ceiling: appended at the back, consumed from
 * the front. Not a queue between threads. */
#ifndef TN_BASE_BUF_H
#define TN_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/error.h>

#include "base/extent.h"

/* Embedded by the owner. Reading `bytes` and `len` is free; both change only
 * through the functions below. */
struct tn_buf {
    uint8_t *bytes; /* the first byte that is not consumed; NULL when cap 0 */
    size_t len;     /* bytes that are there */
    size_t cap;     /* bytes there is room for from `bytes` on */
    size_t max;     /* ceiling of len */
    size_t skipped; /* consumed bytes that still lie before `bytes` */
};

/* Threads: one, for all of these. Blocks: no. */

/* Allocates nothing. max: ceiling of the buffer's length, in bytes. */
void tn_buf_init(struct tn_buf *buf, size_t max);
/* Frees the memory; the buffer may be used again as if initialised. */
void tn_buf_fini(struct tn_buf *buf);
/* Empties the buffer and keeps its memory. */
void tn_buf_reset(struct tn_buf *buf);

/* Makes room for `n` more bytes behind those that are there; the length stays.
 *
 * at  set on success: where the room begins. It and `bytes` live until the
 *     next call that appends, reserves or consumes. The caller writes and then
 *     adds to `len` what it wrote.
 * Errors: NOMEM; LIMIT when the length would pass `max`. The buffer is then
 * unchanged. */
TENON_CHECK enum tenon_err
tn_buf_reserve(struct tn_buf *buf, tn_extent n, uint8_t **at);

/* Appends `n` bytes. p: copied; may be NULL when n is 0.
 * Errors: as tn_buf_reserve. */
TENON_CHECK enum tenon_err
tn_buf_append(struct tn_buf *buf, const void *p, size_t n);

/* Drops the first `n` bytes, or all when there are fewer. Moves nothing. */
void tn_buf_consume(struct tn_buf *buf, size_t n);

/* Gives memory back when the buffer is empty and larger than `keep` bytes. */
void tn_buf_trim(struct tn_buf *buf, size_t keep);

#endif
