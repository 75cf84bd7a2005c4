/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CODEC_GZIP_ISAL_H
#define WEIR_CODEC_GZIP_ISAL_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * gzip's fastest level, by ISA-L's igzip: a third of the time of libdeflate's level 1, and some 3 %
 * more bytes. Behind weir/gzip.h, which says what holds.
 */
struct weir_gzip_isal;

/* A compressor. WEIR_ENOMEM, *ret untouched. The caller owns it. */
WEIR_MUST_USE enum weir_status weir_gzip_isal_new(struct weir_gzip_isal **ret);
/* NULL is nothing. */
void weir_gzip_isal_free(struct weir_gzip_isal *isal);

/* The most that `size` bytes can become: all of it stored. `size` is less than 2^63. */
size_t weir_gzip_isal_bound(size_t size);

/* Compresses into one member: on one kind of processor the same input gives the same bytes,
 * whatever was compressed before. WEIR_EFULL when `capacity` is less than needed (never at the
 * bound), *ret_size untouched. Allocates nothing. One thread a compressor. */
WEIR_MUST_USE enum weir_status weir_gzip_isal_deflate(struct weir_gzip_isal *isal,
                                                      struct weir_bytes input, uint8_t *out,
                                                      size_t capacity, size_t *ret_size);

#endif
