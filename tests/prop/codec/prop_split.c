/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random requests, split at every point: the halves together hold the points of the whole, in
 * order, each under the same path of names, and everything that is no point is still beside it.
 */
#include "support.h"
#include "weir/pbw.h"
#include "weir/split.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SIZE_LIMIT (1 << 20)
#define REQUESTS   300

/* Random fields of a message around `children` of the given number. */
static void put_others(struct weir_rand *rand, struct weir_buf *out, uint32_t number)
{
    for (uint64_t i = weir_rand_below(rand, 3); i > 0; i--) {
        weir_pbw_uint(out, number + (uint32_t)weir_rand_below(rand, 3), weir_rand_u64(rand));
    }
}

static void put_child(struct weir_buf *out, uint32_t number, struct weir_buf *child)
{
    weir_pbw_bytes(out, number, weir_buf_view(child));
    assert_false(out->failed);
    weir_buf_done(child);
}

/* A message of `level` (0 the points' own list) with up to three children each. */
static struct weir_buf random_message(struct weir_rand *rand, unsigned level)
{
    static const uint32_t data_numbers[5] = {5, 7, 9, 10, 11};
    struct weir_buf out = weir_buf_grow_init(SIZE_LIMIT);
    put_others(rand, &out, 20);
    for (uint64_t i = weir_rand_below(rand, 4); i > 0; i--) {
        struct weir_buf child = weir_buf_grow_init(SIZE_LIMIT);
        if (level == 0) {
            put_others(rand, &child, 1);
            weir_pbw_fixed64(&child, 9, weir_rand_u64(rand));
            put_child(&out, 1, &child);
        } else {
            weir_buf_done(&child);
            child = random_message(rand, level - 1);
            uint32_t number = level == 1   ? data_numbers[weir_rand_below(rand, 5)]
                              : level == 4 ? 1
                                           : 2;
            put_child(&out, number, &child);
        }
        put_others(rand, &out, 20);
    }
    return out;
}

static bool holds(unsigned level, uint32_t number)
{
    switch (level) {
    case 0:
    case 4: return number == 1;
    case 1: return number == 5 || number == 7 || number == 9 || number == 10 || number == 11;
    default: return number == 2;
    }
}

/* The fields of a message that hold nothing, one after the other. */
static void put_rest(unsigned level, struct weir_bytes message, struct weir_buf *out)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (!holds(level, field.number)) {
            weir_buf_put(out, field.whole);
        }
    }
}

/* Flattens: for each point, the rest of every message above it, then the point. So two requests
 * with the same points under the same surroundings flatten to the same bytes. */
static void flatten(unsigned level, struct weir_bytes message, const struct weir_buf *above,
                    struct weir_buf *out)
{
    struct weir_buf path = weir_buf_grow_init(SIZE_LIMIT);
    weir_buf_put(&path, weir_buf_view(above));
    weir_buf_put_byte(&path, (uint8_t)level);
    put_rest(level, message, &path);
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (!holds(level, field.number)) {
            continue;
        }
        if (level == 0) {
            weir_buf_put(out, weir_buf_view(&path));
            weir_buf_put(out, field.whole);
        } else {
            flatten(level - 1, field.bytes, &path, out);
        }
    }
    assert_false(cursor.failed);
    assert_false(path.failed);
    weir_buf_done(&path);
}

static struct weir_buf flat(struct weir_bytes first, struct weir_bytes second)
{
    struct weir_buf out = weir_buf_grow_init((size_t)16 * SIZE_LIMIT);
    struct weir_buf nothing = weir_buf_grow_init(1);
    flatten(4, first, &nothing, &out);
    flatten(4, second, &nothing, &out);
    assert_false(out.failed);
    return out;
}

/* Whether every message that could hold points does. */
static bool all_full(unsigned level, struct weir_bytes message)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    bool full = false;
    while (weir_pb_next(&cursor, &field)) {
        if (holds(level, field.number)) {
            full = true;
            if (level > 0 && !all_full(level - 1, field.bytes)) {
                return false;
            }
        }
    }
    return full;
}

static void check_split(struct weir_bytes whole, size_t count, size_t at,
                        const struct weir_buf *expected)
{
    struct weir_buf first = weir_buf_grow_init(SIZE_LIMIT);
    struct weir_buf second = weir_buf_grow_init(SIZE_LIMIT);
    assert_int_equal(weir_split_at(whole, at, &first, &second), WEIR_OK);
    size_t first_count = 0;
    size_t second_count = 0;
    assert_int_equal(weir_split_count(weir_buf_view(&first), &first_count), WEIR_OK);
    assert_int_equal(weir_split_count(weir_buf_view(&second), &second_count), WEIR_OK);
    assert_int_equal(first_count, at);
    assert_int_equal(second_count, count - at);
    assert_true(all_full(4, weir_buf_view(&first)));
    assert_true(all_full(4, weir_buf_view(&second)));
    struct weir_buf both = flat(weir_buf_view(&first), weir_buf_view(&second));
    support_assert_bytes(weir_buf_view(&both), weir_buf_view(expected));
    weir_buf_done(&both);
    weir_buf_done(&first);
    weir_buf_done(&second);
}

static void test_split_everywhere(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(7);
    size_t splits = 0;
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct weir_buf whole = random_message(&rand, 4);
        size_t count = 0;
        assert_int_equal(weir_split_count(weir_buf_view(&whole), &count), WEIR_OK);
        struct weir_buf expected = flat(weir_buf_view(&whole), (struct weir_bytes){NULL, 0});
        for (size_t at = 1; at < count && at < 40; at++, splits++) {
            check_split(weir_buf_view(&whole), count, at, &expected);
        }
        weir_buf_done(&expected);
        weir_buf_done(&whole);
    }
    assert_true(splits > REQUESTS); /* the generator makes requests that can be split */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_split_everywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
