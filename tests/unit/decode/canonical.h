/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_DECODE_CANONICAL_H
#define WEIR_TEST_DECODE_CANONICAL_H

/*
 * A decoded point as one line of text, and a line of expected.ndjson as the same text. Attributes
 * are sorted by key, doubles are hexadecimal, so that equal text means equal meaning.
 */
#include "weir/buf.h"
#include "weir/json.h"
#include "weir/panic.h"
#include "weir/pb.h"
#include "weir/point.h"
#include <inttypes.h>
#include <stdlib.h>

#define CANONICAL_PAIRS 64

struct canonical_pairs {
    size_t count;
    struct {
        struct weir_bytes key;
        struct weir_bytes value;
    } pair[CANONICAL_PAIRS];
};

static inline void canonical_add(struct canonical_pairs *pairs, struct weir_bytes key,
                                 struct weir_bytes value)
{
    WEIR_ASSERT(pairs->count < CANONICAL_PAIRS);
    size_t at = pairs->count++;
    while (at > 0) {
        struct weir_bytes before = pairs->pair[at - 1].key;
        size_t size = before.size < key.size ? before.size : key.size;
        int order = size == 0 ? 0 : memcmp(before.data, key.data, size);
        if (order < 0 || (order == 0 && before.size <= key.size)) {
            break;
        }
        pairs->pair[at] = pairs->pair[at - 1];
        at--;
    }
    pairs->pair[at].key = key;
    pairs->pair[at].value = value;
}

static inline void canonical_put_pairs(struct weir_buf *out, const char *name,
                                       const struct canonical_pairs *pairs)
{
    weir_buf_printf(out, " %s{", name);
    for (size_t i = 0; i < pairs->count; i++) {
        weir_buf_put(out, pairs->pair[i].key);
        weir_buf_put_byte(out, '=');
        weir_buf_put(out, pairs->pair[i].value);
        weir_buf_put_byte(out, ';');
    }
    weir_buf_put_byte(out, '}');
}

static inline void canonical_put_text(struct weir_buf *out, const char *name,
                                      struct weir_bytes text)
{
    weir_buf_printf(out, " %s=", name);
    weir_buf_put(out, text);
}

/* The last field `number` of a message. */
static inline struct weir_pb_field canonical_field(struct weir_bytes message, uint32_t number)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    struct weir_pb_field found = {.number = 0};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == number) {
            found = field;
        }
    }
    WEIR_ASSERT(!cursor.failed);
    return found;
}

/* Every KeyValue in fields `number` of a message; the dimensions' own list comes
 * out as *ret_list. */
static inline void canonical_attributes(struct weir_bytes message, uint32_t number,
                                        struct canonical_pairs *pairs, struct weir_bytes *ret_list)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != number) {
            continue;
        }
        struct weir_bytes value = canonical_field(field.bytes, 2).bytes;
        struct weir_pb_field list = canonical_field(value, 6);
        if (list.number == 6) {
            WEIR_ASSERT(ret_list != NULL);
            *ret_list = list.bytes;
        } else {
            canonical_add(pairs, canonical_field(field.bytes, 1).bytes,
                          canonical_field(value, 1).bytes);
        }
    }
}

static inline void canonical_put_values(struct weir_buf *out, enum weir_metric_data data,
                                        struct weir_bytes point)
{
    weir_buf_printf(out, " start=%" PRIu64 " end=%" PRIu64, canonical_field(point, 2).value,
                    canonical_field(point, 3).value);
    if (data == WEIR_METRIC_GAUGE) {
        weir_buf_printf(out, " gauge=%a", weir_pb_double(canonical_field(point, 4).value));
        return;
    }
    weir_buf_printf(out, " count=%" PRIu64 " sum=%a q[", canonical_field(point, 4).value,
                    weir_pb_double(canonical_field(point, 5).value));
    struct weir_cursor cursor = weir_cursor_of(point);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 6) {
            weir_buf_printf(out, "%a:%a,", weir_pb_double(canonical_field(field.bytes, 1).value),
                            weir_pb_double(canonical_field(field.bytes, 2).value));
        }
    }
    weir_buf_put_byte(out, ']');
}

/* One decoded point, a Summary or a Gauge. */
static inline void canonical_put_point(struct weir_buf *out, const struct weir_point *point)
{
    const struct weir_metric *metric = point->metric;
    struct weir_bytes data = weir_bytes_of(point->data, point->size);
    struct weir_bytes resource = canonical_field(metric->scope->resource->head, 1).bytes;
    struct weir_bytes list = {NULL, 0};
    struct canonical_pairs resource_pairs = {0};
    struct canonical_pairs attributes = {0};
    struct canonical_pairs dimensions = {0};
    canonical_attributes(resource, 1, &resource_pairs, NULL);
    canonical_attributes(data, 7, &attributes, &list);
    canonical_attributes(list, 1, &dimensions, NULL);
    canonical_put_text(out, "name", canonical_field(metric->head, 1).bytes);
    canonical_put_text(out, "unit", canonical_field(metric->head, 3).bytes);
    canonical_put_values(out, metric->data, data);
    canonical_put_pairs(out, "dimensions", &dimensions);
    canonical_put_pairs(out, "attributes", &attributes);
    canonical_put_pairs(out, "resource", &resource_pairs);
}

/* ---- the other side: expected.ndjson ---- */

#define CANONICAL_EXTENDED 8

struct canonical_expected {
    struct weir_bytes name;
    struct weir_bytes unit;
    uint64_t start;
    uint64_t end;
    uint64_t count;
    double sum;
    size_t quantile_count;
    double quantiles[64][2];
    size_t extended_count;
    struct {
        struct weir_bytes key;
        double value;
    } extended[CANONICAL_EXTENDED];
    struct canonical_pairs dimensions;
    struct canonical_pairs attributes;
    struct canonical_pairs resource;
};

static inline void canonical_read_pairs(struct weir_json *json, struct canonical_pairs *pairs,
                                        struct canonical_pairs *nested)
{
    struct weir_bytes key;
    weir_json_object_begin(json);
    while (weir_json_member(json, &key)) {
        if (weir_json_peek(json) == WEIR_JSON_OBJECT && nested != NULL) {
            canonical_read_pairs(json, nested, NULL);
        } else {
            canonical_add(pairs, key, weir_json_string(json));
        }
    }
}

static inline void canonical_read_quantiles(struct weir_json *json,
                                            struct canonical_expected *expected)
{
    weir_json_array_begin(json);
    while (weir_json_element(json)) {
        WEIR_ASSERT(expected->quantile_count < 64);
        double *pair = expected->quantiles[expected->quantile_count++];
        size_t at = 0;
        weir_json_array_begin(json);
        while (weir_json_element(json)) {
            WEIR_ASSERT(at < 2);
            pair[at++] = weir_json_double(json);
        }
    }
}

static inline void canonical_read_extended(struct weir_json *json,
                                           struct canonical_expected *expected)
{
    struct weir_bytes key;
    weir_json_object_begin(json);
    while (weir_json_member(json, &key)) {
        WEIR_ASSERT(expected->extended_count < CANONICAL_EXTENDED);
        expected->extended[expected->extended_count].key = key;
        expected->extended[expected->extended_count++].value = weir_json_double(json);
    }
}

static inline void canonical_read_number(struct weir_json *json, struct weir_bytes key,
                                         struct canonical_expected *expected)
{
    if (weir_bytes_eq(key, WEIR_BYTES("sum"))) {
        expected->sum = weir_json_double(json);
    } else if (weir_bytes_eq(key, WEIR_BYTES("count"))) {
        expected->count = (uint64_t)weir_json_int64(json);
    } else if (weir_bytes_eq(key, WEIR_BYTES("start"))) {
        expected->start = (uint64_t)weir_json_int64(json);
    } else {
        WEIR_ASSERT(weir_bytes_eq(key, WEIR_BYTES("end")));
        expected->end = (uint64_t)weir_json_int64(json);
    }
}

static inline void canonical_read(uint8_t *line, size_t size, struct canonical_expected *expected)
{
    struct weir_json json;
    struct weir_bytes key;
    memset(expected, 0, sizeof(*expected));
    weir_json_init(&json, line, size, 16);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (weir_bytes_eq(key, WEIR_BYTES("attributes"))) {
            canonical_read_pairs(&json, &expected->attributes, &expected->dimensions);
        } else if (weir_bytes_eq(key, WEIR_BYTES("resource"))) {
            canonical_read_pairs(&json, &expected->resource, NULL);
        } else if (weir_bytes_eq(key, WEIR_BYTES("quantiles"))) {
            canonical_read_quantiles(&json, expected);
        } else if (weir_bytes_eq(key, WEIR_BYTES("extended"))) {
            canonical_read_extended(&json, expected);
        } else if (weir_bytes_eq(key, WEIR_BYTES("name"))) {
            expected->name = weir_json_string(&json);
        } else if (weir_bytes_eq(key, WEIR_BYTES("unit"))) {
            expected->unit = weir_json_string(&json);
        } else {
            canonical_read_number(&json, key, expected);
        }
    }
    enum weir_status status = weir_json_finish(&json);
    WEIR_ASSERT(status == WEIR_OK);
}

/* The Summary (extended < 0) or the Gauge of one extended statistic. */
static inline void canonical_put_expected(struct weir_buf *out,
                                          const struct canonical_expected *expected, int extended)
{
    canonical_put_text(out, "name", expected->name);
    if (extended >= 0) {
        weir_buf_put_byte(out, '.');
        weir_buf_put(out, expected->extended[extended].key);
    }
    canonical_put_text(out, "unit", expected->unit);
    weir_buf_printf(out, " start=%" PRIu64 " end=%" PRIu64, expected->start, expected->end);
    if (extended >= 0) {
        weir_buf_printf(out, " gauge=%a", expected->extended[extended].value);
    } else {
        weir_buf_printf(out, " count=%" PRIu64 " sum=%a q[", expected->count, expected->sum);
        for (size_t i = 0; i < expected->quantile_count; i++) {
            weir_buf_printf(out, "%a:%a,", expected->quantiles[i][0], expected->quantiles[i][1]);
        }
        weir_buf_put_byte(out, ']');
    }
    canonical_put_pairs(out, "dimensions", &expected->dimensions);
    canonical_put_pairs(out, "attributes", &expected->attributes);
    canonical_put_pairs(out, "resource", &expected->resource);
}

#endif
