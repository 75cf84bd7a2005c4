/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_WORKER_H
#define WEIR_BENCH_WORKER_H

#include "sink/keep.h"
#include "sink/ledger.h"

/*
 * What a loop does with a batch: inflate, decode, check, book, and say what to answer. One worker
 * and one taken batch a thread at a time; a batch whose answer is to come later is detached.
 */
struct weir_sink_worker;
struct weir_sink_taken;

/* `keep` may be NULL. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_sink_worker_new(struct weir_sink_ledger *ledger,
                                                    struct weir_sink_keep *keep,
                                                    struct weir_sink_worker **ret);
/* NULL is nothing. */
void weir_sink_worker_free(struct weir_sink_worker *worker);

enum { WEIR_SINK_REPLY_MAX = 128 };

struct weir_sink_reply {
    enum { WEIR_SINK_ANSWER, WEIR_SINK_RESET, WEIR_SINK_CLOSE, WEIR_SINK_NEVER } act;
    uint32_t code;
    int32_t retry_after_s; /* -1: none */
    uint32_t delay_ms;
    bool is_json; /* the body, as the batch's was; else protobuf */
    size_t size;  /* of the body */
    uint8_t body[WEIR_SINK_REPLY_MAX];
};

/* How a batch came: its headers, empty where there are none. */
struct weir_sink_headers {
    struct weir_bytes type; /* application/json: OTLP/JSON; all else: protobuf */
    struct weir_bytes encoding;
};

/* Takes a batch. It is the worker's until weir_sink_worker_end or _detach, one of which must
 * follow. */
void weir_sink_worker_take(struct weir_sink_worker *worker, const struct weir_sink_headers *headers,
                           struct weir_bytes body, struct weir_sink_reply *ret);

/* The answer is given, or (`is_lost`) nobody was there to have it. */
void weir_sink_worker_end(struct weir_sink_worker *worker, bool is_lost);

/* The batch for an answer that comes later, then ended by weir_sink_taken_end. NULL: no memory, and
 * the batch is as it was. */
struct weir_sink_taken *weir_sink_worker_detach(struct weir_sink_worker *worker);
void weir_sink_taken_end(struct weir_sink_ledger *ledger, struct weir_sink_taken *taken,
                         bool is_lost);

#endif
