/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several loops submit, the lane commits, two exporters drain and settle, or keep now and then, and
 * the backlog reads back what had no room or was kept, all at once: each point is settled exactly
 * once at each destination, and all records are released. Meant for ThreadSanitizer; elsewhere it
 * is a stress test.
 */
#include "../../unit/pipeline/custody_rig.h"
#include "support.h"

enum { LOOPS = 3, REQUESTS = 120, IN_FLIGHT = 8, POINTS = 3, SLOTS = 8 };

#define THREE                                                                                      \
    FLOW_LINE("AWS/EC2", "A") "\n" FLOW_LINE("AWS/EBS", "B") "\n" FLOW_LINE("AWS/EC2", "C")

struct loop {
    uint32_t index;
    struct weir_worker *worker;
    struct weir_thread *thread;
    pthread_mutex_t mutex;
    struct weir_submission *posted[IN_FLIGHT];
    uint32_t posted_count;
    uint32_t answered;
};

struct place {
    struct weir_submission submission; /* first: a submission is its place */
    struct loop *loop;
    char id[32];
    bool busy;
};

struct drainer {
    uint32_t destination;
    struct weir_thread *thread;
    uint8_t seen[LOOPS * REQUESTS][POINTS];
    uint32_t settled;
};

static struct weir_bytes bodies[LOOPS * REQUESTS];
static struct drainer drainers[RIG_DESTINATIONS];

static void post(void *self, struct weir_submission *submission)
{
    struct loop *loop = self;
    pthread_mutex_lock(&loop->mutex);
    WEIR_ASSERT(loop->posted_count < IN_FLIGHT);
    loop->posted[loop->posted_count++] = submission;
    pthread_mutex_unlock(&loop->mutex);
}

static void answered(struct weir_submission *submission, const struct weir_answer *answer)
{
    struct place *place = (struct place *)submission;
    WEIR_ASSERT(place->busy);
    WEIR_ASSERT(answer->code == 200);
    place->busy = false;
    place->loop->answered++;
}

static void resume(struct loop *loop)
{
    struct weir_submission *posted[IN_FLIGHT];
    pthread_mutex_lock(&loop->mutex);
    uint32_t count = loop->posted_count;
    memcpy(posted, loop->posted, sizeof(posted));
    loop->posted_count = 0;
    pthread_mutex_unlock(&loop->mutex);
    for (uint32_t i = 0; i < count; i++) {
        weir_pipeline_resume(posted[i]);
    }
}

static void submit(struct loop *loop, struct place *place, uint32_t number)
{
    place->loop = loop;
    place->busy = true;
    (void)snprintf(place->id, sizeof(place->id), "%u", number);
    place->submission = (struct weir_submission){.request_id = weir_bytes_str(place->id),
                                                 .source_arn = WEIR_BYTES("stream"),
                                                 .answered = answered,
                                                 .received_ns = weir_clock_mono_ns(),
                                                 .targets = WEIR_TARGETS_ALL};
    weir_intake_init(&place->submission.intake, &rig.intake, rig.regions, (size_t)1 << 20);
    enum weir_status status = weir_intake_append(&place->submission.intake, bodies[number]);
    WEIR_ASSERT(status == WEIR_OK);
    weir_pipeline_submit(loop->worker, &place->submission);
}

static void run_loop(void *argument)
{
    struct loop *loop = argument;
    struct place places[IN_FLIGHT] = {{.busy = false}};
    weir_rcu_thread_start();
    assert_int_equal(weir_metrics_thread_start(), WEIR_OK);
    uint32_t next = 0;
    while (loop->answered < REQUESTS) {
        for (uint32_t i = 0; i < IN_FLIGHT && next < REQUESTS; i++) {
            if (!places[i].busy) {
                submit(loop, &places[i], loop->index * REQUESTS + next++);
            }
        }
        resume(loop);
        (void)usleep(200);
    }
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
}

static void book(struct drainer *drainer, const struct weir_run *run, bool settles)
{
    char id[32] = {0};
    memcpy(id, run->origin->request_id.data, run->origin->request_id.size);
    uint32_t number = (uint32_t)strtoul(id, NULL, 10);
    for (uint32_t i = run->first; settles && i < run->first + run->count; i++) {
        WEIR_ASSERT(drainer->seen[number][i]++ == 0);
        drainer->settled++;
    }
}

static void run_drainer(void *argument)
{
    struct drainer *drainer = argument;
    struct weir_rand rand;
    const struct weir_settler settler = weir_spool_settler(rig.spool);
    weir_rand_init(&rand, drainer->destination);
    weir_rcu_thread_start();
    assert_int_equal(weir_metrics_thread_start(), WEIR_OK);
    int64_t until_ns = weir_clock_mono_ns() + 60 * WEIR_NS_PER_S;
    while (drainer->settled < LOOPS * REQUESTS * POINTS && weir_clock_mono_ns() < until_ns) {
        struct weir_run *run = weir_router_take(rig.router, drainer->destination);
        if (run == NULL) {
            (void)usleep(500);
            continue;
        }
        bool settles = weir_rand_below(&rand, 10) > 0;
        struct weir_part part = {run->origin->ticket, run->first, run->first + run->count};
        const struct weir_manifest manifest = {
            .destination = drainer->destination, .count = 1, .capacity = 1, .parts = &part};
        book(drainer, run, settles);
        weir_arena_unref(run->arena, run->bytes);
        settler.settle(settler.self, &manifest, settles ? WEIR_SETTLED : WEIR_KEPT);
    }
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
}

static void test_all_at_once(void **state)
{
    (void)state;
    static struct loop loops[LOOPS];
    for (uint32_t i = 0; i < LOOPS * REQUESTS; i++) {
        bodies[i] = flow_body("id", THREE);
    }
    rig_up((struct rig_options){.slots = SLOTS});
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    for (uint32_t i = 0; i < RIG_DESTINATIONS; i++) {
        drainers[i].destination = i;
        assert_int_equal(weir_thread_start(WEIR_ROLE_EXPORTER, "test-drainer", run_drainer,
                                           &drainers[i], &drainers[i].thread),
                         WEIR_OK);
    }
    for (uint32_t i = 0; i < LOOPS; i++) {
        loops[i].index = i;
        (void)pthread_mutex_init(&loops[i].mutex, NULL);
        assert_int_equal(weir_worker_new(rig.pipeline, (struct weir_home){post, &loops[i], NULL},
                                         &loops[i].worker),
                         WEIR_OK);
        assert_int_equal(
            weir_thread_start(WEIR_ROLE_LOOP, "test-loop", run_loop, &loops[i], &loops[i].thread),
            WEIR_OK);
    }
    for (uint32_t i = 0; i < LOOPS; i++) {
        weir_thread_join(loops[i].thread);
        weir_worker_free(loops[i].worker);
        (void)pthread_mutex_destroy(&loops[i].mutex);
    }
    for (uint32_t i = 0; i < RIG_DESTINATIONS; i++) {
        weir_thread_join(drainers[i].thread);
        assert_int_equal(drainers[i].settled, LOOPS * REQUESTS * POINTS);
    }
    assert_int_equal(rig_records(0), 0);
    rig_down();
    for (uint32_t i = 0; i < LOOPS * REQUESTS; i++) {
        weir_mem_free((void *)(uintptr_t)bodies[i].data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_at_once, rig_set_up, rig_tear_down)};
    return cmocka_run_group_tests_name("race_custody", tests, NULL, NULL);
}
