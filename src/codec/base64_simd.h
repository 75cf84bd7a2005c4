/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CODEC_BASE64_SIMD_H
#define WEIR_CODEC_BASE64_SIMD_H

#include <stddef.h>
#include <stdint.h>

/*
 * The vector twins of base64.c's loop, private to this room. Each decodes whole blocks of `text`
 * over itself from its start and stops at the first block that holds anything but the 64 characters
 * (padding too), or when less than a block is left. Returns the characters taken, a multiple of 4;
 * the decoded bytes, 3/4 of that, lie at text[0]; what follows the taken characters is as it was.
 * The scalar loop goes on from there and is the one that finds an error and the padding.
 */
size_t weir_base64_avx2(uint8_t *text, size_t size);
size_t weir_base64_neon(uint8_t *text, size_t size);

/* The value of a character with WEIR_BASE64_KNOWN set, or 0 for a character
 * outside the alphabet. */
#define WEIR_BASE64_KNOWN 0x40
extern const uint8_t weir_base64_values[256];

#endif
