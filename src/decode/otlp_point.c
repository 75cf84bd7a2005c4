/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One OTLP data point: checked, and where it is 0.7's, written as 1.0.
 *
 *   0.7   1 labels {1 key 2 value} ...   2 start 3 time 4 count [5 sum] 6 quantiles ...   other
 *
 *   1.0   2 start 3 time 4 count [5 sum] 6 quantiles ...
 *         7 Namespace 7 MetricName 7 Dimensions   other
 *
 * The first labels called Namespace and MetricName are the two that CloudWatch puts in front; every
 * other label is a dimension, in its order, also one that happens to have such a name (a 1.0 point
 * would have it in Dimensions as well). Fields outside the table (flags, and what nobody knows) are
 * appended as they are.
 */
#include "otlp_point.h"
#include "weir/cwpoint.h"
#include "weir/panic.h"

static uint32_t attributes_number(enum weir_otlp_shape shape)
{
    switch ((unsigned)shape) {
    case WEIR_OTLP_HISTOGRAM_POINT: return 9;
    case WEIR_OTLP_EXPONENTIAL_POINT: return 1;
    default: return 7;
    }
}

bool weir_otlp_point_check(enum weir_otlp_shape shape, struct weir_bytes data,
                           struct weir_otlp_point *ret)
{
    struct weir_otlp_point point = {.data = data};
    uint32_t attributes = attributes_number(shape);
    bool has_attributes = false;
    bool has_name = false;
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (!weir_otlp_check_field(shape, &field)) {
            return false;
        }
        if (field.number == attributes) {
            has_attributes = true;
            has_name = has_name ||
                       weir_otlp_check_attribute(field.bytes, WEIR_BYTES("Namespace"), &point.name);
        } else if (field.number == 1) {
            point.has_labels = true;
            if (field.type != WEIR_PB_BYTES ||
                !weir_otlp_check_message(WEIR_OTLP_LABEL, field.bytes)) {
                return false;
            }
        } else if (field.number == 3) {
            point.time_ns = field.value <= INT64_MAX ? (int64_t)field.value : 0;
        }
    }
    if (cursor.failed || (point.has_labels && has_attributes)) {
        return false;
    }
    *ret = point;
    return true;
}

static struct weir_cwpoint_dimension read_label(struct weir_bytes message)
{
    struct weir_cwpoint_dimension label = {{NULL, 0}, {NULL, 0}};
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            label.key = field.bytes;
        } else if (field.number == 2) {
            label.value = field.bytes;
        }
    }
    return label;
}

static struct weir_cwpoint_quantile read_quantile(struct weir_bytes message)
{
    struct weir_cwpoint_quantile quantile = {0.0, 0.0};
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            quantile.quantile = weir_pb_double(field.value);
        } else if (field.number == 2) {
            quantile.value = weir_pb_double(field.value);
        }
    }
    return quantile;
}

void weir_otlp_point_clear(struct weir_cwpoint *point)
{
    memset(point, 0, offsetof(struct weir_cwpoint, quantiles));
    point->without_name = true;
    point->without_metric_name = true;
}

bool weir_otlp_point_add_label(struct weir_cwpoint *point,
                               const struct weir_cwpoint_dimension *label)
{
    if (point->without_name && weir_bytes_eq(label->key, WEIR_BYTES("Namespace"))) {
        point->without_name = false;
        point->name = label->value;
        return true;
    }
    if (point->without_metric_name && weir_bytes_eq(label->key, WEIR_BYTES("MetricName"))) {
        point->without_metric_name = false;
        point->metric_name = label->value;
        return true;
    }
    if (point->dimension_count == WEIR_CWPOINT_DIMENSIONS_MAX) {
        return false;
    }
    point->dimensions[point->dimension_count++] = *label;
    return true;
}

static bool add_label(struct weir_cwpoint *point, struct weir_bytes message)
{
    struct weir_cwpoint_dimension label = read_label(message);
    return weir_otlp_point_add_label(point, &label);
}

static bool add_quantile(struct weir_cwpoint *point, struct weir_bytes message)
{
    if (point->quantile_count == WEIR_CWPOINT_QUANTILES_MAX) {
        return false;
    }
    point->quantiles[point->quantile_count++] = read_quantile(message);
    return true;
}

/* Whether rewriting knows the field; what it does not is appended. */
static bool is_rewritten(uint32_t number)
{
    return number <= 6;
}

/* Takes the checked point apart; *ret_extra_size counts the fields to be appended. */
static bool read_point(struct weir_bytes data, struct weir_cwpoint *point, size_t *ret_extra_size)
{
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    bool fits = true;
    while (weir_pb_next(&cursor, &field)) {
        switch (field.number) {
        case 1: fits = fits && add_label(point, field.bytes); break;
        case 2: point->start_ns = field.value; break;
        case 3: point->time_ns = field.value; break;
        case 4: point->count = field.value; break;
        case 5: point->sum = weir_pb_double(field.value); break;
        case 6: fits = fits && add_quantile(point, field.bytes); break;
        default: *ret_extra_size += field.whole.size; break;
        }
    }
    WEIR_ASSERT(!cursor.failed);
    return fits;
}

bool weir_otlp_point_rewrite(struct weir_collect *collect, struct weir_otlp_point *point)
{
    struct weir_cwpoint read;
    weir_otlp_point_clear(&read);
    size_t extra_size = 0;
    if (!read_point(point->data, &read, &extra_size)) {
        return false;
    }
    uint8_t *extra = NULL;
    struct weir_bytes written = weir_cwpoint_summary(collect->arena, &read, extra_size, &extra);
    if (written.data == NULL) {
        collect->full = true;
        return true;
    }
    struct weir_cursor cursor = weir_cursor_of(point->data);
    struct weir_pb_field field;
    while (extra_size > 0 && weir_pb_next(&cursor, &field)) {
        if (!is_rewritten(field.number)) {
            memcpy(extra, field.whole.data, field.whole.size);
            extra += field.whole.size;
        }
    }
    point->data = written;
    point->name = read.name;
    return true;
}
