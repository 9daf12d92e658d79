/* SPDX-License-Identifier: Apache-2.0 */
/* The lexer of Elixir term syntax. */
#include "term/pattern.h"

#include <string.h>

#include "base/utf8.h"
#include "term/number.h"
#include "term/spelling.h"

static enum tn_token bad(struct tn_lexer *lexer, const char *expected)
{
    lexer->expected = expected;
    return TN_TOK_BAD;
}

static size_t left(const struct tn_lexer *lexer)
{
    return (size_t)(lexer->end - lexer->at);
}

/* The byte `i` places ahead; 0 past the end. */
static uint8_t peek(const struct tn_lexer *lexer, size_t i)
{
    return i < left(lexer) ? lexer->at[i] : 0;
}

static bool starts_with(const struct tn_lexer *lexer, const char *text)
{
    size_t n = strlen(text);

    return left(lexer) >= n && memcmp(lexer->at, text, n) == 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static int digit_value(uint8_t c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

/* ---- text ------------------------------------------------------------- */

static uint32_t plain_escape(uint8_t c)
{
    static const char from[] = "abdefnrstv0";
    static const char to[] = "\a\b\x7f\033\f\n\r \t\v\0";
    const char *at = c == '\0' ? NULL : strchr(from, c);

    return at == NULL ? c : (uint8_t)to[at - from];
}

/* Hex digits at `from`: between `least` and `most` of them. Returns how many,
 * 0 when there are fewer. */
static size_t hex(const uint8_t *from,
                  const uint8_t *end,
                  size_t least,
                  size_t most,
                  uint32_t *value)
{
    size_t n = 0;

    *value = 0;
    while (n < most && from + n < end && digit_value(from[n]) < 16) {
        *value = *value << 4 | (uint32_t)digit_value(from[n]);
        n++;
    }
    return n < least ? 0 : n;
}

/* Behind \x or \u: {H...} or exactly `fixed` digits. Returns the length, 0
 * when it is neither. */
static size_t hex_escape(const uint8_t *from,
                         const uint8_t *end,
                         size_t fixed,
                         struct tn_char *c)
{
    if (from < end && from[0] == '{') {
        size_t n = hex(from + 1, end, 1, 6, &c->value);
        uint8_t room[4];

        if (n == 0 || end - from <= (ptrdiff_t)n + 1 || from[1 + n] != '}' ||
            tn_utf8_put(c->value, room) == 0) {
            return 0;
        }
        c->is_byte = false;
        return n + 2;
    }
    c->is_byte = fixed == 2;
    return hex(from, end, fixed, fixed, &c->value);
}

/* One character at `from`, escaped or not. Returns its length in the pattern,
 * 0 when it is not valid. */
static size_t
one_char(const uint8_t *from, const uint8_t *end, struct tn_char *c)
{
    size_t n;
    uint8_t room[4];

    *c = (struct tn_char){ 0 };
    if (from[0] != '\\') {
        return tn_utf8_get(from, (size_t)(end - from), &c->value);
    }
    if (end - from < 2) {
        return 0;
    }
    switch (from[1]) {
    case 'x':
        n = hex_escape(from + 2, end, 2, c);
        return n == 0 ? 0 : n + 2;
    case 'u':
        n = hex_escape(from + 2, end, 4, c);
        return n == 0 || tn_utf8_put(c->value, room) == 0 ? 0 : n + 2;
    default:
        n = tn_utf8_get(from + 1, (size_t)(end - from - 1), &c->value);
        if (n == 1) {
            c->value = plain_escape(from[1]);
        }
        return n == 0 ? 0 : n + 1;
    }
}

bool tn_text_next(struct tn_text *text, struct tn_char *c)
{
    if (text->from == text->end) {
        return false;
    }
    /* The lexer has seen that every character is valid. */
    text->from += one_char(text->from, text->end, c);
    return true;
}

static size_t
char_bytes(const struct tn_char *c, enum tn_text_use use, uint8_t out[4])
{
    if (c->is_byte && use == TN_AS_BINARY) {
        out[0] = (uint8_t)c->value;
        return 1;
    }
    return tn_utf8_put(c->value, out);
}

static const char alias_prefix[] = "Elixir.";
#define ALIAS_PREFIX_BYTES (sizeof alias_prefix - 1)

static size_t put(uint8_t *out, size_t cap, size_t at, const void *p, size_t n)
{
    if (at < cap) {
        memcpy(out + at, p, n < cap - at ? n : cap - at);
    }
    return at + n;
}

size_t tn_text_bytes(const struct tn_text *text,
                     enum tn_text_use use,
                     uint8_t *out,
                     size_t cap)
{
    struct tn_text rest = *text;
    struct tn_char c;
    uint8_t bytes[4];
    size_t len = 0;

    if (text->is_alias && use == TN_AS_ATOM) {
        len = put(out, cap, 0, alias_prefix, ALIAS_PREFIX_BYTES);
    }
    if (!text->is_escaped) {
        return put(out, cap, len, text->from, (size_t)(text->end - text->from));
    }
    while (tn_text_next(&rest, &c)) {
        len = put(out, cap, len, bytes, char_bytes(&c, use, bytes));
    }
    return len;
}

bool tn_text_is(const struct tn_text *text,
                enum tn_text_use use,
                const uint8_t *bytes,
                size_t len)
{
    struct tn_text rest = *text;
    struct tn_char c;
    uint8_t one[4];

    if (text->is_alias && use == TN_AS_ATOM) {
        if (len < ALIAS_PREFIX_BYTES ||
            memcmp(bytes, alias_prefix, ALIAS_PREFIX_BYTES) != 0) {
            return false;
        }
        bytes += ALIAS_PREFIX_BYTES;
        len -= ALIAS_PREFIX_BYTES;
    }
    if (!text->is_escaped) {
        return (size_t)(text->end - text->from) == len &&
               memcmp(text->from, bytes, len) == 0;
    }
    while (tn_text_next(&rest, &c)) {
        size_t n = char_bytes(&c, use, one);

        if (n > len || memcmp(bytes, one, n) != 0) {
            return false;
        }
        bytes += n;
        len -= n;
    }
    return len == 0;
}

/* Reads up to the closing quote, the opening one being behind. True when the
 * text is whole and every character in it is valid. */
static bool quoted(struct tn_lexer *lexer, uint8_t quote, struct tn_text *text)
{
    struct tn_char c;

    *text = (struct tn_text){ .from = lexer->at };
    while (lexer->at < lexer->end) {
        if (lexer->at[0] == quote) {
            text->end = lexer->at++;
            return true;
        }
        if (lexer->at[0] == '#' && peek(lexer, 1) == '{') {
            return false;
        }
        text->is_escaped = text->is_escaped || lexer->at[0] == '\\';
        size_t n = one_char(lexer->at, lexer->end, &c);

        if (n == 0) {
            return false;
        }
        lexer->at += n;
    }
    return false;
}

/* ---- names ------------------------------------------------------------ */

/* Takes an identifier, such as `foo`, `foo_1?` or `Foo`; false when there is
 * none. */
static bool identifier(struct tn_lexer *lexer, struct tn_text *text)
{
    size_t n = tn_identifier_bytes(lexer->at, left(lexer));

    *text = (struct tn_text){ .from = lexer->at, .end = lexer->at + n };
    lexer->at += n;
    return n > 0;
}

static bool operator_name(struct tn_lexer *lexer, struct tn_text *text)
{
    size_t n = tn_operator_bytes(lexer->at, left(lexer));

    *text = (struct tn_text){ .from = lexer->at, .end = lexer->at + n };
    lexer->at += n;
    return n > 0;
}

/* `Foo.Bar`, of which the lexer stands at the first letter. */
static void alias(struct tn_lexer *lexer, struct tn_text *text)
{
    size_t n = tn_alias_bytes(lexer->at, left(lexer));

    *text = (struct tn_text){ .from = lexer->at, .end = lexer->at + n };
    lexer->at += n;
    text->is_alias = !(n == 6 && memcmp(text->from, "Elixir", 6) == 0) &&
                     !(n > 7 && memcmp(text->from, "Elixir.", 7) == 0);
}

/* An atom behind its colon: :name, :"any text", :+ */
static bool atom_name(struct tn_lexer *lexer, struct tn_text *text)
{
    if (peek(lexer, 0) == '"' || peek(lexer, 0) == '\'') {
        lexer->at++;
        return quoted(lexer, lexer->at[-1], text);
    }
    return identifier(lexer, text) || operator_name(lexer, text);
}

/* True when a key's colon stands `i` places ahead: with a space behind it (in
 * `%:mod` or `|:atom` the colon belongs to the atom). */
static bool is_key_colon(const struct tn_lexer *lexer, size_t i)
{
    uint8_t after = peek(lexer, i + 1);

    return peek(lexer, i) == ':' && is_space(after);
}

static bool take_key_colon(struct tn_lexer *lexer)
{
    if (!is_key_colon(lexer, 0)) {
        return false;
    }
    lexer->at++;
    return true;
}

/* An alias, or a key that begins with a capital letter. */
static enum tn_token capital_word(struct tn_lexer *lexer)
{
    struct tn_text word;

    if (identifier(lexer, &word) && take_key_colon(lexer)) {
        lexer->text = word;
        return TN_TOK_KEY;
    }
    lexer->at = lexer->from;
    alias(lexer, &lexer->text);
    return TN_TOK_ATOM;
}

static enum tn_token word(struct tn_lexer *lexer)
{
    if (!identifier(lexer, &lexer->text)) {
        return bad(lexer, "a term");
    }
    if (take_key_colon(lexer)) {
        return TN_TOK_KEY;
    }
    size_t n = (size_t)(lexer->text.end - lexer->text.from);

    if (n == 1 && lexer->text.from[0] == '_') {
        return TN_TOK_ANY;
    }
    if ((n == 3 && memcmp(lexer->text.from, "nil", 3) == 0) ||
        (n == 4 && memcmp(lexer->text.from, "true", 4) == 0) ||
        (n == 5 && memcmp(lexer->text.from, "false", 5) == 0)) {
        return TN_TOK_ATOM;
    }
    return bad(lexer, "a term (an atom begins with a colon)");
}

static enum tn_token string(struct tn_lexer *lexer)
{
    lexer->at++;
    if (!quoted(lexer, '"', &lexer->text)) {
        return bad(lexer, "a whole string in UTF-8 without interpolation");
    }
    return take_key_colon(lexer) ? TN_TOK_KEY : TN_TOK_STRING;
}

static enum tn_token charlist(struct tn_lexer *lexer)
{
    uint8_t quote = lexer->at[0];

    lexer->at++;
    if (!quoted(lexer, quote, &lexer->text)) {
        return bad(lexer, "a whole charlist in UTF-8 without interpolation");
    }
    return TN_TOK_CHARLIST;
}

/* ~U[2026-01-02 03:04:05Z] */
static enum tn_token sigil(struct tn_lexer *lexer)
{
    lexer->hole = (char)peek(lexer, 1);
    lexer->at += 3;
    const uint8_t *close = memchr(lexer->at, ']', left(lexer));

    if (close == NULL) {
        return bad(lexer, "a date or time in brackets");
    }
    lexer->text = (struct tn_text){ .from = lexer->at, .end = close };
    lexer->at = close + 1;
    return TN_TOK_SIGIL;
}

/* ~i, or ~c"text", or ~D[2026-01-02] */
static enum tn_token tilde(struct tn_lexer *lexer)
{
    char letter = (char)peek(lexer, 1);

    if (letter != '\0' && strchr("DTNU", letter) != NULL &&
        peek(lexer, 2) == '[') {
        return sigil(lexer);
    }

    if (letter == 'c' && (peek(lexer, 2) == '"' || peek(lexer, 2) == '\'')) {
        lexer->at += 2;
        return charlist(lexer);
    }
    if (letter == '\0' || strchr("iufasbtnpr", letter) == NULL) {
        return bad(lexer, "a hole: one of ~i ~u ~f ~a ~s ~b ~t ~n ~p ~r");
    }
    lexer->at += 2;
    lexer->hole = letter;
    return TN_TOK_HOLE;
}

/* ---- numbers ---------------------------------------------------------- */

/* Takes digits of a base, single underscores between them. */
static size_t digits(struct tn_lexer *lexer, int base)
{
    size_t count = 0;

    while (digit_value(peek(lexer, 0)) < base ||
           (count > 0 && peek(lexer, 0) == '_' &&
            digit_value(peek(lexer, 1)) < base)) {
        count += lexer->at[0] != '_';
        lexer->at++;
    }
    return count;
}

static void set_small(struct tn_number *number)
{
    uint64_t value = 0;

    number->is_small = true;
    for (const uint8_t *p = number->from; p < number->end; p++) {
        if (*p == '_') {
            continue;
        }
        uint64_t digit = (uint64_t)digit_value(*p);

        if (value > (UINT64_MAX - digit) / number->base) {
            number->is_small = false;
            return;
        }
        value = value * number->base + digit;
    }
    number->small = value;
}

static enum tn_token real(struct tn_lexer *lexer, const uint8_t *from)
{
    char text[64];
    size_t len = 0;

    lexer->at++;
    digits(lexer, 10);
    if (peek(lexer, 0) == 'e' || peek(lexer, 0) == 'E') {
        lexer->at++;
        lexer->at += peek(lexer, 0) == '-' || peek(lexer, 0) == '+';
        if (digits(lexer, 10) == 0) {
            return bad(lexer, "an exponent");
        }
    }
    for (; from < lexer->at; from++) {
        if (*from == '_') {
            continue;
        }
        if (len == sizeof text) {
            return bad(lexer, "a float of at most 64 characters");
        }
        text[len++] = (char)*from;
    }
    if (!tn_double_of_text(text, len, &lexer->real)) {
        return bad(lexer, "a finite float");
    }
    return TN_TOK_FLOAT;
}

static unsigned base_of(const struct tn_lexer *lexer)
{
    if (peek(lexer, 0) != '0') {
        return 10;
    }
    switch (peek(lexer, 1)) {
    case 'x':
        return 16;
    case 'o':
        return 8;
    case 'b':
        return 2;
    default:
        return 10;
    }
}

static enum tn_token number(struct tn_lexer *lexer)
{
    struct tn_number *n = &lexer->number;

    n->negative = lexer->at[0] == '-';
    lexer->at += n->negative;
    n->base = base_of(lexer);
    lexer->at += n->base == 10 ? 0 : 2;
    n->from = lexer->at;
    if (digits(lexer, (int)n->base) == 0) {
        return bad(lexer, "digits");
    }
    n->end = lexer->at;
    if (n->base == 10 && peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
        return real(lexer, lexer->from);
    }
    set_small(n);
    return TN_TOK_INTEGER;
}

size_t tn_number_cap(const struct tn_number *n)
{
    /* At most four bits for each digit. */
    return (size_t)(n->end - n->from) / 2 + 9;
}

size_t tn_number_magnitude(const struct tn_number *n, uint8_t *out, size_t cap)
{
    size_t len = 0;

    if (n->base != 16 && n->end - n->from > TN_DECIMAL_MAX_DIGITS) {
        return SIZE_MAX;
    }
    if (n->base == 16) {
        return tn_magnitude_of_hex(n->from, n->end, out, cap);
    }
    /* As many digits at a time as 32 bits hold. */
    uint32_t factor = 1;
    uint32_t part = 0;

    for (const uint8_t *p = n->from; p < n->end; p++) {
        if (*p == '_') {
            continue;
        }
        part = part * n->base + (uint32_t)digit_value(*p);
        factor *= n->base;
        if (factor > UINT32_MAX / 10 || p + 1 == n->end) {
            len = tn_magnitude_mul_add(out, len, cap, factor, part);
            factor = 1;
            part = 0;
        }
    }
    return len;
}

/* ---- pids, exports, sizes --------------------------------------------- */

/* A number of 32 bits in front of `stop`. */
static bool number32(struct tn_lexer *lexer, uint8_t stop, uint32_t *value)
{
    uint64_t v = 0;
    size_t count = 0;

    for (; is_digit(peek(lexer, 0)) && v <= UINT32_MAX; count++) {
        v = v * 10 + (uint64_t)(*lexer->at++ - '0');
    }
    if (count == 0 || v > UINT32_MAX || peek(lexer, 0) != stop) {
        return false;
    }
    lexer->at++;
    *value = (uint32_t)v;
    return true;
}

/* The last but one dot before the closing bracket ends the node's name. */
static const uint8_t *node_end(const uint8_t *from, const uint8_t *close)
{
    int dots = 0;

    for (const uint8_t *p = close; p > from; p--) {
        if (p[-1] == '.' && ++dots == 2) {
            return p - 1;
        }
    }
    return NULL;
}

/* A name that prints as it stands: what is escaped in print would read back as
 * another name. */
static bool is_node_name(const uint8_t *p, size_t n)
{
    uint32_t c;

    if (n == 0 || n > TENON_NODE_NAME_MAX_BYTES) {
        return false;
    }
    for (size_t at = 0; at < n;) {
        size_t used = tn_utf8_get(p + at, n - at, &c);

        if (used == 0 || !tn_is_printable(c)) {
            return false;
        }
        at += used;
    }
    return true;
}

/* #PID<name@host.1.2> */
static enum tn_token pid(struct tn_lexer *lexer)
{
    lexer->at += strlen("#PID<");
    const uint8_t *from = lexer->at;
    const uint8_t *close = memchr(from, '>', left(lexer));
    const uint8_t *dot = close == NULL ? NULL : node_end(from, close);
    size_t len = dot == NULL ? 0 : (size_t)(dot - from);

    if (!is_node_name(from, len)) {
        return bad(lexer, "a pid: #PID<name@host.id.serial>");
    }
    lexer->pid = (tenon_pid){ .creation = 0 };
    memcpy(lexer->pid.node, from, len);
    lexer->at = dot + 1;
    if (!number32(lexer, '.', &lexer->pid.id) ||
        !number32(lexer, '>', &lexer->pid.serial)) {
        return bad(lexer, "a pid: #PID<name@host.id.serial>");
    }
    return TN_TOK_PID;
}

static bool module_name(struct tn_lexer *lexer, struct tn_text *text)
{
    if (peek(lexer, 0) == ':') {
        lexer->at++;
        return atom_name(lexer, text);
    }
    if (peek(lexer, 0) < 'A' || peek(lexer, 0) > 'Z') {
        return false;
    }
    alias(lexer, text);
    return true;
}

/* &Mod.fun/2, &:mod.fun/2, &:"any text"."any text"/2 */
static enum tn_token export_fun(struct tn_lexer *lexer)
{
    const char *form = "an exported function: &Mod.fun/2";
    uint64_t arity = 0;

    lexer->at++;
    if (!module_name(lexer, &lexer->module) || peek(lexer, 0) != '.') {
        return bad(lexer, form);
    }
    lexer->at++;
    if (!atom_name(lexer, &lexer->text) || peek(lexer, 0) != '/' ||
        !is_digit(peek(lexer, 1))) {
        return bad(lexer, form);
    }
    for (lexer->at++; is_digit(peek(lexer, 0)) && arity < 256; lexer->at++) {
        arity = arity * 10 + (uint64_t)(lexer->at[0] - '0');
    }
    lexer->number = (struct tn_number){ .is_small = true, .small = arity };
    return arity < 256 ? TN_TOK_EXPORT : bad(lexer, "an arity of at most 255");
}

/* ::size(n), n from 1 to 8 */
static enum tn_token size(struct tn_lexer *lexer)
{
    uint8_t bits = peek(lexer, strlen("::size("));

    if (bits < '1' || bits > '8' || peek(lexer, strlen("::size(n")) != ')') {
        return bad(lexer, "::size(1) to ::size(8)");
    }
    lexer->at += strlen("::size(n)");
    lexer->number =
        (struct tn_number){ .is_small = true, .small = (uint64_t)(bits - '0') };
    return TN_TOK_SIZE;
}

/* ---- tokens ----------------------------------------------------------- */

static enum tn_token take(struct tn_lexer *lexer, size_t n, enum tn_token token)
{
    lexer->at += n;
    return token;
}

/* %{, %Mod{ or %:"a key": value */
static enum tn_token percent(struct tn_lexer *lexer)
{
    if (peek(lexer, 1) == '{') {
        return take(lexer, 2, TN_TOK_OPEN_MAP);
    }
    lexer->at++;
    if (!module_name(lexer, &lexer->text) || peek(lexer, 0) != '{') {
        return bad(lexer, "a map: %{ or %Mod{");
    }
    return take(lexer, 1, TN_TOK_OPEN_STRUCT);
}

static enum tn_token colon(struct tn_lexer *lexer)
{
    if (starts_with(lexer, "::size(")) {
        return size(lexer);
    }
    lexer->at++;
    return atom_name(lexer, &lexer->text) ? TN_TOK_ATOM : bad(lexer, "an atom");
}

/* True when an operator could end in front of a key's colon: nearly always it
 * cannot, and nothing is looked up. */
static bool key_colon_is_near(const struct tn_lexer *lexer)
{
    for (size_t i = 1; i <= TN_OPERATOR_MAX_BYTES; i++) {
        if (is_key_colon(lexer, i)) {
            return true;
        }
    }
    return false;
}

/* A key that is an operator, such as `+: 1`. */
static bool operator_key(struct tn_lexer *lexer)
{
    if (!key_colon_is_near(lexer)) {
        return false;
    }
    if (operator_name(lexer, &lexer->text) && take_key_colon(lexer)) {
        return true;
    }
    lexer->at = lexer->from;
    return false;
}

static enum tn_token punctuation(struct tn_lexer *lexer)
{
    switch (lexer->at[0]) {
    case '{':
        return take(lexer, 1, TN_TOK_OPEN_TUPLE);
    case '}':
        return take(lexer, 1, TN_TOK_CLOSE_TUPLE);
    case '[':
        return take(lexer, 1, TN_TOK_OPEN_LIST);
    case ']':
        return take(lexer, 1, TN_TOK_CLOSE_LIST);
    case ',':
        return take(lexer, 1, TN_TOK_COMMA);
    case '|':
        return take(lexer, 1, TN_TOK_BAR);
    case '%':
        return percent(lexer);
    case ':':
        return colon(lexer);
    case '&':
        return export_fun(lexer);
    default:
        break;
    }
    if (starts_with(lexer, "=>")) {
        return take(lexer, 2, TN_TOK_ARROW);
    }
    if (starts_with(lexer, "<<")) {
        return take(lexer, 2, TN_TOK_OPEN_BITS);
    }
    if (starts_with(lexer, ">>")) {
        return take(lexer, 2, TN_TOK_CLOSE_BITS);
    }
    if (starts_with(lexer, "#PID<")) {
        return pid(lexer);
    }
    return word(lexer);
}

static enum tn_token next(struct tn_lexer *lexer)
{
    uint8_t c = peek(lexer, 0);

    if (is_digit(c) || (c == '-' && is_digit(peek(lexer, 1)))) {
        return number(lexer);
    }
    if (c == '"') {
        return string(lexer);
    }
    if (c == '\'') {
        return charlist(lexer);
    }
    if (c >= 'A' && c <= 'Z') {
        return capital_word(lexer);
    }
    if (operator_key(lexer)) {
        return TN_TOK_KEY;
    }
    return c == '~' ? tilde(lexer) : punctuation(lexer);
}

void tn_lexer_init(struct tn_lexer *lexer, const char *text, size_t len)
{
    lexer->start = (const uint8_t *)text;
    lexer->at = lexer->start;
    lexer->end = lexer->start + len;
    lexer->from = lexer->start;
    lexer->token = TN_TOK_COMMA;
    lexer->expected = "a term";
}

enum tn_token tn_lex(struct tn_lexer *lexer)
{
    if (lexer->token == TN_TOK_END || lexer->token == TN_TOK_BAD) {
        return lexer->token;
    }
    while (is_space(peek(lexer, 0))) {
        lexer->at++;
    }
    lexer->from = lexer->at;
    lexer->token = left(lexer) == 0 ? TN_TOK_END : next(lexer);
    return lexer->token;
}

size_t tn_lexer_offset(const struct tn_lexer *lexer)
{
    return (size_t)(lexer->from - lexer->start);
}
