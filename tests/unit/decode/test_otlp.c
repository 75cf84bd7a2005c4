/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "support.h"
#include "synthetic.h"
#include "weir/otlp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* Messages under construction, built inside out, in memory that each test begins anew. */
static uint8_t scratch[1 << 16];
static size_t scratch_used;

static int clear_scratch(void **state)
{
    (void)state;
    scratch_used = 0;
    return 0;
}

static struct weir_buf take(size_t size)
{
    assert_true(size <= sizeof(scratch) - scratch_used);
    struct weir_buf buf = weir_buf_fixed(scratch + scratch_used, size);
    scratch_used += size;
    return buf;
}

/* `inner` as the field `number`. */
static struct weir_bytes in(uint32_t number, struct weir_bytes inner)
{
    struct weir_buf buf = take(weir_pbw_bytes_size(number, inner.size));
    weir_pbw_bytes(&buf, number, inner);
    assert_false(buf.failed);
    return weir_buf_view(&buf);
}

static struct weir_bytes join(struct weir_bytes a, struct weir_bytes b)
{
    struct weir_buf buf = take(a.size + b.size);
    weir_buf_put(&buf, a);
    weir_buf_put(&buf, b);
    assert_false(buf.failed);
    return weir_buf_view(&buf);
}

#define NAME WEIR_BYTES("\x0a\x01n")
#define NAMESPACE                                                                                  \
    WEIR_BYTES("\x3a\x12\x0a\x09Namespace\x12\x05\x0a\x03"                                         \
               "EC2")
#define LABEL                                                                                      \
    WEIR_BYTES("\x0a\x10\x0a\x09Namespace\x12\x03"                                                 \
               "EC2")
#define TIME WEIR_BYTES("\x19\x05\0\0\0\0\0\0\0")

/* The message around a Metric, and around one data point of a Summary. */
static struct weir_bytes message_of(struct weir_bytes metric)
{
    return in(1, in(2, in(2, metric)));
}

static struct weir_bytes summary_of(struct weir_bytes point)
{
    return message_of(join(NAME, in(11, in(1, point))));
}

struct outcome {
    struct fixture fixture;
    enum weir_status status;
    enum weir_record_format format;
    enum weir_quarantine reason;
    struct weir_runs runs;
};

static void decode(struct outcome *outcome, struct weir_bytes message)
{
    fixture_open(&outcome->fixture);
    outcome->format = WEIR_RECORD_FORMATS;
    outcome->reason = WEIR_QUARANTINE_REASONS;
    outcome->status =
        weir_otlp_message(outcome->fixture.collect, fixture_copy(&outcome->fixture, message),
                          &outcome->format, &outcome->reason);
    assert_int_equal(weir_collect_finish(outcome->fixture.collect, &outcome->runs), WEIR_OK);
    assert_true(weir_runs_validate(&outcome->runs));
    assert_true(outcome->status == WEIR_OK || outcome->runs.points == 0);
}

static void check_refused(struct weir_bytes message, enum weir_quarantine reason)
{
    struct outcome outcome;
    decode(&outcome, message);
    assert_int_equal(outcome.status, WEIR_EMALFORMED);
    assert_int_equal(outcome.reason, reason);
    assert_int_equal(outcome.format, WEIR_RECORD_FORMATS); /* untouched */
    fixture_close(&outcome.fixture);
}

static void test_a_10_point_is_kept_as_it_is(void **state)
{
    (void)state;
    struct outcome outcome;
    /* odd order and an unknown field: not our business */
    struct weir_bytes data = join(join(NAMESPACE, WEIR_BYTES("\xf8\x07\x01")), TIME);
    decode(&outcome, summary_of(data));
    assert_int_equal(outcome.status, WEIR_OK);
    assert_int_equal(outcome.format, WEIR_RECORD_OTLP_10);
    assert_int_equal(outcome.runs.points, 1);
    const struct weir_run *run = &outcome.runs.runs[0];
    support_assert_bytes(weir_bytes_of(run->points[0].data, run->points[0].size), data);
    support_assert_bytes(run->name, WEIR_BYTES("EC2"));
    support_assert_bytes(run->points[0].metric->head, NAME);
    assert_true(run->newest_ns == 5);
    fixture_close(&outcome.fixture);
}

static void test_a_point_without_attributes_is_10(void **state)
{
    (void)state;
    struct outcome outcome;
    decode(&outcome, summary_of((struct weir_bytes){NULL, 0}));
    assert_int_equal(outcome.status, WEIR_OK);
    assert_int_equal(outcome.format, WEIR_RECORD_OTLP_10);
    assert_int_equal(outcome.runs.runs[0].name.size, 0);
    fixture_close(&outcome.fixture);
}

static void test_07_labels_become_attributes(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_bytes data = join(join(WEIR_BYTES("\x0a\x06\x0a\x01k\x12\x01v"), LABEL),
                                  join(LABEL, join(TIME, WEIR_BYTES("\x40\x01\xf8\x07\x01"))));
    decode(&outcome, summary_of(data));
    assert_int_equal(outcome.status, WEIR_OK);
    assert_int_equal(outcome.format, WEIR_RECORD_OTLP_07);
    const struct weir_point *point = &outcome.runs.runs[0].points[0];
    /* no MetricName; the second Namespace is a dimension; flags and field 127 at the end */
    support_assert_bytes(
        weir_bytes_of(point->data, point->size),
        join(join(TIME, NAMESPACE), WEIR_BYTES("\x3a\x2e\x0a\x0a"
                                               "Dimensions"
                                               "\x12\x20\x32\x1e"
                                               "\x0a\x08\x0a\x01k\x12\x03\x0a\x01v"
                                               "\x0a\x12\x0a\x09Namespace\x12\x05\x0a\x03"
                                               "EC2"
                                               "\x40\x01\xf8\x07\x01")));
    support_assert_bytes(outcome.runs.runs[0].name, WEIR_BYTES("EC2"));
    fixture_close(&outcome.fixture);
}

static void test_both_versions_in_one_point(void **state)
{
    (void)state;
    check_refused(summary_of(join(LABEL, NAMESPACE)), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(summary_of(join(NAMESPACE, LABEL)), WEIR_QUARANTINE_OTLP_MESSAGE);
}

static void test_types_that_cloudwatch_never_sends(void **state)
{
    (void)state;
    struct weir_bytes labelled = in(1, LABEL);
    check_refused(message_of(in(5, labelled)), WEIR_QUARANTINE_OTLP_TYPE);
    check_refused(message_of(in(7, labelled)), WEIR_QUARANTINE_OTLP_TYPE);
    check_refused(message_of(in(9, labelled)), WEIR_QUARANTINE_OTLP_TYPE);
    check_refused(message_of(in(4, labelled)), WEIR_QUARANTINE_OTLP_TYPE);
    check_refused(message_of(in(6, labelled)), WEIR_QUARANTINE_OTLP_TYPE);
    check_refused(message_of(in(8, labelled)), WEIR_QUARANTINE_OTLP_TYPE);
}

static void test_every_10_type_passes(void **state)
{
    (void)state;
    const uint32_t numbers[] = {5, 7, 9, 10, 11};
    const char *const attributes[] = {"\x3a\x00", "\x3a\x00", "\x4a\x00", "\x0a\x00", "\x3a\x00"};
    for (size_t i = 0; i < 5; i++) {
        struct outcome outcome;
        struct weir_bytes data = weir_bytes_of(attributes[i], 2);
        decode(&outcome, message_of(in(numbers[i], in(1, data))));
        assert_int_equal(outcome.status, WEIR_OK);
        assert_int_equal(outcome.format, WEIR_RECORD_OTLP_10);
        assert_int_equal(outcome.runs.runs[0].points[0].metric->data, numbers[i]);
        fixture_close(&outcome.fixture);
    }
}

static void test_heads_are_joined_around_children(void **state)
{
    (void)state;
    struct outcome outcome;
    /* Sum { temporality, point, monotonic } in Metric { name, sum, unit } */
    struct weir_bytes data =
        join(join(WEIR_BYTES("\x10\x01"), in(1, TIME)), WEIR_BYTES("\x18\x01"));
    struct weir_bytes metric = join(join(NAME, in(7, data)), WEIR_BYTES("\x1a\x01u"));
    decode(&outcome, message_of(metric));
    assert_int_equal(outcome.status, WEIR_OK);
    const struct weir_metric *interned = outcome.runs.runs[0].points[0].metric;
    support_assert_bytes(interned->head, WEIR_BYTES("\x0a\x01n\x1a\x01u"));
    support_assert_bytes(interned->data_head, WEIR_BYTES("\x10\x01\x18\x01"));
    fixture_close(&outcome.fixture);
}

static void test_data_twice(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_bytes one = in(11, in(1, TIME));
    decode(&outcome, message_of(join(one, one)));
    assert_int_equal(outcome.status, WEIR_OK);
    assert_int_equal(outcome.runs.points, 2);
    fixture_close(&outcome.fixture);
    check_refused(message_of(join(one, in(5, in(1, TIME)))), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(message_of(join(one, WEIR_BYTES("\x2a\x00"))), WEIR_QUARANTINE_OTLP_MESSAGE);
}

static void test_account_and_region(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_rand rand = support_rand(1);
    struct synthetic_point point = synthetic_random(&rand);
    struct weir_buf record = weir_buf_grow_init(1 << 16);
    synthetic_otlp(&record, &point, false);
    struct weir_cursor cursor = weir_cursor_of(weir_buf_view(&record));
    (void)weir_pb_varint(&cursor);
    decode(&outcome, weir_bytes_of(cursor.position, weir_cursor_left(&cursor)));
    const struct weir_resource *resource = outcome.runs.runs[0].resource;
    support_assert_bytes(resource->account, weir_bytes_str(point.account));
    support_assert_bytes(resource->region, weir_bytes_str(point.region));
    fixture_close(&outcome.fixture);
    weir_buf_done(&record);
}

static void test_without_points(void **state)
{
    (void)state;
    struct outcome outcome;
    check_refused(message_of(NAME), WEIR_QUARANTINE_OTLP_NO_POINTS);
    check_refused(message_of(WEIR_BYTES("\x5a\x00")), WEIR_QUARANTINE_OTLP_NO_POINTS);
    check_refused(WEIR_BYTES("\x0a\x00"), WEIR_QUARANTINE_OTLP_NO_POINTS);
    check_refused(WEIR_BYTES("\x10\x01"), WEIR_QUARANTINE_OTLP_NO_POINTS); /* unknown only */
    decode(&outcome, (struct weir_bytes){NULL, 0});
    assert_int_equal(outcome.status, WEIR_OK);
    fixture_close(&outcome.fixture);
}

static void test_damage_at_each_level(void **state)
{
    (void)state;
    struct weir_bytes cut = WEIR_BYTES("\x0a\x05");
    check_refused(cut, WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(in(1, cut), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(in(1, in(2, cut)), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(message_of(cut), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(message_of(in(11, cut)), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(summary_of(cut), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(summary_of(in(1, cut)), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(summary_of(WEIR_BYTES("\x08\x01")), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(WEIR_BYTES("\x08\x01"), WEIR_QUARANTINE_OTLP_MESSAGE);
    check_refused(summary_of(WEIR_BYTES("\x3a\x07\x12\x05\x0a\x03\xed\xa0\x80")),
                  WEIR_QUARANTINE_OTLP_MESSAGE); /* a surrogate in an attribute */
}

static void test_too_many_labels(void **state)
{
    (void)state;
    struct weir_buf data = take(129 * 8);
    for (unsigned i = 0; i < 129; i++) {
        weir_buf_put(&data, WEIR_BYTES("\x0a\x06\x0a\x01k\x12\x01v"));
    }
    struct outcome outcome;
    decode(&outcome, summary_of(weir_bytes_of(data.data, 128 * 8)));
    assert_int_equal(outcome.runs.points, 1);
    fixture_close(&outcome.fixture);
    check_refused(summary_of(weir_buf_view(&data)), WEIR_QUARANTINE_OTLP_MESSAGE);
}

/* ---- records ---- */

struct frames {
    struct fixture fixture;
    enum weir_record_format format;
};

static const uint32_t *decode_record(struct frames *frames, struct weir_bytes record)
{
    fixture_open(&frames->fixture);
    frames->format =
        weir_otlp_decode(frames->fixture.collect, fixture_copy(&frames->fixture, record), 3);
    return frames->fixture.collect->tally->quarantined;
}

static void test_frames(void **state)
{
    (void)state;
    struct frames frames;
    struct weir_bytes message = summary_of(TIME);
    uint8_t length = (uint8_t)message.size;
    struct weir_bytes sound = join(weir_bytes_of(&length, 1), message);
    struct weir_bytes damaged = WEIR_BYTES("\x02\x0a\x05");
    const uint32_t *quarantined =
        decode_record(&frames, join(join(join(sound, WEIR_BYTES("\0")), damaged),
                                    join(sound, WEIR_BYTES("\x7f\x0a\x01"))));
    assert_int_equal(frames.format, WEIR_RECORD_OTLP_10);
    assert_int_equal(frames.fixture.collect->points, 2);
    assert_int_equal(quarantined[WEIR_QUARANTINE_OTLP_MESSAGE], 1);
    assert_int_equal(quarantined[WEIR_QUARANTINE_OTLP_FRAME], 1);
    assert_int_equal(frames.fixture.collect->tally->kept_count, 2);
    support_assert_bytes(frames.fixture.collect->tally->kept[0].whole, WEIR_BYTES("\x0a\x05"));
    support_assert_bytes(frames.fixture.collect->tally->kept[1].whole, WEIR_BYTES("\x7f\x0a\x01"));
    assert_int_equal(frames.fixture.collect->tally->kept[1].record, 3);
    fixture_close(&frames.fixture);
}

static void check_unknown(struct weir_bytes record)
{
    struct frames frames;
    const uint32_t *quarantined = decode_record(&frames, record);
    assert_int_equal(frames.format, WEIR_RECORD_UNKNOWN);
    assert_int_equal(quarantined[WEIR_QUARANTINE_UNKNOWN], 1);
    assert_int_equal(frames.fixture.collect->tally->kept_count, 1);
    fixture_close(&frames.fixture);
}

static void test_what_does_not_begin_like_a_message(void **state)
{
    (void)state;
    check_unknown(WEIR_BYTES("\x80"));
    check_unknown(WEIR_BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0a"));
    check_unknown(WEIR_BYTES("an Apache log line"));
    check_unknown(WEIR_BYTES("\x05"));
}

static void test_a_length_that_wraps(void **state)
{
    (void)state;
    struct frames frames;
    const uint32_t *quarantined =
        decode_record(&frames, WEIR_BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0a"));
    assert_int_equal(quarantined[WEIR_QUARANTINE_OTLP_FRAME], 1);
    fixture_close(&frames.fixture);
}

/* A message as small as one of AWS's layout can be, its namespace empty, behind a page that nobody
 * may touch: the collector's wide reads do not begin before it. */
static void test_nothing_before_a_message_is_read(void **state)
{
    (void)state;
    struct weir_bytes attributes = join(WEIR_BYTES("\x3a\x0f\x0a\x09Namespace\x12\x02\x0a\0"),
                                        join(WEIR_BYTES("\x3a\x10\x0a\x0aMetricName\x12\x02\x0a\0"),
                                             WEIR_BYTES("\x3a\x10\x0a\x0a"
                                                        "Dimensions\x12\x02\x32\0")));
    struct weir_bytes message =
        message_of(join(WEIR_BYTES("\x0a\0\x1a\0"), in(11, in(1, attributes))));
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages =
        mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages, page, PROT_NONE), 0);
    memcpy(pages + page, message.data, message.size);
    message.data = pages + page;
    struct outcome outcome;
    fixture_open(&outcome.fixture);
    assert_int_equal(
        weir_otlp_message(outcome.fixture.collect, message, &outcome.format, &outcome.reason),
        WEIR_OK);
    assert_int_equal(weir_collect_finish(outcome.fixture.collect, &outcome.runs), WEIR_OK);
    assert_int_equal(outcome.runs.points, 1);
    assert_int_equal(outcome.runs.runs[0].name.size, 0);
    fixture_close(&outcome.fixture);
    assert_int_equal(munmap(pages, 2 * page), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_10_point_is_kept_as_it_is, clear_scratch),
        cmocka_unit_test_setup(test_a_point_without_attributes_is_10, clear_scratch),
        cmocka_unit_test_setup(test_07_labels_become_attributes, clear_scratch),
        cmocka_unit_test_setup(test_both_versions_in_one_point, clear_scratch),
        cmocka_unit_test_setup(test_types_that_cloudwatch_never_sends, clear_scratch),
        cmocka_unit_test_setup(test_every_10_type_passes, clear_scratch),
        cmocka_unit_test_setup(test_heads_are_joined_around_children, clear_scratch),
        cmocka_unit_test_setup(test_data_twice, clear_scratch),
        cmocka_unit_test_setup(test_account_and_region, clear_scratch),
        cmocka_unit_test_setup(test_without_points, clear_scratch),
        cmocka_unit_test_setup(test_damage_at_each_level, clear_scratch),
        cmocka_unit_test_setup(test_too_many_labels, clear_scratch),
        cmocka_unit_test_setup(test_frames, clear_scratch),
        cmocka_unit_test_setup(test_what_does_not_begin_like_a_message, clear_scratch),
        cmocka_unit_test_setup(test_a_length_that_wraps, clear_scratch),
        cmocka_unit_test_setup(test_nothing_before_a_message_is_read, clear_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
