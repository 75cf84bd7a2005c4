/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several producers bring requests of more runs than a ring has slots, in several namespaces, most
 * of which share a ring; one drainer a destination takes them, compacting now and then: every point
 * comes to every destination that wants it exactly once, and shares, credits and memory are all
 * given back. Meanwhile one more thread does nothing but read the gauges, which are differences of
 * sums that others raise. Meant for ThreadSanitizer; elsewhere it is a stress test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/route/run_fixture.h"
#include "support.h"
#include "weir/route.h"
#include "weir/thread.h"
#include <poll.h>
#include <sched.h>
#include <stdio.h>

/* More runs than the router looks ahead. */
enum { PRODUCERS = 3, DESTINATIONS = 2, REQUESTS = 120, RUNS = 40, SLOTS = 8 };

/* The table of names is full before they come: those of one letter share a ring. */
static const char *const NAMES[] = {"a",      "known0", "d",      "known1", "c",      "known2", "e",
                                    "known3", "f",      "known4", "g",      "known5", "b"};
enum { NAMES_COUNT = sizeof(NAMES) / sizeof(*NAMES), KNOWN_USED = 6 };
enum { SHARE = 20000, OFTEN = 200, POINTS_MAX = PRODUCERS * REQUESTS * RUNS * DESTINATIONS };
/* What was reserved is read after what was taken, and may be all there ever was. */
#define BYTES_MAX ((size_t)POINTS_MAX * 1024)
static const char *const NOT_D[] = {"d", NULL};

struct shared {
    struct fixture fixture;
    struct weir_namespaces *namespaces;
    struct weir_router *router;
    struct weir_wake wakes[DESTINATIONS];
    _Atomic uint32_t producing; /* producers that have not ended */
};

struct producer {
    struct shared *shared;
    uint64_t seed;
    uint64_t first_number;
    uint64_t refused;
    bool is_d[REQUESTS * RUNS]; /* which of its points are named d */
};

struct drainer {
    struct shared *shared;
    uint32_t index;
    uint8_t seen[PRODUCERS * REQUESTS * RUNS]; /* how often each point came */
};

static struct fixture_request a_request(struct producer *producer, struct weir_rand *rand,
                                        uint64_t number)
{
    size_t padding = weir_rand_below(rand, 4) == 0 ? (size_t)100 << 10 : 0;
    struct fixture_request request =
        fixture_wide_request(&producer->shared->fixture, "id", padding, RUNS);
    uint64_t at = weir_rand_below(rand, 3);
    for (uint64_t i = 0; i < RUNS; i++) { /* those of a name stand together */
        at += at + 1 < NAMES_COUNT ? weir_rand_below(rand, 2) : 0;
        const char *name = NAMES[at];
        producer->is_d[number + i - producer->first_number] = name[0] == 'd';
        struct weir_run *run = fixture_run(&request, name, "R");
        fixture_point(&request, run, fixture_metric(run, "", "m"), number + i,
                      weir_rand_below(rand, 200));
    }
    return request;
}

static void produce(void *argument)
{
    struct weir_reservation held;
    struct producer *producer = argument;
    struct weir_router *router = producer->shared->router;
    weir_rcu_thread_start();
    assert_int_equal(weir_metrics_thread_start(), WEIR_OK);
    struct weir_rand rand;
    weir_rand_init(&rand, producer->seed);
    for (uint64_t i = 0; i < REQUESTS; i++) {
        uint64_t number = producer->first_number + i * RUNS;
        struct fixture_request request = a_request(producer, &rand, number);
        while (fixture_reserve(router, &request, &held) != WEIR_OK) {
            producer->refused++;
            (void)sched_yield();
        }
        if (weir_rand_below(&rand, 8) == 0) {
            weir_router_cancel(router, &request.runs, &held);
            i--; /* the same numbers once more */
        } else {
            weir_router_publish(router, &request.runs, &held);
        }
        weir_arena_unref(request.arena, 0);
    }
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
    /* release: pairs with the acquire in drain, so that after the last one all pushes are seen */
    atomic_fetch_sub_explicit(&producer->shared->producing, 1, memory_order_release);
}

/* Takes what there is; how many runs that were. */
static uint32_t take_all(struct drainer *drainer)
{
    uint32_t taken = 0;
    struct weir_run *run;
    while ((run = weir_router_take(drainer->shared->router, drainer->index)) != NULL) {
        for (uint32_t i = 0; i < run->count; i++) {
            const struct weir_point *point = &run->points[i];
            drainer->seen[fixture_number(weir_bytes_of(point->data, point->size))]++;
        }
        weir_arena_unref(run->arena, run->bytes);
        if (++taken % 16 == 0) {
            (void)weir_router_compact(drainer->shared->router, drainer->index);
        }
    }
    return taken;
}

static void drain(void *argument)
{
    struct drainer *drainer = argument;
    struct weir_wake *wake = &drainer->shared->wakes[drainer->index];
    weir_rcu_thread_start();
    bool is_last = false;
    while (!is_last) {
        struct pollfd bell = {.fd = wake->fd, .events = POLLIN};
        (void)poll(&bell, 1, 10);
        /* acquire: pairs with the release in produce */
        is_last = atomic_load_explicit(&drainer->shared->producing, memory_order_acquire) == 0;
        weir_wake_silence(wake);
        (void)take_all(drainer);
    }
    weir_rcu_thread_stop();
}

/* Never less than nothing, nor more than was ever let in. Bytes are looked at more often: only
 * a moment lies between their sums. */
static void watch(void *argument)
{
    struct shared *shared = argument;
    const struct weir_router *router = shared->router;
    /* relaxed: when to end */
    while (atomic_load_explicit(&shared->producing, memory_order_relaxed) > 0) {
        for (uint32_t i = 0; i < OFTEN * DESTINATIONS; i++) {
            assert_true(weir_router_queued_bytes(router, i % DESTINATIONS) <= BYTES_MAX);
        }
        for (uint32_t id = 0; id < KNOWN_USED; id++) {
            assert_true(weir_router_ring_points(router, id) <= POINTS_MAX);
        }
        assert_true(weir_router_ring_points(router, WEIR_NAMESPACE_OVERFLOW) <= POINTS_MAX);
    }
}

static void open_shared(struct shared *shared)
{
    fixture_open(&shared->fixture, (size_t)64 << 20);
    assert_int_equal(weir_namespaces_new(&shared->namespaces), WEIR_OK);
    struct weir_route_destination destinations[DESTINATIONS];
    for (uint32_t i = 0; i < DESTINATIONS; i++) {
        assert_int_equal(weir_wake_open(&shared->wakes[i]), WEIR_OK);
        destinations[i] =
            (struct weir_route_destination){.name = "d", .share = SHARE, .wake = &shared->wakes[i]};
    }
    destinations[1].exclude = NOT_D;
    for (uint32_t i = 0; i < WEIR_NAMESPACES_MAX; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "known%u", i);
        assert_int_equal(weir_namespaces_id(shared->namespaces, weir_bytes_str(text)), i);
    }
    const struct weir_router_options options = {.set =
                                                    weir_route_set_of(destinations, DESTINATIONS),
                                                .ring_slots = SLOTS,
                                                .queued = &shared->fixture.queued,
                                                .namespaces = shared->namespaces,
                                                .regions = shared->fixture.regions};
    assert_int_equal(weir_router_new(&options, &shared->router), WEIR_OK);
    atomic_init(&shared->producing, PRODUCERS);
}

static void close_shared(struct shared *shared)
{
    for (uint32_t i = 0; i < DESTINATIONS; i++) {
        assert_int_equal(weir_router_queued_bytes(shared->router, i), 0);
        weir_wake_close(&shared->wakes[i]);
    }
    for (uint32_t id = 0; id < WEIR_NAMESPACE_IDS; id++) {
        assert_int_equal(weir_router_ring_points(shared->router, id), 0);
    }
    weir_router_free(shared->router);
    weir_namespaces_free(shared->namespaces);
    fixture_close(&shared->fixture);
}

static void test_every_point_once_to_every_destination_that_wants_it(void **state)
{
    (void)state;
    static struct shared shared;
    static struct producer producers[PRODUCERS];
    static struct drainer drainers[DESTINATIONS];
    struct weir_thread *threads[PRODUCERS + DESTINATIONS + 1];
    open_shared(&shared);
    struct weir_rand rand = support_rand(7);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i].shared = &shared;
        producers[i].seed = weir_rand_u64(&rand);
        producers[i].first_number = i * REQUESTS * RUNS;
        assert_int_equal(
            weir_thread_start(WEIR_ROLE_LOOP, "producer", produce, &producers[i], &threads[i]),
            WEIR_OK);
    }
    for (uint32_t i = 0; i < DESTINATIONS; i++) {
        drainers[i].shared = &shared;
        drainers[i].index = i;
        assert_int_equal(weir_thread_start(WEIR_ROLE_EXPORTER, "drainer", drain, &drainers[i],
                                           &threads[PRODUCERS + i]),
                         WEIR_OK);
    }
    assert_int_equal(weir_thread_start(WEIR_ROLE_LOOP, "watcher", watch, &shared,
                                       &threads[PRODUCERS + DESTINATIONS]),
                     WEIR_OK);
    for (uint32_t i = 0; i < PRODUCERS + DESTINATIONS + 1; i++) {
        weir_thread_join(threads[i]);
    }
    for (uint32_t i = 0; i < DESTINATIONS; i++) {
        for (size_t number = 0; number < sizeof(drainers[i].seen); number++) {
            const struct producer *producer = &producers[number / (REQUESTS * RUNS)];
            bool is_d = producer->is_d[number % (REQUESTS * RUNS)];
            assert_int_equal(drainers[i].seen[number], i == 0 || !is_d);
        }
    }
    close_shared(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_point_once_to_every_destination_that_wants_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
