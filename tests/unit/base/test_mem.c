/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/mem.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

enum { COLLAPSE = 25 }; /* MADV_COLLAPSE, which older headers lack */

static void test_zeroed_memory_is_zero(void **state)
{
    (void)state;
    uint8_t *memory = weir_mem_zalloc(100, 3);
    assert_non_null(memory);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(memory[i], 0);
    }
    weir_mem_free(memory);
}

static void test_products_that_overflow_are_refused(void **state)
{
    (void)state;
    assert_null(weir_mem_zalloc(SIZE_MAX / 2, 3));
    void *old = weir_mem_alloc(8);
    assert_non_null(old);
    memset(old, 'x', 8);
    assert_null(weir_mem_resize(old, SIZE_MAX / 2, 3));
    assert_memory_equal(old, "xxxxxxxx", 8);
    weir_mem_free(old);
}

static void test_no_bytes_is_a_pointer_all_the_same(void **state)
{
    (void)state;
    void *first = weir_mem_alloc(0);
    void *second = weir_mem_alloc(0);
    void *third = weir_mem_zalloc(0, 8);
    void *fourth = weir_mem_zalloc(SIZE_MAX, 0);
    assert_non_null(first);
    assert_non_null(second);
    assert_non_null(third);
    assert_non_null(fourth);
    assert_ptr_not_equal(first, second);
    first = weir_mem_resize(first, 0, 8);
    assert_non_null(first);
    weir_mem_free(first);
    weir_mem_free(second);
    weir_mem_free(third);
    weir_mem_free(fourth);
    weir_mem_free(NULL);
}

static void test_pages_are_zero_and_go_back_by_themselves(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t calls = weir_mem_calls();
    uint8_t *memory = weir_mem_pages(3 * page);
    assert_non_null(memory);
    assert_int_equal(weir_mem_calls(), calls + 1);
    assert_int_equal((uintptr_t)memory % page, 0);
    assert_int_equal(memory[0] | memory[page] | memory[3 * page - 1], 0);
    memory[0] = 1;
    memory[3 * page - 1] = 3;
    weir_mem_pages_free(memory + page, page);
    assert_int_equal(memory[0], 1);
    assert_int_equal(memory[3 * page - 1], 3);
    weir_mem_pages_free(memory, page);
    weir_mem_pages_free(memory + 2 * page, page);
}

/* Where the kernel makes huge pages by itself (here it is asked to), what was cleared stays so. */
static void test_what_is_cleared_takes_no_memory_again(void **state)
{
    (void)state;
    enum { HUGE = 2 << 20 };
    static unsigned char resident[HUGE / 4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *memory = weir_mem_pages(2 * HUGE);
    assert_non_null(memory);
    memset(memory, 1, 2 * HUGE);
    assert_true(weir_mem_pages_clear(memory, 2 * HUGE));
    uint8_t *aligned = memory + (HUGE - (uintptr_t)memory % HUGE) % HUGE;
    aligned[page] = 2;
    (void)madvise(aligned, HUGE, COLLAPSE); /* kernels before 6.1 do not know it */
    assert_int_equal(mincore(aligned, HUGE, resident), 0);
    size_t pages = 0;
    for (size_t i = 0; i < HUGE / page; i++) {
        pages += resident[i] & 1;
    }
    assert_int_equal(pages, 1);
    assert_int_equal(aligned[page], 2);
    assert_false(weir_mem_pages_clear(memory + 1, page)); /* no whole page: nothing has changed */
    assert_int_equal(aligned[page], 2);
    weir_mem_pages_free(memory, 2 * HUGE);
}

static void test_a_call_fails_once_where_a_test_says(void **state)
{
    (void)state;
    assert_false(weir_mem_fail_at(2));
    void *first = weir_mem_alloc(8);
    assert_non_null(first);
    assert_null(weir_mem_resize(first, 16, 1));
    void *second = weir_mem_zalloc(1, 8);
    assert_non_null(second);
    assert_true(weir_mem_fail_at(1));
    assert_null(weir_mem_aligned(64, 8));
    assert_true(weir_mem_fail_at(1));
    assert_false(weir_mem_fail_at(0));
    void *third = weir_mem_alloc(8);
    assert_non_null(third);
    weir_mem_free(first);
    weir_mem_free(second);
    weir_mem_free(third);
}

static void test_alignment(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        void *memory = weir_mem_aligned(alignment, 10);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignment, 0);
        weir_mem_free(memory);
    }
}

static void test_text_is_terminated(void **state)
{
    (void)state;
    char *text = weir_mem_text("abcdef", 3);
    assert_string_equal(text, "abc");
    weir_mem_free(text);
    text = weir_mem_text(NULL, 0);
    assert_string_equal(text, "");
    weir_mem_free(text);
    assert_null(weir_mem_text("a", SIZE_MAX));
}

static void test_calls_are_counted_and_frees_are_not(void **state)
{
    (void)state;
    uint64_t before = weir_mem_calls();
    void *memory = weir_mem_alloc(1);
    memory = weir_mem_resize(memory, 2, 1);
    assert_int_equal(weir_mem_calls() - before, 2);
    weir_mem_free(memory);
    assert_int_equal(weir_mem_calls() - before, 2);
}

static void test_statistics_agree_with_each_other(void **state)
{
    (void)state;
    struct weir_mem_stats stats = weir_mem_stats();
#ifdef WEIR_JEMALLOC
    assert_true(stats.allocated > 0);
#endif
    assert_true(stats.allocated <= stats.active);
    assert_true(stats.active <= stats.resident || stats.resident == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroed_memory_is_zero),
        cmocka_unit_test(test_products_that_overflow_are_refused),
        cmocka_unit_test(test_no_bytes_is_a_pointer_all_the_same),
        cmocka_unit_test(test_pages_are_zero_and_go_back_by_themselves),
        cmocka_unit_test(test_what_is_cleared_takes_no_memory_again),
        cmocka_unit_test(test_a_call_fails_once_where_a_test_says),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_text_is_terminated),
        cmocka_unit_test(test_calls_are_counted_and_frees_are_not),
        cmocka_unit_test(test_statistics_agree_with_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
