/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/crc32c.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void check(struct weir_bytes bytes, uint32_t expected)
{
    assert_int_equal(weir_crc32c(0, bytes), expected);
    assert_int_equal(weir_crc32c_plain(0, bytes), expected);
}

static void test_published_values(void **state)
{
    (void)state;
    uint8_t bytes[48] = {0};
    check(WEIR_BYTES("123456789"), UINT32_C(0xE3069283));
    check(weir_bytes_of(bytes, 32), UINT32_C(0x8A9136AA)); /* RFC 3720, B.4 */
    memset(bytes, 0xFF, 32);
    check(weir_bytes_of(bytes, 32), UINT32_C(0x62A8AB43));
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    check(weir_bytes_of(bytes, 32), UINT32_C(0x46DD794E));
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    check(weir_bytes_of(bytes, 32), UINT32_C(0x113FDB5C));
    static const uint8_t iscsi_read[48] = {
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2,    0, 0, 0, 0, 0, 0, 0};
    check(weir_bytes_of(iscsi_read, sizeof iscsi_read), UINT32_C(0xD9963A56));
}

static void test_nothing_leaves_the_seed(void **state)
{
    (void)state;
    struct weir_bytes nothing = {NULL, 0};
    assert_int_equal(weir_crc32c(0, nothing), 0);
    assert_int_equal(weir_crc32c(UINT32_C(0xDEADBEEF), nothing), UINT32_C(0xDEADBEEF));
    assert_int_equal(weir_crc32c_plain(UINT32_C(0xDEADBEEF), nothing), UINT32_C(0xDEADBEEF));
}

/* Each length at each alignment, the last byte before a page that nobody may touch. */
static void test_both_ways_agree_everywhere(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)weir_rand_u64(&rand);
    }
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct guard guard = guard_copy(weir_bytes_of(bytes, size));
        uint32_t seed = (uint32_t)weir_rand_u64(&rand);
        for (size_t skip = 0; skip <= 16 && skip <= size; skip++) {
            struct weir_bytes view = weir_bytes_of(guard.data + skip, size - skip);
            assert_int_equal(weir_crc32c(seed, view), weir_crc32c_plain(seed, view));
        }
        guard_free(&guard);
    }
}

/* Around what the streams take at once: none, one round and a rest, two rounds. */
static void test_both_ways_agree_on_long_ones(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(3);
    static uint8_t bytes[6200];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)weir_rand_u64(&rand);
    }
    for (size_t size = 3060; size <= sizeof bytes; size += size < 3090 || size > 6130 ? 1 : 97) {
        struct guard guard = guard_copy(weir_bytes_of(bytes, size));
        struct weir_bytes view = weir_bytes_of(guard.data, size);
        uint32_t seed = (uint32_t)weir_rand_u64(&rand);
        uint32_t whole = weir_crc32c(seed, view);
        assert_int_equal(whole, weir_crc32c_plain(seed, view));
        for (size_t i = 0; i < 4; i++) { /* each stream's bytes count, and in their place */
            guard.data[size / 4 * i] ^= 1;
            assert_int_not_equal(weir_crc32c(seed, view), whole);
            assert_int_equal(weir_crc32c(seed, view), weir_crc32c_plain(seed, view));
            guard.data[size / 4 * i] ^= 1;
        }
        guard_free(&guard);
    }
}

static void test_parts_make_the_whole(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(2);
    uint8_t bytes[100];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)weir_rand_u64(&rand);
    }
    uint32_t whole = weir_crc32c(77, weir_bytes_of(bytes, sizeof bytes));
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        uint32_t first = weir_crc32c(77, weir_bytes_of(bytes, cut));
        struct weir_bytes rest = weir_bytes_of(bytes + cut, sizeof bytes - cut);
        assert_int_equal(weir_crc32c(first, rest), whole);
        assert_int_equal(weir_crc32c_plain(first, rest), whole);
    }
}

static void test_each_flipped_bit_is_seen(void **state)
{
    (void)state;
    uint8_t bytes[64] = {0};
    uint32_t before = weir_crc32c(5, weir_bytes_of(bytes, sizeof bytes));
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(weir_crc32c(5, weir_bytes_of(bytes, sizeof bytes)), before);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_int_not_equal(weir_crc32c(6, weir_bytes_of(bytes, sizeof bytes)), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_values),
        cmocka_unit_test(test_nothing_leaves_the_seed),
        cmocka_unit_test(test_both_ways_agree_everywhere),
        cmocka_unit_test(test_both_ways_agree_on_long_ones),
        cmocka_unit_test(test_parts_make_the_whole),
        cmocka_unit_test(test_each_flipped_bit_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
