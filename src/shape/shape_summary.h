/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_SUMMARY_H
#define WEIR_SHAPE_SUMMARY_H

#include "shape_state.h"

/* A Summary, taken apart, as gauges, and as an exponential histogram with gauges for its
 * percentiles. False: the arena is full. */
bool weir_shape_summary_gauges(struct weir_shape_walk *walk, struct weir_shape_variant *variant,
                               struct weir_shape_point *point);
bool weir_shape_summary_exponential(struct weir_shape_walk *walk,
                                    struct weir_shape_variant *variant,
                                    struct weir_shape_point *point);

#endif
