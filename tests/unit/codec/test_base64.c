/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/base64.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef enum weir_status decode_fn(uint8_t *text, size_t size, size_t *ret_size);

static decode_fn *const decoders[] = {weir_base64_decode_scalar, weir_base64_decode_in_place};

static void expect(struct weir_bytes text, struct weir_bytes bytes)
{
    for (size_t i = 0; i < 2; i++) {
        struct guard copy = guard_copy(text);
        size_t size = 12345;
        assert_int_equal(decoders[i](copy.data, copy.size, &size), WEIR_OK);
        support_assert_bytes(weir_bytes_of(copy.data, size), bytes);
        guard_free(&copy);
    }
}

static void refuse(struct weir_bytes text)
{
    for (size_t i = 0; i < 2; i++) {
        struct guard copy = guard_copy(text);
        size_t size = 12345;
        assert_int_equal(decoders[i](copy.data, copy.size, &size), WEIR_EMALFORMED);
        assert_int_equal(size, 12345);
        guard_free(&copy);
    }
}

static void test_rfc_vectors(void **state)
{
    (void)state;
    expect(WEIR_BYTES(""), WEIR_BYTES(""));
    expect(WEIR_BYTES("Zg=="), WEIR_BYTES("f"));
    expect(WEIR_BYTES("Zm8="), WEIR_BYTES("fo"));
    expect(WEIR_BYTES("Zm9v"), WEIR_BYTES("foo"));
    expect(WEIR_BYTES("Zm9vYg=="), WEIR_BYTES("foob"));
    expect(WEIR_BYTES("Zm9vYmE="), WEIR_BYTES("fooba"));
    expect(WEIR_BYTES("Zm9vYmFy"), WEIR_BYTES("foobar"));
    expect(WEIR_BYTES("+/+/"), WEIR_BYTES("\xfb\xff\xbf"));
}

static void test_lengths(void **state)
{
    (void)state;
    refuse(WEIR_BYTES("Z"));
    refuse(WEIR_BYTES("Zg"));
    refuse(WEIR_BYTES("Zm8"));
    refuse(WEIR_BYTES("Zm9vY"));
    refuse(WEIR_BYTES("Zm9vYg="));
}

static void test_padding(void **state)
{
    (void)state;
    refuse(WEIR_BYTES("===="));
    refuse(WEIR_BYTES("Z==="));
    refuse(WEIR_BYTES("=m9v"));
    refuse(WEIR_BYTES("Z=9v"));
    refuse(WEIR_BYTES("Zm=v"));
    refuse(WEIR_BYTES("Zg==Zm9v"));
    refuse(WEIR_BYTES("Zm8=Zm9v"));
}

static void test_unused_bits(void **state)
{
    (void)state;
    refuse(WEIR_BYTES("Zh=="));
    refuse(WEIR_BYTES("Zm9="));
    refuse(WEIR_BYTES("Z/=="));
}

static void test_outside_of_the_alphabet(void **state)
{
    (void)state;
    refuse(WEIR_BYTES("Zm9\n"));
    refuse(WEIR_BYTES(" Zm9"));
    refuse(WEIR_BYTES("Zm-_"));
    refuse(WEIR_BYTES("Zm9\0"));
    refuse(WEIR_BYTES("Zm9\x80"));
    refuse(WEIR_BYTES("Zm9\xc3"));
}

/* Every byte value at every place of a text long enough for all loops: both decoders agree with the
 * alphabet. */
static void test_every_byte_at_every_place(void **state)
{
    (void)state;
    uint8_t text[204];
    for (size_t place = 0; place < sizeof(text); place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memset(text, 'Q', sizeof(text));
            text[place] = (uint8_t)byte;
            bool known = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                         (byte >= '0' && byte <= '9') || byte == '+' || byte == '/';
            bool padding = byte == '=' && place == sizeof(text) - 1;
            uint8_t scalar[sizeof(text)];
            uint8_t vector[sizeof(text)];
            memcpy(scalar, text, sizeof(text));
            memcpy(vector, text, sizeof(text));
            size_t scalar_size = 0;
            size_t vector_size = 0;
            enum weir_status one = weir_base64_decode_scalar(scalar, sizeof(text), &scalar_size);
            enum weir_status two = weir_base64_decode_in_place(vector, sizeof(text), &vector_size);
            assert_int_equal(one, two);
            if (!padding) { /* 'Q' before '=' leaves unused bits set: refused as well */
                assert_int_equal(one, known ? WEIR_OK : WEIR_EMALFORMED);
            }
            assert_int_equal(scalar_size, vector_size);
            assert_memory_equal(scalar, vector, scalar_size);
        }
    }
}

static void test_round_trip_of_all_lengths(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    uint8_t bytes[300];
    uint8_t text[400];
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)weir_rand_u64(&rand);
        }
        size_t text_size = weir_base64_encoded_size(size);
        assert_int_equal(text_size, (size + 2) / 3 * 4);
        weir_base64_encode(weir_bytes_of(bytes, size), text);
        expect(weir_bytes_of(text, text_size), weir_bytes_of(bytes, size));
    }
}

static void test_nothing_beyond_the_text_is_written(void **state)
{
    (void)state;
    uint8_t text[128 + 32];
    for (size_t size = 0; size <= 128; size += 4) {
        memset(text, 'A', size);
        memset(text + size, 0x5A, sizeof(text) - size);
        size_t decoded;
        assert_int_equal(weir_base64_decode_in_place(text, size, &decoded), WEIR_OK);
        for (size_t i = size; i < sizeof(text); i++) {
            assert_int_equal(text[i], 0x5A);
        }
    }
}

/* Blocks in pieces of every size are the blocks of the whole, and all but less than a block is
 * taken of each piece. */
static void test_blocks_in_pieces(void **state)
{
    (void)state;
    uint8_t bytes[768];
    uint8_t text[1024];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37);
    }
    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        size_t taken = 0;
        size_t size = 0;
        weir_base64_encode(weir_bytes_of(bytes, sizeof(bytes)), text);
        bool is_vector = weir_base64_decode_blocks(text, 0, sizeof(text)) > 0;
        weir_base64_encode(weir_bytes_of(bytes, sizeof(bytes)), text);
        for (size_t end = 0; end < sizeof(text);) {
            end = end + piece < sizeof(text) ? end + piece : sizeof(text);
            taken = weir_base64_decode_blocks(text, taken, end);
            assert_true(taken <= end);
            assert_true(!is_vector || end - taken < WEIR_BASE64_BLOCK_MAX);
        }
        assert_int_equal(weir_base64_decode_rest(text, sizeof(text), taken, &size), WEIR_OK);
        assert_int_equal(size, sizeof(bytes));
        assert_memory_equal(text, bytes, sizeof(bytes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_vectors),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_unused_bits),
        cmocka_unit_test(test_outside_of_the_alphabet),
        cmocka_unit_test(test_every_byte_at_every_place),
        cmocka_unit_test(test_round_trip_of_all_lengths),
        cmocka_unit_test(test_nothing_beyond_the_text_is_written),
        cmocka_unit_test(test_blocks_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
