/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/mem.h"
#include "weir/rcu.h"
#include "weir/table.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <setjmp.h>

#include <cmocka.h>

static struct weir_table *make(uint32_t capacity)
{
    struct weir_table *table = NULL;
    weir_rcu_thread_start();
    assert_int_equal(weir_table_new(capacity, &table), WEIR_OK);
    return table;
}

static void end(struct weir_table *table)
{
    weir_table_free(table);
    weir_rcu_thread_stop();
}

static struct weir_table *asked;

static void ask_past_the_end(void *argument)
{
    (void)argument;
    (void)weir_table_name(asked, weir_table_count(asked));
}

static void test_impossible_capacities_are_refused(void **state)
{
    (void)state;
    struct weir_table *table = NULL;
    assert_int_equal(weir_table_new(0, &table), WEIR_EINVAL);
    assert_int_equal(weir_table_new(65537, &table), WEIR_EINVAL);
    assert_null(table);
    weir_table_free(NULL);
}

static void test_numbers_come_in_order_and_stay(void **state)
{
    (void)state;
    struct weir_table *table = make(100);
    uint32_t index = 77;
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 100; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "name %u", i);
            assert_int_equal(weir_table_intern(table, weir_bytes_str(name), &index), WEIR_OK);
            assert_int_equal(index, i);
        }
        assert_int_equal(weir_table_count(table), 100);
    }
    support_assert_bytes(weir_table_name(table, 42), WEIR_BYTES("name 42"));
    end(table);
}

static void test_a_full_table_still_knows_its_names(void **state)
{
    (void)state;
    struct weir_table *table = make(2);
    uint32_t index = 77;
    assert_int_equal(weir_table_intern(table, WEIR_BYTES("a"), &index), WEIR_OK);
    assert_int_equal(weir_table_intern(table, WEIR_BYTES("b"), &index), WEIR_OK);
    index = 77;
    assert_int_equal(weir_table_intern(table, WEIR_BYTES("c"), &index), WEIR_EFULL);
    assert_int_equal(index, 77);
    assert_int_equal(weir_table_intern(table, WEIR_BYTES("a"), &index), WEIR_OK);
    assert_int_equal(index, 0);
    end(table);
}

static void test_names_are_bytes_not_text(void **state)
{
    (void)state;
    struct weir_table *table = make(4);
    uint32_t first = 0;
    uint32_t second = 0;
    assert_int_equal(weir_table_intern(table, weir_bytes_of("a\0b", 3), &first), WEIR_OK);
    assert_int_equal(weir_table_intern(table, weir_bytes_of("a\0c", 3), &second), WEIR_OK);
    assert_int_not_equal(first, second);
    assert_int_equal(weir_table_intern(table, weir_bytes_str(NULL), &first), WEIR_OK);
    assert_int_equal(weir_table_intern(table, WEIR_BYTES(""), &second), WEIR_OK);
    assert_int_equal(first, second);
    assert_int_equal(weir_table_name(table, first).size, 0);
    end(table);
}

static void test_a_long_name_is_refused(void **state)
{
    (void)state;
    struct weir_table *table = make(4);
    static uint8_t name[1025];
    uint32_t index = 77;
    assert_int_equal(weir_table_intern(table, weir_bytes_of(name, 1025), &index), WEIR_ELIMIT);
    assert_int_equal(index, 77);
    assert_int_equal(weir_table_intern(table, weir_bytes_of(name, 1024), &index), WEIR_OK);
    end(table);
}

static void test_finding_adds_nothing_and_allocates_nothing(void **state)
{
    (void)state;
    struct weir_table *table = make(4);
    uint32_t index = 77;
    assert_int_equal(weir_table_find(table, WEIR_BYTES("a"), &index), WEIR_ENOTFOUND);
    assert_int_equal(index, 77);
    assert_int_equal(weir_table_count(table), 0);
    assert_int_equal(weir_table_intern(table, WEIR_BYTES("a"), &index), WEIR_OK);
    uint64_t calls = weir_mem_calls();
    assert_int_equal(weir_table_find(table, WEIR_BYTES("a"), &index), WEIR_OK);
    assert_int_equal(weir_table_intern(table, WEIR_BYTES("a"), &index), WEIR_OK);
    assert_int_equal(weir_mem_calls(), calls);
    end(table);
}

static void test_a_number_that_is_none_is_asserted(void **state)
{
    (void)state;
    asked = make(4);
    assert_true(support_aborts(ask_past_the_end, NULL));
    end(asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_capacities_are_refused),
        cmocka_unit_test(test_numbers_come_in_order_and_stay),
        cmocka_unit_test(test_a_full_table_still_knows_its_names),
        cmocka_unit_test(test_names_are_bytes_not_text),
        cmocka_unit_test(test_a_long_name_is_refused),
        cmocka_unit_test(test_finding_adds_nothing_and_allocates_nothing),
        cmocka_unit_test(test_a_number_that_is_none_is_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
