/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BATCHER_H
#define WEIR_BATCHER_H

#include "weir/buffer_hints.h"
#include "weir/manifest.h"
#include "weir/point.h"
#include "weir/pool.h"

/*
 * Runs to bounded batches, for one destination: points are grouped by resource, scope and metric,
 * equal metrics become one Metric with many points, and the exact encoded size is known at all
 * times, so a batch never passes its size.
 *
 *   run ──► weir_batcher_add ──► open batch   resource ─ scope ─ metric ─ point, point, ...
 *                                    │        (views; their arenas are referenced)
 *                                    └ due or full: weir_batcher_close ──► closed batch
 *                                                   weir/encode.h; the references end there
 *
 * A run whose arena is sparse is copied into the batch's own memory when it is added, and its
 * reference given back at once, unless the batch is younger than a tenth of a second: it may well
 * be full before that matters. weir_batcher_compact does the same for all runs whose arenas are
 * sparse by then. So a rare point never pins a large arena. Resource order, metric order and
 * point order are those of first arrival. A batch has at most WEIR_BATCH_POINTS_MAX points,
 * whatever its hints say. It notes in a manifest which points of which request it has. Its index
 * of nodes and spans (points of one metric in a row), which many metrics of few points make larger
 * than they are, is charged to the budget but for its first 64 KiB; where that says no, the batch
 * is full early.
 *
 * tidy: allow header-functions -- two more: what others are made of whole, and asking for memory
 */
#define WEIR_BATCH_POINTS_MAX (UINT32_C(1) << 20)

struct weir_batch; /* weir/encode.h says what can be done with a closed one */

struct weir_batcher_options {
    struct weir_buffer_hints hints;
    struct weir_pool *batches;       /* of weir_batch_size() bytes, done = weir_batch_done */
    struct weir_regions *regions;    /* for copies; outlives the batches' pool */
    struct weir_arena_budget budget; /* who pays for copies and indices; outlives the batches */
    const struct weir_manifests *manifests; /* who keeps accounts of requests, outlives the
                                               batches; NULL: nobody */
    uint32_t destination;                   /* for the manifests */
};

struct weir_batcher;

/* One destination's batcher, without an open batch. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_batcher_new(const struct weir_batcher_options *options,
                                                struct weir_batcher **ret);

/* Frees it and an open batch with its references. NULL is nothing. */
void weir_batcher_free(struct weir_batcher *batcher);

/* Adds the points of `run` from *offset on, as many as fit, and moves *offset past them. The caller
 * holds a reference to run->arena with run->bytes live. WEIR_OK: all points are in, and that
 * reference has become the batch's or was given back, so the run is not to be looked at any more.
 * WEIR_EFULL: the batch is full, or there is no memory for a larger one; close it and call again.
 * WEIR_ENOMEM: no memory even for its first point; a later call may pass. After these two the
 * caller still owns its whole reference, also when some points went in. The drainer only. */
WEIR_MUST_USE enum weir_status weir_batcher_add(struct weir_batcher *batcher,
                                                const struct weir_run *run, uint32_t *offset,
                                                int64_t now_ns);

enum { WEIR_BATCHER_TOGETHER = 16, WEIR_BATCHER_FEW = 32 };

/* Asks the memory for what adding these runs will look at, so that those of WEIR_BATCHER_FEW points
 * and less do not each wait for it; longer ones look ahead in themselves. WEIR_BATCHER_TOGETHER at
 * most, none without points. Changes nothing. The drainer only. */
void weir_batcher_ask(const struct weir_batcher *batcher, struct weir_run *const *runs,
                      uint32_t count);

/* Adds all points of `run` or none, for runs that were made of others (weir/shape.h): they stand
 * for the `sources` points of their request from run->first on, and are noted as those. WEIR_OK:
 * the caller's reference to run->arena, with run->bytes live, has become the batch's. WEIR_EFULL:
 * the batch is too full for it; close it and call again. An empty one takes any run. WEIR_ENOMEM:
 * no memory. The drainer only. */
WEIR_MUST_USE enum weir_status weir_batcher_add_whole(struct weir_batcher *batcher,
                                                      const struct weir_run *run, uint32_t sources,
                                                      int64_t now_ns);

/* Whether the open batch is due, and when it will be (INT64_MAX without one). */
enum weir_buffer_trigger weir_batcher_due(const struct weir_batcher *batcher, int64_t now_ns);
int64_t weir_batcher_deadline_ns(const struct weir_batcher *batcher);

/* The open batch, now closed and the caller's; NULL when it holds no point. `trigger` is what it is
 * counted as (WEIR_BUFFER_NOT_DUE, after WEIR_EFULL, is counted as size). */
struct weir_batch *weir_batcher_close(struct weir_batcher *batcher,
                                      enum weir_buffer_trigger trigger);

/* Copies out of the arenas that have become sparse since their runs were added to the open batch,
 * and gives their references back. Returns the bytes copied. The drainer only; O(runs in the
 * batch). */
size_t weir_batcher_compact(struct weir_batcher *batcher);

/* Encoded bytes the open batch has now; 0 without one. */
size_t weir_batcher_open_bytes(const struct weir_batcher *batcher);

#endif
