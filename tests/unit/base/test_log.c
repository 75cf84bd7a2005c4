/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

enum { TEXT_SIZE = 1 << 17 };

static char text[TEXT_SIZE];
static int saved_stderr;
static int reading;

/* Catches standard error until stop_catching, which gives what was written. */
static void start_catching(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[1], F_SETPIPE_SZ, TEXT_SIZE);
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    reading = ends[0];
}

static const char *stop_catching(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    size_t length = 0;
    ssize_t got;
    while ((got = read(reading, text + length, TEXT_SIZE - 1 - length)) > 0) {
        length += (size_t)got;
    }
    close(reading);
    text[length] = '\0';
    return text;
}

static size_t count_lines(const char *lines)
{
    size_t count = 0;
    for (; *lines != '\0'; lines++) {
        count += *lines == '\n';
    }
    return count;
}

static void test_a_json_line(void **state)
{
    (void)state;
    weir_log_configure(WEIR_LOG_INFO, WEIR_LOG_JSON);
    start_catching();
    weir_log(WEIR_LOG_WARN, "request refused", WEIR_LOG_STR("reason", "no \"key\"\n"),
             WEIR_LOG_INT("status", -401), WEIR_LOG_HEX("segment", UINT64_C(0xf00000000000000d)));
    const char *line = stop_catching();
    int year = 0;
    char zone = 0;
    assert_int_equal(sscanf(line, "{\"time\":\"%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3d%c", &year, &zone),
                     2);
    assert_true(year >= 2020);
    assert_int_equal(zone, 'Z');
    assert_non_null(strstr(
        line,
        "\",\"level\":\"warn\",\"event\":\"request refused\","
        "\"reason\":\"no \\\"key\\\"\\n\",\"status\":-401,\"segment\":\"f00000000000000d\"}\n"));
    assert_int_equal(count_lines(line), 1);
}

static void test_a_text_line_quotes_only_what_needs_it(void **state)
{
    (void)state;
    weir_log_configure(WEIR_LOG_INFO, WEIR_LOG_TEXT);
    start_catching();
    weir_log(WEIR_LOG_INFO, "text line", WEIR_LOG_STR("plain", "a-b/c"),
             WEIR_LOG_STR("spaced", "a b"), WEIR_LOG_STR("sly", "x=y"), WEIR_LOG_STR("none", ""),
             WEIR_LOG_STR("two", "1\n2"), WEIR_LOG_HEX("segment", 13));
    const char *line = stop_catching();
    assert_non_null(strstr(line, " info  text line  plain=a-b/c spaced=\"a b\" sly=\"x=y\" "
                                 "none=\"\" two=\"1\\n2\" segment=000000000000000d\n"));
    assert_int_equal(count_lines(line), 1);
}

static void test_lower_levels_are_left_out(void **state)
{
    (void)state;
    weir_log_configure(WEIR_LOG_ERROR, WEIR_LOG_JSON);
    uint64_t suppressed = weir_log_suppressed();
    start_catching();
    weir_log(WEIR_LOG_WARN, "left out", WEIR_LOG_INT("n", 1));
    weir_log(WEIR_LOG_ERROR, "kept", WEIR_LOG_INT("n", 1));
    const char *line = stop_catching();
    assert_null(strstr(line, "left out"));
    assert_non_null(strstr(line, "kept"));
    assert_int_equal(weir_log_suppressed(), suppressed); /* a level is a choice, no loss */
}

static void test_one_event_cannot_flood_and_does_not_silence_others(void **state)
{
    (void)state;
    weir_log_configure(WEIR_LOG_INFO, WEIR_LOG_JSON);
    uint64_t suppressed = weir_log_suppressed();
    start_catching();
    for (int i = 0; i < 100; i++) {
        weir_log(WEIR_LOG_INFO, "flood", WEIR_LOG_INT("n", i));
    }
    weir_log(WEIR_LOG_INFO, "other", WEIR_LOG_INT("n", 1));
    const char *lines = stop_catching();
    assert_in_range(count_lines(lines), 11, 13); /* a slow machine may earn one or two more */
    assert_non_null(strstr(lines, "\"event\":\"other\""));
    assert_in_range(weir_log_suppressed() - suppressed, 88, 90);
}

static void test_what_was_lost_is_told(void **state)
{
    (void)state;
    weir_log_configure(WEIR_LOG_INFO, WEIR_LOG_JSON);
    start_catching();
    for (int i = 0; i < 15; i++) {
        weir_log(WEIR_LOG_INFO, "lossy", WEIR_LOG_INT("n", i));
    }
    usleep(1100 * 1000);
    weir_log(WEIR_LOG_INFO, "lossy", WEIR_LOG_INT("n", 99));
    const char *lines = stop_catching();
    assert_non_null(strstr(lines, "\"suppressed\":5,\"n\":99}"));
}

static void test_long_values_are_cut_and_long_lines_say_so(void **state)
{
    (void)state;
    weir_log_configure(WEIR_LOG_INFO, WEIR_LOG_JSON);
    char value[1000];
    memset(value, 1, sizeof value); /* six bytes each when escaped */
    struct weir_log_field fields[5];
    for (size_t i = 0; i < 5; i++) {
        fields[i] = WEIR_LOG_TEXTF("value", weir_bytes_of(value, sizeof value));
    }
    start_catching();
    weir_log_fields(WEIR_LOG_INFO, "long line", fields, 5);
    const char *line = stop_catching();
    assert_true(strlen(line) <= 4096);
    assert_non_null(strstr(line, ",\"truncated\":1}\n"));
    assert_int_equal(count_lines(line), 1);
}

static void test_errno_is_left_alone(void **state)
{
    (void)state;
    weir_log_configure(WEIR_LOG_INFO, WEIR_LOG_JSON);
    start_catching();
    errno = ENOSPC;
    weir_log(WEIR_LOG_INFO, "errno", WEIR_LOG_INT("n", 1));
    assert_int_equal(errno, ENOSPC);
    stop_catching();
}

/* Whoever reads the log may stop reading; who writes it must not stop for that. */
static void test_a_full_pipe_stops_nobody(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    uint64_t before = weir_log_suppressed();
    char name[32];
    static char filler[200];
    memset(filler, 'x', sizeof(filler) - 1);
    for (int i = 0; i < 300; i++) { /* more than 64 KiB, each event within its allowance */
        (void)snprintf(name, sizeof(name), "pipe %d", i / 10);
        weir_log(WEIR_LOG_ERROR, name, WEIR_LOG_STR("filler", filler));
    }
    uint64_t lost = weir_log_suppressed() - before;
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    close(kept);
    close(ends[0]);
    close(ends[1]);
    assert_in_range(lost, 1, 250);
}

static void test_more_events_than_the_table_holds(void **state)
{
    (void)state;
    weir_log_configure(WEIR_LOG_INFO, WEIR_LOG_JSON);
    start_catching();
    for (int i = 0; i < 400; i++) {
        char event[32];
        snprintf(event, sizeof event, "event %d", i);
        weir_log(WEIR_LOG_INFO, event, WEIR_LOG_INT("n", i));
    }
    const char *lines = stop_catching();
    assert_true(count_lines(lines) >= 200); /* those beyond share one allowance */
    assert_true(count_lines(lines) < 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_json_line),
        cmocka_unit_test(test_a_text_line_quotes_only_what_needs_it),
        cmocka_unit_test(test_lower_levels_are_left_out),
        cmocka_unit_test(test_one_event_cannot_flood_and_does_not_silence_others),
        cmocka_unit_test(test_what_was_lost_is_told),
        cmocka_unit_test(test_long_values_are_cut_and_long_lines_say_so),
        cmocka_unit_test(test_errno_is_left_alone),
        cmocka_unit_test(test_a_full_pipe_stops_nobody),
        cmocka_unit_test(test_more_events_than_the_table_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
