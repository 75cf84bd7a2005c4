/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: cut anyhow, a header gives the same answer as whole; what was accepted, written again,
 * is the same bytes (but IPv6 in version 1, which has more than one spelling). */
#include "weir/panic.h"
#include "weir/proxy_header.h"
#include <arpa/inet.h>
#include <stdio.h>

static enum weir_status feed(struct weir_proxy_header *header, struct weir_bytes all, size_t step,
                             size_t *ret_size)
{
    enum weir_status status = WEIR_EAGAIN;
    const char *reason = NULL;
    *ret_size = 0;
    weir_proxy_header_init(header);
    for (size_t at = 0; at < all.size && status == WEIR_EAGAIN; at += step) {
        size_t consumed = 0;
        struct weir_bytes part = weir_bytes_from(all, at);
        part.size = part.size < step ? part.size : step;
        status = weir_proxy_header_feed(header, part, &consumed, &reason);
        *ret_size += consumed;
    }
    return status;
}

static void assert_written_again(const struct weir_proxy_header *header, struct weir_bytes all)
{
    char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN], line[WEIR_PROXY_LINE_MAX + 1];
    const struct weir_netaddr *source = &header->source, *destination = &header->destination;
    if (header->version == 2) {
        size_t ip = all.data[13] == 0x11 ? 4 : 16;
        WEIR_ASSERT(memcmp(all.data + 16, source->ip + 16 - ip, ip) == 0);
        WEIR_ASSERT(memcmp(all.data + 16 + ip, destination->ip + 16 - ip, ip) == 0);
        WEIR_ASSERT((all.data[18 + 2 * ip] << 8 | all.data[19 + 2 * ip]) == destination->port);
    } else if (all.data[9] == '4') {
        (void)inet_ntop(AF_INET, source->ip + 12, from, sizeof from);
        (void)inet_ntop(AF_INET, destination->ip + 12, to, sizeof to);
        int size = snprintf(line, sizeof line, "PROXY TCP4 %s %s %u %u\r\n", from, to,
                            (unsigned)source->port, (unsigned)destination->port);
        WEIR_ASSERT(weir_bytes_starts_with(all, weir_bytes_of(line, (size_t)size)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_bytes all = weir_bytes_of(data, size);
    struct weir_proxy_header whole, other;
    size_t whole_size, other_size;
    enum weir_status status = feed(&whole, all, size + 1, &whole_size);
    for (size_t step = 1; step <= 7; step += 3) {
        WEIR_ASSERT(feed(&other, all, step, &other_size) == status);
        WEIR_ASSERT(status != WEIR_OK || (other_size == whole_size && other.told == whole.told));
    }
    if (status == WEIR_OK && whole.told) {
        assert_written_again(&whole, all);
    }
    return 0;
}
