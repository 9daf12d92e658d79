/* SPDX-License-Identifier: Apache-2.0 */
/* Global names and locks, as OTP's `global` has them: a visible node is a
 * member of the mesh of all visible nodes, which share one set of names.
 *
 * A name is any term. A process that has one is called and sent to by its pid
 * (tenon_global_whereis); a BEAM node finds it by :global.whereis_name/1 and
 * calls it as GenServer.call({:global, name}, request).
 *
 * All of these need a node that is neither hidden nor started with no_global:
 * NOTSUP otherwise. */
#ifndef TENON_GLOBAL_H
#define TENON_GLOBAL_H

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

/* Most names of the whole mesh that this node keeps. What others register
 * above that is not found here, and is logged. */
#define TENON_GLOBAL_NAMES_MAX 262144
/* Most locks that are set on this node at a time; above that nobody gets
 * one. */
#define TENON_GLOBAL_LOCKS_MAX 16384
/* Longest name, with its method, and longest id of a lock, encoded; what is
 * longer is not registered, and not locked. */
#define TENON_GLOBAL_KEY_MAX_BYTES 65536
/* 0 as timeout_ms below. */
#define TENON_GLOBAL_TIMEOUT_MS 15000

/* What happens when two partitions of a cluster join and both have the name
 * for a process of theirs. Of two processes that on the smaller node name
 * stays. */
enum tenon_global_resolve {
    TENON_GLOBAL_RANDOM_EXIT,   /* the other is killed; OTP's default */
    TENON_GLOBAL_RANDOM_NOTIFY, /* the other gets {:global_name_conflict,
                                   name} */
    TENON_GLOBAL_NOTIFY_ALL,    /* both lose the name, and get
                                   {:global_name_conflict, name, other_pid} */
};

/* Registers a name for a process, of this node or another, on all nodes.
 * The name goes when the process ends or its node is lost.
 *
 * name        borrowed; any term.
 * pid         borrowed.
 * timeout_ms  0: TENON_GLOBAL_TIMEOUT_MS. Every other change of names in the
 *             cluster has to wait its turn.
 * err         borrowed, may be NULL; filled on failure only.
 *
 * Errors: INVAL, NOTSUP, EXISTS (the name is taken: `no`), TIMEOUT (with some
 * nodes told already it may still come about), LIMIT (names, or changes that
 * wait), NOMEM, STOPPED, NOT_ALLOWED (loop thread), TERM_DEEP (name: at most 496
 * levels).
 * Threads: any. Blocks: up to timeout_ms; not on the loop.
 * Source: global:register_name/3. */
TENON_API TENON_CHECK enum tenon_err
tenon_global_register(tenon_node *node,
                      tenon_term name,
                      const tenon_pid *pid,
                      enum tenon_global_resolve resolve,
                      uint32_t timeout_ms,
                      tenon_error *err);
/* The same, taking the name from another process if need be.
 * Source: global:re_register_name/3. */
TENON_API TENON_CHECK enum tenon_err
tenon_global_reregister(tenon_node *node,
                        tenon_term name,
                        const tenon_pid *pid,
                        enum tenon_global_resolve resolve,
                        uint32_t timeout_ms,
                        tenon_error *err);
/* Takes a name away, whoever has it; fine when nobody has.
 * Source: global:unregister_name/1. */
TENON_API TENON_CHECK enum tenon_err tenon_global_unregister(
    tenon_node *node, tenon_term name, uint32_t timeout_ms, tenon_error *err);

/* The process that has a name.
 *
 * name  borrowed.
 * pid   borrowed; set on success.
 * Errors: NOT_FOUND, INVAL, NOTSUP, NOMEM. Threads: any. Blocks: no.
 * Source: global:whereis_name/1. */
TENON_API TENON_CHECK enum tenon_err
tenon_global_whereis(tenon_node *node, tenon_term name, tenon_pid *pid);

/* Appends the list of all names.
 * Errors: NOTSUP; those of the builder. Threads: any. Blocks: no.
 * Source: global:registered_names/0. */
TENON_API TENON_CHECK enum tenon_err tenon_global_names(tenon_node *node,
                                                        tenon_builder *out);

/* Waits until this node and all that it is connected with have the same names.
 * Errors: TIMEOUT, NOTSUP, LIMIT, NOMEM, STOPPED, NOT_ALLOWED.
 * Threads: any. Blocks: up to timeout_ms (0: TENON_GLOBAL_TIMEOUT_MS); not on
 * the loop. Source: global:sync/0. */
TENON_API TENON_CHECK enum tenon_err
tenon_global_sync(tenon_node *node, uint32_t timeout_ms, tenon_error *err);

/* A lock: a resource, and on whose behalf. Zero means default. Terms and
 * strings are borrowed. */
typedef struct tenon_global_lock {
    tenon_term resource;
    /* Who has set it with one term can set it again with the same, anybody
     * else not. The null view: this node, all of its threads alike. */
    tenon_term requester;
    /* On which nodes; NULL: this one and all visible ones that it is
     * connected with. */
    const char *const *nodes;
    size_t node_count;
    /* How long to go on trying; 0: TENON_GLOBAL_TIMEOUT_MS. */
    uint32_t timeout_ms;
} tenon_global_lock;

/* Sets a lock on all its nodes, or on none. It is held by this node until it is
 * deleted, with the same resource, requester and nodes, or the node is lost.
 *
 * Errors: TIMEOUT (others have it), INVAL, NOTSUP, NOMEM, STOPPED,
 * NOT_ALLOWED.
 * Threads: any. Blocks: up to timeout_ms; not on the loop.
 * Source: global:set_lock/3. */
TENON_API TENON_CHECK enum tenon_err
tenon_global_set_lock_sized(tenon_node *node,
                            const tenon_global_lock *lock,
                            size_t size,
                            tenon_error *err);
static inline enum tenon_err tenon_global_set_lock(
    tenon_node *node, const tenon_global_lock *lock, tenon_error *err)
{
    return tenon_global_set_lock_sized(node, lock, sizeof *lock, err);
}

/* Deletes it; fine when it is not set.
 * Errors: TIMEOUT (a node has not answered: it deletes it when it gets to
 * that), INVAL, NOTSUP, NOMEM, STOPPED, NOT_ALLOWED.
 * Threads: any. Blocks: until all nodes have done it, up to timeout_ms; not on
 * the loop. Source: global:del_lock/2. */
TENON_API enum tenon_err
tenon_global_del_lock_sized(tenon_node *node,
                            const tenon_global_lock *lock,
                            size_t size,
                            tenon_error *err);
static inline enum tenon_err tenon_global_del_lock(
    tenon_node *node, const tenon_global_lock *lock, tenon_error *err)
{
    return tenon_global_del_lock_sized(node, lock, sizeof *lock, err);
}

/* Calls fn(user) on the calling thread while it holds the lock. Without a
 * requester no other call has the lock meanwhile, on this node either.
 * Errors and the rest as tenon_global_set_lock, and as long as fn takes.
 * Source: global:trans/4. */
TENON_API TENON_CHECK enum tenon_err
tenon_global_trans_sized(tenon_node *node,
                         const tenon_global_lock *lock,
                         size_t size,
                         void (*fn)(void *user),
                         void *user,
                         tenon_error *err);
static inline enum tenon_err tenon_global_trans(tenon_node *node,
                                                const tenon_global_lock *lock,
                                                void (*fn)(void *user),
                                                void *user,
                                                tenon_error *err)
{
    return tenon_global_trans_sized(node, lock, sizeof *lock, fn, user, err);
}

#ifdef __cplusplus
}
#endif

#endif
