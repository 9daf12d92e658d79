/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of tools with every allocation failing in turn: each is answered,
 * raises or is lost, and the node works afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "otp/info.h"
#include "own_node.h"
#include "unit/support/nomem.h"

/* An answer that could not be made is waited for this long. */
#define SHORT_MS 30u

static const struct {
    const char *module;
    const char *name;
    const char *args;
} questions[] = {
    { "erlang", "processes", "[]" },
    { "erlang", "nodes", "[[:this, :known]]" },
    { "erlang", "memory", "[]" },
    { "code", "all_loaded", "[]" },
    { "erlang", "module_info", "[:exports]" },
    { "observer_backend", "sys_info", "[]" },
    { "application", "get_all_key", "[:tenon]" },
    { "net_adm", "ping", "[:\"unit@127.0.0.1\"]" },
};
#define QUESTIONS (sizeof questions / sizeof questions[0])

static tenon_value *arguments[QUESTIONS];

static enum tenon_err ask(tenon_node *node, size_t i, uint32_t timeout_ms)
{
    tenon_value *value = NULL;
    enum tenon_err rc =
        tenon_rpc(node, NULL, questions[i].module, questions[i].name,
                  tenon_value_term(arguments[i]), timeout_ms, &value, NULL);

    tenon_value_free(value);
    return rc;
}

struct scenario {
    tenon_node *node;
    size_t question;
};

/* When no allocation has failed the answer is only slow. */
static void ask_once(void *user)
{
    const struct scenario *scenario = user;
    enum tenon_err rc = ask(scenario->node, scenario->question, SHORT_MS);

    if (rc == TENON_E_TIMEOUT && !nomem_failed()) {
        rc = ask(scenario->node, scenario->question, DEADLINE_MS);
    }
    assert_true(rc == TENON_OK || nomem_failed());
}

static void questions_survive_any_failed_allocation(void **state)
{
    struct scenario scenario = { .node = own_node_start() };

    (void)state;
    OK(tn_info_start(scenario.node, NULL));
    for (size_t i = 0; i < QUESTIONS; i++) {
        arguments[i] = tenon_value_format(questions[i].args);
        assert_non_null(arguments[i]);
        scenario.question = i;
        assert_true(nomem_fail_each(ask_once, &scenario) > 0);
        assert_int_equal(ask(scenario.node, i, DEADLINE_MS), TENON_OK);
    }
    for (size_t i = 0; i < QUESTIONS; i++) {
        tenon_value_free(arguments[i]);
    }
    tenon_node_stop(scenario.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_survive_any_failed_allocation),
    };
    return cmocka_run_group_tests_name("otp/info_nomem", tests, NULL, NULL);
}
