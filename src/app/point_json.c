/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data point for people and scripts: one JSON object a line, keys in order.
 *
 *   {"attributes": {"Dimensions": {...}, "MetricName": ..., "Namespace": ...}, "count": 3,
 *    "end": ns, "name": ..., "quantiles": [[0.0, 1.5], [1.0, 9.0]], "resource": {...},
 *    "start": ns, "sum": 20.0, "unit": "s"}
 *
 * A Gauge or Sum has "value" in place of count, sum and quantiles; a histogram has no quantiles.
 * Attributes are sorted by key, so that two points that mean the same print the same. What comes
 * here has been checked by the decoder; a field that would not parse all the same is left out.
 *
 *   I1  one line a point, whatever the point holds (weir_buf_put_json_string escapes line breaks)
 *   I2  recursion is at most DEPTH_MAX deep, a list of attributes at most PAIRS_MAX long; what is
 *       more is left out
 *
 * Pure; any thread.
 */
#include "point_json.h"
#include "weir/pb.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAIRS_MAX = 256, DEPTH_MAX = 16, DIGITS_MAX = 17 };

struct pair {
    struct weir_bytes key;
    struct weir_bytes value; /* an AnyValue */
};

static void put_pairs(struct weir_bytes message, uint32_t number, unsigned depth,
                      struct weir_buf *out);

void weir_point_json_double(double value, struct weir_buf *out)
{
    char text[40];
    if (!isfinite(value)) {
        const char *word = isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
        weir_buf_put(out, weir_bytes_str(word));
        return;
    }
    for (int digits = 1; digits <= DIGITS_MAX; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (memcmp(&back, &value, sizeof value) == 0) {
            break;
        }
    }
    double magnitude = fabs(value);
    if (strchr(text, 'e') != NULL && magnitude >= 1e-4 && magnitude < 1e16) {
        (void)snprintf(text, sizeof text, "%.0f", value); /* 1e+06 is plainer as 1000000.0 */
    }
    weir_buf_put(out, weir_bytes_str(text));
    if (strpbrk(text, ".e") == NULL) {
        weir_buf_put(out, WEIR_BYTES(".0"));
    }
}

/* The last field `number` of a message; number 0 when there is none. */
static struct weir_pb_field last_field(struct weir_bytes message, uint32_t number)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    struct weir_pb_field found = {.number = 0};
    while (weir_pb_next(&cursor, &field)) {
        found = field.number == number ? field : found;
    }
    return found;
}

static void put_array(struct weir_bytes message, unsigned depth, struct weir_buf *out);

/* An AnyValue (opentelemetry/proto/common/v1). */
static void put_value(struct weir_bytes value, unsigned depth, struct weir_buf *out)
{
    struct weir_cursor cursor = weir_cursor_of(value);
    struct weir_pb_field field = {.number = 0};
    if (depth == DEPTH_MAX || !weir_pb_next(&cursor, &field)) {
        weir_buf_put(out, WEIR_BYTES("null"));
        return;
    }
    switch (field.number) {
    case 2: weir_buf_put(out, weir_bytes_str(field.value != 0 ? "true" : "false")); break;
    case 3: weir_buf_printf(out, "%" PRId64, (int64_t)field.value); break;
    case 4: weir_point_json_double(weir_pb_double(field.value), out); break;
    case 5: put_array(field.bytes, depth + 1, out); break;
    case 6: put_pairs(field.bytes, 1, depth + 1, out); break;
    default: weir_buf_put_json_string(out, field.bytes, 0); break; /* a string, or bytes */
    }
}

static void put_array(struct weir_bytes message, unsigned depth, struct weir_buf *out)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    const char *comma = "";
    weir_buf_put_byte(out, '[');
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            weir_buf_put(out, weir_bytes_str(comma));
            put_value(field.bytes, depth, out);
            comma = ", ";
        }
    }
    weir_buf_put_byte(out, ']');
}

static int compare_pairs(const void *left, const void *right)
{
    const struct pair *a = left;
    const struct pair *b = right;
    size_t size = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = size == 0 ? 0 : memcmp(a->key.data, b->key.data, size);
    if (order != 0) {
        return order;
    }
    return a->key.size < b->key.size ? -1 : a->key.size > b->key.size;
}

/* The KeyValues in fields `number` of a message, as an object. */
static void put_pairs(struct weir_bytes message, uint32_t number, unsigned depth,
                      struct weir_buf *out)
{
    struct pair pairs[PAIRS_MAX];
    size_t count = 0;
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (count < PAIRS_MAX && weir_pb_next(&cursor, &field)) {
        if (field.number == number) {
            pairs[count].key = last_field(field.bytes, 1).bytes;
            pairs[count].value = last_field(field.bytes, 2).bytes;
            count++;
        }
    }
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    weir_buf_put_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        weir_buf_put(out, weir_bytes_str(i == 0 ? "" : ", "));
        weir_buf_put_json_string(out, pairs[i].key, 0);
        weir_buf_put(out, WEIR_BYTES(": "));
        put_value(pairs[i].value, depth, out);
    }
    weir_buf_put_byte(out, '}');
}

/* The ValueAtQuantiles of a SummaryDataPoint (field 6). */
static void put_quantiles(struct weir_bytes data, struct weir_buf *out)
{
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    const char *comma = "";
    weir_buf_put(out, WEIR_BYTES(", \"quantiles\": ["));
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 6) {
            weir_buf_printf(out, "%s[", comma);
            weir_point_json_double(weir_pb_double(last_field(field.bytes, 1).value), out);
            weir_buf_put(out, WEIR_BYTES(", "));
            weir_point_json_double(weir_pb_double(last_field(field.bytes, 2).value), out);
            weir_buf_put_byte(out, ']');
            comma = ", ";
        }
    }
    weir_buf_put_byte(out, ']');
}

static bool has_number(enum weir_metric_data data)
{
    return data == WEIR_METRIC_GAUGE || data == WEIR_METRIC_SUM;
}

/* A NumberDataPoint's value: as_double (4) or as_int (6). */
static void put_number(struct weir_bytes data, struct weir_buf *out)
{
    struct weir_pb_field integer = last_field(data, 6);
    if (integer.number == 6) {
        weir_buf_printf(out, "%" PRId64, (int64_t)integer.value);
    } else {
        weir_point_json_double(weir_pb_double(last_field(data, 4).value), out);
    }
}

/* Where each data point's attributes stand (opentelemetry/proto/metrics/v1). */
static uint32_t attributes_field(enum weir_metric_data data)
{
    switch (data) {
    case WEIR_METRIC_HISTOGRAM: return 9;
    case WEIR_METRIC_EXPONENTIAL_HISTOGRAM: return 1;
    case WEIR_METRIC_GAUGE:
    case WEIR_METRIC_SUM:
    case WEIR_METRIC_SUMMARY:
    default: return 7;
    }
}

void weir_point_json(const struct weir_point *point, struct weir_buf *out)
{
    const struct weir_metric *metric = point->metric;
    struct weir_bytes data = weir_bytes_of(point->data, point->size);
    struct weir_bytes resource = last_field(metric->scope->resource->head, 1).bytes;
    weir_buf_put(out, WEIR_BYTES("{\"attributes\": "));
    put_pairs(data, attributes_field(metric->data), 0, out);
    if (!has_number(metric->data)) {
        weir_buf_printf(out, ", \"count\": %" PRIu64, last_field(data, 4).value);
    }
    weir_buf_printf(out, ", \"end\": %" PRIu64 ", \"name\": ", last_field(data, 3).value);
    weir_buf_put_json_string(out, last_field(metric->head, 1).bytes, 0);
    if (metric->data == WEIR_METRIC_SUMMARY) {
        put_quantiles(data, out);
    }
    weir_buf_put(out, WEIR_BYTES(", \"resource\": "));
    put_pairs(resource, 1, 0, out);
    weir_buf_printf(out, ", \"start\": %" PRIu64, last_field(data, 2).value);
    if (!has_number(metric->data)) {
        weir_buf_put(out, WEIR_BYTES(", \"sum\": "));
        weir_point_json_double(weir_pb_double(last_field(data, 5).value), out);
    }
    weir_buf_put(out, WEIR_BYTES(", \"unit\": "));
    weir_buf_put_json_string(out, last_field(metric->head, 3).bytes, 0);
    if (has_number(metric->data)) {
        weir_buf_put(out, WEIR_BYTES(", \"value\": "));
        put_number(data, out);
    }
    weir_buf_put(out, WEIR_BYTES("}\n"));
}
