/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that enter and leave with a few sources: some are refused, and when all have left, each
 * source can have exactly its limit again: no count was lost, and none is left over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/sources.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 4, ROUNDS = 20000, SOURCES = 3, LIMIT = 2 };

static struct weir_sources *sources;
static _Atomic uint32_t refused;

static struct weir_netaddr source_of(uint32_t number)
{
    struct weir_netaddr at = {.known = true};
    at.ip[7] = (uint8_t)number;
    return at;
}

static void *come_and_go(void *argument)
{
    uint32_t seed = (uint32_t)(uintptr_t)argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        seed = seed * 1103515245u + 12345u;
        uint32_t number = (seed >> 16) % SOURCES;
        struct weir_netaddr at = source_of(number);
        uint32_t ticket;
        if (!weir_sources_enter(sources, &at, &ticket)) {
            /* relaxed: read after the join */
            atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
            continue;
        }
        if ((seed & 3) == 0) {
            (void)sched_yield(); /* so that others meet it, on one core too */
        }
        weir_sources_leave(sources, ticket);
    }
    return NULL;
}

static void test_threads_come_and_go(void **state)
{
    (void)state;
    assert_int_equal(weir_sources_new(LIMIT, 16, &sources), WEIR_OK);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    /* relaxed: the threads are joined */
    assert_true(atomic_load_explicit(&refused, memory_order_relaxed) > 0);
    for (uint32_t number = 0; number < SOURCES; number++) {
        struct weir_netaddr at = source_of(number);
        uint32_t ticket;
        for (uint32_t i = 0; i < LIMIT; i++) {
            assert_true(weir_sources_enter(sources, &at, &ticket));
        }
        assert_false(weir_sources_enter(sources, &at, &ticket));
    }
    weir_sources_free(sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_come_and_go)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
