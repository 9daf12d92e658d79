/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that may connect and nothing else, and what it makes of the processes
 * that serve every node: nothing that it says of others counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adversary.h"
#include "otp/rex.h"

#define NOBODY "victim@127.0.0.9"
#define RULES                                                                  \
    "{peer, 'evil@*', []}. "                                                   \
    "{peer, 'some@*', [{functions, [{m, leader, 0}, {net_adm, ping, 1}, "      \
    "{global, resolve_it, 4}, {observer_backend, procs_info, 1}, "             \
    "{observer_backend, get_table, 3}, {observer_backend, fetch_stats, 2}, "   \
    "{appmon_info, start_link2, 3}]}, {names, [own]}]}. "                      \
    "{peer, 'other@*', all}."

static struct adversary evil;
static tenon_process *box; /* of the peer that may do everything */
static tenon_process *own; /* of the ruled node, with the name "own" */

static void group_leader(tenon_call *call, void *user)
{
    tenon_pid leader;
    (void)user;
    tenon_call_group_leader(call, &leader);
    tenon_reply(call, "~a", leader.node);
}

static int start(void **state)
{
    (void)state;
    start_nodes(RULES);
    OK(tenon_function(ruled, "m", "leader", 0, group_leader, NULL, 0));
    box = new_box(good, NULL);
    own = new_box(ruled, "own");
    join_as(&evil, EVIL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    end_box(box);
    end_box(own);
    end_close(&evil.end);
    forget_question(&evil);
    stop_nodes();
    return 0;
}

static const char *good_name(void)
{
    return tenon_node_name(good);
}

/* ---- the mesh ------------------------------------------------------------ */

static void names_nobody_whom_the_node_calls(void **state)
{
    struct adversary other;
    (void)state;
    answer_nodes(&evil, NOBODY);
    WAIT_FOR(claims() == 1);
    assert_false(is_peer(ruled, NOBODY));
    WAIT_FOR(has_logged("claim=\"nodes() of " NOBODY "\""));
    join_as(&other, "other@127.0.0.1");
    answer_nodes(&other, "third@127.0.0.1");
    WAIT_FOR(has_logged("peer=third@127.0.0.1"));
    assert_int_equal(claims(), 1);
    assert_false(has_logged("peer=" NOBODY));
    end_close(&other.end);
    forget_question(&other);
}

/* ---- global: nodes ------------------------------------------------------- */

/* What the name server says that it knows. */
static bool is_known(const char *name)
{
    return strstr(ask(&evil, "global_name_server",
                      tenon_value_format(":get_known")),
                  name) != NULL;
}

static void wait_until_known(const char *name)
{
    uint64_t deadline = tn_now_ms() + DEADLINE_MS;
    while (!is_known(name)) {
        assert_true(tn_now_ms() < deadline);
    }
}

static void makes_no_node_lost(void **state)
{
    (void)state;
    wait_until_known(good_name());
    tell(&evil, "global_name_server",
         tenon_value_format("{:remove_connection, ~a}", good_name()));
    settle(&evil);
    tell(&evil, "global_name_server",
         tenon_value_format("{:lost_connection, ~a, 1, 1, ~a}", EVIL,
                            good_name()));
    tell(&evil, "global_name_server",
         tenon_value_format("{:lost_connection, ~a, 1, 2, ~a}", good_name(),
                            tenon_node_name(ruled)));
    tell(&evil, "global_name_server",
         tenon_value_format(
             "{:DOWN, ~r, :process, {:global_name_server, ~a}, "
             ":noconnection}",
             &(tenon_ref){ .creation = 1, .word_count = 3, .node = EVIL },
             good_name()));
    settle(&evil);
    assert_true(is_known(good_name()));
    assert_true(is_up(ruled, good_name()));
    assert_int_equal(claims(), 4);
    WAIT_FOR(has_logged("event=refused peer=" EVIL
                        " claim=\"remove_connection of "));
}

static void makes_no_node_known(void **state)
{
    (void)state;
    tell(&evil, "global_name_server",
         tenon_value_format("{:\"$gen_cast\", {:new_nodes, ~a, [], [], [{~a, "
                            "8}], [{:vsn, 8}]}}",
                            EVIL, NOBODY));
    tell(&evil, "global_name_server",
         tenon_value_format("{:\"$gen_cast\", {:new_nodes, ~a, [], [], [{~a, "
                            "8}], [{:vsn, 8}]}}",
                            good_name(), EVIL));
    settle(&evil);
    assert_false(is_known(NOBODY));
    assert_false(is_peer(ruled, NOBODY));
    assert_int_equal(claims(), 2);
}

static void begins_no_session_for_another(void **state)
{
    static const char *const said[] = {
        "{:\"$gen_cast\", {:init_connect, {8, 1}, ~a, {:locker, :x, [], ~t}}}",
        "{:\"$gen_cast\", {:exchange, ~a, [], [], ~t}}",
        "{:\"$gen_cast\", {:resolved, ~a, [], [], [], [], ~t}}",
        "{:init_connect_ack, ~a, 1, ~t}",
    };
    (void)state;
    wait_until_known(good_name());
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        tell(&evil, "global_name_server",
             tenon_value_format(said[i], good_name(), evil.pid));
        settle(&evil);
        assert_int_equal(claims(), i + 1);
    }
    tell(&evil, "global_name_server",
         tenon_value_format("{:\"$gen_cast\", {:in_sync, ~a, false}}",
                            good_name()));
    tell(&evil, "global_name_server",
         tenon_value_format("{:cancel_connect, ~a, 1}", good_name()));
    settle(&evil);
    assert_int_equal(claims(), 6);
    /* Nor with a locker of another, to whom this node would speak. */
    tenon_pid others = pid_of(box);
    tell(&evil, "global_name_server",
         tenon_value_format("{:\"$gen_cast\", {:init_connect, {4, 1}, ~a, "
                            "{:locker, :x, [], ~p}}}",
                            EVIL, &others));
    tell(&evil, "global_name_server",
         tenon_value_format("{:\"$gen_cast\", {:lock_set, ~p, true, []}}",
                            &others));
    tell(&evil, "global_name_server",
         tenon_value_format("{:\"$gen_cast\", {:lock_set, ~p, true, [], 1}}",
                            &others));
    settle(&evil);
    assert_int_equal(claims(), 9);
    assert_true(is_known(good_name()));
}

/* ---- global: names and locks --------------------------------------------- */

static bool has_name(const char *name, const char *node)
{
    tenon_value *term = tenon_value_format("~a", name);
    tenon_pid pid;
    bool has =
        tenon_global_whereis(ruled, tenon_value_term(term), &pid) == TENON_OK &&
        strcmp(pid.node, node) == 0;
    tenon_value_free(term);
    return has;
}

static void register_good(const char *name)
{
    tenon_value *term = tenon_value_format("~a", name);
    tenon_pid pid = pid_of(box);
    tenon_error err = { 0 };
    if (tenon_global_register(good, tenon_value_term(term), &pid,
                              TENON_GLOBAL_RANDOM_EXIT, DEADLINE_MS,
                              &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tenon_value_free(term);
    WAIT_FOR(has_name(name, good_name()));
}

/* As whoever changes names does first. */
static void lock_names(void)
{
    uint64_t deadline = tn_now_ms() + DEADLINE_MS;
    while (
        strcmp(ask(&evil, "global_name_server",
                   tenon_value_format("{:set_lock, {:global, ~t}}", evil.pid)),
               "true") != 0) {
        assert_true(tn_now_ms() < deadline);
    }
}

static tenon_value *registration(const char *name, tenon_term pid)
{
    return tenon_value_format("{:register, ~a, ~t, :m}", name, pid);
}

static void names_its_own_processes_alone(void **state)
{
    tenon_pid other = pid_of(box);
    tenon_value *others = must_format_pid(&other);
    (void)state;
    wait_until_known(good_name());
    register_good("db");
    lock_names();
    assert_string_equal(
        ask(&evil, "global_name_server", registration("db", evil.pid)), ":yes");
    assert_string_equal(ask(&evil, "global_name_server",
                            tenon_value_format("{:unregister, :db}")),
                        ":ok");
    assert_true(has_name("db", good_name()));
    (void)ask(&evil, "global_name_server",
              registration("theirs", tenon_value_term(others)));
    assert_false(has_name("theirs", good_name()));
    assert_int_equal(claims(), 3);
    (void)ask(&evil, "global_name_server", registration("mine", evil.pid));
    assert_true(has_name("mine", EVIL));
    assert_int_equal(claims(), 3);
    (void)ask(&evil, "global_name_server",
              tenon_value_format("{:unregister, :mine}"));
    assert_false(has_name("mine", EVIL));
    tenon_value_free(others);
}

static void changes_others_names_with_no_new_nodes(void **state)
{
    tenon_pid other = pid_of(box);
    (void)state;
    wait_until_known(good_name());
    register_good("db");
    lock_names();
    tell(
        &evil, "global_name_server",
        tenon_value_format("{:\"$gen_cast\", {:new_nodes, ~a, [{:insert, {:db, "
                           "~t, :m}}, {:delete, :db}, {:insert, {:theirs, ~p, "
                           ":m}}, {:insert, {:mine, ~t, :m}}], [], [], "
                           "[{:lock, {:global, ~t}}]}}",
                           EVIL, evil.pid, &other, evil.pid, evil.pid));
    settle(&evil);
    assert_true(has_name("db", good_name()));
    assert_false(has_name("theirs", good_name()));
    assert_true(has_name("mine", EVIL));
    assert_int_equal(claims(), 3);
}

static void holds_no_lock_of_others(void **state)
{
    tenon_value *resource = tenon_value_format(":table");
    tenon_value *requester = tenon_value_format(":job");
    const char *nodes[] = { tenon_node_name(ruled) };
    const tenon_global_lock lock = { .resource = tenon_value_term(resource),
                                     .requester = tenon_value_term(requester),
                                     .nodes = nodes,
                                     .node_count = 1,
                                     .timeout_ms = DEADLINE_MS };
    (void)state;
    OK(tenon_global_set_lock(ruled, &lock, NULL));
    assert_string_equal(ask(&evil, "global_name_server",
                            tenon_value_format("{:set_lock, {:table, :job}}")),
                        "false");
    assert_int_equal(claims(), 1);
    OK(tenon_global_del_lock(ruled, &lock, NULL));
    assert_string_equal(ask(&evil, "global_name_server",
                            tenon_value_format("{:set_lock, {:table, :job}}")),
                        "true");
    assert_int_equal(claims(), 1);
    tenon_value_free(resource);
    tenon_value_free(requester);
}

/* As two lockers do, who hold one lock together. */
static void holds_a_lock_with_others_that_names_it(void **state)
{
    tenon_pid others = pid_of(own);
    tenon_value *resource = tenon_value_format(":table");
    tenon_value *requester = tenon_value_format("[~t, ~p]", evil.pid, &others);
    const char *nodes[] = { tenon_node_name(ruled) };
    const tenon_global_lock lock = { .resource = tenon_value_term(resource),
                                     .requester = tenon_value_term(requester),
                                     .nodes = nodes,
                                     .node_count = 1,
                                     .timeout_ms = DEADLINE_MS };
    (void)state;
    OK(tenon_global_set_lock(ruled, &lock, NULL));
    assert_string_equal(ask(&evil, "global_name_server",
                            tenon_value_format("{:set_lock, {:table, ~t}}",
                                               tenon_value_term(requester))),
                        "true");
    assert_int_equal(claims(), 0);
    tenon_value_free(resource);
    tenon_value_free(requester);
}

/* ---- pg ------------------------------------------------------------------ */

static bool group_is(const char *group, tenon_term pid)
{
    tenon_value *name = tenon_value_format("~a", group);
    tenon_value *expected = tenon_value_format("[~t]", pid);
    tenon_builder *out = tenon_builder_new();
    tenon_term list;
    OK(tenon_pg_members(ruled, "pg", tenon_value_term(name), TENON_PG_ALL,
                        out));
    OK(tenon_builder_term(out, &list));
    bool is = tenon_term_equal(
        list, pid.bytes != NULL ? tenon_value_term(expected)
                                : (tenon_term){ (uint8_t[]){ 106 }, 1 });
    tenon_builder_free(out);
    tenon_value_free(expected);
    tenon_value_free(name);
    return is;
}

static void joins_and_leaves_for_itself_in_pg(void **state)
{
    tenon_value *group = tenon_value_format(":group");
    tenon_pid others = pid_of(box), scope = { 0 };
    (void)state;
    OK(tenon_pg_start(ruled, "pg", NULL));
    OK(tenon_pg_start(good, "pg", NULL));
    tenon_process *theirs = tenon_whereis(good, "pg");
    tenon_process_pid(theirs, &scope);
    tenon_process_release(theirs);
    OK(tenon_pg_join(box, "pg", tenon_value_term(group)));
    tenon_value *member = must_format_pid(&others);
    WAIT_FOR(group_is("group", tenon_value_term(member)));
    /* In the name of another's scope. */
    tell(&evil, "pg",
         tenon_value_format("{:leave, ~p, ~p, [:group]}", &scope, &others));
    tell(&evil, "pg",
         tenon_value_format("{:\"$gen_cast\", {:sync, ~p, []}}", &scope));
    tell(&evil, "pg",
         tenon_value_format("{:join, ~p, :more, ~t}", &scope, evil.pid));
    tell(&evil, "pg", tenon_value_format("{:discover, ~p}", &scope));
    settle(&evil);
    assert_int_equal(claims(), 4);
    assert_true(group_is("group", tenon_value_term(member)));
    assert_true(group_is("more", (tenon_term){ NULL, 0 }));
    /* In its own name, with processes of others: its own are kept. */
    tell(
        &evil, "pg",
        tenon_value_format("{:\"$gen_cast\", {:sync, ~t, [{:more, [~p, ~t]}]}}",
                           evil.pid, &others, evil.pid));
    settle(&evil);
    assert_true(group_is("more", evil.pid));
    tell(&evil, "pg",
         tenon_value_format("{:leave, ~t, ~t, [:more]}", evil.pid, evil.pid));
    tell(&evil, "pg",
         tenon_value_format("{:join, ~t, :more, [~p, ~t]}", evil.pid, &others,
                            evil.pid));
    settle(&evil);
    assert_true(group_is("more", evil.pid));
    assert_int_equal(claims(), 6);
    tenon_value_free(member);
    tenon_value_free(group);
}

/* ---- lines of the log ---------------------------------------------------- */

static void logs_in_its_own_name(void **state)
{
    tenon_pid others = pid_of(box);
    (void)state;
    tell(&evil, "logger_proxy",
         tenon_value_format("{:log, :error, \"forged\", %{:pid => ~p}}",
                            &others));
    tell(&evil, "logger_proxy",
         tenon_value_format("{:log, :error, \"forged\", %{:pid => :other}}"));
    tell(&evil, "logger_proxy",
         tenon_value_format("{:log, :error, \"true\", %{:pid => ~t}}",
                            evil.pid));
    WAIT_FOR(has_logged("event=remote_log peer=" EVIL " by="));
    assert_false(has_logged("forged"));
    assert_int_equal(claims(), 2);
}

/* ---- what runs functions ------------------------------------------------- */

static tenon_value *run_request(const char *verb,
                                const char *module,
                                const char *name,
                                const char *args,
                                const tenon_pid *leader)
{
    tenon_value *list = tenon_value_format(args);
    tenon_value *request =
        tenon_value_format("{~a, ~a, ~a, ~t, ~p}", verb, module, name,
                           tenon_value_term(list), leader);
    tenon_value_free(list);
    return request;
}

static void runs_nothing_by_rex(void **state)
{
    tenon_pid leader = pid_of(box);
    (void)state;
    assert_non_null(
        strstr(ask(&evil, "rex",
                   run_request("call", "erlang", "nodes", "[]", &leader)),
               ":not_allowed"));
    assert_non_null(
        strstr(ask(&evil, "rex",
                   run_request("block_call", "net_kernel", "connect_node",
                               "[:\"" NOBODY "\"]", &leader)),
               ":not_allowed"));
    tell(&evil, "rex",
         tenon_value_format("{:\"$gen_cast\", {:cast, :m, :leader, [], ~t}}",
                            evil.pid));
    tell(&evil, "rex",
         tenon_value_format("{~t, {:sbcast, :own, :hello}}", evil.pid));
    tell(&evil, "rex",
         tenon_value_format("{~t, {:send, :own, :hello}}", evil.pid));
    settle(&evil);
    assert_int_equal(stats_of(ruled).functions_refused, 3);
    /* The name, twice, and another's group leader, of each call. */
    assert_int_equal(stats_of(ruled).names_refused, 4);
    assert_no_message(own);
    assert_false(is_peer(ruled, NOBODY));
}

static void spawns_nothing_by_net_kernel(void **state)
{
    (void)state;
    assert_string_equal(
        ask(&evil, "net_kernel", tenon_value_format("{:is_auth, ~a}", EVIL)),
        ":yes");
    assert_non_null(
        strstr(ask(&evil, "net_kernel",
                   tenon_value_format("{:spawn_link, :erlang, :nodes, [], ~t}",
                                      evil.pid)),
               "#PID<"));
    RUN_UNTIL(&loop, evil.of[TN_SIG_EXIT] == 1);
    assert_int_equal(stats_of(ruled).functions_refused, 1);
    send_call(&evil, "net_kernel",
              tenon_value_format("{:connect, :normal, ~a}", NOBODY));
    send_call(&evil, "net_kernel",
              tenon_value_format("{:disconnect, ~a}", good_name()));
    settle(&evil);
    assert_false(is_peer(ruled, NOBODY));
    assert_true(is_up(ruled, good_name()));
}

static void send_pid(const tenon_pid *pid, tenon_value *message)
{
    tenon_value *to = must_format_pid(pid);
    assert_non_null(message);
    send_signal(&evil,
                (struct tn_signal){ .kind = TN_SIG_SEND,
                                    .from = evil.pid,
                                    .to = tenon_value_term(to),
                                    .payload = tenon_value_term(message) });
    tenon_value_free(message);
    tenon_value_free(to);
}

/* ---- the processes themselves -------------------------------------------- */

static tenon_process *process_named(tenon_term name)
{
    tn_lock(ruled);
    tenon_process *process = tn_process_target_locked(ruled, name);
    tn_unlock(ruled);
    return process;
}

static void neither_looks_into_nor_ends_them(void **state)
{
    static const char *const names[] = { "rex", "net_kernel", "logger_proxy",
                                         "global_name_server", "pg" };
    (void)state;
    OK(tenon_pg_start(ruled, "pg", NULL));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint8_t to[40];
        tenon_term name = make_atom(to, names[i]);
        tenon_process *before = process_named(name);
        assert_non_null(before);
        tell(&evil, names[i],
             tenon_value_format("{:system, {~t, 1}, :get_state}", evil.pid));
        tell(&evil, names[i],
             tenon_value_format("{:system, {~t, 1}, :suspend}", evil.pid));
        send_signal(&evil, (struct tn_signal){ .kind = TN_SIG_EXIT2,
                                               .from = evil.pid,
                                               .to = name,
                                               .payload = tn_atom_killed });
        settle(&evil);
        assert_ptr_equal(process_named(name), before);
    }
    /* logger_proxy knows no such messages. */
    assert_int_equal(stats_of(ruled).names_refused, 3 * 5 - 2);
}

static bool is_alive(const tenon_pid *pid)
{
    tenon_value *term = must_format_pid(pid);
    bool is = process_named(tenon_value_term(term)) != NULL;
    tenon_value_free(term);
    return is;
}

/* They have no name by which a rule could keep them. */
static void neither_looks_into_nor_ends_the_nodes_own_calls(void **state)
{
    tenon_pid calls;
    (void)state;
    tn_local_rpc_pid(ruled, &calls);
    tenon_value *to = must_format_pid(&calls), *nobody = pid_at(NOBODY, 1);
    send_pid(&calls, tenon_value_format("{:system, {~t, 1}, :get_state}",
                                        tenon_value_term(nobody)));
    send_pid(&calls,
             tenon_value_format("{:system, {~t, 1}, :suspend}", evil.pid));
    send_signal(&evil, (struct tn_signal){ .kind = TN_SIG_EXIT2,
                                           .from = evil.pid,
                                           .to = tenon_value_term(to),
                                           .payload = tn_atom_killed });
    settle(&evil);
    assert_int_equal(stats_of(ruled).names_refused, 3);
    assert_true(is_alive(&calls));
    assert_false(is_peer(ruled, NOBODY));
    tenon_value_free(nobody);
    tenon_value_free(to);
}

static void finds_nobody_else(void **state)
{
    static const char *const names[] = {
        "init",     "code_server", "application_controller",
        "erl_epmd", "kernel_sup",  "auth",
        "own"
    };
    size_t count = sizeof names / sizeof names[0];
    (void)state;
    for (size_t i = 0; i < count; i++) {
        uint8_t to[40];
        tenon_ref ref = { .creation = 1000, .word_count = 3, .node = EVIL };
        ref.words[0] = 100 + (uint32_t)i;
        tenon_value *term = tenon_value_format("~r", &ref);
        send_signal(&evil, (struct tn_signal){ .kind = TN_SIG_MONITOR,
                                               .from = evil.pid,
                                               .to = make_atom(to, names[i]),
                                               .ref = tenon_value_term(term) });
        tenon_value_free(term);
    }
    settle(&evil);
    assert_int_equal(evil.of[TN_SIG_DOWN], count);
    assert_int_equal(stats_of(ruled).names_refused, 1);
    send_signal(&evil, (struct tn_signal){ .kind = TN_SIG_LINK,
                                           .from = evil.pid,
                                           .to = tn_process_pid(own) });
    settle(&evil);
    assert_int_equal(evil.of[TN_SIG_EXIT], 1);
    assert_int_equal(stats_of(ruled).names_refused, 2);
    assert_int_equal(stats_of(ruled).links, 0);
}

/* ---- processes without a name --------------------------------------------- */

static void writes_and_is_answered_as_itself(void **state)
{
    tenon_pid leader = pid_of(ruled->group_leader), others = pid_of(box);
    (void)state;
    settle(&evil);
    unsigned before = evil.of[TN_SIG_SEND];
    send_pid(&leader, tenon_value_format("{:io_request, ~p, 1, {:put_chars, "
                                         ":unicode, \"\"}}",
                                         &others));
    send_pid(&leader, tenon_value_format("{:io_request, ~t, 1, {:put_chars, "
                                         ":unicode, \"\"}}",
                                         evil.pid));
    RUN_UNTIL(&loop, evil.of[TN_SIG_SEND] == before + 1);
    assert_int_equal(stats_of(ruled).names_refused, 1);
    assert_no_message(box);
}

static void runs_nothing_by_the_nodes_own_calls(void **state)
{
    tenon_pid calls;
    (void)state;
    tn_local_rpc_pid(ruled, &calls);
    evil.asked = (tenon_ref){ .creation = 1000, .word_count = 3 };
    snprintf(evil.asked.node, sizeof evil.asked.node, "%s", EVIL);
    evil.answered = false;
    send_pid(&calls, tenon_value_format(
                         "{:\"$gen_call\", {~t, ~r}, [~r, :m, :leader, []]}",
                         evil.pid, &evil.asked, &evil.asked));
    WAIT_FOR(stats_of(ruled).functions_refused == 1);
}

/* ---- functions that were granted ------------------------------------------ */

static void granted_functions_call_nobody(void **state)
{
    struct adversary some;
    tenon_pid leader = pid_of(box);
    (void)state;
    join_as(&some, "some@127.0.0.1");
    assert_string_equal(ask(&some, "rex",
                            run_request("call", "net_adm", "ping",
                                        "[:\"" NOBODY "\"]", &leader)),
                        ":pang");
    assert_false(is_peer(ruled, NOBODY));
    assert_int_equal(claims(), 1);
    tenon_value *name = tenon_value_format("[~a]", good_name());
    char args[300];
    tenon_term_print(tenon_value_term(name), args, sizeof args);
    tenon_value_free(name);
    assert_string_equal(
        ask(&some, "rex",
            run_request("call", "net_adm", "ping", args, &leader)),
        ":pong");
    /* What they write goes to the caller, or stays here. */
    char text[300];
    snprintf(text, sizeof text, ":%s", tenon_node_name(ruled));
    assert_string_equal(
        ask(&some, "rex", run_request("call", "m", "leader", "[]", &leader)),
        text);
    end_close(&some.end);
    forget_question(&some);
}

static void sends_no_end_to_a_granted_name_by_rex(void **state)
{
    struct adversary some;
    tenon_pid others = pid_of(box);
    (void)state;
    join_as(&some, "some@127.0.0.1");
    tell(&some, "rex",
         tenon_value_format("{~t, {:sbcast, :own, {:EXIT, ~p, :forged}}}",
                            some.pid, &others));
    tell(&some, "rex",
         tenon_value_format("{~t, {:sbcast, :own, :hello}}", some.pid));
    assert_next(own, ":hello");
    assert_int_equal(claims(), 1);
    end_close(&some.end);
    forget_question(&some);
}

/* Each function that sends to a process which is an argument. */
static void granted_functions_tell_nobody_else(void **state)
{
    static const struct {
        const char *module, *name, *args;
        bool second; /* the second pid is the other's */
    } asked[] = {
        { "observer_backend", "procs_info", "[~t]", false },
        { "observer_backend", "get_table", "[~t, :t, []]", false },
        { "observer_backend", "fetch_stats", "[~t, 1]", false },
        { "appmon_info", "start_link2", "[~t, ~t, []]", false },
        { "appmon_info", "start_link2", "[~t, ~t, []]", true },
    };
    struct adversary some;
    tenon_pid leader = pid_of(box);
    (void)state;
    join_as(&some, "some@127.0.0.1");
    tenon_value *nobody = pid_at(NOBODY, 1);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        tenon_term pid = tenon_value_term(nobody);
        tenon_value *args =
            asked[i].second ? tenon_value_format(asked[i].args, some.pid, pid)
                            : tenon_value_format(asked[i].args, pid, some.pid);
        const char *answer = ask(
            &some, "rex",
            tenon_value_format("{:call, ~a, ~a, ~t, ~p}", asked[i].module,
                               asked[i].name, tenon_value_term(args), &leader));
        assert_non_null(strstr(answer, ":badarg"));
        tenon_value_free(args);
    }
    assert_false(is_peer(ruled, NOBODY));
    /* Nor does what they have started. */
    tenon_value *args = tenon_value_format("[~t, ~t, []]", some.pid, some.pid);
    const char *answer =
        ask(&some, "rex",
            tenon_value_format("{:call, :appmon_info, :start_link2, ~t, ~p}",
                               tenon_value_term(args), &leader));
    assert_non_null(strstr(answer, "{:ok, "));
    tenon_value_free(args);
    RUN_UNTIL(&loop, some.linked != NULL);
    uint64_t before = stats_of(ruled).names_refused;
    tenon_value *cast =
        tenon_value_format("{:\"$gen_cast\", {~t, :app_ctrl, :all, true, []}}",
                           tenon_value_term(nobody));
    send_signal(&some, (struct tn_signal){ .kind = TN_SIG_SEND,
                                           .from = some.pid,
                                           .to = tenon_value_term(some.linked),
                                           .payload = tenon_value_term(cast) });
    WAIT_FOR(stats_of(ruled).names_refused == before + 1);
    assert_false(is_peer(ruled, NOBODY));
    tenon_value_free(cast);
    tenon_value_free(nobody);
    end_close(&some.end);
    forget_question(&some);
}

static void a_clash_of_names_ends_nobody_for_it(void **state)
{
    struct adversary some;
    tenon_pid ours = pid_of(own), leader = pid_of(box);
    (void)state;
    join_as(&some, "some@127.0.0.1");
    tenon_value *list = tenon_value_format(
        "[&:global.random_exit_name/3, :name, ~t, ~p]", some.pid, &ours);
    assert_non_null(list);
    char expected[100];
    tenon_value *pid = must_format_pid(&ours);
    tenon_term_print(tenon_value_term(pid), expected, sizeof expected);
    assert_string_equal(
        ask(&some, "rex",
            tenon_value_format("{:call, :global, :resolve_it, ~t, ~p}",
                               tenon_value_term(list), &leader)),
        expected);
    assert_int_equal(claims(), 1);
    assert_no_message(own);
    tenon_value_free(pid);
    tenon_value_free(list);
    end_close(&some.end);
    forget_question(&some);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_nobody_whom_the_node_calls),
        TEST(makes_no_node_lost),
        TEST(makes_no_node_known),
        TEST(begins_no_session_for_another),
        TEST(names_its_own_processes_alone),
        TEST(changes_others_names_with_no_new_nodes),
        TEST(holds_no_lock_of_others),
        TEST(holds_a_lock_with_others_that_names_it),
        TEST(joins_and_leaves_for_itself_in_pg),
        TEST(logs_in_its_own_name),
        TEST(runs_nothing_by_rex),
        TEST(spawns_nothing_by_net_kernel),
        TEST(neither_looks_into_nor_ends_them),
        TEST(neither_looks_into_nor_ends_the_nodes_own_calls),
        TEST(finds_nobody_else),
        TEST(writes_and_is_answered_as_itself),
        TEST(runs_nothing_by_the_nodes_own_calls),
        TEST(granted_functions_call_nobody),
        TEST(sends_no_end_to_a_granted_name_by_rex),
        TEST(granted_functions_tell_nobody_else),
        TEST(a_clash_of_names_ends_nobody_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
