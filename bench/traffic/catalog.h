/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_CATALOG_H
#define WEIR_BENCH_CATALOG_H

#include "weir/bytes.h"

/*
 * AWS's namespaces with their metrics, dimensions and units, as the CloudWatch user guide and the
 * services' own pages name them; what kind of values each metric has is what one sees in practice.
 * Static storage.
 */

/* What a metric's values look like. */
enum weir_catalog_kind {
    WEIR_CATALOG_QUIET,   /* counts that are zero most of the time: errors, throttles */
    WEIR_CATALOG_COUNT,   /* events, one sample of 1 each; busy, or quiet for some entities */
    WEIR_CATALOG_LEVEL,   /* the same whole number in each sample: capacity, hosts, limits */
    WEIR_CATALOG_GAUGE,   /* a depth or a size that moves, whole numbers */
    WEIR_CATALOG_BYTES,   /* large whole numbers */
    WEIR_CATALOG_PERCENT, /* 0 .. 100 with many digits */
    WEIR_CATALOG_LATENCY, /* many samples of many digits */
    WEIR_CATALOG_TAILS,   /* the same with p50, p90, p99 */
    WEIR_CATALOG_TAIL,    /* the same with p99.9 alone */
    WEIR_CATALOG_SIGNED   /* -1: "does not apply" in AWS/RDS */
};

enum weir_catalog_unit {
    WEIR_CATALOG_UNIT_SECONDS,
    WEIR_CATALOG_UNIT_MILLISECONDS,
    WEIR_CATALOG_UNIT_MICROSECONDS,
    WEIR_CATALOG_UNIT_BYTES,
    WEIR_CATALOG_UNIT_MEGABYTES,
    WEIR_CATALOG_UNIT_GIGABYTES,
    WEIR_CATALOG_UNIT_PERCENT,
    WEIR_CATALOG_UNIT_COUNT,
    WEIR_CATALOG_UNIT_NONE,
    WEIR_CATALOG_UNIT_BYTES_SECOND,
    WEIR_CATALOG_UNIT_COUNT_SECOND,
    WEIR_CATALOG_UNIT_BITS_SECOND
};

struct weir_catalog_unit_names {
    struct weir_bytes cloudwatch;
    struct weir_bytes otlp;
};

struct weir_catalog_metric {
    struct weir_bytes name;
    enum weir_catalog_unit unit;
    enum weir_catalog_kind kind;
    uint32_t dimensions; /* how many of the namespace's it has: 1 .. 3 */
};

enum { WEIR_CATALOG_DIMENSIONS = 3 };

struct weir_catalog_namespace {
    struct weir_bytes name;
    struct weir_bytes id; /* what stands before the sixteen hexadecimal digits of an entity's id */
    struct weir_bytes keys[WEIR_CATALOG_DIMENSIONS]; /* the first one's value names the entity */
    const struct weir_catalog_metric *metrics;
    uint32_t count;
};

/* How many there are; entry `index` below that. The last one is the pattern for namespaces that
 * the world makes up ("Custom/..."). */
uint32_t weir_catalog_count(void);
const struct weir_catalog_namespace *weir_catalog_at(uint32_t index);

/* A unit's names. */
const struct weir_catalog_unit_names *weir_catalog_unit(enum weir_catalog_unit unit);

#endif
