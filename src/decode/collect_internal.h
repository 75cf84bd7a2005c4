/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DECODE_COLLECT_INTERNAL_H
#define WEIR_DECODE_COLLECT_INTERNAL_H

#include "collect_quick.h"
#include "weir/intern.h"

/*
 * What collect.c collects and collect_finish.c sorts; see the picture in collect.c. For these two
 * alone.
 */

/* A block (4 KiB) must stay well below half an arena chunk, of a small request's too: larger
 * allocations take one of the arena's few regions each. */
#define COLLECT_BLOCK_POINTS 128

#define COLLECT_CACHE_LINE 64

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
    struct slot slots[COLLECT_BLOCK_POINTS];
};

/* What becomes a run. */
struct place {
    const struct weir_resource *resource;
    struct weir_bytes name;
    struct kin *kin;     /* of that name */
    struct place *next;  /* of those with points, in their order */
    struct group *first; /* its groups with points */
    struct group *last;
};

/* The places of one namespace. */
struct kin {
    struct weir_bytes name;
    struct kin *next;    /* of those with points, in their order */
    struct place *first; /* its places with points */
    struct place *last;
};

#define NOT_IN_HEAD UINT32_MAX

/* Points of one metric in one place. `offset` and `run` are finish's. */
struct group {
    const struct weir_metric *metric;
    struct place *place; /* NULL: a metric's first group, before the first point */
    struct group *next;  /* in its place */
    uint32_t count;
    uint32_t offset; /* of its next point in the sorted array */
    uint32_t run;
    uint32_t size_in_head; /* of its place's name, where the metric's has it; else NOT_IN_HEAD */
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
    struct memo own;   /* the second line of the cache; the head's bytes begin the third */
};
_Static_assert(sizeof(struct known_metric) == 2 * COLLECT_CACHE_LINE,
               "three lines, asked for at once");

/* The namespaces that have points, in the order of their first ones. */
struct sorting {
    struct kin *first;
    struct kin *last;
    uint32_t places;
};

struct weir_collect_tables {
    struct weir_intern resources;
    struct weir_intern scopes;
    struct weir_intern metrics;
    struct weir_intern places;
    struct weir_intern kins;
    struct weir_intern groups; /* but the metrics' first ones */
    struct block *first;
    struct block *current;
    struct sorting sorting;
    bool is_stale; /* points were taken back: what was counted is wrong */
};

/* Puts a place that has got its first point at the end of its namespace, and that, if it is its
 * first too, at the end of all. */
static void link_place(struct sorting *sorting, struct place *place)
{
    struct kin *kin = place->kin;
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

/* Puts a group that has got its first point at the end of its place; the place as above. */
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
    link_place(sorting, place);
}

static inline void count_point(struct sorting *sorting, const struct slot *slot)
{
    struct group *group = slot->group;
    if (group->count++ == 0) {
        link_group(sorting, group);
    }
    group->bytes += weir_point_encoded_size(slot->size);
    group->newest_ns = slot->time_ns > group->newest_ns ? slot->time_ns : group->newest_ns;
}

#endif
