/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/check.h"
#include "traffic/body.h"
#include "weir/clock.h"

static struct weir_sink_checked wrong(const char *what)
{
    return (struct weir_sink_checked){UINT64_MAX, what};
}

/* Takes `part` off the front of `text`. */
static bool take(struct weir_bytes *text, struct weir_bytes part)
{
    if (!weir_bytes_starts_with(*text, part)) {
        return false;
    }
    *text = weir_bytes_from(*text, part.size);
    return true;
}

/* arn:aws:cloudwatch:<region>:<account>:metric-stream/<name>; partitions other than aws too. */
static bool is_arn_of(struct weir_bytes arn, const struct weir_traffic_point *point)
{
    bool is_good = take(&arn, WEIR_BYTES("arn:aws"));
    const uint8_t *colon = arn.size == 0 ? NULL : memchr(arn.data, ':', arn.size);
    if (!is_good || colon == NULL) {
        return false;
    }
    arn = weir_bytes_from(arn, (size_t)(colon - arn.data));
    return take(&arn, WEIR_BYTES(":cloudwatch:")) && take(&arn, point->region) &&
           take(&arn, WEIR_BYTES(":")) && take(&arn, point->owner) &&
           take(&arn, WEIR_BYTES(":metric-stream/")) && weir_bytes_eq(arn, point->stream);
}

bool weir_sink_check_resource(const struct weir_sink_resource *resource,
                              const struct weir_traffic_point *point)
{
    unsigned found = 0;
    if (resource->attributes != 4 || resource->has_extras) {
        return false;
    }
    for (uint32_t i = 0; i < 4; i++) {
        const struct weir_sink_attribute *attribute = &resource->attribute[i];
        if (!attribute->is_text) {
            return false;
        }
        if (weir_bytes_eq(attribute->key, WEIR_BYTES("cloud.provider"))) {
            found |= weir_bytes_eq(attribute->text, WEIR_BYTES("aws")) ? 1U : 0;
        } else if (weir_bytes_eq(attribute->key, WEIR_BYTES("cloud.account.id"))) {
            found |= weir_bytes_eq(attribute->text, point->account) ? 2U : 0;
        } else if (weir_bytes_eq(attribute->key, WEIR_BYTES("cloud.region"))) {
            found |= weir_bytes_eq(attribute->text, point->region) ? 4U : 0;
        } else if (weir_bytes_eq(attribute->key, WEIR_BYTES("aws.exporter.arn"))) {
            found |= is_arn_of(attribute->text, point) ? 8U : 0;
        }
    }
    return found == 15;
}

/* amazonaws.com/<namespace>/<metric> */
static bool is_metric_of(struct weir_bytes metric, const struct weir_traffic_point *point)
{
    return take(&metric, WEIR_BYTES("amazonaws.com/")) && take(&metric, point->name) &&
           take(&metric, WEIR_BYTES("/")) && weir_bytes_eq(metric, point->metric);
}

struct weir_sink_checked weir_sink_check(const struct weir_traffic *traffic,
                                         const struct weir_sink_point *point,
                                         struct weir_buf *scratch)
{
    if (!point->is_summary) {
        return wrong("not a summary");
    }
    struct weir_sink_identity id;
    if (weir_sink_identify(point->content, &id) != WEIR_OK) {
        return wrong("a point without namespace, metric name, dimensions or form");
    }
    struct weir_traffic_point key = {.name = id.name, .metric = id.metric};
    key.values[0] = id.value;
    key.dimensions = id.dimensions;
    key.start_ms = (int64_t)(id.start_ns / (uint64_t)WEIR_NS_PER_MS);
    uint64_t number;
    if (!weir_traffic_find(traffic, &key, &number)) {
        return wrong("no such point");
    }
    struct weir_traffic_point expected;
    weir_traffic_point(traffic, number, &expected);
    scratch->size = 0;
    weir_body_expected(&expected, scratch);
    if (scratch->failed || !weir_bytes_eq(point->content, weir_buf_view(scratch))) {
        return wrong("the point's bytes");
    }
    if (point->has_extras || !is_metric_of(point->metric, &expected)) {
        return wrong("the metric");
    }
    if (!weir_bytes_eq(point->unit, expected.otlp_unit)) {
        return wrong("the unit");
    }
    if (!weir_sink_check_resource(point->resource, &expected)) {
        return wrong("the resource");
    }
    return (struct weir_sink_checked){number, NULL};
}
