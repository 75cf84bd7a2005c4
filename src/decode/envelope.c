/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope's reader: a state machine over the pull reader for JSON, so that records come out
 * one by one and nothing of the body is kept beside the body itself.
 *
 *   START ──begin──► TOP ──"records": [──► RECORDS ──]──► TOP ──}──► END
 *                     │                      │                │
 *                     └──────── any damage ──┴────────────────┴───► FAILED
 *
 *   START ─► TOP        start()           the top value is an object
 *   TOP ─► RECORDS      read_top()        the key "records" with an array
 *   RECORDS ─► RECORDS  next_record()     one record read and decoded
 *   RECORDS ─► TOP      next_record()     the array's end
 *   TOP ─► END          read_top()        the object's end, and nothing but white space after it
 *   any ─► FAILED       fail()            stays; every later call gives the same status
 *
 *   I1  record_count is the number of records given out
 *   I2  a key of ours is accepted once (`seen` has its bit)
 *   I3  what is written to, here or by whoever has a record, the sum (where there is one) has gone
 *       over before (I4 of json.h)
 *
 * Base64 is decoded in place behind the reader's position, where nothing is read again; on the way
 * to the closing quote, so that a body is gone through once, and its checksum is taken on that way.
 * Damage may stand in the last byte, so the caller publishes nothing before END. A record over the
 * limit is refused as that, whatever else is wrong with it.
 */
#include "weir/envelope.h"
#include "weir/base64.h"
#include "weir/panic.h"

#define REQUEST_ID_MAX 128

enum state { START, TOP, RECORDS, END, FAILED_MALFORMED, FAILED_LIMIT };
enum seen { SEEN_REQUEST_ID = 1, SEEN_TIMESTAMP = 2, SEEN_RECORDS = 4 };

void weir_envelope_init(struct weir_envelope *envelope, uint8_t *body, size_t size,
                        struct weir_envelope_limits limits)
{
    *envelope = (struct weir_envelope){.limits = limits, .state = START};
    weir_json_init(&envelope->json, body, size, limits.depth);
}

void weir_envelope_sum(struct weir_envelope *envelope, struct weir_crc32_sum *sum)
{
    WEIR_ASSERT(envelope->state == START);
    *sum = (struct weir_crc32_sum){envelope->json.start, 0};
    envelope->json.sum = sum;
}

static enum weir_status fail(struct weir_envelope *envelope, enum weir_status status,
                             const char *error)
{
    envelope->error = error;
    envelope->error_offset = (size_t)(envelope->json.position - envelope->json.start);
    envelope->state = status == WEIR_ELIMIT ? FAILED_LIMIT : FAILED_MALFORMED;
    return status;
}

/* The same for what the JSON reader found. */
static enum weir_status fail_json(struct weir_envelope *envelope)
{
    enum weir_status status = weir_json_finish(&envelope->json);
    WEIR_ASSERT(status != WEIR_OK);
    fail(envelope, status, envelope->json.error);
    envelope->error_offset = envelope->json.error_offset;
    return status;
}

static enum weir_status see(struct weir_envelope *envelope, enum seen key)
{
    if ((envelope->seen & key) != 0) {
        return fail(envelope, WEIR_EMALFORMED,
                    "requestId, timestamp or records stands there twice");
    }
    envelope->seen = (uint8_t)(envelope->seen | (unsigned)key);
    return WEIR_OK;
}

static enum weir_status start(struct weir_envelope *envelope)
{
    weir_json_object_begin(&envelope->json);
    if (envelope->json.error != NULL) {
        return fail_json(envelope);
    }
    envelope->state = TOP;
    return WEIR_OK;
}

static enum weir_status read_request_id(struct weir_envelope *envelope)
{
    WEIR_TRY(see(envelope, SEEN_REQUEST_ID));
    struct weir_bytes id = weir_json_string(&envelope->json);
    if (envelope->json.error != NULL) {
        return fail_json(envelope);
    }
    if (id.size > REQUEST_ID_MAX) {
        return fail(envelope, WEIR_ELIMIT, "requestId is longer than 128 characters");
    }
    envelope->request_id = id;
    return WEIR_OK;
}

static enum weir_status read_timestamp(struct weir_envelope *envelope)
{
    WEIR_TRY(see(envelope, SEEN_TIMESTAMP));
    int64_t timestamp_ms = weir_json_int64(&envelope->json);
    if (envelope->json.error != NULL) {
        return fail_json(envelope);
    }
    envelope->timestamp_ms = timestamp_ms;
    return WEIR_OK;
}

/* Reads members up to the records' array (state RECORDS) or the end of the body (state END). */
static enum weir_status read_top(struct weir_envelope *envelope)
{
    struct weir_json *json = &envelope->json;
    struct weir_bytes key;
    while (weir_json_member(json, &key)) {
        if (weir_bytes_eq(key, WEIR_BYTES("requestId"))) {
            WEIR_TRY(read_request_id(envelope));
        } else if (weir_bytes_eq(key, WEIR_BYTES("timestamp"))) {
            WEIR_TRY(read_timestamp(envelope));
        } else if (weir_bytes_eq(key, WEIR_BYTES("records"))) {
            WEIR_TRY(see(envelope, SEEN_RECORDS));
            weir_json_array_begin(json);
            if (json->error != NULL) {
                return fail_json(envelope);
            }
            envelope->state = RECORDS;
            return WEIR_OK;
        } else {
            weir_json_skip(json);
        }
    }
    if (weir_json_finish(json) != WEIR_OK) {
        return fail_json(envelope);
    }
    if ((envelope->seen & SEEN_RECORDS) == 0) {
        return fail(envelope, WEIR_EMALFORMED, "the body has no records");
    }
    envelope->state = END;
    return WEIR_OK;
}

/* Undoes the base64 of `text`, `taken` characters of which are undone already. */
static enum weir_status decode(struct weir_envelope *envelope, struct weir_bytes text, size_t taken,
                               struct weir_bytes *ret_record)
{
    /* the reader gives a read-only view of the buffer that we own */
    uint8_t *start = envelope->json.start + (text.data - envelope->json.start);
    size_t size = 0;
    if (text.size / 4 * 3 > envelope->limits.record_bytes + 2) {
        return fail(envelope, WEIR_ELIMIT, "larger than the limit for a record");
    }
    if (weir_base64_decode_rest(start, text.size, taken, &size) != WEIR_OK) {
        return fail(envelope, WEIR_EMALFORMED, "data is not base64");
    }
    if (size > envelope->limits.record_bytes) {
        return fail(envelope, WEIR_ELIMIT, "larger than the limit for a record");
    }
    *ret_record = weir_bytes_of(start, size);
    return WEIR_OK;
}

static enum weir_status read_record(struct weir_envelope *envelope, struct weir_bytes *ret_record)
{
    struct weir_json *json = &envelope->json;
    struct weir_bytes key;
    struct weir_bytes text = {NULL, 0};
    size_t taken = 0;
    bool has_data = false;
    weir_json_object_begin(json);
    while (weir_json_member(json, &key)) {
        if (!weir_bytes_eq(key, WEIR_BYTES("data"))) {
            weir_json_skip(json);
            continue;
        }
        if (has_data) {
            return fail(envelope, WEIR_EMALFORMED, "data stands there twice");
        }
        has_data = true;
        text = weir_json_base64_begun(json, &taken);
    }
    if (json->error != NULL) {
        return fail_json(envelope);
    }
    if (!has_data) {
        return fail(envelope, WEIR_EMALFORMED, "no data");
    }
    return decode(envelope, text, taken, ret_record);
}

/* The next record (WEIR_OK), or WEIR_EAGAIN at the array's end. */
static enum weir_status next_record(struct weir_envelope *envelope, struct weir_bytes *ret_record)
{
    if (!weir_json_element(&envelope->json)) {
        if (envelope->json.error != NULL) {
            return fail_json(envelope);
        }
        envelope->state = TOP;
        return WEIR_EAGAIN;
    }
    if (envelope->record_count == envelope->limits.records) {
        return fail(envelope, WEIR_ELIMIT, "too many records");
    }
    envelope->in_record = true;
    WEIR_TRY(read_record(envelope, ret_record));
    envelope->in_record = false;
    envelope->record_count++;
    return WEIR_OK;
}

enum weir_status weir_envelope_next(struct weir_envelope *envelope, struct weir_bytes *ret_record)
{
    for (;;) {
        enum weir_status status = WEIR_OK;
        switch ((enum state)envelope->state) {
        case START: status = start(envelope); break;
        case TOP: status = read_top(envelope); break;
        case RECORDS:
            status = next_record(envelope, ret_record);
            if (status == WEIR_OK) {
                return WEIR_OK;
            }
            break;
        case END: return WEIR_EEND;
        case FAILED_MALFORMED: return WEIR_EMALFORMED;
        case FAILED_LIMIT: return WEIR_ELIMIT;
        default: WEIR_UNREACHABLE();
        }
        if (status != WEIR_OK && status != WEIR_EAGAIN) {
            return status;
        }
    }
}
