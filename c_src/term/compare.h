/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a map in Erlang's order, for what prints and checks maps. */
#ifndef TN_TERM_COMPARE_H
#define TN_TERM_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/term.h>

/* Up to this many keys are sorted without memory. */
#define TN_FEW_KEYS 32

/* Embedded by the caller; the fields are not for reading. */
struct tn_keys {
    const uint8_t **sorted; /* NULL: no memory, keys are searched one by one */
    const uint8_t *last;    /* the key that was given out last */
    const uint8_t *first;   /* where the pairs begin */
    uint32_t count;
    const uint8_t *few[TN_FEW_KEYS];
};

/* True for a map that is not put in order, since that could take quadratic
 * time: one with a key in which a map has a key that again holds a map. Each
 * of these would be ordered anew for every comparison of those around it,
 * which a peer could make take hours. Its pairs are taken as they stand. */
bool tn_map_is_tangled(const uint8_t *map);

/* map: a validated map, borrowed until tn_keys_fini. Does not fail: without
 * memory the order is found more slowly. */
void tn_keys_init(struct tn_keys *keys, const uint8_t *map);
void tn_keys_fini(struct tn_keys *keys);
/* Key `i`; to be asked for in rising order from 0, again and again. */
const uint8_t *tn_keys_at(struct tn_keys *keys, uint32_t i);

/* True when no key of a validated map stands in it twice. */
bool tn_map_keys_differ(const uint8_t *map);

#endif
