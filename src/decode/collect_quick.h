/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DECODE_COLLECT_QUICK_H
#define WEIR_DECODE_COLLECT_QUICK_H

#include "weir/collect.h"

/*
 * The collector's short ways, for who meets nearly every metric again and knows where its bytes
 * lie. They collect what the ones of weir/collect.h do.
 */

/* The metric with this key and hash, where there is one already: its bytes were checked by who
 * added it, so equal ones need not be. NULL where it would be new. */
const struct weir_metric *weir_collect_known(const struct weir_collect *collect,
                                             const struct weir_metric *key);

#define WEIR_COLLECT_ROOM 32

/* As weir_collect_point, for a name from whose beginning WEIR_COLLECT_ROOM bytes can be read,
 * whatever they are: so names of any length up to that are compared in one way. */
void weir_collect_roomy_point(struct weir_collect *collect, const struct weir_metric *metric,
                              struct weir_bytes name, struct weir_bytes data, int64_t time_ns);

#endif
