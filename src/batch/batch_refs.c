/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps the memory that a batch views: references of arenas, and copies out of those that have
 * become sparse.
 *
 *   runs   a a a a b b a a        in the order they were added
 *   refs  [a: 4   |b: 2|a: 2]     one for those of an arena in a row; its spans and nodes likewise
 *
 *   I1  every span and node of the batch is of one reference, or was copied
 *   I2  a reference counts as many of its arena's as it has runs, with their bytes live
 *   I3  known is of arenas that the batch has references of (batch.c, I6)
 *
 * A copy buys memory for as long as the batch stays open. One that fills within PATIENCE_NS gives
 * its arenas back about as soon, so it copies nothing: under load, requests of a thousand
 * namespaces leave ring by ring, each arena falls under its eighth shortly before its end, and all
 * that was left in it was copied, only to be encoded a moment later. In an older batch an arena is
 * looked at when a reference is begun; in each at every weir_batch_compact. A copy that finds no
 * budget is not made. The drainer's thread, until the batch is closed.
 */
#include "batch_internal.h"
#include "weir/clock.h"

#define PATIENCE_NS    (100 * WEIR_NS_PER_MS)
#define COPY_CHUNK_MIN ((size_t)16 << 10)
#define COPY_CHUNK_MAX ((size_t)1 << 20)

static void copy_view(const uint8_t **view, size_t size, uint8_t **to)
{
    if (size > 0) {
        memcpy(*to, *view, size);
        *view = *to;
        *to += size;
    }
}

/* Bytes that a reference's spans and nodes view in its arena, as a copy of them has. */
static size_t viewed_bytes(const struct weir_batch *batch, const struct weir_batch_ref *ref)
{
    size_t size = 0;
    for (uint32_t i = ref->nodes_begin; i < ref->nodes_end; i++) {
        size += batch->nodes[i].head.size + batch->nodes[i].data_head.size;
    }
    for (uint32_t i = ref->spans_begin; i < ref->spans_end; i++) {
        size += batch->spans[i].bytes;
    }
    return size;
}

/* Memory of the batch's own; NULL when the budget says no. */
static uint8_t *alloc_copy(struct weir_batch *batch, const struct weir_batcher_options *options,
                           size_t size)
{
    size_t chunk = options->hints.size / 16;
    chunk = chunk < COPY_CHUNK_MIN ? COPY_CHUNK_MIN : chunk;
    chunk = chunk > COPY_CHUNK_MAX ? COPY_CHUNK_MAX : chunk;
    if (batch->copies == NULL &&
        weir_arena_new(options->regions, options->budget, chunk, &batch->copies) != WEIR_OK) {
        return NULL;
    }
    return weir_arena_alloc(batch->copies, size, 1);
}

/* Copies out of a sparse arena and drops its reference (the last one takes its place). Returns the
 * bytes copied. */
static size_t compact_ref(struct weir_batch *batch, const struct weir_batcher_options *options,
                          uint32_t index)
{
    struct weir_batch_ref ref = batch->refs[index];
    if (!weir_arena_is_sparse(ref.arena)) {
        return 0;
    }
    size_t size = viewed_bytes(batch, &ref);
    if (size > weir_arena_size(ref.arena) / 2) {
        return 0;
    }
    uint8_t *to = alloc_copy(batch, options, size);
    if (to == NULL) {
        return 0;
    }
    for (uint32_t i = ref.nodes_begin; i < ref.nodes_end; i++) {
        copy_view(&batch->nodes[i].head.data, batch->nodes[i].head.size, &to);
        copy_view(&batch->nodes[i].data_head.data, batch->nodes[i].data_head.size, &to);
    }
    for (uint32_t i = ref.spans_begin; i < ref.spans_end; i++) {
        struct weir_batch_span *span = &batch->spans[i];
        uint8_t *end = weir_batch_put_span(to, span);
        span->encoded = to;
        span->reach = 0;
        to = end;
    }
    batch->refs[index] = batch->refs[--batch->ref_count];
    weir_batch_forget(batch);
    weir_arena_unrefs(ref.arena, ref.count, ref.live);
    return size;
}

/* Whether the batch has been open for so long that it may stay so. */
static bool is_old(const struct weir_batch *batch)
{
    return batch->buffer.grown_ns - batch->buffer.opened_ns >= PATIENCE_NS;
}

void weir_batch_add_ref(struct weir_batch *batch, const struct weir_batcher_options *options,
                        const struct weir_run *run, struct weir_batch_ref ref, bool is_last)
{
    struct weir_batch_ref *last = batch->ref_count == 0 ? NULL : &batch->refs[batch->ref_count - 1];
    bool is_one = last != NULL && last->arena == run->arena && last->spans_end == ref.spans_begin &&
                  last->nodes_end == ref.nodes_begin;
    if (!is_one) {
        last = &batch->refs[batch->ref_count++];
        *last = ref;
        last->arena = run->arena;
    } else {
        last->live += ref.live;
    }
    last->count++;
    last->spans_end = batch->span_count;
    last->nodes_end = batch->node_count;
    if (!is_last) {
        weir_arena_ref(run->arena, ref.live);
    } else if (ref.live != run->bytes) {
        struct weir_arena *arena = run->arena;
        size_t all = run->bytes;
        weir_arena_ref(arena, ref.live);
        weir_arena_unref(arena, all);
    }
    if (!is_one && is_old(batch)) {
        compact_ref(batch, options, batch->ref_count - 1);
    }
}

size_t weir_batch_compact(struct weir_batch *batch, const struct weir_batcher_options *options)
{
    size_t copied = 0;
    for (uint32_t i = batch->ref_count; i > 0; i--) {
        copied += compact_ref(batch, options, i - 1);
    }
    return copied;
}
