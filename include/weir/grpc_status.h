/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_GRPC_STATUS_H
#define WEIR_GRPC_STATUS_H

#include "weir/response.h"

/*
 * What a gRPC backend's answer means.
 *
 *   not answered, an HTTP status that is not 200    as weir_response_read: its table and gRPC's own
 *                                                   (http-grpc-status-mapping) agree
 *   OK                                              DELIVERED, PARTIAL, REFUSED: by the message
 *   CANCELLED DEADLINE_EXCEEDED ABORTED
 *   OUT_OF_RANGE UNAVAILABLE DATA_LOSS              RETRYABLE
 *   RESOURCE_EXHAUSTED                              RETRYABLE with a RetryInfo; else TOO_LARGE
 *                                                   where its words are about the message's size
 *                                                   (OUT_OF_RANGE too); else REFUSED
 *   NOT_FOUND PERMISSION_DENIED UNAUTHENTICATED
 *   UNIMPLEMENTED                                   BLOCKED, as 404, 403, 401 are
 *   the rest                                        REFUSED
 *   no grpc-status at all                           BLOCKED where the answer is not of gRPC's
 *                                                   content type; else RETRYABLE, answer_lost
 *
 * OTLP specification, "OTLP/gRPC Response". A RetryInfo's delay is in retry_after_ns, of whatever
 * is RETRYABLE. Pure.
 */

/* Classifies. `also_on` are further codes, 1 to 16 (or HTTP statuses), to retry, 0-terminated, or
 * NULL. `points` as in weir_response_read. */
struct weir_response weir_grpc_status_read(const struct weir_transport_reply *reply,
                                           uint32_t points, const int *also_on);

#endif
