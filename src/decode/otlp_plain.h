/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OTLP_PLAIN_H
#define WEIR_OTLP_PLAIN_H

#include "weir/collect.h"
#include "weir/otlp_check.h"

/*
 * The walk of weir/otlp.h's decoder that takes any layout: what the quick way leaves to it, and the
 * oracle of that. Each function returns false, with walk->reason set, for what must be refused;
 * what was collected until then is the caller's to take back.
 */
struct weir_otlp_walk {
    struct weir_collect *collect;
    enum weir_record_format format; /* begins as 1.0; 0.7 once anything of it was met */
    enum weir_quarantine reason;
    const struct weir_scope *scope; /* of the metrics below */
};

/* A whole ExportMetricsServiceRequest. */
bool weir_otlp_plain_message(struct weir_otlp_walk *walk, struct weir_bytes message);

/* One Metric of walk->scope. */
bool weir_otlp_plain_metric(struct weir_otlp_walk *walk, struct weir_bytes metric);

/* One data point of that shape. */
bool weir_otlp_plain_point(struct weir_otlp_walk *walk, const struct weir_metric *metric,
                           enum weir_otlp_shape shape, struct weir_bytes data);

/* The resource with this head, which was checked. */
const struct weir_resource *weir_otlp_plain_resource(struct weir_otlp_walk *walk,
                                                     struct weir_bytes head);

#endif
