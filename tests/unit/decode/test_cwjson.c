/* SPDX-License-Identifier: Apache-2.0 */
#include "canonical.h"
#include "fixture.h"
#include "support.h"
#include "weir/cwjson.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct outcome {
    struct fixture fixture;
    struct weir_runs runs;
    const uint32_t *quarantined;
};

static const struct weir_cwjson_context no_context;

static void decode_in(struct outcome *outcome, struct weir_cwjson_context context,
                      const char *record)
{
    fixture_open(&outcome->fixture);
    weir_cwjson_decode(outcome->fixture.collect, context,
                       fixture_copy(&outcome->fixture, weir_bytes_str(record)), 0);
    assert_int_equal(weir_collect_finish(outcome->fixture.collect, &outcome->runs), WEIR_OK);
    assert_true(weir_runs_validate(&outcome->runs));
    outcome->quarantined = outcome->fixture.collect->tally->quarantined;
}

static void decode(struct outcome *outcome, const char *record)
{
    decode_in(outcome, no_context, record);
}

/* A line with everything but `timestamp`, `value` and what comes after. */
#define HEAD                                                                                       \
    "{\"metric_stream_name\":\"S\",\"account_id\":\"1\",\"region\":\"r\",\"namespace\":\"N\","     \
    "\"metric_name\":\"M\",\"dimensions\":{},"
#define TIMED HEAD "\"timestamp\":60000,"
#define FOUR  "\"count\":2,\"sum\":3,\"min\":1,\"max\":2"
#define LINE  TIMED "\"value\":{" FOUR "},\"unit\":\"Count\"}"

static void check_quarantined(const char *record, enum weir_quarantine reason)
{
    struct outcome outcome;
    decode(&outcome, record);
    assert_int_equal(outcome.runs.points, 0);
    assert_int_equal(outcome.fixture.collect->tally->kept_count, 1);
    assert_string_equal(weir_quarantine_text(outcome.fixture.collect->tally->kept[0].reason),
                        weir_quarantine_text(reason));
    fixture_close(&outcome.fixture);
}

/* The one run's points as text, one a line. */
static void check_points(struct outcome *outcome, const char *expected)
{
    struct weir_buf text = weir_buf_grow_init(1 << 16);
    assert_int_equal(outcome->runs.count, 1);
    for (uint32_t i = 0; i < outcome->runs.points; i++) {
        canonical_put_point(&text, &outcome->runs.runs[0].points[i]);
        weir_buf_put_byte(&text, '\n');
    }
    weir_buf_put_byte(&text, '\0');
    assert_string_equal((const char *)text.data, expected);
    weir_buf_done(&text);
}

#define RESOURCE                                                                                   \
    "resource{aws.exporter.arn=arn:aws:cloudwatch:r:1:metric-stream/S;cloud.account.id=1;"         \
    "cloud.provider=aws;cloud.region=r;}\n"
#define TAIL  " dimensions{} attributes{MetricName=M;Namespace=N;} " RESOURCE
#define TIMES " start=60000000000 end=120000000000"

static void test_a_line(void **state)
{
    (void)state;
    struct outcome outcome;
    decode(&outcome, LINE "\n");
    check_points(&outcome, " name=amazonaws.com/N/M unit={Count}" TIMES
                           " count=2 sum=0x1.8p+1 q[0x0p+0:0x1p+0,0x1p+0:0x1p+1,]" TAIL);
    support_assert_bytes(outcome.runs.runs[0].name, WEIR_BYTES("N"));
    support_assert_bytes(outcome.runs.runs[0].resource->account, WEIR_BYTES("1"));
    support_assert_bytes(outcome.runs.runs[0].resource->region, WEIR_BYTES("r"));
    assert_true(outcome.runs.runs[0].newest_ns == 120000000000);
    fixture_close(&outcome.fixture);
}

static void test_percentiles_in_order(void **state)
{
    (void)state;
    struct outcome outcome;
    decode(&outcome, TIMED "\"value\":{\"p99.9\":7,\"p5\":4,\"max\":9,\"p9.5\":5,\"min\":1,"
                           "\"count\":1,\"sum\":1,\"p00.5\":3},\"unit\":\"None\"}");
    check_points(&outcome, " name=amazonaws.com/N/M unit=1" TIMES " count=1 sum=0x1p+0 q["
                           "0x0p+0:0x1p+0,0x1.47ae147ae147bp-8:0x1.8p+1,"
                           "0x1.999999999999ap-5:0x1p+2,0x1.851eb851eb852p-4:0x1.4p+2,"
                           "0x1.ff7ced916872bp-1:0x1.cp+2,0x1p+0:0x1.2p+3,]" TAIL);
    fixture_close(&outcome.fixture);
}

static void test_other_statistics_become_gauges(void **state)
{
    (void)state;
    struct outcome outcome;
    decode(&outcome, TIMED "\"value\":{" FOUR ",\"TM(25%:75%)\":1,\"tc90\":2,\"PR(:300)\":0,"
                           "\"IQM\":-1,\"p100\":5,\"p0\":6,\"p1e\":7,\"trend\":8},"
                           "\"unit\":\"Seconds\"}");
#define GAUGE(statistic, unit, value)                                                              \
    " name=amazonaws.com/N/M." statistic " unit=" unit TIMES " gauge=" value TAIL
    check_points(&outcome, " name=amazonaws.com/N/M unit=s" TIMES
                           " count=2 sum=0x1.8p+1 q[0x0p+0:0x1p+0,0x1p+0:0x1p+1,]" TAIL GAUGE(
                               "TM(25%:75%)", "s", "0x1p+0") GAUGE("tc90", "{Count}", "0x1p+1")
                               GAUGE("PR(:300)", "%", "0x0p+0") GAUGE("IQM", "s", "-0x1p+0")
                                   GAUGE("p100", "s", "0x1.4p+2") GAUGE("p0", "s", "0x1.8p+2")
                                       GAUGE("p1e", "s", "0x1.cp+2") GAUGE("trend", "s", "0x1p+3"));
    fixture_close(&outcome.fixture);
}

static void test_count_is_rounded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t count;
    } cases[] = {{"0", 0},
                 {"-0.0", 0},
                 {"0.49999999999999994", 0},
                 {"0.5", 1},
                 {"1.1728384E7", 11728384},
                 {"2.6", 3},
                 {"18446744073709549568", UINT64_C(18446744073709549568)}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outcome outcome;
        char line[512];
        struct weir_buf buf = weir_buf_fixed(line, sizeof(line));
        weir_buf_printf(&buf, "%s\"value\":{\"count\":%s,\"sum\":0,\"min\":0,\"max\":0}}", TIMED,
                        cases[i].text);
        weir_buf_put_byte(&buf, '\0');
        decode(&outcome, line);
        assert_int_equal(outcome.runs.points, 1);
        const struct weir_point *point = &outcome.runs.runs[0].points[0];
        assert_true(canonical_field(weir_bytes_of(point->data, point->size), 4).value ==
                    cases[i].count);
        fixture_close(&outcome.fixture);
    }
}

static void test_unit_and_dimensions_are_optional(void **state)
{
    (void)state;
    struct outcome outcome;
    decode(&outcome, "{\"metric_stream_name\":\"S\",\"account_id\":\"1\",\"region\":\"r\","
                     "\"namespace\":\"N\",\"metric_name\":\"M\",\"timestamp\":60000,"
                     "\"new\":{\"a\":[]},\"value\":{" FOUR "}}");
    check_points(&outcome, " name=amazonaws.com/N/M unit=1" TIMES
                           " count=2 sum=0x1.8p+1 q[0x0p+0:0x1p+0,0x1p+0:0x1p+1,]" TAIL);
    fixture_close(&outcome.fixture);
}

static void test_escapes_in_names(void **state)
{
    (void)state;
    struct outcome outcome;
    decode(&outcome, "{\"metric_stream_name\":\"S\",\"account_id\":\"1\",\"region\":\"r\","
                     "\"namespace\":\"\\u004e\",\"metric_name\":\"\\u004D\",\"timestamp\":60000,"
                     "\"dimensions\":{\"a\\/b\":\"\\\"\"},\"value\":{" FOUR "}}\n" LINE);
    assert_int_equal(outcome.runs.count, 1);
    assert_int_equal(outcome.runs.points, 2);
    /* "None" and "Count": two metrics of the same name */
    assert_ptr_not_equal(outcome.runs.runs[0].points[0].metric,
                         outcome.runs.runs[0].points[1].metric);
    fixture_close(&outcome.fixture);
}

static void test_the_header_names_the_exporter(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_cwjson_context context = {WEIR_BYTES("aws-cn"), WEIR_BYTES("999")};
    struct weir_buf text = weir_buf_grow_init(1 << 16);
    decode_in(&outcome, context, LINE);
    canonical_put_point(&text, &outcome.runs.runs[0].points[0]);
    weir_buf_put_byte(&text, '\0');
    assert_non_null(strstr((const char *)text.data,
                           "arn:aws-cn:cloudwatch:r:999:metric-stream/S;cloud.account.id=1;"));
    weir_buf_done(&text);
    fixture_close(&outcome.fixture);
}

static void test_one_metric_for_all_lines_of_it(void **state)
{
    (void)state;
    struct outcome outcome;
    decode(&outcome, LINE "\n\r\n  \n" LINE "\n" LINE "\r\n");
    assert_int_equal(outcome.runs.points, 3);
    const struct weir_point *points = outcome.runs.runs[0].points;
    assert_ptr_equal(points[0].metric, points[2].metric);
    assert_int_equal(outcome.fixture.collect->tally->kept_count, 0);
    fixture_close(&outcome.fixture);
}

static void test_a_bad_line_leaves_its_neighbours(void **state)
{
    (void)state;
    struct outcome outcome;
    decode(&outcome, LINE "\nnot JSON\n" LINE "\n{\"TICKER\":\"QXZ\"}\n{\"value\":1}\n" LINE);
    assert_int_equal(outcome.runs.points, 3);
    assert_int_equal(outcome.quarantined[WEIR_QUARANTINE_JSON_LINE], 1);
    assert_int_equal(outcome.quarantined[WEIR_QUARANTINE_NOT_A_METRIC], 1);
    assert_int_equal(outcome.quarantined[WEIR_QUARANTINE_JSON_VALUE], 1);
    support_assert_bytes(outcome.fixture.collect->tally->kept[0].whole, WEIR_BYTES("not JSON"));
    fixture_close(&outcome.fixture);
}

static void test_not_json(void **state)
{
    (void)state;
    check_quarantined("{", WEIR_QUARANTINE_JSON_LINE);
    check_quarantined(LINE LINE, WEIR_QUARANTINE_JSON_LINE);
    check_quarantined(LINE ",", WEIR_QUARANTINE_JSON_LINE);
    check_quarantined(TIMED "\"value\":{" FOUR ",\"p99\":NaN}}", WEIR_QUARANTINE_JSON_LINE);
    check_quarantined(TIMED "\"value\":{" FOUR ",\"p99\":01}}", WEIR_QUARANTINE_JSON_LINE);
    check_quarantined(TIMED "\"value\":{" FOUR "},\"unit\":\"\xff\"}", WEIR_QUARANTINE_JSON_LINE);
}

static void test_no_metric(void **state)
{
    (void)state;
    check_quarantined("{}", WEIR_QUARANTINE_NOT_A_METRIC);
    check_quarantined("[]", WEIR_QUARANTINE_NOT_A_METRIC);
    check_quarantined("17", WEIR_QUARANTINE_NOT_A_METRIC);
    check_quarantined("{\"CHANGE\":-0.36,\"PRICE\":186.5,\"TICKER_SYMBOL\":\"QAZ\"}",
                      WEIR_QUARANTINE_NOT_A_METRIC);
}

static void test_missing_values(void **state)
{
    (void)state;
    check_quarantined("{\"namespace\":\"N\"}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"unit\":\"Count\"}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(HEAD "\"value\":{" FOUR "}}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{\"count\":1,\"sum\":1,\"min\":1}}",
                      WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{}}", WEIR_QUARANTINE_JSON_VALUE);
}

static void test_mistyped_values(void **state)
{
    (void)state;
    check_quarantined(TIMED "\"value\":7}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{" FOUR ",\"p99\":\"1\"}}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{" FOUR ",\"x\":null}}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{" FOUR "},\"unit\":1}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(HEAD "\"timestamp\":\"60000\",\"value\":{" FOUR "}}",
                      WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined("{\"metric_stream_name\":\"S\",\"account_id\":1,\"region\":\"r\","
                      "\"namespace\":\"N\",\"metric_name\":\"M\",\"dimensions\":{},"
                      "\"timestamp\":60000,\"value\":{" FOUR "}}",
                      WEIR_QUARANTINE_JSON_VALUE);
}

static void test_values_twice(void **state)
{
    (void)state;
    check_quarantined(TIMED "\"value\":{" FOUR "},\"value\":{" FOUR "}}",
                      WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{" FOUR ",\"sum\":3}}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{" FOUR ",\"p9\":1,\"p9.0\":2}}",
                      WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{" FOUR ",\"IQM\":1,\"IQM\":1}}",
                      WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(
        "{\"metric_stream_name\":\"S\",\"account_id\":\"1\",\"region\":\"r\","
        "\"namespace\":\"N\",\"metric_name\":\"M\","
        "\"dimensions\":{\"a\":\"1\",\"a\":\"2\"},\"timestamp\":60000,\"value\":{" FOUR "}}",
        WEIR_QUARANTINE_JSON_VALUE);
}

static void test_impossible_values(void **state)
{
    (void)state;
    check_quarantined(HEAD "\"timestamp\":-1,\"value\":{" FOUR "}}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(HEAD "\"timestamp\":0.5,\"value\":{" FOUR "}}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(HEAD "\"timestamp\":9e18,\"value\":{" FOUR "}}", WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{\"count\":-1,\"sum\":1,\"min\":1,\"max\":1}}",
                      WEIR_QUARANTINE_JSON_VALUE);
    check_quarantined(TIMED "\"value\":{\"count\":18446744073709551616,\"sum\":1,\"min\":1,"
                            "\"max\":1}}",
                      WEIR_QUARANTINE_JSON_VALUE);
}

/* More of something than a point has room for: refused whole, at exactly the limit. */
static void check_many(const char *format, unsigned fits, bool in_value)
{
    for (unsigned count = fits; count <= fits + 1; count++) {
        struct outcome outcome;
        struct weir_buf line = weir_buf_grow_init(1 << 16);
        weir_buf_put(&line, WEIR_BYTES("{\"metric_stream_name\":\"S\",\"account_id\":\"1\","
                                       "\"region\":\"r\",\"namespace\":\"N\",\"metric_name\":\"M\","
                                       "\"timestamp\":0,"));
        weir_buf_printf(&line, in_value ? "\"value\":{" FOUR
                                        : "\"value\":{" FOUR "},\"dimensions\":{\"0\":\"\"");
        for (unsigned i = in_value ? 0 : 1; i < count; i++) {
            weir_buf_put_byte(&line, ',');
            weir_buf_put_byte(&line, '"');
            weir_buf_printf(&line, "%s%u\":%s", format, i + 100, in_value ? "1" : "\"x\"");
        }
        weir_buf_put(&line, WEIR_BYTES("}}"));
        weir_buf_put_byte(&line, '\0');
        decode(&outcome, (const char *)line.data);
        assert_int_equal(outcome.quarantined[WEIR_QUARANTINE_JSON_VALUE], count > fits);
        assert_int_equal(outcome.runs.points == 0, count > fits);
        fixture_close(&outcome.fixture);
        weir_buf_done(&line);
    }
}

static void test_limits(void **state)
{
    (void)state;
    check_many("d", 128, false);
    check_many("tm", 254, true);
    check_many("p0.", 254, true);
}

static void test_a_full_arena_is_no_quarantine(void **state)
{
    (void)state;
    for (size_t budget = 0; budget < (size_t)400 << 10; budget += 4096) {
        struct fixture fixture;
        fixture_open_bare(&fixture, budget);
        struct weir_collect *collect = weir_collect_new(fixture.arena);
        char text[8 * sizeof(LINE)];
        struct weir_buf record = weir_buf_fixed(text, sizeof(text));
        weir_buf_put(&record, WEIR_BYTES(LINE "\n" LINE "\n" LINE "\n"));
        if (collect != NULL) {
            weir_cwjson_decode(collect, no_context, weir_buf_view(&record), 0);
            assert_int_equal(collect->tally->kept_count, 0);
            assert_true(collect->full || collect->points == 3);
        }
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line),
        cmocka_unit_test(test_percentiles_in_order),
        cmocka_unit_test(test_other_statistics_become_gauges),
        cmocka_unit_test(test_count_is_rounded),
        cmocka_unit_test(test_unit_and_dimensions_are_optional),
        cmocka_unit_test(test_escapes_in_names),
        cmocka_unit_test(test_the_header_names_the_exporter),
        cmocka_unit_test(test_one_metric_for_all_lines_of_it),
        cmocka_unit_test(test_a_bad_line_leaves_its_neighbours),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_no_metric),
        cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_mistyped_values),
        cmocka_unit_test(test_values_twice),
        cmocka_unit_test(test_impossible_values),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_full_arena_is_no_quarantine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
