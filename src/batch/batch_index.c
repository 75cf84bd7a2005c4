/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a batch's index: see batch_internal.h for the four arrays.
 *
 *   index_bytes    |<------------------- nodes, points, refs, slots ------------------->|
 *                  |<- INDEX_FREE ->|<------------- index_charged, to the budget ------->|
 *
 * An index can be many times larger than what it is an index of: a point of 14 bytes that brings a
 * metric of its own costs 32 bytes as a span, 64 as a node, 8 in the table, and all of it up to
 * twice while an array grows. So it is paid for like the points themselves.
 *
 *   I1  index_bytes = what the four arrays take; while one grows, the old and the new one
 *   I2  out of the pool: index_charged = what index_bytes is above INDEX_FREE
 *   I3  in the pool: index_charged = 0 and index_bytes <= INDEX_KEPT, so traffic of the usual kind
 *       finds arrays of its size there and allocates nothing
 *   I4  the first arrays fit into INDEX_FREE, so the first point of a batch never waits for the
 *       budget. Else a budget that is full of runs in rings would never empty: what empties it are
 *       batches
 *   I5  more than half of the slots are empty, so every search ends
 *
 * Threads: the drainer's until the batch is closed; index_close is any exporter thread's, and the
 * budget may be called from any. Full is WEIR_EFULL: the batch leaves with what it has, and the
 * next one has INDEX_FREE for itself. Deliberately never shrinks an array: it is kept whole or not.
 */
#include "batch_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"

enum { NODES_INITIAL = 64, SPANS_INITIAL = 256, REFS_INITIAL = 64, SLOTS_INITIAL = 256 };

_Static_assert(NODES_INITIAL * sizeof(struct weir_batch_node) +
                       SPANS_INITIAL * sizeof(struct weir_batch_span) +
                       REFS_INITIAL * sizeof(struct weir_batch_ref) +
                       SLOTS_INITIAL * sizeof(uint32_t) <=
                   WEIR_BATCH_INDEX_FREE,
               "I4: the first arrays cost nothing");

/* -- who pays ------------------------------------------------------------------------------ */

static size_t charge_for(size_t index_bytes)
{
    return index_bytes > WEIR_BATCH_INDEX_FREE ? index_bytes - WEIR_BATCH_INDEX_FREE : 0;
}

/* Makes the index `bytes` larger, if the budget says yes. */
static bool pay(struct weir_batch *batch, size_t bytes)
{
    size_t charge = charge_for(batch->index_bytes + bytes);
    if (charge > batch->index_charged &&
        !batch->budget.take(batch->budget.self, charge - batch->index_charged)) {
        return false;
    }
    batch->index_bytes += bytes;
    batch->index_charged = charge;
    return true;
}

/* Makes it `bytes` smaller. */
static void refund(struct weir_batch *batch, size_t bytes)
{
    WEIR_ASSERT(batch->index_bytes >= bytes);
    batch->index_bytes -= bytes;
    size_t charge = charge_for(batch->index_bytes);
    if (charge < batch->index_charged) {
        batch->budget.give(batch->budget.self, batch->index_charged - charge);
        batch->index_charged = charge;
    }
}

static void end_charge(struct weir_batch *batch)
{
    if (batch->index_charged > 0) {
        batch->budget.give(batch->budget.self, batch->index_charged);
        batch->index_charged = 0;
    }
}

void weir_batch_index_done(struct weir_batch *batch)
{
    end_charge(batch);
    weir_mem_free(batch->nodes);
    weir_mem_free(batch->spans);
    weir_mem_free(batch->refs);
    weir_mem_free(batch->slots);
    batch->nodes = NULL;
    batch->spans = NULL;
    batch->refs = NULL;
    batch->slots = NULL;
    batch->node_capacity = 0;
    batch->span_capacity = 0;
    batch->ref_capacity = 0;
    batch->slot_count = 0;
    batch->index_bytes = 0;
}

void weir_batch_index_close(struct weir_batch *batch)
{
    end_charge(batch);
    if (batch->index_bytes > WEIR_BATCH_INDEX_KEPT) {
        weir_batch_index_done(batch);
    }
}

void weir_batch_index_open(struct weir_batch *batch, struct weir_arena_budget budget)
{
    WEIR_ASSERT(batch->index_charged == 0);
    batch->budget = budget;
    if (!pay(batch, 0)) {
        weir_batch_index_done(batch);
    }
    if (batch->slot_count > 0) {
        memset(batch->slots, 0, batch->slot_count * sizeof(*batch->slots));
    }
}

/* -- growing ------------------------------------------------------------------------------- */

/* An array of `capacity` elements with `larger` ones instead; NULL and the old one as it was. */
static void *resized(struct weir_batch *batch, void *array, uint32_t capacity, uint32_t larger,
                     size_t element)
{
    if (!pay(batch, larger * element)) {
        return NULL;
    }
    void *memory = weir_mem_resize(array, larger, element);
    refund(batch, (memory == NULL ? larger : capacity) * element);
    return memory;
}

/* The array with room for `needed` elements: the old one or a larger one; NULL and the old one as
 * it was. */
static void *grown(struct weir_batch *batch, void *array, uint32_t *capacity, uint32_t needed,
                   size_t element)
{
    if (needed <= *capacity) {
        return array;
    }
    uint32_t larger = *capacity * 2 > needed ? *capacity * 2 : needed;
    void *memory = resized(batch, array, *capacity, larger, element);
    if (memory != NULL) {
        *capacity = larger;
    }
    return memory;
}

static uint32_t at_least(uint32_t count, uint32_t least)
{
    return count < least ? least : count;
}

/* Makes the table large enough for `nodes` nodes. */
static bool widen(struct weir_batch *batch, uint32_t nodes)
{
    uint32_t count = at_least(batch->slot_count, SLOTS_INITIAL);
    while (nodes >= count / 2) {
        count *= 2;
    }
    if (count == batch->slot_count) {
        return true;
    }
    uint32_t *slots = resized(batch, batch->slots, batch->slot_count, count, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    batch->slots = slots;
    batch->slot_count = count;
    memset(slots, 0, count * sizeof(*slots));
    for (uint32_t i = 0; i < batch->node_count; i++) {
        weir_batch_insert(batch, i);
    }
    return true;
}

/* What it means that there is no room. */
static enum weir_status no_room(const struct weir_batch *batch)
{
    return batch->point_count > 0 ? WEIR_EFULL : WEIR_ENOMEM;
}

enum weir_status weir_batch_make_room(struct weir_batch *batch, uint32_t more_spans,
                                      uint32_t more_nodes)
{
    uint32_t needed = at_least(batch->span_count + more_spans, SPANS_INITIAL);
    void *spans = grown(batch, batch->spans, &batch->span_capacity, needed, sizeof(*batch->spans));
    if (spans == NULL) {
        return no_room(batch);
    }
    batch->spans = spans;
    needed = at_least(batch->node_count + more_nodes, NODES_INITIAL);
    void *nodes = grown(batch, batch->nodes, &batch->node_capacity, needed, sizeof(*batch->nodes));
    if (nodes == NULL) {
        return no_room(batch);
    }
    batch->nodes = nodes;
    return widen(batch, batch->node_count + more_nodes) ? WEIR_OK : no_room(batch);
}

enum weir_status weir_batch_make_ref_room(struct weir_batch *batch)
{
    uint32_t needed = at_least(batch->ref_count + 1, REFS_INITIAL);
    void *refs = grown(batch, batch->refs, &batch->ref_capacity, needed, sizeof(*batch->refs));
    if (refs == NULL) {
        return no_room(batch);
    }
    batch->refs = refs;
    return WEIR_OK;
}

/* Beside heads and points a span adds tags and lengths: of its metric, data, scope and resource,
 * and what lengths of their parents grow by. */
enum { LENGTHS_MAX = 64 };

struct weir_batch_demand weir_batch_demand(const struct weir_run *run)
{
    struct weir_batch_demand demand = {0, 1, run->resource->head.size + LENGTHS_MAX};
    const struct weir_metric *metric = NULL;
    const struct weir_scope *scope = NULL;
    for (uint32_t i = 0; i < run->count; i++) {
        const struct weir_point *point = &run->points[i];
        demand.bytes += weir_pbw_bytes_size(1, point->size);
        if (point->metric == metric) {
            continue;
        }
        metric = point->metric;
        demand.spans++;
        demand.nodes++;
        demand.bytes += metric->head.size + metric->data_head.size + LENGTHS_MAX;
        if (metric->scope != scope) {
            scope = metric->scope;
            demand.nodes++;
            demand.bytes += scope->head.size;
        }
    }
    return demand;
}

bool weir_batch_index_validate(const struct weir_batch *batch)
{
    size_t bytes = batch->node_capacity * sizeof(*batch->nodes) +
                   batch->span_capacity * sizeof(*batch->spans) +
                   batch->ref_capacity * sizeof(*batch->refs) +
                   batch->slot_count * sizeof(*batch->slots);
    return batch->index_bytes == bytes && batch->index_charged == charge_for(bytes) &&
           (batch->slot_count == 0 || batch->node_count < batch->slot_count / 2);
}
