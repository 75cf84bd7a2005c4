/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/hash.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void use_reference_key(void)
{
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    weir_hash_set_key(key);
}

/* SipHash-1-3 of 00, 00 01, 00 01 02, ... under the key 00 01 .. 0f, as other implementations give
 * it. */
static void test_known_answers(void **state)
{
    (void)state;
    const uint64_t expected[] = {
        UINT64_C(0xabac0158050fc4dc), UINT64_C(0xc9f49bf37d57ca93), UINT64_C(0x82cb9b024dc7d44d),
        UINT64_C(0x8bf80ab8e7ddf7fb), UINT64_C(0xcf75576088d38328), UINT64_C(0xdef9d52f49533b67),
        UINT64_C(0xc50d2b50c59f22a7), UINT64_C(0xd3927d989bb11140), UINT64_C(0x369095118d299a8e),
    };
    use_reference_key();
    uint8_t message[16];
    for (size_t i = 0; i < sizeof message; i++) {
        message[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(weir_hash(weir_bytes_of(message, i)) == expected[i]);
    }
}

static void test_every_byte_and_the_length_count(void **state)
{
    (void)state;
    uint8_t message[40] = {0};
    for (size_t size = 0; size < sizeof message; size++) {
        uint64_t plain = weir_hash(weir_bytes_of(message, size));
        assert_true(plain != weir_hash(weir_bytes_of(message, size + 1)));
        for (size_t i = 0; i < size; i++) {
            message[i] = 1;
            assert_true(weir_hash(weir_bytes_of(message, size)) != plain);
            message[i] = 0;
        }
    }
}

static void test_another_key_gives_other_hashes(void **state)
{
    (void)state;
    use_reference_key();
    uint64_t before = weir_hash(WEIR_BYTES("AWS/EC2"));
    const uint64_t key[2] = {1, 2};
    weir_hash_set_key(key);
    assert_true(weir_hash(WEIR_BYTES("AWS/EC2")) != before);
    use_reference_key();
    assert_true(weir_hash(WEIR_BYTES("AWS/EC2")) == before);
}

static void test_mixing_minds_the_order(void **state)
{
    (void)state;
    assert_true(weir_hash_mix(1, 2) != weir_hash_mix(2, 1));
    assert_true(weir_hash_mix(0, 0) != 0);
}

/* The reference implementation's vectors_sip128, the first and the sixteenth. */
static void test_wide_gives_published_values(void **state)
{
    (void)state;
    uint8_t bytes[15];
    for (uint8_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = i;
    }
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint64_t hash[2];
    weir_hash_wide(key, weir_bytes_of(bytes, 0), hash);
    assert_int_equal(hash[0], UINT64_C(0xe6a825ba047f81a3));
    assert_int_equal(hash[1], UINT64_C(0x930255c71472f66d));
    weir_hash_wide(key, weir_bytes_of(bytes, 15), hash);
    assert_int_equal(hash[0], UINT64_C(0x11a8b03399e99354));
    assert_int_equal(hash[1], UINT64_C(0xd9c3cf970fec087e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_wide_gives_published_values),
        cmocka_unit_test(test_every_byte_and_the_length_count),
        cmocka_unit_test(test_another_key_gives_other_hashes),
        cmocka_unit_test(test_mixing_minds_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
