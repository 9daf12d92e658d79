/* SPDX-License-Identifier: Apache-2.0 */
/* What tools ask a node: each question is answered, whatever its arguments
 * are, and those of processes with the truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "otp/info.h"
#include "own_node.h"

static void give_nothing(tenon_call *call, void *user)
{
    (void)call;
    (void)user;
}

static int start(void **state)
{
    tenon_node *node = own_node_start();

    OK(tn_info_start(node, NULL));
    OK(tenon_function(node, "mod", "fun", 2, give_nothing, NULL, 0));
    *state = node;
    return 0;
}

/* The answer to module:name(args), printed; what was raised in angle
 * brackets. */
static const char *
asked(tenon_node *node, const char *module, const char *name, const char *args)
{
    static char text[2][4000];
    static unsigned turn;
    char *room = text[turn++ % 2];
    tenon_value *list = tenon_value_format(args);
    tenon_value *value = NULL;
    enum tenon_err rc =
        tenon_rpc(node, NULL, module, name, tenon_value_term(list), DEADLINE_MS,
                  &value, NULL);

    tenon_term_print(tenon_value_term(value), room, sizeof text[0] - 2);
    if (rc != TENON_OK) {
        size_t len = strlen(room);

        memmove(room + 1, room, len);
        room[0] = '<';
        room[len + 1] = '>';
        room[len + 2] = '\0';
    }
    tenon_value_free(value);
    tenon_value_free(list);
    return room;
}

static void assert_answer(tenon_node *node,
                          const char *module,
                          const char *name,
                          const char *args,
                          const char *expected)
{
    const char *got = asked(node, module, name, args);

    if (strcmp(got, expected) != 0) {
        fail_msg("%s:%s(%s): expected %s, got %s", module, name, args, expected,
                 got);
    }
}

static void a_lone_node_tells_of_itself(void **state)
{
    tenon_node *node = *state;

    assert_answer(node, "erlang", "node", "[]", ":\"" OWN_NAME "\"");
    assert_answer(node, "erlang", "nodes", "[]", "[]");
    assert_answer(node, "erlang", "nodes", "[:known]", "[:\"" OWN_NAME "\"]");
    assert_answer(node, "erlang", "nodes", "[[:this, :known]]",
                  "[:\"" OWN_NAME "\", :\"" OWN_NAME "\"]");
    assert_answer(node, "net_kernel", "get_net_ticktime", "[]", "60");
    assert_answer(node, "init", "get_status", "[]", "{:started, :started}");
    assert_answer(node, "net_adm", "localhost", "[]", "~c\"127.0.0.1\"");
    assert_answer(node, "Elixir.Node", "alive?", "[]", "true");
    assert_answer(node, "erlang", "system_info", "[:otp_release]", "~c\"23\"");
    assert_answer(node, "erlang", "system_info", "[{:wordsize, :internal}]",
                  sizeof(void *) == 8 ? "8" : "4");
    assert_answer(node, "erlang", "statistics", "[:garbage_collection]",
                  "{0, 0, 0}");
}

static void a_process_is_shown_as_it_is(void **state)
{
    tenon_node *node = *state;
    struct me me = me_new(node);
    struct me other = me_new(node);
    tenon_ref ref;
    char got[600], expected[600];

    OK(tenon_register(me.box, "me"));
    OK(tenon_link(me.box, &other.pid));
    OK(tenon_monitor(me.box, &(tenon_dest){ .pid = &other.pid }, &ref));
    OK(tenon_monitor(me.box, TO("rex"), &ref));
    OK(tenon_send_format(node, TO("me"), "{:hello, 1}"));
    tenon_process_trap_exit(me.box, true);
    tenon_value *list = tenon_value_format(
        "[~t, [:registered_name, :current_function, :status, :messages, "
        ":message_queue_len, :links, :monitors, :trap_exit, :reductions]]",
        tn_process_pid(me.box));
    tenon_value *value = NULL;

    OK(tenon_rpc(node, NULL, "erlang", "process_info", tenon_value_term(list),
                 DEADLINE_MS, &value, NULL));
    snprintf(expected, sizeof expected,
             "[registered_name: :me, current_function: {:tenon, :mailbox, 0}, "
             "status: :waiting, messages: [hello: 1], message_queue_len: 1, "
             "links: [%s], monitors: [process: {:rex, :\"" OWN_NAME "\"}, "
             "process: %s], trap_exit: true, reductions: 0]",
             text_of(tn_process_pid(other.box)),
             text_of(tn_process_pid(other.box)));
    tenon_term_print(tenon_value_term(value), got, sizeof got);
    assert_string_equal(got, expected);
    tenon_value_free(value);
    tenon_value_free(list);
    tenon_value_free(next_message(&me));
    assert_int_equal(me.box->handled, 1);
    OK(tenon_unregister(node, "me"));
    tenon_unlink(me.box, &other.pid);
    me_free(&other);
    me_free(&me);
}

/* Each may fill the answer once more. */
static void what_is_asked_for_ever_again_is_refused(void **state)
{
    tenon_node *node = *state;
    const struct {
        const char *name, *first, *each;
        int at_most;
    } questions[] = {
        { "nodes", "", "known", 16 },
        { "process_info", "self", "links", 100 },
    };

    for (size_t i = 0; i < 2; i++) {
        for (int more = 0; more < 2; more++) {
            tenon_builder *args = tenon_builder_new();
            int count = questions[i].at_most + more;
            bool has_pid = questions[i].first[0] != '\0';
            struct me me = me_new(node);
            tenon_value *value = NULL;
            tenon_term list;

            tenon_build_list(args, has_pid ? 2 : 1);
            if (has_pid) {
                tenon_build_term(args, tn_process_pid(me.box));
            }
            tenon_build_list(args, (size_t)count);
            for (int k = 0; k < count; k++) {
                tenon_build_atom(args, questions[i].each);
            }
            tenon_build_nil(args);
            tenon_build_nil(args);
            OK(tenon_builder_term(args, &list));
            enum tenon_err rc =
                tenon_rpc(node, NULL, "erlang", questions[i].name, list,
                          DEADLINE_MS, &value, NULL);

            assert_int_equal(rc == TENON_OK, more == 0);
            tenon_value_free(value);
            tenon_builder_free(args);
            me_free(&me);
        }
    }
}

/* Shows what its own process runs. */
static void show_itself(tenon_call *call, void *user)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    (void)user;
    tn_lock(tenon_call_node(call));
    tn_info_build_mfa(out, tenon_call_self(call));
    tn_unlock(tenon_call_node(call));
    OK(tenon_builder_term(out, &term));
    tenon_reply_term(call, term);
    tenon_builder_free(out);
}

static void a_process_that_runs_a_function_shows_it(void **state)
{
    tenon_node *node = *state;
    struct me me = me_new(node);

    OK(tenon_function(node, "mod", "show", 1, show_itself, NULL, 0));
    OK(tenon_send_format(node, TO("rex"),
                         "{~p, {:call, :mod, :show, [1], :user}}", &me.pid));
    assert_next(&me, "{:rex, {:mod, :show, 1}}");
    me_free(&me);
}

static void modules_are_those_with_functions(void **state)
{
    tenon_node *node = *state;

    assert_answer(node, "erlang", "function_exported", "[:mod, :fun, 2]",
                  "true");
    assert_answer(node, "erlang", "function_exported", "[:mod, :fun, 3]",
                  "false");
    assert_answer(node, "erlang", "function_exported", "[:mod, :fun, -1]",
                  "false");
    assert_answer(node, "erlang", "function_exported",
                  "[:mod, :module_info, 1]", "true");
    assert_answer(node, "mod", "module_info", "[:exports]",
                  "[fun: 2, show: 1, module_info: 0, module_info: 1]");
    assert_answer(node, "code", "is_loaded", "[:mod]", "{:file, :preloaded}");
    assert_answer(node, "code", "is_loaded", "[:mo]", "false");
    const char *all = asked(node, "code", "all_loaded", "[]");

    if (strstr(all, "{:mod, :preloaded}") == NULL) {
        fail_msg("%s", all);
    }
}

static const char *const arguments[] = {
    ":localhost",     "[]", "[:a]", "-1", "\"text\"", "{:wordsize, 1}",
    "[:memory | :a]",
};

/* No argument breaks a function: it answers, or raises. */
static void any_argument_gets_an_answer(void **state)
{
    tenon_node *node = *state;
    char args[200];

    for (size_t t = 0; tn_info_tables[t] != NULL; t++) {
        for (size_t i = 0; tn_info_tables[t][i].module != NULL; i++) {
            for (size_t a = 0; a < sizeof arguments / sizeof *arguments; a++) {
                const struct tn_info_function *f = &tn_info_tables[t][i];
                const char *x = arguments[a];

                snprintf(args, sizeof args,
                         f->arity == 0   ? "[]"
                         : f->arity == 1 ? "[%s]"
                         : f->arity == 2 ? "[%s, %s]"
                         : f->arity == 3 ? "[%s, %s, %s]"
                         : f->arity == 4 ? "[%s, %s, %s, %s]"
                                         : "[%s, %s, %s, %s, %s]",
                         x, x, x, x, x);
                const char *got = asked(node, f->module, f->name, args);

                if (got[0] == '\0' || strcmp(got, "<>") == 0) {
                    fail_msg("%s:%s(%s): no answer", f->module, f->name, args);
                }
            }
        }
    }
}

static void what_is_not_registered_stays_undefined(void **state)
{
    tenon_node *node = *state;

    assert_answer(node, "os", "cmd", "[\"id\"]",
                  "<{:undef, [{:os, :cmd, [\"id\"], []}]}>");
    assert_answer(node, "erlang", "halt", "[]",
                  "<{:undef, [{:erlang, :halt, [], []}]}>");
    assert_answer(node, "no_module", "module_info", "[]",
                  "<{:undef, [{:no_module, :module_info, [], []}]}>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_node_tells_of_itself),
        cmocka_unit_test(a_process_is_shown_as_it_is),
        cmocka_unit_test(what_is_asked_for_ever_again_is_refused),
        cmocka_unit_test(a_process_that_runs_a_function_shows_it),
        cmocka_unit_test(modules_are_those_with_functions),
        cmocka_unit_test(any_argument_gets_an_answer),
        cmocka_unit_test(what_is_not_registered_stays_undefined),
    };
    return cmocka_run_group_tests_name("otp/info", tests, start, own_node_stop);
}
