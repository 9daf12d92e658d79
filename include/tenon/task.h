/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks, as Elixir's Task.Supervisor has them: a supervisor in C that runs
 * registered functions for Elixir and C, and tasks that C starts under a
 * supervisor on any node. */
#ifndef TENON_TASK_H
#define TENON_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/process.h>
#include <tenon/rpc.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a supervisor in C ------------------------------------------------- */

/* A task that is started with `restart: :transient` or `:permanent` is started
 * anew when it has failed (or ended); more than this often within the period
 * ends the supervisor with `shutdown`, as one of Elixir. */
#define TENON_TASK_RESTARTS_MAX 3
#define TENON_TASK_RESTART_PERIOD_MS 5000

typedef struct tenon_task_supervisor_config {
    /* Registered name, "Elixir.Demo.Tasks" for Demo.Tasks; NULL: none.
     * Copied. */
    const char *name;
    /* Most tasks at a time, above it callers get {:error, :max_children};
     * 0: as many as the node can have processes. */
    uint32_t max_children;
    /* borrowed until the start returns, may be NULL. */
    tenon_error *err;
    /* As for a server: of the supervisor whose child it is. */
    const tenon_pid *parent;
} tenon_task_supervisor_config;

/* Starts a task supervisor. Callers name it {Demo.Tasks, node}, and give
 * module, function and arguments of a function that is registered here
 * (tenon_function): Task.Supervisor.async, async_nolink, async_stream and
 * async_stream_nolink, start_child, children, terminate_child, of Elixir 1.10
 * to 1.20; and tenon_task_async. A function that is not registered ends its
 * task with undef; so does an anonymous one. Each task is a process: linked,
 * monitored, killed and shut down as one, but the C code in it runs on to its
 * return, and what it answers then is dropped.
 *
 * The supervisor is a server, which ends by tenon_process_exit or
 * GenServer.stop and takes its tasks along. owned: tenon_process_release.
 * NULL on failure, as for a server. Threads: any. Blocks: no.
 * Source: Task.Supervisor and DynamicSupervisor of the Elixir documents. */
TENON_API TENON_CHECK tenon_process *tenon_task_supervisor_start_sized(
    tenon_node *node, const tenon_task_supervisor_config *config, size_t size);

static inline tenon_process *
tenon_task_supervisor_start(tenon_node *node,
                            const tenon_task_supervisor_config *config)
{
    return tenon_task_supervisor_start_sized(node, config, sizeof *config);
}

/* ---- tasks that C starts ----------------------------------------------- */

/* One task. */
typedef struct tenon_task tenon_task;

typedef struct tenon_task_options {
    /* A process of this node that is linked with the task, as the caller of
     * Task.Supervisor.async is: when one fails, so does the other. NULL: as
     * async_nolink. Kept while the task goes on. */
    tenon_process *link;
    /* Longest time from now to its end, then it is killed and has ended with
     * TIMEOUT; 0: TENON_CALL_TIMEOUT_MS; TENON_NO_TIMEOUT. */
    uint32_t timeout_ms;
    /* Called when it has ended, may be NULL. */
    tenon_result_fn on_end;
    void *user;
} tenon_task_options;

/* Starts a task under a supervisor, of Elixir 1.10 to 1.20 or of C, on any
 * node. How it ended:
 *
 *   TENON_OK       value is what the function returned
 *   REMOTE_ERROR, REMOTE_UNDEF, REMOTE_THROW  as for tenon_rpc
 *   REMOTE_EXIT    value is the reason: of exit/1, `shutdown`, `killed`, ...
 *   LIMIT          the supervisor has as many children as it may
 *   NOTSUP         the supervisor refused otherwise; value is its reason
 *   NOPROC         there is no such supervisor
 *   NODEDOWN, TIMEOUT, STOPPED, BADTERM, NOMEM
 *
 * supervisor        borrowed.
 * module, function  borrowed; as for tenon_rpc.
 * args              copied; a proper list.
 * options           borrowed, NULL: all default.
 * err               borrowed, may be NULL.
 *
 * owned: tenon_task_release. NULL on failure (on_end is then not called):
 * INVAL, LIMIT (processes, calls), QUEUE_FULL, NOMEM, STOPPED.
 * Threads: any. Blocks: no. Source: Task.Supervisor.async/5. */
TENON_API TENON_CHECK tenon_task *
tenon_task_async_sized(tenon_node *node,
                       const tenon_dest *supervisor,
                       const char *module,
                       const char *function,
                       tenon_term args,
                       const tenon_task_options *options,
                       size_t size,
                       tenon_error *err);

static inline tenon_task *tenon_task_async(tenon_node *node,
                                           const tenon_dest *supervisor,
                                           const char *module,
                                           const char *function,
                                           tenon_term args,
                                           const tenon_task_options *options,
                                           tenon_error *err)
{
    return tenon_task_async_sized(node, supervisor, module, function, args,
                                  options, sizeof *options, err);
}

/* Waits for the end of a task.
 *
 * wait_ms  0: do not wait; TENON_NO_TIMEOUT: its own timeout bounds it.
 * value    owned: tenon_value_free; set as for tenon_rpc, else NULL. May be
 *          NULL.
 * err      borrowed, may be NULL.
 *
 * Returns how it ended (above); TIMEOUT also when it has not: the task goes
 * on, and may be awaited again. Errors: NOT_ALLOWED (loop thread), INVAL.
 * Threads: any. Blocks: up to wait_ms. Source: Task.yield/2. */
TENON_API TENON_CHECK enum tenon_err tenon_task_await(tenon_task *task,
                                                      uint32_t wait_ms,
                                                      tenon_value **value,
                                                      tenon_error *err);

/* Ends a task that is still running: asks it to by exit(shutdown), kills it
 * after timeout_ms (0: at once), and waits until it is gone. A linked process
 * is unlinked first. Returns how the task ended, which may be with a result.
 * Errors and the rest as tenon_task_await.
 * Blocks: up to timeout_ms, and for the way there and back.
 * Source: Task.shutdown/2. */
TENON_API enum tenon_err tenon_task_shutdown(tenon_task *task,
                                             uint32_t timeout_ms,
                                             tenon_value **value,
                                             tenon_error *err);

/* task: taken; NULL is fine. The task itself goes on. Also after the node has
 * been stopped. Threads: any. */
TENON_API void tenon_task_release(tenon_task *task);

/* Starts a task that nobody awaits, and waits for the supervisor's answer.
 *
 * pid  set on success; may be NULL.
 * timeout_ms, err, errors  as tenon_server_call; LIMIT, NOTSUP as above.
 * Threads: any but the loop. Blocks: up to timeout_ms.
 * Source: Task.Supervisor.start_child/5. */
TENON_API TENON_CHECK enum tenon_err
tenon_task_start_child(tenon_node *node,
                       const tenon_dest *supervisor,
                       const char *module,
                       const char *function,
                       tenon_term args,
                       uint32_t timeout_ms,
                       tenon_pid *pid,
                       tenon_error *err);

#ifdef __cplusplus
}
#endif

#endif
