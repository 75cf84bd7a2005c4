/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DECODE_COLLECT_INTERNAL_H
#define WEIR_DECODE_COLLECT_INTERNAL_H

#include "collect_named.h"
#include "weir/intern.h"
#include <stddef.h>

/*
 * What collect.c collects and collect_finish.c sorts; see the picture in collect.c. For these two
 * alone.
 */

/* A block (3 KiB) must stay well below half an arena chunk, of a small request's too: larger
 * allocations take one of the arena's few regions each. */
#define COLLECT_BLOCK_POINTS 128
#define COLLECT_CHUNK_GROUPS 32

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

/* What becomes a run: one line of the cache. What is below `kin` is finish's. */
struct place {
    const struct weir_resource *resource;
    struct kin *kin;
    struct place *next; /* of those with points, in their order */
    size_t bytes;
    int64_t newest_ns;
    uint32_t points;
    uint32_t offset; /* of its next group */
    uint32_t run;
};

/* The places of one namespace. */
struct kin {
    struct named name;
    struct place *latest; /* of its places, the one that was asked for */
    struct place *first;  /* finish's: its places with points, in their order */
    struct place *last;
    struct kin *next; /* of those with points, in their order */
};

/* Points of one metric in one place, but its first one. */
struct group {
    const struct weir_metric *metric;
    const struct kin *kin; /* the place's */
    uint32_t number;
};

/* What finish has to know of a group. */
struct entry {
    const struct weir_metric *metric;
    struct place *place;
};
struct chunk {
    struct chunk *next;
    struct entry groups[COLLECT_CHUNK_GROUPS];
};

/* A metric as everybody sees it, its first group, and behind that its head, in one piece: looking a
 * metric up and finding its group is one way into memory, and with some thousand metrics the way is
 * what it costs. */
#define NOT_IN_HEAD UINT32_MAX
struct known_metric {
    struct weir_metric metric;
    const struct kin *kin; /* the first group's place's; NULL: before the first point */
    uint32_t number;       /* of the first group */
    uint32_t size_in_head; /* of the kin's name, where the head has it; else NOT_IN_HEAD */
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct known_metric) + 56 == 2 * COLLECT_CACHE_LINE,
               "with three of four heads two lines, asked for at once");

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
    struct chunk *chunks;
    struct chunk *chunk; /* the last one */
    uint32_t numbered;   /* groups */
};

#endif
