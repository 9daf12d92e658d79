/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to other nodes: sockets, set-up, frames in, frames out, ticks.
 * Knows no processes: what a signal means is its owner's business. */
#ifndef TN_DIST_CONN_H
#define TN_DIST_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <tenon/error.h>

#include "base/account.h"
#include "dist/address.h"
#include "dist/handshake.h"
#include "dist/signal.h"
#include "dist/tls.h"

struct tn_cookies;
struct tn_sip_key;
struct tn_log;
struct tn_turn;

typedef struct tn_dist tn_dist;   /* what all connections of a node share */
typedef struct tn_conn tn_conn;   /* one connection; counted references */
typedef struct tn_block tn_block; /* receive memory; counted references */

/* What the owner of the connections is told. All are called on the loop
 * thread; none may block. NULL is fine for on_batch_end and on_closed. A
 * `tn_conn` is borrowed until the callback returns: keep it with
 * tn_conn_ref. tn_conn_connect, _close, _send, _flush may be called from all
 * of them.
 *
 * Order for one connection: [on_hello [on_authenticated]] or [on_stream
 * [on_alive]], then [on_up, then on_signal and on_batch_end any number of
 * times], then on_down.
 */
struct tn_conn_events {
    /* Initiator: the way to the peer is there, over TLS with its certificate,
     * and nothing has been said yet. False gives up: `why` says why. NULL: goes
     * on. */
    bool (*on_stream)(void *user, tn_conn *conn, tenon_error *why);
    /* Acceptor: the peer says it is `peer` (not yet authenticated). Returns
     * the status to answer. */
    enum tn_status (*on_hello)(void *user, tn_conn *conn, const char *peer);
    /* Initiator: the peer still holds a connection to our name. True replaces
     * it, false gives this attempt up. */
    bool (*on_alive)(void *user, tn_conn *conn);
    /* Acceptor: the peer knows the cookie; the handshake is not over. Take an
     * older connection to that name down here, by tn_conn_close: its on_down
     * is called before the ack goes out and before this one's on_up. */
    void (*on_authenticated)(void *user, tn_conn *conn);
    /* Acceptor: whether the connection may come up; false: it is asked again
     * soon. NULL: at once. */
    bool (*may_come_up)(void *user, tn_conn *conn);
    /* The handshake is over: tn_conn_send works from here on. */
    void (*on_up)(void *user, tn_conn *conn);
    /* One control message; the views are borrowed until return, or as long as
     * the block that tn_conn_hold gives. */
    void (*on_signal)(void *user,
                      tn_conn *conn,
                      const struct tn_signal *signal);
    /* The frames of one read have been delivered: flush replies here. */
    void (*on_batch_end)(void *user, tn_conn *conn);
    /* Exactly once for each connection that the owner has heard of (by
     * tn_conn_connect or on_hello), its last event. Called from the loop
     * itself, never inside another call into this part. */
    void (*on_down)(void *user,
                    tn_conn *conn,
                    const tenon_error *why,
                    bool was_up);
    /* After tn_dist_free: nothing of it is left in the loop. */
    void (*on_closed)(void *user);
};

#define TN_SETUP_TIMEOUT_MS_DEFAULT 7000u
#define TN_TICKTIME_MS_DEFAULT 60000u
#define TN_OUT_MAX_BYTES_DEFAULT (64u * 1024u * 1024u)
#define TN_CONNS_MAX_DEFAULT 1024u
#define TN_HANDSHAKES_MAX_DEFAULT 64u
/* Of all connections: those that may have come from one address, or be under
 * way at a time to others; those that may be under way to one host. */
#define TN_CONNS_PART(max) ((max) / 2u + (max) % 2u)
#define TN_CONNS_HOST_PART(max) ((max) / 8u + ((max) % 8u != 0))

/* Zero means the default, where one is named. */
struct tn_dist_config {
    uv_loop_t *loop;    /* borrowed until on_closed */
    const char *name;   /* copied; full node name */
    const char *cookie; /* copied */
    uint32_t creation;
    const struct tn_sip_key *hash_key; /* borrowed until on_closed */
    uint64_t flags;                    /* TN_FLAGS_OURS */
    struct tn_address listen_at; /* all IPv4 addresses; its family is that of
                                    all connections */
    tn_tls_context *tls;         /* borrowed until tn_dist_new returns; NULL:
                                    plain connections */
    uint16_t peer_port;          /* of every peer; 0: their epmd is asked */
    uint32_t setup_timeout_ms;   /* TN_SETUP_TIMEOUT_MS_DEFAULT; from connect or
                                  accept to the end of the handshake */
    uint32_t ticktime_ms;        /* TN_TICKTIME_MS_DEFAULT */
    uint32_t room_timeout_ms;    /* setup_timeout_ms; a frame for which there
                                    is no room in the peer's account for so
                                    long ends the connection */
    size_t max_frame_bytes;      /* TN_FRAME_MAX_BYTES_DEFAULT */
    size_t out_max_bytes;        /* TN_OUT_MAX_BYTES_DEFAULT, per connection */
    uint32_t max_conns;          /* TN_CONNS_MAX_DEFAULT, all of them */
    uint32_t max_handshakes;     /* TN_HANDSHAKES_MAX_DEFAULT, accepted and
                                  unfinished */
    tn_budget *budget; /* kept; each peer's account is of it. NULL: none */
    /* Runs fn(arg) on another thread soon; false: cannot. Called with `user`.
     * NULL: large frames are read on the loop. */
    bool (*run_on_worker)(void *user, void (*fn)(void *arg), void *arg);
    struct tn_turn *turn;     /* borrowed until on_closed: of the loop;
                                    NULL: nothing is postponed */
    const struct tn_log *log; /* borrowed until on_closed; may be NULL */
    const struct tn_conn_events *events; /* borrowed until on_closed */
    void *user;                          /* handed to the events */
};

/* Errors: INVAL, NOMEM, SYSTEM. dist: owned, tn_dist_free.
 * Threads: loop (before it runs is fine). Blocks: no. */
TENON_CHECK enum tenon_err tn_dist_new(const struct tn_dist_config *config,
                                       tn_dist **dist,
                                       tenon_error *err);

/* Stops listening and closes every connection (code STOPPED). on_down of each
 * and then on_closed come from the loop, which must be run until then; after
 * on_closed `dist` is gone.
 *
 * dist  taken; NULL is fine.
 * Threads: loop. Blocks: no. */
void tn_dist_free(tn_dist *dist);

/* Serves the connections that were postponed because the turn of the loop was
 * spent, as far as the next one reaches. To be called at the beginning of each
 * turn. False: there was none, and there is none.
 * Threads: loop. Blocks: no. */
bool tn_dist_serve_postponed(tn_dist *dist);

/* New connections are made with this from now on; those that are there keep
 * theirs. tls: taken. Threads: loop. Blocks: no. */
void tn_dist_set_tls(tn_dist *dist, tn_tls_context *tls);

/* A node's own cookie, for connections in both directions that begin from now
 * on; those that are there stay.
 *
 * peer      copied; full node name.
 * cookie    copied; 1 to TN_COOKIE_MAX_BYTES bytes. NULL: that of all nodes
 *           again.
 * Errors: LIMIT (TENON_COOKIES_MAX), NOMEM; then that node has the cookie that it
 * had.
 * Threads: loop. Blocks: no.
 * Source: erlang:set_cookie/2. */
TENON_CHECK enum tenon_err
tn_dist_set_cookie(tn_dist *dist, const char *peer, const char *cookie);
/* Puts other cookies in the place of those that came here before; they count
 * where none was set by the function above.
 *
 * cookies  taken, and filled with those of before. Threads: loop. */
void tn_dist_swap_cookies(tn_dist *dist, struct tn_cookies *cookies);

/* Accepts connections at config's listen_at.
 *
 * first, last  the first port of these that is free; 0, 0 lets the system
 *              choose.
 * bound        set to the port on success.
 * Errors: LISTEN.
 * Threads: loop. Blocks: no. */
TENON_CHECK enum tenon_err tn_dist_listen(tn_dist *dist,
                                          uint16_t first,
                                          uint16_t last,
                                          uint16_t *bound,
                                          tenon_error *err);

/* Starts to connect: resolves the host part of the name, asks its epmd for
 * the port, connects, shakes hands, all within setup_timeout_ms. on_up or
 * on_down tells how it went.
 *
 * peer  copied; full node name.
 * conn  owned: tn_conn_unref.
 *
 * Errors: NAME, LIMIT (max_conns, or too many attempts under way), STOPPED, NOMEM, SYSTEM; then there is no
 * connection and no event.
 * Threads: loop. Blocks: no. */
TENON_CHECK enum tenon_err tn_conn_connect(tn_dist *dist,
                                           const char *peer,
                                           tn_conn **conn,
                                           tenon_error *err);

/* The same with a known port: epmd is not asked. */
TENON_CHECK enum tenon_err tn_conn_connect_port(tn_dist *dist,
                                                const char *peer,
                                                uint16_t port,
                                                tn_conn **conn,
                                                tenon_error *err);

/* Closes: no signal is delivered from now on, sends fail with NODEDOWN; what
 * waits in the output is written once, without waiting. on_down follows from
 * the loop. A second call does nothing.
 *
 * why  copied; the code and text that on_down and the log line get.
 * Threads: loop. Blocks: no. */
void tn_conn_close(tn_conn *conn, const tenon_error *why);

/* Appends a signal to the output; nothing is written to the socket before the
 * next tn_conn_flush. Signals of one thread keep their order.
 *
 * signal  borrowed.
 * err     borrowed, may be NULL; filled on failure only.
 *
 * Errors: NODEDOWN (not up, or closed), QUEUE_FULL (a message, and
 * out_max_bytes are waiting; other signals may use up to twice that, then the
 * connection is closed), NOMEM (of other signals than messages: likewise),
 * NOPROC (a link's EXIT to a process of an older
 * incarnation of the peer, which would make it close the connection), and
 * those of tn_signal_encode.
 * Threads: any. Blocks: no. */
TENON_CHECK enum tenon_err
tn_conn_send(tn_conn *conn, const struct tn_signal *signal, tenon_error *err);

/* Writes what waits in the output, as far as the socket takes it; the loop
 * writes the rest. A failing socket closes the connection.
 * Threads: any. Blocks: no. */
void tn_conn_flush(tn_conn *conn);

/* Closes the accepted connections that have said that name and are not up yet.
 * name, why: borrowed. Threads: loop. Blocks: no. */
void tn_dist_close_handshakes(tn_dist *dist,
                              const char *name,
                              const tenon_error *why);

/* Keeps a connection object; conn is returned. Threads: any. */
tn_conn *tn_conn_ref(tn_conn *conn);
/* Gives a reference back; NULL is fine. The object outlives its on_down until
 * the last one. Threads: any. */
void tn_conn_unref(tn_conn *conn);

/* The peer's full name; "" on an accepted connection before on_hello.
 * Borrowed from the connection. Threads: loop; any once up. */
const char *tn_conn_name(const tn_conn *conn);
/* The peer's flags, expanded, and its creation; 0 before on_hello, or on_up
 * for an initiator. Threads: loop; any once up. */
uint64_t tn_conn_flags(const tn_conn *conn);
uint32_t tn_conn_creation(const tn_conn *conn);
/* True when we called the peer. Threads: any. */
bool tn_conn_is_initiator(const tn_conn *conn);
/* Whether the handshake is under way: an initiator's peer may know by whom it
 * is called. Threads: loop. */
bool tn_conn_is_shaking_hands(const tn_conn *conn);
/* True from on_up until closing starts. Threads: any. */
bool tn_conn_is_up(const tn_conn *conn);

/* Whether the peer has a certificate that was verified and bears a name that
 * fits the pattern: see tn_tls_certificate_fits. From on_stream or on_hello on
 * until on_down. Threads: loop. */
bool tn_conn_certificate_fits(tn_conn *conn, const char *pattern);

/* A pointer of the owner's, NULL at first. Threads: loop. */
void tn_conn_set_user(tn_conn *conn, void *user);
void *tn_conn_user(const tn_conn *conn);

/* What the peer makes this node keep; NULL: there is no budget. Borrowed from
 * the connection. Threads: loop; any once up. */
tn_account *tn_conn_account(const tn_conn *conn);

/* Whether many processes of the peer talk to this node at the moment
 * (dist/crowd.h). Threads: loop. */
bool tn_conn_is_crowded(const tn_conn *conn);

struct tn_conn_counters {
    uint64_t frames_in, bytes_in, ticks_in;
    uint64_t frames_out, bytes_out, ticks_out;
    uint64_t unknown_ops;  /* well-formed: of unknown kind, or too deep */
    size_t out_waiting;    /* bytes in the output now */
    uint64_t reads_paused; /* for lack of room in the peer's account */
};

/* Threads: loop. */
void tn_conn_counters(tn_conn *conn, struct tn_conn_counters *counters);

/* Inside on_signal only: the memory in which the views of that signal lie, with
 * one reference more. As long as it is held the views stay valid. NULL: `term`
 * is none of them. owned: tn_block_release. Threads: loop. */
tn_block *tn_conn_hold(tn_conn *conn, tenon_term term);

/* The memory that the block takes, whatever part of it is used. */
size_t tn_block_size(const tn_block *block);

/* block: taken; NULL is fine. Threads: any. Blocks: no. */
void tn_block_release(tn_block *block);

#endif
