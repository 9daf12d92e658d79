/* SPDX-License-Identifier: Apache-2.0 */
/* Aliases of processes of one node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "one_node.h"

static void send_to(const tenon_ref *alias, const char *text)
{
    tenon_value *message = tenon_value_format(text);
    assert_non_null(message);
    OK(tenon_send_alias(node, alias, tenon_value_term(message), NULL));
    tenon_value_free(message);
}

static void an_alias_leads_to_its_process_until_it_is_taken_back(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_process *other = new_box(node, NULL);
    tenon_ref alias;
    OK(tenon_alias(box, TENON_ALIAS_EXPLICIT, &alias));
    send_to(&alias, ":one");
    send_to(&alias, ":two");
    assert_next(box, ":one");
    assert_next(box, ":two");
    assert_false(tenon_unalias(other, &alias));
    assert_true(tenon_unalias(box, &alias));
    assert_false(tenon_unalias(box, &alias));
    send_to(&alias, ":three");
    assert_no_message(box);
    end_box(other);
    end_box(box);
}

static void one_for_a_reply_takes_one_message(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_ref alias;
    OK(tenon_alias(box, TENON_ALIAS_REPLY, &alias));
    send_to(&alias, ":one");
    send_to(&alias, ":two");
    assert_next(box, ":one");
    assert_no_message(box);
    assert_false(tenon_unalias(box, &alias));
    end_box(box);
}

static void aliases_end_with_their_process(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_ref alias;
    OK(tenon_alias(box, TENON_ALIAS_EXPLICIT, &alias));
    OK(tenon_process_exit(box, ":normal"));
    send_to(&alias, ":nobody");
    assert_int_equal(tenon_alias(box, TENON_ALIAS_EXPLICIT, &alias),
                     TENON_E_NOPROC);
    tenon_process_release(box);
}

static void a_reply_to_a_monitors_alias_ends_the_monitor(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_process *target = new_box(node, NULL);
    tenon_pid pid = pid_of(target);
    tenon_ref ref;
    OK(tenon_monitor_alias(box, &(tenon_dest){ .pid = &pid }, TENON_ALIAS_REPLY,
                           &ref));
    send_to(&ref, ":reply");
    assert_next(box, ":reply");
    assert_int_equal(stats_of(node).monitors, 0);
    end_box(target);
    assert_no_message(box);
    end_box(box);
}

static void the_end_of_a_monitor_ends_its_alias(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_process *target = new_box(node, NULL);
    tenon_pid pid = pid_of(target);
    tenon_dest to = { .pid = &pid };
    tenon_ref reply, taken_back, stays;
    OK(tenon_monitor_alias(box, &to, TENON_ALIAS_DEMONITOR, &taken_back));
    tenon_demonitor(box, &taken_back);
    send_to(&taken_back, ":late");
    OK(tenon_monitor_alias(box, &to, TENON_ALIAS_REPLY, &reply));
    OK(tenon_process_exit(target, ":over"));
    assert_next_down(box, &reply, ":over");
    send_to(&reply, ":late");
    assert_no_message(box);
    OK(tenon_monitor_alias(box, &to, TENON_ALIAS_DEMONITOR, &reply));
    assert_next_down(box, &reply, ":noproc");
    send_to(&reply, ":late");
    assert_no_message(box);
    OK(tenon_monitor_alias(box, &to, TENON_ALIAS_EXPLICIT, &stays));
    assert_next_down(box, &stays, ":noproc");
    send_to(&stays, ":in_time");
    assert_next(box, ":in_time");
    tenon_process_release(target);
    end_box(box);
}

static void what_is_no_alias_is_refused(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_ref ref;
    assert_int_equal(tenon_alias(box, TENON_ALIAS_DEMONITOR, &ref),
                     TENON_E_INVAL);
    assert_int_equal(tenon_alias(NULL, TENON_ALIAS_REPLY, &ref), TENON_E_INVAL);
    assert_int_equal(tenon_monitor_alias(box, &(tenon_dest){ .name = "x" },
                                         (enum tenon_alias_mode)9, &ref),
                     TENON_E_INVAL);
    end_box(box);
}

static void a_node_has_so_many_aliases_and_no_more(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_process *other = new_box(node, NULL);
    tenon_ref ref;
    for (unsigned i = 0; i < TENON_ALIASES_MAX; i++) {
        OK(tenon_alias(box, TENON_ALIAS_EXPLICIT, &ref));
    }
    assert_int_equal(tenon_alias(other, TENON_ALIAS_EXPLICIT, &ref),
                     TENON_E_LIMIT);
    assert_int_equal(tenon_monitor_alias(other, &(tenon_dest){ .name = "x" },
                                         TENON_ALIAS_REPLY, &ref),
                     TENON_E_LIMIT);
    assert_no_message(other);
    end_box(box);
    OK(tenon_alias(other, TENON_ALIAS_EXPLICIT, &ref));
    end_box(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_node, stop_node)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_alias_leads_to_its_process_until_it_is_taken_back),
        TEST(one_for_a_reply_takes_one_message),
        TEST(aliases_end_with_their_process),
        TEST(a_reply_to_a_monitors_alias_ends_the_monitor),
        TEST(the_end_of_a_monitor_ends_its_alias),
        TEST(what_is_no_alias_is_refused),
        TEST(a_node_has_so_many_aliases_and_no_more),
    };
    return cmocka_run_group_tests_name("node/alias", tests, NULL, NULL);
}
