/* SPDX-License-Identifier: Apache-2.0 */
/* Task supervisors and tasks with every allocation failing in turn: a task
 * ends with a code, nothing hangs, and the supervisor works afterwards. */
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
#define SUPERVISOR "tasks"

static const uint8_t list_bytes[] = { 108, 0, 0, 0, 1, 97, 1, 106 };
static const tenon_term list = { list_bytes, sizeof list_bytes };

static tenon_process *start_supervisor(tenon_node *node)
{
    return tenon_task_supervisor_start(
        node, &(tenon_task_supervisor_config){ .name = SUPERVISOR });
}

static int start(void **state)
{
    tenon_node *node = own_node_start();
    OK(tenon_function(node, "m", "echo", 1, give_back, NULL, TENON_INLINE));
    OK(tenon_function(node, "m", "slow_echo", 1, give_back, NULL, 0));
    OK(tenon_function(node, "m", "raise", 1, raise_it, NULL, 0));
    *state = node;
    return 0;
}

static enum tenon_err
run(tenon_node *node, const char *function, uint32_t timeout_ms)
{
    const tenon_task_options options = { .timeout_ms = timeout_ms };
    tenon_task *task = tenon_task_async(node, TO(SUPERVISOR), "m", function,
                                        list, &options, NULL);
    if (task == NULL) {
        return TENON_E_NOMEM;
    }
    enum tenon_err rc = tenon_task_await(task, TENON_NO_TIMEOUT, NULL, NULL);
    tenon_task_release(task);
    return rc;
}

/* When no allocation has failed the end is on its way, however slow the
 * machine is: then there is all the time. */
static void
expect(tenon_node *node, const char *function, enum tenon_err undisturbed)
{
    enum tenon_err rc = run(node, function, SHORT_MS);
    if (rc == TENON_E_TIMEOUT && !nomem_failed()) {
        rc = run(node, function, DEADLINE_MS);
    }
    if (!nomem_failed()) {
        assert_int_equal(rc, undisturbed);
    }
}

static void start_child(tenon_node *node)
{
    tenon_pid pid;
    enum tenon_err rc = tenon_task_start_child(
        node, TO(SUPERVISOR), "m", "echo", list, SHORT_MS, &pid, NULL);
    if (rc == TENON_E_TIMEOUT && !nomem_failed()) {
        rc = TENON_OK;
    }
    if (!nomem_failed()) {
        assert_int_equal(rc, TENON_OK);
    }
}

static void run_tasks(void *user)
{
    tenon_node *node = user;
    tenon_process *supervisor = start_supervisor(node);
    if (supervisor == NULL) {
        assert_true(nomem_failed());
        return;
    }
    expect(node, "echo", TENON_OK);
    expect(node, "slow_echo", TENON_OK);
    expect(node, "raise", TENON_E_REMOTE_ERROR);
    start_child(node);
    /* An end needs no memory. One that could not be told of its child's end
     * has ended. */
    (void)tn_process_end(supervisor, tn_process_pid(supervisor));
    tenon_process_release(supervisor);
    assert_null(tenon_whereis(node, SUPERVISOR));
}

static void tasks_survive_any_failed_allocation(void **state)
{
    assert_true(nomem_fail_each(run_tasks, *state) > 0);
    tenon_process *supervisor = start_supervisor(*state);
    assert_non_null(supervisor);
    assert_int_equal(run(*state, "slow_echo", DEADLINE_MS), TENON_OK);
    OK(tenon_process_exit(supervisor, ":normal"));
    tenon_process_release(supervisor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_survive_any_failed_allocation),
    };
    return cmocka_run_group_tests_name("otp/task_nomem", tests, start,
                                       own_node_stop);
}
