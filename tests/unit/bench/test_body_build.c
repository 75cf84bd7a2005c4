/* SPDX-License-Identifier: Apache-2.0 */
/* What the load generator sends is what Weir's own decoder reads, to the byte. */
#include "support.h"
#include "traffic/body.h"
#include "weir/body.h"
#include "weir/hash.h"
#include "weir/json.h"
#include "weir/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID "0f3c2a8e-52f2-4a52-9bb0-6a3e4f0b9d01"

struct bench {
    struct weir_traffic *traffic;
    struct weir_regions *regions;
    struct weir_inflater *inflater;
};

static struct bench open_bench(struct weir_traffic_options options)
{
    struct bench bench = {NULL, NULL, NULL};
    assert_int_equal(weir_traffic_new(&options, &bench.traffic), WEIR_OK);
    assert_int_equal(weir_regions_new((size_t)64 << 20, &bench.regions), WEIR_OK);
    assert_int_equal(weir_inflater_new(&bench.inflater), WEIR_OK);
    return bench;
}

static void close_bench(struct bench *bench)
{
    weir_inflater_free(bench->inflater);
    weir_regions_free(bench->regions);
    weir_traffic_free(bench->traffic);
}

static struct weir_traffic_options some_resources(void)
{
    struct weir_traffic_options options = weir_traffic_defaults();
    options.streams = 2;
    options.resources = 5;
    options.per_stream = 6000;
    return options;
}

static bool take(void *self, size_t bytes)
{
    *(size_t *)self += bytes;
    return true;
}

static void give(void *self, size_t bytes)
{
    *(size_t *)self -= bytes;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* Everything that is to arrive of a point: its content, its metric, where it is from. */
static uint64_t whole(struct weir_bytes data, struct weir_bytes head, struct weir_bytes account,
                      struct weir_bytes region)
{
    uint64_t hash = weir_hash_mix(weir_hash(data), weir_hash(head));
    return weir_hash_mix(weir_hash_mix(hash, weir_hash(account)), weir_hash(region));
}

static uint64_t expected(const struct weir_traffic *traffic, uint64_t number)
{
    struct weir_traffic_point point;
    struct weir_buf data = weir_buf_grow_init(4096), head = weir_buf_grow_init(4096);
    weir_traffic_point(traffic, number, &point);
    weir_body_expected(&point, &data);
    size_t name = sizeof("amazonaws.com/") - 1 + point.name.size + 1 + point.metric.size;
    assert_true(name < 128);
    weir_buf_printf(&head, "\n%camazonaws.com/%.*s/%.*s\x1a%c%.*s", (int)name, (int)point.name.size,
                    (const char *)point.name.data, (int)point.metric.size,
                    (const char *)point.metric.data, (int)point.otlp_unit.size,
                    (int)point.otlp_unit.size, (const char *)point.otlp_unit.data);
    assert_false(data.failed || head.failed);
    uint64_t hash = whole(weir_buf_view(&data), weir_buf_view(&head), point.account, point.region);
    weir_buf_done(&data);
    weir_buf_done(&head);
    return hash;
}

static void check_runs(const struct bench *bench, const struct weir_body *body,
                       const struct weir_runs *runs)
{
    assert_int_equal(runs->points, body->points);
    uint64_t *sent = weir_mem_zalloc(body->points, sizeof(*sent));
    uint64_t *got = weir_mem_zalloc(body->points, sizeof(*got));
    for (uint32_t i = 0; i < body->points; i++) {
        sent[i] = expected(bench->traffic, body->first + i);
    }
    uint32_t n = 0;
    for (uint32_t r = 0; r < runs->count; r++) {
        const struct weir_run *run = &runs->runs[r];
        for (uint32_t i = 0; i < run->count; i++) {
            const struct weir_point *point = &run->points[i];
            assert_int_equal(point->metric->data, WEIR_METRIC_SUMMARY);
            got[n++] = whole(weir_bytes_of(point->data, point->size), point->metric->head,
                             run->resource->account, run->resource->region);
        }
    }
    qsort(sent, n, sizeof(*sent), compare);
    qsort(got, n, sizeof(*got), compare);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(sent[i] == got[i]);
    }
    weir_mem_free(sent);
    weir_mem_free(got);
}

/* Builds, decodes, compares. Returns what the decoder said of the records' formats. */
static struct weir_tally check(const struct bench *bench, const struct weir_body_shape *shape,
                               struct weir_body *body)
{
    struct weir_buf out = weir_buf_grow_init((size_t)64 << 20);
    size_t taken = 0;
    struct weir_arena *arena = NULL;
    char arn[WEIR_TRAFFIC_ARN_SIZE];
    uint32_t per_stream = weir_traffic_options(bench->traffic)->per_stream;
    uint32_t streams = weir_traffic_options(bench->traffic)->streams;
    weir_traffic_arn(bench->traffic, (uint32_t)(body->first / per_stream % streams), arn,
                     sizeof(arn));
    assert_int_equal(weir_body_build(bench->traffic, shape, ID, body, &out), WEIR_OK);
    const struct weir_body_options options = {.gzip = shape->gzip_level > 0,
                                              .body_limit = (size_t)96 << 20,
                                              .limits = {10000, 1024000, 32},
                                              .source_arn = weir_bytes_str(arn)};
    const struct weir_arena_budget budget = {take, give, &taken};
    assert_int_equal(weir_arena_new(bench->regions, budget, 0, &arena), WEIR_OK);
    struct weir_body_result result;
    assert_int_equal(
        weir_body_decode(bench->inflater, arena, weir_buf_view(&out), &options, &result), WEIR_OK);
    assert_true(weir_bytes_eq(result.request_id, WEIR_BYTES(ID)));
    assert_int_equal(result.inflated_bytes, body->json_bytes);
    for (int i = 0; i < WEIR_QUARANTINE_REASONS; i++) {
        assert_int_equal(result.tally->quarantined[i], 0);
    }
    check_runs(bench, body, &result.runs);
    assert_int_equal(weir_body_record_bytes(bench->traffic, shape, body->first, body->points),
                     body->record_bytes);
    if (shape->gzip_level == 0) {
        assert_int_equal(out.size, body->json_bytes);
        assert_memory_equal(out.data + body->id_offset, ID, WEIR_BODY_ID_SIZE);
    }
    struct weir_tally tally = *result.tally;
    weir_arena_unref(arena, 0);
    weir_buf_done(&out);
    return tally;
}

static void each_format_is_read_to_the_byte(void **state)
{
    (void)state;
    struct bench bench = open_bench(some_resources());
    static const enum weir_record_format formats[] = {[WEIR_BODY_JSON] = WEIR_RECORD_JSON,
                                                      [WEIR_BODY_OTLP07] = WEIR_RECORD_OTLP_07,
                                                      [WEIR_BODY_OTLP10] = WEIR_RECORD_OTLP_10};
    for (unsigned format = WEIR_BODY_JSON; format < WEIR_BODY_MIXED; format++) {
        struct weir_body_shape shape = {(enum weir_body_format)format, 170, 0};
        struct weir_body body = {.first = 12000 * 7 + 6000 + 123, .points = 5000};
        struct weir_tally tally = check(&bench, &shape, &body);
        for (unsigned i = 0; i < WEIR_RECORD_FORMATS; i++) {
            assert_true((tally.records[i] > 0) == (i == formats[format]));
        }
    }
    close_bench(&bench);
}

static void mixed_and_compressed(void **state)
{
    (void)state;
    struct bench bench = open_bench(some_resources());
    static const int levels[] = {0, 1, 6, 12};
    for (unsigned i = 0; i < 4; i++) {
        struct weir_body_shape shape = {WEIR_BODY_MIXED, 60, levels[i]};
        struct weir_body body = {.first = 500, .points = 900};
        struct weir_tally tally = check(&bench, &shape, &body);
        assert_true(tally.records[WEIR_RECORD_JSON] > 0);
        assert_true(tally.records[WEIR_RECORD_OTLP_07] > 0);
        assert_true(tally.records[WEIR_RECORD_OTLP_10] > 0);
    }
    close_bench(&bench);
}

static void any_cut_of_any_world(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(0xb0d1);
    for (int round = 0; round < 60; round++) {
        struct weir_traffic_options options = weir_traffic_defaults();
        options.seed = weir_rand_u64(&rand);
        options.streams = 1 + (uint32_t)weir_rand_below(&rand, 3);
        options.resources = 1 + (uint32_t)weir_rand_below(&rand, 9);
        options.namespaces = 1 + (uint32_t)weir_rand_below(&rand, 100);
        options.per_stream = 1 + (uint32_t)weir_rand_below(&rand, 2000);
        options.hot_percent = (uint32_t)weir_rand_below(&rand, 101);
        options.without_percentiles = round % 2 == 0;
        struct bench bench = open_bench(options);
        uint32_t in_stream = (uint32_t)weir_rand_below(&rand, options.per_stream);
        struct weir_body body = {
            .points = 1 + (uint32_t)weir_rand_below(&rand, options.per_stream - in_stream)};
        body.first = weir_rand_below(&rand, 2000) * weir_traffic_series(bench.traffic) +
                     weir_rand_below(&rand, options.streams) * options.per_stream + in_stream;
        struct weir_body_shape shape = {(enum weir_body_format)weir_rand_below(&rand, 4),
                                        1 + (uint32_t)weir_rand_below(&rand, 400),
                                        (int)weir_rand_below(&rand, 3)};
        check(&bench, &shape, &body);
        close_bench(&bench);
    }
}

/* A world of one stream has no end: a body may hold the end of a minute and the next one's begin,
 * and has no record with both. */
static void over_the_minute(void **state)
{
    (void)state;
    struct weir_traffic_options options = weir_traffic_defaults();
    options.per_stream = 100;
    struct bench bench = open_bench(options);
    struct weir_body_shape shape = {WEIR_BODY_OTLP10, 1000, 0};
    struct weir_body body = {.first = 50, .points = 300};
    struct weir_tally tally = check(&bench, &shape, &body);
    assert_int_equal(tally.records[WEIR_RECORD_OTLP_10], 4);
    close_bench(&bench);
}

/* The sizes that were seen in real streams. */
static void records_are_of_the_usual_size(void **state)
{
    (void)state;
    struct bench bench = open_bench(weir_traffic_defaults());
    for (unsigned format = WEIR_BODY_JSON; format < WEIR_BODY_MIXED; format++) {
        struct weir_body_shape shape = {(enum weir_body_format)format, 200, 0};
        size_t size = weir_body_record_bytes(bench.traffic, &shape, 0, 12000);
        assert_in_range(size, 12000 * 200, 12000 * 450);
    }
    close_bench(&bench);
}

static void what_cannot_be_built_leaves_the_body_as_it_was(void **state)
{
    (void)state;
    struct bench bench = open_bench(weir_traffic_defaults());
    struct weir_body body = {.first = 1, .points = 900};
    struct weir_body_shape shape = {WEIR_BODY_OTLP10, 100, 0};
    uint8_t memory[1000];
    struct weir_buf small = weir_buf_fixed(memory, sizeof(memory));
    assert_int_equal(weir_body_build(bench.traffic, &shape, ID, &body, &small), WEIR_ENOMEM);
    assert_int_equal(body.json_bytes, 0);
    shape.gzip_level = 6;
    small = weir_buf_fixed(memory, sizeof(memory));
    assert_int_equal(weir_body_build(bench.traffic, &shape, ID, &body, &small), WEIR_ENOMEM);
    shape.gzip_level = 13;
    struct weir_buf out = weir_buf_grow_init((size_t)1 << 20);
    assert_int_equal(weir_body_build(bench.traffic, &shape, ID, &body, &out), WEIR_EINVAL);
    assert_int_equal(out.size, 0);
    shape.gzip_level = 1;
    enum weir_status status = WEIR_ENOMEM;
    for (uint64_t nth = 1; status != WEIR_OK; nth++) {
        weir_buf_done(&out);
        out = weir_buf_grow_init((size_t)1 << 20);
        weir_mem_fail_at(nth);
        status = weir_body_build(bench.traffic, &shape, ID, &body, &out);
        assert_true(status == WEIR_OK || status == WEIR_ENOMEM);
        assert_true((status == WEIR_OK) == (body.json_bytes > 0));
        assert_true(nth < 100);
    }
    weir_mem_fail_at(0);
    weir_buf_done(&out);
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_is_read_to_the_byte),
        cmocka_unit_test(mixed_and_compressed),
        cmocka_unit_test(any_cut_of_any_world),
        cmocka_unit_test(over_the_minute),
        cmocka_unit_test(records_are_of_the_usual_size),
        cmocka_unit_test(what_cannot_be_built_leaves_the_body_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
