/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_RESPONSE_H
#define WEIR_RESPONSE_H

#include "weir/transport.h"

/*
 * What a backend's answer means. Any 2xx is final; 429, 502, 503, 504 and lost or refused connections are retried; 401, 403,
 * 404 and 405 block the destination (a wrong token or URL must not turn the stream into dead letter); 413 splits; the rest is refused.
 * OTLP specification, "OTLP/HTTP Response"; bodies are ExportMetricsServiceResponse or google.rpc.Status, read with nanopb whose
 * callbacks cut long messages: a long message must not turn success into failure. A body that does not parse is ignored. Pure.
 */
enum weir_outcome {
    WEIR_OUTCOME_DELIVERED,
    WEIR_OUTCOME_PARTIAL,   /* 2xx, `rejected` points were not taken; never sent again */
    WEIR_OUTCOME_RETRYABLE,
    WEIR_OUTCOME_BLOCKED,   /* the destination, not this batch */
    WEIR_OUTCOME_TOO_LARGE, /* 413 */
    WEIR_OUTCOME_REFUSED,
    WEIR_OUTCOMES
};

#define WEIR_RESPONSE_MESSAGE_MAX 256

struct weir_response {
    enum weir_outcome outcome;
    uint32_t rejected;      /* points, of PARTIAL; at most the batch's */
    bool answer_lost;       /* RETRYABLE after something was sent: sending again may repeat */
    char reason[32];        /* closed list: "429", "timeout", "connect", "401", ... : the label and the log field */
    char message[WEIR_RESPONSE_MESSAGE_MAX]; /* the backend's or libcurl's words, cut, for the log; may be empty */
};

/* Classifies. `also_on` are further statuses to retry, 0-terminated, or NULL. `points` is how many the batch had: a partial
 * success that rejects all of them is a refusal. */
struct weir_response weir_response_read(const struct weir_transport_reply *reply, uint32_t points,
                                        const int *also_on);

/* "delivered", "partial", ...: the label of weir_export_requests_total. */
const char *weir_outcome_text(enum weir_outcome outcome);

#endif
