/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct weir_sink_shape shape_of(const char *text)
{
    struct weir_sink_shape shape;
    const char *what = NULL;
    assert_int_equal(weir_sink_shape_parse(text, &shape, &what), WEIR_OK);
    assert_null(what);
    return shape;
}

static void test_words(void **state)
{
    (void)state;
    struct weir_sink_shape shape = shape_of("");
    assert_int_equal(shape.summary, WEIR_SINK_SHAPE_KEEP);
    assert_int_equal(shape.dimensions, WEIR_SINK_SHAPE_KVLIST);
    assert_int_equal(shape.names, WEIR_SINK_SHAPE_CLOUDWATCH);
    assert_int_equal(shape.promoted, 0);
    shape = shape_of("summary=exponential_histogram,dimensions=flat,names=dynatrace,"
                     "attribute_keys=dynatrace,promote=cloud.region,promote=cloud.provider");
    assert_int_equal(shape.summary, WEIR_SINK_SHAPE_EXPONENTIAL);
    assert_int_equal(shape.dimensions, WEIR_SINK_SHAPE_FLAT);
    assert_int_equal(shape.names, WEIR_SINK_SHAPE_DYNATRACE);
    assert_true(shape.mends_keys);
    assert_int_equal(shape.promoted, 5);
    shape = shape_of("summary=gauges,dimensions=json,names=prometheus,attribute_keys=keep");
    assert_int_equal(shape.summary, WEIR_SINK_SHAPE_GAUGES);
    assert_int_equal(shape.dimensions, WEIR_SINK_SHAPE_JSON);
    assert_int_equal(shape.names, WEIR_SINK_SHAPE_PROMETHEUS);
    assert_false(shape.mends_keys);
}

static void test_bad_words(void **state)
{
    (void)state;
    static const char *const bad[] = {"gauges",
                                      "summary",
                                      "summary=",
                                      "=gauges",
                                      "summary=gauge",
                                      "summary=gaugess",
                                      "dimensions=list",
                                      "names=dynatrace_classic",
                                      "names=prometheus,",
                                      ",",
                                      "promote=a",
                                      "names=prometheus,,summary=keep",
                                      "attribute_keys=prometheus",
                                      "colour=red",
                                      "attribute_keys=dynatrace,dimensions=json",
                                      "attribute_keys=dynatrace"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_sink_shape shape = {.promoted = 77};
        const char *what = NULL;
        if (i == 8) { /* a comma at the end is no mistake */
            assert_int_equal(weir_sink_shape_parse(bad[i], &shape, &what), WEIR_OK);
            continue;
        }
        assert_int_equal(weir_sink_shape_parse(bad[i], &shape, &what), WEIR_EINVAL);
        assert_non_null(what);
        assert_int_equal(shape.promoted, 77);
    }
}

static struct weir_traffic_point point_of(const char *name, const char *metric, const char *key)
{
    struct weir_traffic_point point = {.name = weir_bytes_str(name),
                                       .metric = weir_bytes_str(metric),
                                       .dimensions = 1,
                                       .quantiles = 5};
    static const double quantile[] = {0, 0.5, 0.99, 0.999, 1};
    point.keys[0] = weir_bytes_str(key);
    memcpy(point.quantile, quantile, sizeof quantile);
    return point;
}

static void check_name(const char *words, const struct weir_traffic_point *point, unsigned place,
                       const char *expected)
{
    char room[256];
    struct weir_sink_shape shape = shape_of(words);
    struct weir_buf out = weir_buf_fixed(room, sizeof room);
    weir_sink_shape_name(&shape, point, place, &out);
    weir_buf_put_byte(&out, 0);
    assert_false(out.failed);
    assert_string_equal(room, expected);
}

static void test_names(void **state)
{
    (void)state;
    const unsigned last = WEIR_SINK_PART_PERCENTILE + 2;
    struct weir_traffic_point ec2 = point_of("AWS/EC2", "CPUUtilization", "InstanceId");
    check_name("", &ec2, WEIR_SINK_PART_WHOLE, "amazonaws.com/AWS/EC2/CPUUtilization");
    check_name("summary=gauges", &ec2, WEIR_SINK_PART_MIN,
               "amazonaws.com/AWS/EC2/CPUUtilization.min");
    check_name("summary=gauges", &ec2, last, "amazonaws.com/AWS/EC2/CPUUtilization.p99.9");
    check_name("names=prometheus", &ec2, WEIR_SINK_PART_COUNT,
               "amazonaws_com_AWS_EC2_CPUUtilization_count");
    check_name("names=prometheus", &ec2, last, "amazonaws_com_AWS_EC2_CPUUtilization_p99_9");
    check_name("names=dynatrace", &ec2, WEIR_SINK_PART_WHOLE,
               "cloud.aws.ec2.CPUUtilization.By.InstanceId");
    check_name("names=dynatrace", &ec2, WEIR_SINK_PART_PERCENTILE,
               "cloud.aws.ec2.CPUUtilization.By.InstanceId.p50");
    struct weir_traffic_point own = point_of("My App", "X", "Cluster Name");
    check_name("names=dynatrace", &own, WEIR_SINK_PART_SUM,
               "cloud.custom.my_app.X.By.Cluster_Name.sum");
    own.dimensions = 3;
    own.keys[1] = WEIR_BYTES("Az");
    own.keys[2] = WEIR_BYTES("A");
    check_name("names=dynatrace", &own, WEIR_SINK_PART_MAX,
               "cloud.custom.my_app.X.By.A.Az.Cluster_Name.max");
}

static void test_parts(void **state)
{
    (void)state;
    struct weir_traffic_point point = point_of("AWS/EC2", "CPUUtilization", "InstanceId");
    struct weir_sink_shape shape = shape_of("summary=gauges");
    assert_int_equal(weir_sink_shape_parts(&shape, &point), 0xfe);
    shape = shape_of("summary=exponential_histogram");
    assert_int_equal(weir_sink_shape_parts(&shape, &point), 0xe1);
    shape = shape_of("");
    assert_int_equal(weir_sink_shape_parts(&shape, &point), 0x01);
    point.quantiles = 2;
    shape = shape_of("summary=gauges");
    assert_int_equal(weir_sink_shape_parts(&shape, &point), 0x1e);
}

static void check_key(const char *words, const char *key, const char *expected)
{
    char room[256];
    struct weir_sink_shape shape = shape_of(words);
    struct weir_buf out = weir_buf_fixed(room, sizeof room);
    weir_buf_put(&out, WEIR_BYTES("before"));
    struct weir_bytes mended = weir_sink_shape_key(&shape, weir_bytes_str(key), &out);
    assert_true(weir_bytes_eq(mended, weir_bytes_str(expected)));
}

static void test_keys(void **state)
{
    (void)state;
    static const char dynatrace[] = "attribute_keys=dynatrace,dimensions=flat";
    check_key("", "Cluster Name", "Cluster Name");
    check_key(dynatrace, "Cluster Name", "cluster_name");
    check_key(dynatrace, "ses:configuration-set", "ses_configuration-set");
    check_key(dynatrace, "4xx", "_4xx");
    check_key(dynatrace, "cloud.region", "cloud.region");
    char small[4];
    struct weir_sink_shape shape = shape_of("");
    struct weir_buf out = weir_buf_fixed(small, sizeof small);
    assert_int_equal(weir_sink_shape_key(&shape, WEIR_BYTES("InstanceId"), &out).size, 0);
    assert_true(out.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_bad_words),
        cmocka_unit_test(test_names), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
