/* SPDX-License-Identifier: Apache-2.0 */
/* Reading scalars and identifiers of validated terms. Containers are read in
 * cursor.c. */
#include "term/view.h"

#include <string.h>

#include "base/utf8.h"
#include "term/bytes.h"
#include "term/number.h"
#include "term/tags.h"

/* ---- atoms ------------------------------------------------------------ */

bool tn_atom_view(const uint8_t *p, struct tn_atom_view *view)
{
    switch (p[0]) {
    case TN_SMALL_ATOM_UTF8:
        *view = (struct tn_atom_view){ p + 2, p[1], false };
        return true;
    case TN_ATOM_UTF8:
        *view = (struct tn_atom_view){ p + 3, tn_get16(p + 1), false };
        return true;
    case TN_ATOM:
        *view = (struct tn_atom_view){ p + 3, tn_get16(p + 1), true };
        return true;
    case TN_SMALL_ATOM:
        *view = (struct tn_atom_view){ p + 2, p[1], true };
        return true;
    default:
        return false;
    }
}

size_t tn_atom_utf8(const struct tn_atom_view *view, uint8_t *out)
{
    size_t len = 0;

    if (!view->latin1) {
        memcpy(out, view->bytes, view->len);
        return view->len;
    }
    for (size_t i = 0; i < view->len; i++) {
        len += tn_utf8_put(view->bytes[i], out + len);
    }
    return len;
}

static uint32_t next_character(const struct tn_atom_view *view, size_t *at)
{
    uint32_t c = view->bytes[*at];

    if (view->latin1) {
        *at += 1;
    } else {
        *at += tn_utf8_get(view->bytes + *at, view->len - *at, &c);
    }
    return c;
}

int tn_atom_view_compare(const struct tn_atom_view *a,
                         const struct tn_atom_view *b)
{
    size_t at_a = 0;
    size_t at_b = 0;

    if (a->latin1 == b->latin1) {
        /* UTF-8 sorts by bytes as its code points do. */
        size_t n = a->len < b->len ? a->len : b->len;
        int order = memcmp(a->bytes, b->bytes, n);

        return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
    }
    while (at_a < a->len && at_b < b->len) {
        uint32_t x = next_character(a, &at_a);
        uint32_t y = next_character(b, &at_b);

        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return (at_a < a->len) - (at_b < b->len);
}

bool tn_atom_view_is(const struct tn_atom_view *view,
                     const char *text,
                     size_t len)
{
    if (!view->latin1) {
        return view->len == len && memcmp(view->bytes, text, len) == 0;
    }
    struct tn_atom_view other = { (const uint8_t *)text, len, false };

    return tn_utf8_valid(other.bytes, len, NULL) &&
           tn_atom_view_compare(view, &other) == 0;
}

bool tn_term_atom_is(tenon_term term, const char *text, size_t len)
{
    struct tn_atom_view view;

    return term.bytes != NULL && tn_atom_view(term.bytes, &view) &&
           tn_atom_view_is(&view, text, len);
}

bool tenon_term_is_atom(tenon_term term, const char *text)
{
    return text != NULL && tn_term_atom_is(term, text, strlen(text));
}

enum tenon_err tenon_term_atom(tenon_term term, tenon_atom *atom)
{
    struct tn_atom_view view;

    if (term.bytes == NULL || !tn_atom_view(term.bytes, &view) ||
        memchr(view.bytes, '\0', view.len) != NULL) {
        return TENON_E_TERM_TYPE;
    }
    size_t len = tn_atom_utf8(&view, (uint8_t *)atom->text);

    atom->text[len] = '\0';
    return TENON_OK;
}

/* ---- types ------------------------------------------------------------ */

enum tenon_type tenon_term_type(tenon_term term)
{
    if (term.bytes == NULL) {
        return TENON_TYPE_NONE;
    }
    switch (term.bytes[0]) {
    case TN_SMALL_INTEGER:
    case TN_INTEGER:
    case TN_SMALL_BIG:
    case TN_LARGE_BIG:
        return TENON_TYPE_INTEGER;
    case TN_NEW_FLOAT:
    case TN_FLOAT:
        return TENON_TYPE_FLOAT;
    case TN_SMALL_ATOM_UTF8:
    case TN_ATOM_UTF8:
    case TN_ATOM:
    case TN_SMALL_ATOM:
        return TENON_TYPE_ATOM;
    case TN_NEWER_REF:
    case TN_NEW_REF:
        return TENON_TYPE_REF;
    case TN_NEW_FUN:
    case TN_EXPORT:
        return TENON_TYPE_FUN;
    case TN_PORT:
    case TN_NEW_PORT:
    case TN_V4_PORT:
        return TENON_TYPE_PORT;
    case TN_PID:
    case TN_NEW_PID:
        return TENON_TYPE_PID;
    case TN_SMALL_TUPLE:
    case TN_LARGE_TUPLE:
        return TENON_TYPE_TUPLE;
    case TN_MAP:
        return TENON_TYPE_MAP;
    case TN_NIL:
    case TN_STRING:
    case TN_LIST:
        return TENON_TYPE_LIST;
    case TN_BINARY:
        return TENON_TYPE_BINARY;
    case TN_BIT_BINARY:
        return term.bytes[5] % 8 == 0 ? TENON_TYPE_BINARY
                                      : TENON_TYPE_BITSTRING;
    default:
        return TENON_TYPE_NONE;
    }
}

/* ---- numbers ---------------------------------------------------------- */

static void small_int(struct tn_int_view *view, bool negative, uint32_t v)
{
    view->negative = negative;
    view->len = 0;
    view->bytes = view->small;
    for (; v != 0; v >>= 8) {
        view->small[view->len++] = (uint8_t)v;
    }
}

static void
big_int(struct tn_int_view *view, uint8_t sign, const uint8_t *bytes, size_t n)
{
    while (n > 0 && bytes[n - 1] == 0) {
        n--;
    }
    view->negative = sign != 0 && n > 0;
    view->bytes = bytes;
    view->len = n;
}

bool tn_int_view(const uint8_t *p, struct tn_int_view *view)
{
    switch (p[0]) {
    case TN_SMALL_INTEGER:
        small_int(view, false, p[1]);
        return true;
    case TN_INTEGER: {
        uint32_t v = tn_get32(p + 1);
        bool negative = (v >> 31) != 0;

        small_int(view, negative, negative ? 0u - v : v);
        return true;
    }
    case TN_SMALL_BIG:
        big_int(view, p[2], p + 3, p[1]);
        return true;
    case TN_LARGE_BIG:
        big_int(view, p[5], p + 6, tn_get32(p + 1));
        return true;
    default:
        return false;
    }
}

/* The magnitude as a number; false when it has more than 64 bits. */
static bool magnitude64(const struct tn_int_view *view, uint64_t *value)
{
    if (view->len > 8) {
        return false;
    }
    *value = 0;
    for (size_t i = view->len; i > 0; i--) {
        *value = *value << 8 | view->bytes[i - 1];
    }
    return true;
}

enum tenon_err tenon_term_int64(tenon_term term, int64_t *value)
{
    struct tn_int_view view;
    uint64_t magnitude;

    if (term.bytes == NULL) {
        return TENON_E_TERM_TYPE;
    }
    if (term.bytes[0] == TN_SMALL_INTEGER) {
        *value = term.bytes[1];
        return TENON_OK;
    }
    if (!tn_int_view(term.bytes, &view)) {
        return TENON_E_TERM_TYPE;
    }
    uint64_t limit = (uint64_t)INT64_MAX + (view.negative ? 1 : 0);

    if (!magnitude64(&view, &magnitude) || magnitude > limit) {
        return TENON_E_TERM_RANGE;
    }
    *value = (int64_t)(view.negative ? 0u - magnitude : magnitude);
    return TENON_OK;
}

enum tenon_err tenon_term_uint64(tenon_term term, uint64_t *value)
{
    struct tn_int_view view;
    uint64_t magnitude;

    if (term.bytes == NULL || !tn_int_view(term.bytes, &view)) {
        return TENON_E_TERM_TYPE;
    }
    if (view.negative || !magnitude64(&view, &magnitude)) {
        return TENON_E_TERM_RANGE;
    }
    *value = magnitude;
    return TENON_OK;
}

enum tenon_err tenon_term_integer(tenon_term term,
                                  bool *negative,
                                  uint8_t *magnitude,
                                  size_t cap,
                                  size_t *len)
{
    struct tn_int_view view;

    if (term.bytes == NULL || !tn_int_view(term.bytes, &view)) {
        return TENON_E_TERM_TYPE;
    }
    *len = view.len;
    if (view.len > cap) {
        return TENON_E_TERM_RANGE;
    }
    *negative = view.negative;
    if (view.len > 0) {
        memcpy(magnitude, view.bytes, view.len);
    }
    return TENON_OK;
}

bool tn_double_at(const uint8_t *p, double *value)
{
    if (p[0] == TN_NEW_FLOAT) {
        uint64_t bits = tn_get64(p + 1);

        memcpy(value, &bits, sizeof bits);
        return true;
    }
    return p[0] == TN_FLOAT && tn_float_ext_value(p + 1, value);
}

enum tenon_err tenon_term_double(tenon_term term, double *value)
{
    if (term.bytes == NULL || !tn_double_at(term.bytes, value)) {
        return TENON_E_TERM_TYPE;
    }
    return TENON_OK;
}

/* ---- binaries --------------------------------------------------------- */

bool tn_bits_view(const uint8_t *p, struct tn_bits_view *view)
{
    if (p[0] == TN_BINARY) {
        *view = (struct tn_bits_view){ p + 5, tn_get32(p + 1), 8 };
        return true;
    }
    if (p[0] == TN_BIT_BINARY) {
        uint8_t bits = p[5] == 0 ? 8 : p[5];

        *view = (struct tn_bits_view){ p + 6, tn_get32(p + 1), bits };
        return true;
    }
    return false;
}

enum tenon_err
tenon_term_binary(tenon_term term, const void **bytes, size_t *len)
{
    struct tn_bits_view view;

    if (term.bytes == NULL || !tn_bits_view(term.bytes, &view) ||
        view.last_bits != 8) {
        return TENON_E_TERM_TYPE;
    }
    *bytes = view.bytes;
    *len = view.len;
    return TENON_OK;
}

/* ---- pids, ports, references ------------------------------------------ */

/* Reads the node atom at `p`; returns what follows it. */
static const uint8_t *node_of(const uint8_t *p, struct tn_id_view *view)
{
    tn_atom_view(p, &view->node);
    return view->node.bytes + view->node.len;
}

static void set_words(struct tn_id_view *view, const uint8_t *p, uint32_t n)
{
    view->word_count = n;
    for (uint32_t i = 0; i < n; i++) {
        view->words[i] = tn_get32(p + (size_t)4 * i);
    }
}

bool tn_pid_view(tenon_term term, struct tn_id_view *view)
{
    if (term.bytes == NULL ||
        (term.bytes[0] != TN_NEW_PID && term.bytes[0] != TN_PID)) {
        return false;
    }
    const uint8_t *p = node_of(term.bytes + 1, view);

    set_words(view, p, 2);
    view->creation = term.bytes[0] == TN_NEW_PID ? tn_get32(p + 8) : p[8];
    return true;
}

bool tn_ref_view(tenon_term term, struct tn_id_view *view)
{
    if (term.bytes == NULL ||
        (term.bytes[0] != TN_NEWER_REF && term.bytes[0] != TN_NEW_REF)) {
        return false;
    }
    const uint8_t *p = node_of(term.bytes + 3, view);

    if (term.bytes[0] == TN_NEWER_REF) {
        view->creation = tn_get32(p);
        set_words(view, p + 4, tn_get16(term.bytes + 1));
    } else {
        view->creation = p[0];
        set_words(view, p + 1, tn_get16(term.bytes + 1));
    }
    return true;
}

bool tn_port_view(tenon_term term, struct tn_id_view *view)
{
    if (tenon_term_type(term) != TENON_TYPE_PORT) {
        return false;
    }
    const uint8_t *p = node_of(term.bytes + 1, view);

    view->word_count = 2;
    if (term.bytes[0] == TN_V4_PORT) {
        set_words(view, p, 2);
        view->creation = tn_get32(p + 8);
        return true;
    }
    view->words[0] = 0;
    view->words[1] = tn_get32(p);
    view->creation = term.bytes[0] == TN_NEW_PORT ? tn_get32(p + 4) : p[4];
    return true;
}

/* Node names of terms may be longer than any real node's: 255 characters. */
static enum tenon_err copy_node(const struct tn_atom_view *node, char *out)
{
    uint8_t text[TENON_ATOM_MAX_BYTES];
    size_t len = tn_atom_utf8(node, text);

    if (len > TENON_NODE_NAME_MAX_BYTES) {
        return TENON_E_TERM_RANGE;
    }
    if (memchr(text, '\0', len) != NULL) {
        return TENON_E_TERM_TYPE;
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return TENON_OK;
}

enum tenon_err tenon_term_pid(tenon_term term, tenon_pid *pid)
{
    struct tn_id_view view;

    if (!tn_pid_view(term, &view)) {
        return TENON_E_TERM_TYPE;
    }
    enum tenon_err rc = copy_node(&view.node, pid->node);

    if (rc == TENON_OK) {
        pid->id = view.words[0];
        pid->serial = view.words[1];
        pid->creation = view.creation;
    }
    return rc;
}

enum tenon_err tenon_term_ref(tenon_term term, tenon_ref *ref)
{
    struct tn_id_view view;

    if (!tn_ref_view(term, &view)) {
        return TENON_E_TERM_TYPE;
    }
    enum tenon_err rc = copy_node(&view.node, ref->node);

    if (rc == TENON_OK) {
        ref->creation = view.creation;
        ref->word_count = view.word_count;
        memset(ref->words, 0, sizeof ref->words);
        memcpy(ref->words, view.words, view.word_count * sizeof view.words[0]);
    }
    return rc;
}

/* ---- funs ------------------------------------------------------------- */

static uint32_t small_value(const uint8_t *p)
{
    return p[0] == TN_SMALL_INTEGER ? p[1] : tn_get32(p + 1);
}

static const uint8_t *after_small(const uint8_t *p)
{
    return p + (p[0] == TN_SMALL_INTEGER ? 2 : 5);
}

static void export_view(const uint8_t *p, struct tn_fun_view *view)
{
    tn_atom_view(p + 1, &view->module);
    tn_atom_view(view->module.bytes + view->module.len, &view->function);
    view->arity = small_value(view->function.bytes + view->function.len);
    view->is_export = true;
}

bool tn_fun_view(const uint8_t *p, struct tn_fun_view *view)
{
    *view = (struct tn_fun_view){ 0 };
    if (p[0] == TN_EXPORT) {
        export_view(p, view);
        return true;
    }
    if (p[0] != TN_NEW_FUN) {
        return false;
    }
    view->arity = p[5];
    view->uniq = p + 6;
    view->index = tn_get32(p + 22);
    view->free_count = tn_get32(p + 26);
    tn_atom_view(p + TN_FUN_HEAD_BYTES, &view->module);
    p = view->module.bytes + view->module.len;
    view->old_index = small_value(p);
    p = after_small(p);
    view->old_uniq = small_value(p);
    view->pid = after_small(p);
    view->free_terms = tn_skip(view->pid);
    return true;
}

tenon_term tn_term_copy_to(uint8_t **to, tenon_term term)
{
    if (term.bytes == NULL) {
        return term;
    }
    memcpy(*to, term.bytes, term.len);
    tenon_term copy = { *to, term.len };

    *to += term.len;
    return copy;
}
