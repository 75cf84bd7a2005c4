/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs that go in whole or not at all, against their plain twin, which has no bound: what is in a
 * batch is a row of whole runs; it encodes to what the twin makes of the same runs; it is not over
 * its bounds unless one run alone is; and a refusal leaves it as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/batch/batch_fixture.h"
#include "support.h"

enum { SCHEDULES = 120, REQUESTS = 30 };

static const char *const METRICS[] = {"m", "n", "the third"};

struct twins {
    struct batch_fixture whole;
    struct weir_pool *plain_pool;
    struct weir_batcher *plain; /* without a bound, over the same memory */
    struct weir_buffer_hints hints;
    uint64_t numbers;
    uint32_t runs; /* in the open batch */
    uint32_t refusals;
    uint32_t oversized;
};

static void close_both(struct twins *twins)
{
    struct weir_batch *batch = weir_batcher_close(twins->whole.batcher, WEIR_BUFFER_FLUSH);
    struct weir_batch *plain = weir_batcher_close(twins->plain, WEIR_BUFFER_FLUSH);
    assert_int_equal(batch == NULL, plain == NULL);
    if (batch == NULL) {
        return;
    }
    struct weir_buf out = batch_bytes(batch);
    struct weir_buf expected = batch_bytes(plain);
    support_assert_bytes(weir_buf_view(&out), weir_buf_view(&expected));
    uint32_t points = weir_batch_info(batch).points;
    bool is_over = out.size > twins->hints.size ||
                   (twins->hints.points_max > 0 && points > twins->hints.points_max);
    assert_true(!is_over || twins->runs == 1);
    twins->oversized += is_over;
    twins->runs = 0;
    weir_buf_done(&out);
    weir_buf_done(&expected);
    weir_batch_release(batch, twins->whole.pool);
    weir_batch_release(plain, twins->plain_pool);
}

static void add_both(struct twins *twins, struct weir_rand *rand, const struct weir_run *run)
{
    struct weir_arena *arena = run->arena;
    struct weir_run copy = *run;
    uint32_t none = 0;
    weir_arena_ref(arena, run->bytes); /* the plain one's */
    size_t before = weir_batcher_open_bytes(twins->whole.batcher);
    enum weir_status status = weir_batcher_add_whole(twins->whole.batcher, run, 1, 1);
    if (status != WEIR_OK) {
        assert_int_equal(status, WEIR_EFULL);
        assert_true(before > 0);
        assert_int_equal(weir_batcher_open_bytes(twins->whole.batcher), before);
        twins->refusals++;
        close_both(twins);
        assert_int_equal(weir_batcher_add_whole(twins->whole.batcher, run, 1, 1), WEIR_OK);
    }
    twins->runs++;
    assert_int_equal(weir_batcher_add(twins->plain, &copy, &none, 1), WEIR_OK);
    assert_int_equal(weir_batcher_open_bytes(twins->whole.batcher),
                     weir_batcher_open_bytes(twins->plain));
    if (weir_rand_below(rand, 4) == 0) {
        (void)weir_batcher_compact(twins->whole.batcher);
    }
}

static struct weir_run a_run(struct twins *twins, struct weir_rand *rand)
{
    size_t padding = weir_rand_below(rand, 3) == 0 ? (size_t)200 << 10 : 0;
    struct fixture_request request = fixture_request(&twins->whole.base, "id", padding);
    struct weir_run *run = fixture_run(&request, "A", weir_rand_below(rand, 2) == 0 ? "r" : "s");
    const struct weir_metric *metrics[3];
    for (size_t i = 0; i < 3; i++) {
        metrics[i] = fixture_metric(run, i == 2 ? "another scope" : "scope", METRICS[i]);
    }
    uint64_t points = 1 + weir_rand_below(rand, 30);
    for (uint64_t i = 0; i < points; i++) {
        size_t more = weir_rand_below(rand, weir_rand_below(rand, 20) == 0 ? 20000 : 150);
        fixture_point(&request, run, metrics[weir_rand_below(rand, 3)], ++twins->numbers, more);
    }
    batch_retain(&request);
    return request.runs.runs[0];
}

static void run_schedule(struct twins *twins, struct weir_rand *rand)
{
    uint64_t size_max = weir_rand_below(rand, 2) == 0 ? 2000 : 50000;
    twins->hints = (struct weir_buffer_hints){
        .size = 1 + weir_rand_below(rand, size_max),
        .interval_ns = 1000,
        .points_max = (uint32_t)weir_rand_below(rand, 2) * (uint32_t)weir_rand_below(rand, 100),
    };
    batch_open(&twins->whole, twins->hints);
    assert_int_equal(weir_pool_new(weir_batch_size(), 4, weir_batch_done, &twins->plain_pool),
                     WEIR_OK);
    const struct weir_batcher_options options = {.hints = {.size = SIZE_MAX, .interval_ns = 1000},
                                                 .batches = twins->plain_pool,
                                                 .regions = twins->whole.base.regions,
                                                 .budget =
                                                     weir_credit_budget(&twins->whole.base.queued)};
    assert_int_equal(weir_batcher_new(&options, &twins->plain), WEIR_OK);
    for (int i = 0; i < REQUESTS; i++) {
        struct weir_run run = a_run(twins, rand);
        add_both(twins, rand, &run);
    }
    close_both(twins);
    weir_batcher_free(twins->plain);
    weir_pool_free(twins->plain_pool);
    batch_close(&twins->whole);
}

static void test_whole_runs_are_the_same_batch(void **state)
{
    (void)state;
    struct twins twins = {.numbers = 0};
    struct weir_rand rand = support_rand(23);
    for (int i = 0; i < SCHEDULES; i++) {
        run_schedule(&twins, &rand);
    }
    assert_true(twins.refusals > SCHEDULES); /* or the edges were not looked at */
    assert_true(twins.oversized > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_runs_are_the_same_batch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
