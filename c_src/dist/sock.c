/* SPDX-License-Identifier: Apache-2.0 */
/* The socket calls, with what differs between Linux and macOS. */
#include "dist/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that wait for accept. */
#define BACKLOG 128

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#ifdef __linux__
int tn_sock_new(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

static int accept_once(int listening, struct tn_address *peer)
{
    socklen_t len = sizeof peer->at;

    return accept4(listening, &peer->at.any, &len,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#else
static int prepared(int fd)
{
    int one = 1;

    if (fd < 0) {
        return -errno;
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one) < 0) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    return fd;
}

int tn_sock_new(int family)
{
    return prepared(socket(family, SOCK_STREAM, 0));
}

static int accept_once(int listening, struct tn_address *peer)
{
    socklen_t len = sizeof peer->at;
    int fd = accept(listening, &peer->at.any, &len);
    int rc = fd < 0 ? fd : prepared(fd);

    if (rc < -1) {
        errno = -rc;
        return -1;
    }
    return rc;
}
#endif

int tn_sock_accept(int listening, struct tn_address *peer)
{
    int fd;

    memset(peer, 0, sizeof *peer);
    do {
        fd = accept_once(listening, peer);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd < 0 ? -errno : fd;
}

static int listen_on(int fd, struct tn_address *at)
{
    socklen_t len = tn_address_len(at);
    int one = 1;

    /* A restarted node gets its fixed port again although connections of its
     * former life linger. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, &at->at.any, len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, &at->at.any, &len) < 0) {
        return -errno;
    }
    return 0;
}

int tn_sock_listen(struct tn_address *at)
{
    int fd = tn_sock_new(tn_address_family(at));

    if (fd < 0) {
        return fd;
    }
    int rc = listen_on(fd, at);

    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

int tn_sock_connect(int fd, const struct tn_address *to)
{
    if (connect(fd, &to->at.any, tn_address_len(to)) == 0) {
        return 0;
    }
    /* An interrupted connect goes on by itself. */
    return errno == EINPROGRESS || errno == EINTR ? 1 : -errno;
}

int tn_sock_connected(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return -errno;
    }
    return -error;
}

ssize_t tn_sock_read(int fd, void *bytes, size_t len)
{
    ssize_t n;

#ifdef TN_HOSTILE
    len = len > 0;
#endif
    do {
        n = recv(fd, bytes, len, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    }
    return n;
}

ssize_t tn_sock_write(int fd, const void *bytes, size_t len)
{
    ssize_t n;

    do {
        n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    }
    return n;
}

void tn_sock_end(int fd)
{
    /* It fails where the peer is gone already. */
    (void)shutdown(fd, SHUT_WR);
}

void tn_sock_no_delay(int fd)
{
    int one = 1;

    /* Without it the connection is slower, not broken. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}
