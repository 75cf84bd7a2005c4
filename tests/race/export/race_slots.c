/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control thread opens and closes the slots of an exporter, in both ways, with deadlines that are
 * kept and others that are not, while requests come in for all of them, the backends' answers vary,
 * and the real letterbox writes. Each point is settled once for each slot: sent, in a letter, or
 * kept; at the end also what the rings of free slots had. Options are freed as soon as a slot is
 * FREE, so whoever looks at them later is found by the sanitizers.
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
#include "weir/rand.h"
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { ROUNDS = 6, REQUESTS = 160, POINTS = 20, SLOTS = 4 };

struct weir_ticket {
    _Atomic uint32_t ends[SLOTS][POINTS];
};

static struct weir_ticket tickets[REQUESTS];

static void settle(void *self, const struct weir_manifest *manifest,
                   enum weir_settlement settlement)
{
    (void)self;
    (void)settlement;
    for (uint32_t i = 0; i < manifest->count; i++) {
        const struct weir_part *part = &manifest->parts[i];
        for (uint32_t p = part->begin; p < part->end; p++) {
            /* relaxed: read after the threads' end */
            atomic_fetch_add_explicit(&part->ticket->ends[manifest->destination][p], 1,
                                      memory_order_relaxed);
        }
    }
}

static void attempted(void *self, const struct weir_manifest *manifest, int64_t used_ns)
{
    (void)self;
    assert_true(manifest->count > 0);
    assert_true(used_ns >= 0);
}

/* By the batch's first point, and by which attempt of all it is. */
static int varies(const struct arrival *arrival)
{
    static const int answers[] = {200, 200, 503, 200, 400, -200, 0, 200, 401, 200, 413, 200};
    static _Atomic uint32_t attempts;
    /* relaxed: any order does */
    uint64_t at =
        arrival->numbers[0] + atomic_fetch_add_explicit(&attempts, 1, memory_order_relaxed);
    return answers[at % (sizeof answers / sizeof *answers)];
}

/* What a destination's options are when they are in memory of their own. */
struct owned {
    struct weir_destination_options options;
    char name[8];
    char url[32];
};

struct control {
    struct scene *scene;
    struct owned *owned[SLOTS]; /* the control thread's alone; NULL: known to be free */
    uint64_t seed;
    uint32_t opened;
    _Atomic bool is_over;
};

static void open_slot(struct control *control, uint32_t slot, uint64_t kind)
{
    struct owned *owned = weir_mem_zalloc(1, sizeof(*owned));
    assert_non_null(owned);
    owned->options = control->scene->destinations[slot];
    (void)snprintf(owned->name, sizeof(owned->name), "d%u", (unsigned)(slot + kind % 2));
    (void)snprintf(owned->url, sizeof(owned->url), "http://b/%u", (unsigned)slot);
    owned->options.name = owned->name;
    owned->options.url = owned->url;
    owned->options.buffer.points_max = 5 + (uint32_t)(kind % 3);
    owned->options.compression = (enum weir_compression)(kind % 3);
    owned->options.compression_level = (int)(1 + kind % 4);
    owned->options.hold_on_outage = kind % 5 != 0;
    control->owned[slot] = owned;
    control->opened++;
    assert_int_equal(weir_exporter_open(control->scene->exporter, slot, &owned->options), WEIR_OK);
}

/* One step at one slot. */
static void step(struct control *control, uint32_t slot, uint64_t kind)
{
    struct weir_exporter *exporter = control->scene->exporter;
    enum weir_export_slot is = weir_exporter_state(exporter, slot);
    if (is == WEIR_EXPORT_SLOT_FREE && control->owned[slot] != NULL) {
        memset(control->owned[slot], 0x5a, sizeof(*control->owned[slot]));
        weir_mem_free(control->owned[slot]);
        control->owned[slot] = NULL;
    }
    if (is == WEIR_EXPORT_SLOT_FREE) {
        open_slot(control, slot, kind);
        return;
    }
    int64_t in_ns = (int64_t)(kind % 4) * 3 * WEIR_NS_PER_MS - WEIR_NS_PER_MS;
    weir_exporter_close(exporter, slot, kind % 3 == 0 ? WEIR_CLOSE_FLUSH : WEIR_CLOSE_SWAP,
                        weir_clock_mono_ns() + in_ns);
}

static void *run_control(void *argument)
{
    struct control *control = argument;
    struct weir_rand rand;
    weir_rand_init(&rand, control->seed);
    /* relaxed: an end, whenever it is seen */
    while (control->opened < 10 * SLOTS ||
           !atomic_load_explicit(&control->is_over, memory_order_relaxed)) {
        uint64_t kind = weir_rand_u64(&rand);
        step(control, (uint32_t)(kind >> 32) % SLOTS, kind >> 8);
        (void)poll(NULL, 0, (int)(kind % 3));
        (void)weir_exporter_status(control->scene->exporter, (uint32_t)(kind % SLOTS));
    }
    return NULL;
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
        for (int d = 0; d < SLOTS; d++) {
            for (int p = 0; p < POINTS; p++) {
                /* relaxed: the threads have ended */
                assert_int_equal(atomic_load_explicit(&tickets[r].ends[d][p], memory_order_relaxed),
                                 1);
            }
        }
    }
}

static void run(const struct weir_letterbox_options *letters, uint64_t seed)
{
    static struct scene scene;
    struct weir_letterbox *box;
    struct control control = {.scene = &scene, .seed = seed};
    memset(tickets, 0, sizeof(tickets));
    scene_set(&scene, varies);
    assert_int_equal(weir_letterbox_open(letters, &box), WEIR_OK);
    assert_int_equal(weir_letterbox_start(box), WEIR_OK);
    scene.backend.lets_go = true;
    scene.destination_count = SLOTS;
    scene.threads = 1 + (uint32_t)(seed % 3);
    struct weir_exporter_options options = scene_options(&scene);
    options.destination_count = 0; /* all by the control thread */
    options.settler = (struct weir_settler){.settle = settle, .attempted = attempted};
    options.letterbox = box;
    options.keeps = true;
    scene_make(&scene, options);
    for (uint32_t i = 0; i < SLOTS; i++) {
        open_slot(&control, i, i);
    }
    scene.backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(scene.exporter, scene.router), WEIR_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_control, &control), 0);
    for (uint64_t r = 0; r < REQUESTS; r++) {
        publish(&scene, &tickets[r], r * POINTS);
        (void)poll(NULL, 0, r % 4 == 0 ? 1 : 0);
    }
    atomic_store_explicit(&control.is_over, true, memory_order_relaxed); /* relaxed: as above */
    assert_int_equal(pthread_join(thread, NULL), 0);
    uint64_t left = UINT64_MAX;
    weir_exporter_drain(scene.exporter, weir_clock_mono_ns() + 200 * WEIR_NS_PER_MS, &left);
    weir_router_free(scene.router);
    weir_exporter_free(scene.exporter);
    check();
    for (uint32_t i = 0; i < SLOTS; i++) {
        weir_mem_free(control.owned[i]);
    }
    weir_letterbox_close(box);
    weir_namespaces_free(scene.namespaces);
    fixture_close(&scene.fixture);
}

static void slots_come_and_go(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-slots-XXXXXX";
    assert_non_null(mkdtemp(path));
    struct weir_disk disk;
    assert_int_equal(weir_disk_open(path, false, &disk), WEIR_OK);
    const struct weir_letterbox_options options = {.disk = disk, .limit = (uint64_t)256 << 20};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        run(&options, round);
    }
    weir_disk_close(&disk);
    assert_int_equal(support_remove_tree(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(slots_come_and_go)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
