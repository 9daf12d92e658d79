/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: the table of pids and names, mailboxes, and the rule that one
 * process handles one message at a time, in the order of arrival. */
#ifndef TN_NODE_PROCESS_H
#define TN_NODE_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tenon/process.h>

#include "base/hash.h"
#include "dist/conn.h"
#include "node/access.h"
#include "node/quota.h"
#include "node/worker.h"

/* What a process does. All are called with `self` kept, on a worker or, for
 * one that runs inline, on the loop thread; never two at a time for one
 * process; without the node's lock. */
struct tn_process_class {
    /* One message. NULL: messages wait for tenon_receive. */
    void (*on_message)(tenon_process *self, void *state, tenon_term message);
    /* The process has ended: to everybody else it is gone already. Last call;
     * frees the state. May be NULL. */
    void (*on_exit)(tenon_process *self, void *state, tenon_term reason);
    /* Whether a process that takes only urgent messages takes this one; reads
     * what never changes in the state. With the lock held. NULL: none. */
    bool (*is_urgent)(const void *state, tenon_term message);
    /* A message of TN_LARGE_MESSAGE_BYTES and more is handled by a worker, also
     * where the process runs inline: reading it takes long. */
    bool large_on_worker;
    /* So is a small message that makes it do something long. NULL: none is. */
    bool (*is_long)(tenon_term message);
    /* What it is, in a word for tools; NULL: "process". */
    const char *kind;
};

#define TN_LARGE_MESSAGE_BYTES (256u * 1024u)

/* How to start a process. */
struct tn_process_spec {
    const struct tn_process_class *class; /* lives as long as the node */
    void *state;      /* taken on success: on_exit frees it */
    const char *name; /* copied; NULL: none */
    bool own_name;    /* the name is one of OTP's own (rex, net_kernel, ...) */
    bool run_inline;
    bool trap_exit;
    bool immortal; /* exit signals pass it by: the node cannot do without */
    /* Messages by its name reach it, but to everything else the name is
     * unknown: whereis finds nothing, monitors of the name answer noproc. */
    bool unseen;
    /* Its pid is not found before its first message, so that no other message
     * comes before that one: who can guess a pid is not to choose the
     * arguments of a function. */
    bool unborn;
    tn_account *account; /* of the peer for which it is started; NULL: none */
    size_t state_bytes;  /* what the state takes, for that account */
    /* Serves every node of the cluster: its name is free to all peers that may
     * connect (node/access.h). */
    bool is_open;
};

/* Whether what an exit or the end of a monitor says is so small that its
 * message enters a full mailbox: other limits bound their number. */
static inline bool tn_signal_is_small(tenon_term reason)
{
    return reason.len <= 256;
}

/* The peer that a message came from; both NULL: this node. */
struct tn_sender {
    tn_access *access;   /* what it may use */
    tn_account *account; /* what it makes this node keep */
};

/* A message that waits. */
struct tn_message {
    STAILQ_ENTRY(tn_message) next;
    tenon_term term;
    tn_access *origin;   /* kept; what the peer that sent it may use */
    tn_account *account; /* kept; that of this peer */
    tn_block *block;     /* held memory that term lies in; NULL: in bytes */
    size_t kept_bytes;   /* memory that is kept for it: of the block, or its
                            own, which is in the account */
    size_t cap;          /* room in bytes */
    uint8_t bytes[];
};
STAILQ_HEAD(tn_message_queue, tn_message);

enum tn_process_run {
    TN_RUN_IDLE,   /* nothing to do */
    TN_RUN_QUEUED, /* in a run queue */
    TN_RUN_NOW,    /* a thread is in its callbacks */
};

struct tn_alias;
struct tn_link;
struct tn_monitor;
LIST_HEAD(tn_alias_list, tn_alias);
LIST_HEAD(tn_link_list, tn_link);
LIST_HEAD(tn_monitor_list, tn_monitor);

/* All fields but the constants are guarded by the node's lock. */
struct tenon_process {
    atomic_uint refs;
    /* constants */
    tenon_node *node;
    const struct tn_process_class *class;
    void *state;
    uint32_t id;
    uint32_t serial;
    bool unseen;
    bool unborn;
    bool is_open;
    tenon_term pid; /* lies in pid_bytes */

    bool run_inline; /* changed by its own callbacks only */
    bool immortal;   /* exit signals pass it by */
    bool trap_exit;
    bool exited;       /* gone for everybody else */
    bool exit_at_end;  /* asked by its own handler: ends when that returns */
    bool on_exit_done; /* the last callback has been taken */
    enum tn_process_run run;
    pthread_t runner; /* while TN_RUN_NOW */
    /* While a message is handled: the peer that sent it. The handler's own
     * thread alone reads it, without the lock. */
    struct tn_sender sender;
    struct tn_job job;
    STAILQ_ENTRY(tenon_process) inline_next;

    struct tn_message_queue mailbox;
    uint32_t mailbox_count;
    size_t mailbox_bytes; /* that the messages keep */
    uint64_t handled;     /* messages that it has taken */
    uint64_t shed;        /* messages refused since the last line about it */
    bool shed_told;   /* such a line has come since it last took a message */
    bool only_urgent; /* the others wait; those up to `passed` are such */
    struct tn_message *passed; /* NULL: none has been looked at */
    pthread_cond_t *arrived;   /* mailboxes: tenon_receive waits here */

    tenon_value *exit_reason; /* NULL: there was no memory for it */
    bool doomed;              /* in node->doomed, which holds a reference */
    tenon_value *doom_reason; /* NULL: likewise */
    tn_account *doom_account; /* kept, of the peer that gave it */
    size_t doom_bytes;        /* on that account */
    tn_account *spawner;      /* kept, of the peer that it counts for */
    size_t spawned_bytes;     /* on that account */
    STAILQ_ENTRY(tenon_process) doomed_next;
    STAILQ_ENTRY(tenon_process) ending_next; /* likewise node->ending */
    char *name;
    UT_hash_handle by_name;

    struct tn_link_list links;
    struct tn_alias_list aliases;
    struct tn_monitor_list monitoring; /* set by this process */
    struct tn_monitor_list monitored;  /* by others, on this process */

    uint8_t pid_bytes[];
};
STAILQ_HEAD(tn_process_queue, tenon_process);

/* A slot of the pid table: pid id = index + 1; the serial of the process in
 * it, or of the next one. */
struct tn_slot {
    tenon_process *process;
    uint16_t serial;
    uint16_t next_free;
};

/* Pid ids and serials that OTP 23 can decode. */
#define TN_PID_ID_MAX TENON_PROCESSES_MAX
#define TN_PID_SERIAL_MAX 8191
/* Those of one peer. */
#define TN_PEER_PROCESSES_MAX (TN_PID_ID_MAX / TN_QUOTA_PART)

struct tn_processes {
    struct tn_slot *slots;          /* TN_PID_ID_MAX of them */
    uint16_t free_first, free_last; /* ids; oldest first, so that a pid comes
                                       back as late as possible; 0: none */
    uint32_t count;
    uint64_t handled;              /* messages, by all processes there were */
    tenon_process *names;          /* uthash by name */
    struct tn_message_queue spare; /* small messages to be used again */
    uint32_t spare_count;
    uint32_t message_max;
    size_t bytes_max;
};

TENON_CHECK enum tenon_err tn_processes_init(struct tn_processes *processes,
                                             uint32_t message_max,
                                             size_t bytes_max,
                                             tenon_error *err);
void tn_processes_fini(struct tn_processes *processes);

/* Starts a process. owned: tenon_process_release. NULL: INVAL (name), EXISTS,
 * LIMIT, NOMEM; spec->state is then still the caller's.
 * Threads: any, without the lock. Blocks: no. */
TENON_CHECK tenon_process *tn_process_start(tenon_node *node,
                                            const struct tn_process_spec *spec,
                                            tenon_error *err);

/* A process of this node that was started for a peer by something else counts
 * as that peer's from now on, unless it does for another. False: the peer has
 * too many. A pid of nobody is fine.
 * Threads: any, without the lock. */
bool tn_process_count_for(tenon_node *node,
                          tenon_term pid,
                          tn_account *account);

/* The pid as a term; borrowed from the process. */
static inline tenon_term tn_process_pid(const tenon_process *process)
{
    return process->pid;
}

/* Finds a living process by the view of a pid of this node, or by name. The
 * result is borrowed while the lock is held. NULL: there is none. */
tenon_process *tn_process_find_locked(tenon_node *node, tenon_term pid);
tenon_process *
tn_process_named_locked(tenon_node *node, const char *name, size_t len);
/* By either: a pid or an atom. */
tenon_process *tn_process_target_locked(tenon_node *node, tenon_term target);
/* The same for monitors, links and exits, which do not see unseen ones. */
tenon_process *tn_process_seen_locked(tenon_node *node, tenon_term target);

/* Puts a message into a mailbox and schedules the process. With the lock held;
 * the caller leaves it by tn_leave with *wake.
 *
 * conn    inside on_signal: what the message arrived on, so that a large one
 *         holds the receive memory instead of being copied; else NULL.
 * forced  also above the mailbox's limits: signals, whose number other limits
 *         bound.
 * Errors: LIMIT (mailbox full: counted, and logged when it has been emptied),
 * NOPROC, NOMEM. */
enum tenon_err tn_process_deliver_locked(tenon_process *process,
                                         tenon_term message,
                                         tn_conn *conn,
                                         bool forced,
                                         bool *wake);

/* The same with a message that was built for what a peer has sent; it is kept
 * on that account. */
enum tenon_err tn_process_deliver_for_locked(tenon_process *process,
                                             tenon_term message,
                                             tn_account *account,
                                             bool forced,
                                             bool *wake);

/* Loop thread, without the lock: delivers a message that arrived on `conn` to
 * a process by pid or name; a process that runs inline and is idle handles it
 * right here, from the receive buffer. Unknown targets are counted. */
void tn_process_deliver_from(tenon_node *node,
                             tn_conn *conn,
                             tenon_term target,
                             tenon_term message);

/* For a handler: what the peer may use whose message it handles, kept until it
 * returns; NULL: everything. A handler that does for a peer what rules are
 * about asks node/access.h. Threads: the handler's. */
static inline tn_access *tn_process_origin(const tenon_process *self)
{
    return self->sender.access;
}
/* The same for what the peer makes this node keep: what a handler keeps for a
 * peer it takes from this account. */
static inline tn_account *tn_process_account(const tenon_process *self)
{
    return self->sender.account;
}

/* Delivers a message to a process, from any thread, without the lock. On the
 * loop thread an idle process that runs inline handles it right here. */
enum tenon_err tn_process_give(tenon_process *process, tenon_term message);
/* The same inside on_signal with what arrived on `conn`. */
enum tenon_err
tn_process_give_from(tenon_process *process, tn_conn *conn, tenon_term message);

/* The same with what a handler passes on of the message that it handles, for
 * the peer that sent that. */
enum tenon_err tn_process_give_for(tenon_process *process,
                                   const struct tn_sender *sender,
                                   tenon_term message);

/* Ends a process: from now on nobody finds it; its links and monitors are told
 * `reason` at once; its on_exit is called when no handler of it runs. The null
 * view, for which there was no memory, is killed.
 * Threads: any, without the lock. NOPROC: it has ended before. */
enum tenon_err tn_process_end(tenon_process *process, tenon_term reason);
/* The same with the lock held. */
enum tenon_err
tn_process_end_locked(tenon_process *process, tenon_term reason, bool *wake);

/* As tenon_process_exit with a ready reason. reason: taken; NULL is killed. */
enum tenon_err tn_process_exit_value(tenon_process *process,
                                     tenon_value *reason);

/* A process that a broken link ends: noted first, ended by
 * tn_processes_end_doomed_locked, so that a long chain of links needs no deep
 * stack. The first reason counts; a peer's is kept on its account, and is
 * `killed` when there is no room. Both with the lock held.
 *
 * What many links, monitors and aliases make long ends in slices: the rest is
 * left to the loop. */
void tn_process_doom_locked(tenon_process *process,
                            tenon_term reason,
                            tn_account *account);
void tn_processes_end_doomed_locked(tenon_node *node, bool *wake);

/* Loop thread, without the lock: goes on with what was left, as far as the turn
 * reaches. */
void tn_processes_go_on_ending(tenon_node *node);

/* From its own callback, on the loop thread: all further callbacks of the
 * process are run by workers, and the next one is on_message with the atom ok,
 * or with what came before it. Without the lock. Errors: NOPROC, NOMEM. */
TENON_CHECK enum tenon_err tn_process_go_on_worker(tenon_process *self);

/* From its own callback: the process ends by itself from here on, exit signals
 * do not reach it any more. False: one has come before. Without the lock. */
bool tn_process_begin_end(tenon_process *self);

/* Gives the process a turn with no message but a poke: has its handler look
 * after what it has noted. Errors: NOPROC, NOMEM. Threads: any, without the
 * lock. */
enum tenon_err tn_process_poke(tenon_process *process);
/* A poke: one byte that no term begins with. */
static inline bool tn_is_poke(tenon_term message)
{
    return message.len == 1 && message.bytes[0] == 0;
}

/* Gives the process a turn on a worker, before all messages that wait, even
 * when it runs inline: for something long that it has noted. The same errors
 * and threads. */
TENON_CHECK enum tenon_err tn_process_turn_on_worker(tenon_process *process);
/* What it gets for that: another such byte. */
static inline bool tn_is_turn_on_worker(tenon_term message)
{
    return message.len == 1 && message.bytes[0] == 1;
}

/* From now on the process takes urgent messages only, or all again; what waits
 * keeps its order. Threads: its handler's. */
void tn_process_only_urgent(tenon_process *process, bool only_urgent);

/* True when nothing waits that the process would take. With the lock held. */
bool tn_process_is_idle_locked(tenon_process *process);

/* True when the calling thread is in a handler of this process. */
bool tn_process_is_self(const tenon_process *process);

/* Takes a message out of a mailbox unread. With the lock held. */
void tn_process_discard_locked(tenon_process *process,
                               struct tn_message *message);

/* Loop thread: runs inline processes that others have scheduled, each for one
 * turn; those that have more to do stay scheduled. */
void tn_processes_run_inline(tenon_node *node);

/* Ends every process, at the node's stop. Without the lock. */
void tn_processes_end_all(tenon_node *node);

/* ---- between process.c, names.c and mailbox.c: all with the lock held --- */

/* Gives a process a pid; there must be a free one. */
void tn_process_enter_table_locked(tenon_process *process);
void tn_process_leave_table_locked(tenon_process *process);

/* Errors: INVAL, EXISTS, NOMEM. */
enum tenon_err tn_process_register_locked(tenon_process *process,
                                          const char *name,
                                          bool own_name);
void tn_process_unregister_locked(tenon_process *process);

/* Sees to it that a process with something to do gets a turn. */
void tn_process_schedule_locked(tenon_process *process, bool *wake);
void tn_process_drop_messages_locked(tenon_process *process);
/* The function of a process's job; without the lock. */
void tn_process_run_job(struct tn_job *job);

#endif
