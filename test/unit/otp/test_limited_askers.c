/* SPDX-License-Identifier: Apache-2.0 */
/* What a limited peer asks is answered to itself, and done with its own rights:
 * by each process that answers, and wherever the work is passed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adversary.h"
#include "otp/rex.h"

#define OTHER "other@127.0.0.1"
#define NOBODY "victim@127.0.0.9"
#define ROUTER "Elixir.KV.Router"
#define RULES                                                                  \
    "{peer, 'evil@*', [{functions, [{'" ROUTER "', route, 4}]}, "              \
    "{names, [tasks]}]}. {peer, 'other@*', all}."

static struct adversary evil, other;
static tenon_value *nobody, *nobodys_ref;
static atomic_uint runs;

static void run(tenon_call *call, void *user)
{
    (void)user;
    atomic_fetch_add(&runs, 1);
    tenon_reply(call, ":done");
}

static int start(void **state)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000 };
    (void)state;
    atomic_store(&runs, 0);
    start_nodes(RULES);
    OK(tenon_function(ruled, "m", "run", 0, run, NULL, TENON_INLINE));
    nobody = pid_at(NOBODY, 1);
    snprintf(ref.node, sizeof ref.node, "%s", NOBODY);
    nobodys_ref = tenon_value_format("~r", &ref);
    join_as(&evil, EVIL);
    join_as(&other, OTHER);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    end_close(&evil.end);
    end_close(&other.end);
    forget_question(&evil);
    forget_question(&other);
    tenon_value_free(nobody);
    tenon_value_free(nobodys_ref);
    stop_nodes();
    return 0;
}

/* to: a pid, or the atom of a name. message: taken. */
static void send_to(struct adversary *by, tenon_term to, tenon_value *message)
{
    bool by_name = tenon_term_type(to) == TENON_TYPE_ATOM;
    assert_non_null(message);
    send_signal(by, (struct tn_signal){ .kind = by_name ? TN_SIG_SEND_NAME
                                                        : TN_SIG_SEND,
                                        .from = by->pid,
                                        .to = to,
                                        .payload = tenon_value_term(message) });
    tenon_value_free(message);
}

/* ---- answers -------------------------------------------------------------- */

/* It must be the n-th answer that is refused. */
static void must_be_refused(unsigned n)
{
    settle(&evil);
    WAIT_FOR(stats_of(ruled).names_refused >= n);
    assert_int_equal(stats_of(ruled).names_refused, n);
    assert_false(is_peer(ruled, NOBODY));
}

/* A call that is to be answered at another node, by its pid, by an alias, and by
 * the alias of a multi_call. request: taken. */
static void call_for_others(tenon_term to, tenon_value *request, unsigned *n)
{
    tenon_term asked = tenon_value_term(request);
    send_to(&evil, to,
            tenon_value_format("{:\"$gen_call\", {~t, :tag}, ~t}",
                               tenon_value_term(nobody), asked));
    must_be_refused(++*n);
    send_to(&evil, to,
            tenon_value_format("{:\"$gen_call\", {~t, [:alias | ~t]}, ~t}",
                               evil.pid, tenon_value_term(nobodys_ref), asked));
    must_be_refused(++*n);
    send_to(
        &evil, to,
        tenon_value_format("{:\"$gen_call\", {~t, [[:alias | ~t] | :x]}, ~t}",
                           evil.pid, tenon_value_term(nobodys_ref), asked));
    must_be_refused(++*n);
    tenon_value_free(request);
}

static void answer_all(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply(call, ":here");
}

static void answers_go_to_nobody_else(void **state)
{
    uint8_t name[40];
    unsigned n = 0;
    tenon_pid calls, pid;
    (void)state;
    tenon_process *server = tenon_server_start(
        ruled, &(tenon_server_config){ .on_call = answer_all });
    assert_non_null(server);
    tenon_process_pid(server, &pid);
    tn_local_rpc_pid(ruled, &calls);
    tenon_value *of_server = must_format_pid(&pid);
    tenon_value *of_calls = must_format_pid(&calls);
    call_for_others(make_atom(name, "rex"),
                    tenon_value_format("{:call, :m, :run, [], ~t}", evil.pid),
                    &n);
    call_for_others(make_atom(name, "net_kernel"),
                    tenon_value_format("{:is_auth, ~a}", EVIL), &n);
    call_for_others(make_atom(name, "global_name_server"),
                    tenon_value_format(":get_known"), &n);
    call_for_others(tenon_value_term(of_server), tenon_value_format("1"), &n);
    call_for_others(tenon_value_term(of_calls),
                    tenon_value_format("[1, :m, :run, []]"), &n);
    assert_int_equal(stats_of(ruled).functions_refused, 0);
    tenon_value_free(of_server);
    tenon_value_free(of_calls);
    end_box(server);
}

static void nor_do_those_that_are_no_calls(void **state)
{
    uint8_t name[40];
    unsigned n = 0;
    (void)state;
    send_to(&evil, make_atom(name, "rex"),
            tenon_value_format("{~t, :features_request}",
                               tenon_value_term(nobody)));
    must_be_refused(++n);
    send_to(&evil, make_atom(name, "global_name_server"),
            tenon_value_format("{:whereis, :name, {~t, :tag}}",
                               tenon_value_term(nobody)));
    must_be_refused(++n);
}

/* ---- a node that is no member of global ----------------------------------- */

static void a_node_outside_global_tells_whom_it_is_asked_by(void **state)
{
    tenon_error err = { 0 };
    char name[64];
    (void)state;
    end_close(&evil.end);
    end_close(&other.end);
    forget_question(&evil);
    forget_question(&other);
    tenon_node_stop(ruled);
    new_name(name, "quiet");
    tenon_node_config config = config_of(name, &err);
    config.rules = RULES;
    config.no_global = true;
    ruled = tenon_node_start(&config);
    assert_non_null(ruled);
    ruled->stop_workers_ms = DEADLINE_MS;
    join_as(&evil, EVIL);
    join_as(&other, OTHER);
    settle(&other);
    unsigned before = other.of[TN_SIG_SEND_NAME];
    unsigned own = evil.of[TN_SIG_SEND_NAME];
    tell(&evil, "global_name_server",
         tenon_value_format("{:\"$gen_cast\", {:init_connect, {8, 1}, ~a, "
                            "{:locker, :x, [], ~t}}}",
                            OTHER, evil.pid));
    tell(&evil, "global_name_server",
         tenon_value_format("{:\"$gen_cast\", {:init_connect, {8, 1}, ~a, "
                            "{:locker, :x, [], ~t}}}",
                            EVIL, evil.pid));
    RUN_UNTIL(&loop, evil.of[TN_SIG_SEND_NAME] == own + 1);
    settle(&other);
    assert_int_equal(other.of[TN_SIG_SEND_NAME], before);
    assert_int_equal(claims(), 1);
}

/* ---- tasks ---------------------------------------------------------------- */

/* The process of a task that waits for its order; its owner is of that peer, or
 * another. NULL: refused. owned: tenon_value_free. */
static tenon_value *start_task(struct adversary *by, tenon_term owner)
{
    tenon_value *started = NULL;
    tenon_pid pid;
    const char *answer =
        ask(by, "tasks",
            tenon_value_format("{:start_task, [{~a, ~t, ~t}, :monitor], "
                               ":temporary, nil}",
                               by->end.name, owner, owner));
    if (strncmp(answer, "{:ok, ", 6) != 0) {
        return NULL;
    }
    tn_lock(ruled);
    for (uint32_t i = 0; i < TN_PID_ID_MAX && started == NULL; i++) {
        const tenon_process *process = ruled->processes.slots[i].process;
        char text[100];
        if (process != NULL) {
            tenon_term_print(process->pid, text, sizeof text);
            if (strstr(answer, text) != NULL) {
                started = tenon_value_new(process->pid);
            }
        }
    }
    tn_unlock(ruled);
    assert_non_null(started);
    assert_int_equal(tenon_term_pid(tenon_value_term(started), &pid), TENON_OK);
    return started;
}

/* {owner, ref, reply_to, callers, mfa} */
static tenon_value *order_of(tenon_term owner, tenon_term reply_to)
{
    return tenon_value_format("{~t, 1, ~t, [], {:m, :run, []}}", owner,
                              reply_to);
}

static void a_task_works_for_its_owner_with_the_rights_of_whom_orders(void **s)
{
    (void)s;
    tenon_process *tasks = tenon_task_supervisor_start(
        ruled, &(tenon_task_supervisor_config){ .name = "tasks" });
    assert_non_null(tasks);
    assert_null(start_task(&evil, tenon_value_term(nobody)));
    must_be_refused(1);
    /* Its own task answers nobody else. */
    tenon_value *task = start_task(&evil, evil.pid);
    assert_non_null(task);
    send_to(&evil, tenon_value_term(task),
            order_of(evil.pid, tenon_value_term(nobody)));
    must_be_refused(2);
    send_to(&evil, tenon_value_term(task), order_of(evil.pid, evil.pid));
    WAIT_FOR(stats_of(ruled).functions_refused == 1);
    tenon_value_free(task);
    /* Nor has it the rights of another's. */
    task = start_task(&other, other.pid);
    assert_non_null(task);
    send_to(&evil, tenon_value_term(task), order_of(other.pid, evil.pid));
    WAIT_FOR(stats_of(ruled).functions_refused == 2);
    tenon_value_free(task);
    assert_int_equal(atomic_load(&runs), 0);
    task = start_task(&other, other.pid);
    send_to(&other, tenon_value_term(task), order_of(other.pid, other.pid));
    WAIT_FOR(atomic_load(&runs) == 1);
    tenon_value_free(task);
    end_box(tasks);
}

/* ---- large requests ------------------------------------------------------- */

static uint8_t large[2 * TN_LARGE_MESSAGE_BYTES];

/* args: taken. */
static void spawn_for(struct adversary *by,
                      const char *module,
                      const char *name,
                      tenon_value *args)
{
    tenon_ref ref = { .word_count = 3, .creation = 1000 };
    snprintf(ref.node, sizeof ref.node, "%s", by->end.name);
    tenon_value *request = tenon_value_format("~r", &ref);
    tenon_value *mfa =
        tenon_value_format("{~a, ~a, ~i}", module, name,
                           (int64_t)tenon_term_count(tenon_value_term(args)));
    tenon_value *options = tenon_value_format("[]");
    send_signal(by, (struct tn_signal){ .kind = TN_SIG_SPAWN_REQUEST,
                                        .from = by->pid,
                                        .ref = tenon_value_term(request),
                                        .group_leader = by->pid,
                                        .mfa = tenon_value_term(mfa),
                                        .opts = tenon_value_term(options),
                                        .payload = tenon_value_term(args) });
    tenon_value_free(options);
    tenon_value_free(mfa);
    tenon_value_free(request);
    tenon_value_free(args);
}

/* Workers look into them. */
static void what_is_large_is_judged_as_well(void **state)
{
    uint8_t name[40];
    (void)state;
    OK(tenon_function(ruled, "m", "run", 1, run, NULL, 0));
    spawn_for(&evil, "m", "run",
              tenon_value_format("[~b]", large, sizeof large));
    WAIT_FOR(stats_of(ruled).functions_refused == 1);
    spawn_for(&evil, "erpc", "execute_call",
              tenon_value_format("[~b, :m, :run, []]", large, sizeof large));
    WAIT_FOR(stats_of(ruled).functions_refused == 2);
    send_to(&evil, make_atom(name, "rex"),
            tenon_value_format("{:\"$gen_call\", {~t, :tag}, {:call, :m, :run, "
                               "[], ~b}}",
                               evil.pid, large, sizeof large));
    WAIT_FOR(stats_of(ruled).functions_refused == 3);
    assert_int_equal(atomic_load(&runs), 0);
    spawn_for(&other, "m", "run",
              tenon_value_format("[~b]", large, sizeof large));
    spawn_for(&other, "erpc", "execute_call",
              tenon_value_format("[~b, :m, :run, []]", large, sizeof large));
    WAIT_FOR(atomic_load(&runs) == 2);
}

/* ---- routes --------------------------------------------------------------- */

static void what_it_may_not_run_is_not_run_elsewhere_for_it(void **state)
{
    static const tenon_route_entry entries[] = { { 'a', 'z', NOBODY } };
    tenon_error err = { 0 };
    (void)state;
    assert_non_null(tenon_routes_start(
        ruled, &(tenon_routes_config){ .module = ROUTER,
                                       .tasks = "Elixir.KV.RouterTasks",
                                       .entries = entries,
                                       .entry_count = 1,
                                       .err = &err }));
    const char *answer =
        ask(&evil, "rex",
            tenon_value_format("{:call, ~a, :route, [\"key\", :m, :run, []], "
                               "~t}",
                               ROUTER, evil.pid));
    assert_non_null(strstr(answer, ":not_allowed"));
    assert_int_equal(stats_of(ruled).functions_refused, 1);
    assert_false(is_peer(ruled, NOBODY));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_go_to_nobody_else),
        TEST(nor_do_those_that_are_no_calls),
        TEST(a_node_outside_global_tells_whom_it_is_asked_by),
        TEST(a_task_works_for_its_owner_with_the_rights_of_whom_orders),
        TEST(what_is_large_is_judged_as_well),
        TEST(what_it_may_not_run_is_not_run_elsewhere_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
