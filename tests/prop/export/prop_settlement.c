/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests with accounts through a running exporter, against a backend and a letterbox that do
 * whatever a seed says, with an end that comes at any time:
 *
 *   each point is settled once: as settled or as kept; what is settled was delivered, or is in a
 *   letter that was written; what was never attempted and not left over is nowhere; what is left
 *   over at the end is kept; and no manifest, no memory and no credit is out afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/route/run_fixture.h"

#include "../../unit/export/backend.h"
#include "../../unit/export/box.h"
#include "support.h"
#include <stdatomic.h>

enum { ROUNDS = 24, REQUESTS = 24 };

#define MS WEIR_NS_PER_MS

struct world {
    struct scene scene;
    struct book book;
    struct weir_letterbox box;
    struct weir_ticket tickets[REQUESTS];
    uint64_t first[REQUESTS]; /* number of a request's first point */
    uint32_t points[REQUESTS];
    uint64_t numbers;
    bool has_box;
    bool keeps;
    uint32_t written[NUMBERS_MAX]; /* by letters */
    uint32_t letters_failed;
    struct weir_rand letter_rand;
    _Atomic bool stop;
};

static uint64_t judge_seed; /* the backend's lock orders it */

/* Mostly well; some points are refused for good, some batches too large, some moments bad. */
static int judge(const struct arrival *arrival)
{
    static const int moods[] = {200, 200, 200, 200, 200, 200, 503, 429, 0, 401, 413};
    for (uint32_t i = 0; i < arrival->points; i++) {
        if ((arrival->numbers[i] + judge_seed) % 97 == 0) {
            return arrival->points > 4 ? 413 : 400;
        }
    }
    judge_seed = judge_seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return moods[(judge_seed >> 33) % (sizeof(moods) / sizeof(*moods))];
}

/* The letterbox's thread: writes most letters. */
static void *write_letters(void *argument)
{
    struct world *world = argument;
    /* acquire: pairs with the release in finish */
    while (!atomic_load_explicit(&world->stop, memory_order_acquire)) {
        struct weir_letter *letter = box_take(&world->box);
        if (letter == NULL) {
            (void)poll(NULL, 0, 1);
            continue;
        }
        uint64_t numbers[NUMBERS_MAX];
        uint32_t points = box_points(letter, numbers);
        assert_int_equal(points, letter->points);
        enum weir_status status = WEIR_OK;
        if (weir_rand_below(&world->letter_rand, 4) == 0) {
            status = weir_rand_below(&world->letter_rand, 2) == 0 ? WEIR_EFULL : WEIR_EIO;
            world->letters_failed += points;
        }
        for (uint32_t i = 0; i < points && status == WEIR_OK; i++) {
            world->written[numbers[i]]++;
        }
        letter->done(letter, status);
    }
    return NULL;
}

static void begin(struct world *world, struct weir_rand *rand)
{
    memset(world, 0, sizeof(*world));
    scene_set(&world->scene, judge);
    judge_seed = weir_rand_u64(rand);
    weir_rand_init(&world->letter_rand, weir_rand_u64(rand));
    world->has_box = weir_rand_below(rand, 4) > 0;
    world->keeps = weir_rand_below(rand, 2) == 0;
    world->scene.threads = 1 + (uint32_t)weir_rand_below(rand, 3);
    struct weir_destination_options *to = &world->scene.destinations[0];
    to->buffer.points_max = (uint32_t)weir_rand_below(rand, 40);
    to->buffer.interval_ns = (int64_t)weir_rand_below(rand, 20) * MS;
    to->compression = weir_rand_below(rand, 2) == 0 ? WEIR_COMPRESSION_GZIP : WEIR_COMPRESSION_NONE;
    to->hold_on_outage = weir_rand_below(rand, 2) == 0;
    to->retry.window_ns = (int64_t)weir_rand_below(rand, 200) * MS;
    box_open(&world->box);
    struct weir_exporter_options options = scene_options(&world->scene);
    options.settler = book_settler(&world->book);
    options.letterbox = world->has_box ? &world->box : NULL;
    options.keeps = world->keeps;
    scene_make(&world->scene, options);
    world->scene.backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(world->scene.exporter, world->scene.router), WEIR_OK);
}

static void publish(struct world *world, struct weir_rand *rand)
{
    for (int i = 0; i < REQUESTS; i++) {
        world->first[i] = world->numbers;
        world->points[i] = 1 + (uint32_t)weir_rand_below(rand, 150);
        world->numbers += world->points[i];
        assert_true(world->numbers < NUMBERS_MAX);
        int64_t used_ns =
            weir_rand_below(rand, 4) == 0 ? (int64_t)weir_rand_below(rand, 250) * MS : 0;
        box_publish(&world->scene, &world->tickets[i], world->first[i], world->points[i], used_ns);
        if (weir_rand_below(rand, 3) == 0) {
            (void)poll(NULL, 0, (int)weir_rand_below(rand, 10));
        }
    }
}

/* Checks each point's account. Returns how many were kept. */
static uint32_t check_points(const struct world *world)
{
    uint32_t kept = 0;
    for (int i = 0; i < REQUESTS; i++) {
        const struct weir_ticket *ticket = &world->tickets[i];
        for (uint32_t p = 0; p < ACCOUNT_POINTS; p++) {
            uint32_t ends = ticket->settled[p] + ticket->kept[p];
            assert_int_equal(ends, p < world->points[i] ? 1 : 0);
            if (ends == 0) {
                continue;
            }
            uint64_t number = world->first[i] + p;
            uint32_t delivered = world->scene.backend.delivered[0][number];
            assert_true(delivered <= 1); /* no answer was lost here */
            assert_true(world->written[number] <= 1);
            assert_true(delivered + world->written[number] <= 1);
            if (ticket->settled[p] == 1 && world->has_box) {
                assert_int_equal(delivered + world->written[number], 1);
            }
            kept += ticket->kept[p];
        }
    }
    return kept;
}

static void finish(struct world *world, struct weir_rand *rand)
{
    uint64_t left = UINT64_MAX;
    int64_t time_ns = (int64_t)weir_rand_below(rand, 400) * MS;
    weir_exporter_drain(world->scene.exporter, weir_clock_mono_ns() + time_ns, &left);
    struct weir_destination_status status = weir_exporter_status(world->scene.exporter, 0);
    assert_int_equal(status.memory_bytes, 0);
    uint32_t kept = check_points(world);
    uint64_t delivered = 0;
    uint64_t written = 0;
    for (uint64_t n = 0; n < world->numbers; n++) {
        delivered += world->scene.backend.delivered[0][n];
        written += world->written[n];
    }
    assert_true(left <= kept);
    /* an answer that came with the deadline was not read: delivered, and left over too */
    assert_true(delivered >= status.points_delivered);
    if (world->has_box) {
        assert_true(status.points_delivered + written + world->letters_failed + left ==
                    world->numbers);
        assert_int_equal(status.points_lost,
                         written + (world->keeps ? 0 : world->letters_failed + left));
    }
    weir_router_free(world->scene.router);
    weir_exporter_free(world->scene.exporter); /* asserts that no manifest is out */
    weir_namespaces_free(world->scene.namespaces);
    fixture_close(&world->scene.fixture);
}

static void each_point_is_settled_once(void **state)
{
    (void)state;
    static struct world world;
    struct weir_rand rand = support_rand(21);
    for (int round = 0; round < ROUNDS; round++) {
        begin(&world, &rand);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_letters, &world), 0);
        publish(&world, &rand);
        finish(&world, &rand);
        /* release: pairs with the acquire in write_letters */
        atomic_store_explicit(&world.stop, true, memory_order_release);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_point_is_settled_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
