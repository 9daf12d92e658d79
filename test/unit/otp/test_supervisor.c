/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors: what they start, end and restart, and what they answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_node.h"
#include "unit/support/functions.h"

struct fixture {
    tenon_node *node;
    struct me me;
    tenon_process *sup;
    atomic_bool refuse; /* the start function fails */
};

/* ---- children: servers that the test is told of ------------------------------ */

static void tell(struct fixture *f, const char *kind, const char *name)
{
    tenon_send_format(f->node, &(tenon_dest){ .pid = &f->me.pid }, "{~a, ~a}",
                      kind, name);
}

static void on_cast(tenon_process *self, tenon_term request, void *state)
{
    (void)state;
    tenon_process_exit(self, "~t", request);
}

/* start_link(name) */
static void start_link(tenon_call *call, void *user)
{
    struct fixture *f = user;
    tenon_atom name;
    tenon_pid parent, pid;
    OK(tenon_term_atom(tenon_call_arg(call, 0), &name));
    OK(tenon_call_from(call, &parent));
    if (atomic_load(&f->refuse)) {
        tell(f, "refused", name.text);
        tenon_reply_error(call, ":refused");
        return;
    }
    tenon_ref ref;
    tenon_process *server = tenon_server_start(
        f->node, &(tenon_server_config){ .name = name.text,
                                         .on_cast = on_cast,
                                         .parent = &parent });
    assert_non_null(server);
    tenon_process_pid(server, &pid);
    tenon_process_release(server);
    OK(tenon_monitor(f->me.box, TO(name.text), &ref));
    tell(f, "started", name.text);
    tenon_reply_ok(call, "~p", &pid);
}

/* A mailbox that traps exits, so that only a kill ends it. */
static void start_stubborn(tenon_call *call, void *user)
{
    struct fixture *f = user;
    tenon_pid parent, pid;
    OK(tenon_call_from(call, &parent));
    tenon_process *box = tenon_mailbox_new(f->node, "stubborn", NULL);
    tenon_process_trap_exit(box, true);
    OK(tenon_link(box, &parent));
    tenon_process_pid(box, &pid);
    tenon_process_release(box);
    tenon_reply(call, "{:ok, ~p, :info}", &pid);
}

static void give(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply(call, "~t", tenon_call_arg(call, 0));
}

/* The end of a child with {:quietly, _} is no news. */
static tenon_value *next_news(struct fixture *f)
{
    for (;;) {
        tenon_value *message = next_message(&f->me);
        if (!tenon_match(tenon_value_term(message),
                         "{:DOWN, _, :process, _, {:quietly, _}}")) {
            return message;
        }
        tenon_value_free(message);
    }
}

static void assert_news(struct fixture *f, const char *expected)
{
    char text[600];
    tenon_atom name;
    tenon_value *message = next_news(f);
    tenon_term_print(tenon_value_term(message), text, sizeof text);
    if (tenon_match(tenon_value_term(message),
                    "{:DOWN, _, :process, {~a, _}, _}", &name)) {
        snprintf(text, sizeof text, "{:ended, :%.40s}", name.text);
    }
    tenon_value_free(message);
    assert_string_equal(text, expected);
}

/* ---- the supervisor ----------------------------------------------------------- */

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->node = own_node_start();
    f->me = me_new(f->node);
    OK(tenon_function(f->node, "w", "start_link", 1, start_link, f, 0));
    OK(tenon_function(f->node, "w", "stubborn", 0, start_stubborn, f, 0));
    OK(tenon_function(f->node, "w", "give", 1, give, f, 0));
    OK(tenon_function(f->node, "w", "raise", 1, raise_it, f, 0));
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    tenon_process_release(f->sup);
    tenon_process_release(f->me.box);
    tenon_node_stop(f->node);
    free(f);
    return 0;
}

static void
supervise(struct fixture *f, enum tenon_strategy strategy, uint32_t restarts)
{
    f->sup = tenon_supervisor_start(f->node, &(tenon_supervisor_config){
                                                 .name = "sup",
                                                 .strategy = strategy,
                                                 .max_restarts = restarts,
                                                 .max_seconds = 3600,
                                             });
    assert_non_null(f->sup);
}

static void add(struct fixture *f, const char *name, enum tenon_restart restart)
{
    char args[64], started[64];
    tenon_error err = { 0 };
    snprintf(args, sizeof args, "[:%s]", name);
    tenon_value *list = tenon_value_format(args);
    enum tenon_err rc =
        tenon_supervisor_add(f->sup,
                             &(tenon_child){ .id = name,
                                             .module = "w",
                                             .function = "start_link",
                                             .args = tenon_value_term(list),
                                             .restart = restart },
                             DEADLINE_MS, NULL, &err);
    if (rc != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tenon_value_free(list);
    snprintf(started, sizeof started, "{:started, :%s}", name);
    assert_news(f, started);
}

/* Ends a child with a reason. */
static void end(struct fixture *f, const char *name, const char *reason)
{
    tenon_value *term = tenon_value_format(reason);
    OK(tenon_server_cast(f->node, TO(name), tenon_value_term(term), NULL));
    tenon_value_free(term);
}

static tenon_value *ask(struct fixture *f, const char *request)
{
    tenon_value *term = tenon_value_format(request);
    tenon_value *value = NULL;
    assert_non_null(term);
    OK(tenon_server_call(f->node, TO("sup"), tenon_value_term(term),
                         DEADLINE_MS, &value, NULL));
    tenon_value_free(term);
    return value;
}

static void
assert_answer(struct fixture *f, const char *request, const char *pattern)
{
    tenon_value *value = ask(f, request);
    if (!tenon_match(tenon_value_term(value), pattern)) {
        fail_msg("%s: got %s", request, text_of(tenon_value_term(value)));
    }
    tenon_value_free(value);
}

static void assert_sup_ends(struct fixture *f, const char *why)
{
    tenon_value *down = next_news(f);
    tenon_term reason;
    assert_true(tenon_match(tenon_value_term(down),
                            "{:DOWN, _, :process, _, ~t}", &reason));
    assert_string_equal(text_of(reason), why);
    tenon_value_free(down);
}

/* ---- what is restarted ---------------------------------------------------------- */

static void a_permanent_child_is_always_restarted(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    add(f, "a", TENON_PERMANENT);
    add(f, "b", TENON_PERMANENT);
    end(f, "a", ":normal");
    assert_news(f, "{:ended, :a}");
    assert_news(f, "{:started, :a}");
    end(f, "a", ":boom");
    assert_news(f, "{:ended, :a}");
    assert_news(f, "{:started, :a}");
    assert_answer(f, ":count_children",
                  "[specs: 2, active: 2, supervisors: 0, workers: 2]");
}

static void a_transient_child_is_restarted_when_it_fails(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    add(f, "a", TENON_TRANSIENT);
    end(f, "a", ":boom");
    assert_news(f, "{:ended, :a}");
    assert_news(f, "{:started, :a}");
    end(f, "a", "{:shutdown, 1}");
    assert_news(f, "{:ended, :a}");
    assert_answer(f, ":which_children", "[{:a, :undefined, :worker, [:w]}]");
    assert_answer(f, "{:restart_child, :a}", "{:ok, _}");
    assert_news(f, "{:started, :a}");
}

static void a_temporary_child_is_forgotten(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    add(f, "a", TENON_TEMPORARY);
    end(f, "a", ":boom");
    assert_news(f, "{:ended, :a}");
    assert_answer(f, ":which_children", "[]");
}

static void one_for_all_restarts_all_the_last_one_ending_first(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ALL, 0);
    add(f, "a", TENON_PERMANENT);
    add(f, "b", TENON_PERMANENT);
    add(f, "t", TENON_TEMPORARY);
    add(f, "c", TENON_TRANSIENT);
    end(f, "b", "{:quietly, 1}");
    assert_news(f, "{:ended, :c}");
    assert_news(f, "{:ended, :t}");
    assert_news(f, "{:ended, :a}");
    assert_news(f, "{:started, :a}");
    assert_news(f, "{:started, :b}");
    assert_news(f, "{:started, :c}");
    assert_answer(f, ":which_children",
                  "[{:c, _, :worker, [:w]}, {:b, _, :worker, [:w]}, "
                  "{:a, _, :worker, [:w]}]");
}

static void rest_for_one_restarts_those_that_came_later(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_REST_FOR_ONE, 0);
    add(f, "a", TENON_PERMANENT);
    add(f, "b", TENON_PERMANENT);
    add(f, "c", TENON_PERMANENT);
    end(f, "b", "{:quietly, 1}");
    assert_news(f, "{:ended, :c}");
    assert_news(f, "{:started, :b}");
    assert_news(f, "{:started, :c}");
    assert_answer(f, ":count_children",
                  "[specs: 3, active: 3, supervisors: 0, workers: 3]");
    assert_no_message(&f->me);
}

static void one_restart_too_many_ends_the_supervisor(void **state)
{
    struct fixture *f = *state;
    tenon_ref ref;
    supervise(f, TENON_ONE_FOR_ONE, 2);
    OK(tenon_monitor(f->me.box, TO("sup"), &ref));
    add(f, "other", TENON_PERMANENT);
    add(f, "a", TENON_PERMANENT);
    for (int i = 0; i < 2; i++) {
        end(f, "a", "{:quietly, 1}");
        assert_news(f, "{:started, :a}");
    }
    end(f, "a", "{:quietly, 1}");
    assert_news(f, "{:ended, :other}");
    assert_sup_ends(f, ":shutdown");
    assert_no_message(&f->me);
}

static void no_restarts_means_none(void **state)
{
    struct fixture *f = *state;
    tenon_ref ref;
    supervise(f, TENON_ONE_FOR_ALL, TENON_NO_RESTARTS);
    OK(tenon_monitor(f->me.box, TO("sup"), &ref));
    add(f, "a", TENON_TRANSIENT);
    end(f, "a", "{:quietly, 1}");
    assert_sup_ends(f, ":shutdown");
}

static void a_restart_that_fails_is_tried_again_and_counted(void **state)
{
    struct fixture *f = *state;
    tenon_ref ref;
    supervise(f, TENON_ONE_FOR_ONE, 3);
    OK(tenon_monitor(f->me.box, TO("sup"), &ref));
    add(f, "a", TENON_PERMANENT);
    atomic_store(&f->refuse, true);
    end(f, "a", "{:quietly, 1}");
    assert_news(f, "{:refused, :a}");
    assert_news(f, "{:refused, :a}");
    assert_news(f, "{:refused, :a}");
    assert_sup_ends(f, ":shutdown");
}

static void a_failed_start_in_a_group_leaves_the_rest_for_later(void **state)
{
    struct fixture *f = *state;
    tenon_ref ref;
    supervise(f, TENON_REST_FOR_ONE, 2);
    OK(tenon_monitor(f->me.box, TO("sup"), &ref));
    add(f, "a", TENON_PERMANENT);
    add(f, "b", TENON_PERMANENT);
    add(f, "c", TENON_PERMANENT);
    atomic_store(&f->refuse, true);
    end(f, "b", "{:quietly, 1}");
    assert_news(f, "{:ended, :c}");
    assert_news(f, "{:refused, :b}");
    assert_news(f, "{:refused, :b}");
    assert_news(f, "{:ended, :a}");
    assert_sup_ends(f, ":shutdown");
}

/* ---- what it is asked -------------------------------------------------------------- */

static void children_are_ended_restarted_and_deleted_on_request(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    add(f, "a", TENON_PERMANENT);
    assert_answer(f, "{:restart_child, :a}", "{:error, :running}");
    assert_answer(f, "{:delete_child, :a}", "{:error, :running}");
    assert_answer(f, "{:terminate_child, :a}", ":ok");
    assert_news(f, "{:ended, :a}");
    assert_answer(f, "{:terminate_child, :a}", ":ok");
    assert_answer(f, "{:restart_child, :a}", "{:ok, _}");
    assert_news(f, "{:started, :a}");
    assert_answer(f, "{:terminate_child, :a}", ":ok");
    assert_news(f, "{:ended, :a}");
    assert_answer(f, "{:delete_child, :a}", ":ok");
    assert_answer(f, ":which_children", "[]");
    assert_answer(f, "{:terminate_child, :a}", "{:error, :not_found}");
    assert_answer(f, "{:restart_child, :a}", "{:error, :not_found}");
    assert_answer(f, "{:delete_child, :a}", "{:error, :not_found}");
}

#define SPEC(id, rest)                                                         \
    "{:start_child, %{id: " id ", start: {:w, :start_link, [:x]}" rest "}}"

static void children_are_started_from_their_specification(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    assert_answer(f, SPEC("{:any, \"term\"}", ", type: :supervisor"),
                  "{:ok, _}");
    assert_news(f, "{:started, :x}");
    assert_answer(f, SPEC("{:any, \"term\"}", ""),
                  "{:error, {:already_started, _}}");
    assert_answer(f, "{:get_childspec, {:any, \"term\"}}",
                  "{:ok, %{id: {:any, \"term\"}, restart: :permanent, "
                  "shutdown: :infinity, type: :supervisor, modules: [:w], "
                  "start: {:w, :start_link, [:x]}, significant: false}}");
    assert_answer(f, "{:terminate_child, {:any, \"term\"}}", ":ok");
    assert_news(f, "{:ended, :x}");
    assert_answer(f, SPEC("{:any, \"term\"}", ""),
                  "{:error, :already_present}");
    assert_answer(f,
                  "{:start_child, {:t, {:w, :start_link, [:y]}, :temporary, "
                  ":brutal_kill, :worker, :dynamic}}",
                  "{:ok, _}");
    assert_news(f, "{:started, :y}");
    assert_answer(f, "{:get_childspec, :t}",
                  "{:ok, %{shutdown: :brutal_kill, modules: :dynamic}}");
    assert_answer(f, "{:get_childspec, :none}", "{:error, :not_found}");
}

static void a_bad_specification_is_refused_as_supervisor_does(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    assert_answer(f, "{:start_child, %{start: 1}}", "{:error, :missing_id}");
    assert_answer(f, "{:start_child, %{id: 1}}", "{:error, :missing_start}");
    assert_answer(f, "{:start_child, %{id: 1, start: 2}}",
                  "{:error, {:invalid_mfa, 2}}");
    assert_answer(f, SPEC("1", ", restart: :ever"),
                  "{:error, {:invalid_restart_type, :ever}}");
    assert_answer(f, SPEC("1", ", shutdown: -1"),
                  "{:error, {:invalid_shutdown, -1}}");
    assert_answer(f, SPEC("1", ", type: :boss"),
                  "{:error, {:invalid_child_type, :boss}}");
    assert_answer(f, SPEC("1", ", significant: true"),
                  "{:error, {:bad_combination, [auto_shutdown: :never, "
                  "significant: true]}}");
    assert_answer(f, SPEC("1", ", significant: 1"),
                  "{:error, {:invalid_significant, 1}}");
    assert_answer(f, SPEC("1", ", modules: 3"),
                  "{:error, {:invalid_modules, 3}}");
    assert_answer(f, "{:start_child, 1}", "{:error, {:invalid_child_spec, 1}}");
    assert_answer(f, "{:what, 1}", "{:error, {:bad_request, {:what, 1}}}");
    assert_answer(f, ":count_children",
                  "[specs: 0, active: 0, supervisors: 0, workers: 0]");
}

#define RUN(function, arg)                                                     \
    "{:start_child, %{id: 1, start: {:w, :" function ", [" arg "]}}}"
#define WHY(reason)                                                            \
    "{:error, {" reason ", {:child, :undefined, 1, {:w, _, _}, :permanent, "   \
    "false, 5000, :worker, [:w]}}}"

static void a_start_that_fails_says_why(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    assert_answer(f, RUN("give", "{:error, :no}"), WHY(":no"));
    assert_answer(f, RUN("give", ":what"), WHY(":what"));
    assert_answer(f, RUN("raise", ":boom"),
                  WHY("{:EXIT, {:boom, [{:w, :raise, 1, []}]}}"));
    assert_answer(f, RUN("none", "1, 2"),
                  WHY("{:EXIT, {:undef, [{:w, :none, [1, 2], []}]}}"));
    assert_answer(f, RUN("give", ":ignore"), "{:ok, :undefined}");
    assert_answer(f, ":which_children", "[{1, :undefined, :worker, [:w]}]");
}

static void what_cannot_be_added_from_c_is_told_apart(void **state)
{
    struct fixture *f = *state;
    tenon_error err = { 0 };
    supervise(f, TENON_ONE_FOR_ONE, 0);
    add(f, "a", TENON_PERMANENT);
    tenon_value *args = tenon_value_format("[:a]");
    tenon_child child = { .id = "a",
                          .module = "w",
                          .function = "start_link",
                          .args = tenon_value_term(args) };
    assert_int_equal(tenon_supervisor_add(f->sup, &child, 0, NULL, &err),
                     TENON_E_EXISTS);
    child.id = "b";
    child.function = "none";
    assert_int_equal(tenon_supervisor_add(f->sup, &child, 0, NULL, &err),
                     TENON_E_NOT_FOUND);
    child.function = "raise";
    assert_int_equal(tenon_supervisor_add(f->sup, &child, 0, NULL, &err),
                     TENON_E_REMOTE_ERROR);
    child.module = NULL;
    assert_int_equal(tenon_supervisor_add(f->sup, &child, 0, NULL, &err),
                     TENON_E_INVAL);
    assert_null(tenon_supervisor_start(
        f->node, &(tenon_supervisor_config){ .max_restarts = 1001 }));
    assert_null(tenon_supervisor_start(
        f->node, &(tenon_supervisor_config){ .name = "sup", .err = &err }));
    assert_int_equal(err.code, TENON_E_EXISTS);
    tenon_value_free(args);
}

/* ---- ends ---------------------------------------------------------------------------- */

static void a_stubborn_child_is_killed_in_time(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    assert_answer(f,
                  "{:start_child, %{id: 1, start: {:w, :stubborn, []}, "
                  "shutdown: 1}}",
                  "{:ok, _, :info}");
    assert_answer(f, "{:terminate_child, 1}", ":ok");
    assert_null(tenon_whereis(f->node, "stubborn"));
    assert_answer(f,
                  "{:start_child, %{id: 2, start: {:w, :stubborn, []}, "
                  "shutdown: :brutal_kill}}",
                  "{:ok, _, :info}");
    assert_answer(f, "{:terminate_child, 2}", ":ok");
    assert_null(tenon_whereis(f->node, "stubborn"));
}

static void a_supervisor_that_is_stopped_ends_its_children_first(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    add(f, "a", TENON_PERMANENT);
    add(f, "b", TENON_TEMPORARY);
    tenon_value *normal = tenon_value_format(":normal");
    OK(tenon_server_stop(f->node, TO("sup"), tenon_value_term(normal),
                         DEADLINE_MS, NULL));
    tenon_value_free(normal);
    assert_news(f, "{:ended, :b}");
    assert_news(f, "{:ended, :a}");
    assert_null(tenon_whereis(f->node, "a"));
}

static void a_supervisor_ends_with_its_parent(void **state)
{
    struct fixture *f = *state;
    struct me parent = me_new(f->node);
    f->sup = tenon_supervisor_start(
        f->node,
        &(tenon_supervisor_config){ .name = "sup", .parent = &parent.pid });
    assert_non_null(f->sup);
    add(f, "a", TENON_PERMANENT);
    OK(tenon_process_exit(parent.box, ":normal"));
    assert_news(f, "{:ended, :a}");
    tenon_process_release(parent.box);
}

static void a_killed_supervisor_takes_its_children_along(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_ONE_FOR_ONE, 0);
    add(f, "a", TENON_PERMANENT);
    tenon_pid pid;
    tenon_process_pid(f->sup, &pid);
    tenon_value *kill = tenon_value_format(":kill");
    OK(tenon_exit_signal(f->me.box, &pid, tenon_value_term(kill)));
    tenon_value_free(kill);
    assert_news(f, "{:ended, :a}");
}

/* ---- dynamic ones -------------------------------------------------------------------- */

#define DYNAMIC(name, restart)                                                 \
    "{:start_child, {{:w, :start_link, [:" name "]}, :" restart                \
    ", 5000, :worker, [:w]}}"

static void a_dynamic_supervisor_knows_its_children_by_pid(void **state)
{
    struct fixture *f = *state;
    tenon_pid pid;
    supervise(f, TENON_DYNAMIC, 0);
    assert_answer(f, DYNAMIC("a", "temporary"), "{:ok, _}");
    assert_news(f, "{:started, :a}");
    assert_answer(f, DYNAMIC("b", "permanent"), "{:ok, _}");
    assert_news(f, "{:started, :b}");
    tenon_process *a = tenon_whereis(f->node, "a");
    tenon_process_pid(a, &pid);
    tenon_process_release(a);
    tenon_value *request = tenon_value_format("{:terminate_child, ~p}", &pid);
    for (int again = 0; again < 2; again++) {
        tenon_value *value = NULL;
        OK(tenon_server_call(f->node, TO("sup"), tenon_value_term(request),
                             DEADLINE_MS, &value, NULL));
        assert_string_equal(text_of(tenon_value_term(value)),
                            again ? "{:error, :not_found}" : ":ok");
        tenon_value_free(value);
    }
    tenon_value_free(request);
    assert_news(f, "{:ended, :a}");
    assert_answer(f, ":which_children", "[{:undefined, _, :worker, [:w]}]");
    end(f, "b", "{:quietly, 1}");
    assert_news(f, "{:started, :b}");
    assert_answer(f, "{:terminate_child, :b}", "{:error, :simple_one_for_one}");
    assert_answer(f, "{:start_child, 1}", "{:error, {:invalid_child_spec, 1}}");
    assert_answer(f,
                  "{:start_child, {{:w, :give, [:ignore]}, :permanent, 5000, "
                  ":worker, [:w]}}",
                  ":ignore");
    assert_answer(f,
                  "{:start_child, {{:w, :raise, [1]}, :permanent, 5000, "
                  ":worker, [:w]}}",
                  "{:error, {1, [{:w, :raise, 1, []}]}}");
    assert_answer(f, ":count_children",
                  "[specs: 1, active: 1, supervisors: 0, workers: 1]");
}

static void a_dynamic_supervisor_ends_all_at_once(void **state)
{
    struct fixture *f = *state;
    f->sup = tenon_supervisor_start(
        f->node, &(tenon_supervisor_config){ .name = "sup",
                                             .strategy = TENON_DYNAMIC,
                                             .max_children = 2 });
    assert_answer(f, DYNAMIC("a", "permanent"), "{:ok, _}");
    assert_news(f, "{:started, :a}");
    assert_answer(f,
                  "{:start_child, {{:w, :stubborn, []}, :permanent, 1, "
                  ":worker, [:w]}}",
                  "{:ok, _, :info}");
    assert_answer(f, DYNAMIC("c", "permanent"), "{:error, :max_children}");
    tenon_value *shutdown = tenon_value_format(":shutdown");
    OK(tenon_server_stop(f->node, TO("sup"), tenon_value_term(shutdown),
                         DEADLINE_MS, NULL));
    tenon_value_free(shutdown);
    assert_news(f, "{:ended, :a}");
    assert_null(tenon_whereis(f->node, "stubborn"));
}

static void sys_shows_a_supervisor(void **state)
{
    struct fixture *f = *state;
    supervise(f, TENON_REST_FOR_ONE, 7);
    OK(tenon_send_format(f->node, TO("sup"), "{:system, {~p, :t}, :get_state}",
                         &f->me.pid));
    assert_news(f, "{:t, {:ok, %{children: [], max_restarts: 7, "
                   "max_seconds: 3600, strategy: :rest_for_one}}}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_permanent_child_is_always_restarted),
        TEST(a_transient_child_is_restarted_when_it_fails),
        TEST(a_temporary_child_is_forgotten),
        TEST(one_for_all_restarts_all_the_last_one_ending_first),
        TEST(rest_for_one_restarts_those_that_came_later),
        TEST(one_restart_too_many_ends_the_supervisor),
        TEST(no_restarts_means_none),
        TEST(a_restart_that_fails_is_tried_again_and_counted),
        TEST(a_failed_start_in_a_group_leaves_the_rest_for_later),
        TEST(children_are_ended_restarted_and_deleted_on_request),
        TEST(children_are_started_from_their_specification),
        TEST(a_bad_specification_is_refused_as_supervisor_does),
        TEST(a_start_that_fails_says_why),
        TEST(what_cannot_be_added_from_c_is_told_apart),
        TEST(a_stubborn_child_is_killed_in_time),
        TEST(a_supervisor_that_is_stopped_ends_its_children_first),
        TEST(a_supervisor_ends_with_its_parent),
        TEST(a_killed_supervisor_takes_its_children_along),
        TEST(a_dynamic_supervisor_knows_its_children_by_pid),
        TEST(a_dynamic_supervisor_ends_all_at_once),
        TEST(sys_shows_a_supervisor),
    };
    return cmocka_run_group_tests_name("otp/supervisor", tests, NULL, NULL);
}
