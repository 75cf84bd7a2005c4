/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector's end: points are counted, and each goes to its place (collect.c has the picture).
 *
 *   points as they came   [ p p p p p p ... ]    in blocks, read twice from the first to the last
 *                           |
 *   cursors, by group     [ 0 | 1 | 2 | ... ]    metric, place, how many points, where the next
 *                           |   '-------.        goes: side by side, so that they stay at hand
 *   points by group       [ p p p | p p | p ... ]
 *
 *   1. each point is counted in its cursor and its place, and a cursor's first point puts it at the
 *      end of the order. In this order, a place's first cursor puts the place at the end of its
 *      namespace's, and the namespace's first one this at the end of all: so I2 of collect.c holds
 *      for the points that there are
 *   2. places become runs, one behind the other
 *   3. cursors, in their order, get the next part of their places' runs
 *   4. each point goes where its cursor says
 *
 * Metrics and what is collected beside them are not looked at any more: they lie all over the
 * arena, and are long gone from the cache.
 */
#include "collect_internal.h"
#include "weir/panic.h"

/* How many points ahead the memory that they go to is asked for. */
#define LOOK_AHEAD 8

struct cursor {
    const struct weir_metric *metric;
    struct place *place;
    uint32_t count;
    uint32_t offset; /* of the next point */
};

struct sorting {
    struct cursor *cursors; /* by number */
    uint32_t *order;        /* numbers of those with points, by the first ones; room for one more */
    uint32_t groups;        /* with points */
    struct kin *first;      /* with points, in the order of the first ones */
    struct kin *last;
};

/* How many of the items from `before` on stand in a block of `room`, when there are `all`. */
static inline uint32_t taken_of(uint32_t all, uint32_t before, uint32_t room)
{
    return all - before < room ? all - before : room;
}

/* Puts a place that has got its first point at the end of its namespace, and that, if it is its
 * first too, at the end of all. */
static void link_place(struct sorting *sorting, struct place *place)
{
    struct kin *kin = place->kin;
    if (kin->last != NULL) {
        kin->last->next = place;
        kin->last = place;
        return;
    }
    kin->first = place;
    kin->last = place;
    *(sorting->last == NULL ? &sorting->first : &sorting->last->next) = kin;
    sorting->last = kin;
}

/* Whether a point is its group's first cannot be foretold, so nothing branches on it. */
static void count_slots(struct sorting *sorting, const struct slot *slots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct slot *slot = &slots[i];
        struct cursor *cursor = &sorting->cursors[slot->group];
        struct place *place = cursor->place;
        sorting->order[sorting->groups] = slot->group;
        sorting->groups += cursor->count == 0;
        cursor->count++;
        place->bytes += weir_point_encoded_size(slot->size);
        place->newest_ns = slot->time_ns > place->newest_ns ? slot->time_ns : place->newest_ns;
    }
}

/* Step 1. */
static void count_points(const struct weir_collect *collect, struct sorting *sorting)
{
    const struct weir_collect_tables *tables = collect->tables;
    const struct chunk *chunk = tables->chunks;
    const struct block *block = tables->first;
    for (uint32_t i = 0; i < tables->numbered; i += COLLECT_CHUNK_GROUPS, chunk = chunk->next) {
        for (uint32_t k = 0; k < taken_of(tables->numbered, i, COLLECT_CHUNK_GROUPS); k++) {
            const struct entry *group = &chunk->groups[k];
            sorting->cursors[i + k] = (struct cursor){group->metric, group->place, 0, 0};
        }
    }
    for (uint32_t i = 0; i < collect->points; i += COLLECT_BLOCK_POINTS, block = block->next) {
        count_slots(sorting, block->slots, taken_of(collect->points, i, COLLECT_BLOCK_POINTS));
    }
    for (uint32_t i = 0; i < sorting->groups; i++) {
        const struct cursor *cursor = &sorting->cursors[sorting->order[i]];
        struct place *place = cursor->place;
        if (place->points == 0) {
            link_place(sorting, place);
        }
        place->points += cursor->count;
    }
}

/* The next of all places that have points. */
static struct place *after(const struct place *place)
{
    if (place->next != NULL) {
        return place->next;
    }
    return place->kin->next == NULL ? NULL : place->kin->next->first;
}

/* Step 2: one run for each place that has points. */
static struct weir_runs make_runs(const struct weir_collect *collect, const struct sorting *sorting,
                                  struct weir_run *runs, const struct weir_point *points)
{
    struct weir_runs all = {.runs = runs};
    for (struct place *place = sorting->first->first; place != NULL; place = after(place)) {
        place->offset = all.points;
        place->run = all.count;
        runs[all.count++] = (struct weir_run){.arena = collect->arena,
                                              .resource = place->resource,
                                              .name = place->kin->name.text,
                                              .points = points + all.points,
                                              .count = place->points,
                                              .bytes = place->bytes,
                                              .newest_ns = place->newest_ns};
        all.points += place->points;
        all.bytes += place->bytes;
    }
    WEIR_ASSERT(all.points == collect->points);
    return all;
}

/* Step 3. */
static void place_cursors(struct sorting *sorting)
{
    for (uint32_t i = 0; i < sorting->groups; i++) {
        struct cursor *cursor = &sorting->cursors[sorting->order[i]];
        cursor->offset = cursor->place->offset;
        cursor->place->offset += cursor->count;
    }
}

static void copy_slots(const struct slot *slots, uint32_t count, struct cursor *cursors,
                       struct weir_point *points)
{
    for (uint32_t i = 0; i < count; i++) {
        struct cursor *cursor = &cursors[slots[i].group];
        if (i + LOOK_AHEAD < count) {
            __builtin_prefetch(&points[cursors[slots[i + LOOK_AHEAD].group].offset], 1);
        }
        points[cursor->offset++] =
            (struct weir_point){slots[i].data, slots[i].size, cursor->place->run, cursor->metric};
    }
}

/* Step 4. */
static void copy_points(const struct weir_collect *collect, struct cursor *cursors,
                        struct weir_point *points)
{
    const struct block *block = collect->tables->first;
    for (uint32_t i = 0; i < collect->points; i += COLLECT_BLOCK_POINTS, block = block->next) {
        copy_slots(block->slots, taken_of(collect->points, i, COLLECT_BLOCK_POINTS), cursors,
                   points);
    }
}

enum weir_status weir_collect_finish(struct weir_collect *collect, struct weir_runs *ret)
{
    struct weir_arena *arena = collect->arena;
    const struct weir_collect_tables *tables = collect->tables;
    if (collect->full) {
        return WEIR_EFULL;
    }
    if (collect->points == 0) {
        *ret = (struct weir_runs){0};
        return WEIR_OK;
    }
    size_t size = tables->numbered * (sizeof(struct cursor) + sizeof(uint32_t)) + sizeof(uint32_t);
    struct weir_run *runs = weir_arena_alloc(arena, tables->places.count * sizeof(*runs), 8);
    struct weir_point *points = weir_arena_alloc(arena, collect->points * sizeof(*points), 8);
    struct cursor *cursors = weir_arena_alloc(arena, size, 8);
    if (runs == NULL || points == NULL || cursors == NULL) {
        collect->full = true;
        return WEIR_EFULL;
    }
    struct sorting sorting = {.cursors = cursors,
                              .order = (uint32_t *)(cursors + tables->numbered)};
    count_points(collect, &sorting);
    *ret = make_runs(collect, &sorting, runs, points);
    place_cursors(&sorting);
    copy_points(collect, cursors, points);
    weir_arena_trim(arena, cursors, size, 0);
    WEIR_DCHECK(weir_runs_validate(ret));
    return WEIR_OK;
}
