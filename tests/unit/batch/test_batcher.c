/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "batch_fixture.h"
#include "guard.h"
#include "support.h"
#include "weir/clock.h"

#define MIB ((size_t)1 << 20)

static struct batch_fixture fixture;

static void open_with(size_t size, int64_t interval_ns, uint32_t points_max)
{
    batch_open(&fixture, (struct weir_buffer_hints){size, interval_ns, points_max});
}

static int tear_down(void **state)
{
    (void)state;
    batch_close(&fixture);
    return 0;
}

static void release_closed(uint32_t points)
{
    struct weir_batch *batch = weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH);
    assert_non_null(batch);
    assert_int_equal(weir_batch_info(batch).points, points);
    struct weir_buf out = batch_bytes(batch);
    weir_buf_done(&out);
    weir_batch_release(batch, fixture.pool);
}

static void test_empty(void **state)
{
    (void)state;
    open_with(100, 10, 0);
    assert_null(weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH));
    assert_int_equal(weir_batcher_due(fixture.batcher, INT64_MAX), WEIR_BUFFER_NOT_DUE);
    assert_true(weir_batcher_deadline_ns(fixture.batcher) == INT64_MAX);
    assert_int_equal(weir_batcher_open_bytes(fixture.batcher), 0);
    assert_int_equal(weir_batcher_compact(fixture.batcher), 0);
    weir_batcher_free(NULL);
}

static void test_run_without_points_gives_its_reference_back(void **state)
{
    (void)state;
    open_with(100, 10, 0);
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    uint32_t offset = 0;
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_OK);
    assert_null(weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH));
    assert_int_equal(weir_regions_taken(fixture.base.regions), 0);
}

static void test_equal_metrics_of_different_requests_merge(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    batch_add(&fixture, fixture_single(&fixture.base, "A", 1, 0), 0);
    size_t first = weir_batcher_open_bytes(fixture.batcher);
    batch_add(&fixture, fixture_single(&fixture.base, "A", 2, 0), 0);
    assert_int_equal(weir_batcher_open_bytes(fixture.batcher), first + weir_point_encoded_size(9));
    release_closed(2);
}

/* Heads that differ in one level only must stay apart. */
static void test_different_heads_stay_apart(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    static const char *const heads[][3] = {
        {"R", "S", "M"}, {"r", "S", "M"}, {"R", "s", "M"}, {"R", "S", "m"}, {"R", "S", "M"}};
    static const size_t grows[] = {28, 28, 23, 18, 11};
    size_t before = 0;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        struct fixture_request request = fixture_request(&fixture.base, "id", 0);
        struct weir_run *run = fixture_run(&request, "A", heads[i][0]);
        fixture_point(&request, run, fixture_metric(run, heads[i][1], heads[i][2]), i, 0);
        batch_add(&fixture, request, 0);
        size_t after = weir_batcher_open_bytes(fixture.batcher);
        assert_int_equal(after - before, grows[i]);
        before = after;
    }
    release_closed(5);
}

static void test_same_bytes_as_another_data_kind_stay_apart(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    struct weir_metric *gauge = fixture_metric(run, "", "m");
    struct weir_metric *sum = fixture_metric(run, "", "m");
    struct weir_metric *delta = fixture_metric(run, "", "m");
    gauge->data = WEIR_METRIC_GAUGE;
    gauge->hash = weir_metric_hash(gauge);
    sum->data = WEIR_METRIC_SUM;
    sum->hash = weir_metric_hash(sum);
    delta->data = WEIR_METRIC_SUM;
    delta->data_head = weir_bytes_of("\x10\x01", 2);
    delta->hash = weir_metric_hash(delta);
    fixture_point(&request, run, gauge, 1, 0);
    fixture_point(&request, run, sum, 2, 0);
    fixture_point(&request, run, delta, 3, 0);
    batch_add(&fixture, request, 0);
    struct weir_batch *batch = weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH);
    struct weir_buf out = batch_bytes(batch);
    /* resource 3, scope_metrics 2 + 2, metrics 18 + 18 + 20 */
    assert_int_equal(out.size, 2 + 3 + 2 + 18 + 18 + 20);
    weir_buf_done(&out);
    weir_batch_release(batch, fixture.pool);
}

/* Two metrics whose hashes are made to collide are still told apart. */
static void test_colliding_hashes(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    struct weir_metric *one = fixture_metric(run, "", "one");
    struct weir_metric *two = fixture_metric(run, "", "two");
    fixture_point(&request, run, one, 1, 0);
    fixture_point(&request, run, two, 2, 0);
    batch_retain(&request);
    two->hash = one->hash;
    uint32_t offset = 0;
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_OK);
    struct weir_batch *batch = weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH);
    struct weir_buf out = batch_bytes(batch);
    assert_int_equal(out.size, 2 + 3 + 2 + 20 + 20);
    weir_buf_done(&out);
    weir_batch_release(batch, fixture.pool);
}

/* The same for metrics of one name that differ in what their data are, and in the data's head. */
static void test_colliding_kinds(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    struct weir_metric *metrics[4];
    for (unsigned i = 0; i < 4; i++) {
        metrics[i] = fixture_metric(run, "", "m");
        metrics[i]->data = i == 0 ? WEIR_METRIC_GAUGE : WEIR_METRIC_SUM;
        metrics[i]->data_head = weir_bytes_of(i < 3 ? "\x10\x01" : "\x10\x02", i < 2 ? 0 : 2);
        metrics[i]->hash = weir_metric_hash(metrics[i]);
        fixture_point(&request, run, metrics[i], i + 1, 0);
    }
    batch_retain(&request);
    for (unsigned i = 1; i < 4; i++) {
        metrics[i]->hash = metrics[0]->hash;
    }
    uint32_t offset = 0;
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_OK);
    struct weir_batch *batch = weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH);
    struct weir_buf out = batch_bytes(batch);
    assert_int_equal(out.size, 2 + 3 + 2 + 18 + 18 + 20 + 20);
    weir_buf_done(&out);
    weir_batch_release(batch, fixture.pool);
}

/* The same for equal metrics of different resources: only the parent tells them apart. */
static void test_colliding_parents(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    uint64_t hash = 0;
    static const char *const resources[] = {"R", "r"};
    for (int i = 0; i < 2; i++) {
        struct fixture_request request = fixture_request(&fixture.base, "id", 0);
        struct weir_run *run = fixture_run(&request, "A", resources[i]);
        struct weir_metric *metric = fixture_metric(run, "", "m");
        fixture_point(&request, run, metric, 1, 0);
        batch_retain(&request);
        hash = i == 0 ? metric->hash : hash;
        metric->hash = hash;
        uint32_t offset = 0;
        assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_OK);
    }
    assert_int_equal(weir_batcher_open_bytes(fixture.batcher), 2 * 25);
    release_closed(2);
}

static void test_size_splits_a_run(void **state)
{
    (void)state;
    open_with(60, 10, 0); /* 25 with one point, 36, 47, 58 with four */
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    const struct weir_metric *metric = fixture_metric(run, "", "m");
    for (uint64_t i = 0; i < 6; i++) {
        fixture_point(&request, run, metric, i, 0);
    }
    batch_retain(&request);
    uint32_t offset = 0;
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_EFULL);
    assert_int_equal(offset, 4);
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_EFULL);
    assert_int_equal(offset, 4);
    struct weir_batch *first = weir_batcher_close(fixture.batcher, WEIR_BUFFER_NOT_DUE);
    assert_int_equal(weir_batch_info(first).trigger, WEIR_BUFFER_SIZE);
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 5), WEIR_OK);
    assert_true(weir_batcher_deadline_ns(fixture.batcher) == 15);
    assert_int_equal(weir_arena_stat(request.arena).live, 6 * 11);
    release_closed(2);
    assert_int_equal(weir_arena_stat(request.arena).live, 4 * 11);
    weir_batch_release(first, fixture.pool);
    assert_int_equal(weir_regions_taken(fixture.base.regions), 0);
}

static void test_abandoned_in_the_middle(void **state)
{
    (void)state;
    open_with(MIB, 10, 1);
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    const struct weir_metric *metric = fixture_metric(run, "", "m");
    fixture_point(&request, run, metric, 1, 0);
    fixture_point(&request, run, metric, 2, 0);
    batch_retain(&request);
    uint32_t offset = 0;
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_EFULL);
    assert_int_equal(offset, 1);
    assert_int_equal(weir_batcher_due(fixture.batcher, 0), WEIR_BUFFER_POINTS);
    weir_arena_unref(run->arena, run->bytes);
    release_closed(1);
}

static void test_point_larger_than_the_size_goes_alone(void **state)
{
    (void)state;
    open_with(100, 10, 0);
    batch_add(&fixture, fixture_single(&fixture.base, "A", 1, 5000), 0);
    assert_int_equal(weir_batcher_due(fixture.batcher, 0), WEIR_BUFFER_SIZE);
    struct fixture_request request = fixture_single(&fixture.base, "A", 2, 0);
    uint32_t offset = 0;
    struct weir_run *run = &request.runs.runs[0];
    assert_int_equal(weir_batcher_add(fixture.batcher, run, &offset, 0), WEIR_EFULL);
    assert_int_equal(offset, 0);
    weir_arena_unref(request.arena, 0);
    release_closed(1);
}

static void test_due_by_age(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    batch_add(&fixture, fixture_single(&fixture.base, "A", 1, 0), 100);
    batch_add(&fixture, fixture_single(&fixture.base, "A", 2, 0), 109);
    assert_int_equal(weir_batcher_due(fixture.batcher, 109), WEIR_BUFFER_NOT_DUE);
    assert_int_equal(weir_batcher_due(fixture.batcher, 110), WEIR_BUFFER_INTERVAL);
    release_closed(2);
    assert_true(weir_batcher_deadline_ns(fixture.batcher) == INT64_MAX);
}

/* A request of 4 MiB with one small run, whose number is `number`. */
static struct fixture_request a_sparse_request(uint64_t number)
{
    struct fixture_request request = fixture_request(&fixture.base, "sparse", 4 * MIB);
    struct weir_run *run = fixture_run(&request, "rare", "R");
    fixture_point(&request, run, fixture_metric(run, "S", "m"), number, 50);
    fixture_point(&request, run, fixture_metric(run, "S", "n"), number, 50);
    return request;
}

/* The age at which a batch begins to copy what is sparse. */
#define OLD_NS (100 * WEIR_NS_PER_MS)

/* A point at 0, so that what comes at OLD_NS comes to an old batch. */
static void begin_a_batch(void)
{
    batch_add(&fixture, fixture_single(&fixture.base, "A", 9, 0), 0);
}

static void test_never_pins_an_arena_for_a_rare_point(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    begin_a_batch();
    batch_add(&fixture, a_sparse_request(1), OLD_NS);
    assert_true(weir_regions_taken(fixture.base.regions) < MIB / 4);
    batch_add(&fixture, a_sparse_request(2), OLD_NS);
    assert_true(weir_regions_taken(fixture.base.regions) < MIB / 4);
    assert_true(weir_credit_used(&fixture.base.queued) > 0);
    release_closed(5);
    assert_int_equal(weir_regions_taken(fixture.base.regions), 0);
    assert_int_equal(weir_credit_used(&fixture.base.intake), 0);
}

static void test_a_young_batch_copies_nothing(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    batch_add(&fixture, a_sparse_request(1), 7);
    batch_add(&fixture, a_sparse_request(2), 7 + OLD_NS - 1);
    size_t two = weir_regions_taken(fixture.base.regions);
    assert_true(two > 8 * MIB);
    assert_int_equal(weir_credit_used(&fixture.base.queued), 0);
    batch_add(&fixture, a_sparse_request(3), 7 + OLD_NS);
    assert_true(weir_regions_taken(fixture.base.regions) < two + MIB / 4);
    assert_true(weir_batcher_compact(fixture.batcher) > 0);
    assert_true(weir_regions_taken(fixture.base.regions) < MIB / 4);
    release_closed(6);
}

static void test_arena_that_becomes_sparse_in_the_open_batch(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    struct fixture_request request = a_sparse_request(1);
    weir_arena_ref(request.arena, 3 * MIB); /* another destination's share of it */
    struct weir_arena *arena = request.arena;
    batch_add(&fixture, request, 0);
    assert_int_equal(weir_batcher_compact(fixture.batcher), 0);
    assert_true(weir_regions_taken(fixture.base.regions) > 4 * MIB);
    weir_arena_unref(arena, 3 * MIB);
    assert_true(weir_regions_taken(fixture.base.regions) > 4 * MIB);
    assert_true(weir_batcher_compact(fixture.batcher) > 0);
    assert_true(weir_regions_taken(fixture.base.regions) < MIB / 4);
    assert_int_equal(weir_batcher_compact(fixture.batcher), 0);
    release_closed(2);
}

static void test_no_budget_for_a_copy_keeps_the_arena(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    begin_a_batch();
    assert_true(weir_credit_take(&fixture.base.queued, SIZE_MAX / 2));
    batch_add(&fixture, a_sparse_request(1), OLD_NS);
    assert_true(weir_regions_taken(fixture.base.regions) > 4 * MIB);
    weir_credit_give(&fixture.base.queued, SIZE_MAX / 2);
    release_closed(3);
}

/* As open_with, over regions that are kept, so that an arena lies where one lay before. */
static void open_with_kept_regions(void)
{
    open_with(MIB, 10, 0);
    weir_batcher_free(fixture.batcher);
    weir_regions_free(fixture.base.regions);
    assert_int_equal(weir_regions_new(64 * MIB, &fixture.base.regions), WEIR_OK);
    const struct weir_batcher_options options = {
        .hints = {MIB, 10, 0},
        .batches = fixture.pool,
        .regions = fixture.base.regions,
        .budget = weir_credit_budget(&fixture.base.queued),
    };
    assert_int_equal(weir_batcher_new(&options, &fixture.batcher), WEIR_OK);
}

/* Adds one point of a sparse arena, which is given up; returns where its scope lay. */
static uintptr_t add_and_give_up(const char *scope)
{
    struct fixture_request request = fixture_request(&fixture.base, "id", MIB);
    struct weir_run *run = fixture_run(&request, "A", "R");
    const struct weir_metric *metric = fixture_metric(run, scope, "m");
    uintptr_t at = (uintptr_t)metric->scope;
    fixture_point(&request, run, metric, 1, 0);
    batch_add(&fixture, request, OLD_NS);
    return at;
}

/* What is known of scopes is known of those that are there. */
static void test_a_scope_where_another_lay(void **state)
{
    (void)state;
    open_with_kept_regions();
    begin_a_batch();
    uintptr_t first = add_and_give_up("one");
    assert_true(add_and_give_up("two") == first);
    struct weir_batch *batch = weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH);
    struct weir_buf out = batch_bytes(batch);
    assert_non_null(memmem(out.data, out.size, "one", 3));
    assert_non_null(memmem(out.data, out.size, "two", 3));
    weir_buf_done(&out);
    weir_batch_release(batch, fixture.pool);
}

static void test_free_with_an_open_batch(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    batch_add(&fixture, fixture_single(&fixture.base, "A", 1, 0), 0);
    batch_add(&fixture, a_sparse_request(2), 0);
}

/* Of a long run no more is looked at than of a short one, whose metric may have no head: what is
 * behind its first points is a page that nobody may touch. As many metrics as can be asked for. */
static void test_asking_looks_at_few_points(void **state)
{
    (void)state;
    open_with(MIB, 10, 0);
    batch_add(&fixture, fixture_single(&fixture.base, "A", 1, 0), 0);
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "");
    const struct weir_metric *metrics[] = {fixture_metric(run, "", ""),
                                           fixture_metric(run, "", "m")};
    for (uint64_t i = 0; i < WEIR_BATCHER_FEW; i++) {
        fixture_point(&request, run, metrics[i % 2], i, 0);
    }
    struct guard few = guard_copy(weir_bytes_of(run->points, run->count * sizeof(*run->points)));
    struct weir_run longer = *run;
    struct weir_run *asked[WEIR_BATCHER_TOGETHER];
    longer.points = (const void *)few.data;
    longer.count = 1000 * WEIR_BATCHER_FEW;
    for (uint32_t i = 0; i < WEIR_BATCHER_TOGETHER; i++) {
        asked[i] = i == 1 ? &longer : run;
    }
    weir_batcher_ask(fixture.batcher, asked, WEIR_BATCHER_TOGETHER);
    batch_add(&fixture, request, 0);
    release_closed(1 + WEIR_BATCHER_FEW);
    guard_free(&few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_empty, tear_down),
        cmocka_unit_test_teardown(test_run_without_points_gives_its_reference_back, tear_down),
        cmocka_unit_test_teardown(test_equal_metrics_of_different_requests_merge, tear_down),
        cmocka_unit_test_teardown(test_different_heads_stay_apart, tear_down),
        cmocka_unit_test_teardown(test_same_bytes_as_another_data_kind_stay_apart, tear_down),
        cmocka_unit_test_teardown(test_colliding_hashes, tear_down),
        cmocka_unit_test_teardown(test_colliding_kinds, tear_down),
        cmocka_unit_test_teardown(test_colliding_parents, tear_down),
        cmocka_unit_test_teardown(test_size_splits_a_run, tear_down),
        cmocka_unit_test_teardown(test_abandoned_in_the_middle, tear_down),
        cmocka_unit_test_teardown(test_point_larger_than_the_size_goes_alone, tear_down),
        cmocka_unit_test_teardown(test_due_by_age, tear_down),
        cmocka_unit_test_teardown(test_never_pins_an_arena_for_a_rare_point, tear_down),
        cmocka_unit_test_teardown(test_a_young_batch_copies_nothing, tear_down),
        cmocka_unit_test_teardown(test_arena_that_becomes_sparse_in_the_open_batch, tear_down),
        cmocka_unit_test_teardown(test_no_budget_for_a_copy_keeps_the_arena, tear_down),
        cmocka_unit_test_teardown(test_a_scope_where_another_lay, tear_down),
        cmocka_unit_test_teardown(test_free_with_an_open_batch, tear_down),
        cmocka_unit_test_teardown(test_asking_looks_at_few_points, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
