/* SPDX-License-Identifier: Apache-2.0 */
#include "load/histogram.h"
#include "weir/rand.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct weir_load_histogram histogram;

static int set_up(void **state)
{
    (void)state;
    return weir_load_histogram_init(&histogram) == WEIR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    weir_load_histogram_done(&histogram);
    weir_load_histogram_done(&histogram); /* twice is nothing */
    return 0;
}

static void nothing_gives_zero(void **state)
{
    (void)state;
    assert_int_equal(weir_load_histogram_at(&histogram, 0.5), 0);
    assert_int_equal(weir_load_histogram_at(&histogram, 1), 0);
    assert_int_equal(histogram.max, 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (int64_t i = 1; i <= 1000; i++) {
        weir_load_histogram_add(&histogram, i);
    }
    assert_int_equal(weir_load_histogram_at(&histogram, 0), 1);
    assert_int_equal(weir_load_histogram_at(&histogram, 0.5), 500);
    assert_int_equal(weir_load_histogram_at(&histogram, 0.99), 990);
    assert_int_equal(weir_load_histogram_at(&histogram, 0.999), 999);
    assert_int_equal(weir_load_histogram_at(&histogram, 1), 1000);
}

static void the_past_is_zero(void **state)
{
    (void)state;
    weir_load_histogram_add(&histogram, -5);
    weir_load_histogram_add(&histogram, INT64_MIN);
    assert_int_equal(histogram.count, 2);
    assert_int_equal(weir_load_histogram_at(&histogram, 1), 0);
}

static void beyond_the_top_the_maximum_is_still_exact(void **state)
{
    (void)state;
    weir_load_histogram_add(&histogram, INT64_MAX);
    weir_load_histogram_add(&histogram, (int64_t)WEIR_LOAD_HISTOGRAM_TOP);
    assert_int_equal(histogram.count, 2);
    assert_int_equal(histogram.max, INT64_MAX);
    assert_int_equal(weir_load_histogram_at(&histogram, 1), INT64_MAX);
}

/* Every value is known to a part in 1024, and no quantile is above the maximum. */
static void one_value_is_known_to_a_part_in_a_thousand(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 43; shift++) {
        for (int64_t around = -1; around <= 1; around++) {
            struct weir_load_histogram one;
            int64_t value = (INT64_C(1) << shift) + around;
            assert_int_equal(weir_load_histogram_init(&one), WEIR_OK);
            weir_load_histogram_add(&one, value);
            weir_load_histogram_add(&one, INT64_C(1) << 42);
            int64_t at = (int64_t)weir_load_histogram_at(&one, 0.5);
            int64_t lower = value < INT64_C(1) << 42 ? value : INT64_C(1) << 42;
            assert_in_range(at, lower, lower + lower / 1024);
            weir_load_histogram_done(&one);
        }
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Against sorting, and in two halves that are merged. */
static void quantiles_are_those_of_the_sorted_values(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static int64_t values[COUNT];
    struct weir_load_histogram half;
    struct weir_rand rand;
    weir_rand_init(&rand, 7);
    assert_int_equal(weir_load_histogram_init(&half), WEIR_OK);
    for (int i = 0; i < COUNT; i++) {
        values[i] = (int64_t)weir_rand_below(&rand, UINT64_C(1) << (1 + i % 40));
        weir_load_histogram_add(i % 2 == 0 ? &histogram : &half, values[i]);
    }
    weir_load_histogram_merge(&histogram, &half);
    weir_load_histogram_done(&half);
    qsort(values, COUNT, sizeof *values, by_size);
    assert_int_equal(histogram.count, COUNT);
    assert_int_equal(histogram.max, values[COUNT - 1]);
    for (int percent = 1; percent <= 100; percent++) {
        int64_t true_value = values[COUNT / 100 * percent - 1];
        int64_t at = (int64_t)weir_load_histogram_at(&histogram, percent / 100.0);
        assert_in_range(at, true_value, true_value + true_value / 1024);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_gives_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_values_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_past_is_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_top_the_maximum_is_still_exact, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_value_is_known_to_a_part_in_a_thousand, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(quantiles_are_those_of_the_sorted_values, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
