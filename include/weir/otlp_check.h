/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OTLP_CHECK_H
#define WEIR_OTLP_CHECK_H

#include "weir/pb.h"

/*
 * The messages of OTLP metrics as tables of field number to kind, and the check of bytes against
 * them: a backend would refuse a whole batch for one wrong wire type or one string that is not
 * UTF-8, and with it everybody else's points. A field that a table does not name is unknown and
 * passes. Source: opentelemetry-proto, metrics.proto, v1.0.0 and later.
 */
enum weir_otlp_shape {
    WEIR_OTLP_RESOURCE_METRICS,
    WEIR_OTLP_RESOURCE,
    WEIR_OTLP_SCOPE_METRICS,
    WEIR_OTLP_SCOPE,
    WEIR_OTLP_METRIC,
    WEIR_OTLP_DATA_PLAIN, /* Gauge, Summary */
    WEIR_OTLP_DATA_SUM,
    WEIR_OTLP_DATA_HISTOGRAM, /* both kinds */
    WEIR_OTLP_NUMBER_POINT,
    WEIR_OTLP_HISTOGRAM_POINT,
    WEIR_OTLP_EXPONENTIAL_POINT,
    WEIR_OTLP_SUMMARY_POINT,
    WEIR_OTLP_BUCKETS,
    WEIR_OTLP_EXEMPLAR,
    WEIR_OTLP_QUANTILE,
    WEIR_OTLP_LABEL, /* 0.7's StringKeyValue */
    WEIR_OTLP_SHAPES
};

#define WEIR_OTLP_DEPTH_MAX 16 /* of nested attribute values */

/* Whether this field may stand in a message of that shape. A child (a field that leads one level
 * down: scope_metrics, metrics, data, data_points) is only checked for its wire type. */
bool weir_otlp_check_field(enum weir_otlp_shape shape, const struct weir_pb_field *field);

/* Whether the field leads one level down. */
bool weir_otlp_check_is_child(enum weir_otlp_shape shape, uint32_t number);

/* All fields of a message. */
bool weir_otlp_check_message(enum weir_otlp_shape shape, struct weir_bytes message);

/* The string value of a KeyValue whose key is `key`; false when it has another key or no string.
 * The attribute is valid already. */
bool weir_otlp_check_attribute(struct weir_bytes attribute, struct weir_bytes key,
                               struct weir_bytes *ret_value);

#endif
