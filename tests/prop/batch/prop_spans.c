/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of points against their plain twin, points one by one: the same runs go whole into one
 * batcher and as runs of a single point into another. Both must take the same points, close at the
 * same places, and encode to the same bytes; also when either has copied some of it meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/batch/batch_fixture.h"
#include "support.h"

enum { SCHEDULES = 80, REQUESTS = 20 };

static const char *const METRICS[] = {"m", "n", "the third"};

struct twins {
    struct batch_fixture spans;
    struct weir_pool *plain_pool;
    struct weir_batcher *plain; /* over the same memory */
    uint64_t numbers;
    uint32_t splits; /* batches that ended within a span */
};

static void close_both(struct twins *twins)
{
    struct weir_batch *batch = weir_batcher_close(twins->spans.batcher, WEIR_BUFFER_FLUSH);
    struct weir_batch *plain = weir_batcher_close(twins->plain, WEIR_BUFFER_FLUSH);
    assert_int_equal(batch == NULL, plain == NULL);
    if (batch == NULL) {
        return;
    }
    struct weir_buf out = batch_bytes(batch);
    struct weir_buf expected = batch_bytes(plain);
    support_assert_bytes(weir_buf_view(&out), weir_buf_view(&expected));
    weir_buf_done(&out);
    weir_buf_done(&expected);
    weir_batch_release(batch, twins->spans.pool);
    weir_batch_release(plain, twins->plain_pool);
}

/* Adds the points of a run from *offset on as runs of their own. */
static enum weir_status add_plain(struct weir_batcher *batcher, const struct weir_run *run,
                                  uint32_t *offset)
{
    for (; *offset < run->count; (*offset)++) {
        struct weir_run one = *run;
        uint32_t none = 0;
        one.points = &run->points[*offset];
        one.count = 1;
        one.bytes = weir_point_encoded_size(one.points->size);
        weir_arena_ref(one.arena, one.bytes);
        enum weir_status status = weir_batcher_add(batcher, &one, &none, 1);
        if (status != WEIR_OK) {
            weir_arena_unref(run->arena, one.bytes);
            return status;
        }
    }
    return WEIR_OK;
}

static void add_both(struct twins *twins, struct weir_rand *rand, struct weir_run *run)
{
    struct weir_arena *arena = run->arena;
    size_t bytes = run->bytes;
    uint32_t count = run->count;
    uint32_t offset = 0;
    uint32_t plain_offset = 0;
    enum weir_status status = WEIR_EFULL;
    weir_arena_ref(arena, bytes); /* the plain one's */
    while (status != WEIR_OK) {
        if (weir_rand_below(rand, 2) == 0) {
            weir_batcher_ask(twins->spans.batcher, &run, 1); /* the plain one never is */
        }
        status = add_plain(twins->plain, run, &plain_offset);
        enum weir_status actual = weir_batcher_add(twins->spans.batcher, run, &offset, 1);
        assert_int_equal(actual, status);
        assert_int_equal(offset, plain_offset);
        assert_int_equal(weir_batcher_open_bytes(twins->spans.batcher),
                         weir_batcher_open_bytes(twins->plain));
        twins->splits += offset > 0 && offset < count ? 1 : 0;
        if (weir_rand_below(rand, 4) == 0) {
            (void)weir_batcher_compact(twins->spans.batcher);
        }
        if (status != WEIR_OK) {
            close_both(twins);
        }
    }
    weir_arena_unref(arena, bytes);
}

static struct fixture_request a_request(struct twins *twins, struct weir_rand *rand)
{
    size_t padding = weir_rand_below(rand, 3) == 0 ? (size_t)200 << 10 : 0;
    struct fixture_request request = fixture_request(&twins->spans.base, "id", padding);
    struct weir_run *run = fixture_run(&request, "A", "r");
    const struct weir_metric *metrics[3];
    for (size_t i = 0; i < 3; i++) {
        metrics[i] = fixture_metric(run, "scope", METRICS[i]);
    }
    uint64_t points = 1 + weir_rand_below(rand, FIXTURE_POINTS_MAX);
    uint64_t stay = 1 + weir_rand_below(rand, 40); /* with a metric, on average */
    uint64_t metric = 0;
    for (uint64_t i = 0; i < points; i++) {
        metric = weir_rand_below(rand, stay) == 0 ? weir_rand_below(rand, 3) : metric;
        size_t more = weir_rand_below(rand, weir_rand_below(rand, 20) == 0 ? 20000 : 150);
        fixture_point(&request, run, metrics[metric], ++twins->numbers, more);
    }
    return request;
}

static void run_schedule(struct twins *twins, struct weir_rand *rand)
{
    uint64_t size_max = weir_rand_below(rand, 2) == 0 ? 2000 : 50000;
    const struct weir_buffer_hints hints = {
        .size = 1 + weir_rand_below(rand, size_max),
        .interval_ns = 1000,
        .points_max = (uint32_t)weir_rand_below(rand, 2) * (uint32_t)weir_rand_below(rand, 100),
    };
    batch_open(&twins->spans, hints);
    struct weir_batcher_options options = {.hints = hints,
                                           .regions = twins->spans.base.regions,
                                           .budget = weir_credit_budget(&twins->spans.base.queued)};
    assert_int_equal(weir_pool_new(weir_batch_size(), 4, weir_batch_done, &twins->plain_pool),
                     WEIR_OK);
    options.batches = twins->plain_pool;
    assert_int_equal(weir_batcher_new(&options, &twins->plain), WEIR_OK);
    for (int i = 0; i < REQUESTS; i++) {
        struct fixture_request request = a_request(twins, rand);
        struct weir_run run = request.runs.runs[0];
        batch_retain(&request);
        add_both(twins, rand, &run);
    }
    close_both(twins);
    weir_batcher_free(twins->plain);
    weir_pool_free(twins->plain_pool);
    batch_close(&twins->spans);
}

static void test_spans_are_points_one_by_one(void **state)
{
    (void)state;
    struct twins twins = {.numbers = 0};
    struct weir_rand rand = support_rand(17);
    for (int i = 0; i < SCHEDULES; i++) {
        run_schedule(&twins, &rand);
    }
    assert_true(twins.splits > SCHEDULES); /* or the edge was not looked at */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_spans_are_points_one_by_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
