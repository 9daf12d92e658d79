/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors between processes of one node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "one_node.h"

static tenon_ref watch(tenon_process *watcher, tenon_process *target)
{
    tenon_pid pid = pid_of(target);
    tenon_ref ref;
    OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &ref));
    return ref;
}

static void an_end_is_told_with_its_reason(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *one = new_box(node, NULL);
    tenon_process *two = new_box(node, NULL);
    tenon_ref first = watch(watcher, one);
    tenon_ref second = watch(watcher, two);
    end_box(one);
    assert_next_down(watcher, &first, ":normal");
    OK(tenon_process_exit(two, "{:error, \"why\"}"));
    assert_next_down(watcher, &second, "{:error, \"why\"}");
    assert_no_message(watcher);
    tenon_process_release(two);
    end_box(watcher);
}

static void the_message_names_what_was_monitored(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *named = new_box(node, "named");
    tenon_ref ref;
    OK(tenon_monitor(watcher, &(tenon_dest){ .name = "named" }, &ref));
    end_box(named);
    tenon_value *message = next_message(watcher);
    tenon_term target;
    char text[300];
    char expected[300];
    assert_true(tenon_match(tenon_value_term(message),
                            "{:DOWN, _, :process, ~t, :normal}", &target));
    tenon_term_print(target, text, sizeof text);
    snprintf(expected, sizeof expected, "{:named, :%s}", tenon_node_name(node));
    assert_string_equal(text, expected);
    tenon_value_free(message);
    end_box(watcher);
}

static void what_does_not_exist_is_told_at_once(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *gone = new_box(node, NULL);
    tenon_pid pid = pid_of(gone);
    tenon_ref ref;
    end_box(gone);
    OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &ref));
    assert_next_down(watcher, &ref, ":noproc");
    OK(tenon_monitor(watcher, &(tenon_dest){ .name = "nobody" }, &ref));
    assert_next_down(watcher, &ref, ":noproc");
    assert_int_equal(stats_of(node).monitors, 0);
    assert_int_equal(tenon_monitor(watcher, &(tenon_dest){ 0 }, &ref),
                     TENON_E_INVAL);
    end_box(watcher);
}

static void the_dead_monitor_nobody(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_pid pid = pid_of(node->client);
    tenon_ref ref;
    OK(tenon_process_exit(watcher, ":normal"));
    assert_int_equal(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &ref),
                     TENON_E_NOPROC);
    tenon_process_release(watcher);
}

static void each_monitor_of_a_process_fires(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *target = new_box(node, NULL);
    for (unsigned i = 0; i < 100; i++) {
        (void)watch(watcher, target);
    }
    assert_int_equal(stats_of(node).monitors, 100);
    end_box(target);
    for (unsigned i = 0; i < 100; i++) {
        tenon_value_free(next_message(watcher));
    }
    assert_no_message(watcher);
    end_box(watcher);
}

static void a_monitor_that_ends_says_nothing_more(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *target = new_box(node, NULL);
    tenon_ref ref = watch(watcher, target);
    tenon_demonitor(watcher, &ref);
    tenon_demonitor(watcher, &ref);
    end_box(target);
    assert_no_message(watcher);
    end_box(watcher);
}

static void a_demonitor_takes_the_message_out_of_the_mailbox(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *one = new_box(node, NULL);
    tenon_process *two = new_box(node, NULL);
    tenon_ref first = watch(watcher, one);
    tenon_ref second = watch(watcher, two);
    OK(send_number(watcher, 1));
    end_box(one);
    end_box(two);
    OK(send_number(watcher, 2));
    tenon_demonitor(watcher, &first);
    assert_next(watcher, "1");
    assert_next_down(watcher, &second, ":normal");
    assert_next(watcher, "2");
    assert_no_message(watcher);
    end_box(watcher);
}

static void a_process_cannot_end_the_monitor_of_another(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *thief = new_box(node, NULL);
    tenon_process *target = new_box(node, NULL);
    tenon_ref ref = watch(watcher, target);
    tenon_demonitor(thief, &ref);
    end_box(target);
    assert_next_down(watcher, &ref, ":normal");
    end_box(thief);
    end_box(watcher);
}

static void a_watcher_that_ends_leaves_nothing(void **state)
{
    (void)state;
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *target = new_box(node, NULL);
    (void)watch(watcher, target);
    (void)watch(watcher, watcher);
    assert_int_equal(stats_of(node).monitors, 2);
    end_box(watcher);
    assert_int_equal(stats_of(node).monitors, 0);
    end_box(target);
}

static void links_are_told_before_monitors(void **state)
{
    (void)state;
    tenon_process *both = new_box(node, NULL);
    tenon_process *target = new_box(node, NULL);
    tenon_pid pid = pid_of(target);
    tenon_process_trap_exit(both, true);
    tenon_ref ref = watch(both, target);
    OK(tenon_link(both, &pid));
    OK(tenon_process_exit(target, ":done"));
    assert_next_exit(both, &pid, ":done");
    assert_next_down(both, &ref, ":done");
    tenon_process_release(target);
    end_box(both);
}

static void monitors_that_come_and_go_leave_nothing(void **state)
{
    (void)state;
    unsigned long count = count_from_env("TN_TEST_MANY", 100000);
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *target = new_box(node, NULL);
    for (unsigned long i = 0; i < count; i++) {
        tenon_ref ref = watch(watcher, target);
        tenon_demonitor(watcher, &ref);
    }
    assert_int_equal(stats_of(node).monitors, 0);
    assert_no_message(watcher);
    end_box(target);
    end_box(watcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_is_told_with_its_reason),
        cmocka_unit_test(the_message_names_what_was_monitored),
        cmocka_unit_test(what_does_not_exist_is_told_at_once),
        cmocka_unit_test(the_dead_monitor_nobody),
        cmocka_unit_test(each_monitor_of_a_process_fires),
        cmocka_unit_test(a_monitor_that_ends_says_nothing_more),
        cmocka_unit_test(a_demonitor_takes_the_message_out_of_the_mailbox),
        cmocka_unit_test(a_process_cannot_end_the_monitor_of_another),
        cmocka_unit_test(a_watcher_that_ends_leaves_nothing),
        cmocka_unit_test(links_are_told_before_monitors),
        cmocka_unit_test(monitors_that_come_and_go_leave_nothing),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
