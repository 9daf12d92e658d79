/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes and their detail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

static void every_code_has_a_name_a_text_and_a_number_of_its_own(void **state)
{
    static const struct {
        enum tenon_err code;
        int number;
        const char *name;
    } all[] = {
#define ROW(name, number, text) { TENON_E_##name, number, #name },
        TENON_ERR_LIST(ROW)
#undef ROW
    };
    size_t count = sizeof all / sizeof all[0];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_true(all[i].code < 0);
        assert_int_equal(all[i].code, all[i].number);
        assert_string_equal(tenon_err_name(all[i].code), all[i].name);
        assert_true(strlen(tenon_err_text(all[i].code)) > 5);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(all[i].code, all[j].code);
        }
    }
    assert_string_equal(tenon_err_name(TENON_OK), "OK");
    assert_string_equal(tenon_err_name((enum tenon_err) - 9999), "UNKNOWN");
    assert_string_equal(tenon_err_text((enum tenon_err) - 9999),
                        "unknown error");
}

static void detail_is_filled_and_the_code_returned(void **state)
{
    tenon_error err = { .sys_errno = 7 };

    (void)state;
    assert_int_equal(tn_error(&err, TENON_E_NAME, "name \"%s\": %d", "a", 5),
                     TENON_E_NAME);
    assert_int_equal(err.code, TENON_E_NAME);
    assert_int_equal(err.sys_errno, 0);
    assert_string_equal(err.text, "name \"a\": 5");
    assert_int_equal(tn_error(NULL, TENON_E_NAME, "x"), TENON_E_NAME);
}

static void the_system_says_why(void **state)
{
    tenon_error err;

    (void)state;
    assert_int_equal(
        tn_error_sys(&err, TENON_E_SYSTEM, ECONNREFUSED, "could not connect"),
        TENON_E_SYSTEM);
    assert_int_equal(err.sys_errno, ECONNREFUSED);
    assert_string_equal(err.text, "could not connect: Connection refused");
    assert_int_equal(tn_error_sys(NULL, TENON_E_SYSTEM, EINTR, "x"),
                     TENON_E_SYSTEM);
}

static void long_detail_is_cut_visibly_between_characters(void **state)
{
    char text[600];
    tenon_error err;

    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', sizeof text);
        for (size_t i = shift; i + 2 < sizeof text; i += 2) {
            memcpy(text + i, "ž", 2);
        }
        text[sizeof text - 1] = '\0';
        tn_error(&err, TENON_E_INVAL, "%s", text);
        size_t len = strlen(err.text);

        assert_true(len <= sizeof err.text - 1 && len > sizeof err.text - 6);
        assert_string_equal(err.text + len - 3, "...");
        /* The last character before the dots is whole. */
        assert_int_equal((unsigned char)err.text[len - 4] & 0xC0, 0x80);
    }
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    tn_error_sys(&err, TENON_E_SYSTEM, ENOENT, "%s", text);
    assert_string_equal(err.text + sizeof err.text - 4, "...");
    text[sizeof err.text - 5] = '\0';
    tn_error_sys(&err, TENON_E_SYSTEM, ENOENT, "%s", text);
    assert_string_equal(err.text + strlen(err.text) - 3, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_a_text_and_a_number_of_its_own),
        cmocka_unit_test(detail_is_filled_and_the_code_returned),
        cmocka_unit_test(the_system_says_why),
        cmocka_unit_test(long_detail_is_cut_visibly_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
