/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of OTP's `global`, versions 5 to 8, as a member of the mesh:
 * fed with messages and events, acting through a table of functions. Does no
 * I/O and starts no process.
 *
 * One thread at a time is in here (global_serial.h); only the names are also
 * read by others, under `lock`. Terms that are kept are copied.
 *
 * What cannot be said to a peer for lack of memory costs the connection to it,
 * so that nobody waits for it. */
#ifndef TN_OTP_GLOBAL_CORE_H
#define TN_OTP_GLOBAL_CORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tenon/global.h>
#include <tenon/term.h>

#include "base/account.h"
#include "base/hash.h"

#define TN_GLOBAL_VERSION 8
/* From here on: lock_set is a cast; lists of nodes have versions, and lost
 * connections are told; connects are verified. */
#define TN_GLOBAL_CAST_VERSION 6
#define TN_GLOBAL_PARTITION_VERSION 7
#define TN_GLOBAL_VERIFY_VERSION 8

/* Nodes that are known or connected. */
#define TN_GLOBAL_NODES_MAX 4096u
/* Most that wait for something: questions for a name while the names change,
 * calls of global:sync. What comes above is answered at once. */
#define TN_GLOBAL_WAITING_MAX 1000u
/* Lost connections that are remembered, and for how long. */
#define TN_GLOBAL_LOST_MAX 4096u
#define TN_GLOBAL_LOST_MS (60u * 60u * 1000u)
/* How long a peer that is connected and no member is left alone, at least; at
 * most twice that. */
#define TN_GLOBAL_ASTRAY_MS 5000u

/* Of each of these the part that one peer may have; of the names one that rules
 * limit, since others tell the names of the whole cluster. */
#define TN_GLOBAL_PEER_NAMES_MAX (TENON_GLOBAL_NAMES_MAX / 4)
#define TN_GLOBAL_PEER_LOCKS_MAX (TENON_GLOBAL_LOCKS_MAX / 4)
#define TN_GLOBAL_PEER_WAITING_MAX (TN_GLOBAL_WAITING_MAX / 4u)
/* Terms of one session, and of one that begins while it ends. */
#define TN_GLOBAL_PEER_EXCHANGES_MAX 8u
/* What such a term counts of its bytes: itself, and what is made of it. */
#define TN_GLOBAL_HELD_TIMES 2u

/* What is longer than this, a message or what is to be read, built or changed
 * in one piece, is for a worker. Some 800 names: 2 ms. */
#define TN_GLOBAL_LONG_BYTES (32u * 1024u)

struct tn_global;

/* ---- what the core needs from outside ---------------------------------- */

struct tn_gtimer {
    void *timed; /* of who implements timer_start */
    struct tn_global *global;
    void (*fn)(struct tn_global *global, void *user);
    void *user;
    bool armed;
};

/* One question to another node. Ended exactly once by tn_gcall_end, which may
 * be before the function that asked returns. */
struct tn_gcall {
    struct tn_global *global;
    /* reply: the null view when the node is gone, or did not answer. */
    void (*ended)(struct tn_global *global,
                  struct tn_gcall *call,
                  tenon_term reply);
    void *user;
    const char *node; /* borrowed from the call's owner */
};
void tn_gcall_end(struct tn_gcall *call, tenon_term reply);

/* Terms and strings are borrowed. Without the core's lock. */
struct tn_global_io {
    /* To the name server of a node, which is connected or else gets nothing.
     * What does not fit into its queue costs the connection. */
    void (*send)(void *io, const char *node, tenon_term message);
    void (*send_pid)(void *io, tenon_term pid, tenon_term message);
    /* Answers a gen call. */
    void (*reply)(void *io, tenon_term from, tenon_term tag, tenon_term value);
    /* A gen call to the name server of a node, by the holder. Connects. */
    void (*call)(void *io,
                 const char *node,
                 tenon_term request,
                 struct tn_gcall *call);
    /* A gen call whose answer nobody wants; as send. */
    void (*tell)(void *io, const char *node, tenon_term request);
    /* erpc of global:resolve_it on a node. */
    void (*resolve)(void *io,
                    const char *node,
                    tenon_term args,
                    struct tn_gcall *call);
    /* Ends in tn_global_peer_up or tn_global_connect_failed. */
    void (*connect)(void *io, const char *node);
    /* Ends in tn_global_peer_down, when what is being done is over. */
    void (*disconnect)(void *io, const char *node);
    /* Ends in tn_global_down. */
    enum tenon_err (*monitor)(void *io, const tenon_pid *pid, tenon_ref *ref);
    void (*demonitor)(void *io, const tenon_ref *ref);
    bool (*is_alive)(void *io, const tenon_pid *pid); /* one of this node */
    bool (*timer_start)(void *io, struct tn_gtimer *timer, uint32_t ms);
    void (*timer_stop)(void *io, struct tn_gtimer *timer);
    uint64_t (*now_ms)(void *io);
    /* Has tn_global_go_on called by a thread that may take its time, before the
     * next message. False: do it at once. NULL: likewise. */
    bool (*leave_to_worker)(void *io);
    void (*kill)(void *io, const tenon_pid *pid); /* exit(Pid, kill) */
    /* As tn_quota_take. Called when there are accounts only. */
    bool (*take)(void *io,
                 tn_account *account,
                 enum tn_quota kind,
                 uint32_t max,
                 size_t bytes,
                 const char *what);
    /* Words for the log. node: may be NULL. */
    void (*warn)(void *io, const char *event, const char *node);
    /* Whether rules limit that node, or it is not connected. NULL: no rules
     * limit anybody, and `ignored` is not called. */
    bool (*is_limited)(void *io, const char *node);
    /* What a limited node said about another does not count. */
    void (*ignored)(void *io,
                    const char *by,
                    const char *what,
                    const char *about);
};

/* ---- small things ------------------------------------------------------ */

/* A list of node names; zeroed before its first use. */
struct tn_gnodes {
    char **at;
    size_t count, cap;
};
/* False: out of memory. One that is there already is not added again. */
bool tn_gnodes_add(struct tn_gnodes *nodes, const char *name);
/* The same for one that is not there: does not look, which makes the cost of
 * many linear. */
bool tn_gnodes_push(struct tn_gnodes *nodes, const char *name);
bool tn_gnodes_has(const struct tn_gnodes *nodes, const char *name);
void tn_gnodes_remove(struct tn_gnodes *nodes, const char *name);
void tn_gnodes_fini(struct tn_gnodes *nodes);
/* The greatest, in whose lock the races are decided; NULL: the list is
 * empty. */
const char *tn_gnodes_boss(const struct tn_gnodes *nodes);

/* ---- tables ------------------------------------------- */

/* On whose account something is; all zero: on nobody's. */
struct tn_gkept {
    tn_account *account; /* kept */
    enum tn_quota kind;
    size_t bytes;
};

/* A term of a peer's that is kept while the nodes become one. */
struct tn_gheld {
    tenon_value *value; /* NULL: none */
    struct tn_gkept kept;
};

/* A monitor of a name's process or a lock's holder. */
struct tn_gwatch {
    UT_hash_handle hh; /* by ref's words */
    tenon_ref ref;
    void *owner;
    bool of_name; /* else of a lock's holder */
    bool set;
};

struct tn_gname {
    UT_hash_handle hh; /* by key */
    tenon_term key;    /* the name, in canonical form; as method in bytes */
    tenon_term method; /* as it came */
    tenon_pid pid;
    struct tn_gkept kept;
    struct tn_gwatch watch;
    uint8_t bytes[];
};

struct tn_gholder {
    UT_hash_handle hh; /* of its lock, by pid */
    struct tn_glock *lock;
    tenon_pid pid;
    struct tn_gkept kept;
    struct tn_gwatch watch;
};

struct tn_glock {
    UT_hash_handle hh; /* by key */
    tenon_value *key;  /* the resource, in canonical form */
    tenon_value *requester;
    struct tn_gkept kept; /* of the peer that was the first to set it */
    struct tn_gholder *holders;
    bool is_mixed; /* there have been holders of more than one node */
};

enum tn_glocked {
    TN_G_UNLOCKED,
    TN_G_LOCKING, /* our own nodes are being locked */
    TN_G_LOCKED,  /* and the peer has been told so */
    TN_G_BOTH,    /* the peer's as well: names are exchanged */
};

struct tn_glocking;
struct tn_gresolver;

/* Another node: connected, or known as a member. */
struct tn_gpeer {
    UT_hash_handle hh; /* by name */
    bool up;
    bool known;
    bool synced;
    uint64_t list_round; /* the last list of nodes that named it */
    bool removing;   /* its connection is being closed on somebody's request */
    bool wanted;     /* connect, then tell it in_sync */
    bool apart;      /* it has said that it takes no part */
    bool astray;     /* was so at the last look for such */
    int64_t version; /* of a known one; 0: not told */
    /* a session: from nodeup until both know each other */
    bool session;
    bool pending; /* his init_connect has come */
    int64_t my_tag;
    int64_t his_version; /* as he says; the lower of both is spoken */
    struct tn_gheld his_tag;
    tenon_value *his_locker;
    struct tn_gheld
        early; /* init_connect that came when there was no session */
    enum tn_glocked locked;
    bool his_lock; /* he has locked his, and waits for ours */
    uint32_t failures;
    struct tn_glocking *locking;
    tenon_value *lock_id;
    struct tn_gnodes locked_nodes;
    struct tn_gresolver *resolver;
    struct tn_gheld names;    /* his; the resolver has the value, once both are
                              locked, and here is what is kept for it */
    tenon_value *ops;         /* what we are to change */
    struct tn_gheld resolved; /* the whole message of his */
    /* What a worker is to go on with; NULL: nothing. */
    void (*due)(struct tn_global *global, struct tn_gpeer *peer);
    char name[TENON_NODE_NAME_MAX_BYTES + 1];
};

struct tn_glost {
    UT_hash_handle hh; /* by key, in order of age */
    int64_t incarnation;
    int64_t op;
    uint64_t until_ms;
    size_t key_len;
    char key[];
};

/* Who waits in sync. */
struct tn_gsync {
    LIST_ENTRY(tn_gsync) next;
    struct tn_gkept kept;
    struct tn_gnodes nodes;
    tenon_value *from; /* a gen call's; NULL: done is called */
    tenon_value *tag;
    void (*done)(void *user, enum tenon_err rc);
    void *user;
};

struct tn_gquestion {
    STAILQ_ENTRY(tn_gquestion) next;
    struct tn_gkept kept;
    tenon_value *name;
    tenon_value *from;
    tenon_value *tag;
};

struct tn_gop;

struct tn_global {
    const struct tn_global_io *io;
    void *io_user;
    const struct tn_sip_key *hash_key;
    char own[TENON_NODE_NAME_MAX_BYTES + 1];
    tenon_value *locker; /* pid that peers know as our locker */
    tenon_value *holder; /* pid that holds locks for this node */
    tenon_pid holder_pid;
    const char *by; /* the limited peer whose message is being handled; NULL:
                       of the others */
    tn_account *account; /* of the peer whose message that is; likewise */
    bool stopping;       /* nobody is told of lost connections any more */
    bool lock_down;      /* the last holder of `global` has died */
    int64_t last_tag;
    int64_t last_op;
    int64_t incarnation;
    struct tn_gwatch *watches;
    struct tn_glock *locks;
    struct tn_glost *lost;
    LIST_HEAD(, tn_gsync) syncs;
    uint32_t sync_count;
    uint64_t list_round; /* of the list of nodes that is being read */
    STAILQ_HEAD(, tn_gquestion) questions;
    uint32_t question_count;
    size_t question_bytes; /* of their names */
    bool answers_due;      /* a worker is to answer them */
    struct tn_gtimer locker_timer;
    struct tn_gtimer astray_timer;
    struct tn_gpeer *attempt; /* of our locker's own accord */
    bool just_synced;
    STAILQ_HEAD(, tn_gop) ops; /* registrations, the first is under way */
    uint32_t op_count;
    bool ops_running;

    struct tn_gpeer *peers;

    pthread_mutex_t lock; /* guards changes of the names; who is in here reads
                             them without */
    struct tn_gname *names;
    size_t name_bytes; /* of their keys and methods */
};

/* NULL: out of memory. */
TENON_CHECK struct tn_global *tn_global_new(const struct tn_global_io *io,
                                            void *io_user,
                                            const char *own,
                                            const struct tn_sip_key *hash_key,
                                            const tenon_pid *locker,
                                            const tenon_pid *holder);
/* When nothing of the core is asked any more: all calls have ended. */
void tn_global_free(struct tn_global *global);

/* ---- events ------------------------------------------------------------ */

/* A message to the name server. */
void tn_global_message(struct tn_global *global, tenon_term message);
/* The same, of a peer.
 *
 * by       borrowed; set when rules limit it: what it says counts for itself
 *          and for its processes.
 * account  borrowed; what is kept of it is there. NULL: of this node. */
void tn_global_message_by(struct tn_global *global,
                          const char *by,
                          tn_account *account,
                          tenon_term message);
void tn_global_peer_up(struct tn_global *global, const char *name);
void tn_global_peer_down(struct tn_global *global, const char *name);
void tn_global_connect_failed(struct tn_global *global, const char *name);
/* The target of a monitor has ended, or is out of reach. */
void tn_global_down(struct tn_global *global, const tenon_ref *ref);
/* What io->leave_to_worker has been asked for. */
void tn_global_go_on(struct tn_global *global);
/* The node stops: nobody is told of lost connections any more, and all that
 * this node has asked for ends with STOPPED. */
void tn_global_stop(struct tn_global *global);

/* ---- requests of this node --------------------------------------------- */

enum tn_gop_kind { TN_G_REGISTER, TN_G_REREGISTER, TN_G_UNREGISTER };

/* A change of one name in the whole mesh. Told its end once. */
struct tn_gop {
    STAILQ_ENTRY(tn_gop) next;
    enum tn_gop_kind kind;
    tenon_value *id;   /* of the lock of all names, as this node sets it */
    tenon_value *name; /* canonical */
    tenon_pid pid;
    tenon_value *method;
    /* TENON_OK; EXISTS, LIMIT, NOMEM, TIMEOUT, STOPPED. It is freed after. */
    void (*done)(void *user, enum tenon_err rc);
    void *user;
    bool begun;
    bool acting; /* the nodes are being told */
    uint32_t times;
    struct tn_glocking *locking;
    struct tn_gnodes nodes;
    uint32_t waiting;
    struct tn_gtimer again;
    enum tenon_err rc;
};

/* Enters one; tn_global_change_begin must follow. name, method: copied. NULL:
 * out of memory, or TN_GLOBAL_WAITING_MAX. */
TENON_CHECK struct tn_gop *tn_global_change(struct tn_global *global,
                                            enum tn_gop_kind kind,
                                            tenon_term name,
                                            const tenon_pid *pid,
                                            tenon_term method,
                                            void (*done)(void *,
                                                         enum tenon_err),
                                            void *user);
/* Begins what has been entered: done may come before the return. */
void tn_global_change_begin(struct tn_global *global);
/* Nobody waits for it any more: it ends now, with TIMEOUT, if it has not begun
 * to tell the others. */
void tn_global_change_cancel(struct tn_global *global, struct tn_gop *op);

/* One that is being told to the others goes on, but done is not called. */
void tn_global_change_forget(struct tn_gop *op);

/* Calls done when all connected members are in sync with this node, or gone.
 * Errors: NOMEM, LIMIT: done is not called. */
TENON_CHECK enum tenon_err tn_global_sync(struct tn_global *global,
                                          void (*done)(void *, enum tenon_err),
                                          void *user);
/* Its done is not called any more. */
void tn_global_sync_forget(struct tn_global *global, void *user);

/* Sets or deletes a lock of the user's on nodes, in one attempt. id:
 * {Resource, Requester}. done: may come before the return. Errors: NOMEM; done
 * is then not called. */
TENON_CHECK enum tenon_err
tn_global_try_lock(struct tn_global *global,
                   tenon_term id,
                   const struct tn_gnodes *nodes,
                   void (*done)(struct tn_global *, void *, bool),
                   void *user);
void tn_global_unlock(struct tn_global *global,
                      tenon_term id,
                      const struct tn_gnodes *nodes);
/* The same, telling when all nodes have done it or are gone: done may come
 * before the return, after which the result is not to be used any more. NULL:
 * out of memory; done is not called. */
struct tn_gunlocking;
TENON_CHECK struct tn_gunlocking *
tn_global_unlock_all(struct tn_global *global,
                     tenon_term id,
                     const struct tn_gnodes *nodes,
                     void (*done)(void *, enum tenon_err),
                     void *user);
/* Nobody waits for it any more. */
void tn_global_unlock_forget(struct tn_gunlocking *unlocking);

/* Threads: any. */
enum tenon_err
tn_global_find(struct tn_global *global, tenon_term name, tenon_pid *pid);
enum tenon_err tn_global_list(struct tn_global *global, tenon_builder *out);

/* ---- between the files of the core ------------------------------------- */

/* Takes what is kept for the message that is being handled; false, which is
 * logged, when its sender may not have more. */
bool tn_gkept_take(struct tn_global *global,
                   struct tn_gkept *kept,
                   enum tn_quota kind,
                   uint32_t max,
                   size_t bytes);
void tn_gkept_give_back(struct tn_gkept *kept);
/* Keeps a copy instead of what there was. False: no memory, or as above; it is
 * as before. */
TENON_CHECK bool
tn_gheld_set(struct tn_global *global, struct tn_gheld *held, tenon_term term);
void tn_gheld_drop(struct tn_gheld *held);

struct tn_gpeer *tn_gpeer_find(struct tn_global *global, const char *name);
/* Made when it is not there. NULL: no memory, or too many. */
struct tn_gpeer *tn_gpeer_get(struct tn_global *global, const char *name);
/* Forgets one about which nothing is to be remembered. */
void tn_gpeer_release(struct tn_global *global, struct tn_gpeer *peer);
bool tn_gpeer_is_member(const struct tn_gpeer *peer);
/* The members as names, added to none; own: with this node. False: out of
 * memory. */
bool tn_global_known(struct tn_global *global,
                     bool own,
                     struct tn_gnodes *nodes);
/* Appends the members as version `version` has them. */
void tn_global_build_known(struct tn_global *global,
                           tenon_builder *out,
                           int64_t version);

/* A copy of a term in canonical form. owned: tenon_value_free. NULL: out of
 * memory, or no term. */
TENON_CHECK tenon_value *tn_global_canonical(tenon_term term);

struct tn_gname *tn_gname_find(struct tn_global *global, tenon_term name);
/* Whether the lock of the name table is still set for a change of names.
 * holder: who registers, the null view for changes by lock_id. Linear in that:
 * asked once for all names of a message. */
bool tn_glock_still_set(struct tn_global *global,
                        tenon_term holder,
                        tenon_term lock_id);
/* lock_set: as tn_glock_still_set says; without it the name is dropped. LIMIT,
 * NOMEM, TERM_DEEP (the name or its method could not be told on): it is as
 * before. */
enum tenon_err tn_gname_insert(struct tn_global *global,
                               tenon_term name,
                               tenon_term pid,
                               tenon_term method,
                               bool lock_set);
void tn_gname_delete(struct tn_global *global, struct tn_gname *name);

/* The lock of the name table. */
bool tn_glock_names_locked(struct tn_global *global);
bool tn_glock_could_set(struct tn_global *global, tenon_term id);
bool tn_glock_set(struct tn_global *global, tenon_term id, tenon_term holder);
void tn_glock_delete(struct tn_global *global,
                     tenon_term id,
                     tenon_term holder);
void tn_glock_holder_ended(struct tn_global *global, struct tn_gholder *holder);
/* Gives back what processes of a node hold whose connection is lost. Their
 * monitors have told by then, but for locks whose message was still waiting: the
 * monitor of such a holder makes a new connection, and the holder, which lives,
 * does not know of the lock. */
void tn_glocks_node_lost(struct tn_global *global, const char *node);
/* The node of a holder that is not on `node`, of the lock with that id; NULL:
 * there is none. Borrowed from the lock. */
const char *tn_glock_other_holder(struct tn_global *global,
                                  tenon_term id,
                                  const char *node);
void tn_glocks_fini(struct tn_global *global);

/* {'$gen_cast', X} and X to the name server of a peer. message: taken; NULL,
 * for which there was no memory, costs the connection. */
void tn_global_send(struct tn_global *global,
                    const char *node,
                    tenon_value *message);
/* Answers a question for a name; one that cannot wait is answered at once. */
void tn_global_answer_whereis(struct tn_global *global,
                              tenon_term name,
                              tenon_term from,
                              tenon_term tag);
void tn_global_answer_questions(struct tn_global *global);
bool tn_gpid_is_of(tenon_term term, const char *node);
void tn_gquestions_fini(struct tn_global *global);
/* Forgets those of processes of a node that is gone. */
void tn_gquestions_node_lost(struct tn_global *global, const char *node);
bool tn_gwatch_start(struct tn_global *global,
                     struct tn_gwatch *watch,
                     const tenon_pid *pid);
void tn_gwatch_stop(struct tn_global *global, struct tn_gwatch *watch);

/* Taking a lock on nodes: stage by stage, each stage's nodes all at once. */
struct tn_glocking *
tn_glocking_new(struct tn_global *global,
                tenon_term id,
                void (*done)(struct tn_global *, void *, bool),
                void *user);
/* False: out of memory. stage: 0 to 2; each node once in one stage, and not
 * again when it is in an earlier one. */
bool tn_glocking_add(struct tn_glocking *locking,
                     unsigned stage,
                     const char *node);
/* Of one that has not been started. */
void tn_glocking_free(struct tn_glocking *locking);
/* Starts; done comes once, maybe at once, unless it is dropped. */
void tn_glocking_start(struct tn_glocking *locking);
/* Gives back what it has got, and what it still gets; done is not called. */
void tn_glocking_drop(struct tn_glocking *locking);
void tn_global_unlock_known(struct tn_global *global,
                            tenon_term id,
                            const struct tn_gnodes *nodes);

/* A number below `below`. */
uint32_t tn_global_random(uint32_t below);

/* Sessions. */
/* The version that both speak. */
int64_t tn_gpeer_version(const struct tn_gpeer *peer);
void tn_gsession_start(struct tn_global *global, struct tn_gpeer *peer);
/* Ends it; a lock that it holds is given back. */
void tn_gsession_end(struct tn_global *global, struct tn_gpeer *peer);
void tn_gsession_on_init_connect(struct tn_global *global, tenon_term message);
void tn_gsession_on_ack(struct tn_global *global, const tenon_term part[4]);
void tn_gsession_on_cancel(struct tn_global *global, const tenon_term part[3]);
void tn_gsession_on_lock_set(struct tn_global *global,
                             const tenon_term *part,
                             size_t count);
void tn_gsession_wake_locker(struct tn_global *global);

/* Names of two partitions. */
void tn_gexchange_on_names(struct tn_global *global, const tenon_term part[5]);
void tn_gexchange_on_resolved(struct tn_global *global,
                              const tenon_term part[7],
                              tenon_term message);
void tn_gexchange_on_new_nodes(struct tn_global *global,
                               const tenon_term part[6]);
void tn_gexchange_begin(struct tn_global *global, struct tn_gpeer *peer);
void tn_gexchange_drop(struct tn_gpeer *peer);

/* Does a part of a session that works on so many bytes: now, or by a worker
 * when that takes long, unless the session ends before. */
void tn_glong_do(struct tn_global *global,
                 struct tn_gpeer *peer,
                 size_t bytes,
                 void (*fn)(struct tn_global *global, struct tn_gpeer *peer));
/* Whether a worker will answer the questions for names. */
bool tn_glong_answers(struct tn_global *global);

/* Whether what a limited peer says counts; by: NULL for all others, of whom
 * everything does. What does not count is told by io->ignored. */
/* The node if rules limit it, else NULL. */
const char *tn_gclaim_limit(struct tn_global *global, const char *node);
bool tn_gclaim_about(struct tn_global *global,
                     const char *by,
                     const char *what,
                     const char *node);
bool tn_gclaim_pid(struct tn_global *global,
                   const char *by,
                   const char *what,
                   tenon_term pid);
bool tn_gclaim_name(struct tn_global *global, const char *by, tenon_term name);
bool tn_gclaim_entry(struct tn_global *global,
                     const char *by,
                     tenon_term name,
                     tenon_term pid);
bool tn_gclaim_lock(struct tn_global *global, const char *by, tenon_term id);
/* part: a message of the protocol, `count` elements. */
bool tn_gclaim_message(struct tn_global *global,
                       const char *by,
                       const tenon_term *part,
                       size_t count);
/* Those of the changes that count. owned. NULL: out of memory. */
tenon_value *
tn_gclaim_ops(struct tn_global *global, const char *by, tenon_term ops);

/* Nodes that come to be in sync. */
void tn_gsync_told(struct tn_global *global, const char *node);
void tn_gsync_on_call(struct tn_global *global,
                      tenon_term nodes,
                      tenon_term from,
                      tenon_term tag);
/* Connects when needed, and tells the node that it is in sync with us. */
void tn_gsync_other(struct tn_global *global, const char *node);
void tn_gsyncs_fini(struct tn_global *global);
/* Forgets those of processes of a node that is gone. */
void tn_gsyncs_node_lost(struct tn_global *global, const char *node);

void tn_gops_stop(struct tn_global *global);
void tn_gops_fini(struct tn_global *global);

/* Partitions. */
void tn_gpartition_lost(struct tn_global *global, const char *node);
void tn_gpartition_on_lost(struct tn_global *global,
                           const tenon_term part[5],
                           tenon_term message);
/* Sees to it that a peer that is connected and does not become a member gets a
 * new connection. */
void tn_gpartition_watch_astray(struct tn_global *global);
void tn_gpartition_on_remove(struct tn_global *global, tenon_term node);
void tn_gpartition_fini(struct tn_global *global);
/* Forgets a member: its connection is gone, or is not to be used. tell: the
 * others are told, as of a lost connection. */
void tn_global_forget(struct tn_global *global,
                      struct tn_gpeer *peer,
                      bool tell);

/* Resolves a name that two processes have by the method it was registered
 * with: one of the three of OTP's global. Appends what global:resolve_it would
 * return, after it has told the loser.
 * Errors: those of the builder. */
enum tenon_err tn_gresolve(const struct tn_global_io *io,
                           void *io_user,
                           tenon_term method,
                           tenon_term name,
                           tenon_term his,
                           tenon_term ours,
                           tenon_builder *out);

#endif
