/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "support.h"
#include "synthetic.h"
#include "weir/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct weir_cwjson_context context = {WEIR_BYTES_INIT("aws"), {NULL, 0}};

#define SNIFF(literal) weir_record_sniff(WEIR_BYTES(literal))

static void test_sniffing(void **state)
{
    (void)state;
    assert_int_equal(SNIFF(""), WEIR_RECORD_EMPTY);
    assert_int_equal(SNIFF("{\"metric_stream_name\""), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF("{"), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF("{ \n"), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF("\x1f\x8b\x08"), WEIR_RECORD_UNKNOWN);
    assert_int_equal(SNIFF("\x1f"), WEIR_RECORD_OTLP_10);
    assert_int_equal(SNIFF("\x05\x0a\x03"), WEIR_RECORD_OTLP_10);
    assert_int_equal(SNIFF("plain text"), WEIR_RECORD_OTLP_10);
    assert_int_equal(SNIFF("[{}]"), WEIR_RECORD_OTLP_10);
}

/* A message of 123 bytes begins with the byte that is `{`. */
static void test_a_message_of_123_bytes(void **state)
{
    (void)state;
    assert_int_equal(SNIFF("{\x0a\x79"), WEIR_RECORD_OTLP_10);
}

/* So may messages of 9, 10, 13 and 32 bytes begin with white space. */
static void test_white_space_in_front(void **state)
{
    (void)state;
    assert_int_equal(SNIFF("\n{\"a\""), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF("\n\n{\"a\":1}"), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF("\r\n{\"a\":1234567890}"), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF("  \t{"), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF("\n"), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF(" \r\n"), WEIR_RECORD_JSON);
    assert_int_equal(SNIFF("\x0a\x0a\x08........"), WEIR_RECORD_OTLP_10);
    assert_int_equal(SNIFF("\x09\x0a\x07......."), WEIR_RECORD_OTLP_10);
    assert_int_equal(SNIFF(" text"), WEIR_RECORD_OTLP_10);
}

static void test_each_record_is_counted_by_its_format(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_rand rand = support_rand(1);
    struct synthetic_point point = synthetic_random(&rand);
    struct weir_buf buf = weir_buf_grow_init(1 << 16);
    fixture_open(&fixture);
    const uint32_t *records = fixture.collect->tally->records;
    for (unsigned i = 0; i < 3; i++) {
        buf.size = 0;
        if (i == 0) {
            synthetic_json(&buf, &point);
        } else {
            synthetic_otlp(&buf, &point, i == 1);
        }
        weir_record_decode(fixture.collect, context, fixture_copy(&fixture, weir_buf_view(&buf)),
                           i);
    }
    weir_record_decode(fixture.collect, context, (struct weir_bytes){NULL, 0}, 3);
    weir_record_decode(fixture.collect, context, WEIR_BYTES("\x1f\x8b\x08"), 4);
    weir_record_decode(fixture.collect, context, WEIR_BYTES("hello, world"), 5);
    assert_int_equal(records[WEIR_RECORD_JSON], 1);
    assert_int_equal(records[WEIR_RECORD_OTLP_07], 1);
    assert_int_equal(records[WEIR_RECORD_OTLP_10], 1);
    assert_int_equal(records[WEIR_RECORD_EMPTY], 1);
    assert_int_equal(records[WEIR_RECORD_UNKNOWN], 2);
    assert_int_equal(fixture.collect->points, 3);
    assert_int_equal(fixture.collect->tally->quarantined[WEIR_QUARANTINE_GZIP], 1);
    assert_int_equal(fixture.collect->tally->quarantined[WEIR_QUARANTINE_UNKNOWN], 1);
    assert_int_equal(fixture.collect->tally->kept[0].record, 4);
    fixture_close(&fixture);
    weir_buf_done(&buf);
}

/* Nothing but empty messages: no metric in it, and it must not vanish without a word. */
static void test_a_record_of_empty_messages_is_quarantined(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    static const uint8_t zeros[50];
    weir_record_decode(fixture.collect, context, weir_bytes_of(zeros, sizeof(zeros)), 3);
    const struct weir_tally *tally = fixture.collect->tally;
    assert_int_equal(tally->quarantined[WEIR_QUARANTINE_OTLP_NO_POINTS], 1);
    assert_int_equal(tally->kept[0].record, 3);
    assert_int_equal(tally->kept[0].whole.size, sizeof(zeros));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sniffing),
        cmocka_unit_test(test_a_message_of_123_bytes),
        cmocka_unit_test(test_white_space_in_front),
        cmocka_unit_test(test_each_record_is_counted_by_its_format),
        cmocka_unit_test(test_a_record_of_empty_messages_is_quarantined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
