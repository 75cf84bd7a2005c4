/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector's end: counts to offsets, and every point to its place (collect.c has the picture).
 *
 *   groups, by number   [ 0 | 1 | 2 | ... ]      all over the arena: each is looked at once, in the
 *                         |   |   |              order in which they were made, as good as always
 *   cursors             [ 0 | 1 | 2 | ... ]      side by side, so that they stay at hand while the
 *                         |   '-------.          points take turns
 *   points              [ p p p | p p | p ... ]
 *
 * Going through the groups by number is going through those of each place in their order. What a
 * point writes to is asked for some points ahead.
 */
#include "collect_internal.h"
#include "weir/panic.h"

/* How many points or groups ahead memory is asked for. */
#define LOOK_AHEAD 8

/* Where a group's next point goes. */
struct cursor {
    const struct weir_metric *metric;
    uint32_t offset;
    uint32_t run;
};

/* How many of the items from `before` on stand in a block of `room`, when there are `all`. */
static inline uint32_t taken_of(uint32_t all, uint32_t before, uint32_t room)
{
    return all - before < room ? all - before : room;
}

/* Nobody has points. */
static void forget_group(struct group *group)
{
    struct place *place = group->place;
    group->count = 0;
    group->bytes = 0;
    group->newest_ns = 0;
    place->has_points = false;
    place->next = NULL;
    place->kin->next = NULL;
    place->kin->first = NULL;
    place->kin->last = NULL;
}

/* Fills `all` with the groups by number, and forgets what was counted and linked. */
static void forget_counts(struct sorting *sorting, struct group **all)
{
    const struct chunk *chunk = sorting->chunks;
    for (uint32_t i = 0; i < sorting->groups; i += COLLECT_CHUNK_GROUPS, chunk = chunk->next) {
        for (uint32_t k = 0; k < taken_of(sorting->groups, i, COLLECT_CHUNK_GROUPS); k++) {
            all[i + k] = chunk->groups[k];
            forget_group(chunk->groups[k]);
        }
    }
    *sorting = (struct sorting){.chunks = sorting->chunks};
}

/* Counts as if only the points that remain had come. False when full. */
static bool count_again(struct weir_collect *collect)
{
    struct sorting *sorting = &collect->tables->sorting;
    struct block *block = collect->tables->first;
    size_t size = sorting->groups * sizeof(struct group *);
    struct group **all = weir_arena_alloc(collect->arena, size, _Alignof(struct group *));
    if (all == NULL) {
        return false;
    }
    forget_counts(sorting, all);
    for (uint32_t i = 0; i < collect->points; i += COLLECT_BLOCK_POINTS, block = block->next) {
        for (uint32_t k = 0; k < taken_of(collect->points, i, COLLECT_BLOCK_POINTS); k++) {
            struct slot *slot = &block->slots[k];
            struct group *group = all[slot->group];
            bool is_linked = group->count > 0 || link_group(collect, group);
            WEIR_ASSERT(is_linked); /* there were chunks for more */
            slot->group = group->number;
            count_point(group, slot);
        }
    }
    weir_arena_trim(collect->arena, all, size, 0);
    return true;
}

/* The next of all places that have points. */
static struct place *after(const struct place *place)
{
    if (place->next != NULL) {
        return place->next;
    }
    return place->kin->next == NULL ? NULL : place->kin->next->first;
}

/* One run for each place that has points, empty so far. */
static uint32_t begin_runs(const struct weir_collect *collect, struct weir_run *runs)
{
    uint32_t count = 0;
    for (struct place *place = collect->tables->sorting.first->first; place != NULL;
         place = after(place)) {
        place->run = count;
        runs[count++] = (struct weir_run){
            .arena = collect->arena, .resource = place->resource, .name = place->name.text};
    }
    return count;
}

/* Takes a group into its run, behind those that are there. */
static inline struct cursor take_group(const struct group *group, struct weir_run *runs)
{
    uint32_t number = group->place->run;
    struct weir_run *run = &runs[number];
    struct cursor cursor = {group->metric, run->count, number};
    run->count += group->count;
    run->bytes += group->bytes;
    run->newest_ns = group->newest_ns > run->newest_ns ? group->newest_ns : run->newest_ns;
    return cursor;
}

/* Each group's cursor, from its run's beginning. */
static void take_groups(const struct sorting *sorting, struct weir_run *runs,
                        struct cursor *cursors)
{
    const struct chunk *chunk = sorting->chunks;
    for (uint32_t i = 0; i < sorting->groups; i += COLLECT_CHUNK_GROUPS, chunk = chunk->next) {
        uint32_t taken = taken_of(sorting->groups, i, COLLECT_CHUNK_GROUPS);
        for (uint32_t k = 0; k < taken; k++) {
            __builtin_prefetch(chunk->groups[k + LOOK_AHEAD < taken ? k + LOOK_AHEAD : k]);
            cursors[i + k] = take_group(chunk->groups[k], runs);
        }
    }
}

/* Lays the runs out one behind the other, and their groups with them. */
static struct weir_runs lay_out(const struct weir_collect *collect, struct weir_run *runs,
                                const struct weir_point *points, struct cursor *cursors)
{
    const struct sorting *sorting = &collect->tables->sorting;
    struct weir_runs all = {.runs = runs, .count = begin_runs(collect, runs)};
    take_groups(sorting, runs, cursors);
    for (uint32_t i = 0; i < all.count; i++) {
        runs[i].points = points + all.points;
        all.points += runs[i].count;
        all.bytes += runs[i].bytes;
    }
    for (uint32_t i = 0; i < sorting->groups; i++) {
        cursors[i].offset += (uint32_t)(runs[cursors[i].run].points - points);
    }
    WEIR_ASSERT(all.points == collect->points);
    return all;
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
            (struct weir_point){slots[i].data, slots[i].size, cursor->run, cursor->metric};
    }
}

enum weir_status weir_collect_finish(struct weir_collect *collect, struct weir_runs *ret)
{
    struct weir_arena *arena = collect->arena;
    const struct sorting *sorting = &collect->tables->sorting;
    if (!collect->full && collect->points == 0) {
        *ret = (struct weir_runs){0};
        return WEIR_OK;
    }
    if (collect->full || (collect->tables->is_stale && !count_again(collect))) {
        collect->full = true;
        return WEIR_EFULL;
    }
    size_t cursors_size = sorting->groups * sizeof(struct cursor);
    struct weir_run *runs = weir_arena_alloc(arena, sorting->places * sizeof(*runs), 8);
    struct weir_point *points = weir_arena_alloc(arena, collect->points * sizeof(*points), 8);
    struct cursor *cursors = weir_arena_alloc(arena, cursors_size, 8);
    if (runs == NULL || points == NULL || cursors == NULL) {
        collect->full = true;
        return WEIR_EFULL;
    }
    *ret = lay_out(collect, runs, points, cursors);
    const struct block *block = collect->tables->first;
    for (uint32_t i = 0; i < collect->points; i += COLLECT_BLOCK_POINTS, block = block->next) {
        copy_slots(block->slots, taken_of(collect->points, i, COLLECT_BLOCK_POINTS), cursors,
                   points);
    }
    weir_arena_trim(arena, cursors, cursors_size, 0);
    WEIR_DCHECK(weir_runs_validate(ret));
    return WEIR_OK;
}
