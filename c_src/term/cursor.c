/* SPDX-License-Identifier: Apache-2.0 */
/* Walking validated terms: skipping, elements of containers, lookups. */
#include <string.h>

#include <tenon/term.h>

#include "term/bytes.h"
#include "term/tags.h"
#include "term/view.h"

/* The elements of a STRING_EXT, which has no terms of its own: their views
 * must outlive the cursor as those of any other list do. */
#define SMALL_1(n)                                                             \
    {                                                                          \
        TN_SMALL_INTEGER, (n)                                                  \
    }
#define SMALL_4(n)                                                             \
    SMALL_1(n), SMALL_1((n) + 1), SMALL_1((n) + 2), SMALL_1((n) + 3)
#define SMALL_16(n)                                                            \
    SMALL_4(n), SMALL_4((n) + 4), SMALL_4((n) + 8), SMALL_4((n) + 12)
#define SMALL_64(n)                                                            \
    SMALL_16(n), SMALL_16((n) + 16), SMALL_16((n) + 32), SMALL_16((n) + 48)
static const uint8_t small_integers[256][2] = { SMALL_64(0), SMALL_64(64),
                                                SMALL_64(128), SMALL_64(192) };

/* ---- skipping --------------------------------------------------------- */

static const uint8_t *after_atom(const uint8_t *p)
{
    switch (p[0]) {
    case TN_SMALL_ATOM_UTF8:
    case TN_SMALL_ATOM:
        return p + 2 + p[1];
    default:
        return p + 3 + tn_get16(p + 1);
    }
}

const uint8_t *tn_skip_head(const uint8_t *p, uint64_t *more)
{
    switch (p[0]) {
    case TN_SMALL_INTEGER:
        return p + 2;
    case TN_SMALL_ATOM_UTF8:
    case TN_SMALL_ATOM:
    case TN_ATOM_UTF8:
    case TN_ATOM:
        return after_atom(p);
    case TN_BINARY:
        return p + 5 + tn_get32(p + 1);
    case TN_NIL:
        return p + 1;
    case TN_SMALL_TUPLE:
        *more += p[1];
        return p + 2;
    case TN_LARGE_TUPLE:
        *more += tn_get32(p + 1);
        return p + 5;
    case TN_LIST:
        *more += (uint64_t)tn_get32(p + 1) + 1;
        return p + 5;
    case TN_MAP:
        *more += 2 * (uint64_t)tn_get32(p + 1);
        return p + 5;
    case TN_INTEGER:
        return p + 5;
    case TN_STRING:
        return p + 3 + tn_get16(p + 1);
    case TN_NEW_FLOAT:
        return p + 9;
    case TN_FLOAT:
        return p + 1 + TN_FLOAT_TEXT_BYTES;
    case TN_SMALL_BIG:
        return p + 3 + p[1];
    case TN_LARGE_BIG:
        return p + 6 + tn_get32(p + 1);
    case TN_BIT_BINARY:
        return p + 6 + tn_get32(p + 1);
    case TN_NEW_PID:
    case TN_V4_PORT:
        return after_atom(p + 1) + 12;
    case TN_PID:
        return after_atom(p + 1) + 9;
    case TN_NEW_PORT:
        return after_atom(p + 1) + 8;
    case TN_PORT:
        return after_atom(p + 1) + 5;
    case TN_NEWER_REF:
        return after_atom(p + 3) + 4 + (size_t)4 * tn_get16(p + 1);
    case TN_NEW_REF:
        return after_atom(p + 3) + 1 + (size_t)4 * tn_get16(p + 1);
    case TN_NEW_FUN:
        return p + 1 + tn_get32(p + 1);
    default: /* TN_EXPORT: validated bytes hold nothing else */
        p = after_atom(after_atom(p + 1));
        return p + (p[0] == TN_SMALL_INTEGER ? 2 : 5);
    }
}

const uint8_t *tn_skip(const uint8_t *p)
{
    uint64_t left = 1;

    while (left > 0) {
        left--;
        /* Half of all terms, as keys of maps are. */
        if (p[0] == TN_SMALL_ATOM_UTF8) {
            p += 2 + p[1];
        } else {
            p = tn_skip_head(p, &left);
        }
    }
    return p;
}

tenon_term tn_term_at(const uint8_t *p)
{
    return (tenon_term){ p, (size_t)(tn_skip(p) - p) };
}

/* ---- cursor ----------------------------------------------------------- */

enum {
    AT_NONE,
    AT_TUPLE,
    AT_MAP,
    AT_LIST,   /* `at` is at the tail when nothing is left */
    AT_STRING, /* bytes, then [] */
};

static const uint8_t nil[] = { TN_NIL };

static void
set_cursor(tenon_cursor *cursor, uint8_t kind, const uint8_t *at, size_t left)
{
    cursor->kind = kind;
    cursor->at = at;
    cursor->left = left;
}

static void enter(tenon_cursor *cursor, const uint8_t *p)
{
    switch (p[0]) {
    case TN_SMALL_TUPLE:
        set_cursor(cursor, AT_TUPLE, p + 2, p[1]);
        break;
    case TN_LARGE_TUPLE:
        set_cursor(cursor, AT_TUPLE, p + 5, tn_get32(p + 1));
        break;
    case TN_MAP:
        set_cursor(cursor, AT_MAP, p + 5, (size_t)2 * tn_get32(p + 1));
        break;
    case TN_LIST:
        set_cursor(cursor, AT_LIST, p + 5, tn_get32(p + 1));
        break;
    case TN_STRING:
        set_cursor(cursor, AT_STRING, p + 3, tn_get16(p + 1));
        break;
    case TN_NIL:
        set_cursor(cursor, AT_LIST, p, 0);
        break;
    default:
        set_cursor(cursor, AT_NONE, p, 0);
        break;
    }
}

void tenon_cursor_init(tenon_cursor *cursor, tenon_term term)
{
    *cursor = (tenon_cursor){ .kind = AT_NONE };
    if (term.bytes != NULL) {
        cursor->end = term.bytes + term.len;
        enter(cursor, term.bytes);
    }
}

/* A list may go on in the tail of a list (ei writes lists cell by cell when
 * their length is not known): enters it, so that callers see one list. */
static void follow_tail(tenon_cursor *cursor)
{
    while (cursor->left == 0 && cursor->kind == AT_LIST &&
           (cursor->at[0] == TN_LIST || cursor->at[0] == TN_STRING)) {
        enter(cursor, cursor->at);
    }
}

static tenon_term take(tenon_cursor *cursor)
{
    tenon_term element;

    cursor->left--;
    if (cursor->kind == AT_STRING) {
        return (tenon_term){ small_integers[*cursor->at++],
                             sizeof small_integers[0] };
    }
    element = tn_term_at(cursor->at);
    cursor->at += element.len;
    return element;
}

bool tenon_cursor_next(tenon_cursor *cursor, tenon_term *element)
{
    if (cursor->left == 0) {
        follow_tail(cursor);
        if (cursor->left == 0) {
            return false;
        }
    }
    *element = take(cursor);
    return true;
}

bool tenon_cursor_next_pair(tenon_cursor *cursor,
                            tenon_term *key,
                            tenon_term *value)
{
    if (cursor->kind != AT_MAP || cursor->left < 2) {
        return false;
    }
    *key = take(cursor);
    *value = take(cursor);
    return true;
}

enum tenon_err tenon_cursor_tail(tenon_cursor *cursor, tenon_term *tail)
{
    follow_tail(cursor);
    if (cursor->left > 0) {
        return TENON_E_TERM_TYPE;
    }
    switch (cursor->kind) {
    case AT_LIST:
        *tail = tn_term_at(cursor->at);
        return TENON_OK;
    case AT_STRING:
        *tail = (tenon_term){ nil, sizeof nil };
        return TENON_OK;
    default:
        return TENON_E_TERM_TYPE;
    }
}

/* ---- lists by pointers ------------------------------------------------ */

void tn_list_begin(struct tn_list_walk *walk, const uint8_t *p)
{
    walk->is_string = p[0] == TN_STRING;
    if (walk->is_string) {
        walk->left = tn_get16(p + 1);
        walk->at = p + 3;
    } else {
        walk->left = p[0] == TN_LIST ? tn_get32(p + 1) : 0;
        walk->at = p[0] == TN_LIST ? p + 5 : p;
    }
}

const uint8_t *tn_list_element(struct tn_list_walk *walk)
{
    while (walk->left == 0) {
        if (walk->is_string ||
            (walk->at[0] != TN_LIST && walk->at[0] != TN_STRING)) {
            return NULL;
        }
        tn_list_begin(walk, walk->at);
    }
    walk->left--;
    if (walk->is_string) {
        return small_integers[*walk->at++];
    }
    return walk->at;
}

const uint8_t *tn_list_tail(const struct tn_list_walk *walk)
{
    return walk->is_string ? nil : walk->at;
}

/* ---- lookups ---------------------------------------------------------- */

static size_t list_count(tenon_term list)
{
    tenon_cursor at;
    tenon_term element;
    size_t count = 0;

    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &element)) {
        count++;
    }
    return count;
}

size_t tenon_term_count(tenon_term term)
{
    if (term.bytes == NULL) {
        return 0;
    }
    switch (term.bytes[0]) {
    case TN_SMALL_TUPLE:
        return term.bytes[1];
    case TN_LARGE_TUPLE:
    case TN_MAP:
        return tn_get32(term.bytes + 1);
    case TN_STRING:
        return tn_get16(term.bytes + 1);
    case TN_LIST:
        return list_count(term);
    default:
        return 0;
    }
}

bool tn_tuple_begins_short(tenon_term tuple, unsigned max)
{
    tenon_cursor at;

    tenon_cursor_init(&at, tuple);
    if (at.kind != AT_TUPLE) {
        return false;
    }
    uint64_t left = at.left > 0 ? at.left - 1 : 0;

    while (left > 0 && left <= max) {
        max--;
        left--;
        at.at = tn_skip_head(at.at, &left);
    }
    return left == 0;
}

enum tenon_err
tenon_tuple_get(tenon_term tuple, size_t index, tenon_term *element)
{
    tenon_cursor at;

    tenon_cursor_init(&at, tuple);
    if (at.kind != AT_TUPLE) {
        return TENON_E_TERM_TYPE;
    }
    if (index >= at.left) {
        return TENON_E_NOT_FOUND;
    }
    for (size_t i = 0; i < index; i++) {
        at.at = tn_skip(at.at);
    }
    /* The last one ends where the tuple does: it is not read for its length,
     * which may be that of a large message. */
    *element =
        index + 1 == at.left
            ? (tenon_term){ at.at, (size_t)(tuple.bytes + tuple.len - at.at) }
            : tn_term_at(at.at);
    return TENON_OK;
}

/* Tells whether the key at `p` is the one that is looked for. */
typedef bool is_key_fn(const uint8_t *p, const void *wanted);

static enum tenon_err
find(tenon_term map, is_key_fn *is_key, const void *wanted, tenon_term *value)
{
    tenon_cursor at;

    tenon_cursor_init(&at, map);
    if (at.kind != AT_MAP) {
        return TENON_E_TERM_TYPE;
    }
    for (; at.left > 0; at.left -= 2) {
        const uint8_t *found = tn_skip(at.at);

        if (is_key(at.at, wanted)) {
            *value = tn_term_at(found);
            return TENON_OK;
        }
        at.at = tn_skip(found);
    }
    return TENON_E_NOT_FOUND;
}

struct text {
    const char *bytes;
    size_t len;
};

static bool is_atom_key(const uint8_t *p, const void *wanted)
{
    const struct text *text = wanted;
    struct tn_atom_view view;

    return tn_atom_view(p, &view) &&
           tn_atom_view_is(&view, text->bytes, text->len);
}

static bool is_binary_key(const uint8_t *p, const void *wanted)
{
    const struct text *text = wanted;
    struct tn_bits_view view;

    return tn_bits_view(p, &view) && view.last_bits == 8 &&
           view.len == text->len &&
           memcmp(view.bytes, text->bytes, text->len) == 0;
}

static bool is_term_key(const uint8_t *p, const void *wanted)
{
    return tenon_term_equal(tn_term_at(p), *(const tenon_term *)wanted);
}

enum tenon_err tenon_map_get(tenon_term map, tenon_term key, tenon_term *value)
{
    if (key.bytes == NULL) {
        return TENON_E_TERM_TYPE;
    }
    return find(map, is_term_key, &key, value);
}

enum tenon_err
tenon_map_get_atom(tenon_term map, const char *key, tenon_term *value)
{
    if (key == NULL) {
        return TENON_E_TERM_TYPE;
    }
    return find(map, is_atom_key, &(struct text){ key, strlen(key) }, value);
}

enum tenon_err
tenon_map_get_binary(tenon_term map, const char *key, tenon_term *value)
{
    if (key == NULL) {
        return TENON_E_TERM_TYPE;
    }
    return find(map, is_binary_key, &(struct text){ key, strlen(key) }, value);
}

bool tn_list_length(tenon_term list, size_t *length)
{
    tenon_cursor at;
    size_t count = 0;

    if (tenon_term_type(list) != TENON_TYPE_LIST) {
        return false;
    }
    tenon_cursor_init(&at, list);
    for (follow_tail(&at); at.left > 0; follow_tail(&at)) {
        count += at.left;
        if (at.kind == AT_STRING) {
            at.left = 0;
        }
        for (; at.left > 0; at.left--) {
            at.at = tn_skip(at.at);
        }
    }
    *length = count;
    return at.kind == AT_STRING || at.at[0] == TN_NIL;
}

bool tenon_term_is_proper_list(tenon_term term)
{
    size_t length;

    return tn_list_length(term, &length);
}
