/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_GZIP_H
#define WEIR_GZIP_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * gzip (RFC 1952): whole buffers in, whole buffers out. Inflating is libdeflate's, and so is
 * deflating but for level 1, which is ISA-L's: a third of the time of libdeflate's level 1 for some
 * 3 % more bytes. Members that follow one another are one stream, as the RFC says; bytes after the
 * last member are damage, never ignored. A size that the input declares (ISIZE) is a hint for the
 * first try only, and never above the budget.
 *
 * Contexts are made once a thread (memory is allocated there) and used for every request.
 *
 * tidy: allow header-functions -- both directions, and inflating with its checksum and without
 */
struct weir_inflater;
struct weir_deflater;

/* An inflater. WEIR_ENOMEM.
 * tidy: allow header-prefix -- named for what it does; the module is both directions */
WEIR_MUST_USE enum weir_status weir_inflater_new(struct weir_inflater **ret);
/* NULL is nothing.
 * tidy: allow header-prefix -- as above */
void weir_inflater_free(struct weir_inflater *inflater);

/* How much room to offer first: the sum that the last member's ISIZE suggests, at least 1 and at
 * most `limit`, and never more than deflate can expand (1032 times the input). WEIR_EMALFORMED when
 * the input is not gzip at all. */
WEIR_MUST_USE enum weir_status weir_gzip_size_hint(struct weir_bytes input, size_t limit,
                                                   size_t *ret_size);

/* Inflates all members of `input` into `out`. *ret_size is what was written. WEIR_EFULL when
 * `capacity` is too small (offer more, up to your budget), WEIR_EMALFORMED for anything else:
 * header, data, CRC, length, truncation, trailing bytes, more than 1024 members. The content of
 * `out` is then undefined. One thread an inflater. */
WEIR_MUST_USE enum weir_status weir_gzip_inflate(struct weir_inflater *inflater,
                                                 struct weir_bytes input, uint8_t *out,
                                                 size_t capacity, size_t *ret_size);

/* What was inflated, and whether its checksum is still to be compared. */
struct weir_gzip_unsummed {
    size_t size;
    bool is_summed; /* it was compared */
    uint32_t crc;   /* otherwise: what the trailer says, and weir_crc32 of the content must be */
};

/* The same for a caller who goes through the content anyway and sums it up on that way: where there
 * is one member, its checksum is all that is not checked, and none of the content may be believed
 * before it is. Several members are inflated as above. Statuses as above, *ret untouched by a
 * failure. */
WEIR_MUST_USE enum weir_status weir_gzip_inflate_unsummed(struct weir_inflater *inflater,
                                                          struct weir_bytes input, uint8_t *out,
                                                          size_t capacity,
                                                          struct weir_gzip_unsummed *ret);

/* A compressor for `level` (1 fastest .. 12 smallest). WEIR_EINVAL, WEIR_ENOMEM.
 * tidy: allow header-prefix -- as above */
WEIR_MUST_USE enum weir_status weir_deflater_new(int level, struct weir_deflater **ret);
/* NULL is nothing.
 * tidy: allow header-prefix -- as above */
void weir_deflater_free(struct weir_deflater *deflater);

/* The most that `size` bytes can become; NULL: with whatever level. `size` is less than 2^63. */
size_t weir_gzip_bound(struct weir_deflater *deflater, size_t size);

/* Compresses into one member, whose header tells nothing but the level. WEIR_EFULL when `capacity`
 * is less than needed (never at the bound), *ret_size untouched; the content of `out` is then
 * undefined. One thread a deflater. */
WEIR_MUST_USE enum weir_status weir_gzip_deflate(struct weir_deflater *deflater,
                                                 struct weir_bytes input, uint8_t *out,
                                                 size_t capacity, size_t *ret_size);

#endif
