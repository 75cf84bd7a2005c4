/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "support.h"
#include "weir/intern.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned count_of(const struct weir_intern *intern, uint64_t hash)
{
    unsigned count = 0;
    uint32_t at = 0;
    for (void *item = weir_intern_first(intern, hash, &at); item != NULL;
         item = weir_intern_next(intern, hash, &at)) {
        count++;
    }
    return count;
}

static void test_an_empty_table_holds_nothing(void **state)
{
    (void)state;
    struct weir_intern intern = {0};
    assert_int_equal(count_of(&intern, 0), 0);
    assert_int_equal(count_of(&intern, UINT64_MAX), 0);
}

static void test_what_was_added_is_found(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_intern intern = {0};
    int item;
    fixture_open_bare(&fixture, 1 << 20);
    assert_int_equal(weir_intern_add(&intern, fixture.arena, 5, &item), WEIR_OK);
    uint32_t at = 0;
    assert_ptr_equal(weir_intern_first(&intern, 5, &at), &item);
    assert_null(weir_intern_next(&intern, 5, &at));
    assert_int_equal(count_of(&intern, 5 + 64), 0); /* the same slot, another hash */
    fixture_close(&fixture);
}

static void test_equal_hashes_all_come(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_intern intern = {0};
    int items[300];
    fixture_open_bare(&fixture, 1 << 20);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(weir_intern_add(&intern, fixture.arena, i % 3 == 0 ? 63 : 62, &items[i]),
                         WEIR_OK);
    }
    assert_int_equal(count_of(&intern, 63), 100);
    assert_int_equal(count_of(&intern, 62), 200);
    assert_int_equal(count_of(&intern, 61), 0);
    fixture_close(&fixture);
}

static void test_growing_loses_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_intern intern = {0};
    static int items[5000];
    fixture_open_bare(&fixture, 1 << 22);
    for (uint64_t i = 0; i < 5000; i++) {
        assert_int_equal(
            weir_intern_add(&intern, fixture.arena, i * UINT64_C(0x9e3779b97f4a7c15), &items[i]),
            WEIR_OK);
    }
    assert_int_equal(intern.count, 5000);
    assert_true(intern.slots >= 2 * intern.count);
    for (uint64_t i = 0; i < 5000; i++) {
        uint32_t at = 0;
        assert_ptr_equal(weir_intern_first(&intern, i * UINT64_C(0x9e3779b97f4a7c15), &at),
                         &items[i]);
    }
    fixture_close(&fixture);
}

/* Where looking for them has ended: among others of their slot, and in a table that has to grow. */
static void test_added_where_they_were_looked_for(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_intern intern = {0};
    static int items[3000];
    fixture_open_bare(&fixture, 1 << 22);
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 3000; i++) {
            uint64_t hash = i / 4 + (i % 4 << 32);
            uint32_t at = 0;
            void *known = weir_intern_first(&intern, hash, &at);
            assert_ptr_equal(known, round == 0 ? NULL : &items[i]);
            if (known == NULL) {
                assert_int_equal(weir_intern_add_at(&intern, fixture.arena, at, hash, &items[i]),
                                 WEIR_OK);
            }
        }
    }
    assert_int_equal(intern.count, 3000);
    fixture_close(&fixture);
}

/* A table beyond the small ones is made at once as large as the arena suggests. */
static void test_a_large_arena_has_a_large_table(void **state)
{
    (void)state;
    struct fixture fixture;
    int item;
    for (size_t body = (size_t)64 << 10; body <= (size_t)16 << 20; body *= 16) {
        struct weir_intern intern = {0};
        fixture_open_bare(&fixture, (size_t)64 << 20);
        assert_non_null(weir_arena_alloc(fixture.arena, body, 1));
        for (uint64_t i = 0; i <= 512; i++) {
            assert_int_equal(intern.slots, i == 0 ? 0 : i <= 32 ? 64 : i <= 128 ? 256 : 1024);
            assert_int_equal(weir_intern_add(&intern, fixture.arena, i, &item), WEIR_OK);
        }
        assert_true(intern.slots >= 2048);
        assert_true(intern.slots >= body / 512);
        assert_true(intern.slots <= 4096 + body / 64);
        fixture_close(&fixture);
    }
}

static void test_a_full_arena_adds_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_intern intern = {0};
    int item;
    fixture_open_bare(&fixture, 0);
    assert_int_equal(weir_intern_add(&intern, fixture.arena, 5, &item), WEIR_EFULL);
    assert_int_equal(intern.count, 0);
    assert_int_equal(count_of(&intern, 5), 0);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_table_holds_nothing),
        cmocka_unit_test(test_what_was_added_is_found),
        cmocka_unit_test(test_equal_hashes_all_come),
        cmocka_unit_test(test_growing_loses_nothing),
        cmocka_unit_test(test_added_where_they_were_looked_for),
        cmocka_unit_test(test_a_large_arena_has_a_large_table),
        cmocka_unit_test(test_a_full_arena_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
