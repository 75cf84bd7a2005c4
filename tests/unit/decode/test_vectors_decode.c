/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every captured payload decodes to exactly its expected.ndjson, and each damaged or foreign one to
 * the answer that its README names. Points are compared as a sorted list of texts: a request leaves
 * sorted into runs and metrics, the file is in the order of the body.
 *
 * Skipped where the vectors are not there (a fresh clone).
 */
#include "canonical.h"
#include "fixture.h"
#include "support.h"
#include "weir/cwpoint.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define LINES_MAX 4096

struct lines {
    size_t count;
    char *line[LINES_MAX];
};

static void add_line(struct lines *lines, struct weir_buf *buf)
{
    assert_false(buf->failed);
    assert_true(lines->count < LINES_MAX);
    lines->line[lines->count] = weir_mem_text(buf->data, buf->size);
    assert_non_null(lines->line[lines->count]);
    lines->count++;
    buf->size = 0;
}

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        weir_mem_free(lines->line[i]);
    }
    weir_mem_free(lines);
}

static int order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct lines *decoded_lines(const struct weir_runs *runs)
{
    struct lines *lines = weir_mem_zalloc(1, sizeof(*lines));
    struct weir_buf buf = weir_buf_grow_init(1 << 20);
    for (uint32_t r = 0; r < runs->count; r++) {
        for (uint32_t i = 0; i < runs->runs[r].count; i++) {
            canonical_put_point(&buf, &runs->runs[r].points[i]);
            add_line(lines, &buf);
        }
    }
    weir_buf_done(&buf);
    return lines;
}

static struct lines *expected_lines(struct support_blob *file)
{
    struct lines *lines = weir_mem_zalloc(1, sizeof(*lines));
    struct canonical_expected *expected = weir_mem_zalloc(1, sizeof(*expected));
    struct weir_buf buf = weir_buf_grow_init(1 << 20);
    uint8_t *at = file->data;
    uint8_t *end = file->data + file->size;
    while (at < end) {
        uint8_t *feed = memchr(at, '\n', (size_t)(end - at));
        uint8_t *stop = feed == NULL ? end : feed;
        canonical_read(at, (size_t)(stop - at), expected);
        for (int i = -1; i < (int)expected->extended_count; i++) {
            canonical_put_expected(&buf, expected, i);
            add_line(lines, &buf);
        }
        at = stop + 1;
    }
    weir_buf_done(&buf);
    weir_mem_free(expected);
    return lines;
}

static void check_lines(struct lines *actual, struct lines *expected)
{
    qsort(actual->line, actual->count, sizeof(actual->line[0]), order);
    qsort(expected->line, expected->count, sizeof(expected->line[0]), order);
    for (size_t i = 0; i < actual->count && i < expected->count; i++) {
        assert_string_equal(actual->line[i], expected->line[i]);
    }
    assert_int_equal(actual->count, expected->count);
    free_lines(actual);
    free_lines(expected);
}

static void check_vector(const char *body_path, const char *expected_path, bool gzip)
{
    struct support_blob body = support_vector(body_path);
    struct support_blob file = support_vector(expected_path);
    struct fixture fixture;
    struct weir_inflater *inflater = NULL;
    struct weir_body_result result = {0};
    struct weir_body_options options = fixture_body_options();
    options.gzip = gzip;
    fixture_open_bare(&fixture, (size_t)64 << 20);
    assert_int_equal(weir_inflater_new(&inflater), WEIR_OK);
    assert_int_equal(
        weir_body_decode(inflater, fixture.arena, support_view(&body), &options, &result), WEIR_OK);
    assert_true(weir_runs_validate(&result.runs));
    for (unsigned i = 0; i < WEIR_QUARANTINE_REASONS; i++) {
        assert_int_equal(result.tally->quarantined[i], 0);
    }
    check_lines(decoded_lines(&result.runs), expected_lines(&file));
    weir_inflater_free(inflater);
    fixture_close(&fixture);
    support_free(&file);
    support_free(&body);
}

static void test_otlp_10(void **state)
{
    (void)state;
    check_vector("otlp10/body.json", "otlp10/expected.ndjson", false);
}

static void test_otlp_07(void **state)
{
    (void)state;
    check_vector("otlp07/body.json", "otlp07/expected.ndjson", false);
}

static void test_otlp_07_zeros(void **state)
{
    (void)state;
    check_vector("otlp07-zeros/body.json", "otlp07-zeros/expected.ndjson", false);
}

static void test_json(void **state)
{
    (void)state;
    check_vector("json/body.json", "json/expected.ndjson", false);
}

static void test_json_gzip(void **state)
{
    (void)state;
    check_vector("json/body.json.gz", "json/expected.ndjson", true);
}

static void test_json_namespaces(void **state)
{
    (void)state;
    check_vector("json-namespaces/body.json", "json-namespaces/expected.ndjson", false);
}

static void test_json_percentiles(void **state)
{
    (void)state;
    check_vector("json-percentiles/body.json", "json-percentiles/expected.ndjson", false);
}

static void test_mixed(void **state)
{
    (void)state;
    check_vector("mixed/body.json", "mixed/expected.ndjson", false);
}

/* ---- what AWS writes is what we write ---- */

static void read_dimensions(struct weir_bytes list, struct weir_cwpoint *point)
{
    struct weir_cursor cursor = weir_cursor_of(list);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        struct weir_cwpoint_dimension *dimension = &point->dimensions[point->dimension_count++];
        dimension->key = canonical_field(field.bytes, 1).bytes;
        dimension->value = canonical_field(canonical_field(field.bytes, 2).bytes, 1).bytes;
    }
}

static void read_attribute(struct weir_bytes attribute, struct weir_cwpoint *point)
{
    struct weir_bytes key = canonical_field(attribute, 1).bytes;
    struct weir_bytes value = canonical_field(attribute, 2).bytes;
    if (weir_bytes_eq(key, WEIR_BYTES("Namespace"))) {
        point->name = canonical_field(value, 1).bytes;
    } else if (weir_bytes_eq(key, WEIR_BYTES("MetricName"))) {
        point->metric_name = canonical_field(value, 1).bytes;
    } else {
        assert_true(weir_bytes_eq(key, WEIR_BYTES("Dimensions")));
        read_dimensions(canonical_field(value, 6).bytes, point);
    }
}

static void read_point(struct weir_bytes data, struct weir_cwpoint *point)
{
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        switch (field.number) {
        case 2: point->start_ns = field.value; break;
        case 3: point->time_ns = field.value; break;
        case 4: point->count = field.value; break;
        case 5: point->sum = weir_pb_double(field.value); break;
        case 6:
            point->quantiles[point->quantile_count++] = (struct weir_cwpoint_quantile){
                weir_pb_double(canonical_field(field.bytes, 1).value),
                weir_pb_double(canonical_field(field.bytes, 2).value)};
            break;
        case 7: read_attribute(field.bytes, point); break;
        default: fail();
        }
    }
}

static void test_our_bytes_are_aws_bytes(void **state)
{
    (void)state;
    struct support_blob body = support_vector("otlp10/body.json");
    struct fixture fixture;
    struct weir_body_result result = {0};
    struct weir_body_options options = fixture_body_options();
    struct weir_cwpoint *point = weir_mem_zalloc(1, sizeof(*point));
    fixture_open_bare(&fixture, (size_t)64 << 20);
    assert_int_equal(weir_body_decode(NULL, fixture.arena, support_view(&body), &options, &result),
                     WEIR_OK);
    struct weir_cwpoint_resource resource = {WEIR_BYTES("aws"), WEIR_BYTES("486140753397"),
                                             WEIR_BYTES("486140753397"), WEIR_BYTES("us-east-1"),
                                             WEIR_BYTES("CustomFull-OhkxxX-webhooksite")};
    support_assert_bytes(weir_cwpoint_resource_head(fixture.arena, &resource),
                         result.runs.runs[0].resource->head);
    uint32_t compared = 0;
    for (uint32_t r = 0; r < result.runs.count; r++) {
        for (uint32_t i = 0; i < result.runs.runs[r].count; i++, compared++) {
            const struct weir_point *aws = &result.runs.runs[r].points[i];
            struct weir_bytes data = weir_bytes_of(aws->data, aws->size);
            memset(point, 0, sizeof(*point));
            read_point(data, point);
            support_assert_bytes(weir_cwpoint_summary(fixture.arena, point, 0, NULL), data);
            struct weir_bytes unit = canonical_field(aws->metric->head, 3).bytes;
            uint8_t head[512];
            const struct weir_cwpoint_room room = {head, head + sizeof(head)};
            support_assert_bytes(
                weir_cwpoint_metric_head_in(room, point, (struct weir_bytes){NULL, 0}, unit),
                aws->metric->head);
        }
    }
    assert_int_equal(compared, 375);
    weir_mem_free(point);
    fixture_close(&fixture);
    support_free(&body);
}

/* ---- bad/ ---- */

static void check_quarantined(const char *path, enum weir_quarantine reason, uint32_t count)
{
    struct support_blob body = support_vector(path);
    struct fixture fixture;
    struct weir_body_result result = {0};
    struct weir_body_options options = fixture_body_options();
    fixture_open_bare(&fixture, (size_t)64 << 20);
    assert_int_equal(weir_body_decode(NULL, fixture.arena, support_view(&body), &options, &result),
                     WEIR_OK);
    assert_int_equal(result.runs.points, 0);
    assert_int_equal(result.tally->quarantined[reason], count);
    assert_int_equal(result.tally->kept_count, count);
    fixture_close(&fixture);
    support_free(&body);
}

static void test_foreign_records_are_quarantined(void **state)
{
    (void)state;
    check_quarantined("bad/demo-ticker.json", WEIR_QUARANTINE_NOT_A_METRIC, 1);
    check_quarantined("bad/direct-put-demo.json", WEIR_QUARANTINE_NOT_A_METRIC, 3);
    check_quarantined("bad/cloudwatch-logs.json", WEIR_QUARANTINE_GZIP, 2);
    check_quarantined("bad/lone-0x80.json", WEIR_QUARANTINE_UNKNOWN, 1);
}

static void test_damaged_base64_is_refused(void **state)
{
    (void)state;
    struct support_blob body = support_vector("bad/damaged-base64.json");
    struct fixture fixture;
    struct weir_body_result result = {0};
    struct weir_body_options options = fixture_body_options();
    fixture_open_bare(&fixture, (size_t)64 << 20);
    assert_int_equal(weir_body_decode(NULL, fixture.arena, support_view(&body), &options, &result),
                     WEIR_EMALFORMED);
    assert_string_equal(result.error, "record 2: data is not base64");
    assert_true(
        weir_bytes_eq(result.request_id, WEIR_BYTES("605a5a16-f91b-4e20-b525-9143d3b8e831")));
    fixture_close(&fixture);
    support_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_otlp_10),
        cmocka_unit_test(test_otlp_07),
        cmocka_unit_test(test_otlp_07_zeros),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_gzip),
        cmocka_unit_test(test_json_namespaces),
        cmocka_unit_test(test_json_percentiles),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_our_bytes_are_aws_bytes),
        cmocka_unit_test(test_foreign_records_are_quarantined),
        cmocka_unit_test(test_damaged_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
