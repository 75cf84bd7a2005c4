/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BODY_H
#define WEIR_BODY_H

#include "weir/collect.h"
#include "weir/envelope.h"
#include "weir/gzip.h"

/*
 * A whole Firehose body to runs of points: inflate (or copy) into the arena, envelope, records,
 * runs. The one function that ingest, replay, `weir decode`, the tests and the fuzzers all call.
 * Pure: no clock, no log, no count; the arena is its only memory.
 */
struct weir_body_options {
    bool gzip;
    size_t body_limit; /* inflated bytes */
    struct weir_envelope_limits limits;
    struct weir_bytes source_arn; /* X-Amz-Firehose-Source-Arn or empty */
};

struct weir_body_result {
    struct weir_runs runs;
    const struct weir_tally *tally; /* in the arena */
    struct weir_bytes request_id;   /* the body's; empty when it had none */
    int64_t timestamp_ms;
    size_t inflated_bytes;
    const char *error; /* on WEIR_EMALFORMED and WEIR_ELIMIT: a sentence for the sender */
    size_t error_offset;
};

/* Decodes `body`, which is not changed. WEIR_OK; WEIR_EMALFORMED or WEIR_ELIMIT (the request is
 * damaged or over a limit: 400); WEIR_EFULL (no memory in the arena's budget: 503). On failure only
 * `error`, `error_offset` and, where it was read, `request_id` are set. The arena is fresh, and
 * after a failure only good for freeing. */
WEIR_MUST_USE enum weir_status weir_body_decode(struct weir_inflater *inflater,
                                                struct weir_arena *arena, struct weir_bytes body,
                                                const struct weir_body_options *options,
                                                struct weir_body_result *ret);

#endif
