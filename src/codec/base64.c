/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/base64.h"
#include "base64_simd.h"
#include "weir/panic.h"

#define KNOWN(value) (WEIR_BASE64_KNOWN | (value))

const uint8_t weir_base64_values[256] = {
    ['A'] = KNOWN(0),  ['B'] = KNOWN(1),  ['C'] = KNOWN(2),  ['D'] = KNOWN(3),  ['E'] = KNOWN(4),
    ['F'] = KNOWN(5),  ['G'] = KNOWN(6),  ['H'] = KNOWN(7),  ['I'] = KNOWN(8),  ['J'] = KNOWN(9),
    ['K'] = KNOWN(10), ['L'] = KNOWN(11), ['M'] = KNOWN(12), ['N'] = KNOWN(13), ['O'] = KNOWN(14),
    ['P'] = KNOWN(15), ['Q'] = KNOWN(16), ['R'] = KNOWN(17), ['S'] = KNOWN(18), ['T'] = KNOWN(19),
    ['U'] = KNOWN(20), ['V'] = KNOWN(21), ['W'] = KNOWN(22), ['X'] = KNOWN(23), ['Y'] = KNOWN(24),
    ['Z'] = KNOWN(25), ['a'] = KNOWN(26), ['b'] = KNOWN(27), ['c'] = KNOWN(28), ['d'] = KNOWN(29),
    ['e'] = KNOWN(30), ['f'] = KNOWN(31), ['g'] = KNOWN(32), ['h'] = KNOWN(33), ['i'] = KNOWN(34),
    ['j'] = KNOWN(35), ['k'] = KNOWN(36), ['l'] = KNOWN(37), ['m'] = KNOWN(38), ['n'] = KNOWN(39),
    ['o'] = KNOWN(40), ['p'] = KNOWN(41), ['q'] = KNOWN(42), ['r'] = KNOWN(43), ['s'] = KNOWN(44),
    ['t'] = KNOWN(45), ['u'] = KNOWN(46), ['v'] = KNOWN(47), ['w'] = KNOWN(48), ['x'] = KNOWN(49),
    ['y'] = KNOWN(50), ['z'] = KNOWN(51), ['0'] = KNOWN(52), ['1'] = KNOWN(53), ['2'] = KNOWN(54),
    ['3'] = KNOWN(55), ['4'] = KNOWN(56), ['5'] = KNOWN(57), ['6'] = KNOWN(58), ['7'] = KNOWN(59),
    ['8'] = KNOWN(60), ['9'] = KNOWN(61), ['+'] = KNOWN(62), ['/'] = KNOWN(63),
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The 24 bits of four characters of the alphabet; anything else leaves *known without the mark. */
static inline uint32_t quad_bits(const uint8_t *chars, uint8_t *known)
{
    uint8_t a = weir_base64_values[chars[0]];
    uint8_t b = weir_base64_values[chars[1]];
    uint8_t c = weir_base64_values[chars[2]];
    uint8_t d = weir_base64_values[chars[3]];
    *known = a & b & c & d;
    return (uint32_t)(a & 0x3F) << 18 | (uint32_t)(b & 0x3F) << 12 | (uint32_t)(c & 0x3F) << 6 |
           (uint32_t)(d & 0x3F);
}

/*
 * The last four characters, read before anything is written, to one, two or three bytes at `out`.
 * Returns how many, or 0 for what is not base64. The bits that padding leaves unused must be zero.
 */
static size_t decode_last(const uint8_t *chars, uint8_t *out)
{
    size_t padding = chars[3] != '=' ? 0 : chars[2] != '=' ? 1 : 2;
    uint8_t quad[4] = {chars[0], chars[1], chars[2], chars[3]};
    uint8_t known;
    for (size_t i = 4 - padding; i < 4; i++) {
        quad[i] = 'A'; /* six zero bits */
    }
    uint32_t bits = quad_bits(quad, &known);
    uint32_t unused = ((uint32_t)1 << (8 * padding)) - 1;
    if ((known & WEIR_BASE64_KNOWN) == 0 || (bits & unused) != 0) {
        return 0;
    }
    size_t size = 3 - padding;
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    }
    return size;
}

/*
 * Decodes from character `in` on (a multiple of 4), whose bytes go to in * 3/4. A group of four is
 * read before its three bytes are written, and those never reach the next group: out + 3 <= in + 4.
 */
enum weir_status weir_base64_decode_rest(uint8_t *text, size_t size, size_t taken, size_t *ret_size)
{
    WEIR_ASSERT(taken <= size);
    WEIR_ASSERT(taken % 4 == 0);
    if (size % 4 != 0) {
        return WEIR_EMALFORMED;
    }
    size_t in = taken;
    size_t out = in / 4 * 3;
    if (in == size) {
        *ret_size = out;
        return WEIR_OK;
    }
    while (in < size - 4) {
        uint8_t known;
        uint32_t bits = quad_bits(text + in, &known);
        if ((known & WEIR_BASE64_KNOWN) == 0) {
            return WEIR_EMALFORMED;
        }
        text[out] = (uint8_t)(bits >> 16);
        text[out + 1] = (uint8_t)(bits >> 8);
        text[out + 2] = (uint8_t)bits;
        in += 4;
        out += 3;
    }
    size_t last = decode_last(text + size - 4, text + out);
    if (last == 0) {
        return WEIR_EMALFORMED;
    }
    *ret_size = out + last;
    return WEIR_OK;
}

enum weir_status weir_base64_decode_scalar(uint8_t *text, size_t size, size_t *ret_size)
{
    return weir_base64_decode_rest(text, size, 0, ret_size);
}

size_t weir_base64_decode_blocks(uint8_t *text, size_t taken, size_t size)
{
#if defined(__x86_64__)
    /* a load and a test: the answer is kept by libgcc */
    return __builtin_cpu_supports("avx2") ? weir_base64_avx2(text, taken, size) : taken;
#elif defined(__aarch64__)
    return weir_base64_neon(text, taken, size);
#else
    (void)text;
    (void)size;
    return taken;
#endif
}

enum weir_status weir_base64_decode_in_place(uint8_t *text, size_t size, size_t *ret_size)
{
    /* a padded last group is no part of a block, so the scalar code has it */
    size_t taken = weir_base64_decode_blocks(text, 0, size);
    return weir_base64_decode_rest(text, size, taken, ret_size);
}

size_t weir_base64_encoded_size(size_t size)
{
    return size / 3 * 4 + (size % 3 != 0 ? 4 : 0);
}

void weir_base64_encode(struct weir_bytes bytes, uint8_t *out)
{
    size_t in = 0;
    for (; bytes.size - in >= 3; in += 3, out += 4) {
        uint32_t bits = (uint32_t)bytes.data[in] << 16 | (uint32_t)bytes.data[in + 1] << 8 |
                        (uint32_t)bytes.data[in + 2];
        for (unsigned i = 0; i < 4; i++) {
            out[i] = (uint8_t)alphabet[bits >> (18 - 6 * i) & 0x3F];
        }
    }
    size_t left = bytes.size - in;
    if (left == 0) {
        return;
    }
    uint32_t bits = (uint32_t)bytes.data[in] << 16;
    bits |= left == 2 ? (uint32_t)bytes.data[in + 1] << 8 : 0;
    out[0] = (uint8_t)alphabet[bits >> 18];
    out[1] = (uint8_t)alphabet[bits >> 12 & 0x3F];
    out[2] = left == 2 ? (uint8_t)alphabet[bits >> 6 & 0x3F] : '=';
    out[3] = '=';
}
