/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CODEC_BASE64_SIMD_H
#define WEIR_CODEC_BASE64_SIMD_H

#include <stddef.h>
#include <stdint.h>

/*
 * The vector twins of base64.c's loop, private to this room. Each decodes whole blocks of `text`
 * over itself, from behind the `taken` characters that are decoded already, and stops at the first
 * block that holds anything but the 64 characters (padding too), or when less than a block is left.
 * Returns the characters taken now, a multiple of 4; the decoded bytes, 3/4 of that, lie at
 * text[0]; what follows the taken characters is as it was.
 * The scalar loop goes on from there and is the one that finds an error and the padding.
 */
size_t weir_base64_avx2(uint8_t *text, size_t taken, size_t size);
size_t weir_base64_neon(uint8_t *text, size_t taken, size_t size);

/* How far ahead text is asked for. A body of some megabytes has left the core's cache by now, and
 * the processor's own looking ahead ends with the page; and who reads a piece of 8 KiB before it is
 * decoded (json.c, for the checksum) finds it near. Behind the text's end it is a hint that comes
 * to nothing. */
#define WEIR_BASE64_AHEAD 10240

/* The value of a character with WEIR_BASE64_KNOWN set, or 0 for a character
 * outside the alphabet. */
#define WEIR_BASE64_KNOWN 0x40
extern const uint8_t weir_base64_values[256];

#endif
