/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/pb.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Reads every field of a guarded copy; whether it ended well, and how many there were. */
static bool walk(struct weir_bytes message, size_t *ret_fields)
{
    struct guard copy = guard_copy(message);
    struct weir_cursor cursor = weir_cursor_of(guard_view(&copy));
    struct weir_pb_field field;
    size_t fields = 0;
    const uint8_t *expected = copy.data;
    while (weir_pb_next(&cursor, &field)) {
        assert_ptr_equal(field.whole.data, expected);
        expected += field.whole.size;
        fields++;
    }
    if (!cursor.failed) {
        assert_ptr_equal(expected, copy.data + copy.size);
    }
    *ret_fields = fields;
    guard_free(&copy);
    return !cursor.failed;
}

static void refuse(struct weir_bytes message)
{
    size_t fields;
    assert_false(walk(message, &fields));
}

static void test_every_wire_type(void **state)
{
    (void)state;
    struct weir_bytes message = WEIR_BYTES("\x08\x96\x01"
                                           "\x11\x00\x00\x00\x00\x00\x00\xf0\x3f"
                                           "\x1a\x03"
                                           "abc"
                                           "\x25\x01\x02\x03\x04");
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    assert_true(weir_pb_next(&cursor, &field));
    assert_int_equal(field.number, 1);
    assert_int_equal(field.type, WEIR_PB_VARINT);
    assert_int_equal(field.value, 150);
    assert_int_equal(field.whole.size, 3);
    assert_true(weir_pb_next(&cursor, &field));
    assert_int_equal(field.type, WEIR_PB_FIXED64);
    assert_true(weir_pb_double(field.value) == 1.0);
    assert_true(weir_pb_next(&cursor, &field));
    assert_int_equal(field.type, WEIR_PB_BYTES);
    support_assert_bytes(field.bytes, WEIR_BYTES("abc"));
    assert_true(weir_pb_next(&cursor, &field));
    assert_int_equal(field.number, 4);
    assert_int_equal(field.type, WEIR_PB_FIXED32);
    assert_int_equal(field.value, 0x04030201);
    assert_int_equal(field.bytes.size, 0);
    assert_false(weir_pb_next(&cursor, &field));
    assert_false(cursor.failed);
}

static void test_empty(void **state)
{
    (void)state;
    size_t fields = 7;
    assert_true(walk(WEIR_BYTES(""), &fields));
    assert_int_equal(fields, 0);
    struct weir_cursor cursor = weir_cursor_of((struct weir_bytes){NULL, 0});
    struct weir_pb_field field;
    assert_false(weir_pb_next(&cursor, &field));
    assert_false(cursor.failed);
}

static void test_bad_tags(void **state)
{
    (void)state;
    refuse(WEIR_BYTES("\x00\x01"));                 /* field number 0 */
    refuse(WEIR_BYTES("\x02\x00"));                 /* the same, as bytes */
    refuse(WEIR_BYTES("\x0b\x0c"));                 /* a group */
    refuse(WEIR_BYTES("\x0c"));                     /* its end */
    refuse(WEIR_BYTES("\x0e\x01"));                 /* wire type 6 */
    refuse(WEIR_BYTES("\x0f\x01"));                 /* wire type 7 */
    refuse(WEIR_BYTES("\x80\x80\x80\x80\x10\x01")); /* number 2^29 */
    refuse(WEIR_BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01"));
    size_t fields;
    assert_true(walk(WEIR_BYTES("\xf8\xff\xff\xff\x0f\x01"), &fields)); /* number 2^29 - 1 */
}

static void test_truncations(void **state)
{
    (void)state;
    refuse(WEIR_BYTES("\x08"));
    refuse(WEIR_BYTES("\x88"));
    refuse(WEIR_BYTES("\x08\x96"));
    refuse(WEIR_BYTES("\x11\x00\x00\x00\x00\x00\x00\xf0"));
    refuse(WEIR_BYTES("\x1a"));
    refuse(WEIR_BYTES("\x1a\x04"
                      "abc"));
    refuse(WEIR_BYTES("\x25\x01\x02\x03"));
    refuse(WEIR_BYTES("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                      "abc"));
    refuse(WEIR_BYTES("\x1a\xff\xff\xff\xff\x0f"
                      "abc"));
}

static uint64_t read_varint(struct weir_bytes text, bool *ret_failed)
{
    struct guard copy = guard_copy(text);
    struct weir_cursor cursor = weir_cursor_of(guard_view(&copy));
    uint64_t value = weir_pb_varint(&cursor);
    *ret_failed = cursor.failed;
    guard_free(&copy);
    return value;
}

static void test_varints(void **state)
{
    (void)state;
    bool failed;
    assert_true(read_varint(WEIR_BYTES("\x00"), &failed) == 0 && !failed);
    assert_true(read_varint(WEIR_BYTES("\x7f"), &failed) == 127 && !failed);
    assert_true(read_varint(WEIR_BYTES("\x80\x01"), &failed) == 128 && !failed);
    assert_true(read_varint(WEIR_BYTES("\xff\x7f"), &failed) == 16383 && !failed);
    assert_true(read_varint(WEIR_BYTES("\x80\x80\x01"), &failed) == 16384 && !failed);
    assert_true(read_varint(WEIR_BYTES("\x80\x00"), &failed) == 0 && !failed);
    assert_true(read_varint(WEIR_BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &failed) ==
                    UINT64_MAX &&
                !failed);
    (void)read_varint(WEIR_BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), &failed);
    assert_true(failed);
    (void)read_varint(WEIR_BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), &failed);
    assert_true(failed);
    (void)read_varint(WEIR_BYTES(""), &failed);
    assert_true(failed);
    (void)read_varint(WEIR_BYTES("\x80"), &failed);
    assert_true(failed);
}

static void test_failure_sticks(void **state)
{
    (void)state;
    struct weir_cursor cursor = weir_cursor_of(WEIR_BYTES("\x08\x01"));
    cursor.failed = true;
    struct weir_pb_field field = {.number = 99};
    assert_false(weir_pb_next(&cursor, &field));
    assert_int_equal(weir_pb_varint(&cursor), 0);
    assert_int_equal(field.number, 99);
}

static void test_good_values(void **state)
{
    (void)state;
    assert_true(weir_pb_any_value_valid(WEIR_BYTES(""), 1));
    assert_true(weir_pb_any_value_valid(WEIR_BYTES("\x0a\x02\xc3\xa9"), 1));
    assert_true(weir_pb_any_value_valid(WEIR_BYTES("\x10\x01\x18\x07"), 1));
    assert_true(weir_pb_any_value_valid(WEIR_BYTES("\x21........"), 1));
    assert_true(weir_pb_any_value_valid(WEIR_BYTES("\x3a\x01\xff"), 1));         /* bytes */
    assert_true(weir_pb_any_value_valid(WEIR_BYTES("\x42\x01\xff\x48\x01"), 1)); /* unknown */
    assert_true(weir_pb_key_value_valid(WEIR_BYTES("\x0a\x01k\x12\x03\x0a\x01v"), 1));
    assert_true(weir_pb_key_value_valid(WEIR_BYTES(""), 1));
}

static void test_bad_values(void **state)
{
    (void)state;
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x0a\x01\xff"), 1));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x08\x01"), 1)); /* string as varint */
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x12\x01x"), 1));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x1a\x01x"), 1));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x20\x01"), 1));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x28\x01"), 1));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x30\x01"), 1));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x38\x01"), 1));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x2a\x02\x08\x01"), 2));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x2a\x05\x0a\x03\x0a\x01\xff"), 2));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x32\x05\x0a\x03\x0a\x01\xff"), 2));
    assert_false(weir_pb_any_value_valid(WEIR_BYTES("\x0a\x05x"), 1));
    assert_false(weir_pb_key_value_valid(WEIR_BYTES("\x08\x01"), 1));
    assert_false(weir_pb_key_value_valid(WEIR_BYTES("\x10\x01"), 1));
    assert_false(weir_pb_key_value_valid(WEIR_BYTES("\x0a\x01\xff"), 1));
    assert_false(weir_pb_key_value_valid(WEIR_BYTES("\x12\x03\x0a\x01\xff"), 1));
    assert_false(weir_pb_key_value_valid(WEIR_BYTES("\x0a\x02k"), 1));
}

/* A list in a list in a list ... around an empty value: `levels` values in all. */
static size_t nest(uint8_t *text, size_t capacity, unsigned levels, uint8_t tag)
{
    uint8_t *end = text + capacity;
    uint8_t *at = end;
    for (unsigned i = 1; i < levels; i++) {
        size_t inner = (size_t)(end - at);
        if (tag == 0x32) { /* kvlist: the value sits in a KeyValue */
            *--at = (uint8_t)inner;
            *--at = 0x12;
            inner += 2;
        }
        *--at = (uint8_t)inner;
        *--at = 0x0A;
        *--at = (uint8_t)(inner + 2);
        *--at = tag;
    }
    size_t size = (size_t)(end - at);
    memmove(text, at, size);
    return size;
}

static void test_depth(void **state)
{
    (void)state;
    uint8_t text[128];
    const uint8_t tags[] = {0x2A, 0x32};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned levels = 1; levels <= 18; levels++) {
            struct weir_bytes value =
                weir_bytes_of(text, nest(text, sizeof(text), levels, tags[i]));
            assert_true(weir_pb_any_value_valid(value, levels));
            assert_false(weir_pb_any_value_valid(value, levels - 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_wire_type), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_bad_tags),        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_varints),         cmocka_unit_test(test_failure_sticks),
        cmocka_unit_test(test_good_values),     cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
