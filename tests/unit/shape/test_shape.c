/* SPDX-License-Identifier: Apache-2.0 */
#include "shape_fixture.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CPU "amazonaws.com/AWS/EC2/CPU"

static const char *const instance[] = {"InstanceId", "i-1", NULL};

/* A Summary as AWS sends it: minimum 1, p99.9 and maximum 9. */
static void put_summary(struct weir_buf *out, const char *const *dimensions)
{
    const double quantiles[][2] = {{0, 1}, {0.999, 8.5}, {1, 9}};
    weir_pbw_fixed64(out, 2, 100);
    weir_pbw_fixed64(out, 3, 160);
    weir_pbw_fixed64(out, 4, 3);
    weir_pbw_double(out, 5, 12.5);
    for (size_t i = 0; i < 3; i++) {
        weir_pbw_begin(out, 6, 18);
        weir_pbw_double(out, 1, quantiles[i][0]);
        weir_pbw_double(out, 2, quantiles[i][1]);
    }
    shape_attribute(out, 7, "Namespace", "AWS/EC2");
    shape_attribute(out, 7, "MetricName", "CPU");
    shape_dimensions(out, 7, dimensions);
}

static void add_summary(struct shape_fixture *fixture, const char *const *dimensions)
{
    static uint8_t room[SHAPE_ROOM];
    struct weir_buf point = weir_buf_fixed(room, sizeof(room));
    put_summary(&point, dimensions);
    assert_false(point.failed);
    shape_point(fixture, weir_buf_view(&point));
}

static void open_cpu(struct shape_fixture *fixture, const char *const *dimensions)
{
    shape_fixture_open(fixture, "AWS/EC2");
    shape_metric(fixture, CPU, "%", WEIR_METRIC_SUMMARY);
    add_summary(fixture, dimensions);
}

static void test_nothing_asked_for_is_not_needed(void **state)
{
    (void)state;
    const char *const none[] = {NULL};
    const struct weir_shape_attribute nothing[] = {{NULL, NULL}};
    struct weir_shape_options options = {.promote = none, .resource = nothing};
    options.metrics_include = none;
    options.suffix_min = ".lowest"; /* of gauges that nobody asked for */
    assert_false(weir_shape_is_needed(&options));
    options.attributes_max = 50;
    assert_true(weir_shape_is_needed(&options));
    assert_true(weir_shape_is_needed(&(struct weir_shape_options){.scope_name = ""}));
    assert_true(weir_shape_is_needed(&(struct weir_shape_options){.max_point_age_ns = 1}));
}

static void test_kept_points_are_copies(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    open_cpu(&fixture, instance);
    assert_string_equal(shape_fixture_run(&fixture, &(struct weir_shape_options){0}),
                        "0 " CPU " [%] summary start=100 time=160 count=3 sum=12.5 q0=1 q0.999=8.5 "
                        "q1=9 {Namespace=AWS/EC2 MetricName=CPU Dimensions={InstanceId=i-1}}\n");
    const struct weir_run *out = &fixture.shaped.run;
    assert_ptr_not_equal(out->points[0].data, fixture.points[0].data);
    assert_memory_equal(out->points[0].data, fixture.points[0].data, fixture.points[0].size);
    assert_true(out->points[0].metric->hash == fixture.metrics[0].hash);
    assert_true(weir_bytes_eq(out->name, fixture.run.name));
    assert_ptr_not_equal(out->origin, fixture.run.origin);
    assert_true(weir_bytes_eq(out->origin->request_id, fixture.origin.request_id));
    assert_int_equal(out->first, 7);
    assert_int_equal(out->newest_ns, 99);
    shape_fixture_close(&fixture);
}

#define ATTRIBUTES " {Namespace=AWS/EC2 MetricName=CPU Dimensions={InstanceId=i-1}}\n"

static void test_gauges(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    open_cpu(&fixture, instance);
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_GAUGES};
    assert_string_equal(shape_fixture_run(&fixture, &options),
                        "0 " CPU ".min [%] gauge start=100 time=160 double=1" ATTRIBUTES "0 " CPU
                        ".max [%] gauge start=100 time=160 double=9" ATTRIBUTES "0 " CPU
                        ".sum [%] gauge start=100 time=160 double=12.5" ATTRIBUTES "0 " CPU
                        ".count [{Count}] gauge start=100 time=160 int=3" ATTRIBUTES "0 " CPU
                        ".p99.9 [%] gauge start=100 time=160 double=8.5" ATTRIBUTES);
    shape_fixture_close(&fixture);
}

static void test_suffixes_are_the_operators(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    open_cpu(&fixture, instance);
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_GAUGES,
                                               .suffix_min = "_minimum",
                                               .suffix_count = "",
                                               .suffix_percentile = "_"};
    const char *text = shape_fixture_run(&fixture, &options);
    assert_non_null(strstr(text, CPU "_minimum [%]"));
    assert_non_null(strstr(text, CPU " [{Count}] gauge start=100 time=160 int=3"));
    assert_non_null(strstr(text, CPU "_99.9 [%]"));
    shape_fixture_close(&fixture);
}

static void test_exponential(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    open_cpu(&fixture, instance);
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_EXPONENTIAL};
    assert_string_equal(shape_fixture_run(&fixture, &options),
                        "0 " CPU " [%] exponential start=100 time=160 count=3 sum=12.5 zeros=3 "
                        "min=1 max=9 threshold=9" ATTRIBUTES "0 " CPU
                        ".p99.9 [%] gauge start=100 time=160 double=8.5" ATTRIBUTES);
    const struct weir_metric *metric = fixture.shaped.run.points[0].metric;
    assert_true(weir_bytes_eq(metric->data_head, WEIR_BYTES("\x10\x01"))); /* delta */
    shape_fixture_close(&fixture);
}

/* What proto3 leaves out is 0; a minimum that is not there is none. */
static void test_absent_fields(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, CPU, "%", WEIR_METRIC_SUMMARY);
    shape_point(&fixture, WEIR_BYTES("\x32\x00")); /* an empty quantile: a minimum of 0 */
    shape_point(&fixture, WEIR_BYTES("\x40\x01")); /* NO_RECORDED_VALUE */
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_GAUGES};
    assert_string_equal(shape_fixture_run(&fixture, &options),
                        "0 " CPU ".min [%] gauge double=0 {}\n"
                        "0 " CPU ".sum [%] gauge double=0 {}\n"
                        "0 " CPU ".count [{Count}] gauge int=0 {}\n"
                        "1 " CPU ".sum [%] gauge double=0 flags=1 {}\n"
                        "1 " CPU ".count [{Count}] gauge int=0 flags=1 {}\n");
    shape_fixture_close(&fixture);
}

static void test_threshold_covers_negative_and_unknown(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    shape_fixture_open(&fixture, "AWS/RDS");
    shape_metric(&fixture, CPU, "By", WEIR_METRIC_SUMMARY);
    uint8_t room[256];
    for (int with_max = 0; with_max < 2; with_max++) {
        struct weir_buf point = weir_buf_fixed(room, sizeof(room));
        weir_pbw_fixed64(&point, 4, 2);
        weir_pbw_begin(&point, 6, 9);
        weir_pbw_double(&point, 2, -7);
        if (with_max) {
            weir_pbw_begin(&point, 6, 18);
            weir_pbw_double(&point, 1, 1);
            weir_pbw_double(&point, 2, -1);
        }
        shape_point(&fixture, weir_buf_view(&point));
    }
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_EXPONENTIAL};
    assert_string_equal(shape_fixture_run(&fixture, &options),
                        "0 " CPU " [By] exponential count=2 sum=0 zeros=2 min=-7 threshold=inf {}\n"
                        "1 " CPU " [By] exponential count=2 sum=0 zeros=2 min=-7 max=-1 "
                        "threshold=7 {}\n");
    shape_fixture_close(&fixture);
}

static void test_refusals(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    open_cpu(&fixture, instance);                              /* 0: three attributes, time 160 */
    shape_point(&fixture, WEIR_BYTES("\x19\1\0\0\0\0\0\0\0")); /* 1: time 1 */
    shape_point(&fixture, WEIR_BYTES("\x32\x00"));             /* 2: no time, never too old */
    shape_point(&fixture, WEIR_BYTES("\x20\x00"));             /* 3: the count as a varint */
    struct weir_buf many = weir_buf_grow_init(1 << 20);
    for (unsigned i = 0; i <= WEIR_SHAPE_QUANTILES_MAX; i++) {
        weir_buf_put(&many, WEIR_BYTES("\x32\x00"));
    }
    shape_point(&fixture, weir_buf_view(&many)); /* 4 */
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_GAUGES,
                                               .max_point_age_ns = 1000000 - 160,
                                               .attributes_max = 2};
    (void)shape_fixture_run(&fixture, &options);
    const struct weir_shape_refused *refused = fixture.shaped.refused;
    assert_int_equal(fixture.shaped.refused_count, 4);
    assert_int_equal(refused[0].index, 0);
    assert_int_equal(refused[0].reason, WEIR_SHAPE_TOO_MANY_ATTRIBUTES);
    assert_int_equal(refused[1].index, 1);
    assert_int_equal(refused[1].reason, WEIR_SHAPE_TOO_OLD);
    assert_int_equal(refused[2].index, 3);
    assert_int_equal(refused[2].reason, WEIR_SHAPE_MALFORMED);
    assert_int_equal(refused[3].index, 4);
    assert_int_equal(refused[3].reason, WEIR_SHAPE_TOO_MANY_QUANTILES);
    assert_int_equal(fixture.shaped.run.points[0].run, 2);
    weir_buf_done(&many);
    shape_fixture_close(&fixture);
}

/* The age at its edge; a kept point's is looked for in its bytes. */
static void test_age_at_its_edge(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct shape_fixture fixture;
        open_cpu(&fixture, instance);
        const struct weir_shape_options options = {.max_point_age_ns = 1000000 - 160 - over};
        (void)shape_fixture_run(&fixture, &options);
        assert_int_equal(fixture.shaped.refused_count, over);
        assert_int_equal(fixture.shaped.run.count, 1 - over);
        shape_fixture_close(&fixture);
    }
}

static void test_options_that_contradict(void **state)
{
    (void)state;
    const char *const twice[] = {"a", "", NULL};
    const struct weir_shape_attribute same[] = {{"a", "1"}, {"a", "2"}, {NULL, NULL}};
    const struct weir_shape_attribute empty[] = {{"a", NULL}, {NULL, NULL}};
    const struct weir_shape_options wrong[] = {
        {.scope_version = "1"},
        {.suffix_min = ".max"},
        {.suffix_sum = "\xff"},
        {.max_point_age_ns = -1},
        {.key_bytes_max = 15},
        {.promote = twice},
        {.resource = same},
        {.resource = empty},
        {.summary = (enum weir_shape_summary)3},
        {.names = (enum weir_shape_names)4},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct weir_shape *shape = NULL;
        assert_int_equal(weir_shape_new(&wrong[i], &shape), WEIR_EINVAL);
        assert_null(shape);
    }
    weir_shape_free(NULL);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct weir_shape *shape = NULL;
        (void)weir_mem_fail_at(nth);
        assert_int_equal(weir_shape_new(&(struct weir_shape_options){0}, &shape), WEIR_ENOMEM);
        assert_null(shape);
    }
    (void)weir_mem_fail_at(0);
}

/* Whatever the arena has room for, the result is whole or untouched. */
static void test_full_arena(void **state)
{
    (void)state;
    static const char *const promote[] = {"cloud.region", NULL};
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_GAUGES,
                                               .dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,
                                               .names = WEIR_SHAPE_NAMES_DYNATRACE,
                                               .promote = promote,
                                               .scope_name = "aws.cloudwatch"};
    unsigned full = 0;
    for (size_t budget = 0; budget < (size_t)64 << 10; budget += 4096) {
        struct shape_fixture fixture;
        open_cpu(&fixture, instance);
        for (unsigned i = 0; i < 40; i++) {
            add_summary(&fixture, instance);
        }
        fixture.budget_left = budget;
        assert_int_equal(weir_shape_new(&options, &fixture.shape), WEIR_OK);
        fixture.shaped.refused_count = 77;
        enum weir_status status =
            weir_shape_run(fixture.shape, &fixture.run, 0, fixture.out_arena, &fixture.shaped);
        assert_true(status == WEIR_OK || status == WEIR_EFULL);
        assert_int_equal(fixture.shaped.refused_count, status == WEIR_OK ? 0 : 77);
        full += status == WEIR_EFULL;
        shape_fixture_close(&fixture);
    }
    assert_in_range(full, 5, 15);
}

/* What becomes something else is decoded as this: nothing outside the arena, after new(). */
static void test_no_allocation_but_the_arena(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    open_cpu(&fixture, instance);
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_GAUGES,
                                               .dimensions = WEIR_SHAPE_DIMENSIONS_JSON};
    (void)shape_fixture_run(&fixture, &options);
    weir_arena_reset(fixture.out_arena);
    uint64_t calls = weir_mem_calls();
    assert_int_equal(
        weir_shape_run(fixture.shape, &fixture.run, 0, fixture.out_arena, &fixture.shaped),
        WEIR_OK);
    assert_int_equal(weir_mem_calls(), calls);
    shape_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_asked_for_is_not_needed),
        cmocka_unit_test(test_kept_points_are_copies),
        cmocka_unit_test(test_gauges),
        cmocka_unit_test(test_suffixes_are_the_operators),
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_absent_fields),
        cmocka_unit_test(test_threshold_covers_negative_and_unknown),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_age_at_its_edge),
        cmocka_unit_test(test_options_that_contradict),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_full_arena),
        cmocka_unit_test(test_no_allocation_but_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
