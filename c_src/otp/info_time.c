/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about clocks. */
#include <time.h>

#include "base/clock.h"
#include "otp/info.h"

/* A unit's parts of a second; 0: no unit. */
static int64_t parts_of(tenon_term unit)
{
    static const struct {
        const char *word;
        int64_t parts;
    } units[] = {
        { "second", 1 },
        { "seconds", 1 },
        { "millisecond", 1000 },
        { "milli_seconds", 1000 },
        { "microsecond", 1000000 },
        { "micro_seconds", 1000000 },
        { "nanosecond", 1000000000 },
        { "nano_seconds", 1000000000 },
        { "native", 1000000000 },
        { "perf_counter", 1000000000 },
    };
    int64_t parts;

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (tenon_term_is_atom(unit, units[i].word)) {
            return units[i].parts;
        }
    }
    return tenon_term_int64(unit, &parts) == TENON_OK && parts > 0 ? parts : 0;
}

/* Rounded down, as erlang:convert_time_unit/3 does. */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static void build_time(struct tn_question *question, int64_t ns, bool in_unit)
{
    int64_t parts = 1000000000;

    if (in_unit) {
        parts = parts_of(tn_question_arg(question, 0));
    }
    if (parts == 0 || parts > 1000000000) {
        question->badarg = true;
    } else if (1000000000 % parts == 0) {
        tenon_build_int(question->out, floor_div(ns, 1000000000 / parts));
    } else {
        int64_t s = floor_div(ns, 1000000000);

        tenon_build_int(question->out,
                        s * parts + (ns - s * 1000000000) * parts / 1000000000);
    }
}

static void system_time_0(struct tn_question *question)
{
    build_time(question, tn_wall_ns(), false);
}

static void system_time_1(struct tn_question *question)
{
    build_time(question, tn_wall_ns(), true);
}

static void monotonic_time_0(struct tn_question *question)
{
    build_time(question, (int64_t)tn_now_ns(), false);
}

static void monotonic_time_1(struct tn_question *question)
{
    build_time(question, (int64_t)tn_now_ns(), true);
}

static void time_offset_0(struct tn_question *question)
{
    build_time(question, tn_wall_ns() - (int64_t)tn_now_ns(), false);
}

static void time_offset_1(struct tn_question *question)
{
    build_time(question, tn_wall_ns() - (int64_t)tn_now_ns(), true);
}

static void timestamp(struct tn_question *question)
{
    int64_t us = tn_wall_ns() / 1000;

    tenon_format(question->out, "{~i, ~i, ~i}", us / 1000000000000,
                 us / 1000000 % 1000000, us % 1000000);
}

static void build_date(struct tn_question *question, bool local)
{
    time_t now = (time_t)(tn_wall_ns() / 1000000000);
    struct tm tm = { 0 };

    if (local) {
        (void)localtime_r(&now, &tm);
    } else {
        (void)gmtime_r(&now, &tm);
    }
    tenon_format(question->out, "{{~i, ~i, ~i}, {~i, ~i, ~i}}",
                 (int64_t)tm.tm_year + 1900, (int64_t)tm.tm_mon + 1,
                 (int64_t)tm.tm_mday, (int64_t)tm.tm_hour, (int64_t)tm.tm_min,
                 (int64_t)tm.tm_sec);
}

static void localtime_0(struct tn_question *question)
{
    build_date(question, true);
}

static void universaltime_0(struct tn_question *question)
{
    build_date(question, false);
}

const struct tn_info_function tn_info_time_functions[] = {
    { "erlang", "system_time", 0, system_time_0, false },
    { "erlang", "system_time", 1, system_time_1, false },
    { "erlang", "monotonic_time", 0, monotonic_time_0, false },
    { "erlang", "monotonic_time", 1, monotonic_time_1, false },
    { "erlang", "time_offset", 0, time_offset_0, false },
    { "erlang", "time_offset", 1, time_offset_1, false },
    { "erlang", "timestamp", 0, timestamp, false },
    { "erlang", "localtime", 0, localtime_0, false },
    { "erlang", "universaltime", 0, universaltime_0, false },
    { "os", "system_time", 0, system_time_0, false },
    { "os", "system_time", 1, system_time_1, false },
    { "os", "timestamp", 0, timestamp, false },
    { "Elixir.System", "monotonic_time", 0, monotonic_time_0, false },
    { "Elixir.System", "monotonic_time", 1, monotonic_time_1, false },
    { "Elixir.System", "system_time", 0, system_time_0, false },
    { "Elixir.System", "system_time", 1, system_time_1, false },
    { NULL, NULL, 0, NULL, false },
};
