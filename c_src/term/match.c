/* SPDX-License-Identifier: Apache-2.0 */
/* Takes terms apart with patterns: tenon_match. Walks pattern and term side by
 * side, builds nothing but the keys of maps that are no plain text. */
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "base/utf8.h"
#include "term/build.h"
#include "term/calendar.h"
#include "term/format.h"
#include "term/pattern.h"
#include "term/tags.h"
#include "term/view.h"

struct matcher {
    struct tn_lexer lexer;
    va_list *args;
    uint32_t depth;
};

/* Matches the pattern that begins with the lexer's token, and reads the token
 * after it. */
static bool matches(struct matcher *m, tenon_term term);

static bool took(struct matcher *m, bool matched)
{
    if (matched) {
        tn_lex(&m->lexer);
    }
    return matched;
}

static bool take(struct matcher *m, enum tn_token token)
{
    return took(m, m->lexer.token == token);
}

/* ---- scalars ---------------------------------------------------------- */

static bool is_big_integer(const struct tn_number *number,
                           const struct tn_int_view *view)
{
    size_t cap = tn_number_cap(number);
    uint8_t *digits = malloc(cap);

    if (digits == NULL) {
        return false;
    }
    size_t len = tn_number_magnitude(number, digits, cap);
    bool same = view->negative == number->negative && view->len == len &&
                memcmp(view->bytes, digits, len) == 0;

    free(digits);
    return same;
}

/* True when the number as written is the integer. */
static bool is_integer(struct matcher *m, tenon_term term)
{
    const struct tn_number *number = &m->lexer.number;
    struct tn_int_view view;
    uint64_t magnitude = 0;

    if (!tn_int_view(term.bytes, &view)) {
        return false;
    }
    if (view.len > 8 || !number->is_small) {
        return !number->is_small && is_big_integer(number, &view);
    }
    for (size_t i = view.len; i > 0; i--) {
        magnitude = magnitude << 8 | view.bytes[i - 1];
    }
    return magnitude == number->small &&
           (view.negative == number->negative || magnitude == 0);
}

/* Not inlined, as others below: its buffer must not be in every frame of the
 * recursion. */
static __attribute__((noinline)) bool is_atom_text(const struct tn_text *text,
                                                   tenon_term term)
{
    struct tn_atom_view view;
    uint8_t utf8[TENON_ATOM_MAX_BYTES];

    if (!tn_atom_view(term.bytes, &view)) {
        return false;
    }
    if (!view.latin1) {
        return tn_text_is(text, TN_AS_ATOM, view.bytes, view.len);
    }
    return tn_text_is(text, TN_AS_ATOM, utf8, tn_atom_utf8(&view, utf8));
}

static bool is_string(struct matcher *m, tenon_term term)
{
    const void *bytes;
    size_t len;

    return tenon_term_binary(term, &bytes, &len) == TENON_OK &&
           tn_text_is(&m->lexer.text, TN_AS_BINARY, bytes, len);
}

static bool is_charlist(struct matcher *m, tenon_term term)
{
    struct tn_text text = m->lexer.text;
    struct tn_char c;
    tenon_cursor at;
    tenon_term element;
    uint64_t value;

    if (!tenon_term_is_proper_list(term)) {
        return false;
    }
    tenon_cursor_init(&at, term);
    while (tn_text_next(&text, &c)) {
        if (!tenon_cursor_next(&at, &element) ||
            tenon_term_uint64(element, &value) < 0 || value != c.value) {
            return false;
        }
    }
    return !tenon_cursor_next(&at, &element);
}

static bool is_real(struct matcher *m, tenon_term term)
{
    double value;

    /* Not ==, which takes 0.0 for -0.0. */
    return tenon_term_double(term, &value) == TENON_OK &&
           memcmp(&value, &m->lexer.real, sizeof value) == 0;
}

/* The creation is not part of a printed pid, so that any will do. */
static bool is_pid(struct matcher *m, tenon_term term)
{
    struct tn_id_view view;
    const tenon_pid *pid = &m->lexer.pid;

    return tn_pid_view(term, &view) && view.words[0] == pid->id &&
           view.words[1] == pid->serial &&
           tn_atom_view_is(&view.node, pid->node, strlen(pid->node));
}

static bool is_name(const struct tn_text *text, const struct tn_atom_view *view)
{
    uint8_t utf8[TENON_ATOM_MAX_BYTES];

    return tn_text_is(text, TN_AS_ATOM, utf8, tn_atom_utf8(view, utf8));
}

static bool is_export(struct matcher *m, tenon_term term)
{
    struct tn_fun_view view;

    return tn_fun_view(term.bytes, &view) && view.is_export &&
           view.arity == m->lexer.number.small &&
           is_name(&m->lexer.module, &view.module) &&
           is_name(&m->lexer.text, &view.function);
}

/* A date or time: built, and compared whole. */
static __attribute__((noinline)) bool is_sigil(struct matcher *m,
                                               tenon_term term)
{
    const struct tn_text *text = &m->lexer.text;
    tenon_builder builder;
    tenon_term built;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    bool same =
        tn_calendar_build(&builder, m->lexer.hole, (const char *)text->from,
                          (size_t)(text->end - text->from)) == TENON_OK &&
        tenon_builder_term(&builder, &built) == TENON_OK &&
        tenon_term_equal(term, built);

    tn_builder_fini(&builder);
    return same;
}

/* ---- holes ------------------------------------------------------------ */

static bool bytes_hole(struct matcher *m, tenon_term term)
{
    const void **bytes = va_arg(*m->args, const void **);
    size_t *len = va_arg(*m->args, size_t *);

    return tenon_term_binary(term, bytes, len) == TENON_OK;
}

static bool text_hole(struct matcher *m, tenon_term term)
{
    const char **text = va_arg(*m->args, const char **);
    size_t *len = va_arg(*m->args, size_t *);
    const void *bytes;
    size_t n;

    if (tenon_term_binary(term, &bytes, &n) < 0 ||
        !tn_utf8_valid(bytes, n, NULL)) {
        return false;
    }
    *text = bytes;
    *len = n;
    return true;
}

static bool term_hole(struct matcher *m, tenon_term term)
{
    tenon_term *out = va_arg(*m->args, tenon_term *);

    *out = term;
    return true;
}

static bool hole(struct matcher *m, tenon_term term)
{
    va_list *args = m->args;

    switch (m->lexer.hole) {
    case 'i':
        return tenon_term_int64(term, va_arg(*args, int64_t *)) == TENON_OK;
    case 'u':
        return tenon_term_uint64(term, va_arg(*args, uint64_t *)) == TENON_OK;
    case 'f':
        return tenon_term_double(term, va_arg(*args, double *)) == TENON_OK;
    case 'a':
        return tenon_term_atom(term, va_arg(*args, tenon_atom *)) == TENON_OK;
    case 's':
        return text_hole(m, term);
    case 'b':
        return bytes_hole(m, term);
    case 't':
        return term_hole(m, term);
    case 'n':
        return term_hole(m, term) &&
               tenon_term_type(term) == TENON_TYPE_INTEGER;
    case 'p':
        return tenon_term_pid(term, va_arg(*args, tenon_pid *)) == TENON_OK;
    default:
        return tenon_term_ref(term, va_arg(*args, tenon_ref *)) == TENON_OK;
    }
}

/* ---- lists and tuples ------------------------------------------------- */

/* {:key, value} for `key: value`. */
static __attribute__((noinline)) bool matches_keyword(struct matcher *m,
                                                      tenon_term term)
{
    tenon_term key;
    tenon_term value;

    if (tenon_term_type(term) != TENON_TYPE_TUPLE ||
        tenon_term_count(term) != 2 || tenon_tuple_get(term, 0, &key) < 0 ||
        tenon_tuple_get(term, 1, &value) < 0) {
        return false;
    }
    return took(m, is_atom_text(&m->lexer.text, key)) && matches(m, value);
}

static bool matches_element(struct matcher *m, tenon_term term, bool *keywords)
{
    if (m->lexer.token == TN_TOK_KEY) {
        *keywords = true;
        return matches_keyword(m, term);
    }
    return !*keywords && matches(m, term);
}

static bool matches_tuple(struct matcher *m, tenon_term term)
{
    tenon_cursor at;
    tenon_term element;

    if (tenon_term_type(term) != TENON_TYPE_TUPLE) {
        return false;
    }
    tenon_cursor_init(&at, term);
    tn_lex(&m->lexer);
    if (m->lexer.token != TN_TOK_CLOSE_TUPLE) {
        do {
            if (!tenon_cursor_next(&at, &element) || !matches(m, element)) {
                return false;
            }
        } while (take(m, TN_TOK_COMMA));
    }
    return !tenon_cursor_next(&at, &element) && take(m, TN_TOK_CLOSE_TUPLE);
}

static bool matches_rest(struct matcher *m, tenon_cursor *at);

/* Behind the bar. The rest of a list has bytes of its own only where the list
 * ends, so that what would take it as a term can do so there only. */
static bool matches_tail(struct matcher *m, tenon_cursor *at)
{
    tenon_term tail;

    if (m->lexer.token == TN_TOK_ANY) {
        return take(m, TN_TOK_ANY);
    }
    if (tenon_cursor_tail(at, &tail) == TENON_OK) {
        return matches(m, tail);
    }
    if (m->lexer.token != TN_TOK_OPEN_LIST || m->depth > TENON_TERM_MAX_DEPTH) {
        return false;
    }
    m->depth++;
    bool matched = matches_rest(m, at);

    m->depth--;
    return matched;
}

/* A list pattern from its bracket on, against what the cursor has left. */
static bool matches_rest(struct matcher *m, tenon_cursor *at)
{
    tenon_term element;
    tenon_term tail;
    bool keywords = false;

    tn_lex(&m->lexer);
    if (m->lexer.token != TN_TOK_CLOSE_LIST) {
        do {
            if (!tenon_cursor_next(at, &element) ||
                !matches_element(m, element, &keywords)) {
                return false;
            }
        } while (take(m, TN_TOK_COMMA));
        if (!keywords && take(m, TN_TOK_BAR)) {
            return matches_tail(m, at) && take(m, TN_TOK_CLOSE_LIST);
        }
    }
    return tenon_cursor_tail(at, &tail) == TENON_OK &&
           tail.bytes[0] == TN_NIL && take(m, TN_TOK_CLOSE_LIST);
}

static bool matches_list(struct matcher *m, tenon_term term)
{
    tenon_cursor at;

    if (tenon_term_type(term) != TENON_TYPE_LIST) {
        return false;
    }
    tenon_cursor_init(&at, term);
    return matches_rest(m, &at);
}

/* ---- maps ------------------------------------------------------------- */

static bool
find_text(struct matcher *m, tenon_term map, bool is_atom, tenon_term *value)
{
    tenon_cursor at;
    tenon_term key;

    tenon_cursor_init(&at, map);
    while (tenon_cursor_next_pair(&at, &key, value)) {
        if (is_atom ? is_atom_text(&m->lexer.text, key) : is_string(m, key)) {
            return true;
        }
    }
    return false;
}

/* Finds the value of a key that is an atom or a string, whose token is read
 * already, without building it; any other key is built first. */
static __attribute__((noinline)) bool
find_value(struct matcher *m, tenon_term map, tenon_term *value)
{
    bool is_atom = m->lexer.token == TN_TOK_ATOM;
    tenon_builder key;
    tenon_term term;

    if (is_atom || m->lexer.token == TN_TOK_STRING) {
        return took(m, find_text(m, map, is_atom, value));
    }
    tn_builder_init(&key, TENON_TERM_MAX_BYTES);
    bool found = tn_format_next(&key, &m->lexer) == TENON_OK &&
                 tenon_builder_term(&key, &term) == TENON_OK &&
                 tenon_map_get(map, term, value) == TENON_OK;

    tn_builder_fini(&key);
    return found;
}

static bool matches_pair(struct matcher *m, tenon_term map, bool *keywords)
{
    tenon_term value;

    if (m->lexer.token == TN_TOK_KEY) {
        *keywords = true;
        return took(m, find_text(m, map, true, &value)) && matches(m, value);
    }
    return !*keywords && find_value(m, map, &value) && take(m, TN_TOK_ARROW) &&
           matches(m, value);
}

static bool matches_pairs(struct matcher *m, tenon_term map)
{
    bool keywords = false;

    tn_lex(&m->lexer);
    if (m->lexer.token != TN_TOK_CLOSE_TUPLE) {
        do {
            if (!matches_pair(m, map, &keywords)) {
                return false;
            }
        } while (take(m, TN_TOK_COMMA));
    }
    return take(m, TN_TOK_CLOSE_TUPLE);
}

static bool matches_map(struct matcher *m, tenon_term term)
{
    return tenon_term_type(term) == TENON_TYPE_MAP && matches_pairs(m, term);
}

static bool matches_struct(struct matcher *m, tenon_term term)
{
    tenon_term module;

    return tenon_map_get_atom(term, "__struct__", &module) == TENON_OK &&
           is_atom_text(&m->lexer.text, module) && matches_pairs(m, term);
}

/* ---- bitstrings ------------------------------------------------------- */

static bool
matches_byte(struct matcher *m, const struct tn_bits_view *view, size_t i)
{
    const struct tn_number *number = &m->lexer.number;
    uint8_t used = i + 1 == view->len ? view->last_bits : 8;

    if (i >= view->len || m->lexer.token != TN_TOK_INTEGER ||
        number->negative || !number->is_small ||
        number->small != (uint64_t)(view->bytes[i] >> (8 - used))) {
        return false;
    }
    tn_lex(&m->lexer);
    uint64_t size = m->lexer.token == TN_TOK_SIZE ? number->small : 8;

    return size == used &&
           (m->lexer.token != TN_TOK_SIZE || take(m, TN_TOK_SIZE));
}

static __attribute__((noinline)) bool matches_bits(struct matcher *m,
                                                   tenon_term term)
{
    struct tn_bits_view view;
    size_t count = 0;

    if (!tn_bits_view(term.bytes, &view)) {
        return false;
    }
    tn_lex(&m->lexer);
    if (m->lexer.token != TN_TOK_CLOSE_BITS) {
        do {
            if (!matches_byte(m, &view, count++)) {
                return false;
            }
        } while (take(m, TN_TOK_COMMA));
    }
    return count == view.len && take(m, TN_TOK_CLOSE_BITS);
}

/* ---- terms ------------------------------------------------------------ */

static __attribute__((noinline)) bool matches_scalar(struct matcher *m,
                                                     tenon_term term)
{
    switch (m->lexer.token) {
    case TN_TOK_INTEGER:
        return is_integer(m, term);
    case TN_TOK_FLOAT:
        return is_real(m, term);
    case TN_TOK_ATOM:
        return is_atom_text(&m->lexer.text, term);
    case TN_TOK_STRING:
        return is_string(m, term);
    case TN_TOK_CHARLIST:
        return is_charlist(m, term);
    case TN_TOK_HOLE:
        return hole(m, term);
    case TN_TOK_ANY:
        return true;
    case TN_TOK_PID:
        return is_pid(m, term);
    case TN_TOK_SIGIL:
        return is_sigil(m, term);
    case TN_TOK_EXPORT:
        return is_export(m, term);
    default:
        return false;
    }
}

static bool nested(struct matcher *m, tenon_term term)
{
    switch (m->lexer.token) {
    case TN_TOK_OPEN_TUPLE:
        return matches_tuple(m, term);
    case TN_TOK_OPEN_LIST:
        return matches_list(m, term);
    case TN_TOK_OPEN_MAP:
        return matches_map(m, term);
    case TN_TOK_OPEN_STRUCT:
        return matches_struct(m, term);
    case TN_TOK_OPEN_BITS:
        return matches_bits(m, term);
    default:
        return took(m, matches_scalar(m, term));
    }
}

static bool matches(struct matcher *m, tenon_term term)
{
    /* Terms are not nested deeper, so that a deeper pattern is none of
     * theirs; only lists in the tails of lists could be. */
    if (m->depth > TENON_TERM_MAX_DEPTH) {
        return false;
    }
    m->depth++;
    bool matched = nested(m, term);

    m->depth--;
    return matched;
}

bool tn_match_va(tenon_term term, const char *pattern, va_list *args)
{
    struct matcher m = { .args = args };

    if (term.bytes == NULL || pattern == NULL) {
        return false;
    }
    tn_lexer_init(&m.lexer, pattern, strlen(pattern));
    tn_lex(&m.lexer);
    return matches(&m, term) && m.lexer.token == TN_TOK_END;
}

bool tenon_match(tenon_term term, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    bool matched = tn_match_va(term, pattern, &args);

    va_end(args);
    return matched;
}
