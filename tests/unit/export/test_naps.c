/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an exporter thread wakes up: counted at its transport, in which it sleeps. Requests come in
 * quick succession; what is in their batches is not looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"

#include "backend.h"
#include <stdatomic.h>

#define MS WEIR_NS_PER_MS

enum { REQUESTS = 100, POINTS_NEVER = 100000 };

static _Atomic uint32_t sleeps; /* that have ended */

static int all_well(const struct arrival *arrival)
{
    (void)arrival;
    return 200;
}

static enum weir_status count_and_wait(void *self, int wake_fd, int timeout_ms)
{
    enum weir_status status = played_wait(self, wake_fd, timeout_ms);
    /* relaxed: a count */
    atomic_fetch_add_explicit(&sleeps, 1, memory_order_relaxed);
    return status;
}

static enum weir_status counting_new(void *argument, struct weir_transport *ret)
{
    enum weir_status status = played_new(argument, ret);
    ret->wait = count_and_wait;
    return status;
}

static uint32_t sleeps_now(void)
{
    return atomic_load_explicit(&sleeps, memory_order_relaxed); /* a count */
}

/* One thread, whose batches wait for `interval_ns`. */
static void start(struct scene *scene, int64_t interval_ns)
{
    scene_set(scene, all_well);
    scene->threads = 1;
    scene->destinations[0].buffer.points_max = POINTS_NEVER;
    scene->destinations[0].buffer.interval_ns = interval_ns;
    struct weir_exporter_options options = scene_options(scene);
    options.transport = counting_new;
    scene_make(scene, options);
    scene->backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(scene->exporter, scene->router), WEIR_OK);
}

/* Publishes a request each `apart_ms` or less often, and returns how often the thread woke up. */
static uint32_t wakeups(struct scene *scene, int apart_ms)
{
    uint32_t before = sleeps_now();
    for (uint64_t i = 0; i < REQUESTS; i++) {
        assert_true(scene_publish(scene, i, i + 1, 0));
        (void)poll(NULL, 0, apart_ms);
    }
    return sleeps_now() - before;
}

/* Waits until what was published is out of the rings; false after `wait_ms`. */
static bool await_taken(struct scene *scene, int wait_ms)
{
    while (weir_router_queued_bytes(scene->router, 0) > 0 && wait_ms-- > 0) {
        (void)poll(NULL, 0, 1);
    }
    return weir_router_queued_bytes(scene->router, 0) == 0;
}

static void test_requests_that_come_together_are_one_wakeup(void **state)
{
    (void)state;
    static struct scene scene;
    start(&scene, 60 * WEIR_NS_PER_S);
    assert_true(wakeups(&scene, 1) < REQUESTS / 2);
    assert_true(await_taken(&scene, 2000));
    assert_int_equal(scene_end(&scene, 5), 0);
    assert_once(&scene, 0, REQUESTS);
}

static void test_afterwards_it_sleeps_and_the_next_one_is_heard(void **state)
{
    (void)state;
    static struct scene scene;
    start(&scene, 60 * WEIR_NS_PER_S);
    (void)wakeups(&scene, 1);
    assert_true(await_taken(&scene, 2000));
    (void)poll(NULL, 0, 50); /* the last nap is over */
    uint32_t before = sleeps_now();
    (void)poll(NULL, 0, 300);
    assert_true(sleeps_now() - before <= 1); /* once a second, whatever is the case */
    before = sleeps_now();
    assert_true(scene_publish(&scene, REQUESTS, REQUESTS + 1, 0));
    assert_true(await_taken(&scene, 500));
    assert_true(sleeps_now() > before);
    assert_int_equal(scene_end(&scene, 5), 0);
    assert_once(&scene, 0, REQUESTS + 1);
}

/* A nap of 10 ms would end before the next one, and be a second wake-up for each. */
static void test_requests_farther_apart_than_a_nap_are_heard(void **state)
{
    (void)state;
    static struct scene scene;
    start(&scene, 60 * WEIR_NS_PER_S);
    assert_true(wakeups(&scene, 16) < REQUESTS * 3 / 2);
    assert_true(await_taken(&scene, 2000));
    assert_int_equal(scene_end(&scene, 5), 0);
    assert_once(&scene, 0, REQUESTS);
}

/* A tenth of 5 ms is less than a nap can be. */
static void test_short_intervals_leave_no_time_for_naps(void **state)
{
    (void)state;
    static struct scene scene;
    start(&scene, 5 * MS);
    assert_true(wakeups(&scene, 1) > REQUESTS / 2);
    assert_true(await(&scene, 0, REQUESTS, 5));
    assert_int_equal(scene_end(&scene, 5), 0);
    assert_once(&scene, 0, REQUESTS);
}

static void test_a_drain_and_a_hurry_end_a_nap(void **state)
{
    (void)state;
    static struct scene scene;
    start(&scene, 60 * WEIR_NS_PER_S);
    (void)wakeups(&scene, 1);
    weir_exporter_hurry(scene.exporter);
    assert_true(await(&scene, 0, REQUESTS, 5));
    assert_true(scene_publish(&scene, REQUESTS, REQUESTS + 1, 0));
    assert_true(await(&scene, 0, REQUESTS + 1, 5));
    assert_true(scene_publish(&scene, REQUESTS + 1, REQUESTS + 2, 0));
    assert_int_equal(scene_end(&scene, 5), 0);
    assert_once(&scene, 0, REQUESTS + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_that_come_together_are_one_wakeup),
        cmocka_unit_test(test_afterwards_it_sleeps_and_the_next_one_is_heard),
        cmocka_unit_test(test_requests_farther_apart_than_a_nap_are_heard),
        cmocka_unit_test(test_short_intervals_leave_no_time_for_naps),
        cmocka_unit_test(test_a_drain_and_a_hurry_end_a_nap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
