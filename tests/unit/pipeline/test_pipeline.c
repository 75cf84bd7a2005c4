/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/pipeline.h"

#include "flow.h"
#include "weir/buf.h"
#include "weir/expo.h"
#include "weir/gzip.h"

struct fixture {
    struct flow flow;
    struct weir_worker *worker;
    struct weir_submission submission;
    struct weir_answer answer;
    uint32_t answers;
};

static struct fixture fixture;

static void on_answered(struct weir_submission *submission, const struct weir_answer *answer)
{
    assert_ptr_equal(submission, &fixture.submission);
    fixture.answer = *answer;
    fixture.answers++;
}

static void begin(struct flow_options options)
{
    fixture.answers = 0;
    flow_start(&fixture.flow, options);
    assert_int_equal(
        weir_worker_new(fixture.flow.pipeline, (struct weir_home){.post = NULL}, &fixture.worker),
        WEIR_OK);
}

static void end(void)
{
    weir_worker_free(fixture.worker);
    flow_stop(&fixture.flow);
}

/* Sends a body, gzip or not as its first byte says, and returns the answer's code; 0 when there is
 * none yet. */
static int submit(struct weir_bytes body, const char *request_id)
{
    fixture.answer.code = 0;
    fixture.submission = (struct weir_submission){.request_id = weir_bytes_str(request_id),
                                                  .answered = on_answered,
                                                  .received_ns = 1,
                                                  .gzip = body.size > 0 && body.data[0] == 0x1F,
                                                  .targets = WEIR_TARGETS_ALL};
    weir_intake_init(&fixture.submission.intake, &fixture.flow.intake, fixture.flow.regions,
                     (size_t)16 << 20);
    assert_int_equal(weir_intake_append(&fixture.submission.intake, body), WEIR_OK);
    weir_pipeline_submit(fixture.worker, &fixture.submission);
    return fixture.answer.code;
}

static int submit_record(const char *record)
{
    struct weir_bytes body = flow_body("id-1", record);
    int code = submit(body, "id-1");
    weir_mem_free((void *)(uintptr_t)body.data);
    return code;
}

static void test_a_good_body_is_published_and_answered_once(void **state)
{
    (void)state;
    begin((struct flow_options){0});
    assert_int_equal(submit_record(FLOW_LINE("AWS/EC2", "A") "\n" FLOW_LINE("AWS/EBS", "B") "\n"),
                     200);
    assert_int_equal(fixture.answers, 1);
    assert_int_equal(fixture.answer.message[0], 0);
    assert_int_equal(weir_credit_used(&fixture.flow.intake), 0);
    assert_int_equal(flow_drain(&fixture.flow), 2);
    struct weir_bytes label = WEIR_BYTES("AWS/EC2");
    assert_true(weir_expo_value(weir_metrics_series(WEIR_M_POINTS_RECEIVED, &label)) >= 1);
    end();
}

static void test_a_damaged_body_publishes_nothing(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",
        "x",
        "{}",
        "[]",
        "{\"records\":1}",
        "{\"records\":[{\"data\":\"e30=\"}]} x",
        "{\"requestId\":\"a\",\"records\":[{\"data\":\"e30=\"},{\"data\":\"e3\"}]}"};
    begin((struct flow_options){0});
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        assert_int_equal(submit(weir_bytes_str(damaged[i]), "id"), 400);
        assert_string_equal(fixture.answer.reason, "damaged");
        assert_true(fixture.answer.message[0] != 0);
        assert_int_equal(flow_drain(&fixture.flow), 0);
    }
    end();
}

/* gzip's checksum alone is wrong: all of the content was decoded, and nothing of it is told,
 * counted or published. */
static void test_a_wrong_checksum_publishes_nothing(void **state)
{
    (void)state;
    struct weir_bytes body = flow_body("id-1", FLOW_LINE("AWS/Sum", "A") "\nno metric\n");
    struct weir_bytes namespace = WEIR_BYTES("AWS/Sum");
    struct weir_bytes reason = WEIR_BYTES("json_line");
    struct weir_deflater *deflater = NULL;
    uint8_t packed[4096];
    size_t size = 0;
    begin((struct flow_options){0});
    assert_int_equal(weir_deflater_new(6, &deflater), WEIR_OK);
    assert_int_equal(weir_gzip_deflate(deflater, body, packed, sizeof(packed), &size), WEIR_OK);
    double quarantined = weir_expo_value(weir_metrics_series(WEIR_M_QUARANTINED, &reason));
    packed[size - 8] ^= 1;
    assert_int_equal(submit(weir_bytes_of(packed, size), ""), 400);
    assert_string_equal(fixture.answer.reason, "damaged");
    assert_string_equal(fixture.answer.message,
                        "the body is not sound gzip, though Content-Encoding says so"
                        " (at byte 0 of the inflated body)");
    assert_int_equal(fixture.submission.result.request_id.size, 0);
    assert_int_equal(flow_drain(&fixture.flow), 0);
    assert_true(weir_expo_value(weir_metrics_series(WEIR_M_QUARANTINED, &reason)) == quarantined);
    assert_true(weir_expo_value(weir_metrics_series(WEIR_M_POINTS_RECEIVED, &namespace)) == 0);
    packed[size - 8] ^= 1;
    assert_int_equal(submit(weir_bytes_of(packed, size), ""), 200);
    assert_int_equal(flow_drain(&fixture.flow), 1);
    assert_true(weir_expo_value(weir_metrics_series(WEIR_M_QUARANTINED, &reason)) ==
                quarantined + 1);
    assert_true(weir_expo_value(weir_metrics_series(WEIR_M_POINTS_RECEIVED, &namespace)) == 1);
    end();
    weir_deflater_free(deflater);
    weir_mem_free((void *)(uintptr_t)body.data);
}

static void test_over_the_body_limit_is_400(void **state)
{
    (void)state;
    begin((struct flow_options){.body_limit = 100});
    assert_int_equal(submit_record(FLOW_LINE("AWS/EC2", "A")), 400);
    assert_string_equal(fixture.answer.reason, "over_limit");
    end();
}

/* Line feeds are the smallest parts: two records of them, and nothing wrong with their size. */
static void test_too_many_parts_are_400(void **state)
{
    (void)state;
    static char text[1333332];
    struct weir_buf body = weir_buf_grow_init((size_t)4 << 20);
    static const char begin_text[] =
        "{\"requestId\":\"id\",\"timestamp\":1,\"records\":[{\"data\":\"";
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = "CgoK"[i % 4];
    }
    weir_buf_put(&body, weir_bytes_str(begin_text));
    weir_buf_put(&body, weir_bytes_of(text, sizeof text));
    weir_buf_put(&body, WEIR_BYTES("\"},{\"data\":\""));
    weir_buf_put(&body, weir_bytes_of(text, sizeof text));
    weir_buf_put(&body, WEIR_BYTES("\"}]}"));
    begin((struct flow_options){0});
    assert_int_equal(submit(weir_buf_view(&body), "id"), 400);
    assert_string_equal(fixture.answer.reason, "too_many");
    assert_non_null(strstr(fixture.answer.message, "more lines"));
    assert_int_equal(flow_drain(&fixture.flow), 0);
    end();
    weir_buf_done(&body);
}

static void test_no_intake_credit_is_503(void **state)
{
    (void)state;
    begin((struct flow_options){.intake = (size_t)68 << 10}); /* the staging buffer and no more */
    assert_int_equal(submit_record(FLOW_LINE("AWS/EC2", "A")), 503);
    assert_string_equal(fixture.answer.reason, "memory_intake");
    end();
}

static void test_full_rings_are_503_and_hold_nothing(void **state)
{
    (void)state;
    begin((struct flow_options){.slots = 2});
    assert_int_equal(submit_record(FLOW_LINE("AWS/EC2", "A")), 200);
    assert_int_equal(submit_record(FLOW_LINE("AWS/EC2", "A")), 200);
    /* AWS/EBS has room, AWS/EC2 has not: neither may be published */
    assert_int_equal(submit_record(FLOW_LINE("AWS/EBS", "B") "\n" FLOW_LINE("AWS/EC2", "A")), 503);
    assert_string_equal(fixture.answer.reason, "memory_queued");
    assert_int_equal(flow_drain(&fixture.flow), 2);
    assert_int_equal(submit_record(FLOW_LINE("AWS/EBS", "B") "\n" FLOW_LINE("AWS/EC2", "A")), 200);
    assert_int_equal(flow_drain(&fixture.flow), 2);
    end();
}

static void test_what_is_no_metric_is_quarantined_and_200(void **state)
{
    (void)state;
    begin((struct flow_options){0});
    assert_int_equal(submit_record("{\"CHANGE\":-0.36,\"PRICE\":186.5}"), 200);
    assert_int_equal(flow_drain(&fixture.flow), 0);
    assert_int_equal(submit_record("not json\n" FLOW_LINE("AWS/EC2", "A")), 200);
    struct weir_bytes label = WEIR_BYTES("not_a_metric");
    assert_true(weir_expo_value(weir_metrics_series(WEIR_M_QUARANTINED, &label)) >= 1);
    end();
}

static void test_ids_that_differ_are_counted(void **state)
{
    (void)state;
    begin((struct flow_options){0});
    struct weir_bytes body = flow_body("in-the-body", FLOW_LINE("AWS/EC2", "A"));
    double before = weir_expo_value(weir_metrics_series(WEIR_M_ID_MISMATCHES, NULL));
    assert_int_equal(submit(body, "in-the-header"), 200);
    assert_true(weir_expo_value(weir_metrics_series(WEIR_M_ID_MISMATCHES, NULL)) == before + 1);
    weir_mem_free((void *)(uintptr_t)body.data);
    end();
}

/* A commit that is slow, and one that fails: what the spool will be. */
static struct weir_spool_job *pending;

static void commit_later(void *self, struct weir_spool_job *job)
{
    (void)self;
    pending = job;
}

static void test_nothing_is_visible_before_the_commit(void **state)
{
    (void)state;
    begin((struct flow_options){.commit = {commit_later, NULL}});
    assert_int_equal(submit_record(FLOW_LINE("AWS/EC2", "A")), 0);
    assert_int_equal(fixture.answers, 0);
    assert_int_equal(flow_drain(&fixture.flow), 0);
    assert_true(weir_credit_used(&fixture.flow.intake) >
                0); /* the raw body is still there to be written */
    pending->status = WEIR_OK;
    pending->done(pending);
    assert_int_equal(fixture.answer.code, 200);
    assert_int_equal(flow_drain(&fixture.flow), 1);
    end();
}

static void test_a_failed_commit_gives_everything_back(void **state)
{
    (void)state;
    begin((struct flow_options){.slots = 2, .commit = {commit_later, NULL}});
    for (int i = 0; i < 5; i++) { /* more often than there are credits */
        assert_int_equal(submit_record(FLOW_LINE("AWS/EC2", "A")), 0);
        pending->status = WEIR_EIO;
        pending->done(pending);
        assert_int_equal(fixture.answer.code, 503);
        assert_string_equal(fixture.answer.reason, "spool_failed");
        assert_int_equal(weir_router_queued_bytes(fixture.flow.router, 0), 0);
    }
    assert_int_equal(flow_drain(&fixture.flow), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_body_is_published_and_answered_once),
        cmocka_unit_test(test_a_damaged_body_publishes_nothing),
        cmocka_unit_test(test_a_wrong_checksum_publishes_nothing),
        cmocka_unit_test(test_over_the_body_limit_is_400),
        cmocka_unit_test(test_too_many_parts_are_400),
        cmocka_unit_test(test_no_intake_credit_is_503),
        cmocka_unit_test(test_full_rings_are_503_and_hold_nothing),
        cmocka_unit_test(test_what_is_no_metric_is_quarantined_and_200),
        cmocka_unit_test(test_ids_that_differ_are_counted),
        cmocka_unit_test(test_nothing_is_visible_before_the_commit),
        cmocka_unit_test(test_a_failed_commit_gives_everything_back),
    };
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
