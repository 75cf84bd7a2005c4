/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BASE_CRC32C_SIMD_H
#define WEIR_BASE_CRC32C_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The CPU's own CRC-32C, private to this room. `state` is the register itself (the seed inverted);
 * the new register is returned. Only to be called where weir_crc32c_has_instruction says so; on
 * other machines than x86-64 and ARMv8 it never does.
 */
bool weir_crc32c_has_instruction(void);
#define WEIR_CRC32C_STREAM ((size_t)1024) /* bytes; what the table below skips */

/* What byte k of the register becomes when WEIR_CRC32C_STREAM zero bytes follow; the four of them
 * are joined by exclusive or. Made before main, and never written again. */
extern uint32_t weir_crc32c_skip[4][256];

uint32_t weir_crc32c_instruction(uint32_t state, const uint8_t *data, size_t size);

#endif
