/* SPDX-License-Identifier: Apache-2.0 */
/* The other nodes: which are connected, being connected or lost; automatic
 * connects; and sending signals to processes of any node. */
#ifndef TN_NODE_PEER_H
#define TN_NODE_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tenon/node.h>

#include "base/hash.h"
#include "dist/conn.h"
#include "node/pending.h"
#include "node/process.h"
#include "node/timer.h"

struct tn_request;
LIST_HEAD(tn_request_list, tn_request);

enum tn_peer_state {
    TN_PEER_WANTED,  /* connect as soon as the loop gets to it */
    TN_PEER_CALLING, /* our own attempt is under way */
    TN_PEER_AWAITED, /* the peer's attempt has precedence over ours */
    TN_PEER_TAKING,  /* the peer's attempt has proved the cookie, and is about
                        to be up */
    TN_PEER_UP,
    TN_PEER_LOST, /* on its way out: nothing can be sent */
};

/* A node with a connection, or one under way; gone when that is lost. Guarded
 * by the node's lock. */
struct tn_peer {
    UT_hash_handle hh; /* by name */
    enum tn_peer_state state;
    tn_conn *conn; /* kept; NULL while wanted or awaited */
    tn_conn *next; /* kept: an attempt of the peer's that has proved the
                      cookie, and comes up when `conn` has ended: the one that
                      a restarted peer had, or our own attempt */
    bool visible;
    tn_access *access;         /* kept; changed by the loop thread only */
    struct tn_timer deadline;  /* of AWAITED */
    struct tn_pending pending; /* until the peer is up, and messages since its
                                  connection closes */
    STAILQ_ENTRY(tn_peer) lost_next;
    bool was_up; /* of one that is lost */
    struct tn_link_list links;
    struct tn_monitor_list monitors; /* of both directions */
    struct tn_request_list requests;
    char name[TENON_NODE_NAME_MAX_BYTES + 1];
};

/* What the peer makes this node keep; NULL before it is up. With the lock. */
static inline tn_account *tn_peer_account(const struct tn_peer *peer)
{
    return peer->conn == NULL ? NULL : tn_conn_account(peer->conn);
}

struct tn_peer_watch {
    SLIST_ENTRY(tn_peer_watch) next;
    tenon_peer_fn fn;
    void *user;
};

/* Guarded by the node's lock. */
struct tn_peers {
    struct tn_peer *table;
    STAILQ_HEAD(, tn_peer) lost;         /* out of the table, see node/lost.h */
    bool wanted;                         /* some are in state WANTED */
    SLIST_HEAD(, tn_peer_watch) watches; /* loop thread only */
    /* which peer was last lost or not reached, and why: told to the threads
     * that wait for that peer */
    char lost_name[TENON_NODE_NAME_MAX_BYTES + 1];
    char lost_why[TENON_ERROR_TEXT_BYTES];
};

extern const struct tn_conn_events tn_peer_events;

/* The peer of that name; created as WANTED when there is none (the caller
 * wakes the loop when *wake was set). NULL: out of memory, or the node stops.
 * With the lock held. */
struct tn_peer *
tn_peer_get_locked(tenon_node *node, const char *name, size_t len, bool *wake);
struct tn_peer *
tn_peer_find_locked(tenon_node *node, const char *name, size_t len);

/* Whether that node is connected and no rule limits it, so that what it says
 * about other nodes counts. Threads: any, without the lock. */
bool tn_peer_is_unlimited(tenon_node *node, const char *name);
/* What that node may use; owned: tn_access_unref. NULL: everything, or it is
 * not connected. Threads: any, without the lock. */
tn_access *tn_peer_access(tenon_node *node, const char *name);

/* Sends a signal to a peer, or keeps it until the peer is up. With the lock
 * held, which the caller leaves by tn_leave: that writes it to the socket.
 * Errors: those of tn_conn_send; QUEUE_FULL while pending (a signal that is no
 * message then costs the connection, so that the peer does not wait for it). */
enum tenon_err tn_peer_send_locked(tenon_node *node,
                                   struct tn_peer *peer,
                                   const struct tn_signal *signal);
/* Keeps a signal for the peer's next connection: of one that is not up, or is
 * closing. Errors: QUEUE_FULL, NOMEM and those of tn_signal_encode. With the
 * lock held. */
enum tenon_err tn_peer_keep_locked(tenon_node *node,
                                   struct tn_peer *peer,
                                   const struct tn_signal *signal);
/* Loop thread: starts the connects that are wanted. */
void tn_peers_connect_wanted(tenon_node *node);
/* Writes what was sent under the lock. Any thread, without the lock. */
void tn_peers_flush_dirty(tenon_node *node);
void tn_peers_fini(tenon_node *node);
/* Loop thread: tells those that watch peers. */
void tn_peers_tell_watches(tenon_node *node,
                           const struct tn_peer *peer,
                           bool up);
/* Of a peer that is in no table. */
void tn_peer_free(struct tn_peer *peer);
/* `change` changes the rules on the loop thread; then each peer that is up gets
 * what they say, or its connection is closed, over as many turns as it takes.
 * Errors: NOMEM, SYSTEM: nothing is changed; STOPPED. Threads: any, without the
 * lock. Blocks: until all have been judged. */
TENON_CHECK enum tenon_err tn_peers_judge_again(
    tenon_node *node, void (*change)(tenon_node *node, void *user), void *user);
/* Loop thread: bytes that wait to be written to all peers. */
size_t tn_peers_output_waiting(tenon_node *node);
/* Loop thread: the counts of the node with those of its connections. */
void tn_peers_count(tenon_node *node, tenon_node_stats *stats);

/* ---- reserved names ----------------------------------------------------- */

/* Most names that are reserved. */
#define TN_RESERVED_MAX 8u

/* Names of processes of other nodes to which only tn_send_name sends, because
 * they do not outlive a message that is none of theirs: what else would send
 * or call by such a name is refused with INVAL. May be said again.
 * name: must outlive the node. Errors: LIMIT. Threads: any, without the lock. */
TENON_CHECK enum tenon_err tn_reserve_name(tenon_node *node, const char *name);
/* Whether the atom is one of them. With the lock. */
bool tn_is_reserved_locked(const tenon_node *node, tenon_term name);

/* ---- sending messages ------------------------------------------------- *
 * All of: without the lock; any thread; do not block; `from` may be the null
 * view (a pid of the node's own then stands in). An unknown local target
 * loses the message without an error, as on BEAM. Errors: INVAL, QUEUE_FULL,
 * LIMIT (local mailbox full), NOMEM, STOPPED. */

enum tenon_err tn_send_pid(tenon_node *node,
                           tenon_term from,
                           tenon_term to,
                           tenon_term message);
/* The same for an answer that somebody waits for: a full output queue does not
 * refuse it but, when twice as full, closes the connection. */
enum tenon_err tn_send_answer(tenon_node *node,
                              tenon_term from,
                              tenon_term to,
                              tenon_term message);
/* The same, and lost without an error when that node is not connected. */
enum tenon_err tn_send_connected(tenon_node *node,
                                 tenon_term from,
                                 tenon_term to,
                                 tenon_term message);
/* To a process that each node has, by its name, which may be reserved; lost
 * without an error when that node is not connected. */
enum tenon_err tn_send_name(tenon_node *node,
                            tenon_term from,
                            const char *name,
                            const char *on,
                            tenon_term message);
/* An answer to an alias; NOTSUP when the node of the reference lacks aliases, or is not
 * connected. */
enum tenon_err tn_send_alias(tenon_node *node,
                             tenon_term from,
                             tenon_term ref,
                             tenon_term message);
enum tenon_err tn_send_dest(tenon_node *node,
                            tenon_term from,
                            const tenon_dest *to,
                            tenon_term message,
                            tenon_error *err);

#endif
