/* SPDX-License-Identifier: Apache-2.0 */
/* How Elixir spells atoms. */
#include "term/spelling.h"

#include <string.h>

#include "base/utf8.h"

static bool is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_word(uint8_t c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '_';
}

/* Letters that may stand in an identifier, by script: Elixir refuses words
 * that mix them. Only letters that are one code point (NFC); others are
 * printed in quotes, which reads back the same. */
static const struct letters {
    uint16_t from;
    uint16_t to;
    uint8_t script;
} letters[] = {
    { 0x00C0, 0x00D6, 1 }, { 0x00D8, 0x00F6, 1 }, { 0x00F8, 0x0131, 1 },
    { 0x0134, 0x013E, 1 }, { 0x0141, 0x0148, 1 }, { 0x014A, 0x017E, 1 },
    { 0x0386, 0x0386, 2 }, { 0x0388, 0x038A, 2 }, { 0x038C, 0x038C, 2 },
    { 0x038E, 0x03A1, 2 }, { 0x03A3, 0x03CE, 2 }, { 0x0400, 0x0481, 3 },
    { 0x048A, 0x0529, 3 }, { 0x3041, 0x3096, 4 }, { 0x30A1, 0x30FA, 4 },
    { 0x4E00, 0x9FEF, 4 }, { 0xAC00, 0xD7A3, 5 },
};

/* The script of a letter outside ASCII; 0 when it is none. */
static uint8_t script_of(uint32_t c)
{
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (c >= letters[i].from && c <= letters[i].to) {
            return letters[i].script;
        }
    }
    return 0;
}

/* Length of the letter at `p` when it may join a word of `*script` (0: any
 * yet), which it then sets. */
static size_t foreign_letter(const uint8_t *p, size_t n, uint8_t *script)
{
    uint32_t c;
    size_t used = tn_utf8_get(p, n, &c);
    uint8_t is = used < 2 ? 0 : script_of(c);

    if (is == 0 || (*script != 0 && *script != is)) {
        return 0;
    }
    *script = is;
    return used;
}

size_t tn_identifier_bytes(const uint8_t *p, size_t n)
{
    uint8_t script = 0;
    size_t at = 0;

    if (n == 0 || (p[0] >= '0' && p[0] <= '9')) {
        return 0;
    }
    while (at < n) {
        size_t used;

        if (is_word(p[at])) {
            /* ASCII letters are Latin; digits and _ belong to any script. */
            bool letter = p[at] > '9' && p[at] != '_';
            uint8_t latin = 1;

            if (letter && script != 0 && script != latin) {
                break;
            }
            script = letter ? latin : script;
            used = 1;
        } else if (p[at] == '@' && at > 0) {
            used = 1;
        } else {
            used = foreign_letter(p + at, n - at, &script);
        }
        if (used == 0) {
            break;
        }
        at += used;
    }
    if (at > 0 && at < n && (p[at] == '?' || p[at] == '!')) {
        at++;
    }
    return at;
}

size_t tn_operator_bytes(const uint8_t *p, size_t n)
{
    /* Longest first. */
    static const char operators[][TN_OPERATOR_MAX_BYTES + 1] = {
        "..//", "<<>>", "!==", "&&&", "+++", "---", "...", "<<<", "<<~", "<~>",
        "===",  ">>>",  "|||", "~>>", "%{}", "!=",  "&&",  "**",  "++",  "--",
        "->",   "..",   "<-",  "<=",  "<>",  "<~",  "==",  "=~",  ">=",  "\\\\",
        "|>",   "||",   "~>",  "{}",  "!",   "&",   "*",   "+",   "-",   ".",
        "/",    "<",    "=",   ">",   "@",   "^",   "|",   "%",
    };

    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (n == 0 || (uint8_t)operators[i][0] != p[0]) {
            continue;
        }
        size_t len = strlen(operators[i]);

        if (len <= n && memcmp(p, operators[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

size_t tn_alias_bytes(const uint8_t *p, size_t n)
{
    size_t end = 0;
    size_t at = 0;

    while (at < n && is_upper(p[at])) {
        while (at < n && is_word(p[at])) {
            at++;
        }
        end = at;
        if (at == n || p[at] != '.') {
            break;
        }
        at++;
    }
    return end;
}

bool tn_is_printable(uint32_t c)
{
    return (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c <= 0xD7FF) ||
           (c >= 0xE000 && c <= 0xFFFD) || (c >= 0x10000 && c <= 0x10FFFF);
}
