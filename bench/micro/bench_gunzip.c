/* SPDX-License-Identifier: Apache-2.0 */
/* A body inflated by our wrapper, beside libdeflate called directly. */
#include "micro/cases.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <libdeflate.h>

struct inflating {
    struct weir_input *input;
    struct weir_inflater *inflater;
    struct libdeflate_decompressor *decompressor;
    uint8_t *out;
};

static void gunzip(void *state)
{
    struct inflating *inflating = state;
    size_t capacity = 0;
    size_t size = 0;
    enum weir_status status =
        weir_gzip_size_hint(inflating->input->gzip, (size_t)1 << 30, &capacity);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(capacity <= inflating->input->json.size);
    status = weir_gzip_inflate(inflating->inflater, inflating->input->gzip, inflating->out,
                               capacity, &size);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(size == inflating->input->json.size);
}

static void limit(void *state)
{
    struct inflating *inflating = state;
    size_t size = 0;
    struct weir_bytes gzip = inflating->input->gzip;
    enum libdeflate_result result =
        libdeflate_gzip_decompress(inflating->decompressor, gzip.data, gzip.size, inflating->out,
                                   inflating->input->json.size, &size);
    WEIR_ASSERT(result == LIBDEFLATE_SUCCESS);
}

static void close_job(struct weir_cases_job *job)
{
    struct inflating *inflating = job->work.state;
    if (inflating != NULL) {
        libdeflate_free_decompressor(inflating->decompressor);
        weir_inflater_free(inflating->inflater);
        weir_mem_free(inflating->out);
        weir_input_free(inflating->input);
        weir_mem_free(inflating);
    }
}

static enum weir_status fill(struct inflating *inflating)
{
    WEIR_TRY(weir_inflater_new(&inflating->inflater));
    inflating->decompressor = libdeflate_alloc_decompressor();
    inflating->out = weir_mem_alloc(inflating->input->json.size);
    bool got = inflating->decompressor != NULL && inflating->out != NULL;
    return got ? WEIR_OK : WEIR_ENOMEM;
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    struct inflating *inflating = weir_mem_zalloc(1, sizeof *inflating);
    if (inflating == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_cases_job job = {.work = {.state = inflating, .subject = gunzip, .limit = limit}};
    enum weir_status status = weir_cases_input(context, context->options.format, &inflating->input);
    status = status == WEIR_OK ? fill(inflating) : status;
    if (status != WEIR_OK) {
        close_job(&job);
        return status;
    }
    job.points = inflating->input->points;
    job.bytes = inflating->input->json.size;
    *ret = job;
    return WEIR_OK;
}

const struct weir_cases_case weir_cases_gunzip[] = {
    {"gunzip", "a body inflated (bytes: inflated ones)", "libdeflate alone", open_job, close_job},
    {.name = NULL}};
