/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producers' side of the router: see weir/route.h. The drainers' side is drain.c.
 *
 *   reserve   ids, chains, takers of each run (decide.c)
 *             row 0: share of the bytes ─► a credit in each ring   ┐ what a row took is
 *             row 1: ...                                           ┘ given back when it
 *             arena's charge ─► queued budget, if a row is live               has no room for all
 *   publish   references for all live rows, then pushes, then bells
 *   cancel    credits and shares of the live rows
 *
 *   I1  who takes a run is decided once, in reserve, and stands in the run from then on
 *   I2  so reserve, publish, cancel and drainer see the same decision, and what is taken is what is
 *       given back
 *   I3  a ring's credits out = requests reserved for it and not yet published or cancelled
 *   I4  chains are the same for all rows, and nobody writes to a run once it is published
 *   I5  rows that do not keep up leave the last quarter of the queued budget to those that do
 *
 * A share bounds the bytes of a row's runs, but what these pin is their arenas, several times as
 * much, and all rows have one budget for arenas. So a destination that is down could hold all of it
 * within its share, and nothing could be queued for the others as long as it is down. Therefore a
 * row with more than a little in its rings gets nothing of the budget's last quarter; and a row
 * with nothing in them is not refused for the budget at all: who paid for the arena goes on paying.
 * The latter is for requests that are larger than a quarter of the budget.
 *
 * One slot for a request and not for a run, because the number of runs is the sender's choice (an
 * account or a name more is a run more), and a request with more of them than a ring has slots
 * would be refused for ever.
 *
 * The shared ring of WEIR_NAMESPACE_OVERFLOW has many names behind one id, and the runs of one
 * namespace may be of several accounts and regions. So a row that does not want all of a chain goes
 * past some: what it reserves, retains, counts, takes and gives back are the runs that
 * weir_route_wanted finds.
 *
 * Threads: any; nothing here waits. Two threads that miss the same ring both make one, and a
 * compare-and-swap keeps the first; the loser frees its own. A full row is wanted and not live, and
 * holds nothing; the other rows do not notice. A drainer may free a run's arena as soon as the run
 * is in its ring; so all references are taken before the first push, and the caller's own reference
 * keeps the array of runs itself.
 *
 * Deliberately no waiting for credit, and no partial requests: a request is all or nothing for each
 * destination. Whether one destination without room stops the others is the caller's to say.
 */
#include "router_internal.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"

enum weir_status weir_router_new(const struct weir_router_options *options,
                                 struct weir_router **ret)
{
    uint32_t slots = options->ring_slots;
    if (options->destination_count == 0 || options->destination_count > WEIR_DESTINATIONS_MAX ||
        slots < 2 || slots > UINT32_C(1) << 20 || (slots & (slots - 1)) != 0) {
        return WEIR_EINVAL;
    }
    struct weir_router *router = weir_mem_zalloc(1, sizeof(*router));
    size_t rows_size = options->destination_count * sizeof(*router->rows);
    struct weir_route_row *rows = weir_mem_aligned(_Alignof(struct weir_route_row), rows_size);
    if (router == NULL || rows == NULL) {
        weir_mem_free(router);
        weir_mem_free(rows);
        return WEIR_ENOMEM;
    }
    memset(rows, 0, rows_size);
    router->rows = rows;
    router->row_count = options->destination_count;
    router->all = (UINT64_C(1) << options->destination_count) - 1;
    for (uint32_t i = 0; i < options->destination_count; i++) {
        rows[i].options = options->destinations[i];
        rows[i].bit = UINT64_C(1) << i;
        if (weir_route_filters_init(router, &rows[i]) != WEIR_OK) {
            weir_router_free(router);
            return WEIR_ENOMEM;
        }
    }
    router->ring_slots = slots;
    router->queued = weir_credit_budget(options->queued);
    router->credit = options->queued;
    router->namespaces = options->namespaces;
    router->regions = options->regions;
    *ret = router;
    return WEIR_OK;
}

/* Whether a run goes to a destination. */
static bool takes(const struct weir_route_row *row, const struct weir_run *run)
{
    return (run->takers & row->bit) != 0;
}

struct weir_run *weir_route_wanted(struct weir_route_row *row, struct weir_run *run)
{
    while (run != NULL && !takes(row, run)) {
        run = run->next;
    }
    return run;
}

/* Gives back the references of what a row takes of a chain. */
static void drop_chain(struct weir_route_row *row, struct weir_run *run)
{
    run = weir_route_wanted(row, run);
    while (run != NULL) {
        struct weir_run *next = weir_route_wanted(row, run->next); /* it may go with this one */
        weir_arena_unref(run->arena, run->bytes);
        run = next;
    }
}

static void free_ring(struct weir_route_row *row, struct weir_ring *ring)
{
    struct weir_run *run = NULL;
    while (ring != NULL && (run = weir_ring_pop(ring)) != NULL) {
        drop_chain(row, run);
    }
    weir_ring_free(ring);
}

void weir_router_free(struct weir_router *router)
{
    if (router == NULL) {
        return;
    }
    for (uint32_t i = 0; i < router->row_count; i++) {
        struct weir_route_row *row = &router->rows[i];
        for (uint32_t id = 0; id < WEIR_NAMESPACE_IDS; id++) {
            /* acquire: pairs with the release in ring_of */
            free_ring(row, atomic_load_explicit(&row->rings[id], memory_order_acquire));
        }
        weir_route_filters_done(row);
    }
    weir_mem_free(router->rows);
    weir_mem_free(router);
}

/* The ring of a namespace, made if there is none yet. */
static enum weir_status ring_of(struct weir_router *router, struct weir_route_row *row, uint32_t id,
                                struct weir_ring **ret)
{
    /* acquire: pairs with the release below, so the ring is seen whole */
    struct weir_ring *ring = atomic_load_explicit(&row->rings[id], memory_order_acquire);
    if (ring == NULL) {
        struct weir_ring *made;
        WEIR_TRY(weir_ring_new(router->ring_slots, &made));
        /* release: publishes the new ring; acquire on failure: somebody else's is used instead */
        if (atomic_compare_exchange_strong_explicit(&row->rings[id], &ring, made,
                                                    memory_order_acq_rel, memory_order_acquire)) {
            ring = made;
        } else {
            weir_ring_free(made);
        }
    }
    *ret = ring;
    return WEIR_OK;
}

/* The ring that a reserved run goes to. */
static struct weir_ring *reserved_ring(struct weir_route_row *row, const struct weir_run *run)
{
    /* acquire: pairs with the release in ring_of */
    return atomic_load_explicit(&row->rings[run->namespace_id], memory_order_acquire);
}

static enum weir_status take_share(struct weir_route_row *row, size_t bytes)
{
    /* All relaxed: a counter that bounds and orders nothing. */
    size_t queued = atomic_load_explicit(&row->queued, memory_order_relaxed);
    do {
        if (queued > row->options.share || bytes > row->options.share - queued) {
            return WEIR_EFULL;
        }
    } while (!atomic_compare_exchange_weak_explicit(&row->queued, &queued, queued + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return WEIR_OK;
}

/* Bytes that a row takes of a chain. */
static size_t wanted_bytes(struct weir_route_row *row, struct weir_run *first)
{
    size_t bytes = 0;
    struct weir_run *run = weir_route_wanted(row, first);
    for (; run != NULL; run = weir_route_wanted(row, run->next)) {
        bytes += run->bytes;
    }
    return bytes;
}

/* Gives back what the chains that begin among the first `count` runs hold in a row: credits and
 * share. */
static void cancel_row(struct weir_route_row *row, const struct weir_runs *runs, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_run *first = &runs->runs[i];
        if (first->is_first && weir_route_wanted(row, first) != NULL) {
            weir_ring_cancel(reserved_ring(row, first), 1);
            bytes += wanted_bytes(row, first);
        }
    }
    /* relaxed: a counter */
    size_t queued = atomic_fetch_sub_explicit(&row->queued, bytes, memory_order_relaxed);
    WEIR_ASSERT(queued >= bytes);
}

/* What a row may have in its rings and count as one that keeps up: so little that all rows together
 * pin no more than the last quarter with it, if a quarter of each arena is live
 * (weir_router_compact sees to that). */
static size_t little(const struct weir_router *router)
{
    return router->credit->limit / 16 / router->row_count;
}

/* Whether the arena may be queued for this row beside what the budget pays for now. */
static bool has_room(const struct weir_router *router, const struct weir_route_row *row,
                     const struct weir_arena *arena)
{
    if (router->row_count == 1) {
        return true; /* nobody to leave room to */
    }
    /* relaxed: a counter */
    size_t queued = atomic_load_explicit(&row->queued, memory_order_relaxed);
    return queued <= little(router) || weir_credit_used(router->credit) + weir_arena_size(arena) <=
                                           router->credit->limit / 4 * 3;
}

static enum weir_status reserve_chain(struct weir_router *router, struct weir_route_row *row,
                                      struct weir_run *first)
{
    struct weir_ring *ring;
    size_t bytes = wanted_bytes(row, first);
    WEIR_TRY(ring_of(router, row, first->namespace_id, &ring));
    WEIR_TRY(take_share(row, bytes));
    enum weir_status status = weir_ring_reserve(ring, 1);
    if (status != WEIR_OK) {
        /* relaxed: a counter */
        atomic_fetch_sub_explicit(&row->queued, bytes, memory_order_relaxed);
    }
    return status;
}

/* Share and credits in one row for all chains of which something goes there, or nothing. */
static enum weir_status reserve_row(struct weir_router *router, struct weir_route_row *row,
                                    const struct weir_runs *runs)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        struct weir_run *first = &runs->runs[i];
        if (!first->is_first || weir_route_wanted(row, first) == NULL) {
            continue;
        }
        enum weir_status status = reserve_chain(router, row, first);
        if (status != WEIR_OK) {
            cancel_row(row, runs, i);
            return status;
        }
    }
    return WEIR_OK;
}

/* Gives the runs their ids and links those with the same one, in the order they came. */
static void link_chains(struct weir_router *router, struct weir_arena *arena,
                        const struct weir_runs *runs)
{
    struct weir_run *last[WEIR_NAMESPACE_IDS] = {NULL};
    for (uint32_t i = 0; i < runs->count; i++) {
        struct weir_run *run = &runs->runs[i];
        uint32_t id = weir_namespaces_id(router->namespaces, run->name);
        run->arena = arena;
        run->namespace_id = id;
        run->next = NULL;
        run->is_first = last[id] == NULL;
        if (!run->is_first) {
            last[id]->next = run;
        }
        last[id] = run;
    }
}

/* Points that a row takes of all runs. */
static uint32_t wanted_points(const struct weir_route_row *row, const struct weir_runs *runs)
{
    uint32_t points = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        points += takes(row, &runs->runs[i]) ? runs->runs[i].count : 0;
    }
    return points;
}

static bool is_live(const struct weir_reservation *reservation, uint32_t row)
{
    return (reservation->live >> row & 1) != 0;
}

static void cancel_rows(struct weir_router *router, const struct weir_runs *runs, uint64_t rows)
{
    for (uint32_t row = 0; row < router->row_count; row++) {
        if ((rows >> row & 1) != 0) {
            cancel_row(&router->rows[row], runs, runs->count);
        }
    }
}

void weir_router_reserve(struct weir_router *router, struct weir_arena *arena,
                         struct weir_runs *runs, uint64_t targets, struct weir_reservation *ret)
{
    struct weir_reservation made = {.wanted = 0};
    link_chains(router, arena, runs);
    weir_route_decide(router, runs, targets);
    uint64_t empty = 0; /* rows with nothing queued before this */
    for (uint32_t index = 0; index < router->row_count; index++) {
        struct weir_route_row *row = &router->rows[index];
        uint64_t bit = row->bit;
        made.points[index] = wanted_points(row, runs);
        if (made.points[index] == 0) {
            continue;
        }
        made.wanted |= bit;
        empty |= weir_router_queued_bytes(router, index) == 0 ? bit : 0;
        bool fits = has_room(router, row, arena) && reserve_row(router, row, runs) == WEIR_OK;
        made.live |= fits ? bit : 0;
    }
    if (made.live != 0 && weir_arena_charge_to(arena, router->queued) != WEIR_OK) {
        empty = router->row_count > 1 ? empty : 0;
        cancel_rows(router, runs, made.live & ~empty);
        made.live &= empty;
    }
    *ret = made;
}

void weir_router_cancel(struct weir_router *router, const struct weir_runs *runs,
                        const struct weir_reservation *reservation)
{
    cancel_rows(router, runs, reservation->live);
}

/* One reference for each ring that a run will be in, and the count of what shares a ring for want
 * of ids. */
static void retain(struct weir_router *router, const struct weir_runs *runs,
                   const struct weir_reservation *reservation)
{
    uint64_t shared_points = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct weir_run *run = &runs->runs[i];
        for (uint32_t row = 0; row < router->row_count; row++) {
            if (is_live(reservation, row) && takes(&router->rows[row], run)) {
                weir_arena_ref(run->arena, run->bytes);
            }
        }
        shared_points += run->namespace_id == WEIR_NAMESPACE_OVERFLOW ? run->count : 0;
    }
    if (shared_points > 0) {
        weir_metrics_add(weir_metrics_series(WEIR_M_NAMESPACE_OVERFLOW, NULL), shared_points);
    }
}

/* Pushes what a row wants of a chain; false when that is nothing. */
static bool publish_chain(struct weir_router *router, struct weir_route_row *row,
                          struct weir_run *first)
{
    struct weir_run *begin = weir_route_wanted(row, first);
    if (begin == NULL) {
        return false;
    }
    uint64_t points = 0;
    for (struct weir_run *run = begin; run != NULL; run = weir_route_wanted(row, run->next)) {
        points += run->count;
    }
    /* relaxed: a gauge; before the push, so it never falls below nothing */
    atomic_fetch_add_explicit(&router->points[begin->namespace_id], points, memory_order_relaxed);
    weir_ring_push(reserved_ring(row, begin), begin);
    return true;
}

void weir_router_publish(struct weir_router *router, struct weir_runs *runs,
                         const struct weir_reservation *reservation)
{
    if (reservation->live == 0) {
        return;
    }
    retain(router, runs, reservation);
    for (uint32_t row = 0; row < router->row_count; row++) {
        struct weir_route_row *to = &router->rows[row];
        bool is_published = false;
        for (uint32_t i = 0; is_live(reservation, row) && i < runs->count; i++) {
            if (runs->runs[i].is_first && publish_chain(router, to, &runs->runs[i])) {
                is_published = true;
            }
        }
        if (is_published && to->options.wake != NULL) {
            weir_wake_ring(to->options.wake);
        }
    }
}

size_t weir_router_queued_bytes(const struct weir_router *router, uint32_t index)
{
    WEIR_ASSERT(index < router->row_count);
    return atomic_load_explicit(&router->rows[index].queued, memory_order_relaxed); /* a gauge */
}

uint64_t weir_router_ring_points(const struct weir_router *router, uint32_t namespace_id)
{
    WEIR_ASSERT(namespace_id < WEIR_NAMESPACE_IDS);
    return atomic_load_explicit(&router->points[namespace_id], memory_order_relaxed); /* a gauge */
}
