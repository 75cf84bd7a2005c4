/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/base/arena_internal.h"
#include "support.h"
#include "weir/arena.h"
#include "weir/mem.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static const size_t kib = 1024;

struct purse {
    size_t limit;
    size_t used;
};

static bool purse_take(void *self, size_t bytes)
{
    struct purse *purse = self;
    if (bytes > purse->limit - purse->used) {
        return false;
    }
    purse->used += bytes;
    return true;
}

static void purse_give(void *self, size_t bytes)
{
    struct purse *purse = self;
    assert_true(bytes <= purse->used);
    purse->used -= bytes;
}

static struct weir_arena_budget budget_of(struct purse *purse)
{
    return (struct weir_arena_budget){purse_take, purse_give, purse};
}

struct fixture {
    struct weir_regions *regions;
    struct purse purse;
    struct weir_arena *arena;
};

static void set_up(struct fixture *fixture, size_t limit, size_t chunk_size)
{
    fixture->purse = (struct purse){limit, 0};
    assert_int_equal(weir_regions_new(limit, &fixture->regions), WEIR_OK);
    assert_int_equal(
        weir_arena_new(fixture->regions, budget_of(&fixture->purse), chunk_size, &fixture->arena),
        WEIR_OK);
}

static void tear_down(struct fixture *fixture)
{
    weir_arena_unref(fixture->arena, 0);
    assert_int_equal(fixture->purse.used, 0);
    weir_regions_validate(fixture->regions);
    weir_regions_free(fixture->regions);
}

static void drop_too_often(void *argument)
{
    struct fixture *fixture = argument;
    weir_arena_unref(fixture->arena, 1);
}

static void allocate_when_published(void *argument)
{
    struct fixture *fixture = argument;
    weir_arena_ref(fixture->arena, 1);
    assert_non_null(weir_arena_alloc(fixture->arena, 1, 1));
}

static void reset_when_published(void *argument)
{
    struct fixture *fixture = argument;
    weir_arena_ref(fixture->arena, 1);
    weir_arena_reset(fixture->arena);
}

static void test_an_empty_arena_costs_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 0, 0);
    assert_int_equal(weir_arena_size(fixture.arena), 0);
    assert_null(weir_arena_alloc(fixture.arena, 1, 1));
    weir_arena_validate(fixture.arena);
    tear_down(&fixture);
    weir_arena_unref(NULL, 0);
}

static void test_allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 4 * kib);
    struct weir_rand rand = support_rand(3);
    uint8_t *all[200];
    size_t sizes[200];
    for (size_t i = 0; i < 200; i++) {
        size_t alignment = (size_t)1 << weir_rand_below(&rand, 7);
        sizes[i] = (size_t)weir_rand_below(&rand, i % 20 == 0 ? 6000 : 200);
        all[i] = weir_arena_alloc(fixture.arena, sizes[i], alignment);
        assert_non_null(all[i]);
        assert_int_equal((uintptr_t)all[i] % alignment, 0);
        memset(all[i], (int)i, sizes[i]);
        weir_arena_validate(fixture.arena);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(all[i][j], (uint8_t)i);
        }
    }
    assert_int_equal(fixture.purse.used, weir_arena_size(fixture.arena));
    tear_down(&fixture);
}

static void test_a_big_allocation_does_not_end_the_chunk(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 64 * kib);
    uint8_t *first = weir_arena_alloc(fixture.arena, 16, 16);
    uint8_t *big = weir_arena_alloc(fixture.arena, 100 * kib, 16);
    uint8_t *second = weir_arena_alloc(fixture.arena, 16, 16);
    assert_non_null(big);
    assert_ptr_equal(second, first + 16);
    assert_int_equal(weir_arena_size(fixture.arena), 64 * kib + weir_region_capacity(100 * kib));
    tear_down(&fixture);
}

static void test_a_trimmed_tail_is_used_again(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 4 * kib);
    uint8_t *first = weir_arena_alloc(fixture.arena, 1000, 1);
    weir_arena_trim(fixture.arena, first, 1000, 10);
    uint8_t *second = weir_arena_alloc(fixture.arena, 10, 1);
    assert_ptr_equal(second, first + 10);
    weir_arena_trim(fixture.arena, first, 10, 0); /* not the newest: nothing */
    assert_ptr_equal(weir_arena_alloc(fixture.arena, 1, 1), second + 10);
    uint8_t *big = weir_arena_alloc(fixture.arena, 64 * kib, 1);
    weir_arena_trim(fixture.arena, big, 64 * kib, 100);
    assert_ptr_equal(weir_arena_alloc(fixture.arena, 5000, 1), big + 100);
    weir_arena_trim(fixture.arena, NULL, 0, 0);
    weir_arena_validate(fixture.arena);
    tear_down(&fixture);
}

static void test_a_refused_charge_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 6 * kib, 4 * kib);
    assert_non_null(weir_arena_alloc(fixture.arena, 4000, 1));
    assert_null(weir_arena_alloc(fixture.arena, 4000, 1));
    assert_int_equal(fixture.purse.used, 4 * kib);
    weir_arena_validate(fixture.arena);
    assert_non_null(weir_arena_alloc(fixture.arena, 96, 1)); /* the chunk's rest is still there */
    assert_null(weir_arena_alloc(fixture.arena, SIZE_MAX, 1));
    assert_null(weir_arena_alloc(fixture.arena, WEIR_REGION_SIZE_MAX + 1, 1));
    tear_down(&fixture);
}

static void test_regions_are_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, (size_t)1 << 30, 4 * kib);
    for (int i = 0; i < WEIR_ARENA_REGIONS_MAX; i++) {
        size_t charged = weir_arena_size(fixture.arena);
        assert_non_null(weir_arena_alloc(fixture.arena, 4 * kib + charged / 15, 1));
    }
    assert_null(weir_arena_alloc(fixture.arena, weir_arena_size(fixture.arena) / 8, 1));
    weir_arena_validate(fixture.arena);
    tear_down(&fixture);
}

/* Data points of thirty dimensions, as long as CloudWatch allows, in one body. */
static void test_a_full_budget_of_middling_pieces_fits_the_regions(void **state)
{
    (void)state;
    static const size_t sizes[] = {33 * 1024, 39 * 1024, 100 * 1024, 400 * 1024};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct fixture fixture;
        set_up(&fixture, (size_t)1 << 30, 0);
        assert_non_null(weir_arena_alloc(fixture.arena, 5 * 1024 * kib, 1));
        for (size_t taken = 0; taken < 60 * 1024 * kib; taken += sizes[i] + 100) {
            assert_non_null(weir_arena_alloc(fixture.arena, 100, 8));
            assert_non_null(weir_arena_alloc(fixture.arena, sizes[i], 1));
        }
        assert_true(weir_arena_size(fixture.arena) < 100 * 1024 * kib);
        weir_arena_validate(fixture.arena);
        tear_down(&fixture);
    }
}

static void test_chunks_grow_so_that_small_pieces_can_be_many(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, (size_t)1 << 30, 4 * kib);
    for (size_t i = 0; i < 16 * kib; i++) {
        assert_non_null(weir_arena_alloc(fixture.arena, kib, 8));
    }
    assert_true(weir_arena_size(fixture.arena) < 20 * 1024 * kib);
    tear_down(&fixture);
}

static void test_a_warm_arena_asks_the_allocator_for_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 0);
    uint64_t calls = 0;
    for (int round = 0; round < 3; round++) {
        calls = weir_mem_calls();
        struct weir_arena *arena = NULL;
        assert_int_equal(weir_arena_new(fixture.regions, budget_of(&fixture.purse), 0, &arena),
                         WEIR_OK);
        assert_non_null(weir_arena_alloc(arena, 100, 8));
        assert_non_null(weir_arena_alloc(arena, 100 * kib, 8));
        weir_arena_unref(arena, 0);
    }
    assert_int_equal(weir_mem_calls(), calls);
    tear_down(&fixture);
}

static void test_reset_gives_everything_back(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 0);
    assert_non_null(weir_arena_alloc(fixture.arena, 100 * kib, 8));
    weir_arena_reset(fixture.arena);
    assert_int_equal(fixture.purse.used, 0);
    assert_int_equal(weir_arena_size(fixture.arena), 0);
    assert_non_null(weir_arena_alloc(fixture.arena, 100 * kib, 8));
    tear_down(&fixture);
}

static void test_the_charge_moves_whole_or_not_at_all(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 0);
    struct purse small = {10, 0};
    struct purse large = {1024 * kib, 0};
    assert_int_equal(weir_arena_charge_to(fixture.arena, budget_of(&small)), WEIR_OK);
    assert_int_equal(weir_arena_charge_to(fixture.arena, budget_of(&fixture.purse)), WEIR_OK);
    assert_non_null(weir_arena_alloc(fixture.arena, 1, 1));
    assert_int_equal(weir_arena_charge_to(fixture.arena, budget_of(&small)), WEIR_EFULL);
    assert_int_equal(fixture.purse.used, 64 * kib);
    assert_int_equal(small.used, 0);
    assert_int_equal(weir_arena_charge_to(fixture.arena, budget_of(&large)), WEIR_OK);
    assert_int_equal(fixture.purse.used, 0);
    assert_int_equal(large.used, 64 * kib);
    tear_down(&fixture);
    assert_int_equal(large.used, 0);
}

static void test_the_last_reference_frees(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 0);
    assert_non_null(weir_arena_alloc(fixture.arena, 60 * kib, 1));
    weir_arena_ref(fixture.arena, 40 * kib);
    weir_arena_ref(fixture.arena, 20 * kib);
    weir_arena_unref(fixture.arena, 0);
    assert_false(weir_arena_is_sparse(fixture.arena));
    weir_arena_unref(fixture.arena, 40 * kib);
    assert_false(weir_arena_is_sparse(fixture.arena)); /* 20 of 64: more than an eighth */
    weir_arena_ref(fixture.arena, 0);
    weir_arena_unref(fixture.arena, 13 * kib);
    assert_true(weir_arena_is_sparse(fixture.arena));
    assert_int_equal(weir_arena_stat(fixture.arena).live, 7 * kib);
    assert_int_equal(fixture.purse.used, 64 * kib);
    weir_arena_unref(fixture.arena, 7 * kib);
    assert_int_equal(fixture.purse.used, 0);
    weir_regions_free(fixture.regions);
}

static void test_small_arenas_are_never_sparse(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 4 * kib);
    assert_non_null(weir_arena_alloc(fixture.arena, 1, 1));
    assert_false(weir_arena_is_sparse(fixture.arena));
    tear_down(&fixture);
}

static void test_a_request_of_a_point_is_sparse(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 32 * kib);
    assert_non_null(weir_arena_alloc(fixture.arena, 1, 1));
    assert_true(weir_arena_is_sparse(fixture.arena));
    tear_down(&fixture);
}

static void test_mistakes_of_the_owner_are_asserted(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1024 * kib, 4 * kib);
    assert_true(support_aborts(drop_too_often, &fixture));
    assert_true(support_aborts(reset_when_published, &fixture));
#ifdef WEIR_DCHECKS
    assert_true(support_aborts(allocate_when_published, &fixture));
#else
    (void)allocate_when_published;
#endif
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_arena_costs_nothing),
        cmocka_unit_test(test_allocations_are_aligned_and_apart),
        cmocka_unit_test(test_a_big_allocation_does_not_end_the_chunk),
        cmocka_unit_test(test_a_trimmed_tail_is_used_again),
        cmocka_unit_test(test_a_refused_charge_changes_nothing),
        cmocka_unit_test(test_regions_are_bounded),
        cmocka_unit_test(test_a_full_budget_of_middling_pieces_fits_the_regions),
        cmocka_unit_test(test_chunks_grow_so_that_small_pieces_can_be_many),
        cmocka_unit_test(test_a_warm_arena_asks_the_allocator_for_nothing),
        cmocka_unit_test(test_reset_gives_everything_back),
        cmocka_unit_test(test_the_charge_moves_whole_or_not_at_all),
        cmocka_unit_test(test_the_last_reference_frees),
        cmocka_unit_test(test_small_arenas_are_never_sparse),
        cmocka_unit_test(test_a_request_of_a_point_is_sparse),
        cmocka_unit_test(test_mistakes_of_the_owner_are_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
