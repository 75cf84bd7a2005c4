/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/mem.h"
#include "weir/rand.h"
#include "weir/zstd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* "hello" as the zstd tool writes it (with a checksum), and without one; no bytes at all. */
#define HELLO   "\x28\xb5\x2f\xfd\x24\x05\x29\x00\x00\x68\x65\x6c\x6c\x6f\xa3\x6d\x9f\x88"
#define BARE    "\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00\x68\x65\x6c\x6c\x6f"
#define NOTHING "\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51"

static struct weir_zstd_inflater *inflater;

static int set_up(void **state)
{
    (void)state;
    return weir_zstd_inflater_new(&inflater) == WEIR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    weir_zstd_inflater_free(inflater);
    return 0;
}

/* Inflates a guarded copy into guarded room of exactly `capacity`. */
static enum weir_status inflate_into(struct weir_bytes input, size_t capacity, size_t *ret_size)
{
    static const uint8_t zeros[256];
    struct guard copy = guard_copy(input);
    struct guard room = guard_copy(weir_bytes_of(zeros, capacity));
    enum weir_status status =
        weir_zstd_inflate(inflater, guard_view(&copy), room.data, room.size, ret_size);
    if (status == WEIR_OK && *ret_size > 0) {
        assert_int_equal(*ret_size, 5);
        assert_memory_equal(room.data, "hello", 5);
    }
    guard_free(&copy);
    guard_free(&room);
    return status;
}

static void refuse(struct weir_bytes input)
{
    size_t size = 12345;
    assert_int_equal(inflate_into(input, 64, &size), WEIR_EMALFORMED);
    assert_int_equal(size, 12345);
}

static void test_one_frame(void **state)
{
    (void)state;
    size_t size = 0;
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO), 64, &size), WEIR_OK);
    assert_int_equal(size, 5);
    assert_int_equal(inflate_into(WEIR_BYTES(BARE), 5, &size), WEIR_OK);
    assert_int_equal(size, 5);
    assert_int_equal(inflate_into(WEIR_BYTES(NOTHING), 0, &size), WEIR_OK);
    assert_int_equal(size, 0);
}

static void test_no_room(void **state)
{
    (void)state;
    size_t size = 12345;
    for (size_t capacity = 0; capacity < 5; capacity++) {
        assert_int_equal(inflate_into(WEIR_BYTES(HELLO), capacity, &size), WEIR_EFULL);
    }
    assert_int_equal(size, 12345);
}

static void test_every_truncation(void **state)
{
    (void)state;
    struct weir_bytes whole = WEIR_BYTES(HELLO);
    for (size_t size = 0; size < whole.size; size++) {
        refuse(weir_bytes_of(whole.data, size));
    }
}

/* A flip is damage, but in a bit of the descriptor that means nothing, and in the one that says
 * whether the next byte is the content's size or the window's. */
static void test_every_bit_flip(void **state)
{
    (void)state;
    uint8_t text[] = HELLO;
    for (size_t bit = 0; bit < 8 * (sizeof(text) - 1); bit++) {
        text[bit / 8] ^= (uint8_t)(1U << bit % 8);
        size_t size;
        struct weir_bytes damaged = weir_bytes_of(text, sizeof(text) - 1);
        bool harmless = bit / 8 == 4 && (bit % 8 == 4 || bit % 8 == 5);
        assert_int_equal(inflate_into(damaged, 64, &size) == WEIR_OK, harmless);
        text[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void test_what_is_no_single_frame(void **state)
{
    (void)state;
    refuse(WEIR_BYTES(HELLO "x"));
    refuse(WEIR_BYTES(HELLO "\0\0\0\0"));
    refuse(WEIR_BYTES(HELLO HELLO));
    refuse(WEIR_BYTES("x" HELLO));
    refuse(WEIR_BYTES("\x50\x2a\x4d\x18\x01\x00\x00\x00x"));       /* to be skipped */
    refuse(WEIR_BYTES("\x50\x2a\x4d\x18\x01\x00\x00\x00x" HELLO)); /* ... and then a frame */
    refuse(WEIR_BYTES(HELLO "\x50\x2a\x4d\x18\x01\x00\x00\x00x"));
    refuse(WEIR_BYTES("\x27\xb5\x2f\xfd\x24\x05\x29\x00\x00\x68\x65\x6c\x6c\x6f")); /* v0.7 */
    refuse(WEIR_BYTES("\x28\xb5\x2f\xfd\x25\x07\x05\x29\x00\x00\x68\x65\x6c\x6c\x6f\xa3\x6d\x9f"
                      "\x88")); /* wants dictionary 7 */
    refuse(WEIR_BYTES("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\x00"));
    refuse(weir_bytes_of(NULL, 0));
}

/* A frame that says it holds 2^62 bytes costs nothing and gives nothing. */
static void test_a_size_that_lies(void **state)
{
    (void)state;
    size_t size = 12345;
    struct weir_bytes huge =
        WEIR_BYTES("\x28\xb5\x2f\xfd\xe4\x00\x00\x00\x00\x00\x00\x00\x40\x29\x00\x00hello\xa3\x6d"
                   "\x9f\x88");
    assert_int_not_equal(inflate_into(huge, 64, &size), WEIR_OK);
    struct weir_bytes small =
        WEIR_BYTES("\x28\xb5\x2f\xfd\x24\x04\x29\x00\x00\x68\x65\x6c\x6c\x6f\xa3\x6d\x9f\x88");
    assert_int_not_equal(inflate_into(small, 64, &size), WEIR_OK);
    assert_int_equal(size, 12345);
}

static void test_levels(void **state)
{
    (void)state;
    struct weir_zstd_deflater *deflater = NULL;
    assert_int_equal(weir_zstd_deflater_new(0, &deflater), WEIR_EINVAL);
    assert_int_equal(weir_zstd_deflater_new(20, &deflater), WEIR_EINVAL);
    assert_int_equal(weir_zstd_deflater_new(-1, &deflater), WEIR_EINVAL);
    assert_null(deflater);
    weir_zstd_deflater_free(NULL);
    weir_zstd_inflater_free(NULL);
    for (int level = 1; level <= WEIR_ZSTD_LEVEL_MAX; level++) {
        uint8_t packed[256];
        size_t packed_size = 0;
        size_t size = 0;
        assert_int_equal(weir_zstd_deflater_new(level, &deflater), WEIR_OK);
        assert_true(weir_zstd_bound(5) <= sizeof(packed));
        for (int round = 0; round < 2; round++) {
            assert_int_equal(weir_zstd_deflate(deflater, WEIR_BYTES("hello"), packed,
                                               weir_zstd_bound(5), &packed_size),
                             WEIR_OK);
            struct weir_bytes frame = weir_bytes_of(packed, packed_size);
            assert_true(weir_bytes_eq(frame, WEIR_BYTES(HELLO)));
            assert_int_equal(inflate_into(frame, 5, &size), WEIR_OK);
        }
        weir_zstd_deflater_free(deflater);
    }
}

static void test_deflate_without_room(void **state)
{
    (void)state;
    struct weir_zstd_deflater *deflater;
    uint8_t packed[256];
    size_t size = 12345;
    assert_int_equal(weir_zstd_deflater_new(3, &deflater), WEIR_OK);
    for (size_t room = 0; room < sizeof(HELLO) - 1; room++) {
        assert_int_equal(weir_zstd_deflate(deflater, WEIR_BYTES("hello"), packed, room, &size),
                         WEIR_EFULL);
    }
    assert_int_equal(size, 12345);
    struct weir_bytes none = {NULL, 0};
    assert_int_equal(weir_zstd_deflate(deflater, none, packed, sizeof(packed), &size), WEIR_OK);
    assert_true(weir_bytes_eq(weir_bytes_of(packed, size), WEIR_BYTES(NOTHING)));
    weir_zstd_deflater_free(deflater);
}

/* Any size, easy bytes and hard ones, with one pair of contexts: each comes back as it was, within
 * the bound. */
static void test_round_trips(void **state)
{
    (void)state;
    enum { SIZE_MAX_ = 400000 };
    struct weir_zstd_deflater *deflater;
    struct weir_rand rand;
    weir_rand_init(&rand, 5);
    uint8_t *plain = weir_mem_alloc(SIZE_MAX_);
    uint8_t *packed = weir_mem_alloc(weir_zstd_bound(SIZE_MAX_));
    uint8_t *again = weir_mem_alloc(SIZE_MAX_);
    assert_true(plain != NULL && packed != NULL && again != NULL);
    assert_int_equal(weir_zstd_deflater_new(1, &deflater), WEIR_OK);
    for (int round = 0; round < 60; round++) {
        size_t size = weir_rand_below(&rand, round % 3 == 0 ? SIZE_MAX_ : 2000);
        uint64_t values = round % 2 == 0 ? 3 : 256;
        for (size_t i = 0; i < size; i++) {
            plain[i] = (uint8_t)weir_rand_below(&rand, values);
        }
        size_t packed_size = 0;
        size_t got = 0;
        assert_int_equal(weir_zstd_deflate(deflater, weir_bytes_of(plain, size), packed,
                                           weir_zstd_bound(size), &packed_size),
                         WEIR_OK);
        assert_int_equal(
            weir_zstd_inflate(inflater, weir_bytes_of(packed, packed_size), again, size, &got),
            WEIR_OK);
        assert_int_equal(got, size);
        assert_memory_equal(again, plain, size);
    }
    weir_zstd_deflater_free(deflater);
    weir_mem_free(again);
    weir_mem_free(packed);
    weir_mem_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_frame),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_bit_flip),
        cmocka_unit_test(test_what_is_no_single_frame),
        cmocka_unit_test(test_a_size_that_lies),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_deflate_without_room),
        cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
