/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OTLP_POINT_H
#define WEIR_OTLP_POINT_H

#include "weir/collect.h"
#include "weir/cwpoint.h"
#include "weir/otlp_check.h"

/* One OTLP data point, as weir/otlp.h's decoder sees it; a part of that module. */
struct weir_otlp_point {
    struct weir_bytes data;
    struct weir_bytes name; /* the Namespace attribute or label; empty where there is none */
    int64_t time_ns;        /* 0 where it is absent or beyond int64 */
    bool has_labels;        /* 0.7 */
};

/* Checks every field of the point `data` of that shape. False: malformed, *ret untouched. */
bool weir_otlp_point_check(enum weir_otlp_shape shape, struct weir_bytes data,
                           struct weir_otlp_point *ret);

/* Writes a checked 0.7 summary point as 1.0 into the arena, and makes point->data and name that.
 * False: more labels or quantiles than weir/cwpoint.h has room for. A full arena sets
 * collect->full. */
bool weir_otlp_point_rewrite(struct weir_collect *collect, struct weir_otlp_point *point);

/* Makes *point one without anything; its arrays stay as they are. */
void weir_otlp_point_clear(struct weir_cwpoint *point);

/* Adds a 0.7 label: namespace, metric name or a dimension. False: no room for it. */
bool weir_otlp_point_add_label(struct weir_cwpoint *point,
                               const struct weir_cwpoint_dimension *label);

#endif
