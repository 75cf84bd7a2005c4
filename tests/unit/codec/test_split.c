/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/pbw.h"
#include "weir/split.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * A request drawn in hexadecimal. Points are two bytes each (field 8, a varint that numbers them);
 * the metrics have a name ("0a 01 ..") before and metadata ("62 00") after their data.
 */
#define POINT(hex)  "0a 02 40 " hex " "
#define SUMMARY_AB  "12 0f 0a 01 61 5a 08 " POINT("01") POINT("02") "62 00 "
#define SUM_C       "12 0d 0a 01 62 3a 08 " POINT("03") "10 02 18 01 "
#define GAUGE_EMPTY "12 05 0a 01 63 2a 00 "

static struct weir_buf first;
static struct weir_buf second;

static enum weir_status split(const char *hex, size_t at)
{
    struct support_blob whole = support_hex(hex);
    weir_buf_done(&first);
    weir_buf_done(&second);
    first = weir_buf_grow_init(4096);
    second = weir_buf_grow_init(4096);
    enum weir_status status = weir_split_at(support_view(&whole), at, &first, &second);
    support_free(&whole);
    return status;
}

static void expect(const struct weir_buf *half, const char *hex)
{
    struct support_blob expected = support_hex(hex);
    support_assert_bytes(weir_buf_view(half), support_view(&expected));
    support_free(&expected);
}

static int tear_down(void **state)
{
    (void)state;
    weir_buf_done(&first);
    weir_buf_done(&second);
    return 0;
}

#define WHOLE                                                                                      \
    "0a 2b 0a 02 10 05 12 25 0a 00 " SUMMARY_AB SUM_C "1a 01 73 "                                  \
    "78 07"

static void test_between_metrics(void **state)
{
    (void)state;
    assert_int_equal(split(WHOLE, 2), WEIR_OK);
    expect(&first, "0a 1c 0a 02 10 05 12 16 0a 00 " SUMMARY_AB "1a 01 73 78 07");
    expect(&second, "0a 1a 0a 02 10 05 12 14 0a 00 " SUM_C "1a 01 73 78 07");
}

static void test_inside_a_metric(void **state)
{
    (void)state;
    assert_int_equal(split(WHOLE, 1), WEIR_OK);
    expect(&first,
           "0a 18 0a 02 10 05 12 12 0a 00 12 0b 0a 01 61 5a 04 " POINT("01") "62 00 "
                                                                             "1a 01 73 78 07");
    expect(&second, "0a 27 0a 02 10 05 12 21 0a 00 12 0b 0a 01 61 5a 04 " POINT(
                        "02") "62 00 " SUM_C "1a 01 73 78 07");
}

static void test_bounds(void **state)
{
    (void)state;
    assert_int_equal(split(WHOLE, 0), WEIR_EINVAL);
    assert_int_equal(split(WHOLE, 3), WEIR_EINVAL);
    assert_int_equal(split(WHOLE, SIZE_MAX), WEIR_EINVAL);
    assert_int_equal(split("", 0), WEIR_EINVAL);
    assert_int_equal(split("", 1), WEIR_EINVAL);
}

static void test_empty_metrics_vanish(void **state)
{
    (void)state;
    assert_int_equal(split("0a 1a 12 18 " GAUGE_EMPTY SUMMARY_AB, 1), WEIR_OK);
    expect(&first, "0a 0f 12 0d 12 0b 0a 01 61 5a 04 " POINT("01") "62 00");
    expect(&second, "0a 0f 12 0d 12 0b 0a 01 61 5a 04 " POINT("02") "62 00");
}

static void test_all_kinds_count(void **state)
{
    (void)state;
    const char *const kinds[] = {"2a", "3a", "4a", "52", "5a"};
    for (size_t i = 0; i < 5; i++) {
        struct weir_buf text = weir_buf_grow_init(256);
        weir_buf_printf(&text, "0a 0c 12 0a 12 08 %s 06 0a 00 0a 02 40 01%c", kinds[i], 0);
        struct support_blob request = support_hex((const char *)text.data);
        size_t points = 0;
        assert_int_equal(weir_split_count(support_view(&request), &points), WEIR_OK);
        assert_int_equal(points, 2);
        support_free(&request);
        weir_buf_done(&text);
    }
}

static void test_other_fields_do_not_count(void **state)
{
    (void)state;
    const char *const others[] = {"0a 0a 12 08 12 06 32 04 0a 02 40 01", "12 02 40 01",
                                  "0a 04 0a 02 40 01", "0a 06 12 04 0a 02 40 01"};
    for (size_t i = 0; i < 4; i++) {
        struct support_blob request = support_hex(others[i]);
        size_t points = 7;
        assert_int_equal(weir_split_count(support_view(&request), &points), WEIR_OK);
        assert_int_equal(points, 0);
        support_free(&request);
    }
}

static void test_malformed(void **state)
{
    (void)state;
    const char *const bad[] = {
        "0a",                            /* no length */
        "0a 05 12 00",                   /* too long a length */
        "08 01",                         /* resource_metrics as a varint */
        "0a 02 10 01",                   /* scope_metrics as a varint */
        "0a 04 12 02 10 01",             /* metrics as a varint */
        "0a 06 12 04 12 02 58 01",       /* summary as a varint */
        "0a 08 12 06 12 04 5a 02 08 01", /* a point as a varint */
        "0a 08 12 06 12 04 5a 02 0a 01", /* a point cut off */
        "0a 02 00 00",                   /* field 0 */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct support_blob request = support_hex(bad[i]);
        size_t points = 7;
        assert_int_equal(weir_split_count(support_view(&request), &points), WEIR_EMALFORMED);
        assert_int_equal(points, 7);
        support_free(&request);
        assert_int_equal(split(bad[i], 1), WEIR_EMALFORMED);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    struct support_blob whole = support_hex(WHOLE);
    uint8_t memory[64];
    for (size_t room = 0; room < 28; room++) {
        struct weir_buf small = weir_buf_fixed(memory, room);
        struct weir_buf large = weir_buf_grow_init(4096);
        assert_int_equal(weir_split_at(support_view(&whole), 1, &small, &large), WEIR_ENOMEM);
        weir_buf_done(&large);
        small = weir_buf_fixed(memory, room);
        large = weir_buf_grow_init(4096);
        assert_int_equal(weir_split_at(support_view(&whole), 2, &large, &small), WEIR_ENOMEM);
        weir_buf_done(&large);
    }
    support_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_metrics), cmocka_unit_test(test_inside_a_metric),
        cmocka_unit_test(test_bounds),          cmocka_unit_test(test_empty_metrics_vanish),
        cmocka_unit_test(test_all_kinds_count), cmocka_unit_test(test_other_fields_do_not_count),
        cmocka_unit_test(test_malformed),       cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
