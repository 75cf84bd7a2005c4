/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ENVELOPE_H
#define WEIR_ENVELOPE_H

#include "weir/json.h"

/*
 * The Firehose request body: {"requestId":…,"timestamp":…,"records":[{"data":base64},…]}, read once
 * from front to back in a mutable buffer. Keys in any order, unknown keys skipped; a key of ours
 * twice is damage. Each record's base64 is decoded in place, so a record is a view of the same
 * memory. Firehose HTTP endpoint specification, "Request format".
 *
 *   weir_envelope_init(&envelope, body, size, limits);
 *   while ((status = weir_envelope_next(&envelope, &record)) == WEIR_OK) { ... }
 *   status == WEIR_EEND: the whole body was sound, request_id and timestamp are set
 *
 * Nothing may be published before WEIR_EEND: damage can stand in the last byte.
 */
struct weir_envelope_limits {
    uint32_t records;    /* 10,000 */
    size_t record_bytes; /* 1,024,000 decoded */
    unsigned depth;      /* 32 */
};

struct weir_envelope {
    struct weir_json json;
    struct weir_envelope_limits limits;
    struct weir_bytes request_id; /* empty until seen */
    int64_t timestamp_ms;
    uint32_t record_count;
    uint8_t state;
    uint8_t seen;
    bool in_record; /* damage was found inside record number record_count */
    const char *
        error; /* what was wrong, for a person (of the record, where in_record); NULL while sound */
    size_t error_offset;
};

/* Begins at the body's first byte. The buffer must live as long as the records are used. */
void weir_envelope_init(struct weir_envelope *envelope, uint8_t *body, size_t size,
                        struct weir_envelope_limits limits);

/* Has `sum` go over the body as it is read, each part before it is written to. Between init and the
 * first record; `sum` must live as long as the reader, and needs no value before. Whatever comes of
 * the body, weir_crc32_sum_to(sum, the body's end) then makes it that of the body as it was given.
 */
void weir_envelope_sum(struct weir_envelope *envelope, struct weir_crc32_sum *sum);

/* The next record's decoded bytes (may be empty), WEIR_EEND, or WEIR_EMALFORMED / WEIR_ELIMIT with
 * `error` set. */
WEIR_MUST_USE enum weir_status weir_envelope_next(struct weir_envelope *envelope,
                                                  struct weir_bytes *ret_record);

#endif
