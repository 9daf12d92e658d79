/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang's term order on validated bytes. Recursion is bounded by the nesting
 * that the scan allows. */
#include "term/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "term/bytes.h"
#include "term/tags.h"
#include "term/view.h"

enum mode {
    BY_VALUE, /* 1 == 1.0: Erlang's == and < */
    EXACT,    /* integers before floats, as keys of maps are ordered */
    SAME,     /* as EXACT, but only zero or not zero matters */
};

/* Both advance past their terms when these are equal; otherwise where they
 * stand afterwards means nothing. */
static int compare(const uint8_t **a, const uint8_t **b, enum mode mode);

#define ORDER(x, y) (((x) > (y)) - ((x) < (y)))

/* ---- numbers ---------------------------------------------------------- */

static int compare_magnitudes(const struct tn_int_view *a,
                              const struct tn_int_view *b)
{
    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }
    for (size_t i = a->len; i > 0; i--) {
        if (a->bytes[i - 1] != b->bytes[i - 1]) {
            return a->bytes[i - 1] < b->bytes[i - 1] ? -1 : 1;
        }
    }
    return 0;
}

static int compare_ints(const struct tn_int_view *a,
                        const struct tn_int_view *b)
{
    if (a->negative != b->negative) {
        return a->negative ? -1 : 1;
    }
    int order = compare_magnitudes(a, b);

    return a->negative ? -order : order;
}

/* The largest double has 1024 bits before the point. */
#define MAX_DOUBLE_BYTES 128

/* Compares without rounding: the whole part of the double as an integer, then
 * what lies behind the point. */
static int compare_int_double(const struct tn_int_view *a, double b)
{
    uint8_t bytes[MAX_DOUBLE_BYTES + 9];
    double whole = trunc(b);
    int exponent;
    double fraction = frexp(fabs(whole), &exponent);
    struct tn_int_view whole_int = { .negative = whole < 0, .bytes = bytes };

    memset(bytes, 0, sizeof bytes);
    if (exponent > 0) {
        /* 53 bits of the double, then zeroes. */
        uint64_t bits = (uint64_t)ldexp(fraction, 53);
        int shift = exponent - 53;

        if (shift < 0) {
            bits >>= -shift;
            shift = 0;
        }
        for (int i = 0; i < 8; i++) {
            unsigned part = (unsigned)(bits >> (8 * i) & 0xFF) << shift % 8;

            bytes[shift / 8 + i] |= (uint8_t)part;
            bytes[shift / 8 + i + 1] |= (uint8_t)(part >> 8);
        }
        whole_int.len = ((size_t)exponent + 7) / 8;
    }
    int order = compare_ints(a, &whole_int);

    return order != 0 ? order : ORDER(whole, b);
}

static int compare_doubles(double a, double b, enum mode mode)
{
    if (mode != BY_VALUE && a == b) {
        return ORDER(signbit(b) != 0, signbit(a) != 0);
    }
    return ORDER(a, b);
}

static int compare_numbers(const uint8_t *a, const uint8_t *b, enum mode mode)
{
    struct tn_int_view int_a;
    struct tn_int_view int_b;
    double double_a = 0;
    double double_b = 0;
    bool is_int_a = tn_int_view(a, &int_a);
    bool is_int_b = tn_int_view(b, &int_b);

    if (is_int_a && is_int_b) {
        return compare_ints(&int_a, &int_b);
    }
    if (mode != BY_VALUE && is_int_a != is_int_b) {
        return is_int_a ? -1 : 1;
    }
    if (!is_int_a) {
        tn_double_at(a, &double_a);
    }
    if (!is_int_b) {
        tn_double_at(b, &double_b);
    }
    if (is_int_a) {
        return compare_int_double(&int_a, double_b);
    }
    if (is_int_b) {
        return -compare_int_double(&int_b, double_a);
    }
    return compare_doubles(double_a, double_b, mode);
}

/* ---- identifiers ------------------------------------------------------ */

static int compare_nodes(const struct tn_id_view *a, const struct tn_id_view *b)
{
    int order = tn_atom_view_compare(&a->node, &b->node);

    return order != 0 ? order : ORDER(a->creation, b->creation);
}

/* The last word counts most, and missing words count as zeroes. */
static int compare_words(const struct tn_id_view *a, const struct tn_id_view *b)
{
    for (uint32_t i = TN_REF_MAX_WORDS; i > 0; i--) {
        uint32_t x = i <= a->word_count ? a->words[i - 1] : 0;
        uint32_t y = i <= b->word_count ? b->words[i - 1] : 0;

        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return 0;
}

static int compare_pids(const uint8_t *a, const uint8_t *b)
{
    struct tn_id_view x;
    struct tn_id_view y;

    tn_pid_view((tenon_term){ a, 1 }, &x);
    tn_pid_view((tenon_term){ b, 1 }, &y);
    /* Words before nodes: pids are ordered so, ports and references not. */
    int order = compare_words(&x, &y);

    return order != 0 ? order : compare_nodes(&x, &y);
}

static int compare_ports(const uint8_t *a, const uint8_t *b)
{
    struct tn_id_view x;
    struct tn_id_view y;

    tn_port_view((tenon_term){ a, 1 }, &x);
    tn_port_view((tenon_term){ b, 1 }, &y);
    int order = compare_nodes(&x, &y);

    if (order != 0 || (order = ORDER(x.words[0], y.words[0])) != 0) {
        return order;
    }
    return ORDER(x.words[1], y.words[1]);
}

static int compare_refs(const uint8_t *a, const uint8_t *b, enum mode mode)
{
    struct tn_id_view x;
    struct tn_id_view y;

    tn_ref_view((tenon_term){ a, 1 }, &x);
    tn_ref_view((tenon_term){ b, 1 }, &y);
    int order = compare_nodes(&x, &y);

    if (order != 0 || (order = compare_words(&x, &y)) != 0) {
        return order;
    }
    return mode == BY_VALUE ? 0 : ORDER(x.word_count, y.word_count);
}

static int compare_atoms(const uint8_t *a, const uint8_t *b)
{
    struct tn_atom_view x;
    struct tn_atom_view y;

    tn_atom_view(a, &x);
    tn_atom_view(b, &y);
    return tn_atom_view_compare(&x, &y);
}

/* ---- binaries --------------------------------------------------------- */

/* Bit by bit; a bitstring comes before one that it is the beginning of. */
static int compare_bits(const uint8_t *a, const uint8_t *b)
{
    struct tn_bits_view x;
    struct tn_bits_view y;

    tn_bits_view(a, &x);
    tn_bits_view(b, &y);
    uint64_t bits_x = (uint64_t)8 * x.len + x.last_bits - 8;
    uint64_t bits_y = (uint64_t)8 * y.len + y.last_bits - 8;
    uint64_t common = x.len == 0 || y.len == 0 ? 0
                      : bits_x < bits_y        ? bits_x
                                               : bits_y;
    size_t whole = (size_t)(common / 8);
    int order = whole == 0 ? 0 : memcmp(x.bytes, y.bytes, whole);

    if (order == 0 && common % 8 != 0) {
        unsigned shift = 8 - (unsigned)(common % 8);

        order = ORDER(x.bytes[whole] >> shift, y.bytes[whole] >> shift);
    }
    return order != 0 ? order : ORDER(bits_x, bits_y);
}

/* ---- containers ------------------------------------------------------- */

static const uint8_t *tuple_head(const uint8_t *p, uint32_t *arity)
{
    if (p[0] == TN_SMALL_TUPLE) {
        *arity = p[1];
        return p + 2;
    }
    *arity = tn_get32(p + 1);
    return p + 5;
}

static int compare_tuples(const uint8_t **a, const uint8_t **b, enum mode mode)
{
    uint32_t arity_a;
    uint32_t arity_b;
    int order = 0;

    *a = tuple_head(*a, &arity_a);
    *b = tuple_head(*b, &arity_b);
    if (arity_a != arity_b) {
        return arity_a < arity_b ? -1 : 1;
    }
    for (uint32_t i = 0; i < arity_a && order == 0; i++) {
        order = compare(a, b, mode);
    }
    return order;
}

/* The module, then what tells functions of one module apart, then what the
 * closure holds. */
static int compare_closures(const uint8_t *a, const uint8_t *b, enum mode mode)
{
    struct tn_fun_view x;
    struct tn_fun_view y;

    tn_fun_view(a, &x);
    tn_fun_view(b, &y);
    int order = tn_atom_view_compare(&x.module, &y.module);

    if (order != 0 || (order = ORDER(x.old_index, y.old_index)) != 0 ||
        (order = ORDER(x.old_uniq, y.old_uniq)) != 0 ||
        (order = ORDER(x.index, y.index)) != 0 ||
        (order = memcmp(x.uniq, y.uniq, 16)) != 0 ||
        (order = ORDER(x.arity, y.arity)) != 0 ||
        (order = ORDER(x.free_count, y.free_count)) != 0) {
        return order;
    }
    for (uint32_t i = 0; i < x.free_count && order == 0; i++) {
        order = compare(&x.free_terms, &y.free_terms, mode);
    }
    return order;
}

static int compare_exports(const uint8_t *a, const uint8_t *b)
{
    struct tn_fun_view x;
    struct tn_fun_view y;

    tn_fun_view(a, &x);
    tn_fun_view(b, &y);
    int order = tn_atom_view_compare(&x.module, &y.module);

    if (order != 0 ||
        (order = tn_atom_view_compare(&x.function, &y.function)) != 0) {
        return order;
    }
    return ORDER(x.arity, y.arity);
}

/* ---- lists ------------------------------------------------------------ */

static int rank(const uint8_t *p);

/* The tail of a list that has ended against a list that goes on. */
static int compare_tail_rank(const struct tn_list_walk *ended)
{
    return ORDER(rank(tn_list_tail(ended)),
                 rank((const uint8_t[]){ TN_STRING, 0, 1 }));
}

static int compare_tails(const uint8_t **a,
                         const uint8_t **b,
                         const struct tn_list_walk *x,
                         const struct tn_list_walk *y,
                         enum mode mode)
{
    const uint8_t *tail_a = tn_list_tail(x);
    const uint8_t *tail_b = tn_list_tail(y);
    int order = compare(&tail_a, &tail_b, mode);

    *a = tn_list_end(x, tail_a);
    *b = tn_list_end(y, tail_b);
    return order;
}

static int compare_lists(const uint8_t **a, const uint8_t **b, enum mode mode)
{
    struct tn_list_walk x;
    struct tn_list_walk y;
    int order;

    tn_list_begin(&x, *a);
    tn_list_begin(&y, *b);
    do {
        const uint8_t *p = tn_list_element(&x);
        const uint8_t *q = tn_list_element(&y);

        if (p == NULL && q == NULL) {
            return compare_tails(a, b, &x, &y, mode);
        }
        if (p == NULL) {
            return compare_tail_rank(&x);
        }
        if (q == NULL) {
            return -compare_tail_rank(&y);
        }
        order = compare(&p, &q, mode);
        tn_list_passed(&x, p);
        tn_list_passed(&y, q);
    } while (order == 0);
    return order;
}

/* ---- maps ------------------------------------------------------------- */

static int compare_keys(const uint8_t *a, const uint8_t *b)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    int order = compare(&x, &y, EXACT);

    /* A key that stands twice: by place. */
    return order != 0 ? order : ORDER(a, b);
}

static int by_key(const void *a, const void *b)
{
    return compare_keys(*(const uint8_t *const *)a, *(const uint8_t *const *)b);
}

void tn_keys_init(struct tn_keys *keys, const uint8_t *map)
{
    const uint8_t *p = map + 5;

    keys->count = tn_get32(map + 1);
    keys->first = p;
    keys->last = NULL;
    keys->sorted = keys->few;
    if (keys->count > TN_FEW_KEYS) {
        keys->sorted = malloc(keys->count * sizeof *keys->sorted);
        if (keys->sorted == NULL) {
            return;
        }
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        keys->sorted[i] = p;
        p = tn_skip(tn_skip(p));
    }
    qsort(keys->sorted, keys->count, sizeof *keys->sorted, by_key);
}

void tn_keys_fini(struct tn_keys *keys)
{
    if (keys->sorted != keys->few) {
        free(keys->sorted);
    }
}

/* The smallest key above the last one: slow, and never out of memory. */
static const uint8_t *search_key(struct tn_keys *keys)
{
    const uint8_t *p = keys->first;
    const uint8_t *best = NULL;

    for (uint32_t i = 0; i < keys->count; i++) {
        if ((keys->last == NULL || compare_keys(p, keys->last) > 0) &&
            (best == NULL || compare_keys(p, best) < 0)) {
            best = p;
        }
        p = tn_skip(tn_skip(p));
    }
    keys->last = best;
    return best;
}

const uint8_t *tn_keys_at(struct tn_keys *keys, uint32_t i)
{
    if (i == 0) {
        keys->last = NULL;
    }
    return keys->sorted != NULL ? keys->sorted[i] : search_key(keys);
}

static int compare_all_keys(struct tn_keys *a, struct tn_keys *b)
{
    int order = 0;

    for (uint32_t i = 0; i < a->count && order == 0; i++) {
        const uint8_t *x = tn_keys_at(a, i);
        const uint8_t *y = tn_keys_at(b, i);

        order = compare(&x, &y, EXACT);
    }
    return order;
}

static int
compare_all_values(struct tn_keys *a, struct tn_keys *b, enum mode mode)
{
    int order = 0;

    for (uint32_t i = 0; i < a->count && order == 0; i++) {
        const uint8_t *x = tn_skip(tn_keys_at(a, i));
        const uint8_t *y = tn_skip(tn_keys_at(b, i));

        order = compare(&x, &y, mode);
    }
    return order;
}

/* Its own frame, so that the arrays are on the stack only where they are
 * needed. */
static __attribute__((noinline)) int
compare_sorted(const uint8_t *a, const uint8_t *b, enum mode mode)
{
    struct tn_keys keys_a;
    struct tn_keys keys_b;

    tn_keys_init(&keys_a, a);
    tn_keys_init(&keys_b, b);
    int order = compare_all_keys(&keys_a, &keys_b);

    if (order == 0) {
        order = compare_all_values(&keys_a, &keys_b, mode);
    }
    tn_keys_fini(&keys_a);
    tn_keys_fini(&keys_b);
    return order;
}

/* True when the keys are the same bytes in the same order, as in maps that
 * come from one node. Bytes and not compare(): a key that is compared here and
 * once more when sorting would double the work at every level of nesting. */
static bool same_keys(const uint8_t *a, const uint8_t *b)
{
    uint32_t count = tn_get32(a + 1);

    a += 5;
    b += 5;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *value_a = tn_skip(a);
        const uint8_t *value_b = tn_skip(b);

        if (value_a - a != value_b - b ||
            memcmp(a, b, (size_t)(value_a - a)) != 0) {
            return false;
        }
        a = tn_skip(value_a);
        b = tn_skip(value_b);
    }
    return true;
}

/* Values one by one; their keys are the same. */
static int compare_values(const uint8_t **a, const uint8_t **b)
{
    uint32_t count = tn_get32(*a + 1);
    int order = 0;

    *a += 5;
    *b += 5;
    for (uint32_t i = 0; i < count && order == 0; i++) {
        *a = tn_skip(*a);
        *b = tn_skip(*b);
        order = compare(a, b, SAME);
    }
    return order;
}

bool tn_map_keys_differ(const uint8_t *map)
{
    struct tn_keys keys;
    bool differ = true;

    tn_keys_init(&keys, map);
    const uint8_t *before = keys.count > 0 ? tn_keys_at(&keys, 0) : NULL;

    for (uint32_t i = 1; i < keys.count && differ; i++) {
        const uint8_t *key = tn_keys_at(&keys, i);
        const uint8_t *p = key;

        differ = compare(&before, &p, SAME) != 0;
        before = key;
    }
    tn_keys_fini(&keys);
    return differ;
}

bool tn_map_is_tangled(const uint8_t *map)
{
    uint32_t count = tn_get32(map + 1);
    const uint8_t *p = map + 5;

    for (uint32_t i = 0; i < count; i++) {
        if (tn_has_map_in_key(p)) {
            return true;
        }
        p = tn_skip(tn_skip(p));
    }
    return false;
}

static int
compare_as_they_stand(const uint8_t **a, const uint8_t **b, enum mode mode)
{
    uint32_t count = tn_get32(*a + 1);
    int order = 0;

    *a += 5;
    *b += 5;
    for (uint32_t i = 0; i < count && order == 0; i++) {
        order = compare(a, b, EXACT);
        if (order == 0) {
            order = compare(a, b, mode);
        }
    }
    return order;
}

static int compare_maps(const uint8_t **a, const uint8_t **b, enum mode mode)
{
    uint32_t count_a = tn_get32(*a + 1);
    uint32_t count_b = tn_get32(*b + 1);

    if (count_a != count_b) {
        return count_a < count_b ? -1 : 1;
    }
    if (mode == SAME && same_keys(*a, *b)) {
        return compare_values(a, b);
    }
    /* Both kinds stay apart, or the order of all would not be one. */
    bool tangled_a = tn_map_is_tangled(*a);
    bool tangled_b = tn_map_is_tangled(*b);

    if (tangled_a != tangled_b) {
        return tangled_a ? 1 : -1;
    }
    if (tangled_a) {
        return compare_as_they_stand(a, b, mode);
    }
    int order = compare_sorted(*a, *b, mode);

    if (order == 0) {
        *a = tn_skip(*a);
        *b = tn_skip(*b);
    }
    return order;
}

/* ---- all together ----------------------------------------------------- */

enum {
    RANK_NUMBER,
    RANK_ATOM,
    RANK_REF,
    RANK_CLOSURE,
    RANK_EXPORT,
    RANK_PORT,
    RANK_PID,
    RANK_TUPLE,
    RANK_MAP,
    RANK_NIL,
    RANK_LIST,
    RANK_BITS,
};

static int rank(const uint8_t *p)
{
    switch (tenon_term_type((tenon_term){ p, 1 })) {
    case TENON_TYPE_INTEGER:
    case TENON_TYPE_FLOAT:
        return RANK_NUMBER;
    case TENON_TYPE_ATOM:
        return RANK_ATOM;
    case TENON_TYPE_REF:
        return RANK_REF;
    case TENON_TYPE_FUN:
        return p[0] == TN_EXPORT ? RANK_EXPORT : RANK_CLOSURE;
    case TENON_TYPE_PORT:
        return RANK_PORT;
    case TENON_TYPE_PID:
        return RANK_PID;
    case TENON_TYPE_TUPLE:
        return RANK_TUPLE;
    case TENON_TYPE_MAP:
        return RANK_MAP;
    case TENON_TYPE_LIST: {
        bool empty = p[0] == TN_NIL ||
                     (p[0] == TN_STRING && !tn_get16(p + 1)) ||
                     (p[0] == TN_LIST && !tn_get32(p + 1));

        return empty ? RANK_NIL : RANK_LIST;
    }
    default:
        return RANK_BITS;
    }
}

/* Comparing without walking into other terms. */
static int
compare_flat(const uint8_t *a, const uint8_t *b, int of, enum mode mode)
{
    switch (of) {
    case RANK_NUMBER:
        return compare_numbers(a, b, mode);
    case RANK_ATOM:
        return compare_atoms(a, b);
    case RANK_REF:
        return compare_refs(a, b, mode);
    case RANK_CLOSURE:
        return compare_closures(a, b, mode);
    case RANK_EXPORT:
        return compare_exports(a, b);
    case RANK_PORT:
        return compare_ports(a, b);
    case RANK_PID:
        return compare_pids(a, b);
    case RANK_NIL:
        return 0;
    default:
        return compare_bits(a, b);
    }
}

static int compare(const uint8_t **a, const uint8_t **b, enum mode mode)
{
    int rank_a = rank(*a);
    int rank_b = rank(*b);

    if (rank_a != rank_b) {
        return rank_a < rank_b ? -1 : 1;
    }
    switch (rank_a) {
    case RANK_TUPLE:
        return compare_tuples(a, b, mode);
    case RANK_MAP:
        return compare_maps(a, b, mode);
    case RANK_LIST:
        return compare_lists(a, b, mode);
    default: {
        int order = compare_flat(*a, *b, rank_a, mode);

        if (order == 0) {
            *a = tn_skip(*a);
            *b = tn_skip(*b);
        }
        return order;
    }
    }
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
    return same_bytes(a, b) ? 0 : compare(&a.bytes, &b.bytes, BY_VALUE);
}

bool tenon_term_equal(tenon_term a, tenon_term b)
{
    if (a.bytes == NULL || b.bytes == NULL) {
        return false;
    }
    return same_bytes(a, b) || compare(&a.bytes, &b.bytes, SAME) == 0;
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
