/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors: processes that start others, and start them again when they
 * end. They answer the calls of Elixir's Supervisor and DynamicSupervisor, and
 * may themselves be the child of a supervisor, of C or of a BEAM node. */
#ifndef TENON_SUPERVISOR_H
#define TENON_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/process.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most children of one supervisor, and most restarts that it can be told to
 * allow. */
#define TENON_CHILDREN_MAX 10000
#define TENON_RESTARTS_MAX 1000

/* For max_restarts: the first end that asks for a restart ends the
 * supervisor. */
#define TENON_NO_RESTARTS UINT32_MAX

/* Whom an end that asks for a restart takes along. */
enum tenon_strategy {
    TENON_ONE_FOR_ONE,
    TENON_ONE_FOR_ALL,
    TENON_REST_FOR_ONE,
    TENON_DYNAMIC, /* one for one; children have no ids: DynamicSupervisor */
};

typedef struct tenon_supervisor_config {
    const char *name; /* registered name; NULL: none. Copied. */
    enum tenon_strategy strategy;
    /* More restarts than that in that many seconds end the supervisor, with
     * reason :shutdown. 0: 3 restarts, 5 seconds. */
    uint32_t max_restarts;
    uint32_t max_seconds;
    /* Of a dynamic one; 0: TENON_CHILDREN_MAX. */
    uint32_t max_children;
    /* As for a server. borrowed until the start returns. */
    const tenon_pid *parent;
    /* borrowed until the start returns, may be NULL. */
    tenon_error *err;
} tenon_supervisor_config;

/* Starts a supervisor without children. When it ends because its parent does or
 * by tenon_server_stop (Supervisor.stop), it first ends its children, the last
 * one first; a dynamic one all at once. When it is killed they end by their
 * links.
 *
 * config  borrowed.
 * size    sizeof the caller's tenon_supervisor_config.
 * owned: tenon_process_release, which does not end it. NULL on failure: INVAL,
 * EXISTS (name), LIMIT, NOMEM.
 * Threads: any. Blocks: no. Source: supervisor of the OTP documents. */
TENON_API TENON_CHECK tenon_process *tenon_supervisor_start_sized(
    tenon_node *node, const tenon_supervisor_config *config, size_t size);

static inline tenon_process *
tenon_supervisor_start(tenon_node *node, const tenon_supervisor_config *config)
{
    return tenon_supervisor_start_sized(node, config, sizeof *config);
}

/* When a child that has ended is started again. */
enum tenon_restart {
    TENON_PERMANENT, /* always */
    TENON_TRANSIENT, /* unless it ended with normal, shutdown, {shutdown, _} */
    TENON_TEMPORARY, /* never: it is forgotten */
};

/* For shutdown_ms: the child is killed at once (brutal_kill). */
#define TENON_SHUTDOWN_KILL (UINT32_MAX - 1)

/* A child is started by a registered function (tenon_function), which runs in
 * the supervisor, on a worker, and answers as start_link does: {:ok, pid},
 * {:ok, pid, info}, :ignore or {:error, reason}. The supervisor's pid is the
 * call's tenon_call_from: it belongs into `parent` of the server that is
 * started. (For a function that a BEAM supervisor runs by :erpc.call that is
 * the pid of that supervisor, so one start function serves both.) */
typedef struct tenon_child {
    const char *id; /* its atom; NULL under a dynamic supervisor */
    const char *module;
    const char *function;
    tenon_term args; /* a list; the null view: [] */
    enum tenon_restart restart;
    /* From the exit signal :shutdown to the kill; 0: 5000, of a supervisor
     * TENON_NO_TIMEOUT. */
    uint32_t shutdown_ms;
    bool is_supervisor;
} tenon_child;

/* Starts a child under a supervisor, and waits until it has started.
 *
 * supervisor  borrowed; of tenon_supervisor_start.
 * child       borrowed.
 * size        sizeof the caller's tenon_child.
 * timeout_ms  0: TENON_NO_TIMEOUT.
 * pid         set on success, may be NULL; zeroed when the function ignored.
 * err         borrowed, may be NULL; holds the reason of a start that failed.
 * Errors: INVAL, EXISTS (the id), LIMIT (children), REMOTE_ERROR (the start
 * function failed), NOT_FOUND (it is not registered), TIMEOUT (it may start
 * later), NOPROC, REMOTE_EXIT (the supervisor ended), NOMEM, NOT_ALLOWED (loop
 * thread).
 * Threads: any but a handler of the supervisor. Blocks: up to timeout_ms.
 * Source: Supervisor.start_child/2. */
TENON_API TENON_CHECK enum tenon_err
tenon_supervisor_add_sized(tenon_process *supervisor,
                           const tenon_child *child,
                           size_t size,
                           uint32_t timeout_ms,
                           tenon_pid *pid,
                           tenon_error *err);

static inline enum tenon_err tenon_supervisor_add(tenon_process *supervisor,
                                                  const tenon_child *child,
                                                  uint32_t timeout_ms,
                                                  tenon_pid *pid,
                                                  tenon_error *err)
{
    return tenon_supervisor_add_sized(supervisor, child, sizeof *child,
                                      timeout_ms, pid, err);
}

#ifdef __cplusplus
}
#endif

#endif
