/* SPDX-License-Identifier: Apache-2.0 */
/* Slots that become deliverable and cease to be while the backlog runs. */
#include "custody_rig.h"

enum { REQUESTS = 10 };

#define ONE FLOW_LINE("AWS/EC2", "A")

/* Requests that wait on disk for both destinations. */
static void up_with_backlog(void)
{
    rig_up((struct rig_options){0});
    for (uint32_t i = 0; i < REQUESTS; i++) {
        rig_submit(i, ONE);
        rig_expect(i, 200, "ok");
    }
    for (uint32_t i = 0; i < RIG_DESTINATIONS; i++) {
        assert_int_equal(rig_drain(i, WEIR_KEPT, UINT32_MAX), REQUESTS);
    }
}

static struct weir_spool_stat look(void)
{
    struct weir_spool_stat stat;
    weir_spool_look(rig.spool, &stat);
    return stat;
}

/* As many rounds of the backlog as there are requests. */
static void drain_first(void)
{
    uint32_t points = 0;
    int64_t until_ns = weir_clock_mono_ns() + 20 * WEIR_NS_PER_S;
    while (points < REQUESTS && weir_clock_mono_ns() < until_ns) {
        points += rig_drain(0, WEIR_SETTLED, UINT32_MAX);
        (void)usleep(500);
    }
    assert_int_equal(points, REQUESTS);
}

static void test_what_is_not_deliverable_waits(void **state)
{
    (void)state;
    up_with_backlog();
    weir_custody_deliver(rig.custody, 1);
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    drain_first();
    assert_int_equal(weir_router_queued_bytes(rig.router, 1), 0);
    assert_int_equal(look().backlog_records[1], REQUESTS);
    weir_custody_deliver(rig.custody, 3);
    assert_int_equal(rig_drain_until(REQUESTS), REQUESTS);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

/* Slots that the spool has not open cost nothing and bring nothing. */
static void test_more_than_there_is(void **state)
{
    (void)state;
    up_with_backlog();
    weir_custody_deliver(rig.custody, UINT64_MAX >> 2 & ~UINT64_C(2));
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    drain_first();
    assert_int_equal(look().backlog_records[1], REQUESTS);
    weir_custody_deliver(rig.custody, UINT64_MAX);
    assert_int_equal(rig_drain_until(REQUESTS), REQUESTS);
    rig_down();
}

static void test_one_goes_and_another_gets_its_slot(void **state)
{
    (void)state;
    up_with_backlog();
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    drain_first();
    weir_custody_deliver(rig.custody, 1);
    weir_spool_destination_remove(rig.spool, 1);
    (void)rig_drain(1, WEIR_KEPT, UINT32_MAX);
    assert_int_equal(rig_records(0), 0); /* lettered */
    assert_true(rig_letters_have("destination_removed"));
    assert_true(rig_letters_have("\"second\""));
    assert_false(rig_letters_have("\"third\""));
    int64_t until_ns = weir_clock_mono_ns() + 20 * WEIR_NS_PER_S;
    while (weir_spool_destination_free(rig.spool, 1) != WEIR_OK &&
           weir_clock_mono_ns() < until_ns) {
        (void)usleep(500);
    }
    const struct weir_spool_destination third = {"third", 0};
    uint32_t slot = 0;
    assert_int_equal(weir_spool_destination_open(rig.spool, &third, &slot), WEIR_OK);
    assert_int_equal(slot, 1);
    weir_custody_deliver(rig.custody, 3);
    rig_submit(REQUESTS, ONE);
    rig_expect(REQUESTS, 200, "ok");
    assert_int_equal(rig_drain(1, WEIR_KEPT, UINT32_MAX), 1);
    assert_int_equal(rig_drain_until(2), 2); /* one of them from the spool */
    assert_int_equal(rig.seen[1][REQUESTS][0], 1);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

static void test_without_a_backlog_it_waits_for_nothing(void **state)
{
    (void)state;
    up_with_backlog();
    weir_custody_deliver(rig.custody, 0);
    weir_custody_deliver(rig.custody, 3);
    rig_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_not_deliverable_waits, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_more_than_there_is, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_one_goes_and_another_gets_its_slot, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_backlog_it_waits_for_nothing, rig_set_up,
                                        rig_tear_down),
    };
    return cmocka_run_group_tests_name("custody_deliver", tests, NULL, NULL);
}
