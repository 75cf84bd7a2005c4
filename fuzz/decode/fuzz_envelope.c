/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: what is read as an envelope, written again plainly, reads as the same. The sum that is
 * taken on the way is that of the body as it came, whatever is written over it and wherever the way
 * ends; without one the same is read. */
#include "../../tests/support/guard.h"
#include "weir/base64.h"
#include "weir/buf.h"
#include "weir/crc32.h"
#include "weir/envelope.h"

static const struct weir_envelope_limits limits = {1000, 100000, 32};

/* Reads a body to its end, appending each record to `out` as a canonical body does, and writes over
 * it where there is a `sum`. */
static enum weir_status rewrite(struct guard *body, struct weir_crc32_sum *sum,
                                struct weir_buf *out)
{
    struct weir_envelope envelope;
    struct weir_bytes record;
    enum weir_status status;
    weir_envelope_init(&envelope, body->data, body->size, limits);
    if (sum != NULL) {
        weir_envelope_sum(&envelope, sum);
    }
    weir_buf_printf(out, "{\"records\":[");
    while ((status = weir_envelope_next(&envelope, &record)) == WEIR_OK) {
        size_t size = weir_base64_encoded_size(record.size);
        weir_buf_printf(out, "%s{\"data\":\"", envelope.record_count > 1 ? "," : "");
        uint8_t *room = weir_buf_reserve(out, size);
        WEIR_ASSERT(room != NULL);
        weir_base64_encode(record, room);
        out->size += size;
        weir_buf_printf(out, "\"}");
        if (sum != NULL) {
            memset(body->data + (record.data - body->data), 0xAA, record.size);
        }
    }
    WEIR_ASSERT((status == WEIR_EEND) == (envelope.error == NULL));
    WEIR_ASSERT(envelope.error_offset <= body->size);
    weir_buf_printf(out, "],\"requestId\":");
    weir_buf_put_json_string(out, envelope.request_id, 0);
    weir_buf_put_byte(out, '}');
    WEIR_ASSERT(!out->failed);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same, summed up on the way: the status is as without, and so is what was read. */
static void check_summed(struct weir_bytes body, enum weir_status expected, struct weir_bytes read)
{
    struct guard copy = guard_copy(body);
    struct weir_buf out = weir_buf_grow_init(1 << 24);
    struct weir_crc32_sum sum;
    enum weir_status status = rewrite(&copy, &sum, &out);
    WEIR_ASSERT(status == expected);
    WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&out), read));
    weir_crc32_sum_to(&sum, copy.data + copy.size);
    WEIR_ASSERT(sum.crc == weir_crc32(body));
    weir_buf_done(&out);
    guard_free(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard body = guard_copy(weir_bytes_of(data, size));
    struct weir_buf once = weir_buf_grow_init(1 << 24);
    struct weir_buf twice = weir_buf_grow_init(1 << 24);
    enum weir_status read = rewrite(&body, NULL, &once);
    check_summed(weir_bytes_of(data, size), read, weir_buf_view(&once));
    if (read == WEIR_EEND) {
        struct guard again = guard_copy(weir_buf_view(&once));
        enum weir_status status = rewrite(&again, NULL, &twice);
        WEIR_ASSERT(status == WEIR_EEND);
        WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&once), weir_buf_view(&twice)));
        guard_free(&again);
    }
    weir_buf_done(&twice);
    weir_buf_done(&once);
    guard_free(&body);
    return 0;
}
