/* SPDX-License-Identifier: Apache-2.0 */
/* Rules with every allocation failing in turn: they are read whole or not at
 * all, and cookies are set or as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dist/cookies.h"
#include "node/rules.h"
#include "unit/support/hash_key.h"
#include "unit/support/nomem.h"

static const char text[] =
    "{peer, ['a@*', {certificate, \"a.org\"}],\n"
    " [{functions, [{m, f, 1}, {n, '_', '_'}]}, {services, [s]},\n"
    "  {names, [n, o]}]}.\n"
    "{cookie, 'a@h', {file, \"/c\"}}.\n";

static void read_rules(void *user)
{
    tn_rules *rules = NULL;
    tenon_error err = { 0 };
    enum tenon_err rc =
        tn_rules_read(text, sizeof text - 1, &test_hash_key, &rules, &err);

    (void)user;
    if (rc != TENON_OK) {
        assert_true(nomem_failed());
        assert_int_equal(rc, TENON_E_NOMEM);
        assert_null(rules);
        return;
    }
    assert_int_equal(tn_rules_count(rules), 1);
    tn_rules_unref(rules);
}

static void set_cookies(void *user)
{
    struct tn_cookies cookies = { .hash_key = &test_hash_key };

    (void)user;
    for (int i = 0; i < 2; i++) {
        const char *peer = i == 0 ? "a@h" : "b@h";
        enum tenon_err rc = tn_cookies_set(&cookies, peer, "own");

        if (rc == TENON_OK) {
            assert_string_equal(tn_cookies_of(&cookies, peer, "all"), "own");
        } else {
            assert_true(nomem_failed());
            assert_string_equal(tn_cookies_of(&cookies, peer, "all"), "all");
        }
    }
    tn_cookies_fini(&cookies);
}

static void rules_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(read_rules, NULL) > 10);
}

static void a_cookie_is_set_or_as_before(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(set_cookies, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_read_whole_or_not_at_all),
        cmocka_unit_test(a_cookie_is_set_or_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
