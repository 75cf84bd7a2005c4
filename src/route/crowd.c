/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the rings are so full that a request had better come a little later. */
#include "router_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include "weir/rcu.h"

/* A destination that has taken nothing for so long is down, or as good as that. */
#define DRAINING_NS (200 * WEIR_NS_PER_MS)

/* One that has next to nothing in its rings, and took something no longer ago than this, keeps up:
 * little comes for it. Longer than anybody waits, so that waiting does not make it look idle. */
#define KEEPS_UP_NS (2 * WEIR_NS_PER_S)

void weir_router_drained(struct weir_router *router, uint32_t index, int64_t now_ns)
{
    WEIR_ASSERT(index < WEIR_DESTINATIONS_MAX);
    /* relaxed: a hint; partner is is_crowded */
    atomic_store_explicit(&router->rows[index].drained_ns, now_ns, memory_order_relaxed);
}

static bool is_crowded(const struct weir_router *router, const struct weir_route_plan *plan,
                       int64_t now_ns)
{
    uint32_t sharers = weir_route_sharers(router, plan);
    bool is_any_crowded = false;
    for (uint64_t rest = plan->open; rest != 0;) {
        const struct weir_route_row *row = &router->rows[weir_route_next(&rest)];
        /* relaxed: a hint */
        int64_t drained_ns = atomic_load_explicit(&row->drained_ns, memory_order_relaxed);
        bool has_little = weir_route_queued(row) <= weir_route_little(router, sharers);
        int64_t recent_ns = has_little ? KEEPS_UP_NS : DRAINING_NS;
        if (drained_ns == 0 || now_ns - drained_ns > recent_ns) {
            continue;
        }
        if (has_little) {
            return false; /* it keeps up */
        }
        is_any_crowded = true;
    }
    return is_any_crowded;
}

bool weir_router_is_crowded(struct weir_router *router, int64_t now_ns)
{
    if (weir_credit_used(router->credit) <= weir_route_but_last_quarter(router)) {
        return false;
    }
    weir_rcu_read_lock();
    bool result = is_crowded(router, weir_rcu_load(&router->plan), now_ns);
    weir_rcu_read_unlock();
    return result;
}
