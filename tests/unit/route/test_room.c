/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "support.h"
#include "weir/route.h"

/* The queued budget between a destination that is down and one that keeps up. */

#define MIB ((size_t)1 << 20)

static struct fixture fixture;
static struct weir_namespaces *namespaces;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture, 64 * MIB);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_namespaces_free(namespaces);
    fixture_close(&fixture);
    return 0;
}

static struct weir_router *a_router(uint32_t count)
{
    const struct weir_route_destination destination = {.name = "d", .share = 48 * MIB};
    const struct weir_route_destination destinations[] = {destination, destination};
    const struct weir_router_options options = {
        .set = weir_route_set_of(destinations, count),
        .ring_slots = 256,
        .queued = &fixture.queued,
        .namespaces = namespaces,
        .regions = fixture.regions,
    };
    struct weir_router *router = NULL;
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
    return router;
}

/* Takes the next run, which must begin with point `number`, and drops it. */
static void expect(struct weir_router *router, uint32_t index, uint64_t number)
{
    struct weir_run *run = weir_router_take(router, index);
    assert_non_null(run);
    assert_int_equal(fixture_first_number(run), number);
    weir_arena_unref(run->arena, run->bytes);
}

/* Publishes a request whose arena is `padding` larger than its one point, to whom there is room;
 * returns who that is. */
static uint64_t publish(struct weir_router *router, uint64_t number, size_t padding)
{
    struct fixture_request request = fixture_request(&fixture, "padded", padding);
    struct weir_run *run = fixture_run(&request, "A", "resource");
    fixture_point(&request, run, fixture_metric(run, "", "metric"), number, 60000);
    struct weir_reservation held;
    fixture_reserve_for(router, &request, WEIR_TARGETS_ALL, &held);
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
    return held.live;
}

/* Destination 1 is down, destination 0 takes what comes: until there is no more room for 1. */
static void fill(struct weir_router *router)
{
    uint64_t number = 0;
    uint64_t live = publish(router, number, MIB);
    for (; live == 3; live = publish(router, number, MIB)) {
        expect(router, 0, number++);
        assert_true(number < 64);
    }
    assert_int_equal(live, 1);
    expect(router, 0, number);
    assert_true(number > 32);
    assert_true(weir_router_queued_bytes(router, 1) < 16 * MIB); /* far from its share */
    assert_true(weir_credit_used(&fixture.queued) <= 48 * MIB);
}

static void test_one_that_is_down_leaves_memory_to_the_others(void **state)
{
    (void)state;
    struct weir_router *router = a_router(2);
    fill(router);
    for (uint64_t i = 0; i < 100; i++) { /* the other does not notice */
        assert_int_equal(publish(router, 1000 + i, MIB), 1);
        expect(router, 0, 1000 + i);
    }
    weir_router_free(router);
}

static void test_what_is_free_again_is_for_everybody(void **state)
{
    (void)state;
    struct weir_router *router = a_router(2);
    fill(router);
    for (uint64_t i = 0; i < 8; i++) {
        expect(router, 1, i);
    }
    assert_int_equal(publish(router, 1000, MIB), 3);
    weir_router_free(router);
}

static void test_a_large_one_is_paid_for_as_before(void **state)
{
    (void)state;
    struct weir_router *router = a_router(2);
    fill(router);
    size_t before = weir_credit_used(&fixture.queued);
    assert_int_equal(publish(router, 1000, 20 * MIB), 1);
    assert_int_equal(weir_credit_used(&fixture.queued), before);
    assert_true(weir_credit_used(&fixture.intake) > 20 * MIB);
    assert_int_equal(publish(router, 1001, 20 * MIB), 0); /* one waits already */
    expect(router, 0, 1000);
    assert_int_equal(weir_credit_used(&fixture.intake), 0);
    assert_int_equal(publish(router, 1002, 20 * MIB), 1);
    weir_router_free(router);
}

static void test_one_alone_has_all_of_it_and_no_more(void **state)
{
    (void)state;
    struct weir_router *router = a_router(1);
    uint64_t number = 0;
    while (publish(router, number, MIB) == 1) {
        number++;
        assert_true(number < 64);
    }
    assert_true(weir_credit_used(&fixture.queued) > 60 * MIB);
    assert_int_equal(weir_credit_used(&fixture.intake), 0);
    for (uint64_t i = 0; i < number; i++) {
        expect(router, 0, i);
    }
    assert_int_equal(publish(router, 1000, 65 * MIB), 0);
    weir_router_free(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_that_is_down_leaves_memory_to_the_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_free_again_is_for_everybody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_large_one_is_paid_for_as_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_alone_has_all_of_it_and_no_more, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
