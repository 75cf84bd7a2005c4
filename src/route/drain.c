/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drainer's side of the router: see weir/route.h.
 *
 *   turn ─►[ns 0]   [ns 1]   [ns 2]   ...   [ns known - 1]   [shared]   and again from 0
 *          deficit  deficit  deficit
 *
 * Deficit round robin (Shreedhar and Varghese, 1995): at its turn a ring is given a quantum of
 * bytes and serves runs while its deficit pays for them; what is left is kept for its next turn,
 * unless the ring is empty. So over time every namespace that has something gets the same bytes,
 * whatever the sizes of its runs.
 *
 *   I1  is_granted says whether the ring at `turn` has had this turn's quantum
 *   I2  an empty ring's deficit is 0 after its turn, so nobody saves up while idle
 *   I3  what a slot holds of a chain begins with a run that the row takes and that was not taken
 *       yet; so the chain's arena is there as long as the slot holds any of it
 *
 * A slot holds a request's chain of runs. Taking one leaves the rest of the chain in the slot,
 * which is the drainer's to write to until it pops; the last run taken pops it. The links
 * themselves are shared with the other rows and only read.
 *
 * When a whole round serves nobody, every run at a head is dearer than its ring's deficit. Instead
 * of walking the row once for each quantum still missing (a run of 4 MiB is 64 of them), the rounds
 * that the cheapest head still lacks are given to all at once. So one call walks the row at most
 * three times.
 *
 * Threads: the destination's drainer alone; producers push into the same rings meanwhile. A run
 * that is claimed but not yet stored is found at a later call; its producer rings the bell after
 * the store.
 */
#include "router_internal.h"
#include "run_copy.h"
#include "weir/panic.h"

#define QUANTUM    (UINT64_C(64) << 10)
#define CACHE_LINE 64

/* How many turns ahead a ring's line, its first slot and its first chains are asked for; how many
 * chains of a ring; and how much of each. */
enum { LINE_AHEAD = 14, SLOT_AHEAD = 9, RUNS_AHEAD = 5, CHAINS_AHEAD = 5, CHAIN_LINES = 6 };

static struct weir_ring *ring_at(struct weir_route_row *row, uint32_t id)
{
    /* acquire: pairs with the release of the swap that made the ring (route.c) */
    return atomic_load_explicit(&row->rings[id], memory_order_acquire);
}

/* The first slot of a namespace's ring, or NULL when that is empty. */
static void **slot_of(struct weir_route_row *row, uint32_t id)
{
    struct weir_ring *ring = ring_at(row, id);
    return ring == NULL ? NULL : weir_ring_at(ring, 0);
}

/* The run at the head of a namespace's ring, or NULL. */
static struct weir_run *head_of(struct weir_route_row *row, uint32_t id)
{
    void **slot = slot_of(row, id);
    return slot == NULL ? NULL : *slot;
}

/* Asks for the chain that stands `ahead` slots behind a ring's head: each is of another request,
 * and was last written to by another thread. Its runs stand together (weir/collect.h), and with a
 * thousand namespaces a chain is a few short ones. */
static void ask_chain(struct weir_route_row *row, uint32_t id, uint32_t ahead)
{
    struct weir_ring *ring = ring_at(row, id);
    void **slot = ring == NULL ? NULL : weir_ring_at(ring, ahead);
    for (uint32_t line = 0; slot != NULL && line < CHAIN_LINES; line++) {
        __builtin_prefetch((const uint8_t *)*slot + (size_t)line * CACHE_LINE);
    }
}

/* Asks for what the turns after this one begin with, a step each time: of a ring far ahead its
 * line, of one nearer its first slot, and of one nearer still its first chains. So of many rings
 * with a few runs each none is waited for. */
static void ask_rings(struct weir_route_row *row, uint32_t known)
{
    uint32_t turn = row->turn;
    struct weir_ring *far = turn + LINE_AHEAD < known ? ring_at(row, turn + LINE_AHEAD) : NULL;
    if (far != NULL) {
        __builtin_prefetch((const uint8_t *)far + CACHE_LINE); /* the consumer's (weir/ring.h) */
    }
    if (turn + SLOT_AHEAD < known) {
        (void)slot_of(row, turn + SLOT_AHEAD); /* for the line; what it says is not looked at */
    }
    for (uint32_t i = 0; turn + RUNS_AHEAD < known && i < CHAINS_AHEAD; i++) {
        ask_chain(row, turn + RUNS_AHEAD, i);
    }
}

/* Removes the run at the head of a ring that is not empty. */
static void advance(struct weir_route_row *row, uint32_t id)
{
    void **slot = slot_of(row, id);
    WEIR_ASSERT(slot != NULL);
    const struct weir_run *run = *slot;
    struct weir_run *rest = weir_route_wanted(row, run->next);
    if (rest != NULL) {
        *slot = rest;
        return;
    }
    void *popped = weir_ring_pop(ring_at(row, id));
    WEIR_ASSERT(popped == run);
    ask_chain(row, id, CHAINS_AHEAD - 1);
}

/* The namespace after `id`, when `known` have names; the shared ring stands last. */
static uint32_t after(uint32_t id, uint32_t known)
{
    if (id == WEIR_NAMESPACE_OVERFLOW) {
        return 0;
    }
    return id + 1 < known ? id + 1 : WEIR_NAMESPACE_OVERFLOW;
}

/* The next run of the ring whose turn it is, if its deficit pays for it. */
static struct weir_run *serve(struct weir_route_row *row)
{
    uint32_t id = row->turn;
    struct weir_run *run = head_of(row, id);
    if (run == NULL) {
        row->deficits[id] = 0;
        return NULL;
    }
    if (!row->is_granted) {
        row->deficits[id] += QUANTUM;
        row->is_granted = true;
    }
    if (run->bytes > row->deficits[id]) {
        return NULL;
    }
    row->deficits[id] -= run->bytes;
    advance(row, id);
    return run;
}

/* One round from the ring whose turn it is until that ring's next turn. */
static struct weir_run *serve_round(struct weir_route_row *row, uint32_t known)
{
    for (uint32_t step = 0; step <= known + 1; step++) {
        struct weir_run *run = serve(row);
        if (run != NULL) {
            return run;
        }
        row->turn = after(row->turn, known);
        row->is_granted = false;
        ask_rings(row, known);
    }
    return NULL;
}

/* Gives every ring that has something the quanta that the nearest of them lacks; false when all are
 * empty. */
static bool grant_rounds(struct weir_route_row *row, uint32_t known)
{
    uint64_t rounds = UINT64_MAX;
    uint32_t id = 0;
    for (uint32_t step = 0; step <= known; step++, id = after(id, known)) {
        const struct weir_run *run = head_of(row, id);
        if (run != NULL) {
            uint64_t lacking = run->bytes > row->deficits[id] ? run->bytes - row->deficits[id] : 0;
            uint64_t needed = (lacking + QUANTUM - 1) / QUANTUM;
            rounds = needed < rounds ? needed : rounds;
        }
    }
    if (rounds == UINT64_MAX) {
        return false;
    }
    for (uint32_t step = 0; step <= known; step++, id = after(id, known)) {
        if (head_of(row, id) != NULL) {
            row->deficits[id] += rounds * QUANTUM;
        }
    }
    return true;
}

/* The sums have one writer, so they are raised without a read-modify-write: that would wait for all
 * that was asked for before it. */
static void count_taken(struct weir_route_row *row, const struct weir_run *run)
{
    /* relaxed: only this thread writes it */
    _Atomic uint64_t *points = &row->points_taken[run->namespace_id];
    uint64_t before = atomic_load_explicit(points, memory_order_relaxed);
    /* release: pairs with the acquire in weir_router_ring_points */
    atomic_store_explicit(points, before + run->count, memory_order_release);
    /* relaxed: only this thread writes it */
    size_t taken = atomic_load_explicit(&row->taken, memory_order_relaxed) + run->bytes;
    /* release: pairs with the acquire in weir_route_queued, so that who finds the row empty comes
     * after this */
    atomic_store_explicit(&row->taken, taken, memory_order_release);
    /* relaxed: reserved before the run was pushed, and seen with it */
    WEIR_DCHECK(atomic_load_explicit(&row->reserved, memory_order_relaxed) >= taken);
}

struct weir_run *weir_router_take(struct weir_router *router, uint32_t index)
{
    WEIR_ASSERT(index < WEIR_DESTINATIONS_MAX);
    struct weir_route_row *row = &router->rows[index];
    uint32_t known = weir_namespaces_count(router->namespaces);
    struct weir_run *run = serve_round(row, known);
    if (run == NULL && grant_rounds(row, known)) {
        run = serve_round(row, known);
        WEIR_ASSERT(run != NULL);
    }
    if (run != NULL) {
        count_taken(row, run);
    }
    return run;
}

/* Replaces the chain in a slot by a copy, if that is worth it and there is room. Returns the bytes
 * copied. */
static size_t compact_slot(struct weir_router *router, struct weir_route_row *row, void **slot)
{
    struct weir_run *run = *slot;
    if (!weir_arena_is_sparse(run->arena)) {
        return 0;
    }
    struct weir_run *copy;
    size_t size_max = weir_arena_size(run->arena) / 2; /* else the copy would not free much */
    if (weir_run_copy(router, row, run, size_max, &copy) != WEIR_OK) {
        return 0;
    }
    *slot = copy;
    size_t copied = 0;
    while (run != NULL) {
        struct weir_run *next = weir_route_wanted(row, run->next);
        size_t bytes = run->bytes;
        weir_arena_unref(run->arena, bytes); /* the run may be gone with the last of these */
        copied += bytes;
        run = next;
    }
    return copied;
}

struct weir_run *weir_router_compact_taken(struct weir_router *router, struct weir_run *run)
{
    size_t size_max = weir_arena_size(run->arena) / 2;
    struct weir_run *copy;
    if (!weir_arena_is_sparse(run->arena) ||
        weir_run_copy(router, NULL, run, size_max, &copy) != WEIR_OK) {
        return run;
    }
    weir_arena_unref(run->arena, run->bytes);
    return copy;
}

size_t weir_router_compact(struct weir_router *router, uint32_t index)
{
    WEIR_ASSERT(index < WEIR_DESTINATIONS_MAX);
    struct weir_route_row *row = &router->rows[index];
    size_t copied = 0;
    for (uint32_t id = 0; id < WEIR_NAMESPACE_IDS; id++) {
        struct weir_ring *ring = ring_at(row, id);
        void **slot = NULL;
        for (uint32_t i = 0; ring != NULL && (slot = weir_ring_at(ring, i)) != NULL; i++) {
            copied += compact_slot(router, row, slot);
        }
    }
    return copied;
}
