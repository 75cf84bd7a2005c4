/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_DECODE_H
#define WEIR_BENCH_DECODE_H

#include "weir/bytes.h"
#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * An OTLP 1.0 ExportMetricsServiceRequest, read as a backend reads it and not with Weir's own
 * decoder: request ─► resource ─► scope ─► metric ─► summary ─► point. Whatever order fields
 * come in, a head is known before its children are given out.
 */
enum { WEIR_SINK_ATTRIBUTES_MAX = 16 };

struct weir_sink_attribute {
    struct weir_bytes key;
    struct weir_bytes text;  /* of a string value */
    struct weir_bytes whole; /* the AnyValue's content */
    bool is_text;
};

struct weir_sink_resource {
    uint32_t attributes; /* all of them; the first WEIR_SINK_ATTRIBUTES_MAX are kept */
    struct weir_sink_attribute attribute[WEIR_SINK_ATTRIBUTES_MAX];
    bool
        has_extras; /* fields that AWS does not send: a schema URL, a scope, a dropped count, ... */
};

struct weir_sink_point {
    const struct weir_sink_resource *resource; /* views into the body, as all below */
    struct weir_bytes metric;                  /* the metric's name and unit */
    struct weir_bytes unit;
    bool is_summary;
    uint32_t kind;        /* the data's field in the metric: 5 gauge, ... 11 summary */
    uint32_t temporality; /* 0 where it is not told: 1 delta, 2 cumulative */
    bool has_extras;      /* of the metric: a description, fields unknown to OTLP 1.0 */
    struct weir_bytes content;
};

struct weir_sink_decoded {
    uint64_t points;
    const char *what; /* is wrong, of a body that is malformed */
};

/* Calls `seen` (NULL: only counts) for each data point in the body's order. WEIR_EMALFORMED for
 * what protobuf or the schema forbids: then ret->what says it, and some points may have been given
 * out. Pure. */
WEIR_MUST_USE enum weir_status weir_sink_decode(struct weir_bytes body,
                                                void (*seen)(void *argument,
                                                             const struct weir_sink_point *point),
                                                void *argument, struct weir_sink_decoded *ret);

/* Reads a KeyValue. False where it is malformed; *ret is then untouched. */
bool weir_sink_key_value(struct weir_bytes content, struct weir_sink_attribute *ret);

/* What names a point, from its content. */
struct weir_sink_identity {
    struct weir_bytes name;   /* attribute Namespace */
    struct weir_bytes metric; /* attribute MetricName */
    struct weir_bytes value;  /* of the first of Dimensions */
    uint64_t start_ns;
    uint32_t dimensions;
};

/* Reads a SummaryDataPoint. WEIR_EMALFORMED; WEIR_ENOTFOUND when an attribute is not there. */
WEIR_MUST_USE enum weir_status weir_sink_identify(struct weir_bytes content,
                                                  struct weir_sink_identity *ret);

#endif
