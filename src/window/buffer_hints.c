/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/buffer_hints.h"
#include "weir/panic.h"

static bool is_closed(const struct weir_buffer *buffer)
{
    return buffer->bytes == 0 && buffer->points == 0;
}

void weir_buffer_init(struct weir_buffer *buffer, struct weir_buffer_hints hints)
{
    WEIR_ASSERT(hints.size > 0);
    WEIR_ASSERT(hints.interval_ns >= 0);
    *buffer = (struct weir_buffer){.hints = hints};
}

bool weir_buffer_fits(const struct weir_buffer *buffer, size_t bytes, uint32_t points)
{
    if (is_closed(buffer)) {
        return true;
    }
    uint32_t points_max = buffer->hints.points_max;
    return bytes <= buffer->hints.size && (points_max == 0 || points <= points_max);
}

void weir_buffer_grow(struct weir_buffer *buffer, size_t bytes, uint32_t points, int64_t now_ns)
{
    WEIR_ASSERT(bytes > 0);
    WEIR_ASSERT(bytes >= buffer->bytes);
    WEIR_ASSERT(points >= buffer->points);
    WEIR_ASSERT(weir_buffer_fits(buffer, bytes, points));
    if (is_closed(buffer)) {
        buffer->opened_ns = now_ns;
    }
    buffer->bytes = bytes;
    buffer->points = points;
    buffer->grown_ns = now_ns;
}

enum weir_buffer_trigger weir_buffer_due(const struct weir_buffer *buffer, int64_t now_ns)
{
    if (is_closed(buffer)) {
        return WEIR_BUFFER_NOT_DUE;
    }
    if (buffer->bytes >= buffer->hints.size) {
        return WEIR_BUFFER_SIZE;
    }
    if (buffer->hints.points_max != 0 && buffer->points >= buffer->hints.points_max) {
        return WEIR_BUFFER_POINTS;
    }
    return now_ns >= weir_buffer_deadline_ns(buffer) ? WEIR_BUFFER_INTERVAL : WEIR_BUFFER_NOT_DUE;
}

int64_t weir_buffer_deadline_ns(const struct weir_buffer *buffer)
{
    int64_t deadline_ns;
    if (is_closed(buffer) ||
        __builtin_add_overflow(buffer->opened_ns, buffer->hints.interval_ns, &deadline_ns)) {
        return INT64_MAX;
    }
    return deadline_ns;
}

void weir_buffer_reset(struct weir_buffer *buffer)
{
    weir_buffer_init(buffer, buffer->hints);
}

const char *weir_buffer_trigger_text(enum weir_buffer_trigger trigger)
{
    switch (trigger) {
    case WEIR_BUFFER_NOT_DUE: return "not_due";
    case WEIR_BUFFER_SIZE: return "size";
    case WEIR_BUFFER_POINTS: return "points";
    case WEIR_BUFFER_INTERVAL: return "interval";
    case WEIR_BUFFER_FLUSH: return "flush";
    default: WEIR_UNREACHABLE();
    }
}
