/* SPDX-License-Identifier: Apache-2.0 */
/* A peer by hand for fuzz targets: one thread, one socket, and what the other
 * end says is read while anything is written. Times out only when the node
 * does not answer at all. */
#ifndef TN_FUZZ_PEER_H
#define TN_FUZZ_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dist/flags.h"
#include "dist/frame.h"
#include "dist/handshake.h"
#include "dist/signal.h"
#include "fuzz/must.h"

#define PEER_COOKIE "fuzz"
#define PEER_CREATION 9u
/* Longer than any loaded machine takes; only a node that hangs lasts longer. */
#define PEER_DEADLINE_MS 120000
#define PEER_READ_BYTES 16384u
#define PEER_FRAME_MAX_BYTES (64u << 20)

struct peer {
    int fd; /* -1: not connected, or closed by the node */
    const char *name;
    const char *node; /* at the other end */
    struct tn_buf in, out;
    uint64_t acked; /* id of the last UNLINK_ACK */
    /* Called for each signal that comes. */
    void (*on_signal)(void *user, const struct tn_signal *signal);
    void *user;
};

static inline void peer_close(struct peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    peer->fd = -1;
    tn_buf_fini(&peer->in);
    tn_buf_fini(&peer->out);
}

static inline void peer_read(struct peer *peer)
{
    uint8_t *at;

    MUST(tn_buf_reserve(&peer->in, PEER_READ_BYTES, &at) == TENON_OK);
    ssize_t n = recv(peer->fd, at, PEER_READ_BYTES, 0);

    if (n > 0) {
        peer->in.len += (size_t)n;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        peer_close(peer);
    }
}

static inline void peer_write(struct peer *peer)
{
    ssize_t n = send(peer->fd, peer->out.bytes, peer->out.len, MSG_NOSIGNAL);

    if (n > 0) {
        tn_buf_consume(&peer->out, (size_t)n);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        peer_close(peer);
    }
}

/* Waits until something can be read, or written when there is something. */
static inline void peer_turn(struct peer *peer)
{
    struct pollfd ready = { .fd = peer->fd, .events = POLLIN };

    if (peer->out.len > 0) {
        ready.events |= POLLOUT;
    }
    int n = poll(&ready, 1, PEER_DEADLINE_MS);

    MUST(n > 0 || (n < 0 && errno == EINTR));
    if ((ready.revents & ~POLLOUT) != 0) {
        peer_read(peer);
    }
    if (peer->fd >= 0 && (ready.revents & POLLOUT) != 0) {
        peer_write(peer);
    }
}

/* ---- coming up --------------------------------------------------------- */

static inline enum tn_handshake_event peer_step(struct peer *peer,
                                                struct tn_handshake *hs)
{
    size_t len, used;
    const uint8_t *bytes = tn_handshake_out(hs, &len);

    MUST(tn_buf_append(&peer->out, bytes, len) == TENON_OK);
    tn_handshake_sent(hs, len);
    peer_turn(peer);
    if (peer->fd < 0) {
        return TN_HANDSHAKE_FAILED;
    }
    enum tn_handshake_event event =
        tn_handshake_feed(hs, peer->in.bytes, peer->in.len, &used, NULL);

    tn_buf_consume(&peer->in, used);
    return event == TN_HANDSHAKE_ALIVE ? tn_handshake_alive(hs, true, NULL)
                                       : event;
}

/* Without blocking, since libFuzzer interrupts what blocks. */
static inline int peer_socket(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1, error = 0;
    socklen_t len = sizeof error;

    MUST(fd >= 0);
    MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        struct pollfd ready = { .fd = fd, .events = POLLOUT };

        MUST(errno == EINPROGRESS || errno == EINTR);
        while (poll(&ready, 1, PEER_DEADLINE_MS) < 0) {
            MUST(errno == EINTR);
        }
        MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
    }
    if (error != 0) {
        fprintf(stderr, "connecting: %s\n", strerror(error));
    }
    MUST(error == 0);
    return fd;
}

/* Connects to `peer->node`, and is up at the return. */
static inline void peer_open(struct peer *peer, uint16_t port, uint64_t flags)
{
    const struct tn_handshake_config config = {
        .name = peer->name,
        .cookie = PEER_COOKIE,
        .creation = PEER_CREATION,
        .flags = flags,
        .mandatory = TN_FLAGS_MANDATORY,
        .peer = peer->node,
    };
    struct tn_handshake hs;
    enum tn_handshake_event event = TN_HANDSHAKE_MORE;

    tn_buf_init(&peer->in, SIZE_MAX);
    tn_buf_init(&peer->out, SIZE_MAX);
    peer->fd = peer_socket(port);
    MUST(tn_handshake_init(&hs, &config, NULL) == TENON_OK);
    while (event == TN_HANDSHAKE_MORE) {
        event = peer_step(peer, &hs);
    }
    MUST(event == TN_HANDSHAKE_DONE);
}

/* ---- signals ----------------------------------------------------------- */

static inline void peer_heard(struct peer *peer, const struct tn_frame *frame)
{
    struct tn_signal signal;

    /* Nothing for which a BEAM node would close the connection. */
    MUST(tn_signal_parse(frame->body, frame->len, &signal, NULL) == TENON_OK);
    MUST(tn_signal_from_peer(&signal, peer->node));
    MUST(!tn_signal_is_stale_exit(&signal, peer->name, PEER_CREATION));
    if (signal.kind == TN_SIG_UNLINK_ACK) {
        peer->acked = signal.id;
    }
    peer->on_signal(peer->user, &signal);
}

/* Takes what has come. */
static inline void peer_hear(struct peer *peer)
{
    struct tn_frame frame = { .kind = TN_FRAME_TICK };

    while (peer->fd >= 0 && peer->in.len > 0) {
        MUST(tn_frame_next(peer->in.bytes, peer->in.len, PEER_FRAME_MAX_BYTES,
                           &frame, NULL) == TENON_OK);
        if (frame.kind == TN_FRAME_MORE) {
            return;
        }
        if (frame.kind == TN_FRAME_BODY) {
            peer_heard(peer, &frame);
        }
        tn_buf_consume(&peer->in, frame.whole);
    }
}

static inline void peer_say(struct peer *peer, const struct tn_signal *signal)
{
    if (peer->fd >= 0) {
        (void)!tn_signal_encode(&peer->out, signal, TN_FLAGS_OURS, NULL);
    }
}

/* All that was said before has been handled when this returns, or the node has
 * closed the connection: frames of one connection are handled in order. to: a
 * process of the node. */
static inline void
peer_settle(struct peer *peer, tenon_term from, tenon_term to)
{
    static uint64_t last = UINT64_C(1) << 40;

    last++;
    peer_say(peer,
             &(struct tn_signal){
                 .kind = TN_SIG_UNLINK, .from = from, .to = to, .id = last });
    while (peer->fd >= 0 && peer->acked != last) {
        peer_turn(peer);
        peer_hear(peer);
    }
}

/* Says what is left to say, and that this was all; the node, which may still
 * wait for the rest of a frame, closes. */
static inline void peer_finish(struct peer *peer)
{
    while (peer->fd >= 0 && peer->out.len > 0) {
        peer_turn(peer);
        peer_hear(peer);
    }
    if (peer->fd >= 0) {
        (void)shutdown(peer->fd, SHUT_WR);
    }
    while (peer->fd >= 0) {
        peer_turn(peer);
        peer_hear(peer);
    }
}

#endif
