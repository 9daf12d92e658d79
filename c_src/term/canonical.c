/* SPDX-License-Identifier: Apache-2.0 */
/* Rebuilding a term, with maps in the order of their keys. With a stack of its
 * own, since a peer chooses how deep the term is. */
#include "term/canonical.h"

#include "term/build.h"
#include "term/bytes.h"
#include "term/index.h"
#include "term/scan.h"
#include "term/tags.h"
#include "term/view.h"

/* A container of which some is written. */
struct level {
    uint32_t left; /* terms that are to come, 2 for each pair of a map */
    uint8_t kind;
    bool is_string; /* of a list, what is being walked */
    union {
        uint32_t entry; /* of a map in the index */
        struct {
            uint32_t offset; /* of a list's header in what is built */
            uint32_t count;  /* of its elements that are written */
        };
    };
};

enum kind { TUPLE, MAP, LIST, LIST_TAIL };

struct walk {
    tenon_builder *out;
    const uint8_t *at;
    struct tn_index *index; /* of the outermost map */
    bool has_index;
    uint32_t depth;
    uint32_t indexed_at; /* how deep the outermost map is */
    struct level levels[TENON_TERM_MAX_DEPTH + 1];
};

static void put_atom(tenon_builder *out, const uint8_t *p)
{
    struct tn_atom_view view;
    uint8_t text[TENON_ATOM_MAX_BYTES];

    if (tn_atom_view(p, &view)) {
        (void)tn_build_atom(out, (const char *)text, tn_atom_utf8(&view, text));
    }
}

static void put_integer(tenon_builder *out, const uint8_t *p)
{
    struct tn_int_view view;

    if (tn_int_view(p, &view)) {
        tenon_build_integer(out, view.negative, view.bytes, view.len);
    }
}

static void put_pid(tenon_builder *out, tenon_term term)
{
    tenon_pid pid;

    if (tenon_term_pid(term, &pid) == TENON_OK) {
        tenon_build_pid(out, &pid);
    } else {
        tenon_build_term(out, term);
    }
}

static void put_ref(tenon_builder *out, tenon_term term)
{
    tenon_ref ref;

    if (tenon_term_ref(term, &ref) == TENON_OK) {
        tenon_build_ref(out, &ref);
    } else {
        tenon_build_term(out, term);
    }
}

static void put_bits(tenon_builder *out, tenon_term term)
{
    const void *bytes;
    size_t len;

    if (tenon_term_binary(term, &bytes, &len) == TENON_OK) {
        tenon_build_binary(out, bytes, len);
    } else {
        tenon_build_term(out, term);
    }
}

static void put_double(tenon_builder *out, const uint8_t *p)
{
    double number;

    if (tn_double_at(p, &number)) {
        tenon_build_double(out, number);
    }
}

/* A term that holds no other, or is copied whole. */
static void put_scalar(tenon_builder *out, tenon_term term)
{
    switch (tenon_term_type(term)) {
    case TENON_TYPE_ATOM:
        put_atom(out, term.bytes);
        break;
    case TENON_TYPE_INTEGER:
        put_integer(out, term.bytes);
        break;
    case TENON_TYPE_FLOAT:
        put_double(out, term.bytes);
        break;
    case TENON_TYPE_PID:
        put_pid(out, term);
        break;
    case TENON_TYPE_REF:
        put_ref(out, term);
        break;
    case TENON_TYPE_BINARY:
        put_bits(out, term);
        break;
    default:
        tenon_build_term(out, term);
        break;
    }
}

/* ---- containers ------------------------------------------------------- */

static struct level *push(struct walk *w, enum kind kind, uint32_t left)
{
    struct level *level = &w->levels[w->depth++];

    level->kind = (uint8_t)kind;
    level->left = left;
    return level;
}

static void begin_tuple(struct walk *w, uint32_t arity, size_t head_bytes)
{
    tenon_build_tuple(w->out, arity);
    w->at += head_bytes;
    if (arity > 0) {
        push(w, TUPLE, arity);
    }
}

static void enter_list(struct walk *w, struct level *level)
{
    level->is_string = w->at[0] == TN_STRING;
    level->left = level->is_string ? tn_get16(w->at + 1) : tn_get32(w->at + 1);
    w->at += level->is_string ? 3 : 5;
}

static bool is_list_head(const uint8_t *p)
{
    return p[0] == TN_LIST || p[0] == TN_STRING;
}

/* True when an element of the list is to come; a list in its tail is part of
 * it. */
static bool has_element(struct walk *w, struct level *level)
{
    while (level->left == 0 && !level->is_string && is_list_head(w->at)) {
        enter_list(w, level);
    }
    return level->left > 0;
}

static void begin_list(struct walk *w)
{
    struct level *level = push(w, LIST, 0);

    level->is_string = false;
    level->count = 0;
    if (has_element(w, level)) {
        level->offset = (uint32_t)tn_build_open_list(w->out).offset;
        return;
    }
    tenon_build_nil(w->out);
    w->at += level->is_string ? 0 : 1;
    w->depth--;
}

static void begin_map(struct walk *w)
{
    uint32_t count = tn_get32(w->at + 1);

    tenon_build_map(w->out, count);
    if (count == 0) {
        w->at += 5;
        return;
    }
    if (!w->has_index) {
        enum tenon_err rc = tn_index_init(w->index, w->at);

        if (rc < 0) {
            tn_builder_fail(w->out, rc);
            return;
        }
        w->has_index = true;
        w->indexed_at = w->depth;
    }
    struct tn_index_entry *map = tn_index_find(w->index, w->at);

    tn_index_order(w->index, map);
    push(w, MAP, 2 * count)->entry = (uint32_t)(map - w->index->entries);
}

static void begin_term(struct walk *w)
{
    tenon_term term = { w->at, 1 };

    switch (w->at[0]) {
    case TN_SMALL_TUPLE:
        begin_tuple(w, w->at[1], 2);
        break;
    case TN_LARGE_TUPLE:
        begin_tuple(w, tn_get32(w->at + 1), 5);
        break;
    case TN_NIL:
    case TN_LIST:
    case TN_STRING:
        begin_list(w);
        break;
    case TN_MAP:
        begin_map(w);
        break;
    default:
        term = tn_term_at(w->at);
        put_scalar(w->out, term);
        w->at += term.len;
        break;
    }
}

static void step_tuple(struct walk *w, struct level *level)
{
    if (level->left == 0) {
        w->depth--;
        return;
    }
    level->left--;
    begin_term(w);
}

static void close_list(struct walk *w, const struct level *level)
{
    struct tn_unsized list = { .offset = level->offset, .is_list = true };

    tn_build_close(w->out, list, level->count);
    w->depth--;
}

static void step_list(struct walk *w, struct level *level)
{
    if (has_element(w, level)) {
        level->left--;
        level->count++;
        if (level->is_string) {
            tenon_build_uint(w->out, *w->at++);
        } else {
            begin_term(w);
        }
        return;
    }
    if (level->is_string) {
        tenon_build_nil(w->out);
        close_list(w, level);
        return;
    }
    /* The tail is an element like others for the builder. */
    level->kind = LIST_TAIL;
    begin_term(w);
}

/* Keys and values by turns, in the order of the keys. */
static void step_map(struct walk *w, struct level *level)
{
    const struct tn_index_entry *map = &w->index->entries[level->entry];
    const uint8_t *start = w->index->start;

    if (level->left == 0) {
        w->at = start + map->end;
        w->depth--;
        if (w->depth == w->indexed_at) {
            tn_index_fini(w->index);
            w->has_index = false;
        }
        return;
    }
    uint32_t done = tn_get32(start + map->at + 1) - (level->left + 1) / 2;
    const struct tn_index_pair *pair = tn_index_pairs(w->index, map) + done;

    w->at = start + (level->left % 2 == 0 ? pair->key : pair->value);
    level->left--;
    begin_term(w);
}

static void step(struct walk *w)
{
    struct level *level = &w->levels[w->depth - 1];

    switch ((enum kind)level->kind) {
    case TUPLE:
        step_tuple(w, level);
        break;
    case LIST:
        step_list(w, level);
        break;
    case LIST_TAIL:
        close_list(w, level);
        break;
    case MAP:
        step_map(w, level);
        break;
    }
}

enum tenon_err tn_build_canonical(tenon_builder *out, tenon_term term)
{
    struct tn_index index;
    struct walk w;

    if (term.bytes == NULL) {
        return tn_builder_fail(out, TENON_E_INVAL);
    }
    w.out = out;
    w.at = term.bytes;
    w.index = &index;
    w.has_index = false;
    w.depth = 0;
    begin_term(&w);
    while (w.depth > 0 && tenon_builder_error(out) == TENON_OK) {
        step(&w);
    }
    if (w.has_index) {
        tn_index_fini(&index);
    }
    return tenon_builder_error(out);
}

bool tn_leaves_levels(tenon_term term)
{
    return tn_fits_below(term, TN_LEVELS_AROUND_KEPT);
}
