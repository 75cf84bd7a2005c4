/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_NAMES_H
#define WEIR_SHAPE_NAMES_H

#include "shape_state.h"

/* Names of the output's metrics, and the metrics themselves, made when first asked for. NULL: the
 * arena is full. */

/* Begins with the points of another input metric: what its name is made of. */
void weir_shape_names_open(struct weir_shape_walk *walk, const struct weir_metric *metric);

/* The group's variant for this point, taken apart already. */
struct weir_shape_variant *weir_shape_names_variant(struct weir_shape_walk *walk,
                                                    const struct weir_shape_point *point);

/* The metric of points that keep the input's data, or of exponential histograms. */
const struct weir_metric *weir_shape_names_whole(struct weir_shape_walk *walk,
                                                 struct weir_shape_variant *variant);

/* The gauge of a statistic, and that of the percentile with this quantile (its bits). */
const struct weir_metric *weir_shape_names_statistic(struct weir_shape_walk *walk,
                                                     struct weir_shape_variant *variant,
                                                     enum weir_shape_statistic statistic);
const struct weir_metric *weir_shape_names_percentile(struct weir_shape_walk *walk,
                                                      struct weir_shape_variant *variant,
                                                      uint64_t quantile);

#endif
