/* SPDX-License-Identifier: Apache-2.0 */
#include "counting.h"
#include "support.h"
#include "weir/expo.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/rcu.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <setjmp.h>

#include <cmocka.h>

static uint32_t by_reason(const char *code, const char *reason)
{
    const struct weir_bytes values[] = {weir_bytes_str(code), weir_bytes_str(reason)};
    return weir_metrics_series(WEIR_M_REQUESTS, values);
}

static uint32_t by_one(enum weir_family family, const char *value)
{
    const struct weir_bytes values[] = {weir_bytes_str(value)};
    return weir_metrics_series(family, values);
}

static uint32_t plain(enum weir_family family)
{
    return weir_metrics_series(family, NULL);
}

static void *count_a_thousand(void *argument)
{
    _Atomic bool *failed = argument;
    weir_rcu_thread_start();
    if (weir_metrics_thread_start() != WEIR_OK) {
        atomic_store_explicit(failed, true, memory_order_relaxed);
        return NULL;
    }
    for (int i = 0; i < 1000; i++) {
        weir_metrics_add(by_reason("200", "accepted"), 1);
        weir_metrics_observe(plain(WEIR_M_REQUEST_DURATION), 0.5);
        weir_metrics_add(plain(WEIR_M_CONNECTIONS), 1);
    }
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
    return NULL;
}

static void count_without_a_slab(void *argument)
{
    (void)argument;
    uint32_t series = plain(WEIR_M_ID_MISMATCHES);
    weir_metrics_thread_stop();
    weir_metrics_add(series, 1);
}

static void set_a_counter(void *argument)
{
    (void)argument;
    weir_metrics_set(plain(WEIR_M_ID_MISMATCHES), 1);
}

static void observe_a_gauge(void *argument)
{
    (void)argument;
    weir_metrics_observe(plain(WEIR_M_CONNECTIONS), 1);
}

static void add_to_a_histogram(void *argument)
{
    (void)argument;
    weir_metrics_add(plain(WEIR_M_REQUEST_DURATION), 1);
}

static void count_a_series_that_is_none(void *argument)
{
    (void)argument;
    weir_metrics_add(WEIR_METRICS_SERIES_MAX, 1);
}

static void leave_values_out(void *argument)
{
    (void)argument;
    (void)weir_metrics_series(WEIR_M_REQUESTS, NULL);
}

static void test_the_same_values_are_the_same_series(void **state)
{
    (void)state;
    counting_start();
    assert_int_equal(by_reason("200", "a"), by_reason("200", "a"));
    assert_int_not_equal(by_reason("200", "a"), by_reason("200", "b"));
    assert_int_not_equal(by_reason("200", "a"), by_reason("20", "0a"));
    assert_int_not_equal(by_one(WEIR_M_RECORDS, "a"), by_one(WEIR_M_QUARANTINED, "a"));
    assert_int_not_equal(plain(WEIR_M_CONNECTIONS), plain(WEIR_M_ALLOCATIONS));
    counting_stop();
}

static void test_counts_gauges_and_histograms(void **state)
{
    (void)state;
    counting_start();
    weir_metrics_add(by_reason("200", "a"), 3);
    weir_metrics_add(by_reason("200", "a"), 4);
    assert_true(weir_expo_value(by_reason("200", "a")) == 7.0);
    assert_true(weir_expo_value(by_reason("200", "b")) == 0.0);
    weir_metrics_set(plain(WEIR_M_CONNECTIONS), 12.5);
    weir_metrics_set(plain(WEIR_M_CONNECTIONS), -2);
    weir_metrics_add(plain(WEIR_M_CONNECTIONS), 5);
    assert_true(weir_expo_value(plain(WEIR_M_CONNECTIONS)) == 3.0);
    weir_metrics_set(plain(WEIR_M_PROCESS_CPU), 1.25);
    assert_true(weir_expo_value(plain(WEIR_M_PROCESS_CPU)) == 1.25);
    weir_metrics_observe(plain(WEIR_M_REQUEST_DURATION), 0.001);
    weir_metrics_observe(plain(WEIR_M_REQUEST_DURATION), 1e9);
    weir_metrics_observe(plain(WEIR_M_REQUEST_DURATION), -1);
    assert_true(weir_expo_value(plain(WEIR_M_REQUEST_DURATION)) == 3.0);
    counting_stop();
}

static void test_a_warm_series_allocates_nothing(void **state)
{
    (void)state;
    counting_start();
    weir_metrics_add(by_reason("200", "a"), 1);
    uint64_t calls = weir_mem_calls();
    for (int i = 0; i < 100; i++) {
        weir_metrics_add(by_reason("200", "a"), 1);
    }
    assert_int_equal(weir_mem_calls(), calls);
    counting_stop();
}

static void test_past_a_cap_everything_is_other_and_said(void **state)
{
    (void)state;
    counting_start();
    uint32_t other = by_one(WEIR_M_KEY_REQUESTS, "other");
    uint32_t overflow = by_one(WEIR_M_OVERFLOW, "weir_access_key_requests_total");
    uint32_t made = 0;
    for (int i = 0; i < 400; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key %d", i);
        made += by_one(WEIR_M_KEY_REQUESTS, key) != other;
    }
    assert_int_equal(made, 256);
    assert_true(weir_expo_value(overflow) == 144.0);
    assert_int_not_equal(by_one(WEIR_M_KEY_REQUESTS, "key 0"), other);
    assert_int_equal(by_one(WEIR_M_KEY_REQUESTS, "key 399"), other);
    assert_int_not_equal(by_one(WEIR_M_RECORDS, "json"), by_one(WEIR_M_RECORDS, "other"));
    counting_stop();
}

static void test_long_values_are_cut(void **state)
{
    (void)state;
    counting_start();
    static char text[2001];
    memset(text, 'x', sizeof text - 1);
    uint32_t first = by_reason(text, text);
    text[1500] = 'y';
    assert_int_equal(by_reason(text, text), first);
    weir_metrics_add(first, 1);
    counting_stop();
}

static void test_counts_of_ended_threads_stay(void **state)
{
    (void)state;
    counting_start();
    _Atomic bool failed = false;
    for (int round = 0; round < 3; round++) {
        pthread_t threads[3];
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, count_a_thousand, &failed), 0);
        }
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
        double expected = 3000.0 * (round + 1);
        assert_true(weir_expo_value(by_reason("200", "accepted")) == expected);
        assert_true(weir_expo_value(plain(WEIR_M_REQUEST_DURATION)) == expected);
        assert_true(weir_expo_value(plain(WEIR_M_CONNECTIONS)) == expected);
    }
    assert_false(atomic_load_explicit(&failed, memory_order_relaxed));
    counting_stop();
}

static void test_a_new_registry_is_empty(void **state)
{
    (void)state;
    counting_start();
    weir_metrics_add(by_reason("200", "a"), 1);
    counting_stop();
    counting_start();
    assert_true(weir_expo_value(by_reason("200", "a")) == 0.0);
    counting_stop();
    weir_metrics_stop();
    weir_metrics_thread_stop();
}

static void test_mistakes_are_asserted(void **state)
{
    (void)state;
    counting_start();
    assert_true(support_aborts(count_without_a_slab, NULL));
    assert_true(support_aborts(set_a_counter, NULL));
    assert_true(support_aborts(observe_a_gauge, NULL));
    assert_true(support_aborts(add_to_a_histogram, NULL));
    assert_true(support_aborts(count_a_series_that_is_none, NULL));
    assert_true(support_aborts(leave_values_out, NULL));
    counting_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_values_are_the_same_series),
        cmocka_unit_test(test_counts_gauges_and_histograms),
        cmocka_unit_test(test_a_warm_series_allocates_nothing),
        cmocka_unit_test(test_past_a_cap_everything_is_other_and_said),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_counts_of_ended_threads_stay),
        cmocka_unit_test(test_a_new_registry_is_empty),
        cmocka_unit_test(test_mistakes_are_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
