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
    uint32_t content_crc; /* CRC-32 of the inflated body, as gzip has it */
    const char *error;    /* on WEIR_EMALFORMED and WEIR_ELIMIT: a sentence for the sender */
    size_t error_offset;
    bool is_crowded; /* on WEIR_ELIMIT: it holds too many parts or names, whatever its size */
};

/* Decodes `body`, which is not changed. WEIR_OK; WEIR_EMALFORMED or WEIR_ELIMIT (the request is
 * damaged or over a limit: 400); WEIR_EFULL (no memory in the arena's budget: 503). On failure only
 * the error and, where it was read, `request_id` are set. The arena is fresh, and
 * after a failure only good for freeing. */
WEIR_MUST_USE enum weir_status weir_body_decode(struct weir_inflater *inflater,
                                                struct weir_arena *arena, struct weir_bytes body,
                                                const struct weir_body_options *options,
                                                struct weir_body_result *ret);

/* One record, or a part of one that is no metric, as Firehose sent it: views into the arena. */
struct weir_body_piece {
    enum weir_quarantine reason; /* of a part */
    uint32_t index;              /* of the record in the request */
    struct weir_bytes record;    /* all of it */
    struct weir_bytes whole;     /* the part: a line or a message without its length; or all */
};

struct weir_body_visitor {
    void (*visit)(void *argument, const struct weir_body_piece *piece);
    void *argument;
};

/* Visits all that a decode of this body quarantines, in order, however much it is, with pristine
 * bytes: the decode, which unescapes JSON where it lies, works on a copy. Takes the memory of two
 * decodes. Statuses as above; what was visited before a failure is no less right. */
WEIR_MUST_USE enum weir_status weir_body_quarantined(struct weir_inflater *inflater,
                                                     struct weir_arena *arena,
                                                     struct weir_bytes body,
                                                     const struct weir_body_options *options,
                                                     const struct weir_body_visitor *visitor);

/* Visits all records of a body, in order, once all of it is known to be sound. Statuses as
 * above. */
WEIR_MUST_USE enum weir_status weir_body_records(struct weir_inflater *inflater,
                                                 struct weir_arena *arena, struct weir_bytes body,
                                                 const struct weir_body_options *options,
                                                 const struct weir_body_visitor *visitor);

#endif
