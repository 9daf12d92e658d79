/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups between two C nodes: who is in them, who is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/node/nodes.h"

struct pair {
    tenon_node *a;
    tenon_node *b;
    tenon_process *one; /* on a */
    tenon_process *two; /* on b */
};

static int start(void **state)
{
    static struct pair pair;

    pair.a = known_node(NULL);
    pair.b = known_node(NULL);
    pair.one = new_box(pair.a, NULL);
    pair.two = new_box(pair.b, NULL);
    *state = &pair;
    return 0;
}

static int stop(void **state)
{
    struct pair *pair = *state;

    end_box(pair->one);
    end_box(pair->two);
    tenon_node_stop(pair->a);
    tenon_node_stop(pair->b);
    return 0;
}

/* Group names are text here. The term lives for the next three calls. */
static tenon_term group_of(const char *text)
{
    static tenon_value *kept[4];
    static unsigned next;

    tenon_value_free(kept[next % 4]);
    kept[next % 4] = tenon_value_format(text);
    return tenon_value_term(kept[next++ % 4]);
}

static size_t count_of(tenon_node *node,
                       const char *scope,
                       const char *group,
                       enum tenon_pg_whose whose)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term list;

    OK(tenon_pg_members(node, scope, group_of(group), whose, out));
    OK(tenon_builder_term(out, &list));
    size_t count = tenon_term_count(list);

    tenon_builder_free(out);
    return count;
}

static bool is_member(tenon_node *node, const char *group, tenon_process *who)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term list, element;
    tenon_cursor at;
    bool found = false;

    OK(tenon_pg_members(node, NULL, group_of(group), TENON_PG_ALL, out));
    OK(tenon_builder_term(out, &list));
    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &element)) {
        found = found || tenon_term_equal(element, tn_process_pid(who));
    }
    tenon_builder_free(out);
    return found;
}

static void start_both(struct pair *pair)
{
    OK(tenon_pg_start(pair->a, NULL, NULL));
    OK(tenon_pg_start(pair->b, NULL, NULL));
    connect_nodes(pair->a, pair->b);
}

static void members_are_known_on_both_nodes(void **state)
{
    struct pair *pair = *state;

    OK(tenon_pg_start(pair->a, NULL, NULL));
    OK(tenon_pg_join(pair->one, NULL, group_of(":g")));
    connect_nodes(pair->a, pair->b);
    OK(tenon_pg_start(pair->b, NULL, NULL));
    OK(tenon_pg_join(pair->two, NULL, group_of(":g")));
    OK(tenon_pg_join(pair->two, NULL, group_of(":g")));
    WAIT_FOR(is_member(pair->b, ":g", pair->one));
    WAIT_FOR(count_of(pair->a, NULL, ":g", TENON_PG_ALL) == 3);
    assert_true(is_member(pair->a, ":g", pair->two));
    assert_int_equal(count_of(pair->a, "pg", ":g", TENON_PG_LOCAL), 1);
    assert_int_equal(count_of(pair->a, "other", ":g", TENON_PG_ALL), 0);
    OK(tenon_pg_leave(pair->two, NULL, group_of(":g")));
    WAIT_FOR(count_of(pair->a, NULL, ":g", TENON_PG_ALL) == 2);
    OK(tenon_process_exit(pair->two, ":normal"));
    WAIT_FOR(count_of(pair->a, NULL, ":g", TENON_PG_ALL) == 1);
    OK(tenon_pg_leave(pair->one, NULL, group_of(":g")));
    WAIT_FOR(count_of(pair->b, NULL, ":g", TENON_PG_ALL) == 0);
}

static void members_go_with_their_node_and_come_back(void **state)
{
    struct pair *pair = *state;

    start_both(pair);
    OK(tenon_pg_join(pair->one, NULL, group_of("\"g\"")));
    WAIT_FOR(is_member(pair->b, "\"g\"", pair->one));
    for (int round = 0; round < 3; round++) {
        OK(tenon_node_disconnect(pair->b, tenon_node_name(pair->a)));
        WAIT_FOR(!is_member(pair->b, "\"g\"", pair->one));
        connect_nodes(pair->b, pair->a);
        WAIT_FOR(is_member(pair->b, "\"g\"", pair->one));
    }
}

static void a_monitor_is_told_of_each_change_in_order(void **state)
{
    struct pair *pair = *state;
    tenon_process *watcher = new_box(pair->a, NULL);
    tenon_builder *now = tenon_builder_new();
    tenon_ref ref;
    tenon_term term, pids;

    start_both(pair);
    OK(tenon_pg_join(pair->one, NULL, group_of(":g")));
    OK(tenon_pg_monitor(watcher, NULL, group_of(":g"), &ref, now));
    OK(tenon_builder_term(now, &term));
    assert_int_equal(tenon_term_count(term), 1);
    OK(tenon_pg_join(pair->one, NULL, group_of(":not_watched")));
    OK(tenon_pg_join(pair->two, NULL, group_of(":g")));
    WAIT_FOR(is_member(pair->a, ":g", pair->two));
    OK(tenon_process_exit(pair->two, ":normal"));
    for (int i = 0; i < 2; i++) {
        tenon_value *message = next_message(watcher);
        tenon_ref got;

        assert_true(
            tenon_match(tenon_value_term(message),
                        i == 0 ? "{~r, :join, :g, ~t}" : "{~r, :leave, :g, ~t}",
                        &got, &pids));
        assert_true(tenon_ref_equal(&got, &ref));
        assert_int_equal(tenon_term_count(pids), 1);
        tenon_value_free(message);
    }
    OK(tenon_pg_demonitor(watcher, NULL, &ref));
    assert_int_equal(tenon_pg_demonitor(watcher, NULL, &ref),
                     TENON_E_NOT_FOUND);
    OK(tenon_pg_leave(pair->one, NULL, group_of(":g")));
    assert_no_message(watcher);
    tenon_builder_free(now);
    end_box(watcher);
}

static void a_monitor_of_a_scope_is_told_of_every_group(void **state)
{
    struct pair *pair = *state;
    tenon_process *watcher = new_box(pair->a, NULL);
    tenon_builder *now = tenon_builder_new();
    tenon_ref ref;
    tenon_term term, pids;

    start_both(pair);
    OK(tenon_pg_join(pair->one, NULL, group_of(":g")));
    OK(tenon_pg_monitor(watcher, NULL, (tenon_term){ 0 }, &ref, now));
    OK(tenon_builder_term(now, &term));
    assert_true(tenon_match(term, "%{g: ~t}", &pids));
    OK(tenon_pg_join(pair->one, NULL, group_of("{1, 2}")));
    tenon_value *message = next_message(watcher);

    assert_true(
        tenon_match(tenon_value_term(message), "{_, :join, {1, 2}, [_]}"));
    tenon_value_free(message);
    tenon_builder_free(now);
    /* Its end is the end of its monitor. */
    end_box(watcher);
    OK(tenon_pg_leave(pair->one, NULL, group_of("{1, 2}")));
}

static void what_cannot_be_is_refused(void **state)
{
    struct pair *pair = *state;
    tenon_error err = { 0 };
    tenon_builder *out = tenon_builder_new();
    tenon_ref ref;
    char big[TENON_PG_GROUP_MAX_BYTES + 1] = { 0 };
    tenon_value *group =
        tenon_value_format("~b", (const void *)big, sizeof big);

    assert_int_equal(tenon_pg_join(pair->one, NULL, group_of(":g")),
                     TENON_E_NOPROC);
    assert_int_equal(tenon_pg_groups(pair->a, NULL, TENON_PG_ALL, out),
                     TENON_E_NOPROC);
    assert_int_equal(tenon_pg_start(pair->a, "", &err), TENON_E_INVAL);
    OK(tenon_pg_start(pair->a, NULL, NULL));
    assert_int_equal(tenon_pg_start(pair->a, "pg", &err), TENON_E_EXISTS);
    assert_int_equal(tenon_pg_start(pair->a, "rex", &err), TENON_E_INVAL);
    assert_int_equal(tenon_pg_leave(pair->one, NULL, group_of(":g")),
                     TENON_E_NOT_FOUND);
    assert_int_equal(tenon_pg_join(pair->one, NULL, tenon_value_term(group)),
                     TENON_E_TERM_BIG);
    assert_int_equal(tenon_pg_join(pair->one, NULL, (tenon_term){ 0 }),
                     TENON_E_INVAL);
    assert_int_equal(tenon_pg_join(NULL, NULL, group_of(":g")), TENON_E_INVAL);
    OK(tenon_process_exit(pair->one, ":normal"));
    assert_int_equal(tenon_pg_join(pair->one, NULL, group_of(":g")),
                     TENON_E_NOPROC);
    assert_int_equal(
        tenon_pg_monitor(pair->one, NULL, group_of(":g"), &ref, NULL),
        TENON_E_NOPROC);
    tenon_value_free(group);
    tenon_builder_free(out);
}

static void scopes_and_monitors_are_limited(void **state)
{
    struct pair *pair = *state;
    tenon_ref ref;
    char name[20];

    for (int i = 0; i < TENON_PG_SCOPES_MAX; i++) {
        snprintf(name, sizeof name, "scope_%d", i);
        OK(tenon_pg_start(pair->a, name, NULL));
    }
    assert_int_equal(tenon_pg_start(pair->a, "one_more", NULL), TENON_E_LIMIT);
    for (int i = 0; i < TENON_PG_MONITORS_MAX; i++) {
        OK(tenon_pg_monitor(pair->one, "scope_0", group_of(":g"), &ref, NULL));
    }
    assert_int_equal(
        tenon_pg_monitor(pair->one, "scope_0", group_of(":g"), &ref, NULL),
        TENON_E_LIMIT);
}

struct crowd {
    struct pair *pair;
    tenon_process *member;
};

static void *join_and_leave(void *user)
{
    const struct crowd *crowd = user;
    tenon_value *busy = tenon_value_format(":busy");

    for (int i = 0; i < 200; i++) {
        OK(tenon_pg_join(crowd->member, NULL, tenon_value_term(busy)));
        OK(tenon_pg_leave(crowd->member, NULL, tenon_value_term(busy)));
    }
    OK(tenon_pg_join(crowd->member, NULL, tenon_value_term(busy)));
    tenon_value_free(busy);
    return NULL;
}

static void count_down(void *user, const char *name, bool up, bool visible)
{
    (void)name;
    (void)visible;
    atomic_fetch_add((atomic_int *)user, up ? 0 : 1);
}

static void threads_may_join_while_peers_come_and_go(void **state)
{
    struct pair *pair = *state;
    static atomic_int downs;
    struct crowd crowd[2] = { { pair, pair->one }, { pair, NULL } };
    pthread_t threads[2];

    atomic_store(&downs, 0);
    OK(tenon_node_watch_peers(pair->b, count_down, &downs));
    start_both(pair);
    crowd[1].member = new_box(pair->a, NULL);
    for (int i = 0; i < 2; i++) {
        threads[i] = start_thread(join_and_leave, &crowd[i]);
    }
    for (int round = 0; round < 3; round++) {
        (void)tenon_node_disconnect(pair->b, tenon_node_name(pair->a));
        WAIT_FOR(atomic_load(&downs) > round);
        connect_nodes(pair->b, pair->a);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    WAIT_FOR(count_of(pair->b, NULL, ":busy", TENON_PG_ALL) == 2);
    assert_int_equal(count_of(pair->a, NULL, ":busy", TENON_PG_ALL), 2);
    end_box(crowd[1].member);
    WAIT_FOR(count_of(pair->b, NULL, ":busy", TENON_PG_ALL) == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_are_known_on_both_nodes),
        TEST(members_go_with_their_node_and_come_back),
        TEST(a_monitor_is_told_of_each_change_in_order),
        TEST(a_monitor_of_a_scope_is_told_of_every_group),
        TEST(what_cannot_be_is_refused),
        TEST(scopes_and_monitors_are_limited),
        TEST(threads_may_join_while_peers_come_and_go),
    };
    return cmocka_run_group_tests_name("otp/pg", tests, NULL, NULL);
}
