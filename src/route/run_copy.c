/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deep copy of a chain of runs into one block: see run_copy.h.
 *
 *   block  [ run | points[] | resource, bytes | origin, bytes | name | metric, bytes, data, ...
 *            next run | points[] | resource, bytes | name | ... ]
 *
 * One block for the whole chain and not one for each run: a chain may be thousands of runs of one
 * point, and an arena is never smaller than a region.
 *
 * The same walk is done twice: first without a block, to measure, then with one, to copy. Both
 * place the same things in the same order, so the second fits exactly.
 *
 *   I1  nothing in the copy points outside of the block
 *   I2  the bytes placed by the second walk = those placed by the first
 *   I3  a copied point's resource, by way of metric and scope, is its copied run's
 *
 * Points that share a metric share its copy as long as a small direct-mapped memory remembers it; a
 * metric that was forgotten is copied again. That bounds the walk's own memory and time, at the
 * price of some bytes where hundreds of metrics alternate. The batcher merges equal metrics by
 * content, so nobody sees the difference.
 *
 * Runs in the drainer's thread. Deliberately does not look at the arena's other users, and does not
 * merge runs. The first walk ends where the copy has become too large, so a chain that is not worth
 * it costs no more than one that is.
 */
#include "run_copy.h"
#include "weir/panic.h"

#include <stdalign.h>

enum { REMEMBERED = 64 };

struct copier {
    uint8_t *block; /* NULL while measuring */
    size_t used;
    const struct weir_resource *resource_seen;
    const struct weir_resource *resource; /* its copy */
    const struct weir_origin *origin_seen;
    const struct weir_origin *origin; /* its copy */
    const struct weir_metric *metrics_seen[REMEMBERED];
    const struct weir_metric *metrics[REMEMBERED]; /* their copies */
    const struct weir_scope *scope_seen;
    const struct weir_scope *scope; /* its copy */
};

/* Room for `size` bytes; NULL while measuring. */
static void *place(struct copier *copier, size_t size, size_t alignment)
{
    size_t offset = (copier->used + alignment - 1) & ~(alignment - 1);
    copier->used = offset + size;
    return copier->block == NULL ? NULL : copier->block + offset;
}

static struct weir_bytes place_bytes(struct copier *copier, struct weir_bytes bytes)
{
    uint8_t *memory = place(copier, bytes.size, 1);
    if (memory != NULL && bytes.size > 0) {
        memcpy(memory, bytes.data, bytes.size);
    }
    return (struct weir_bytes){memory, bytes.size};
}

/* Forgets scopes and metrics with the last resource, for I3: the same one may come again later. */
static void copy_resource(struct copier *copier, const struct weir_resource *from)
{
    if (from == copier->resource_seen) {
        return;
    }
    copier->resource_seen = from;
    copier->scope_seen = NULL;
    memset(copier->metrics_seen, 0, sizeof(copier->metrics_seen));
    struct weir_resource *to = place(copier, sizeof(*to), alignof(struct weir_resource));
    struct weir_resource copy = {.hash = from->hash};
    copy.head = place_bytes(copier, from->head);
    copy.account = place_bytes(copier, from->account);
    copy.region = place_bytes(copier, from->region);
    if (to != NULL) {
        *to = copy;
    }
    copier->resource = to;
}

static const struct weir_scope *copy_scope(struct copier *copier, const struct weir_scope *from)
{
    if (from != copier->scope_seen) {
        struct weir_scope *to = place(copier, sizeof(*to), alignof(struct weir_scope));
        struct weir_scope copy = {.resource = copier->resource, .hash = from->hash};
        copy.head = place_bytes(copier, from->head);
        if (to != NULL) {
            *to = copy;
        }
        copier->scope_seen = from;
        copier->scope = to;
    }
    return copier->scope;
}

static const struct weir_metric *copy_metric(struct copier *copier, const struct weir_metric *from)
{
    size_t at = ((uintptr_t)from / alignof(struct weir_metric)) * 0x9e3779b1u / 65536 % REMEMBERED;
    if (from != copier->metrics_seen[at]) {
        struct weir_metric *to = place(copier, sizeof(*to), alignof(struct weir_metric));
        struct weir_metric copy = *from;
        copy.scope = copy_scope(copier, from->scope);
        copy.head = place_bytes(copier, from->head);
        copy.data_head = place_bytes(copier, from->data_head);
        if (to != NULL) {
            *to = copy;
        }
        copier->metrics_seen[at] = from;
        copier->metrics[at] = to;
    }
    return copier->metrics[at];
}

static const struct weir_origin *copy_origin(struct copier *copier, const struct weir_origin *from)
{
    if (from == copier->origin_seen) { /* NULL too */
        return copier->origin;
    }
    struct weir_origin *to = place(copier, sizeof(*to), alignof(struct weir_origin));
    struct weir_origin copy = *from;
    copy.request_id = place_bytes(copier, from->request_id);
    copy.stream = place_bytes(copier, from->stream);
    if (to != NULL) {
        *to = copy;
    }
    copier->origin_seen = from;
    copier->origin = to;
    return to;
}

static void copy_points(struct copier *copier, const struct weir_run *from, struct weir_point *to)
{
    for (uint32_t i = 0; i < from->count; i++) {
        struct weir_point copy = from->points[i];
        WEIR_ASSERT(copy.metric->scope->resource == from->resource);
        copy.metric = copy_metric(copier, copy.metric);
        copy.data = place_bytes(copier, weir_bytes_of(copy.data, copy.size)).data;
        if (to != NULL) {
            to[i] = copy;
        }
    }
}

/* Places one run, not linked to any other. */
static struct weir_run *copy_run(struct copier *copier, const struct weir_run *from,
                                 struct weir_arena *arena)
{
    struct weir_run *to = place(copier, sizeof(*to), alignof(struct weir_run));
    struct weir_point *points =
        place(copier, from->count * sizeof(*points), alignof(struct weir_point));
    copy_resource(copier, from->resource);
    struct weir_run copy = *from;
    copy.arena = arena;
    copy.resource = copier->resource;
    copy.origin = copy_origin(copier, from->origin);
    copy.name = place_bytes(copier, from->name);
    copy.points = points;
    copy.next = NULL;
    copy_points(copier, from, points);
    if (to != NULL) {
        *to = copy;
    }
    return to;
}

/* One walk: into the arena's block, with a reference for each run, or, without a block, only
 * measuring. Returns the bytes placed; more than `size_max` when it was given up. */
static size_t walk(struct weir_route_row *row, struct weir_run *from, size_t size_max,
                   struct weir_arena *arena, uint8_t *block)
{
    struct copier copier = {.block = block};
    struct weir_run *last = NULL;
    while (from != NULL && copier.used <= size_max) {
        struct weir_run *copy = copy_run(&copier, from, arena);
        if (last != NULL) {
            last->next = copy;
        }
        if (copy != NULL) {
            weir_arena_ref(arena, copy->bytes);
        }
        last = copy;
        from = row == NULL ? NULL : weir_route_wanted(row, from->next);
    }
    return copier.used;
}

enum weir_status weir_run_copy(struct weir_router *router, struct weir_route_row *row,
                               struct weir_run *run, size_t size_max, struct weir_run **ret)
{
    size_t size = walk(row, run, size_max, NULL, NULL);
    if (size > size_max) {
        return WEIR_EFULL;
    }
    struct weir_arena *arena;
    if (weir_arena_new(router->regions, router->queued, size, &arena) != WEIR_OK) {
        return WEIR_EFULL;
    }
    struct weir_run *copy = weir_arena_alloc(arena, size, alignof(max_align_t));
    if (copy == NULL) {
        weir_arena_unref(arena, 0);
        return WEIR_EFULL;
    }
    size_t copied = walk(row, run, size, arena, (uint8_t *)copy);
    WEIR_ASSERT(copied == size);
    weir_arena_unref(arena, 0);
    *ret = copy;
    return WEIR_OK;
}
