/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_HEADER_H
#define WEIR_PROXY_HEADER_H

#include "weir/netaddr.h"

/*
 * The PROXY protocol's header, versions 1 and 2 (HAProxy's proxy-protocol.txt): what a balancer
 * says of a connection before the connection's own first byte. Strict and bounded: version 1 is a
 * line of at most 107 bytes in its exact grammar; version 2 has at most WEIR_PROXY_HEADER_MAX bytes
 * behind its length, TCP over IPv4 or IPv6 (or LOCAL, or an unspecified family, which tell
 * nothing), extensions that fill the rest exactly, and a CRC-32C that is right where there is one.
 * Pure; fed with whatever came, byte by byte or whole, always with the same result.
 */
#define WEIR_PROXY_HEADER_MAX  4096
#define WEIR_PROXY_LINE_MAX    107
#define WEIR_PROXY_HEADER_KEPT 108 /* a line, or version 2's fixed part and addresses */

struct weir_proxy_header {
    uint16_t size;    /* bytes taken so far */
    uint16_t whole;   /* version 2, once its length is known: of the whole header */
    uint16_t fixed;   /* where its extensions begin; `whole` where they are not looked at */
    uint8_t version;  /* 1 or 2, from the first byte on */
    uint8_t tlv_have; /* of an extension's type and length */
    uint8_t tlv_type;
    uint16_t tlv_left;
    uint8_t checksums; /* extensions that hold one */
    uint32_t computed;
    uint32_t claimed;
    uint8_t kept[WEIR_PROXY_HEADER_KEPT];
    bool told; /* complete, and it names the two addresses */
    struct weir_netaddr source;
    struct weir_netaddr destination;
};

/* Before the first byte. */
void weir_proxy_header_init(struct weir_proxy_header *header);

/* Takes from the front of `input`, *ret_consumed bytes. WEIR_OK: the header is complete, and what
 * is behind *ret_consumed is the connection's. WEIR_EAGAIN: all was taken, more is needed.
 * WEIR_EMALFORMED, WEIR_ELIMIT (over WEIR_PROXY_HEADER_MAX), WEIR_EUNSUPPORTED (another version,
 * command or family): *ret_reason is a static sentence, and *ret_consumed is untouched. Not to be
 * called again after anything but WEIR_EAGAIN. */
WEIR_MUST_USE enum weir_status weir_proxy_header_feed(struct weir_proxy_header *header,
                                                      struct weir_bytes input, size_t *ret_consumed,
                                                      const char **ret_reason);

#endif
