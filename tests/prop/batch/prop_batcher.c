/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random runs through a batcher with random hints: the size it names is the size it encodes, it is
 * never passed, and every point leaves exactly once, under the heads that it came with, in the
 * order of its metric.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/batch/batch_fixture.h"
#include "support.h"
#include "weir/clock.h"

enum { SCHEDULES = 60, REQUESTS = 25, POINTS_MAX = 20000 };

/* Texts that make lengths cross the edges of one and two byte varints. */
static const char *const RESOURCES[] = {"", "r", "another resource"};
static const char *const SCOPES[] = {"", "scope"};
static const char *const METRICS[] = {"m", "n",
                                      "a metric whose name is nearly one hundred and twenty bytes "
                                      "long, so that with a point or two it "
                                      "passes the edge of 127"};

#define PICK(rand, array) ((array)[weir_rand_below((rand), sizeof(array) / sizeof(*(array)))])

/* So that batches become old enough to copy what is sparse (batch_refs.c), and many do not. */
#define TICK_NS (10 * WEIR_NS_PER_MS)

struct schedule {
    struct batch_fixture fixture;
    struct weir_buffer_hints hints;
    uint8_t seen[POINTS_MAX];         /* how often each number came out */
    const char *expected[POINTS_MAX]; /* the metric it went in with */
    uint64_t numbers;
    int64_t now_ns;
};

/* -- reading what was encoded -------------------------------------------------------------- */

static struct weir_bytes text_of(struct weir_bytes message)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field = {0};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1 && field.type == WEIR_PB_BYTES) {
            return field.bytes;
        }
    }
    return (struct weir_bytes){NULL, 0};
}

static void read_metric(struct schedule *schedule, struct weir_bytes metric)
{
    struct weir_bytes name = text_of(metric);
    struct weir_cursor cursor = weir_cursor_of(metric);
    struct weir_pb_field field = {0};
    uint64_t last = 0;
    while (weir_pb_next(&cursor, &field)) {
        struct weir_cursor points = weir_cursor_of(field.bytes);
        struct weir_pb_field point = {0};
        while (field.number == WEIR_METRIC_SUMMARY && weir_pb_next(&points, &point)) {
            uint64_t number = fixture_number(point.bytes);
            assert_true(number > last);
            assert_true(number <= schedule->numbers);
            assert_true(weir_bytes_eq(name, weir_bytes_str(schedule->expected[number])));
            schedule->seen[number]++;
            last = number;
        }
        assert_false(points.failed);
    }
    assert_false(cursor.failed);
    assert_true(last > 0);
}

/* Walks the children in field `number` of a message, `depth` levels down to the metrics. */
static void read_level(struct schedule *schedule, struct weir_bytes message, uint32_t number,
                       int depth)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field = {0};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == number && depth == 0) {
            read_metric(schedule, field.bytes);
        } else if (field.number == number) {
            read_level(schedule, field.bytes, 2, depth - 1);
        }
    }
    assert_false(cursor.failed);
}

static void close_and_check(struct schedule *schedule)
{
    struct weir_batcher *batcher = schedule->fixture.batcher;
    size_t open_bytes = weir_batcher_open_bytes(batcher);
    enum weir_buffer_trigger trigger = weir_batcher_due(batcher, schedule->now_ns);
    struct weir_batch *batch = weir_batcher_close(batcher, trigger);
    if (batch == NULL) {
        return;
    }
    struct weir_batch_info info = weir_batch_info(batch);
    assert_int_equal(info.bytes, open_bytes);
    assert_true(info.points == 1 || info.bytes <= schedule->hints.size);
    assert_true(schedule->hints.points_max == 0 || info.points <= schedule->hints.points_max);
    struct weir_buf out = batch_bytes(batch);
    read_level(schedule, weir_buf_view(&out), 1, 2);
    weir_buf_done(&out);
    weir_batch_release(batch, schedule->fixture.pool);
}

/* -- making it ---------------------------------------------------------------------------- */

static struct fixture_request a_request(struct schedule *schedule, struct weir_rand *rand)
{
    size_t padding = weir_rand_below(rand, 3) == 0 ? (size_t)200 << 10 : 0;
    struct fixture_request request = fixture_request(&schedule->fixture.base, "id", padding);
    uint64_t runs = 1 + weir_rand_below(rand, 3);
    for (uint64_t i = 0; i < runs; i++) {
        struct weir_run *run = fixture_run(&request, "A", PICK(rand, RESOURCES));
        const struct weir_metric *metric = NULL;
        const char *name = NULL;
        uint64_t points = 1 + weir_rand_below(rand, FIXTURE_POINTS_MAX);
        for (uint64_t p = 0; p < points; p++) {
            if (metric == NULL || weir_rand_below(rand, 3) == 0) {
                name = PICK(rand, METRICS);
                metric = fixture_metric(run, PICK(rand, SCOPES), name);
            }
            uint64_t number = ++schedule->numbers;
            assert_true(number < POINTS_MAX);
            schedule->expected[number] = name;
            size_t more = weir_rand_below(rand, weir_rand_below(rand, 20) == 0 ? 20000 : 150);
            fixture_point(&request, run, metric, number, more);
        }
    }
    return request;
}

static void add_run(struct schedule *schedule, struct weir_rand *rand, const struct weir_run *run)
{
    struct weir_batcher *batcher = schedule->fixture.batcher;
    uint32_t offset = 0;
    while (weir_batcher_add(batcher, run, &offset, schedule->now_ns) != WEIR_OK) {
        close_and_check(schedule);
    }
    if (weir_rand_below(rand, 4) == 0) {
        (void)weir_batcher_compact(batcher);
    }
    schedule->now_ns += (int64_t)weir_rand_below(rand, 5) * TICK_NS;
    if (weir_batcher_due(batcher, schedule->now_ns) != WEIR_BUFFER_NOT_DUE) {
        close_and_check(schedule);
    }
}

static void run_schedule(struct schedule *schedule, struct weir_rand *rand)
{
    memset(schedule, 0, sizeof(*schedule));
    schedule->hints = (struct weir_buffer_hints){
        .size = 1 + weir_rand_below(rand, weir_rand_below(rand, 2) == 0 ? 500 : 50000),
        .interval_ns = (int64_t)weir_rand_below(rand, 50) * TICK_NS,
        .points_max = (uint32_t)weir_rand_below(rand, 2) * (uint32_t)weir_rand_below(rand, 100),
    };
    batch_open(&schedule->fixture, schedule->hints);
    for (int i = 0; i < REQUESTS && schedule->numbers + 200 < POINTS_MAX; i++) {
        struct fixture_request request = a_request(schedule, rand);
        uint32_t count = request.runs.count;
        struct weir_run runs[FIXTURE_RUNS_MAX];
        batch_retain(&request);
        memcpy(runs, request.runs.runs, count * sizeof(*runs));
        for (uint32_t r = 0; r < count; r++) {
            add_run(schedule, rand, &runs[r]);
        }
    }
    close_and_check(schedule);
    for (uint64_t number = 1; number <= schedule->numbers; number++) {
        assert_int_equal(schedule->seen[number], 1);
    }
    batch_close(&schedule->fixture);
}

static void test_random_schedules(void **state)
{
    (void)state;
    static struct schedule schedule;
    struct weir_rand rand = support_rand(5);
    for (int i = 0; i < SCHEDULES; i++) {
        run_schedule(&schedule, &rand);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_schedules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
