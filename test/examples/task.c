/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: a supervisor on one node runs registered functions for another, as
 * Task.Supervisor.async({Calc.Tasks, node}, :calc, :square, [7]) would. */
#include "example.h"

#define TASKS "Elixir.Calc.Tasks"

static void square(tenon_call *call, void *user)
{
    int64_t n, result;

    (void)user;
    if (!tenon_match(tenon_call_request(call), "[~i]", &n) ||
        __builtin_mul_overflow(n, n, &result)) {
        tenon_raise(call, ":badarg");
        return;
    }
    tenon_reply(call, "~i", result);
}

/* Works until its node stops. */
static void work_for_ever(tenon_call *call, void *user)
{
    (void)user;
    while (tenon_sleep(tenon_call_node(call), 1000) == TENON_OK) {
    }
}

static tenon_task *
start(tenon_node *from, const char *on, const char *function, const char *args)
{
    tenon_value *list = tenon_value_format(args);
    const tenon_dest tasks = { .name = TASKS, .node = on };
    const tenon_task_options options = { .timeout_ms = SOON_MS };
    tenon_task *task = tenon_task_async(from, &tasks, "calc", function,
                                        tenon_value_term(list), &options, NULL);

    CHECK(task != NULL);
    tenon_value_free(list);
    return task;
}

/* Awaits a task and checks how it ended. */
static void expect(tenon_task *task, enum tenon_err code, const char *pattern)
{
    tenon_value *value = NULL;

    CHECK(tenon_task_await(task, TENON_NO_TIMEOUT, &value, NULL) == code);
    CHECK(tenon_match(tenon_value_term(value), pattern));
    tenon_value_free(value);
    tenon_task_release(task);
}

int main(void)
{
    tenon_node *server = start_node("server");
    tenon_node *client = start_node("client");
    const char *on = tenon_node_name(server);
    tenon_process *tasks = tenon_task_supervisor_start(
        server, &(tenon_task_supervisor_config){ .name = TASKS });

    CHECK(tasks != NULL);
    tenon_process_release(tasks);
    CHECK(tenon_function(server, "calc", "square", 1, square, NULL, 0) ==
          TENON_OK);
    CHECK(tenon_function(server, "calc", "work_for_ever", 0, work_for_ever,
                         NULL, 0) == TENON_OK);

    /* Both are started before the first is awaited. */
    tenon_task *seven = start(client, on, "square", "[7]");
    tenon_task *eight = start(client, on, "square", "[8]");

    expect(seven, TENON_OK, "49");
    expect(eight, TENON_OK, "64");
    expect(start(client, on, "square", "[:seven]"), TENON_E_REMOTE_ERROR,
           "{:badarg, _}");
    expect(start(client, on, "cube", "[7]"), TENON_E_REMOTE_UNDEF,
           "{:undef, _}");

    tenon_task *endless = start(client, on, "work_for_ever", "[]");

    CHECK(tenon_task_await(endless, 0, NULL, NULL) == TENON_E_TIMEOUT);
    CHECK(tenon_task_shutdown(endless, 0, NULL, NULL) == TENON_E_REMOTE_EXIT);
    expect(endless, TENON_E_REMOTE_EXIT, ":killed");
    tenon_node_stop(client);
    tenon_node_stop(server);
    puts("task: done, failed and killed");
    return 0;
}
