/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "weir/mem.h"
#include "weir/route.h"
#include <poll.h>

/* The set of destinations, replaced while requests are under way. */

#define MIB       ((size_t)1 << 20)
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SLOT(n_)  (UINT64_C(1) << (n_))

enum { LAST = WEIR_DESTINATIONS_MAX - 1 };

static struct fixture fixture;
static struct weir_namespaces *namespaces;
static struct weir_router *router;
static struct weir_route_destination destinations[WEIR_DESTINATIONS_MAX];
static uint32_t ends[8]; /* of the set that was the nth to be configured */
static uint32_t sets;

static void on_released(void *argument)
{
    (*(uint32_t *)argument)++;
}

static struct weir_route_set a_set(uint64_t slots)
{
    assert_true(sets < sizeof(ends) / sizeof(ends[0]));
    return (struct weir_route_set){.destinations = destinations,
                                   .slots = slots,
                                   .released = on_released,
                                   .argument = &ends[sets++]};
}

static void configure(uint64_t slots)
{
    const struct weir_route_set set = a_set(slots);
    assert_int_equal(weir_router_configure(router, &set), WEIR_OK);
}

/* Slot 0 is configured, with what `destinations` has by then. */
static void open_router(void)
{
    const struct weir_router_options options = {.set = a_set(SLOT(0)),
                                                .ring_slots = 64,
                                                .queued = &fixture.queued,
                                                .namespaces = namespaces,
                                                .regions = fixture.regions};
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
}

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture, 64 * MIB);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    memset(ends, 0, sizeof(ends));
    sets = 0;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        destinations[i] = (struct weir_route_destination){.name = "d", .share = 48 * MIB};
    }
    return 0;
}

/* Every set that was configured has ended, once. */
static int tear_down(void **state)
{
    (void)state;
    weir_router_free(router);
    router = NULL;
    for (uint32_t i = 0; i < sets; i++) {
        assert_int_equal(ends[i], 1);
    }
    weir_namespaces_free(namespaces);
    fixture_close(&fixture);
    return 0;
}

/* A request under way. */
struct one {
    struct fixture_request request;
    struct weir_route_choice choice;
    struct weir_reservation held;
};

static void reserve(struct one *one, const char *name, uint64_t number, size_t padding)
{
    const struct weir_route_request asked = {.targets = WEIR_TARGETS_ALL};
    one->request = fixture_request(&fixture, "id", padding);
    struct weir_run *run = fixture_run(&one->request, name, "R");
    fixture_point(&one->request, run, fixture_metric(run, "", "m"), number, 1000);
    assert_int_equal(weir_router_choose(router, one->request.arena, &asked, &one->choice), WEIR_OK);
    weir_router_reserve(router, one->request.arena, &one->request.runs, &one->choice, &one->held);
}

static void end(struct one *one)
{
    weir_router_release(router, &one->choice);
    weir_arena_unref(one->request.arena, 0);
}

static void publish(struct one *one)
{
    weir_router_publish(router, &one->request.runs, &one->held);
    end(one);
}

static void cancel(struct one *one)
{
    weir_router_cancel(router, &one->request.runs, &one->held);
    end(one);
}

/* A whole request; returns who got it. */
static uint64_t bring(const char *name, uint64_t number)
{
    struct one one;
    reserve(&one, name, number, 0);
    publish(&one);
    return one.held.live;
}

static void expect(uint32_t slot, uint64_t number)
{
    struct weir_run *run = weir_router_take(router, slot);
    assert_non_null(run);
    assert_int_equal(fixture_first_number(run), number);
    weir_arena_unref(run->arena, run->bytes);
}

static void slots_come_and_go(void **state)
{
    (void)state;
    open_router();
    assert_int_equal(bring("N", 1), SLOT(0));
    configure(SLOT(0) | SLOT(3) | SLOT(LAST));
    assert_int_equal(bring("N", 2), SLOT(0) | SLOT(3) | SLOT(LAST));
    configure(SLOT(3));
    assert_int_equal(bring("N", 3), SLOT(3));
    expect(0, 1); /* what it had is its drainer's */
    expect(0, 2);
    expect(3, 2);
    expect(3, 3);
    expect(LAST, 2);
    assert_null(weir_router_take(router, 0));
    assert_null(weir_router_take(router, LAST));
    assert_null(weir_router_take(router, 17)); /* never in a set */
    assert_int_equal(weir_router_compact(router, 17), 0);
}

static void filters_change_and_no_decision_is_stale(void **state)
{
    (void)state;
    destinations[0].include = LIST("A*");
    open_router();
    assert_int_equal(bring("A1", 1), SLOT(0));
    assert_int_equal(bring("B1", 2), 0);
    destinations[0].include = LIST("B*");
    assert_int_equal(bring("B1", 3), 0); /* copied; not looked at again */
    configure(SLOT(0));
    assert_int_equal(bring("A1", 4), 0);
    assert_int_equal(bring("B1", 5), SLOT(0));
    destinations[0].include = NULL;
    configure(SLOT(0));
    assert_int_equal(bring("A1", 6), SLOT(0));
    expect(0, 1); /* A1's ring, and then B1's */
    expect(0, 6);
    expect(0, 5);
}

static void a_share_changes(void **state)
{
    (void)state;
    open_router();
    assert_int_equal(bring("N", 1), SLOT(0));
    destinations[0].share = weir_router_queued_bytes(router, 0);
    configure(SLOT(0));
    assert_int_equal(bring("N", 2), 0); /* full */
    destinations[0].share--;
    configure(SLOT(0));
    assert_int_equal(bring("N", 3), 0); /* over it already */
    destinations[0].share = MIB;
    configure(SLOT(0));
    assert_int_equal(bring("N", 4), SLOT(0));
    expect(0, 1);
    expect(0, 4);
}

static void disk_only_is_wanted_and_never_live(void **state)
{
    (void)state;
    struct one one;
    open_router();
    destinations[1].is_disk_only = true;
    configure(SLOT(0) | SLOT(1));
    reserve(&one, "N", 1, 0);
    assert_int_equal(one.held.wanted, 3);
    assert_int_equal(one.held.live, 1);
    assert_int_equal(one.held.points[1], 1);
    publish(&one);
    assert_null(weir_router_take(router, 1));
    destinations[0].is_disk_only = true; /* nobody is open */
    configure(SLOT(0) | SLOT(1));
    reserve(&one, "N", 2, 0);
    assert_int_equal(one.held.wanted, 3);
    assert_int_equal(one.held.live, 0);
    cancel(&one);
    destinations[1].is_disk_only = false;
    configure(SLOT(0) | SLOT(1));
    assert_int_equal(bring("N", 3), SLOT(1));
    expect(0, 1);
    expect(1, 3);
}

static bool is_rung(const struct weir_wake *wake)
{
    struct pollfd bell = {.fd = wake->fd, .events = POLLIN};
    return poll(&bell, 1, 0) == 1;
}

static void a_request_goes_by_the_set_that_it_found(void **state)
{
    (void)state;
    struct weir_wake wake;
    struct one published;
    struct one cancelled;
    assert_int_equal(weir_wake_open(&wake), WEIR_OK);
    destinations[0].wake = &wake;
    destinations[1].exclude = LIST("N");
    open_router();
    reserve(&published, "N", 1, 0);
    reserve(&cancelled, "N", 2, 0);
    configure(SLOT(1));
    assert_int_equal(ends[0], 0);
    assert_int_equal(bring("N", 3), 0);
    assert_false(is_rung(&wake));
    publish(&published);
    assert_true(is_rung(&wake)); /* the old set's */
    assert_int_equal(ends[0], 0);
    cancel(&cancelled);
    assert_int_equal(ends[0], 1);
    expect(0, 1);
    assert_null(weir_router_take(router, 0));
    assert_int_equal(weir_router_queued_bytes(router, 0), 0);
    weir_wake_close(&wake);
}

static void what_was_chosen_by_an_old_set_is_reserved_by_it(void **state)
{
    (void)state;
    struct weir_route_choice choice;
    struct weir_reservation held;
    open_router();
    weir_router_hold(router, WEIR_TARGETS_ALL, &choice);
    configure(SLOT(1));
    struct fixture_request request = fixture_single(&fixture, "N", 1, 0);
    weir_router_reserve(router, request.arena, &request.runs, &choice, &held);
    assert_int_equal(held.live, SLOT(0));
    weir_router_cancel(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
    weir_router_release(router, &choice);
}

static void targets_that_are_not_there(void **state)
{
    (void)state;
    struct weir_route_choice choice;
    open_router();
    weir_router_hold(router, SLOT(0) | SLOT(5), &choice);
    assert_int_equal(choice.targets, SLOT(0));
    assert_int_equal(choice.unrouted, WEIR_ROUTED);
    weir_router_release(router, &choice);
    weir_router_hold(router, SLOT(5), &choice);
    assert_int_equal(choice.targets, 0);
    assert_int_equal(choice.unrouted, WEIR_UNROUTED_CHANGED);
    weir_router_release(router, &choice);
    assert_int_equal(choice.unrouted, WEIR_UNROUTED_CHANGED); /* still to be read */
    weir_router_release(router, &choice);                     /* holds none */
    weir_router_release(router, &(struct weir_route_choice){.plan = NULL});
}

static void idle_when_nothing_is_left(void **state)
{
    (void)state;
    struct one one;
    open_router();
    assert_false(weir_router_idle(router, 0)); /* in the present set */
    assert_true(weir_router_idle(router, 1));
    assert_true(weir_router_idle(router, LAST));
    reserve(&one, "N", 1, 0);
    configure(SLOT(1));
    assert_false(weir_router_idle(router, 0)); /* in a request's set */
    assert_false(weir_router_idle(router, 1));
    publish(&one);
    assert_false(weir_router_idle(router, 0)); /* in its rings */
    expect(0, 1);
    assert_true(weir_router_idle(router, 0));
    reserve(&one, "N", 2, 0); /* not of its set */
    assert_true(weir_router_idle(router, 0));
    configure(SLOT(0));
    assert_false(weir_router_idle(router, 0));
    assert_false(weir_router_idle(router, 1)); /* reserved */
    cancel(&one);
    assert_true(weir_router_idle(router, 1));
}

static void a_set_ends_with_its_last_request(void **state)
{
    (void)state;
    struct weir_route_choice choices[3];
    open_router();
    for (int i = 0; i < 3; i++) {
        weir_router_hold(router, 1, &choices[i]);
    }
    configure(SLOT(0));
    configure(SLOT(0));
    assert_int_equal(ends[1], 1); /* nobody held it */
    weir_router_release(router, &choices[1]);
    weir_router_release(router, &choices[1]); /* once is enough */
    weir_router_release(router, &choices[0]);
    assert_int_equal(ends[0], 0);
    weir_router_release(router, &choices[2]);
    assert_int_equal(ends[0], 1);
    assert_int_equal(ends[2], 0); /* the present one */
}

static void a_set_that_is_refused_changes_nothing(void **state)
{
    (void)state;
    open_router();
    const uint64_t refused[] = {0, SLOT(0) | SLOT(62), SLOT(63), UINT64_MAX};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const struct weir_route_set set = {destinations, refused[i], on_released, &ends[7]};
        assert_int_equal(weir_router_configure(router, &set), WEIR_EINVAL);
    }
    assert_int_equal(ends[0], 0);
    assert_int_equal(ends[7], 0);
    assert_int_equal(bring("N", 1), SLOT(0));
    expect(0, 1);
}

static void no_memory_changes_nothing(void **state)
{
    (void)state;
    open_router();
    const struct weir_route_attribute wishes[] = {{"tenant", LIST("a")}};
    destinations[1].include = LIST("A");
    destinations[1].attributes = wishes;
    destinations[1].attribute_count = 1;
    destinations[2].exclude = LIST("B*");
    const struct weir_route_set set = {destinations, SLOT(1) | SLOT(2), on_released, &ends[7]};
    uint64_t failures = 0;
    enum weir_status status = WEIR_ENOMEM;
    for (uint64_t i = 1; status == WEIR_ENOMEM; i++) {
        assert_int_equal(ends[0], 0);
        assert_int_equal(bring("N", i), SLOT(0));
        expect(0, i);
        assert_true(weir_router_idle(router, 1));
        (void)weir_mem_fail_at(i);
        status = weir_router_configure(router, &set);
        failures += weir_mem_fail_at(0) ? 1 : 0;
    }
    assert_int_equal(status, WEIR_OK);
    assert_int_equal(failures,
                     1 + 1 + 1 + 1 + 1 + 1); /* plan, list, wishes, values, list, takers */
    assert_int_equal(ends[0], 1);
    assert_int_equal(ends[7], 0);
    assert_int_equal(bring("A", 100), SLOT(2));
    expect(2, 100);
    weir_router_free(router);
    router = NULL;
    assert_int_equal(ends[7], 1);
}

static void a_choice_that_fails_holds_nothing(void **state)
{
    (void)state;
    const struct weir_route_attribute wishes[] = {{"tenant", LIST("a")}};
    destinations[0].attributes = wishes;
    destinations[0].attribute_count = 1;
    open_router();
    struct weir_credit none;
    struct weir_arena *arena;
    struct weir_route_choice choice = {.targets = 77};
    static const char text[20000] = "{";
    const struct weir_route_request request = {.targets = WEIR_TARGETS_ALL,
                                               .attributes = weir_bytes_of(text, sizeof(text))};
    weir_credit_init(&none, 4096);
    assert_int_equal(weir_arena_new(fixture.regions, weir_credit_budget(&none), 4096, &arena),
                     WEIR_OK);
    assert_int_equal(weir_router_choose(router, arena, &request, &choice), WEIR_EFULL);
    assert_int_equal(choice.targets, 77);
    assert_null(choice.plan);
    configure(SLOT(1));
    assert_int_equal(ends[0], 1);
    weir_arena_unref(arena, 0);
    weir_credit_done(&none);
}

/* Slot 0 is down and has most of the memory when slot 1 takes its place: that is not alone yet, and
 * neither kept out nor given the last of it. */
static void a_successor_has_room(void **state)
{
    (void)state;
    struct one one;
    uint64_t number = 0;
    open_router();
    for (one.held.live = 1; one.held.live != 0; number++) {
        assert_true(number < 64);
        reserve(&one, "N", number, MIB);
        publish(&one);
    }
    configure(SLOT(1));
    for (uint64_t i = 0; i < 10; i++) {
        reserve(&one, "N", 1000 + i, MIB);
        publish(&one);
        assert_int_equal(one.held.live, SLOT(1));
        expect(1, 1000 + i);
    }
    for (uint64_t i = 0; i < number - 1; i++) {
        expect(0, i);
    }
    number = 0;
    for (one.held.live = 2; one.held.live != 0; number++) { /* alone: all of it */
        reserve(&one, "N", number, MIB);
        publish(&one);
    }
    assert_true(weir_credit_used(&fixture.queued) > 60 * MIB);
}

#define TEST(function_) cmocka_unit_test_setup_teardown(function_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(slots_come_and_go),
        TEST(filters_change_and_no_decision_is_stale),
        TEST(a_share_changes),
        TEST(disk_only_is_wanted_and_never_live),
        TEST(a_request_goes_by_the_set_that_it_found),
        TEST(what_was_chosen_by_an_old_set_is_reserved_by_it),
        TEST(targets_that_are_not_there),
        TEST(idle_when_nothing_is_left),
        TEST(a_set_ends_with_its_last_request),
        TEST(a_set_that_is_refused_changes_nothing),
        TEST(no_memory_changes_nothing),
        TEST(a_choice_that_fails_holds_nothing),
        TEST(a_successor_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
