/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "weir/clock.h"
#include "weir/route.h"

/* When a request had better wait: which destinations count, and what else must be the case. */

#define MIB ((size_t)1 << 20)

static struct fixture fixture;
static struct weir_namespaces *namespaces;
static struct weir_router *router;

static const int64_t now_ns = 5000 * WEIR_NS_PER_S;

static int set_up(void **state)
{
    const struct weir_route_destination destination = {.name = "d", .share = 48 * MIB};
    const struct weir_route_destination destinations[] = {destination, destination};
    (void)state;
    fixture_open(&fixture, 64 * MIB);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    const struct weir_router_options options = {
        .set = weir_route_set_of(destinations, 2),
        .ring_slots = 256,
        .queued = &fixture.queued,
        .namespaces = namespaces,
        .regions = fixture.regions,
    };
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_router_free(router);
    weir_namespaces_free(namespaces);
    fixture_close(&fixture);
    return 0;
}

/* Publishes about a megabyte, in an arena of a little more, to both. */
static void publish_megabyte(void)
{
    struct fixture_request request = fixture_request(&fixture, "padded", MIB / 4);
    struct weir_run *run = fixture_run(&request, "A", "resource");
    struct weir_metric *metric = fixture_metric(run, "", "metric");
    for (uint64_t i = 0; i < 16; i++) {
        fixture_point(&request, run, metric, i, 60000);
    }
    struct weir_reservation held;
    fixture_reserve_for(router, &request, WEIR_TARGETS_ALL, &held);
    assert_int_equal(held.live, 3);
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
}

static void take_all(uint32_t index)
{
    struct weir_run *run;
    while ((run = weir_router_take(router, index)) != NULL) {
        weir_arena_unref(run->arena, run->bytes);
    }
}

/* Both have four megabytes in their rings, and the budget is in its last quarter. */
static void fill(void)
{
    for (unsigned i = 0; i < 4; i++) {
        publish_megabyte();
    }
    weir_credit_force(&fixture.queued, 46 * MIB);
}

static void done(void)
{
    weir_credit_give(&fixture.queued, 46 * MIB);
}

static void test_nobody_drains(void **state)
{
    (void)state;
    fill();
    assert_false(weir_router_is_crowded(router, now_ns));
    done();
}

static void test_all_that_drain_lag(void **state)
{
    (void)state;
    fill();
    weir_router_drained(router, 0, now_ns);
    assert_true(weir_router_is_crowded(router, now_ns));
    assert_true(weir_router_is_crowded(router, now_ns - 1)); /* another thread's clock */
    weir_router_drained(router, 1, now_ns);
    assert_true(weir_router_is_crowded(router, now_ns + 100 * WEIR_NS_PER_MS));
    done();
}

static void test_who_has_stopped_is_not_waited_for(void **state)
{
    (void)state;
    fill();
    weir_router_drained(router, 0, now_ns);
    assert_false(weir_router_is_crowded(router, now_ns + WEIR_NS_PER_S));
    done();
}

static void test_one_that_keeps_up_does_not_wait_for_the_other(void **state)
{
    (void)state;
    fill();
    weir_router_drained(router, 0, now_ns);
    take_all(1);
    assert_true(weir_router_is_crowded(router, now_ns)); /* 1 is idle, or down: who knows */
    weir_router_drained(router, 1, now_ns);
    assert_false(weir_router_is_crowded(router, now_ns));
    int64_t later_ns = now_ns + WEIR_NS_PER_S; /* 1 has had nothing to do since */
    weir_router_drained(router, 0, later_ns);
    assert_false(weir_router_is_crowded(router, later_ns));
    later_ns += 2 * WEIR_NS_PER_S;
    weir_router_drained(router, 0, later_ns);
    assert_true(weir_router_is_crowded(router, later_ns));
    done();
}

static void test_the_budget_has_more_than_its_last_quarter(void **state)
{
    (void)state;
    fill();
    weir_router_drained(router, 0, now_ns);
    done();
    assert_true(weir_router_queued_bytes(router, 0) > 3 * MIB);
    assert_false(weir_router_is_crowded(router, now_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nobody_drains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_that_drain_lag, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_has_stopped_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_keeps_up_does_not_wait_for_the_other, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_budget_has_more_than_its_last_quarter, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
