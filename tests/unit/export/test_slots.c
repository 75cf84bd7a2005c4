/* SPDX-License-Identifier: Apache-2.0 */
/* Destinations that are opened while others run, and what is seen of a slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"
#include "backend.h"
#include "box.h"
#include "slot_play.h"
#include "weir/expo.h"
#include "weir/metrics.h"

static void opened_while_others_run(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 200);
    play.has_book = false;
    play.scene.destination_count = 3;
    play.scene.destinations[2].compression = WEIR_COMPRESSION_ZSTD; /* no thread has this level */
    play.scene.destinations[2].compression_level = 7;
    play.scene.destinations[2].export_bytes = 1 << 20;
    play_start(&play, 1);
    assert_true(scene_publish(&play.scene, 0, 20, 0));
    assert_true(await(&play.scene, 0, 20, 10));
    assert_int_equal(weir_exporter_state(play.scene.exporter, 2), WEIR_EXPORT_SLOT_FREE);
    assert_int_equal(weir_exporter_state(play.scene.exporter, 61), WEIR_EXPORT_SLOT_FREE);
    assert_int_equal(weir_exporter_status(play.scene.exporter, 61).points_delivered, 0);
    reopen(&play, 1);
    reopen(&play, 2);
    assert_int_equal(weir_exporter_status(play.scene.exporter, 2).memory_limit, 1 << 20);
    assert_true(await(&play.scene, 1, 20, 10)); /* what the rings had all the time */
    assert_true(await(&play.scene, 2, 20, 10));
    assert_true(scene_publish(&play.scene, 20, 30, 0));
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(await(&play.scene, i, 30, 10));
    }
    assert_int_equal(scene_end(&play.scene, 10), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_once(&play.scene, i, 30);
    }
}

static void open_fails_whole(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 200);
    play.scene.destination_count = 2;
    play_start(&play, 1);
    struct weir_destination_options *second = &play.scene.destinations[1];
    second->type = WEIR_DESTINATION_FILE;
    second->path = "/nowhere/at/all";
    assert_int_not_equal(weir_exporter_open(play.scene.exporter, 1, second), WEIR_OK);
    assert_int_equal(weir_exporter_state(play.scene.exporter, 1), WEIR_EXPORT_SLOT_FREE);
    second->type = WEIR_DESTINATION_OTLP_HTTP;
    enum weir_status status = WEIR_ENOMEM;
    uint64_t failures = 0;
    while (status != WEIR_OK) {
        (void)weir_mem_fail_at(failures + 1);
        status = weir_exporter_open(play.scene.exporter, 1, second);
        if (status != WEIR_OK) {
            assert_int_equal(status, WEIR_ENOMEM);
            assert_int_equal(weir_exporter_state(play.scene.exporter, 1), WEIR_EXPORT_SLOT_FREE);
            failures++;
        }
    }
    (void)weir_mem_fail_at(0);
    assert_true(failures > 3);
    box_publish(&play.scene, &play.ticket, 0, 10, 0);
    assert_true(await(&play.scene, 0, 10, 10));
    assert_true(await(&play.scene, 1, 10, 10));
    assert_int_equal(scene_end(&play.scene, 10), 0);
}

/* Each round a level that no thread has a compressor of, and something that cannot be allocated on
 * the way from the ring to the backend. */
static void a_new_level_without_memory_waits(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 200);
    play.has_book = false;
    play.scene.destinations[0].compression = WEIR_COMPRESSION_ZSTD;
    play_start(&play, 0);
    uint64_t points = 0;
    uint32_t failures = 0;
    for (int level = 1; level <= 12; level++) {
        play.scene.destinations[0].compression_level = level;
        assert_true(scene_publish(&play.scene, points, points + 5, 0));
        points += 5;
        reopen(&play, 0);
        (void)weir_mem_fail_at((uint64_t)level % 6 + 1);
        assert_true(await(&play.scene, 0, points, 10));
        close_slot(&play, 0, WEIR_CLOSE_FLUSH, HOUR);
        await_closed(&play, 0, (uint32_t)level);
        failures += weir_mem_fail_at(0);
    }
    assert_true(failures > 0);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_once(&play.scene, 0, points);
}

static double blocked_gauge(const char *reason)
{
    const struct weir_bytes labels[] = {WEIR_BYTES("d0"), weir_bytes_str(reason)};
    return weir_expo_value(weir_metrics_series(WEIR_M_BLOCKED, labels));
}

static double window_gauge(void)
{
    const struct weir_bytes labels[] = {WEIR_BYTES("d0")};
    return weir_expo_value(weir_metrics_series(WEIR_M_WINDOW_REMAINING, labels));
}

/* What has next to nothing sends one batch at a time, and sends all. */
static void a_smaller_part_slows_and_loses_nothing(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 200);
    play.scene.destination_count = 1;
    play_start(&play, 1);
    weir_exporter_resize(play.scene.exporter, 0, 1);
    assert_int_equal(weir_exporter_status(play.scene.exporter, 0).memory_limit, 1);
    box_publish(&play.scene, &play.ticket, 0, 40, 0);
    assert_true(await(&play.scene, 0, 40, 10));
    weir_exporter_resize(play.scene.exporter, 0, 1 << 20);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_once(&play.scene, 0, 40);
}

static void gauges_of_a_closed_slot_are_0(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 401);
    play_start(&play, 1);
    box_publish(&play.scene, &play.ticket, 0, 10, 0);
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    while (blocked_gauge("401") < 1 || window_gauge() <= 0) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
    close_slot(&play, 0, WEIR_CLOSE_SWAP, HOUR);
    await_closed(&play, 0, 1);
    assert_true(blocked_gauge("401") == 0);
    assert_true(window_gauge() == 0);
    say(200);
    static struct weir_ticket more;
    memset(&more, 0, sizeof(more));
    box_publish(&play.scene, &more, 10, 10, 0);
    reopen(&play, 0);
    assert_true(await(&play.scene, 0, 10, 10));
    assert_true(window_gauge() > 0);
    assert_int_equal(scene_end(&play.scene, 10), 0);
}

static void a_drain_ends_what_is_closing(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        static struct play play;
        play_set(&play, -200);
        play.scene.destination_count = 2;
        play.scene.threads = 1 + (uint32_t)round / 2;
        play_start(&play, 1);
        box_publish(&play.scene, &play.ticket, 0, 100, 0);
        await_requests(&play, 4);
        close_slot(&play, 0, round % 2 == 0 ? WEIR_CLOSE_FLUSH : WEIR_CLOSE_SWAP, HOUR);
        uint64_t left = scene_end(&play.scene, 0.05);
        /* 100 of a slot that was never open are in the rings and nobody's: the router's */
        assert_true(left <= 100);
        assert_int_equal(settled(&play), 0);
        assert_int_equal(kept(&play), 100);
        assert_int_equal(atomic_load_explicit(&play.closed[0], memory_order_relaxed), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opened_while_others_run),
        cmocka_unit_test(open_fails_whole),
        cmocka_unit_test(a_new_level_without_memory_waits),
        cmocka_unit_test(a_smaller_part_slows_and_loses_nothing),
        cmocka_unit_test(gauges_of_a_closed_slot_are_0),
        cmocka_unit_test(a_drain_ends_what_is_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
