/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random requests, cancellations, takes and compactions on a small router against a plain model of
 * it: each destination that a request is live for gets every run that it wants exactly once, each
 * namespace in its order; one without room gets nothing and holds nothing; and the queued bytes are
 * at any time those of the runs inside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/route/run_fixture.h"
#include "support.h"
#include "weir/route.h"

enum { SCHEDULES = 25, STEPS = 400, DESTINATIONS = 3, NAMES = 5, MODEL_MAX = 2048 };

static const char *const NAMES_OF[NAMES] = {"AWS/EC2", "AWS/ECS", "AWS/RDS", "own", ""};
static const char *const AWS[] = {"AWS/*", NULL};
static const char *const NOT_EC2[] = {"AWS/EC2", NULL};

/* What one ring holds, oldest first. */
struct model_ring {
    uint64_t numbers[MODEL_MAX];
    size_t bytes[MODEL_MAX];
    uint32_t head, tail;
};

struct model {
    struct model_ring rings[DESTINATIONS][NAMES];
    size_t queued[DESTINATIONS];
    uint64_t numbers;
};

static bool wants(int destination, int name)
{
    return destination == 0 || (name <= 2 && (destination == 1 || name != 0));
}

static struct weir_router *a_router(struct fixture *fixture, struct weir_namespaces *namespaces,
                                    struct weir_rand *rand)
{
    const struct weir_route_destination destinations[DESTINATIONS] = {
        {.name = "all",
         .include = NULL,
         .exclude = NULL,
         .share = 1000 + weir_rand_below(rand, 400000)},
        {.name = "aws",
         .include = AWS,
         .exclude = NULL,
         .share = 1000 + weir_rand_below(rand, 400000)},
        {.name = "not ec2",
         .include = AWS,
         .exclude = NOT_EC2,
         .share = 1000 + weir_rand_below(rand, 400000)},
    };
    const struct weir_router_options options = {
        .set = weir_route_set_of(destinations, DESTINATIONS),
        .ring_slots = 4u << weir_rand_below(rand, 4),
        .queued = &fixture->queued,
        .namespaces = namespaces,
        .regions = fixture->regions,
    };
    struct weir_router *router = NULL;
    assert_int_equal(weir_router_new(&options, &router), WEIR_OK);
    return router;
}

static int name_index(struct weir_bytes name)
{
    for (int i = 0; i < NAMES; i++) {
        if (weir_bytes_eq(name, weir_bytes_str(NAMES_OF[i]))) {
            return i;
        }
    }
    fail_msg("a name that nobody gave");
    return 0;
}

static void note_published(struct model *model, const struct weir_runs *runs, uint64_t live)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        int name = name_index(runs->runs[i].name);
        for (int d = 0; d < DESTINATIONS; d++) {
            if (wants(d, name) && (live >> d & 1) != 0) {
                struct model_ring *ring = &model->rings[d][name];
                assert_true(ring->tail < MODEL_MAX);
                ring->numbers[ring->tail] = fixture_first_number(&runs->runs[i]);
                ring->bytes[ring->tail++] = runs->runs[i].bytes;
                model->queued[d] += runs->runs[i].bytes;
            }
        }
    }
}

/* What is wanted is what the targets want of it, to the point; nothing else is live. */
static void check_reservation(const struct weir_runs *runs, uint64_t targets,
                              const struct weir_reservation *held)
{
    for (int d = 0; d < DESTINATIONS; d++) {
        uint32_t points = 0;
        for (uint32_t i = 0; i < runs->count; i++) {
            bool goes = (targets >> d & 1) != 0 && wants(d, name_index(runs->runs[i].name));
            points += goes ? runs->runs[i].count : 0;
        }
        assert_int_equal(held->points[d], points);
        assert_int_equal(held->wanted >> d & 1, points > 0);
    }
    assert_int_equal(held->wanted >> DESTINATIONS, 0);
    assert_int_equal(held->live & ~held->wanted, 0);
}

static void bring_request(struct fixture *fixture, struct weir_router *router, struct model *model,
                          struct weir_rand *rand)
{
    struct weir_reservation held;
    size_t padding = weir_rand_below(rand, 3) == 0 ? (size_t)100 << 10 : 0;
    struct fixture_request request = fixture_request(fixture, "id", padding);
    uint64_t runs = 1 + weir_rand_below(rand, 6);
    for (uint64_t i = 0; i < runs; i++) {
        struct weir_run *run = fixture_run(&request, NAMES_OF[weir_rand_below(rand, NAMES)], "R");
        const struct weir_metric *metric = fixture_metric(run, "", "m");
        uint64_t points = 1 + weir_rand_below(rand, 4);
        for (uint64_t p = 0; p < points; p++) {
            fixture_point(&request, run, metric, ++model->numbers, weir_rand_below(rand, 9000));
        }
    }
    uint64_t targets = weir_rand_below(rand, 3) == 0 ? weir_rand_below(rand, 16) : WEIR_TARGETS_ALL;
    fixture_reserve_for(router, &request, targets, &held);
    check_reservation(&request.runs, targets, &held);
    if (weir_rand_below(rand, 5) == 0) {
        weir_router_cancel(router, &request.runs, &held);
    } else { /* those without room go without it */
        note_published(model, &request.runs, held.live);
        weir_router_publish(router, &request.runs, &held);
    }
    weir_arena_unref(request.arena, 0);
}

static bool take_one(struct weir_router *router, struct model *model, int destination)
{
    struct weir_run *run = weir_router_take(router, (uint32_t)destination);
    if (run == NULL) {
        assert_int_equal(model->queued[destination], 0);
        return false;
    }
    int name = name_index(run->name);
    struct model_ring *ring = &model->rings[destination][name];
    assert_true(ring->head < ring->tail);
    assert_int_equal(fixture_first_number(run), ring->numbers[ring->head]);
    assert_int_equal(run->bytes, ring->bytes[ring->head]);
    model->queued[destination] -= run->bytes;
    ring->head++;
    weir_arena_unref(run->arena, run->bytes);
    return true;
}

static void run_schedule(struct model *model, struct weir_rand *rand)
{
    struct fixture fixture;
    struct weir_namespaces *namespaces = NULL;
    memset(model, 0, sizeof(*model));
    fixture_open(&fixture, (size_t)4 << 20);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    struct weir_router *router = a_router(&fixture, namespaces, rand);
    uint64_t busy = 1 + weir_rand_below(rand, 9);
    for (int step = 0; step < STEPS; step++) {
        int destination = (int)weir_rand_below(rand, DESTINATIONS);
        if (weir_rand_below(rand, 10) < busy) {
            bring_request(&fixture, router, model, rand);
        } else if (weir_rand_below(rand, 10) == 0) {
            (void)weir_router_compact(router, (uint32_t)destination);
        } else {
            (void)take_one(router, model, destination);
        }
        for (uint32_t d = 0; d < DESTINATIONS; d++) {
            assert_int_equal(weir_router_queued_bytes(router, d), model->queued[d]);
        }
    }
    for (int d = 0; d < DESTINATIONS; d++) {
        while (take_one(router, model, d)) {
        }
    }
    weir_router_free(router);
    weir_namespaces_free(namespaces);
    fixture_close(&fixture);
}

static void test_random_schedules(void **state)
{
    (void)state;
    static struct model model;
    struct weir_rand rand = support_rand(6);
    for (int i = 0; i < SCHEDULES; i++) {
        run_schedule(&model, &rand);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_schedules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
