/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A noisy neighbour: one namespace brings a hundred times what each of the others does, and is far
 * behind. What comes for another one is taken after no more bytes of anybody else's than deficit
 * round robin allows: a quantum for each of them and round, and one run beyond. How much of its own
 * namespace is ahead of it decides the rounds; the noisy one's backlog does not come into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../unit/route/run_fixture.h"
#include "support.h"
#include "weir/route.h"

enum { SCHEDULES = 4, QUIET = 5, NOISY = QUIET, NAMES = QUIET + 1, WAITING_MAX = 64 };
enum { STEPS = 150, NOISY_RUNS = 100, SLOTS = 1024 };

#define QUANTUM ((size_t)64 << 10) /* as src/route/drain.c has it */
#define RUN_MAX ((size_t)17 << 10)
#define MUCH    ((size_t)1 << 30)

/* A run of a quiet namespace: what was taken before it came, and how much of its own namespace had
 * to go first, itself included. */
struct waiting {
    size_t taken;
    size_t ahead;
};

struct scene {
    struct fixture fixture;
    struct weir_namespaces *namespaces;
    struct weir_router *router;
    struct waiting waiting[QUIET][WAITING_MAX];
    uint32_t head[QUIET], tail[QUIET];
    size_t queued[NAMES];
    size_t taken;    /* bytes, ever */
    uint32_t spared; /* runs that would have waited longer in one common queue */
};

static void name_of(uint32_t index, char name[8])
{
    (void)snprintf(name, 8, "ns%u", index);
}

static bool bring(struct scene *scene, struct weir_rand *rand, uint32_t index)
{
    char name[8];
    name_of(index, name);
    struct weir_reservation held;
    struct fixture_request request = fixture_wide_request(&scene->fixture, "id", 0, 1);
    struct weir_run *run = fixture_run(&request, name, "R");
    fixture_point(&request, run, fixture_metric(run, "", "m"), 1, weir_rand_below(rand, 16 << 10));
    assert_true(run->bytes <= RUN_MAX);
    size_t bytes = run->bytes;
    fixture_reserve_for(scene->router, &request, WEIR_TARGETS_ALL, &held);
    weir_router_publish(scene->router, &request.runs, &held); /* nothing, where it is full */
    weir_arena_unref(request.arena, 0);
    scene->queued[index] += held.live == 0 ? 0 : bytes;
    return held.live != 0;
}

static void bring_quiet(struct scene *scene, struct weir_rand *rand, uint32_t index)
{
    if (scene->tail[index] - scene->head[index] < WAITING_MAX) {
        assert_true(bring(scene, rand, index));
        scene->waiting[index][scene->tail[index]++ % WAITING_MAX] =
            (struct waiting){scene->taken, scene->queued[index]};
    }
}

static void check_wait(struct scene *scene, uint32_t index, size_t others)
{
    struct waiting waiting = scene->waiting[index][scene->head[index]++ % WAITING_MAX];
    size_t rounds = waiting.ahead / QUANTUM + 2; /* its turn may just have been over */
    size_t bound = waiting.ahead + (NAMES - 1) * (rounds * QUANTUM + RUN_MAX);
    assert_true(scene->taken - waiting.taken <= bound);
    scene->spared += others > bound ? 1 : 0;
}

static bool take(struct scene *scene)
{
    struct weir_run *run = weir_router_take(scene->router, 0);
    if (run == NULL) {
        return false;
    }
    uint32_t index = (uint32_t)(run->name.data[2] - '0');
    assert_true(index < NAMES);
    scene->taken += run->bytes;
    scene->queued[index] -= run->bytes;
    if (index != NOISY) {
        check_wait(scene, index, scene->queued[NOISY]);
    }
    weir_arena_unref(run->arena, run->bytes);
    return true;
}

static void run_schedule(struct scene *scene, struct weir_rand *rand)
{
    memset(scene, 0, sizeof(*scene));
    fixture_open(&scene->fixture, MUCH);
    assert_int_equal(weir_namespaces_new(&scene->namespaces), WEIR_OK);
    const struct weir_route_destination destination = {.name = "all", .share = MUCH};
    const struct weir_router_options options = {
        .set = weir_route_set_of(&destination, 1),
        .ring_slots = SLOTS,
        .queued = &scene->fixture.queued,
        .namespaces = scene->namespaces,
        .regions = scene->fixture.regions,
    };
    assert_int_equal(weir_router_new(&options, &scene->router), WEIR_OK);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < NOISY_RUNS; i++) {
            (void)bring(scene, rand, NOISY); /* its ring is full soon, and then stays so */
        }
        uint32_t quiet = (uint32_t)weir_rand_below(rand, QUIET);
        uint64_t bursts = weir_rand_below(rand, 8) == 0 ? 20 : 1; /* more than a quantum of it */
        for (uint64_t i = 0; i < bursts; i++) {
            bring_quiet(scene, rand, quiet);
        }
        for (uint64_t takes = weir_rand_below(rand, 40); takes > 0 && take(scene); takes--) {
        }
    }
    while (take(scene)) {
    }
    for (uint32_t i = 0; i < QUIET; i++) {
        assert_int_equal(scene->head[i], scene->tail[i]);
    }
    weir_router_free(scene->router);
    weir_namespaces_free(scene->namespaces);
    fixture_close(&scene->fixture);
}

static void test_others_wait_for_their_turn_only(void **state)
{
    (void)state;
    static struct scene scene;
    struct weir_rand rand = support_rand(23);
    for (int i = 0; i < SCHEDULES; i++) {
        run_schedule(&scene, &rand);
        assert_true(scene.spared > STEPS / 2); /* or the noise was none */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_others_wait_for_their_turn_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
