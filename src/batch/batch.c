/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of an open batch: see batch_internal.h for its layout.
 *
 * Adding a span, which is points of one metric in a row, finds the nodes of its resource, scope and
 * metric (those that are not there yet are only described), works out what the request's encoding
 * would grow by, asks whether that fits, makes sure of memory, and only then changes anything. The
 * growth is exact because it is carried up level by level: a longer metric may need a longer length
 * varint, which makes its scope longer, and so on.
 *
 *   span +340 ─► metric's data +340 ─► metric +340 or +341 ─► scope ... ─► resource ... ─► request
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

enum { LEVELS = WEIR_BATCH_LEVELS, CACHE_LINE = 64 };

/* The way from the request down to a metric. */
struct path {
    const struct weir_metric *metric;      /* NULL: nowhere yet */
    uint32_t nodes[LEVELS];                /* NONE: not there yet ... */
    struct weir_batch_node wanted[LEVELS]; /* ... but it would be this */
    size_t growth[LEVELS];                 /* of `children` by the span in hand */
};

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

static struct weir_batch_node describe(const struct weir_metric *metric, uint32_t level,
                                       uint32_t parent)
{
    struct weir_batch_node node = {.level = level,
                                   .parent = parent,
                                   .first = WEIR_BATCH_NONE,
                                   .last = WEIR_BATCH_NONE,
                                   .next = WEIR_BATCH_NONE};
    if (level == WEIR_BATCH_RESOURCE) {
        node.head = metric->scope->resource->head;
        node.hash = metric->scope->resource->hash;
    } else if (level == WEIR_BATCH_SCOPE) {
        node.head = metric->scope->head;
        node.hash = metric->scope->hash;
    } else {
        node.head = metric->head;
        node.data_head = metric->data_head;
        node.field = metric->data;
        node.hash = metric->hash;
    }
    return node;
}

static struct weir_batch_known *known_place(struct weir_batch *batch,
                                            const struct weir_scope *scope)
{
    size_t at = ((uintptr_t)scope / _Alignof(struct weir_scope)) * 0x9e3779b1u / 65536;
    return &batch->known[at % WEIR_BATCH_KNOWN];
}

/* Takes the way to `scope` from what is known. */
static bool recall(struct weir_batch *batch, const struct weir_scope *scope, struct path *path)
{
    const struct weir_batch_known *known = known_place(batch, scope);
    if (known->scope != scope || known->age != batch->known_age) {
        return false;
    }
    path->nodes[WEIR_BATCH_SCOPE] = known->node;
    path->nodes[WEIR_BATCH_RESOURCE] = batch->nodes[known->node].parent;
    return true;
}

/* Finds the way to `metric`; from the scope down only when that is the last one's, or known. */
static void find_path(struct weir_batch *batch, struct path *path, const struct weir_metric *metric)
{
    if (path->metric == metric) {
        return;
    }
    bool same_scope = path->metric != NULL && path->metric->scope == metric->scope;
    bool is_known = same_scope || recall(batch, metric->scope, path);
    uint32_t level = is_known ? WEIR_BATCH_METRIC : WEIR_BATCH_RESOURCE;
    for (; level < LEVELS; level++) {
        uint32_t parent = level == 0 ? WEIR_BATCH_NONE : path->nodes[level - 1];
        path->wanted[level] = describe(metric, level, parent);
        path->nodes[level] = level > 0 && parent == WEIR_BATCH_NONE
                                 ? WEIR_BATCH_NONE
                                 : weir_batch_find(batch, &path->wanted[level]);
    }
    path->metric = metric;
}

/* How much longer the length of something of `size` bytes is when that grows. */
static size_t length_growth(size_t size, size_t growth)
{
    return weir_pbw_varint_size(size + growth) - weir_pbw_varint_size(size);
}

/* What a node that is there takes more when its children do. */
static size_t node_growth(const struct weir_batch_node *node, size_t growth)
{
    if (node->level == WEIR_BATCH_METRIC) {
        growth += length_growth(node->data_head.size + node->children, growth);
    }
    return growth + length_growth(weir_batch_node_content(node, node->children), growth);
}

/* What each level, and in the end the request, grows by when points of `growth` encoded bytes are
 * added. */
static size_t work_out_growth(const struct weir_batch *batch, struct path *path, size_t growth)
{
    for (uint32_t up = 0; up < LEVELS; up++) {
        uint32_t level = WEIR_BATCH_METRIC - up;
        uint32_t index = path->nodes[level];
        path->growth[level] = growth;
        growth = index == WEIR_BATCH_NONE ? weir_batch_node_size(&path->wanted[level], growth)
                                          : node_growth(&batch->nodes[index], growth);
    }
    return growth;
}

/* Appends the described node of a level to its parent's children. */
static void create_node(struct weir_batch *batch, struct path *path, uint32_t level)
{
    uint32_t index = batch->node_count++;
    struct weir_batch_node *node = &batch->nodes[index];
    *node = path->wanted[level];
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
    weir_batch_insert(batch, index);
}

static void append_span(struct weir_batch *batch, uint32_t metric, struct weir_batch_span span)
{
    struct weir_batch_node *node = &batch->nodes[metric];
    uint32_t index = batch->span_count++;
    span.next = WEIR_BATCH_NONE;
    batch->spans[index] = span;
    if (node->first == WEIR_BATCH_NONE) {
        node->first = index;
    } else {
        batch->spans[node->last].next = index;
    }
    node->last = index;
    batch->point_count += span.count;
}

/* Whether the batch may become so large. Any one point fits into an empty one, but no more than
 * that. */
static bool fits(const struct weir_buffer *buffer, size_t bytes, uint32_t points)
{
    return points == 1 || (bytes <= buffer->hints.size && points <= buffer->hints.points_max);
}

/* Puts a span where `path` and the growth worked out for it say; there is room. */
static void place_span(struct weir_batch *batch, struct path *path, struct weir_batch_span span)
{
    for (uint32_t level = 0; level < LEVELS; level++) {
        if (path->nodes[level] == WEIR_BATCH_NONE) {
            create_node(batch, path, level);
        }
        batch->nodes[path->nodes[level]].children += path->growth[level];
    }
    append_span(batch, path->nodes[WEIR_BATCH_METRIC], span);
    *known_place(batch, path->metric->scope) = (struct weir_batch_known){
        path->metric->scope, path->nodes[WEIR_BATCH_SCOPE], batch->known_age};
}

/* All of a span, or nothing: WEIR_EFULL, WEIR_ENOMEM. */
static enum weir_status add_span(struct weir_batch *batch, struct path *path,
                                 struct weir_batch_span span, int64_t now_ns)
{
    size_t bytes = batch->buffer.bytes + work_out_growth(batch, path, span.bytes);
    if (!fits(&batch->buffer, bytes, batch->point_count + span.count)) {
        return WEIR_EFULL;
    }
    if (!weir_batch_has_room(batch)) {
        WEIR_TRY(weir_batch_make_room(batch, 1, LEVELS));
    }
    place_span(batch, path, span);
    weir_buffer_grow(&batch->buffer, bytes, batch->point_count, now_ns);
    return WEIR_OK;
}

/* Encoded bytes of points in a row. */
static size_t encoded_bytes(const struct weir_point *points, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += weir_pbw_bytes_size(1, points[i].size);
    }
    return bytes;
}

/* The points from `points` on, `most` at most, that have the metric of the first one. */
static struct weir_batch_span span_of(const struct weir_point *points, uint32_t most)
{
    const struct weir_metric *metric = points->metric;
    struct weir_batch_span span = {.points = points};
    while (span.count < most && points[span.count].metric == metric) {
        span.bytes += weir_pbw_bytes_size(1, points[span.count].size);
        span.count++;
    }
    return span;
}

/* Adds of a span that does not fit as many points as do: half of them as long as that is too many,
 * and then of the rest. So it ends with the one point that does not fit; or, where it was memory
 * that was missing and others have given some back since, with the last one. */
static enum weir_status add_part(struct weir_batch *batch, struct path *path,
                                 struct weir_batch_span span, int64_t now_ns,
                                 struct weir_batch_span *ret_added)
{
    struct weir_batch_span added = {.points = span.points};
    uint32_t all = span.count;
    enum weir_status status = WEIR_EFULL;
    while (status == WEIR_OK ? added.count < all : span.count > 1) {
        span.count = status == WEIR_OK ? all - added.count : span.count / 2;
        span.bytes = encoded_bytes(span.points, span.count);
        status = add_span(batch, path, span, now_ns);
        if (status == WEIR_OK) {
            added.count += span.count;
            added.bytes += span.bytes;
            span.points += span.count;
        }
    }
    *ret_added = added;
    return status;
}

/* All of a span, or as much of it as fits. */
static enum weir_status add_most(struct weir_batch *batch, struct path *path,
                                 struct weir_batch_span span, int64_t now_ns,
                                 struct weir_batch_span *ret_added)
{
    find_path(batch, path, span.points->metric);
    enum weir_status status = add_span(batch, path, span, now_ns);
    *ret_added = span;
    if (status == WEIR_OK) {
        return WEIR_OK;
    }
    ret_added->count = 0;
    ret_added->bytes = 0;
    return span.count == 1 ? status : add_part(batch, path, span, now_ns, ret_added);
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

/* Asks for the next span's metric while this one is added: metrics lie where they were first seen
 * in their body, and each would begin with a miss. */
static void fetch(const struct weir_metric *metric)
{
    __builtin_prefetch(metric);
    __builtin_prefetch((const uint8_t *)metric + CACHE_LINE);
}

/* Round by round: the runs' points, their first metrics, the places of those in the table, and the
 * nodes that stand there with their heads, right ones or not. */
void weir_batch_ask(const struct weir_batch *batch, struct weir_run *const *runs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(runs[i]->points);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_metric *metric = runs[i]->points->metric;
        fetch(metric);
        __builtin_prefetch((const uint8_t *)metric + 2 * (size_t)CACHE_LINE);
    }
    if (batch->slot_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        weir_batch_index_ask(batch, runs[i]->points->metric->hash);
    }
    for (uint32_t i = 0; i < count; i++) {
        weir_batch_index_ask_node(batch, runs[i]->points->metric->hash);
    }
    for (uint32_t i = 0; i < count; i++) {
        weir_batch_index_ask_head(batch, runs[i]->points->metric->hash);
    }
}

enum weir_status weir_batch_add(struct weir_batch *batch,
                                const struct weir_batcher_options *options,
                                const struct weir_run *run, uint32_t *offset, int64_t now_ns)
{
    WEIR_TRY(weir_batch_make_ref_room(batch));
    WEIR_TRY(make_note_room(batch));
    struct path path = {.metric = NULL};
    struct weir_batch_ref ref = {.spans_begin = batch->span_count,
                                 .nodes_begin = batch->node_count};
    enum weir_status status = WEIR_OK;
    uint32_t next = *offset;
    while (next < run->count && status == WEIR_OK) {
        struct weir_batch_span added;
        struct weir_batch_span span = span_of(&run->points[next], run->count - next);
        if (next + span.count < run->count) {
            fetch(run->points[next + span.count].metric);
        }
        status = add_most(batch, &path, span, now_ns, &added);
        ref.live += added.bytes;
        next += added.count;
    }
    if (next > *offset) {
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
    size_t bytes = batch->buffer.bytes;
    bool is_full =
        !weir_buffer_fits(&batch->buffer, bytes + demand.bytes, batch->point_count + run->count);
    if (is_full) {
        return WEIR_EFULL;
    }
    WEIR_TRY(weir_batch_make_ref_room(batch));
    WEIR_TRY(make_note_room(batch));
    WEIR_TRY(weir_batch_make_room(batch, demand.spans, demand.nodes));
    struct path path = {.metric = NULL};
    struct weir_batch_ref ref = {.spans_begin = batch->span_count,
                                 .nodes_begin = batch->node_count};
    for (uint32_t next = 0; next < run->count;) {
        struct weir_batch_span span = span_of(&run->points[next], run->count - next);
        find_path(batch, &path, span.points->metric);
        bytes += work_out_growth(batch, &path, span.bytes);
        place_span(batch, &path, span);
        ref.live += span.bytes;
        next += span.count;
    }
    weir_buffer_grow(&batch->buffer, bytes, batch->point_count, now_ns);
    note_points(batch, run, 0, sources);
    note_origin(batch, run->origin);
    weir_batch_add_ref(batch, options, run, ref, true);
    return WEIR_OK;
}
