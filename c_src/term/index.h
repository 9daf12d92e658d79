/* SPDX-License-Identifier: Apache-2.0 */
/* Where the maps of a term have their keys and values, found in one walk, so
 * that what reads maps within maps skips nothing a second time. */
#ifndef TN_TERM_INDEX_H
#define TN_TERM_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/term.h>

/* Up to so many need no memory. */
#define TN_INDEX_FEW_PAIRS 32u
#define TN_INDEX_FEW_ENTRIES 8u

/* Where a key and its value begin, from the start of the term. */
struct tn_index_pair {
    uint32_t key;
    uint32_t value;
};

/* A map with pairs, or a list that begins as a keyword list does. */
struct tn_index_entry {
    uint32_t at;    /* where it begins, from the start of the term */
    uint32_t end;   /* what follows it */
    uint32_t first; /* of a map: its first pair in `pairs` */
    bool is_map;
    bool is_ordered; /* a map whose pairs are in the order of their keys */
    bool is_keyword; /* a list that is a keyword list */
};

/* Embedded by the caller; the fields are for reading. May not be copied. */
struct tn_index {
    const uint8_t *start;
    struct tn_index_entry *entries; /* by `at` */
    uint32_t entry_count;
    struct tn_index_pair *pairs;   /* each map's are together */
    struct tn_index_pair *scratch; /* room for half of the largest map's */
    uint32_t pair_count;
    uint32_t largest;
    uint32_t entry_room;
    uint32_t pair_room;
    struct tn_index_entry few_entries[TN_INDEX_FEW_ENTRIES];
    struct tn_index_pair few_pairs[TN_INDEX_FEW_PAIRS];
    struct tn_index_pair few_scratch[TN_INDEX_FEW_PAIRS / 2];
};

/* Walks the validated term at `p` once; it is borrowed until _fini.
 * Errors: NOMEM, after which _fini may be called and need not. */
TENON_CHECK enum tenon_err tn_index_init(struct tn_index *index,
                                         const uint8_t *p);
void tn_index_fini(struct tn_index *index);

/* The entry of a map or list at `p`, inside the term; NULL when it has none,
 * as maps without pairs have not. By bisection. */
struct tn_index_entry *tn_index_find(const struct tn_index *index,
                                     const uint8_t *p);
/* The pairs of a map. */
static inline struct tn_index_pair *
tn_index_pairs(const struct tn_index *index, const struct tn_index_entry *map)
{
    return index->pairs + map->first;
}

/* Puts the pairs of a map, and of all maps inside of it, in the order of their
 * keys; equal keys stay as they stand. n log n in the map's bytes. */
void tn_index_order(struct tn_index *index, struct tn_index_entry *map);

/* True for {atom, _} with an atom that may be written as a key: what keyword
 * lists hold. Constant. */
bool tn_is_keyword_element(const uint8_t *p);
/* True for an atom that may be written as a key: not one of a module. */
bool tn_is_key_atom(const uint8_t *p);

#endif
