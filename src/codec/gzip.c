/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <libdeflate.h>

#define MEMBERS_MAX     1024
#define MEMBER_SIZE_MIN 18   /* ten bytes of header, eight of trailer, deflate data in between */
#define EXPANSION_MAX   1032 /* a length code of 258 bytes in two bits: the most deflate can do */

struct weir_inflater {
    struct libdeflate_decompressor *decompressor;
};

struct weir_deflater {
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

enum weir_status weir_gzip_size_hint(struct weir_bytes input, size_t limit, size_t *ret_size)
{
    WEIR_ASSERT(limit > 0);
    if (input.size < MEMBER_SIZE_MIN || input.data[0] != 0x1F || input.data[1] != 0x8B ||
        input.data[2] != 8) {
        return WEIR_EMALFORMED;
    }
    const uint8_t *isize = input.data + input.size - 4;
    size_t declared =
        (size_t)isize[0] | (size_t)isize[1] << 8 | (size_t)isize[2] << 16 | (size_t)isize[3] << 24;
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

enum weir_status weir_deflater_new(int level, struct weir_deflater **ret)
{
    if (level < 1 || level > 12) {
        return WEIR_EINVAL;
    }
    struct weir_deflater *deflater = weir_mem_alloc(sizeof(*deflater));
    if (deflater == NULL) {
        return WEIR_ENOMEM;
    }
    deflater->compressor = libdeflate_alloc_compressor(level);
    if (deflater->compressor == NULL) {
        weir_mem_free(deflater);
        return WEIR_ENOMEM;
    }
    *ret = deflater;
    return WEIR_OK;
}

void weir_deflater_free(struct weir_deflater *deflater)
{
    if (deflater != NULL) {
        libdeflate_free_compressor(deflater->compressor);
        weir_mem_free(deflater);
    }
}

size_t weir_gzip_bound(struct weir_deflater *deflater, size_t size)
{
    return libdeflate_gzip_compress_bound(deflater == NULL ? NULL : deflater->compressor, size);
}

enum weir_status weir_gzip_deflate(struct weir_deflater *deflater, struct weir_bytes input,
                                   uint8_t *out, size_t capacity, size_t *ret_size)
{
    static const uint8_t nothing[1] = {0}; /* libdeflate wants an address for no bytes too */
    size_t size = libdeflate_gzip_compress(
        deflater->compressor, input.data == NULL ? nothing : input.data, input.size, out, capacity);
    if (size == 0) {
        return WEIR_EFULL;
    }
    *ret_size = size;
    return WEIR_OK;
}
