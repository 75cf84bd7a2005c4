/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Summary as what a backend without Summaries takes.
 *
 *   SummaryDataPoint                    NumberDataPoint, one each     ExponentialHistogramDataPoint
 *   4 count      5 sum                  2 start  3 time               1 attributes  2 start  3 time
 *   6 { quantile 0, minimum }           4 double or 6 count           4 count  5 sum  7 zero_count
 *   6 { quantile 1, maximum }           7 attributes  8 flags         10 flags  12 min  13 max
 *   6 { other, percentile }                                           14 zero_threshold
 *
 * The data model wants the counts of a histogram's buckets to add up to its count, and of what
 * CloudWatch counts nobody knows where between minimum and maximum it lies. So everything counts as
 * zero, with "zero" as wide as the values: zero_threshold is the larger magnitude of minimum and
 * maximum, infinite where one is not known. That is true, says no more than is known, and needs no
 * bucket.
 *
 *   I1  every bit of a value is copied as it is: no arithmetic but the comparison for the threshold
 *   I2  the first quantile 0 (or -0) is the minimum, the first 1 the maximum; all others are
 *       percentiles, so each quantile leaves exactly once
 *   I3  a value is written also when it is 0: it is a oneof's member, or optional
 *
 * Threads: the walk's. A full arena ends the walk. Deliberately gives no gauge for a minimum or
 * maximum that the Summary has not: absent is not 0.
 */
#include "shape_summary.h"
#include "shape_attributes.h"
#include "shape_names.h"
#include "shape_points.h"
#include "shape_write.h"
#include "weir/panic.h"

#define NONE UINT32_MAX

#define BITS_MINUS_ZERO UINT64_C(0x8000000000000000)
#define BITS_ONE        UINT64_C(0x3ff0000000000000)
#define BITS_INFINITY   UINT64_C(0x7ff0000000000000)

struct ends {
    uint32_t min; /* places among the quantiles, or NONE */
    uint32_t max;
};

static struct ends ends_of(const struct weir_shape_point *point)
{
    struct ends ends = {NONE, NONE};
    for (uint32_t i = 0; i < point->quantile_count; i++) {
        uint64_t quantile = point->quantiles[i].quantile;
        if (ends.min == NONE && (quantile == 0 || quantile == BITS_MINUS_ZERO)) {
            ends.min = i;
        } else if (ends.max == NONE && quantile == BITS_ONE) {
            ends.max = i;
        }
    }
    return ends;
}

/* A NumberDataPoint with the value's bits as field 4 (a double) or 6 (an integer). */
static bool put_gauge(struct weir_shape_walk *walk, const struct weir_metric *metric,
                      struct weir_shape_point *point, uint32_t number, uint64_t bits)
{
    size_t size = weir_shape_write_fixed64_size(point->start_ns) +
                  weir_shape_write_fixed64_size(point->time_ns) + WEIR_SHAPE_WRITE_FIXED64 +
                  point->attributes_size + weir_shape_write_flags_size(point->flags);
    uint8_t *at = weir_shape_points_add(walk, point->index, metric, size);
    if (at == NULL) {
        return false;
    }
    const uint8_t *end = at + size;
    at = weir_shape_write_fixed64_unless_zero(at, 2, point->start_ns);
    at = weir_shape_write_fixed64_unless_zero(at, 3, point->time_ns);
    at = weir_shape_write_fixed64(at, number, bits);
    at = weir_shape_attributes_put(point, 7, at);
    at = weir_shape_write_flags(at, 8, point->flags);
    WEIR_ASSERT(at == end);
    return true;
}

static bool put_statistic(struct weir_shape_walk *walk, struct weir_shape_variant *variant,
                          struct weir_shape_point *point, enum weir_shape_statistic statistic,
                          uint64_t bits)
{
    return put_gauge(walk, weir_shape_names_statistic(walk, variant, statistic), point, 4, bits);
}

static bool put_end(struct weir_shape_walk *walk, struct weir_shape_variant *variant,
                    struct weir_shape_point *point, enum weir_shape_statistic statistic,
                    uint32_t place)
{
    return place == NONE ||
           put_statistic(walk, variant, point, statistic, point->quantiles[place].value);
}

/* An integer; beyond int64, where no count comes, the nearest double. */
static bool put_count(struct weir_shape_walk *walk, struct weir_shape_variant *variant,
                      struct weir_shape_point *point)
{
    if (point->count > INT64_MAX) {
        double nearest = (double)point->count;
        uint64_t bits;
        memcpy(&bits, &nearest, sizeof(bits));
        return put_statistic(walk, variant, point, WEIR_SHAPE_COUNT, bits);
    }
    return put_gauge(walk, weir_shape_names_statistic(walk, variant, WEIR_SHAPE_COUNT), point, 6,
                     point->count);
}

static bool put_percentiles(struct weir_shape_walk *walk, struct weir_shape_variant *variant,
                            struct weir_shape_point *point, struct ends ends)
{
    for (uint32_t i = 0; i < point->quantile_count; i++) {
        const struct weir_shape_quantile *one = &point->quantiles[i];
        if (i != ends.min && i != ends.max &&
            !put_gauge(walk, weir_shape_names_percentile(walk, variant, one->quantile), point, 4,
                       one->value)) {
            return false;
        }
    }
    return true;
}

bool weir_shape_summary_gauges(struct weir_shape_walk *walk, struct weir_shape_variant *variant,
                               struct weir_shape_point *point)
{
    struct ends ends = ends_of(point);
    return put_end(walk, variant, point, WEIR_SHAPE_MIN, ends.min) &&
           put_end(walk, variant, point, WEIR_SHAPE_MAX, ends.max) &&
           put_statistic(walk, variant, point, WEIR_SHAPE_SUM, point->sum) &&
           put_count(walk, variant, point) && put_percentiles(walk, variant, point, ends);
}

/* -- exponential histogram ----------------------------------------------------------------- */

/* The larger magnitude: without their signs, doubles that are no NaN compare as their bits. */
static uint64_t zero_threshold(const struct weir_shape_point *point, struct ends ends)
{
    if (point->count == 0) {
        return 0;
    }
    if (ends.min == NONE || ends.max == NONE) {
        return BITS_INFINITY;
    }
    uint64_t low = point->quantiles[ends.min].value & ~BITS_MINUS_ZERO;
    uint64_t high = point->quantiles[ends.max].value & ~BITS_MINUS_ZERO;
    uint64_t larger = low > high ? low : high;
    return larger > BITS_INFINITY ? BITS_INFINITY : larger;
}

static uint8_t *put_optional(uint8_t *at, uint32_t number, const struct weir_shape_point *point,
                             uint32_t place)
{
    return place == NONE ? at : weir_shape_write_fixed64(at, number, point->quantiles[place].value);
}

static bool put_histogram(struct weir_shape_walk *walk, const struct weir_metric *metric,
                          struct weir_shape_point *point, struct ends ends)
{
    uint64_t threshold = zero_threshold(point, ends);
    size_t size = weir_shape_write_fixed64_size(point->start_ns) +
                  weir_shape_write_fixed64_size(point->time_ns) +
                  2 * weir_shape_write_fixed64_size(point->count) + WEIR_SHAPE_WRITE_FIXED64 +
                  (ends.min == NONE ? 0U : WEIR_SHAPE_WRITE_FIXED64) +
                  (ends.max == NONE ? 0U : WEIR_SHAPE_WRITE_FIXED64) +
                  weir_shape_write_fixed64_size(threshold) + point->attributes_size +
                  weir_shape_write_flags_size(point->flags);
    uint8_t *at = weir_shape_points_add(walk, point->index, metric, size);
    if (at == NULL) {
        return false;
    }
    const uint8_t *end = at + size;
    at = weir_shape_attributes_put(point, 1, at);
    at = weir_shape_write_fixed64_unless_zero(at, 2, point->start_ns);
    at = weir_shape_write_fixed64_unless_zero(at, 3, point->time_ns);
    at = weir_shape_write_fixed64_unless_zero(at, 4, point->count);
    at = weir_shape_write_fixed64(at, 5, point->sum);
    at = weir_shape_write_fixed64_unless_zero(at, 7, point->count);
    at = weir_shape_write_flags(at, 10, point->flags);
    at = put_optional(at, 12, point, ends.min);
    at = put_optional(at, 13, point, ends.max);
    at = weir_shape_write_fixed64_unless_zero(at, 14, threshold);
    WEIR_ASSERT(at == end);
    return true;
}

bool weir_shape_summary_exponential(struct weir_shape_walk *walk,
                                    struct weir_shape_variant *variant,
                                    struct weir_shape_point *point)
{
    struct ends ends = ends_of(point);
    return put_histogram(walk, weir_shape_names_whole(walk, variant), point, ends) &&
           put_percentiles(walk, variant, point, ends);
}
