/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_REPLY_H
#define WEIR_REPLY_H

#include "weir/bytes.h"

/*
 * An answer as Firehose accepts it: HTTP/1.1, Content-Type application/json, Content-Length, no
 * Content-Encoding, and exactly the keys requestId, timestamp (a number, ms) and, on failure only,
 * errorMessage. Firehose HTTP endpoint specification, "Response format". Pure.
 */
#define WEIR_REPLY_SIZE_MAX 4096

struct weir_reply {
    int code;
    struct weir_bytes request_id; /* echoed; empty where the request named none; cut at 256 bytes */
    int64_t timestamp_ms;         /* before 1970 it is 1970 */
    struct weir_bytes error_message; /* empty on 200; cut at 1024 bytes */
    bool keep_alive;
};

/* Writes the whole answer into `out` (WEIR_REPLY_SIZE_MAX bytes); returns its size. Cannot fail. */
size_t weir_reply_write(const struct weir_reply *reply, uint8_t *out);

/* The answer to GET /healthz on the ingest port. */
size_t weir_reply_health(bool ready, bool keep_alive, uint8_t *out);

/* "OK", "Bad Request", ...; static storage. */
const char *weir_reply_phrase(int code);

#endif
