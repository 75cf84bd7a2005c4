/* SPDX-License-Identifier: Apache-2.0 */
/* What the pipeline hands to the spool's lane, and what it answers to all that the lane may say. */
#include "weir/pipeline.h"

#include "flow.h"
#include "weir/crc32.h"
#include "weir/expo.h"
#include "weir/frame.h"

#define TWO_LINES     FLOW_LINE("AWS/EC2", "A") "\n" FLOW_LINE("AWS/EBS", "B") "\n"
#define REQUESTS_MAX  8u
#define A_TICKET      ((struct weir_ticket *)(uintptr_t)0x1000) /* never looked at here */
#define NO_ANSWER_YET 0

struct request {
    struct weir_submission submission;
    struct weir_answer answer;
    struct weir_bytes body;
    uint32_t answers;
};

/* A lane that does nothing until it is told to, and a home that counts who comes. */
static struct {
    struct flow flow;
    struct weir_worker *worker;
    struct request requests[REQUESTS_MAX];
    struct weir_spool_job *jobs[REQUESTS_MAX];
    uint32_t job_count;
    struct weir_submission *posted[REQUESTS_MAX];
    uint32_t posted_count;
} fixture;

static void take_job(void *self, struct weir_spool_job *job)
{
    (void)self;
    fixture.jobs[fixture.job_count++] = job;
}

static void post(void *self, struct weir_submission *submission)
{
    (void)self;
    for (uint32_t i = 0; i < fixture.posted_count; i++) {
        assert_ptr_not_equal(fixture.posted[i], submission); /* once until it is resumed */
    }
    fixture.posted[fixture.posted_count++] = submission;
}

static void resume_all(void)
{
    uint32_t count = fixture.posted_count;
    fixture.posted_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        weir_pipeline_resume(fixture.posted[i]);
    }
}

static void on_answered(struct weir_submission *submission, const struct weir_answer *answer)
{
    struct request *request =
        (struct request *)(void *)((char *)submission - offsetof(struct request, submission));
    request->answer = *answer;
    request->answers++;
}

static void begin(struct flow_options options)
{
    memset(&fixture, 0, sizeof(fixture));
    options.commit = (struct weir_commit){take_job, NULL};
    flow_start(&fixture.flow, options);
    assert_int_equal(
        weir_worker_new(fixture.flow.pipeline, (struct weir_home){.post = post}, &fixture.worker),
        WEIR_OK);
}

static void end(void)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        weir_mem_free((void *)(uintptr_t)fixture.requests[i].body.data);
        assert_true(fixture.requests[i].answers <= 1);
    }
    weir_worker_free(fixture.worker);
    flow_stop(&fixture.flow);
}

static struct request *submit(uint32_t index, const char *header_id, const char *record)
{
    struct request *request = &fixture.requests[index];
    assert_null(request->body.data);
    request->body = flow_body("id-of-body", record);
    request->submission = (struct weir_submission){.request_id = weir_bytes_str(header_id),
                                                   .source_arn = WEIR_BYTES("arn"),
                                                   .common_attributes = WEIR_BYTES("{}"),
                                                   .key_name = WEIR_BYTES("key"),
                                                   .answered = on_answered,
                                                   .received_ns = 77,
                                                   .targets = WEIR_TARGETS_ALL};
    weir_intake_init(&request->submission.intake, &fixture.flow.intake, fixture.flow.regions,
                     (size_t)16 << 20);
    assert_int_equal(weir_intake_append(&request->submission.intake, request->body), WEIR_OK);
    weir_pipeline_submit(fixture.worker, &request->submission);
    return request;
}

static void done(uint32_t job, enum weir_status status)
{
    fixture.jobs[job]->status = status;
    fixture.jobs[job]->ticket = status == WEIR_OK ? A_TICKET : NULL;
    fixture.jobs[job]->done(fixture.jobs[job]);
}

static void delivered(uint32_t job, enum weir_status status)
{
    fixture.jobs[job]->delivered(fixture.jobs[job], status);
}

static void expect(const struct request *request, int code, const char *reason)
{
    assert_int_equal(request->answers, 1);
    assert_int_equal(request->answer.code, code);
    assert_string_equal(request->answer.reason, reason);
    assert_int_equal(request->answer.message[0] == '\0', code == 200);
}

static void has_ticket(void *argument, const struct weir_run *run)
{
    assert_ptr_equal(run->origin->ticket, argument);
    assert_int_equal(run->origin->used_ns, 0);
    assert_int_equal(run->origin->received_ns, 77);
}

static void test_the_job_says_all_that_is_to_be_kept(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DISK});
    struct request *request = submit(0, "id", TWO_LINES);
    assert_int_equal(fixture.job_count, 1);
    const struct weir_spool_job *job = fixture.jobs[0];
    support_assert_bytes(job->body, request->body);
    support_assert_bytes(job->request_id, WEIR_BYTES("id"));
    support_assert_bytes(job->stream, WEIR_BYTES("arn"));
    support_assert_bytes(job->attributes, WEIR_BYTES("{}"));
    support_assert_bytes(job->key_name, WEIR_BYTES("key"));
    assert_int_equal(job->content_crc, weir_crc32(request->body));
    assert_int_equal(job->content_size, request->body.size);
    assert_int_equal(job->points, 2);
    assert_int_equal(job->owed, 1);
    assert_int_equal(job->live, 1);
    assert_int_equal(job->live_points[0], 2);
    assert_int_equal(job->received_ns, 77);
    assert_true(job->received_wall_ns > 0);
    assert_false(job->gzip);
    assert_int_equal(flow_drain(&fixture.flow), 0); /* not before it is safe */
    done(0, WEIR_OK);
    assert_int_equal(request->answers, 0); /* other threads answer nobody */
    assert_int_equal(fixture.posted_count, 1);
    resume_all();
    expect(request, 200, "ok");
    assert_int_equal(weir_credit_used(&fixture.flow.intake), 0);
    assert_int_equal(flow_drain_to(&fixture.flow, has_ticket, A_TICKET), 2);
    end();
}

static void test_without_a_header_the_id_is_the_bodys(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DISK});
    (void)submit(0, "", FLOW_LINE("AWS/EC2", "A"));
    support_assert_bytes(fixture.jobs[0]->request_id, WEIR_BYTES("id-of-body"));
    done(0, WEIR_OK);
    resume_all();
    expect(&fixture.requests[0], 200, "ok");
    end();
}

static void test_what_is_not_committed_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        enum weir_status status;
        int code;
        const char *reason;
    } cases[] = {{WEIR_EFULL, 503, "spool_full"},
                 {WEIR_EIO, 503, "spool_failed"},
                 {WEIR_ENOMEM, 503, "spool_failed"},
                 {WEIR_ELIMIT, 400, "over_limit"},
                 {WEIR_EEXIST, 200, "repeated"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin((struct flow_options){.durability = WEIR_DURABILITY_DISK, .slots = 2});
        struct weir_bytes label = WEIR_BYTES("AWS/EC2");
        uint32_t series = weir_metrics_series(WEIR_M_POINTS_RECEIVED, &label);
        double before = weir_expo_value(series);
        for (uint32_t n = 0; n < 5; n++) { /* more often than there are credits */
            struct request *request = submit(n, "id", FLOW_LINE("AWS/EC2", "A"));
            done(n, cases[i].status);
            resume_all();
            expect(request, cases[i].code, cases[i].reason);
            assert_int_equal(weir_router_queued_bytes(fixture.flow.router, 0), 0);
            assert_int_equal(weir_credit_used(&fixture.flow.queued), 0);
        }
        assert_true(weir_expo_value(series) == before);
        assert_int_equal(flow_drain(&fixture.flow), 0);
        end();
    }
}

static void test_commits_end_in_any_order(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DISK});
    for (uint32_t i = 0; i < 3; i++) {
        (void)submit(i, "id", FLOW_LINE("AWS/EC2", "A"));
    }
    done(2, WEIR_OK);
    done(0, WEIR_EIO);
    resume_all();
    expect(&fixture.requests[2], 200, "ok");
    expect(&fixture.requests[0], 503, "spool_failed");
    assert_int_equal(fixture.requests[1].answers, 0);
    assert_int_equal(flow_drain(&fixture.flow), 1);
    done(1, WEIR_EEXIST);
    resume_all();
    expect(&fixture.requests[1], 200, "repeated");
    end();
}

static void test_without_room_in_memory_it_is_taken_to_disk(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DISK, .slots = 2});
    for (uint32_t i = 0; i < 3; i++) {
        (void)submit(i, "id", FLOW_LINE("AWS/EC2", "A"));
    }
    assert_int_equal(fixture.jobs[1]->live, 1);
    assert_int_equal(fixture.jobs[2]->owed, 1);
    assert_int_equal(fixture.jobs[2]->live, 0);
    for (uint32_t i = 0; i < 3; i++) {
        done(i, WEIR_OK);
        resume_all();
        expect(&fixture.requests[i], 200, "ok");
    }
    assert_int_equal(flow_drain(&fixture.flow), 2);
    assert_int_equal(weir_credit_used(&fixture.flow.queued), 0);
    end();
}

static void test_without_room_and_without_disk_it_is_503(void **state)
{
    (void)state;
    static const enum weir_durability durabilities[] = {WEIR_DURABILITY_MEMORY,
                                                        WEIR_DURABILITY_DELIVERED};
    for (size_t i = 0; i < 2; i++) {
        begin((struct flow_options){.durability = durabilities[i], .share = 1});
        struct request *request = submit(0, "id", FLOW_LINE("AWS/EC2", "A"));
        assert_int_equal(fixture.job_count, 0);
        expect(request, 503, "memory_queued");
        assert_int_equal(weir_router_queued_bytes(fixture.flow.router, 0), 0);
        end();
    }
}

static void test_what_is_quarantined_is_owed_to_the_dead_letter(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DISK});
    (void)submit(0, "id", "{\"no\":1}\n" FLOW_LINE("AWS/EC2", "A"));
    assert_true(fixture.jobs[0]->owed == (WEIR_OWED_LETTER | 1));
    assert_int_equal(fixture.jobs[0]->live, 1);
    (void)submit(1, "id", "{\"no\":\"metric\"}");
    assert_true(fixture.jobs[1]->owed == WEIR_OWED_LETTER);
    assert_int_equal(fixture.jobs[1]->live, 0);
    done(0, WEIR_OK);
    done(1, WEIR_OK);
    resume_all();
    expect(&fixture.requests[0], 200, "ok");
    expect(&fixture.requests[1], 200, "ok");
    assert_int_equal(flow_drain(&fixture.flow), 1);
    end();
}

static void test_without_a_disk_no_record_is_owed_to_it(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_MEMORY});
    (void)submit(0, "id", "{\"no\":\"metric\"}");
    assert_int_equal(fixture.jobs[0]->owed, 0); /* committed all the same: it may be repeated */
    done(0, WEIR_OK);
    resume_all();
    expect(&fixture.requests[0], 200, "ok");
    end();
}

static void test_delivered_answers_when_all_is_delivered(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DELIVERED});
    struct request *request = submit(0, "id", FLOW_LINE("AWS/EC2", "A"));
    done(0, WEIR_OK);
    resume_all();
    assert_int_equal(request->answers, 0);
    assert_int_equal(flow_drain(&fixture.flow), 1);              /* it is with the exporters */
    assert_int_equal(weir_credit_used(&fixture.flow.queued), 0); /* and its memory was theirs */
    delivered(0, WEIR_OK);
    assert_int_equal(request->answers, 0);
    resume_all();
    expect(request, 200, "ok");
    end();
}

static void test_delivered_may_say_no(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DELIVERED});
    for (uint32_t i = 0; i < 3; i++) {
        (void)submit(i, "id", FLOW_LINE("AWS/EC2", "A"));
        done(i, i == 2 ? WEIR_EEXIST : WEIR_OK);
        resume_all();
        assert_int_equal(fixture.requests[i].answers, 0);
    }
    delivered(0, WEIR_ETIMEOUT);
    delivered(1, WEIR_ECLOSED);
    delivered(2, WEIR_ETIMEOUT);
    resume_all();
    expect(&fixture.requests[0], 503, "not_delivered");
    expect(&fixture.requests[1], 503, "stopping");
    expect(&fixture.requests[2], 503, "not_delivered");
    assert_int_equal(flow_drain(&fixture.flow), 2);
    end();
}

static void test_a_repetition_waits_for_the_delivery_too(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DELIVERED});
    struct request *request = submit(0, "id", FLOW_LINE("AWS/EC2", "A"));
    done(0, WEIR_EEXIST);
    resume_all();
    assert_int_equal(request->answers, 0);
    assert_int_equal(weir_router_queued_bytes(fixture.flow.router, 0), 0);
    assert_int_equal(weir_credit_used(&fixture.flow.queued), 0); /* it waits without its memory */
    assert_int_equal(weir_credit_used(&fixture.flow.intake), 0);
    delivered(0, WEIR_OK);
    resume_all();
    expect(request, 200, "repeated");
    assert_int_equal(flow_drain(&fixture.flow), 0);
    end();
}

/* Both callbacks before the home thread looks; and the second before the first. */
static void test_both_events_are_one_visit(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DELIVERED});
    struct request *both = submit(0, "id", FLOW_LINE("AWS/EC2", "A"));
    done(0, WEIR_OK);
    delivered(0, WEIR_OK);
    assert_int_equal(fixture.posted_count, 1);
    resume_all();
    expect(both, 200, "ok");
    struct request *early = submit(1, "id", FLOW_LINE("AWS/EC2", "A"));
    fixture.jobs[1]->status = WEIR_OK;
    delivered(1, WEIR_OK);
    resume_all();
    assert_int_equal(early->answers, 0); /* its points are not with the exporters yet */
    assert_int_equal(flow_drain(&fixture.flow), 1);
    done(1, WEIR_OK);
    resume_all();
    expect(early, 200, "ok");
    assert_int_equal(flow_drain(&fixture.flow), 1);
    end();
}

static void test_a_delivery_that_fails_to_commit_is_over(void **state)
{
    (void)state;
    begin((struct flow_options){.durability = WEIR_DURABILITY_DELIVERED});
    struct request *request = submit(0, "id", FLOW_LINE("AWS/EC2", "A"));
    done(0, WEIR_EFULL);
    resume_all();
    expect(request, 503, "spool_full");
    assert_int_equal(flow_drain(&fixture.flow), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_job_says_all_that_is_to_be_kept),
        cmocka_unit_test(test_without_a_header_the_id_is_the_bodys),
        cmocka_unit_test(test_what_is_not_committed_leaves_nothing),
        cmocka_unit_test(test_commits_end_in_any_order),
        cmocka_unit_test(test_without_room_in_memory_it_is_taken_to_disk),
        cmocka_unit_test(test_without_room_and_without_disk_it_is_503),
        cmocka_unit_test(test_what_is_quarantined_is_owed_to_the_dead_letter),
        cmocka_unit_test(test_without_a_disk_no_record_is_owed_to_it),
        cmocka_unit_test(test_delivered_answers_when_all_is_delivered),
        cmocka_unit_test(test_delivered_may_say_no),
        cmocka_unit_test(test_a_repetition_waits_for_the_delivery_too),
        cmocka_unit_test(test_both_events_are_one_visit),
        cmocka_unit_test(test_a_delivery_that_fails_to_commit_is_over),
    };
    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
