/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPO_H
#define WEIR_EXPO_H

#include "weir/buf.h"
#include "weir/metrics.h"

/*
 * The registry as text: Prometheus' text format 0.0.4 and OpenMetrics 1.0. Families in the order of
 * enum weir_family, series in the order they came; what has never been touched is left out.
 */
enum weir_expo_format { WEIR_EXPO_PROMETHEUS, WEIR_EXPO_OPENMETRICS };

/* Adds a function that is called at the start of each exposition, to set gauges that nobody keeps
 * current. At most 16; at start only. */
void weir_expo_collector(void (*collect)(void *argument), void *argument);

/* Appends the whole exposition. A failed buffer is the caller's to see. Any thread with a slab; one
 * at a time. */
void weir_expo_write(struct weir_buf *out, enum weir_expo_format format);

/* The value of one series now: a counter's sum over all threads, a gauge's value, a histogram's
 * count. For tests, the status page and `weir send`. */
double weir_expo_value(uint32_t series);

/* The Content-Type that goes with a format, and the format that an Accept header asks for. Static
 * storage. */
const char *weir_expo_content_type(enum weir_expo_format format);
enum weir_expo_format weir_expo_negotiate(struct weir_bytes accept);

#endif
