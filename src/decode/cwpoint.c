/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloudWatch's values as OTLP 1.0 bytes. Every message is measured, allocated at its exact size,
 * and then written, so that no length is ever patched and no byte shifted. The size functions stand
 * directly above their writers and must say the same; each writer's caller asserts that they did.
 *
 *   attribute      KeyValue { 1 key  2 AnyValue { 1 string } }
 *   0.7's labels   have the same two strings
 *   Dimensions     KeyValue { 1 key  2 AnyValue { 6 KeyValueList { 1 KeyValue ... } } }
 *
 *   I1  an attribute's value message is always written, also for an empty string (a oneof member
 *       has presence)
 *   I2  fixed64 fields with all bits 0 are left out, except a Gauge's value
 *
 * Deliberately not a general OTLP encoder: field orders are AWS's, taken from captured payloads.
 */
#include "weir/cwpoint.h"
#include "weir/panic.h"
#include "weir/pbw.h"

#define FIXED64_SIZE 9 /* a one-byte tag and eight bytes */

static const struct weir_bytes name_prefix = WEIR_BYTES_INIT("amazonaws.com/");

static uint64_t bits_of(double value)
{
    uint64_t bits;
    _Static_assert(sizeof(bits) == sizeof(value), "a double is 64 bits");
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static size_t fixed64_size(uint64_t bits)
{
    return bits == 0 ? 0 : FIXED64_SIZE;
}

static void put_fixed64(struct weir_buf *buf, uint32_t number, uint64_t bits)
{
    if (bits != 0) {
        weir_pbw_fixed64(buf, number, bits);
    }
}

static uint8_t *write_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* KeyValue with a string. */
static size_t string_attribute_size(struct weir_bytes key, struct weir_bytes value)
{
    return weir_pbw_bytes_size(1, key.size) +
           weir_pbw_bytes_size(2, weir_pbw_bytes_size(1, value.size));
}

/* Writes a string field of a number below 16 at `at`, and gives the place after it. */
static uint8_t *write_string(uint8_t *at, uint32_t number, struct weir_bytes text)
{
    *at++ = (uint8_t)(number << 3 | WEIR_PB_BYTES);
    at = write_varint(at, text.size);
    if (text.size > 0) {
        memcpy(at, text.data, text.size);
    }
    return at + text.size;
}

/* The room for the whole attribute is reserved at once: attributes are most of a point, and a
 * checked write for each of their eight parts took a tenth of the time of a line of JSON. */
static void put_string_attribute(struct weir_buf *buf, uint32_t number, struct weir_bytes key,
                                 struct weir_bytes value)
{
    size_t size = string_attribute_size(key, value);
    size_t whole = weir_pbw_bytes_size(number, size);
    uint8_t *start = weir_buf_reserve(buf, whole);
    if (start == NULL) {
        return;
    }
    uint8_t *at = start;
    *at++ = (uint8_t)(number << 3 | WEIR_PB_BYTES);
    at = write_varint(at, size);
    at = write_string(at, 1, key);
    *at++ = 2 << 3 | WEIR_PB_BYTES;
    at = write_varint(at, weir_pbw_bytes_size(1, value.size));
    at = write_string(at, 1, value);
    WEIR_ASSERT(at == start + whole);
    buf->size += whole;
}

/* KeyValueList of the dimensions. */
static size_t dimension_list_size(const struct weir_cwpoint *point)
{
    size_t size = 0;
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        const struct weir_cwpoint_dimension *dimension = &point->dimensions[i];
        size += weir_pbw_bytes_size(1, string_attribute_size(dimension->key, dimension->value));
    }
    return size;
}

static void put_dimensions(struct weir_buf *buf, const struct weir_cwpoint *point, size_t list_size)
{
    struct weir_bytes key = WEIR_BYTES("Dimensions");
    size_t value_size = weir_pbw_bytes_size(6, list_size);
    weir_pbw_begin(buf, 7, weir_pbw_bytes_size(1, key.size) + weir_pbw_bytes_size(2, value_size));
    weir_pbw_bytes(buf, 1, key);
    weir_pbw_begin(buf, 2, value_size);
    weir_pbw_begin(buf, 6, list_size);
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        put_string_attribute(buf, 1, point->dimensions[i].key, point->dimensions[i].value);
    }
}

/* The three attributes, field 7 of both kinds of data point. */
static size_t attributes_size(const struct weir_cwpoint *point, size_t list_size)
{
    size_t dimensions = weir_pbw_bytes_size(1, sizeof("Dimensions") - 1) +
                        weir_pbw_bytes_size(2, weir_pbw_bytes_size(6, list_size));
    size_t size = weir_pbw_bytes_size(7, dimensions);
    if (!point->without_name) {
        size += weir_pbw_bytes_size(7, string_attribute_size(WEIR_BYTES("Namespace"), point->name));
    }
    if (!point->without_metric_name) {
        size += weir_pbw_bytes_size(
            7, string_attribute_size(WEIR_BYTES("MetricName"), point->metric_name));
    }
    return size;
}

static void put_attributes(struct weir_buf *buf, const struct weir_cwpoint *point, size_t list_size)
{
    if (!point->without_name) {
        put_string_attribute(buf, 7, WEIR_BYTES("Namespace"), point->name);
    }
    if (!point->without_metric_name) {
        put_string_attribute(buf, 7, WEIR_BYTES("MetricName"), point->metric_name);
    }
    put_dimensions(buf, point, list_size);
}

static size_t quantile_size(const struct weir_cwpoint_quantile *quantile)
{
    return fixed64_size(bits_of(quantile->quantile)) + fixed64_size(bits_of(quantile->value));
}

static size_t summary_size(const struct weir_cwpoint *point, size_t list_size)
{
    size_t size = fixed64_size(point->start_ns) + fixed64_size(point->time_ns) +
                  fixed64_size(point->count) + fixed64_size(bits_of(point->sum)) +
                  attributes_size(point, list_size);
    for (uint32_t i = 0; i < point->quantile_count; i++) {
        size += weir_pbw_bytes_size(6, quantile_size(&point->quantiles[i]));
    }
    return size;
}

static void put_summary(struct weir_buf *buf, const struct weir_cwpoint *point, size_t list_size)
{
    put_fixed64(buf, 2, point->start_ns);
    put_fixed64(buf, 3, point->time_ns);
    put_fixed64(buf, 4, point->count);
    put_fixed64(buf, 5, bits_of(point->sum));
    for (uint32_t i = 0; i < point->quantile_count; i++) {
        const struct weir_cwpoint_quantile *quantile = &point->quantiles[i];
        weir_pbw_begin(buf, 6, quantile_size(quantile));
        put_fixed64(buf, 1, bits_of(quantile->quantile));
        put_fixed64(buf, 2, bits_of(quantile->value));
    }
    put_attributes(buf, point, list_size);
}

/* A buffer of exactly `size` bytes in the arena; its data is NULL when there is no room. */
static struct weir_buf take(struct weir_arena *arena, size_t size)
{
    return weir_buf_fixed(weir_arena_alloc(arena, size, 1), size);
}

struct weir_bytes weir_cwpoint_summary(struct weir_arena *arena, const struct weir_cwpoint *point,
                                       size_t extra_size, uint8_t **ret_extra)
{
    WEIR_ASSERT(point->quantile_count <= WEIR_CWPOINT_QUANTILES_MAX);
    WEIR_ASSERT(point->dimension_count <= WEIR_CWPOINT_DIMENSIONS_MAX);
    size_t list_size = dimension_list_size(point);
    size_t size = summary_size(point, list_size);
    struct weir_buf buf = take(arena, size + extra_size);
    if (buf.data == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    put_summary(&buf, point, list_size);
    WEIR_ASSERT(!buf.failed);
    WEIR_ASSERT(buf.size == size);
    if (ret_extra != NULL) {
        *ret_extra = buf.data + size;
    }
    return weir_bytes_of(buf.data, size + extra_size);
}

struct weir_bytes weir_cwpoint_gauge(struct weir_arena *arena, const struct weir_cwpoint *point,
                                     double value)
{
    size_t list_size = dimension_list_size(point);
    size_t size = fixed64_size(point->start_ns) + fixed64_size(point->time_ns) + FIXED64_SIZE +
                  attributes_size(point, list_size);
    struct weir_buf buf = take(arena, size);
    if (buf.data == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    put_fixed64(&buf, 2, point->start_ns);
    put_fixed64(&buf, 3, point->time_ns);
    weir_pbw_double(&buf, 4, value);
    put_attributes(&buf, point, list_size);
    WEIR_ASSERT(!buf.failed);
    WEIR_ASSERT(buf.size == size);
    return weir_buf_view(&buf);
}

struct weir_bytes weir_cwpoint_metric_head(struct weir_arena *arena,
                                           const struct weir_cwpoint *point,
                                           struct weir_bytes statistic, struct weir_bytes unit)
{
    size_t name_size = name_prefix.size + point->name.size + 1 + point->metric_name.size +
                       (statistic.size > 0 ? 1 + statistic.size : 0);
    size_t unit_size = unit.size > 0 ? weir_pbw_bytes_size(3, unit.size) : 0;
    struct weir_buf buf = take(arena, weir_pbw_bytes_size(1, name_size) + unit_size);
    if (buf.data == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    weir_pbw_begin(&buf, 1, name_size);
    weir_buf_put(&buf, name_prefix);
    weir_buf_put(&buf, point->name);
    weir_buf_put_byte(&buf, '/');
    weir_buf_put(&buf, point->metric_name);
    if (statistic.size > 0) {
        weir_buf_put_byte(&buf, '.');
        weir_buf_put(&buf, statistic);
    }
    if (unit.size > 0) {
        weir_pbw_bytes(&buf, 3, unit);
    }
    WEIR_ASSERT(!buf.failed);
    WEIR_ASSERT(buf.size == buf.capacity);
    return weir_buf_view(&buf);
}

/* The parts of arn:<partition>:cloudwatch:<region>:<account>:metric-stream/<stream>, in order. */
#define ARN_PARTS 8
static void arn_parts(const struct weir_cwpoint_resource *resource,
                      struct weir_bytes parts[ARN_PARTS])
{
    const struct weir_bytes all[ARN_PARTS] = {
        WEIR_BYTES_INIT("arn:"),
        resource->partition,
        WEIR_BYTES_INIT(":cloudwatch:"),
        resource->region,
        WEIR_BYTES_INIT(":"),
        resource->arn_account,
        WEIR_BYTES_INIT(":metric-stream/"),
        resource->stream,
    };
    memcpy(parts, all, sizeof(all));
}

struct weir_bytes weir_cwpoint_resource_head(struct weir_arena *arena,
                                             const struct weir_cwpoint_resource *resource)
{
    const struct weir_bytes provider_key = WEIR_BYTES_INIT("cloud.provider");
    const struct weir_bytes provider = WEIR_BYTES_INIT("aws");
    const struct weir_bytes account_key = WEIR_BYTES_INIT("cloud.account.id");
    const struct weir_bytes region_key = WEIR_BYTES_INIT("cloud.region");
    const struct weir_bytes arn_key = WEIR_BYTES_INIT("aws.exporter.arn");
    struct weir_bytes parts[ARN_PARTS];
    arn_parts(resource, parts);
    size_t arn_size = 0;
    for (size_t i = 0; i < ARN_PARTS; i++) {
        arn_size += parts[i].size;
    }
    /* only the size of a string matters to the size functions */
    size_t arn_attribute = weir_pbw_bytes_size(1, arn_key.size) +
                           weir_pbw_bytes_size(2, weir_pbw_bytes_size(1, arn_size));
    size_t size = weir_pbw_bytes_size(1, string_attribute_size(provider_key, provider)) +
                  weir_pbw_bytes_size(1, string_attribute_size(account_key, resource->account)) +
                  weir_pbw_bytes_size(1, string_attribute_size(region_key, resource->region)) +
                  weir_pbw_bytes_size(1, arn_attribute);
    struct weir_buf buf = take(arena, weir_pbw_bytes_size(1, size));
    if (buf.data == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    weir_pbw_begin(&buf, 1, size);
    put_string_attribute(&buf, 1, provider_key, provider);
    put_string_attribute(&buf, 1, account_key, resource->account);
    put_string_attribute(&buf, 1, region_key, resource->region);
    weir_pbw_begin(&buf, 1, arn_attribute);
    weir_pbw_bytes(&buf, 1, arn_key);
    weir_pbw_begin(&buf, 2, weir_pbw_bytes_size(1, arn_size));
    weir_pbw_begin(&buf, 1, arn_size);
    for (size_t i = 0; i < ARN_PARTS; i++) {
        weir_buf_put(&buf, parts[i]);
    }
    WEIR_ASSERT(!buf.failed);
    WEIR_ASSERT(buf.size == buf.capacity);
    return weir_buf_view(&buf);
}
