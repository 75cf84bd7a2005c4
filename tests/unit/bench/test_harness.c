/* SPDX-License-Identifier: Apache-2.0 */
#include "micro/harness.h"
#include "micro/options.h"
#include "weir/mem.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

/* What was called, in order: p(repare), s(ubject), f(inish), l(imit). */
struct calls {
    char made[256];
    size_t count;
    bool allocates;
};

static void note(struct calls *calls, char what)
{
    if (calls->count < sizeof calls->made - 1) {
        calls->made[calls->count++] = what;
    }
}

static void on_prepare(void *state)
{
    weir_mem_free(weir_mem_alloc(1)); /* not measured */
    note(state, 'p');
}

static void on_subject(void *state)
{
    struct calls *calls = state;
    if (calls->allocates) {
        weir_mem_free(weir_mem_alloc(1));
    }
    note(calls, 's');
}

static void on_finish(void *state)
{
    weir_mem_free(weir_mem_alloc(1));
    note(state, 'f');
}

static void on_limit(void *state)
{
    note(state, 'l');
}

static struct weir_harness_result run(struct calls *calls, bool is_limited, uint32_t iterations)
{
    const struct weir_harness_work work = {.state = calls,
                                           .prepare = on_prepare,
                                           .subject = on_subject,
                                           .finish = on_finish,
                                           .limit = is_limited ? on_limit : NULL};
    const struct weir_harness_options options = {.seconds = 1e-9, .iterations = iterations};
    struct weir_harness_result result;
    assert_int_equal(weir_harness_run(&work, &options, &result), WEIR_OK);
    return result;
}

static void subject_and_limit_take_turns(void **state)
{
    (void)state;
    struct calls calls = {0};
    struct weir_harness_result result = run(&calls, true, 2);
    assert_string_equal(calls.made, "psflpsflpsfl"); /* the first: a warm-up */
    assert_int_equal(result.subject.rounds, 2);
    assert_int_equal(result.limit.rounds, 2);
}

static void without_a_number_it_warms_up_and_makes_the_fewest_rounds(void **state)
{
    (void)state;
    struct calls calls = {0};
    struct weir_harness_result result = run(&calls, true, 0);
    assert_int_equal(result.subject.rounds, WEIR_HARNESS_ROUNDS_MIN);
    assert_int_equal(calls.count, 4 * (WEIR_HARNESS_ROUNDS_MIN + 2));
}

static void without_a_limit_there_is_no_ratio(void **state)
{
    (void)state;
    struct calls calls = {0};
    struct weir_harness_result result = run(&calls, false, 1);
    assert_string_equal(calls.made, "psfpsf");
    assert_int_equal(result.limit.rounds, 0);
    assert_true(result.ratio >= 0 && result.ratio <= 0);
}

static void only_what_the_subject_allocates_is_counted(void **state)
{
    (void)state;
    struct calls frugal = {0};
    assert_int_equal(run(&frugal, true, 3).allocations, 0);
    struct calls lavish = {.allocates = true};
    assert_int_equal(run(&lavish, true, 3).allocations, 3);
    assert_int_equal(run(&lavish, true, 0).allocations, WEIR_HARNESS_ROUNDS_MIN);
}

static void assert_times(int64_t *samples, uint32_t count, double median, double spread)
{
    struct weir_harness_times times = weir_harness_times(samples, count);
    assert_int_equal(times.rounds, count);
    assert_true(times.median_ns > median - 1e-9 && times.median_ns < median + 1e-9);
    assert_true(times.spread > spread - 1e-9 && times.spread < spread + 1e-9);
}

static void the_median_is_the_middle_whatever_the_order(void **state)
{
    (void)state;
    int64_t odd[] = {9, 1, 5};
    assert_times(odd, 3, 5, 0.8); /* quartiles 1 and 5 */
    int64_t even[] = {40, 10, 30, 20};
    assert_times(even, 4, 25, 0.8); /* quartiles 10 and 30 */
    int64_t one[] = {7};
    assert_times(one, 1, 7, 0);
}

static void one_hiccup_moves_neither_median_nor_spread(void **state)
{
    (void)state;
    int64_t samples[] = {100, 100, 100, 100, 100, 100, 100, 100, 1000000};
    assert_times(samples, 9, 100, 0);
}

static void no_samples_and_zeros_divide_nothing(void **state)
{
    (void)state;
    assert_times(NULL, 0, 0, 0);
    int64_t zeros[] = {0, 0, 0};
    assert_times(zeros, 3, 0, 0);
}

static enum weir_status parse(struct weir_options *ret, const char **ret_mistake, ...)
{
    char *argv[16];
    char texts[16][32];
    int argc = 0;
    va_list list;
    va_start(list, ret_mistake);
    for (const char *text = "weir-bench"; text != NULL; text = va_arg(list, const char *)) {
        size_t size = strlen(text);
        assert_true(size < sizeof texts[0] && argc < 16);
        memcpy(texts[argc], text, size + 1);
        argv[argc] = texts[argc];
        argc++;
    }
    va_end(list);
    static char mistaken[32];
    const char *mistake = NULL;
    enum weir_status status = weir_options_parse(argc, argv, ret, &mistake);
    if (mistake != NULL) {
        memcpy(mistaken, mistake, strlen(mistake) + 1);
        *ret_mistake = mistaken;
    }
    return status;
}

static void options_have_defaults(void **state)
{
    (void)state;
    struct weir_options options;
    const char *mistake = NULL;
    assert_int_equal(parse(&options, &mistake, NULL), WEIR_OK);
    assert_int_equal(options.command, WEIR_OPTIONS_CASES);
    assert_int_equal(options.cases.count, 0);
    assert_int_equal(options.harness.iterations, 0);
    assert_true(options.harness.seconds > 0);
    assert_false(options.json);
    assert_int_equal(options.level, 1);
    assert_int_equal(options.context.options.points, 11600);
}

static void options_are_read_in_both_spellings(void **state)
{
    (void)state;
    struct weir_options options;
    const char *mistake = NULL;
    assert_int_equal(parse(&options, &mistake, "--points", "7", "--seed=8", "--once=3", "--json",
                           "--seconds", "0.25", "ring", "path", "--gzip", "0", NULL),
                     WEIR_OK);
    assert_int_equal(options.context.options.points, 7);
    assert_int_equal(options.context.options.seed, 8);
    assert_int_equal(options.context.options.gzip_level, 0);
    assert_int_equal(options.harness.iterations, 3);
    assert_true(options.harness.seconds > 0.24 && options.harness.seconds < 0.26);
    assert_true(options.json);
    assert_int_equal(options.cases.count, 2);
}

static void once_alone_takes_no_case_for_its_number(void **state)
{
    (void)state;
    struct weir_options options;
    const char *mistake = NULL;
    assert_int_equal(parse(&options, &mistake, "--once", "otlp10", NULL), WEIR_OK);
    assert_int_equal(options.harness.iterations, 1);
    assert_int_equal(options.cases.count, 1);
}

static void smoke_is_one_small_body(void **state)
{
    (void)state;
    struct weir_options options;
    const char *mistake = NULL;
    assert_int_equal(parse(&options, &mistake, "--smoke", NULL), WEIR_OK);
    assert_true(options.smoke);
    assert_int_equal(options.harness.iterations, 1);
    assert_true(options.context.options.points < weir_input_defaults().points);
}

static void limit_takes_two_lists_of_files(void **state)
{
    (void)state;
    struct weir_options options;
    const char *mistake = NULL;
    assert_int_equal(parse(&options, &mistake, "limit", "--bodies", "a", "b", "--batches", "c",
                           "--level", "6", NULL),
                     WEIR_OK);
    assert_int_equal(options.command, WEIR_OPTIONS_LIMIT);
    assert_int_equal(options.bodies.count, 2);
    assert_int_equal(options.batches.count, 1);
    assert_int_equal(options.level, 6);
}

static void assert_mistake(enum weir_status status, const char *const *mistake,
                           const char *expected)
{
    assert_int_equal(status, WEIR_EINVAL);
    assert_non_null(*mistake);
    assert_string_equal(*mistake, expected);
}

static void what_is_no_option_is_named(void **state)
{
    (void)state;
    struct weir_options options;
    const char *mistake = NULL;
    assert_mistake(parse(&options, &mistake, "--jsn", NULL), &mistake, "--jsn");
    assert_mistake(parse(&options, &mistake, "-x", NULL), &mistake, "-x");
    assert_mistake(parse(&options, &mistake, "ring", "--json", "path", NULL), &mistake, "path");
    assert_mistake(parse(&options, &mistake, "bodies", "stray", NULL), &mistake, "stray");
    assert_mistake(parse(&options, &mistake, "bodies", NULL), &mistake, "--out");
    assert_mistake(parse(&options, &mistake, "limit", NULL), &mistake, "--bodies");
}

static void numbers_out_of_their_bounds_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"--points", "0"},      {"--points", "10000001"},
        {"--points", "1x"},     {"--points", ""},
        {"--points", "-1"},     {"--points", " 1"},
        {"--once", "0"},        {"--gzip", "13"},
        {"--level", "0"},       {"--namespaces", "1001"},
        {"--seconds", "0"},     {"--seconds", "nan"},
        {"--seconds", "-1"},    {"--seconds", "1s"},
        {"--format", "0.8"},    {"--format", ""},
        {"--directory", ""},    {"--out", ""},
        {"--count", "0"},       {"--resources", "0"},
        {"--per-record", "0x"}, {"--seed", "99999999999999999999"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct weir_options options;
        const char *mistake = NULL;
        char argument[64];
        (void)snprintf(argument, sizeof argument, "%s=%s", wrong[i][0], wrong[i][1]);
        assert_mistake(parse(&options, &mistake, argument, NULL), &mistake, argument);
    }
}

static void a_missing_value_is_a_mistake(void **state)
{
    (void)state;
    struct weir_options options;
    const char *mistake = NULL;
    assert_mistake(parse(&options, &mistake, "--points", NULL), &mistake, "--points");
    assert_mistake(parse(&options, &mistake, "--seconds", NULL), &mistake, "--seconds");
}

static void case_names_are_unique(void **state)
{
    (void)state;
    const struct weir_cases_case *a;
    unsigned count = 0;
    for (unsigned i = 0; (a = weir_cases_at(i)) != NULL; i++) {
        const struct weir_cases_case *b;
        for (unsigned j = i + 1; (b = weir_cases_at(j)) != NULL; j++) {
            assert_string_not_equal(a->name, b->name);
        }
        count++;
    }
    assert_true(count >= 10);
    assert_null(weir_cases_at(count + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subject_and_limit_take_turns),
        cmocka_unit_test(without_a_number_it_warms_up_and_makes_the_fewest_rounds),
        cmocka_unit_test(without_a_limit_there_is_no_ratio),
        cmocka_unit_test(only_what_the_subject_allocates_is_counted),
        cmocka_unit_test(the_median_is_the_middle_whatever_the_order),
        cmocka_unit_test(one_hiccup_moves_neither_median_nor_spread),
        cmocka_unit_test(no_samples_and_zeros_divide_nothing),
        cmocka_unit_test(options_have_defaults),
        cmocka_unit_test(options_are_read_in_both_spellings),
        cmocka_unit_test(once_alone_takes_no_case_for_its_number),
        cmocka_unit_test(smoke_is_one_small_body),
        cmocka_unit_test(limit_takes_two_lists_of_files),
        cmocka_unit_test(what_is_no_option_is_named),
        cmocka_unit_test(numbers_out_of_their_bounds_are_refused),
        cmocka_unit_test(a_missing_value_is_a_mistake),
        cmocka_unit_test(case_names_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
