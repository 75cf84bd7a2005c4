/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip: which library does what.
 *
 *   inflating                libdeflate, member by member: | header | deflate | CRC, ISIZE | ...
 *                            a single one without its CRC, where the caller sees to that: its
 *                            header and ISIZE are read here, as libdeflate reads them
 *   deflating at level 1     ISA-L (gzip_isal.c)
 *   deflating at 2 to 12     libdeflate
 *
 *   I1  what is written never passes the capacity, and what is read never passes the input
 *   I2  ISIZE is the sender's word: it is held against what deflate can do, and against the limit
 *   I3  but for the CRC both ways of inflating take and refuse the same
 *   I4  a deflater has exactly one of the two compressors
 *
 * One thread has an inflater or a deflater; nothing is shared. Room that is too small is told apart
 * from damage, because more room mends it. Deliberately no streaming: bodies and batches are whole,
 * and their size is bounded before they come here.
 */
#include "weir/gzip.h"
#include "gzip_isal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <libdeflate.h>

#define MEMBERS_MAX     1024
#define HEADER_SIZE_MIN 10
#define TRAILER_SIZE    8                                /* CRC-32, ISIZE */
#define MEMBER_SIZE_MIN (HEADER_SIZE_MIN + TRAILER_SIZE) /* and deflate data in between */
#define EXPANSION_MAX   1032 /* a length code of 258 bytes in two bits: the most deflate can do */
#define LEVEL_FASTEST   1    /* ISA-L's; the others are libdeflate's */
#define LEVEL_SMALLEST  12

/* A member's flags (RFC 1952 section 2.3.1); the lowest says that the content is text. */
enum flag {
    HAS_CRC16 = 0x02,
    HAS_EXTRA = 0x04,
    HAS_NAME = 0x08,
    HAS_COMMENT = 0x10,
    UNKNOWN = 0xE0
};

struct weir_inflater {
    struct libdeflate_decompressor *decompressor;
};

struct weir_deflater {
    struct weir_gzip_isal *isal; /* NULL: the other */
    struct libdeflate_compressor *compressor;
};

enum weir_status weir_inflater_new(struct weir_inflater **ret)
{
    struct weir_inflater *inflater = weir_mem_alloc(sizeof(*inflater));
    if (inflater == NULL) {
        return WEIR_ENOMEM;
    }
    inflater->decompressor = libdeflate_alloc_decompressor();
    if (inflater->decompressor == NULL) {
        weir_mem_free(inflater);
        return WEIR_ENOMEM;
    }
    *ret = inflater;
    return WEIR_OK;
}

void weir_inflater_free(struct weir_inflater *inflater)
{
    if (inflater != NULL) {
        libdeflate_free_decompressor(inflater->decompressor);
        weir_mem_free(inflater);
    }
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool is_gzip(struct weir_bytes input)
{
    return input.size >= MEMBER_SIZE_MIN && input.data[0] == 0x1F && input.data[1] == 0x8B &&
           input.data[2] == 8;
}

enum weir_status weir_gzip_size_hint(struct weir_bytes input, size_t limit, size_t *ret_size)
{
    WEIR_ASSERT(limit > 0);
    if (!is_gzip(input)) {
        return WEIR_EMALFORMED;
    }
    size_t declared = get_u32(input.data + input.size - 4);
    size_t possible = input.size > SIZE_MAX / EXPANSION_MAX ? SIZE_MAX : input.size * EXPANSION_MAX;
    size_t hint = declared < possible ? declared : possible;
    hint = hint < limit ? hint : limit;
    *ret_size = hint > 0 ? hint : 1;
    return WEIR_OK;
}

enum weir_status weir_gzip_inflate(struct weir_inflater *inflater, struct weir_bytes input,
                                   uint8_t *out, size_t capacity, size_t *ret_size)
{
    size_t consumed = 0;
    size_t written = 0;
    /* At least one member; what follows a member must be another one. */
    for (unsigned members = 0; members == 0 || consumed < input.size; members++) {
        if (members == MEMBERS_MAX || input.size - consumed < MEMBER_SIZE_MIN) {
            return WEIR_EMALFORMED;
        }
        size_t in_size = 0;
        size_t out_size = 0;
        enum libdeflate_result result = libdeflate_gzip_decompress_ex(
            inflater->decompressor, input.data + consumed, input.size - consumed, out + written,
            capacity - written, &in_size, &out_size);
        if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
            return WEIR_EFULL;
        }
        if (result != LIBDEFLATE_SUCCESS) {
            return WEIR_EMALFORMED;
        }
        WEIR_ASSERT(in_size >= MEMBER_SIZE_MIN);
        WEIR_ASSERT(in_size <= input.size - consumed);
        WEIR_ASSERT(out_size <= capacity - written);
        consumed += in_size;
        written += out_size;
    }
    *ret_size = written;
    return WEIR_OK;
}

/* Takes `size` bytes of what stands before the trailer. */
static bool take(struct weir_bytes *rest, size_t size)
{
    if (rest->size < size) {
        return false;
    }
    *rest = weir_bytes_from(*rest, size);
    return true;
}

/* A name or a comment, with the zero behind it. */
static bool take_text(struct weir_bytes *rest)
{
    const uint8_t *zero = rest->size == 0 ? NULL : memchr(rest->data, 0, rest->size);
    return zero != NULL && take(rest, (size_t)(zero - rest->data) + 1);
}

static bool take_extra(struct weir_bytes *rest)
{
    return rest->size >= 2 && take(rest, 2 + ((size_t)rest->data[0] | (size_t)rest->data[1] << 8));
}

/* What stands between the header of the member at `input` and the input's last eight bytes. False
 * where there is no such header, or one that reaches into them. */
static bool find_deflated(struct weir_bytes input, struct weir_bytes *ret)
{
    if (!is_gzip(input) || (input.data[3] & UNKNOWN) != 0) {
        return false;
    }
    unsigned flags = input.data[3];
    struct weir_bytes rest = weir_bytes_of(input.data, input.size - TRAILER_SIZE);
    bool is_whole = take(&rest, HEADER_SIZE_MIN);
    is_whole = is_whole && ((flags & HAS_EXTRA) == 0 || take_extra(&rest));
    is_whole = is_whole && ((flags & HAS_NAME) == 0 || take_text(&rest));
    is_whole = is_whole && ((flags & HAS_COMMENT) == 0 || take_text(&rest));
    is_whole = is_whole && ((flags & HAS_CRC16) == 0 || take(&rest, 2)); /* looked at by nobody */
    *ret = rest;
    return is_whole;
}

enum weir_status weir_gzip_inflate_unsummed(struct weir_inflater *inflater, struct weir_bytes input,
                                            uint8_t *out, size_t capacity,
                                            struct weir_gzip_unsummed *ret)
{
    struct weir_bytes deflated;
    if (!find_deflated(input, &deflated)) {
        return WEIR_EMALFORMED;
    }
    size_t in_size = 0;
    size_t out_size = 0;
    enum libdeflate_result result = libdeflate_deflate_decompress_ex(
        inflater->decompressor, deflated.data, deflated.size, out, capacity, &in_size, &out_size);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
        return WEIR_EFULL;
    }
    if (result != LIBDEFLATE_SUCCESS) {
        return WEIR_EMALFORMED;
    }
    WEIR_ASSERT(in_size <= deflated.size);
    WEIR_ASSERT(out_size <= capacity);
    if (in_size < deflated.size) { /* another member, or bytes that are none: from the start */
        WEIR_TRY(weir_gzip_inflate(inflater, input, out, capacity, &out_size));
        *ret = (struct weir_gzip_unsummed){.size = out_size, .is_summed = true};
        return WEIR_OK;
    }
    const uint8_t *trailer = input.data + input.size - TRAILER_SIZE;
    if (get_u32(trailer + 4) != (uint32_t)out_size) {
        return WEIR_EMALFORMED;
    }
    *ret = (struct weir_gzip_unsummed){.size = out_size, .crc = get_u32(trailer)};
    return WEIR_OK;
}

enum weir_status weir_deflater_new(int level, struct weir_deflater **ret)
{
    if (level < LEVEL_FASTEST || level > LEVEL_SMALLEST) {
        return WEIR_EINVAL;
    }
    struct weir_deflater *deflater = weir_mem_zalloc(1, sizeof(*deflater));
    if (deflater == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status;
    if (level == LEVEL_FASTEST) {
        status = weir_gzip_isal_new(&deflater->isal);
    } else {
        deflater->compressor = libdeflate_alloc_compressor(level);
        status = deflater->compressor == NULL ? WEIR_ENOMEM : WEIR_OK;
    }
    if (status != WEIR_OK) {
        weir_mem_free(deflater);
        return status;
    }
    *ret = deflater;
    return WEIR_OK;
}

void weir_deflater_free(struct weir_deflater *deflater)
{
    if (deflater != NULL) {
        weir_gzip_isal_free(deflater->isal);
        libdeflate_free_compressor(deflater->compressor);
        weir_mem_free(deflater);
    }
}

size_t weir_gzip_bound(struct weir_deflater *deflater, size_t size)
{
    size_t fastest = weir_gzip_isal_bound(size);
    if (deflater != NULL && deflater->isal != NULL) {
        return fastest;
    }
    size_t others =
        libdeflate_gzip_compress_bound(deflater == NULL ? NULL : deflater->compressor, size);
    return deflater == NULL && fastest > others ? fastest : others;
}

enum weir_status weir_gzip_deflate(struct weir_deflater *deflater, struct weir_bytes input,
                                   uint8_t *out, size_t capacity, size_t *ret_size)
{
    static const uint8_t nothing[1] = {0}; /* both want an address for no bytes too */
    struct weir_bytes some = weir_bytes_of(input.data == NULL ? nothing : input.data, input.size);
    if (deflater->isal != NULL) {
        return weir_gzip_isal_deflate(deflater->isal, some, out, capacity, ret_size);
    }
    size_t size =
        libdeflate_gzip_compress(deflater->compressor, some.data, some.size, out, capacity);
    if (size == 0) {
        return WEIR_EFULL;
    }
    *ret_size = size;
    return WEIR_OK;
}
