/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PB_H
#define WEIR_PB_H

#include "weir/cursor.h"
#include "weir/status.h"

/*
 * Reading protobuf's wire format (protobuf.dev/programming-guides/encoding), field by field, as
 * views.
 *
 *   while (weir_pb_next(&reader, &field)) {
 *       switch (field.number) { case 1: ... field.bytes ... }
 *   }
 *   if (reader.failed) { malformed }
 *
 * Refused: varints over 10 bytes or 64 bits, field number 0 or above 2^29 - 1, groups (wire types 3
 * and 4), lengths past the end. Unknown fields are returned like any other; the caller keeps or
 * skips them. Pure, no allocation.
 */
enum weir_pb_type {
    WEIR_PB_VARINT = 0,
    WEIR_PB_FIXED64 = 1,
    WEIR_PB_BYTES = 2,
    WEIR_PB_FIXED32 = 5
};

struct weir_pb_field {
    uint32_t number;
    enum weir_pb_type type;
    uint64_t value;          /* of VARINT, FIXED64, FIXED32 */
    struct weir_bytes bytes; /* of BYTES: the content */
    struct weir_bytes whole; /* tag to last byte, to be kept as it is */
};

/* The next field; false at the end, or with cursor->failed set at anything refused. */
bool weir_pb_next(struct weir_cursor *cursor, struct weir_pb_field *ret);

/* A bare varint (also the length before a delimited message); 0 with `failed` set when there is
 * none. */
uint64_t weir_pb_varint(struct weir_cursor *cursor);

/* The bits of a fixed64 field as a double. */
static inline double weir_pb_double(uint64_t bits)
{
    double value;
    _Static_assert(sizeof(value) == sizeof(bits), "a double is 64 bits");
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Whether `message` is one well-formed AnyValue / one KeyValue (opentelemetry/proto/common/v1):
 * known fields have their wire type, strings are UTF-8, unknown fields are allowed; at most
 * `depth_max` AnyValues inside one another. */
bool weir_pb_any_value_valid(struct weir_bytes message, unsigned depth_max);
bool weir_pb_key_value_valid(struct weir_bytes message, unsigned depth_max);

#endif
