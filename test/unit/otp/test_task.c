/* SPDX-License-Identifier: Apache-2.0 */
/* Task supervisors and the tasks that C starts under them, all on one node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/clock.h"
#include "own_node.h"
#include "unit/support/functions.h"

#define SUPERVISOR "Elixir.Tasks"
#define MAX_CHILDREN 3u
#define KEPT_MAX 16u

struct fixture {
    tenon_node *node;
    struct me me;
    tenon_process *supervisor;
    /* of the functions that hang; the loop's until the node is still */
    tenon_call *kept[KEPT_MAX];
    size_t kept_count;
};

/* ---- functions that the tasks run -------------------------------------- */

/* Tells the test's process that it runs, and never answers. */
static void hang(tenon_call *call, void *user)
{
    struct fixture *f = user;
    tenon_pid self;
    tenon_process_pid(tenon_call_self(call), &self);
    assert_true(f->kept_count < KEPT_MAX);
    f->kept[f->kept_count] = tenon_call_keep(call);
    assert_non_null(f->kept[f->kept_count]);
    f->kept_count++;
    tenon_send_format(f->node, &(tenon_dest){ .pid = &f->me.pid },
                      "{:hangs, ~p}", &self);
}

static void where(tenon_call *call, void *user)
{
    tenon_node *node = tenon_call_node(call);
    (void)user;
    tenon_reply(call, tn_on_loop(node) ? ":loop" : ":worker");
}

/* Its own process is to end otherwise. */
static void end_self(tenon_call *call, void *user)
{
    (void)user;
    tenon_process_exit(tenon_call_self(call), ":my_own_way");
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    tenon_error err = { 0 };
    f->node = own_node_start();
    f->me = me_new(f->node);
    OK(tenon_function(f->node, "m", "echo", 1, give_back, NULL, TENON_INLINE));
    OK(tenon_function(f->node, "m", "slow_echo", 1, give_back, NULL, 0));
    OK(tenon_function(f->node, "m", "raise", 1, raise_it, NULL, 0));
    OK(tenon_function(f->node, "m", "throw", 1, throw_it, NULL, 0));
    OK(tenon_function(f->node, "m", "exit", 1, exit_with, NULL, 0));
    OK(tenon_function(f->node, "m", "hang", 0, hang, f, TENON_INLINE));
    OK(tenon_function(f->node, "m", "short", 0, where, NULL, TENON_INLINE));
    OK(tenon_function(f->node, "m", "short", 1, where, NULL, TENON_INLINE));
    OK(tenon_function(f->node, "m", "long", 0, where, NULL, 0));
    OK(tenon_function(f->node, "m", "end_self", 0, end_self, NULL, 0));
    f->supervisor = tenon_task_supervisor_start(
        f->node, &(tenon_task_supervisor_config){ .name = SUPERVISOR,
                                                  .max_children = MAX_CHILDREN,
                                                  .err = &err });
    if (f->supervisor == NULL) {
        fail_msg("supervisor: %s", err.text);
    }
    *state = f;
    return 0;
}

static void nothing(tenon_node *node, void *user)
{
    (void)node;
    (void)user;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    OK(tn_node_call_on_loop(f->node, nothing, NULL));
    for (size_t i = 0; i < f->kept_count; i++) {
        tenon_call_release(f->kept[i]);
    }
    tenon_process_release(f->supervisor);
    tenon_process_release(f->me.box);
    tenon_node_stop(f->node);
    free(f);
    return 0;
}

/* ---- helpers ----------------------------------------------------------- */

static tenon_task *start_task(struct fixture *f,
                              const char *function,
                              const char *args,
                              const tenon_task_options *options)
{
    tenon_error err = { 0 };
    tenon_value *list = tenon_value_format(args);
    tenon_task *task = tenon_task_async(f->node, TO(SUPERVISOR), "m", function,
                                        tenon_value_term(list), options, &err);
    if (task == NULL) {
        fail_msg("start of m:%s: %s", function, err.text);
    }
    tenon_value_free(list);
    return task;
}

/* A task that hangs, and its pid. */
static tenon_task *start_hanging(struct fixture *f,
                                 const tenon_task_options *options,
                                 tenon_pid *pid)
{
    tenon_task *task = start_task(f, "hang", "[]", options);
    tenon_value *message = next_message(&f->me);
    assert_true(tenon_match(tenon_value_term(message), "{:hangs, ~p}", pid));
    tenon_value_free(message);
    return task;
}

/* Awaits and releases. */
static void
assert_end(tenon_task *task, enum tenon_err code, const char *value_text)
{
    tenon_value *value = NULL;
    tenon_error err = { 0 };
    enum tenon_err rc = tenon_task_await(task, DEADLINE_MS, &value, &err);
    if (rc != code) {
        fail_msg("expected %s, got %s: %s", tenon_err_name(code),
                 tenon_err_name(rc), err.text);
    }
    assert_true((rc == TENON_OK) == (err.text[0] == '\0'));
    assert_string_equal(text_of(tenon_value_term(value)), value_text);
    tenon_value_free(value);
    tenon_task_release(task);
}

#define NO_VALUE text_of((tenon_term){ NULL, 0 })

static tenon_value *
ask(struct fixture *f, const char *name, const char *request)
{
    tenon_value *term = tenon_value_format(request);
    tenon_value *reply = NULL;
    OK(tenon_server_call(f->node, TO(name), tenon_value_term(term), DEADLINE_MS,
                         &reply, NULL));
    tenon_value_free(term);
    return reply;
}

static unsigned children_of(struct fixture *f)
{
    uint64_t specs, active, workers;
    tenon_value *reply = ask(f, SUPERVISOR, ":count_children");
    if (!tenon_match(tenon_value_term(reply),
                     "[specs: ~u, active: ~u, supervisors: 0, workers: ~u]",
                     &specs, &active, &workers)) {
        fail_msg("%s", text_of(tenon_value_term(reply)));
    }
    assert_int_equal(active, specs);
    assert_int_equal(workers, specs);
    tenon_value_free(reply);
    return (unsigned)specs;
}

static void assert_counts(struct fixture *f, unsigned count)
{
    assert_int_equal(children_of(f), count);
}

/* Watches a process from the test's mailbox. */
static void watch(struct fixture *f, const tenon_pid *pid)
{
    tenon_ref ref;
    OK(tenon_monitor(f->me.box, &(tenon_dest){ .pid = pid }, &ref));
}

static void assert_down(struct fixture *f, const char *reason)
{
    tenon_value *message = next_message(&f->me);
    tenon_term got;
    if (!tenon_match(tenon_value_term(message), "{:DOWN, _, :process, _, ~t}",
                     &got)) {
        fail_msg("no DOWN: %s", text_of(tenon_value_term(message)));
    }
    assert_string_equal(text_of(got), reason);
    tenon_value_free(message);
}

/* ---- how a task ends ---------------------------------------------------- */

static void a_task_gives_what_its_function_returns(void **state)
{
    struct fixture *f = *state;
    assert_end(start_task(f, "echo", "[{:any, \"term\"}]", NULL), TENON_OK,
               "{:any, \"term\"}");
    assert_end(start_task(f, "slow_echo", "[1]", NULL), TENON_OK, "1");
}

static void a_function_runs_on_the_thread_it_was_registered_for(void **state)
{
    struct fixture *f = *state;
    assert_end(start_task(f, "short", "[]", NULL), TENON_OK, ":loop");
    assert_end(start_task(f, "long", "[]", NULL), TENON_OK, ":worker");
}

static void every_failure_is_told_apart(void **state)
{
    struct fixture *f = *state;
    assert_end(start_task(f, "raise", "[:oops]", NULL), TENON_E_REMOTE_ERROR,
               "{:oops, [{:m, :raise, 1, []}]}");
    assert_end(start_task(f, "throw", "[:ball]", NULL), TENON_E_REMOTE_THROW,
               ":ball");
    assert_end(start_task(f, "exit", "[{:some, :reason}]", NULL),
               TENON_E_REMOTE_EXIT, "{:some, :reason}");
    assert_end(start_task(f, "exit", "[:normal]", NULL), TENON_E_REMOTE_EXIT,
               ":normal");
    assert_end(start_task(f, "end_self", "[]", NULL), TENON_E_REMOTE_EXIT,
               ":my_own_way");
    assert_end(start_task(f, "none", "[1, 2]", NULL), TENON_E_REMOTE_UNDEF,
               "{:undef, [{:m, :none, [1, 2], []}]}");
}

static void without_a_supervisor_there_is_no_task(void **state)
{
    struct fixture *f = *state;
    tenon_value *list = tenon_value_format("[]");
    tenon_pid pid;
    assert_end(tenon_task_async(f->node, TO("nobody"), "m", "echo",
                                tenon_value_term(list), NULL, NULL),
               TENON_E_NOPROC, NO_VALUE);
    assert_int_equal(tenon_task_start_child(f->node, TO("nobody"), "m", "echo",
                                            tenon_value_term(list), 0, &pid,
                                            NULL),
                     TENON_E_NOPROC);
    tenon_value_free(list);
}

static void arguments_that_make_no_call_are_refused(void **state)
{
    struct fixture *f = *state;
    tenon_error err = { 0 };
    tenon_value *atom = tenon_value_format(":no_list");
    tenon_value *list = tenon_value_format("[]");
    assert_null(tenon_task_async(f->node, TO(SUPERVISOR), "m", "echo",
                                 tenon_value_term(atom), NULL, &err));
    assert_int_equal(err.code, TENON_E_INVAL);
    assert_null(tenon_task_async(f->node, &(tenon_dest){ 0 }, "m", "echo",
                                 tenon_value_term(list), NULL, &err));
    assert_null(tenon_task_async(f->node, TO(SUPERVISOR), NULL, "echo",
                                 tenon_value_term(list), NULL, &err));
    assert_null(tenon_task_async(f->node, TO(SUPERVISOR), "\xff", "echo",
                                 tenon_value_term(list), NULL, &err));
    assert_int_equal(tenon_task_await(NULL, 0, NULL, NULL), TENON_E_INVAL);
    assert_int_equal(tenon_task_shutdown(NULL, 0, NULL, NULL), TENON_E_INVAL);
    tenon_task_release(NULL);
    tenon_value_free(atom);
    tenon_value_free(list);
}

struct told {
    struct fixture *f;
    enum tenon_err code;
};

static void on_end(void *user, const tenon_result *result)
{
    struct told *told = user;
    told->code = result->code;
    tenon_send_format(told->f->node, &(tenon_dest){ .pid = &told->f->me.pid },
                      "{:ended, ~t}", result->value);
}

static void the_end_is_called_back(void **state)
{
    struct fixture *f = *state;
    struct told told = { .f = f, .code = TENON_E_SYSTEM };
    const tenon_task_options options = { .on_end = on_end, .user = &told };
    tenon_task *task = start_task(f, "echo", "[7]", &options);
    tenon_task_release(task);
    assert_next(&f->me, "{:ended, 7}");
    assert_int_equal(told.code, TENON_OK);
    task = start_task(f, "exit", "[:why]", &options);
    assert_next(&f->me, "{:ended, :why}");
    assert_int_equal(told.code, TENON_E_REMOTE_EXIT);
    assert_end(task, TENON_E_REMOTE_EXIT, ":why");
}

static void a_task_that_has_not_ended_goes_on(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    tenon_task *task = start_hanging(f, NULL, &pid);
    tenon_value *value = NULL;
    assert_int_equal(tenon_task_await(task, 0, &value, NULL), TENON_E_TIMEOUT);
    assert_int_equal(tenon_task_await(task, 1, &value, NULL), TENON_E_TIMEOUT);
    assert_counts(f, 1);
    OK(tenon_reply(f->kept[0], ":late_but_there"));
    assert_end(task, TENON_OK, ":late_but_there");
}

static void a_task_that_takes_too_long_is_killed(void **state)
{
    struct fixture *f = *state;
    const tenon_task_options options = { .timeout_ms = 100 };
    /* It need not have come to its function by then. */
    assert_end(start_task(f, "hang", "[]", &options), TENON_E_TIMEOUT,
               NO_VALUE);
    for (uint64_t until = tn_now_ms() + DEADLINE_MS; children_of(f) > 0;) {
        assert_true(tn_now_ms() < until);
        OK(tenon_sleep(f->node, 1));
    }
}

static void shutdown_asks_and_kill_kills(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    tenon_value *value = NULL;
    tenon_task *task = start_hanging(f, NULL, &pid);
    assert_int_equal(tenon_task_shutdown(task, DEADLINE_MS, &value, NULL),
                     TENON_E_REMOTE_EXIT);
    assert_string_equal(text_of(tenon_value_term(value)), ":shutdown");
    tenon_value_free(value);
    tenon_task_release(task);

    task = start_hanging(f, NULL, &pid);
    assert_int_equal(tenon_task_shutdown(task, 0, &value, NULL),
                     TENON_E_REMOTE_EXIT);
    assert_string_equal(text_of(tenon_value_term(value)), ":killed");
    tenon_value_free(value);
    tenon_task_release(task);

    task = start_task(f, "echo", "[:done]", NULL);
    OK(tenon_task_await(task, DEADLINE_MS, NULL, NULL));
    OK(tenon_task_shutdown(task, 0, &value, NULL));
    assert_string_equal(text_of(tenon_value_term(value)), ":done");
    tenon_value_free(value);
    tenon_task_release(task);
}

/* ---- links ---------------------------------------------------------------- */

static void a_failing_task_takes_the_linked_process_along(void **state)
{
    struct fixture *f = *state;
    tenon_process *linked = tenon_mailbox_new(f->node, NULL, NULL);
    tenon_pid pid;
    const tenon_task_options options = { .link = linked };
    tenon_process_pid(linked, &pid);
    watch(f, &pid);
    assert_end(start_task(f, "echo", "[1]", &options), TENON_OK, "1");
    assert_no_message(&f->me);
    tenon_task *task = start_task(f, "exit", "[:broke]", &options);
    assert_down(f, ":broke");
    assert_end(task, TENON_E_REMOTE_EXIT, ":broke");
    tenon_process_release(linked);
}

static void a_linked_process_takes_its_task_along(void **state)
{
    struct fixture *f = *state;
    tenon_process *linked = tenon_mailbox_new(f->node, NULL, NULL);
    tenon_pid pid;
    const tenon_task_options options = { .link = linked };
    tenon_task *task = start_hanging(f, &options, &pid);
    OK(tenon_process_exit(linked, ":enough"));
    assert_end(task, TENON_E_REMOTE_EXIT, ":enough");
    tenon_process_release(linked);
}

static void a_task_that_is_shut_down_spares_the_linked_process(void **state)
{
    struct fixture *f = *state;
    tenon_process *linked = tenon_mailbox_new(f->node, NULL, NULL);
    tenon_pid pid;
    const tenon_task_options options = { .link = linked };
    tenon_task *task = start_hanging(f, &options, &pid);
    assert_int_equal(tenon_task_shutdown(task, 0, NULL, NULL),
                     TENON_E_REMOTE_EXIT);
    tenon_task_release(task);
    OK(tenon_process_exit(linked, ":normal"));
    tenon_process_release(linked);
}

/* ---- the supervisor ------------------------------------------------------ */

static void children_are_listed_counted_and_limited(void **state)
{
    struct fixture *f = *state;
    tenon_task *tasks[MAX_CHILDREN];
    tenon_pid pids[MAX_CHILDREN];
    tenon_value *list = tenon_value_format("[]");
    assert_counts(f, 0);
    for (unsigned i = 0; i < MAX_CHILDREN; i++) {
        tasks[i] = start_hanging(f, NULL, &pids[i]);
        assert_counts(f, i + 1);
    }
    tenon_value *children = ask(f, SUPERVISOR, ":which_children");
    assert_int_equal(tenon_term_count(tenon_value_term(children)),
                     MAX_CHILDREN);
    tenon_cursor at;
    tenon_term child;
    tenon_cursor_init(&at, tenon_value_term(children));
    for (unsigned i = 0; i < MAX_CHILDREN; i++) {
        tenon_pid pid;
        assert_true(tenon_cursor_next(&at, &child));
        assert_true(tenon_match(
            child, "{:undefined, ~p, :worker, [Task.Supervised]}", &pid));
        assert_true(tenon_pid_equal(&pid, &pids[0]) ||
                    tenon_pid_equal(&pid, &pids[1]) ||
                    tenon_pid_equal(&pid, &pids[2]));
    }
    tenon_value_free(children);
    assert_end(start_task(f, "hang", "[]", NULL), TENON_E_LIMIT, NO_VALUE);
    assert_int_equal(tenon_task_start_child(f->node, TO(SUPERVISOR), "m",
                                            "hang", tenon_value_term(list), 0,
                                            NULL, NULL),
                     TENON_E_LIMIT);
    for (unsigned i = 0; i < MAX_CHILDREN; i++) {
        (void)tenon_task_shutdown(tasks[i], 0, NULL, NULL);
        tenon_task_release(tasks[i]);
    }
    assert_end(start_task(f, "echo", "[:room_again]", NULL), TENON_OK,
               ":room_again");
    tenon_value_free(list);
}

static void a_child_is_terminated_by_pid(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    tenon_task *task = start_hanging(f, NULL, &pid);
    tenon_value *request = tenon_value_format("{:terminate_child, ~p}", &pid);
    for (int turn = 0; turn < 2; turn++) {
        tenon_value *reply = NULL;
        OK(tenon_server_call(f->node, TO(SUPERVISOR), tenon_value_term(request),
                             DEADLINE_MS, &reply, NULL));
        assert_string_equal(text_of(tenon_value_term(reply)),
                            turn == 0 ? ":ok" : "{:error, :not_found}");
        tenon_value_free(reply);
        assert_counts(f, 0);
    }
    assert_end(task, TENON_E_REMOTE_EXIT, ":shutdown");
    tenon_value_free(request);
}

static void the_end_of_a_supervisor_takes_its_tasks_along(void **state)
{
    static const struct {
        const char *ends_with;
        const char *task_sees;
    } ends[] = { { ":normal", ":shutdown" },
                 { ":shutdown", ":shutdown" },
                 { ":broken", ":broken" } };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        tenon_process *supervisor = tenon_task_supervisor_start(
            f->node, &(tenon_task_supervisor_config){ .name = "other" });
        tenon_value *list = tenon_value_format("[]");
        assert_non_null(supervisor);
        tenon_task *task = tenon_task_async(f->node, TO("other"), "m", "hang",
                                            tenon_value_term(list), NULL, NULL);
        tenon_value_free(next_message(&f->me)); /* it hangs */
        OK(tenon_process_exit(supervisor, ends[i].ends_with));
        assert_end(task, TENON_E_REMOTE_EXIT, ends[i].task_sees);
        tenon_process_release(supervisor);
        tenon_value_free(list);
    }
}

static void what_is_no_task_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *request;
        const char *reply;
    } requests[] = {
        { "{:start_task, [], nil, nil}",
          "{:error, {:undef, [{Task.Supervised, :start_link, [], []}]}}" },
        { "{:start_task, :what, nil, nil}",
          "{:error, {:undef, [{Task.Supervised, :start_link, :what, []}]}}" },
        { "{:start_task, [1, :monitor], nil, nil}",
          "{:error, {:function_clause, [{Task.Supervised, :start_link, "
          "[1, :monitor], []}]}}" },
        { "{:start_task, [{1, 2, 3}, [], {:m, :echo, [1]}], nil, nil}",
          "{:error, {:function_clause, [{Task.Supervised, :start_link, "
          "[{1, 2, 3}, [], {:m, :echo, [1]}], []}]}}" },
        { "{:start_child, {{:m, :start, [1]}, :permanent, 5000, :worker, "
          "[:m]}}",
          "{:error, {:undef, [{:m, :start, [1], []}]}}" },
        { "{:terminate_child, :no_pid}", "{:error, :not_found}" },
        { ":what", "{:error, :notsup}" },
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        tenon_value *reply = ask(f, SUPERVISOR, requests[i].request);
        assert_string_equal(text_of(tenon_value_term(reply)),
                            requests[i].reply);
        tenon_value_free(reply);
    }
    OK(tenon_send_format(f->node, TO(SUPERVISOR), "{:EXIT, ~p, :normal}",
                         &f->me.pid));
    OK(tenon_send_format(f->node, TO(SUPERVISOR), ":noise"));
    assert_counts(f, 0);
}

static void a_supervisor_ends_with_its_parent(void **state)
{
    struct fixture *f = *state;
    struct me parent = me_new(f->node);
    tenon_process *supervisor = tenon_task_supervisor_start(
        f->node, &(tenon_task_supervisor_config){ .name = "child",
                                                  .parent = &parent.pid });
    tenon_value *list = tenon_value_format("[]");
    assert_non_null(supervisor);
    tenon_task *task = tenon_task_async(f->node, TO("child"), "m", "hang",
                                        tenon_value_term(list), NULL, NULL);
    tenon_value_free(next_message(&f->me)); /* it hangs */
    OK(tenon_process_exit(parent.box, ":enough"));
    tenon_process_release(parent.box);
    assert_end(task, TENON_E_REMOTE_EXIT, ":shutdown");
    tenon_process_release(supervisor);
    tenon_value_free(list);
}

/* ---- clients of other generations, by hand ------------------------------- */

static void assert_started(struct fixture *f, tenon_pid *pid)
{
    tenon_value *reply = next_message(&f->me);
    if (!tenon_match(tenon_value_term(reply), "{:tag, {:ok, ~p}}", pid)) {
        fail_msg("not started: %s", text_of(tenon_value_term(reply)));
    }
    tenon_value_free(reply);
}

/* Asks the supervisor as `me`; `rest` is what stands behind the owner. */
static void start_by_hand(struct fixture *f,
                          const char *rest,
                          const char *restart,
                          tenon_pid *pid)
{
    char pattern[300];
    const tenon_pid *me = &f->me.pid;
    snprintf(pattern, sizeof pattern,
             "{:\"$gen_call\", {~p, :tag}, {:start_task, [{~a, ~p, ~p}%s], %s, "
             "nil}}",
             rest, restart);
    OK(tenon_send_format(f->node, TO(SUPERVISOR), pattern, me, OWN_NAME, me,
                         me));
    assert_started(f, pid);
}

static void a_client_before_1_13_gives_the_function_first(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    start_by_hand(f, ", [], :monitor, {:m, :slow_echo, [5]}", ":temporary",
                  &pid);
    watch(f, &pid);
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                         "{:noise, :tag}"));
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                         "{~p, {:the, :ref}}", &f->me.pid));
    assert_next(&f->me, "{{:the, :ref}, 5}");
    assert_down(f, ":normal");
}

/* What a worker reads, not the loop. */
static tenon_value *make_large(void)
{
    static char bytes[TN_LARGE_MESSAGE_BYTES];
    tenon_builder *out = tenon_builder_new();
    tenon_term term;
    tenon_build_binary(out, bytes, sizeof bytes);
    OK(tenon_builder_term(out, &term));
    tenon_value *large = tenon_value_new(term);
    assert_non_null(large);
    tenon_builder_free(out);
    return large;
}

static void send_to(struct fixture *f,
                    const tenon_pid *pid,
                    const char *pattern,
                    tenon_term large)
{
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = pid }, pattern,
                         &f->me.pid, large));
}

static void large_arguments_are_for_a_worker(void **state)
{
    struct fixture *f = *state;
    tenon_value *large = make_large();
    tenon_value *args = tenon_value_format("[~t]", tenon_value_term(large));
    assert_end(start_task(f, "short", "[1]", NULL), TENON_OK, ":loop");
    assert_end(tenon_task_async(f->node, TO(SUPERVISOR), "m", "short",
                                tenon_value_term(args), NULL, NULL),
               TENON_OK, ":worker");
    OK(tenon_send_format(f->node, TO(SUPERVISOR),
                         "{:\"$gen_call\", {~p, :tag}, {:start_task, "
                         "[{~a, ~p, ~p}, [], :monitor, {:m, :short, ~t}], "
                         ":temporary, nil}}",
                         &f->me.pid, OWN_NAME, &f->me.pid, &f->me.pid,
                         tenon_value_term(args)));
    tenon_pid pid;
    assert_started(f, &pid);
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid }, "{~p, :ref}",
                         &f->me.pid));
    assert_next(&f->me, "{:ref, :worker}");
    tenon_value_free(args);
    tenon_value_free(large);
}

/* The supervisor is on a worker then, and the order comes as soon as the pid
 * is known. */
static void the_order_of_a_task_with_large_arguments_is_not_missed(void **state)
{
    struct fixture *f = *state;
    const tenon_pid *me = &f->me.pid;
    tenon_value *large = make_large();
    tenon_process *many = tenon_task_supervisor_start(
        f->node, &(tenon_task_supervisor_config){ .name = "Elixir.Many" });
    assert_non_null(many);
    for (int i = 0; i < 300; i++) {
        tenon_pid pid;
        OK(tenon_send_format(f->node, TO("Elixir.Many"),
                             "{:\"$gen_call\", {~p, :tag}, {:start_task, "
                             "[{~a, ~p, ~p}, [], :monitor, {:m, :echo, [~t]}],"
                             " :temporary, nil}}",
                             me, OWN_NAME, me, me, tenon_value_term(large)));
        assert_started(f, &pid);
        OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                             "{~p, :ref}", me));
        tenon_value_free(next_message(&f->me));
    }
    (void)tenon_process_exit(many, ":shutdown");
    tenon_process_release(many);
    tenon_value_free(large);
}

static void large_messages_to_a_task_are_read_by_a_worker(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    tenon_value *large = make_large();
    start_by_hand(f, ", :monitor", ":temporary", &pid);
    watch(f, &pid);
    send_to(f, &pid, "{~p, ~t}", tenon_value_term(large));
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                         "{~p, :ref, ~p, [], {:m, :echo, [~t]}}", &f->me.pid,
                         &f->me.pid, tenon_value_term(large)));
    tenon_value *answer = next_message(&f->me);
    tenon_term got;
    assert_true(tenon_match(tenon_value_term(answer), "{:ref, ~t}", &got));
    assert_true(tenon_term_equal(got, tenon_value_term(large)));
    tenon_value_free(answer);
    assert_down(f, ":normal");
    tenon_value_free(large);
}

static void a_task_answers_to_whom_its_order_names(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    struct me other = me_new(f->node);
    start_by_hand(f, ", :monitor", ":temporary", &pid);
    watch(f, &pid);
    /* Orders of others, and what is no order, are passed over. */
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                         "{~p, :ref, ~p, [], {:m, :echo, [1]}}", &other.pid,
                         &other.pid));
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                         "{~p, :ref, :nobody, [], {:m, :echo, [2]}}",
                         &f->me.pid));
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                         "{~p, :ref, ~p, [], {:m, :echo}}", &f->me.pid,
                         &other.pid));
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                         "{~p, :ref, ~p, [], {:m, :echo, [3]}}", &f->me.pid,
                         &other.pid));
    assert_next(&other, "{:ref, 3}");
    assert_down(f, ":normal");
    me_free(&other);
}

static void nobody_hears_of_a_child_that_is_only_started(void **state)
{
    struct fixture *f = *state;
    tenon_value *list = tenon_value_format("[]");
    tenon_pid pid;
    OK(tenon_task_start_child(f->node, TO(SUPERVISOR), "m", "hang",
                              tenon_value_term(list), DEADLINE_MS, &pid, NULL));
    watch(f, &pid);
    tenon_value_free(next_message(&f->me)); /* it hangs */
    OK(tenon_reply(f->kept[0], ":for_nobody"));
    assert_down(f, ":normal");
    assert_no_message(&f->me);
    tenon_value_free(list);
}

static void a_task_gives_up_when_its_owner_ends_first(void **state)
{
    struct fixture *f = *state;
    struct me owner = me_new(f->node);
    tenon_pid pid;
    tenon_value *reply;
    OK(tenon_send_format(
        f->node, TO(SUPERVISOR),
        "{:\"$gen_call\", {~p, :tag}, {:start_task, [{~a, ~p, ~p}, :monitor], "
        ":temporary, nil}}",
        &f->me.pid, OWN_NAME, &owner.pid, &owner.pid));
    reply = next_message(&f->me);
    assert_true(
        tenon_match(tenon_value_term(reply), "{:tag, {:ok, ~p}}", &pid));
    tenon_value_free(reply);
    watch(f, &pid);
    assert_counts(f, 1); /* after which the task waits */
    OK(tenon_process_exit(owner.box, ":gone"));
    tenon_process_release(owner.box);
    assert_down(f, "{:shutdown, :gone}");
    assert_counts(f, 0);
}

static void the_answer_of_a_killed_task_is_dropped(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    tenon_value *kill = tenon_value_format(":kill");
    start_by_hand(f, ", :monitor", ":temporary", &pid);
    watch(f, &pid);
    OK(tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                         "{~p, :ref, ~p, [], {:m, :hang, []}}", &f->me.pid,
                         &f->me.pid));
    tenon_value_free(next_message(&f->me)); /* it hangs */
    OK(tenon_exit_signal(f->me.box, &pid, tenon_value_term(kill)));
    assert_down(f, ":killed");
    assert_int_equal(tenon_reply(f->kept[0], ":late"), TENON_E_NOPROC);
    assert_no_message(&f->me);
    tenon_value_free(kill);
}

/* ---- restarts ------------------------------------------------------------ */

static void kill_hanging(struct fixture *f, const char *with)
{
    tenon_pid pid;
    tenon_value *reason = tenon_value_format(with);
    tenon_value *message = next_message(&f->me);
    assert_true(tenon_match(tenon_value_term(message), "{:hangs, ~p}", &pid));
    OK(tenon_exit_signal(f->me.box, &pid, tenon_value_term(reason)));
    tenon_value_free(message);
    tenon_value_free(reason);
}

static void a_transient_task_is_started_anew_until_it_ends_well(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    start_by_hand(f, ", [], {:m, :hang, []}", ":transient", &pid);
    kill_hanging(f, ":broken");
    kill_hanging(f, ":kill");
    tenon_value *message = next_message(&f->me);
    assert_true(tenon_match(tenon_value_term(message), "{:hangs, ~p}", &pid));
    tenon_value_free(message);
    watch(f, &pid);
    OK(tenon_reply(f->kept[f->kept_count - 1], ":done"));
    assert_down(f, ":normal");
    assert_counts(f, 0);
    assert_no_message(&f->me);
}

static void too_many_restarts_end_the_supervisor(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid, supervisor;
    tenon_process_pid(f->supervisor, &supervisor);
    start_by_hand(f, ", [], {:m, :hang, []}", ":permanent", &pid);
    for (int i = 0; i < TENON_TASK_RESTARTS_MAX; i++) {
        kill_hanging(f, ":shutdown");
    }
    tenon_value *message = next_message(&f->me);
    assert_true(tenon_match(tenon_value_term(message), "{:hangs, ~p}", &pid));
    tenon_value_free(message);
    watch(f, &supervisor);
    OK(tenon_reply(f->kept[f->kept_count - 1], ":done"));
    assert_down(f, ":shutdown");
    assert_null(tenon_whereis(f->node, SUPERVISOR));
}

static void a_supervisor_that_cannot_be_is_refused(void **state)
{
    struct fixture *f = *state;
    tenon_error err = { 0 };
    tenon_task_supervisor_config config = { .name = SUPERVISOR, .err = &err };
    assert_null(tenon_task_supervisor_start(f->node, &config));
    assert_int_equal(err.code, TENON_E_EXISTS);
    assert_null(tenon_task_supervisor_start(NULL, &config));
    assert_int_equal(err.code, TENON_E_INVAL);
    assert_null(tenon_task_supervisor_start(f->node, NULL));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_task_gives_what_its_function_returns),
        TEST(a_function_runs_on_the_thread_it_was_registered_for),
        TEST(every_failure_is_told_apart),
        TEST(without_a_supervisor_there_is_no_task),
        TEST(arguments_that_make_no_call_are_refused),
        TEST(the_end_is_called_back),
        TEST(a_task_that_has_not_ended_goes_on),
        TEST(a_task_that_takes_too_long_is_killed),
        TEST(shutdown_asks_and_kill_kills),
        TEST(a_failing_task_takes_the_linked_process_along),
        TEST(a_linked_process_takes_its_task_along),
        TEST(a_task_that_is_shut_down_spares_the_linked_process),
        TEST(children_are_listed_counted_and_limited),
        TEST(a_child_is_terminated_by_pid),
        TEST(the_end_of_a_supervisor_takes_its_tasks_along),
        TEST(a_supervisor_ends_with_its_parent),
        TEST(what_is_no_task_is_refused),
        TEST(a_client_before_1_13_gives_the_function_first),
        TEST(large_arguments_are_for_a_worker),
        TEST(the_order_of_a_task_with_large_arguments_is_not_missed),
        TEST(large_messages_to_a_task_are_read_by_a_worker),
        TEST(a_task_answers_to_whom_its_order_names),
        TEST(nobody_hears_of_a_child_that_is_only_started),
        TEST(a_task_gives_up_when_its_owner_ends_first),
        TEST(the_answer_of_a_killed_task_is_dropped),
        TEST(a_transient_task_is_started_anew_until_it_ends_well),
        TEST(too_many_restarts_end_the_supervisor),
        TEST(a_supervisor_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("otp/task", tests, NULL, NULL);
}
