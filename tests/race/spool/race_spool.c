/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lane, keeper, backlog and two exporters at once on one spool, as the threads of the service step
 * it; and questions from a fifth side. What was committed is settled by everybody, nothing is left.
 */
#include "../../unit/spool/spool_rig.h"
#include "weir/rcu.h"
#include "weir/thread.h"
#include <stdatomic.h>

enum { LISTS = 40, EACH = 3, REQUESTS = LISTS * EACH };

static _Atomic uint32_t
    committed; /* jobs [0, committed) are answered; release, for the exporters */
static _Atomic bool over;

static void begin(void)
{
    weir_rcu_thread_start();
    assert_int_equal(weir_metrics_thread_start(), WEIR_OK);
}

static void end(void)
{
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
}

static void lane(void *argument)
{
    (void)argument;
    begin();
    for (int i = 0; i < REQUESTS; i += EACH) {
        for (int k = i; k < i + EACH; k++) {
            struct job *(*make)(int, size_t, uint64_t) = k % 3 == 0 ? job_with_margins : job_make;
            (void)make(k, (size_t)(500 + k * 40), (uint64_t)k % 4);
        }
        job_commit(i, EACH);
        for (int k = i; k < i + EACH; k++) {
            assert_int_equal(jobs[k].job.status, WEIR_OK);
        }
        /* the exporters' acquire */
        atomic_store_explicit(&committed, (uint32_t)(i + EACH), memory_order_release);
    }
    end();
}

/* Settles what is live for one destination: every third of it is kept, for the backlog. */
static void exporter(void *argument)
{
    uint32_t destination = *(const uint32_t *)argument;
    begin();
    for (uint32_t i = 0; i < REQUESTS; i++) {
        while (atomic_load_explicit(&committed, memory_order_acquire) <=
               i) { /* the lane's release */
            (void)usleep(50);
        }
        if ((jobs[i].job.live >> destination & 1) != 0) {
            weir_spool_settle(rig.spool, jobs[i].job.ticket, destination,
                              i % 3 == 0 ? WEIR_KEPT : WEIR_SETTLED);
        }
    }
    end();
}

static void keeper(void *argument)
{
    (void)argument;
    begin();
    while (!atomic_load_explicit(&over, memory_order_acquire)) { /* the test's release */
        int64_t wake_ns;
        assert_int_equal(weir_spool_keep(rig.spool, rig.now, &wake_ns), WEIR_OK);
    }
    end();
}

static void backlog(void *argument)
{
    (void)argument;
    begin();
    bool last = false;
    while (!last) {
        last = atomic_load_explicit(&over, memory_order_acquire); /* the test's release */
        (void)rig_drain(0, NULL);
        (void)rig_drain(1, NULL);
    }
    end();
}

static void test_everybody_at_once(void **state)
{
    (void)state;
    rig_start();
    static const uint32_t destinations[2] = {0, 1};
    struct weir_thread *threads[5];
    void (*const bodies[5])(void *) = {lane, exporter, exporter, keeper, backlog};
    for (size_t i = 0; i < 5; i++) {
        void *argument = i == 1 || i == 2 ? (void *)(uintptr_t)&destinations[i - 1] : NULL;
        assert_int_equal(
            weir_thread_start(WEIR_ROLE_TEST, "race", bodies[i], argument, &threads[i]), WEIR_OK);
    }
    while (atomic_load_explicit(&committed, memory_order_acquire) < REQUESTS) { /* the lane's */
        (void)rig_look();
        (void)weir_spool_admits(rig.spool, 1000);
        (void)usleep(100);
    }
    for (size_t i = 0; i < 3; i++) {
        weir_thread_join(threads[i]);
    }
    atomic_store_explicit(&over, true, memory_order_release); /* keeper and backlog acquire */
    weir_thread_join(threads[4]);
    weir_thread_join(threads[3]);
    (void)rig_drain(0, NULL);
    (void)rig_drain(1, NULL);
    assert_int_equal(rig_look().records, 0);
    rig_restart();
    assert_int_equal(rig.report.records, 0);
    assert_int_equal(rig.report.lost_records, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_everybody_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
