/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ROUTE_RUN_COPY_H
#define WEIR_ROUTE_RUN_COPY_H

#include "router_internal.h"

/*
 * Copies what `row` takes of the chain from `run` on, with everything that hangs on it (points,
 * metrics, scopes, resources, origin, names), into an arena of its own, one region, charged to the
 * router's budget. The copies are a chain again. The arena has one reference for each of them with
 * its bytes live, and those are the caller's. WEIR_EFULL when the budget or memory says no, or when
 * the copy would be larger than `size_max`; the chain is only read. `run` is one that the row
 * takes. Without a row it is copied alone, whatever follows it.
 */
WEIR_MUST_USE enum weir_status weir_run_copy(struct weir_router *router, struct weir_route_row *row,
                                             struct weir_run *run, size_t size_max,
                                             struct weir_run **ret);

#endif
