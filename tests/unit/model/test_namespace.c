/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/namespace.h"
#include "weir/rcu.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static int open_table(void **state)
{
    struct weir_namespaces *namespaces = NULL;
    weir_rcu_thread_start();
    enum weir_status status = weir_namespaces_new(&namespaces);
    *state = namespaces;
    return status == WEIR_OK ? 0 : -1;
}

static int close_table(void **state)
{
    weir_namespaces_free(*state);
    weir_rcu_thread_stop();
    return 0;
}

static void test_ids_count_up_and_stay(void **state)
{
    struct weir_namespaces *namespaces = *state;
    assert_int_equal(weir_namespaces_count(namespaces), 0);
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("AWS/EC2")), 0);
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("AWS/EBS")), 1);
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("AWS/EC2")), 0);
    assert_int_equal(weir_namespaces_count(namespaces), 2);
    support_assert_bytes(weir_namespaces_name(namespaces, 1), WEIR_BYTES("AWS/EBS"));
}

static void test_an_empty_name_is_a_name(void **state)
{
    struct weir_namespaces *namespaces = *state;
    assert_int_equal(weir_namespaces_id(namespaces, (struct weir_bytes){NULL, 0}), 0);
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("")), 0);
}

static void test_case_and_length_tell_names_apart(void **state)
{
    struct weir_namespaces *namespaces = *state;
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("AWS/EC2")), 0);
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("aws/ec2")), 1);
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("AWS/EC")), 2);
}

static void test_too_long_a_name_overflows(void **state)
{
    struct weir_namespaces *namespaces = *state;
    uint8_t name[256];
    memset(name, 'n', sizeof(name));
    assert_int_equal(weir_namespaces_id(namespaces, weir_bytes_of(name, 256)),
                     WEIR_NAMESPACE_OVERFLOW);
    assert_int_equal(weir_namespaces_count(namespaces), 0);
    assert_int_equal(weir_namespaces_id(namespaces, weir_bytes_of(name, 255)), 0);
}

static void test_too_many_names_share_one_id(void **state)
{
    struct weir_namespaces *namespaces = *state;
    char name[32];
    for (int i = 0; i < WEIR_NAMESPACES_MAX; i++) {
        snprintf(name, sizeof(name), "Custom/%d", i);
        assert_int_equal(weir_namespaces_id(namespaces, weir_bytes_str(name)), i);
    }
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("one more")),
                     WEIR_NAMESPACE_OVERFLOW);
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("and another")),
                     WEIR_NAMESPACE_OVERFLOW);
    assert_int_equal(weir_namespaces_id(namespaces, WEIR_BYTES("Custom/7")), 7);
    assert_int_equal(weir_namespaces_count(namespaces), WEIR_NAMESPACES_MAX);
    support_assert_bytes(weir_namespaces_name(namespaces, WEIR_NAMESPACE_OVERFLOW),
                         WEIR_BYTES("other"));
}

static void test_freeing_nothing(void **state)
{
    (void)state;
    weir_namespaces_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ids_count_up_and_stay, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_an_empty_name_is_a_name, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_case_and_length_tell_names_apart, open_table,
                                        close_table),
        cmocka_unit_test_setup_teardown(test_too_long_a_name_overflows, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_too_many_names_share_one_id, open_table, close_table),
        cmocka_unit_test(test_freeing_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
