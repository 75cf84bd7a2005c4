/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector: interned heads, a flat list of points, and the sort that makes runs of them.
 *
 *   tables ─► resources, scopes, metrics   weir/intern.h, keyed by the hash of their bytes
 *          ─► kins                         the same for the namespace: places that stand together
 *          ─► places                       the same for (resource, kin): what becomes a run
 *          ─► block ⇄ block ⇄ block        128 points each: where, how long, which group, when
 *
 *   metric ─► group ─► place               what stands together in a run. A metric's name holds the
 *                                          namespace, so its points nearly always share one place:
 *                                          its first group is a part of it, and only further ones
 *                                          are in a table
 *   chunk ─► chunk ─► chunk                metric and place of each group, by the group's number
 *
 *   point:   where its bytes are, and its group's number, are put down
 *   finish:  points counted by group ─► offsets ─► every point to its group's next slot
 *
 *            place 0                        place 1
 *            [ group 0: p0 p4 | group 2: p3 | group 1: p1 p2 ]     one array
 *
 *   I1  points in [0, collect->points) stand in blocks first .. current; blocks after `current`
 *       are spare
 *   I2  points of a group keep the order in which they came; groups within a place, places within
 *       a namespace, and namespaces stand in the order of their first points
 *   I3  equal heads under one parent are one struct, so comparing pointers compares metrics
 *   I4  once `full` is set, nothing is added and what was interned stays readable
 *
 * Taking back a message moves `points` only. The heads and groups that it brought stay, and nobody
 * can see them, because finish alone counts and links, and only what has points then. So a message
 * that was taken back leaves no trace, and many of them cost no more than one.
 *
 * The one thread of the request calls all of it. It does not look into the points.
 */
#include "collect_internal.h"
#include "weir/hash.h"
#include "weir/panic.h"

#define NO_GROUP UINT32_MAX

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
    all->tables.hash_key = weir_hash_quick_key();
    return &all->collect;
}

/* The room's next chunk, or for what is large memory of its own. The chunk's lines are asked for
 * together: each would be waited for as soon as what was written there is read. */
__attribute__((noinline)) static void *take_from_arena(struct weir_collect *collect, size_t size)
{
    struct room *room = &collect->tables->room;
    bool is_large = size > COLLECT_ROOM_SIZE / 4;
    size_t taken = is_large ? size : COLLECT_ROOM_SIZE;
    uint8_t *memory =
        collect->full ? NULL : weir_arena_alloc(collect->arena, taken, COLLECT_CACHE_LINE);
    if (memory == NULL) {
        collect->full = true;
    } else if (!is_large) {
        *room = (struct room){memory + size, taken - size};
        for (size_t i = 0; i < COLLECT_ROOM_SIZE; i += COLLECT_CACHE_LINE) {
            __builtin_prefetch(memory + i, 1);
        }
    }
    return memory;
}

/* Whole lines of the cache; NULL with `full` set where there is no room. */
static inline void *take_room(struct weir_collect *collect, size_t size)
{
    struct room *room = &collect->tables->room;
    size_t lines = (size + COLLECT_CACHE_LINE - 1) & ~(size_t)(COLLECT_CACHE_LINE - 1);
    uint8_t *memory = room->at;
    if (lines > room->left) {
        return take_from_arena(collect, lines);
    }
    room->at += lines;
    room->left -= lines;
    return memory;
}

/* A copy of `item`, added to `intern`, where looking for it has left `at`; NULL with `full` set
 * where there is no room. */
static void *keep(struct weir_collect *collect, struct weir_intern *intern, uint32_t at,
                  uint64_t hash, struct weir_bytes item)
{
    void *copy = take_room(collect, item.size);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, item.data, item.size);
    if (weir_intern_add_at(intern, collect->arena, at, hash, copy) != WEIR_OK) {
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
        keep(collect, intern, at, key.hash, weir_bytes_of(&key, sizeof(key)));
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
        keep(collect, intern, at, key.hash, weir_bytes_of(&key, sizeof(key)));
    return added == NULL ? &no_scope : added;
}

/* Equal in all bytes. The hash says nearly always before whether they are. */
static inline bool is_same_metric(const struct weir_metric *a, const struct weir_metric *b)
{
    return a->scope == b->scope && a->data == b->data && weir_bytes_eq_short(a->head, b->head) &&
           weir_bytes_eq(a->data_head, b->data_head);
}

static inline const struct weir_metric *find_metric(const struct weir_intern *intern,
                                                    const struct weir_metric *key, uint32_t *at)
{
    for (const struct weir_metric *known = weir_intern_first(intern, key->hash, at); known != NULL;
         known = weir_intern_next(intern, key->hash, at)) {
        if (is_same_metric(known, key)) {
            return known;
        }
    }
    return NULL;
}

/* The head is copied behind the metric, because every look-up compares it. */
static const struct weir_metric *add_metric(struct weir_collect *collect, uint32_t at,
                                            const struct weir_metric *key)
{
    struct known_metric *added = take_room(collect, sizeof(*added) + key->head.size);
    if (added == NULL || weir_intern_add_at(&collect->tables->metrics, collect->arena, at,
                                            key->hash, added) != WEIR_OK) {
        collect->full = true;
        return &no_metric;
    }
    added->metric = *key;
    added->kin = NULL;
    added->number = NO_GROUP;
    added->size_in_head = NOT_IN_HEAD;
    if (key->head.size > 0) {
        memcpy(added + 1, key->head.data, key->head.size);
        added->metric.head.data = (const uint8_t *)(added + 1);
    }
    return &added->metric;
}

const struct weir_metric *weir_collect_asked(struct weir_collect *collect,
                                             const struct weir_metric *key)
{
    uint32_t at = 0;
    const struct weir_metric *known = find_metric(&collect->tables->metrics, key, &at);
    return known != NULL ? known : add_metric(collect, at, key);
}

/* Two rounds: the hashes, and their slots are asked for; the slots, and the metrics that they name
 * are asked for, right ones or not. */
void weir_collect_ask(const struct weir_collect *collect, struct weir_metric *keys, uint32_t count)
{
    const struct weir_intern *intern = &collect->tables->metrics;
    const uint64_t *hash_key = weir_hash_quick_key();
    WEIR_ASSERT(count <= WEIR_COLLECT_TOGETHER);
    for (uint32_t i = 0; i < count; i++) {
        keys[i].hash = weir_metric_hash_by(hash_key, &keys[i]);
        __builtin_prefetch(weir_intern_slot_of(intern, keys[i].hash));
    }
    for (uint32_t i = 0; i < count && intern->slots > 0; i++) {
        const uint8_t *known = weir_intern_slot_of(intern, keys[i].hash)->item;
        if (known != NULL) {
            __builtin_prefetch(known);
            __builtin_prefetch(known + COLLECT_CACHE_LINE);
        }
    }
}

/* Out of line, because that is rare. */
__attribute__((noinline)) static const struct weir_metric *
find_behind(const struct weir_intern *intern, const struct weir_metric *key)
{
    uint32_t at = 0;
    return find_metric(intern, key, &at);
}

void weir_collect_find(const struct weir_collect *collect, const struct weir_metric *keys,
                       uint32_t count, const struct weir_metric **ret_known)
{
    const struct weir_intern *intern = &collect->tables->metrics;
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_intern_slot *slot = weir_intern_slot_of(intern, keys[i].hash);
        const struct weir_metric *first = slot == NULL ? NULL : slot->item;
        bool is_first =
            first == NULL || (slot->hash == keys[i].hash && is_same_metric(first, &keys[i]));
        ret_known[i] = is_first ? first : find_behind(intern, &keys[i]);
    }
}

/* The chunk after the last one. False when full. */
static bool next_chunk(struct weir_collect *collect)
{
    struct weir_collect_tables *tables = collect->tables;
    struct chunk *chunk = weir_arena_alloc(collect->arena, sizeof(*chunk), _Alignof(struct chunk));
    if (chunk == NULL) {
        collect->full = true;
        return false;
    }
    chunk->next = NULL;
    *(tables->chunk == NULL ? &tables->chunks : &tables->chunk->next) = chunk;
    tables->chunk = chunk;
    return true;
}

static inline struct kin *find_kin(struct weir_collect *collect, const struct named *name)
{
    struct weir_intern *intern = &collect->tables->kins;
    uint32_t at = 0;
    for (struct kin *kin = weir_intern_first(intern, name->hash, &at); kin != NULL;
         kin = weir_intern_next(intern, name->hash, &at)) {
        if (is_same_name(&kin->name, name)) {
            return kin;
        }
    }
    const struct kin fresh = {.name = *name};
    return keep(collect, intern, at, name->hash, weir_bytes_of(&fresh, sizeof(fresh)));
}

/* Where the place asked for last was of another resource. */
__attribute__((noinline)) static struct place *
change_place(struct weir_collect *collect, const struct weir_resource *resource, struct kin *kin)
{
    struct weir_intern *intern = &collect->tables->places;
    uint64_t hash = weir_hash_mix(resource->hash, kin->name.hash);
    uint32_t at = 0;
    struct place *place = weir_intern_first(intern, hash, &at);
    while (place != NULL && (place->resource != resource || place->kin != kin)) {
        place = weir_intern_next(intern, hash, &at);
    }
    if (place == NULL) {
        const struct place fresh = {.resource = resource, .kin = kin};
        place = keep(collect, intern, at, hash, weir_bytes_of(&fresh, sizeof(fresh)));
    }
    kin->latest = place;
    return place;
}

/* The number of a metric's new group in a place; NO_GROUP when full. */
static inline uint32_t number_group(struct weir_collect *collect, const struct weir_metric *metric,
                                    struct place *place)
{
    struct weir_collect_tables *tables = collect->tables;
    uint32_t at = tables->numbered % COLLECT_CHUNK_GROUPS;
    if (at == 0 && !next_chunk(collect)) {
        return NO_GROUP;
    }
    tables->chunk->groups[at] = (struct entry){metric, place};
    return tables->numbered++;
}

/* The place of a resource's points in the namespace `name`; NULL when full. */
static inline struct place *find_place(struct weir_collect *collect,
                                       const struct weir_resource *resource,
                                       const struct named *name)
{
    struct kin *kin = find_kin(collect, name);
    struct place *place = kin == NULL ? NULL : kin->latest;
    if (kin != NULL && (place == NULL || place->resource != resource)) {
        place = change_place(collect, resource, kin);
    }
    return place;
}

/* The number of one of a metric's groups in further places; NO_GROUP when full. */
static uint32_t find_further(struct weir_collect *collect, const struct weir_metric *metric,
                             const struct named *name)
{
    struct weir_intern *intern = &collect->tables->groups;
    uint64_t hash = weir_hash_mix(metric->hash, name->hash);
    uint32_t at = 0;
    for (struct group *group = weir_intern_first(intern, hash, &at); group != NULL;
         group = weir_intern_next(intern, hash, &at)) {
        if (group->metric == metric && is_same_name(&group->kin->name, name)) {
            return group->number;
        }
    }
    struct place *place = find_place(collect, metric->scope->resource, name);
    uint32_t number = place == NULL ? NO_GROUP : number_group(collect, metric, place);
    if (number == NO_GROUP) {
        return NO_GROUP;
    }
    const struct group group = {metric, place->kin, number};
    return keep(collect, intern, at, hash, weir_bytes_of(&group, sizeof(group))) == NULL ? NO_GROUP
                                                                                         : number;
}

/* Where CloudWatch has the namespace in a metric's head: "amazonaws.com/" and it, behind a tag and
 * a length. */
#define NAME_IN_HEAD 16

/* Whether a name of up to WEIR_COLLECT_ROOM bytes, whose last ones are at `end`, stands there. The
 * bytes before the head are the metric, those before the name anybody's. */
static inline bool is_in_head(const struct weir_metric *metric, size_t size, const uint8_t *end)
{
    const uint8_t *there = metric->head.data + NAME_IN_HEAD + size - WEIR_COLLECT_ROOM;
    const uint8_t *mask = end_masks + size;
    weir_bytes_lanes differ =
        (weir_bytes_differ_16(there, end, 0) & weir_bytes_lanes_of(mask)) |
        (weir_bytes_differ_16(there, end, 16) & weir_bytes_lanes_of(mask + 16));
    return (differ[0] | differ[1]) == 0;
}

static inline uint32_t size_in_head(const struct weir_metric *metric, const struct named *name)
{
    size_t size = name->text.size;
    return size > 0 && size <= WEIR_COLLECT_ROOM && size + NAME_IN_HEAD <= metric->head.size &&
                   is_in_head(metric, size, (const uint8_t *)name->end)
               ? (uint32_t)size
               : NOT_IN_HEAD;
}

/* A metric of this collector, to be changed by it. */
static inline struct known_metric *known_of(const struct weir_metric *metric)
{
    return (struct known_metric *)(uintptr_t)metric;
}

/* The number of a metric's group in the namespace `name`; NO_GROUP when full. The head is read
 * before there is something just written in front of it, which that may begin with. */
static inline uint32_t find_number(struct weir_collect *collect, struct known_metric *known,
                                   const struct named *name)
{
    if (known->kin != NULL) {
        return is_same_name(&known->kin->name, name) ? known->number
                                                     : find_further(collect, &known->metric, name);
    }
    uint32_t size = size_in_head(&known->metric, name);
    struct place *place = find_place(collect, known->metric.scope->resource, name);
    uint32_t number = place == NULL ? NO_GROUP : number_group(collect, &known->metric, place);
    if (number != NO_GROUP) {
        known->kin = place->kin;
        known->number = number;
        known->size_in_head = size;
    }
    return number;
}

/* Out of line, because a metric's points are mostly in one place. */
__attribute__((noinline)) static uint32_t
find_group(struct weir_collect *collect, struct known_metric *known, struct weir_bytes text)
{
    struct named name = named_of_any(collect->tables->hash_key, text);
    return find_number(collect, known, &name);
}

__attribute__((noinline)) static uint32_t
find_roomy_group(struct weir_collect *collect, struct known_metric *known, struct weir_bytes text)
{
    const uint64_t *key = collect->tables->hash_key;
    struct named name = text.size == 0 ? named_of_any(key, text) : named_of_roomy(key, text);
    return find_number(collect, known, &name);
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

/* Puts a point into a group (NO_GROUP: none, when full). */
__attribute__((always_inline)) static inline void
add_point(struct weir_collect *collect, uint32_t group, struct weir_bytes data, int64_t time_ns)
{
    uint32_t at = collect->points % COLLECT_BLOCK_POINTS;
    WEIR_ASSERT(data.size <= UINT32_MAX);
    WEIR_ASSERT(collect->points < UINT32_MAX);
    if (group == NO_GROUP || (at == 0 && !next_block(collect))) {
        return;
    }
    struct slot *slot = &collect->tables->current->slots[at];
    *slot = (struct slot){data.data, time_ns, group, (uint32_t)data.size};
    collect->points++;
}

void weir_collect_point(struct weir_collect *collect, const struct weir_metric *metric,
                        struct weir_bytes name, struct weir_bytes data, int64_t time_ns)
{
    if (collect->full) {
        return;
    }
    struct known_metric *known = known_of(metric);
    bool is_first = known->kin != NULL && weir_bytes_eq_short(known->kin->name.text, name);
    uint32_t group = is_first ? known->number : find_group(collect, known, name);
    add_point(collect, group, data, time_ns);
}

/* Nearly always the metric's first place, and the name of that a part of the head: a line of the
 * cache that was met while the metric was looked up. */
void weir_collect_roomy_point(struct weir_collect *collect, const struct weir_metric *metric,
                              struct weir_bytes name, struct weir_bytes data, int64_t time_ns)
{
    if (collect->full) {
        return;
    }
    struct known_metric *known = known_of(metric);
    uint32_t group = known->number;
    if (name.size != known->size_in_head ||
        !is_in_head(metric, name.size, name.data + name.size - WEIR_COLLECT_ROOM)) {
        group = find_roomy_group(collect, known, name);
    }
    add_point(collect, group, data, time_ns);
}

static uint32_t blocks_of(uint32_t points)
{
    return points / COLLECT_BLOCK_POINTS + (points % COLLECT_BLOCK_POINTS != 0);
}

void weir_collect_rollback(struct weir_collect *collect, struct weir_collect_mark mark)
{
    WEIR_ASSERT(mark.points <= collect->points);
    for (uint32_t i = blocks_of(mark.points); i < blocks_of(collect->points); i++) {
        collect->tables->current = collect->tables->current->previous;
    }
    collect->parts += collect->points - mark.points;
    collect->points = mark.points;
}
