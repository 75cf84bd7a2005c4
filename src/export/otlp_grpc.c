/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include <inttypes.h>
#include <stdio.h>

enum { PREFIX_SIZE = 5 };

static bool is_grpc(const struct weir_destination_options *options)
{
    return options->type == WEIR_DESTINATION_OTLP_HTTP && options->protocol == WEIR_PROTOCOL_GRPC;
}

size_t weir_otlp_grpc_prefix_size(const struct weir_destination_options *options)
{
    return is_grpc(options) ? PREFIX_SIZE : 0;
}

void weir_otlp_grpc_put_prefix(const struct weir_destination_options *options, uint8_t *to,
                               size_t message_size)
{
    if (!is_grpc(options)) {
        return;
    }
    WEIR_ASSERT(message_size <= UINT32_MAX); /* regions are smaller */
    to[0] = weir_coding_header(options) != NULL;
    for (int i = 0; i < 4; i++) {
        to[1 + i] = (uint8_t)(message_size >> (24 - 8 * i));
    }
}

size_t weir_otlp_grpc_headers(struct weir_export_destination *destination, const char **headers)
{
    const struct weir_destination_options *options = destination->options;
    int64_t timeout_ms = (options->timeout_ns + WEIR_NS_PER_MS - 1) / WEIR_NS_PER_MS;
    /* at most 8 digits, which are 27 hours */
    timeout_ms = timeout_ms < 99999999 ? timeout_ms : 99999999;
    (void)snprintf(destination->grpc_timeout, sizeof(destination->grpc_timeout),
                   "grpc-timeout: %" PRId64 "m", timeout_ms);
    headers[0] = "Content-Type: application/grpc";
    headers[1] = "TE: trailers";
    headers[2] = destination->grpc_timeout;
    return WEIR_OTLP_GRPC_HEADERS;
}
