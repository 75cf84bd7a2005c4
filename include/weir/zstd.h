/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ZSTD_H
#define WEIR_ZSTD_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Zstandard (RFC 8878) by libzstd: whole buffers in, whole buffers out. A buffer is one frame with
 * its content's size and checksum in it; anything around it is damage. What is read here we have
 * written ourselves (a batch that is to be halved, or to become a letter), so more frames,
 * skippable ones and dictionaries are refused and not understood.
 *
 * Contexts are made once a thread. libzstd's tables are allocated when they are first needed for an
 * input of a size, and kept.
 */
struct weir_zstd_inflater;
struct weir_zstd_deflater;

enum { WEIR_ZSTD_LEVEL_MAX = 19 };

/* WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_zstd_inflater_new(struct weir_zstd_inflater **ret);
/* NULL is nothing. */
void weir_zstd_inflater_free(struct weir_zstd_inflater *inflater);

/* Inflates the frame that `input` is into `out`. *ret_size is what was written. WEIR_EFULL when
 * `capacity` is too small, WEIR_EMALFORMED for anything else: no frame, damage, truncation,
 * bytes after the frame. The content of `out` is then undefined. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_zstd_inflate(struct weir_zstd_inflater *inflater,
                                                 struct weir_bytes input, uint8_t *out,
                                                 size_t capacity, size_t *ret_size);

/* A compressor for `level` (1 fastest .. 19 smallest). WEIR_EINVAL, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_zstd_deflater_new(int level, struct weir_zstd_deflater **ret);
/* NULL is nothing. */
void weir_zstd_deflater_free(struct weir_zstd_deflater *deflater);

/* The most that `size` bytes can become. `size` is less than 2^56. */
size_t weir_zstd_bound(size_t size);

/* Compresses into one frame. WEIR_EFULL when `capacity` is less than needed (never at the bound),
 * WEIR_ENOMEM when libzstd gets no memory. */
WEIR_MUST_USE enum weir_status weir_zstd_deflate(struct weir_zstd_deflater *deflater,
                                                 struct weir_bytes input, uint8_t *out,
                                                 size_t capacity, size_t *ret_size);

#endif
