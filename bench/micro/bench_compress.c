/* SPDX-License-Identifier: Apache-2.0 */
/* A batch compressed, beside libdeflate at level 1 on the same batch: as gzip (ISA-L), as zstd, and
 * as gzip with the points as they came instead of grouped (what grouping saves). */
#include "micro/cases.h"
#include "micro/rig.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/zstd.h"
#include <libdeflate.h>

enum { LEVEL = 1 };

struct packing {
    struct weir_input *input;
    struct weir_buf batch;
    struct weir_deflater *deflater;
    struct weir_zstd_deflater *zstd;
    struct libdeflate_compressor *compressor;
    uint8_t *out;
    size_t capacity;
    size_t size; /* of the last output */
};

static void deflate(void *state)
{
    struct packing *packing = state;
    enum weir_status status = weir_gzip_deflate(packing->deflater, weir_buf_view(&packing->batch),
                                                packing->out, packing->capacity, &packing->size);
    WEIR_ASSERT(status == WEIR_OK);
}

static void deflate_ungrouped(void *state)
{
    struct packing *packing = state;
    enum weir_status status = weir_gzip_deflate(packing->deflater, packing->input->content,
                                                packing->out, packing->capacity, &packing->size);
    WEIR_ASSERT(status == WEIR_OK);
}

static void zstd(void *state)
{
    struct packing *packing = state;
    enum weir_status status = weir_zstd_deflate(packing->zstd, weir_buf_view(&packing->batch),
                                                packing->out, packing->capacity, &packing->size);
    WEIR_ASSERT(status == WEIR_OK);
}

static void limit(void *state)
{
    struct packing *packing = state;
    size_t size = libdeflate_gzip_compress(packing->compressor, packing->batch.data,
                                           packing->batch.size, packing->out, packing->capacity);
    WEIR_ASSERT(size > 0);
}

static void close_job(struct weir_cases_job *job)
{
    struct packing *packing = job->work.state;
    if (packing != NULL) {
        libdeflate_free_compressor(packing->compressor);
        weir_zstd_deflater_free(packing->zstd);
        weir_deflater_free(packing->deflater);
        weir_buf_done(&packing->batch);
        weir_mem_free(packing->out);
        weir_input_free(packing->input);
        weir_mem_free(packing);
    }
}

/* The batch that one body becomes. */
static void make_batch(struct packing *packing)
{
    struct weir_rig rig;
    weir_rig_init(&rig);
    struct weir_arena *arena = weir_rig_arena(&rig);
    struct weir_runs runs = weir_rig_decode(&rig, arena, packing->input);
    size_t room = runs.bytes * 4 + ((size_t)1 << 20);
    packing->batch = weir_buf_grow_init(room);
    uint8_t *memory = weir_buf_reserve(&packing->batch, room);
    WEIR_ASSERT(memory != NULL);
    weir_rig_retain(arena, &runs);
    weir_arena_unref(arena, 0);
    weir_rig_batch(&rig, &runs, &packing->batch);
    weir_rig_done(&rig);
}

static enum weir_status fill(struct packing *packing)
{
    make_batch(packing);
    WEIR_TRY(weir_deflater_new(LEVEL, &packing->deflater));
    WEIR_TRY(weir_zstd_deflater_new(LEVEL, &packing->zstd));
    packing->compressor = libdeflate_alloc_compressor(LEVEL);
    size_t larger = packing->batch.size > packing->input->content.size
                        ? packing->batch.size
                        : packing->input->content.size;
    size_t gzip = weir_gzip_bound(packing->deflater, larger);
    packing->capacity = weir_zstd_bound(larger) > gzip ? weir_zstd_bound(larger) : gzip;
    packing->out = weir_mem_alloc(packing->capacity);
    return packing->compressor != NULL && packing->out != NULL ? WEIR_OK : WEIR_ENOMEM;
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 void (*subject)(void *state), struct weir_cases_job *ret)
{
    struct packing *packing = weir_mem_zalloc(1, sizeof *packing);
    if (packing == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_cases_job job = {.work = {.state = packing, .subject = subject, .limit = limit}};
    enum weir_status status = weir_cases_input(context, WEIR_INPUT_OTLP10, &packing->input);
    status = status == WEIR_OK ? fill(packing) : status;
    if (status != WEIR_OK) {
        close_job(&job);
        return status;
    }
    subject(packing); /* once, for the output's size */
    job.points = packing->input->points;
    job.bytes = subject == deflate_ungrouped ? packing->input->content.size : packing->batch.size;
    job.output_bytes = packing->size;
    *ret = job;
    return WEIR_OK;
}

static enum weir_status open_deflate(const struct weir_cases_context *context,
                                     struct weir_cases_job *ret)
{
    return open_job(context, deflate, ret);
}

static enum weir_status open_ungrouped(const struct weir_cases_context *context,
                                       struct weir_cases_job *ret)
{
    return open_job(context, deflate_ungrouped, ret);
}

static enum weir_status open_zstd(const struct weir_cases_context *context,
                                  struct weir_cases_job *ret)
{
    return open_job(context, zstd, ret);
}

const struct weir_cases_case weir_cases_compress[] = {
    {"gzip", "a batch compressed, level 1", "libdeflate alone", open_deflate, close_job},
    {"gzip-ungrouped", "the points as they came, level 1", "libdeflate, grouped", open_ungrouped,
     close_job},
    {"zstd", "a batch compressed, level 1", "libdeflate level 1", open_zstd, close_job},
    {.name = NULL}};
