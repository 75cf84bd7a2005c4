/* SPDX-License-Identifier: Apache-2.0 */
/* weir_runs_validate must see each way in which runs can disagree with their points: each test
 * breaks one thing. */
#include "support.h"
#include "weir/point.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct sample {
    struct weir_resource resource;
    struct weir_scope scope;
    struct weir_metric metric;
    struct weir_point points[3];
    struct weir_run run[2];
    struct weir_runs runs;
};

/* Two runs of two and one points, all in order. */
static void build(struct sample *sample)
{
    static const uint8_t content[300];
    *sample = (struct sample){0};
    sample->resource.head = WEIR_BYTES("resource");
    sample->resource.hash = weir_resource_hash(sample->resource.head);
    sample->scope = (struct weir_scope){.resource = &sample->resource};
    sample->scope.hash = weir_scope_hash(&sample->scope);
    sample->metric = (struct weir_metric){
        .scope = &sample->scope, .head = WEIR_BYTES("metric"), .data = WEIR_METRIC_SUMMARY};
    sample->metric.hash = weir_metric_hash(&sample->metric);
    sample->points[0] = (struct weir_point){content, 10, 0, &sample->metric};
    sample->points[1] = (struct weir_point){content, 300, 0, &sample->metric};
    sample->points[2] = (struct weir_point){NULL, 0, 1, &sample->metric};
    sample->run[0] = (struct weir_run){
        .resource = &sample->resource, .points = sample->points, .count = 2, .bytes = 12 + 303};
    sample->run[1] = (struct weir_run){
        .resource = &sample->resource, .points = sample->points + 2, .count = 1, .bytes = 2};
    sample->runs = (struct weir_runs){sample->run, 2, 3, 12 + 303 + 2};
}

static void test_sound_runs_are_valid(void **state)
{
    (void)state;
    struct sample sample;
    struct weir_runs none = {0};
    build(&sample);
    assert_true(weir_runs_validate(&sample.runs));
    assert_true(weir_runs_validate(&none));
}

#define BROKEN(statement)                                                                          \
    do {                                                                                           \
        struct sample sample;                                                                      \
        build(&sample);                                                                            \
        statement;                                                                                 \
        assert_false(weir_runs_validate(&sample.runs));                                            \
    } while (0)

static void test_wrong_counts_and_sizes(void **state)
{
    (void)state;
    BROKEN(sample.runs.points = 4);
    BROKEN(sample.runs.bytes++);
    BROKEN(sample.run[0].bytes--);
    BROKEN(sample.run[1].count = 0);
    BROKEN(sample.run[0].count = 3);
    BROKEN(sample.points[1].size = 299);
}

static void test_wrong_pointers(void **state)
{
    (void)state;
    BROKEN(sample.points[0].data = NULL);
    BROKEN(sample.points[2].metric = NULL);
    BROKEN(sample.points[2].run = 0);
    BROKEN(sample.run[1].points = NULL);
    BROKEN(sample.run[0].resource = NULL);
    BROKEN(sample.metric.scope = NULL);
}

static void test_a_run_holds_one_resource(void **state)
{
    (void)state;
    struct weir_resource other = {.head = WEIR_BYTES("other")};
    other.hash = weir_resource_hash(other.head);
    BROKEN(sample.run[0].resource = &other);
}

static void test_wrong_hashes(void **state)
{
    (void)state;
    BROKEN(sample.resource.hash++);
    BROKEN(sample.scope.hash++);
    BROKEN(sample.metric.hash++);
    BROKEN(sample.metric.head = WEIR_BYTES("Metric"));
    BROKEN(sample.metric.data = WEIR_METRIC_GAUGE);
    BROKEN(sample.metric.data_head = WEIR_BYTES("delta"));
}

static void test_encoded_size(void **state)
{
    (void)state;
    assert_int_equal(weir_point_encoded_size(0), 2);
    assert_int_equal(weir_point_encoded_size(127), 129);
    assert_int_equal(weir_point_encoded_size(128), 131);
    assert_int_equal(weir_point_encoded_size(16383), 16386);
    assert_int_equal(weir_point_encoded_size(16384), 16388);
    assert_int_equal(weir_point_encoded_size(UINT32_MAX), (size_t)UINT32_MAX + 6);
}

/* Where a byte stands must matter: a head moved from one level to the next is another metric. */
static void test_hashes_tell_levels_apart(void **state)
{
    (void)state;
    struct sample a;
    struct sample b;
    build(&a);
    build(&b);
    b.metric.head = WEIR_BYTES("met");
    b.metric.data_head = WEIR_BYTES("ric");
    assert_true(weir_metric_hash(&a.metric) != weir_metric_hash(&b.metric));
    b.scope.head = WEIR_BYTES("metric");
    assert_true(weir_scope_hash(&a.scope) != weir_scope_hash(&b.scope));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_runs_are_valid),
        cmocka_unit_test(test_wrong_counts_and_sizes),
        cmocka_unit_test(test_wrong_pointers),
        cmocka_unit_test(test_a_run_holds_one_resource),
        cmocka_unit_test(test_wrong_hashes),
        cmocka_unit_test(test_encoded_size),
        cmocka_unit_test(test_hashes_tell_levels_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
