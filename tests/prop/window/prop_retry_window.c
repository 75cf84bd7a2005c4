/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random options, delays and Retry-After headers against a backend that always fails: every wait is
 * within its bounds, no attempt begins at or after the deadline but the first, and the end comes
 * exactly at the deadline. And the same over several processes, with time between them that does
 * not count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "weir/retry_window.h"

enum { SCHEDULES = 3000 };

/* The model's promise, in plain double arithmetic. */
static double base_of(const struct weir_retry_options *options, uint32_t failures)
{
    double base = (double)options->initial_ns;
    for (uint32_t n = 1; n < failures && base < (double)options->max_ns; n++) {
        base *= 2;
    }
    return base < (double)options->max_ns ? base : (double)options->max_ns;
}

static void assert_wait_is_within_bounds(const struct weir_retry_options *options,
                                         uint32_t failures, int64_t wait_ns, int64_t retry_after_ns)
{
    double base = base_of(options, failures);
    double upper = base * 1.15 + 1;
    if (retry_after_ns > 0 && (double)retry_after_ns > upper) {
        upper = (double)retry_after_ns;
    }
    assert_true((double)wait_ns >= base * 0.85 - 1);
    assert_true((double)wait_ns <= upper);
    assert_true(wait_ns >= retry_after_ns);
}

static int64_t attempt(struct weir_rand *rand, struct weir_retry *retry,
                       const struct weir_retry_options *options, int64_t now_ns)
{
    weir_retry_begin(retry, now_ns);
    int64_t failed_ns = now_ns + (int64_t)weir_rand_below(rand, 5000);
    int64_t retry_after_ns =
        weir_rand_below(rand, 4) == 0 ? (int64_t)weir_rand_below(rand, 5000) : -1;
    weir_retry_failed(retry, options, failed_ns, retry_after_ns, weir_rand_unit(rand));
    assert_wait_is_within_bounds(options, retry->attempts, retry->next_ns - failed_ns,
                                 retry_after_ns);
    return failed_ns;
}

static void run_schedule(struct weir_rand *rand)
{
    const struct weir_retry_options options = {
        .window_ns = (int64_t)weir_rand_below(rand, 100000),
        .initial_ns = 1 + (int64_t)weir_rand_below(rand, 1000),
        .max_ns = 1 + (int64_t)weir_rand_below(rand, 10000),
    };
    struct weir_retry retry;
    weir_retry_init(&retry);
    int64_t first_ns = (int64_t)weir_rand_below(rand, 1000);
    int64_t deadline_ns = first_ns + options.window_ns;
    int64_t now_ns = first_ns;
    enum weir_retry_verdict verdict = WEIR_RETRY_GO;
    while (verdict != WEIR_RETRY_EXPIRED) {
        assert_int_equal(verdict, WEIR_RETRY_GO);
        assert_true(retry.attempts == 0 || now_ns < deadline_ns);
        now_ns = attempt(rand, &retry, &options, now_ns);
        assert_true(weir_retry_deadline_ns(&retry, &options) == deadline_ns);
        int64_t wakeup_ns = weir_retry_wakeup_ns(&retry, &options);
        if (wakeup_ns > now_ns) {
            assert_int_equal(weir_retry_poll(&retry, &options, wakeup_ns - 1), WEIR_RETRY_WAIT);
            now_ns = wakeup_ns;
        }
        verdict = weir_retry_poll(&retry, &options, now_ns);
    }
    assert_true(now_ns >= deadline_ns);
}

static void test_random_schedules(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(2);
    for (int i = 0; i < SCHEDULES; i++) {
        run_schedule(&rand);
    }
}

#define S INT64_C(1000000000)

static const struct weir_retry_options HOUSE = {900 * S, S, 30 * S};

/* A batch through up to five processes: each begins with what the ones before it have used, at
 * whatever its monotonic clock says, however long it was down between them. */
static void live_through_restarts(struct weir_rand *rand)
{
    int64_t used_ns = 0;
    for (int life = 0; life < 5 && used_ns < HOUSE.window_ns; life++) {
        struct weir_retry retry;
        weir_retry_init(&retry);
        retry.used_ns = used_ns;
        int64_t now_ns = (int64_t)weir_rand_below(rand, (uint64_t)(100000 * S)); /* another boot */
        int64_t begun_ns = now_ns;
        int64_t ends_ns = now_ns + (int64_t)weir_rand_below(rand, (uint64_t)(400 * S));
        /* never attempted here: no time is too late for the first attempt */
        assert_int_equal(weir_retry_poll(&retry, &HOUSE, INT64_MAX), WEIR_RETRY_GO);
        enum weir_retry_verdict verdict = WEIR_RETRY_GO;
        while (now_ns < ends_ns && verdict != WEIR_RETRY_EXPIRED) {
            assert_true(retry.attempts == 0 || now_ns - begun_ns < HOUSE.window_ns - used_ns);
            weir_retry_begin(&retry, now_ns);
            assert_true(weir_retry_deadline_ns(&retry, &HOUSE) ==
                        begun_ns + HOUSE.window_ns - used_ns);
            weir_retry_failed(&retry, &HOUSE, now_ns, -1, weir_rand_unit(rand));
            now_ns = weir_retry_wakeup_ns(&retry, &HOUSE);
            verdict = weir_retry_poll(&retry, &HOUSE, now_ns);
        }
        assert_true(verdict != WEIR_RETRY_EXPIRED ||
                    now_ns - begun_ns >= HOUSE.window_ns - used_ns);
        used_ns = now_ns - retry.first_ns; /* what the spool is told */
        assert_true(used_ns >= 0);
    }
}

static void test_a_window_counts_across_restarts_without_the_time_between(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(4);
    for (int i = 0; i < SCHEDULES; i++) {
        live_through_restarts(&rand);
    }
}

static void test_600_s_used_leave_300(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(6);
    for (int i = 0; i < SCHEDULES; i++) {
        struct weir_retry retry;
        weir_retry_init(&retry);
        retry.used_ns = 600 * S;
        int64_t now_ns = (int64_t)weir_rand_below(&rand, UINT64_C(1) << 62);
        weir_retry_begin(&retry, now_ns);
        weir_retry_failed(&retry, &HOUSE, now_ns, -1, weir_rand_unit(&rand));
        assert_true(weir_retry_deadline_ns(&retry, &HOUSE) == now_ns + 300 * S);
        assert_int_not_equal(weir_retry_poll(&retry, &HOUSE, now_ns + 300 * S - 1),
                             WEIR_RETRY_EXPIRED);
        assert_int_equal(weir_retry_poll(&retry, &HOUSE, now_ns + 300 * S), WEIR_RETRY_EXPIRED);
    }
}

/* A clock that was stepped back: as if nothing had been used, never a longer window than that. */
static void test_less_than_nothing_used_is_nothing(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(7);
    for (int i = 0; i < SCHEDULES; i++) {
        struct weir_retry retry;
        weir_retry_init(&retry);
        retry.used_ns = -(int64_t)weir_rand_below(&rand, UINT64_C(1) << 63);
        int64_t now_ns = (int64_t)weir_rand_below(&rand, UINT64_C(1) << 62);
        weir_retry_begin(&retry, now_ns);
        assert_true(weir_retry_deadline_ns(&retry, &HOUSE) == now_ns + HOUSE.window_ns);
    }
}

/* Whatever was used, and however often: opened anew it is whole again, but for the wait. */
static void test_opened_anew_nothing_is_used(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(8);
    for (int i = 0; i < SCHEDULES; i++) {
        struct weir_retry retry;
        weir_retry_init(&retry);
        retry.used_ns = (int64_t)weir_rand_below(&rand, (uint64_t)(2000 * S));
        int64_t now_ns = (int64_t)weir_rand_below(&rand, UINT64_C(1) << 60);
        weir_retry_begin(&retry, now_ns);
        weir_retry_failed(&retry, &HOUSE, now_ns, -1, weir_rand_unit(&rand));
        int64_t next_ns = retry.next_ns;
        weir_retry_reset(&retry);
        assert_true(retry.next_ns == next_ns);
        weir_retry_begin(&retry, next_ns);
        assert_true(weir_retry_deadline_ns(&retry, &HOUSE) == next_ns + HOUSE.window_ns);
    }
}

/* Any 64-bit numbers: nothing wraps, the deadline is never before the first attempt, waits are
 * never negative. */
static void test_random_extremes(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(3);
    for (int i = 0; i < SCHEDULES; i++) {
        const struct weir_retry_options options = {
            .window_ns = (int64_t)weir_rand_u64(&rand),
            .initial_ns = (int64_t)weir_rand_u64(&rand),
            .max_ns = (int64_t)weir_rand_u64(&rand),
        };
        struct weir_retry retry;
        weir_retry_init(&retry);
        int64_t now_ns = (int64_t)weir_rand_u64(&rand);
        retry.attempts = (uint32_t)weir_rand_below(&rand, 3);
        retry.first_ns = now_ns;
        retry.used_ns = (int64_t)weir_rand_u64(&rand);
        weir_retry_begin(&retry, now_ns);
        assert_true(retry.first_ns <= now_ns);
        weir_retry_failed(&retry, &options, now_ns, (int64_t)weir_rand_u64(&rand),
                          weir_rand_unit(&rand));
        assert_true(retry.next_ns >= now_ns);
        assert_true(weir_retry_deadline_ns(&retry, &options) >= retry.first_ns);
        assert_true(retry.used_ns > 0 || retry.first_ns == now_ns);
        enum weir_retry_verdict verdict =
            weir_retry_poll(&retry, &options, weir_retry_deadline_ns(&retry, &options));
        assert_int_equal(verdict, WEIR_RETRY_EXPIRED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_schedules),
        cmocka_unit_test(test_a_window_counts_across_restarts_without_the_time_between),
        cmocka_unit_test(test_600_s_used_leave_300),
        cmocka_unit_test(test_less_than_nothing_used_is_nothing),
        cmocka_unit_test(test_opened_anew_nothing_is_used),
        cmocka_unit_test(test_random_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
