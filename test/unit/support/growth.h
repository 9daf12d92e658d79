/* SPDX-License-Identifier: Apache-2.0 */
/* How the cost of reading a term grows with the term, and terms of the shapes
 * that make a reader slow which walks a part again for each level around it.
 *
 * What is measured is CPU time, of this thread or of all of this program, as a
 * ratio: of a term 16 times as large to one of size 1. A linear reader takes 16
 * times as long, one that sorts about 20 times, a quadratic one 256 times. That
 * is steady: other programs do not count, a slow machine slows both sides
 * alike, each size is read as often as takes about the same time, and what
 * disturbs (a cold cache) only ever adds, so that the least of several rounds
 * counts, and more rounds are run before a test fails. With sanitizers, in
 * valgrind and in the hostile build each size is read once, and nothing is
 * measured: every append moves the whole buffer in the hostile build. */
#ifndef TN_TEST_GROWTH_H
#define TN_TEST_GROWTH_H

#include <stddef.h>

#include <tenon/term.h>

#define GROWTH_SIZES 3u

/* Of the larger one to the smaller one. 16 is linear; caches that the larger one
 * does not fit into have made 40 of it. What is quadratic shows 200 and more. */
#define GROWTH_MAX 64.0

/* 1, 4, 16: how much larger than the first is that size? */
unsigned growth_scale(unsigned size);

typedef void growth_read(void *user, unsigned size);

/* How many times longer `read` takes for the last size than for the first; 0
 * where that is not measured. */
double growth_of(growth_read *read, void *user);

/* Fails the test when `read` grows by more than GROWTH_MAX. */
void assert_growth(const char *what, growth_read *read, void *user);
/* The same of what other threads do of it; `read` waits for them. */
void assert_growth_of_threads(const char *what, growth_read *read, void *user);

/* Depth grows with the size, as well as width: what costs depth times width
 * is quadratic. */
enum growth_shape {
    GROWTH_TUPLES,   /* tuples in tuples around a long list */
    GROWTH_LISTS,    /* lists in lists around a long list */
    GROWTH_VALUES,   /* maps in values of maps around a long list */
    GROWTH_FIRST,    /* the same in the first values of maps in order */
    GROWTH_KEYS,     /* maps in keys of maps around a long list */
    GROWTH_KEYWORDS, /* keyword lists in keyword lists around a long list */
    GROWTH_MAP,      /* one map of many keys */
    GROWTH_MAPS,     /* a list of many maps */
    GROWTH_PIDS,     /* a list of many pids */
    GROWTH_NAMES,    /* a list of many atoms */
    GROWTH_CELLS,    /* a list written cell by cell */
    GROWTH_SHAPES,
};

const char *growth_name(enum growth_shape shape);

/* A term of that shape and size. innermost: stands in its middle or at its
 * end. owned: tenon_value_free. */
tenon_value *
growth_term(enum growth_shape shape, unsigned size, int64_t innermost);

#endif
