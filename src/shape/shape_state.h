/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_STATE_H
#define WEIR_SHAPE_STATE_H

#include "weir/pbw.h"
#include "weir/shape.h"

/*
 * What the files of this room share: the shape, one point taken apart, and the walk over one run.
 *
 *   walk ─► group    the input metric whose points are being shaped: wanted? its name's parts
 *            └► variant, variant ...     one for each set of dimension keys where names have them;
 *                └► output metrics       one for each statistic, made when first needed
 */
enum { WEIR_SHAPE_SCRATCH = 32 << 10, WEIR_SHAPE_VARIANTS_LOOKED_AT = 32 };

enum weir_shape_statistic {
    WEIR_SHAPE_MIN,
    WEIR_SHAPE_MAX,
    WEIR_SHAPE_SUM,
    WEIR_SHAPE_COUNT,
    WEIR_SHAPE_PERCENTILE,
    WEIR_SHAPE_STATISTICS
};

struct weir_shape_pair {
    struct weir_bytes key;
    struct weir_bytes value;
};

struct weir_shape_list {
    uint32_t count;
    struct weir_bytes text[WEIR_SHAPE_LIST_MAX];
};

/* An attribute on its way. */
struct weir_shape_item {
    struct weir_bytes raw; /* the KeyValue as it came; data NULL where key or value is ours */
    struct weir_bytes key;
    struct weir_bytes value; /* AnyValue */
};

struct weir_shape_quantile {
    uint64_t quantile; /* bits of doubles */
    uint64_t value;
};

/* A data point taken apart. What is absent is 0, as proto3 says. */
struct weir_shape_point {
    struct weir_bytes data;
    const struct weir_metric *metric;
    uint32_t index;
    uint32_t attribute; /* field number of the attributes in its kind of point */
    uint64_t start_ns;
    uint64_t time_ns;
    uint64_t count;
    uint64_t sum;
    uint64_t flags;
    uint32_t quantile_count;
    uint32_t item_count;
    uint32_t span_count; /* runs of fields that are no attributes */
    uint32_t dimension_count;
    struct weir_bytes metric_name; /* the attribute's text, or empty */
    struct weir_bytes written;     /* the attributes as fields `written_number`, once encoded */
    uint32_t written_number;
    size_t span_bytes;
    size_t attributes_size; /* as fields of the output, tags included */
    struct weir_shape_quantile quantiles[WEIR_SHAPE_QUANTILES_MAX];
    struct weir_shape_item items[WEIR_SHAPE_ATTRIBUTES_MAX];
    struct weir_shape_item dimensions[WEIR_SHAPE_ATTRIBUTES_MAX];
    struct weir_bytes spans[WEIR_SHAPE_ATTRIBUTES_MAX + 1];
};

struct weir_shape {
    enum weir_shape_summary summary;
    enum weir_shape_dimensions dimensions;
    enum weir_shape_names names;
    enum weir_shape_keys keys;
    int64_t max_point_age_ns;
    size_t attributes_max;
    size_t key_bytes_max; /* SIZE_MAX: any */
    size_t value_bytes_max;
    bool mends_attributes;  /* attributes leave otherwise than they came, or are counted */
    bool names_dimensions;  /* a name has to do with the dimensions */
    uint8_t key_bytes[256]; /* what a byte of a key becomes for Dynatrace; 0: nothing */
    struct weir_bytes suffix[WEIR_SHAPE_STATISTICS];
    struct weir_shape_list promote;
    struct weir_shape_list include;
    struct weir_shape_list exclude;
    uint32_t resource_count;
    struct weir_shape_pair resource[WEIR_SHAPE_LIST_MAX];
    struct weir_bytes scope_name; /* data NULL: the scope as it came */
    struct weir_bytes scope_version;
    char *texts;                                          /* what the views above look into */
    struct weir_shape_item promoted[WEIR_SHAPE_LIST_MAX]; /* of the run */
    struct weir_shape_point point;
    size_t scratch_used; /* by the point */
    uint8_t scratch[WEIR_SHAPE_SCRATCH];
};

struct weir_shape_percentile {
    struct weir_shape_percentile *next;
    uint64_t quantile;
    const struct weir_metric *metric;
};

/* The output metrics of a group's points with the same names. */
struct weir_shape_variant {
    struct weir_shape_variant *next;
    struct weir_bytes signature; /* what of a point its name comes from */
    struct weir_bytes stem;      /* the name, without a suffix */
    size_t tail_size;            /* at the stem's end: a statistic, which is never cut */
    const struct weir_metric *whole;
    const struct weir_metric *statistics[WEIR_SHAPE_PERCENTILE];
    struct weir_shape_percentile *percentiles; /* in the order of their first points */
    struct weir_shape_percentile *last;
    struct weir_shape_percentile *hint; /* where the next one most likely is */
    uint32_t percentile_count;
};

struct weir_shape_group {
    const struct weir_metric *metric;
    bool is_wanted;
    struct weir_bytes name;              /* amazonaws.com/AWS/EC2/CPUUtilization */
    struct weir_bytes metric_name;       /* CPUUtilization; empty where it is not CloudWatch's */
    struct weir_shape_variant *variants; /* the last used first */
};

struct weir_shape_walk {
    struct weir_shape *shape;
    const struct weir_run *in;
    struct weir_arena *arena;
    const struct weir_resource *resource; /* of the output */
    const struct weir_scope *scope_in;
    const struct weir_scope *scope_out;
    struct weir_shape_group group;
    int64_t oldest_ns; /* points before are too old */
    struct weir_point *points;
    uint32_t count;
    uint32_t capacity;
    size_t bytes;
    struct weir_shape_refused *refused;
    uint32_t refused_count;
    uint32_t promoted_count; /* of the shape's list */
};

/* What became of a step. Only FULL ends the walk. */
enum weir_shape_verdict {
    WEIR_SHAPE_GOOD,
    WEIR_SHAPE_FULL,
    WEIR_SHAPE_REFUSE /* plus the reason: WEIR_SHAPE_REFUSE + enum weir_shape_refusal */
};

#define WEIR_SHAPE_REFUSED(reason)                                                                 \
    ((enum weir_shape_verdict)((unsigned)WEIR_SHAPE_REFUSE + (unsigned)(reason)))

#endif
