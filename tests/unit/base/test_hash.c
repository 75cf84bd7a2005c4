/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "weir/hash.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

/* At every length around its words, as a view that ends where reading must end. */
static void test_quick_minds_every_bit_and_the_length(void **state)
{
    (void)state;
    for (size_t size = 0; size < 70; size++) {
        uint8_t zeros[71] = {0};
        struct guard guard = guard_copy(weir_bytes_of(zeros, size));
        uint64_t plain = weir_hash_quick(guard_view(&guard));
        assert_true(plain != weir_hash_quick(weir_bytes_of(zeros, size + 1)));
        assert_true(plain == weir_hash_quick(weir_bytes_of(zeros + 1, size)));
        assert_true(plain == weir_hash_quick_by(weir_hash_quick_key(), guard_view(&guard)));
        for (size_t bit = 0; bit < size * 8; bit++) {
            guard.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_true(weir_hash_quick(guard_view(&guard)) != plain);
            guard.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        guard_free(&guard);
    }
}

/* A byte cannot pay for a length: no key is needed to choose texts whose words make up for another
 * size, so the size must not meet them. */
static void test_quick_keeps_the_length_from_the_bytes(void **state)
{
    (void)state;
    use_reference_key();
    assert_true(weir_hash_quick(WEIR_BYTES("aaaaaaaabcdefgh")) !=
                weir_hash_quick(WEIR_BYTES("aaaaaaaa~bcdefgh"))); /* 15 ^ 16 is a ^ ~ */
    for (size_t size = 66; size <= 80; size++) {                  /* the last words of all are 0 */
        uint8_t one[80] = {[8] = 65};
        uint8_t other[80] = {[8] = (uint8_t)size};
        assert_true(weir_hash_quick(weir_bytes_of(one, 65)) !=
                    weir_hash_quick(weir_bytes_of(other, size)));
    }
}

static void test_quick_is_keyed(void **state)
{
    (void)state;
    const uint64_t key[2] = {1, 2};
    use_reference_key();
    uint64_t before = weir_hash_quick(WEIR_BYTES("AWS/EC2"));
    weir_hash_set_key(key);
    assert_true(weir_hash_quick(WEIR_BYTES("AWS/EC2")) != before);
    use_reference_key();
    assert_true(weir_hash_quick(WEIR_BYTES("AWS/EC2")) == before);
}

/* Numbered names fill a table about as evenly as chance would: no slot of 1024 has far more than
 * its 8, in the lowest bits nor in the highest. */
static void test_quick_spreads_numbered_names(void **state)
{
    (void)state;
    use_reference_key();
    for (unsigned shift = 0; shift <= 54; shift += 54) {
        unsigned slots[1024] = {0};
        unsigned empty = 0;
        for (unsigned i = 0; i < 8192; i++) {
            char name[40];
            int size = snprintf(name, sizeof(name), "amazonaws.com/AWS/EC2/Metric%u", i);
            slots[weir_hash_quick(weir_bytes_of(name, (size_t)size)) >> shift & 1023]++;
        }
        for (unsigned i = 0; i < 1024; i++) {
            assert_in_range(slots[i], 0, 32);
            empty += slots[i] == 0;
        }
        assert_in_range(empty, 0, 8);
    }
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
        cmocka_unit_test(test_quick_minds_every_bit_and_the_length),
        cmocka_unit_test(test_quick_keeps_the_length_from_the_bytes),
        cmocka_unit_test(test_quick_is_keyed),
        cmocka_unit_test(test_quick_spreads_numbered_names),
        cmocka_unit_test(test_mixing_minds_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
