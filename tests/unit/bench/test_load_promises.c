/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include "load/promises.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct weir_load_promises promises;
static char text[1024];

static int tear_down(void **state)
{
    (void)state;
    weir_load_promises_done(&promises);
    return 0;
}

static void add(uint64_t first, uint64_t count, uint32_t accepted, uint32_t unsure)
{
    struct weir_load_promise promise = {first, count, accepted, unsure};
    assert_int_equal(weir_load_promises_add(&promises, promise), WEIR_OK);
}

static const char *printed(void)
{
    struct weir_buf out = weir_buf_fixed(text, sizeof text - 1);
    weir_load_promises_print(&promises, &out);
    assert_false(out.failed);
    text[out.size] = '\0';
    return text;
}

static void none_is_an_empty_list(void **state)
{
    (void)state;
    assert_string_equal(printed(), "{\"ranges\":[]}");
    assert_int_equal(weir_load_promises_points(&promises), 0);
}

static void what_says_nothing_is_left_out(void **state)
{
    (void)state;
    add(1, 5, 0, 0);
    add(1, 0, 3, 1);
    assert_string_equal(printed(), "{\"ranges\":[]}");
}

static void neighbours_that_say_the_same_are_one(void **state)
{
    (void)state;
    add(20, 10, 1, 0);
    add(0, 10, 1, 0);
    add(10, 10, 1, 0);
    assert_string_equal(printed(), "{\"ranges\":[[0,30,1,0]]}");
    assert_int_equal(weir_load_promises_points(&promises), 30);
}

static void others_stay_apart(void **state)
{
    (void)state;
    add(0, 10, 1, 0);
    add(10, 10, 2, 0); /* accepted more often */
    add(20, 10, 2, 1); /* perhaps once more */
    add(31, 10, 2, 1); /* a gap */
    add(31, 10, 2, 1); /* the same again: the receiver adds them up */
    assert_string_equal(
        printed(), "{\"ranges\":[[0,10,1,0],[10,10,2,0],[20,10,2,1],[31,10,2,1],[31,10,2,1]]}");
    assert_int_equal(weir_load_promises_points(&promises), 10 + 4 * 20);
}

static void unsure_ones_are_not_promised(void **state)
{
    (void)state;
    add(5, 10, 0, 2);
    assert_string_equal(printed(), "{\"ranges\":[[5,10,0,2]]}");
    assert_int_equal(weir_load_promises_points(&promises), 0);
}

static void those_of_threads_are_merged(void **state)
{
    (void)state;
    struct weir_load_promises other = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        struct weir_load_promise promise = {2 * i + 1, 1, 1, 0};
        add(2 * i, 1, 1, 0);
        assert_int_equal(weir_load_promises_add(&other, promise), WEIR_OK);
    }
    assert_int_equal(weir_load_promises_merge(&promises, &other), WEIR_OK);
    weir_load_promises_done(&other);
    assert_string_equal(printed(), "{\"ranges\":[[0,2000,1,0]]}");
}

/* Each number in at most one body, all of one stream and minute. */
static void a_plan_has_each_number_once(void **state)
{
    (void)state;
    const struct weir_load_plan plan = {.streams = 3, .per_stream = 10, .points = 4};
    uint8_t seen[10 * 30] = {0};
    for (uint64_t n = 0; n < 60; n++) { /* 10 minutes, 3 streams, 2 chunks */
        struct weir_load_range range = weir_load_plan_at(&plan, n);
        assert_int_equal(range.count, 4);
        assert_int_equal(range.first % 30 / 10, range.stream);
        assert_int_equal((range.first + 3) % 30 / 10, range.stream);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(seen[range.first + i]++, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(none_is_an_empty_list, tear_down),
        cmocka_unit_test_teardown(what_says_nothing_is_left_out, tear_down),
        cmocka_unit_test_teardown(neighbours_that_say_the_same_are_one, tear_down),
        cmocka_unit_test_teardown(others_stay_apart, tear_down),
        cmocka_unit_test_teardown(unsure_ones_are_not_promised, tear_down),
        cmocka_unit_test_teardown(those_of_threads_are_merged, tear_down),
        cmocka_unit_test(a_plan_has_each_number_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
