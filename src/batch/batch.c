/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of an open batch: see batch_internal.h for its layout.
 *
 * A run is taken span by span, which is points of one metric in a row: the next ones are looked at
 * together so that their metrics are waited for together, and each goes where it belongs, or not
 * at all (batch_path.c).
 *
 *   run   [ m m m m | n | o o | p | n ... ]  ─► spans of 4, 1, 2, 1, ...
 *
 * A span that does not fit is halved until its beginning does; so a batch takes exactly the points
 * that it would have taken one by one.
 *
 *   I1  buffer.bytes = the sum of all resources' sizes = what the encoder will write
 *   I2  no two nodes are equal in level, parent and content
 *   I3  a node's index is greater than its parent's and its elder sibling's; a span's than that of
 *       the span before it in its metric
 *   I4  what a node or span views lies in an arena of `refs` or in `copies`
 *   I5  the manifest, where there is one, names each point of the batch that has a ticket once
 *
 *   I6  known holds what it knows of arenas that the batch has a reference of: where one of them is
 *       given up all is forgotten, since an arena that came later could lie where that one lay
 *
 * Equal means equal bytes, not equal pointers: the same metric comes with every request, in another
 * arena each time. While one run is added the last pointers are remembered, and as long as the
 * batch has references of their arenas scopes are, so another metric of such a scope costs one
 * look-up.
 *
 * Threads: the drainer's, until the batch is closed. Full is WEIR_EFULL, no memory for its first
 * point WEIR_ENOMEM, both without effect. A copy that finds no budget is not made, and the arena
 * stays referenced: pinned memory is better than lost points. Deliberately never sorts and never
 * looks into a point.
 */
#include "batch_internal.h"
#include "weir/panic.h"

enum { SPANS_TOGETHER = 16, POINTS_TOGETHER = 64, LINES_MAX = 12, CACHE_LINE = 64 };

void weir_batch_forget(struct weir_batch *batch)
{
    batch->known_age++;
    if (batch->known_age == 0) { /* once around: what is very old must not look new */
        memset(batch->known, 0, sizeof(batch->known));
        batch->known_age = 1;
    }
}

void weir_batch_open(struct weir_batch *batch, struct weir_buffer_hints hints,
                     struct weir_arena_budget budget)
{
    if (hints.points_max == 0 || hints.points_max > WEIR_BATCH_POINTS_MAX) {
        hints.points_max = WEIR_BATCH_POINTS_MAX;
    }
    weir_buffer_init(&batch->buffer, hints);
    batch->trigger = WEIR_BUFFER_NOT_DUE;
    batch->oldest_received_ns = INT64_MAX;
    batch->used_ns = 0;
    batch->requests = 0;
    batch->manifest = NULL;
    batch->request_id[0] = '\0';
    batch->stream[0] = '\0';
    batch->node_count = 0;
    batch->point_count = 0;
    batch->span_count = 0;
    batch->ref_count = 0;
    batch->first_resource = WEIR_BATCH_NONE;
    batch->last_resource = WEIR_BATCH_NONE;
    batch->copies = NULL;
    weir_batch_forget(batch);
    weir_batch_index_open(batch, budget);
}

/* -- spans --------------------------------------------------------------------------------- */

/* Encoded bytes of points in a row. */
static size_t encoded_bytes(const struct weir_point *points, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += weir_pbw_bytes_size(1, points[i].size);
    }
    return bytes;
}

/* The points from `points` on, `most` at most, that have the metric of the first one; returns how
 * many. Field by field to where it stays: a copy would be read in larger pieces than were just
 * written, and wait for them. */
static inline uint32_t take_span(const struct weir_point *points, uint32_t most,
                                 struct weir_batch_span *ret)
{
    const struct weir_metric *metric = points->metric;
    size_t bytes = 0;
    uint32_t count = 0;
    while (count < most && points[count].metric == metric) {
        bytes += weir_point_encoded_size(points[count].size);
        count++;
    }
    ret->points = points;
    ret->bytes = bytes;
    ret->count = count;
    ret->reach = most;
    return count;
}

/* Adds of a span that did not go in, `status` says why, as many points as do: half of them as long
 * as that is too many, and then of the rest. So it ends with the one point that does not fit; or,
 * where it was memory that was missing and others have given some back since, with the last one. */
static enum weir_status add_part(struct weir_batch *batch, struct weir_batch_path *path,
                                 enum weir_status status, struct weir_batch_span *span)
{
    struct weir_batch_span added = {.points = span->points};
    struct weir_batch_span part = *span;
    while (status == WEIR_OK ? added.count < span->count : part.count > 1) {
        part.count = status == WEIR_OK ? span->count - added.count : part.count / 2;
        part.bytes = encoded_bytes(part.points, part.count);
        status = weir_batch_add_span(batch, path, &part);
        if (status == WEIR_OK) {
            added.count += part.count;
            added.bytes += part.bytes;
            part.points += part.count;
            part.reach -= part.count;
        }
    }
    *span = added;
    return status;
}

/* All of a span, or as much of it as fits, which is what it is then. */
static inline enum weir_status add_most(struct weir_batch *batch, struct weir_batch_path *path,
                                        struct weir_batch_span *span)
{
    weir_batch_find_path(batch, path, span->points->metric);
    enum weir_status status = weir_batch_add_span(batch, path, span);
    return status == WEIR_OK ? WEIR_OK : add_part(batch, path, status, span);
}

/* -- runs ---------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, struct weir_bytes from)
{
    size_t kept = from.size < size - 1 ? from.size : size - 1;
    if (kept > 0) {
        memcpy(to, from.data, kept);
    }
    to[kept] = '\0';
}

static void note_origin(struct weir_batch *batch, const struct weir_origin *origin)
{
    if (origin != NULL && batch->requests == 0) {
        copy_text(batch->request_id, sizeof(batch->request_id), origin->request_id);
        copy_text(batch->stream, sizeof(batch->stream), origin->stream);
    }
    if (origin != NULL && origin->received_ns < batch->oldest_received_ns) {
        batch->oldest_received_ns = origin->received_ns;
    }
    if (origin != NULL && origin->used_ns > batch->used_ns) {
        batch->used_ns = origin->used_ns;
    }
    batch->requests++;
}

/* Room for what is noted of one more run; as weir_batch_make_ref_room. */
static enum weir_status make_note_room(struct weir_batch *batch)
{
    if (batch->manifest == NULL || weir_manifest_make_room(batch->manifest) == WEIR_OK) {
        return WEIR_OK;
    }
    return batch->point_count > 0 ? WEIR_EFULL : WEIR_ENOMEM;
}

/* Notes that the points [begin, end) of `run` are in; room was made. */
static void note_points(struct weir_batch *batch, const struct weir_run *run, uint32_t begin,
                        uint32_t end)
{
    if (batch->manifest != NULL && run->origin != NULL) {
        enum weir_status status = weir_manifest_add(batch->manifest, run->origin->ticket,
                                                    run->first + begin, run->first + end);
        WEIR_ASSERT(status == WEIR_OK);
    }
}

/* A run's points, of which there are few. */
static void ask_points(const struct weir_run *run)
{
    const uint8_t *at = (const uint8_t *)run->points;
    const uint8_t *end = (const uint8_t *)(run->points + run->count);
    for (int i = 0; at < end && i < LINES_MAX; i++, at += CACHE_LINE) {
        __builtin_prefetch(at);
    }
}

/* The runs' points, and then what looking up their metrics touches: of all where a run is short.
 * Nobody walks a long one for that, it looks ahead in itself. */
void weir_batch_ask(const struct weir_batch *batch, struct weir_run *const *runs, uint32_t count)
{
    const struct weir_metric *metrics[WEIR_BATCH_ASK_MAX];
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        ask_points(runs[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_metric *last = NULL;
        uint32_t few = runs[i]->count < WEIR_BATCHER_FEW ? runs[i]->count : WEIR_BATCHER_FEW;
        for (uint32_t k = 0; k < few && found < WEIR_BATCH_ASK_MAX; k++) {
            metrics[found] = runs[i]->points[k].metric;
            found += metrics[found] != last ? 1 : 0;
            last = runs[i]->points[k].metric;
        }
    }
    weir_batch_ask_metrics(batch, metrics, found);
}

/* The next spans of a run, of `most` points, at least one; returns how many. What looking up their
 * metrics touches is asked for together: metrics lie where they were first seen in their body, and
 * each would begin with a miss. Long spans are worth their wait, and of few points it was asked
 * before (weir_batch_ask). */
static uint32_t look_ahead(const struct weir_batch *batch, const struct weir_point *points,
                           uint32_t most, struct weir_batch_span *ret_spans)
{
    const struct weir_metric *metrics[SPANS_TOGETHER];
    uint32_t count = 0;
    uint32_t seen = 0;
    while (count < SPANS_TOGETHER && seen < most && seen < POINTS_TOGETHER) {
        metrics[count] = points[seen].metric;
        seen += take_span(points + seen, most - seen, &ret_spans[count]);
        count++;
    }
    if (count > 1 && most > WEIR_BATCHER_FEW) {
        weir_batch_ask_metrics(batch, metrics, count);
    }
    if (seen < most) {
        __builtin_prefetch(points[seen].metric);
    }
    return count;
}

enum weir_status weir_batch_add(struct weir_batch *batch,
                                const struct weir_batcher_options *options,
                                const struct weir_run *run, uint32_t *offset, int64_t now_ns)
{
    WEIR_TRY(weir_batch_make_ref_room(batch));
    WEIR_TRY(make_note_room(batch));
    struct weir_batch_path path;
    weir_batch_begin_path(batch, &path);
    struct weir_batch_ref ref = {.spans_begin = batch->span_count,
                                 .nodes_begin = batch->node_count};
    enum weir_status status = WEIR_OK;
    uint32_t next = *offset;
    while (next < run->count && status == WEIR_OK) {
        struct weir_batch_span spans[SPANS_TOGETHER];
        uint32_t count = look_ahead(batch, &run->points[next], run->count - next, spans);
        for (uint32_t i = 0; i < count && status == WEIR_OK; i++) {
            status = add_most(batch, &path, &spans[i]);
            ref.live += spans[i].bytes;
            next += spans[i].count;
        }
    }
    if (next > *offset) {
        weir_buffer_grow(&batch->buffer, path.bytes, batch->point_count, now_ns);
        note_points(batch, run, *offset, next); /* before the run's arena may go */
        note_origin(batch, run->origin);
        weir_batch_add_ref(batch, options, run, ref, next == run->count);
        *offset = next;
    }
    return status;
}

enum weir_status weir_batch_add_whole(struct weir_batch *batch,
                                      const struct weir_batcher_options *options,
                                      const struct weir_run *run, uint32_t sources, int64_t now_ns)
{
    struct weir_batch_demand demand = weir_batch_demand(run);
    struct weir_batch_path path;
    weir_batch_begin_path(batch, &path);
    if (!weir_buffer_fits(&batch->buffer, path.bytes + demand.bytes,
                          batch->point_count + run->count)) {
        return WEIR_EFULL;
    }
    WEIR_TRY(weir_batch_make_ref_room(batch));
    WEIR_TRY(make_note_room(batch));
    WEIR_TRY(weir_batch_make_room(batch, demand.spans, demand.nodes));
    struct weir_batch_ref ref = {.spans_begin = batch->span_count,
                                 .nodes_begin = batch->node_count};
    for (uint32_t next = 0; next < run->count;) {
        struct weir_batch_span span;
        next += take_span(&run->points[next], run->count - next, &span);
        weir_batch_find_path(batch, &path, span.points->metric);
        weir_batch_put_in(batch, &path, &span);
        ref.live += span.bytes;
    }
    weir_buffer_grow(&batch->buffer, path.bytes, batch->point_count, now_ns);
    note_points(batch, run, 0, sources);
    note_origin(batch, run->origin);
    weir_batch_add_ref(batch, options, run, ref, true);
    return WEIR_OK;
}
