/* SPDX-License-Identifier: Apache-2.0 */
/* Prints atoms, numbers, binaries, identifiers and funs as Elixir does. */
#include "term/out.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "term/number.h"
#include "term/spelling.h"
#include "term/tags.h"
#include "term/view.h"

/* Decimal digits take quadratic time: of larger integers, a term has as much in
 * decimal as one of TN_DECIMAL_MAX_BYTES takes, and the others in hex. */
#define CHEAP_INTEGER_BYTES 64
#define DIGITS_MAX (TN_DECIMAL_MAX_BYTES * TN_DECIMAL_MAX_BYTES)

/* ---- output ----------------------------------------------------------- */

void tn_out_init(struct tn_out *out, char *text, size_t cap, bool stops)
{
    *out = (struct tn_out){
        .text = text,
        .cap = cap == 0 ? 0 : cap - 1,
        .digits_left = DIGITS_MAX,
        .stops = stops,
    };
}

void tn_out_put(struct tn_out *out, const char *text, size_t n)
{
    /* Once something did not fit, nothing more is kept. */
    if (out->kept == out->len && n > 0) {
        size_t room = out->cap - out->kept;
        size_t cut = (uint8_t)text[0] < 0x80 ? room : 0;
        size_t fits = n <= room ? n : cut;

        if (fits > 0) {
            memcpy(out->text + out->kept, text, fits);
            out->kept += fits;
        }
    }
    out->len += n;
}

bool tn_out_is_done(const struct tn_out *out)
{
    return out->stops && out->kept != out->len;
}

void tn_out_text(struct tn_out *out, const char *text)
{
    tn_out_put(out, text, strlen(text));
}

void tn_out_uint(struct tn_out *out, uint64_t value)
{
    char text[24];
    char *at = text + sizeof text;

    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    tn_out_put(out, at, (size_t)(text + sizeof text - at));
}

static void put_char(struct tn_out *out, uint32_t c)
{
    uint8_t bytes[4];

    tn_out_put(out, (const char *)bytes, tn_utf8_put(c, bytes));
}

/* The letter of \a, \b, ...; 0 for a character that has none. */
static char escape_letter(uint32_t c)
{
    static const char from[] = "\a\b\t\n\v\f\r\x1b\x7f\\";
    static const char to[] = "abtnvfred\\";
    const char *at = c > 0 && c < 0x80 ? strchr(from, (int)c) : NULL;

    return at == NULL ? 0 : to[at - from];
}

static void put_hex(struct tn_out *out, uint32_t c)
{
    char text[16];
    int n;

    if (c == 0xFEFF) {
        n = snprintf(text, sizeof text, "\\uFEFF");
    } else if (c == 0) {
        n = snprintf(text, sizeof text, "\\0");
    } else if (c < 0x100) {
        n = snprintf(text, sizeof text, "\\x%02X", (unsigned)c);
    } else {
        n = snprintf(text, sizeof text, "\\x{%X}", (unsigned)c);
    }
    tn_out_put(out, text, (size_t)n);
}

void tn_out_escaped(struct tn_out *out, uint32_t c, uint32_t after)
{
    char letter = escape_letter(c);

    if (letter != 0) {
        tn_out_put(out, (const char[]){ '\\', letter }, 2);
    } else if (c == '"' || (c == '#' && after == '{')) {
        tn_out_put(out, (const char[]){ '\\', (char)c }, 2);
    } else if (tn_is_printable(c) && c != 0xFEFF) {
        put_char(out, c);
    } else {
        put_hex(out, c);
    }
}

/* How many of the first bytes mean themselves in quotes and outside: put at
 * once, they cost a fraction of what they cost one by one. */
static size_t plain_bytes(const uint8_t *p, size_t n)
{
    size_t i = 0;

    while (i < n && p[i] >= ' ' && p[i] < 0x7F && p[i] != '"' && p[i] != '#' &&
           p[i] != '\\') {
        i++;
    }
    return i;
}

/* Text in double quotes; valid UTF-8. */
static void put_quoted(struct tn_out *out, const uint8_t *p, size_t n)
{
    tn_out_put(out, "\"", 1);
    while (n > 0 && !tn_out_is_done(out)) {
        uint32_t c = 0;
        size_t used = plain_bytes(p, n);

        if (used > 0) {
            tn_out_put(out, (const char *)p, used);
        } else {
            used = tn_utf8_get(p, n, &c);
            tn_out_escaped(out, c, n > used ? p[used] : 0);
        }
        p += used;
        n -= used;
    }
    tn_out_put(out, "\"", 1);
}

/* Text outside of quotes, such as a node's name: nothing in it may break the
 * line. Valid UTF-8. */
static void put_raw(struct tn_out *out, const uint8_t *p, size_t n)
{
    while (n > 0) {
        uint32_t c = 0;
        size_t used = plain_bytes(p, n);

        if (used > 0) {
            tn_out_put(out, (const char *)p, used);
            p += used;
            n -= used;
            continue;
        }
        used = tn_utf8_get(p, n, &c);
        if (tn_is_printable(c)) {
            put_char(out, c);
        } else {
            put_hex(out, c);
        }
        p += used;
        n -= used;
    }
}

/* ---- atoms ------------------------------------------------------------ */

static bool is_plain_atom(const uint8_t *p, size_t n)
{
    return n > 0 &&
           (tn_identifier_bytes(p, n) == n || tn_operator_bytes(p, n) == n);
}

/* Bytes of the prefix "Elixir." when the atom is printed as an alias; for the
 * atom Elixir itself 0 and *is_alias. */
static size_t alias_prefix(const uint8_t *p, size_t n, bool *is_alias)
{
    size_t prefix = 0;

    *is_alias = n == 6 && memcmp(p, "Elixir", 6) == 0;
    if (n > 7 && memcmp(p, "Elixir.", 7) == 0 &&
        tn_alias_bytes(p + 7, n - 7) == n - 7) {
        *is_alias = true;
        /* Elixir.Elixir.Foo keeps it, or it would read as Elixir.Foo. */
        bool twice = n >= 13 && memcmp(p + 7, "Elixir", 6) == 0 &&
                     (n == 13 || p[13] == '.');

        prefix = twice ? 0 : 7;
    }
    return prefix;
}

bool tn_out_is_alias(const struct tn_atom_view *view)
{
    bool is_alias;

    /* An alias is ASCII, so that the encoding makes no difference. */
    alias_prefix(view->bytes, view->len, &is_alias);
    return is_alias;
}

static bool is_word(const uint8_t *p, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(p, word, n) == 0;
}

static void put_atom_text(struct tn_out *out, const uint8_t *p, size_t n)
{
    bool is_alias;
    size_t prefix = alias_prefix(p, n, &is_alias);

    if (is_word(p, n, "nil") || is_word(p, n, "true") ||
        is_word(p, n, "false")) {
        tn_out_put(out, (const char *)p, n);
        return;
    }
    if (is_alias) {
        tn_out_put(out, (const char *)p + prefix, n - prefix);
        return;
    }
    tn_out_put(out, ":", 1);
    if (is_plain_atom(p, n)) {
        put_raw(out, p, n);
    } else {
        put_quoted(out, p, n);
    }
}

static void put_atom(struct tn_out *out, const struct tn_atom_view *view)
{
    uint8_t text[TENON_ATOM_MAX_BYTES];

    put_atom_text(out, text, tn_atom_utf8(view, text));
}

void tn_out_key(struct tn_out *out, const uint8_t *key)
{
    struct tn_atom_view view;
    uint8_t text[TENON_ATOM_MAX_BYTES];

    tn_atom_view(key, &view);
    size_t n = tn_atom_utf8(&view, text);

    if (is_plain_atom(text, n) && !is_word(text, n, "Elixir")) {
        put_raw(out, text, n);
    } else {
        put_quoted(out, text, n);
    }
    tn_out_put(out, ": ", 2);
}

/* ---- numbers ---------------------------------------------------------- */

static void put_decimal(struct tn_out *out, const struct tn_int_view *view)
{
    char text[TN_DECIMAL_TEXT_BYTES];

    if (view->len <= sizeof(uint64_t)) {
        uint64_t value = 0;

        for (size_t i = view->len; i > 0; i--) {
            value = value << 8 | view->bytes[i - 1];
        }
        tn_out_uint(out, value);
        return;
    }
    tn_out_put(out, text,
               tn_decimal_of_magnitude(view->bytes, view->len, text));
}

/* Linear, for integers whose decimal digits would take too long. */
static void put_hex_integer(struct tn_out *out, const struct tn_int_view *view)
{
    static const char digits[] = "0123456789ABCDEF";

    tn_out_put(out, "0x", 2);
    for (size_t i = view->len; i > 0 && !tn_out_is_done(out); i--) {
        uint8_t byte = view->bytes[i - 1];
        bool first = i == view->len && byte < 16;
        const char two[] = { digits[byte >> 4], digits[byte & 15] };

        tn_out_put(out, first ? two + 1 : two, first ? 1 : 2);
    }
}

static bool is_cheap_in_decimal(struct tn_out *out, size_t len)
{
    if (len <= CHEAP_INTEGER_BYTES) {
        return true;
    }
    if (len > TN_DECIMAL_MAX_BYTES || len * len > out->digits_left) {
        return false;
    }
    out->digits_left -= (uint32_t)(len * len);
    return true;
}

static void put_integer(struct tn_out *out, const uint8_t *p)
{
    struct tn_int_view view;

    tn_int_view(p, &view);
    if (view.negative) {
        tn_out_put(out, "-", 1);
    }
    if (view.len == 0) {
        tn_out_put(out, "0", 1);
    } else if (is_cheap_in_decimal(out, view.len)) {
        put_decimal(out, &view);
    } else {
        put_hex_integer(out, &view);
    }
}

static void put_double(struct tn_out *out, const uint8_t *p)
{
    char text[TN_DOUBLE_TEXT_BYTES];
    double value = 0;

    tn_double_at(p, &value);
    tn_out_put(out, text, tn_text_of_double(value, text));
}

/* ---- binaries --------------------------------------------------------- */

static bool is_printable_text(const uint8_t *p, size_t n)
{
    while (n > 0) {
        uint32_t c;
        size_t used = tn_utf8_get(p, n, &c);

        if (used == 0 || !(tn_is_printable(c) || escape_letter(c) != 0)) {
            return false;
        }
        p += used;
        n -= used;
    }
    return true;
}

static void put_bits(struct tn_out *out, const uint8_t *p)
{
    struct tn_bits_view view;

    tn_bits_view(p, &view);
    if (view.last_bits == 8 && is_printable_text(view.bytes, view.len)) {
        put_quoted(out, view.bytes, view.len);
        return;
    }
    tn_out_put(out, "<<", 2);
    for (size_t i = 0; i < view.len && !tn_out_is_done(out); i++) {
        bool is_part = i + 1 == view.len && view.last_bits != 8;

        if (i > 0) {
            tn_out_put(out, ", ", 2);
        }
        tn_out_uint(out, is_part
                             ? (uint64_t)view.bytes[i] >> (8 - view.last_bits)
                             : view.bytes[i]);
        if (is_part) {
            tn_out_text(out, "::size(");
            tn_out_uint(out, view.last_bits);
            tn_out_put(out, ")", 1);
        }
    }
    tn_out_put(out, ">>", 2);
}

/* ---- identifiers, funs ------------------------------------------------ */

static void put_node(struct tn_out *out, const struct tn_atom_view *node)
{
    uint8_t text[TENON_ATOM_MAX_BYTES];

    put_raw(out, text, tn_atom_utf8(node, text));
}

static void put_pid(struct tn_out *out, tenon_term term)
{
    struct tn_id_view view;

    tn_pid_view(term, &view);
    tn_out_text(out, "#PID<");
    put_node(out, &view.node);
    tn_out_put(out, ".", 1);
    tn_out_uint(out, view.words[0]);
    tn_out_put(out, ".", 1);
    tn_out_uint(out, view.words[1]);
    tn_out_put(out, ">", 1);
}

static void put_port(struct tn_out *out, tenon_term term)
{
    struct tn_id_view view;

    tn_port_view(term, &view);
    tn_out_text(out, "#Port<");
    put_node(out, &view.node);
    tn_out_put(out, ".", 1);
    tn_out_uint(out, (uint64_t)view.words[0] << 32 | view.words[1]);
    tn_out_put(out, ">", 1);
}

/* The last word first, as Elixir has it. */
static void put_ref(struct tn_out *out, tenon_term term)
{
    struct tn_id_view view;

    tn_ref_view(term, &view);
    tn_out_text(out, "#Reference<");
    put_node(out, &view.node);
    for (uint32_t i = view.word_count; i > 0; i--) {
        tn_out_put(out, ".", 1);
        tn_out_uint(out, view.words[i - 1]);
    }
    tn_out_put(out, ">", 1);
}

/* Operators that are atoms without quotes and yet no names of functions. */
static bool is_callable(const uint8_t *p, size_t n)
{
    static const char *const others[] = {
        "%", "->", ".", "..", "...", "{}", "%{}", "..//", "<<>>",
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (is_word(p, n, others[i])) {
            return false;
        }
    }
    if (tn_operator_bytes(p, n) == n && n > 0) {
        return true;
    }
    return is_plain_atom(p, n) && memchr(p, '@', n) == NULL &&
           !(p[0] >= 'A' && p[0] <= 'Z');
}

/* The name of a function behind a module's dot. */
static void put_function_name(struct tn_out *out,
                              const struct tn_atom_view *view)
{
    uint8_t text[TENON_ATOM_MAX_BYTES];
    size_t n = tn_atom_utf8(view, text);

    if (is_callable(text, n)) {
        put_raw(out, text, n);
    } else {
        put_quoted(out, text, n);
    }
}

static void put_fun(struct tn_out *out, const uint8_t *p)
{
    struct tn_fun_view view;

    tn_fun_view(p, &view);
    if (view.is_export) {
        tn_out_put(out, "&", 1);
        put_atom(out, &view.module);
        tn_out_put(out, ".", 1);
        put_function_name(out, &view.function);
        tn_out_put(out, "/", 1);
        tn_out_uint(out, view.arity);
        return;
    }
    tn_out_text(out, "#Function<");
    tn_out_uint(out, view.index);
    tn_out_put(out, ".", 1);
    tn_out_uint(out, view.old_uniq);
    tn_out_put(out, "/", 1);
    tn_out_uint(out, view.arity);
    tn_out_text(out, " in ");
    put_atom(out, &view.module);
    tn_out_put(out, ">", 1);
}

/* ---- all together ----------------------------------------------------- */

void tn_out_scalar(struct tn_out *out, tenon_term term)
{
    struct tn_atom_view view;

    switch (tenon_term_type(term)) {
    case TENON_TYPE_INTEGER:
        put_integer(out, term.bytes);
        break;
    case TENON_TYPE_FLOAT:
        put_double(out, term.bytes);
        break;
    case TENON_TYPE_ATOM:
        tn_atom_view(term.bytes, &view);
        put_atom(out, &view);
        break;
    case TENON_TYPE_REF:
        put_ref(out, term);
        break;
    case TENON_TYPE_FUN:
        put_fun(out, term.bytes);
        break;
    case TENON_TYPE_PORT:
        put_port(out, term);
        break;
    case TENON_TYPE_PID:
        put_pid(out, term);
        break;
    default:
        put_bits(out, term.bytes);
        break;
    }
}
