/* SPDX-License-Identifier: Apache-2.0 */
/* The lexer that tenon_format, tenon_match and the reading of text share:
 * Elixir term syntax with ~ holes, token by token. Knows no grammar. */
#ifndef TN_TERM_PATTERN_H
#define TN_TERM_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/term.h>

enum tn_token {
    TN_TOK_END,
    TN_TOK_INTEGER,  /* number */
    TN_TOK_FLOAT,    /* real */
    TN_TOK_ATOM,     /* text */
    TN_TOK_STRING,   /* text, in double quotes */
    TN_TOK_CHARLIST, /* text */
    TN_TOK_KEY,      /* text: an atom before a value, as in `key: value` */
    TN_TOK_HOLE,     /* hole: the letter */
    TN_TOK_ANY,      /* _ */
    TN_TOK_PID,      /* pid */
    TN_TOK_SIGIL,    /* hole: the letter; text: what the brackets hold */
    TN_TOK_EXPORT,   /* module, text, number.small: &Mod.fun/2 */
    TN_TOK_OPEN_TUPLE,
    TN_TOK_CLOSE_TUPLE,
    TN_TOK_OPEN_LIST,
    TN_TOK_CLOSE_LIST,
    TN_TOK_OPEN_MAP,
    TN_TOK_OPEN_STRUCT, /* text: the module */
    TN_TOK_OPEN_BITS,
    TN_TOK_CLOSE_BITS,
    TN_TOK_COMMA,
    TN_TOK_BAR,
    TN_TOK_ARROW, /* => */
    TN_TOK_SIZE,  /* number.small: ::size(n) */
    TN_TOK_BAD,   /* expected: what should have been there */
};

/* Text as it stands in the pattern. */
struct tn_text {
    const uint8_t *from;
    const uint8_t *end;
    bool is_alias;   /* "Elixir." belongs in front */
    bool is_escaped; /* holds backslashes */
};

/* What one step of reading a text gives. */
struct tn_char {
    uint32_t value;
    bool is_byte; /* written \xHH: in a binary one byte, not a character */
};

/* How a text becomes bytes. */
enum tn_text_use {
    TN_AS_BINARY, /* \xHH is a byte */
    TN_AS_ATOM,   /* all are characters; the alias prefix is put in front */
};

/* An integer as written: digits of the base, with underscores. */
struct tn_number {
    bool negative;
    bool is_small; /* fits below */
    uint64_t small;
    unsigned base;
    const uint8_t *from;
    const uint8_t *end;
};

struct tn_lexer {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    /* the token read last, and what belongs to it */
    enum tn_token token;
    const uint8_t *from; /* where it begins */
    struct tn_text text;
    struct tn_text module;
    struct tn_number number;
    double real;
    char hole;
    tenon_pid pid;
    const char *expected;
};

/* text: borrowed for as long as tokens are read from it. */
void tn_lexer_init(struct tn_lexer *lexer, const char *text, size_t len);

/* Reads the next token into the lexer and returns it. After TN_TOK_END or
 * TN_TOK_BAD it gives the same again. Linear in the text over all calls. */
enum tn_token tn_lex(struct tn_lexer *lexer);

/* The byte offset of the token read last. */
size_t tn_lexer_offset(const struct tn_lexer *lexer);

/* Bytes of a text. Writes what fits into `cap` bytes; returns the length of
 * the whole. */
size_t tn_text_bytes(const struct tn_text *text,
                     enum tn_text_use use,
                     uint8_t *out,
                     size_t cap);
/* True when the text gives exactly these bytes. */
bool tn_text_is(const struct tn_text *text,
                enum tn_text_use use,
                const uint8_t *bytes,
                size_t len);
/* Takes the next character off the front; false at the end. */
bool tn_text_next(struct tn_text *text, struct tn_char *c);

/* Longest decimal integer that is read; longer ones are written 0x... (reading
 * decimals takes quadratic time). */
#define TN_DECIMAL_MAX_DIGITS 10000

/* An integer's little-endian magnitude. `cap` of tn_number_cap bytes is
 * enough. Returns the length; SIZE_MAX when there are too many digits. */
size_t tn_number_cap(const struct tn_number *number);
size_t
tn_number_magnitude(const struct tn_number *number, uint8_t *out, size_t cap);

#endif
