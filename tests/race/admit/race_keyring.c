/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/keyring.h"
#include "weir/rcu.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Loops judge requests while the keys rotate as fast as they may. One key is in every set, as in a
 * rotation: it must never be refused. Requests end in another order than they began, so sets are
 * let go by whoever is last. */
enum { JUDGES = 3, ROTATIONS = 300, OPEN = 4 };

static struct weir_keyring *ring;
static _Atomic bool is_over;
static _Atomic uint32_t refused;

static void judge_once(const struct weir_keys **held)
{
    uint32_t index = 0;
    weir_keyring_release(*held);
    *held = weir_keyring_hold(ring);
    enum weir_key_verdict verdict =
        weir_keys_check(*held, WEIR_BYTES("stays"), (struct weir_bytes){NULL, 0}, 1, &index);
    if (verdict != WEIR_KEY_OK || strcmp(weir_keys_name(*held, index), "stays") != 0) {
        /* relaxed: a count, read after the join */
        atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
    }
}

static void *judge(void *argument)
{
    (void)argument;
    const struct weir_keys *held[OPEN] = {NULL};
    weir_rcu_thread_start();
    /* relaxed: only when to stop */
    for (size_t i = 0; !atomic_load_explicit(&is_over, memory_order_relaxed); i++) {
        judge_once(&held[i % OPEN]);
    }
    for (size_t i = 0; i < OPEN; i++) {
        weir_keyring_release(held[i]);
    }
    weir_rcu_thread_stop();
    return NULL;
}

static struct weir_keys *make(unsigned rotation)
{
    char text[32];
    (void)snprintf(text, sizeof text, "key-%u", rotation);
    const struct weir_key_spec specs[] = {{.name = text, .key = weir_bytes_str(text)},
                                          {.name = "stays", .key = WEIR_BYTES_INIT("stays")}};
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(specs, 2, &keys), WEIR_OK);
    return keys;
}

static void test_a_key_in_both_sets_is_never_refused(void **state)
{
    (void)state;
    pthread_t judges[JUDGES];
    weir_rcu_thread_start();
    assert_int_equal(weir_keyring_new(make(0), &ring), WEIR_OK);
    for (size_t i = 0; i < JUDGES; i++) {
        assert_int_equal(pthread_create(&judges[i], NULL, judge, NULL), 0);
    }
    for (unsigned i = 1; i <= ROTATIONS; i++) {
        weir_keyring_publish(ring, make(i));
    }
    /* relaxed: partner is judge */
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    for (size_t i = 0; i < JUDGES; i++) {
        assert_int_equal(pthread_join(judges[i], NULL), 0);
    }
    assert_int_equal(atomic_load_explicit(&refused, memory_order_relaxed), 0);
    weir_keyring_free(ring);
    weir_rcu_thread_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_in_both_sets_is_never_refused),
    };
    return cmocka_run_group_tests_name("race keyring", tests, NULL, NULL);
}
