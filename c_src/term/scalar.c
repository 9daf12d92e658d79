/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang's order of numbers, atoms, identifiers, binaries and funs, on
 * validated bytes. */
#include "term/scalar.h"

#include <math.h>
#include <string.h>

#include <tenon/term.h>

#include "term/bytes.h"
#include "term/tags.h"
#include "term/view.h"

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

    return order != 0 ? order : TN_ORDER(whole, b);
}

static int compare_doubles(double a, double b, bool exact)
{
    if (exact && a == b) {
        return TN_ORDER(signbit(b) != 0, signbit(a) != 0);
    }
    return TN_ORDER(a, b);
}

static int compare_numbers(const uint8_t *a, const uint8_t *b, bool exact)
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
    if (exact && is_int_a != is_int_b) {
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
    return compare_doubles(double_a, double_b, exact);
}

/* ---- identifiers ------------------------------------------------------ */

static int compare_nodes(const struct tn_id_view *a, const struct tn_id_view *b)
{
    int order = tn_atom_view_compare(&a->node, &b->node);

    return order != 0 ? order : TN_ORDER(a->creation, b->creation);
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

    if (order != 0 || (order = TN_ORDER(x.words[0], y.words[0])) != 0) {
        return order;
    }
    return TN_ORDER(x.words[1], y.words[1]);
}

static int compare_refs(const uint8_t *a, const uint8_t *b, bool exact)
{
    struct tn_id_view x;
    struct tn_id_view y;

    tn_ref_view((tenon_term){ a, 1 }, &x);
    tn_ref_view((tenon_term){ b, 1 }, &y);
    int order = compare_nodes(&x, &y);

    if (order != 0 || (order = compare_words(&x, &y)) != 0) {
        return order;
    }
    return exact ? TN_ORDER(x.word_count, y.word_count) : 0;
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

        order = TN_ORDER(x.bytes[whole] >> shift, y.bytes[whole] >> shift);
    }
    return order != 0 ? order : TN_ORDER(bits_x, bits_y);
}

/* ---- funs ------------------------------------------------------------- */

/* The module, then what tells functions of one module apart. */
static int compare_closures(const uint8_t *a, const uint8_t *b)
{
    struct tn_fun_view x;
    struct tn_fun_view y;

    tn_fun_view(a, &x);
    tn_fun_view(b, &y);
    int order = tn_atom_view_compare(&x.module, &y.module);

    if (order != 0 || (order = TN_ORDER(x.old_index, y.old_index)) != 0 ||
        (order = TN_ORDER(x.old_uniq, y.old_uniq)) != 0 ||
        (order = TN_ORDER(x.index, y.index)) != 0 ||
        (order = memcmp(x.uniq, y.uniq, 16)) != 0 ||
        (order = TN_ORDER(x.arity, y.arity)) != 0) {
        return order;
    }
    return TN_ORDER(x.free_count, y.free_count);
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
    return TN_ORDER(x.arity, y.arity);
}

/* ---- all together ----------------------------------------------------- */

/* Of validated terms. */
static const uint8_t rank_of_tag[256] = {
    [TN_SMALL_INTEGER] = TN_RANK_NUMBER,
    [TN_INTEGER] = TN_RANK_NUMBER,
    [TN_SMALL_BIG] = TN_RANK_NUMBER,
    [TN_LARGE_BIG] = TN_RANK_NUMBER,
    [TN_NEW_FLOAT] = TN_RANK_NUMBER,
    [TN_FLOAT] = TN_RANK_NUMBER,
    [TN_SMALL_ATOM_UTF8] = TN_RANK_ATOM,
    [TN_ATOM_UTF8] = TN_RANK_ATOM,
    [TN_ATOM] = TN_RANK_ATOM,
    [TN_SMALL_ATOM] = TN_RANK_ATOM,
    [TN_NEWER_REF] = TN_RANK_REF,
    [TN_NEW_REF] = TN_RANK_REF,
    [TN_NEW_FUN] = TN_RANK_CLOSURE,
    [TN_EXPORT] = TN_RANK_EXPORT,
    [TN_PORT] = TN_RANK_PORT,
    [TN_NEW_PORT] = TN_RANK_PORT,
    [TN_V4_PORT] = TN_RANK_PORT,
    [TN_PID] = TN_RANK_PID,
    [TN_NEW_PID] = TN_RANK_PID,
    [TN_SMALL_TUPLE] = TN_RANK_TUPLE,
    [TN_LARGE_TUPLE] = TN_RANK_TUPLE,
    [TN_MAP] = TN_RANK_MAP,
    [TN_NIL] = TN_RANK_NIL,
    [TN_STRING] = TN_RANK_LIST,
    [TN_LIST] = TN_RANK_LIST,
    [TN_BINARY] = TN_RANK_BITS,
    [TN_BIT_BINARY] = TN_RANK_BITS,
};

enum tn_rank tn_rank(const uint8_t *p)
{
    if ((p[0] == TN_STRING && tn_get16(p + 1) == 0) ||
        (p[0] == TN_LIST && tn_get32(p + 1) == 0)) {
        return TN_RANK_NIL;
    }
    return (enum tn_rank)rank_of_tag[p[0]];
}

int tn_scalar_compare(const uint8_t *a,
                      const uint8_t *b,
                      enum tn_rank rank,
                      bool exact)
{
    switch (rank) {
    case TN_RANK_NUMBER:
        return compare_numbers(a, b, exact);
    case TN_RANK_ATOM:
        return compare_atoms(a, b);
    case TN_RANK_REF:
        return compare_refs(a, b, exact);
    case TN_RANK_CLOSURE:
        return compare_closures(a, b);
    case TN_RANK_EXPORT:
        return compare_exports(a, b);
    case TN_RANK_PORT:
        return compare_ports(a, b);
    case TN_RANK_PID:
        return compare_pids(a, b);
    case TN_RANK_BITS:
        return compare_bits(a, b);
    default: /* the empty list; containers are not for this */
        return 0;
    }
}
