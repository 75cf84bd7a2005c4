/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BATCH_BATCH_INTERNAL_H
#define WEIR_BATCH_BATCH_INTERNAL_H

#include "weir/encode.h"

/*
 * The inside of a batch: four growing arrays, which a batch keeps when it goes back to its pool.
 *
 *   nodes  [ R1 | S1 | M1 | M2 | S2 | M3 | R2 | ... ]  resources, scopes, metrics as they came
 *            R1 ─first─► S1 ─next─► S2   S1 ─first─► M1 ─next─► M2   M1 ─first─► points
 *   points [ p | p | p | p | ... ]                     as they came; `next` is its metric's next
 *   refs   [ arena, its points, its nodes | ... ]      one for each run viewed and not copied
 *   slots  [ 0 | 3 | 0 | 1 | ... ]                     hash table of nodes: index + 1, 0 is empty
 *
 * Links are indices; NONE ends a list.
 */
#define WEIR_BATCH_NONE UINT32_MAX

enum weir_batch_level { WEIR_BATCH_RESOURCE, WEIR_BATCH_SCOPE, WEIR_BATCH_METRIC };

struct weir_batch_node {
    enum weir_batch_level level;
    uint32_t field;  /* of the metric's data: enum weir_metric_data */
    uint32_t parent; /* NONE for a resource */
    uint32_t first;  /* child: node, or point of a metric */
    uint32_t last;
    uint32_t next; /* sibling */
    uint64_t hash;
    struct weir_bytes head;
    struct weir_bytes data_head; /* of a metric */
    size_t children;             /* encoded bytes of the children, with their tags and lengths */
};

struct weir_batch_point {
    const uint8_t *data;
    uint32_t size;
    uint32_t next;
};

/* One run (or a part of one) whose arena is referenced. Its points and the nodes that it brought
 * are contiguous. */
struct weir_batch_ref {
    struct weir_arena *arena;
    size_t live;
    uint32_t points_begin, points_end;
    uint32_t nodes_begin, nodes_end;
};

struct weir_batch {
    struct weir_buffer buffer; /* its bytes are the encoded request's */
    enum weir_buffer_trigger trigger;
    int64_t oldest_received_ns;
    uint32_t requests;
    char request_id[64];
    char stream[128];

    struct weir_batch_node *nodes;
    struct weir_batch_point *points;
    struct weir_batch_ref *refs;
    uint32_t *slots;
    uint32_t node_count, node_capacity;
    uint32_t point_count, point_capacity;
    uint32_t ref_count, ref_capacity;
    uint32_t slot_count; /* a power of two, or 0; more than twice node_count */
    uint32_t first_resource, last_resource;

    struct weir_arena *copies; /* what was copied out of sparse arenas; NULL: nothing yet */
};

/* Makes a batch from the pool, new or used, an open empty one. */
void weir_batch_open(struct weir_batch *batch, struct weir_buffer_hints hints);

/* See weir_batcher_add, for a run with points left. `options` says where copies come from. */
WEIR_MUST_USE enum weir_status weir_batch_add(struct weir_batch *batch,
                                              const struct weir_batcher_options *options,
                                              const struct weir_run *run, uint32_t *offset,
                                              int64_t now_ns);

/* See weir_batcher_compact. */
size_t weir_batch_compact(struct weir_batch *batch, const struct weir_batcher_options *options);

/* Index of the node that is equal to `wanted`, or NONE. */
uint32_t weir_batch_find(const struct weir_batch *batch, const struct weir_batch_node *wanted);

/* Encoded content of a node, without its own tag and length, if its children took
 * `children` bytes. */
size_t weir_batch_node_content(const struct weir_batch_node *node, size_t children);

/* The same with tag and length, as a field of its parent (of the request for a resource). */
size_t weir_batch_node_size(const struct weir_batch_node *node, size_t children);

#endif
