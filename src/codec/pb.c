/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading protobuf: a message is a row of fields, and a field is a tag and a content.
 *
 *   | tag varint: number << 3 | type | content                                      |
 *   |                                  VARINT   1..10 bytes, seven bits each        |
 *   |                                  FIXED64  8 bytes, little-endian              |
 *   |                                  BYTES    length varint, then so many bytes   |
 *   |                                  FIXED32  4 bytes, little-endian              |
 *   ^ field.whole.data                                                              ^ + size
 *
 *   I1  the `whole` of all fields, one after the other, is the message
 *   I2  a field is returned whole or not at all: what fails leaves *ret as it was
 *   I3  every step takes at least two bytes, so a walk ends after at most size / 2 steps
 *
 * Varints longer than they need be are accepted, as protobuf does; more than 64 bits are not.
 * Nothing is merged, ordered or defaulted here: that is for those who know the message. Corrupt
 * input ends in the cursor's `failed`. Pure.
 */
#include "weir/pb.h"
#include "weir/utf8.h"

#define VARINT_BYTES_MAX 10

/* Two bytes and more, or none. */
static uint64_t varint_slow(struct weir_cursor *cursor)
{
    const uint8_t *at = cursor->position;
    size_t left = weir_cursor_left(cursor);
    size_t most = left < VARINT_BYTES_MAX ? left : VARINT_BYTES_MAX;
    uint64_t value = 0;
    for (size_t i = 0; i < most; i++) {
        value |= (uint64_t)(at[i] & 0x7F) << (7 * i);
        if (at[i] < 0x80) {
            if (i == VARINT_BYTES_MAX - 1 && at[i] > 1) {
                break; /* more than 64 bits */
            }
            cursor->position = at + i + 1;
            return value;
        }
    }
    cursor->failed = true;
    return 0;
}

/* Most tags and many values take one byte, most lengths one or two. */
static inline uint64_t varint(struct weir_cursor *cursor)
{
    const uint8_t *at = cursor->position;
    size_t left = weir_cursor_left(cursor);
    if (cursor->failed) {
        return 0;
    }
    if (left >= 1 && at[0] < 0x80) {
        cursor->position = at + 1;
        return at[0];
    }
    if (left >= 2 && at[1] < 0x80) {
        cursor->position = at + 2;
        return (uint64_t)(at[0] & 0x7F) | (uint64_t)at[1] << 7;
    }
    return varint_slow(cursor);
}

uint64_t weir_pb_varint(struct weir_cursor *cursor)
{
    return varint(cursor);
}

/* The field's content, once its tag is taken. */
static void take_content(struct weir_cursor *cursor, unsigned wire_type,
                         struct weir_pb_field *field)
{
    switch (wire_type) {
    case WEIR_PB_VARINT:
        field->type = WEIR_PB_VARINT;
        field->value = varint(cursor);
        break;
    case WEIR_PB_FIXED64:
        field->type = WEIR_PB_FIXED64;
        field->value = weir_cursor_u64le(cursor);
        break;
    case WEIR_PB_BYTES: {
        field->type = WEIR_PB_BYTES;
        uint64_t size = varint(cursor);
        if (size > weir_cursor_left(cursor)) {
            cursor->failed = true;
        }
        field->bytes = weir_cursor_take(cursor, (size_t)size);
        break;
    }
    case WEIR_PB_FIXED32:
        field->type = WEIR_PB_FIXED32;
        field->value = weir_cursor_u32le(cursor);
        break;
    default: /* groups, and the two numbers that mean nothing */ cursor->failed = true; break;
    }
}

bool weir_pb_next(struct weir_cursor *cursor, struct weir_pb_field *ret)
{
    if (cursor->failed || cursor->position == cursor->end) {
        return false;
    }
    const uint8_t *start = cursor->position;
    uint64_t tag = varint(cursor);
    if (tag >> 3 == 0 || tag > UINT32_MAX) {
        cursor->failed = true;
        return false;
    }
    struct weir_pb_field field = {.number = (uint32_t)(tag >> 3)};
    take_content(cursor, (unsigned)(tag & 7), &field);
    if (cursor->failed) {
        return false;
    }
    field.whole = weir_bytes_of(start, (size_t)(cursor->position - start));
    *ret = field;
    return true;
}

/*
 * Recursion, against the rule, because the format nests and each level goes through two kinds of
 * list: every way round passes through weir_pb_any_value_valid with one level less, so the stack is
 * bounded by depth_max, which callers set to a small constant.
 */
static bool array_valid(struct weir_bytes message, unsigned depth_max)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1 &&
            (field.type != WEIR_PB_BYTES || !weir_pb_any_value_valid(field.bytes, depth_max))) {
            return false;
        }
    }
    return !cursor.failed;
}

static bool kvlist_valid(struct weir_bytes message, unsigned depth_max)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1 &&
            (field.type != WEIR_PB_BYTES || !weir_pb_key_value_valid(field.bytes, depth_max))) {
            return false;
        }
    }
    return !cursor.failed;
}

/* One field of an AnyValue; the numbers are common.proto's. Unknown ones are allowed. */
static bool any_value_field_valid(const struct weir_pb_field *field, unsigned depth_max)
{
    switch (field->number) {
    case 1: return field->type == WEIR_PB_BYTES && weir_utf8_valid(field->bytes);
    case 2:
    case 3: return field->type == WEIR_PB_VARINT;
    case 4: return field->type == WEIR_PB_FIXED64;
    case 5: return field->type == WEIR_PB_BYTES && array_valid(field->bytes, depth_max - 1);
    case 6: return field->type == WEIR_PB_BYTES && kvlist_valid(field->bytes, depth_max - 1);
    case 7: return field->type == WEIR_PB_BYTES;
    default: return true;
    }
}

bool weir_pb_any_value_valid(struct weir_bytes message, unsigned depth_max)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    if (depth_max == 0) {
        return false;
    }
    while (weir_pb_next(&cursor, &field)) {
        if (!any_value_field_valid(&field, depth_max)) {
            return false;
        }
    }
    return !cursor.failed;
}

bool weir_pb_key_value_valid(struct weir_bytes message, unsigned depth_max)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number > 2) {
            continue;
        }
        if (field.type != WEIR_PB_BYTES) {
            return false;
        }
        bool valid = field.number == 1 ? weir_utf8_valid(field.bytes)
                                       : weir_pb_any_value_valid(field.bytes, depth_max);
        if (!valid) {
            return false;
        }
    }
    return !cursor.failed;
}
