/* SPDX-License-Identifier: Apache-2.0 */
/* Our numbers against the headers that the installed OTP ships. A macro that
 * is not there any more does not compile, which is what we want to hear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ei.h>

#include <tenon/term.h>

#include "term/tags.h"

static void tags_are_those_of_ei(void **state)
{
    (void)state;
    assert_int_equal(TN_SMALL_INTEGER, ERL_SMALL_INTEGER_EXT);
    assert_int_equal(TN_INTEGER, ERL_INTEGER_EXT);
    assert_int_equal(TN_FLOAT, ERL_FLOAT_EXT);
    assert_int_equal(TN_NEW_FLOAT, NEW_FLOAT_EXT);
    assert_int_equal(TN_ATOM, ERL_ATOM_EXT);
    assert_int_equal(TN_SMALL_ATOM, ERL_SMALL_ATOM_EXT);
    assert_int_equal(TN_ATOM_UTF8, ERL_ATOM_UTF8_EXT);
    assert_int_equal(TN_SMALL_ATOM_UTF8, ERL_SMALL_ATOM_UTF8_EXT);
    assert_int_equal(TN_OLD_REF, ERL_REFERENCE_EXT);
    assert_int_equal(TN_NEW_REF, ERL_NEW_REFERENCE_EXT);
    assert_int_equal(TN_NEWER_REF, ERL_NEWER_REFERENCE_EXT);
    assert_int_equal(TN_PORT, ERL_PORT_EXT);
    assert_int_equal(TN_NEW_PORT, ERL_NEW_PORT_EXT);
    assert_int_equal(TN_V4_PORT, ERL_V4_PORT_EXT);
    assert_int_equal(TN_PID, ERL_PID_EXT);
    assert_int_equal(TN_NEW_PID, ERL_NEW_PID_EXT);
    assert_int_equal(TN_SMALL_TUPLE, ERL_SMALL_TUPLE_EXT);
    assert_int_equal(TN_LARGE_TUPLE, ERL_LARGE_TUPLE_EXT);
    assert_int_equal(TN_NIL, ERL_NIL_EXT);
    assert_int_equal(TN_STRING, ERL_STRING_EXT);
    assert_int_equal(TN_LIST, ERL_LIST_EXT);
    assert_int_equal(TN_BINARY, ERL_BINARY_EXT);
    assert_int_equal(TN_BIT_BINARY, ERL_BIT_BINARY_EXT);
    assert_int_equal(TN_SMALL_BIG, ERL_SMALL_BIG_EXT);
    assert_int_equal(TN_LARGE_BIG, ERL_LARGE_BIG_EXT);
    assert_int_equal(TN_NEW_FUN, ERL_NEW_FUN_EXT);
    assert_int_equal(TN_OLD_FUN, ERL_FUN_EXT);
    assert_int_equal(TN_EXPORT, ERL_EXPORT_EXT);
    assert_int_equal(TN_MAP, ERL_MAP_EXT);
}

static void version_and_sizes_are_those_of_ei(void **state)
{
    char buf[16];
    int index = 0;

    (void)state;
    assert_int_equal(ei_encode_version(buf, &index), 0);
    assert_int_equal(TN_VERSION, (unsigned char)buf[0]);
    /* ei counts the final NUL. */
    assert_int_equal(TENON_ATOM_MAX_BYTES + 1, MAXATOMLEN_UTF8);
    assert_int_equal(TN_ATOM_MAX_CHARACTERS + 1, MAXATOMLEN);
    assert_int_equal(TN_REF_MAX_WORDS,
                     sizeof((erlang_ref *)0)->n / sizeof(unsigned int));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_those_of_ei),
        cmocka_unit_test(version_and_sizes_are_those_of_ei),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
