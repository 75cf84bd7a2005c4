/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random requests through a batcher that keeps accounts, in batches that cut them anywhere, with
 * copies of sparse runs, by the batcher and as a drainer makes them: the parts of all manifests
 * together name each point of each request exactly once; those of one batch are as many as its
 * points; and a batch that is released with its manifest has kept them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/batch/batch_fixture.h"
#include "support.h"

enum { SCHEDULES = 60, REQUESTS = 30, POINTS_MAX = FIXTURE_RUNS_MAX * FIXTURE_POINTS_MAX };

#define SECOND_NS INT64_C(1000000000)

struct weir_ticket {
    uint32_t points;
    int64_t used_ns;
    uint8_t seen[POINTS_MAX]; /* how often each point was settled */
    uint8_t kept[POINTS_MAX]; /* as kept */
};

struct schedule {
    struct batch_fixture fixture;
    struct weir_manifests manifests;
    struct weir_ticket tickets[REQUESTS];
    uint32_t parts_points; /* of the last manifest that was settled */
    struct weir_rand *rand;
    int64_t now_ns;
};

static void settle(void *self, const struct weir_manifest *manifest,
                   enum weir_settlement settlement)
{
    struct schedule *schedule = self;
    schedule->parts_points = 0;
    assert_int_equal(manifest->destination, 3);
    for (uint32_t i = 0; i < manifest->count; i++) {
        const struct weir_part *part = &manifest->parts[i];
        assert_true(part->begin < part->end);
        assert_true(part->end <= part->ticket->points);
        assert_false(i > 0 && part[-1].ticket == part->ticket && part[-1].end == part->begin);
        for (uint32_t p = part->begin; p < part->end; p++) {
            part->ticket->seen[p]++;
            if (settlement == WEIR_KEPT) {
                part->ticket->kept[p]++;
            }
        }
        schedule->parts_points += part->end - part->begin;
    }
}

/* Closes what is open; sometimes the manifest stays with the batch. */
static void close_and_check(struct schedule *schedule)
{
    struct weir_batch *batch = weir_batcher_close(schedule->fixture.batcher, WEIR_BUFFER_NOT_DUE);
    if (batch == NULL) {
        return;
    }
    struct weir_batch_info info = weir_batch_info(batch);
    schedule->parts_points = UINT32_MAX;
    if (weir_rand_below(schedule->rand, 2) == 0) {
        struct weir_manifest *manifest = weir_batch_manifest(batch);
        assert_non_null(manifest);
        assert_null(weir_batch_manifest(batch));
        weir_batch_release(batch, schedule->fixture.pool);
        assert_int_equal(schedule->parts_points, UINT32_MAX); /* it is ours */
        weir_manifest_unref(manifest, &schedule->manifests, WEIR_SETTLED);
    } else {
        weir_batch_release(batch, schedule->fixture.pool);
    }
    assert_int_equal(schedule->parts_points, info.points);
}

/* A request with its account; some have more padding than points, and are sparse. */
static struct fixture_request a_request(struct schedule *schedule, struct weir_ticket *ticket)
{
    struct weir_rand *rand = schedule->rand;
    size_t padding = weir_rand_below(rand, 2) == 0 ? (size_t)200 << 10 : 0;
    struct fixture_request request = fixture_request(&schedule->fixture.base, "id", padding);
    uint64_t runs = 1 + weir_rand_below(rand, FIXTURE_RUNS_MAX);
    ticket->used_ns = (int64_t)weir_rand_below(rand, 3) * 100 * SECOND_NS;
    request.origin->ticket = ticket;
    request.origin->used_ns = ticket->used_ns;
    for (uint64_t i = 0; i < runs; i++) {
        struct weir_run *run = fixture_run(&request, "A", "r");
        const struct weir_metric *metric = fixture_metric(run, "", "m");
        uint64_t points = 1 + weir_rand_below(rand, FIXTURE_POINTS_MAX - 1);
        run->first = ticket->points;
        for (uint64_t p = 0; p < points; p++) {
            fixture_point(&request, run, metric, p, weir_rand_below(rand, 100));
        }
        ticket->points += (uint32_t)points;
    }
    return request;
}

static void add_run(struct schedule *schedule, const struct weir_run *run)
{
    uint32_t offset = 0;
    while (weir_batcher_add(schedule->fixture.batcher, run, &offset, schedule->now_ns++) !=
           WEIR_OK) {
        close_and_check(schedule);
    }
    if (weir_rand_below(schedule->rand, 4) == 0) {
        (void)weir_batcher_compact(schedule->fixture.batcher);
    }
    if (weir_rand_below(schedule->rand, 10) == 0) {
        close_and_check(schedule);
    }
}

static void open_schedule(struct schedule *schedule, struct weir_rand *rand)
{
    memset(schedule, 0, sizeof(*schedule));
    schedule->rand = rand;
    fixture_open(&schedule->fixture.base, SIZE_MAX / 2);
    schedule->manifests.settler = (struct weir_settler){.settle = settle, .self = schedule};
    assert_int_equal(
        weir_pool_new(weir_manifest_size(), 4, weir_manifest_done, &schedule->manifests.pool),
        WEIR_OK);
    assert_int_equal(weir_pool_new(weir_batch_size(), 4, weir_batch_done, &schedule->fixture.pool),
                     WEIR_OK);
    const struct weir_batcher_options options = {
        .hints = {.size = 1 + weir_rand_below(rand, 50000),
                  .points_max = (uint32_t)weir_rand_below(rand, 200)},
        .batches = schedule->fixture.pool,
        .regions = schedule->fixture.base.regions,
        .budget = weir_credit_budget(&schedule->fixture.base.queued),
        .manifests = &schedule->manifests,
        .destination = 3,
    };
    assert_int_equal(weir_batcher_new(&options, &schedule->fixture.batcher), WEIR_OK);
}

static void run_schedule(struct schedule *schedule, struct weir_rand *rand)
{
    open_schedule(schedule, rand);
    for (int i = 0; i < REQUESTS; i++) {
        struct fixture_request request = a_request(schedule, &schedule->tickets[i]);
        uint32_t count = request.runs.count;
        struct weir_run runs[FIXTURE_RUNS_MAX];
        batch_retain(&request);
        memcpy(runs, request.runs.runs, count * sizeof(*runs));
        for (uint32_t r = 0; r < count; r++) {
            add_run(schedule, &runs[r]);
        }
    }
    batch_close(&schedule->fixture); /* the open batch is kept */
    for (int i = 0; i < REQUESTS; i++) {
        for (uint32_t p = 0; p < schedule->tickets[i].points; p++) {
            assert_int_equal(schedule->tickets[i].seen[p], 1);
        }
    }
    assert_int_equal(weir_pool_taken(schedule->manifests.pool), 0);
    weir_pool_free(schedule->manifests.pool);
}

static void each_point_is_in_one_part(void **state)
{
    (void)state;
    static struct schedule schedule;
    struct weir_rand rand = support_rand(11);
    for (int i = 0; i < SCHEDULES; i++) {
        run_schedule(&schedule, &rand);
    }
}

static void a_batch_released_with_its_manifest_has_kept_its_points(void **state)
{
    (void)state;
    static struct schedule schedule;
    struct weir_rand rand = support_rand(12);
    open_schedule(&schedule, &rand);
    struct fixture_request request = a_request(&schedule, &schedule.tickets[0]);
    batch_retain(&request);
    struct weir_run run = request.runs.runs[0];
    for (uint32_t i = 1; i < request.runs.count; i++) {
        weir_arena_unref(request.arena, request.runs.runs[i].bytes);
    }
    uint32_t offset = 0;
    assert_int_not_equal(weir_batcher_add(schedule.fixture.batcher, &run, &offset, 0), WEIR_ENOMEM);
    if (offset < run.count) {
        weir_arena_unref(run.arena, run.bytes);
    }
    batch_close(&schedule.fixture);
    for (uint32_t p = 0; p < offset; p++) {
        assert_int_equal(schedule.tickets[0].kept[p], 1);
    }
    assert_int_equal(schedule.tickets[0].seen[offset], 0);
    weir_pool_free(schedule.manifests.pool);
}

/* The most that any of its runs has used is the batch's. */
static void a_batch_has_used_what_its_runs_have(void **state)
{
    (void)state;
    static struct schedule schedule;
    struct weir_rand rand = support_rand(13);
    for (int i = 0; i < 20; i++) {
        open_schedule(&schedule, &rand);
        int64_t most_ns = 0;
        for (int r = 0; r < 3; r++) {
            struct fixture_request request = fixture_single(&schedule.fixture.base, "A", 1, 0);
            int64_t used_ns = (int64_t)weir_rand_below(&rand, 900) * SECOND_NS;
            request.origin->used_ns = used_ns;
            batch_retain(&request);
            uint32_t offset = 0;
            if (weir_batcher_add(schedule.fixture.batcher, request.runs.runs, &offset, 0) !=
                WEIR_OK) {
                weir_arena_unref(request.arena, request.runs.runs[0].bytes);
                break;
            }
            most_ns = used_ns > most_ns ? used_ns : most_ns;
        }
        struct weir_batch *batch =
            weir_batcher_close(schedule.fixture.batcher, WEIR_BUFFER_NOT_DUE);
        assert_true(weir_batch_info(batch).used_ns == most_ns);
        weir_batch_release(batch, schedule.fixture.pool);
        batch_close(&schedule.fixture);
        weir_pool_free(schedule.manifests.pool);
    }
}

/* What a drainer copies out of a sparse arena still knows its request, and its place in it. */
static void a_copied_run_keeps_its_account(void **state)
{
    (void)state;
    static struct weir_ticket ticket;
    struct fixture fixture;
    fixture_open(&fixture, (size_t)64 << 20);
    struct weir_namespaces *namespaces;
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    const struct weir_route_destination destination = {.name = "d", .share = (size_t)16 << 20};
    const struct weir_router_options options = {.set = weir_route_set_of(&destination, 1),
                                                .ring_slots = 8,
                                                .queued = &fixture.queued,
                                                .namespaces = namespaces,
                                                .regions = fixture.regions};
    struct weir_router *router;
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
    struct fixture_request request = fixture_request(&fixture, "id", (size_t)1 << 20);
    request.origin->ticket = &ticket;
    request.origin->used_ns = 600 * SECOND_NS;
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_run *run = fixture_run(&request, "A", "r");
        fixture_point(&request, run, fixture_metric(run, "", "m"), i, 0);
        run->first = 100 * i;
    }
    struct weir_arena *arena = request.arena;
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(router, &request, &held), WEIR_OK);
    weir_router_publish(router, &request.runs, &held);
    weir_arena_unref(arena, 0);
    assert_true(weir_router_compact(router, 0) > 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_run *run = weir_router_take(router, 0);
        assert_non_null(run);
        assert_ptr_not_equal(run->arena, arena);
        assert_ptr_equal(run->origin->ticket, &ticket);
        assert_true(run->origin->used_ns == 600 * SECOND_NS);
        assert_int_equal(run->first, 100 * i);
        weir_arena_unref(run->arena, run->bytes);
    }
    weir_router_free(router);
    weir_namespaces_free(namespaces);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_point_is_in_one_part),
        cmocka_unit_test(a_batch_released_with_its_manifest_has_kept_its_points),
        cmocka_unit_test(a_batch_has_used_what_its_runs_have),
        cmocka_unit_test(a_copied_run_keeps_its_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
