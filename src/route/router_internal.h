/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ROUTE_ROUTER_INTERNAL_H
#define WEIR_ROUTE_ROUTER_INTERNAL_H

#include "match.h"
#include "weir/ring.h"
#include "weir/route.h"

#include <stdatomic.h>

/* What patterns are about. */
enum weir_route_filter {
    WEIR_ROUTE_NAMESPACE,
    WEIR_ROUTE_ACCOUNT,
    WEIR_ROUTE_REGION,
    WEIR_ROUTE_STREAM,
    WEIR_ROUTE_FILTERS
};

/* A common attribute that a destination asks for. */
struct weir_route_wish {
    struct weir_bytes name;
    struct weir_match values;
};

/* What one destination of a set wants. */
struct weir_plan_row {
    struct weir_route_destination options;
    struct weir_match matches[WEIR_ROUTE_FILTERS]; /* made of the options */
    struct weir_route_wish *wishes;                /* options.attribute_count */
};

/* A set of destinations, made ready: see plan.c. Never changes but for the cache of takers. */
struct weir_route_plan {
    uint64_t all;                          /* bits of its slots */
    uint64_t open;                         /* of those that may be live */
    uint64_t leaving;                      /* slots not open here that others may still be using */
    uint64_t filtered[WEIR_ROUTE_FILTERS]; /* of those that have such a filter */
    uint64_t wishing;                      /* of those that ask for attributes */
    uint64_t templates;                    /* of tenants */
    uint64_t tenants;                      /* slots of tenants, of which a request names its own */
    /* The slots that take a namespace, and WEIR_ROUTE_KNOWN once that is worked out; by namespace
     * id. NULL where nobody asks for namespaces. */
    _Atomic uint64_t *takers;
    void (*released)(void *argument);
    void *argument;
    _Alignas(64) _Atomic uint64_t refs;       /* the router's, and one for each request */
    _Alignas(64) struct weir_plan_row rows[]; /* [slot], up to the highest of its slots */
};

/*
 * One slot's row. What producers share, and what only its drainer writes, lie on different cache
 * lines. Each side has sums of its own that only grow (but for a reservation that is given back),
 * and what is queued is their difference: the drainer takes a run without waiting for a line that
 * the producers have, nor they for its.
 */
struct weir_route_row {
    uint64_t bit; /* its own in masks of destinations; set when it first is in a set */
    _Alignas(64) _Atomic size_t reserved; /* bytes, ever, less what was given back */
    _Alignas(64) _Atomic(struct weir_ring *) rings[WEIR_NAMESPACE_IDS]; /* NULL: none yet */
    /* The drainer's own: bytes ever taken, when it last took something, whose turn it is, whether
     * this turn's quantum was given, what each ring has left of its quanta, and how many points
     * were ever taken of it. */
    _Alignas(64) _Atomic size_t taken;
    _Atomic int64_t drained_ns;
    uint32_t turn;
    bool is_granted;
    uint64_t deficits[WEIR_NAMESPACE_IDS];
    _Atomic uint64_t points_taken[WEIR_NAMESPACE_IDS];
};

struct weir_router {
    void *plan;                  /* the present one; under RCU */
    struct weir_route_row *rows; /* WEIR_DESTINATIONS_MAX */
    void *rows_memory;           /* what they are aligned in */
    uint64_t used;               /* slots that have been in a set; configure's own */
    uint32_t ring_slots;
    struct weir_arena_budget queued;
    const struct weir_credit *credit; /* the same, to be looked at */
    struct weir_namespaces *namespaces;
    struct weir_regions *regions;
    struct weir_tenant_claimer claimer;
    _Atomic uint32_t plan_count;                   /* those not freed */
    _Atomic uint32_t plans[WEIR_DESTINATIONS_MAX]; /* of them: those that a slot is in */
    _Atomic uint64_t points[WEIR_NAMESPACE_IDS];   /* ever pushed into a namespace's rings */
};

#define WEIR_ROUTE_KNOWN (UINT64_C(1) << 63)
_Static_assert(WEIR_DESTINATIONS_MAX < 63, "a bit that is no destination's");

/* Ends the present plan's use by the router (plan.c): its last. */
void weir_route_plan_retire(struct weir_router *router, struct weir_route_plan *plan);

/* How many rows the queued budget is for: those open in the plan, and those that were and have not
 * drained. */
uint32_t weir_route_sharers(const struct weir_router *router, const struct weir_route_plan *plan);

/* What a row may have in its rings and count as one that keeps up: so little that all `sharers` of
 * the budget together pin no more than its last quarter with it, if an eighth of each arena is live
 * (weir_router_compact sees to that). */
static inline size_t weir_route_little(const struct weir_router *router, uint32_t sharers)
{
    return router->credit->limit / 32 / sharers;
}

/* What the budget pays for before its last quarter. */
static inline size_t weir_route_but_last_quarter(const struct weir_router *router)
{
    return router->credit->limit / 4 * 3;
}

/* Bytes reserved for or in the rings of a row. Any thread. */
static inline size_t weir_route_queued(const struct weir_route_row *row)
{
    /* acquire: pairs with the release in count_taken (drain.c). What was taken was reserved before,
     * so the sum that is read after it is not less; what is taken meanwhile counts as queued. */
    size_t taken = atomic_load_explicit(&row->taken, memory_order_acquire);
    /* relaxed: a sum, nothing is published with it */
    return atomic_load_explicit(&row->reserved, memory_order_relaxed) - taken;
}

/* Takes the lowest slot out of *mask. */
static inline uint32_t weir_route_next(uint64_t *mask)
{
    uint32_t slot = (uint32_t)__builtin_ctzll(*mask);
    *mask &= *mask - 1;
    return slot;
}

/* Reads a request's attributes from a copy: reading undoes escapes in place, and the header goes to
 * the spool as it is. WEIR_EFULL: the arena has no room. */
WEIR_MUST_USE enum weir_status weir_route_read_attributes(struct weir_arena *arena,
                                                          struct weir_bytes text,
                                                          struct weir_attributes *ret,
                                                          bool *ret_damaged);

/* Puts tenants in the place of their templates among the choice's targets. WEIR_EFULL. */
WEIR_MUST_USE enum weir_status weir_route_resolve(struct weir_router *router,
                                                  struct weir_arena *arena,
                                                  const struct weir_attributes *attributes,
                                                  struct weir_bytes key_name,
                                                  struct weir_route_choice *choice);

/* Sets the takers of each run, whose namespace_id is set, among the targets. */
void weir_route_decide(const struct weir_route_plan *plan, const struct weir_runs *runs,
                       uint64_t targets);

/* The first run that the row takes, of the chain that goes on with `run`; NULL when there is none.
 * Any thread that keeps the chain's arena. */
struct weir_run *weir_route_wanted(struct weir_route_row *row, struct weir_run *run);

#endif
