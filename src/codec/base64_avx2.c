/* SPDX-License-Identifier: Apache-2.0 */
#include "base64_simd.h"
#include "weir/base64.h"

#if defined(__x86_64__)
#include <immintrin.h>

/*
 * 32 characters at a time, after W. Mula and D. Lemire, "Faster Base64 Encoding and Decoding Using
 * AVX2 Instructions" (2018). A character is judged by its two nibbles: each nibble looks up the set
 * of reasons why it could be wrong, and a character is bad when both name the same reason. Its
 * value is the character plus a shift that depends on the high nibble alone, but for '/', which
 * shares its nibble with '+'.
 *
 * In place:  text [ decoded | 8 bytes of nothing | unread ... ]
 *                           ^ out + 24           ^ in + 32
 *
 * A step reads [in, in + 32) whole, then writes [out, out + 32) of which 24 bytes count. `out` is
 * 3/4 of `in`, so out + 32 <= in + 32: the write ends before the next step's first character, and
 * within the text.
 */
#define STEP_CHARS 32
#define STEP_STORE 32

_Static_assert(STEP_CHARS <= WEIR_BASE64_BLOCK_MAX, "less than that is left untaken");
_Static_assert(STEP_STORE <= STEP_CHARS, "a store must not reach the next step's characters");

#define BOTH_LANES(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)

__attribute__((target("avx2"))) static inline __m256i nibbles_high(__m256i chars)
{
    return _mm256_and_si256(_mm256_srli_epi32(chars, 4), _mm256_set1_epi8(0x0F));
}

/* Whether all 32 are of the alphabet. Reasons, one bit each: 1 high nibble 2 (only + and /), 2 high
 * nibble 3 (only 0..9), 4 high nibbles 4 and 6 (not 0), 8 high nibbles 5 and 7 (not B..F), 10 any
 * other. */
__attribute__((target("avx2"))) static inline int all_known(__m256i chars, __m256i high)
{
    const __m256i reasons_low = BOTH_LANES(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                           0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B, 0x1A);
    const __m256i reasons_high = BOTH_LANES(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10,
                                            0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
    __m256i low = _mm256_and_si256(chars, _mm256_set1_epi8(0x0F));
    return _mm256_testz_si256(_mm256_shuffle_epi8(reasons_low, low),
                              _mm256_shuffle_epi8(reasons_high, high));
}

__attribute__((target("avx2"))) static inline __m256i to_values(__m256i chars, __m256i high)
{
    /* by high nibble: 1 is '/' (moved there), 2 '+', 3 digits, 4 and 5 upper case, 6 and 7 lower */
    const __m256i shifts = BOTH_LANES(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
    __m256i is_slash = _mm256_cmpeq_epi8(chars, _mm256_set1_epi8('/'));
    __m256i row = _mm256_add_epi8(high, is_slash);
    return _mm256_add_epi8(chars, _mm256_shuffle_epi8(shifts, row));
}

/* 32 values of six bits to 24 bytes, in order, in the low end. */
__attribute__((target("avx2"))) static inline __m256i pack(__m256i values)
{
    const __m256i order = BOTH_LANES(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    __m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
    __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
    __m256i bytes = _mm256_shuffle_epi8(quads, order);
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
}

__attribute__((target("avx2"))) size_t weir_base64_avx2(uint8_t *text, size_t taken, size_t size)
{
    size_t in = taken;
    size_t out = taken / 4 * 3;
    while (size - in >= STEP_CHARS) {
        __builtin_prefetch(text + in + WEIR_BASE64_AHEAD, 1);
        __m256i chars = _mm256_loadu_si256((const __m256i *)(const void *)(text + in));
        __m256i high = nibbles_high(chars);
        if (!all_known(chars, high)) {
            break;
        }
        __m256i bytes = pack(to_values(chars, high));
        _mm256_storeu_si256((__m256i *)(void *)(text + out), bytes);
        in += STEP_CHARS;
        out += STEP_CHARS / 4 * 3;
    }
    return in;
}
#endif
