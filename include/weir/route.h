/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ROUTE_H
#define WEIR_ROUTE_H

#include "weir/credit.h"
#include "weir/namespace.h"
#include "weir/point.h"
#include "weir/wake.h"

/*
 * Which rings a run enters, and how they are drained.
 *
 *              namespace 0   namespace 1   ...   shared (namespaces past 1,024)
 *   dest. 0    [ring]        [ring]              [ring]      ◄─ drainer 0, deficit round robin over its row
 *   dest. 1    [ring]        (excluded)          [ring]      ◄─ drainer 1
 *
 * A request reserves first: queued memory for its arena, a share for each destination, a credit in every ring for every run
 * that goes there. All or nothing, nothing waits, nothing is visible yet. Then, once it is committed, it publishes; that
 * cannot fail. A run in a ring holds one arena reference with its bytes live.
 *
 *   I1  a destination's queued bytes = the bytes of the runs reserved for or in its rings
 *   I2  only the drainer of a destination takes from its row
 *   I3  rings are made when a namespace first comes to a destination, and live as long as the router
 */
#define WEIR_DESTINATIONS_MAX 64

struct weir_route_destination {
    const char *name;
    const char *const *include; /* globs, NULL-terminated; an empty list takes nothing, NULL takes all */
    const char *const *exclude; /* globs, NULL-terminated or NULL; wins over include */
    size_t share;               /* queued bytes this destination may hold */
    struct weir_wake *wake;     /* rung when something was published for it */
};

struct weir_router_options {
    const struct weir_route_destination *destinations; /* copied; strings and wakes stay the caller's */
    uint32_t destination_count;                        /* 1..WEIR_DESTINATIONS_MAX */
    uint32_t ring_slots;                               /* power of two; runs a ring can hold */
    struct weir_credit *queued;                        /* what arenas are charged to while in rings and batches */
    struct weir_namespaces *namespaces;
    struct weir_regions *regions; /* for copies of sparse arenas */
};

struct weir_router;

/* WEIR_ENOMEM, WEIR_EINVAL. */
WEIR_MUST_USE enum weir_status weir_router_new(const struct weir_router_options *options,
                                               struct weir_router **ret);

/* Frees rings and whatever runs are still in them. No thread may be using it. */
void weir_router_free(struct weir_router *router);

/* Sets each run's namespace_id, moves the arena's charge to the queued budget, and takes shares and ring credits for all runs.
 * WEIR_EFULL: nothing is held but perhaps the arena's charge (which goes when the arena does). Any RCU-registered thread. */
WEIR_MUST_USE enum weir_status weir_router_reserve(struct weir_router *router, struct weir_arena *arena,
                                                   struct weir_runs *runs);

/* Gives a reservation back: the commit failed. */
void weir_router_cancel(struct weir_router *router, const struct weir_runs *runs);

/* Pushes every run into its rings and rings the drainers' bells. The runs must be those reserved. Cannot fail. */
void weir_router_publish(struct weir_router *router, struct weir_runs *runs);

/* The next run for destination `index`, or NULL when all its rings are empty. Deficit round robin by bytes: a namespace with a
 * hundred times the data gets no more than its turn while others have something. The caller owns the run's arena
 * reference. That destination's drainer only. */
struct weir_run *weir_router_take(struct weir_router *router, uint32_t index);

/* Looks through the rings of destination `index` for runs whose arena has become sparse (weir_arena_is_sparse) and replaces each
 * by a copy in an arena of its own size, so that a rare point does not pin megabytes. Returns the bytes copied. The drainer only. */
size_t weir_router_compact(struct weir_router *router, uint32_t index);

/* Bytes reserved for or in the rings of a destination; points now in the rings of a namespace, all destinations. Relaxed. */
size_t weir_router_queued_bytes(const struct weir_router *router, uint32_t index);
uint64_t weir_router_ring_points(const struct weir_router *router, uint32_t namespace_id);

#endif
