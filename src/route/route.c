/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producers' side of the router: see weir/route.h. The drainers' side is drain.c; who is there
 * and wants what is in plan.c and decide.c.
 *
 *   reserve   ids, chains, takers of each run (decide.c)
 *             row 0: bundle ─► share of its bytes ─► a credit for each chain  ┐ given back when
 *             row 1: ...                                                      ┘ not all has room
 *             arena's charge ─► queued budget, if a row is live
 *   publish   references for all live rows, then bundles, then bells
 *   cancel    credits and shares of the live rows
 *
 *   I1  who takes a run is decided once, in reserve, and stands in the run from then on
 *   I2  so reserve, publish, cancel and drainer see the same decision, and what is taken is what is
 *       given back, also when another set of destinations has been configured meanwhile
 *   I3  what a row has reserved is its bundle, and nothing else
 *   I4  chains' links are the same for all rows, and nobody writes to a run once it is published
 *   I5  rows that do not keep up leave the last quarter of the queued budget to those that do
 *
 * A share bounds the bytes of a row's runs, but what these pin is their arenas, several times as
 * much, and all rows have one budget for arenas. So a destination that is down could hold all of it
 * within its share, and nothing could be queued for the others as long as it is down. Therefore a
 * row with more than a little in its rings gets nothing of the budget's last quarter; and a row
 * with nothing in them is not refused for the budget at all: who paid for the arena goes on paying.
 * The latter is for requests that are larger than a quarter of the budget. All this is shared out
 * among the rows that are open in the request's plan, and those that were open before and still
 * hold something: a destination that is replaced while it is down must not keep its successor out.
 *
 * One slot for a request and not for a run, because the number of runs is the sender's choice (an
 * account or a name more is a run more), and a request with more of them than a ring has slots
 * would be refused for ever.
 *
 * Threads: any; nothing here waits. A full row is wanted and not live, and holds nothing; the other
 * rows do not notice. A drainer may free a run's arena as soon as it has the bundle; so all
 * references are taken before the first is handed over, and the caller's own reference keeps the
 * bundles themselves.
 *
 * Deliberately no waiting for credit, and no partial requests: a request is all or nothing for each
 * destination. Whether one destination without room stops the others is the caller's to say.
 */
#include "router_internal.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/rcu.h"

/* Rows for all slots, as zero pages: one that is never used costs address space and nothing else.
 * Aligned by hand, since only zeroed memory comes without being written to. */
static enum weir_status make_rows(struct weir_router *router)
{
    size_t alignment = _Alignof(struct weir_route_row);
    size_t size = WEIR_DESTINATIONS_MAX * sizeof(*router->rows);
    router->rows_memory = weir_mem_zalloc(1, size + alignment);
    if (router->rows_memory == NULL) {
        return WEIR_ENOMEM;
    }
    uintptr_t begin = ((uintptr_t)router->rows_memory + alignment - 1) & ~(alignment - 1);
    router->rows = (struct weir_route_row *)begin;
    return WEIR_OK;
}

enum weir_status weir_router_new(const struct weir_router_options *options,
                                 struct weir_router **ret)
{
    uint32_t slots = options->ring_slots;
    if (slots < 2 || slots > UINT32_C(1) << 20 || (slots & (slots - 1)) != 0) {
        return WEIR_EINVAL;
    }
    struct weir_router *router = weir_mem_zalloc(1, sizeof(*router));
    if (router == NULL) {
        return WEIR_ENOMEM;
    }
    router->ring_slots = slots;
    router->queued = weir_credit_budget(options->queued);
    router->credit = options->queued;
    router->namespaces = options->namespaces;
    router->regions = options->regions;
    router->claimer = options->claimer;
    enum weir_status status = make_rows(router);
    if (status == WEIR_OK) {
        status = weir_router_configure(router, &options->set);
    }
    if (status != WEIR_OK) {
        weir_mem_free(router->rows_memory);
        weir_mem_free(router);
        return status;
    }
    *ret = router;
    return WEIR_OK;
}

void weir_router_free(struct weir_router *router)
{
    if (router == NULL) {
        return;
    }
    while (router->used != 0) {
        weir_route_row_drop(router, &router->rows[weir_route_next(&router->used)]);
    }
    weir_route_plan_retire(router, weir_rcu_load(&router->plan));
    /* acquire: pairs with the release of whoever freed a plan */
    WEIR_ASSERT(atomic_load_explicit(&router->plan_count, memory_order_acquire) == 0);
    weir_mem_free(router->rows_memory);
    weir_mem_free(router);
}

static enum weir_status take_share(struct weir_route_row *row, size_t share, size_t bytes)
{
    /* All relaxed: a counter that bounds and orders nothing. */
    size_t queued = atomic_load_explicit(&row->queued, memory_order_relaxed);
    do {
        if (queued > share || bytes > share - queued) {
            return WEIR_EFULL;
        }
    } while (!atomic_compare_exchange_weak_explicit(&row->queued, &queued, queued + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return WEIR_OK;
}

static void give_share(struct weir_route_row *row, size_t bytes)
{
    /* relaxed: a counter */
    size_t queued = atomic_fetch_sub_explicit(&row->queued, bytes, memory_order_relaxed);
    WEIR_ASSERT(queued >= bytes);
}

/* How many rows the queued budget is for: those open in the plan, and those that were and have not
 * drained. */
static uint32_t sharers(const struct weir_router *router, const struct weir_route_plan *plan)
{
    uint32_t count = (uint32_t)__builtin_popcountll(plan->open);
    uint64_t leaving = plan->leaving;
    while (leaving != 0) {
        count += weir_router_queued_bytes(router, weir_route_next(&leaving)) > 0 ? 1 : 0;
    }
    return count;
}

/* What a request is reserved for, and by. */
struct attempt {
    struct weir_router *router;
    struct weir_arena *arena;
    const struct weir_runs *runs;
    const struct weir_route_plan *plan;
    uint32_t sharers;
    uint32_t chains;
};

/* What a row may have in its rings and count as one that keeps up: so little that all rows together
 * pin no more than the last quarter with it, if an eighth of each arena is live
 * (weir_router_compact sees to that). */
static size_t little(const struct attempt *attempt)
{
    return attempt->router->credit->limit / 32 / attempt->sharers;
}

/* Whether the arena may be queued for this row beside what the budget pays for now. */
static bool has_room(const struct attempt *attempt, const struct weir_route_row *row)
{
    const struct weir_credit *credit = attempt->router->credit;
    if (attempt->sharers == 1) {
        return true; /* nobody to leave room to */
    }
    /* relaxed: a counter */
    size_t queued = atomic_load_explicit(&row->queued, memory_order_relaxed);
    return queued <= little(attempt) ||
           weir_credit_used(credit) + weir_arena_size(attempt->arena) <= credit->limit / 4 * 3;
}

/* Share and credits in one row for all that goes there, or NULL and nothing. */
static struct weir_route_bundle *reserve_row(const struct attempt *attempt, uint32_t slot)
{
    struct weir_route_row *row = &attempt->router->rows[slot];
    struct weir_route_bundle *bundle =
        weir_route_bundle_make(attempt->arena, attempt->runs, attempt->chains, row->bit);
    if (bundle == NULL ||
        take_share(row, attempt->plan->rows[slot].options.share, bundle->bytes) != WEIR_OK) {
        return NULL;
    }
    if (weir_route_bundle_reserve(row, bundle, attempt->router->ring_slots) != WEIR_OK) {
        give_share(row, bundle->bytes);
        return NULL;
    }
    bundle->slot = slot;
    return bundle;
}

/* Gives the runs their ids and links those with the same one, in the order they came; returns how
 * many chains they are. */
static uint32_t link_chains(struct weir_router *router, struct weir_arena *arena,
                            const struct weir_runs *runs)
{
    struct weir_run *last[WEIR_NAMESPACE_IDS] = {NULL};
    uint32_t chains = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        struct weir_run *run = &runs->runs[i];
        uint32_t id = weir_namespaces_id(router->namespaces, run->name);
        run->arena = arena;
        run->namespace_id = id;
        run->next = NULL;
        if (last[id] == NULL) {
            run->chain = chains++;
        } else {
            run->chain = last[id]->chain;
            last[id]->next = run;
        }
        last[id] = run;
    }
    return chains;
}

/* Points that a row takes of all runs. */
static uint32_t wanted_points(const struct weir_route_row *row, const struct weir_runs *runs)
{
    uint32_t points = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        points += (runs->runs[i].takers & row->bit) != 0 ? runs->runs[i].count : 0;
    }
    return points;
}

/* Points whose namespace has no id of its own. */
static uint32_t nameless_points(const struct weir_runs *runs)
{
    uint32_t points = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct weir_run *run = &runs->runs[i];
        points += run->namespace_id == WEIR_NAMESPACE_OVERFLOW ? run->count : 0;
    }
    return points;
}

/* Gives back what is held in these rows. */
static void cancel_rows(struct weir_router *router, const struct weir_reservation *reservation,
                        uint64_t rows)
{
    for (struct weir_route_bundle *it = reservation->bundles; it != NULL; it = it->next) {
        struct weir_route_row *row = &router->rows[it->slot];
        if ((rows & row->bit) != 0) {
            weir_route_bundle_cancel(row, it);
            give_share(row, it->bytes);
        }
    }
}

void weir_router_reserve(struct weir_router *router, struct weir_arena *arena,
                         struct weir_runs *runs, const struct weir_route_choice *choice,
                         struct weir_reservation *ret)
{
    const struct weir_route_plan *plan = choice->plan;
    struct weir_reservation made = {.plan = plan, .arena = arena};
    const struct attempt attempt = {
        router, arena, runs, plan, sharers(router, plan), link_chains(router, arena, runs)};
    weir_route_decide(plan, runs, choice->targets);
    made.nameless = nameless_points(runs);
    uint64_t empty = 0; /* rows with nothing queued before this */
    for (uint64_t rest = plan->all; rest != 0;) {
        uint32_t slot = weir_route_next(&rest);
        struct weir_route_row *row = &router->rows[slot];
        made.points[slot] = wanted_points(row, runs);
        if (made.points[slot] == 0) {
            continue;
        }
        made.wanted |= row->bit;
        empty |= weir_router_queued_bytes(router, slot) == 0 ? row->bit : 0;
        bool may = (plan->open & row->bit) != 0 && has_room(&attempt, row);
        struct weir_route_bundle *bundle = may ? reserve_row(&attempt, slot) : NULL;
        if (bundle != NULL) {
            bundle->next = made.bundles;
            made.bundles = bundle;
            made.live |= row->bit;
        }
    }
    if (made.live != 0 && weir_arena_charge_to(arena, router->queued) != WEIR_OK) {
        empty = attempt.sharers > 1 ? empty : 0;
        cancel_rows(router, &made, made.live & ~empty);
        made.live &= empty;
    }
    *ret = made;
}

void weir_router_cancel(struct weir_router *router, const struct weir_reservation *reservation)
{
    cancel_rows(router, reservation, reservation->live);
}

/* One reference for each row that a run goes to. */
static void retain(const struct weir_router *router, const struct weir_reservation *reservation)
{
    uint32_t count = 0;
    size_t bytes = 0;
    for (const struct weir_route_bundle *it = reservation->bundles; it != NULL; it = it->next) {
        bool is_live = (reservation->live & router->rows[it->slot].bit) != 0;
        count += is_live ? it->left : 0;
        bytes += is_live ? it->bytes : 0;
    }
    weir_arena_refs(reservation->arena, count, bytes);
}

void weir_router_publish(struct weir_router *router, const struct weir_reservation *reservation)
{
    if (reservation->live == 0) {
        return;
    }
    if (reservation->nameless > 0) {
        weir_metrics_add(weir_metrics_series(WEIR_M_NAMESPACE_OVERFLOW, NULL),
                         reservation->nameless);
    }
    retain(router, reservation);
    struct weir_route_bundle *next = reservation->bundles;
    while (next != NULL) {
        struct weir_route_bundle *bundle = next;
        uint32_t slot = bundle->slot;
        struct weir_route_row *row = &router->rows[slot];
        next = bundle->next; /* the drainer's, once it is pushed */
        if ((reservation->live & row->bit) != 0) {
            struct weir_wake *wake = reservation->plan->rows[slot].options.wake;
            for (uint32_t i = 0; i < bundle->chain_count; i++) {
                /* relaxed: a gauge; before the push, so it never falls below nothing */
                const struct weir_route_chain *chain = &bundle->chains[i];
                atomic_fetch_add_explicit(&router->points[chain->run->namespace_id], chain->points,
                                          memory_order_relaxed);
            }
            weir_route_bundle_push(row, bundle);
            if (wake != NULL) {
                weir_wake_ring(wake);
            }
        }
    }
}

size_t weir_router_queued_bytes(const struct weir_router *router, uint32_t index)
{
    WEIR_ASSERT(index < WEIR_DESTINATIONS_MAX);
    return atomic_load_explicit(&router->rows[index].queued, memory_order_relaxed); /* a gauge */
}

uint64_t weir_router_ring_points(const struct weir_router *router, uint32_t namespace_id)
{
    WEIR_ASSERT(namespace_id < WEIR_NAMESPACE_IDS);
    return atomic_load_explicit(&router->points[namespace_id], memory_order_relaxed); /* a gauge */
}
