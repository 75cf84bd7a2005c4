/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_RESPONSE_H
#define WEIR_RESPONSE_H

#include "weir/transport.h"

/*
 * What a backend's answer means.
 *
 *   2xx                                   DELIVERED, PARTIAL, or REFUSED when all points were
 *                                         rejected: final
 *   429 502 503 504, lost, unreachable    RETRYABLE
 *   401 403 404 405 407, 3xx, TLS, URL    BLOCKED: a wrong token or URL must not become dead letter
 *   413                                   TOO_LARGE
 *   the rest                              REFUSED
 *
 * OTLP specification, "OTLP/HTTP Response". Bodies are ExportMetricsServiceResponse (2xx) or
 * google.rpc.Status, read with nanopb, or their JSON, told by its first byte, which no protobuf of
 * either begins with; messages are cut, so a long message never turns success into failure. A body
 * that does not parse changes nothing but the message. gRPC's answers: weir/grpc_status.h. Pure.
 */
enum weir_outcome {
    WEIR_OUTCOME_DELIVERED,
    WEIR_OUTCOME_PARTIAL, /* 2xx, `rejected` points were not taken; never sent again */
    WEIR_OUTCOME_RETRYABLE,
    WEIR_OUTCOME_BLOCKED,   /* the destination, not this batch */
    WEIR_OUTCOME_TOO_LARGE, /* 413 */
    WEIR_OUTCOME_REFUSED,
    WEIR_OUTCOMES
};

#define WEIR_RESPONSE_MESSAGE_MAX 256

struct weir_response {
    enum weir_outcome outcome;
    uint32_t rejected;      /* points, of PARTIAL; fewer than the batch's */
    int64_t retry_after_ns; /* asked for in the answer's content (RetryInfo); 0: nothing was */
    bool answer_lost;       /* RETRYABLE after something was sent: sending again may repeat */
    const char *reason;     /* static; "" when delivered; one of a closed list */
    char message[WEIR_RESPONSE_MESSAGE_MAX]; /* terminated UTF-8 without control characters, cut */
};

/* Classifies. `also_on` are further statuses to retry, 0-terminated, or NULL. `points` is how many
 * the batch had: a partial success that rejects all of them is a refusal. */
struct weir_response weir_response_read(const struct weir_transport_reply *reply, uint32_t points,
                                        const int *also_on);

/* "delivered", "partial", ...: the label of weir_export_requests_total. */
const char *weir_outcome_text(enum weir_outcome outcome);

#endif
