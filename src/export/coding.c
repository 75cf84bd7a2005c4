/* SPDX-License-Identifier: Apache-2.0 */
/* Which compressor a destination's bodies go through. A thread has one of each kind and level that
 * any destination wants or has wanted, since any thread encodes for any destination; contexts are
 * made at the start, or with a thread's first batch for a destination that was opened later. */
#include "exporter_internal.h"
#include "weir/panic.h"

/* Level 1: metrics as protobuf shrink to about a tenth already, and every further level costs more
 * processor time than the bytes are worth on a network near enough to export to. */
enum { LEVEL_DEFAULT = 1 };

static bool is(const struct weir_destination_options *options, enum weir_compression compression)
{
    return options->type == WEIR_DESTINATION_OTLP_HTTP && options->compression == compression;
}

static int level_of(const struct weir_destination_options *options)
{
    return options->compression_level == 0 ? LEVEL_DEFAULT : options->compression_level;
}

static enum weir_status make_gzip(struct weir_export_coders *coders, int level)
{
    if (level < 1 || level >= WEIR_EXPORT_GZIP_LEVELS) {
        return WEIR_EINVAL;
    }
    if (coders->gzip[level] == NULL) {
        WEIR_TRY(weir_deflater_new(level, &coders->gzip[level]));
    }
    return coders->gunzip != NULL ? WEIR_OK : weir_inflater_new(&coders->gunzip);
}

static enum weir_status make_zstd(struct weir_export_coders *coders, int level)
{
    if (level < 1 || level > WEIR_ZSTD_LEVEL_MAX) {
        return WEIR_EINVAL;
    }
    if (coders->zstd[level] == NULL) {
        WEIR_TRY(weir_zstd_deflater_new(level, &coders->zstd[level]));
    }
    return coders->unzstd != NULL ? WEIR_OK : weir_zstd_inflater_new(&coders->unzstd);
}

enum weir_status weir_coding_need(struct weir_export_coders *coders,
                                  const struct weir_destination_options *options)
{
    if (is(options, WEIR_COMPRESSION_GZIP)) {
        return make_gzip(coders, level_of(options));
    }
    return is(options, WEIR_COMPRESSION_ZSTD) ? make_zstd(coders, level_of(options)) : WEIR_OK;
}

void weir_coding_done(struct weir_export_coders *coders)
{
    for (int level = 0; level < WEIR_EXPORT_GZIP_LEVELS; level++) {
        weir_deflater_free(coders->gzip[level]);
    }
    for (int level = 0; level <= WEIR_ZSTD_LEVEL_MAX; level++) {
        weir_zstd_deflater_free(coders->zstd[level]);
    }
    weir_inflater_free(coders->gunzip);
    weir_zstd_inflater_free(coders->unzstd);
}

const char *weir_coding_header(const struct weir_destination_options *options)
{
    bool is_grpc = options->protocol == WEIR_PROTOCOL_GRPC;
    if (is(options, WEIR_COMPRESSION_GZIP)) {
        return is_grpc ? "grpc-encoding: gzip" : "Content-Encoding: gzip";
    }
    if (is(options, WEIR_COMPRESSION_ZSTD)) {
        return is_grpc ? "grpc-encoding: zstd" : "Content-Encoding: zstd";
    }
    return NULL;
}

size_t weir_coding_bound(const struct weir_destination_options *options, size_t size)
{
    return is(options, WEIR_COMPRESSION_ZSTD) ? weir_zstd_bound(size) : weir_gzip_bound(NULL, size);
}

enum weir_status weir_coding_compress(struct weir_export_coders *coders,
                                      const struct weir_destination_options *options,
                                      struct weir_bytes plain, struct weir_buf *out)
{
    int level = level_of(options);
    WEIR_TRY(weir_coding_need(coders, options));
    enum weir_status status =
        is(options, WEIR_COMPRESSION_ZSTD)
            ? weir_zstd_deflate(coders->zstd[level], plain, out->data, out->capacity, &out->size)
            : weir_gzip_deflate(coders->gzip[level], plain, out->data, out->capacity, &out->size);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_ENOMEM); /* there is room for the bound */
    return status;
}

enum weir_status weir_coding_expand(struct weir_export_coders *coders,
                                    const struct weir_destination_options *options,
                                    struct weir_bytes body, struct weir_buf *out)
{
    WEIR_TRY(weir_coding_need(coders, options));
    return is(options, WEIR_COMPRESSION_ZSTD)
               ? weir_zstd_inflate(coders->unzstd, body, out->data, out->capacity, &out->size)
               : weir_gzip_inflate(coders->gunzip, body, out->data, out->capacity, &out->size);
}
