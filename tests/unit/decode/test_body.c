/* SPDX-License-Identifier: Apache-2.0 */
#include "bodies.h"
#include "fixture.h"
#include "support.h"
#include "synthetic.h"
#include "weir/base64.h"
#include "weir/crc32.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A body with one record in each format. */
static struct weir_buf build_body(void)
{
    struct weir_rand rand = support_rand(7);
    struct weir_buf body = weir_buf_grow_init(1 << 20);
    synthetic_body_begin(&body);
    for (unsigned i = 0; i < 3; i++) {
        struct weir_buf record = weir_buf_grow_init(1 << 16);
        struct synthetic_point point = synthetic_random(&rand);
        if (i == 0) {
            synthetic_json(&record, &point);
        } else {
            synthetic_otlp(&record, &point, i == 1);
        }
        bodies_record(&body, i, &record);
    }
    bodies_end(&body);
    return body;
}

struct outcome {
    struct fixture fixture;
    struct weir_inflater *inflater;
    struct weir_body_result result;
    enum weir_status status;
};

static void decode(struct outcome *outcome, struct weir_bytes body,
                   const struct weir_body_options *options, size_t budget)
{
    *outcome = (struct outcome){0};
    assert_int_equal(weir_inflater_new(&outcome->inflater), WEIR_OK);
    fixture_open_bare(&outcome->fixture, budget);
    outcome->status = weir_body_decode(outcome->inflater, outcome->fixture.arena, body, options,
                                       &outcome->result);
}

static void close_outcome(struct outcome *outcome)
{
    fixture_close(&outcome->fixture);
    weir_inflater_free(outcome->inflater);
}

static void check_three_points(const struct outcome *outcome, size_t inflated_bytes)
{
    assert_int_equal(outcome->status, WEIR_OK);
    assert_int_equal(outcome->result.runs.points, 3);
    assert_true(weir_runs_validate(&outcome->result.runs));
    assert_int_equal(outcome->result.inflated_bytes, inflated_bytes);
    assert_int_equal(outcome->result.tally->records[WEIR_RECORD_JSON], 1);
    assert_int_equal(outcome->result.tally->records[WEIR_RECORD_OTLP_07], 1);
    assert_int_equal(outcome->result.tally->records[WEIR_RECORD_OTLP_10], 1);
    assert_int_equal(outcome->result.tally->kept_count, 0);
    support_assert_bytes(outcome->result.request_id,
                         WEIR_BYTES("ed4acda5-034f-9f42-bba1-f29aea6d7d8f"));
    assert_true(outcome->result.timestamp_ms == 1578090901599);
    assert_null(outcome->result.error);
}

static void test_plain(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_buf body = build_body();
    struct weir_buf before = build_body();
    struct weir_body_options options = fixture_body_options();
    decode(&outcome, weir_buf_view(&body), &options, 1 << 22);
    check_three_points(&outcome, body.size);
    support_assert_bytes(weir_buf_view(&body), weir_buf_view(&before)); /* not changed */
    close_outcome(&outcome);
    weir_buf_done(&before);
    weir_buf_done(&body);
}

static void test_gzip_of_any_number_of_members(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_buf body = build_body();
    struct weir_body_options options = fixture_body_options();
    options.gzip = true;
    for (size_t cut = 0; cut < body.size; cut += body.size / 3) {
        struct weir_buf first = bodies_gzip(weir_bytes_of(body.data, cut));
        struct weir_buf rest = bodies_gzip(weir_bytes_of(body.data + cut, body.size - cut));
        weir_buf_put(&first, weir_buf_view(&rest));
        decode(&outcome, weir_buf_view(&first), &options, 1 << 22);
        check_three_points(&outcome, body.size);
        close_outcome(&outcome);
        weir_buf_done(&rest);
        weir_buf_done(&first);
    }
    weir_buf_done(&body);
}

/* The same content is the same number, however it was packed. */
static void test_the_content_has_one_crc(void **state)
{
    (void)state;
    const struct weir_body_options options = fixture_body_options();
    struct weir_body_options packed_options = options;
    packed_options.gzip = true;
    struct weir_buf plain = build_body();
    uint32_t crc = weir_crc32(weir_buf_view(&plain));
    struct outcome outcome;
    decode(&outcome, weir_buf_view(&plain), &options, 1 << 22);
    assert_int_equal(outcome.result.content_crc, crc);
    close_outcome(&outcome);
    static const size_t cuts[] = {0, 1, 100, SIZE_MAX};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct weir_bytes whole = weir_buf_view(&plain);
        size_t cut = cuts[i] < whole.size ? cuts[i] : whole.size;
        struct weir_buf first = bodies_gzip(weir_bytes_of(whole.data, cut));
        struct weir_buf second = bodies_gzip(weir_bytes_from(whole, cut));
        weir_buf_put(&first, weir_buf_view(&second));
        decode(&outcome, weir_buf_view(&first), &packed_options, 1 << 22);
        check_three_points(&outcome, whole.size);
        assert_int_equal(outcome.result.content_crc, crc);
        close_outcome(&outcome);
        weir_buf_done(&first);
        weir_buf_done(&second);
    }
    weir_buf_done(&plain);
}

static void check_refused(struct weir_bytes body, const struct weir_body_options *options,
                          enum weir_status status, const char *error)
{
    struct outcome outcome;
    decode(&outcome, body, options, 1 << 22);
    assert_int_equal(outcome.status, status);
    assert_non_null(outcome.result.error);
    assert_string_equal(outcome.result.error, error);
    assert_int_equal(outcome.result.runs.count, 0);
    close_outcome(&outcome);
}

static void test_not_gzip(void **state)
{
    (void)state;
    struct weir_buf body = build_body();
    struct weir_buf packed = bodies_gzip(weir_buf_view(&body));
    struct weir_body_options options = fixture_body_options();
    const char *const error = "the body is not sound gzip, though Content-Encoding says so";
    options.gzip = true;
    check_refused(weir_buf_view(&body), &options, WEIR_EMALFORMED, error);
    check_refused((struct weir_bytes){NULL, 0}, &options, WEIR_EMALFORMED, error);
    check_refused(weir_bytes_of(packed.data, packed.size - 1), &options, WEIR_EMALFORMED, error);
    packed.data[packed.size - 5] ^= 1; /* the CRC */
    check_refused(weir_buf_view(&packed), &options, WEIR_EMALFORMED, error);
    weir_buf_done(&packed);
    weir_buf_done(&body);
}

static void test_the_limit_to_the_byte(void **state)
{
    (void)state;
    struct weir_buf body = build_body();
    struct weir_buf packed = bodies_gzip(weir_buf_view(&body));
    struct weir_body_options options = fixture_body_options();
    const char *const error = "the body is larger than the limit";
    for (unsigned is_gzip = 0; is_gzip < 2; is_gzip++) {
        struct outcome outcome;
        struct weir_bytes sent = weir_buf_view(is_gzip ? &packed : &body);
        options.gzip = is_gzip == 1;
        options.body_limit = body.size;
        decode(&outcome, sent, &options, 1 << 22);
        check_three_points(&outcome, body.size);
        close_outcome(&outcome);
        options.body_limit = body.size - 1;
        check_refused(sent, &options, WEIR_ELIMIT, error);
        options.body_limit = 1;
        check_refused(sent, &options, WEIR_ELIMIT, error);
    }
    weir_buf_done(&packed);
    weir_buf_done(&body);
}

/* ISIZE lies: the room offered first is too small, and then enough. */
static void test_a_size_hint_that_lies(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_buf body = build_body();
    struct weir_buf padded = weir_buf_grow_init(1 << 20);
    memset(weir_buf_reserve(&padded, 300000), ' ', 300000);
    padded.size = 300000;
    struct weir_buf first =
        bodies_gzip(weir_buf_view(&padded)); /* its size is not in the last ISIZE */
    struct weir_buf last = bodies_gzip(weir_buf_view(&body));
    struct weir_body_options options = fixture_body_options();
    options.gzip = true;
    weir_buf_put(&first, weir_buf_view(&last));
    decode(&outcome, weir_buf_view(&first), &options, 1 << 22);
    check_three_points(&outcome, body.size + padded.size);
    close_outcome(&outcome);
    options.body_limit = 300000;
    check_refused(weir_buf_view(&first), &options, WEIR_ELIMIT,
                  "the body is larger than the limit");
    weir_buf_done(&last);
    weir_buf_done(&first);
    weir_buf_done(&padded);
    weir_buf_done(&body);
}

static void test_the_sentence_names_the_record(void **state)
{
    (void)state;
    struct weir_body_options options = fixture_body_options();
    check_refused(WEIR_BYTES("{\"records\":[{\"data\":\"\"},{\"data\":\"*\"}]}"), &options,
                  WEIR_EMALFORMED, "record 1: data is not base64");
    check_refused(WEIR_BYTES("{\"requestId\":\"x\"}"), &options, WEIR_EMALFORMED,
                  "the body has no records");
    options.limits.records = 0;
    check_refused(WEIR_BYTES("{\"records\":[{\"data\":\"\"}]}"), &options, WEIR_ELIMIT,
                  "too many records");
}

static void test_the_request_id_survives_damage(void **state)
{
    (void)state;
    struct outcome outcome;
    struct weir_body_options options = fixture_body_options();
    decode(&outcome, WEIR_BYTES("{\"requestId\":\"abc\",\"records\":[}"), &options, 1 << 22);
    assert_int_equal(outcome.status, WEIR_EMALFORMED);
    support_assert_bytes(outcome.result.request_id, WEIR_BYTES("abc"));
    assert_int_equal(outcome.result.error_offset, 30);
    close_outcome(&outcome);
}

static bool has_arn(const struct outcome *outcome, const char *arn)
{
    struct weir_bytes head = outcome->result.runs.runs[0].resource->head;
    return memmem(head.data, head.size, arn, strlen(arn)) != NULL;
}

static void check_arn(const char *source_arn, const char *expected)
{
    struct outcome outcome;
    struct weir_body_options options = fixture_body_options();
    options.source_arn = weir_bytes_str(source_arn);
    struct weir_rand rand = support_rand(7);
    struct synthetic_point point = synthetic_random(&rand);
    point.account = "111";
    point.region = "here";
    point.stream = "S";
    struct weir_buf line = weir_buf_grow_init(1 << 16);
    struct weir_buf body = weir_buf_grow_init(1 << 16);
    synthetic_json(&line, &point);
    size_t size = weir_base64_encoded_size(line.size);
    weir_buf_printf(&body, "{\"records\":[{\"data\":\"");
    weir_base64_encode(weir_buf_view(&line), weir_buf_reserve(&body, size));
    body.size += size;
    weir_buf_printf(&body, "\"}]}");
    decode(&outcome, weir_buf_view(&body), &options, 1 << 22);
    assert_int_equal(outcome.status, WEIR_OK);
    assert_true(has_arn(&outcome, expected));
    close_outcome(&outcome);
    weir_buf_done(&body);
    weir_buf_done(&line);
}

static void test_the_source_arn(void **state)
{
    (void)state;
    const char *const own = "arn:aws:cloudwatch:here:111:metric-stream/S";
    check_arn("arn:aws-us-gov:firehose:there:222:deliverystream/D",
              "arn:aws-us-gov:cloudwatch:here:222:metric-stream/S");
    check_arn("", own);
    check_arn("arn:aws:firehose:there:222", own);
    check_arn("arn:aws:firehose:there::deliverystream/D", own);
    check_arn("arn:aws:lambda:there:222:deliverystream/D", own);
    check_arn("arn:aws:firehose:there:222:stream/D", own);
    check_arn("arn:a\xffs:firehose:there:222:deliverystream/D", own);
    check_arn("nonsense", own);
}

/* Under every budget: all, or WEIR_EFULL and everything given back. */
static void test_every_budget(void **state)
{
    (void)state;
    struct weir_buf body = build_body();
    struct weir_buf packed = bodies_gzip(weir_buf_view(&body));
    struct weir_body_options options = fixture_body_options();
    unsigned full = 0;
    for (size_t budget = 0; budget < (size_t)512 << 10; budget += 8192) {
        struct outcome outcome;
        options.gzip = budget / 8192 % 2 == 0;
        decode(&outcome, weir_buf_view(options.gzip ? &packed : &body), &options, budget);
        if (outcome.status == WEIR_EFULL) {
            full++;
        } else {
            check_three_points(&outcome, body.size);
        }
        fixture_close(&outcome.fixture);
        assert_int_equal(outcome.fixture.budget_left, budget);
        weir_inflater_free(outcome.inflater);
    }
    assert_in_range(full, 5, 60);
    weir_buf_done(&packed);
    weir_buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_gzip_of_any_number_of_members),
        cmocka_unit_test(test_the_content_has_one_crc),
        cmocka_unit_test(test_not_gzip),
        cmocka_unit_test(test_the_limit_to_the_byte),
        cmocka_unit_test(test_a_size_hint_that_lies),
        cmocka_unit_test(test_the_sentence_names_the_record),
        cmocka_unit_test(test_the_request_id_survives_damage),
        cmocka_unit_test(test_the_source_arn),
        cmocka_unit_test(test_every_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
