/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets what: see weir/route.h and docs/routing.md.
 *
 *   once a request    stream ─► attributes ─► tenants ──► weir_route_choice.targets
 *   once a namespace  namespace ─► plan->takers[id]    ┐
 *   once a resource   account, region                  ├► run->takers
 *                     targets                          ┘
 *
 * All decisions are masks, one bit a destination, that are narrowed filter by filter. The filter
 * that leaves nobody is the reason that is counted.
 *
 *   I1  a destination without a filter is in no mask of plan->filtered, and is not asked; where
 *       nobody has one the cost is a load for each run
 *   I2  a decision depends on the request's plan (plan.c) and on the request's own data alone. A
 *       record that is read back from the spool is owed to whom it was chosen for; what is in its
 *       points is decided again, and comes out as it was unless the filters have changed since
 *   I3  a namespace's decision, once known, never changes within a plan: names of ids are for ever,
 *       and a plan's filters do not change. With other filters comes another plan, which knows
 *       nothing yet
 *
 * Attributes are read only where a destination asks for one. What is not what Firehose sends is
 * taken for absent and not refused: a resend would bring the same, for as long as Firehose tries.
 *
 * Threads: any. Two that work out a namespace at once get the same and store the same.
 */
#include "router_internal.h"
#include "weir/arn.h"
#include "weir/attributes.h"
#include "weir/mem.h"

/* Those of `rows` whose filter lets the text through. */
static uint64_t narrow(const struct weir_route_plan *plan, enum weir_route_filter filter,
                       struct weir_bytes text, uint64_t rows)
{
    uint64_t asked = rows & plan->filtered[filter];
    while (asked != 0) {
        uint32_t slot = weir_route_next(&asked);
        if (!weir_match_takes(&plan->rows[slot].matches[filter], text)) {
            rows &= ~(UINT64_C(1) << slot);
        }
    }
    return rows;
}

/* -- a request ------------------------------------------------------------------------------ */

/* The name in arn:aws:firehose:...:deliverystream/<name>; empty where that is not what it is. */
static struct weir_bytes stream_name(struct weir_bytes source_arn)
{
    static const struct weir_bytes kind = WEIR_BYTES_INIT("deliverystream/");
    struct weir_arn arn;
    if (weir_arn_parse(source_arn, &arn) != WEIR_OK ||
        !weir_bytes_starts_with(arn.resource, kind)) {
        return (struct weir_bytes){NULL, 0};
    }
    return weir_bytes_from(arn.resource, kind.size);
}

static bool fits_wish(const struct weir_route_wish *wish, const struct weir_attributes *attributes)
{
    const struct weir_bytes *value = weir_attributes_find(attributes, wish->name);
    return value == NULL ? weir_match_names(&wish->values, (struct weir_bytes){NULL, 0})
                         : weir_match_takes(&wish->values, *value);
}

/* Those of `rows` whose every wish is fulfilled. */
static uint64_t narrow_by_wishes(const struct weir_route_plan *plan,
                                 const struct weir_attributes *attributes, uint64_t rows)
{
    uint64_t asked = rows & plan->wishing;
    while (asked != 0) {
        uint32_t slot = weir_route_next(&asked);
        const struct weir_plan_row *row = &plan->rows[slot];
        for (uint32_t i = 0; i < row->options.attribute_count; i++) {
            if (!fits_wish(&row->wishes[i], attributes)) {
                rows &= ~(UINT64_C(1) << slot);
            }
        }
    }
    return rows;
}

enum weir_status weir_route_read_attributes(struct weir_arena *arena, struct weir_bytes text,
                                            struct weir_attributes *ret, bool *ret_damaged)
{
    if (text.size == 0) {
        return WEIR_OK;
    }
    uint8_t *copy = weir_arena_alloc(arena, text.size, 1);
    if (copy == NULL) {
        return WEIR_EFULL;
    }
    memcpy(copy, text.data, text.size);
    *ret_damaged = weir_attributes_read(copy, text.size, ret) != WEIR_OK;
    return WEIR_OK;
}

/* Narrows the choice's targets by what is known of the request as a whole. */
static enum weir_status ask(struct weir_router *router, struct weir_arena *arena,
                            const struct weir_route_request *request,
                            struct weir_route_choice *choice)
{
    const struct weir_route_plan *plan = choice->plan;
    choice->targets &= ~plan->tenants; /* until one is named */
    if ((choice->targets & plan->filtered[WEIR_ROUTE_STREAM]) != 0) {
        struct weir_bytes name = stream_name(request->source_arn);
        choice->targets = narrow(plan, WEIR_ROUTE_STREAM, name, choice->targets);
        choice->unrouted = choice->targets == 0 ? WEIR_UNROUTED_STREAM : WEIR_ROUTED;
    }
    if ((choice->targets & (plan->wishing | plan->templates)) != 0) {
        struct weir_attributes attributes;
        attributes.count = 0;
        WEIR_TRY(weir_route_read_attributes(arena, request->attributes, &attributes,
                                            &choice->is_damaged));
        choice->targets = narrow_by_wishes(plan, &attributes, choice->targets);
        choice->unrouted = choice->targets == 0 ? WEIR_UNROUTED_ATTRIBUTE : WEIR_ROUTED;
        WEIR_TRY(weir_route_resolve(router, arena, &attributes, request->key_name, choice));
    }
    return WEIR_OK;
}

enum weir_status weir_router_choose(struct weir_router *router, struct weir_arena *arena,
                                    const struct weir_route_request *request,
                                    struct weir_route_choice *ret)
{
    struct weir_route_choice choice;
    weir_router_hold(router, request->targets, &choice);
    enum weir_status status = ask(router, arena, request, &choice);
    if (status != WEIR_OK) {
        weir_router_release(router, &choice);
        return status;
    }
    *ret = choice;
    return WEIR_OK;
}

/* -- its runs ------------------------------------------------------------------------------- */

/* The rows that take a run's namespace. */
static uint64_t by_namespace(const struct weir_route_plan *plan, const struct weir_run *run)
{
    uint32_t id = run->namespace_id;
    if (plan->filtered[WEIR_ROUTE_NAMESPACE] == 0) {
        return plan->all;
    }
    if (id == WEIR_NAMESPACE_OVERFLOW) {
        return narrow(plan, WEIR_ROUTE_NAMESPACE, run->name, plan->all);
    }
    /* relaxed: a decision is complete in itself; partner: the store below, on any thread */
    uint64_t takers = atomic_load_explicit(&plan->takers[id], memory_order_relaxed);
    if (takers == 0) {
        takers = narrow(plan, WEIR_ROUTE_NAMESPACE, run->name, plan->all) | WEIR_ROUTE_KNOWN;
        atomic_store_explicit(&plan->takers[id], takers, memory_order_relaxed);
    }
    return takers;
}

/* What the last run's resource came to: runs of one resource often follow each other. */
struct by_resource {
    const struct weir_resource *resource;
    uint64_t accounts, regions; /* rows that take its account, and its region */
};

static void look_at(struct by_resource *by, const struct weir_route_plan *plan,
                    const struct weir_resource *resource)
{
    if (by->resource != resource) {
        by->resource = resource;
        by->accounts = narrow(plan, WEIR_ROUTE_ACCOUNT, resource->account, plan->all);
        by->regions = narrow(plan, WEIR_ROUTE_REGION, resource->region, plan->all);
    }
}

void weir_route_decide(const struct weir_route_plan *plan, const struct weir_runs *runs,
                       uint64_t targets)
{
    struct by_resource by = {NULL, plan->all, plan->all};
    uint64_t filtered = plan->filtered[WEIR_ROUTE_ACCOUNT] | plan->filtered[WEIR_ROUTE_REGION];
    for (uint32_t i = 0; i < runs->count; i++) {
        struct weir_run *run = &runs->runs[i];
        run->takers = 0;
        run->unrouted = WEIR_ROUTED;
        if (run->count == 0) {
            continue;
        }
        if (filtered != 0) {
            look_at(&by, plan, run->resource);
        }
        uint64_t named = targets & plan->all & by_namespace(plan, run);
        run->takers = named & by.accounts & by.regions;
        if (run->takers != 0) {
            continue;
        }
        if (named == 0) {
            run->unrouted = WEIR_UNROUTED_NAMESPACE;
        } else {
            run->unrouted =
                (named & by.accounts) == 0 ? WEIR_UNROUTED_ACCOUNT : WEIR_UNROUTED_REGION;
        }
    }
}
