/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ROUTE_RUN_COPY_H
#define WEIR_ROUTE_RUN_COPY_H

#include "weir/point.h"

/*
 * Copies a run with everything it hangs on (points, metrics, scopes, resource, origin, names) into
 * an arena of its own, one region, charged to `budget`. The copy's arena has one reference with the
 * copy's bytes live, and that is the caller's. WEIR_EFULL when the budget or memory says no, or
 * when a copy would be larger than `size_max`; the run is only read.
 */
WEIR_MUST_USE enum weir_status weir_run_copy(const struct weir_run *run, size_t size_max,
                                             struct weir_regions *regions,
                                             struct weir_arena_budget budget,
                                             struct weir_run **ret);

#endif
