/* SPDX-License-Identifier: Apache-2.0 */
/* uthash, with a keyed hash, and told to report that memory is out instead of
 * ending the program. Include this, never <uthash.h>.
 *
 * Peers choose the keys of most tables. With uthash's own functions, which have
 * no key, they could choose such as all lie in one bucket. */
#ifndef TN_BASE_HASH_H
#define TN_BASE_HASH_H

#include "base/siphash.h"

#define HASH_NONFATAL_OOM 1
/* uthash's HASH_FIND and HASH_ADD do not compile: use those below. */
#define HASH_FUNCTION(p, n, hash)                                              \
    _Static_assert(0, "use TN_HASH_FIND and TN_HASH_ADD")
#include <uthash.h>

static inline unsigned
tn_hash(const struct tn_sip_key *secret, const void *p, size_t n)
{
    return (unsigned)tn_siphash13(secret, p, n);
}

/* The element whose key is the `n` bytes at `p`; NULL: there is none.
 *
 * secret  the node's: the same for a table's whole life. */
#define TN_HASH_FIND(hh, head, secret, p, n, found)                            \
    do {                                                                       \
        (found) = NULL;                                                        \
        if ((head) != NULL) {                                                  \
            unsigned tn_hash_of_key = tn_hash(secret, p, n);                   \
            HASH_FIND_BYHASHVALUE(hh, head, p, n, tn_hash_of_key, found);      \
        }                                                                      \
    } while (0)

/* Adds an element whose key is the `n` bytes at `p`, which must last as long as
 * the element is in the table; mostly they lie in it. No other has that key. */
#define TN_HASH_ADD(hh, head, secret, p, n, element)                           \
    do {                                                                       \
        unsigned tn_hash_of_key = tn_hash(secret, p, n);                       \
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, head, p, n, tn_hash_of_key, element);  \
    } while (0)

/* After TN_HASH_ADD: whether the element is in the table. False: out of memory,
 * and the table is as before. */
#define TN_HASH_HAS(hh, element) ((element)->hh.tbl != NULL)

/* A table of up to a million elements, in shards: uthash moves all elements of a
 * table at once when it grows, which would take 100 ms. Its head is an array of
 * so many. */
#define TN_HASH_SHARDS 64u
#define TN_HASH_SHARD(hash) ((hash) >> 26)

#define TN_HASH_FIND_SHARDED(hh, heads, secret, p, n, found)                   \
    do {                                                                       \
        unsigned tn_hash_of_key = tn_hash(secret, p, n);                       \
        HASH_FIND_BYHASHVALUE(hh, (heads)[TN_HASH_SHARD(tn_hash_of_key)], p,   \
                              n, tn_hash_of_key, found);                       \
    } while (0)

#define TN_HASH_ADD_SHARDED(hh, heads, secret, p, n, element)                  \
    do {                                                                       \
        unsigned tn_hash_of_key = tn_hash(secret, p, n);                       \
        HASH_ADD_KEYPTR_BYHASHVALUE(hh,                                        \
                                    (heads)[TN_HASH_SHARD(tn_hash_of_key)], p, \
                                    n, tn_hash_of_key, element);               \
    } while (0)

#define TN_HASH_DELETE_SHARDED(hh, heads, element)                             \
    HASH_DELETE(hh, (heads)[TN_HASH_SHARD((element)->hh.hashv)], element)

#endif
