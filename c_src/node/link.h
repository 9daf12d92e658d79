/* SPDX-License-Identifier: Apache-2.0 */
/* Links and monitors between processes of this node, and between those and
 * the peers'. */
#ifndef TN_NODE_LINK_H
#define TN_NODE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "node/peer.h"
#include "node/process.h"
#include "node/quota.h"

/* Most links, and monitors, of one node. */
#define TN_LINKS_MAX 1000000u
#define TN_MONITORS_MAX 1000000u
/* Of these those that the processes of one peer may set. */
#define TN_PEER_LINKS_MAX (TN_LINKS_MAX / TN_QUOTA_PART)
#define TN_PEER_MONITORS_MAX (TN_MONITORS_MAX / TN_QUOTA_PART)

/* What tells links apart; zeroed before it is filled, to be hashed. */
struct tn_link_key {
    const tenon_process *local;
    const struct tn_peer *peer;    /* NULL: the other is local */
    uint32_t id, serial, creation; /* of the other */
    uint32_t pad;
};

/* One end of a link: a local process and another, local (then there are two
 * such records) or remote. Guarded by the node's lock. */
struct tn_link {
    UT_hash_handle hh; /* by key */
    struct tn_link_key key;
    LIST_ENTRY(tn_link) of_process;
    LIST_ENTRY(tn_link) of_peer; /* remote only */
    tenon_process *local;        /* borrowed: it ends its links when it ends */
    struct tn_peer *peer;        /* NULL: the other is local */
    tn_account *account; /* kept, of the peer that has set it; NULL: this node
                            has */
    uint64_t unlink_id;  /* waits for its acknowledgement; not active then */
    bool active;
    tenon_term other; /* lies in bytes */
    uint8_t bytes[];
};

/* What tells references apart; zeroed before it is filled, to be hashed. */
struct tn_ref_key {
    uint32_t creation;
    uint32_t count;
    uint32_t words[5];
    uint32_t pad;
    const struct tn_peer *maker; /* NULL: this node */
};

/* One monitor. Guarded by the node's lock. */
struct tn_monitor {
    UT_hash_handle hh;                 /* by key */
    LIST_ENTRY(tn_monitor) of_watcher; /* local watcher's list */
    LIST_ENTRY(tn_monitor) of_target;  /* local target's list */
    LIST_ENTRY(tn_monitor) of_peer;    /* when either side is remote */
    struct tn_ref_key key;
    bool ours;              /* the watcher is local */
    tenon_process *watcher; /* borrowed; NULL when remote */
    tenon_process *process; /* local target, borrowed; NULL when remote */
    struct tn_peer *peer;   /* of the remote side; NULL: both are local */
    tn_account *account;    /* kept, of the remote watcher's peer */
    tenon_term ref;         /* these three lie in bytes */
    tenon_term target;      /* pid, or the atom of a name */
    tenon_term remote;      /* remote watcher's pid */
    uint8_t bytes[];
};

/* Guarded by the node's lock. */
struct tn_monitors {
    struct tn_monitor *table[TN_HASH_SHARDS]; /* uthash by key */
    struct tn_link *links[TN_HASH_SHARDS];    /* likewise */
    uint32_t monitor_count;
    uint32_t link_count;
    uint64_t last_unlink_id;
};

/* False when the term is no reference. maker: whose it is; NULL: ours. */
bool tn_ref_key(struct tn_ref_key *key,
                tenon_term ref,
                const struct tn_peer *maker);

/* Loop thread, without the lock: signals from a peer about links, monitors and
 * exits (LINK, UNLINK, UNLINK_ACK, EXIT, EXIT2, MONITOR, DEMONITOR, DOWN). */
void tn_links_on_signal(tenon_node *node,
                        tn_conn *conn,
                        const struct tn_signal *signal);

/* The same for a signal to a process that the peer may not reach: what waits
 * for an answer hears noproc, the rest is lost. */
void tn_links_refuse(tenon_node *node,
                     tn_conn *conn,
                     const struct tn_signal *signal);

/* Adds what a spawn request asked for, before the reply goes out. With the
 * lock held. Errors: LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_link_remote_locked(tenon_process *local,
                                                 struct tn_peer *peer,
                                                 tenon_term other);
TENON_CHECK enum tenon_err tn_monitor_remote_locked(tenon_process *local,
                                                    struct tn_peer *peer,
                                                    tenon_term watcher,
                                                    tenon_term target,
                                                    tenon_term ref);

/* A message from the peer found no room in the mailbox of the process: when it
 * is a call, the caller's monitor fires with the reason system_limit, since the
 * replies of gen have no form for errors. With the lock held. */
void tn_monitor_call_shed_locked(tenon_process *process,
                                 const struct tn_peer *peer,
                                 tenon_term message,
                                 bool *wake);

/* The process has no answer to a call that could be told: as above. Without
 * the lock. from, tag: of the call. */
void tn_monitor_call_failed(tenon_process *process,
                            tenon_term from,
                            tenon_term tag);

/* Sets a monitor of a process of this node on a target there or elsewhere,
 * with a reference that the caller made. With the lock held. An end that is
 * known at once comes as a message to `watcher`. Errors: INVAL, LIMIT, NOMEM,
 * STOPPED. */
TENON_CHECK enum tenon_err tn_monitor_locked(tenon_process *watcher,
                                             tenon_term target,
                                             const char *on,
                                             tenon_term ref,
                                             bool *wake);
/* Takes a monitor of that process back; false when it has none with that
 * reference. With the lock. */
bool tn_demonitor_locked(tenon_process *watcher, tenon_term ref);
/* The same, without the lock. Unlike tenon_demonitor it does not look for the
 * message of one that has fired, which is a walk along the mailbox: for those
 * that pass over messages of monitors that they do not know. */
void tn_demonitor(tenon_process *watcher, const tenon_ref *ref);

/* A process has ended: tells its links, then its monitors; ends what it had
 * set itself. At most *max of all that, which is less them then. With the lock
 * held. */
void tn_links_process_ended(tenon_process *process,
                            tenon_term reason,
                            unsigned *max,
                            bool *wake);

/* A peer is lost: everything over it ends with noconnection, at most `max` of
 * it now. False: nothing is left. With the lock held. */
bool tn_links_peer_lost_locked(tenon_node *node,
                               struct tn_peer *peer,
                               unsigned max,
                               bool *wake);

/* The peer is up and knows no acknowledgements: links that wait for one are
 * forgotten. With the lock held. */
void tn_links_forget_unlinked_locked(struct tn_peer *peer);

/* ---- between link.c and monitor.c -------------------------------------- */

void tn_links_break_locked(tenon_process *ended,
                           tenon_term reason,
                           unsigned *max,
                           bool *wake);
/* As above; *max: less those that have ended. */
void tn_links_peer_gone_locked(struct tn_peer *peer, unsigned *max, bool *wake);
void tn_link_signal_locked(tenon_node *node,
                           struct tn_peer *peer,
                           const struct tn_signal *signal,
                           bool *wake);

#endif
