/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/arena.h"
#include "weir/pool.h"
#include "weir/region.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

/* Threads take and give regions, pooled objects and shared arenas at once. Each writes
 * what it holds and finds it unchanged, so a block that two hold is seen; at the end every
 * count is back. */
enum { THREADS = 4, ROUNDS = 3000, HELD = 8, KIB = 1024 };

struct shared {
    struct weir_regions *regions;
    struct weir_pool *pool;
    _Atomic size_t charged;
    _Atomic bool is_wrong;
    struct weir_arena *arena;
};

struct worker {
    struct shared *shared;
    uint32_t id;
    pthread_t thread;
};

static bool charge(void *self, size_t bytes)
{
    struct shared *shared = self;
    atomic_fetch_add_explicit(&shared->charged, bytes, memory_order_relaxed);
    return true;
}

static void discharge(void *self, size_t bytes)
{
    struct shared *shared = self;
    atomic_fetch_sub_explicit(&shared->charged, bytes, memory_order_relaxed);
}

static void expect(struct shared *shared, bool condition)
{
    if (!condition) {
        atomic_store_explicit(&shared->is_wrong, true, memory_order_relaxed);
    }
}

static void turn_region(struct worker *worker, struct weir_region *held, struct weir_rand *rand)
{
    struct shared *shared = worker->shared;
    if (held->data == NULL) {
        size_t size = 1 + (size_t)weir_rand_below(rand, 12 * KIB);
        expect(shared, weir_region_take(shared->regions, size, held) == WEIR_OK);
        held->data[0] = (uint8_t)worker->id;
        held->data[held->capacity - 1] = (uint8_t)worker->id;
    } else {
        expect(shared, held->data[0] == (uint8_t)worker->id);
        expect(shared, held->data[held->capacity - 1] == (uint8_t)worker->id);
        weir_region_give(shared->regions, held);
    }
}

static void turn_object(struct worker *worker, uint32_t **held)
{
    if (*held == NULL) {
        *held = weir_pool_take(worker->shared->pool);
        **held = worker->id;
    } else {
        expect(worker->shared, **held == worker->id);
        weir_pool_give(worker->shared->pool, *held);
        *held = NULL;
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct shared *shared = worker->shared;
    struct weir_rand rand;
    struct weir_region regions[HELD] = {{NULL, 0}};
    uint32_t *objects[HELD] = {NULL};
    weir_rand_init(&rand, worker->id);
    for (int i = 0; i < ROUNDS; i++) {
        turn_region(worker, &regions[weir_rand_below(&rand, HELD)], &rand);
        turn_object(worker, &objects[weir_rand_below(&rand, HELD)]);
        weir_arena_ref(shared->arena, 3);
        expect(shared, weir_arena_stat(shared->arena).live >= 3);
        weir_arena_unref(shared->arena, 3);
    }
    for (size_t i = 0; i < HELD; i++) {
        weir_region_give(shared->regions, &regions[i]);
        weir_pool_give(shared->pool, objects[i]);
    }
    weir_arena_unref(shared->arena, 10);
    return NULL;
}

static void run_all(size_t idle_limit, size_t warm_total)
{
    static struct shared shared;
    static struct worker workers[THREADS];
    memset(&shared, 0, sizeof(shared));
    assert_int_equal(weir_regions_new(idle_limit, &shared.regions), WEIR_OK);
    weir_regions_keep_warm(shared.regions, warm_total);
    assert_int_equal(weir_pool_new(64, 16, NULL, &shared.pool), WEIR_OK);
    const struct weir_arena_budget budget = {charge, discharge, &shared};
    assert_int_equal(weir_arena_new(shared.regions, budget, 0, &shared.arena), WEIR_OK);
    assert_non_null(weir_arena_alloc(shared.arena, 10, 1));
    for (uint32_t i = 0; i < THREADS; i++) {
        weir_arena_ref(shared.arena, 10);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].shared = &shared;
        workers[i].id = i + 1;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    weir_arena_unref(shared.arena, 0); /* the last worker frees it */
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
    assert_false(atomic_load_explicit(&shared.is_wrong, memory_order_relaxed));
    assert_int_equal(atomic_load_explicit(&shared.charged, memory_order_relaxed), 0);
    assert_int_equal(weir_regions_taken(shared.regions), 0);
    assert_int_equal(weir_pool_taken(shared.pool), 0);
    weir_regions_validate(shared.regions);
    weir_regions_free(shared.regions);
    weir_pool_free(shared.pool);
}

static void test_no_block_has_two_holders(void **state)
{
    (void)state;
    run_all(64 * KIB, 0);
}

/* In use are up to 384 KiB: above and below the warm total, so that idle ones give way while others
 * are taken. */
static void test_nor_where_idle_ones_give_way(void **state)
{
    (void)state;
    run_all(16 * KIB, 192 * KIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_block_has_two_holders),
        cmocka_unit_test(test_nor_where_idle_ones_give_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
