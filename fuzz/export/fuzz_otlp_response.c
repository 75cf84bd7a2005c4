/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend's answer. Input: 2 bytes of status, 1 byte of points, the body.
 * Oracles: a 2xx is never a failure unless all points were rejected; messages are clean UTF-8; and
 * a response that our own writer makes of the same bytes is read back as it was written.
 */
#include "weir/panic.h"
#include "weir/pbw.h"
#include "weir/response.h"
#include "weir/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct weir_response *response, int status)
{
    size_t size = strnlen(response->message, WEIR_RESPONSE_MESSAGE_MAX);
    WEIR_ASSERT(size < WEIR_RESPONSE_MESSAGE_MAX);
    WEIR_ASSERT(weir_utf8_valid(weir_bytes_of(response->message, size)));
    WEIR_ASSERT(response->reason != NULL);
    if (status >= 200 && status < 300 && response->outcome != WEIR_OUTCOME_DELIVERED &&
        response->outcome != WEIR_OUTCOME_PARTIAL) {
        WEIR_ASSERT(strcmp(response->reason, "all_rejected") == 0);
    }
}

static void round_trip(struct weir_bytes text, uint32_t points)
{
    static uint8_t memory[1 << 17];
    struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
    uint64_t rejected = text.size % 300;
    weir_pbw_begin(&buf, 1, 1 + weir_pbw_varint_size(rejected) + weir_pbw_bytes_size(2, text.size));
    weir_pbw_uint(&buf, 1, rejected);
    weir_pbw_bytes(&buf, 2, text);
    if (buf.failed) {
        return;
    }
    struct weir_transport_reply reply = {.status = 200, .body = weir_buf_view(&buf)};
    struct weir_response response = weir_response_read(&reply, points, NULL);
    check(&response, 200);
    bool all = rejected > 0 && points > 0 && rejected >= points;
    WEIR_ASSERT((response.outcome == WEIR_OUTCOME_REFUSED) == all);
    WEIR_ASSERT(all || response.rejected == rejected);
    WEIR_ASSERT((response.message[0] != '\0') == (text.size > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    int status = data[0] << 8 | data[1];
    struct weir_bytes body = weir_bytes_of(data + 3, size - 3);
    struct weir_transport_reply reply = {.status = status, .body = body};
    struct weir_response response = weir_response_read(&reply, data[2], NULL);
    check(&response, status);
    round_trip(body, data[2]);
    return 0;
}
