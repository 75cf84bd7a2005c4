/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct weir_faults parse(const char *text)
{
    struct weir_faults faults;
    struct weir_faults_error error = {0, ""};
    assert_int_equal(weir_faults_parse(text, 42, &faults, &error), WEIR_OK);
    return faults;
}

static void test_bad_specs_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
    } bad[] = {
        {"503", 3},
        {"5:503", 1},
        {"5%503", 2},
        {"5%:", 3},
        {"5%:503,", 7},
        {"5%:503 ;", 7},
        {"5%:399", 3},
        {"5%:600", 3},
        {"5%:5030", 3},
        {"5.%:503", 2},
        {"101%:503", 0},
        {"60%:503,60%:reset", 17},
        {"60%:delay=1s,60%:delay=2s", 25},
        {"-1%:503", 0},
        {"first=:503", 6},
        {"first=99999999999:503", 6},
        {"every=0:503", 7},
        {"sometimes:503", 0},
        {"over=1GB:413", 6},
        {"1%:delay", 3},
        {"1%:delay=5", 10},
        {"1%:delay=s", 9},
        {"1%:partial=", 11},
        {"1%:429 retry-after=", 19},
        {"1%:429 retry-after=x", 19},
        {"1%:reset retry-after=1", 9},
        {"1%:boo", 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_faults faults = {.count = 99};
        struct weir_faults_error error = {0, NULL};
        assert_int_equal(weir_faults_parse(bad[i].text, 1, &faults, &error), WEIR_EINVAL);
        assert_non_null(error.what);
        if (error.offset != bad[i].offset) {
            print_error("%s: %s\n", bad[i].text, error.what);
        }
        assert_int_equal(error.offset, bad[i].offset);
        assert_int_equal(faults.count, 99);
    }
}

static void test_too_many_rules(void **state)
{
    (void)state;
    char text[WEIR_FAULTS_RULES_MAX * 10 + 20] = "";
    size_t size = 0;
    for (int i = 0; i < WEIR_FAULTS_RULES_MAX; i++) {
        memcpy(text + size, "1%:reset,", 9);
        size += 9;
    }
    text[size - 1] = '\0';
    assert_int_equal(parse(text).count, WEIR_FAULTS_RULES_MAX);
    memcpy(text + size - 1, ",1%:lost", 9);
    struct weir_faults faults;
    struct weir_faults_error error;
    assert_int_equal(weir_faults_parse(text, 1, &faults, &error), WEIR_EINVAL);
    assert_int_equal(error.offset, size);
}

static void test_empty_is_none(void **state)
{
    (void)state;
    struct weir_faults faults = parse("  ");
    for (int i = 0; i < 100; i++) {
        struct weir_faults_what what = weir_faults_next(&faults, 1 << 30);
        assert_int_equal(what.kind, WEIR_FAULTS_NONE);
        assert_int_equal(what.delay_ms, 0);
    }
}

static void test_whole_example(void **state)
{
    (void)state;
    struct weir_faults faults = parse("5%:503,2.5%:429 retry-after=2, 1%:reset,1%:lost,3%:partial,"
                                      "2%:delay=500ms,over=1MiB:413,1%:400\n");
    assert_int_equal(faults.count, 8);
    assert_true(faults.measures);
    assert_int_equal(faults.rule[0].what.code, 503);
    assert_int_equal(faults.rule[0].what.retry_after_s, -1);
    assert_true(faults.rule[1].percent > 2.49 && faults.rule[1].percent < 2.51);
    assert_int_equal(faults.rule[1].what.retry_after_s, 2);
    assert_int_equal(faults.rule[4].what.refused, 1);
    assert_int_equal(faults.rule[5].what.delay_ms, 500);
    assert_int_equal(faults.rule[6].number, 1 << 20);
    assert_false(parse("1%:503").measures);
}

static void test_what_counts_is_exact(void **state)
{
    (void)state;
    struct weir_faults faults = parse("first=2:503,every=5:swallow,after=9:double,over=10:413");
    static const enum weir_faults_kind expected[] = {
        WEIR_FAULTS_CODE,    WEIR_FAULTS_CODE,    WEIR_FAULTS_NONE,  WEIR_FAULTS_NONE,
        WEIR_FAULTS_SWALLOW, WEIR_FAULTS_NONE,    WEIR_FAULTS_NONE,  WEIR_FAULTS_NONE,
        WEIR_FAULTS_NONE,    WEIR_FAULTS_SWALLOW, WEIR_FAULTS_DOUBLE};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(weir_faults_next(&faults, 10).kind, expected[i]);
    }
    faults = parse("over=10:413");
    assert_int_equal(weir_faults_next(&faults, 10).kind, WEIR_FAULTS_NONE);
    assert_int_equal(weir_faults_next(&faults, 11).code, 413);
}

static void test_dice_are_fair_and_seeded(void **state)
{
    (void)state;
    struct weir_faults faults = parse("10%:503,20%:lost,50%:delay=1s");
    struct weir_faults again = parse("10%:503,20%:lost,50%:delay=1s");
    uint32_t met[WEIR_FAULTS_KINDS] = {0};
    uint32_t late = 0;
    for (int i = 0; i < 100000; i++) {
        struct weir_faults_what what = weir_faults_next(&faults, 1);
        met[what.kind]++;
        late += what.delay_ms == 1000 ? 1 : 0;
        assert_int_equal(weir_faults_next(&again, 1).kind, what.kind);
    }
    assert_in_range(met[WEIR_FAULTS_CODE], 9500, 10500);
    assert_in_range(met[WEIR_FAULTS_LOST], 19500, 20500);
    assert_in_range(late, 49000, 51000);
}

static void test_all_of_a_hundred(void **state)
{
    (void)state;
    struct weir_faults faults = parse("33.3%:reset,33.3%:stall,33.4%:503");
    for (int i = 0; i < 10000; i++) {
        assert_int_not_equal(weir_faults_next(&faults, 1).kind, WEIR_FAULTS_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_specs_say_where),
        cmocka_unit_test(test_too_many_rules),
        cmocka_unit_test(test_empty_is_none),
        cmocka_unit_test(test_whole_example),
        cmocka_unit_test(test_what_counts_is_exact),
        cmocka_unit_test(test_dice_are_fair_and_seeded),
        cmocka_unit_test(test_all_of_a_hundred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
