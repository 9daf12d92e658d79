/* SPDX-License-Identifier: Apache-2.0 */
/* Non-blocking stream sockets, closed on exec, that raise no SIGPIPE.
 * One system call each; no waiting. */
#ifndef TN_DIST_SOCK_H
#define TN_DIST_SOCK_H

#include <stddef.h>
#include <sys/types.h>

#include "dist/address.h"

/* Each returns a descriptor or -errno. */
int tn_sock_new(int family);
int tn_sock_accept(int listening, struct tn_address *peer);
/* Bound to the address and listening. Its port: 0 lets the system choose; set
 * to the port that was had. */
int tn_sock_listen(struct tn_address *at);

/* Starts to connect. 0 when connected at once, 1 when it is under way, or
 * -errno. */
int tn_sock_connect(int fd, const struct tn_address *to);
/* How a connect that was under way ended: 0 or -errno. */
int tn_sock_connected(int fd);

/* Bytes moved, 0 at the peer's end (reading), or -errno; -EAGAIN when it
 * would block. Interrupted calls are repeated. */
ssize_t tn_sock_read(int fd, void *bytes, size_t len);
ssize_t tn_sock_write(int fd, const void *bytes, size_t len);

/* No more bytes to the peer, which sees the end behind those it has got. */
void tn_sock_end(int fd);

/* Small packets leave at once: every flush is one batch already. */
void tn_sock_no_delay(int fd);

#endif
