/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way of a body without sockets and disks: inflate, envelope, decode, batch, encode, and
 * compress where the case says so, beside libdeflate alone on the same bytes. This is the bar's
 * ratio as far as our own code decides it. */
#include "micro/cases.h"
#include "micro/rig.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <libdeflate.h>

enum { LEVEL = 1 };

struct travel {
    struct weir_rig rig;
    struct weir_input *input;
    struct weir_deflater *deflater; /* NULL: nothing is compressed */
    struct libdeflate_decompressor *decompressor;
    struct libdeflate_compressor *compressor;
    struct weir_buf batch;
    struct weir_buf packed;
    uint8_t *inflated; /* the limit's */
};

static void body_to_batch(void *state)
{
    struct travel *travel = state;
    struct weir_arena *arena = weir_rig_arena(&travel->rig);
    struct weir_runs runs = weir_rig_decode(&travel->rig, arena, travel->input);
    weir_rig_retain(arena, &runs);
    weir_arena_unref(arena, 0);
    travel->batch.size = 0;
    weir_rig_batch(&travel->rig, &runs, &travel->batch);
    if (travel->deflater != NULL) {
        enum weir_status status =
            weir_gzip_deflate(travel->deflater, weir_buf_view(&travel->batch), travel->packed.data,
                              travel->packed.capacity, &travel->packed.size);
        WEIR_ASSERT(status == WEIR_OK);
    }
}

static void limit(void *state)
{
    struct travel *travel = state;
    size_t size = 0;
    struct weir_bytes gzip = travel->input->gzip;
    enum libdeflate_result result =
        libdeflate_gzip_decompress(travel->decompressor, gzip.data, gzip.size, travel->inflated,
                                   travel->input->json.size, &size);
    WEIR_ASSERT(result == LIBDEFLATE_SUCCESS);
    if (travel->deflater != NULL) {
        size = libdeflate_gzip_compress(travel->compressor, travel->batch.data, travel->batch.size,
                                        travel->packed.data, travel->packed.capacity);
        WEIR_ASSERT(size > 0);
    }
}

static void close_job(struct weir_cases_job *job)
{
    struct travel *travel = job->work.state;
    if (travel != NULL) {
        libdeflate_free_decompressor(travel->decompressor);
        libdeflate_free_compressor(travel->compressor);
        weir_deflater_free(travel->deflater);
        weir_buf_done(&travel->batch);
        weir_buf_done(&travel->packed);
        weir_mem_free(travel->inflated);
        weir_input_free(travel->input);
        weir_rig_done(&travel->rig);
        weir_mem_free(travel);
    }
}

static enum weir_status fill(struct travel *travel, bool is_packed)
{
    size_t room = travel->input->json.size * 2 + ((size_t)1 << 20);
    travel->decompressor = libdeflate_alloc_decompressor();
    travel->compressor = libdeflate_alloc_compressor(LEVEL);
    travel->inflated = weir_mem_alloc(travel->input->json.size);
    travel->batch = weir_buf_grow_init(room);
    travel->packed = weir_buf_grow_init(room);
    if (travel->decompressor == NULL || travel->compressor == NULL || travel->inflated == NULL ||
        weir_buf_reserve(&travel->batch, room) == NULL ||
        weir_buf_reserve(&travel->packed, room) == NULL) {
        return WEIR_ENOMEM;
    }
    return is_packed ? weir_deflater_new(LEVEL, &travel->deflater) : WEIR_OK;
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 enum weir_input_format format, bool is_packed,
                                 struct weir_cases_job *ret)
{
    struct travel *travel = weir_mem_zalloc(1, sizeof *travel);
    if (travel == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_cases_job job = {
        .work = {.state = travel, .subject = body_to_batch, .limit = limit}};
    weir_rig_init(&travel->rig);
    enum weir_status status = weir_cases_input(context, format, &travel->input);
    status = status == WEIR_OK ? fill(travel, is_packed) : status;
    if (status != WEIR_OK) {
        close_job(&job);
        return status;
    }
    job.points = travel->input->points;
    job.bytes = travel->input->json.size;
    *ret = job;
    return WEIR_OK;
}

static enum weir_status open_otlp10(const struct weir_cases_context *context,
                                    struct weir_cases_job *ret)
{
    return open_job(context, WEIR_INPUT_OTLP10, false, ret);
}

static enum weir_status open_otlp07(const struct weir_cases_context *context,
                                    struct weir_cases_job *ret)
{
    return open_job(context, WEIR_INPUT_OTLP07, false, ret);
}

static enum weir_status open_json(const struct weir_cases_context *context,
                                  struct weir_cases_job *ret)
{
    return open_job(context, WEIR_INPUT_JSON, false, ret);
}

static enum weir_status open_packed(const struct weir_cases_context *context,
                                    struct weir_cases_job *ret)
{
    return open_job(context, WEIR_INPUT_OTLP10, true, ret);
}

static enum weir_status open_json_packed(const struct weir_cases_context *context,
                                         struct weir_cases_job *ret)
{
    return open_job(context, WEIR_INPUT_JSON, true, ret);
}

const struct weir_cases_case weir_cases_path[] = {
    {"path", "OTLP 1.0 body to batch", "inflate", open_otlp10, close_job},
    {"path-gzip", "OTLP 1.0 body to compressed batch", "inflate + deflate", open_packed, close_job},
    {"path-0.7", "OTLP 0.7 body to batch", "inflate", open_otlp07, close_job},
    {"path-json", "JSON body to batch", "inflate", open_json, close_job},
    {"path-json-gzip", "JSON body to compressed batch", "inflate + deflate", open_json_packed,
     close_job},
    {.name = NULL}};
