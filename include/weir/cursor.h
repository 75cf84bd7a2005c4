/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CURSOR_H
#define WEIR_CURSOR_H

#include "weir/bytes.h"
#include "weir/panic.h"

/*
 * A reading position in a view, with a sticky error: after the first read past the end `failed`
 * stays set, every later read gives zeros, and the position no longer moves. So a parser reads a
 * whole structure and asks once. Pure values, no allocation; one thread.
 *
 *   I1  position <= end
 *   I2  failed implies that nothing read since is to be believed
 */
struct weir_cursor {
    const uint8_t *position;
    const uint8_t *end;
    bool failed;
};

static inline struct weir_cursor weir_cursor_of(struct weir_bytes bytes)
{
    return (struct weir_cursor){bytes.data, bytes.data == NULL ? NULL : bytes.data + bytes.size,
                                false};
}

static inline size_t weir_cursor_left(const struct weir_cursor *cursor)
{
    return cursor->position == NULL ? 0 : (size_t)(cursor->end - cursor->position);
}

/* The next byte, or 0 with `failed` set at the end. */
static inline uint8_t weir_cursor_byte(struct weir_cursor *cursor)
{
    if (cursor->failed || cursor->position == cursor->end) {
        cursor->failed = true;
        return 0;
    }
    return *cursor->position++;
}

/* The next `size` bytes as a view of the input, or an empty view with `failed` set. Compared by
 * subtraction, so no size can wrap. */
static inline struct weir_bytes weir_cursor_take(struct weir_cursor *cursor, size_t size)
{
    if (cursor->failed || size > weir_cursor_left(cursor)) {
        cursor->failed = true;
        return (struct weir_bytes){NULL, 0};
    }
    struct weir_bytes taken = weir_bytes_of(cursor->position, size);
    if (size > 0) {
        cursor->position += size;
    }
    return taken;
}

/* Little-endian fixed-width reads, 0 with `failed` set at the end. */
static inline uint32_t weir_cursor_u32le(struct weir_cursor *cursor)
{
    struct weir_bytes raw = weir_cursor_take(cursor, 4);
    return raw.size == 0 ? 0
                         : (uint32_t)raw.data[0] | (uint32_t)raw.data[1] << 8 |
                               (uint32_t)raw.data[2] << 16 | (uint32_t)raw.data[3] << 24;
}

static inline uint64_t weir_cursor_u64le(struct weir_cursor *cursor)
{
    if (weir_cursor_left(cursor) < 8) {
        cursor->failed = true;
    }
    uint64_t low = weir_cursor_u32le(cursor);
    return low | (uint64_t)weir_cursor_u32le(cursor) << 32;
}

#endif
