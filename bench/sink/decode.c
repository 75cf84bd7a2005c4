/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk through a request. Each level is read twice: first its head, then its children, because
 * protobuf leaves the order to the writer; the second time skips over what the first has read, so
 * a body costs little more than once through.
 *
 *   ExportMetricsServiceRequest  1 resource_metrics
 *   ResourceMetrics              1 resource  2 scope_metrics  3 schema_url
 *   Resource                     1 attributes  2 dropped_attributes_count
 *   ScopeMetrics                 1 scope  2 metrics  3 schema_url
 *   Metric                       1 name  2 description  3 unit
 *                                5 gauge  7 sum  9 histogram  10 exponential  11 summary
 *   the five kinds               1 data_points  (2 temporality, 3 monotonic)
 *   SummaryDataPoint             2 start 3 time 4 count 5 sum 6 quantiles 7 attributes 8 flags
 *   KeyValue 1 key 2 value       AnyValue 1 string .. 6 kvlist       KeyValueList 1 values
 *
 *   I1  a known field of another wire type is malformed; an unknown one is noted in `has_extras`
 *   I2  strings of heads are UTF-8; a name or unit that comes twice is malformed, and so are two
 *       kinds of data in one metric (legal protobuf, but nobody's intention)
 *   I3  points are not looked into here: weir_sink_identify does, and the caller compares bytes
 *
 * Any thread; no memory. Deliberately not Weir's decoder, which it is to be a check of.
 */
#include "sink/decode.h"
#include "weir/pb.h"
#include "weir/utf8.h"

struct walk {
    void (*seen)(void *argument, const struct weir_sink_point *point);
    void *argument;
    uint64_t points;
    const char *what;
    struct weir_sink_resource resource;
};

static enum weir_status malformed(struct walk *walk, const char *what)
{
    walk->what = what;
    return WEIR_EMALFORMED;
}

/* A string field that may come once. */
static bool take_text(const struct weir_pb_field *field, struct weir_bytes *text)
{
    bool is_good =
        field->type == WEIR_PB_BYTES && text->data == NULL && weir_utf8_valid(field->bytes);
    *text = field->bytes;
    return is_good;
}

/* -- attributes -------------------------------------------------------------------------------- */

static bool read_any_value(struct weir_bytes content, struct weir_sink_attribute *attribute)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    attribute->whole = content;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1 && field.type == WEIR_PB_BYTES && weir_utf8_valid(field.bytes)) {
            attribute->text = field.bytes;
            attribute->is_text = field.whole.size == content.size;
        } else if (field.number == 1) {
            return false;
        }
    }
    return !cursor.failed;
}

bool weir_sink_key_value(struct weir_bytes content, struct weir_sink_attribute *ret)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    struct weir_sink_attribute attribute = {.is_text = false};
    while (weir_pb_next(&cursor, &field)) {
        bool is_good = true;
        if (field.number == 1) {
            is_good = take_text(&field, &attribute.key);
        } else if (field.number == 2) {
            is_good = field.type == WEIR_PB_BYTES && attribute.whole.data == NULL &&
                      read_any_value(field.bytes, &attribute);
        }
        if (!is_good) {
            return false;
        }
    }
    *ret = attribute;
    return !cursor.failed;
}

/* -- heads ------------------------------------------------------------------------------------- */

static enum weir_status read_resource(struct walk *walk, struct weir_bytes content)
{
    struct weir_sink_resource *resource = &walk->resource;
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != 1) {
            resource->has_extras = true;
            continue;
        }
        struct weir_sink_attribute attribute;
        if (field.type != WEIR_PB_BYTES || !weir_sink_key_value(field.bytes, &attribute)) {
            return malformed(walk, "a resource attribute");
        }
        if (resource->attributes < WEIR_SINK_ATTRIBUTES_MAX) {
            resource->attribute[resource->attributes] = attribute;
        }
        resource->attributes++;
    }
    return cursor.failed ? malformed(walk, "a resource") : WEIR_OK;
}

static bool is_kind(uint32_t number)
{
    return number == 5 || number == 7 || number == 9 || number == 10 || number == 11;
}

/* Reads a metric's head into `point` and gives its data. */
static enum weir_status read_metric_head(struct walk *walk, struct weir_bytes content,
                                         struct weir_sink_point *point, struct weir_bytes *ret_data)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    *ret_data = weir_bytes_of(NULL, 0);
    while (weir_pb_next(&cursor, &field)) {
        bool is_good = true;
        if (field.number == 1) {
            is_good = take_text(&field, &point->metric);
        } else if (field.number == 3) {
            is_good = take_text(&field, &point->unit);
        } else if (is_kind(field.number)) {
            is_good = field.type == WEIR_PB_BYTES && ret_data->data == NULL;
            point->is_summary = field.number == 11;
            point->kind = field.number;
            *ret_data = field.bytes;
        } else {
            point->has_extras = true;
        }
        if (!is_good) {
            return malformed(walk, "a metric's field");
        }
    }
    return cursor.failed ? malformed(walk, "a metric") : WEIR_OK;
}

/* What a metric's data says beside its points: the temporality. */
static enum weir_status read_data_head(struct walk *walk, struct weir_bytes data,
                                       struct weir_sink_point *point)
{
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 2 && field.type != WEIR_PB_VARINT) {
            return malformed(walk, "a temporality");
        }
        point->temporality = field.number == 2 ? (uint32_t)field.value : point->temporality;
    }
    return cursor.failed ? malformed(walk, "a metric's data") : WEIR_OK;
}

/* -- children ---------------------------------------------------------------------------------- */

static enum weir_status read_metric(struct walk *walk, struct weir_bytes content)
{
    struct weir_sink_point point = {.resource = &walk->resource};
    struct weir_bytes data;
    WEIR_TRY(read_metric_head(walk, content, &point, &data));
    bool head_has_extras = point.has_extras;
    if (!point.is_summary) {
        WEIR_TRY(read_data_head(walk, data, &point));
    }
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != 1) {
            continue; /* noted by read_data_head */
        }
        if (field.type != WEIR_PB_BYTES) {
            return malformed(walk, "a data point");
        }
        point.content = field.bytes;
        point.has_extras = head_has_extras;
        walk->points++;
        if (walk->seen != NULL) {
            walk->seen(walk->argument, &point);
        }
    }
    return cursor.failed ? malformed(walk, "a metric's data") : WEIR_OK;
}

static enum weir_status read_scope(struct walk *walk, struct weir_bytes content)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != 2) {
            continue; /* noted by read_scope_head */
        }
        if (field.type != WEIR_PB_BYTES) {
            return malformed(walk, "metrics of a scope");
        }
        WEIR_TRY(read_metric(walk, field.bytes));
    }
    return cursor.failed ? malformed(walk, "a scope") : WEIR_OK;
}

/* A scope or schema URL is none of what AWS sends, and belongs to every point below. */
static enum weir_status read_scope_head(struct walk *walk, struct weir_bytes content)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        bool is_known = field.number == 1 || field.number == 3;
        if (is_known && field.type != WEIR_PB_BYTES) {
            return malformed(walk, "a scope's field");
        }
        if (field.number != 2) {
            walk->resource.has_extras = true;
        }
    }
    return cursor.failed ? malformed(walk, "a scope") : WEIR_OK;
}

static enum weir_status read_resource_head(struct walk *walk, struct weir_bytes content)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    bool is_read = false;
    walk->resource.attributes = 0;
    walk->resource.has_extras = false;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number >= 1 && field.number <= 3 && field.type != WEIR_PB_BYTES) {
            return malformed(walk, "a resource's field");
        }
        if (field.number == 1 && is_read) {
            return malformed(walk, "a second resource");
        }
        if (field.number == 1) {
            is_read = true;
            WEIR_TRY(read_resource(walk, field.bytes));
        } else if (field.number != 2) {
            walk->resource.has_extras = true;
        }
    }
    return cursor.failed ? malformed(walk, "resource metrics") : WEIR_OK;
}

static enum weir_status read_resource_metrics(struct walk *walk, struct weir_bytes content)
{
    WEIR_TRY(read_resource_head(walk, content));
    bool head_has_extras = walk->resource.has_extras;
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 2) {
            walk->resource.has_extras = head_has_extras;
            WEIR_TRY(read_scope_head(walk, field.bytes));
            WEIR_TRY(read_scope(walk, field.bytes));
        }
    }
    return WEIR_OK;
}

enum weir_status weir_sink_decode(struct weir_bytes body,
                                  void (*seen)(void *argument, const struct weir_sink_point *point),
                                  void *argument, struct weir_sink_decoded *ret)
{
    struct walk walk = {.seen = seen, .argument = argument};
    struct weir_cursor cursor = weir_cursor_of(body);
    struct weir_pb_field field;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && weir_pb_next(&cursor, &field)) {
        if (field.number == 1 && field.type != WEIR_PB_BYTES) {
            status = malformed(&walk, "resource metrics of another type");
        } else if (field.number == 1) {
            status = read_resource_metrics(&walk, field.bytes);
        }
    }
    if (status == WEIR_OK && cursor.failed) {
        status = malformed(&walk, "the request");
    }
    *ret = (struct weir_sink_decoded){walk.points, walk.what};
    return status;
}

/* -- a point ----------------------------------------------------------------------------------- */

/* Dimensions are AnyValue { 6 KeyValueList { 1 KeyValue ... } }. */
static enum weir_status read_dimensions(struct weir_bytes any_value, struct weir_sink_identity *id)
{
    struct weir_cursor outer = weir_cursor_of(any_value);
    struct weir_pb_field list;
    if (!weir_pb_next(&outer, &list) || list.number != 6 || list.type != WEIR_PB_BYTES) {
        return WEIR_EMALFORMED;
    }
    struct weir_cursor cursor = weir_cursor_of(list.bytes);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        struct weir_sink_attribute attribute;
        if (field.number != 1 || field.type != WEIR_PB_BYTES ||
            !weir_sink_key_value(field.bytes, &attribute) || !attribute.is_text) {
            return WEIR_EMALFORMED;
        }
        if (id->dimensions++ == 0) {
            id->value = attribute.text;
        }
    }
    return cursor.failed ? WEIR_EMALFORMED : WEIR_OK;
}

static enum weir_status read_attribute(struct weir_bytes content, struct weir_sink_identity *id)
{
    struct weir_sink_attribute attribute;
    if (!weir_sink_key_value(content, &attribute)) {
        return WEIR_EMALFORMED;
    }
    if (weir_bytes_eq(attribute.key, WEIR_BYTES("Namespace"))) {
        id->name = attribute.text;
    } else if (weir_bytes_eq(attribute.key, WEIR_BYTES("MetricName"))) {
        id->metric = attribute.text;
    } else if (weir_bytes_eq(attribute.key, WEIR_BYTES("Dimensions"))) {
        return read_dimensions(attribute.whole, id);
    }
    return WEIR_OK;
}

enum weir_status weir_sink_identify(struct weir_bytes content, struct weir_sink_identity *ret)
{
    struct weir_sink_identity id = {.start_ns = 0};
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 2 && field.type == WEIR_PB_FIXED64) {
            id.start_ns = field.value;
        } else if (field.number == 7 && field.type == WEIR_PB_BYTES) {
            WEIR_TRY(read_attribute(field.bytes, &id));
        } else if (field.number == 2 || field.number == 7) {
            return WEIR_EMALFORMED;
        }
    }
    if (cursor.failed) {
        return WEIR_EMALFORMED;
    }
    if (id.name.size == 0 || id.metric.size == 0 || id.dimensions == 0) {
        return WEIR_ENOTFOUND;
    }
    *ret = id;
    return WEIR_OK;
}
