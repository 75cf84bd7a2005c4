/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/credit.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void give_too_much(void *argument)
{
    weir_credit_give(argument, 1);
}

static void end_in_debt(void *argument)
{
    struct weir_credit *credit = argument;
    weir_credit_force(credit, 1);
    weir_credit_done(credit);
}

static void test_up_to_the_limit_and_no_further(void **state)
{
    (void)state;
    struct weir_credit credit;
    weir_credit_init(&credit, 10);
    assert_true(weir_credit_take(&credit, 4));
    assert_true(weir_credit_take(&credit, 6));
    assert_false(weir_credit_take(&credit, 1));
    assert_true(weir_credit_take(&credit, 0));
    assert_int_equal(weir_credit_used(&credit), 10);
    weir_credit_give(&credit, 6);
    assert_false(weir_credit_take(&credit, 7));
    assert_int_equal(weir_credit_used(&credit), 4);
    weir_credit_give(&credit, 4);
    assert_int_equal(weir_credit_used_max(&credit), 10);
    weir_credit_done(&credit);
}

static void test_huge_requests_do_not_wrap(void **state)
{
    (void)state;
    struct weir_credit credit;
    weir_credit_init(&credit, SIZE_MAX);
    assert_true(weir_credit_take(&credit, SIZE_MAX));
    assert_false(weir_credit_take(&credit, 1));
    weir_credit_give(&credit, SIZE_MAX);
    weir_credit_init(&credit, 10);
    assert_true(weir_credit_take(&credit, 5));
    assert_false(weir_credit_take(&credit, SIZE_MAX));
    assert_false(weir_credit_take(&credit, SIZE_MAX - 4));
    assert_int_equal(weir_credit_used(&credit), 5);
}

static void test_force_goes_past_and_take_then_refuses(void **state)
{
    (void)state;
    struct weir_credit credit;
    weir_credit_init(&credit, 10);
    weir_credit_force(&credit, 15);
    assert_int_equal(weir_credit_used(&credit), 15);
    assert_int_equal(weir_credit_used_max(&credit), 15);
    assert_false(weir_credit_take(&credit, 1));
    assert_false(weir_credit_take(&credit, 0));
    weir_credit_give(&credit, 15);
    assert_true(weir_credit_take(&credit, 10));
}

static void test_a_limit_of_zero_lets_nothing_in(void **state)
{
    (void)state;
    struct weir_credit credit;
    weir_credit_init(&credit, 0);
    assert_false(weir_credit_take(&credit, 1));
}

static void test_mistakes_are_asserted(void **state)
{
    (void)state;
    struct weir_credit credit;
    weir_credit_init(&credit, 10);
    assert_true(support_aborts(give_too_much, &credit));
    assert_true(support_aborts(end_in_debt, &credit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_to_the_limit_and_no_further),
        cmocka_unit_test(test_huge_requests_do_not_wrap),
        cmocka_unit_test(test_force_goes_past_and_take_then_refuses),
        cmocka_unit_test(test_a_limit_of_zero_lets_nothing_in),
        cmocka_unit_test(test_mistakes_are_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
