/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_OPTIONS_H
#define WEIR_SHAPE_OPTIONS_H

#include "shape_state.h"

/* Whether the options agree with each other and keep their limits. */
bool weir_shape_options_valid(const struct weir_shape_options *options);

/* Copies valid options into a zeroed shape. WEIR_ENOMEM, and nothing is to be freed. */
WEIR_MUST_USE enum weir_status weir_shape_options_keep(const struct weir_shape_options *options,
                                                       struct weir_shape *shape);

#endif
