/* SPDX-License-Identifier: Apache-2.0 */
/* What servers of OTP keep for a peer is on that peer's account: refused,
 * counted and logged above its quota, and given back when it is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tenon/pg.h>
#include <tenon/supervisor.h>

#include "adversary.h"
#include "dist/block.h"
#include "dist/flags.h"
#include "otp/pg_groups.h"

#define LARGE 10000u /* less than what is read at a time */

static struct adversary evil;
static tn_account *account; /* of the adversary */

static int start(void **state)
{
    (void)state;
    start_nodes("{peer, 'evil@*', all}.");
    join_as(&evil, EVIL);
    account = tn_account_of(ruled->budget, EVIL);
    assert_non_null(account);
    return 0;
}

static void leave(void)
{
    end_close(&evil.end);
    forget_question(&evil);
    WAIT_FOR(!is_peer(ruled, EVIL));
}

static int stop(void **state)
{
    (void)state;
    tn_account_unref(account);
    stop_nodes();
    return 0;
}

static uint64_t refused(void)
{
    return stats_of(ruled).quotas_reached;
}

/* Takes all of a kind that the peer may have, but for `left`; how many. */
static uint32_t use_up(enum tn_quota kind, uint32_t max, uint32_t left)
{
    uint32_t n = max - tn_account_count(account, kind) - left;
    assert_true(tn_account_take_many(account, kind, n, max));
    return n;
}

/* of: what it is called in the log. */
static void assert_refused(uint64_t before, const char *of)
{
    assert_int_equal(refused(), before + 1);
    settle(&evil); /* the line comes with the peer's next message */
    WAIT_FOR(has_logged("event=quota_reached") && has_logged(of));
}

/* But for what is being read, which has whole blocks. */
static size_t kept(void)
{
    return tn_account_bytes(account) % TN_BLOCK_BYTES;
}

/* ---- children of supervisors --------------------------------------------- */

/* start_link() */
static void start_link(tenon_call *call, void *user)
{
    tenon_pid parent, pid;
    (void)user;
    OK(tenon_call_from(call, &parent));
    tenon_process *server = tenon_server_start(
        ruled, &(tenon_server_config){ .name = "child", .parent = &parent });
    assert_non_null(server);
    tenon_process_pid(server, &pid);
    tenon_process_release(server);
    tenon_reply_ok(call, "~p", &pid);
}

static void ignore(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply(call, ":ignore");
}

/* Takes all that the peer may have, when it is told to. */
static atomic_bool may_fill;

static void fill(tenon_call *call, void *user)
{
    (void)user;
    WAIT_FOR(atomic_load(&may_fill));
    tn_account_charge_always(account, tn_budget_max(ruled->budget) / 2);
    tenon_reply(call, ":ignore");
}

static tenon_process *supervise(void)
{
    tenon_error err = { 0 };
    OK(tenon_function(ruled, "w", "start_link", 0, start_link, NULL, 0));
    OK(tenon_function(ruled, "w", "ignore", 1, ignore, NULL, 0));
    OK(tenon_function(ruled, "w", "fill", 0, fill, NULL, 0));
    tenon_process *sup = tenon_supervisor_start(
        ruled, &(tenon_supervisor_config){
                   .name = "sup", .strategy = TENON_ONE_FOR_ONE, .err = &err });
    if (sup == NULL) {
        fail_msg("%s", err.text);
    }
    return sup;
}

static const char *start_child(void)
{
    return ask(&evil, "sup",
               tenon_value_format("{:start_child, %{:id => :a, :start => {:w, "
                                  ":start_link, []}}}"));
}

static const char *ask_sup(const char *request)
{
    return ask(&evil, "sup", tenon_value_format(request));
}

static bool is_there(const char *name)
{
    tenon_process *process = tenon_whereis(ruled, name);
    tenon_process_release(process);
    return process != NULL;
}

static bool was_started(const char *answer)
{
    return strncmp(answer, "{:ok, #PID", 10) == 0;
}

static void a_child_counts_for_the_peer_that_has_it_started(void **state)
{
    (void)state;
    tenon_process *sup = supervise();
    assert_true(was_started(start_child()));
    assert_int_equal(tn_account_count(account, TN_QUOTA_PROCESSES), 1);
    assert_true(tn_account_bytes(account) > sizeof(tenon_process));
    /* Its successor does as well, which the supervisor starts. */
    tenon_process *first = tenon_whereis(ruled, "child");
    OK(tenon_process_exit(first, ":oops"));
    WAIT_FOR(tn_account_count(account, TN_QUOTA_PROCESSES) == 1 &&
             is_there("child"));
    tenon_process_release(first);
    /* It outlives the peer, and so does what it counts for. */
    leave();
    assert_true(is_there("child"));
    assert_int_equal(tn_account_count(account, TN_QUOTA_PROCESSES), 1);
    OK(tenon_process_exit(sup, ":shutdown"));
    tenon_process_release(sup);
    WAIT_FOR(tn_account_count(account, TN_QUOTA_PROCESSES) == 0);
    WAIT_FOR(tn_account_bytes(account) == 0);
}

static void a_child_above_the_quota_of_its_peer_is_not_started(void **state)
{
    (void)state;
    tenon_process *sup = supervise();
    uint64_t before = refused();
    uint32_t n = use_up(TN_QUOTA_PROCESSES, TN_PEER_PROCESSES_MAX, 0);
    assert_non_null(strstr(start_child(), "{:error, {:system_limit, "));
    assert_refused(before, "of=processes refused=1 ");
    WAIT_FOR(!is_there("child"));
    tn_account_give_back_many(account, TN_QUOTA_PROCESSES, n);
    assert_true(was_started(start_child()));
    assert_string_equal(ask_sup("{:terminate_child, :a}"), ":ok");
    assert_int_equal(tn_account_count(account, TN_QUOTA_PROCESSES), 0);
    assert_string_equal(ask_sup("{:delete_child, :a}"), ":ok");
    leave();
    tenon_process_release(sup);
    WAIT_FOR(tn_account_bytes(account) == 0);
}

/* A request for a child that does not run. */
static tenon_value *large_child(void)
{
    static const uint8_t zeros[LARGE];
    return tenon_value_format("{:start_child, {:b, {:w, :ignore, [~b]}, "
                              ":permanent, 5000, :worker, [:w]}}",
                              zeros, sizeof zeros);
}

/* What it is to be started with is kept, whether it runs or not. */
static void a_specification_is_kept_on_the_account(void **state)
{
    (void)state;
    tenon_process *sup = supervise();
    assert_string_equal(ask(&evil, "sup", large_child()), "{:ok, :undefined}");
    settle(&evil);
    assert_in_range(kept(), LARGE, 2 * LARGE);
    assert_string_equal(ask_sup("{:delete_child, :b}"), ":ok");
    WAIT_FOR(kept() == 0);
    /* What the peer holds otherwise may leave no room for it. */
    uint64_t before = refused();
    send_call(&evil, "sup",
              tenon_value_format("{:start_child, {:c, {:w, :fill, []}, "
                                 ":temporary, 5000, :worker, [:w]}}"));
    send_call(&evil, "sup", large_child());
    settle(&evil);
    assert_int_equal(refused(), before);
    atomic_store(&may_fill, true);
    RUN_UNTIL(&loop, evil.answered);
    assert_string_equal(evil.answer, "{:error, :system_limit}");
    tn_account_discharge(account, tn_budget_max(ruled->budget) / 2);
    assert_refused(before, "of=\"children of supervisors\" refused=1 ");
    leave();
    tenon_process_release(sup);
    WAIT_FOR(tn_account_bytes(account) == 0);
}

/* ---- sys ------------------------------------------------------------------ */

/* message: taken. */
static void tell_server(tenon_value *message)
{
    tell(&evil, "served", message);
    settle(&evil);
}

/* What sys is asked of the server. */
static void ask_sys(const char *request)
{
    tenon_ref ref = { .creation = 1000, .word_count = 3, .words = { 9 } };
    snprintf(ref.node, sizeof ref.node, "%s", EVIL);
    tell_server(tenon_value_format(request, evil.pid, &ref));
}

static void build_large(tenon_builder *out, void *state)
{
    static const uint8_t zeros[LARGE];
    (void)state;
    tenon_build_binary(out, zeros, sizeof zeros);
}

static tenon_process *serve(void)
{
    tenon_process *server = tenon_server_start(
        ruled, &(tenon_server_config){ .name = "served",
                                       .on_get_state = build_large });
    assert_non_null(server);
    return server;
}

static void what_sys_logs_is_kept_on_the_account(void **state)
{
    static const uint8_t zeros[LARGE / 4];
    (void)state;
    tenon_process *server = serve();
    ask_sys("{:system, {~t, ~r}, {:debug, {:log, {true, 4}}}}");
    for (unsigned i = 0; i < 10; i++) {
        tell_server(tenon_value_format("~b", zeros, sizeof zeros));
    }
    WAIT_FOR(kept() >= LARGE && kept() <= LARGE + 1000);
    ask_sys("{:system, {~t, ~r}, {:debug, {:log, false}}}");
    WAIT_FOR(kept() == 0);
    ask_sys("{:system, {~t, ~r}, {:debug, {:log, true}}}");
    tell_server(tenon_value_format("~b", zeros, sizeof zeros));
    WAIT_FOR(kept() >= sizeof zeros);
    /* It is the server's while that lives. */
    leave();
    assert_true(kept() >= sizeof zeros);
    OK(tenon_process_exit(server, ":shutdown"));
    tenon_process_release(server);
    WAIT_FOR(tn_account_bytes(account) == 0);
}

/* OTP 24 to 27 are asked for their release before they are told a state. */
static void a_state_that_waits_is_kept_on_the_account(void **state)
{
    (void)state;
    tenon_process *server = serve();
    leave();
    join_with(&evil, EVIL,
              &(struct tn_dist_config){ .flags = TN_FLAGS_OURS &
                                                 ~TN_FLAG(ALTACT_SIG) });
    ask_sys("{:system, {~t, ~r}, :get_state}");
    WAIT_FOR(kept() >= LARGE);
    leave();
    WAIT_FOR(tn_account_bytes(account) == 0);
    OK(tenon_process_exit(server, ":shutdown"));
    tenon_process_release(server);
}

/* ---- the tree of observer -------------------------------------------------- */

static void what_tells_observer_counts_for_the_peer_that_looks(void **state)
{
    (void)state;
    uint32_t n = use_up(TN_QUOTA_PROCESSES, TN_PEER_PROCESSES_MAX, 1);
    uint64_t before = refused();
    const char *start_one =
        "{:call, :appmon_info, :start_link2, [~t, ~t, []], ~t}";
    (void)ask(&evil, "rex",
              tenon_value_format(start_one, evil.pid, evil.pid, evil.pid));
    settle(&evil);
    assert_true(refused() > before);
    tn_account_give_back_many(account, TN_QUOTA_PROCESSES, n);
    (void)ask(&evil, "rex",
              tenon_value_format(start_one, evil.pid, evil.pid, evil.pid));
    settle(&evil);
    WAIT_FOR(tn_account_count(account, TN_QUOTA_PROCESSES) == 1);
    leave();
    WAIT_FOR(tn_account_count(account, TN_QUOTA_PROCESSES) == 0);
    WAIT_FOR(tn_account_bytes(account) == 0);
}

/* ---- process groups ------------------------------------------------------ */

/* Says it in the name of a scope of the adversary's. */
static void say(uint32_t scope, const char *what)
{
    tenon_value *pid = pid_at(EVIL, scope);
    tell(&evil, "pg",
         tenon_value_format(what, tenon_value_term(pid), evil.pid));
    tenon_value_free(pid);
    settle(&evil);
}

static void scopes_of_groups_have_a_quota_for_each_peer(void **state)
{
    (void)state;
    OK(tenon_pg_start(ruled, "pg", NULL));
    uint64_t before = refused();
    say(20, "{:discover, ~t}");
    assert_int_equal(tn_account_count(account, TN_QUOTA_SCOPES), 1);
    uint32_t n = use_up(TN_QUOTA_SCOPES, TN_PG_PEER_SCOPES_MAX, 1);
    say(21, "{:discover, ~t}");
    assert_int_equal(refused(), before);
    say(22, "{:discover, ~t}");
    assert_refused(before, "of=\"scopes of process groups\" refused=1 ");
    /* The one that is known is heard. */
    say(20, "{:join, ~t, :group, ~t}");
    assert_int_equal(tn_account_count(account, TN_QUOTA_MEMBERS), 1);
    leave();
    WAIT_FOR(tn_account_count(account, TN_QUOTA_SCOPES) == n);
    tn_account_give_back_many(account, TN_QUOTA_SCOPES, n);
    WAIT_FOR(tn_account_bytes(account) == 0);
}

static void members_of_groups_have_a_quota_for_each_peer(void **state)
{
    (void)state;
    OK(tenon_pg_start(ruled, "pg", NULL));
    uint64_t before = refused();
    say(20, "{:discover, ~t}");
    uint32_t n = use_up(TN_QUOTA_MEMBERS, TN_PG_PEER_MEMBERS_MAX, 1);
    say(20, "{:join, ~t, :one, ~t}");
    assert_int_equal(refused(), before);
    say(20, "{:join, ~t, :two, ~t}");
    assert_refused(before, "of=\"members of process groups\" refused=1 ");
    /* One line for one event. */
    assert_false(has_logged("pg_message"));
    leave();
    WAIT_FOR(tn_account_count(account, TN_QUOTA_MEMBERS) == n);
    tn_account_give_back_many(account, TN_QUOTA_MEMBERS, n);
    WAIT_FOR(tn_account_bytes(account) == 0);
}

static void names_of_groups_have_a_quota_for_each_peer(void **state)
{
    (void)state;
    OK(tenon_pg_start(ruled, "pg", NULL));
    uint64_t before = refused();
    say(20, "{:discover, ~t}");
    uint32_t n = use_up(TN_QUOTA_GROUP_BYTES, TN_PG_PEER_GROUPS_MAX_BYTES, 10);
    say(20, "{:join, ~t, :one, ~t}");
    assert_int_equal(refused(), before);
    say(20, "{:join, ~t, :no_room_for_this, ~t}");
    assert_refused(before, "of=\"names of process groups\" refused=1 ");
    leave();
    WAIT_FOR(tn_account_count(account, TN_QUOTA_GROUP_BYTES) == n);
    tn_account_give_back_many(account, TN_QUOTA_GROUP_BYTES, n);
    WAIT_FOR(tn_account_bytes(account) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_child_counts_for_the_peer_that_has_it_started),
        TEST(a_child_above_the_quota_of_its_peer_is_not_started),
        TEST(a_specification_is_kept_on_the_account),
        TEST(what_sys_logs_is_kept_on_the_account),
        TEST(a_state_that_waits_is_kept_on_the_account),
        TEST(what_tells_observer_counts_for_the_peer_that_looks),
        TEST(scopes_of_groups_have_a_quota_for_each_peer),
        TEST(members_of_groups_have_a_quota_for_each_peer),
        TEST(names_of_groups_have_a_quota_for_each_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
