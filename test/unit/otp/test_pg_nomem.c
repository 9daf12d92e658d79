/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups with every allocation failing in turn: what is known stays
 * in order, and what could not be told is told as lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "otp/pg.h"
#include "otp/pg_scope.h"
#include "own_node.h"
#include "unit/support/hash_key.h"
#include "unit/support/nomem.h"

/* ---- the protocol ------------------------------------------------------ */

static void take_message(void *user, tenon_term to, tenon_term message)
{
    (void)user;
    (void)to;
    assert_true(message.bytes != NULL || nomem_failed());
}

static enum tenon_err monitor(void *user, tenon_term pid, tenon_ref *ref)
{
    (void)user;
    (void)pid;
    *ref = (tenon_ref){ .word_count = 1 };
    return TENON_OK;
}

static void demonitor(void *user, const tenon_ref *ref)
{
    (void)user;
    (void)ref;
}

static void
take_change(void *user, bool joined, tenon_term group, tenon_term pids)
{
    (void)user;
    (void)joined;
    (void)group;
    assert_true(pids.bytes != NULL || nomem_failed());
}

static const struct tn_pg_ops ops = {
    .send = take_message,
    .monitor = monitor,
    .demonitor = demonitor,
    .changed = take_change,
};

static const char *const texts[] = {
    "#PID<c@h.1.0>",
    "{:discover, #PID<b@h.9.0>}",
    ("{:\"$gen_cast\", {:sync, #PID<b@h.9.0>, [a: [#PID<b@h.1.0>, "
     "#PID<b@h.1.0>], b: [#PID<b@h.2.0>]]}}"),
    "{:join, #PID<b@h.9.0>, %{g: [1]}, [#PID<b@h.1.0>]}",
    "{:leave, #PID<b@h.9.0>, #PID<b@h.1.0>, [:a, %{g: [1]}]}",
    ":own",
    "#PID<c@h.5.0>",
};
static tenon_value *terms[7];

static void is_accounted_for(enum tenon_err rc)
{
    assert_true(rc == TENON_OK || nomem_failed());
}

static void speak(void *user)
{
    struct tn_pg_scope scope;

    (void)user;
    tn_pg_scope_init(&scope, &ops, NULL, &test_hash_key,
                     tenon_value_term(terms[0]));
    scope.watched = true;
    for (size_t i = 1; i < 5; i++) {
        is_accounted_for(tn_pg_scope_feed(&scope, tenon_value_term(terms[i])));
    }
    is_accounted_for(tn_pg_scope_join(&scope, tenon_value_term(terms[5]),
                                      tenon_value_term(terms[6])));
    is_accounted_for(tn_pg_scope_feed(&scope, tenon_value_term(terms[1])));
    is_accounted_for(tn_pg_scope_leave(&scope, tenon_value_term(terms[5]),
                                       tenon_value_term(terms[6])));
    tn_pg_scope_fini(&scope);
    assert_int_equal(scope.groups.memberships, 0);
    assert_int_equal(scope.groups.name_bytes, 0);
}

static void the_protocol_survives_any_failed_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < 7; i++) {
        terms[i] = tenon_value_format(texts[i]);
        assert_non_null(terms[i]);
    }
    assert_true(nomem_fail_each(speak, NULL) > 10);
    for (size_t i = 0; i < 7; i++) {
        tenon_value_free(terms[i]);
    }
}

/* ---- a node ------------------------------------------------------------ */

static const uint8_t group_bytes[] = { 97, 1 };
static const tenon_term group = { group_bytes, sizeof group_bytes };
static const uint8_t later_bytes[] = { 97, 2 };
static const tenon_term later = { later_bytes, sizeof later_bytes };

static void use_groups(void *user)
{
    tenon_node *node = user;
    tenon_process *box = tenon_mailbox_new(node, NULL, NULL);
    tenon_builder *now = tenon_builder_new();
    tenon_ref ref;

    if (box != NULL && now != NULL) {
        enum tenon_err joined = tenon_pg_join(box, NULL, group);

        is_accounted_for(joined);
        enum tenon_err rc = tenon_pg_monitor(box, NULL, group, &ref, now);

        is_accounted_for(rc);
        if (rc == TENON_OK) {
            is_accounted_for(tenon_pg_demonitor(box, NULL, &ref));
        }
        tenon_builder_reset(now);
        is_accounted_for(
            tenon_pg_members(node, NULL, group, TENON_PG_ALL, now));
        if (joined == TENON_OK) {
            is_accounted_for(tenon_pg_leave(box, NULL, group));
        }
    } else {
        assert_true(nomem_failed());
    }
    if (box != NULL) {
        (void)tn_process_end(box, tn_process_pid(box));
        tenon_process_release(box);
    }
    tenon_builder_free(now);
}

static size_t count_members(tenon_node *node, tenon_term of)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term list;

    OK(tenon_pg_members(node, NULL, of, TENON_PG_ALL, out));
    OK(tenon_builder_term(out, &list));
    size_t count = tenon_term_count(list);

    tenon_builder_free(out);
    return count;
}

static void a_node_survives_any_failed_allocation(void **state)
{
    tenon_node *node = own_node_start();

    (void)state;
    OK(tn_pg_attach(node, NULL, NULL));
    OK(tenon_pg_start(node, NULL, NULL));
    assert_true(nomem_fail_each(use_groups, node) > 5);
    /* Without memory the :DOWN of a member may have been lost, as any message;
     * what comes later is in order. */
    tenon_process *box = tenon_mailbox_new(node, NULL, NULL);

    OK(tenon_pg_join(box, NULL, later));
    assert_int_equal(count_members(node, later), 1);
    OK(tenon_pg_leave(box, NULL, later));
    assert_int_equal(count_members(node, later), 0);
    tenon_process_release(box);
    tenon_node_stop(node);
}

static void start_a_node_with_a_scope(void *user)
{
    tenon_node *node = user;
    enum tenon_err rc = tenon_pg_start(node, "again", NULL);

    assert_true(rc == TENON_OK || rc == TENON_E_EXISTS || nomem_failed());
}

/* The functions, the process or the watch may be missing after a failure: what
 * is there is used by the next start. */
static void a_scope_that_could_not_start_starts_later(void **state)
{
    tenon_node *node = own_node_start();

    (void)state;
    OK(tn_pg_attach(node, NULL, NULL));
    (void)nomem_fail_each(start_a_node_with_a_scope, node);
    assert_int_equal(tenon_pg_start(node, "again", NULL), TENON_E_EXISTS);
    tenon_node_stop(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_protocol_survives_any_failed_allocation),
        cmocka_unit_test(a_node_survives_any_failed_allocation),
        cmocka_unit_test(a_scope_that_could_not_start_starts_later),
    };
    return cmocka_run_group_tests_name("otp/pg_nomem", tests, NULL, NULL);
}
