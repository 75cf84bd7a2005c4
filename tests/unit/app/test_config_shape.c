/* SPDX-License-Identifier: Apache-2.0 */
/* How destinations shape points: what arrives, what the environment says, what is printed, and
 * every mistake with its place. */
#include "weir/clock.h"
#include "weir/config.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct mistake {
    const char *yaml; /* of the first destination, behind its type */
    const char *message;
};

static struct weir_config_report report;

static int setup(void **state)
{
    (void)state;
    return unsetenv("OTEL_RESOURCE_ATTRIBUTES") | unsetenv("OTEL_SERVICE_NAME") |
           unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT") |
           unsetenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
}

static struct weir_config *parse(const char *yaml)
{
    struct weir_config *config = NULL;
    enum weir_status status =
        weir_config_parse("w.yaml", weir_bytes_str(yaml), true, &report, &config);
    assert_int_equal(status == WEIR_OK, report.errors == 0);
    return status == WEIR_OK ? config : NULL;
}

/* A destination with these keys, on line 2 from column 40 on. */
static struct weir_config *parse_keys(const char *keys)
{
    struct weir_buf yaml = weir_buf_grow_init(1 << 20);
    weir_buf_printf(&yaml, "ingest: {access_keys: none}\ndestinations: [{name: a, type: stdout, ");
    weir_buf_put(&yaml, weir_bytes_str(keys));
    weir_buf_put(&yaml, weir_bytes_of("}]\n", 4));
    assert_false(yaml.failed);
    struct weir_config *config = parse((const char *)yaml.data);
    weir_buf_done(&yaml);
    return config;
}

static const struct weir_config_destination *only(const struct weir_config *config)
{
    assert_non_null(config);
    assert_int_equal(config->destinations.count, 1);
    return config->destinations.items;
}

/* The value of a resource attribute of the shape, or NULL. */
static const char *resource(const struct weir_config *config, const char *key)
{
    const struct weir_shape_options *shape = only(config)->shape;
    const struct weir_shape_attribute *one = shape == NULL ? NULL : shape->resource;
    while (one != NULL && one->key != NULL) {
        if (strcmp(one->key, key) == 0) {
            return one->value;
        }
        one++;
    }
    return NULL;
}

static void every_key_arrives(void **state)
{
    (void)state;
    struct weir_config *config = parse_keys(
        "summary: gauges, gauges: {min: _min, max: _max, sum: _sum, count: _count, percentile: _},"
        "dimensions: json, promote: [cloud.account.id, cloud.region], resource: {a: b, n: 1},"
        "scope: {name: s, version: v}, names: dynatrace_classic, attribute_keys: dynatrace,"
        "metrics: {include: ['AWS/EC2/*', '*'], exclude: '*/CPU*'}, max_point_age: 2h,"
        "attributes_max: 50, attribute_key_max: 100, attribute_value_max: 255");
    const struct weir_shape_options *shape = only(config)->shape;
    assert_non_null(shape);
    assert_int_equal(shape->summary, WEIR_SHAPE_SUMMARY_GAUGES);
    assert_int_equal(shape->dimensions, WEIR_SHAPE_DIMENSIONS_JSON);
    assert_int_equal(shape->names, WEIR_SHAPE_NAMES_DYNATRACE_CLASSIC);
    assert_int_equal(shape->keys, WEIR_SHAPE_KEYS_DYNATRACE);
    assert_string_equal(shape->suffix_min, "_min");
    assert_string_equal(shape->suffix_max, "_max");
    assert_string_equal(shape->suffix_sum, "_sum");
    assert_string_equal(shape->suffix_count, "_count");
    assert_string_equal(shape->suffix_percentile, "_");
    assert_string_equal(shape->promote[1], "cloud.region");
    assert_null(shape->promote[2]);
    assert_string_equal(resource(config, "a"), "b");
    assert_string_equal(resource(config, "n"), "1");
    assert_string_equal(shape->scope_name, "s");
    assert_string_equal(shape->scope_version, "v");
    assert_string_equal(shape->metrics_include[1], "*");
    assert_string_equal(shape->metrics_exclude[0], "*/CPU*");
    assert_int_equal(shape->max_point_age_ns, 7200 * WEIR_NS_PER_S);
    assert_int_equal(shape->attributes_max, 50);
    assert_int_equal(shape->key_bytes_max, 100);
    assert_int_equal(shape->value_bytes_max, 255);
    assert_int_equal(report.count, 0);
    weir_config_free(config);
}

/* What asks for nothing has no shape, and points are copied as ever. */
static void without_keys_there_is_no_shape(void **state)
{
    (void)state;
    static const char *const same[] = {
        "compression_level: ",
        "summary: keep, dimensions: kvlist, names: cloudwatch, attribute_keys: keep",
        "promote: [], scope: {name: ''}, metrics: {exclude: []}, resource: {service.name: ''}",
        "max_point_age: 0, attributes_max: 0, attribute_key_max: 0, attribute_value_max: 0",
        "scope: {name: '', version: ''}, preset: none",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct weir_config *config = parse_keys(same[i]);
        assert_null(only(config)->shape);
        assert_int_equal(report.count, 0);
        weir_config_free(config);
    }
}

static void the_environment_names_the_resource(void **state)
{
    (void)state;
    assert_int_equal(setenv("OTEL_RESOURCE_ATTRIBUTES",
                            " service.name = other , a=b%20c%2Cd=, e=%C3%A4,,k=1,k=2,", 1),
                     0);
    struct weir_config *config = parse_keys("compression_level: ");
    assert_string_equal(resource(config, "service.name"), "other");
    assert_string_equal(resource(config, "a"), "b c,d=");
    assert_string_equal(resource(config, "e"), "\xc3\xa4");
    assert_string_equal(resource(config, "k"), "2");
    weir_config_free(config);
    assert_int_equal(setenv("OTEL_SERVICE_NAME", "a%20b", 1), 0); /* as it is */
    config = parse_keys("resource: {a: mine, b: ''}");
    assert_string_equal(resource(config, "service.name"), "a%20b");
    assert_string_equal(resource(config, "a"), "mine");
    assert_null(resource(config, "b"));
    weir_config_free(config);
    config = parse_keys("resource: {service.name: weir, e: ''}");
    assert_string_equal(resource(config, "service.name"), "weir");
    assert_null(resource(config, "e"));
    weir_config_free(config);
    config = parse("ingest: {access_keys: none}\n"); /* also where the file names nobody */
    assert_string_equal(resource(config, "service.name"), "a%20b");
    weir_config_free(config);
    config = parse_keys("preset: scout"); /* over a preset's */
    assert_string_equal(resource(config, "service.name"), "a%20b");
    weir_config_free(config);
}

/* What is wrong anywhere is left out whole. */
static void a_wrong_environment_is_left_out(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"a=b,c", "OTEL_RESOURCE_ATTRIBUTES: a pair without =; all of it is left out"},
        {"a=b,=c", "a pair without a key"},
        {"a=b,%=c", "a pair without a key, or with a broken one"},
        {"a=b,c=%2", "a value with a broken %"},
        {"a=b,c=%zz", "a value with a broken %"},
        {"a=b,c=%ff", "a value with a broken %"},
        {"a=b,c=%00", "a value with a broken %"},
        {"a=b,c=x%0Ay", "or control characters"},
        {"a=b,%80=x", "a pair without a key, or with a broken one"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(setenv("OTEL_RESOURCE_ATTRIBUTES", wrong[i][0], 1), 0);
        struct weir_config *config = parse_keys("compression_level: ");
        assert_null(only(config)->shape);
        assert_int_equal(report.count, 1);
        assert_true(report.messages[0].warning);
        assert_non_null(strstr(report.messages[0].text, wrong[i][1]));
        weir_config_free(config);
    }
    assert_int_equal(setenv("OTEL_RESOURCE_ATTRIBUTES", "", 1), 0);
    assert_int_equal(setenv("OTEL_SERVICE_NAME", "a\nb", 1), 0);
    struct weir_config *config = parse_keys("compression_level: ");
    assert_null(only(config)->shape);
    assert_non_null(strstr(report.messages[0].text, "OTEL_SERVICE_NAME: is left out"));
    weir_config_free(config);
}

static void too_many_attributes_of_the_environment(void **state)
{
    (void)state;
    struct weir_buf text = weir_buf_grow_init(1 << 16);
    for (int i = 0; i < 256; i++) {
        weir_buf_printf(&text, "k%d=v,", i);
    }
    weir_buf_put_byte(&text, 0);
    assert_int_equal(setenv("OTEL_RESOURCE_ATTRIBUTES", (char *)text.data, 1), 0);
    struct weir_config *config = parse_keys("resource: {k255: w}");
    assert_string_equal(resource(config, "k255"), "w");
    weir_config_free(config);
    assert_null(parse_keys("resource: {one.more: w}"));
    assert_non_null(strstr(report.messages[0].text, ":50: destinations[0].resource: has, with "));
    text.size--;
    weir_buf_printf(&text, "k256=v");
    weir_buf_put_byte(&text, 0);
    assert_int_equal(setenv("OTEL_RESOURCE_ATTRIBUTES", (char *)text.data, 1), 0);
    weir_config_free(parse_keys("compression_level: "));
    assert_non_null(strstr(report.messages[0].text, "more than 256 attributes; all of it"));
    weir_buf_done(&text);
}

/* Printed, read back and printed again it is the same. */
static void printed_shapes_read_back(void **state)
{
    (void)state;
    struct weir_config *config = parse_keys(
        "summary: exponential_histogram, gauges: {percentile: '$$p'}, dimensions: flat,"
        "promote: cloud.region, resource: {'a\"$b': \"x$$y\", n: ''}, scope: {name: x y},"
        "metrics: {include: 'A*'}, names: prometheus, max_point_age: 90m");
    struct weir_buf first = weir_buf_grow_init(1 << 20);
    struct weir_buf second = weir_buf_grow_init(1 << 20);
    weir_config_print(config, &first);
    weir_config_free(config);
    weir_buf_put_byte(&first, 0);
    assert_non_null(strstr((char *)first.data, "resource: {\"a\\\"$b\": \"x$$y\", \"n\": \"\"}"));
    config = parse((char *)first.data);
    assert_non_null(config);
    assert_string_equal(resource(config, "a\"$b"), "x$y");
    assert_string_equal(only(config)->shape->suffix_percentile, "$p");
    weir_config_print(config, &second);
    weir_buf_put_byte(&second, 0);
    assert_string_equal((char *)first.data, (char *)second.data);
    weir_config_free(config);
    weir_buf_done(&first);
    weir_buf_done(&second);
}

static void mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    assert_int_equal(setenv("WEIR_TEST_LATIN1", "\xe4", 1), 0);
    static const struct mistake mistakes[] = {
        {"summary: gauge", "destinations[0].summary: not one of keep, gauges, "},
        {"summary: gauge", "\"gauge\" (did you mean gauges?)"},
        {"summary: [gauges]", "is a list, but takes one of a few words"},
        {"summary: gauges, gauges: {max: .min}",
         ":71: destinations[0].gauges.max: is the same as of min, and two "
         "gauges would have one name (write another)"},
        {"summary: gauges, gauges: {min: .count}",
         "destinations[0].gauges.count: is the same as of min"},
        {"summary: gauges, gauges: {min: '', sum: ''}", "gauges.sum: is the same as of min"},
        {"summary: gauges, gauges: {p99: x}",
         "gauges.p99: unknown key (there are min, max, sum, count, "},
        {"summary: gauges, gauges: {sum: "
         "'0123456789012345678901234567890123456789012345678901234567890123x'}",
         "destinations[0].gauges.sum: is longer than 64 bytes"},
        {"summary: gauges, gauges: {sum: '${env:WEIR_TEST_LATIN1}'}",
         "destinations[0].gauges.sum: is not UTF-8 (look at the environment variable in it)"},
        {"dimensions: list", "not one of kvlist, flat, json: \"list\""},
        {"promote: ['']", "destinations[0].promote: is empty"},
        {"promote: {cloud.region: x}", "is a mapping, but takes a list of texts"},
        {"promote: ['${env:WEIR_TEST_LATIN1}']", "destinations[0].promote: is not UTF-8"},
        {"resource: [service.name]", "resource: is a list, but takes a mapping of names to values"},
        {"resource: {service.name: }",
         "destinations[0].resource.service.name: is empty (write a value; \"\" in quotes not to "},
        {"resource: {service.name: [a]}", "is a list, but takes a text"},
        {"resource: {a: b, a: c}", ":57: destinations[0].resource: this attribute is there twice"},
        {"resource: {'': c}", "not a name of an attribute: \"\""},
        {"resource: {\"a\\0b\": c}", "not a name of an attribute"},
        {"resource: {[a]: c}", "is a list, but takes an attribute's name"},
        {"resource: {a: \"b\\nc\"}", "resource.a: holds a line break or control character"},
        {"resource: {a: '${env:WEIR_NOT_SET}'}", "environment variable WEIR_NOT_SET is not set"},
        {"resource: {a: '${env:WEIR_TEST_LATIN1}'}", "destinations[0].resource: is not UTF-8"},
        {"scope: aws", "destinations[0].scope: is a single value, but takes a mapping of keys"},
        {"scope: {version: 1}",
         ":57: destinations[0].scope.version: is there without a name (write name: ...)"},
        {"scope: {name: '${env:WEIR_TEST_LATIN1}'}", "destinations[0].scope: is not UTF-8"},
        {"names: dynatrace-classic", "(did you mean dynatrace_classic?)"},
        {"attribute_keys: lower", "not one of keep, dynatrace: \"lower\""},
        {"metrics: ['AWS/EC2/*']", "destinations[0].metrics: is a list, but takes a mapping"},
        {"metrics: {include: []}", "destinations[0].metrics.include: has 0 entries, not 1 to 256"},
        {"metrics: {exclude: ['']}", "is empty (write a value, or leave the key out)"},
        {"metrics: {include: ['${env:WEIR_TEST_LATIN1}/*']}", "destinations[0].metrics: is not "},
        {"max_point_age: 2", "destinations[0].max_point_age: "},
        {"max_point_age: 31d", "max_point_age: "},
        {"attributes_max: 257", "257 is not within 0 to 256"},
        {"attribute_key_max: 15",
         ":59: destinations[0].attribute_key_max: is too short to tell keys apart (write 16 at "},
        {"attribute_key_max: 1", "write 16 at least, or 0 for no bound"},
        {"attribute_value_max: -1", "destinations[0].attribute_value_max: "},
    };
    int missed = 0;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct weir_config *config = parse_keys(mistakes[i].yaml);
        if (config != NULL || report.errors != 1 ||
            strstr(report.messages[0].text, mistakes[i].message) == NULL) {
            print_error("%s: %" PRIu32 " errors, said %s\n", mistakes[i].yaml, report.errors,
                        report.errors == 0 ? "nothing" : report.messages[0].text);
            missed++;
        }
        weir_config_free(config);
    }
    assert_int_equal(missed, 0);
}

static void what_is_doubtful_is_warned_of(void **state)
{
    (void)state;
    static const struct mistake doubts[] = {
        {"gauges: {min: m}", ":48: destinations[0].gauges: is of no use with summary: keep"},
        {"metrics: {include: [CPUUtilization]}", "a pattern fits no metric without its namespace"},
        {"metrics: {exclude: ['AWS/X/*', CPU]}", "a pattern fits no metric without its namespace"},
        {"metrics: {exclude: ['*']}", "exclude has *: nothing goes to this destination"},
        {"attributes_max: 2", "nearly every point goes to the dead letter"},
        {"attributes_max: 4, promote: [a, b]", "nearly every point goes to the dead letter"},
    };
    int missed = 0;
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++) {
        struct weir_config *config = parse_keys(doubts[i].yaml);
        if (config == NULL || report.count != 1 || !report.messages[0].warning ||
            strstr(report.messages[0].text, doubts[i].message) == NULL) {
            print_error("%s: %" PRIu32 " messages, said %s\n", doubts[i].yaml, report.count,
                        report.count == 0 ? "nothing" : report.messages[0].text);
            missed++;
        }
        weir_config_free(config);
    }
    assert_int_equal(missed, 0);
}

/* Whatever passes the configuration makes a shape. */
static void what_is_accepted_makes_a_shape(void **state)
{
    (void)state;
    static const char *const good[] = {
        "summary: gauges, gauges: {min: '', percentile: ''}",
        "summary: gauges, gauges: {min: .p, percentile: .p}",
        "attribute_key_max: 16, attributes_max: 256",
        "scope: {name: 'x'}, promote: [a, a]",
        "resource: {a: '\xc3\xa4'}, metrics: {include: ['*']}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct weir_config *config = parse_keys(good[i]);
        const struct weir_shape_options *options = only(config)->shape;
        struct weir_shape *shape;
        assert_non_null(options);
        assert_int_equal(weir_shape_new(options, &shape), WEIR_OK);
        weir_shape_free(shape);
        weir_config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_key_arrives, setup),
        cmocka_unit_test_setup(without_keys_there_is_no_shape, setup),
        cmocka_unit_test_setup(the_environment_names_the_resource, setup),
        cmocka_unit_test_setup(a_wrong_environment_is_left_out, setup),
        cmocka_unit_test_setup(too_many_attributes_of_the_environment, setup),
        cmocka_unit_test_setup(printed_shapes_read_back, setup),
        cmocka_unit_test_setup(mistakes_are_told_with_their_place, setup),
        cmocka_unit_test_setup(what_is_doubtful_is_warned_of, setup),
        cmocka_unit_test_setup(what_is_accepted_makes_a_shape, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
