/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for frames, on the account of the peer that sends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dist/block.h"

/* So large a block grows where it is, on systems that can do that. */
#define LARGE (8u << 20)

static tn_budget *budget;
static tn_account *account;
static struct tn_block_pool *pool;

static int set_up(void **state)
{
    (void)state;
    budget = tn_budget_new(4 * LARGE);
    account = tn_account_of(budget, "a@h");
    pool = tn_block_pool_new();
    return account == NULL || pool == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    tn_block_pool_free(pool);
    tn_account_unref(account);
    tn_budget_unref(budget);
    return 0;
}

static void a_block_is_charged_until_it_is_released(void **state)
{
    (void)state;
    struct tn_block *block;
    struct tn_block *other;
    assert_int_equal(tn_block_new(pool, account, 2 * LARGE, &block), TENON_OK);
    assert_int_equal(tn_account_bytes(account), block->cap);
    assert_int_equal(tn_block_new(pool, account, LARGE, &other), TENON_E_LIMIT);
    assert_int_equal(tn_account_bytes(account), block->cap);
    tn_block_release(block);
    assert_int_equal(tn_account_bytes(account), 0);
}

static void a_small_block_is_there_in_any_case(void **state)
{
    (void)state;
    struct tn_block *block;
    tn_account_charge_always(account, 4 * LARGE);
    assert_int_equal(tn_block_new(pool, account, 1, &block), TENON_OK);
    assert_int_equal(tn_account_bytes(account), 4 * LARGE + TN_BLOCK_BYTES);
    tn_block_release(block);
    tn_account_discharge(account, 4 * LARGE);
}

static void a_block_grows_as_far_as_there_is_room(void **state)
{
    (void)state;
    struct tn_block *block;
    assert_int_equal(tn_block_new(pool, account, LARGE, &block), TENON_OK);
    if (tn_block_can_grow(block)) {
        assert_int_equal(tn_block_grow(&block, LARGE + LARGE / 2), TENON_OK);
        assert_int_equal(tn_account_bytes(account), LARGE + LARGE / 2);
        assert_int_equal(tn_block_grow(&block, 3 * LARGE), TENON_E_LIMIT);
        assert_int_equal(block->cap, LARGE + LARGE / 2);
        assert_int_equal(tn_account_bytes(account), LARGE + LARGE / 2);
    }
    tn_block_release(block);
    assert_int_equal(tn_account_bytes(account), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_block_is_charged_until_it_is_released),
        TEST(a_small_block_is_there_in_any_case),
        TEST(a_block_grows_as_far_as_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
