/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is deflated at the fastest level (ISA-L) and at the next (libdeflate), of bytes that cannot
 * be compressed, bytes that can, and mixtures: always fits the bound, ends before a page that
 * nobody may touch, and inflates (libdeflate) to the same bytes. With less room it is the same, or
 * WEIR_EFULL and no size.
 */
#include "guard.h"
#include "support.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    STORED_MAX = 65535,         /* of deflate's stored blocks */
    PIECE_MAX = 16 * STORED_MAX /* of gzip_isal.c */
};

static struct weir_inflater *inflater;
static struct weir_deflater *deflaters[2];

static int set_up(void **state)
{
    (void)state;
    return weir_inflater_new(&inflater) == WEIR_OK &&
                   weir_deflater_new(1, &deflaters[0]) == WEIR_OK &&
                   weir_deflater_new(2, &deflaters[1]) == WEIR_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    weir_inflater_free(inflater);
    weir_deflater_free(deflaters[0]);
    weir_deflater_free(deflaters[1]);
    return 0;
}

/* Stretches of noise, of one byte, of few bytes, and of what stood some way before. */
static void fill(struct weir_rand *rand, uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint64_t kind = weir_rand_below(rand, 5);
        size_t end = at + 1 + weir_rand_below(rand, 1 + weir_rand_below(rand, size));
        size_t back = 1 + weir_rand_below(rand, 40000);
        uint8_t one = kind == 0 ? 0 : (uint8_t)weir_rand_u64(rand);
        for (; at < size && at < end; at++) {
            uint8_t noise = (uint8_t)weir_rand_u64(rand);
            data[at] = kind <= 1                 ? one
                       : kind == 2               ? noise & 3
                       : kind == 3 && at >= back ? data[at - back]
                                                 : noise;
        }
    }
}

static void assert_inflates_to(struct weir_bytes member, struct weir_bytes expected)
{
    uint8_t *plain = weir_mem_alloc(expected.size + 1);
    assert_non_null(plain);
    size_t size = 0;
    assert_int_equal(weir_gzip_inflate(inflater, member, plain, expected.size, &size), WEIR_OK);
    assert_true(weir_bytes_eq(weir_bytes_of(plain, size), expected));
    weir_mem_free(plain);
}

/* `input` into room of `capacity`, both before guarded pages. Returns whether it fitted. */
static bool check(struct weir_deflater *deflater, struct weir_bytes input, size_t capacity)
{
    uint8_t *zeros = weir_mem_zalloc(1, capacity + 1);
    assert_non_null(zeros);
    struct guard copy = guard_copy(input);
    struct guard room = guard_copy(weir_bytes_of(zeros, capacity));
    size_t size = SIZE_MAX;
    enum weir_status status =
        weir_gzip_deflate(deflater, guard_view(&copy), room.data, room.size, &size);
    if (status == WEIR_OK) {
        assert_true(size <= capacity);
        assert_inflates_to(weir_bytes_of(room.data, size), input);
    } else {
        assert_int_equal(status, WEIR_EFULL);
        assert_int_equal(size, SIZE_MAX);
    }
    assert_true(weir_bytes_eq(guard_view(&copy), input));
    weir_mem_free(zeros);
    guard_free(&copy);
    guard_free(&room);
    return status == WEIR_OK;
}

static void check_at_bound(struct weir_bytes input)
{
    for (int i = 0; i < 2; i++) {
        size_t bound = weir_gzip_bound(deflaters[i], input.size);
        assert_true(bound <= weir_gzip_bound(NULL, input.size));
        assert_true(check(deflaters[i], input, bound));
    }
}

static void test_bound_suffices(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(11);
    for (int i = 0; i < 400; i++) {
        size_t size = weir_rand_below(&rand, (uint64_t)1 << (1 + i % 18));
        uint8_t *data = weir_mem_alloc(size);
        assert_non_null(data);
        fill(&rand, data, size);
        check_at_bound(weir_bytes_of(data, size));
        weir_mem_free(data);
    }
}

/* Where one more stored block begins, and where one more piece does, there is least room. */
static void test_bound_at_the_edges(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(12);
    size_t largest = PIECE_MAX + STORED_MAX;
    uint8_t *noise = weir_mem_alloc(largest);
    assert_non_null(noise);
    for (size_t i = 0; i + 8 <= largest; i += 8) {
        uint64_t eight = weir_rand_u64(&rand);
        memcpy(noise + i, &eight, 8);
    }
    for (size_t blocks = 1; blocks <= 3; blocks++) {
        for (size_t size = blocks * STORED_MAX - 2; size <= blocks * STORED_MAX + 2; size++) {
            check_at_bound(weir_bytes_of(noise, size));
        }
    }
    assert_true(check(deflaters[0], weir_bytes_of(noise, PIECE_MAX),
                      weir_gzip_bound(deflaters[0], PIECE_MAX)));
    assert_true(
        check(deflaters[0], weir_bytes_of(noise, largest), weir_gzip_bound(deflaters[0], largest)));
    assert_false(check(deflaters[0], weir_bytes_of(noise, largest), largest));
    weir_mem_free(noise);
}

/* More than one piece, of what can be compressed: pieces are one member. */
static void test_pieces(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(13);
    size_t size = 2 * (size_t)PIECE_MAX + 12345;
    uint8_t *data = weir_mem_zalloc(1, size);
    assert_non_null(data);
    for (int i = 0; i < 1000; i++) {
        data[weir_rand_below(&rand, size)] = (uint8_t)weir_rand_u64(&rand);
    }
    assert_true(check(deflaters[0], weir_bytes_of(data, size), size / 100));
    weir_mem_free(data);
}

static void test_every_capacity(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(14);
    size_t fits = 0;
    for (size_t size = 0; size < 700; size += 1 + size / 8) {
        uint8_t data[700];
        fill(&rand, data, size);
        for (int i = 0; i < 2; i++) {
            size_t bound = weir_gzip_bound(deflaters[i], size);
            for (size_t capacity = 0; capacity < bound; capacity++) {
                fits += check(deflaters[i], weir_bytes_of(data, size), capacity);
            }
        }
    }
    assert_true(fits > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_suffices),
        cmocka_unit_test(test_bound_at_the_edges),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_every_capacity),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
