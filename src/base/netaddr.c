/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and networks as values: see the header. */
#include "weir/netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(const uint8_t ip[16])
{
    return memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0;
}

struct weir_netaddr weir_netaddr_of_socket(const struct sockaddr_storage *name)
{
    struct weir_netaddr address = {.known = false};
    if (name->ss_family == AF_INET) {
        struct sockaddr_in from;
        memcpy(&from, name, sizeof from);
        memcpy(address.ip, mapped_prefix, sizeof mapped_prefix);
        memcpy(address.ip + sizeof mapped_prefix, &from.sin_addr, 4);
        address.port = ntohs(from.sin_port);
        address.known = true;
    } else if (name->ss_family == AF_INET6) {
        struct sockaddr_in6 from;
        memcpy(&from, name, sizeof from);
        memcpy(address.ip, &from.sin6_addr, sizeof address.ip);
        address.port = ntohs(from.sin6_port);
        address.known = true;
    }
    return address;
}

enum weir_status weir_netaddr_parse(struct weir_bytes text, bool ipv6, uint16_t port,
                                    struct weir_netaddr *ret)
{
    char terminated[INET6_ADDRSTRLEN];
    if (text.size == 0 || text.size >= sizeof terminated ||
        memchr(text.data, '\0', text.size) != NULL) {
        return WEIR_EINVAL;
    }
    memcpy(terminated, text.data, text.size);
    terminated[text.size] = '\0';
    struct weir_netaddr address = {.port = port, .known = true};
    uint8_t *at = address.ip;
    if (!ipv6) {
        memcpy(address.ip, mapped_prefix, sizeof mapped_prefix);
        at += sizeof mapped_prefix;
    }
    if (inet_pton(ipv6 ? AF_INET6 : AF_INET, terminated, at) != 1) {
        return WEIR_EINVAL;
    }
    *ret = address;
    return WEIR_OK;
}

void weir_netaddr_text(const struct weir_netaddr *address, char ret[WEIR_NETADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "";
    if (!address->known) {
        (void)snprintf(ret, WEIR_NETADDR_TEXT_MAX, "unknown");
        return;
    }
    bool mapped = is_mapped(address->ip);
    (void)inet_ntop(mapped ? AF_INET : AF_INET6,
                    mapped ? address->ip + sizeof mapped_prefix : address->ip, ip, sizeof ip);
    (void)snprintf(ret, WEIR_NETADDR_TEXT_MAX, mapped ? "%s:%u" : "[%s]:%u", ip,
                   (unsigned)address->port);
}

/* "8" of "/8": 1 to 3 digits without a leading zero, at most `most`; false else. */
static bool parse_bits(struct weir_bytes text, unsigned most, unsigned *ret)
{
    unsigned value = 0;
    if (text.size == 0 || text.size > 3 || (text.size > 1 && text.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    *ret = value;
    return value <= most;
}

/* Whether all bits from `bits` on are 0. */
static bool is_clear_from(const uint8_t ip[16], unsigned bits)
{
    for (unsigned i = bits; i < 128; i++) {
        if ((ip[i / 8] >> (7 - i % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

enum weir_status weir_netaddr_network(const char *text, struct weir_network *ret)
{
    struct weir_bytes whole = weir_bytes_str(text);
    const char *slash = strchr(text, '/');
    size_t size = slash == NULL ? whole.size : (size_t)(slash - text);
    bool ipv6 = strchr(text, ':') != NULL;
    struct weir_netaddr address;
    WEIR_TRY(weir_netaddr_parse(weir_bytes_of(text, size), ipv6, 0, &address));
    unsigned most = ipv6 ? 128 : 32;
    unsigned bits = most;
    if (slash != NULL && !parse_bits(weir_bytes_str(slash + 1), most, &bits)) {
        return WEIR_EINVAL;
    }
    bits += ipv6 ? 0 : 96;
    if (!is_clear_from(address.ip, bits)) {
        return WEIR_EINVAL;
    }
    memcpy(ret->ip, address.ip, sizeof ret->ip);
    ret->bits = (uint8_t)bits;
    return WEIR_OK;
}

bool weir_netaddr_within(const struct weir_netaddr *address, const struct weir_network *network)
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (!address->known || memcmp(address->ip, network->ip, whole) != 0) {
        return false;
    }
    return rest == 0 || (address->ip[whole] ^ network->ip[whole]) >> (8 - rest) == 0;
}
