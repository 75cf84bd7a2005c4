/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "weir/route.h"
#include <poll.h>

/* Which bells publishing rings, and how loudly: a drainer that naps is woken up when there is much
 * for it, of whatever bounds its row. */

#define MIB ((size_t)1 << 20)
#define KIB ((size_t)1 << 10)

static struct fixture fixture;
static struct weir_namespaces *namespaces;
static struct weir_wake wakes[2];

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture, 64 * MIB);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    assert_int_equal(weir_wake_open(&wakes[0]), WEIR_OK);
    assert_int_equal(weir_wake_open(&wakes[1]), WEIR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_wake_close(&wakes[0]);
    weir_wake_close(&wakes[1]);
    weir_namespaces_free(namespaces);
    fixture_close(&fixture);
    return 0;
}

/* `count` destinations with that share each, whose drainers nap. */
static struct weir_router *a_router(uint32_t count, size_t share)
{
    struct weir_route_destination destinations[2] = {{.name = "d", .share = share},
                                                     {.name = "e", .share = share}};
    for (uint32_t i = 0; i < count; i++) {
        destinations[i].wake = &wakes[i];
        (void)weir_wake_muffle(&wakes[i]);
    }
    const struct weir_router_options options = {
        .set = weir_route_set_of(destinations, count),
        .ring_slots = 64,
        .queued = &fixture.queued,
        .namespaces = namespaces,
        .regions = fixture.regions,
    };
    struct weir_router *router;
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
    return router;
}

static void publish(struct weir_router *router, size_t bytes)
{
    struct fixture_request request = fixture_single(&fixture, "A", 1, bytes);
    struct weir_reservation held;
    fixture_reserve_for(router, &request, WEIR_TARGETS_ALL, &held);
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
}

static bool is_heard(uint32_t index)
{
    struct pollfd bell = {wakes[index].fd, POLLIN, 0};
    return poll(&bell, 1, 0) == 1;
}

static void take_all(struct weir_router *router, uint32_t index)
{
    struct weir_run *run;
    while ((run = weir_router_take(router, index)) != NULL) {
        weir_arena_unref(run->arena, run->bytes);
    }
}

static void test_a_nap_goes_on_until_there_is_much(void **state)
{
    (void)state;
    struct weir_router *router = a_router(1, 48 * MIB);
    size_t published = 0;
    while (!is_heard(0)) {
        assert_true(published <= MIB);
        publish(router, 60 * KIB);
        published = weir_router_queued_bytes(router, 0);
    }
    assert_true(published > MIB);
    assert_true(published < MIB + 64 * KIB);
    take_all(router, 0);
    assert_true(weir_wake_muffle(&wakes[0]));
    publish(router, 60 * KIB);
    assert_false(is_heard(0));
    assert_false(weir_wake_unmuffle(&wakes[0])); /* but remembered */
    weir_router_free(router);
}

static void test_much_is_less_where_the_share_is_small(void **state)
{
    (void)state;
    struct weir_router *router = a_router(1, 256 * KIB);
    publish(router, 20 * KIB);
    assert_false(is_heard(0));
    publish(router, 20 * KIB);
    assert_true(is_heard(0));
    weir_router_free(router);
}

static void test_much_is_less_where_the_budget_is_shared(void **state)
{
    (void)state;
    struct weir_router *router = a_router(2, 48 * MIB);
    while (!is_heard(0)) {
        assert_true(weir_router_queued_bytes(router, 0) <= MIB / 2);
        publish(router, 60 * KIB);
        take_all(router, 1);
    }
    assert_true(weir_router_queued_bytes(router, 0) > MIB / 2);
    assert_false(is_heard(1)); /* it keeps up */
    weir_router_free(router);
}

/* As many of next to no bytes as there are slots in the ring of their namespace. */
static void test_a_ring_that_fills_is_heard(void **state)
{
    (void)state;
    struct weir_router *router = a_router(2, 48 * MIB);
    for (uint32_t count = 1; count <= 64 && !is_heard(0); count++) {
        assert_true(count <= 32);
        publish(router, 1);
        take_all(router, 1);
    }
    assert_false(is_heard(1)); /* it keeps up */
    weir_router_free(router);
}

static void test_without_a_nap_the_least_is_heard(void **state)
{
    (void)state;
    struct weir_router *router = a_router(2, 48 * MIB);
    assert_true(weir_wake_unmuffle(&wakes[1]));
    publish(router, 1);
    assert_false(is_heard(0));
    assert_true(is_heard(1));
    weir_router_free(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_nap_goes_on_until_there_is_much, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_much_is_less_where_the_share_is_small, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_much_is_less_where_the_budget_is_shared, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_ring_that_fills_is_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_nap_the_least_is_heard, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
