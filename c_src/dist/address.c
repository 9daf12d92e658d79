/* SPDX-License-Identifier: Apache-2.0 */
#include "dist/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

int tn_address_family(const struct tn_address *address)
{
    return address->at.any.sa_family;
}

static bool is_v6(const struct tn_address *address)
{
    return tn_address_family(address) == AF_INET6;
}

socklen_t tn_address_len(const struct tn_address *address)
{
    return is_v6(address) ? sizeof address->at.v6 : sizeof address->at.v4;
}

struct tn_address tn_address_all(int family)
{
    struct tn_address address = { 0 };

    /* All zero is what both families call any address. */
    address.at.any.sa_family = (sa_family_t)family;
    return address;
}

struct tn_address tn_address_loopback(int family)
{
    struct tn_address address = tn_address_all(family);

    if (is_v6(&address)) {
        address.at.v6.sin6_addr = in6addr_loopback;
    } else {
        address.at.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    return address;
}

bool tn_address_parse(const char *text, int family, struct tn_address *address)
{
    *address = tn_address_all(family);
    return inet_pton(family, text,
                     is_v6(address) ? (void *)&address->at.v6.sin6_addr
                                    : (void *)&address->at.v4.sin_addr) == 1;
}

bool tn_address_take(const struct sockaddr *found,
                     socklen_t len,
                     int family,
                     struct tn_address *address)
{
    *address = tn_address_all(family);
    if (found->sa_family != family || len < tn_address_len(address)) {
        return false;
    }
    memcpy(&address->at, found, tn_address_len(address));
    return true;
}

bool tn_address_is_same_source(const struct tn_address *one,
                               const struct tn_address *other)
{
    if (tn_address_family(one) != tn_address_family(other)) {
        return false;
    }
    return is_v6(one)
               ? memcmp(&one->at.v6.sin6_addr, &other->at.v6.sin6_addr, 8) == 0
               : one->at.v4.sin_addr.s_addr == other->at.v4.sin_addr.s_addr;
}

uint16_t tn_address_port(const struct tn_address *address)
{
    return ntohs(is_v6(address) ? address->at.v6.sin6_port
                                : address->at.v4.sin_port);
}

void tn_address_set_port(struct tn_address *address, uint16_t port)
{
    if (is_v6(address)) {
        address->at.v6.sin6_port = htons(port);
    } else {
        address->at.v4.sin_port = htons(port);
    }
}

const char *tn_address_print(const struct tn_address *address,
                             char buf[TN_ADDRESS_TEXT_BYTES])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    unsigned port = tn_address_port(address);

    if (is_v6(address)) {
        inet_ntop(AF_INET6, &address->at.v6.sin6_addr, ip, sizeof ip);
        snprintf(buf, TN_ADDRESS_TEXT_BYTES, "[%s]:%u", ip, port);
    } else {
        inet_ntop(AF_INET, &address->at.v4.sin_addr, ip, sizeof ip);
        snprintf(buf, TN_ADDRESS_TEXT_BYTES, "%s:%u", ip, port);
    }
    return buf;
}
