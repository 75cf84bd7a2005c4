/* SPDX-License-Identifier: Apache-2.0 */
/* What the table of progress keeps for the next, and how it counts that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/spool/ledger_internal.h"

enum { KEPT = 8192 }; /* IDLE_MAX */

static struct weir_ledger_progress *wide(struct weir_ledger_progress_table *table)
{
    struct weir_ledger_progress *progress = weir_ledger_progress_new(table, 1, 0);
    assert_non_null(progress);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(weir_ledger_progress_add(progress, 2 * i, 2 * i + 1, 100), WEIR_OK);
    }
    return progress;
}

static void test_what_the_full_pool_frees_is_not_counted(void **state)
{
    (void)state;
    static struct weir_ledger_progress *narrow[KEPT];
    struct weir_ledger_progress_table table;
    assert_int_equal(weir_ledger_progress_table_init(&table), WEIR_OK);
    struct weir_ledger_progress *last = wide(&table);
    for (uint32_t i = 0; i < KEPT; i++) {
        narrow[i] = weir_ledger_progress_new(&table, i, 0);
        assert_non_null(narrow[i]);
    }
    for (uint32_t i = 0; i < KEPT; i++) {
        weir_ledger_progress_free(&table, narrow[i]);
    }
    weir_ledger_progress_free(&table, last);
    assert_int_equal(table.idle_wide, 0);
    weir_ledger_progress_table_done(&table);
}

/* What the pool has made ahead takes places in it too. */
static void test_what_was_made_ahead_is_in_the_pool(void **state)
{
    (void)state;
    enum { MANY = KEPT, WIDE = 300 };
    static struct weir_ledger_progress *taken[MANY];
    struct weir_ledger_progress_table table;
    assert_int_equal(weir_ledger_progress_table_init(&table), WEIR_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        taken[i] = i < WIDE ? wide(&table) : weir_ledger_progress_new(&table, i, 0);
        assert_non_null(taken[i]);
    }
    assert_true(weir_pool_idle(table.pool) > 0);
    for (uint32_t i = MANY; i-- > 0;) { /* the pool is full when the wide ones come */
        weir_ledger_progress_free(&table, taken[i]);
    }
    assert_int_equal(table.idle_wide, 0);
    weir_ledger_progress_table_done(&table);
}

static void test_what_is_kept_is_counted(void **state)
{
    (void)state;
    struct weir_ledger_progress_table table;
    assert_int_equal(weir_ledger_progress_table_init(&table), WEIR_OK);
    weir_ledger_progress_free(&table, wide(&table));
    assert_int_equal(table.idle_wide, 1);
    struct weir_ledger_progress *again = weir_ledger_progress_new(&table, 2, 0);
    assert_int_equal(table.idle_wide, 0);
    assert_true(again->capacity >= 20);
    weir_ledger_progress_free(&table, again);
    weir_ledger_progress_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_full_pool_frees_is_not_counted),
        cmocka_unit_test(test_what_was_made_ahead_is_in_the_pool),
        cmocka_unit_test(test_what_is_kept_is_counted),
    };
    return cmocka_run_group_tests_name("ledger_progress", tests, NULL, NULL);
}
