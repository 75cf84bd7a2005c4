/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ROUTE_H
#define WEIR_ROUTE_H

#include "weir/credit.h"
#include "weir/namespace.h"
#include "weir/point.h"
#include "weir/tenant.h"
#include "weir/wake.h"

/*
 * Which rings a run enters, and how they are drained.
 * tidy: allow header-functions -- one request's way is choose, reserve, publish or cancel, release;
 * the set that it goes by and the two gauges at the end are not worth modules of their own
 *
 *              namespace 0   namespace 1   ...   shared (namespaces past 1,024)
 *   dest. 0    [ring]        [ring]              [ring]      <- drainer 0, fair over its row
 *   dest. 1    [ring]        (excluded)          [ring]      <- drainer 1
 *
 * A request's runs with one namespace id are a chain, and a slot of a ring holds a chain. So a
 * request needs one slot in each ring, however many accounts or names it brings:
 *
 *   slot ──► run ─next─► run ─next─► run     one request, one namespace id; one destination may
 *                                            skip some of those that share the last ring
 *
 * A request reserves first: queued memory for its arena, a share for each destination, a credit in
 * every ring that any of its runs enters. All or nothing for each destination, nothing waits,
 * nothing is visible yet.
 * Then, once it is committed, it publishes; that cannot fail. A run in a ring holds one arena
 * reference with its bytes live. A run without points enters none.
 *
 *   I1  a destination's queued bytes = the bytes of the runs reserved for or in its rings
 *   I2  only the drainer of a destination takes from its row
 *   I3  a ring is made when its namespace first comes to the destination's slot, and lives as long
 *       as the router
 *
 * Destinations have slots, 0..61: one bit in every mask, one row of rings. Which slots are whose
 * may change while requests are under way (weir_router_configure): a request goes by the set that
 * it found at its beginning until it has been released, so what it took is what it gives back.
 *
 *   I4  a request sees one set from weir_router_hold or weir_router_choose to weir_router_release
 *   I5  a slot that weir_router_idle says yes of is in no request's set and has nothing in memory
 */
#define WEIR_DESTINATIONS_MAX 62 /* bits of `owed` in the spool; two of 64 have other meanings */
#define WEIR_TARGETS_ALL      UINT64_MAX

/* Patterns, NULL-terminated. Include: NULL takes all, an empty list nothing. Exclude wins. */
struct weir_route_globs {
    const char *const *include;
    const char *const *exclude;
};

/* What a common attribute must be: one of these patterns. Where the stream has no such attribute:
 * only if the list has the empty text. */
struct weir_route_attribute {
    const char *name;
    const char *const *values; /* NULL-terminated */
};

/* A point goes to a destination when everything that is said here about points fits. */
struct weir_route_destination {
    const char *name;
    const char *const *include; /* of namespaces; as weir_route_globs */
    const char *const *exclude;
    size_t share;                     /* queued bytes this destination may hold */
    struct weir_wake *wake;           /* rung when something was published for it; may be NULL */
    struct weir_route_globs accounts; /* of the points' own cloud.account.id and cloud.region */
    struct weir_route_globs regions;
    struct weir_route_globs streams; /* names of delivery streams; no name is the empty one */
    const struct weir_route_attribute *attributes;
    uint32_t attribute_count;
    bool is_disk_only; /* it may be wanted, and is never live: nobody takes from its row yet */
    /* A template of tenants: the same with is_disk_only, for what its tenants are denied. */
    const struct weir_tenant_options *tenants;
    /* One of its tenants: with the template's filters, and the same `tenants`. NULL: who it is will
     * be known when the first of its records is read back. */
    bool is_tenant;
    uint32_t template_slot;
    const struct weir_tenant *tenant;
};

/* A request has named a tenant that is in no slot. STARTING: it will be; the request is to come
 * again. LIMIT: there is no slot for it. Called by whoever chooses; must not block. */
enum weir_tenant_claim { WEIR_CLAIM_STARTING, WEIR_CLAIM_LIMIT };

struct weir_tenant_claimer {
    /* `has_slot`: it has one, in which nobody knew yet who it is; never LIMIT. */
    enum weir_tenant_claim (*claim)(void *argument, uint32_t template_slot,
                                    const struct weir_tenant *tenant, bool has_slot);
    void *argument;
};

/*
 * Who is there, as of now. The array is copied; strings, lists and wakes stay the caller's until
 * `released` is called: once, when the set has been replaced and the last request that went by it
 * is over, or the router is freed; by whichever thread came last, or within the call that replaced
 * it. It must not call the router, and should be short: an ingest loop may be the one.
 */
struct weir_route_set {
    const struct weir_route_destination *destinations; /* [slot]; only those of `slots` are read */
    uint64_t slots;                                    /* bits; 0..61, at least one */
    void (*released)(void *argument);                  /* NULL: it all outlives the router */
    void *argument;
};

/* A set of the slots 0 to count-1 whose strings outlive the router. More than there are slots: a
 * set that is refused. */
static inline struct weir_route_set
weir_route_set_of(const struct weir_route_destination *destinations, uint32_t count)
{
    uint64_t slots = count > WEIR_DESTINATIONS_MAX ? UINT64_MAX : (UINT64_C(1) << count) - 1;
    return (struct weir_route_set){.destinations = destinations, .slots = slots};
}

struct weir_router_options {
    struct weir_route_set set;  /* the first */
    uint32_t ring_slots;        /* power of two; requests a ring can hold */
    struct weir_credit *queued; /* what arenas are charged to while in rings and batches */
    struct weir_namespaces *namespaces;
    struct weir_regions *regions;       /* for copies of sparse arenas */
    struct weir_tenant_claimer claimer; /* where there are templates */
};

struct weir_router;

/* A router without rings. WEIR_EINVAL: counts or slots out of their bounds. WEIR_ENOMEM. The set is
 * not released on failure. */
WEIR_MUST_USE enum weir_status weir_router_new(const struct weir_router_options *options,
                                               struct weir_router **ret);

/* Frees rings and whatever runs are still in them, and releases the set. Every choice must have
 * been released (asserted) and no thread may be using it. NULL is nothing. */
void weir_router_free(struct weir_router *router);

/* Replaces the whole set: who is in it from now on, with which filters, share and bell. Requests
 * that are under way go on by the set that they found; what is in the rings of a slot that is not
 * in the new set stays there for its drainer. A slot may be given to another destination only when
 * weir_router_idle said yes of it. WEIR_EINVAL (slots out of bounds, or none), WEIR_ENOMEM: nothing
 * changed, and the new set is not released. One thread at a time; waits for read sections, so not
 * in one. */
WEIR_MUST_USE enum weir_status weir_router_configure(struct weir_router *router,
                                                     const struct weir_route_set *set);

/* Whether a slot is in no set that any request goes by, the present one included, and nothing is
 * reserved for it or in its rings. Stays true until a set with it is configured. What those
 * requests did happened before: who hears true may free what they used, and nobody commits for this
 * slot any more. Any thread. */
bool weir_router_idle(const struct weir_router *router, uint32_t slot);

/* What of a request goes where, and what of that has its place in memory. Valid as long as the
 * choice that it was made by. */
struct weir_reservation {
    const struct weir_route_plan *plan; /* the choice's */
    uint64_t wanted; /* bits of the destinations that want at least one of its points */
    uint64_t live;   /* of those: all that the destination wants has its credit in the rings */
    uint32_t points[WEIR_DESTINATIONS_MAX]; /* that each wants */
};

/* Why no destination gets a run: the filter that the last one fell out at, in this order. */
enum weir_unrouted {
    WEIR_ROUTED,
    WEIR_UNROUTED_STREAM,
    WEIR_UNROUTED_ATTRIBUTE,
    WEIR_UNROUTED_NAMESPACE,
    WEIR_UNROUTED_ACCOUNT,
    WEIR_UNROUTED_REGION,
    WEIR_UNROUTED_CHANGED, /* a destination wanted it once; now it does not, or is not there */
    WEIR_UNROUTED_REASONS
};

static inline const char *weir_route_unrouted_text(enum weir_unrouted reason)
{
    static const char *const texts[WEIR_UNROUTED_REASONS] = {
        "", "stream", "attribute", "namespace", "account", "region", "changed"};
    return texts[reason];
}

/* What is known of a request as a whole; views that are empty where a header was not there. */
struct weir_route_request {
    uint64_t targets;             /* destinations it may go to, or WEIR_TARGETS_ALL */
    struct weir_bytes source_arn; /* the delivery stream's */
    struct weir_bytes attributes; /* as the header has them: weir/attributes.h */
    struct weir_bytes key_name;   /* of the access key that it came with */
};

/* Why a template's data is not for any of its tenants; in the request's arena. */
struct weir_route_denial {
    const struct weir_route_denial *next;
    uint32_t slot;             /* the template's */
    const char *template_name; /* the set's: as long as the choice */
    const char *reason;        /* "tenant_forbidden", "tenant_limit" */
    struct weir_tenant_mistake mistake;
};

/* What a request goes by from here to its end. Zeroed, it is none. */
struct weir_route_choice {
    struct weir_route_plan *plan; /* the set, made ready; a reference */
    uint64_t targets;             /* destinations that take this stream with these attributes */
    enum weir_unrouted unrouted;  /* where that is none */
    bool is_damaged;              /* the attributes are none, and were taken for absent */
    bool is_starting;             /* a tenant that it names is on its way: to be refused for now */
    const struct weir_route_denial *denials; /* for each template that stays among the targets */
};

/* Which destinations a request as a whole may go to: streams and attributes are asked once for all
 * of its runs, and only where a destination asks. What *ret gives is for weir_router_reserve, and
 * must be released. The attributes are copied into the arena to be read. WEIR_EFULL: it has no
 * room; nothing is held. Any RCU-registered thread. */
WEIR_MUST_USE enum weir_status weir_router_choose(struct weir_router *router,
                                                  struct weir_arena *arena,
                                                  const struct weir_route_request *request,
                                                  struct weir_route_choice *ret);

/* What a record that was read back for a slot is, where tenants are concerned: it may GO, as of any
 * destination; it has to WAIT, until its tenant's slot knows who that is (which was claimed); or it
 * is DENIED: nobody may have it. */
enum weir_route_recall { WEIR_RECALL_GO, WEIR_RECALL_WAIT, WEIR_RECALL_DENIED };

struct weir_route_recalled {
    enum weir_route_recall what;
    struct weir_route_denial denial; /* DENIED */
};

/* Asks that of the one slot that the choice was held for. The attributes are copied into the arena.
 * WEIR_EFULL: it has no room. Any thread. */
WEIR_MUST_USE enum weir_status weir_router_recall(struct weir_router *router,
                                                  const struct weir_route_choice *choice,
                                                  struct weir_arena *arena,
                                                  const struct weir_route_request *request,
                                                  struct weir_route_recalled *ret);

/* A choice of what was chosen before: those of `targets` that are in the present set, with nothing
 * asked. To be released. Any RCU-registered thread. */
void weir_router_hold(struct weir_router *router, uint64_t targets, struct weir_route_choice *ret);

/* The request is over, or published and of no more interest: its set may go. Leaves targets and
 * reason to be read. What holds none is nothing. Any thread; not in a read section. */
void weir_router_release(struct weir_router *router, struct weir_route_choice *choice);

/* Decides which destinations each run goes to, by namespace, account and region, and sets its
 * takers. Sets each run's arena, namespace_id and chain, moves the arena's charge to the queued
 * budget, and takes shares and ring credits in the row of each of the targets that wants some of
 * it: all or nothing for a destination, which is then `live`. One without room (its share,
 * a ring, the queued budget or its last quarter, memory for a ring), or disk-only, is `wanted` and
 * not live, and nothing is held for it: the caller takes the request disk-only for it, or cancels.
 * Where none is live, or only such as had nothing queued, the arena's charge may have stayed where
 * it was. Runs of a name stand together, as weir/collect.h makes them: they are one slot of a ring.
 * O(runs) for each destination. Any RCU-registered thread. */
void weir_router_reserve(struct weir_router *router, struct weir_arena *arena,
                         struct weir_runs *runs, const struct weir_route_choice *choice,
                         struct weir_reservation *ret);

/* Gives a reservation back: the commit failed, or it was a repetition. Any RCU-registered
 * thread. */
void weir_router_cancel(struct weir_router *router, const struct weir_runs *runs,
                        const struct weir_reservation *reservation);

/* Pushes every chain into its rings of the live destinations, each run with a reference of its own
 * for each, and rings the drainers' bells; the caller's reference stays the caller's. The runs must
 * be those reserved, and are not written to any more. Cannot fail. Any RCU-registered thread with a
 * metrics slab. */
void weir_router_publish(struct weir_router *router, struct weir_runs *runs,
                         const struct weir_reservation *reservation);

/* The next run for destination `index`, or NULL when all its rings are empty. Deficit round robin
 * by bytes: a namespace with a hundred times the data gets no more than its turn while others have
 * something. The caller owns the run's arena reference (weir_arena_unref(run->arena, run->bytes)).
 * That destination's drainer only; O(namespaces known + runs skipped) at worst. */
struct weir_run *weir_router_take(struct weir_router *router, uint32_t index);

/* Destination `index` has been served: its drainer took something at the time `now_ns` (monotonic).
 * That drainer only. */
void weir_router_drained(struct weir_router *router, uint32_t index, int64_t now_ns);

/* Whether a request had better wait a moment: the queued budget is down to its last quarter, and
 * all those that are being drained have more than a little in their rings. So nobody waits for a
 * destination that is down, nor for a slow one as long as another keeps up. A hint. Any
 * RCU-registered thread. */
bool weir_router_is_crowded(struct weir_router *router, int64_t now_ns);

/* Looks through the rings of destination `index` for chains whose arena has become sparse
 * (weir_arena_is_sparse) and replaces each by a copy in an arena of its own size, so that a rare
 * point does not pin megabytes. A copy that the budget has no room for is left for later. Returns
 * the bytes of the runs copied. The drainer only; O(runs in the rings). */
size_t weir_router_compact(struct weir_router *router, uint32_t index);

/* The same for one run that was taken and waits outside of the rings: a copy of it, which is the
 * caller's in its place, or the run itself where that is not worth it or has no room. The drainer
 * only. */
struct weir_run *weir_router_compact_taken(struct weir_router *router, struct weir_run *run);

/* Bytes reserved for or in the rings of a destination; points now in the rings of a namespace, all
 * destinations. Never less than there is; more by what is taken while it is asked. Relaxed. */
size_t weir_router_queued_bytes(const struct weir_router *router, uint32_t index);
uint64_t weir_router_ring_points(const struct weir_router *router, uint32_t namespace_id);

#endif
