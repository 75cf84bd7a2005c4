/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A closed batch to its bytes, and its end: see weir/encode.h, and batch_internal.h for the layout.
 *
 *   resource_metrics 1  | tag len | head | scope_metrics ...                              |
 *   scope_metrics 2                      | tag len | head | metrics ...                   |
 *   metrics 2                                             | tag len | head | data         |
 *   summary 11, ...                                       | tag len | data_head | points  |
 *   data_points 1                                                               | tag len | bytes |
 *
 * Heads come before children, whatever the order in which they came in: protobuf does not mind, and
 * the lengths are known, so everything is written once from front to back.
 *
 * Threads: one at a time has the batch. What is viewed is only read. Nothing here can fail: memory
 * was reserved by the caller, sizes were counted when points were added. Deliberately no
 * compression and no splitting.
 */
#include "weir/encode.h"
#include "batch_internal.h"
#include "weir/panic.h"

enum { AHEAD = 8, CACHE_LINE = 64 };

struct weir_batch_info weir_batch_info(const struct weir_batch *batch)
{
    struct weir_batch_info info = {
        .points = batch->point_count,
        .bytes = batch->buffer.bytes,
        .trigger = batch->trigger,
        .opened_ns = batch->buffer.opened_ns,
        .used_ns = batch->used_ns,
        .oldest_received_ns = batch->oldest_received_ns,
        .requests = batch->requests,
    };
    memcpy(info.request_id, batch->request_id, sizeof(info.request_id));
    memcpy(info.stream, batch->stream, sizeof(info.stream));
    return info;
}

struct weir_manifest *weir_batch_manifest(struct weir_batch *batch)
{
    struct weir_manifest *manifest = batch->manifest;
    batch->manifest = NULL;
    return manifest;
}

static uint8_t *put_bytes(uint8_t *at, struct weir_bytes bytes)
{
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at + bytes.size;
}

/* Tag and length of a field with content of `size` bytes. */
static uint8_t *put_begin(uint8_t *at, uint32_t number, size_t size)
{
    return weir_pbw_put_varint(weir_pbw_put_varint(at, (uint64_t)number << 3 | WEIR_PB_BYTES),
                               size);
}

/* Asks for a point's bytes before they are needed: points of one metric lie apart in their body, so
 * the processor does not guess where the next one is. */
static void fetch(const struct weir_point *point)
{
    for (uint32_t i = 0; i < point->size; i += CACHE_LINE) {
        __builtin_prefetch(point->data + i);
    }
}

uint8_t *weir_batch_put_span(uint8_t *at, const struct weir_batch_span *span)
{
    if (span->reach == 0) {
        return put_bytes(at, weir_bytes_of(span->encoded, span->bytes));
    }
    const uint8_t *end = at + span->bytes;
    for (uint32_t i = 0; i < span->count; i++) {
        const struct weir_point *point = &span->points[i];
        if (i + AHEAD < span->reach) {
            fetch(point + AHEAD);
        }
        at = put_begin(at, 1, point->size);
        at = put_bytes(at, weir_bytes_of(point->data, point->size));
    }
    WEIR_ASSERT(at == end);
    return at;
}

static uint8_t *put_metric(const struct weir_batch *batch, const struct weir_batch_node *metric,
                           uint8_t *at)
{
    at = put_begin(at, 2, weir_batch_node_content(metric, metric->children));
    at = put_bytes(at, metric->head);
    at = put_begin(at, metric->field, metric->data_head.size + metric->children);
    at = put_bytes(at, metric->data_head);
    for (uint32_t i = metric->first; i != WEIR_BATCH_NONE; i = batch->spans[i].next) {
        at = weir_batch_put_span(at, &batch->spans[i]);
    }
    return at;
}

static uint8_t *put_scope(const struct weir_batch *batch, const struct weir_batch_node *scope,
                          uint8_t *at)
{
    at = put_begin(at, 2, weir_batch_node_content(scope, scope->children));
    at = put_bytes(at, scope->head);
    for (uint32_t i = scope->first; i != WEIR_BATCH_NONE; i = batch->nodes[i].next) {
        at = put_metric(batch, &batch->nodes[i], at);
    }
    return at;
}

static uint8_t *put_resource(const struct weir_batch *batch, const struct weir_batch_node *resource,
                             uint8_t *at)
{
    at = put_begin(at, 1, weir_batch_node_content(resource, resource->children));
    at = put_bytes(at, resource->head);
    for (uint32_t i = resource->first; i != WEIR_BATCH_NONE; i = batch->nodes[i].next) {
        at = put_scope(batch, &batch->nodes[i], at);
    }
    return at;
}

void weir_batch_encode(const struct weir_batch *batch, struct weir_buf *out)
{
    uint8_t *at = weir_buf_reserve(out, batch->buffer.bytes);
    WEIR_ASSERT(at != NULL);
    const uint8_t *end = at + batch->buffer.bytes;
    for (uint32_t i = batch->first_resource; i != WEIR_BATCH_NONE; i = batch->nodes[i].next) {
        at = put_resource(batch, &batch->nodes[i], at);
    }
    WEIR_ASSERT(at == end);
    out->size += batch->buffer.bytes;
}

void weir_batch_release(struct weir_batch *batch, struct weir_pool *batches)
{
    if (batch == NULL) {
        return;
    }
    for (uint32_t i = 0; i < batch->ref_count; i++) {
        const struct weir_batch_ref *ref = &batch->refs[i];
        weir_arena_unrefs(ref->arena, ref->count, ref->live);
    }
    batch->ref_count = 0;
    weir_arena_unref(batch->copies, 0);
    batch->copies = NULL;
    weir_batch_index_close(batch);
    weir_manifest_unref(batch->manifest, batch->accounts, WEIR_KEPT);
    batch->manifest = NULL;
    weir_pool_give(batches, batch);
}

size_t weir_batch_size(void)
{
    return sizeof(struct weir_batch);
}

void weir_batch_done(void *batch)
{
    weir_batch_index_done(batch);
}

/* -- the check ----------------------------------------------------------------------------- */

struct tally {
    uint32_t points;
    uint32_t spans;
    uint32_t nodes;
    bool is_valid;
};

/* Whether a span's bytes are those of its points; of a copy, that they are there. */
static bool span_is_valid(const struct weir_batch_span *span)
{
    if (span->reach == 0) {
        return span->count > 0 && span->encoded != NULL;
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < span->count; i++) {
        bytes += weir_point_encoded_size(span->points[i].size);
    }
    return span->count > 0 && span->count <= span->reach && bytes == span->bytes;
}

/* Encoded bytes of a metric's spans; each index is above the one before, so the walk ends. */
static size_t check_spans(const struct weir_batch *batch, const struct weir_batch_node *metric,
                          struct tally *tally)
{
    size_t bytes = 0;
    uint32_t last = WEIR_BATCH_NONE;
    for (uint32_t i = metric->first; i != WEIR_BATCH_NONE; i = batch->spans[i].next) {
        if (i >= batch->span_count || (last != WEIR_BATCH_NONE && i <= last) ||
            !span_is_valid(&batch->spans[i])) {
            tally->is_valid = false;
            return 0;
        }
        bytes += batch->spans[i].bytes;
        tally->points += batch->spans[i].count;
        tally->spans++;
        last = i;
    }
    tally->is_valid = tally->is_valid && last == metric->last && last != WEIR_BATCH_NONE;
    return bytes;
}

/* Whether a node can be found, and is the one that is found. */
static bool is_indexed(const struct weir_batch *batch, uint32_t index)
{
    return weir_batch_find(batch, &batch->nodes[index]) == index;
}

/* Encoded bytes of a chain of siblings; recursion ends at LEVELS deep because levels must rise. */
static size_t check_nodes(const struct weir_batch *batch, uint32_t first, uint32_t parent,
                          struct tally *tally)
{
    size_t bytes = 0;
    uint32_t level = parent == WEIR_BATCH_NONE ? 0 : batch->nodes[parent].level + 1;
    uint32_t last = parent;
    for (uint32_t i = first; i != WEIR_BATCH_NONE; i = batch->nodes[i].next) {
        if (i >= batch->node_count || (last != WEIR_BATCH_NONE && i <= last) ||
            batch->nodes[i].parent != parent || batch->nodes[i].level != level ||
            !is_indexed(batch, i)) {
            tally->is_valid = false;
            return 0;
        }
        const struct weir_batch_node *node = &batch->nodes[i];
        size_t children = node->level == WEIR_BATCH_METRIC
                              ? check_spans(batch, node, tally)
                              : check_nodes(batch, node->first, i, tally);
        tally->is_valid = tally->is_valid && children == node->children;
        tally->nodes++;
        bytes += weir_batch_node_size(node, children);
        last = i;
    }
    return bytes;
}

static bool refs_are_valid(const struct weir_batch *batch)
{
    for (uint32_t i = 0; i < batch->ref_count; i++) {
        const struct weir_batch_ref *ref = &batch->refs[i];
        if (ref->arena == NULL || ref->count == 0 || ref->spans_begin >= ref->spans_end ||
            ref->spans_end > batch->span_count || ref->nodes_begin > ref->nodes_end ||
            ref->nodes_end > batch->node_count) {
            return false;
        }
    }
    return true;
}

bool weir_batch_validate(const struct weir_batch *batch)
{
    struct tally tally = {.is_valid = true};
    size_t bytes = check_nodes(batch, batch->first_resource, WEIR_BATCH_NONE, &tally);
    const struct weir_buffer *buffer = &batch->buffer;
    /* a run that goes in whole is one item, as a point is */
    bool is_one_item = batch->point_count <= 1 || batch->requests == 1;
    bool is_bounded = is_one_item || (buffer->bytes <= buffer->hints.size &&
                                      batch->point_count <= buffer->hints.points_max);
    return tally.is_valid && is_bounded && tally.points == batch->point_count &&
           tally.spans == batch->span_count && tally.nodes == batch->node_count &&
           bytes == buffer->bytes && buffer->points == batch->point_count &&
           refs_are_valid(batch) && weir_batch_index_validate(batch);
}
