/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_SINK_PART_CHECK_H
#define WEIR_BENCH_SINK_PART_CHECK_H

#include "sink/check.h"
#include "sink/shape.h"

/*
 * Whether a data point in a shape is a part of a point that was sent: found by what names it, then
 * held against what the world says of it, value by value and attribute by attribute.
 */

/* Checks one. `number` of what it gives is the slot for the accounts: the point's number times
 * WEIR_BOOKED_PARTS and the part's place. Any thread. */
struct weir_sink_checked weir_sink_part_check(const struct weir_traffic *traffic,
                                              const struct weir_sink_shape *shape,
                                              const struct weir_sink_point *point);

#endif
