/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_H
#define WEIR_SHAPE_H

#include "weir/point.h"

/*
 * What CloudWatch streams, in the shape that a backend ingests. A run in, a run out, in an arena of
 * its own; a destination that asks for nothing has no shape, and its points are copied as ever.
 *
 *   point ─► filtered by its metric (include, exclude)?    skipped: this destination never owed it
 *         ─► too old, too many attributes, ...?            refused, with the reason
 *         ─► a Summary ─┬─ keep         one Summary
 *                       ├─ gauges       <name>.min .max .sum .count, .p99 ...: NumberDataPoints
 *                       └─ exponential  ExponentialHistogramDataPoint, delta: count, sum, min, max;
 *                                       no buckets; percentiles become gauges
 *         ─► attributes: Dimensions as kvlist, each its own, or one JSON text; promoted resource
 *            attributes; limits on keys and values
 *         ─► metric name, resource and scope
 *
 * What is no Summary (a Gauge of an extended statistic, what another sender had) keeps its data and
 * gets names, attributes, resource and scope all the same. Values are conserved: counts, sums,
 * minima, maxima and percentiles of the output are the input's, to the bit (but for a count above
 * 2^63 - 1 as a gauge, which is the nearest double). A point's flags stay, its exemplars and
 * unknown fields where the output has the same message; a Summary that becomes something else loses
 * unknown fields, which are counted nowhere, for nobody knows what they mean.
 *
 * Summary as gauges. The first quantile 0 is the minimum, the first 1 the maximum, and what is not
 * there gives no gauge; any other is a percentile, its name the quantile in decimal percent with up
 * to ten places: 0.5 is p50, 0.999 p99.9. The count is an integer of unit {Count}, all others are
 * doubles of the metric's unit.
 *
 * Attributes, where the options touch them. First those the point has, then promoted ones (of the
 * resource as it leaves; one that the point has already is not copied), then dimensions. The first
 * to have a key keeps it. A dimension whose key is taken ("Namespace", "MetricName", a promoted
 * one's, another dimension's, after mending and cutting) is called "Dimension.<key>"; if that is
 * taken too, and for all other attributes, "_<n>" follows, its place on the point.
 *
 * Names of AWS/EC2 CPUUtilization with the dimension InstanceId; a namespace that does not begin
 * with AWS/ has "custom" for "aws"; a statistic that is part of the name (".tm90") and a gauge's
 * suffix come last. Names that are not CloudWatch's stay, with Prometheus' characters if asked for.
 * Dynatrace's end after 255 bytes; what is cut is the name, never statistic or suffix.
 *
 * Sources: OTLP data model (opentelemetry-proto 1.0), Dynatrace "OpenTelemetry metrics
 * limitations", Prometheus' OTLP translation. Pure; the drainer's thread.
 */
enum weir_shape_summary {
    WEIR_SHAPE_SUMMARY_KEEP,
    WEIR_SHAPE_SUMMARY_GAUGES,
    WEIR_SHAPE_SUMMARY_EXPONENTIAL
};

enum weir_shape_dimensions {
    WEIR_SHAPE_DIMENSIONS_KVLIST, /* as CloudWatch: one attribute "Dimensions", a kvlist */
    WEIR_SHAPE_DIMENSIONS_FLAT,   /* each dimension its own attribute */
    WEIR_SHAPE_DIMENSIONS_JSON    /* one attribute "Dimensions", its kvlist as JSON text */
};

enum weir_shape_names {
    WEIR_SHAPE_NAMES_CLOUDWATCH,        /* amazonaws.com/AWS/EC2/CPUUtilization */
    WEIR_SHAPE_NAMES_DYNATRACE,         /* cloud.aws.ec2.CPUUtilization.By.InstanceId */
    WEIR_SHAPE_NAMES_DYNATRACE_CLASSIC, /* cloud.aws.ec2.cpuUtilizationByAccountIdRegion */
    WEIR_SHAPE_NAMES_PROMETHEUS         /* amazonaws_com_AWS_EC2_CPUUtilization */
};

enum weir_shape_keys {
    WEIR_SHAPE_KEYS_KEEP,
    WEIR_SHAPE_KEYS_DYNATRACE /* of all attributes: [a-z0-9_.-], in lower case, others and a
                                 beginning that is no letter get a _ */
};

struct weir_shape_attribute {
    const char *key;
    const char *value;
};

struct weir_shape_options {
    enum weir_shape_summary summary;
    enum weir_shape_dimensions dimensions;
    enum weir_shape_names names;
    enum weir_shape_keys keys;
    const char *suffix_min; /* of gauges; NULL: ".min" ".max" ".sum" ".count" ".p" */
    const char *suffix_max;
    const char *suffix_sum;
    const char *suffix_count;
    const char *suffix_percentile;               /* the percentile follows: ".p" gives ".p99.9" */
    const char *const *promote;                  /* resource attributes copied onto each point,
                                                  NULL-terminated, or NULL */
    const struct weir_shape_attribute *resource; /* set on the resource, over what came; ends with a
                                                    NULL key; or NULL */
    const char *scope_name;                      /* NULL: the scope as it came */
    const char *scope_version;
    const char *const
        *metrics_include; /* patterns with * over "AWS/EC2/CPUUtilization" (an extended
                                           statistic's ends in ".tm90"), or NULL */
    const char *const *metrics_exclude;
    int64_t max_point_age_ns; /* by the point's time, if it has one; 0: any age */
    uint32_t attributes_max;  /* of a point; 0: up to WEIR_SHAPE_ATTRIBUTES_MAX */
    uint32_t key_bytes_max;   /* of an attribute, 16 at least; cut at a character; 0: any */
    uint32_t value_bytes_max; /* of a string, JSON text of dimensions too; 0: any */
};

/* Beyond these a point is refused, if shaping has to look at them: dimensions and attributes
 * (CloudWatch: 30 and 3), and percentiles of a Summary (CloudWatch: about 100). */
#define WEIR_SHAPE_ATTRIBUTES_MAX 256
#define WEIR_SHAPE_QUANTILES_MAX  256

/* Of the options' lists and texts. */
#define WEIR_SHAPE_LIST_MAX   256
#define WEIR_SHAPE_SUFFIX_MAX 64

/* Whether the options ask for anything at all. */
bool weir_shape_is_needed(const struct weir_shape_options *options);

struct weir_shape;

/* A shape that keeps copies of its options. WEIR_EINVAL: options that contradict each other (gauges
 * of two statistics with one suffix, a scope's version without its name, a resource attribute
 * twice), break a limit above, or are no UTF-8; WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_shape_new(const struct weir_shape_options *options,
                                              struct weir_shape **ret);
/* NULL is nothing. */
void weir_shape_free(struct weir_shape *shape);

enum weir_shape_refusal {
    WEIR_SHAPE_TOO_OLD,
    WEIR_SHAPE_TOO_MANY_ATTRIBUTES,
    WEIR_SHAPE_TOO_MANY_QUANTILES,
    WEIR_SHAPE_MALFORMED /* no data point of its kind; the decoders let none through */
};

/* An input point that has no place at this backend. */
struct weir_shape_refused {
    uint32_t index; /* in the input run */
    enum weir_shape_refusal reason;
};

struct weir_shaped {
    struct weir_run run; /* the output: `run` of each of its points is the input point's index, and
                            these never decrease; count 0 where nothing is left */
    uint32_t refused_count;
    const struct weir_shape_refused *refused; /* in the arena */
};

/* Shapes all points of a run into `arena`, which then holds all of the output (copies, no views of
 * the input's arena): ret->run has it, with the input's origin (its ticket the same), name,
 * newest_ns, namespace_id and `first`. Each input point has outputs, one refusal, or was filtered.
 * A part of a run will do as well: `in` with points, count and first of that part.
 * `now_wall_ns` is what points' ages are told from. WEIR_EFULL: the arena, in which then lies what
 * nobody needs; *ret is untouched. O(bytes in and out). One thread a shape. */
WEIR_MUST_USE enum weir_status weir_shape_run(struct weir_shape *shape, const struct weir_run *in,
                                              int64_t now_wall_ns, struct weir_arena *arena,
                                              struct weir_shaped *ret);

#endif
