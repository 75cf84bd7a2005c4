/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HTTP_FRAMING_H
#define WEIR_HTTP_FRAMING_H

#include "weir/bytes.h"
#include "weir/http_head.h"

/*
 * Where a request's body ends: Content-Length or chunked (RFC 9112 sections 6 and 7), fed with
 * whatever the socket gave, byte by byte or whole, always with the same result. Strict: CRLF only,
 * chunk sizes of 1..16 hex digits without sign or prefix, at most 256 bytes of extensions a chunk
 * and none with controls or bare CR, no trailer fields, and chunks may not be so small that framing
 * is more than four fifths of the bytes (after the first 4 KiB). Pure.
 */
struct weir_http_body {
    enum weir_http_framing framing;
    uint8_t state;
    uint8_t digits;
    uint16_t extension_size;
    uint64_t left;           /* of the body, or of the current chunk */
    uint64_t payload_bytes;  /* delivered so far */
    uint64_t overhead_bytes; /* framing so far */
};

/* Begins the body that `head` announces. */
void weir_http_body_init(struct weir_http_body *body, const struct weir_http_head *head);

/* Consumes from the front of `input`: *ret_consumed bytes in all, of which *ret_payload is a view
 * of at most one contiguous run of body bytes. Call again with the rest until it says otherwise.
 * WEIR_EAGAIN: all input consumed or one payload run returned, and the body goes on.
 * WEIR_OK: the body is complete (payload may hold its last run); what is left of the input belongs
 * to the next request. WEIR_EMALFORMED: *ret_reason is a static sentence; the connection cannot be
 * used further. */
WEIR_MUST_USE enum weir_status weir_http_body_feed(struct weir_http_body *body,
                                                   struct weir_bytes input, size_t *ret_consumed,
                                                   struct weir_bytes *ret_payload,
                                                   const char **ret_reason);

#endif
