/* SPDX-License-Identifier: Apache-2.0 */
/* Memberships that a peer announces are on its account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tenon.h>

#include "otp/pg_groups.h"
#include "unit/support/ends.h"
#include "unit/support/hash_key.h"

#define NAME_BYTES 60000u

static tn_budget *budget;
static struct tn_pg_groups groups;
static struct tn_pg_owner greedy;
static struct tn_pg_owner other;

static struct tn_pg_owner owner_of(const char *name)
{
    return (struct tn_pg_owner){ .hash_key = &test_hash_key,
                                 .account = tn_account_of(budget, name) };
}

static int set_up(void **state)
{
    (void)state;
    budget = tn_budget_new(1u << 30);
    groups = (struct tn_pg_groups){ .hash_key = &test_hash_key,
                                    .members_max = TENON_PG_MEMBERS_MAX,
                                    .bytes_max = TENON_PG_GROUPS_MAX_BYTES };
    greedy = owner_of("greedy@h");
    other = owner_of("other@h");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    int left = tn_budget_used(budget) == 0 ? 0 : 1;
    tn_account_unref(greedy.account);
    tn_account_unref(other.account);
    tn_budget_unref(budget);
    return left;
}

static enum tenon_err
enter(struct tn_pg_owner *owner, unsigned number, struct tn_pg_entry **entry)
{
    static uint8_t bytes[NAME_BYTES];
    memcpy(bytes, &number, sizeof number);
    tenon_value *name = tenon_value_format("~b", bytes, sizeof bytes);
    enum tenon_err rc =
        tn_pg_entry_get(&groups, owner, tenon_value_term(name), entry);
    tenon_value_free(name);
    return rc;
}

static void names_of_groups_are_the_peers(void **state)
{
    (void)state;
    static struct tn_pg_entry *entries[1000];
    struct tn_pg_entry *of_other;
    unsigned count = 0;
    while (enter(&greedy, count, &entries[count]) == TENON_OK) {
        count++;
    }
    assert_in_range(count, TN_PG_PEER_GROUPS_MAX_BYTES / NAME_BYTES - 1,
                    TN_PG_PEER_GROUPS_MAX_BYTES / NAME_BYTES);
    assert_true(tn_account_bytes(greedy.account) >= count * NAME_BYTES);
    assert_int_equal(enter(&other, 0, &of_other), TENON_OK);
    tn_pg_entry_tidy(&groups, of_other);
    while (count > 0) {
        tn_pg_entry_tidy(&groups, entries[--count]);
    }
    assert_null(groups.table);
}

static void members_are_the_peers(void **state)
{
    (void)state;
    struct tn_pg_entry *entry;
    struct tn_pg_entry *of_other;
    struct tn_pg_member *member;
    struct tn_pg_member *refused;
    struct tn_pg_pid pid;
    uint8_t bytes[80];
    assert_int_equal(enter(&greedy, 1, &entry), TENON_OK);
    assert_int_equal(enter(&other, 1, &of_other), TENON_OK);
    assert_true(tn_pg_pid_of(&pid, make_pid(bytes, "a@h", 1, 1)));
    assert_int_equal(tn_pg_member_get(entry, &pid, &member), TENON_OK);
    assert_true(tn_account_take_many(greedy.account, TN_QUOTA_MEMBERS,
                                     TN_PG_PEER_MEMBERS_MAX - 1,
                                     TN_PG_PEER_MEMBERS_MAX));
    assert_true(tn_pg_pid_of(&pid, make_pid(bytes, "a@h", 2, 1)));
    assert_int_equal(tn_pg_member_get(entry, &pid, &refused), TENON_E_LIMIT);
    assert_int_equal(tn_pg_member_get(of_other, &pid, &refused), TENON_OK);
    tn_pg_member_tidy(refused);
    tn_pg_member_tidy(member);
    assert_int_equal(tn_account_count(greedy.account, TN_QUOTA_MEMBERS),
                     TN_PG_PEER_MEMBERS_MAX - 1);
    tn_pg_entry_tidy(&groups, entry);
    tn_pg_entry_tidy(&groups, of_other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_of_groups_are_the_peers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(members_are_the_peers, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
