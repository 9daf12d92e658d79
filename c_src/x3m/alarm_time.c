/* SPDX-License-Identifier: Apache-2.0 */
/* DateTime structs to microseconds; the other way is in message_new.c. */
#include "x3m/alarm_time.h"

#include <stdbool.h>
#include <time.h>

#include "base/clock.h"
#include "x3m/message.h"

#define SECOND_US INT64_C(1000000)
/* Zones are less than a day away from UTC. */
#define OFFSET_MAX_S INT64_C(86400)

int64_t tn_wall_us(void)
{
    return tn_wall_ns() / 1000;
}

int64_t tn_clock_offset_us(void)
{
    return tn_wall_us() - (int64_t)(tn_now_ns() / 1000);
}

int64_t tn_us_after(int64_t from_us, uint64_t ms)
{
    uint64_t left_ms = (uint64_t)(TENON_ALARM_AT_MAX_US - from_us) / 1000;

    return ms > left_ms ? TENON_ALARM_AT_MAX_US : from_us + (int64_t)ms * 1000;
}

struct fields {
    int64_t year, month, day, hour, minute, second, us, utc, std;
};

static bool is_within(int64_t value, int64_t from, int64_t to)
{
    return value >= from && value <= to;
}

static bool are_in_range(const struct fields *f)
{
    return is_within(f->year, 1969, 2263) && is_within(f->month, 1, 12) &&
           is_within(f->day, 1, 31) && is_within(f->hour, 0, 23) &&
           is_within(f->minute, 0, 59) && is_within(f->second, 0, 60) &&
           is_within(f->us, 0, SECOND_US - 1) &&
           is_within(f->utc, -OFFSET_MAX_S, OFFSET_MAX_S) &&
           is_within(f->std, -OFFSET_MAX_S, OFFSET_MAX_S);
}

enum tenon_err tn_read_datetime(tenon_term term, int64_t *us)
{
    struct fields f;

    if (!tenon_match(term,
                     "%DateTime{calendar: Calendar.ISO, year: ~i, month: ~i, "
                     "day: ~i, hour: ~i, minute: ~i, second: ~i, "
                     "microsecond: {~i, _}, utc_offset: ~i, std_offset: ~i}",
                     &f.year, &f.month, &f.day, &f.hour, &f.minute, &f.second,
                     &f.us, &f.utc, &f.std)) {
        return TENON_E_TERM_TYPE;
    }
    if (!are_in_range(&f)) {
        return TENON_E_TERM_RANGE;
    }
    struct tm tm = {
        .tm_year = (int)f.year - 1900,
        .tm_mon = (int)f.month - 1,
        .tm_mday = (int)f.day,
        .tm_hour = (int)f.hour,
        .tm_min = (int)f.minute,
        .tm_sec = (int)f.second,
    };
    int64_t at_us = ((int64_t)timegm(&tm) - f.utc - f.std) * SECOND_US + f.us;

    if (!is_within(at_us, 0, TENON_ALARM_AT_MAX_US)) {
        return TENON_E_TERM_RANGE;
    }
    *us = at_us;
    return TENON_OK;
}

enum tenon_err tenon_alarm_at(const tenon_message *message, int64_t *at_us)
{
    tenon_term at;

    if (message == NULL || at_us == NULL ||
        tenon_map_get_atom(tn_message_field(message, TN_FIELD_ASSIGNS),
                           "dispatch_at", &at) < 0 ||
        tn_read_datetime(at, at_us) < 0) {
        return TENON_E_NOT_FOUND;
    }
    return TENON_OK;
}
