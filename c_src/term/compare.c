/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang's term order on validated bytes. Walks two terms side by side with a
 * stack of its own, since a peer chooses how deep they are. */
#include "term/compare.h"

#include <string.h>

#include "term/bytes.h"
#include "term/index.h"
#include "term/scalar.h"
#include "term/tags.h"
#include "term/view.h"

enum mode {
    BY_VALUE, /* 1 == 1.0: Erlang's == and < */
    EXACT,    /* integers before floats, as keys of maps are ordered */
    SAME,     /* as EXACT, but only zero or not zero matters */
};

enum kind {
    SEQUENCE, /* elements of tuples and closures */
    PAIRS,    /* keys and values as they stand */
    ALIKE,    /* two maps with the same keys in the same places */
    LIST,
    KEYS, /* of two maps, in order */
    VALUES,
};

struct level {
    uint8_t kind;
    uint8_t mode;
    bool is_string[2]; /* LIST: what of it is being walked */
    uint32_t left;     /* terms that are to come; LIST: in `a` */
    union {
        uint32_t left_b;   /* LIST */
        uint32_t entry[2]; /* KEYS, VALUES: of both maps in their index */
    };
};

/* So many bytes are passed over, all in all, to see whether maps need an index:
 * a constant, or maps in maps would be passed over again at each level. */
#define LOOK_AHEAD_BYTES 1024

/* Without memory for an index, maps that deep in maps are compared by
 * searching for each key; those inside as they stand. */
#define SEARCH_NESTING 2u

struct walk {
    const uint8_t *at[2];
    /* Of the outermost maps, or given from outside. */
    struct tn_index *index[2];
    uint32_t indexed_at; /* how deep the outermost maps are */
    int64_t look_ahead;  /* bytes that may still be passed over */
    bool owns_index;
    bool has_index;
    uint32_t nesting; /* of searches without memory */
    uint32_t depth;
    struct level levels[TENON_TERM_MAX_DEPTH + 1];
};

static int
compare(const uint8_t *a, const uint8_t *b, enum mode mode, uint32_t nesting);

/* ---- levels ----------------------------------------------------------- */

static struct level *
push(struct walk *w, enum kind kind, enum mode mode, uint32_t left)
{
    struct level *level = &w->levels[w->depth++];

    level->kind = (uint8_t)kind;
    level->mode = (uint8_t)mode;
    level->left = left;
    return level;
}

static const uint8_t *tuple_head(const uint8_t *p, uint32_t *arity)
{
    if (p[0] == TN_SMALL_TUPLE) {
        *arity = p[1];
        return p + 2;
    }
    *arity = tn_get32(p + 1);
    return p + 5;
}

static int begin_tuples(struct walk *w, enum mode mode)
{
    uint32_t arity[2];

    w->at[0] = tuple_head(w->at[0], &arity[0]);
    w->at[1] = tuple_head(w->at[1], &arity[1]);
    if (arity[0] != arity[1]) {
        return arity[0] < arity[1] ? -1 : 1;
    }
    push(w, SEQUENCE, mode, arity[0]);
    return 0;
}

/* What both closures hold, when all else of them is the same. */
static int begin_closures(struct walk *w, enum mode mode)
{
    struct tn_fun_view fun[2];
    int order = tn_scalar_compare(w->at[0], w->at[1], TN_RANK_CLOSURE, true);

    if (order == 0) {
        tn_fun_view(w->at[0], &fun[0]);
        tn_fun_view(w->at[1], &fun[1]);
        w->at[0] = fun[0].free_terms;
        w->at[1] = fun[1].free_terms;
        push(w, SEQUENCE, mode, fun[0].free_count);
    }
    return order;
}

/* ---- lists ------------------------------------------------------------ */

static void enter_list(struct walk *w, int side, struct level *level)
{
    const uint8_t *p = w->at[side];
    uint32_t *left = side == 0 ? &level->left : &level->left_b;

    level->is_string[side] = p[0] == TN_STRING;
    *left = p[0] == TN_STRING ? tn_get16(p + 1)
            : p[0] == TN_LIST ? tn_get32(p + 1)
                              : 0;
    w->at[side] = p + (p[0] == TN_STRING ? 3 : p[0] == TN_LIST ? 5 : 0);
}

static void begin_lists(struct walk *w, enum mode mode)
{
    struct level *level = push(w, LIST, mode, 0);

    enter_list(w, 0, level);
    enter_list(w, 1, level);
}

/* A list that goes on in its tail is one list. False at its end. */
static bool has_element(struct walk *w, int side, struct level *level)
{
    const uint32_t *left = side == 0 ? &level->left : &level->left_b;

    while (*left == 0) {
        const uint8_t *tail = w->at[side];

        if (level->is_string[side] ||
            (tail[0] != TN_LIST && tail[0] != TN_STRING)) {
            return false;
        }
        enter_list(w, side, level);
    }
    return true;
}

/* The tail of a list that has ended against a list that goes on. */
static int compare_tail_rank(const struct walk *w, int side, bool is_string)
{
    enum tn_rank tail = is_string ? TN_RANK_NIL : tn_rank(w->at[side]);

    return TN_ORDER(tail, TN_RANK_LIST);
}

static int begin_term(struct walk *w, enum mode mode);

static int compare_tails(struct walk *w, const struct level *level)
{
    bool is_string[2] = { level->is_string[0], level->is_string[1] };
    enum mode mode = (enum mode)level->mode;

    w->depth--;
    if (!is_string[0] && !is_string[1]) {
        return begin_term(w, mode);
    }
    for (int side = 0; side < 2; side++) {
        if (!is_string[side]) {
            int order = TN_ORDER(TN_RANK_NIL, tn_rank(w->at[side]));

            w->at[side] = tn_skip(w->at[side]);
            return side == 1 ? order : -order;
        }
    }
    return 0;
}

/* A byte of a string against an element of any kind. */
static int compare_with_byte(struct walk *w, struct level *level)
{
    uint8_t byte[2][2];
    const uint8_t *element[2];

    for (int side = 0; side < 2; side++) {
        byte[side][0] = TN_SMALL_INTEGER;
        byte[side][1] = w->at[side][0];
        element[side] = level->is_string[side] ? byte[side] : w->at[side];
    }
    enum tn_rank a = tn_rank(element[0]);
    enum tn_rank b = tn_rank(element[1]);

    if (a != b) {
        return TN_ORDER(a, b);
    }
    int order =
        tn_scalar_compare(element[0], element[1], a, level->mode != BY_VALUE);

    for (int side = 0; side < 2; side++) {
        w->at[side] =
            level->is_string[side] ? w->at[side] + 1 : tn_skip(w->at[side]);
    }
    return order;
}

static int step_list(struct walk *w, struct level *level)
{
    bool more_a = has_element(w, 0, level);
    bool more_b = has_element(w, 1, level);

    if (!more_a && !more_b) {
        return compare_tails(w, level);
    }
    if (!more_a) {
        return compare_tail_rank(w, 0, level->is_string[0]);
    }
    if (!more_b) {
        return -compare_tail_rank(w, 1, level->is_string[1]);
    }
    level->left--;
    level->left_b--;
    return level->is_string[0] || level->is_string[1]
               ? compare_with_byte(w, level)
               : begin_term(w, (enum mode)level->mode);
}

/* ---- maps ------------------------------------------------------------- */

static struct tn_index_entry *
entry_of(const struct walk *w, int side, const struct level *level)
{
    return &w->index[side]->entries[level->entry[side]];
}

/* Pair `i` of the map. */
static const struct tn_index_pair *
pair_of(const struct walk *w, int side, const struct level *level, uint32_t i)
{
    return tn_index_pairs(w->index[side], entry_of(w, side, level)) + i;
}

/* True when the keys are the same bytes in the same order, as in maps that
 * come from one node: nothing must be sorted then. */
static bool
same_keys(const struct walk *w, const struct level *level, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct tn_index_pair *a = pair_of(w, 0, level, i);
        const struct tn_index_pair *b = pair_of(w, 1, level, i);
        uint32_t len = a->value - a->key;

        if (b->value - b->key != len ||
            memcmp(w->index[0]->start + a->key, w->index[1]->start + b->key,
                   len) != 0) {
            return false;
        }
    }
    return true;
}

/* Whether two keys that stand next to each other are in order, as far as a
 * short look tells. */
static bool ascends(const uint8_t *key, const uint8_t *next)
{
    enum tn_rank rank = tn_rank(key);
    enum tn_rank next_rank = tn_rank(next);

    if (rank != next_rank) {
        return rank < next_rank;
    }
    return (rank == TN_RANK_ATOM || rank == TN_RANK_NUMBER ||
            rank == TN_RANK_BITS) &&
           tn_scalar_compare(key, next, rank, true) < 0;
}

/* True when the keys of both maps are the same bytes in the same order, and,
 * where the order counts, in that of maps: small maps of one node are so. They
 * need no index. False also when there is too much to pass over. */
static bool are_alike(struct walk *w, enum mode mode, uint32_t count)
{
    const uint8_t *a = w->at[0] + 5;
    const uint8_t *b = w->at[1] + 5;

    for (uint32_t left = count; w->look_ahead > 0; left--) {
        const uint8_t *value_a = tn_skip(a);
        const uint8_t *value_b = tn_skip(b);
        const uint8_t *key = a;

        if (value_a - a != value_b - b ||
            memcmp(a, b, (size_t)(value_a - a)) != 0) {
            return false;
        }
        if (left == 1) {
            return true;
        }
        a = tn_skip(value_a);
        w->look_ahead -= a - key;
        if (mode != SAME && !ascends(key, a)) {
            return false;
        }
        key = b;
        b = tn_skip(value_b);
        w->look_ahead -= b - key;
    }
    return false;
}

/* Makes the index of the outermost maps; false without memory. */
static bool index_outermost(struct walk *w)
{
    if (w->has_index) {
        return true;
    }
    if (tn_index_init(w->index[0], w->at[0]) < 0) {
        return false;
    }
    if (tn_index_init(w->index[1], w->at[1]) < 0) {
        tn_index_fini(w->index[0]);
        return false;
    }
    w->has_index = true;
    w->indexed_at = w->depth;
    return true;
}

static void drop_index(struct walk *w)
{
    if (w->owns_index && w->has_index) {
        tn_index_fini(w->index[0]);
        tn_index_fini(w->index[1]);
        w->has_index = false;
    }
}

const uint8_t *tn_search_key(const uint8_t *map, const uint8_t *last)
{
    uint32_t count = tn_get32(map + 1);
    const uint8_t *p = map + 5;
    const uint8_t *best = NULL;

    for (uint32_t i = 0; i < count; i++) {
        int above = last == NULL ? 1 : compare(p, last, EXACT, 1);
        bool is_later = above > 0 || (above == 0 && p > last);

        if (is_later && (best == NULL || compare(p, best, EXACT, 1) < 0)) {
            best = p;
        }
        p = tn_skip(tn_skip(p));
    }
    return best;
}

/* Keys or values of two maps of one size, by searching. */
static int search_all(const struct walk *w, enum mode mode, bool values)
{
    uint32_t count = tn_get32(w->at[0] + 1);
    const uint8_t *a = NULL;
    const uint8_t *b = NULL;
    int order = 0;

    for (uint32_t i = 0; i < count && order == 0; i++) {
        a = tn_search_key(w->at[0], a);
        b = tn_search_key(w->at[1], b);
        order = values ? compare(tn_skip(a), tn_skip(b), mode, w->nesting + 1)
                       : compare(a, b, EXACT, w->nesting + 1);
    }
    return order;
}

static int without_memory(struct walk *w, enum mode mode, uint32_t count)
{
    if (w->nesting >= SEARCH_NESTING) {
        w->at[0] += 5;
        w->at[1] += 5;
        push(w, PAIRS, mode, 2 * count);
        return 0;
    }
    int order = search_all(w, mode, false);

    order = order != 0 ? order : search_all(w, mode, true);
    w->at[0] = tn_skip(w->at[0]);
    w->at[1] = tn_skip(w->at[1]);
    return order;
}

static int begin_maps(struct walk *w, enum mode mode)
{
    uint32_t count = tn_get32(w->at[0] + 1);
    uint32_t count_b = tn_get32(w->at[1] + 1);

    if (count != count_b) {
        return count < count_b ? -1 : 1;
    }
    if (count == 0) {
        w->at[0] += 5;
        w->at[1] += 5;
        return 0;
    }
    if (!w->has_index && (count == 1 || are_alike(w, mode, count))) {
        w->at[0] += 5;
        w->at[1] += 5;
        push(w, count == 1 ? PAIRS : ALIKE, mode, 2 * count);
        return 0;
    }
    if (!index_outermost(w)) {
        return without_memory(w, mode, count);
    }
    struct level *level = push(w, KEYS, mode, count);

    for (int side = 0; side < 2; side++) {
        struct tn_index *index = w->index[side];

        level->entry[side] =
            (uint32_t)(tn_index_find(index, w->at[side]) - index->entries);
    }
    if (mode == SAME && same_keys(w, level, count)) {
        level->kind = VALUES;
        return 0;
    }
    tn_index_order(w->index[0], entry_of(w, 0, level));
    tn_index_order(w->index[1], entry_of(w, 1, level));
    return 0;
}

/* Sets both places to the next key or value. */
static void at_next(struct walk *w, struct level *level, bool value)
{
    for (int side = 0; side < 2; side++) {
        const struct tn_index *index = w->index[side];
        uint32_t count =
            tn_get32(index->start + entry_of(w, side, level)->at + 1);
        const struct tn_index_pair *pair =
            pair_of(w, side, level, count - level->left);

        w->at[side] = index->start + (value ? pair->value : pair->key);
    }
    level->left--;
}

static int step_keys(struct walk *w, struct level *level)
{
    if (level->left == 0) {
        const struct tn_index_entry *map = entry_of(w, 0, level);

        level->kind = VALUES;
        level->left = tn_get32(w->index[0]->start + map->at + 1);
        return 0;
    }
    at_next(w, level, false);
    return begin_term(w, level->mode == SAME ? SAME : EXACT);
}

static int step_values(struct walk *w, struct level *level)
{
    if (level->left > 0) {
        at_next(w, level, true);
        return begin_term(w, (enum mode)level->mode);
    }
    for (int side = 0; side < 2; side++) {
        w->at[side] = w->index[side]->start + entry_of(w, side, level)->end;
    }
    w->depth--;
    if (w->depth == w->indexed_at) {
        drop_index(w);
    }
    return 0;
}

/* ---- all together ----------------------------------------------------- */

/* Compares what stands at both places, or begins to when it holds others. */
static int begin_term(struct walk *w, enum mode mode)
{
    enum tn_rank rank = tn_rank(w->at[0]);
    enum tn_rank rank_b = tn_rank(w->at[1]);

    if (rank != rank_b) {
        return rank < rank_b ? -1 : 1;
    }
    switch (rank) {
    case TN_RANK_TUPLE:
        return begin_tuples(w, mode);
    case TN_RANK_CLOSURE:
        return begin_closures(w, mode);
    case TN_RANK_MAP:
        return begin_maps(w, mode);
    case TN_RANK_LIST:
        begin_lists(w, mode);
        return 0;
    default: {
        int order =
            tn_scalar_compare(w->at[0], w->at[1], rank, mode != BY_VALUE);

        if (order == 0) {
            w->at[0] = tn_skip(w->at[0]);
            w->at[1] = tn_skip(w->at[1]);
        }
        return order;
    }
    }
}

static int step_sequence(struct walk *w, struct level *level)
{
    if (level->left == 0) {
        w->depth--;
        return 0;
    }
    level->left--;
    return begin_term(w, (enum mode)level->mode);
}

static int step_pairs(struct walk *w, struct level *level)
{
    if (level->left == 0) {
        w->depth--;
        return 0;
    }
    bool is_key = level->left % 2 == 0;

    level->left--;
    return begin_term(
        w, is_key && level->mode == BY_VALUE ? EXACT : (enum mode)level->mode);
}

static int step_alike(struct walk *w, struct level *level)
{
    if (level->left == 0) {
        w->depth--;
        return 0;
    }
    const uint8_t *value = tn_skip(w->at[0]);

    w->at[1] += value - w->at[0];
    w->at[0] = value;
    level->left -= 2;
    return begin_term(w, (enum mode)level->mode);
}

static int walk(struct walk *w, enum mode mode)
{
    int order = begin_term(w, mode);

    while (order == 0 && w->depth > 0) {
        struct level *level = &w->levels[w->depth - 1];

        switch ((enum kind)level->kind) {
        case SEQUENCE:
            order = step_sequence(w, level);
            break;
        case PAIRS:
            order = step_pairs(w, level);
            break;
        case ALIKE:
            order = step_alike(w, level);
            break;
        case LIST:
            order = step_list(w, level);
            break;
        case KEYS:
            order = step_keys(w, level);
            break;
        case VALUES:
            order = step_values(w, level);
            break;
        }
    }
    return order;
}

static int
compare(const uint8_t *a, const uint8_t *b, enum mode mode, uint32_t nesting)
{
    struct tn_index index[2];
    struct walk w;

    w.at[0] = a;
    w.at[1] = b;
    w.index[0] = &index[0];
    w.index[1] = &index[1];
    w.indexed_at = 0;
    w.look_ahead = LOOK_AHEAD_BYTES;
    w.owns_index = true;
    w.has_index = false;
    w.nesting = nesting;
    w.depth = 0;
    int order = walk(&w, mode);

    drop_index(&w);
    return order;
}

int tn_compare_keys(struct tn_index *index, const uint8_t *a, const uint8_t *b)
{
    enum tn_rank rank = tn_rank(a);
    struct walk w;

    if (rank != tn_rank(b)) {
        return TN_ORDER(rank, tn_rank(b));
    }
    if (rank == TN_RANK_ATOM || rank == TN_RANK_NUMBER) {
        return tn_scalar_compare(a, b, rank, true);
    }
    w.at[0] = a;
    w.at[1] = b;
    w.index[0] = index;
    w.index[1] = index;
    w.indexed_at = UINT32_MAX;
    w.look_ahead = 0;
    w.owns_index = false;
    w.has_index = true;
    w.nesting = 0;
    w.depth = 0;
    return walk(&w, EXACT);
}

enum tenon_err tn_check_keys(const uint8_t *p)
{
    struct tn_index index;
    enum tenon_err rc = tn_index_init(&index, p);

    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < index.entry_count && rc == TENON_OK; i++) {
        struct tn_index_entry *map = &index.entries[i];
        const struct tn_index_pair *pairs = tn_index_pairs(&index, map);

        if (!map->is_map) {
            continue;
        }
        tn_index_order(&index, map);
        for (uint32_t k = tn_get32(p + map->at + 1); k > 1; k--) {
            if (tn_compare_keys(&index, p + pairs[k - 2].key,
                                p + pairs[k - 1].key) == 0) {
                rc = TENON_E_TERM_SHAPE;
            }
        }
    }
    tn_index_fini(&index);
    return rc;
}

/* Equal bytes are equal terms: the scan lets no NaN through. */
static bool same_bytes(tenon_term a, tenon_term b)
{
    return a.len == b.len &&
           (a.bytes == b.bytes || memcmp(a.bytes, b.bytes, a.len) == 0);
}

int tenon_term_compare(tenon_term a, tenon_term b)
{
    if (a.bytes == NULL || b.bytes == NULL) {
        return (a.bytes != NULL) - (b.bytes != NULL);
    }
    return same_bytes(a, b) ? 0 : compare(a.bytes, b.bytes, BY_VALUE, 0);
}

bool tenon_term_equal(tenon_term a, tenon_term b)
{
    if (a.bytes == NULL || b.bytes == NULL) {
        return false;
    }
    return same_bytes(a, b) || compare(a.bytes, b.bytes, SAME, 0) == 0;
}

bool tenon_pid_equal(const tenon_pid *a, const tenon_pid *b)
{
    return a->id == b->id && a->serial == b->serial &&
           a->creation == b->creation && strcmp(a->node, b->node) == 0;
}

bool tenon_ref_equal(const tenon_ref *a, const tenon_ref *b)
{
    return a->word_count == b->word_count && a->creation == b->creation &&
           memcmp(a->words, b->words, a->word_count * sizeof a->words[0]) ==
               0 &&
           strcmp(a->node, b->node) == 0;
}
