/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heads of the output: what is not in the points, made once a run (resource), once a scope, and
 * once for each metric that comes out.
 *
 *   resource   1 { the attributes that nobody sets, other fields, attributes set }   other fields
 *   scope      as it came, or 1 { 1 name  2 version }   other fields
 *   metric     as it came, or 1 name   other fields   [3 unit]
 *
 *   I1  fields keep their order, apart from those that are replaced; unknown ones stay
 *   I2  several messages of a singular field are one (protobuf merges them), and leave as one
 *   I3  each head is allocated at a size that is enough for it; the tail is given back
 *
 * Threads: the walk's. Full arena: NULL or false, and the walk ends. Deliberately does not check
 * the input's heads: what cannot be read ends there, and the decoders let none through.
 */
#include "shape_heads.h"
#include "shape_write.h"

static struct weir_bytes copy_of(struct weir_shape_walk *walk, struct weir_bytes bytes, bool *good)
{
    struct weir_bytes copy = weir_arena_keep(walk->arena, bytes);
    *good = *good && copy.size == bytes.size;
    return copy;
}

static struct weir_bytes trimmed(struct weir_shape_walk *walk, uint8_t *head, size_t room,
                                 const uint8_t *end)
{
    size_t size = (size_t)(end - head);
    weir_arena_trim(walk->arena, head, room, size);
    return weir_bytes_of(head, size);
}

/* -- resource ------------------------------------------------------------------------------ */

static struct weir_bytes key_of(struct weir_bytes attribute)
{
    struct weir_cursor cursor = weir_cursor_of(attribute);
    struct weir_pb_field field;
    struct weir_bytes key = {NULL, 0};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1 && field.type == WEIR_PB_BYTES) {
            key = field.bytes;
        }
    }
    return key;
}

static bool is_set_by_us(const struct weir_shape *shape, struct weir_bytes attribute)
{
    struct weir_bytes key = key_of(attribute);
    for (uint32_t i = 0; i < shape->resource_count; i++) {
        if (weir_bytes_eq(shape->resource[i].key, key)) {
            return true;
        }
    }
    return false;
}

static size_t pair_size(const struct weir_shape_pair *pair)
{
    return weir_pbw_bytes_size(1, pair->key.size) +
           weir_pbw_bytes_size(2, weir_pbw_bytes_size(1, pair->value.size));
}

static uint8_t *put_pair(uint8_t *at, const struct weir_shape_pair *pair)
{
    at = weir_shape_write_begin(at, 1, pair_size(pair));
    at = weir_shape_write_bytes(at, 1, pair->key);
    at = weir_shape_write_begin(at, 2, weir_pbw_bytes_size(1, pair->value.size));
    return weir_shape_write_bytes(at, 1, pair->value);
}

/* Fields of a Resource that stay. At NULL they are only measured. */
static size_t stay(const struct weir_shape *shape, struct weir_bytes resource, uint8_t *at)
{
    struct weir_cursor cursor = weir_cursor_of(resource);
    struct weir_pb_field field;
    size_t size = 0;
    while (weir_pb_next(&cursor, &field)) {
        bool is_attribute = field.number == 1 && field.type == WEIR_PB_BYTES;
        if (is_attribute && is_set_by_us(shape, field.bytes)) {
            continue;
        }
        if (at != NULL) {
            (void)weir_shape_write_raw(at + size, field.whole);
        }
        size += field.whole.size;
    }
    return size;
}

static bool is_message(const struct weir_pb_field *field, uint32_t number)
{
    return field->number == number && field->type == WEIR_PB_BYTES;
}

/* The size of the merged Resource message's content. */
static size_t resource_size(const struct weir_shape *shape, struct weir_bytes head)
{
    struct weir_cursor cursor = weir_cursor_of(head);
    struct weir_pb_field field;
    size_t size = 0;
    while (weir_pb_next(&cursor, &field)) {
        size += is_message(&field, 1) ? stay(shape, field.bytes, NULL) : 0;
    }
    for (uint32_t i = 0; i < shape->resource_count; i++) {
        size += weir_pbw_bytes_size(1, pair_size(&shape->resource[i]));
    }
    return size;
}

static struct weir_bytes resource_head(struct weir_shape_walk *walk, struct weir_bytes head,
                                       bool *good)
{
    const struct weir_shape *shape = walk->shape;
    if (shape->resource_count == 0) {
        return copy_of(walk, head, good);
    }
    size_t size = resource_size(shape, head);
    size_t room = weir_pbw_bytes_size(1, size) + head.size;
    uint8_t *made = weir_arena_alloc(walk->arena, room, 1);
    if (made == NULL) {
        *good = false;
        return (struct weir_bytes){NULL, 0};
    }
    uint8_t *at = weir_shape_write_begin(made, 1, size);
    struct weir_cursor cursor = weir_cursor_of(head);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        at += is_message(&field, 1) ? stay(shape, field.bytes, at) : 0;
    }
    for (uint32_t i = 0; i < shape->resource_count; i++) {
        at = put_pair(at, &shape->resource[i]);
    }
    cursor = weir_cursor_of(head);
    while (weir_pb_next(&cursor, &field)) {
        at = is_message(&field, 1) ? at : weir_shape_write_raw(at, field.whole);
    }
    return trimmed(walk, made, room, at);
}

static struct weir_bytes value_of(struct weir_bytes attribute)
{
    struct weir_cursor cursor = weir_cursor_of(attribute);
    struct weir_pb_field field;
    struct weir_bytes value = {NULL, 0};
    while (weir_pb_next(&cursor, &field)) {
        if (is_message(&field, 2)) {
            value = field.bytes;
        }
    }
    return value;
}

/* The first attribute of `resource` with that key. */
static bool find(struct weir_bytes resource, struct weir_bytes key, struct weir_shape_item *ret)
{
    struct weir_cursor cursor = weir_cursor_of(resource);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (is_message(&field, 1) && weir_bytes_eq(key_of(field.bytes), key)) {
            *ret = (struct weir_shape_item){field.bytes, key, value_of(field.bytes)};
            return true;
        }
    }
    return false;
}

static void find_promoted(struct weir_shape_walk *walk, struct weir_bytes head)
{
    const struct weir_shape_list *keys = &walk->shape->promote;
    for (uint32_t i = 0; i < keys->count; i++) {
        struct weir_cursor cursor = weir_cursor_of(head);
        struct weir_pb_field field;
        bool found = false;
        while (!found && weir_pb_next(&cursor, &field)) {
            found = is_message(&field, 1) &&
                    find(field.bytes, keys->text[i], &walk->shape->promoted[walk->promoted_count]);
        }
        walk->promoted_count += found;
    }
}

bool weir_shape_heads_resource(struct weir_shape_walk *walk)
{
    const struct weir_resource *in = walk->in->resource;
    struct weir_resource *made =
        weir_arena_alloc(walk->arena, sizeof(*made), _Alignof(struct weir_resource));
    bool good = made != NULL;
    if (!good) {
        return false;
    }
    made->head = resource_head(walk, in->head, &good);
    made->account = copy_of(walk, in->account, &good);
    made->region = copy_of(walk, in->region, &good);
    made->hash = weir_resource_hash(made->head);
    walk->resource = made;
    find_promoted(walk, made->head);
    return good;
}

/* -- scope --------------------------------------------------------------------------------- */

static struct weir_bytes scope_head(struct weir_shape_walk *walk, struct weir_bytes head,
                                    bool *good)
{
    const struct weir_shape *shape = walk->shape;
    if (shape->scope_name.data == NULL) {
        return copy_of(walk, head, good);
    }
    size_t version =
        shape->scope_version.size == 0 ? 0 : weir_pbw_bytes_size(2, shape->scope_version.size);
    size_t size = weir_pbw_bytes_size(1, shape->scope_name.size) + version;
    size_t room = weir_pbw_bytes_size(1, size) + head.size;
    uint8_t *made = weir_arena_alloc(walk->arena, room, 1);
    if (made == NULL) {
        *good = false;
        return (struct weir_bytes){NULL, 0};
    }
    uint8_t *at = weir_shape_write_begin(made, 1, size);
    at = weir_shape_write_bytes(at, 1, shape->scope_name);
    at = version == 0 ? at : weir_shape_write_bytes(at, 2, shape->scope_version);
    struct weir_cursor cursor = weir_cursor_of(head);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        at = field.number == 1 ? at : weir_shape_write_raw(at, field.whole);
    }
    return trimmed(walk, made, room, at);
}

const struct weir_scope *weir_shape_heads_scope(struct weir_shape_walk *walk,
                                                const struct weir_scope *in)
{
    if (walk->scope_in == in) {
        return walk->scope_out;
    }
    struct weir_scope *made =
        weir_arena_alloc(walk->arena, sizeof(*made), _Alignof(struct weir_scope));
    bool good = made != NULL;
    if (!good) {
        return NULL;
    }
    made->resource = walk->resource;
    made->head = scope_head(walk, in->head, &good);
    made->hash = weir_scope_hash(made);
    if (!good) {
        return NULL;
    }
    walk->scope_in = in;
    walk->scope_out = made;
    return made;
}

/* -- metric -------------------------------------------------------------------------------- */

static struct weir_bytes metric_head(struct weir_shape_walk *walk,
                                     const struct weir_shape_heads_metric *metric, bool *good)
{
    struct weir_bytes head = metric->in->head;
    bool has_unit = metric->unit.data != NULL;
    bool has_name = metric->name.data != NULL;
    if (!has_name && !has_unit) {
        return copy_of(walk, head, good);
    }
    size_t room = weir_pbw_bytes_size(1, metric->name.size) + head.size +
                  (has_unit ? weir_pbw_bytes_size(3, metric->unit.size) : 0);
    uint8_t *made = weir_arena_alloc(walk->arena, room, 1);
    if (made == NULL) {
        *good = false;
        return (struct weir_bytes){NULL, 0};
    }
    uint8_t *at = has_name ? weir_shape_write_bytes(made, 1, metric->name) : made;
    struct weir_cursor cursor = weir_cursor_of(head);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        bool replaced = (has_name && field.number == 1) || (has_unit && field.number == 3);
        at = replaced ? at : weir_shape_write_raw(at, field.whole);
    }
    at = has_unit ? weir_shape_write_bytes(at, 3, metric->unit) : at;
    return trimmed(walk, made, room, at);
}

const struct weir_metric *weir_shape_heads_metric(struct weir_shape_walk *walk,
                                                  const struct weir_shape_heads_metric *metric)
{
    const struct weir_scope *scope = weir_shape_heads_scope(walk, metric->in->scope);
    struct weir_metric *made =
        weir_arena_alloc(walk->arena, sizeof(*made), _Alignof(struct weir_metric));
    bool good = made != NULL && scope != NULL;
    if (!good) {
        return NULL;
    }
    *made = (struct weir_metric){.scope = scope, .data = metric->data};
    made->head = metric_head(walk, metric, &good);
    made->data_head = copy_of(walk, metric->data_head, &good);
    made->hash = weir_metric_hash(made);
    return good ? made : NULL;
}
