/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics half of OTLP as constant tables, one pair for each message: its fields, then its name
 * for others to use.
 *
 *   request ─► resource_metrics ─► scope_metrics ─► metric
 *                 ├► resource         └► scope        ├► gauge, sum ──► number_point ──────┐
 *                                                     ├► histogram ───► histogram_point ───┤
 *                                                     ├► exponential ─► exponential_point ─┤
 *                                                     └► summary ─► summary_point          ▼
 *                                                                      └► quantile    exemplar
 *
 *   resource, scope, metric, points, exemplars ─► key_value ─► any_value ─► array, kvlist ─► ...
 *
 *   I1  tables read from the leaves up; any_value, declared ahead, is the one loop
 *   I2  a number stands at most once in a table
 *   I3  the order in a table is the order of printing: attributes, times, values
 *
 * A field that is missing here is treated as unknown, which is safe: it is only not printed.
 * Constant data: any thread, nothing to fill, nothing to fail.
 */
#include "otlp_schema.h"

#define MESSAGE(fields)                                                                            \
    {                                                                                              \
        (fields), sizeof(fields) / sizeof((fields)[0])                                             \
    }

/* common.proto. The one loop of the schema: a value holds lists of values. */
static const struct otlp_message any_value;

static const struct otlp_field key_value_fields[] = {
    {"key", 1, OTLP_STRING, 0, NULL},
    {"value", 2, OTLP_MESSAGE, 0, &any_value},
};
static const struct otlp_message key_value = MESSAGE(key_value_fields);

static const struct otlp_field array_fields[] = {
    {"values", 1, OTLP_MESSAGE, OTLP_REPEATED, &any_value},
};
static const struct otlp_message array = MESSAGE(array_fields);

static const struct otlp_field kvlist_fields[] = {
    {"values", 1, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
};
static const struct otlp_message kvlist = MESSAGE(kvlist_fields);

static const struct otlp_field any_value_fields[] = {
    {"stringValue", 1, OTLP_STRING, OTLP_ONEOF, NULL},
    {"boolValue", 2, OTLP_BOOL, OTLP_ONEOF, NULL},
    {"intValue", 3, OTLP_INT64, OTLP_ONEOF, NULL},
    {"doubleValue", 4, OTLP_DOUBLE, OTLP_ONEOF, NULL},
    {"arrayValue", 5, OTLP_MESSAGE, OTLP_ONEOF, &array},
    {"kvlistValue", 6, OTLP_MESSAGE, OTLP_ONEOF, &kvlist},
    {"bytesValue", 7, OTLP_BASE64, OTLP_ONEOF, NULL},
};
static const struct otlp_message any_value = MESSAGE(any_value_fields);

static const struct otlp_field scope_fields[] = {
    {"name", 1, OTLP_STRING, 0, NULL},
    {"version", 2, OTLP_STRING, 0, NULL},
    {"attributes", 3, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
    {"droppedAttributesCount", 4, OTLP_NUMBER32, 0, NULL},
};
static const struct otlp_message scope = MESSAGE(scope_fields);

static const struct otlp_field entity_ref_fields[] = {
    {"schemaUrl", 1, OTLP_STRING, 0, NULL},
    {"type", 2, OTLP_STRING, 0, NULL},
    {"idKeys", 3, OTLP_STRING, OTLP_REPEATED, NULL},
    {"descriptionKeys", 4, OTLP_STRING, OTLP_REPEATED, NULL},
};
static const struct otlp_message entity_ref = MESSAGE(entity_ref_fields);

/* resource.proto */
static const struct otlp_field resource_fields[] = {
    {"attributes", 1, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
    {"droppedAttributesCount", 2, OTLP_NUMBER32, 0, NULL},
    {"entityRefs", 3, OTLP_MESSAGE, OTLP_REPEATED, &entity_ref},
};
static const struct otlp_message resource = MESSAGE(resource_fields);

/* metrics.proto, from the leaves up. */
static const struct otlp_field exemplar_fields[] = {
    {"filteredAttributes", 7, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
    {"timeUnixNano", 2, OTLP_FIXED64, 0, NULL},
    {"asDouble", 3, OTLP_DOUBLE, OTLP_ONEOF, NULL},
    {"asInt", 6, OTLP_SFIXED64, OTLP_ONEOF, NULL},
    {"spanId", 4, OTLP_HEX, 0, NULL},
    {"traceId", 5, OTLP_HEX, 0, NULL},
};
static const struct otlp_message exemplar = MESSAGE(exemplar_fields);

static const struct otlp_field number_point_fields[] = {
    {"attributes", 7, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
    {"startTimeUnixNano", 2, OTLP_FIXED64, 0, NULL},
    {"timeUnixNano", 3, OTLP_FIXED64, 0, NULL},
    {"asDouble", 4, OTLP_DOUBLE, OTLP_ONEOF, NULL},
    {"asInt", 6, OTLP_SFIXED64, OTLP_ONEOF, NULL},
    {"exemplars", 5, OTLP_MESSAGE, OTLP_REPEATED, &exemplar},
    {"flags", 8, OTLP_NUMBER32, 0, NULL},
};
static const struct otlp_message number_point = MESSAGE(number_point_fields);

static const struct otlp_field histogram_point_fields[] = {
    {"attributes", 9, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
    {"startTimeUnixNano", 2, OTLP_FIXED64, 0, NULL},
    {"timeUnixNano", 3, OTLP_FIXED64, 0, NULL},
    {"count", 4, OTLP_FIXED64, 0, NULL},
    {"sum", 5, OTLP_DOUBLE, 0, NULL},
    {"bucketCounts", 6, OTLP_FIXED64, OTLP_REPEATED, NULL},
    {"explicitBounds", 7, OTLP_DOUBLE, OTLP_REPEATED, NULL},
    {"exemplars", 8, OTLP_MESSAGE, OTLP_REPEATED, &exemplar},
    {"flags", 10, OTLP_NUMBER32, 0, NULL},
    {"min", 11, OTLP_DOUBLE, 0, NULL},
    {"max", 12, OTLP_DOUBLE, 0, NULL},
};
static const struct otlp_message histogram_point = MESSAGE(histogram_point_fields);

static const struct otlp_field buckets_fields[] = {
    {"offset", 1, OTLP_SINT32, 0, NULL},
    {"bucketCounts", 2, OTLP_UINT64, OTLP_REPEATED, NULL},
};
static const struct otlp_message buckets = MESSAGE(buckets_fields);

static const struct otlp_field exponential_point_fields[] = {
    {"attributes", 1, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
    {"startTimeUnixNano", 2, OTLP_FIXED64, 0, NULL},
    {"timeUnixNano", 3, OTLP_FIXED64, 0, NULL},
    {"count", 4, OTLP_FIXED64, 0, NULL},
    {"sum", 5, OTLP_DOUBLE, 0, NULL},
    {"scale", 6, OTLP_SINT32, 0, NULL},
    {"zeroCount", 7, OTLP_FIXED64, 0, NULL},
    {"positive", 8, OTLP_MESSAGE, 0, &buckets},
    {"negative", 9, OTLP_MESSAGE, 0, &buckets},
    {"flags", 10, OTLP_NUMBER32, 0, NULL},
    {"exemplars", 11, OTLP_MESSAGE, OTLP_REPEATED, &exemplar},
    {"min", 12, OTLP_DOUBLE, 0, NULL},
    {"max", 13, OTLP_DOUBLE, 0, NULL},
    {"zeroThreshold", 14, OTLP_DOUBLE, 0, NULL},
};
static const struct otlp_message exponential_point = MESSAGE(exponential_point_fields);

static const struct otlp_field quantile_fields[] = {
    {"quantile", 1, OTLP_DOUBLE, OTLP_ALWAYS, NULL},
    {"value", 2, OTLP_DOUBLE, OTLP_ALWAYS, NULL},
};
static const struct otlp_message quantile = MESSAGE(quantile_fields);

static const struct otlp_field summary_point_fields[] = {
    {"attributes", 7, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
    {"startTimeUnixNano", 2, OTLP_FIXED64, 0, NULL},
    {"timeUnixNano", 3, OTLP_FIXED64, 0, NULL},
    {"count", 4, OTLP_FIXED64, OTLP_ALWAYS, NULL},
    {"sum", 5, OTLP_DOUBLE, OTLP_ALWAYS, NULL},
    {"quantileValues", 6, OTLP_MESSAGE, OTLP_REPEATED, &quantile},
    {"flags", 8, OTLP_NUMBER32, 0, NULL},
};
static const struct otlp_message summary_point = MESSAGE(summary_point_fields);

static const struct otlp_field gauge_fields[] = {
    {"dataPoints", 1, OTLP_MESSAGE, OTLP_REPEATED, &number_point},
};
static const struct otlp_message gauge = MESSAGE(gauge_fields);

static const struct otlp_field sum_fields[] = {
    {"dataPoints", 1, OTLP_MESSAGE, OTLP_REPEATED, &number_point},
    {"aggregationTemporality", 2, OTLP_NUMBER32, 0, NULL},
    {"isMonotonic", 3, OTLP_BOOL, 0, NULL},
};
static const struct otlp_message sum = MESSAGE(sum_fields);

static const struct otlp_field histogram_fields[] = {
    {"dataPoints", 1, OTLP_MESSAGE, OTLP_REPEATED, &histogram_point},
    {"aggregationTemporality", 2, OTLP_NUMBER32, 0, NULL},
};
static const struct otlp_message histogram = MESSAGE(histogram_fields);

static const struct otlp_field exponential_fields[] = {
    {"dataPoints", 1, OTLP_MESSAGE, OTLP_REPEATED, &exponential_point},
    {"aggregationTemporality", 2, OTLP_NUMBER32, 0, NULL},
};
static const struct otlp_message exponential = MESSAGE(exponential_fields);

static const struct otlp_field summary_fields[] = {
    {"dataPoints", 1, OTLP_MESSAGE, OTLP_REPEATED, &summary_point},
};
static const struct otlp_message summary = MESSAGE(summary_fields);

static const struct otlp_field metric_fields[] = {
    {"name", 1, OTLP_STRING, 0, NULL},
    {"description", 2, OTLP_STRING, 0, NULL},
    {"unit", 3, OTLP_STRING, 0, NULL},
    {"gauge", 5, OTLP_MESSAGE, OTLP_ONEOF, &gauge},
    {"sum", 7, OTLP_MESSAGE, OTLP_ONEOF, &sum},
    {"histogram", 9, OTLP_MESSAGE, OTLP_ONEOF, &histogram},
    {"exponentialHistogram", 10, OTLP_MESSAGE, OTLP_ONEOF, &exponential},
    {"summary", 11, OTLP_MESSAGE, OTLP_ONEOF, &summary},
    {"metadata", 12, OTLP_MESSAGE, OTLP_REPEATED, &key_value},
};
static const struct otlp_message metric = MESSAGE(metric_fields);

static const struct otlp_field scope_metrics_fields[] = {
    {"scope", 1, OTLP_MESSAGE, 0, &scope},
    {"metrics", 2, OTLP_MESSAGE, OTLP_REPEATED, &metric},
    {"schemaUrl", 3, OTLP_STRING, 0, NULL},
};
static const struct otlp_message scope_metrics = MESSAGE(scope_metrics_fields);

static const struct otlp_field resource_metrics_fields[] = {
    {"resource", 1, OTLP_MESSAGE, 0, &resource},
    {"scopeMetrics", 2, OTLP_MESSAGE, OTLP_REPEATED, &scope_metrics},
    {"schemaUrl", 3, OTLP_STRING, 0, NULL},
};
static const struct otlp_message resource_metrics = MESSAGE(resource_metrics_fields);

static const struct otlp_field request_fields[] = {
    {"resourceMetrics", 1, OTLP_MESSAGE, OTLP_REPEATED, &resource_metrics},
};
const struct otlp_message weir_otlp_schema_request = MESSAGE(request_fields);
