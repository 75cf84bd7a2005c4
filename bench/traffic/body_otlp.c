/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP records as AWS writes them, from back to front, so that every length is known when it is
 * written and nothing is measured or moved:
 *
 *   scratch [            at ─► length | request | resource metrics | resource, metric, metric, ...]
 *             <── grows
 *
 *   0.7   label ... label, start, end, count, [sum], quantiles
 *   1.0   start, end, count, [sum], quantiles, Namespace, MetricName, Dimensions
 *
 *   I1  zeros are left out, as proto3 has it: a sum of 0; a minimum of 0 is an empty message
 *   I2  each Metric has one data point, also where a name comes again
 *
 * Written from the formats' descriptions; shares nothing with the decoder that it is used to check.
 */
#include "body_internal.h"
#include "weir/panic.h"

#define NS_PER_MS  UINT64_C(1000000)
#define PERIOD_NS  UINT64_C(60000000000)
#define TEXT(text) WEIR_BYTES(text)

enum wire { VARINT = 0, FIXED64 = 1, LENGTH = 2 };

/* The bytes written so far are [at, end); room begins at start. */
struct back {
    uint8_t *start;
    uint8_t *at;
};

static uint8_t *take(struct back *back, size_t size)
{
    WEIR_ASSERT((size_t)(back->at - back->start) >= size);
    back->at -= size;
    return back->at;
}

static void put_text(struct back *back, struct weir_bytes text)
{
    memcpy(take(back, text.size), text.data, text.size);
}

static void put_varint(struct back *back, uint64_t value)
{
    size_t size = 1;
    for (uint64_t rest = value >> 7; rest != 0; rest >>= 7) {
        size++;
    }
    uint8_t *at = take(back, size);
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)((value & 0x7f) | (i + 1 < size ? 0x80 : 0));
        value >>= 7;
    }
}

static void put_tag(struct back *back, uint32_t number, enum wire wire)
{
    *take(back, 1) = (uint8_t)(number << 3 | wire);
}

/* Makes a field of what was written since `end` was where the bytes began. */
static void close(struct back *back, uint32_t number, const uint8_t *end)
{
    put_varint(back, (uint64_t)(end - back->at));
    put_tag(back, number, LENGTH);
}

static void put_string(struct back *back, uint32_t number, struct weir_bytes text)
{
    const uint8_t *end = back->at;
    put_text(back, text);
    close(back, number, end);
}

/* Not written when zero. */
static void put_fixed64(struct back *back, uint32_t number, uint64_t bits)
{
    if (bits == 0) {
        return;
    }
    uint8_t *at = take(back, 8);
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(bits >> 8 * i);
    }
    put_tag(back, number, FIXED64);
}

static void put_double(struct back *back, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_fixed64(back, number, bits);
}

/* StringKeyValue of 0.7. */
static void put_label(struct back *back, struct weir_bytes key, struct weir_bytes value)
{
    const uint8_t *end = back->at;
    put_string(back, 2, value);
    put_string(back, 1, key);
    close(back, 1, end);
}

/* KeyValue with a string. */
static void put_attribute(struct back *back, uint32_t number, struct weir_bytes key,
                          struct weir_bytes value)
{
    const uint8_t *end = back->at;
    put_string(back, 1, value);
    close(back, 2, end);
    put_string(back, 1, key);
    close(back, number, end);
}

static void put_dimensions(struct back *back, const struct weir_traffic_point *point)
{
    const uint8_t *end = back->at;
    for (uint32_t i = point->dimensions; i > 0; i--) {
        put_attribute(back, 1, point->keys[i - 1], point->values[i - 1]);
    }
    close(back, 6, end);
    close(back, 2, end);
    put_string(back, 1, TEXT("Dimensions"));
    close(back, 7, end);
}

static void put_measured(struct back *back, const struct weir_traffic_point *point)
{
    for (uint32_t i = point->quantiles; i > 0; i--) {
        const uint8_t *end = back->at;
        put_double(back, 2, point->value[i - 1]);
        put_double(back, 1, point->quantile[i - 1]);
        close(back, 6, end);
    }
    uint64_t start = (uint64_t)point->start_ms * NS_PER_MS;
    put_double(back, 5, point->sum);
    put_fixed64(back, 4, point->count);
    put_fixed64(back, 3, start + PERIOD_NS);
    put_fixed64(back, 2, start);
}

static void put_point_10(struct back *back, const struct weir_traffic_point *point)
{
    put_dimensions(back, point);
    put_attribute(back, 7, TEXT("MetricName"), point->metric);
    put_attribute(back, 7, TEXT("Namespace"), point->name);
    put_measured(back, point);
}

static void put_point_07(struct back *back, const struct weir_traffic_point *point)
{
    put_measured(back, point);
    for (uint32_t i = point->dimensions; i > 0; i--) {
        put_label(back, point->keys[i - 1], point->values[i - 1]);
    }
    put_label(back, TEXT("MetricName"), point->metric);
    put_label(back, TEXT("Namespace"), point->name);
}

static void put_metric(struct back *back, const struct weir_traffic_point *point, bool is_07)
{
    const uint8_t *end = back->at;
    if (is_07) {
        put_point_07(back, point);
    } else {
        put_point_10(back, point);
    }
    close(back, 1, end);
    close(back, 11, end);
    put_string(back, 3, point->otlp_unit);
    const uint8_t *name_end = back->at;
    put_text(back, point->metric);
    put_text(back, TEXT("/"));
    put_text(back, point->name);
    put_text(back, TEXT("amazonaws.com/"));
    close(back, 1, name_end);
    close(back, 2, end);
}

static void put_arn(struct back *back, const struct weir_traffic_point *point)
{
    const uint8_t *end = back->at;
    put_text(back, point->stream);
    put_text(back, TEXT(":metric-stream/"));
    put_text(back, point->owner);
    put_text(back, TEXT(":"));
    put_text(back, point->region);
    put_text(back, TEXT("arn:aws:cloudwatch:"));
    close(back, 1, end);
    close(back, 2, end);
    put_string(back, 1, TEXT("aws.exporter.arn"));
    close(back, 1, end);
}

static void put_resource(struct back *back, const struct weir_traffic_point *point)
{
    const uint8_t *end = back->at;
    put_arn(back, point);
    put_attribute(back, 1, TEXT("cloud.region"), point->region);
    put_attribute(back, 1, TEXT("cloud.account.id"), point->account);
    put_attribute(back, 1, TEXT("cloud.provider"), TEXT("aws"));
    close(back, 1, end);
}

struct weir_bytes weir_body_otlp_record(const struct weir_traffic *traffic, bool is_07,
                                        uint64_t first, uint32_t count, uint8_t *scratch)
{
    WEIR_ASSERT(count > 0);
    const uint8_t *end = scratch + ((size_t)count + 1) * WEIR_BODY_POINT_MAX;
    struct back back = {scratch, scratch + ((size_t)count + 1) * WEIR_BODY_POINT_MAX};
    struct weir_traffic_point point;
    for (uint32_t i = count; i > 0; i--) {
        weir_traffic_point(traffic, first + i - 1, &point);
        put_metric(&back, &point, is_07);
    }
    close(&back, 2, end);
    put_resource(&back, &point);
    close(&back, 1, end);
    put_varint(&back, (uint64_t)(end - back.at));
    return weir_bytes_of(back.at, (size_t)(end - back.at));
}

void weir_body_expected(const struct weir_traffic_point *point, struct weir_buf *out)
{
    uint8_t scratch[WEIR_BODY_POINT_MAX];
    struct back back = {scratch, scratch + sizeof(scratch)};
    put_point_10(&back, point);
    weir_buf_put(out, weir_bytes_of(back.at, (size_t)(scratch + sizeof(scratch) - back.at)));
}
