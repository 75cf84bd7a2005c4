/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A point's attributes, as the backend has them.
 *
 *   as they came    Namespace, MetricName, Dimensions { a, b }, others
 *                      │ promoted: those of the resource that the point has not
 *                      │ flat: Dimensions goes, a and b come at the end; json: it becomes text
 *   items           [ Namespace | MetricName | cloud.region | a | b ]
 *                      │ each in turn: key mended, cut, made unique; text cut
 *   leaves          fields of the data point; what was not changed is the KeyValue as it came
 *
 *   I1  an item keeps `raw` until its key or its value is another
 *   I2  after mend() no two items have one key; who stands first keeps it
 *   I3  all of it lasts until the next point: views of the input, of scratch, or of the arena
 *
 * Threads: the walk's. Full arena: FULL, and the walk ends; too many: refused. Deliberately leaves
 * values that are no text alone: numbers are never long, and a list cut short would be another.
 */
#include "shape_attributes.h"
#include "shape_json.h"
#include "shape_text.h"
#include "shape_write.h"
#include <stdio.h>

static const struct weir_bytes dimensions_key = WEIR_BYTES_INIT("Dimensions");
static const struct weir_bytes metric_name_key = WEIR_BYTES_INIT("MetricName");

enum { TEXT = 1, KVLIST = 6, VALUES = 7 }; /* AnyValue */

static const enum weir_shape_verdict malformed = WEIR_SHAPE_REFUSED(WEIR_SHAPE_MALFORMED);
static const enum weir_shape_verdict too_many = WEIR_SHAPE_REFUSED(WEIR_SHAPE_TOO_MANY_ATTRIBUTES);

/* Whether a message begins with a length-delimited field of that tag and a one-byte length, all of
 * which is there: its content. Nearly every attribute is two such fields, around a third. */
static bool read_short(struct weir_bytes message, uint8_t tag, struct weir_bytes *ret)
{
    if (message.size < 2 || message.data[0] != tag || message.data[1] >= 0x80 ||
        message.data[1] > message.size - 2) {
        return false;
    }
    *ret = weir_bytes_of(message.data + 2, message.data[1]);
    return true;
}

/* Key and value of a KeyValue. */
static bool read_pair(struct weir_bytes raw, struct weir_shape_item *ret)
{
    struct weir_bytes key;
    struct weir_bytes value;
    if (read_short(raw, 0x0a, &key) &&
        read_short(weir_bytes_from(raw, key.size + 2), 0x12, &value) &&
        key.size + value.size + 4 == raw.size) {
        *ret = (struct weir_shape_item){raw, key, value};
        return true;
    }
    struct weir_cursor cursor = weir_cursor_of(raw);
    struct weir_pb_field field;
    *ret = (struct weir_shape_item){.raw = raw};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number > 2) {
            continue;
        }
        if (field.type != WEIR_PB_BYTES) {
            return false;
        }
        *(field.number == 1 ? &ret->key : &ret->value) = field.bytes;
    }
    return !cursor.failed;
}

/* Which member of AnyValue's oneof it is (0: none), and that member's content. */
static bool read_value(struct weir_bytes value, uint32_t *ret_number, struct weir_bytes *ret)
{
    struct weir_cursor cursor = weir_cursor_of(value);
    struct weir_pb_field field;
    if (read_short(value, TEXT << 3 | WEIR_PB_BYTES, ret) && ret->size + 2 == value.size) {
        *ret_number = TEXT;
        return true;
    }
    *ret_number = 0;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number <= VALUES) {
            *ret_number = field.number;
            *ret = field.bytes;
        }
        if ((field.number == TEXT || field.number == KVLIST) && field.type != WEIR_PB_BYTES) {
            return false;
        }
    }
    return !cursor.failed;
}

static enum weir_shape_verdict read_list(struct weir_shape_point *point, struct weir_bytes list)
{
    struct weir_cursor cursor = weir_cursor_of(list);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != 1) {
            continue;
        }
        if (point->dimension_count == WEIR_SHAPE_ATTRIBUTES_MAX) {
            return too_many;
        }
        if (field.type != WEIR_PB_BYTES ||
            !read_pair(field.bytes, &point->dimensions[point->dimension_count])) {
            return malformed;
        }
        point->dimension_count++;
    }
    return cursor.failed ? malformed : WEIR_SHAPE_GOOD;
}

/* A list that came in pieces is one list. */
static enum weir_shape_verdict read_dimensions(struct weir_shape_point *point,
                                               struct weir_bytes value)
{
    struct weir_cursor cursor = weir_cursor_of(value);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == KVLIST) {
            enum weir_shape_verdict verdict = read_list(point, field.bytes);
            if (verdict != WEIR_SHAPE_GOOD) {
                return verdict;
            }
        }
    }
    return WEIR_SHAPE_GOOD;
}

/* The point's own attributes: their keys, and what is looked for among them. *ret_dimensions is the
 * place of the dimensions, or the count where there are none. */
static enum weir_shape_verdict read_own(const struct weir_shape *shape,
                                        struct weir_shape_point *point, uint32_t *ret_dimensions)
{
    bool looks_inside =
        shape->names_dimensions || shape->dimensions != WEIR_SHAPE_DIMENSIONS_KVLIST;
    *ret_dimensions = point->item_count;
    for (uint32_t i = 0; i < point->item_count; i++) {
        struct weir_shape_item *item = &point->items[i];
        uint32_t number = 0;
        struct weir_bytes content = {NULL, 0};
        if (!read_pair(item->raw, item) || !read_value(item->value, &number, &content)) {
            return malformed;
        }
        if (number == TEXT && weir_bytes_eq(item->key, metric_name_key)) {
            point->metric_name = content;
        }
        if (number != KVLIST || *ret_dimensions != point->item_count ||
            !weir_bytes_eq(item->key, dimensions_key)) {
            continue;
        }
        *ret_dimensions = i;
        enum weir_shape_verdict verdict =
            looks_inside ? read_dimensions(point, item->value) : WEIR_SHAPE_GOOD;
        if (verdict != WEIR_SHAPE_GOOD) {
            return verdict;
        }
    }
    return WEIR_SHAPE_GOOD;
}

static bool has_key(const struct weir_shape_point *point, uint32_t count, struct weir_bytes key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (weir_bytes_eq(point->items[i].key, key)) {
            return true;
        }
    }
    return false;
}

static bool add(struct weir_shape_point *point, const struct weir_shape_item *item)
{
    if (point->item_count == WEIR_SHAPE_ATTRIBUTES_MAX) {
        return false;
    }
    point->items[point->item_count++] = *item;
    return true;
}

static bool add_promoted(const struct weir_shape_walk *walk, struct weir_shape_point *point)
{
    for (uint32_t i = 0; i < walk->promoted_count; i++) {
        const struct weir_shape_item *promoted = &walk->shape->promoted[i];
        if (!has_key(point, point->item_count, promoted->key) && !add(point, promoted)) {
            return false;
        }
    }
    return true;
}

static void take_out(struct weir_shape_point *point, uint32_t place)
{
    point->item_count--;
    memmove(&point->items[place], &point->items[place + 1],
            (point->item_count - place) * sizeof(point->items[0]));
}

static bool add_dimensions(struct weir_shape_point *point)
{
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        if (!add(point, &point->dimensions[i])) {
            return false;
        }
    }
    return true;
}

/* -- keys ---------------------------------------------------------------------------------- */

/* `prefix`, as much of `key` as there is room for, and `suffix`. */
static bool join(struct weir_shape_walk *walk, struct weir_bytes key, const char *suffix,
                 const char *prefix, struct weir_bytes *ret)
{
    struct weir_bytes before = weir_bytes_str(prefix);
    struct weir_bytes after = weir_bytes_str(suffix);
    uint8_t *room = weir_shape_text_room(walk, before.size + key.size + after.size);
    if (room == NULL) {
        return false;
    }
    struct weir_bytes whole = weir_bytes_of(room, before.size + key.size);
    (void)weir_shape_write_raw(weir_shape_write_raw(room, before), key);
    whole = weir_shape_text_cut(whole, walk->shape->key_bytes_max - after.size);
    (void)weir_shape_write_raw(room + whole.size, after);
    *ret = weir_bytes_of(room, whole.size + after.size);
    return true;
}

/* A key for item `place` that none before it has. */
static bool unique_key(struct weir_shape_walk *walk, const struct weir_shape_point *point,
                       uint32_t place, bool is_dimension, struct weir_bytes *key)
{
    struct weir_bytes taken = *key;
    const char *prefix = "";
    if (is_dimension) {
        prefix = walk->shape->keys == WEIR_SHAPE_KEYS_DYNATRACE ? "dimension." : "Dimension.";
        if (!join(walk, taken, "", prefix, key)) {
            return false;
        }
    }
    for (uint32_t n = place + 1; has_key(point, place, *key); n++) {
        char suffix[16];
        (void)snprintf(suffix, sizeof(suffix), "_%u", n);
        if (!join(walk, taken, suffix, prefix, key)) {
            return false;
        }
    }
    return true;
}

/* The item's key as it leaves. */
static bool mend_key(struct weir_shape_walk *walk, struct weir_shape_point *point, uint32_t place,
                     bool is_dimension)
{
    struct weir_shape_item *item = &point->items[place];
    struct weir_bytes key = item->key;
    if (walk->shape->keys == WEIR_SHAPE_KEYS_DYNATRACE && !weir_shape_text_key(walk, key, &key)) {
        return false;
    }
    key = weir_shape_text_cut(key, walk->shape->key_bytes_max);
    if (has_key(point, place, key) && !unique_key(walk, point, place, is_dimension, &key)) {
        return false;
    }
    if (key.data != item->key.data || key.size != item->key.size) {
        item->raw = (struct weir_bytes){NULL, 0};
        item->key = key;
    }
    return true;
}

static bool mend_value(struct weir_shape_walk *walk, struct weir_shape_item *item)
{
    size_t size_max = walk->shape->value_bytes_max;
    uint32_t number = 0;
    struct weir_bytes text = {NULL, 0};
    if (item->value.size <= size_max || !read_value(item->value, &number, &text) ||
        number != TEXT || text.size <= size_max) {
        return true;
    }
    item->value = weir_shape_json_string(walk, weir_shape_text_cut(text, size_max));
    item->raw = (struct weir_bytes){NULL, 0};
    return item->value.data != NULL;
}

static enum weir_shape_verdict arrange(struct weir_shape_walk *walk, struct weir_shape_point *point,
                                       uint32_t place)
{
    const struct weir_shape *shape = walk->shape;
    bool has_dimensions = place < point->item_count;
    if (has_dimensions && shape->dimensions == WEIR_SHAPE_DIMENSIONS_JSON) {
        struct weir_shape_item *item = &point->items[place];
        item->raw = (struct weir_bytes){NULL, 0};
        enum weir_shape_verdict verdict =
            weir_shape_json_object(walk, point, shape->value_bytes_max, &item->value);
        if (verdict != WEIR_SHAPE_GOOD) {
            return verdict;
        }
    }
    bool is_flat = has_dimensions && shape->dimensions == WEIR_SHAPE_DIMENSIONS_FLAT;
    if (is_flat) {
        take_out(point, place);
    }
    bool fit = add_promoted(walk, point);
    uint32_t others = point->item_count;
    fit = fit && (!is_flat || add_dimensions(point));
    if (!fit || point->item_count > shape->attributes_max) {
        return too_many;
    }
    for (uint32_t i = 0; i < point->item_count; i++) {
        if (!mend_key(walk, point, i, i >= others) || !mend_value(walk, &point->items[i])) {
            return WEIR_SHAPE_FULL;
        }
    }
    return WEIR_SHAPE_GOOD;
}

enum weir_shape_verdict weir_shape_attributes_mend(struct weir_shape_walk *walk,
                                                   struct weir_shape_point *point)
{
    const struct weir_shape *shape = walk->shape;
    uint32_t dimensions = 0;
    if (!shape->mends_attributes && !shape->names_dimensions) {
        return WEIR_SHAPE_GOOD;
    }
    enum weir_shape_verdict verdict = read_own(shape, point, &dimensions);
    if (verdict != WEIR_SHAPE_GOOD || !shape->mends_attributes) {
        return verdict;
    }
    return arrange(walk, point, dimensions);
}

/* -- out ----------------------------------------------------------------------------------- */

static size_t content_size(const struct weir_shape_item *item)
{
    return item->raw.data != NULL
               ? item->raw.size
               : weir_pbw_bytes_size(1, item->key.size) + weir_pbw_bytes_size(2, item->value.size);
}

size_t weir_shape_attributes_size(const struct weir_shape_point *point)
{
    size_t size = 0;
    for (uint32_t i = 0; i < point->item_count; i++) {
        size += weir_pbw_bytes_size(1, content_size(&point->items[i]));
    }
    return size;
}

uint8_t *weir_shape_attributes_put(struct weir_shape_point *point, uint32_t number, uint8_t *at)
{
    if (point->written_number == number) {
        return weir_shape_write_raw(at, point->written);
    }
    const uint8_t *start = at;
    for (uint32_t i = 0; i < point->item_count; i++) {
        const struct weir_shape_item *item = &point->items[i];
        at = weir_shape_write_begin(at, number, content_size(item));
        if (item->raw.data != NULL) {
            at = weir_shape_write_raw(at, item->raw);
        } else {
            at = weir_shape_write_bytes(at, 1, item->key);
            at = weir_shape_write_bytes(at, 2, item->value);
        }
    }
    point->written = weir_bytes_of(start, (size_t)(at - start));
    point->written_number = number;
    return at;
}
