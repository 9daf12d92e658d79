/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers between text, doubles and magnitudes. */
#include "term/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "term/tags.h"

#define FLOAT_TEXT_MAX_BYTES 400

/* strtod and printf use the point of the host program's locale. Asked by
 * printing, since localeconv may not be called from any thread. */
static char locale_point(void)
{
    char half[8];

    snprintf(half, sizeof half, "%.1f", 0.5);
    return half[1];
}

static size_t digits(const char *text, size_t n, size_t at)
{
    size_t from = at;

    while (at < n && text[at] >= '0' && text[at] <= '9') {
        at++;
    }
    return at - from;
}

/* Where the point is, when the text has the form of a float; else 0. */
static size_t point_of_float(const char *text, size_t n)
{
    size_t at = n > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    size_t count = digits(text, n, at);
    size_t point = at + count;

    if (count == 0 || point == n || text[point] != '.') {
        return 0;
    }
    at = point + 1;
    count = digits(text, n, at);
    at += count;
    if (count == 0) {
        return 0;
    }
    if (at < n && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        if (at < n && (text[at] == '-' || text[at] == '+')) {
            at++;
        }
        count = digits(text, n, at);
        at += count;
        if (count == 0) {
            return 0;
        }
    }
    return at == n ? point : 0;
}

bool tn_double_of_text(const char *text, size_t n, double *value)
{
    char copy[FLOAT_TEXT_MAX_BYTES];

    if (n >= sizeof copy) {
        return false;
    }
    size_t point = point_of_float(text, n);

    if (point == 0) {
        return false;
    }
    memcpy(copy, text, n);
    copy[n] = '\0';
    copy[point] = locale_point();
    double v = strtod(copy, NULL);

    if (!isfinite(v)) {
        return false;
    }
    *value = v;
    return true;
}

bool tn_float_ext_value(const uint8_t *text, double *value)
{
    const uint8_t *nul = memchr(text, '\0', TN_FLOAT_TEXT_BYTES);
    size_t n = nul == NULL ? TN_FLOAT_TEXT_BYTES : (size_t)(nul - text);

    return tn_double_of_text((const char *)text, n, value);
}

/* ---- magnitudes ------------------------------------------------------- */

size_t tn_magnitude_mul_add(
    uint8_t *out, size_t len, size_t cap, uint32_t factor, uint32_t addend)
{
    uint64_t carry = addend;

    for (size_t i = 0; i < len; i++) {
        carry += (uint64_t)out[i] * factor;
        out[i] = (uint8_t)carry;
        carry >>= 8;
    }
    for (; carry != 0 && len < cap; carry >>= 8) {
        out[len++] = (uint8_t)carry;
    }
    return len;
}

static unsigned hex_value(uint8_t c)
{
    if (c <= '9') {
        return (unsigned)(c - '0');
    }
    return (unsigned)((c | 0x20) - 'a') + 10;
}

size_t tn_magnitude_of_hex(const uint8_t *from,
                           const uint8_t *end,
                           uint8_t *out,
                           size_t cap)
{
    size_t len = 0;
    bool low = true;

    while (end > from) {
        uint8_t c = *--end;

        if (c == '_') {
            continue;
        }
        if (low) {
            if (len == cap) {
                break;
            }
            out[len++] = (uint8_t)hex_value(c);
        } else {
            out[len - 1] |= (uint8_t)(hex_value(c) << 4);
        }
        low = !low;
    }
    while (len > 0 && out[len - 1] == 0) {
        len--;
    }
    return len;
}

/* What nine decimal digits hold; a constant, so that the compiler divides by
 * multiplying. */
#define NINE_DIGITS 1000000000u

/* Divides by NINE_DIGITS in place; `*count` words, the highest last. Returns
 * the rest. */
static uint32_t divide(uint32_t *words, size_t *count)
{
    uint64_t rest = 0;

    for (size_t i = *count; i > 0; i--) {
        rest = rest << 32 | words[i - 1];
        words[i - 1] = (uint32_t)(rest / NINE_DIGITS);
        rest %= NINE_DIGITS;
    }
    while (*count > 0 && words[*count - 1] == 0) {
        *count -= 1;
    }
    return (uint32_t)rest;
}

size_t tn_decimal_of_magnitude(const uint8_t *magnitude,
                               size_t len,
                               char out[TN_DECIMAL_TEXT_BYTES])
{
    uint32_t words[TN_DECIMAL_MAX_BYTES / 4];
    size_t count = (len + 3) / 4;
    char *at = out + TN_DECIMAL_TEXT_BYTES;

    memset(words, 0, count * sizeof words[0]);
    for (size_t i = 0; i < len; i++) {
        words[i / 4] |= (uint32_t)magnitude[i] << 8 * (i % 4);
    }
    while (count > 0) {
        uint32_t nine = divide(words, &count);

        for (int i = 0; i < 9 && (count > 0 || nine > 0); i++) {
            *--at = (char)('0' + nine % 10);
            nine /= 10;
        }
    }
    size_t n = (size_t)(out + TN_DECIMAL_TEXT_BYTES - at);

    memmove(out, at, n);
    out[n] = '\0';
    return n;
}

/* ---- doubles as text -------------------------------------------------- */

/* The digits of a positive double: d.ddd as "dddd" and a power of ten. */
struct decimal {
    char digits[20];
    int count;
    int exponent; /* of the first digit */
};

static void print_digits(double value, int precision, struct decimal *d)
{
    char text[40];

    /* d.ddde+xx; what stands for the point depends on the locale. */
    snprintf(text, sizeof text, "%.*e", precision - 1, value);
    d->digits[0] = text[0];
    d->count = 1;
    const char *p = text + 1;

    for (; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9') {
            d->digits[d->count++] = *p;
        }
    }
    d->exponent = (int)strtol(p + 1, NULL, 10);
}

static void strip_zeroes(struct decimal *d)
{
    while (d->count > 1 && d->digits[d->count - 1] == '0') {
        d->count--;
    }
}

static double value_of(const struct decimal *d)
{
    char text[40];

    /* Without a point, so that no locale has a say. */
    snprintf(text, sizeof text, "%.*se%d", d->count, d->digits,
             d->exponent - d->count + 1);
    return strtod(text, NULL);
}

/* One more in the last place, as 9.99 becomes 10.0. */
static void next_up(struct decimal *d)
{
    int i = d->count - 1;

    while (i >= 0 && d->digits[i] == '9') {
        d->digits[i--] = '0';
    }
    if (i >= 0) {
        d->digits[i]++;
        return;
    }
    d->digits[0] = '1';
    d->exponent++;
}

/* Fewer digits than these never read back when these do not: a decimal of at
 * most 15 digits, made a double and printed with 15, is itself again. */
#define DECIMAL_DIGITS 15

/* True when that many digits read back as the value. Above a power of two the
 * doubles lie twice as far apart as below it: there the nearest decimal may
 * miss while the one above still hits. */
static bool
reads_back(double value, int precision, bool is_power_of_two, struct decimal *d)
{
    print_digits(value, precision, d);
    if (value_of(d) == value) {
        return true;
    }
    if (is_power_of_two) {
        next_up(d);
    }
    return is_power_of_two && value_of(d) == value;
}

/* The shortest digits that read back as the value. */
static void shortest(double value, struct decimal *d)
{
    int unused;
    bool is_power_of_two = frexp(value, &unused) == 0.5;
    /* Below the normal doubles, fewer digits tell them apart. */
    int precision = value < DBL_MIN ? 1 : DECIMAL_DIGITS;

    for (; precision < 17; precision++) {
        if (reads_back(value, precision, is_power_of_two, d)) {
            return;
        }
    }
    print_digits(value, 17, d);
}

static size_t scientific(const struct decimal *d, char *out, size_t cap)
{
    int n = snprintf(out, cap, "%c.%.*se%d", d->digits[0],
                     d->count > 1 ? d->count - 1 : 1,
                     d->count > 1 ? d->digits + 1 : "0", d->exponent);

    return (size_t)n;
}

static size_t put(char *out, size_t at, const char *p, size_t n)
{
    memcpy(out + at, p, n);
    return at + n;
}

static size_t put_zeroes(char *out, size_t at, size_t n)
{
    memset(out + at, '0', n);
    return at + n;
}

static size_t plain(const struct decimal *d, char *out)
{
    size_t count = (size_t)d->count;
    size_t at = 0;

    if (d->exponent < 0) {
        at = put(out, at, "0.", 2);
        at = put_zeroes(out, at, (size_t)(-d->exponent - 1));
        at = put(out, at, d->digits, count);
    } else {
        size_t whole = (size_t)d->exponent + 1;
        size_t given = whole < count ? whole : count;

        at = put(out, at, d->digits, given);
        at = put_zeroes(out, at, whole - given);
        at = put(out, at, ".", 1);
        at = put(out, at, d->digits + given, count - given);
        at = put_zeroes(out, at, count == given ? 1 : 0);
    }
    out[at] = '\0';
    return at;
}

/* Elixir writes whole numbers below 1.0e16 in full; otherwise the shorter of
 * both forms, in full when they are equally long. */
static bool in_full(double value, const struct decimal *d)
{
    char exponent[12];

    if (value >= 1.0) {
        return value < 1.0e16;
    }
    int zeroes = -d->exponent - 1;
    int exponent_bytes = snprintf(exponent, sizeof exponent, "%d", d->exponent);
    int scientific_bytes = exponent_bytes + 1 + (d->count == 1 ? 2 : 1);

    return zeroes == 0 || 2 + zeroes <= scientific_bytes;
}

size_t tn_text_of_double(double value, char out[TN_DOUBLE_TEXT_BYTES])
{
    struct decimal d;
    size_t sign = signbit(value) ? 1 : 0;

    out[0] = '-';
    if (value == 0) {
        memcpy(out + sign, "0.0", 4);
        return sign + 3;
    }
    shortest(fabs(value), &d);
    strip_zeroes(&d);
    size_t cap = TN_DOUBLE_TEXT_BYTES - sign;

    return sign + (in_full(fabs(value), &d) ? plain(&d, out + sign)
                                            : scientific(&d, out + sign, cap));
}
