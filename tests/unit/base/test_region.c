/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/mem.h"
#include "weir/region.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
    assert_int_equal(weir_region_capacity(4 * kib + 1), 8 * kib);
    assert_int_equal(weir_region_capacity(8 * kib + 1), 12 * kib);
    assert_int_equal(weir_region_capacity(12 * kib + 1), 16 * kib);
    assert_int_equal(weir_region_capacity(16 * kib + 1), 20 * kib);
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
        assert_int_equal(capacity % (4 * kib), 0);
        assert_true(capacity - size < 4 * kib || capacity - size <= capacity / 5);
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
    /* with no room left for idle ones those made ahead are none: they have no memory yet */
    struct weir_region large = take(regions, 64 * 1024 * kib);
    assert_true(weir_regions_idle(regions) <= 4 * kib);
    for (size_t i = 0; i < 4; i++) {
        some[i] = take(regions, 8 * kib);
        assert_int_equal(weir_regions_idle(regions) / (8 * kib), 0);
        weir_regions_validate(regions);
    }
    for (size_t i = 0; i < 4; i++) {
        weir_region_give(regions, &some[i]);
    }
    weir_region_give(regions, &large);
    weir_regions_free(regions);
}

enum { PEAK = 64 };

/* That many regions at a time, each written to, and given back: how many calls it took. */
static uint64_t peak_of(struct weir_regions *regions, size_t size)
{
    static struct weir_region some[PEAK];
    uint64_t calls = weir_mem_calls();
    for (size_t i = 0; i < PEAK; i++) {
        some[i] = take(regions, size);
        memset(some[i].data, (int)i, size);
    }
    for (size_t i = 0; i < PEAK; i++) {
        assert_int_equal(some[i].data[0], i);
        assert_int_equal(some[i].data[size - 1], i);
        weir_region_give(regions, &some[i]);
    }
    weir_regions_validate(regions);
    return weir_mem_calls() - calls;
}

/* Behind a stall the warm total is passed; the next one like it asks for nothing. */
static void test_a_peak_above_the_warm_total_is_asked_for_once(void **state)
{
    (void)state;
    struct weir_regions *regions = make(8 * kib);
    weir_regions_keep_warm(regions, 2048 * kib);
    static const size_t sizes[] = {4 * kib, 9 * kib, 64 * kib, 128 * kib};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_in_range(peak_of(regions, sizes[i]), 1, PEAK);
        assert_int_equal(peak_of(regions, sizes[i]), 0);
        assert_true(weir_regions_idle(regions) <= 2048 * kib);
    }
    weir_regions_free(regions);
}

static size_t resident_pages(void *memory, size_t size)
{
    unsigned char seen[256];
    size_t pages = size / (size_t)sysconf(_SC_PAGESIZE);
    assert_in_range(pages, 1, sizeof seen);
    assert_int_equal(mincore(memory, size, seen), 0);
    size_t count = 0;
    for (size_t i = 0; i < pages; i++) {
        count += seen[i] & 1;
    }
    return count;
}

static void test_what_is_kept_beyond_the_limits_has_no_memory(void **state)
{
    (void)state;
    enum { COUNT = 6, WARM = 2 };
    struct weir_regions *regions = make(0);
    weir_regions_keep_warm(regions, WARM * 64 * kib);
    struct weir_region some[COUNT];
    uint8_t *data[COUNT];
    size_t pages = 0;
    for (size_t i = 0; i < COUNT; i++) {
        some[i] = take(regions, 64 * kib);
        data[i] = some[i].data;
        memset(data[i], 1, 64 * kib);
        pages = resident_pages(data[i], 64 * kib);
        assert_true(pages > 0);
    }
    for (size_t i = 0; i < COUNT; i++) {
        weir_region_give(regions, &some[i]);
    }
    assert_int_equal(weir_regions_idle(regions), WARM * 64 * kib);
    weir_regions_validate(regions);
    size_t left = 0;
    for (size_t i = 0; i < COUNT; i++) {
        left += resident_pages(data[i], 64 * kib);
    }
    assert_int_equal(left, WARM * pages);
    weir_regions_free(regions);
}

/* Where addresses are what the system is out of, those kept go back first, of whatever class. */
static void test_addresses_kept_are_no_reason_to_refuse(void **state)
{
    (void)state;
    struct weir_regions *regions = make(0);
    weir_regions_keep_warm(regions, 2048 * kib);
    assert_true(peak_of(regions, 64 * kib) > 0);
    struct weir_region first = take(regions, 2048 * kib); /* all others are cold, then */
    (void)weir_mem_fail_at(1);
    struct weir_region large = take(regions, 3072 * kib);
    assert_true(weir_mem_fail_at(0));
    weir_regions_validate(regions);
    assert_true(peak_of(regions, 64 * kib) > 0); /* as they have gone */
    struct weir_region some[2] = {take(regions, 64 * kib), {NULL, 0}};
    /* one that was to have company comes alone, and with nothing kept at all there is none */
    (void)weir_mem_fail_at(1);
    some[1] = take(regions, 128 * kib);
    assert_true(weir_mem_fail_at(0));
    weir_regions_validate(regions);
    struct weir_region none = {NULL, 0};
    (void)weir_mem_fail_at(1);
    assert_int_equal(weir_region_take(regions, 3584 * kib, &none), WEIR_ENOMEM);
    assert_true(weir_mem_fail_at(0));
    assert_null(none.data);
    weir_region_give(regions, &some[0]);
    weir_region_give(regions, &some[1]);
    weir_region_give(regions, &first);
    weir_region_give(regions, &large);
    weir_regions_validate(regions);
    weir_regions_free(regions);
}

/* Addresses are bounded, too: what is beyond goes back wholly, and is asked for again. */
static void test_addresses_kept_are_bounded(void **state)
{
    (void)state;
    struct weir_regions *regions = make(0);
    weir_regions_keep_warm(regions, PEAK / 12 * 64 * kib);
    assert_true(peak_of(regions, 64 * kib) > 0);
    assert_true(peak_of(regions, 64 * kib) > 0);
    weir_regions_free(regions);
}

/* And not the largest first, which are dear to ask for. */
static void test_the_class_with_most_idle_bytes_gives_way(void **state)
{
    (void)state;
    enum { COUNT = 56 };
    struct weir_regions *regions = make(0);
    weir_regions_keep_warm(regions, 8 * 1024 * kib);
    struct weir_region some[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        some[i] = take(regions, 80 * kib);
    }
    for (size_t i = 0; i < COUNT; i++) {
        weir_region_give(regions, &some[i]);
    }
    struct weir_region large = take(regions, 2048 * kib);
    weir_region_give(regions, &large);
    uint64_t calls = weir_mem_calls();
    struct weir_region other = take(regions, 2560 * kib);
    assert_int_equal(weir_mem_calls() - calls, 1);
    assert_true(weir_regions_idle(regions) + weir_regions_taken(regions) <= 8 * 1024 * kib);
    large = take(regions, 2048 * kib);
    assert_int_equal(weir_mem_calls() - calls, 1);
    weir_region_give(regions, &large);
    weir_region_give(regions, &other);
    weir_regions_validate(regions);
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
        cmocka_unit_test(test_a_peak_above_the_warm_total_is_asked_for_once),
        cmocka_unit_test(test_what_is_kept_beyond_the_limits_has_no_memory),
        cmocka_unit_test(test_addresses_kept_are_no_reason_to_refuse),
        cmocka_unit_test(test_addresses_kept_are_bounded),
        cmocka_unit_test(test_the_class_with_most_idle_bytes_gives_way),
        cmocka_unit_test(test_the_smallest_of_very_many_are_the_allocators),
        cmocka_unit_test(test_too_large_is_refused_and_leaves_the_output),
        cmocka_unit_test(test_nothing_is_given_back_quietly),
        cmocka_unit_test(test_mistakes_of_the_owner_are_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
