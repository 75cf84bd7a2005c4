/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait for their turn: when, in which order, and until when. */
#include "weir/pipeline.h"

#include "flow.h"
#include "weir/clock.h"
#include "weir/expo.h"
#include "weir/mem.h"

#define MIB          ((size_t)1 << 20)
#define REQUESTS_MAX 16u

struct request {
    struct weir_submission submission;
    struct weir_bytes body;
    int code;
    uint32_t turn; /* the how many-eth that was answered */
};

static struct {
    struct flow flow;
    struct weir_worker *worker;
    struct request requests[REQUESTS_MAX];
    uint32_t count;
    uint32_t answered;
    uint32_t alarms;
    int64_t delay_ns;
    double waited; /* the counter before */
} fixture;

static void set_alarm(void *self, int64_t delay_ns)
{
    assert_ptr_equal(self, &fixture);
    fixture.alarms++;
    fixture.delay_ns = delay_ns;
}

static void on_answered(struct weir_submission *submission, const struct weir_answer *answer)
{
    struct request *request =
        (struct request *)(void *)((char *)submission - offsetof(struct request, submission));
    assert_int_equal(request->code, 0);
    request->code = answer->code;
    request->turn = ++fixture.answered;
}

static double count_waited(void)
{
    return weir_expo_value(weir_metrics_series(WEIR_M_REQUESTS_WAITED, NULL)) - fixture.waited;
}

static void begin_with(struct weir_home home, struct flow_options options)
{
    memset(&fixture, 0, sizeof(fixture));
    flow_start(&fixture.flow, options);
    assert_int_equal(weir_worker_new(fixture.flow.pipeline, home, &fixture.worker), WEIR_OK);
    fixture.waited = weir_expo_value(weir_metrics_series(WEIR_M_REQUESTS_WAITED, NULL));
}

static void begin(void)
{
    begin_with((struct weir_home){.self = &fixture, .alarm = set_alarm}, (struct flow_options){0});
}

static void end(void)
{
    for (uint32_t i = 0; i < fixture.count; i++) {
        assert_int_not_equal(fixture.requests[i].code, 0);
        weir_mem_free((void *)(uintptr_t)fixture.requests[i].body.data);
    }
    weir_worker_free(fixture.worker);
    flow_stop(&fixture.flow);
}

static struct request *submit(const char *record)
{
    assert_true(fixture.count < REQUESTS_MAX);
    struct request *request = &fixture.requests[fixture.count++];
    request->body = flow_body("id", record);
    request->submission = (struct weir_submission){.request_id = WEIR_BYTES("id"),
                                                   .answered = on_answered,
                                                   .received_ns = 1,
                                                   .targets = WEIR_TARGETS_ALL};
    weir_intake_init(&request->submission.intake, &fixture.flow.intake, fixture.flow.regions,
                     (size_t)16 << 20);
    assert_int_equal(weir_intake_append(&request->submission.intake, request->body), WEIR_OK);
    weir_pipeline_submit(fixture.worker, &request->submission);
    return request;
}

static struct request *submit_one(void)
{
    return submit(FLOW_LINE("AWS/EC2", "A") "\n");
}

/* A record of some thousand points. */
static char *large_record(void)
{
    static const char line[] = FLOW_LINE("AWS/EC2", "A") "\n";
    size_t lines = (size_t)900 << 10;
    lines /= sizeof(line) - 1;
    char *record = weir_mem_alloc(lines * (sizeof(line) - 1) + 1);
    assert_non_null(record);
    for (size_t i = 0; i < lines; i++) {
        memcpy(record + i * (sizeof(line) - 1), line, sizeof(line));
    }
    return record;
}

/* Much in the rings, somebody who takes from them, and little left of the budget. */
static void crowd(void)
{
    char *record = large_record();
    while (weir_router_queued_bytes(fixture.flow.router, 0) <= 2 * MIB) {
        assert_int_equal(submit(record)->code, 200);
    }
    weir_mem_free(record);
    weir_router_drained(fixture.flow.router, 0, weir_clock_mono_ns() + 3600 * WEIR_NS_PER_S);
    weir_credit_force(&fixture.flow.queued, 48 * MIB);
}

static void make_room(void)
{
    weir_credit_give(&fixture.flow.queued, 48 * MIB);
}

static void test_nobody_waits_while_there_is_room(void **state)
{
    (void)state;
    begin();
    assert_int_equal(submit_one()->code, 200);
    assert_int_equal(fixture.alarms, 0);
    assert_true(count_waited() == 0);
    end();
}

static void test_those_who_wait_are_begun_in_order(void **state)
{
    (void)state;
    begin();
    crowd();
    struct request *first = submit_one();
    assert_int_equal(first->code, 0);
    assert_int_equal(fixture.alarms, 1);
    assert_true(fixture.delay_ns > 0);
    weir_worker_turn(fixture.worker); /* nothing has changed */
    assert_int_equal(first->code, 0);
    assert_int_equal(fixture.alarms, 2);
    struct request *second = submit_one();
    make_room();
    struct request *third = submit_one(); /* there is room now, and others were first */
    assert_int_equal(third->code, 0);
    assert_true(count_waited() == 3);
    assert_int_equal(fixture.alarms, 2);
    weir_worker_turn(fixture.worker);
    assert_int_equal(first->code, 200);
    assert_int_equal(second->code, 200);
    assert_int_equal(third->code, 200);
    assert_true(first->turn < second->turn);
    assert_true(second->turn < third->turn);
    assert_int_equal(fixture.alarms, 2); /* nobody waits any more */
    assert_int_equal(submit_one()->code, 200);
    end();
}

static void test_nobody_waits_longer_than_a_second(void **state)
{
    (void)state;
    begin();
    crowd();
    struct request *old = submit_one();
    struct request *young = submit_one();
    old->submission.waiting_ns -= WEIR_NS_PER_S;
    weir_worker_turn(fixture.worker);
    assert_int_equal(old->code, 200);
    assert_int_equal(young->code, 0);
    young->submission.waiting_ns -= WEIR_NS_PER_S;
    weir_worker_turn(fixture.worker);
    assert_int_equal(young->code, 200);
    make_room();
    end();
}

/* A lane that is always done. */
static void commit_at_once(void *self, struct weir_spool_job *job)
{
    (void)self;
    job->status = WEIR_OK;
    job->done(job);
}

static void test_with_a_spool_one_in_vain_is_enough(void **state)
{
    (void)state;
    begin_with((struct weir_home){.self = &fixture, .alarm = set_alarm},
               (struct flow_options){.durability = WEIR_DURABILITY_DISK,
                                     .commit = {commit_at_once, NULL}});
    crowd();
    struct request *old = submit_one();
    struct request *young = submit_one();
    assert_int_equal(young->code, 0);
    old->submission.waiting_ns -= WEIR_NS_PER_S;
    weir_worker_turn(fixture.worker);
    assert_int_equal(old->code, 200);
    assert_int_equal(young->code, 200);
    assert_int_equal(submit_one()->code, 200);
    assert_true(count_waited() == 2);
    make_room();
    end();
}

static void test_large_ones_leave_the_loop_a_turn_between_them(void **state)
{
    (void)state;
    char *record = large_record();
    begin();
    crowd();
    struct request *first = submit(record);
    struct request *second = submit(record);
    weir_mem_free(record);
    make_room();
    weir_worker_turn(fixture.worker);
    assert_int_equal(first->code, 200);
    assert_int_equal(second->code, 0);
    assert_int_equal(fixture.alarms, 2);
    assert_true(fixture.delay_ns == 0);
    weir_worker_turn(fixture.worker);
    assert_int_equal(second->code, 200);
    assert_int_equal(fixture.alarms, 2);
    end();
}

static void test_nobody_waits_in_the_last_half_of_the_intake(void **state)
{
    (void)state;
    begin();
    crowd();
    struct request *before = submit_one();
    weir_credit_force(&fixture.flow.intake, 33 * MIB);
    struct request *after = submit_one(); /* not before those who wait */
    assert_int_equal(after->code, 0);
    weir_worker_turn(fixture.worker);
    assert_int_equal(before->code, 200);
    assert_int_equal(after->code, 200);
    assert_int_equal(submit_one()->code, 200);
    weir_credit_give(&fixture.flow.intake, 33 * MIB);
    make_room();
    end();
}

static void test_nobody_waits_in_a_hurry(void **state)
{
    (void)state;
    begin();
    crowd();
    struct request *before = submit_one();
    weir_worker_hurry(fixture.worker);
    assert_int_equal(before->code, 0);
    assert_int_equal(fixture.alarms, 2);
    assert_true(fixture.delay_ns == 0);
    weir_worker_turn(fixture.worker);
    assert_int_equal(before->code, 200);
    assert_int_equal(submit_one()->code, 200);
    assert_int_equal(fixture.alarms, 2);
    weir_worker_hurry(fixture.worker); /* nobody is there to be begun */
    assert_int_equal(fixture.alarms, 2);
    make_room();
    end();
}

static void test_without_an_alarm_nobody_waits(void **state)
{
    (void)state;
    begin_with((struct weir_home){.post = NULL}, (struct flow_options){0});
    crowd();
    assert_int_equal(submit_one()->code, 200);
    make_room();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_waits_while_there_is_room),
        cmocka_unit_test(test_those_who_wait_are_begun_in_order),
        cmocka_unit_test(test_nobody_waits_longer_than_a_second),
        cmocka_unit_test(test_with_a_spool_one_in_vain_is_enough),
        cmocka_unit_test(test_large_ones_leave_the_loop_a_turn_between_them),
        cmocka_unit_test(test_nobody_waits_in_the_last_half_of_the_intake),
        cmocka_unit_test(test_nobody_waits_in_a_hurry),
        cmocka_unit_test(test_without_an_alarm_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
