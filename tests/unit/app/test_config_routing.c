/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of destinations: what arrives, what is printed, and every mistake with its place. */
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

static void filters_arrive(void **state)
{
    (void)state;
    struct weir_config *config =
        parse_keys("accounts: {include: ['123456789012', '98*'], exclude: '9877*'},"
                   "regions: {include: eu-*, exclude: [eu-south-1]},"
                   "streams: {exclude: [test_?.x]},"
                   "attributes: {tenant: ['a*', b], stage: '', 'dt url': [\"\", '*']}");
    const struct weir_config_destination *to = only(config);
    assert_string_equal(to->accounts.include[0], "123456789012");
    assert_string_equal(to->accounts.include[1], "98*");
    assert_null(to->accounts.include[2]);
    assert_string_equal(to->accounts.exclude[0], "9877*");
    assert_string_equal(to->regions.include[0], "eu-*");
    assert_string_equal(to->regions.exclude[0], "eu-south-1");
    assert_null(to->streams.include);
    assert_string_equal(to->streams.exclude[0], "test_?.x");
    assert_string_equal(to->attributes[0].name, "tenant");
    assert_string_equal(to->attributes[0].values[1], "b");
    assert_null(to->attributes[0].values[2]);
    assert_string_equal(to->attributes[1].values[0], "");
    assert_string_equal(to->attributes[2].name, "dt url");
    assert_string_equal(to->attributes[2].values[1], "*");
    assert_null(to->attributes[3].name);
    weir_config_free(config);
}

static void without_filters_there_are_none(void **state)
{
    (void)state;
    struct weir_config *config = parse_keys("accounts: {}, regions: , attributes: ~");
    const struct weir_config_destination *to = only(config);
    assert_null(to->accounts.include);
    assert_null(to->regions.exclude);
    assert_null(to->streams.include);
    assert_null(to->attributes);
    weir_config_free(config);
}

/* Printed, read back and printed again it is the same. */
static void printed_filters_read_back(void **state)
{
    (void)state;
    struct weir_config *config =
        parse_keys("accounts: {include: '0*'}, streams: {include: [a, b*]},"
                   "attributes: {'a\"$b': ['', '$$x', \"y z\"], tenant: a}");
    struct weir_buf first = weir_buf_grow_init(1 << 20);
    struct weir_buf second = weir_buf_grow_init(1 << 20);
    weir_config_print(config, &first);
    weir_config_free(config);
    weir_buf_put_byte(&first, 0);
    assert_non_null(strstr((char *)first.data,
                           "attributes: {\"a\\\"$b\": [\"\", \"$$x\", \"y z\"], "
                           "\"tenant\": [a]}"));
    config = parse((char *)first.data);
    assert_non_null(config);
    assert_string_equal(only(config)->attributes[0].values[1], "$x");
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
    static const struct mistake mistakes[] = {
        {"accounts: ['123456789012']", ":50: destinations[0].accounts: is a list, but takes a "},
        {"accounts: {only: '1*'}",
         ":51: destinations[0].accounts.only: unknown key (there are include, exclude)"},
        {"accounts: {inclde: '1*'}", "unknown key (did you mean include?)"},
        {"accounts: {include: []}", "destinations[0].accounts.include: has 0 entries, not 1 to "
                                    "1024 (write one, or leave the key out)"},
        {"accounts: {include: [12345678901]}", "not an account: \"12345678901\""},
        {"accounts: {include: ['']}", "is empty (write a value, or leave the key out)"},
        {"accounts: {exclude: ['12a*']}", "not a pattern of accounts: \"12a*\""},
        {"regions: {include: [EU-west-1]}", "not a region or a pattern of regions: \"EU-west-1\""},
        {"regions: {include: {eu: 1}}", "is a mapping, but takes a list of texts"},
        {"streams: {include: ['arn:aws:firehose:eu-west-1:1:deliverystream/x']}",
         "not a delivery stream's name or a pattern of names"},
        {"streams: {include: [[a]]}", "is a list, but takes"},
        {"stream: {include: [a]}", "unknown key (did you mean streams?)"},
        {"attributes: [tenant]",
         "destinations[0].attributes: is a list, but takes a mapping of names to lists of "
         "patterns"},
        {"attributes: {}", "has 0 attributes, not 1 to 50 (write one, or leave the key out)"},
        {"attributes: {tenant: []}", "destinations[0].attributes.tenant: has 0 entries, not 1 to "},
        {"attributes: {tenant: }", "destinations[0].attributes.tenant: is empty (write patterns; "},
        {"attributes: {tenant: {include: a}}",
         "destinations[0].attributes.tenant: is a mapping, but takes a list of texts"},
        {"attributes: {tenant: a, tenant: b}", "tenant: this attribute is there twice"},
        {"attributes: {'': a}", "destinations[0].attributes: not a name of an attribute: \"\""},
        {"attributes: {\"a\\x01\": a}", "a control character in the name of an attribute"},
        {"attributes: {[a]: b}", "is a list, but takes an attribute's name"},
        {"attributes: {tenant: ['${env:WEIR_NOT_SET}']}", "WEIR_NOT_SET"},
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
    }
    assert_int_equal(missed, 0);
}

static void an_exclude_of_everything_is_warned_of(void **state)
{
    (void)state;
    struct weir_config *config =
        parse_keys("streams: {include: ['*'], exclude: [a, '*']}, regions: {exclude: 'a*'}");
    assert_non_null(config);
    assert_int_equal(report.count, 1);
    assert_true(report.messages[0].warning);
    assert_string_equal(report.messages[0].text,
                        "w.yaml:2:49: destinations[0].streams: exclude has *: nothing goes to this "
                        "destination");
    weir_config_free(config);
}

/* `open`, then `count` of `item` with their numbers, then `close`. */
static struct weir_config *parse_many(const char *open, const char *item, int count,
                                      const char *close)
{
    struct weir_buf keys = weir_buf_grow_init(1 << 20);
    weir_buf_put(&keys, weir_bytes_str(open));
    for (int i = 0; i < count; i++) {
        weir_buf_printf(&keys, "%s%s%04d%s", i == 0 ? "" : ", ", item, i,
                        close[0] == ']' ? "" : ": x");
    }
    weir_buf_put(&keys, weir_bytes_str(close));
    weir_buf_put_byte(&keys, 0);
    struct weir_config *config = parse_keys((const char *)keys.data);
    weir_buf_done(&keys);
    return config;
}

static void too_many_are_refused(void **state)
{
    (void)state;
    struct weir_config *config = parse_many("streams: {include: [", "s", 1024, "]}");
    assert_string_equal(only(config)->streams.include[1023], "s1023");
    weir_config_free(config);
    assert_null(parse_many("streams: {include: [", "s", 1025, "]}"));
    assert_non_null(strstr(report.messages[0].text, "has 1025 entries, not 1 to 1024"));
    config = parse_many("attributes: {", "a", 50, "}");
    assert_string_equal(only(config)->attributes[49].name, "a0049");
    weir_config_free(config);
    assert_null(parse_many("attributes: {", "a", 51, "}"));
    assert_non_null(strstr(report.messages[0].text, "has 51 attributes, not 1 to 50"));
    char name[320];
    (void)snprintf(name, sizeof name, "attributes: {%0256d: x}", 0);
    config = parse_keys(name);
    assert_int_equal(strlen(only(config)->attributes[0].name), 256);
    weir_config_free(config);
    (void)snprintf(name, sizeof name, "attributes: {%0257d: x}", 0);
    assert_null(parse_keys(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_arrive),
        cmocka_unit_test(without_filters_there_are_none),
        cmocka_unit_test(printed_filters_read_back),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(an_exclude_of_everything_is_warned_of),
        cmocka_unit_test(too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
