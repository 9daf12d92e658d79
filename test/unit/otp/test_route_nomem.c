/* SPDX-License-Identifier: Apache-2.0 */
/* Routing tables with every allocation failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_node.h"
#include "unit/support/functions.h"
#include "unit/support/nomem.h"

/* What could not be made is waited for this long. */
#define SHORT_MS 30u

static const tenon_route_entry table[] = { { 'a', 'm', OWN_NAME },
                                           { 'n', 'z', "b@127.0.0.1" } };
static const uint8_t list_bytes[] = { 108, 0, 0, 0, 1, 97, 1, 106 };
static const tenon_term list = { list_bytes, sizeof list_bytes };

static int start(void **state)
{
    tenon_node *node = own_node_start();
    OK(tenon_function(node, "m", "short", 1, give_back, NULL, TENON_INLINE));
    OK(tenon_function(node, "m", "long", 1, give_back, NULL, 0));
    *state = node;
    return 0;
}

/* Calls MODULE.route("<key>", :m, function, [1]). */
static void expect(tenon_node *node,
                   const char *module,
                   const char *key,
                   const char *function,
                   enum tenon_err undisturbed)
{
    tenon_value *args =
        tenon_value_format("[~s, :m, ~a, ~t]", key, function, list);
    if (args == NULL) {
        return;
    }
    enum tenon_err rc = tenon_rpc(node, NULL, module, "route",
                                  tenon_value_term(args), SHORT_MS, NULL, NULL);
    if (rc == TENON_E_TIMEOUT && !nomem_failed()) {
        rc = tenon_rpc(node, NULL, module, "route", tenon_value_term(args),
                       DEADLINE_MS, NULL, NULL);
    }
    if (!nomem_failed()) {
        assert_int_equal(rc, undisturbed);
    }
    tenon_value_free(args);
}

/* A table lives as long as its node: each run makes one of its own. */
static void make_a_table_and_route(void *user)
{
    static unsigned run;
    tenon_node *node = user;
    char module[32];
    snprintf(module, sizeof module, "Elixir.Router%u", run++);
    tenon_routes *routes = tenon_routes_start(node, &(tenon_routes_config){
                                                        .module = module,
                                                        .tasks = "tasks",
                                                        .entries = table,
                                                        .entry_count = 2,
                                                    });
    if (routes == NULL) {
        assert_true(nomem_failed());
        return;
    }
    expect(node, module, "apple", "short", TENON_OK);
    expect(node, module, "apple", "long", TENON_OK);
    expect(node, module, "Zoo", "long", TENON_E_REMOTE_ERROR);
}

static void routing_survives_any_failed_allocation(void **state)
{
    assert_true(nomem_fail_each(make_a_table_and_route, *state) > 0);
    make_a_table_and_route(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routing_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests_name("otp/route_nomem", tests, start,
                                       own_node_stop);
}
