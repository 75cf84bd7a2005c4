/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DECODE_OTLP_SPAN_H
#define WEIR_DECODE_OTLP_SPAN_H

#include "weir/bytes.h"

/*
 * What matches AWS's layout is made of (otlp_aws.c, otlp_usual.c; for these two alone): steps along
 * a message that is known in advance, and the sweep for bytes beyond ASCII. A step that fails
 * leaves its span anywhere.
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word's lowest byte is its first");

/* What is left of a message. */
struct span {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct span span_of(struct weir_bytes bytes)
{
    return (struct span){bytes.data, bytes.data == NULL ? NULL : bytes.data + bytes.size};
}

static inline size_t left(const struct span *span)
{
    return (size_t)(span->end - span->at);
}

static inline struct weir_bytes view(const struct span *span)
{
    return weir_bytes_of(span->at, left(span));
}

/* Takes a length-delimited field. `*wide` counts two-byte lengths. */
static inline bool take(struct span *span, uint8_t tag, struct span *ret, unsigned *wide)
{
    size_t most = left(span);
    const uint8_t *at = span->at;
    if (most < 2 || at[0] != tag) {
        return false;
    }
    size_t size = at[1];
    at += 2;
    most -= 2;
    if (size >= 0x80) {
        if (most < 1 || at[0] >= 0x80) {
            return false;
        }
        size = (size & 0x7F) | (size_t)at[0] << 7;
        at++;
        most--;
        ++*wide;
    }
    if (size > most) {
        return false;
    }
    *ret = (struct span){at, at + size};
    span->at = at + size;
    return true;
}

/* Enters a length-delimited field that ends where `span` does. */
static inline bool enter(struct span *span, uint8_t tag, unsigned *wide)
{
    size_t size = left(span);
    const uint8_t *at = span->at;
    if (size < 2 || at[0] != tag) {
        return false;
    }
    if (size < 0x82) {
        span->at = at + 2;
        return at[1] == size - 2;
    }
    size -= 3;
    span->at = at + 3;
    ++*wide;
    return size < 0x4000 && at[1] == (uint8_t)(size | 0x80) && at[2] == size >> 7;
}

/* Compares `size` bytes, and goes on behind them. */
static inline bool match(struct span *span, const char *text, size_t size)
{
    if (left(span) < size || memcmp(span->at, text, size) != 0) {
        return false;
    }
    span->at += size;
    return true;
}

/* Takes a fixed64 field, where it is there. */
static inline uint64_t fixed64(struct span *span, uint8_t tag)
{
    uint64_t bits = 0;
    if (left(span) >= 9 && span->at[0] == tag) {
        memcpy(&bits, span->at + 1, sizeof(bits));
        span->at += 9;
    }
    return bits;
}

/* Sixteen bytes at once, on every machine that GCC and Clang know. */
typedef int8_t lanes __attribute__((vector_size(16)));

static inline lanes load_lanes(const uint8_t *at)
{
    lanes loaded;
    memcpy(&loaded, at, sizeof(loaded));
    return loaded;
}

/* The sum of eight bytes. */
static inline unsigned add_bytes(uint64_t bytes)
{
    const uint64_t every_other = UINT64_C(0x00FF00FF00FF00FF);
    uint64_t pairs = (bytes & every_other) + (bytes >> 8 & every_other);
    return (unsigned)(pairs * UINT64_C(0x0001000100010001) >> 48);
}

#define SWEEP_MIN   16
#define SWEEP_MAX   (SWEEP_MIN * 127) /* a lane counts to 127 */
#define SWEEP_BLOCK (4 * SWEEP_MIN)

/* Whether so many bytes from `at` to `end` have the high bit. */
static inline bool has_high_bits(const uint8_t *at, const uint8_t *end, unsigned count)
{
    static const lanes numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    size_t size = (size_t)(end - at);
    if (size < SWEEP_MIN || size >= SWEEP_MAX) {
        return false;
    }
    /* the odd bytes first, so that the rest is whole steps */
    const lanes odds = (lanes){0} + (int8_t)(size % SWEEP_MIN);
    lanes sum = (load_lanes(at) < 0) & (numbers < odds);
    for (at += size % SWEEP_MIN; at != end; at += SWEEP_MIN) {
        sum += load_lanes(at) < 0; /* -1 for each */
    }
    uint64_t halves[2];
    sum = -sum;
    memcpy(halves, &sum, sizeof(halves));
    return add_bytes(halves[0]) + add_bytes(halves[1]) == count;
}

/* Whether any of up to SWEEP_BLOCK bytes, SWEEP_MIN at least, has the high bit: pieces overlap
 * where there is less, so that nothing branches on the length. */
static inline bool is_ascii_short(const uint8_t *at, size_t size)
{
    uint64_t halves[2];
    size_t last = size - SWEEP_MIN;
    lanes any = load_lanes(at) | load_lanes(at + (last < 16 ? last : 16)) |
                load_lanes(at + (last < 32 ? last : 32)) | load_lanes(at + last);
    memcpy(halves, &any, sizeof(halves));
    return ((halves[0] | halves[1]) & UINT64_C(0x8080808080808080)) == 0;
}

static inline lanes load_block(const uint8_t *at)
{
    return load_lanes(at) | load_lanes(at + SWEEP_MIN) | load_lanes(at + 2 * SWEEP_MIN) |
           load_lanes(at + 3 * SWEEP_MIN);
}

/* Whether I1 holds for the bytes from `at` to `end`. Mostly there is nothing to count: then whole
 * blocks, the last of which overlaps, so that nearly all points take the same way. */
static inline bool is_ascii_but(const uint8_t *at, const uint8_t *end, unsigned wide)
{
    uint64_t halves[2];
    if (wide > 0 || end - at < SWEEP_BLOCK) {
        return has_high_bits(at, end, wide);
    }
    lanes any = load_block(end - SWEEP_BLOCK);
    for (; end - at > SWEEP_BLOCK; at += SWEEP_BLOCK) {
        any |= load_block(at);
    }
    memcpy(halves, &any, sizeof(halves));
    return ((halves[0] | halves[1]) & UINT64_C(0x8080808080808080)) == 0;
}

/*
 * The attributes' beginnings, with a 0 for each length: of the attribute, of its value, of the
 * value's content.
 */
#define NAMESPACE   "\x3A\0\x0A\x09Namespace\x12\0\x0A\0"
#define METRIC_NAME "\x3A\0\x0A\x0AMetricName\x12\0\x0A\0"
#define DIMENSIONS                                                                                 \
    "\x3A\0\x0A\x0A"                                                                               \
    "Dimensions\x12\0\x32\0"

/* Skips quantiles, each of them nothing, a quantile, a value, or both. */
static inline bool skip_quantiles(struct span *span)
{
    while (left(span) >= 2 && span->at[0] == 0x32) {
        const uint8_t *at = span->at + 2;
        size_t size = at[-1];
        if (size > left(span) - 2 ||
            !(size == 0 || (size == 9 && (at[0] == 0x09 || at[0] == 0x11)) ||
              (size == 18 && at[0] == 0x09 && at[9] == 0x11))) {
            return false;
        }
        span->at = at + size;
    }
    return true;
}

#endif
