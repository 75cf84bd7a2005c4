/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_ATTRIBUTES_H
#define WEIR_SHAPE_ATTRIBUTES_H

#include "shape_state.h"

/* Reads the point's attributes as far as the options look at them, and makes of them what leaves:
 * point->items, with room in scratch or arena. */
enum weir_shape_verdict weir_shape_attributes_mend(struct weir_shape_walk *walk,
                                                   struct weir_shape_point *point);

/* Bytes that the attributes take as fields of a data point, tags included. */
size_t weir_shape_attributes_size(const struct weir_shape_point *point);

/* Writes them as fields `number` (of one byte's tag), exactly that many bytes. The end. What was
 * written for one point is copied for the next. */
uint8_t *weir_shape_attributes_put(struct weir_shape_point *point, uint32_t number, uint8_t *at);

#endif
