/* SPDX-License-Identifier: Apache-2.0 */
/* Runs to one encoded request: grouping, then gathering. */
#include "micro/cases.h"
#include "micro/rig.h"
#include "weir/mem.h"
#include "weir/panic.h"

struct batching {
    struct weir_rig rig;
    struct weir_input *input;
    struct weir_arena *arena;
    struct weir_runs runs;
    struct weir_buf out;
    struct weir_buf copy; /* the limit's */
};

static void prepare(void *state)
{
    struct batching *batching = state;
    weir_rig_retain(batching->arena, &batching->runs);
    batching->out.size = 0;
}

static void batch(void *state)
{
    struct batching *batching = state;
    weir_rig_batch(&batching->rig, &batching->runs, &batching->out);
}

static void limit(void *state)
{
    struct batching *batching = state;
    memcpy(batching->copy.data, batching->out.data, batching->out.size);
    __asm__ volatile("" : : "r"(batching->copy.data) : "memory");
}

static void close_job(struct weir_cases_job *job)
{
    struct batching *batching = job->work.state;
    if (batching != NULL) {
        weir_buf_done(&batching->out);
        weir_buf_done(&batching->copy);
        weir_arena_unref(batching->arena, 0);
        weir_input_free(batching->input);
        weir_rig_done(&batching->rig);
        weir_mem_free(batching);
    }
}

static enum weir_status fill(struct batching *batching)
{
    batching->arena = weir_rig_arena(&batching->rig);
    batching->runs = weir_rig_decode(&batching->rig, batching->arena, batching->input);
    size_t room = batching->runs.bytes * 4 + ((size_t)1 << 20);
    batching->out = weir_buf_grow_init(room);
    batching->copy = weir_buf_grow_init(room);
    bool got = weir_buf_reserve(&batching->out, room) != NULL &&
               weir_buf_reserve(&batching->copy, room) != NULL;
    return got ? WEIR_OK : WEIR_ENOMEM;
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    struct batching *batching = weir_mem_zalloc(1, sizeof *batching);
    if (batching == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_cases_job job = {
        .work = {.state = batching, .prepare = prepare, .subject = batch, .limit = limit}};
    weir_rig_init(&batching->rig);
    enum weir_status status = weir_cases_input(context, WEIR_INPUT_OTLP10, &batching->input);
    status = status == WEIR_OK ? fill(batching) : status;
    if (status != WEIR_OK) {
        close_job(&job);
        return status;
    }
    job.points = batching->runs.points;
    job.bytes = batching->runs.bytes;
    *ret = job;
    return WEIR_OK;
}

const struct weir_cases_case weir_cases_batch[] = {
    {"batch", "runs grouped into a batch, and the batch encoded", "memcpy", open_job, close_job},
    {.name = NULL}};
