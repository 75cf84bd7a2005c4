/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "weir/retry_window.h"

#define S INT64_C(1000000000)

static const struct weir_retry_options OPTIONS = {900 * S, 1 * S, 30 * S};

/* Begun at `first_ns` and failed at `failed_ns`, with the jitter in the middle. */
static struct weir_retry a_failure(const struct weir_retry_options *options, int64_t first_ns,
                                   int64_t failed_ns)
{
    struct weir_retry retry;
    weir_retry_init(&retry);
    weir_retry_begin(&retry, first_ns);
    weir_retry_failed(&retry, options, failed_ns, -1, 0.5);
    return retry;
}

static void test_never_attempted_never_expires(void **state)
{
    (void)state;
    struct weir_retry retry;
    weir_retry_init(&retry);
    assert_true(weir_retry_deadline_ns(&retry, &OPTIONS) == INT64_MAX);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 0), WEIR_RETRY_GO);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, INT64_MAX), WEIR_RETRY_GO);
    assert_true(weir_retry_wakeup_ns(&retry, &OPTIONS) == 0);
}

static void test_next_edge(void **state)
{
    (void)state;
    struct weir_retry retry = a_failure(&OPTIONS, 10 * S, 12 * S);
    assert_true(retry.next_ns == 13 * S);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 13 * S - 1), WEIR_RETRY_WAIT);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 13 * S), WEIR_RETRY_GO);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 13 * S + 1), WEIR_RETRY_GO);
    assert_true(weir_retry_wakeup_ns(&retry, &OPTIONS) == 13 * S);
}

static void test_deadline_edge(void **state)
{
    (void)state;
    struct weir_retry retry = a_failure(&OPTIONS, 10 * S, 12 * S);
    assert_true(weir_retry_deadline_ns(&retry, &OPTIONS) == 910 * S);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 910 * S - 1), WEIR_RETRY_GO);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 910 * S), WEIR_RETRY_EXPIRED);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 910 * S + 1), WEIR_RETRY_EXPIRED);
}

static void test_window_runs_from_the_first_attempt(void **state)
{
    (void)state;
    struct weir_retry retry = a_failure(&OPTIONS, 10 * S, 12 * S);
    weir_retry_begin(&retry, 13 * S);
    weir_retry_failed(&retry, &OPTIONS, 14 * S, -1, 0.5);
    assert_int_equal(retry.attempts, 2);
    assert_true(weir_retry_deadline_ns(&retry, &OPTIONS) == 910 * S);
    assert_true(retry.next_ns == 16 * S);
}

static void test_wait_past_the_deadline_expires_at_the_deadline(void **state)
{
    (void)state;
    const struct weir_retry_options options = {10 * S, 8 * S, 8 * S};
    struct weir_retry retry = a_failure(&options, 0, 5 * S);
    assert_true(weir_retry_wakeup_ns(&retry, &options) == 10 * S);
    assert_int_equal(weir_retry_poll(&retry, &options, 10 * S - 1), WEIR_RETRY_WAIT);
    assert_int_equal(weir_retry_poll(&retry, &options, 10 * S), WEIR_RETRY_EXPIRED);
}

static void test_window_zero_is_one_attempt(void **state)
{
    (void)state;
    const struct weir_retry_options options = {0, S, S};
    struct weir_retry retry;
    weir_retry_init(&retry);
    assert_int_equal(weir_retry_poll(&retry, &options, 5), WEIR_RETRY_GO);
    retry = a_failure(&options, 5, 5);
    assert_int_equal(weir_retry_poll(&retry, &options, 5), WEIR_RETRY_EXPIRED);
}

static void test_failure_after_the_deadline_expires(void **state)
{
    (void)state;
    struct weir_retry retry = a_failure(&OPTIONS, 0, 950 * S);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 950 * S), WEIR_RETRY_EXPIRED);
}

static void test_retry_after_is_honoured_when_longer(void **state)
{
    (void)state;
    struct weir_retry retry;
    weir_retry_init(&retry);
    weir_retry_begin(&retry, 0);
    weir_retry_failed(&retry, &OPTIONS, 0, 45 * S, 0.99);
    assert_true(retry.next_ns == 45 * S);
    weir_retry_begin(&retry, 45 * S);
    weir_retry_failed(&retry, &OPTIONS, 45 * S, 0, 0.5);
    assert_true(retry.next_ns == 47 * S);
}

static void test_backoff_doubles_to_its_maximum(void **state)
{
    (void)state;
    static const int64_t seconds[] = {0, 1, 2, 4, 8, 16, 30, 30, 30};
    for (uint32_t n = 0; n < sizeof(seconds) / sizeof(*seconds); n++) {
        assert_true(weir_retry_backoff_ns(&OPTIONS, n, 0.5) == seconds[n] * S);
    }
    assert_true(weir_retry_backoff_ns(&OPTIONS, UINT32_MAX, 0.5) == 30 * S);
    assert_true(weir_retry_backoff_ns(&OPTIONS, 1, 0.0) == 850000000);
}

static void test_backoff_odd_options(void **state)
{
    (void)state;
    const struct weir_retry_options capped = {0, 9 * S, 3 * S};
    const struct weir_retry_options negative = {0, -5, -7};
    const struct weir_retry_options extreme = {INT64_MAX, INT64_MAX, INT64_MAX};
    assert_true(weir_retry_backoff_ns(&capped, 1, 0.5) == 3 * S);
    assert_true(weir_retry_backoff_ns(&negative, 9, 0.9) == 0);
    assert_true(weir_retry_backoff_ns(&extreme, 9, 0.999) == INT64_MAX);
    assert_true(weir_retry_backoff_ns(&extreme, 9, 0.0) > INT64_MAX / 10 * 8);
}

static void test_time_saturates(void **state)
{
    (void)state;
    struct weir_retry retry = a_failure(&OPTIONS, INT64_MAX - 5, INT64_MAX - 3);
    assert_true(weir_retry_deadline_ns(&retry, &OPTIONS) == INT64_MAX);
    assert_true(retry.next_ns == INT64_MAX);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, INT64_MAX - 1), WEIR_RETRY_WAIT);
    retry = a_failure(&OPTIONS, INT64_MIN, INT64_MIN);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, INT64_MIN), WEIR_RETRY_WAIT);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 0), WEIR_RETRY_EXPIRED);
}

static void test_reset_opens_the_window_anew_but_keeps_the_wait(void **state)
{
    (void)state;
    struct weir_retry retry = a_failure(&OPTIONS, 0, 899 * S);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 901 * S), WEIR_RETRY_EXPIRED);
    weir_retry_reset(&retry);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 899 * S), WEIR_RETRY_WAIT);
    assert_int_equal(weir_retry_poll(&retry, &OPTIONS, 901 * S), WEIR_RETRY_GO);
    weir_retry_begin(&retry, 901 * S);
    weir_retry_failed(&retry, &OPTIONS, 901 * S, -1, 0.5);
    assert_true(retry.next_ns == 902 * S);
    assert_true(weir_retry_deadline_ns(&retry, &OPTIONS) == 1801 * S);
}

static void begin(void *argument)
{
    weir_retry_begin(argument, 0);
}

static void fail_it(void *argument)
{
    weir_retry_failed(argument, &OPTIONS, 0, -1, 0.5);
}

static void poll_it(void *argument)
{
    (void)weir_retry_poll(argument, &OPTIONS, 0);
}

static void jitter_of_one(void *argument)
{
    (void)argument;
    (void)weir_retry_backoff_ns(&OPTIONS, 1, 1.0);
}

static void test_our_bugs_abort(void **state)
{
    (void)state;
    struct weir_retry retry;
    weir_retry_init(&retry);
    assert_true(support_aborts(fail_it, &retry));
    assert_true(support_aborts(jitter_of_one, NULL));
    weir_retry_begin(&retry, 0);
    assert_true(support_aborts(begin, &retry));
    assert_true(support_aborts(poll_it, &retry));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_attempted_never_expires),
        cmocka_unit_test(test_next_edge),
        cmocka_unit_test(test_deadline_edge),
        cmocka_unit_test(test_window_runs_from_the_first_attempt),
        cmocka_unit_test(test_wait_past_the_deadline_expires_at_the_deadline),
        cmocka_unit_test(test_window_zero_is_one_attempt),
        cmocka_unit_test(test_failure_after_the_deadline_expires),
        cmocka_unit_test(test_retry_after_is_honoured_when_longer),
        cmocka_unit_test(test_backoff_doubles_to_its_maximum),
        cmocka_unit_test(test_backoff_odd_options),
        cmocka_unit_test(test_time_saturates),
        cmocka_unit_test(test_reset_opens_the_window_anew_but_keeps_the_wait),
        cmocka_unit_test(test_our_bugs_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
