/* SPDX-License-Identifier: Apache-2.0 */
#include "transport_peer.h"
#include <netinet/in.h>

/* Networks that nobody on the internet has for himself (IANA's special-purpose registries). */
static const struct {
    uint8_t network[4];
    uint8_t bits;
} special_v4[] = {
    {{0, 0, 0, 0}, 8},      {{10, 0, 0, 0}, 8},    {{100, 64, 0, 0}, 10}, {{127, 0, 0, 0}, 8},
    {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12}, {{192, 0, 0, 0}, 24},  {{192, 168, 0, 0}, 16},
    {{198, 18, 0, 0}, 15},  {{224, 0, 0, 0}, 3},
};

static uint32_t number(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_v4_public(const uint8_t address[4])
{
    for (size_t i = 0; i < sizeof(special_v4) / sizeof(*special_v4); i++) {
        uint32_t mask = UINT32_MAX << (32 - special_v4[i].bits);
        if ((number(address) & mask) == number(special_v4[i].network)) {
            return false;
        }
    }
    return true;
}

/* Global unicast is 2000::/3; in 2002::/16, 64:ff9b::/96 and ::ffff:0:0/96 is an IPv4 address. */
static bool is_v6_public(const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t translated[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(address, mapped, sizeof(mapped)) == 0 ||
        memcmp(address, translated, sizeof(translated)) == 0) {
        return is_v4_public(address + 12);
    }
    if (address[0] == 0x20 && address[1] == 0x02) {
        return is_v4_public(address + 2);
    }
    return (address[0] & 0xe0) == 0x20;
}

bool weir_transport_peer_is_public(const struct sockaddr *address, size_t size)
{
    if (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        return is_v4_public((const uint8_t *)&v4.sin_addr);
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        return is_v6_public(v6.sin6_addr.s6_addr);
    }
    return false;
}
