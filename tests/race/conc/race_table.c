/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/rcu.h"
#include "weir/table.h"
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <setjmp.h>

#include <cmocka.h>

/* Threads bring the same names at once, each in its own order: all must agree on every number. */
enum { THREADS = 4, NAMES = 2000 };

struct worker {
    struct weir_table *table;
    uint32_t numbers[NAMES];
    uint32_t id;
    pthread_t thread;
    bool failed;
};

static void *bring_names(void *argument)
{
    struct worker *worker = argument;
    weir_rcu_thread_start();
    for (uint32_t i = 0; i < NAMES; i++) {
        uint32_t at = worker->id % 2 == 0 ? i : NAMES - 1 - i;
        char name[32];
        (void)snprintf(name, sizeof name, "AWS/Namespace%u", at);
        enum weir_status status =
            weir_table_intern(worker->table, weir_bytes_str(name), &worker->numbers[at]);
        struct weir_bytes back = {NULL, 0};
        if (status == WEIR_OK) {
            back = weir_table_name(worker->table, worker->numbers[at]);
        }
        worker->failed |= !weir_bytes_eq(back, weir_bytes_str(name));
    }
    weir_rcu_thread_stop();
    return NULL;
}

static void test_all_threads_agree_on_every_number(void **state)
{
    (void)state;
    static struct worker workers[THREADS];
    struct weir_table *table = NULL;
    weir_rcu_thread_start();
    assert_int_equal(weir_table_new(NAMES, &table), WEIR_OK);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].table = table;
        workers[i].id = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, bring_names, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_false(workers[i].failed);
        assert_memory_equal(workers[i].numbers, workers[0].numbers, sizeof workers[0].numbers);
    }
    assert_int_equal(weir_table_count(table), NAMES);
    weir_table_free(table);
    weir_rcu_thread_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_threads_agree_on_every_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
