/* SPDX-License-Identifier: Apache-2.0 */
/* Prints terms as Elixir's inspect/2 does. Walks by pointers; recursion is
 * bounded by the nesting that the scan allows. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tenon/term.h>

#include "base/utf8.h"
#include "term/bytes.h"
#include "term/calendar.h"
#include "term/compare.h"
#include "term/number.h"
#include "term/spelling.h"
#include "term/tags.h"
#include "term/view.h"

struct out {
    char *text;
    size_t cap;  /* bytes that may be written, without the NUL */
    size_t kept; /* bytes that were written, whole characters */
    size_t len;  /* length of the whole text */
};

/* Prints the term at `p`; returns what follows it. */
static const uint8_t *print(struct out *out, const uint8_t *p);

/* ---- output ----------------------------------------------------------- */

/* ASCII text of any length, or one other character. */
static void put(struct out *out, const char *text, size_t n)
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

static void put_text(struct out *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_uint(struct out *out, uint64_t value)
{
    char text[24];

    put(out, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, value));
}

static void put_char(struct out *out, uint32_t c)
{
    uint8_t bytes[4];

    put(out, (const char *)bytes, tn_utf8_put(c, bytes));
}

/* The letter of \a, \b, ...; 0 for a character that has none. */
static char escape_letter(uint32_t c)
{
    static const char from[] = "\a\b\t\n\v\f\r\x1b\x7f\\";
    static const char to[] = "abtnvfred\\";
    const char *at = c > 0 && c < 0x80 ? strchr(from, (int)c) : NULL;

    return at == NULL ? 0 : to[at - from];
}

static void put_hex(struct out *out, uint32_t c)
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
    put(out, text, (size_t)n);
}

/* One character between quotes; `after` is the one that follows. */
static void put_escaped(struct out *out, uint32_t c, uint32_t after)
{
    char letter = escape_letter(c);

    if (letter != 0) {
        put(out, (const char[]){ '\\', letter }, 2);
    } else if (c == '"' || (c == '#' && after == '{')) {
        put(out, (const char[]){ '\\', (char)c }, 2);
    } else if (tn_is_printable(c) && c != 0xFEFF) {
        put_char(out, c);
    } else {
        put_hex(out, c);
    }
}

/* Text in double quotes; valid UTF-8. */
static void put_quoted(struct out *out, const uint8_t *p, size_t n)
{
    put(out, "\"", 1);
    while (n > 0) {
        uint32_t c = 0;
        size_t used = tn_utf8_get(p, n, &c);

        put_escaped(out, c, n > used ? p[used] : 0);
        p += used;
        n -= used;
    }
    put(out, "\"", 1);
}

/* Text outside of quotes, such as a node's name: nothing in it may break the
 * line. Valid UTF-8. */
static void put_raw(struct out *out, const uint8_t *p, size_t n)
{
    while (n > 0) {
        uint32_t c = 0;
        size_t used = tn_utf8_get(p, n, &c);

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

static bool is_word(const uint8_t *p, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(p, word, n) == 0;
}

static void put_atom_text(struct out *out, const uint8_t *p, size_t n)
{
    bool is_alias;
    size_t prefix = alias_prefix(p, n, &is_alias);

    if (is_word(p, n, "nil") || is_word(p, n, "true") ||
        is_word(p, n, "false")) {
        put(out, (const char *)p, n);
        return;
    }
    if (is_alias) {
        put(out, (const char *)p + prefix, n - prefix);
        return;
    }
    put(out, ":", 1);
    if (is_plain_atom(p, n)) {
        put_raw(out, p, n);
    } else {
        put_quoted(out, p, n);
    }
}

/* Not inlined, as others below: its buffer must not be in every frame of the
 * recursion. */
static __attribute__((noinline)) void put_atom(struct out *out,
                                               const struct tn_atom_view *view)
{
    uint8_t text[TENON_ATOM_MAX_BYTES];

    put_atom_text(out, text, tn_atom_utf8(view, text));
}

/* An atom before its value: `key: `. */
static __attribute__((noinline)) void put_key(struct out *out,
                                              const uint8_t *key)
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
    put(out, ": ", 2);
}

/* True for an atom that may be written as a key: not one of a module. */
static bool is_key(const uint8_t *p)
{
    struct tn_atom_view view;

    return tn_atom_view(p, &view) &&
           !(view.len >= 7 && memcmp(view.bytes, "Elixir.", 7) == 0);
}

/* ---- numbers ---------------------------------------------------------- */

static __attribute__((noinline)) void
put_decimal(struct out *out, const struct tn_int_view *view)
{
    char text[TN_DECIMAL_TEXT_BYTES];

    put(out, text, tn_decimal_of_magnitude(view->bytes, view->len, text));
}

/* Linear, for integers whose decimal digits would take too long. */
static void put_hex_integer(struct out *out, const struct tn_int_view *view)
{
    static const char digits[] = "0123456789ABCDEF";

    put(out, "0x", 2);
    for (size_t i = view->len; i > 0; i--) {
        uint8_t byte = view->bytes[i - 1];
        bool first = i == view->len && byte < 16;
        const char two[] = { digits[byte >> 4], digits[byte & 15] };

        put(out, first ? two + 1 : two, first ? 1 : 2);
    }
}

static void put_integer(struct out *out, const uint8_t *p)
{
    struct tn_int_view view;

    tn_int_view(p, &view);
    if (view.negative) {
        put(out, "-", 1);
    }
    if (view.len == 0) {
        put(out, "0", 1);
    } else if (view.len <= TN_DECIMAL_MAX_BYTES) {
        put_decimal(out, &view);
    } else {
        put_hex_integer(out, &view);
    }
}

static void put_double(struct out *out, const uint8_t *p)
{
    char text[TN_DOUBLE_TEXT_BYTES];
    double value = 0;

    tn_double_at(p, &value);
    put(out, text, tn_text_of_double(value, text));
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

static void put_bits(struct out *out, const uint8_t *p)
{
    struct tn_bits_view view;

    tn_bits_view(p, &view);
    if (view.last_bits == 8 && is_printable_text(view.bytes, view.len)) {
        put_quoted(out, view.bytes, view.len);
        return;
    }
    put(out, "<<", 2);
    for (size_t i = 0; i < view.len; i++) {
        bool is_part = i + 1 == view.len && view.last_bits != 8;

        if (i > 0) {
            put(out, ", ", 2);
        }
        put_uint(out, is_part ? (uint64_t)view.bytes[i] >> (8 - view.last_bits)
                              : view.bytes[i]);
        if (is_part) {
            put_text(out, "::size(");
            put_uint(out, view.last_bits);
            put(out, ")", 1);
        }
    }
    put(out, ">>", 2);
}

/* ---- identifiers, funs ------------------------------------------------ */

static __attribute__((noinline)) void put_node(struct out *out,
                                               const struct tn_atom_view *node)
{
    uint8_t text[TENON_ATOM_MAX_BYTES];

    put_raw(out, text, tn_atom_utf8(node, text));
}

static void put_pid(struct out *out, tenon_term term)
{
    struct tn_id_view view;

    tn_pid_view(term, &view);
    put_text(out, "#PID<");
    put_node(out, &view.node);
    put(out, ".", 1);
    put_uint(out, view.words[0]);
    put(out, ".", 1);
    put_uint(out, view.words[1]);
    put(out, ">", 1);
}

static void put_port(struct out *out, tenon_term term)
{
    struct tn_id_view view;

    tn_port_view(term, &view);
    put_text(out, "#Port<");
    put_node(out, &view.node);
    put(out, ".", 1);
    put_uint(out, (uint64_t)view.words[0] << 32 | view.words[1]);
    put(out, ">", 1);
}

/* The last word first, as Elixir has it. */
static void put_ref(struct out *out, tenon_term term)
{
    struct tn_id_view view;

    tn_ref_view(term, &view);
    put_text(out, "#Reference<");
    put_node(out, &view.node);
    for (uint32_t i = view.word_count; i > 0; i--) {
        put(out, ".", 1);
        put_uint(out, view.words[i - 1]);
    }
    put(out, ">", 1);
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
static __attribute__((noinline)) void
put_function_name(struct out *out, const struct tn_atom_view *view)
{
    uint8_t text[TENON_ATOM_MAX_BYTES];
    size_t n = tn_atom_utf8(view, text);

    if (is_callable(text, n)) {
        put_raw(out, text, n);
    } else {
        put_quoted(out, text, n);
    }
}

static void put_fun(struct out *out, const uint8_t *p)
{
    struct tn_fun_view view;

    tn_fun_view(p, &view);
    if (view.is_export) {
        put(out, "&", 1);
        put_atom(out, &view.module);
        put(out, ".", 1);
        put_function_name(out, &view.function);
        put(out, "/", 1);
        put_uint(out, view.arity);
        return;
    }
    put_text(out, "#Function<");
    put_uint(out, view.index);
    put(out, ".", 1);
    put_uint(out, view.old_uniq);
    put(out, "/", 1);
    put_uint(out, view.arity);
    put_text(out, " in ");
    put_atom(out, &view.module);
    put(out, ">", 1);
}

/* ---- tuples and lists ------------------------------------------------- */

static const uint8_t *print_tuple(struct out *out, const uint8_t *p)
{
    uint32_t arity = p[0] == TN_SMALL_TUPLE ? p[1] : tn_get32(p + 1);

    p += p[0] == TN_SMALL_TUPLE ? 2 : 5;
    put(out, "{", 1);
    for (uint32_t i = 0; i < arity; i++) {
        if (i > 0) {
            put(out, ", ", 2);
        }
        p = print(out, p);
    }
    put(out, "}", 1);
    return p;
}

static bool is_charlist_element(const uint8_t *p)
{
    uint8_t c = p[0] == TN_SMALL_INTEGER ? p[1] : 0;

    return (c >= 0x20 && c < 0x7F) || (c >= '\a' && c <= '\r') || c == 0x1B;
}

static bool is_keyword_element(const uint8_t *p)
{
    return p[0] == TN_SMALL_TUPLE && p[1] == 2 && is_key(p + 2);
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

static const uint8_t *print_charlist(struct out *out, const uint8_t *p)
{
    struct tn_list_walk walk;
    const uint8_t *element;

    tn_list_begin(&walk, p);
    put_text(out, "~c\"");
    element = tn_list_element(&walk);
    while (element != NULL) {
        uint8_t c = element[1];

        tn_list_passed(&walk, element + 2);
        element = tn_list_element(&walk);
        put_escaped(out, c, element == NULL ? 0 : element[1]);
    }
    put(out, "\"", 1);
    return tn_list_end(&walk, tn_list_tail(&walk) + 1);
}

static const uint8_t *
print_element(struct out *out, const uint8_t *p, bool keyword)
{
    if (!keyword) {
        return print(out, p);
    }
    put_key(out, p + 2);
    return print(out, tn_skip(p + 2));
}

static const uint8_t *print_list(struct out *out, const uint8_t *p)
{
    struct tn_list_walk walk;
    const uint8_t *element;
    bool first = true;

    if (all_elements(p, is_charlist_element)) {
        return print_charlist(out, p);
    }
    bool keyword = all_elements(p, is_keyword_element);

    tn_list_begin(&walk, p);
    put(out, "[", 1);
    while ((element = tn_list_element(&walk)) != NULL) {
        if (!first) {
            put(out, ", ", 2);
        }
        first = false;
        tn_list_passed(&walk, print_element(out, element, keyword));
    }
    const uint8_t *tail = tn_list_tail(&walk);

    if (tail[0] == TN_NIL) {
        tail++;
    } else {
        put(out, " | ", 3);
        tail = print(out, tail);
    }
    put(out, "]", 1);
    return tn_list_end(&walk, tail);
}

/* ---- maps ------------------------------------------------------------- */

static bool keys_are_atoms(const uint8_t *map)
{
    uint32_t count = tn_get32(map + 1);
    const uint8_t *p = map + 5;

    for (uint32_t i = 0; i < count; i++) {
        if (!is_key(p)) {
            return false;
        }
        p = tn_skip(tn_skip(p));
    }
    return count > 0;
}

static bool is_struct_key(const uint8_t *p)
{
    struct tn_atom_view view;

    return tn_atom_view(p, &view) && tn_atom_view_is(&view, "__struct__", 10);
}

/* The module of a struct, as a term; NULL for a map that is none. */
static const uint8_t *struct_module(const uint8_t *map)
{
    tenon_term module;
    struct tn_atom_view view;
    tenon_term term = { map, 1 };
    bool is_alias;

    if (tenon_map_get_atom(term, "__struct__", &module) < 0 ||
        !tn_atom_view(module.bytes, &view)) {
        return NULL;
    }
    /* An alias is ASCII, so that the encoding makes no difference. */
    alias_prefix(view.bytes, view.len, &is_alias);
    return is_alias ? module.bytes : NULL;
}

static void print_pair(struct out *out, const uint8_t *key, bool atoms)
{
    if (atoms) {
        put_key(out, key);
    } else {
        print(out, key);
        put(out, " => ", 4);
    }
    print(out, tn_skip(key));
}

/* The keys in order, or as they stand. */
struct walk {
    bool ordered;
    const uint8_t *at;
    struct tn_keys keys;
};

static const uint8_t *next_key(struct walk *walk, uint32_t i)
{
    if (walk->ordered) {
        return tn_keys_at(&walk->keys, i);
    }
    const uint8_t *key = walk->at;

    walk->at = tn_skip(tn_skip(key));
    return key;
}

static void
print_pairs(struct out *out, const uint8_t *map, bool atoms, bool is_struct)
{
    uint32_t count = tn_get32(map + 1);
    struct walk walk;
    bool first = true;

    walk.ordered = atoms || !tn_map_is_tangled(map);
    walk.at = map + 5;
    if (walk.ordered) {
        tn_keys_init(&walk.keys, map);
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *key = next_key(&walk, i);

        if (is_struct && is_struct_key(key)) {
            continue;
        }
        if (!first) {
            put(out, ", ", 2);
        }
        first = false;
        print_pair(out, key, atoms);
    }
    if (walk.ordered) {
        tn_keys_fini(&walk.keys);
    }
}

static const uint8_t *print_map(struct out *out, const uint8_t *p)
{
    const uint8_t *end = tn_skip(p);
    bool atoms = keys_are_atoms(p);
    const uint8_t *module = atoms ? struct_module(p) : NULL;
    char sigil[TN_SIGIL_TEXT_BYTES];
    size_t sigil_len =
        module == NULL ? 0 : tn_calendar_sigil((tenon_term){ p, 1 }, sigil);

    if (sigil_len > 0) {
        put(out, sigil, sigil_len);
        return end;
    }
    put(out, "%", 1);
    if (module != NULL) {
        print(out, module);
    }
    put(out, "{", 1);
    print_pairs(out, p, atoms, module != NULL);
    put(out, "}", 1);
    return end;
}

/* ---- all together ----------------------------------------------------- */

static void print_scalar(struct out *out, tenon_term term)
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

static const uint8_t *print(struct out *out, const uint8_t *p)
{
    switch (p[0]) {
    case TN_SMALL_TUPLE:
    case TN_LARGE_TUPLE:
        return print_tuple(out, p);
    case TN_NIL:
    case TN_STRING:
    case TN_LIST:
        return print_list(out, p);
    case TN_MAP:
        return print_map(out, p);
    default:
        print_scalar(out, (tenon_term){ p, 1 });
        return tn_skip(p);
    }
}

size_t tenon_term_print(tenon_term term, char *buf, size_t cap)
{
    struct out out = { .text = buf, .cap = cap == 0 ? 0 : cap - 1 };

    if (term.bytes != NULL) {
        print(&out, term.bytes);
    }
    if (cap > 0) {
        buf[out.kept] = '\0';
    }
    return out.len;
}
