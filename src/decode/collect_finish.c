/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector's end: counts to offsets, and every point to its place (collect.c has the picture).
 * Points of a group go to one place each, but groups take turns, so both the group and the place
 * that it writes to are asked for some points ahead.
 */
#include "collect_internal.h"
#include "weir/panic.h"

/* How many points ahead their groups are asked for. */
#define LOOK_AHEAD 8

static void forget_group(struct group *group)
{
    group->next = NULL;
    group->count = 0;
    group->bytes = 0;
    group->newest_ns = 0;
}

/* Nothing is counted, and nobody linked. */
static void forget_counts(struct weir_collect_tables *tables)
{
    for (uint32_t i = 0; i < tables->metrics.slots; i++) {
        struct known_metric *known = tables->metrics.table[i].item;
        if (known != NULL) {
            forget_group(&known->own.first);
        }
    }
    for (uint32_t i = 0; i < tables->groups.slots; i++) {
        if (tables->groups.table[i].item != NULL) {
            forget_group(tables->groups.table[i].item);
        }
    }
    for (uint32_t i = 0; i < tables->places.slots; i++) {
        struct place *place = tables->places.table[i].item;
        if (place != NULL) {
            place->next = NULL;
            place->first = NULL;
            place->last = NULL;
        }
    }
    for (uint32_t i = 0; i < tables->kins.slots; i++) {
        struct kin *kin = tables->kins.table[i].item;
        if (kin != NULL) {
            kin->next = NULL;
            kin->first = NULL;
            kin->last = NULL;
        }
    }
    tables->sorting = (struct sorting){NULL, NULL, 0};
}

/* The next of all places that have points. */
static const struct place *after(const struct place *place)
{
    if (place->next != NULL) {
        return place->next;
    }
    return place->kin->next == NULL ? NULL : place->kin->next->first;
}

/* One run for each place that has points, its part of `points` laid out group by group. */
static struct weir_runs lay_out(const struct weir_collect *collect, const struct sorting *sorting,
                                struct weir_run *runs, const struct weir_point *points)
{
    struct weir_runs all = {.runs = runs, .points = collect->points};
    uint32_t offset = 0;
    for (const struct place *place = sorting->first->first; place != NULL; place = after(place)) {
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
        if (i + 2 * LOOK_AHEAD < count) {
            __builtin_prefetch(slots[i + 2 * LOOK_AHEAD].group, 1);
            __builtin_prefetch(&points[slots[i + LOOK_AHEAD].group->offset], 1);
        }
        points[group->offset++] =
            (struct weir_point){slots[i].data, slots[i].size, group->run, group->metric};
    }
}

/* How many points of a block are taken, when `before` stand in the blocks before it. */
static uint32_t taken_of_block(const struct weir_collect *collect, uint32_t before)
{
    uint32_t left = collect->points - before;
    return left < COLLECT_BLOCK_POINTS ? left : COLLECT_BLOCK_POINTS;
}

/* Counts as if only the points that remain had come. */
static void count_again(struct weir_collect *collect)
{
    struct weir_collect_tables *tables = collect->tables;
    const struct block *block = tables->first;
    forget_counts(tables);
    for (uint32_t i = 0; i < collect->points; i += COLLECT_BLOCK_POINTS, block = block->next) {
        for (uint32_t k = 0; k < taken_of_block(collect, i); k++) {
            count_point(&tables->sorting, &block->slots[k]);
        }
    }
}

enum weir_status weir_collect_finish(struct weir_collect *collect, struct weir_runs *ret)
{
    struct weir_arena *arena = collect->arena;
    const struct sorting *sorting = &collect->tables->sorting;
    if (collect->full) {
        return WEIR_EFULL;
    }
    if (collect->points == 0) {
        *ret = (struct weir_runs){0};
        return WEIR_OK;
    }
    if (collect->tables->is_stale) {
        count_again(collect);
    }
    struct weir_run *runs = weir_arena_alloc(arena, sorting->places * sizeof(*runs), 8);
    struct weir_point *points = weir_arena_alloc(arena, collect->points * sizeof(*points), 8);
    if (runs == NULL || points == NULL) {
        collect->full = true;
        return WEIR_EFULL;
    }
    *ret = lay_out(collect, sorting, runs, points);
    const struct block *block = collect->tables->first;
    for (uint32_t i = 0; i < collect->points; i += COLLECT_BLOCK_POINTS, block = block->next) {
        copy_slots(block->slots, taken_of_block(collect, i), points);
    }
    WEIR_DCHECK(weir_runs_validate(ret));
    return WEIR_OK;
}
