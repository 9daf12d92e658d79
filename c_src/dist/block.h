/* SPDX-License-Identifier: Apache-2.0 */
/* Receive memory: counted blocks, so that a message can stay where it was
 * read. A few of standard size are kept for the next reader. A block is charged
 * to the peer whose bytes it is for, as long as anybody holds it. */
#ifndef TN_DIST_BLOCK_H
#define TN_DIST_BLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/account.h"
#include "dist/conn.h"

/* Standard size of a block's bytes, and how many free ones are kept. */
#define TN_BLOCK_BYTES (64u * 1024u)
#define TN_BLOCKS_KEPT 8u

struct tn_block_pool;

struct tn_block {
    atomic_uint refs;
    struct tn_block_pool *pool; /* counted */
    struct tn_block *next;      /* in the pool's list; guarded by its lock */
    tn_account *account;        /* kept */
    size_t cap;
    bool is_mapped; /* a mapping of its own */
    uint8_t bytes[];
};

/* NULL when out of memory. Threads: any, for all of these. */
struct tn_block_pool *tn_block_pool_new(void);
/* The memory goes when the last block has come back. NULL is fine. */
void tn_block_pool_free(struct tn_block_pool *pool);

/* A block with one reference and room for at least `cap` bytes.
 *
 * account  kept; NULL is fine.
 * block    set on success.
 * Errors: NOMEM; LIMIT: the account has no room for a block of more than the
 * standard size, which it always gets. */
TENON_CHECK enum tenon_err tn_block_new(struct tn_block_pool *pool,
                                        tn_account *account,
                                        size_t cap,
                                        struct tn_block **block);

static inline struct tn_block *tn_block_ref(struct tn_block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

/* Whether it grows without its bytes being copied: a large block that nobody
 * else holds. */
bool tn_block_can_grow(struct tn_block *block);
/* Gives such a block room for more bytes, perhaps elsewhere. On failure it stays
 * as it is. Errors: LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_block_grow(struct tn_block **block, size_t cap);

/* True when nobody else holds the block. Only its reader adds references, so
 * that for the reader the answer stays true. */
static inline bool tn_block_is_mine(struct tn_block *block)
{
    return atomic_load_explicit(&block->refs, memory_order_acquire) == 1;
}

#endif
