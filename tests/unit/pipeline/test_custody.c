/* SPDX-License-Identifier: Apache-2.0 */
/* Lane and keeper on a real directory: requests become durable, are answered and released. */
#include "custody_rig.h"

#include <errno.h>

#define ONE   FLOW_LINE("AWS/EC2", "A")
#define THREE ONE "\n" FLOW_LINE("AWS/EBS", "B") "\n" FLOW_LINE("AWS/ELB", "C")

/* -- a directory whose syncs fail ----------------------------------------------------------- */

static struct weir_disk_ops failing;
static const struct weir_disk_ops *real_ops;
static _Atomic bool fails; /* relaxed everywhere: a switch */

static int failing_sync(void *self, int file)
{
    return atomic_load_explicit(&fails, memory_order_relaxed) ? -EIO : real_ops->sync(self, file);
}

static void prepare_failing(void)
{
    struct weir_disk disk;
    assert_int_equal(weir_disk_open(rig.path, true, &disk), WEIR_OK);
    real_ops = disk.ops;
    failing = *disk.ops;
    failing.sync = failing_sync;
    atomic_store_explicit(&fails, false, memory_order_relaxed);
    weir_disk_close(&disk);
}

/* -- a directory whose syncs take a while --------------------------------------------------- */

static _Atomic bool is_syncing; /* relaxed everywhere: says only that the lane is at work */

static int slow_sync(void *self, int file)
{
    atomic_store_explicit(&is_syncing, true, memory_order_relaxed);
    (void)usleep(50000);
    return real_ops->sync(self, file);
}

/* -- tests ---------------------------------------------------------------------------------- */

static void test_what_is_settled_is_released(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    for (uint32_t i = 0; i < 20; i++) {
        rig_submit(i, THREE);
    }
    for (uint32_t i = 0; i < 20; i++) {
        rig_expect(i, 200, "ok");
    }
    assert_int_equal(rig_records(20), 20);
    assert_int_equal(rig_drain(0, WEIR_SETTLED, UINT32_MAX), 60);
    assert_int_equal(rig_records(20), 20); /* the second destination has not got it */
    assert_int_equal(rig_drain(1, WEIR_SETTLED, UINT32_MAX), 60);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

static void test_a_repetition_is_answered_and_not_published(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    rig_submit(0, THREE);
    rig_expect(0, 200, "ok");
    rig_submit(0, THREE);
    rig_expect(0, 200, "repeated");
    rig_submit(0, ONE); /* the same id with another content */
    rig_expect(0, 200, "ok");
    assert_int_equal(rig_drain(0, WEIR_KEPT, UINT32_MAX), 4);
    rig_down();
    rig_up((struct rig_options){0}); /* and after a restart */
    rig_submit(0, THREE);
    rig_expect(0, 200, "repeated");
    rig_down();
}

static void test_the_lane_ends_with_nothing_unanswered(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    for (uint32_t i = 0; i < RIG_REQUESTS; i++) {
        rig_submit(i, ONE);
    }
    weir_custody_lane_stop(rig.custody);
    rig_resume();
    for (uint32_t i = 0; i < RIG_REQUESTS; i++) {
        assert_int_equal(rig.requests[i].answer.code, 200);
    }
    rig_down();
}

static void test_a_stop_during_a_commit_does_not_wait_for_the_next_bell(void **state)
{
    (void)state;
    prepare_failing();
    failing.sync = slow_sync;
    rig_up((struct rig_options){.ops = &failing});
    (void)usleep(100000); /* the keeper's first step syncs too */
    atomic_store_explicit(&is_syncing, false, memory_order_relaxed);
    rig_submit(0, ONE);
    while (!atomic_load_explicit(&is_syncing, memory_order_relaxed)) {
        (void)usleep(1000);
    }
    int64_t begun_ns = weir_clock_mono_ns();
    weir_custody_lane_stop(rig.custody);
    int64_t took_ns = weir_clock_mono_ns() - begun_ns;
    assert_true(took_ns < 900 * WEIR_NS_PER_MS); /* asleep it would look again after a second */
    rig_expect(0, 200, "ok");
    rig_down();
}

static void test_stops_may_come_twice_and_in_any_order(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    weir_custody_backlog_stop(rig.custody); /* it never ran */
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    weir_custody_backlog_stop(rig.custody);
    weir_custody_backlog_stop(rig.custody);
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    weir_custody_lane_stop(rig.custody);
    weir_custody_lane_stop(rig.custody);
    rig_down();
}

static void test_a_disk_that_fails_twice_is_said_once(void **state)
{
    (void)state;
    prepare_failing();
    rig_up((struct rig_options){.ops = &failing});
    rig_submit(0, ONE);
    rig_expect(0, 200, "ok");
    atomic_store_explicit(&fails, true, memory_order_relaxed);
    for (uint32_t i = 1; i < 6; i++) {
        rig_submit(i, ONE);
        rig_expect(i, 503, "spool_failed");
    }
    assert_false(weir_spool_admits(rig.spool, 0));
    for (int i = 0; i < 3000 && atomic_load_explicit(&rig.failures, memory_order_relaxed) == 0;
         i++) {
        (void)usleep(1000);
    }
    (void)usleep(1200000); /* another step of the keeper */
    assert_int_equal(atomic_load_explicit(&rig.failures, memory_order_relaxed), 1);
    assert_int_equal(rig_drain(0, WEIR_KEPT, UINT32_MAX), 1);
    atomic_store_explicit(&fails, false, memory_order_relaxed);
    rig_down();
}

static void test_delivered_waits_for_every_destination(void **state)
{
    (void)state;
    rig_up((struct rig_options){.durability = WEIR_DURABILITY_DELIVERED});
    rig_submit(0, THREE);
    for (int i = 0; i < 300; i++) {
        rig_resume();
        (void)usleep(1000);
    }
    assert_int_equal(rig.requests[0].answer.code, 0);
    assert_int_equal(rig_drain(0, WEIR_SETTLED, UINT32_MAX), 3);
    rig_resume();
    assert_int_equal(rig.requests[0].answer.code, 0);
    rig_submit(1, THREE);
    assert_int_equal(rig_drain_until(6 + 3), 9);
    rig_expect(0, 200, "ok");
    rig_expect(1, 200, "ok");
    rig_submit(2, ONE);
    (void)usleep(20000);
    weir_spool_dismiss(rig.spool);
    rig_expect(2, 503, "stopping");
    rig_down();
}

static void test_memory_knows_repetitions_and_keeps_quarantined_data(void **state)
{
    (void)state;
    rig_up((struct rig_options){.durability = WEIR_DURABILITY_MEMORY});
    rig_submit(0, "{\"no\":1}\n{\"no\":2}\n" ONE "\n{\"no\":3}");
    rig_expect(0, 200, "ok");
    rig_submit(0, "{\"no\":1}\n{\"no\":2}\n" ONE "\n{\"no\":3}");
    rig_expect(0, 200, "repeated");
    assert_int_equal(rig_drain(0, WEIR_SETTLED, UINT32_MAX), 1);
    rig_down();
    assert_true(rig_letters_have_data("{\"no\":1}\n{\"no\":2}")); /* lines that were neighbours */
    assert_true(rig_letters_have_data("{\"no\":3}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_settled_is_released, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_a_repetition_is_answered_and_not_published, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_the_lane_ends_with_nothing_unanswered, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_a_stop_during_a_commit_does_not_wait_for_the_next_bell,
                                        rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_stops_may_come_twice_and_in_any_order, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_a_disk_that_fails_twice_is_said_once, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_delivered_waits_for_every_destination, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_memory_knows_repetitions_and_keeps_quarantined_data,
                                        rig_set_up, rig_tear_down),
    };
    return cmocka_run_group_tests_name("custody", tests, NULL, NULL);
}
