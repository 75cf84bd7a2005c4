/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets what: each filter by itself, absent and damaged headers, include with exclude, filters
 * together, and chains of which a destination takes every other run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "support.h"
#include "weir/mem.h"

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define ARN(name_) "arn:aws:firehose:eu-west-1:111122223333:deliverystream/" name_
#define MUCH       ((size_t)16 << 20)

static struct fixture fixture;
static struct weir_namespaces *namespaces;
static struct weir_router *router;

static int open_fixture(void **state)
{
    (void)state;
    fixture_open(&fixture, 16 * MUCH);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    weir_router_free(router);
    router = NULL;
    weir_namespaces_free(namespaces);
    fixture_close(&fixture);
    return 0;
}

/* A router of two: one that takes all, and the picky one, whose bit is 2. */
static void open_router(struct weir_route_destination picky)
{
    picky.name = "picky";
    picky.share = MUCH;
    const struct weir_route_destination destinations[] = {{.name = "all", .share = MUCH}, picky};
    const struct weir_router_options options = {.set = weir_route_set_of(destinations, 2),
                                                .ring_slots = 16,
                                                .queued = &fixture.queued,
                                                .namespaces = namespaces,
                                                .regions = fixture.regions};
    weir_router_free(router);
    router = NULL;
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
}

static struct weir_run *add_run(struct fixture_request *request, const char *namespace_,
                                const char *account, const char *region, uint64_t number)
{
    struct weir_run *run = fixture_run(request, namespace_, "R");
    struct weir_resource *resource = fixture_alloc(request->arena, sizeof(*resource));
    *resource = *run->resource;
    resource->account = weir_bytes_str(account);
    resource->region = weir_bytes_str(region);
    run->resource = resource;
    fixture_point(request, run, fixture_metric(run, "", "m"), number, 0);
    return run;
}

/* Whether the picky destination takes a request of one run; why not, if nobody does. */
static bool takes_run(const char *namespace_, const char *account, const char *region)
{
    struct fixture_request request = fixture_request(&fixture, "id", 0);
    struct weir_run *run = add_run(&request, namespace_, account, region, 1);
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(router, &request, &held), WEIR_OK);
    assert_int_equal(held.wanted & 1, 1);
    assert_int_equal(run->takers, held.wanted);
    assert_int_equal(run->unrouted, WEIR_ROUTED);
    weir_router_cancel(router, &request.runs, &held);
    bool taken = (held.wanted & 2) != 0;

    fixture_reserve_for(router, &request, 2, &held);
    assert_int_equal(held.wanted, taken ? 2 : 0);
    assert_int_equal(run->unrouted == WEIR_ROUTED, taken);
    weir_router_cancel(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
    return taken;
}

static struct weir_route_choice choose(const char *source_arn, const char *attributes)
{
    struct weir_arena *arena;
    struct weir_route_choice choice = {.targets = 77};
    assert_int_equal(
        weir_arena_new(fixture.regions, weir_credit_budget(&fixture.intake), 4096, &arena),
        WEIR_OK);
    const struct weir_route_request request = {.targets = WEIR_TARGETS_ALL,
                                               .source_arn = weir_bytes_str(source_arn),
                                               .attributes = weir_bytes_str(attributes)};
    assert_int_equal(weir_router_choose(router, arena, &request, &choice), WEIR_OK);
    assert_int_equal(choice.targets & ~UINT64_C(2), 1);
    assert_int_equal(choice.unrouted, WEIR_ROUTED);
    weir_router_release(router, &choice);
    weir_arena_unref(arena, 0);
    return choice;
}

static bool takes_request(const char *source_arn, const char *attributes)
{
    return choose(source_arn, attributes).targets == 3;
}

static void accounts(void **state)
{
    (void)state;
    open_router(
        (struct weir_route_destination){.accounts = {LIST("111122223333", "2*"), LIST("22*")}});
    assert_true(takes_run("A", "111122223333", "eu"));
    assert_true(takes_run("A", "211122223333", ""));
    assert_false(takes_run("A", "221122223333", ""));
    assert_false(takes_run("A", "311122223333", ""));
    assert_false(takes_run("A", "11112222333", ""));
    assert_false(takes_run("A", "", "111122223333"));
}

static void regions(void **state)
{
    (void)state;
    open_router((struct weir_route_destination){.regions = {NULL, LIST("us-*")}});
    assert_true(takes_run("A", "", "eu-west-1"));
    assert_true(takes_run("A", "us-east-1", ""));
    assert_false(takes_run("A", "1", "us-east-1"));
    open_router((struct weir_route_destination){.regions = {LIST("eu-*", "us-east-1"), NULL}});
    assert_true(takes_run("A", "", "eu-west-1"));
    assert_true(takes_run("A", "", "us-east-1"));
    assert_false(takes_run("A", "", "us-east-2"));
    assert_false(takes_run("A", "", ""));
}

static void namespace_account_and_region_together(void **state)
{
    (void)state;
    open_router((struct weir_route_destination){
        .include = LIST("AWS/*"), .accounts = {LIST("1*"), NULL}, .regions = {LIST("eu-*"), NULL}});
    assert_true(takes_run("AWS/EC2", "1", "eu-west-1"));
    assert_false(takes_run("own", "1", "eu-west-1"));
    assert_false(takes_run("AWS/EC2", "2", "eu-west-1"));
    assert_false(takes_run("AWS/EC2", "1", "us-west-1"));
}

static void streams(void **state)
{
    (void)state;
    open_router((struct weir_route_destination){.streams = {LIST("pay-*", "one"), LIST("pay-x")}});
    assert_true(takes_request(ARN("pay-eu"), ""));
    assert_true(takes_request(ARN("one"), "not read"));
    assert_false(takes_request(ARN("pay-x"), ""));
    assert_false(takes_request(ARN("One"), ""));
    assert_false(takes_request("", ""));
    assert_false(takes_request("pay-eu", ""));
    assert_false(takes_request("deliverystream/pay-eu", ""));
    assert_false(takes_request("arn:aws:firehose:eu-west-1:1:stream/pay-eu", ""));
}

/* No header, or one that is no delivery stream's, is the empty name. */
static void a_stream_without_a_name(void **state)
{
    (void)state;
    open_router((struct weir_route_destination){.streams = {LIST("*"), LIST("")}});
    assert_true(takes_request(ARN("a"), ""));
    assert_false(takes_request("", ""));
    assert_false(takes_request("nonsense", ""));
    open_router((struct weir_route_destination){.streams = {LIST(""), NULL}});
    assert_false(takes_request(ARN("a"), ""));
    assert_true(takes_request("", ""));
}

static void common_attributes(void **state)
{
    (void)state;
    const struct weir_route_attribute wishes[] = {{"tenant", LIST("a*", "b")},
                                                  {"stage", LIST("", "prod")}};
    open_router((struct weir_route_destination){.attributes = wishes, .attribute_count = 2});
    assert_true(takes_request("", "{\"commonAttributes\":{\"tenant\":\"abc\"}}"));
    assert_true(takes_request("", "{\"commonAttributes\":{\"x\":\"y\",\"tenant\":\"b\"}}"));
    assert_true(
        takes_request("", "{\"commonAttributes\":{\"stage\":\"prod\",\"tenant\":\"\\u0061\"}}"));
    assert_true(takes_request("", "{\"commonAttributes\":{\"stage\":\"\",\"tenant\":\"a\"}}"));
    assert_false(takes_request("", "{\"commonAttributes\":{\"stage\":\"dev\",\"tenant\":\"a\"}}"));
    assert_false(takes_request("", "{\"commonAttributes\":{\"tenant\":\"bb\"}}"));
    assert_false(takes_request("", "{\"commonAttributes\":{\"tenant\":\"\"}}"));
    assert_false(takes_request("", "{\"commonAttributes\":{\"Tenant\":\"b\"}}"));
    assert_false(takes_request("", "{\"commonAttributes\":{}}"));
    assert_false(takes_request("", "{\"tenant\":\"b\"}"));
    assert_false(takes_request("", ""));
}

static void an_absent_attribute(void **state)
{
    (void)state;
    const struct weir_route_attribute absent[] = {{"tenant", LIST("")}};
    open_router((struct weir_route_destination){.attributes = absent, .attribute_count = 1});
    assert_true(takes_request("", ""));
    assert_true(takes_request("", "{\"commonAttributes\":{\"x\":\"y\"}}"));
    assert_true(takes_request("", "{\"commonAttributes\":{\"tenant\":\"\"}}"));
    assert_false(takes_request("", "{\"commonAttributes\":{\"tenant\":\"y\"}}"));
    const struct weir_route_attribute present[] = {{"tenant", LIST("*")}};
    open_router((struct weir_route_destination){.attributes = present, .attribute_count = 1});
    assert_false(takes_request("", ""));
    assert_false(takes_request("", "{\"commonAttributes\":{\"x\":\"y\"}}"));
    assert_true(takes_request("", "{\"commonAttributes\":{\"tenant\":\"\"}}"));
    assert_true(takes_request("", "{\"commonAttributes\":{\"tenant\":\"y\"}}"));
}

static void damaged_attributes_are_absent_and_told(void **state)
{
    (void)state;
    const struct weir_route_attribute wishes[] = {{"tenant", LIST("", "a")}};
    open_router((struct weir_route_destination){.attributes = wishes, .attribute_count = 1});
    static const char *const texts[] = {"x", "{\"commonAttributes\":{\"tenant\":\"b\"}",
                                        "{\"commonAttributes\":{\"tenant\":\"b\",\"x\":1}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct weir_route_choice choice = choose("", texts[i]);
        assert_true(choice.is_damaged);
        assert_int_equal(choice.targets, 3);
    }
    assert_false(choose("", "").is_damaged);
    assert_false(choose("", "{\"commonAttributes\":{\"tenant\":\"b\"}}").is_damaged);
    open_router((struct weir_route_destination){.name = ""}); /* nobody asks, nobody looks */
    assert_false(choose("", "x").is_damaged);
}

static void the_last_filter_is_the_reason(void **state)
{
    (void)state;
    const struct weir_route_attribute wishes[] = {{"tenant", LIST("a")}};
    const struct weir_route_destination destinations[] = {
        {.share = MUCH, .streams = {LIST("s"), NULL}, .attributes = wishes, .attribute_count = 1},
        {.share = MUCH,
         .streams = {LIST("t"), NULL},
         .include = LIST("N"),
         .accounts = {LIST("1"), NULL},
         .regions = {LIST("r"), NULL}}};
    const struct weir_router_options options = {.set = weir_route_set_of(destinations, 2),
                                                .ring_slots = 16,
                                                .queued = &fixture.queued,
                                                .namespaces = namespaces,
                                                .regions = fixture.regions};
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
    struct fixture_request request = fixture_request(&fixture, "id", 0);
    add_run(&request, "M", "1", "r", 1);
    add_run(&request, "N", "2", "q", 2);
    add_run(&request, "N", "1", "q", 3);
    add_run(&request, "N", "1", "r", 4);
    (void)fixture_run(&request, "M", "R"); /* without points it is nobody's business */
    const char *const streams_[] = {ARN("s"), ARN("t"), ARN("u")};
    const struct weir_route_choice expected[] = {
        {.targets = 0, .unrouted = WEIR_UNROUTED_ATTRIBUTE},
        {.targets = 2, .unrouted = WEIR_ROUTED},
        {.targets = 0, .unrouted = WEIR_UNROUTED_STREAM}};
    for (int i = 0; i < 3; i++) {
        struct weir_route_choice choice;
        const struct weir_route_request asked = {.targets = WEIR_TARGETS_ALL,
                                                 .source_arn = weir_bytes_str(streams_[i])};
        assert_int_equal(weir_router_choose(router, request.arena, &asked, &choice), WEIR_OK);
        assert_int_equal(choice.targets, expected[i].targets);
        assert_int_equal(choice.unrouted, expected[i].unrouted);
        weir_router_release(router, &choice);
    }
    struct weir_reservation held;
    fixture_reserve_for(router, &request, 2, &held);
    assert_int_equal(held.wanted, 2);
    assert_int_equal(held.points[1], 1);
    assert_int_equal(request.runs.runs[0].unrouted, WEIR_UNROUTED_NAMESPACE);
    assert_int_equal(request.runs.runs[1].unrouted, WEIR_UNROUTED_ACCOUNT);
    assert_int_equal(request.runs.runs[2].unrouted, WEIR_UNROUTED_REGION);
    assert_int_equal(request.runs.runs[3].unrouted, WEIR_ROUTED);
    assert_int_equal(request.runs.runs[4].unrouted, WEIR_ROUTED);
    assert_string_equal(weir_route_unrouted_text(WEIR_UNROUTED_REGION), "region");
    assert_string_equal(weir_route_unrouted_text(WEIR_UNROUTED_CHANGED), "changed");
    weir_router_cancel(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
}

/* One namespace, so one chain in one slot; of six accounts in it the picky one takes three. */
static void every_other_run_of_a_chain(void **state)
{
    (void)state;
    static const char *const owners[] = {"2", "1", "2", "1", "1", "2"};
    open_router((struct weir_route_destination){.accounts = {LIST("1"), NULL}});
    struct fixture_request request = fixture_request(&fixture, "id", 0);
    for (uint64_t i = 0; i < 6; i++) {
        add_run(&request, "N", owners[i], "r", i);
    }
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(router, &request, &held), WEIR_OK);
    assert_int_equal(held.points[0], 6);
    assert_int_equal(held.points[1], 3);
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
    static const uint64_t expected[] = {1, 3, 4};
    for (int i = 0; i < 3; i++) {
        struct weir_run *run = weir_router_take(router, 1);
        assert_non_null(run);
        assert_int_equal(fixture_first_number(run), expected[i]);
        weir_arena_unref(run->arena, run->bytes);
    }
    assert_null(weir_router_take(router, 1));
    assert_int_equal(weir_router_queued_bytes(router, 1), 0);
    for (uint64_t i = 0; i < 6; i++) {
        struct weir_run *run = weir_router_take(router, 0);
        assert_int_equal(fixture_first_number(run), i);
        weir_arena_unref(run->arena, run->bytes);
    }
}

/* A sparse arena's copy is for the same destinations as what was copied. */
static void compaction_keeps_the_decision(void **state)
{
    (void)state;
    open_router((struct weir_route_destination){.accounts = {LIST("1"), NULL}});
    struct fixture_request request = fixture_request(&fixture, "id", (size_t)1 << 20);
    add_run(&request, "N", "2", "r", 1);
    add_run(&request, "N", "1", "r", 2);
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(router, &request, &held), WEIR_OK);
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
    assert_true(weir_router_compact(router, 1) > 0);
    struct weir_run *run = weir_router_take(router, 1);
    assert_non_null(run);
    assert_int_equal(fixture_first_number(run), 2);
    weir_arena_unref(run->arena, run->bytes);
    assert_null(weir_router_take(router, 1));
}

static void no_room_for_attributes(void **state)
{
    (void)state;
    const struct weir_route_attribute wishes[] = {{"tenant", LIST("a")}};
    open_router((struct weir_route_destination){.attributes = wishes, .attribute_count = 1});
    struct weir_credit none;
    weir_credit_init(&none, 4096);
    struct weir_arena *arena;
    assert_int_equal(weir_arena_new(fixture.regions, weir_credit_budget(&none), 4096, &arena),
                     WEIR_OK);
    static const char text[20000] = "{";
    const struct weir_route_request request = {.targets = WEIR_TARGETS_ALL,
                                               .attributes = weir_bytes_of(text, sizeof(text))};
    struct weir_route_choice choice = {.targets = 77};
    assert_int_equal(weir_router_choose(router, arena, &request, &choice), WEIR_EFULL);
    assert_int_equal(choice.targets, 77);
    weir_arena_unref(arena, 0);
    weir_credit_done(&none);
}

static void no_memory_for_filters(void **state)
{
    (void)state;
    const struct weir_route_attribute wishes[] = {{"tenant", LIST("a")}, {"stage", LIST("b")}};
    const struct weir_route_destination destination = {.include = LIST("N"),
                                                       .accounts = {LIST("1"), LIST("2")},
                                                       .streams = {LIST("s*"), NULL},
                                                       .attributes = wishes,
                                                       .attribute_count = 2};
    const struct weir_router_options options = {.set = weir_route_set_of(&destination, 1),
                                                .ring_slots = 16,
                                                .queued = &fixture.queued,
                                                .namespaces = namespaces,
                                                .regions = fixture.regions};
    uint64_t failures = 0;
    enum weir_status status = WEIR_ENOMEM;
    for (uint64_t i = 1; status == WEIR_ENOMEM; i++) {
        (void)weir_mem_fail_at(i);
        status = weir_router_new(&options, &router);
        failures += weir_mem_fail_at(0) ? 1 : 0;
    }
    assert_int_equal(status, WEIR_OK);
    assert_int_equal(failures, 3 + 4 + 1 + 2 + 1);
}

#define TEST(function_) cmocka_unit_test_setup_teardown(function_, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accounts),
        TEST(regions),
        TEST(namespace_account_and_region_together),
        TEST(streams),
        TEST(a_stream_without_a_name),
        TEST(common_attributes),
        TEST(an_absent_attribute),
        TEST(damaged_attributes_are_absent_and_told),
        TEST(the_last_filter_is_the_reason),
        TEST(every_other_run_of_a_chain),
        TEST(compaction_keeps_the_decision),
        TEST(no_room_for_attributes),
        TEST(no_memory_for_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
