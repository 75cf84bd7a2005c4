/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPLIT_H
#define WEIR_SPLIT_H

#include "weir/buf.h"

/*
 * Splitting an encoded ExportMetricsServiceRequest at a data point, for a backend that answered
 * 413.
 *
 *   whole    [resource [scope [metric p p p] [metric p   p p]]]
 *                                                      ^ at 4
 *   first    [resource [scope [metric p p p] [metric p]]]
 *   second   [resource [scope                [metric     p p]]]
 *
 * Every other field (resource, scope, name, unit, unknown ones) is repeated in both halves as it
 * is; metrics, scopes and resources without a point in a half are left out of it. The halves hold
 * the same points in the same order, each exactly once.
 */

/* Counts the data points of a request. WEIR_EMALFORMED. */
WEIR_MUST_USE enum weir_status weir_split_count(struct weir_bytes request, size_t *ret_points);

/* Writes the points [0, at) to `first` and [at, count) to `second` (growing or large enough
 * buffers); 0 < at < count, else WEIR_EINVAL. WEIR_EMALFORMED, WEIR_ENOMEM; the buffers then hold
 * no defined content. */
WEIR_MUST_USE enum weir_status weir_split_at(struct weir_bytes request, size_t at,
                                             struct weir_buf *first, struct weir_buf *second);

#endif
