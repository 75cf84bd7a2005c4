/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   NumberDataPoint                 2 start 3 time 4 double 6 integer 7 attributes
 *   SummaryDataPoint                2 start 3 time 4 count 5 sum 6 quantiles 7 attributes
 *   ExponentialHistogramDataPoint   1 attributes 2 start 3 time 4 count 5 sum 7 zero_count
 *                                   12 min 13 max 14 zero_threshold
 *
 * All numbers of these are eight bytes wide, so they are kept by their number. Anything else that a
 * point may hold by OTLP (flags, exemplars, buckets) is in nothing that the world sends.
 */
#include "sink/part.h"
#include "weir/json.h"
#include "weir/pb.h"

struct form {
    uint32_t kind;
    uint32_t attributes; /* the field with them */
    uint32_t quantiles;  /* 0: none */
    unsigned wide;       /* bits: the fields of eight bytes */
};

#define BIT(number) (1U << (number))

static const struct form forms[] = {
    {5, 7, 0, BIT(2) | BIT(3) | BIT(4) | BIT(6)},
    {10, 1, 0, BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(12) | BIT(13) | BIT(14)},
    {11, 7, 6, BIT(2) | BIT(3) | BIT(4) | BIT(5)},
};

static const struct form *form_of(uint32_t kind)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (forms[i].kind == kind) {
            return &forms[i];
        }
    }
    return NULL;
}

static bool add_pair(struct weir_bytes content, struct weir_sink_pairs *pairs)
{
    return pairs->count < WEIR_SINK_PART_ATTRIBUTES_MAX &&
           weir_sink_key_value(content, &pairs->pair[pairs->count++]);
}

/* ValueAtQuantile { 1 quantile 2 value } */
static bool add_quantile(struct weir_bytes content, struct weir_sink_part *part)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    uint64_t bits[3] = {0, 0, 0};
    unsigned seen = 0;
    while (weir_pb_next(&cursor, &field)) {
        bool is_known = field.number == 1 || field.number == 2;
        if (!is_known || field.type != WEIR_PB_FIXED64 || (seen & BIT(field.number)) != 0) {
            return false;
        }
        seen |= BIT(field.number);
        bits[field.number] = field.value;
    }
    if (cursor.failed || part->quantiles == WEIR_SINK_PART_QUANTILES_MAX) {
        return false;
    }
    part->quantile[part->quantiles] = bits[1];
    part->value[part->quantiles++] = bits[2];
    return true;
}

static const char *add_field(const struct form *form, const struct weir_pb_field *field,
                             struct weir_sink_part *part)
{
    bool is_wide = field->number < 16 && (form->wide & BIT(field->number)) != 0;
    if (is_wide) {
        if (field->type != WEIR_PB_FIXED64 || (part->seen & BIT(field->number)) != 0) {
            return "a number of the point";
        }
        part->seen |= BIT(field->number);
        part->field[field->number] = field->value;
        return NULL;
    }
    if (field->number == form->attributes && field->type == WEIR_PB_BYTES) {
        return add_pair(field->bytes, &part->attributes) ? NULL : "an attribute of the point";
    }
    if (field->number == form->quantiles && field->type == WEIR_PB_BYTES) {
        return add_quantile(field->bytes, part) ? NULL : "a quantile of the point";
    }
    return "a field of the point that nobody sent";
}

const char *weir_sink_part_read(struct weir_bytes content, uint32_t kind,
                                struct weir_sink_part *ret)
{
    const struct form *form = form_of(kind);
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    if (form == NULL) {
        return "a kind of data that no shape gives";
    }
    ret->seen = 0;
    ret->quantiles = 0;
    ret->attributes.count = 0;
    while (weir_pb_next(&cursor, &field)) {
        const char *what = add_field(form, &field, ret);
        if (what != NULL) {
            return what;
        }
    }
    return cursor.failed ? "the point's form" : NULL;
}

/* -- dimensions -------------------------------------------------------------------------------- */

bool weir_sink_part_list(struct weir_bytes any_value, struct weir_sink_pairs *ret)
{
    struct weir_cursor outer = weir_cursor_of(any_value);
    struct weir_pb_field field;
    ret->count = 0;
    if (!weir_pb_next(&outer, &field) || field.number != 6 || field.type != WEIR_PB_BYTES ||
        weir_cursor_left(&outer) != 0) {
        return false;
    }
    struct weir_cursor cursor = weir_cursor_of(field.bytes);
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != 1 || field.type != WEIR_PB_BYTES || !add_pair(field.bytes, ret)) {
            return false;
        }
    }
    return !cursor.failed;
}

bool weir_sink_part_json(struct weir_bytes text, uint8_t *room, size_t size,
                         struct weir_sink_pairs *ret)
{
    struct weir_json json;
    struct weir_bytes key;
    ret->count = 0;
    if (text.size == 0 || text.size > size) {
        return false;
    }
    memcpy(room, text.data, text.size);
    weir_json_init(&json, room, text.size, 2);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (ret->count == WEIR_SINK_PART_ATTRIBUTES_MAX) {
            return false;
        }
        ret->pair[ret->count++] = (struct weir_sink_attribute){
            .key = key, .text = weir_json_string(&json), .is_text = true};
    }
    return weir_json_finish(&json) == WEIR_OK;
}
