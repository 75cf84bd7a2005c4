/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of equal objects: a row of idle ones (row_internal.h), and a count of those in use.
 *
 * Objects are made several at a time, half as many as there are, so that a load a little above all
 * before is not an allocation for each request. Those of a block are given back by themselves, and
 * the block goes with the last:
 *
 *   block [ left | block ◄ object | block ◄ object | ... ]
 *
 *   I1  a slot holds an idle object or NULL; an object is in one slot or with one user
 *   I2  taken = objects out with users
 *   I3  left = the block's objects that are not freed; before each stands its block
 *
 * When the row is full an object is freed; when it is empty a block is allocated. Idle objects are
 * poisoned in AddressSanitizer builds, and what stands before each object always. The counters
 * order nothing and are relaxed, but for a block's.
 */
#include "weir/pool.h"
#include "poison_internal.h"
#include "row_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { IDLE_MAX = 65536, MADE_AT_ONCE_MIN = 8 };
#define MADE_AT_ONCE_BYTES ((size_t)256 << 10)

/* What a block begins with, and what is before each object: both keep what follows aligned. */
struct block {
    alignas(max_align_t) _Atomic uint32_t left;
};
struct lead {
    alignas(max_align_t) struct block *block;
};

struct weir_pool {
    size_t size;
    void (*done)(void *);
    size_t stride;         /* from one object of a block to the next */
    struct weir_row row;   /* of the slots below */
    _Atomic uint32_t made; /* objects, idle or taken */
    _Atomic uint32_t taken;
    _Atomic uint32_t taken_max;
    _Atomic(void *) slots[];
};

enum weir_status weir_pool_new(size_t size, uint32_t idle_max, void (*done)(void *),
                               struct weir_pool **ret)
{
    if (size == 0 || size > SIZE_MAX / 2 || idle_max == 0 || idle_max > IDLE_MAX) {
        return WEIR_EINVAL;
    }
    struct weir_pool *pool =
        weir_mem_zalloc(1, sizeof *pool + (size_t)idle_max * sizeof(_Atomic(void *)));
    if (pool == NULL) {
        return WEIR_ENOMEM;
    }
    pool->size = size;
    size_t alignment = alignof(max_align_t);
    pool->stride = sizeof(struct lead) + (size + alignment - 1) / alignment * alignment;
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
    struct lead *lead = (struct lead *)object - 1;
    weir_unpoison(lead, sizeof *lead);
    struct block *block = lead->block;
    weir_poison(lead, pool->stride);
    atomic_fetch_sub_explicit(&pool->made, 1, memory_order_relaxed);
    /* acq_rel: whoever frees the block comes after all that was done to its objects */
    if (atomic_fetch_sub_explicit(&block->left, 1, memory_order_acq_rel) == 1) {
        weir_mem_free(block);
    }
}

/* How many objects to make when one is needed: at least that. */
static uint32_t count_to_make(const struct weir_pool *pool)
{
    size_t count = atomic_load_explicit(&pool->made, memory_order_relaxed) / 2; /* a hint */
    size_t count_max = MADE_AT_ONCE_BYTES / pool->stride;
    count = count < MADE_AT_ONCE_MIN ? MADE_AT_ONCE_MIN : count;
    count = count < count_max ? count : count_max;
    count = count < pool->row.count ? count : pool->row.count;
    return count == 0 ? 1 : (uint32_t)count;
}

/* A new object, and maybe idle ones besides. NULL: no memory. */
static void *make(struct weir_pool *pool)
{
    uint32_t count = count_to_make(pool);
    struct block *block = weir_mem_zalloc(1, sizeof *block + count * pool->stride);
    if (block == NULL) {
        return NULL;
    }
    atomic_init(&block->left, count);
    atomic_fetch_add_explicit(&pool->made, count, memory_order_relaxed);
    uint8_t *at = (uint8_t *)(block + 1);
    void *first = at + sizeof(struct lead);
    for (uint32_t i = 0; i < count; i++, at += pool->stride) {
        struct lead *lead = (void *)at;
        lead->block = block;
        weir_poison(lead, pool->stride);
        if (i > 0 && !weir_row_put(&pool->row, lead + 1)) {
            weir_unpoison(lead + 1, pool->size);
            free_object(pool, lead + 1);
        }
    }
    weir_unpoison(first, pool->size);
    return first;
}

void weir_pool_free(struct weir_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    WEIR_ASSERT(weir_pool_taken(pool) == 0);
    /* None left, none in the slots behind. Relaxed: whoever frees a pool is alone with it. */
    for (uint32_t i = 0; atomic_load_explicit(&pool->made, memory_order_relaxed) > 0; i++) {
        WEIR_ASSERT(i < pool->row.count);
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
        object = make(pool);
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

uint32_t weir_pool_idle(const struct weir_pool *pool)
{
    return atomic_load_explicit(&pool->row.idle, memory_order_relaxed); /* a statistic */
}

uint32_t weir_pool_taken(const struct weir_pool *pool)
{
    return atomic_load_explicit(&pool->taken, memory_order_relaxed); /* a statistic */
}

uint32_t weir_pool_taken_max(const struct weir_pool *pool)
{
    return atomic_load_explicit(&pool->taken_max, memory_order_relaxed); /* a statistic */
}
