/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random filters and random requests: each destination is chosen for what a naive reading of its
 * filters says, gets exactly those points, and a second decision from the same data (as when a
 * record is read back, for one destination alone) comes out the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../unit/route/run_fixture.h"
#include "support.h"

enum { ROUTERS = 60, REQUESTS = 25, DESTINATIONS = 7, LIST_MAX = 4, WISHES = 2, RUNS_MAX = 6 };

static const char *const NAMES[] = {"AWS/EC2", "AWS/ECS", "AWS/EBS", "own", ""};
static const char *const ACCOUNTS[] = {"111122223333", "111199998888", "2", ""};
static const char *const REGIONS[] = {"eu-west-1", "eu-south-1", "us-east-1", ""};
static const char *const STREAMS[] = {"pay-eu", "pay-us", "one", ""};
static const char *const VALUES[] = {"a", "ab", "b", ""};
static const char *const PATTERNS[] = {
    "*",   "AWS/*", "AWS/E?S", "own", "",    "1111*",   "2",      "eu-*",         "us-*", "pay-*",
    "one", "a*",    "b",       "?",   "*-1", "AWS/EC2", "pay-eu", "111122223333", "*8",   "ab"};
static const char *const WISHED[WISHES] = {"tenant", "stage"};
#define COUNT(array_) (sizeof(array_) / sizeof((array_)[0]))

struct lists {
    const char *include[LIST_MAX + 1];
    const char *exclude[LIST_MAX + 1];
    bool has_include;
};

struct filters {
    struct lists lists[4]; /* namespace, account, region, stream */
    const char *values[WISHES][LIST_MAX + 1];
    struct weir_route_attribute wishes[WISHES];
};

static struct weir_rand rand_;
static struct filters filters[DESTINATIONS];

static const char *any_of(const char *const *texts, size_t count)
{
    return texts[weir_rand_below(&rand_, count)];
}

static void fill(const char **list, uint64_t most)
{
    uint64_t count = weir_rand_below(&rand_, most + 1);
    for (uint64_t i = 0; i < count; i++) {
        list[i] = any_of(PATTERNS, COUNT(PATTERNS));
    }
    list[count] = NULL;
}

static struct weir_route_globs globs_of(struct lists *lists)
{
    lists->has_include = weir_rand_below(&rand_, 2) == 0;
    fill(lists->include, LIST_MAX);
    fill(lists->exclude, 1);
    return (struct weir_route_globs){lists->has_include ? lists->include : NULL, lists->exclude};
}

static struct weir_route_destination a_destination(struct filters *to)
{
    struct weir_route_destination destination = {.name = "d", .share = SIZE_MAX / 4};
    struct weir_route_globs names = globs_of(&to->lists[0]);
    destination.include = names.include;
    destination.exclude = names.exclude;
    destination.accounts = globs_of(&to->lists[1]);
    destination.regions = globs_of(&to->lists[2]);
    destination.streams = globs_of(&to->lists[3]);
    destination.attribute_count = (uint32_t)weir_rand_below(&rand_, WISHES + 1);
    destination.attributes = to->wishes;
    for (uint32_t i = 0; i < WISHES; i++) {
        fill(to->values[i], LIST_MAX);
        to->wishes[i] = (struct weir_route_attribute){WISHED[i], to->values[i]};
    }
    return destination;
}

/* -- the oracle: as docs/routing.md reads ---------------------------------------------------- */

static bool fits(const char *const *list, const char *text)
{
    for (; *list != NULL; list++) {
        if (weir_bytes_glob(weir_bytes_str(*list), weir_bytes_str(text))) {
            return true;
        }
    }
    return false;
}

static bool passes(const struct lists *lists, const char *text)
{
    return (!lists->has_include || fits(lists->include, text)) && !fits(lists->exclude, text);
}

/* `value` NULL: the stream has no such attribute. */
static bool fulfils(const char *const *list, const char *value)
{
    if (value != NULL) {
        return fits(list, value);
    }
    for (; *list != NULL; list++) {
        if ((*list)[0] == 0) {
            return true;
        }
    }
    return false;
}

struct sample {
    const char *stream;
    const char *values[WISHES]; /* NULL: absent */
    const char *name[RUNS_MAX], *account[RUNS_MAX], *region[RUNS_MAX];
    char arn[120], header[200];
};

static bool goes(uint32_t destination, uint32_t wishes, const struct sample *sample, int run)
{
    const struct filters *to = &filters[destination];
    bool taken =
        passes(&to->lists[3], sample->stream) && passes(&to->lists[0], sample->name[run]) &&
        passes(&to->lists[1], sample->account[run]) && passes(&to->lists[2], sample->region[run]);
    for (uint32_t i = 0; i < wishes; i++) {
        taken = taken && fulfils(to->values[i], sample->values[i]);
    }
    return taken;
}

/* -- requests -------------------------------------------------------------------------------- */

static void a_sample(struct sample *sample)
{
    sample->stream = any_of(STREAMS, COUNT(STREAMS));
    (void)snprintf(sample->arn, sizeof(sample->arn), "%s%s",
                   sample->stream[0] == 0 ? "" : "arn:aws:firehose:eu-west-1:1:deliverystream/",
                   sample->stream);
    struct weir_buf header = weir_buf_fixed(sample->header, sizeof(sample->header) - 1);
    weir_buf_printf(&header, "{\"commonAttributes\":{\"x\":\"y\"");
    bool has_any = false;
    for (int i = 0; i < WISHES; i++) {
        bool is_there = weir_rand_below(&rand_, 3) > 0;
        has_any = has_any || is_there;
        sample->values[i] = is_there ? any_of(VALUES, COUNT(VALUES)) : NULL;
        if (is_there) {
            weir_buf_printf(&header, ",\"%s\":\"%s\"", WISHED[i], sample->values[i]);
        }
    }
    weir_buf_printf(&header, "}}");
    sample->header[has_any || weir_rand_below(&rand_, 2) == 0 ? header.size : 0] = 0;
}

static struct fixture_request a_request(struct fixture *fixture, struct sample *sample)
{
    struct fixture_request request = fixture_request(fixture, "id", 0);
    uint64_t runs = 1 + weir_rand_below(&rand_, RUNS_MAX);
    a_sample(sample);
    for (uint64_t i = 0; i < runs; i++) {
        sample->name[i] = any_of(NAMES, COUNT(NAMES));
        struct weir_run *run = fixture_run(&request, sample->name[i], "R");
        struct weir_resource *resource = fixture_alloc(request.arena, sizeof(*resource));
        bool is_as_before = i > 0 && weir_rand_below(&rand_, 2) == 0;
        sample->account[i] =
            is_as_before ? sample->account[i - 1] : any_of(ACCOUNTS, COUNT(ACCOUNTS));
        sample->region[i] = is_as_before ? sample->region[i - 1] : any_of(REGIONS, COUNT(REGIONS));
        *resource = *run->resource;
        resource->account = weir_bytes_str(sample->account[i]);
        resource->region = weir_bytes_str(sample->region[i]);
        run->resource = is_as_before ? request.runs.runs[i - 1].resource : resource;
        fixture_point(&request, run, fixture_metric(run, "", "m"), i, 0);
    }
    return request;
}

static uint64_t choose(struct weir_router *router, struct weir_arena *arena,
                       const struct sample *sample, uint64_t targets)
{
    const struct weir_route_request request = {.targets = targets,
                                               .source_arn = weir_bytes_str(sample->arn),
                                               .attributes = weir_bytes_str(sample->header)};
    struct weir_route_choice choice;
    assert_int_equal(weir_router_choose(router, arena, &request, &choice), WEIR_OK);
    weir_router_release(router, &choice);
    assert_false(choice.is_damaged);
    assert_int_equal(choice.targets == 0, choice.unrouted != WEIR_ROUTED);
    return choice.targets;
}

/* What comes out of a destination's rings is what the oracle says: bits of the runs' numbers. */
static void check_taken(struct weir_router *router, uint32_t destination, uint64_t expected)
{
    struct weir_run *run;
    while ((run = weir_router_take(router, destination)) != NULL) {
        uint64_t bit = UINT64_C(1) << fixture_first_number(run);
        assert_true((expected & bit) != 0);
        expected &= ~bit;
        weir_arena_unref(run->arena, run->bytes);
    }
    assert_int_equal(expected, 0);
}

static void bring_request(struct fixture *fixture, struct weir_router *router,
                          const struct weir_route_destination *destinations)
{
    struct sample sample;
    struct fixture_request request = a_request(fixture, &sample);
    struct weir_reservation held;
    uint64_t expected[DESTINATIONS] = {0};
    uint64_t routed = 0;
    for (uint32_t d = 0; d < DESTINATIONS; d++) {
        for (uint32_t i = 0; i < request.runs.count; i++) {
            bool taken = goes(d, destinations[d].attribute_count, &sample, (int)i);
            expected[d] |= taken ? UINT64_C(1) << i : 0;
        }
        routed |= expected[d];
        uint64_t one = choose(router, request.arena, &sample, UINT64_C(1) << d);
        fixture_reserve_for(router, &request, one, &held);
        assert_int_equal(held.points[d], __builtin_popcountll(expected[d]));
        weir_router_cancel(router, &request.runs, &held);
    }
    uint64_t targets = choose(router, request.arena, &sample, WEIR_TARGETS_ALL);
    fixture_reserve_for(router, &request, targets, &held);
    assert_int_equal(held.live, held.wanted);
    for (uint32_t i = 0; i < request.runs.count; i++) {
        assert_int_equal(request.runs.runs[i].takers != 0, routed >> i & 1);
        assert_true(targets == 0 || (request.runs.runs[i].takers != 0) ==
                                        (request.runs.runs[i].unrouted == WEIR_ROUTED));
    }
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
    for (uint32_t d = 0; d < DESTINATIONS; d++) {
        check_taken(router, d, expected[d]);
    }
}

static void routing_is_what_the_filters_say(void **state)
{
    (void)state;
    struct fixture fixture;
    weir_rand_init(&rand_, 20);
    for (int i = 0; i < ROUTERS; i++) {
        struct weir_namespaces *namespaces;
        struct weir_route_destination destinations[DESTINATIONS];
        struct weir_router *router = NULL;
        fixture_open(&fixture, SIZE_MAX / 2);
        assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
        for (int d = 0; d < DESTINATIONS; d++) {
            destinations[d] = a_destination(&filters[d]);
        }
        const struct weir_router_options options = {
            .set = weir_route_set_of(destinations, DESTINATIONS),
            .ring_slots = 16,
            .queued = &fixture.queued,
            .namespaces = namespaces,
            .regions = fixture.regions};
        assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
        for (int j = 0; j < REQUESTS; j++) {
            bring_request(&fixture, router, destinations);
        }
        weir_router_free(router);
        weir_namespaces_free(namespaces);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(routing_is_what_the_filters_say)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
