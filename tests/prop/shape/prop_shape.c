/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conservation: whatever a run has in it and whatever is asked for, the values that leave are those
 * that came, to the bit, and each point leaves, is refused or filtered.
 */
#include "../../unit/shape/shape_oracle.h"
#include "support.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static bool coin(struct weir_rand *rand)
{
    return weir_rand_below(rand, 2) == 0;
}

/* Ordinary numbers, and those that nobody sends: zeros of both signs, NaN, infinities, any bits. */
static uint64_t random_bits(struct weir_rand *rand)
{
    static const uint64_t odd[] = {0,
                                   UINT64_C(0x8000000000000000),
                                   UINT64_C(0x3ff0000000000000),
                                   UINT64_C(0x7ff8000000000001),
                                   UINT64_C(0xfff0000000000000),
                                   UINT64_MAX};
    double number = weir_rand_unit(rand) * 200 - 100;
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    switch (weir_rand_below(rand, 4)) {
    case 0: return odd[weir_rand_below(rand, sizeof(odd) / sizeof(odd[0]))];
    case 1: return weir_rand_u64(rand);
    default: return bits;
    }
}

static void put_number(struct weir_rand *rand, struct weir_buf *out, uint32_t number, uint64_t bits)
{
    if (bits != 0 || coin(rand)) { /* zero omission */
        weir_pbw_fixed64(out, number, bits);
    }
}

static void put_quantile(struct weir_rand *rand, struct weir_buf *out, uint64_t quantile)
{
    uint8_t room[32];
    struct weir_buf message = weir_buf_fixed(room, sizeof(room));
    put_number(rand, &message, 1, quantile);
    put_number(rand, &message, 2, random_bits(rand));
    weir_pbw_bytes(out, 6, weir_buf_view(&message));
}

static void put_attributes(struct weir_rand *rand, struct weir_buf *out, uint32_t number)
{
    static const char *const keys[] = {"Namespace",
                                       "MetricName",
                                       "A",
                                       "a",
                                       "Dimension.A",
                                       "cloud.region",
                                       "\xc3\xa9 long key with characters"};
    const char *dimensions[2 * 8 + 1] = {NULL};
    size_t count = sizeof(keys) / sizeof(keys[0]);
    for (uint64_t i = weir_rand_below(rand, 4); i > 0; i--) {
        shape_attribute(out, number, keys[weir_rand_below(rand, count)], "value \xc3\xa9\xc3\xa9");
    }
    for (uint64_t i = 0; i < weir_rand_below(rand, 8); i++) {
        dimensions[2 * i] = keys[weir_rand_below(rand, count)];
        dimensions[2 * i + 1] = "d\xe2\x82\xac\n\"";
        dimensions[2 * i + 2] = NULL;
    }
    if (weir_rand_below(rand, 8) > 0) {
        shape_dimensions(out, number, dimensions);
    }
}

static void put_summary(struct weir_rand *rand, struct weir_buf *out)
{
    static const uint64_t quantiles[] = {0, UINT64_C(0x3ff0000000000000)};
    put_number(rand, out, 2, random_bits(rand));
    put_number(rand, out, 3, weir_rand_below(rand, 2000000));
    put_number(rand, out, 4, coin(rand) ? weir_rand_below(rand, 1000) : random_bits(rand));
    put_number(rand, out, 5, random_bits(rand));
    for (uint64_t i = weir_rand_below(rand, 9); i > 0; i--) {
        put_quantile(rand, out, coin(rand) ? quantiles[i % 2] : random_bits(rand));
    }
}

static void add_point(struct weir_rand *rand, struct shape_fixture *fixture,
                      enum weir_metric_data data)
{
    static uint8_t room[SHAPE_ROOM];
    struct weir_buf point = weir_buf_fixed(room, sizeof(room));
    uint32_t attributes = shape_kind_of(data).attributes;
    if (coin(rand)) {
        put_attributes(rand, &point, attributes);
    }
    if (data == WEIR_METRIC_SUMMARY) {
        put_summary(rand, &point);
    } else {
        put_number(rand, &point, 3, random_bits(rand));
        put_number(rand, &point, 4, random_bits(rand));
    }
    if (coin(rand)) {
        weir_pbw_uint(&point, data == WEIR_METRIC_SUMMARY ? 8 : 77, weir_rand_below(rand, 3));
    }
    if (coin(rand)) {
        weir_pbw_bytes(&point, 99, WEIR_BYTES("unknown"));
    }
    put_attributes(rand, &point, attributes);
    assert_false(point.failed);
    shape_point(fixture, weir_buf_view(&point));
}

static void fill(struct weir_rand *rand, struct shape_fixture *fixture)
{
    static const enum weir_metric_data kinds[] = {
        WEIR_METRIC_SUMMARY, WEIR_METRIC_SUMMARY,   WEIR_METRIC_SUMMARY,
        WEIR_METRIC_GAUGE,   WEIR_METRIC_HISTOGRAM, WEIR_METRIC_EXPONENTIAL_HISTOGRAM,
        WEIR_METRIC_SUM};
    static const char *const names[] = {"amazonaws.com/AWS/EC2/A", "amazonaws.com/AWS/EC2/A.tm90",
                                        "amazonaws.com/AWS/EC2/B", "9 others", ""};
    uint64_t metrics = 1 + weir_rand_below(rand, 4);
    for (uint64_t i = 0; i < metrics; i++) {
        enum weir_metric_data data = kinds[weir_rand_below(rand, sizeof(kinds) / sizeof(kinds[0]))];
        shape_metric(fixture, names[weir_rand_below(rand, 5)], "%", data);
        for (uint64_t k = 1 + weir_rand_below(rand, 8); k > 0; k--) {
            add_point(rand, fixture, data);
        }
    }
}

static struct weir_shape_options random_options(struct weir_rand *rand)
{
    static const char *const promote[] = {"cloud.region", "cloud.account.id", NULL};
    static const char *const include[] = {"AWS/EC2/A*", NULL};
    static const struct weir_shape_attribute resource[] = {{"service.name", "s"}, {NULL, NULL}};
    struct weir_shape_options options = {
        .summary = (enum weir_shape_summary)weir_rand_below(rand, 3),
        .dimensions = (enum weir_shape_dimensions)weir_rand_below(rand, 3),
        .names = (enum weir_shape_names)weir_rand_below(rand, 4),
        .keys = (enum weir_shape_keys)weir_rand_below(rand, 2),
        .promote = coin(rand) ? promote : NULL,
        .resource = coin(rand) ? resource : NULL,
        .scope_name = coin(rand) ? "aws.cloudwatch" : NULL,
        .metrics_include = weir_rand_below(rand, 4) == 0 ? include : NULL,
        .max_point_age_ns = coin(rand) ? (int64_t)weir_rand_below(rand, 1000000) : 0,
        .attributes_max = coin(rand) ? 1 + (uint32_t)weir_rand_below(rand, 12) : 0,
        .key_bytes_max = coin(rand) ? 16 + (uint32_t)weir_rand_below(rand, 8) : 0,
        .value_bytes_max = coin(rand) ? 1 + (uint32_t)weir_rand_below(rand, 12) : 0,
    };
    return options;
}

static void test_values_are_conserved(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    for (unsigned round = 0; round < 1500; round++) {
        struct shape_fixture fixture;
        struct weir_shape_options options = random_options(&rand);
        shape_fixture_open(&fixture, coin(&rand) ? "AWS/EC2" : "EC2");
        fill(&rand, &fixture);
        (void)shape_fixture_run(&fixture, &options);
        shape_oracle_check(&fixture, &options);
        shape_fixture_close(&fixture);
    }
}

/* A run in two parts gives what the whole gives, in whatever way it is cut. */
static void test_parts_are_the_whole(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(2);
    for (unsigned round = 0; round < 200; round++) {
        struct shape_fixture fixture;
        struct weir_shape_options options = random_options(&rand);
        shape_fixture_open(&fixture, "AWS/EC2");
        fill(&rand, &fixture);
        (void)shape_fixture_run(&fixture, &options);
        uint32_t cut = (uint32_t)weir_rand_below(&rand, fixture.run.count + 1);
        uint32_t at = 0;
        for (int part = 0; part < 2; part++) {
            struct weir_run run = fixture.run;
            struct weir_shaped shaped;
            run.points += part == 0 ? 0 : cut;
            run.count = part == 0 ? cut : fixture.run.count - cut;
            assert_int_equal(
                weir_shape_run(fixture.shape, &run, 1000000, fixture.out_arena, &shaped), WEIR_OK);
            for (uint32_t i = 0; i < shaped.run.count; i++, at++) {
                const struct weir_point *one = &fixture.shaped.run.points[at];
                const struct weir_point *two = &shaped.run.points[i];
                assert_true(weir_bytes_eq(oracle_data(one), oracle_data(two)));
                assert_true(one->metric->hash == two->metric->hash);
            }
        }
        assert_int_equal(at, fixture.shaped.run.count);
        shape_fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_conserved),
        cmocka_unit_test(test_parts_are_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
