/* SPDX-License-Identifier: Apache-2.0 */
/* Frames with terms of any shape, and epmd's lists of names, are read in linear
 * time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "dist/epmd.h"
#include "dist/signal.h"
#include "unit/support/growth.h"

#define PASS_THROUGH 112
#define VERSION 131
#define NAMES 200u

static void append(struct tn_buf *out, const void *bytes, size_t len)
{
    assert_int_equal(tn_buf_append(out, bytes, len), TENON_OK);
}

static void append_term(struct tn_buf *out, tenon_term term)
{
    append(out, &(uint8_t){ VERSION }, 1);
    append(out, term.bytes, term.len);
}

/* ---- frames -------------------------------------------------------------- */

struct frames {
    struct tn_buf bytes[GROWTH_SIZES];
};

/* ~t: a term of the shape. */
static const char *const controls[] = {
    "{22, ~p, ~p}",                      /* SEND_SENDER */
    "{6, ~p, :\"\", :name}",             /* REG_SEND */
    "{24, ~p, ~p}",                      /* PAYLOAD_EXIT */
    "{29, ~r, ~p, ~p, {:m, :f, 1}, ~t}", /* SPAWN_REQUEST */
};

static tenon_value *control_of(size_t kind, tenon_term options)
{
    const tenon_pid pid = { .node = "a@b", .id = 1, .creation = 2 };
    const tenon_ref ref = { .node = "a@b", .word_count = 3, .creation = 2 };

    return kind == 3
               ? tenon_value_format(controls[kind], &ref, &pid, &pid, options)
               : tenon_value_format(controls[kind], &pid, &pid);
}

/* The shape is the message or the reason; of a spawn request the options too,
 * and its arguments. */
static void make_frame(struct tn_buf *out, size_t kind, tenon_term term)
{
    tenon_value *control = control_of(kind, term);

    assert_non_null(control);
    tn_buf_init(out, TENON_TERM_MAX_BYTES);
    append(out, &(uint8_t){ PASS_THROUGH }, 1);
    append_term(out, tenon_value_term(control));
    append_term(out, term);
    tenon_value_free(control);
}

static void parse(void *user, unsigned size)
{
    const struct frames *frames = user;
    const struct tn_buf *bytes = &frames->bytes[size];
    struct tn_signal signal;

    assert_int_equal(tn_signal_parse(bytes->bytes, bytes->len, &signal, NULL),
                     TENON_OK);
    assert_true(tn_signal_from_peer(&signal, "a@b"));
}

static void frames_of_any_shape_take_linear_time(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < sizeof controls / sizeof controls[0]; kind++) {
        for (enum growth_shape shape = 0; shape < GROWTH_SHAPES; shape++) {
            struct frames frames;
            char what[120];

            for (unsigned size = 0; size < GROWTH_SIZES; size++) {
                tenon_value *term = growth_term(shape, size, 1);

                make_frame(&frames.bytes[size], kind, tenon_value_term(term));
                tenon_value_free(term);
            }
            snprintf(what, sizeof what, "%s with %s", controls[kind],
                     growth_name(shape));
            assert_growth(what, parse, &frames);
            for (unsigned size = 0; size < GROWTH_SIZES; size++) {
                tn_buf_fini(&frames.bytes[size]);
            }
        }
    }
}

/* ---- epmd ---------------------------------------------------------------- */

static void read_names(void *user, unsigned size)
{
    const struct frames *answers = user;
    const struct tn_buf *answer = &answers->bytes[size];
    struct tn_epmd_name name;
    size_t at = 0;
    unsigned count = 0;

    while (tn_epmd_next_name(answer->bytes, answer->len, &at, &name)) {
        count++;
    }
    assert_int_equal(count, NAMES * growth_scale(size));
}

/* Between the lines such as are none, and one very long one at the end. */
static void lists_of_names_take_linear_time(void **state)
{
    struct frames answers;

    (void)state;
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        struct tn_buf *answer = &answers.bytes[size];
        char line[64];

        tn_buf_init(answer, TN_EPMD_NAMES_MAX_BYTES);
        append(answer, "\0\0\x11\x11", 4);
        for (unsigned i = 0; i < NAMES * growth_scale(size); i++) {
            int len = snprintf(line, sizeof line,
                               "name n%u at port %u\nname of none\n", i, i + 1);

            append(answer, line, (size_t)len);
        }
        for (unsigned i = 0; i < NAMES * growth_scale(size); i++) {
            append(answer, "name at ", 8);
        }
    }
    assert_growth("names", read_names, &answers);
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tn_buf_fini(&answers.bytes[size]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_any_shape_take_linear_time),
        cmocka_unit_test(lists_of_names_take_linear_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
