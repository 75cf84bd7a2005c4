/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_SINK_SHAPE_H
#define WEIR_BENCH_SINK_SHAPE_H

#include "traffic/traffic.h"
#include "weir/buf.h"

/*
 * In what shape points arrive: what a destination is told to make of CloudWatch's Summaries, in the
 * words of its keys. Written from docs/configuration.md, and not with what does the shaping.
 *
 *   summary=gauges,dimensions=flat,names=dynatrace,attribute_keys=dynatrace,promote=cloud.region
 *
 *   a point ─► its parts: the whole of it, or a gauge for each statistic
 */
enum weir_sink_shape_summary {
    WEIR_SINK_SHAPE_KEEP,
    WEIR_SINK_SHAPE_GAUGES,
    WEIR_SINK_SHAPE_EXPONENTIAL
};
enum weir_sink_shape_dimensions {
    WEIR_SINK_SHAPE_KVLIST,
    WEIR_SINK_SHAPE_FLAT,
    WEIR_SINK_SHAPE_JSON
};
enum weir_sink_shape_names {
    WEIR_SINK_SHAPE_CLOUDWATCH,
    WEIR_SINK_SHAPE_DYNATRACE,
    WEIR_SINK_SHAPE_PROMETHEUS
};

/* Resource attributes that can be promoted, in this order. */
enum { WEIR_SINK_SHAPE_PROMOTED_MAX = 3 };

struct weir_sink_shape {
    enum weir_sink_shape_summary summary;
    enum weir_sink_shape_dimensions dimensions;
    enum weir_sink_shape_names names;
    bool mends_keys;   /* attribute_keys=dynatrace */
    unsigned promoted; /* bits: cloud.provider, cloud.account.id, cloud.region */
};

/* A point's part, and its place in the accounts (sink/booked.h). */
enum weir_sink_part_place {
    WEIR_SINK_PART_WHOLE,
    WEIR_SINK_PART_MIN,
    WEIR_SINK_PART_MAX,
    WEIR_SINK_PART_SUM,
    WEIR_SINK_PART_COUNT,
    WEIR_SINK_PART_PERCENTILE, /* the first, the others after it */
    WEIR_SINK_PART_PLACES = 8
};

/* Reads `text` over the neutral shape. WEIR_EINVAL: *ret_what (static) says what is wrong, and *ret
 * is untouched. */
WEIR_MUST_USE enum weir_status weir_sink_shape_parse(const char *text, struct weir_sink_shape *ret,
                                                     const char **ret_what);

/* The parts that a point leaves in, as bits. */
unsigned weir_sink_shape_parts(const struct weir_sink_shape *shape,
                               const struct weir_traffic_point *point);

/* Appends what the metric of a point's part is called. */
void weir_sink_shape_name(const struct weir_sink_shape *shape,
                          const struct weir_traffic_point *point, unsigned place,
                          struct weir_buf *out);

/* Appends an attribute's key, mended if it is to be, and gives the view of it (as long as `out`
 * does not move). */
struct weir_bytes weir_sink_shape_key(const struct weir_sink_shape *shape, struct weir_bytes key,
                                      struct weir_buf *out);

/* The key and the value of the promoted attribute `bit`. */
struct weir_bytes weir_sink_shape_promoted(const struct weir_traffic_point *point, unsigned bit,
                                           struct weir_bytes *ret_value);

#endif
