/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of equal objects: a row of atomic slots, with a hint where the last change was.
 *
 *   slots [ 0 | obj | obj | obj | 0 | 0 | 0 ]      idle = 3
 *                           ^ hint
 *
 *   I1  a slot holds an idle object or NULL; an object is in one slot or with one user
 *   I2  idle >= objects in slots at any moment: it is raised before a slot is filled and lowered
 *       after one is emptied
 *   I3  taken = objects out with users
 *
 * Take looks from the hint downwards and exchanges a non-NULL slot with NULL; give looks from the
 * hint upwards and swaps NULL for its object. Used by one thread this is a stack, O(1) and warm in
 * the cache; with several threads the hint is only a place to begin, and a search is at worst the
 * length of the row. A list with a head pointer would be shorter to search but has the ABA problem.
 *
 * Memory order: the swap that fills a slot is a release, the exchange that empties it an acquire,
 * so the taker sees the object as the giver left it. Hint and counters order nothing and are
 * relaxed.
 *
 * When the row is full an object is freed; when it is empty one is allocated. Idle objects are
 * poisoned in AddressSanitizer builds.
 */
#include "weir/pool.h"
#include "poison_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdatomic.h>
#include <stdbool.h>

enum { IDLE_MAX = 65536 };

struct weir_pool {
    size_t size;
    void (*done)(void *);
    uint32_t slot_count;
    _Atomic uint32_t hint;
    _Atomic uint32_t idle;
    _Atomic uint32_t taken;
    _Atomic uint32_t taken_max;
    _Atomic(void *) slots[];
};

enum weir_status weir_pool_new(size_t size, uint32_t idle_max, void (*done)(void *),
                               struct weir_pool **ret)
{
    if (size == 0 || idle_max == 0 || idle_max > IDLE_MAX) {
        return WEIR_EINVAL;
    }
    struct weir_pool *pool =
        weir_mem_zalloc(1, sizeof *pool + (size_t)idle_max * sizeof(_Atomic(void *)));
    if (pool == NULL) {
        return WEIR_ENOMEM;
    }
    pool->size = size;
    pool->done = done;
    pool->slot_count = idle_max;
    *ret = pool;
    return WEIR_OK;
}

static void free_object(struct weir_pool *pool, void *object)
{
    if (pool->done != NULL) {
        pool->done(object);
    }
    weir_mem_free(object);
}

void weir_pool_free(struct weir_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    WEIR_ASSERT(weir_pool_taken(pool) == 0);
    for (uint32_t i = 0; i < pool->slot_count; i++) {
        /* acquire: pairs with the release in put_idle */
        void *object = atomic_load_explicit(&pool->slots[i], memory_order_acquire);
        if (object != NULL) {
            weir_unpoison(object, pool->size);
            free_object(pool, object);
        }
    }
    weir_mem_free(pool);
}

static void count_taken(struct weir_pool *pool)
{
    /* Statistics, all relaxed: nothing is ordered by them. */
    uint32_t taken = atomic_fetch_add_explicit(&pool->taken, 1, memory_order_relaxed) + 1;
    uint32_t most = atomic_load_explicit(&pool->taken_max, memory_order_relaxed);
    while (taken > most &&
           !atomic_compare_exchange_weak_explicit(&pool->taken_max, &most, taken,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void *take_idle(struct weir_pool *pool)
{
    uint32_t at = atomic_load_explicit(&pool->hint, memory_order_relaxed); /* a hint */
    for (uint32_t i = 0; i < pool->slot_count; i++) {
        _Atomic(void *) *slot = &pool->slots[at];
        if (atomic_load_explicit(slot, memory_order_relaxed) != NULL) { /* only worth a try */
            /* acquire: pairs with the release in put_idle */
            void *object = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
            if (object != NULL) {
                atomic_store_explicit(&pool->hint, at, memory_order_relaxed);
                atomic_fetch_sub_explicit(&pool->idle, 1, memory_order_relaxed);
                return object;
            }
        }
        at = at == 0 ? pool->slot_count - 1 : at - 1;
    }
    return NULL;
}

void *weir_pool_take(struct weir_pool *pool)
{
    void *object = NULL;
    if (atomic_load_explicit(&pool->idle, memory_order_relaxed) > 0) { /* spares the search */
        object = take_idle(pool);
    }
    if (object != NULL) {
        weir_unpoison(object, pool->size);
    } else {
        object = weir_mem_zalloc(1, pool->size);
    }
    if (object != NULL) {
        count_taken(pool);
    }
    return object;
}

static bool put_idle(struct weir_pool *pool, void *object)
{
    uint32_t at = atomic_load_explicit(&pool->hint, memory_order_relaxed); /* a hint */
    for (uint32_t i = 0; i < pool->slot_count; i++) {
        void *empty = NULL;
        /* release: pairs with the acquire in take_idle; a failed swap learns nothing */
        if (atomic_load_explicit(&pool->slots[at], memory_order_relaxed) == NULL &&
            atomic_compare_exchange_strong_explicit(&pool->slots[at], &empty, object,
                                                    memory_order_release, memory_order_relaxed)) {
            atomic_store_explicit(&pool->hint, at, memory_order_relaxed);
            return true;
        }
        at = at + 1 == pool->slot_count ? 0 : at + 1;
    }
    return false;
}

void weir_pool_give(struct weir_pool *pool, void *object)
{
    if (object == NULL) {
        return;
    }
    uint32_t taken = atomic_fetch_sub_explicit(&pool->taken, 1, memory_order_relaxed);
    WEIR_ASSERT(taken > 0);
    /* Relaxed: the counter only bounds the search; the slots carry the object. */
    if (atomic_fetch_add_explicit(&pool->idle, 1, memory_order_relaxed) < pool->slot_count) {
        weir_poison(object, pool->size);
        if (put_idle(pool, object)) {
            return;
        }
        weir_unpoison(object, pool->size);
    }
    atomic_fetch_sub_explicit(&pool->idle, 1, memory_order_relaxed);
    free_object(pool, object);
}

uint32_t weir_pool_taken(const struct weir_pool *pool)
{
    return atomic_load_explicit(&pool->taken, memory_order_relaxed); /* a statistic */
}

uint32_t weir_pool_taken_max(const struct weir_pool *pool)
{
    return atomic_load_explicit(&pool->taken_max, memory_order_relaxed); /* a statistic */
}
