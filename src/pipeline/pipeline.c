/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The room that reads like the flow: body in, promise out.
 *
 *   weir_pipeline_submit      received ─► decoded ─► reserved ─► (commit)
 *   weir_pipeline_committed                                        └─► published ─► answered
 *
 * Edges and who takes them:
 *   received  ─► decoded    decode_body              all or nothing: a damaged body changes nothing
 *   decoded   ─► reserved   weir_router_reserve      credit everywhere, or 503 and nothing held
 *   reserved  ─► committed  options.commit           the spool's seam; commit_to_memory where
 *                                                    durability is memory
 *   committed ─► answered   weir_pipeline_committed  publish (cannot fail), count, 200
 *   any       ─► refused    refuse                   one answer, everything given back
 *
 * Invariants
 *   I1  `answered` is called exactly once for each submit, and nothing of the submission is touched
 *       after it; until it returns, what the result views is there
 *   I2  nothing is visible to an exporter before the commit said WEIR_OK
 *   I3  the staging buffer is read-only from submit until the commit is over, then given back
 *       before publishing
 *   I4  what is counted as received was answered 200: a retried 503 is not counted twice
 *
 * Everything runs on the submitting loop's thread; workers share nothing but the router's rings and
 * credit. What it does not do: know HTTP, keys or sockets (ingest), or how a commit is made durable
 * (spool).
 */
#include "weir/pipeline.h"

#include "account.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include <stdio.h>

struct weir_pipeline {
    struct weir_pipeline_options options;
    struct weir_account *account;
};

struct weir_worker {
    struct weir_pipeline *pipeline;
    struct weir_home home;
    struct weir_inflater *inflater;
    struct weir_account_cache cache;
};

static void commit_to_memory(void *self, struct weir_spool_job *job)
{
    (void)self;
    job->status = WEIR_OK;
    job->done(job);
}

enum weir_status weir_pipeline_new(const struct weir_pipeline_options *options,
                                   struct weir_pipeline **ret)
{
    struct weir_pipeline *pipeline = weir_mem_zalloc(1, sizeof(*pipeline));
    if (pipeline == NULL) {
        return WEIR_ENOMEM;
    }
    pipeline->options = *options;
    if (pipeline->options.commit.commit == NULL) {
        pipeline->options.commit = (struct weir_commit){commit_to_memory, NULL};
    }
    enum weir_status status = weir_account_new(&pipeline->account);
    if (status != WEIR_OK) {
        weir_mem_free(pipeline);
        return status;
    }
    *ret = pipeline;
    return WEIR_OK;
}

void weir_pipeline_free(struct weir_pipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    weir_account_free(pipeline->account);
    weir_mem_free(pipeline);
}

enum weir_status weir_worker_new(struct weir_pipeline *pipeline, struct weir_home home,
                                 struct weir_worker **ret)
{
    struct weir_worker *worker = weir_mem_zalloc(1, sizeof(*worker));
    if (worker == NULL) {
        return WEIR_ENOMEM;
    }
    worker->pipeline = pipeline;
    worker->home = home;
    enum weir_status status = weir_inflater_new(&worker->inflater);
    if (status != WEIR_OK) {
        weir_mem_free(worker);
        return status;
    }
    weir_account_cache_init(&worker->cache);
    *ret = worker;
    return WEIR_OK;
}

void weir_worker_free(struct weir_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    weir_inflater_free(worker->inflater);
    weir_mem_free(worker);
}

/* The end of every submission. The arena goes last: the result, the body's request id above all, is
 * a view of it, and the submitter may look at it while it is told. */
static void answer(struct weir_submission *submission, const struct weir_answer *what)
{
    struct weir_arena *arena = submission->arena;
    weir_intake_release(&submission->intake);
    submission->arena = NULL;
    submission->answered(submission, what);
    weir_arena_unref(arena, 0);
}

static void refuse(struct weir_submission *submission, int code, const char *reason,
                   const char *message)
{
    struct weir_answer what = {.code = code, .reason = reason};
    (void)snprintf(what.message, sizeof(what.message), "%s", message);
    answer(submission, &what);
}

static void refuse_damaged(struct weir_submission *submission, enum weir_status status)
{
    struct weir_answer what = {.code = 400,
                               .reason = status == WEIR_ELIMIT ? "over_limit" : "damaged"};
    (void)snprintf(what.message, sizeof(what.message), "%s (at byte %zu of the inflated body)",
                   submission->result.error, submission->result.error_offset);
    answer(submission, &what);
}

static enum weir_status decode_body(struct weir_worker *worker, struct weir_submission *submission)
{
    const struct weir_pipeline_options *options = &worker->pipeline->options;
    const struct weir_body_options body = {.gzip = submission->gzip,
                                           .body_limit = options->body_limit,
                                           .limits = options->limits,
                                           .source_arn = submission->source_arn};
    struct weir_bytes raw = weir_bytes_of(submission->intake.region.data, submission->intake.size);
    WEIR_TRY(weir_arena_new(options->regions, weir_credit_budget(options->intake), 0,
                            &submission->arena));
    return weir_body_decode(worker->inflater, submission->arena, raw, &body, &submission->result);
}

/* A copy in the arena, or the empty view when that is full. */
static struct weir_bytes keep(struct weir_arena *arena, struct weir_bytes bytes)
{
    uint8_t *copy = bytes.size == 0 ? NULL : weir_arena_alloc(arena, bytes.size, 1);
    if (copy == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    memcpy(copy, bytes.data, bytes.size);
    return weir_bytes_of(copy, bytes.size);
}

/* Tells each run where it came from: log lines about its points are written when this request is
 * long over. */
static enum weir_status name_origin(struct weir_submission *submission)
{
    struct weir_arena *arena = submission->arena;
    struct weir_origin *origin =
        weir_arena_alloc(arena, sizeof(*origin), _Alignof(struct weir_origin));
    if (origin == NULL) {
        return WEIR_EFULL;
    }
    *origin = (struct weir_origin){.request_id = keep(arena, submission->request_id),
                                   .stream = keep(arena, submission->source_arn),
                                   .received_ns = submission->received_ns};
    struct weir_runs *runs = &submission->result.runs;
    for (uint32_t i = 0; i < runs->count; i++) {
        runs->runs[i].arena = arena;
        runs->runs[i].origin = origin;
    }
    return WEIR_OK;
}

static void on_done(struct weir_spool_job *job)
{
    struct weir_submission *submission =
        (struct weir_submission *)((char *)job - offsetof(struct weir_submission, job));
    struct weir_worker *worker = submission->worker;
    const struct weir_pipeline_options *options = &worker->pipeline->options;
    if (job->status != WEIR_OK) {
        weir_router_cancel(options->router, &submission->result.runs, &submission->reservation);
        refuse(submission, 503, "not_committed", "the request could not be made safe, try again");
        return;
    }
    weir_intake_release(&submission->intake);
    weir_account_request(worker->pipeline->account, &worker->cache, submission,
                         weir_clock_wall_ns());
    weir_router_publish(options->router, &submission->result.runs, &submission->reservation);
    answer(submission, &(struct weir_answer){.code = 200, .reason = "ok"});
}

void weir_pipeline_submit(struct weir_worker *worker, struct weir_submission *submission)
{
    const struct weir_pipeline_options *options = &worker->pipeline->options;
    submission->worker = worker;
    submission->arena = NULL;
    submission->result = (struct weir_body_result){.error = ""};

    enum weir_status status = decode_body(worker, submission);
    if (status == WEIR_EMALFORMED || status == WEIR_ELIMIT) {
        refuse_damaged(submission, status);
        return;
    }
    if (status == WEIR_OK) {
        status = name_origin(submission);
    }
    if (status != WEIR_OK) {
        refuse(submission, 503, "memory_intake", "no memory for this request now, try again");
        return;
    }
    struct weir_reservation *held = &submission->reservation;
    weir_router_reserve(options->router, submission->arena, &submission->result.runs,
                        submission->targets, held);
    if (held->live != held->wanted) {
        weir_router_cancel(options->router, &submission->result.runs, held);
        refuse(submission, 503, "memory_queued", "a destination's queue is full now, try again");
        return;
    }
    submission->job = (struct weir_spool_job){.done = on_done};
    options->commit.commit(options->commit.self, &submission->job);
}

void weir_pipeline_resume(struct weir_submission *submission)
{
    (void)submission;
}
