/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/crc32c.h"
#include "crc32c_simd.h"

/*
 * Slicing by eight (M. Kounavis and F. Berry, "A Systematic Approach to Building High Performance,
 * Software-based, CRC Generators", 2005): tables[k][b] is what byte b does to the register when k
 * zero bytes follow it, so eight bytes are eight look-ups that do not wait for one another.
 *
 * The tables are made before main by the definition itself: 2048 numbers that nobody has to trust,
 * and no question of which thread comes first.
 */
enum { SLICES = 8 };

static const uint32_t POLYNOMIAL = UINT32_C(0x82F63B78); /* 0x1EDC6F41, its bits reversed */

static uint32_t tables[SLICES][256];

uint32_t weir_crc32c_skip[4][256];
_Static_assert(WEIR_CRC32C_STREAM % SLICES == 0, "whole steps");

static uint32_t add_byte(uint32_t state, uint8_t byte)
{
    return state >> 8 ^ tables[0][(state ^ byte) & 0xFF];
}

/* The first four bytes meet the register, which is little-endian whatever the machine. */
static uint32_t add_eight(uint32_t state, const uint8_t *data)
{
    uint32_t first = state ^ ((uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
                              (uint32_t)data[3] << 24);
    return tables[7][first & 0xFF] ^ tables[6][first >> 8 & 0xFF] ^ tables[5][first >> 16 & 0xFF] ^
           tables[4][first >> 24] ^ tables[3][data[4]] ^ tables[2][data[5]] ^ tables[1][data[6]] ^
           tables[0][data[7]];
}

/* Skipping zeros is linear: the 32 bits one by one, and each byte from its bits. */
static void make_skip(void)
{
    static const uint8_t zeros[SLICES];
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t state = UINT32_C(1) << bit;
        for (size_t i = 0; i < WEIR_CRC32C_STREAM; i += SLICES) {
            state = add_eight(state, zeros);
        }
        for (uint32_t byte = 0; byte < 256; byte++) {
            if ((byte >> bit % 8 & 1) != 0) {
                weir_crc32c_skip[bit / 8][byte] ^= state;
            }
        }
    }
}

__attribute__((constructor)) static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t state = byte;
        for (int bit = 0; bit < 8; bit++) {
            state = (state & 1) != 0 ? state >> 1 ^ POLYNOMIAL : state >> 1;
        }
        tables[0][byte] = state;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int slice = 1; slice < SLICES; slice++) {
            uint32_t before = tables[slice - 1][byte];
            tables[slice][byte] = before >> 8 ^ tables[0][before & 0xFF];
        }
    }
    make_skip();
}

uint32_t weir_crc32c_plain(uint32_t seed, struct weir_bytes bytes)
{
    uint32_t state = ~seed;
    const uint8_t *data = bytes.data;
    size_t left = bytes.size;
    for (; left >= SLICES; left -= SLICES) {
        state = add_eight(state, data);
        data += SLICES;
    }
    for (; left > 0; left--) {
        state = add_byte(state, *data++);
    }
    return ~state;
}

uint32_t weir_crc32c(uint32_t seed, struct weir_bytes bytes)
{
    if (!weir_crc32c_has_instruction()) {
        return weir_crc32c_plain(seed, bytes);
    }
    return ~weir_crc32c_instruction(~seed, bytes.data, bytes.size);
}
