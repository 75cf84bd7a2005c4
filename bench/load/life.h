/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_LIFE_H
#define WEIR_LOAD_LIFE_H

#include "load/plan.h"
#include "traffic/body.h"
#include "weir/buffer_hints.h"

/*
 * Delivery streams that fill their buffers, as a pure function of time: each stream has all its
 * series once a minute, evenly over the minute, record by record, and its buffer is due as
 * Firehose's is (weir/buffer_hints.h). All streams begin at 0, so they flush together.
 *
 *   minute 0 | record record record ... | minute 1 | record ...
 *              └─ buffer opens           size reached, or interval over: due
 *
 *   I1  what next and flush give holds each point of a stream once, in the order of the numbers
 *   I2  a buffer is at most its size, except for a single record that alone is larger
 */
struct weir_load_life_options {
    const struct weir_traffic *traffic;
    const struct weir_body_shape *shape;
    struct weir_buffer_hints buffer;
    uint32_t streams; /* of the world */
    uint32_t per_stream;
    uint32_t first; /* this one's share: first, first + step, ... */
    uint32_t step;
};

struct weir_load_life;

/* A buffer that is due. */
struct weir_load_due {
    int64_t due_ns;
    uint32_t ranges;
    struct weir_load_range *range; /* WEIR_LOAD_RANGES_MAX of the caller's */
};

/* WEIR_ENOMEM. The options' pointers are kept. */
WEIR_MUST_USE enum weir_status weir_load_life_new(const struct weir_load_life_options *options,
                                                  struct weir_load_life **ret);
/* NULL is nothing. */
void weir_load_life_free(struct weir_load_life *life);

/* The next buffer that is due at `now_ns` (time since the streams began); false: none more now. */
bool weir_load_life_next(struct weir_load_life *life, int64_t now_ns, struct weir_load_due *ret);

/* The next open buffer, at the end; false: none more. */
bool weir_load_life_flush(struct weir_load_life *life, int64_t now_ns, struct weir_load_due *ret);

#endif
