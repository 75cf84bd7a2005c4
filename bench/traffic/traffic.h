/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_TRAFFIC_H
#define WEIR_BENCH_TRAFFIC_H

#include "weir/bytes.h"
#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * A made-up world of AWS accounts that stream their CloudWatch metrics, as a pure function of its
 * options: the same options give the same points everywhere, so that a receiver can tell whether
 * what it got is what was sent, to the byte, without having seen it.
 *
 *   world ─► streams ─► accounts and regions (the resources) ─► entities (an instance, a queue, a
 *            function, ...) in a namespace ─► series: one for each of the entity's metrics
 *
 *   number = minute x series + position          every data point has a number, and only one;
 *                                                position says which series it is of, in the order
 *                                                in which its stream sends them
 *
 * Positions [stream x per_stream, (stream + 1) x per_stream) are those of one stream: it sends each
 * of its series once a minute, in turns of up to 500 of one resource, entities mixed with some
 * dozens of others as CloudWatch mixes them, so metrics of one name stand apart. Each point has at
 * least one dimension, whose value names the entity and cannot be guessed from its neighbours; a
 * number is found again from a point's namespace, metric name, first dimension and time.
 *
 * Namespaces are AWS's with their real metric names, dimensions and units; beyond those the world
 * knows, "Custom/..." ones. Values: many zeros (a quiet queue), many samples of one value, some
 * negative (AWS/RDS), percentiles for some latencies. Pure; any thread.
 *
 * tidy: allow header-functions -- one world: what it holds, and how it is named
 */
struct weir_traffic_options {
    uint64_t seed;
    int64_t start_ms;     /* minute 0, wall clock; a multiple of 60,000 */
    uint32_t streams;     /* metric streams, each with its own delivery stream; 1 .. 65,536 */
    uint32_t resources;   /* accounts and regions for each stream; 1 .. 65,536 */
    uint32_t namespaces;  /* 1 .. 1,000 */
    uint32_t per_stream;  /* series for each stream; 1 .. 16,777,216 */
    uint32_t hot_percent; /* of all series, those of the first namespace; 0: its fair share */
    bool without_percentiles;
};

/* 1 stream, 1 resource, 40 namespaces, 12,000 series, minute 0 at 2026-01-01T00:00Z. */
struct weir_traffic_options weir_traffic_defaults(void);

struct weir_traffic;

enum {
    WEIR_TRAFFIC_STREAMS_MAX = 65536,
    WEIR_TRAFFIC_RESOURCES_MAX = 65536,
    WEIR_TRAFFIC_NAMESPACES_MAX = 1000,
    WEIR_TRAFFIC_PER_STREAM_MAX = 16777216
};

/* A world. WEIR_EINVAL for options out of their bounds, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_traffic_new(const struct weir_traffic_options *options,
                                                struct weir_traffic **ret);
/* NULL is nothing. */
void weir_traffic_free(struct weir_traffic *traffic);

/* Series in the world, that is points a minute; and the options it was made with. */
uint64_t weir_traffic_series(const struct weir_traffic *traffic);
const struct weir_traffic_options *weir_traffic_options(const struct weir_traffic *traffic);

enum { WEIR_TRAFFIC_DIMENSIONS_MAX = 4, WEIR_TRAFFIC_QUANTILES_MAX = 8 };

struct weir_traffic_point {
    uint64_t number;
    struct weir_bytes stream;  /* the metric stream's name; views into the world or into `text` */
    struct weir_bytes owner;   /* the account that the stream is in (its ARN's) */
    struct weir_bytes account; /* the account that the metric is of */
    struct weir_bytes region;
    struct weir_bytes name; /* the namespace */
    struct weir_bytes metric;
    struct weir_bytes unit;      /* as CloudWatch has it: "Seconds" */
    struct weir_bytes otlp_unit; /* "s" */
    uint32_t dimensions;
    uint32_t quantiles; /* minimum, percentiles, maximum */
    struct weir_bytes keys[WEIR_TRAFFIC_DIMENSIONS_MAX];
    struct weir_bytes values[WEIR_TRAFFIC_DIMENSIONS_MAX];
    double quantile[WEIR_TRAFFIC_QUANTILES_MAX]; /* 0, 0.5, ..., 1 */
    double value[WEIR_TRAFFIC_QUANTILES_MAX];
    int64_t start_ms;
    uint64_t count;
    double sum;
    char text[256];
};

/* The point `number`, in the first 2^26 minutes (asserted). Its views end with *ret (do not copy
 * it) or the world. */
void weir_traffic_point(const struct weir_traffic *traffic, uint64_t number,
                        struct weir_traffic_point *ret);

/* How many points from `number` on, it included, come in a row from one resource in one minute:
 * CloudWatch puts no others into the same record. */
uint32_t weir_traffic_run(const struct weir_traffic *traffic, uint64_t number);

/* The number of the point whose namespace, metric, first dimension's value and start are those of
 * `point` (nothing else of it is read). False when this world has no such point. */
bool weir_traffic_find(const struct weir_traffic *traffic, const struct weir_traffic_point *point,
                       uint64_t *ret);

/* Room for what the functions below write, and that they insist on. */
enum { WEIR_TRAFFIC_ARN_SIZE = 128, WEIR_TRAFFIC_PRINT_SIZE = 384 };

/* The delivery stream's ARN, terminated (X-Amz-Firehose-Source-Arn); `stream` counts from 0. */
void weir_traffic_arn(const struct weir_traffic *traffic, uint32_t stream, char *ret, size_t size);

/* The options as a JSON object, terminated, and back: how the load generator tells the sink which
 * world it is, and by a fingerprint what its build makes of it. WEIR_EMALFORMED; WEIR_EUNSUPPORTED:
 * of a build whose points are others. */
void weir_traffic_print(const struct weir_traffic_options *options, char *ret, size_t size);
WEIR_MUST_USE enum weir_status weir_traffic_parse(struct weir_bytes text,
                                                  struct weir_traffic_options *ret);

#endif
