/* SPDX-License-Identifier: Apache-2.0 */
#include "shape_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const region[] = {"cloud.region", NULL};

/* A point of attributes alone, then Dimensions, shaped; what is between { and } must be so. */
static void check(const struct weir_shape_options *options, const char *const *attributes,
                  const char *const *dimensions, const char *expected)
{
    uint8_t room[8192];
    struct shape_fixture fixture;
    struct weir_buf point = weir_buf_fixed(room, sizeof(room));
    for (; attributes[0] != NULL; attributes += 2) {
        shape_attribute(&point, 7, attributes[0], attributes[1]);
    }
    if (dimensions != NULL) {
        shape_dimensions(&point, 7, dimensions);
    }
    assert_false(point.failed);
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "m", "1", WEIR_METRIC_GAUGE);
    shape_point(&fixture, weir_buf_view(&point));
    const char *text = shape_fixture_run(&fixture, options);
    const char *start = strchr(text, '{');
    assert_string_equal(start == NULL ? text : start, expected);
    shape_fixture_close(&fixture);
}

static const char *const names[] = {"Namespace", "AWS/EC2", "MetricName", "CPU", NULL};

static void test_flat(void **state)
{
    (void)state;
    const char *const dimensions[] = {"InstanceId", "i-1", "Zone", "a", NULL};
    const char *const none[] = {NULL};
    const struct weir_shape_options flat = {.dimensions = WEIR_SHAPE_DIMENSIONS_FLAT};
    check(&flat, names, dimensions, "{Namespace=AWS/EC2 MetricName=CPU InstanceId=i-1 Zone=a}\n");
    check(&flat, names, none, "{Namespace=AWS/EC2 MetricName=CPU}\n");
    check(&flat, names, NULL, "{Namespace=AWS/EC2 MetricName=CPU}\n");
}

static void test_flat_collisions(void **state)
{
    (void)state;
    const char *const dimensions[] = {"Namespace", "n", "MetricName",  "m", "cloud.region",
                                      "r",         "A", "1",           "A", "2",
                                      "A",         "3", "Dimension.A", "4", NULL};
    const struct weir_shape_options flat = {.dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,
                                            .promote = region};
    check(&flat, names, dimensions,
          "{Namespace=AWS/EC2 MetricName=CPU cloud.region=eu-west-1 Dimension.Namespace=n "
          "Dimension.MetricName=m Dimension.cloud.region=r A=1 Dimension.A=2 Dimension.A_9=3 "
          "Dimension.Dimension.A=4}\n");
}

/* Somebody else's attribute of that name is no kvlist: it stays. */
static void test_dimensions_of_another_kind(void **state)
{
    (void)state;
    const char *const text[] = {"Dimensions", "text", NULL};
    const struct weir_shape_options flat = {.dimensions = WEIR_SHAPE_DIMENSIONS_FLAT};
    const struct weir_shape_options json = {.dimensions = WEIR_SHAPE_DIMENSIONS_JSON};
    check(&flat, text, NULL, "{Dimensions=text}\n");
    check(&json, text, NULL, "{Dimensions=text}\n");
}

static void test_json(void **state)
{
    (void)state;
    const char *const dimensions[] = {"Zone", "a\"\\\n", "InstanceId", "\xc3\xa9", NULL};
    const char *const none[] = {NULL};
    const struct weir_shape_options json = {.dimensions = WEIR_SHAPE_DIMENSIONS_JSON};
    check(&json, names, dimensions,
          "{Namespace=AWS/EC2 MetricName=CPU Dimensions={\"InstanceId\":\"\xc3\xa9\","
          "\"Zone\":\"a\\\"\\\\\\n\"}}\n");
    check(&json, names, none, "{Namespace=AWS/EC2 MetricName=CPU Dimensions={}}\n");
}

/* Every kind of AnyValue, as another sender's dimensions may have them. */
static void test_json_of_other_values(void **state)
{
    (void)state;
    static const struct {
        struct weir_bytes value;
        const char *json;
    } cases[] = {
        {WEIR_BYTES_INIT("\x10\x01"), "true"},
        {WEIR_BYTES_INIT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "-1"},
        {WEIR_BYTES_INIT("\x21\0\0\0\0\0\0\xf8\x3f"), "1.5"},
        {WEIR_BYTES_INIT("\x21\0\0\0\0\0\0\xf8\x7f"), "\"NaN\""},
        {WEIR_BYTES_INIT("\x21\0\0\0\0\0\0\xf0\xff"), "\"-Infinity\""},
        {WEIR_BYTES_INIT("\x2a\x08\x0a\x02\x10\x00\x0a\x02\x18\x07"), "[false,7]"},
        {WEIR_BYTES_INIT("\x32\x09\x0a\x07\x0a\x01\x61\x12\x02\x18\x05"), "{\"a\":5}"},
        {WEIR_BYTES_INIT("\x3a\x04wxyz"), "\"d3h5eg==\""},
        {WEIR_BYTES_INIT(""), "null"},
        {WEIR_BYTES_INIT("\x0a\x01x\x10\x01"), "true"}, /* the last of a oneof */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t rooms[4][256];
        char expected[128];
        struct shape_fixture fixture;
        struct weir_buf level[4];
        for (int k = 0; k < 4; k++) {
            level[k] = weir_buf_fixed(rooms[k], sizeof(rooms[k]));
        }
        weir_pbw_bytes(&level[0], 1, WEIR_BYTES("k"));
        weir_pbw_bytes(&level[0], 2, cases[i].value);
        weir_pbw_bytes(&level[1], 1, weir_buf_view(&level[0])); /* the list */
        weir_pbw_bytes(&level[2], 6, weir_buf_view(&level[1])); /* its value */
        weir_pbw_bytes(&level[3], 1, WEIR_BYTES("Dimensions"));
        weir_pbw_bytes(&level[3], 2, weir_buf_view(&level[2]));
        struct weir_buf point = weir_buf_grow_init(4096);
        weir_pbw_bytes(&point, 7, weir_buf_view(&level[3]));
        shape_fixture_open(&fixture, "AWS/EC2");
        shape_metric(&fixture, "m", "1", WEIR_METRIC_SUM);
        shape_point(&fixture, weir_buf_view(&point));
        (void)snprintf(expected, sizeof(expected), "0 m [1] sum {Dimensions={\"k\":%s}}\n",
                       cases[i].json);
        const struct weir_shape_options json = {.dimensions = WEIR_SHAPE_DIMENSIONS_JSON};
        assert_string_equal(shape_fixture_run(&fixture, &json), expected);
        weir_buf_done(&point);
        shape_fixture_close(&fixture);
    }
}

static void test_promoted(void **state)
{
    (void)state;
    const char *const promote[] = {"cloud.region", "no.such", "service.name", NULL};
    const char *const own[] = {"cloud.region", "own", NULL};
    const struct weir_shape_attribute resource[] = {{"service.name", "s"}, {NULL, NULL}};
    const struct weir_shape_options options = {.promote = promote, .resource = resource};
    check(&options, names, NULL,
          "{Namespace=AWS/EC2 MetricName=CPU cloud.region=eu-west-1 service.name=s}\n");
    check(&options, own, NULL, "{cloud.region=own service.name=s}\n");
}

static void test_dynatrace_keys(void **state)
{
    (void)state;
    const char *const dimensions[] = {
        "Cluster Name",      "c", "2nd", "2",    "metricname", "m", "_x", "x",
        "\xc3\xa9t\xc3\xa9", "e", "",    "none", NULL};
    const struct weir_shape_options options = {.dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,
                                               .keys = WEIR_SHAPE_KEYS_DYNATRACE};
    check(&options, names, dimensions,
          "{namespace=AWS/EC2 metricname=CPU cluster_name=c _2nd=2 dimension.metricname=m _x=x "
          "_t_=e _=none}\n");
}

static void test_limits(void **state)
{
    (void)state;
    const char *const long_ones[] = {
        "0123456789abcdef0", "12345678", "0123456789abcdef1", "short", "0123456789abcde\xc3\xa9",
        "12345\xc3\xa9",     NULL};
    const struct weir_shape_options options = {.key_bytes_max = 16, .value_bytes_max = 6};
    check(&options, long_ones, NULL,
          "{0123456789abcdef=123456 0123456789abcd_2=short 0123456789abcde=12345}\n");
}

/* Fifty pass, fifty-one do not; a list counts as one, its members as many when flat. */
static void test_attributes_at_their_limit(void **state)
{
    (void)state;
    for (unsigned count = 50; count <= 51; count++) {
        for (int flat = 0; flat < 2; flat++) {
            static char keys[51][8];
            const char *dimensions[51 * 2 + 1] = {NULL};
            for (unsigned i = 0; i < count; i++) {
                (void)snprintf(keys[i], sizeof(keys[i]), "k%u", i);
                dimensions[2 * i] = keys[i];
                dimensions[2 * i + 1] = "v";
            }
            uint8_t room[4096];
            struct weir_buf point = weir_buf_fixed(room, sizeof(room));
            struct shape_fixture fixture;
            shape_dimensions(&point, 9, dimensions);
            shape_fixture_open(&fixture, "AWS/EC2");
            shape_metric(&fixture, "m", "1", WEIR_METRIC_HISTOGRAM);
            shape_point(&fixture, weir_buf_view(&point));
            const struct weir_shape_options options = {
                .attributes_max = 50,
                .dimensions = flat ? WEIR_SHAPE_DIMENSIONS_FLAT : WEIR_SHAPE_DIMENSIONS_KVLIST};
            (void)shape_fixture_run(&fixture, &options);
            assert_int_equal(fixture.shaped.refused_count, flat && count == 51);
            assert_int_equal(fixture.shaped.run.count, !(flat && count == 51));
            shape_fixture_close(&fixture);
        }
    }
}

/* The same text twice as much as the scratch holds. */
static void test_values_beyond_the_scratch(void **state)
{
    (void)state;
    static char text[40000];
    memset(text, '\n', sizeof(text) - 1);
    const char *const dimensions[] = {"A", text, NULL};
    static uint8_t room[SHAPE_ROOM];
    struct weir_buf point = weir_buf_fixed(room, sizeof(room));
    shape_dimensions(&point, 1, dimensions);
    struct shape_fixture fixture;
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "m", "1", WEIR_METRIC_EXPONENTIAL_HISTOGRAM);
    shape_point(&fixture, weir_buf_view(&point));
    const struct weir_shape_options json = {.dimensions = WEIR_SHAPE_DIMENSIONS_JSON};
    const char *out = shape_fixture_run(&fixture, &json);
    assert_int_equal(strlen(out), strlen("0 m [1] exponential {Dimensions={\"A\":\"\"}}\n") +
                                      2 * (sizeof(text) - 1));
    shape_fixture_close(&fixture);
}

/* Other fields stay, in their order; attributes come last. */
static void test_other_fields_stay(void **state)
{
    (void)state;
    struct shape_fixture fixture;
    struct weir_buf point = weir_buf_grow_init(4096);
    weir_pbw_fixed64(&point, 3, 5);
    shape_attribute(&point, 9, "a", "b");
    weir_pbw_bytes(&point, 8, WEIR_BYTES("exemplar"));
    shape_attribute(&point, 9, "c", "d");
    weir_pbw_fixed64(&point, 4, 6);
    weir_pbw_uint(&point, 99, 1);
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "m", "1", WEIR_METRIC_HISTOGRAM);
    shape_point(&fixture, weir_buf_view(&point));
    const struct weir_shape_options options = {.promote = region};
    assert_string_equal(shape_fixture_run(&fixture, &options),
                        "0 m [1] histogram time=5 field8 count=6 field99 {a=b c=d "
                        "cloud.region=eu-west-1}\n");
    weir_buf_done(&point);
    shape_fixture_close(&fixture);
}

static void test_resource_and_scope(void **state)
{
    (void)state;
    const struct weir_shape_attribute resource[] = {
        {"cloud.region", "other"}, {"service.name", "weir"}, {NULL, NULL}};
    const struct weir_shape_options options = {
        .resource = resource, .scope_name = "aws.cloudwatch", .scope_version = "2"};
    struct shape_fixture fixture;
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "m", "1", WEIR_METRIC_GAUGE);
    shape_point(&fixture, WEIR_BYTES("\x40\x00"));
    shape_metric(&fixture, "n", "1", WEIR_METRIC_GAUGE);
    shape_point(&fixture, WEIR_BYTES("\x40\x00"));
    (void)shape_fixture_run(&fixture, &options);
    const struct weir_run *out = &fixture.shaped.run;
    struct weir_buf text = weir_buf_grow_init(4096);
    shape_text_pairs(&text, shape_text_head(out->resource->head, 1), 1, 1);
    assert_true(weir_bytes_eq(weir_buf_view(&text),
                              WEIR_BYTES("{cloud.account.id=123456789012 cloud.region=other "
                                         "service.name=weir}")));
    assert_true(weir_bytes_eq(out->resource->region, WEIR_BYTES("eu-west-1")));
    const struct weir_scope *scope = out->points[0].metric->scope;
    assert_true(weir_bytes_eq(scope->head, WEIR_BYTES("\x0a\x13\x0a\x0e"
                                                      "aws.cloudwatch\x12\x01"
                                                      "2")));
    assert_ptr_equal(out->points[1].metric->scope, scope);
    weir_buf_done(&text);
    shape_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_flat_collisions),
        cmocka_unit_test(test_dimensions_of_another_kind),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_of_other_values),
        cmocka_unit_test(test_promoted),
        cmocka_unit_test(test_dynatrace_keys),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_attributes_at_their_limit),
        cmocka_unit_test(test_values_beyond_the_scratch),
        cmocka_unit_test(test_other_fields_stay),
        cmocka_unit_test(test_resource_and_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
