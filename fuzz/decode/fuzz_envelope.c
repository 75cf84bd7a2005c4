/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: round trip. What is read as an envelope, written again plainly, reads as the same. And
 * with its records moved to other memory it reads as it does in place, damaged or not. */
#include "../../tests/support/guard.h"
#include "weir/base64.h"
#include "weir/buf.h"
#include "weir/envelope.h"

static const struct weir_envelope_limits limits = {1000, 100000, 32};

/* Reads a body to its end, appending each record to `out` as a canonical body does. Records are
 * moved to `moved`, or undone in place (NULL). */
static enum weir_status rewrite(struct guard *body, const struct guard *moved, struct weir_buf *out)
{
    struct weir_envelope envelope;
    struct weir_bytes record;
    enum weir_status status;
    weir_envelope_init(&envelope, body->data, body->size, limits);
    if (moved != NULL) {
        weir_envelope_move(&envelope, moved->data);
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
    }
    WEIR_ASSERT((status == WEIR_EEND) == (envelope.error == NULL));
    WEIR_ASSERT(envelope.error_offset <= body->size);
    weir_buf_printf(out, "],\"requestId\":");
    weir_buf_put_json_string(out, envelope.request_id, 0);
    weir_buf_put_byte(out, '}');
    WEIR_ASSERT(!out->failed);
    return status;
}

static void check_moved(struct weir_bytes text, enum weir_status status, struct weir_bytes expected)
{
    static uint8_t nothing[1 << 22];
    WEIR_ASSERT(weir_envelope_room(text.size) <= sizeof(nothing));
    struct guard body = guard_copy(text);
    struct guard room = guard_copy(weir_bytes_of(nothing, weir_envelope_room(text.size)));
    struct weir_buf out = weir_buf_grow_init(1 << 24);
    enum weir_status moved = rewrite(&body, &room, &out);
    WEIR_ASSERT(moved == status);
    WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&out), expected));
    weir_buf_done(&out);
    guard_free(&room);
    guard_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard body = guard_copy(weir_bytes_of(data, size));
    struct weir_buf once = weir_buf_grow_init(1 << 24);
    struct weir_buf twice = weir_buf_grow_init(1 << 24);
    enum weir_status status = rewrite(&body, NULL, &once);
    check_moved(weir_bytes_of(data, size), status, weir_buf_view(&once));
    if (status == WEIR_EEND) {
        struct guard again = guard_copy(weir_buf_view(&once));
        status = rewrite(&again, NULL, &twice);
        WEIR_ASSERT(status == WEIR_EEND);
        WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&once), weir_buf_view(&twice)));
        guard_free(&again);
    }
    weir_buf_done(&twice);
    weir_buf_done(&once);
    guard_free(&body);
    return 0;
}
