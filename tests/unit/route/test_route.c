/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "support.h"
#include "weir/route.h"

#define MIB ((size_t)1 << 20)

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

static struct weir_route_destination a_destination(const char *const *include,
                                                   const char *const *exclude)
{
    return (struct weir_route_destination){
        .name = "d", .include = include, .exclude = exclude, .share = 16 * MIB, .wake = &wakes[0]};
}

static struct weir_router *a_router(const struct weir_route_destination *destinations,
                                    uint32_t count, uint32_t slots)
{
    const struct weir_router_options options = {
        .set = weir_route_set_of(destinations, count),
        .ring_slots = slots,
        .queued = &fixture.queued,
        .namespaces = namespaces,
        .regions = fixture.regions,
    };
    struct weir_router *router = NULL;
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
    return router;
}

static void publish(struct weir_router *router, struct fixture_request request)
{
    struct weir_reservation held;
    assert_true(weir_runs_validate(&request.runs));
    assert_int_equal(fixture_reserve(router, &request, &held), WEIR_OK);
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
}

static void drop(struct weir_run *run)
{
    assert_non_null(run);
    weir_arena_unref(run->arena, run->bytes);
}

/* Takes the next run, which must begin with point `number`, and drops it. */
static void expect(struct weir_router *router, uint32_t index, uint64_t number)
{
    struct weir_run *run = weir_router_take(router, index);
    assert_non_null(run);
    assert_int_equal(fixture_first_number(run), number);
    drop(run);
}

static void test_options_out_of_bounds(void **state)
{
    (void)state;
    struct weir_route_destination destination = a_destination(NULL, NULL);
    struct weir_router_options options = {.ring_slots = 8};
    struct weir_router *router = NULL;
    assert_int_equal(weir_router_new(&options, &router), WEIR_EINVAL);
    options.set = weir_route_set_of(&destination, WEIR_DESTINATIONS_MAX + 1);
    assert_int_equal(weir_router_new(&options, &router), WEIR_EINVAL);
    options.set = (struct weir_route_set){.destinations = &destination,
                                          .slots = UINT64_C(1) << WEIR_DESTINATIONS_MAX};
    assert_int_equal(weir_router_new(&options, &router), WEIR_EINVAL);
    options.set = weir_route_set_of(&destination, 1);
    options.ring_slots = 7;
    assert_int_equal(weir_router_new(&options, &router), WEIR_EINVAL);
    options.ring_slots = 0;
    assert_int_equal(weir_router_new(&options, &router), WEIR_EINVAL);
    assert_null(router);
    weir_router_free(NULL);
}

static void test_goes_to_every_destination_that_wants_it(void **state)
{
    (void)state;
    static const char *const ec2[] = {"AWS/EC*", NULL};
    static const char *const not_ecs[] = {"AWS/ECS", NULL};
    const struct weir_route_destination destinations[] = {a_destination(NULL, NULL),
                                                          a_destination(ec2, not_ecs)};
    struct weir_router *router = a_router(destinations, 2, 8);
    publish(router, fixture_single(&fixture, "AWS/EC2", 1, 0));
    publish(router, fixture_single(&fixture, "AWS/ECS", 2, 0));
    publish(router, fixture_single(&fixture, "Own/EC2", 3, 0));
    publish(router, fixture_single(&fixture, "", 4, 0));
    for (uint64_t number = 1; number <= 4; number++) {
        expect(router, 0, number);
    }
    expect(router, 1, 1);
    assert_null(weir_router_take(router, 0));
    assert_null(weir_router_take(router, 1));
    weir_router_free(router);
}

static void test_no_destination_wants_it(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    static const char *const all[] = {"*", NULL};
    const struct weir_route_destination destinations[] = {a_destination(none, NULL),
                                                          a_destination(NULL, all)};
    struct weir_router *router = a_router(destinations, 2, 8);
    publish(router, fixture_single(&fixture, "AWS/EC2", 1, 0));
    assert_null(weir_router_take(router, 0));
    assert_null(weir_router_take(router, 1));
    assert_false(atomic_load_explicit(&wakes[0].ringing, memory_order_relaxed));
    assert_int_equal(weir_credit_used(&fixture.queued), 0);
    weir_router_free(router);
}

/* All excluded, or all quarantined, so that there is no run: Firehose is not to send that again. */
static void test_what_nobody_wants_needs_no_queued_memory(void **state)
{
    struct weir_reservation held;
    (void)state;
    static const char *const ec2[] = {"AWS/EC2", NULL};
    const struct weir_route_destination destination = a_destination(ec2, NULL);
    struct weir_router *router = a_router(&destination, 1, 8);
    assert_true(weir_credit_take(&fixture.queued, 64 * MIB));
    publish(router, fixture_single(&fixture, "AWS/ECS", 1, 0));
    publish(router, fixture_request(&fixture, "quarantined", 0));
    struct fixture_request wanted = fixture_single(&fixture, "AWS/EC2", 2, 0);
    assert_int_equal(fixture_reserve(router, &wanted, &held), WEIR_EFULL);
    weir_arena_unref(wanted.arena, 0);
    weir_credit_give(&fixture.queued, 64 * MIB);
    assert_null(weir_router_take(router, 0));
    weir_router_free(router);
}

static void test_counts_and_bells(void **state)
{
    (void)state;
    struct weir_route_destination destinations[] = {a_destination(NULL, NULL),
                                                    a_destination(NULL, NULL)};
    destinations[1].wake = NULL;
    struct weir_router *router = a_router(destinations, 2, 8);
    publish(router, fixture_single(&fixture, "A", 1, 100));
    assert_true(atomic_load_explicit(&wakes[0].ringing, memory_order_relaxed));
    struct weir_run *run = weir_router_take(router, 0);
    assert_int_equal(weir_router_queued_bytes(router, 0), 0);
    assert_int_equal(weir_router_queued_bytes(router, 1), run->bytes);
    assert_int_equal(weir_router_ring_points(router, 0), 1);
    drop(run);
    drop(weir_router_take(router, 1));
    assert_int_equal(weir_router_ring_points(router, 0), 0);
    weir_wake_silence(&wakes[0]);
    weir_router_free(router);
}

static void test_cancel_gives_everything_back(void **state)
{
    struct weir_reservation held;
    (void)state;
    const struct weir_route_destination destinations[] = {a_destination(NULL, NULL),
                                                          a_destination(NULL, NULL)};
    struct weir_router *router = a_router(destinations, 2, 2);
    for (int i = 0; i < 5; i++) { /* more often than the ring has slots */
        struct fixture_request request = fixture_single(&fixture, "A", 1, 100);
        assert_int_equal(fixture_reserve(router, &request, &held), WEIR_OK);
        assert_true(weir_router_queued_bytes(router, 1) > 100);
        weir_router_cancel(router, &request.runs, &held);
        assert_int_equal(weir_router_queued_bytes(router, 0), 0);
        assert_int_equal(weir_router_queued_bytes(router, 1), 0);
        weir_arena_unref(request.arena, 0);
    }
    assert_null(weir_router_take(router, 0));
    weir_router_free(router);
}

static void assert_refused(struct weir_router *router, struct fixture_request request)
{
    struct weir_reservation held;
    size_t before[2] = {weir_router_queued_bytes(router, 0), weir_router_queued_bytes(router, 1)};
    assert_int_equal(fixture_reserve(router, &request, &held), WEIR_EFULL);
    assert_int_equal(weir_router_queued_bytes(router, 0), before[0]);
    assert_int_equal(weir_router_queued_bytes(router, 1), before[1]);
    weir_arena_unref(request.arena, 0);
}

static void test_ring_full_is_all_or_nothing(void **state)
{
    (void)state;
    const struct weir_route_destination destinations[] = {a_destination(NULL, NULL),
                                                          a_destination(NULL, NULL)};
    struct weir_router *router = a_router(destinations, 2, 2);
    publish(router, fixture_single(&fixture, "A", 1, 0));
    publish(router, fixture_single(&fixture, "A", 2, 0));
    expect(router, 0, 1); /* destination 0 has room again, destination 1 has not */
    assert_refused(router, fixture_single(&fixture, "A", 3, 0));
    publish(router, fixture_single(&fixture, "B", 4, 0));
    expect(router, 1, 1);
    publish(router, fixture_single(&fixture, "A", 5, 0));
    weir_router_free(router); /* with runs in it */
}

static void test_one_without_room_does_not_stop_the_others(void **state)
{
    (void)state;
    struct weir_route_destination destinations[] = {a_destination(NULL, NULL),
                                                    a_destination(NULL, NULL)};
    destinations[1].share = 1;
    struct weir_router *router = a_router(destinations, 2, 2);
    struct fixture_request request = fixture_single(&fixture, "A", 1, 100);
    struct weir_reservation held;
    fixture_reserve_for(router, &request, WEIR_TARGETS_ALL, &held);
    assert_int_equal(held.wanted, 3);
    assert_int_equal(held.live, 1);
    assert_int_equal(held.points[0], 1);
    assert_int_equal(held.points[1], 1);
    assert_int_equal(weir_router_queued_bytes(router, 1), 0);
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
    expect(router, 0, 1);
    assert_null(weir_router_take(router, 1));
    assert_int_equal(weir_router_ring_points(router, 0), 0);
    weir_router_free(router);
}

static void test_only_targets_get_it(void **state)
{
    (void)state;
    static const char *const nothing[] = {NULL};
    const struct weir_route_destination destinations[] = {
        a_destination(NULL, NULL), a_destination(NULL, NULL), a_destination(nothing, NULL)};
    struct weir_router *router = a_router(destinations, 3, 2);
    static const uint64_t targets[] = {2, 4, 0, ~UINT64_C(7)};
    for (uint64_t i = 0; i < 4; i++) {
        struct fixture_request request = fixture_single(&fixture, "A", i, 0);
        struct weir_reservation held;
        fixture_reserve_for(router, &request, targets[i], &held);
        assert_int_equal(held.wanted, i == 0 ? 2 : 0);
        assert_int_equal(held.live, held.wanted);
        assert_int_equal(held.points[0], 0);
        weir_router_publish(router, &request.runs, &held);
        weir_arena_unref(request.arena, 0);
    }
    expect(router, 1, 0);
    assert_null(weir_router_take(router, 0));
    assert_null(weir_router_take(router, 1));
    assert_int_equal(weir_credit_used(&fixture.queued), 0);
    weir_router_free(router);
}

static void test_share_full(void **state)
{
    (void)state;
    struct weir_route_destination destinations[] = {a_destination(NULL, NULL),
                                                    a_destination(NULL, NULL)};
    destinations[1].share = 1000;
    struct weir_router *router = a_router(destinations, 2, 8);
    publish(router, fixture_single(&fixture, "A", 1, 900));
    assert_refused(router, fixture_single(&fixture, "A", 2, 900));
    expect(router, 1, 1);
    publish(router, fixture_single(&fixture, "A", 3, 900));
    weir_router_free(router);
}

static void test_queued_memory_full(void **state)
{
    struct weir_reservation held;
    (void)state;
    const struct weir_route_destination destination = a_destination(NULL, NULL);
    struct weir_router *router = a_router(&destination, 1, 8);
    struct fixture_request request = fixture_request(&fixture, "big", 65 * MIB);
    struct weir_run *run = fixture_run(&request, "A", "r");
    fixture_point(&request, run, fixture_metric(run, "", "m"), 1, 0);
    assert_int_equal(fixture_reserve(router, &request, &held), WEIR_EFULL);
    assert_int_equal(weir_credit_used(&fixture.queued), 0);
    weir_arena_unref(request.arena, 0);
    weir_router_free(router);
}

static void test_drains_fairly_by_bytes(void **state)
{
    (void)state;
    const struct weir_route_destination destination = a_destination(NULL, NULL);
    struct weir_router *router = a_router(&destination, 1, 256);
    for (uint64_t i = 0; i < 100; i++) {
        publish(router, fixture_single(&fixture, "common", 1000 + i, 60000));
    }
    publish(router, fixture_single(&fixture, "rare", 1, 100));
    publish(router, fixture_single(&fixture, "rare", 2, 100));
    int before_rare = 0;
    uint64_t number = 0;
    while (number != 2) {
        struct weir_run *run = weir_router_take(router, 0);
        number = fixture_first_number(run);
        before_rare += number >= 1000;
        drop(run);
    }
    assert_true(before_rare <= 2);
    weir_router_free(router);
}

static void test_a_run_larger_than_many_quanta(void **state)
{
    (void)state;
    const struct weir_route_destination destination = a_destination(NULL, NULL);
    struct weir_router *router = a_router(&destination, 1, 8);
    struct fixture_request request = fixture_request(&fixture, "big", 0);
    struct weir_run *run = fixture_run(&request, "big", "r");
    const struct weir_metric *metric = fixture_metric(run, "", "m");
    for (uint64_t i = 0; i < 60; i++) {
        fixture_point(&request, run, metric, i, 60000);
    }
    publish(router, request);
    run = weir_router_take(router, 0);
    assert_int_equal(run->count, 60);
    drop(run);
    assert_null(weir_router_take(router, 0));
    weir_router_free(router);
}

static void test_order_within_a_namespace(void **state)
{
    (void)state;
    const struct weir_route_destination destination = a_destination(NULL, NULL);
    struct weir_router *router = a_router(&destination, 1, 64);
    for (uint64_t i = 0; i < 40; i++) {
        publish(router, fixture_single(&fixture, i % 2 == 0 ? "even" : "odd", i, 20000));
    }
    uint64_t last[2] = {0, 0};
    for (int i = 0; i < 40; i++) {
        struct weir_run *run = weir_router_take(router, 0);
        uint64_t number = fixture_first_number(run);
        assert_true(number < 2 || number == last[number % 2] + 2);
        last[number % 2] = number;
        drop(run);
    }
    weir_router_free(router);
}

static void test_namespaces_past_the_table_share_a_ring(void **state)
{
    (void)state;
    static const char *const odd[] = {"*1", "*3", "*5", "*7", "*9", NULL};
    const struct weir_route_destination destinations[] = {a_destination(NULL, NULL),
                                                          a_destination(odd, NULL)};
    char name[16];
    for (unsigned i = 0; i < WEIR_NAMESPACES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "known%u", i);
        assert_int_equal(weir_namespaces_id(namespaces, weir_bytes_str(name)), i);
    }
    struct weir_router *router = a_router(destinations, 2, 8);
    publish(router, fixture_single(&fixture, "past0", 10, 0));
    publish(router, fixture_single(&fixture, "past1", 11, 0));
    publish(router, fixture_single(&fixture, "known1", 1, 0));
    assert_int_equal(weir_router_ring_points(router, WEIR_NAMESPACE_OVERFLOW), 3);
    expect(router, 0, 1);
    expect(router, 0, 10);
    expect(router, 0, 11);
    expect(router, 1, 1);
    expect(router, 1, 11);
    assert_null(weir_router_take(router, 1));
    weir_router_free(router);
}

/* A 4 MiB request of which all but one rare point is wanted elsewhere, and delivered there. */
static void test_never_pins_an_arena_for_a_rare_point(void **state)
{
    (void)state;
    static const char *const rare[] = {"rare", NULL};
    const struct weir_route_destination destinations[] = {a_destination(rare, NULL)};
    struct weir_router *router = a_router(destinations, 1, 8);
    struct fixture_request request = fixture_request(&fixture, "id-of-rare", 4 * MIB);
    struct weir_run *run = fixture_run(&request, "common", "r");
    fixture_point(&request, run, fixture_metric(run, "", "common"), 1, 0);
    run = fixture_run(&request, "rare", "resource of the rare one");
    const struct weir_metric *metric = fixture_metric(run, "scope", "rare");
    const struct weir_metric *other = fixture_metric(run, "scope", "rarer");
    fixture_point(&request, run, metric, 2, 10);
    fixture_point(&request, run, other, 3, 10);
    fixture_point(&request, run, metric, 4, 10);
    size_t bytes = run->bytes;
    publish(router, request);
    assert_true(weir_regions_taken(fixture.regions) > 4 * MIB);
    assert_int_equal(weir_router_compact(router, 0), bytes);
    assert_true(weir_regions_taken(fixture.regions) < MIB / 16);
    assert_true(weir_credit_used(&fixture.queued) < MIB / 16);
    assert_int_equal(weir_router_compact(router, 0), 0);

    run = weir_router_take(router, 0);
    const struct weir_runs whole = {run, 1, run->count, run->bytes};
    for (uint32_t i = 0; i < run->count; i++) { /* runs_validate wants the index of this array */
        assert_int_equal(run->points[i].run, 1);
    }
    assert_int_equal(whole.points, 3);
    assert_int_equal(run->bytes, bytes);
    assert_true(run->points[0].metric == run->points[2].metric);
    assert_true(run->points[0].metric->hash == weir_metric_hash(run->points[0].metric));
    assert_true(weir_bytes_eq(run->points[1].metric->head, WEIR_BYTES("\x0a\x05rarer")));
    assert_true(weir_bytes_eq(run->resource->head, WEIR_BYTES("\x0a\x18resource of the rare one")));
    assert_true(weir_bytes_eq(run->name, WEIR_BYTES("rare")));
    assert_true(weir_bytes_eq(run->origin->request_id, WEIR_BYTES("id-of-rare")));
    assert_int_equal(fixture_first_number(run), 2);
    drop(run);
    weir_router_free(router);
}

static void test_compact_leaves_dense_arenas_and_full_budgets(void **state)
{
    (void)state;
    const struct weir_route_destination destination = a_destination(NULL, NULL);
    struct weir_router *router = a_router(&destination, 1, 8);
    publish(router, fixture_single(&fixture, "A", 1, 60000));
    assert_int_equal(weir_router_compact(router, 0), 0);
    drop(weir_router_take(router, 0));

    struct fixture_request request = fixture_request(&fixture, "sparse", MIB);
    struct weir_run *run = fixture_run(&request, "A", "r");
    fixture_point(&request, run, fixture_metric(run, "", "m"), 7, 0);
    publish(router, request);
    size_t rest = 64 * MIB - weir_credit_used(&fixture.queued);
    assert_true(weir_credit_take(&fixture.queued, rest));
    assert_int_equal(weir_router_compact(router, 0), 0);
    weir_credit_give(&fixture.queued, rest);
    expect(router, 0, 7);
    weir_router_free(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_options_out_of_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_goes_to_every_destination_that_wants_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_no_destination_wants_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_nobody_wants_needs_no_queued_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_counts_and_bells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_gives_everything_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ring_full_is_all_or_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_without_room_does_not_stop_the_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_only_targets_get_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queued_memory_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drains_fairly_by_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_run_larger_than_many_quanta, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order_within_a_namespace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_namespaces_past_the_table_share_a_ring, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_never_pins_an_arena_for_a_rare_point, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_compact_leaves_dense_arenas_and_full_budgets, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
