/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DECODE_COLLECT_INTERNAL_H
#define WEIR_DECODE_COLLECT_INTERNAL_H

#include "collect_named.h"
#include "weir/intern.h"

/*
 * What collect.c collects and collect_finish.c sorts; see the picture in collect.c. For these two
 * alone.
 */

/* A block (3 KiB) must stay well below half an arena chunk, of a small request's too: larger
 * allocations take one of the arena's few regions each. */
#define COLLECT_BLOCK_POINTS 128
#define COLLECT_CHUNK_GROUPS 64

#define COLLECT_CACHE_LINE 64

/* What metrics, groups and places are handed out from, and is asked of the arena at a time: a call
 * for each is dearer than all else about its memory. */
#define COLLECT_ROOM_SIZE 2048
struct room {
    uint8_t *at;
    size_t left;
};

/* A point while it is collected. */
struct slot {
    const uint8_t *data;
    int64_t time_ns;
    uint32_t group; /* its number */
    uint32_t size;
};

struct block {
    struct block *next;
    struct block *previous;
    struct slot slots[COLLECT_BLOCK_POINTS];
};

/* What becomes a run. */
struct place {
    struct named name;
    const struct weir_resource *resource;
    struct kin *kin;    /* of that name */
    struct place *next; /* of those with points, in their order */
    bool has_points;
    uint32_t run; /* finish's */
};

/* The places of one namespace. */
struct kin {
    struct named name;
    struct kin *next;    /* of those with points, in their order */
    struct place *first; /* its places with points */
    struct place *last;
};

#define NOT_IN_HEAD UINT32_MAX

/* Points of one metric in one place. */
struct group {
    const struct weir_metric *metric;
    struct place *place; /* NULL: a metric's first group, before the first point */
    size_t bytes;
    int64_t newest_ns;
    uint32_t count;
    uint32_t number;       /* among those with points, in the order of their first ones */
    uint32_t size_in_head; /* of its place's name, where the metric's has it; else NOT_IN_HEAD */
};

struct chunk {
    struct chunk *next;
    struct group *groups[COLLECT_CHUNK_GROUPS];
};

/* A metric as everybody sees it, and what only the collector does, in one piece: looking a metric
 * up and finding its group is one way into memory, and with some thousand metrics the way is what
 * it costs. */
struct memo {
    _Alignas(COLLECT_CACHE_LINE) struct group *latest;
    struct group first;
};
struct known_metric {
    struct weir_metric metric;
    struct memo *memo; /* `own`: a way to change it from a const metric */
    struct memo own;   /* the second line of the cache; the head's bytes begin the third */
};
_Static_assert(sizeof(struct known_metric) == 2 * COLLECT_CACHE_LINE,
               "three lines, asked for at once");

/* What has points, in the order of the first ones: the namespaces, and all groups. */
struct sorting {
    struct kin *first;
    struct kin *last;
    uint32_t places;
    uint32_t groups;
    struct chunk *chunks;
    struct chunk *chunk; /* the last one with groups */
};

struct weir_collect_tables {
    struct weir_intern resources;
    struct weir_intern scopes;
    struct weir_intern metrics;
    struct weir_intern places;
    struct weir_intern kins;
    struct weir_intern groups; /* but the metrics' first ones */
    struct room room;
    const uint64_t *hash_key; /* the quick hash's */
    struct block *first;
    struct block *current;
    struct sorting sorting;
    bool is_stale; /* points were taken back: what was counted is wrong */
};

/* Puts a place that has got its first point at the end of its namespace, and that, if it is its
 * first too, at the end of all. */
static inline void link_place(struct sorting *sorting, struct place *place)
{
    struct kin *kin = place->kin;
    place->has_points = true;
    sorting->places++;
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

/* Makes `chunk` the one after itself. */
static inline bool next_chunk(struct weir_collect *collect, struct sorting *sorting)
{
    struct chunk *chunk = sorting->chunk == NULL ? sorting->chunks : sorting->chunk->next;
    if (chunk == NULL) {
        chunk = weir_arena_alloc(collect->arena, sizeof(*chunk), _Alignof(struct chunk));
        if (chunk == NULL) {
            collect->full = true;
            return false;
        }
        chunk->next = NULL;
        *(sorting->chunk == NULL ? &sorting->chunks : &sorting->chunk->next) = chunk;
    }
    sorting->chunk = chunk;
    return true;
}

/* Numbers a group that gets its first point, and its place with it. False when full. */
static inline bool link_group(struct weir_collect *collect, struct group *group)
{
    struct sorting *sorting = &collect->tables->sorting;
    uint32_t at = sorting->groups % COLLECT_CHUNK_GROUPS;
    if (at == 0 && !next_chunk(collect, sorting)) {
        return false;
    }
    sorting->chunk->groups[at] = group;
    group->number = sorting->groups++;
    if (!group->place->has_points) {
        link_place(sorting, group->place);
    }
    return true;
}

static inline void count_point(struct group *group, const struct slot *slot)
{
    group->count++;
    group->bytes += weir_point_encoded_size(slot->size);
    group->newest_ns = slot->time_ns > group->newest_ns ? slot->time_ns : group->newest_ns;
}

#endif
