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

/*
 * One destination's row. What producers share, and what only its drainer touches, lie on different
 * cache lines.
 */
struct weir_route_row {
    struct weir_route_destination options;
    struct weir_match matches[WEIR_ROUTE_FILTERS]; /* made of the options */
    struct weir_route_wish *wishes;                /* options.attribute_count */
    uint64_t bit;                                  /* its own in masks of destinations */
    _Alignas(64) _Atomic size_t queued;            /* bytes reserved for or in the rings */
    _Alignas(64) _Atomic(struct weir_ring *) rings[WEIR_NAMESPACE_IDS]; /* NULL: none yet */
    /* The drainer's own: whose turn it is, whether this turn's quantum was given, and what each
     * ring has left of its quanta. */
    _Alignas(64) uint32_t turn;
    bool is_granted;
    uint64_t deficits[WEIR_NAMESPACE_IDS];
};

struct weir_router {
    struct weir_route_row *rows;
    uint32_t row_count;
    uint32_t ring_slots;
    struct weir_arena_budget queued;
    const struct weir_credit *credit; /* the same, to be looked at */
    struct weir_namespaces *namespaces;
    struct weir_regions *regions;
    uint64_t all;                          /* bits of all rows */
    uint64_t filtered[WEIR_ROUTE_FILTERS]; /* of those that have such a filter */
    uint64_t wishing;                      /* of those that ask for attributes */
    /* The rows that take a namespace, and WEIR_ROUTE_KNOWN once that is worked out. */
    _Atomic uint64_t takers[WEIR_NAMESPACE_IDS];
    _Atomic uint64_t points[WEIR_NAMESPACE_IDS]; /* in all rings of a namespace */
};

#define WEIR_ROUTE_KNOWN (UINT64_C(1) << 63)
_Static_assert(WEIR_DESTINATIONS_MAX < 63, "a bit that is no destination's");

/* Makes a row's matchers of its options, and gives them back (decide.c). WEIR_ENOMEM: what was made
 * is in the row. */
WEIR_MUST_USE enum weir_status weir_route_filters_init(struct weir_router *router,
                                                       struct weir_route_row *row);
void weir_route_filters_done(struct weir_route_row *row);

/* Sets the takers of each run, whose namespace_id is set, among the targets. */
void weir_route_decide(struct weir_router *router, const struct weir_runs *runs, uint64_t targets);

/* The first run that the row takes, of the chain that goes on with `run`; NULL when there is none.
 * Any thread that keeps the chain's arena. */
struct weir_run *weir_route_wanted(struct weir_route_row *row, struct weir_run *run);

#endif
