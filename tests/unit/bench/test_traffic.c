/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "traffic/catalog.h"
#include "traffic/traffic.h"
#include "weir/hash.h"
#include "weir/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct weir_traffic *world(struct weir_traffic_options options)
{
    struct weir_traffic *traffic = NULL;
    assert_int_equal(weir_traffic_new(&options, &traffic), WEIR_OK);
    return traffic;
}

static struct weir_traffic_options random_options(struct weir_rand *rand)
{
    struct weir_traffic_options options = weir_traffic_defaults();
    options.seed = weir_rand_u64(rand);
    options.streams = 1 + (uint32_t)weir_rand_below(rand, 7);
    options.resources = 1 + (uint32_t)weir_rand_below(rand, 40);
    options.namespaces = 1 + (uint32_t)weir_rand_below(rand, weir_rand_below(rand, 2) ? 8 : 1000);
    options.per_stream = 1 + (uint32_t)weir_rand_below(rand, weir_rand_below(rand, 2) ? 30 : 20000);
    options.hot_percent = (uint32_t)weir_rand_below(rand, 3) * (uint32_t)weir_rand_below(rand, 51);
    options.without_percentiles = weir_rand_below(rand, 2) == 0;
    return options;
}

static void check_number(const struct weir_traffic *traffic, uint64_t number)
{
    struct weir_traffic_point point;
    uint64_t found = UINT64_MAX;
    weir_traffic_point(traffic, number, &point);
    assert_int_equal(point.number, number);
    assert_true(weir_traffic_find(traffic, &point, &found));
    assert_int_equal(found, number);
}

static void find_is_the_inverse_of_point(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(0x7a1);
    for (int round = 0; round < 200; round++) {
        struct weir_traffic *traffic = world(random_options(&rand));
        uint64_t series = weir_traffic_series(traffic);
        check_number(traffic, 0);
        check_number(traffic, series - 1);
        check_number(traffic, (series << 26) - 1);
        for (int i = 0; i < 200; i++) {
            check_number(traffic, weir_rand_below(&rand, series * 3000));
        }
        weir_traffic_free(traffic);
    }
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* What find is told, as one number. */
static uint64_t identity(const struct weir_traffic_point *point)
{
    uint64_t hash = weir_hash_mix(weir_hash(point->name), weir_hash(point->metric));
    hash = weir_hash_mix(hash, weir_hash(point->values[0]));
    return weir_hash_mix(hash, (uint64_t)point->start_ms);
}

static void no_two_points_are_alike(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(0x7a2);
    for (int round = 0; round < 10; round++) {
        struct weir_traffic *traffic = world(random_options(&rand));
        size_t count = (size_t)weir_traffic_series(traffic) * 2;
        uint64_t *seen = weir_mem_zalloc(count, sizeof(*seen));
        struct weir_traffic_point point;
        for (size_t i = 0; i < count; i++) {
            weir_traffic_point(traffic, i, &point);
            seen[i] = identity(&point);
        }
        qsort(seen, count, sizeof(*seen), compare);
        for (size_t i = 1; i < count; i++) {
            assert_true(seen[i - 1] != seen[i]);
        }
        weir_mem_free(seen);
        weir_traffic_free(traffic);
    }
}

static void check_values(const struct weir_traffic_point *point)
{
    assert_true(point->quantiles >= 2 && point->quantiles <= WEIR_TRAFFIC_QUANTILES_MAX);
    assert_true(point->quantile[0] == 0.0 && point->quantile[point->quantiles - 1] == 1.0);
    for (uint32_t i = 0; i < point->quantiles; i++) {
        assert_true(isfinite(point->value[i]));
        assert_true(point->value[i] != 0.0 || !signbit(point->value[i]));
        assert_true(i == 0 || point->quantile[i - 1] < point->quantile[i]);
        assert_true(i == 0 || point->value[i - 1] <= point->value[i]);
    }
    double count = (double)point->count;
    double slack = fabs(point->sum) * 1e-12;
    assert_true(point->count > 0);
    assert_true(point->sum + slack >= point->value[0] * count);
    assert_true(point->sum - slack <= point->value[point->quantiles - 1] * count);
}

/* A minimum above the mean, or a percentile above the maximum, would be no traffic of AWS's; and a
 * world of zeros only, or without them, would measure something else. */
static void values_are_what_a_metric_can_have(void **state)
{
    (void)state;
    struct weir_traffic *traffic = world(weir_traffic_defaults());
    unsigned zeros = 0, negative = 0, percentiles = 0, dimensions[4] = {0};
    struct weir_traffic_point point;
    for (uint64_t number = 0; number < 12000; number++) {
        weir_traffic_point(traffic, number, &point);
        check_values(&point);
        zeros += point.value[point.quantiles - 1] == 0.0;
        negative += point.sum < 0;
        percentiles += point.quantiles > 2;
        assert_true(point.dimensions >= 1 && point.dimensions <= 3);
        dimensions[point.dimensions]++;
        assert_true(point.sum >= 0 || weir_bytes_eq(point.name, WEIR_BYTES("AWS/RDS")));
    }
    assert_in_range(zeros, 2500, 7000);
    assert_in_range(negative, 1, 400);
    assert_in_range(percentiles, 100, 2000);
    assert_true(dimensions[1] > 1000 && dimensions[2] > 1000 && dimensions[3] > 200);
    weir_traffic_free(traffic);
}

static void the_same_seed_gives_the_same_world_and_another_does_not(void **state)
{
    (void)state;
    struct weir_traffic_options options = weir_traffic_defaults();
    struct weir_traffic *one = world(options), *again = world(options);
    options.seed++;
    struct weir_traffic *other = world(options);
    unsigned same = 0;
    for (uint64_t number = 0; number < 500; number++) {
        struct weir_traffic_point a, b, c;
        uint64_t found;
        weir_traffic_point(one, number, &a);
        weir_traffic_point(again, number, &b);
        weir_traffic_point(other, number, &c);
        assert_int_equal(identity(&a), identity(&b));
        assert_true(a.sum == b.sum && a.count == b.count);
        same += weir_traffic_find(other, &a, &found);
    }
    assert_int_equal(same, 0);
    weir_traffic_free(one);
    weir_traffic_free(again);
    weir_traffic_free(other);
}

static void streams_resources_and_turns(void **state)
{
    (void)state;
    struct weir_traffic_options options = weir_traffic_defaults();
    options.streams = 3;
    options.resources = 4;
    options.per_stream = 5003;
    struct weir_traffic *traffic = world(options);
    struct weir_traffic_point point, next;
    char arn[WEIR_TRAFFIC_ARN_SIZE];
    assert_int_equal(weir_traffic_series(traffic), 15009);
    for (uint64_t number = 0; number < 15009;) {
        uint32_t run = weir_traffic_run(traffic, number);
        assert_in_range(run, 1, 500);
        weir_traffic_point(traffic, number, &point);
        weir_traffic_arn(traffic, (uint32_t)(number / 5003), arn, sizeof(arn));
        assert_non_null(memmem(arn, strlen(arn), point.stream.data, point.stream.size));
        assert_non_null(memmem(arn, strlen(arn), point.owner.data, point.owner.size));
        for (uint32_t i = 1; i < run; i++) {
            weir_traffic_point(traffic, number + i, &next);
            assert_true(weir_bytes_eq(point.stream, next.stream));
            assert_true(weir_bytes_eq(point.account, next.account));
            assert_true(weir_bytes_eq(point.region, next.region));
        }
        number += run;
    }
    weir_traffic_free(traffic);
}

static void a_hot_namespace_has_its_share(void **state)
{
    (void)state;
    static const uint32_t shares[] = {0, 1, 50, 99, 100};
    for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
        struct weir_traffic_options options = weir_traffic_defaults();
        options.hot_percent = shares[s];
        struct weir_traffic *traffic = world(options);
        uint32_t hot = 0;
        for (uint64_t number = 0; number < options.per_stream; number++) {
            struct weir_traffic_point point;
            weir_traffic_point(traffic, number, &point);
            hot += weir_bytes_eq(point.name, WEIR_BYTES("AWS/EC2"));
        }
        assert_int_equal(hot, shares[s] == 0 ? options.per_stream / options.namespaces
                                             : options.per_stream / 100 * shares[s]);
        weir_traffic_free(traffic);
    }
}

static void every_namespace_has_series(void **state)
{
    (void)state;
    struct weir_traffic_options options = weir_traffic_defaults();
    options.namespaces = 1000;
    options.resources = 50;
    options.per_stream = 4000; /* 80 for each resource */
    struct weir_traffic *traffic = world(options);
    uint64_t seen[4000];
    struct weir_traffic_point point;
    for (size_t i = 0; i < 4000; i++) {
        weir_traffic_point(traffic, i, &point);
        seen[i] = weir_hash(point.name);
    }
    qsort(seen, 4000, sizeof(seen[0]), compare);
    unsigned distinct = 1;
    for (size_t i = 1; i < 4000; i++) {
        distinct += seen[i - 1] != seen[i];
    }
    assert_int_equal(distinct, 1000);
    weir_traffic_free(traffic);
}

/* Each spoils a point in one way. */
static void spoil(unsigned how, struct weir_traffic_point *point, char *text)
{
    size_t size = point->values[0].size;
    memcpy(text, point->values[0].data, size);
    switch (how) {
    case 0: text[size - 1] = text[size - 1] == 'f' ? '0' : (char)(text[size - 1] ^ 1); break;
    case 1: size--; break;
    case 2: text[size++] = '0'; break;
    case 3: text[size - 3] = 'A'; break;
    case 4: text[0] ^= 1; break;
    case 5: size = 0; break;
    case 6: point->name = WEIR_BYTES("AWS/EC3"); break;
    case 7: point->metric = WEIR_BYTES("CPUUtilisation"); break;
    case 8: point->start_ms += 1; break;
    case 9: point->start_ms = weir_traffic_defaults().start_ms - 60000; break;
    case 10: point->start_ms = INT64_MAX; break;
    case 11: point->name = (struct weir_bytes){NULL, 0}; break;
    default: point->dimensions = 0; break;
    }
    point->values[0] = weir_bytes_of(text, size);
}

static void what_is_not_of_this_world_is_not_found(void **state)
{
    (void)state;
    struct weir_traffic *traffic = world(weir_traffic_defaults());
    for (uint64_t number = 0; number < 2000; number++) {
        for (unsigned how = 0; how < 13; how++) {
            struct weir_traffic_point point;
            char text[256];
            uint64_t found = 7;
            weir_traffic_point(traffic, number, &point);
            spoil(how, &point, text);
            assert_false(weir_traffic_find(traffic, &point, &found));
            assert_int_equal(found, 7);
        }
    }
    weir_traffic_free(traffic);
}

static void options_out_of_their_bounds(void **state)
{
    (void)state;
    struct weir_traffic_options good = weir_traffic_defaults();
    struct weir_traffic_options bad[14];
    for (size_t i = 0; i < 14; i++) {
        bad[i] = good;
    }
    bad[0].streams = 0;
    bad[1].streams = WEIR_TRAFFIC_STREAMS_MAX + 1;
    bad[2].resources = 0;
    bad[3].resources = WEIR_TRAFFIC_RESOURCES_MAX + 1;
    bad[4].namespaces = 0;
    bad[5].namespaces = WEIR_TRAFFIC_NAMESPACES_MAX + 1;
    bad[6].per_stream = 0;
    bad[7].per_stream = WEIR_TRAFFIC_PER_STREAM_MAX + 1;
    bad[8].hot_percent = 101;
    bad[9].start_ms += 1;
    bad[10].start_ms = -60000;
    bad[11].start_ms = INT64_MAX;
    bad[12].per_stream = UINT32_MAX;
    bad[13].start_ms = INT64_MIN;
    for (size_t i = 0; i < 14; i++) {
        struct weir_traffic *traffic = NULL;
        assert_int_equal(weir_traffic_new(&bad[i], &traffic), WEIR_EINVAL);
        assert_null(traffic);
    }
    weir_mem_fail_at(1);
    struct weir_traffic *traffic = NULL;
    assert_int_equal(weir_traffic_new(&good, &traffic), WEIR_ENOMEM);
    assert_null(traffic);
    weir_mem_fail_at(0);
    weir_traffic_free(NULL);
}

static void the_largest_world(void **state)
{
    (void)state;
    struct weir_traffic_options options = weir_traffic_defaults();
    options.seed = UINT64_MAX;
    options.streams = WEIR_TRAFFIC_STREAMS_MAX;
    options.resources = WEIR_TRAFFIC_RESOURCES_MAX;
    options.namespaces = WEIR_TRAFFIC_NAMESPACES_MAX;
    options.per_stream = WEIR_TRAFFIC_PER_STREAM_MAX;
    struct weir_traffic *traffic = world(options);
    struct weir_rand rand = support_rand(0x7a3);
    for (int i = 0; i < 2000; i++) {
        check_number(traffic, weir_rand_below(&rand, weir_traffic_series(traffic) << 20));
    }
    check_number(traffic, weir_traffic_series(traffic) - 1);
    weir_traffic_free(traffic);
}

static void options_survive_being_printed(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(0x7a4);
    for (int i = 0; i < 1000; i++) {
        struct weir_traffic_options options = random_options(&rand), back = {0};
        char text[WEIR_TRAFFIC_PRINT_SIZE], again[WEIR_TRAFFIC_PRINT_SIZE];
        weir_traffic_print(&options, text, sizeof(text));
        assert_int_equal(weir_traffic_parse(weir_bytes_str(text), &back), WEIR_OK);
        weir_traffic_print(&back, again, sizeof(again));
        assert_string_equal(text, again);
        assert_true(options.seed == back.seed && options.start_ms == back.start_ms);
        assert_true(options.per_stream == back.per_stream && options.streams == back.streams);
        assert_true(options.without_percentiles == back.without_percentiles);
        for (size_t cut = 0; cut < strlen(text); cut++) {
            assert_int_equal(weir_traffic_parse(weir_bytes_of(text, cut), &back), WEIR_EMALFORMED);
        }
    }
    /* the same, of a build that makes other points */
    struct weir_traffic_options known = weir_traffic_defaults(), back = {.seed = 99};
    char other[WEIR_TRAFFIC_PRINT_SIZE];
    weir_traffic_print(&known, other, sizeof(other));
    char *last = other + strlen(other) - strlen("0\"}");
    *last = *last == '7' ? '8' : '7';
    assert_int_equal(weir_traffic_parse(weir_bytes_str(other), &back), WEIR_EUNSUPPORTED);
    assert_int_equal(back.seed, 99);
    struct weir_traffic_options widest = {UINT64_MAX, INT64_MIN,  UINT32_MAX, UINT32_MAX,
                                          UINT32_MAX, UINT32_MAX, UINT32_MAX, false};
    char text[WEIR_TRAFFIC_PRINT_SIZE];
    weir_traffic_print(&widest, text, sizeof(text));
}

static void text_that_is_no_options(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"seed\":\"1\"}",
        "{\"seed\":1,\"start_ms\":0,\"streams\":1,\"resources\":1,\"namespaces\":1,\"per_stream\":"
        "1,"
        "\"hot_percent\":0,\"without_percentiles\":false}",
        "{\"seed\":\"18446744073709551616\",\"start_ms\":0,\"streams\":1,\"resources\":1,"
        "\"namespaces\":1,\"per_stream\":1,\"hot_percent\":0,\"without_percentiles\":false}",
        "{\"seed\":\"1\",\"start_ms\":0,\"streams\":-1,\"resources\":1,\"namespaces\":1,"
        "\"per_stream\":1,\"hot_percent\":0,\"without_percentiles\":false}",
        "{\"seed\":\"1\",\"start_ms\":0,\"streams\":4294967297,\"resources\":1,\"namespaces\":1,"
        "\"per_stream\":1,\"hot_percent\":0,\"without_percentiles\":false}",
        "{\"seed\":\"1\",\"start_ms\":0,\"streams\":1,\"resources\":1,\"namespaces\":1,"
        "\"per_stream\":1,\"hot_percent\":0,\"without_percentiles\":0}",
        "{\"seed\":\"1\",\"start_ms\":0,\"streams\":1,\"streams\":1,\"resources\":1,"
        "\"namespaces\":1,\"per_stream\":1,\"hot_percent\":0,\"without_percentiles\":false}",
        "{\"seed\":\"1\",\"start_ms\":0,\"streams\":1,\"resources\":1,\"namespaces\":1,"
        "\"per_stream\":1,\"hot_percent\":0,\"without_percentiles\":false,\"more\":1}",
        "{\"seed\":\"\",\"start_ms\":0,\"streams\":1,\"resources\":1,\"namespaces\":1,"
        "\"per_stream\":1,\"hot_percent\":0,\"without_percentiles\":false}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct weir_traffic_options options = {.seed = 99};
        assert_int_equal(weir_traffic_parse(weir_bytes_str(texts[i]), &options), WEIR_EMALFORMED);
        assert_int_equal(options.seed, 99);
    }
}

static void check_text(struct weir_bytes text)
{
    assert_true(text.size > 0);
    for (size_t i = 0; i < text.size; i++) {
        assert_true(text.data[i] >= ' ' && text.data[i] < 0x7f);
        assert_true(text.data[i] != '"' && text.data[i] != '\\');
    }
}

static void the_catalog_keeps_its_rules(void **state)
{
    (void)state;
    assert_true(weir_catalog_count() > 40);
    for (uint32_t i = 0; i < weir_catalog_count(); i++) {
        const struct weir_catalog_namespace *entry = weir_catalog_at(i);
        check_text(entry->name);
        check_text(entry->id);
        for (uint32_t j = 0; j < i; j++) {
            assert_false(weir_bytes_eq(entry->name, weir_catalog_at(j)->name));
        }
        for (uint32_t m = 0; m < entry->count; m++) {
            const struct weir_catalog_metric *metric = &entry->metrics[m];
            check_text(metric->name);
            assert_in_range(metric->dimensions, 1, WEIR_CATALOG_DIMENSIONS);
            for (uint32_t d = 0; d < metric->dimensions; d++) {
                check_text(entry->keys[d]);
            }
            for (uint32_t other = 0; other < m; other++) {
                assert_false(weir_bytes_eq(metric->name, entry->metrics[other].name));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_is_the_inverse_of_point),
        cmocka_unit_test(no_two_points_are_alike),
        cmocka_unit_test(values_are_what_a_metric_can_have),
        cmocka_unit_test(the_same_seed_gives_the_same_world_and_another_does_not),
        cmocka_unit_test(streams_resources_and_turns),
        cmocka_unit_test(a_hot_namespace_has_its_share),
        cmocka_unit_test(every_namespace_has_series),
        cmocka_unit_test(what_is_not_of_this_world_is_not_found),
        cmocka_unit_test(options_out_of_their_bounds),
        cmocka_unit_test(the_largest_world),
        cmocka_unit_test(options_survive_being_printed),
        cmocka_unit_test(text_that_is_no_options),
        cmocka_unit_test(the_catalog_keeps_its_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
