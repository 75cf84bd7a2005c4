/* SPDX-License-Identifier: Apache-2.0 */
/* What the table of progress keeps for the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/spool/ledger_internal.h"

#include "weir/mem.h"

enum { KEPT = 512 }; /* SPARES_MAX */

static uint32_t spares(const struct weir_ledger_progress_table *table)
{
    return table->spare_counts[0] + table->spare_counts[1];
}

/* With `spans` of them, two points apart. */
static struct weir_ledger_progress *made(struct weir_ledger_progress_table *table, uint32_t spans)
{
    struct weir_ledger_progress *progress = weir_ledger_progress_new(table, 1, 0);
    assert_non_null(progress);
    for (uint32_t i = 0; i < spans; i++) {
        assert_int_equal(weir_ledger_progress_add(table, progress, 2 * i, 2 * i + 1, 5000),
                         WEIR_OK);
    }
    assert_int_equal(progress->count, spans);
    for (uint32_t i = 0; i < spans; i++) {
        assert_int_equal(progress->spans[i].begin, 2 * i);
        assert_int_equal(progress->spans[i].end, 2 * i + 1);
    }
    return progress;
}

static void test_room_is_kept_for_the_next_that_needs_it(void **state)
{
    (void)state;
    struct weir_ledger_progress_table table;
    assert_int_equal(weir_ledger_progress_table_init(&table), WEIR_OK);
    struct weir_ledger_progress *held = made(&table, 1);
    weir_ledger_progress_free(&table, made(&table, 200)); /* 64 on the way, and 256 */
    assert_int_equal(spares(&table), 2);
    struct weir_ledger_progress *narrow = made(&table, 16);
    assert_int_equal(spares(&table), 2);
    uint64_t calls = weir_mem_calls();
    struct weir_ledger_progress *wide = made(&table, 17); /* another than had it before */
    assert_int_equal(spares(&table), 1);
    struct weir_ledger_progress *wider = made(&table, 17);
    assert_int_equal(weir_mem_calls() - calls, 1);
    weir_ledger_progress_free(&table, wide);
    weir_ledger_progress_free(&table, wider);
    weir_ledger_progress_free(&table, made(&table, 200));
    assert_int_equal(weir_mem_calls() - calls, 1);
    weir_ledger_progress_free(&table, narrow);
    weir_ledger_progress_free(&table, held);
    assert_int_equal(spares(&table), 3);
    weir_ledger_progress_table_done(&table);
}

static void test_room_that_is_kept_has_a_limit(void **state)
{
    (void)state;
    static struct weir_ledger_progress *taken[KEPT + 3];
    struct weir_ledger_progress_table table;
    assert_int_equal(weir_ledger_progress_table_init(&table), WEIR_OK);
    weir_ledger_progress_free(&table, made(&table, 300)); /* the largest is not kept */
    assert_int_equal(spares(&table), 2);
    for (uint32_t i = 0; i < KEPT + 3; i++) {
        taken[i] = made(&table, 20);
    }
    assert_int_equal(spares(&table), 1);
    for (uint32_t i = 0; i < KEPT + 3; i++) {
        weir_ledger_progress_free(&table, taken[i]);
    }
    assert_int_equal(table.spare_counts[0], KEPT);
    weir_ledger_progress_table_done(&table);
}

/* Many that had a little more do not take the places of the few that had much. */
static void test_each_size_of_room_has_its_own_limit(void **state)
{
    (void)state;
    static struct weir_ledger_progress *taken[KEPT + 1];
    struct weir_ledger_progress_table table;
    assert_int_equal(weir_ledger_progress_table_init(&table), WEIR_OK);
    for (uint32_t i = 0; i < KEPT + 1; i++) {
        taken[i] = made(&table, 20);
    }
    for (uint32_t i = 0; i < KEPT + 1; i++) {
        weir_ledger_progress_free(&table, taken[i]);
    }
    weir_ledger_progress_free(&table, made(&table, 200));
    assert_int_equal(spares(&table), KEPT + 1);
    uint64_t calls = weir_mem_calls();
    weir_ledger_progress_free(&table, made(&table, 200));
    assert_int_equal(weir_mem_calls(), calls);
    weir_ledger_progress_table_done(&table);
}

static void test_without_memory_a_span_is_forgotten_and_no_other(void **state)
{
    (void)state;
    struct weir_ledger_progress_table table;
    assert_int_equal(weir_ledger_progress_table_init(&table), WEIR_OK);
    struct weir_ledger_progress *progress = made(&table, 16);
    (void)weir_mem_fail_at(1);
    assert_int_equal(weir_ledger_progress_add(&table, progress, 100, 101, 5000), WEIR_ENOMEM);
    assert_true(weir_mem_fail_at(0));
    assert_int_equal(progress->count, 16);
    assert_false(weir_ledger_progress_overlaps(progress, 100, 101));
    assert_int_equal(weir_ledger_progress_add(&table, progress, 100, 101, 5000), WEIR_OK);
    assert_true(weir_ledger_progress_overlaps(progress, 100, 101));
    weir_ledger_progress_free(&table, progress);
    weir_ledger_progress_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room_is_kept_for_the_next_that_needs_it),
        cmocka_unit_test(test_room_that_is_kept_has_a_limit),
        cmocka_unit_test(test_each_size_of_room_has_its_own_limit),
        cmocka_unit_test(test_without_memory_a_span_is_forgotten_and_no_other),
    };
    return cmocka_run_group_tests_name("ledger_progress", tests, NULL, NULL);
}
