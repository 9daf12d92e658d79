/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of global: cores that talk to each other, and one core that is
 * fed with what BEAM nodes of other versions say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "global_sim.h"

static struct sim sim;

static const char *text_of(tenon_term term)
{
    static char text[4][600];
    static unsigned turn;
    char *room = text[turn++ % 4];
    tenon_term_print(term, room, sizeof text[0]);
    return room;
}

/* owned by the test: tenon_value_free. */
static tenon_value *export_of(const char *name)
{
    char text[60];
    snprintf(text, sizeof text, "&:global.%s/3", name);
    return tenon_value_format(text);
}

static void ended(void *user, enum tenon_err rc)
{
    (void)user;
    sim.ended[sim.ended_count++] = rc;
}

static struct tn_gop *change(int node,
                             enum tn_gop_kind kind,
                             const char *name,
                             const tenon_pid *pid,
                             const char *method)
{
    tenon_value *name_term = tenon_value_format(name);
    tenon_value *method_term = export_of(method);
    struct tn_gop *op = tn_global_change(
        sim.node[node].global, kind, tenon_value_term(name_term), pid,
        tenon_value_term(method_term), ended, NULL);
    assert_non_null(op);
    tn_global_change_begin(sim.node[node].global);
    tenon_value_free(name_term);
    tenon_value_free(method_term);
    return op;
}

/* Registers pid `id` of a node there, and sees it through. */
static enum tenon_err
set_name(int node, const char *name, uint32_t id, const char *method)
{
    tenon_pid pid = sim_pid(&sim, node, id);
    (void)change(node, TN_G_REGISTER, name, &pid, method);
    assert_true(sim_run(&sim));
    return sim.ended[--sim.ended_count];
}

/* "3@a@sim" or "none". */
static const char *name_at(int node, const char *name)
{
    static char text[4][64];
    static unsigned turn;
    char *room = text[turn++ % 4];
    tenon_value *term = tenon_value_format(name);
    tenon_pid pid;
    if (tn_global_find(sim.node[node].global, tenon_value_term(term), &pid) ==
        TENON_OK) {
        snprintf(room, sizeof text[0], "%u@%.30s", pid.id, pid.node);
    } else {
        snprintf(room, sizeof text[0], "none");
    }
    tenon_value_free(term);
    return room;
}

static void assert_everywhere(const char *name, const char *expected)
{
    for (int i = 0; i < sim.count; i++) {
        assert_string_equal(name_at(i, name), expected);
    }
}

static bool knows(int a, int b)
{
    struct tn_gpeer *peer = tn_gpeer_find(sim.node[a].global, sim.node[b].name);
    return peer != NULL && peer->known;
}

static void assert_one_mesh(void)
{
    for (int a = 0; a < sim.count; a++) {
        for (int b = 0; b < sim.count; b++) {
            if (a != b) {
                assert_true(sim.linked[a][b]);
                assert_true(knows(a, b));
                assert_true(tn_gpeer_find(sim.node[a].global, sim.node[b].name)
                                ->synced);
            }
        }
        assert_null(sim.node[a].global->locks);
    }
}

static void start_mesh(int count)
{
    assert_true(sim_init(&sim, count));
    for (int i = 1; i < count; i++) {
        sim_link(&sim, 0, i);
        assert_true(sim_run(&sim));
    }
    assert_one_mesh();
}

/* ---- meshes ------------------------------------------------------------ */

static void nodes_that_meet_become_one_mesh(void **state)
{
    (void)state;
    start_mesh(5);
    sim_fini(&sim);
}

static void all_at_once_become_one_mesh(void **state)
{
    (void)state;
    assert_true(sim_init(&sim, 6));
    for (int a = 0; a < 6; a++) {
        for (int b = 0; b < a; b++) {
            sim_link(&sim, a, b);
        }
    }
    assert_true(sim_run(&sim));
    assert_one_mesh();
    sim_fini(&sim);
}

static void a_name_is_on_all_nodes_once(void **state)
{
    (void)state;
    start_mesh(4);
    assert_int_equal(set_name(1, "{:n, 1.5}", 7, "random_exit_name"), TENON_OK);
    assert_everywhere("{:n, 1.5}", "7@b@sim");
    assert_int_equal(set_name(2, "{:n, 1.5}", 8, "random_exit_name"),
                     TENON_E_EXISTS);
    assert_everywhere("{:n, 1.5}", "7@b@sim");
    tenon_pid other = sim_pid(&sim, 3, 9);
    (void)change(2, TN_G_REREGISTER, "{:n, 1.5}", &other, "notify_all_name");
    assert_true(sim_run(&sim));
    assert_everywhere("{:n, 1.5}", "9@d@sim");
    (void)change(0, TN_G_UNREGISTER, "{:n, 1.5}", NULL, "notify_all_name");
    assert_true(sim_run(&sim));
    assert_everywhere("{:n, 1.5}", "none");
    assert_one_mesh();
    sim_fini(&sim);
}

static void names_of_many_nodes_at_once_all_come_about(void **state)
{
    (void)state;
    start_mesh(4);
    for (int i = 0; i < 4; i++) {
        char name[20];
        tenon_pid pid = sim_pid(&sim, i, 10);
        snprintf(name, sizeof name, "{:n, %d}", i);
        (void)change(i, TN_G_REGISTER, name, &pid, "random_exit_name");
        (void)change(i, TN_G_REGISTER, ":same", &pid, "random_exit_name");
    }
    assert_true(sim_run(&sim));
    assert_int_equal(sim.ended_count, 8);
    int taken = 0;
    for (int i = 0; i < 8; i++) {
        taken += sim.ended[i] == TENON_E_EXISTS;
    }
    assert_int_equal(taken, 3);
    assert_everywhere("{:n, 0}", "10@a@sim");
    assert_everywhere("{:n, 3}", "10@d@sim");
    assert_everywhere(":same", name_at(0, ":same"));
    assert_one_mesh();
    sim_fini(&sim);
}

static void a_process_and_a_node_take_their_names_along(void **state)
{
    (void)state;
    start_mesh(3);
    assert_int_equal(set_name(1, ":one", 7, "random_exit_name"), TENON_OK);
    assert_int_equal(set_name(2, ":two", 7, "random_exit_name"), TENON_OK);
    tenon_pid pid = sim_pid(&sim, 1, 7);
    sim_die(&sim, &pid);
    assert_everywhere(":one", "none");
    sim_cut(&sim, 0, 2);
    sim_cut(&sim, 1, 2);
    assert_string_equal(name_at(0, ":two"), "none");
    assert_string_equal(name_at(1, ":two"), "none");
    assert_string_equal(name_at(2, ":two"), "7@c@sim");
    sim_fini(&sim);
}

/* The next that is on the way. */
static void deliver_one(void)
{
    if (sim.first != sim.last) {
        struct sim_event event = sim.events[sim.first++ % SIM_EVENTS];
        sim_deliver(&sim, &event);
        tenon_value_free(event.value);
    }
}

/* What the first node has sent to that one. */
static void deliver_to(int node)
{
    for (unsigned i = sim.first; i != sim.last; i++) {
        struct sim_event *event = &sim.events[i % SIM_EVENTS];
        if (event->from == 0 && event->to == node) {
            sim_deliver(&sim, event);
            event->to = -1;
        }
    }
}

/* ---- clashes ----------------------------------------------------------- */

static void start_clash(const char *method)
{
    assert_true(sim_init(&sim, 4));
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    sim_link(&sim, 2, 3);
    assert_true(sim_run(&sim));
    /* In each partition by the member that does not meet the other. */
    assert_int_equal(set_name(1, ":name", 7, method), TENON_OK);
    assert_int_equal(set_name(3, ":name", 8, method), TENON_OK);
    assert_int_equal(set_name(0, ":only", 9, method), TENON_OK);
    sim_link(&sim, 0, 2);
    assert_true(sim_run(&sim));
    assert_one_mesh();
    assert_everywhere(":only", "9@a@sim");
}

static void a_clash_kills_the_process_on_the_greater_node(void **state)
{
    (void)state;
    start_clash("random_exit_name");
    assert_everywhere(":name", "7@b@sim");
    assert_int_equal(sim.told_count, 1);
    assert_string_equal(sim.told[0], "kill 8@d@sim ");
    sim_fini(&sim);
}

static void a_clash_notifies_the_process_on_the_greater_node(void **state)
{
    (void)state;
    start_clash("random_notify_name");
    assert_everywhere(":name", "7@b@sim");
    assert_int_equal(sim.told_count, 1);
    assert_string_equal(sim.told[0],
                        "send 8@d@sim {:global_name_conflict, :name}");
    sim_fini(&sim);
}

static void a_clash_notifies_both_and_takes_the_name(void **state)
{
    (void)state;
    start_clash("notify_all_name");
    assert_everywhere(":name", "none");
    assert_int_equal(sim.told_count, 2);
    assert_string_equal(
        sim.told[0],
        "send 8@d@sim {:global_name_conflict, :name, #PID<b@sim.7.0>}");
    assert_string_equal(
        sim.told[1],
        "send 7@b@sim {:global_name_conflict, :name, #PID<d@sim.8.0>}");
    sim_fini(&sim);
}

static void a_clash_with_an_unknown_method_takes_the_name(void **state)
{
    (void)state;
    start_clash("some_other_name");
    assert_everywhere(":name", "none");
    assert_int_equal(sim.told_count, 0);
    sim_fini(&sim);
}

/* ---- peers that rules limit --------------------------------------------- */

static void a_limited_member_has_its_own_names_and_no_others(void **state)
{
    (void)state;
    assert_true(sim_init(&sim, 3));
    sim.limits[0][2] = sim.limits[1][2] = true;
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    assert_int_equal(set_name(1, ":name", 5, "random_exit_name"), TENON_OK);
    assert_int_equal(set_name(2, ":name", 6, "random_exit_name"), TENON_OK);
    assert_int_equal(set_name(2, ":mine", 7, "random_exit_name"), TENON_OK);
    sim_link(&sim, 0, 2);
    assert_true(sim_run(&sim));
    assert_one_mesh();
    assert_everywhere(":name", "5@b@sim");
    assert_everywhere(":mine", "7@c@sim");
    assert_int_equal(sim.told_count, 0); /* nobody has been ended */
    assert_true(sim.ignored_count > 0);
    /* It goes on as a member. */
    assert_int_equal(set_name(2, ":later", 8, "random_exit_name"), TENON_OK);
    assert_everywhere(":later", "8@c@sim");
    assert_int_equal(set_name(0, ":ours", 9, "random_exit_name"), TENON_OK);
    assert_everywhere(":ours", "9@a@sim");
    tenon_pid pid = sim_pid(&sim, 2, 10);
    (void)change(2, TN_G_REREGISTER, ":ours", &pid, "random_exit_name");
    assert_true(sim_run(&sim));
    assert_string_equal(name_at(0, ":ours"), "9@a@sim");
    assert_string_equal(name_at(1, ":ours"), "9@a@sim");
    (void)change(2, TN_G_UNREGISTER, ":later", NULL, "random_exit_name");
    assert_true(sim_run(&sim));
    assert_everywhere(":later", "none");
    sim_fini(&sim);
}

/* Who has the name is asked for its method when it is another node: not one that
 * is limited, which would keep it. */
static void a_limited_member_gives_its_name_to_others(void **state)
{
    (void)state;
    assert_true(sim_init(&sim, 3));
    sim.limits[0][2] = sim.limits[1][2] = true;
    sim_link(&sim, 0, 2);
    assert_true(sim_run(&sim));
    assert_int_equal(set_name(2, ":name", 6, "random_exit_name"), TENON_OK);
    assert_string_equal(name_at(0, ":name"), "6@c@sim");
    assert_int_equal(set_name(1, ":name", 5, "random_exit_name"), TENON_OK);
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    assert_string_equal(name_at(0, ":name"), "5@b@sim");
    assert_string_equal(name_at(1, ":name"), "5@b@sim");
    assert_int_equal(sim.told_count, 0);
    sim_fini(&sim);
}

/* The side with the smaller name decides; what a limited one decides of others
 * does not count. */
static void a_limited_member_decides_no_clash(void **state)
{
    (void)state;
    assert_true(sim_init(&sim, 3));
    sim.limits[1][0] = sim.limits[2][0] = true;
    sim_link(&sim, 1, 2);
    assert_true(sim_run(&sim));
    assert_int_equal(set_name(2, ":name", 5, "random_exit_name"), TENON_OK);
    assert_int_equal(set_name(0, ":name", 6, "random_notify_name"), TENON_OK);
    assert_int_equal(set_name(0, ":mine", 7, "random_notify_name"), TENON_OK);
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    assert_string_equal(name_at(1, ":name"), "5@c@sim");
    assert_string_equal(name_at(2, ":name"), "5@c@sim");
    assert_string_equal(name_at(1, ":mine"), "7@a@sim");
    sim_fini(&sim);
}

/* Names of C nodes, which no node here has, in what the third tells the first. */
static void add_foreign_names(void)
{
    struct sim_event *event = &sim.events[sim.first % SIM_EVENTS];
    tenon_term part[6];
    if (sim.first != sim.last && event->from == 2 && event->to == 0 &&
        event->value != NULL &&
        tenon_match(tenon_value_term(event->value),
                    "{:\"$gen_cast\", {:resolved, ~t, ~t, ~t, ~t, ~t, ~t}}",
                    &part[0], &part[1], &part[2], &part[3], &part[4],
                    &part[5])) {
        tenon_value *changed = tenon_value_format(
            "{:\"$gen_cast\", {:resolved, ~t, ~t, ~t, ~t, [:foreign], ~t}}",
            part[0], part[1], part[2], part[3], part[5]);
        assert_non_null(changed);
        tenon_value_free(event->value);
        event->value = changed;
    }
}

/* Those that the first node tells the second of, printed. */
static void assert_foreign_names_told(const char *expected)
{
    unsigned told = 0;
    for (unsigned i = sim.first; i != sim.last; i++) {
        const struct sim_event *event = &sim.events[i % SIM_EVENTS];
        tenon_term names;
        char text[40];
        if (event->from == 0 && event->to == 1 && event->value != NULL &&
            tenon_match(tenon_value_term(event->value),
                        "{:\"$gen_cast\", {:new_nodes, _, _, ~t, _, _}}",
                        &names)) {
            tenon_term_print(names, text, sizeof text);
            assert_string_equal(text, expected);
            told++;
        }
    }
    assert_int_equal(told, 1);
}

/* What a limited peer brings along is not passed on in this node's name. */
static void a_limited_member_brings_nobody_along(void **state)
{
    (void)state;
    assert_true(sim_init(&sim, 4));
    sim.limits[0][2] = true;
    for (int i = 0; i < 3; i++) {
        sim.barred[i][3] = sim.barred[3][i] = i != 2;
    }
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    sim_link(&sim, 2, 3);
    assert_true(sim_run(&sim));
    assert_int_equal(set_name(3, ":far", 5, "random_exit_name"), TENON_OK);
    sim.barred[2][1] = sim.barred[1][2] = true;
    sim_link(&sim, 0, 2);
    /* No further than that the two know each other. */
    while (!knows(0, 2)) {
        assert_true(sim.first != sim.last || sim_fire_timer(&sim));
        add_foreign_names();
        deliver_one();
    }
    assert_foreign_names_told("[]");
    assert_false(knows(0, 3));
    assert_null(tn_gpeer_find(sim.node[0].global, "d@sim"));
    assert_string_equal(name_at(0, ":far"), "none");
    deliver_to(1);
    assert_true(knows(1, 2));
    assert_false(knows(1, 3));
    assert_string_equal(name_at(1, ":far"), "none");
    sim_fini(&sim);
}

/* ---- partitions -------------------------------------------------------- */

static void members_that_lose_each_other_are_given_up(void **state)
{
    (void)state;
    start_mesh(4);
    sim_cut(&sim, 0, 1);
    assert_true(sim_run(&sim));
    /* Each of the two says it of the other. */
    for (int a = 0; a < 4; a++) {
        for (int b = 0; b < 4; b++) {
            bool together = a != b && a >= 2 && b >= 2;
            assert_int_equal(knows(a, b), together);
            assert_int_equal(sim.linked[a][b], together);
        }
    }
    for (int i = 1; i < 4; i++) {
        sim_link(&sim, 0, i);
        assert_true(sim_run(&sim));
    }
    assert_one_mesh();
    sim_fini(&sim);
}

static void a_member_out_of_reach_is_given_up(void **state)
{
    (void)state;
    start_mesh(3);
    assert_true(sim.linked[0][2]);
    sim_fini(&sim);
    assert_true(sim_init(&sim, 3));
    sim.barred[1][2] = sim.barred[2][1] = true;
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    sim_link(&sim, 0, 2);
    assert_true(sim_run(&sim));
    assert_false(knows(1, 2));
    assert_false(knows(2, 1));
    assert_false(knows(0, 1) && knows(0, 2));
    sim_fini(&sim);
}

static void tell(int node, const char *pattern)
{
    tenon_value *message = tenon_value_format(pattern);
    assert_non_null(message);
    tn_global_message(sim.node[node].global, tenon_value_term(message));
    tenon_value_free(message);
}

/* All that is on the way, and no timer. */
static void deliver_all(void)
{
    while (sim.first != sim.last) {
        struct sim_event event = sim.events[sim.first++ % SIM_EVENTS];
        sim_deliver(&sim, &event);
        tenon_value_free(event.value);
    }
}

static void two_that_give_each_other_up_at_once_part(void **state)
{
    (void)state;
    start_mesh(2);
    tell(0, "{:lost_connection, :x@sim, 1, 1, :b@sim}");
    tell(1, "{:lost_connection, :x@sim, 1, 2, :a@sim}");
    assert_true(sim.linked[0][1]);
    deliver_all();
    assert_false(sim.linked[0][1]);
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    assert_one_mesh();
    sim_fini(&sim);
}

/* a, connected to others, who say nothing by themselves. */
static void start_among_mute(int count)
{
    assert_true(sim_init(&sim, count));
    for (int i = 1; i < count; i++) {
        sim.node[i].mute = true;
        sim.linked[0][i] = sim.linked[i][0] = true;
        tn_global_peer_up(sim.node[0].global, sim.node[i].name);
    }
    deliver_all();
}

static void who_is_known_by_one_side_alone_gets_a_new_connection(void **state)
{
    (void)state;
    start_among_mute(4);
    tell(0, "{:\"$gen_cast\", {:in_sync, :b@sim, true}}");
    tell(0, "{:\"$gen_cast\", {:in_sync, :c@sim, true}}");
    tell(0, "{:\"$gen_cast\", {:in_sync, :d@sim, false}}");
    assert_true(sim_fire_timer(&sim));
    assert_true(sim.linked[0][1]);
    /* Of c a member tells in time. */
    tell(0, "{:\"$gen_cast\", {:new_nodes, :x@sim, [], [], [{:c@sim, 8}], "
            "[]}}");
    assert_true(sim_run(&sim));
    assert_false(sim.linked[0][1]);
    assert_true(sim.linked[0][2]);
    assert_true(knows(0, 2));
    /* d takes no part. */
    assert_true(sim.linked[0][3]);
    assert_false(knows(0, 3));
    sim_fini(&sim);
}

/* Given up and made known again, before its connection has ended. */
static void the_loss_of_a_member_that_has_come_back_is_told(void **state)
{
    (void)state;
    start_among_mute(3);
    tell(0, "{:\"$gen_cast\", {:new_nodes, :x@sim, [], [], [{:b@sim, 8}, "
            "{:c@sim, 8}], []}}");
    tell(0, "{:lost_connection, :x@sim, 1, 1, :b@sim}");
    assert_false(knows(0, 1));
    tell(0, "{:\"$gen_cast\", {:new_nodes, :c@sim, [], [], [{:b@sim, 8}], "
            "[]}}");
    assert_true(knows(0, 1));
    deliver_all();
    tn_global_peer_down(sim.node[0].global, "b@sim");
    struct sim_event event = sim.events[sim.first % SIM_EVENTS];
    assert_int_not_equal(sim.first, sim.last);
    assert_int_equal(event.to, 2);
    assert_true(tenon_match(tenon_value_term(event.value),
                            "{:lost_connection, :a@sim, _, _, :b@sim}"));
    deliver_all();
    sim_fini(&sim);
}

static void a_node_that_stops_tells_of_no_losses(void **state)
{
    (void)state;
    start_mesh(4);
    tn_global_stop(sim.node[0].global);
    for (int i = 1; i < 4; i++) {
        sim_cut(&sim, 0, i);
        assert_true(sim_run(&sim));
    }
    for (int a = 1; a < 4; a++) {
        for (int b = 1; b < 4; b++) {
            assert_int_equal(knows(a, b), a != b);
        }
    }
    sim_fini(&sim);
}

static void a_stopped_node_ends_what_was_asked(void **state)
{
    (void)state;
    start_mesh(2);
    sim.node[1].mute = true;
    tenon_pid pid = sim_pid(&sim, 0, 7);
    (void)change(0, TN_G_REGISTER, ":one", &pid, "random_exit_name");
    (void)change(0, TN_G_REGISTER, ":two", &pid, "random_exit_name");
    (void)sim_run(&sim);
    assert_int_equal(sim.ended_count, 0);
    tn_global_stop(sim.node[0].global);
    assert_int_equal(sim.ended_count, 2);
    assert_int_equal(sim.ended[0], TENON_E_STOPPED);
    sim_fini(&sim);
}

static void a_change_that_is_given_up_gives_its_locks_back(void **state)
{
    (void)state;
    start_mesh(3);
    sim.node[2].mute = true;
    tenon_pid pid = sim_pid(&sim, 0, 7);
    struct tn_gop *op =
        change(0, TN_G_REGISTER, ":one", &pid, "random_exit_name");
    assert_true(sim_run(&sim));
    assert_int_equal(sim.ended_count, 0);
    tn_global_change_cancel(sim.node[0].global, op);
    assert_int_equal(sim.ended_count, 1);
    assert_int_equal(sim.ended[0], TENON_E_TIMEOUT);
    /* The mute one is lost: its answer will not come any more. */
    sim_cut(&sim, 0, 2);
    sim_cut(&sim, 1, 2);
    assert_true(sim_run(&sim));
    assert_null(sim.node[0].global->locks);
    assert_null(sim.node[1].global->locks);
    sim_fini(&sim);
}

/* ---- locks ------------------------------------------------------------- */

static bool ask_lock(int node, const char *request, uint32_t caller)
{
    tenon_pid pid = sim_pid(&sim, 1, caller);
    tenon_value *term = tenon_value_format(request);
    tenon_value *message = tenon_value_format(
        "{:\"$gen_call\", {~p, :told}, ~t}", &pid, tenon_value_term(term));
    tn_global_message(sim.node[node].global, tenon_value_term(message));
    tenon_value_free(message);
    tenon_value_free(term);
    assert_int_equal(sim.told_count, 1);
    sim.told_count = 0;
    return strstr(sim.told[0], " true") != NULL;
}

static void a_lock_has_one_requester_and_many_holders(void **state)
{
    (void)state;
    start_mesh(2);
    assert_true(ask_lock(0, "{:set_lock, {:r, 1}}", 10));
    assert_true(ask_lock(0, "{:set_lock, {:r, 1}}", 10));
    assert_true(ask_lock(0, "{:set_lock, {:r, 1}}", 11));
    assert_false(ask_lock(0, "{:set_lock, {:r, 2}}", 11));
    assert_true(ask_lock(0, "{:set_lock, {:other, 2}}", 11));
    assert_true(ask_lock(0, "{:del_lock, {:r, 2}}", 11));
    assert_true(ask_lock(0, "{:del_lock, {:r, 1}}", 10));
    assert_false(ask_lock(0, "{:set_lock, {:r, 2}}", 12));
    tenon_pid pid = sim_pid(&sim, 1, 11);
    sim_die(&sim, &pid);
    assert_true(ask_lock(0, "{:set_lock, {:r, 2}}", 12));
    assert_false(ask_lock(0, "{:set_lock, :not_a_pair}", 12));
    sim_fini(&sim);
}

/* A message that waited while its connection was lost. */
static void a_lock_of_a_former_connection_is_given_back(void **state)
{
    (void)state;
    start_mesh(2);
    struct tn_global *global = sim.node[0].global;
    assert_true(ask_lock(0, "{:set_lock, {:r, 1}}", 10));
    assert_true(ask_lock(0, "{:set_lock, {:r, 1}}", 11));
    assert_true(ask_lock(0, "{:set_lock, {:other, 1}}", 10));
    tenon_value *id = tenon_value_format("{:other, 1}");
    assert_true(tn_glock_set(global, tenon_value_term(id),
                             tenon_value_term(global->holder)));
    tenon_value_free(id);
    tn_global_peer_down(global, sim.node[1].name);
    assert_false(ask_lock(0, "{:set_lock, {:other, 2}}", 12));
    assert_true(ask_lock(0, "{:set_lock, {:r, 2}}", 12));
    sim_fini(&sim);
}

static void there_is_a_limit_to_locks(void **state)
{
    (void)state;
    assert_true(sim_init(&sim, 1));
    struct tn_global *global = sim.node[0].global;
    tenon_term holder = tenon_value_term(global->holder);
    for (int64_t i = 0; i <= TENON_GLOBAL_LOCKS_MAX; i++) {
        tenon_value *id = tenon_value_format("{~i, 1}", i);
        assert_int_equal(tn_glock_set(global, tenon_value_term(id), holder),
                         i < TENON_GLOBAL_LOCKS_MAX);
        tenon_value_free(id);
    }
    sim_fini(&sim);
}

static void a_name_needs_its_lock(void **state)
{
    (void)state;
    start_mesh(2);
    assert_true(ask_lock(0, "{:set_lock, {:global, :me}}", 10));
    tenon_pid holder = sim_pid(&sim, 1, 10), other = sim_pid(&sim, 1, 11);
    for (int i = 0; i < 2; i++) {
        tenon_value *message = tenon_value_format(
            "{:\"$gen_call\", {~p, :told}, {:register, :n, ~p, :m}}",
            i == 0 ? &other : &holder, &other);
        tn_global_message(sim.node[0].global, tenon_value_term(message));
        tenon_value_free(message);
        assert_string_equal(name_at(0, ":n"), i == 0 ? "none" : "11@b@sim");
    }
    sim_fini(&sim);
}

/* Else no node that comes later could be told of the names. */
static void a_name_too_deep_to_be_told_on_is_not_kept(void **state)
{
    (void)state;
    char deep[2 * 508 + 1] = "";
    memset(deep, '{', 508);
    memset(deep + 508, '}', 508);
    assert_true(sim_init(&sim, 3));
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    tenon_pid holder = sim_pid(&sim, 1, 10);
    tenon_value *name = tenon_value_format(deep);
    assert_non_null(name);
    assert_true(ask_lock(0, "{:set_lock, {:global, :me}}", 10));
    for (int i = 0; i < 2; i++) {
        tenon_value *simple = tenon_value_format(":n");
        tenon_term terms[] = { tenon_value_term(name),
                               tenon_value_term(simple) };
        tenon_value *message = tenon_value_format(
            "{:\"$gen_call\", {~p, :told}, {:register, ~t, ~p, ~t}}", &holder,
            terms[i], &holder, terms[1 - i]);
        tn_global_message(sim.node[0].global, tenon_value_term(message));
        tenon_value_free(message);
        tenon_value_free(simple);
    }
    assert_int_equal(HASH_COUNT(sim.node[0].global->names), 0);
    sim_die(&sim, &holder);
    sim_link(&sim, 0, 2);
    assert_true(sim_run(&sim));
    assert_one_mesh();
    tenon_value_free(name);
    sim_fini(&sim);
}

static void a_question_waits_for_the_lock(void **state)
{
    (void)state;
    start_mesh(2);
    assert_int_equal(set_name(0, ":n", 7, "random_exit_name"), TENON_OK);
    assert_true(ask_lock(0, "{:set_lock, {:global, :me}}", 10));
    tenon_pid pid = sim_pid(&sim, 1, 20);
    tenon_value *question =
        tenon_value_format("{:whereis, :n, {~p, :told}}", &pid);
    tn_global_message(sim.node[0].global, tenon_value_term(question));
    assert_int_equal(sim.told_count, 0);
    tenon_value_free(question);
    pid = sim_pid(&sim, 1, 10);
    sim_die(&sim, &pid);
    assert_int_equal(sim.told_count, 1);
    assert_string_equal(sim.told[0], "reply 20@b@sim #PID<a@sim.7.0>");
    sim_fini(&sim);
}

/* ---- one core, fed by hand --------------------------------------------- */

/* The peer is node 1 of the simulation, whose core never gets to know. */
static void start_fed(void)
{
    assert_true(sim_init(&sim, 2));
    sim.node[1].mute = true;
    sim.linked[0][1] = sim.linked[1][0] = true;
    tn_global_peer_up(sim.node[0].global, "b@sim");
}

static void feed(const char *pattern)
{
    tell(0, pattern);
}

/* The next thing that the core has sent, and the answer to a call. */
static void expect(const char *text, const char *answer)
{
    while (sim.first == sim.last) {
        assert_true(sim_fire_timer(&sim));
    }
    struct sim_event event = sim.events[sim.first++ % SIM_EVENTS];
    assert_string_equal(text_of(tenon_value_term(event.value)), text);
    tenon_value_free(event.value);
    if (event.call >= 0) {
        struct tn_gcall *call = sim.calls[event.call].call;
        tenon_value *reply = tenon_value_format(answer);
        sim.calls[event.call].call = NULL;
        tn_gcall_end(call, tenon_value_term(reply));
        tenon_value_free(reply);
    }
}

static void expect_nothing(void)
{
    assert_int_equal(sim.first, sim.last);
}

#define LOCK "{:global, [#PID<a@sim.1.0>, #PID<b@sim.1.0>]}"

static void a_node_of_version_5_is_spoken_to_as_such(void **state)
{
    (void)state;
    start_fed();
    expect("{:\"$gen_cast\", {:init_connect, {8, 1}, :a@sim, {:locker, "
           ":no_longer_a_pid, [], #PID<a@sim.1.0>}}}",
           NULL);
    feed("{:\"$gen_cast\", {:init_connect, {5, 77}, :b@sim, {:locker, "
         ":no_longer_a_pid, [], #PID<b@sim.1.0>}}}");
    expect("{:set_lock, " LOCK "}", "true");
    expect("{:lock_set, #PID<a@sim.1.0>, true, []}", NULL);
    feed("{:lock_set, #PID<b@sim.1.0>, true, []}");
    expect("{:\"$gen_cast\", {:exchange, :a@sim, [], [], 77}}", NULL);
    feed("{:\"$gen_cast\", {:exchange, :b@sim, [{:n, #PID<b@sim.7.0>, :m}], "
         "[], 1}}");
    expect("{:\"$gen_cast\", {:resolved, :a@sim, [], [], :unused, [], 77}}",
           NULL);
    feed("{:\"$gen_cast\", {:resolved, :b@sim, [], [], :unused, [], 1}}");
    expect("{:del_lock, " LOCK "}", NULL);
    expect_nothing();
    assert_string_equal(name_at(0, ":n"), "7@b@sim");
    assert_true(knows(0, 1));
    sim_fini(&sim);
}

static void a_node_of_version_8_that_locks_first_is_answered(void **state)
{
    (void)state;
    start_fed();
    expect("{:\"$gen_cast\", {:init_connect, {8, 1}, :a@sim, {:locker, "
           ":no_longer_a_pid, [], #PID<a@sim.1.0>}}}",
           NULL);
    feed("{:\"$gen_cast\", {:init_connect, {8, :his}, :b@sim, {:locker, "
         ":no_longer_a_pid, %{}, #PID<b@sim.1.0>}}}");
    expect("{:init_connect_ack, :a@sim, :his, 1}", NULL);
    feed("{:init_connect_ack, :b@sim, 1, :his}");
    feed("{:\"$gen_cast\", {:lock_set, #PID<b@sim.1.0>, true, [], 1}}");
    expect("{:\"$gen_cast\", {:lock_set, #PID<a@sim.1.0>, true, [], :his}}",
           NULL);
    expect("{:\"$gen_cast\", {:exchange, :a@sim, [], [], :his}}", NULL);
    feed("{:\"$gen_cast\", {:exchange, :b@sim, [], [], 1}}");
    expect("{:\"$gen_cast\", {:resolved, :a@sim, [], [], :unused, [], :his}}",
           NULL);
    assert_false(knows(0, 1));
    feed("{:\"$gen_cast\", {:resolved, :b@sim, [], [], :unused, [], 1}}");
    expect_nothing();
    assert_true(knows(0, 1));
    assert_null(sim.node[0].global->locks);
    sim_fini(&sim);
}

/* A member that comes while the others are being locked must be told too. */
static void a_new_member_is_locked_before_names_change(void **state)
{
    (void)state;
    assert_true(sim_init(&sim, 3));
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    sim.node[1].mute = sim.node[2].mute = true;
    tenon_pid pid = sim_pid(&sim, 0, 7);
    (void)change(0, TN_G_REGISTER, ":n", &pid, "random_exit_name");
    sim.linked[0][2] = sim.linked[2][0] = true;
    feed("{:\"$gen_cast\", {:new_nodes, :b@sim, [], [], [{:c@sim, 8}], [{:vsn, "
         "8}, {:lock, {:global, [1]}}]}}");
    expect("{:set_lock, {:global, #PID<a@sim.2.0>}}", "true");
    expect("", NULL); /* c@sim is connected */
    expect("{:del_lock, {:global, #PID<a@sim.2.0>}}", NULL);
    assert_string_equal(name_at(0, ":n"), "none");
    expect("{:set_lock, {:global, #PID<a@sim.2.0>}}", "true");
    expect("{:set_lock, {:global, #PID<a@sim.2.0>}}", "true");
    assert_string_equal(name_at(0, ":n"), "7@a@sim");
    sim_fini(&sim);
}

static void a_stale_session_is_begun_anew(void **state)
{
    (void)state;
    start_fed();
    sim.first = sim.last - 1;
    expect("{:\"$gen_cast\", {:init_connect, {8, 1}, :a@sim, {:locker, "
           ":no_longer_a_pid, [], #PID<a@sim.1.0>}}}",
           NULL);
    feed("{:\"$gen_cast\", {:init_connect, {8, :his}, :b@sim, {:locker, "
         ":no_longer_a_pid, [], #PID<b@sim.1.0>}}}");
    expect("{:init_connect_ack, :a@sim, :his, 1}", NULL);
    /* Of another session: nothing happens. */
    feed("{:\"$gen_cast\", {:lock_set, #PID<b@sim.1.0>, true, [], 99}}");
    feed("{:\"$gen_cast\", {:exchange, :b@sim, [{:n, #PID<b@sim.7.0>, :m}], "
         "[], 99}}");
    feed("{:\"$gen_cast\", {:resolved, :b@sim, [], [], :unused, [], 99}}");
    expect_nothing();
    feed("{:cancel_connect, :b@sim, 1}");
    expect("{:cancel_connect, :a@sim, :his}", NULL);
    expect("{:\"$gen_cast\", {:init_connect, {8, 2}, :a@sim, {:locker, "
           ":no_longer_a_pid, [], #PID<a@sim.1.0>}}}",
           NULL);
    feed("{:cancel_connect, :b@sim, 1}");
    expect_nothing();
    sim_fini(&sim);
}

static void no_message_breaks_the_core(void **state)
{
    static const char *const seeds[] = {
        "{:\"$gen_cast\", {:init_connect, {8, 7}, :b@sim, {:locker, :x, [], "
        "#PID<b@sim.1.0>}}}",
        "{:\"$gen_cast\", {:lock_set, #PID<b@sim.1.0>, true, [], 1}}",
        "{:\"$gen_cast\", {:exchange, :b@sim, [{:n, #PID<b@sim.7.0>, :m}], [], "
        "1}}",
        "{:\"$gen_cast\", {:resolved, :b@sim, [{:insert, {:n, "
        "#PID<b@sim.7.0>, :m}}], [{:c@sim, 8}], :unused, [], 1}}",
        "{:\"$gen_cast\", {:new_nodes, :b@sim, [{:delete, :n}], [], [{:d@sim, "
        "8}], [{:vsn, 8}, {:lock, {:global, [1]}}]}}",
        "{:\"$gen_cast\", {:in_sync, :b@sim, true}}",
        "{:init_connect_ack, :b@sim, 1, 7}",
        "{:cancel_connect, :b@sim, 1}",
        "{:lost_connection, :b@sim, 4, 5, :a@sim}",
        "{:remove_connection, :b@sim}",
        "{:whereis, :n, {#PID<b@sim.3.0>, :told}}",
        "{:\"$gen_call\", {#PID<b@sim.2.0>, :told}, {:set_lock, {:global, "
        "[1]}}}",
        "{:\"$gen_call\", {#PID<b@sim.2.0>, :told}, {:register, :n, "
        "#PID<b@sim.7.0>, :m}}",
        "{:\"$gen_call\", {#PID<b@sim.2.0>, :told}, {:sync, [:b@sim]}}",
        "{:\"$gen_call\", {#PID<b@sim.2.0>, :told}, :get_known}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        tenon_value *seed = tenon_value_format(seeds[i]);
        tenon_term whole = tenon_value_term(seed);
        uint8_t bytes[400];
        assert_non_null(seed);
        assert_true(whole.len < sizeof bytes);
        start_fed();
        feed(seeds[0]);
        feed(seeds[i]);
        /* One byte is another: whatever still passes the scan is fed. */
        for (size_t at = 0; at < whole.len; at++) {
            tenon_term changed;
            memcpy(bytes, whole.bytes, whole.len);
            bytes[at] ^= (uint8_t)(1u << (at % 8));
            if (tenon_term_scan(bytes, whole.len, &changed, NULL) == TENON_OK) {
                tn_global_message(sim.node[0].global, changed);
            }
            sim.told_count = 0;
        }
        sim_fini(&sim);
        tenon_value_free(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_that_meet_become_one_mesh),
        cmocka_unit_test(all_at_once_become_one_mesh),
        cmocka_unit_test(a_name_is_on_all_nodes_once),
        cmocka_unit_test(names_of_many_nodes_at_once_all_come_about),
        cmocka_unit_test(a_process_and_a_node_take_their_names_along),
        cmocka_unit_test(a_clash_kills_the_process_on_the_greater_node),
        cmocka_unit_test(a_clash_notifies_the_process_on_the_greater_node),
        cmocka_unit_test(a_clash_notifies_both_and_takes_the_name),
        cmocka_unit_test(a_clash_with_an_unknown_method_takes_the_name),
        cmocka_unit_test(a_limited_member_has_its_own_names_and_no_others),
        cmocka_unit_test(a_limited_member_gives_its_name_to_others),
        cmocka_unit_test(a_limited_member_decides_no_clash),
        cmocka_unit_test(a_limited_member_brings_nobody_along),
        cmocka_unit_test(members_that_lose_each_other_are_given_up),
        cmocka_unit_test(two_that_give_each_other_up_at_once_part),
        cmocka_unit_test(who_is_known_by_one_side_alone_gets_a_new_connection),
        cmocka_unit_test(the_loss_of_a_member_that_has_come_back_is_told),
        cmocka_unit_test(a_member_out_of_reach_is_given_up),
        cmocka_unit_test(a_node_that_stops_tells_of_no_losses),
        cmocka_unit_test(a_stopped_node_ends_what_was_asked),
        cmocka_unit_test(a_change_that_is_given_up_gives_its_locks_back),
        cmocka_unit_test(a_lock_has_one_requester_and_many_holders),
        cmocka_unit_test(a_lock_of_a_former_connection_is_given_back),
        cmocka_unit_test(there_is_a_limit_to_locks),
        cmocka_unit_test(a_name_needs_its_lock),
        cmocka_unit_test(a_name_too_deep_to_be_told_on_is_not_kept),
        cmocka_unit_test(a_question_waits_for_the_lock),
        cmocka_unit_test(a_node_of_version_5_is_spoken_to_as_such),
        cmocka_unit_test(a_node_of_version_8_that_locks_first_is_answered),
        cmocka_unit_test(a_new_member_is_locked_before_names_change),
        cmocka_unit_test(a_stale_session_is_begun_anew),
        cmocka_unit_test(no_message_breaks_the_core),
    };
    return cmocka_run_group_tests_name("otp/global", tests, NULL, NULL);
}
