/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_COLLECT_H
#define WEIR_COLLECT_H

#include "weir/point.h"
#include "weir/tally.h"

/*
 * Collects what the record decoders find, and sorts it into runs at the end.
 *
 *   decoder ─► resource / scope / metric (interned: equal heads are one struct)
 *           ─► point, point, ...          a flat list in blocks, in the order they came
 *   mark ... rollback                     takes back a message that turned out to be damaged
 *   finish ─► runs                        one stable counting sort by (resource, namespace, metric)
 *
 * The order that comes out is a function of the request's bytes alone, and the spool's notes count
 * on it: points are numbered in it, and a later process numbers them again (weir/manifest.h,
 * docs/formats/spool.md). Runs of a namespace stand together; namespaces stand in the order of
 * their first points, a namespace's runs and a run's metrics in the order of theirs, and a metric's
 * points in the order they came; "first" among the points that remain, whatever was taken back. Two
 * metrics are one when all their bytes are. Metrics that stand together are found once by the
 * batcher, and compress in three quarters of the time to five sixths of the size.
 *
 * All memory is the request's arena; running out (of budget or memory) is sticky: `full` is set and
 * every later call is harmless. Pure; the request's thread.
 */
struct weir_collect_tables;
struct weir_cwjson_cache;

struct weir_collect {
    struct weir_arena *arena;
    struct weir_tally *tally;           /* what the owner counts later; in the arena */
    uint32_t points;                    /* collected so far */
    uint64_t parts;                     /* looked at: all but those points */
    bool full;                          /* the arena said no, here or in a decoder */
    struct weir_collect_tables *tables; /* the collector's own */
    struct weir_cwjson_cache *cwjson;   /* the JSON decoder's own, from record to record */
};

struct weir_collect_mark {
    uint32_t points;
};

/* A collector, its tally zeroed, whose every byte comes from `arena`. NULL when the
 * arena is full. */
struct weir_collect *weir_collect_new(struct weir_arena *arena);

/* Interned heads. The bytes must be in the arena already, but for a metric's head, which is copied.
 * Never NULL: after `full` a static dummy. A resource is known by its head alone: what the first
 * one gave as account and region stays. A metric's hash is worked out by weir_collect_metric. */
const struct weir_resource *weir_collect_resource(struct weir_collect *collect,
                                                  struct weir_bytes head, struct weir_bytes account,
                                                  struct weir_bytes region);
const struct weir_scope *weir_collect_scope(struct weir_collect *collect,
                                            const struct weir_resource *resource,
                                            struct weir_bytes head);
const struct weir_metric *weir_collect_asked(struct weir_collect *collect,
                                             const struct weir_metric *key); /* with its hash */

static inline const struct weir_metric *weir_collect_metric(struct weir_collect *collect,
                                                            const struct weir_metric *key)
{
    struct weir_metric hashed = *key;
    hashed.hash = weir_metric_hash(key);
    return weir_collect_asked(collect, &hashed);
}

#define WEIR_COLLECT_TOGETHER 16

/* For who looks several metrics up (WEIR_COLLECT_TOGETHER at most): sets the keys' hashes for
 * weir_collect_asked, and asks for the memory that it will want. The way there is most of what
 * looking up costs, and so the ways go side by side. */
void weir_collect_ask(const struct weir_collect *collect, struct weir_metric *keys, uint32_t count);

/* One data point of `metric` (this collector's) in the namespace `name`, its content at `data` in
 * the arena; `time_ns` is its time. */
void weir_collect_point(struct weir_collect *collect, const struct weir_metric *metric,
                        struct weir_bytes name, struct weir_bytes data, int64_t time_ns);

/* The list's length now, for weir_collect_rollback. */
static inline struct weir_collect_mark weir_collect_mark(const struct weir_collect *collect)
{
    return (struct weir_collect_mark){collect->points};
}

/* Takes back every point since `mark`; they stay counted among the parts. */
void weir_collect_rollback(struct weir_collect *collect, struct weir_collect_mark mark);

/* Sorts into runs; once. `origin` and `namespace_id` are left for the owner to set. WEIR_EFULL when
 * the arena was ever full; *ret is then untouched. */
WEIR_MUST_USE enum weir_status weir_collect_finish(struct weir_collect *collect,
                                                   struct weir_runs *ret);

#endif
