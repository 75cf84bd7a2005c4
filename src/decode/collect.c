/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector: interned heads, a flat list of points, and the sort that makes runs of them.
 *
 *   tables ─► resources, scopes, metrics   weir/intern.h, keyed by the hash of their bytes
 *          ─► places                       the same for (resource, namespace): what becomes a run
 *          ─► recent[]                     metric ─► place: a point costs one compare, not one hash
 *          ─► block ⇄ block ⇄ block        512 points each, and their times beside them
 *
 *   finish:  count each place's points ─► offsets ─► copy every point to its place's next slot
 *
 *            [ place 0: p0 p3 p4 | place 1: p1 | place 2: p2 p5 ]   one array; the order within a
 *                                                                   run is that of arrival
 *
 *   I1  points in [0, collect->points) stand in blocks first .. current; blocks after `current`
 *       are spare
 *   I2  point->run is an index of a place while collecting, and of a run after finish
 *   I3  equal heads under one parent are one struct, so comparing pointers compares metrics
 *   I4  once `full` is set, nothing is added and what was interned stays readable
 *
 * Taking back a message moves `points` only. The heads that it brought stay interned (nobody can
 * see them), and a place that is left without points makes no run.
 *
 * A run's bytes and newest time are summed in finish and not on the way, because a rollback could
 * not take a maximum back. The one thread of the request calls all of it. It does not look into the
 * points.
 */
#include "weir/collect.h"
#include "weir/hash.h"
#include "weir/intern.h"
#include "weir/panic.h"

/* A block (16 KiB) must stay below half an arena chunk: larger allocations take one of the arena's
 * few regions each. */
#define BLOCK_POINTS 512
#define RECENT       256

struct block {
    struct block *next;
    struct block *previous;
    struct weir_point points[BLOCK_POINTS];
    int64_t times[BLOCK_POINTS];
};

struct place {
    const struct weir_resource *resource;
    struct weir_bytes name;
    struct place *next; /* in order of arrival */
    uint32_t index;
    uint32_t count;  /* points, counted by finish */
    uint32_t run;    /* where finish put it */
    uint32_t offset; /* of its next point in the sorted array */
    size_t bytes;
    int64_t newest_ns;
};

struct recent {
    const struct weir_metric *metric;
    struct place *place;
};

struct weir_collect_tables {
    struct weir_intern resources;
    struct weir_intern scopes;
    struct weir_intern metrics;
    struct weir_intern places;
    struct place *first_place;
    struct place *last_place;
    uint32_t place_count;
    struct block *first;
    struct block *current;
    struct recent recent[RECENT];
};

static const struct weir_resource no_resource;
static const struct weir_scope no_scope = {.resource = &no_resource};
static const struct weir_metric no_metric = {.scope = &no_scope, .data = WEIR_METRIC_GAUGE};

struct weir_collect *weir_collect_new(struct weir_arena *arena)
{
    struct {
        struct weir_collect collect;
        struct weir_tally tally;
        struct weir_collect_tables tables;
    } *all = weir_arena_alloc(arena, sizeof(*all), _Alignof(max_align_t));
    if (all == NULL) {
        return NULL;
    }
    memset(all, 0, sizeof(*all));
    all->collect.arena = arena;
    all->collect.tally = &all->tally;
    all->collect.tables = &all->tables;
    return &all->collect;
}

/* A copy of `item` in the arena, added to `intern`; NULL with `full` set where there is no room. */
static void *keep(struct weir_collect *collect, struct weir_intern *intern, uint64_t hash,
                  struct weir_bytes item)
{
    void *copy = collect->full ? NULL : weir_arena_alloc(collect->arena, item.size, 8);
    if (copy == NULL) {
        collect->full = true;
        return NULL;
    }
    memcpy(copy, item.data, item.size);
    if (weir_intern_add(intern, collect->arena, hash, copy) != WEIR_OK) {
        collect->full = true;
        return NULL;
    }
    return copy;
}

const struct weir_resource *weir_collect_resource(struct weir_collect *collect,
                                                  struct weir_bytes head, struct weir_bytes account,
                                                  struct weir_bytes region)
{
    struct weir_intern *intern = &collect->tables->resources;
    struct weir_resource key = {head, account, region, weir_resource_hash(head)};
    uint32_t at = 0;
    for (const struct weir_resource *known = weir_intern_first(intern, key.hash, &at);
         known != NULL; known = weir_intern_next(intern, key.hash, &at)) {
        if (weir_bytes_eq(known->head, head)) {
            return known;
        }
    }
    const struct weir_resource *added =
        keep(collect, intern, key.hash, weir_bytes_of(&key, sizeof(key)));
    return added == NULL ? &no_resource : added;
}

const struct weir_scope *weir_collect_scope(struct weir_collect *collect,
                                            const struct weir_resource *resource,
                                            struct weir_bytes head)
{
    struct weir_intern *intern = &collect->tables->scopes;
    struct weir_scope key = {.resource = resource, .head = head};
    key.hash = weir_scope_hash(&key);
    uint32_t at = 0;
    for (const struct weir_scope *known = weir_intern_first(intern, key.hash, &at); known != NULL;
         known = weir_intern_next(intern, key.hash, &at)) {
        if (known->resource == resource && weir_bytes_eq(known->head, head)) {
            return known;
        }
    }
    const struct weir_scope *added =
        keep(collect, intern, key.hash, weir_bytes_of(&key, sizeof(key)));
    return added == NULL ? &no_scope : added;
}

const struct weir_metric *weir_collect_metric(struct weir_collect *collect, struct weir_metric key)
{
    struct weir_intern *intern = &collect->tables->metrics;
    key.hash = weir_metric_hash(&key);
    uint32_t at = 0;
    for (const struct weir_metric *known = weir_intern_first(intern, key.hash, &at); known != NULL;
         known = weir_intern_next(intern, key.hash, &at)) {
        if (known->scope == key.scope && known->data == key.data &&
            weir_bytes_eq(known->head, key.head) &&
            weir_bytes_eq(known->data_head, key.data_head)) {
            return known;
        }
    }
    const struct weir_metric *added =
        keep(collect, intern, key.hash, weir_bytes_of(&key, sizeof(key)));
    return added == NULL ? &no_metric : added;
}

static struct place *add_place(struct weir_collect *collect, uint64_t hash,
                               const struct weir_resource *resource, struct weir_bytes name)
{
    struct weir_collect_tables *tables = collect->tables;
    struct place fresh = {.resource = resource, .name = name, .index = tables->place_count};
    struct place *place =
        keep(collect, &tables->places, hash, weir_bytes_of(&fresh, sizeof(fresh)));
    if (place == NULL) {
        return NULL;
    }
    if (tables->last_place == NULL) {
        tables->first_place = place;
    } else {
        tables->last_place->next = place;
    }
    tables->last_place = place;
    tables->place_count++;
    return place;
}

/* The place of a point of `metric` in the namespace `name`. A metric's points nearly always share
 * one namespace, since its name holds it. */
static struct place *find_place(struct weir_collect *collect, const struct weir_metric *metric,
                                struct weir_bytes name)
{
    struct weir_collect_tables *tables = collect->tables;
    struct recent *recent = &tables->recent[metric->hash % RECENT];
    if (recent->metric == metric && weir_bytes_eq(recent->place->name, name)) {
        return recent->place;
    }
    const struct weir_resource *resource = metric->scope->resource;
    uint64_t hash = weir_hash_mix(resource->hash, weir_hash(name));
    uint32_t at = 0;
    struct place *place = weir_intern_first(&tables->places, hash, &at);
    while (place != NULL && !(place->resource == resource && weir_bytes_eq(place->name, name))) {
        place = weir_intern_next(&tables->places, hash, &at);
    }
    if (place == NULL) {
        place = add_place(collect, hash, resource, name);
    }
    if (place != NULL) {
        *recent = (struct recent){metric, place};
    }
    return place;
}

/* Makes `current` the block after itself. */
static bool next_block(struct weir_collect *collect)
{
    struct weir_collect_tables *tables = collect->tables;
    struct block *block = tables->current == NULL ? tables->first : tables->current->next;
    if (block == NULL) {
        block = weir_arena_alloc(collect->arena, sizeof(*block), _Alignof(struct block));
        if (block == NULL) {
            collect->full = true;
            return false;
        }
        block->next = NULL;
        block->previous = tables->current;
        if (tables->current == NULL) {
            tables->first = block;
        } else {
            tables->current->next = block;
        }
    }
    tables->current = block;
    return true;
}

void weir_collect_point(struct weir_collect *collect, const struct weir_metric *metric,
                        struct weir_bytes name, struct weir_bytes data, int64_t time_ns)
{
    WEIR_ASSERT(data.size <= UINT32_MAX);
    WEIR_ASSERT(collect->points < UINT32_MAX);
    const struct place *place = collect->full ? NULL : find_place(collect, metric, name);
    uint32_t at = collect->points % BLOCK_POINTS;
    if (place == NULL || (at == 0 && !next_block(collect))) {
        return;
    }
    struct block *block = collect->tables->current;
    block->points[at] = (struct weir_point){data.data, (uint32_t)data.size, place->index, metric};
    block->times[at] = time_ns;
    collect->points++;
}

static uint32_t blocks_of(uint32_t points)
{
    return points / BLOCK_POINTS + (points % BLOCK_POINTS != 0);
}

void weir_collect_rollback(struct weir_collect *collect, struct weir_collect_mark mark)
{
    WEIR_ASSERT(mark.points <= collect->points);
    for (uint32_t i = blocks_of(mark.points); i < blocks_of(collect->points); i++) {
        collect->tables->current = collect->tables->current->previous;
    }
    collect->points = mark.points;
}

/* Counts every place's points; places[i] is the place of index i. */
static void count_points(const struct weir_collect *collect, struct place **places)
{
    const struct block *block = collect->tables->first;
    for (uint32_t i = 0; i < collect->points; i++) {
        uint32_t at = i % BLOCK_POINTS;
        if (i > 0 && at == 0) {
            block = block->next;
        }
        struct place *place = places[block->points[at].run];
        place->count++;
        place->bytes += weir_point_encoded_size(block->points[at].size);
        place->newest_ns =
            block->times[at] > place->newest_ns ? block->times[at] : place->newest_ns;
    }
}

/* One run for each place that has points, its part of `points` laid out. */
static struct weir_runs lay_out(const struct weir_collect *collect, struct weir_run *runs,
                                const struct weir_point *points)
{
    struct weir_runs all = {.runs = runs, .points = collect->points};
    uint32_t offset = 0;
    for (struct place *place = collect->tables->first_place; place != NULL; place = place->next) {
        if (place->count == 0) {
            continue;
        }
        place->run = all.count;
        place->offset = offset;
        runs[all.count++] = (struct weir_run){.arena = collect->arena,
                                              .resource = place->resource,
                                              .name = place->name,
                                              .points = points + offset,
                                              .count = place->count,
                                              .bytes = place->bytes,
                                              .newest_ns = place->newest_ns};
        offset += place->count;
        all.bytes += place->bytes;
    }
    WEIR_ASSERT(offset == collect->points);
    return all;
}

static void copy_points(const struct weir_collect *collect, struct place **places,
                        struct weir_point *points)
{
    const struct block *block = collect->tables->first;
    for (uint32_t i = 0; i < collect->points; i++) {
        uint32_t at = i % BLOCK_POINTS;
        if (i > 0 && at == 0) {
            block = block->next;
        }
        struct place *place = places[block->points[at].run];
        struct weir_point *point = &points[place->offset++];
        *point = block->points[at];
        point->run = place->run;
    }
}

enum weir_status weir_collect_finish(struct weir_collect *collect, struct weir_runs *ret)
{
    struct weir_arena *arena = collect->arena;
    uint32_t count = collect->tables->place_count;
    if (collect->full) {
        return WEIR_EFULL;
    }
    if (collect->points == 0) {
        *ret = (struct weir_runs){0};
        return WEIR_OK;
    }
    struct place **places = weir_arena_alloc(arena, count * sizeof(*places), 8);
    struct weir_run *runs = weir_arena_alloc(arena, count * sizeof(*runs), 8);
    struct weir_point *points = weir_arena_alloc(arena, collect->points * sizeof(*points), 8);
    if (places == NULL || runs == NULL || points == NULL) {
        collect->full = true;
        return WEIR_EFULL;
    }
    for (struct place *place = collect->tables->first_place; place != NULL; place = place->next) {
        places[place->index] = place;
    }
    count_points(collect, places);
    *ret = lay_out(collect, runs, points);
    copy_points(collect, places, points);
    WEIR_DCHECK(weir_runs_validate(ret));
    return WEIR_OK;
}
