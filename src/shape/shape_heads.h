/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_HEADS_H
#define WEIR_SHAPE_HEADS_H

#include "shape_state.h"

/* Resource, scope and metric of the output, in the arena. NULL (false): the arena is full. */

/* The run's resource with the options' attributes over its own; also finds the promoted ones. */
bool weir_shape_heads_resource(struct weir_shape_walk *walk);

/* The scope for points of `in`: the one made last, or a new one. */
const struct weir_scope *weir_shape_heads_scope(struct weir_shape_walk *walk,
                                                const struct weir_scope *in);

struct weir_shape_heads_metric {
    const struct weir_metric *in;
    struct weir_bytes name; /* data NULL: the input's */
    struct weir_bytes unit; /* data NULL: the input's */
    enum weir_metric_data data;
    struct weir_bytes data_head;
};

/* A metric like another, with another name. Copies what it is told. */
const struct weir_metric *weir_shape_heads_metric(struct weir_shape_walk *walk,
                                                  const struct weir_shape_heads_metric *metric);

#endif
