/* SPDX-License-Identifier: Apache-2.0 */
#include "crc32c_simd.h"
#include "weir/panic.h"
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>

#define CRC_TARGET __attribute__((target("sse4.2")))

bool weir_crc32c_has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}

CRC_TARGET static inline uint32_t add_word(uint32_t state, uint64_t word)
{
    return (uint32_t)_mm_crc32_u64(state, word);
}

CRC_TARGET static inline uint32_t add_byte(uint32_t state, uint8_t byte)
{
    return _mm_crc32_u8(state, byte);
}

#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <asm/hwcap.h>
#include <sys/auxv.h>

#define CRC_TARGET

bool weir_crc32c_has_instruction(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

/* Written as assembly: GCC and Clang name the intrinsic's target feature differently. */
static inline uint32_t add_word(uint32_t state, uint64_t word)
{
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(state) : "r"(word));
    return state;
}

static inline uint32_t add_byte(uint32_t state, uint8_t byte)
{
    uint32_t wide = byte;
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(state) : "r"(wide));
    return state;
}

#else

#define CRC_TARGET

bool weir_crc32c_has_instruction(void)
{
    return false;
}

static inline uint32_t add_word(uint32_t state, uint64_t word)
{
    (void)state;
    (void)word;
    WEIR_UNREACHABLE();
}

static inline uint32_t add_byte(uint32_t state, uint8_t byte)
{
    (void)state;
    (void)byte;
    WEIR_UNREACHABLE();
}

#endif

static inline uint32_t skip_stream(uint32_t state)
{
    return weir_crc32c_skip[0][state & 0xFF] ^ weir_crc32c_skip[1][state >> 8 & 0xFF] ^
           weir_crc32c_skip[2][state >> 16 & 0xFF] ^ weir_crc32c_skip[3][state >> 24];
}

static inline uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/*
 * Three streams at once, since the instruction takes three cycles until it is done, and one until
 * the next may begin:
 *
 *   [ 1024: from `state` ][ 1024: from 0 ][ 1024: from 0 ]
 *              a                  b               c           skip(skip(a) ^ b) ^ c
 *
 * The next three are asked for on the way: they come from memory that another core wrote.
 */
CRC_TARGET static inline uint32_t add_three(uint32_t state, const uint8_t *data)
{
    const uint8_t *second = data + WEIR_CRC32C_STREAM;
    const uint8_t *third = second + WEIR_CRC32C_STREAM;
    uint32_t b = 0;
    uint32_t c = 0;
    for (size_t i = 0; i < WEIR_CRC32C_STREAM; i += sizeof(uint64_t)) {
        __builtin_prefetch(data + 3 * i + 3 * WEIR_CRC32C_STREAM);
        state = add_word(state, load_word(data + i));
        b = add_word(b, load_word(second + i));
        c = add_word(c, load_word(third + i));
    }
    return skip_stream(skip_stream(state) ^ b) ^ c;
}

CRC_TARGET uint32_t weir_crc32c_instruction(uint32_t state, const uint8_t *data, size_t size)
{
    for (; size >= 3 * WEIR_CRC32C_STREAM; size -= 3 * WEIR_CRC32C_STREAM) {
        state = add_three(state, data);
        data += 3 * WEIR_CRC32C_STREAM;
    }
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t)) {
        state = add_word(state, load_word(data));
        data += sizeof(uint64_t);
    }
    for (; size > 0; size--) {
        state = add_byte(state, *data++);
    }
    return state;
}
