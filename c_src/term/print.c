/* SPDX-License-Identifier: Apache-2.0 */
/* Prints terms as Elixir's inspect/2 does. Walks by pointers, with a stack of
 * its own, since a peer chooses how deep the term is. */
#include "term/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tenon/term.h>

#include "base/utf8.h"
#include "term/bytes.h"
#include "term/calendar.h"
#include "term/compare.h"
#include "term/index.h"
#include "term/number.h"
#include "term/spelling.h"
#include "term/tags.h"
#include "term/view.h"

struct out {
    char *text;
    size_t cap;           /* bytes that may be written, without the NUL */
    size_t kept;          /* bytes that were written, whole characters */
    size_t len;           /* length of the whole text */
    uint32_t digits_left; /* see put_integer */
    bool stops;           /* when the buffer is full */
};

/* Decimal digits take quadratic time: of larger integers, a term has as much in
 * decimal as one of TN_DECIMAL_MAX_BYTES takes, and the others in hex. */
#define CHEAP_INTEGER_BYTES 64
#define DIGITS_MAX (TN_DECIMAL_MAX_BYTES * TN_DECIMAL_MAX_BYTES)

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

/* Nothing that follows would be kept, nor counted. */
static bool is_done(const struct out *out)
{
    return out->stops && out->kept != out->len;
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
    while (n > 0 && !is_done(out)) {
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

static void put_atom(struct out *out, const struct tn_atom_view *view)
{
    uint8_t text[TENON_ATOM_MAX_BYTES];

    put_atom_text(out, text, tn_atom_utf8(view, text));
}

/* An atom before its value: `key: `. */
static void put_key(struct out *out, const uint8_t *key)
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

/* ---- numbers ---------------------------------------------------------- */

static void put_decimal(struct out *out, const struct tn_int_view *view)
{
    char text[TN_DECIMAL_TEXT_BYTES];

    put(out, text, tn_decimal_of_magnitude(view->bytes, view->len, text));
}

/* Linear, for integers whose decimal digits would take too long. */
static void put_hex_integer(struct out *out, const struct tn_int_view *view)
{
    static const char digits[] = "0123456789ABCDEF";

    put(out, "0x", 2);
    for (size_t i = view->len; i > 0 && !is_done(out); i--) {
        uint8_t byte = view->bytes[i - 1];
        bool first = i == view->len && byte < 16;
        const char two[] = { digits[byte >> 4], digits[byte & 15] };

        put(out, first ? two + 1 : two, first ? 1 : 2);
    }
}

static bool is_cheap_in_decimal(struct out *out, size_t len)
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

static void put_integer(struct out *out, const uint8_t *p)
{
    struct tn_int_view view;

    tn_int_view(p, &view);
    if (view.negative) {
        put(out, "-", 1);
    }
    if (view.len == 0) {
        put(out, "0", 1);
    } else if (is_cheap_in_decimal(out, view.len)) {
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
    for (size_t i = 0; i < view.len && !is_done(out); i++) {
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

static void put_node(struct out *out, const struct tn_atom_view *node)
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
static void put_function_name(struct out *out, const struct tn_atom_view *view)
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
    struct out *out;
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
        put(w->out, ", ", 2);
    }
    level->is_first = false;
}

static void print_term(struct walk *w);

static void begin_tuple(struct walk *w)
{
    bool is_small = w->at[0] == TN_SMALL_TUPLE;

    put(w->out, "{", 1);
    push(w, TUPLE, is_small ? w->at[1] : tn_get32(w->at + 1));
    w->at += is_small ? 2 : 5;
}

static void step_tuple(struct walk *w, struct level *level)
{
    if (level->left == 0) {
        put(w->out, "}", 1);
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

static const uint8_t *print_charlist(struct out *out, const uint8_t *p)
{
    struct tn_list_walk walk;
    const uint8_t *element;

    tn_list_begin(&walk, p);
    put_text(out, "~c\"");
    element = tn_list_element(&walk);
    while (element != NULL && !is_done(out)) {
        uint8_t c = element[1];

        tn_list_passed(&walk, element + 2);
        element = tn_list_element(&walk);
        put_escaped(out, c, element == NULL ? 0 : element[1]);
    }
    put(out, "\"", 1);
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

    put(w->out, "[", 1);
    push(w, LIST, 0)->is_keyword = is_keyword;
}

static void print_element(struct walk *w, struct level *level)
{
    separate(w, level);
    level->left--;
    if (level->is_string) {
        put_uint(w->out, *w->at++);
        return;
    }
    if (level->is_keyword) {
        put_key(w->out, w->at + 2);
        w->at = tn_skip(w->at + 2);
    }
    print_term(w);
}

static void close_list(struct walk *w)
{
    put(w->out, "]", 1);
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
        put(w->out, " | ", 3);
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
    bool is_alias;

    do {
        key = next_key(&keys);
    } while (key != NULL && !is_struct_key(key));
    if (key == NULL || !tn_atom_view(tn_skip(key), &view)) {
        return NULL;
    }
    /* An alias is ASCII, so that the encoding makes no difference. */
    alias_prefix(view.bytes, view.len, &is_alias);
    return is_alias ? tn_skip(key) : NULL;
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

    put(w->out, sigil, len);
    return len > 0;
}

static void put_module(struct out *out, const uint8_t *module)
{
    struct tn_atom_view view;

    if (module != NULL && tn_atom_view(module, &view)) {
        put_atom(out, &view);
    }
}

static void begin_map(struct walk *w)
{
    uint32_t count = tn_get32(w->at + 1);
    struct tn_index_entry *entry = NULL;

    if (count == 0) {
        put(w->out, "%{}", 3);
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
    put(w->out, "%", 1);
    put_module(w->out, module);
    put(w->out, "{", 1);
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
        put(w->out, "}", 1);
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
        put_key(w->out, key);
        w->at = tn_skip(key);
    } else {
        w->at = key;
        level->kind = MAP_VALUE;
    }
    print_term(w);
}

static void step_map_value(struct walk *w, struct level *level)
{
    put(w->out, " => ", 4);
    level->kind = MAP;
    print_term(w);
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
        print_scalar(w->out, (tenon_term){ w->at, 1 });
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

static void print(struct out *out, const uint8_t *p)
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
    while (w.depth > 0 && !is_done(out)) {
        step(&w);
    }
    if (w.has_index) {
        tn_index_fini(&index);
    }
}

static size_t print_into(tenon_term term, char *buf, size_t cap, bool stops)
{
    struct out out = {
        .text = buf,
        .cap = cap == 0 ? 0 : cap - 1,
        .digits_left = DIGITS_MAX,
        .stops = stops,
    };

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
