/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_CRC_SHIFT_H
#define WEIR_LOAD_CRC_SHIFT_H

#include <stdint.h>

/*
 * The CRC-32 of two pieces together from those of each: crc(A B) = shift(crc(A)) ^ crc(B), where
 * the shift, over as many zero bytes as B has, is linear over single bits: 32 x 32 of them.
 */
struct weir_load_crc_shift {
    uint32_t columns[32]; /* what each bit of a CRC becomes */
};

/* The shift over `size` bytes. O(log size). */
struct weir_load_crc_shift weir_load_crc_shift(uint64_t size);

/* crc(A B). */
uint32_t weir_load_crc_join(const struct weir_load_crc_shift *shift, uint32_t a, uint32_t b);

#endif
