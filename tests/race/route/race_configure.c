/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of destinations is replaced at full speed while producers choose, reserve, publish and
 * cancel, and drainers take: every run comes exactly once to every destination of the set that its
 * request found, however many sets there were meanwhile; the strings of a set are freed when its
 * end is told, and the end of each is told once; a slot of a request's set is not idle, and one
 * that is has nothing. Meant for ThreadSanitizer; elsewhere it is a stress test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/route/run_fixture.h"
#include "support.h"
#include "weir/mem.h"
#include "weir/thread.h"
#include <sched.h>

enum { PRODUCERS = 2, SLOTS = 4, REQUESTS = 1500, RUNS = 4, POINTS = PRODUCERS * REQUESTS * RUNS };

static const char *const NAMES[] = {"a", "b", "c"};

/* What a set's strings are: gone with it, so that whoever still reads them is found out. */
struct generation {
    struct shared *shared;
    char patterns[SLOTS][2]; /* which name each slot excludes */
    const char *exclude[SLOTS][2];
};

struct shared {
    struct fixture fixture;
    struct weir_namespaces *namespaces;
    struct weir_router *router;
    struct weir_wake wakes[SLOTS];
    _Atomic uint32_t producing; /* producers that have not ended */
    _Atomic uint64_t released;
    uint64_t configured; /* the main thread's */
};

struct producer {
    struct shared *shared;
    uint64_t seed;
    uint64_t first_number;
    uint8_t takers[REQUESTS * RUNS]; /* bits of those that each point was published to */
};

struct drainer {
    struct shared *shared;
    uint32_t slot;
    uint8_t seen[POINTS]; /* how often each point came */
};

static void on_released(void *argument)
{
    struct generation *generation = argument;
    struct shared *shared = generation->shared;
    memset(generation->patterns, 'x', sizeof(generation->patterns));
    weir_mem_free(generation);
    /* release: pairs with the acquire where all have ended */
    atomic_fetch_add_explicit(&shared->released, 1, memory_order_release);
}

static struct weir_route_set a_set(struct shared *shared, struct weir_rand *rand, uint64_t slots,
                                   struct weir_route_destination *destinations)
{
    struct generation *generation = weir_mem_zalloc(1, sizeof(*generation));
    assert_non_null(generation);
    generation->shared = shared;
    for (uint32_t i = 0; i < SLOTS; i++) {
        generation->patterns[i][0] = "abcd"[weir_rand_below(rand, 4)];
        generation->exclude[i][0] = generation->patterns[i];
        destinations[i] =
            (struct weir_route_destination){.name = generation->patterns[i],
                                            .exclude = generation->exclude[i],
                                            .share = 10000 + weir_rand_below(rand, 20000),
                                            .is_disk_only = weir_rand_below(rand, 4) == 0,
                                            .wake = &shared->wakes[i]};
    }
    return (struct weir_route_set){destinations, slots, on_released, generation};
}

/* -- producers ------------------------------------------------------------------------------ */

static struct fixture_request a_request(struct producer *producer, struct weir_rand *rand,
                                        uint64_t number)
{
    struct fixture_request request = fixture_request(&producer->shared->fixture, "id", 0);
    for (uint64_t i = 0; i < RUNS; i++) {
        struct weir_run *run = fixture_run(&request, NAMES[weir_rand_below(rand, 3)], "R");
        fixture_point(&request, run, fixture_metric(run, "", "m"), number + i,
                      weir_rand_below(rand, 200));
    }
    return request;
}

/* One request to its end. False when it was cancelled, and its numbers may be used again. */
static bool bring(struct producer *producer, struct weir_rand *rand, uint64_t number)
{
    struct weir_router *router = producer->shared->router;
    const struct weir_route_request asked = {.targets = WEIR_TARGETS_ALL};
    struct weir_route_choice choice;
    struct weir_reservation held;
    struct fixture_request request = a_request(producer, rand, number);
    assert_int_equal(weir_router_choose(router, request.arena, &asked, &choice), WEIR_OK);
    uint64_t targets = choice.targets;
    weir_router_reserve(router, request.arena, &request.runs, &choice, &held);
    assert_int_equal(held.wanted & ~targets, 0);
    assert_int_equal(held.live & ~held.wanted, 0);
    (void)sched_yield(); /* the commit */
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        assert_false((targets >> slot & 1) != 0 && weir_router_idle(router, slot));
    }
    bool is_published = weir_rand_below(rand, 8) != 0;
    if (is_published) {
        for (uint32_t i = 0; i < RUNS; i++) {
            producer->takers[number + i - producer->first_number] =
                (uint8_t)(request.runs.runs[i].takers & held.live);
        }
        weir_router_publish(router, &request.runs, &held);
    } else {
        weir_router_cancel(router, &request.runs, &held);
    }
    weir_router_release(router, &choice);
    weir_arena_unref(request.arena, 0);
    return is_published;
}

static void produce(void *argument)
{
    struct producer *producer = argument;
    weir_rcu_thread_start();
    assert_int_equal(weir_metrics_thread_start(), WEIR_OK);
    struct weir_rand rand;
    weir_rand_init(&rand, producer->seed);
    for (uint64_t i = 0; i < REQUESTS; i++) {
        while (!bring(producer, &rand, producer->first_number + i * RUNS)) {
        }
    }
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
    /* release: pairs with the acquires in drain and reconfigure, so that after the last one all
     * pushes are seen */
    atomic_fetch_sub_explicit(&producer->shared->producing, 1, memory_order_release);
}

/* -- drainers ------------------------------------------------------------------------------- */

static void take_all(struct drainer *drainer)
{
    struct weir_run *run;
    while ((run = weir_router_take(drainer->shared->router, drainer->slot)) != NULL) {
        for (uint32_t i = 0; i < run->count; i++) {
            const struct weir_point *point = &run->points[i];
            drainer->seen[fixture_number(weir_bytes_of(point->data, point->size))]++;
        }
        weir_arena_unref(run->arena, run->bytes);
    }
}

static bool is_over(struct shared *shared)
{
    /* acquire: pairs with the release in produce */
    return atomic_load_explicit(&shared->producing, memory_order_acquire) == 0;
}

static void drain(void *argument)
{
    struct drainer *drainer = argument;
    weir_rcu_thread_start();
    for (bool is_last = false; !is_last;) {
        is_last = is_over(drainer->shared);
        weir_wake_silence(&drainer->shared->wakes[drainer->slot]);
        take_all(drainer);
        (void)sched_yield();
    }
    weir_rcu_thread_stop();
}

/* -- the one that configures ---------------------------------------------------------------- */

/* A slot that is idle and in no set has nothing. */
static void look_at_idle_slots(struct shared *shared, uint64_t slots)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if ((slots >> slot & 1) == 0 && weir_router_idle(shared->router, slot)) {
            assert_int_equal(weir_router_queued_bytes(shared->router, slot), 0);
        }
    }
}

static void reconfigure(struct shared *shared, struct weir_rand *rand)
{
    struct weir_route_destination destinations[SLOTS];
    while (!is_over(shared)) {
        uint64_t slots = 1 + weir_rand_below(rand, (1 << SLOTS) - 1);
        const struct weir_route_set set = a_set(shared, rand, slots, destinations);
        assert_int_equal(weir_router_configure(shared->router, &set), WEIR_OK);
        shared->configured++;
        look_at_idle_slots(shared, slots);
    }
}

static void open_shared(struct shared *shared, struct weir_rand *rand)
{
    fixture_open(&shared->fixture, (size_t)64 << 20);
    assert_int_equal(weir_namespaces_new(&shared->namespaces), WEIR_OK);
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_int_equal(weir_wake_open(&shared->wakes[i]), WEIR_OK);
    }
    struct weir_route_destination destinations[SLOTS];
    const struct weir_router_options options = {.set = a_set(shared, rand, 1, destinations),
                                                .ring_slots = 8,
                                                .queued = &shared->fixture.queued,
                                                .namespaces = shared->namespaces,
                                                .regions = shared->fixture.regions};
    assert_int_equal(weir_router_new(&options, &shared->router), WEIR_OK);
    shared->configured = 1;
    atomic_init(&shared->producing, PRODUCERS);
}

static void close_shared(struct shared *shared)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_int_equal(weir_router_queued_bytes(shared->router, i), 0);
        weir_wake_close(&shared->wakes[i]);
    }
    /* acquire: pairs with the release in on_released */
    assert_int_equal(atomic_load_explicit(&shared->released, memory_order_acquire),
                     shared->configured - 1);
    weir_router_free(shared->router);
    assert_int_equal(atomic_load_explicit(&shared->released, memory_order_acquire),
                     shared->configured);
    weir_namespaces_free(shared->namespaces);
    fixture_close(&shared->fixture);
}

static void check_seen(const struct producer *producers, const struct drainer *drainers)
{
    uint64_t came = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        for (size_t number = 0; number < POINTS; number++) {
            uint8_t takers =
                producers[number / (REQUESTS * RUNS)].takers[number % (REQUESTS * RUNS)];
            assert_int_equal(drainers[slot].seen[number], takers >> slot & 1);
            came += drainers[slot].seen[number];
        }
    }
    assert_true(came > 0);
}

static void test_every_run_once_to_whom_its_set_had(void **state)
{
    (void)state;
    static struct shared shared;
    static struct producer producers[PRODUCERS];
    static struct drainer drainers[SLOTS];
    struct weir_thread *threads[PRODUCERS + SLOTS];
    struct weir_rand rand = support_rand(11);
    open_shared(&shared, &rand);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.shared = &shared,
                                         .seed = weir_rand_u64(&rand),
                                         .first_number = (uint64_t)i * REQUESTS * RUNS};
        assert_int_equal(
            weir_thread_start(WEIR_ROLE_LOOP, "producer", produce, &producers[i], &threads[i]),
            WEIR_OK);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        drainers[i] = (struct drainer){.shared = &shared, .slot = i};
        assert_int_equal(weir_thread_start(WEIR_ROLE_EXPORTER, "drainer", drain, &drainers[i],
                                           &threads[PRODUCERS + i]),
                         WEIR_OK);
    }
    reconfigure(&shared, &rand);
    for (uint32_t i = 0; i < PRODUCERS + SLOTS; i++) {
        weir_thread_join(threads[i]);
    }
    assert_true(shared.configured > 1);
    check_seen(producers, drainers);
    close_shared(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_run_once_to_whom_its_set_had)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
