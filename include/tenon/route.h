/* SPDX-License-Identifier: Apache-2.0 */
/* Routing by key over nodes of C and of Elixir, as the KV.Router of Elixir's
 * guide "Distributed tasks and tags" does it: a table says which node has the
 * keys that begin with a byte, and a task on that node does the work. */
#ifndef TENON_ROUTE_H
#define TENON_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/rpc.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most entries of one table. */
#define TENON_ROUTE_ENTRIES_MAX 256

/* A table of routes on one node. */
typedef struct tenon_routes tenon_routes;

/* The keys whose first byte is from first to last are at node. */
typedef struct tenon_route_entry {
    uint8_t first;
    uint8_t last; /* included, as in ?a..?m */
    const char *node;
} tenon_route_entry;

typedef struct tenon_routes_config {
    /* "Elixir.KV.Router": the module whose route/4 this node then has too. */
    const char *module;
    /* "Elixir.KV.RouterTasks": the task supervisor that each node of the table
     * has; this one's is started by tenon_task_supervisor_start. */
    const char *tasks;
    /* The same on every node; the first entry that fits counts. Copied. */
    const tenon_route_entry *entries;
    size_t entry_count;
    /* Longest time that route/4 waits for another node, which is Task.await's;
     * 0: TENON_CALL_TIMEOUT_MS. */
    uint32_t timeout_ms;
    /* borrowed until the start returns, may be NULL. */
    tenon_error *err;
} tenon_routes_config;

/* Registers module.route(key, module, function, args), for peers, tasks and
 * this program: where the table has this node, the function runs here (it must
 * be registered, by tenon_function); else a task of `tasks` on the other node
 * runs route/4 there, linked with the process that waits. An empty key raises
 * badarg, one that fits no entry raises the guide's RuntimeError, "could not
 * find entry for ... in table ...".
 *
 * Borrowed: it lives as long as the node. NULL on failure: INVAL, EXISTS (the
 * module has a table), LIMIT, NOMEM. Threads: any. Blocks: no. */
TENON_API TENON_CHECK tenon_routes *tenon_routes_start_sized(
    tenon_node *node, const tenon_routes_config *config, size_t size);

static inline tenon_routes *
tenon_routes_start(tenon_node *node, const tenon_routes_config *config)
{
    return tenon_routes_start_sized(node, config, sizeof *config);
}

/* Runs a function where the table has the key, and waits.
 *
 * key, key_len  borrowed; any bytes.
 * The rest, and the errors, as tenon_rpc and tenon_task_async; NOT_FOUND when
 * no entry fits. Threads: any but the loop. Blocks: up to timeout_ms. */
TENON_API TENON_CHECK enum tenon_err tenon_route(tenon_routes *routes,
                                                 const void *key,
                                                 size_t key_len,
                                                 const char *module,
                                                 const char *function,
                                                 tenon_term args,
                                                 uint32_t timeout_ms,
                                                 tenon_value **value,
                                                 tenon_error *err);
/* The same, calling back. With an error fn is not called.
 * Threads: any. Blocks: no. */
TENON_API TENON_CHECK enum tenon_err tenon_route_async(tenon_routes *routes,
                                                       const void *key,
                                                       size_t key_len,
                                                       const char *module,
                                                       const char *function,
                                                       tenon_term args,
                                                       uint32_t timeout_ms,
                                                       tenon_result_fn fn,
                                                       void *user);

#ifdef __cplusplus
}
#endif

#endif
