/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HTTP_HEAD_H
#define WEIR_HTTP_HEAD_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * A strict reader of HTTP/1.1 request heads (RFC 9112), from one buffer, as views. What other
 * readers let pass is refused here: bare LF, obs-fold, white space before a colon, controls in
 * values, two or no Host, both Content-Length and Transfer-Encoding, two Content-Lengths, any
 * Transfer-Encoding but `chunked`, HTTP versions but 1.1 (and 1.0 for health checks), targets that
 * are not in origin form. So what a proxy in front saw is what we see. Pure.
 */
#define WEIR_HTTP_FIELDS_MAX 100

enum weir_http_framing { WEIR_HTTP_NO_BODY, WEIR_HTTP_LENGTH, WEIR_HTTP_CHUNKED };

struct weir_http_field {
    struct weir_bytes name;  /* as sent; compare without case */
    struct weir_bytes value; /* white space at both ends removed */
};

struct weir_http_head {
    struct weir_bytes method;
    struct weir_bytes
        path; /* the target before `?`, byte for byte, nothing decoded or normalised */
    struct weir_bytes query; /* after `?`, or empty */
    enum weir_http_framing framing;
    uint64_t content_length; /* of WEIR_HTTP_LENGTH */
    bool keep_alive;
    bool expect_continue; /* a 100 is waited for; never where no body follows */
    size_t size;          /* bytes of the whole head, its empty line included */
    uint32_t field_count;
    struct weir_http_field fields[WEIR_HTTP_FIELDS_MAX];
};

/* Looks for the end of the head in `input`, beginning at *scanned (0 at first; moved on for the
 * next call). WEIR_OK when a whole head is there, WEIR_EAGAIN when more is needed, WEIR_EMALFORMED
 * at once for what can no longer become a head (a first byte that no method has, an HTTP/2 preface,
 * a bare LF). Never looks at a byte twice. */
WEIR_MUST_USE enum weir_status weir_http_head_scan(struct weir_bytes input, size_t *scanned,
                                                   size_t *ret_size);

/* Parses a whole head of `size` bytes as found by the scan. WEIR_EMALFORMED, WEIR_ELIMIT (fields),
 * WEIR_EUNSUPPORTED (HTTP version, transfer coding, expectation): *ret_reason is a static sentence
 * for the answer, and *ret undefined. The views live as long as `head`. */
WEIR_MUST_USE enum weir_status
weir_http_head_parse(struct weir_bytes head, struct weir_http_head *ret, const char **ret_reason);

/* The first field of this name (lower case literal), or NULL. */
const struct weir_http_field *weir_http_head_field(const struct weir_http_head *head,
                                                   struct weir_bytes name);

#endif
