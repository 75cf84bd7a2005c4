/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PIPELINE_H
#define WEIR_PIPELINE_H

#include "weir/body.h"
#include "weir/intake.h"
#include "weir/route.h"

/*
 * The flow of one request, from its whole body to its promise:
 *
 *   received ──decode──► decoded ──reserve──► reserved ──commit──► committed ──publish──► 200
 *       │                    │                    │
 *       │ damaged: 400       │ no room: 503       │ not committed: 503,
 *       │ no memory: 503     │                    │ the reservation is given back
 *
 * `commit` is the seam for the spool: it makes the request durable and then calls back, on the
 * submitting thread. With durability: memory it calls back at once. Publishing cannot fail, so a
 * 200 follows every commit.
 */
struct weir_pipeline;
struct weir_worker; /* a thread's share of the pipeline: its inflater */

/* Why a request was answered as it was: status code, the label for weir_requests_total{reason},
 * and words for the sender. */
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

    /* The pipeline's own, from submit to answered. */
    struct weir_worker *worker;
    struct weir_arena *arena;
    struct weir_body_result result;
};

/* Makes a request durable, then calls weir_pipeline_committed with the result, on the submitting
 * thread. */
struct weir_commit {
    void (*commit)(void *self, struct weir_submission *submission);
    void *self;
};

struct weir_pipeline_options {
    struct weir_router *router;
    struct weir_regions *regions;
    struct weir_credit *intake; /* who pays for arenas until they are queued */
    struct weir_namespaces *namespaces;
    size_t body_limit; /* inflated bytes */
    struct weir_envelope_limits limits;
    struct weir_commit commit; /* zeroed: durability: memory */
};

/* WEIR_ENOMEM. What the options point to must outlive the pipeline. */
WEIR_MUST_USE enum weir_status weir_pipeline_new(const struct weir_pipeline_options *options,
                                                 struct weir_pipeline **ret);
void weir_pipeline_free(struct weir_pipeline *pipeline);

/* A worker for the calling thread. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_worker_new(struct weir_pipeline *pipeline,
                                               struct weir_worker **ret);
void weir_worker_free(struct weir_worker *worker);

/* Takes a whole request through the flow. */
void weir_pipeline_submit(struct weir_worker *worker, struct weir_submission *submission);

/* The commit's completion. */
void weir_pipeline_committed(struct weir_submission *submission, enum weir_status status);

#endif
