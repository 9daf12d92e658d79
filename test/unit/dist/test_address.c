/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of both families, from text and as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dist/address.h"

static void check_text(const char *text, int family, const char *printed)
{
    struct tn_address address;
    char buf[TN_ADDRESS_TEXT_BYTES];

    assert_true(tn_address_parse(text, family, &address));
    assert_int_equal(tn_address_family(&address), family);
    assert_int_equal(tn_address_port(&address), 0);
    tn_address_set_port(&address, 65535);
    assert_int_equal(tn_address_port(&address), 65535);
    assert_string_equal(tn_address_print(&address, buf), printed);
}

static void addresses_are_read_and_printed(void **state)
{
    (void)state;
    check_text("127.0.0.1", AF_INET, "127.0.0.1:65535");
    check_text("::1", AF_INET6, "[::1]:65535");
    check_text("1234:5678:9abc:def0:1234:5678:255.255.255.255", AF_INET6,
               "[1234:5678:9abc:def0:1234:5678:ffff:ffff]:65535");
}

static void what_is_no_address_of_the_family_is_refused(void **state)
{
    struct tn_address address;

    (void)state;
    assert_false(tn_address_parse("::1", AF_INET, &address));
    assert_false(tn_address_parse("127.0.0.1", AF_INET6, &address));
    assert_false(tn_address_parse("localhost", AF_INET, &address));
    assert_false(tn_address_parse("", AF_INET, &address));
    assert_false(tn_address_parse("127.0.0.1:80", AF_INET, &address));
}

static void all_and_loopback_are_those_of_their_family(void **state)
{
    char buf[TN_ADDRESS_TEXT_BYTES];
    struct tn_address address;

    (void)state;
    address = tn_address_all(AF_INET);
    assert_string_equal(tn_address_print(&address, buf), "0.0.0.0:0");
    address = tn_address_all(AF_INET6);
    assert_string_equal(tn_address_print(&address, buf), "[::]:0");
    address = tn_address_loopback(AF_INET);
    assert_string_equal(tn_address_print(&address, buf), "127.0.0.1:0");
    address = tn_address_loopback(AF_INET6);
    assert_string_equal(tn_address_print(&address, buf), "[::1]:0");
}

static void what_was_found_is_taken_when_its_family_is_wanted(void **state)
{
    struct tn_address found = tn_address_loopback(AF_INET6);
    struct tn_address taken;

    (void)state;
    assert_true(tn_address_take(&found.at.any, tn_address_len(&found), AF_INET6,
                                &taken));
    assert_memory_equal(&taken.at.v6, &found.at.v6, sizeof found.at.v6);
    assert_false(tn_address_take(&found.at.any, tn_address_len(&found), AF_INET,
                                 &taken));
    assert_false(tn_address_take(&found.at.any, tn_address_len(&found) - 1,
                                 AF_INET6, &taken));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_printed),
        cmocka_unit_test(what_is_no_address_of_the_family_is_refused),
        cmocka_unit_test(all_and_loopback_are_those_of_their_family),
        cmocka_unit_test(what_was_found_is_taken_when_its_family_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
