/* SPDX-License-Identifier: Apache-2.0 */
/* What is no mistake, but hardly meant so: warned of, and taken. */
#include "weir/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define KEY(rest_) "ingest:\n  access_keys:\n  - {name: a, " rest_ "}\n"
#define TO(endpoint_)                                                                              \
    "ingest: {access_keys: none}\ndestinations:\n- name: a\n  endpoint: " endpoint_ "\n"

static struct weir_config_report report;

static bool accepted(const char *yaml)
{
    struct weir_config *config = NULL;
    enum weir_status status =
        weir_config_parse("w.yaml", weir_bytes_str(yaml), false, &report, &config);
    weir_config_free(config);
    return status == WEIR_OK;
}

static void what_is_doubtful_is_warned_of(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *message;
    } doubts[] = {
        {KEY("value: x, not_after: 2020-01-01T00:00:00Z"),
         "w.yaml:3:36: ingest.access_keys[0]: not_after has passed: this key opens nothing (take "
         "it "
         "out)"},
        {KEY("value: $FIREHOSE_KEY"),
         "w.yaml:3:22: ingest.access_keys[0].value: is taken as these letters (write ${env:NAME} "
         "for a variable's value, $$ for a plain $)"},
        {TO("http://x:4317/"),
         "w.yaml:4:13: destinations[0].endpoint: 4317 is the port of OTLP over "
         "gRPC, and this is OTLP over HTTP, mostly on 4318 (or write protocol: grpc)"},
        {TO("http://x:4318\n  protocol: grpc"),
         "w.yaml:4:13: destinations[0].endpoint: 4318 is the port of OTLP over HTTP, and this is "
         "OTLP over gRPC, mostly on 4317"},
        {TO("http://x/v1/metrics\n  protocol: grpc"),
         "w.yaml:4:13: destinations[0].endpoint: ends in /v1/metrics, which is of OTLP over HTTP, "
         "and protocol is grpc"},
        {TO("http://x:4318/v1/metrics"),
         "w.yaml:4:13: destinations[0].endpoint: ends in /v1/metrics, and /v1/metrics is appended "
         "(leave it out, or use metrics_endpoint:)"},
    };
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++) {
        assert_true(accepted(doubts[i].yaml));
        assert_int_equal(report.count, 1);
        assert_true(report.messages[0].warning);
        assert_string_equal(report.messages[0].text, doubts[i].message);
    }
}

static void what_is_meant_so_is_not(void **state)
{
    (void)state;
    static const char *const plain[] = {
        KEY("value: $$FIREHOSE_KEY"),
        KEY("value: $ecret"),
        KEY("value: pa$WORD"),
        KEY("value: $"),
        KEY("value: x, not_after: 2199-01-01T00:00:00Z"),
        KEY("value: x, not_before: 2020-01-01T00:00:00Z"),
        TO("http://x:4318"),
        TO("http://x:14317/a4317"),
    };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        assert_true(accepted(plain[i]));
        assert_int_equal(report.count, 0);
    }
}

static void an_offline_check_knows_no_date(void **state)
{
    (void)state;
    struct weir_config *config = NULL;
    static const char yaml[] = KEY("value: x, not_after: 2020-01-01T00:00:00Z");
    assert_int_equal(weir_config_parse("w.yaml", weir_bytes_str(yaml), true, &report, &config),
                     WEIR_OK);
    assert_int_equal(report.count, 0);
    weir_config_free(config);
}

static void brackets_without_end_are_refused_in_no_time(void **state)
{
    (void)state;
    static char yaml[WEIR_CONFIG_FILE_MAX];
    memset(yaml, '[', sizeof yaml - 1);
    assert_false(accepted(yaml)); /* minutes, were libyaml to read it */
    memset(yaml, '{', sizeof yaml - 1);
    assert_false(accepted(yaml));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_doubtful_is_warned_of),
        cmocka_unit_test(what_is_meant_so_is_not),
        cmocka_unit_test(an_offline_check_knows_no_date),
        cmocka_unit_test(brackets_without_end_are_refused_in_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
