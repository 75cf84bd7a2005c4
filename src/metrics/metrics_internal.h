/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_METRICS_METRICS_INTERNAL_H
#define WEIR_METRICS_METRICS_INTERNAL_H

#include "families.h"
#include <stdbool.h>

/* How the exposition reads the registry. Any thread. */

/* No further series. */
#define WEIR_METRICS_NONE UINT32_MAX

/* The first series of a family, and the one after `series` in the same family, in
 * order of arrival. */
uint32_t weir_metrics_first(enum weir_family family);
uint32_t weir_metrics_next(uint32_t series);

enum weir_family weir_metrics_family(uint32_t series);

/* Whether anything was ever counted, observed or set. */
bool weir_metrics_is_touched(uint32_t series);

/* The value of one label. Lives as long as the registry. */
struct weir_bytes weir_metrics_label(uint32_t series, uint32_t label);

/* A counter (bucket 0) or one bucket of a histogram, not cumulated, over all threads; a histogram's
 * sum; a gauge's or a total's value. */
uint64_t weir_metrics_count(uint32_t series, uint32_t bucket);
double weir_metrics_sum(uint32_t series);
double weir_metrics_gauge(uint32_t series);

#endif
