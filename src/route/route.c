/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producers' side of the router: see weir/route.h. The drainers' side is drain.c; who is there
 * and wants what is in plan.c and decide.c.
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
 *       given back, also when another set of destinations has been configured meanwhile
 *   I3  a ring's credits out = requests reserved for it and not yet published or cancelled
 *   I4  chains are the same for all rows, and nobody writes to a run once it is published
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
#include "weir/rcu.h"

enum { RUNS_AHEAD = 32 }; /* with a thousand namespaces some eight rings */

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
    while (router->used != 0) {
        struct weir_route_row *row = &router->rows[weir_route_next(&router->used)];
        for (uint32_t id = 0; id < WEIR_NAMESPACE_IDS; id++) {
            /* acquire: pairs with the release in ring_of */
            free_ring(row, atomic_load_explicit(&row->rings[id], memory_order_acquire));
        }
    }
    weir_route_plan_retire(router, weir_rcu_load(&router->plan));
    /* acquire: pairs with the release of whoever freed a plan */
    WEIR_ASSERT(atomic_load_explicit(&router->plan_count, memory_order_acquire) == 0);
    weir_mem_free(router->rows_memory);
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

/* The ring that the chain goes to which begins `ahead` runs behind run `at`, or NULL. Rings of many
 * namespaces are far from every cache: who goes from one to the next asks for those ahead. */
static struct weir_ring *ring_ahead(struct weir_route_row *row, const struct weir_runs *runs,
                                    uint32_t at, uint32_t ahead)
{
    bool is_chain = ahead < runs->count - at && runs->runs[at + ahead].is_first;
    return is_chain ? reserved_ring(row, &runs->runs[at + ahead]) : NULL;
}

/* Asks for what reserving in the rings ahead will touch: their first line (weir/ring.h). */
static void ask_credit(struct weir_route_row *row, const struct weir_runs *runs, uint32_t at)
{
    __builtin_prefetch(ring_ahead(row, runs, at, RUNS_AHEAD), 1);
}

/* Asks for what pushing into the rings ahead will touch: the gauge, the first line, which was
 * reserved in a commit ago, and when that is there the slot. */
static void ask_slot(struct weir_router *router, struct weir_route_row *row,
                     const struct weir_runs *runs, uint32_t at)
{
    struct weir_ring *far = ring_ahead(row, runs, at, RUNS_AHEAD);
    if (far != NULL) {
        __builtin_prefetch(far, 1);
        __builtin_prefetch(&router->points[runs->runs[at + RUNS_AHEAD].namespace_id], 1);
    }
    struct weir_ring *near = ring_ahead(row, runs, at, RUNS_AHEAD / 2);
    if (near != NULL) {
        weir_ring_ask(near);
    }
}

static enum weir_status take_share(struct weir_route_row *row, size_t share, size_t bytes)
{
    /* acquire: as in weir_route_queued; an old sum of what was taken makes it only too much */
    size_t taken = atomic_load_explicit(&row->taken, memory_order_acquire);
    /* The others relaxed: a counter that bounds and orders nothing. */
    size_t reserved = atomic_load_explicit(&row->reserved, memory_order_relaxed);
    do {
        size_t queued = reserved - taken;
        if (queued > share || bytes > share - queued) {
            return WEIR_EFULL;
        }
    } while (!atomic_compare_exchange_weak_explicit(&row->reserved, &reserved, reserved + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return WEIR_OK;
}

/* Gives back the credits of the chains that begin among the first `count` runs. */
static void cancel_rings(struct weir_route_row *row, const struct weir_runs *runs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct weir_run *first = &runs->runs[i];
        if (first->is_first && weir_route_wanted(row, first) != NULL) {
            weir_ring_cancel(reserved_ring(row, first), 1);
        }
    }
}

static void give_share(struct weir_route_row *row, size_t bytes)
{
    /* relaxed: a counter */
    size_t reserved = atomic_fetch_sub_explicit(&row->reserved, bytes, memory_order_relaxed);
    WEIR_ASSERT(reserved >= bytes);
}

uint32_t weir_route_sharers(const struct weir_router *router, const struct weir_route_plan *plan)
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
};

/* Whether the arena may be queued for this row beside what the budget pays for now. */
static bool has_room(const struct attempt *attempt, const struct weir_route_row *row)
{
    const struct weir_router *router = attempt->router;
    if (attempt->sharers == 1) {
        return true; /* nobody to leave room to */
    }
    return weir_route_queued(row) <= weir_route_little(router, attempt->sharers) ||
           weir_credit_used(router->credit) + weir_arena_size(attempt->arena) <=
               weir_route_but_last_quarter(router);
}

/* Share, and credits for all chains of which something goes there, or nothing. */
static enum weir_status reserve_row(const struct attempt *attempt, uint32_t slot, size_t bytes)
{
    struct weir_route_row *row = &attempt->router->rows[slot];
    const struct weir_runs *runs = attempt->runs;
    WEIR_TRY(take_share(row, attempt->plan->rows[slot].options.share, bytes));
    for (uint32_t i = 0; i < runs->count; i++) {
        struct weir_run *first = &runs->runs[i];
        ask_credit(row, runs, i);
        if (!first->is_first || weir_route_wanted(row, first) == NULL) {
            continue;
        }
        struct weir_ring *ring;
        enum weir_status status = ring_of(attempt->router, row, first->namespace_id, &ring);
        status = status == WEIR_OK ? weir_ring_reserve(ring, 1) : status;
        if (status != WEIR_OK) {
            cancel_rings(row, runs, i);
            give_share(row, bytes);
            return status;
        }
    }
    return WEIR_OK;
}

/* Gives the runs their ids and links those with the same one, in the order they came. Those of a
 * name stand together, as the collector has them, so the one before is the last of the same id;
 * only in the shared ring are there several names. */
static void link_chains(struct weir_router *router, struct weir_arena *arena,
                        const struct weir_runs *runs)
{
    struct weir_run *last_shared = NULL;
    for (uint32_t i = 0; i < runs->count; i++) {
        struct weir_run *run = &runs->runs[i];
        struct weir_run *before = i > 0 && weir_bytes_eq(run->name, run[-1].name) ? run - 1 : NULL;
        uint32_t id = before != NULL ? before->namespace_id
                                     : weir_namespaces_id(router->namespaces, run->name);
        if (id == WEIR_NAMESPACE_OVERFLOW) {
            before = last_shared;
            last_shared = run;
        }
        run->arena = arena;
        run->namespace_id = id;
        run->next = NULL;
        run->is_first = before == NULL;
        if (before != NULL) {
            before->next = run;
        }
    }
}

/* What a row takes of all runs. */
struct wanted {
    uint32_t points;
    size_t bytes;
};

static struct wanted wanted_of(const struct weir_route_row *row, const struct weir_runs *runs)
{
    struct wanted wanted = {0, 0};
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct weir_run *run = &runs->runs[i];
        wanted.points += takes(row, run) ? run->count : 0;
        wanted.bytes += takes(row, run) ? run->bytes : 0;
    }
    return wanted;
}

/* Gives back what a request holds in these rows: credits and share. */
static void cancel_rows(struct weir_router *router, const struct weir_runs *runs, uint64_t rows)
{
    while (rows != 0) {
        struct weir_route_row *row = &router->rows[weir_route_next(&rows)];
        cancel_rings(row, runs, runs->count);
        give_share(row, wanted_of(row, runs).bytes);
    }
}

void weir_router_reserve(struct weir_router *router, struct weir_arena *arena,
                         struct weir_runs *runs, const struct weir_route_choice *choice,
                         struct weir_reservation *ret)
{
    const struct weir_route_plan *plan = choice->plan;
    struct weir_reservation made = {.plan = plan};
    const struct attempt attempt = {router, arena, runs, plan, weir_route_sharers(router, plan)};
    link_chains(router, arena, runs);
    weir_route_decide(plan, runs, choice->targets);
    uint64_t empty = 0; /* rows with nothing queued before this */
    for (uint64_t rest = plan->all; rest != 0;) {
        uint32_t slot = weir_route_next(&rest);
        struct weir_route_row *row = &router->rows[slot];
        struct wanted wanted = wanted_of(row, runs);
        made.points[slot] = wanted.points;
        if (wanted.points == 0) {
            continue;
        }
        made.wanted |= row->bit;
        empty |= weir_router_queued_bytes(router, slot) == 0 ? row->bit : 0;
        bool fits = (plan->open & row->bit) != 0 && has_room(&attempt, row) &&
                    reserve_row(&attempt, slot, wanted.bytes) == WEIR_OK;
        made.live |= fits ? row->bit : 0;
    }
    if (made.live != 0 && weir_arena_charge_to(arena, router->queued) != WEIR_OK) {
        empty = attempt.sharers > 1 ? empty : 0;
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

/* One reference for each ring that a run will be in, those of neighbours at once, since they share
 * an arena; and the count of what shares a ring for want of ids. */
static void retain(const struct weir_runs *runs, const struct weir_reservation *reservation)
{
    uint64_t shared_points = 0;
    uint64_t takers = 0; /* the last run's, of the live ones: most runs have the same */
    uint32_t rows = 0;   /* how many these are */
    uint32_t refs = 0;
    size_t live = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct weir_run *run = &runs->runs[i];
        if ((run->takers & reservation->live) != takers) {
            takers = run->takers & reservation->live;
            rows = (uint32_t)__builtin_popcountll(takers);
        }
        refs += rows;
        live += rows * run->bytes;
        if (refs > 0 && (i + 1 == runs->count || run[1].arena != run->arena)) {
            weir_arena_refs(run->arena, refs, live);
            refs = 0;
            live = 0;
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
    /* relaxed: a sum; before the push, so that it is never less than what was taken */
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
    retain(runs, reservation);
    for (uint64_t rows = reservation->live; rows != 0;) {
        uint32_t slot = weir_route_next(&rows);
        struct weir_route_row *row = &router->rows[slot];
        struct weir_wake *wake = reservation->plan->rows[slot].options.wake;
        bool is_published = false;
        for (uint32_t i = 0; i < runs->count; i++) {
            ask_slot(router, row, runs, i);
            if (runs->runs[i].is_first && publish_chain(router, row, &runs->runs[i])) {
                is_published = true;
            }
        }
        if (is_published && wake != NULL) {
            weir_wake_ring(wake);
        }
    }
}

size_t weir_router_queued_bytes(const struct weir_router *router, uint32_t index)
{
    WEIR_ASSERT(index < WEIR_DESTINATIONS_MAX);
    return weir_route_queued(&router->rows[index]);
}

uint64_t weir_router_ring_points(const struct weir_router *router, uint32_t namespace_id)
{
    WEIR_ASSERT(namespace_id < WEIR_NAMESPACE_IDS);
    uint64_t taken = 0;
    for (uint32_t slot = 0; slot < WEIR_DESTINATIONS_MAX; slot++) {
        const struct weir_route_row *row = &router->rows[slot];
        /* relaxed: nothing was ever taken where nothing was reserved; those pages stay untouched */
        if (atomic_load_explicit(&row->reserved, memory_order_relaxed) > 0) {
            /* acquire: pairs with the release in count_taken (drain.c), so that what is read below
             * has all that was pushed before it was taken */
            taken += atomic_load_explicit(&row->points_taken[namespace_id], memory_order_acquire);
        }
    }
    return atomic_load_explicit(&router->points[namespace_id], memory_order_relaxed) - taken;
}
