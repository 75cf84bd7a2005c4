/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloudWatch's values as OTLP 1.0 bytes. Nested messages are measured, then written through a bare
 * pointer, so that no byte is shifted and no write checked. The size functions stand directly above
 * their writers and must say the same; each writer's caller asserts that they did. A Summary as a
 * whole is not measured, only what it cannot be larger than: what it did not need is given back.
 *
 *   attribute      KeyValue { 1 key  2 AnyValue { 1 string } }
 *   0.7's labels   have the same two strings
 *   Dimensions     KeyValue { 1 key  2 AnyValue { 6 KeyValueList { 1 KeyValue ... } } }
 *
 *   I1  an attribute's value message is always written, also for an empty string (a oneof member
 *       has presence)
 *   I2  fixed64 fields with all bits 0 are left out, except a Gauge's value
 *   I3  field numbers are below 16, so that each tag is one byte
 *   I4  a Summary's writers may write up to SLACK bytes more than they say: what may be there or
 *       not is written, and then counted or not, which costs less than a branch nobody can foresee
 *
 * Deliberately not a general OTLP encoder: field orders are AWS's, taken from captured payloads.
 */
#include "weir/cwpoint.h"
#include "weir/panic.h"
#include "weir/pbw.h"

#define FIXED64_SIZE 9   /* a one-byte tag and eight bytes */
#define SHORT_MAX    127 /* the longest content whose length is one byte */
#define SLACK        WEIR_CWPOINT_SLACK
#define AROUND_NAMES 80 /* more than two attributes need besides their strings */
#define AROUND_LIST  48 /* more than what stands before the list of the dimensions */

static const struct weir_bytes name_prefix = WEIR_BYTES_INIT("amazonaws.com/");
static const struct weir_bytes namespace_key = WEIR_BYTES_INIT("Namespace");
static const struct weir_bytes metric_name_key = WEIR_BYTES_INIT("MetricName");

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

/* Tag and length of a length-delimited field. All numbers here are below 16: one byte of tag. */
static uint8_t *put_begin(uint8_t *at, uint32_t number, size_t size)
{
    *at++ = (uint8_t)(number << 3 | WEIR_PB_BYTES);
    return weir_pbw_put_varint(at, size);
}

static uint8_t *put_fixed64(uint8_t *at, uint32_t number, uint64_t bits)
{
    *at++ = (uint8_t)(number << 3 | WEIR_PB_FIXED64);
    memcpy(at, &bits, sizeof(bits)); /* little-endian, as the wire is */
    return at + sizeof(bits);
}

static uint8_t *put_fixed64_unless_zero(uint8_t *at, uint32_t number, uint64_t bits)
{
    return bits == 0 ? at : put_fixed64(at, number, bits);
}

/* Into a Summary. */
static inline uint8_t *put_fixed64_if(uint8_t *at, uint32_t number, uint64_t bits)
{
    const uint8_t *end = put_fixed64(at, number, bits);
    return at + (bits == 0 ? 0 : end - at);
}

/* Copies steps of SLACK: more than the bytes, from and to. The first one always, so that no branch
 * depends on the size of what is short. */
static inline uint8_t *put_slack(uint8_t *at, struct weir_bytes bytes)
{
    memcpy(at, bytes.data, SLACK);
    for (size_t done = SLACK; done < bytes.size; done += SLACK) {
        memcpy(at + done, bytes.data + done, SLACK);
    }
    return at + bytes.size;
}

static uint8_t *put_raw(uint8_t *at, struct weir_bytes bytes)
{
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at + bytes.size;
}

static inline uint8_t *put_text(uint8_t *at, struct weir_bytes text, bool has_slack)
{
    return has_slack ? put_slack(at, text) : put_raw(at, text);
}

static uint8_t *put_string(uint8_t *at, uint32_t number, struct weir_bytes text)
{
    return put_raw(put_begin(at, number, text.size), text);
}

/* KeyValue with a string. */
static size_t string_attribute_size(struct weir_bytes key, struct weir_bytes value)
{
    return weir_pbw_bytes_size(1, key.size) +
           weir_pbw_bytes_size(2, weir_pbw_bytes_size(1, value.size));
}

/* With a number of one byte of tag. */
static inline uint8_t *put_attribute(uint8_t *at, uint32_t number,
                                     const struct weir_cwpoint_dimension *attribute, bool has_slack)
{
    struct weir_bytes key = attribute->key;
    struct weir_bytes value = attribute->value;
    size_t size = 6 + key.size + value.size;
    if (size > SHORT_MAX) {
        at = put_begin(at, number, string_attribute_size(key, value));
        at = put_string(at, 1, key);
        at = put_begin(at, 2, weir_pbw_bytes_size(1, value.size));
        return put_string(at, 1, value);
    }
    const uint8_t before[4] = {(uint8_t)(number << 3 | WEIR_PB_BYTES), (uint8_t)size,
                               1 << 3 | WEIR_PB_BYTES, (uint8_t)key.size};
    const uint8_t between[4] = {2 << 3 | WEIR_PB_BYTES, (uint8_t)(value.size + 2),
                                1 << 3 | WEIR_PB_BYTES, (uint8_t)value.size};
    memcpy(at, before, sizeof(before));
    at = put_text(at + sizeof(before), key, has_slack);
    memcpy(at, between, sizeof(between));
    return put_text(at + sizeof(between), value, has_slack);
}

static uint8_t *put_string_attribute(uint8_t *at, uint32_t number, struct weir_bytes key,
                                     struct weir_bytes value)
{
    const struct weir_cwpoint_dimension attribute = {key, value};
    return put_attribute(at, number, &attribute, false);
}

/* KeyValueList of the dimensions. */
static inline size_t dimension_list_size(const struct weir_cwpoint *point)
{
    size_t size = 0;
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        const struct weir_cwpoint_dimension *dimension = &point->dimensions[i];
        size_t attribute = 6 + dimension->key.size + dimension->value.size;
        size +=
            attribute <= SHORT_MAX
                ? 2 + attribute
                : weir_pbw_bytes_size(1, string_attribute_size(dimension->key, dimension->value));
    }
    return size;
}

/* What stands before the list. */
static uint8_t *put_dimensions_head(uint8_t *at, size_t list_size)
{
    const struct weir_bytes key = WEIR_BYTES_INIT("Dimensions");
    size_t value_size = weir_pbw_bytes_size(6, list_size);
    at = put_begin(at, 7, weir_pbw_bytes_size(1, key.size) + weir_pbw_bytes_size(2, value_size));
    at = put_string(at, 1, key);
    at = put_begin(at, 2, value_size);
    return put_begin(at, 6, list_size);
}

static uint8_t *put_dimensions(uint8_t *at, const struct weir_cwpoint *point, size_t list_size)
{
    at = put_dimensions_head(at, list_size);
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        at = put_attribute(at, 1, &point->dimensions[i], false);
    }
    return at;
}

/* Namespace and MetricName, field 7 of both kinds of data point. */
static size_t names_size(const struct weir_cwpoint *point)
{
    size_t size = 0;
    if (!point->without_name) {
        size += weir_pbw_bytes_size(7, string_attribute_size(namespace_key, point->name));
    }
    if (!point->without_metric_name) {
        size += weir_pbw_bytes_size(7, string_attribute_size(metric_name_key, point->metric_name));
    }
    return size;
}

/* At least that, and quickly. */
static inline size_t names_room(const struct weir_cwpoint *point)
{
    return AROUND_NAMES + point->name.size + point->metric_name.size;
}

static uint8_t *put_names(uint8_t *at, const struct weir_cwpoint *point)
{
    if (!point->without_name) {
        at = put_string_attribute(at, 7, namespace_key, point->name);
    }
    if (!point->without_metric_name) {
        at = put_string_attribute(at, 7, metric_name_key, point->metric_name);
    }
    return at;
}

/* The three attributes. */
static size_t attributes_size(const struct weir_cwpoint *point, size_t list_size)
{
    size_t dimensions = weir_pbw_bytes_size(1, sizeof("Dimensions") - 1) +
                        weir_pbw_bytes_size(2, weir_pbw_bytes_size(6, list_size));
    return names_size(point) + weir_pbw_bytes_size(7, dimensions);
}

static uint8_t *put_attributes(uint8_t *at, const struct weir_cwpoint *point, size_t list_size)
{
    return put_dimensions(put_names(at, point), point, list_size);
}

/* More than a Summary is long, by SLACK at least. */
static inline size_t summary_room(const struct weir_cwpoint *point, size_t list_size)
{
    return 4 * FIXED64_SIZE + point->quantile_count * (size_t)(2 + 2 * FIXED64_SIZE) +
           names_room(point) + AROUND_LIST + list_size + SLACK;
}

static inline uint8_t *put_quantile(uint8_t *at, const struct weir_cwpoint_quantile *quantile)
{
    uint8_t *end = put_fixed64_if(at + 2, 1, bits_of(quantile->quantile));
    end = put_fixed64_if(end, 2, bits_of(quantile->value));
    at[0] = 6 << 3 | WEIR_PB_BYTES;
    at[1] = (uint8_t)(end - at - 2);
    return end;
}

/* Namespace and MetricName, where they have slack behind them. */
static inline uint8_t *put_slack_names(uint8_t *at, const struct weir_cwpoint *point)
{
    /* what put_names writes where all sizes are short ones */
    static const uint8_t namespace_head[17] = "\x3a\0\x0a\x09"
                                              "Namespace"
                                              "\x12\0\x0a";
    static const uint8_t metric_name_head[18] = "\x3a\0\x0a\x0a"
                                                "MetricName"
                                                "\x12\0\x0a";
    size_t name_size = point->name.size;
    size_t metric_name_size = point->metric_name.size;
    if (name_size + 15 > SHORT_MAX || metric_name_size + 16 > SHORT_MAX || point->without_name ||
        point->without_metric_name) {
        return put_names(at, point);
    }
    memcpy(at, namespace_head, sizeof(namespace_head));
    at[1] = (uint8_t)(name_size + 15);
    at[14] = (uint8_t)(name_size + 2);
    at[16] = (uint8_t)name_size;
    at = put_slack(at + sizeof(namespace_head), point->name);
    memcpy(at, metric_name_head, sizeof(metric_name_head));
    at[1] = (uint8_t)(metric_name_size + 16);
    at[15] = (uint8_t)(metric_name_size + 2);
    at[17] = (uint8_t)metric_name_size;
    return put_slack(at + sizeof(metric_name_head), point->metric_name);
}

/* The three attributes, where all strings of the point have slack behind them. */
static inline uint8_t *put_slack_attributes(uint8_t *at, const struct weir_cwpoint *point,
                                            size_t list_size)
{
    /* what put_dimensions_head writes where all sizes are short ones */
    static const uint8_t head[18] = "\x3a\0\x0a\x0a"
                                    "Dimensions"
                                    "\x12\0\x32";
    at = put_slack_names(at, point);
    if (list_size + 16 <= SHORT_MAX) {
        memcpy(at, head, sizeof(head));
        at[1] = (uint8_t)(list_size + 16);
        at[15] = (uint8_t)(list_size + 2);
        at[17] = (uint8_t)list_size;
        at += sizeof(head);
    } else {
        at = put_dimensions_head(at, list_size);
    }
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        at = put_attribute(at, 1, &point->dimensions[i], true);
    }
    return at;
}

static inline uint8_t *put_summary(uint8_t *at, const struct weir_cwpoint *point, size_t list_size)
{
    at = put_fixed64_if(at, 2, point->start_ns);
    at = put_fixed64_if(at, 3, point->time_ns);
    at = put_fixed64_if(at, 4, point->count);
    at = put_fixed64_if(at, 5, bits_of(point->sum));
    for (uint32_t i = 0; i < point->quantile_count; i++) {
        at = put_quantile(at, &point->quantiles[i]);
    }
    return point->has_slack ? put_slack_attributes(at, point, list_size)
                            : put_attributes(at, point, list_size);
}

struct weir_bytes weir_cwpoint_summary(struct weir_arena *arena, const struct weir_cwpoint *point,
                                       size_t extra_size, uint8_t **ret_extra)
{
    WEIR_ASSERT(point->quantile_count <= WEIR_CWPOINT_QUANTILES_MAX);
    WEIR_ASSERT(point->dimension_count <= WEIR_CWPOINT_DIMENSIONS_MAX);
    size_t list_size = dimension_list_size(point);
    size_t room = summary_room(point, list_size) + extra_size;
    uint8_t *data = weir_arena_alloc(arena, room, 1);
    if (data == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    uint8_t *end = put_summary(data, point, list_size);
    size_t size = (size_t)(end - data) + extra_size;
    WEIR_ASSERT(size + SLACK <= room);
    if (ret_extra != NULL) {
        *ret_extra = end;
    }
    weir_arena_trim(arena, data, room, size);
    return weir_bytes_of(data, size);
}

struct weir_bytes weir_cwpoint_summary_in(struct weir_cwpoint_room room,
                                          const struct weir_cwpoint *point)
{
    WEIR_DCHECK(point->quantile_count <= WEIR_CWPOINT_QUANTILES_MAX);
    WEIR_DCHECK(point->dimension_count <= WEIR_CWPOINT_DIMENSIONS_MAX);
    size_t list_size = dimension_list_size(point);
    if (summary_room(point, list_size) > (size_t)(room.end - room.at)) {
        return (struct weir_bytes){NULL, 0};
    }
    const uint8_t *end = put_summary(room.at, point, list_size);
    WEIR_ASSERT(end + SLACK <= room.end);
    return weir_bytes_of(room.at, (size_t)(end - room.at));
}

struct weir_bytes weir_cwpoint_gauge(struct weir_arena *arena, const struct weir_cwpoint *point,
                                     double value)
{
    size_t list_size = dimension_list_size(point);
    size_t size = fixed64_size(point->start_ns) + fixed64_size(point->time_ns) + FIXED64_SIZE +
                  attributes_size(point, list_size);
    uint8_t *data = weir_arena_alloc(arena, size, 1);
    if (data == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    uint8_t *at = put_fixed64_unless_zero(data, 2, point->start_ns);
    at = put_fixed64_unless_zero(at, 3, point->time_ns);
    at = put_fixed64(at, 4, bits_of(value));
    at = put_attributes(at, point, list_size);
    WEIR_ASSERT(at == data + size);
    return weir_bytes_of(data, size);
}

struct weir_bytes weir_cwpoint_metric_head_in(struct weir_cwpoint_room room,
                                              const struct weir_cwpoint *point,
                                              struct weir_bytes statistic, struct weir_bytes unit)
{
    size_t name_size = name_prefix.size + point->name.size + 1 + point->metric_name.size +
                       (statistic.size > 0 ? 1 + statistic.size : 0);
    size_t unit_size = unit.size > 0 ? weir_pbw_bytes_size(3, unit.size) : 0;
    size_t size = weir_pbw_bytes_size(1, name_size) + unit_size;
    if (size > (size_t)(room.end - room.at)) {
        return (struct weir_bytes){NULL, 0};
    }
    uint8_t *at = put_raw(put_begin(room.at, 1, name_size), name_prefix);
    at = put_raw(at, point->name);
    *at++ = '/';
    at = put_raw(at, point->metric_name);
    if (statistic.size > 0) {
        *at++ = '.';
        at = put_raw(at, statistic);
    }
    if (unit.size > 0) {
        at = put_string(at, 3, unit);
    }
    WEIR_ASSERT(at == room.at + size);
    return weir_bytes_of(room.at, size);
}

struct weir_bytes weir_cwpoint_slack_head_in(struct weir_cwpoint_room room,
                                             const struct weir_cwpoint *point,
                                             struct weir_bytes unit)
{
    static const uint8_t before[16] = "\x0a\0amazonaws.com/";
    size_t name_size = name_prefix.size + point->name.size + 1 + point->metric_name.size;
    size_t size = 2 + name_size + 2 + unit.size;
    if (name_size > SHORT_MAX || unit.size > SHORT_MAX || unit.size == 0 ||
        size + SLACK > (size_t)(room.end - room.at)) {
        return weir_cwpoint_metric_head_in(room, point, (struct weir_bytes){NULL, 0}, unit);
    }
    uint8_t *at = room.at;
    memcpy(at, before, sizeof(before));
    at[1] = (uint8_t)name_size;
    at = put_slack(at + sizeof(before), point->name);
    *at++ = '/';
    at = put_slack(at, point->metric_name);
    *at++ = 3 << 3 | WEIR_PB_BYTES;
    *at++ = (uint8_t)unit.size;
    at = put_slack(at, unit);
    WEIR_ASSERT(at == room.at + size);
    return weir_bytes_of(room.at, size);
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
    size_t whole = weir_pbw_bytes_size(1, size);
    uint8_t *data = weir_arena_alloc(arena, whole, 1);
    if (data == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    uint8_t *at = put_begin(data, 1, size);
    at = put_string_attribute(at, 1, provider_key, provider);
    at = put_string_attribute(at, 1, account_key, resource->account);
    at = put_string_attribute(at, 1, region_key, resource->region);
    at = put_begin(at, 1, arn_attribute);
    at = put_string(at, 1, arn_key);
    at = put_begin(at, 2, weir_pbw_bytes_size(1, arn_size));
    at = put_begin(at, 1, arn_size);
    for (size_t i = 0; i < ARN_PARTS; i++) {
        at = put_raw(at, parts[i]);
    }
    WEIR_ASSERT(at == data + whole);
    return weir_bytes_of(data, whole);
}
