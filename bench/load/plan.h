/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_PLAN_H
#define WEIR_LOAD_PLAN_H

#include <stdint.h>

/*
 * Which points the nth prepared body holds: always the same number, of one stream and minute, each
 * number in one body only, neighbours in the row of different streams.
 *
 *   minute 0:  [stream 0: chunk chunk |rest] [stream 1: chunk chunk |rest] ...
 *   n = (minute x chunks + chunk) x streams + stream
 *
 * A stream's rest that does not fill a chunk is never sent. Pure.
 */
struct weir_load_plan {
    uint32_t streams;
    uint32_t per_stream;
    uint32_t points; /* of a body: 1 .. per_stream */
};

struct weir_load_range {
    uint64_t first;
    uint32_t count;
    uint32_t stream;
};

static inline struct weir_load_range weir_load_plan_at(const struct weir_load_plan *plan,
                                                       uint64_t n)
{
    uint64_t chunks = plan->per_stream / plan->points;
    uint64_t stream = n % plan->streams;
    uint64_t turn = n / plan->streams;
    uint64_t series = (uint64_t)plan->streams * plan->per_stream;
    return (struct weir_load_range){
        .first = turn / chunks * series + stream * plan->per_stream + turn % chunks * plan->points,
        .count = plan->points,
        .stream = (uint32_t)stream,
    };
}

#endif
