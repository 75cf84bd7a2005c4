/* SPDX-License-Identifier: Apache-2.0 */
/* Records to runs: each format's decoder over the decoded records of one body. */
#include "micro/cases.h"
#include "micro/rig.h"
#include "weir/cwjson.h"
#include "weir/mem.h"
#include "weir/otlp.h"
#include "weir/panic.h"

struct decoding {
    struct weir_rig rig;
    struct weir_input *input;
    struct weir_arena *arena;
    uint8_t *content; /* what a decoder may write over */
    uint8_t *copy;    /* the limit's */
    bool is_json;
    uint32_t points;
};

static void prepare(void *state)
{
    struct decoding *decoding = state;
    decoding->arena = weir_rig_arena(&decoding->rig);
    decoding->content = weir_rig_copy(decoding->arena, decoding->input->content);
}

static struct weir_bytes record_at(const struct decoding *decoding, uint32_t index)
{
    struct weir_bytes record = decoding->input->record[index];
    return weir_bytes_of(decoding->content + (record.data - decoding->input->content.data),
                         record.size);
}

static void decode(void *state)
{
    struct decoding *decoding = state;
    const struct weir_cwjson_context context = {WEIR_BYTES("aws"), {NULL, 0}};
    struct weir_collect *collect = weir_collect_new(decoding->arena);
    struct weir_runs runs;
    WEIR_ASSERT(collect != NULL);
    for (uint32_t i = 0; i < decoding->input->records; i++) {
        if (decoding->is_json) {
            weir_cwjson_decode(collect, context, record_at(decoding, i), i);
        } else {
            (void)weir_otlp_decode(collect, record_at(decoding, i), i);
        }
    }
    enum weir_status status = weir_collect_finish(collect, &runs);
    WEIR_ASSERT(status == WEIR_OK);
    decoding->points = runs.points;
}

static void finish(void *state)
{
    struct decoding *decoding = state;
    weir_arena_unref(decoding->arena, 0);
    WEIR_ASSERT(decoding->points == decoding->input->points);
}

static void limit(void *state)
{
    struct decoding *decoding = state;
    memcpy(decoding->copy, decoding->input->content.data, decoding->input->content.size);
    __asm__ volatile("" : : "r"(decoding->copy) : "memory");
}

static void close_job(struct weir_cases_job *job)
{
    struct decoding *decoding = job->work.state;
    if (decoding != NULL) {
        weir_mem_free(decoding->copy);
        weir_input_free(decoding->input);
        weir_rig_done(&decoding->rig);
        weir_mem_free(decoding);
    }
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 enum weir_input_format format, struct weir_cases_job *ret)
{
    struct decoding *decoding = weir_mem_zalloc(1, sizeof *decoding);
    if (decoding == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_cases_job job = {.work = {.state = decoding,
                                          .prepare = prepare,
                                          .subject = decode,
                                          .finish = finish,
                                          .limit = limit}};
    weir_rig_init(&decoding->rig);
    decoding->is_json = format == WEIR_INPUT_JSON;
    enum weir_status status = weir_cases_input(context, format, &decoding->input);
    if (status == WEIR_OK) {
        job.points = decoding->input->points;
        job.bytes = decoding->input->content.size;
        decoding->copy = weir_mem_alloc(job.bytes);
        status = decoding->copy == NULL ? WEIR_ENOMEM : WEIR_OK;
    }
    if (status != WEIR_OK) {
        close_job(&job);
        return status;
    }
    *ret = job;
    return WEIR_OK;
}

static enum weir_status open_otlp10(const struct weir_cases_context *context,
                                    struct weir_cases_job *ret)
{
    return open_job(context, WEIR_INPUT_OTLP10, ret);
}

static enum weir_status open_otlp07(const struct weir_cases_context *context,
                                    struct weir_cases_job *ret)
{
    return open_job(context, WEIR_INPUT_OTLP07, ret);
}

static enum weir_status open_cwjson(const struct weir_cases_context *context,
                                    struct weir_cases_job *ret)
{
    return open_job(context, WEIR_INPUT_JSON, ret);
}

const struct weir_cases_case weir_cases_decode[] = {
    {"cwjson", "CloudWatch JSON records to runs", "memcpy", open_cwjson, close_job},
    {"otlp10", "OTLP 1.0 records to runs", "memcpy", open_otlp10, close_job},
    {"otlp07", "OTLP 0.7 records to runs", "memcpy", open_otlp07, close_job},
    {.name = NULL}};
