/* SPDX-License-Identifier: Apache-2.0 */
/* Signals to nodes that are being connected: all of them together are kept as
 * those of one peer are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/pending.h"
#include "unit/support/ends.h"

#define BUDGET (4u << 20)
#define PART 10000u

static tn_budget *budget;
static struct tn_pending one;
static struct tn_pending other;

static int set_up(void **state)
{
    (void)state;
    budget = tn_budget_new(BUDGET);
    tn_pending_init(&one);
    tn_pending_init(&other);
    return budget == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    tn_pending_fini(&one);
    tn_pending_fini(&other);
    bool is_free = tn_budget_used(budget) == 0;
    tn_budget_unref(budget);
    return is_free ? 0 : -1;
}

static enum tenon_err
add(struct tn_pending *pending, enum tn_signal_kind kind, size_t max)
{
    static const uint8_t zeros[PART];
    uint8_t from[80];
    uint8_t to[80];
    tenon_value *payload = tenon_value_format("~b", zeros, sizeof zeros);
    struct tn_signal signal = { .kind = kind,
                                .from = make_pid(from, "a@h", 1, 1),
                                .to = make_pid(to, "b@h", 2, 1),
                                .payload = tenon_value_term(payload) };
    enum tenon_err rc = tn_pending_add(pending, budget, &signal, max);
    tenon_value_free(payload);
    return rc;
}

static void fill(struct tn_pending *pending)
{
    while (add(pending, TN_SIG_SEND, SIZE_MAX) == TENON_OK) {
    }
}

static void all_nodes_that_are_connected_share_one_part(void **state)
{
    (void)state;
    assert_int_equal(add(&one, TN_SIG_SEND, SIZE_MAX), TENON_OK);
    assert_true(tn_budget_used(budget) >= PART);
    fill(&one);
    fill(&other);
    assert_int_equal(add(&one, TN_SIG_SEND, SIZE_MAX), TENON_E_QUEUE_FULL);
    assert_int_equal(add(&other, TN_SIG_SEND, SIZE_MAX), TENON_E_QUEUE_FULL);
    /* Something is left for those that are. The last buffer has grown. */
    assert_in_range(tn_budget_used(budget), BUDGET / 4, BUDGET * 3 / 4);
    tn_pending_fini(&one);
    assert_int_equal(add(&other, TN_SIG_SEND, SIZE_MAX), TENON_OK);
    assert_false(other.broken);
}

static void what_others_wait_for_is_kept_longer(void **state)
{
    (void)state;
    fill(&one);
    assert_int_equal(add(&other, TN_SIG_EXIT, SIZE_MAX), TENON_OK);
    assert_false(other.broken);
    while (other.frames.len < TN_PENDING_ALWAYS_BYTES) {
        assert_int_equal(add(&other, TN_SIG_EXIT, SIZE_MAX), TENON_OK);
    }
    assert_int_equal(add(&other, TN_SIG_EXIT, SIZE_MAX), TENON_E_QUEUE_FULL);
    assert_true(other.broken);
}

static void one_node_has_a_limit_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(add(&one, TN_SIG_SEND, PART), TENON_OK);
    assert_int_equal(add(&one, TN_SIG_SEND, PART), TENON_E_QUEUE_FULL);
    assert_int_equal(add(&one, TN_SIG_EXIT, PART), TENON_OK);
    assert_false(one.broken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_nodes_that_are_connected_share_one_part),
        TEST(what_others_wait_for_is_kept_longer),
        TEST(one_node_has_a_limit_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
