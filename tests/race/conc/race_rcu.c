/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/mem.h"
#include "weir/rcu.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

/* Readers follow a pointer that a writer replaces and frees as fast as it may: a reader that sees
 * freed memory is found by the sanitizers, one that sees half a version by the two equal fields. */
enum { READERS = 3, VERSIONS = 300 };

struct version {
    uint64_t first;
    uint64_t second;
};

static void *place;
static _Atomic bool is_over;
static _Atomic bool is_torn;

static void *read_versions(void *argument)
{
    (void)argument;
    weir_rcu_thread_start();
    /* relaxed: only when to stop */
    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        weir_rcu_read_lock();
        const struct version *version = weir_rcu_load(&place);
        if (version->first != version->second) {
            atomic_store_explicit(&is_torn, true, memory_order_relaxed);
        }
        weir_rcu_read_unlock();
    }
    weir_rcu_thread_stop();
    return NULL;
}

static struct version *make(uint64_t number)
{
    struct version *version = weir_mem_alloc(sizeof *version);
    assert_non_null(version);
    *version = (struct version){number, number};
    return version;
}

static void test_readers_never_see_a_freed_version(void **state)
{
    (void)state;
    pthread_t readers[READERS];
    weir_rcu_thread_start();
    struct version *current = make(0);
    weir_rcu_publish(&place, current);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_versions, NULL), 0);
    }
    for (uint64_t i = 1; i <= VERSIONS; i++) {
        struct version *fresh = make(i);
        weir_rcu_publish(&place, fresh);
        weir_rcu_synchronize();
        current->second = i + 1; /* nobody may see this */
        weir_mem_free(current);
        current = fresh;
    }
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    assert_false(atomic_load_explicit(&is_torn, memory_order_relaxed));
    weir_mem_free(current);
    weir_rcu_thread_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_never_see_a_freed_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
