/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/pbw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_fields(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
    weir_pbw_uint(&buf, 1, 150);
    weir_pbw_double(&buf, 2, 1.0);
    weir_pbw_bytes(&buf, 3, WEIR_BYTES("abc"));
    weir_pbw_fixed64(&buf, 4, 0x0807060504030201);
    weir_pbw_begin(&buf, 16, 300);
    weir_pbw_bytes(&buf, 5, (struct weir_bytes){NULL, 0});
    assert_false(buf.failed);
    support_assert_bytes(weir_buf_view(&buf), WEIR_BYTES("\x08\x96\x01"
                                                         "\x11\x00\x00\x00\x00\x00\x00\xf0\x3f"
                                                         "\x1a\x03"
                                                         "abc"
                                                         "\x21\x01\x02\x03\x04\x05\x06\x07\x08"
                                                         "\x82\x01\xac\x02"
                                                         "\x2a\x00"));
}

/* Each number of bits: the size is as said, the reader gets it back, and one byte less fails. */
static void test_varints(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t value = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - (bits % 2);
        uint8_t memory[16];
        struct weir_buf buf = weir_buf_fixed(memory, weir_pbw_varint_size(value));
        weir_pbw_varint(&buf, value);
        assert_false(buf.failed);
        assert_int_equal(buf.size, buf.capacity);
        struct weir_cursor cursor = weir_cursor_of(weir_buf_view(&buf));
        assert_true(weir_pb_varint(&cursor) == value);
        assert_false(cursor.failed);
        assert_int_equal(weir_cursor_left(&cursor), 0);
        struct weir_buf shorter = weir_buf_fixed(memory, weir_pbw_varint_size(value) - 1);
        weir_pbw_varint(&shorter, value);
        assert_true(shorter.failed);
        assert_int_equal(shorter.size, 0);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(weir_pbw_varint_size(0), 1);
    assert_int_equal(weir_pbw_varint_size(127), 1);
    assert_int_equal(weir_pbw_varint_size(128), 2);
    assert_int_equal(weir_pbw_varint_size(UINT64_MAX), 10);
    const size_t sizes[] = {0, 1, 127, 128, 16383, 16384};
    const uint32_t numbers[] = {1, 15, 16, 2047, 2048, (1U << 29) - 1};
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 6; j++) {
            struct weir_buf buf = weir_buf_grow_init(64);
            weir_pbw_begin(&buf, numbers[j], sizes[i]);
            assert_false(buf.failed);
            assert_int_equal(buf.size + sizes[i], weir_pbw_bytes_size(numbers[j], sizes[i]));
            weir_buf_done(&buf);
        }
    }
}

static void test_no_room_sticks(void **state)
{
    (void)state;
    uint8_t memory[8];
    struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
    weir_pbw_fixed64(&buf, 1, 7);
    assert_true(buf.failed);
    size_t size = buf.size;
    weir_pbw_uint(&buf, 1, 1);
    weir_pbw_double(&buf, 1, 1.0);
    weir_pbw_bytes(&buf, 1, WEIR_BYTES("a"));
    weir_pbw_begin(&buf, 1, 1);
    weir_pbw_varint(&buf, 1);
    assert_true(buf.failed);
    assert_int_equal(buf.size, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_no_room_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
