/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/support/growth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "unit/support/measured.h"

/* Of the smallest term. */
#define LEVELS 30
#define WIDTH 500

#define ROUNDS_MIN 3
#define ROUNDS_MAX 30

unsigned growth_scale(unsigned size)
{
    return 1u << 2 * size;
}

/* ---- measuring -------------------------------------------------------- */

/* Memory that is given back to the system comes again with new pages, which only
 * the larger sizes pay for, and dearly on some machines. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    /* The most that it takes. */
    (void)mallopt(M_MMAP_THRESHOLD,
                  sizeof(void *) > sizeof(uint32_t) ? 32 << 20 : 512 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    (void)mallopt(M_TOP_PAD, 16 << 20);
#endif
}

static double cpu_s(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of one read, when all sizes are read for about the same time. */
static double
once(clockid_t clock, growth_read *read, void *user, unsigned size)
{
    unsigned times = growth_scale(GROWTH_SIZES - 1) / growth_scale(size);
    double start = cpu_s(clock);

    for (unsigned i = 0; i < times; i++) {
        read(user, size);
    }
    return (cpu_s(clock) - start) / times;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of `rounds` of each size; sorts them. What disturbs makes a read longer, so
 * that the shortest of the largest size counts. The clock of all threads tells
 * some of the time of another one that runs too late: a read that seems short
 * must not count for the smallest size. */
static double ratio(double took[GROWTH_SIZES][ROUNDS_MAX], int rounds)
{
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        qsort(took[size], (size_t)rounds, sizeof took[size][0], by_time);
    }
    return took[GROWTH_SIZES - 1][0] / took[0][rounds / 2];
}

/* How many times longer `read` takes for the last size than for the first; 0
 * where that is not measured. */
static double growth_by(clockid_t clock, growth_read *read, void *user)
{
    double took[GROWTH_SIZES][ROUNDS_MAX];
    double growth = 0;
    int rounds = is_as_it_is() ? ROUNDS_MIN : 1;

    keep_memory();
    for (int round = 0; round < rounds; round++) {
        for (unsigned size = 0; size < GROWTH_SIZES; size++) {
            took[size][round] = once(clock, read, user, size);
        }
        growth = ratio(took, round + 1);
        if (round + 1 == rounds && growth > GROWTH_MAX && rounds < ROUNDS_MAX) {
            rounds++;
        }
    }
    return is_as_it_is() ? growth : 0;
}

static void assert_growth_by(clockid_t clock,
                             const char *what,
                             growth_read *read,
                             void *user)
{
    double growth = growth_by(clock, read, user);

    if (growth > GROWTH_MAX) {
        fail_msg("%s: 16 times the size takes %.0f times as long", what,
                 growth);
    }
}

double growth_of(growth_read *read, void *user)
{
    return growth_by(CLOCK_THREAD_CPUTIME_ID, read, user);
}

void assert_growth(const char *what, growth_read *read, void *user)
{
    assert_growth_by(CLOCK_THREAD_CPUTIME_ID, what, read, user);
}

void assert_growth_of_threads(const char *what, growth_read *read, void *user)
{
    assert_growth_by(CLOCK_PROCESS_CPUTIME_ID, what, read, user);
}

/* ---- shapes ----------------------------------------------------------- */

const char *growth_name(enum growth_shape shape)
{
    static const char *const names[] = {
        "tuples",       "lists",    "maps in values", "maps in first values",
        "maps in keys", "keywords", "a map",          "maps",
        "pids",         "names",    "cells",
    };

    return names[shape];
}

static void open_level(tenon_builder *out, enum growth_shape shape)
{
    switch (shape) {
    case GROWTH_TUPLES:
        tenon_build_tuple(out, 2);
        tenon_build_atom(out, "a");
        break;
    case GROWTH_LISTS:
        tenon_build_list(out, 2);
        tenon_build_nil(out);
        break;
    case GROWTH_VALUES:
        tenon_build_map(out, 2);
        tenon_build_atom(out, "b");
        tenon_build_nil(out);
        tenon_build_atom(out, "a");
        break;
    case GROWTH_FIRST:
        tenon_build_map(out, 2);
        tenon_build_atom(out, "a");
        break;
    case GROWTH_KEYS:
        tenon_build_map(out, 2);
        tenon_build_int(out, 1);
        tenon_build_nil(out);
        break;
    default:
        tenon_build_list(out, 1);
        tenon_build_tuple(out, 2);
        tenon_build_atom(out, "a");
        break;
    }
}

static void close_level(tenon_builder *out, enum growth_shape shape)
{
    if (shape == GROWTH_FIRST) {
        tenon_build_atom(out, "b");
    }
    if (shape == GROWTH_FIRST || shape == GROWTH_LISTS ||
        shape == GROWTH_KEYS || shape == GROWTH_KEYWORDS) {
        tenon_build_nil(out);
    }
}

static void build_deep(tenon_builder *out,
                       enum growth_shape shape,
                       unsigned scale,
                       int64_t innermost)
{
    /* A list and its pair are two levels. */
    unsigned levels = LEVELS * scale / (shape == GROWTH_KEYWORDS ? 2 : 1);

    for (unsigned i = 0; i < levels; i++) {
        open_level(out, shape);
    }
    tenon_build_list(out, WIDTH * scale + 1);
    for (unsigned i = 0; i < WIDTH * scale; i++) {
        tenon_build_nil(out);
    }
    tenon_build_int(out, innermost);
    tenon_build_nil(out);
    for (unsigned i = 0; i < levels; i++) {
        close_level(out, shape);
    }
}

static void build_map(tenon_builder *out, unsigned count, int64_t innermost)
{
    tenon_build_map(out, count);
    for (unsigned i = count; i > 0; i--) {
        tenon_build_int(out, i);
        tenon_build_int(out, i == count ? innermost : 0);
    }
}

static void build_element(tenon_builder *out,
                          enum growth_shape shape,
                          unsigned i,
                          int64_t innermost)
{
    tenon_pid pid = { .node = "a@b", .id = i, .serial = 1, .creation = 2 };
    char name[24];

    switch (shape) {
    case GROWTH_MAPS:
        tenon_format(out, "%{b: 1, a: ~i}", innermost);
        break;
    case GROWTH_PIDS:
        pid.creation += (uint32_t)innermost;
        tenon_build_pid(out, &pid);
        break;
    default:
        snprintf(name, sizeof name, "a%u_%d", i, (int)innermost);
        tenon_build_atom(out, name);
        break;
    }
}

static void build_list(tenon_builder *out,
                       enum growth_shape shape,
                       unsigned count,
                       int64_t innermost)
{
    tenon_build_list(out, count);
    for (unsigned i = 1; i <= count; i++) {
        build_element(out, shape, i, i == count ? innermost : 0);
    }
    tenon_build_nil(out);
}

static void build_cells(tenon_builder *out, unsigned count, int64_t innermost)
{
    for (unsigned i = 1; i <= count; i++) {
        tenon_build_list(out, 1);
        tenon_build_int(out, i == count ? innermost : 0);
    }
    tenon_build_nil(out);
}

tenon_value *
growth_term(enum growth_shape shape, unsigned size, int64_t innermost)
{
    unsigned scale = growth_scale(size);
    tenon_builder *out = tenon_builder_new();
    tenon_value *value = NULL;
    tenon_term term;

    if (shape <= GROWTH_KEYWORDS) {
        build_deep(out, shape, scale, innermost);
    } else if (shape == GROWTH_MAP) {
        build_map(out, WIDTH * scale, innermost);
    } else if (shape == GROWTH_CELLS) {
        build_cells(out, WIDTH * scale, innermost);
    } else {
        build_list(out, shape, WIDTH * scale, innermost);
    }
    if (tenon_builder_term(out, &term) == TENON_OK) {
        value = tenon_value_new(term);
    }
    tenon_builder_free(out);
    if (value == NULL) {
        fprintf(stderr, "no term of shape %d\n", (int)shape);
        abort();
    }
    return value;
}
