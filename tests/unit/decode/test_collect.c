/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/decode/collect_quick.h"
#include "fixture.h"
#include "support.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct weir_bytes none;

static int open_fixture(void **state)
{
    static struct fixture fixture;
    fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static const struct weir_metric *metric_of(struct weir_collect *collect, const char *resource,
                                           const char *metric)
{
    const struct weir_resource *interned =
        weir_collect_resource(collect, weir_bytes_str(resource), none, none);
    struct weir_metric key = {.scope = weir_collect_scope(collect, interned, none),
                              .head = weir_bytes_str(metric),
                              .data = WEIR_METRIC_SUMMARY};
    return weir_collect_metric(collect, &key);
}

static void test_equal_heads_are_one_struct(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    const struct weir_metric *metric = metric_of(collect, "r", "m");
    char again[] = "m";
    assert_ptr_equal(metric_of(collect, "r", again), metric);
    assert_ptr_not_equal(metric_of(collect, "r", "n"), metric);
    assert_ptr_not_equal(metric_of(collect, "s", "m"), metric);
    assert_ptr_not_equal(metric_of(collect, "s", "m")->scope, metric->scope);
}

static void test_each_part_of_a_metric_counts(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    const struct weir_metric *metric = metric_of(collect, "r", "m");
    struct weir_metric key = *metric;
    assert_ptr_equal(weir_collect_metric(collect, &key), metric);
    key.data = WEIR_METRIC_GAUGE;
    assert_ptr_not_equal(weir_collect_metric(collect, &key), metric);
    key = *metric;
    key.data_head = WEIR_BYTES("d");
    assert_ptr_not_equal(weir_collect_metric(collect, &key), metric);
    key = *metric;
    key.scope = weir_collect_scope(collect, metric->scope->resource, WEIR_BYTES("scope"));
    assert_ptr_not_equal(weir_collect_metric(collect, &key), metric);
}

/* As one metric each, with points in two places each, whatever their hash: that is put back before
 * the runs are checked. */
static void test_metrics_of_one_hash_stay_apart(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    enum { KEYS = 6 };
    struct weir_metric keys[KEYS];
    const struct weir_metric *known[KEYS];
    const struct weir_metric *found[KEYS];
    struct weir_runs runs;
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = *metric_of(collect, "r", "m");
    }
    keys[1].head = WEIR_BYTES("n");
    keys[2].data = WEIR_METRIC_GAUGE;
    keys[3].data_head = WEIR_BYTES("d");
    keys[4].data_head = WEIR_BYTES("e");
    keys[5].scope = weir_collect_scope(collect, keys[0].scope->resource, WEIR_BYTES("scope"));
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i].hash = 7;
        weir_collect_find(collect, &keys[i], 1, &found[i]);
        assert_null(found[i]);
        known[i] = weir_collect_asked(collect, &keys[i]);
        weir_collect_point(collect, known[i], WEIR_BYTES("EC2"), none, 1);
        weir_collect_point(collect, known[i], WEIR_BYTES("EBS"), none, 1);
    }
    weir_collect_find(collect, keys, KEYS, found);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_ptr_equal(found[i], known[i]);
        assert_ptr_equal(weir_collect_asked(collect, &keys[i]), known[i]);
        ((struct weir_metric *)(uintptr_t)known[i])->hash = weir_metric_hash(known[i]);
    }
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_int_equal(runs.count, 2);
    for (unsigned i = 0; i < 2 * KEYS; i++) {
        assert_ptr_equal(runs.runs[i / KEYS].points[i % KEYS].metric, known[i % KEYS]);
    }
}

/* Asked for in an empty table, in one that grows before they are fetched, and in a full one. */
static void test_metrics_asked_for_together(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    const struct weir_metric *known[1000];
    struct weir_metric keys[WEIR_COLLECT_TOGETHER];
    static char heads[1000][4];
    weir_collect_ask(collect, keys, 0);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 1000; i += 10) {
            for (unsigned k = 0; k < 10; k++) {
                snprintf(heads[i + k], sizeof(heads[0]), "%03u", (i + k) % 1000);
                keys[k] = *metric_of(collect, "r", "any");
                keys[k].head = weir_bytes_of(heads[i + k], 3);
            }
            weir_collect_ask(collect, keys, 10);
            for (unsigned k = 0; k < 10; k++) {
                const struct weir_metric *metric = weir_collect_asked(collect, &keys[k]);
                assert_ptr_equal(metric, metric_of(collect, "r", heads[i + k]));
                assert_true(round == 0 || metric == known[i + k]);
                known[i + k] = metric;
            }
        }
    }
}

/* Names with room before them find the places that others have made, whatever stands there, in
 * metrics that have the name in their head and in others; names that differ in one byte do not. */
static void test_roomy_names_find_the_same_places(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    enum { SIZES = 50, END = SIZES + WEIR_COLLECT_ROOM };
    static char head[16 + SIZES + 2];
    static uint8_t names[3][END];
    struct weir_runs runs;
    for (size_t size = 1; size < SIZES; size++) {
        memset(head, 'h', 16);
        memset(head + 16, 'a', size);
        snprintf(head + 16 + size, 2, "%c", (char)('/' + size % 2));
        const struct weir_metric *metric = metric_of(collect, "r", size % 3 == 0 ? "m" : head);
        memset(names, 'x', sizeof(names));
        for (unsigned i = 0; i < 3; i++) {
            memset(names[i] + END - size, 'a', size);
        }
        memset(names[0], 'y', END - size);
        names[2][END - 1 - size / 2] = 'b';
        struct weir_bytes a = weir_bytes_of(names[0] + END - size, size);
        struct weir_bytes again = weir_bytes_of(names[1] + END - size, size);
        struct weir_bytes b = weir_bytes_of(names[2] + END - size, size);
        weir_collect_point(collect, metric, a, WEIR_BYTES("1"), 1);
        weir_collect_roomy_point(collect, metric, again, WEIR_BYTES("2"), 1);
        weir_collect_roomy_point(collect, metric, b, WEIR_BYTES("3"), 1);
        weir_collect_roomy_point(collect, metric, again, WEIR_BYTES("4"), 1);
        assert_int_equal(collect->points, 4 * size);
    }
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_int_equal(runs.count, 2 * (SIZES - 1));
    for (uint32_t i = 0; i < runs.count; i++) {
        assert_int_equal(runs.runs[i].count, i % 2 == 0 ? 3 : 1);
        assert_int_equal(runs.runs[i].name.size, i / 2 + 1);
    }
}

/* What stands in a metric's head is no namespace of its own: the points' is, and the two may be of
 * one size. */
static void test_a_head_with_another_name(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    static const char *const order[] = {"AWS/EBS", "AWS/EC2", "AWS/EBS", "AWS/SQS", "AWS/EC2"};
    enum { SIZE = WEIR_COLLECT_ROOM + 7 };
    struct weir_runs runs;
    const struct weir_metric *metric = metric_of(collect, "r", "..amazonaws.com/AWS/EC2/Cpu");
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        uint8_t *name = weir_arena_alloc(fixture->arena, SIZE, 1);
        assert_non_null(name);
        memset(name, 'x', SIZE);
        memcpy(name + WEIR_COLLECT_ROOM, order[i], 7);
        weir_collect_roomy_point(collect, metric, weir_bytes_of(name + WEIR_COLLECT_ROOM, 7), none,
                                 1);
    }
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_int_equal(runs.count, 3);
    static const uint32_t counts[] = {2, 2, 1};
    for (uint32_t i = 0; i < 3; i++) {
        support_assert_bytes(runs.runs[i].name, weir_bytes_str(order[i == 2 ? 3 : i]));
        assert_int_equal(runs.runs[i].count, counts[i]);
    }
}

static void test_runs_by_resource_and_namespace_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    struct weir_runs runs;
    const struct weir_metric *a = metric_of(collect, "r", "a");
    const struct weir_metric *b = metric_of(collect, "s", "a");
    weir_collect_point(collect, a, WEIR_BYTES("EC2"), WEIR_BYTES("1"), 10);
    weir_collect_point(collect, a, WEIR_BYTES("EBS"), WEIR_BYTES("22"), 50);
    weir_collect_point(collect, b, WEIR_BYTES("EC2"), WEIR_BYTES("333"), 0);
    weir_collect_point(collect, a, WEIR_BYTES("EC2"), WEIR_BYTES("4444"), 7);
    weir_collect_point(collect, a, none, none, 0);
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_true(weir_runs_validate(&runs));
    assert_int_equal(runs.count, 4);
    assert_int_equal(runs.points, 5);
    assert_int_equal(runs.runs[0].count, 2);
    assert_true(runs.runs[0].newest_ns == 10);
    assert_int_equal(runs.runs[0].bytes, 3 + 6);
    support_assert_bytes(weir_bytes_of(runs.runs[0].points[1].data, 4), WEIR_BYTES("4444"));
    support_assert_bytes(runs.runs[1].name, WEIR_BYTES("EC2"));
    assert_ptr_equal(runs.runs[1].resource, b->scope->resource);
    support_assert_bytes(runs.runs[2].name, WEIR_BYTES("EBS"));
    assert_int_equal(runs.runs[3].name.size, 0);
    assert_ptr_equal(runs.runs[0].arena, fixture->arena);
}

/* Namespaces in the order of their first points that remain, a namespace's resources likewise. */
static void test_runs_of_a_namespace_stand_together(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    static const char *const order[] = {"xEBS", "rEBS", "sEC2", "rEBS", "rEC2", "sEBS", "rSQS"};
    static const char *const sorted[] = {"sEC2", "rEC2", "rEBS", "sEBS", "rSQS"};
    struct weir_runs runs;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const char resource[2] = {order[i][0], '\0'};
        char *head = weir_arena_alloc(fixture->arena, 2, 1);
        memcpy(head, resource, 2);
        weir_collect_point(collect, metric_of(collect, head, "a"), weir_bytes_str(order[i] + 1),
                           WEIR_BYTES("1"), 1);
        if (i == 1) {
            weir_collect_rollback(collect, (struct weir_collect_mark){0});
        }
    }
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_true(weir_runs_validate(&runs));
    assert_int_equal(runs.count, sizeof(sorted) / sizeof(sorted[0]));
    for (uint32_t i = 0; i < runs.count; i++) {
        support_assert_bytes(runs.runs[i].name, weir_bytes_str(sorted[i] + 1));
        assert_int_equal(runs.runs[i].resource->head.data[0], sorted[i][0]);
    }
}

/* The sizes of a run's points, which name them in the tests below. */
static void check_sizes(const struct weir_run *run, const uint32_t *sizes, uint32_t count)
{
    assert_int_equal(run->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(run->points[i].size, sizes[i]);
    }
}

/* Metrics in the order of their first points, a metric's points in the order they came. */
static void test_points_of_a_metric_stand_together(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    static const uint8_t content[16];
    static const char order[] = "bacabbca";
    struct weir_runs runs;
    for (uint32_t i = 0; order[i] != '\0'; i++) {
        const char name[2] = {order[i], '\0'};
        char *head = weir_arena_alloc(fixture->arena, 2, 1);
        memcpy(head, name, 2);
        weir_collect_point(collect, metric_of(collect, "r", head), WEIR_BYTES("EC2"),
                           weir_bytes_of(content, i), (int64_t)(100 - i));
    }
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_true(weir_runs_validate(&runs));
    assert_int_equal(runs.count, 1);
    assert_true(runs.runs[0].newest_ns == 100);
    const uint32_t sizes[] = {0, 4, 5, 1, 3, 7, 2, 6};
    check_sizes(&runs.runs[0], sizes, 8);
}

/* What was taken back does not decide who is first: neither among runs nor among metrics. */
static void test_a_rollback_leaves_no_trace_in_the_order(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    static const uint8_t content[16];
    struct weir_runs runs;
    const struct weir_metric *a = metric_of(collect, "r", "a");
    const struct weir_metric *b = metric_of(collect, "r", "b");
    weir_collect_point(collect, a, WEIR_BYTES("EBS"), weir_bytes_of(content, 9), 99);
    weir_collect_point(collect, a, WEIR_BYTES("EC2"), weir_bytes_of(content, 9), 99);
    weir_collect_rollback(collect, (struct weir_collect_mark){0});
    weir_collect_point(collect, b, WEIR_BYTES("EC2"), weir_bytes_of(content, 1), 1);
    weir_collect_point(collect, a, WEIR_BYTES("EC2"), weir_bytes_of(content, 2), 2);
    weir_collect_point(collect, a, WEIR_BYTES("EBS"), weir_bytes_of(content, 3), 3);
    weir_collect_point(collect, b, WEIR_BYTES("EC2"), weir_bytes_of(content, 4), 4);
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_true(weir_runs_validate(&runs));
    assert_int_equal(runs.count, 2);
    support_assert_bytes(runs.runs[0].name, WEIR_BYTES("EC2"));
    const uint32_t sizes[] = {1, 4, 2};
    check_sizes(&runs.runs[0], sizes, 3);
    assert_true(runs.runs[0].newest_ns == 4);
    const uint32_t other[] = {3};
    check_sizes(&runs.runs[1], other, 1);
}

/* One metric whose points change namespace each time: the metric alone is no shortcut. */
static void test_one_metric_in_two_namespaces(void **state)
{
    struct fixture *fixture = *state;
    struct weir_runs runs;
    const struct weir_metric *metric = metric_of(fixture->collect, "r", "m");
    for (unsigned i = 0; i < 3000; i++) {
        weir_collect_point(fixture->collect, metric,
                           i % 2 == 0 ? WEIR_BYTES("even") : WEIR_BYTES("odd"), WEIR_BYTES("x"), 1);
    }
    assert_int_equal(weir_collect_finish(fixture->collect, &runs), WEIR_OK);
    assert_int_equal(runs.count, 2);
    assert_int_equal(runs.runs[0].count, 1500);
    assert_int_equal(runs.runs[1].count, 1500);
    assert_true(weir_runs_validate(&runs));
}

static void test_nothing_makes_no_runs(void **state)
{
    struct fixture *fixture = *state;
    struct weir_runs runs = {.count = 9};
    assert_int_equal(weir_collect_finish(fixture->collect, &runs), WEIR_OK);
    assert_int_equal(runs.count, 0);
    assert_int_equal(runs.points, 0);
}

/* Back over several blocks, to an edge, and to nothing; what is added after takes their place. */
static void test_rollback(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    const uint32_t marks[] = {0, 1, 511, 512, 513, 1024, 4100};
    const struct weir_metric *metric = metric_of(collect, "r", "m");
    static uint8_t content[8192];
    for (size_t m = 0; m < sizeof(marks) / sizeof(marks[0]); m++) {
        while (collect->points < 5000) {
            weir_collect_point(collect, metric, WEIR_BYTES("bad"),
                               weir_bytes_of(content, collect->points), 99);
        }
        weir_collect_rollback(collect, (struct weir_collect_mark){marks[m]});
        assert_int_equal(collect->points, marks[m]);
    }
    weir_collect_rollback(collect, (struct weir_collect_mark){0});
    for (uint32_t i = 0; i < 2500; i++) {
        weir_collect_point(collect, metric, WEIR_BYTES("good"), weir_bytes_of(content, i), 1);
    }
    struct weir_runs runs;
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_int_equal(runs.count, 1); /* "bad" is left without points */
    assert_true(runs.runs[0].newest_ns == 1);
    assert_true(weir_runs_validate(&runs));
    for (uint32_t i = 0; i < 2500; i++) {
        assert_int_equal(runs.runs[0].points[i].size, i);
    }
}

/* What a body at its limit can hold must not run out of the arena's regions. */
static void test_as_many_as_a_body_can_hold(void **state)
{
    struct fixture *fixture = *state;
    struct weir_collect *collect = fixture->collect;
    struct weir_runs runs;
    for (uint32_t i = 0; i < 200000; i++) {
        char *head = weir_arena_alloc(fixture->arena, 8, 1);
        assert_non_null(head);
        snprintf(head, 8, "%07u", i / 4);
        const struct weir_metric *metric = metric_of(collect, "r", head);
        weir_collect_point(collect, metric, weir_bytes_of(head, 4), WEIR_BYTES("x"), 1);
    }
    assert_int_equal(weir_collect_finish(collect, &runs), WEIR_OK);
    assert_int_equal(runs.points, 200000);
    assert_int_equal(runs.count, 50);
    assert_true(weir_runs_validate(&runs));
}

static void roll_forward(void *argument)
{
    struct fixture *fixture = argument;
    weir_collect_rollback(fixture->collect, (struct weir_collect_mark){1});
}

static void test_rolling_forward_is_our_bug(void **state)
{
    assert_true(support_aborts(roll_forward, *state));
}

/* At every size of the budget: full is sticky and harmless, or all is well. */
static void test_a_full_arena_is_sticky(void **state)
{
    (void)state;
    unsigned full = 0;
    for (size_t budget = 0; budget < (size_t)2 << 20; budget += (size_t)32 << 10) {
        struct fixture fixture;
        struct weir_runs runs = {.count = 77};
        fixture_open_bare(&fixture, budget);
        struct weir_collect *collect = weir_collect_new(fixture.arena);
        static char names[400][8];
        for (unsigned i = 0; collect != NULL && i < 12000; i++) {
            names[i % 400][0] = (char)('a' + i % 20);
            names[i % 400][1] = (char)('a' + i % 400 / 20);
            const struct weir_metric *metric = metric_of(collect, "r", names[i % 400]);
            assert_non_null(metric->scope->resource);
            weir_collect_point(collect, metric, weir_bytes_str(names[i % 400]), WEIR_BYTES("x"), 1);
        }
        if (collect == NULL || weir_collect_finish(collect, &runs) != WEIR_OK) {
            full++;
            assert_int_equal(runs.count, 77); /* untouched */
            assert_true(collect == NULL || collect->full);
        } else {
            assert_int_equal(runs.points, 12000);
            assert_true(weir_runs_validate(&runs));
        }
        fixture_close(&fixture);
    }
    assert_in_range(full, 5, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_equal_heads_are_one_struct, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_each_part_of_a_metric_counts, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_metrics_of_one_hash_stay_apart, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_metrics_asked_for_together, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_roomy_names_find_the_same_places, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_a_head_with_another_name, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_runs_by_resource_and_namespace_in_order, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_runs_of_a_namespace_stand_together, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_points_of_a_metric_stand_together, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_a_rollback_leaves_no_trace_in_the_order, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_one_metric_in_two_namespaces, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_nothing_makes_no_runs, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_rollback, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_as_many_as_a_body_can_hold, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_rolling_forward_is_our_bug, open_fixture,
                                        close_fixture),
        cmocka_unit_test(test_a_full_arena_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
