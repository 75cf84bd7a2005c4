/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BUFFER_HINTS_H
#define WEIR_BUFFER_HINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Firehose's buffering model (BufferingHints: 3 MiB / 60 s, whichever comes first), as a pure
 * function of time: a buffer opens with its first item, and is due when it has reached its size,
 * its number of points, or its age.
 *
 *   closed ──grow──► open ──grow──► open ──due or flushed: reset──► closed
 *
 *   I1  bytes <= size and points <= points_max, except for a single item that alone is larger
 *   I2  an open buffer is due no later than opened + interval
 *
 * Used by the exporter towards the backend, and by whoever plays Firehose towards us. Sizes are
 * bytes of uncompressed OTLP.
 */
struct weir_buffer_hints {
    size_t size;         /* bytes, at least 1 */
    int64_t interval_ns; /* at least 0; 0 is due at once */
    uint32_t points_max; /* 0: no bound */
};

enum weir_buffer_trigger {
    WEIR_BUFFER_NOT_DUE,
    WEIR_BUFFER_SIZE,
    WEIR_BUFFER_POINTS,
    WEIR_BUFFER_INTERVAL,
    WEIR_BUFFER_FLUSH /* the owner closes early: drain, or room is wanted */
};

struct weir_buffer {
    struct weir_buffer_hints hints;
    size_t bytes;
    uint32_t points;
    int64_t opened_ns, grown_ns; /* when it grew first, and last */
};

/* A closed buffer. Hints out of their bounds are our bug (asserted). */
void weir_buffer_init(struct weir_buffer *buffer, struct weir_buffer_hints hints);

/* Whether the buffer may become `bytes` and `points` large; an empty one takes any single item. */
bool weir_buffer_fits(const struct weir_buffer *buffer, size_t bytes, uint32_t points);

/* Notes the new totals; the first call after a reset opens the buffer at `now_ns`. What does not
 * fit is our bug (asserted). */
void weir_buffer_grow(struct weir_buffer *buffer, size_t bytes, uint32_t points, int64_t now_ns);

/* Whether it is due at `now_ns`, and why; size before points before interval. A closed one never
 * is. */
enum weir_buffer_trigger weir_buffer_due(const struct weir_buffer *buffer, int64_t now_ns);

/* When an open buffer becomes due by age; INT64_MAX for a closed one. */
int64_t weir_buffer_deadline_ns(const struct weir_buffer *buffer);

/* Empties and closes it. */
void weir_buffer_reset(struct weir_buffer *buffer);

/* "size", "points", "interval", "flush": the label of weir_batch_trigger_total. */
const char *weir_buffer_trigger_text(enum weir_buffer_trigger trigger);

#endif
