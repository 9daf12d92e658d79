/* SPDX-License-Identifier: Apache-2.0 */
/* Counted receive blocks and their pool. A large frame's block grows with what
 * has come of it. Copying 4 MiB to new pages may take 14 ms of the loop, so a
 * large block is a mapping, which moves by its page table. */
#include "dist/block.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uv.h>

/* From here on a block is a mapping. Smaller ones come from the heap, where
 * they are used again without new pages. */
#define MAPPED_BYTES (2u * 1024u * 1024u)

struct tn_block_pool {
    uv_mutex_t lock;       /* guards all below */
    struct tn_block *free; /* blocks of standard size */
    unsigned kept;         /* length of that list */
    size_t users;          /* blocks that are out, and the owner */
};

struct tn_block_pool *tn_block_pool_new(void)
{
    struct tn_block_pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL) {
        return NULL;
    }
    if (uv_mutex_init(&pool->lock) != 0) {
        free(pool);
        return NULL;
    }
    pool->users = 1;
    return pool;
}

static void free_pool(struct tn_block_pool *pool)
{
    while (pool->free != NULL) {
        struct tn_block *block = pool->free;

        pool->free = block->next;
        free(block);
    }
    uv_mutex_destroy(&pool->lock);
    free(pool);
}

void tn_block_pool_free(struct tn_block_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    uv_mutex_lock(&pool->lock);
    bool last = --pool->users == 0;

    uv_mutex_unlock(&pool->lock);
    if (last) {
        free_pool(pool);
    }
}

/* A kept block, or NULL; counts the new user either way. */
static struct tn_block *take_kept(struct tn_block_pool *pool, size_t cap)
{
    struct tn_block *block = NULL;

    uv_mutex_lock(&pool->lock);
    if (cap <= TN_BLOCK_BYTES && pool->free != NULL) {
        block = pool->free;
        pool->free = block->next;
        pool->kept--;
    }
    pool->users++;
    uv_mutex_unlock(&pool->lock);
    return block;
}

#if defined(__linux__) && !defined(TN_HOSTILE) && !defined(__SANITIZE_ADDRESS__)
static struct tn_block *map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

static struct tn_block *remap(struct tn_block *block, size_t bytes)
{
    void *at = mremap(block, sizeof *block + block->cap, bytes, MREMAP_MAYMOVE);

    return at == MAP_FAILED ? NULL : at;
}
#define CAN_MAP true
#else
/* Elsewhere they move by copying; and where memory is checked, reads beyond a
 * block are to be noticed. */
static struct tn_block *map(size_t bytes)
{
    (void)bytes;
    return NULL;
}

static struct tn_block *remap(struct tn_block *block, size_t bytes)
{
    (void)block;
    (void)bytes;
    return NULL;
}
#define CAN_MAP false
#endif

static struct tn_block *allocate(size_t cap)
{
    bool is_mapped = CAN_MAP && cap >= MAPPED_BYTES;

    if (cap > SIZE_MAX - sizeof(struct tn_block)) {
        return NULL;
    }
    struct tn_block *block =
        is_mapped ? map(sizeof *block + cap) : malloc(sizeof *block + cap);

    if (block != NULL) {
        block->cap = cap;
        block->is_mapped = is_mapped;
    }
    return block;
}

static void give_back(struct tn_block *block)
{
    if (block->is_mapped) {
        (void)munmap(block, sizeof *block + block->cap);
    } else {
        free(block);
    }
}

bool tn_block_can_grow(struct tn_block *block)
{
    return block->is_mapped && tn_block_is_mine(block);
}

enum tenon_err tn_block_grow(struct tn_block **block, size_t cap)
{
    size_t more = cap - (*block)->cap;

    if (cap > SIZE_MAX - sizeof **block) {
        return TENON_E_NOMEM;
    }
    if (!tn_account_charge((*block)->account, more)) {
        return TENON_E_LIMIT;
    }
    struct tn_block *grown = remap(*block, sizeof **block + cap);

    if (grown == NULL) {
        tn_account_discharge((*block)->account, more);
        return TENON_E_NOMEM;
    }
    grown->cap = cap;
    *block = grown;
    return TENON_OK;
}

static bool charge(tn_account *account, size_t cap)
{
    if (cap > TN_BLOCK_BYTES) {
        return tn_account_charge(account, cap);
    }
    tn_account_charge_always(account, cap);
    return true;
}

enum tenon_err tn_block_new(struct tn_block_pool *pool,
                            tn_account *account,
                            size_t cap,
                            struct tn_block **made)
{
    if (cap < TN_BLOCK_BYTES) {
        cap = TN_BLOCK_BYTES;
    }
    if (!charge(account, cap)) {
        return TENON_E_LIMIT;
    }
    struct tn_block *block = take_kept(pool, cap);

    if (block == NULL) {
        block = allocate(cap);
        if (block == NULL) {
            tn_account_discharge(account, cap);
            tn_block_pool_free(pool);
            return TENON_E_NOMEM;
        }
        block->pool = pool;
    }
    atomic_init(&block->refs, 1);
    block->next = NULL;
    block->account = tn_account_ref(account);
    *made = block;
    return TENON_OK;
}

/* Keeps the block for the next reader; false when there is no place. */
static bool keep(struct tn_block_pool *pool, struct tn_block *block)
{
    bool kept = false;

#ifdef TN_HOSTILE
    /* Views into a block that was given back are to be noticed. */
    memset(block->bytes, 0xdd, block->cap);
    return false;
#endif
    uv_mutex_lock(&pool->lock);
    if (block->cap == TN_BLOCK_BYTES && pool->kept < TN_BLOCKS_KEPT) {
        block->next = pool->free;
        pool->free = block;
        pool->kept++;
        kept = true;
    }
    uv_mutex_unlock(&pool->lock);
    return kept;
}

size_t tn_block_size(const tn_block *block)
{
    return block->cap;
}

void tn_block_release(tn_block *block)
{
    if (block == NULL ||
        atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct tn_block_pool *pool = block->pool;

    tn_account_discharge(block->account, block->cap);
    tn_account_unref(block->account);
    if (!keep(pool, block)) {
        give_back(block);
    }
    tn_block_pool_free(pool);
}
