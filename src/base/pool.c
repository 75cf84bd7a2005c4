/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of equal objects: a row of idle ones (row_internal.h), and a count of those in use.
 *
 *   I1  a slot holds an idle object or NULL; an object is in one slot or with one user
 *   I2  taken = objects out with users
 *
 * When the row is full an object is freed; when it is empty one is allocated. Idle objects are
 * poisoned in AddressSanitizer builds. The counters order nothing and are relaxed.
 */
#include "weir/pool.h"
#include "poison_internal.h"
#include "row_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdatomic.h>
#include <stdbool.h>

enum { IDLE_MAX = 65536 };

struct weir_pool {
    size_t size;
    void (*done)(void *);
    struct weir_row row; /* of the slots below */
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
    pool->row.slots = pool->slots;
    pool->row.count = idle_max;
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
    for (uint32_t i = 0; i < pool->row.count; i++) {
        /* acquire: pairs with the release in weir_row_put */
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

void *weir_pool_take(struct weir_pool *pool)
{
    void *object = weir_row_take(&pool->row);
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

void weir_pool_give(struct weir_pool *pool, void *object)
{
    if (object == NULL) {
        return;
    }
    uint32_t taken = atomic_fetch_sub_explicit(&pool->taken, 1, memory_order_relaxed);
    WEIR_ASSERT(taken > 0);
    weir_poison(object, pool->size);
    if (weir_row_put(&pool->row, object)) {
        return;
    }
    weir_unpoison(object, pool->size);
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
