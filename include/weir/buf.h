/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BUF_H
#define WEIR_BUF_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * A bounded writer into somebody's memory, with a sticky error: a write that does not fit sets
 * `failed` and writes nothing, and so does every later one. Pure; one thread.
 *
 *   data [ written bytes | room            ]
 *        0               size              capacity
 *
 * A buffer made by weir_buf_grow_init owns heap memory and grows, doubling, up to `limit`; one made
 * by weir_buf_fixed borrows and never grows. `weir_buf_done` gives back what is owned and accepts
 * both.
 */
struct weir_buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit; /* grows up to here; 0 for a borrowed buffer */
    bool failed;
};

/* A buffer over `capacity` bytes that the caller keeps alive. */
static inline struct weir_buf weir_buf_fixed(void *memory, size_t capacity)
{
    return (struct weir_buf){(uint8_t *)memory, 0, capacity, 0, false};
}

/* An empty buffer that will allocate up to `limit` bytes. Cannot fail; the first write may. */
static inline struct weir_buf weir_buf_grow_init(size_t limit)
{
    return (struct weir_buf){NULL, 0, 0, limit, false};
}

static inline struct weir_bytes weir_buf_view(const struct weir_buf *buf)
{
    return weir_bytes_of(buf->data, buf->size);
}

/* Room for `size` more bytes at the returned address (commit by adding to buf->size), or NULL with
 * `failed` set. The address holds until the next call on this buffer. */
uint8_t *weir_buf_reserve(struct weir_buf *buf, size_t size);

/* Appends. On no room: `failed`, nothing written. */
void weir_buf_put(struct weir_buf *buf, struct weir_bytes bytes);
void weir_buf_put_byte(struct weir_buf *buf, uint8_t byte);

/* Appends formatted text, printf-like, without the terminator. */
void weir_buf_printf(struct weir_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends a JSON string, quotes included: escapes what JSON and line-based logs need escaped
 * (controls, U+0080 to U+009F too, quotes, backslash, U+2028/2029), replaces invalid UTF-8 by
 * U+FFFD, and cuts after `size_max` input bytes with an ellipsis (0: no cut). */
void weir_buf_put_json_string(struct weir_buf *buf, struct weir_bytes text, size_t size_max);

/* Gives back owned memory and zeroes the struct. NULL and borrowed buffers are accepted. */
void weir_buf_done(struct weir_buf *buf);

#endif
