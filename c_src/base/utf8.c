/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, one character at a time. */
#include "base/utf8.h"

#include <string.h>

static bool is_tail(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

static bool is_scalar(uint32_t c)
{
    return c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
}

static size_t get2(const uint8_t *p, size_t n, uint32_t *codepoint)
{
    if (n < 2 || !is_tail(p[1])) {
        return 0;
    }
    *codepoint = (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    return *codepoint >= 0x80 ? 2 : 0;
}

static size_t get3(const uint8_t *p, size_t n, uint32_t *codepoint)
{
    if (n < 3 || !is_tail(p[1]) || !is_tail(p[2])) {
        return 0;
    }
    *codepoint = (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 |
                 (p[2] & 0x3F);
    return *codepoint >= 0x800 && is_scalar(*codepoint) ? 3 : 0;
}

static size_t get4(const uint8_t *p, size_t n, uint32_t *codepoint)
{
    if (n < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3])) {
        return 0;
    }
    *codepoint = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 |
                 (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
    return *codepoint >= 0x10000 && is_scalar(*codepoint) ? 4 : 0;
}

size_t tn_utf8_get(const uint8_t *p, size_t n, uint32_t *codepoint)
{
    if (n == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        *codepoint = p[0];
        return 1;
    }
    if ((p[0] & 0xE0) == 0xC0) {
        return get2(p, n, codepoint);
    }
    if ((p[0] & 0xF0) == 0xE0) {
        return get3(p, n, codepoint);
    }
    if ((p[0] & 0xF8) == 0xF0) {
        return get4(p, n, codepoint);
    }
    return 0;
}

size_t tn_utf8_put(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (!is_scalar(c)) {
        return 0;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

#define HIGH_BITS UINT64_C(0x8080808080808080)

static bool is_ascii_word(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return (word & HIGH_BITS) == 0;
}

/* Less than eight bytes. */
static bool is_ascii_short(const uint8_t *p, size_t n)
{
    uint32_t first, last;

    if (n >= sizeof first) {
        memcpy(&first, p, sizeof first);
        memcpy(&last, p + n - sizeof last, sizeof last);
        return ((first | last) & (uint32_t)HIGH_BITS) == 0;
    }
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++) {
        any |= p[i];
    }
    return any < 0x80;
}

/* Eight bytes at a time while they are ASCII, which nearly all text is; the
 * last eight may have been looked at in part. */
static size_t ascii_prefix(const uint8_t *p, size_t n)
{
    size_t at = 0;

    if (n < sizeof(uint64_t)) {
        return is_ascii_short(p, n) ? n : 0;
    }
    while (n - at >= sizeof(uint64_t)) {
        if (!is_ascii_word(p + at)) {
            return at;
        }
        at += sizeof(uint64_t);
    }
    return is_ascii_word(p + n - sizeof(uint64_t)) ? n : at;
}

bool tn_utf8_valid(const uint8_t *p, size_t n, size_t *characters)
{
    size_t at = ascii_prefix(p, n);
    size_t count = at;
    uint32_t codepoint;

    while (at < n) {
        size_t used = tn_utf8_get(p + at, n - at, &codepoint);

        if (used == 0) {
            return false;
        }
        at += used;
        count++;
    }
    if (characters != NULL) {
        *characters = count;
    }
    return true;
}
