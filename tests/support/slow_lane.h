/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_SLOW_LANE_H
#define WEIR_TEST_SLOW_LANE_H

/*
 * A lane for tests of what stands around the spool: threads that take jobs and, when a moment is
 * over, call back with what `decide` says: late, out of order where there are several, failing.
 */
#include "weir/pipeline.h"
#include "weir/rcu.h"
#include "weir/thread.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define SLOW_LANE_THREADS_MAX 4

struct slow_lane {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct weir_spool_job *jobs; /* newest first: out of order already */
    bool stopping;
    bool delivers; /* WEIR_DURABILITY_DELIVERED */
    uint32_t committed;
    long moment_ms;
    enum weir_status (*decide)(uint32_t number); /* NULL: always WEIR_OK */
    struct weir_thread *threads[SLOW_LANE_THREADS_MAX];
    uint32_t thread_count;
};

static inline void slow_lane_push(void *self, struct weir_spool_job *job)
{
    struct slow_lane *lane = self;
    pthread_mutex_lock(&lane->mutex);
    job->next = lane->jobs;
    lane->jobs = job;
    pthread_cond_signal(&lane->changed);
    pthread_mutex_unlock(&lane->mutex);
}

static inline void slow_lane_commit(struct slow_lane *lane, struct weir_spool_job *job,
                                    uint32_t number)
{
    const struct timespec moment = {.tv_sec = lane->moment_ms / 1000,
                                    .tv_nsec = lane->moment_ms % 1000 * 1000000};
    (void)nanosleep(&moment, NULL);
    void (*delivered)(struct weir_spool_job *, enum weir_status) = job->delivered;
    enum weir_status status = lane->decide == NULL ? WEIR_OK : lane->decide(number);
    bool waits = lane->delivers && (status == WEIR_OK || status == WEIR_EEXIST);
    job->status = status;
    job->done(job); /* the job may be gone now, unless it waits for its delivery */
    if (waits) {
        delivered(job, number % 7 == 0 ? WEIR_ETIMEOUT : WEIR_OK);
    }
}

static inline void slow_lane_run(void *argument)
{
    struct slow_lane *lane = argument;
    weir_rcu_thread_start();
    pthread_mutex_lock(&lane->mutex);
    while (lane->jobs != NULL || !lane->stopping) {
        struct weir_spool_job *job = lane->jobs;
        if (job == NULL) {
            pthread_cond_wait(&lane->changed, &lane->mutex);
            continue;
        }
        lane->jobs = job->next;
        uint32_t number = ++lane->committed;
        pthread_mutex_unlock(&lane->mutex);
        slow_lane_commit(lane, job, number);
        pthread_mutex_lock(&lane->mutex);
    }
    pthread_mutex_unlock(&lane->mutex);
    weir_rcu_thread_stop();
}

static inline struct weir_commit slow_lane_start(struct slow_lane *lane, uint32_t threads)
{
    assert_int_equal(pthread_mutex_init(&lane->mutex, NULL), 0);
    assert_int_equal(pthread_cond_init(&lane->changed, NULL), 0);
    lane->jobs = NULL;
    lane->stopping = false;
    lane->committed = 0;
    lane->thread_count = threads;
    for (uint32_t i = 0; i < threads; i++) {
        assert_int_equal(
            weir_thread_start(WEIR_ROLE_LANE, "test-lane", slow_lane_run, lane, &lane->threads[i]),
            WEIR_OK);
    }
    return (struct weir_commit){slow_lane_push, lane};
}

static inline void slow_lane_stop(struct slow_lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    lane->stopping = true;
    pthread_cond_broadcast(&lane->changed);
    pthread_mutex_unlock(&lane->mutex);
    for (uint32_t i = 0; i < lane->thread_count; i++) {
        weir_thread_join(lane->threads[i]);
    }
    pthread_cond_destroy(&lane->changed);
    pthread_mutex_destroy(&lane->mutex);
}

#endif
