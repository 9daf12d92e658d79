/* SPDX-License-Identifier: Apache-2.0 */
/* A node: its start and stop, its connections to other nodes, its limits.
 *
 * A node owns one loop thread (sockets, timers, ticks) and a pool of worker
 * threads (handlers). Several nodes may live in one program. */
#ifndef TENON_NODE_H
#define TENON_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_node tenon_node;

/* For timeouts: wait as long as it takes. */
#define TENON_NO_TIMEOUT UINT32_MAX

enum tenon_log_level {
    TENON_LOG_DEFAULT, /* info */
    TENON_LOG_DEBUG,
    TENON_LOG_INFO,
    TENON_LOG_WARNING,
    TENON_LOG_ERROR,
    TENON_LOG_NONE,
};

/* Takes one finished line of key=value pairs without line end.
 * Called on a thread of the node that does nothing else, one line at a time.
 * While it blocks, lines wait, and what is above TENON_LOG_WAITING_MAX_BYTES is
 * lost, counted and logged. At the stop what waits is written for a second at
 * most; a call that has not returned then is left alone, and is the last one.
 * It must not call back into the node. line: borrowed. */
typedef void (*tenon_log_fn)(void *user,
                             enum tenon_log_level level,
                             const char *line,
                             size_t len);

/* Most bytes of log lines that wait to be written; and of texts that wait to
 * be printed for the group leader (<tenon/io.h>), whose printers are refused
 * with enospc above it. */
#define TENON_LOG_WAITING_MAX_BYTES 1048576
#define TENON_PRINT_WAITING_MAX_BYTES 2097152

/* How to start a node. Zero means default. Strings are copied. */
typedef struct tenon_node_config {
    /* One of the two must be given. `name`: long name, "calc@10.0.0.7",
     * "calc@host.example.org", or "calc" (then this host's full name is
     * appended). `sname`: short name, "calc" or "calc@host". */
    const char *name;
    const char *sname;
    /* NULL: $RELEASE_COOKIE, else ~/.erlang.cookie, which nobody but its
     * owner may be able to read. At most 255 bytes. */
    const char *cookie;
    /* Not in the peers' nodes(); default visible. */
    bool hidden;
    /* Port to listen on; 0: the kernel chooses. */
    uint16_t port;
    /* From the first byte to the end of a handshake; 0: 7000. */
    uint32_t connect_timeout_ms;
    /* net_ticktime; must be the peers'; 0: 60000. */
    uint32_t ticktime_ms;
    /* Most worker threads; 0: 256. */
    uint32_t worker_max;
    /* Largest frame from a peer; 0: 64 MiB. */
    size_t frame_max_bytes;
    /* Most bytes waiting to be written to one peer; 0: 64 MiB. */
    size_t output_max_bytes;
    /* Most messages, and bytes of messages, waiting for one process; 0:
     * 100000 and 64 MiB. What comes above is dropped, counted and logged. */
    uint32_t mailbox_max_messages;
    size_t mailbox_max_bytes;
    /* NULL: lines go to stderr, written by the same thread. */
    tenon_log_fn log;
    void *log_user;
    enum tenon_log_level log_level;
    /* borrowed until the start returns, may be NULL; filled on failure. */
    tenon_error *err;
    /* As the BEAM's -proto_dist: "inet_tcp" (also NULL), "inet6_tcp",
     * "inet_tls", "inet6_tls". A node talks to nodes of its own kind only. */
    const char *proto_dist;
    /* Listen at this numeric address only ("127.0.0.1", "::1"); NULL: at all.
     * The BEAM's inet_dist_use_interface. */
    const char *listen_address;
    /* With port: listen on the first free port from port to this (the BEAM's
     * inet_dist_listen_min and _max); 0: on port only. */
    uint16_t port_max;
    /* The port of every peer, whose epmd is not asked then; 0: it is. The
     * BEAM's ERL_DIST_PORT and -erl_epmd_port. */
    uint16_t peer_port;
    /* Neither start nor register at epmd: peers know the port by themselves. */
    bool no_epmd;
    /* The pg scope that NULL stands for in tenon/pg.h; NULL: "pg". */
    const char *pg_scope;
    /* No member of the mesh that shares global names and locks
     * (<tenon/global.h>); nor is a hidden node. */
    bool no_global;
    /* Does not look for the cluster: without this a visible node asks each
     * visible node that it gets connected with for the nodes that this one
     * knows, and connects to those. What global connects is not affected. */
    bool no_connect_all;
    /* Of TLS: a file as BEAM nodes take by -ssl_dist_optfile, and after it
     * single options as by -ssl_dist_opt: names and values in turn, then NULL
     * ("server_certfile", "/etc/x.pem", NULL). An option that is unknown, or
     * has no meaning here, is refused by its name. Other than in BEAM nodes
     * both sides verify by default, the server demands a certificate, and the
     * certificate of a node that this one calls must bear its host or name. */
    const char *ssl_dist_optfile;
    const char *const *ssl_dist_opts;
    /* Who may do what, and cookies of single nodes: a file, or the text of one;
     * not both. NULL: every peer that knows the cookie may do everything. The
     * form is in README, "Who may do what". */
    const char *rules_file;
    const char *rules;
    /* Cookies of single nodes: names and cookies in turn, then NULL
     * ("shop@10.0.0.7", "secret", NULL); see tenon_node_set_cookie. */
    const char *const *peer_cookies;
    /* Most bytes that the peers together may make this node keep: frames that
     * are being read, messages that wait or are handled, output that waits for
     * a peer or until a node is connected, locks and names of :global, process
     * groups, children of supervisors, and what README lists besides. One peer
     * may hold as much as is still free, so at most half, and all nodes that
     * are being connected together as one: above that nothing is read from
     * it, messages from it are dropped and counted, and a frame for which there
     * is no room within connect_timeout_ms ends its connection; the others go
     * on. 0: 1 GiB, or half of what the machine or the cgroup has if that is
     * less. */
    size_t memory_max_bytes;
} tenon_node_config;

/* Most bytes of rules; rules of peers in them; functions, services and names
 * that these list together; cookies in them. */
#define TENON_RULES_MAX_BYTES 1048576
#define TENON_RULES_MAX 1024
#define TENON_RULES_ENTRIES_MAX 65536
#define TENON_RULES_COOKIES_MAX 1024
/* Most nodes with a cookie of their own, besides those. */
#define TENON_COOKIES_MAX 4096

/* Starts a node: takes its identity, listens, starts epmd when none runs,
 * registers there, and serves from then on, on threads of its own. Those of
 * the descriptors 0 to 2 that are closed are opened on /dev/null before.
 *
 * config  borrowed.
 * size    sizeof the caller's tenon_node_config: a library newer or older
 *         than the caller reads what both know (INVAL when the unknown rest
 *         is not zero).
 *
 * owned: stop with tenon_node_stop or tenon_node_run. NULL on failure, with
 * the reason in config->err: INVAL, NAME, NAME_TAKEN, COOKIE, EPMD, LISTEN,
 * NOMEM, SYSTEM.
 * Threads: any. Blocks: until registered, some seconds at most.
 * Source: net_kernel:start/2 of the OTP documents. */
TENON_API TENON_CHECK tenon_node *
tenon_node_start_sized(const tenon_node_config *config, size_t size);

static inline tenon_node *tenon_node_start(const tenon_node_config *config)
{
    return tenon_node_start_sized(config, sizeof *config);
}

/* How long tenon_node_run waits for the stop, which takes at most 4 s unless a
 * handler on the loop thread does not return; what it returns then. */
#define TENON_STOP_MAX_MS 8000
#define TENON_RUN_STUCK 3

/* Runs the node until SIGINT, SIGTERM or tenon_node_request_stop, then stops
 * it as tenon_node_stop does. It handles the two signals meanwhile, also when
 * the calling thread has blocked them: who blocks them before the node's start
 * is ended in order by one that comes between start and run.
 *
 * node  taken; NULL (a failed start) gives 1 at once.
 * Returns 0; 1 when the node was NULL or the system had no room for another
 * event loop; TENON_RUN_STUCK when the stop has not finished within
 * TENON_STOP_MAX_MS, because an inline handler does not return: a line of the
 * log says so, the node's threads may still run, and the process is to end by
 * _exit.
 * Threads: one, not a handler. Blocks: until stopped, or that long. */
TENON_API int tenon_node_run(tenon_node *node);

/* Reads the certificates and keys of TLS again, from the files that the start
 * was given; connections that are there keep theirs. tenon_node_run does it at
 * SIGHUP. err: borrowed, may be NULL.
 * Errors: INVAL (a file; or the node's connections are plain), NOMEM, STOPPED:
 * what was in use stays in use.
 * Threads: any. Blocks: on the files. */
TENON_API enum tenon_err tenon_node_reload_tls(tenon_node *node,
                                               tenon_error *err);

/* Reads rules_file again. From then on the new rules hold, for connections that
 * are there too: those that they do not allow are closed. tenon_node_run does
 * it at SIGHUP. err: borrowed, may be NULL.
 * Errors: INVAL (the node has no file; a rule), TERM_SYNTAX, COOKIE, LIMIT,
 * SYSTEM (the file), NOMEM, STOPPED: what was in force stays in force.
 * Threads: any. Blocks: on the files, and on the loop thread. */
TENON_API enum tenon_err tenon_node_reload_rules(tenon_node *node,
                                                 tenon_error *err);

/* The cookie for connections with one node, in both directions, from now on;
 * before what rules say. Connections that are there stay.
 *
 * peer    borrowed; full name of the other node.
 * cookie  copied; 1 to 255 printable characters of ASCII. NULL: that of the
 *         rules, or of all nodes, again.
 * Errors: INVAL, COOKIE, LIMIT (TENON_COOKIES_MAX), NOMEM, STOPPED.
 * Threads: any. Blocks: on the loop thread.
 * Source: erlang:set_cookie/2. */
TENON_API TENON_CHECK enum tenon_err
tenon_node_set_cookie(tenon_node *node, const char *peer, const char *cookie);

/* Asks tenon_node_run to return. Threads: any. Blocks: no. */
TENON_API void tenon_node_request_stop(tenon_node *node);

/* Stops a node: says goodbye for its services, ends its processes with
 * reason `shutdown`, writes out what waits, closes all connections, ends its
 * threads and frees it.
 *
 * node  taken; NULL is fine. No other thread may use it any more.
 * Threads: one, not a handler. Blocks: two seconds at most, and one more while
 * nobody reads the log. A handler that still runs then is left alone, with the
 * memory of its node. */
TENON_API void tenon_node_stop(tenon_node *node);

/* The full name, "calc@host". Borrowed until the node is stopped. */
TENON_API const char *tenon_node_name(const tenon_node *node);

/* The port it listens on. */
TENON_API uint16_t tenon_node_port(const tenon_node *node);

/* Connects to a node, or does nothing when it is connected.
 *
 * name        borrowed; full name.
 * timeout_ms  0: the node's connect_timeout_ms.
 * err         borrowed, may be NULL; says why not.
 *
 * Errors: INVAL (own name too), NODEDOWN, TIMEOUT, STOPPED, NOT_ALLOWED (on
 * the loop thread).
 * Threads: any. Blocks: up to timeout_ms; not on the loop.
 * Source: net_kernel:connect_node/1. */
TENON_API TENON_CHECK enum tenon_err tenon_node_connect(tenon_node *node,
                                                        const char *name,
                                                        uint32_t timeout_ms,
                                                        tenon_error *err);

/* Closes the connection to a node, if there is one.
 * Errors: INVAL, NOT_FOUND, NOMEM, STOPPED. Threads: any. Blocks: no. */
TENON_API enum tenon_err tenon_node_disconnect(tenon_node *node,
                                               const char *name);

/* Which peers to count. */
enum tenon_peers {
    TENON_PEERS_VISIBLE,
    TENON_PEERS_HIDDEN,
    TENON_PEERS_CONNECTED, /* both */
};

/* Appends the list of the connected nodes' names, as atoms.
 * Errors: those of the builder. Threads: any. Blocks: no.
 * Source: erlang:nodes/1. */
TENON_API TENON_CHECK enum tenon_err
tenon_node_list(tenon_node *node, enum tenon_peers which, tenon_builder *out);

/* Told of each node that comes and goes.
 * Called on the loop thread: must not block. name: borrowed. */
typedef void (*tenon_peer_fn)(void *user,
                              const char *name,
                              bool up,
                              bool visible);

/* Calls fn for each nodeup and nodedown from now on, until the node stops;
 * first, before the return, for each node that is up.
 * Errors: NOMEM. Threads: any. Blocks: no.
 * Source: net_kernel:monitor_nodes/2. */
TENON_API TENON_CHECK enum tenon_err
tenon_node_watch_peers(tenon_node *node, tenon_peer_fn fn, void *user);

/* Writes one event to the node's log, in the form of the node's own:
 *
 *     tenon_node_log(node, TENON_LOG_INFO, "model_loaded", "file", path, NULL);
 *     time=2026-11-21T02:23:41.123Z level=info event=model_loaded file=a.bin
 *
 * node   borrowed; NULL logs nothing.
 * level  TENON_LOG_DEBUG to TENON_LOG_ERROR; below the node's it is dropped.
 * event  borrowed; a word of the program, it is not quoted.
 * ...    pairs of const char * key (a word of the program) and const char *
 *        value (borrowed; any bytes up to NUL, quoted and escaped where
 *        needed; NULL drops the pair), then NULL.
 * Threads: any. Blocks: no. */
TENON_API TENON_NULL_LAST void tenon_node_log(tenon_node *node,
                                              enum tenon_log_level level,
                                              const char *event,
                                              ...);

/* 0 as timeout_ms of tenon_epmd_names. */
#define TENON_EPMD_TIMEOUT_MS 3000

/* Asks the epmd of a host for the names that are registered there, and
 * appends the list of them, [{"calc", 40123}, ...]: name without host, port.
 * Needs no node.
 *
 * host        borrowed; NULL: this machine.
 * timeout_ms  0: TENON_EPMD_TIMEOUT_MS.
 * out         borrowed.
 * err         borrowed, may be NULL; filled on failure only.
 *
 * Errors: EPMD (none runs there, or it does not answer as one), TIMEOUT,
 * LIMIT (longer than a megabyte), NOMEM; those of the builder.
 * Threads: any. Blocks: up to timeout_ms, and on name resolution.
 * Source: erl_epmd:names/1 of the OTP documents. */
TENON_API TENON_CHECK enum tenon_err tenon_epmd_names(const char *host,
                                                      uint32_t timeout_ms,
                                                      tenon_builder *out,
                                                      tenon_error *err);

#define TENON_LOOP_TURN_BUCKETS 23

/* What the node has counted since its start. */
typedef struct tenon_node_stats {
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t messages_to_nobody; /* unknown name or dead pid */
    uint64_t messages_shed;      /* mailbox full */
    uint64_t sends_refused;      /* output queue full */
    uint64_t unknown_signals;    /* well-formed: of unknown kind, or too deep */
    uint32_t peers;
    uint32_t processes;
    uint32_t workers;
    uint32_t pending_calls;
    uint32_t monitors; /* of both directions */
    uint32_t links;
    /* by rules (tenon_node_config.rules_file) */
    uint64_t connections_refused;
    uint64_t functions_refused;
    uint64_t services_refused;
    uint64_t names_refused;  /* signals to processes of such names */
    uint64_t claims_refused; /* what limited peers said about others */
    /* Memory that this node keeps for peers (tenon_node_config.memory_max_bytes):
     * bytes now, the most at a time, and how often no more was read from a peer
     * because it had its part. Messages of such a peer that were dropped are in
     * messages_shed. */
    uint64_t memory_bytes;
    uint64_t memory_peak_bytes;
    uint64_t reads_paused;
    uint64_t quotas_reached; /* what peers were refused because of the quota of
                                each */
    /* Turns of the loop thread, which serves all peers: a long one delays all
     * of them. The CPU time of its turns, and how many took how long: no longer
     * than 1, 2, 5, 10, ... 10000000 microseconds, and the longer ones. */
    uint64_t loop_turns;
    uint64_t loop_cpu_us;
    uint64_t loop_turn_max_us;
    uint64_t loop_turn_counts[TENON_LOOP_TURN_BUCKETS];
    /* because the log, or standard output, is not read fast enough */
    uint64_t log_lines_lost;
    uint64_t prints_refused;
    uint64_t log_lines_suppressed; /* above the rate of an event or a peer */
} tenon_node_stats;

/* stats: borrowed, `size` bytes of it are filled (sizeof *stats).
 * Threads: any. Blocks: no. */
TENON_API void
tenon_node_get_stats(tenon_node *node, tenon_node_stats *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
