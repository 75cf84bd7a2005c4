/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a batch knows of its points can take far more memory than they do. It is charged, it never
 * stops the flow, and little of it stays behind.
 */
#include "../../../src/batch/batch_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "batch_fixture.h"

#define MIB   ((size_t)1 << 20)
#define LIMIT (SIZE_MAX / 2) /* the fixture's budget */

static struct batch_fixture fixture;

static int set_up(void **state)
{
    (void)state;
    batch_open(&fixture, (struct weir_buffer_hints){3 * MIB, 1000, 0});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    batch_close(&fixture);
    return 0;
}

/* `points` points in runs of 64, each with a metric of its own or by turns with one of two, which
 * makes each a span of its own. */
static struct fixture_request a_request(uint32_t points, bool own_metrics)
{
    uint32_t runs = (points + FIXTURE_POINTS_MAX - 1) / FIXTURE_POINTS_MAX;
    struct fixture_request request = fixture_wide_request(&fixture.base, "id", 0, runs);
    struct weir_run *run = NULL;
    for (uint32_t i = 0; i < points; i++) {
        char name[16];
        run = i % FIXTURE_POINTS_MAX == 0 ? fixture_run(&request, "A", "R") : run;
        (void)snprintf(name, sizeof(name), "%x", own_metrics ? i : i % 2);
        fixture_point(&request, run, fixture_metric(run, "", name), i,
                      own_metrics ? 0 : 100); /* dense enough to stay */
    }
    return request;
}

/* What became of a request that went through the batcher. */
struct passage {
    uint32_t points;
    uint32_t batches;
    size_t charged_max; /* index_charged of any batch */
    uint64_t calls;     /* to the allocator */
};

static void close_one(struct passage *passage)
{
    struct weir_batch *batch = weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH);
    assert_non_null(batch);
    assert_true(weir_batch_validate(batch));
    passage->points += weir_batch_info(batch).points;
    passage->batches++;
    if (batch->index_charged > passage->charged_max) {
        passage->charged_max = batch->index_charged;
    }
    weir_batch_release(batch, fixture.pool);
}

static struct passage pass(struct fixture_request request)
{
    struct passage passage = {.points = 0};
    uint32_t count = request.runs.count;
    batch_retain(&request);
    passage.calls = weir_mem_calls();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset = 0;
        while (weir_batcher_add(fixture.batcher, &request.runs.runs[i], &offset, 0) != WEIR_OK) {
            close_one(&passage); /* which fails when there is nothing to close */
        }
        assert_true(weir_credit_used(&fixture.base.queued) <= LIMIT);
    }
    close_one(&passage);
    passage.calls = weir_mem_calls() - passage.calls;
    return passage;
}

static void test_a_large_index_is_charged(void **state)
{
    (void)state;
    struct passage passage = pass(a_request(30000, true));
    assert_int_equal(passage.points, 30000);
    assert_int_equal(passage.batches, 1);
    assert_true(passage.charged_max > 30000 * 72);
    assert_int_equal(weir_credit_used(&fixture.base.queued), 0);
    assert_true(weir_credit_used_max(&fixture.base.queued) > passage.charged_max);
}

static void test_a_budget_that_is_nearly_full_closes_batches_early(void **state)
{
    (void)state;
    assert_true(weir_credit_take(&fixture.base.queued, LIMIT - MIB));
    struct passage passage = pass(a_request(30000, true));
    assert_int_equal(passage.points, 30000);
    assert_true(passage.batches > 2);
    assert_true(passage.charged_max <= MIB);
    weir_credit_give(&fixture.base.queued, LIMIT - MIB);
}

/* As when the rings hold all there is: what empties them must not wait for it. */
static void test_a_budget_without_a_byte_does_not_stop_the_flow(void **state)
{
    (void)state;
    assert_true(weir_credit_take(&fixture.base.queued, LIMIT));
    struct passage passage = pass(a_request(5000, true));
    assert_int_equal(passage.points, 5000);
    assert_int_equal(passage.charged_max, 0);
    assert_true(passage.batches <= 5000 / 100);
    weir_credit_give(&fixture.base.queued, LIMIT);
}

static void test_a_pooled_index_that_the_budget_refuses_is_given_up(void **state)
{
    (void)state;
    (void)pass(a_request(5000, true)); /* leaves arrays of more than 64 KiB in the pool */
    assert_true(weir_credit_take(&fixture.base.queued, LIMIT));
    struct passage passage = pass(a_request(5000, true));
    assert_int_equal(passage.points, 5000);
    assert_int_equal(passage.charged_max, 0);
    weir_credit_give(&fixture.base.queued, LIMIT);
}

static void test_the_pool_keeps_no_large_index(void **state)
{
    (void)state;
    (void)pass(a_request(30000, true));
    struct weir_batch *batch = weir_pool_take(fixture.pool);
    assert_non_null(batch);
    assert_int_equal(batch->index_bytes, 0);
    assert_null(batch->nodes);
    weir_pool_give(fixture.pool, batch);
}

static void test_a_usual_index_is_kept_and_used_again_without_allocation(void **state)
{
    (void)state;
    assert_true(pass(a_request(10000, false)).calls > 0);
    assert_int_equal(weir_credit_used(&fixture.base.queued), 0);
    struct passage passage = pass(a_request(10000, false));
    assert_int_equal(passage.points, 10000);
    assert_int_equal(passage.batches, 1);
    assert_int_equal(passage.calls, 0);
    assert_true(passage.charged_max > 0);
}

/* A span that found no memory is tried in halves, which may find it: all of it is in then. */
static void test_memory_that_is_back_in_the_middle_of_a_span(void **state)
{
    (void)state;
    batch_add(&fixture, a_request(256, false), 0);
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    const struct weir_metric *metric = fixture_metric(run, "", "one");
    for (uint64_t number = 0; number < 4; number++) {
        fixture_point(&request, run, metric, number, 100);
    }
    batch_retain(&request);
    uint32_t offset = 0;
    (void)weir_mem_fail_at(1);
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_OK);
    assert_true(weir_mem_fail_at(0));
    assert_int_equal(offset, 4);
    struct passage passage = {.points = 0};
    close_one(&passage);
    assert_int_equal(passage.points, 260);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_large_index_is_charged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_budget_that_is_nearly_full_closes_batches_early,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_budget_without_a_byte_does_not_stop_the_flow, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_pooled_index_that_the_budget_refuses_is_given_up,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_pool_keeps_no_large_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_usual_index_is_kept_and_used_again_without_allocation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_that_is_back_in_the_middle_of_a_span, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
