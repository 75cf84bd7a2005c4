/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/zstd.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <zstd.h>
#include <zstd_errors.h>

struct weir_zstd_inflater {
    ZSTD_DCtx *context;
};

struct weir_zstd_deflater {
    ZSTD_CCtx *context;
};

/* Only what a buffer's size or memory can mend is told apart. */
static enum weir_status status_of(size_t result)
{
    if (!ZSTD_isError(result)) {
        return WEIR_OK;
    }
    ZSTD_ErrorCode code = ZSTD_getErrorCode(result);
    return code == ZSTD_error_dstSize_tooSmall    ? WEIR_EFULL
           : code == ZSTD_error_memory_allocation ? WEIR_ENOMEM
                                                  : WEIR_EMALFORMED;
}

enum weir_status weir_zstd_inflater_new(struct weir_zstd_inflater **ret)
{
    struct weir_zstd_inflater *inflater = weir_mem_alloc(sizeof(*inflater));
    if (inflater == NULL) {
        return WEIR_ENOMEM;
    }
    inflater->context = ZSTD_createDCtx();
    if (inflater->context == NULL) {
        weir_mem_free(inflater);
        return WEIR_ENOMEM;
    }
    *ret = inflater;
    return WEIR_OK;
}

void weir_zstd_inflater_free(struct weir_zstd_inflater *inflater)
{
    if (inflater != NULL) {
        (void)ZSTD_freeDCtx(inflater->context);
        weir_mem_free(inflater);
    }
}

/* Whether `input` is one frame from its first byte to its last. libzstd itself also takes what
 * follows, frames of formats before 1.0, and frames that are to be skipped. */
static bool is_one_frame(struct weir_bytes input)
{
    static const uint8_t magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    return input.size > sizeof(magic) && memcmp(input.data, magic, sizeof(magic)) == 0 &&
           ZSTD_findFrameCompressedSize(input.data, input.size) == input.size;
}

enum weir_status weir_zstd_inflate(struct weir_zstd_inflater *inflater, struct weir_bytes input,
                                   uint8_t *out, size_t capacity, size_t *ret_size)
{
    if (!is_one_frame(input)) {
        return WEIR_EMALFORMED;
    }
    size_t result = ZSTD_decompressDCtx(inflater->context, out, capacity, input.data, input.size);
    WEIR_TRY(status_of(result));
    WEIR_ASSERT(result <= capacity);
    *ret_size = result;
    return WEIR_OK;
}

enum weir_status weir_zstd_deflater_new(int level, struct weir_zstd_deflater **ret)
{
    if (level < 1 || level > WEIR_ZSTD_LEVEL_MAX) {
        return WEIR_EINVAL;
    }
    struct weir_zstd_deflater *deflater = weir_mem_alloc(sizeof(*deflater));
    if (deflater == NULL) {
        return WEIR_ENOMEM;
    }
    deflater->context = ZSTD_createCCtx();
    if (deflater->context == NULL) {
        weir_mem_free(deflater);
        return WEIR_ENOMEM;
    }
    size_t leveled = ZSTD_CCtx_setParameter(deflater->context, ZSTD_c_compressionLevel, level);
    size_t checked = ZSTD_CCtx_setParameter(deflater->context, ZSTD_c_checksumFlag, 1);
    WEIR_ASSERT(!ZSTD_isError(leveled) && !ZSTD_isError(checked));
    *ret = deflater;
    return WEIR_OK;
}

void weir_zstd_deflater_free(struct weir_zstd_deflater *deflater)
{
    if (deflater != NULL) {
        (void)ZSTD_freeCCtx(deflater->context);
        weir_mem_free(deflater);
    }
}

size_t weir_zstd_bound(size_t size)
{
    return ZSTD_compressBound(size);
}

enum weir_status weir_zstd_deflate(struct weir_zstd_deflater *deflater, struct weir_bytes input,
                                   uint8_t *out, size_t capacity, size_t *ret_size)
{
    size_t result = ZSTD_compress2(deflater->context, out, capacity, input.data, input.size);
    enum weir_status status = status_of(result);
    WEIR_ASSERT(status != WEIR_EMALFORMED); /* there is no bad input here */
    WEIR_TRY(status);
    *ret_size = result;
    return WEIR_OK;
}
