/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PIPELINE_H
#define WEIR_PIPELINE_H

#include "weir/body.h"
#include "weir/intake.h"
#include "weir/letterbox.h"
#include "weir/route.h"
#include "weir/spool.h"

/*
 * The flow of one request, from its whole body to its promise:
 *
 *   received ──decode──► decoded ──reserve──► reserved ──commit──► committed ──publish──► 200
 *       │                    │                    │ │                             └─ delivered: 200
 *       │ damaged: 400       │ no room: 503       │ └ seen before: cancelled, 200    when settled,
 *       │ no memory: 503     │ (disk: disk-only)  │ not committed: cancelled, 503    503 in time
 *
 * Where destinations take less than comes in, a request waits for its turn before it is decoded
 * (src/pipeline/pace.c). A destination without room in memory is taken disk-only with durability:
 * disk, and is a 503 without. `commit` hands the request to the spool's lane, which decides, on its
 * own thread, whether it is a repetition, makes it durable, and calls back. Publishing cannot fail,
 * so a 200 follows every commit.
 */
struct weir_pipeline;
struct weir_worker; /* a thread's share of the pipeline: its inflater */

/* Why a request was answered as it was: status code, the label for weir_requests_total{reason},
 * and words for the sender. The reasons:
 *
 *   200  ok, repeated
 *   400  damaged, over_limit, too_many
 *   503  memory_intake, memory_queued, spool_full, spool_failed, tenant_starting;
 *        delivered: not_delivered, stopping
 */
struct weir_answer {
    int code;
    const char *reason;
    char message[192]; /* empty on success; no secrets, no input bytes */
};

/* A request on its way; in the submitter's memory, which stays until `answered` is called. */
struct weir_submission {
    struct weir_intake intake; /* the body; the pipeline releases it when it is done with it */
    bool gzip;
    struct weir_bytes request_id; /* the header's; the submitter's memory, as all views here */
    struct weir_bytes source_arn;
    struct weir_bytes common_attributes;
    struct weir_bytes key_name;
    int64_t received_ns; /* monotonic */
    /* Called exactly once, on the submitting thread, possibly before weir_pipeline_submit
     * returns. */
    void (*answered)(struct weir_submission *submission, const struct weir_answer *answer);

    /* Destinations it may go to: WEIR_TARGETS_ALL. Fewer for a replay of what was meant for them:
     * then stream and attributes have been asked before, and are not any more. */
    uint64_t targets;

    /* The pipeline's own, from submit to answered. */
    struct weir_worker *worker;
    struct weir_arena *arena;
    struct weir_body_result result;
    struct weir_origin *origin; /* of all its runs; in the arena */
    struct weir_route_choice choice;
    struct weir_reservation reservation;
    struct weir_submission *next; /* that waits, too */
    int64_t waiting_ns;           /* since when */
    uint64_t denied; /* templates none of whose tenants may have what they want of it */
    struct weir_spool_job job;
    _Atomic uint32_t events; /* of the job, not looked at yet */
    uint32_t seen;           /* those that were */
};

/* Makes a request durable: hands submission->job, filled in, to the spool's lane. With the job's
 * callbacks the submission finds its way back to the submitting thread: see struct weir_home. */
struct weir_commit {
    void (*commit)(void *self, struct weir_spool_job *job);
    void *self;
};

/* How a submission comes back to the thread it was submitted on: `post` is called on any thread, at
 * most once until weir_pipeline_resume(submission) has been called there. `alarm` is called on that
 * thread, and weir_worker_turn is to be called there once, so much later; a later call replaces an
 * earlier one. NULL: no submission of this worker ever waits to begin. */
struct weir_home {
    void (*post)(void *self, struct weir_submission *submission);
    void *self;
    void (*alarm)(void *self, int64_t delay_ns);
};

struct weir_pipeline_options {
    struct weir_router *router;
    struct weir_regions *regions;
    struct weir_credit *intake; /* who pays for arenas until they are queued */
    struct weir_namespaces *namespaces;
    size_t body_limit; /* inflated bytes */
    struct weir_envelope_limits limits;
    enum weir_durability durability;
    struct weir_commit commit;        /* zeroed: nothing is made durable, repeats are not known */
    struct weir_letterbox *letterbox; /* where quarantined data goes without a spool on disk; or
                                         NULL: counted and logged only */
};

/* WEIR_ENOMEM. What the options point to must outlive the pipeline. */
WEIR_MUST_USE enum weir_status weir_pipeline_new(const struct weir_pipeline_options *options,
                                                 struct weir_pipeline **ret);
void weir_pipeline_free(struct weir_pipeline *pipeline);

/* A worker for the calling thread, which completions come back to by way of `home`. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_worker_new(struct weir_pipeline *pipeline,
                                               struct weir_home home, struct weir_worker **ret);
/* None of its submissions may be under way (asserted of those that wait). NULL is nothing. */
void weir_worker_free(struct weir_worker *worker);

/* Takes a whole request through the flow. Where destinations take less than comes in, it waits for
 * its turn first, for a second at most. */
void weir_pipeline_submit(struct weir_worker *worker, struct weir_submission *submission);

/* Goes on with a submission whose job had an event. The submitting thread. */
void weir_pipeline_resume(struct weir_submission *submission);

/* The alarm has rung: begins with those that have waited for their turn, as far as there is room.
 * The worker's thread. */
void weir_worker_turn(struct weir_worker *worker);

/* From now on no submission of this worker waits to begin; those that do are begun at the alarm,
 * which is set to now. The worker's thread. */
void weir_worker_hurry(struct weir_worker *worker);

#endif
