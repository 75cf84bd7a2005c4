/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a request's points at a destination with a shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"
#include "backend.h"
#include "box.h"
#include "weir/expo.h"

#define S WEIR_NS_PER_S

struct play {
    struct scene scene;
    struct book book;
    struct weir_letterbox box;
    struct weir_ticket ticket;
};

static int always_200(const struct arrival *arrival)
{
    (void)arrival;
    return 200;
}

static void play_go(struct play *play)
{
    play->scene.backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(play->scene.exporter, play->scene.router), WEIR_OK);
}

/* All but the start of its threads. */
static void play_make(struct play *play, const struct weir_shape_options *shape,
                      uint32_t points_max)
{
    memset(play, 0, sizeof(*play));
    scene_set(&play->scene, always_200);
    play->scene.destinations[0].shape = shape;
    play->scene.destinations[0].buffer.points_max = points_max;
    struct weir_exporter_options options = scene_options(&play->scene);
    box_open(&play->box);
    options.settler = book_settler(&play->book);
    options.letterbox = &play->box;
    options.keeps = true;
    scene_make(&play->scene, options);
}

static void play_start(struct play *play, const struct weir_shape_options *shape,
                       uint32_t points_max)
{
    play_make(play, shape, points_max);
    play_go(play);
}

static uint32_t settled(struct play *play)
{
    return book_count(&play->book, play->ticket.settled, 0, ACCOUNT_POINTS);
}

static void await_settled(struct play *play, uint32_t points)
{
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    while (settled(play) < points) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)box_answer(&play->box, WEIR_OK);
        (void)poll(NULL, 0, 1);
    }
}

static const struct weir_shape_attribute named[] = {{"service.name", "weir"}, {NULL, NULL}};
static const struct weir_shape_options with_a_name = {.resource = named};

static void shaped_points_arrive_once_and_are_settled(void **state)
{
    (void)state;
    static const uint32_t bounds[] = {0, 1, 10, 700};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        static struct play play;
        play_start(&play, &with_a_name, bounds[i]);
        box_publish(&play.scene, &play.ticket, 0, 200, 0);
        assert_true(await(&play.scene, 0, 200, 10));
        await_settled(&play, 200);
        assert_int_equal(scene_end(&play.scene, 10), 0);
        assert_once(&play.scene, 0, 200);
        assert_int_equal(settled(&play), 200);
        assert_int_equal(box_waiting(&play.box), 0);
        assert_true(bounds[i] == 0 || play.scene.backend.requests >= 200 / bounds[i]);
    }
}

/* The fixture's times are their numbers: fifty years ago. (0 would be no time at all.) */
static void what_is_too_old_is_in_the_dead_letter_and_was_never_sent(void **state)
{
    (void)state;
    static const struct weir_shape_options fresh = {.max_point_age_ns = 3600 * S};
    static struct play play;
    play_start(&play, &fresh, 0);
    box_publish(&play.scene, &play.ticket, 1, 150, 0);
    box_await(&play.box, 1);
    struct weir_letter *letter = box_take(&play.box);
    assert_string_equal(letter->reason, "too_old");
    assert_int_equal(letter->attempts, 0);
    assert_true(letter->points > 0 && letter->points <= 150);
    assert_int_equal(settled(&play), 0); /* not before it is on disk */
    letter->done(letter, WEIR_OK);
    await_settled(&play, 150);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_int_equal(play.scene.backend.requests, 0);
}

/* A point whose attributes are none stands between others that fit. */
static void one_that_does_not_fit_keeps_nobody_else(void **state)
{
    (void)state;
    static const struct weir_shape_options flat = {.dimensions = WEIR_SHAPE_DIMENSIONS_FLAT};
    static struct play play;
    struct weir_ticket odd = {.padding = 10};
    play_start(&play, &flat, 0);
    box_publish(&play.scene, &play.ticket, 0, 70, 0);
    box_publish(&play.scene, &odd, 70, 3, 0);
    assert_true(await(&play.scene, 0, 70, 10));
    box_await(&play.box, 1);
    struct weir_letter *letter = box_take(&play.box);
    assert_string_equal(letter->reason, "unfit");
    assert_int_equal(letter->points, 3);
    letter->done(letter, WEIR_OK);
    await_settled(&play, 70);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_once(&play.scene, 0, 70);
    assert_int_equal(book_count(&play.book, odd.settled, 0, ACCOUNT_POINTS), 3);
}

static void what_a_filter_leaves_out_is_settled_at_once(void **state)
{
    (void)state;
    static const char *const all[] = {"*", NULL};
    static const struct weir_shape_options none = {.metrics_exclude = all};
    static struct play play;
    play_start(&play, &none, 0);
    box_publish(&play.scene, &play.ticket, 0, 150, 0);
    await_settled(&play, 150);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_int_equal(play.scene.backend.requests, 0);
    assert_int_equal(box_waiting(&play.box), 0);
}

static uint32_t most_points; /* in a request; behind the backend's lock */

static int note_most(const struct arrival *arrival)
{
    most_points = arrival->points > most_points ? arrival->points : most_points;
    return 200;
}

/* 60 points of 60 KB are 3.6 MB; a batch is 1 MiB. */
static void large_points_make_no_batch_larger_than_it_may_be(void **state)
{
    (void)state;
    static struct play play;
    play_make(&play, &with_a_name, 0);
    play.ticket.padding = 60000;
    play.scene.backend.judge = note_most;
    most_points = 0;
    play_go(&play);
    box_publish(&play.scene, &play.ticket, 0, 60, 0);
    await_settled(&play, 60);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_once(&play.scene, 0, 60);
    assert_in_range(most_points, 1, (1 << 20) / 60000);
}

static double filtered(void)
{
    const struct weir_bytes labels[] = {weir_bytes_str("d0"), weir_bytes_str("filtered")};
    return weir_expo_value(weir_metrics_series(WEIR_M_EXPORT_POINTS, labels));
}

/* Publishes 5 runs of 60 points, every second of a metric that is filtered, and of the others each
 * tenth without a place; with the nth allocation from then on failing. */
static void publish_mixed(struct play *play, uint64_t nth)
{
    struct fixture_request request = fixture_request(&play->scene.fixture, "request-1", 0);
    request.origin->ticket = &play->ticket;
    for (uint32_t number = 0; number < 300;) {
        struct weir_run *run = fixture_run(&request, "AWS/EC2", "");
        const struct weir_metric *metrics[] = {fixture_metric(run, "", "metric"),
                                               fixture_metric(run, "", "odd")};
        run->first = number;
        for (uint32_t i = 0; i < 60; i++, number++) {
            fixture_point(&request, run, metrics[number % 2], number, number % 20 == 0 ? 10 : 0);
        }
    }
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(play->scene.router, &request, &held), WEIR_OK);
    (void)weir_mem_fail_at(nth);
    weir_router_publish(play->scene.router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
}

/* Whatever allocation fails, each point is delivered or in a letter, once, and settled once. */
static void no_failed_allocation_loses_a_point_or_counts_it_twice(void **state)
{
    (void)state;
    static const char *const odd[] = {"odd", NULL};
    static const struct weir_shape_options some = {.dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,
                                                   .metrics_exclude = odd};
    for (uint64_t nth = 1; nth <= 60; nth++) {
        static struct play play;
        play_start(&play, &some, nth % 3 == 0 ? 7 : 0);
        publish_mixed(&play, nth);
        await_settled(&play, 300);
        (void)weir_mem_fail_at(0);
        assert_true(filtered() == 150);
        assert_int_equal(scene_end(&play.scene, 10), 0);
        for (uint64_t number = 0; number < 300; number++) {
            bool is_sent = number % 2 == 0 && number % 20 != 0;
            assert_int_equal(play.scene.backend.delivered[0][number], is_sent);
        }
        assert_int_equal(settled(&play), 300);
    }
}

/* Every second point, in a run with others. */
static void what_is_filtered_among_others_is_counted(void **state)
{
    (void)state;
    static const char *const odd[] = {"odd", NULL};
    static const struct weir_shape_options some = {.metrics_exclude = odd};
    static struct play play;
    play_start(&play, &some, 0);
    struct fixture_request request = fixture_request(&play.scene.fixture, "request-1", 0);
    request.origin->ticket = &play.ticket;
    struct weir_run *run = fixture_run(&request, "AWS/EC2", "");
    const struct weir_metric *metrics[] = {fixture_metric(run, "", "metric"),
                                           fixture_metric(run, "", "odd")};
    for (uint64_t number = 0; number < 60; number++) {
        fixture_point(&request, run, metrics[number % 2], number, 0);
    }
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(play.scene.router, &request, &held), WEIR_OK);
    weir_router_publish(play.scene.router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
    await_settled(&play, 60);
    assert_true(await(&play.scene, 0, 30, 10));
    for (uint64_t number = 0; number < 60; number++) {
        assert_int_equal(play.scene.backend.delivered[0][number], number % 2 == 0);
    }
    assert_true(filtered() == 30);
    assert_int_equal(scene_end(&play.scene, 10), 0);
}

/* What fills the budget are runs in rings, and only what leaves them gives it back. */
static void a_full_queue_empties_through_the_shape(void **state)
{
    (void)state;
    static const struct weir_shape_options gauges = {.resource = named,
                                                     .dimensions = WEIR_SHAPE_DIMENSIONS_FLAT};
    static const struct weir_shape_options *const shapes[] = {&with_a_name, &gauges};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        static struct play play;
        play_make(&play, shapes[i], 0);
        box_publish(&play.scene, &play.ticket, 0, 500, 0);
        struct weir_credit *queued = &play.scene.fixture.queued;
        size_t others = queued->limit - weir_credit_used(queued);
        assert_true(weir_credit_take(queued, others));
        play_go(&play);
        await_settled(&play, 500);
        weir_credit_give(queued, others);
        assert_int_equal(scene_end(&play.scene, 10), 0);
        assert_once(&play.scene, 0, 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaped_points_arrive_once_and_are_settled),
        cmocka_unit_test(what_is_too_old_is_in_the_dead_letter_and_was_never_sent),
        cmocka_unit_test(one_that_does_not_fit_keeps_nobody_else),
        cmocka_unit_test(what_a_filter_leaves_out_is_settled_at_once),
        cmocka_unit_test(large_points_make_no_batch_larger_than_it_may_be),
        cmocka_unit_test(what_is_filtered_among_others_is_counted),
        cmocka_unit_test(no_failed_allocation_loses_a_point_or_counts_it_twice),
        cmocka_unit_test(a_full_queue_empties_through_the_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
