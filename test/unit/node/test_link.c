/* SPDX-License-Identifier: Apache-2.0 */
/* Links between processes of one node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "one_node.h"

static void link_both(tenon_process *one, tenon_process *other)
{
    tenon_pid pid = pid_of(other);
    OK(tenon_link(one, &pid));
}

static bool is_alive(tenon_process *process)
{
    tn_lock(node);
    bool alive = !process->exited;
    tn_unlock(node);
    return alive;
}

static void an_end_takes_along_what_is_linked(void **state)
{
    (void)state;
    tenon_process *one = new_box(node, NULL);
    tenon_process *other = new_box(node, NULL);
    link_both(one, other);
    link_both(other, one); /* that they are already */
    assert_int_equal(stats_of(node).links, 2);
    OK(tenon_process_exit(other, ":broken"));
    assert_false(is_alive(one));
    assert_int_equal(stats_of(node).links, 0);
    tenon_process_release(one);
    tenon_process_release(other);
}

static void a_normal_end_takes_nobody_along(void **state)
{
    (void)state;
    tenon_process *one = new_box(node, NULL);
    tenon_process *other = new_box(node, NULL);
    link_both(one, other);
    end_box(other);
    assert_true(is_alive(one));
    assert_int_equal(stats_of(node).links, 0);
    end_box(one);
}

static void one_that_traps_gets_a_message(void **state)
{
    (void)state;
    tenon_process *one = new_box(node, NULL);
    tenon_process *other = new_box(node, NULL);
    tenon_pid pid = pid_of(other);
    tenon_process_trap_exit(one, true);
    link_both(other, one);
    OK(tenon_process_exit(other, "{:shutdown, ~i}", (int64_t)3));
    assert_next_exit(one, &pid, "{:shutdown, 3}");
    assert_no_message(one);
    tenon_process_release(other);
    end_box(one);
}

static void a_link_to_nothing_is_an_exit_with_noproc(void **state)
{
    (void)state;
    tenon_process *one = new_box(node, NULL);
    tenon_process *gone = new_box(node, NULL);
    tenon_pid pid = pid_of(gone);
    end_box(gone);
    tenon_process_trap_exit(one, true);
    OK(tenon_link(one, &pid));
    assert_next_exit(one, &pid, ":noproc");
    tenon_process_trap_exit(one, false);
    OK(tenon_link(one, &pid));
    assert_false(is_alive(one));
    assert_int_equal(tenon_link(one, &pid), TENON_E_NOPROC);
    tenon_process_release(one);
}

static void what_is_unlinked_is_left_alone(void **state)
{
    (void)state;
    tenon_process *one = new_box(node, NULL);
    tenon_process *other = new_box(node, NULL);
    tenon_pid pid = pid_of(one);
    link_both(one, other);
    tenon_unlink(other, &pid);
    tenon_unlink(other, &pid);
    assert_int_equal(stats_of(node).links, 0);
    OK(tenon_process_exit(other, ":broken"));
    assert_true(is_alive(one));
    tenon_process_release(other);
    end_box(one);
}

static void a_link_to_oneself_is_none(void **state)
{
    (void)state;
    tenon_process *one = new_box(node, NULL);
    link_both(one, one);
    assert_int_equal(stats_of(node).links, 0);
    end_box(one);
}

#define CHAIN 10000

static void *end_first(void *user)
{
    OK(tenon_process_exit(user, ":broken"));
    return NULL;
}

/* On the smallest stack that a thread can have with room for its own
 * formatting, one frame for each link would not fit. */
static void a_long_chain_ends_without_a_deep_stack(void **state)
{
    (void)state;
    static tenon_process *chain[CHAIN];
    tenon_process *watcher = new_box(node, NULL);
    tenon_ref ref;
    for (size_t i = 0; i < CHAIN; i++) {
        chain[i] = new_box(node, NULL);
        if (i > 0) {
            link_both(chain[i], chain[i - 1]);
        }
    }
    tenon_pid last = pid_of(chain[CHAIN - 1]);
    OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &last }, &ref));
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256u * 1024u);
    assert_int_equal(pthread_create(&thread, &attr, end_first, chain[0]), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    assert_next_down(watcher, &ref, ":broken");
    for (size_t i = 0; i < CHAIN; i++) {
        assert_false(is_alive(chain[i]));
        tenon_process_release(chain[i]);
    }
    end_box(watcher);
}

static void a_ring_of_links_ends_once(void **state)
{
    (void)state;
    tenon_process *ring[5];
    for (size_t i = 0; i < 5; i++) {
        ring[i] = new_box(node, NULL);
    }
    for (size_t i = 0; i < 5; i++) {
        link_both(ring[i], ring[(i + 1) % 5]);
        link_both(ring[i], ring[(i + 2) % 5]);
    }
    OK(tenon_process_exit(ring[2], ":broken"));
    for (size_t i = 0; i < 5; i++) {
        assert_false(is_alive(ring[i]));
        tenon_process_release(ring[i]);
    }
}

static void a_process_may_have_many_links(void **state)
{
    (void)state;
    static tenon_process *leaves[CHAIN];
    tenon_process *hub = new_box(node, NULL);
    tenon_process_trap_exit(hub, true);
    for (size_t i = 0; i < CHAIN; i++) {
        leaves[i] = new_box(node, NULL);
        link_both(leaves[i], hub);
    }
    for (size_t i = 0; i < CHAIN; i += 2) {
        tenon_pid pid = pid_of(leaves[i]);
        tenon_unlink(hub, &pid);
    }
    assert_int_equal(stats_of(node).links, CHAIN);
    OK(tenon_process_exit(hub, ":broken"));
    for (size_t i = 0; i < CHAIN; i++) {
        if (i % 2 == 0) {
            assert_true(is_alive(leaves[i]));
        } else {
            WAIT_FOR(!is_alive(leaves[i]));
        }
        end_box(leaves[i]);
    }
    tenon_process_release(hub);
}

static void links_that_come_and_go_leave_nothing(void **state)
{
    (void)state;
    unsigned long count = count_from_env("TN_TEST_MANY", 100000);
    tenon_process *one = new_box(node, NULL);
    tenon_process *other = new_box(node, NULL);
    tenon_pid pid = pid_of(other);
    for (unsigned long i = 0; i < count; i++) {
        OK(tenon_link(one, &pid));
        tenon_unlink(one, &pid);
    }
    assert_int_equal(stats_of(node).links, 0);
    end_box(one);
    end_box(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_takes_along_what_is_linked),
        cmocka_unit_test(a_normal_end_takes_nobody_along),
        cmocka_unit_test(one_that_traps_gets_a_message),
        cmocka_unit_test(a_link_to_nothing_is_an_exit_with_noproc),
        cmocka_unit_test(what_is_unlinked_is_left_alone),
        cmocka_unit_test(a_link_to_oneself_is_none),
        cmocka_unit_test(a_long_chain_ends_without_a_deep_stack),
        cmocka_unit_test(a_ring_of_links_ends_once),
        cmocka_unit_test(a_process_may_have_many_links),
        cmocka_unit_test(links_that_come_and_go_leave_nothing),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
