/* SPDX-License-Identifier: Apache-2.0 */
/* Reading terms that passed the scan: helpers without copying, for this
 * library only. The pointers given here must point at validated terms. */
#ifndef TN_TERM_VIEW_H
#define TN_TERM_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/term.h>

/* The first byte after the term at `p`. Iterative; linear in what it skips. */
const uint8_t *tn_skip(const uint8_t *p);

/* Skips one term that holds no other, or the head of one that does, and adds
 * the number of its elements to `*more`. A fun is skipped whole. */
const uint8_t *tn_skip_head(const uint8_t *p, uint64_t *more);

/* True for a proper list; sets the number of its elements. In one walk. */
bool tn_list_length(tenon_term list, size_t *length);

/* The view of the one term at `p`. */
tenon_term tn_term_at(const uint8_t *p);

/* Whether it is a tuple, and all its elements but the last have at most `max`
 * terms in them, each counted with what is in it: the elements are then found in
 * as many steps, however large the last one is. Looks at no more. */
bool tn_tuple_begins_short(tenon_term tuple, unsigned max);

/* The text of an atom where it lies. */
struct tn_atom_view {
    const uint8_t *bytes;
    size_t len;
    bool latin1; /* bytes are characters; otherwise UTF-8 */
};

/* False when the term at `p` is no atom. */
bool tn_atom_view(const uint8_t *p, struct tn_atom_view *view);
/* Writes the UTF-8 text, at most TENON_ATOM_MAX_BYTES, without NUL.
 * Returns its length. */
size_t tn_atom_utf8(const struct tn_atom_view *view, uint8_t *out);
/* Compares the text with `len` bytes of UTF-8. */
bool tn_atom_view_is(const struct tn_atom_view *view,
                     const char *text,
                     size_t len);
/* By code points: <0, 0, >0. */
int tn_atom_view_compare(const struct tn_atom_view *a,
                         const struct tn_atom_view *b);
/* False for the null view and for what is no atom. */
bool tn_term_atom_is(tenon_term term, const char *text, size_t len);

/* A pid, port or reference where it lies. */
struct tn_id_view {
    struct tn_atom_view node;
    uint32_t creation;
    uint32_t word_count; /* pid 2: id, serial; port 2: high, low */
    uint32_t words[5];
};

/* False when the term is no pid (no reference, no port). */
bool tn_pid_view(tenon_term term, struct tn_id_view *view);
bool tn_ref_view(tenon_term term, struct tn_id_view *view);
bool tn_port_view(tenon_term term, struct tn_id_view *view);

/* An integer of any size: sign and little-endian magnitude without leading
 * zeros. May not be copied: `bytes` may point into itself. */
struct tn_int_view {
    bool negative;
    const uint8_t *bytes;
    size_t len;
    uint8_t small[4];
};

/* False when the term at `p` is no integer. */
bool tn_int_view(const uint8_t *p, struct tn_int_view *view);

/* A binary or bitstring where it lies. */
struct tn_bits_view {
    const uint8_t *bytes;
    size_t len;        /* bytes, the last may be partly used */
    uint8_t last_bits; /* 1 to 8 used bits, the high ones; 8 when len is 0 */
};

/* False when the term at `p` is neither. */
bool tn_bits_view(const uint8_t *p, struct tn_bits_view *view);

/* True for a float at `p`. */
bool tn_double_at(const uint8_t *p, double *value);

/* A fun or an export where it lies. */
struct tn_fun_view {
    bool is_export;
    struct tn_atom_view module;
    struct tn_atom_view function; /* exports only */
    uint32_t arity;
    const uint8_t *uniq; /* funs only: 16 bytes */
    uint32_t index;      /* funs only, as all below */
    uint32_t old_index;
    uint32_t old_uniq;
    uint32_t free_count;
    const uint8_t *pid;        /* the creator, a term */
    const uint8_t *free_terms; /* free_count terms */
};

bool tn_fun_view(const uint8_t *p, struct tn_fun_view *view);

/* Walks a list by pointers, where tenon_cursor would skip each element once
 * more than its reader does. A list in the tail of a list goes on with it. */
struct tn_list_walk {
    const uint8_t *at; /* next element, or the tail */
    uint32_t left;
    bool is_string;
};

/* p: a validated list. */
void tn_list_begin(struct tn_list_walk *walk, const uint8_t *p);
/* Where the next element lies, NULL when the tail is reached. tn_list_passed
 * with the element's end must follow. */
const uint8_t *tn_list_element(struct tn_list_walk *walk);
static inline void tn_list_passed(struct tn_list_walk *walk,
                                  const uint8_t *element_end)
{
    if (!walk->is_string) {
        walk->at = element_end;
    }
}
/* At the end: the tail, which is no list with elements. */
const uint8_t *tn_list_tail(const struct tn_list_walk *walk);
/* What follows the list, given what follows its tail. */
static inline const uint8_t *tn_list_end(const struct tn_list_walk *walk,
                                         const uint8_t *tail_end)
{
    return walk->is_string ? walk->at : tail_end;
}

/* Copies a term to *to, which moves behind it, and gives the copy's view; the
 * null view stays what it is. For structs with terms in memory of their own. */
tenon_term tn_term_copy_to(uint8_t **to, tenon_term term);

#endif
