/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes are spelled out by hand after captured payloads; a second encoder is in synthetic.h. */
#include "fixture.h"
#include "support.h"
#include "weir/cwpoint.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct weir_bytes none;

static void check(struct weir_bytes actual, const char *expected_hex)
{
    struct support_blob expected = support_hex(expected_hex);
    support_assert_bytes(actual, support_view(&expected));
    support_free(&expected);
}

/* Namespace "N", MetricName "M". */
#define NAMESPACE_HEX   "3a 10 0a 09 4e616d657370616365 12 03 0a 01 4e "
#define METRIC_NAME_HEX "3a 11 0a 0a 4d65747269634e616d65 12 03 0a 01 4d "
/* ... and the Dimensions that are present though empty. */
#define NO_DIMENSIONS_HEX "3a 10 0a 0a 44696d656e73696f6e73 12 02 32 00 "

static void test_zeros_are_left_out(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct weir_cwpoint point;
    fixture_open(&fixture);
    point = (struct weir_cwpoint){.name = WEIR_BYTES("N"), .metric_name = WEIR_BYTES("M")};
    point.quantile_count = 2;
    point.quantiles[1].quantile = 1.0;
    check(weir_cwpoint_summary(fixture.arena, &point, 0, NULL),
          "32 00  32 09 09 000000000000f03f " NAMESPACE_HEX METRIC_NAME_HEX NO_DIMENSIONS_HEX);
    fixture_close(&fixture);
}

static void test_minus_zero_is_no_zero(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct weir_cwpoint point;
    fixture_open(&fixture);
    point = (struct weir_cwpoint){
        .name = WEIR_BYTES("N"), .metric_name = WEIR_BYTES("M"), .count = 1, .sum = -0.0};
    point.quantile_count = 1;
    point.quantiles[0].value = -0.0;
    check(weir_cwpoint_summary(fixture.arena, &point, 0, NULL),
          "21 0100000000000000  29 0000000000000080  32 09 11 0000000000000080 " NAMESPACE_HEX
              METRIC_NAME_HEX NO_DIMENSIONS_HEX);
    fixture_close(&fixture);
}

static void test_dimensions_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct weir_cwpoint point;
    fixture_open(&fixture);
    point = (struct weir_cwpoint){.name = WEIR_BYTES("N"),
                                  .metric_name = WEIR_BYTES("M"),
                                  .start_ns = 1,
                                  .time_ns = 2,
                                  .dimension_count = 2};
    point.dimensions[0] = (struct weir_cwpoint_dimension){WEIR_BYTES("b"), WEIR_BYTES("1")};
    point.dimensions[1] = (struct weir_cwpoint_dimension){WEIR_BYTES("a"), none};
    check(weir_cwpoint_summary(fixture.arena, &point, 0, NULL),
          "11 0100000000000000 19 0200000000000000 " NAMESPACE_HEX METRIC_NAME_HEX
          "3a 23 0a 0a 44696d656e73696f6e73 12 15 32 13"
          "  0a 08 0a 01 62 12 03 0a 01 31  0a 07 0a 01 61 12 02 0a 00");
    fixture_close(&fixture);
}

static void test_room_for_extra_fields(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct weir_cwpoint point;
    uint8_t *extra = NULL;
    fixture_open(&fixture);
    point = (struct weir_cwpoint){.without_name = true, .without_metric_name = true};
    struct weir_bytes data = weir_cwpoint_summary(fixture.arena, &point, 2, &extra);
    assert_ptr_equal(extra, data.data + data.size - 2);
    memcpy(extra, "\x40\x01", 2);
    check(data, NO_DIMENSIONS_HEX "40 01");
    fixture_close(&fixture);
}

static void test_a_gauge_has_its_zero(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct weir_cwpoint point;
    fixture_open(&fixture);
    point = (struct weir_cwpoint){
        .name = WEIR_BYTES("N"), .metric_name = WEIR_BYTES("M"), .time_ns = 3, .count = 9};
    check(
        weir_cwpoint_gauge(fixture.arena, &point, 0.0),
        "19 0300000000000000 21 0000000000000000 " NAMESPACE_HEX METRIC_NAME_HEX NO_DIMENSIONS_HEX);
    fixture_close(&fixture);
}

static void test_metric_heads(void **state)
{
    (void)state;
    uint8_t data[27];
    const struct weir_cwpoint_room room = {data, data + sizeof(data)};
    static struct weir_cwpoint point;
    point = (struct weir_cwpoint){.name = WEIR_BYTES("A/B"), .metric_name = WEIR_BYTES("C")};
    support_assert_bytes(weir_cwpoint_metric_head_in(room, &point, none, WEIR_BYTES("By")),
                         WEIR_BYTES("\x0a\x13"
                                    "amazonaws.com/A/B/C"
                                    "\x1a\x02"
                                    "By"));
    support_assert_bytes(weir_cwpoint_metric_head_in(room, &point, WEIR_BYTES("tm9"), none),
                         WEIR_BYTES("\x0a\x17"
                                    "amazonaws.com/A/B/C.tm9"));
    assert_int_equal(weir_cwpoint_metric_head_in(room, &point, none, WEIR_BYTES("ByBy")).size, 27);
    support_assert_bytes(
        weir_cwpoint_head_name(weir_cwpoint_metric_head_in(room, &point, none, none), 3),
        WEIR_BYTES("A/B"));
    assert_null(weir_cwpoint_metric_head_in(room, &point, none, WEIR_BYTES("ByByB")).data);
}

/* With slack or without, in a room or in an arena: a point is the same, and it keeps to its room,
 * whatever the sizes of what is in it. */
static void check_both_ways(struct fixture *fixture, struct weir_cwpoint *point)
{
    static uint8_t out[8192];
    enum { BEYOND = 4 };
    point->has_slack = false;
    struct weir_bytes plain = weir_cwpoint_summary(fixture->arena, point, 0, NULL);
    point->has_slack = true;
    bool fits = false;
    for (size_t size = plain.size; !fits; size++) {
        memset(out, 0x5a, sizeof(out));
        struct weir_bytes quick =
            weir_cwpoint_summary_in((struct weir_cwpoint_room){out, out + size}, point);
        fits = quick.data != NULL;
        assert_true(fits || out[0] == 0x5a);
        if (fits) {
            support_assert_bytes(quick, plain);
        }
        for (size_t i = size; i < size + BEYOND; i++) {
            assert_int_equal(out[i], 0x5a);
        }
        assert_true(size < plain.size + 256);
    }
}

static void check_head_both_ways(const struct weir_cwpoint *point, struct weir_bytes unit)
{
    static uint8_t plain[1024];
    static uint8_t out[1024];
    enum { BEYOND = 4 };
    struct weir_bytes head = weir_cwpoint_metric_head_in(
        (struct weir_cwpoint_room){plain, plain + sizeof(plain)}, point, none, unit);
    for (size_t size = head.size - 1; size < head.size + 2 * WEIR_CWPOINT_SLACK; size++) {
        memset(out, 0x5a, sizeof(out));
        struct weir_bytes quick =
            weir_cwpoint_slack_head_in((struct weir_cwpoint_room){out, out + size}, point, unit);
        if (size < head.size) {
            assert_null(quick.data);
        } else {
            support_assert_bytes(quick, head);
        }
        for (size_t i = size; i < size + BEYOND; i++) {
            assert_int_equal(out[i], 0x5a);
        }
    }
}

static void test_a_summary_with_slack(void **state)
{
    (void)state;
    static uint8_t text[512];
    static const size_t sizes[] = {0,   1,   15,  16,  17,  60,  61,  62, 100,
                                   111, 112, 113, 121, 122, 127, 128, 300};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
    static struct weir_cwpoint point;
    struct fixture fixture;
    fixture_open(&fixture);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (uint8_t)('a' + i % 26);
    }
    for (size_t i = 0; i < SIZES * SIZES * 4; i++) {
        point = (struct weir_cwpoint){.name = weir_bytes_of(text + i % 7, sizes[i % SIZES]),
                                      .metric_name = weir_bytes_of(text, sizes[i / SIZES % SIZES]),
                                      .start_ns = i % 2,
                                      .time_ns = i,
                                      .count = i % 3,
                                      .sum = (double)(i % 2),
                                      .quantile_count = (uint32_t)(i % 3),
                                      .dimension_count = (uint32_t)(i / SIZES / SIZES),
                                      .quantiles = {{0.0, (double)(i % 5)}, {1.0, -0.0}}};
        for (uint32_t j = 0; j < point.dimension_count; j++) {
            point.dimensions[j] = (struct weir_cwpoint_dimension){
                weir_bytes_of(text + j, sizes[i % SIZES]),
                weir_bytes_of(text, sizes[(i / SIZES + j) % SIZES])};
        }
        check_both_ways(&fixture, &point);
        check_head_both_ways(&point, weir_bytes_of(text, sizes[(i / 7) % SIZES]));
    }
    fixture_close(&fixture);
}

static void test_resource_head(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    struct weir_cwpoint_resource resource = {WEIR_BYTES("aws-cn"), WEIR_BYTES("1"), WEIR_BYTES("2"),
                                             WEIR_BYTES("r"), WEIR_BYTES("s")};
    struct weir_bytes head = weir_cwpoint_resource_head(fixture.arena, &resource);
    support_assert_bytes(head, WEIR_BYTES("\x0a\x88\x01"
                                          "\x0a\x17\x0a\x0e"
                                          "cloud.provider"
                                          "\x12\x05\x0a\x03"
                                          "aws"
                                          "\x0a\x17\x0a\x10"
                                          "cloud.account.id"
                                          "\x12\x03\x0a\x01"
                                          "2"
                                          "\x0a\x13\x0a\x0c"
                                          "cloud.region"
                                          "\x12\x03\x0a\x01"
                                          "r"
                                          "\x0a\x3f\x0a\x10"
                                          "aws.exporter.arn"
                                          "\x12\x2b\x0a\x29"
                                          "arn:aws-cn:cloudwatch:r:1:metric-stream/s"));
    fixture_close(&fixture);
}

static void test_a_full_arena_gives_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct weir_cwpoint point;
    static const struct weir_cwpoint_resource resource;
    fixture_open_bare(&fixture, 0);
    assert_null(weir_cwpoint_summary(fixture.arena, &point, 0, NULL).data);
    assert_null(weir_cwpoint_gauge(fixture.arena, &point, 1.0).data);
    assert_null(weir_cwpoint_resource_head(fixture.arena, &resource).data);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeros_are_left_out),
        cmocka_unit_test(test_minus_zero_is_no_zero),
        cmocka_unit_test(test_dimensions_in_order),
        cmocka_unit_test(test_room_for_extra_fields),
        cmocka_unit_test(test_a_gauge_has_its_zero),
        cmocka_unit_test(test_metric_heads),
        cmocka_unit_test(test_a_summary_with_slack),
        cmocka_unit_test(test_resource_head),
        cmocka_unit_test(test_a_full_arena_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
