/* SPDX-License-Identifier: Apache-2.0 */
/* What the system processes make of a peer's term takes time in proportion to
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tenon/term.h>

#include "otp/io.h"
#include "unit/support/growth.h"

struct terms {
    tenon_value *all[GROWTH_SIZES];
};

static void make_terms(struct terms *terms, enum growth_shape shape)
{
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        terms->all[size] = growth_term(shape, size, 65);
    }
}

static void free_terms(struct terms *terms)
{
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tenon_value_free(terms->all[size]);
    }
}

static void read_chardata(void *user, unsigned size)
{
    const struct terms *terms = user;
    struct tn_buf text;

    tn_buf_init(&text, TN_IO_TEXT_MAX_BYTES);
    assert_int_equal(
        tn_io_text(&text, TENON_IO_UNICODE, tenon_value_term(terms->all[size])),
        TENON_OK);
    assert_true(text.len > 0);
    tn_buf_fini(&text);
}

static void chardata_of_any_depth_is_read_in_linear_time(void **state)
{
    static const enum growth_shape shapes[] = { GROWTH_LISTS, GROWTH_CELLS };
    struct terms terms;

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        make_terms(&terms, shapes[i]);
        assert_growth("chardata", read_chardata, &terms);
        free_terms(&terms);
    }
}

/* "~p ~s" with a term of any shape: printed, or refused as chardata. */
static void read_format(void *user, unsigned size)
{
    const struct terms *terms = user;
    tenon_term term = tenon_value_term(terms->all[size]);
    tenon_value *args = tenon_value_format("[~t, ~t]", term, term);
    tenon_value *format = tenon_value_format("~s", "~p ~999999999s");
    struct tn_buf text;

    assert_true(args != NULL && format != NULL);
    tn_buf_init(&text, TN_IO_TEXT_MAX_BYTES);
    enum tenon_err rc =
        tn_io_format(&text, tenon_value_term(format), tenon_value_term(args));

    assert_true(rc == TENON_OK || rc == TENON_E_TERM_TYPE);
    tn_buf_fini(&text);
    tenon_value_free(format);
    tenon_value_free(args);
}

static void formats_take_linear_time(void **state)
{
    struct terms terms;

    (void)state;
    for (enum growth_shape shape = 0; shape < GROWTH_SHAPES; shape++) {
        make_terms(&terms, shape);
        assert_growth(growth_name(shape), read_format, &terms);
        free_terms(&terms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chardata_of_any_depth_is_read_in_linear_time),
        cmocka_unit_test(formats_take_linear_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
