/* SPDX-License-Identifier: Apache-2.0 */
#include "shape_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const none[] = {NULL};

/* A point with nothing but the attributes MetricName and Dimensions. */
static void add_point(struct shape_fixture *fixture, const char *metric_name,
                      const char *const *dimensions)
{
    uint8_t room[4096];
    struct weir_buf point = weir_buf_fixed(room, sizeof(room));
    if (metric_name != NULL) {
        shape_attribute(&point, 7, "MetricName", metric_name);
    }
    shape_dimensions(&point, 7, dimensions);
    assert_false(point.failed);
    shape_point(fixture, weir_buf_view(&point));
}

/* The name that a Summary's point gets. */
static void check_name(enum weir_shape_names names, const char *namespace, const char *metric,
                       const char *const *dimensions, const char *expected)
{
    struct shape_fixture fixture;
    char name[512];
    (void)snprintf(name, sizeof(name), "amazonaws.com/%s/%s", namespace, metric);
    shape_fixture_open(&fixture, namespace);
    shape_metric(&fixture, name, "1", WEIR_METRIC_SUMMARY);
    add_point(&fixture, metric, dimensions);
    (void)shape_fixture_run(&fixture, &(struct weir_shape_options){.names = names});
    struct weir_bytes got = shape_text_head(fixture.shaped.run.points[0].metric->head, 1);
    assert_int_equal(got.size, strlen(expected));
    assert_memory_equal(got.data, expected, got.size);
    shape_fixture_close(&fixture);
}

/* Keys published by Dynatrace. */
static void test_dynatrace(void **state)
{
    (void)state;
    const char *const instance[] = {"InstanceId", "i-1", NULL};
    const char *const volume[] = {"VolumeId", "v", "InstanceId", "i-1", NULL};
    const enum weir_shape_names names = WEIR_SHAPE_NAMES_DYNATRACE;
    check_name(names, "AWS/EC2", "CPUUtilization", instance,
               "cloud.aws.ec2.CPUUtilization.By.InstanceId");
    check_name(names, "AWS/EBS", "VolumeAvgWriteLatency", volume,
               "cloud.aws.ebs.VolumeAvgWriteLatency.By.InstanceId.VolumeId");
    check_name(names, "AWS/Lambda", "ConcurrentExecutions", none,
               "cloud.aws.lambda.ConcurrentExecutions");
}

static void test_dynatrace_classic(void **state)
{
    (void)state;
    const char *const stage[] = {"Stage", "s",      "Resource", "r", "ApiName",
                                 "a",     "Method", "m",        NULL};
    const char *const small[] = {"instanceId", "i-1", NULL};
    const enum weir_shape_names names = WEIR_SHAPE_NAMES_DYNATRACE_CLASSIC;
    check_name(names, "AWS/Lambda", "ConcurrentExecutions", none,
               "cloud.aws.lambda.concurrentExecutionsByAccountIdRegion");
    check_name(names, "AWS/EC2", "CPUUtilization", small,
               "cloud.aws.ec2.cpuUtilizationByAccountIdRegionInstanceId");
    check_name(names, "AWS/EBS", "IOPS", none, "cloud.aws.ebs.iopsByAccountIdRegion");
    check_name(names, "AWS/ApiGateway", "4XXError", stage,
               "cloud.aws.apigateway.4xxErrorByAccountIdApiNameMethodRegionResourceStage");
}

static void test_dynatrace_of_odd_names(void **state)
{
    (void)state;
    const char *const odd[] = {"Cluster Name.x", "c", NULL};
    const enum weir_shape_names names = WEIR_SHAPE_NAMES_DYNATRACE;
    check_name(names, "AWS/CloudWatch/MetricStreams", "M", none,
               "cloud.aws.cloudwatch_metricstreams.M");
    check_name(names, "My App", "mem.used %\xc3\xa9", odd,
               "cloud.custom.my_app.mem.used___.By.Cluster_Name_x");
    check_name(WEIR_SHAPE_NAMES_DYNATRACE_CLASSIC, "My App", "m", odd,
               "cloud.custom.my_app.mByAccountIdCluster_Name_xRegion");
}

static void test_prometheus(void **state)
{
    (void)state;
    check_name(WEIR_SHAPE_NAMES_PROMETHEUS, "AWS/EC2", "CPU.\xc3\xa9:x", none,
               "amazonaws_com_AWS_EC2_CPU__:x");
}

/* A statistic in the name comes after the dimensions; a leading digit and another's name. */
static void test_statistics_and_others(void **state)
{
    (void)state;
    const char *const instance[] = {"Id", "i", NULL};
    const enum weir_shape_names names[] = {WEIR_SHAPE_NAMES_DYNATRACE, WEIR_SHAPE_NAMES_PROMETHEUS};
    const char *const expected[] = {"0 cloud.aws.ec2.CPU.By.Id.tm90 [1] gauge {MetricName=CPU "
                                    "Dimensions={Id=i}}\n"
                                    "1 9lives/x.y [1] gauge {Dimensions={Id=i}}\n",
                                    "0 amazonaws_com_AWS_EC2_CPU_tm90 [1] gauge {MetricName=CPU "
                                    "Dimensions={Id=i}}\n"
                                    "1 _9lives_x_y [1] gauge {Dimensions={Id=i}}\n"};
    for (size_t i = 0; i < 2; i++) {
        struct shape_fixture fixture;
        shape_fixture_open(&fixture, "AWS/EC2");
        shape_metric(&fixture, "amazonaws.com/AWS/EC2/CPU.tm90", "1", WEIR_METRIC_GAUGE);
        add_point(&fixture, "CPU", instance);
        shape_metric(&fixture, "9lives/x.y", "1", WEIR_METRIC_GAUGE);
        add_point(&fixture, NULL, instance);
        const struct weir_shape_options options = {.names = names[i]};
        assert_string_equal(shape_fixture_run(&fixture, &options), expected[i]);
        shape_fixture_close(&fixture);
    }
}

/* Points of one input metric with two sets of dimensions have two names, each made once. */
static void test_a_name_for_each_set_of_dimensions(void **state)
{
    (void)state;
    const char *const a[] = {"A", "1", NULL};
    const char *const b[] = {"B", "1", NULL};
    struct shape_fixture fixture;
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "amazonaws.com/AWS/EC2/CPU", "1", WEIR_METRIC_GAUGE);
    for (unsigned i = 0; i < 6; i++) {
        add_point(&fixture, "CPU", i % 2 == 0 ? a : b);
    }
    const struct weir_shape_options options = {.names = WEIR_SHAPE_NAMES_DYNATRACE};
    const char *text = shape_fixture_run(&fixture, &options);
    assert_non_null(strstr(text, "4 cloud.aws.ec2.CPU.By.A "));
    assert_non_null(strstr(text, "5 cloud.aws.ec2.CPU.By.B "));
    const struct weir_point *points = fixture.shaped.run.points;
    assert_ptr_equal(points[0].metric, points[4].metric);
    assert_ptr_equal(points[1].metric, points[5].metric);
    assert_ptr_not_equal(points[0].metric, points[1].metric);
    shape_fixture_close(&fixture);
}

/* More sets than are looked at: names as ever, though some are made again. */
static void test_many_sets_of_dimensions(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "amazonaws.com/AWS/EC2/CPU", "1", WEIR_METRIC_GAUGE);
    for (unsigned i = 0; i < SHAPE_POINTS_MAX; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "D%u", i % 40);
        const char *const dimensions[] = {key, "1", NULL};
        add_point(&fixture, "CPU", dimensions);
    }
    const struct weir_shape_options options = {.names = WEIR_SHAPE_NAMES_DYNATRACE};
    const char *text = shape_fixture_run(&fixture, &options);
    assert_non_null(strstr(text, "\n39 cloud.aws.ec2.CPU.By.D39 "));
    assert_non_null(strstr(text, "\n41 cloud.aws.ec2.CPU.By.D1 "));
    const struct weir_point *points = fixture.shaped.run.points;
    assert_true(points[1].metric->hash == points[41].metric->hash);
    shape_fixture_close(&fixture);
}

/* 255 bytes with the suffix, which is whole. */
static void test_a_long_name_is_cut_before_its_suffix(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    char name[400] = "amazonaws.com/AWS/EC2/";
    memset(name + strlen(name), 'x', 300);
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, name, "1", WEIR_METRIC_SUMMARY);
    add_point(&fixture, NULL, none);
    const struct weir_shape_options options = {.names = WEIR_SHAPE_NAMES_DYNATRACE,
                                               .summary = WEIR_SHAPE_SUMMARY_GAUGES};
    (void)shape_fixture_run(&fixture, &options);
    assert_int_equal(fixture.shaped.run.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_bytes got = shape_text_head(fixture.shaped.run.points[i].metric->head, 1);
        const char *suffix = i == 0 ? ".sum" : ".count";
        assert_int_equal(got.size, 255);
        assert_memory_equal(got.data + 255 - strlen(suffix), suffix, strlen(suffix));
    }
    shape_fixture_close(&fixture);
}

/* Two statistics of one metric stay two. */
static void test_a_long_name_is_cut_before_its_statistic(void **state)
{
    (void)state;
    static const char *const statistics[] = {".tm90", ".tm99", ".TM(25%:75%)"};
    static const char *const ends[] = {".tm90", ".tm99", ".TM_25__75__"};
    for (size_t i = 0; i < 3; i++) {
        char told[301];
        char name[400];
        struct shape_fixture fixture;
        memset(told, 'x', sizeof(told) - 1);
        told[sizeof(told) - 1] = '\0';
        (void)snprintf(name, sizeof(name), "amazonaws.com/AWS/EC2/%s%s", told, statistics[i]);
        shape_fixture_open(&fixture, "AWS/EC2");
        shape_metric(&fixture, name, "1", WEIR_METRIC_GAUGE);
        add_point(&fixture, told, none);
        const struct weir_shape_options options = {.names = WEIR_SHAPE_NAMES_DYNATRACE};
        (void)shape_fixture_run(&fixture, &options);
        struct weir_bytes got = shape_text_head(fixture.shaped.run.points[0].metric->head, 1);
        assert_int_equal(got.size, 255);
        assert_memory_equal(got.data + 255 - strlen(ends[i]), ends[i], strlen(ends[i]));
        shape_fixture_close(&fixture);
    }
}

static void test_percentiles(void **state)
{
    (void)state;
    const struct {
        double quantile;
        const char *name;
    } cases[] = {{0.5, "m.p50 "},       {0.999, "m.p99.9 "},
                 {0.9999, "m.p99.99 "}, {0.123456789012, "m.p12.3456789012 "},
                 {0.07, "m.p7 "},       {0.001, "m.p0.1 "},
                 {1, "m.p100 "},        {2.5, "m.p250 "},
                 {-0.5, "m.p-50 "}};
    struct shape_fixture fixture;
    struct weir_buf point = weir_buf_grow_init(4096);
    weir_pbw_begin(&point, 6, 9); /* the maximum, so that the other 1 is none */
    weir_pbw_double(&point, 1, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        weir_pbw_begin(&point, 6, 9);
        weir_pbw_double(&point, 1, cases[i].quantile);
    }
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "m", "1", WEIR_METRIC_SUMMARY);
    shape_point(&fixture, weir_buf_view(&point));
    shape_point(&fixture, weir_buf_view(&point));
    const struct weir_shape_options options = {.summary = WEIR_SHAPE_SUMMARY_GAUGES};
    const char *text = shape_fixture_run(&fixture, &options);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_non_null(strstr(text, cases[i].name));
    }
    uint32_t half = fixture.shaped.run.count / 2;
    for (uint32_t i = 0; i < half; i++) {
        assert_ptr_equal(fixture.shaped.run.points[i].metric,
                         fixture.shaped.run.points[half + i].metric);
    }
    weir_buf_done(&point);
    shape_fixture_close(&fixture);
}

static void test_filters(void **state)
{
    (void)state;
    const char *const include[] = {"AWS/EC2/CPU*", "AWS/EC2/Net*", NULL};
    const char *const exclude[] = {"*Out", NULL};
    static const char *const metrics[] = {"CPUUtilization", "NetworkOut", "DiskReadOps",
                                          "NetworkIn.tm90"};
    struct shape_fixture fixture;
    shape_fixture_open(&fixture, "AWS/EC2");
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "amazonaws.com/AWS/EC2/%s", metrics[i]);
        shape_metric(&fixture, name, "1", WEIR_METRIC_GAUGE);
        add_point(&fixture, NULL, none);
    }
    const struct weir_shape_options options = {.metrics_include = include,
                                               .metrics_exclude = exclude};
    (void)shape_fixture_run(&fixture, &options);
    assert_int_equal(fixture.shaped.run.count, 2);
    assert_int_equal(fixture.shaped.run.points[0].run, 0);
    assert_int_equal(fixture.shaped.run.points[1].run, 3);
    assert_int_equal(fixture.shaped.refused_count, 0);
    shape_fixture_close(&fixture);
}

static void test_everything_filtered(void **state)
{
    (void)state;
    const char *const include[] = {"AWS/RDS/*", NULL};
    struct shape_fixture fixture;
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "amazonaws.com/AWS/EC2/CPU", "1", WEIR_METRIC_GAUGE);
    add_point(&fixture, NULL, none);
    (void)shape_fixture_run(&fixture, &(struct weir_shape_options){.metrics_include = include});
    assert_int_equal(fixture.shaped.run.count, 0);
    assert_int_equal(fixture.shaped.run.bytes, 0);
    shape_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dynatrace),
        cmocka_unit_test(test_dynatrace_classic),
        cmocka_unit_test(test_dynatrace_of_odd_names),
        cmocka_unit_test(test_prometheus),
        cmocka_unit_test(test_statistics_and_others),
        cmocka_unit_test(test_a_name_for_each_set_of_dimensions),
        cmocka_unit_test(test_many_sets_of_dimensions),
        cmocka_unit_test(test_a_long_name_is_cut_before_its_suffix),
        cmocka_unit_test(test_a_long_name_is_cut_before_its_statistic),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_everything_filtered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
