/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/metrics/families.h"
#include "counting.h"
#include "support.h"
#include "weir/expo.h"
#include "weir/mem.h"
#include "weir/rcu.h"
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

/* The whole exposition as terminated text; weir_mem_free. */
static char *write_all(enum weir_expo_format format)
{
    struct weir_buf buf = weir_buf_grow_init(64 << 20);
    weir_expo_write(&buf, format);
    assert_false(buf.failed);
    char *text = weir_mem_text(buf.data, buf.size);
    weir_buf_done(&buf);
    assert_non_null(text);
    return text;
}

static void check_has(enum weir_expo_format format, const char *part)
{
    char *text = write_all(format);
    if (strstr(text, part) == NULL) {
        print_error("%s", text);
        fail_msg("no %s", part);
    }
    weir_mem_free(text);
}

static void check_has_not(enum weir_expo_format format, const char *part)
{
    char *text = write_all(format);
    assert_null(strstr(text, part));
    weir_mem_free(text);
}

/* Something in every series that a family can have one of, awkward label values included. */
static void count_everything(void)
{
    const struct weir_bytes values[] = {WEIR_BYTES("a \"b\"\\\n\x01"), WEIR_BYTES("\xff z"),
                                        WEIR_BYTES("")};
    for (uint32_t i = 0; i < WEIR_M_FAMILIES; i++) {
        uint32_t series = weir_metrics_series((enum weir_family)i, values);
        switch (weir_families[i].kind) {
        case WEIR_FAMILY_COUNTER: weir_metrics_add(series, 7); break;
        case WEIR_FAMILY_TOTAL:
        case WEIR_FAMILY_GAUGE: weir_metrics_set(series, 0.1); break;
        case WEIR_FAMILY_HISTOGRAM:
            weir_metrics_observe(series, 0.02);
            weir_metrics_observe(series, 1e12);
            break;
        }
    }
}

static int collected;

static void collect(void *argument)
{
    collected++;
    weir_metrics_set(weir_metrics_series(WEIR_M_CONNECTIONS, NULL), *(const double *)argument);
}

static void add_too_many_collectors(void *argument)
{
    for (int i = 0; i < 17; i++) {
        weir_expo_collector(collect, argument);
    }
}

static void test_every_family_is_complete(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WEIR_M_FAMILIES; i++) {
        const struct weir_family_info *info = &weir_families[i];
        assert_non_null(info->name);
        assert_non_null(info->help);
        assert_true(info->label_count == 0 || info->cap > 0);
        assert_int_equal(info->kind == WEIR_FAMILY_HISTOGRAM, info->buckets != NULL);
        bool is_counter = info->kind == WEIR_FAMILY_COUNTER || info->kind == WEIR_FAMILY_TOTAL;
        size_t length = strlen(info->name);
        assert_int_equal(is_counter, length > 6 && strcmp(info->name + length - 6, "_total") == 0);
        for (uint32_t j = 0; j < WEIR_METRICS_LABELS_MAX; j++) {
            assert_int_equal(j < info->label_count, info->labels[j] != NULL);
        }
        for (uint32_t j = 1; info->buckets != NULL && j < info->buckets->count; j++) {
            assert_true(info->buckets->bounds[j] > info->buckets->bounds[j - 1]);
        }
        for (uint32_t j = 0; j < i; j++) {
            assert_string_not_equal(info->name, weir_families[j].name);
        }
    }
}

static void test_what_was_never_touched_is_left_out(void **state)
{
    (void)state;
    counting_start();
    (void)weir_metrics_series(WEIR_M_CONNECTIONS, NULL);
    check_has_not(WEIR_EXPO_PROMETHEUS, "weir_connections");
    check_has_not(WEIR_EXPO_PROMETHEUS, "other");
    weir_metrics_add(weir_metrics_series(WEIR_M_ID_MISMATCHES, NULL), 0);
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_request_id_mismatches_total 0\n");
    counting_stop();
}

static void test_counters_in_both_formats(void **state)
{
    (void)state;
    counting_start();
    const struct weir_bytes values[] = {WEIR_BYTES("200"), WEIR_BYTES("accepted")};
    weir_metrics_add(weir_metrics_series(WEIR_M_REQUESTS, values), UINT64_C(9007199254740993));
    check_has(WEIR_EXPO_PROMETHEUS, "# TYPE weir_requests_total counter\n");
    check_has(WEIR_EXPO_OPENMETRICS, "# TYPE weir_requests counter\n");
    check_has(WEIR_EXPO_OPENMETRICS, "# HELP weir_requests Firehose");
    for (int i = 0; i < 2; i++) {
        check_has((enum weir_expo_format)i,
                  "\nweir_requests_total{code=\"200\",reason=\"accepted\"} 9007199254740993\n");
    }
    counting_stop();
}

static void test_only_openmetrics_has_an_end(void **state)
{
    (void)state;
    counting_start();
    char *text = write_all(WEIR_EXPO_OPENMETRICS);
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    weir_mem_free(text);
    check_has_not(WEIR_EXPO_PROMETHEUS, "EOF");
    counting_stop();
}

static void test_buckets_are_cumulated(void **state)
{
    (void)state;
    counting_start();
    uint32_t series = weir_metrics_series(WEIR_M_REQUEST_DURATION, NULL);
    weir_metrics_observe(series, 0.001);
    weir_metrics_observe(series, 0.9);
    weir_metrics_observe(series, 1.0);
    weir_metrics_observe(series, 500);
    check_has(WEIR_EXPO_PROMETHEUS, "_bucket{le=\"0.001\"} 1\n");
    check_has(WEIR_EXPO_PROMETHEUS, "_bucket{le=\"0.5\"} 1\n");
    check_has(WEIR_EXPO_PROMETHEUS, "_bucket{le=\"1\"} 3\n");
    check_has(WEIR_EXPO_OPENMETRICS, "_bucket{le=\"1.0\"} 3\n");
    check_has(WEIR_EXPO_PROMETHEUS, "_bucket{le=\"180\"} 3\n");
    check_has(WEIR_EXPO_PROMETHEUS, "_bucket{le=\"+Inf\"} 4\n");
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_request_duration_seconds_sum 501.901\n");
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_request_duration_seconds_count 4\n");
    counting_stop();
}

static void test_labels_cannot_forge_a_line(void **state)
{
    (void)state;
    counting_start();
    const struct weir_bytes value = WEIR_BYTES("a\"} 1\nb\\c\rd\xff\xc3\xa4");
    weir_metrics_add(weir_metrics_series(WEIR_M_RECORDS, &value), 1);
    check_has(WEIR_EXPO_PROMETHEUS, "{format=\"a\\\"} 1\\nb\\\\c?d\xef\xbf\xbd\xc3\xa4\"} 1\n");
    counting_stop();
}

static void test_numbers_read_back_as_they_were(void **state)
{
    (void)state;
    const double numbers[] = {0, -1, 0.1, 1.0 / 3, 1e300, 5e-324, 1732212000.123, 4294967297.0};
    counting_start();
    uint32_t series = weir_metrics_series(WEIR_M_CONNECTIONS, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        weir_metrics_set(series, numbers[i]);
        char *text = write_all(WEIR_EXPO_PROMETHEUS);
        const char *line = strstr(text, "\nweir_connections ");
        assert_non_null(line);
        double back = strtod(line + strlen("\nweir_connections "), NULL);
        assert_memory_equal(&back, &numbers[i], sizeof back);
        weir_mem_free(text);
    }
    weir_metrics_set(series, HUGE_VAL);
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_connections +Inf\n");
    weir_metrics_set(series, -HUGE_VAL);
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_connections -Inf\n");
    counting_stop();
}

static void test_collectors_are_asked_each_time(void **state)
{
    (void)state;
    double connections = 42;
    counting_start();
    collected = 0;
    weir_expo_collector(collect, &connections);
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_connections 42\n");
    connections = 43;
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_connections 43\n");
    assert_int_equal(collected, 2);
    assert_true(support_aborts(add_too_many_collectors, &connections));
    counting_stop();
    counting_start();
    check_has_not(WEIR_EXPO_PROMETHEUS, "weir_connections");
    assert_int_equal(collected, 2);
    counting_stop();
}

static void test_the_room_tells_about_itself(void **state)
{
    (void)state;
    counting_start();
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_build_info{version=\"" WEIR_VERSION "\"} 1\n");
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_allocations_total ");
    check_has(WEIR_EXPO_PROMETHEUS, "\nweir_log_lines_suppressed_total ");
    counting_stop();
}

static void test_a_small_buffer_fails(void **state)
{
    (void)state;
    uint8_t memory[100];
    struct weir_buf buf = weir_buf_fixed(memory, sizeof memory);
    counting_start();
    weir_expo_write(&buf, WEIR_EXPO_PROMETHEUS);
    assert_true(buf.failed);
    counting_stop();
}

static enum weir_expo_format asked_with(const char *accept)
{
    return weir_expo_negotiate(weir_bytes_str(accept));
}

static void test_the_format_follows_accept(void **state)
{
    (void)state;
    const char *open[] = {
        "application/openmetrics-text",
        "Application/OpenMetrics-Text; version=1.0.0",
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.5",
        ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
    };
    const char *plain[] = {
        NULL,
        "",
        ",",
        ";q=1,;",
        "*/*",
        "text/plain",
        "text/html,*/*;q=0.8",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0.000",
        "application/openmetrics-text;q=0.3, text/plain;q=0.31",
        "application/openmetrics-textual",
        "xapplication/openmetrics-text",
    };
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        assert_int_equal(asked_with(open[i]), WEIR_EXPO_OPENMETRICS);
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        assert_int_equal(asked_with(plain[i]), WEIR_EXPO_PROMETHEUS);
    }
    assert_non_null(strstr(weir_expo_content_type(WEIR_EXPO_PROMETHEUS), "version=0.0.4"));
    assert_non_null(strstr(weir_expo_content_type(WEIR_EXPO_OPENMETRICS), "version=1.0.0"));
}

/* Debian's promtool has the last word on what Prometheus takes. */
static void test_promtool_finds_no_fault(void **state)
{
    (void)state;
    if (access("/usr/bin/promtool", X_OK) != 0) {
        skip();
    }
    counting_start();
    count_everything();
    char *text = write_all(WEIR_EXPO_PROMETHEUS);
    /* tidy: allow banned -- a test may ask another program what it thinks */
    FILE *promtool = popen("/usr/bin/promtool check metrics >&2", "we");
    assert_non_null(promtool);
    assert_int_equal(fwrite(text, 1, strlen(text), promtool), strlen(text));
    int status = pclose(promtool);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    weir_mem_free(text);
    counting_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family_is_complete),
        cmocka_unit_test(test_what_was_never_touched_is_left_out),
        cmocka_unit_test(test_counters_in_both_formats),
        cmocka_unit_test(test_only_openmetrics_has_an_end),
        cmocka_unit_test(test_buckets_are_cumulated),
        cmocka_unit_test(test_labels_cannot_forge_a_line),
        cmocka_unit_test(test_numbers_read_back_as_they_were),
        cmocka_unit_test(test_collectors_are_asked_each_time),
        cmocka_unit_test(test_the_room_tells_about_itself),
        cmocka_unit_test(test_a_small_buffer_fails),
        cmocka_unit_test(test_the_format_follows_accept),
        cmocka_unit_test(test_promtool_finds_no_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
