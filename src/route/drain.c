/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drainer's side of the router: see weir/route.h.
 *
 *   arrived ──► whole   [bundle ▒▒▒░░░] ─► [bundle] ─► ...         taken from front to back
 *   (stack)       │
 *                 └──►  sorted          when a namespace has too much: chains, by namespace
 *
 *   turn ─►[ns 0]   [ns 1]   [ns 2]   ...   [ns known - 1]   [shared]   and again from 0
 *          deficit  deficit  deficit
 *           chain    chain
 *           chain
 *
 * As long as no namespace has more than its quantum waiting, one round of turns would serve all of
 * it, and no order is fairer than that in which it came. So a request's runs are taken as they lie:
 * one after another in memory and in their numbers, and a batch has one part and one reference of a
 * request and not thousands. When one has more, all of it is sorted by namespace, and what comes is
 * sorted too until the last chain was taken: then the next bundle is whole again. So a namespace's
 * runs come in their order either way. A bundle that waits alone is never sorted.
 *
 * Sorted chains are served by deficit round robin (Shreedhar and Varghese, 1995): at its turn a
 * namespace is given a quantum of bytes and serves runs while its deficit pays for them; what is
 * left is kept for its next turn, unless nothing of it waits. So over time every namespace that has
 * something gets the same bytes, whatever the sizes of its runs.
 *
 *   I1  is_granted says whether the namespace at `turn` has had this turn's quantum
 *   I2  the deficit of a namespace with nothing is 0 after its turn, so nobody saves up while idle
 *   I3  a chain begins with a run that the row takes and that was not taken yet, and `next` is one
 *       of the first bundle; so the arena is there as long as any of it can be reached from here
 *   I4  a bundle is whole or sorted; while any chain is sorted none is whole but what has arrived
 *       since the last look
 *   I5  waiting = each namespace's bytes in what is whole, loud = those with more than a quantum
 *   I6  a chain's credit is given back when its last run is taken: for a whole bundle's chains,
 *       when the bundle's last is; and so with its points in the gauge, unless it is sorted
 *
 * Taking a run leaves the rest of its chain, whose links are shared with the other rows and only
 * read.
 *
 * When a whole round serves nobody, every run at a head is dearer than its namespace's deficit.
 * Instead of walking the row once for each quantum still missing (a run of 4 MiB is 16 of them),
 * the rounds that the cheapest head still lacks are given to all at once. So one call walks the row
 * at most three times.
 *
 * Threads: the destination's drainer alone; producers push meanwhile. They push onto a stack, which
 * is taken whole, so none of its links is followed while others change it. A bundle that is pushed
 * later is found at a later call; its producer rings the bell afterwards.
 */
#include "router_internal.h"
#include "run_copy.h"
#include "weir/panic.h"

#define QUANTUM (UINT64_C(256) << 10)

/* -- what is whole ------------------------------------------------------------------------- */

/* A bundle's bytes wait, by namespace. */
static void count_waiting(struct weir_route_row *row, const struct weir_route_bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->chain_count; i++) {
        const struct weir_route_chain *chain = &bundle->chains[i];
        uint64_t *waiting = &row->waiting[chain->run->namespace_id];
        row->loud += *waiting <= QUANTUM && *waiting + chain->bytes > QUANTUM ? 1 : 0;
        *waiting += chain->bytes;
    }
}

/* What has arrived, at the end of what is whole. */
static void collect(struct weir_route_row *row)
{
    /* relaxed: a look; what is missed now is found at the bell */
    if (atomic_load_explicit(&row->arrived, memory_order_relaxed) == NULL) {
        return;
    }
    /* acquire: pairs with the release in weir_route_bundle_push */
    struct weir_route_bundle *newest =
        atomic_exchange_explicit(&row->arrived, NULL, memory_order_acquire);
    struct weir_route_bundle *oldest = NULL;
    struct weir_route_bundle *last = newest;
    while (newest != NULL) {
        struct weir_route_bundle *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        count_waiting(row, newest);
        newest = next;
    }
    if (row->first == NULL) {
        row->first = oldest;
        row->next = NULL;
    } else {
        row->last->next = oldest;
    }
    row->last = last;
}

/* A chain's last run is taken: its credit and its points are the producers' again. */
static void end_chain(struct weir_router *router, struct weir_route_row *row, uint32_t id,
                      uint32_t points)
{
    /* relaxed, both: a gauge, and a counter that orders nothing */
    atomic_fetch_sub_explicit(&router->points[id], points, memory_order_relaxed);
    uint32_t used = atomic_fetch_sub_explicit(&row->used[id], 1, memory_order_relaxed);
    WEIR_ASSERT(used > 0);
}

/* The run at `run` or the first after it that the row takes; there is one. */
static struct weir_run *first_from(const struct weir_route_row *row, struct weir_run *run)
{
    while ((run->takers & row->bit) == 0) {
        run++;
    }
    return run;
}

/* The next run of what is whole. */
static struct weir_run *take_whole(struct weir_router *router, struct weir_route_row *row)
{
    struct weir_route_bundle *bundle = row->first;
    struct weir_run *run = row->next == NULL ? first_from(row, bundle->runs) : row->next;
    uint64_t *waiting = &row->waiting[run->namespace_id];
    row->loud -= *waiting > QUANTUM && *waiting - run->bytes <= QUANTUM ? 1 : 0;
    *waiting -= run->bytes;
    if (--bundle->left > 0) {
        row->next = first_from(row, run + 1);
        __builtin_prefetch(row->next->points);
        return run;
    }
    for (uint32_t i = 0; i < bundle->chain_count; i++) {
        const struct weir_route_chain *chain = &bundle->chains[i];
        end_chain(router, row, chain->run->namespace_id, chain->points);
    }
    row->first = bundle->next;
    row->next = NULL;
    return run;
}

/* -- sorting ------------------------------------------------------------------------------- */

static void append_chain(struct weir_route_row *row, struct weir_route_chain *chain)
{
    uint32_t id = chain->run->namespace_id;
    chain->next = NULL;
    *(row->heads[id] == NULL ? &row->heads[id] : &row->tails[id]->next) = chain;
    row->tails[id] = chain;
    row->sorted++;
}

/* Puts what is left of a bundle, from the run `from` on, into its namespaces' queues. */
static void sort_bundle(struct weir_router *router, struct weir_route_row *row,
                        struct weir_route_bundle *bundle, const struct weir_run *from)
{
    for (uint32_t i = 0; i < bundle->chain_count; i++) {
        struct weir_route_chain *chain = &bundle->chains[i];
        uint32_t id = chain->run->namespace_id;
        uint32_t taken = 0;
        while (chain->run != NULL && chain->run < from) {
            taken += chain->run->count;
            chain->run = weir_route_wanted(row, chain->run->next);
        }
        if (chain->run == NULL) {
            end_chain(router, row, id, chain->points);
        } else {
            chain->points -= taken;
            /* relaxed: a gauge */
            atomic_fetch_sub_explicit(&router->points[id], taken, memory_order_relaxed);
            append_chain(row, chain);
        }
    }
}

/* Sorts everything that is whole. */
static void sort_whole(struct weir_router *router, struct weir_route_row *row)
{
    if (row->first == NULL) {
        return;
    }
    while (row->first != NULL) {
        struct weir_route_bundle *bundle = row->first;
        row->first = bundle->next;
        sort_bundle(router, row, bundle, row->next == NULL ? bundle->runs : row->next);
        row->next = NULL;
    }
    memset(row->waiting, 0, sizeof(row->waiting));
    row->loud = 0;
}

/* Whether the next run is the oldest, and not one whose turn it is. */
static bool is_in_order(const struct weir_route_row *row)
{
    return row->sorted == 0 && row->first != NULL && (row->first->next == NULL || row->loud == 0);
}

/* -- by turns ------------------------------------------------------------------------------ */

/* The run whose turn comes first of a namespace, or NULL. */
static struct weir_run *head_of(const struct weir_route_row *row, uint32_t id)
{
    return row->heads[id] == NULL ? NULL : row->heads[id]->run;
}

/* Removes the run at the head of a namespace. */
static void advance(struct weir_router *router, struct weir_route_row *row, uint32_t id)
{
    struct weir_route_chain *chain = row->heads[id];
    struct weir_run *rest = weir_route_wanted(row, chain->run->next);
    if (rest != NULL) {
        /* relaxed: a gauge */
        chain->points -= chain->run->count;
        atomic_fetch_sub_explicit(&router->points[id], chain->run->count, memory_order_relaxed);
        chain->run = rest;
        return;
    }
    row->heads[id] = chain->next;
    row->sorted--;
    end_chain(router, row, id, chain->points);
}

/* The namespace after `id`, when `known` have names; the shared ring stands last. */
static uint32_t after(uint32_t id, uint32_t known)
{
    if (id == WEIR_NAMESPACE_OVERFLOW) {
        return 0;
    }
    return id + 1 < known ? id + 1 : WEIR_NAMESPACE_OVERFLOW;
}

/* The next run of the namespace whose turn it is, if its deficit pays for it. */
static struct weir_run *serve(struct weir_router *router, struct weir_route_row *row)
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
    advance(router, row, id);
    return run;
}

/* One round from the namespace whose turn it is until its next turn. */
static struct weir_run *serve_round(struct weir_router *router, struct weir_route_row *row,
                                    uint32_t known)
{
    for (uint32_t step = 0; step <= known + 1; step++) {
        struct weir_run *run = serve(router, row);
        if (run != NULL) {
            return run;
        }
        row->turn = after(row->turn, known);
        row->is_granted = false;
    }
    return NULL;
}

/* Gives every namespace that has something the quanta that the nearest of them lacks; false when
 * none has. */
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

/* The next run of what is sorted. */
static struct weir_run *take_sorted(struct weir_router *router, struct weir_route_row *row)
{
    uint32_t known = weir_namespaces_count(router->namespaces);
    struct weir_run *run = serve_round(router, row, known);
    if (run == NULL && grant_rounds(row, known)) {
        run = serve_round(router, row, known);
    }
    WEIR_ASSERT(run != NULL);
    return run;
}

struct weir_run *weir_router_take(struct weir_router *router, uint32_t index)
{
    WEIR_ASSERT(index < WEIR_DESTINATIONS_MAX);
    struct weir_route_row *row = &router->rows[index];
    struct weir_run *run = NULL;
    collect(row);
    if (is_in_order(row)) {
        run = take_whole(router, row);
    } else {
        sort_whole(router, row);
        run = row->sorted == 0 ? NULL : take_sorted(router, row);
    }
    if (run != NULL) {
        /* release: pairs with the acquire in weir_router_idle, so that who finds the row empty
         * comes after this */
        size_t queued = atomic_fetch_sub_explicit(&row->queued, run->bytes, memory_order_release);
        WEIR_ASSERT(queued >= run->bytes);
    }
    return run;
}

/* -- what is not taken --------------------------------------------------------------------- */

/* Gives back the references of what a row takes of a chain. */
static void drop_chain(const struct weir_route_row *row, struct weir_run *run)
{
    while (run != NULL) {
        struct weir_run *next = weir_route_wanted(row, run->next); /* it may go with this one */
        weir_arena_unref(run->arena, run->bytes);
        run = next;
    }
}

void weir_route_row_drop(struct weir_router *router, struct weir_route_row *row)
{
    collect(row);
    sort_whole(router, row);
    for (uint32_t id = 0; id < WEIR_NAMESPACE_IDS; id++) {
        while (row->heads[id] != NULL) {
            struct weir_run *run = row->heads[id]->run;
            row->heads[id] = row->heads[id]->next;
            drop_chain(row, run);
        }
    }
}

/* Replaces a chain by a copy, if that is worth it and there is room. Returns the bytes copied. */
static size_t compact_chain(struct weir_router *router, struct weir_route_row *row,
                            struct weir_route_chain **place)
{
    struct weir_run *run = (*place)->run;
    if (!weir_arena_is_sparse(run->arena)) {
        return 0;
    }
    struct weir_route_chain *copy;
    size_t size_max = weir_arena_size(run->arena) / 2; /* else the copy would not free much */
    if (weir_run_copy(router, row, *place, size_max, &copy) != WEIR_OK) {
        return 0;
    }
    *place = copy;
    size_t copied = 0;
    for (const struct weir_run *it = copy->run; it != NULL; it = it->next) {
        copied += it->bytes;
    }
    drop_chain(row, run);
    return copied;
}

/* Whether an arena that something whole pins has become sparse. */
static bool is_any_sparse(const struct weir_route_row *row)
{
    const struct weir_route_bundle *it = row->first;
    while (it != NULL && !weir_arena_is_sparse(it->runs->arena)) {
        it = it->next;
    }
    return it != NULL;
}

size_t weir_router_compact(struct weir_router *router, uint32_t index)
{
    WEIR_ASSERT(index < WEIR_DESTINATIONS_MAX);
    struct weir_route_row *row = &router->rows[index];
    size_t copied = 0;
    collect(row);
    if (row->sorted > 0 || is_any_sparse(row)) {
        sort_whole(router, row);
    }
    for (uint32_t id = 0; id < WEIR_NAMESPACE_IDS && row->sorted > 0; id++) {
        struct weir_route_chain **place = &row->heads[id];
        while (*place != NULL) {
            copied += compact_chain(router, row, place);
            row->tails[id] = *place;
            place = &(*place)->next;
        }
    }
    return copied;
}
