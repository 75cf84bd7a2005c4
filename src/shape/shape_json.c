/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dimensions as one JSON text, {"InstanceId":"i-1","Zone":"b"}: what a backend makes a label of.
 *
 *   I1  keys are sorted by their bytes, so that equal dimensions are one series whatever order they
 *       came in; nested objects keep theirs
 *   I2  a value is what OTLP has: text, true, a number (64-bit integers too), a list, an object;
 *       bytes are base64, NaN and infinity are texts, no value is null
 *   I3  the text takes at most ROOM_FACTOR times the bytes of its pairs (\u001f for one byte, null
 *       for an empty value's two), so room is taken once, before
 *   I4  values are at most DEPTH_MAX inside one another, as the decoders make sure
 *
 * Threads: the walk's. Full: the arena. Deliberately no white space, no escaping of < > &.
 */
#include "shape_json.h"
#include "shape_text.h"
#include "shape_write.h"
#include <inttypes.h>

enum { ROOM_FACTOR = 8, ROOM_LEAST = 16, DEPTH_MAX = 16 };

static bool put_any(struct weir_buf *out, struct weir_bytes value, unsigned depth);

static void put_double(struct weir_buf *out, uint64_t bits)
{
    double value = weir_pb_double(bits);
    if (__builtin_isnan(value)) {
        weir_buf_put(out, WEIR_BYTES("\"NaN\""));
    } else if (__builtin_isinf(value)) {
        weir_buf_put(out, value < 0 ? WEIR_BYTES("\"-Infinity\"") : WEIR_BYTES("\"Infinity\""));
    } else {
        weir_buf_printf(out, "%.17g", value);
    }
}

static bool put_list(struct weir_buf *out, struct weir_bytes list, unsigned depth)
{
    struct weir_cursor cursor = weir_cursor_of(list);
    struct weir_pb_field field;
    bool good = true;
    const char *between = "";
    weir_buf_put_byte(out, '[');
    while (good && weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            weir_buf_put(out, weir_bytes_str(between));
            between = ",";
            good = field.type == WEIR_PB_BYTES && put_any(out, field.bytes, depth);
        }
    }
    weir_buf_put_byte(out, ']');
    return good && !cursor.failed;
}

static bool put_pair(struct weir_buf *out, struct weir_bytes pair, unsigned depth)
{
    struct weir_cursor cursor = weir_cursor_of(pair);
    struct weir_pb_field field;
    struct weir_bytes part[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number <= 2) {
            if (field.type != WEIR_PB_BYTES) {
                return false;
            }
            part[field.number] = field.bytes;
        }
    }
    weir_buf_put_json_string(out, part[1], 0);
    weir_buf_put_byte(out, ':');
    return !cursor.failed && put_any(out, part[2], depth);
}

static bool put_object(struct weir_buf *out, struct weir_bytes object, unsigned depth)
{
    struct weir_cursor cursor = weir_cursor_of(object);
    struct weir_pb_field field;
    bool good = true;
    const char *between = "";
    weir_buf_put_byte(out, '{');
    while (good && weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            weir_buf_put(out, weir_bytes_str(between));
            between = ",";
            good = field.type == WEIR_PB_BYTES && put_pair(out, field.bytes, depth);
        }
    }
    weir_buf_put_byte(out, '}');
    return good && !cursor.failed;
}

static void put_base64(struct weir_buf *out, struct weir_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    weir_buf_put_byte(out, '"');
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t three = (uint32_t)bytes.data[i] << 16 |
                         (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes.data[i + 2] : 0);
        weir_buf_put_byte(out, (uint8_t)digits[three >> 18]);
        weir_buf_put_byte(out, (uint8_t)digits[three >> 12 & 63]);
        weir_buf_put_byte(out, left > 1 ? (uint8_t)digits[three >> 6 & 63] : '=');
        weir_buf_put_byte(out, left > 2 ? (uint8_t)digits[three & 63] : '=');
    }
    weir_buf_put_byte(out, '"');
}

/* The member of the oneof that came last; false: none of it has that type. Every way round passes
 * through put_any with one level less, so the stack is bounded by DEPTH_MAX. */
static bool put_value(struct weir_buf *out, const struct weir_pb_field *field, unsigned depth)
{
    static const enum weir_pb_type types[] = {
        [1] = WEIR_PB_BYTES, [2] = WEIR_PB_VARINT, [3] = WEIR_PB_VARINT, [4] = WEIR_PB_FIXED64,
        [5] = WEIR_PB_BYTES, [6] = WEIR_PB_BYTES,  [7] = WEIR_PB_BYTES};
    if (field->number != 0 && field->type != types[field->number]) {
        return false;
    }
    switch (field->number) {
    case 1: weir_buf_put_json_string(out, field->bytes, 0); break;
    case 2: weir_buf_put(out, weir_bytes_str(field->value != 0 ? "true" : "false")); break;
    case 3: weir_buf_printf(out, "%" PRId64, (int64_t)field->value); break;
    case 4: put_double(out, field->value); break;
    case 5: return put_list(out, field->bytes, depth);
    case 6: return put_object(out, field->bytes, depth);
    case 7: put_base64(out, field->bytes); break;
    default: weir_buf_put(out, WEIR_BYTES("null")); break;
    }
    return true;
}

static bool put_any(struct weir_buf *out, struct weir_bytes value, unsigned depth)
{
    struct weir_cursor cursor = weir_cursor_of(value);
    struct weir_pb_field field;
    struct weir_pb_field last = {0};
    while (weir_pb_next(&cursor, &field)) {
        last = field.number <= 7 ? field : last;
    }
    return !cursor.failed && depth > 0 && put_value(out, &last, depth - 1);
}

static int compare(const struct weir_shape_item *a, const struct weir_shape_item *b)
{
    size_t both = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = both == 0 ? 0 : memcmp(a->key.data, b->key.data, both);
    return order != 0 ? order : (a->key.size > b->key.size) - (a->key.size < b->key.size);
}

/* Places of the dimensions in the order of their keys; equal ones as they came. */
static void sort(const struct weir_shape_point *point, uint16_t order[WEIR_SHAPE_ATTRIBUTES_MAX])
{
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        uint32_t at = i;
        while (at > 0 && compare(&point->dimensions[order[at - 1]], &point->dimensions[i]) > 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = (uint16_t)i;
    }
}

struct weir_bytes weir_shape_json_string(struct weir_shape_walk *walk, struct weir_bytes text)
{
    size_t size = weir_pbw_bytes_size(1, text.size);
    uint8_t *value = weir_shape_text_room(walk, size);
    if (value == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    (void)weir_shape_write_bytes(value, 1, text);
    return weir_bytes_of(value, size);
}

enum weir_shape_verdict weir_shape_json_object(struct weir_shape_walk *walk,
                                               const struct weir_shape_point *point,
                                               size_t size_max, struct weir_bytes *ret)
{
    uint16_t order[WEIR_SHAPE_ATTRIBUTES_MAX];
    size_t room = ROOM_LEAST;
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        room += ROOM_LEAST;
        room += ROOM_FACTOR * (point->dimensions[i].key.size + point->dimensions[i].value.size);
    }
    struct weir_buf out = weir_buf_fixed(weir_shape_text_room(walk, room), room);
    if (out.data == NULL) {
        return WEIR_SHAPE_FULL;
    }
    sort(point, order);
    bool good = true;
    for (uint32_t i = 0; good && i < point->dimension_count; i++) {
        const struct weir_shape_item *item = &point->dimensions[order[i]];
        weir_buf_put_byte(&out, i == 0 ? '{' : ',');
        weir_buf_put_json_string(&out, item->key, 0);
        weir_buf_put_byte(&out, ':');
        good = put_any(&out, item->value, DEPTH_MAX);
    }
    weir_buf_put(&out, weir_bytes_str(point->dimension_count == 0 ? "{}" : "}"));
    if (!good) {
        return WEIR_SHAPE_REFUSED(WEIR_SHAPE_MALFORMED);
    }
    WEIR_ASSERT(!out.failed);
    *ret = weir_shape_json_string(walk, weir_shape_text_cut(weir_buf_view(&out), size_max));
    return ret->data == NULL ? WEIR_SHAPE_FULL : WEIR_SHAPE_GOOD;
}
