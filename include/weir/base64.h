/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BASE64_H
#define WEIR_BASE64_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Base64 (RFC 4648 section 4), strict: standard alphabet, padding required, no white space, and the
 * unused bits before the padding must be zero. The SIMD variants (AVX2, NEON) are chosen once at
 * run time; the scalar one is their oracle and handles their tails.
 */

/* Decodes `text` over itself: the decoded bytes begin at text[0]. *ret_size is their number.
 * WEIR_EMALFORMED: not base64; the memory is then undefined. Works for every length, 0 too. Writes
 * only within [text, text + size). */
WEIR_MUST_USE enum weir_status weir_base64_decode_in_place(uint8_t *text, size_t size,
                                                           size_t *ret_size);

/* The most that a block has, of whatever vector code. */
#define WEIR_BASE64_BLOCK_MAX 64

/* The two halves of it, for a text whose end is not known yet. The first decodes whole blocks for
 * as long as they hold nothing but the 64 characters, looking at no more than `size`, and returns
 * how many characters are taken then (a multiple of 4). It begins behind `taken` ones, 0 or what it
 * has returned for less of the same text. All but less than a block (WEIR_BASE64_BLOCK_MAX) are
 * taken where it meets no other character; none are where there is no vector code. What follows
 * them is as it was. */
size_t weir_base64_decode_blocks(uint8_t *text, size_t taken, size_t size);

/* The second goes on behind the `taken` characters, once `size` is known to be where the text ends;
 * otherwise as weir_base64_decode_in_place. */
WEIR_MUST_USE enum weir_status weir_base64_decode_rest(uint8_t *text, size_t size, size_t taken,
                                                       size_t *ret_size);

/* The same, by the scalar code only: the oracle. */
WEIR_MUST_USE enum weir_status weir_base64_decode_scalar(uint8_t *text, size_t size,
                                                         size_t *ret_size);

/* The size of `size` bytes encoded, padding included, no terminator. */
size_t weir_base64_encoded_size(size_t size);

/* Encodes; `out` has at least weir_base64_encoded_size(bytes.size) bytes and does not overlap. */
void weir_base64_encode(struct weir_bytes bytes, uint8_t *out);

#endif
