/* SPDX-License-Identifier: Apache-2.0 */
/* Calls from C into the cluster: servers, functions, pings. Each has a
 * blocking form and a form that calls back.
 *
 * Failures are told apart by their code; where the other side gave a reason,
 * it comes as a term too. */
#ifndef TENON_RPC_H
#define TENON_RPC_H

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

/* 0 as timeout_ms below. */
#define TENON_CALL_TIMEOUT_MS 5000
/* Most calls of one node that wait for an answer. */
#define TENON_PENDING_CALLS_MAX 65536

/* The end of a call.
 *
 * code   TENON_OK, or
 *        TIMEOUT        no answer in time (a late one is dropped)
 *        NODEDOWN       not reachable, or lost while waiting
 *        NOPROC         no such process (servers)
 *        REMOTE_UNDEF   no such function; value is {:undef, stack}
 *        REMOTE_ERROR   raised; value is {reason, stack}
 *        REMOTE_EXIT    exited, or the server died; value is the reason
 *        REMOTE_THROW   threw; value is what was thrown
 *        NOTSUP         the peer refused the request; value is its atom
 *        BADTERM, STOPPED, NOMEM
 * value  the answer, or what the table says; the null view otherwise.
 *        Borrowed until the callback returns. */
typedef struct tenon_result {
    enum tenon_err code;
    tenon_term value;
} tenon_result;

/* Called once, on a worker thread; may block. result: borrowed. */
typedef void (*tenon_result_fn)(void *user, const tenon_result *result);

/* Calls a server and waits, as GenServer.call/3.
 *
 * to          borrowed.
 * request     copied before the return or the wait.
 * timeout_ms  0: TENON_CALL_TIMEOUT_MS; TENON_NO_TIMEOUT.
 * value       owned: tenon_value_free; set on success, and to the value of the
 *             table above with the REMOTE_ codes and NOTSUP, else NULL.
 * err         borrowed, may be NULL.
 *
 * Errors: the table, INVAL, LIMIT, QUEUE_FULL, NOT_ALLOWED (loop thread).
 * Threads: any but the loop. Blocks: up to timeout_ms.
 * Source: gen_server:call/3, in the form that OTP 24 and later use (alias
 * tags), accepted by OTP 23 too. */
TENON_API TENON_CHECK enum tenon_err tenon_server_call(tenon_node *node,
                                                       const tenon_dest *to,
                                                       tenon_term request,
                                                       uint32_t timeout_ms,
                                                       tenon_value **value,
                                                       tenon_error *err);
/* The same, calling back. Errors: INVAL, LIMIT, QUEUE_FULL, NOMEM, STOPPED;
 * with an error fn is not called. Threads: any. Blocks: no. */
TENON_API TENON_CHECK enum tenon_err
tenon_server_call_async(tenon_node *node,
                        const tenon_dest *to,
                        tenon_term request,
                        uint32_t timeout_ms,
                        tenon_result_fn fn,
                        void *user);

/* Casts to a server, as GenServer.cast/2. Errors as tenon_send. */
TENON_API enum tenon_err tenon_server_cast(tenon_node *node,
                                           const tenon_dest *to,
                                           tenon_term request,
                                           tenon_error *err);

/* The other behaviours of OTP and Elixir take the same two, and tenon_send:
 *
 *   Agent         call {:get, mfa}, {:update, mfa}, {:get_and_update, mfa},
 *                 cast {:cast, mfa}, where mfa is {Map, :put, [key, value]}:
 *                 the state comes before the arguments
 *   DynamicSupervisor
 *                 call {:start_child, {{mod, :start_link, args}, :permanent,
 *                 5000, :worker, [mod]}}, {:terminate_child, pid},
 *                 :count_children, :which_children
 *   Supervisor    call {:start_child, %{id: id, start: mfa}}, {:delete_child,
 *                 id}, {:restart_child, id}, {:terminate_child, id}
 *   :gen_statem   call and cast
 *   :gen_event    send {:notify, event}; call {:sync_notify, event}, {:call,
 *                 handler, query}, :which_handlers
 *   Registry      knows its own node only: tenon_rpc there of
 *                 "Elixir.Registry", "lookup", [name, key]
 */

/* Asks a server to end and waits until it has, as GenServer.stop/3 and
 * Supervisor.stop/3.
 *
 * to          borrowed.
 * reason      copied.
 * timeout_ms  0: TENON_NO_TIMEOUT.
 * err         borrowed, may be NULL.
 *
 * Errors: NOPROC, REMOTE_EXIT (it ended with another reason), NODEDOWN, TIMEOUT
 * (it may end later), INVAL, LIMIT, QUEUE_FULL, NOMEM, STOPPED, NOT_ALLOWED
 * (loop thread).
 * Threads: any but the loop and the server's own. Blocks: up to timeout_ms.
 * Source: gen_server:stop/3. */
TENON_API TENON_CHECK enum tenon_err tenon_server_stop(tenon_node *node,
                                                       const tenon_dest *to,
                                                       tenon_term reason,
                                                       uint32_t timeout_ms,
                                                       tenon_error *err);

/* Runs a function on a node and waits, as :erpc.call/5.
 *
 * on                borrowed; a node name; NULL or the own name: run here.
 * module, function  borrowed; atoms, "Elixir.Enum" or "lists".
 * args              copied; a proper list.
 * The rest, and the errors, as tenon_server_call.
 * Source: erpc:call/5; a throw, an exit and an error are told apart as there. */
TENON_API TENON_CHECK enum tenon_err tenon_rpc(tenon_node *node,
                                               const char *on,
                                               const char *module,
                                               const char *function,
                                               tenon_term args,
                                               uint32_t timeout_ms,
                                               tenon_value **value,
                                               tenon_error *err);
TENON_API TENON_CHECK enum tenon_err tenon_rpc_async(tenon_node *node,
                                                     const char *on,
                                                     const char *module,
                                                     const char *function,
                                                     tenon_term args,
                                                     uint32_t timeout_ms,
                                                     tenon_result_fn fn,
                                                     void *user);
/* Runs a function without an answer, as :erpc.cast/4. Errors as tenon_send. */
TENON_API enum tenon_err tenon_rpc_cast(tenon_node *node,
                                        const char *on,
                                        const char *module,
                                        const char *function,
                                        tenon_term args,
                                        tenon_error *err);

/* Asks a node's net_kernel, connecting when needed, as Node.ping/1: TENON_OK
 * is pong. Errors: NODEDOWN, TIMEOUT, BADTERM, NOT_ALLOWED, INVAL. */
TENON_API TENON_CHECK enum tenon_err tenon_ping(tenon_node *node,
                                                const char *name,
                                                uint32_t timeout_ms,
                                                tenon_error *err);

#ifdef __cplusplus
}
#endif

#endif
