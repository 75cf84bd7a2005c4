/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ROUTE_ROUTER_INTERNAL_H
#define WEIR_ROUTE_ROUTER_INTERNAL_H

#include "weir/ring.h"
#include "weir/route.h"

#include <stdatomic.h>

/* Whether a destination wants a namespace: worked out from its globs once, then known. */
enum weir_route_decision { WEIR_ROUTE_UNKNOWN, WEIR_ROUTE_NO, WEIR_ROUTE_YES };

/*
 * One destination's row. What producers share, and what only its drainer touches, lie on different
 * cache lines.
 */
struct weir_route_row {
    struct weir_route_destination options;
    _Alignas(64) _Atomic size_t queued; /* bytes reserved for or in the rings */
    _Alignas(64) _Atomic(struct weir_ring *) rings[WEIR_NAMESPACE_IDS]; /* NULL: none yet */
    _Atomic uint8_t decisions[WEIR_NAMESPACE_IDS];                      /* weir_route_decision */
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
    _Atomic uint64_t points[WEIR_NAMESPACE_IDS]; /* in all rings of a namespace */
};

/* The first run that the row takes, of the chain that goes on with `run`; NULL when there is none.
 * Any thread that keeps the chain's arena. */
struct weir_run *weir_route_wanted(struct weir_route_row *row, struct weir_run *run);

#endif
