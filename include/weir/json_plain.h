/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_JSON_PLAIN_H
#define WEIR_JSON_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/*
 * The plain part of a JSON string: printable ASCII without quote and backslash; and the digits that
 * a number begins with. For readers that know what they expect and leave everything else to
 * weir/json.h; inline, since what they read is mostly shorter than a call.
 */
#define WEIR_JSON_PLAIN_STEP 16

static inline bool weir_json_plain_is(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* The first of sixteen bytes at `at` that is not plain, or NULL. Compared as signed, what is above
 * 7F is below 20 as well. */
#if defined(__SSE2__)
/* Whoever reads on behind a string waits for its quote, and seldom for what else may be there. So
 * the way to the quote is the shorter one, and the rest is asked beside it. */
static inline const uint8_t *weir_json_plain_first_other(const uint8_t *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    unsigned quotes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
    unsigned others = (unsigned)_mm_movemask_epi8(_mm_or_si128(low, slash));
    if (quotes != 0 && (others & (quotes - 1)) == 0) {
        return at + (unsigned)__builtin_ctz(quotes);
    }
    return others == 0 ? NULL : at + (unsigned)__builtin_ctz(others);
}
#elif defined(__aarch64__)
static inline const uint8_t *weir_json_plain_first_other(const uint8_t *at)
{
    uint8x16_t bytes = vld1q_u8(at);
    uint8x16_t low = vcltq_s8(vreinterpretq_s8_u8(bytes), vdupq_n_s8(0x20));
    uint8x16_t quote = vceqq_u8(bytes, vdupq_n_u8('"'));
    uint8x16_t slash = vceqq_u8(bytes, vdupq_n_u8('\\'));
    uint8x16_t others = vorrq_u8(low, vorrq_u8(quote, slash));
    uint8x8_t nibbles = vshrn_n_u16(vreinterpretq_u16_u8(others), 4);
    uint64_t bits = vget_lane_u64(vreinterpret_u64_u8(nibbles), 0);
    return bits == 0 ? NULL : at + (unsigned)__builtin_ctzll(bits) / 4;
}
#endif

/* The first byte of [at, end) that is not plain, or `end`. Reads nothing outside. */
static inline const uint8_t *weir_json_plain_end(const uint8_t *at, const uint8_t *end)
{
#if defined(__SSE2__) || defined(__aarch64__)
    for (; end - at >= WEIR_JSON_PLAIN_STEP; at += WEIR_JSON_PLAIN_STEP) {
        const uint8_t *other = weir_json_plain_first_other(at);
        if (other != NULL) {
            return other;
        }
    }
#endif
    while (at < end && weir_json_plain_is(*at)) {
        at++;
    }
    return at;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digits count from the low end");

/* How many digits eight bytes begin with, the first in the lowest byte. What is above 9 comes to 80
 * and more by adding 76, and the lowest byte that does so is not disturbed by its neighbours. */
static inline unsigned weir_json_plain_digits(uint64_t word)
{
    const uint64_t low = UINT64_C(0x0101010101010101);
    uint64_t digits = word ^ low * 0x30;
    uint64_t others = ((digits + low * 0x76) | digits) & (low * 0x80);
    return others == 0 ? 8 : (unsigned)__builtin_ctzll(others) / 8;
}

/* The number that the first `count` (1..8) of eight bytes make, which are digits: in pairs, in
 * fours, in one. What is not there are zeros before it. */
static inline uint64_t weir_json_plain_number(uint64_t word, unsigned count)
{
    word = word << (64 - 8 * count) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    word = word * (1 + (10 << 8)) >> 8;
    word = (word & UINT64_C(0x00FF00FF00FF00FF)) * (1 + (100 << 16)) >> 16;
    return (word & UINT64_C(0x0000FFFF0000FFFF)) * (1 + (UINT64_C(10000) << 32)) >> 32;
}

#endif
