/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/rand.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void test_the_same_seed_gives_the_same_numbers(void **state)
{
    (void)state;
    struct weir_rand first;
    struct weir_rand second;
    weir_rand_init(&first, 5);
    weir_rand_init(&second, 5);
    for (int i = 0; i < 100; i++) {
        assert_true(weir_rand_u64(&first) == weir_rand_u64(&second));
    }
}

static void test_other_seeds_give_others(void **state)
{
    (void)state;
    struct weir_rand first;
    struct weir_rand second;
    weir_rand_init(&first, 0);
    weir_rand_init(&second, 1);
    int equal = 0;
    for (int i = 0; i < 100; i++) {
        equal += weir_rand_u64(&first) == weir_rand_u64(&second);
    }
    assert_int_equal(equal, 0);
}

/* The numbers that the authors' reference code gives for the state 1, 2, 3, 4. */
static void test_the_published_algorithm(void **state)
{
    (void)state;
    struct weir_rand rand = {{1, 2, 3, 4}};
    const uint64_t expected[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    for (size_t i = 0; i < 4; i++) {
        assert_true(weir_rand_u64(&rand) == expected[i]);
    }
}

static void test_below_is_below_and_reaches_everything(void **state)
{
    (void)state;
    struct weir_rand rand;
    weir_rand_init(&rand, 9);
    int seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t number = weir_rand_below(&rand, 7);
        assert_true(number < 7);
        seen[number]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(seen[i], 800, 1200);
    }
    assert_int_equal(weir_rand_below(&rand, 0), 0);
    assert_int_equal(weir_rand_below(&rand, 1), 0);
}

static void test_unit_stays_under_one(void **state)
{
    (void)state;
    struct weir_rand rand;
    weir_rand_init(&rand, 10);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double number = weir_rand_unit(&rand);
        assert_true(number >= 0.0);
        assert_true(number < 1.0);
        sum += number;
    }
    assert_true(sum > 4800);
    assert_true(sum < 5200);
}

static void test_system_randomness_fills_all_of_it(void **state)
{
    (void)state;
    uint8_t first[64] = {0};
    uint8_t second[64] = {0};
    weir_rand_system(first, sizeof first);
    weir_rand_system(second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_not_equal(first + 32, second + 32, 32);
    weir_rand_system(first, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(test_other_seeds_give_others),
        cmocka_unit_test(test_the_published_algorithm),
        cmocka_unit_test(test_below_is_below_and_reaches_everything),
        cmocka_unit_test(test_unit_stays_under_one),
        cmocka_unit_test(test_system_randomness_fills_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
