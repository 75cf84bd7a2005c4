/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/intake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct weir_credit credit;
    struct weir_regions *regions;
    struct weir_intake intake;
};

static void begin(struct fixture *f, size_t credit, size_t size_max)
{
    weir_credit_init(&f->credit, credit);
    assert_int_equal(weir_regions_new(1 << 20, &f->regions), WEIR_OK);
    weir_intake_init(&f->intake, &f->credit, f->regions, size_max);
}

static void end(struct fixture *f)
{
    weir_intake_release(&f->intake);
    assert_int_equal(weir_credit_used(&f->credit), 0);
    assert_int_equal(weir_regions_taken(f->regions), 0);
    weir_regions_free(f->regions);
}

static void test_declared_body_takes_all_credit_at_once(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1 << 20, 1 << 20);
    assert_int_equal(weir_intake_reserve(&f.intake, 300000), WEIR_OK);
    assert_int_equal(weir_credit_used(&f.credit), weir_region_capacity(WEIR_INTAKE_LEAD + 300000));
    const uint8_t *before = f.intake.region.data;
    static const uint8_t bytes[300000];
    assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(bytes, sizeof(bytes))), WEIR_OK);
    assert_ptr_equal(f.intake.region.data, before);
    end(&f);
}

/* Bytes put where they belong are counted and not moved; others are copied as ever. */
static void test_bytes_in_their_place_are_not_copied(void **state)
{
    (void)state;
    struct fixture f;
    size_t room;
    begin(&f, 1 << 20, 1 << 20);
    assert_null(weir_intake_room(&f.intake, &room));
    assert_int_equal(room, 0);
    assert_int_equal(weir_intake_reserve(&f.intake, 6), WEIR_OK);
    assert_int_equal(weir_intake_append(&f.intake, WEIR_BYTES("ab")), WEIR_OK);
    uint8_t *at = weir_intake_room(&f.intake, &room);
    assert_ptr_equal(at, f.intake.region.data + 2);
    assert_int_equal(room, f.intake.region.capacity - 2);
    memcpy(at, "cd", 2);
    assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(at, 2)), WEIR_OK);
    assert_int_equal(weir_intake_append(&f.intake, WEIR_BYTES("ef")), WEIR_OK);
    assert_int_equal(f.intake.size, 6);
    assert_memory_equal(f.intake.region.data, "abcdef", 6);
    end(&f);
}

/* From a certain size on: a block before the body, and its last block to its end. */
static void test_a_large_body_has_margins(void **state)
{
    (void)state;
    static const uint8_t bytes[WEIR_INTAKE_LARGE + 1] = {1, 2, 3};
    static const size_t sizes[] = {WEIR_INTAKE_LARGE - 1, WEIR_INTAKE_LARGE, WEIR_INTAKE_LARGE + 1};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        begin(&f, 1 << 20, 1 << 20);
        assert_null(weir_intake_margins(&f.intake));
        assert_int_equal(weir_intake_reserve(&f.intake, sizes[i]), WEIR_OK);
        assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(bytes, sizes[i])), WEIR_OK);
        uint8_t *margins = weir_intake_margins(&f.intake);
        assert_ptr_equal(margins, i == 0 ? NULL : weir_intake_body(&f.intake).data);
        if (margins != NULL) {
            size_t blocks = (sizes[i] + WEIR_INTAKE_LEAD - 1) / WEIR_INTAKE_LEAD;
            assert_int_equal((uintptr_t)margins % WEIR_INTAKE_LEAD, 0);
            assert_ptr_equal(margins, f.intake.region.data + WEIR_INTAKE_LEAD);
            assert_true((1 + blocks) * WEIR_INTAKE_LEAD <= f.intake.region.capacity);
        }
        assert_memory_equal(weir_intake_body(&f.intake).data, bytes, sizes[i]);
        end(&f);
    }
}

/* A body of unknown size has memory for a step at once, and blocks to itself when it is large. */
static void test_a_chunked_body_has_margins_when_it_is_large(void **state)
{
    (void)state;
    struct fixture f;
    static const uint8_t bytes[1 << 10] = {9};
    begin(&f, 4 << 20, 1 << 20);
    assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(bytes, 10)), WEIR_OK);
    assert_null(weir_intake_margins(&f.intake));
    assert_int_equal(f.intake.region.capacity, WEIR_INTAKE_STEP);
    while (f.intake.size < WEIR_INTAKE_LARGE) {
        assert_null(weir_intake_margins(&f.intake));
        assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(bytes, 1 << 10)), WEIR_OK);
    }
    assert_ptr_equal(weir_intake_margins(&f.intake), weir_intake_body(&f.intake).data);
    end(&f);
}

static void test_no_credit_takes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100000, 1 << 20);
    assert_int_equal(weir_intake_reserve(&f.intake, 200000), WEIR_EFULL);
    assert_int_equal(weir_credit_used(&f.credit), 0);
    end(&f);
}

static void test_over_the_limit_is_not_a_matter_of_credit(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1 << 20, 1000);
    assert_int_equal(weir_intake_reserve(&f.intake, 1001), WEIR_ELIMIT);
    assert_int_equal(weir_intake_reserve(&f.intake, 1000), WEIR_OK);
    static const uint8_t bytes[1001];
    assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(bytes, 1000)), WEIR_OK);
    assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(bytes, 1)), WEIR_ELIMIT);
    assert_int_equal(f.intake.size, 1000);
    end(&f);
}

static void test_undeclared_body_grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 4 << 20, 1 << 20);
    for (size_t i = 0; i < 1 << 20; i += 1 << 10) {
        uint8_t chunk[1 << 10];
        memset(chunk, (int)(i >> 10 & 0xff), sizeof(chunk));
        assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(chunk, sizeof(chunk))),
                         WEIR_OK);
    }
    for (size_t i = 0; i < 1 << 20; i += 511) {
        assert_int_equal(weir_intake_body(&f.intake).data[i], i >> 10 & 0xff);
    }
    end(&f);
}

static void test_growing_without_credit_keeps_what_is_there(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100 << 10, 1 << 20);
    static const uint8_t bytes[64 << 10] = {7};
    assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(bytes, sizeof(bytes))), WEIR_OK);
    size_t used = weir_credit_used(&f.credit);
    assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(bytes, sizeof(bytes))),
                     WEIR_EFULL);
    assert_int_equal(weir_credit_used(&f.credit), used);
    assert_int_equal(f.intake.size, sizeof(bytes));
    struct weir_bytes body = weir_intake_body(&f.intake);
    assert_true(weir_bytes_eq(body, weir_bytes_of(bytes, sizeof(bytes))));
    end(&f);
}

static void test_sizes_that_wrap_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1 << 20, 1 << 20);
    static const uint8_t one[1];
    assert_int_equal(weir_intake_append(&f.intake, weir_bytes_of(one, 1)), WEIR_OK);
    assert_int_equal(weir_intake_append(&f.intake, (struct weir_bytes){one, SIZE_MAX}),
                     WEIR_ELIMIT);
    end(&f);
}

static void test_release_twice_is_harmless(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1 << 20, 1 << 20);
    assert_int_equal(weir_intake_reserve(&f.intake, 10), WEIR_OK);
    weir_intake_release(&f.intake);
    weir_intake_release(&f.intake);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_declared_body_takes_all_credit_at_once),
        cmocka_unit_test(test_bytes_in_their_place_are_not_copied),
        cmocka_unit_test(test_a_large_body_has_margins),
        cmocka_unit_test(test_a_chunked_body_has_margins_when_it_is_large),
        cmocka_unit_test(test_no_credit_takes_nothing),
        cmocka_unit_test(test_over_the_limit_is_not_a_matter_of_credit),
        cmocka_unit_test(test_undeclared_body_grows_and_keeps_its_bytes),
        cmocka_unit_test(test_growing_without_credit_keeps_what_is_there),
        cmocka_unit_test(test_sizes_that_wrap_are_refused),
        cmocka_unit_test(test_release_twice_is_harmless),
    };
    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
