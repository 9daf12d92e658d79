/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of a C node: servers and mailboxes, calls that they answer,
 * functions that peers may run, sends, monitors and links.
 *
 * A process has a pid, takes one message at a time, and lives until it exits
 * or the node stops. Handlers run on worker threads unless marked inline. */
#ifndef TENON_PROCESS_H
#define TENON_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most processes, and aliases, of one node at a time. */
#define TENON_PROCESSES_MAX 32767
#define TENON_ALIASES_MAX 100000

typedef struct tenon_process tenon_process;
typedef struct tenon_call tenon_call;

/* Whom a message is for: a pid, or a registered name on a node. */
typedef struct tenon_dest {
    const tenon_pid *pid; /* if not NULL, the rest is not looked at */
    const char *name;
    const char *node; /* NULL: the own node */
} tenon_dest;

/* ---- sending ---------------------------------------------------------- */

/* Sends a message, as erlang:send/2: to a dead or unknown process of a node
 * that is up it vanishes without an error. Connects when the node is not
 * connected; the message then waits for the handshake, and is dropped when
 * that fails.
 *
 * to       borrowed.
 * message  copied.
 * err      borrowed, may be NULL.
 * Errors: INVAL, QUEUE_FULL, NOMEM, STOPPED.
 * Threads: any. Blocks: no. Messages sent by one thread to one process keep
 * their order. */
TENON_API enum tenon_err tenon_send(tenon_node *node,
                                    const tenon_dest *to,
                                    tenon_term message,
                                    tenon_error *err);
/* The same with a message from a pattern (see tenon_format); INVAL also when
 * that cannot be built. */
TENON_API enum tenon_err tenon_send_format(tenon_node *node,
                                           const tenon_dest *to,
                                           const char *pattern,
                                           ...);

/* The same to an alias, made by erlang:alias or by tenon_alias: whether it is
 * active only its own node knows. A node that is not connected is not connected
 * for it. Errors: also NOTSUP (not connected, or a peer older than OTP 24). */
TENON_API enum tenon_err tenon_send_alias(tenon_node *node,
                                          const tenon_ref *alias,
                                          tenon_term message,
                                          tenon_error *err);

/* ---- calls that C answers --------------------------------------------- *
 * A tenon_call is one request that waits for its answer: a GenServer call, a
 * function run by rpc or spawn, an X3m service call. It is answered at most
 * once, by one of the functions below; what is left unanswered when its
 * handler returns, and was not kept, counts as no reply for a server or a
 * service (the caller's timeout runs), and as `nil` for a function. */

/* The request: a server's request term, a function's argument list, a
 * service's raw_request. Borrowed until the handler returns (for a kept
 * call: until it is released). */
TENON_API tenon_term tenon_call_request(const tenon_call *call);
/* Argument `index` (from 0) of a function; the null view when there is none. */
TENON_API tenon_term tenon_call_arg(const tenon_call *call, size_t index);
/* Who asks; for a service: its reply_to. Errors: TERM_TYPE. */
TENON_API TENON_CHECK enum tenon_err tenon_call_from(const tenon_call *call,
                                                     tenon_pid *from);
/* The group leader of the call, where its output belongs and its input comes
 * from (see io.h): of a function that a peer runs, the one that came with the
 * request, for example the iex session of who called; else the node's own. */
TENON_API void tenon_call_group_leader(const tenon_call *call,
                                       tenon_pid *leader);
TENON_API tenon_node *tenon_call_node(const tenon_call *call);
/* The process that runs the handler. Borrowed as the request is. */
TENON_API tenon_process *tenon_call_self(const tenon_call *call);

/* Keeps the call, with a copy of its request, beyond the handler's return, to
 * be answered later from any thread. owned: release with tenon_call_release,
 * answered or not. From then on only the kept call answers; `call` does not.
 * NULL when out of memory: `call` is then as before.
 * Threads: the handler's. Blocks: no. */
TENON_API TENON_CHECK tenon_call *tenon_call_keep(tenon_call *call);
/* call: taken; NULL is fine. */
TENON_API void tenon_call_release(tenon_call *call);

/* Answers. A server replies with the value, a function returns it, a service
 * sets it as its response.
 *
 * tenon_reply_ok and _error wrap it: {:ok, value}, {:error, value}.
 * Errors: INVAL (answered already, or the pattern cannot be built: then the
 * call is answered as if it had raised badarg), QUEUE_FULL, NOMEM, NODEDOWN,
 * TERM_DEEP (with the reply around it, the value is nested deeper than
 * TENON_TERM_MAX_DEPTH: the caller of a server exits with system_limit, and the
 * server goes on).
 * Threads: any, one at a time. Blocks: no. */
TENON_API enum tenon_err
tenon_reply(tenon_call *call, const char *pattern, ...);
TENON_API enum tenon_err tenon_reply_term(tenon_call *call, tenon_term value);
TENON_API enum tenon_err
tenon_reply_ok(tenon_call *call, const char *pattern, ...);
TENON_API enum tenon_err
tenon_reply_error(tenon_call *call, const char *pattern, ...);

/* Fails the call as Elixir code would: an error with that reason
 * (:erlang.error/1), a throw, an exit. A server that does this ends with the
 * reason, as a GenServer would. */
TENON_API enum tenon_err
tenon_raise(tenon_call *call, const char *pattern, ...);
TENON_API enum tenon_err
tenon_throw(tenon_call *call, const char *pattern, ...);
TENON_API enum tenon_err tenon_exit(tenon_call *call, const char *pattern, ...);

/* Waits in a handler on a worker thread without holding up the others: the
 * pool may start another thread meanwhile. Returns early, with STOPPED, when
 * the node stops. Errors: NOT_ALLOWED (loop thread), STOPPED.
 * Threads: any. Blocks: for `ms`. */
TENON_API enum tenon_err tenon_sleep(tenon_node *node, uint32_t ms);

/* ---- functions that peers may run ------------------------------------- */

/* Handles one run of a registered function. call: borrowed. Called on a
 * worker, or on the loop thread when inline (then it must not block). */
typedef void (*tenon_function_fn)(tenon_call *call, void *user);

enum {
    /* Short, never blocks: run on the loop thread. (By a worker all the same
     * when its arguments, or a server's message, take 256 KiB or more.) */
    TENON_INLINE = 1,
};

/* Registers module:name/arity. Every rpc, erpc and spawn of it by a peer runs
 * fn; what is not registered is undef for them.
 *
 * module, name  copied.
 * flags         0 or TENON_INLINE.
 * Errors: INVAL, EXISTS, NOMEM.
 * Threads: any. Blocks: no. */
TENON_API TENON_CHECK enum tenon_err tenon_function(tenon_node *node,
                                                    const char *module,
                                                    const char *name,
                                                    unsigned arity,
                                                    tenon_function_fn fn,
                                                    void *user,
                                                    unsigned flags);

/* ---- servers ---------------------------------------------------------- */

/* Servers also answer what :sys asks: get_state, get_status, suspend, resume,
 * replace_state, terminate; statistics (a message counts as one reduction);
 * log (of messages that came, 100 at the most); trace (into the node's log).
 * Debug functions and files are refused, as is change_code.
 *
 * The callbacks of a server, one at a time, on a worker or, when inline, on
 * the loop thread (see TENON_INLINE). Any may be NULL: a call is then answered with the error
 * that a GenServer without the clause gives (it ends), casts and messages
 * are dropped with a log line. Terms are borrowed until the return. */
typedef struct tenon_server_config {
    /* Registered name; NULL: none. Copied. */
    const char *name;
    void (*on_call)(tenon_call *call, void *state);
    void (*on_cast)(tenon_process *self, tenon_term request, void *state);
    /* All other messages, also {:DOWN, ref, :process, pid, reason} and, when
     * trapping exits, {:EXIT, pid, reason}. */
    void (*on_info)(tenon_process *self, tenon_term message, void *state);
    /* Last call, when the server ends for whatever reason. */
    void (*on_terminate)(tenon_process *self, tenon_term reason, void *state);
    void *state; /* the caller's; lives until on_terminate has returned */
    bool run_inline;
    bool trap_exit;
    /* borrowed until the start returns, may be NULL. */
    tenon_error *err;

    /* The process that the server is linked to before the start returns (as
     * start_link does): when it ends the server ends with its reason, also one
     * that traps exits. (One that does not outlives a parent that ends with
     * :normal.) A parent that is gone ends it with :noproc, one that
     * cannot be linked with :killed. NULL: none. borrowed until the start
     * returns. */
    const tenon_pid *parent;
    /* The first callback is on_continue with this term, before any message
     * ({:ok, state, {:continue, term}}). The null view: none. Copied. */
    tenon_term continue_with;
    void (*on_continue)(tenon_process *self, tenon_term what, void *state);
    /* Appends the state as one term, for :sys.get_state and get_status; NULL:
     * they show the atom :opaque. */
    void (*on_get_state)(tenon_builder *out, void *state);
    /* Takes the state that :sys.replace_state has made of it, or returns false:
     * it is none. The function that makes it must be one of this node's
     * (tenon_function), given as &Mod.fun/1. NULL: the state stays. */
    bool (*on_replace_state)(tenon_term term, void *state);
} tenon_server_config;

/* Starts a server. owned: release with tenon_process_release, which does not
 * end it. NULL on failure: INVAL, EXISTS (name), LIMIT (processes), NOMEM.
 * Threads: any. Blocks: no. Source: gen_server of the OTP documents. */
TENON_API TENON_CHECK tenon_process *tenon_server_start_sized(
    tenon_node *node, const tenon_server_config *config, size_t size);

static inline tenon_process *
tenon_server_start(tenon_node *node, const tenon_server_config *config)
{
    return tenon_server_start_sized(node, config, sizeof *config);
}

/* What the server does as soon as the callback that asks for it has returned,
 * before its next message: on_continue with the term of the pattern. The last
 * one asked for in a callback counts.
 * Errors: INVAL (not in a callback of this server, or the pattern), NOMEM.
 * Threads: the callback's. Source: the return value {:continue, term}. */
TENON_API enum tenon_err
tenon_server_continue(tenon_process *self, const char *pattern, ...);
/* When no message comes for that long after this callback, on_info is given
 * :timeout; the next message, whatever it is, ends that (what sys asks begins
 * it anew). Errors: INVAL, as above. Source: the timeout in return values of gen_server. */
TENON_API enum tenon_err tenon_server_timeout(tenon_process *self, uint32_t ms);

/* Appends {pid, tag} of a server's call, with which any process of any node
 * answers it: GenServer.reply(from, value), or tenon_server_reply. Who hands it
 * on keeps the call from being answered by leaving it as it is.
 * Errors: INVAL (no server's call), those of the builder. */
TENON_API enum tenon_err tenon_call_build_from(const tenon_call *call,
                                               tenon_builder *out);
/* Answers the call of which somebody has handed on the {pid, tag}.
 * Errors: INVAL, QUEUE_FULL, NOMEM. Threads: any. Blocks: no.
 * Source: gen_server:reply/2. */
TENON_API enum tenon_err
tenon_server_reply(tenon_node *node, tenon_term from, tenon_term value);

/* ---- mailboxes -------------------------------------------------------- */

/* A process whose messages a thread of the caller's takes out.
 * name: copied, may be NULL. owned: end with tenon_process_exit, release with
 * tenon_process_release. NULL on failure as for a server; err may be NULL. */
TENON_API TENON_CHECK tenon_process *
tenon_mailbox_new(tenon_node *node, const char *name, tenon_error *err);

/* Takes the oldest message.
 *
 * timeout_ms  0: do not wait.
 * message     set on success. owned: tenon_value_free.
 * Errors: TIMEOUT, NOPROC (the process has exited), INVAL (not a mailbox),
 * NOT_ALLOWED (loop thread with a timeout), NOMEM.
 * Threads: any, each message goes to one. Blocks: up to timeout_ms. */
TENON_API TENON_CHECK enum tenon_err tenon_receive(tenon_process *mailbox,
                                                   uint32_t timeout_ms,
                                                   tenon_value **message);

/* ---- any process ------------------------------------------------------ */

TENON_API void tenon_process_pid(const tenon_process *process, tenon_pid *pid);
TENON_API tenon_node *tenon_process_node(const tenon_process *process);
/* One more owner; each releases. Returns its argument. */
TENON_API tenon_process *tenon_process_keep(tenon_process *process);
/* process: taken; NULL is fine. The process itself goes on. */
TENON_API void tenon_process_release(tenon_process *process);

/* Ends the process with a reason (a pattern): links and monitors see it.
 * From its own handler it takes effect when the handler returns.
 * Errors: INVAL, NOPROC. Threads: any. Blocks: no. */
TENON_API enum tenon_err
tenon_process_exit(tenon_process *process, const char *pattern, ...);

/* Messages from links instead of ending with them. Threads: any. */
TENON_API void tenon_process_trap_exit(tenon_process *process, bool trap);

/* Registers a name for a process, or ends that. Errors: INVAL (no valid name,
 * a name of OTP's own), EXISTS, NOT_FOUND, NOPROC. Threads: any. */
TENON_API enum tenon_err tenon_register(tenon_process *process,
                                        const char *name);
TENON_API enum tenon_err tenon_unregister(tenon_node *node, const char *name);
/* The process with that name. owned: tenon_process_release. NULL: none. */
TENON_API TENON_CHECK tenon_process *tenon_whereis(tenon_node *node,
                                                   const char *name);

/* Sends exit signals from `from` to any process, as exit(pid, reason): `kill`
 * cannot be trapped, `normal` ends only one that sends it to itself.
 * Errors: INVAL, QUEUE_FULL, NOMEM. Threads: any. */
TENON_API enum tenon_err
tenon_exit_signal(tenon_process *from, const tenon_pid *to, tenon_term reason);

/* Monitors a process, of this node or another, by pid or by name: exactly one
 * {:DOWN, ref, :process, pid_or_{name, node}, reason} comes to `self` when it
 * ends, at once with :noproc when it does not exist, with :noconnection when
 * its node is lost or cannot be reached.
 *
 * ref  set on success.
 * Errors: INVAL, NOPROC (self is dead), LIMIT, NOMEM. Threads: any.
 * Blocks: no. Source: erlang:monitor/2. */
TENON_API TENON_CHECK enum tenon_err
tenon_monitor(tenon_process *self, const tenon_dest *target, tenon_ref *ref);
/* Ends a monitor; no :DOWN of it is delivered after the return, and one that
 * waits in the mailbox is taken out. Unknown refs are fine.
 * Threads: any. Blocks: no. Source: erlang:demonitor/2 with flush. */
TENON_API void tenon_demonitor(tenon_process *self, const tenon_ref *ref);

/* How long an alias leads to its process, which is to the process's end at
 * most; afterwards what is sent to it vanishes. */
enum tenon_alias_mode {
    TENON_ALIAS_EXPLICIT,  /* until tenon_unalias */
    TENON_ALIAS_REPLY,     /* until its first message, which on a monitor also
                              ends that: alias([reply]), reply_demonitor */
    TENON_ALIAS_DEMONITOR, /* of a monitor: until that has ended */
};

/* Makes an alias, a reference by which the process is sent messages. A monitor
 * whose reference is one too is what a call is made of: reply and :DOWN shut
 * each other out.
 *
 * mode  for tenon_alias not TENON_ALIAS_DEMONITOR.
 * ref   set on success.
 * Errors: INVAL, NOPROC, LIMIT, NOMEM; of the monitor, as tenon_monitor.
 * Threads: any. Blocks: no. Source: erlang:alias/1, erlang:monitor/3. */
TENON_API TENON_CHECK enum tenon_err
tenon_alias(tenon_process *self, enum tenon_alias_mode mode, tenon_ref *ref);
TENON_API TENON_CHECK enum tenon_err
tenon_monitor_alias(tenon_process *self,
                    const tenon_dest *target,
                    enum tenon_alias_mode mode,
                    tenon_ref *ref);
/* Ends an alias; false when the process had none (any more) of that reference.
 * Threads: any. Blocks: no. Source: erlang:unalias/1. */
TENON_API bool tenon_unalias(tenon_process *self, const tenon_ref *ref);

/* Links two processes, or ends that. A link to nothing gives an exit with
 * :noproc or :noconnection. Errors: INVAL, NOPROC, LIMIT, NOMEM.
 * Threads: any. Blocks: no. Source: erlang:link/1, unlink/1. */
TENON_API TENON_CHECK enum tenon_err tenon_link(tenon_process *self,
                                                const tenon_pid *other);
TENON_API void tenon_unlink(tenon_process *self, const tenon_pid *other);

/* A new reference of this node. Threads: any. */
TENON_API void tenon_make_ref(tenon_node *node, tenon_ref *ref);

#ifdef __cplusplus
}
#endif

#endif
