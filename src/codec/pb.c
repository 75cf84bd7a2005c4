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

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed64 is copied as it lies");

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

/* Takes the content of a field of that wire type: a view of BYTES, else a number. */
static inline uint64_t take_content(struct weir_cursor *cursor, unsigned wire_type,
                                    struct weir_bytes *ret_bytes)
{
    switch (wire_type) {
    case WEIR_PB_VARINT: return varint(cursor);
    case WEIR_PB_FIXED64: return weir_cursor_u64le(cursor);
    case WEIR_PB_FIXED32: return weir_cursor_u32le(cursor);
    case WEIR_PB_BYTES: {
        uint64_t size = varint(cursor);
        if (size > weir_cursor_left(cursor)) {
            cursor->failed = true;
        }
        *ret_bytes = weir_cursor_take(cursor, (size_t)size);
        return 0;
    }
    default: /* groups, and the two numbers that mean nothing */ cursor->failed = true; return 0;
    }
}

/* Fills *ret with the field from the cursor to `end`, and goes there. Written word by word: a local
 * struct, copied, would wait for its own words. */
static inline bool put_field(struct weir_cursor *cursor, const uint8_t *end, uint64_t tag,
                             struct weir_pb_field *ret)
{
    ret->number = (uint32_t)(tag >> 3);
    ret->type = (enum weir_pb_type)(tag & 7);
    ret->whole = weir_bytes_of(cursor->position, (size_t)(end - cursor->position));
    cursor->position = end;
    return true;
}

/* The next field where its tag takes one byte, and it is a fixed64, or bytes whose length takes one
 * byte: nearly always. False: nothing is changed. */
static inline bool next_short(struct weir_cursor *cursor, struct weir_pb_field *ret)
{
    const uint8_t *at = cursor->position;
    size_t left = weir_cursor_left(cursor);
    if (left < 2 || at[0] < 8 || at[0] >= 0x80) {
        return false;
    }
    if ((at[0] & 7) == WEIR_PB_BYTES && at[1] < 0x80 && at[1] <= left - 2) {
        ret->value = 0;
        ret->bytes = weir_bytes_of(at + 2, at[1]);
        return put_field(cursor, at + 2 + at[1], at[0], ret);
    }
    if ((at[0] & 7) == WEIR_PB_FIXED64 && left >= 9) {
        memcpy(&ret->value, at + 1, sizeof(ret->value));
        ret->bytes = (struct weir_bytes){NULL, 0};
        return put_field(cursor, at + 9, at[0], ret);
    }
    return false;
}

/* Any field. Kept out of line, so that the short ones do not pay for its registers. */
__attribute__((noinline)) static bool next_long(struct weir_cursor *cursor,
                                                struct weir_pb_field *ret)
{
    struct weir_cursor next = *cursor;
    struct weir_bytes bytes = {NULL, 0};
    uint64_t tag = varint(&next);
    if (tag >> 3 == 0 || tag > UINT32_MAX) {
        cursor->failed = true;
        return false;
    }
    uint64_t value = take_content(&next, (unsigned)(tag & 7), &bytes);
    if (next.failed) {
        cursor->failed = true;
        return false;
    }
    ret->value = value;
    ret->bytes = bytes;
    return put_field(cursor, next.position, tag, ret);
}

bool weir_pb_next(struct weir_cursor *cursor, struct weir_pb_field *ret)
{
    if (cursor->failed || cursor->position == cursor->end) {
        return false;
    }
    return next_short(cursor, ret) || next_long(cursor, ret);
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
