/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_TRANSPORT_FLIGHT_H
#define WEIR_EXPORT_TRANSPORT_FLIGHT_H

#include "trailers.h"
#include "weir/transport.h"
#include <curl/curl.h>

/* One request of the transport over libcurl, and its answer so far. */
struct weir_transport_flight {
    struct weir_transport_flight *next;
    CURL *easy;
    struct curl_slist *headers;
    struct weir_transport_request request;
    uint8_t *body; /* BODY_MAX at most, kept for the next request */
    size_t body_size;
    size_t body_capacity;
    size_t dropped_bytes; /* of the body, beyond what is kept */
    size_t lines_bytes;   /* headers and trailers */
    uint32_t heads_sent;
    uint32_t tunnels_sent; /* CONNECT, which only a proxy sees */
    int64_t begun_ns;
    long upload_bytes;
    struct weir_trailers *trailers; /* once it has flown for gRPC */
    bool is_set;                    /* what is the same for every request */
    bool has_ca;                    /* a CA file has been set since */
    bool met_link_local;            /* an address was refused */
    char error[CURL_ERROR_SIZE];
};

/* Makes ready for libcurl what `flight` is to send; all but `easy` may be of a request before.
 * WEIR_ENOMEM, WEIR_EINVAL. */
WEIR_MUST_USE enum weir_status
weir_transport_flight_make(struct weir_transport_flight *flight,
                           const struct weir_transport_request *request);

/* What came of it, once libcurl has done with it. Views into the flight. */
void weir_transport_flight_read(const struct weir_transport_flight *flight, CURLcode code,
                                struct weir_transport_reply *ret);

/* Frees all of it; libcurl's multi handle does not know it any more. */
void weir_transport_flight_free(struct weir_transport_flight *flight);

#endif
