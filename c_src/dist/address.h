/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses of both IP families: as text, from text, of loopback. */
#ifndef TN_DIST_ADDRESS_H
#define TN_DIST_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* "[xxxx:...:255.255.255.255]:65535" and NUL */
#define TN_ADDRESS_TEXT_BYTES (INET6_ADDRSTRLEN + 8)

struct tn_address {
    union {
        struct sockaddr any; /* its sa_family says which */
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};

/* AF_INET or AF_INET6: what it is said to be when it was made. */
int tn_address_family(const struct tn_address *address);
socklen_t tn_address_len(const struct tn_address *address);

/* family: AF_INET or AF_INET6, as for all below. All addresses of this
 * machine, with port 0; its loopback address. */
struct tn_address tn_address_all(int family);
struct tn_address tn_address_loopback(int family);
/* False when the text is no numeric address of that family ("10.0.0.7",
 * "fe80::1"). The port is 0. */
bool tn_address_parse(const char *text, int family, struct tn_address *address);
/* False when it is of another family (what getaddrinfo found). */
bool tn_address_take(const struct sockaddr *found,
                     socklen_t len,
                     int family,
                     struct tn_address *address);

/* Whether both are likely to be of one machine: the same address, or with IPv6
 * the same /64, all of which a machine may use as it likes. */
bool tn_address_is_same_source(const struct tn_address *one,
                               const struct tn_address *other);

uint16_t tn_address_port(const struct tn_address *address);
void tn_address_set_port(struct tn_address *address, uint16_t port);

/* "10.0.0.7:4369", "[::1]:4369". Returns buf. */
const char *tn_address_print(const struct tn_address *address,
                             char buf[TN_ADDRESS_TEXT_BYTES]);

#endif
