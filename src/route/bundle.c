/* SPDX-License-Identifier: Apache-2.0 */
#include "router_internal.h"
#include "weir/panic.h"

/* Sums up what the row takes, chain by chain; runs without points have no chain. */
static void fill(struct weir_route_bundle *bundle, const struct weir_runs *runs, uint64_t bit)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        struct weir_run *run = &runs->runs[i];
        if ((run->takers & bit) == 0) {
            continue;
        }
        struct weir_route_chain *chain = &bundle->chains[run->chain];
        chain->run = chain->run == NULL ? run : chain->run;
        chain->points += run->count;
        chain->bytes += run->bytes;
        bundle->bytes += run->bytes;
        bundle->left++;
    }
}

struct weir_route_bundle *weir_route_bundle_make(struct weir_arena *arena,
                                                 const struct weir_runs *runs, uint32_t chains,
                                                 uint64_t bit)
{
    size_t head = sizeof(struct weir_route_bundle);
    size_t size = head + (size_t)chains * sizeof(struct weir_route_chain);
    struct weir_route_bundle *bundle =
        weir_arena_alloc(arena, size, _Alignof(struct weir_route_bundle));
    if (bundle == NULL) {
        return NULL;
    }
    memset(bundle, 0, size);
    bundle->runs = runs->runs;
    fill(bundle, runs, bit);
    for (uint32_t i = 0; i < chains; i++) {
        if (bundle->chains[i].run != NULL) {
            bundle->chains[bundle->chain_count++] = bundle->chains[i];
        }
    }
    weir_arena_trim(arena, bundle, size,
                    head + bundle->chain_count * sizeof(struct weir_route_chain));
    return bundle;
}

static void give_credits(struct weir_route_row *row, const struct weir_route_bundle *bundle,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        /* relaxed: a counter that bounds and orders nothing */
        uint32_t id = bundle->chains[i].run->namespace_id;
        uint32_t used = atomic_fetch_sub_explicit(&row->used[id], 1, memory_order_relaxed);
        WEIR_ASSERT(used > 0);
    }
}

enum weir_status weir_route_bundle_reserve(struct weir_route_row *row,
                                           const struct weir_route_bundle *bundle, uint32_t slots)
{
    for (uint32_t i = 0; i < bundle->chain_count; i++) {
        _Atomic uint32_t *place = &row->used[bundle->chains[i].run->namespace_id];
        /* relaxed, all: as above */
        uint32_t used = atomic_load_explicit(place, memory_order_relaxed);
        do {
            if (used >= slots) {
                give_credits(row, bundle, i);
                return WEIR_EFULL;
            }
        } while (!atomic_compare_exchange_weak_explicit(
            place, &used, used + 1, memory_order_relaxed, memory_order_relaxed));
    }
    return WEIR_OK;
}

void weir_route_bundle_cancel(struct weir_route_row *row, const struct weir_route_bundle *bundle)
{
    give_credits(row, bundle, bundle->chain_count);
}

void weir_route_bundle_push(struct weir_route_row *row, struct weir_route_bundle *bundle)
{
    bundle->next = atomic_load_explicit(&row->arrived, memory_order_relaxed);
    /* release: pairs with the acquire in collect (drain.c), so that the drainer sees all of the
     * request; the list's earlier bundles come with it, as changes to one word do */
    while (!atomic_compare_exchange_weak_explicit(&row->arrived, &bundle->next, bundle,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}
