/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "weir/buffer_hints.h"

static struct weir_buffer a_buffer(size_t size, int64_t interval_ns, uint32_t points_max)
{
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, (struct weir_buffer_hints){size, interval_ns, points_max});
    return buffer;
}

static void test_closed_is_never_due(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, 0, 1);
    assert_int_equal(weir_buffer_due(&buffer, INT64_MAX), WEIR_BUFFER_NOT_DUE);
    assert_true(weir_buffer_deadline_ns(&buffer) == INT64_MAX);
}

static void test_size_edge(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, 100, 0);
    weir_buffer_grow(&buffer, 9, 1, 0);
    assert_int_equal(weir_buffer_due(&buffer, 0), WEIR_BUFFER_NOT_DUE);
    assert_true(weir_buffer_fits(&buffer, 10, 2));
    assert_false(weir_buffer_fits(&buffer, 11, 2));
    weir_buffer_grow(&buffer, 10, 2, 0);
    assert_int_equal(weir_buffer_due(&buffer, 0), WEIR_BUFFER_SIZE);
}

static void test_points_edge(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(1000, 100, 3);
    weir_buffer_grow(&buffer, 1, 2, 0);
    assert_int_equal(weir_buffer_due(&buffer, 99), WEIR_BUFFER_NOT_DUE);
    assert_true(weir_buffer_fits(&buffer, 2, 3));
    assert_false(weir_buffer_fits(&buffer, 2, 4));
    weir_buffer_grow(&buffer, 2, 3, 0);
    assert_int_equal(weir_buffer_due(&buffer, 0), WEIR_BUFFER_POINTS);
}

static void test_interval_edge(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, 100, 0);
    weir_buffer_grow(&buffer, 1, 1, 50);
    weir_buffer_grow(&buffer, 2, 2, 140);
    assert_true(buffer.opened_ns == 50);
    assert_true(buffer.grown_ns == 140);
    assert_true(weir_buffer_deadline_ns(&buffer) == 150);
    assert_int_equal(weir_buffer_due(&buffer, 149), WEIR_BUFFER_NOT_DUE);
    assert_int_equal(weir_buffer_due(&buffer, 150), WEIR_BUFFER_INTERVAL);
    assert_int_equal(weir_buffer_due(&buffer, 151), WEIR_BUFFER_INTERVAL);
}

static void test_interval_zero_is_due_at_once(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, 0, 0);
    weir_buffer_grow(&buffer, 1, 1, 7);
    assert_int_equal(weir_buffer_due(&buffer, 7), WEIR_BUFFER_INTERVAL);
}

static void test_single_larger_item(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, 100, 1);
    assert_true(weir_buffer_fits(&buffer, 5000, 1));
    weir_buffer_grow(&buffer, 5000, 1, 0);
    assert_int_equal(weir_buffer_due(&buffer, 0), WEIR_BUFFER_SIZE);
    assert_false(weir_buffer_fits(&buffer, 5001, 2));
}

static void test_size_comes_before_points_before_interval(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, 0, 1);
    weir_buffer_grow(&buffer, 9, 1, 0);
    assert_int_equal(weir_buffer_due(&buffer, 0), WEIR_BUFFER_POINTS);
    weir_buffer_reset(&buffer);
    weir_buffer_grow(&buffer, 10, 1, 0);
    assert_int_equal(weir_buffer_due(&buffer, 0), WEIR_BUFFER_SIZE);
}

static void test_reset_closes_and_reopens_later(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, 100, 0);
    weir_buffer_grow(&buffer, 10, 1, 0);
    weir_buffer_reset(&buffer);
    assert_int_equal(weir_buffer_due(&buffer, 1000), WEIR_BUFFER_NOT_DUE);
    assert_int_equal(buffer.hints.size, 10);
    weir_buffer_grow(&buffer, 1, 1, 1000);
    assert_true(weir_buffer_deadline_ns(&buffer) == 1100);
}

static void test_deadline_saturates(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, INT64_MAX, 0);
    weir_buffer_grow(&buffer, 1, 1, 1);
    assert_true(weir_buffer_deadline_ns(&buffer) == INT64_MAX);
    assert_int_equal(weir_buffer_due(&buffer, INT64_MAX - 1), WEIR_BUFFER_NOT_DUE);
    weir_buffer_reset(&buffer);
    weir_buffer_grow(&buffer, 1, 1, INT64_MIN);
    assert_true(weir_buffer_deadline_ns(&buffer) == -1);
}

static void grow_past_the_size(void *argument)
{
    struct weir_buffer buffer = *(struct weir_buffer *)argument;
    weir_buffer_grow(&buffer, 11, 2, 0);
}

static void shrink(void *argument)
{
    struct weir_buffer buffer = *(struct weir_buffer *)argument;
    weir_buffer_grow(&buffer, 5, 1, 0);
}

static void init_without_size(void *argument)
{
    (void)argument;
    (void)a_buffer(0, 1, 1);
}

static void init_with_negative_interval(void *argument)
{
    (void)argument;
    (void)a_buffer(1, -1, 1);
}

static void test_our_bugs_abort(void **state)
{
    (void)state;
    struct weir_buffer buffer = a_buffer(10, 100, 0);
    weir_buffer_grow(&buffer, 9, 1, 0);
    assert_true(support_aborts(grow_past_the_size, &buffer));
    assert_true(support_aborts(shrink, &buffer));
    assert_true(support_aborts(init_without_size, NULL));
    assert_true(support_aborts(init_with_negative_interval, NULL));
}

static void test_texts(void **state)
{
    (void)state;
    assert_string_equal(weir_buffer_trigger_text(WEIR_BUFFER_SIZE), "size");
    assert_string_equal(weir_buffer_trigger_text(WEIR_BUFFER_POINTS), "points");
    assert_string_equal(weir_buffer_trigger_text(WEIR_BUFFER_INTERVAL), "interval");
    assert_string_equal(weir_buffer_trigger_text(WEIR_BUFFER_FLUSH), "flush");
    assert_string_equal(weir_buffer_trigger_text(WEIR_BUFFER_NOT_DUE), "not_due");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_is_never_due),
        cmocka_unit_test(test_size_edge),
        cmocka_unit_test(test_points_edge),
        cmocka_unit_test(test_interval_edge),
        cmocka_unit_test(test_interval_zero_is_due_at_once),
        cmocka_unit_test(test_single_larger_item),
        cmocka_unit_test(test_size_comes_before_points_before_interval),
        cmocka_unit_test(test_reset_closes_and_reopens_later),
        cmocka_unit_test(test_deadline_saturates),
        cmocka_unit_test(test_our_bugs_abort),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
