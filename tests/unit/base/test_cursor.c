/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cursor.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void test_reads_in_order(void **state)
{
    (void)state;
    struct weir_cursor cursor = weir_cursor_of(WEIR_BYTES("\x01\x02\x03\x04\x05\x06"));
    assert_int_equal(weir_cursor_byte(&cursor), 1);
    assert_int_equal(weir_cursor_u32le(&cursor), 0x05040302);
    assert_int_equal(weir_cursor_left(&cursor), 1);
    assert_int_equal(weir_cursor_byte(&cursor), 6);
    assert_false(cursor.failed);
    assert_int_equal(weir_cursor_left(&cursor), 0);
}

static void test_a_byte_past_the_end_fails_for_good(void **state)
{
    (void)state;
    struct weir_cursor cursor = weir_cursor_of(WEIR_BYTES("a"));
    assert_int_equal(weir_cursor_byte(&cursor), 'a');
    assert_int_equal(weir_cursor_byte(&cursor), 0);
    assert_true(cursor.failed);
    assert_int_equal(weir_cursor_take(&cursor, 0).size, 0);
    assert_true(cursor.failed);
}

static void test_a_failed_take_moves_nothing(void **state)
{
    (void)state;
    struct weir_cursor cursor = weir_cursor_of(WEIR_BYTES("abc"));
    assert_int_equal(weir_cursor_take(&cursor, 4).size, 0);
    assert_true(cursor.failed);
    assert_int_equal(weir_cursor_left(&cursor), 3);
    assert_int_equal(weir_cursor_byte(&cursor), 0);
}

static void test_a_huge_size_does_not_wrap(void **state)
{
    (void)state;
    struct weir_cursor cursor = weir_cursor_of(WEIR_BYTES("abc"));
    assert_int_equal(weir_cursor_take(&cursor, SIZE_MAX).size, 0);
    assert_true(cursor.failed);
}

static void test_a_short_word_gives_zero(void **state)
{
    (void)state;
    struct weir_cursor cursor = weir_cursor_of(WEIR_BYTES("\x01\x02\x03"));
    assert_int_equal(weir_cursor_u32le(&cursor), 0);
    assert_true(cursor.failed);
    cursor = weir_cursor_of(WEIR_BYTES("\x01\x02\x03\x04\x05\x06\x07"));
    assert_int_equal(weir_cursor_u64le(&cursor), 0);
    assert_true(cursor.failed);
}

static void test_a_long_word(void **state)
{
    (void)state;
    struct weir_cursor cursor = weir_cursor_of(WEIR_BYTES("\x01\x02\x03\x04\x05\x06\x07\xf8"));
    assert_true(weir_cursor_u64le(&cursor) == UINT64_C(0xf807060504030201));
    assert_false(cursor.failed);
}

static void test_nothing_at_all(void **state)
{
    (void)state;
    struct weir_cursor cursor = weir_cursor_of(weir_bytes_str(NULL));
    assert_int_equal(weir_cursor_left(&cursor), 0);
    assert_int_equal(weir_cursor_take(&cursor, 0).size, 0);
    assert_false(cursor.failed);
    assert_int_equal(weir_cursor_byte(&cursor), 0);
    assert_true(cursor.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_in_order),
        cmocka_unit_test(test_a_byte_past_the_end_fails_for_good),
        cmocka_unit_test(test_a_failed_take_moves_nothing),
        cmocka_unit_test(test_a_huge_size_does_not_wrap),
        cmocka_unit_test(test_a_short_word_gives_zero),
        cmocka_unit_test(test_a_long_word),
        cmocka_unit_test(test_nothing_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
