/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BASE_REGION_INTERNAL_H
#define WEIR_BASE_REGION_INTERNAL_H

#include "weir/pool.h"
#include "weir/region.h"

/*
 * What base shares inside itself: a cache of regions also keeps the small objects that describe
 * chains of them (arenas), so that a warm request allocates neither.
 */
enum { WEIR_REGIONS_HEADER_SIZE = 1280, WEIR_REGIONS_HEADERS_IDLE_MAX = 8192 };

/* The pool of those objects, each WEIR_REGIONS_HEADER_SIZE bytes. Lives as long as `regions`. */
struct weir_pool *weir_regions_headers(struct weir_regions *regions);

#endif
