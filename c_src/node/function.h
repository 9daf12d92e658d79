/* SPDX-License-Identifier: Apache-2.0 */
/* Registered functions, and processes that run one of them once: what spawn
 * requests start. Knows plain spawns only; rpc adds its own entries. */
#ifndef TN_NODE_FUNCTION_H
#define TN_NODE_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/process.h>

#include "base/hash.h"
#include "dist/conn.h"
#include "node/access.h"
#include "node/call.h"

#define TN_FUNCTIONS_MAX 65536u

/* What may be run. */
struct tn_target {
    tenon_function_fn fn; /* NULL: undefined */
    void *user;
    unsigned flags;
    /* The function asks by itself what the call's origin may use, of rules that
     * are not about functions. */
    bool asks;
};

/* One run: made by an entry from the arguments of a spawn. Views are borrowed
 * from the message. */
struct tn_run {
    struct tn_target target;
    tenon_term module; /* atoms, and the argument list: of the target */
    tenon_term name;
    tenon_term args;
    tenon_term tag;          /* for ops: the result reference of erpc */
    tenon_term group_leader; /* a pid, or the null view: the node's own */
    const struct tn_call_ops *ops;
    tn_access *origin;   /* what the peer may use that has it run */
    tn_account *account; /* what that peer makes this node keep */
};

/* Whether it may run on the loop thread. An undefined function only fails, which
 * is short; with large arguments nothing is. */
bool tn_run_is_short(const struct tn_run *run);

/* Finds the function module:name/arity. `fn` NULL: there is none, also not by
 * a fallback. For a peer that may not run it, whether there is one or not, it
 * raises not_allowed; that is counted and logged.
 *
 * origin  what the peer may use for which it is run; NULL: everything.
 * Threads: any, without the lock. */
struct tn_target tn_function_find(tenon_node *node,
                                  tn_access *origin,
                                  tenon_term module,
                                  tenon_term name,
                                  size_t arity);

/* Looks for functions that are registered nowhere (a router's services, the
 * forwarded _invoke of any module). Called in the order of adding until one
 * sets target->fn and returns true. Any thread, without the lock. */
typedef bool (*tn_function_fallback_fn)(void *user,
                                        tenon_term module,
                                        tenon_term name,
                                        size_t arity,
                                        struct tn_target *target);
TENON_CHECK enum tenon_err tn_function_add_fallback(tenon_node *node,
                                                    tn_function_fallback_fn fn,
                                                    void *user);

/* Makes the run for a spawn of module:name/arity with special meaning (erpc's
 * execute_call). False: the arguments do not fit; it is undefined then.
 * run    module, name and args are those of the spawn; changed to the target.
 * Loop thread or any, without the lock. */
typedef bool (*tn_entry_fn)(tenon_node *node, struct tn_run *run);
TENON_CHECK enum tenon_err tn_function_add_entry(tenon_node *node,
                                                 const char *module,
                                                 const char *name,
                                                 unsigned arity,
                                                 tn_entry_fn entry);

/* The ops of a plain spawn: a return ends the process with `normal`, an error
 * with {reason, stack}, a throw with {{nocatch, value}, stack}, an exit with
 * its reason. */
extern const struct tn_call_ops tn_spawn_ops;
/* The `unanswered` of tn_spawn_ops, for ops whose answer is also an exit
 * reason. */
void tn_spawn_unanswered(tenon_call *call);

/* Handles one SPAWN_REQUEST: starts the process, replies, runs. Loop thread. */
void tn_spawn_request(tenon_node *node,
                      tn_conn *conn,
                      const struct tn_signal *signal);

/* Starts a process that runs `run` once, without a request (rex's calls). The
 * terms of run are copied, its origin is kept.
 *
 * extra  handed to the call as `extra`; taken on success.
 * from   whom the answer is for, or the null view.
 * Errors: LIMIT, NOMEM. Threads: any, without the lock. */
TENON_CHECK enum tenon_err tn_spawn_local(tenon_node *node,
                                          const struct tn_run *run,
                                          tenon_term from,
                                          void *extra);

/* Appends the stack that an error in this call has: [{module, name, arguments,
 * []}] for an undefined function, with the arity in place of the arguments for
 * one that failed. */
void tn_build_stack(tenon_builder *out, const tenon_call *call, bool undefined);

/* What a process was spawned to run; false for any other. With the lock held;
 * the terms live as long as the lock. */
struct tn_mfa {
    tenon_term module;
    tenon_term name;
    size_t arity;
};
bool tn_spawned_mfa_locked(const tenon_process *process, struct tn_mfa *mfa);

/* Ends the process of a call with a reason: the last act of an answer. */
enum tenon_err tn_spawn_end(tenon_call *call, tenon_builder *reason);

/* The special meaning of a spawn of module:name/arity; NULL: none. Threads:
 * any, without the lock. */
tn_entry_fn tn_function_find_entry(tenon_node *node,
                                   tenon_term module,
                                   tenon_term name,
                                   size_t arity);

/* One registered function or entry. */
struct tn_function {
    UT_hash_handle hh;
    struct tn_target target;
    tn_entry_fn entry; /* NULL: a plain function */
    size_t key_len;
    char key[]; /* "module\0name\0arity" */
};

struct tn_fallback {
    tn_function_fallback_fn fn;
    void *user;
};
#define TN_FALLBACKS_MAX 8u

/* Guarded by the node's lock. */
struct tn_functions {
    struct tn_function *table;
    struct tn_fallback fallbacks[TN_FALLBACKS_MAX];
    size_t fallback_count;
};
void tn_functions_fini(struct tn_functions *functions);

#endif
