/* SPDX-License-Identifier: Apache-2.0 */
/* Non-blocking IPv4 stream sockets, closed on exec, that raise no SIGPIPE.
 * One system call each; no waiting. */
#ifndef TN_DIST_SOCK_H
#define TN_DIST_SOCK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* "255.255.255.255:65535" and NUL */
#define TN_ADDRESS_TEXT_BYTES 24

/* Each returns a descriptor or -errno. */
int tn_sock_new(void);
int tn_sock_accept(int listening, struct sockaddr_in *peer);
/* Bound to all addresses and listening. *port: 0 lets the system choose; set
 * to the port that was had. */
int tn_sock_listen(uint16_t *port);

/* Starts to connect. 0 when connected at once, 1 when it is under way, or
 * -errno. */
int tn_sock_connect(int fd, const struct sockaddr_in *to);
/* How a connect that was under way ended: 0 or -errno. */
int tn_sock_connected(int fd);

/* Bytes moved, 0 at the peer's end (reading), or -errno; -EAGAIN when it
 * would block. Interrupted calls are repeated. */
ssize_t tn_sock_read(int fd, void *bytes, size_t len);
ssize_t tn_sock_write(int fd, const void *bytes, size_t len);

/* Small packets leave at once: every flush is one batch already. */
void tn_sock_no_delay(int fd);

/* "address:port". */
const char *tn_sock_print(const struct sockaddr_in *address,
                          char buf[TN_ADDRESS_TEXT_BYTES]);

#endif
