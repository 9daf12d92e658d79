/* SPDX-License-Identifier: Apache-2.0 */
/* One walk over a term that notes its maps, then a merge sort of each. */
#include "term/index.h"

#include <stdlib.h>
#include <string.h>

#include "term/bytes.h"
#include "term/compare.h"
#include "term/tags.h"
#include "term/view.h"

#define NO_ENTRY UINT32_MAX

/* A container whose elements are being walked. */
struct level {
    uint32_t left; /* terms that are still to come, 2 for each pair */
    uint32_t entry;
    bool is_list;
};

struct walk {
    struct tn_index *index;
    const uint8_t *at;
    struct level now;
    uint32_t depth;
    struct level outer[TENON_TERM_MAX_DEPTH];
};

bool tn_is_key_atom(const uint8_t *p)
{
    struct tn_atom_view view;

    return tn_atom_view(p, &view) &&
           !(view.len >= 7 && memcmp(view.bytes, "Elixir.", 7) == 0);
}

bool tn_is_keyword_element(const uint8_t *p)
{
    return p[0] == TN_SMALL_TUPLE && p[1] == 2 && tn_is_key_atom(p + 2);
}

/* ---- room ------------------------------------------------------------- */

/* A pair takes at least 2 bytes of its term and an entry 5, and room doubles
 * at most: no product below wraps, also where sizes have 32 bits. */
_Static_assert((uint64_t)TENON_TERM_MAX_BYTES / 2 * 2 *
                           sizeof(struct tn_index_pair) <=
                       UINT32_MAX &&
                   (uint64_t)TENON_TERM_MAX_BYTES / 5 * 2 *
                           sizeof(struct tn_index_entry) <=
                       UINT32_MAX,
               "the index of the largest term must fit in 32 bits of memory");

/* Moves what lies in `few`, or grows what lies in memory of its own. NULL when
 * there is none; the old one is kept then. */
static void *
grown(void *all, const void *few, size_t used_bytes, size_t need_bytes)
{
    void *moved = realloc(all == few ? NULL : all, need_bytes);

    if (moved != NULL && all == few) {
        memcpy(moved, few, used_bytes);
    }
    return moved;
}

/* Twice the room, or as much as is needed. */
static uint32_t more_room(uint32_t room, uint32_t need)
{
    return need > 2 * room ? need : 2 * room;
}

static bool room_for_entry(struct tn_index *index)
{
    if (index->entry_count < index->entry_room) {
        return true;
    }
    uint32_t room = more_room(index->entry_room, index->entry_count + 1);
    struct tn_index_entry *moved =
        grown(index->entries, index->few_entries,
              index->entry_count * sizeof *moved, room * sizeof *moved);

    if (moved == NULL) {
        return false;
    }
    index->entries = moved;
    index->entry_room = room;
    return true;
}

static bool room_for_pairs(struct tn_index *index, uint32_t count)
{
    if (count <= index->pair_room - index->pair_count) {
        return true;
    }
    uint32_t room = more_room(index->pair_room, index->pair_count + count);
    struct tn_index_pair *moved =
        grown(index->pairs, index->few_pairs, index->pair_count * sizeof *moved,
              room * sizeof *moved);

    if (moved == NULL) {
        return false;
    }
    index->pairs = moved;
    index->pair_room = room;
    return true;
}

/* ---- the walk --------------------------------------------------------- */

static uint32_t offset(const struct walk *w)
{
    return (uint32_t)(w->at - w->index->start);
}

/* Notes the map or list at `at`, which has `count` pairs. */
static enum tenon_err add_entry(struct walk *w, bool is_map, uint32_t count)
{
    struct tn_index *index = w->index;

    if (!room_for_entry(index) || !room_for_pairs(index, count)) {
        return TENON_E_NOMEM;
    }
    index->entries[index->entry_count++] = (struct tn_index_entry){
        .at = offset(w),
        .first = index->pair_count,
        .is_map = is_map,
        .is_keyword = !is_map,
    };
    index->pair_count += count;
    index->largest = count > index->largest ? count : index->largest;
    return TENON_OK;
}

/* A list in the tail of a list goes on with it. */
static void enter(struct walk *w, uint32_t left, bool is_list, uint32_t entry)
{
    bool goes_on = w->now.left == 0 && w->now.is_list && is_list;

    if (left == 0) {
        return;
    }
    if (goes_on) {
        w->now.left = left;
        return;
    }
    w->outer[w->depth++] = w->now;
    w->now = (struct level){ left, entry, is_list };
}

static enum tenon_err enter_map(struct walk *w)
{
    uint32_t count = tn_get32(w->at + 1);
    enum tenon_err rc = count == 0 ? TENON_OK : add_entry(w, true, count);

    if (rc == TENON_OK) {
        enter(w, 2 * count, false,
              count == 0 ? NO_ENTRY : w->index->entry_count - 1);
        w->at += 5;
    }
    return rc;
}

static enum tenon_err enter_list(struct walk *w)
{
    bool is_tail = w->now.left == 0 && w->now.is_list;
    bool is_noted = !is_tail && tn_is_keyword_element(w->at + 5);
    enum tenon_err rc = is_noted ? add_entry(w, false, 0) : TENON_OK;

    if (rc == TENON_OK) {
        enter(w, tn_get32(w->at + 1) + 1, true,
              is_noted ? w->index->entry_count - 1 : NO_ENTRY);
        w->at += 5;
    }
    return rc;
}

/* The term at `at`, or the head of one that holds others. */
static enum tenon_err visit(struct walk *w)
{
    uint64_t more = 0;
    struct tn_fun_view fun;

    switch (w->at[0]) {
    case TN_MAP:
        return enter_map(w);
    case TN_LIST:
        return enter_list(w);
    case TN_NEW_FUN:
        tn_fun_view(w->at, &fun);
        w->at = fun.free_terms;
        enter(w, fun.free_count, false, NO_ENTRY);
        return TENON_OK;
    default:
        w->at = tn_skip_head(w->at, &more);
        enter(w, (uint32_t)more, false, NO_ENTRY);
        return TENON_OK;
    }
}

/* Tells the container that its next element lies at `at`. */
static void note_element(struct walk *w)
{
    if (w->now.entry == NO_ENTRY) {
        return;
    }
    struct tn_index *index = w->index;
    struct tn_index_entry *entry = &index->entries[w->now.entry];

    if (entry->is_map) {
        uint32_t after = (w->now.left + 1) / 2;
        uint32_t count = tn_get32(index->start + entry->at + 1);
        struct tn_index_pair *pair =
            index->pairs + entry->first + (count - after);

        *(w->now.left % 2 == 0 ? &pair->key : &pair->value) = offset(w);
    } else if (w->now.left > 1) {
        entry->is_keyword = entry->is_keyword && tn_is_keyword_element(w->at);
    } else if (w->at[0] != TN_LIST) {
        bool is_end = w->at[0] == TN_NIL ||
                      (w->at[0] == TN_STRING && tn_get16(w->at + 1) == 0);

        entry->is_keyword = entry->is_keyword && is_end;
    }
}

static enum tenon_err walk_all(struct walk *w)
{
    for (;;) {
        while (w->now.left == 0) {
            if (w->now.entry != NO_ENTRY) {
                w->index->entries[w->now.entry].end = offset(w);
            }
            if (w->depth == 0) {
                return TENON_OK;
            }
            w->now = w->outer[--w->depth];
        }
        note_element(w);
        w->now.left--;
        enum tenon_err rc = visit(w);

        if (rc < 0) {
            return rc;
        }
    }
}

/* ---- life ------------------------------------------------------------- */

enum tenon_err tn_index_init(struct tn_index *index, const uint8_t *p)
{
    struct walk w;

    index->start = p;
    index->entries = index->few_entries;
    index->pairs = index->few_pairs;
    index->scratch = index->few_scratch;
    index->entry_count = 0;
    index->pair_count = 0;
    index->largest = 0;
    index->entry_room = TN_INDEX_FEW_ENTRIES;
    index->pair_room = TN_INDEX_FEW_PAIRS;
    w.index = index;
    w.at = p;
    w.depth = 0;
    w.now = (struct level){ 1, NO_ENTRY, false };
    enum tenon_err rc = walk_all(&w);

    if (rc == TENON_OK && index->largest > TN_INDEX_FEW_PAIRS) {
        struct tn_index_pair *scratch =
            malloc(index->largest / 2 * sizeof *index->scratch);

        rc = scratch == NULL ? TENON_E_NOMEM : TENON_OK;
        index->scratch = scratch == NULL ? index->few_scratch : scratch;
    }
    if (rc < 0) {
        tn_index_fini(index);
    }
    return rc;
}

void tn_index_fini(struct tn_index *index)
{
    if (index->entries != index->few_entries) {
        free(index->entries);
    }
    if (index->pairs != index->few_pairs) {
        free(index->pairs);
    }
    if (index->scratch != index->few_scratch) {
        free(index->scratch);
    }
    index->entries = index->few_entries;
    index->pairs = index->few_pairs;
    index->scratch = index->few_scratch;
}

struct tn_index_entry *tn_index_find(const struct tn_index *index,
                                     const uint8_t *p)
{
    uint32_t at = (uint32_t)(p - index->start);
    uint32_t from = 0;
    uint32_t to = index->entry_count;

    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        struct tn_index_entry *entry = &index->entries[middle];

        if (entry->at == at) {
            return entry;
        }
        if (entry->at < at) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return NULL;
}

/* ---- order ------------------------------------------------------------ */

static bool is_above(struct tn_index *index,
                     const struct tn_index_pair *a,
                     const struct tn_index_pair *b)
{
    return tn_compare_keys(index, index->start + a->key,
                           index->start + b->key) > 0;
}

/* Merges two sorted halves; of equal keys the first. */
static void merge(struct tn_index *index,
                  struct tn_index_pair *pairs,
                  uint32_t half,
                  uint32_t count)
{
    struct tn_index_pair *left = index->scratch;
    uint32_t a = 0;
    uint32_t b = half;

    memcpy(left, pairs, half * sizeof *left);
    for (uint32_t i = 0; a < half; i++) {
        bool takes_b = b < count && is_above(index, &left[a], &pairs[b]);

        pairs[i] = takes_b ? pairs[b++] : left[a++];
    }
}

/* Merge sort, since it looks at no key more than log n times: n log n for keys
 * of any sizes, and equal keys stay as they stand. */
static void
sort(struct tn_index *index, struct tn_index_pair *pairs, uint32_t count)
{
    uint32_t half = count / 2;

    if (count < 2) {
        return;
    }
    sort(index, pairs, half);
    sort(index, pairs + half, count - half);
    if (is_above(index, &pairs[half - 1], &pairs[half])) {
        merge(index, pairs, half, count);
    }
}

static void order_one(struct tn_index *index, struct tn_index_entry *map)
{
    uint32_t count = tn_get32(index->start + map->at + 1);

    sort(index, tn_index_pairs(index, map), count);
    map->is_ordered = true;
}

void tn_index_order(struct tn_index *index, struct tn_index_entry *map)
{
    if (map->is_ordered) {
        return;
    }
    size_t inside = 1;
    size_t behind = (size_t)(index->entries + index->entry_count - map);

    while (inside < behind && map[inside].at < map->end) {
        inside++;
    }
    /* From the last one on: the maps in a key are in order before that key is
     * compared. */
    for (size_t i = inside; i > 0; i--) {
        if (map[i - 1].is_map && !map[i - 1].is_ordered) {
            order_one(index, &map[i - 1]);
        }
    }
}
