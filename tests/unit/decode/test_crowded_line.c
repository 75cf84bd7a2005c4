/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of JSON with far more dimensions or statistics than a point has room for: it is refused
 * whole, its neighbours are not, and reading it costs about what reading as much of anything does.
 */
#include "fixture.h"
#include "support.h"
#include "weir/buf.h"
#include "weir/cwjson.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

enum { NAMES = 30000, ROUNDS = 5 };

#define MIB ((size_t)1 << 20)
#define HEAD                                                                                       \
    "{\"metric_stream_name\":\"S\",\"account_id\":\"1\",\"region\":\"r\",\"namespace\":\"N\","     \
    "\"metric_name\":\"M\",\"timestamp\":60000,\"value\":{\"count\":2,\"sum\":3,\"min\":1,"        \
    "\"max\":2"
#define LINE HEAD "}}\n"

/* A good line, the crowded one, and a good line again: `before` ends where the first of `count`
 * members belongs, `after` is what follows the last. */
static struct weir_buf three_lines(const char *before, const char *format, const char *after,
                                   unsigned count)
{
    struct weir_buf lines = weir_buf_grow_init(4 * MIB);
    weir_buf_put(&lines, WEIR_BYTES(LINE HEAD));
    weir_buf_put(&lines, weir_bytes_str(before));
    for (unsigned i = 0; i < count; i++) {
        weir_buf_put_byte(&lines, ',');
        weir_buf_put_byte(&lines, '"');
        weir_buf_put(&lines, weir_bytes_str(format));
        weir_buf_printf(&lines, "%u\":%s", i + 100000, format[0] == 'd' ? "\"v\"" : "1");
    }
    weir_buf_put(&lines, weir_bytes_str(after));
    weir_buf_put(&lines, WEIR_BYTES("\n" LINE));
    assert_false(lines.failed);
    return lines;
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Decodes the lines, which must come to so many points; 2 where the crowded one is quarantined. The
 * processor's time that took. */
static int64_t decode(struct weir_bytes lines, uint32_t points)
{
    struct fixture fixture;
    struct weir_runs runs;
    fixture_open(&fixture);
    struct weir_bytes record = fixture_copy(&fixture, lines);
    int64_t start_ns = cpu_ns();
    weir_cwjson_decode(fixture.collect, (struct weir_cwjson_context){.partition = {NULL, 0}},
                       record, 0);
    int64_t took_ns = cpu_ns() - start_ns;
    assert_int_equal(weir_collect_finish(fixture.collect, &runs), WEIR_OK);
    assert_true(weir_runs_validate(&runs));
    assert_int_equal(runs.points, points);
    assert_int_equal(fixture.collect->tally->quarantined[WEIR_QUARANTINE_JSON_VALUE], points == 2);
    fixture_close(&fixture);
    return took_ns;
}

/* The least of some rounds, so that what else the machine does is left out. */
static int64_t least_ns(struct weir_buf lines, uint32_t points)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t took_ns = decode(weir_buf_view(&lines), points);
        least = took_ns < least ? took_ns : least;
    }
    weir_buf_done(&lines);
    return least;
}

#define DIMENSIONS "},\"dimensions\":{\"d0\":\"v\""
#define ELSEWHERE  "},\"what_else_is\":{\"d0\":\"v\""

/* As many names where nobody looks at them are what is compared with. */
static void check_quick(const char *before, const char *format, const char *after)
{
    int64_t crowded_ns = least_ns(three_lines(before, format, after, NAMES), 2);
    int64_t skipped_ns = least_ns(three_lines(ELSEWHERE, format, "}}", NAMES), 3);
    assert_true(crowded_ns < 6 * skipped_ns); /* it was 13 times and more */
}

static void test_more_dimensions_than_128(void **state)
{
    (void)state;
    (void)least_ns(three_lines(DIMENSIONS, "d", "}}", 127), 3);
    (void)least_ns(three_lines(DIMENSIONS, "d", "}}", 128), 2);
    (void)least_ns(three_lines(DIMENSIONS, "d", "}}", NAMES), 2);
}

static void test_more_statistics_than_254(void **state)
{
    (void)state;
    (void)least_ns(three_lines("", "tm", "}}", 254), 3 + 254);
    (void)least_ns(three_lines("", "tm", "}}", 255), 2);
    (void)least_ns(three_lines("", "tm", "}}", NAMES), 2);
    (void)least_ns(three_lines("", "p0.", "}}", 254), 3);
    (void)least_ns(three_lines("", "p0.", "}}", 255), 2);
    (void)least_ns(three_lines("", "p0.", "}}", NAMES), 2);
}

static void test_a_crowded_line_costs_no_more_than_to_read(void **state)
{
    (void)state;
    check_quick(DIMENSIONS, "d", "}}");
    check_quick("", "tm", "}}");
    check_quick("", "p0.", "}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_dimensions_than_128),
        cmocka_unit_test(test_more_statistics_than_254),
        cmocka_unit_test(test_a_crowded_line_costs_no_more_than_to_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
