/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_REQUEST_H
#define WEIR_LOAD_REQUEST_H

#include "load/worker.h"

/*
 * A request and its body. The body is sent under a fresh id each time the request is begun; all its
 * attempts have the same.
 *
 *   idle ─begin─► flying ─200─► idle                        (accepted)
 *                  ▲  └─413───► idle                        (dropped)
 *                  │  └─else──► waiting ─window over─► idle (given up; to the backup)
 *                  └── its time has come ──┘
 */
enum { WEIR_LOAD_HEADERS = 8, WEIR_LOAD_MESSAGE = 512 };

struct weir_load_request {
    struct weir_load_request *next;
    struct weir_load_parcel parcel;
    struct weir_retry retry;
    int64_t intended_ns; /* when it was to be sent first */
    int64_t arrival_ms;
    bool unsure;       /* an attempt had no answer that tells */
    uint32_t accepted; /* times, of this body */
    uint32_t unsures;
    const char *error; /* Firehose's code for the last failure */
    char message[WEIR_LOAD_MESSAGE];
    char id_header[32 + WEIR_BODY_ID_SIZE];
    char arn_header[32 + WEIR_TRAFFIC_ARN_SIZE];
    const char *headers[WEIR_LOAD_HEADERS];
    struct weir_transport_target target;
};

/* Fills in target and headers, once. */
void weir_load_request_address(struct weir_load_request *request,
                               const struct weir_load_worker *worker);

/* Gives it a fresh id. */
void weir_load_request_begin(struct weir_load_request *request, struct weir_rand *rand,
                             int64_t intended_ns);

/* Whether the answer is what Firehose takes for a success: 200, with our request id in it. */
bool weir_load_request_accepted(const struct weir_load_request *request,
                                const struct weir_transport_reply *reply);

/* Keeps what the failure was: code, message, and whether the backend may have taken it. */
void weir_load_request_failed(struct weir_load_request *request,
                              const struct weir_transport_reply *reply);

/* Writes it to the backup. WEIR_EIO, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_load_request_back_up(struct weir_load_request *request,
                                                         struct weir_load_maker *maker,
                                                         const char *directory);

#endif
