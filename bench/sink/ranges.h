/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_SINK_RANGES_H
#define WEIR_BENCH_SINK_RANGES_H

#include "sink/booked.h"

/* Reads what a sender was promised, {"ranges":[[first,count,accepted,unsure],...]} (rewritten while
 * read), into an array that the caller frees, also after an error; *ranges is NULL and *count 0
 * before. WEIR_EMALFORMED, WEIR_ENOMEM (there is a bound). */
WEIR_MUST_USE enum weir_status
weir_sink_ranges_read(uint8_t *text, size_t size, struct weir_booked_range **ranges, size_t *count);

#endif
