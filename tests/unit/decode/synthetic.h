/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_DECODE_SYNTHETIC_H
#define WEIR_TEST_DECODE_SYNTHETIC_H

/*
 * Made-up points, encoded in each of the three formats as AWS would, by code that shares nothing
 * with the decoders' own writer: nested messages are built inside out, in buffers of their own.
 */
#include "weir/pbw.h"
#include "weir/rand.h"
#include "weir/unit.h"
#include <inttypes.h>

#define SYNTHETIC_DIMENSIONS  4
#define SYNTHETIC_PERCENTILES 3

struct synthetic_point {
    const char *account;
    const char *region;
    const char *stream;
    const char *name; /* namespace */
    const char *metric;
    const char *unit; /* CloudWatch's */
    uint64_t timestamp_ms;
    uint64_t count;
    double sum;
    double min;
    double max;
    unsigned dimension_count;
    struct {
        const char *key;
        const char *value;
    } dimensions[SYNTHETIC_DIMENSIONS];
    unsigned percentile_count;
    struct {
        const char *key; /* "p99" */
        double quantile;
        double value;
    } percentiles[SYNTHETIC_PERCENTILES];
};

#define SYNTHETIC_ROOM 4096
struct synthetic_message {
    struct weir_buf buf;
    uint8_t room[SYNTHETIC_ROOM];
};

static inline void synthetic_clear(struct synthetic_message *message)
{
    message->buf = weir_buf_fixed(message->room, sizeof(message->room));
}

static inline void synthetic_put(struct weir_buf *out, uint32_t number,
                                 const struct synthetic_message *message)
{
    weir_pbw_bytes(out, number, weir_buf_view(&message->buf));
}

/* KeyValue with a string. */
static inline void synthetic_attribute(struct weir_buf *out, uint32_t number, const char *key,
                                       struct weir_bytes value)
{
    struct synthetic_message any;
    struct synthetic_message pair;
    synthetic_clear(&any);
    synthetic_clear(&pair);
    weir_pbw_bytes(&any.buf, 1, value);
    weir_pbw_bytes(&pair.buf, 1, weir_bytes_str(key));
    synthetic_put(&pair.buf, 2, &any);
    synthetic_put(out, number, &pair);
}

static inline void synthetic_dimensions(struct weir_buf *out, const struct synthetic_point *point)
{
    struct synthetic_message list;
    struct synthetic_message any;
    struct synthetic_message pair;
    synthetic_clear(&list);
    synthetic_clear(&any);
    synthetic_clear(&pair);
    for (unsigned i = 0; i < point->dimension_count; i++) {
        synthetic_attribute(&list.buf, 1, point->dimensions[i].key,
                            weir_bytes_str(point->dimensions[i].value));
    }
    synthetic_put(&any.buf, 6, &list);
    weir_pbw_bytes(&pair.buf, 1, WEIR_BYTES("Dimensions"));
    synthetic_put(&pair.buf, 2, &any);
    synthetic_put(out, 7, &pair);
}

static inline void synthetic_label(struct weir_buf *out, const char *key, const char *value)
{
    struct synthetic_message label;
    synthetic_clear(&label);
    weir_pbw_bytes(&label.buf, 1, weir_bytes_str(key));
    if (value[0] != '\0') {
        weir_pbw_bytes(&label.buf, 2, weir_bytes_str(value));
    }
    synthetic_put(out, 1, &label);
}

static inline bool synthetic_is_zero(double value)
{
    const double zero = 0.0;
    return memcmp(&value, &zero, sizeof(value)) == 0;
}

static inline void synthetic_quantile(struct weir_buf *out, double quantile, double value)
{
    struct synthetic_message message;
    synthetic_clear(&message);
    if (!synthetic_is_zero(quantile)) {
        weir_pbw_double(&message.buf, 1, quantile);
    }
    if (!synthetic_is_zero(value)) {
        weir_pbw_double(&message.buf, 2, value);
    }
    synthetic_put(out, 6, &message);
}

/* The data point: 0.7's, or 1.0's. */
static inline void synthetic_data(struct weir_buf *out, const struct synthetic_point *point,
                                  bool is_07)
{
    if (is_07) {
        synthetic_label(out, "Namespace", point->name);
        synthetic_label(out, "MetricName", point->metric);
        for (unsigned i = 0; i < point->dimension_count; i++) {
            synthetic_label(out, point->dimensions[i].key, point->dimensions[i].value);
        }
    }
    weir_pbw_fixed64(out, 2, point->timestamp_ms * 1000000);
    weir_pbw_fixed64(out, 3, point->timestamp_ms * 1000000 + UINT64_C(60000000000));
    if (point->count != 0) {
        weir_pbw_fixed64(out, 4, point->count);
    }
    if (!synthetic_is_zero(point->sum)) {
        weir_pbw_double(out, 5, point->sum);
    }
    synthetic_quantile(out, 0.0, point->min);
    for (unsigned i = 0; i < point->percentile_count; i++) {
        synthetic_quantile(out, point->percentiles[i].quantile, point->percentiles[i].value);
    }
    synthetic_quantile(out, 1.0, point->max);
    if (!is_07) {
        synthetic_attribute(out, 7, "Namespace", weir_bytes_str(point->name));
        synthetic_attribute(out, 7, "MetricName", weir_bytes_str(point->metric));
        synthetic_dimensions(out, point);
    }
}

/* ResourceMetrics' field 1. */
static inline void synthetic_resource(struct weir_buf *out, const struct synthetic_point *point)
{
    char arn[512];
    struct weir_buf text = weir_buf_fixed(arn, sizeof(arn));
    struct synthetic_message resource;
    synthetic_clear(&resource);
    weir_buf_printf(&text, "arn:aws:cloudwatch:%s:%s:metric-stream/%s", point->region,
                    point->account, point->stream);
    synthetic_attribute(&resource.buf, 1, "cloud.provider", WEIR_BYTES("aws"));
    synthetic_attribute(&resource.buf, 1, "cloud.account.id", weir_bytes_str(point->account));
    synthetic_attribute(&resource.buf, 1, "cloud.region", weir_bytes_str(point->region));
    synthetic_attribute(&resource.buf, 1, "aws.exporter.arn", weir_buf_view(&text));
    synthetic_put(out, 1, &resource);
}

/* A Metric with the one point. */
static inline void synthetic_metric(struct weir_buf *out, const struct synthetic_point *point,
                                    bool is_07)
{
    char name[512];
    struct weir_buf text = weir_buf_fixed(name, sizeof(name));
    struct synthetic_message data;
    struct synthetic_message summary;
    synthetic_clear(&data);
    synthetic_clear(&summary);
    synthetic_data(&data.buf, point, is_07);
    synthetic_put(&summary.buf, 1, &data);
    weir_buf_printf(&text, "amazonaws.com/%s/%s", point->name, point->metric);
    weir_pbw_bytes(out, 1, weir_buf_view(&text));
    weir_pbw_bytes(out, 3, weir_unit_otlp(weir_bytes_str(point->unit)));
    synthetic_put(out, 11, &summary);
}

/* A delimited ExportMetricsServiceRequest with the one point. */
static inline void synthetic_otlp(struct weir_buf *out, const struct synthetic_point *point,
                                  bool is_07)
{
    struct synthetic_message metric;
    struct synthetic_message scope;
    struct synthetic_message resource;
    synthetic_clear(&metric);
    synthetic_clear(&scope);
    synthetic_clear(&resource);
    synthetic_metric(&metric.buf, point, is_07);
    synthetic_put(&scope.buf, 2, &metric);
    synthetic_resource(&resource.buf, point);
    synthetic_put(&resource.buf, 2, &scope);
    weir_pbw_varint(out, weir_pbw_bytes_size(1, resource.buf.size));
    synthetic_put(out, 1, &resource);
}

/* A line of CloudWatch JSON with its line feed. */
static inline void synthetic_json(struct weir_buf *out, const struct synthetic_point *point)
{
    weir_buf_printf(out,
                    "{\"metric_stream_name\":\"%s\",\"account_id\":\"%s\",\"region\":\"%s\","
                    "\"namespace\":\"%s\",\"metric_name\":\"%s\",\"dimensions\":{",
                    point->stream, point->account, point->region, point->name, point->metric);
    for (unsigned i = 0; i < point->dimension_count; i++) {
        weir_buf_printf(out, "%s\"%s\":\"%s\"", i > 0 ? "," : "", point->dimensions[i].key,
                        point->dimensions[i].value);
    }
    weir_buf_printf(out,
                    "},\"timestamp\":%" PRIu64 ",\"value\":{\"max\":%.17g,\"min\":%.17g,"
                    "\"sum\":%.17g,\"count\":%" PRIu64 ".0",
                    point->timestamp_ms, point->max, point->min, point->sum, point->count);
    for (unsigned i = point->percentile_count; i > 0; i--) { /* AWS does not sort them */
        weir_buf_printf(out, ",\"%s\":%.17g", point->percentiles[i - 1].key,
                        point->percentiles[i - 1].value);
    }
    weir_buf_printf(out, "},\"unit\":\"%s\"}\n", point->unit);
}

static inline const char *synthetic_pick(struct weir_rand *rand, const char *const *of,
                                         size_t count)
{
    return of[weir_rand_below(rand, count)];
}

/* Often 0, often small, sometimes anything finite. */
static inline double synthetic_number(struct weir_rand *rand)
{
    switch (weir_rand_below(rand, 4)) {
    case 0: return 0.0;
    case 1: return (double)weir_rand_below(rand, 1000);
    case 2: return -weir_rand_unit(rand);
    default: return (weir_rand_unit(rand) - 0.5) * 1e12;
    }
}

#define SYNTHETIC_PICK(rand, list) synthetic_pick(rand, list, sizeof(list) / sizeof((list)[0]))

/* A random point, every string of it from a short list. */
static inline struct synthetic_point synthetic_random(struct weir_rand *rand)
{
    static const char *const accounts[] = {"123456789012", "210987654321"};
    static const char *const regions[] = {"eu-central-1", "us-east-1"};
    static const char *const streams[] = {"everything", "one"};
    static const char *const names[] = {"AWS/EC2", "AWS/EBS", "AWS/CloudWatch/MetricStreams",
                                        "Größe", ""};
    static const char *const metrics[] = {"CPUUtilization", "DiskReadBytes", "EBSIOBalance%", "a"};
    static const char *const units[] = {"None",         "Count",    "Percent",
                                        "Bytes/Second", "Megabits", "Parsecs"};
    static const char *const keys[] = {"InstanceId", "VolumeId", "Namespace", "Type"};
    static const char *const values[] = {"i-0123456789abcdef0", "vol-1", "", "ключ"};
    static const char *const percentiles[] = {"p1", "p50", "p99.9"};
    static const double quantiles[] = {0.01, 0.5, 0.999};
    struct synthetic_point point = {
        .account = SYNTHETIC_PICK(rand, accounts),
        .region = SYNTHETIC_PICK(rand, regions),
        .stream = SYNTHETIC_PICK(rand, streams),
        .name = SYNTHETIC_PICK(rand, names),
        .metric = SYNTHETIC_PICK(rand, metrics),
        .unit = SYNTHETIC_PICK(rand, units),
        .timestamp_ms = UINT64_C(1700000000000) + weir_rand_below(rand, 100) * 60000,
        .count = weir_rand_below(rand, 3) * weir_rand_below(rand, 5000),
        .sum = synthetic_number(rand),
        .min = synthetic_number(rand),
        .max = synthetic_number(rand),
    };
    point.dimension_count = (unsigned)weir_rand_below(rand, SYNTHETIC_DIMENSIONS + 1);
    for (unsigned i = 0; i < point.dimension_count; i++) {
        point.dimensions[i].key = keys[i];
        point.dimensions[i].value = SYNTHETIC_PICK(rand, values);
    }
    point.percentile_count = (unsigned)weir_rand_below(rand, SYNTHETIC_PERCENTILES + 1);
    for (unsigned i = 0; i < point.percentile_count; i++) {
        point.percentiles[i].key = percentiles[i];
        point.percentiles[i].quantile = quantiles[i];
        point.percentiles[i].value = synthetic_number(rand);
    }
    return point;
}

/* A Firehose body of these records. */
static inline void synthetic_body_begin(struct weir_buf *out)
{
    weir_buf_printf(out, "{\"requestId\":\"ed4acda5-034f-9f42-bba1-f29aea6d7d8f\","
                         "\"timestamp\":1578090901599,\"records\":[");
}

#endif
