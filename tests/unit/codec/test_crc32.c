/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/crc32.h"

#include "guard.h"
#include "support.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void test_known_values(void **state)
{
    (void)state;
    assert_int_equal(weir_crc32(WEIR_BYTES("123456789")), 0xCBF43926);
    assert_int_equal(weir_crc32(WEIR_BYTES("a")), 0xE8B7BE43);
    assert_int_equal(weir_crc32((struct weir_bytes){NULL, 0}), 0);
}

static void test_a_flipped_bit_shows(void **state)
{
    (void)state;
    uint8_t bytes[64] = {0};
    uint32_t before = weir_crc32(weir_bytes_of(bytes, sizeof(bytes)));
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(weir_crc32(weir_bytes_of(bytes, sizeof(bytes))), before);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* The sum, in pieces of all sizes and from each alignment, over guarded text. */
static void test_piece_by_piece(void **state)
{
    (void)state;
    uint8_t bytes[1500];
    struct weir_rand rand = support_rand(3);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)weir_rand_below(&rand, 256);
    }
    for (size_t piece = 1; piece <= 1200; piece += piece < 80 ? 1 : 97) {
        struct guard copy = guard_copy(weir_bytes_of(bytes, sizeof(bytes) - piece % 33));
        struct weir_crc32_sum sum = {copy.data, 0};
        for (size_t at = 0; at < copy.size;) {
            at = at + piece < copy.size ? at + piece : copy.size;
            weir_crc32_sum_to(&sum, copy.data + at);
            assert_int_equal(sum.crc, weir_crc32(weir_bytes_of(copy.data, at)));
        }
        weir_crc32_sum_to(&sum, copy.data + copy.size / 2); /* behind it already */
        assert_ptr_equal(sum.at, copy.data + copy.size);
        assert_int_equal(sum.crc, weir_crc32(guard_view(&copy)));
        guard_free(&copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_a_flipped_bit_shows),
        cmocka_unit_test(test_piece_by_piece),
    };
    return cmocka_run_group_tests_name("crc32", tests, NULL, NULL);
}
