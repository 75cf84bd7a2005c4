/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BATCH_BATCH_INTERNAL_H
#define WEIR_BATCH_BATCH_INTERNAL_H

#include "weir/encode.h"
#include "weir/pbw.h"

/*
 * The inside of a batch: four growing arrays, which a batch keeps when it goes back to its pool,
 * unless they are large (batch_index.c).
 *
 *   nodes  [ R1 | S1 | M1 | M2 | S2 | M3 | R2 | ... ]  resources, scopes, metrics as they came
 *            R1 ─first─► S1 ─next─► S2   S1 ─first─► M1 ─next─► M2   M1 ─first─► spans
 *   spans  [ s | s | s | s | ... ]                     as they came; `next` is its metric's next
 *   refs   [ arena, its spans, its nodes | ... ]       of runs viewed and not copied; those of one
 *                                                      arena that came in a row are one
 *   slots  [ 0 | 3 | 0 | 1 | ... ]                     hash table of nodes: index + 1, and above
 *                                                      that the hash's bits; 0 is empty
 *
 * A span is points of one metric that lie in a row in their run. What is worked out for a batch is
 * worked out once a span, and the encoder walks the run's own descriptors from front to back.
 *
 * Links are indices; NONE ends a list.
 */
#define WEIR_BATCH_NONE UINT32_MAX

enum weir_batch_level {
    WEIR_BATCH_RESOURCE,
    WEIR_BATCH_SCOPE,
    WEIR_BATCH_METRIC,
    WEIR_BATCH_LEVELS
};

/* Bytes of arrays that a batch has for nothing, so that there can always be a batch, also when the
 * budget has nothing left because all of it is in the rings; what is more is charged. */
#define WEIR_BATCH_INDEX_FREE ((size_t)64 << 10)

/* Bytes of arrays that a batch may take to its pool, where nobody pays for them. */
#define WEIR_BATCH_INDEX_KEPT ((size_t)1 << 20)

/* One line of the cache, where the allocator gives whole ones: what a search compares and what a
 * span that is added changes. */
struct weir_batch_node {
    struct weir_bytes head;
    struct weir_bytes data_head; /* of a metric */
    size_t children;             /* encoded bytes of the children, with their tags and lengths */
    uint32_t parent;             /* NONE for a resource */
    uint32_t first;              /* child: node, or span of a metric */
    uint32_t last;
    uint32_t next; /* sibling */
    uint32_t hash; /* the lower half */
    uint8_t level; /* enum weir_batch_level */
    uint8_t field; /* of the metric's data: enum weir_metric_data */
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct weir_batch_node) == 64, "a node is one line");

/* Points of one metric: where they stand in their run, or once they were copied their encoding. */
struct weir_batch_span {
    union {
        const struct weir_point *points;
        const uint8_t *encoded; /* of the copy: the points' fields, `bytes` of them */
    };
    size_t bytes; /* encoded, with tags and lengths */
    uint32_t count;
    uint32_t reach; /* points in a row in its run, from its first one on; 0: it was copied */
    uint32_t next;
};

/* Runs (or parts of one) that came in a row and whose arena is referenced. Their spans and the
 * nodes that they brought are contiguous. */
struct weir_batch_ref {
    struct weir_arena *arena;
    size_t live;
    uint32_t count; /* references */
    uint32_t spans_begin, spans_end;
    uint32_t nodes_begin, nodes_end;
};

/* Where a scope's node was last found. */
struct weir_batch_known {
    const struct weir_scope *scope;
    uint32_t node;
    uint32_t age; /* it counts while this is the batch's */
};
enum { WEIR_BATCH_KNOWN = 512 };

struct weir_batch {
    struct weir_buffer buffer; /* its bytes are the encoded request's */
    enum weir_buffer_trigger trigger;
    int64_t oldest_received_ns;
    int64_t used_ns;
    uint32_t requests;
    char request_id[64];
    char stream[128];

    struct weir_manifest *manifest;        /* NULL: nobody keeps accounts, or it was handed over */
    const struct weir_manifests *accounts; /* where it goes back to */

    struct weir_batch_node *nodes;
    struct weir_batch_span *spans;
    struct weir_batch_ref *refs;
    uint32_t *slots;
    uint32_t node_count, node_capacity;
    uint32_t span_count, span_capacity;
    uint32_t ref_count, ref_capacity;
    uint32_t slot_count; /* a power of two, or 0; more than twice node_count */
    uint32_t first_resource, last_resource;
    uint32_t point_count;

    struct weir_arena_budget
        budget;           /* who pays for the arrays while the batch is out of its pool */
    size_t index_bytes;   /* of the arrays */
    size_t index_charged; /* of those, to the budget; 0 in the pool */

    uint32_t known_age;
    struct weir_batch_known known[WEIR_BATCH_KNOWN];

    struct weir_arena *copies; /* what was copied out of sparse arenas; NULL: nothing yet */
};

/* Makes a batch from the pool, new or used, an open empty one. */
void weir_batch_open(struct weir_batch *batch, struct weir_buffer_hints hints,
                     struct weir_arena_budget budget);

/* See weir_batcher_add, for a run with points left. `options` says where copies come from. */
WEIR_MUST_USE enum weir_status weir_batch_add(struct weir_batch *batch,
                                              const struct weir_batcher_options *options,
                                              const struct weir_run *run, uint32_t *offset,
                                              int64_t now_ns);

/* See weir_batcher_ask. */
void weir_batch_ask(const struct weir_batch *batch, struct weir_run *const *runs, uint32_t count);

/* See weir_batcher_add_whole. */
WEIR_MUST_USE enum weir_status weir_batch_add_whole(struct weir_batch *batch,
                                                    const struct weir_batcher_options *options,
                                                    const struct weir_run *run, uint32_t sources,
                                                    int64_t now_ns);

/* Forgets where scopes were found. */
void weir_batch_forget(struct weir_batch *batch);

/* See weir_batcher_compact. */
size_t weir_batch_compact(struct weir_batch *batch, const struct weir_batcher_options *options);

/* batch_refs.c */

/* References the points of `run` that went in since `ref` was begun, or copies them where that is
 * worth it; room was made. The caller's own reference ends when `is_last`. */
void weir_batch_add_ref(struct weir_batch *batch, const struct weir_batcher_options *options,
                        const struct weir_run *run, struct weir_batch_ref ref, bool is_last);

/* encode.c */

/* Writes a span's points as fields, `bytes` of them, and returns what comes after. It may ask for
 * the bytes of all points that it reaches. */
uint8_t *weir_batch_put_span(uint8_t *at, const struct weir_batch_span *span);

/* batch_index.c */

/* An empty index, its arrays charged to `budget`; where that says no they are given up. */
void weir_batch_index_open(struct weir_batch *batch, struct weir_arena_budget budget);

/* Ends the charge, and gives up arrays too large to be kept. Any thread. */
void weir_batch_index_close(struct weir_batch *batch);

/* Gives up the arrays. */
void weir_batch_index_done(struct weir_batch *batch);

/* Room for more spans and the nodes they may bring, or for one more reference. WEIR_EFULL: there
 * is no memory, but the batch has points and can be closed; WEIR_ENOMEM: it has none. */
WEIR_MUST_USE enum weir_status weir_batch_make_room(struct weir_batch *batch, uint32_t more_spans,
                                                    uint32_t more_nodes);

/* Whether weir_batch_make_room has nothing to do. */
static inline bool weir_batch_has_room(const struct weir_batch *batch)
{
    uint32_t nodes = batch->node_count + WEIR_BATCH_LEVELS;
    return batch->span_count < batch->span_capacity && nodes <= batch->node_capacity &&
           nodes < batch->slot_count / 2;
}
WEIR_MUST_USE enum weir_status weir_batch_make_ref_room(struct weir_batch *batch);

/* What a run may need at most. */
struct weir_batch_demand {
    uint32_t spans;
    uint32_t nodes;
    size_t bytes; /* that the request grows by */
};

struct weir_batch_demand weir_batch_demand(const struct weir_run *run);

/* Whether the sizes of the arrays and what is charged for them agree. */
bool weir_batch_index_validate(const struct weir_batch *batch);

/* batch_path.c */

/* The way from the request down to a metric. */
struct weir_batch_path {
    const struct weir_scope *scope;                   /* NULL: nowhere yet */
    const struct weir_metric *metric;                 /* that was looked for last */
    uint32_t nodes[WEIR_BATCH_LEVELS];                /* NONE: not there yet ... */
    struct weir_batch_node wanted[WEIR_BATCH_METRIC]; /* ... but it would be this, or the metric */
    size_t growth[WEIR_BATCH_LEVELS];                 /* of `children` by the span in hand */
    size_t calm;  /* the scope's children grow by less than this, and no length above is longer */
    size_t bytes; /* of the request so far */
};

/* A path that leads nowhere yet. */
void weir_batch_begin_path(const struct weir_batch *batch, struct weir_batch_path *path);

/* Finds the way to `metric`, or describes it. One path is of one run. */
void weir_batch_find_path(struct weir_batch *batch, struct weir_batch_path *path,
                          const struct weir_metric *metric);

/* Puts all of a span where the path leads, or nothing: WEIR_EFULL, WEIR_ENOMEM. The request's size
 * is path->bytes from then on; the buffer is told by whoever began the path. */
WEIR_MUST_USE enum weir_status weir_batch_add_span(struct weir_batch *batch,
                                                   struct weir_batch_path *path,
                                                   const struct weir_batch_span *span);

/* The same where it is known to fit and room was made. */
void weir_batch_put_in(struct weir_batch *batch, struct weir_batch_path *path,
                       const struct weir_batch_span *span);

/* Adds a node, which is not there yet, to the hash table; room was made. */
void weir_batch_insert(struct weir_batch *batch, uint32_t index);

enum { WEIR_BATCH_ASK_MAX = WEIR_BATCHER_TOGETHER * WEIR_BATCHER_FEW };

/* Asks the memory for what looking these metrics up will touch, round by round: the metrics, their
 * places in the table, the nodes that are most likely theirs, and the heads of both. ASK_MAX at
 * most. */
void weir_batch_ask_metrics(const struct weir_batch *batch,
                            const struct weir_metric *const *metrics, uint32_t count);

/* Index of the node that is equal to `wanted`, or NONE. */
uint32_t weir_batch_find(const struct weir_batch *batch, const struct weir_batch_node *wanted);

/* Encoded content of a node, without its own tag and length, if its children took
 * `children` bytes. */
static inline size_t weir_batch_node_content(const struct weir_batch_node *node, size_t children)
{
    if (node->level != WEIR_BATCH_METRIC) {
        return node->head.size + children;
    }
    return node->head.size + weir_pbw_bytes_size(node->field, node->data_head.size + children);
}

/* The same with tag and length, as a field of its parent (of the request for a resource): fields 1
 * and 2, whose tag is one byte. */
static inline size_t weir_batch_node_size(const struct weir_batch_node *node, size_t children)
{
    return weir_pbw_bytes_size(1, weir_batch_node_content(node, children));
}

#endif
