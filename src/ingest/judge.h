/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_INGEST_JUDGE_H
#define WEIR_INGEST_JUDGE_H

#include "weir/http_head.h"
#include "weir/session.h"

/*
 * What a request's head alone decides, before a byte of its body is read. Pure but for the keys.
 */
struct weir_judgement {
    int code;            /* 0: read the body; else the answer */
    const char *reason;  /* label of weir_requests_total */
    const char *message; /* for the sender */
    bool health;         /* GET /healthz: `code` is not used */
    bool gzip;
    struct weir_bytes request_id; /* views into the head */
    struct weir_bytes source_arn;
    struct weir_bytes common_attributes;
    const char *key_name; /* the keys'; NULL without keys, and for a key that is nobody's */
    struct weir_bytes forwarded_for; /* whom a balancer names; anybody can: for the log alone */
    struct weir_bytes path;          /* without its query, which may hold what no log should */
};

#define WEIR_REQUEST_ID_MAX    128
#define WEIR_SOURCE_ARN_MAX    512
#define WEIR_FORWARDED_FOR_MAX 64

/* Judges by `keys` (NULL: no lock), which the judgement's key_name belongs to. */
void weir_judge_head(const struct weir_session_context *context, const struct weir_keys *keys,
                     const struct weir_http_head *head, int64_t now_wall_ns,
                     struct weir_judgement *ret);

#endif
