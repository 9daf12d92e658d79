/* SPDX-License-Identifier: Apache-2.0 */
/* What peers make a node keep: the budget that they share, and their quotas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"

#define MAX 1200u

static tn_account *account_of(tn_budget *budget, const char *name)
{
    tn_account *account = tn_account_of(budget, name);
    assert_non_null(account);
    return account;
}

/* Charges byte by byte until the account is refused. */
static size_t fill(tn_account *account)
{
    size_t bytes = 0;
    while (tn_account_charge(account, 1)) {
        bytes++;
    }
    return bytes;
}

static void a_lone_peer_gets_half_of_the_budget(void **state)
{
    (void)state;
    tn_budget *budget = tn_budget_new(MAX);
    tn_account *one = account_of(budget, "one@x");
    assert_int_equal(fill(one), MAX / 2);
    assert_false(tn_account_has_room(one, 1));
    assert_int_equal(tn_budget_used(budget), MAX / 2);
    tn_account_discharge(one, MAX / 2);
    assert_int_equal(tn_budget_used(budget), 0);
    assert_int_equal(tn_budget_peak(budget), MAX / 2);
    tn_account_unref(one);
    tn_budget_unref(budget);
}

static void the_peer_that_holds_most_is_refused_and_others_go_on(void **state)
{
    (void)state;
    tn_budget *budget = tn_budget_new(MAX);
    tn_account *greedy = account_of(budget, "greedy@x");
    tn_account *other = account_of(budget, "other@x");
    (void)fill(greedy);
    assert_int_equal(fill(other), MAX / 4);
    assert_false(tn_account_has_room(greedy, 1));
    /* What the greedy one gives back the other may have, until both hold the
     * same. */
    tn_account_discharge(greedy, MAX / 2 - 400);
    assert_int_equal(fill(other), 100);
    assert_int_equal(fill(greedy), 0);
    assert_int_equal(tn_account_bytes(other), 400);
    tn_account_unref(greedy);
    tn_account_unref(other);
    tn_budget_unref(budget);
}

static void any_number_of_peers_stays_below_the_budget(void **state)
{
    (void)state;
    tn_budget *budget = tn_budget_new(MAX);
    tn_account *peers[50];
    for (size_t i = 0; i < 50; i++) {
        char name[] = { (char)('0' + i), '\0' };
        peers[i] = account_of(budget, name);
        (void)fill(peers[i]);
    }
    assert_in_range(tn_budget_peak(budget), MAX / 2, MAX);
    for (size_t i = 0; i < 50; i++) {
        tn_account_unref(peers[i]);
    }
    tn_budget_unref(budget);
}

static void sums_do_not_wrap(void **state)
{
    (void)state;
    tn_budget *budget = tn_budget_new(SIZE_MAX);
    tn_account *one = account_of(budget, "one@x");
    assert_true(tn_account_charge(one, 10));
    assert_false(tn_account_charge(one, SIZE_MAX));
    assert_false(tn_account_charge(one, SIZE_MAX - 9));
    assert_false(tn_account_charge(one, SIZE_MAX / 2));
    assert_true(tn_account_charge(one, SIZE_MAX / 2 - 10));
    tn_account_unref(one);
    tn_budget_unref(budget);
}

static void what_is_kept_in_any_case_counts(void **state)
{
    (void)state;
    tn_budget *budget = tn_budget_new(MAX);
    tn_account *one = account_of(budget, "one@x");
    tn_account_charge_always(one, 2 * MAX);
    assert_false(tn_account_charge(one, 1));
    assert_int_equal(tn_budget_used(budget), 2 * MAX);
    tn_account_unref(one);
    tn_budget_unref(budget);
}

static void a_peer_that_comes_back_has_the_account_that_it_had(void **state)
{
    (void)state;
    tn_budget *budget = tn_budget_new(MAX);
    tn_account *before = account_of(budget, "one@x");
    (void)fill(before);
    tn_account *after = account_of(budget, "one@x");
    assert_ptr_equal(before, after);
    tn_account_unref(after);
    tn_account_discharge(before, MAX / 2);
    tn_account_unref(before);
    /* With nothing of it left it is a new one. */
    tn_account *fresh = account_of(budget, "one@x");
    assert_int_equal(tn_account_bytes(fresh), 0);
    assert_string_equal(tn_account_name(fresh), "one@x");
    tn_account_unref(fresh);
    tn_budget_unref(budget);
}

static void things_are_counted_by_kind(void **state)
{
    (void)state;
    tn_budget *budget = tn_budget_new(MAX);
    tn_account *one = account_of(budget, "one@x");
    assert_true(tn_account_take(one, TN_QUOTA_LINKS, 2));
    assert_true(tn_account_take(one, TN_QUOTA_LINKS, 2));
    assert_false(tn_account_take(one, TN_QUOTA_LINKS, 2));
    assert_true(tn_account_take(one, TN_QUOTA_MONITORS, 2));
    tn_account_give_back(one, TN_QUOTA_LINKS);
    assert_true(tn_account_take(one, TN_QUOTA_LINKS, 2));
    assert_int_equal(tn_account_count(one, TN_QUOTA_LINKS), 2);
    tn_account_unref(one);
    tn_budget_unref(budget);
}

static void refusals_are_told_once_a_second_with_their_number(void **state)
{
    (void)state;
    const char *what = NULL;
    tn_budget *budget = tn_budget_new(MAX);
    tn_account *one = account_of(budget, "one@x");
    assert_int_equal(tn_account_take_refused(one, 1000, false, &what), 0);
    tn_account_note_refused(one, "links");
    assert_int_equal(tn_account_take_refused(one, 1000, false, &what), 1);
    assert_string_equal(what, "links");
    tn_account_note_refused(one, "links");
    tn_account_note_refused(one, "monitors");
    assert_int_equal(tn_account_take_refused(one, 1999, false, &what), 0);
    assert_int_equal(tn_account_take_refused(one, 2000, false, &what), 2);
    assert_string_equal(what, "monitors");
    tn_account_note_refused(one, "links");
    assert_int_equal(tn_account_take_refused(one, 2001, true, &what), 1);
    tn_account_unref(one);
    tn_budget_unref(budget);
}

static void no_account_has_no_limit(void **state)
{
    (void)state;
    assert_true(tn_account_charge(NULL, SIZE_MAX));
    assert_true(tn_account_take(NULL, TN_QUOTA_LINKS, 0));
    tn_account_discharge(NULL, SIZE_MAX);
    tn_account_give_back(NULL, TN_QUOTA_LINKS);
    tn_account_unref(NULL);
    tn_budget_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_peer_gets_half_of_the_budget),
        cmocka_unit_test(the_peer_that_holds_most_is_refused_and_others_go_on),
        cmocka_unit_test(any_number_of_peers_stays_below_the_budget),
        cmocka_unit_test(sums_do_not_wrap),
        cmocka_unit_test(what_is_kept_in_any_case_counts),
        cmocka_unit_test(a_peer_that_comes_back_has_the_account_that_it_had),
        cmocka_unit_test(things_are_counted_by_kind),
        cmocka_unit_test(refusals_are_told_once_a_second_with_their_number),
        cmocka_unit_test(no_account_has_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
