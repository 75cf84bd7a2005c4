/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_POINTS_H
#define WEIR_SHAPE_POINTS_H

#include "shape_state.h"

/* The output's lists. */

/* Room for about `count` points. False: the arena is full. */
bool weir_shape_points_begin(struct weir_shape_walk *walk, size_t count);

/* One more output of input point `index`: where its `size` bytes go. NULL: the arena is full. */
uint8_t *weir_shape_points_add(struct weir_shape_walk *walk, uint32_t index,
                               const struct weir_metric *metric, size_t size);

/* Input point `index` has none. False: the arena is full. */
bool weir_shape_points_refuse(struct weir_shape_walk *walk, uint32_t index,
                              enum weir_shape_refusal reason);

#endif
