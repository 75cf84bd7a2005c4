/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/mem.h"
#include "weir/pool.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static int done_count;

static void note_done(void *object)
{
    (void)object;
    done_count++;
}

static struct weir_pool *make(uint32_t idle_max)
{
    struct weir_pool *pool = NULL;
    assert_int_equal(weir_pool_new(40, idle_max, note_done, &pool), WEIR_OK);
    return pool;
}

static void free_while_taken(void *argument)
{
    (void)argument;
    struct weir_pool *pool = make(1);
    void *object = weir_pool_take(pool);
    (void)object;
    weir_pool_free(pool);
}

static void give_twice(void *argument)
{
    (void)argument;
    struct weir_pool *pool = make(2);
    void *object = weir_pool_take(pool);
    weir_pool_give(pool, object);
    weir_pool_give(pool, object);
}

static void test_impossible_pools_are_refused(void **state)
{
    (void)state;
    struct weir_pool *pool = NULL;
    assert_int_equal(weir_pool_new(0, 1, NULL, &pool), WEIR_EINVAL);
    assert_int_equal(weir_pool_new(8, 0, NULL, &pool), WEIR_EINVAL);
    assert_int_equal(weir_pool_new(8, 65537, NULL, &pool), WEIR_EINVAL);
    assert_null(pool);
    weir_pool_free(NULL);
}

static void test_a_new_object_is_zero_and_comes_back_as_it_was_given(void **state)
{
    (void)state;
    static const uint8_t zeros[40];
    struct weir_pool *pool = make(4);
    uint8_t *object = weir_pool_take(pool);
    assert_memory_equal(object, zeros, 40);
    memset(object, 'x', 40);
    weir_pool_give(pool, object);
    uint64_t calls = weir_mem_calls();
    uint8_t *again = weir_pool_take(pool);
    assert_ptr_equal(again, object);
    assert_int_equal(again[39], 'x');
    assert_int_equal(weir_mem_calls(), calls);
    weir_pool_give(pool, again);
    weir_pool_free(pool);
}

static void test_what_is_too_much_is_freed(void **state)
{
    (void)state;
    struct weir_pool *pool = make(2);
    void *objects[5];
    for (size_t i = 0; i < 5; i++) {
        objects[i] = weir_pool_take(pool);
    }
    assert_int_equal(weir_pool_taken(pool), 5); /* and a sixth was made with the fifth */
    done_count = 0;
    for (size_t i = 0; i < 5; i++) {
        weir_pool_give(pool, objects[i]);
    }
    assert_int_equal(done_count, 4);
    assert_int_equal(weir_pool_taken(pool), 0);
    assert_int_equal(weir_pool_taken_max(pool), 5);
    weir_pool_free(pool);
    assert_int_equal(done_count, 6);
}

static void test_several_are_made_at_once_and_all_are_zero(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static const uint8_t zeros[40];
    static uint8_t *objects[COUNT];
    struct weir_pool *pool = make(COUNT);
    uint64_t calls = weir_mem_calls();
    for (size_t i = 0; i < COUNT; i++) {
        objects[i] = weir_pool_take(pool);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % _Alignof(max_align_t), 0);
        assert_memory_equal(objects[i], zeros, 40);
        memset(objects[i], 'x', 40);
    }
    assert_true(weir_mem_calls() - calls <= 15); /* 8, and each time half as many again */
    /* every second one, so that blocks are left by some of theirs */
    for (size_t i = 0; i < COUNT; i += 2) {
        weir_pool_give(pool, objects[i]);
    }
    calls = weir_mem_calls();
    for (size_t i = 0; i < COUNT; i += 2) {
        objects[i] = weir_pool_take(pool);
    }
    assert_int_equal(weir_mem_calls(), calls);
    for (size_t i = 0; i < COUNT; i++) {
        weir_pool_give(pool, objects[i]);
    }
    weir_pool_free(pool);
}

static void test_no_object_is_out_twice(void **state)
{
    (void)state;
    enum { SLOTS = 16 };
    struct weir_pool *pool = make(SLOTS);
    struct weir_rand rand = support_rand(2);
    uint32_t *out[2 * SLOTS] = {NULL};
    for (int round = 0; round < 20000; round++) {
        size_t at = (size_t)weir_rand_below(&rand, 2 * SLOTS);
        if (out[at] == NULL) {
            out[at] = weir_pool_take(pool);
            *out[at] = (uint32_t)at;
        } else {
            assert_int_equal(*out[at], at);
            weir_pool_give(pool, out[at]);
            out[at] = NULL;
        }
    }
    for (size_t i = 0; i < 2 * SLOTS; i++) {
        weir_pool_give(pool, out[i]);
    }
    weir_pool_free(pool);
}

static void test_mistakes_of_the_owner_are_asserted(void **state)
{
    (void)state;
    assert_true(support_aborts(free_while_taken, NULL));
    assert_true(support_aborts(give_twice, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_pools_are_refused),
        cmocka_unit_test(test_a_new_object_is_zero_and_comes_back_as_it_was_given),
        cmocka_unit_test(test_what_is_too_much_is_freed),
        cmocka_unit_test(test_several_are_made_at_once_and_all_are_zero),
        cmocka_unit_test(test_no_object_is_out_twice),
        cmocka_unit_test(test_mistakes_of_the_owner_are_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
