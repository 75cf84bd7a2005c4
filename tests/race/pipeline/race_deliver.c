/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot becomes deliverable and ceases to be, again and again, while the backlog reads for it:
 * what was in hand is in the ring when weir_custody_deliver returns, and nothing comes after it.
 */
#include "../../unit/pipeline/custody_rig.h"

enum { REQUESTS = 60, TURNS = 40, LOOKS = 10 };

static void test_nothing_comes_after_a_close(void **state)
{
    (void)state;
    rig_up((struct rig_options){.slots = 64});
    for (uint32_t i = 0; i < REQUESTS; i++) {
        rig_submit(i, FLOW_LINE("AWS/EC2", "A"));
        rig_expect(i, 200, "ok");
    }
    for (uint32_t i = 0; i < RIG_DESTINATIONS; i++) {
        assert_int_equal(rig_drain(i, WEIR_KEPT, UINT32_MAX), REQUESTS);
    }
    weir_custody_deliver(rig.custody, 1);
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    uint32_t points = 0;
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        weir_custody_deliver(rig.custody, 3);
        (void)usleep(turn * 20);
        weir_custody_deliver(rig.custody, 1);
        size_t queued = weir_router_queued_bytes(rig.router, 1);
        for (uint32_t i = 0; i < LOOKS; i++) {
            (void)usleep(50);
            assert_int_equal(weir_router_queued_bytes(rig.router, 1), queued);
        }
        points += rig_drain(1, WEIR_SETTLED, 1);
        points += rig_drain(0, WEIR_SETTLED, UINT32_MAX);
    }
    weir_custody_deliver(rig.custody, 3);
    points += rig_drain_until(RIG_DESTINATIONS * REQUESTS - points);
    assert_int_equal(points, RIG_DESTINATIONS * REQUESTS);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        test_nothing_comes_after_a_close, rig_set_up, rig_tear_down)};
    return cmocka_run_group_tests_name("race_deliver", tests, NULL, NULL);
}
