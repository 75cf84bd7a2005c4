/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_FUZZ_PLAIN_HTTP_H
#define WEIR_FUZZ_PLAIN_HTTP_H

/*
 * HTTP/1.1 read a second time, by plain means: nothing of src/http is used. The reader of requests
 * believes what it sees, so what a strict server answers 200 it finds as well. The reader of
 * answers is strict, and asserts.
 */
#include "weir/bytes.h"

enum { PLAIN_REQUESTS_MAX = 4096 };

struct plain_request {
    bool is_post;
    bool gzip;
    struct weir_bytes id;   /* X-Amz-Firehose-Request-Id, or empty */
    struct weir_bytes arn;  /* X-Amz-Firehose-Source-Arn, or empty */
    struct weir_bytes body; /* without chunks' framing */
};

/* The whole requests at the front of a stream; `chunks` (as large as the stream) is where chunked
 * bodies are put together. Views into both. */
uint32_t plain_requests(struct weir_bytes stream, uint8_t *chunks, struct plain_request *ret);

struct plain_answer {
    int status;
    bool closes;
    struct weir_bytes id; /* of the body; empty for a health check's */
    bool is_health;
};

/* Takes the next answer off the front of `rest`, behind any number of `100 Continue`; false: there
 * is none. Asserts its form: the status line, the headers, and a body of JSON with requestId and
 * timestamp. The body is changed in place. */
bool plain_answer(struct weir_bytes *rest, struct plain_answer *ret);

#endif
