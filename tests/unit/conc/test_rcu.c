/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/rcu.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void stop_unstarted(void *argument)
{
    (void)argument;
    weir_rcu_thread_stop();
}

static void test_registrations_nest(void **state)
{
    (void)state;
    weir_rcu_thread_start();
    weir_rcu_thread_start();
    weir_rcu_thread_stop();
    weir_rcu_read_lock(); /* still registered */
    weir_rcu_read_lock();
    weir_rcu_read_unlock();
    weir_rcu_read_unlock();
    weir_rcu_synchronize();
    weir_rcu_thread_stop();
}

static void test_what_is_published_is_loaded(void **state)
{
    (void)state;
    int first = 1;
    int second = 2;
    void *place = NULL;
    weir_rcu_thread_start();
    assert_null(weir_rcu_load(&place));
    weir_rcu_publish(&place, &first);
    assert_ptr_equal(weir_rcu_load(&place), &first);
    weir_rcu_publish(&place, &second);
    assert_ptr_equal(weir_rcu_load(&place), &second);
    weir_rcu_publish(&place, NULL);
    assert_null(weir_rcu_load(&place));
    weir_rcu_thread_stop();
}

static void test_mistakes_are_asserted(void **state)
{
    (void)state;
    assert_true(support_aborts(stop_unstarted, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registrations_nest),
        cmocka_unit_test(test_what_is_published_is_loaded),
        cmocka_unit_test(test_mistakes_are_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
