/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_BODY_H
#define WEIR_BENCH_BODY_H

#include "traffic/traffic.h"
#include "weir/buf.h"

/*
 * Points as AWS writes them: CloudWatch's JSON lines, OTLP 0.7 and 1.0 records, and the Firehose
 * body around them. Written from the formats' descriptions and not with Weir's own encoder, so that
 * one is a check of the other.
 *
 *   points ─► record, record, ...    as CloudWatch cuts them: one resource and one request each
 *          ─► {"requestId":"...","timestamp":...,"records":[{"data":"<base64>"},...]}  ─► gzip
 *
 * (Weir's own weir/body.h has weir_body_options; both headers go together in one file.)
 */
enum weir_body_format { WEIR_BODY_JSON, WEIR_BODY_OTLP07, WEIR_BODY_OTLP10, WEIR_BODY_MIXED };

struct weir_body_shape {
    enum weir_body_format format; /* mixed: record by record in turn */
    uint32_t points_per_record;   /* at least 1 */
    int gzip_level;               /* 0: not compressed, 1 .. 12 */
};

struct weir_body {
    uint64_t first; /* numbers of its points: [first, first + points) */
    uint32_t points;
    size_t record_bytes; /* what Firehose's buffer counts: the records before base64 */
    size_t json_bytes;   /* before gzip */
    size_t id_offset;    /* where the request id's WEIR_BODY_ID_SIZE characters stand in an
                            uncompressed body */
};

/* A request id's length: a UUID's. */
enum { WEIR_BODY_ID_SIZE = 36 };

/* Bytes that the points [first, first + count) take as records, in Firehose's count. O(count). */
size_t weir_body_record_bytes(const struct weir_traffic *traffic,
                              const struct weir_body_shape *shape, uint64_t first, uint32_t count);

/* Appends the body of the points that `first` and `points` of *body name, all of one stream, and
 * fills in its other fields. It has the id `request_id` (terminated, WEIR_BODY_ID_SIZE characters),
 * the timestamp of its first point, and is compressed as the shape says. WEIR_ENOMEM (the buffer's
 * own error is checked), WEIR_EINVAL (no such level); *body is untouched then. One thread a buffer.
 */
WEIR_MUST_USE enum weir_status weir_body_build(const struct weir_traffic *traffic,
                                               const struct weir_body_shape *shape,
                                               const char *request_id, struct weir_body *body,
                                               struct weir_buf *out);

/* What must arrive at a backend for a point, whatever format it was sent in: the content of its
 * SummaryDataPoint (OTLP 1.0). Appended to `out`. */
void weir_body_expected(const struct weir_traffic_point *point, struct weir_buf *out);

#endif
