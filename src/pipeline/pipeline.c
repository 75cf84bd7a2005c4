/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The room that reads like the flow: body in, promise out.
 *
 *   weir_pipeline_submit   received ─► waiting ┐
 *   weir_worker_turn                           ├─► decoded ─► reserved ─► (commit)
 *                                                                ┆ other threads: job.done,
 *                                                                ┆ job.delivered ─► home.post
 *   weir_pipeline_resume                 answered ◄─ published ◄─┘
 *
 * Edges and who takes them:
 *   received  ─► waiting    weir_pace_hold   while the queues are crowded (pace.c)
 *   received, waiting
 *             ─► decoded    decode_body   all or nothing: a damaged body changes nothing
 *   decoded   ─► chosen     choose        where its stream and attributes let it go
 *   chosen    ─► refused    a tenant that it names is not there yet: 503 tenant_starting
 *   chosen    ─► reserved   reserve       with durability: disk a destination without room is owed
 *                                         the request and not live; else 503 and nothing is held
 *   reserved  ─► committing commit_it     the spool's lane; commit_to_memory where there is none
 *   committing ─► published conclude      OK: publish (cannot fail), count
 *   committing ─► cancelled conclude      EEXIST: seen before. The reservation is given back
 *   published, cancelled
 *             ─► answered   weir_pipeline_resume: 200; with durability: delivered when the job's
 *                           `delivered` says so, and 503 when that says no
 *   any       ─► refused    refuse        one answer, everything given back
 *
 * Invariants
 *   I1  `answered` is called exactly once for each submit, and nothing of the submission is touched
 *       after it; until it returns, what the result views is there
 *   I2  nothing is visible to an exporter before the commit said WEIR_OK
 *   I3  the staging buffer is read-only from submit until the commit is over, then given back
 *       before publishing
 *   I4  what is counted as received was answered 200 or is exported: a retried 503 is not counted
 *       twice, a repetition not again
 *   I5  the set of destinations that a request was chosen by is held from then until it has been
 *       published or cancelled: a lane that commits what is owed to a slot does so under it
 *   I6  a submission is posted home at most once until it is resumed, and after the callback that
 *       posted it the callback's thread touches it no more
 *
 * Events of a job are bits in one atomic word. The callback that finds POSTED unset sets it and
 * posts; resume takes all bits at once. So two callbacks on two threads are one or two visits home,
 * and DELIVERED may be seen before DONE.
 *
 * Submit and resume run on the submitting loop's thread; workers share nothing but the router's
 * rings and credit. What it does not do: know HTTP, keys or sockets (ingest), or how a commit is
 * made durable (spool).
 */
#include "weir/pipeline.h"

#include "denied.h"
#include "pipeline_internal.h"
#include "quarantine.h"
#include "weir/clock.h"
#include "weir/frame.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include <stdatomic.h>
#include <stdio.h>

enum {
    EVENT_DONE = 1,
    EVENT_DELIVERED = 2,
    EVENT_TIMED_OUT = 4,
    EVENT_CLOSED = 8,
    EVENT_POSTED = 16,
    EVENTS_DELIVERED = EVENT_DELIVERED | EVENT_TIMED_OUT | EVENT_CLOSED
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
        pipeline->options.durability = WEIR_DURABILITY_MEMORY;
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
    WEIR_ASSERT(worker->waiting_first == NULL);
    weir_inflater_free(worker->inflater);
    weir_mem_free(worker);
}

/* The end of every submission. The arena goes last: the result, the body's request id above all, is
 * a view of it, and the submitter may look at it while it is told. */
static void answer(struct weir_submission *submission, const struct weir_answer *what)
{
    struct weir_arena *arena = submission->arena;
    weir_intake_release(&submission->intake);
    weir_router_release(submission->worker->pipeline->options.router, &submission->choice);
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
    const char *reason = submission->result.is_crowded ? "too_many"
                         : status == WEIR_ELIMIT       ? "over_limit"
                                                       : "damaged";
    struct weir_answer what = {.code = 400, .reason = reason};
    (void)snprintf(what.message, sizeof(what.message), "%s (at byte %zu of the inflated body)",
                   submission->result.error, submission->result.error_offset);
    answer(submission, &what);
}

static void answer_good(struct weir_submission *submission)
{
    bool is_repeated = submission->job.status == WEIR_EEXIST;
    answer(submission,
           &(struct weir_answer){.code = 200, .reason = is_repeated ? "repeated" : "ok"});
}

static struct weir_body_options body_options(const struct weir_submission *submission)
{
    const struct weir_pipeline_options *options = &submission->worker->pipeline->options;
    return (struct weir_body_options){.gzip = submission->gzip,
                                      .body_limit = options->body_limit,
                                      .limits = options->limits,
                                      .source_arn = submission->source_arn};
}

/* The chunks of a small body's arena. Beside its text and some 300 bytes for each point it holds
 * tables of a fixed size, 24 KiB in all: requests of a few points come by the thousand between two
 * batches, and with the usual chunk they would be most of the queued memory, and in nobody's cache.
 */
#define SMALL_BODY_BYTES  ((size_t)2 << 10)
#define SMALL_CHUNK_BYTES ((size_t)32 << 10)

static enum weir_status decode_body(struct weir_worker *worker, struct weir_submission *submission)
{
    const struct weir_pipeline_options *options = &worker->pipeline->options;
    const struct weir_body_options body = body_options(submission);
    struct weir_bytes raw = weir_intake_body(&submission->intake);
    WEIR_TRY(weir_arena_new(options->regions, weir_credit_budget(options->intake),
                            raw.size <= SMALL_BODY_BYTES ? SMALL_CHUNK_BYTES : 0,
                            &submission->arena));
    return weir_body_decode(worker->inflater, submission->arena, raw, &body, &submission->result);
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
    *origin = (struct weir_origin){.request_id = weir_arena_keep(arena, submission->job.request_id),
                                   .stream = weir_arena_keep(arena, submission->source_arn),
                                   .received_ns = submission->received_ns};
    struct weir_runs *runs = &submission->result.runs;
    for (uint32_t i = 0; i < runs->count; i++) {
        runs->runs[i].arena = arena;
        runs->runs[i].origin = origin;
    }
    submission->origin = origin;
    return WEIR_OK;
}

static bool is_quarantined(const struct weir_tally *tally)
{
    for (int reason = 0; reason < WEIR_QUARANTINE_REASONS; reason++) {
        if (tally->quarantined[reason] > 0) {
            return true;
        }
    }
    return false;
}

static const struct weir_pipeline_options *options_of(const struct weir_submission *submission)
{
    return &submission->worker->pipeline->options;
}

static void cancel(struct weir_submission *submission)
{
    weir_router_cancel(options_of(submission)->router, &submission->result.runs,
                       &submission->reservation);
}

/* Without a place on disk, what was quarantined is put into the dead letter now. */
static void keep_quarantined(struct weir_submission *submission)
{
    const struct weir_pipeline_options *options = options_of(submission);
    if (options->durability == WEIR_DURABILITY_DISK || options->letterbox == NULL ||
        !is_quarantined(submission->result.tally)) {
        return;
    }
    const struct weir_quarantine_source source = {.inflater = submission->worker->inflater,
                                                  .regions = options->regions,
                                                  .budget = weir_credit_budget(options->intake),
                                                  .body = submission->job.body,
                                                  .options = body_options(submission),
                                                  .request_id = submission->job.request_id,
                                                  .arrival_wall_ns =
                                                      submission->job.received_wall_ns};
    weir_quarantine_post(&source, options->letterbox);
}

static void publish(struct weir_submission *submission)
{
    struct weir_worker *worker = submission->worker;
    submission->origin->ticket = submission->job.ticket;
    keep_quarantined(submission);
    weir_denied_keep(submission, submission->worker->inflater, options_of(submission));
    weir_intake_release(&submission->intake);
    weir_account_request(worker->pipeline->account, &worker->cache, submission,
                         weir_clock_wall_ns());
    weir_router_publish(options_of(submission)->router, &submission->result.runs,
                        &submission->reservation);
}

static void refuse_uncommitted(struct weir_submission *submission)
{
    switch ((int)submission->job.status) {
    case WEIR_EFULL:
        refuse(submission, 503, "spool_full", "the spool is full now, try again");
        break;
    case WEIR_ELIMIT:
        refuse(submission, 400, "over_limit", "the request's headers are too large to be kept");
        break;
    default:
        refuse(submission, 503, "spool_failed", "the request could not be made safe, try again");
        break;
    }
}

/* While it waits, its memory is the exporters' alone: what they are done with, or what was seen
 * before, need not stay for the 150 s that a delivery may take. Only an id out of the body is
 * needed until the answer. */
static void wait_without_arena(struct weir_submission *submission)
{
    if (submission->request_id.size > 0) {
        submission->result = (struct weir_body_result){.error = ""};
        weir_arena_unref(submission->arena, 0);
        submission->arena = NULL;
    }
}

/* The commit is over. True when that is not the answer yet: the delivery is. */
static bool conclude(struct weir_submission *submission)
{
    enum weir_status status = submission->job.status;
    if (status != WEIR_OK) {
        cancel(submission);
        submission->reservation.live = 0;
    }
    if (status != WEIR_OK && status != WEIR_EEXIST) {
        refuse_uncommitted(submission);
        return false;
    }
    if (status == WEIR_OK) {
        publish(submission);
    }
    weir_intake_release(&submission->intake);
    weir_router_release(options_of(submission)->router, &submission->choice);
    if (options_of(submission)->durability == WEIR_DURABILITY_DELIVERED) {
        wait_without_arena(submission);
        return true;
    }
    answer_good(submission);
    return false;
}

/* What became of what was published. */
static void answer_delivered(struct weir_submission *submission)
{
    if ((submission->seen & EVENT_DELIVERED) != 0) {
        answer_good(submission);
    } else if ((submission->seen & EVENT_TIMED_OUT) != 0) {
        refuse(submission, 503, "not_delivered",
               "not every destination has taken this request in time, try again");
    } else {
        refuse(submission, 503, "stopping", "this instance is shutting down, try another");
    }
}

void weir_pipeline_resume(struct weir_submission *submission)
{
    /* acquire: pairs with the release in happened, so what the callbacks wrote is seen; release:
     * so that the next post comes after this */
    uint32_t events = atomic_exchange_explicit(&submission->events, 0, memory_order_acq_rel);
    bool is_done = (events & EVENT_DONE) != 0;
    submission->seen |= events;
    if (is_done && !conclude(submission)) {
        return; /* answered: it is the submitter's again */
    }
    if ((submission->seen & EVENT_DONE) != 0 && (submission->seen & EVENTS_DELIVERED) != 0) {
        answer_delivered(submission);
    }
}

/* Something happened to a job, on any thread: brings its submission home, if it is not on its way
 * there already. */
static void happened(struct weir_spool_job *job, uint32_t event)
{
    struct weir_submission *submission =
        (struct weir_submission *)(void *)((char *)job - offsetof(struct weir_submission, job));
    const struct weir_home home = submission->worker->home;
    /* release: pairs with the acquire in resume; acquire: the word is everybody's in turn */
    uint32_t before =
        atomic_fetch_or_explicit(&submission->events, event | EVENT_POSTED, memory_order_acq_rel);
    if ((before & EVENT_POSTED) != 0) {
        return; /* it may be gone by now */
    }
    if (home.post == NULL) {
        weir_pipeline_resume(submission); /* a commit that calls back on the spot */
    } else {
        home.post(home.self, submission);
    }
}

static void on_done(struct weir_spool_job *job)
{
    happened(job, EVENT_DONE);
}

static void on_delivered(struct weir_spool_job *job, enum weir_status status)
{
    uint32_t event = EVENT_CLOSED;
    if (status == WEIR_OK) {
        event = EVENT_DELIVERED;
    } else if (status == WEIR_ETIMEOUT) {
        event = EVENT_TIMED_OUT;
    }
    happened(job, event);
}

/* Hands the request to the lane. Nothing of the submission may be touched afterwards. */
static void commit_it(struct weir_submission *submission)
{
    const struct weir_pipeline_options *options = options_of(submission);
    const struct weir_reservation *held = &submission->reservation;
    struct weir_spool_job *job = &submission->job;
    job->body = weir_intake_body(&submission->intake);
    job->margins = weir_intake_margins(&submission->intake);
    _Static_assert(WEIR_INTAKE_LEAD == WEIR_DISK_BLOCK, "the margin is the block before");
    job->gzip = submission->gzip;
    job->stream = submission->source_arn;
    job->key_name = submission->key_name;
    job->attributes = submission->common_attributes;
    job->content_crc = submission->result.content_crc;
    job->content_size = submission->result.inflated_bytes;
    job->points = submission->result.runs.points;
    job->received_ns = submission->received_ns;
    job->received_wall_ns = weir_clock_wall_ns();
    job->owed = held->wanted;
    if (options->durability == WEIR_DURABILITY_DISK && is_quarantined(submission->result.tally)) {
        job->owed |= WEIR_OWED_LETTER;
    }
    job->live = held->live;
    job->live_points = held->points;
    job->done = on_done;
    job->delivered = on_delivered;
    options->commit.commit(options->commit.self, job);
}

static enum weir_status choose(struct weir_submission *submission)
{
    if (submission->targets != WEIR_TARGETS_ALL) {
        weir_router_hold(options_of(submission)->router, submission->targets, &submission->choice);
        return WEIR_OK;
    }
    const struct weir_route_request request = {.targets = submission->targets,
                                               .source_arn = submission->source_arn,
                                               .attributes = submission->common_attributes,
                                               .key_name = submission->key_name};
    return weir_router_choose(options_of(submission)->router, submission->arena, &request,
                              &submission->choice);
}

/* False when it was refused. */
static bool reserve(struct weir_submission *submission)
{
    const struct weir_pipeline_options *options = options_of(submission);
    struct weir_reservation *held = &submission->reservation;
    weir_router_reserve(options->router, submission->arena, &submission->result.runs,
                        &submission->choice, held);
    weir_denied_part(submission, options->durability == WEIR_DURABILITY_DISK);
    if (held->live == held->wanted || options->durability == WEIR_DURABILITY_DISK) {
        return true;
    }
    cancel(submission);
    refuse(submission, 503, "memory_queued", "a destination's queue is full now, try again");
    return false;
}

void weir_pipeline_begin(struct weir_submission *submission)
{
    enum weir_status status = decode_body(submission->worker, submission);
    if (status == WEIR_EMALFORMED || status == WEIR_ELIMIT) {
        refuse_damaged(submission, status);
        return;
    }
    submission->job.request_id =
        submission->request_id.size > 0 ? submission->request_id : submission->result.request_id;
    if (status == WEIR_OK) {
        status = name_origin(submission);
    }
    if (status == WEIR_OK) {
        status = choose(submission);
    }
    if (status != WEIR_OK) {
        refuse(submission, 503, "memory_intake", "no memory for this request now, try again");
        return;
    }
    if (submission->choice.is_starting) {
        refuse(submission, 503, "tenant_starting", "the way to this endpoint is made, try again");
    } else if (reserve(submission)) {
        commit_it(submission);
    }
}

void weir_pipeline_submit(struct weir_worker *worker, struct weir_submission *submission)
{
    submission->worker = worker;
    submission->arena = NULL;
    submission->choice = (struct weir_route_choice){.plan = NULL};
    submission->result = (struct weir_body_result){.error = ""};
    submission->job = (struct weir_spool_job){.status = WEIR_OK};
    submission->seen = 0;
    /* relaxed: nobody else knows the submission yet */
    atomic_store_explicit(&submission->events, 0, memory_order_relaxed);
    if (!weir_pace_hold(worker, submission)) {
        weir_pipeline_begin(submission);
    }
}
