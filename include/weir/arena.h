/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ARENA_H
#define WEIR_ARENA_H

#include "weir/bytes.h"
#include "weir/region.h"

/*
 * One request's memory: a chain of regions, handed out by bumping a pointer, given back all at once
 * when the last reference goes. Views into it are what flows through the rings to the exporters.
 *
 *   arena ─► [region: decompressed body           ] ─► [region: points, rebuilt bytes |free] ─► ...
 *               ^ views                                   ^ bump
 *
 *   I1  every region's capacity is charged to exactly one budget, from before it is taken until it
 *       is given
 *   I2  one thread allocates; once published (second reference) nobody allocates
 *   I3  live <= what was ever retained; an arena with 0 references is gone
 *
 * A budget says who pays. `take` must not block; false means no. Both may be called from any
 * thread.
 */
struct weir_arena_budget {
    bool (*take)(void *self, size_t bytes);
    void (*give)(void *self, size_t bytes);
    void *self;
};

struct weir_arena;

#define WEIR_ARENA_REGIONS_MAX 64

/* An empty arena with one reference (and nothing live), its chunks at least `chunk_size` bytes (0:
 * 64 KiB) and an eighth of what it has already. Takes no region yet. WEIR_ENOMEM. The budget struct
 * is copied; what it points to must outlive the arena. */
WEIR_MUST_USE enum weir_status weir_arena_new(struct weir_regions *regions,
                                              struct weir_arena_budget budget, size_t chunk_size,
                                              struct weir_arena **ret);

/* `size` bytes aligned to `alignment` (a power of two up to 64), uninitialised; NULL when the
 * budget says no, memory is out, or the arena has WEIR_ARENA_REGIONS_MAX regions. The owning
 * thread, before publishing. */
void *weir_arena_alloc(struct weir_arena *arena, size_t size, size_t alignment);

/* Gives back the unused tail of the newest allocation `memory` (of `size` bytes), keeping `kept`:
 * later allocations use it. The charge stays. */
void weir_arena_trim(struct weir_arena *arena, void *memory, size_t size, size_t kept);

/* Gives every region back and starts anew; only with one reference and nothing retained. */
void weir_arena_reset(struct weir_arena *arena);

/* Moves the whole charge to another budget. WEIR_EFULL, and nothing changed, when
 * that one says no. */
WEIR_MUST_USE enum weir_status weir_arena_charge_to(struct weir_arena *arena,
                                                    struct weir_arena_budget budget);

/* `count` more references, which together keep `live` bytes of the arena in use. Any thread that
 * holds a reference. */
void weir_arena_refs(struct weir_arena *arena, uint32_t count, size_t live);

/* Gives so many references and their `live` bytes back; the last one frees everything. NULL is
 * nothing. Any thread. */
void weir_arena_unrefs(struct weir_arena *arena, uint32_t count, size_t live);

/* The same with one reference. */
static inline void weir_arena_ref(struct weir_arena *arena, size_t live)
{
    weir_arena_refs(arena, 1, live);
}
static inline void weir_arena_unref(struct weir_arena *arena, size_t live)
{
    weir_arena_unrefs(arena, 1, live);
}

struct weir_arena_stat {
    size_t size; /* bytes charged */
    size_t live; /* bytes that references keep in use */
};

/* How large the arena is, and how much of it is used still. Relaxed; any thread
 * with a reference. */
struct weir_arena_stat weir_arena_stat(const struct weir_arena *arena);

/* A copy of `bytes` in the arena, or the empty view when it has no room: for what a log line can do
 * without. The owning thread, before publishing. */
static inline struct weir_bytes weir_arena_keep(struct weir_arena *arena, struct weir_bytes bytes)
{
    uint8_t *copy = bytes.size == 0 ? NULL : (uint8_t *)weir_arena_alloc(arena, bytes.size, 1);
    if (copy == NULL) {
        return weir_bytes_of(NULL, 0);
    }
    memcpy(copy, bytes.data, bytes.size);
    return weir_bytes_of(copy, bytes.size);
}

/* Bytes charged now. */
static inline size_t weir_arena_size(const struct weir_arena *arena)
{
    return weir_arena_stat(arena).size;
}

/* Whether the live bytes have fallen under an eighth of the arena: worth copying out (design: arena
 * pinning). A hint. Arenas under 16 KiB are never worth it. Those of small requests have 32, and
 * the thousands that wait for a batch would be all of the queued memory. */
static inline bool weir_arena_is_sparse(const struct weir_arena *arena)
{
    struct weir_arena_stat stat = weir_arena_stat(arena);
    return stat.size >= (size_t)16 << 10 && stat.live < stat.size / 8;
}

#endif
