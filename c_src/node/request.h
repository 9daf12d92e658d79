/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of this node that wait for one answer: each has a reference, which
 * is monitor, alias and tag at once, a deadline, and exactly one end. */
#ifndef TN_NODE_REQUEST_H
#define TN_NODE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/rpc.h>
#include <uv.h>

#include "base/hash.h"
#include "dist/crowd.h"
#include "node/link.h"
#include "node/peer.h"
#include "node/timer.h"

enum tn_request_end {
    TN_END_REPLY,   /* term: the reply to a gen call */
    TN_END_DOWN,    /* term: the reason of the monitored or spawned process */
    TN_END_REFUSED, /* term: the atom of a spawn reply that is an error */
    TN_END_NODEDOWN,
    TN_END_TIMEOUT,
    TN_END_STOPPED,
};

/* Called exactly once, on the loop thread, without the lock; must not block. The request is gone. term: borrowed; the null view where none. */
typedef void (*tn_request_fn)(void *user,
                              enum tn_request_end end,
                              tenon_term term);

/* What waits besides has no place. */
#define TN_REQUEST_PLACES 64u

/* Owned by the table until its end; guarded by the node's lock. */
struct tn_request {
    UT_hash_handle hh; /* by key */
    struct tn_ref_key key;
    LIST_ENTRY(tn_request) of_peer;
    struct tn_peer *peer; /* NULL: local */
    unsigned place;       /* see tn_requests */
    struct tn_timer deadline;
    tenon_node *node;
    tn_request_fn fn;
    void *user;
    tenon_value *monitored; /* what a demonitor names, pid or atom; NULL while
                               it is not known */
    tenon_term ref;         /* lies in bytes */
    uint8_t bytes[];
};

struct tn_requests {
    struct tn_request *table; /* uthash */
    uint32_t count;
    /* The lowest places are given out first, so that who calls again and again
     * has always the same, and who calls at the same time others. */
    bool is_taken[TN_REQUEST_PLACES];
    struct tn_crowd crowd; /* of the places whose requests peers answer */
};

/* Calls a server: monitors it, sends {'$gen_call', {client, [alias | ref]},
 * request} (to a peer that may lack aliases the same: it answers to the pid).
 * The end is REPLY, DOWN (noproc or the server's reason; noconnection comes as
 * NODEDOWN), NODEDOWN, TIMEOUT or STOPPED.
 *
 * Errors: INVAL, LIMIT (TENON_PENDING_CALLS_MAX), QUEUE_FULL, NOMEM, STOPPED;
 * fn is then not called. Threads: any, without the lock. Blocks: no. */
TENON_CHECK enum tenon_err tn_request_server(tenon_node *node,
                                             const tenon_dest *to,
                                             tenon_term request,
                                             uint32_t timeout_ms,
                                             tn_request_fn fn,
                                             void *user,
                                             tenon_error *err);

/* The same by the IO protocol: monitors a group leader, sends {io_request,
 * client, ref, request}; REPLY is what came in {io_reply, ref, reply}. */
TENON_CHECK enum tenon_err tn_request_io(tenon_node *node,
                                         const tenon_dest *to,
                                         tenon_term request,
                                         uint32_t timeout_ms,
                                         tn_request_fn fn,
                                         void *user,
                                         tenon_error *err);

/* Spawns a function on another node with a monitor: SPAWN_REQUEST {module,
 * name, arity} with args. The end is DOWN with the exit reason of the process,
 * REFUSED, NODEDOWN, TIMEOUT (the monitor is then taken back) or STOPPED.
 * on: not the own node. Otherwise as above. */
TENON_CHECK enum tenon_err tn_request_spawn(tenon_node *node,
                                            const char *on,
                                            const char *module,
                                            const char *name,
                                            tenon_term args,
                                            uint32_t timeout_ms,
                                            tn_request_fn fn,
                                            void *user,
                                            tenon_error *err);

/* The same without monitor and without an answer. */
TENON_CHECK enum tenon_err tn_spawn_cast(tenon_node *node,
                                         const char *on,
                                         const char *module,
                                         const char *name,
                                         tenon_term args,
                                         tenon_error *err);

/* Loop thread, without the lock: what may end a request. True when the signal
 * was one of a request's: DOWN and SPAWN_REPLY by ref, SEND_ALIAS by ref. */
bool tn_requests_on_signal(tenon_node *node,
                           tn_conn *conn,
                           const struct tn_signal *signal);

/* A message that came to the client process: {tag, reply}, {io_reply, ref,
 * reply} or {'DOWN', ...} of
 * a local monitor. Anything else, and what comes late, is dropped. Threads:
 * any, without the lock.
 *
 * origin  of the peer that sent it: a limited one answers only what it was
 *         asked. */
void tn_requests_on_message(tenon_node *node,
                            tn_access *origin,
                            tenon_term message);

/* A peer is lost: takes at most `max` of its requests out of the table, into
 * `ended`, for tn_requests_end, which is called without the lock. False: none is
 * left. */
bool tn_requests_peer_lost_locked(struct tn_peer *peer,
                                  unsigned max,
                                  struct tn_request_list *ended);
void tn_requests_end(struct tn_request_list *ended,
                     enum tn_request_end end,
                     tenon_term term);

/* A spawn request waited for the handshake with a peer that cannot spawn:
 * takes it out of the table, likewise. */
void tn_requests_refused_locked(tenon_node *node,
                                const struct tn_signal *signal,
                                struct tn_request_list *ended);

/* Inside a tn_request_fn: the memory in which its term lies, with one reference
 * more, so that a large one is read and copied on another thread than the loop.
 * NULL: the term is small, or does not lie in the signal that the loop handles.
 * owned: tn_block_release. Threads: any. */
tn_block *tn_request_hold(tenon_node *node, tenon_term term);

/* The node stops, and none is made any more: ends all with STOPPED, over as many
 * turns of the loop as it takes. Threads: any, without the lock. Blocks: until
 * all have ended, unless it is called on the loop thread. */
void tn_requests_stop(tenon_node *node);

/* A blocking wait for the end of one request, on the waiter's stack. */
struct tn_wait {
    tenon_node *node;
    /* Posted when what follows is set. No condition with the node's lock: all
     * that are woken at a time would run into it. */
    uv_sem_t ended;
    enum tn_request_end end;
    tenon_value *value; /* NULL where none */
};

/* Errors: NOT_ALLOWED on the loop thread, SYSTEM. */
TENON_CHECK enum tenon_err
tn_wait_init(struct tn_wait *wait, tenon_node *node, tenon_error *err);
void tn_wait_fini(struct tn_wait *wait);
/* The waiter may go on, and be gone. value: the waiter's from now on; NULL: none.
 * Threads: any. Blocks: no. */
void tn_wait_end(struct tn_wait *wait,
                 enum tn_request_end end,
                 tenon_value *value);
/* Blocks until the end, which a request's deadline bounds. */
void tn_wait_for(struct tn_wait *wait);

#endif
