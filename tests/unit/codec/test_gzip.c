/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/crc32.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* "hello", made by gzip -n; and no bytes at all, made the same way. */
#define HELLO                                                                                      \
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00" \
    "\x00\x00"
#define NOTHING "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"

static struct weir_inflater *inflater;

static int set_up(void **state)
{
    (void)state;
    return weir_inflater_new(&inflater) == WEIR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    weir_inflater_free(inflater);
    return 0;
}

/* The same, with the checksum compared here. */
static enum weir_status inflate_unsummed(const struct guard *copy, const struct guard *room)
{
    struct weir_gzip_unsummed got = {.size = 12345};
    enum weir_status status =
        weir_gzip_inflate_unsummed(inflater, guard_view(copy), room->data, room->size, &got);
    if (status != WEIR_OK) {
        assert_int_equal(got.size, 12345);
        return status;
    }
    bool is_right = got.is_summed || weir_crc32(weir_bytes_of(room->data, got.size)) == got.crc;
    return is_right ? WEIR_OK : WEIR_EMALFORMED;
}

/* Inflates a guarded copy into guarded room of exactly `capacity`. */
static enum weir_status inflate_into(struct weir_bytes input, size_t capacity, size_t *ret_size)
{
    static const uint8_t zeros[256];
    struct guard copy = guard_copy(input);
    struct guard room = guard_copy(weir_bytes_of(zeros, capacity));
    enum weir_status unsummed = inflate_unsummed(&copy, &room);
    enum weir_status status =
        weir_gzip_inflate(inflater, guard_view(&copy), room.data, room.size, ret_size);
    assert_int_equal(unsummed, status);
    if (status == WEIR_OK && *ret_size >= 5) {
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

static void test_one_member(void **state)
{
    (void)state;
    size_t size = 0;
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO), 64, &size), WEIR_OK);
    assert_int_equal(size, 5);
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO), 5, &size), WEIR_OK);
    assert_int_equal(size, 5);
}

static void test_many_members(void **state)
{
    (void)state;
    size_t size = 0;
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO NOTHING HELLO), 64, &size), WEIR_OK);
    assert_int_equal(size, 10);
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO NOTHING HELLO), 10, &size), WEIR_OK);
    assert_int_equal(size, 10);
    assert_int_equal(inflate_into(WEIR_BYTES(NOTHING), 0, &size), WEIR_OK);
    assert_int_equal(size, 0);
}

static void test_no_room(void **state)
{
    (void)state;
    size_t size = 12345;
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO), 4, &size), WEIR_EFULL);
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO), 0, &size), WEIR_EFULL);
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO HELLO), 9, &size), WEIR_EFULL);
    assert_int_equal(inflate_into(WEIR_BYTES(HELLO HELLO), 5, &size), WEIR_EFULL);
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

/* A flip is damage, but in the header fields that say nothing about the data, and in the bits that
 * fill up deflate's last byte. */
static void test_every_bit_flip(void **state)
{
    (void)state;
    uint8_t text[] = HELLO;
    for (size_t bit = 0; bit < 8 * (sizeof(text) - 1); bit++) {
        size_t byte = bit / 8;
        bool header = byte >= 4 && byte <= 9;
        bool text_flag = byte == 3 && bit % 8 == 0;
        bool filling = byte == 16 && bit % 8 >= 2;
        text[byte] ^= (uint8_t)(1U << bit % 8);
        size_t size;
        enum weir_status status = inflate_into(weir_bytes_of(text, sizeof(text) - 1), 64, &size);
        if (header || text_flag || filling) {
            assert_int_equal(status, WEIR_OK);
        } else {
            assert_int_not_equal(status, WEIR_OK);
        }
        text[byte] ^= (uint8_t)(1U << bit % 8);
    }
}

static void test_trailing_bytes(void **state)
{
    (void)state;
    refuse(WEIR_BYTES(HELLO "x"));
    refuse(WEIR_BYTES(HELLO "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    refuse(WEIR_BYTES(HELLO "\x1f\x8b"));
    refuse(WEIR_BYTES("x" HELLO));
    refuse(WEIR_BYTES("{\"records\":[], \"not\":\"gzip at all\"}"));
}

static void test_member_limit(void **state)
{
    (void)state;
    struct weir_bytes member = WEIR_BYTES(NOTHING);
    uint8_t *many = weir_mem_alloc(1025 * member.size);
    assert_non_null(many);
    for (size_t i = 0; i < 1025; i++) {
        memcpy(many + i * member.size, member.data, member.size);
    }
    uint8_t out[1];
    size_t size = 7;
    struct weir_bytes most = weir_bytes_of(many, 1024 * member.size);
    struct weir_bytes over = weir_bytes_of(many, 1025 * member.size);
    assert_int_equal(weir_gzip_inflate(inflater, most, out, 1, &size), WEIR_OK);
    assert_int_equal(size, 0);
    assert_int_equal(weir_gzip_inflate(inflater, over, out, 1, &size), WEIR_EMALFORMED);
    weir_mem_free(many);
}

static void test_size_hint(void **state)
{
    (void)state;
    size_t hint = 0;
    assert_int_equal(weir_gzip_size_hint(WEIR_BYTES(HELLO), 100, &hint), WEIR_OK);
    assert_int_equal(hint, 5);
    assert_int_equal(weir_gzip_size_hint(WEIR_BYTES(HELLO), 3, &hint), WEIR_OK);
    assert_int_equal(hint, 3);
    assert_int_equal(weir_gzip_size_hint(WEIR_BYTES(NOTHING), 100, &hint), WEIR_OK);
    assert_int_equal(hint, 1);
    uint8_t liar[] = HELLO;
    memset(liar + sizeof(liar) - 5, 0xFF, 4);
    struct weir_bytes lie = weir_bytes_of(liar, sizeof(liar) - 1);
    assert_int_equal(weir_gzip_size_hint(lie, SIZE_MAX, &hint), WEIR_OK);
    assert_int_equal(hint, 1032 * lie.size);
    hint = 77;
    assert_int_equal(weir_gzip_size_hint(WEIR_BYTES(""), 100, &hint), WEIR_EMALFORMED);
    assert_int_equal(weir_gzip_size_hint(WEIR_BYTES("{\"records\": []        }"), 100, &hint),
                     WEIR_EMALFORMED);
    assert_int_equal(weir_gzip_size_hint(weir_bytes_of(HELLO, 17), 100, &hint), WEIR_EMALFORMED);
    assert_int_equal(hint, 77);
}

static void test_levels(void **state)
{
    (void)state;
    struct weir_deflater *deflater = NULL;
    assert_int_equal(weir_deflater_new(0, &deflater), WEIR_EINVAL);
    assert_int_equal(weir_deflater_new(13, &deflater), WEIR_EINVAL);
    assert_int_equal(weir_deflater_new(-1, &deflater), WEIR_EINVAL);
    assert_null(deflater);
    weir_deflater_free(NULL);
    weir_inflater_free(NULL);
    for (int level = 1; level <= 12; level++) {
        uint8_t packed[256];
        size_t packed_size = 0;
        size_t size = 0;
        assert_int_equal(weir_deflater_new(level, &deflater), WEIR_OK);
        assert_true(weir_gzip_bound(deflater, 5) <= sizeof(packed));
        assert_int_equal(weir_gzip_deflate(deflater, WEIR_BYTES("hello"), packed,
                                           weir_gzip_bound(deflater, 5), &packed_size),
                         WEIR_OK);
        assert_int_equal(inflate_into(weir_bytes_of(packed, packed_size), 5, &size), WEIR_OK);
        assert_int_equal(size, 5);
        weir_deflater_free(deflater);
    }
}

/* Of each of the two compressors. */
static void test_deflate_without_room(void **state)
{
    (void)state;
    for (int level = 1; level <= 6; level += 5) {
        struct weir_deflater *deflater;
        uint8_t packed[256];
        size_t size = 12345;
        assert_int_equal(weir_deflater_new(level, &deflater), WEIR_OK);
        assert_int_equal(weir_gzip_deflate(deflater, WEIR_BYTES("hello"), packed, 20, &size),
                         WEIR_EFULL);
        assert_int_equal(weir_gzip_deflate(deflater, WEIR_BYTES("hello"), packed, 0, &size),
                         WEIR_EFULL);
        assert_int_equal(size, 12345);
        struct weir_bytes none = {NULL, 0};
        assert_int_equal(weir_gzip_deflate(deflater, none, packed, sizeof(packed), &size), WEIR_OK);
        assert_int_equal(inflate_into(weir_bytes_of(packed, size), 0, &size), WEIR_OK);
        assert_int_equal(size, 0);
        weir_deflater_free(deflater);
    }
}

/* No time, no name, no operating system: two instances send the same bytes, at whatever hour. */
static void test_header_tells_nothing(void **state)
{
    (void)state;
    for (int level = 1; level <= 12; level++) {
        struct weir_deflater *deflater;
        uint8_t packed[256];
        size_t size;
        assert_int_equal(weir_deflater_new(level, &deflater), WEIR_OK);
        assert_int_equal(
            weir_gzip_deflate(deflater, WEIR_BYTES("hello"), packed, sizeof(packed), &size),
            WEIR_OK);
        const uint8_t xfl = level == 1 ? 4 : level < 8 ? 0 : 2;
        const uint8_t expected[10] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, xfl, 0xFF};
        assert_memory_equal(packed, expected, sizeof(expected));
        weir_deflater_free(deflater);
    }
}

static void test_deflating_allocates_nothing(void **state)
{
    (void)state;
    struct weir_deflater *deflater;
    uint8_t packed[256];
    size_t size;
    assert_int_equal(weir_deflater_new(1, &deflater), WEIR_OK);
    uint64_t calls = weir_mem_calls();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            weir_gzip_deflate(deflater, WEIR_BYTES("hello"), packed, sizeof(packed), &size),
            WEIR_OK);
    }
    assert_int_equal(weir_mem_calls(), calls);
    weir_deflater_free(deflater);
}

static void test_deflater_without_memory(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) { /* itself, and what ISA-L works in */
        struct weir_deflater *deflater = NULL;
        (void)weir_mem_fail_at(nth);
        assert_int_equal(weir_deflater_new(1, &deflater), WEIR_ENOMEM);
        assert_null(deflater);
        assert_true(weir_mem_fail_at(0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_member),
        cmocka_unit_test(test_many_members),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_bit_flip),
        cmocka_unit_test(test_trailing_bytes),
        cmocka_unit_test(test_member_limit),
        cmocka_unit_test(test_size_hint),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_deflate_without_room),
        cmocka_unit_test(test_header_tells_nothing),
        cmocka_unit_test(test_deflating_allocates_nothing),
        cmocka_unit_test(test_deflater_without_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
