/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A metric whose data member comes in many parts, which protobuf says are one message: every point
 * is kept, in order, and joining them costs no more than they take.
 */
#include "fixture.h"
#include "support.h"
#include "weir/otlp.h"
#include "weir/pbw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SUM = 7, SUMMARY = 11, PARTS_MANY = 60000 };

#define MIB ((size_t)1 << 20)

struct outcome {
    struct fixture fixture;
    enum weir_status status;
    struct weir_runs runs;
    size_t charged; /* for decoding, the message itself not counted */
};

static void open_metric(struct weir_buf *metric)
{
    *metric = weir_buf_grow_init(4 * MIB);
    weir_pbw_bytes(metric, 1, WEIR_BYTES("n"));
}

/* A data member with one point, whose time is `number`. */
static void put_part(struct weir_buf *metric, uint32_t member, uint64_t number)
{
    uint8_t point_room[16];
    uint8_t part_room[32];
    struct weir_buf point = weir_buf_fixed(point_room, sizeof(point_room));
    struct weir_buf part = weir_buf_fixed(part_room, sizeof(part_room));
    weir_pbw_fixed64(&point, 3, number);
    weir_pbw_bytes(&part, 1, weir_buf_view(&point));
    weir_pbw_bytes(metric, member, weir_buf_view(&part));
}

/* Decodes the message around the metric, and ends the metric. */
static void decode(struct outcome *outcome, struct weir_buf *metric)
{
    assert_false(metric->failed);
    struct weir_bytes message = weir_buf_view(metric);
    static const uint32_t around[] = {2, 2, 1};
    for (size_t i = 0; i < sizeof(around) / sizeof(*around); i++) {
        struct weir_buf outer = weir_buf_grow_init(4 * MIB);
        weir_pbw_bytes(&outer, around[i], message);
        assert_false(outer.failed);
        weir_buf_done(metric);
        *metric = outer;
        message = weir_buf_view(metric);
    }
    fixture_open(&outcome->fixture);
    message = fixture_copy(&outcome->fixture, message);
    enum weir_record_format format = WEIR_RECORD_FORMATS;
    enum weir_quarantine reason = WEIR_QUARANTINE_REASONS;
    size_t before = outcome->fixture.budget_left;
    outcome->status = weir_otlp_message(outcome->fixture.collect, message, &format, &reason);
    assert_int_equal(weir_collect_finish(outcome->fixture.collect, &outcome->runs), WEIR_OK);
    outcome->charged = before - outcome->fixture.budget_left;
    assert_true(weir_runs_validate(&outcome->runs));
    weir_buf_done(metric);
}

/* `count` points, whose times count from 1. */
static void check_points(const struct outcome *outcome, uint32_t count)
{
    assert_int_equal(outcome->status, WEIR_OK);
    assert_int_equal(outcome->runs.count, 1);
    const struct weir_run *run = &outcome->runs.runs[0];
    assert_int_equal(run->count, count);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t room[16];
        struct weir_buf expected = weir_buf_fixed(room, sizeof(room));
        weir_pbw_fixed64(&expected, 3, i + 1);
        support_assert_bytes(weir_bytes_of(run->points[i].data, run->points[i].size),
                             weir_buf_view(&expected));
        assert_true(run->points[i].metric == run->points[0].metric);
    }
}

static void test_every_part_of_many_is_kept(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_buf metric;
    open_metric(&metric);
    for (uint64_t number = 1; number <= PARTS_MANY; number++) {
        put_part(&metric, SUMMARY, number);
    }
    decode(&outcome, &metric);
    check_points(&outcome, PARTS_MANY);
    fixture_close(&outcome.fixture);
}

/* It was a copy of all parts so far for each part: a quarter of a gigabyte. */
static void test_joining_costs_what_the_parts_take(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_buf metric;
    open_metric(&metric);
    for (uint64_t number = 1; number <= PARTS_MANY; number++) {
        put_part(&metric, SUMMARY, number);
    }
    decode(&outcome, &metric);
    assert_false(outcome.fixture.collect->full);
    assert_true(outcome.charged < 16 * MIB); /* 60,000 points and their descriptors */
    fixture_close(&outcome.fixture);
}

/* Empty parts, other fields and parts of the member's own head lie between. */
static void test_parts_with_gaps_between(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_buf metric;
    open_metric(&metric);
    weir_pbw_bytes(&metric, SUM, (struct weir_bytes){NULL, 0});
    put_part(&metric, SUM, 1);
    weir_pbw_bytes(&metric, 3, WEIR_BYTES("1"));          /* unit */
    weir_pbw_bytes(&metric, SUM, WEIR_BYTES("\x10\x01")); /* temporality */
    weir_pbw_bytes(&metric, SUM, (struct weir_bytes){NULL, 0});
    put_part(&metric, SUM, 2);
    weir_pbw_bytes(&metric, 15, WEIR_BYTES("unknown"));
    put_part(&metric, SUM, 3);
    weir_pbw_bytes(&metric, SUM, WEIR_BYTES("\x18\x01")); /* monotonic */
    decode(&outcome, &metric);
    check_points(&outcome, 3);
    support_assert_bytes(outcome.runs.runs[0].points[0].metric->data_head,
                         WEIR_BYTES("\x10\x01\x18\x01"));
    fixture_close(&outcome.fixture);
}

static void test_one_part_between_empty_ones(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_buf metric;
    open_metric(&metric);
    weir_pbw_bytes(&metric, SUMMARY, (struct weir_bytes){NULL, 0});
    put_part(&metric, SUMMARY, 1);
    weir_pbw_bytes(&metric, SUMMARY, (struct weir_bytes){NULL, 0});
    decode(&outcome, &metric);
    check_points(&outcome, 1);
    fixture_close(&outcome.fixture);
}

static void test_parts_of_two_kinds_are_refused(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_buf metric;
    open_metric(&metric);
    put_part(&metric, SUMMARY, 1);
    put_part(&metric, SUM, 2);
    put_part(&metric, SUMMARY, 3);
    decode(&outcome, &metric);
    assert_int_equal(outcome.status, WEIR_EMALFORMED);
    assert_int_equal(outcome.runs.points, 0);
    fixture_close(&outcome.fixture);
}

/* The first part's last field ends in the second part. */
static void test_parts_that_are_messages_only_together_are_refused(void **state)
{
    (void)state;
    static const uint8_t first[] = {0x0a, 0x02, 0x5a, 0x00, 0x2a, 0x02}; /* 2 bytes are missing */
    struct outcome outcome;
    struct weir_buf metric;
    open_metric(&metric);
    weir_pbw_bytes(&metric, SUMMARY, weir_bytes_of(first, sizeof first));
    weir_pbw_bytes(&metric, SUMMARY, WEIR_BYTES("ab"));
    decode(&outcome, &metric);
    assert_int_equal(outcome.status, WEIR_EMALFORMED);
    assert_int_equal(outcome.runs.points, 0);
    fixture_close(&outcome.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_part_of_many_is_kept),
        cmocka_unit_test(test_joining_costs_what_the_parts_take),
        cmocka_unit_test(test_parts_with_gaps_between),
        cmocka_unit_test(test_one_part_between_empty_ones),
        cmocka_unit_test(test_parts_of_two_kinds_are_refused),
        cmocka_unit_test(test_parts_that_are_messages_only_together_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
