/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CWPOINT_H
#define WEIR_CWPOINT_H

#include "weir/arena.h"

/*
 * CloudWatch's values written as OTLP 1.0, byte for byte as AWS itself writes them, so that JSON
 * and 0.7 leave as 1.0 does:
 *
 *   Resource     1 attributes: cloud.provider, cloud.account.id, cloud.region, aws.exporter.arn
 *   Metric       1 name amazonaws.com/<namespace>/<metric>   3 unit
 *   data point   2 start  3 time  4 count  5 sum  6 quantiles  7 Namespace, MetricName, Dimensions
 *
 * A zero is left out as proto3 does it, by its bits: a sum of 0 is absent, of -0 is not. The empty
 * Dimensions are there (12 02 32 00). Everything goes into the arena; the empty view means that the
 * arena is full. Pure.
 */
#define WEIR_CWPOINT_DIMENSIONS_MAX 128 /* CloudWatch: 30 */
#define WEIR_CWPOINT_QUANTILES_MAX  256 /* CloudWatch: about 100 statistics */
#define WEIR_CWPOINT_SLACK          32  /* most strings are shorter */

struct weir_cwpoint_quantile {
    double quantile;
    double value;
};

struct weir_cwpoint_dimension {
    struct weir_bytes key;
    struct weir_bytes value;
};

struct weir_cwpoint {
    struct weir_bytes name; /* Namespace */
    struct weir_bytes metric_name;
    bool without_name; /* 0.7 only: the label was not there, so the attribute is not */
    bool without_metric_name;
    bool has_slack; /* behind both names and each dimension's key and value WEIR_CWPOINT_SLACK bytes
                     * may be read: they are copied in steps of that */
    uint64_t start_ns;
    uint64_t time_ns;
    uint64_t count;
    double sum;
    uint32_t quantile_count;
    uint32_t dimension_count;
    struct weir_cwpoint_quantile quantiles[WEIR_CWPOINT_QUANTILES_MAX];
    struct weir_cwpoint_dimension dimensions[WEIR_CWPOINT_DIMENSIONS_MAX];
};

/* A SummaryDataPoint, with `extra_size` bytes of room after it for the caller to append (0: none):
 * *ret_extra is where. */
struct weir_bytes weir_cwpoint_summary(struct weir_arena *arena, const struct weir_cwpoint *point,
                                       size_t extra_size, uint8_t **ret_extra);

/* Where something is to be written. In there, the empty view means that it does not fit. */
struct weir_cwpoint_room {
    uint8_t *at;
    uint8_t *end;
};

/* A SummaryDataPoint without more; needs some bytes more than it is long. */
struct weir_bytes weir_cwpoint_summary_in(struct weir_cwpoint_room room,
                                          const struct weir_cwpoint *point);

/* A NumberDataPoint with the same times and attributes; `value` is written even when it is 0, since
 * it is a oneof. */
struct weir_bytes weir_cwpoint_gauge(struct weir_arena *arena, const struct weir_cwpoint *point,
                                     double value);

/* A Metric's name and unit. `statistic`, unless empty, is appended to the name after a dot. */
struct weir_bytes weir_cwpoint_metric_head_in(struct weir_cwpoint_room room,
                                              const struct weir_cwpoint *point,
                                              struct weir_bytes statistic, struct weir_bytes unit);

/* The same for who has slack behind the unit too, and has_slack set. */
struct weir_bytes weir_cwpoint_slack_head_in(struct weir_cwpoint_room room,
                                             const struct weir_cwpoint *point,
                                             struct weir_bytes unit);

/* The namespace, `size` bytes long, in a head that weir_cwpoint_metric_head_in has written. */
static inline struct weir_bytes weir_cwpoint_head_name(struct weir_bytes head, size_t size)
{
    const uint8_t *at = head.data + 1;
    while (*at >= 0x80) {
        at++; /* the length of the metric's name */
    }
    return weir_bytes_of(at + 1 + sizeof("amazonaws.com/") - 1, size);
}

/* What the ARN of a metric stream is made of, and the resource's other attributes. */
struct weir_cwpoint_resource {
    struct weir_bytes partition;
    struct weir_bytes
        arn_account; /* of the ARN; may differ from `account` in a monitoring account */
    struct weir_bytes account;
    struct weir_bytes region;
    struct weir_bytes stream;
};

/* The ResourceMetrics' head: its field 1. */
struct weir_bytes weir_cwpoint_resource_head(struct weir_arena *arena,
                                             const struct weir_cwpoint_resource *resource);

#endif
