/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: the body fed byte by byte gives the same payload, counts and status as the body fed
 * whole. The first byte picks the framing: 0 chunked, else a Content-Length of that many bytes. */
#include "weir/http_framing.h"
#include "weir/panic.h"

struct outcome {
    struct weir_http_body body;
    enum weir_status status;
    uint64_t mixed; /* a checksum of the payload in order */
};

static void feed(struct outcome *outcome, struct weir_bytes part)
{
    while (outcome->status == WEIR_EAGAIN && part.size > 0) {
        size_t consumed = part.size;
        struct weir_bytes payload = {NULL, 0};
        const char *reason = NULL;
        outcome->status = weir_http_body_feed(&outcome->body, part, &consumed, &payload, &reason);
        WEIR_ASSERT(consumed <= part.size);
        WEIR_ASSERT(consumed > 0 || outcome->status != WEIR_EAGAIN);
        WEIR_ASSERT(payload.size == 0 || payload.data >= part.data);
        WEIR_ASSERT(payload.size <= consumed);
        for (size_t i = 0; i < payload.size; i++) {
            outcome->mixed = outcome->mixed * 1099511628211U + payload.data[i] + 1;
        }
        part = weir_bytes_from(part, consumed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct weir_http_head head = {.framing = data[0] == 0 ? WEIR_HTTP_CHUNKED : WEIR_HTTP_LENGTH,
                                  .content_length = data[0]};
    struct outcome whole = {.status = WEIR_EAGAIN};
    struct outcome bytewise = {.status = WEIR_EAGAIN};
    weir_http_body_init(&whole.body, &head);
    weir_http_body_init(&bytewise.body, &head);
    feed(&whole, weir_bytes_of(data + 1, size - 1));
    for (size_t i = 1; i < size; i++) {
        feed(&bytewise, weir_bytes_of(data + i, 1));
    }
    WEIR_ASSERT(whole.status == bytewise.status);
    WEIR_ASSERT(whole.mixed == bytewise.mixed);
    WEIR_ASSERT(whole.body.payload_bytes == bytewise.body.payload_bytes);
    WEIR_ASSERT(whole.body.overhead_bytes == bytewise.body.overhead_bytes);
    return 0;
}
