/* SPDX-License-Identifier: Apache-2.0 */
/* What the files behind conn.h share: the objects, and who calls whom. Not
 * for others. */
#ifndef TN_DIST_CONN_IMPL_H
#define TN_DIST_CONN_IMPL_H

#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/account.h"
#include "base/buf.h"
#include "base/turn.h"
#include "dist/address.h"
#include "dist/block.h"
#include "dist/conn.h"
#include "dist/cookies.h"
#include "dist/crowd.h"
#include "dist/frame.h"
#include "dist/handshake.h"
#include "dist/identity.h"
#include "dist/sock.h"
#include "dist/tls.h"

/* Bytes read from one connection before the loop looks at the others. */
#define TN_READ_BURST_BYTES (256u * 1024u)
/* A frame of so many bytes and terms is read by a worker: on the loop as many
 * terms take a millisecond. */
#define TN_LARGE_BYTES (256u * 1024u)
#define TN_LARGE_TERMS 32768u
/* Control messages of unknown kind that are logged for each connection; all
 * are counted. */
#define TN_UNKNOWN_OPS_LOGGED 8u
/* Looks at the traffic in one ticktime: the default of BEAM nodes. */
#define TN_TICK_INTENSITY 4u
/* Addresses of one host that are tried. */
#define TN_ADDRESSES_MAX 4u
/* Host names that are resolved at the same time, a thread for each. */
#define TN_RESOLVERS_MAX 64u
/* Longest answer of epmd to a lookup: fixed part, name, extra. */
#define TN_EPMD_ANSWER_BYTES 1024u

LIST_HEAD(tn_conn_list, tn_conn);
STAILQ_HEAD(tn_conn_queue, tn_conn);
TAILQ_HEAD(tn_conn_turns, tn_conn);

struct tn_large;

struct tn_dist {
    struct tn_dist_config config; /* with the defaults filled in */
    struct tn_name name;
    char cookie[TN_COOKIE_MAX_BYTES + 1]; /* of all nodes but these: */
    struct tn_cookies cookies;            /* set one by one */
    struct tn_cookies more_cookies;       /* set together */
    struct tn_block_pool *pool;
    atomic_uint *resolvers; /* threads that resolve, and this dist: the last
                               of them frees it */
    tn_tls_context *tls;    /* NULL: plain connections */
    struct tn_conn_list conns;
    uint32_t conn_count;            /* length of conns */
    struct tn_conn_list handshakes; /* accepted and unfinished ones of them */
    uint32_t handshake_count;       /* length of handshakes */
    uint32_t closing_count;         /* closing ones among them */
    struct tn_conn_turns postponed; /* to the next turn of the loop */
    bool is_stopping;
    unsigned open_handles; /* of those below */
    uv_timer_t tick;
    uv_timer_t accept_pause; /* while there are no descriptors left */
    uv_async_t attention;    /* wakes the loop for `wanting` */
    uv_poll_t listen_poll;
    int listen_fd; /* -1 when not listening */
    uv_mutex_t lock;
    struct tn_conn_queue wanting; /* guarded by lock; counted references */
};

enum tn_conn_state {
    TN_CONN_RESOLVING,
    TN_CONN_EPMD,       /* connecting to it, asking it */
    TN_CONN_CONNECTING, /* TCP */
    TN_CONN_SECURING,   /* TLS, where it is on */
    TN_CONN_SHAKING_HANDS,
    TN_CONN_UP,
    TN_CONN_CLOSING, /* until on_down */
    TN_CONN_DOWN,
};

/* One question to one epmd. */
struct tn_ask {
    tn_conn *conn;
    uv_poll_t poll;
    int fd;
    struct tn_buf request; /* what is not yet sent */
    size_t answer_len;
    uint8_t answer[TN_EPMD_ANSWER_BYTES];
};

/* A host name that a thread resolves. The thread's alone until is_done. */
struct tn_resolved {
    char host[TENON_NODE_NAME_MAX_BYTES + 1];
    atomic_uint *resolvers; /* of the dist */
    bool is_done;           /* guarded by the connection's lock */
    int error;              /* of getaddrinfo; 0: none */
    int family;             /* of the addresses that are wanted */
    struct tn_address addresses[TN_ADDRESSES_MAX];
    unsigned count;
};

/* The way to a peer that we call. */
struct tn_way {
    struct tn_name name;
    struct tn_address addresses[TN_ADDRESSES_MAX];
    unsigned address_count;
    unsigned address_at; /* the one being tried */
    uint16_t port;       /* 0: epmd is asked */
    struct tn_ask *ask;  /* NULL: none under way */
};

/* Loop thread only, unless said otherwise. */
struct tn_conn {
    atomic_uint refs;
    tn_dist *dist; /* valid until DOWN */
    LIST_ENTRY(tn_conn) link;
    LIST_ENTRY(tn_conn) handshake_link; /* accepted, until it is up or closes */
    STAILQ_ENTRY(tn_conn) wanting_link; /* guarded by dist->lock */
    TAILQ_ENTRY(tn_conn) postponed_link;
    int postponed_events; /* what it is to be served with; 0: is not
                             postponed */
    enum tn_conn_state state;
    bool is_initiator;
    bool is_known; /* the owner has heard of it */
    bool was_up;
    atomic_bool is_up;
    void *user;
    struct tn_address address; /* the peer's */
    char name[TENON_NODE_NAME_MAX_BYTES + 1];
    uint64_t flags;    /* the peer's; set before is_up */
    uint32_t creation; /* the peer's; set before is_up */
    tenon_error why;   /* once closing, or refused while securing */
    struct tn_way *way;
    struct tn_resolved *resolving; /* freed with the connection */
    struct tn_handshake *handshake;

    unsigned open_handles; /* those below, and that of way->ask */
    uv_poll_t poll;
    bool has_poll;
    int poll_events;  /* what poll waits for now */
    int poll_wanted;  /* the same, were it not for a large frame */
    uv_timer_t timer; /* set-up's deadline */
    uv_timer_t later; /* the ack that waits for closing connections */

    struct tn_block *block; /* NULL while nothing is being received */
    size_t start;           /* first byte of it that is not parsed */
    size_t end;             /* first free byte of it */
    size_t whole;           /* bytes from start on that the next step needs */
    struct tn_large *large; /* a frame that a worker reads; nothing else is
                               read meanwhile */
    bool is_behind;         /* whole frames lie there, for the next turn */
    unsigned since_look;    /* bytes delivered since the turn was looked at */
    uint64_t frames_in, bytes_in, ticks_in, unknown_ops;
    tn_account *account;  /* kept, and set before is_up; goes with the object */
    size_t tls_charged;   /* on it; as the next, the loop's */
    uint64_t starving_ns; /* since when there is no room; 0: there is */
    uint64_t reads_paused;
    uint64_t read_ns; /* when the burst that is delivered was read */
    struct tn_crowd crowd;
    uint64_t bytes_in_seen; /* by the last look for ticks */
    uint64_t bytes_out_seen;
    unsigned silent_looks;

    uv_mutex_t lock;       /* guards all below */
    int fd;                /* -1: none */
    tn_tls *tls;           /* NULL: plain; goes with fd */
    bool is_closed;        /* no more output */
    bool is_writing;       /* a thread is inside write, with `writing` */
    bool is_blocked;       /* the socket is full: the loop goes on */
    bool is_wanting;       /* in dist->wanting */
    bool is_overflown;     /* the reserve is used up */
    int write_errno;       /* of a failed write */
    struct tn_buf pending; /* frames, appended by senders */
    struct tn_buf writing; /* frames; while is_writing the writer's alone */
    size_t writing_left;   /* bytes of it that were not yet written */
    size_t out_charged;    /* what of both is on the account */
    uint64_t frames_out, bytes_out, ticks_out;
};

/* ---- conn.c: a connection's life --------------------------------------- */

/* In the list of its dist, with one reference of that list; NULL when out of
 * memory. */
tn_conn *tn_conn_new(tn_dist *dist, bool is_initiator);
/* Closes with a reason of this node's. */
void tn_conn_fail(tn_conn *conn, enum tenon_err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void tn_conn_fail_sys(tn_conn *conn,
                      enum tenon_err code,
                      int sys_errno,
                      const char *fmt,
                      ...) __attribute__((format(printf, 4, 5)));
/* Names the peer: its name, else its address. */
const char *tn_conn_print(const tn_conn *conn, char buf[TN_ADDRESS_TEXT_BYTES]);
/* Takes over a descriptor and watches it. False when the connection was
 * closed for that. */
bool tn_conn_watch(tn_conn *conn, int fd, int events);
/* An accepted connection is up, or closes before it is. */
void tn_conn_handshake_over(tn_conn *conn);
/* Changes what is watched. */
void tn_conn_poll(tn_conn *conn, int events);
/* Whether the loop has done enough in this turn. Then the connection is served
 * with those events at the next one, before the poll says anything: epoll tells
 * of the same sockets first each time, and the others would never have their
 * turn. */
bool tn_conn_is_spent(const tn_conn *conn);
void tn_conn_postpone(tn_conn *conn, int events);
/* One handle was closed: perhaps the last one. */
void tn_conn_handle_closed(tn_conn *conn);

/* ---- connect.c: the way to a peer --------------------------------------- */

void tn_connect_writable(tn_conn *conn);
/* The loop's part of what a resolving thread has found. */
void tn_connect_attend(tn_conn *conn);
/* Stops what is under way. */
void tn_connect_stop(tn_conn *conn);
/* One user of that counter less. */
void tn_resolvers_leave(atomic_uint *resolvers);

/* ---- listen.c ------------------------------------------------------------ */

void tn_listen_stop(tn_dist *dist);

/* ---- secure.c: TLS, where it is on --------------------------------------- */

/* The socket is connected: goes on to tn_setup_begin, by TLS where it is on. */
void tn_secure_begin(tn_conn *conn);
/* While securing: the socket has bytes or room. */
void tn_secure_ready(tn_conn *conn);
/* As tn_sock_read and tn_sock_write. */
ssize_t tn_secure_read(tn_conn *conn, void *bytes, size_t len);
ssize_t tn_secure_write(tn_conn *conn, const void *bytes, size_t len);
/* Bytes that TLS holds and the socket will not tell of are read in the next
 * turn of the loop. */
void tn_secure_look_again(tn_conn *conn);
/* The loop's part of that. */
void tn_secure_attend(tn_conn *conn);
/* Closes for an error of those, in the words of TLS where it has some. */
void tn_secure_fail(tn_conn *conn, int sys_errno, const char *doing);
/* While the peer renegotiates: writing waits for bytes, or reading for room. */
bool tn_secure_write_wants_bytes(tn_conn *conn);
bool tn_secure_read_wants_room(tn_conn *conn);

/* ---- setup.c: the handshake over a stream -------------------------------- */

/* From here on an accepted connection has its time. */
void tn_setup_limit(tn_conn *conn);
/* The stream is there. */
void tn_setup_begin(tn_conn *conn);
void tn_setup_readable(tn_conn *conn);
void tn_setup_writable(tn_conn *conn);

/* ---- in.c: frames in ------------------------------------------------------ */

/* Reads once into the block. Returns the number of bytes, 0 at the peer's end,
 * or -errno. */
ssize_t tn_in_read(tn_conn *conn, size_t max);
/* Closes for a result of tn_in_read that was not positive; -EAGAIN is none. */
void tn_in_fail(tn_conn *conn, ssize_t result);
void tn_in_readable(tn_conn *conn);
/* Delivers the whole frames of the block. */
void tn_in_deliver(tn_conn *conn);
/* Delivers what a worker has read of the frame that comes next, then what
 * follows it. */
void tn_in_go_on(tn_conn *conn,
                 const struct tn_frame *frame,
                 const struct tn_signal *signal,
                 enum tenon_err rc,
                 tenon_error *err);
/* Gives the block back when all of it has been parsed. */
void tn_in_rest(tn_conn *conn);

/* ---- large.c: large frames in ---------------------------------------------- */

/* Has a worker read the frame if it is large; false: it is not, or there is
 * none. */
bool tn_large_begin(tn_conn *conn, const struct tn_frame *frame);
/* The loop's part when that worker is done. */
void tn_large_attend(tn_conn *conn);
/* Forgets a large frame that no worker reads. */
void tn_large_free(tn_conn *conn);

/* ---- out.c: frames out ---------------------------------------------------- */

/* The loop's part: the socket takes bytes again. */
void tn_out_writable(tn_conn *conn);
/* The loop's part of what senders found: an error, a full socket. */
void tn_out_attend(tn_conn *conn);
/* Sends a tick when nothing has been written since `seen` bytes. */
void tn_out_tick(tn_conn *conn);
/* Puts bytes before everything else: what the handshake left unsent. */
enum tenon_err tn_out_first(tn_conn *conn, const uint8_t *bytes, size_t len);
/* No more output; closes the descriptor, or has the writer do it. */
void tn_out_close(tn_conn *conn);

/* ---- dist.c --------------------------------------------------------------- */

/* One of 0 to below - 1, that nobody outside can foresee well. */
uint32_t tn_dist_draw(uint32_t below);
/* That node's cookie. */
const char *tn_dist_cookie_of(const tn_dist *dist, const char *peer);

/* Called with conn->lock held: the loop is to look at this connection. */
void tn_dist_want(tn_conn *conn);
/* Perhaps the last thing of a dist that stops has ended. */
void tn_dist_settle(tn_dist *dist);
/* The callback for uv_close of a dist's handles. */
void tn_dist_handle_closed(uv_handle_t *handle);

#endif
