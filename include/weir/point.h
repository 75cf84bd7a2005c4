/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POINT_H
#define WEIR_POINT_H

#include "weir/arena.h"
#include "weir/hash.h"

/*
 * A data point as views, and what it hangs on. Nothing here owns anything: all of it lives in one
 * request's arena.
 *
 *   run ──► point  point  point ...        one run for each (resource, namespace) of a request
 *             │ data ──► encoded data point: SummaryDataPoint, NumberDataPoint, ... (OTLP 1.0)
 *             └ metric ─► scope ─► resource   each is "every field but the children", encoded
 *
 * So an OTLP message is put together again by concatenation: the head bytes of each level, then the
 * children as length-delimited fields. Two metrics are the same when all their head bytes are;
 * `hash` stands for that.
 */

/* ResourceMetrics (opentelemetry/proto/metrics/v1) without scope_metrics (field 2). */
struct weir_resource {
    struct weir_bytes head;
    struct weir_bytes account; /* cloud.account.id and cloud.region, for counting; may be empty */
    struct weir_bytes region;
    uint64_t hash; /* of head */
};

/* ScopeMetrics without metrics (field 2). Often empty. */
struct weir_scope {
    const struct weir_resource *resource;
    struct weir_bytes head;
    uint64_t hash; /* of resource and head */
};

/* The Metric message (field numbers of its oneof `data`). */
enum weir_metric_data {
    WEIR_METRIC_GAUGE = 5,
    WEIR_METRIC_SUM = 7,
    WEIR_METRIC_HISTOGRAM = 9,
    WEIR_METRIC_EXPONENTIAL_HISTOGRAM = 10,
    WEIR_METRIC_SUMMARY = 11
};

struct weir_metric {
    const struct weir_scope *scope;
    struct weir_bytes head; /* Metric without its data field: name, unit, unknown fields, ... */
    struct weir_bytes
        data_head; /* the data message without data_points (field 1): temporality, ... */
    enum weir_metric_data data;
    uint64_t hash; /* of scope, head, data and data_head */
};

/* One data point: `size` bytes of content at `data`, without tag and length. */
struct weir_point {
    const uint8_t *data;
    uint32_t size;
    uint32_t run; /* index into the request's runs, while decoding */
    const struct weir_metric *metric;
};

struct weir_ticket;

/* Where points came from, for log lines about them much later. Views into the arena. */
struct weir_origin {
    struct weir_bytes request_id;
    struct weir_bytes stream;   /* the delivery stream's name or ARN */
    int64_t received_ns;        /* monotonic: when the request's head was read */
    struct weir_ticket *ticket; /* the spool's account of the request (weir/manifest.h), or NULL */
    int64_t used_ns; /* of the retry window, before a restart; 0 for what comes in live */
};

/* The points of one request that share resource and namespace, those of one metric together:
 * metrics in the order of their first points, and a metric's points in the order they came. */
struct weir_run {
    struct weir_arena
        *arena; /* holds all of it; a run in a ring holds one reference with `bytes` live */
    const struct weir_resource *resource;
    const struct weir_origin *origin;
    struct weir_bytes name; /* the namespace ("AWS/EC2"); empty where a point names none */
    const struct weir_point *points;
    uint32_t count;
    uint32_t first; /* number of its first point among all of the request (weir/manifest.h) */
    uint32_t namespace_id; /* weir/namespace.h; set by the router */
    size_t bytes;          /* sum of the points' encoded sizes, tags and lengths included */
    int64_t newest_ns;     /* the newest point's time (wall clock, ns), 0 where unknown */
    struct weir_run *next; /* the request's next run with the same namespace_id; the router's */
    uint64_t takers;       /* bits of the destinations that get it; the router's */
    bool is_first;         /* of those with its namespace_id; the router's */
    uint8_t unrouted;      /* enum weir_unrouted: why there is no taker; the router's */
};

/* What a request decodes to. */
struct weir_runs {
    struct weir_run *runs;
    uint32_t count;
    uint32_t points;
    size_t bytes;
};

/* Whether every run's counts and sizes agree with its points, and every hash with its bytes.
 * O(points); tests, fuzzers and debug builds. */
bool weir_runs_validate(const struct weir_runs *runs);

/* Bytes that a point of `size` content bytes takes inside its data message: a tag of one byte, the
 * length, seven bits a byte, and the content. */
static inline size_t weir_point_encoded_size(uint32_t size)
{
    size_t bits = 32 - (size_t)__builtin_clz(size | 1);
    return 1 + (bits * 9 + 64) / 64 + size;
}

/* The hashes above, from the parts. */
uint64_t weir_resource_hash(struct weir_bytes head);
uint64_t weir_scope_hash(const struct weir_scope *scope);
uint64_t weir_metric_hash(const struct weir_metric *metric);

/* The same for who hashes many metrics; `key` is weir_hash_quick_key's. */
static inline uint64_t weir_metric_hash_by(const uint64_t *key, const struct weir_metric *metric)
{
    uint64_t hash = weir_hash_mix(metric->scope->hash, weir_hash_quick_by(key, metric->head));
    if (metric->data_head.size > 0) {
        hash = weir_hash_mix(hash, weir_hash_quick_by(key, metric->data_head));
    }
    return weir_hash_mix(hash, metric->data);
}

#endif
