/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CRC32C_H
#define WEIR_CRC32C_H

#include "weir/bytes.h"

/*
 * CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected; RFC 3720 appendix B.4 has test values): by
 * the CPU's instruction where it has one (SSE4.2, ARMv8 CRC), else by table. All ways give the same
 * numbers.
 */

/* Goes on from `seed` over `bytes`; weir_crc32c(weir_crc32c(s, a), b) = weir_crc32c(s, a then b).
 * With seed 0 it is the standard CRC-32C ("123456789" gives 0xE3069283). */
uint32_t weir_crc32c(uint32_t seed, struct weir_bytes bytes);

/* The table's way, on every machine: the oracle of the other ones. */
uint32_t weir_crc32c_plain(uint32_t seed, struct weir_bytes bytes);

#endif
