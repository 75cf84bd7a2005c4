/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP's messages as one table, and the check that walks it.
 *
 *   kinds[shape][field number] ─► 0: unknown, passes
 *                              ─► a wire type, or text, an attribute, a packed list, a child
 *                              ─► NESTED + shape: a message of that shape, checked whole
 *
 *   I1  nested shapes form no cycle and are three deep at most (point, exemplar, attribute), so the
 *       recursion between weir_otlp_check_field and weir_otlp_check_message is bounded; attribute
 *       values bring their own limit
 *   I2  whatever passes is accepted by a protobuf library that knows the schema (the fuzzer's
 *       second opinion)
 *
 * Repeated numbers may come packed or one by one, as protobuf allows. A field that occurs twice is
 * not refused: for a parser the last one counts, or both are merged. Pure; any thread.
 */
#include "weir/otlp_check.h"
#include "weir/panic.h"
#include "weir/utf8.h"

#define FIELDS_MAX 16

enum kind {
    ANY = 0, /* unknown: passes */
    VARINT,
    FIXED64,
    BYTES,
    CHILD,
    TEXT,
    ATTRIBUTE,
    PACKED64, /* repeated fixed64 or double, packed or not */
    PACKED_VARINT,
    NESTED, /* NESTED + shape */
};

#define SHAPE(shape) (NESTED + (shape))

static const uint8_t kinds[WEIR_OTLP_SHAPES][FIELDS_MAX] = {
    [WEIR_OTLP_RESOURCE_METRICS] = {[1] = SHAPE(WEIR_OTLP_RESOURCE), [2] = CHILD, [3] = TEXT},
    [WEIR_OTLP_RESOURCE] = {[1] = ATTRIBUTE, [2] = VARINT, [3] = BYTES},
    [WEIR_OTLP_SCOPE_METRICS] = {[1] = SHAPE(WEIR_OTLP_SCOPE), [2] = CHILD, [3] = TEXT},
    [WEIR_OTLP_SCOPE] = {[1] = TEXT, [2] = TEXT, [3] = ATTRIBUTE, [4] = VARINT},
    [WEIR_OTLP_METRIC] = {[1] = TEXT,
                          [2] = TEXT,
                          [3] = TEXT,
                          [5] = CHILD,
                          [7] = CHILD,
                          [9] = CHILD,
                          [10] = CHILD,
                          [11] = CHILD,
                          [12] = ATTRIBUTE},
    [WEIR_OTLP_DATA_PLAIN] = {[1] = CHILD},
    [WEIR_OTLP_DATA_SUM] = {[1] = CHILD, [2] = VARINT, [3] = VARINT},
    [WEIR_OTLP_DATA_HISTOGRAM] = {[1] = CHILD, [2] = VARINT},
    [WEIR_OTLP_NUMBER_POINT] = {[2] = FIXED64,
                                [3] = FIXED64,
                                [4] = FIXED64,
                                [5] = SHAPE(WEIR_OTLP_EXEMPLAR),
                                [6] = FIXED64,
                                [7] = ATTRIBUTE,
                                [8] = VARINT},
    [WEIR_OTLP_HISTOGRAM_POINT] = {[2] = FIXED64,
                                   [3] = FIXED64,
                                   [4] = FIXED64,
                                   [5] = FIXED64,
                                   [6] = PACKED64,
                                   [7] = PACKED64,
                                   [8] = SHAPE(WEIR_OTLP_EXEMPLAR),
                                   [9] = ATTRIBUTE,
                                   [10] = VARINT,
                                   [11] = FIXED64,
                                   [12] = FIXED64},
    [WEIR_OTLP_EXPONENTIAL_POINT] = {[1] = ATTRIBUTE,
                                     [2] = FIXED64,
                                     [3] = FIXED64,
                                     [4] = FIXED64,
                                     [5] = FIXED64,
                                     [6] = VARINT,
                                     [7] = FIXED64,
                                     [8] = SHAPE(WEIR_OTLP_BUCKETS),
                                     [9] = SHAPE(WEIR_OTLP_BUCKETS),
                                     [10] = VARINT,
                                     [11] = SHAPE(WEIR_OTLP_EXEMPLAR),
                                     [12] = FIXED64,
                                     [13] = FIXED64,
                                     [14] = FIXED64},
    [WEIR_OTLP_SUMMARY_POINT] = {[2] = FIXED64,
                                 [3] = FIXED64,
                                 [4] = FIXED64,
                                 [5] = FIXED64,
                                 [6] = SHAPE(WEIR_OTLP_QUANTILE),
                                 [7] = ATTRIBUTE,
                                 [8] = VARINT},
    [WEIR_OTLP_BUCKETS] = {[1] = VARINT, [2] = PACKED_VARINT},
    [WEIR_OTLP_EXEMPLAR] =
        {[2] = FIXED64, [3] = FIXED64, [4] = BYTES, [5] = BYTES, [6] = FIXED64, [7] = ATTRIBUTE},
    [WEIR_OTLP_QUANTILE] = {[1] = FIXED64, [2] = FIXED64},
    [WEIR_OTLP_LABEL] = {[1] = TEXT, [2] = TEXT},
};

static bool packed_varints_valid(struct weir_bytes packed)
{
    struct weir_cursor cursor = weir_cursor_of(packed);
    while (weir_cursor_left(&cursor) > 0 && !cursor.failed) {
        (void)weir_pb_varint(&cursor);
    }
    return !cursor.failed;
}

static bool content_valid(unsigned kind, const struct weir_pb_field *field)
{
    switch (kind) {
    case PACKED64: return field->bytes.size % 8 == 0;
    case PACKED_VARINT: return packed_varints_valid(field->bytes);
    case TEXT: return weir_utf8_valid(field->bytes);
    case ATTRIBUTE: return weir_pb_key_value_valid(field->bytes, WEIR_OTLP_DEPTH_MAX);
    case BYTES:
    case CHILD: return true;
    default: return weir_otlp_check_message((enum weir_otlp_shape)(kind - NESTED), field->bytes);
    }
}

/* Calls itself through weir_otlp_check_message; the tables nest three deep at most (point,
 * exemplar, attribute). */
bool weir_otlp_check_field(enum weir_otlp_shape shape, const struct weir_pb_field *field)
{
    unsigned kind = field->number < FIELDS_MAX ? kinds[shape][field->number] : ANY;
    switch (kind) {
    case ANY: return true;
    case VARINT: return field->type == WEIR_PB_VARINT;
    case FIXED64: return field->type == WEIR_PB_FIXED64;
    default: break;
    }
    if (field->type == WEIR_PB_BYTES) {
        return content_valid(kind, field);
    }
    return (kind == PACKED64 && field->type == WEIR_PB_FIXED64) ||
           (kind == PACKED_VARINT && field->type == WEIR_PB_VARINT);
}

bool weir_otlp_check_is_child(enum weir_otlp_shape shape, uint32_t number)
{
    return number < FIELDS_MAX && kinds[shape][number] == CHILD;
}

bool weir_otlp_check_message(enum weir_otlp_shape shape, struct weir_bytes message)
{
    WEIR_DCHECK(shape < WEIR_OTLP_SHAPES);
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (!weir_otlp_check_field(shape, &field)) {
            return false;
        }
    }
    return !cursor.failed;
}

/* AnyValue's string; the last one of a repeated field counts, as protobuf says. */
static bool string_value(struct weir_bytes any_value, struct weir_bytes *ret_value)
{
    struct weir_cursor cursor = weir_cursor_of(any_value);
    struct weir_pb_field field;
    bool found = false;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1 && field.type == WEIR_PB_BYTES) {
            *ret_value = field.bytes;
            found = true;
        }
    }
    return found;
}

bool weir_otlp_check_attribute(struct weir_bytes attribute, struct weir_bytes key,
                               struct weir_bytes *ret_value)
{
    /* nearly every attribute begins with its key, and most keys differ in length already */
    if (attribute.size > 2 && attribute.data[0] == 0x0A && attribute.data[1] < 0x80 &&
        attribute.data[1] != key.size) {
        return false;
    }
    struct weir_cursor cursor = weir_cursor_of(attribute);
    struct weir_pb_field field;
    struct weir_bytes found_key = {NULL, 0};
    struct weir_bytes value = {NULL, 0};
    bool has_value = false;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            found_key = field.bytes;
        } else if (field.number == 2) {
            has_value = string_value(field.bytes, &value);
        }
    }
    if (!has_value || !weir_bytes_eq(found_key, key)) {
        return false;
    }
    *ret_value = value;
    return true;
}
