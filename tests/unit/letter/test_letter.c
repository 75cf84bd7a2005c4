/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "guard.h"
#include "support.h"
#include "weir/letter.h"

static void assert_text(struct weir_bytes actual, const char *expected)
{
    support_assert_bytes(actual, weir_bytes_str(expected));
}

static const struct weir_letter_line full = {
    .data = WEIR_BYTES_INIT("{\"metric_name\":\"x\"}\n"),
    .destination = WEIR_BYTES_INIT("backend"),
    .reason = WEIR_BYTES_INIT("too_large"),
    .message = WEIR_BYTES_INIT("said \"no\"\nand \\ more \x01"),
    .request_id = WEIR_BYTES_INIT("ed4acda5-034f-9f42-bba1-f29aea6d7d8f"),
    .stream = WEIR_BYTES_INIT("arn:aws:firehose:eu-west-1:123456789012:deliverystream/m"),
    .attempts = 7,
    .arrival_wall_ns = INT64_C(1763766000123) * 1000000,
    .ending_wall_ns = INT64_C(1763766900456) * 1000000,
    .part = 2,
    .parts = 5,
    .gzip_body = true,
    .whole_body = true,
};

/* The line without its newline, in memory that ends where it ends. */
static struct guard written(const struct weir_letter_line *line)
{
    struct weir_buf out = weir_buf_grow_init((size_t)8 << 20);
    weir_letter_write(&out, line);
    assert_false(out.failed);
    assert_int_equal(out.size, weir_letter_size(line));
    assert_int_equal(out.data[out.size - 1], '\n');
    assert_null(memchr(out.data, '\n', out.size - 1));
    struct guard text = guard_copy(weir_bytes_of(out.data, out.size - 1));
    weir_buf_done(&out);
    return text;
}

static void test_what_was_written_is_read(void **state)
{
    (void)state;
    struct weir_letter_line read;
    const char *error = NULL;
    struct guard text = written(&full);
    assert_int_equal(weir_letter_read(text.data, text.size, &read, &error), WEIR_OK);
    support_assert_bytes(read.data, full.data);
    support_assert_bytes(read.destination, full.destination);
    support_assert_bytes(read.reason, full.reason);
    support_assert_bytes(read.message, full.message);
    support_assert_bytes(read.request_id, full.request_id);
    support_assert_bytes(read.stream, full.stream);
    assert_int_equal(read.attempts, 7);
    assert_int_equal(read.arrival_wall_ns, full.arrival_wall_ns);
    assert_int_equal(read.ending_wall_ns, full.ending_wall_ns);
    assert_int_equal(read.part, 2);
    assert_int_equal(read.parts, 5);
    assert_true(read.gzip_body);
    assert_true(read.whole_body);
    guard_free(&text);
}

static void test_every_small_size_of_data(void **state)
{
    (void)state;
    uint8_t bytes[100];
    memset(bytes, 0xfb, sizeof bytes);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct weir_letter_line line = {.data = weir_bytes_of(bytes, size), .parts = 1};
        struct weir_letter_line read;
        const char *error;
        struct guard text = written(&line);
        assert_int_equal(weir_letter_read(text.data, text.size, &read, &error), WEIR_OK);
        support_assert_bytes(read.data, line.data);
        assert_false(read.whole_body);
        guard_free(&text);
    }
}

static void test_the_line_is_what_the_page_says(void **state)
{
    (void)state;
    struct weir_letter_line line = {
        .data = WEIR_BYTES("sample rawData"),
        .destination = WEIR_BYTES("b"),
        .reason = WEIR_BYTES("refused"),
        .message = WEIR_BYTES("400"),
        .request_id = WEIR_BYTES("id"),
        .stream = WEIR_BYTES("s"),
        .attempts = 1,
        .arrival_wall_ns = 5000000,
        .ending_wall_ns = 6000000,
    };
    struct guard text = written(&line);
    assert_text(guard_view(&text),
                "{\"attemptsMade\":1,\"arrivalTimestamp\":5,\"errorCode\":\"Weir.refused\","
                "\"errorMessage\":\"400\",\"attemptEndingTimestamp\":6,"
                "\"rawData\":\"c2FtcGxlIHJhd0RhdGE=\",\"dataId\":\"id\",\"weir\":{"
                "\"destination\":\"b\",\"reason\":\"refused\",\"requestId\":\"id\",\"stream\":"
                "\"s\",\"part\":0,\"parts\":1}}");
    guard_free(&text);
}

static struct guard in_hand;

static enum weir_status read_text(const char *text, struct weir_letter_line *ret)
{
    const char *error = NULL;
    in_hand = guard_copy(weir_bytes_str(text));
    enum weir_status status = weir_letter_read(in_hand.data, in_hand.size, ret, &error);
    assert_true(status == WEIR_OK || error != NULL);
    return status;
}

/* From Amazon Data Firehose's "Understand data delivery", quotes as printed there. */
static const char aws[] =
    "{\"attemptsMade\":5,\"arrivalTimestamp\":1594265943615,\"errorCode\":"
    "\"HttpEndpoint.DestinationException\",\"errorMessage\":\"Received the following response from "
    "the endpoint destination. {\"requestId\": \"109777ac-8f9b-4082-8e8d-b4f12b5fc17b\", "
    "\"timestamp\": 1594266081268, \"errorMessage\": \"Unauthorized\"}\", "
    "\"attemptEndingTimestamp\":1594266081318,\"rawData\":\"c2FtcGxlIHJhd0RhdGE=\","
    "\"subsequenceNumber\":0,\"dataId\":\"49607357361271740811418664280693044274821622880012337186."
    "0\"}";

static void test_aws_unescaped_quotes(void **state)
{
    (void)state;
    struct weir_letter_line read;
    assert_int_equal(read_text(aws, &read), WEIR_OK);
    assert_text(read.data, "sample rawData");
    assert_text(read.reason, "HttpEndpoint.DestinationException");
    assert_text(read.request_id, "49607357361271740811418664280693044274821622880012337186.0");
    assert_text(read.message,
                "Received the following response from the endpoint destination. {'requestId': "
                "'109777ac-8f9b-4082-8e8d-b4f12b5fc17b', 'timestamp': 1594266081268, "
                "'errorMessage': 'Unauthorized'}");
    assert_int_equal(read.attempts, 5);
    assert_int_equal(read.destination.size, 0);
    assert_int_equal(read.parts, 1);
    assert_int_equal(read.ending_wall_ns / 1000000, INT64_C(1594266081318));
    guard_free(&in_hand);
}

static void test_any_order_and_unknown_fields(void **state)
{
    (void)state;
    struct weir_letter_line read;
    assert_int_equal(read_text(" {\"new\":[{\"rawData\":1}],\"weir\":{\"x\":{},\"destination\":"
                               "\"d\"},\"rawData\":\"eA==\",\"attemptsMade\":\"many\"} ",
                               &read),
                     WEIR_OK);
    assert_text(read.data, "x");
    assert_text(read.destination, "d");
    assert_int_equal(read.attempts, 0);
    guard_free(&in_hand);
    assert_int_equal(read_text("{\"rawData\":\"\"}", &read), WEIR_OK);
    assert_int_equal(read.data.size, 0);
    guard_free(&in_hand);
    assert_int_equal(read_text("{\"errorMessage\":\"a \"b\" c\",\"rawData\":\"eA==\"}", &read),
                     WEIR_OK);
    assert_text(read.message, "a 'b' c");
    guard_free(&in_hand);
    assert_int_equal(read_text("{\"rawData\":\"eA==\",\"errorMessage\":\"a \"b\" \xff\"}", &read),
                     WEIR_OK);
    assert_text(read.message, "a 'b' ?");
    guard_free(&in_hand);
}

/* A backend whose answer looks like the rest of a line. */
static void test_a_message_brings_no_data_of_its_own(void **state)
{
    (void)state;
    struct weir_letter_line read;
    assert_int_equal(read_text("{\"errorMessage\":\"no\",\"rawData\":\"ZXZpbA==\",\"dataId\":\"\","
                               "\"attemptEndingTimestamp\":1,\"rawData\":\"Z29vZA==\"}",
                               &read),
                     WEIR_EMALFORMED);
    guard_free(&in_hand);
    assert_int_equal(read_text("{\"errorMessage\":\"{\"no\",\"rawData\":\"ZXZpbA==\",\"\"\","
                               "\"attemptEndingTimestamp\":1,\"rawData\":\"Z29vZA==\"}",
                               &read),
                     WEIR_OK);
    assert_text(read.data, "good");
    guard_free(&in_hand);
}

static void test_what_is_no_line(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        "{\"rawData\":null}",
        "{\"rawData\":7}",
        "{\"rawData\":\"x\"}",
        "{\"rawData\":\"eA=\"}",
        "{\"rawData\":\"eB==\"}",
        "{\"rawData\":\"e A=\"}",
        "{\"rawData\":\"eA==\"",
        "{\"rawData\":\"eA==\"} x",
        "{\"rawData\":\"eA==\",\"rawData\":\"eA==\"}",
        "{\"rawData\":\"eA==\",\"weir\":{\"destination\":\"a\",\"destination\":\"b\"}}",
        "{\"rawData\":\"eA==\",\"weir\":{},\"weir\":{}}",
        "{\"rawData\":\"eA==\",\"weir\":{\"part\":1,\"parts\":1}}",
        "{\"rawData\":\"eA==\",\"weir\":{\"part\":3}}",
        "{\"rawData\":\"eA==\",\"weir\":{\"parts\":5000}}",
        "{\"errorMessage\":\"a \"quote\" and no end",
        "{\"errorMessage\":\"\"\",\"rawData\":\"eA==\"",
        "{\"errorMessage\":\"a\" b\"}",
        "{\"errorMessage\":",
        "{\"records\":[{\"data\":\"eA==\"}]}",
    };
    struct weir_letter_line untouched = {.attempts = 99};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (read_text(bad[i], &untouched) != WEIR_EMALFORMED) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_int_equal(untouched.attempts, 99);
        guard_free(&in_hand);
    }
}

static void test_every_cut_of_a_line_is_none(void **state)
{
    (void)state;
    struct guard whole = written(&full);
    struct weir_letter_line read;
    const char *error;
    for (size_t size = 0; size < whole.size; size++) {
        struct guard cut = guard_copy(weir_bytes_of(whole.data, size));
        assert_int_equal(weir_letter_read(cut.data, cut.size, &read, &error), WEIR_EMALFORMED);
        guard_free(&cut);
    }
    guard_free(&whole);
}

static void test_no_room_is_told(void **state)
{
    (void)state;
    uint8_t memory[200];
    struct weir_buf out = weir_buf_fixed(memory, sizeof memory);
    weir_letter_write(&out, &full);
    assert_true(out.failed);
}

static void test_many_ends_cost_little(void **state)
{
    (void)state;
    struct weir_buf text = weir_buf_grow_init((size_t)8 << 20);
    weir_buf_put(&text, WEIR_BYTES("{\"errorMessage\":\""));
    for (int i = 0; i < 50000; i++) {
        weir_buf_put(&text, WEIR_BYTES("\",\"dataId\":\""));
    }
    struct weir_letter_line read;
    const char *error;
    assert_int_equal(weir_letter_read(text.data, text.size, &read, &error), WEIR_EMALFORMED);
    weir_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_every_small_size_of_data),
        cmocka_unit_test(test_the_line_is_what_the_page_says),
        cmocka_unit_test(test_aws_unescaped_quotes),
        cmocka_unit_test(test_any_order_and_unknown_fields),
        cmocka_unit_test(test_a_message_brings_no_data_of_its_own),
        cmocka_unit_test(test_what_is_no_line),
        cmocka_unit_test(test_every_cut_of_a_line_is_none),
        cmocka_unit_test(test_no_room_is_told),
        cmocka_unit_test(test_many_ends_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
