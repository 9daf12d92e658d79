/* SPDX-License-Identifier: Apache-2.0 */
/* Routing tables on one node: what runs here, what fits no entry, and how it
 * fails towards a node that is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_node.h"
#include "unit/support/functions.h"

#define MODULE "Elixir.KV.Router"
#define TASKS "Elixir.KV.RouterTasks"
#define ELSEWHERE "no-such-node@127.0.0.1"

static const tenon_route_entry entries[] = {
    { 'a', 'm', OWN_NAME },
    { 'a', 'z', ELSEWHERE },
};

struct fixture {
    tenon_node *node;
    struct me me;
    tenon_routes *routes;
};

/* What the functions below answer: their argument and where they run. */
static void tell_where(tenon_call *call, void *user)
{
    const char *where = tn_on_loop(tenon_call_node(call)) ? "loop" : "worker";
    (void)user;
    tenon_reply(call, "{~t, ~a}", tenon_call_arg(call, 0), where);
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    tenon_error err = { 0 };
    f->node = own_node_start();
    f->me = me_new(f->node);
    OK(tenon_function(f->node, "m", "short", 1, tell_where, NULL,
                      TENON_INLINE));
    OK(tenon_function(f->node, "m", "long", 1, tell_where, NULL, 0));
    OK(tenon_function(f->node, "m", "exit", 1, exit_with, NULL, 0));
    f->routes = tenon_routes_start(f->node, &(tenon_routes_config){
                                                .module = MODULE,
                                                .tasks = TASKS,
                                                .entries = entries,
                                                .entry_count = 2,
                                                .err = &err,
                                            });
    if (f->routes == NULL) {
        fail_msg("routes: %s", err.text);
    }
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    tenon_process_release(f->me.box);
    tenon_node_stop(f->node);
    free(f);
    return 0;
}

/* KV.Router.route called as a function. */
static void assert_routed(struct fixture *f,
                          const char *args,
                          enum tenon_err code,
                          const char *is)
{
    tenon_value *list = tenon_value_format(args);
    tenon_value *value = NULL;
    assert_non_null(list);
    assert_int_equal(tenon_rpc(f->node, NULL, MODULE, "route",
                               tenon_value_term(list), DEADLINE_MS, &value,
                               NULL),
                     code);
    assert_string_equal(text_of(tenon_value_term(value)), is);
    tenon_value_free(value);
    tenon_value_free(list);
}

static void a_key_of_this_node_runs_here(void **state)
{
    assert_routed(*state, "[\"apple\", :m, :long, [1]]", TENON_OK,
                  "{1, :worker}");
    assert_routed(*state, "[\"m\", :m, :short, [2]]", TENON_OK, "{2, :loop}");
    assert_routed(*state, "[\"b\", KV.Router, :route, [\"c\", :m, :long, [3]]]",
                  TENON_OK, "{3, :worker}");
}

static void what_it_applies_fails_as_if_called_itself(void **state)
{
    assert_routed(*state, "[\"a\", :m, :none, [1]]", TENON_E_REMOTE_ERROR,
                  "{:undef, [{:m, :none, [1], []}]}");
    assert_routed(*state, "[\"a\", :m, :exit, [:why]]", TENON_E_REMOTE_EXIT,
                  ":why");
    assert_routed(*state, "[\"a\", :m, :short, :no_list]", TENON_E_REMOTE_ERROR,
                  "{:badarg, [{:erlang, :apply, [:m, :short, :no_list], []}]}");
}

static void a_key_without_an_entry_is_the_error_of_the_guide(void **state)
{
    assert_routed(*state, "[\"Zoo\", :m, :short, [1]]", TENON_E_REMOTE_ERROR,
                  "{%RuntimeError{__exception__: true, message: \"could not "
                  "find entry for \\\"Zoo\\\" in table [{97..109, "
                  ":\\\"unit@127.0.0.1\\\"}, {97..122, "
                  ":\\\"no-such-node@127.0.0.1\\\"}]\"}, "
                  "[{KV.Router, :route, 4, []}]}");
    assert_routed(*state, "[<<255, 0>>, :m, :short, [1]]", TENON_E_REMOTE_ERROR,
                  "{%RuntimeError{__exception__: true, message: \"could not "
                  "find entry for <<255, 0>> in table [{97..109, "
                  ":\\\"unit@127.0.0.1\\\"}, {97..122, "
                  ":\\\"no-such-node@127.0.0.1\\\"}]\"}, "
                  "[{KV.Router, :route, 4, []}]}");
}

static void what_is_no_key_is_a_bad_argument(void **state)
{
    assert_routed(*state, "[\"\", :m, :short, [1]]", TENON_E_REMOTE_ERROR,
                  "{:badarg, [{KV.Router, :route, [\"\", :m, :short, [1]], "
                  "[]}]}");
    assert_routed(*state, "[:atom, :m, :short, [1]]", TENON_E_REMOTE_ERROR,
                  "{:badarg, [{KV.Router, :route, [:atom, :m, :short, [1]], "
                  "[]}]}");
    assert_routed(*state, "[1, 2, 3, 4]", TENON_E_REMOTE_ERROR,
                  "{:badarg, [{KV.Router, :route, [1, 2, 3, 4], []}]}");
}

static void a_node_that_is_not_there_ends_the_call(void **state)
{
    assert_routed(*state, "[\"zoo\", :m, :short, [1]]", TENON_E_REMOTE_EXIT,
                  "{{:nodedown, :\"no-such-node@127.0.0.1\"}, {KV.Router, "
                  ":route, [\"zoo\", :m, :short, [1]]}}");
}

static void on_end(void *user, const tenon_result *result)
{
    struct me *me = user;
    tenon_send_format(me->node, &(tenon_dest){ .pid = &me->pid }, "{~s, ~t}",
                      tenon_err_name(result->code), result->value);
}

static void c_routes_as_well(void **state)
{
    struct fixture *f = *state;
    tenon_error err = { 0 };
    tenon_value *value = NULL;
    tenon_value *list = tenon_value_format("[1]");
    tenon_term args = tenon_value_term(list);
    OK(tenon_route(f->routes, "apple", 5, "m", "long", args, 0, &value, &err));
    assert_string_equal(text_of(tenon_value_term(value)), "{1, :worker}");
    tenon_value_free(value);
    assert_int_equal(
        tenon_route(f->routes, "zoo", 3, "m", "long", args, 0, &value, &err),
        TENON_E_NODEDOWN);
    assert_null(value);
    assert_int_equal(
        tenon_route(f->routes, "Zoo", 3, "m", "long", args, 0, &value, &err),
        TENON_E_NOT_FOUND);
    assert_int_equal(
        tenon_route(f->routes, "", 0, "m", "long", args, 0, &value, NULL),
        TENON_E_INVAL);
    OK(tenon_route_async(f->routes, "apple", 5, "m", "short", args, 0, on_end,
                         &f->me));
    assert_next(&f->me, "{\"OK\", {1, :loop}}");
    OK(tenon_route_async(f->routes, "apple", 5, "m", "exit", args, 0, on_end,
                         &f->me));
    assert_next(&f->me, "{\"REMOTE_EXIT\", 1}");
    assert_int_equal(tenon_route_async(f->routes, "Zoo", 3, "m", "short", args,
                                       0, on_end, &f->me),
                     TENON_E_NOT_FOUND);
    assert_int_equal(
        tenon_route_async(f->routes, "a", 1, "m", "short", args, 0, NULL, NULL),
        TENON_E_INVAL);
    tenon_value_free(list);
}

static void assert_refused(struct fixture *f,
                           const tenon_routes_config *given,
                           enum tenon_err code)
{
    tenon_error err = { 0 };
    tenon_routes_config config = *given;
    config.err = &err;
    assert_null(tenon_routes_start(f->node, &config));
    assert_int_equal(err.code, code);
    assert_true(err.text[0] != '\0');
}

static void a_table_that_cannot_be_is_refused(void **state)
{
    struct fixture *f = *state;
    static const tenon_route_entry backwards = { 'z', 'a', OWN_NAME };
    static const tenon_route_entry no_name = { 'a', 'z', "no_host" };
    static const tenon_route_entry no_node = { 'a', 'z', NULL };
    tenon_routes_config config = { .module = "Elixir.Other",
                                   .tasks = TASKS,
                                   .entries = entries,
                                   .entry_count = 0 };
    assert_refused(f, &config, TENON_E_INVAL);
    config.entry_count = TENON_ROUTE_ENTRIES_MAX + 1;
    assert_refused(f, &config, TENON_E_LIMIT);
    config.entry_count = 1;
    config.entries = &backwards;
    assert_refused(f, &config, TENON_E_INVAL);
    config.entries = &no_name;
    assert_refused(f, &config, TENON_E_INVAL);
    config.entries = &no_node;
    assert_refused(f, &config, TENON_E_INVAL);
    config.entries = NULL;
    assert_refused(f, &config, TENON_E_INVAL);
    config.entries = entries;
    config.module = MODULE;
    assert_refused(f, &config, TENON_E_EXISTS);
    config.module = NULL;
    assert_refused(f, &config, TENON_E_INVAL);
    assert_null(tenon_routes_start(NULL, &config));
    assert_null(tenon_routes_start(f->node, NULL));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_key_of_this_node_runs_here),
        TEST(what_it_applies_fails_as_if_called_itself),
        TEST(a_key_without_an_entry_is_the_error_of_the_guide),
        TEST(what_is_no_key_is_a_bad_argument),
        TEST(a_node_that_is_not_there_ends_the_call),
        TEST(c_routes_as_well),
        TEST(a_table_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("otp/route", tests, NULL, NULL);
}
