/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PROXY protocol's header, a byte at a time.
 *
 *   version 1   PROXY TCP4 192.0.2.1 198.51.100.1 51234 443 CRLF     (a line, 107 bytes at most)
 *               PROXY UNKNOWN ... CRLF
 *   version 2   0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | 2c | fp | length     16 bytes, then `length`:
 *               source address, destination address, two ports             12 (IPv4) or 36 (IPv6)
 *               type | length | value, ...                                 to the end exactly
 *
 *   first byte P ──► line ──────────────────────────────────► parse_line ──► done
 *   first byte CR ─► fixed part ─► addresses ─► extensions ──► conclude ───► done
 *                                  LOCAL, no family: all skipped ──────────► done
 *
 * Why strict: whoever can speak this header can say where a connection comes from. It is read only
 * from networks that were named, and a balancer there either speaks it exactly or is not one.
 *
 * Invariants
 *   I1  `size` bytes were taken, and the first WEIR_PROXY_HEADER_KEPT of them are kept; nothing
 *       else of the header is in memory, however long its extensions are.
 *   I2  Not one byte behind the header is taken.
 *   I3  The answer is decided byte by byte, so how the stream was cut cannot matter.
 *   I4  `told` only where both addresses were read and everything else held.
 *
 * Bounded by its own length, at most WEIR_PROXY_HEADER_MAX + 16; the caller bounds the time. Pure:
 * no allocation, no clock, no log; any thread.
 *
 * Not done here: UNIX sockets and datagrams (no balancer has them in front of HTTP), and what the
 * extensions say (ALPN, the TLS of the other side, AWS's endpoint id): they are skipped.
 */
#include "weir/proxy_header.h"

#include "weir/crc32c.h"
#include "weir/panic.h"

#define FIXED_BYTES  16
#define IPV4_BYTES   12
#define IPV6_BYTES   36
#define TLV_HEAD     3
#define TLV_CHECKSUM 3

static const struct weir_bytes signature = WEIR_BYTES_INIT("\r\n\r\n\0\r\nQUIT\n");
static const struct weir_bytes word = WEIR_BYTES_INIT("PROXY ");

enum { FAMILY_NONE = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21 };

struct failure {
    const char *reason;
};

static enum weir_status fail(struct failure *failure, enum weir_status status, const char *reason)
{
    failure->reason = reason;
    return status;
}

void weir_proxy_header_init(struct weir_proxy_header *header)
{
    *header = (struct weir_proxy_header){.size = 0};
}

/* The bytes before the next space, which is taken too, or all that is left. */
static struct weir_bytes next_part(struct weir_bytes *rest)
{
    const uint8_t *space = rest->size == 0 ? NULL : memchr(rest->data, ' ', rest->size);
    size_t size = space == NULL ? rest->size : (size_t)(space - rest->data);
    struct weir_bytes part = weir_bytes_of(rest->data, size);
    *rest = weir_bytes_from(*rest, size + 1);
    return part;
}

/* 0 to 65535, without a leading zero. */
static bool parse_port(struct weir_bytes text, uint16_t *ret)
{
    uint32_t port = 0;
    if (text.size == 0 || text.size > 5 || (text.size > 1 && text.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    *ret = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* Two addresses and two ports, one space between, and nothing behind. */
static bool parse_addresses(struct weir_proxy_header *header, struct weir_bytes rest, bool ipv6)
{
    size_t spaces = 0;
    for (size_t i = 0; i < rest.size; i++) {
        spaces += rest.data[i] == ' ';
    }
    struct weir_bytes source = next_part(&rest);
    struct weir_bytes destination = next_part(&rest);
    uint16_t from = 0;
    uint16_t to = 0;
    return spaces == 3 && parse_port(next_part(&rest), &from) &&
           parse_port(next_part(&rest), &to) &&
           weir_netaddr_parse(source, ipv6, from, &header->source) == WEIR_OK &&
           weir_netaddr_parse(destination, ipv6, to, &header->destination) == WEIR_OK;
}

/* The line without its CRLF. */
static enum weir_status parse_line(struct weir_proxy_header *header, struct failure *failure)
{
    struct weir_bytes rest = weir_bytes_of(header->kept + word.size, header->size - word.size - 2u);
    if (weir_bytes_eq(rest, WEIR_BYTES("UNKNOWN")) ||
        weir_bytes_starts_with(rest, WEIR_BYTES("UNKNOWN "))) {
        return WEIR_OK; /* whatever follows is to be ignored */
    }
    struct weir_bytes protocol = next_part(&rest);
    bool ipv6 = weir_bytes_eq(protocol, WEIR_BYTES("TCP6"));
    if (!ipv6 && !weir_bytes_eq(protocol, WEIR_BYTES("TCP4"))) {
        return fail(failure, WEIR_EUNSUPPORTED, "the PROXY line names another protocol than TCP");
    }
    header->told = parse_addresses(header, rest, ipv6);
    return header->told ? WEIR_OK
                        : fail(failure, WEIR_EMALFORMED,
                               "the PROXY line's addresses or ports cannot be read");
}

/* One byte of version 1; it is in `kept` already. */
static enum weir_status step_line(struct weir_proxy_header *header, uint8_t byte,
                                  struct failure *failure)
{
    size_t at = header->size - 1u;
    if (at < word.size) {
        return byte == word.data[at] ? WEIR_EAGAIN
                                     : fail(failure, WEIR_EMALFORMED, "this is no PROXY header");
    }
    bool after_cr = header->kept[at - 1] == '\r';
    if (after_cr) {
        return byte == '\n' ? parse_line(header, failure)
                            : fail(failure, WEIR_EMALFORMED, "the PROXY line does not end in CRLF");
    }
    if (byte != '\r' && (byte < ' ' || byte > '~')) {
        return fail(failure, WEIR_EMALFORMED, "the PROXY line has a control character");
    }
    if (header->size == WEIR_PROXY_LINE_MAX) { /* what would be its last byte is no LF */
        return fail(failure, WEIR_ELIMIT, "the PROXY line is over 107 bytes");
    }
    return WEIR_EAGAIN;
}

static uint16_t u16_of(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The 16 bytes are there: what follows them, and how much. */
static enum weir_status read_fixed(struct weir_proxy_header *header, struct failure *failure)
{
    uint8_t command = header->kept[12];
    uint8_t family = header->kept[13];
    uint16_t length = u16_of(header->kept + 14);
    if (command != 0x20 && command != 0x21) {
        return fail(failure, WEIR_EUNSUPPORTED, "the PROXY header has another version or command");
    }
    if (length > WEIR_PROXY_HEADER_MAX) {
        return fail(failure, WEIR_ELIMIT, "the PROXY header is over 4 KiB");
    }
    header->whole = (uint16_t)(FIXED_BYTES + length);
    header->fixed = header->whole;
    if (command == 0x20 || family == FAMILY_NONE) {
        return WEIR_OK; /* the balancer's own connection: nothing of it counts */
    }
    if (family != FAMILY_TCP4 && family != FAMILY_TCP6) {
        return fail(failure, WEIR_EUNSUPPORTED, "the PROXY header is not of TCP");
    }
    uint16_t addresses = family == FAMILY_TCP4 ? IPV4_BYTES : IPV6_BYTES;
    header->fixed = (uint16_t)(FIXED_BYTES + addresses);
    return length >= addresses
               ? WEIR_OK
               : fail(failure, WEIR_EMALFORMED, "the PROXY header is shorter than its addresses");
}

/* One byte of the extensions. What it counts into the checksum: itself, or 0 for the checksum. */
static enum weir_status step_extension(struct weir_proxy_header *header, uint8_t byte,
                                       uint8_t *ret_counted, struct failure *failure)
{
    if (header->tlv_have < TLV_HEAD) {
        if (header->tlv_have == 0) {
            header->tlv_type = byte;
            header->tlv_left = 0;
        } else {
            header->tlv_left = (uint16_t)(header->tlv_left << 8 | byte);
        }
        header->tlv_have++;
        bool checksum = header->tlv_have == TLV_HEAD && header->tlv_type == TLV_CHECKSUM;
        header->checksums = (uint8_t)(header->checksums + checksum);
        if (checksum && (header->tlv_left != 4 || header->checksums > 1)) {
            return fail(failure, WEIR_EMALFORMED,
                        "the PROXY header's checksum is not one of 4 bytes");
        }
    } else {
        header->tlv_left--;
        if (header->tlv_type == TLV_CHECKSUM) {
            header->claimed = header->claimed << 8 | byte;
            *ret_counted = 0;
        }
    }
    if (header->tlv_have == TLV_HEAD) {
        if (header->tlv_left > header->whole - header->size) {
            return fail(failure, WEIR_EMALFORMED, "a PROXY extension is longer than the header");
        }
        header->tlv_have = header->tlv_left == 0 ? 0 : TLV_HEAD;
    }
    return WEIR_EAGAIN;
}

static struct weir_netaddr address_of(const uint8_t *ip, size_t size, uint16_t port)
{
    struct weir_netaddr address = {.port = port, .known = true};
    if (size == 4) {
        address.ip[10] = address.ip[11] = 0xff;
    }
    memcpy(address.ip + sizeof address.ip - size, ip, size);
    return address;
}

/* All `whole` bytes are there. */
static enum weir_status conclude(struct weir_proxy_header *header, struct failure *failure)
{
    size_t ip = header->kept[13] == FAMILY_TCP4 ? 4 : 16;
    const uint8_t *at = header->kept + FIXED_BYTES;
    if (header->kept[12] == 0x20 || header->kept[13] == FAMILY_NONE) {
        return WEIR_OK;
    }
    if (header->tlv_have != 0) {
        return fail(failure, WEIR_EMALFORMED, "the PROXY header ends inside an extension");
    }
    if (header->checksums > 0 && header->claimed != header->computed) {
        return fail(failure, WEIR_EMALFORMED, "the PROXY header's checksum is wrong");
    }
    header->source = address_of(at, ip, u16_of(at + 2 * ip));
    header->destination = address_of(at + ip, ip, u16_of(at + 2 * ip + 2));
    header->told = true;
    return WEIR_OK;
}

/* One byte of version 2; it is counted in `size` already. */
static enum weir_status step_binary(struct weir_proxy_header *header, uint8_t byte,
                                    struct failure *failure)
{
    uint8_t counted = byte;
    if (header->size <= signature.size) {
        if (byte != signature.data[header->size - 1]) {
            return fail(failure, WEIR_EMALFORMED, "this is no PROXY header");
        }
    } else if (header->size == FIXED_BYTES) {
        WEIR_TRY(read_fixed(header, failure));
    } else if (header->size > FIXED_BYTES && header->size > header->fixed) {
        enum weir_status status = step_extension(header, byte, &counted, failure);
        if (status != WEIR_EAGAIN) {
            return status;
        }
    }
    header->computed = weir_crc32c(header->computed, weir_bytes_of(&counted, 1));
    bool whole = header->size >= FIXED_BYTES && header->size == header->whole;
    return whole ? conclude(header, failure) : WEIR_EAGAIN;
}

static enum weir_status step(struct weir_proxy_header *header, uint8_t byte,
                             struct failure *failure)
{
    if (header->size == 0) {
        header->version = byte == 'P' ? 1 : 2;
    }
    if (header->size < sizeof header->kept) {
        header->kept[header->size] = byte;
    }
    header->size++;
    return header->version == 1 ? step_line(header, byte, failure)
                                : step_binary(header, byte, failure);
}

enum weir_status weir_proxy_header_feed(struct weir_proxy_header *header, struct weir_bytes input,
                                        size_t *ret_consumed, const char **ret_reason)
{
    struct failure failure = {NULL};
    enum weir_status status = WEIR_EAGAIN;
    size_t consumed = 0;
    while (consumed < input.size && status == WEIR_EAGAIN) {
        status = step(header, input.data[consumed], &failure);
        consumed++;
    }
    if (status != WEIR_OK && status != WEIR_EAGAIN) {
        WEIR_ASSERT(failure.reason != NULL);
        *ret_reason = failure.reason;
        return status;
    }
    *ret_consumed = consumed;
    return status;
}
