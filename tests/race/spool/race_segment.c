/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments from three sides at once, on a real directory: a lane that takes and seals, a keeper
 * that releases what was sealed and prepares, and a loop that asks what is free.
 */
#include "support.h"
#include "weir/segment.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

enum { USUAL = 64 << 10, LIMIT = 8 * USUAL, TURNS = 300 };

struct race {
    struct weir_segments *segments;
    struct weir_frame_segment sealed[TURNS];
    atomic_int count; /* of sealed ones; release by the lane, acquire by the keeper */
    atomic_bool over; /* relaxed: a wish */
};

static void *run_lane(void *argument)
{
    struct race *race = argument;
    const struct weir_frame_segment roster = {.name_count = 1, .names = {"main"}};
    for (int turn = 0; turn < TURNS;) {
        struct weir_segment segment;
        uint64_t bytes = turn % 7 == 0 ? 2 * USUAL : 4096;
        if (weir_segments_take(race->segments, bytes, &roster, &segment) == WEIR_OK) {
            weir_segments_seal(race->segments, &segment, false);
            race->sealed[turn] = segment.header;
            atomic_store_explicit(&race->count, ++turn, memory_order_release); /* keeper */
        }
    }
    return NULL;
}

static void *run_keeper(void *argument)
{
    struct race *race = argument;
    for (int done = 0; done < TURNS;) {
        int count = atomic_load_explicit(&race->count, memory_order_acquire); /* lane */
        for (; done < count; done++) {
            weir_segments_release(race->segments, &race->sealed[done], false);
        }
        (void)weir_segments_prepare(race->segments, true);
    }
    return NULL;
}

static void *run_loop(void *argument)
{
    struct race *race = argument;
    while (!atomic_load_explicit(&race->over, memory_order_relaxed)) { /* the test's store */
        if (weir_segments_free_bytes(race->segments) > LIMIT) {
            return argument;
        }
    }
    return NULL;
}

static void test_lane_keeper_and_loop(void **state)
{
    (void)state;
    static struct race race;
    char path[] = "/tmp/weir-race-segment-XXXXXX";
    struct weir_disk disk;
    assert_non_null(mkdtemp(path));
    assert_int_equal(weir_disk_open(path, false, &disk), WEIR_OK);
    struct weir_segments_options options = {
        .disk = &disk, .limit = LIMIT, .segment_bytes = USUAL, .version = 2, .seed = 1};
    assert_int_equal(weir_segments_new(&options, 1, &race.segments), WEIR_OK);
    pthread_t lane;
    pthread_t keeper;
    pthread_t loop;
    assert_int_equal(pthread_create(&lane, NULL, run_lane, &race), 0);
    assert_int_equal(pthread_create(&keeper, NULL, run_keeper, &race), 0);
    assert_int_equal(pthread_create(&loop, NULL, run_loop, &race), 0);
    pthread_join(lane, NULL);
    pthread_join(keeper, NULL);
    atomic_store_explicit(&race.over, true, memory_order_relaxed); /* the loop's load */
    void *wrong = NULL;
    pthread_join(loop, &wrong);
    assert_null(wrong);
    assert_int_equal(weir_segments_free_bytes(race.segments), LIMIT);
    for (int i = 1; i < TURNS; i++) { /* no number twice, in order */
        assert_true(race.sealed[i].number > race.sealed[i - 1].number);
        assert_true(race.sealed[i].salt != race.sealed[i - 1].salt);
    }
    weir_segments_free(race.segments);
    weir_disk_close(&disk);
    assert_int_equal(support_remove_tree(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lane_keeper_and_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
