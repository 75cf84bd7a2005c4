/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests with far more runs than a ring has slots: the sender chooses how many accounts and names
 * it sends, so neither may make a request that is refused for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "weir/route.h"

enum { MANY = 5000, SLOTS = 4 };

#define MIB ((size_t)1 << 20)

static struct fixture fixture;
static struct weir_namespaces *namespaces;
static struct weir_router *router;

static const char *const sevens[] = {"*7", NULL};
static const char *const aws[] = {"AWS/*", NULL};

/* A router of two destinations, the second one as picky as `include` and `exclude` say. */
static void open_router(const char *const *include, const char *const *exclude)
{
    fixture_open(&fixture, 256 * MIB);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    const struct weir_route_destination destinations[] = {
        {.name = "all", .share = 16 * MIB},
        {.name = "some", .include = include, .exclude = exclude, .share = 16 * MIB}};
    const struct weir_router_options options = {
        .set = weir_route_set_of(destinations, 2),
        .ring_slots = SLOTS,
        .queued = &fixture.queued,
        .namespaces = namespaces,
        .regions = fixture.regions,
    };
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
}

static int tear_down(void **state)
{
    (void)state;
    weir_router_free(router);
    weir_namespaces_free(namespaces);
    fixture_close(&fixture);
    return 0;
}

static void add_run(struct fixture_request *request, const char *name, const char *resource,
                    uint64_t number)
{
    struct weir_run *run = fixture_run(request, name, resource);
    fixture_point(request, run, fixture_metric(run, "S", "m"), number, 0);
}

/* A request of MANY runs with a point each: of as many accounts, or of as many names. */
static struct fixture_request a_wide_request(bool by_name)
{
    struct fixture_request request = fixture_wide_request(&fixture, "wide", 16 * MIB, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%s%u", by_name ? "own" : "account", i);
        add_run(&request, by_name ? text : "AWS/EC2", by_name ? "R" : text, i);
    }
    return request;
}

static enum weir_status bring(struct fixture_request request)
{
    struct weir_reservation held;
    enum weir_status status = fixture_reserve(router, &request, &held);
    if (status == WEIR_OK) {
        weir_router_publish(router, &request.runs, &held);
    }
    weir_arena_unref(request.arena, 0);
    return status;
}

/* Takes `runs` runs and marks their points, of which none may come twice; unless `seen` is NULL. */
static void take(uint32_t index, uint32_t runs, uint8_t *seen)
{
    for (uint32_t i = 0; i < runs; i++) {
        struct weir_run *run = weir_router_take(router, index);
        assert_non_null(run);
        assert_int_equal(run->count, 1);
        uint64_t number = fixture_first_number(run);
        assert_true(number < MANY);
        if (seen != NULL) {
            assert_int_equal(seen[number], 0);
            seen[number] = 1;
        }
        weir_arena_unref(run->arena, run->bytes);
    }
}

static void expect_empty(uint32_t index)
{
    assert_null(weir_router_take(router, index));
    assert_int_equal(weir_router_queued_bytes(router, index), 0);
}

static void test_five_thousand_accounts_in_one_namespace(void **state)
{
    (void)state;
    static uint8_t seen[2][MANY];
    memset(seen, 0, sizeof(seen));
    open_router(aws, NULL);
    assert_int_equal(bring(a_wide_request(false)), WEIR_OK);
    assert_int_equal(weir_router_ring_points(router, 0), 2 * MANY);
    for (uint32_t index = 0; index < 2; index++) {
        take(index, MANY, seen[index]);
        expect_empty(index);
    }
    assert_int_equal(weir_router_ring_points(router, 0), 0);
    assert_int_equal(weir_regions_taken(fixture.regions), 0);
}

static void test_five_thousand_namespaces_in_one_request(void **state)
{
    (void)state;
    static uint8_t seen[2][MANY];
    memset(seen, 0, sizeof(seen));
    open_router(sevens, NULL);
    assert_int_equal(bring(a_wide_request(true)), WEIR_OK);
    uint64_t shared = 0; /* of the names past the table, all and those that end in 7 */
    for (uint32_t i = WEIR_NAMESPACES_MAX; i < MANY; i++) {
        shared += i % 10 == 7 ? 2 : 1;
    }
    assert_int_equal(weir_router_ring_points(router, WEIR_NAMESPACE_OVERFLOW), shared);
    size_t bytes = weir_router_queued_bytes(router, 0);
    assert_int_equal(weir_router_queued_bytes(router, 1), bytes / 10);
    take(1, MANY / 10, seen[1]);
    expect_empty(1);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(seen[1][i], i % 10 == 7);
    }
    take(0, MANY, seen[0]);
    expect_empty(0);
    assert_int_equal(weir_router_ring_points(router, WEIR_NAMESPACE_OVERFLOW), 0);
    assert_int_equal(weir_regions_taken(fixture.regions), 0);
}

/* As many requests as a ring has slots, and no more; one that is refused leaves nothing. */
static void test_a_slot_is_a_request(void **state)
{
    struct weir_reservation held;
    (void)state;
    open_router(sevens, NULL);
    for (int i = 0; i < 3 * SLOTS; i++) {
        struct fixture_request request = a_wide_request(true);
        assert_int_equal(fixture_reserve(router, &request, &held), WEIR_OK);
        weir_router_cancel(router, &request.runs, &held);
        weir_arena_unref(request.arena, 0);
        expect_empty(0);
        expect_empty(1);
    }
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(bring(a_wide_request(true)), WEIR_OK);
    }
    size_t bytes = weir_router_queued_bytes(router, 0);
    assert_int_equal(bring(a_wide_request(true)), WEIR_EFULL);
    assert_int_equal(weir_router_queued_bytes(router, 0), bytes);
    assert_int_equal(weir_router_queued_bytes(router, 1), bytes / 10);
    /* tear_down frees the rest of the chains, begun or not */
    take(0, MANY / 2, NULL);
}

/* So that further names share a ring. */
static void use_up_names(void)
{
    for (uint32_t i = 0; i < WEIR_NAMESPACES_MAX; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "known%u", i);
        assert_int_equal(weir_namespaces_id(namespaces, weir_bytes_str(text)), i);
    }
}

/* Takes a run, which must be point `number` of a metric that belongs to the run's own resource. */
static void expect(uint32_t index, uint64_t number)
{
    struct weir_run *run = weir_router_take(router, index);
    assert_non_null(run);
    assert_int_equal(fixture_first_number(run), number);
    assert_true(run->points[0].metric->scope->resource == run->resource);
    assert_true(weir_bytes_eq(run->origin->request_id, WEIR_BYTES("sparse")));
    weir_arena_unref(run->arena, run->bytes);
}

/* Every other run is excluded, one was taken, two resources take turns; the rest is copied, and
 * once more when little of the copy is left. */
static void test_compacts_what_is_left_of_a_chain(void **state)
{
    (void)state;
    open_router(sevens, NULL);
    use_up_names();
    struct fixture_request request = fixture_wide_request(&fixture, "sparse", 8 * MIB, 2000);
    const struct weir_metric *metrics[2] = {NULL, NULL};
    for (uint32_t i = 0; i < 2000; i++) {
        struct weir_run *run =
            fixture_run(&request, i % 2 == 0 ? "past7" : "past8", i % 4 < 2 ? "A" : "B");
        const struct weir_metric **metric = &metrics[i % 4 / 2];
        *metric = *metric == NULL ? fixture_metric(run, "S", "m") : *metric;
        run->resource = (*metric)->scope->resource;
        fixture_point(&request, run, *metric, i, 0);
    }
    assert_int_equal(bring(request), WEIR_OK);
    assert_int_equal(weir_router_compact(router, 1), 1000 * 11);
    expect(1, 0);
    for (uint32_t i = 0; i < 2000; i++) {
        expect(0, i); /* the other one's links are as they were */
    }
    expect_empty(0);
    uint32_t next = 2;
    for (; next < 1800; next += 2) {
        expect(1, next);
    }
    size_t before = weir_regions_taken(fixture.regions);
    assert_int_equal(weir_router_compact(router, 1), 100 * 11);
    assert_true(weir_regions_taken(fixture.regions) < before);
    assert_int_equal(weir_router_ring_points(router, WEIR_NAMESPACE_OVERFLOW), 100);
    for (; next < 2000; next += 2) {
        expect(1, next);
    }
    expect_empty(1);
    assert_int_equal(weir_regions_taken(fixture.regions), 0);
}

/* A name with a ring of its own between two that share one: these are one chain all the same. */
static void test_a_shared_chain_goes_past_others(void **state)
{
    (void)state;
    open_router(sevens, NULL);
    use_up_names();
    struct fixture_request request = fixture_wide_request(&fixture, "apart", 0, 5);
    static const char *const names[] = {"past1", "known1", "known1", "past2", "known2"};
    for (uint32_t i = 0; i < 5; i++) {
        add_run(&request, names[i], "R", i);
    }
    assert_int_equal(bring(request), WEIR_OK);
    const struct weir_run *runs = request.runs.runs; /* there as long as they are in a ring */
    assert_ptr_equal(runs[0].next, &runs[3]);
    assert_ptr_equal(runs[1].next, &runs[2]);
    assert_null(runs[2].next);
    assert_null(runs[3].next);
    static const bool firsts[] = {true, true, false, false, true};
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(runs[i].is_first, firsts[i]);
    }
    take(0, 5, NULL);
    expect_empty(0);
    assert_int_equal(weir_regions_taken(fixture.regions), 0);
}

/* One that was taken is copied alone; what follows it has its own reference. */
static void test_compacts_what_was_taken(void **state)
{
    (void)state;
    open_router(sevens, NULL);
    struct fixture_request request = fixture_wide_request(&fixture, "sparse", 8 * MIB, 2);
    for (uint32_t i = 0; i < 2; i++) {
        add_run(&request, "own", i == 0 ? "A" : "B", i);
    }
    assert_int_equal(bring(request), WEIR_OK);
    struct weir_run *first = weir_router_take(router, 0);
    struct weir_run *copy = weir_router_compact_taken(router, first);
    assert_ptr_not_equal(copy, first);
    assert_null(copy->next);
    assert_true(weir_regions_taken(fixture.regions) > 8 * MIB);
    expect(0, 1);
    assert_true(weir_regions_taken(fixture.regions) < MIB / 16);
    assert_ptr_equal(weir_router_compact_taken(router, copy), copy);
    assert_int_equal(fixture_first_number(copy), 0);
    assert_int_equal(copy->bytes, 11);
    weir_arena_unref(copy->arena, copy->bytes);
    expect_empty(0);
    assert_int_equal(weir_regions_taken(fixture.regions), 0);
}

/* A run without points enters no ring, alone or in a chain. */
static void test_runs_without_points(void **state)
{
    (void)state;
    open_router(NULL, NULL);
    struct fixture_request request = fixture_request(&fixture, "sparse", 0);
    (void)fixture_run(&request, "A", "R");
    add_run(&request, "A", "R", 1);
    (void)fixture_run(&request, "A", "R");
    (void)fixture_run(&request, "B", "R");
    assert_int_equal(bring(request), WEIR_OK);
    for (uint32_t index = 0; index < 2; index++) {
        expect(index, 1);
        expect_empty(index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_five_thousand_accounts_in_one_namespace, tear_down),
        cmocka_unit_test_teardown(test_five_thousand_namespaces_in_one_request, tear_down),
        cmocka_unit_test_teardown(test_a_slot_is_a_request, tear_down),
        cmocka_unit_test_teardown(test_compacts_what_is_left_of_a_chain, tear_down),
        cmocka_unit_test_teardown(test_a_shared_chain_goes_past_others, tear_down),
        cmocka_unit_test_teardown(test_compacts_what_was_taken, tear_down),
        cmocka_unit_test_teardown(test_runs_without_points, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
