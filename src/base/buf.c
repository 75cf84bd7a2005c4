/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded writer, and the one place that turns bytes from outside into a JSON string.
 *
 * Growth: a buffer that owns its memory starts at GROW_MIN and doubles up to its limit, so n bytes
 * cost O(n) copying. A borrowed one has limit 0 and never grows.
 *
 *   I1  size <= capacity
 *   I2  limit > 0 implies capacity <= limit; limit > 0 is what makes `data` ours to free
 *   I3  failed stays set until weir_buf_done; a failed call leaves data and size as they were
 *
 * The JSON writer works in runs: bytes that need nothing done are copied as one piece; what lies
 * between the runs is written by emit_special. UTF-8 is checked here by a small decoder rather than
 * by weir_utf8_valid, since base stands below codec, and since a log wants the broken byte
 * replaced, not the whole text refused. Text that is cut is cut before a character, never inside
 * one.
 *
 * One thread at a time. Pure but for the allocator.
 */
#include "weir/buf.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdarg.h>
#include <stdio.h>

enum { GROW_MIN = 256, PRINTF_STACK = 512 };

static bool grow(struct weir_buf *buf, size_t needed)
{
    if (needed > buf->limit) { /* also every borrowed buffer */
        return false;
    }
    size_t capacity = buf->capacity < GROW_MIN ? GROW_MIN : buf->capacity;
    while (capacity < needed) {
        capacity = capacity > buf->limit / 2 ? buf->limit : capacity * 2;
    }
    if (capacity > buf->limit) {
        capacity = buf->limit;
    }
    uint8_t *data = weir_mem_resize(buf->data, capacity, 1);
    if (data == NULL) {
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

uint8_t *weir_buf_reserve(struct weir_buf *buf, size_t size)
{
    WEIR_DCHECK(buf->size <= buf->capacity);
    if (buf->failed) {
        return NULL;
    }
    if (size > buf->capacity - buf->size || buf->data == NULL) {
        size_t needed;
        if (__builtin_add_overflow(buf->size, size, &needed) || !grow(buf, needed)) {
            buf->failed = true;
            return NULL;
        }
    }
    return buf->data + buf->size;
}

void weir_buf_put(struct weir_buf *buf, struct weir_bytes bytes)
{
    if (bytes.size == 0) {
        return;
    }
    uint8_t *at = weir_buf_reserve(buf, bytes.size);
    if (at != NULL) {
        memcpy(at, bytes.data, bytes.size);
        buf->size += bytes.size;
    }
}

void weir_buf_put_byte(struct weir_buf *buf, uint8_t byte)
{
    uint8_t *at = weir_buf_reserve(buf, 1);
    if (at != NULL) {
        *at = byte;
        buf->size++;
    }
}

/* Short texts are formatted on the stack first, so that they may fill the buffer to its last byte
 * (vsnprintf wants a byte more, for its terminator); a longer one needs that byte of room. */
void weir_buf_printf(struct weir_buf *buf, const char *format, ...)
{
    if (buf->failed) {
        return;
    }
    char stack[PRINTF_STACK];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(stack, sizeof stack, format, arguments);
    va_end(arguments);
    WEIR_ASSERT(length >= 0);
    size_t size = (size_t)length;
    if (size < sizeof stack) {
        weir_buf_put(buf, weir_bytes_of(stack, size));
        return;
    }
    uint8_t *at = weir_buf_reserve(buf, size + 1);
    if (at == NULL) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf((char *)at, size + 1, format, arguments);
    va_end(arguments);
    buf->size += size;
}

static bool is_line_separator(const uint8_t *at, size_t length)
{
    return length == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9);
}

/* U+0080 to U+009F: among them a line end (U+0085), and what begins terminals' orders (U+009B). */
static bool is_c1(const uint8_t *at, size_t length)
{
    return length == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

/* Whether the character at `at` can be copied as it is. */
static bool is_plain(const uint8_t *at, size_t length)
{
    if (length == 1) {
        return *at >= 0x20 && *at != '"' && *at != '\\' && *at != 0x7f;
    }
    return length > 1 && !is_line_separator(at, length) && !is_c1(at, length);
}

static void emit_special(struct weir_buf *buf, const uint8_t *at, size_t length)
{
    if (length == 0) {
        weir_buf_put(buf, WEIR_BYTES("\xef\xbf\xbd"));
        return;
    }
    if (length == 3) {
        weir_buf_printf(buf, "\\u20%02x", (unsigned)at[2] - 0x80U);
        return;
    }
    if (length == 2) {
        weir_buf_printf(buf, "\\u00%02x", (unsigned)at[1]);
        return;
    }
    switch (*at) {
    case '"': weir_buf_put(buf, WEIR_BYTES("\\\"")); break;
    case '\\': weir_buf_put(buf, WEIR_BYTES("\\\\")); break;
    case '\n': weir_buf_put(buf, WEIR_BYTES("\\n")); break;
    case '\r': weir_buf_put(buf, WEIR_BYTES("\\r")); break;
    case '\t': weir_buf_put(buf, WEIR_BYTES("\\t")); break;
    default: weir_buf_printf(buf, "\\u%04x", (unsigned)*at); break;
    }
}

/* Where to cut so that at most `size_max` bytes stay and no character is split: a cut that falls
 * among up to three tail bytes goes back to before their lead. */
static size_t cut_at(struct weir_bytes text, size_t size_max)
{
    size_t cut = size_max;
    while (cut > 0 && size_max - cut < 3 && (text.data[cut] & 0xc0) == 0x80) {
        cut--;
    }
    return cut;
}

void weir_buf_put_json_string(struct weir_buf *buf, struct weir_bytes text, size_t size_max)
{
    size_t start = buf->size;
    bool is_cut = size_max > 0 && text.size > size_max;
    size_t end = is_cut ? cut_at(text, size_max) : text.size;
    weir_buf_put_byte(buf, '"');
    size_t run = 0;
    size_t at = 0;
    while (at < end) {
        size_t length = weir_bytes_utf8_length(weir_bytes_of(text.data + at, end - at));
        if (is_plain(text.data + at, length)) {
            at += length;
            continue;
        }
        weir_buf_put(buf, weir_bytes_of(text.data + run, at - run));
        emit_special(buf, text.data + at, length);
        at += length == 0 ? 1 : length;
        run = at;
    }
    if (end > run) {
        weir_buf_put(buf, weir_bytes_of(text.data + run, end - run));
    }
    if (is_cut) {
        weir_buf_put(buf, WEIR_BYTES("\xe2\x80\xa6"));
    }
    weir_buf_put_byte(buf, '"');
    if (buf->failed) {
        buf->size = start; /* all of the string or nothing of it */
    }
}

void weir_buf_done(struct weir_buf *buf)
{
    if (buf == NULL) {
        return;
    }
    if (buf->limit > 0) {
        weir_mem_free(buf->data);
    }
    *buf = (struct weir_buf){NULL, 0, 0, 0, false};
}
