/* SPDX-License-Identifier: Apache-2.0 */
#include "firehose_body.h"
#include "weir/base64.h"
#include "weir/envelope.h"
#include <inttypes.h>

enum { RECORD_MAX = 1024000 }; /* decoded bytes; Firehose HTTP endpoint specification */

static const struct weir_envelope_limits limits = {
    .records = 10000, .record_bytes = RECORD_MAX, .depth = 32};

static void put_record(struct weir_bytes record, bool first, struct weir_buf *out)
{
    size_t size = weir_base64_encoded_size(record.size);
    weir_buf_put(out, weir_bytes_str(first ? "{\"data\":\"" : ",{\"data\":\""));
    uint8_t *at = weir_buf_reserve(out, size);
    if (at != NULL) {
        weir_base64_encode(record, at);
        out->size += size;
    }
    weir_buf_put(out, WEIR_BYTES("\"}"));
}

/* The records of a body. */
static const char *put_records(uint8_t *data, size_t size, struct weir_buf *out)
{
    struct weir_envelope envelope;
    struct weir_bytes record;
    enum weir_status status;
    bool first = true;
    weir_envelope_init(&envelope, data, size, limits);
    while ((status = weir_envelope_next(&envelope, &record)) == WEIR_OK) {
        put_record(record, first, out);
        first = false;
    }
    return status == WEIR_EEND ? NULL : envelope.error;
}

/* One record; JSON lines in several when they are too long. */
static const char *put_lines(struct weir_bytes data, struct weir_buf *out)
{
    bool first = true;
    bool is_json = data.size > 0 && data.data[0] == '{';
    do {
        size_t size = data.size;
        if (size > RECORD_MAX) {
            const uint8_t *end = is_json ? memrchr(data.data, '\n', RECORD_MAX) : NULL;
            if (end == NULL) {
                return "longer than 1,024,000 bytes, the most that a record can have";
            }
            size = (size_t)(end - data.data) + 1;
        }
        put_record(weir_bytes_of(data.data, size), first, out);
        data = weir_bytes_from(data, size);
        first = false;
    } while (data.size > 0);
    return NULL;
}

const char *weir_firehose_body(uint8_t *data, size_t size, const char *id, int64_t timestamp_ms,
                               struct weir_buf *out)
{
    bool is_body = size > 0 && data[0] == '{' && memmem(data, size, "\"records\"", 9) != NULL;
    weir_buf_put(out, WEIR_BYTES("{\"requestId\":"));
    weir_buf_put_json_string(out, weir_bytes_str(id), 0);
    weir_buf_printf(out, ",\"timestamp\":%" PRId64 ",\"records\":[", timestamp_ms);
    const char *wrong =
        is_body ? put_records(data, size, out) : put_lines(weir_bytes_of(data, size), out);
    weir_buf_put(out, WEIR_BYTES("]}"));
    return wrong == NULL && out->failed ? "too large" : wrong;
}
