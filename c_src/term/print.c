/* SPDX-License-Identifier: Apache-2.0 */
/* Prints terms as Elixir's inspect/2 does. Walks by pointers, with a stack of
 * its own, since a peer chooses how deep the term is. */
#include "term/print.h"

#include <tenon/term.h>

#include "term/bytes.h"
#include "term/calendar.h"
#include "term/compare.h"
#include "term/index.h"
#include "term/out.h"
#include "term/tags.h"
#include "term/view.h"

/* ---- containers ------------------------------------------------------- */

/* A container of which some is printed. */
struct level {
    uint8_t kind;
    bool is_first;       /* nothing of it is printed yet */
    bool is_string;      /* LIST: what of it is being walked */
    bool is_keyword : 1; /* LIST */
    bool is_struct : 1;  /* MAP */
    bool has_atoms : 1;  /* MAP: its keys are printed as `key:` */
    uint32_t left;       /* elements or pairs that are to come */
    uint32_t at;         /* MAP: where it begins */
    union {
        uint32_t entry; /* MAP: in the index */
        uint32_t last;  /* MAP without memory for an index: the last key */
    };
};

enum kind { TUPLE, LIST, LIST_TAIL, MAP, MAP_VALUE, MAP_PRINTED };

struct walk {
    struct tn_out *out;
    const uint8_t *start;
    const uint8_t *at;
    struct tn_index *index; /* of the outermost map or keyword list */
    bool has_index;
    uint32_t indexed_at; /* how deep that is */
    uint32_t depth;
    struct level levels[TENON_TERM_MAX_DEPTH + 1];
};

static struct level *push(struct walk *w, enum kind kind, uint32_t left)
{
    struct level *level = &w->levels[w->depth++];

    *level = (struct level){
        .kind = (uint8_t)kind,
        .is_first = true,
        .left = left,
        .at = (uint32_t)(w->at - w->start),
    };
    return level;
}

static void pop(struct walk *w)
{
    w->depth--;
    if (w->has_index && w->depth == w->indexed_at) {
        tn_index_fini(w->index);
        w->has_index = false;
    }
}

/* The index of the outermost map or keyword list; false without memory. */
static bool index_outermost(struct walk *w)
{
    if (!w->has_index && tn_index_init(w->index, w->at) == TENON_OK) {
        w->has_index = true;
        w->indexed_at = w->depth;
    }
    return w->has_index;
}

static void separate(struct walk *w, struct level *level)
{
    if (!level->is_first) {
        tn_out_put(w->out, ", ", 2);
    }
    level->is_first = false;
}

static void print_term(struct walk *w);

static void begin_tuple(struct walk *w)
{
    bool is_small = w->at[0] == TN_SMALL_TUPLE;

    tn_out_put(w->out, "{", 1);
    push(w, TUPLE, is_small ? w->at[1] : tn_get32(w->at + 1));
    w->at += is_small ? 2 : 5;
}

static void step_tuple(struct walk *w, struct level *level)
{
    if (level->left == 0) {
        tn_out_put(w->out, "}", 1);
        pop(w);
        return;
    }
    separate(w, level);
    level->left--;
    print_term(w);
}

/* ---- lists ------------------------------------------------------------ */

static bool is_charlist_element(const uint8_t *p)
{
    uint8_t c = p[0] == TN_SMALL_INTEGER ? p[1] : 0;

    return (c >= 0x20 && c < 0x7F) || (c >= '\a' && c <= '\r') || c == 0x1B;
}

/* True for a proper list with elements, all of which are of a kind. */
static bool all_elements(const uint8_t *p, bool (*is_kind)(const uint8_t *p))
{
    struct tn_list_walk walk;
    const uint8_t *element;
    bool any = false;

    tn_list_begin(&walk, p);
    while ((element = tn_list_element(&walk)) != NULL) {
        if (!is_kind(element)) {
            return false;
        }
        tn_list_passed(&walk, tn_skip(element));
        any = true;
    }
    return any && tn_list_tail(&walk)[0] == TN_NIL;
}

static const uint8_t *print_charlist(struct tn_out *out, const uint8_t *p)
{
    struct tn_list_walk walk;
    const uint8_t *element;

    tn_list_begin(&walk, p);
    tn_out_text(out, "~c\"");
    element = tn_list_element(&walk);
    while (element != NULL && !tn_out_is_done(out)) {
        uint8_t c = element[1];

        tn_list_passed(&walk, element + 2);
        element = tn_list_element(&walk);
        tn_out_escaped(out, c, element == NULL ? 0 : element[1]);
    }
    tn_out_put(out, "\"", 1);
    return tn_list_end(&walk, tn_list_tail(&walk) + 1);
}

static bool is_keyword_list(struct walk *w)
{
    if (w->at[0] != TN_LIST || !tn_is_keyword_element(w->at + 5)) {
        return false;
    }
    if (!index_outermost(w)) {
        return all_elements(w->at, tn_is_keyword_element);
    }
    return tn_index_find(w->index, w->at)->is_keyword;
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

static void begin_list(struct walk *w)
{
    if (all_elements(w->at, is_charlist_element)) {
        w->at = print_charlist(w->out, w->at);
        return;
    }
    bool is_keyword = is_keyword_list(w);

    tn_out_put(w->out, "[", 1);
    push(w, LIST, 0)->is_keyword = is_keyword;
}

static void print_element(struct walk *w, struct level *level)
{
    separate(w, level);
    level->left--;
    if (level->is_string) {
        tn_out_uint(w->out, *w->at++);
        return;
    }
    if (level->is_keyword) {
        tn_out_key(w->out, w->at + 2);
        w->at = tn_skip(w->at + 2);
    }
    print_term(w);
}

static void close_list(struct walk *w)
{
    tn_out_put(w->out, "]", 1);
    pop(w);
}

static void step_list(struct walk *w, struct level *level)
{
    /* A list in the tail of a list is part of it. */
    while (level->left == 0 && !level->is_string && is_list_head(w->at)) {
        enter_list(w, level);
    }
    if (level->left > 0) {
        print_element(w, level);
    } else if (level->is_string) {
        close_list(w);
    } else if (w->at[0] == TN_NIL) {
        w->at++;
        close_list(w);
    } else {
        tn_out_put(w->out, " | ", 3);
        level->kind = LIST_TAIL;
        print_term(w);
    }
}

/* ---- maps ------------------------------------------------------------- */

/* The keys of a map as they stand, from the index where there is one. */
struct keys {
    const struct tn_index *index;
    const struct tn_index_pair *pair;
    const uint8_t *at; /* without an index */
    uint32_t left;
};

static struct keys keys_of(const struct walk *w,
                           const struct tn_index_entry *entry)
{
    return (struct keys){
        .index = w->index,
        .pair = entry == NULL ? NULL : tn_index_pairs(w->index, entry),
        .at = w->at + 5,
        .left = tn_get32(w->at + 1),
    };
}

static const uint8_t *next_key(struct keys *keys)
{
    if (keys->left == 0) {
        return NULL;
    }
    keys->left--;
    if (keys->pair != NULL) {
        return keys->index->start + (keys->pair++)->key;
    }
    const uint8_t *key = keys->at;

    keys->at = tn_skip(tn_skip(key));
    return key;
}

static bool keys_are_atoms(struct keys keys)
{
    bool any = keys.left > 0;

    for (const uint8_t *key; (key = next_key(&keys)) != NULL;) {
        if (!tn_is_key_atom(key)) {
            return false;
        }
    }
    return any;
}

static bool is_struct_key(const uint8_t *p)
{
    struct tn_atom_view view;

    return tn_atom_view(p, &view) && tn_atom_view_is(&view, "__struct__", 10);
}

/* The module of a struct, as a term; NULL for a map that is none. */
static const uint8_t *struct_module(struct keys keys)
{
    const uint8_t *key;
    struct tn_atom_view view;

    do {
        key = next_key(&keys);
    } while (key != NULL && !is_struct_key(key));
    if (key == NULL || !tn_atom_view(tn_skip(key), &view)) {
        return NULL;
    }
    return tn_out_is_alias(&view) ? tn_skip(key) : NULL;
}

/* More than any date or time has, so that what is looked up in the map is
 * found in constant time. */
#define SIGIL_MAX_BYTES 1024

static bool
print_sigil(struct walk *w, const uint8_t *module, const uint8_t *end)
{
    char sigil[TN_SIGIL_TEXT_BYTES];
    size_t len = module == NULL || end - w->at > SIGIL_MAX_BYTES
                     ? 0
                     : tn_calendar_sigil((tenon_term){ w->at, 1 }, sigil);

    tn_out_put(w->out, sigil, len);
    return len > 0;
}

static void begin_map(struct walk *w)
{
    uint32_t count = tn_get32(w->at + 1);
    struct tn_index_entry *entry = NULL;

    if (count == 0) {
        tn_out_put(w->out, "%{}", 3);
        w->at += 5;
        return;
    }
    if (index_outermost(w)) {
        entry = tn_index_find(w->index, w->at);
    }
    bool has_atoms = keys_are_atoms(keys_of(w, entry));
    const uint8_t *module = has_atoms ? struct_module(keys_of(w, entry)) : NULL;
    struct level *level = push(w, MAP, count);

    level->has_atoms = has_atoms;
    level->is_struct = module != NULL;
    level->last = 0;
    if (entry != NULL) {
        level->entry = (uint32_t)(entry - w->index->entries);
    }
    if (print_sigil(w, module,
                    entry == NULL ? tn_skip(w->at)
                                  : w->index->start + entry->end)) {
        level->kind = MAP_PRINTED;
        return;
    }
    if (entry != NULL) {
        tn_index_order(w->index, entry);
    }
    tn_out_put(w->out, "%", 1);
    if (module != NULL) {
        tn_out_scalar(w->out, (tenon_term){ module, 1 });
    }
    tn_out_put(w->out, "{", 1);
}

/* The next key in order. */
static const uint8_t *ordered_key(struct walk *w, struct level *level)
{
    const uint8_t *map = w->start + level->at;

    if (w->has_index) {
        const struct tn_index_pair *pairs =
            tn_index_pairs(w->index, &w->index->entries[level->entry]);

        return w->index->start + pairs[tn_get32(map + 1) - level->left].key;
    }
    const uint8_t *key =
        tn_search_key(map, level->last == 0 ? NULL : w->start + level->last);

    level->last = (uint32_t)(key - w->start);
    return key;
}

static void close_map(struct walk *w, const struct level *level)
{
    w->at = w->has_index ? w->index->start + w->index->entries[level->entry].end
                         : tn_skip(w->start + level->at);
    pop(w);
}

static void step_map(struct walk *w, struct level *level)
{
    if (level->left == 0) {
        tn_out_put(w->out, "}", 1);
        close_map(w, level);
        return;
    }
    const uint8_t *key = ordered_key(w, level);

    level->left--;
    if (level->is_struct && is_struct_key(key)) {
        return;
    }
    separate(w, level);
    if (level->has_atoms) {
        tn_out_key(w->out, key);
        w->at = tn_skip(key);
    } else {
        w->at = key;
        level->kind = MAP_VALUE;
    }
    print_term(w);
}

static void step_map_value(struct walk *w, struct level *level)
{
    tn_out_put(w->out, " => ", 4);
    level->kind = MAP;
    print_term(w);
}

/* ---- all together ----------------------------------------------------- */

/* Prints what stands at `at`, or begins to when it holds others. */
static void print_term(struct walk *w)
{
    switch (w->at[0]) {
    case TN_SMALL_TUPLE:
    case TN_LARGE_TUPLE:
        begin_tuple(w);
        break;
    case TN_NIL:
    case TN_STRING:
    case TN_LIST:
        begin_list(w);
        break;
    case TN_MAP:
        begin_map(w);
        break;
    default:
        tn_out_scalar(w->out, (tenon_term){ w->at, 1 });
        w->at = tn_skip(w->at);
        break;
    }
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
        close_list(w);
        break;
    case MAP:
        step_map(w, level);
        break;
    case MAP_VALUE:
        step_map_value(w, level);
        break;
    case MAP_PRINTED:
        close_map(w, level);
        break;
    }
}

static void print(struct tn_out *out, const uint8_t *p)
{
    struct tn_index index;
    struct walk w;

    w.out = out;
    w.start = p;
    w.at = p;
    w.index = &index;
    w.has_index = false;
    w.indexed_at = 0;
    w.depth = 0;
    print_term(&w);
    while (w.depth > 0 && !tn_out_is_done(out)) {
        step(&w);
    }
    if (w.has_index) {
        tn_index_fini(&index);
    }
}

static size_t print_into(tenon_term term, char *buf, size_t cap, bool stops)
{
    struct tn_out out;

    tn_out_init(&out, buf, cap, stops);
    if (term.bytes != NULL) {
        print(&out, term.bytes);
    }
    if (cap > 0) {
        buf[out.kept] = '\0';
    }
    return out.len;
}

size_t tenon_term_print(tenon_term term, char *buf, size_t cap)
{
    return print_into(term, buf, cap, false);
}

void tn_term_show(tenon_term term, char *buf, size_t cap)
{
    (void)print_into(term, buf, cap, true);
}
