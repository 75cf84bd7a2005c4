/* SPDX-License-Identifier: Apache-2.0 */
/* An alarm goes off once for each time it was set, and only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/alarm.h"
#include "weir/clock.h"

struct stage {
    struct weir_loop *loop;
    struct weir_alarm *alarm;
    uint32_t rung;
    uint32_t again; /* times that it sets itself */
};

static void on_alarm(void *argument)
{
    struct stage *stage = argument;
    stage->rung++;
    if (stage->again > 0) {
        stage->again--;
        weir_alarm_set(stage->alarm, 0);
    } else {
        weir_loop_stop(stage->loop);
    }
}

static void open_stage(struct stage *stage)
{
    *stage = (struct stage){.rung = 0};
    assert_int_equal(weir_loop_new(&stage->loop), WEIR_OK);
    assert_int_equal(weir_alarm_new(stage->loop, on_alarm, stage, &stage->alarm), WEIR_OK);
}

static void close_stage(struct stage *stage)
{
    weir_alarm_free(stage->alarm);
    weir_loop_free(stage->loop);
}

static void test_it_goes_off_once(void **state)
{
    (void)state;
    struct stage stage;
    open_stage(&stage);
    int64_t begin_ns = weir_clock_mono_ns();
    weir_alarm_set(stage.alarm, 3 * WEIR_NS_PER_MS);
    weir_loop_run(stage.loop, NULL, NULL);
    assert_int_equal(stage.rung, 1);
    assert_true(weir_clock_mono_ns() - begin_ns >= 3 * WEIR_NS_PER_MS);
    while (weir_loop_turn(stage.loop)) {
    }
    assert_int_equal(stage.rung, 1);
    close_stage(&stage);
}

static void test_it_may_set_itself(void **state)
{
    (void)state;
    struct stage stage;
    open_stage(&stage);
    stage.again = 4;
    weir_alarm_set(stage.alarm, 0);
    weir_loop_run(stage.loop, NULL, NULL);
    assert_int_equal(stage.rung, 5);
    close_stage(&stage);
}

static void test_the_last_time_that_was_set_counts(void **state)
{
    (void)state;
    struct stage stage;
    open_stage(&stage);
    weir_alarm_set(stage.alarm, 3600 * WEIR_NS_PER_S);
    weir_alarm_set(stage.alarm, 0);
    weir_loop_run(stage.loop, NULL, NULL);
    assert_int_equal(stage.rung, 1);
    weir_alarm_set(stage.alarm, 0);
    weir_alarm_set(stage.alarm, 3600 * WEIR_NS_PER_S);
    while (weir_loop_turn(stage.loop)) {
    }
    assert_int_equal(stage.rung, 1);
    close_stage(&stage); /* while it is set */
}

static void test_none_is_nothing(void **state)
{
    (void)state;
    weir_alarm_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_off_once),
        cmocka_unit_test(test_it_may_set_itself),
        cmocka_unit_test(test_the_last_time_that_was_set_counts),
        cmocka_unit_test(test_none_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
