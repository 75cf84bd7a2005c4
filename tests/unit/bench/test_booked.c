/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/booked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LIMIT = 1000000 };

static struct weir_booked *accounts(void)
{
    struct weir_booked *booked = NULL;
    assert_int_equal(weir_booked_new(LIMIT, NULL, &booked), WEIR_OK);
    return booked;
}

static void add(struct weir_booked *booked, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        (void)weir_booked_add(booked, i, false);
    }
}

static struct weir_booked_verdict judge(const struct weir_booked *booked,
                                        const struct weir_booked_range *ranges, size_t count)
{
    struct weir_booked_verdict verdict;
    assert_int_equal(weir_booked_verdict(booked, ranges, count, &verdict), WEIR_OK);
    return verdict;
}

static struct weir_booked_verdict judge_one(const struct weir_booked *booked,
                                            struct weir_booked_range range)
{
    return judge(booked, &range, 1);
}

static void test_as_promised(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    add(booked, 10, 5);
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){10, 5, 1, 0});
    assert_int_equal(verdict.expected, 5);
    assert_int_equal(verdict.missing + verdict.duplicated + verdict.unpromised, 0);
    assert_int_equal(verdict.examples, 0);
    struct weir_booked_counts counts = weir_booked_counts(booked);
    assert_int_equal(counts.points, 5);
    assert_int_equal(counts.distinct, 5);
    weir_booked_free(booked);
}

static void test_missing_is_named(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    add(booked, 0, 3);
    add(booked, 4, 3);
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){0, 9, 1, 0});
    assert_int_equal(verdict.missing, 3);
    assert_int_equal(verdict.examples, 3);
    assert_int_equal(verdict.example[0], 3);
    assert_int_equal(verdict.example[1], 7);
    assert_int_equal(verdict.example[2], 8);
    weir_booked_free(booked);
}

/* Far beyond what came, and beyond the limit, without a walk through it. */
static void test_what_never_came_is_missing(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    struct weir_booked_verdict verdict =
        judge_one(booked, (struct weir_booked_range){5, UINT64_C(1) << 60, 1, 0});
    assert_int_equal(verdict.missing, UINT64_C(1) << 60);
    assert_int_equal(verdict.expected, UINT64_C(1) << 60);
    assert_int_equal(verdict.examples, WEIR_BOOKED_EXAMPLES_MAX);
    assert_int_equal(verdict.example[0], 5);
    weir_booked_free(booked);
}

static void test_duplicated(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    add(booked, 0, 4);
    add(booked, 2, 1);
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){0, 4, 1, 0});
    assert_int_equal(verdict.duplicated, 1);
    assert_int_equal(verdict.example[0], 2);
    assert_int_equal(verdict.repeated, 0);
    weir_booked_free(booked);
}

static void test_repeated_after_lost_is_not_duplicated(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    (void)weir_booked_add(booked, 7, true);
    add(booked, 7, 1);
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){7, 1, 1, 0});
    assert_int_equal(verdict.duplicated, 0);
    assert_int_equal(verdict.repeated, 1);
    add(booked, 7, 1); /* one lost answer excuses one repetition */
    verdict = judge_one(booked, (struct weir_booked_range){7, 1, 1, 0});
    assert_int_equal(verdict.duplicated, 1);
    assert_int_equal(verdict.repeated, 1);
    weir_booked_free(booked);
}

/* The loss is known only after the repetition has come, or before; both excuse it. */
static void test_lost_after_all(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    uint32_t first = weir_booked_add(booked, 1, false);
    assert_int_equal(first, 1);
    assert_int_equal(weir_booked_add(booked, 1, false), 2);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){1, 1, 1, 0}).duplicated, 1);
    weir_booked_lose(booked, 1, first);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){1, 1, 1, 0}).duplicated, 0);

    uint32_t other = weir_booked_add(booked, 2, false);
    weir_booked_lose(booked, 2, other);
    add(booked, 2, 1);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){1, 2, 1, 0}).duplicated, 0);
    assert_int_equal(weir_booked_counts(booked).repeated, 2);
    weir_booked_lose(booked, 3, 0); /* was never booked: nothing */
    weir_booked_lose(booked, UINT64_MAX, 1);
    add(booked, 3, 1);
    add(booked, 3, 1);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){1, 3, 1, 0}).duplicated, 1);
    weir_booked_free(booked);
}

static void test_unsure_may_come_or_not(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    add(booked, 0, 2);
    add(booked, 1, 1);
    struct weir_booked_range ranges[] = {{0, 3, 0, 1}};
    struct weir_booked_verdict verdict = judge(booked, ranges, 1);
    assert_int_equal(verdict.expected, 0);
    assert_int_equal(verdict.missing, 0);
    assert_int_equal(verdict.duplicated, 1);
    assert_int_equal(verdict.example[0], 1);
    ranges[0].accepted = 1; /* once for certain, once perhaps */
    verdict = judge(booked, ranges, 1);
    assert_int_equal(verdict.missing, 1);
    assert_int_equal(verdict.duplicated, 0);
    weir_booked_free(booked);
}

static void test_unpromised(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    add(booked, 0, 10);
    add(booked, 9, 1);
    struct weir_booked_range ranges[] = {{2, 3, 1, 0}, {6, 1, 1, 0}};
    struct weir_booked_verdict verdict = judge(booked, ranges, 2);
    assert_int_equal(verdict.unpromised, 7); /* arrivals: 0 1 5 7 8 9 9 */
    assert_int_equal(verdict.examples, 6);
    assert_int_equal(verdict.missing + verdict.duplicated, 0);
    assert_int_equal(judge(booked, NULL, 0).unpromised, 11);
    weir_booked_free(booked);
}

static void test_refused_for_good_is_not_missing(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    weir_booked_refuse(booked, 0);
    add(booked, 1, 1);
    weir_booked_refuse(booked, 1);
    weir_booked_refuse(booked, UINT64_MAX);
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){0, 3, 1, 0});
    assert_int_equal(verdict.refused, 1);
    assert_int_equal(verdict.missing, 1);
    assert_int_equal(verdict.example[0], 2);
    verdict = judge_one(booked, (struct weir_booked_range){0, 1, 2, 0});
    assert_int_equal(verdict.refused, 0);
    assert_int_equal(verdict.missing, 1); /* promised twice, refused once */
    assert_int_equal(weir_booked_counts(booked).refused, 3);
    weir_booked_free(booked);
}

static void test_overlapping_ranges_add_up(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    add(booked, 0, 10);
    add(booked, 4, 3);
    struct weir_booked_range ranges[] = {{4, 6, 1, 0}, {0, 7, 1, 0}, {5, 0, 9, 9}};
    struct weir_booked_verdict verdict = judge(booked, ranges, 3);
    assert_int_equal(verdict.expected, 13);
    assert_int_equal(verdict.missing + verdict.duplicated + verdict.unpromised, 0);
    struct weir_booked_range more[] = {{0, 10, 1, 0}, {4, 4, 1, 0}};
    verdict = judge(booked, more, 2);
    assert_int_equal(verdict.missing, 1);
    assert_int_equal(verdict.example[0], 7);
    weir_booked_free(booked);
}

static void test_wrong(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    assert_int_equal(weir_booked_add(booked, UINT64_MAX, false), 0);
    assert_int_equal(weir_booked_add(booked, LIMIT, true), 0);
    assert_int_equal(weir_booked_counts(booked).wrong, 2);
    assert_int_equal(weir_booked_counts(booked).distinct, 0);
    assert_int_equal(judge(booked, NULL, 0).wrong, 2);
    weir_booked_free(booked);
}

static void test_saturation(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    for (int i = 0; i < 70000; i++) {
        (void)weir_booked_add(booked, 0, false);
    }
    assert_int_equal(weir_booked_counts(booked).points, 70000);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){0, 1, 65534, 0}).duplicated, 1);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){0, 1, 65535, 0}).duplicated, 0);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){0, 1, 65536, 0}).missing, 1);
    weir_booked_free(booked);
}

/* Promised twice, come twice, but once only because an answer was lost. */
static void test_repetition_stands_in_for_nothing(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts();
    (void)weir_booked_add(booked, 0, true);
    add(booked, 0, 1);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){0, 1, 2, 0}).missing, 1);
    add(booked, 0, 1);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){0, 1, 2, 0}).missing, 0);
    weir_booked_free(booked);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    struct weir_booked *booked = NULL;
    assert_int_equal(weir_booked_new(UINT64_MAX, NULL, &booked), WEIR_ENOMEM);
    assert_int_equal(weir_booked_new(0, NULL, &booked), WEIR_ENOMEM);
    assert_null(booked);
    weir_booked_free(NULL);
    booked = accounts();
    struct weir_booked_range range = {UINT64_MAX, 2, 1, 0};
    struct weir_booked_verdict verdict = {.missing = 77};
    assert_int_equal(weir_booked_verdict(booked, &range, 1, &verdict), WEIR_EINVAL);
    assert_int_equal(verdict.missing, 77);
    weir_booked_free(booked);
}

/* -- points in parts --------------------------------------------------------------------------- */

/* Even numbers have parts 1, 2 and 5; odd ones come whole, as part 0. */
static unsigned parts_of(const void *argument, uint64_t number)
{
    (void)argument;
    return number % 2 == 0 ? 0x26 : 0x01;
}

static struct weir_booked *accounts_in_parts(void)
{
    static const struct weir_booked_parts parts = {parts_of, NULL};
    struct weir_booked *booked = NULL;
    assert_int_equal(weir_booked_new(LIMIT, &parts, &booked), WEIR_OK);
    return booked;
}

/* Each of these parts of a number, once. */
static void add_parts(struct weir_booked *booked, uint64_t number, unsigned parts)
{
    for (unsigned i = 0; i < WEIR_BOOKED_PARTS; i++) {
        if ((parts & 1U << i) != 0) {
            (void)weir_booked_add(booked, number * WEIR_BOOKED_PARTS + i, false);
        }
    }
}

static void test_parts_make_a_point(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts_in_parts();
    add_parts(booked, 4, 0x06);
    assert_int_equal(weir_booked_counts(booked).points, 0);
    add_parts(booked, 4, 0x20);
    add_parts(booked, 5, 0x01);
    assert_int_equal(weir_booked_counts(booked).points, 2);
    assert_int_equal(weir_booked_counts(booked).distinct, 2);
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){4, 2, 1, 0});
    assert_int_equal(verdict.expected, 2);
    assert_int_equal(verdict.missing + verdict.duplicated + verdict.refused, 0);
    verdict = judge_one(booked, (struct weir_booked_range){4, 4, 1, 0});
    assert_int_equal(verdict.missing, 2);
    assert_int_equal(verdict.example[0], 6);
    assert_int_equal(verdict.example[1], 7);
    weir_booked_free(booked);
}

static void test_a_part_too_few_or_too_many(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts_in_parts();
    add_parts(booked, 0, 0x26);
    add_parts(booked, 2, 0x24);
    add_parts(booked, 4, 0x26);
    add_parts(booked, 4, 0x02);
    add_parts(booked, 6, 0x06);
    add_parts(booked, 6, 0x06); /* two of them twice, and one not at all */
    struct weir_booked_range evens[] = {{0, 1, 1, 0}, {2, 1, 1, 0}, {4, 1, 1, 0}, {6, 1, 1, 0}};
    struct weir_booked_verdict verdict = judge(booked, evens, 4);
    assert_int_equal(verdict.missing, 2);
    assert_int_equal(verdict.duplicated, 2);
    assert_int_equal(verdict.examples, 3);
    assert_int_equal(verdict.example[0], 2);
    assert_int_equal(verdict.example[2], 6);
    assert_int_equal(weir_booked_counts(booked).points, 2);
    weir_booked_free(booked);
}

/* Promised twice: a part that came three times does not stand in for one that came once. */
static void test_parts_do_not_stand_in_for_each_other(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts_in_parts();
    add_parts(booked, 8, 0x26);
    add_parts(booked, 8, 0x06);
    add_parts(booked, 8, 0x02);
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){8, 1, 2, 0});
    assert_int_equal(verdict.missing, 1);
    assert_int_equal(verdict.duplicated, 1);
    assert_int_equal(weir_booked_counts(booked).points, 1);
    weir_booked_free(booked);
}

static void test_a_refused_part_refuses_the_point(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts_in_parts();
    add_parts(booked, 2, 0x06);
    weir_booked_refuse(booked, 2 * WEIR_BOOKED_PARTS + 5);
    weir_booked_refuse(booked, 4 * WEIR_BOOKED_PARTS + 5); /* and the others never came */
    struct weir_booked_range evens[] = {{2, 1, 1, 0}, {4, 1, 1, 0}};
    struct weir_booked_verdict verdict = judge(booked, evens, 2);
    assert_int_equal(verdict.refused, 1);
    assert_int_equal(verdict.missing, 1);
    assert_int_equal(weir_booked_counts(booked).refused, 2);
    weir_booked_refuse(booked, 4 * WEIR_BOOKED_PARTS + 1);
    assert_int_equal(weir_booked_counts(booked).refused, 2);
    weir_booked_refuse(booked, UINT64_MAX);
    assert_int_equal(weir_booked_counts(booked).refused, 3);
    weir_booked_free(booked);
}

static void test_parts_after_a_lost_answer(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts_in_parts();
    (void)weir_booked_add(booked, 2 * WEIR_BOOKED_PARTS + 1, true);
    uint32_t ordinal = weir_booked_add(booked, 2 * WEIR_BOOKED_PARTS + 2, false);
    weir_booked_lose(booked, 2 * WEIR_BOOKED_PARTS + 2, ordinal);
    add_parts(booked, 2, 0x26); /* two of them again, and the third */
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){2, 1, 1, 0});
    assert_int_equal(verdict.missing + verdict.duplicated, 0);
    assert_int_equal(weir_booked_counts(booked).points, 1);
    assert_int_equal(weir_booked_counts(booked).repeated, 0);
    (void)weir_booked_add(booked, 2 * WEIR_BOOKED_PARTS + 5, false);
    assert_int_equal(judge_one(booked, (struct weir_booked_range){2, 1, 1, 0}).duplicated, 1);
    weir_booked_free(booked);
}

static void test_parts_that_nobody_promised(void **state)
{
    (void)state;
    struct weir_booked *booked = accounts_in_parts();
    add_parts(booked, 2, 0x02);
    add_parts(booked, 3, 0x01);
    struct weir_booked_verdict verdict = judge_one(booked, (struct weir_booked_range){0, 0, 1, 0});
    assert_int_equal(verdict.unpromised, 2);
    assert_int_equal(weir_booked_add(booked, (uint64_t)LIMIT * WEIR_BOOKED_PARTS, false), 0);
    assert_int_equal(weir_booked_counts(booked).wrong, 1);
    weir_booked_free(booked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_promised),
        cmocka_unit_test(test_missing_is_named),
        cmocka_unit_test(test_what_never_came_is_missing),
        cmocka_unit_test(test_duplicated),
        cmocka_unit_test(test_repeated_after_lost_is_not_duplicated),
        cmocka_unit_test(test_lost_after_all),
        cmocka_unit_test(test_unsure_may_come_or_not),
        cmocka_unit_test(test_unpromised),
        cmocka_unit_test(test_refused_for_good_is_not_missing),
        cmocka_unit_test(test_overlapping_ranges_add_up),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_saturation),
        cmocka_unit_test(test_repetition_stands_in_for_nothing),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_parts_make_a_point),
        cmocka_unit_test(test_a_part_too_few_or_too_many),
        cmocka_unit_test(test_parts_do_not_stand_in_for_each_other),
        cmocka_unit_test(test_a_refused_part_refuses_the_point),
        cmocka_unit_test(test_parts_after_a_lost_answer),
        cmocka_unit_test(test_parts_that_nobody_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
