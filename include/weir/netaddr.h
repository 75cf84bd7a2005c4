/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NETADDR_H
#define WEIR_NETADDR_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Where a connection comes from, as a value: 16 bytes for both families (IPv4 as ::ffff:a.b.c.d),
 * so that comparing, hashing and matching networks need no second way. Pure; any thread.
 */
struct weir_netaddr {
    uint8_t ip[16];
    uint16_t port;
    bool known; /* false: neither IPv4 nor IPv6, or nobody could say */
};

struct weir_network {
    uint8_t ip[16];
    uint8_t bits; /* of the 128: an IPv4 network's are 96 more than written */
};

#define WEIR_NETADDR_TEXT_MAX 56 /* "[8 x 4 digits]:65535" and the terminator, and some */

struct sockaddr_storage;

/* The address of a socket's name; not known where its family is neither IPv4 nor IPv6. */
struct weir_netaddr weir_netaddr_of_socket(const struct sockaddr_storage *name);

/* Of an address alone, as inet_pton reads it, of the family that is asked for (a dotted quad with
 * `ipv6` false). WEIR_EINVAL; *ret is untouched then. */
WEIR_MUST_USE enum weir_status weir_netaddr_parse(struct weir_bytes text, bool ipv6, uint16_t port,
                                                  struct weir_netaddr *ret);

/* "192.0.2.1:1234", "[2001:db8::1]:1234" or "unknown", terminated. */
void weir_netaddr_text(const struct weir_netaddr *address, char ret[WEIR_NETADDR_TEXT_MAX]);

/* "10.0.0.0/8", "2001:db8::/32"; without a slash one address. WEIR_EINVAL where it is neither, or
 * has bits behind its prefix ("10.0.0.1/8"); *ret is untouched then. */
WEIR_MUST_USE enum weir_status weir_netaddr_network(const char *text, struct weir_network *ret);

/* Whether the address is of the network; one that is not known is of none. */
bool weir_netaddr_within(const struct weir_netaddr *address, const struct weir_network *network);

#endif
