/* SPDX-License-Identifier: Apache-2.0 */
/* Builds terms from patterns: tenon_format, and the reading of text, which is
 * the same without holes. */
#include "term/format.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "term/build.h"
#include "term/bytes.h"
#include "term/calendar.h"
#include "term/compare.h"
#include "term/pattern.h"
#include "term/tags.h"

struct reader {
    struct tn_lexer lexer;
    tenon_builder *builder;
    va_list *args; /* NULL: no holes */
    tenon_error *err;
    uint32_t depth;
    uint32_t maps;     /* that are open */
    bool has_two_keys; /* one of those in the outermost one, or itself */
};

/* Reads the term that begins with the lexer's token, and the token after. */
static enum tenon_err term(struct reader *r);

static enum tenon_err syntax(struct reader *r, const char *expected)
{
    size_t rest = (size_t)(r->lexer.end - r->lexer.from);

    if (r->lexer.token == TN_TOK_BAD) {
        expected = r->lexer.expected;
    }
    tn_error(r->err, TENON_E_TERM_SYNTAX,
             "term text: expected %s, got %s%.*s%s at byte %zu", expected,
             rest == 0 ? "the end" : "\"", (int)(rest < 16 ? rest : 16),
             (const char *)r->lexer.from, rest == 0 ? "" : "\"",
             tn_lexer_offset(&r->lexer));
    return tn_builder_fail(r->builder, TENON_E_TERM_SYNTAX);
}

static enum tenon_err took(struct reader *r, enum tenon_err rc)
{
    if (rc == TENON_OK) {
        tn_lex(&r->lexer);
    }
    return rc;
}

/* ---- scalars ---------------------------------------------------------- */

static enum tenon_err big_integer(struct reader *r)
{
    const struct tn_number *number = &r->lexer.number;
    size_t cap = tn_number_cap(number);
    uint8_t *magnitude = malloc(cap);

    if (magnitude == NULL) {
        return tn_builder_fail(r->builder, TENON_E_NOMEM);
    }
    size_t len = tn_number_magnitude(number, magnitude, cap);
    enum tenon_err rc =
        len == SIZE_MAX
            ? syntax(r, "a decimal integer of at most 10000 digits")
            : tenon_build_integer(r->builder, number->negative, magnitude, len);

    free(magnitude);
    return rc;
}

static enum tenon_err integer(struct reader *r)
{
    const struct tn_number *number = &r->lexer.number;

    if (!number->is_small || (number->negative && number->small > INT64_MAX)) {
        return big_integer(r);
    }
    return number->negative
               ? tenon_build_int(r->builder, -(int64_t)number->small)
               : tenon_build_uint(r->builder, number->small);
}

/* Not inlined, as scalar() below: a kilobyte of name must not be in every
 * frame of the recursion. */
static __attribute__((noinline)) enum tenon_err atom(struct reader *r,
                                                     const struct tn_text *text)
{
    char name[TENON_ATOM_MAX_BYTES + 1];
    size_t len = tn_text_bytes(text, TN_AS_ATOM, (uint8_t *)name, sizeof name);

    /* Longer than `name` is too long for an atom as well. */
    return len <= TENON_ATOM_MAX_BYTES
               ? tn_build_atom(r->builder, name, len)
               : tn_builder_fail(r->builder, TENON_E_TERM_ATOM);
}

static enum tenon_err export_fun(struct reader *r)
{
    char module[TENON_ATOM_MAX_BYTES + 1];
    char function[TENON_ATOM_MAX_BYTES + 1];
    size_t module_len = tn_text_bytes(&r->lexer.module, TN_AS_ATOM,
                                      (uint8_t *)module, sizeof module);
    size_t function_len = tn_text_bytes(&r->lexer.text, TN_AS_ATOM,
                                        (uint8_t *)function, sizeof function);

    if (module_len > TENON_ATOM_MAX_BYTES ||
        function_len > TENON_ATOM_MAX_BYTES) {
        return tn_builder_fail(r->builder, TENON_E_TERM_ATOM);
    }
    return tn_build_export(r->builder, module, module_len, function,
                           function_len, (uint8_t)r->lexer.number.small);
}

static enum tenon_err string(struct reader *r)
{
    size_t len = tn_text_bytes(&r->lexer.text, TN_AS_BINARY, NULL, 0);
    uint8_t *p = tn_build_room(r->builder, 5 + len);

    if (p != NULL) {
        p[0] = TN_BINARY;
        tn_put32(p + 1, (uint32_t)len);
        tn_text_bytes(&r->lexer.text, TN_AS_BINARY, p + 5, len);
    }
    return tenon_builder_error(r->builder);
}

/* A list of small integers in the short form of BEAM. */
static enum tenon_err
byte_list(struct reader *r, struct tn_text text, size_t count)
{
    uint8_t *p = tn_build_room(r->builder, 3 + count);
    struct tn_char c;

    if (p != NULL) {
        *p++ = TN_STRING;
        tn_put16(p, (uint16_t)count);
        p += 2;
        while (tn_text_next(&text, &c)) {
            *p++ = (uint8_t)c.value;
        }
    }
    return tenon_builder_error(r->builder);
}

static enum tenon_err charlist(struct reader *r)
{
    struct tn_text text = r->lexer.text;
    struct tn_char c;
    size_t count = 0;
    bool bytes_only = true;

    while (tn_text_next(&text, &c)) {
        count++;
        bytes_only = bytes_only && c.value < 256;
    }
    if (count == 0) {
        return tenon_build_nil(r->builder);
    }
    if (bytes_only && count <= UINT16_MAX) {
        return byte_list(r, r->lexer.text, count);
    }
    tenon_build_list(r->builder, count);
    text = r->lexer.text;
    while (tn_text_next(&text, &c)) {
        tenon_build_uint(r->builder, c.value);
    }
    return tenon_build_nil(r->builder);
}

static enum tenon_err sigil(struct reader *r)
{
    const struct tn_text *text = &r->lexer.text;
    enum tenon_err rc =
        tn_calendar_build(r->builder, r->lexer.hole, (const char *)text->from,
                          (size_t)(text->end - text->from));

    return rc == TENON_E_TERM_SYNTAX
               ? syntax(r, "a date or time as Elixir prints it")
               : rc;
}

/* ---- holes ------------------------------------------------------------ */

static enum tenon_err big_hole(struct reader *r)
{
    int negative = va_arg(*r->args, int);
    const uint8_t *magnitude = va_arg(*r->args, const uint8_t *);
    size_t len = va_arg(*r->args, size_t);

    return tenon_build_integer(r->builder, negative != 0, magnitude, len);
}

static enum tenon_err binary_hole(struct reader *r)
{
    const void *bytes = va_arg(*r->args, const void *);
    size_t len = va_arg(*r->args, size_t);

    return tenon_build_binary(r->builder, bytes, len);
}

static enum tenon_err hole(struct reader *r)
{
    tenon_builder *b = r->builder;

    if (r->args == NULL) {
        return syntax(r, "a term without holes");
    }
    switch (r->lexer.hole) {
    case 'i':
        return tenon_build_int(b, va_arg(*r->args, int64_t));
    case 'u':
        return tenon_build_uint(b, va_arg(*r->args, uint64_t));
    case 'f':
        return tenon_build_double(b, va_arg(*r->args, double));
    case 'a':
        return tenon_build_atom(b, va_arg(*r->args, const char *));
    case 's':
        return tenon_build_string(b, va_arg(*r->args, const char *));
    case 'b':
        return binary_hole(r);
    case 't':
        return tenon_build_term(b, va_arg(*r->args, tenon_term));
    case 'n':
        return big_hole(r);
    case 'p':
        return tenon_build_pid(b, va_arg(*r->args, const tenon_pid *));
    default:
        return tenon_build_ref(b, va_arg(*r->args, const tenon_ref *));
    }
}

/* ---- containers ------------------------------------------------------- */

static enum tenon_err key(struct reader *r)
{
    return took(r, atom(r, &r->lexer.text));
}

/* key: value, as the pairs of a keyword list: {:key, value} */
static enum tenon_err keyword(struct reader *r)
{
    struct tn_unsized pair = tn_build_open_tuple(r->builder);
    enum tenon_err rc = key(r);

    if (rc == TENON_OK) {
        rc = term(r);
    }
    return rc < 0 ? rc : tn_build_close(r->builder, pair, 2);
}

/* One element of a list or tuple. From the first `key: value` on, only those
 * may follow. */
static enum tenon_err element(struct reader *r, bool *keywords)
{
    if (r->lexer.token == TN_TOK_KEY) {
        *keywords = true;
        return keyword(r);
    }
    return *keywords ? syntax(r, "key: value") : term(r);
}

/* True when a comma was taken, behind which another element must follow. */
static bool comma(struct reader *r)
{
    if (r->lexer.token != TN_TOK_COMMA) {
        return false;
    }
    tn_lex(&r->lexer);
    return true;
}

static enum tenon_err
closing(struct reader *r, enum tn_token token, const char *expected)
{
    if (r->lexer.token != token) {
        return syntax(r, expected);
    }
    tn_lex(&r->lexer);
    return TENON_OK;
}

static enum tenon_err tuple(struct reader *r)
{
    struct tn_unsized container = tn_build_open_tuple(r->builder);
    size_t count = 0;
    enum tenon_err rc = tenon_builder_error(r->builder);

    tn_lex(&r->lexer);
    if (rc == TENON_OK && r->lexer.token != TN_TOK_CLOSE_TUPLE) {
        do {
            rc = term(r);
            count++;
        } while (rc == TENON_OK && comma(r));
    }
    if (rc == TENON_OK) {
        rc = closing(r, TN_TOK_CLOSE_TUPLE, "\",\" or \"}\"");
    }
    return rc < 0 ? rc : tn_build_close(r->builder, container, count);
}

static enum tenon_err list_tail(struct reader *r, bool keywords)
{
    if (r->lexer.token == TN_TOK_BAR && !keywords) {
        tn_lex(&r->lexer);
        return term(r);
    }
    return tenon_build_nil(r->builder);
}

static enum tenon_err list(struct reader *r)
{
    size_t count = 0;
    bool keywords = false;
    enum tenon_err rc;

    tn_lex(&r->lexer);
    if (r->lexer.token == TN_TOK_CLOSE_LIST) {
        return took(r, tenon_build_nil(r->builder));
    }
    struct tn_unsized container = tn_build_open_list(r->builder);

    do {
        rc = element(r, &keywords);
        count++;
    } while (rc == TENON_OK && comma(r));
    if (rc == TENON_OK) {
        rc = list_tail(r, keywords);
    }
    if (rc == TENON_OK) {
        rc = closing(r, TN_TOK_CLOSE_LIST, "\",\", \"|\" or \"]\"");
    }
    return rc < 0 ? rc : tn_build_close(r->builder, container, count);
}

static enum tenon_err pair(struct reader *r, bool *keywords)
{
    enum tenon_err rc;

    if (r->lexer.token == TN_TOK_KEY) {
        *keywords = true;
        rc = key(r);
        return rc < 0 ? rc : term(r);
    }
    if (*keywords) {
        return syntax(r, "key: value");
    }
    rc = term(r);
    if (rc == TENON_OK) {
        rc = closing(r, TN_TOK_ARROW, "\"=>\"");
    }
    return rc < 0 ? rc : term(r);
}

/* The pairs up to the brace, of which `count` are there already. */
static enum tenon_err
pairs(struct reader *r, struct tn_unsized container, size_t count)
{
    bool keywords = false;
    enum tenon_err rc = tenon_builder_error(r->builder);

    r->maps++;
    if (rc == TENON_OK && r->lexer.token != TN_TOK_CLOSE_TUPLE) {
        do {
            rc = pair(r, &keywords);
            count++;
        } while (rc == TENON_OK && comma(r));
    }
    if (rc == TENON_OK) {
        rc = closing(r, TN_TOK_CLOSE_TUPLE, "\",\" or \"}\"");
    }
    if (rc == TENON_OK) {
        rc = tn_build_close(r->builder, container, count);
    }
    r->maps--;
    r->has_two_keys = r->has_two_keys || count > 1;
    /* BEAM closes the connection on a map in which a key stands twice. Asked
     * once for all maps in the outermost one. */
    if (rc == TENON_OK && r->maps == 0 && r->has_two_keys) {
        r->has_two_keys = false;
        rc = tn_check_keys(tn_built_at(r->builder, container));
        if (rc == TENON_E_TERM_SHAPE) {
            return syntax(r, "each key of a map once, before what follows");
        }
        if (rc < 0) {
            return tn_builder_fail(r->builder, rc);
        }
    }
    return rc;
}

static enum tenon_err map(struct reader *r)
{
    struct tn_unsized container = tn_build_open_map(r->builder);

    tn_lex(&r->lexer);
    return pairs(r, container, 0);
}

static __attribute__((noinline)) enum tenon_err structure(struct reader *r)
{
    struct tn_unsized container = tn_build_open_map(r->builder);

    tenon_build_atom(r->builder, "__struct__");
    enum tenon_err rc = atom(r, &r->lexer.text);

    tn_lex(&r->lexer);
    return rc < 0 ? rc : pairs(r, container, 1);
}

/* ---- bitstrings ------------------------------------------------------- */

/* Takes one byte, and the bits of the last one in `*bits`. */
static enum tenon_err
bits_element(struct reader *r, uint8_t *byte, uint8_t *bits)
{
    const struct tn_number *number = &r->lexer.number;

    if (r->lexer.token != TN_TOK_INTEGER || number->negative ||
        !number->is_small || number->small > 255) {
        return syntax(r, "a byte from 0 to 255");
    }
    *byte = (uint8_t)number->small;
    *bits = 8;
    tn_lex(&r->lexer);
    if (r->lexer.token == TN_TOK_SIZE) {
        *bits = (uint8_t)number->small;
        tn_lex(&r->lexer);
    }
    return TENON_OK;
}

/* <<1, 2, 5::size(3)>>: gathered in memory, since the tag depends on the last
 * element. */
static __attribute__((noinline)) enum tenon_err bits(struct reader *r)
{
    struct tn_buf bytes;
    uint8_t byte;
    uint8_t used = 8;
    enum tenon_err rc = TENON_OK;

    tn_buf_init(&bytes, TENON_TERM_MAX_BYTES);
    tn_lex(&r->lexer);
    if (r->lexer.token != TN_TOK_CLOSE_BITS) {
        do {
            rc = bits_element(r, &byte, &used);
            byte = (uint8_t)(byte << (8 - used));
            if (rc == TENON_OK && (rc = tn_buf_append(&bytes, &byte, 1)) < 0) {
                tn_builder_fail(r->builder, rc);
            }
        } while (rc == TENON_OK && used == 8 && comma(r));
    }
    if (rc == TENON_OK) {
        rc = closing(r, TN_TOK_CLOSE_BITS, "\",\" or \">>\"");
    }
    if (rc == TENON_OK) {
        rc = tn_build_bits(r->builder, bytes.bytes, bytes.len, used);
    }
    tn_buf_fini(&bytes);
    return rc;
}

/* ---- terms ------------------------------------------------------------ */

static __attribute__((noinline)) enum tenon_err scalar(struct reader *r)
{
    switch (r->lexer.token) {
    case TN_TOK_INTEGER:
        return integer(r);
    case TN_TOK_FLOAT:
        return tenon_build_double(r->builder, r->lexer.real);
    case TN_TOK_ATOM:
        return atom(r, &r->lexer.text);
    case TN_TOK_STRING:
        return string(r);
    case TN_TOK_CHARLIST:
        return charlist(r);
    case TN_TOK_HOLE:
        return hole(r);
    case TN_TOK_PID:
        return tenon_build_pid(r->builder, &r->lexer.pid);
    case TN_TOK_SIGIL:
        return sigil(r);
    case TN_TOK_EXPORT:
        return export_fun(r);
    default:
        return syntax(r, "a term");
    }
}

static enum tenon_err nested(struct reader *r)
{
    switch (r->lexer.token) {
    case TN_TOK_OPEN_TUPLE:
        return tuple(r);
    case TN_TOK_OPEN_LIST:
        return list(r);
    case TN_TOK_OPEN_MAP:
        return map(r);
    case TN_TOK_OPEN_STRUCT:
        return structure(r);
    case TN_TOK_OPEN_BITS:
        return bits(r);
    default:
        return took(r, scalar(r));
    }
}

static enum tenon_err term(struct reader *r)
{
    if (r->depth > TENON_TERM_MAX_DEPTH) {
        return tn_builder_fail(r->builder, TENON_E_TERM_DEEP);
    }
    r->depth++;
    enum tenon_err rc = nested(r);

    r->depth--;
    return rc;
}

static enum tenon_err whole(struct reader *r, const char *text, size_t len)
{
    tn_lexer_init(&r->lexer, text, len);
    r->depth = 0;
    tn_lex(&r->lexer);
    enum tenon_err rc = term(r);

    if (rc == TENON_OK && r->lexer.token != TN_TOK_END) {
        rc = syntax(r, "the end of the text");
    }
    return rc;
}

enum tenon_err tn_format_next(tenon_builder *builder, struct tn_lexer *lexer)
{
    struct reader r = { .lexer = *lexer, .builder = builder };
    enum tenon_err rc = term(&r);

    *lexer = r.lexer;
    return rc;
}

enum tenon_err
tn_format_va(tenon_builder *builder, const char *pattern, va_list *args)
{
    struct reader r = { .builder = builder, .args = args };

    if (builder == NULL || pattern == NULL) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    if (builder->error < 0) {
        return builder->error;
    }
    return whole(&r, pattern, strlen(pattern));
}

enum tenon_err tenon_format(tenon_builder *builder, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    enum tenon_err rc = tn_format_va(builder, pattern, &args);

    va_end(args);
    return rc;
}

enum tenon_err tenon_build_text(tenon_builder *builder,
                                const char *text,
                                size_t len,
                                tenon_error *err)
{
    struct reader r = { .builder = builder, .err = err };

    if (builder == NULL || text == NULL) {
        return tn_error(err, tn_builder_fail(builder, TENON_E_INVAL),
                        "term text: expected a builder and a text, got NULL");
    }
    if (builder->error < 0) {
        return tn_error(err, builder->error,
                        "term text: expected a builder that has not failed");
    }
    enum tenon_err rc = whole(&r, text, len);

    if (rc < 0 && rc != TENON_E_TERM_SYNTAX) {
        return tn_error(err, rc, "term text: %s at byte %zu",
                        tenon_err_text(rc), tn_lexer_offset(&r.lexer));
    }
    return rc;
}
