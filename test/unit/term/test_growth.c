/* SPDX-License-Identifier: Apache-2.0 */
/* What reads a peer's term takes time in proportion to it, whatever its
 * shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include <tenon/term.h>

#include "term/build.h"
#include "term/canonical.h"
#include "unit/support/growth.h"

/* Two of each size that differ in the innermost place. */
struct pairs {
    tenon_term a[GROWTH_SIZES];
    tenon_term b[GROWTH_SIZES];
};

static void read_canonical(void *user, unsigned size)
{
    const struct pairs *pairs = user;
    struct tenon_builder out;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    assert_int_equal(tn_build_canonical(&out, pairs->a[size]), TENON_OK);
    tn_builder_fini(&out);
}

static void read_equal(void *user, unsigned size)
{
    const struct pairs *pairs = user;

    assert_false(tenon_term_equal(pairs->a[size], pairs->b[size]));
}

static void read_compare(void *user, unsigned size)
{
    const struct pairs *pairs = user;

    assert_int_not_equal(tenon_term_compare(pairs->a[size], pairs->b[size]), 0);
}

static void read_print(void *user, unsigned size)
{
    const struct pairs *pairs = user;

    assert_true(tenon_term_print(pairs->a[size], NULL, 0) > 0);
}

/* Most of these match nothing; those behind a bar walk the list first. */
static void read_match(void *user, unsigned size)
{
    static const char *const patterns[] = {
        "{:a, _}",        "[_ | [_ | [_ | []]]]",
        "[_, _ | ~t]",    "%{a: _, b: ~t}",
        "%{1 => _}",      "%{%{x: 1} => _}",
        "[a: [a: ~t]]",   "%URI{path: ~s}",
        "{:a, {:a, ~t}}", "[[], [[], [[], _]]]",
    };
    const struct pairs *pairs = user;
    tenon_term term;
    const char *text;
    size_t len;

    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        if (i == 7) {
            (void)tenon_match(pairs->a[size], patterns[i], &text, &len);
        } else {
            (void)tenon_match(pairs->a[size], patterns[i], &term);
        }
    }
}

static void read_accessors(void *user, unsigned size)
{
    const struct pairs *pairs = user;
    tenon_term term = pairs->a[size];
    tenon_term found;

    bool any = tenon_term_count(term) > 0;

    any = tenon_term_is_proper_list(term) || any;
    any = tenon_tuple_get(term, 1, &found) == TENON_OK || any;
    any = tenon_map_get(term, pairs->b[size], &found) == TENON_OK || any;
    any = tenon_map_get_atom(term, "c", &found) == TENON_OK || any;
    any = tenon_map_get_binary(term, "c", &found) == TENON_OK || any;
    assert_true(any);
    assert_int_equal(tenon_term_scan(term.bytes, term.len, &found, NULL),
                     TENON_OK);
}

static void every_reader_is_linear_in_every_shape(void **state)
{
    static const struct {
        const char *name;
        growth_read *read;
    } readers[] = {
        { "canonical form", read_canonical },
        { "equal", read_equal },
        { "compare", read_compare },
        { "print", read_print },
        { "match", read_match },
        { "accessors", read_accessors },
    };

    (void)state;
    for (enum growth_shape shape = 0; shape < GROWTH_SHAPES; shape++) {
        tenon_value *a[GROWTH_SIZES];
        tenon_value *b[GROWTH_SIZES];
        struct pairs pairs;

        for (unsigned size = 0; size < GROWTH_SIZES; size++) {
            a[size] = growth_term(shape, size, 1);
            b[size] = growth_term(shape, size, 2);
            pairs.a[size] = tenon_value_term(a[size]);
            pairs.b[size] = tenon_value_term(b[size]);
        }
        for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
            char what[80];

            snprintf(what, sizeof what, "%s of %s", readers[i].name,
                     growth_name(shape));
            assert_growth(what, readers[i].read, &pairs);
        }
        for (unsigned size = 0; size < GROWTH_SIZES; size++) {
            tenon_value_free(a[size]);
            tenon_value_free(b[size]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reader_is_linear_in_every_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
