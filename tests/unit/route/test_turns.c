/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From taking a request's runs as they lie to taking them by turns of namespaces, and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "weir/route.h"

#define MIB ((size_t)1 << 20)

static struct fixture fixture;
static struct weir_namespaces *namespaces;
static struct weir_router *router;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture, 64 * MIB);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    const struct weir_route_destination destination = {.name = "d", .share = 16 * MIB};
    const struct weir_router_options options = {
        .set = weir_route_set_of(&destination, 1),
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

static void publish(struct fixture_request request)
{
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(router, &request, &held), WEIR_OK);
    weir_router_publish(router, &held);
    weir_arena_unref(request.arena, 0);
}

/* The number of the next run, which is dropped. */
static uint64_t take(void)
{
    struct weir_run *run = weir_router_take(router, 0);
    assert_non_null(run);
    uint64_t number = fixture_first_number(run);
    weir_arena_unref(run->arena, run->bytes);
    return number;
}

static const char *const names[] = {"A", "B", "C"};

/* A request of twelve runs, of each name in turn. */
static void publish_twelve(void)
{
    struct fixture_request request = fixture_request(&fixture, "whole", 0);
    for (uint32_t i = 0; i < 12; i++) {
        struct weir_run *run = fixture_run(&request, names[i % 3], "r");
        fixture_point(&request, run, fixture_metric(run, "", "m"), i, 0);
    }
    publish(request);
}

static void test_order_from_little_to_much_and_back(void **state)
{
    (void)state;
    publish_twelve();
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(take(), i);
    }
    uint64_t last[3] = {3, 4, 2}; /* of each name */
    for (uint64_t i = 0; i < 90; i++) {
        publish(fixture_single(&fixture, names[i % 3], 12 + i, 60000));
    }
    assert_true(weir_router_queued_bytes(router, 0) > 5 * MIB);
    bool was_in_order = true;
    for (uint64_t i = 5; i < 12 + 90; i++) {
        uint64_t number = take();
        assert_int_equal(number, last[number % 3] + 3);
        last[number % 3] = number;
        was_in_order = was_in_order && number == i;
    }
    assert_false(was_in_order);
    assert_null(weir_router_take(router, 0));
    for (uint32_t id = 0; id < 3; id++) {
        assert_int_equal(weir_router_ring_points(router, id), 0);
    }
    publish_twelve(); /* little again */
    for (uint64_t i = 0; i < 12; i++) {
        assert_int_equal(take(), i);
    }
    assert_null(weir_router_take(router, 0));
    assert_int_equal(weir_router_queued_bytes(router, 0), 0);
}

/* However large it is, what waits alone is nobody's neighbour. */
static void test_alone_is_in_order(void **state)
{
    (void)state;
    struct fixture_request request = fixture_request(&fixture, "large", 0);
    for (uint32_t i = 0; i < 16; i++) {
        struct weir_run *run = fixture_run(&request, names[i % 3], "r");
        const struct weir_metric *metric = fixture_metric(run, "", "m");
        for (uint32_t p = 0; p < 20; p++) {
            fixture_point(&request, run, metric, i * 20 + p, 40000);
        }
    }
    publish(request);
    for (uint64_t i = 0; i < 16; i++) {
        assert_int_equal(take(), i * 20);
    }
    assert_null(weir_router_take(router, 0));
}

/* Of what is given up with the router some was taken, some is sorted, some has only arrived. */
static void test_freed_in_any_state(void **state)
{
    (void)state;
    publish_twelve();
    (void)take();
    for (uint64_t i = 0; i < 30; i++) {
        publish(fixture_single(&fixture, names[i % 3], i, 60000));
    }
    (void)take();
    publish_twelve();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_from_little_to_much_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_alone_is_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_freed_in_any_state, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
