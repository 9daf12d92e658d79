/* SPDX-License-Identifier: Apache-2.0 */
/* What one peer has global keep: each kind has a limit, the memory is on the
 * peer's account, and all of it is given back when the peer goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "global_sim.h"

static struct sim sim;
static tn_budget *budget;
static tn_account *peer, *other;

/* Node 0 with nodes 1 and 2, which are connected and say nothing. */
static struct tn_global *start_with(size_t memory)
{
    budget = tn_budget_new(memory);
    peer = tn_account_of(budget, "b@sim");
    other = tn_account_of(budget, "c@sim");
    assert_true(budget != NULL && peer != NULL && other != NULL);
    assert_true(sim_init(&sim, 3));
    sim.node[1].mute = sim.node[2].mute = true;
    tn_global_peer_up(sim.node[0].global, "b@sim");
    tn_global_peer_up(sim.node[0].global, "c@sim");
    return sim.node[0].global;
}

static struct tn_global *start(void)
{
    return start_with((size_t)1 << 30);
}

static void stop(void)
{
    sim_fini(&sim);
    tn_account_unref(peer);
    tn_account_unref(other);
    tn_budget_unref(budget);
}

static void say(tn_account *account, const char *by, tenon_value *message)
{
    assert_non_null(message);
    tn_global_message_by(sim.node[0].global, by, account,
                         tenon_value_term(message));
    tenon_value_free(message);
}

static void call(tn_account *account, int node, const char *request)
{
    tenon_pid from = sim_pid(&sim, node, 7);
    tenon_value *asked = tenon_value_format(request);
    say(account, NULL,
        tenon_value_format("{:\"$gen_call\", {~p, :told}, ~t}", &from,
                           tenon_value_term(asked)));
    tenon_value_free(asked);
}

static void use_up(tn_account *account, enum tn_quota kind, uint32_t n)
{
    assert_true(tn_account_take_many(account, kind, n, n));
}

static void assert_told(const char *expected)
{
    assert_int_equal(sim.told_count, 1);
    assert_string_equal(sim.told[--sim.told_count], expected);
}

static void assert_holds_nothing(void)
{
    for (int kind = 0; kind < TN_QUOTA_KINDS; kind++) {
        assert_int_equal(tn_account_count(peer, (enum tn_quota)kind), 0);
    }
    assert_int_equal(tn_account_bytes(peer), 0);
}

/* ---- what waits ---------------------------------------------------------- */

static void ask(tn_account *account, int node)
{
    tenon_pid from = sim_pid(&sim, node, 7);
    say(account, NULL,
        tenon_value_format("{:whereis, :name, {~p, :told}}", &from));
}

static void questions_of_one_peer_have_a_limit(void **state)
{
    struct tn_global *global = start();
    (void)state;
    tenon_value *id = tenon_value_format("{:global, :me}");
    tenon_value *holder = tenon_value_format("~p", &global->holder_pid);
    assert_true(
        tn_glock_set(global, tenon_value_term(id), tenon_value_term(holder)));
    use_up(peer, TN_QUOTA_WAITING, TN_GLOBAL_PEER_WAITING_MAX - 1);
    ask(peer, 1);
    assert_int_equal(sim.told_count, 0);
    assert_false(tn_account_was_refused(peer));
    ask(peer, 1);
    assert_told("reply 7@b@sim :undefined");
    assert_true(tn_account_was_refused(peer));
    ask(other, 2);
    assert_int_equal(sim.told_count, 0);
    assert_int_equal(global->question_count, 2);
    tn_account_give_back_many(peer, TN_QUOTA_WAITING,
                              TN_GLOBAL_PEER_WAITING_MAX - 1);
    tn_global_peer_down(global, "b@sim");
    assert_int_equal(global->question_count, 1);
    assert_holds_nothing();
    tn_glock_delete(global, tenon_value_term(id), tenon_value_term(holder));
    assert_told("reply 7@c@sim :undefined");
    assert_int_equal(tn_account_bytes(other), 0);
    tenon_value_free(id);
    tenon_value_free(holder);
    stop();
}

static void syncs_of_one_peer_have_a_limit(void **state)
{
    struct tn_global *global = start();
    const char *request = "{:sync, [:\"c@sim\"]}";
    (void)state;
    use_up(peer, TN_QUOTA_WAITING, TN_GLOBAL_PEER_WAITING_MAX - 1);
    call(peer, 1, request);
    assert_int_equal(sim.told_count, 0);
    call(peer, 1, request);
    assert_told("reply 7@b@sim :ok");
    assert_true(tn_account_was_refused(peer));
    assert_int_equal(global->sync_count, 1);
    tn_account_give_back_many(peer, TN_QUOTA_WAITING,
                              TN_GLOBAL_PEER_WAITING_MAX - 1);
    tn_global_peer_down(global, "b@sim");
    assert_int_equal(global->sync_count, 0);
    assert_int_equal(sim.told_count, 0);
    assert_holds_nothing();
    stop();
}

/* ---- names and locks ----------------------------------------------------- */

static void register_one(tn_account *account, const char *by, int64_t number)
{
    tenon_pid pid = sim_pid(&sim, 1, 7);
    say(account, by,
        tenon_value_format("{:\"$gen_call\", {~p, :told}, {:register, ~i, ~p, "
                           "&:global.random_exit_name/3}}",
                           &pid, number, &pid));
    sim.told_count = 0;
}

static void names_of_a_limited_peer_have_a_limit(void **state)
{
    struct tn_global *global = start();
    tenon_pid pid = sim_pid(&sim, 1, 7);
    (void)state;
    call(peer, 1, "{:set_lock, {:global, :me}}");
    use_up(peer, TN_QUOTA_NAMES, TN_GLOBAL_PEER_NAMES_MAX - 1);
    register_one(peer, "b@sim", 1);
    assert_int_equal(HASH_COUNT(global->names), 1);
    register_one(peer, "b@sim", 2);
    assert_int_equal(HASH_COUNT(global->names), 1);
    assert_true(tn_account_was_refused(peer));
    /* One that is not limited tells those of the whole cluster. */
    register_one(peer, NULL, 2);
    assert_int_equal(HASH_COUNT(global->names), 2);
    tn_account_give_back_many(peer, TN_QUOTA_NAMES,
                              TN_GLOBAL_PEER_NAMES_MAX - 1);
    sim_die(&sim, &pid);
    assert_int_equal(HASH_COUNT(global->names), 0);
    assert_holds_nothing();
    stop();
}

static void locks_of_one_peer_have_a_limit(void **state)
{
    struct tn_global *global = start();
    tenon_pid pid = sim_pid(&sim, 1, 7);
    (void)state;
    use_up(peer, TN_QUOTA_LOCKS, TN_GLOBAL_PEER_LOCKS_MAX - 1);
    call(peer, 1, "{:set_lock, {:one, :me}}");
    assert_told("reply 7@b@sim true");
    call(peer, 1, "{:set_lock, {:two, :me}}");
    assert_told("reply 7@b@sim false");
    assert_true(tn_account_was_refused(peer));
    call(other, 2, "{:set_lock, {:two, :me}}");
    assert_told("reply 7@c@sim true");
    assert_int_equal(HASH_COUNT(global->locks), 2);
    tn_account_give_back_many(peer, TN_QUOTA_LOCKS,
                              TN_GLOBAL_PEER_LOCKS_MAX - 1);
    sim_die(&sim, &pid);
    assert_int_equal(HASH_COUNT(global->locks), 1);
    assert_holds_nothing();
    stop();
}

/* ---- exchanges ----------------------------------------------------------- */

static void send_names(struct tn_global *global, size_t count)
{
    int64_t tag = tn_gpeer_find(global, "b@sim")->my_tag;
    tenon_pid pid = sim_pid(&sim, 1, 7);
    tenon_builder *out = tenon_builder_new();
    tenon_term names;
    assert_non_null(out);
    tenon_build_list(out, count);
    for (size_t i = 0; i < count; i++) {
        tenon_format(out, "{~i, ~p, :method}", (int64_t)i, &pid);
    }
    tenon_build_nil(out);
    assert_int_equal(tenon_builder_term(out, &names), TENON_OK);
    say(peer, NULL,
        tenon_value_format(
            "{:\"$gen_cast\", {:exchange, :\"b@sim\", ~t, [], ~i}}", names,
            tag));
    tenon_builder_free(out);
}

static bool is_cut(void)
{
    return sim.first != sim.last &&
           sim.events[(sim.last - 1) % SIM_EVENTS].kind == SIM_CUT;
}

static void
names_that_wait_for_the_lock_are_on_their_peer_s_account(void **state)
{
    struct tn_global *global = start();
    (void)state;
    send_names(global, 1000);
    assert_false(is_cut());
    assert_true(tn_account_bytes(peer) >= 2 * 1000 * 20);
    assert_int_equal(tn_account_count(peer, TN_QUOTA_EXCHANGES), 1);
    tn_global_peer_down(global, "b@sim");
    assert_holds_nothing();
    stop();
}

static void an_exchange_without_room_costs_its_connection_alone(void **state)
{
    struct tn_global *global = start_with(64 * 1024);
    (void)state;
    send_names(global, 2000);
    assert_true(is_cut());
    assert_true(tn_account_was_refused(peer));
    assert_holds_nothing();
    assert_null(tn_gpeer_find(global, "b@sim")->names.value);
    assert_true(tn_gpeer_find(global, "c@sim")->session);
    stop();
}

/* In a mesh where all speak. */
static void names_of_an_exchange_are_on_their_peer_s_account(void **state)
{
    struct tn_global *global = start();
    tenon_value *method = tenon_value_format("&:global.random_exit_name/3");
    tenon_pid pid = sim_pid(&sim, 1, 7);
    tenon_value *pid_term = tenon_value_format("~p", &pid);
    (void)state;
    tn_global_peer_down(global, "b@sim");
    sim.node[1].mute = false;
    sim.accounts[1] = peer;
    for (int64_t i = 0; i < 50; i++) {
        tenon_value *name = tenon_value_format("~i", i);
        assert_int_equal(tn_gname_insert(sim.node[1].global,
                                         tenon_value_term(name),
                                         tenon_value_term(pid_term),
                                         tenon_value_term(method), true),
                         TENON_OK);
        tenon_value_free(name);
    }
    sim_link(&sim, 0, 1);
    assert_true(sim_run(&sim));
    assert_int_equal(HASH_COUNT(global->names), 50);
    assert_int_equal(tn_account_count(peer, TN_QUOTA_NAMES), 50);
    assert_int_equal(tn_account_count(peer, TN_QUOTA_EXCHANGES), 0);
    sim_cut(&sim, 0, 1);
    assert_int_equal(HASH_COUNT(global->names), 0);
    assert_holds_nothing();
    tenon_value_free(method);
    tenon_value_free(pid_term);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_of_one_peer_have_a_limit),
        cmocka_unit_test(syncs_of_one_peer_have_a_limit),
        cmocka_unit_test(names_of_a_limited_peer_have_a_limit),
        cmocka_unit_test(locks_of_one_peer_have_a_limit),
        cmocka_unit_test(
            names_that_wait_for_the_lock_are_on_their_peer_s_account),
        cmocka_unit_test(an_exchange_without_room_costs_its_connection_alone),
        cmocka_unit_test(names_of_an_exchange_are_on_their_peer_s_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
