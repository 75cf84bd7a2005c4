/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a span of points goes in an open batch: the hash table of nodes, and the way down from the
 * request to a metric.
 *
 *   metric ─hash─► slots [ . | 12 | . ] ─► nodes[11]         equal in parent, head and data's head
 *   path           nodes: resource, scope, metric            found, or described in `wanted`
 *
 * The way is found first, then what the request would grow by is worked out, and only when that
 * fits and there is memory anything is changed. The growth is exact because it is carried up level
 * by level: a longer metric may need a longer length varint, which makes its scope longer, and so
 * on.
 *
 *   span +340 ─► metric's data +340 ─► metric +340 or +341 ─► scope ... ─► resource ... ─► request
 *
 * Nearly always it is the metric alone that is new, or whose length gets longer. So a path
 * remembers its scope, and how far that and its resource are from longer lengths: below that they
 * grow by what the metric does, and are not looked at.
 *
 *   I1  the table's size is a power of two, above twice the nodes; so the bits of a slot below it
 *       have room for an index + 1, and those above it are the hash's, whose lower bits chose the
 *       place: a slot that agrees is nearly always the right one, and no other node is touched
 *   I2  where path->calm > 0 scope and resource are there, and when the scope's children grow by
 *       less than that, neither length changes
 *   I3  what is known of a scope is noted when something of it goes in, since only then the batch
 *       has, or is about to have, a reference of its arena (batch.c, I6)
 *
 * Threads: the drainer's. Full is WEIR_EFULL, no memory for a batch's first point WEIR_ENOMEM, both
 * without effect. Deliberately no deletion: nodes stay as long as their batch.
 */
#include "batch_internal.h"

enum { LEVELS = WEIR_BATCH_LEVELS };

/* -- the hash table ------------------------------------------------------------------------ */

static uint32_t mask_of(const struct weir_batch *batch)
{
    return batch->slot_count - 1;
}

/* What a search compares. By value, and so in registers: from where a node had just been described
 * piece by piece, it was read in larger ones, and each waits until all those are written. */
struct sought {
    struct weir_bytes head;
    struct weir_bytes data_head;
    uint32_t parent;
    uint32_t hash;
    uint8_t field;
};

static inline bool is_sought(const struct weir_batch_node *node, struct sought sought)
{
    return node->parent == sought.parent && node->field == sought.field &&
           weir_bytes_eq_short(node->head, sought.head) &&
           weir_bytes_eq_short(node->data_head, sought.data_head);
}

__attribute__((always_inline)) static inline uint32_t find(const struct weir_batch *batch,
                                                           struct sought sought)
{
    if (batch->slot_count == 0) {
        return WEIR_BATCH_NONE;
    }
    uint32_t mask = mask_of(batch);
    uint32_t slot;
    for (uint32_t at = sought.hash & mask; (slot = batch->slots[at]) != 0; at = (at + 1) & mask) {
        uint32_t index = (slot & mask) - 1;
        if (((slot ^ sought.hash) & ~mask) == 0 && is_sought(&batch->nodes[index], sought)) {
            return index;
        }
    }
    return WEIR_BATCH_NONE;
}

uint32_t weir_batch_find(const struct weir_batch *batch, const struct weir_batch_node *wanted)
{
    return find(batch, (struct sought){wanted->head, wanted->data_head, wanted->parent,
                                       wanted->hash, wanted->field});
}

static inline uint32_t find_metric(const struct weir_batch *batch, uint32_t scope,
                                   const struct weir_metric *metric)
{
    return find(batch, (struct sought){metric->head, metric->data_head, scope,
                                       (uint32_t)metric->hash, (uint8_t)metric->data});
}

static inline void insert(struct weir_batch *batch, uint32_t index)
{
    uint32_t mask = mask_of(batch);
    uint32_t hash = batch->nodes[index].hash;
    uint32_t at = hash & mask;
    while (batch->slots[at] != 0) {
        at = (at + 1) & mask;
    }
    batch->slots[at] = (hash & ~mask) | (index + 1);
}

void weir_batch_insert(struct weir_batch *batch, uint32_t index)
{
    insert(batch, index);
}

/* -- asking -------------------------------------------------------------------------------- */

/* `from` may be NULL, as of a metric without a head, and nothing may be added to that. */
static void ask_bytes(const void *from, size_t size)
{
    __builtin_prefetch(from);
    __builtin_prefetch((const void *)((uintptr_t)from + size));
}

/* The nodes that searches for the metrics will look at first; NULL where they find none. */
static void ask_nodes(const struct weir_batch *batch, const struct weir_metric *const *metrics,
                      uint32_t count, const struct weir_batch_node **ret_nodes)
{
    uint32_t mask = mask_of(batch);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t hash = (uint32_t)metrics[i]->hash;
        uint32_t at = hash & mask;
        uint32_t slot = batch->slots[at];
        while (slot != 0 && ((slot ^ hash) & ~mask) != 0) {
            at = (at + 1) & mask;
            slot = batch->slots[at];
        }
        ret_nodes[i] = slot != 0 ? &batch->nodes[(slot & mask) - 1] : NULL;
        if (slot != 0) {
            __builtin_prefetch(ret_nodes[i], 1);
            ask_bytes(metrics[i]->head.data, metrics[i]->head.size);
        }
    }
}

void weir_batch_ask_metrics(const struct weir_batch *batch,
                            const struct weir_metric *const *metrics, uint32_t count)
{
    const struct weir_batch_node *nodes[WEIR_BATCH_ASK_MAX];
    for (uint32_t i = 0; i < count; i++) {
        ask_bytes(metrics[i], sizeof(*metrics[i]) - 1);
    }
    if (batch->slot_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(&batch->slots[(uint32_t)metrics[i]->hash & mask_of(batch)]);
    }
    ask_nodes(batch, metrics, count, nodes);
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i] != NULL) {
            ask_bytes(nodes[i]->head.data, nodes[i]->head.size);
        }
    }
}

/* -- the way down -------------------------------------------------------------------------- */

/* A node without children. */
static inline void describe(struct weir_batch_node *node, uint32_t level, uint32_t parent,
                            struct weir_bytes head, uint64_t hash)
{
    *node = (struct weir_batch_node){.head = head,
                                     .parent = parent,
                                     .first = WEIR_BATCH_NONE,
                                     .last = WEIR_BATCH_NONE,
                                     .next = WEIR_BATCH_NONE,
                                     .hash = (uint32_t)hash,
                                     .level = (uint8_t)level};
}

static struct weir_batch_known *known_place(struct weir_batch *batch,
                                            const struct weir_scope *scope)
{
    size_t at = ((uintptr_t)scope / _Alignof(struct weir_scope)) * 0x9e3779b1u / 65536;
    return &batch->known[at % WEIR_BATCH_KNOWN];
}

/* Takes the way to `scope` from what is known. */
static bool recall(struct weir_batch *batch, const struct weir_scope *scope,
                   struct weir_batch_path *path)
{
    const struct weir_batch_known *known = known_place(batch, scope);
    if (known->scope != scope || known->age != batch->known_age) {
        return false;
    }
    path->nodes[WEIR_BATCH_SCOPE] = known->node;
    path->nodes[WEIR_BATCH_RESOURCE] = batch->nodes[known->node].parent;
    return true;
}

static void find_resource(const struct weir_batch *batch, struct weir_batch_path *path,
                          const struct weir_resource *resource)
{
    struct weir_batch_node *wanted = &path->wanted[WEIR_BATCH_RESOURCE];
    describe(wanted, WEIR_BATCH_RESOURCE, WEIR_BATCH_NONE, resource->head, resource->hash);
    path->nodes[WEIR_BATCH_RESOURCE] = weir_batch_find(batch, wanted);
}

/* Finds a scope under the path's resource. */
static void find_scope(const struct weir_batch *batch, struct weir_batch_path *path,
                       const struct weir_scope *scope)
{
    struct weir_batch_node *wanted = &path->wanted[WEIR_BATCH_SCOPE];
    uint32_t parent = path->nodes[WEIR_BATCH_RESOURCE];
    describe(wanted, WEIR_BATCH_SCOPE, parent, scope->head, scope->hash);
    path->nodes[WEIR_BATCH_SCOPE] =
        parent == WEIR_BATCH_NONE ? WEIR_BATCH_NONE : weir_batch_find(batch, wanted);
}

void weir_batch_begin_path(const struct weir_batch *batch, struct weir_batch_path *path)
{
    path->scope = NULL;
    path->calm = 0;
    path->bytes = batch->buffer.bytes;
}

void weir_batch_find_path(struct weir_batch *batch, struct weir_batch_path *path,
                          const struct weir_metric *metric)
{
    if (metric->scope != path->scope) {
        if (!recall(batch, metric->scope, path)) {
            find_resource(batch, path, metric->scope->resource);
            find_scope(batch, path, metric->scope);
        }
        path->scope = metric->scope;
        path->calm = 0;
    }
    uint32_t parent = path->nodes[WEIR_BATCH_SCOPE];
    path->metric = metric;
    path->nodes[WEIR_BATCH_METRIC] =
        parent == WEIR_BATCH_NONE ? WEIR_BATCH_NONE : find_metric(batch, parent, metric);
}

/* -- growth -------------------------------------------------------------------------------- */

/* How much longer the length of something of `size` bytes is when that grows. */
static size_t length_growth(size_t size, size_t growth)
{
    return weir_pbw_varint_size(size + growth) - weir_pbw_varint_size(size);
}

/* What a node that is there takes more when its children do. */
static inline size_t node_growth(const struct weir_batch_node *node, size_t growth)
{
    if (node->level == WEIR_BATCH_METRIC) {
        growth += length_growth(node->data_head.size + node->children, growth);
    }
    return growth + length_growth(weir_batch_node_content(node, node->children), growth);
}

/* What a level's node above the metric takes more, there or not yet, when its children do. */
static inline size_t level_growth(const struct weir_batch *batch,
                                  const struct weir_batch_path *path, uint32_t level, size_t growth)
{
    uint32_t index = path->nodes[level];
    return index == WEIR_BATCH_NONE ? weir_batch_node_size(&path->wanted[level], growth)
                                    : node_growth(&batch->nodes[index], growth);
}

/* The same of the metric's. */
static inline size_t metric_growth(const struct weir_batch *batch,
                                   const struct weir_batch_path *path, size_t growth)
{
    uint32_t index = path->nodes[WEIR_BATCH_METRIC];
    const struct weir_metric *metric = path->metric;
    if (index != WEIR_BATCH_NONE) {
        return node_growth(&batch->nodes[index], growth);
    }
    size_t data = weir_pbw_bytes_size(metric->data, metric->data_head.size + growth);
    return weir_pbw_bytes_size(1, metric->head.size + data);
}

/* What each level, and in the end the request, grows by when points of `growth` encoded bytes are
 * added. */
static inline size_t work_out_growth(const struct weir_batch *batch, struct weir_batch_path *path,
                                     size_t growth)
{
    path->growth[WEIR_BATCH_METRIC] = growth;
    growth = metric_growth(batch, path, growth);
    path->growth[WEIR_BATCH_SCOPE] = growth;
    if (growth >= path->calm) {
        growth = level_growth(batch, path, WEIR_BATCH_SCOPE, growth);
    }
    path->growth[WEIR_BATCH_RESOURCE] = growth;
    return path->growth[WEIR_BATCH_SCOPE] < path->calm
               ? growth
               : level_growth(batch, path, WEIR_BATCH_RESOURCE, growth);
}

/* By how much, and one more, a node may grow until its length takes another byte. */
static size_t node_calm(const struct weir_batch_node *node)
{
    size_t content = weir_batch_node_content(node, node->children);
    size_t bits = 7 * weir_pbw_varint_size(content);
    return bits >= 63 ? 0 : ((size_t)1 << bits) - content;
}

/* -- putting it there ---------------------------------------------------------------------- */

/* Describes a level's node where it stays. */
static inline void describe_at(struct weir_batch_node *node, const struct weir_batch_path *path,
                               uint32_t level)
{
    const struct weir_metric *metric = path->metric;
    if (level != WEIR_BATCH_METRIC) {
        *node = path->wanted[level];
        return;
    }
    describe(node, level, path->nodes[WEIR_BATCH_SCOPE], metric->head, metric->hash);
    node->data_head = metric->data_head;
    node->field = (uint8_t)metric->data;
}

/* Appends the described node of a level to its parent's children. */
static inline void create_node(struct weir_batch *batch, struct weir_batch_path *path,
                               uint32_t level)
{
    uint32_t index = batch->node_count++;
    struct weir_batch_node *node = &batch->nodes[index];
    describe_at(node, path, level);
    node->parent = level == 0 ? WEIR_BATCH_NONE : path->nodes[level - 1];
    uint32_t *first = level == 0 ? &batch->first_resource : &batch->nodes[node->parent].first;
    uint32_t *last = level == 0 ? &batch->last_resource : &batch->nodes[node->parent].last;
    if (*first == WEIR_BATCH_NONE) {
        *first = index;
    } else {
        batch->nodes[*last].next = index;
    }
    *last = index;
    path->nodes[level] = index;
    insert(batch, index);
}

static inline void append_span(struct weir_batch *batch, uint32_t metric,
                               const struct weir_batch_span *span)
{
    struct weir_batch_node *node = &batch->nodes[metric];
    uint32_t index = batch->span_count++;
    batch->spans[index] = *span;
    batch->spans[index].next = WEIR_BATCH_NONE;
    if (node->first == WEIR_BATCH_NONE) {
        node->first = index;
    } else {
        batch->spans[node->last].next = index;
    }
    node->last = index;
    batch->point_count += span->count;
}

/* Whether the batch may become so large. Any one point fits into an empty one, but no more than
 * that. */
static bool fits(const struct weir_buffer *buffer, size_t bytes, uint32_t points)
{
    return points == 1 || (bytes <= buffer->hints.size && points <= buffer->hints.points_max);
}

/* Makes the nodes down to the scope that are not there. */
static void create_scope(struct weir_batch *batch, struct weir_batch_path *path)
{
    for (uint32_t level = 0; level < WEIR_BATCH_METRIC; level++) {
        if (path->nodes[level] == WEIR_BATCH_NONE) {
            create_node(batch, path, level);
        }
    }
}

/* Remembers the scope that is there now, and how far it is calm. */
static void know_scope(struct weir_batch *batch, struct weir_batch_path *path)
{
    uint32_t scope = path->nodes[WEIR_BATCH_SCOPE];
    size_t calm = node_calm(&batch->nodes[scope]);
    size_t above = node_calm(&batch->nodes[path->nodes[WEIR_BATCH_RESOURCE]]);
    path->calm = calm < above ? calm : above;
    *known_place(batch, path->scope) =
        (struct weir_batch_known){path->scope, scope, batch->known_age};
}

/* Puts a span where `path` and the growth worked out for it say; there is room. */
static inline void place_span(struct weir_batch *batch, struct weir_batch_path *path,
                              const struct weir_batch_span *span)
{
    bool is_calm = path->growth[WEIR_BATCH_SCOPE] < path->calm;
    if (!is_calm) {
        create_scope(batch, path);
    }
    if (path->nodes[WEIR_BATCH_METRIC] == WEIR_BATCH_NONE) {
        create_node(batch, path, WEIR_BATCH_METRIC);
    }
    for (uint32_t level = 0; level < LEVELS; level++) {
        batch->nodes[path->nodes[level]].children += path->growth[level];
    }
    append_span(batch, path->nodes[WEIR_BATCH_METRIC], span);
    if (is_calm) {
        path->calm -= path->growth[WEIR_BATCH_SCOPE];
    } else {
        know_scope(batch, path);
    }
}

enum weir_status weir_batch_add_span(struct weir_batch *batch, struct weir_batch_path *path,
                                     const struct weir_batch_span *span)
{
    size_t bytes = path->bytes + work_out_growth(batch, path, span->bytes);
    if (!fits(&batch->buffer, bytes, batch->point_count + span->count)) {
        return WEIR_EFULL;
    }
    if (!weir_batch_has_room(batch)) {
        WEIR_TRY(weir_batch_make_room(batch, 1, LEVELS));
    }
    place_span(batch, path, span);
    path->bytes = bytes;
    return WEIR_OK;
}

void weir_batch_put_in(struct weir_batch *batch, struct weir_batch_path *path,
                       const struct weir_batch_span *span)
{
    path->bytes += work_out_growth(batch, path, span->bytes);
    place_span(batch, path, span);
}
