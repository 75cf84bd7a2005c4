/* SPDX-License-Identifier: Apache-2.0 */
#include "load/life.h"
#include "load/parcel.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"

#define MINUTE_NS (60 * WEIR_NS_PER_S)

struct stream {
    uint32_t stream;
    uint32_t ranges;
    uint64_t next; /* points that have come, from minute 0 on */
    struct weir_buffer buffer;
    struct weir_load_range range[WEIR_LOAD_RANGES_MAX];
};

struct weir_load_life {
    struct weir_load_life_options options;
    uint32_t count;
    uint32_t cursor;
    struct stream streams[];
};

/* The record that comes next, and when. */
struct record {
    struct weir_load_range points;
    int64_t arrival_ns;
    bool opens_minute;
};

enum weir_status weir_load_life_new(const struct weir_load_life_options *options,
                                    struct weir_load_life **ret)
{
    uint32_t count = options->first >= options->streams
                         ? 0
                         : (options->streams - options->first - 1) / options->step + 1;
    struct weir_load_life *life =
        weir_mem_zalloc(1, sizeof *life + (size_t)count * sizeof(struct stream));
    if (life == NULL) {
        return WEIR_ENOMEM;
    }
    life->options = *options;
    life->count = count;
    for (uint32_t i = 0; i < count; i++) {
        life->streams[i].stream = options->first + i * options->step;
        weir_buffer_init(&life->streams[i].buffer, options->buffer);
    }
    *ret = life;
    return WEIR_OK;
}

void weir_load_life_free(struct weir_load_life *life)
{
    weir_mem_free(life);
}

static struct record record_of(const struct weir_load_life *life, const struct stream *stream)
{
    uint32_t per_stream = life->options.per_stream;
    uint32_t most = life->options.shape->points_per_record;
    uint64_t minute = stream->next / per_stream;
    uint32_t position = (uint32_t)(stream->next % per_stream);
    uint32_t left = per_stream - position;
    uint32_t count = left < most ? left : most;
    uint64_t in_minute = (uint64_t)MINUTE_NS * (position + count) / per_stream;
    return (struct record){
        .points = {.first = minute * life->options.streams * per_stream +
                            (uint64_t)stream->stream * per_stream + position,
                   .count = count,
                   .stream = stream->stream},
        .arrival_ns = (int64_t)(minute * (uint64_t)MINUTE_NS + in_minute),
        .opens_minute = position == 0,
    };
}

static bool give(struct stream *stream, int64_t due_ns, struct weir_load_due *ret)
{
    WEIR_ASSERT(stream->ranges > 0);
    memcpy(ret->range, stream->range, stream->ranges * sizeof *stream->range);
    ret->ranges = stream->ranges;
    ret->due_ns = due_ns;
    stream->ranges = 0;
    weir_buffer_reset(&stream->buffer);
    return true;
}

static void take(struct stream *stream, const struct record *record, size_t bytes)
{
    struct weir_load_range *last = stream->ranges == 0 ? NULL : &stream->range[stream->ranges - 1];
    bool same_minute = !record->opens_minute;
    if (last != NULL && same_minute && last->first + last->count == record->points.first) {
        last->count += record->points.count;
    } else {
        stream->range[stream->ranges++] = record->points;
    }
    stream->next += record->points.count;
    weir_buffer_grow(&stream->buffer, stream->buffer.bytes + bytes,
                     stream->buffer.points + record->points.count, record->arrival_ns);
}

/* Lets the stream's records come until a buffer is due. */
static bool advance(struct weir_load_life *life, struct stream *stream, int64_t now_ns,
                    struct weir_load_due *ret)
{
    const struct weir_load_life_options *options = &life->options;
    struct weir_buffer *buffer = &stream->buffer;
    for (;;) {
        struct record record = record_of(life, stream);
        int64_t deadline_ns = weir_buffer_deadline_ns(buffer);
        if (deadline_ns <= now_ns && deadline_ns <= record.arrival_ns) {
            return give(stream, deadline_ns, ret);
        }
        if (record.arrival_ns > now_ns) {
            return false;
        }
        size_t bytes = weir_body_record_bytes(options->traffic, options->shape, record.points.first,
                                              record.points.count);
        if (stream->ranges == WEIR_LOAD_RANGES_MAX ||
            !weir_buffer_fits(buffer, buffer->bytes + bytes,
                              buffer->points + record.points.count)) {
            return give(stream, record.arrival_ns, ret);
        }
        take(stream, &record, bytes);
        if (weir_buffer_due(buffer, record.arrival_ns) != WEIR_BUFFER_NOT_DUE) {
            return give(stream, record.arrival_ns, ret);
        }
    }
}

bool weir_load_life_next(struct weir_load_life *life, int64_t now_ns, struct weir_load_due *ret)
{
    for (uint32_t i = 0; i < life->count; i++) {
        struct stream *stream = &life->streams[life->cursor];
        life->cursor = (life->cursor + 1) % life->count;
        if (advance(life, stream, now_ns, ret)) {
            return true;
        }
    }
    return false;
}

bool weir_load_life_flush(struct weir_load_life *life, int64_t now_ns, struct weir_load_due *ret)
{
    for (uint32_t i = 0; i < life->count; i++) {
        if (life->streams[i].ranges > 0) {
            return give(&life->streams[i], now_ns, ret);
        }
    }
    return false;
}
