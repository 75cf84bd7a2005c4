/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_CATALOG_ROWS_H
#define WEIR_BENCH_CATALOG_ROWS_H

#include "catalog.h"

/*
 * How the tables of the catalog are written, one letter for the kind of values, so that a namespace
 * can be read at a glance:
 *
 *   P("CPUUtilization", PERCENT, 1)     kind of values, name, unit, number of dimensions
 *
 *   I1  each metric has at least one dimension and not more than its namespace names
 *   I2  names are unique in their namespace, and namespaces in the tables
 *   I3  all text is plain ASCII that JSON need not escape
 */
extern const struct weir_catalog_namespace weir_catalog_busy[];
extern const uint32_t weir_catalog_busy_count;
extern const struct weir_catalog_namespace weir_catalog_rest[];
extern const uint32_t weir_catalog_rest_count;

#define METRIC(name, unit, kind, dimensions)                                                       \
    {                                                                                              \
        WEIR_BYTES_INIT(name), WEIR_CATALOG_UNIT_##unit, WEIR_CATALOG_##kind, dimensions           \
    }
#define Q(name, unit, dimensions) METRIC(name, unit, QUIET, dimensions)
#define C(name, unit, dimensions) METRIC(name, unit, COUNT, dimensions)
#define L(name, unit, dimensions) METRIC(name, unit, LEVEL, dimensions)
#define G(name, unit, dimensions) METRIC(name, unit, GAUGE, dimensions)
#define B(name, unit, dimensions) METRIC(name, unit, BYTES, dimensions)
#define P(name, unit, dimensions) METRIC(name, unit, PERCENT, dimensions)
#define T(name, unit, dimensions) METRIC(name, unit, LATENCY, dimensions)
#define S(name, unit, dimensions) METRIC(name, unit, TAILS, dimensions)
#define X(name, unit, dimensions) METRIC(name, unit, TAIL, dimensions)
#define N(name, unit, dimensions) METRIC(name, unit, SIGNED, dimensions)

#define NAMESPACE(name, id, metrics, ...)                                                          \
    {                                                                                              \
        WEIR_BYTES_INIT(name), WEIR_BYTES_INIT(id), {__VA_ARGS__}, metrics,                        \
            sizeof(metrics) / sizeof((metrics)[0])                                                 \
    }
#define KEY(key) WEIR_BYTES_INIT(key)

#endif
