/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exporter threads and the letterbox's thread, the real one, on a real directory: two destinations
 * refuse everything that a third one takes, while requests come in. Each point is settled once by
 * each destination, and the letterbox has written a line for each batch that was refused. Under
 * ThreadSanitizer this is about the way of a letter between the threads, and about the end, when
 * the last letter's answer and the exporter's end meet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/route/run_fixture.h"

#include "../../unit/export/backend.h"
#include "support.h"
#include "weir/letterbox.h"
#include <stdatomic.h>
#include <unistd.h>

enum { ROUNDS = 12, REQUESTS = 40, POINTS = 20 };

struct weir_ticket {
    _Atomic uint32_t ends[3][POINTS]; /* by destination */
};

static struct weir_ticket tickets[REQUESTS];

static void settle(void *self, const struct weir_manifest *manifest,
                   enum weir_settlement settlement)
{
    (void)self;
    assert_int_equal(settlement, WEIR_SETTLED);
    for (uint32_t i = 0; i < manifest->count; i++) {
        const struct weir_part *part = &manifest->parts[i];
        for (uint32_t p = part->begin; p < part->end; p++) {
            /* relaxed: read after the threads' end */
            atomic_fetch_add_explicit(&part->ticket->ends[manifest->destination][p], 1,
                                      memory_order_relaxed);
        }
    }
}

static int only_0_takes(const struct arrival *arrival)
{
    return strcmp(arrival->url, "http://b/0") == 0 ? 200 : 400;
}

static void publish(struct scene *scene, struct weir_ticket *ticket, uint64_t from)
{
    struct fixture_request request = fixture_request(&scene->fixture, "request-1", 0);
    request.origin->ticket = ticket;
    struct weir_run *run = fixture_run(&request, "AWS/EC2", "");
    const struct weir_metric *metric = fixture_metric(run, "", "metric");
    for (uint64_t i = 0; i < POINTS; i++) {
        fixture_point(&request, run, metric, from + i, 0);
    }
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(scene->router, &request, &held), WEIR_OK);
    weir_router_publish(scene->router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
}

static void check(void)
{
    for (int r = 0; r < REQUESTS; r++) {
        for (int d = 0; d < 3; d++) {
            for (int p = 0; p < POINTS; p++) {
                /* relaxed: the threads have ended */
                assert_int_equal(atomic_load_explicit(&tickets[r].ends[d][p], memory_order_relaxed),
                                 1);
            }
        }
    }
}

/* The letterbox counts, so it lives inside the scene. */
static void run(const struct weir_letterbox_options *letters)
{
    struct scene scene;
    struct weir_letterbox *box;
    memset(tickets, 0, sizeof(tickets));
    scene_set(&scene, only_0_takes);
    assert_int_equal(weir_letterbox_open(letters, &box), WEIR_OK);
    assert_int_equal(weir_letterbox_start(box), WEIR_OK);
    scene.destination_count = 3;
    scene.threads = 3;
    for (int d = 0; d < 3; d++) {
        scene.destinations[d].buffer.points_max = 7;
    }
    struct weir_exporter_options options = scene_options(&scene);
    options.settler = (struct weir_settler){.settle = settle};
    options.letterbox = box;
    options.keeps = true;
    scene_make(&scene, options);
    scene.backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(scene.exporter, scene.router), WEIR_OK);
    for (uint64_t r = 0; r < REQUESTS; r++) {
        publish(&scene, &tickets[r], r * POINTS);
    }
    uint64_t left = UINT64_MAX;
    weir_exporter_drain(scene.exporter, weir_clock_mono_ns() + 30 * WEIR_NS_PER_S, &left);
    assert_int_equal(left, 0);
    weir_router_free(scene.router);
    weir_exporter_free(scene.exporter); /* at once: the last letter was answered just now */
    check();
    assert_true(weir_letterbox_look(box).lines >= 2 * REQUESTS * POINTS / 7);
    weir_letterbox_close(box);
    weir_namespaces_free(scene.namespaces);
    fixture_close(&scene.fixture);
}

static void letters_and_ends_meet(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-letters-XXXXXX";
    assert_non_null(mkdtemp(path));
    struct weir_disk disk;
    assert_int_equal(weir_disk_open(path, false, &disk), WEIR_OK);
    const struct weir_letterbox_options options = {.disk = disk, .limit = (uint64_t)256 << 20};
    for (int round = 0; round < ROUNDS; round++) {
        run(&options);
    }
    weir_disk_close(&disk);
    assert_int_equal(support_remove_tree(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(letters_and_ends_meet)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
