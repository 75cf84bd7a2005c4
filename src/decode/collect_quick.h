/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DECODE_COLLECT_QUICK_H
#define WEIR_DECODE_COLLECT_QUICK_H

#include "weir/collect.h"

#define WEIR_COLLECT_ROOM 32

/* Sets ret_known[i] to the metric of keys[i], which were asked for (weir_collect_ask), or to NULL
 * where there is none yet: that is weir_collect_asked to add, or to find where an equal key came
 * before. What is known has its bytes from who added it: if those were checked, equal ones are. */
void weir_collect_find(const struct weir_collect *collect, const struct weir_metric *keys,
                       uint32_t count, const struct weir_metric **ret_known);

/* As weir_collect_point, for a name up to whose end WEIR_COLLECT_ROOM bytes can be read, whatever
 * they are: so that names of any length up to that are compared in one way. Of an empty name
 * nothing is read. */
void weir_collect_roomy_point(struct weir_collect *collect, const struct weir_metric *metric,
                              struct weir_bytes name, struct weir_bytes data, int64_t time_ns);

#endif
