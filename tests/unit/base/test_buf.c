/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/buf.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <setjmp.h>

#include <cmocka.h>

static void check_json(struct weir_bytes text, size_t size_max, const char *expected)
{
    struct weir_buf buf = weir_buf_grow_init(4096);
    weir_buf_put_json_string(&buf, text, size_max);
    assert_false(buf.failed);
    support_assert_bytes(weir_buf_view(&buf), weir_bytes_str(expected));
    weir_buf_done(&buf);
}

static void test_a_borrowed_buffer_fills_to_its_last_byte(void **state)
{
    (void)state;
    uint8_t memory[4];
    struct weir_buf buf = weir_buf_fixed(memory, sizeof memory);
    weir_buf_put(&buf, WEIR_BYTES("abc"));
    weir_buf_put_byte(&buf, 'd');
    assert_false(buf.failed);
    weir_buf_put(&buf, WEIR_BYTES(""));
    assert_false(buf.failed);
    weir_buf_put_byte(&buf, 'e');
    assert_true(buf.failed);
    support_assert_bytes(weir_buf_view(&buf), WEIR_BYTES("abcd"));
    weir_buf_done(&buf);
}

static void test_a_failure_sticks_and_writes_nothing(void **state)
{
    (void)state;
    uint8_t memory[4];
    struct weir_buf buf = weir_buf_fixed(memory, sizeof memory);
    weir_buf_put(&buf, WEIR_BYTES("abcde"));
    assert_true(buf.failed);
    assert_int_equal(buf.size, 0);
    weir_buf_put(&buf, WEIR_BYTES("a"));
    weir_buf_printf(&buf, "a");
    weir_buf_put_json_string(&buf, WEIR_BYTES(""), 0);
    assert_null(weir_buf_reserve(&buf, 1));
    assert_int_equal(buf.size, 0);
}

static void test_a_growing_buffer_stops_at_its_limit(void **state)
{
    (void)state;
    struct weir_buf buf = weir_buf_grow_init(1000);
    for (int i = 0; i < 1000; i++) {
        weir_buf_put_byte(&buf, (uint8_t)i);
    }
    assert_false(buf.failed);
    assert_int_equal(buf.capacity, 1000);
    weir_buf_put_byte(&buf, 0);
    assert_true(buf.failed);
    assert_int_equal(buf.size, 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(buf.data[i], (uint8_t)i);
    }
    weir_buf_done(&buf);
    assert_null(buf.data);
    weir_buf_done(&buf);
    weir_buf_done(NULL);
}

static void test_a_reservation_that_wraps_is_refused(void **state)
{
    (void)state;
    struct weir_buf buf = weir_buf_grow_init(SIZE_MAX);
    weir_buf_put_byte(&buf, 'a');
    assert_null(weir_buf_reserve(&buf, SIZE_MAX));
    assert_true(buf.failed);
    assert_int_equal(buf.size, 1);
    weir_buf_done(&buf);
}

static void test_formatted_text_may_end_at_the_last_byte(void **state)
{
    (void)state;
    uint8_t memory[5];
    struct weir_buf buf = weir_buf_fixed(memory, sizeof memory);
    weir_buf_printf(&buf, "%d-%s", 12, "ab");
    assert_false(buf.failed);
    support_assert_bytes(weir_buf_view(&buf), WEIR_BYTES("12-ab"));
    weir_buf_printf(&buf, "%s", "");
    assert_false(buf.failed);
    weir_buf_printf(&buf, "x");
    assert_true(buf.failed);
    assert_int_equal(buf.size, 5);
}

static void test_long_formatted_text(void **state)
{
    (void)state;
    struct weir_buf buf = weir_buf_grow_init(4096);
    weir_buf_printf(&buf, "%0600d", 7);
    assert_false(buf.failed);
    assert_int_equal(buf.size, 600);
    assert_int_equal(buf.data[599], '7');
    weir_buf_printf(&buf, "%04000d", 7);
    assert_true(buf.failed);
    assert_int_equal(buf.size, 600);
    weir_buf_done(&buf);
}

static void test_json_leaves_plain_text_alone(void **state)
{
    (void)state;
    check_json(WEIR_BYTES(""), 0, "\"\"");
    check_json(WEIR_BYTES("AWS/EC2 \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), 0,
               "\"AWS/EC2 \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

static void test_json_escapes_what_could_forge_a_line(void **state)
{
    (void)state;
    check_json(WEIR_BYTES("a\"b\\c"), 0, "\"a\\\"b\\\\c\"");
    check_json(WEIR_BYTES("\n\r\t"), 0, "\"\\n\\r\\t\"");
    check_json(weir_bytes_of("\0\x1b\x7f", 3), 0, "\"\\u0000\\u001b\\u007f\"");
    check_json(WEIR_BYTES("\xe2\x80\xa8\xe2\x80\xa9"), 0, "\"\\u2028\\u2029\"");
    check_json(WEIR_BYTES("\xc2\x80\xc2\x85\xc2\x9f"), 0, "\"\\u0080\\u0085\\u009f\"");
    check_json(WEIR_BYTES("\xc2\xa0"), 0, "\"\xc2\xa0\"");
}

static void test_json_replaces_what_is_not_utf8(void **state)
{
    (void)state;
    check_json(WEIR_BYTES("a\x80z"), 0, "\"a\xef\xbf\xbdz\"");
    check_json(WEIR_BYTES("\xed\xa0\x80"), 0, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    check_json(WEIR_BYTES("\xe2\x82"), 0, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void test_json_cuts_before_a_character(void **state)
{
    (void)state;
    check_json(WEIR_BYTES("abcdef"), 6, "\"abcdef\"");
    check_json(WEIR_BYTES("abcdef"), 5, "\"abcde\xe2\x80\xa6\"");
    check_json(WEIR_BYTES("ab\xe2\x82\xacz"), 4, "\"ab\xe2\x80\xa6\"");
    check_json(WEIR_BYTES("ab\xe2\x82\xacz"), 5, "\"ab\xe2\x82\xac\xe2\x80\xa6\"");
    check_json(WEIR_BYTES("\xe2\x82\xacz"), 1, "\"\xe2\x80\xa6\"");
}

static void test_json_writes_all_or_nothing(void **state)
{
    (void)state;
    uint8_t memory[16];
    for (size_t room = 0; room < 9; room++) {
        struct weir_buf buf = weir_buf_fixed(memory, room);
        weir_buf_put_json_string(&buf, WEIR_BYTES("a\nb\x01"), 0); /* 12 bytes */
        assert_true(buf.failed);
        assert_int_equal(buf.size, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_borrowed_buffer_fills_to_its_last_byte),
        cmocka_unit_test(test_a_failure_sticks_and_writes_nothing),
        cmocka_unit_test(test_a_growing_buffer_stops_at_its_limit),
        cmocka_unit_test(test_a_reservation_that_wraps_is_refused),
        cmocka_unit_test(test_formatted_text_may_end_at_the_last_byte),
        cmocka_unit_test(test_long_formatted_text),
        cmocka_unit_test(test_json_leaves_plain_text_alone),
        cmocka_unit_test(test_json_escapes_what_could_forge_a_line),
        cmocka_unit_test(test_json_replaces_what_is_not_utf8),
        cmocka_unit_test(test_json_cuts_before_a_character),
        cmocka_unit_test(test_json_writes_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
