/* SPDX-License-Identifier: Apache-2.0 */
/* Elixir's calendar structs as sigils. */
#include "term/calendar.h"

#include <stdio.h>
#include <string.h>

/* Reads an integer field; false when it is not there or out of range. */
static bool
field(tenon_term map, const char *key, int least, int most, int *value)
{
    tenon_term term;
    int64_t v;

    if (tenon_map_get_atom(map, key, &term) < 0 ||
        tenon_term_int64(term, &v) < 0 || v < least || v > most) {
        return false;
    }
    *value = (int)v;
    return true;
}

static bool text_field(tenon_term map, const char *key, const char *text)
{
    tenon_term term;
    const void *bytes;
    size_t len;

    return tenon_map_get_atom(map, key, &term) == TENON_OK &&
           tenon_term_binary(term, &bytes, &len) == TENON_OK &&
           len == strlen(text) && memcmp(bytes, text, len) == 0;
}

static bool atom_field(tenon_term map, const char *key, const char *text)
{
    tenon_term term;

    return tenon_map_get_atom(map, key, &term) == TENON_OK &&
           tenon_term_is_atom(term, text);
}

static size_t put_date(tenon_term map, char *out, size_t cap)
{
    int year;
    int month;
    int day;

    if (!field(map, "year", 0, 9999, &year) ||
        !field(map, "month", 1, 12, &month) ||
        !field(map, "day", 1, 31, &day)) {
        return 0;
    }
    return (size_t)snprintf(out, cap, "%04d-%02d-%02d", year, month, day);
}

/* {678, 6}: microseconds, and how many of their digits are known. */
static bool fraction(tenon_term map, int *microsecond, int *precision)
{
    tenon_term pair;
    tenon_term part;
    int64_t v;

    if (tenon_map_get_atom(map, "microsecond", &pair) < 0 ||
        tenon_term_count(pair) != 2 || tenon_tuple_get(pair, 0, &part) < 0 ||
        tenon_term_int64(part, &v) < 0 || v < 0 || v > 999999) {
        return false;
    }
    *microsecond = (int)v;
    if (tenon_tuple_get(pair, 1, &part) < 0 || tenon_term_int64(part, &v) < 0 ||
        v < 0 || v > 6) {
        return false;
    }
    *precision = (int)v;
    return true;
}

static size_t put_time(tenon_term map, char *out, size_t cap)
{
    int hour;
    int minute;
    int second;
    int microsecond;
    int precision;
    char digits[16];

    if (!field(map, "hour", 0, 23, &hour) ||
        !field(map, "minute", 0, 59, &minute) ||
        !field(map, "second", 0, 59, &second) ||
        !fraction(map, &microsecond, &precision)) {
        return 0;
    }
    snprintf(digits, sizeof digits, "%06d", microsecond);
    return (size_t)snprintf(out, cap, "%02d:%02d:%02d%s%.*s", hour, minute,
                            second, precision > 0 ? "." : "", precision,
                            digits);
}

static bool is_utc(tenon_term map)
{
    int offset;

    return field(map, "utc_offset", 0, 0, &offset) &&
           field(map, "std_offset", 0, 0, &offset) &&
           text_field(map, "time_zone", "Etc/UTC") &&
           text_field(map, "zone_abbr", "UTC");
}

/* Which struct it is: the letter of its sigil, 0 for another. */
static char sigil_letter(tenon_term map)
{
    static const struct {
        const char *module;
        size_t keys;
        char letter;
    } known[] = {
        { "Elixir.Date", 5, 'D' },
        { "Elixir.Time", 6, 'T' },
        { "Elixir.NaiveDateTime", 9, 'N' },
        { "Elixir.DateTime", 13, 'U' },
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (tenon_term_count(map) == known[i].keys &&
            atom_field(map, "__struct__", known[i].module)) {
            return known[i].letter;
        }
    }
    return 0;
}

size_t tn_calendar_sigil(tenon_term term, char out[TN_SIGIL_TEXT_BYTES])
{
    char date[16] = "";
    char time[24] = "";
    char letter = sigil_letter(term);

    if (letter == 0 || !atom_field(term, "calendar", "Elixir.Calendar.ISO") ||
        (letter != 'T' && put_date(term, date, sizeof date) == 0) ||
        (letter != 'D' && put_time(term, time, sizeof time) == 0) ||
        (letter == 'U' && !is_utc(term))) {
        return 0;
    }
    return (size_t)snprintf(out, TN_SIGIL_TEXT_BYTES, "~%c[%s%s%s%s]", letter,
                            date, letter == 'N' || letter == 'U' ? " " : "",
                            time, letter == 'U' ? "Z" : "");
}

/* ---- reading ---------------------------------------------------------- */

struct moment {
    int64_t year;
    int64_t month;
    int64_t day;
    int64_t hour;
    int64_t minute;
    int64_t second;
    int64_t microsecond;
    int64_t precision;
};

/* Takes exactly `count` digits, then `stop` (0: nothing). */
static bool number(const char **p, int count, char stop, int64_t *value)
{
    *value = 0;
    for (int i = 0; i < count; i++) {
        char c = *(*p)++;

        if (c < '0' || c > '9') {
            return false;
        }
        *value = *value * 10 + (c - '0');
    }
    return stop == '\0' || *(*p)++ == stop;
}

static bool read_date(const char **p, struct moment *m)
{
    return number(p, 4, '-', &m->year) && number(p, 2, '-', &m->month) &&
           number(p, 2, '\0', &m->day) && m->month >= 1 && m->month <= 12 &&
           m->day >= 1 && m->day <= 31;
}

static bool read_fraction(const char **p, struct moment *m)
{
    m->microsecond = 0;
    m->precision = 0;
    if (**p != '.') {
        return true;
    }
    for (++*p; **p >= '0' && **p <= '9' && m->precision < 6; ++*p) {
        m->microsecond = m->microsecond * 10 + (**p - '0');
        m->precision++;
    }
    for (int64_t i = m->precision; i < 6; i++) {
        m->microsecond *= 10;
    }
    return m->precision > 0;
}

static bool read_time(const char **p, struct moment *m)
{
    return number(p, 2, ':', &m->hour) && number(p, 2, ':', &m->minute) &&
           number(p, 2, '\0', &m->second) && m->hour <= 23 && m->minute <= 59 &&
           m->second <= 59 && read_fraction(p, m);
}

static bool read_moment(char letter, const char *p, struct moment *m)
{
    if (letter != 'T' && !read_date(&p, m)) {
        return false;
    }
    if ((letter == 'N' || letter == 'U') && *p != ' ' && *p != 'T') {
        return false;
    }
    p += letter == 'N' || letter == 'U' ? 1 : 0;
    if (letter != 'D' && !read_time(&p, m)) {
        return false;
    }
    if (letter == 'U' && *p++ != 'Z') {
        return false;
    }
    return *p == '\0';
}

#define HEAD "calendar: Calendar.ISO"
#define DATE ", year: ~i, month: ~i, day: ~i"
#define TIME ", hour: ~i, minute: ~i, second: ~i, microsecond: {~i, ~i}"
#define UTC                                                                    \
    ", time_zone: \"Etc/UTC\", zone_abbr: \"UTC\", utc_offset: 0, "            \
    "std_offset: 0"

static enum tenon_err
build_moment(tenon_builder *builder, char letter, const struct moment *m)
{
    switch (letter) {
    case 'D':
        return tenon_format(builder, "%Date{" HEAD DATE "}", m->year, m->month,
                            m->day);
    case 'T':
        return tenon_format(builder, "%Time{" HEAD TIME "}", m->hour, m->minute,
                            m->second, m->microsecond, m->precision);
    default:
        return tenon_format(builder,
                            letter == 'N' ? "%NaiveDateTime{" HEAD DATE TIME "}"
                                          : "%DateTime{" HEAD DATE TIME UTC "}",
                            m->year, m->month, m->day, m->hour, m->minute,
                            m->second, m->microsecond, m->precision);
    }
}

enum tenon_err tn_calendar_build(tenon_builder *builder,
                                 char letter,
                                 const char *text,
                                 size_t len)
{
    char copy[TN_SIGIL_TEXT_BYTES];
    struct moment moment = { 0 };

    if (len >= sizeof copy) {
        return TENON_E_TERM_SYNTAX;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (!read_moment(letter, copy, &moment)) {
        return TENON_E_TERM_SYNTAX;
    }
    return build_moment(builder, letter, &moment);
}
