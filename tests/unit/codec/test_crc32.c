/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/crc32.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_a_flipped_bit_shows),
    };
    return cmocka_run_group_tests_name("crc32", tests, NULL, NULL);
}
