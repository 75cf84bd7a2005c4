/* SPDX-License-Identifier: Apache-2.0 */
#include "load/help.h"
#include "load/options.h"
#include "load/value.h"
#include "weir/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 16 };

#define URL "http://127.0.0.1:1/"

static struct weir_load_options options;

/* The exit code, or -1 for "go on". The words are separated by spaces. */
static int parse(const char *words)
{
    static char memory[512];
    char *argv[ARGUMENTS_MAX] = {NULL};
    char *rest = memory;
    int argc = 0;
    int code = 0;
    assert_true(strlen(words) < sizeof memory);
    memcpy(memory, words, strlen(words) + 1);
    for (char *word; (word = strsep(&rest, " ")) != NULL && argc < ARGUMENTS_MAX - 1;) {
        argv[argc++] = word;
    }
    return weir_load_options_parse(argc, argv, &options, &code) ? -1 : code;
}

static void defaults_are_firehoses(void **state)
{
    (void)state;
    assert_int_equal(parse("weir-load " URL), -1);
    assert_string_equal(options.url, URL);
    assert_int_equal(options.mode, WEIR_LOAD_FAST);
    assert_int_equal(options.buffer.size, 3 << 20);
    assert_true(options.buffer.interval_ns == 60 * WEIR_NS_PER_S);
    assert_true(options.retry_window_ns == 900 * WEIR_NS_PER_S);
    assert_true(options.timeout_ns == 180 * WEIR_NS_PER_S);
    assert_true(options.duration_ns == 30 * WEIR_NS_PER_S);
    assert_int_equal(options.bodies, 16);
    assert_null(options.key);
}

static void what_depends_on_others_is_filled_in(void **state)
{
    (void)state;
    assert_int_equal(parse("weir-load --connections 3 --threads 9 " URL), -1);
    assert_int_equal(options.threads, 3);
    assert_int_equal(parse("weir-load --points 20000 " URL), -1);
    assert_int_equal(options.world.per_stream, 20000);
    assert_int_equal(parse("weir-load --mode rate " URL), -1);
    assert_true(options.rate > 9.9 && options.rate < 10.1);
    assert_int_equal(parse("weir-load --mode life --time-scale 2.5 " URL), -1);
    assert_true(options.time_scale > 2.4 && options.time_scale < 2.6);
    assert_true(options.duration_ns == 300 * WEIR_NS_PER_S);
    assert_int_equal(parse("weir-load --connections 100 --sink http://a --sink http://b " URL), -1);
    assert_int_equal(options.bodies, 200);
    assert_int_equal(options.sink_count, 2);
}

static void the_key_comes_from_the_best_place(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-load-key-XXXXXX";
    char words[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from-file\n", 10), 10);
    (void)close(fd);
    (void)setenv("WEIR_ACCESS_KEY", "from-environment", 1);
    assert_int_equal(parse("weir-load " URL), -1);
    assert_string_equal(options.key, "from-environment");
    (void)snprintf(words, sizeof words, "weir-load --key-file %s " URL, path);
    assert_int_equal(parse(words), -1);
    assert_string_equal(options.key, "from-file");
    weir_load_options_done(&options);
    assert_null(options.key);
    (void)unlink(path);
    assert_int_equal(parse(words), WEIR_LOAD_USAGE);
    (void)unsetenv("WEIR_ACCESS_KEY");
}

static void mistakes_are_usage(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "weir-load",
        "weir-load 127.0.0.1:80",
        "weir-load " URL " " URL,
        "weir-load --nothing " URL,
        "weir-load " URL " --rate",
        "weir-load --mode slow " URL,
        "weir-load --format otlp " URL,
        "weir-load --gzip 13 " URL,
        "weir-load --gzip -1 " URL,
        "weir-load --points 0 " URL,
        "weir-load --streams 0 " URL,
        "weir-load --connections 99999 " URL,
        "weir-load --duration 30 " URL,
        "weir-load --duration 0 " URL,
        "weir-load --timeout 0 " URL,
        "weir-load --buffer-size 65MiB " URL,
        "weir-load --rate 5 " URL,
        "weir-load --mode rate --rate 0 " URL,
        "weir-load --mode rate --rate 5 --points-rate 5 " URL,
        "weir-load --time-scale 2 " URL,
        "weir-load --points 200 --series 100 " URL,
        "weir-load --sink 127.0.0.1:80 " URL,
        "weir-load --key-file /nonexistent/key " URL,
        "weir-load --json=yes " URL,
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memset(&options, 0x5a, sizeof options);
        assert_int_equal(parse(wrong[i]), WEIR_LOAD_USAGE);
        assert_int_equal(*(const uint8_t *)&options, 0x5a); /* untouched */
    }
}

static void help_is_no_mistake_and_names_every_option(void **state)
{
    (void)state;
    static const char *const names[] = {"--mode",     "--rate",         "--points-rate",
                                        "--backup",   "--sink",         "--settle",
                                        "--warm-up",  "--retry-window", "--hot-percent",
                                        "--key-file", "--time-scale",   "--no-percentiles"};
    assert_int_equal(parse("weir-load --help"), WEIR_LOAD_DONE);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_non_null(strstr(weir_load_help, names[i]));
    }
}

static void values_are_exact_texts(void **state)
{
    (void)state;
    static const char *const no_count[] = {"", "-1", "1x", " 1", "1 ", "18446744073709551616", "6"};
    static const char *const no_number[] = {"", "0", ".5", "1.", "1e3", "-2", "nan"};
    static const char *const no_size[] = {"", "MiB", "1.5MiB", "1 MiB", "99999999999GiB", "1Mi"};
    static const char *const no_duration[] = {"", "60", "s", "1.5s", "-1s", "1d", "9999999999h"};
    uint64_t count = 77;
    double number = 77;
    size_t size = 77;
    int64_t duration = 77;
    for (size_t i = 0; i < sizeof no_count / sizeof *no_count; i++) {
        assert_false(weir_load_value_count(no_count[i], 0, 5, &count));
    }
    for (size_t i = 0; i < sizeof no_number / sizeof *no_number; i++) {
        assert_false(weir_load_value_number(no_number[i], &number));
    }
    for (size_t i = 0; i < sizeof no_size / sizeof *no_size; i++) {
        assert_false(weir_load_value_size(no_size[i], &size));
    }
    for (size_t i = 0; i < sizeof no_duration / sizeof *no_duration; i++) {
        assert_false(weir_load_value_duration(no_duration[i], &duration));
    }
    assert_true(count == 77 && size == 77 && duration == 77 && number > 76 && number < 78);
    assert_true(weir_load_value_count("5", 0, 5, &count) && count == 5);
    assert_true(weir_load_value_number("12.25", &number) && number > 12.24 && number < 12.26);
    assert_true(weir_load_value_size("3MiB", &size) && size == 3 << 20);
    assert_true(weir_load_value_duration("250ms", &duration) && duration == 250000000);
    assert_true(weir_load_value_duration("0", &duration) && duration == 0);
}

int main(void)
{
    (void)unsetenv("WEIR_ACCESS_KEY");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_firehoses),
        cmocka_unit_test(what_depends_on_others_is_filled_in),
        cmocka_unit_test(the_key_comes_from_the_best_place),
        cmocka_unit_test(mistakes_are_usage),
        cmocka_unit_test(help_is_no_mistake_and_names_every_option),
        cmocka_unit_test(values_are_exact_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
