/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/conc/ring_internal.h"
#include "support.h"
#include "weir/ring.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static struct weir_ring *make(uint32_t slots)
{
    struct weir_ring *ring = NULL;
    assert_int_equal(weir_ring_new(slots, &ring), WEIR_OK);
    return ring;
}

static void push(struct weir_ring *ring, int *item)
{
    assert_int_equal(weir_ring_reserve(ring, 1), WEIR_OK);
    weir_ring_push(ring, item);
}

static void free_full(void *argument)
{
    weir_ring_free(argument);
}

static void free_with_credit_out(void *argument)
{
    enum weir_status status = weir_ring_reserve(argument, 1);
    (void)status;
    weir_ring_free(argument);
}

static void push_nothing(void *argument)
{
    enum weir_status status = weir_ring_reserve(argument, 1);
    (void)status;
    weir_ring_push(argument, NULL);
}

static void cancel_too_much(void *argument)
{
    weir_ring_cancel(argument, 1);
}

static void test_impossible_sizes_are_refused(void **state)
{
    (void)state;
    const uint32_t sizes[] = {0, 1, 3, 6, 1000, (1U << 20) + 1, 1U << 21, UINT32_MAX};
    struct weir_ring *ring = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(weir_ring_new(sizes[i], &ring), WEIR_EINVAL);
        assert_null(ring);
    }
    weir_ring_free(NULL);
    weir_ring_free(make(1U << 20));
}

static void test_first_in_first_out(void **state)
{
    (void)state;
    struct weir_ring *ring = make(4);
    int items[4];
    assert_null(weir_ring_pop(ring));
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < 3; i++) {
            weir_ring_ask(ring); /* of any ring, and to no effect */
            push(ring, &items[i]);
        }
        weir_ring_validate(ring, 0);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(weir_ring_count(ring), 3 - i);
            assert_ptr_equal(weir_ring_pop(ring), &items[i]);
        }
        assert_null(weir_ring_pop(ring));
        weir_ring_validate(ring, 0);
    }
    weir_ring_free(ring);
}

static void test_credit_is_all_or_nothing(void **state)
{
    (void)state;
    struct weir_ring *ring = make(4);
    int item;
    assert_int_equal(weir_ring_reserve(ring, 5), WEIR_EFULL);
    assert_int_equal(weir_ring_reserve(ring, 3), WEIR_OK);
    assert_int_equal(weir_ring_reserve(ring, 2), WEIR_EFULL);
    assert_int_equal(weir_ring_reserve(ring, UINT32_MAX), WEIR_EFULL);
    weir_ring_validate(ring, 3);
    weir_ring_cancel(ring, 2);
    assert_int_equal(weir_ring_reserve(ring, 4), WEIR_EFULL);
    assert_int_equal(weir_ring_reserve(ring, 3), WEIR_OK);
    for (int i = 0; i < 4; i++) {
        weir_ring_push(ring, &item);
    }
    assert_int_equal(weir_ring_reserve(ring, 1), WEIR_EFULL);
    assert_ptr_equal(weir_ring_pop(ring), &item);
    assert_int_equal(weir_ring_reserve(ring, 1), WEIR_OK);
    weir_ring_cancel(ring, 1);
    while (weir_ring_pop(ring) != NULL) {
    }
    weir_ring_free(ring);
}

static void test_waiting_items_are_seen_and_replaced(void **state)
{
    (void)state;
    struct weir_ring *ring = make(4);
    int items[4];
    assert_null(weir_ring_at(ring, 0));
    push(ring, &items[0]);
    push(ring, &items[1]);
    assert_ptr_equal(*weir_ring_at(ring, 1), &items[1]);
    *weir_ring_at(ring, 1) = &items[3];
    assert_null(weir_ring_at(ring, 2));
    assert_null(weir_ring_at(ring, 3));
    assert_null(weir_ring_at(ring, 4)); /* would be item 0 again */
    assert_null(weir_ring_at(ring, UINT32_MAX));
    assert_ptr_equal(weir_ring_pop(ring), &items[0]);
    assert_ptr_equal(weir_ring_pop(ring), &items[3]);
    weir_ring_free(ring);
}

static void test_mistakes_are_asserted(void **state)
{
    (void)state;
    struct weir_ring *ring = make(2);
    int item;
    assert_true(support_aborts(free_with_credit_out, ring));
    assert_true(support_aborts(push_nothing, ring));
    assert_true(support_aborts(cancel_too_much, ring));
    push(ring, &item);
    assert_true(support_aborts(free_full, ring));
    assert_ptr_equal(weir_ring_pop(ring), &item);
    weir_ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_sizes_are_refused),
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_credit_is_all_or_nothing),
        cmocka_unit_test(test_waiting_items_are_seen_and_replaced),
        cmocka_unit_test(test_mistakes_are_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
