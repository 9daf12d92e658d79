/* SPDX-License-Identifier: Apache-2.0 */
/* Recursive descent. A list's length stands before its elements, so a list is
 * read twice: first for nothing but its length. So are tuples and maps. */
#include "term/plain.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"

/* Longest text between quotes, and longest atom or number. */
#define TEXT_MAX_BYTES 4096u

struct reader {
    const char *at;
    const char *end;
    const char *begin;
    unsigned line; /* that of begin */
    tenon_error *err;
    char text[TEXT_MAX_BYTES + 1]; /* of the last quoted text or word */
    size_t text_len;
};

static enum tenon_err
read_term(struct reader *r, tenon_builder *out, unsigned depth);

static unsigned line_of(const struct reader *r)
{
    unsigned line = r->line;

    for (const char *p = r->begin; p < r->at; p++) {
        line += *p == '\n';
    }
    return line;
}

static enum tenon_err fail(struct reader *r, const char *expected)
{
    unsigned line = line_of(r);

    if (r->at == r->end) {
        return tn_error(r->err, TENON_E_TERM_SYNTAX,
                        "line %u: expected %s, got the end", line, expected);
    }
    return tn_error(r->err, TENON_E_TERM_SYNTAX,
                    "line %u: expected %s, got \"%c\"", line, expected,
                    (unsigned char)*r->at < ' ' ? '?' : *r->at);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end) {
        if (*r->at == '%') {
            while (r->at < r->end && *r->at != '\n') {
                r->at++;
            }
        } else if (strchr(" \t\r\n", *r->at) != NULL && *r->at != '\0') {
            r->at++;
        } else {
            return;
        }
    }
}

static bool take(struct reader *r, const char *token)
{
    size_t len = strlen(token);

    skip_space(r);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, token, len) != 0) {
        return false;
    }
    r->at += len;
    return true;
}

/* ---- words and quoted texts ---------------------------------------------- */

static bool keep(struct reader *r, char c)
{
    if (r->text_len == TEXT_MAX_BYTES || c == '\0') {
        return false;
    }
    r->text[r->text_len++] = c;
    r->text[r->text_len] = '\0';
    return true;
}

/* Behind a backslash. Characters by their number ("\x41", "\101", "\^A") are
 * not read; all that has no meaning of its own stands for itself. */
static enum tenon_err unescape(struct reader *r, char *c)
{
    static const char letters[] = "bdefnrstv";
    static const char meant[] = "\b\177\033\f\n\r \t\v";
    const char *letter = *r->at != '\0' ? strchr(letters, *r->at) : NULL;

    if (*r->at == 'x' || *r->at == '^' || (*r->at >= '0' && *r->at <= '7')) {
        return fail(r, "a character itself, not its number,");
    }
    *c = letter != NULL ? meant[letter - letters] : *r->at;
    r->at++;
    return TENON_OK;
}

/* Behind the opening quote. */
static enum tenon_err read_quoted(struct reader *r, char quote)
{
    r->text_len = 0;
    r->text[0] = '\0';
    while (r->at < r->end && *r->at != quote) {
        char c = *r->at++;

        if (c == '\\' && r->at < r->end) {
            enum tenon_err rc = unescape(r, &c);

            if (rc != TENON_OK) {
                return rc;
            }
        }
        if (!keep(r, c)) {
            return fail(r, "a quoted text of at most 4096 bytes without NUL");
        }
    }
    if (r->at == r->end) {
        return fail(r, "the closing quote");
    }
    r->at++;
    return TENON_OK;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '@';
}

static enum tenon_err read_word(struct reader *r)
{
    r->text_len = 0;
    while (r->at < r->end && is_word_char(*r->at)) {
        if (!keep(r, *r->at++)) {
            return fail(r, "a shorter word");
        }
    }
    return TENON_OK;
}

static enum tenon_err read_integer(struct reader *r, tenon_builder *out)
{
    char *end;

    r->text_len = 0;
    if (*r->at == '-') {
        keep(r, *r->at++);
    }
    if (r->at == r->end || *r->at < '0' || *r->at > '9') {
        return fail(r, "digits");
    }
    while (r->at < r->end && is_word_char(*r->at) && r->text_len < 20) {
        keep(r, *r->at++);
    }
    intmax_t value = strtoimax(r->text, &end, 10);

    if (*end != '\0' || r->text_len >= 19) {
        return fail(r, "an integer of at most 18 digits before this");
    }
    (void)tenon_build_int(out, value);
    return TENON_OK;
}

static enum tenon_err read_binary(struct reader *r, tenon_builder *out)
{
    enum tenon_err rc = TENON_OK;

    r->text_len = 0;
    if (take(r, "\"")) {
        rc = read_quoted(r, '"');
        (void)take(r, "/utf8");
    }
    if (rc != TENON_OK) {
        return rc;
    }
    if (!take(r, ">>")) {
        return fail(r, ">>");
    }
    (void)tenon_build_binary(out, r->text, r->text_len);
    return TENON_OK;
}

/* ---- terms --------------------------------------------------------------- */

enum many { LIST, TUPLE, MAP };

/* A pair of a map, or one term. */
static enum tenon_err read_element(struct reader *r,
                                   enum many what,
                                   tenon_builder *out,
                                   unsigned depth)
{
    enum tenon_err rc = read_term(r, out, depth);

    if (rc != TENON_OK || what != MAP) {
        return rc;
    }
    return take(r, "=>") ? read_term(r, out, depth) : fail(r, "=>");
}

/* Up to the closing token, which is taken; counts them. */
static enum tenon_err read_elements(struct reader *r,
                                    enum many what,
                                    tenon_builder *out,
                                    unsigned depth,
                                    size_t *count)
{
    const char *close = what == LIST ? "]" : "}";

    *count = 0;
    if (take(r, close)) {
        return TENON_OK;
    }
    do {
        enum tenon_err rc = read_element(r, what, out, depth);

        if (rc != TENON_OK) {
            return rc;
        }
        ++*count;
    } while (take(r, ","));
    return take(r, close) ? TENON_OK : fail(r, close);
}

static void build_many(enum many what, size_t count, tenon_builder *out)
{
    switch (what) {
    case LIST:
        (void)tenon_build_list(out, count);
        return;
    case TUPLE:
        (void)tenon_build_tuple(out, count);
        return;
    case MAP:
        (void)tenon_build_map(out, count);
        return;
    }
}

static enum tenon_err
read_many(struct reader *r, enum many what, tenon_builder *out, unsigned depth)
{
    const char *begin = r->at;
    size_t count;
    enum tenon_err rc = read_elements(r, what, NULL, depth + 1, &count);

    if (rc != TENON_OK || out == NULL) {
        return rc;
    }
    r->at = begin;
    build_many(what, count, out);
    rc = read_elements(r, what, out, depth + 1, &count);
    if (what == LIST) {
        (void)tenon_build_nil(out);
    }
    return rc;
}

static enum tenon_err read_text(struct reader *r, tenon_builder *out)
{
    if (take(r, "\"")) {
        enum tenon_err rc = read_quoted(r, '"');

        if (rc == TENON_OK) {
            (void)tenon_build_binary(out, r->text, r->text_len);
        }
        return rc;
    }
    bool is_quoted = take(r, "'");
    enum tenon_err rc = is_quoted ? read_quoted(r, '\'') : read_word(r);

    if (rc == TENON_OK) {
        (void)tenon_build_atom(out, r->text);
    }
    return rc;
}

static enum tenon_err
read_term(struct reader *r, tenon_builder *out, unsigned depth)
{
    if (depth > TN_PLAIN_DEPTH_MAX) {
        return tn_error(r->err, TENON_E_TERM_DEEP,
                        "expected a nesting of at most %u", TN_PLAIN_DEPTH_MAX);
    }
    if (take(r, "<<")) {
        return read_binary(r, out);
    }
    if (take(r, "[")) {
        return read_many(r, LIST, out, depth);
    }
    if (take(r, "{")) {
        return read_many(r, TUPLE, out, depth);
    }
    if (take(r, "#{")) {
        return read_many(r, MAP, out, depth);
    }
    char c = r->at < r->end ? *r->at : '\0';

    if ((c >= 'a' && c <= 'z') || c == '"' || c == '\'') {
        return read_text(r, out);
    }
    if ((c >= '0' && c <= '9') || c == '-') {
        return read_integer(r, out);
    }
    return fail(r, "an atom, integer, string, binary, list, tuple or "
                   "map");
}

/* The next term, and the white space behind it. */
static enum tenon_err
read_one(struct reader *r, bool has_dot, tenon_builder *out)
{
    enum tenon_err rc = read_term(r, out, 0);

    if (rc == TENON_OK && has_dot && !take(r, ".")) {
        rc = fail(r, "a full stop");
    }
    if (rc == TENON_OK && tenon_builder_error(out) != TENON_OK) {
        rc = tenon_builder_error(out);
        (void)tn_error(r->err, rc, "line %u: %s", line_of(r),
                       tenon_err_text(rc));
    }
    skip_space(r);
    return rc;
}

enum tenon_err tn_plain_read(const char *text,
                             size_t len,
                             bool has_dot,
                             tenon_builder *out,
                             tenon_error *err)
{
    struct reader r = {
        .at = text, .end = text + len, .begin = text, .line = 1, .err = err
    };
    enum tenon_err rc = read_one(&r, has_dot, out);

    return rc == TENON_OK && r.at != r.end ? fail(&r, "nothing more") : rc;
}

struct tn_plain tn_plain_begin(const char *text, size_t len)
{
    struct reader r = {
        .at = text, .end = text + len, .begin = text, .line = 1
    };

    skip_space(&r);
    return (struct tn_plain){ .at = r.at, .end = r.end, .line = line_of(&r) };
}

enum tenon_err
tn_plain_next(struct tn_plain *plain, tenon_builder *out, tenon_error *err)
{
    struct reader r = { .at = plain->at,
                        .end = plain->end,
                        .begin = plain->at,
                        .line = plain->line,
                        .err = err };
    enum tenon_err rc = read_one(&r, true, out);

    plain->at = r.at;
    plain->line = line_of(&r);
    return rc;
}
