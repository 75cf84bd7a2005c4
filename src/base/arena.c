/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request's memory: see weir/arena.h for the contract.
 *
 *   struct weir_arena (from the region cache's pool of headers: no allocator call when warm)
 *     chain[0] ─► [ chunk: abandoned tail        ]
 *     chain[1] ─► [ big allocation, its own class ]
 *     chain[2] ─► [ chunk: used .... | free       ]   ◄─ bump is 2, used counts from its start
 *
 *   I1  chain[0..region_count) are regions of ours, charged = sum of their capacities
 *   I2  bump < region_count, or region_count is 0
 *   I3  used <= chain[bump].capacity
 *   I4  references >= 1 for as long as anybody has the pointer
 *
 * An allocation that does not fit the chunk begins a new one if it is small, or gets a region of
 * its own if it is larger than half of what a new chunk would be; the chunk then stays the one that
 * is bumped. A trimmed region of its own offers its tail for bumping if that is longer than what
 * the chunk has left. Chunks grow with the arena (an eighth of what it has), and what counts as
 * large grows with them: so each region adds at least a sixteenth, and WEIR_ARENA_REGIONS_MAX of
 * them hold at least forty times the first, which is the body, whatever the sizes.
 *
 * Threads: one owner allocates. Publishing the arena to other threads goes through a ring or a
 * queue, whose release/acquire also covers everything here that is not atomic; after it nothing of
 * that is written. Dropping a reference is a release, and the last one an acquire, so the freeing
 * thread comes after every reader.
 *
 * Full is NULL, with nothing changed. In AddressSanitizer builds what is not handed out is
 * poisoned, so reading past an allocation is found although the region goes on. Deliberately no
 * free of single allocations.
 */
#include "weir/arena.h"
#include "arena_internal.h"
#include "poison_internal.h"
#include "region_internal.h"
#include "weir/panic.h"
#include <stdatomic.h>

enum { ALIGNMENT_MAX = 64 };
#define CHUNK_SIZE_DEFAULT ((size_t)64 << 10)

struct weir_arena {
    struct weir_regions *regions;
    struct weir_arena_budget budget;
    size_t chunk_size;
    size_t charged;
    size_t used; /* of chain[bump] */
    unsigned bump;
    unsigned region_count;
    _Atomic uint32_t references;
    _Atomic size_t live;
    struct weir_region chain[WEIR_ARENA_REGIONS_MAX];
};

_Static_assert(sizeof(struct weir_arena) <= WEIR_REGIONS_HEADER_SIZE, "an arena fits its pool");

enum weir_status weir_arena_new(struct weir_regions *regions, struct weir_arena_budget budget,
                                size_t chunk_size, struct weir_arena **ret)
{
    struct weir_arena *arena = weir_pool_take(weir_regions_headers(regions));
    if (arena == NULL) {
        return WEIR_ENOMEM;
    }
    arena->regions = regions;
    arena->budget = budget;
    arena->chunk_size = chunk_size == 0 ? CHUNK_SIZE_DEFAULT : chunk_size;
    arena->charged = 0;
    arena->used = 0;
    arena->bump = 0;
    arena->region_count = 0;
    atomic_init(&arena->references, 1);
    atomic_init(&arena->live, 0);
    *ret = arena;
    return WEIR_OK;
}

/* Charges and appends a region for `size` bytes; its index is region_count - 1. */
static bool add_region(struct weir_arena *arena, size_t size)
{
    if (arena->region_count == WEIR_ARENA_REGIONS_MAX || size > WEIR_REGION_SIZE_MAX) {
        return false;
    }
    size_t capacity = weir_region_capacity(size);
    if (!arena->budget.take(arena->budget.self, capacity)) {
        return false;
    }
    struct weir_region region;
    if (weir_region_take(arena->regions, size, &region) != WEIR_OK) {
        arena->budget.give(arena->budget.self, capacity);
        return false;
    }
    WEIR_ASSERT(region.capacity == capacity);
    weir_poison(region.data, region.capacity);
    arena->chain[arena->region_count++] = region;
    arena->charged += capacity;
    return true;
}

/* Room for `size` bytes in the chunk at `*ret_offset`? Offsets do: regions are aligned to more than
 * ALIGNMENT_MAX. */
static bool fits(const struct weir_arena *arena, size_t size, size_t alignment, size_t *ret_offset)
{
    if (arena->region_count == 0) {
        return false;
    }
    size_t offset = (arena->used + alignment - 1) & ~(alignment - 1);
    size_t capacity = arena->chain[arena->bump].capacity;
    if (offset > capacity || size > capacity - offset) {
        return false;
    }
    *ret_offset = offset;
    return true;
}

static size_t next_chunk_size(const struct weir_arena *arena)
{
    size_t size = arena->charged / 8;
    if (size < arena->chunk_size) {
        return arena->chunk_size;
    }
    return size > WEIR_REGION_SIZE_MAX ? WEIR_REGION_SIZE_MAX : size;
}

void *weir_arena_alloc(struct weir_arena *arena, size_t size, size_t alignment)
{
    WEIR_ASSERT(alignment > 0);
    WEIR_ASSERT(alignment <= ALIGNMENT_MAX);
    WEIR_ASSERT((alignment & (alignment - 1)) == 0);
    /* relaxed: the owner reads what only it may have raised */
    WEIR_DCHECK(atomic_load_explicit(&arena->references, memory_order_relaxed) == 1);
    size_t offset = 0;
    if (!fits(arena, size, alignment, &offset)) {
        size_t chunk_size = next_chunk_size(arena);
        bool is_big = size > chunk_size / 2;
        if (!add_region(arena, is_big ? size : chunk_size)) {
            return NULL;
        }
        unsigned newest = arena->region_count - 1;
        if (is_big && newest > 0) {
            weir_unpoison(arena->chain[newest].data, size);
            return arena->chain[newest].data;
        }
        arena->bump = newest;
        arena->used = 0;
        offset = 0;
    }
    uint8_t *memory = arena->chain[arena->bump].data + offset;
    arena->used = offset + size;
    weir_unpoison(memory, size);
    return memory;
}

void weir_arena_trim(struct weir_arena *arena, void *memory, size_t size, size_t kept)
{
    WEIR_ASSERT(kept <= size);
    if (memory == NULL || arena->region_count == 0) {
        return;
    }
    uint8_t *start = memory;
    const struct weir_region *chunk = &arena->chain[arena->bump];
    const struct weir_region *newest = &arena->chain[arena->region_count - 1];
    if (start >= chunk->data && start + size == chunk->data + arena->used) {
        weir_poison(start + kept, size - kept);
        arena->used = (size_t)(start - chunk->data) + kept;
    } else if (start == newest->data && newest != chunk) {
        weir_poison(start + kept, size - kept);
        if (newest->capacity - kept > chunk->capacity - arena->used) {
            arena->bump = arena->region_count - 1;
            arena->used = kept;
        }
    }
}

static void give_regions(struct weir_arena *arena)
{
    for (unsigned i = 0; i < arena->region_count; i++) {
        weir_unpoison(arena->chain[i].data, arena->chain[i].capacity);
        weir_region_give(arena->regions, &arena->chain[i]);
    }
    if (arena->charged > 0) {
        arena->budget.give(arena->budget.self, arena->charged);
    }
    arena->charged = 0;
    arena->region_count = 0;
    arena->bump = 0;
    arena->used = 0;
}

void weir_arena_reset(struct weir_arena *arena)
{
    /* acquire: pairs with the release in weir_arena_unrefs, of readers that have come and gone */
    WEIR_ASSERT(atomic_load_explicit(&arena->references, memory_order_acquire) == 1);
    WEIR_ASSERT(weir_arena_stat(arena).live == 0);
    give_regions(arena);
}

enum weir_status weir_arena_charge_to(struct weir_arena *arena, struct weir_arena_budget budget)
{
    if (arena->charged > 0) {
        if (!budget.take(budget.self, arena->charged)) {
            return WEIR_EFULL;
        }
        arena->budget.give(arena->budget.self, arena->charged);
    }
    arena->budget = budget;
    return WEIR_OK;
}

void weir_arena_refs(struct weir_arena *arena, uint32_t count, size_t live)
{
    /* Relaxed: the caller holds a reference already, so the arena is there and visible. */
    uint32_t before = atomic_fetch_add_explicit(&arena->references, count, memory_order_relaxed);
    WEIR_ASSERT(before > 0);
    WEIR_ASSERT(before <= UINT32_MAX - count);
    size_t live_before = atomic_fetch_add_explicit(&arena->live, live, memory_order_relaxed);
    WEIR_ASSERT(live_before <= SIZE_MAX - live);
}

void weir_arena_unrefs(struct weir_arena *arena, uint32_t count, size_t live)
{
    if (arena == NULL) {
        return;
    }
    size_t live_before = atomic_fetch_sub_explicit(&arena->live, live, memory_order_relaxed);
    WEIR_ASSERT(live_before >= live);
    /* acq_rel: every drop releases its reads and writes, the last one acquires all of them */
    uint32_t before = atomic_fetch_sub_explicit(&arena->references, count, memory_order_acq_rel);
    WEIR_ASSERT(before >= count);
    if (before == count) {
        /* relaxed: whoever gave live bytes back did so before dropping, and this drop came last */
        WEIR_ASSERT(atomic_load_explicit(&arena->live, memory_order_relaxed) == 0);
        give_regions(arena);
        weir_pool_give(weir_regions_headers(arena->regions), arena);
    }
}

struct weir_arena_stat weir_arena_stat(const struct weir_arena *arena)
{
    /* relaxed: a hint; `charged` is not written once the arena is published */
    size_t live = atomic_load_explicit(&arena->live, memory_order_relaxed);
    return (struct weir_arena_stat){arena->charged, live};
}

void weir_arena_validate(const struct weir_arena *arena)
{
    /* relaxed: the caller is the owner */
    WEIR_ASSERT(atomic_load_explicit(&arena->references, memory_order_relaxed) > 0);
    WEIR_ASSERT(arena->region_count <= WEIR_ARENA_REGIONS_MAX);
    WEIR_ASSERT(arena->region_count == 0 || arena->bump < arena->region_count);
    WEIR_ASSERT(arena->region_count > 0 || arena->used == 0);
    size_t charged = 0;
    for (unsigned i = 0; i < arena->region_count; i++) {
        WEIR_ASSERT(arena->chain[i].data != NULL);
        charged += arena->chain[i].capacity;
    }
    WEIR_ASSERT(charged == arena->charged);
    WEIR_ASSERT(arena->region_count == 0 || arena->used <= arena->chain[arena->bump].capacity);
}
