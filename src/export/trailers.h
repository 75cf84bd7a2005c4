/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_TRAILERS_H
#define WEIR_EXPORT_TRAILERS_H

#include "weir/bytes.h"

/*
 * What gRPC says in a response's headers and trailers, picked out of the lines as they come (gRPC
 * over HTTP2, "Responses"). Only these fields are kept, each bounded. Pure.
 */
enum { WEIR_TRAILERS_MESSAGE_MAX = 1024, WEIR_TRAILERS_DETAILS_MAX = 8192 };

struct weir_trailers {
    bool has_status;
    bool is_grpc; /* Content-Type: application/grpc, with or without +proto */
    int status;   /* what is no number is 2, UNKNOWN */
    uint32_t message_size;
    uint32_t details_size;
    uint8_t message[WEIR_TRAILERS_MESSAGE_MAX]; /* percent-encoded, cut */
    uint8_t details[WEIR_TRAILERS_DETAILS_MAX]; /* base64; what is longer is left out */
};

/* Forgets what was taken. */
void weir_trailers_clear(struct weir_trailers *trailers);

/* Takes a header's line, with or without its line break. A status line begins a response anew. */
void weir_trailers_take(struct weir_trailers *trailers, struct weir_bytes line);

#endif
