/* SPDX-License-Identifier: Apache-2.0 */
#include "base64_simd.h"
#include "weir/base64.h"

#if defined(__aarch64__)
#include <arm_neon.h>

/*
 * 64 characters at a time: the load spreads them over four vectors by their place in the group of
 * four, so the bytes come out of plain shifts, and the store weaves three vectors together again.
 *
 * In place: a step reads [in, in + 64) whole, then writes [out, out + 48). out <= in, so the write
 * ends before in + 64, where the next step reads first.
 */
#define STEP_CHARS 64
#define STEP_STORE 48
_Static_assert(STEP_CHARS <= WEIR_BASE64_BLOCK_MAX, "less than that is left untaken");
_Static_assert(STEP_STORE <= STEP_CHARS, "a store must not reach the next step's characters");

struct tables {
    uint8x16x4_t low;  /* characters 0..63 */
    uint8x16x4_t high; /* characters 64..127 */
};

/* An index of 64 and more looks up 0, so each character is found in one table or in none. */
static inline uint8x16_t look_up(const struct tables *tables, uint8x16_t chars)
{
    uint8x16_t other = veorq_u8(chars, vdupq_n_u8(0x40));
    return vorrq_u8(vqtbl4q_u8(tables->low, chars), vqtbl4q_u8(tables->high, other));
}

size_t weir_base64_neon(uint8_t *text, size_t taken, size_t size)
{
    const struct tables tables = {vld1q_u8_x4(weir_base64_values),
                                  vld1q_u8_x4(weir_base64_values + 64)};
    const uint8x16_t known = vdupq_n_u8(WEIR_BASE64_KNOWN);
    size_t in = taken;
    size_t out = taken / 4 * 3;
    while (size - in >= STEP_CHARS) {
        __builtin_prefetch(text + in + WEIR_BASE64_AHEAD, 1);
        uint8x16x4_t chars = vld4q_u8(text + in);
        uint8x16_t a = look_up(&tables, chars.val[0]);
        uint8x16_t b = look_up(&tables, chars.val[1]);
        uint8x16_t c = look_up(&tables, chars.val[2]);
        uint8x16_t d = look_up(&tables, chars.val[3]);
        uint8x16_t all = vandq_u8(vandq_u8(a, b), vandq_u8(c, d));
        if (vminvq_u8(vandq_u8(all, known)) == 0) {
            break;
        }
        b = vbicq_u8(b, known);
        c = vbicq_u8(c, known);
        d = vbicq_u8(d, known);
        uint8x16x3_t bytes; /* the mark of `a` falls out at the top */
        bytes.val[0] = vorrq_u8(vshlq_n_u8(a, 2), vshrq_n_u8(b, 4));
        bytes.val[1] = vorrq_u8(vshlq_n_u8(b, 4), vshrq_n_u8(c, 2));
        bytes.val[2] = vorrq_u8(vshlq_n_u8(c, 6), d);
        vst3q_u8(text + out, bytes);
        in += STEP_CHARS;
        out += STEP_STORE;
    }
    return in;
}
#endif
