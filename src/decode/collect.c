/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector: interned heads, a flat list of points, and the sort that makes runs of them.
 *
 *   tables ─► resources, scopes, metrics   weir/intern.h, keyed by the hash of their bytes
 *          ─► places                       the same for (resource, namespace): what becomes a run
 *          ─► block ⇄ block ⇄ block        512 points each: where, how long, which group, when
 *
 *   metric ─► group ─► place               what stands together in a run. A metric's name holds the
 *                                          namespace, so its points nearly always share one place:
 *                                          its first group lies beside it, and only further ones
 *                                          are in a table
 *
 *   finish:  count each group's points ─► offsets ─► copy every point to its group's next slot
 *
 *            place 0                        place 1
 *            [ group 0: p0 p4 | group 2: p3 | group 1: p1 p2 ]     one array
 *
 *   I1  points in [0, collect->points) stand in blocks first .. current; blocks after `current`
 *       are spare
 *   I2  points of a group keep the order in which they came; groups within a place, and places,
 *       stand in the order of their first points
 *   I3  equal heads under one parent are one struct, so comparing pointers compares metrics
 *   I4  once `full` is set, nothing is added and what was interned stays readable
 *
 * Taking back a message moves `points` only. The heads and groups that it brought stay (nobody can
 * see them): I2's order is found in finish, among the points that remain, so that a message that
 * was taken back leaves no trace in it.
 *
 * Counts, bytes and the newest time are summed in finish and not on the way, because a rollback
 * could not take a maximum back. The one thread of the request calls all of it. It does not look
 * into the points.
 */
#include "weir/collect.h"
#include "weir/hash.h"
#include "weir/intern.h"
#include "weir/panic.h"

/* A block (16 KiB) must stay below half an arena chunk: larger allocations take one of the arena's
 * few regions each. */
#define BLOCK_POINTS 512

/* A point while it is collected. */
struct slot {
    const uint8_t *data;
    int64_t time_ns;
    struct group *group;
    uint32_t size;
};

struct block {
    struct block *next;
    struct block *previous;
    struct slot slots[BLOCK_POINTS];
};

/* What becomes a run. */
struct place {
    const struct weir_resource *resource;
    struct weir_bytes name;
    struct place *next;  /* of those with points, in their order; set by finish */
    struct group *first; /* its groups with points; set by finish */
    struct group *last;
};

/* Points of one metric in one place. All below `place` is finish's. */
struct group {
    const struct weir_metric *metric;
    struct place *place; /* NULL: a metric's first group, before the first point */
    struct group *next;  /* in its place */
    uint32_t count;
    uint32_t offset; /* of its next point in the sorted array */
    uint32_t run;
    size_t bytes;
    int64_t newest_ns;
};

/* A metric as everybody sees it, and what only the collector does, in one piece: looking a metric
 * up and finding its group is one way into memory, and with some thousand metrics the way is what
 * it costs. */
struct memo {
    struct group *latest;
    struct group first;
};
struct known_metric {
    struct weir_metric metric;
    struct memo *memo; /* `own`: a way to change it from a const metric */
    struct memo own;
};

struct weir_collect_tables {
    struct weir_intern resources;
    struct weir_intern scopes;
    struct weir_intern metrics;
    struct weir_intern places;
    struct weir_intern groups; /* but the metrics' first ones */
    struct block *first;
    struct block *current;
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

/* The head is copied behind the metric, because every look-up compares it. */
static const struct weir_metric *add_metric(struct weir_collect *collect,
                                            const struct weir_metric *key, uint64_t hash)
{
    struct known_metric *added = NULL;
    if (!collect->full) {
        added = weir_arena_alloc(collect->arena, sizeof(*added) + key->head.size, 8);
    }
    if (added == NULL ||
        weir_intern_add(&collect->tables->metrics, collect->arena, hash, added) != WEIR_OK) {
        collect->full = true;
        return &no_metric;
    }
    *added = (struct known_metric){.metric = *key, .memo = &added->own};
    added->metric.hash = hash;
    added->own.latest = &added->own.first;
    added->own.first.metric = &added->metric;
    if (key->head.size > 0) {
        memcpy(added + 1, key->head.data, key->head.size);
        added->metric.head.data = (const uint8_t *)(added + 1);
    }
    return &added->metric;
}

const struct weir_metric *weir_collect_metric(struct weir_collect *collect,
                                              const struct weir_metric *key)
{
    const struct weir_intern *intern = &collect->tables->metrics;
    uint64_t hash = weir_metric_hash(key);
    uint32_t at = 0;
    for (const struct weir_metric *known = weir_intern_first(intern, hash, &at); known != NULL;
         known = weir_intern_next(intern, hash, &at)) {
        if (known->scope == key->scope && known->data == key->data &&
            weir_bytes_eq(known->head, key->head) &&
            weir_bytes_eq(known->data_head, key->data_head)) {
            return known;
        }
    }
    return add_metric(collect, key, hash);
}

static struct place *find_place(struct weir_collect *collect, const struct weir_resource *resource,
                                struct weir_bytes name)
{
    struct weir_intern *intern = &collect->tables->places;
    uint64_t hash = weir_hash_mix(resource->hash, weir_hash_quick(name));
    uint32_t at = 0;
    for (struct place *place = weir_intern_first(intern, hash, &at); place != NULL;
         place = weir_intern_next(intern, hash, &at)) {
        if (place->resource == resource && weir_bytes_eq(place->name, name)) {
            return place;
        }
    }
    const struct place fresh = {.resource = resource, .name = name};
    return keep(collect, intern, hash, weir_bytes_of(&fresh, sizeof(fresh)));
}

/* One of a metric's groups in further places; NULL when full. */
static struct group *find_further(struct weir_collect *collect, const struct weir_metric *metric,
                                  struct weir_bytes name)
{
    struct weir_intern *intern = &collect->tables->groups;
    uint64_t hash = weir_hash_mix(metric->hash, weir_hash_quick(name));
    uint32_t at = 0;
    for (struct group *group = weir_intern_first(intern, hash, &at); group != NULL;
         group = weir_intern_next(intern, hash, &at)) {
        if (group->metric == metric && weir_bytes_eq(group->place->name, name)) {
            return group;
        }
    }
    struct place *place = find_place(collect, metric->scope->resource, name);
    const struct group fresh = {.metric = metric, .place = place};
    return place == NULL ? NULL : keep(collect, intern, hash, weir_bytes_of(&fresh, sizeof(fresh)));
}

/* Where the metric's latest point was in another place, or there was none. */
static struct group *change_group(struct weir_collect *collect, const struct weir_metric *metric,
                                  struct memo *memo, struct weir_bytes name)
{
    struct group *group = &memo->first;
    if (group->place == NULL) {
        group->place = find_place(collect, metric->scope->resource, name);
        return group->place == NULL ? NULL : group;
    }
    if (!weir_bytes_eq(group->place->name, name)) {
        group = find_further(collect, metric, name);
    }
    memo->latest = group == NULL ? memo->latest : group;
    return group;
}

/* The group of a point of `metric` in the namespace `name`; NULL when full. */
static inline struct group *find_group(struct weir_collect *collect,
                                       const struct weir_metric *metric, struct weir_bytes name)
{
    struct memo *memo = ((const struct known_metric *)metric)->memo;
    struct group *latest = memo->latest;
    if (latest->place != NULL && weir_bytes_eq(latest->place->name, name)) {
        return latest;
    }
    return change_group(collect, metric, memo, name);
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
    struct group *group = collect->full ? NULL : find_group(collect, metric, name);
    uint32_t at = collect->points % BLOCK_POINTS;
    if (group == NULL || (at == 0 && !next_block(collect))) {
        return;
    }
    collect->tables->current->slots[at] =
        (struct slot){data.data, time_ns, group, (uint32_t)data.size};
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

/* The places that have points. */
struct sorting {
    struct place *first;
    struct place *last;
    uint32_t places;
};

/* Puts a group that has got its first point at the end of its place, and the place, if it is its
 * first too, at the end of all. */
static void link_group(struct sorting *sorting, struct group *group)
{
    struct place *place = group->place;
    if (place->last != NULL) {
        place->last->next = group;
        place->last = group;
        return;
    }
    place->first = group;
    place->last = group;
    if (sorting->last == NULL) {
        sorting->first = place;
    } else {
        sorting->last->next = place;
    }
    sorting->last = place;
    sorting->places++;
}

static void count_slots(struct sorting *sorting, const struct slot *slots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct group *group = slots[i].group;
        if (group->count++ == 0) {
            link_group(sorting, group);
        }
        group->bytes += weir_point_encoded_size(slots[i].size);
        group->newest_ns =
            slots[i].time_ns > group->newest_ns ? slots[i].time_ns : group->newest_ns;
    }
}

/* One run for each place that has points, its part of `points` laid out group by group. */
static struct weir_runs lay_out(const struct weir_collect *collect, const struct sorting *sorting,
                                struct weir_run *runs, const struct weir_point *points)
{
    struct weir_runs all = {.runs = runs, .points = collect->points};
    uint32_t offset = 0;
    for (const struct place *place = sorting->first; place != NULL; place = place->next) {
        struct weir_run run = {.arena = collect->arena,
                               .resource = place->resource,
                               .name = place->name,
                               .points = points + offset};
        for (struct group *group = place->first; group != NULL; group = group->next) {
            group->run = all.count;
            group->offset = offset;
            offset += group->count;
            run.count += group->count;
            run.bytes += group->bytes;
            run.newest_ns = group->newest_ns > run.newest_ns ? group->newest_ns : run.newest_ns;
        }
        all.bytes += run.bytes;
        runs[all.count++] = run;
    }
    WEIR_ASSERT(offset == collect->points);
    return all;
}

static void copy_slots(const struct slot *slots, uint32_t count, struct weir_point *points)
{
    for (uint32_t i = 0; i < count; i++) {
        struct group *group = slots[i].group;
        points[group->offset++] =
            (struct weir_point){slots[i].data, slots[i].size, group->run, group->metric};
    }
}

/* How many points of a block are taken, when `before` stand in the blocks before it. */
static uint32_t taken_of_block(const struct weir_collect *collect, uint32_t before)
{
    uint32_t left = collect->points - before;
    return left < BLOCK_POINTS ? left : BLOCK_POINTS;
}

enum weir_status weir_collect_finish(struct weir_collect *collect, struct weir_runs *ret)
{
    struct weir_arena *arena = collect->arena;
    if (collect->full) {
        return WEIR_EFULL;
    }
    if (collect->points == 0) {
        *ret = (struct weir_runs){0};
        return WEIR_OK;
    }
    struct sorting sorting = {NULL, NULL, 0};
    const struct block *block = collect->tables->first;
    for (uint32_t i = 0; i < collect->points; i += BLOCK_POINTS, block = block->next) {
        count_slots(&sorting, block->slots, taken_of_block(collect, i));
    }
    struct weir_run *runs = weir_arena_alloc(arena, sorting.places * sizeof(*runs), 8);
    struct weir_point *points = weir_arena_alloc(arena, collect->points * sizeof(*points), 8);
    if (runs == NULL || points == NULL) {
        collect->full = true;
        return WEIR_EFULL;
    }
    *ret = lay_out(collect, &sorting, runs, points);
    block = collect->tables->first;
    for (uint32_t i = 0; i < collect->points; i += BLOCK_POINTS, block = block->next) {
        copy_slots(block->slots, taken_of_block(collect, i), points);
    }
    WEIR_DCHECK(weir_runs_validate(ret));
    return WEIR_OK;
}
