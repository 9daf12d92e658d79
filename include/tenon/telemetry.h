/* SPDX-License-Identifier: Apache-2.0 */
/* Telemetry: the events of X3m.System as hooks that C attaches, and what the
 * node counts, as one map that C, `tenon services --metrics` and BEAM nodes
 * (:rpc.call(node, :tenon, :metrics, [])) read. */
#ifndef TENON_TELEMETRY_H
#define TENON_TELEMETRY_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- events ----------------------------------------------------------- *
 * X3m.System executes them as [:x3m, :system, name]:
 *
 *   name                       measurements       metadata
 *   discovering_service        start, mono_start  message, caller_node
 *   service_not_found          time, duration     message, caller_node
 *   service_found              time, duration     message, caller_node,
 *                                                 service_node
 *   invoking_service           start, mono_start  likewise
 *   service_responded          time, duration     likewise
 *   checking_if_service_call_is_authorized
 *                              start, mono_start  message, caller_node
 *   service_request_received                      service, visibility,
 *                                                 origin_node
 *   executing_service          start, mono_start  node, service
 *   execution_finished         time, duration     message
 *   register_local_services                       public, private
 *   node_joined, node_left                        node
 *   new_aggr_spawned                              id
 *   handle_msg                                    aggregate, message
 *   aggregate_commit_timeout   timeout_after      aggregate, message
 *
 * The first six are the caller's; found, invoking and responded come once for
 * each provider that is tried; service_node is the atom local or the node. The
 * last three are those of aggregates: a handler that is one executes them by
 * tenon_telemetry_execute. start and time are %DateTime{}s in UTC; mono_start
 * and duration are nanoseconds of the monotonic clock. A handler that keeps its
 * call and answers later has no execution_finished, as one that gives :noreply. */

/* Most hooks of one node. */
#define TENON_TELEMETRY_HOOKS_MAX 64

/* Borrowed until the hook returns. */
typedef struct tenon_telemetry_event {
    tenon_node *node;
    const char *name;        /* "service_found" */
    tenon_term measurements; /* a map with the keys above, atoms */
    tenon_term metadata;     /* likewise */
} tenon_telemetry_event;

/* Called where the event happens and before it goes on, on a worker or on the
 * loop thread: keep it short, do not block. May call the node, but not detach a
 * hook. */
typedef void (*tenon_telemetry_fn)(void *user,
                                   const tenon_telemetry_event *event);

/* Calls fn for each such event from now on. While no hook is attached to an
 * event, it costs one load; nothing is built.
 *
 * id     copied; names the hook, to detach it.
 * event  one of the names above; NULL: all of them.
 * Errors: INVAL (no such event), EXISTS (the id), LIMIT, NOMEM.
 * Threads: any. Blocks: no. Source: :telemetry.attach/4. */
TENON_API TENON_CHECK enum tenon_err
tenon_telemetry_attach(tenon_node *node,
                       const char *id,
                       const char *event,
                       tenon_telemetry_fn fn,
                       void *user);

/* Ends that: after the return the hook is not called any more.
 * Errors: INVAL, NOT_FOUND, NOT_ALLOWED (loop thread, or from a hook).
 * Threads: any but the loop. Blocks: while the hook is running.
 * Source: :telemetry.detach/1. */
TENON_API enum tenon_err tenon_telemetry_detach(tenon_node *node,
                                                const char *id);

/* Executes one of the events above.
 *
 * measurements, metadata  borrowed; maps, the null view: an empty one.
 * Errors: INVAL. Threads: any, without locks that a hook takes. Blocks: as the
 * hooks do. Source: :telemetry.execute/3. */
TENON_API enum tenon_err tenon_telemetry_execute(tenon_node *node,
                                                 const char *event,
                                                 tenon_term measurements,
                                                 tenon_term metadata);

/* ---- metrics ---------------------------------------------------------- */

/* Appends what the node has counted since its start:
 *
 *   %{node: %{bytes_in: n, ...},         the fields of tenon_node_stats
 *     loop_turns: histogram,             CPU time of the loop thread's turns
 *     services: %{service => %{          the registered ones of this node
 *       calls: n,      that came, also forwarded ones
 *       refused: n,    by authorize
 *       forwarded: n,  to the node that choose_node named
 *       failed: n,     raised, or the reply could not be sent
 *       latency: histogram}},            from the handler's start to its reply
 *     dispatches: %{service => %{        what this node has called
 *       calls: n,
 *       unavailable: n, timed_out: n, failed: n, refused: n,   without a reply,
 *                      refused: by all providers
 *       latency: histogram}}}            from the dispatch to its reply
 *
 * A histogram is %{count: n, sum_us: n, max_us: n, buckets: [{bound_us, n}]}
 * with bounds of 1, 2, 5, 10, ... 10000000 and :infinity; a bucket counts what
 * took longer than the bound before it and no longer than its own. services and
 * dispatches are there once the node uses X3m. Dispatches of the first
 * TENON_SERVICES_MAX service names are counted.
 *
 * Errors: INVAL, and those of the builder. Threads: any. Blocks: no. */
TENON_API TENON_CHECK enum tenon_err tenon_metrics(tenon_node *node,
                                                   tenon_builder *out);

#ifdef __cplusplus
}
#endif

#endif
