/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"
#include "backend.h"
#include "weir/file.h"
#include <stdio.h>
#include <unistd.h>

#define MS WEIR_NS_PER_MS

static bool holds(const struct arrival *arrival, uint64_t number)
{
    for (uint32_t i = 0; i < arrival->points; i++) {
        if (arrival->numbers[i] == number) {
            return true;
        }
    }
    return false;
}

static int always_200(const struct arrival *arrival)
{
    (void)arrival;
    return 200;
}

static void every_point_arrives_once(void **state)
{
    (void)state;
    static const enum weir_compression compressions[] = {
        WEIR_COMPRESSION_GZIP, WEIR_COMPRESSION_NONE, WEIR_COMPRESSION_ZSTD};
    for (size_t round = 0; round < 2 * sizeof compressions / sizeof *compressions; round++) {
        struct scene scene;
        scene_set(&scene, always_200);
        scene.threads = 3;
        scene.destinations[0].compression = compressions[round / 2];
        scene.destinations[0].compression_level = round % 2 == 0 ? 0 : 5;
        scene.destinations[0].buffer.points_max = 100;
        scene_start(&scene);
        for (uint64_t i = 0; i < 2000; i += 50) {
            assert_true(scene_publish(&scene, i, i + 50, 100));
        }
        assert_int_equal(scene_end(&scene, 20), 0);
        assert_once(&scene, 0, 2000);
        assert_true(scene.backend.requests <= 40);
    }
}

static void a_point_larger_than_a_batch_goes_alone(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, always_200);
    scene.destinations[0].buffer.size = 1000;
    scene.destinations[0].buffer.points_max = 0;
    scene.export_bytes = 1; /* one batch is always allowed */
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 3, 20000));
    assert_true(scene_publish(&scene, 3, 6, 10));
    assert_int_equal(scene_end(&scene, 20), 0);
    assert_once(&scene, 0, 6);
}

static int down_for_150_ms(const struct arrival *arrival)
{
    return arrival->now_ns < 150 * MS ? 503 : 200;
}

static void a_503_for_a_while_then_200_gets_each_point_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, down_for_150_ms);
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 30, 0));
    assert_true(await(&scene, 0, 30, 10));
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 30);
}

static void a_warm_exporter_allocates_nothing(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, always_200);
    weir_regions_free(scene.fixture.regions);
    assert_int_equal(weir_regions_new((size_t)64 << 20, &scene.fixture.regions), WEIR_OK);
    scene_start(&scene);
    for (uint64_t i = 0; i < 640; i += 64) { /* more at once than later */
        assert_true(scene_publish(&scene, i, i + 64, 100));
    }
    uint64_t sent = 640;
    uint64_t before = 0;
    assert_true(await(&scene, 0, sent, 10));
    for (int i = 0; i < 40; i++, sent += 4) {
        before = i == 20 ? weir_mem_calls() : before;
        assert_true(scene_publish(&scene, sent, sent + 4, 100));
        assert_true(await(&scene, 0, sent + 4, 10));
    }
    assert_int_equal(weir_mem_calls() - before, 0);
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, sent);
}

static int poison_13(const struct arrival *arrival)
{
    return holds(arrival, 13) ? 503 : 200;
}

static void poison_does_not_hold_up_the_others(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, poison_13);
    scene_start(&scene);
    for (uint64_t i = 0; i < 60; i += 10) {
        assert_true(scene_publish(&scene, i, i + 10, 0));
    }
    assert_true(await(&scene, 0, 59, 5));
    int64_t deadline = weir_clock_mono_ns() + 10 * WEIR_NS_PER_S;
    for (uint64_t i = 60; weir_exporter_status(scene.exporter, 0).points_lost == 0; i++) {
        assert_true(weir_clock_mono_ns() < deadline); /* its window ends while others are taken */
        assert_true(scene_publish(&scene, i, i + 1, 0));
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(weir_exporter_status(scene.exporter, 0).points_lost, 1);
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_int_equal(scene.backend.delivered[0][13], 0);
}

static int down_for_900_ms(const struct arrival *arrival)
{
    return arrival->now_ns < 900 * MS ? 503 : 200;
}

static void an_outage_past_the_window_loses_nothing(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, down_for_900_ms);
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 40, 0));
    (void)poll(NULL, 0, 600);
    struct weir_destination_status status = weir_exporter_status(scene.exporter, 0);
    assert_int_equal(status.state, WEIR_DESTINATION_PROBING);
    assert_string_equal(status.reason, "503");
    assert_int_equal(status.points_lost, 0);
    assert_true(await(&scene, 0, 40, 10));
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 40);
}

static void an_outage_to_the_dead_letter_when_told_so(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, down_for_900_ms);
    scene.destinations[0].hold_on_outage = false;
    scene.destinations[0].retry.window_ns = 50 * MS;
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 1, 0));
    int64_t deadline = weir_clock_mono_ns() + 10 * WEIR_NS_PER_S;
    while (weir_exporter_status(scene.exporter, 0).points_lost == 0) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_int_equal(scene.backend.delivered[0][0], 0);
}

static int forbidden_for_600_ms(const struct arrival *arrival)
{
    return arrival->now_ns < 600 * MS ? 401 : 200;
}

static void a_refused_token_blocks_and_then_delivers_everything(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, forbidden_for_600_ms);
    scene.destinations[0].hold_on_outage = false; /* not even then does a wrong token cost data */
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 20, 0));
    (void)poll(NULL, 0, 300);
    struct weir_destination_status status = weir_exporter_status(scene.exporter, 0);
    assert_int_equal(status.state, WEIR_DESTINATION_BLOCKED);
    assert_string_equal(status.reason, "401");
    assert_true(await(&scene, 0, 20, 10));
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 20);
}

static int at_most_three_points(const struct arrival *arrival)
{
    if (holds(arrival, 7)) {
        return 413; /* alone, too */
    }
    return arrival->points > 3 ? 413 : 200;
}

static void too_large_is_split_down_to_a_point(void **state)
{
    (void)state;
    static const enum weir_compression compressions[] = {
        WEIR_COMPRESSION_GZIP, WEIR_COMPRESSION_NONE, WEIR_COMPRESSION_ZSTD};
    for (int round = 0; round < 3; round++) {
        struct scene scene;
        scene_set(&scene, at_most_three_points);
        scene.destinations[0].compression = compressions[round];
        scene.destinations[0].buffer.points_max = 50;
        scene.destinations[0].buffer.interval_ns = 3600 * WEIR_NS_PER_S;
        scene_start(&scene);
        assert_true(scene_publish(&scene, 0, 50, 30));
        assert_true(await(&scene, 0, 49, 10));
        assert_int_equal(scene_end(&scene, 10), 0);
        for (uint64_t i = 0; i < 50; i++) {
            assert_int_equal(scene.backend.delivered[0][i], i == 7 ? 0 : 1);
        }
    }
}

static int dead_1(const struct arrival *arrival)
{
    return strcmp(arrival->url, "http://b/1") == 0 ? 0 : 200;
}

static void one_dead_destination_costs_the_others_nothing(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, dead_1);
    scene.destination_count = 3;
    scene.threads = 1; /* all share it */
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 50, 0));
    assert_true(await(&scene, 0, 50, 5));
    assert_true(await(&scene, 2, 50, 5));
    assert_int_equal(weir_exporter_status(scene.exporter, 1).points_delivered, 0);
    assert_int_equal(scene_end(&scene, 0.2), 50); /* the deadline counts what is left */
    assert_once(&scene, 0, 50);
    assert_once(&scene, 2, 50);
}

static void a_drain_flushes_what_was_not_due(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, always_200);
    scene.destinations[0].buffer.points_max = 0;
    scene.destinations[0].buffer.interval_ns = 3600 * WEIR_NS_PER_S;
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 10, 0));
    (void)poll(NULL, 0, 50);
    assert_int_equal(scene.backend.requests, 0);
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_int_equal(scene.backend.requests, 1);
    assert_once(&scene, 0, 10);
}

static void a_hurry_sends_what_was_not_due_and_what_comes(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, always_200);
    scene.destinations[0].buffer.points_max = 0;
    scene.destinations[0].buffer.interval_ns = 3600 * WEIR_NS_PER_S;
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 10, 0));
    (void)poll(NULL, 0, 50);
    assert_int_equal(scene.backend.requests, 0);
    weir_exporter_hurry(scene.exporter);
    assert_true(await(&scene, 0, 10, 5));
    assert_true(scene_publish(&scene, 10, 20, 0));
    assert_true(await(&scene, 0, 20, 5));
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 20);
}

static void a_drain_without_time_counts_everything(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, dead_1);
    scene.destination_count = 2;
    scene.destinations[0].buffer.points_max = 0;
    scene.destinations[0].buffer.interval_ns = 3600 * WEIR_NS_PER_S;
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 10, 0));
    uint64_t left = scene_end(&scene, -1);
    uint64_t delivered = 0;
    for (uint64_t i = 0; i < 10; i++) {
        delivered += scene.backend.delivered[0][i];
    }
    assert_int_equal(left + delivered, 20);
}

static void partial_success_and_full_rejection_are_counted(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, always_200);
    scene.destinations[0].buffer.points_max = 10;
    scene.destinations[0].buffer.interval_ns = 50 * MS;
    scene.backend.body = WEIR_BYTES("\x0a\x06\x08\x04\x12\x02no"); /* 4 rejected */
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 10, 0));
    assert_true(await(&scene, 0, 6, 5));
    assert_int_equal(weir_exporter_status(scene.exporter, 0).points_lost, 4);
    assert_true(scene_publish(&scene, 10, 13, 0));
    int64_t deadline = weir_clock_mono_ns() + 10 * WEIR_NS_PER_S;
    while (weir_exporter_status(scene.exporter, 0).points_lost < 7) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(scene_end(&scene, 10), 0);
}

static int down_for_400_ms(const struct arrival *arrival)
{
    return arrival->now_ns < 400 * MS ? 503 : 200;
}

/* With little export credit and queued room, an outage fills both; the rest is refused at the
 * door. */
static void backpressure_reaches_the_reservation_and_loses_nothing(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, down_for_400_ms);
    scene.export_bytes = 64 << 10;
    scene.share = 256 << 10;
    scene.destinations[0].buffer.size = 16 << 10;
    scene.destinations[0].buffer.points_max = 0;
    scene.destinations[0].compression = WEIR_COMPRESSION_NONE;
    scene_start(&scene);
    uint64_t accepted = 0;
    while (accepted < 1000 && scene_publish(&scene, accepted, accepted + 4, 2000)) {
        accepted += 4;
    }
    assert_true(accepted > 0);
    assert_true(accepted < 1000);
    assert_true(await(&scene, 0, accepted, 20));
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, accepted);
}

static int always_503(const struct arrival *arrival)
{
    (void)arrival;
    return 503;
}

/* Whether no more than so many bytes of regions are out within five seconds. */
static bool await_little(const struct scene *scene, size_t bytes)
{
    int64_t deadline = weir_clock_mono_ns() + 5 * WEIR_NS_PER_S;
    while (weir_regions_taken(scene->fixture.regions) > bytes) {
        if (weir_clock_mono_ns() > deadline) {
            return false;
        }
        (void)poll(NULL, 0, 5);
    }
    return true;
}

/* A megabyte for each of 40 points, in the rings before the exporter runs. What it takes ahead, and
 * then has no credit for, pins no more than one of these. */
static void an_outage_pins_little_of_what_was_taken(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, always_503);
    scene.export_bytes = 64 << 10;
    scene.destinations[0].buffer.size = 16 << 10;
    scene_make(&scene, scene_options(&scene));
    for (uint32_t i = 0; i < 40; i++) {
        struct weir_reservation held;
        struct fixture_request request = fixture_request(&scene.fixture, "request-1", 1 << 20);
        struct weir_run *run = fixture_run(&request, "AWS/EC2", "");
        fixture_point(&request, run, fixture_metric(run, "", "metric"), i, 0);
        assert_int_equal(fixture_reserve(scene.router, &request, &held), WEIR_OK);
        weir_router_publish(scene.router, &request.runs, &held);
        weir_arena_unref(request.arena, 0);
    }
    assert_true(weir_regions_taken(scene.fixture.regions) > (size_t)40 << 20);
    assert_int_equal(weir_exporter_start(scene.exporter, scene.router), WEIR_OK);
    assert_true(await_little(&scene, (size_t)3 << 20));
    assert_int_equal(scene_end(&scene, 0.2), 40);
}

static void a_file_gets_a_request_a_line(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-exporter-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct scene scene;
    scene_set(&scene, always_200);
    scene.destinations[0].type = WEIR_DESTINATION_FILE;
    scene.destinations[0].path = path;
    scene.destinations[0].buffer.points_max = 5;
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, 20, 0));
    assert_true(await(&scene, 0, 20, 5));
    assert_int_equal(scene_end(&scene, 10), 0);
    uint8_t *data;
    size_t size;
    assert_int_equal(weir_file_read(path, 1 << 20, &data, &size), WEIR_OK);
    size_t lines = 0;
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    assert_int_equal(lines, 4);
    assert_int_equal(data[0], '{');
    assert_int_equal(data[size - 1], '\n');
    weir_mem_free(data);
    unlink(path);
}

static void what_cannot_be_opened_is_told_at_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, always_200);
    scene.destinations[0].type = WEIR_DESTINATION_FILE;
    scene.destinations[0].path = "/nowhere/at/all";
    struct weir_exporter_options options = scene_options(&scene);
    struct weir_exporter *exporter = NULL;
    assert_int_not_equal(weir_exporter_new(&options, &exporter), WEIR_OK);
    assert_null(exporter);
    weir_namespaces_free(scene.namespaces);
    fixture_close(&scene.fixture);
}

static enum weir_status second_fails(void *argument, struct weir_transport *ret)
{
    static int calls;
    return ++calls == 2 ? WEIR_ENOMEM : played_new(argument, ret);
}

static void a_start_that_fails_leaves_no_thread(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, always_200);
    struct weir_exporter_options options = scene_options(&scene);
    options.transport = second_fails;
    scene_make(&scene, options);
    assert_int_equal(weir_exporter_start(scene.exporter, scene.router), WEIR_ENOMEM);
    weir_router_free(scene.router);
    weir_exporter_free(scene.exporter);
    weir_exporter_free(NULL);
    weir_namespaces_free(scene.namespaces);
    fixture_close(&scene.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_point_arrives_once),
        cmocka_unit_test(a_point_larger_than_a_batch_goes_alone),
        cmocka_unit_test(a_503_for_a_while_then_200_gets_each_point_once),
        cmocka_unit_test(a_warm_exporter_allocates_nothing),
        cmocka_unit_test(poison_does_not_hold_up_the_others),
        cmocka_unit_test(an_outage_past_the_window_loses_nothing),
        cmocka_unit_test(an_outage_to_the_dead_letter_when_told_so),
        cmocka_unit_test(a_refused_token_blocks_and_then_delivers_everything),
        cmocka_unit_test(too_large_is_split_down_to_a_point),
        cmocka_unit_test(one_dead_destination_costs_the_others_nothing),
        cmocka_unit_test(a_drain_flushes_what_was_not_due),
        cmocka_unit_test(a_hurry_sends_what_was_not_due_and_what_comes),
        cmocka_unit_test(a_drain_without_time_counts_everything),
        cmocka_unit_test(partial_success_and_full_rejection_are_counted),
        cmocka_unit_test(backpressure_reaches_the_reservation_and_loses_nothing),
        cmocka_unit_test(an_outage_pins_little_of_what_was_taken),
        cmocka_unit_test(a_file_gets_a_request_a_line),
        cmocka_unit_test(what_cannot_be_opened_is_told_at_once),
        cmocka_unit_test(a_start_that_fails_leaves_no_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
