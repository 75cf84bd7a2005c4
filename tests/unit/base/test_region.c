/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/mem.h"
#include "weir/region.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static const size_t kib = 1024;

static struct weir_regions *make(size_t idle_limit)
{
    struct weir_regions *regions = NULL;
    assert_int_equal(weir_regions_new(idle_limit, &regions), WEIR_OK);
    return regions;
}

static struct weir_region take(struct weir_regions *regions, size_t size)
{
    struct weir_region region = {NULL, 0};
    assert_int_equal(weir_region_take(regions, size, &region), WEIR_OK);
    assert_true(region.capacity >= size);
    assert_int_equal((uintptr_t)region.data % 4096, 0);
    return region;
}

static void free_while_taken(void *argument)
{
    (void)argument;
    struct weir_regions *regions = make(0);
    struct weir_region region = take(regions, 1);
    (void)region;
    weir_regions_free(regions);
}

static void give_wrong_capacity(void *argument)
{
    (void)argument;
    struct weir_regions *regions = make(0);
    struct weir_region region = take(regions, 1);
    region.capacity += 1;
    weir_region_give(regions, &region);
}

static void test_classes_are_tight_and_hold_what_is_asked(void **state)
{
    (void)state;
    assert_int_equal(weir_region_capacity(1), 4 * kib);
    assert_int_equal(weir_region_capacity(4 * kib), 4 * kib);
    assert_int_equal(weir_region_capacity(4 * kib + 1), 5 * kib);
    assert_int_equal(weir_region_capacity(64 * kib), 64 * kib);
    assert_int_equal(weir_region_capacity(64 * kib + 1), 80 * kib);
    assert_int_equal(weir_region_capacity(113 * kib), 128 * kib);
    assert_int_equal(weir_region_capacity(WEIR_REGION_SIZE_MAX), WEIR_REGION_SIZE_MAX);
    struct weir_rand rand = support_rand(1);
    for (int i = 0; i < 20000; i++) {
        size_t size =
            (weir_rand_u64(&rand) % WEIR_REGION_SIZE_MAX >> weir_rand_below(&rand, 29)) + 1;
        size_t capacity = weir_region_capacity(size);
        assert_true(capacity >= size);
        assert_int_equal(weir_region_capacity(capacity), capacity);
        assert_true(capacity == 4 * kib || capacity - size <= capacity / 5);
    }
}

static void test_a_given_region_is_taken_again(void **state)
{
    (void)state;
    struct weir_regions *regions = make(200 * kib);
    struct weir_region region = take(regions, 70 * kib);
    uint8_t *data = region.data;
    assert_int_equal(weir_regions_taken(regions), 80 * kib);
    weir_region_give(regions, &region);
    assert_null(region.data);
    assert_int_equal(weir_regions_idle(regions), 80 * kib);
    assert_int_equal(weir_regions_taken(regions), 0);
    weir_regions_validate(regions);
    uint64_t calls = weir_mem_calls();
    region = take(regions, 65 * kib);
    assert_ptr_equal(region.data, data);
    assert_int_equal(weir_mem_calls(), calls);
    region.data[80 * kib - 1] = 1; /* no longer poisoned */
    weir_region_give(regions, &region);
    weir_regions_free(regions);
}

static void test_idle_bytes_never_pass_the_limit(void **state)
{
    (void)state;
    struct weir_regions *regions = make(10 * kib);
    struct weir_region some[4];
    for (size_t i = 0; i < 4; i++) {
        some[i] = take(regions, 4 * kib);
    }
    for (size_t i = 0; i < 4; i++) {
        weir_region_give(regions, &some[i]);
        assert_true(weir_regions_idle(regions) <= 10 * kib);
        weir_regions_validate(regions);
    }
    assert_int_equal(weir_regions_idle(regions), 8 * kib);
    weir_regions_free(regions);
}

static void test_under_the_warm_total_all_is_kept(void **state)
{
    (void)state;
    struct weir_regions *regions = make(8 * kib);
    weir_regions_keep_warm(regions, 64 * kib);
    struct weir_region regions_of[4];
    for (int i = 0; i < 4; i++) {
        regions_of[i] = take(regions, 16 * kib);
    }
    for (int i = 0; i < 4; i++) {
        weir_region_give(regions, &regions_of[i]);
    }
    assert_int_equal(weir_regions_idle(regions), 64 * kib);
    weir_regions_validate(regions);
    uint64_t calls = weir_mem_calls();
    regions_of[0] = take(regions, 16 * kib);
    assert_int_equal(weir_mem_calls(), calls);
    /* a region of another class takes the place of idle ones, as many as it needs */
    regions_of[1] = take(regions, 32 * kib);
    assert_int_equal(weir_regions_idle(regions), 16 * kib);
    weir_regions_validate(regions);
    /* one that is larger than all of it leaves what the limit allows, at most a region less */
    regions_of[2] = take(regions, 128 * kib);
    assert_true(weir_regions_idle(regions) <= 8 * kib);
    /* and beyond the warm total the limit counts */
    weir_region_give(regions, &regions_of[0]);
    assert_int_equal(weir_regions_idle(regions), 0);
    weir_region_give(regions, &regions_of[2]);
    assert_int_equal(weir_regions_idle(regions), 0);
    weir_region_give(regions, &regions_of[1]);
    assert_int_equal(weir_regions_idle(regions), 32 * kib);
    weir_regions_validate(regions);
    weir_regions_free(regions);
}

static void test_a_limit_of_zero_keeps_nothing(void **state)
{
    (void)state;
    struct weir_regions *regions = make(0);
    struct weir_region region = take(regions, 1);
    weir_region_give(regions, &region);
    assert_int_equal(weir_regions_idle(regions), 0);
    weir_regions_free(regions);
}

static void test_a_full_row_gives_back_to_the_allocator(void **state)
{
    (void)state;
    enum { COUNT = 4100 };
    static struct weir_region some[COUNT];
    struct weir_regions *regions = make(COUNT * 4 * kib);
    for (size_t i = 0; i < COUNT; i++) {
        some[i] = take(regions, 1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        weir_region_give(regions, &some[i]);
    }
    assert_int_equal(weir_regions_idle(regions), 4096 * 4 * kib);
    weir_regions_validate(regions);
    weir_regions_free(regions);
}

static void test_several_are_made_at_once_within_the_limits(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct weir_region some[COUNT];
    struct weir_regions *regions = make(4 * kib);
    weir_regions_keep_warm(regions, 64 * 1024 * kib);
    uint64_t calls = weir_mem_calls();
    for (size_t i = 0; i < COUNT; i++) {
        some[i] = take(regions, 64 * kib);
        some[i].data[64 * kib - 1] = (uint8_t)i;
        weir_regions_validate(regions);
    }
    assert_true(weir_mem_calls() - calls <= 12);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(some[i].data[64 * kib - 1], (uint8_t)i);
        weir_region_give(regions, &some[i]);
    }
    weir_regions_validate(regions);
    /* with no room left for idle ones each is made by itself */
    struct weir_region large = take(regions, 64 * 1024 * kib);
    assert_true(weir_regions_idle(regions) <= 4 * kib);
    for (size_t i = 0; i < 4; i++) {
        some[i] = take(regions, 5 * kib);
        assert_int_equal(weir_regions_idle(regions) / (5 * kib), 0);
        weir_regions_validate(regions);
    }
    for (size_t i = 0; i < 4; i++) {
        weir_region_give(regions, &some[i]);
    }
    weir_region_give(regions, &large);
    weir_regions_free(regions);
}

/* Otherwise every second one given back would leave more mappings than a process may have. */
static void test_the_smallest_of_very_many_are_the_allocators(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct weir_region some[COUNT];
    struct weir_regions *regions = make(0);
    weir_regions_keep_warm(regions, 32 * kib << 16);
    for (size_t size = 28 * kib; size <= 32 * kib; size += 4 * kib) {
        uint64_t calls = weir_mem_calls();
        for (size_t i = 0; i < COUNT; i++) {
            some[i] = take(regions, size);
        }
        calls = weir_mem_calls() - calls;
        assert_in_range(calls, size < 32 * kib ? COUNT : 1, size < 32 * kib ? COUNT : 3);
        for (size_t i = 0; i < COUNT; i++) {
            weir_region_give(regions, &some[i]);
        }
        weir_regions_validate(regions);
    }
    weir_regions_free(regions);
}

static void test_too_large_is_refused_and_leaves_the_output(void **state)
{
    (void)state;
    struct weir_regions *regions = make(0);
    struct weir_region region = {NULL, 77};
    assert_int_equal(weir_region_take(regions, WEIR_REGION_SIZE_MAX + 1, &region), WEIR_ELIMIT);
    assert_int_equal(weir_region_take(regions, SIZE_MAX, &region), WEIR_ELIMIT);
    assert_int_equal(region.capacity, 77);
    weir_regions_free(regions);
}

static void test_nothing_is_given_back_quietly(void **state)
{
    (void)state;
    struct weir_regions *regions = make(0);
    struct weir_region region = {NULL, 0};
    weir_region_give(regions, &region);
    weir_regions_free(regions);
    weir_regions_free(NULL);
}

static void test_mistakes_of_the_owner_are_asserted(void **state)
{
    (void)state;
    assert_true(support_aborts(free_while_taken, NULL));
    assert_true(support_aborts(give_wrong_capacity, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_are_tight_and_hold_what_is_asked),
        cmocka_unit_test(test_a_given_region_is_taken_again),
        cmocka_unit_test(test_idle_bytes_never_pass_the_limit),
        cmocka_unit_test(test_under_the_warm_total_all_is_kept),
        cmocka_unit_test(test_a_limit_of_zero_keeps_nothing),
        cmocka_unit_test(test_a_full_row_gives_back_to_the_allocator),
        cmocka_unit_test(test_several_are_made_at_once_within_the_limits),
        cmocka_unit_test(test_the_smallest_of_very_many_are_the_allocators),
        cmocka_unit_test(test_too_large_is_refused_and_leaves_the_output),
        cmocka_unit_test(test_nothing_is_given_back_quietly),
        cmocka_unit_test(test_mistakes_of_the_owner_are_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
