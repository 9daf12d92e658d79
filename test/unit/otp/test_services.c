/* SPDX-License-Identifier: Apache-2.0 */
/* rex, net_kernel and global_name_server as seen by a process that writes to
 * them: the forms of OTP 23 to 29, and anything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "own_node.h"
#include "unit/support/functions.h"

static void give_nothing(tenon_call *call, void *user)
{
    (void)call;
    (void)user;
}

static void end_own_process(tenon_call *call, void *user)
{
    (void)user;
    tenon_process_exit(tenon_call_self(call), ":ended");
}

static void tell(tenon_call *call, void *user)
{
    (void)user;
    tenon_pid pid;
    if (tenon_term_pid(tenon_call_arg(call, 0), &pid) == TENON_OK) {
        tenon_send_format(tenon_call_node(call), &(tenon_dest){ .pid = &pid },
                          "{:told, ~t}", tenon_call_arg(call, 1));
    }
    tenon_reply(call, ":ok");
}

static int start(void **state)
{
    tenon_node *node = own_node_start();
    OK(tenon_function(node, "m", "echo", 1, give_back, NULL, 0));
    OK(tenon_function(node, "m", "quick", 1, give_back, NULL, TENON_INLINE));
    OK(tenon_function(node, "m", "nothing", 0, give_nothing, NULL, 0));
    OK(tenon_function(node, "m", "raise", 1, raise_it, NULL, 0));
    OK(tenon_function(node, "m", "throw", 1, throw_it, NULL, 0));
    OK(tenon_function(node, "m", "exit", 1, exit_with, NULL, 0));
    OK(tenon_function(node, "m", "end", 0, end_own_process, NULL, 0));
    OK(tenon_function(node, "m", "tell", 2, tell, NULL, 0));
    *state = node;
    return 0;
}

/* ---- rex --------------------------------------------------------------- */

static void rex_tells_its_features(void **state)
{
    struct me me = me_new(*state);
    OK(tenon_send_format(me.node, TO("rex"), "{~p, :features_request}",
                         &me.pid));
    assert_next(&me, "{:features_reply, :\"" OWN_NAME "\", [:erpc]}");
    me_free(&me);
}

/* Asks rex as C nodes do, {Pid, {call, ...}}. */
static void assert_called(struct me *me, const char *call, const char *expected)
{
    char pattern[300], reply[600];
    snprintf(pattern, sizeof pattern, "{~p, {:call, %s, :user}}", call);
    OK(tenon_send_format(me->node, TO("rex"), pattern, &me->pid));
    snprintf(reply, sizeof reply, "{:rex, %s}", expected);
    assert_next(me, reply);
}

static void a_call_of_rex_gives_what_rpc_gives(void **state)
{
    struct me me = me_new(*state);
    assert_called(&me, ":m, :echo, [{1, 2}]", "{1, 2}");
    assert_called(&me, ":m, :quick, [{1, 2}]", "{1, 2}");
    assert_called(&me, ":m, :nothing, []", "nil");
    assert_called(&me, ":m, :throw, [:t]", ":t");
    assert_called(&me, ":m, :exit, [:e]", "{:badrpc, {:EXIT, :e}}");
    assert_called(&me, ":m, :end, []", "{:badrpc, {:EXIT, :ended}}");
    assert_called(&me, ":m, :raise, [:r]",
                  "{:badrpc, {:EXIT, {:r, [{:m, :raise, 1, []}]}}}");
    me_free(&me);
}

static void an_unknown_function_is_undef_with_its_arguments(void **state)
{
    struct me me = me_new(*state);
    assert_called(&me, ":m, :unknown, [1]",
                  "{:badrpc, {:EXIT, {:undef, [{:m, :unknown, [1], []}]}}}");
    assert_called(&me, ":m, :echo, []",
                  "{:badrpc, {:EXIT, {:undef, [{:m, :echo, [], []}]}}}");
    me_free(&me);
}

static void what_cannot_be_called_is_badarg(void **state)
{
    struct me me = me_new(*state);
    assert_called(&me, "\"m\", :f, []",
                  "{:badrpc, {:EXIT, {:badarg, "
                  "[{:erlang, :apply, [\"m\", :f, []], []}]}}}");
    assert_called(&me, ":m, :f, :no_list",
                  "{:badrpc, {:EXIT, {:badarg, "
                  "[{:erlang, :apply, [:m, :f, :no_list], []}]}}}");
    me_free(&me);
}

static void apply_calls_what_it_applies(void **state)
{
    struct me me = me_new(*state);
    assert_called(&me, ":erlang, :apply, [:m, :echo, [1]]", "1");
    assert_called(&me, ":erlang, :apply, [&:m.echo/1, [2]]", "2");
    assert_called(&me, ":erlang, :apply, [:erlang, :apply, [&:m.echo/1, [3]]]",
                  "3");
    assert_called(&me, ":erlang, :apply, [&:m.echo/1, []]",
                  "{:badrpc, {:EXIT, {{:badarity, {&:m.echo/1, []}}, "
                  "[{:erlang, :apply, 2, []}]}}}");
    assert_called(&me, ":erlang, :apply, [&:m.unknown/0, []]",
                  "{:badrpc, {:EXIT, {:undef, [{:m, :unknown, [], []}]}}}");
    assert_called(&me, ":erlang, :apply, [:no_fun, []]",
                  "{:badrpc, {:EXIT, {:undef, "
                  "[{:erlang, :apply, [:no_fun, []], []}]}}}");
    me_free(&me);
}

static void gen_calls_of_otp_23_are_answered_at_their_tag(void **state)
{
    struct me me = me_new(*state);
    static const char *const verbs[] = { "call", "block_call" };
    for (size_t i = 0; i < 2; i++) {
        OK(tenon_send_format(me.node, TO("rex"),
                             "{:\"$gen_call\", {~p, :tag}, "
                             "{~a, :m, :echo, [7], ~p}}",
                             &me.pid, verbs[i], &me.pid));
        assert_next(&me, "{:tag, 7}");
    }
    me_free(&me);
}

static void a_cast_runs_without_an_answer(void **state)
{
    struct me me = me_new(*state);
    OK(tenon_send_format(me.node, TO("rex"),
                         "{:\"$gen_cast\", {:cast, :m, :tell, [~p, 5], ~p}}",
                         &me.pid, &me.pid));
    assert_next(&me, "{:told, 5}");
    assert_no_message(&me);
    me_free(&me);
}

static void sbcast_gives_a_message_to_a_name(void **state)
{
    struct me me = me_new(*state);
    OK(tenon_register(me.box, "target"));
    OK(tenon_send_format(me.node, TO("rex"), "{~p, {:sbcast, :target, :hi}}",
                         &me.pid));
    assert_next(&me, ":hi");
    assert_next(&me, "{:rex, :\"" OWN_NAME "\", :\"" OWN_NAME "\"}");
    OK(tenon_send_format(me.node, TO("rex"), "{~p, {:sbcast, :nobody, :hi}}",
                         &me.pid));
    assert_next(&me, "{:rex, :\"" OWN_NAME "\", {:nonexisting_name, :nobody}}");
    me_free(&me);
}

static void send_relays_with_the_senders_pid(void **state)
{
    struct me me = me_new(*state);
    OK(tenon_register(me.box, "target"));
    OK(tenon_send_format(me.node, TO("rex"), "{~p, {:send, :target, :hi}}",
                         &me.pid));
    tenon_value *message = next_message(&me);
    assert_true(tenon_match(tenon_value_term(message), "{_, :hi}"));
    tenon_value_free(message);
    OK(tenon_send_format(me.node, TO("rex"), "{~p, {:send, [1], :hi}}",
                         &me.pid));
    assert_next(&me, "{:rex, :\"" OWN_NAME "\", {:nonexisting_name, [1]}}");
    me_free(&me);
}

static void a_killed_rex_is_there_again(void **state)
{
    struct me me = me_new(*state);
    tenon_pid pid;
    tenon_ref ref;
    tenon_process *rex = tenon_whereis(me.node, "rex");
    tenon_process_pid(rex, &pid);
    tenon_process_release(rex);
    tenon_value *kill = tenon_value_format(":kill");
    OK(tenon_monitor(me.box, &(tenon_dest){ .pid = &pid }, &ref));
    OK(tenon_exit_signal(me.box, &pid, tenon_value_term(kill)));
    tenon_value_free(kill);
    tenon_value_free(next_message(&me)); /* the DOWN */
    while ((rex = tenon_whereis(me.node, "rex")) == NULL) {
        OK(tenon_sleep(me.node, 1));
    }
    tenon_process_release(rex);
    rex_tells_its_features(state);
    me_free(&me);
}

/* ---- net_kernel -------------------------------------------------------- */

static void net_kernel_answers_a_ping(void **state)
{
    struct me me = me_new(*state);
    OK(tenon_send_format(me.node, TO("net_kernel"),
                         "{:\"$gen_call\", {~p, 1}, {:is_auth, :\"a@b\"}}",
                         &me.pid));
    assert_next(&me, "{1, :yes}");
    me_free(&me);
}

static void an_old_spawn_replies_with_the_pid_and_runs(void **state)
{
    struct me me = me_new(*state);
    tenon_pid pid;
    OK(tenon_send_format(me.node, TO("net_kernel"),
                         "{:\"$gen_call\", {~p, :tag}, "
                         "{:spawn, :m, :tell, [~p, 1], ~p}}",
                         &me.pid, &me.pid, &me.pid));
    tenon_value *reply = next_message(&me);
    assert_true(tenon_match(tenon_value_term(reply), "{:tag, ~p}", &pid));
    assert_string_equal(pid.node, OWN_NAME);
    tenon_value_free(reply);
    assert_next(&me, "{:told, 1}");
    me_free(&me);
}

/* The reply, then the exit of the linked process with the reason. */
static void
assert_linked_spawn(struct me *me, const char *request, const char *reason)
{
    char pattern[300];
    tenon_pid pid, from;
    tenon_term why;
    snprintf(pattern, sizeof pattern, "{:\"$gen_call\", {~p, :tag}, %s}",
             request);
    OK(tenon_send_format(me->node, TO("net_kernel"), pattern, &me->pid,
                         &me->pid));
    tenon_value *reply = next_message(me);
    assert_true(tenon_match(tenon_value_term(reply), "{:tag, ~p}", &pid));
    tenon_value_free(reply);
    tenon_value *exit = next_message(me);
    assert_true(
        tenon_match(tenon_value_term(exit), "{:EXIT, ~p, ~t}", &from, &why));
    assert_true(tenon_pid_equal(&pid, &from));
    assert_string_equal(text_of(why), reason);
    tenon_value_free(exit);
}

static void an_old_linked_spawn_is_linked_before_the_reply(void **state)
{
    struct me me = me_new(*state);
    tenon_process_trap_exit(me.box, true);
    assert_linked_spawn(&me, "{:spawn_link, :m, :echo, [1], ~p}", ":normal");
    assert_linked_spawn(&me, "{:spawn_link, :m, :unknown, [1], ~p}",
                        "{:undef, [{:m, :unknown, [1], []}]}");
    assert_linked_spawn(&me, "{:spawn_link, :m, :end, [], ~p}", ":ended");
    assert_linked_spawn(&me, "{:spawn_opt, :m, :exit, [:e], [], :link, ~p}",
                        ":e");
    me_free(&me);
}

static void an_old_spawn_without_link_is_not_linked(void **state)
{
    struct me me = me_new(*state);
    tenon_process_trap_exit(me.box, true);
    OK(tenon_send_format(me.node, TO("net_kernel"),
                         "{:\"$gen_call\", {~p, :tag}, "
                         "{:spawn_opt, :m, :exit, [:e], [], :no_link, ~p}}",
                         &me.pid, &me.pid));
    tenon_value_free(next_message(&me));
    OK(tenon_send_format(me.node, TO("net_kernel"),
                         "{:\"$gen_call\", {~p, 1}, {:is_auth, :a}}", &me.pid));
    assert_next(&me, "{1, :yes}");
    me_free(&me);
}

/* ---- global ------------------------------------------------------------ */

#define STRANGER "stranger@127.0.0.1"

static void nobody_sees_a_global_name_server(void **state)
{
    struct me me = me_new(*state);
    tenon_ref ref;
    OK(tenon_monitor(me.box, TO("global_name_server"), &ref));
    tenon_value *down = next_message(&me);
    assert_true(tenon_match(tenon_value_term(down),
                            "{:DOWN, _, :process, _, :noproc}"));
    tenon_value_free(down);
    OK(tenon_send_format(me.node, TO("global_name_server"),
                         "{:\"$gen_call\", {~p, 1}, :get_known}", &me.pid));
    OK(tenon_send_format(me.node, TO("global_name_server"),
                         "{:\"$gen_cast\", {:init_connect, {8, 1}, "
                         ":\"" STRANGER "\", :locker}}"));
    rex_tells_its_features(state);
    assert_no_message(&me);
    /* A name in a message is no reason to connect. */
    tn_lock(me.node);
    assert_null(tn_peer_find_locked(me.node, STRANGER, strlen(STRANGER)));
    tn_unlock(me.node);
    me_free(&me);
}

/* ---- anything else ----------------------------------------------------- */

static const char *const seeds[] = {
    "{~p, :features_request}",
    "{~p, {:call, :m, :echo, [1], :user}}",
    "{~p, {:call, :erlang, :apply, [&:m.echo/1, [1]], :user}}",
    "{:\"$gen_call\", {~p, [:alias | 1]}, {:call, :m, :echo, [1], :gl}}",
    "{:\"$gen_call\", {~p, [[:alias | 1] | 2]}, {:is_auth, :\"a@b\"}}",
    "{:\"$gen_call\", {~p, 1}, {:spawn_opt, :m, :echo, [1], [], :link, :gl}}",
    "{:\"$gen_call\", {~p, 1}, {:spawn, :m, :echo, [1], :gl}}",
    "{:\"$gen_cast\", {:cast, :m, :echo, [1], :gl}}",
    "{:\"$gen_cast\", {:init_connect, {8, 1}, :\"b@127.0.0.1\", {:locker}}}",
    "{~p, {:sbcast, :nobody, :hi}}",
    "{~p, {:send, :nobody, :hi}}",
    "{:system, {~p, 1}, {:terminate, :normal}}",
};

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Changes up to four bytes, but not the pid to answer to, which would have the
 * node call other hosts. Most results are no terms and are not sent. */
static void send_mutated(tenon_node *node,
                         tenon_term seed,
                         tenon_term pid,
                         uint32_t *random,
                         unsigned *sent)
{
    static const char *const names[] = { "rex", "net_kernel",
                                         "global_name_server" };
    uint8_t bytes[512];
    tenon_term term;
    assert_true(seed.len < sizeof bytes);
    memcpy(bytes, seed.bytes, seed.len);
    const uint8_t *kept = memmem(bytes, seed.len, pid.bytes, pid.len);
    for (uint32_t n = 1 + next_random(random) % 4; n > 0; n--) {
        uint8_t *at = &bytes[next_random(random) % seed.len];
        if (kept == NULL || at < kept || at >= kept + pid.len) {
            *at = (uint8_t)next_random(random);
        }
    }
    if (tenon_term_scan(bytes, seed.len, &term, NULL) < 0) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        OK(tenon_send(node, TO(names[i]), term, NULL));
    }
    (*sent)++;
}

static void no_message_breaks_the_services(void **state)
{
    tenon_node *node = *state;
    struct me me = me_new(node);
    uint32_t random = 20231121;
    unsigned sent = 0;
    /* What is spawned may be linked to this process, and fail. */
    tenon_process_trap_exit(me.box, true);
    for (unsigned round = 0; sent < 6000; round++) {
        size_t i = round % (sizeof seeds / sizeof seeds[0]);
        tenon_value *seed = tenon_value_format(seeds[i], &me.pid);
        assert_non_null(seed);
        send_mutated(node, tenon_value_term(seed), tn_process_pid(me.box),
                     &random, &sent);
        tenon_value_free(seed);
        if (round % 512 == 0) {
            rex_tells_its_features(state);
        }
    }
    rex_tells_its_features(state);
    net_kernel_answers_a_ping(state);
    me_free(&me);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rex_tells_its_features),
        cmocka_unit_test(a_call_of_rex_gives_what_rpc_gives),
        cmocka_unit_test(an_unknown_function_is_undef_with_its_arguments),
        cmocka_unit_test(what_cannot_be_called_is_badarg),
        cmocka_unit_test(apply_calls_what_it_applies),
        cmocka_unit_test(gen_calls_of_otp_23_are_answered_at_their_tag),
        cmocka_unit_test(a_cast_runs_without_an_answer),
        cmocka_unit_test(sbcast_gives_a_message_to_a_name),
        cmocka_unit_test(send_relays_with_the_senders_pid),
        cmocka_unit_test(a_killed_rex_is_there_again),
        cmocka_unit_test(net_kernel_answers_a_ping),
        cmocka_unit_test(an_old_spawn_replies_with_the_pid_and_runs),
        cmocka_unit_test(an_old_linked_spawn_is_linked_before_the_reply),
        cmocka_unit_test(an_old_spawn_without_link_is_not_linked),
        cmocka_unit_test(nobody_sees_a_global_name_server),
        cmocka_unit_test(no_message_breaks_the_services),
    };
    return cmocka_run_group_tests_name("otp/services", tests, start,
                                       own_node_stop);
}
