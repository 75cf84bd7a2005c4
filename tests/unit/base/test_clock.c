/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/clock.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <setjmp.h>

#include <cmocka.h>

static void test_monotonic_time_never_steps_back(void **state)
{
    (void)state;
    int64_t before = weir_clock_mono_ns();
    for (int i = 0; i < 10000; i++) {
        int64_t now = weir_clock_mono_ns();
        assert_true(now >= before);
        before = now;
    }
}

static void test_monotonic_time_moves_with_real_time(void **state)
{
    (void)state;
    int64_t before = weir_clock_mono_ns();
    const struct timespec pause = {0, 2 * WEIR_NS_PER_MS};
    nanosleep(&pause, NULL);
    assert_true(weir_clock_mono_ns() - before >= 2 * WEIR_NS_PER_MS);
}

static void test_wall_time_is_the_systems(void **state)
{
    (void)state;
    int64_t seconds = weir_clock_wall_ns() / WEIR_NS_PER_S;
    int64_t expected = (int64_t)time(NULL);
    assert_true(seconds >= expected - 1);
    assert_true(seconds <= expected + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic_time_never_steps_back),
        cmocka_unit_test(test_monotonic_time_moves_with_real_time),
        cmocka_unit_test(test_wall_time_is_the_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
