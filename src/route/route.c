/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producers' side of the router: see weir/route.h. The drainers' side is drain.c.
 *
 *   reserve   arena's charge ─► queued budget
 *             row 0: globs ─► share of the bytes ─► a credit in each ring   ┐ what was taken is
 *             row 1: ...                                                    │ given back when a
 *                                                                           ┘ later row says no
 *   publish   references for all, then pushes, then bells
 *   cancel    credits and shares of all rows
 *
 *   I1  a decision, once known, never changes: names of ids are for ever and globs do not change
 *   I2  reserve, publish and cancel see the same decisions, so what is taken is what is given back
 *   I3  a ring's credits out = runs reserved and not yet published or cancelled
 *
 * The shared ring of WEIR_NAMESPACE_OVERFLOW has many names behind one id, so its globs are matched
 * for each run again.
 *
 * Threads: any; nothing here waits. Two threads that miss the same ring both make one, and a
 * compare-and-swap keeps the first; the loser frees its own. Full is WEIR_EFULL and leaves
 * everything as it was. A drainer may free a run's arena as soon as the run is in its ring; so all
 * references are taken before the first push, and the caller's own reference keeps the array of
 * runs itself.
 *
 * Deliberately no waiting for credit, and no partial requests: a request is all or nothing for all
 * destinations.
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
    for (uint32_t i = 0; i < options->destination_count; i++) {
        rows[i].options = options->destinations[i];
    }
    router->rows = rows;
    router->row_count = options->destination_count;
    router->ring_slots = slots;
    router->queued = weir_credit_budget(options->queued);
    router->namespaces = options->namespaces;
    router->regions = options->regions;
    *ret = router;
    return WEIR_OK;
}

static void free_ring(struct weir_ring *ring)
{
    struct weir_run *run = NULL;
    while (ring != NULL && (run = weir_ring_pop(ring)) != NULL) {
        weir_arena_unref(run->arena, run->bytes);
    }
    weir_ring_free(ring);
}

void weir_router_free(struct weir_router *router)
{
    if (router == NULL) {
        return;
    }
    for (uint32_t i = 0; i < router->row_count; i++) {
        for (uint32_t id = 0; id < WEIR_NAMESPACE_IDS; id++) {
            /* acquire: pairs with the release in ring_of */
            free_ring(atomic_load_explicit(&router->rows[i].rings[id], memory_order_acquire));
        }
    }
    weir_mem_free(router->rows);
    weir_mem_free(router);
}

static bool fits_any(const char *const *globs, struct weir_bytes name)
{
    for (; globs != NULL && *globs != NULL; globs++) {
        if (weir_bytes_glob(weir_bytes_str(*globs), name)) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct weir_route_destination *destination, struct weir_bytes name)
{
    return (destination->include == NULL || fits_any(destination->include, name)) &&
           !fits_any(destination->exclude, name);
}

/* Whether a run goes to a destination. Relaxed: a decision is complete in itself, and two threads
 * that work it out at once get the same one. */
static bool takes(struct weir_route_row *row, const struct weir_run *run)
{
    uint32_t id = run->namespace_id;
    if (id == WEIR_NAMESPACE_OVERFLOW) {
        return is_wanted(&row->options, run->name);
    }
    uint8_t decision = atomic_load_explicit(&row->decisions[id], memory_order_relaxed);
    if (decision == WEIR_ROUTE_UNKNOWN) {
        decision = is_wanted(&row->options, run->name) ? WEIR_ROUTE_YES : WEIR_ROUTE_NO;
        atomic_store_explicit(&row->decisions[id], decision, memory_order_relaxed);
    }
    return decision == WEIR_ROUTE_YES;
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

/* Gives back what the first `count` runs hold in a row: credits and share. */
static void cancel_row(struct weir_route_row *row, const struct weir_runs *runs, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (takes(row, &runs->runs[i])) {
            weir_ring_cancel(reserved_ring(row, &runs->runs[i]), 1);
            bytes += runs->runs[i].bytes;
        }
    }
    /* relaxed: a counter */
    size_t queued = atomic_fetch_sub_explicit(&row->queued, bytes, memory_order_relaxed);
    WEIR_ASSERT(queued >= bytes);
}

static enum weir_status reserve_run(struct weir_router *router, struct weir_route_row *row,
                                    const struct weir_run *run)
{
    struct weir_ring *ring;
    WEIR_TRY(ring_of(router, row, run->namespace_id, &ring));
    WEIR_TRY(take_share(row, run->bytes));
    enum weir_status status = weir_ring_reserve(ring, 1);
    if (status != WEIR_OK) {
        /* relaxed: a counter */
        atomic_fetch_sub_explicit(&row->queued, run->bytes, memory_order_relaxed);
    }
    return status;
}

/* Share and credits in one row for all runs that go there, or nothing. */
static enum weir_status reserve_row(struct weir_router *router, struct weir_route_row *row,
                                    const struct weir_runs *runs)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        if (!takes(row, &runs->runs[i])) {
            continue;
        }
        enum weir_status status = reserve_run(router, row, &runs->runs[i]);
        if (status != WEIR_OK) {
            cancel_row(row, runs, i);
            return status;
        }
    }
    return WEIR_OK;
}

enum weir_status weir_router_reserve(struct weir_router *router, struct weir_arena *arena,
                                     struct weir_runs *runs)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        runs->runs[i].arena = arena;
        runs->runs[i].namespace_id = weir_namespaces_id(router->namespaces, runs->runs[i].name);
    }
    WEIR_TRY(weir_arena_charge_to(arena, router->queued));
    for (uint32_t row = 0; row < router->row_count; row++) {
        enum weir_status status = reserve_row(router, &router->rows[row], runs);
        if (status != WEIR_OK) {
            for (uint32_t before = 0; before < row; before++) {
                cancel_row(&router->rows[before], runs, runs->count);
            }
            return status;
        }
    }
    return WEIR_OK;
}

void weir_router_cancel(struct weir_router *router, const struct weir_runs *runs)
{
    for (uint32_t row = 0; row < router->row_count; row++) {
        cancel_row(&router->rows[row], runs, runs->count);
    }
}

/* One reference for each ring that a run will be in, and the count of what shares a ring for want
 * of ids. */
static void retain(struct weir_router *router, const struct weir_runs *runs)
{
    uint64_t shared_points = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct weir_run *run = &runs->runs[i];
        for (uint32_t row = 0; row < router->row_count; row++) {
            if (takes(&router->rows[row], run)) {
                weir_arena_ref(run->arena, run->bytes);
            }
        }
        shared_points += run->namespace_id == WEIR_NAMESPACE_OVERFLOW ? run->count : 0;
    }
    if (shared_points > 0) {
        weir_metrics_add(weir_metrics_series(WEIR_M_NAMESPACE_OVERFLOW, NULL), shared_points);
    }
}

void weir_router_publish(struct weir_router *router, struct weir_runs *runs)
{
    retain(router, runs);
    for (uint32_t row = 0; row < router->row_count; row++) {
        struct weir_route_row *to = &router->rows[row];
        bool is_published = false;
        for (uint32_t i = 0; i < runs->count; i++) {
            struct weir_run *run = &runs->runs[i];
            if (takes(to, run)) {
                /* relaxed: a gauge; before the push, so it never falls below nothing */
                atomic_fetch_add_explicit(&router->points[run->namespace_id], run->count,
                                          memory_order_relaxed);
                weir_ring_push(reserved_ring(to, run), run);
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
