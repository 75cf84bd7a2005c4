/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans: a set of destinations, made ready, and how one takes another's place while requests are
 * under way. See weir/route.h; docs/design/0008-changing-destinations.md says why it is so.
 *
 *   router->plan ──► plan ─ rows[slot]: options, matchers, wishes      immutable
 *        RCU          │     takers[namespace]: a cache of decisions    only ever filled in
 *                     └ refs: the router's, and one for each request
 *
 *   configure   make the new one ─► publish ─► wait for read sections ─► drop the router's own
 *   hold        read section: load, count up
 *   release     count down; the last one frees, and tells the set's owner
 *
 * Rows (rings, queued bytes, the drainer's state) are not a plan's: they are the router's, one for
 * each slot, and stay where they are. A plan says who may enter them.
 *
 *   I1  refs never leaves 0 again: the router's own is dropped only when every read section that
 *       could have loaded the plan is over, and such a section has counted up before it ended
 *   I2  router->plans[slot] = the plans with that slot that are not freed
 *   I3  a slot's row is entered only by requests whose plan has it open; so where plans[slot] is 0,
 *       its queued bytes only fall, and once 0 they stay 0
 *   I4  `released` is called once for each plan that was published, after everything else that is
 *       done with it, and outside of read sections
 *
 * Idle (weir_router_idle) asks for I2 first and for the bytes afterwards, both with acquire. The
 * other order would be wrong: between the two a request might reserve, publish and release.
 * The count's release sequence has every request's release before it, so all that those requests
 * added to the bytes is seen; and what the drainer takes off them releases in its turn.
 *
 * Threads: configure one at a time; it may wait milliseconds. All else any, without waiting.
 * Deliberately no list of old plans, and none to look at: who configured them gave them names, and
 * is told of their ends.
 */
#include "router_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/rcu.h"

#define ALL_SLOTS ((UINT64_C(1) << WEIR_DESTINATIONS_MAX) - 1)

static enum weir_status make_wishes(struct weir_plan_row *row)
{
    uint32_t count = row->options.attribute_count;
    if (count == 0) {
        return WEIR_OK;
    }
    row->wishes = weir_mem_zalloc(count, sizeof(*row->wishes));
    if (row->wishes == NULL) {
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_route_attribute *attribute = &row->options.attributes[i];
        row->wishes[i].name = weir_bytes_str(attribute->name);
        WEIR_TRY(weir_match_init(&row->wishes[i].values,
                                 &(struct weir_route_globs){.include = attribute->values}));
    }
    return WEIR_OK;
}

/* What was made before a failure is in the row. */
static enum weir_status make_row(struct weir_route_plan *plan, uint32_t slot,
                                 const struct weir_route_destination *options)
{
    struct weir_plan_row *row = &plan->rows[slot];
    uint64_t bit = UINT64_C(1) << slot;
    row->options = *options;
    const struct weir_route_globs globs[WEIR_ROUTE_FILTERS] = {
        [WEIR_ROUTE_NAMESPACE] = {options->include, options->exclude},
        [WEIR_ROUTE_ACCOUNT] = options->accounts,
        [WEIR_ROUTE_REGION] = options->regions,
        [WEIR_ROUTE_STREAM] = options->streams,
    };
    for (int i = 0; i < WEIR_ROUTE_FILTERS; i++) {
        WEIR_TRY(weir_match_init(&row->matches[i], &globs[i]));
        plan->filtered[i] |= weir_match_is_filter(&row->matches[i]) ? bit : 0;
    }
    plan->wishing |= options->attribute_count > 0 ? bit : 0;
    plan->open |= options->is_disk_only ? 0 : bit;
    plan->tenants |= options->is_tenant ? bit : 0;
    plan->templates |= options->tenants != NULL && !options->is_tenant ? bit : 0;
    return make_wishes(row);
}

static enum weir_status make_rows(struct weir_route_plan *plan, const struct weir_route_set *set)
{
    uint64_t slots = set->slots;
    while (slots != 0) {
        uint32_t slot = weir_route_next(&slots);
        WEIR_TRY(make_row(plan, slot, &set->destinations[slot]));
    }
    if (plan->filtered[WEIR_ROUTE_NAMESPACE] != 0) {
        plan->takers = weir_mem_zalloc(WEIR_NAMESPACE_IDS, sizeof(*plan->takers));
        return plan->takers == NULL ? WEIR_ENOMEM : WEIR_OK;
    }
    return WEIR_OK;
}

static void done_row(struct weir_plan_row *row)
{
    for (int i = 0; i < WEIR_ROUTE_FILTERS; i++) {
        weir_match_done(&row->matches[i]);
    }
    for (uint32_t i = 0; row->wishes != NULL && i < row->options.attribute_count; i++) {
        weir_match_done(&row->wishes[i].values);
    }
    weir_mem_free(row->wishes);
}

static void free_plan(struct weir_route_plan *plan)
{
    uint64_t slots = plan->all;
    while (slots != 0) {
        done_row(&plan->rows[weir_route_next(&slots)]);
    }
    weir_mem_free(plan->takers);
    weir_mem_free(plan);
}

/* A plan of the set, with the router's reference. WEIR_ENOMEM. */
static enum weir_status make_plan(const struct weir_route_set *set, struct weir_route_plan **ret)
{
    uint32_t row_count = 64 - (uint32_t)__builtin_clzll(set->slots);
    struct weir_route_plan *plan;
    size_t size = sizeof(*plan) + row_count * sizeof(plan->rows[0]);
    plan = weir_mem_aligned(_Alignof(struct weir_route_plan), size);
    if (plan == NULL) {
        return WEIR_ENOMEM;
    }
    memset(plan, 0, size);
    plan->all = set->slots;
    plan->released = set->released;
    plan->argument = set->argument;
    atomic_init(&plan->refs, 1);
    enum weir_status status = make_rows(plan, set);
    if (status != WEIR_OK) {
        free_plan(plan);
        return status;
    }
    *ret = plan;
    return WEIR_OK;
}

/* Enters a plan in the counts of its slots, and gives slots that are new their bits. */
static void count_in(struct weir_router *router, const struct weir_route_plan *plan)
{
    uint64_t slots = plan->all;
    /* relaxed, both: published with the plan; who counts down has it from there */
    atomic_fetch_add_explicit(&router->plan_count, 1, memory_order_relaxed);
    while (slots != 0) {
        uint32_t slot = weir_route_next(&slots);
        atomic_fetch_add_explicit(&router->plans[slot], 1, memory_order_relaxed);
        if ((router->used >> slot & 1) == 0) { /* nobody looks at a row that was in no set */
            router->rows[slot].bit = UINT64_C(1) << slot;
        }
    }
    router->used |= plan->all;
}

/* Slots that are not open in the plan and may hold something, now or by a request under way. */
static uint64_t find_leaving(const struct weir_router *router, const struct weir_route_plan *plan)
{
    uint64_t leaving = 0;
    uint64_t slots = router->used & ~plan->open;
    while (slots != 0) {
        uint32_t slot = weir_route_next(&slots);
        leaving |= weir_router_idle(router, slot) ? 0 : UINT64_C(1) << slot;
    }
    return leaving;
}

enum weir_status weir_router_configure(struct weir_router *router, const struct weir_route_set *set)
{
    struct weir_route_plan *plan;
    if (set->slots == 0 || (set->slots & ~ALL_SLOTS) != 0) {
        return WEIR_EINVAL;
    }
    WEIR_TRY(make_plan(set, &plan));
    plan->leaving = find_leaving(router, plan);
    count_in(router, plan);
    struct weir_route_plan *old = weir_rcu_load(&router->plan); /* ours: nobody else writes it */
    weir_rcu_publish(&router->plan, plan);
    if (old != NULL) {
        weir_rcu_synchronize();
        weir_route_plan_retire(router, old);
    }
    return WEIR_OK;
}

/* The last reference is gone: nobody can find the plan any more. */
static void end(struct weir_router *router, struct weir_route_plan *plan)
{
    void (*released)(void *argument) = plan->released;
    void *argument = plan->argument;
    uint64_t slots = plan->all;
    free_plan(plan);
    while (slots != 0) {
        /* release: pairs with the acquire in weir_router_idle */
        uint32_t slot = weir_route_next(&slots);
        uint32_t count = atomic_fetch_sub_explicit(&router->plans[slot], 1, memory_order_release);
        WEIR_ASSERT(count > 0);
    }
    /* release: pairs with the acquire in weir_router_free, the last that looks */
    atomic_fetch_sub_explicit(&router->plan_count, 1, memory_order_release);
    if (released != NULL) {
        released(argument);
    }
}

void weir_route_plan_retire(struct weir_router *router, struct weir_route_plan *plan)
{
    /* release: what was done by this plan comes before its end; acquire: so for all the others,
     * where this is its end. All partners are here. */
    uint64_t refs = atomic_fetch_sub_explicit(&plan->refs, 1, memory_order_acq_rel);
    WEIR_ASSERT(refs > 0);
    if (refs == 1) {
        end(router, plan);
    }
}

void weir_router_hold(struct weir_router *router, uint64_t targets, struct weir_route_choice *ret)
{
    weir_rcu_read_lock();
    struct weir_route_plan *plan = weir_rcu_load(&router->plan);
    /* relaxed: the router's reference cannot go before the read section has ended (I1) */
    atomic_fetch_add_explicit(&plan->refs, 1, memory_order_relaxed);
    weir_rcu_read_unlock();
    targets &= plan->all;
    *ret = (struct weir_route_choice){
        .plan = plan,
        .targets = targets,
        .unrouted = targets == 0 ? WEIR_UNROUTED_CHANGED : WEIR_ROUTED,
    };
}

void weir_router_release(struct weir_router *router, struct weir_route_choice *choice)
{
    struct weir_route_plan *plan = choice->plan;
    choice->plan = NULL;
    if (plan != NULL) {
        weir_route_plan_retire(router, plan);
    }
}

bool weir_router_idle(const struct weir_router *router, uint32_t slot)
{
    WEIR_ASSERT(slot < WEIR_DESTINATIONS_MAX);
    /* acquire: pairs with the release in end(); first, and then the bytes */
    if (atomic_load_explicit(&router->plans[slot], memory_order_acquire) != 0) {
        return false;
    }
    return weir_route_queued(&router->rows[slot]) == 0;
}
