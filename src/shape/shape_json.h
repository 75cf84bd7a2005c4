/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_JSON_H
#define WEIR_SHAPE_JSON_H

#include "shape_state.h"

/* The pairs as one JSON object, sorted by key, as the content of an AnyValue with that text, cut to
 * `size_max`: in scratch or arena. FULL; MALFORMED where a value is no AnyValue, or too deep. */
enum weir_shape_verdict weir_shape_json_object(struct weir_shape_walk *walk,
                                               const struct weir_shape_point *point,
                                               size_t size_max, struct weir_bytes *ret);

/* An AnyValue's content with that text. NULL data: the arena is full. */
struct weir_bytes weir_shape_json_string(struct weir_shape_walk *walk, struct weir_bytes text);

#endif
